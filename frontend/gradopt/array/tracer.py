# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The traced array: a handle on a storage that behaves like a NumPy array."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from gradopt.array.advice import SIZES, advice_for
from gradopt.array.dispatch import call_function, call_ufunc, hint_for, unsupported
from gradopt.array.flat import Flat
from gradopt.array.handle import Handle, array_of, in_sorted_order, python_number, wrap
from gradopt.array.indexing import assign, getitem, setitem
from gradopt.array.operands import checked_order, listed
from gradopt.array.operators import (
    inplace,
    method,
    operator,
    operators,
    overrides,
    unary,
)
from gradopt.base.called import library_function
from gradopt.base.dtypes import BOOL, FLOAT64, INT64, WEAK_TYPES, kind_of, require_cast, supported
from gradopt.base.location import source_location, unrewritten, user_code, user_instruction
from gradopt.base.unknown_sizes import unknown_size
from gradopt.errors import (
    BranchError,
    ConversionError,
    LeakedTracerError,
    ShapeError,
    UnsupportedError,
)
from gradopt.ir import prims
from gradopt.ir.extents import Sizes, is_extent
from gradopt.ir.trace import leak_message

# What Python's numbers are computed in.
_PYTHONS = {"b": BOOL, "f": FLOAT64}

# By these NumPy's arrays give their memory away.
_MEMORY_PROTOCOLS = ("__array_interface__", "__array_struct__", "__dlpack__", "__dlpack_device__")


def _why_it_must_be_known() -> str:
    """Why a branch in the user's function cannot depend on traced values."""
    code = user_code()
    reason = None if code is None else unrewritten.get(id(code))
    return "" if reason is None else f". The function is not rewritten: {reason}"


_power, _square = operator(np.power), unary(np.square)


