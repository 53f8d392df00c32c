# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Profiles by lines of the source. How long anything takes is not tested: counts and sums are."""

from __future__ import annotations

import inspect
import json
import math
from typing import Any

import numpy as np
import pytest
from devices import cuda, emulator
from emulated_cuda import OUT_OF_MEMORY, Driver, Emulator

import gradopt as go
from gradopt.compilation.profile import Profile
from gradopt.errors import ArgumentError, DeviceError, TraceIndexError

__all__ = ["cuda", "emulator"]

RANDOM = np.random.default_rng(0)
W, X = RANDOM.normal(size=(5, 4)), RANDOM.normal(size=(64, 5))


def layer(x: Any, w: Any) -> Any:
    return np.tanh(x @ w)


def repeated(w: Any, x: Any) -> Any:
    h = layer(x, w)
    h = go.fori_loop(
        0, 7, lambda i, h: np.cumsum(h[::-1], axis=0) / (i + 1), h
    )  # fmt: skip
    return np.sum(np.exp(h)) + np.sum(h @ w.T)


def line_of(function: Any, text: str) -> int:
    lines, first = inspect.getsourcelines(function)
    (found,) = [first + i for i, line in enumerate(lines) if text in line]
    return found


def consistent(profile: Profile) -> None:
    """What is said in several ways is the same."""
    assert profile.calls >= 1
    assert sum(line.commands for line in profile.lines) == len(profile.commands)
    total = sum(command.seconds for command in profile.commands)
    assert math.isclose(sum(line.seconds for line in profile.lines), total)
    # Sums in another order are rounded in another way.
    assert 0 < total <= profile.seconds * (1 + 1e-12)
    assert all(command.seconds >= 0 for command in profile.commands)
    seconds = [line.seconds for line in profile.lines]
    assert seconds == sorted(seconds, reverse=True)


def runs(profile: Profile, kind: str) -> dict[int, float]:
    """By lines, how often commands of this kind run in a call."""
    found: dict[int, float] = {}
    for command in profile.commands:
        if command.text.startswith(kind) and command.places:
            found[command.places[0][1]] = found.get(command.places[0][1], 0) + command.runs
    return found


def test_commands_count_for_lines() -> None:
    compiled = go.compile(repeated)
    profile = compiled.profile(W, X)
    consistent(profile)
    product, loop = line_of(layer, "x @ w"), line_of(repeated, "lambda")
    last = line_of(repeated, "np.exp")
    assert {line.line for line in profile.lines if line.file is not None} >= {product, loop, last}
    assert {line.file for line in profile.lines} <= {__file__, None}
    assert runs(profile, "gemm")[product] == 1
    # Each trip adds up, and divides.
    assert runs(profile, "launch")[loop] >= 14
    assert runs(profile, "launch")[loop] % 7 == 0
    sources = {line.line: line.source for line in profile.lines}
    assert sources[product] == "return np.tanh(x @ w)"


def test_trips_and_branches_are_counted() -> None:
    """As often as the values of the arguments say."""

    def f(x: Any, n: Any) -> Any:
        def step(i: Any, x: Any) -> Any:
            return go.cond(
                i < 3,
                lambda x: np.cumsum(x) @ np.outer(x, x),
                lambda x: np.exp(np.cumsum(x)) * 0.1,
                x,
            )

        return go.fori_loop(0, n, step, x)

    lowered = go.compile(f).lower(X[0], 0)
    for n in (2, 3, 8):
        profile = lowered.profile(X[0], n)
        consistent(profile)
        launches = runs(profile, "launch")
        few, many = line_of(f, "np.outer"), line_of(f, "np.exp(np")
        assert launches.get(few, 0) % min(n, 3) == 0
        assert launches.get(few, 0) >= min(n, 3)
        assert (launches.get(many, 0) > 0) == (n > 3)
        assert launches.get(many, 0) % max(n - 3, 1) == 0


def test_derivatives_belong_to_the_lines_they_are_of() -> None:
    def loss(w: Any, x: Any) -> Any:
        h = layer(x, w)
        for _ in range(2):
            h = np.cumsum(h, axis=0)
        return np.sum(h**2)

    profile = go.compile_grad(loss).profile(W, X)
    consistent(profile)
    product = line_of(layer, "x @ w")
    assert runs(profile, "gemm")[product] == 2


def test_tables_and_dicts() -> None:
    profile = go.compile(repeated).profile(W, X)
    text = profile.table()
    head, columns, *rows = text.splitlines()
    assert head.startswith("repeated: ")
    assert head.endswith(f"a call ({profile.calls} calls)")
    assert columns.split() == ["time", "share", "runs", "line", "source"]
    assert len(rows) == len(profile.lines)
    assert any("return np.tanh(x @ w)" in row for row in rows)
    assert str(profile) == text
    short = profile.table(limit=1).splitlines()
    assert len(short) == 4
    assert short[-1].endswith(f"in {len(profile.lines) - 1} more lines")
    decoded = json.loads(json.dumps(profile.as_dict()))
    assert decoded["seconds"] == profile.seconds
    assert len(decoded["lines"]) == len(profile.lines)
    assert [c["text"] for c in decoded["commands"]] == [c.text for c in profile.commands]
    assert decoded["lines"][0]["file"] == profile.lines[0].file


