# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The elementwise ops at complex points: values near NumPy's, derivatives those of differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from budget import budget, generator
from differences import Array, partial, widened
from harness import Derivatives, compile_main
from ops import COMPLEX, ELEMENTWISE, Elementwise

from gradopt.dialects import grad

pytestmark = pytest.mark.random
OPS = [op for op, row in ELEMENTWISE.items() if row.complex_ulp is not None]
POINTS = budget(200)


def part_of(dtype: str) -> Any:
    return np.dtype(f"f{np.dtype(dtype).itemsize // 2}")


def points(row: Elementwise, dtype: str, count: int, far: bool) -> list[Array]:
    """Points around the origin; with `far`, points of all sizes that values may have, too."""
    rng = generator(1)

    def sample() -> Array:
        size = rng.uniform(0, 3, count)
        if far:
            size[::2] = 10 ** rng.uniform(-12, 2, count)[::2]
        return (size * np.exp(1j * rng.uniform(-np.pi, np.pi, count))).astype(dtype)

    found = [sample() for _ in range(row.arity)]
    if row.op == "power":
        found = [a / max(1, abs(a).max()) * 3 for a in found]
    return [a.astype(dtype) for a in found]


def log1p(z: Array) -> Array:
    """Of a real part that NumPy's loses near 0."""
    return 0.5 * np.log1p(z.real * (2 + z.real) + z.imag**2) + 1j * np.arctan2(z.imag, 1 + z.real)


def reference(row: Elementwise, x: list[Array]) -> Array:
    function = log1p if row.op == "log1p" else row.reference
    with np.errstate(all="ignore"):
        return np.asarray(function(*[widened(a) for a in x]))


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize("op", OPS)
def test_values_are_near_the_exact_ones(op: str, dtype: str) -> None:
    row = ELEMENTWISE[op]
    x = points(row, dtype, 10 * POINTS, far=True)
    (got,) = compile_main([(a.shape, a.dtype) for a in x], lambda *v: [getattr(grad, op)(*v)])(*x)
    want = reference(row, x)
    finite = np.isfinite(want) & (abs(want) < np.finfo(part_of(dtype)).max / 4)
    unit = np.spacing(abs(want).astype(part_of(dtype)))
    error = np.where(finite, abs(got - want) / unit, 0)
    worst = int(np.argmax(error))
    message = f"{op} of {[a[worst] for a in x]}: got {got[worst]}, exactly {want[worst]}"
    assert error[worst] <= row.complex_ulp, f"{error[worst]:.1f} ULP: {message}"


SIGNED = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0]


@pytest.mark.parametrize("op", [op for op in OPS if ELEMENTWISE[op].arity == 1])
def test_branch_cuts_are_those_of_numpy(op: str) -> None:
    """The sign of a zero says on which side of a cut a point lies."""
    row = ELEMENTWISE[op]
    z = np.array([complex(a, b) for a in SIGNED for b in SIGNED])
    (got,) = compile_main([(z.shape, z.dtype)], lambda v: [getattr(grad, op)(v)])(z)
    with np.errstate(all="ignore"):
        want = row.reference(z)
    finite = np.isfinite(want)
    np.testing.assert_allclose(got[finite], want[finite], 1e-14, 1e-15, err_msg=op)
    np.testing.assert_array_equal(np.isfinite(got), finite, op)


INFINITE = ["exp", "log", "sqrt", "sinh", "cosh", "tanh"]