class Tracer(Handle):
    """A traced array.

    To `isinstance` it is what NumPy would have there: an ndarray, a scalar of its dtype, or a
    Python number. So inside this package ask whether something is a Handle before asking whether
    it is an array or a number, and use `type` for exact classes.

    Attributes:
        shape: the shape; a size that is known at run time only is a traced Python integer.
        dtype: the NumPy dtype.
    """

    __slots__ = ()

    __array_priority__ = 1000.0

    @property
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not self._is_scalar:
            return np.ndarray
        return WEAK_TYPES[self.dtype.kind] if self._weak else self.dtype.type

    def _describe(self) -> str:
        return f"{self.dtype.name}{list(self._extents)}" if self._views else self._read().describe()

    def __repr__(self) -> str:
        return f"Tracer<{self.dtype.name}{list(self._extents)}>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        if spec:
            self._convert("a formatted number", "format the result of the compiled function")
        return repr(self)

    # -- NumPy's protocols -----------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if overrides(*inputs):
            return NotImplemented
        return call_ufunc(ufunc, method, inputs, kwargs)

    @property
    def __array_namespace__(self) -> Callable[..., Any]:
        if not hasattr(self.__class__, "__array_namespace__"):
            raise AttributeError("a scalar has no array namespace")
        return lambda *, api_version=None: np

    def __array_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        return call_function(function, args, dict(kwargs))

    # -- Conversions, which need a concrete value ------------------------------------------

    def _require_open(self) -> None:
        """Raises a LeakedTracerError if the trace that made the array has ended."""
        if not self._storage.scope.open:
            raise LeakedTracerError(leak_message(self._storage.value), source_location())

    def _convert(self, target: str, advice: str, assigning: bool = False) -> NoReturn:
        self._require_open()
        if assigning and user_instruction() in ("STORE_SUBSCR", "STORE_SLICE"):
            raise ConversionError(
                f"an assignment to elements of a concrete NumPy array uses a traced array "
                f"{self._describe()}, whose value is known only when the compiled code runs; make "
                "the array that is assigned to with gradopt.numpy.zeros, empty, full or array",
                source_location(),
            )
        advice = self._advice(advice)
        raise ConversionError(
            f"a traced array {self._describe()} cannot become {target}: its value is known only "
            f"when the compiled code runs; {advice}",
            source_location(),
        )

    def _advice(self, general: str) -> str:
        """What to do instead of asking for the value.

        Raises:
            UnsupportedError: it is no line of the user's that asks, but NumPy's or SciPy's code,
                and not for a size.
        """
        function = library_function()
        advice = advice_for(general, function)
        if function is not None and advice is not SIZES:
            raise unsupported(function, advice)
        return advice

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        known = self._known()
        # That looks behind what it is given.
        if known is not None and sys._getframe(1).f_code.co_name != "as_strided":
            return np.array(known, dtype)
        self._convert(
            "a NumPy array",
            "call NumPy functions on it directly, and use gradopt.numpy.array, asarray, stack, "
            "full ... where NumPy cannot dispatch, gradopt.numpy.take(a, index, axis=0) to index a "
            "concrete array",
            assigning=True,
        )

    def __bool__(self) -> bool:
        known = self._known()
        if known is not None:
            return bool(known)
        self._require_open()
        advice = self._advice(
            "use numpy.where to choose between values, or static_argnums for an argument that "
            "selects code"
        )
        raise BranchError(
            f"a Python branch depends on a traced array {self._describe()}, whose value is known "
            f"only when the compiled code runs; {advice}{_why_it_must_be_known()}",
            source_location(),
        )

    def __float__(self) -> float:
        known = self._known()
        if known is not None:
            return float(known)
        self._convert(
            "a Python float",
            "use numpy functions (not math), and gradopt.numpy.stack or array to make an array of "
            "such elements",
            assigning=True,
        )

    def __int__(self) -> int:
        known = self._known()
        if known is not None:
            return int(known)
        self._require_size()
        self._convert(
            "a Python int", "use astype(int), or static_argnums for an argument", assigning=True
        )

    def __complex__(self) -> NoReturn:
        self._convert("a Python complex", "use astype(complex)", assigning=True)

    def __index__(self) -> int:
        known = self._known()
        if known is not None:
            return known.__index__()
        self._require_size()
        self._convert(
            "an index or a size",
            "index arrays with it (not lists), and make sizes static (static_argnums)",
        )

    def __hash__(self) -> int:
        if not self._is_scalar:
            raise TypeError("unhashable type: 'numpy.ndarray'")
        known = self._known()
        if known is not None:
            return hash(known.item() if self._weak else known[()])
        self._require_size()
        self._convert("a key of a dict, or an element of a set", "use arrays, and numpy.where")

    def item(self, *args: Any) -> Any:
        """One element as a Python number."""
        known = self._known()
        if known is not None:
            return known.item(*args)
        index = args[0] if len(args) == 1 and isinstance(args[0], tuple) else args
        if not index and self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        flat = self.reshape(-1)
        found = (
            self[index] if len(index) > 1 or (index and self.ndim == 1) else flat[(*index, 0)[0]]
        )
        value = found._read()
        return python_number(prims.convert(value, _PYTHONS.get(kind_of(value.dtype), INT64)))

    def tolist(self) -> Any:
        """The elements as Python numbers, in nested lists."""
        known = self._known()
        if known is not None:
            return known.tolist()
        return [row.tolist() for row in self] if self.shape else self.item()

    def is_integer(self) -> Any:
        """As `float.is_integer`."""
        if not hasattr(self.__class__, "is_integer"):
            raise AttributeError(f"{self.__class__.__name__} has no attribute 'is_integer'")
        return call_ufunc(
            np.equal, "__call__", (call_ufunc(np.trunc, "__call__", (self,), {}), self), {}
        )

    # -- Attributes ------------------------------------------------------------------------

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return self.dtype.itemsize

    @property
    def device(self) -> str:
        """As NumPy's arrays say of themselves."""
        return "cpu"

    def to_device(self, device: str, /, *, stream: None = None) -> Tracer:
        """The array itself."""
        if device != "cpu" or stream is not None:
            raise ValueError(f'the device of an array is "cpu", not {device!r}, without streams')
        return self

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.size * self.dtype.itemsize

    @property
    def T(self) -> Tracer:
        """All dimensions reversed."""
        return call_function(np.transpose, (self,), {})

    @property
    def mT(self) -> Tracer:
        """The last two dimensions exchanged."""
        return call_function(np.matrix_transpose, (self,), {})

    @property
    def real(self) -> Tracer:
        """A view of the real parts; the array itself where it is not complex."""
        return call_function(np.real, (self,), {})

    @real.setter
    def real(self, value: Any) -> None:
        setitem(self.real, ..., value)

    @property
    def imag(self) -> Tracer:
        """A view of the imaginary parts; zeros where the array is not complex."""
        return call_function(np.imag, (self,), {})

    @imag.setter
    def imag(self, value: Any) -> None:
        if self.dtype.kind != "c":
            raise TypeError("array does not have imaginary part to set")
        setitem(self.imag, ..., value)

    @property
    def flat(self) -> Flat:
        """The elements in row-major order, to be read and assigned."""
        return Flat(self)

    @flat.setter
    def flat(self, value: Any) -> None:
        Flat(self)[...] = value

    def __getattr__(self, name: str) -> NoReturn:
        if name in _MEMORY_PROTOCOLS and self._known() is None:
            self.__array__()
        if name.startswith("__") or not hasattr(np.ndarray, name):
            raise AttributeError(f"traced arrays have no attribute {name!r}")
        raise unsupported(f"ndarray.{name}", hint_for(name))

    # -- Container -------------------------------------------------------------------------

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        if is_extent(self._extents[0]):
            if library_function() is not None:
                raise unsupported("len()")
            raise unknown_size("len(), which is called in code that is not rewritten,")
        return self._extents[0]

    def __iter__(self) -> Iterator[Tracer]:
        if not self.shape:
            raise TypeError("iteration over a 0-d array")
        if is_extent(self._extents[0]):
            raise unknown_size("iteration")
        # As NumPy: each element is read when its turn comes, and what was written to it is seen.
        return map(self.__getitem__, range(self.shape[0]))

    def __contains__(self, value: Any) -> NoReturn:
        raise BranchError(
            "`in` on a traced array needs its value; use numpy.any(x == value)", source_location()
        )

    def __getitem__(self, index: Any) -> Any:
        return getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        setitem(self, index, value)

    def __delitem__(self, index: Any) -> NoReturn:
        raise ValueError("cannot delete array elements")

    # -- Methods ---------------------------------------------------------------------------

    def astype(
        self,
        dtype: Any,
        order: str = "K",
        casting: str = "unsafe",
        subok: bool = True,
        copy: bool = True,
    ) -> Tracer:
        """The elements converted to `dtype`; only conversions between floats are differentiable."""
        checked_order(order)
        target = supported(dtype)
        require_cast(self.dtype, target, casting)
        if self.dtype == target and not copy and not self._weak:
            return self._in_order(order)
        value = self._read()
        if self.dtype.kind == "c" and target.kind not in "bc":
            value = prims.real(value)  # NumPy warns that this discards the imaginary parts.
        value = prims.convert(value, target)
        if order != "K":
            return call_function(np.copy, (array_of(value), order), {})
        if not value.shape and not self._is_scalar:
            return array_of(value)
        return in_sorted_order(value, self)

    def _in_order(self, order: str) -> Tracer:
        """The array itself if its elements lie in memory in this order, else a copy."""
        order = checked_order(order)
        if order in ("A", "K"):
            return self
        lies_so: bool | None = None
        if self._extents.__class__ is not Sizes:
            turned = self if order == "C" else self._with_axes(range(self.ndim)[::-1])
            lies_so = turned._is_row_major()
        if lies_so:
            return self
        copied = call_function(np.copy, (self, order), {})
        if lies_so is None:
            self._storage.doubt(
                copied._storage,
                f"whether NumPy makes a copy for order={order!r} depends on a memory order that "
                "is not known here; use .copy() before",
            )
        return copied

    def copy(self, order: str = "C") -> Tracer:
        """An array that does not share memory; of a scalar, a scalar."""
        if self._is_scalar:
            return wrap(self._read())
        return call_function(np.copy, (self, order), {})

    def __copy__(self) -> Tracer:
        if self._weak:
            return python_number(self._read())
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Tracer:
        return self.__copy__()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        self._convert("bytes", "pickle the result of the compiled function")

    def fill(self, value: Any) -> None:
        """Sets all elements to a scalar.

        Raises:
            ShapeError: the value has dimensions.
        """
        self._require_writable("fill", "copy it first (`x = x.copy()`)")
        if np.ndim(listed(value)):
            raise ShapeError("setting an array element with a sequence.", source_location())
        assign(self, value)

    @Handle.shape.setter
    def shape(self, shape: Any) -> None:
        """The shape; when it is set, the array itself is seen in another one, as NumPy has it.

        Raises:
            UnsupportedError: the array is an argument, or the statement is in a loop or a branch of
                compiled code.
            AttributeError: the elements would have to be copied.
        """
        advice = "write `x = x.reshape(shape)`"
        if self._storage.argument is not None and not self._views:
            raise UnsupportedError(
                f"the shape of {self._storage.argument} cannot be set: {advice}", source_location()
            )
        if prims.scope().in_part:
            raise UnsupportedError(
                f"the shape of an array cannot be set in a traced loop or branch: {advice}",
                source_location(),
            )
        made = self.reshape(shape)
        if made._storage is not self._storage:
            raise AttributeError(
                "Incompatible shape for in-place modification. Use `.reshape()` to make a copy "
                "with the desired shape."
            )
        self._views, self._extents = made._views, made._extents
        self._version = -1

    def reshape(self, *shape: Any, order: str = "C") -> Tracer:
        """As `numpy.reshape`; the shape as one tuple or several ints."""
        new = shape[0] if len(shape) == 1 else shape
        return call_function(np.reshape, (self, new), {} if order == "C" else {"order": order})

    def transpose(self, *axes: Any) -> Tracer:
        """As `numpy.transpose`; the axes as one tuple or several ints."""
        new = axes[0] if len(axes) == 1 else (axes or None)
        return call_function(np.transpose, (self, new), {})

    def flatten(self, order: str = "C") -> Tracer:
        """A copy with one dimension."""
        return call_function(np.ravel, (self.copy(), order), {})

    def view(self, *args: Any, **kwargs: Any) -> Tracer:
        """A view of the whole array; other dtypes and classes are not supported."""
        if args or kwargs:
            raise unsupported("ndarray.view", "use astype to convert elements")
        return getitem(self, ...)

    sum = method(np.sum)
    prod = method(np.prod)
    mean = method(np.mean)
    var = method(np.var)
    std = method(np.std)
    max = method(np.max)
    min = method(np.min)
    argmax = method(np.argmax)
    argmin = method(np.argmin)
    any = method(np.any)
    all = method(np.all)
    cumsum = method(np.cumsum)
    cumprod = method(np.cumprod)
    dot = method(np.dot)
    clip = method(np.clip)
    round = method(np.round)
    ravel = method(np.ravel)
    squeeze = method(np.squeeze)
    swapaxes = method(np.swapaxes)
    take = method(np.take)
    nonzero = method(np.nonzero)
    argsort = method(np.argsort)
    argpartition = method(np.argpartition)
    searchsorted = method(np.searchsorted)
    repeat = method(np.repeat)
    choose = method(np.choose)
    trace = method(np.trace)
    diagonal = method(np.diagonal)

    def compress(self, condition: Any, axis: Any = None) -> Tracer:
        """As `numpy.compress`."""
        return call_function(np.compress, (condition, self, axis), {})

    def sort(
        self, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
    ) -> None:
        """Sorts the array itself, as `numpy.sort`."""
        self._reorder(np.sort, (axis, kind, order), {"stable": stable})

    def partition(
        self, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
    ) -> None:
        """Sorts the array itself, as `numpy.partition`."""
        self._reorder(np.partition, (kth, axis, kind, order), {})

    def _reorder(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._require_writable(function.__name__, f"use numpy.{function.__name__}")
        if args[-3] is None:
            raise TypeError("'NoneType' object cannot be interpreted as an integer")
        assign(self, call_function(function, (self, *args), kwargs))

    def put(self, indices: Any, values: Any, mode: str = "raise") -> None:
        """As `numpy.put`."""
        call_function(np.put, (self, indices, values), {"mode": mode})

    def conj(self) -> Tracer:
        """The complex conjugates; the array itself where it is not complex."""
        return unary(np.conjugate)(self) if self.dtype.kind == "c" else self

    conjugate = conj

    # -- Operators -------------------------------------------------------------------------

    __add__, __radd__ = operators(np.add)
    __sub__, __rsub__ = operators(np.subtract)
    __mul__, __rmul__ = operators(np.multiply)
    __truediv__, __rtruediv__ = operators(np.divide)
    __floordiv__, __rfloordiv__ = operators(np.floor_divide)
    __mod__, __rmod__ = operators(np.remainder)
    __divmod__, __rdivmod__ = operators(np.divmod)
    __matmul__, __rmatmul__ = operators(np.matmul)
    __and__, __rand__ = operators(np.bitwise_and)
    __or__, __ror__ = operators(np.bitwise_or)
    __xor__, __rxor__ = operators(np.bitwise_xor)
    __lshift__, __rlshift__ = operators(np.left_shift)
    __rshift__, __rrshift__ = operators(np.right_shift)
    __iadd__, __isub__ = inplace(np.add, "+"), inplace(np.subtract, "-")
    __imul__, __itruediv__ = inplace(np.multiply, "*"), inplace(np.divide, "/")
    __ifloordiv__, __imod__ = inplace(np.floor_divide, "//"), inplace(np.remainder, "%")
    __ipow__, __imatmul__ = inplace(np.power, "**"), inplace(np.matmul, "@")
    __iand__, __ior__ = inplace(np.bitwise_and, "&"), inplace(np.bitwise_or, "|")
    __ixor__ = inplace(np.bitwise_xor, "^")
    __ilshift__, __irshift__ = inplace(np.left_shift, "<<"), inplace(np.right_shift, ">>")
    __eq__ = operator(np.equal)
    __ne__ = operator(np.not_equal)
    __lt__ = operator(np.less)
    __le__ = operator(np.less_equal)
    __gt__ = operator(np.greater)
    __ge__ = operator(np.greater_equal)
    __neg__ = unary(np.negative)
    __pos__ = unary(np.positive)
    __abs__ = unary(np.absolute)
    __invert__ = unary(np.invert)

    def __pow__(self, other: Any, modulo: Any = None) -> Any:
        if modulo is not None:
            raise unsupported("pow with a modulus", "use numpy.remainder of the power")
        if type(other) is int and other == 2 and self.dtype == BOOL and not self._is_scalar:
            return _square(self)  # As NumPy, of whose powers bools alone have another dtype.
        return _power(self, other)

    __rpow__ = operator(np.power, reflected=True)

    def __round__(self, digits: int | None = None) -> Any:
        if not self._is_scalar:
            raise TypeError("type numpy.ndarray doesn't define __round__ method")
        if digits is None:
            # An integer of Python, of NumPy's scalars too.
            rounded = call_function(np.round, (self,), {})
            return python_number(prims.convert(rounded._read(), INT64))
        if self._weak:
            raise unsupported("round() of a Python number to decimals", "use numpy.round")
        return call_function(np.round, (self, digits), {})

    def __floor__(self) -> NoReturn:
        self._convert("a Python int", "use numpy.floor")

    __ceil__ = __trunc__ = __floor__
