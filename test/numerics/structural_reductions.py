# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rows of reductions, cumulative sums and conversions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from harness import scalar_type
from structural_rows import (
    ALL,
    COMPLEX,
    FLOATS,
    NUMBERS,
    REALS,
    Case,
    Shape,
    Structural,
)

from gradopt.dialects import grad


def reduce_cases(
    op: Callable[..., Any], reference: Callable[..., Any], empty: bool = True, long: int = 67
) -> list[Case]:
    """Reductions over all, inner, outer and no dimensions; of nothing, where that has a value."""
    choices: list[tuple[Shape, list[int]]] = [
        ((7,), [0]),
        ((3, 5), [0]),
        ((3, 5), [1]),
        ((3, 5), [0, 1]),
        ((2, 3, 4), [0, 2]),
        ((2, 3, 4), [1]),
        ((3, 5), []),
        ((), []),
        ((1, 1), [0]),
        ((4, 1), [1]),
        ((0, 3), [1]),
        ((long,), [0]),
        ((5, long // 2), [1]),
    ]
    if empty:
        choices += [((0,), [0]), ((0, 3), [0]), ((2, 0), [0, 1])]
    return [
        Case(lambda x, d=d: op(x, d), lambda x, d=d: reference(x, axis=tuple(d)), [shape])
        for shape, d in choices
    ]


def same_dtype(function: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's reduction without its promotion of small integers."""
    return lambda x, **options: function(x, dtype=x.dtype, **options)


def arg_cases(op: Callable[..., Any], reference: Callable[..., Any]) -> list[Case]:
    fixed = [
        np.array([1.0, 3.0, 3.0, -2.0, -2.0]),
        np.array([1.0, np.nan, 9.0, np.nan]),
        np.array([0.0, -0.0, 0.0]),
        np.array([-np.inf, -np.inf]),
        np.array([np.inf, 1.0, -np.inf]),
        np.array([True, False, True]).astype(np.int8),
    ]
    free: list[tuple[Shape, int]] = [
        ((7,), 0),
        ((3, 5), 0),
        ((3, 5), 1),
        ((2, 3, 4), 1),
        ((1,), 0),
        ((4, 1), 1),
        ((0, 3), 1),
    ]
    return [
        Case(lambda x, d=d: op(x, d), lambda x, d=d: reference(x, d), [shape]) for shape, d in free
    ] + [Case(lambda x: op(x, 0), lambda x: reference(x, 0), [x]) for x in fixed]


def converted(x: Any, dtype: str) -> Any:
    """As `astype`, without the warning that a complex number has another part."""
    return (x.real if x.dtype.kind == "c" and dtype not in (*COMPLEX, "?") else x).astype(dtype)


def convert_cases() -> list[Case]:
    """Every pair of element types on special values, and derivatives of floats."""
    values = {
        "f": np.array([0.0, -0.0, 1.5, -1.5, 2.5, -2.5, 100.99, -100.99, 1e-40, 3.0]),
        "i": np.array([-128, -127, -1, 0, 1, 2, 126, 127]),
        "u": np.array([0, 1, 2, 126, 127, 128, 254, 255]),
        "b": np.array([False, True]),
        "c": np.array([0j, -0.0 - 0.0j, 1.5 - 2.5j, -100.99 + 3j, 1e-40j]),
    }
    wild = [np.nan, np.inf, -np.inf, 1e300, -1e300, 3.4028235677973366e38, 5e-324, 1e-42]
    wild += [1 + 2**-24, 300.7, -300.7, 40000.5, 3e9, -3e9, 1e19, -1e19, 0.9, -0.9]
    # Around the ends of each integer type.
    wild += [
        s * np.nextafter(2.0**n, 2.0**m)
        for n in (7, 15, 31, 63)
        for m in (0, n, 99)
        for s in (1, -1)
    ]
    wild += [s * (2.0**n + d) for n in (7, 15, 31) for d in (-1, -0.5, 0.5, 1) for s in (1, -1)]
    wide = np.array([-(2**63), 2**63 - 1, 2**53 + 1, 2**40 + 3, -129, 300, 70000])
    cases = []
    for a in ALL:
        for b in (*ALL, "i2", "u2"):
            inputs = [values[np.dtype(a).kind].astype(a)]
            if a in FLOATS:
                with np.errstate(over="ignore"):
                    inputs.append(np.array(wild).astype(a))
            if a == "i8":
                inputs.append(wide)
            if a == "u8":
                inputs.append(wide.astype(a))
            for x in inputs:
                cases.append(
                    Case(
                        lambda x, b=b: grad.convert(x, scalar_type(b)),
                        # NumPy's loops over vectors and over what is left differ for uint32.
                        lambda x, b=b: converted(np.tile(x, 16), b)[: x.size],
                        [x],
                    )
                )
    for b in (*FLOATS, *COMPLEX):
        cases.append(
            Case(
                lambda x, b=b: grad.convert(x, scalar_type(b)),
                lambda x, b=b: converted(x, b),
                [(4,)],
                (*FLOATS, *COMPLEX),
                smooth=lambda x, b=b: x if b in COMPLEX else x.real,
            )
        )
    return cases


REDUCTIONS = [
    Structural(
        "reduce_sum", reduce_cases(grad.reduce_sum, same_dtype(np.sum)), NUMBERS, rounding=8
    ),
    Structural(
        "reduce_prod",
        reduce_cases(grad.reduce_prod, same_dtype(np.prod), long=11),
        NUMBERS,
        rounding=80,
    ),
    Structural("reduce_max", reduce_cases(grad.reduce_max, np.max, empty=False), REALS),
    Structural("reduce_min", reduce_cases(grad.reduce_min, np.min, empty=False), REALS),
    Structural("reduce_any", reduce_cases(grad.reduce_any, np.any), "?", order=0),
    Structural("reduce_all", reduce_cases(grad.reduce_all, np.all), "?", order=0),
    Structural("argmax", arg_cases(grad.argmax, np.argmax), REALS, order=0),
    Structural("argmin", arg_cases(grad.argmin, np.argmin), REALS, order=0),
    Structural(
        "cumsum",
        [
            Case(
                lambda x, d=d, r=r: grad.cumsum(x, d, reverse=r),
                lambda x, d=d, r=r: (
                    np.flip(np.cumsum(np.flip(x, d), d, dtype=x.dtype), d)
                    if r
                    else np.cumsum(x, d, dtype=x.dtype)
                ),
                [shape],
            )
            for shape, d in (
                ((6,), 0),
                ((3, 4), 0),
                ((3, 4), 1),
                ((2, 3, 4), 1),
                ((0,), 0),
                ((1,), 0),
                ((2, 0), 0),
            )
            for r in (False, True)
        ],
        NUMBERS,
        rounding=8,
    ),
    Structural("convert", convert_cases()),
]
