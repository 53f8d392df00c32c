# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`donate_argnums`: results in the memory of arguments, and arrays that were given up."""

from __future__ import annotations

import gc
import pickle
import tracemalloc
import warnings
import weakref
from typing import Any

import numpy as np
import pytest
from budget import by_hypothesis
from hypothesis import given
from hypothesis import strategies as st

import gradopt as go
from gradopt import _gradopt, errors, optim

Array = np.ndarray[Any, Any]


def address(array: Array) -> int:
    return array.__array_interface__["data"][0]


def step(w: Any, x: Any) -> Any:
    return w - 0.1 * np.tanh(w * x)


def arrays(count: int = 1, size: int = 5) -> list[Array]:
    return [np.linspace(i, i + 1, size).copy() for i in range(count)]


# -- Results in place ------------------------------------------------------------------------


def test_the_result_is_in_the_memory_of_the_argument() -> None:
    f = go.compile(step, donate_argnums=0)
    w, x = arrays(2)
    want, place = step(w, x), address(w)
    copies = _gradopt.staged_copy_count()
    for _ in range(4):
        w = f(w, x)
        np.testing.assert_allclose(w, want, rtol=1e-15)
        assert address(w) == place
        assert w.flags.writeable
        want = step(want, x)
    assert _gradopt.staged_copy_count() == copies
    memory = f.lower(w, x).memory()
    assert (memory.outputs, memory.arena) == (0, 0)


def test_memory_lives_as_long_as_somebody_shows_it() -> None:
    f = go.compile(step, donate_argnums=0)
    w = np.linspace(0, 1, 100_000)
    first = weakref.ref(w)
    want = w
    for _ in range(3):
        want = step(want, 1.0)
        w = f(w, 1.0)
    part = w[10:20]
    last = weakref.ref(w)
    del w
    gc.collect()
    assert first() is None, "a chain of all arrays that had the memory"
    np.testing.assert_allclose(part, want[10:20], rtol=1e-15)
    del part
    assert last() is None


def test_calls_allocate_no_arrays() -> None:
    f = go.compile(step, donate_argnums=0)
    w = f(np.zeros(100_000), 1.0)
    tracemalloc.start()
    try:
        for _ in range(5):
            w = f(w, 1.0)
        assert tracemalloc.get_traced_memory()[1] < 10_000
    finally:
        tracemalloc.stop()


def test_structures_are_paired_by_their_paths() -> None:
    """Each array gets the next value of itself, whatever the order of the results."""

    def update(params: Any, state: Any) -> Any:
        moved = {k: state["m"][k] * 0.9 + p for k, p in params.items()}
        return {"m": moved}, {k: p - 0.1 * moved[k] for k, p in params.items()}

    shapes = {"a": (4, 4), "b": (4, 4), "c": (3,)}
    params = {k: np.ones(s) for k, s in shapes.items()}
    state = {"m": {k: np.full(s, 2.0) for k, s in shapes.items()}}
    f = go.compile(update, donate_argnums=(0, 1))
    places = {k: (address(params[k]), address(state["m"][k])) for k in shapes}
    state, params = f(params, state)
    assert {k: (address(params[k]), address(state["m"][k])) for k in shapes} == places
    np.testing.assert_allclose(params["a"], 1 - 0.1 * 2.8)
    memory = f.lower(params, state).memory()
    assert (memory.outputs, memory.arena) == (0, 0)


SWAPS: list[tuple[Any, int]] = [
    (lambda a, b: (b, a), 2),
    (lambda a, b: (a, b), 2),
    (lambda a, b: (a, a), 2),
    (lambda a, b: (b * 2, a[::-1] + b), 2),
    (lambda a, b: (a[::-1].copy(), b), 2),
    (lambda a, b: (np.cumsum(a), np.cumsum(b) + a), 2),
    (lambda a, b: (np.roll(a, 1) + a, np.outer(a, b) @ b), 2),
    (lambda a, b: (np.ones(5), a + b), 2),
    (lambda a, b: (np.sum(a), b + a), 1),
]


