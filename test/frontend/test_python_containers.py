# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Lists, dicts and objects that loops and branches change, as Python has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt.errors import GradoptError, TraceIndexError, UnsupportedError

X = np.linspace(-1, 1.3, 10)


def agrees(f: Callable[..., Any], *args: Any, rolls: bool | None = True) -> None:
    """Values are NumPy's, derivatives those of differences; and whether all loops are rolled."""
    compiled = go.compile(f)
    np.testing.assert_allclose(compiled(*args), f(*args), rtol=1e-12, atol=1e-14)
    go.gradcheck(lambda *values: np.sum(compiled(*values)), args, argnums=0)
    if rolls is not None:
        loops = compiled.lower(*args).loops()
        assert [loop.is_rolled for loop in loops] == [rolls] * len(loops), loops


def refused(f: Callable[..., Any], match: str, *args: Any) -> None:
    with pytest.raises(UnsupportedError, match=match):
        go.compile(f)(*args)


# -- Lists that are appended to ----------------------------------------------------------------


@pytest.mark.parametrize(
    "use",
    [
        lambda ys: np.array(ys),
        lambda ys: np.asarray(ys) * len(ys),
        lambda ys: np.stack(ys),
        lambda ys: np.hstack(ys),
        lambda ys: np.mean(ys) + np.sum(ys) + sum(ys) + ys[-1] * ys[2],
        lambda ys: np.array(ys[2:5]) + np.array(ys[::-3][:3]),
        lambda ys: np.array([*ys, 1.0]),
        lambda ys: np.array([y * 2 for y in ys if True]),
        lambda ys: ys,
        lambda ys: np.array([*reversed(ys)]),
        lambda ys: np.array([ys.pop(), *ys[:2]]),
        lambda ys: np.array(ys.copy()) + np.array(list(ys)),
        lambda ys: max(ys[0], ys[1]) + sorted(ys[:3])[1],
    ],
)
def test_scalars_that_are_appended(use: Any) -> None:
    def f(x):
        ys = []
        for i in range(len(x)):
            ys.append(np.sin(x[i]) * i)
        return use(ys)

    agrees(f, X)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("join", [np.stack, np.concatenate, np.vstack, np.hstack, np.array])
def test_arrays_that_are_appended(join: Any, axis: int) -> None:
    def f(x):
        ys = []
        state = np.zeros((2, 3))
        for v in x:
            state = np.tanh(state + v * np.arange(3))
            ys.append(state)
        if join in (np.stack, np.concatenate):
            return join(ys, axis=min(axis, 1) if join is np.concatenate else axis)
        return join(ys)

    agrees(f, X)


def test_elements_of_several_parts() -> None:
    def f(x):
        pairs, names = [], {"squares": []}
        for i, v in enumerate(x):
            pairs.append((v * 2, i))
            names["squares"].append(v * v)
        return np.array([a * i for a, i in pairs]) * np.array(names["squares"])

    agrees(f, X)


def test_what_was_appended_before_is_read() -> None:
    def by_negative(x):
        f = [x[0], x[1]]
        for i in range(2, len(x)):
            f.append(f[-1] + f[-2] * 0.5 + x[i])
        return np.array(f)

    def by_index(x):
        f = [x[0], x[1]]
        for i in range(2, len(x)):
            f.append(f[i - 1] + f[i - 2] * len(f) + x[i])
        return np.array(f)

    agrees(by_negative, X)
    agrees(by_index, X)


def test_several_elements_in_an_iteration() -> None:
    def extends(x):
        ys = [1, 2.5]
        for v in x:
            ys.extend([v, v * v])
            ys.append(ys[-1])
        return np.array(ys)

    def nested(x):
        ys = []
        for i in range(len(x)):
            for j in range(len(x)):
                ys.append(x[i] * x[j])
            ys.append(x[i])
        return np.array(ys)

    agrees(extends, X)
    agrees(nested, X)


def test_lists_of_lists() -> None:
    def f(x):
        table = []
        for i in range(len(x)):
            row = []
            for j in range(len(x)):
                row.append(x[i] * x[j] + i)
            table.append(row)
        return np.array(table) * table[2][3]

    agrees(f, X)


def test_a_list_is_the_same_list_under_other_names() -> None:
    class Recorder:
        def __init__(self):
            self.seen = []

        def record(self, value):
            self.seen.append(value)

    def f(x):
        recorder = Recorder()
        alias = recorder.seen
        for v in x:
            recorder.record(v * v)
        alias.append(1.0)
        return np.array(recorder.seen)

    agrees(f, X)


def test_lists_from_outside_are_the_users() -> None:
    seen: list[Any] = []

    def f(x):
        for i in range(12):
            seen.append(i)
            x = x * 2
        return x

    go.compile(f).lower(X)
    assert seen == list(range(12))


