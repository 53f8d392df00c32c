# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arrays whose size is known at run time only, through loops, branches and returns."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go

N = 12
X = np.random.default_rng(5).normal(size=N)

# -- Loops -------------------------------------------------------------------------------------


def sieved(x: Any, t: Any) -> Any:
    """An array of known size that becomes smaller."""
    total = 0.0
    for i in range(40):
        total += np.sum(x * x)
        x = x[x > t + 0.05 * i] * 0.97
    return total + len(x)


def escaping(x: Any, t: Any) -> Any:
    """Several arrays of one size, written to in place; the loop may be left."""
    z, c, found = x * 1.0, x * 0.5, np.zeros(N)
    place = np.arange(N)
    for i in range(30):
        if not len(z):
            break
        np.multiply(z, z, z)
        np.add(z, c, z)
        far = abs(z) > 2 + t
        found[place[far]] = z[far] * (i + 1)
        np.logical_not(far, far)
        z, c, place = z[far], c[far], place[far]
    return found


def shortened(x: Any, t: Any) -> Any:
    """A while on such an array, which it shortens."""
    y = x[x > 0]
    while np.sum(y) > abs(t):
        y = y[1:] * 0.9
    return np.sum(y**2) + y.size


def rows(x: Any, t: Any) -> Any:
    """Two dimensions of which one is known."""
    a = np.outer(x, x)[x > t]
    for _ in range(20):
        keep = a[:, 0] > a[:, 1] - 5
        a = a[keep] + np.arange(N) * 0.01
    return np.sum(a, axis=0)


def growing(x: Any, t: Any) -> Any:
    """An array that becomes larger, but has a largest size."""
    part = x[:1] * t
    for i in range(1, N):
        part = x[:i] + np.sum(part) * 0.1
    return part


def made_inside(x: Any, t: Any) -> Any:
    """An array of the body that is used behind the loop."""
    total = t
    for i in range(1, N):
        part = x[:i] * total
        total = np.sum(part) * 0.1
    return np.sum(np.cos(part))


def structured(x: Any, t: Any) -> Any:
    """Such an array in a dict and in a tuple."""
    state = {"y": x[x > t], "n": 0.0}
    pair = (x[x < t], x)
    for _ in range(25):
        state = {"y": state["y"][state["y"] < 3] * 1.1, "n": state["n"] + len(state["y"])}
        pair = (pair[0][pair[0] > -3] * 1.1, pair[1] * 0.5)
    return np.sum(state["y"]) + state["n"] + np.sum(pair[0]) * np.sum(pair[1])


LOOPS = [sieved, escaping, shortened, rows, growing, made_inside, structured]


@pytest.mark.parametrize("t", [0.1, -10.0, 10.0])
@pytest.mark.parametrize("f", LOOPS, ids=lambda f: f.__name__)
def test_loops_carry_them(f: Callable[..., Any], t: float) -> None:
    compiled = go.compile(f)
    assert [loop.reason for loop in compiled.lower(X, t).loops() if not loop.is_rolled] == []
    got, want = compiled(X, t), f(X, t)
    np.testing.assert_allclose(got, want, rtol=1e-10)
    assert np.shape(got) == np.shape(want)
    assert np.asarray(got).dtype == np.asarray(want).dtype


@pytest.mark.parametrize("f", LOOPS, ids=lambda f: f.__name__)
def test_derivatives_go_through_loops(f: Callable[..., Any]) -> None:
    go.gradcheck(lambda x: np.sum(np.sin(f(x, 0.1))), (X,), order=2)


# -- Branches ----------------------------------------------------------------------------------


def chosen(x: Any, t: Any) -> Any:
    part = x[x > 0] if t > 0 else x[x < 0] * 2
    return np.sum(part**2) + len(part)


def one_side(x: Any, t: Any) -> Any:
    """An array of known size, or a part of it."""
    part = x
    if t > 0:
        part = x[x > 0]
    return np.sum(np.exp(part)) * part.size


def other_bounds(x: Any, t: Any) -> Any:
    part = x[:5][x[:5] > 0] if t > 0 else x[x < 0]
    return np.sum(part**3)


