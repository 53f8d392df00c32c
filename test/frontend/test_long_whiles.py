# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`while` whose condition is known while tracing: it becomes a loop of compiled code if it is long,
and does what Python does."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt.control import operators
from gradopt.errors import ConversionError

X = np.linspace(-1, 2, 90)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops are long sooner, so that programs are small."""
    monkeypatch.setattr(operators, "_MOST_KNOWN", 32)


def counted(x: Any) -> Any:
    i = 0
    s = 0.0
    while i < 5000:
        s = s * 0.9 + x[i % 90]
        i += 1
    return s + i


def of_time(x: Any) -> Any:
    t, y = 0.0, x[3]
    while t < 1.0:
        y = y + 0.001 * np.sin(y + t)
        t += 0.001
    return y, t


def left(x: Any) -> Any:
    i = 0
    while True:
        x = x * 0.999
        i += 1
        if i % 3:
            continue
        if i > 200:
            break
    else:
        x = x + 1
    return x, i


def ended(x: Any) -> Any:
    i = 80
    while i := i - 1:
        x = x * 0.99 + i
    else:
        x = x + 5
    return x, i


def written(x: Any) -> Any:
    y = x.copy()
    n = 1
    while n < len(x):
        y[n] += 0.5 * y[n - 1]
        n += 1
    return y


def nested(x: Any) -> Any:
    i, s = 0, 0.0
    while i < 80:
        j = 0
        while j < 70:
            s = s * 0.99 + x[i] * x[j]
            j += 1
        i += 1
    return s


@pytest.mark.parametrize("f", [counted, of_time, left, ended, written, nested])
def test_long_ones_are_loops_of_compiled_code(f: Callable[[Any], Any]) -> None:
    compiled = go.compile(f)
    one, other = compiled(X), f(X)
    pairs = zip(one, other, strict=True) if type(other) is tuple else [(one, other)]
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    # Those whose condition assigns names are no loops of compiled code.
    expected = [f is not ended] * (1 + (f is nested))
    assert [loop.is_rolled for loop in compiled.lower(X).loops()] == expected


def test_derivatives() -> None:
    def f(x: Any) -> Any:
        return np.sum(written(x) ** 2) + counted(x) + of_time(x)[0]

    go.gradcheck(f, (X,))


def test_those_that_cannot_be_loops_are_unrolled() -> None:
    def table(x: Any) -> Any:
        i, entries = 0, []
        while i < 80:  # Nothing is traced.
            entries.append(math.sin(i))
            i += 1
        return x * np.array(entries).sum(), np.zeros(i)

    def sizes(x: Any) -> Any:
        i, parts = 1, []
        while i < 80:
            parts.append(x[:i] * 2)
            i += 1
        return np.concatenate(parts)

    def effects(x: Any) -> Any:
        i, s = 0, 0.0
        while i < 80:
            seen[i % 3] = i
            s = s + x[i]
            i += 1
        return s

    def short(x: Any) -> Any:
        i = 0
        while i < 20:
            x = x + i
            i += 1
        return x, np.zeros(i)

    seen: dict[int, int] = {}
    for f in (table, sizes, effects, short):
        want = f(X)
        before = dict(seen)
        seen.clear()
        compiled = go.compile(f)
        ours = compiled(X)
        assert seen == before
        pairs = zip(ours, want, strict=True) if type(want) is tuple else [(ours, want)]
        for one, other in pairs:
            np.testing.assert_allclose(one, other, rtol=1e-12)
        (loop,) = compiled.lower(X).loops()
        assert not loop.is_rolled
        assert loop.reason
        seen.clear()


def test_what_is_printed_is_printed_once() -> None:
    def f(x: Any) -> Any:
        i = 0
        while i < 100:
            if i % 30 == 29:
                print(i)
            x = x * 0.9
            i += 1
        return x

    compiled = go.compile(f)
    texts: list[str] = []
    for function in (f, compiled, compiled):
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            function(1.0)
        texts.append(text.getvalue())
    assert texts[0] == texts[1] == texts[2]


def test_loops_over_other_things_are_listed() -> None:
    def f(x: Any) -> Any:
        for a in [1.0, 2.0]:
            x = x * a
        for key in {"a": 1, "b": 2}:
            x = x + len(key)
        return x

    reasons = [loop.reason for loop in go.compile(f).lower(1.0).loops()]
    assert ["class list" in reasons[0], "class dict" in reasons[1]] == [True, True]


def test_texts_with_traced_values_are_no_keys() -> None:
    def f(x: Any) -> Any:
        return {f"{x[0]}": x}

    with pytest.raises(ConversionError, match="a text with traced values"):
        go.compile(f)(X)


def test_those_that_return_are_unrolled() -> None:
    def f(x: Any) -> Any:
        i = 0
        while True:
            i += 1
            x = x * 0.99
            if i > 70:
                return x, i

    ours, theirs = go.compile(f)(X), f(X)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-13)
    assert ours[1] == theirs[1]
