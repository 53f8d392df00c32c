# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reductions whose result depends on the dtype of `out=`: NumPy keeps partial results in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.array.dispatch import INTO
from gradopt.array.operands import traced
from gradopt.base.dtypes import DType, is_inexact, resolve_ufunc
from gradopt.base.location import source_location
from gradopt.base.unknown_sizes import unknown_size
from gradopt.errors import DTypeError, UnsupportedError
from gradopt.functions.quantiles import middle_of
from gradopt.functions.reductions import mean_parts, quotient_in, var_parts
from gradopt.ir import prims
from gradopt.ir.checks import require_all
from gradopt.ir.extents import Sizes
from gradopt.ir.values import Value


def _extreme(dtype: DType, function: Callable[..., Any], a: Any, *args: Any, **kwargs: Any) -> Any:
    """`numpy.max` and `min`: they begin with the first element, or `initial`, as the output holds
    it, which makes a difference where that is narrow or unsigned, or holds no NaN."""
    x = traced(a)
    if x.dtype.kind == "c" or is_inexact(dtype) or np.can_cast(x.dtype, dtype, "safe"):
        return function(a, *args, **kwargs)

    # In which NumPy compares: of a signed and an unsigned integer it is another one.
    common = resolve_ufunc(np.maximum, dtype, x.dtype)[-1]
    if is_inexact(common) and not is_inexact(x.dtype):
        raise UnsupportedError(
            f"out= of {dtype} for integers of {x.dtype} is not supported: NumPy compares them as "
            f"{common}; convert the result with astype",
            source_location(),
        )

    def held(value: Value) -> Value:
        return prims.convert(prims.convert(value, dtype), common)

    initial = kwargs.get("initial")
    if initial is not None and initial is not np._NoValue:
        kwargs["initial"] = held(traced(initial, x.dtype))
        return function(prims.convert(x, common), *args, **kwargs)
    if x.shape.__class__ is Sizes:
        raise unknown_size(f"out= of another dtype, {dtype},")
    axis = args[0] if args else kwargs.get("axis")
    axes = prims.normalize_axes(axis, x.ndim) if x.ndim else ()
    is_first = np.zeros(x.shape, bool)
    is_first[tuple([0 if i in axes else slice(None) for i in range(x.ndim)])] = True
    return function(
        prims.select(traced(is_first), held(x), prims.convert(x, common)), *args, **kwargs
    )


def _divided(parts: Callable[..., tuple[Value, Any]]) -> Callable[..., Any]:
    """A mean: the sum is cast to the dtype of the output, and divided there."""

    def into(
        dtype: DType, function: Callable[..., Any], a: Any, *args: Any, **kwargs: Any
    ) -> Value:
        if is_inexact(dtype) or traced(a).dtype.kind == "c":
            return function(a, *args, **kwargs)
        total, count = parts(a, *args, **kwargs)
        return quotient_in(dtype, prims.convert(total, dtype), count)

    return into


def _median(dtype: DType, function: Callable[..., Any], a: Any, *args: Any, **kwargs: Any) -> Any:
    """`numpy.median`: the mean of those in the middle; NaN cannot be put into integers."""
    if is_inexact(dtype):
        return function(a, *args, **kwargs)
    x = traced(a)
    result = _of_middle(dtype, function, a, *args, **kwargs)
    if is_inexact(x.dtype):
        whole = function(a, *args, **kwargs)
        what = "array data" if whole.ndim else "scalar"
        message = f"Cannot cast {what} from {x.dtype!r} to {dtype!r} according to the rule"
        message = f"{message} 'same_kind'".replace("{", "{{").replace("}", "}}")
        require_all(prims.equal(whole, whole), message, DTypeError)
    return result


def _nanmedian(
    dtype: DType, function: Callable[..., Any], a: Any, *args: Any, **kwargs: Any
) -> Any:
    """`numpy.nanmedian`: the result is assigned, and so cast to any dtype."""
    return prims.convert(traced(function(a, *args, **kwargs)), dtype)


_of_middle = _divided(middle_of)
INTO[np.max] = INTO[np.min] = _extreme
INTO[np.mean], INTO[np.var] = _divided(mean_parts), _divided(var_parts)
INTO[np.median], INTO[np.nanmedian] = _median, _nanmedian