def test_loops_over_lists_that_a_loop_has_filled() -> None:
    def f(x):
        numbers, scalars, arrays, s = [], [], [], 0.0
        for i in range(len(x)):
            numbers.append(i * 2)
            scalars.append(x[i] ** 2)
            arrays.append(x * x[i])
        for n, v in zip(numbers, scalars, strict=False):
            s = s * 0.5 + n * v
        for row in arrays:
            row[0] = s
            s = s + row[1] * 0.1
        return s * np.array(arrays)

    agrees(f, X)


def test_a_long_list_is_one_array() -> None:
    def f(x):
        ys, s = [], x
        for _ in range(1000):
            s = s * 0.999 + 0.001
            ys.append(s)
        return np.mean(np.array(ys))

    assert go.compile(f).lower(0.5).mlir("simplified").count("\n") < 40
    np.testing.assert_allclose(go.compile_grad(f)(0.5), np.mean(0.999 ** np.arange(1, 1001)))


def test_lists_of_unknown_length_are_refused() -> None:
    def under_a_condition(x):
        ys = []
        for v in x:
            if v > 0:
                ys.append(v)
        return np.array(ys)

    def in_a_while(x):
        ys, s = [], x[9]
        while s < 100:
            s = s * 2
            ys.append(s)
        return np.array(ys)

    def until_left(x):
        ys = []
        for v in x:
            ys.append(v)
            if v > 0.5:
                break
        return np.array(ys)

    def traced_length(x, n):
        ys = []
        for i in range(n[0]):
            ys.append(x[i])
        return np.array(ys)

    refused(under_a_condition, "traced condition decides whether", X)
    refused(in_a_while, "number of iterations is traced", X)
    refused(until_left, "would not be known", X)
    refused(traced_length, "number of iterations is traced", X, np.array([3]))


@pytest.mark.parametrize(
    "use",
    [
        lambda f: np.sum(f) if len(f) else 0.0,
        lambda f: len(list(f)),
        lambda f: sum([v for v in f]),  # noqa: C416
        lambda f: len([*f, 1.0]),
        lambda f: len(f[:]),
        lambda f: len(f.copy()),
        lambda f: 1.0 if f == [] else 2.0,
        lambda f: 1.0 if f else 2.0,
        lambda f: len(tuple(enumerate(f))),
        lambda f: len(f + [1]),  # noqa: RUF005
        lambda f: len({"f": f}["f"]),
        lambda f: sum(np.array([f])[0]),
    ],
)
def test_a_list_that_is_used_as_a_whole_in_the_loop(use: Any) -> None:
    def f(x):
        ys, t = [], 0.0
        for v in x:
            t = t + use(ys)
            ys.append(v)
        return t * x[0] + np.sum(ys)

    agrees(f, X, rolls=None)


def test_arrays_in_lists_are_the_same_arrays() -> None:
    def written_in_the_loop(x):
        ys, h = [], np.zeros(3)
        for v in x:
            h[:] = h * 0.5 + v
            ys.append(h)
        return np.array(ys)

    def copies(x):
        ys, h = [], np.zeros(3)
        for v in x:
            h[:] = h * 0.5 + v
            ys.append(h.copy())
        ys[2][0] = 7.0
        return np.array(ys)

    def written_behind_it(x):
        ys, h = [], np.zeros(3)
        for v in x:
            h = h * 0.5 + v
            ys.append(h)
        h[0] = 9.0
        return np.array(ys)

    agrees(written_in_the_loop, X, rolls=False)
    agrees(copies, X)
    refused(written_behind_it, "may share memory", X)


# -- Elements of lists -------------------------------------------------------------------------


def test_elements_that_are_assigned() -> None:
    def squares(x):
        ys = [0.0] * len(x)
        for i in range(len(x)):
            ys[i] = x[i] ** 2
        for i in range(len(x)):
            ys[i] += 1
        return np.array(ys)

    def recurrence(x):
        ys = [0.0] * len(x)
        ys[0] = x[0]
        for i in range(1, len(x)):
            ys[i] = ys[i - 1] * 0.5 + x[i]
        return sum(ys)

    def some(x):
        ys = [1.0] * len(x)
        for i in range(len(x)):
            if x[i] > 0:
                ys[i] = x[i]
        return np.array(ys)

    def of_none(x):
        ys = [None] * len(x)
        for i in range(len(x)):
            ys[i] = x[i] ** 2
        return np.array(ys)

    for f in (squares, recurrence, some, of_none):
        agrees(f, X)


def test_elements_by_traced_indices() -> None:
    def f(x, k):
        ys = [x[0], x[1], 2.0]
        ys[k[0]] = x[5]
        return ys[k[1]] * (x[3], x[4])[k[0]] + np.array(ys)

    for k in ([0, 0], [1, -1], [-1, 2]):
        agrees(f, X, np.array(k))
    with pytest.raises(TraceIndexError):
        go.compile(f)(X, np.array([0, 3]))
    with pytest.raises(GradoptError):
        go.compile(lambda x, k: [np.sin, np.cos][k[0]](x))(X, np.array([1]))


