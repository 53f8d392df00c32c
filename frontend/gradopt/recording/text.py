# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A recorded module as MLIR, in the generic form."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from gradopt.recording.inference import attribute_list
from gradopt.recording.ir import UNKNOWN, Block, BlockArgument, Location, Operation, Value, quoted


def module_text(body: Block) -> tuple[str, str]:
    """The module with these functions: its text, and the same without locations."""
    writer = _Writer()
    writer.operations(body)
    plain = writer.parts[::2]
    pieces = [*writer.definitions, '"builtin.module"() ({\n']
    pieces += itertools.chain.from_iterable(zip(plain, writer.parts[1::2], strict=True))
    pieces.append("}) : () -> () loc(unknown)\n")
    return "".join(pieces), "".join(plain)


def location_text(location: Location) -> str:
    """What stands between the parentheses of `loc(...)`."""
    if location is UNKNOWN:
        return "unknown"
    if location.child is not None:
        child = location_text(location.child)
    else:
        child = f"{quoted(location.file)}:{location.line}:{location.column}"
    return f"{quoted(location.name)}({child})"


class _Writer:
    """Makes pieces of text; each second one is a location, or what ends a line."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.definitions: list[str] = []
        self._names: dict[Value, str] = {}
        self._locations: dict[Location, str] = {}

    def operations(self, block: Block) -> None:
        for op in block.operations:
            self._operation(op)

    def _operation(self, op: Operation) -> None:
        names = self._names
        operands, results = op.operands, op.results
        text = f'"{op.name}"({", ".join([names[value] for value in operands])})'
        if results:
            text = f"{', '.join([self._name(value) for value in results])} = {text}"
        if op.attributes:
            text += f" <{{{attribute_list(op.attributes)}}}>"
        if op.regions:
            text += " ("
            for region in op.regions:
                self.parts += [text + "{\n", ""]
                self._region(region)
                text = "}, "
            text = "})"
        if op.discardable:
            text += f" {{{attribute_list(op.discardable)}}}"
        self.parts += [
            f"{text} : ({_types(operands)}) -> ({_types(results)})",
            self._location(op.location) + "\n",
        ]

    def _region(self, block: Block) -> None:
        if block.arguments:
            text = "^bb0("
            for argument in block.arguments:
                self.parts += [self._argument(text, argument), self._location(argument.location)]
                text = ", "
            self.parts += ["):\n", ""]
        self.operations(block)

    def _argument(self, before: str, argument: BlockArgument) -> str:
        return f"{before}{self._name(argument)}: {argument.type}"

    def _name(self, value: Value) -> str:
        name = self._names[value] = f"%{len(self._names)}"
        return name

    def _location(self, location: Location) -> str:
        known = self._locations.get(location)
        if known is None:
            alias = f"#l{len(self._locations)}"
            self.definitions.append(f"{alias} = loc({location_text(location)})\n")
            known = self._locations[location] = f" loc({alias})"
        return known


def _types(values: Sequence[Value]) -> str:
    return ", ".join([value.type for value in values])
