# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Optimisers against their published formulas, written as loops over numbers, and on problems.

Each runs as NumPy code and as one compiled program of loss, gradient and step.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import scipy.optimize

import gradopt as go
from gradopt import optim
from gradopt.base.pytree import flatten
from gradopt.ir.current import trace_count

RNG = np.random.default_rng(7)
START = RNG.normal(size=4)
GRADIENTS = RNG.normal(size=(6, 4)) * np.array([1.0, 1e-3, 100.0, 0.0])

# Each takes the gradients of one number, and gives the number after each step.
Reference = Callable[[float, list[float]], Iterator[float]]


def sgd(lr: float = 0.1, momentum: float = 0.0, nesterov: bool = False) -> Reference:
    def run(x: float, gradients: list[float]) -> Iterator[float]:
        velocity = 0.0
        for g in gradients:
            velocity = momentum * velocity + g
            x -= lr * (g + momentum * velocity if nesterov else velocity)
            yield x

    return run


def adam(lr: Any = 0.1, b1: float = 0.9, b2: float = 0.999, decay: float = 0.0) -> Reference:
    def run(x: float, gradients: list[float]) -> Iterator[float]:
        m = v = 0.0
        for t, g in enumerate(gradients):
            m = b1 * m + (1 - b1) * g
            v = b2 * v + (1 - b2) * g * g
            step = (m / (1 - b1 ** (t + 1))) / (math.sqrt(v / (1 - b2 ** (t + 1))) + 1e-8)
            x -= (lr(t) if callable(lr) else lr) * (step + decay * x)
            yield x

    return run


def nadam(lr: float, b1: float = 0.9, b2: float = 0.999) -> Reference:
    def run(x: float, gradients: list[float]) -> Iterator[float]:
        m = v = 0.0
        for t, g in enumerate(gradients, 1):
            m = b1 * m + (1 - b1) * g
            v = b2 * v + (1 - b2) * g * g
            ahead = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
            x -= lr * ahead / (math.sqrt(v / (1 - b2**t)) + 1e-8)
            yield x

    return run


def rmsprop(
    lr: float, decay: float, outside: bool = False, centered: bool = False, momentum: float = 0.0
) -> Reference:
    def run(x: float, gradients: list[float]) -> Iterator[float]:
        v = m = buffer = 0.0
        for g in gradients:
            v = decay * v + (1 - decay) * g * g
            m = decay * m + (1 - decay) * g
            spread = max(v - m * m, 0.0) if centered else v
            root = math.sqrt(spread) + 1e-8 if outside else math.sqrt(spread + 1e-8)
            buffer = momentum * buffer + lr * g / root
            x -= buffer
            yield x

    return run


def adagrad(lr: float) -> Reference:
    def run(x: float, gradients: list[float]) -> Iterator[float]:
        total = 0.1
        for g in gradients:
            total += g * g
            x -= lr * g / math.sqrt(total + 1e-7)
            yield x

    return run


def lion(lr: float, decay: float) -> Reference:
    def run(x: float, gradients: list[float]) -> Iterator[float]:
        m = 0.0
        for g in gradients:
            c = 0.9 * m + 0.1 * g
            x -= lr * ((c > 0) - (c < 0) + decay * x)
            m = 0.99 * m + 0.01 * g
            yield x

    return run


def accumulated(inner: Reference, every: int) -> Reference:
    def run(x: float, gradients: list[float]) -> Iterator[float]:
        groups = [gradients[i : i + every] for i in range(0, len(gradients), every)]
        steps = inner(x, [sum(group) / every for group in groups])
        for group in groups:
            for number in range(len(group)):
                if number == every - 1:
                    x = next(steps)
                yield x

    return run


def halving(count: Any) -> Any:
    return 0.2 * 0.5**count


