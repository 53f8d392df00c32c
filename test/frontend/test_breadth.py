# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""NumPy's functions that are compositions of others: values, dtypes and derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt.errors import ElementError, GradoptError, ShapeError, UnsupportedError

RNG = np.random.default_rng(12)
V = RNG.normal(size=6)
W = RNG.normal(size=6)
P = RNG.uniform(0.2, 2.0, size=6)
M = RNG.normal(size=(4, 6))
C = V + 1j * W
HOLES = np.array([[1.5, np.nan, -2.0], [np.nan, 0.5, 3.0], [0.25, np.nan, np.nan]])
KNOTS = np.sort(RNG.uniform(-2, 2, size=6))
INTS = np.array([3, 1, 4, 1, 5, 9])


def same(actual: Any, expected: Any) -> None:
    """Same structure, shapes, dtypes and values."""
    if isinstance(expected, (tuple, list)):
        assert type(actual) is type(expected)
        assert len(actual) == len(expected)
        for a, e in zip(actual, expected, strict=True):
            same(a, e)
        return
    assert np.shape(actual) == np.shape(expected)
    assert np.asarray(actual).dtype == np.asarray(expected).dtype
    single = np.asarray(expected).dtype in (np.float32, np.complex64)
    tolerance = 2e-5 if single else 1e-12
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def total(result: Any) -> Any:
    """A number that depends on all float results."""
    if isinstance(result, (tuple, list)):
        return sum(total(part) for part in result)
    if result.dtype.kind == "c":
        return total(np.real(result)) + total(np.imag(result))
    return np.sum(np.sin(result)) if result.dtype.kind == "f" else 0.0


def agrees(f: Callable[..., Any], *args: Any, order: int = 1) -> None:
    """Values, those of single precision, and derivatives in all real arguments."""
    with np.errstate(all="ignore"):
        several = [args]
        if all(a.dtype == np.float64 for a in args if isinstance(a, np.ndarray)):
            several += [[a.astype("f") if isinstance(a, np.ndarray) else a for a in args]]
        # One program is cheaper than two.
        found = go.compile(lambda several: [f(*args) for args in several])(several)
        same(found, [f(*args) for args in several])
    reals = [i for i, a in enumerate(args) if np.asarray(a).dtype == np.float64]
    reals = [i for i in reals if np.isfinite(args[i]).all()]
    if reals and order:
        go.gradcheck(lambda *a: total(f(*a)), args, argnums=tuple(reals), order=order)


# -- Statistics --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        lambda m: np.cov(m),
        lambda m: np.cov(m, rowvar=False, bias=True),
        lambda m: np.cov(m, ddof=0),
        lambda m: np.cov(m[0]),
        lambda m: np.cov(m[0], m[1]),
        lambda m: np.cov(m[:2], m[2:], ddof=2),
        lambda m: np.cov(m, fweights=[1, 2, 3, 1, 1, 2]),
        lambda m: np.cov(m, aweights=P),
        lambda m: np.cov(m, aweights=m[0] ** 2, fweights=INTS),
        lambda m: np.cov(m, aweights=P, ddof=0),
        lambda m: np.corrcoef(m),
        lambda m: np.corrcoef(m[0], m[1] * 2, rowvar=False),
        lambda m: np.corrcoef(m[0]),
    ],
)
def test_covariances(f: Any) -> None:
    agrees(f, M)


def test_covariances_of_integers_complex_numbers_and_too_few() -> None:
    agrees(lambda m: np.cov(m), np.array([INTS, INTS[::-1]]))
    agrees(lambda z: (np.cov(z, z * 2j), np.corrcoef(z, z[::-1])), C)
    with pytest.warns(RuntimeWarning):
        expected = np.cov(M[:, :1])
    np.testing.assert_array_equal(go.compile(lambda m: np.cov(m))(M[:, :1]), expected)
    with pytest.raises(GradoptError, match="more than 2 dimensions"):
        go.compile(lambda m: np.cov(m))(np.ones((2, 2, 2)))


