# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The table: every op of the dialect, with what its values and derivatives must be.

An `Elementwise` row is checked at thousands of points, a `Structural` row (structural_ops.py) at a
list of cases. A new op needs a row here; test_table.py fails as long as it has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf, nan
from typing import Any

import numpy as np
import scipy.special
from structural_ops import STRUCTURAL
from structural_rows import FLOATS, Structural

Array = np.ndarray[Any, Any]
Interval = tuple[float, float]
Box = tuple[Interval, ...]

INTS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
NUMBERS = FLOATS + INTS
ALL = (*NUMBERS, "?")
COMPLEX = ("c16", "c8")


@dataclass(frozen=True)
class At:
    """Derivatives at one point, written by hand: at kinks, ends of the domain and infinity.

    The conventions are JAX's. `second` holds the matrix of second derivatives where it is checked.
    """

    point: tuple[float, ...]
    partials: tuple[float, ...]
    second: tuple[tuple[float, ...], ...] | None = None


@dataclass(frozen=True)
class Elementwise:
    """One elementwise op.

    Attributes:
        op: its mnemonic.
        reference: NumPy's function; also of `longdouble`, if not `smooth`.
        boxes: where derivatives are compared with differences: an interval for each operand. The
            function is smooth within, and has no singularity nearer to a point than the end of the
            interval is.
        ranges: where values are sampled, besides everywhere: intervals for each operand alike.
        dtypes: of the operands.
        order: derivatives checked; 0 where the result is not a float.
        conditions: how many leading operands are bools.
        ulp: how far values may be from NumPy's or from the exact ones.
        zero_sign: whether the sign of a zero is NumPy's.
        specials: derivatives at single points.
        smooth: the function in extended precision for differences, where `reference` has none.
        exact: the function in double precision, where `reference` is off by many ULP itself.
        complex_ulp: how far values may be from the exact ones at complex points, in ULP of their
            absolute values; None for a function of reals only. There it has the same derivatives.
        cut: whether a point is so near to a branch cut or a pole that differences cross it.
    """

    op: str
    reference: Callable[..., Array]
    boxes: Sequence[Box] = ()
    ranges: Sequence[Interval] = ((-4.0, 4.0), (-100.0, 100.0))
    dtypes: Sequence[str] = FLOATS
    order: int = 2
    conditions: int = 0
    ulp: float = 4.0
    zero_sign: bool = True
    specials: Sequence[At] = ()
    smooth: Callable[..., Array] | None = None
    exact: Callable[..., Array] | None = None
    complex_ulp: float | None = None
    cut: Callable[..., Array] | None = None

    @property
    def arity(self) -> int:
        """Number of operands."""
        return self.conditions + len(self.boxes[0])


def erf_series(x: Array) -> Array:
    """The error function by its power series, for |x| < 3 in extended precision."""
    term = x * (2 / np.sqrt(np.longdouble(np.pi) + np.longdouble(1.2246467991473531772e-16)))
    total = term
    for n in range(1, 80):
        term = -term * x * x / n
        total = total + term / (2 * n + 1)
    return total


def erfinv_series(y: Array) -> Array:
    """The inverse of `erf_series`, by Newton's method."""
    x = scipy.special.erfinv(y.astype("d")).astype("g")
    for _ in range(2):
        slope = np.exp(-x * x) * (2 / np.sqrt(np.longdouble(np.pi)))
        x = x - (erf_series(x) - y) / slope
    return x


def numpy_row(function: Any, *boxes: Box, op: str | None = None, **options: Any) -> Elementwise:
    """A row whose op is named as NumPy's function is."""
    name = op or function.__name__
    return Elementwise(name, function, boxes, **options)


def rational(function: Any, *boxes: Box, **options: Any) -> Elementwise:
    """A row of an op that is correctly rounded."""
    return numpy_row(function, *boxes, ulp=0.0, **options)


def step_row(function: Any, op: str | None = None, **options: Any) -> Elementwise:
    """A row of a function that is constant between its jumps: the derivative is zero everywhere."""
    kinks = [At((v,), (0.0,), ((0.0,),)) for v in (0.0, -0.0, 1.0, -2.5, inf)]
    return rational(function, ((0.0, 0.5),), ((-2.5, -2.0),), op=op, specials=kinks, **options)