CASES: dict[str, tuple[optim.GradientTransformation, Reference]] = {
    "sgd": (optim.sgd(0.1), sgd()),
    "momentum": (optim.sgd(0.1, 0.9), sgd(0.1, 0.9)),
    "nesterov": (optim.sgd(0.1, 0.9, nesterov=True), sgd(0.1, 0.9, True)),
    "adam": (optim.adam(0.1), adam(0.1)),
    "adam_betas": (optim.adam(0.1, b1=0.5, b2=0.7), adam(0.1, 0.5, 0.7)),
    "nadam": (optim.adam(0.1, nesterov=True), nadam(0.1)),
    "adam_schedule": (optim.adam(halving), adam(halving)),
    "adamw": (optim.adamw(0.1, weight_decay=0.3), adam(0.1, decay=0.3)),
    "adamw_schedule": (optim.adamw(halving, weight_decay=0.3), adam(halving, decay=0.3)),
    "rmsprop": (optim.rmsprop(0.1), rmsprop(0.1, 0.9)),
    "rmsprop_outside": (
        optim.rmsprop(0.1, 0.99, eps_in_sqrt=False),
        rmsprop(0.1, 0.99, outside=True),
    ),
    "rmsprop_centered": (
        optim.rmsprop(0.1, centered=True, momentum=0.5),
        rmsprop(0.1, 0.9, centered=True, momentum=0.5),
    ),
    "adagrad": (optim.adagrad(0.5), adagrad(0.5)),
    "lion": (optim.lion(0.1, weight_decay=0.2), lion(0.1, 0.2)),
    "accumulation": (optim.multi_steps(optim.adam(0.1), 3), accumulated(adam(0.1), 3)),
    "accumulation_of_one": (optim.multi_steps(optim.sgd(0.1), 1), sgd(0.1)),
}


def tree(values: Any, dtype: Any) -> Any:
    """The numbers, in a pytree of several shapes."""
    parts = np.asarray(values, dtype)
    return {"w": parts[:2].reshape(1, 2), "layers": [(parts[2:3], parts[3])]}


def flat(params: Any) -> Any:
    return np.concatenate([np.ravel(leaf) for leaf in flatten(params)[0]])


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", CASES)
def test_steps_follow_the_formula(name: str, dtype: Any, compiled: bool) -> None:
    optimizer, reference = CASES[name]

    def step(params: Any, state: Any, grads: Any) -> Any:
        updates, state = optimizer.update(grads, state, params)
        return optim.apply_updates(params, updates), state

    run = go.compile(step) if compiled else step
    expected = np.array(
        [list(reference(float(x), g.tolist())) for x, g in zip(START, GRADIENTS.T, strict=True)]
    ).T
    params = tree(START, dtype)
    state = optimizer.init(params)
    for grads, wanted in zip(GRADIENTS, expected, strict=True):
        before = flatten(state)
        params, state = run(params, state, tree(grads, dtype))
        after = flatten(state)
        assert before[1] == after[1]
        assert [np.asarray(s).dtype for s in before[0]] == [np.asarray(s).dtype for s in after[0]]
        assert [np.shape(s) for s in before[0]] == [np.shape(s) for s in after[0]]
        assert flatten(params)[1] == flatten(tree(START, dtype))[1]
        assert flat(params).dtype == dtype
        close = (
            {"rtol": 1e-12, "atol": 1e-14} if dtype == np.float64 else {"rtol": 2e-5, "atol": 2e-6}
        )
        np.testing.assert_allclose(flat(params), wanted, **close)


def test_step_is_compiled_once() -> None:
    """The state that a step returns has the types of the one that it took."""
    optimizer = optim.chain(
        optim.clip_by_global_norm(1.0),
        optim.adamw(
            optim.warmup_cosine_decay_schedule(0.0, 0.1, 3, 10), mask={"w": True, "b": False}
        ),
    )

    @go.compile
    def step(params: Any, state: Any) -> Any:
        loss = lambda p: np.sum(p["w"] ** 2) + np.sum((p["b"] - 1) ** 2)  # noqa: E731
        value, grads = go.value_and_grad(loss)(params)
        updates, state = optimizer.update(grads, state, params)
        return value, optim.apply_updates(params, updates), state

    params = {"w": np.ones((2, 3), np.float32), "b": np.float32(0.5)}
    state = optimizer.init(params)
    _, params, state = step(params, state)
    before = trace_count()
    for _ in range(3):
        _, params, state = step(params, state)
    assert trace_count() == before
    assert [int(leaf) for leaf in flatten(state)[0] if np.asarray(leaf).dtype.kind == "i"] == [4, 4]