@pytest.mark.parametrize(
    "name", ["nanmax", "nanmin", "nanprod", "nansum", "nanmean", "nanvar", "nanstd"]
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_reductions_without_nan(name: str) -> None:
    function = getattr(np, name)

    def f(x):
        return function(x), function(x, (0, 1), keepdims=True), function(x, 0), function(x, axis=1)

    agrees(f, HOLES)
    agrees(f, M[:, :3])
    agrees(f, np.array([INTS, INTS]))
    agrees(f, np.full((2, 2), np.nan))

    def with_holes(x):
        return total(f(np.where(np.isnan(HOLES), np.nan, x)))

    go.gradcheck(with_holes, (RNG.normal(size=(3, 3)),), order=2)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_reductions_without_nan_have_their_keywords() -> None:
    agrees(lambda x: np.nanvar(x, 0, ddof=1), HOLES)
    agrees(lambda x: np.nanstd(x, 1, ddof=1), HOLES)
    agrees(lambda x: np.nanmax(x, initial=2.0), HOLES)
    agrees(lambda x: np.nansum(x, 0, dtype=np.float32), HOLES)
    agrees(lambda x: (np.nancumsum(x), np.nancumsum(x, 1), np.nancumprod(x, axis=0)), HOLES)
    agrees(lambda x: (np.nanargmax(x, 1), np.nanargmin(x, 1), np.nanargmax(x)), HOLES)
    with pytest.raises(ElementError, match="All-NaN slice"):
        go.compile(lambda x: np.nanargmax(x, 0))(np.array([[np.nan, 1.0], [np.nan, 2.0]]))


@pytest.mark.skipif(not hasattr(np, "cumulative_sum"), reason="since NumPy 2.1")
def test_cumulative_sums_and_products() -> None:
    agrees(lambda x: (np.cumulative_sum(x), np.cumulative_sum(x, include_initial=True)), V)
    agrees(lambda m: np.cumulative_prod(m, axis=1, include_initial=True), M)
    agrees(lambda m: np.cumulative_prod(m, axis=0), np.array([INTS, INTS], np.int32))
    with pytest.raises(GradoptError, match="axis"):
        go.compile(lambda m: np.cumulative_sum(m))(M)


# -- Samples -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        lambda m: np.gradient(m),
        lambda m: np.gradient(m, 0.5),
        lambda m: np.gradient(m, 0.5, 2.0, edge_order=2),
        lambda m: np.gradient(m, axis=1),
        lambda m: np.gradient(m, KNOTS, axis=1),
        lambda m: np.gradient(m, np.cumsum(m[0] ** 2 + 1), axis=1, edge_order=2),
        lambda m: np.gradient(m, m[0, 0], axis=0),
        lambda m: np.gradient(m[0], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
        lambda m: np.gradient(m, axis=(1, 0)),
    ],
)
def test_gradient(f: Any) -> None:
    agrees(f, M)


def test_gradient_of_integers_and_of_too_few() -> None:
    agrees(lambda x: np.gradient(x, INTS), INTS**2)
    with pytest.raises(GradoptError, match="at least"):
        go.compile(lambda x: np.gradient(x, edge_order=2))(np.ones(2))


def test_interpolation() -> None:
    x = np.concatenate([np.linspace(-3, 3, 9), (KNOTS[1:] + KNOTS[:-1]) / 2])
    agrees(lambda x, p, y: np.interp(x, p, y), x, KNOTS, W, order=2)
    agrees(lambda x, p, y: np.interp(x, p, y, left=x[0], right=-1.0), x, KNOTS, W)
    agrees(lambda x, y: np.interp(x, KNOTS, y), x.reshape(2, 7), C, order=0)
    agrees(lambda x, y: np.interp(x, [0.5, 3.0, 2.0, -1.0], y[:4], period=4), x + 0.1, W)
    agrees(lambda x, y: np.interp(x[3], KNOTS, y), x, W)
    agrees(lambda x: np.interp(x, [1], [2.0]), x, order=0)
    agrees(lambda x, p, y: np.interp(x, p, y), KNOTS, KNOTS, W, order=0)
    special = np.array([np.nan, np.inf, -np.inf, 0.5, 1.0])
    agrees(lambda x: np.interp(x, [0.0, 1.0, 2.0], [np.inf, 1.0, 1.0]), special)
    agrees(lambda x, p, y, t: np.interp(x, p, y, period=t), x + 0.1, W, V, 1.7)
    with pytest.raises(ElementError, match="non-zero"):
        go.compile(lambda x, t: np.interp(x, x, x, period=t))(x, 0.0)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 100])