def returned(x: Any, t: Any) -> Any:
    if t > 0.5:
        return x[x > 0]
    if t > 0:
        return x * t
    return x[:3][x[:3] > 0]


def left_by_return(x: Any, t: Any) -> Any:
    for i in range(N):
        if x[i] > t:
            return x[i:] * 2
    return x[:2]


BRANCHES = [chosen, one_side, other_bounds, returned, left_by_return]


@pytest.mark.parametrize("t", [0.7, 0.3, -1.0, 10.0])
@pytest.mark.parametrize("f", BRANCHES, ids=lambda f: f.__name__)
def test_branches_choose_them(f: Callable[..., Any], t: float) -> None:
    got, want = go.compile(f)(X, t), f(X, t)
    np.testing.assert_allclose(got, want, rtol=1e-12)
    assert np.shape(got) == np.shape(want)
    go.gradcheck(lambda x: np.sum(np.sin(f(x, t))), (X,), order=2)


# -- What they share ---------------------------------------------------------------------------


def test_writes_change_the_array_that_they_are_a_part_of() -> None:
    def f(x: Any, n: Any) -> Any:
        y = x * 1.0
        part = y[:n]
        for i in range(20):
            part[0] = part[0] + i
            part *= 0.9
        return y

    same = go.compile(f)(X, np.int64(4))
    np.testing.assert_allclose(same, f(X, 4), rtol=1e-12)


def test_sizes_of_two_carried_arrays_are_compared() -> None:
    def f(x: Any) -> Any:
        y, z = x, x
        for i in range(20):
            y, z = y[y > 0.1 * i - 2], z[z > -5]
            z = z + np.sum(y * z)
        return z

    with pytest.raises(ValueError, match="could not be broadcast"):
        go.compile(f)(X)


def test_a_mask_of_another_size_is_an_error() -> None:
    def f(x: Any, n: Any) -> Any:
        return np.sum(x[:n][x[: n - 1] > 0])

    with pytest.raises(IndexError, match="boolean index of 3 elements"):
        go.compile(f)(X, np.int64(4))


def test_what_grows_without_end_is_written_down() -> None:
    def f(x: Any) -> Any:
        y = x[x > 0]
        for _ in range(15):
            y = np.append(y, np.sum(y) * 0.1)
        return np.sum(y)

    compiled = go.compile(f)
    np.testing.assert_allclose(compiled(X), f(X), rtol=1e-12)
    (loop,) = compiled.lower(X).loops()
    assert not loop.is_rolled


# -- The shape of an array ---------------------------------------------------------------------


def test_parts_put_together_again_have_no_bound() -> None:
    """Each part has as many elements as all at most: their sum is found to be larger by tracing."""

    def turned(x: Any) -> Any:
        for k in range(9):
            x = np.concatenate([np.sin(x[k % 7 :]), x[: k % 7]])
        return x

    compiled = go.compile(turned)
    np.testing.assert_allclose(compiled(X), turned(X), rtol=1e-14)
    (loop,) = compiled.lower(X).loops()
    assert "x can be larger behind each iteration" in str(loop)


def test_the_shape_can_be_set() -> None:
    def f(x: Any) -> Any:
        y, z = x * 2, np.zeros((3, 4))
        whole = z.T
        y.shape = z.shape = (4, -1)
        y[1] = 0
        z[2] = y[0]
        return y, z, whole

    for got, want in zip(go.compile(f)(X), f(X), strict=True):
        np.testing.assert_array_equal(got, want)


def test_shapes_that_cannot_be_set() -> None:
    def copied(x: Any) -> Any:
        y = (x * 1).reshape(3, 4).T
        y.shape = 12
        return y

    def given(x: Any) -> Any:
        x.shape = (3, 4)
        return x

    def in_a_loop(x: Any) -> Any:
        y = x * 1
        while np.sum(y) < 100:
            y.shape = (3, 4)
            y = y.ravel() + 1
        return y

    with pytest.raises(AttributeError, match="Incompatible shape"):
        go.compile(copied)(X)
    with pytest.raises(go.errors.UnsupportedError, match="the shape of the argument x cannot"):
        go.compile(given)(X)
    with pytest.raises(go.errors.UnsupportedError, match="in a traced loop or branch"):
        go.compile(in_a_loop)(X)