def test_steps_in_a_loop() -> None:
    """State and parameters can be what a loop carries."""
    optimizer = optim.multi_steps(optim.adam(0.1), 2)
    params = tree(START, np.float64)

    def fit(params: Any, steps: Any) -> Any:
        def step(i: Any, carried: Any) -> Any:
            params, state = carried
            loss = lambda p: np.sum(p["w"] ** 2) + np.sum(p["layers"][0][0] ** 4)  # noqa: E731
            updates, state = optimizer.update(go.grad(loss)(params), state, params)
            return optim.apply_updates(params, updates), state

        return go.fori_loop(0, steps, step, (params, optimizer.init(params)))[0]

    np.testing.assert_allclose(
        flat(go.compile(fit)(params, 7)), flat(fit(params, 7)), rtol=1e-12, atol=1e-14
    )


def test_learning_a_learning_rate() -> None:
    """Steps have derivatives, in what they were made with too."""

    def after(rate: Any, params: Any) -> Any:
        optimizer = optim.chain(optim.scale_by_adam(), optim.scale(-1.0))
        state = optimizer.init(params)
        for _ in range(3):
            updates, state = optimizer.update(
                go.grad(lambda p: np.sum(p**4))(params), state, params
            )
            params = params + rate * updates
        return np.sum(params**4)

    assert go.gradcheck(after, (0.05, np.array([1.0, -0.7, 0.3])))


def rosenbrock(p: Any) -> Any:
    return np.sum(100 * (p["x"][1:] - p["x"][:-1] ** 2) ** 2 + (1 - p["x"][:-1]) ** 2)


def quadratic(p: Any) -> Any:
    return np.sum(np.arange(1, 5) * (p["x"] - np.array([1.0, -2.0, 0.5, 3.0])) ** 2)


@pytest.mark.parametrize(
    ("optimizer", "loss", "size", "steps", "bound"),
    [
        (optim.sgd(0.05), quadratic, 4, 300, 1e-12),
        (optim.sgd(0.02, 0.9), quadratic, 4, 400, 1e-12),
        (optim.sgd(0.02, 0.9, nesterov=True), quadratic, 4, 400, 1e-12),
        (optim.adam(optim.cosine_decay_schedule(0.1, 1000)), quadratic, 4, 1000, 1e-10),
        (optim.adagrad(1.0), quadratic, 4, 1000, 1e-10),
        (
            optim.lion(optim.linear_schedule(0.1, 0.0, 1000), weight_decay=0.0),
            quadratic,
            4,
            1000,
            1e-4,
        ),
        (optim.rmsprop(optim.exponential_decay(0.1, 100, 0.5)), quadratic, 4, 2000, 1e-8),
        # Now and then it leaves the minimum again, at steps that rounding decides.
        (optim.adam(0.02), rosenbrock, 2, 950, 1e-6),
        (
            optim.chain(optim.clip_by_global_norm(1.0), optim.sgd(0.001, 0.9)),
            rosenbrock,
            2,
            8000,
            1e-4,
        ),
    ],
)
def test_finds_the_minimum(
    optimizer: optim.GradientTransformation, loss: Any, size: int, steps: int, bound: float
) -> None:
    @go.compile
    def fit(params: Any) -> Any:
        def step(i: Any, carried: Any) -> Any:
            params, state = carried
            updates, state = optimizer.update(go.grad(loss)(params), state, params)
            return optim.apply_updates(params, updates), state

        return go.fori_loop(0, steps, step, (params, optimizer.init(params)))[0]

    assert loss(fit({"x": np.zeros(size)})) < bound


