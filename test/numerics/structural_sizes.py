# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rows of the ops that make and end sizes known at run time.

Sizes are operands, so that they are not known while compiling; results have a known size again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from harness import constant
from mlir import ir
from structural_rows import ALL, NUMBERS, REALS, Array, Case, Structural

from gradopt.dialects import grad

UNKNOWN = ir.ShapedType.get_dynamic_size()


def number(value: int) -> Array:
    return np.array(value, np.int64)


def part(x: Any, starts: Sequence[Any], sizes: Sequence[Any], dimensions: Sequence[int]) -> Any:
    shape = [UNKNOWN] * len(sizes)
    return grad.sized_slice(x, list(starts), list(sizes), shape, list(dimensions))


def rows(x: Any, start: Any, count: Any) -> Any:
    """Some rows of three elements."""
    zero = constant(number(0))
    return grad.sized_slice(x, [start, zero], [count], [UNKNOWN, 3], [0, 1])


def columns(x: Any, zero: Any, start: Any, count: Any) -> Any:
    """Some columns of three elements."""
    return grad.sized_slice(x, [zero, start], [count], [3, UNKNOWN], [0, 1])


def applied(times: int, function: Callable[[Any], Any], x: Any) -> Any:
    """A function of a function of and so on."""
    return functools.reduce(lambda t, _: function(t), range(times), x)


def total(x: Any) -> Any:
    rank = ir.RankedTensorType(x.type).rank
    return grad.reduce_sum(x, list(range(rank)))


def dot(x: Any, y: Any, left: int = 0, right: int = 0) -> Any:
    return grad.dot_general(x, y, [], [], [left], [right])


def case(
    build: Callable[..., Any], reference: Callable[..., Any], *operands: Any, **more: Any
) -> Case:
    return Case(build, reference, operands, **more)


def repeated(x: Any, n: Any, shape: Sequence[int], dimensions: Sequence[int]) -> Any:
    sizes = [n] * shape.count(UNKNOWN)
    return grad.sized_broadcast(x, sizes, list(shape), list(dimensions), [9] * len(sizes))


def put(x: Any, update: Any, starts: Sequence[Any], dimensions: Sequence[int]) -> Any:
    return grad.sized_update(x, update, list(starts), list(dimensions))


def replaced(x: Array, at: Any, update: Array) -> Array:
    result = x.copy()
    result[at] = update
    return result


def added(x: Array, at: Any, update: Array) -> Array:
    result = x.copy()
    np.add.at(result, at, update)
    return result


def rows_of_indices(i: Any, start: Any, count: Any) -> Any:
    """Some rows of one index."""
    zero = constant(number(0))
    return grad.sized_slice(i, [start, zero], [count], [UNKNOWN, 1], [0, 1])


def rows_of_products(n: int) -> Case:
    """A column of sums of products: a loop in a loop."""
    return case(
        lambda x, y, z, zero, n: put(
            z, dot(part(x, [zero, zero], [n, n], [0, 1]), part(y, [zero], [n], [0]), 1), [zero], [0]
        ),
        lambda x, y, z, zero, n: replaced(z, slice(n), x[:n, :n] @ y[:n]),
        (5, 6),
        (6,),
        (7,),
        number(0),
        number(n),
        dtypes=NUMBERS,
    )


