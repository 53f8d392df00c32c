# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a loop keeps for its derivative in reverse mode.

How the memory for that grows with the number n of iterations, and the time:

    None        "all" if n is known while tracing. Else a fixed number of states, from which the
                loop is run again; their distance grows with n
    "all"       what the derivative needs of each iteration: as n. Where n is not known, memory
                is taken while the loop runs, and kept for the next call; not on devices. In loops
                and branches of others, as None then
    "sqrt"      about sqrt(n) states, and sqrt(n) iterations at a time; the loop is run once more.
                As None if n is not known
    "binomial"  a few states on each of log(n) levels; the loop is run once more for each level
    "none"      the first state alone: does not grow; the loop is run n / 2 times
    an int      so many states; the loop is run once more if n is known, else as None
"""

from __future__ import annotations

from typing import Any, Literal

from gradopt.base.location import source_location
from gradopt.errors import ArgumentError

Checkpoint = Literal["all", "none", "sqrt", "binomial"] | int | None


def check_policy(checkpoint: Any) -> None:
    """Checks a policy for a loop.

    Args:
        checkpoint: what the user gave.

    Raises:
        ArgumentError: there is no such policy.
    """
    is_int = isinstance(checkpoint, int) and not isinstance(checkpoint, bool)
    if checkpoint is None or (is_int and 0 < checkpoint < 2**63):
        return
    if not isinstance(checkpoint, str) or checkpoint not in ("all", "none", "sqrt", "binomial"):
        raise ArgumentError(
            "checkpoint must be 'all', 'none', 'sqrt', 'binomial' or a positive number of states, "
            f"not {checkpoint!r}",
            source_location(),
        )
