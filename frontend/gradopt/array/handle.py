# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Storages, and handles on them.

A `Storage` stands for the memory of an array: it holds a value now, and another one after a write.
A `Handle` is what the user has: a storage seen through a chain of views. Reading applies the views
to the storage's value; writing puts the new elements back through them, so that every handle on
the storage sees them.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from gradopt.array.views import (
    Range,
    Reshape,
    Strides,
    View,
    Window,
    first_ones,
    is_descending,
    is_row_major,
    kept_order,
    reshaped_strides,
    row_major,
    sorted_strides,
    whole,
)
from gradopt.base.location import source_location
from gradopt.errors import (
    LeakedTracerError,
    MutationError,
    ReadOnlyError,
    SourceLocation,
    UnsupportedError,
)
from gradopt.ir import current, prims, sized
from gradopt.ir.extents import Sizes, bounds_of, is_extent
from gradopt.ir.trace import Scope, leak_message, resume
from gradopt.ir.values import Shape, Value

Array = np.ndarray[Any, Any]


class UncarriedWriteError(BaseException):
    """A part of a statement writes to an array that is not known yet to change in it.

    The statement catches it, and traces the part anew. No `Exception`: the user's code must not.

    Attributes:
        storage: of the array.
    """

    def __init__(self, storage: Storage) -> None:
        super().__init__()
        self.storage = storage


class SizeNeededError(BaseException):
    """The value of integers among the arguments is needed while tracing.

    Who traces catches it, and traces anew for their values. No `Exception`, as above.

    Attributes:
        arguments: their numbers.
    """

    def __init__(self, arguments: set[int]) -> None:
        super().__init__()
        self.arguments = arguments


class Storage:
    """The memory of an array.

    Attributes:
        value: what it holds now.
        shape: the shape, which stays.
        dtype: the dtype, which stays.
        version: how often it was written to.
        made_in: the function that it was made in, which alone may write to it.
        argument: how the user reaches the argument it is; None for what was made inside the
            traced function.
        frozen: whether it must not be written to, as an argument.
        scalar: whether it is a NumPy scalar, which never changes, and no 0-d array.
        strides: steps in elements, empty for row-major order; None where it is not known how NumPy
            lays the array out.
        spoiled: why what it holds is not known, and which statement is to blame; None if it is.
        doubts: storages that NumPy might let share this memory.
    """

    __slots__ = (
        "__weakref__",
        "argument",
        "doubts",
        "dtype",
        "frozen",
        "made_in",
        "scalar",
        "shape",
        "spoiled",
        "strides",
        "value",
        "version",
    )

    def __init__(
        self, value: Value, argument: str | None = None, *, scalar: bool | None = None
    ) -> None:
        self.value = value
        self.shape = value.shape
        self.dtype = value.dtype
        self.made_in = current.state.scope
        self.version = 0
        self.argument = argument
        self.frozen = argument is not None
        self.scalar = not value.shape if scalar is None else scalar
        self.strides: Strides | None = ()
        self.spoiled: tuple[str, SourceLocation | None] | None = None
        self.doubts: list[tuple[weakref.ref[Storage], str]] | None = None

    def _start(self, argument: str | None, scalar: bool) -> None:
        self.made_in = current.state.scope
        self.version = 0
        self.argument = argument
        self.frozen = False
        self.scalar = scalar
        self.strides: Strides | None = ()
        self.spoiled: tuple[str, SourceLocation | None] | None = None
        self.doubts: list[tuple[weakref.ref[Storage], str]] | None = None

    @property
    def scope(self) -> Scope:
        """The function it belongs to."""
        return self.value.scope

    def known(self) -> Array | None:
        """What it holds, if that is known while tracing."""
        return None

    def set(self, value: Value) -> None:
        """Replaces what it holds."""
        self.value = value
        self.version += 1

    def enter(self, value: Value | None, scope: Scope | None = None) -> tuple[Any, ...]:
        """Belongs to another function from now on; what to give to `leave`.

        Args:
            value: what it holds there; None for what it holds now.
            scope: the function; None for the current one.
        """
        before = self.value, self.made_in, self.spoiled
        if value is not None:
            self.set(value)
        self.made_in = scope or current.state.scope
        return before

    def leave(self, before: tuple[Any, ...]) -> None:
        """Is again what it was."""
        self.value, self.made_in, self.spoiled = before
        self.version += 1

    def spoil(self, reason: str, where: SourceLocation | None) -> None:
        """Nobody may read or write it any more: what it holds is not known."""
        self.version += 1
        self.spoiled = reason, where

    def require_unspoiled(self) -> None:
        """Raises an UnsupportedError if what it holds is not known."""
        if self.spoiled is not None:
            raise UnsupportedError(*self.spoiled)

    def doubt(self, other: Storage, reason: str) -> None:
        """Notes that NumPy might let the two share memory: neither may be written to."""
        for one, two in ((self, other), (other, self)):
            if one.doubts is None:
                one.doubts = []
            one.doubts.append((weakref.ref(two), reason))