@pytest.mark.parametrize(("function", "count"), SWAPS)
def test_values_are_those_without_donation(function: Any, count: int) -> None:
    """Also where a result is written over what another one still needs."""
    a, b = arrays(2)
    want = function(a, b)
    f = go.compile(function, donate_argnums=(0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.UnusedDonationWarning)
        got = f(a.copy(), b.copy())
        outputs = f.lower(a, b).memory().outputs
    for x, y in zip(got, want, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-14)
    assert outputs == sum(x.nbytes for x in map(np.asarray, got)) - count * a.nbytes


def put(x: Any, part: Any) -> Any:
    y = x.copy()
    y[1:, :2] = part[:3, 2:]
    y[0] *= 2
    return y


# Each gives an array of four by four, made of two such.
STEPS: list[Any] = [
    lambda x, y: x + y,
    lambda x, y: np.tanh(x) * y,
    lambda x, y: x.T,
    lambda x, y: x[::-1],
    lambda x, y: np.roll(x, 1, axis=1),
    lambda x, y: np.cumsum(x, axis=0) - y,
    lambda x, y: x @ y * 0.1,
    lambda x, y: x - np.sum(y, axis=1, keepdims=True),
    put,
    lambda x, y: np.concatenate([x[2:], y[:2]]),
    lambda x, y: x.reshape(2, 8)[:, ::-1].reshape(4, 4),
    lambda x, y: go.fori_loop(0, 3, lambda i, v: v * 0.5 + y, x),
    lambda x, y: go.fori_loop(0, 3, lambda i, v: (v[1], v[0].T), (x, y))[0],
    lambda x, y: go.while_loop(lambda v: np.sum(v[0]) < 50, lambda v: (v[0] + 9, v[0]), (x, y))[1],
    lambda x, y: go.cond(np.sum(x) > 0, lambda a, b: (a, b * 2), lambda a, b: (b, a), x, y)[0],
    lambda x, y: go.scan(lambda c, r: (c + r, c), x[0], y)[1],
    lambda x, y: go.pure_callback(np.subtract, x, x, y),
]


@by_hypothesis()
@given(st.integers(0, 2**32), st.integers(1, 8))
def test_random_programs(seed: int, length: int) -> None:
    """Results picked from all values that there are, arguments and views of them included."""
    random = np.random.default_rng(seed)
    steps = [(random.choice(len(STEPS)), *random.integers(0, 100, 2)) for _ in range(length)]
    picks = random.integers(0, 100, 4)

    def f(*inputs: Any) -> list[Any]:
        live = list(inputs)
        for which, left, right in steps:
            live.append(STEPS[which](live[left % len(live)], live[-1 - right % len(live)]))
        return [live[-1 - pick % len(live)] for pick in picks]

    inputs = [random.normal(size=(4, 4)) for _ in range(3)]
    want = f(*inputs)
    donating = go.compile(f, donate_argnums=(0, 1, 2))
    got = donating(*[x.copy() for x in inputs])
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * (1 + np.max(np.abs(b))))
    assert donating.lower(*inputs).memory().outputs == inputs[0].nbytes


def test_loops_run_in_the_memory_of_the_argument() -> None:
    def f(w: Any, n: Any) -> Any:
        return go.fori_loop(0, n, lambda i, v: v * 0.5 + i, w)

    compiled = go.compile(f, donate_argnums=0)
    (w,) = arrays()
    want, place = w, address(w)
    for i in range(3):
        want = want * 0.5 + i
    got = compiled(w, 3)
    np.testing.assert_allclose(got, want)
    assert address(got) == place
    assert compiled.lower(got, 3).memory().arena == 0


def adam_step(parameters: int) -> tuple[Any, Any, Any, Any]:
    """A whole step over this many arrays: loss, gradient and update; with its arguments."""
    rng = np.random.default_rng(0)
    params = {f"p{i}": rng.normal(size=(8, 8)) for i in range(parameters)}
    optimizer = optim.adam(1e-2)

    def loss(params: Any, x: Any) -> Any:
        return sum(np.sum(np.tanh(x @ p) ** 2) for p in params.values())

    def whole(params: Any, state: Any, x: Any) -> Any:
        value, grads = go.value_and_grad(loss)(params, x)
        updates, state = optimizer.update(grads, state, params)
        return value, optim.apply_updates(params, updates), state

    return whole, params, optimizer.init(params), rng.normal(size=(4, 8))


