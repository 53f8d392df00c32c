# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Lists of commands (runtime/Commands.h), put together by hand."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

MAGIC, VERSION = 0x53444D43, 5
ZERO, FRAME, CONSTANTS, BUFFERS = range(4)
END, LAUNCH, GEMM_F64, GEMM_F32, COPY, SET, MULTIPLY_ADD, LESS, EQUAL = range(9)
READ, MINIMUM, MAXIMUM, GEMM_C128, GEMM_C64, GEMM_F16, GEMM_BF16, HOST_CALL = range(9, 17)
HAS_LIBRARY = 17
WORD = 8
# The size of a number in the place of a buffer.
NUMBER_SIZE = (1 << 63) - 1

Operand = tuple[int, int, int]


def constant(value: int) -> Operand:
    return ZERO, ZERO, value


# One product, as the last operands of such a command.
ALONE = [constant(1), *[constant(0)] * 3]


def bits(value: float) -> Operand:
    return constant(struct.unpack("q", struct.pack("d", value))[0])


class CommandList:
    """A list of commands on buffers of some sizes in bytes, and an arena behind them."""

    def __init__(self, sizes: Sequence[int], registers: int = 0, constants: int = 0) -> None:
        self.words = BUFFERS + len(sizes) + 1 + registers
        self.sizes = [constants, *sizes]
        self.commands: list[tuple[int, int, list[Operand]]] = []
        self.kernels: list[Any] = []
        self.header: dict[str, int] = {}

    def buffer(self, number: int, offset: int = 0) -> Operand:
        return BUFFERS + number, ZERO, offset

    def register(self, number: int, offset: int = 0) -> Operand:
        return self.word(number), ZERO, offset

    def result(self, number: int) -> Operand:
        return FRAME, ZERO, WORD * self.word(number)

    def word(self, register: int) -> int:
        return BUFFERS + len(self.sizes) + register

    def add(self, opcode: int, target: int, *operands: Operand) -> int:
        """Returns where the command is, in units of eight bytes."""
        self.commands.append((opcode, target, list(operands)))
        return sum(1 + 2 * len(operands) for _, _, operands in self.commands[:-1])

    def launch(self, kernel: Any, *operands: Operand) -> int:
        self.kernels.append(kernel)
        return self.add(LAUNCH, len(self.kernels) - 1, *operands)

    def here(self) -> int:
        return sum(1 + 2 * len(operands) for _, _, operands in self.commands)

    def aim(self, command: int, target: int) -> None:
        opcode, _, operands = self.commands[command]
        self.commands[command] = opcode, target, operands

    def table(self) -> bytes:
        code = b"".join(
            struct.pack("HHI", opcode, len(operands), target)
            + b"".join(struct.pack("IIq", *operand) for operand in operands)
            for opcode, target, operands in self.commands
        )
        most = max((len(operands) for _, _, operands in self.commands), default=0)
        frame = self.header.get("frame", 0)
        arena = self.header.get("arena", frame + WORD * (self.words + most))
        sizes = struct.pack(f"{len(self.sizes) + 1}q", *self.sizes, arena)
        fields = {
            "magic": MAGIC,
            "version": VERSION,
            "bytes": 40 + len(sizes) + len(code),
            "frame": frame,
            "words": self.words,
            "buffers": len(self.sizes),
            "kernels": len(self.kernels),
            "operands": most,
        }
        fields |= {key: value for key, value in self.header.items() if key in fields}
        return struct.pack("IIQQIIII", *fields.values()) + sizes + code
