# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The tables from NumPy's functions and ufuncs to ours, and the way through them.

`implements` registers a function whose parameters are the supported ones, under NumPy's names.
What is not in a table, and each keyword that a function does not take, is an `UnsupportedError`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from gradopt.array.advice import advice_for
from gradopt.array.handle import (
    Handle,
    Storage,
    in_memory_order,
    is_ordered,
    known_array,
    python_number,
    wrap,
)
from gradopt.array.operands import is_traced, listed, promotion_kind, traced
from gradopt.base.called import ENTRIES, is_undispatched, library_function, qualified_name
from gradopt.base.dtypes import BOOL, SUPPORTED, DType, is_inexact, kind_of, supported
from gradopt.base.location import source_location
from gradopt.base.unknown_sizes import UnknownSizeError, unknown_size
from gradopt.errors import ConversionError, DTypeError, ShapeError, UnsupportedError
from gradopt.ir import prims, sized
from gradopt.ir.current import current_scope
from gradopt.ir.extents import Sizes
from gradopt.ir.values import Value

F = TypeVar("F", bound=Callable[..., Any])


class Handler(NamedTuple):
    """How one NumPy function is traced.

    Attributes:
        function: our implementation.
        name: NumPy's name, for messages.
        parameters: names of the supported parameters.
        positional: the largest number of positional arguments; None if any number.
    """

    function: Callable[..., Any]
    name: str
    parameters: frozenset[str]
    positional: int | None


FUNCTIONS: dict[Callable[..., Any], Handler] = {}
# What fills that table further: our module for NumPy's, imported when one of its functions is used.
FURTHER = {
    "numpy.linalg": "gradopt.linalg",
    "numpy.fft": "gradopt.functions.fourier",
    "numpy.roots": "gradopt.linalg",
    "numpy.poly1d": "gradopt.functions.poly1d",
    **{
        f"numpy.polynomial.{module}": "gradopt.functions.series_classes"
        for module in [
            "polynomial",
            "chebyshev",
            "legendre",
            "hermite",
            "hermite_e",
            "laguerre",
            "polyutils",
            "_polybase",
        ]
    },
}
UFUNCS: dict[np.ufunc, Callable[..., Any]] = {}
# Ufuncs of other packages (scipy.special), by name; and the modules that add most of them.
FOREIGN_UFUNCS: dict[str, Callable[..., Any]] = {}
# The same, called with the ufunc as the first argument.
TYPED_UFUNCS: dict[str, Callable[..., Any]] = {}
FURTHER_UFUNCS = [
    *(
        f"gradopt.functions.{name}"
        for name in ("special", "special_derived", "special_polynomials")
    ),
    "gradopt.scipy.carlson",
    "gradopt.scipy.faddeeva",
    "gradopt.scipy.inverses",
]
# Those that take complex numbers, of one operand; and the module that adds them.
COMPLEX_UFUNCS: dict[str, Callable[[Value], Value]] = {}
_OF_COMPLEX = "gradopt.scipy.faddeeva"
# ufunc.at.
UFUNC_METHODS: dict[str, Callable[..., Any]] = {}
# What is done for elements that a mask selected, beside; see `gradopt.array.masks`.
MASKED: dict[str, Callable[..., Any]] = {}
# Functions of each row of arrays of unknown size; see `gradopt.transforms.by_rows`.
BY_ROWS: dict[str, Callable[..., Any]] = {}
# Functions whose result depends on the dtype of their output: of that, the function and arguments.
INTO: dict[Any, Callable[..., Any]] = {}
# ufunc.reduce and ufunc.accumulate, as the NumPy function they equal.
REDUCTIONS: dict[np.ufunc, Callable[..., Any]] = {}
ACCUMULATIONS: dict[np.ufunc, Callable[..., Any]] = {}


def implements(*functions: Callable[..., Any]) -> Callable[[F], F]:
    """Registers the decorated function for these NumPy functions.

    What it returns as a value is an array of its own to the user; a view it returns as a handle.
    """

    def register(implementation: F) -> F:
        signature = inspect.signature(implementation)
        parameters = signature.parameters.values()
        variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        positional = [
            p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.POSITIONAL_ONLY)
        ]
        for function in functions:
            FUNCTIONS[function] = Handler(
                implementation,
                qualified_name(function),
                frozenset(p.name for p in parameters),
                None if variadic else len(positional),
            )
        return implementation

    return register


