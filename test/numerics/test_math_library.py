# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The elementary functions of runtime/math, called by themselves, against wider arithmetic.

Single precision is compared with NumPy and SciPy in double precision, double precision with
NumPy in the 64-bit mantissa of `longdouble`, and with mpmath where NumPy has no function. The
error is counted in units in the last place of the exact result, over the whole domain: every
exponent, subnormal numbers, and the places where a formula of the implementation gives way to
another. Special values are those of NumPy.
"""

import ctypes
import os
from pathlib import Path

import mpmath
import numpy as np
import pytest
import scipy.special
from budget import budget, generator

pytestmark = pytest.mark.random
MAX_ULP = 4.0
TYPES = {"f32": np.float32, "f64": np.float64}
CTYPES = {"f32": ctypes.c_float, "f64": ctypes.c_double}

UNARY = {
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "cbrt": np.cbrt,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "erf": scipy.special.erf,
    "erfc": scipy.special.erfc,
}
MPMATH_ONLY = {"erf": mpmath.erf, "erfc": mpmath.erfc}
BINARY = {"pow": np.power, "atan2": np.arctan2}

# Where a function has values that are neither 0, 1 nor infinite; besides, all are
# tried with every exponent there is.
RANGES = {
    "exp": [(-110, 95), (-750, 712), (-1, 1)],
    "exp2": [(-160, 130), (-1080, 1026), (-1, 1)],
    "expm1": [(-50, 95), (-1, 1), (700, 712)],
    "log": [(0, 3), (0.5, 1.5), (0.99, 1.01)],
    "log2": [(0, 3), (0.5, 1.5), (0.99, 1.01)],
    "log10": [(0, 3), (0.5, 1.5), (0.99, 1.01)],
    "log1p": [(-1, 2), (-0.01, 0.01), (-0.9999, -0.99)],
    "cbrt": [(-10, 10)],
    "sin": [(-10, 10), (-40000, 40000), (0, 1e12), (0, 2e39)],
    "cos": [(-10, 10), (-40000, 40000), (0, 1e12), (0, 2e39)],
    "tan": [(-10, 10), (-40000, 40000), (0, 1e12), (0, 2e39)],
    "asin": [(-1.1, 1.1), (-0.51, -0.49), (0.999, 1)],
    "acos": [(-1.1, 1.1), (-0.51, -0.49), (0.999, 1)],
    "atan": [(-4, 4), (-100, 100)],
    "sinh": [(-100, 100), (-1, 1), (-712, 712)],
    "cosh": [(-100, 100), (-1, 1), (-712, 712)],
    "tanh": [(-1, 1), (-25, 25)],
    "asinh": [(-3, 3), (-1000, 1000)],
    "acosh": [(0.9, 3), (1, 1.001), (1, 1000)],
    "atanh": [(-1.1, 1.1), (-0.01, 0.01), (0.999, 1)],
    "erf": [(-7, 7), (0.9, 1.1)],
    "erfc": [(-7, 11), (10, 28), (-1, 1)],
}


@pytest.fixture(scope="module")
def math_library():
    """The functions as a shared library, which the build makes for these tests."""
    build = os.environ.get("GRADOPT_BUILD_DIR") or Path(__file__).parents[2] / "build/release"
    return ctypes.CDLL(str(Path(build, "test", "libgradopt_math_test.so")))


@pytest.fixture(scope="module")
def call(math_library):
    """A function that applies a scalar library function to whole arrays."""

    def apply(name, suffix, *arguments):
        scalar = CTYPES[suffix]
        loop = getattr(math_library, f"gradopt_test_map{len(arguments)}_{suffix}")
        pointer = ctypes.POINTER(scalar)
        loop.argtypes = [ctypes.c_void_p] + [pointer] * (len(arguments) + 1) + [ctypes.c_size_t]
        function = ctypes.cast(getattr(math_library, f"gradopt_{name}_{suffix}"), ctypes.c_void_p)
        arrays = [np.ascontiguousarray(a, TYPES[suffix]) for a in arguments]
        result = np.empty_like(arrays[0])
        loop(function, *[a.ctypes.data_as(pointer) for a in [*arrays, result]], result.size)
        return result

    return apply


def ulps(got, exact):
    """The error in units in the last place of the exact result; infinite where only one is."""
    with np.errstate(all="ignore"):
        rounded = exact.astype(got.dtype)
        unit = np.spacing(np.abs(rounded)).astype(exact.dtype)
        error = np.abs(got.astype(exact.dtype) - exact) / unit
    finite = np.isfinite(got) & np.isfinite(rounded)
    same = (np.isnan(got) & np.isnan(rounded)) | (got == rounded)
    # A result next to the overflow threshold may round either way.
    largest = np.finfo(got.dtype).max
    edge = np.isinf(got) & (np.abs(exact) > largest * (1 - 8 * np.finfo(got.dtype).eps))
    return np.where(finite, error, np.where(same | (edge & ~np.isnan(exact)), 0, np.inf))


def samples(dtype, ranges, count, rng):
    """Points of the ranges, of every exponent and sign, and neighbours of multiples of pi/4."""
    with np.errstate(over="ignore"):
        parts = [rng.uniform(low, high, count).astype(dtype) for low, high in ranges]
    bits = rng.integers(
        0, 2 ** (8 * np.dtype(dtype).itemsize), 2 * count, dtype=f"u{np.dtype(dtype).itemsize}"
    )
    parts.append(bits.view(dtype))
    parts.append((np.arange(1, count // 10) * (np.pi / 4)).astype(dtype))
    values = np.concatenate(parts)
    return values[np.isfinite(values)]


def exact_unary(name, x):
    with np.errstate(all="ignore"):
        if x.dtype == np.float32:
            return UNARY[name](x.astype(np.float64))
        if name in MPMATH_ONLY:
            with mpmath.workprec(90):
                values = [MPMATH_ONLY[name](mpmath.mpf(float(v))) for v in np.clip(x, -30, 30)]
                high = np.array([float(v) for v in values])
                low = np.array([float(v - h) for v, h in zip(values, high, strict=True)])
            exact = high.astype(np.longdouble) + low
            return np.copysign(exact, x) if name == "erf" else exact
        return UNARY[name](x.astype(np.longdouble))


def report(name, suffix, errors, *arguments):
    worst = int(np.argmax(errors))
    at = ", ".join(a[worst].hex() for a in map(np.float64, arguments))
    print(f"{name}_{suffix}: {errors[worst]:.2f} ulp at {at}")
    assert errors[worst] <= MAX_ULP, f"{name}_{suffix}({at}) is off by {errors[worst]} ulp"


@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize("name", UNARY)
def test_unary_function_is_accurate(call, name, suffix):
    slow = name in MPMATH_ONLY and suffix == "f64"
    x = samples(TYPES[suffix], RANGES[name], budget(700 if slow else 30000), generator(1))
    errors = ulps(call(name, suffix, x), exact_unary(name, x))
    report(name, suffix, errors, x)


@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize("name", BINARY)
def test_binary_function_is_accurate(call, name, suffix):
    rng = generator(2)
    dtype = TYPES[suffix]
    pairs = [(rng.uniform(0, 10, 30000), rng.uniform(-20, 20, 30000))]
    pairs.append((rng.uniform(-3, 3, 30000), rng.integers(-40, 40, 30000)))
    pairs.append((rng.uniform(0.99, 1.01, 30000), rng.uniform(-70000, 70000, 30000)))
    pairs.append(
        (samples(dtype, [], 50000, rng)[:90000], samples(dtype, [(-2, 2)], 50000, rng)[:90000])
    )
    # Exponents that are near to each other, subnormal numbers of few bits among them.
    info = np.finfo(dtype)
    exponent = rng.uniform(info.minexp - info.nmant, info.maxexp - 5, 30000)
    pairs.append((2.0**exponent, 2.0 ** (exponent + rng.uniform(-4, 4, 30000))))
    few = rng.integers(1, 200, (2, 30000)).astype(dtype) * info.smallest_subnormal
    pairs.append((few[0], few[1]))
    x, y = (np.concatenate(part).astype(dtype) for part in zip(*pairs, strict=True))
    wide = np.float64 if suffix == "f32" else np.longdouble
    with np.errstate(all="ignore"):
        exact = BINARY[name](x.astype(wide), y.astype(wide))
    report(name, suffix, ulps(call(name, suffix, x, y), exact), x, y)


def special_values(dtype):
    info = np.finfo(dtype)
    positive = [
        0.0,
        info.smallest_subnormal,
        info.tiny,
        0.5,
        1.0,
        1.5,
        2.0,
        3.0,
        1e30,
        info.max,
        np.inf,
    ]
    return np.array([*positive, *(-v for v in positive), np.nan, -np.nan], dtype)


@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize("name", [n for n in UNARY if n not in ("sin", "cos", "tan")])
def test_special_values_are_those_of_numpy(call, name, suffix):
    x = special_values(TYPES[suffix])
    got = call(name, suffix, x)
    exact = exact_unary(name, x)
    report(name, suffix, ulps(got, exact), x)
    known = ~np.isnan(got)
    np.testing.assert_array_equal(np.signbit(got[known]), np.signbit(exact[known]))


@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_trigonometric_special_values(call, name, suffix):
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan], TYPES[suffix])
    at_zero = [1.0, 1.0] if name == "cos" else [0.0, -0.0]
    got = call(name, suffix, x)
    np.testing.assert_array_equal(got, np.array([*at_zero, np.nan, np.nan, np.nan], x.dtype))
    np.testing.assert_array_equal(np.signbit(got[:2]), np.signbit(at_zero))


@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize("name", BINARY)
def test_binary_special_values_are_those_of_numpy(call, name, suffix):
    values = special_values(TYPES[suffix])
    x, y = (a.ravel() for a in np.meshgrid(values, values))
    got = call(name, suffix, x, y)
    wide = np.float64 if suffix == "f32" else np.longdouble
    with np.errstate(all="ignore"):
        exact = BINARY[name](x.astype(wide), y.astype(wide))
    report(name, suffix, ulps(got, exact), x, y)
    known = ~np.isnan(got)
    np.testing.assert_array_equal(np.signbit(got[known]), np.signbit(exact[known]))


@pytest.mark.parametrize("suffix", TYPES)
def test_powers_of_the_base_have_exact_logarithms(call, suffix):
    exponents = np.arange(-30, 31)
    np.testing.assert_array_equal(call("log2", suffix, 2.0**exponents), exponents)
    tens = np.arange(0, 11 if suffix == "f32" else 23)
    np.testing.assert_array_equal(call("log10", suffix, 10.0**tens), tens)
    cubes = np.arange(-100, 101)
    np.testing.assert_array_equal(call("cbrt", suffix, cubes**3), cubes)


@pytest.mark.parametrize("suffix", TYPES)
def test_quotients_from_a_reciprocal_are_rounded_correctly(math_library, suffix):
    """A GPU divides so. Its reciprocals have 23 digits, and for f64 some 20, in base two."""
    rng, dtype, count = generator(5), TYPES[suffix], budget(100000)
    b = 2 * np.exp(rng.uniform(0, 40 if suffix == "f64" else 20, count)).astype(dtype)
    a = (b * np.exp2(-60 * rng.uniform(0, 1, count) ** 4) * rng.uniform(0, 1, count)).astype(dtype)
    most = 2 if suffix == "f32" else 1 << 33
    wrong, quotients = rng.integers(-most, most, count, endpoint=True), np.empty_like(a)
    divide = getattr(math_library, f"gradopt_test_divide_{suffix}")
    pointers = (ctypes.c_void_p(v.ctypes.data) for v in (a, b, wrong, quotients))
    divide(*pointers, ctypes.c_ulong(count))
    np.testing.assert_array_equal(quotients, a / b)


def test_integer_power_wraps_and_truncates(math_library):
    power = math_library.gradopt_ipow_i64
    power.argtypes, power.restype = [ctypes.c_int64] * 2, ctypes.c_int64
    for base in (-3, -2, -1, 0, 1, 2, 7, 2**40 + 1):
        for exponent in (0, 1, 2, 3, 5, 31, 62, 63, 64, 100):
            exact = (base**exponent + 2**63) % 2**64 - 2**63
            assert power(base, exponent) == exact, (base, exponent)
    assert [power(b, -3) for b in (-2, -1, 1, 5)] == [0, -1, 1, 0]
    assert power(-1, -4) == 1


def exact_erfcinv(y):
    """By Newton's method from what SciPy has."""
    root = mpmath.mpf(float(scipy.special.erfcinv(float(y))))
    for _ in range(4):
        root += (mpmath.erfc(root) - y) * mpmath.exp(root**2) * mpmath.sqrt(mpmath.pi) / 2
    return root