def flat(tree: Any) -> list[Array]:
    if isinstance(tree, dict):
        return [leaf for child in tree.values() for leaf in flat(child)]
    if isinstance(tree, (tuple, list)):
        return [leaf for child in tree for leaf in flat(child)]
    return [tree] if isinstance(tree, np.ndarray) and tree.ndim else []


def test_adam_over_fifty_arrays_copies_no_parameter() -> None:
    whole, params, state, x = adam_step(50)
    plain = go.compile(whole)
    donating = go.compile(whole, donate_argnums=(0, 1))
    want = plain(params, state, x)
    before, lowered = plain.lower(params, state, x), donating.lower(params, state, x)
    given = flat((params, state))
    assert len(given) == 150
    size = sum(a.nbytes for a in given)
    assert before.memory().outputs - lowered.memory().outputs == size
    # Gradients are no longer made where the next parameters will be.
    gradients = sum(a.nbytes for a in params.values())
    assert lowered.memory().peak <= before.memory().peak - size + gradients
    text = lowered.mlir("bufferized")
    assert "memref.copy" not in text
    places = [address(a) for a in given]
    value, params, state = donating(params, state, x)
    assert [address(a) for a in flat((params, state))] == places
    for got, expected in zip(flat((params, state)), flat(want[1:]), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-13)
    for _ in range(3):
        value, params, state = donating(params, state, x)
    assert [address(a) for a in flat((params, state))] == places
    assert value < want[0]


def test_a_step_in_one_loop_with_its_loss_is_in_place() -> None:
    """The loss sums up in the loop that replaces the elements it reads."""

    def train(w: Any) -> Any:
        value, grads = go.value_and_grad(lambda w: np.sum((np.tanh(w) - 0.5) ** 2))(w)
        return value, w - 0.1 * grads

    f = go.compile(train, donate_argnums=0)
    w = np.linspace(-1, 1, 12).reshape(3, 4)
    want, place = train(w.copy()), address(w)
    assert f.lower(w).memory().arena < 3 * 4 * 8
    value, w = f(w)
    np.testing.assert_allclose(value, want[0], rtol=1e-14)
    np.testing.assert_allclose(w, want[1], rtol=1e-14)
    assert address(w) == place


def test_gradients_in_the_memory_of_parameters() -> None:
    f = go.compile_grad(lambda w: np.sum(np.sin(w)), donate_argnums=0)
    (w,) = arrays()
    want, place = np.cos(w), address(w)
    got = f(w)
    np.testing.assert_allclose(got, want)
    assert address(got) == place


def test_arguments_by_name() -> None:
    for options in ({"donate_argnums": 0}, {"donate_argnames": "w"}, {"donate_argnums": -2}):
        f = go.compile(step, **options)
        w, x = arrays(2)
        f(w=w, x=x)
        with pytest.raises(errors.DonatedArrayError):
            f(w=w, x=x)
        np.testing.assert_allclose(f(x=w.copy(), w=x), f(x=w.copy(), w=arrays(2)[1]))


# -- Arrays that were given up ---------------------------------------------------------------


def test_a_donated_array_is_not_taken_again() -> None:
    f = go.compile(lambda params, x: {"w": params["w"] * x}, donate_argnums=0)
    w = np.ones(4)
    f({"w": w}, 2.0)
    with pytest.raises(
        errors.DonatedArrayError, match=r"params\['w'\] of .*params\['w'\] of"
    ) as info:
        f({"w": w}, 2.0)
    assert info.value.location is not None
    assert 'f({"w": w}, 2.0)' in info.value.location.show()
    with pytest.raises(errors.DonatedArrayError, match=r"x of step .*donated, as params\['w'\]"):
        go.compile(step)(np.ones(4), w)
    with pytest.raises(errors.DonatedArrayError):
        go.grad(lambda v: np.sum(v**2))(w)
    with pytest.raises(errors.DonatedArrayError, match="operand of shape"):
        go.compile(lambda v: v + w)(np.ones(4))
    with pytest.raises(ValueError, match="read-only"):
        w[0] = 3.0


