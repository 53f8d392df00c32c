# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions that rewritten code calls: rewritten ones, and ones that take traced values."""

from __future__ import annotations

import builtins
import functools
import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np

import gradopt.numpy as gnp
from gradopt.array.dispatch import UFUNCS, foreign_handler, handler_of
from gradopt.array.handle import Handle, python_number, wrap
from gradopt.array.operands import handle_of, nested, rows_of
from gradopt.array.operators import in_place_of, with_traced
from gradopt.base.dtypes import BOOL, COMPLEX128, FLOAT64, INT64, SUPPORTED, kind_of
from gradopt.base.location import source_location
from gradopt.control.branches import to_bool, truth
from gradopt.control.containers import (
    are_elsewhere,
    are_left,
    changes,
    iterators_in,
    made,
    note_left,
    refuse_elsewhere,
    require_not_left,
    spread_of,
)
from gradopt.control.effects import print_later, warn_later
from gradopt.control.foreign import noting
from gradopt.control.lengths import length_by
from gradopt.control.nditer import nditer_of
from gradopt.control.order import order
from gradopt.control.parts import CannotRollError
from gradopt.control.scipy_calls import naming_itself, of_scipy
from gradopt.control.sequences import (
    enumerated,
    ndenumerate_of,
    ndindex_of,
    product_of,
    range_of,
    reversed_of,
    zipped,
)
from gradopt.control.text import by_method, formatted, is_put_off, text_by
from gradopt.errors import UnsupportedError
from gradopt.ir import prims
from gradopt.ir.current import current_scope
from gradopt.ir.sorting import sort, take_along
from gradopt.ir.trace import Scope
from gradopt.rewrite.functions import (
    REPLACED_BUILTINS,
    REPLACED_NAMES,
    assigned_cells,
    assigned_globals,
    has_own_init,
    is_users,
    lookup,
    rewritten,
)
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
            if args and isinstance(args[0], Iterator):
                # Its elements can be looked at once.
                args = (list(args[0]), *args[1:])
            for arg in (*args, *kwargs.values()):
                if is_put_off(arg):
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
    itertools.product: product_of,
    np.ndindex: ndindex_of,
    np.ndenumerate: ndenumerate_of,
    np.nditer: nditer_of,
    np.ndarray: _uninitialized,
    **{getattr(np, name): getattr(gnp, name) for name in gnp.__all__},
}
# What calls objects of some classes, which are given first.
_CALLED: dict[type, Callable[..., Any]] = {}
REPLACED_NAMES.update(
    (
        *gnp.__all__,
        "ndarray",
        "nditer",
        "errstate",
        "seterr",
        "r_",
        "c_",
        "fromiter",
        "vectorize",
        "frompyfunc",
        "apply_along_axis",
        "piecewise",
        "float64",
        "float32",
        "int64",
        "int32",
        "poly1d",
        # They look for traced values in some of their arguments only.
        *("full_like", "insert", "interp", "nan_to_num", "pad", "roll", "take", "trapezoid"),
        "unwrap",
    )
)


def _special(name: str) -> Callable[..., Any]:
    """A function of `scipy.special`."""
    found = foreign_handler(name)
    assert found is not None
    return found


_math: dict[str, Any] = {
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "atanh": np.arctanh,
    "erf": lambda x: wrap(_special("erf")(x)),
    "erfc": lambda x: wrap(_special("erfc")(x)),
    "gamma": lambda x: wrap(_special("gamma")(x)),
    "hypot": lambda *sides: functools.reduce(np.hypot, sides, 0.0),
    "lgamma": lambda x: wrap(_special("gammaln")(x)),
    "log": lambda x, *base: np.log(x) / np.log(base[0]) if base else np.log(x),
    "pow": np.power,
}
_SAME_IN_NUMPY = (
    "sin cos tan sinh cosh tanh exp expm1 log1p log2 log10 sqrt fabs "
    "copysign degrees radians isnan isfinite isinf exp2 cbrt fmod"
)
_math |= {name: getattr(np, name) for name in _SAME_IN_NUMPY.split() if hasattr(math, name)}


