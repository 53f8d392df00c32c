# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arrays that were donated: their memory holds a result now."""

from __future__ import annotations

from typing import Any

from gradopt import _gradopt
from gradopt.base.location import source_location
from gradopt.errors import DonatedArrayError


def donated_error(what: str, donated_as: str) -> DonatedArrayError:
    """The error for the use of a donated array."""
    return DonatedArrayError(
        f"{what} is an array that was donated, as {donated_as}, or a view of it: its memory holds "
        "a result of that call now; use this result, or donate a copy",
        source_location(),
    )


def require_not_donated(array: Any) -> None:
    """Checks an array that traced code refers to.

    Raises:
        DonatedArrayError: it was donated.
    """
    name = _gradopt.donated_as(array)
    if name is not None:
        raise donated_error(f"an operand of shape {array.shape}", name)
