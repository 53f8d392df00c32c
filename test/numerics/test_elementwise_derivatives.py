# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives of the elementwise ops: both orders, all modes, against finite differences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from budget import budget, generator
from differences import Array, partial
from harness import Derivatives, Point, compile_main, define
from mlir import ir
from ops import ELEMENTWISE, Elementwise

from gradopt.dialects import grad

pytestmark = pytest.mark.random
DIFFERENTIABLE = [op for op, row in ELEMENTWISE.items() if row.order]
POINTS = budget(40)
# Relative to the derivative and the value. Extended precision adds 1e-14 to the first and
# 1e-12 to the second derivative (see differences.py).
TOLERANCE = {"f8": (1e-12, 1e-11), "f4": (2e-5, 0.0)}


def sample(row: Elementwise, dtype: str) -> tuple[list[Array], list[Array]]:
    """Points in the row's boxes, and for each operand the distance to the end of its interval."""
    rng = generator(2)
    columns: list[list[Array]] = [[] for _ in row.boxes[0]]
    margins: list[list[Array]] = [[] for _ in row.boxes[0]]
    for box in row.boxes:
        for i, (low, high) in enumerate(box):
            edge = 0.05 * (high - low)
            x = rng.uniform(low + edge, high - edge, POINTS).astype(dtype)
            columns[i].append(x)
            margins[i].append(np.minimum(x - low, high - x))
    return [np.concatenate(c) for c in columns], [np.concatenate(m) for m in margins]


def conditions(row: Elementwise, size: int) -> list[Array]:
    return [generator(3).integers(0, 2, size).astype(bool) for _ in range(row.conditions)]


def check(name: str, got: Array, want: Array, scale: Array, tolerance: float) -> None:
    bound = tolerance * (np.abs(want) + scale)
    error = np.abs(got - want)
    i = int(np.argmax(error - bound))
    assert (error <= bound).all(), f"{name}: got {got[i]!r}, expected {want[i]!r} at point {i}"


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("op", DIFFERENTIABLE)
def test_derivatives_are_limits_of_differences(op: str, dtype: str) -> None:
    row = ELEMENTWISE[op]
    first, second = TOLERANCE[dtype]
    points, margins = sample(row, dtype)
    fixed = conditions(row, points[0].size)
    function = row.smooth or row.reference

    def f(*x: Array) -> Array:
        return function(*fixed, *x)

    wide = [a.astype(np.longdouble) for a in points]
    steps = [np.minimum(m, 1).astype(np.longdouble) / 100 for m in margins]
    n = len(points)
    slopes = [partial(f, i, steps[i]) for i in range(n)]
    gradient = [slope(*wide) for slope in slopes]

    rng = generator(4)
    t, u = ([rng.uniform(-1, 1, a.size).astype(dtype) for a in points] for _ in range(2))
    c = rng.uniform(0.5, 2, points[0].size).astype(dtype)
    run = Derivatives(
        lambda *x: getattr(grad, op)(*x),
        [*fixed, *points],
        wrt=range(row.conditions, row.arity),
        order=row.order if second else 1,
    )
    at = run([*fixed, *points], t, c, u)

    value = np.abs(f(*wide))
    scale = value + sum(np.abs(g) for g in gradient)
    check("jvp", at.tangent, sum(g * d for g, d in zip(gradient, t, strict=True)), scale, first)
    for i, g in enumerate(gradient):
        check(f"vjp {i}", at.gradient[i], c * g, c * scale, first)
        check(f"vjp {i} alone", at.gradients[i], c * g, c * scale, first)
        check(f"jvp {i} alone", at.tangents[i], t[i] * g, scale, first)
    if second and row.order > 1:
        hessian = [[partial(slopes[i], j, steps[j])(*wide) for j in range(n)] for i in range(n)]
        check_second(at, hessian, gradient, t, u, c, scale, second)


def check_second(
    at: Point,
    hessian: list[list[Array]],
    gradient: list[Array],
    t: list[Array],
    u: list[Array],
    c: Array,
    scale: Array,
    tolerance: float,
) -> None:
    """All compositions of the modes are products with one matrix at each point."""
    n = len(t)
    scale = scale + sum(np.abs(h) for line in hessian for h in line)
    along_t = [c * sum(hessian[i][j] * t[j] for j in range(n)) for i in range(n)]
    along_u = [c * sum(hessian[i][j] * u[j] for j in range(n)) for i in range(n)]
    both = sum(along_t[i] * u[i] for i in range(n)) / c
    for i in range(n):
        check(f"forward over reverse {i}", at.forward_reverse[i], along_t[i], 2 * scale, tolerance)
        check(f"reverse over forward {i}", at.reverse_forward[i], along_t[i], 2 * scale, tolerance)
        check(f"reverse over reverse {i}", at.reverse_reverse[i], along_u[i], 2 * scale, tolerance)
    check("forward over forward", at.forward_forward, both, 2 * scale, tolerance)
    pushed = sum(gradient[i] * u[i] for i in range(n))
    check("reverse over reverse, cotangent", at.pushed, pushed, scale, tolerance)


