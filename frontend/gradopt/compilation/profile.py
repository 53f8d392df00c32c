# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where the time of a call goes, by lines of the user's source."""

from __future__ import annotations

import linecache
import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from gradopt import _gradopt

if TYPE_CHECKING:
    from gradopt._compiler import Diagnostic

# Programs become lists of commands, and so do loops of several loop nests.
OPTIONS = "command-threshold=2 command-remarks=1"

_SECONDS, _MOST_CALLS = 0.05, 100
_REMARK = re.compile(r"(\d+): (.*)", re.DOTALL)
_PLACE = re.compile(r'"([^"]*)":(\d+):\d+')

Place = tuple[str, int]


class CommandTime(NamedTuple):
    """What a command of a program takes in one call.

    Attributes:
        text: the command: `launch` of a kernel, a product `gemm`, a `copy`, or what leads from one
            to the next.
        places: file and line of all code that it is made of; it counts for the first one.
        runs: how often it runs.
        seconds: what all its runs take.
    """

    text: str
    places: tuple[Place, ...]
    runs: float
    seconds: float


class LineTime(NamedTuple):
    """What the commands of a line take in one call.

    Attributes:
        file: the file; None for what belongs to no line.
        line: the line.
        source: its text.
        commands: how many commands it has.
        runs: how often they run.
        seconds: what all their runs take.
        others: lines whose code is part of the same commands.
    """

    file: str | None
    line: int
    source: str
    commands: int
    runs: float
    seconds: float
    others: tuple[Place, ...]


class Profile(NamedTuple):
    """What one call takes, on the average.

    Attributes:
        name: the function.
        calls: calls that were timed.
        seconds: what one takes.
        commands: its commands, in order; empty if it is one piece of code.
    """

    name: str
    calls: int
    seconds: float
    commands: tuple[CommandTime, ...]

    @property
    def lines(self) -> tuple[LineTime, ...]:
        """The commands added up by lines, those that take longest first."""
        grouped: dict[Place | None, list[CommandTime]] = {}
        for command in self.commands:
            grouped.setdefault(next(iter(command.places), None), []).append(command)
        found = [_line(place, commands) for place, commands in grouped.items()]
        return tuple(sorted(found, key=lambda line: -line.seconds))

    def as_dict(self) -> dict[str, Any]:
        """The same in dicts, lists, strings and numbers."""
        return {
            "name": self.name,
            "calls": self.calls,
            "seconds": self.seconds,
            "lines": [
                line._asdict() | {"others": [*map(list, line.others)]} for line in self.lines
            ],
            "commands": [
                command._asdict() | {"places": [*map(list, command.places)]}
                for command in self.commands
            ],
        }

    def table(self, limit: int = 20) -> str:
        """The lines that take longest, as text.

        Args:
            limit: how many lines at most.
        """
        head = f"{self.name}: {_duration(self.seconds)} a call ({self.calls} calls)"
        lines = self.lines
        if not lines:
            return f"{head}; it is one piece of code, with no lines to tell apart"
        files = {line.file for line in lines if line.file is not None}
        rows = [("time", "share", "runs", "line", "source")]
        for line in lines[:limit]:
            share = line.seconds / self.seconds if self.seconds else 0.0
            source = line.source
            if line.others:
                source += f"   [with {', '.join(_name(p, files) for p in line.others)}]"
            place = "-" if line.file is None else _name((line.file, line.line), files)
            runs = f"{line.runs:,.0f}"
            rows.append((_duration(line.seconds), f"{share:.1%}", runs, place, source))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        text = [head]
        for *columns, source in rows:
            cells = [c.rjust(w) for c, w in zip(columns, widths, strict=True)]
            text.append(f"{'  '.join(cells)}  {source}".rstrip())
        if len(lines) > limit:
            rest = sum(line.seconds for line in lines[limit:])
            text.append(f"{_duration(rest).rjust(widths[0])}  in {len(lines) - limit} more lines")
        return "\n".join(text)

    def __str__(self) -> str:
        return self.table()


def measure(
    name: str,
    executable: _gradopt.Executable | _gradopt.DeviceExecutable,
    arguments: Callable[[], Sequence[Any]],
    diagnostics: Sequence[Diagnostic],
) -> Profile:
    """Calls an executable some times.

    Args:
        name: the function.
        executable: the code.
        arguments: makes the arguments of a call.
        diagnostics: what the compiler said; its remarks are the commands.
    """
    times = _gradopt.CommandTimes()
    executable.time_calls(times)
    ticks, start = _gradopt.ticks(), time.perf_counter()
    while True:
        executable(*arguments())
        elapsed = time.perf_counter() - start
        if elapsed >= _SECONDS:
            break
        if times.calls == _MOST_CALLS:
            # A second is known precisely after a while only.
            time.sleep(_SECONDS - elapsed)
            elapsed = time.perf_counter() - start
            break
    if isinstance(executable, _gradopt.DeviceExecutable):
        second = times.calls * 1e9
    else:
        second = times.calls * (_gradopt.ticks() - ticks) / elapsed
    known = {
        int(match[1]): (match[2], tuple(dict.fromkeys(_places(diagnostic))))
        for diagnostic in diagnostics
        if diagnostic.severity == "remark" and (match := _REMARK.fullmatch(diagnostic.message))
    }
    commands = [
        CommandTime(*known[number], runs / times.calls, spent / second)
        for number, runs, spent in times.places
    ]
    return Profile(name, times.calls, times.ticks / second, tuple(commands))


def _places(diagnostic: Diagnostic) -> list[Place]:
    places = [(file, int(line)) for file, line in _PLACE.findall(diagnostic.location)]
    if diagnostic.file is not None:
        places.insert(0, (diagnostic.file, diagnostic.line))
    return places


def _line(place: Place | None, commands: Sequence[CommandTime]) -> LineTime:
    file, number = place if place is not None else (None, 0)
    others = dict.fromkeys(p for command in commands for p in command.places if p != place)
    return LineTime(
        file,
        number,
        linecache.getline(file, number).strip() if file is not None else "",
        len(commands),
        sum(command.runs for command in commands),
        sum(command.seconds for command in commands),
        tuple(sorted(others)),
    )


def _name(place: Place, files: set[str]) -> str:
    """A line, with its file if there are several."""
    file, line = place
    return str(line) if files == {file} else f"{file.rpartition('/')[2]}:{line}"


def _duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