# -- L-BFGS --------------------------------------------------------------------------------------


def steps_of_lbfgs(
    loss: Any, params: Any, count: int, compiled: bool = True, **options: Any
) -> Any:
    """Parameters before each step, and behind the last one."""
    optimizer = optim.lbfgs(loss, **options)

    def step(params: Any, state: Any) -> Any:
        updates, state = optimizer.update(go.grad(loss)(params), state, params)
        return optim.apply_updates(params, updates), state

    run = go.compile(step) if compiled else step
    state, found = optimizer.init(params), [params]
    for _ in range(count):
        params, state = run(params, state)
        found.append(params)
    return found


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_lbfgs_finds_the_minimum(dtype: Any) -> None:
    start = {"x": np.full(10, -1.2, dtype)}
    last = steps_of_lbfgs(rosenbrock, start, 100)[-1]
    assert last["x"].dtype == dtype
    np.testing.assert_allclose(last["x"], 1, rtol=1e-8 if dtype == np.float64 else 1e-3)
    # There it stays.
    (_, same) = steps_of_lbfgs(quadratic, {"x": np.array([1.0, -2.0, 0.5, 3.0])}, 1)
    np.testing.assert_array_equal(same["x"], [1.0, -2.0, 0.5, 3.0])


@pytest.mark.parametrize("memory", [1, 5])
def test_lbfgs_steps_fulfil_the_conditions_of_wolfe(memory: int) -> None:
    found = steps_of_lbfgs(rosenbrock, {"x": np.array([-1.2, 1.0, 0.3])}, 15, memory=memory)
    gradient = go.grad(rosenbrock)
    first = found[1]["x"] - found[0]["x"]
    downhill = -gradient(found[0])["x"]
    np.testing.assert_allclose(
        first / np.linalg.norm(first), downhill / np.linalg.norm(downhill), rtol=1e-10
    )
    for before, behind in itertools.pairwise(found):
        step = behind["x"] - before["x"]
        slope = np.sum(gradient(before)["x"] * step)
        assert slope < 0
        assert rosenbrock(behind) <= rosenbrock(before) + 1e-4 * slope
        assert np.sum(gradient(behind)["x"] * step) >= 0.9 * slope * (1 + 1e-9)


def test_lbfgs_follows_its_formula() -> None:
    """Against the matrix that the pairs of past steps define, with BFGS updates of a multiple of 1."""
    found = [
        p["x"] for p in steps_of_lbfgs(rosenbrock, {"x": np.array([-1.2, 1.0, 0.3])}, 6, memory=3)
    ]
    gradients = [go.grad(rosenbrock)({"x": x})["x"] for x in found]
    for n in range(1, 6):
        pairs = [
            (found[i + 1] - found[i], gradients[i + 1] - gradients[i])
            for i in range(max(0, n - 3), n)
        ]
        s, y = pairs[-1]
        inverse = np.eye(3) * (s @ y) / (y @ y)
        for s, y in pairs:
            left = np.eye(3) - np.outer(s, y) / (s @ y)
            inverse = left @ inverse @ left.T + np.outer(s, s) / (s @ y)
        direction = -inverse @ gradients[n]
        step = found[n + 1] - found[n]
        length = np.linalg.norm(step) / np.linalg.norm(direction)
        np.testing.assert_allclose(step, length * direction, rtol=1e-6)
        # Steps of the whole length come first, then halves.
        assert math.log2(length) == pytest.approx(round(math.log2(length)), abs=1e-6)


def test_lbfgs_runs_as_numpy_too() -> None:
    start = {"x": np.array([-1.2, 1.0])}
    for a, b in zip(
        steps_of_lbfgs(rosenbrock, start, 6),
        steps_of_lbfgs(rosenbrock, start, 6, compiled=False),
        strict=True,
    ):
        np.testing.assert_allclose(a["x"], b["x"], rtol=1e-9)


