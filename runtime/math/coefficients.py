#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fits the polynomial coefficients in `coefficients.h`.

Usage: `python3 coefficients.py > coefficients.h` (needs mpmath; takes a minute or two).

Each entry states a smooth function F(x), the interval, a weight and the number of coefficients.
The Remez exchange algorithm then finds the polynomial P of that length, which minimises the
largest weight(x) * |P(x) - F(x)|: with the weights below that is the relative error which the
truncated polynomial leaves in the elementary function itself. The exact leading terms (the `x`
of sin, the `1 + r` of exp) are left out of F and added back in the code, so rounding a
coefficient costs next to nothing. The comment behind each array gives that error as a power of
two, before rounding of the coefficients.
"""

import struct
import sys

from mpmath import mp, mpf

mp.dps = 60


def remez(function, weight, low, high, count, rounds=8):
    """Returns (coefficients in ascending order, weighted error) of the minimax polynomial."""
    low, high = mpf(low), mpf(high)

    def nodes(n):
        return [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / (n - 1)) for i in range(n)]

    # Points where the weight is zero or F has a removable singularity are kept off the grid.
    nudge = (high - low) * mpf(2) ** -60
    points = [p + nudge * (1 if p <= (low + high) / 2 else -1) for p in nodes(count + 1)]
    grid = [p + nudge * (1 if p <= (low + high) / 2 else -1) for p in nodes(16 * count + 1)]
    table = [(x, function(x), weight(x)) for x in grid]
    coefficients, worst = None, None
    for _ in range(rounds):
        matrix, right = mp.matrix(count + 1), mp.matrix(count + 1, 1)
        for i, x in enumerate(points):
            for j in range(count):
                matrix[i, j] = x**j
            matrix[i, count] = (-1) ** i / weight(x)
            right[i] = function(x)
        solution = mp.lu_solve(matrix, right)
        coefficients = [solution[j] for j in range(count)]
        errors = [(mp.polyval(coefficients[::-1], x) - f) * w for x, f, w in table]
        worst = max(abs(e) for e in errors)
        # The new points: the largest error of each run of equal sign.
        extrema, run = [], []
        for (x, _, _), error in zip(table, errors, strict=True):
            if run and (run[-1][1] > 0) != (error > 0):
                extrema.append(max(run, key=lambda item: abs(item[1])))
                run = []
            run.append((x, error))
        extrema.append(max(run, key=lambda item: abs(item[1])))
        while len(extrema) > count + 1:
            extrema.pop(0 if abs(extrema[0][1]) < abs(extrema[-1][1]) else -1)
        if len(extrema) < count + 1:
            break
        points = [x for x, _ in extrema]
        smallest = min(abs(e) for _, e in extrema)
        if worst < smallest * mpf("1.02"):
            break
    return coefficients, worst


def series_safe(function, value_at_zero):
    """F with its removable singularity at 0 filled in; near it extra digits are used."""

    def safe(x):
        if x == 0:
            return mpf(value_at_zero)
        with mp.workdps(160):
            return +function(mpf(x))

    return safe


def one(_):
    return mpf(1)


def literal(value, kind):
    if kind == "float":
        return struct.unpack("f", struct.pack("f", float(value)))[0].hex() + "f"
    return float(value).hex()


def scaled_erfc(t, k):
    """(x + k) exp(x^2) erfc(x) at x = k (1 + t) / (1 - t)."""
    with mp.workdps(120):
        x = k * (1 + mpf(t)) / (1 - mpf(t))
        return +((x + k) * mp.exp(x * x) * mp.erfc(x))


def inverse_erf_ratio(w):
    """erfinv(x) / x at x = sqrt(1 - e^(-w))."""
    if w < mpf(10) ** -40:
        return mp.sqrt(mp.pi) / 2
    with mp.workdps(80):
        x = mp.sqrt(-mp.expm1(-w))
        complement = mp.exp(-w) / (1 + x)
        y = mp.sqrt(w) if w > 4 else mp.erfinv(x)
        for _ in range(9 if w > 4 else 0):
            # Halley's method for erfc(y) = 1 - x.
            step = (complement - mp.erfc(y)) * mp.exp(y * y) * mp.sqrt(mp.pi) / 2
            y = y - step / (1 + y * step)
        return +(y / x)


def far_inverse_erf(center):
    """The same ratio as a function of sqrt(w) - center."""
    return lambda t: inverse_erf_ratio((t + mpf(center)) ** 2)


def farthest_inverse_erf(center):
    """The ratio over s = sqrt(w), as a function of 1 / s - center."""
    return lambda t: inverse_erf_ratio(1 / (t + mpf(center)) ** 2) * (t + mpf(center))


def stirling_rest(x):
    """x times what Stirling's formula lacks of log(gamma(x))."""
    with mp.workdps(120):
        return +(x * (mp.loggamma(x) - (x - 0.5) * mp.log(x) + x - mp.log(2 * mp.pi) / 2))