def test_results_that_were_donated_on() -> None:
    f = go.compile(step, donate_argnums=0)
    w, x = arrays(2)
    second = f(w, x)
    view = second[1:]
    third = f(second, x)
    for stale in (w, second, view, w[1:], w.reshape(1, 5), view[::2].T):
        with pytest.raises(errors.DonatedArrayError):
            go.compile(np.sum)(stale)
    for live in (third, third[1:], third.reshape(1, 5)):
        np.testing.assert_allclose(go.compile(np.sum)(live), np.sum(live))
    assert f(third, x) is not third


def test_views_of_a_donated_array() -> None:
    f = go.compile(step, donate_argnums=0)
    w, x = arrays(2)
    view = w[1:3]
    f(w, x)
    with pytest.raises(errors.DonatedArrayError):
        go.compile(np.sum)(view)


def test_the_call_that_fails_has_taken_the_array() -> None:
    f = go.compile(lambda w, x: go.pure_callback(lambda v: 1 / 0, w, w + x), donate_argnums=0)
    w, x = arrays(2)
    with pytest.raises(ZeroDivisionError):
        f(w, x)
    with pytest.raises(errors.DonatedArrayError):
        f(w, x)
    # What is wrong with the arguments is found before.
    w = np.ones(5)
    with pytest.raises(errors.ArgumentTypeError):
        f(w, slice(3))
    assert w.flags.writeable
    np.testing.assert_array_equal(go.compile(np.negative)(w), -w)


# -- Memory that cannot be taken -------------------------------------------------------------


def unusual() -> dict[str, Any]:
    whole = np.linspace(0, 1, 10)
    read_only = np.linspace(0, 1, 5)
    read_only.flags.writeable = False
    return {
        "a view of another array": whole[2:7],
        "strided": np.linspace(0, 1, 10)[::2],
        "byte-swapped": np.linspace(0, 1, 5).astype(">f8"),
        "misaligned": np.frombuffer(bytearray(41), np.uint8)[1:].view("f8"),
        "read-only": read_only,
        "memory of others": np.frombuffer(bytearray(np.linspace(0, 1, 5).tobytes())),
        "a subclass": np.linspace(0, 1, 5).view(np.recarray),
    }


@pytest.mark.parametrize("kind", unusual())
def test_what_cannot_be_taken_is_copied(kind: str) -> None:
    w = unusual()[kind]
    f = go.compile(step, donate_argnums=0)
    owner = w if w.base is None else w.base
    before, shown = np.array(w), bytes(memoryview(owner).cast("B")) if kind != "strided" else b""
    for _ in range(2):
        np.testing.assert_allclose(f(w, 0.5), step(before, 0.5))
        np.testing.assert_array_equal(w, before)
    if shown:
        assert bytes(memoryview(owner).cast("B")) == shown


def test_a_temporary_behind_a_view_is_taken() -> None:
    """Nobody else can look at the array that reshape() made a view of."""
    f = go.compile(lambda w: w + 1, donate_argnums=0)
    w = np.arange(6.0).reshape(2, 3)
    place = address(w)
    got = f(w)
    assert address(got) == place
    np.testing.assert_array_equal(got, np.arange(6.0).reshape(2, 3) + 1)
    with pytest.raises(errors.DonatedArrayError):
        f(w)


def test_numbers_and_arrays_without_dimensions() -> None:
    f = go.compile(lambda a, b: (a + 1, b * 2), donate_argnums=(0, 1))
    zero_d = np.array(2.0)
    for _ in range(2):
        assert f(1.0, zero_d) == (2.0, 4.0)


def test_bools_and_empty_arrays() -> None:
    f = go.compile(lambda a, b: (np.logical_not(a), b), donate_argnums=(0, 1))
    a, b = np.array([True, False]), np.zeros((0, 3))
    got = f(a, b)
    np.testing.assert_array_equal(got[0], [False, True])
    assert got[1].shape == (0, 3)
    with pytest.raises(errors.DonatedArrayError):
        f(a, np.zeros((0, 3)))


# -- Errors ----------------------------------------------------------------------------------