def test_programs_of_one_piece() -> None:
    profile = go.compile(lambda x: x + 1).profile(X)
    assert profile.calls > 1
    assert profile.seconds > 0
    assert len(profile.lines) <= 1
    assert "lambda: " in profile.table()


def test_arguments_stay_the_callers() -> None:
    compiled = go.compile(lambda x, y: (np.cumsum(x, axis=0) + y, np.sum(y)), donate_argnums=0)
    mine = X.copy()
    consistent(compiled.profile(mine, X))
    np.testing.assert_array_equal(mine, X)
    np.testing.assert_array_equal(compiled(mine, X)[0], np.cumsum(X, axis=0) + X)


def test_arguments_of_all_kinds() -> None:
    def f(p: Any, n: Any, *, q: Any) -> Any:
        return np.cumsum(p["a"] - p["b"]) * n + np.cumsum(q)

    compiled = go.compile(f)
    x = X[0]
    lowered = compiled.lower({"a": x, "b": x}, 2.5, q=x)
    consistent(lowered.profile({"b": x[::-1], "a": x.astype(">f8")}, 2.5, q=x))
    with pytest.raises(ArgumentError, match=r"expected shape \(5,\) at q, but got \(2,\)"):
        lowered.profile({"a": x, "b": x}, 2.5, q=x[:2])


def test_checks_and_functions_of_the_caller() -> None:
    compiled = go.compile(lambda x, i: np.cumsum(x)[i] + np.sum(np.cumsum(x)))
    consistent(compiled.profile(X[0], np.int64(2)))
    with pytest.raises(TraceIndexError, match="index 5 is out of bounds"):
        compiled.profile(X[0], np.int64(5))

    def observe(x: Any) -> Any:
        # A call inside of one that is timed.
        return go.compile(repeated)(W, X) + x

    def f(x: Any) -> Any:
        return go.pure_callback(observe, go.ShapeDtypeStruct((), float), np.sum(np.cumsum(x)))

    consistent(go.compile(f).profile(X[0]))


def test_other_calls_are_not_timed() -> None:
    """And what was kept of the program is not what the profile runs."""
    compiled = go.compile(repeated)
    expected = compiled(W, X)
    first = compiled.profile(W, X)
    assert compiled(W, X) == expected
    second = compiled.profile(W, X)
    assert [c.text for c in first.commands] == [c.text for c in second.commands]
    assert [c.runs for c in first.commands] == [c.runs for c in second.commands]


def test_programs_on_a_device(cuda: Driver) -> None:
    """Trips are counted, and commands that wait for the device or the host are timed, too."""

    def step(x: Any) -> Any:
        return np.cumsum(x, axis=0) @ (x.T @ x) + 1

    def f(x: Any, n: Any) -> Any:
        x = go.while_loop(lambda x: np.sum(x) < n, step, x)
        return x + np.linalg.eigvalsh(x.T @ x / np.sum(x * x) + np.eye(16)), np.sum(x)

    x = np.full((20, 16), 0.01)
    trips, y = 0, x
    while np.sum(y) < 1e4:
        trips, y = trips + 1, step(y)
    compiled = go.compile(f, donate_argnums=0)
    there = go.asarray(x, device="cuda")
    profile = compiled.profile(there, 1e4)
    consistent(profile)
    # The other product is one kernel with what is added to it.
    assert runs(profile, "gemm")[line_of(step, "np.cumsum")] == trips > 1
    (reads,) = [c.runs for c in profile.commands if " = read " in c.text]
    assert reads == trips + 1
    assert sum(runs(profile, "call lapack").values()) == 1
    # The caller's array is still there, and calls that are not timed are as before.
    np.testing.assert_array_equal(there.numpy(), x)
    got, total = compiled(there, 1e4)
    expected = f(x, 1e4)
    np.testing.assert_allclose(got.numpy(), expected[0], rtol=1e-10)
    np.testing.assert_allclose(total.numpy(), expected[1], rtol=1e-10)
    with pytest.raises(TraceIndexError, match="index 5 is out of bounds"):
        go.compile(lambda x, i: np.cumsum(x)[i]).profile(go.asarray(X[0], device="cuda"), 5)
    consistent(go.compile(lambda x: np.cumsum(x, axis=0), device="cuda").profile(X))


def test_the_driver_fails_while_it_is_timed(cuda: Driver, emulator: Emulator) -> None:
    compiled = go.compile(lambda x: np.cumsum(x, axis=0) @ x.T)
    there = go.asarray(X, device="cuda")
    for function in ("cuEventCreate", "cuEventRecord", "cuEventElapsedTime"):
        for skip in range(3):
            emulator.fail(function, OUT_OF_MEMORY, skip)
            with pytest.raises(DeviceError, match="CUDA_ERROR_OUT_OF_MEMORY"):
                compiled.profile(there)
            emulator.recover()
    assert len(emulator.calls("cuEventCreate")) - len(emulator.calls("cuEventDestroy_v2")) <= 6
    np.testing.assert_allclose(compiled(there).numpy(), np.cumsum(X, axis=0) @ X.T)
