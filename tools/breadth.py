# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How much works of what numerical code asks of NumPy and SciPy: of a list of names, by its parts.

    .venv/bin/python tools/breadth.py             # a summary, and what does not work
    .venv/bin/python tools/breadth.py --table     # what came of each name
    .venv/bin/python tools/breadth.py special     # of one part

The list is `tools/breadth_names.py`. What is in it is called in a compiled function, whose result
is compared with NumPy's or SciPy's, and in its gradient, which is compared with differences. It
counts where both are right, or where the result has no floats. `tools/probe.py` does the same of
whole namespaces, whatever is in them.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from breadth_names import CALLS, CHECKS, CONTINUOUS, DISCRETE, MASSES, METHODS, PARTS
from breadth_names import Y as PROBABILITIES
from probe import Probe, call_of, outcome, returning
from scipy.stats._distr_params import distcont, distdiscrete

# What counts, of the outcomes of a call.
GOOD = ("value", "value and gradient", "made of constants")
_SHAPES: dict[str, Any] = {str(name): shapes for name, shapes in (*distcont, *distdiscrete)}


def outcomes(name: str) -> Iterator[str]:
    """What comes of a name: of each of the calls that it stands for."""
    if name in CHECKS:
        yield from map(result_of_check, CHECKS[name])
        return
    if name in CALLS:
        for function, start in CALLS[name]:
            probe = Probe(function, (start,))
            probe.is_solver |= name == "scipy.integrate.solve_ivp"
            yield outcome(probe, function(start.copy()))
        return
    namespace, _, last = name.rpartition(".")
    function = getattr(importlib.import_module(namespace), last)
    if namespace == "scipy.stats" and last in f"{CONTINUOUS} {DISCRETE}".split():
        yield from outcomes_of_distribution(last, function)
        return
    found = call_of(namespace, last, returning(last, function))
    if found is None:
        yield "no arguments"
        return
    args, expected = found
    yield outcome(Probe(returning(last, function), args), expected)


def result_of_check(check: Callable[[], bool]) -> str:
    """What comes of a program that says itself whether it works."""
    try:
        return "value and gradient" if check() else "wrong value"
    except Exception as error:
        return f"internal error: {type(error).__name__}: {str(error)[:80]}"


def outcomes_of_distribution(name: str, distribution: Any) -> Iterator[str]:
    """What comes of all methods of a distribution, as functions of their floats together."""
    shapes = _SHAPES[name]
    is_discrete = hasattr(distribution, "pmf")
    # Numbers of things are constants.
    floats = [i for i, shape in enumerate(shapes) if isinstance(shape, float)]
    places = distribution.ppf(PROBABILITIES, *shapes)
    for method in MASSES if is_discrete else METHODS:
        start = PROBABILITIES if method == "ppf" else places
        function, x = _of_floats(getattr(distribution, method), start, shapes, floats, is_discrete)
        yield f"{method}: {outcome(Probe(function, (x,)), function(x.copy()))}"


def _of_floats(
    function: Any, start: Any, shapes: Any, floats: list[int], is_discrete: bool
) -> tuple[Callable[[Any], Any], Any]:
    """A method as a function of one array: its places, shapes, location and scale, and this."""
    has_places = not is_discrete or not floats
    leading = len(start) if has_places else 0

    def call(x: Any) -> Any:
        given = list(shapes)
        for k, place in enumerate(floats):
            given[place] = x[leading + k]
        further = () if is_discrete else (x[-2], x[-1])
        return function(x[:leading] if has_places else start, *given, *further)

    if is_discrete and not floats:
        is_probability = start is PROBABILITIES
        return call, start if is_probability else start.astype(np.int64)
    parts = [start[:leading], np.array([shapes[i] for i in floats], np.float64)]
    parts += [] if is_discrete else [np.array([0.0, 1.0])]
    return call, np.concatenate(parts)


def is_good(result: str) -> bool:
    """Whether an outcome counts."""
    return result.partition(": ")[2] in GOOD or result in GOOD


def tried(part: str) -> dict[str, list[str]]:
    """What came of all names of a part of the list."""
    return {name: list(outcomes(name)) for name in PARTS[part]}


def share(found: dict[str, list[str]]) -> tuple[int, int]:
    """How many of these names work, of how many."""
    return sum(all(map(is_good, results)) for results in found.values()), len(found)


def main() -> int:
    """Tries the parts of the command line; the status says whether less than 90 % works."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=[*PARTS], help="of " + ", ".join(PARTS))
    parser.add_argument("--table", action="store_true", help="print what came of each name")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    every: dict[str, list[str]] = {}
    lines: list[str] = []
    for part in arguments.parts:
        found = tried(part)
        for name, results in found.items():
            wrong = [result for result in results if arguments.table or not is_good(result)]
            if wrong:
                print(f"{name:40} {'; '.join(wrong)}", flush=True)
        lines.append(summary(part, found))
        every |= {f"{part}: {name}": results for name, results in found.items()}
    good, known = share(every)
    print("\n".join([*lines, summary("all", every)]))
    return int(good < 0.9 * known)


def summary(part: str, found: dict[str, list[str]]) -> str:
    """The line of a part."""
    good, known = share(found)
    return f"{part}: {good} of {known} ({100 * good / known:.1f} %)"


if __name__ == "__main__":
    sys.exit(main())