def test_arguments_that_share_memory() -> None:
    f = go.compile(lambda a, b, c: (a + b, b - c), donate_argnums=(0, 1))
    a, b, c = arrays(3)
    with pytest.raises(errors.ArgumentError, match=r"b is donated to .*, but a shares its memory"):
        f(a, a, c)
    with pytest.raises(errors.ArgumentError, match=r"b is donated to .*, but c shares its memory"):
        f(a, b, b)
    with pytest.raises(errors.ArgumentError, match=r"a is donated to .*, but c shares its memory"):
        f(a, b, a[::-1])
    # Nothing was taken.
    np.testing.assert_allclose(f(a, b, c)[0], arrays(3)[0] + arrays(3)[1])
    c2 = np.ones(5)
    np.testing.assert_allclose(go.compile(lambda a, b, c: a + b + c)(c2, c2, c2), 3.0)


def test_warning_where_no_result_fits() -> None:
    f = go.compile(lambda params, x: np.sum(params["w"] * x), donate_argnums=0)
    params = {"w": np.ones(3)}
    with pytest.warns(errors.UnusedDonationWarning, match=r"params\['w'\] \(float64\[3\]\)"):
        f(params, 2.0)
    assert f(params, 2.0) == 6.0


def test_options() -> None:
    with pytest.raises(errors.ArgumentError, match="no positional parameter 2"):
        go.compile(step, donate_argnums=2)
    with pytest.raises(errors.ArgumentError, match="no parameter 'y'"):
        go.compile(step, donate_argnames="y")
    with pytest.raises(errors.ArgumentTypeError, match="donate_argnums must be ints"):
        go.compile(step, donate_argnums="w")
    with pytest.raises(errors.ArgumentError, match="is static, and cannot be donated"):
        go.compile(step, donate_argnums=0, static_argnames="w")


def test_within_traced_code_nothing_is_donated() -> None:
    inner = go.compile(step, donate_argnums=0)
    w, x = arrays(2)
    want = step(w, x) + w
    np.testing.assert_allclose(go.compile(lambda w, x: inner(w, x) + w)(w, x), want)
    np.testing.assert_allclose(go.compile(lambda w, x: inner(w, x) + w)(w, x), want)


def test_lowered_and_pickled_functions() -> None:
    f = pickle.loads(pickle.dumps(go.compile(step, donate_argnums=0)))
    w, x = arrays(2)
    want, place = step(w, x), address(w)
    fixed = f.lower(w, x).compile()
    got = fixed(w, x)
    np.testing.assert_allclose(got, want)
    assert address(got) == place
    with pytest.raises(errors.DonatedArrayError, match="w of step"):
        fixed(w, x)


def test_results_are_ordinary_arrays() -> None:
    f = go.compile(step, donate_argnums=0)
    w, x = arrays(2)
    w = f(w, x)
    for copy in (w.copy(), pickle.loads(pickle.dumps(w)), np.array(w)):
        np.testing.assert_array_equal(copy, w)
        f(copy, x)
    w += 1
    w[0] = 7.0
    assert f(w, x)[0] == step(np.array(7.0), x[0])


def test_results_that_begin_with_one_value() -> None:
    def f(a: Any, b: Any) -> Any:
        t = np.sin(a) + b
        u, v = t.copy(), t.copy()
        u[1] = 3 * t[2]
        v[:4] = np.cos(t[:4])
        return u, v

    a, b = np.arange(6.0) / 10, np.arange(6.0)
    want = f(a, b)
    for donated in (0, 1, (0, 1)):
        got = go.compile(f, donate_argnums=donated)(a.copy(), b.copy())
        np.testing.assert_allclose(got, want, rtol=1e-14)


def test_a_loop_of_which_only_the_last_states_are_returned() -> None:
    def f(p: Any, c: Any, d: Any) -> Any:
        def body(state: Any) -> Any:
            p, c, d = state
            return p * 2, c + p, d * np.sum(c)

        return go.while_loop(lambda s: s[0][0] < 20, body, (p, c, d))[1:]

    p, c, d = np.ones(3), np.arange(3.0), np.full(3, 0.5)
    want = go.compile(f)(p, c, d)
    got = go.compile(f, donate_argnums=(1, 2))(p, c.copy(), d.copy())
    np.testing.assert_array_equal(got, want)
    x, y, z = p, c, d
    while x[0] < 20:
        x, y, z = x * 2, y + x, z * np.sum(y)
    np.testing.assert_allclose(got, (y, z), rtol=1e-14)