def predicate(function: Any, arity: int, dtypes: Sequence[str] = ALL) -> Elementwise:
    """A row of a function to bool."""
    box = ((-1.0, 1.0),) * arity
    return rational(function, box, dtypes=dtypes, order=0)


REAL: Interval = (-3.0, 3.0)
POSITIVE: Interval = (0.0, 4.0)
NEGATIVE: Interval = (-4.0, 0.0)
BELOW, ABOVE = ((-1.0, 0.0), (1.0, 2.0)), ((1.0, 2.0), (-1.0, 0.0))
EXPONENTIALS = ((-1.0, 1.0), (-110.0, 95.0), (-760.0, 712.0), (-1080.0, 1026.0))
LOGARITHMS = ((0.0, 3.0), (0.99, 1.01), (0.0, 1000.0))
ANGLES = ((-4.0, 4.0), (-1000.0, 1000.0), (-1e6, 1e6))
UNIT = ((-1.0, 1.0), (0.999, 1.0), (-1.0, -0.999), (-0.01, 0.01))
TIE = (0.5, 0.5)
SQRT_LN2 = 0.6931471805599453

ARITHMETIC = [
    rational(np.add, (REAL, REAL), dtypes=NUMBERS),
    rational(np.subtract, (REAL, REAL), dtypes=NUMBERS),
    rational(
        np.multiply,
        (REAL, REAL),
        dtypes=NUMBERS,
        specials=[At((0.0, 0.0), (0.0, 0.0), ((0.0, 1.0), (1.0, 0.0))), At((0.0, 7.0), (7.0, 0.0))],
    ),
    rational(
        np.divide,
        (REAL, POSITIVE),
        (REAL, NEGATIVE),
        specials=[
            At((0.0, 2.0), (0.5, -0.0), ((0.0, -0.25), (-0.25, 0.0))),
            At((1.0, inf), (0.0, 0.0)),
        ],
    ),
    numpy_row(
        np.power,
        (POSITIVE, REAL),
        ranges=((0.0, 10.0), (-20.0, 20.0), (0.9, 1.1)),
        specials=[
            At((0.0, 2.0), (0.0, 0.0), ((2.0, 0.0), (0.0, 0.0))),
            At((0.0, 1.0), (1.0, 0.0)),
            At((0.0, 0.0), (0.0, 0.0)),
            At((0.0, 3.0), (0.0, 0.0), ((0.0, 0.0), (0.0, 0.0))),
            At((0.0, 0.5), (inf, 0.0)),
            At(
                (5.0, 0.0),
                (0.0, 1.6094379124341003),
                ((0.0, 0.2), (0.2, 1.6094379124341003**2)),
            ),
            At((inf, 0.0), (0.0, inf)),
            At((1.0, 0.0), (0.0, 0.0)),
            At(
                (2.0, 2.0),
                (4.0, 4 * SQRT_LN2),
                ((2.0, 2 + 4 * SQRT_LN2), (2 + 4 * SQRT_LN2, 4 * SQRT_LN2**2)),
            ),
            At((-2.0, 3.0), (12.0, nan)),
            At((-2.0, 2.0), (-4.0, nan)),
            At((-2.0, -1.0), (-0.25, nan)),
        ],
    ),
    rational(
        np.maximum,
        BELOW,
        ABOVE,
        dtypes=NUMBERS,
        zero_sign=False,
        specials=[
            At((1.0, 1.0), TIE),
            At((0.0, -0.0), TIE),
            At((inf, inf), TIE),
            At((2.0, inf), (0.0, 1.0)),
            At((nan, 2.0), (nan, nan)),
            At((inf, nan), (nan, nan)),
        ],
    ),
    rational(
        np.minimum,
        BELOW,
        ABOVE,
        dtypes=NUMBERS,
        zero_sign=False,
        specials=[
            At((1.0, 1.0), TIE),
            At((0.0, -0.0), TIE),
            At((inf, inf), TIE),
            At((2.0, inf), (1.0, 0.0)),
            At((nan, 2.0), (nan, nan)),
            At((inf, nan), (nan, nan)),
        ],
    ),
    numpy_row(
        np.arctan2,
        ((1.0, 3.0), (-1.0, 1.0)),
        ((-3.0, -1.0), (-1.0, 1.0)),
        ((-1.0, 1.0), (1.0, 3.0)),
        ((0.0, 1.0), (-3.0, -1.0)),
        specials=[
            At((0.0, 2.0), (0.5, -0.0)),
            At((0.0, -2.0), (-0.5, -0.0)),
            At((2.0, 0.0), (0.0, -0.5)),
        ],
    ),
    numpy_row(
        np.hypot,
        ((0.5, 3.0), (-1.0, 1.0)),
        ((-1.0, 1.0), (-3.0, -0.5)),
        specials=[
            At((0.0, 0.0), (0.0, 0.0)),
            At((0.0, -2.0), (0.0, -1.0), ((0.5, 0.0), (0.0, 0.0))),
            At((inf, 2.0), (1.0, 0.0)),
            At((-2.0, -inf), (-0.0, -1.0)),
        ],
    ),
    rational(np.negative, (REAL,), dtypes=NUMBERS),
    rational(
        np.absolute,
        ((0.0, 5.0),),
        ((-5.0, 0.0),),
        dtypes=NUMBERS,
        specials=[
            At((0.0,), (0.0,), ((0.0,),)),
            At((-0.0,), (0.0,)),
            At((inf,), (1.0,)),
            At((-inf,), (-1.0,)),
        ],
    ),
    step_row(np.sign, dtypes=NUMBERS),
    rational(np.square, (REAL,), dtypes=NUMBERS, specials=[At((0.0,), (0.0,), ((2.0,),))]),
    rational(
        np.reciprocal, (POSITIVE,), (NEGATIVE,), specials=[At((inf,), (-0.0,)), At((0.0,), (-inf,))]
    ),
    rational(np.sqrt, (POSITIVE,), specials=[At((0.0,), (inf,)), At((inf,), (0.0,))]),
    Elementwise(
        "rsqrt",
        lambda x: 1 / np.sqrt(x),
        [(POSITIVE,)],
        ulp=1.0,
        specials=[At((0.0,), (-inf,)), At((4.0,), (-0.0625,), ((0.0234375,),))],
    ),
    numpy_row(
        np.cbrt, (POSITIVE,), (NEGATIVE,), specials=[At((0.0,), (inf,)), At((-8.0,), (1 / 12,))]
    ),
]

