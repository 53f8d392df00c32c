# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Drop-in namespace for `import numpy as np`.

Everything is NumPy's own, which dispatches on traced arrays by itself. The functions below are
those that NumPy's protocols cannot dispatch: they take traced values inside lists, as fill
values and as bounds. On concrete arguments they are NumPy's.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as _np

from gradopt import prims as _prims
from gradopt.dispatch import FUNCTIONS as _FUNCTIONS
from gradopt.dispatch import call_function as _call_function
from gradopt.dispatch import ufunc_handler as _ufunc_handler
from gradopt.dtypes import result_type as _result_type
from gradopt.dtypes import supported as _supported
from gradopt.functions.joining import array as _array
from gradopt.functions.shapes import shape_of as _shape_of
from gradopt.tracer import Tracer
from gradopt.ufuncs import promotion_kind as _promotion_kind

__all__ = ["array", "asarray", "full", "linspace"]


def array(object: Any, dtype: Any = None, *, copy: bool | None = True, ndmin: int = 0) -> Any:
    """As `numpy.array`, of nested lists with traced elements too.

    Raises:
        ShapeError: the list is ragged.
    """
    if not _prims.is_traced(object):
        return _np.array(object, dtype, copy=copy, ndmin=ndmin)
    result = (
        object.astype(dtype or object.dtype)
        if isinstance(object, Tracer)
        else _array(object, dtype)
    )
    missing = max(0, ndmin - result.ndim)
    return _prims.reshape(result, (1,) * missing + result.shape)


def asarray(a: Any, dtype: Any = None) -> Any:
    """As `numpy.asarray`, of traced arrays and nested lists with traced elements too."""
    if isinstance(a, Tracer):
        return a if dtype is None or a.dtype == _np.dtype(dtype) else a.astype(dtype)
    return array(a, dtype) if _prims.is_traced(a) else _np.asarray(a, dtype)


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """As `numpy.full`, with a traced fill value too."""
    if not _prims.is_traced(fill_value):
        return _np.full(shape, fill_value, dtype)
    value = _prims.as_traced(fill_value)
    if dtype is not None:
        value = _prims.convert(value, _supported(dtype))
    return _prims.broadcast_to(value, _shape_of(shape))


def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None) -> Any:
    """As `numpy.linspace`, between traced bounds too."""
    if not _prims.is_traced(start, stop):
        return _np.linspace(start, stop, num, endpoint, dtype=dtype)
    kind = _result_type(_promotion_kind(start), _promotion_kind(stop), float)
    first, last = _prims.as_traced(start, kind), _prims.as_traced(stop, kind)
    count = num - 1 if endpoint else num
    shape = (num,) + (1,) * max(first.ndim, last.ndim)
    steps = _np.arange(num).reshape(shape) / max(count, 1)
    result = first + (last - first) * steps.astype(kind)
    if endpoint and num > 1:
        result = _np.concatenate([result[:-1], _np.broadcast_to(last, result[-1:].shape)])
    return result if dtype is None else result.astype(dtype)


_JOINING = frozenset(
    [
        "concatenate",
        "stack",
        "vstack",
        "hstack",
        "dstack",
        "column_stack",
        "einsum",
        "broadcast_arrays",
        "block",
    ]
)


def _with_lists(function: Any) -> Any:
    """A function of NumPy that takes lists with traced elements for arrays, too."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if any(type(arg) in (list, tuple) and _prims.is_traced(*arg) for arg in args):
            if isinstance(function, _np.ufunc):
                return _ufunc_handler(function)(*args)
            return _call_function(function, args, kwargs)
        return function(*args, **kwargs)

    return wrapper


@functools.cache
def __getattr__(name: str) -> Any:
    attribute = getattr(_np, name)
    if name in _JOINING:
        return attribute
    if isinstance(attribute, _np.ufunc):
        return _with_lists(attribute)
    if callable(attribute) and not isinstance(attribute, type) and attribute in _FUNCTIONS:
        return _with_lists(attribute)
    return attribute


def __dir__() -> list[str]:
    return sorted({*dir(_np), *__all__})
