# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arguments that are donated: which results get their memory, and what goes wrong."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from gradopt.base.donated import donated_error
from gradopt.base.frames import hide_frames
from gradopt.base.location import function_source, source_location
from gradopt.base.options import Options
from gradopt.base.pytree import TreeDef
from gradopt.errors import ArgumentError, UnusedDonationWarning

if TYPE_CHECKING:
    from gradopt.compilation.lowered import Leaf


def donated_leaves(options: Options, structure: TreeDef) -> list[bool]:
    """For each leaf of positional and named arguments whether it is donated."""
    positional, named = structure.children
    count = len(positional.children)
    numbers = {n % count if -count <= n < 0 else n for n in options.donate_argnums}
    flags: list[bool] = []
    for i, child in enumerate(positional.children):
        flags += [i in numbers] * child.leaf_count
    for name, child in zip(named.data, named.children, strict=True):
        flags += [name in options.donate_argnames] * child.leaf_count
    return flags


def pair_results(
    arguments: Sequence[Leaf], results: Sequence[Leaf], donated: Sequence[bool]
) -> dict[int, int]:
    """For results the arguments whose memory they get, of the same shapes and dtypes.

    Those are paired first whose paths end alike: `state[0]['w']` with `result[1][0]['w']`, whatever
    the order of results is. What is left is paired in order.
    """
    free: dict[Any, list[int]] = {}
    for i, (leaf, is_donated) in enumerate(zip(arguments, donated, strict=True)):
        if is_donated and leaf.shape:
            free.setdefault((leaf.shape, leaf.dtype), []).append(i)
    candidates = [
        (-_common_end(arguments[i].path, result.path), abs(i - r), r, i)
        for r, result in enumerate(results)
        for i in free.get((result.shape, result.dtype), ())
    ]
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for _, _, r, i in sorted(candidates):
        if r not in pairs and i not in taken:
            pairs[r] = i
            taken.add(i)
    return pairs


def _common_end(left: str, right: str) -> int:
    count = 0
    for a, b in zip(reversed(left), reversed(right), strict=False):
        if a != b:
            break
        count += 1
    return count


def warn_of_unused(
    function: Callable[..., Any],
    name: str,
    arguments: Sequence[Leaf],
    donated: Sequence[bool],
    pairs: dict[int, int],
) -> None:
    """Warns of donated arrays that no result can get the memory of."""
    used = set(pairs.values())
    unused = [
        f"{leaf.path} ({leaf.dtype.name}{list(leaf.shape)})"
        for i, leaf in enumerate(arguments)
        if donated[i] and leaf.shape and i not in used
    ]
    place = function_source(function)
    if not unused or place is None:
        return
    warnings.warn_explicit(
        f"{name} returns nothing that could be in the memory of the donated {', '.join(unused)}",
        UnusedDonationWarning,
        place.file,
        place.line,
    )


class DonationReport(NamedTuple):
    """Raises the errors in calls with donated arrays.

    Attributes:
        name: of the function that is called.
        paths: how the user reaches its arguments.
    """

    name: str
    paths: tuple[str, ...]

    @hide_frames
    def donated(self, number: int, donated_as: str) -> NoReturn:
        """Called if an argument is an array that was donated."""
        raise donated_error(f"{self.paths[number]} of {self.name}", donated_as)

    @hide_frames
    def shared(self, donated: int, other: int) -> NoReturn:
        """Called if a donated argument shares memory with another one."""
        raise ArgumentError(
            f"{self.paths[donated]} is donated to {self.name}, but {self.paths[other]} shares its "
            "memory; pass a copy of one of them",
            source_location(),
        )