def handler_of(function: Any) -> Handler | None:
    """How NumPy's function is traced, if it can be."""
    handler = FUNCTIONS.get(function)
    if handler is None:
        module = getattr(function, "__module__", None) or ""
        name = f"{module}.{getattr(function, '__name__', '')}"
        further = FURTHER.get(module) or FURTHER.get(name)
        if further is not None:
            importlib.import_module(further)
            return FUNCTIONS.get(function)
    return handler


def _is_ours(function: Any) -> bool:
    """Whether `gradopt.numpy` has a function that takes the place of NumPy's."""
    return not isinstance(function, type) and not is_undispatched(function)


def unsupported(name: str, hint: str = "") -> UnsupportedError:
    """The error for a NumPy function or keyword without implementation.

    It names the function that the user called, if that is NumPy's or SciPy's code around this.
    """
    library = library_function()
    if library in {handler.name for function, handler in FUNCTIONS.items() if _is_ours(function)}:
        return UnsupportedError(
            f"{library} does not find traced values in this argument; use gradopt.{library}, which "
            "finds them in all of its arguments",
            source_location(),
        )
    if library is not None:
        name, hint = library, advice_for(hint_for(library), library)
    return UnsupportedError(
        f"{name} is not supported on traced arrays{': ' + hint if hint else ''}",
        source_location(),
    )


_HINTS = {
    name: hint
    for hint, names in {
        "choose between values with numpy.where": "piecewise",
        "use slices, reshape, or sliding_window_view": "as_strided",
        "return the array, and look at it after the call": (
            "array2string save savez savetxt tobytes tofile dump dumps flags strides base data"
        ),
    }.items()
    for name in names.split()
}


def hint_for(name: str) -> str:
    """What to do where NumPy's function, or the method, of this name is not supported."""
    return _HINTS.get(
        name.rpartition(".")[2],
        "write it with other functions, or compute it before the call",
    )


