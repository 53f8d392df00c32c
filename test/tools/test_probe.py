# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""tools/breadth.py and tools/probe.py: as much of NumPy and SciPy works as is promised."""

from __future__ import annotations

import importlib
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from budget import EXAMPLES, USUAL_EXAMPLES

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
breadth: Any = importlib.import_module("breadth")
names: Any = importlib.import_module("breadth_names")
probe: Any = importlib.import_module("probe")


# Each of them has tests of its own; `make fuzz` looks at all parts.
PARTS = [part for part in names.PARTS if part != "stats and others" or EXAMPLES > USUAL_EXAMPLES]


@pytest.mark.slow
@pytest.mark.random
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.filterwarnings("ignore")
def test_most_of_each_part_of_the_list_works(part: str) -> None:
    found = breadth.tried(part)
    good, known = breadth.share(found)
    wrong = {name: all_ for name, all_ in found.items() if not all(map(breadth.is_good, all_))}
    assert known > 40
    assert good >= 0.9 * known, wrong


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_most_of_numpy_works() -> None:
    """Values of the functions of the main namespace, and gradients where these have floats."""
    good, missing = 0, []
    for name, function in probe.functions("numpy"):
        called = probe.returning(name, function)
        found = probe.call_of("numpy", name, called)
        if found is None:
            continue
        result = probe.outcome(probe.Probe(called, found[0]), found[1])
        if result in breadth.GOOD:
            good += 1
        else:
            missing.append(f"{name}: {result}")
    assert good > 250
    assert good >= 0.95 * (good + len(missing)), missing


def test_what_does_not_work_does_not_count() -> None:
    x = names.X
    for function, start, is_good in (
        (lambda x: 2.0 * x, x, True),
        (lambda x: x > 0.5, x, True),
        (lambda x: x.tobytes(), x, False),
        (lambda x: x * (1.0 if isinstance(x, type(names.X)) and x.base is None else 2.0), x, False),
    ):
        result = breadth.outcome(probe.Probe(function, (start,)), function(start))
        assert breadth.is_good(result) == is_good, result
    assert not breadth.is_good("pdf: wrong derivative")
    assert not breadth.is_good("value, no gradient: there is none")
    assert breadth.is_good("pdf: value and gradient")
    assert breadth.share({"one": ["value"], "other": ["value", "wrong value"]}) == (1, 2)
    assert breadth.result_of_check(lambda: False) == "wrong value"


def test_the_list_names_what_there_is() -> None:
    every = [name for part in names.PARTS.values() for name in part]
    assert len(every) == len(set(every))
    assert set(names.CALLS) <= set(every)
    assert set(names.CHECKS) <= set(every)
    for name in every:
        if name not in {*names.CALLS, *names.CHECKS}:
            module, _, last = name.rpartition(".")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert callable(getattr(importlib.import_module(module), last)), name


def test_the_page_keeps_what_is_not_probed_again() -> None:
    """The sections of docs/functions.md are read and written as they are, and one row changes."""
    sections = probe.sections_of(probe._PAGE.read_text())
    for text in sections.values():
        assert probe.Page(text).text() == text
    page = probe.Page(sections["numpy"])
    before = (page.supported, page.known, page.differentiated)
    page.add("sort", "wrong value", None)
    assert (page.supported, page.known, page.differentiated) == tuple(
        n - k for n, k in zip(before, (1, 0, 1), strict=True)
    )
    assert "`sort`" in page.text().splitlines()[-1]
    page.add("sort", "value and gradient", "| `sort` | yes | yes | yes | yes |  |")
    assert page.text() == sections["numpy"]
