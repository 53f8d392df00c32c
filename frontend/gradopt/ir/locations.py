# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where ops come from."""

from __future__ import annotations

from gradopt.base.location import Site, user_site
from gradopt.errors import SourceLocation
from gradopt.recording.ir import UNKNOWN, Location


class Locations:
    """The places in the user's code that ops of a trace come from."""

    def __init__(self) -> None:
        self._known: dict[tuple[Site, int], Location] = {}

    def here(self) -> Location:
        """Where the user's code is: the function's name around file, line, column."""
        place = user_site()
        if place is None:
            return UNKNOWN
        result = self._known.get(place)
        if result is None:
            site, lasti = place
            result = self._known[place] = location_of(site.source(lasti))
        return result


def location_of(source: SourceLocation) -> Location:
    """The location of a source position (columns count from 1)."""
    return Location(source.function, None, source.file, source.line, source.column + 1)
