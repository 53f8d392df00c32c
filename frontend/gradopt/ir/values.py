# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""SSA values, and their arithmetic.

A `Value` never changes. Its operators are those of formulas inside this package: operands of one
dtype, broadcast to one shape; a number becomes a constant of the value's dtype. Promotion is for
the arrays that users see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from gradopt.base.dtypes import DType
from gradopt.base.location import source_location
from gradopt.errors import ShapeError
from gradopt.ir.current import scope
from gradopt.ir.extents import Sizes, has_extents
from gradopt.ir.types import shape_and_dtype
from gradopt.recording import grad, ir

if TYPE_CHECKING:
    from gradopt.ir.trace import Scope

Shape = tuple[int, ...]


def _operator(op: Callable[..., Any]) -> Any:
    def apply(left: Value, right: Value | float) -> Value:
        return emit(op, left, _like(right, left))

    return apply


def _reflected(op: Callable[..., Any]) -> Any:
    def apply(right: Value, left: float) -> Value:
        return emit(op, scalar(left, right.dtype), right)

    return apply


class Value:
    """An SSA value.

    Attributes:
        scope: the function it belongs to.
        ssa: the value as it is recorded.
        location: where it was made.
        shape: its shape; `Sizes` if a size is known at run time only.
        dtype: its NumPy dtype.
    """

    __slots__ = ("dtype", "location", "scope", "shape", "ssa")

    def __init__(self, scope: Scope, ssa: ir.Value, location: ir.Location) -> None:
        self.scope = scope
        self.ssa = ssa
        self.location = location
        self.shape, self.dtype = shape_and_dtype(ssa.type)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements; an int64 if that is known at run time only."""
        if self.shape.__class__ is Sizes:
            return Sizes.rules.size(self.shape)
        size = 1
        for extent in self.shape:
            size *= extent
        return size

    def describe(self) -> str:
        """Dtype and shape, with the argument that it is or the place where it was made."""
        text = f"{self.dtype.name}{list(self.shape)}"
        place = self.location
        if place is ir.UNKNOWN:
            return text
        if place.child is not None:
            return f"{text} ({place.name})"
        return f"{text} (made at {place.file}:{place.line} in {place.name})"

    def __repr__(self) -> str:
        return f"Value<{self.dtype.name}{list(self.shape)}>"

    def __neg__(self) -> Value:
        return emit(grad.negative, self)

    def __abs__(self) -> Value:
        return emit(grad.absolute, self)

    def __invert__(self) -> Value:
        return emit(grad.logical_not, self)

    __add__, __radd__ = _operator(grad.add), _reflected(grad.add)
    __sub__, __rsub__ = _operator(grad.subtract), _reflected(grad.subtract)
    __mul__, __rmul__ = _operator(grad.multiply), _reflected(grad.multiply)
    __truediv__, __rtruediv__ = _operator(grad.divide), _reflected(grad.divide)
    __lt__ = _operator(grad.less)
    __le__ = _operator(grad.less_equal)
    __gt__ = _operator(grad.greater)
    __ge__ = _operator(grad.greater_equal)
    __and__ = _operator(grad.logical_and)
    __or__ = _operator(grad.logical_or)
    __xor__ = _operator(grad.logical_xor)


def _like(operand: Value | float, other: Value) -> Value:
    return operand if isinstance(operand, Value) else scalar(operand, other.dtype)


# The ops that are looked at for whether two values are equal.
_COMPARED = 64


def is_same(x: Value, y: Value) -> bool:
    """Whether two values are known to be equal: by few like ops of the same values."""
    pending = [(x.ssa, y.ssa)]
    for _ in range(_COMPARED):
        if not pending:
            return True
        left, right = pending.pop()
        if left is right:
            continue
        one, two = left.owner, right.owner
        if isinstance(one, ir.Block) or isinstance(two, ir.Block):
            return False
        if (one.name, left.type, _attributes(one)) != (two.name, right.type, _attributes(two)):
            return False
        if len(one.results) != 1 or one.regions or len(one.operands) != len(two.operands):
            return False
        pending += zip(one.operands, two.operands, strict=True)
    return False


def _attributes(op: ir.Operation) -> dict[str, str]:
    return {name: attribute.text for name, attribute in op.attributes.items()}


def depends(values: Iterable[Value], arguments: Iterable[Value]) -> bool:
    """Whether one of the values of a function is computed from one of its arguments."""
    wanted = {value.ssa for value in arguments}
    return any(not wanted.isdisjoint(arguments_of(value.ssa)) for value in values)


def arguments_of(value: ir.Value) -> set[ir.Value]:
    """The arguments of blocks that a value is computed from."""
    found: set[ir.Value] = set()
    seen: set[ir.Value] = set()
    pending = [value]
    while pending:
        value = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        if isinstance(value.owner, ir.Block):
            found.add(value)
        else:
            pending += used_by(value.owner, value.number)
    return found


def used_by(op: ir.Operation, result: int | None = None) -> list[ir.Value]:
    """What an op, or a result of it, is computed from; ops in its regions included."""
    numbers = {"grad.vjp": "wrt", "grad.jvp": "of"}.get(op.name)
    if numbers is not None and result is not None:
        derivatives = op.attributes[numbers].value
        if result < len(op.results) - len(derivatives):
            return list(op.operand_group(0))  # A result of the function.
    used = list(op.operands)
    for block in op.regions:
        for nested in block.operations:
            used += used_by(nested)
    return used


def scalar(value: float, dtype: DType) -> Value:
    """A constant operand."""
    return scope().constant(np.array(value, dtype))


def emit(op: Callable[..., Any], *operands: Value) -> Value:
    """An elementwise op on operands that are broadcast to one shape."""
    shapes = [operand.shape for operand in operands]
    first = shapes[0]
    for shape in shapes:
        if shape != first:
            common = broadcast_shapes(*shapes)
            operands = tuple([broadcast_to(operand, common) for operand in operands])
            break
    return of_shape(scope().emit(op, *operands), operands[0].shape)


def of_shape(result: Value, shape: Shape) -> Value:
    """The result of an op; which sizes it has is known where its type does not tell."""
    if shape.__class__ is Sizes:
        result.shape = shape
    return result


def equal(x: Value, y: Value | float) -> Value:
    """`grad.equal`."""
    return emit(grad.equal, x, _like(y, x))


def not_equal(x: Value, y: Value | float) -> Value:
    """`grad.not_equal`."""
    return emit(grad.not_equal, x, _like(y, x))


def broadcast_shapes(*shapes: Shape) -> Shape:
    """The common shape.

    Raises:
        ShapeError: there is none.
    """
    first = shapes[0]
    if all(shape == first for shape in shapes):
        return first
    if any(map(has_extents, shapes)):
        return Sizes.rules.common_shape(shapes)
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        text = " ".join(str(shape).replace(" ", "") for shape in shapes)
        raise ShapeError(
            f"operands could not be broadcast together with shapes {text}", source_location()
        ) from None


def broadcast_to(x: Value, shape: Shape) -> Value:
    """NumPy's broadcast: dimensions of size 1 and missing ones are repeated."""
    if x.shape == shape:
        return x
    if x.shape.__class__ is Sizes or has_extents(shape):
        return Sizes.rules.broadcast_to(x, shape)
    offset = len(shape) - len(x.shape)
    if offset < 0 or any(a not in (b, 1) for a, b in zip(x.shape, shape[offset:], strict=True)):
        raise ShapeError(f"cannot broadcast shape {x.shape} to shape {shape}", source_location())
    kept = [i for i, size in enumerate(x.shape) if size == shape[offset + i]]
    x = reshape(x, tuple([x.shape[i] for i in kept]))
    return scope().emit(grad.broadcast, x, list(shape), [offset + i for i in kept])


def reshape(x: Value, shape: Shape) -> Value:
    """`grad.reshape` to a shape without -1."""
    if x.shape == shape:
        return x
    if x.shape.__class__ is Sizes or has_extents(shape):
        return Sizes.rules.reshape(x, shape)
    return scope().emit(grad.reshape, x, list(shape))