def call_function(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Calls our implementation of a NumPy function, and gives what users get.

    Raises:
        UnsupportedError: there is none, or it does not take one of the keywords.
    """
    handler = handler_of(function)
    if handler is None:
        name = qualified_name(function)
        raise unsupported(name, advice_for(hint_for(name), name))
    if _may_have_sizes():
        if _has_sizes((args, kwargs)):
            by_rows = BY_ROWS["call"](function, args, kwargs)
            if by_rows is not None:
                return by_rows[0]
        _require_sizes(handler.name, function in _SIZED, (args, kwargs))
        reduced = MASKED["reduced"](function, args, kwargs)
        if reduced is not None:
            return reduced
    limit = handler.positional
    if limit is not None and len(args) > limit:
        args = _by_keyword(function, handler, args, kwargs)
    if not kwargs:
        return _made_from(handler.function(*args), args)
    out = kwargs.pop("out", None) if "out" not in handler.parameters else None
    for keyword in tuple(kwargs):
        value = kwargs[keyword]
        if value is np._NoValue or (value is None and keyword not in handler.parameters):
            del kwargs[keyword]
        elif keyword not in handler.parameters:
            raise unsupported(
                f"keyword {keyword}= of {handler.name}", _KEYWORD_HINTS.get(keyword, "")
            )
    if out is None or out is np._NoValue:
        return _made_from(handler.function(*args, **kwargs), args)
    out = out[0] if type(out) is tuple else out
    require_output(out, handler.name)
    function = _AS_TO_OUT.get(function, function)
    if function in _OF_INEXACT:
        if is_inexact(traced(args[0]).dtype) and not is_inexact(out.dtype):
            raise DTypeError("If a is inexact, then out must be inexact", source_location())
        function = _OF_INEXACT[function]
    if function is np.ptp:
        # NumPy keeps the maximum in the output, and subtracts there.
        np.max(*args, out=out, **kwargs)
        return np.subtract(out, np.min(*args, **kwargs), out=out)
    if function in _ACCUMULATE_IN_OUT and kwargs.get("dtype") is None:
        # What it is computed in, as NumPy's ufuncs reduce.
        kwargs["dtype"] = np.result_type(traced(args[0]).dtype, out.dtype)
    if function in _JOINING:
        if "dtype" in kwargs:
            raise DTypeError(f"{handler.name} takes out= or dtype=, not both", source_location())
        kwargs["dtype"] = out.dtype
    into = INTO.get(function)
    if into is None:
        value = traced(handler.function(*args, **kwargs))
    else:
        value = traced(into(out.dtype, handler.function, *args, **kwargs))
    if value.shape != out._extents:
        if Sizes not in (value.shape.__class__, out._extents.__class__):
            raise ShapeError(
                f"output parameter for {handler.name} has shape {out.shape}, but the result has "
                f"shape {value.shape}",
                source_location(),
            )
        value = sized.fit(value, out._extents)
    _require_cast(function, handler.name, value, out)
    store(out, value, handler.name, "unsafe")
    return out


def _made_from(result: Any, args: Sequence[Any]) -> Any:
    """What users get: of operands in another order than row-major, in one that is not known."""
    made = wrap(result)
    if isinstance(result, Value) and result.ndim > 1 and not all(map(is_ordered, args)):
        made._storage.strides = None
    return made


# What takes arrays whose size is known at run time only, beside ufuncs.
_SIZED = frozenset(
    getattr(module, name)
    for module, names in (
        (
            np,
            "sum prod mean var std any all count_nonzero nansum nanmean where select clip round "
            "fix sinc nan_to_num isclose allclose isposinf isneginf real imag dot vdot inner outer "
            "tensordot einsum transpose swapaxes moveaxis rollaxis squeeze expand_dims atleast_1d "
            "atleast_2d atleast_3d flip fliplr flipud rot90 copy copyto shape ndim size "
            "iscomplexobj isrealobj result_type can_cast array_repr array_str zeros_like "
            "empty_like ones_like full_like matrix_transpose permute_dims astype max min amax amin "
            "ptp argmax argmin cumsum cumprod concatenate stack vstack hstack dstack column_stack "
            "append reshape ravel take nonzero flatnonzero argwhere compress extract bincount "
            "histogram sort argsort median nanmedian quantile percentile nanquantile "
            "nanpercentile unique unique_all unique_counts unique_inverse unique_values union1d "
            "isin setdiff1d diff ediff1d repeat tile roll pad gradient trapezoid diagonal trace",
        ),
        (
            np.linalg,
            "norm vector_norm matrix_norm outer matmul tensordot matrix_transpose diagonal trace",
        ),
    )
    for name in names.split()
    if hasattr(module, name)
)


def _require_sizes(name: str, takes_sizes: bool, values: Any) -> None:
    """Raises if an array among the values has a size that is not known, and must have."""
    if not takes_sizes and _may_have_sizes() and _has_sizes(values):
        raise unknown_size(name)


def _may_have_sizes() -> bool:
    """Whether there are arrays of such sizes at all."""
    scope = current_scope()
    return scope is not None and scope.trace.has_sizes


def _has_sizes(value: Any) -> bool:
    if isinstance(value, Handle):
        return value._extents.__class__ is Sizes
    if type(value) in (list, tuple):
        return any(map(_has_sizes, value))
    return type(value) is dict and any(map(_has_sizes, value.values()))


# What functions are that leave out NaNs, where it comes to outputs; the second ones of integers.
_AS_TO_OUT = {np.nansum: np.sum, np.nanprod: np.prod, np.nanmax: np.max, np.nanmin: np.min}
_OF_INEXACT = {np.nanmean: np.mean, np.nanvar: np.var, np.nanstd: np.std}
_ACCUMULATE_IN_OUT = frozenset({np.sum, np.prod, np.cumsum, np.cumprod})
# They cast the arrays that they join to the dtype of their output, by casting=.
_JOINING = frozenset({np.concatenate, np.stack})
# Their results are cast to any real dtype.
_CASTING = _ACCUMULATE_IN_OUT | {np.any, np.all, np.trace}
# Their outputs are cast to the dtype of results, and back.
_CASTING_BACK = frozenset({np.take, np.compress, np.argmax, np.argmin})


def _require_cast(function: Any, name: str, value: Value, out: Handle) -> None:
    """Raises if NumPy's function does not write such a result into an output of this dtype."""
    source, target = value.dtype, out.dtype
    if function in _CASTING_BACK:
        if not np.can_cast(target, source, "safe"):
            raise DTypeError(
                f"Cannot cast array data from {target!r} to {source!r} according to the rule "
                "'safe'",
                source_location(),
            )
        return
    if function is np.dot:
        if source != target or not out._is_row_major():
            raise ShapeError(
                "output array is not acceptable (must have the right datatype, number of "
                "dimensions, and be a C-Array)",
                source_location(),
            )
        return
    if function in _CASTING and not (source.kind == "c" and target.kind != "c"):
        return
    if function in INTO and source.kind != "c":
        return
    casting = "safe" if function is np.einsum else "same_kind"
    if not np.can_cast(source, target, casting):
        raise cannot_cast(f"{name} output", source, target, casting)


def _by_keyword(
    function: Callable[..., Any],
    handler: Handler,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[Any, ...]:
    """The arguments by position; what is behind those that we take so goes to the keywords."""
    limit = handler.positional
    assert limit is not None
    try:
        names = list(inspect.signature(function).parameters)
    except ValueError:
        names = []
    for i, value in enumerate(args[limit:], start=limit):
        if i < len(names):
            kwargs.setdefault(names[i], value)
        elif value is not None:
            raise unsupported(
                f"positional argument {i + 1} of {handler.name}", "give what follows it by keyword"
            )
    return args[:limit]


# -- Results that are written into arrays ------------------------------------------------------


def cannot_cast(what: str, source: DType, target: DType, casting: str) -> DTypeError:
    """NumPy's error for a result that does not fit its output."""
    return DTypeError(
        f"Cannot cast {what} from {source!r} to {target!r} with casting rule {casting!r}",
        source_location(),
    )


def require_output(out: Any, name: str) -> None:
    """Raises unless results can be written into `out`."""
    if not isinstance(out, Handle):
        if library_function() is not None:
            raise unsupported(name)
        raise ConversionError(
            f"the result of {name} is traced, and cannot be written into a concrete NumPy array; "
            + advice_for(
                "make the array inside the function with gradopt.numpy.zeros, empty or array, or "
                "write `a = a + b` for `a += b`"
            ),
            source_location(),
        )
    out._require_writable(f"out= of {name}", "copy it first (`x = x.copy()`)")
    if out._is_scalar:
        raise DTypeError("return arrays must be of ArrayType", source_location())


def store(out: Handle, value: Value, name: str, casting: Any = "same_kind") -> None:
    """Writes a result, which has the shape of `out`.

    Raises:
        DTypeError: the dtypes do not fit.
    """
    if not np.can_cast(value.dtype, out.dtype, casting):
        raise cannot_cast(f"{name} output", value.dtype, out.dtype, casting)
    out._write(prims.convert(value, out.dtype))


# Keywords of ufuncs, with the values that change nothing.
_UFUNC_KEYWORDS: dict[str, tuple[Any, ...]] = {
    "where": (True,),
    "casting": ("same_kind",),
    "order": ("K",),
    "subok": (True,),
    "dtype": (None,),
    "signature": (None,),
}


_KEYWORD_HINTS = {
    "where": "choose with numpy.where, of operands that are in the domain everywhere; with out= "
    "it is supported",
    "dtype": "convert the operands with astype",
}


def _is_default(keyword: str, value: Any) -> bool:
    defaults = _UFUNC_KEYWORDS.get(keyword, ())
    return any(value is d or (type(value) is str and value == d) for d in defaults)


def call_ufunc(
    ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Calls our implementation of a ufunc or of one of its methods, and gives what users get."""
    if method == "reduceat" or (method == "at" and ufunc is not np.add):
        _require_sizes(f"{qualified_name(ufunc)}.{method}", False, inputs)
    if method == "__call__":
        outputs = kwargs.pop("out", None) if kwargs else None
        if outputs is not None:
            if type(outputs) is not tuple:
                outputs = (outputs,)
            if any(out is not None for out in outputs):
                return _into(ufunc, inputs, outputs, kwargs)
        return _with_keywords(ufunc, inputs, kwargs) if kwargs else apply_ufunc(ufunc, inputs)
    if method == "reduce" and ufunc in REDUCTIONS:
        # ufunc.reduce reduces axis 0 by default, numpy.sum all axes.
        return call_function(REDUCTIONS[ufunc], inputs, {"axis": 0, **kwargs})
    if method == "accumulate" and ufunc in ACCUMULATIONS:
        return call_function(ACCUMULATIONS[ufunc], inputs, {"axis": 0, **kwargs})
    name = qualified_name(ufunc)
    if method == "outer" and not kwargs.keys() - {"out"} and ufunc in UFUNCS:
        left, right = traced(inputs[0]), traced(inputs[1])
        left = prims.reshape(left, left.shape + (1,) * right.ndim)
        if "out" in kwargs:
            return call_ufunc(ufunc, "__call__", (wrap(left), wrap(right)), kwargs)
        return wrap(UFUNCS[ufunc](left, right))
    if method == "at" and not kwargs and ufunc in UFUNCS:
        return UFUNC_METHODS["at"](ufunc, *inputs)
    if method in ("accumulate", "reduce", "reduceat") and ufunc in UFUNCS and ufunc.nin == 2:
        return UFUNC_METHODS[method](ufunc, *inputs, **kwargs)
    raise unsupported(f"{name}.{method}", hint_for(method))


def apply_ufunc(ufunc: np.ufunc, inputs: tuple[Any, ...]) -> Any:
    """The result of a ufunc; known, if all of its operands are."""
    for value in inputs:
        if isinstance(value, Handle) and value._storage.__class__ is Storage:
            known = None
            break
    else:
        known = _known_operands(inputs)
    if known is not None:
        with np.errstate(all="ignore"):
            result = ufunc(*known)
        if type(result) is np.ndarray and result.dtype in SUPPORTED:
            return known_array(result)
        if isinstance(result, np.generic) and result.dtype in SUPPORTED:
            return result
    try:
        result = ufunc_handler(ufunc)(*inputs)
    except UnknownSizeError:
        # An op of it does not take them.
        raise unknown_size(qualified_name(ufunc)) from None
    if ufunc.signature is not None:
        return _made_from(result, inputs)
    made = in_memory_order(result, inputs)
    if _may_have_sizes():
        MASKED["computed"](ufunc, inputs, made)
    return made


def _known_operands(inputs: tuple[Any, ...]) -> list[Any] | None:
    known: list[Any] = []
    for value in inputs:
        if isinstance(value, Handle):
            value = value._known()
        elif type(value) in (list, tuple) and is_traced(value):
            return None
        if value is None:
            return None
        known.append(value)
    return known if any(isinstance(value, Handle) for value in inputs) else None


def _with_keywords(ufunc: np.ufunc, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A ufunc with keywords that say in which dtype, where and in which order it is computed."""
    where, order = kwargs.pop("where", True), kwargs.pop("order", "K")
    inputs = _resolved(ufunc, inputs, kwargs)
    _refuse_keywords(ufunc, kwargs)
    if where is not True:
        # What NumPy leaves undefined is 0.
        mask = prims.convert(traced(where), BOOL)
        inputs = tuple([harmless(ufunc, value, mask) for value in inputs])
        value = ufunc_handler(ufunc)(*inputs)
        if isinstance(value, tuple):
            raise unsupported(f"where= of {qualified_name(ufunc)} without out=")
        shape = prims.broadcast_shapes(value.shape, mask.shape)
        value = prims.broadcast_to(value, shape)
        result = wrap(prims.select(mask, value, prims.full(shape, 0, value.dtype)))
    else:
        result = apply_ufunc(ufunc, inputs)
    if order != "K":
        for part in result if isinstance(result, tuple) else (result,):
            if isinstance(part, Handle) and part.ndim > 1:
                part._storage.strides = None
    return result


def _resolved(ufunc: np.ufunc, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """The inputs in the dtypes that dtype=, signature= and casting= ask for."""
    names = ("dtype", "signature", "casting")
    dtype, signature, casting = [kwargs.pop(name, None) for name in names]
    if (dtype is None and signature is None and casting in (None, "same_kind")) or (
        ufunc.signature is not None
    ):
        kwargs.update(
            {n: v for n, v in zip(names, (dtype, signature, casting), strict=True) if v is not None}
        )
        return inputs
    kinds = [promotion_kind(listed(value)) for value in inputs]
    wanted = signature
    if dtype is not None:
        wanted = (*[None] * ufunc.nin, *[np.dtype(dtype)] * ufunc.nout)
    try:
        found: Any = ufunc.resolve_dtypes(
            (*kinds, *[None] * ufunc.nout),
            **({} if wanted is None else {"signature": wanted}),
            **({} if casting is None else {"casting": casting}),
        )
    except TypeError as error:
        raise DTypeError(str(error), source_location()) from None
    return tuple(
        [
            wrap(prims.convert(traced(value), supported(target)))
            for value, target in zip(inputs, found, strict=False)
        ]
    )


def _refuse_keywords(ufunc: np.ufunc, kwargs: dict[str, Any]) -> None:
    for keyword, value in sorted(kwargs.items(), reverse=True):
        if not _is_default(keyword, value):
            raise unsupported(
                f"keyword {keyword}= of {qualified_name(ufunc)}", _KEYWORD_HINTS.get(keyword, "")
            )


def _into(
    ufunc: np.ufunc, inputs: tuple[Any, ...], outputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """A ufunc whose results are written into arrays."""
    casting, where = kwargs.pop("casting", "same_kind"), kwargs.pop("where", True)
    _refuse_keywords(ufunc, kwargs)
    name = f"ufunc {ufunc.__name__!r}"
    given = [out for out in outputs if out is not None]
    for out in given:
        require_output(out, qualified_name(ufunc))
    mask = None if where is True else prims.convert(traced(where), BOOL)
    if mask is not None:
        inputs = tuple([harmless(ufunc, value, mask) for value in inputs])
    results = ufunc_handler(ufunc)(*inputs)
    values: list[Value] = list(results) if isinstance(results, tuple) else [results]
    shape = values[0].shape
    if shape != given[0]._extents:
        shape = prims.broadcast_shapes(shape, given[0]._extents)
    if mask is not None:
        shape = prims.broadcast_shapes(shape, mask.shape)
    for out in given:
        if out._extents != shape and (
            Sizes not in (out._extents.__class__, shape.__class__) or out.ndim != len(shape)
        ):
            raise ShapeError(
                f"non-broadcastable output operand with shape {out.shape} doesn't match the "
                f"broadcast shape {shape}",
                source_location(),
            )
    returned: list[Any] = []
    for value, out in zip(values, outputs, strict=True):
        if out is None:
            if mask is not None:
                raise unsupported(f"where= of {name} with one out= of several")
            returned.append(wrap(value))
            continue
        if mask is not None:
            if not np.can_cast(value.dtype, out.dtype, casting):
                raise cannot_cast(f"{name} output", value.dtype, out.dtype, casting)
            value = prims.select(mask, prims.convert(value, out.dtype), out._read())
        store(out, prims.broadcast_to(value, out._extents), name, casting)
        returned.append(out)
    return returned[0] if len(returned) == 1 else tuple(returned)


def harmless(ufunc: np.ufunc, operand: Any, mask: Value) -> Any:
    """An operand that is in the ufunc's domain where it is not evaluated.

    Otherwise a derivative of infinity there, times zero, would be NaN.
    """
    operand = listed(operand)
    if not isinstance(operand, (Handle, Value)) and np.ndim(operand) == 0:
        return operand
    value = traced(operand)
    inside = 2 if ufunc is np.arccosh or kind_of(value.dtype) != "f" else 0.5
    chosen = prims.select(mask, value, prims.scalar(inside, value.dtype))
    # In promotion it counts as before.
    return python_number(chosen) if getattr(operand, "_weak", False) else wrap(chosen)


def ufunc_handler(ufunc: np.ufunc) -> Callable[..., Any]:
    """Our implementation of a ufunc."""
    handler = UFUNCS.get(ufunc)
    if handler is None:
        if getattr(np, ufunc.__name__, None) is not ufunc:
            handler = foreign_handler(ufunc.__name__)
            typed = TYPED_UFUNCS.get(ufunc.__name__)
            handler = handler if typed is None else functools.partial(typed, ufunc)
        if handler is None:
            name = qualified_name(ufunc)
            raise unsupported(name, advice_for(hint_for(name), name))
    return handler


def complex_handler(name: str) -> Callable[[Value], Value] | None:
    """Our implementation of a ufunc of another package, of complex numbers."""
    importlib.import_module(_OF_COMPLEX)
    return COMPLEX_UFUNCS.get(name)


def foreign_handler(name: str) -> Callable[..., Any] | None:
    """Our implementation of a ufunc of another package, in the dtype of its operands."""
    if name not in FOREIGN_UFUNCS:
        for module in FURTHER_UFUNCS:
            importlib.import_module(module)
    return FOREIGN_UFUNCS.get(name)


ENTRIES.update({call_function.__code__: "function", call_ufunc.__code__: "ufunc"})
ENTRIES[apply_ufunc.__code__] = "ufunc"