SIZES = [
    Structural(
        "sized_slice",
        [
            *[
                case(
                    lambda x, i, n: total(part(x, [i], [n], [0])),
                    lambda x, i, n: np.sum(x[i : i + n], dtype=x.dtype),
                    (7,),
                    number(2),
                    number(n),
                    dtypes=NUMBERS,
                )
                for n in (0, 1, 5)
            ],
            case(  # A negative size is none.
                lambda x, i, n: total(part(x, [i], [n], [0])),
                lambda x, i, n: np.zeros((), x.dtype),
                (7,),
                number(2),
                number(-3),
                dtypes=NUMBERS,
            ),
            case(  # A row by a column.
                lambda x, i, j, n: dot(part(x, [i, j], [n], [1]), part(x, [j, i], [n], [0])),
                lambda x, i, j, n: x[i, j : j + n] @ x[j : j + n, i],
                (5, 5),
                number(2),
                number(1),
                number(4),
                dtypes=NUMBERS,
            ),
            case(  # Slices of what is computed, with a dimension of known size.
                lambda x, i, n, one: total(rows(grad.multiply(*[rows(x, i, n)] * 2), one, one)),
                lambda x, i, n, one: np.sum(x[i + 1 : i + 2] ** 2, dtype=x.dtype),
                (6, 3),
                number(1),
                number(4),
                number(1),
                dtypes=NUMBERS,
            ),
            case(  # Each value is used three times, and there are many: once each.
                lambda x, i, n: total(
                    applied(30, lambda t: grad.subtract(grad.add(t, t), t), part(x, [i], [n], [0]))
                ),
                lambda x, i, n: np.sum(x[i : i + n], dtype=x.dtype),
                (7,),
                number(2),
                number(4),
                dtypes=("f8",),
            ),
            case(  # More ops, one after the other, than elements are computed by in one place.
                lambda x, i, n: total(applied(150, grad.negative, part(x, [i], [n], [0]))),
                lambda x, i, n: np.sum(x[i : i + n], dtype=x.dtype),
                (7,),
                number(2),
                number(4),
                dtypes=("f8",),
            ),
            case(  # Turned around and back to front.
                lambda x, i, n: total(
                    grad.multiply(
                        grad.transpose(grad.reverse(rows(x, i, n), [0]), [1, 0]),
                        grad.transpose(grad.reverse(rows(x, i, n), [1]), [1, 0]),
                    )
                ),
                lambda x, i, n: np.sum(x[i : i + n][::-1] * x[i : i + n, ::-1], dtype=x.dtype),
                (6, 3),
                number(1),
                number(4),
                dtypes=NUMBERS,
            ),
        ],
        ALL,
        rounding=16,
    ),
    Structural(
        "sized_update",
        [
            case(
                lambda x, y, i, j, n: put(x, part(y, [j], [n], [0]), [j, i], [0]),
                lambda x, y, i, j, n: replaced(x, (slice(j, j + n), i), y[j : j + n]),
                (6, 4),
                (8,),
                number(2),
                number(1),
                number(4),
            ),
            case(  # In place: each element from itself.
                lambda x, i, n: put(x, grad.multiply(*[part(x, [i], [n], [0])] * 2), [i], [0]),
                lambda x, i, n: replaced(x, slice(i, i + n), x[i : i + n] ** 2),
                (7,),
                number(1),
                number(5),
                dtypes=NUMBERS,
            ),
            case(  # From others, which are read before they are written.
                lambda x, i, n: put(
                    x,
                    grad.add(part(x, [i], [n], [0]), grad.reverse(part(x, [i], [n], [0]), [0])),
                    [i],
                    [0],
                ),
                lambda x, i, n: replaced(x, slice(i, i + n), x[i : i + n] + x[i : i + n][::-1]),
                (7,),
                number(1),
                number(5),
                dtypes=NUMBERS,
            ),
            case(  # Shifted by one, over itself.
                lambda x, i, j, n: put(x, part(x, [i], [n], [0]), [j], [0]),
                lambda x, i, j, n: replaced(x, slice(j, j + n), x[i : i + n]),
                (7,),
                number(1),
                number(2),
                number(5),
            ),
            *[rows_of_products(n) for n in (0, 1, 4)],
            *[
                case(  # Rows at indices, the last of them twice.
                    lambda x, y, i, zero, n: put(
                        x, grad.gather(y, rows_of_indices(i, zero, n)), [zero, zero], [0, 1]
                    ),
                    lambda x, y, i, zero, n: replaced(x, slice(n), y[i[:n, 0]]),
                    (6, 3),
                    (5, 3),
                    np.array([[4], [0], [2], [2]]),
                    number(0),
                    number(n),
                )
                for n in (0, 1, 4)
            ],
            case(  # Of what is computed.
                lambda x, y, i, zero, n: put(
                    x,
                    grad.gather(
                        grad.multiply(*[rows(y, zero, n)] * 2), rows_of_indices(i, zero, n)
                    ),
                    [zero, zero],
                    [0, 1],
                ),
                lambda x, y, i, zero, n: replaced(x, slice(n), y[i[:n, 0]] ** 2),
                (6, 3),
                (5, 3),
                np.array([[2], [0], [1], [1]]),
                number(0),
                number(3),
                dtypes=NUMBERS,
            ),
            case(
                lambda x, y, i, zero, n: grad.scatter(
                    x, rows_of_indices(i, zero, n), rows(y, zero, n)
                ),
                lambda x, y, i, zero, n: replaced(x, i[:n, 0], y[:n]),
                (6, 3),
                (5, 3),
                np.array([[4], [0], [2], [2]]),
                number(0),
                number(4),
            ),
            *[
                case(
                    lambda x, y, i, zero, n: grad.scatter_add(
                        x, rows_of_indices(i, zero, n), rows(y, zero, n)
                    ),
                    lambda x, y, i, zero, n: added(x, i[:n, 0], y[:n]),
                    (6, 3),
                    (5, 3),
                    np.array([[4], [0], [2], [2]]),
                    number(0),
                    number(n),
                    dtypes=NUMBERS,
                )
                for n in (0, 4)
            ],
            *[
                case(
                    lambda x, i, n, op=op: op(part(x, [i], [n], [0]), [0]),
                    lambda x, i, n, reference=reference: reference(x[i : i + n]),
                    (7,),
                    number(2),
                    number(4),
                    dtypes=REALS,
                )
                for op, reference in ((grad.reduce_max, np.max), (grad.reduce_min, np.min))
            ],
            case(  # A vector times columns.
                lambda x, y, z, zero, one, n: put(z, dot(x, columns(y, zero, one, n)), [zero], [0]),
                lambda x, y, z, zero, one, n: replaced(z, slice(n), x @ y[:, 1 : 1 + n]),
                (3,),
                (3, 6),
                (7,),
                number(0),
                number(1),
                number(4),
                dtypes=NUMBERS,
            ),
        ],
        rounding=16,
    ),
    Structural(
        "sized_broadcast",
        [
            case(
                lambda x, n: total(repeated(x, n, [UNKNOWN], [])),
                lambda x, n: np.asarray(x * n.astype(x.dtype)),
                (),
                number(5),
                dtypes=NUMBERS,
            ),
            case(
                lambda x, y, i, n: total(
                    grad.multiply(repeated(x, n, [UNKNOWN, 3], [1]), rows(y, i, n))
                ),
                lambda x, y, i, n: np.sum(x * y[i : i + n], dtype=x.dtype),
                (3,),
                (6, 3),
                number(2),
                number(4),
                dtypes=NUMBERS,
            ),
            case(  # What is computed along one of two such dimensions is computed once.
                lambda x, i, n: total(
                    grad.multiply(
                        *[
                            repeated(
                                grad.multiply(*[part(x, [i], [n], [0])] * 2),
                                n,
                                [UNKNOWN, UNKNOWN],
                                [d],
                            )
                            for d in (0, 1)
                        ]
                    )
                ),
                lambda x, i, n: np.asarray(np.sum(x[i : i + n] ** 2, dtype=x.dtype) ** 2),
                (6,),
                number(1),
                number(4),
                dtypes=NUMBERS,
            ),
        ],
        NUMBERS,
        rounding=32,
    ),
    Structural(
        "sized_iota",
        [
            case(
                lambda x, zero, n: dot(
                    part(x, [zero], [n], [0]),
                    grad.sized_iota(
                        n, 9, ir.TypeAttr.get(ir.RankedTensorType(x.type).element_type)
                    ),
                ),
                lambda x, zero, n: np.asarray(x[:n] @ np.arange(n).astype(x.dtype)),
                (6,),
                number(0),
                number(n),
                dtypes=REALS,
            )
            for n in (0, 1, 6)
        ],
        REALS,
        rounding=16,
    ),
]