def test_lbfgs_leaves_where_the_loss_is_no_number() -> None:
    """The minimum is near an edge behind which there is NaN."""

    def barrier(p: Any) -> Any:
        return np.sum(1e3 * p["x"] - np.log(p["x"]))

    last = steps_of_lbfgs(barrier, {"x": np.array([5.0, 0.1])}, 60)[-1]
    np.testing.assert_allclose(last["x"], 1e-3, rtol=1e-6)


def test_lbfgs_agrees_with_scipy() -> None:
    """On a logistic regression with a penalty, of parameters in a tree."""
    x = RNG.normal(size=(80, 5))
    y = (x @ RNG.normal(size=5) + RNG.normal(size=80) > 0).astype(float)

    def loss(p: Any) -> Any:
        return np.mean(np.logaddexp(0, (1 - 2 * y) * (x @ p[0] + p[1]["b"]))) + 0.01 * np.sum(
            p[0] ** 2
        )

    last = steps_of_lbfgs(loss, (np.zeros(5), {"b": np.zeros(())}), 30)[-1]
    best = scipy.optimize.minimize(
        lambda v: loss((v[:5], {"b": v[5]})), np.zeros(6), method="BFGS", options={"gtol": 1e-8}
    )
    np.testing.assert_allclose(flat(last), best.x, rtol=1e-5, atol=1e-6)


# -- Parts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_clipping(compiled: bool) -> None:
    def apply(part: Any, grads: Any) -> Any:
        run = lambda g: part.update(g, part.init(g))[0]  # noqa: E731
        return (go.compile(run) if compiled else run)(grads)

    grads = {"a": np.array([3.0, -4.0]), "b": np.float32([0.0, 12.0])}
    clipped = apply(optim.clip(3.5), grads)
    np.testing.assert_array_equal(clipped["a"], [3.0, -3.5])
    np.testing.assert_array_equal(clipped["b"], np.float32([0.0, 3.5]))
    scaled = apply(optim.clip_by_global_norm(6.5), grads)  # The norm is 13.
    np.testing.assert_allclose(scaled["a"], [1.5, -2.0], rtol=1e-14)
    np.testing.assert_allclose(scaled["b"], np.float32([0.0, 6.0]), rtol=1e-6)
    assert scaled["b"].dtype == np.float32
    for same in (grads, {"a": np.zeros(2), "b": np.zeros(3, np.float32)}):
        kept = apply(optim.clip_by_global_norm(13.0), same)
        np.testing.assert_array_equal(kept["a"], same["a"])
        np.testing.assert_array_equal(kept["b"], same["b"])


@pytest.mark.parametrize("size", [1e30, 1e-30, 1.0])
def test_global_norm_beyond_the_range_of_squares(size: float) -> None:
    grads = [np.float32([3 * size, 0]), np.float32([[-4 * size]])]
    assert optim.global_norm(grads) == pytest.approx(5 * size, rel=1e-6)
    assert go.compile(optim.global_norm)(grads) == pytest.approx(5 * size, rel=1e-6)
    assert optim.global_norm(grads).dtype == np.float32


def test_global_norm_of_nothing_and_of_what_is_no_number() -> None:
    assert optim.global_norm([]) == 0
    assert optim.global_norm([np.zeros((0, 3)), np.zeros(2)]) == 0
    assert optim.global_norm([np.array([np.inf, 1.0])]) == np.inf
    assert np.isnan(optim.global_norm([np.array([np.nan, 1.0])]))


@pytest.mark.parametrize(
    "mask", [{"w": True, "b": False}, lambda params: {k: p.ndim > 1 for k, p in params.items()}]
)
def test_decay_of_some_weights(mask: Any) -> None:
    params = {"w": np.full((2, 2), 2.0), "b": np.full(2, 2.0)}
    part = optim.add_decayed_weights(0.1, mask)
    grads = {"b": np.ones(2), "w": np.ones((2, 2))}
    updates, _ = part.update(grads, part.init(params), params)
    np.testing.assert_allclose(updates["w"], np.full((2, 2), 1.2))
    np.testing.assert_allclose(updates["b"], np.ones(2))


