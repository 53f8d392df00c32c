# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""NumPy functions: values and dtypes of compiled code against NumPy itself."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go

RNG = np.random.default_rng(7)
V = RNG.normal(size=6)
W = RNG.normal(size=6)
P = RNG.uniform(0.1, 2.0, size=6)
M = RNG.normal(size=(4, 5))
N = RNG.normal(size=(5, 3))
S = RNG.normal(size=(4, 4))
T3 = RNG.normal(size=(2, 3, 4))
U3 = RNG.normal(size=(2, 4, 5))
I8 = np.array([3, -7, 2, 5, 0, -1])
J8 = np.array([2, 3, -4, 0, 5, -2])
I32 = I8.astype(np.int32)
B = np.array([True, False, True, True, False, False])
C = np.array([True, True, False, True, False, True])
F32 = V.astype(np.float32)
NANS = np.array([1.0, np.nan, np.inf, -np.inf, 0.0, -0.0])
ONE = np.ones(1)
EMPTY = np.zeros((0, 3))
TRI = np.arange(12.0).reshape(3, 4)


def same(actual: Any, expected: Any, rtol: float = 1e-13) -> None:
    """Same structure, shape, dtype and values."""
    if isinstance(expected, (tuple, list)):
        assert len(actual) == len(expected)
        for a, e in zip(actual, expected, strict=True):
            same(a, e, rtol)
        return
    assert np.shape(actual) == np.shape(expected)
    assert np.asarray(actual).dtype == np.asarray(expected).dtype
    tolerance = 1e-5 if np.asarray(expected).dtype == np.float32 else rtol
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


UNARY = [
    "negative",
    "absolute",
    "sign",
    "exp",
    "exp2",
    "expm1",
    "sin",
    "cos",
    "tan",
    "arctan",
    "sinh",
    "cosh",
    "tanh",
    "arcsinh",
    "cbrt",
    "square",
    "floor",
    "ceil",
    "trunc",
    "rint",
    "positive",
    "fabs",
    "deg2rad",
    "rad2deg",
    "radians",
    "degrees",
    "isnan",
    "isinf",
    "isfinite",
    "logical_not",
    "signbit",
    "conjugate",
]
POSITIVE = ["log", "log2", "log10", "log1p", "sqrt", "reciprocal"]
BINARY = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "arctan2",
    "hypot",
    "logaddexp",
    "logaddexp2",
    "equal",
    "not_equal",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
    "copysign",
    "heaviside",
    "floor_divide",
    "remainder",
    "fmod",
    "divmod",
]
INTEGER_BINARY = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "maximum",
    "minimum",
    "equal",
    "less",
    "greater_equal",
    "logical_and",
    "floor_divide",
    "remainder",
    "fmod",
    "divmod",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "left_shift",
    "right_shift",
]

Case = tuple[Callable[..., Any], tuple[Any, ...]]