EXPONENTIAL = [
    numpy_row(
        np.exp,
        (REAL,),
        ranges=EXPONENTIALS,
        specials=[At((0.0,), (1.0,), ((1.0,),)), At((-inf,), (0.0,)), At((710.0,), (inf,))],
    ),
    numpy_row(np.exp2, (REAL,), ranges=EXPONENTIALS, specials=[At((-inf,), (0.0,))]),
    numpy_row(
        np.expm1,
        (REAL,),
        ranges=EXPONENTIALS,
        specials=[At((0.0,), (1.0,), ((1.0,),)), At((-inf,), (0.0,))],
    ),
    numpy_row(
        np.log,
        (POSITIVE,),
        ranges=LOGARITHMS,
        specials=[
            At((0.0,), (inf,), ((-inf,),)),
            At((1.0,), (1.0,), ((-1.0,),)),
            At((inf,), (0.0,)),
        ],
    ),
    numpy_row(np.log2, (POSITIVE,), ranges=LOGARITHMS, specials=[At((0.0,), (inf,))]),
    numpy_row(np.log10, (POSITIVE,), ranges=LOGARITHMS, specials=[At((0.0,), (inf,))]),
    numpy_row(
        np.log1p,
        ((-1.0, 3.0),),
        ranges=((-1.0, 2.0), (-0.01, 0.01), (-1.0, 1e5)),
        specials=[At((-1.0,), (inf,)), At((0.0,), (1.0,), ((-1.0,),)), At((inf,), (0.0,))],
    ),
    numpy_row(
        scipy.special.xlogy,
        (REAL, POSITIVE),
        ranges=LOGARITHMS,
        smooth=lambda x, y: x * np.log(y),
        specials=[
            At((0.0, 2.0), (SQRT_LN2, 0.0), ((0.0, 0.5), (0.5, -0.0))),
            At((0.0, 0.0), (-inf, 0.0)),
            At((0.0, inf), (inf, 0.0)),
        ],
    ),
    numpy_row(
        scipy.special.xlog1py,
        (REAL, (-1.0, 3.0)),
        ranges=((-1.0, 2.0), (-0.01, 0.01)),
        smooth=lambda x, y: x * np.log1p(y),
        specials=[
            At((0.0, 1.0), (SQRT_LN2, 0.0), ((0.0, 0.5), (0.5, -0.0))),
            At((0.0, -1.0), (-inf, 0.0)),
        ],
    ),
    Elementwise(
        "logistic",
        scipy.special.expit,
        [(REAL,)],
        ranges=EXPONENTIALS,
        specials=[
            At((0.0,), (0.25,), ((0.0,),)),
            At((1000.0,), (0.0,), ((0.0,),)),
            At((-1000.0,), (0.0,), ((0.0,),)),
            At((-inf,), (0.0,)),
            At((inf,), (0.0,)),
        ],
    ),
]

