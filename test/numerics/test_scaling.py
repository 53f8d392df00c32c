# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What derivatives cost, as programs grow: counted in ops and bytes, which no machine changes.

The gradient of a program of n steps has a number of ops proportional to n, a small multiple of the
program's own, and needs memory proportional to what the program reads and makes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import gradopt as go

Arrays = tuple[Any, ...]
STEPS = (16, 32, 64)
WIDTH = 8


@dataclass(frozen=True)
class Program:
    """A loss of n steps.

    Attributes:
        loss: the function, with n closed over by `arguments`.
        arguments: what to call it with for n steps.
        ratio: at most so many ops of value and gradient for each op of the loss.
        steps: the n to compare. If it is a list of commands for one, then for all: the words of
            the list are part of the arena.
    """

    loss: Callable[..., Any]
    arguments: Callable[[int], Arrays]
    ratio: float = 6.0
    steps: tuple[int, int, int] = STEPS


def array(*shape: int) -> Any:
    return np.linspace(0.1, 0.9, int(np.prod(shape))).reshape(shape)


def chain(x: Any, steps: Any) -> Any:
    for _ in range(len(steps)):
        x = np.tanh(x * 1.1) + x
    return np.sum(x)


def recurrence(w: Any, xs: Any) -> Any:
    h = np.zeros(WIDTH)
    for t in range(len(xs)):
        h = np.tanh(w @ h + xs[t])
    return np.sum(h)


def product_of_columns(xs: Any) -> Any:
    p = np.ones(xs.shape[0])
    for j in range(xs.shape[1]):
        p = p * xs[:, j]
    return np.sum(p)


def elements(x: Any) -> Any:
    total = 0.0
    for i in range(x.shape[0]):
        total = total + np.sin(x[i]) * x[i - 1]
    return total


def diagonal(a: Any) -> Any:
    total = 0.0
    for i in range(a.shape[0]):
        total = total + np.tanh(a[i, i])
    return total


def windows(x: Any) -> Any:
    total = 0.0
    for i in range(x.shape[0] - 4):
        total = total + np.sum(np.sin(x[i : i + 4])) ** 2
    return total


def gathered_rows(table: Any, ids: Any) -> Any:
    h = np.zeros(table.shape[1])
    for t in range(len(ids)):
        h = np.tanh(h + table[ids[t]])
    return np.sum(h)


def many_parameters(*parameters: Any) -> Any:
    total = 0.0
    for p in parameters:
        total = total + np.sum(np.sin(p))
    return total


def running_maximum(xs: Any) -> Any:
    m = xs[0]
    for t in range(1, len(xs)):
        m = np.maximum(m, xs[t])
    return np.sum(m)


def stacked_weights(w: Any, x: Any) -> Any:
    for i in range(len(w)):
        x = np.tanh(x @ w[i])
    return np.sum(x)


def forward_algorithm(log_a: Any, log_p: Any) -> Any:
    alpha = log_p[0]
    for t in range(1, len(log_p)):
        s = alpha[:, None] + log_a
        m = np.max(s, axis=0)
        alpha = np.log(np.sum(np.exp(s - m), axis=0)) + m + log_p[t]
    return np.sum(alpha)


PROGRAMS = {
    "chain": Program(chain, lambda n: (array(WIDTH), array(n))),
    "recurrence": Program(recurrence, lambda n: (array(WIDTH, WIDTH), array(n, WIDTH))),
    "columns": Program(product_of_columns, lambda n: (array(WIDTH, n),)),
    "elements": Program(elements, lambda n: (array(n),)),
    "diagonal": Program(diagonal, lambda n: (array(n, n),)),
    "windows": Program(windows, lambda n: (array(n),)),
    "gathered rows": Program(gathered_rows, lambda n: (array(10, WIDTH), np.arange(n) % 10)),
    "parameters": Program(many_parameters, lambda n: tuple(array(WIDTH) for _ in range(n))),
    "stacked weights": Program(
        stacked_weights, lambda n: (array(n, WIDTH, WIDTH), array(4, WIDTH))
    ),
    "logsumexp": Program(forward_algorithm, lambda n: (array(WIDTH, WIDTH), array(n, WIDTH))),
    "maximum": Program(running_maximum, lambda n: (array(n, WIDTH),), 12.0, (32, 64, 128)),
}


