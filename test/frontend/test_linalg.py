# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`numpy.linalg` in compiled code: values, derivatives, errors, properties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from budget import by_hypothesis
from hypothesis import given
from hypothesis import strategies as st
from matrices import Array, normal, positive, regular

import gradopt as go
from gradopt import errors

SIZES = (0, 1, 2, 5, 40)


def parts_of(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple) else [result]


def check_values(function: Callable[..., Any], *args: Array, rtol: float = 1e-9) -> None:
    """What is compiled has NumPy's values, dtypes, shapes and type of result."""
    with np.errstate(all="ignore"):
        want = function(*args)
    got = go.compile(function)(*args)
    if isinstance(want, tuple):
        assert type(got) is type(want)
    for one, other in zip(parts_of(got), parts_of(want), strict=True):
        assert one.shape == np.shape(other)
        assert one.dtype == np.asarray(other).dtype
        scale = np.abs(other).max(initial=1)
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol * scale)


def check_vectors(function: Callable[..., Any], a: Array) -> None:
    """The same where there are vectors: each may have the other sign, further ones any turn."""
    want, got = function(a), go.compile(function)(a)
    assert type(got) is type(want)
    for one, other in zip(got, want, strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
    values = 0 if len(want) == 2 else 1
    k = want[values].shape[-1]
    columns = [result[1 - values][..., :k] for result in (got, want)]
    signs = np.sign(np.sum(columns[0] * columns[1], axis=-2, keepdims=True))
    pairs = [(got[values], want[values]), (columns[0] * signs, columns[1])]
    if values:
        rows = [np.swapaxes(result[2], -1, -2) for result in (got, want)]
        pairs.append((rows[0][..., :k] * signs, rows[1][..., :k]))
        pairs += [
            (projector(one[..., k:]), projector(other[..., k:]))
            for one, other in (rows, (got[0], want[0]))
        ]
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9 * np.abs(other).max(initial=1))


# Of square matrices.
SQUARE: dict[str, Callable[..., Any]] = {
    "inv": np.linalg.inv,
    "det": np.linalg.det,
    "slogdet": np.linalg.slogdet,
    "third negative power": lambda a: np.linalg.matrix_power(a, -3),
    "first negative power": lambda a: np.linalg.matrix_power(a, -1),
}
SYMMETRIC: dict[str, Callable[..., Any]] = {
    "cholesky": np.linalg.cholesky,
    "upper cholesky": lambda a: np.linalg.cholesky(a, upper=True),
    "eigh": np.linalg.eigh,
    "eigvalsh": np.linalg.eigvalsh,
    "upper eigvalsh": lambda a: np.linalg.eigvalsh(a, "U"),
}
# Of matrices of any shape.
ANY: dict[str, Callable[..., Any]] = {
    "qr": np.linalg.qr,
    "complete qr": lambda a: np.linalg.qr(a, mode="complete"),
    "r of qr": lambda a: np.linalg.qr(a, mode="r"),
    "svd": np.linalg.svd,
    "thin svd": lambda a: np.linalg.svd(a, full_matrices=False),
    "svd without vectors": lambda a: np.linalg.svd(a, compute_uv=False),
    "svdvals": np.linalg.svdvals,
    "pinv": np.linalg.pinv,
    "pinv with a cutoff": lambda a: np.linalg.pinv(a, 0.3),
    "matrix_rank": np.linalg.matrix_rank,
}
VECTORS = ("eigh", "svd", "thin svd")
NORMS: dict[str, Callable[..., Any]] = {
    **{
        f"norm {order}": lambda a, order=order: np.linalg.norm(a, order, axis=(-2, -1))
        for order in (2, -2, "nuc", 1, -1, np.inf, -np.inf, "fro")
    },
    "matrix_norm": lambda a: np.linalg.matrix_norm(a, ord="nuc", keepdims=True),
    "cond": np.linalg.cond,
    "cond -2": lambda a: np.linalg.cond(a, -2),
}
CONDITIONS = {f"cond {p}": lambda a, p=p: np.linalg.cond(a, p) for p in (1, -1, np.inf, "fro")}


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("batch", [(), (3,), (0,)])
@pytest.mark.parametrize("name", [*SQUARE, *SYMMETRIC])
def test_functions_of_square_matrices(name: str, batch: tuple[int, ...], n: int) -> None:
    if name in VECTORS:
        check_vectors(SYMMETRIC[name], positive(*batch, n, n))
    elif name in SQUARE:
        check_values(SQUARE[name], regular(*batch, n, n))
    else:
        check_values(SYMMETRIC[name], positive(*batch, n, n))


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (5, 2), (2, 5), (2, 4, 3), (40, 30), (30, 40)])
@pytest.mark.parametrize("name", [*ANY, *NORMS])
def test_functions_of_any_matrices(name: str, shape: tuple[int, ...]) -> None:
    check = check_vectors if name in VECTORS else check_values
    check({**ANY, **NORMS}[name], normal(*shape))