def test_none_that_may_stay_is_no_number() -> None:
    def f(x):
        ys = [None] * len(x)
        for i in range(len(x) - 1):
            ys[i] = x[i]
        return np.array(ys[:3])

    agrees(f, X, rolls=False)


# -- Dicts and objects -------------------------------------------------------------------------


class Model:
    def __init__(self, a):
        self.a = a
        self.steps = 3
        self.name = "model"

    def step(self, v):
        self.a = np.tanh(self.a + v)
        return self.a * self.steps


def test_attributes_in_loops_and_branches() -> None:
    def in_a_loop(x):
        model, t = Model(0.0), 0.0
        for v in x:
            t = t + model.step(v)
            for _ in range(model.steps):
                t = t * 1.05
        return t + model.a

    def in_a_while(x):
        model = Model(x[9])
        while model.a < 100:
            model.a = model.a * 2
        return model.a

    def in_a_branch(x):
        model = Model(x[0])
        if x[1] > 0:
            model.a = x[1]
        elif x[2] < 0:
            model.a *= 3
        return model.a

    def made_inside(x):
        t = 0.0
        for v in x:
            model = Model(v)
            model.a = model.a * 2
            t = t + model.step(v)
        return t

    for f in (in_a_loop, in_a_while, in_a_branch, made_inside):
        agrees(f, X, rolls=None)
        agrees(f, np.abs(X) + 0.1, rolls=None)


def test_entries_in_loops_and_branches() -> None:
    def loop(x):
        d = {"a": x[0], "n": 0, "k": [x[1], x[2]]}
        for v in x:
            d["a"] = d["a"] * v + d["n"]
            d["n"] += 1
            d["k"][1] = d["k"][0] * v
        return d["a"] * d["n"] + d["k"][1]

    def branch(x):
        d, k = {"a": x[0], "b": 2.0}, [x[1], x[2]]
        if x[3] > 0:
            d["a"] = x[4]
            k[0] = x[5]
        else:
            k[1] = k[0] * d["b"]
        return d["a"] * d["b"] + k[0] * k[1]

    agrees(loop, X)
    agrees(branch, X)
    agrees(branch, -X)


def test_new_entries() -> None:
    def last(x):
        d = {}
        for v in x:
            d["last"] = v * 2
        return d["last"]

    def default(x):
        d = {}
        for v in x:
            d.setdefault("all", []).append(v)
        return np.array(d["all"])

    def one_branch(x):
        d = {}
        if x[0] > 0:
            d["a"] = x[0]
        return x if "a" in d else -x

    agrees(last, X, rolls=False)
    agrees(default, X, rolls=False)
    with pytest.raises(GradoptError, match=r"\['a'\] of a dict is assigned in only one branch"):
        go.compile(one_branch)(X)


def test_positions_in_an_array_that_are_the_counter() -> None:
    def f(x):
        y, k = np.zeros(10), np.zeros(10, dtype=int)
        for i in range(len(x)):
            y[i] = x[i] ** 2
            k[i] = i
        return y * k

    agrees(f, X)


def test_elements_that_a_traced_index_chooses_are_the_lists_own() -> None:
    def written(x):
        parts = [np.zeros(3), np.ones(3)]
        for i in range(10):
            parts[i % 2][i % 3] += x[i]
        return parts[0] + 2 * parts[1]

    agrees(written, X, rolls=False)

    def read(x):
        parts = [np.zeros(3), np.ones(3)]
        total = 0.0
        for i in range(10):
            total = total + parts[i % 2][i % 3] * x[i]
        parts[0][1] = total
        return parts[0]

    agrees(read, X)

    def kept(x):
        parts = [np.zeros(3), np.ones(3)]
        part = parts[np.argmax(x) % 2]
        parts[0][0] = 5.0
        return part

    with pytest.raises(UnsupportedError, match="may share memory with another array"):
        go.compile(kept)(X)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: (4.0, 5.0, 6.0)[np.argmax(x[:3])] * x,
        lambda x: max((v * v, i) for i, v in enumerate(x)),
        lambda x: min((v, i, -v) for i, v in enumerate(x[:3])),
        lambda x: sorted([(x[0] > 0, x[1]), (x[2] > 0, x[3]), (False, x[4])]),
        lambda x: max([x[0], 1.0], [x[1], 0.0], [x[0], 2.0]),
        lambda x: 1.0 if (x[0], 2) < (x[1], 1) <= (x[1], 1) else 2.0,
        lambda x: 1.0 if [x[0], x[1]] >= [x[0], x[1], 3] or (1, x[0]) > (1,) else 2.0,
    ],
)
def test_tuples_are_ordered_by_what_differs_first(f: Callable[[Any], Any]) -> None:
    for x in (np.array([0.5, 0.5, -2.0, 1.5, 0.1]), np.array([-1.0, 2.0, 3.0, 3.0, 0.0])):
        ours, theirs = go.compile(f)(x), f(x)
        np.testing.assert_allclose(np.ravel(ours), np.ravel(theirs))
        assert type(ours) is type(theirs) or np.ndim(ours) == 0