def floats(arguments: Arrays) -> tuple[int, ...]:
    return tuple(i for i, a in enumerate(arguments) if a.dtype.kind == "f")


def ops(lowered: Any, stage: str) -> int:
    """The number of ops of the dialect but constants."""
    return len(re.findall(r"= grad\.(?!constant)", lowered.mlir(stage)))


def assert_linear(name: str, counts: list[int], slack: float) -> None:
    """Doubling adds twice what the doubling before has added."""
    first, second, third = counts
    assert third - second <= 2 * (second - first) * 1.1 + slack, f"{name}: {counts}"


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_are_linear_in_steps(name: str) -> None:
    program = PROGRAMS[name]
    counts, arena = [], []
    for n in program.steps:
        arguments = program.arguments(n)
        gradient = go.compile_value_and_grad(
            program.loss, argnums=floats(arguments), capture="trace"
        )
        lowered = gradient.lower(*arguments)
        counts.append(ops(lowered, "simplified"))
        arena.append(lowered.memory().arena)
        own = ops(go.compile(program.loss, capture="trace").lower(*arguments), "simplified")
        assert counts[-1] <= program.ratio * own + 20, f"{counts[-1]} ops of the gradient of {own}"
    assert_linear("ops", counts, 4)
    # Alignment of single buffers aside.
    assert_linear("bytes", arena, 1024)


@pytest.mark.parametrize("name", ["chain", "recurrence", "elements"])
def test_second_derivatives_are_linear_in_steps(name: str) -> None:
    program = PROGRAMS[name]
    counts = []
    for n in STEPS:
        arguments = program.arguments(n)
        x, rest = arguments[0], arguments[1:]
        product = go.compile(
            lambda x, v, *rest: go.jvp(lambda x: go.grad(program.loss)(x, *rest), (x,), (v,))[1],
            capture="trace",
        )
        counts.append(ops(product.lower(x, x, *rest), "simplified"))
    assert_linear("ops", counts, 4)


def test_gradients_of_stacked_weights_need_what_those_of_a_list_need() -> None:
    """The cotangent of each slice goes where the result has it: no array as large as the stack."""
    x = array(16, 40)
    for n in STEPS:
        w = array(n, 40, 40)
        gradient = go.compile_grad(stacked_weights, capture="trace")
        stacked = gradient.lower(w, x).memory()
        listed = gradient.lower(list(w), x).memory()
        assert stacked.arena <= listed.arena + 1024
        # The states of the forward pass, and a few of the backward pass.
        assert stacked.arena <= (n + 4) * x.nbytes


@pytest.mark.parametrize("repeated", [False, True])
def test_operations_at_positions_are_a_loop(repeated: bool) -> None:
    """Whether the positions are traced, or concrete and repeat often."""
    gradients, arena = [], []
    for n in STEPS:
        x, values = array(WIDTH), array(n)
        positions = np.arange(n) % (2 if repeated else 3)

        def f(x: Any, values: Any, *traced: Any, positions: Any = positions) -> Any:
            y = x * 1.0
            np.logaddexp.at(y, traced[0] if traced else positions, values)
            return np.sum(np.sin(y))

        arguments = (x, values) if repeated else (x, values, positions)
        gradient = go.compile_grad(f, argnums=(0, 1))
        lowered = gradient.lower(*arguments)
        gradients.append(ops(lowered, "simplified"))
        arena.append(lowered.memory().arena)
        go.gradcheck(f, arguments, (0, 1))
    assert len(set(gradients)) == 1
    assert_linear("bytes", arena, 1024)