SPECIAL = [op for op, row in ELEMENTWISE.items() if row.specials]


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("op", SPECIAL)
def test_derivatives_at_special_points(op: str, dtype: str) -> None:
    row = ELEMENTWISE[op]
    specials = [s for s in row.specials if dtype == "f8" or not overflows(s.point)]
    points = [np.array(column, dtype) for column in zip(*(s.point for s in specials), strict=True)]
    n, size = len(points), len(specials)
    kinds = [a.dtype for a in points]
    # Unit tangents one operand at a time: 0 * inf would be NaN.
    derivatives = Derivatives(lambda *x: getattr(grad, op)(*x), points)
    ones = np.ones(size, dtype)
    tolerance = 1e-14 if dtype == "f8" else 1e-6
    for j in range(n):
        unit = [ones if i == j else np.zeros(size, k) for i, k in enumerate(kinds)]
        at = derivatives(points, unit, ones)
        want = np.array([s.partials[j] for s in specials], dtype)
        for name, got in (
            ("vjp", at.gradient[j]),
            ("jvp", at.tangents[j]),
            ("vjp alone", at.gradients[j]),
        ):
            message = f"{name} of {op} in operand {j} at {[s.point for s in specials]}"
            np.testing.assert_allclose(got, want, tolerance, err_msg=message)
        for k, s in enumerate(specials):
            if s.second is None:
                continue
            for i in range(n):
                for way in ("forward_reverse", "reverse_forward", "reverse_reverse"):
                    got = getattr(at, way)[i][k]
                    np.testing.assert_allclose(
                        got,
                        s.second[i][j],
                        tolerance,
                        atol=0,
                        err_msg=f"{way} of {op} at {s.point}, {i}, {j}",
                    )


def overflows(point: tuple[float, ...]) -> bool:
    return any(np.isinf(np.float32(v)) and not np.isinf(v) for v in point)


def test_locally_constant_ops_have_zero_derivatives() -> None:
    """Also where an op is NaN or infinite, and through a chain."""
    x = np.array([np.nan, np.inf, -np.inf, 0.0, 0.5])

    def body(a):
        return grad.sign(grad.floor(grad.ceil(grad.round(a))))

    at = Derivatives(body, [x])([x], [np.ones(5)], np.ones(5))
    for got in (at.tangent, at.gradient[0], at.forward_reverse[0], at.reverse_reverse[0]):
        np.testing.assert_array_equal(got, np.zeros(5))


def test_no_derivative_flows_through_bools_and_integers() -> None:
    def body(x):
        hit = grad.greater(x, grad.square(x))
        return grad.multiply(x, grad.select(hit, x, grad.negative(x)))

    x = np.array([0.5, 2.0, -1.0])
    at = Derivatives(body, [x])([x], [np.ones(3)], np.ones(3))
    np.testing.assert_array_equal(at.value, [0.25, -4.0, -1.0])
    np.testing.assert_array_equal(at.gradient[0], [1.0, -4.0, 2.0])
    np.testing.assert_array_equal(at.forward_reverse[0], [2.0, -2.0, -2.0])


SMOOTH = [
    op
    for op, row in ELEMENTWISE.items()
    if row.order and row.arity == 1 and op not in ("absolute", "sign", "arccosh")
]


def test_third_derivatives() -> None:
    """Reverse mode thrice, on all smooth functions of one operand, in one program."""
    x = np.array([0.31, 0.62, 0.74])

    def pullback(f: str, inputs: Sequence[ir.Value], one: ir.Value) -> ir.Value:
        return grad.vjp([one.type, one.type], f, inputs, [one], [0], [0])[1]

    def third(op: str, v: ir.Value, one: ir.Value) -> ir.Value:
        names = [f"{op}_{k}" for k in range(3)]
        kinds = [v.type, one.type]
        define(names[0], kinds[:1], getattr(grad, op))
        define(names[1], kinds, lambda a, c: pullback(names[0], [a], c))
        define(names[2], kinds, lambda a, c: pullback(names[1], [a, c], c))
        return pullback(names[2], [v, one], one)

    inputs = [(x.shape, x.dtype)] * 2
    run = compile_main(inputs, lambda v, one: [third(op, v, one) for op in SMOOTH])
    for op, got in zip(SMOOTH, run(x, np.ones(3)), strict=True):
        f = ELEMENTWISE[op].smooth or ELEMENTWISE[op].reference
        step = np.longdouble(0.003)
        want = partial(partial(partial(f, 0, step), 0, step), 0, step)(x.astype("g"))
        np.testing.assert_allclose(got, want.astype(float), 1e-9, 1e-9, err_msg=op)
