# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The error for what needs to know the size of an array while tracing."""

from __future__ import annotations

from gradopt.base.location import source_location
from gradopt.errors import UnsupportedError


class UnknownSizeError(UnsupportedError):
    """Something does not take an array whose size is known at run time only."""


def unknown_size(what: str) -> UnknownSizeError:
    """The error for what does not take such an array."""
    return UnknownSizeError(
        f"{what} is not supported on an array whose size is known at run time only, as that of "
        "x[:n] for a traced n; compute with the whole array, and choose with numpy.where, or let "
        "the bounds of the slice be Python integers",
        source_location(),
    )