def exact_log_ndtr(x):
    scaled = x / mpmath.sqrt(2)
    if x < 0:
        return mpmath.log(mpmath.erfc(-scaled) / 2)
    return mpmath.log1p(-mpmath.erfc(scaled) / 2)


# Special functions: mpmath's, and where they are compared with it. Numbers of other exponents,
# down to the smallest ones, are added where the domain has them.
SPECIAL = {
    "gammaln": (
        lambda x: mpmath.log(abs(mpmath.gamma(x))),
        [(0, 3), (0, 10), (3, 300), (0.99, 1.01), (1.99, 2.01), (1e3, 1e9)],
        (-30, 0),
    ),
    "psi": (lambda x: mpmath.psi(0, x), [(0, 3), (0, 12), (8, 1e4), (1.45, 1.47)], (-30, 0)),
    "trigamma": (lambda x: mpmath.psi(1, x), [(0, 3), (0, 12), (8, 1e5)], (-15, 0)),
    "erfcx": (
        lambda x: mpmath.exp(x * x) * mpmath.erfc(x),
        [(-5, 5), (0, 30), (-9, -5), (0, 1000)],
        (-30, 0),
    ),
    "ndtr": (lambda x: mpmath.erfc(-x / mpmath.sqrt(2)) / 2, [(-3, 3), (-12, 8)], (-30, 0)),
    "log_ndtr": (exact_log_ndtr, [(-3, 3), (-40, 12), (-1e4, -1)], (-30, 0)),
    "erfcinv": (exact_erfcinv, [(0, 2), (0, 1e-3), (0.9, 1.1)], (-35, 0)),
    "ndtri": (
        lambda p: -mpmath.sqrt(2) * exact_erfcinv(2 * p),
        [(0, 1), (0, 1e-3), (0.45, 0.55)],
        (-35, -1),
    ),
}