SCHEDULES: dict[str, tuple[optim.Schedule, dict[int, float]]] = {
    "constant": (optim.constant_schedule(0.3), {0: 0.3, 99: 0.3}),
    "linear": (optim.linear_schedule(1.0, 0.2, 4), {0: 1.0, 1: 0.8, 3: 0.4, 4: 0.2, 50: 0.2}),
    "linear_later": (
        optim.linear_schedule(1.0, 0.2, 4, 2),
        {0: 1.0, 2: 1.0, 3: 0.8, 6: 0.2, 7: 0.2},
    ),
    "polynomial": (optim.polynomial_schedule(1.0, 0.0, 2, 4), {0: 1.0, 1: 0.5625, 2: 0.25, 9: 0.0}),
    "exponential": (
        optim.exponential_decay(2.0, 2, 0.25),
        {0: 2.0, 1: 1.0, 2: 0.5, 3: 0.25, 4: 0.125},
    ),
    "staircase": (
        optim.exponential_decay(2.0, 2, 0.25, staircase=True),
        {0: 2.0, 1: 2.0, 2: 0.5, 3: 0.5, 4: 0.125},
    ),
    "exponential_bounded": (
        optim.exponential_decay(2.0, 1, 0.5, transition_begin=1, end_value=0.6),
        {0: 2.0, 1: 2.0, 2: 1.0, 3: 0.6, 30: 0.6},
    ),
    "exponential_rising": (
        optim.exponential_decay(1.0, 1, 2.0, end_value=5.0),
        {0: 1.0, 2: 4.0, 3: 5.0, 9: 5.0},
    ),
    "cosine": (
        optim.cosine_decay_schedule(2.0, 4, 0.1),
        {0: 2.0, 2: 1.1, 4: 0.2, 100: 0.2, 1: 0.2 + 1.8 * (1 + math.sqrt(0.5)) / 2},
    ),
    "piecewise": (
        optim.piecewise_constant_schedule(1.0, {4: 0.1, 2: 0.5}),
        {0: 1.0, 1: 1.0, 2: 0.5, 3: 0.5, 4: 0.05, 9: 0.05},
    ),
    "joined": (
        optim.join_schedules(
            [optim.constant_schedule(3.0), optim.linear_schedule(1.0, 0.0, 2), halving], [2, 5]
        ),
        {0: 3.0, 1: 3.0, 2: 1.0, 3: 0.5, 4: 0.0, 5: 0.2, 6: 0.1},
    ),
    "no_warmup": (
        optim.warmup_cosine_decay_schedule(0.1, 1.1, 0, 4, 0.3),
        {0: 1.1, 1: 0.7 + 0.4 * math.sqrt(0.5), 2: 0.7, 4: 0.3, 9: 0.3},
    ),
    "warmup": (
        optim.warmup_cosine_decay_schedule(0.1, 1.1, 4, 8, 0.3),
        {0: 0.1, 2: 0.6, 4: 1.1, 6: 0.7, 8: 0.3, 20: 0.3},
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule(name: str) -> None:
    schedule, expected = SCHEDULES[name]
    compiled = go.compile(lambda count: schedule(count))
    for count, value in expected.items():
        assert schedule(count) == pytest.approx(value, rel=1e-14, abs=1e-15)
        assert schedule(np.int64(count)) == pytest.approx(value, rel=1e-14, abs=1e-15)
        assert compiled(np.int64(count)) == pytest.approx(value, rel=1e-14, abs=1e-15)


# -- Bad input -----------------------------------------------------------------------------------

PARAMS = {"w": np.zeros((2, 3)), "b": [np.zeros(3)]}


def update(grads: Any, params: Any = PARAMS, optimizer: Any = None) -> Any:
    optimizer = optimizer or optim.adam(0.1)
    return optimizer.update(grads, optimizer.init(PARAMS), params)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: update({"w": np.zeros((2, 3))}),
            go.errors.ArgumentError,
            r"keys \['w', 'b'\] at grads",
        ),
        (
            lambda: update({"w": np.zeros((2, 3)), "b": np.zeros(3)}),
            go.errors.ArgumentError,
            r"expected list at grads\['b'\], but got ndarray",
        ),
        (
            lambda: update({"w": np.zeros((2, 3)), "b": [np.zeros(4)]}),
            go.errors.ShapeError,
            r"expected shape \(3,\) at grads\['b'\]\[0\], as that of state.mu\['b'\]\[0\], but got \(4,\)",
        ),
        (
            lambda: update({"w": np.zeros((2, 3)), "b": [np.zeros(3, int)]}),
            go.errors.ArgumentTypeError,
            r"floats of 16 to 64 bits at grads\['b'\]\[0\], but got int64",
        ),
        (
            lambda: optim.adam(0.1).init({"w": [np.zeros(3), np.zeros(2, np.int32)]}),
            go.errors.ArgumentTypeError,
            r"floats of 16 to 64 bits at params\['w'\]\[1\], but got int32",
        ),
        (
            lambda: optim.apply_updates(PARAMS, {"w": np.zeros((3, 2)), "b": [np.zeros(3)]}),
            go.errors.ShapeError,
            r"expected shape \(2, 3\) at updates\['w'\], as that of params\['w'\], but got \(3, 2\)",
        ),
        (
            lambda: optim.adamw(0.1).update(PARAMS, optim.adamw(0.1).init(PARAMS)),
            go.errors.ArgumentError,
            r"needs update\(grads, state, params\)",
        ),
        (
            lambda: update(PARAMS, optimizer=optim.adamw(0.1, mask={"w": True})),
            go.errors.ArgumentError,
            r"at mask",
        ),
        (
            lambda: update(PARAMS, optimizer=optim.adamw(0.1, mask={"w": True, "b": [1.0]})),
            go.errors.ArgumentTypeError,
            r"expected a bool at mask\['b'\]\[0\], but got float",
        ),
        (
            lambda: optim.chain(optim.clip(1.0), 3),
            go.errors.ArgumentTypeError,
            "argument 1 of chain must be a GradientTransformation, but it is 3",
        ),
        (
            lambda: optim.adam(0.1).update(PARAMS, ()),
            go.errors.ArgumentError,
            "expected a state of 2 parts",
        ),
        (lambda: optim.multi_steps(optim.sgd(0.1), 0), go.errors.ArgumentError, "every"),
        (lambda: optim.lbfgs(quadratic, memory=0), go.errors.ArgumentError, "memory"),
        (
            lambda: update(PARAMS, None, optim.lbfgs(quadratic)),
            go.errors.ArgumentError,
            r"lbfgs needs update\(grads, state, params\)",
        ),
        (lambda: optim.clip_by_global_norm(0.0), go.errors.ArgumentError, "max_norm"),
        (lambda: optim.linear_schedule(1.0, 0.0, 0), go.errors.ArgumentError, "transition_steps"),
        (lambda: optim.exponential_decay(1.0, 5, -0.5), go.errors.ArgumentError, "decay_rate"),
        (
            lambda: optim.warmup_cosine_decay_schedule(0.0, 1.0, 5, 5),
            go.errors.ArgumentError,
            "decay_steps",
        ),
        (
            lambda: optim.join_schedules([halving, halving], [3, 2]),
            go.errors.ArgumentError,
            "1 boundaries",
        ),
        (lambda: optim.join_schedules([halving] * 3, [3, 2]), go.errors.ArgumentError, "ascend"),
        (
            lambda: optim.piecewise_constant_schedule(1.0, {3: -1.0}),
            go.errors.ArgumentError,
            r"\[3\]",
        ),
    ],
)
def test_bad_input(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    location = caught.value.location
    assert location is not None
    assert location.file == __file__