def _cases() -> dict[str, Case]:
    return {
        "arcsin": (lambda x: np.arcsin(x / 4), (V,)),
        "arccos": (lambda x: np.arccos(x / 4), (V,)),
        "arctanh": (lambda x: np.arctanh(x / 4), (V,)),
        "arccosh": (lambda x: np.arccosh(x + 1.0), (P,)),
        "power": (np.power, (P, V)),
        "power_float_power": (np.float_power, (P, V)),
        "power_constants": (lambda x: (x**2, x**3, x**-1, x**0.5, x**0, x**4, x**1, x**2.5), (P,)),
        "power_int": (lambda x: (x**2, x**5, x**0, np.power(x, 3)), (I8,)),
        "power_of_scalar": (lambda x: 2.0**x, (V,)),
        "sum": (lambda x: (x.sum(), x.sum(0), np.sum(x, axis=-1, keepdims=True)), (M,)),
        "sum_axes": (lambda x: (x.sum((0, 2)), x.sum(axis=(1,), keepdims=True), x.sum(())), (T3,)),
        "sum_bool_int": (lambda b, i: (b.sum(), i.sum(), i.sum(dtype=np.float32)), (B, I32)),
        "sum_where_initial": (lambda x, b: np.sum(x, where=b, initial=2.0), (V, B)),
        "sum_empty": (lambda x: (x.sum(), x.sum(0), x.sum(1), x.prod(), x.mean(1)), (EMPTY,)),
        "prod": (lambda x: (np.prod(x), x.prod(1)), (M,)),
        "mean": (lambda x, i: (x.mean(), x.mean(0), i.mean(), i.mean(dtype="f4")), (M, I8)),
        "mean_where": (lambda x, b: np.mean(x, where=b), (V, B)),
        "var_std": (lambda x: (x.var(), x.std(1, ddof=1), np.var(x, 0, keepdims=True)), (M,)),
        "max_min": (lambda x: (x.max(), x.min(0), np.max(x, 1, keepdims=True), np.amin(x)), (M,)),
        "max_int_bool": (lambda i, b: (i.max(), i.min(), b.max(), b.min()), (I32, B)),
        "max_nan": (lambda x: (np.max(x[:2]), np.max(x[2:]), np.min(x[2:])), (NANS,)),
        "max_initial": (lambda x: np.max(x, initial=10.0), (V,)),
        "ptp": (lambda x: np.ptp(x, axis=0), (M,)),
        "arg": (lambda x: (x.argmax(), x.argmin(1), np.argmax(x, 0, keepdims=True)), (M,)),
        "any_all": (lambda b, x: (b.any(), b.all(), np.any(x > 1, 0), (x > -9).all(1)), (B, M)),
        "count_nonzero": (np.count_nonzero, (I8,)),
        "cumsum": (lambda x, i: (x.cumsum(), np.cumsum(x, 0), i.cumsum()), (M, I32)),
        "average": (lambda x, w: (np.average(x), np.average(x, weights=w)), (V, P)),
        "average_axis": (lambda x, w: np.average(x, axis=1, weights=w[:5]), (M, P)),
        "nansum": (lambda x: (np.nansum(x[:2]), np.nanmean(x[:2])), (NANS,)),
        "reduce_methods": (lambda x: (np.add.reduce(x), np.maximum.reduce(x, axis=1)), (M,)),
        "accumulate": (lambda x: np.add.accumulate(x), (M,)),
        "ufunc_outer": (lambda x, y: np.multiply.outer(x, y), (V, M)),
        "reshape": (lambda x: (x.reshape(2, 10), x.reshape((-1, 2)), np.reshape(x, 20)), (M,)),
        "reshape_f": (lambda x: (x.reshape(2, 10, order="F"), x.ravel("F")), (M,)),
        "ravel_flatten": (lambda x: (x.ravel(), x.flatten(), x.T.ravel()), (M,)),
        "transpose": (
            lambda x: (x.T, x.transpose(1, 0, 2), np.transpose(x, (2, 0, 1)), x.mT),
            (T3,),
        ),
        "swap_move": (
            lambda x: (x.swapaxes(0, 2), np.moveaxis(x, 0, -1), np.rollaxis(x, 2)),
            (T3,),
        ),
        "squeeze": (lambda x: (x[None, :, None].squeeze(), np.expand_dims(x, (0, 2))), (V,)),
        "broadcast_to": (lambda x: np.broadcast_to(x, (3, 6)), (V,)),
        "broadcast_arrays": (lambda x, y: tuple(np.broadcast_arrays(x[:, None], y)), (V, W)),
        "atleast": (lambda x: (np.atleast_1d(x.sum()), np.atleast_2d(x), np.atleast_3d(x)), (V,)),
        "flip": (lambda x: (np.flip(x), np.fliplr(x), np.flipud(x), np.rot90(x)), (M,)),
        "roll": (
            lambda x: (np.roll(x, 2), np.roll(x, -1, axis=1), np.roll(x, (1, 2), (0, 1))),
            (M,),
        ),
        "tile_repeat": (lambda x: (np.tile(x, 2), np.tile(x, (2, 1, 3)), x.repeat(2, 1)), (M,)),
        "repeat_counts": (lambda x: np.repeat(x, [1, 0, 2, 3], axis=0), (M,)),
        "concatenate": (lambda x, y: (np.concatenate([x, y]), np.concatenate((x, y), 1)), (M, M)),
        "concatenate_types": (lambda i, x: np.concatenate([i, x]), (I32, F32)),
        "concatenate_none": (lambda x, y: np.concatenate([x, y], axis=None), (M, N)),
        "stack": (lambda x, y: (np.stack([x, y]), np.stack((x, y), -1)), (V, W)),
        "stacks": (
            lambda x, y: (
                np.vstack([x, y]),
                np.hstack([x, y]),
                np.dstack([x, y]),
                np.column_stack([x, y]),
            ),
            (V, W),
        ),
        "append": (lambda x, y: np.append(x, y), (V, W)),
        "split": (lambda x: [*np.split(x, 3), *np.split(x, [1, 4]), *np.array_split(x, 4)], (V,)),
        "pad": (lambda x: (np.pad(x, 1), np.pad(x, ((1, 2), (0, 3)), constant_values=5)), (M,)),
        "pad_modes": (
            lambda x: tuple(np.pad(x, 2, m) for m in ("edge", "reflect", "wrap", "symmetric")),
            (V,),
        ),
        "like": (
            lambda x: (np.zeros_like(x), np.ones_like(x, dtype=int), np.full_like(x, 2.5)),
            (M,),
        ),
        "diag": (
            lambda x, s: (np.diag(x), np.diag(x, 2), np.diag(x, -1), np.diag(s), np.diag(s, 1)),
            (V, S),
        ),
        "diagonal": (
            lambda x: (x.diagonal(), np.diagonal(x, -1, 1, 2), x.trace(), np.trace(x, 1)),
            (T3,),
        ),
        "triangles": (lambda x: (np.tril(x), np.triu(x, 1), np.tril(x, -1)), (M,)),
        "take": (lambda x: (np.take(x, [3, 0]), x.take([[1, -1]], axis=1)), (M,)),
        "take_along_axis": (lambda x: np.take_along_axis(x, np.argsort(M, 1), 1), (M,)),
        "compress": (lambda x: np.compress([True, False, True, True], x, axis=0), (M,)),
        "vander": (lambda x: (np.vander(x, 3), np.vander(x, 3, increasing=True)), (V,)),
        "dot": (lambda x, y, v: (x @ y, np.dot(x, y), v @ v, np.dot(v, v), v.dot(2.0)), (M, N, V)),
        "matmul_batch": (lambda x, y: (x @ y, x[0] @ y, x @ y[0], x @ y[0, :, 0]), (T3, U3)),
        "matmul_vector": (lambda x, v: (v[:4] @ x, x @ v[:5], v[:3] @ T3), (M, V)),
        "matmul_int": (lambda i: (np.dot(i, i), i @ i, np.outer(i, i) @ i), (I32,)),
        "inner_outer": (lambda x, y: (np.inner(x, y), np.outer(x, y), np.vdot(x, y)), (V, W)),
        "dot_nd": (lambda x, y: (np.dot(x, y), np.inner(x, x)), (T3, U3)),
        "tensordot": (
            lambda x, y: (
                np.tensordot(x, y, ([2], [1])),
                np.tensordot(x, x, 3),
                np.tensordot(x, y, 0),
            ),
            (T3, U3),
        ),
        "kron_cross": (lambda x, y: (np.kron(x, y), np.cross(x[0, :3], y[:3, 0])), (M, N)),
        "einsum": (
            lambda a, b, s: (
                np.einsum("ij,jk", a, b),
                np.einsum("ij,jk->ki", a, b),
                np.einsum("ii", s),
                np.einsum("ii->i", s),
                np.einsum("ij->j", a),
                np.einsum("ij,ij->", a, a),
                np.einsum("...j,jk->...k", a, b),
                np.einsum("ij,kj,kl->il", a, a, s),
            ),
            (M, N, S),
        ),
        "einsum_batch": (
            lambda x, y: (np.einsum("bij,bjk->bik", x, y), np.einsum("bij,bjk->b", x, y)),
            (T3, U3),
        ),
        "norm": (
            lambda v, m: (
                np.linalg.norm(v),
                np.linalg.norm(v, 1),
                np.linalg.norm(v, np.inf),
                np.linalg.norm(v, 3),
                np.linalg.norm(m),
                np.linalg.norm(m, axis=1),
                np.linalg.norm(m, 1),
                np.linalg.norm(m, "fro", keepdims=True),
            ),
            (V, M),
        ),
        "matrix_power": (
            lambda s: (np.linalg.matrix_power(s, 3), np.linalg.matrix_power(s, 0)),
            (S,),
        ),
        "where": (
            lambda b, x, y: (np.where(b, x, y), np.where(x > 0, x, 0.0), np.where(b, 1, 2)),
            (B, V, W),
        ),
        "select": (lambda x: np.select([x < -1, x < 1], [x * 2, x + 1], -5.0), (V,)),
        "clip": (
            lambda x: (np.clip(x, -1, 1), x.clip(0), x.clip(max=0.5), np.clip(x, None, 1)),
            (V,),
        ),
        "clip_int": (lambda i: np.clip(i, -2, 3), (I32,)),
        "round": (lambda x: (np.round(x), x.round(2), np.around(x * 100, -1)), (V,)),
        "fix_sinc": (lambda x: (np.fix(x), np.sinc(x), np.sinc(x * 0)), (V,)),
        "nan_to_num": (
            lambda x: (np.nan_to_num(x), np.nan_to_num(x, nan=3.0, posinf=7.0)),
            (NANS,),
        ),
        "isclose": (
            lambda x, y: (np.isclose(x, y), np.allclose(x, x), np.array_equal(x, y)),
            (V, W),
        ),
        "tests_of_infinities": (lambda x: (np.isposinf(x), np.isneginf(x), np.signbit(x)), (NANS,)),
        "modf": (lambda x: np.modf(x), (V,)),
        "polyval": (lambda x: np.polyval([1.0, -2.0, 0.5], x), (V,)),
        "diff": (lambda x: (np.diff(x), np.diff(x, 2, axis=0), np.diff(x, prepend=0.0)), (M,)),
        "trapezoid": (
            lambda x, p: (np.trapezoid(x), np.trapezoid(x, p.cumsum()), np.trapezoid(x, dx=0.5)),
            (V, P),
        ),
        "convolve": (
            lambda x, y: tuple(np.convolve(x, y[:3], m) for m in ("full", "same", "valid")),
            (V, W),
        ),
        "correlate": (lambda x, y: (np.correlate(x, y), np.correlate(x, y[:3], "full")), (V, W)),
        "meshgrid": (lambda x, y: tuple(np.meshgrid(x, y[:2])), (V, W)),
        "astype": (
            lambda x, b: (x.astype("f4"), x.astype(int), x.astype(bool), b.astype(float)),
            (V, B),
        ),
        "bitwise": (lambda a, b: (a & b, a | b, a ^ b, ~a, a + b, a * b), (B, C)),
        "copy_real": (lambda x: (x.copy(), x.real, x.imag, x.conj()), (V,)),
        "shape_queries": (lambda x: x * (np.ndim(x) + np.size(x) + np.shape(x)[1] + len(x)), (M,)),
        "attributes": (lambda x: x * (x.ndim + x.size + x.nbytes + x.itemsize), (M,)),
        "iteration": (lambda x: sum(row.sum() for row in x), (M,)),
        "abs_builtin": (lambda x: (abs(x), -x, +x), (V,)),
        "scalars": (lambda x: (x * 2, 2 - x, x / 3, 1 // x, x % 0.3, 2.0**x, x > 0), (P,)),
        "list_operand": (lambda x: x * [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], (V,)),
        "gnp_array": (lambda x: go.numpy.array([[x[0], 1.0], [x[1] * 2, x[2]]]), (V,)),
        "int_division_by_zero": (lambda i, j: (i // j, i % j), (I8, J8)),
        "special_divmod": (
            lambda x: (x // 0.1, x % 0.1, np.fmod(x, 0.1)),
            (np.array([1.0, 0.3, -1.0, 7.7]),),
        ),
        "divmod_infinite": (
            lambda x: (x // math.inf, x % math.inf, x % -math.inf, np.fmod(x, math.inf)),
            (np.array([1.0, -1.0, 0.0]),),
        ),
    }


CASES = _cases()


@pytest.mark.parametrize("name", CASES)
def test_function(name: str) -> None:
    function, args = CASES[name]
    with np.errstate(all="ignore"):
        expected = function(*args)
    if name == "gnp_array":
        expected = np.asarray(expected)
    if isinstance(expected, map):
        expected = tuple(expected)
    same(go.compile(function)(*args), expected)


def _ufuncs(names: list[str], *args: Any) -> None:
    def every(*values: Any) -> dict[str, Any]:
        return {name: getattr(np, name)(*values) for name in names}

    with np.errstate(all="ignore"):
        expected = every(*args)
    actual = go.compile(every)(*args)
    for name in names:
        try:
            same(actual[name], expected[name])
        except AssertionError as error:
            raise AssertionError(f"numpy.{name}: {error}") from None


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_unary_ufuncs(dtype: str) -> None:
    _ufuncs(UNARY, V.astype(dtype))
    _ufuncs(POSITIVE, P.astype(dtype))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_binary_ufuncs(dtype: str) -> None:
    _ufuncs(BINARY, V.astype(dtype), W.astype(dtype))


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8"])
def test_integer_ufuncs(dtype: str) -> None:
    _ufuncs(INTEGER_BINARY, I8.astype(dtype), J8.astype(dtype))
    _ufuncs(["negative", "absolute", "sign", "square", "floor", "rint"], I8.astype("i4"))


def test_special_values() -> None:
    _ufuncs(
        [
            "negative",
            "absolute",
            "sign",
            "exp",
            "expm1",
            "tanh",
            "sqrt",
            "square",
            "floor",
            "isnan",
            "isinf",
            "isfinite",
        ],
        NANS,
    )
    _ufuncs(
        ["maximum", "minimum", "fmax", "fmin", "hypot", "logaddexp", "add", "equal"],
        NANS,
        NANS[::-1].copy(),
    )


def test_scipy_special() -> None:
    special = pytest.importorskip("scipy.special")

    def f(x: Any) -> Any:
        return (
            special.erf(x),
            special.erfc(x),
            special.erfinv(np.tanh(x)),
            special.expit(x),
            special.xlogy(abs(x), abs(x)),
            special.log_expit(x),
        )

    same(go.compile(f)(V), f(V), 1e-14)


def test_guard_every_ufunc_of_the_dialect_has_a_case() -> None:
    from gradopt.array.dispatch import FUNCTIONS, UFUNCS

    tested = {*UNARY, *POSITIVE, *BINARY, *INTEGER_BINARY}
    here = pathlib.Path(__file__)
    text = here.read_text() + here.with_name("test_breadth.py").read_text()
    missing = [
        u.__name__
        for u in UFUNCS
        if u.__name__ not in tested
        and u.__name__ not in text
        and u.__name__ not in ("vecdot", "invert")
    ]
    assert not missing
    assert len(FUNCTIONS) > 90