def test_places_in_sorted_arrays(side: Any, count: int) -> None:
    table = np.sort(RNG.integers(0, 20, size=count)).astype(float)
    values = np.concatenate([np.arange(-1.0, 21, 0.5), [np.nan, np.inf, -np.inf]])

    def places(a: Any, i: Any, v: Any) -> Any:
        by_order = np.searchsorted([3, 1, 2], v, side, sorter=[1, 2, 0])
        return np.searchsorted(a, v, side), np.searchsorted(i, v, side), by_order

    agrees(places, table, table.astype(np.int32), values, order=0)
    agrees(lambda a, v: np.searchsorted(a, v, side), table, values, order=0)
    if count:
        table[-1] = np.nan
        agrees(lambda a, v: np.searchsorted(a, v.reshape(-1, 1), side), table, values, order=0)


def test_digitize() -> None:
    x = np.array([-1.0, 0.0, 0.5, 1.0, 2.5, 9.0])
    for right in (False, True):

        def places(x: Any, *bins: Any) -> Any:
            return (
                np.digitize(x, [0.0, 1.0, 2.5, 4.0], right),  # noqa: B023
                np.digitize(x, [4.0, 2.5, 1.0, 0.0], right=right),  # noqa: B023
                *[np.digitize(x, b, right) for b in bins],  # noqa: B023
            )

        special = ([1.0, 2.0, np.nan], [1.0, np.nan], [np.nan, np.nan], [1.0, 1.0])
        bins = KNOTS, KNOTS[::-1].copy(), *[np.array(b) for b in special]
        agrees(places, x, *bins, order=0)
    with pytest.raises(ElementError, match="monotonically"):
        go.compile(lambda x, b: np.digitize(x, b))(x, np.array([1.0, 0.0, 2.0]))


def test_differences_and_unwrapped_angles() -> None:
    agrees(lambda x: (np.ediff1d(x), np.ediff1d(x.reshape(2, 3), x[0], [1.0, 2.0])), V)
    agrees(lambda x: np.ediff1d(x, to_end=7), INTS)
    angles = np.array([0.0, 3.1, -3.0, 2.5, 9.2, -9.0])
    agrees(lambda x: (np.unwrap(x), np.unwrap(x, discont=4.0), np.unwrap(x, period=4)), angles)
    agrees(lambda m: np.unwrap(m, axis=0), M * 5)
    agrees(lambda x: (np.unwrap(x, period=4), np.unwrap(x, period=5)), INTS * 3)


# -- Polynomials and windows -------------------------------------------------------------------


def test_polynomials() -> None:
    agrees(lambda p, q: (np.polyadd(p, q[:3]), np.polysub(p[:2], q), np.polymul(p, q[:4])), V, W)
    agrees(lambda p: (np.polyder(p), np.polyder(p, 3), np.polyint(p)), V)
    agrees(lambda p, k: (np.polyint(p, 2, k[:2]), np.polyint(p, 3, 2.0)), V, W)
    agrees(lambda z: np.poly(z), V)
    agrees(lambda z: np.poly(z), C)
    agrees(lambda z: np.poly(z), INTS, order=0)
    agrees(lambda p, x: (np.polyval(p, x), np.polyval(p.reshape(2, 3), x[:3])), V, W)
    with pytest.raises(ShapeError, match="are no sequence"):
        go.compile(lambda p: np.polyval(p, 2.0))(3.0)


def test_the_bessel_function_and_windows() -> None:
    x = np.array([0.0, -0.5, 3.0, -7.9, 8.1, 20.0])
    agrees(lambda x: np.log(np.i0(x)), x, order=2)
    agrees(lambda x: np.i0(x), x, order=0)
    np.testing.assert_allclose(go.grad(go.grad(lambda x: np.i0(x)))(0.0), 0.5, rtol=1e-12)
    agrees(lambda x: np.i0(x), np.array([np.nan, np.inf]))
    agrees(lambda b: np.kaiser(6, b[0] ** 2), np.array([1.5]))

    def windows(x, n):
        parts = [np.hanning(n), np.hamming(n), np.blackman(n), np.bartlett(n), np.kaiser(n, 2.0)]
        return sum(x * w for w in parts) + np.indices((n, n))[1, 2] + x[np.tril_indices(n)[0][:n]]

    same(go.compile(windows)(V, 6), windows(V, 6))


