# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What rewritten code says of its statements, and who runs them.

Rewritten code calls methods of an object that is made here, with the number of the statement. The
methods are in `gradopt.control`, which sets `OPERATORS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gradopt.errors import SourceLocation
from gradopt.rewrite.names import Names


@dataclass(eq=False, repr=False)
class Site:
    """A statement of the user's.

    Attributes:
        kind: "if", "while", "for", or "rest": what follows on a statement that may leave.
        place: where it is.
        assigned: names that its parts assign.
        updated: those of them that parts only change by augmented assignments.
        after: names that are live behind it.
        head: names that are live where an iteration begins, for loops.
        target: names that a `for` assigns for each iteration.
        tests: names that the condition of a `while` assigns.
        foreign: names among `assigned` that are global.
    """

    kind: str
    place: SourceLocation
    assigned: Names
    updated: Names
    after: Names
    head: Names
    target: Names
    tests: Names
    foreign: Names


# Makes the object whose methods rewritten code calls, of its statements and its package.
OPERATORS: list[Callable[[Sequence[Site], str], Any]] = []