HALF_PI = np.pi / 2
TRIGONOMETRIC = [
    numpy_row(np.sin, (REAL,), ranges=ANGLES, specials=[At((0.0,), (1.0,), ((-0.0,),))]),
    numpy_row(np.cos, (REAL,), ranges=ANGLES, specials=[At((0.0,), (-0.0,), ((-1.0,),))]),
    numpy_row(
        np.tan,
        ((-HALF_PI, HALF_PI),),
        ((HALF_PI, 3 * HALF_PI),),
        ranges=ANGLES,
        specials=[At((0.0,), (1.0,), ((0.0,),))],
    ),
    numpy_row(
        np.arcsin,
        ((-1.0, 1.0),),
        ranges=UNIT,
        specials=[At((0.0,), (1.0,), ((0.0,),)), At((1.0,), (inf,)), At((-1.0,), (inf,))],
    ),
    numpy_row(
        np.arccos,
        ((-1.0, 1.0),),
        ranges=UNIT,
        specials=[At((0.0,), (-1.0,), ((-0.0,),)), At((1.0,), (-inf,)), At((-1.0,), (-inf,))],
    ),
    numpy_row(
        np.arctan,
        (REAL,),
        specials=[At((0.0,), (1.0,), ((-0.0,),)), At((inf,), (0.0,)), At((-inf,), (0.0,))],
    ),
    numpy_row(np.sinh, (REAL,), ranges=EXPONENTIALS, specials=[At((0.0,), (1.0,), ((0.0,),))]),
    numpy_row(np.cosh, (REAL,), ranges=EXPONENTIALS, specials=[At((0.0,), (0.0,), ((1.0,),))]),
    numpy_row(
        np.tanh,
        (REAL,),
        ranges=((-1.0, 1.0), (-25.0, 25.0)),
        specials=[
            At((0.0,), (1.0,), ((-0.0,),)),
            At((1000.0,), (0.0,), ((0.0,),)),
            At((-inf,), (0.0,)),
        ],
    ),
    numpy_row(np.arcsinh, (REAL,), specials=[At((0.0,), (1.0,), ((-0.0,),)), At((inf,), (0.0,))]),
    numpy_row(
        np.arccosh,
        ((1.0, 4.0),),
        ranges=((1.0, 3.0), (1.0, 1.001), (1.0, 1000.0)),
        specials=[At((1.0,), (inf,)), At((inf,), (0.0,))],
    ),
    numpy_row(
        np.arctanh,
        ((-1.0, 1.0),),
        ranges=UNIT,
        specials=[At((0.0,), (1.0,), ((0.0,),)), At((1.0,), (inf,)), At((-1.0,), (inf,))],
    ),
    numpy_row(
        scipy.special.erf,
        (REAL,),
        ranges=((-7.0, 7.0), (-1.0, 1.0)),
        smooth=erf_series,
        specials=[At((0.0,), (1.1283791670955126,), ((-0.0,),)), At((1000.0,), (0.0,), ((-0.0,),))],
    ),
    numpy_row(
        scipy.special.erfc,
        # Beyond, 1 - erf loses digits.
        ((-3.0, 2.0),),
        ranges=((-7.0, 11.0), (10.0, 28.0)),
        smooth=lambda x: 1 - erf_series(x),
        exact=np.vectorize(math.erfc, otypes="d"),
        specials=[
            At((0.0,), (-1.1283791670955126,), ((0.0,),)),
            At((3.0,), (-0.00013925305194674786,), ((0.0008355183116804871,),)),
            At((1000.0,), (-0.0,), ((0.0,),)),
        ],
    ),
    numpy_row(
        scipy.special.erfinv,
        ((-0.99, 0.99),),
        ranges=UNIT,
        zero_sign=False,  # SciPy's is lost.
        smooth=erfinv_series,
        specials=[
            At((0.0,), (0.886226925452758,), ((0.0,),)),
            At((1.0,), (inf,)),
            At((-1.0,), (inf,)),
        ],
    ),
]

