# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The number that stands for how many rows there is room for, in code for any number of rows.

What is computed of it tells how often it was added, and what else was (`runtime/OpenSizes.h`): the
shapes of such code, and how large it is at most, are numbers as others are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gradopt._gradopt import OPEN_ARENA, OPEN_SIZE, ROOM_PARTS, ROOM_STEP

# Integers that no size which is known is larger than, in such code.
LARGEST_KNOWN = 1 << 22

_PART = OPEN_SIZE // ROOM_PARTS


def apart(number: int) -> tuple[int, int] | None:
    """How many parts of the room a size is, and how much more; None if it is known, or nothing of
    that kind."""
    parts = (number + _PART // 2) // _PART
    more = number - parts * _PART
    most = 64 if parts % ROOM_PARTS else 1 << 16
    return None if not parts or abs(more) > most else (parts, more)


def is_open(number: int) -> bool:
    """Whether a size is not known."""
    return number >= OPEN_SIZE // 2 or apart(number) is not None


def rounded(number: int) -> int:
    """How large a size is at most that is at most the number, where that is not made of the room,
    as a third of it is not."""
    if number <= LARGEST_KNOWN or apart(number) is not None:
        return number
    return -(-number // OPEN_SIZE) * OPEN_SIZE


def room_for(rows: Iterable[int], least: int) -> int:
    """How many rows there is room for in a call with arrays of so many."""
    return max(-(-max([*rows, least]) // ROOM_STEP), 1) * ROOM_STEP


def shape_at(shape: Sequence[int], room: int) -> tuple[int, ...]:
    """A shape where the room is known; 0 where all sizes are."""
    if not room:
        return tuple(shape)
    found: list[int] = []
    for size in shape:
        parts, more = apart(size) or (0, size)
        found.append(parts * (room // ROOM_PARTS) + more)
    return tuple(found)


def arena_parts(arena: int) -> tuple[int, int]:
    """Bytes of temporaries in any case, and for each part of the room."""
    per_part, known = divmod(arena, OPEN_ARENA)
    return known, per_part


def arena_at(arena: int, room: int) -> int:
    """Bytes of temporaries where there is room for so many rows."""
    known, per_part = arena_parts(arena)
    return known + per_part * (room // ROOM_PARTS)
