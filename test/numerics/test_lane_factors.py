# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Spectra of small real matrices, which are found for several of them at once.

They are held against what makes them factorisations, and against LAPACK through NumPy; singular
values of graded matrices against mpmath, as LAPACK's small ones have no digit that is right.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from budget import by_seed, generator
from matrices import Array, normal

import gradopt as go
from gradopt import errors

# How many rows they may have (`runtime/Lapack.h`); larger ones are LAPACK's.
MOST, MOST_EIGH = 16, 32
SIZES = (1, 2, 3, 5, 8, 13, MOST, MOST + 1, MOST_EIGH, MOST_EIGH + 1)
SHAPES = ((3, 3), (8, 8), (7, 4), (4, 7), (16, 1), (1, 16), (16, 13), (16, 16), (17, 3))


@functools.cache
def compiled(name: str) -> Callable[..., Any]:
    functions: dict[str, Callable[..., Any]] = {
        "eigh": np.linalg.eigh,
        "eigh of the upper": lambda a: np.linalg.eigh(a, "U"),
        "eigvalsh": np.linalg.eigvalsh,
        "full svd": np.linalg.svd,
        "thin svd": lambda a: np.linalg.svd(a, full_matrices=False),
        "svdvals": np.linalg.svdvals,
    }
    return go.compile(functions[name])


def turned(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)


def norms(x: Array) -> Array:
    """The largest element of each matrix, which cannot overflow."""
    return np.abs(x).max(axis=(-1, -2), keepdims=True, initial=0)


def check_orthonormal(columns: Array, many: float) -> None:
    n = columns.shape[-1]
    error = np.abs(turned(columns) @ columns - np.eye(n)).max(initial=0)
    assert error <= many * np.finfo(columns.dtype).eps


def in_units(a: Array) -> tuple[Array, Array]:
    """Matrices near 1 in float64, exactly, and the powers of two that they were multiplied by."""
    _, exponents = np.frexp(norms(a).astype("f8"))
    return np.ldexp(a.astype("f8"), -exponents), -exponents


def check_eigh(a: Array, w: Array, v: Array) -> None:
    """The lower triangles of `a` have this spectrum, up to a few rounding errors."""
    n = a.shape[-1]
    eps, smallest = np.finfo(a.dtype).eps, np.finfo(a.dtype).smallest_subnormal
    many = 6 * n + 20
    assert w.dtype == v.dtype == a.dtype
    assert np.all(np.diff(w, axis=-1) >= 0)
    check_orthonormal(v, many)
    whole, exponents = in_units(np.tril(a) + turned(np.tril(a, -1)))
    values = np.ldexp(w.astype("f8"), exponents[..., 0])
    lost = np.ldexp(float(smallest), exponents)
    error = np.abs(whole @ v - v * values[..., None, :])
    assert np.all(error <= many * eps + lost)
    want = np.linalg.eigvalsh(whole)
    assert np.all(np.abs(values - want) <= many * eps + lost[..., 0])


def check_svd(a: Array, u: Array, s: Array, vh: Array) -> None:
    """`a` has these singular values and vectors, up to a few rounding errors."""
    k = min(a.shape[-2:])
    eps, smallest = np.finfo(a.dtype).eps, np.finfo(a.dtype).smallest_subnormal
    many = 6 * max(a.shape[-2:]) + 20
    assert u.dtype == s.dtype == vh.dtype == a.dtype
    assert np.all(np.diff(s, axis=-1) <= 0)
    assert np.all(s >= 0)
    check_orthonormal(u, many)
    check_orthonormal(turned(vh), many)
    near, exponents = in_units(a)
    values = np.ldexp(s.astype("f8"), exponents[..., 0])
    lost = np.ldexp(float(smallest), exponents)
    error = np.abs((u[..., :k] * values[..., None, :]) @ vh[..., :k, :] - near)
    assert np.all(error <= many * eps + k * lost)
    want = np.linalg.svd(near, compute_uv=False)
    assert np.all(np.abs(values - want) <= many * eps + lost[..., 0])


def check_all(a: Array) -> None:
    """All that there is for square matrices."""
    w, v = compiled("eigh")(a)
    check_eigh(a, w, v)
    if a.shape[-1] <= MOST_EIGH:
        np.testing.assert_array_equal(compiled("eigvalsh")(a), w)
    for name in ("full svd", "thin svd"):
        check_svd(a, *compiled(name)(a))


# -- Kinds of matrices -----------------------------------------------------------------------


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", ["f8", "f4"])
@by_seed(2)
def test_random_matrices(dtype: str, n: int, seed: int) -> None:
    # As many as two groups of lanes, and one that is not full.
    check_all(normal(21, n, n, seed=seed).astype(dtype))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_random_rectangles(dtype: str, shape: tuple[int, int]) -> None:
    a = normal(11, *shape).astype(dtype)
    full = compiled("full svd")(a)
    thin = compiled("thin svd")(a)
    check_svd(a, *full)
    check_svd(a, *thin)
    for name, one, other in zip("usv", full, thin, strict=True):
        rows, columns = other.shape[-2:]
        part = one if name == "s" else one[..., :rows, :columns]
        if max(shape) <= MOST:
            np.testing.assert_array_equal(part, other)
    np.testing.assert_allclose(
        compiled("svdvals")(a), thin[1], rtol=0, atol=50 * np.finfo(dtype).eps * norms(a).max()
    )


def with_spectrum(values: Any, seed: int = 0) -> Array:
    """Symmetric, with these eigenvalues."""
    q, _ = np.linalg.qr(normal(len(values), len(values), seed=seed))
    product = (q * values) @ q.T
    return (product + product.T) / 2