ROUNDING = [step_row(np.floor), step_row(np.ceil), step_row(np.rint, op="round")]


def analytic(row: Elementwise, ulp: float, cut: Callable[..., Array] | None = None) -> Elementwise:
    """The row of a function that is one of complex numbers, too."""
    return replace(row, complex_ulp=ulp, cut=cut)


def integer_row(function: Any, arity: int = 2) -> Elementwise:
    """A row of a function of integers only."""
    box = ((-1.0, 1.0),) * arity
    return rational(function, box, dtypes=INTS, order=0)


INTEGERS = [
    *(integer_row(f) for f in (np.floor_divide, np.remainder, np.fmod)),
    *(integer_row(f) for f in (np.bitwise_and, np.bitwise_or, np.bitwise_xor)),
    *(integer_row(f) for f in (np.left_shift, np.right_shift)),
    integer_row(np.invert, 1),
]

PREDICATES = [
    *(predicate(f, 2) for f in (np.less, np.less_equal, np.greater, np.greater_equal)),
    *(predicate(f, 2, (*ALL, *COMPLEX)) for f in (np.equal, np.not_equal)),
    *(predicate(f, 1, (*FLOATS, *COMPLEX)) for f in (np.isnan, np.isinf, np.isfinite)),
    *(predicate(f, 2, "?") for f in (np.logical_and, np.logical_or, np.logical_xor)),
    predicate(np.logical_not, 1, "?"),
    Elementwise("select", np.where, [(REAL, REAL)], dtypes=(*ALL, *COMPLEX), conditions=1, ulp=0.0),
]


def left_of(point: float) -> Callable[..., Array]:
    """Whether a complex number is near to the real axis on the left of a point."""
    return lambda z: (z.real < point + 0.2) & (abs(z.imag) < 0.2)


def beyond_one(z: Array) -> Array:
    """Whether a complex number is near to the real axis beyond 1 or -1."""
    return (abs(z.real) > 0.8) & (abs(z.imag) < 0.2)


# Errors of complex functions, and where differences would cross a branch cut.
COMPLEX_FUNCTIONS: dict[str, tuple[float, Callable[..., Array] | None]] = {
    "add": (1, None),
    "subtract": (1, None),
    "multiply": (2, None),
    "divide": (4, lambda _, w: abs(w) < 0.3),
    "power": (200, lambda z, _: left_of(0)(z)),
    "negative": (0, None),
    "square": (2, None),
    "reciprocal": (4, lambda z: abs(z) < 0.3),
    "sqrt": (4, left_of(0)),
    "exp": (4, None),
    "exp2": (64, None),  # The product of the angle with log(2) is rounded, as NumPy's is.
    "expm1": (8, None),
    "log": (4, left_of(0)),
    "log2": (6, left_of(0)),
    "log10": (6, left_of(0)),
    "log1p": (6, left_of(-1)),
    "sin": (4, None),
    "cos": (4, None),
    "tan": (8, lambda z: abs(np.cos(z)) < 0.3),
    "arcsin": (16, beyond_one),
    "arccos": (16, beyond_one),
    "arctan": (16, lambda z: beyond_one(1j * z)),
    "sinh": (4, None),
    "cosh": (4, None),
    "tanh": (8, lambda z: abs(np.cosh(z)) < 0.3),
    "arcsinh": (16, lambda z: beyond_one(1j * z)),
    "arccosh": (16, left_of(1)),
    "arctanh": (16, beyond_one),
}

ELEMENTWISE: dict[str, Elementwise] = {
    row.op: analytic(row, *COMPLEX_FUNCTIONS[row.op]) if row.op in COMPLEX_FUNCTIONS else row
    for row in (
        *(*ARITHMETIC, *EXPONENTIAL, *TRIGONOMETRIC),
        *(*ROUNDING, *INTEGERS, *PREDICATES),
    )
}

TABLE: dict[str, Elementwise | Structural] = {**ELEMENTWISE, **STRUCTURAL}
