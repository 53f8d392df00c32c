# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The number that stands for how many rows there is room for, in code for any number of rows.

What is computed of it tells how often it was added, and what else was (`runtime/OpenSizes.h`): the
shapes of such code, and how large it is at most, are numbers as others are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gradopt._gradopt import (
    OPEN_SIZE,
    find_room,
    is_open_size,
    open_arena_at,
    open_size,
    open_size_at,
)

# Integers that no size which is known is larger than, in such code.
LARGEST_KNOWN = 1 << 22

# Products of sizes may be larger than any integer of the runtime: these are of no size.
_MOST = (1 << 63) - 1


def apart(number: int) -> tuple[int, int] | None:
    """How many parts of the room a size is, and how much more; None if it is known, or nothing of
    that kind."""
    return open_size(number) if number <= _MOST else None


def is_open(number: int) -> bool:
    """Whether a size is not known."""
    return number > _MOST or is_open_size(number)


def rounded(number: int) -> int:
    """How large a size is at most that is at most the number, where that is not made of the room,
    as a third of it is not."""
    if number <= LARGEST_KNOWN or apart(number) is not None:
        return number
    return -(-number // OPEN_SIZE) * OPEN_SIZE


def room_for(rows: Iterable[int], least: int) -> int:
    """How many rows there is room for in a call with arrays of so many."""
    return find_room(max(rows, default=0), least)


def shape_at(shape: Sequence[int], room: int) -> tuple[int, ...]:
    """A shape where the room is known; 0 where all sizes are."""
    return tuple([open_size_at(size, room) for size in shape]) if room else tuple(shape)


def arena_at(arena: int, room: int) -> int:
    """Bytes of temporaries where there is room for so many rows."""
    return open_arena_at(arena, room)
