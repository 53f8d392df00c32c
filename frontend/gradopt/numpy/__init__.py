# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Drop-in namespace for `import numpy as np`.

Everything is NumPy's own, which dispatches on traced arrays by itself. The functions below are
those that NumPy's protocols cannot dispatch: they take traced values inside lists and as fill
values. The others find traced values where NumPy does not look, as in `take(table, index)`.
On concrete arguments all are NumPy's.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as _np

from gradopt.array.dispatch import FUNCTIONS as _FUNCTIONS
from gradopt.array.dispatch import call_function as _call_function
from gradopt.array.dispatch import call_ufunc as _call_ufunc
from gradopt.array.operands import array as _array
from gradopt.array.operands import traced as _traced
from gradopt.array.tracer import Tracer
from gradopt.base.dtypes import supported as _supported
from gradopt.functions.shapes import shape_of as _shape_of
from gradopt.ir import prims as _prims

__all__ = ["array", "asarray", "full"]


def array(object: Any, dtype: Any = None, *, copy: bool | None = True, ndmin: int = 0) -> Any:
    """As `numpy.array`, of nested lists with traced elements too.

    Raises:
        ShapeError: the list is ragged.
    """
    if not _prims.is_traced(object):
        return _np.array(object, dtype, copy=copy, ndmin=ndmin)
    if isinstance(object, Tracer):
        result = object.astype(object.dtype if dtype is None else dtype, copy=bool(copy))
    else:
        result = _array(object, dtype)
    missing = max(0, ndmin - result.ndim)
    return _prims.reshape(result, (1,) * missing + result.shape)


def asarray(a: Any, dtype: Any = None) -> Any:
    """As `numpy.asarray`, of traced arrays and nested lists with traced elements too."""
    return array(a, dtype, copy=None) if _prims.is_traced(a) else _np.asarray(a, dtype)


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """As `numpy.full`, with a traced fill value too."""
    if not _prims.is_traced(fill_value):
        return _np.full(shape, fill_value, dtype)
    value = _traced(fill_value)
    if dtype is not None:
        value = _prims.convert(value, _supported(dtype))
    return _prims.broadcast_to(value, _shape_of(shape))


def _with_traced(function: Any) -> Any:
    """A function of NumPy that finds traced values in all its arguments, in lists, too."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not _prims.is_traced(*args, *kwargs.values()):
            return function(*args, **kwargs)
        if isinstance(function, _np.ufunc):
            return _call_ufunc(function, "__call__", args, kwargs)
        return _call_function(function, args, kwargs)

    return wrapper


@functools.cache
def __getattr__(name: str) -> Any:
    attribute = getattr(_np, name)
    is_function = callable(attribute) and not isinstance(attribute, type)
    if isinstance(attribute, _np.ufunc) or (is_function and attribute in _FUNCTIONS):
        return _with_traced(attribute)
    return attribute


def __dir__() -> list[str]:
    return sorted({*dir(_np), *__all__})
