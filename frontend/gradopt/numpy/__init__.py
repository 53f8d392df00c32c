# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Drop-in namespace for `import numpy as np`.

Everything is NumPy's own, which dispatches on traced arrays by itself. The functions below are
those that NumPy's protocols cannot dispatch: they take traced values inside lists and as fill
values. The others find traced values where NumPy does not look, as in `take(table, index)`.
On concrete arguments all are NumPy's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as _np

from gradopt.array.dispatch import call_function as _call_function
from gradopt.array.dispatch import handler_of as _handler_of
from gradopt.array.dispatch import unsupported as _unsupported
from gradopt.array.handle import Handle as _Handle
from gradopt.array.handle import array_of as _array_of
from gradopt.array.handle import known_array as _known_array
from gradopt.array.operands import is_traced as _is_traced
from gradopt.array.operands import nested as _nested
from gradopt.array.operands import traced as _traced
from gradopt.array.operators import with_traced as _with_traced
from gradopt.base.dtypes import SUPPORTED as _SUPPORTED
from gradopt.base.dtypes import supported as _supported
from gradopt.base.location import source_location as _source_location
from gradopt.errors import KeywordError as _KeywordError
from gradopt.functions.creation import CREATIONS as _CREATIONS
from gradopt.functions.creation import filled as _filled
from gradopt.functions.shapes import arranged as _arranged
from gradopt.functions.shapes import shape_of as _shape_of
from gradopt.ir import prims as _prims
from gradopt.ir.current import current_scope as _current_scope

__all__ = [
    "arange",
    "array",
    "asanyarray",
    "asarray",
    "ascontiguousarray",
    "asfortranarray",
    "bartlett",
    "blackman",
    "diag_indices",
    "empty",
    "eye",
    "full",
    "hamming",
    "hanning",
    "identity",
    "indices",
    "kaiser",
    "linspace",
    "mgrid",
    "ogrid",
    "ones",
    "tri",
    "tril_indices",
    "triu_indices",
    "zeros",
]


def _new(made: Any) -> Any:
    """A new array; while tracing one that can be written to, and is known until it is."""
    if _current_scope() is None or type(made) is not _np.ndarray or made.dtype not in _SUPPORTED:
        return made
    return _known_array(made)


def _require_sizes(values: Any) -> None:
    """Asks for the values of traced integers: NumPy hides that it needs them."""
    for value in values:
        if isinstance(value, _Handle):
            if value._known() is None:
                value._require_size()
        elif type(value) in (tuple, list):
            _require_sizes(value)


# Arguments that may be traced, and are no sizes, by place and name.
_FREE: dict[Any, tuple[Any, ...]] = {
    _np.linspace: (0, 1, "start", "stop"),
    _np.kaiser: (1, "beta"),
}


