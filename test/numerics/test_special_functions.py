# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Special functions: values by mpmath and SciPy, derivatives of both orders by mpmath.

mpmath differentiates numerically, with many digits; so no formula of ours is compared with itself.
"""

from __future__ import annotations

import inspect
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from budget import budget, generator
from harness import Array, Derivatives, compile_main
from mlir import ir
from special_ops import SPECIAL, Special

from gradopt.dialects import _grad_special_ops_gen, special
from gradopt.errors import CompilerError

pytestmark = pytest.mark.random
COUNT = budget(200)
DIGITS = 30


def test_every_op_has_a_row() -> None:
    classes = inspect.getmembers(_grad_special_ops_gen, inspect.isclass)
    views = [kind for _, kind in classes if issubclass(kind, ir.OpView)]
    ops = {kind.OPERATION_NAME.removeprefix("grad.") for kind in views}
    assert len(ops) > 60, "the generated classes were not found"
    assert ops == SPECIAL.keys()


def exactly(row: Special, point: tuple[float, ...], orders: tuple[int, ...] | None = None) -> float:
    """The function, or a derivative of it, at a point."""
    with mp.workdps(DIGITS):
        at = tuple(mp.mpf(x) for x in point)
        found = row.exact(*at) if orders is None else mp.diff(row.exact, at, orders)
        return float(mp.re(found))


def columns(row: Special, dtype: Any = "f8") -> list[Array]:
    return [np.array(c, dtype) for c in zip(*row.points, strict=True)]


def run(row: Special, *operands: Array) -> Array:
    compiled = compile_main(
        [(a.shape, a.dtype) for a in operands], lambda *x: getattr(special, row.op)(*x)
    )
    return np.asarray(compiled(*operands)[0])


@pytest.mark.parametrize("op", SPECIAL)
def test_values_are_exact(op: str) -> None:
    """In double precision to the row's tolerance, in single precision to a few ULP."""
    row = SPECIAL[op]
    for dtype, tolerance in (("f8", row.rtol), ("f4", 4e-7)):
        operands = columns(row, dtype)
        points = list(zip(*[a.tolist() for a in operands], strict=True))
        want = np.array([exactly(row, point) for point in points])
        got = run(row, *operands)
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want.astype(dtype), tolerance, 0, err_msg=op)


@pytest.mark.parametrize("op", [op for op, row in SPECIAL.items() if row.scipy])
def test_values_are_those_of_scipy(op: str) -> None:
    row = SPECIAL[op]
    rng = generator(11)
    operands = [rng.uniform(low, high, COUNT) for low, high in row.domain]
    for i in row.whole:
        operands[i] = np.floor(operands[i])
    assert row.scipy is not None
    with np.errstate(all="ignore"):
        want = np.asarray(row.scipy(*operands))
    # What nearly cancels has the accuracy of its terms.
    np.testing.assert_allclose(run(row, *operands), want, 10 * row.rtol, 1e-300, err_msg=op)


@pytest.mark.parametrize("op", [op for op, row in SPECIAL.items() if row.order])
def test_derivatives_are_those_of_mpmath(op: str) -> None:
    row = SPECIAL[op]
    points, active = columns(row), row.active
    n, size = len(active), len(row.points)
    rng = generator(12)
    t, u = ([rng.uniform(0.5, 1, size) for _ in active] for _ in range(2))
    c = rng.uniform(0.5, 2, size)
    at = Derivatives(lambda *x: getattr(special, op)(*x), points, active, row.order)(
        points, t, c, u
    )

    def wanted(*operands: int) -> Array:
        orders = [0] * len(points)
        for i in operands:
            orders[active[i]] += 1
        return np.array([exactly(row, point, tuple(orders)) for point in row.points])

    gradient = [wanted(i) for i in range(n)]
    value = np.abs(at.value)
    scale = value + sum(np.abs(g) for g in gradient)

    def check(name: str, got: Any, want: Any, size: Any) -> None:
        bound = 2e-11 * (np.abs(want) + 0.01 * size)
        assert (np.abs(got - want) <= bound).all(), f"{name} of {op}: {got}, expected {want}"

    check("jvp", at.tangent, sum(g * d for g, d in zip(gradient, t, strict=True)), scale)
    for i, g in enumerate(gradient):
        check(f"vjp {i}", at.gradient[i], c * g, c * scale)
        check(f"vjp {i} alone", at.gradients[i], c * g, c * scale)
        check(f"jvp {i} alone", at.tangents[i], t[i] * g, scale)
    if row.order < 2:
        return
    hessian = [[wanted(i, j) for j in range(n)] for i in range(n)]
    scale = scale + sum(np.abs(h) for line in hessian for h in line)
    for i in range(n):
        along_t = c * sum(hessian[i][j] * t[j] for j in range(n))
        along_u = c * sum(hessian[i][j] * u[j] for j in range(n))
        check(f"forward over reverse {i}", at.forward_reverse[i], along_t, 2 * scale)
        check(f"reverse over forward {i}", at.reverse_forward[i], along_t, 2 * scale)
        check(f"reverse over reverse {i}", at.reverse_reverse[i], along_u, 2 * scale)