# -- Elements that are put in, left out and chosen ---------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        lambda m, v: np.delete(m, 1),
        lambda m, v: np.delete(m, [0, -1], axis=1),
        lambda m, v: np.delete(m, slice(None, None, 2), 0),
        lambda m, v: np.insert(v, 2, 7.5),
        lambda m, v: np.insert(v, [1, 1, -1], v[:3]),
        lambda m, v: np.insert(m, 1, v, axis=0),
        lambda m, v: np.insert(m, 2, m[:, 0], axis=1),
        lambda m, v: np.insert(m, [2], m[:, :2], axis=1),
        lambda m, v: np.insert(m, slice(0, 3), 0.5, axis=1),
        lambda m, v: np.insert(m, 1, 9),
        lambda m, v: np.resize(m, (3, 11)),
        lambda m, v: np.resize(v, 4),
        lambda m, v: np.choose([0, 1, 2, 1, 0, 2], [v, 2.0, m[0]]),
        lambda m, v: np.choose((v > 0) * 1, [v, m]),
        lambda m, v: np.choose([-1, 5, 1, 0, 2, 7], [v, m[0]], mode="wrap"),
        lambda m, v: np.choose([-1, 5, 1, 0, 2, 7], [v, m[0]], mode="clip"),
        lambda m, v: np.isin(m, v[:2]),
        lambda m, v: np.isin(np.round(m), [[0, 1]], invert=True),
        lambda m, v: m[np.tril_indices_from(m, -1)] * 2,
        lambda m, v: m[:, :4][np.diag_indices_from(m[:, :4])],
        lambda m, v: np.real_if_close(v) * np.array_equiv(m, m[0]),
    ],
)
def test_elements(f: Any) -> None:
    agrees(f, M, V)


def test_elements_that_cannot_be() -> None:
    with pytest.raises(UnsupportedError, match=r"traced index in numpy.delete"):
        go.compile(lambda x, i: np.delete(x, i))(V, np.array([1]))
    with pytest.raises(ElementError, match="invalid entry in choice array"):
        go.compile(lambda i, x: np.choose(i, [x, x]))(np.array([0, 2]), V[:2])


def test_indices() -> None:
    i, j = np.array([0, 2, 1]), np.array([3, 0, 2])
    agrees(lambda i, j: np.ravel_multi_index((i, j), (3, 4)), i, j)
    agrees(lambda i, j: np.ravel_multi_index((i, j), (3, 4), order="F"), i, j)
    agrees(lambda i, j: np.ravel_multi_index((i + 5, j - 9), (3, 4), ("wrap", "clip")), i, j)
    agrees(lambda i: np.unravel_index(i * 5, (3, 4)), i)
    agrees(lambda i: np.unravel_index(i * 5, (2, 3, 2), order="F"), i)
    for f in (
        lambda i: np.ravel_multi_index((i, i), (3, 2)),
        lambda i: np.unravel_index(i, (2, 1)),
    ):
        with pytest.raises(ElementError):
            go.compile(f)(i)


@pytest.mark.parametrize("mode", ["linear_ramp", "maximum", "minimum", "mean", "median"])
def test_pad_modes(mode: Any) -> None:
    agrees(lambda m: np.pad(m, ((2, 3), (1, 0)), mode), M)
    agrees(lambda m: np.pad(m, 2, mode), np.array([INTS, INTS[::-1]]))
    if mode == "linear_ramp":
        agrees(lambda m: np.pad(m, 3, mode, end_values=((1, 2), (3, -4))), M)
    else:
        agrees(lambda m: np.pad(m, 2, mode, stat_length=((1, 2), (3, 90))), M)


@pytest.mark.parametrize("mode", ["reflect", "symmetric"])
def test_pad_reflects_values_too(mode: Any) -> None:
    def padded(m: Any) -> Any:
        # Further than the array is long, so that what is reflected has been so before.
        return np.pad(m, ((2, 9), (1, 0)), mode, reflect_type="odd")

    agrees(padded, M)
    agrees(padded, np.array([INTS, INTS[::-1]]))
    agrees(lambda m: np.pad(m, 3, mode, reflect_type="odd"), M[:1, :2])
    with pytest.raises(UnsupportedError, match=r"reflect_type='odd' of numpy.pad of booleans"):
        go.compile(lambda m: np.pad(m > 0, 1, mode, reflect_type="odd"))(M)

    # What is not reflected about an infinity does not know of it, and zeros keep their signs.
    def widened(row: Any) -> Any:
        widths: Any = ((0, 1), (2, 0), (1, 3), (9, 8))
        return [np.pad(row, width, mode, reflect_type="odd") for width in widths]

    compiled = go.compile(widened)
    for values in ([np.inf, 1, -0.0, 3], [0.0, -0.0, 2, -np.inf], [-0.0, np.nan, 1, np.nan]):
        row = np.array(values)
        with np.errstate(invalid="ignore"):
            wanted = widened(row)
        for got, want in zip(compiled(row), wanted, strict=True):
            np.testing.assert_array_equal(got, want)
            np.testing.assert_array_equal(np.signbit(got[want == 0]), np.signbit(want[want == 0]))
    agrees(padded, np.array([[200, 7, 255], [0, 1, 3], [9, 8, 7]], np.uint8))