@pytest.mark.parametrize("order", [np.inf, 1, 2])
def test_norms_of_nothing(order: Any) -> None:
    check_values(lambda a: np.linalg.norm(a, order), np.zeros(0))
    for shape in ((0, 0), (0, 3), (3, 0)):
        check_values(lambda a: np.linalg.norm(a, order, axis=(0, 1)), np.zeros(shape))


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (2, 0, 3)])
@pytest.mark.parametrize("name", ANY)
def test_functions_of_empty_matrices(name: str, shape: tuple[int, ...]) -> None:
    check_values(ANY[name], np.zeros(shape))


@pytest.mark.parametrize("name", CONDITIONS)
def test_condition_numbers(name: str) -> None:
    check_values(CONDITIONS[name], regular(2, 4, 4))
    check_values(CONDITIONS[name], np.zeros((2, 2)))


@pytest.mark.parametrize("name", [*SQUARE, *SYMMETRIC, *ANY, *NORMS])
def test_single_precision_stays(name: str) -> None:
    function = {**SQUARE, **SYMMETRIC, **ANY, **NORMS}[name]
    if name in VECTORS:
        # The signs of vectors are those of rounding errors.
        check_values(lambda a: squares(function(a)), positive(4, 4).astype("f4"), rtol=2e-3)
    else:
        check_values(function, positive(4, 4).astype("f4"), rtol=2e-3)
        check_values(function, positive(40, 40).astype("f4"), rtol=2e-3)


def test_integers_become_floats() -> None:
    check_values(np.linalg.inv, np.array([[2, 1], [1, 3]]))
    check_values(np.linalg.cholesky, np.array([[2, 1], [1, 3]]))
    check_values(np.linalg.solve, np.array([[2, 1], [1, 3]]), np.array([1, 2], "f4"))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 3), (3,)),
        ((3, 3), (3, 2)),
        ((3, 3), (4, 3, 2)),
        ((4, 3, 3), (3,)),
        ((4, 3, 3), (4, 3, 2)),
        ((2, 1, 3, 3), (4, 3, 2)),
        ((40, 40), (40, 3)),
        ((40, 40), (2, 40, 3)),
        ((0, 0), (0, 2)),
        ((3, 3), (3, 0)),
    ],
)
@pytest.mark.parametrize("dtype", ["f8", "c16"])
def test_solve(a: tuple[int, ...], b: tuple[int, ...], dtype: str) -> None:
    left, right = regular(*a).astype(dtype), normal(*b, seed=1).astype(dtype)
    if dtype == "c16":
        left, right = left + 1j * normal(*a, seed=2), right * (1 - 2j)
    check_values(np.linalg.solve, left, right)