def _of_floats(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of `math`: it takes what `float` makes of its arguments, and gives Python's."""

    def call(*args: Any) -> Any:
        floats = [_float(arg) if is_unknown(arg) else float(arg) for arg in args]
        return python_number(function(*floats)._read())

    return call


def _of_sequences(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of `math` of sequences of numbers."""

    def call(*sequences: Any) -> Any:
        floats = [[_float(v) if is_unknown(v) else float(v) for v in s] for s in sequences]
        return python_number(function(*floats)._read())

    return call


for _name, _ufunc in _math.items():
    _replacing(getattr(math, _name))(_of_floats(_ufunc))


def _to_integer(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of `math` that rounds a number to an integer."""

    def call(value: Any) -> Any:
        if function is np.trunc and not value._is_scalar:
            raise TypeError("type numpy.ndarray doesn't define __trunc__ method")
        number = _float(value)
        return _scalar(function(number), INT64) if kind_of(value.dtype) == "f" else _int(value)

    return call


for _name in ("ceil", "floor", "trunc"):
    _replacing(getattr(math, _name))(_to_integer(getattr(np, _name)))


@_replacing(min)
def _min(*args: Any, **kwargs: Any) -> Any:
    """`min` of numbers."""
    return _chosen(min, lambda a, b: order("lt", b, a), args, kwargs)


@_replacing(max)
def _max(*args: Any, **kwargs: Any) -> Any:
    """`max` of numbers."""
    return _chosen(max, lambda a, b: order("gt", b, a), args, kwargs)


def _chosen(builtin: Any, better: Callable[[Any, Any], Any], args: Any, kwargs: Any) -> Any:
    values = list(args[0]) if len(args) == 1 else args
    key = kwargs.pop("key", None)
    if not values and "default" in kwargs:
        return kwargs["default"]
    if not values or (len(args) > 1 and kwargs) or any(map(_is_array, values)):
        return builtin(*args, key=key, **kwargs)
    rows = [(v if key is None else rewritten(key)(v), v) for v in values]
    best = rows[0]
    for row in rows[1:]:
        wins = better(best[0], row[0])
        if not isinstance(wins, Handle):
            best = row if wins else best
            continue
        # As Python: the result is one of the two, with its type.
        best = cond(wins, lambda a, b: b, lambda a, b: a, best, row)
    return best[1]


def _is_array(value: Any) -> bool:
    return type(value) not in (tuple, list) and np.ndim(value) > 0


def _always(function: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What is called in place of a function of Python, whatever its arguments are."""

    def decorate(replacement: Callable[..., Any]) -> Callable[..., Any]:
        _REPLACED[function] = replacement
        return replacement

    return decorate


@_always(type)
def _type(*args: Any, **kwargs: Any) -> Any:
    """`type`: NumPy's class of what is traced."""
    if len(args) == 1 and not kwargs and isinstance(args[0], Handle):
        return args[0].__class__
    return type(*args, **kwargs)


_MISSING: Any = object()


@_always(hasattr)
def _hasattr(value: Any, name: str) -> bool:
    """`hasattr`."""
    if isinstance(value, Handle):
        return hasattr(value.__class__, name)
    return hasattr(value, name)


@_always(getattr)
def _getattr(value: Any, name: str, default: Any = _MISSING) -> Any:
    """`getattr`."""
    if isinstance(value, Handle) and not hasattr(value.__class__, name):
        value = value.__class__
    return getattr(value, name) if default is _MISSING else getattr(value, name, default)


@_always(isinstance)
def _isinstance(value: Any, kinds: Any) -> bool:
    """`isinstance`: what has only the methods that a class asks for is none by itself."""
    if isinstance(value, Handle):
        return issubclass(value.__class__, kinds)
    return isinstance(value, kinds)


@_always(len)
def _len(value: Any) -> Any:
    """`len`."""
    spread = spread_of(value)
    if spread is not None:
        return spread.length()
    if isinstance(value, Handle) and value.ndim:
        return value.shape[0]  # It may be known at run time only.
    refuse_elsewhere(value, 1)
    own = lookup(type(value), "__len__")
    if type(own) is FunctionType and is_users(own):
        return length_by(own, value)
    return len(value)  # pyright: ignore[reportArgumentType]


def _as_numpys(kind: Any) -> Callable[..., Any]:
    """A scalar type of NumPy's, called to convert."""

    def call(value: Any) -> Any:
        return _scalar_or_array(gnp.array(value), np.dtype(kind))

    return call


def _scalar_or_array(value: Any, dtype: Any) -> Any:
    result = value.astype(dtype)
    return result if result.shape else result[()]


for _dtype in SUPPORTED:
    _replacing(_dtype.type)(_as_numpys(_dtype.type))


def _isclose(a: Any, b: Any, *, rel_tol: float = 1e-09, abs_tol: float = 0.0) -> Any:
    """`math.isclose`."""
    largest = np.maximum(np.absolute(a), np.absolute(b))
    return (np.absolute(a - b) <= np.maximum(rel_tol * largest, abs_tol)) | (a == b)


def _product(values: Any, *, start: Any = 1) -> Any:
    """`math.prod`."""
    return functools.reduce(lambda a, b: a * b, values, start)


_replacing(math.isclose)(_isclose)
_replacing(math.prod)(_product)
_replacing(math.fsum)(_of_sequences(lambda values: sum(values, 0.0)))
_replacing(math.dist)(
    _of_sequences(lambda p, q: np.sqrt(sum([(a - b) ** 2 for a, b in zip(p, q, strict=True)], 0.0)))
)
_replacing(math.modf)(lambda x: tuple(map(_float, np.modf(_float(x)))))
_replacing(math.frexp)(lambda x: tuple([python_number(v._read()) for v in np.frexp(_float(x))]))
_replacing(math.gcd)(lambda *numbers: functools.reduce(lambda a, b: _int(np.gcd(a, b)), numbers, 0))
_replacing(math.remainder)(_of_floats(lambda x, y: x - y * np.round(x / y)))
_replacing(math.ldexp)(_of_floats(lambda x, i: x * np.exp2(i)))


def replace(function: Any, replacement: Callable[..., Any]) -> None:
    """Says what is called in place of a function of NumPy's, or to call objects of a class."""
    (_CALLED if function is np.vectorize else _REPLACED)[function] = replacement


def instead_of(function: Any) -> Callable[..., Any]:
    """What is called in place of a function."""
    return _REPLACED[function]


@_always(np.fromiter)
def _fromiter(iter: Any, dtype: Any, count: int = -1, **kwargs: Any) -> Any:
    """`numpy.fromiter`."""
    values = list(iter)
    if not any(map(is_unknown, values)):
        return np.fromiter(values, dtype, count, **kwargs)
    return gnp.array(values if count < 0 else values[:count], dtype)


_REPLACED[print] = print_later
_REPLACED[warnings.warn] = warn_later


@_replacing(str)
def _str(value: Any = "") -> Any:
    """`str`."""
    return text_by(str, value)


@_replacing(repr)
def _repr(value: Any) -> Any:
    """`repr`."""
    return text_by(repr, value)


@_replacing(ascii)
def _ascii(value: Any) -> Any:
    """`ascii`."""
    return text_by(ascii, value)


@_replacing(format)
def _format(value: Any, spec: Any = "") -> Any:
    """`format`."""
    return formatted(value, spec)


@_always(any)
def _any(values: Any) -> Any:
    """`any`, of traced elements too."""
    return _all_or_any(values, ends_on=True)


@_always(all)
def _all(values: Any) -> Any:
    """`all`, of traced elements too."""
    return _all_or_any(values, ends_on=False)


def _all_or_any(values: Any, ends_on: bool) -> Any:
    """Goes through the elements until one that is known decides, as Python does."""
    found: Any = not ends_on
    left: list[Any] = []
    for value in values:
        condition = truth(value)
        if not isinstance(condition, bool):
            # Python stops where the first one decides; here all others are asked, too.
            left = left or (iterators_in(values) if isinstance(values, Iterator) else [])
            known = wrap(to_bool(condition))
            found = (
                known if isinstance(found, bool) else found | known if ends_on else found & known
            )
        elif condition is ends_on:
            found = ends_on
            break
    note_left(left)
    return found


@_replacing(sum)
def _sum(values: Any, /, start: Any = 0) -> Any:
    """`sum`: at once of a list that a loop has filled."""
    whole = rows_of(values) if type(values) is list else None
    if whole is None:
        return sum(values, start)
    total = prims.reduce("sum", _as_summed(whole._read()), [0])
    return start + (python_number(total) if whole._weak else wrap(total))


def _as_summed(value: Any) -> Any:
    """Bools count."""
    return prims.convert(value, INT64) if value.dtype.kind == "b" else value


@_replacing(sorted)
def _sorted(values: Any, /, *, key: Any = None, reverse: bool = False) -> list[Any]:
    """`sorted`: of numbers of one kind at once, else by a network of comparisons."""
    rows = [(value if key is None else rewritten(key)(value), value) for value in values]
    count = len(rows)
    if all(map(_are_numbers_alike, zip(*rows, strict=True))) and not prims.scope().trace.on_device:
        return _sorted_numbers([key for key, _ in rows], [value for _, value in rows], reverse)
    # Neighbours change places where they are in the wrong order; equal ones stay.
    for turn in range(count):
        for i in range(turn % 2, count - 1, 2):
            (a, x), (b, y) = rows[i], rows[i + 1]
            wrong = order("lt", a, b) if reverse else order("lt", b, a)
            if isinstance(wrong, Handle):
                rows[i : i + 2] = _exchanged(wrong, rows[i], rows[i + 1])
            elif wrong:
                rows[i], rows[i + 1] = (b, y), (a, x)
    return [value for _, value in rows]


def _are_numbers_alike(values: Sequence[Any]) -> bool:
    """Whether values are traced numbers of one kind, all of Python or all of NumPy."""
    first = values[0]
    return all(
        isinstance(value, Handle)
        and value._is_scalar
        and (value.dtype, value._weak) == (first.dtype, first._weak)
        and value.dtype.kind != "c"
        for value in values
    )


def _sorted_numbers(keys: list[Any], numbers: list[Any], reverse: bool) -> list[Any]:
    """Numbers in the order of their keys; of equal ones, the first one stays first."""
    step = -1 if reverse else 1
    order = sort(nested(keys[::step]), 0)[1]
    found = take_along(nested(numbers[::step]), order, 0)
    parts = [prims.reshape(prims.take_range(found, 0, i, i + 1), ()) for i in range(len(keys))]
    return [(python_number if numbers[0]._weak else wrap)(part) for part in parts[::step]]


def _exchanged(wrong: Any, one: Any, other: Any) -> list[Any]:
    first = cond(wrong, lambda a, b: b, lambda a, b: a, one, other)
    return [first, cond(wrong, lambda a, b: a, lambda a, b: b, one, other)]


@_always(np.errstate)
def _errstate(**kwargs: Any) -> Any:
    """`numpy.errstate`, of which compiled code can only ignore errors."""
    _require_ignored("numpy.errstate", kwargs)
    return np.errstate(**kwargs)


@_always(np.seterr)
def _seterr(*args: Any, **kwargs: Any) -> Any:
    """`numpy.seterr`, which is no part of what is compiled."""
    _require_ignored("numpy.seterr", dict(zip(("all", "divide", "over"), args, strict=False)))
    _require_ignored("numpy.seterr", kwargs)
    return np.seterr(*args, **kwargs)


def _require_ignored(name: str, kwargs: dict[str, Any]) -> None:
    for key, value in kwargs.items():
        if value not in ("ignore", "warn", None):
            raise UnsupportedError(
                f"{name}({key}={value!r}) is not supported: compiled code does not look for "
                "floating-point errors, and gives inf and nan; test the values, as with "
                "numpy.isfinite",
                source_location(),
            )


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


@_replacing(complex)
def _complex(real: Any = 0, imag: Any = 0) -> Any:
    """`complex` of one number, or of a real and an imaginary part."""
    parts: list[Any] = []
    for part in (real, imag):
        if not isinstance(part, Handle) or part.size != 1:
            parts.append(complex(part))  # pyright: ignore
        else:
            parts.append(_scalar(part, COMPLEX128 if part.dtype.kind == "c" else FLOAT64))
    return parts[0] + 1j * parts[1]


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


REPLACED_BUILTINS.update(
    found.__name__
    for found in _REPLACED
    if getattr(builtins, getattr(found, "__name__", ""), None) is found
)


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
            if scope.in_part:
                _note_variables(inner)
            return rewritten(function)
    if kind is not FunctionType and kind is not MethodType:
        found = rewritten(function)
        if found is not function:
            if scope.in_part:
                _note_variables(found)
            return found
    call = _not_rewritten(function, kind, scope)
    is_sort = type(getattr(function, "__self__", None)) is list and function.__name__ == "sort"
    if is_sort or _is_among(function, _HIGHER) or (scope.in_part and _is_numpys(function)):
        call = functools.partial(_with_functions, call, package)
    if _is_among(function, _ITERATORS):
        call = _making(call)
    if are_left():
        require_not_left([getattr(function, "__self__", None)])
        call = functools.partial(_of_known, call)
    return noting(function, call) if scope.in_part else call


def _is_among(function: Any, others: frozenset[Any]) -> bool:
    try:
        return function in others
    except TypeError:
        return False  # It is not hashable.


def _is_numpys(function: Any) -> bool:
    return getattr(function, "__module__", None) == "numpy"


def _note_variables(function: Any) -> None:
    """Notes the variables of others that a function assigns, in a part."""
    while not isinstance(function, FunctionType):
        if not isinstance(function, functools.partial | MethodType):
            return
        function = function.func if isinstance(function, functools.partial) else function.__func__
    for cell in assigned_cells(function):
        changes(cell)
    names = assigned_globals(function.__code__)
    if names:
        raise CannotRollError(
            f"{function.__qualname__} assigns the global {', '.join(names)} where a traced "
            "condition, or a loop of compiled code, decides how often that happens; return the "
            "value instead",
            source_location(),
        )


# Functions that call others.
_HIGHER: frozenset[Any] = frozenset(
    {
        map,
        filter,
        functools.reduce,
        sorted,
        min,
        max,
        itertools.accumulate,
        itertools.starmap,
        itertools.takewhile,
        itertools.dropwhile,
        itertools.filterfalse,
        itertools.groupby,
    }
)
_ITERATORS: frozenset[Any] = frozenset(
    {enumerate, zip, reversed, itertools.product, np.ndindex, np.ndenumerate}
)


def _with_functions(call: Callable[..., Any], package: str, *args: Any, **kwargs: Any) -> Any:
    """A call of a function that calls those of its arguments that are functions."""

    def rewritten(arg: Any) -> Any:
        is_data = isinstance(arg, type | Handle | np.ufunc | np.ndarray)
        return callee(arg, package) if callable(arg) and not is_data else arg

    named = {name: rewritten(arg) for name, arg in kwargs.items()}
    return call(*map(rewritten, args), **named)


def _of_known(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """A call that may go through iterators."""
    require_not_left((*args, *kwargs.values()))
    return call(*args, **kwargs)


def _making(call: Callable[..., Any]) -> Callable[..., Any]:
    """A function that makes an iterator."""
    return lambda *args, **kwargs: made(call(*args, **kwargs))


def _not_rewritten(function: Any, kind: type, scope: Scope) -> Any:
    """What is called in place of a function that is not the user's."""
    found = _replacement(function)
    if found is not None:
        is_guarded = scope.in_part and found is not _len and are_elsewhere(scope)
        return _guarded(found) if is_guarded else found
    if kind in _CALLED:
        return functools.partial(_CALLED[kind], function)
    found = in_place_of(function)
    if found is not None:
        return found
    owner = getattr(function, "__self__", None)
    if type(owner) is list and function.__name__ == "sort":
        return functools.partial(_sort, owner)
    if type(owner) is np.ndarray and kind is BuiltinFunctionType:
        return _method_of_array(function, owner)
    if scope.in_part and type(owner) in (list, dict, set) and kind is BuiltinFunctionType:
        return _method_of_container(function, owner)
    if type(owner) is str and function.__name__ == "format":
        return lambda *args, **kwargs: by_method(owner, args, kwargs)
    if kind is type and has_own_init(function):
        return functools.partial(_instance, function)
    if scope.in_part and not is_pure(function):
        name = getattr(function, "__qualname__", None) or kind.__name__
        raise CannotRollError(
            f"{name} is called where a traced condition, or a loop of compiled code, decides how "
            "often that happens; it may have effects that compiled code does not have",
            source_location(),
        )
    if scope.in_part or kind is type:
        return naming_itself(function, _guarded(function))
    return naming_itself(function)


def _instance(cls: type, *args: Any, **kwargs: Any) -> Any:
    """A new instance, by its class's `__init__`, which is rewritten."""
    found = made(object.__new__(cls))
    init: Any = cls.__init__
    rewritten(init)(found, *args, **kwargs)
    return found


def _guarded(function: Any) -> Any:
    """A function that must not get lists that have become arrays."""

    def call(*args: Any, **kwargs: Any) -> Any:
        refuse_elsewhere(args)
        refuse_elsewhere(kwargs)
        result = function(*args, **kwargs)
        return made(result) if isinstance(function, type) or type(result) is list else result

    return call


def _method_of_array(function: Any, owner: Any) -> Callable[..., Any]:
    """A method of a concrete array, in whose arguments NumPy does not look for traced values."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if is_put_off((args, kwargs)):
            return getattr(handle_of(owner), function.__name__)(*args, **kwargs)
        return function(*args, **kwargs)

    return call


def _sort(items: list[Any], **kwargs: Any) -> None:
    """`list.sort`."""
    changes(items)
    items[:] = _REPLACED[sorted](items, **kwargs)


def _method_of_container(function: Any, owner: Any) -> Any:
    """A method of a list, dict or set, which may change it."""
    name = function.__name__
    if name in ("append", "extend") and type(owner) is list:

        def put(items: Any) -> None:
            for item in [items] if name == "append" else items:
                spread = changes(owner, item, appends=True)
                if spread is None:
                    owner.append(item)
                else:
                    spread.append(item)

        return put

    def call(*args: Any, **kwargs: Any) -> Any:
        refuse_elsewhere((owner, *args))
        if name in _MUTATING:
            changes(owner)
        result = function(*args, **kwargs)
        return made(result) if type(result) is list else result

    return call


def _replacement(function: Any) -> Callable[..., Any] | None:
    try:
        found = _REPLACED.get(function)
        if found is None and (handler_of(function) or function in UFUNCS):
            return with_traced(function)
        return of_scipy(function) if found is None else found
    except TypeError:
        return None  # It is not hashable.


def is_pure(function: Any) -> bool:
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
    if _is_among(function, _PURE_BUILTINS) or _is_among(function, _HIGHER):
        return True
    if type(function).__module__.startswith("gradopt."):
        return True  # A function that was transformed, under the name of the user's.
    module = getattr(function, "__module__", None) or type(function).__module__
    return module.startswith(_PURE_MODULES) and not module.startswith(_RANDOM)