@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize("name", SPECIAL)
def test_special_function_is_accurate(call, name, suffix):
    function, ranges, exponents = SPECIAL[name]
    rng, count, dtype = generator(3), budget(60), TYPES[suffix]
    parts = [rng.uniform(low, high, count) for low, high in ranges]
    scale = 8 if suffix == "f64" else 1
    parts.append(10.0 ** (rng.uniform(*exponents, count) * scale))
    x = np.concatenate(parts).astype(dtype)
    x = x[(x > 0) | (x < 0)]
    with mpmath.workprec(200):
        values = [function(mpmath.mpf(float(v))) for v in x]
        high = np.array([float(v) for v in values])
        low = np.array([float(v - h) for v, h in zip(values, high, strict=True)])
    report(name, suffix, ulps(call(name, suffix, x), high.astype(np.longdouble) + low), x)


@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize("name", [n for n in SPECIAL if n != "trigamma"])
def test_special_values_are_those_of_scipy(call, name, suffix):
    x = np.array([0.0, -0.0, 0.5, 1.0, 2.0, -1.0, -2.0, 1e30, np.inf, -np.inf, np.nan])
    with np.errstate(all="ignore"):
        want = getattr(scipy.special, name)(x).astype(TYPES[suffix])
    tolerance = 1e-14 if suffix == "f64" else 1e-6
    np.testing.assert_allclose(call(name, suffix, x), want, tolerance)