def _creates(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def create(*args: Any, **kwargs: Any) -> Any:
        free = _FREE.get(function, ())
        _require_sizes([v for n, v in enumerate(args) if n not in free])
        _require_sizes([v for name, v in kwargs.items() if name not in free])
        if function in _CREATIONS and _is_traced(*args, *kwargs.values()):
            made = _CREATIONS[function](*args, **kwargs)
            if made is not None:
                return made
        if _is_traced(*args, *kwargs.values()) and _handler_of(function):
            return _call_function(function, args, kwargs)
        return _new(function(*args, **kwargs))

    return create


zeros = _creates(_np.zeros)
ones = _creates(_np.ones)
empty = _creates(_np.zeros)
arange = _creates(_np.arange)
eye = _creates(_np.eye)
identity = _creates(_np.identity)
tri = _creates(_np.tri)
linspace = _creates(_np.linspace)
bartlett = _creates(_np.bartlett)
blackman = _creates(_np.blackman)
hamming = _creates(_np.hamming)
hanning = _creates(_np.hanning)
kaiser = _creates(_np.kaiser)
indices = _creates(_np.indices)
diag_indices = _creates(_np.diag_indices)
tril_indices = _creates(_np.tril_indices)
triu_indices = _creates(_np.triu_indices)


class _Grid:
    """`numpy.mgrid` or `ogrid`, whose bounds may depend on integers that are arguments."""

    def __init__(self, grid: Any) -> None:
        self._grid = grid

    def __getitem__(self, key: Any) -> Any:
        bounds = [(part.start, part.stop, part.step) for part in _parts(key)]
        for bound in bounds:
            _require_sizes(bound)
        known = tuple([slice(*map(_number, bound)) for bound in bounds])
        made = self._grid[known if isinstance(key, tuple) else known[0]]
        return tuple(map(_new, made)) if isinstance(made, tuple) else _new(made)


def _parts(key: Any) -> tuple[Any, ...]:
    return key if isinstance(key, tuple) else (key,)


def _number(bound: Any) -> Any:
    known = bound._known() if isinstance(bound, _Handle) else None
    return bound if known is None else known.item()


mgrid = _Grid(_np.mgrid)
ogrid = _Grid(_np.ogrid)


def _refuse(name: str, **keywords: Any) -> None:
    for keyword, value in keywords.items():
        if value:
            raise _unsupported(f"{keyword} of numpy.{name}")


def _as_array(x: Any, dtype: Any, copy: bool | None, order: Any) -> Any:
    """The array itself, or a copy if there has to be one."""
    order = "K" if order is None else order
    converts = dtype is not None and _supported(dtype) != x.dtype
    if copy or converts or x._is_scalar:
        value = x._read() if dtype is None else _traced(x, _supported(dtype))
        made = _arranged(value, x, order)
        is_copy = True
    else:
        made = x._in_order(order)
        is_copy = made is not x
    if is_copy and copy is False:
        raise _KeywordError(
            "unable to avoid a copy, which copy=False forbids: use copy=None or numpy.asarray",
            _source_location(),
        )
    return made


def array(
    object: Any,
    dtype: Any = None,
    *,
    copy: bool | None = True,
    order: Any = "K",
    subok: bool = False,
    ndmin: int = 0,
    ndmax: int = 0,
    like: Any = None,
) -> Any:
    """As `numpy.array`, of nested lists with traced elements too.

    Raises:
        KeywordError: there has to be a copy, but `copy` is False.
        ShapeError: the list is ragged.
    """
    if not _is_traced(object):
        others: dict[str, Any] = {"subok": subok, "ndmin": ndmin, "like": like}
        if ndmax:
            others["ndmax"] = ndmax
        made = _np.array(object, dtype, copy=copy, order=order, **others)
        return made if made is object else _new(made)
    _refuse("array", ndmax=ndmax, like=like is not None)
    if not isinstance(object, _Handle):
        object, copy = _array_of(_nested(object, dtype)), None if copy else copy
    result = _as_array(object, dtype, copy, order)
    missing = max(0, ndmin - result.ndim)
    return result._with_axes([*[-1] * missing, *range(result.ndim)]) if missing else result


def asarray(
    a: Any,
    dtype: Any = None,
    order: Any = None,
    *,
    device: Any = None,
    copy: bool | None = None,
    like: Any = None,
) -> Any:
    """As `numpy.asarray`, of traced arrays and nested lists with traced elements too."""
    if _is_traced(a):
        _refuse("asarray", device=device not in (None, "cpu"), like=like is not None)
        return array(a, dtype, copy=copy, order=order)
    made = _np.asarray(a, dtype, order, device=device, copy=copy, like=like)
    return made if made is a else _new(made)


def asanyarray(a: Any, dtype: Any = None, order: Any = None, **others: Any) -> Any:
    """As `numpy.asanyarray`; there are no subclasses of traced arrays."""
    if _is_traced(a):
        return asarray(a, dtype, order, **others)
    made = _np.asanyarray(a, dtype, order, **others)
    return made if made is a else _new(made)


def ascontiguousarray(a: Any, dtype: Any = None, *, like: Any = None) -> Any:
    """As `numpy.ascontiguousarray`: at least one dimension."""
    return _np.atleast_1d(asarray(a, dtype, "C", like=like))


def asfortranarray(a: Any, dtype: Any = None, *, like: Any = None) -> Any:
    """As `numpy.asfortranarray`."""
    return asarray(a, dtype, "F", like=like)


def full(
    shape: Any,
    fill_value: Any,
    dtype: Any = None,
    order: Any = "C",
    *,
    device: Any = None,
    like: Any = None,
) -> Any:
    """As `numpy.full`, with a traced fill value too."""
    _require_sizes((shape,))
    traced = _is_traced(shape) or _is_traced(fill_value)
    if not traced:
        return _new(_np.full(shape, fill_value, dtype, order, device=device, like=like))
    _refuse("full", device=device not in (None, "cpu"), like=like is not None)
    if _is_traced(shape):
        made = _filled("numpy.full", fill_value, shape, dtype)
        if made is not None:
            return made._in_order(order)
    value = _traced(fill_value)
    if dtype is not None:
        value = _prims.convert(value, _supported(dtype))
    made = _array_of(_prims.broadcast_to(value, _shape_of(shape)))
    return made if order == "C" else _arranged(made._read(), made, order)


@functools.cache
def __getattr__(name: str) -> Any:
    attribute = getattr(_np, name)
    is_function = callable(attribute) and not isinstance(attribute, type)
    if isinstance(attribute, _np.ufunc) or (is_function and _handler_of(attribute)):
        return _with_traced(attribute)
    return attribute


def __dir__() -> list[str]:
    return sorted({*dir(_np), *__all__})