KINDS: dict[str, Callable[[int], Array]] = {
    "zero": lambda n: np.zeros((n, n)),
    "minus zero": lambda n: np.full((n, n), -0.0),
    "one element": lambda n: np.eye(n, k=-(n - 1)),
    "identity": np.eye,
    "diagonal": lambda n: np.diag(np.cos(np.arange(n))),
    "equal elements": lambda n: np.ones((n, n)),
    "exchanges": lambda n: np.eye(n)[::-1].copy(),
    "one rank": lambda n: np.outer(np.arange(n), np.arange(n) + 0.0),
    "two values": lambda n: with_spectrum([1.0] * (n // 2) + [-2.0] * (n - n // 2)),
    "values in a cluster": lambda n: with_spectrum(1 + 1e-14 * np.arange(n)),
    "half the rank": lambda n: with_spectrum([0.0] * (n // 2) + [3.0] * (n - n // 2)),
    "graded down": lambda n: (
        np.outer(*[10.0 ** -np.arange(0, 3 * n, 3)] * 2) * with_spectrum(1 + np.arange(n))
    ),
    "graded up": lambda n: KINDS["graded down"](n)[::-1, ::-1].copy(),
    "tridiagonal": lambda n: np.eye(n, k=1) + np.eye(n, k=-1),
    "Wilkinson's": lambda n: (
        np.diag(np.abs(np.arange(n) - (n - 1) / 2)) + np.eye(n, k=1) + np.eye(n, k=-1)
    ),
    "nearly diagonal": lambda n: np.diag(np.arange(n) + 0.0) + 1e-160 * np.ones((n, n)),
    "blocks of sizes far apart": lambda n: np.where(
        np.add.outer(np.arange(n), np.arange(n)) < n, 1.0, 1e-200
    ),
}


@pytest.mark.parametrize("n", [1, 2, 3, 8, MOST, MOST_EIGH])
@pytest.mark.parametrize("scale", [1.0, 1e150, 1e-150, 1e300, 1e-310, 5e-324])
@pytest.mark.parametrize("name", KINDS)
def test_kinds_of_matrices(name: str, scale: float, n: int) -> None:
    with np.errstate(under="ignore"):
        check_all(KINDS[name](n) * scale)


@pytest.mark.parametrize("scale", [1.0, 1e30, 1e-30, 1e-44])
@pytest.mark.parametrize("name", KINDS)
def test_kinds_of_matrices_in_single_precision(name: str, scale: float) -> None:
    with np.errstate(under="ignore"):
        check_all((KINDS[name](8) * scale).astype("f4"))


def test_kinds_beside_each_other() -> None:
    """Lanes that take more steps than others."""
    with np.errstate(under="ignore"):
        check_all(np.stack([make(8) * 7.0**i for i, make in enumerate(KINDS.values())]))


def test_small_singular_values_of_graded_columns() -> None:
    """Jacobi's method finds them to all digits, where columns are multiples of regular ones."""
    sizes = 10.0 ** -np.arange(0, 24, 4)
    a = (normal(6, 6, seed=3) + 3 * np.eye(6)) * sizes
    with mpmath.workdps(60):
        want = np.array(
            [float(x) for x in mpmath.svd_r(mpmath.matrix(a.tolist()), compute_uv=False)]
        )
    np.testing.assert_allclose(compiled("svdvals")(a), np.sort(want)[::-1], rtol=1e-13)
    u, s, vh = compiled("thin svd")(a)
    np.testing.assert_allclose(s, np.sort(want)[::-1], rtol=1e-13)
    check_svd(a, u, s, vh)


# -- What is read, and what comes of what is not finite --------------------------------------


@pytest.mark.parametrize("n", [2, 8])
def test_the_other_triangle_is_not_read(n: int) -> None:
    a = normal(5, n, n)
    lower, upper = a.copy(), a.copy()
    lower[:, np.triu(np.ones((n, n), bool), 1)] = np.nan
    upper[:, np.tril(np.ones((n, n), bool), -1)] = np.inf
    w, v = compiled("eigh")(lower)
    check_eigh(a, w, v)
    for one, other in zip(
        compiled("eigh of the upper")(upper), compiled("eigh")(turned(a)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0, 0), (5, 3, 1), (10, 3, 3)])
def test_what_is_not_finite_has_no_spectrum(place: tuple[int, int, int], bad: float) -> None:
    a = normal(11, 4, 4)
    a[place] = bad
    for name in ("eigh", "eigvalsh"):
        with pytest.raises(errors.LinAlgError, match="Eigenvalues did not converge"):
            compiled(name)(a)
    for name in ("full svd", "thin svd", "svdvals"):
        with pytest.raises(errors.LinAlgError, match="SVD did not converge"):
            compiled(name)(a)


# -- Lanes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "n"),
    [
        *[(name, n) for name in ("full svd", "thin svd", "svdvals") for n in (3, 8, MOST)],
        *[("eigh", n) for n in (3, 8, MOST, MOST_EIGH)],
    ],
)
def test_a_matrix_has_its_result_in_any_company(name: str, n: int) -> None:
    """To the last bit, as the first of many, alone, and among matrices of other kinds."""
    with np.errstate(under="ignore"):
        kinds = np.stack([make(n) for make in KINDS.values()])
    a = np.concatenate([normal(9, n, n), kinds, -1e200 * normal(4, n, n, seed=1)])
    order = generator(n).permutation(len(a))

    def parts(x: Array) -> list[Array]:
        result = compiled(name)(x)
        return [part.view("i8") for part in (result if isinstance(result, tuple) else [result])]

    together = parts(a)
    for one, other in zip(parts(a[order]), together, strict=True):
        np.testing.assert_array_equal(one, other[order])
    for i in range(len(a)):
        for one, other in zip(parts(a[i]), together, strict=True):
            np.testing.assert_array_equal(one, other[i])
