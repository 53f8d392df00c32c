# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Values and derivatives of the structural ops, case by case."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from budget import budget, generator
from differences import Array, Function, directional, widened
from harness import Build, Derivatives, Point, compile_main, constant, scalar_type
from structural_ops import STRUCTURAL
from structural_rows import Case, Structural

from gradopt import _compiler
from gradopt.dialects import grad

pytestmark = pytest.mark.random
# The error of a difference in extended precision, and of arithmetic in the type.
# How often functions are derived: test_on_device.py says another number.
ORDER = 2
TOLERANCE = {"f8": 1e-12, "f4": 1e-5, "c16": 1e-12, "c8": 1e-5}


def operands(case: Case, dtype: str, seed: int = 5) -> list[Array]:
    """The case's arrays, with random ones for its shapes."""
    rng = generator(seed)

    def sample(shape: tuple[int, ...]) -> Array:
        kind = np.dtype(dtype).kind
        if kind == "f":
            # Away from zero and from each other, that max has no kink nearby.
            sizes = rng.permutation(np.linspace(0.5, 2, int(np.prod(shape))))
            return (sizes * rng.choice([-1, 1], sizes.size)).astype(dtype).reshape(shape)
        if kind == "c":
            parts = rng.uniform(-2, 2, (2, *shape))
            return (parts[0] + 1j * parts[1]).astype(dtype)
        if kind == "b":
            return rng.integers(0, 2, shape).astype(dtype)
        return rng.integers(-100, 100, shape).astype(dtype)

    return [a if isinstance(a, np.ndarray) else sample(a) for a in case.operands]


def dtypes(row: Structural, case: Case) -> Sequence[str]:
    """What to sample the case's operands in; the first one stands for no choice."""
    if not any(isinstance(a, tuple) for a in case.operands):
        return row.dtypes[:1]
    return case.dtypes or row.dtypes


def run_each(uses: Sequence[tuple[Build, list[Array]]]) -> list[Array]:
    """Values of several functions, compiled a few at a time."""
    if len(uses) > 20:
        return run_each(uses[:20]) + run_each(uses[20:])
    flat = [a for _, arrays in uses for a in arrays]

    def body(*x: Any) -> list[Any]:
        rest = iter(x)
        return [build(*(next(rest) for _ in arrays)) for build, arrays in uses]

    try:
        executable = compile_main([(a.shape, a.dtype) for a in flat], body)
    except _compiler.CompilationError:
        # Find the one to blame.
        for build, arrays in uses:
            compile_main([(a.shape, a.dtype) for a in arrays], build)
        raise
    return [np.asarray(a) for a in executable(*flat)]