# Second derivatives are ops, whose own derivatives are not known.
ENDS = {"jv": 0, "expn": 0, "hyp1f1": 1, "ellipkinc_dmm": 1, "zeta_dss": 0, "betainc_dpq": 2}


@pytest.mark.parametrize("op", ENDS)
def test_derivatives_that_are_not_known_are_refused(op: str) -> None:
    points = columns(SPECIAL[op])
    with pytest.raises(CompilerError, match=f"'grad.{op}' op has no derivative in operand `"):
        Derivatives(lambda *x: getattr(special, op)(*x), points, [ENDS[op]], 1)


LARGE = float(np.finfo("f8").max)
# Values at poles and ends of domains, and derivatives there.
LIMITS: dict[str, list[tuple[tuple[float, ...], float, tuple[float, ...]]]] = {
    "gammaln": [((0.0,), np.inf, (-np.inf,)), ((1.0,), 0.0, (-0.5772156649015329,))],
    "gamma": [((5.0,), 24.0, (36.146824042363214,)), ((-2.0,), np.nan, (np.nan,))],
    "psi": [((0.0,), -np.inf, (np.inf,)), ((np.inf,), np.inf, (0.0,))],
    "ndtr": [((-np.inf,), 0.0, (0.0,)), ((np.inf,), 1.0, (0.0,)), ((-LARGE,), 0.0, (0.0,))],
    "log_ndtr": [((-1e10,), -5e19, (1e10,)), ((40.0,), -3.6558935409064e-350, (0.0,))],
    "ndtri": [((0.0,), -np.inf, (np.inf,)), ((1.0,), np.inf, (np.inf,)), ((1.5,), np.nan, ())],
    "i0e": [((0.0,), 1.0, (0.0,)), ((np.inf,), 0.0, (0.0,))],
    "i1": [((0.0,), 0.0, (0.5,))],
    "j1": [((0.0,), 0.0, (0.5,))],
    "k0": [((0.0,), np.inf, (-np.inf,)), ((-1.0,), np.nan, ())],
    "gammainc": [((2.0, 0.0), 0.0, (0.0, 0.0)), ((1.0, 0.0), 0.0, (0.0, 1.0))],
    "betainc": [((2.0, 2.0, 0.0), 0.0, (0.0, 0.0, 0.0)), ((1.0, 1.0, 1.0), 1.0, (0.0, 0.0, 1.0))],
    "si": [((0.0,), 0.0, (1.0,)), ((np.inf,), np.pi / 2, ())],
    "ellipk": [((0.0,), np.pi / 2, (np.pi / 8,)), ((1.0,), np.inf, ()), ((2.0,), np.nan, ())],
    "lambertw": [((0.0,), 0.0, (1.0,)), ((-0.4,), np.nan, ())],
    "spherical_jn": [((0.0, 0.0), 1.0, (0.0,)), ((1.0, 0.0), 0.0, (1 / 3,))],
    "hyp2f1": [
        ((0.5, 0.7, 1.25, 1.0), 8.9110809876075745, ()),
        ((0.5, 0.75, 1.0, 1.0), np.inf, ()),
        ((2.0, 3.0, 4.0, 0.0), 1.0, (1.5,)),
        ((0.5, 0.7, -2.0, 0.5), np.inf, ()),
        ((-1.0, 0.5, -2.0, 0.5), 1.125, (0.25,)),
        ((-2.0, 0.75, 1.5, 2.0), 0.4, (0.4,)),
    ],
    "jacobi_am": [
        ((2.0, 0.0), 2.0, (1.0,)),
        ((0.0, 1.0), 0.0, (1.0,)),
        ((1.0, 1.5), np.nan, ()),
    ],
    "struve": [
        ((0.0, 0.0), 0.0, (2 / np.pi,)),
        ((-1.0, 0.0), 2 / np.pi, ()),
        ((0.5, -1.0), np.nan, ()),
        ((0.0, -2.0), -0.790858849508096, ()),
    ],
    "stdtr": [((3.0, 0.0), 0.5, (0.0, 0.3675525969478613))],
}


@pytest.mark.parametrize("op", LIMITS)
def test_limits(op: str) -> None:
    row = SPECIAL[op]
    points = [np.array(c) for c in zip(*(point for point, _, _ in LIMITS[op]), strict=True)]
    size = points[0].size
    values = run(row, *points)
    compiled = Derivatives(lambda *x: getattr(special, op)(*x), points, row.active, 1)
    at = compiled(points, [np.ones(size) for _ in row.active], np.ones(size))
    for k, (point, value, partials) in enumerate(LIMITS[op]):
        np.testing.assert_allclose(values[k], value, 1e-13, 1e-300, err_msg=f"{op} of {point}")
        for i, partial in enumerate(partials):
            message = f"derivative {i} of {op} at {point}"
            for got in (at.gradients[i], at.tangents[i]):
                np.testing.assert_allclose(got[k], partial, 1e-13, 1e-300, err_msg=message)
