# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ops, values, blocks and attributes: what generated op classes need of `mlir.ir`.

Types and attributes are their texts in MLIR.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from gradopt.recording.inference import attribute_list, result_types

T = TypeVar("T")


class Location:
    """A position in a file with a name, or a name for another location.

    Attributes:
        name: of a function, an argument or a value.
        child: what is named; None for a position.
        file: where a position is.
        line: from 1.
        column: from 1; 0 if unknown.
    """

    __slots__ = ("child", "column", "file", "line", "name")

    def __init__(
        self,
        name: str,
        child: Location | None = None,
        file: str = "",
        line: int = 0,
        column: int = 0,
    ) -> None:
        self.name = name
        self.child = child
        self.file = file
        self.line = line
        self.column = column


UNKNOWN = Location("")


class Attribute:
    """An attribute: its text, and what it was made from."""

    __slots__ = ("text", "value")

    def __init__(self, text: str, value: Any) -> None:
        self.text = text
        self.value = value


UNIT = Attribute("unit", True)


def quoted(text: str) -> str:
    """A string literal of MLIR."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    parts = [
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:02X}"
        for byte in text.encode(errors="surrogateescape")
    ]
    return f'"{"".join(parts)}"'


def string(value: str) -> Attribute:
    """A string attribute."""
    return Attribute(quoted(value), value)


def symbol(value: str) -> Attribute:
    """The name of a function."""
    return Attribute(f"@{quoted(value)}", value)


def integer(value: int, type_: str = "i64") -> Attribute:
    """An integer attribute."""
    return Attribute(f"{int(value)} : {type_}", value)


def boolean(value: bool) -> Attribute:
    """A truth value."""
    return Attribute("true" if value else "false", bool(value))


def integers(value: Sequence[int], type_: str = "i64") -> Attribute:
    """An array of integers."""
    return _integers(tuple([int(number) for number in value]), type_)


@functools.lru_cache(maxsize=10_000)
def _integers(values: tuple[int, ...], type_: str) -> Attribute:
    numbers = ", ".join(map(str, values))
    return Attribute(f"array<{type_}: {numbers}>" if values else f"array<{type_}>", values)


def array(parts: Sequence[Attribute]) -> Attribute:
    """An array of attributes."""
    return Attribute(f"[{', '.join([part.text for part in parts])}]", list(parts))


def dictionary(parts: dict[str, Attribute]) -> Attribute:
    """A dictionary."""
    return Attribute(f"{{{attribute_list(parts)}}}", parts)


def function_type(inputs: Sequence[str], results: Sequence[str]) -> Attribute:
    """The type of a function."""
    return Attribute(f"({', '.join(inputs)}) -> ({', '.join(results)})", (inputs, results))


_BUILDERS: dict[str, Callable[..., Attribute]] = {
    "BoolAttr": boolean,
    "DenseI64ArrayAttr": integers,
    "FlatSymbolRefAttr": symbol,
    "I64Attr": integer,
    "StrAttr": string,
}


class AttrBuilder:
    """How op classes make attributes of Python objects."""

    @staticmethod
    def contains(kind: str) -> bool:
        """Whether attributes of the kind are made here; else they are given."""
        return kind in _BUILDERS

    @staticmethod
    def get(kind: str) -> Callable[..., Attribute]:
        """What makes them."""
        build = _BUILDERS[kind]
        return lambda value, context: build(value)


class UnitAttr:
    """Flags."""

    @staticmethod
    def get(context: None = None) -> Attribute:
        """The flag."""
        return UNIT


class Value:
    """An SSA value.

    Attributes:
        type: the text of its type.
        owner: the op whose result it is, or the block whose argument.
        number: which one.
    """

    __slots__ = ("number", "owner", "type")

    def __init__(self, type_: str, owner: Any, number: int) -> None:
        self.type = type_
        self.owner = owner
        self.number = number

    def __class_getitem__(cls, type_: Any) -> Any:
        # Generated annotations say of which type.
        return cls


class BlockArgument(Value):
    """An argument of a block."""

    __slots__ = ("location",)

    def __init__(self, type_: str, owner: Block, number: int, location: Location) -> None:
        super().__init__(type_, owner, number)
        self.location = location


class OpResult(Value):
    """A result of an op."""

    __slots__ = ()


class Block:
    """Arguments, and ops."""

    __slots__ = ("arguments", "operations")

    def __init__(self) -> None:
        self.arguments: list[BlockArgument] = []
        self.operations: list[Operation] = []

    def add_argument(self, type_: str, location: Location) -> BlockArgument:
        """A new argument, the last one."""
        argument = BlockArgument(type_, self, len(self.arguments), location)
        self.arguments.append(argument)
        return argument

    def erase(self) -> None:
        """Parts the ops and values in it from each other: they refer to what refers to them."""
        for op in self.operations:
            for block in op.regions:
                block.erase()
            op.results.clear()
        self.operations.clear()
        self.arguments.clear()


def _blocks(count: int) -> tuple[Block, ...]:
    return tuple([Block() for _ in range(count)])


_NO_BLOCKS = _blocks(0)


class Dialect:
    """Base class of the generated dialect."""


class Operation:
    """An op, at the end of a block.

    Attributes:
        name: as in `grad.add`.
        operands: in order.
        attributes: by name; those that its definition knows.
        discardable: by name; those that may be put on any op; None for none.
        results: in order.
        regions: of one block each.
        location: where the user's code is.
    """

    __slots__ = (
        "attributes",
        "discardable",
        "location",
        "name",
        "operands",
        "regions",
        "results",
    )

    def __init__(
        self,
        name: str,
        operands: Sequence[Value],
        results: Sequence[str],
        attributes: dict[str, Attribute],
        regions: int,
        location: Location,
        block: Block,
    ) -> None:
        self.name = name
        self.operands = operands
        self.attributes = attributes
        self.discardable: dict[str, Attribute] | None = None
        self.results = [OpResult(type_, self, i) for i, type_ in enumerate(results)]
        self.regions = _blocks(regions) if regions else _NO_BLOCKS
        self.location = location
        block.operations.append(self)

    def operand_group(self, number: int) -> Sequence[Value]:
        """The operands that belong to one of several variadic ones."""
        return segment(self.operands, self.attributes["operandSegmentSizes"], number)


def segment(values: Sequence[T], sizes: Attribute, number: int) -> Sequence[T]:
    """One of several groups that stand behind each other."""
    begin = sum(sizes.value[:number])
    return values[begin : begin + sizes.value[number]]


class OpView:
    """Base class of the generated ones: what they call to add an op."""

    __slots__ = ("operation",)

    _ODS_OPERAND_SEGMENTS: Sequence[int] | None = None
    _ODS_RESULT_SEGMENTS: Sequence[int] | None = None

    def __init__(
        self,
        name: str,
        op_regions: tuple[int, bool],
        operand_segments: Sequence[int] | None,
        result_segments: Sequence[int] | None,
        *,
        attributes: dict[str, Attribute],
        results: Sequence[str] | None,
        operands: Sequence[Any],
        successors: None,
        regions: int | None,
        loc: Location,
        ip: Block,
    ) -> None:
        if operand_segments is not None:
            groups = [
                group if isinstance(group, list) else [] if group is None else [group]
                for group in operands
            ]
            operands = [value for group in groups for value in group]
            sizes = [len(group) for group in groups]
            attributes["operandSegmentSizes"] = integers(sizes, "i32")
        if results is None:
            results = result_types(name, [value.type for value in operands], attributes)
        self.operation = Operation(name, operands, results, attributes, op_regions[0], loc, ip)

    @property
    def results(self) -> list[OpResult]:
        """All results."""
        return self.operation.results

    @property
    def result(self) -> OpResult:
        """The only result."""
        (result,) = self.operation.results
        return result

    @property
    def regions(self) -> tuple[Block, ...]:
        """All regions."""
        return self.operation.regions


def __getattr__(name: str) -> Any:
    # What annotations of the generated classes mention.
    if name.endswith(("Attr", "List", "Type", "Region")):
        return object
    raise AttributeError(name)