@pytest.mark.parametrize("dtype", ["f8", "f4", "c16"])
def test_derivatives_of_large_systems(dtype: str) -> None:
    """Their factors lie in columns, where nobody but solutions reads them."""
    a, b = regular(3, 40, 40).astype(dtype), normal(3, 40, 2, seed=1).astype(dtype)
    if dtype == "c16":
        a, b = a + 1j * normal(3, 40, 40, seed=2), b * (1 - 2j)
    weights = normal(3, 40, 2, seed=3).astype(dtype)
    rtol = 1e-4 if dtype == "f4" else 1e-10

    def loss(a: Any, b: Any) -> Any:
        return np.sum(np.real(weights * np.linalg.solve(a, b)))

    da, db = go.compile_grad(loss, (0, 1))(a, b)
    x = np.linalg.solve(a, b)
    want = np.linalg.solve(np.swapaxes(a, -1, -2), weights)
    np.testing.assert_allclose(db, want, rtol, rtol)
    np.testing.assert_allclose(da, -want @ np.swapaxes(x, -1, -2), rtol, rtol)
    # Where the factors are read, too.
    check_values(lambda a, b: (np.linalg.solve(a, b), np.linalg.det(a)), a, b, rtol=rtol)
    with pytest.raises(errors.LinAlgError, match="Singular matrix"):
        go.compile(np.linalg.solve)(np.zeros_like(a), b)


@pytest.mark.parametrize("n", [1, 4, 40])
def test_complex_matrices(n: int) -> None:
    a = regular(2, n, n) + 1j * normal(2, n, n, seed=1)
    for function in (np.linalg.inv, np.linalg.det, np.linalg.slogdet):
        check_values(function, a)


def test_tensors() -> None:
    check_values(np.linalg.tensorsolve, normal(2, 3, 6), normal(2, 3, seed=1))
    check_values(
        lambda a, b: np.linalg.tensorsolve(a, b, axes=(0, 2)),
        normal(2, 6, 3),
        normal(6, seed=1),
    )
    check_values(np.linalg.tensorinv, normal(4, 6, 8, 3))
    check_values(lambda a: np.linalg.tensorinv(a, ind=1), normal(24, 8, 3))


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (40, 30)])
@pytest.mark.parametrize("sides", [(), (2,)])
def test_lstsq(shape: tuple[int, int], sides: tuple[int, ...]) -> None:
    a, b = normal(*shape), normal(shape[0], *sides, seed=1)
    want = np.linalg.lstsq(a, b)
    got = go.compile(np.linalg.lstsq)(a, b)
    for one, other in zip(got, want, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)


def test_lstsq_of_less_than_full_rank() -> None:
    a = np.outer(np.arange(5.0), [1.0, 2.0, 3.0])
    b = normal(5)
    x, residuals, rank, _ = go.compile(np.linalg.lstsq)(a, b)
    np.testing.assert_allclose(x, np.linalg.lstsq(a, b)[0], atol=1e-12)
    assert rank == 1
    assert np.isnan(residuals).all()


# -- Derivatives -----------------------------------------------------------------------------


def weighted(*parts: Any) -> Any:
    """A smooth scalar that depends on all elements."""
    total: Any = 0.0
    for part in parts:
        weights = np.cos(1.0 + np.arange(part.size)).reshape(part.shape)
        total = total + np.sum(weights * np.sin(part))
    return total


def projector(columns: Any) -> Any:
    return columns @ np.swapaxes(columns, -1, -2)


def squares(result: Any) -> tuple[Any, ...]:
    """Of vectors, whose signs may change on the way, the squares; and the values."""
    return tuple([part * part for part in result])