def psi_rest(x):
    """x^2 (log(x) - 1 / (2 x) - psi(x))."""
    with mp.workdps(120):
        return +(x * x * (mp.log(x) - 1 / (2 * x) - mp.psi(0, x)))


def trigamma_rest(x):
    """x^3 (psi'(x) - 1 / x - 1 / (2 x^2))."""
    with mp.workdps(120):
        return +(x**3 * (mp.psi(1, x) - 1 / x - 1 / (2 * x * x)))


psi_root = mp.findroot(lambda x: mp.psi(0, x), mpf("1.4616321449683623"))


def through_root(function):
    """Turns a function of x into one of z = x^2."""
    return lambda z: function(mp.sqrt(z))


half_ln2, half_pi = mp.log(2) / 2, mp.pi / 2
sqrt2 = mp.sqrt(2)
octant = sqrt2 - 1  # tan(pi / 8)
pow_limit = ((sqrt2 - 1) / (sqrt2 + 1)) ** 2

# name: (what P approximates, F, weight, low, high, coefficients for double, for float)
FITS = {
    "exp": (
        "(e^r - 1 - r) / r^2, |r| <= ln(2)/2",
        series_safe(lambda r: (mp.exp(r) - 1 - r) / r**2, 0.5),
        lambda r: abs(r) + mpf("1e-3"),
        -half_ln2 * 1.001,
        half_ln2 * 1.001,
        10,
        5,
    ),
    "exp2": (
        "(2^r - 1) / r, |r| <= 1/2",
        series_safe(lambda r: (mp.mpf(2) ** r - 1) / r, mp.log(2)),
        lambda r: (abs(r) + mpf("1e-3")) / mp.mpf(2) ** r,
        -0.5001,
        0.5001,
        11,
        6,
    ),
    "log": (
        "(log(1 + f) - f + f^2/2) / f^3, sqrt(1/2) <= 1 + f <= sqrt(2)",
        series_safe(lambda f: (mp.log(1 + f) - f + f * f / 2) / f**3, mpf(1) / 3),
        lambda f: f * f + mpf("1e-4"),
        1 / sqrt2 - 1,
        sqrt2 - 1,
        19,
        8,
    ),
    "log_wide": (
        "(2 atanh(s) - 2 s - 2/3 s^3) / s^5 in z = s^2, s = f / (2 + f) with f as for log",
        through_root(
            series_safe(lambda s: (2 * mp.atanh(s) - 2 * s - 2 * s**3 / 3) / s**5, mpf(2) / 5)
        ),
        lambda z: z * z + mpf("1e-7"),
        0,
        pow_limit * 1.001,
        8,
        3,
    ),
    "sin": (
        "(sin(r) - r) / r^3 in z = r^2, |r| <= pi/2",
        through_root(series_safe(lambda r: (mp.sin(r) - r) / r**3, mpf(-1) / 6)),
        lambda z: z + mpf("1e-3"),
        0,
        (half_pi * 1.003) ** 2,
        8,
        4,
    ),
    "sin_narrow": (
        "(sin(r) - r) / r^3 in z = r^2, |r| <= pi/4",
        through_root(series_safe(lambda r: (mp.sin(r) - r) / r**3, mpf(-1) / 6)),
        lambda z: z + mpf("1e-3"),
        0,
        (half_pi / 2 * 1.005) ** 2,
        6,
        3,
    ),
    "cos_narrow": (
        "(cos(r) - 1 + r^2/2) / r^4 in z = r^2, |r| <= pi/4",
        through_root(series_safe(lambda r: (mp.cos(r) - 1 + r * r / 2) / r**4, mpf(1) / 24)),
        lambda z: z * z + mpf("1e-3"),
        0,
        (half_pi / 2 * 1.005) ** 2,
        6,
        3,
    ),
    "asin": (
        "(asin(x) - x) / x^3 in z = x^2, |x| <= 1/2",
        through_root(series_safe(lambda x: (mp.asin(x) - x) / x**3, mpf(1) / 6)),
        lambda z: z + mpf("1e-3"),
        0,
        0.25,
        12,
        5,
    ),
    "atan": (
        "(atan(t) - t) / t^3 in z = t^2, |t| <= tan(pi/8)",
        through_root(series_safe(lambda t: (mp.atan(t) - t) / t**3, mpf(-1) / 3)),
        lambda z: z + mpf("1e-3"),
        0,
        octant**2 * 1.001,
        11,
        5,
    ),
    "sinh": (
        "(sinh(r) - r) / r^3 in z = r^2, |r| <= ln(2)/2",
        through_root(series_safe(lambda r: (mp.sinh(r) - r) / r**3, mpf(1) / 6)),
        lambda z: z + mpf("1e-3"),
        0,
        (half_ln2 * 1.001) ** 2,
        5,
        2,
    ),
    "cosh": (
        "(cosh(r) - 1 - r^2/2) / r^4 in z = r^2, |r| <= ln(2)/2",
        through_root(series_safe(lambda r: (mp.cosh(r) - 1 - r * r / 2) / r**4, mpf(1) / 24)),
        lambda z: z * z + mpf("1e-3"),
        0,
        (half_ln2 * 1.001) ** 2,
        5,
        2,
    ),
    "erf": (
        "erf(x) / x - 1 in z = x^2, |x| <= 1",
        through_root(series_safe(lambda x: mp.erf(x) / x - 1, 2 / mp.sqrt(mp.pi) - 1)),
        one,
        0,
        1,
        12,
        7,
    ),
    "erfc": (
        "(x + 3/2) e^(x^2) erfc(x) in t = (x - 3/2) / (x + 3/2), 0.5 <= x <= 28 (float: 11)",
        lambda t: scaled_erfc(t, mpf("1.5")),
        one,
        -0.5,
        {"double": 53.0 / 59, "float": 19.0 / 25},
        25,
        11,
    ),
    "erfinv": (
        "erfinv(x) / x in t = w - 3.125, 0 <= w <= 6.25, w = -log(1 - x^2)",
        lambda t: inverse_erf_ratio(t + mpf("3.125")),
        lambda t: 1 / inverse_erf_ratio(t + mpf("3.125")),
        -3.125,
        3.125,
        24,
        11,
    ),
    "erfinv_far": (
        "the same in t = sqrt(w) - 4.25, 2.5 <= sqrt(w) <= 6.01 (float: - 3.25, <= 4)",
        {"double": far_inverse_erf("4.25"), "float": far_inverse_erf("3.25")},
        {
            "double": lambda t: 1 / far_inverse_erf("4.25")(t),
            "float": lambda t: 1 / far_inverse_erf("3.25")(t),
        },
        {"double": -1.751, "float": -0.751},
        {"double": 1.76, "float": 0.75},
        29,
        9,
    ),
    "erfcx": (
        "(x + 2) e^(x^2) erfc(x) in t = (x - 2) / (x + 2), x >= 0",
        lambda t: scaled_erfc(t, mpf(2)),
        one,
        -1,
        1,
        28,
        12,
    ),
    "erfcinv_far": (
        "erfcinv(y) / s in t = 1 / s - 0.1 (float: 0.17), s = sqrt(-log(y (2 - y))), "
        "6 <= s <= 27.5 (float: 4, 10.5)",
        {"double": farthest_inverse_erf("0.1"), "float": farthest_inverse_erf("0.17")},
        {
            "double": lambda t: 1 / farthest_inverse_erf("0.1")(t),
            "float": lambda t: 1 / farthest_inverse_erf("0.17")(t),
        },
        {"double": 1 / mpf(27.5) - mpf("0.1"), "float": 1 / mpf(10.5) - mpf("0.17")},
        {"double": 1 / mpf(5.99) - mpf("0.1"), "float": 1 / mpf(3.99) - mpf("0.17")},
        25,
        8,
    ),
    "gammaln": (
        "log(gamma(x)) / ((x - 1) (x - 2)) in t = x - 2, |t| <= 1/2",
        series_safe(lambda t: mp.loggamma(2 + t) / ((1 + t) * t), 1 - mp.euler),
        one,
        -0.5,
        0.5,
        18,
        9,
    ),
    "gammaln_far": (
        "x (log(gamma(x)) - (x - 1/2) log(x) + x - log(2 pi) / 2) in z = 1 / x^2, x >= 7",
        lambda z: stirling_rest(1 / mp.sqrt(z)) if z > mpf(10) ** -12 else mpf(1) / 12,
        one,
        0,
        mpf(1) / 48,
        7,
        3,
    ),
    "psi": (
        "psi(x) / (x - x0) in t = x - 3/2, |t| <= 1/2, psi(x0) = 0",
        lambda t: mp.psi(0, t + mpf("1.5")) / (t + mpf("1.5") - psi_root),
        one,
        -0.5,
        0.5,
        23,
        12,
    ),
    "psi_far": (
        "x^2 (log(x) - 1 / (2 x) - psi(x)) in z = 1 / x^2, x >= 6",
        lambda z: psi_rest(1 / mp.sqrt(z)) if z > mpf(10) ** -12 else mpf(1) / 12,
        one,
        0,
        mpf(1) / 35,
        9,
        4,
    ),
    "trigamma_far": (
        "x^3 (psi'(x) - 1 / x - 1 / (2 x^2)) in z = 1 / x^2, x >= 8",
        lambda z: trigamma_rest(1 / mp.sqrt(z)) if z > mpf(10) ** -12 else mpf(1) / 6,
        one,
        0,
        mpf(1) / 63,
        8,
        3,
    ),
    "inverse_cbrt": (
        "m^(-1/3), sqrt(1/2) <= m <= sqrt(2): the first guess",
        lambda m: mpf(m) ** (mpf(-1) / 3),
        lambda m: mpf(m) ** (mpf(1) / 3),
        1 / sqrt2,
        sqrt2,
        5,
        4,
    ),
}


