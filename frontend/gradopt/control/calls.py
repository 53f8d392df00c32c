# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions that rewritten code calls: rewritten ones, and ones that take traced values."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np

import gradopt.numpy as gnp
from gradopt.array.dispatch import FUNCTIONS, UFUNCS
from gradopt.array.handle import Handle, python_number
from gradopt.base.dtypes import BOOL, FLOAT64, INT64
from gradopt.base.location import source_location
from gradopt.control.loops import CannotRollError
from gradopt.control.sequences import enumerated, range_of, reversed_of, zipped
from gradopt.ir import prims
from gradopt.ir.current import current_scope
from gradopt.rewrite.functions import REPLACED_NAMES, is_users, rewritten
from gradopt.transforms.branches import cond


def is_unknown(value: Any) -> bool:
    """Whether a value is traced, and not known while tracing."""
    return isinstance(value, Handle) and value._known() is None


def _replacing(
    function: Callable[..., Any],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What is called in place of a function of Python where an argument is not known."""

    def decorate(replacement: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            for arg in args:
                if is_unknown(arg) or (type(arg) in (list, tuple) and any(map(is_unknown, arg))):
                    return replacement(*args, **kwargs)
            return function(*args, **kwargs)

        _REPLACED[function] = call
        return call

    return decorate


def _uninitialized(shape: Any, dtype: Any = float, *args: Any, **kwargs: Any) -> Any:
    """As `numpy.ndarray`, which is called as `numpy.empty`."""
    return np.ndarray(shape, dtype, *args, **kwargs) if args or kwargs else gnp.empty(shape, dtype)


# Functions of NumPy that its protocols do not dispatch, and of Python, by what takes their place.
_REPLACED: dict[Any, Callable[..., Any]] = {
    range: range_of,
    enumerate: enumerated,
    zip: zipped,
    reversed: reversed_of,
    np.ndarray: _uninitialized,
    **{getattr(np, name): getattr(gnp, name) for name in gnp.__all__},
}
REPLACED_NAMES.update((*gnp.__all__, "ndarray"))

_math: dict[str, Any] = {
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "atanh": np.arctanh,
    "pow": np.power,
}
_SAME_IN_NUMPY = (
    "sin cos tan sinh cosh tanh exp expm1 log log1p log2 log10 sqrt fabs hypot "
    "copysign degrees radians isnan isfinite isinf exp2 cbrt fmod"
)
_math |= {name: getattr(np, name) for name in _SAME_IN_NUMPY.split() if hasattr(math, name)}
for _name, _ufunc in _math.items():
    _replacing(getattr(math, _name))(_ufunc)


@_replacing(min)
def _min(*args: Any, **kwargs: Any) -> Any:
    """`min` of numbers."""
    return _chosen(min, lambda a, b: b < a, args, kwargs)


@_replacing(max)
def _max(*args: Any, **kwargs: Any) -> Any:
    """`max` of numbers."""
    return _chosen(max, lambda a, b: b > a, args, kwargs)


def _chosen(builtin: Any, better: Callable[[Any, Any], Any], args: Any, kwargs: Any) -> Any:
    values = args[0] if len(args) == 1 else args
    if kwargs or isinstance(values, Handle) or any(np.ndim(v) for v in values):
        return builtin(*args, **kwargs)
    result = values[0]
    for value in values[1:]:
        wins = better(result, value)
        if not isinstance(wins, Handle):
            result = value if wins else result
            continue
        # As Python: the result is one of the two, with its type.
        result = cond(wins, lambda a, b: b, lambda a, b: a, result, value)
    return result


@_replacing(float)
def _float(value: Any) -> Any:
    """`float` of one number."""
    return _scalar(value, FLOAT64) if value.size == 1 else float(value)


@_replacing(int)
def _int(value: Any) -> Any:
    """`int` of one number."""
    return _scalar(value, INT64) if value.size == 1 else int(value)


@_replacing(bool)
def _bool(value: Any) -> Any:
    """`bool` of one number."""
    return _scalar(value, BOOL) if value.size == 1 else bool(value)


def _scalar(value: Any, dtype: Any) -> Any:
    return python_number(prims.convert(prims.reshape(value._read(), ()), dtype))


# -- Functions that have effects ---------------------------------------------------------------

_PURE = (
    "abs all any callable chr divmod format getattr hasattr hash id isinstance "
    "issubclass len max min ord pow repr round sorted sum"
)
_PURE_BUILTINS = frozenset(getattr(builtins, name) for name in _PURE.split())
_MUTATING_METHODS = (
    "append extend insert remove pop clear sort reverse add discard update popitem "
    "setdefault send throw close write writelines fill put itemset setflags resize "
    "partition __setitem__ __delitem__ __next__"
)
_MUTATING = frozenset(_MUTATING_METHODS.split())
_PURE_MODULES = ("numpy", "gradopt", "math", "cmath", "operator", "functools", "_operator")
_RANDOM = "numpy.random"


def callee(function: Any, package: str) -> Any:
    """What is called in place of a function, while tracing.

    Args:
        function: what the user calls.
        package: the package of the user's function.

    Raises:
        CannotRollError: it has, or may have, effects, and is called in a part that is traced once
            for all iterations.
    """
    scope = current_scope()
    if scope is None or not scope.trace.rewrites:
        return function
    kind = type(function)
    if kind is FunctionType or kind is MethodType:
        inner = function.__func__ if kind is MethodType else function
        if type(inner) is FunctionType and is_users(inner, package):
            return rewritten(function)
    found = _replacement(function)
    if found is not None:
        return found
    if kind is not FunctionType and kind is not MethodType:
        found = rewritten(function)
        if found is not function:
            return found
    if scope.in_part and not _is_pure(function):
        name = getattr(function, "__qualname__", None) or kind.__name__
        raise CannotRollError(
            f"{name} is called where a traced condition, or a loop of compiled code, decides how "
            "often that happens; it may have effects that compiled code does not have",
            source_location(),
        )
    return function


def _replacement(function: Any) -> Callable[..., Any] | None:
    try:
        found = _REPLACED.get(function)
        if found is None and (function in FUNCTIONS or function in UFUNCS):
            return gnp._with_traced(function)
        return found
    except TypeError:
        return None  # It is not hashable.


def _is_pure(function: Any) -> bool:
    """Whether a function that is not the user's only computes a result."""
    owner = getattr(function, "__self__", None)
    is_bound = isinstance(function, (BuiltinFunctionType, MethodType)) and owner is not builtins
    if is_bound and owner is not None and not isinstance(owner, type(math)):
        if isinstance(owner, Handle):
            return True
        if type(owner).__module__.startswith(_RANDOM):
            return False
        is_builtin = type(owner).__module__ in ("builtins", "numpy")
        return is_builtin and getattr(function, "__name__", "") not in _MUTATING
    if isinstance(function, (type, np.ufunc)):
        return True
    try:
        if function in _PURE_BUILTINS:
            return True
    except TypeError:
        return False
    module = getattr(function, "__module__", None) or type(function).__module__
    return module.startswith(_PURE_MODULES) and not module.startswith(_RANDOM)