DERIVATIVES: dict[str, tuple[Callable[..., Any], list[Array]]] = {
    "cholesky": (np.linalg.cholesky, [positive(4, 4)]),
    "upper cholesky": (lambda a: np.linalg.cholesky(a, upper=True), [positive(3, 3)]),
    "cholesky of a batch": (np.linalg.cholesky, [positive(2, 3, 3)]),
    "solve": (np.linalg.solve, [regular(4, 4), normal(4, 2)]),
    "solve for vectors": (np.linalg.solve, [regular(2, 3, 3), normal(3)]),
    "solve of a batch": (np.linalg.solve, [regular(3, 3), normal(2, 3, 2)]),
    "inv": (np.linalg.inv, [regular(2, 3, 3)]),
    "det": (np.linalg.det, [normal(2, 3, 3)]),
    "slogdet": (lambda a: np.linalg.slogdet(a)[1], [normal(2, 3, 3)]),
    "matrix_power": (lambda a: np.linalg.matrix_power(a, -2), [regular(3, 3)]),
    "tensorinv": (np.linalg.tensorinv, [normal(4, 2, 8, 1)]),
    "qr": (np.linalg.qr, [normal(4, 4)]),
    "tall qr": (np.linalg.qr, [normal(2, 4, 2)]),
    "wide qr": (np.linalg.qr, [normal(2, 4)]),
    "complete qr": (
        lambda a: projector(np.linalg.qr(a, mode="complete")[0][:, 2:]),
        [normal(4, 2)],
    ),
    "eigh": (lambda a: squares(np.linalg.eigh(a)), [positive(4, 4)]),
    "eigh of the upper triangle": (
        lambda a: squares(np.linalg.eigh(a, "U")),
        [positive(2, 3, 3)],
    ),
    "eigvalsh": (np.linalg.eigvalsh, [positive(2, 3, 3)]),
    "svd": (lambda a: squares(np.linalg.svd(a)), [normal(3, 3)]),
    "thin svd": (
        lambda a: squares(np.linalg.svd(a, full_matrices=False)),
        [normal(2, 4, 2)],
    ),
    "wide svd": (
        lambda a: squares(np.linalg.svd(a, full_matrices=False)),
        [normal(2, 4)],
    ),
    "full svd": (lambda a: projector(np.linalg.svd(a)[0][:, 2:]), [normal(4, 2)]),
    "svdvals": (np.linalg.svdvals, [normal(3, 2)]),
    "pinv": (np.linalg.pinv, [normal(4, 2)]),
    "wide pinv": (np.linalg.pinv, [normal(2, 2, 4)]),
    "lstsq": (lambda a, b: np.linalg.lstsq(a, b)[0], [normal(5, 3), normal(5, 2)]),
    "residuals": (lambda a, b: np.linalg.lstsq(a, b)[1], [normal(5, 3), normal(5, 2)]),
    "cond": (np.linalg.cond, [normal(2, 3, 3)]),
    "cond 1": (lambda a: np.linalg.cond(a, 1), [normal(3, 3)]),
    **{
        f"norm {order}": (lambda a, order=order: np.linalg.norm(a, order), [normal(3, 4)])
        for order in (2, -2, "nuc")
    },
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_derivatives_are_limits_of_differences(name: str) -> None:
    function, args = DERIVATIVES[name]
    go.gradcheck(lambda *a: weighted(*parts_of(function(*a))), tuple(args), order=2)


@pytest.mark.parametrize("name", DERIVATIVES)
def test_maps_are_loops_of_calls(name: str) -> None:
    function, args = DERIVATIVES[name]
    stacks = [np.stack([a, 1.1 * a, 0.9 * a]) for a in args]

    def gradient(*a: Any) -> Any:
        return go.grad(lambda *b: weighted(*parts_of(function(*b))), tuple(range(len(a))))(*a)

    got = go.compile(go.vmap(gradient))(*stacks)
    for i in range(3):
        want = go.compile(gradient)(*[s[i] for s in stacks])
        for one, other in zip(got, want, strict=True):
            np.testing.assert_allclose(one[i], other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("in_axes", [(0, None), (None, 0)])
def test_systems_of_which_one_side_is_mapped(in_axes: tuple[Any, Any]) -> None:
    a = regular(4, 3, 3) if in_axes[0] == 0 else regular(3, 3)
    b = normal(4, 3, 2) if in_axes[1] == 0 else normal(3, 2)
    got = go.compile(go.vmap(np.linalg.solve, in_axes))(a, b)
    np.testing.assert_allclose(got, np.linalg.solve(a, b), atol=1e-12)


def test_complex_systems_have_holomorphic_derivatives() -> None:
    a, b = regular(3, 3) + 1j * normal(3, 3, seed=1), normal(3) + 0.5j
    t = normal(3, 3, seed=2) - 1j * normal(3, 3, seed=3)
    x, dx = go.compile_jvp(np.linalg.solve)((a, b), (t, np.zeros_like(b)))
    np.testing.assert_allclose(dx, -np.linalg.solve(a, t @ x), atol=1e-12)


def test_vectors_of_equal_values_have_no_turn() -> None:
    """What a function of the space says that they span is right all the same."""

    def loss(a: Any) -> Any:
        vectors = np.linalg.eigh(a)[1][:, :2]
        return weighted(projector(vectors))

    a = np.diag([1.0, 1.0, 3.0])
    gradient = go.compile_grad(loss)(a)
    assert np.isfinite(gradient).all()
    step, t = 1e-6, normal(3, 3)
    t = t + t.T
    difference = (go.compile(loss)(a + step * t) - go.compile(loss)(a - step * t)) / (2 * step)
    np.testing.assert_allclose(np.sum(gradient * t), difference, rtol=1e-6)


def test_singular_vectors_of_nothing_have_finite_derivatives() -> None:
    for a in (np.zeros((3, 2)), np.eye(3), np.outer([1.0, 2.0, 3.0], [1.0, 1.0])):
        gradient = go.compile_grad(lambda a: weighted(*np.linalg.svd(a, full_matrices=False)))(a)
        assert np.isfinite(gradient).all()


def test_pinv_at_equal_singular_values() -> None:
    """Its derivative does not ask for those of the vectors."""
    go.gradcheck(lambda a: weighted(np.linalg.pinv(a)), (np.eye(4, 3),), order=2)


# -- Errors ----------------------------------------------------------------------------------


FAILURES: dict[str, tuple[Callable[..., Any], list[Array], str]] = {
    **{
        f"cholesky of {n}": (
            lambda a: np.linalg.cholesky(a),
            [-np.eye(n)],
            "Matrix is not positive definite",
        )
        for n in (1, 3, 40)
    },
    **{
        f"inv of {n}": (lambda a: np.linalg.inv(a), [np.zeros((n, n))], "Singular matrix")
        for n in (1, 3, 40)
    },
    "one of a batch": (
        lambda a: np.linalg.inv(a),
        [np.stack([np.eye(3), np.ones((3, 3))])],
        "Singular matrix",
    ),
    "solve": (lambda a: np.linalg.solve(a, a), [np.ones((3, 3))], "Singular matrix"),
    "svd of NaN": (
        lambda a: np.linalg.svd(a)[1],
        [np.full((3, 3), np.nan)],
        "SVD did not converge",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failures_are_those_of_numpy(name: str) -> None:
    function, args, message = FAILURES[name]
    with pytest.raises(np.linalg.LinAlgError, match=message):
        function(*args)

    def loss(*a: Any) -> Any:
        return np.sum(function(*a))

    stacks = [np.stack([a, a]) for a in args]
    for compiled, arguments in (
        (go.compile(function), args),
        (go.compile(go.vmap(function)), stacks),
        (go.compile_grad(loss), args),
        (go.compile_hessian(loss), args),
    ):
        with pytest.raises(errors.LinAlgError, match=message) as caught:
            compiled(*arguments)
        assert caught.value.location is not None
        assert caught.value.location.file == __file__
        assert "np.linalg" in caught.value.location.text()


def test_a_failure_in_a_loop() -> None:
    def f(a: Any) -> Any:
        total = 0.0
        for _ in range(3):
            total = total + np.sum(np.linalg.inv(a))
        return total

    with pytest.raises(errors.LinAlgError, match="Singular matrix"):
        go.compile(f)(np.zeros((2, 2)))
    assert go.compile(f)(np.eye(2)) == 6


@pytest.mark.parametrize(
    ("function", "shape", "message"),
    [
        (np.linalg.inv, (3,), "1-dimensional array given. Array must be at least two-dimensional"),
        (np.linalg.inv, (2, 3), "Last 2 dimensions of the array must be square"),
        (np.linalg.cholesky, (2, 3), "Last 2 dimensions of the array must be square"),
        (np.linalg.lstsq, (2, 2, 2), "3-dimensional array given. Array must be two-dimensional"),
    ],
)
def test_shapes_that_do_not_fit(
    function: Callable[..., Any], shape: tuple[int, ...], message: str
) -> None:
    args = (np.ones(shape),) * (2 if function is np.linalg.lstsq else 1)
    with pytest.raises(np.linalg.LinAlgError, match=message):
        function(*args)
    with pytest.raises(errors.LinAlgError, match=message):
        go.compile(function)(*args)


# -- Properties ------------------------------------------------------------------------------

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 30)


@by_hypothesis(20)
@given(seeds, sizes, st.integers(1, 3))
def test_a_solution_solves(seed: int, n: int, k: int) -> None:
    a, b = regular(n, n, seed=seed), normal(n, k, seed=seed)
    np.testing.assert_allclose(a @ go.compile(np.linalg.solve)(a, b), b, atol=1e-9)


@by_hypothesis(20)
@given(seeds, sizes, sizes)
def test_factors_are_orthonormal(seed: int, m: int, n: int) -> None:
    a = normal(m, n, seed=seed)
    q, r = go.compile(np.linalg.qr)(a)
    u, s, vh = go.compile(lambda a: np.linalg.svd(a, full_matrices=False))(a)
    k = min(m, n)
    for columns in (q, u, vh.T):
        np.testing.assert_allclose(columns.T @ columns, np.eye(k), atol=1e-10)
    np.testing.assert_allclose(q @ r, a, atol=1e-10)
    np.testing.assert_allclose(u * s @ vh, a, atol=1e-10)


@by_hypothesis(20)
@given(seeds, sizes)
def test_the_gradient_of_a_logarithm_of_a_determinant_is_the_inverse(seed: int, n: int) -> None:
    a = regular(n, n, seed=seed)
    gradient = go.compile_grad(lambda a: np.linalg.slogdet(a)[1])(a)
    np.testing.assert_allclose(gradient, np.linalg.inv(a).T, atol=1e-9)


def test_pseudo_inverses_that_leave_out_more_than_zeros_have_no_derivative() -> None:
    """Golub and Pereyra's rule knows matrices of one rank."""
    a = np.random.default_rng(4).normal(size=(4, 3))

    def f(a: Any, rcond: float) -> Any:
        return np.sum(np.linalg.pinv(a, rcond=rcond) ** 2)

    np.testing.assert_allclose(go.compile(f)(a, 0.9), f(a, 0.9), rtol=1e-12)
    with pytest.raises(errors.LinAlgError, match="leaves out singular values which are not 0"):
        go.compile_grad(f)(a, 0.9)
    # What rounding has left of zeros is left out, too.
    b = a @ np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    step = a @ np.array([[0.3, -0.1, 0.2], [0.5, 0.2, 0.7], [0.0, 0.0, 0.0]])
    low, high = (f(b + t * step, 1e-8) for t in (-1e-6, 1e-6))
    slope = np.sum(go.compile_grad(f)(b, 1e-8) * step)
    np.testing.assert_allclose(slope, (high - low) / 2e-6, rtol=1e-6)
