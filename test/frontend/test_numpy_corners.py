# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Corners of NumPy's semantics, where a wrong dtype or value would go unnoticed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

import gradopt as go

X = np.array([[1.5, -0.5, 2.0], [0.25, 3.0, -1.0]])
F32 = X.astype(np.float32)
I8 = np.array([[1, 100, -3], [4, 0, -128]], np.int8)
INT = np.arange(-3, 3).reshape(2, 3)
MASK = X > 0
SPECIAL = np.array([1.0, np.nan, np.inf, -np.inf, 0.0, -0.0])
SCALARS = [2, 2.5, True, np.float32(2.5), np.float64(2.5), np.int64(2), np.int8(2), np.bool_(True)]
ARRAYS = [X, F32, INT, I8, MASK, np.float32(1.5), 1.5, 3, True]


def same(actual: Any, expected: Any) -> None:
    if isinstance(expected, (tuple, list)):
        assert len(actual) == len(expected)
        for a, e in zip(actual, expected, strict=True):
            same(a, e)
        return
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    tolerance = 1e-5 if expected.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)
    if expected.dtype.kind == "f":
        zero = expected == 0
        np.testing.assert_array_equal(np.signbit(actual)[zero], np.signbit(expected)[zero])


# -- Python numbers are weak in ufuncs and operators, and arrays everywhere else ---------------

WITH_SCALAR: dict[str, Callable[[Any, Any], Any]] = {
    "select": lambda x, s: np.select([x > 1, x > 0], [x, s], default=0),
    "select_default": lambda x, s: np.select([x > 1, x > 0], [x, 1.0], default=s),
    "select_choices": lambda x, s: np.select([x > 1, x > 0], [s, 1], default=x),
    "clip": lambda x, s: np.clip(x, 0, s),
    "sum_initial": lambda x, s: np.sum(x, initial=s),
    "prod_initial": lambda x, s: np.prod(x, initial=s),
    "max_initial": lambda x, s: np.max(x, initial=s),
    "min_initial": lambda x, s: np.min(x, initial=s),
    "dot": lambda x, s: np.dot(x, s),
    "inner": lambda x, s: np.inner(x, s),
    "outer": lambda x, s: np.outer(x, s),
    "kron": lambda x, s: np.kron(x, s),
    "einsum": lambda x, s: np.einsum("...,->...", x, s),
    "multiply_outer": lambda x, s: np.multiply.outer(x, s),
    "polyval": lambda x, s: np.polyval([s, 1], x),
    "linspace": lambda x, s: np.linspace(s, x, 3),
    "where": lambda x, s: np.where(x > 0, x, s),
    "sum_of_number": lambda x, s: np.sum(s) * x,
    "max_of_number": lambda x, s: np.max(s) * x,
    "squeeze_of_number": lambda x, s: np.squeeze(s) * x,
    "copy_of_number": lambda x, s: np.copy(s) * x,
    "floor_of_number": lambda x, s: np.round(s + 0) * x,
    "real_of_number": lambda x, s: np.real(s) * x,
    "abs_of_number": lambda x, s: abs(s) * x,
    "asarray_of_number": lambda x, s: go.numpy.asarray(s) * x,
    "full_of_number": lambda x, s: go.numpy.full((), s) * x,
    "round_of_number": lambda x, s: round(s + 0) * x,
}


@pytest.mark.parametrize("x", ARRAYS, ids=lambda x: np.asarray(x).dtype.name)
def test_numbers_and_arrays(x: Any) -> None:
    for s in SCALARS:
        expected: dict[str, Any] = {}
        for name, function in WITH_SCALAR.items():
            # Some of it NumPy does not do.
            with np.errstate(all="ignore"), contextlib.suppress(TypeError, OverflowError):
                expected[name] = function(x, s)
        names = list(expected)
        actual = go.compile(lambda x, s, names=names: {n: WITH_SCALAR[n](x, s) for n in names})(
            x, s
        )
        for name in names:
            try:
                same(actual[name], expected[name])
            except AssertionError as error:
                raise AssertionError(f"{name} of {s!r}: {error}") from None