def quiet(function: Callable[..., Any], *x: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(function(*x))


@pytest.mark.parametrize("op", STRUCTURAL)
def test_values_are_those_of_numpy(op: str) -> None:
    row = STRUCTURAL[op]
    uses = [(c, d, operands(c, d)) for c in row.cases for d in dtypes(row, c)]
    results = run_each([(case.build, arrays) for case, _, arrays in uses])
    for (case, dtype, arrays), got in zip(uses, results, strict=True):
        want = quiet(case.reference, *arrays)
        message = f"grad.{op} of {dtype}, operands {case.operands}"
        assert got.dtype == want.dtype, message
        if row.rounding and got.dtype.kind in "fc":
            exact = case.reference(*(widened(a) for a in arrays))
            scale = case.reference(*(np.abs(a) if a.dtype.kind in "fc" else a for a in arrays))
            limit = row.rounding * np.finfo(got.dtype).eps * np.abs(scale)
            assert got.shape == want.shape, message
            assert (np.abs(got - exact) <= limit).all(), f"{message}: got\n{got}, expected\n{want}"
        else:
            np.testing.assert_array_equal(got, want, message, strict=True)
            if got.dtype.kind in "fc":
                real = ~np.isnan(want)
                for part in (np.real, np.imag):
                    np.testing.assert_array_equal(
                        np.signbit(part(got))[real], np.signbit(part(want))[real], message
                    )


def differentiable(row: Structural, dtype: str) -> list[Any]:
    """The row's cases with sampled operands; in single precision a few."""
    found = []
    for i, case in enumerate(row.cases):
        sampled = any(isinstance(a, tuple) for a in case.operands)
        if row.order and sampled and dtype in (case.dtypes or row.dtypes):
            found.append(pytest.param(case, dtype, id=f"{row.op}-{i}-{dtype}"))
    return found if dtype in ("f8", "c16") else found[:3]


CASES = [
    param
    for row in STRUCTURAL.values()
    for dtype in TOLERANCE
    for param in differentiable(row, dtype)
]


def inner(a: Sequence[Array], b: Sequence[Array]) -> np.longdouble:
    """Of complex numbers Re(sum(a * b)), in which rules are transposed; nothing is conjugated."""
    return sum(
        (np.sum(widened(x) * widened(y)).real for x, y in zip(a, b, strict=True)), np.longdouble(0)
    )


def directions(rng: np.random.Generator, like: Array, dtype: Any) -> Array:
    """Random numbers, complex ones in both parts."""
    x = rng.uniform(-1, 1, np.shape(like))
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.uniform(-1, 1, np.shape(like))
    return np.asarray(x).astype(dtype)


def check(name: str, got: Array, want: Array, scale: Array, tolerance: float) -> None:
    assert got.shape == want.shape, name
    error = np.abs(got - want)
    assert (error <= tolerance * (np.abs(want) + scale)).all(), (
        f"{name}: got\n{got}, expected\n{want}"
    )


@pytest.mark.parametrize(("case", "dtype"), CASES)
def test_derivatives_are_limits_of_differences(case: Case, dtype: str) -> None:
    x = operands(case, dtype)
    order = ORDER if dtype in ("f8", "c16") else 1
    run = Derivatives(case.build, x, order=order)
    tolerance = max(TOLERANCE[dtype], TOLERANCE[run.result[1].str[1:]])
    floats = [x[i] for i in run.wrt]

    def f(*values: Array) -> Array:
        full: list[Array] = list(x)
        for i, value in zip(run.wrt, values, strict=True):
            full[i] = value
        return (case.smooth or case.reference)(*full)

    for seed in range(budget(2)):
        rng = generator(seed)
        t, u = ([directions(rng, a, a.dtype) for a in floats] for _ in range(2))
        c = directions(rng, np.empty(run.result[0]), run.result[1])
        at = run(x, t, c, u)
        check_first(at, f, floats, t, c, tolerance)
        if order == 2:
            check_second(at, f, floats, t, u, c, tolerance)


def check_first(
    at: Point, f: Function, x: list[Array], t: list[Array], c: Array, tolerance: float
) -> None:
    want = directional(f, x, t)
    scale = magnitude(f, x, t)
    check("jvp", at.tangent, want, scale, tolerance)
    check("sum of the jvps alone", sum(at.tangents), want, scale, tolerance)
    size = tolerance * (1 + inner([np.abs(c)], [scale]))
    assert abs(inner([c], [at.tangent]) - inner(at.gradient, t)) <= size, "<c, J t> != <J^T c, t>"
    for got, alone in zip(at.gradient, at.gradients, strict=True):
        check("vjp alone", alone, got, np.abs(got).max(initial=0), tolerance)


def check_second(
    at: Point,
    f: Function,
    x: list[Array],
    t: list[Array],
    u: list[Array],
    c: Array,
    tolerance: float,
) -> None:
    """All compositions agree with the second derivative along t and u."""
    want = directional(lambda *a: directional(f, a, u), x, t)
    ones = [np.ones_like(a) for a in x]
    absolute = [np.abs(a) for a in x]
    scale = magnitude(f, x, t)
    scale = scale + np.abs(directional(lambda *a: directional(f, a, ones), absolute, ones))
    check("forward over forward", at.forward_forward, want, scale, 100 * tolerance)
    check("pushed", at.pushed, directional(f, x, u), scale, tolerance)
    product = inner([c], [at.forward_forward])
    size = tolerance * (1 + inner([np.abs(c)], [scale]))
    assert abs(inner(at.forward_reverse, u) - product) <= size
    assert abs(inner(at.reverse_forward, u) - product) <= size
    assert abs(inner(at.reverse_reverse, t) - product) <= size


def magnitude(f: Function, x: list[Array], t: list[Array]) -> Array:
    """What rounding errors of the value and the tangent are relative to."""
    absolute = [np.abs(a) for a in x]
    return np.abs(directional(f, absolute, [np.abs(a) for a in t])) + np.abs(f(*absolute))


# -- Derivatives where differences have no limit: by hand, in JAX's conventions --------------


BY_HAND: dict[str, tuple[Build, Any, Any]] = {
    "product with a zero": (
        lambda x: grad.reduce_prod(x, [0]),
        [2.0, 0.0, 3.0, 4.0],
        [0.0, 24.0, 0.0, 0.0],
    ),
    "product with two zeros": (
        lambda x: grad.reduce_prod(x, [0]),
        [2.0, 0.0, 0.0],
        [0.0, 0.0, 0.0],
    ),
    "product with a negative zero": (lambda x: grad.reduce_prod(x, [0]), [-0.0, 5.0], [5.0, 0.0]),
    "product with infinity": (lambda x: grad.reduce_prod(x, [0]), [np.inf, 2.0], [2.0, np.inf]),
    "products by rows": (
        lambda x: grad.reduce_prod(x, [1]),
        [[1.0, 2.0, 0.0], [3.0, 1.0, 2.0]],
        [[0.0, 0.0, 2.0], [2.0, 6.0, 3.0]],
    ),
    "maximum at a tie": (
        lambda x: grad.reduce_max(x, [0]),
        [1.0, 3.0, 3.0, -1.0],
        [0.0, 0.5, 0.5, 0.0],
    ),
    "maximum of equals": (
        lambda x: grad.reduce_max(x, [0]),
        [2.0, 2.0, 2.0, 2.0],
        [0.25, 0.25, 0.25, 0.25],
    ),
    "maximum of zeros of both signs": (lambda x: grad.reduce_max(x, [0]), [0.0, -0.0], [0.5, 0.5]),
    "maximum of infinities": (
        lambda x: grad.reduce_max(x, [0]),
        [np.inf, 1.0, np.inf],
        [0.5, 0.0, 0.5],
    ),
    "minimum at a tie": (
        lambda x: grad.reduce_min(x, [0]),
        [1.0, -3.0, -3.0, -1.0],
        [0.0, 0.5, 0.5, 0.0],
    ),
    "minimum by columns": (
        lambda x: grad.reduce_min(x, [0]),
        [[1.0, 5.0], [1.0, 4.0]],
        [[0.5, 0.0], [0.5, 1.0]],
    ),
    "maximum of minus infinities": (
        lambda x: grad.reduce_max(x, [0]),
        [-np.inf, -np.inf],
        [0.5, 0.5],
    ),
    "gather of one row thrice": (
        lambda x: grad.gather(x, constant(np.array([[1], [1], [1]]))),
        [1.0, 2.0],
        [0.0, 3.0],
    ),
    "no gradient": (grad.stop_gradient, [1.0, np.nan], [0.0, 0.0]),
    "square through a call of itself": (
        lambda x: grad.multiply(x, grad.stop_gradient(x)),
        [3.0],
        [3.0],
    ),
    "sum of nothing": (lambda x: grad.reduce_sum(x, [0]), np.zeros((0, 2)), np.zeros((0, 2))),
    "product of nothing": (lambda x: grad.reduce_prod(x, [0]), np.zeros((0, 2)), np.zeros((0, 2))),
    "through an integer": (
        lambda x: grad.convert(grad.convert(x, scalar_type("i8")), scalar_type("f8")),
        [1.5, -2.5],
        [0.0, 0.0],
    ),
    "through a bool": (
        lambda x: grad.convert(grad.isnan(x), scalar_type("f8")),
        [1.5, np.nan],
        [0.0, 0.0],
    ),
    "constant": (lambda x: constant(np.array([1.0, 2.0])), [1.5, -2.5], [0.0, 0.0]),
    "the argument itself": (lambda x: x, [1.5, -2.5], [1.0, 1.0]),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_gradients_by_hand(name: str) -> None:
    build, x, gradient = BY_HAND[name]
    x, gradient = np.array(x), np.array(gradient)
    run = Derivatives(build, [x])
    ones = np.ones(run.result[0])
    at = run([x], [np.ones_like(x)], ones)
    np.testing.assert_array_equal(at.gradient[0], gradient)
    if np.isfinite(x).all():
        np.testing.assert_allclose(at.tangent.sum(), gradient.sum(), 1e-15)


def test_hessian_of_a_product_with_zeros() -> None:
    """The second derivatives of abc at (0, 0, 3): only that in a and b is not zero."""
    x = np.array([0.0, 0.0, 3.0])
    run = Derivatives(lambda v: grad.reduce_prod(v, [0]), [x])
    for ways in ("forward_reverse", "reverse_forward", "reverse_reverse"):
        lines = [getattr(run([x], [e], np.array(1.0)), ways)[0] for e in np.eye(3)]
        np.testing.assert_array_equal(lines, [[0, 3, 0], [3, 0, 0], [0, 0, 0]])


REDUCTIONS = {
    "reduce_sum": np.sum,
    "reduce_prod": np.prod,
    "reduce_max": np.max,
    "reduce_min": np.min,
}


@pytest.mark.parametrize("op", REDUCTIONS)
def test_reductions_of_special_values(op: str) -> None:
    nan, inf = np.nan, np.inf
    rows = np.array(
        [
            [1.0, nan, 2.0, 3.0],
            [inf, -inf, 1.0, 0.0],
            [inf, inf, 1.0, 2.0],
            [-inf, -inf, -inf, -inf],
            [0.0, 0.0, 0.0, 0.0],
            [1e308, 1e308, -1e308, 1.0],
            [5e-324, 5e-324, 0.0, 1.0],
            [nan, inf, 1.0, 1.0],
            [inf, 0.0, 1.0, 1.0],
            [-1.0, -2.0, -3.0, 2.0],
        ]
    )
    f = functools.partial(getattr(grad, op), dimensions=[1])
    for dtype in ("f8", "f4"):
        with np.errstate(all="ignore"):
            x = rows.astype(dtype)
            want = REDUCTIONS[op](x, axis=1)
        (got,) = run_each([(lambda v: f(v), [x])])
        np.testing.assert_array_equal(got, want)
        (got,) = run_each([(lambda v: getattr(grad, op)(v, dimensions=[0]), [x.T.copy()])])
        np.testing.assert_array_equal(got, want)


def test_infinite_cotangents_stay_where_they_belong() -> None:
    """No cotangent is multiplied by 0, nor subtracted again: that would make infinities NaN."""
    inf = np.inf
    x = np.array([1.0, 3.0, 2.0])
    for op, gradient in ((grad.reduce_max, [0.0, inf, 0.0]), (grad.reduce_min, [inf, 0.0, 0.0])):
        at = Derivatives(lambda v, op=op: op(v, [0]), [x])([x], [x], np.array(inf))
        np.testing.assert_array_equal(at.gradient[0], gradient)
    value = np.array(0.5)
    run = Derivatives(lambda v, w: grad.pad(v, w, [1], [1], [0]), [x, value])
    at = run([x, value], [x, value], np.array([1.0, inf, -inf, inf, 2.0]))
    np.testing.assert_array_equal(at.gradient[0], [inf, -inf, inf])
    np.testing.assert_array_equal(at.gradient[1], 3.0)
