# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`grad-plan-memory` on random programs: same results, aligned, and no two live buffers overlap."""

import os
import re
import subprocess
import sys
from itertools import combinations, pairwise
from pathlib import Path

import memref_programs as programs
import numpy as np
from budget import by_hypothesis, by_seed, generator
from hypothesis import given
from hypothesis import strategies as st

BUILD = os.environ.get("GRADOPT_BUILD_DIR")
TOOL = Path(BUILD, "bin", "gradopt") if BUILD else Path(sys.executable).parent / "gradopt"
REMARK = re.compile(r"remark: arena offset (\d+), size (\d+) bytes, live \[(\d+), (\d+)\]")
NUM_VALUES = len(programs.ARGUMENTS) + len(programs.RESULTS)


def plan(text: str, options: str = "") -> tuple[str, list[tuple[int, ...]]]:
    """The planned program and what the remarks say: offset, size, first, last."""
    command = [str(TOOL), f"--grad-plan-memory=remarks {options}"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr + text
    remarks = [tuple(map(int, match)) for match in REMARK.findall(done.stderr)]
    return done.stdout, remarks


def buffers(arena_bytes: int = 0) -> list[np.ndarray]:
    """Arguments with data; results and arena with garbage."""
    rng = generator(0)
    values = [rng.uniform(0.5, 1.0, shape) for shape in programs.ARGUMENTS]
    values += [np.full(shape, np.nan) for shape in programs.RESULTS]
    return [*values, np.full(arena_bytes, 0xFF, np.uint8)]


def check(text: str, alignment: int, in_place: bool) -> None:
    planned, remarks = plan(text, f"alignment={alignment} in-place={in_place}".lower())
    arena = re.search(r"grad\.arena_bytes = (\d+) : i64", planned)
    assert arena
    assert f"memref<{arena[1]}xi8>" in planned
    ((_, arguments, body),) = programs.functions(planned)
    assert not any("memref.alloc" in line for line in body)

    views = programs.lifetimes(body)
    for view in views:
        assert view.offset % alignment == 0
        assert view.offset + view.size <= int(arena[1])
    assert len(remarks) >= len(views)
    assert {(view.offset, view.size) for view in views} <= {remark[:2] for remark in remarks}
    for a, b in combinations(views, 2):
        live = a.first <= b.last and b.first <= a.last
        disjoint = a.offset + a.size <= b.offset or b.offset + b.size <= a.offset
        if live and not disjoint:
            # Only in place: one dies in the operation that makes the other.
            assert in_place
            assert (a.offset, a.size) == (b.offset, b.size)
            assert a.last == b.first or b.last == a.first

    expected, actual = buffers(), buffers(int(arena[1]))
    ((_, names, source),) = programs.functions(text)
    with np.errstate(all="ignore"):
        programs.run(source, dict(zip(names, expected, strict=False)), {})
        programs.run(body, dict(zip(arguments, actual, strict=True)), {})
    for i in range(NUM_VALUES):
        np.testing.assert_array_equal(actual[i], expected[i], err_msg=planned)


@by_hypothesis(80)
@given(
    choices=st.lists(st.integers(0, 60), min_size=10, max_size=120),
    steps=st.integers(1, 14),
    alignment=st.sampled_from([8, 64]),
    in_place=st.booleans(),
)
def test_random_programs(choices: list[int], steps: int, alignment: int, in_place: bool) -> None:
    text = programs.Generator(iter(choices)).program("main", steps)
    check(text, alignment, in_place)


@by_seed(4)
def test_long_programs(seed: int) -> None:
    choices = generator(seed).integers(0, 1000, 2000)
    text = programs.Generator(iter(choices.tolist())).program("main", 100)
    check(text, alignment=64, in_place=True)


def test_more_buffers_than_are_tried_in_several_orders() -> None:
    """Values that a second half reads in reverse, as in gradients of loops."""
    steps = 2500
    kind, line = "memref<8xf64>", "    %{0} = memref.alloc() : memref<8xf64>"
    lines = [line.format(f"a{i}") for i in range(steps)]
    lines += [line.format(f"b{i}") for i in range(steps)]
    lines += [f"    linalg.tanh ins(%x : {kind}) outs(%a0 : {kind})"]
    for i in range(1, steps):
        lines.append(f"    linalg.tanh ins(%a{i - 1} : {kind}) outs(%a{i} : {kind})")
    last = f"a{steps - 1}"
    for i in reversed(range(steps)):
        lines.append(f"    linalg.mul ins(%a{i}, %{last} : {kind}, {kind}) outs(%b{i} : {kind})")
        last = f"b{i}"
    lines.append(f"    memref.copy %{last}, %y : {kind} to {kind}")
    body = "\n".join(lines)
    planned, remarks = plan(f"func.func @main(%x: {kind}, %y: {kind}) {{\n{body}\n    return\n}}")
    assert len(remarks) > 4096

    # In order of their addresses, what is live at the same time and overlaps is in place.
    starts: dict[int, list[tuple[int, ...]]] = {}
    for remark in remarks:
        starts.setdefault(remark[0], []).append(remark)
        assert remark[0] % 64 == 0
        assert remark[1] == 64
    for same in starts.values():
        for a, b in pairwise(sorted(same, key=lambda remark: remark[2:])):
            assert a[3] <= b[2]
    arena = re.search(r"grad\.arena_bytes = (\d+) : i64", planned)
    assert arena
    # One of the values of the first half lies in the result; the others are live together.
    assert int(arena[1]) == 64 * (steps - 1)