def test_bools_of_python_are_integers() -> None:
    same(go.compile(lambda a: (-a, abs(a), +a, a << 3, a >> 1))(True), (-1, 1, 1, 8, 0))
    assert go.compile(lambda a: ~a)(True) == -2


def test_stop_gradient_keeps_numbers_weak() -> None:
    assert go.compile(lambda s, x: go.stop_gradient(s) * x)(2.0, F32).dtype == np.float32


# -- Values ------------------------------------------------------------------------------------

CORNERS: dict[str, tuple[Callable[..., Any], Any]] = {
    "floor_divide": (lambda x: (x // 2, x // 0.7, x // -3.0, x % 2, np.divmod(x, 0.3)), SPECIAL),
    "vander": (lambda x: (np.vander(x[0], 3), np.vander(x[0], 0)), F32),
    "vander_int": (lambda x: np.vander(x[0], 2), I8),
    "vander_bool": (lambda x: np.vander(x[0], 3), MASK),
    "powers_of_bools": (
        lambda x: (x**2, x**3, x ** np.int64(2), x[0, 0] ** 2, np.power(x, 2)),
        MASK,
    ),
    "einsum_bool": (lambda x: (np.einsum("ij->i", x), np.einsum("ij->", x)), MASK),
    "min_of_nothing": (lambda x: (np.min(x[:0], initial=5), np.max(x[:0], 0, initial=-1)), X),
    "min_of_no_bools": (lambda x: np.min(x[:0], axis=0, keepdims=True, initial=True), MASK),
    "trapezoid_of_nothing": (lambda x: (np.trapezoid(x[:, :0]), np.trapezoid(x[:0], axis=0)), X),
    "clip_beyond": (lambda x: (np.clip(x, -1000, 300), np.clip(x, 0, 127)), I8),
    "clip_mixed": (lambda x: np.clip(x, 0.5, np.float32(3)), I8),
    "repeat_nothing": (lambda x: np.repeat(x[:0], [], axis=0), X),
    "linspace": (
        lambda x: (
            np.linspace(0, x, 4),
            np.linspace(x, 9, 3, endpoint=False, axis=-1),
            np.linspace(x, 9, 1),
            np.linspace(x, 9, 0),
            np.linspace(x, 9, 1, endpoint=False),
            np.linspace(x, 9, 4, dtype=int),
            np.linspace(x, 9, 4, retstep=True),
        ),
        X,
    ),
    "linspace_float32": (lambda x: np.linspace(0, x, 4), F32),
    "compress": (lambda x: (x.compress([1, 0], axis=0), x.compress([True])), X),
    "round_of_scalar": (lambda x: (round(x[0, 0]) * x, round(x[0, 1], 1) * x), F32),
    "sequences": (
        lambda x: (
            x.reshape(np.array([3, -1])),
            x.transpose(range(1, -1, -1)),
            np.tile(x, np.array([2, 1])),
            np.broadcast_to(x, np.array([2, *x.shape])),
            np.expand_dims(x, [0, 1]),
            np.moveaxis(x, range(2), [1, 0]),
        ),
        X,
    ),
    "foreign_arguments": (
        lambda x: (
            go.numpy.take(np.arange(10.0), np.maximum(x, 0)),
            go.numpy.sum([x, x], axis=0),
            go.numpy.add([x, x], 1),
            go.numpy.sum(np.ones(3), initial=np.sum(x)),
            go.numpy.mean(np.ones((2, 3)), where=x > 0),
        ),
        INT,
    ),
}


@pytest.mark.parametrize("name", CORNERS)
def test_corner(name: str) -> None:
    function, x = CORNERS[name]
    with np.errstate(all="ignore"):
        same(go.compile(function)(x), function(x))


def test_linspace_has_a_derivative() -> None:
    go.gradcheck(lambda x, y: np.linspace(x, y, 4, retstep=True), (X, 2.0))


def test_where_masks_are_not_broadcast_over_the_array() -> None:
    for function in (np.sum, np.mean, np.any, np.prod):
        with pytest.raises(go.errors.ShapeError, match="cannot broadcast"):
            go.compile(lambda x, f=function: f(x[0], where=MASK))(X)


def test_copies_that_numpy_does_not_make() -> None:
    def f(x: Any) -> Any:
        y = x * 1
        z = y.astype(float, copy=False)
        z += 1
        w = y.conj()
        w += 1
        u = go.numpy.array(y, copy=None)
        u += 1
        return y, y.copy() + 0

    same(go.compile(f)(X), (X + 3, X + 3))

    def g(x: Any) -> Any:
        y = x.astype(float, copy=False)
        y += 1
        return y

    with pytest.raises(go.errors.MutationError, match="the argument x"):
        go.compile(g, capture="trace")(X)
    with pytest.raises(go.errors.MutationError, match=r"numpy\.nan_to_num.*the argument x"):
        go.compile(lambda x: np.nan_to_num(x, copy=False), capture="trace")(X)


def test_lines_of_scipy_are_not_the_users() -> None:
    with pytest.raises(go.errors.UnsupportedError, match=r"^scipy\.stats\.ppcc_plot is") as info:
        go.compile(lambda x: stats.ppcc_plot(x, 0, 1))(X)
    assert info.value.location is not None
    assert info.value.location.file == __file__
    with pytest.raises(go.errors.UnsupportedError, match=r"^scipy\.special\.it2struve0 is"):
        go.compile(special.it2struve0)(X)


# -- Numbers that an integer cannot hold become what NumPy makes of them, known before or not ---

OUT_OF_RANGE = [np.nan, -np.nan, np.inf, -np.inf, 300.7, -300.7, 40000.0, 3e9, -3e9, 1e19, -1e300]
CASTS: dict[str, Callable[[Any, float, Any], Any]] = {
    "argument": lambda x, v, to: (x * 0 + v).astype(to),
    "constant": lambda x, v, to: np.full_like(x, v).astype(to),
    "closure constant": lambda x, v, to: (np.full(4, v) + 0 * np.ones_like(x)).astype(to),
    "border": lambda x, v, to: np.pad(x, 1, constant_values=v).astype(to),
    "part": lambda x, v, to: np.concatenate([x, np.full(3, v)]).astype(to),
    "chosen": lambda x, v, to: np.where(x > 0, v, 0.0).astype(to),
}


@pytest.mark.parametrize("to", [np.int8, np.int16, np.int32, np.int64, np.bool_])
@pytest.mark.parametrize("cast", CASTS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_casts_out_of_range(cast: str, to: Any, dtype: Any) -> None:
    def f(x: Any) -> list[Any]:
        return [CASTS[cast](x, v, to) for v in OUT_OF_RANGE]

    x = np.ones(4, dtype)
    with np.errstate(all="ignore"):
        expected = f(x)
    compiled = go.compile(f)
    for _ in range(2):
        # Uninitialised memory would hold these.
        for size in range(1, 9):
            np.full(size, 7, to)
        with np.errstate(all="ignore"):
            same(compiled(x), expected)


def test_casts_of_computed_constants() -> None:
    def f(x: Any) -> Any:
        return np.log(np.zeros_like(x)).astype(np.int32), np.exp(x * 0 + 800).astype(np.int64)

    x = np.ones(4)
    with np.errstate(all="ignore"):
        same(go.compile(f)(x), f(x))


def test_a_derivative_that_depends_on_a_cast_out_of_range() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.where(np.full_like(x, np.nan).astype(np.int64) < 0, x, 2 * x))

    np.testing.assert_array_equal(go.grad(f)(np.ones(4)), np.ones(4))


INTEGER_LIMITS = [
    np.array(
        [i.min, i.min + 1, i.min // 2, -3, -1, 0, 1, 2, 7, i.max // 2, i.max - 1, i.max], i.dtype
    )
    for i in (np.iinfo(d) for d in ("i1", "i2", "i4", "i8"))
]
INTEGER_FUNCTIONS = [
    *(np.floor_divide, np.remainder, np.fmod, np.divmod, np.add, np.subtract, np.multiply),
    *(lambda x, y: abs(x) + 0 * y, lambda x, y: -x + 0 * y, lambda x, y: x**3 + 0 * y),
]


@pytest.mark.parametrize("values", INTEGER_LIMITS, ids=lambda v: v.dtype.name)
def test_integers_at_their_limits(values: Any) -> None:
    """Division by 0 and of the smallest number by -1 among them, known before or not."""
    x, y = (a.ravel() for a in np.meshgrid(values, values))
    zero = np.zeros(1, values.dtype)
    for function in INTEGER_FUNCTIONS:
        with np.errstate(all="ignore"):
            expected = function(x, y)
        same(go.compile(function)(x, y), expected)
        known = go.compile(
            lambda z, f=function: f(go.numpy.array(x) + 0 * z, go.numpy.array(y) + 0 * z)
        )
        same(known(zero), expected)


# -- Means divide by a count that float32 cannot hold ------------------------------------------

COUNTS: dict[str, Callable[[Any], Any]] = {
    "mean": np.mean,
    "mean of rows": lambda x: np.mean(x.reshape(1, -1), axis=1),
    "nanmean": np.nanmean,
    "average": np.average,
    "mean where": lambda x: np.mean(x, where=x >= 0),
    "var": np.var,
    "std ddof": lambda x: np.std(x, ddof=2),
}


@pytest.mark.parametrize("name", COUNTS)
def test_means_of_many_float32(name: str) -> None:
    x = np.zeros(2**24 + 1, np.float32)
    x[0] = 2**24 - 1
    expected = COUNTS[name](x)
    actual = go.compile(COUNTS[name])(x)
    assert np.asarray(actual).dtype == np.float32
    # All sums are exact, but that of squares.
    np.testing.assert_allclose(actual, expected, rtol=1e-6 if name in ("var", "std ddof") else 0)


def test_a_mean_of_many_has_a_derivative() -> None:
    gradient = go.grad(np.mean)(np.zeros(2**24 + 1, np.float32))
    np.testing.assert_array_equal(gradient, np.full(2**24 + 1, 1 / (2**24 + 1), np.float32))


@pytest.mark.parametrize("weights", [[1, 2, 3], [True, False, True]])
@pytest.mark.parametrize("kind", [np.int8, np.int64, np.bool_, np.float32, np.float64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.bool_])
def test_average_with_weights_of_any_type(dtype: Any, kind: Any, weights: list[Any]) -> None:
    x, w = np.array([1, 2, 3]).astype(dtype), np.array(weights).astype(kind)
    same(
        go.compile(lambda x: np.average(x, weights=w, returned=True))(x),
        np.average(x, weights=w, returned=True),
    )


@pytest.mark.parametrize("function", [np.var, np.std])
def test_variances_in_integers_are_refused(function: Any) -> None:
    with pytest.raises(go.errors.UnsupportedError, match="with dtype int64 is not supported"):
        go.compile(lambda x: function(x, dtype=np.int64))(X)


# -- Means of nothing --------------------------------------------------------------------------

NOTHING: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "mean": (np.mean, np.zeros(0)),
    "mean of columns": (lambda x: np.mean(x, 0), np.zeros((0, 3))),
    "mean of no columns": (lambda x: np.mean(x, 1), np.zeros((0, 3))),
    "mean where": (lambda x: np.mean(x, where=x > 9), X),
    "mean where of rows": (lambda x: np.mean(x, 1, where=x > 2.5), X),
    "nanmean": (np.nanmean, np.full(3, np.nan)),
    "nanmean of rows": (lambda x: np.nanmean(x, 1), np.array([[np.nan, 1.0], [np.nan, np.nan]])),
    "nanmean of float32": (np.nanmean, np.full(2, np.nan, np.float32)),
    "average": (np.average, np.zeros(0)),
    "average of rows": (lambda x: np.average(x, 1, returned=True), np.zeros((3, 0))),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", NOTHING)
def test_a_mean_of_nothing_is_a_nan_that_depends_on_nothing(name: str) -> None:
    f, x = NOTHING[name]
    expected = f(x)
    same(go.compile(f)(x), expected)
    value = np.asarray(expected[0] if isinstance(expected, tuple) else expected)
    first = (lambda x: f(x)[0]) if isinstance(expected, tuple) else f
    tangent = go.jvp(first, (x,), (np.ones_like(x),))[1]
    cotangent = go.vjp(first, x)[1](np.ones_like(value))[0]
    nothing = np.isnan(value)
    assert nothing.any() or not value.size
    np.testing.assert_array_equal(np.asarray(tangent), np.where(nothing, 0, 1))
    assert np.sum(cotangent) == pytest.approx(np.sum(~nothing))


ZERO_WEIGHTS: dict[str, Callable[[Any, Any], Any]] = {
    "known": lambda x, w: np.average(x, weights=[1.0, -1.0]),
    "traced": lambda x, w: np.average(x, weights=w),
    "one of many": lambda x, w: np.average(np.stack([x, x]), 1, weights=np.stack([w + 1, w])),
    "nothing": lambda x, w: np.average(x[:0], weights=w[:0]),
    "empty rows": lambda x, w: np.average(x[:, None][:, :0], 1, weights=w[:0]),
}


@pytest.mark.parametrize("name", ZERO_WEIGHTS)
def test_weights_that_sum_to_zero(name: str) -> None:
    f, x, w = ZERO_WEIGHTS[name], np.array([3.0, 5.0]), np.array([2.0, -2.0])
    with pytest.raises(ZeroDivisionError) as numpys:
        f(x, w)
    loss = go.compile_grad(lambda x, w: np.sum(f(x, w)))
    for compiled in (go.compile(f), loss):
        with pytest.raises(go.errors.ZeroDivisorError) as ours:
            compiled(x, w)
        assert ours.value.args[0].startswith(str(numpys.value))


AXES_OF_WEIGHTS = [((3, 2), (0, 1)), ((2, 3), (1, 0)), ((4, 2), (2, 1)), ((4,), 2), ((4,), -1)]


@pytest.mark.parametrize(("shape", "axis"), AXES_OF_WEIGHTS)
def test_weights_of_some_axes(shape: tuple[int, ...], axis: Any) -> None:
    x, w = np.arange(24.0).reshape(3, 2, 4), np.arange(1.0, 1 + np.prod(shape)).reshape(shape)

    def f(x: Any, w: Any) -> Any:
        return np.average(x, axis, weights=w, returned=True)

    same(go.compile(f)(x, w), f(x, w))
    go.gradcheck(lambda x, w: f(x, w)[0], (x, w))


@pytest.mark.parametrize("axis", [None, 0, (0, 1)])
def test_weights_of_another_shape(axis: Any) -> None:
    x, w = np.ones((3, 2)), np.ones(2)
    with pytest.raises((TypeError, ValueError)) as numpys:
        np.average(x, axis, weights=w)
    with pytest.raises(go.errors.ShapeError) as ours:
        go.compile(lambda x, w: np.average(x, axis, weights=w))(x, w)
    assert ours.value.args[0].startswith(str(numpys.value))


def test_casts_that_a_ufunc_may_not_make() -> None:
    x: Any = np.arange(3.0)
    functions: list[Any] = [
        lambda x: np.add(x, 1, dtype=int),
        lambda x: np.sqrt(x, dtype=np.int64),
        lambda x: np.multiply(x, 2, casting="no", dtype=np.float32),
    ]
    for f in functions:
        with pytest.raises(TypeError):
            f(x)
        with pytest.raises(go.errors.DTypeError) as caught:
            go.compile(f)(x)
        assert caught.value.location is not None