def main():
    rule = "-" * 70
    print("//===- coefficients.h - Minimax polynomials ---------------------*- C++ -*-===//\n//")
    print("// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception\n//")
    print(f"//==={rule}===//\n//")
    print("// Written by coefficients.py, which says how; do not edit. c[i] belongs to x^i.")
    print(f"//\n//==={rule}===//\n\n// clang-format off")
    print("\n#ifndef GRADOPT_RUNTIME_MATH_COEFFICIENTS_H")
    print("#define GRADOPT_RUNTIME_MATH_COEFFICIENTS_H\n")
    print("namespace gradopt::coefficients {\n")
    print("template <typename T> struct Table;\n")
    for kind in ("double", "float"):
        print(f"template <> struct Table<{kind}> {{")
        for name, (text, function, weight, low, high, count64, count32) in FITS.items():
            count = count64 if kind == "double" else count32
            fit = [f[kind] if isinstance(f, dict) else f for f in (function, weight, low, high)]
            values, error = remez(*fit, count)
            print(f"{name} {kind}: 2^{mp.nstr(mp.log(error, 2), 4)}", file=sys.stderr)
            print(f"  // {text}")
            print(f"  static constexpr {kind} {name}[{count}] = {{")
            for value in values:
                print(f"      {literal(value, kind)},")
            print(f"  }}; // error 2^{mp.nstr(mp.log(error, 2), 4)}")
        print("};\n")
    print("} // namespace gradopt::coefficients\n")
    print("#endif // GRADOPT_RUNTIME_MATH_COEFFICIENTS_H")


if __name__ == "__main__":
    main()