# -- Parts of numbers --------------------------------------------------------------------------

SPECIAL = (
    *(0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0, 0.1, 1e300, -1e-300, 5e-324, -5e-324, 2.3e-308),
    *(np.inf, -np.inf, np.nan, np.finfo(float).max, np.finfo(float).tiny, 1 - 2**-53),
)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_mantissas_exponents_and_neighbours(dtype: Any) -> None:
    x = np.concatenate([SPECIAL, RNG.normal(size=50) * 10.0 ** RNG.integers(-40, 38, 50)])
    with np.errstate(all="ignore"):
        x = x.astype(dtype)
        x = np.concatenate([x, [np.finfo(dtype).smallest_subnormal * 3, np.finfo(dtype).max]])
        x = x.astype(dtype)
        finite = x[np.isfinite(x)]
        got, want = go.compile(lambda x: np.frexp(x))(finite), np.frexp(finite)
        for a, b in zip(got, want, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        shifts = np.array([0, 1, -1, 60, -60, 1000, -1000, 1070, -1070, 2100, -2100])
        for f, args in (
            (lambda x, i: np.ldexp(x, i), (x[:, None], shifts)),
            (lambda x: np.spacing(x), (x,)),
            (lambda x, y: np.nextafter(x, y), (x[:, None], x)),
        ):
            got, want = go.compile(f)(*args), f(*args)
            assert got.dtype == want.dtype
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_signs_of_fractions_that_are_zero(dtype: Any) -> None:
    x = np.array([-np.inf, -3, -1.5, -0.0, 0, 0.25, 2, np.inf, np.nan], dtype)
    for got, want in zip(go.compile(np.modf)(x), np.modf(x), strict=True):
        np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(np.signbit(got[:-1]), np.signbit(want[:-1]))
    slopes = go.compile_grad(lambda x: np.sum(np.modf(x)[0]))(x[1:-2])
    np.testing.assert_array_equal(slopes, np.ones(6))


def test_remainders_where_the_quotient_is_no_number_of_the_type() -> None:
    x, y = np.array([1.0, -100, 6e4], np.float16), np.array([6e-8, 6e-8, -6e-8], np.float16)

    def rests(x: Any, y: Any) -> Any:
        return np.fmod(x, y), np.remainder(x, y), *np.divmod(x, y)

    with np.errstate(all="ignore"):
        same(go.compile(rests)(x, y), rests(x, y))
    np.testing.assert_array_equal(go.grad(lambda x: np.sum(np.fmod(x, y)))(x), np.ones(3))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_remainders_of_quotients_that_have_no_digits_left(dtype: Any) -> None:
    x = np.array([1e20, -1e18, 2.0**60 + 256, 9e15, 2.0**53, -1e30, 1e38], dtype)
    y = np.array([3.0, 0.1, -3.0, 3.0, 1.0, 0.7, 1e8], dtype)

    def rests(x: Any, y: Any) -> Any:
        return np.fmod(x, y), np.remainder(x, y), np.floor_divide(x, y)

    for got, want in zip(go.compile(rests)(x, y), rests(x, y), strict=True):
        np.testing.assert_array_equal(got, want)
    quotient, rest = go.compile(np.divmod)(dtype(1e30), dtype(1e-3))
    assert quotient == np.floor_divide(dtype(1e30), dtype(1e-3))
    assert np.isnan(rest)


def test_derivatives_of_parts() -> None:
    go.gradcheck(lambda x: total(np.ldexp(x, [1, -2, 3, 0, 5, 2])), (V,))
    go.gradcheck(lambda x: total(np.frexp(x)[0]), (V * 3,))
    assert go.grad(lambda x: np.nextafter(x, 2.0) * 3)(1.5) == 3.0
    assert go.grad(lambda x: np.spacing(x) * x)(1.5) == np.spacing(1.5)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint8, np.uint64])