class KnownStorage(Storage):
    """The memory of an array that was made of concrete numbers; known until it is written to."""

    __slots__ = ("_constant", "_scope", "_value")

    def __init__(self, constant: Array, *, scalar: bool = False) -> None:
        self._constant: Array | None = constant
        self._value: Value | None = None
        self._scope = current.scope()
        self.shape = constant.shape
        self.dtype = constant.dtype
        self._start(None, scalar)
        if not constant.flags.c_contiguous:
            self.strides = tuple([step // constant.itemsize for step in constant.strides])

    @property
    def value(self) -> Value:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What it holds now; a constant is added to the IR where it is first used."""
        if self._value is None:
            assert self._constant is not None
            self._value = self._scope.constant(self._constant)
        return self._value

    @property
    def scope(self) -> Scope:
        return self._scope

    def known(self) -> Array | None:
        return self._constant

    def set(self, value: Value) -> None:
        self._constant = None
        self._value = value
        self.version += 1

    def enter(self, value: Value | None, scope: Scope | None = None) -> tuple[Any, ...]:
        before = self._constant, self._value, self.made_in, self.spoiled
        if value is not None:
            self.set(value)
        self.made_in = scope or current.state.scope
        return before

    def leave(self, before: tuple[Any, ...]) -> None:
        self._constant, self._value, self.made_in, self.spoiled = before
        self.version += 1


class SizedStorage(Storage):
    """The memory of an array whose size is known at run time only.

    It has as many elements as there can be; handles show those that there are through `window`.

    Attributes:
        window: the elements that there are.
        selected: what they were selected from by a mask; see `gradopt.array.masks`.
    """

    __slots__ = ("_first", "_held", "_scope", "_value", "_whole", "selected", "window")

    def __init__(self, held: Value, whole: Value | None = None) -> None:
        self._held: Value | None = held
        # What it began with, and of which array that is the first elements.
        self._first = held
        self._whole = whole
        self._value: Value | None = None
        self._scope = held.scope
        self.shape = bounds_of(held.shape)
        self.dtype = held.dtype
        self.window = first_ones(held.shape)
        self.selected: Any = None
        self._start(None, scalar=False)

    @property
    def value(self) -> Value:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What it holds now, with zeros behind; added to the IR where it is needed."""
        if self._value is None:
            held = self._held
            assert held is not None
            self._value = resume(self._scope, lambda: sized.padded(held))
        return self._value

    @property
    def scope(self) -> Scope:
        return self._scope

    def shown(self, views: tuple[View, ...]) -> tuple[Value, tuple[View, ...]]:
        """From where to read through views, and through which of them."""
        held = self._held
        if held is not None and views[:1] == (self.window,):
            if current.state.scope is self._scope:
                return held, views[1:]
            if self._whole is not None and held is self._first:
                return self._whole, views
        return self.value, views

    def all_elements(self, views: tuple[View, ...]) -> Value | None:
        """An array of which the views show the first elements, if there is one already."""
        is_first = self._held is self._first and views == (self.window,)
        return self._whole if is_first else None

    def replace(self, views: tuple[View, ...], new: Value) -> bool:
        """Holds new elements, if the views show just those that there are."""
        if self._value is not None or views != (self.window,):
            return False
        self._held = new
        self.version += 1
        return True

    def set(self, value: Value) -> None:
        self._held = None
        self._value = value
        self.version += 1

    def enter(self, value: Value | None, scope: Scope | None = None) -> tuple[Any, ...]:
        before = self._held, self.value, self.made_in, self.spoiled
        if value is not None:
            self.set(value)
        self.made_in = scope or current.state.scope
        return before

    def leave(self, before: tuple[Any, ...]) -> None:
        self._held, self._value, self.made_in, self.spoiled = before
        self.version += 1


class Handle:
    """A storage seen through views; `Tracer` adds what NumPy's arrays can do.

    Attributes:
        dtype: the NumPy dtype.
    """

    __slots__ = (
        "__weakref__",
        "_extents",
        "_seen",
        "_storage",
        "_version",
        "_views",
        "_weak",
        "dtype",
    )

    # The class of the handles that users get.
    facade: ClassVar[type[Handle]]

    def __init_subclass__(cls, is_facade: bool = True) -> None:
        if is_facade:
            Handle.facade = cls

    def __init__(
        self, storage: Storage, views: tuple[View, ...] = (), *, weak: bool = False
    ) -> None:
        self._storage = storage
        self._views = views
        self._weak = weak  # A Python number, for NumPy's promotion.
        self.dtype = storage.dtype
        # The shape; it may be `Sizes`.
        self._extents = views[-1].shape if views else storage.shape
        for view in views:
            if view.dtype is not None:
                self.dtype = view.dtype
        # What was read last, when the storage had this version.
        self._seen: Value | None = None
        self._version = -1

    @property
    def shape(self) -> Shape:
        """The shape; a size that is known at run time only is a traced Python integer."""
        extents = self._extents
        if extents.__class__ is tuple:
            return extents
        return tuple([_number(size) for size in extents])

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self._extents)

    @property
    def size(self) -> int:
        """Number of elements; a traced Python integer where the shape has one."""
        extents = self._extents
        if extents.__class__ is tuple:
            return prims.size_of(extents)
        count: Any = sized.product(extents)
        return count if isinstance(count, int) else python_number(count)

    # -- Reading -----------------------------------------------------------------------------

    def _read(self) -> Value:
        """The value now."""
        storage = self._storage
        seen = self._seen
        if (
            seen is not None
            and self._version == storage.version
            # One of unknown size is no argument of an inner function.
            and (seen.shape.__class__ is not Sizes or seen.scope is current.state.scope)
        ):
            return seen
        if storage.spoiled is not None:
            storage.require_unspoiled()
        views = self._views
        if storage.__class__ is SizedStorage:
            value, views = storage.shown(views)  # pyright: ignore[reportAttributeAccessIssue]
        else:
            value = storage.value
        for view in views:
            value = view.get(value)
        if current.state.scope is storage.scope:
            # A value of an inner function could not be used in this one later.
            self._seen = value
            self._version = storage.version
        return value

    def _known(self) -> Array | None:
        """The array, if what it holds is known while tracing."""
        array = None if self._storage.spoiled is not None else self._storage.known()
        for view in self._views:
            if array is None:
                break
            array = view.show(array)
        return array

    def _require_size(self) -> None:
        """To be called where the value must be known while tracing, and is not.

        Raises:
            SizeNeededError: it can be known.
        """
        scope = current.state.scope
        if scope is None or not scope.trace.sizes or self.dtype.kind not in "iu" or self.size != 1:
            return
        arguments = scope.sizes_in(self._read())
        if arguments:
            raise SizeNeededError(arguments)

    @property
    def _is_scalar(self) -> bool:
        """Whether it is a NumPy scalar or a Python number, and no array."""
        return self._weak or (self._storage.scalar and not self._views)

    # -- Views -------------------------------------------------------------------------------

    def _view(self, *views: View) -> Handle:
        """A handle on the same storage, through more views; on a copy of a scalar."""
        storage = self._storage
        if self._is_scalar:
            storage = Storage(storage.value, scalar=False)
        return self.facade(storage, (*self._views, *views))

    def _window(self) -> tuple[tuple[View, ...], Window]:
        """The views as a window on others."""
        views = self._views
        if views and isinstance(views[-1], Window):
            return views[:-1], views[-1]
        return views, _whole(self._extents)

    def _opaque(self) -> Handle:
        """The same, whose views do not become one with further ones."""
        return self.facade(self._storage, (*self._views, _whole(self._extents)))

    def _through(self, views: tuple[View, ...], window: Window) -> Handle:
        """A handle on the same storage through these views alone, the window last."""
        storage = self._storage
        if not self._extents and self._is_scalar:
            storage = Storage(storage.value, scalar=False)
        if len(window.axes) == len(window.base) and window.writable and window.is_identity():
            return self.facade(storage, views)
        return self.facade(storage, (*views, window))

    def _with_axes(self, axes: Sequence[int]) -> Handle:
        """Dimensions in another order; -1 is a new one, those left out have size 1."""
        views, window = self._window()
        return self._through(views, window.with_axes(axes))

    def _reshaped(self, shape: Shape) -> Handle:
        """A view in another shape where NumPy gives one, else a copy."""
        if shape == self._extents:
            return self._view()
        is_sized = Sizes in (shape.__class__, self._extents.__class__)
        _note_order()
        strides = None if is_sized else self._strides()
        if strides is None and len(self._extents) == 1 and not is_sized:
            strides = (1,)  # Whatever the step is, there is a view.
        if strides is None:
            result = copy_of(self._read(), shape)
            self._storage.doubt(
                result._storage,
                "whether numpy.reshape gave a view or a copy depends on a memory order that is not "
                "known here; use .copy() before or after the reshape",
            )
            return result
        steps = reshaped_strides(self.shape, strides, shape)
        if steps is None:
            return copy_of(self._read(), shape)
        views = self._views
        if views and isinstance(views[-1], Reshape):
            below = views[-1]
            if shape == below.base:
                return self.facade(self._storage, views[:-1])
            return self.facade(self._storage, (*views[:-1], Reshape(below.base, shape, steps)))
        return self._view(Reshape(self.shape, shape, steps))

    # -- Memory order ------------------------------------------------------------------------

    def _strides(self) -> Strides | None:
        """Steps in elements; None where it is not known how NumPy lays the array out."""
        storage = self._storage
        strides = storage.strides
        if strides is None:
            return None
        strides = strides or row_major(storage.shape)
        for view in self._views:
            strides = view.strides(strides)
        return strides

    def _is_row_major(self) -> bool | None:
        """Whether the elements lie in row-major order without gaps; None if that is not known."""
        _note_order()
        if not self._views and self._storage.strides == ():
            return True
        strides = self._strides()
        return None if strides is None else is_row_major(self.shape, strides)

    def _is_ordered(self) -> bool:
        """Whether its dimensions lie in memory from the outermost to the innermost."""
        if len(self._extents) < 2 or self._extents.__class__ is Sizes:
            return True
        if len(self._views) == 1 and self._storage.strides == ():
            (view,) = self._views
            if isinstance(view, Window) and view.is_ascending():
                return True
        strides = self._strides()
        return strides is not None and is_descending(self.shape, strides)

    # -- Writing -----------------------------------------------------------------------------

    def _require_writable(self, action: str, advice: str) -> None:
        """Raises unless the array was made inside the function that is being traced.

        Args:
            action: what changes it, as in "an assignment to elements".
            advice: what to write instead.

        Raises:
            MutationError: it is an argument, a concrete array, or a view of one.
            ReadOnlyError: NumPy does not let it be written to.
            UnsupportedError: it belongs to an enclosing function, or may share memory or not.
        """
        storage = self._storage
        where = source_location()
        if not storage.scope.open:
            raise LeakedTracerError(leak_message(storage.value), where)
        storage.require_unspoiled()
        if storage.frozen:
            own = (storage.window,) if isinstance(storage, SizedStorage) else ()
            through = " through a view" if self._views != own else ""
            raise MutationError(f"{action} changes {storage.argument}{through}; {advice}", where)
        if self._is_scalar:
            raise MutationError(
                f"{action}: a scalar does not change; make an array of it with gradopt.numpy.array",
                where,
            )
        if any(not view.writable for view in self._views):
            raise ReadOnlyError(
                f"{action}: assignment destination is read-only, as NumPy's is; copy it first",
                where,
            )
        here = current.state.scope
        if storage.made_in is not here and here is not None:
            self._require_here(here)
        if storage.made_in is not here:
            raise UnsupportedError(
                f"{action} to an array of an enclosing function is not supported; make the array "
                "in the function that changes it, and return it",
                where,
            )
        for ref, reason in storage.doubts or ():
            if ref() is not None:
                raise UnsupportedError(f"{action}: {reason}", where)

    def _require_here(self, here: Scope) -> None:
        """Lets the current function write to an array of a function around it, if it may.

        Raises:
            UncarriedWriteError: it is a part of a statement of that.
        """
        storage = self._storage
        owner, made_in = here.around_parts(), storage.made_in
        is_own = made_in is owner or (made_in is not None and made_in.is_part_of(owner))
        is_given = any(given is storage for given in owner.given)
        if storage.argument is not None and is_given and not is_own:
            # To a function that is differentiated, arguments are copies.
            before = storage.enter(None, owner)
            owner.at_end.append(lambda: storage.leave(before))
        if here.is_part_of(storage.made_in):
            raise UncarriedWriteError(storage)

    def _write(self, new: Value) -> None:
        """Replaces all elements; shape and dtype are those of the array."""
        storage = self._storage
        scope = current.state.scope
        if scope is not None:
            scope.trace.has_writes = True
        seen = new
        if storage.__class__ is SizedStorage and storage.replace(  # pyright: ignore
            self._views, new
        ):
            return
        below = [storage.value]
        for view in self._views[:-1]:
            below.append(view.get(below[-1]))
        for view in reversed(self._views):
            new = view.put(below.pop(), new)
        storage.set(new)
        self._seen = seen
        self._version = storage.version

    def _shares_elements(self, other: object) -> bool:
        """Whether the other is a handle on the same elements in the same places."""
        return (
            isinstance(other, Handle)
            and other._storage is self._storage
            and other._views == self._views
            and not other._is_scalar
        )


def _note_order() -> None:
    """Notes that code depends on how an array lies in memory."""
    scope = current.state.scope
    if scope is not None:
        scope.trace.asks_order = True


class Row:
    """One of many elements of an array along its first axis: of a list that a loop has filled.

    `Tracer` makes handles of it. Nothing is computed before it is read.

    Attributes:
        number: which one.
        whole: the array.
    """

    __slots__ = ()
    number: int
    whole: Handle


def wrap(result: Any) -> Any:
    """What users get for a result: values become arrays, also in lists and tuples."""
    if isinstance(result, Value):
        if result.shape.__class__ is Sizes:
            return _sized_array(result)
        return Handle.facade(Storage(result))
    if type(result) in (list, tuple):
        return type(result)([wrap(part) for part in result])
    return result


def python_number(value: Value) -> Any:
    """A traced Python number."""
    return Handle.facade(Storage(value), weak=True)


def array_of(value: Value) -> Any:
    """An array that holds the value; no scalar, where it has no dimensions."""
    if value.shape.__class__ is Sizes:
        return _sized_array(value)
    return Handle.facade(Storage(value, scalar=False))


def _number(size: Any) -> Any:
    return python_number(size.value) if is_extent(size) else size


def _sized_array(value: Value) -> Handle:
    storage = SizedStorage(value)
    return Handle.facade(storage, (storage.window,))


def array_of_size(made: Callable[[Shape], Handle], shape: Shape) -> Handle:
    """An array of this shape.

    Args:
        made: makes one of a shape that is known, with the same number everywhere.
        shape: it may be `Sizes`.
    """
    if shape.__class__ is not Sizes:
        return made(shape)
    return Handle.facade(made(bounds_of(shape))._storage, (first_ones(shape),))


def _whole(shape: Shape) -> Window:
    if shape.__class__ is Sizes:
        return Window(shape, tuple([Range(0, n) for n in shape]), tuple(range(len(shape))))
    return whole(shape)


def as_array(value: Value) -> Any:
    """A result that is an array where NumPy's is, also without dimensions."""
    return value if value.shape else array_of(value)


def argument_array(
    value: Value,
    path: str,
    *,
    weak: bool = False,
    scalar: bool = False,
    frozen: bool = True,
    strides: Strides | None = (),
) -> Handle:
    """An argument of the traced function.

    Args:
        value: the argument.
        path: how the user reaches it.
        weak: whether it is a Python number.
        scalar: whether it is a NumPy scalar.
        frozen: whether it must not be written to.
        strides: as those of `Storage`.
    """
    storage = Storage(value, f"the argument {path}", scalar=scalar)
    storage.frozen = frozen
    storage.strides = strides
    return Handle.facade(storage, weak=weak)


def known_array(constant: Array, *, scalar: bool = False) -> Handle:
    """An array of concrete numbers, which nobody else may change."""
    return Handle.facade(KnownStorage(constant, scalar=scalar))


def copy_of(value: Value, shape: Shape) -> Handle:
    """An array of its own with these elements in row-major order."""
    return array_of(prims.reshape(value, shape))


def in_memory_order(value: Any, operands: Sequence[Any]) -> Any:
    """The array, or tuple of arrays, that NumPy's elementwise functions return for operands."""
    if isinstance(value, tuple):
        return tuple([in_memory_order(part, operands) for part in value])
    if value.shape.__class__ is Sizes:
        result = _sized_array(value)
        if len(value.shape) > 1 and any(map(is_of_unknown_order, operands)):
            result._storage.strides = None
        return result
    result = Handle.facade(Storage(value))
    if len(value.shape) < 2:
        return result
    for operand in operands:
        if not is_ordered(operand):
            break
    else:
        return result
    known = known_strides(operands)
    return _laid_out(result, None if known is None else kept_order(value.shape, known))


def _laid_out(x: Handle, strides: Strides | None) -> Handle:
    """A new array, with the steps of its axes in memory; None if they are not known."""
    if strides is None or not is_row_major(x.shape, strides):
        x._storage.strides = strides
    return x


def known_strides(operands: Sequence[Any]) -> list[tuple[Shape, Strides]] | None:
    """Shapes and steps of those operands that are arrays; None where one of them is not known."""
    known: list[tuple[Shape, Strides]] = []
    for operand in operands:
        if isinstance(operand, Handle):
            strides = operand._strides()
            if strides is None and len(operand._extents) == 1:
                strides = (1,)  # Broadcast, it has one axis with a step in any case.
            if strides is None:
                return None
            known.append((operand._extents, strides))
        elif isinstance(operand, np.ndarray):
            known.append((operand.shape, operand.strides))
    return known


def lay_out(result: Any, origins: Sequence[Any]) -> None:
    """Gives an array that is one of several the memory order that all of these have.

    Args:
        result: the array, new; nothing is done for scalars.
        origins: what it may be; others than arrays do not count.
    """
    if not isinstance(result, Handle) or result._is_scalar or result._extents.__class__ is Sizes:
        return
    found: list[Strides | None] = [
        origin._strides()
        if isinstance(origin, Handle)
        else tuple([step // origin.itemsize for step in origin.strides])
        for origin in origins
        if isinstance(origin, np.ndarray) and origin.shape == result._extents
    ]
    shape = result._extents
    known = [_steps_that_count(shape, steps) for steps in found if steps is not None]
    if len(known) < len(found) or len(set(known)) > 1:
        result._storage.strides = None
    elif known:
        _laid_out(result, found[0])


def _steps_that_count(shape: Shape, strides: Strides) -> Strides:
    """Steps along axes that have several elements."""
    if 0 in shape:
        return ()
    return tuple([step for size, step in zip(shape, strides, strict=True) if size != 1])


def in_sorted_order(value: Value, x: Handle) -> Any:
    """A copy of an array as NumPy's `order="K"` lays it out: the axes by their steps.

    Elementwise functions differ from it in axes without a step, which broadcasting gives.
    """
    if len(value.shape) < 2 or value.shape.__class__ is Sizes:
        return in_memory_order(value, (x,))
    strides = x._strides()
    steps = None if strides is None else sorted_strides(value.shape, strides)
    return _laid_out(Handle.facade(Storage(value)), steps)


def is_of_unknown_order(operand: Any) -> bool:
    return isinstance(operand, Handle) and operand._storage.strides is None


def is_ordered(operand: Any) -> bool:
    """Whether an operand's dimensions lie in memory from the outermost to the innermost."""
    if isinstance(operand, Handle):
        if not operand._views and operand._storage.strides == ():
            return True
        return operand._is_ordered()
    if type(operand) in (list, tuple):
        return all(map(is_ordered, operand))
    return not isinstance(operand, np.ndarray) or operand.flags.c_contiguous
