# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Complex numbers: values and dtypes are NumPy's, derivatives those of JAX's convention.

The gradient of a real loss L in z = x + iy is dL/dx - i dL/dy; tangents and cotangents meet in
Re(cotangent * tangent), and nothing is conjugated.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradopt as go
import gradopt.numpy as gnp
import gradopt_runtime

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)


def numbers(*shape: int, dtype: str = "c16") -> Array:
    return (RNG.normal(size=shape) + 1j * RNG.normal(size=shape)).astype(dtype)


Z, W, M, N = numbers(5), numbers(5), numbers(3, 4), numbers(4, 3)
X = RNG.normal(size=5)
SINGLE = Z.astype("c8")


def same(got: Any, want: Any, rtol: float = 1e-13) -> None:
    if isinstance(want, (tuple, list)):
        assert len(got) == len(want)
        for a, b in zip(got, want, strict=True):
            same(a, b, rtol)
        return
    got, want = np.asarray(got), np.asarray(want)
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    if want.dtype in (np.complex64, np.float32):
        rtol = max(rtol, 2e-6)
    np.testing.assert_allclose(got, want, rtol, atol=rtol * np.max(np.abs(want), initial=0))


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "arithmetic": (lambda z, w: (z + w, z - w, z * w, z / w, -z, +z, z**2, z**3, 1 / z), (Z, W)),
    "mixed": (lambda z, x: (z + x, x - z, z * x, x / z, z * 2, 2.5 - z, 3 // x), (Z, X)),
    "python": (lambda z: (1j * z, z + (2 - 1j), z**2j, 2j**z, z == 1j, (1 + 2j) / z), (Z,)),
    "of_reals": (lambda x: (x + 1j, x * 2j, np.exp(1j * x), x.astype(complex)), (X,)),
    "single": (lambda z: (z * 2, z * 2j, z + 1.5, np.exp(z), abs(z), z.real), (SINGLE,)),
    "single_mixed": (lambda z, x: (z * x, z + x.astype("f4")), (SINGLE, X)),
    "power": (lambda z, w: (z**w, z**0.5, z**-1, z**2.5, z**-2, z**0, np.power(z, 1j)), (Z, W)),
    "parts": (
        lambda z: (z.real, z.imag, abs(z), np.angle(z), np.angle(z, deg=True), z.conj()),
        (Z,),
    ),
    "parts_of_reals": (lambda x: (np.real(x), np.imag(x), np.angle(x), np.conj(x)), (X,)),
    "exponentials": (
        lambda z: (np.exp(z), np.exp2(z), np.expm1(z), np.log(z), np.log2(z), np.log10(z)),
        (Z,),
    ),
    "roots": (lambda z: (np.sqrt(z), np.square(z), np.reciprocal(z), np.log1p(z)), (Z,)),
    "trigonometric": (lambda z: (np.sin(z), np.cos(z), np.tan(z)), (Z,)),
    "hyperbolic": (lambda z: (np.sinh(z), np.cosh(z), np.tanh(z)), (Z,)),
    "inverse": (
        lambda z: (np.arcsin(z), np.arccos(z), np.arctan(z)),
        (Z,),
    ),
    "inverse_hyperbolic": (lambda z: (np.arcsinh(z), np.arccosh(z), np.arctanh(z)), (Z,)),
    "comparisons": (lambda z, w: (z == w, z != w, z == z, z == z.real, np.isclose(z, w)), (Z, W)),
    "tests": (
        lambda z: (np.isnan(z), np.isinf(z), np.isfinite(z), np.iscomplex(z), np.isreal(z)),
        (np.array([1, 1j, np.nan, complex(0, np.inf), complex(np.nan, 1)]),),
    ),
    "logic": (lambda z: (np.logical_not(z), z.astype(bool), np.any(z), np.all(z)), (Z * [0, 1, 1, 1, 1],)),
    "rounding": (lambda z: (np.rint(z), np.round(z, 2), np.sign(z)), (Z,)),
    "sums": (lambda m: (m.sum(), m.sum(0), m.sum(1, keepdims=True), m.cumsum(1), m.prod(1)), (M,)),
    "means": (lambda m: (m.mean(), m.mean(0), m.var(), m.var(1, ddof=1), m.std()), (M,)),
    "long_sum": (lambda z: (z.sum(), z.mean()), (numbers(5000),)),
    "products": (lambda m, n: (m @ n, m @ n[:, 0], m[0] @ n, np.dot(m[0], n[:, 1])), (M, N)),
    "large_products": (lambda m, n: (m @ n, m.T @ m), (numbers(40, 50), numbers(50, 30))),
    "single_products": (lambda m, n: m @ n, (numbers(20, 30, dtype="c8"), numbers(30, 20, dtype="c8"))),
    "mixed_products": (lambda m, x: (m @ x, x.T @ m.T), (M, RNG.normal(size=(4, 2)))),
    "batched_products": (lambda a, b: (a @ b, np.einsum("bij,bjk->ik", a, b)), (numbers(3, 4, 5), numbers(3, 5, 2))),
    "other_products": (
        lambda z, w: (np.vdot(z, w), np.inner(z, w), np.outer(z, w), np.kron(z, w), np.convolve(z, w)),
        (Z, W),
    ),
    "einsum": (lambda m, n: (np.einsum("ij,ji->", m, n), np.einsum("ij,jk->ki", m, n)), (M, N)),
    "correlate": (lambda z, w: (np.correlate(z, w[:3]), np.correlate(z[:2], w, "full")), (Z, W)),
    "norms": (lambda m: (np.linalg.norm(m), np.linalg.norm(m, axis=1), np.linalg.norm(m[0], 1)), (M,)),
    "shapes": (lambda m: (m.T, m.reshape(2, 6), m[::2, 1], np.roll(m, 1), np.concatenate([m, m])), (M,)),
    "indices": (lambda z: (z[[0, 3, 1]], z[z.real > 0], np.where(z.imag > 0, z, 0), z[::-1])[::2], (Z,)),
    "nans": (lambda z: (np.nan_to_num(z), np.nansum(z)), (np.array([1j, np.nan, complex(1, np.nan)]),)),
    "lists": (lambda z: (np.array([z[0], 1.0, 2j]), np.stack([z, z.real])), (Z,)),
    "constants": (lambda z: z * Z + W[1], (W,)),
    "sinc": (np.sinc, (Z,)),
}  # fmt: skip


def test_signs_of_infinities_are_those_of_numpy() -> None:
    parts = (np.inf, -np.inf, 0.0, 1.0, np.nan)
    z = np.array([complex(a, b) for a in parts for b in parts])
    with np.errstate(invalid="ignore"):
        expected = np.sign(z)
    found = go.compile(np.sign)(z)
    np.testing.assert_array_equal(found.real, expected.real)
    np.testing.assert_array_equal(found.imag, expected.imag)


@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_numpy(name: str) -> None:
    function, args = CASES[name]
    with np.errstate(all="ignore"):
        expected = function(*args)
    same(go.compile(function)(*args), expected)


def test_python_numbers_are_arguments() -> None:
    f = go.compile(lambda z, x: (z * x, z.real, z.conjugate(), abs(z), z + 1))
    z = 1.5 - 2j
    got = f(z, SINGLE)
    same(got[0], z * SINGLE)
    assert [complex(v) for v in got[1:]] == [z.real, z.conjugate(), abs(z), z + 1]
    same(f(np.complex64(z), 2.0)[0], np.complex64(z) * 2.0)
    assert go.compile(lambda z: isinstance(z, complex))(z)
    with pytest.raises(TypeError):
        f.lower(z, SINGLE).compile()(z, slice(3))


def test_parts_can_be_written_to() -> None:
    def by_views(z: Any) -> Any:
        w = z.copy()
        w.real[:] = 0
        w.imag[1:3] += 10
        w[0] = 1 - 1j
        w.real[4] = 7
        return w, w.real @ w.imag

    same(go.compile(by_views)(Z), by_views(Z))
    same(go.compile(lambda z: z.real.reshape(1, 5).T)(Z), Z.real.reshape(1, 5).T)


def test_loops_and_branches() -> None:
    def escape(c: Any, n: Any) -> Any:
        z, count = 0j, 0
        while abs(z) < 2 and count < n:
            z = z * z + c
            count += 1
        return z, count

    for c in (0.3 + 0.5j, -1.0 + 0.2j, 1 + 1j):
        z, count = go.compile(escape)(c, 50)
        expected = escape(c, 50)
        assert count == expected[1]
        np.testing.assert_allclose(complex(z), expected[0], 1e-12)

    def branches(z: Any) -> Any:
        total = z[0]
        for w in z:
            total = total * w if w.real > 0 else total - w * 1j
        return total

    same(go.compile(branches)(Z), branches(Z))

    def filled(z: Any) -> Any:
        out = gnp.zeros((5, 5), dtype=complex)
        for i in range(5):
            out[i] = z**i
            out[i, i] += 1j
        return out

    same(go.compile(filled)(Z), np.array([Z**i for i in range(5)]) + 1j * np.eye(5))
    scanned = go.compile(lambda z: go.scan(lambda c, v: (c * v, c), z[0], z))(Z)
    same(scanned[0], Z[0] * np.prod(Z))


def test_complex_matrices_are_multiplied_by_the_library() -> None:
    text = go.compile(lambda m, n: m @ n).lower(numbers(40, 50), numbers(50, 30)).mlir("bufferized")
    assert "gradopt_gemm_c128" in text


# -- Derivatives -------------------------------------------------------------------------------


def differences(f: Callable[..., Any], z: Array, step: float = 1e-6) -> Array:
    """dL/dx - i dL/dy of a real function."""
    result = np.empty(z.shape, complex)
    for i in np.ndindex(z.shape):
        d = np.zeros(z.shape, complex)
        d[i] = step
        result[i] = (f(z + d) - f(z - d) - 1j * (f(z + 1j * d) - f(z - 1j * d))) / (2 * step)
    return result


LOSSES: dict[str, Callable[..., Any]] = {
    "square": lambda z: np.sum(np.abs(z) ** 2),
    "real": lambda z: np.sum(np.real(z * z * (1 + 2j))),
    "imaginary": lambda z: np.sum((z * np.exp(z)).imag),
    "angle": lambda z: np.sum(np.angle(z) * z.real),
    "conjugate": lambda z: (z @ np.conj(np.sin(z))).real,
    "division": lambda z: np.sum(abs(z / (1 + z * z))),
    "product": lambda z: abs(np.prod(z)),
    "variance": lambda z: np.var(z) + abs(np.mean(z)),
    "norm": lambda z: np.linalg.norm(np.tanh(z)),
    "power": lambda z: np.sum((z**2.5 * z ** (1 + 1j)).real),
    "matrices": lambda z: np.sum(abs(np.outer(z, z) @ M[:, :1].T.repeat(5, 0))) ** 0.5,
    "where": lambda z: np.sum(np.where(z.real > 0, z * z, np.conj(z)).imag),
    "inverse": lambda z: np.sum(np.arctan(z).real + np.arcsinh(z).imag),
    "single_part": lambda z: np.sum(z.real**3),
    "indices": lambda z: abs(z[[0, 0, 2]].sum() * z[1]),
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_of_real_losses(name: str) -> None:
    loss = LOSSES[name]
    value, gradient = go.compile_value_and_grad(loss)(Z)
    np.testing.assert_allclose(value, loss(Z), 1e-12)
    assert gradient.dtype == Z.dtype
    np.testing.assert_allclose(gradient, differences(loss, Z), 2e-7, 1e-7)


@pytest.mark.parametrize("name", LOSSES)
def test_forward_mode_and_second_order(name: str) -> None:
    loss = LOSSES[name]
    t = numbers(5)
    push = go.compile_jvp(loss)((Z,), (t,))
    gradient = go.compile_grad(loss)(Z)
    np.testing.assert_allclose(push[1], np.sum(gradient * t).real, 1e-12)
    step = 1e-6
    want = (go.compile_grad(loss)(Z + step * t) - go.compile_grad(loss)(Z - step * t)) / (2 * step)
    got = go.compile(lambda z, t: go.hvp(loss, (z,), (t,)))(Z, t)
    np.testing.assert_allclose(got, want, 1e-6, 1e-6)

    def through_reverse(z: Any) -> Any:
        return np.sum((go.grad(loss)(z) * t).real)

    np.testing.assert_allclose(go.compile_grad(through_reverse)(Z), want, 1e-6, 1e-6)


def test_closed_forms() -> None:
    same(go.compile_grad(lambda z: np.sum(np.abs(z) ** 2))(Z), 2 * np.conj(Z))
    same(go.compile_grad(lambda z: z.real.sum())(Z), np.ones(5, complex))
    same(go.compile_grad(lambda z: z.imag.sum())(Z), np.full(5, -1j))
    same(go.compile_grad(lambda x: np.abs(np.exp(1j * x) * x).sum())(X), np.sign(X))
    # Real parameters of complex code have real gradients.
    rotated = go.compile_grad(lambda x, z: (z * np.exp(1j * x)).real.sum())(X, Z)
    same(rotated, (1j * Z * np.exp(1j * X)).real)
    same(go.compile_grad(lambda z: np.abs(z).sum())(np.zeros(2, complex)), np.zeros(2, complex))


def test_holomorphic_functions() -> None:
    same(
        go.compile_grad(lambda z: np.sum(np.sin(z) * z), holomorphic=True)(Z),
        np.cos(Z) * Z + np.sin(Z),
    )
    value, slope = go.value_and_grad(lambda z: z**3, holomorphic=True)(2 + 1j)
    np.testing.assert_allclose([value, slope], [(2 + 1j) ** 3, 3 * (2 + 1j) ** 2], 1e-14)
    jacobian = 2 * np.diag(Z) * W
    for mode in ("fwd", "rev"):
        got = go.compile_jacobian(lambda z: z * z * W, mode=mode, holomorphic=True)(Z)
        same(got, np.diag(2 * Z * W))
    del jacobian
    second = go.compile_hessian(lambda z: np.sum(np.exp(z)), holomorphic=True)(Z)
    same(second, np.diag(np.exp(Z)))
    columns = go.compile_jacobian(lambda x: np.exp(1j * x))(X)
    same(columns, np.diag(1j * np.exp(1j * X)))


def test_vjp_and_jvp_are_transposes() -> None:
    def f(z: Any, x: Any) -> Any:
        return np.conj(z) * np.exp(z * x), (z * x).imag

    t, s = numbers(5), RNG.normal(size=5)
    c, d = numbers(5), RNG.normal(size=5)
    _, (a, b) = go.compile_jvp(f)((Z, X), (t, s))
    _, (g, h) = go.compile_vjp(f)((Z, X), (c, d))
    assert (g.dtype, h.dtype) == (complex, float)
    left = np.sum(c * a).real + np.sum(d * b)
    np.testing.assert_allclose(left, np.sum(g * t).real + np.sum(h * s), 1e-12)


def test_loops_have_derivatives() -> None:
    def iterated(z: Any) -> Any:
        w = z
        for _ in range(6):
            w = w * w * 0.3 + z
        return np.sum(abs(w))

    def bounded(z: Any) -> Any:
        def body(i: Any, w: Any) -> Any:
            return w * w * 0.3 + z * (i + 1j)

        return np.sum(abs(go.fori_loop(0, 4, body, z)))

    for loss in (iterated, bounded):
        np.testing.assert_allclose(
            go.compile_grad(loss)(Z * 0.3), differences(go.compile(loss), Z * 0.3), 1e-6, 1e-7
        )


def test_maps_checkpoints_and_custom_rules() -> None:
    mapped = go.compile(go.vmap(lambda m, z: m @ z[:4] + z[4]))(numbers(2, 3, 4), numbers(2, 5))
    assert mapped.shape == (2, 3)
    per_row = go.vmap(go.grad(lambda z: abs(np.sum(z * z))))
    np.testing.assert_allclose(
        go.compile(per_row)(M), [differences(lambda z: abs(np.sum(z * z)), r) for r in M], 1e-6
    )
    kept = go.compile_grad(lambda z: go.checkpoint(lambda z: abs(np.sum(np.exp(z))))(z))(Z)
    np.testing.assert_allclose(kept, differences(lambda z: abs(np.sum(np.exp(z))), Z), 1e-6)

    @go.custom_vjp
    def doubled(z: Any) -> Any:
        return z * z

    doubled.defvjp(lambda z: (z * z, z), lambda z, g: (2 * z * g,))
    same(go.compile_grad(lambda z: doubled(z).real.sum())(Z), 2 * Z)


def test_checks_look_at_both_parts() -> None:
    go.gradcheck(lambda z, x: (np.exp(z * x), abs(z)), (Z, X))

    @go.custom_vjp
    def wrong(z: Any) -> Any:
        return z * z

    wrong.defvjp(lambda z: (z * z, z), lambda z, g: (2 * np.conj(z) * g,))
    with pytest.raises(go.errors.GradientCheckError):
        go.gradcheck(wrong, (Z,), modes=["rev"])


# -- Where they go in and out ------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["c8", "c16"])
def test_callbacks_and_bundles(dtype: str, tmp_path: Path) -> None:
    z = Z.astype(dtype)

    def half(x: Array) -> Array:
        assert x.dtype == dtype
        return x / 2

    same(go.compile(lambda z: go.pure_callback(half, z, z) + 1)(z), z / 2 + 1)
    go.save(go.compile(lambda z: np.exp(z) @ z).lower(z), tmp_path / "f.bundle")
    for load in (go.load, gradopt_runtime.load):
        same(load(tmp_path / "f.bundle")(z), np.exp(z) @ z)


def test_layouts_of_arguments() -> None:
    f = go.compile(lambda m: m * 2j + m.sum())
    for m in (M, np.asfortranarray(M), M[::-1, ::2], M.astype(">c16"), M.T):
        same(f(m), m.astype(complex) * 2j + m.sum())
    shifted = np.frombuffer(b"\0" * 8 + M.tobytes(), np.uint8)[8:].view(complex).reshape(3, 4)
    same(f(shifted), M * 2j + M.sum())


REFUSED: dict[str, tuple[Callable[..., Any], str]] = {
    "maximum": (lambda z: np.maximum(z, 0), "maximum of complex numbers"),
    "max": (lambda z: z.max(), "max of complex numbers"),
    "argmin": (np.argmin, "argmin of complex numbers"),
    "less": (lambda z: z < 1, "less of complex numbers"),
    "clip": (lambda z: np.clip(z, 0, 1), "complex numbers"),
    "floor": (np.floor, "not defined for complex128"),
    "floor_divide": (lambda z: z // 2, "not defined for complex128"),
    "arctan2": (lambda z: np.arctan2(z, 1), "not defined for complex128"),
    "float": (lambda z: float(z[0]), "float"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_meaning_is_refused_at_the_line(name: str) -> None:
    function, text = REFUSED[name]
    with pytest.raises(go.errors.GradoptError, match=text) as info:
        go.compile(function)(Z)
    assert "float64" not in str(info.value).split("-->")[0]
    if function is not np.argmin and function is not np.floor:
        assert info.value.location is not None


def test_losses_and_arguments_that_do_not_fit() -> None:
    with pytest.raises(go.errors.NonScalarLossError, match="holomorphic"):
        go.compile_grad(lambda z: np.sum(z))(Z)
    with pytest.raises(go.errors.NonScalarLossError, match="needs a complex"):
        go.compile_grad(lambda z: abs(z[0]), holomorphic=True)(Z)
    with pytest.raises(go.errors.ArgumentTypeError, match="arguments that are differentiated"):
        go.compile_grad(lambda x: x[0] * 1j, holomorphic=True)(X)
    with pytest.raises(go.errors.ArgumentTypeError, match="pass holomorphic=True"):
        go.compile_jacobian(lambda z: z * z)(Z)
    with pytest.raises(go.errors.ArgumentTypeError, match="use jacfwd"):
        go.compile_jacobian(lambda x: x * 1j, mode="rev")(X)