def test_divisors_and_bits(dtype: Any) -> None:
    a = np.array([0, 0, 12, 18, 7, 100, 1, 96], dtype)
    b = np.array([0, 5, 18, 12, 13, 75, 0, 36], dtype)
    if np.issubdtype(dtype, np.signedinteger):
        a = a * np.array([1, 1, -1, 1, -1, -1, 1, 1], dtype)
    agrees(lambda a, b: (np.gcd(a, b), np.bitwise_count(a)), a, b)
    agrees(lambda a, b: np.lcm(a, b), a // 4, b // 4)
    agrees(lambda a: np.gcd(a, 6), a)
    # The size of the least integer is no integer of the type.
    least = np.array([np.iinfo(dtype).min, 7, np.iinfo(dtype).max], dtype)
    agrees(lambda a: np.gcd(a[:, None], a), least)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint32, np.uint64])
def test_powers_of_integers(dtype: Any) -> None:
    a = np.array([0, 0, 1, 2, 3, 7, 127, 5], dtype)
    n = np.array([0, 5, 99, 7, 100, 63, 3, 1], dtype)
    agrees(lambda a, n: (a**n, a[:, None] ** n, 2**n, a ** n[3], a**100), a, n)
    agrees(lambda a, n: ((a > 0) ** (n > 0), a[:0] ** n[:0], a ** n.astype(np.int16)), a, n)
    np.testing.assert_array_equal(
        go.grad(lambda x, a, n: np.sum(x * a**n))(np.ones(8), a, n), (a**n).astype(float)
    )


def test_negative_powers_of_integers_are_errors() -> None:
    message = "integers to negative integer powers are not allowed, but an exponent is -2"
    for function in (lambda a, n: a**n, lambda a, n: a**-2, lambda a, n: a ** np.array([1, -2, 0])):
        with pytest.raises(ValueError, match=message):
            go.compile(function)(np.array([1, 2, 3]), np.array([0, -2, -1]))


@pytest.mark.skipif(not hasattr(np, "matvec"), reason="since NumPy 2.2")
def test_products_of_matrices_and_vectors() -> None:
    agrees(lambda m, v: (np.matvec(m, v), np.matvec(m[None], m)), M, V)
    agrees(lambda m, v: np.vecmat(v[:4], m), M, V)
    agrees(lambda z: np.vecmat(z, np.ones((6, 2)) * 1j), C, order=0)
    for function in (np.matvec, np.vecmat):
        with pytest.raises(ShapeError, match="has 1 dimensions, but needs 2"):
            go.compile(lambda v: function(v, v))(V)  # noqa: B023


def test_arrays_of_other_kinds() -> None:
    agrees(lambda x: np.asanyarray(x) + np.ascontiguousarray(x) + np.asfortranarray(x), V)
    agrees(lambda x: np.ascontiguousarray(x[0]) * np.asanyarray([x[1], 2.0]), V)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_complex_numbers() -> None:
    holes = np.where(np.isnan(HOLES), np.nan, HOLES * (1 + 2j))
    for f in (np.nanvar, np.nanstd):
        agrees(lambda z: f(z, 0, ddof=1), holes, order=0)  # noqa: B023
        agrees(lambda x: f(x * (1 + 2j)), V, order=2)  # noqa: B023
    agrees(lambda x, y: np.float_power(x + 1j * y, 2.5), P, V)
    agrees(lambda z: np.float_power(z.astype(np.complex64), np.arange(6)), C, order=0)
    assert go.compile(lambda z: (np.iscomplexobj(z), np.isrealobj(z)))(C) == (True, False)
    assert go.compile(lambda x: (np.iscomplexobj(x), np.isrealobj(x)))(V) == (False, True)


def test_traced_shifts() -> None:
    agrees(lambda m, i: np.roll(m, i[0], 1), M, INTS)
    agrees(lambda m, i: np.roll(m, -i[1] - 7), M, INTS)
    agrees(lambda m, i: np.roll(m, (i[2], -i[4]), (0, 1)), M, INTS)
    agrees(lambda m, i: np.roll(m, i[2], (0, 1)), M, INTS)
    agrees(lambda m, i: np.roll(m[:0], i[0], 0), M, INTS, order=0)