@pytest.mark.parametrize("op", INFINITE)
def test_infinities_are_those_of_numpy(op: str) -> None:
    inf = np.inf
    z = np.array(
        [complex(a, b) for a in (-inf, -1.0, 0.0, 1.0, inf) for b in (-inf, -1.0, 0.0, 1.0, inf)]
    )
    # With two infinities only the absolute value is known.
    z = z[~(np.isinf(z.real) & np.isinf(z.imag)) & np.isinf(z)]
    if op in ("sinh", "cosh", "tanh"):
        z = z[np.isfinite(z.imag)]
    (got,) = compile_main([(z.shape, z.dtype)], lambda v: [getattr(grad, op)(v)])(z)
    with np.errstate(all="ignore"):
        want = ELEMENTWISE[op].reference(z)
    np.testing.assert_allclose(got.real, want.real, 1e-15, err_msg=f"{op} of {z}")
    np.testing.assert_allclose(got.imag, want.imag, 1e-15, err_msg=f"{op} of {z}")


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize("op", OPS)
def test_derivatives_are_those_of_holomorphic_functions(op: str, dtype: str) -> None:
    """Tangent f'(z) t, gradient f'(z) c without a conjugate, and as many second derivatives."""
    row = ELEMENTWISE[op]
    x = points(row, dtype, 4 * POINTS, far=False)
    if row.cut is not None:
        keep = ~row.cut(*x)
        x = [a[keep] for a in x]
    x = [a[:POINTS] for a in x]
    assert x[0].size == POINTS
    n = len(x)
    wide = [widened(a) for a in x]
    step = np.longdouble(0.002)
    slopes = [partial(row.reference, i, step) for i in range(n)]
    rng = generator(4)

    def direction() -> Array:
        return (rng.normal(size=POINTS) + 1j * rng.normal(size=POINTS)).astype(dtype)

    t, u, c = [direction() for _ in x], [direction() for _ in x], direction()
    second = dtype == "c16"
    run = Derivatives(lambda *v: getattr(grad, op)(*v), x, order=2 if second else 1)
    at = run(x, t, c, u)
    first = [slope(*wide) for slope in slopes]
    size = abs(reference(row, x)) + sum(abs(g) for g in first)
    tolerance = 1e-11 if second else 1e-4

    def check(name: str, got: Array, want: Array, scale: Array) -> None:
        error = abs(got - want) / (abs(want) + scale)
        worst = int(np.argmax(error))
        assert error[worst] <= tolerance, f"{name} at {[a[worst] for a in x]}: {error[worst]}"

    check("jvp", at.tangent, sum(g * d for g, d in zip(first, t, strict=True)), size)
    for i in range(n):
        check(f"vjp {i}", at.gradient[i], c * first[i], abs(c) * size)
    if not second:
        return
    hessian = [[partial(slopes[i], j, step)(*wide) for j in range(n)] for i in range(n)]
    size = size + sum(abs(h) for line in hessian for h in line)
    for i in range(n):
        along_t = c * sum(hessian[i][j] * t[j] for j in range(n))
        scale = 4 * (1 + abs(c)) * size
        check(f"forward over reverse {i}", at.forward_reverse[i], along_t, scale)
        check(f"reverse over forward {i}", at.reverse_forward[i], along_t, scale)


ENDS = [complex(a, b) for a in (np.inf, -np.inf, 1.0, 0.0) for b in (np.inf, -np.inf, 1.0, 0.0)]
FAR = [1e200 + 1e200j, -1e200 + 1e-3j, 1e160j]


@pytest.mark.parametrize("op", ["arcsin", "arccos", "arcsinh", "arccosh", "arctan", "arctanh"])
def test_inverse_functions_of_infinities_are_those_of_numpy(op: str) -> None:
    row = ELEMENTWISE[op]
    z = np.array([a for a in ENDS if np.isinf(a)] + FAR)
    (got,) = compile_main([(z.shape, z.dtype)], lambda v: [getattr(grad, op)(v)])(z)
    with np.errstate(all="ignore"):
        want = row.reference(z)
    for part in ("real", "imag"):
        one, other = getattr(got, part), getattr(want, part)
        np.testing.assert_allclose(one, other, 1e-14, err_msg=f"{op}: {part}")
        np.testing.assert_array_equal(np.signbit(one), np.signbit(other), f"{op}: {part}")


@pytest.mark.parametrize("op", ["arctan", "arctanh"])
@pytest.mark.parametrize("dtype", COMPLEX)
def test_inverse_tangents_of_what_is_no_number_are_those_of_numpy(op: str, dtype: str) -> None:
    row = ELEMENTWISE[op]
    largest = float(np.finfo(part_of(dtype)).max)
    others = (0.0, -0.5, 2.0, largest / 8, -largest, np.inf, -np.inf, np.nan)
    z = np.array([w for x in others for w in (complex(np.nan, x), complex(x, np.nan))], dtype)
    (got,) = compile_main([(z.shape, z.dtype)], lambda v: [getattr(grad, op)(v)])(z)
    with np.errstate(all="ignore"):
        want = row.reference(z)
    np.testing.assert_array_equal(got.real, want.real, op)
    np.testing.assert_array_equal(got.imag, want.imag, op)


@pytest.mark.parametrize("op", ["sinh", "tanh", "sin", "tan"])
def test_axes_without_an_angle_are_those_of_numpy(op: str) -> None:
    """Where one part is zero, it stays so beside an infinity."""
    row = ELEMENTWISE[op]
    z = np.array([complex(0, np.inf), complex(np.inf, 0), complex(0, -np.inf)])
    (got,) = compile_main([(z.shape, z.dtype)], lambda v: [getattr(grad, op)(v)])(z)
    with np.errstate(all="ignore"):
        want = row.reference(z)
    np.testing.assert_array_equal(got.real, want.real, op)
    np.testing.assert_array_equal(got.imag, want.imag, op)
