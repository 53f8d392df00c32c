# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gradients called outside a trace: not traced again in vain, and never out of date."""

from __future__ import annotations

import dataclasses
import functools
import gc
import itertools
import math
import types
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go
import gradopt.numpy as gnp
from gradopt.ir.current import trace_count

X = np.arange(1.0, 4.0)
factor: Any = 2.0
table: Any = [1.0, {"a": (2.0, np.ones(3))}]
weights: Any = np.arange(50.0)


def scaled(x: Any) -> Any:
    return x * factor


def indirect(x: Any, n: int = 2) -> Any:
    return np.sum(scaled(x) ** n) if n < 3 else indirect(x, n - 1)


def of_module(module: Any, x: Any) -> Any:
    return np.sum(x) * module.random.uniform(1, 2)


def traces(call: Callable[[], Any]) -> int:
    before = trace_count()
    call()
    return trace_count() - before


PURE: dict[str, Callable[..., Any]] = {
    "global number": lambda x: np.sum(x) * factor,
    "functions": lambda x: indirect(x, 4),
    "containers": lambda x: np.sum(x) * table[0] + np.sum(x * table[1]["a"][1]),
    "array": lambda x: np.sum(x) * np.sum(weights[1:]),
    "builtins and math": lambda x: sum(v * math.pi for v in x) + max(1, len(x)) * float(factor),
    "inner function": lambda x: (lambda y: np.sum(y * factor))(x),
    "inner gradient": lambda x: np.sum(go.grad(indirect)(x) * go.compile(scaled)(x)),
    "arrays made": lambda x: np.sum(np.linalg.norm(x) * gnp.ones(3) + gnp.tanh([x[0], 1.0, 2.0])),
    "partial": functools.partial(lambda c, x: np.sum(x) * c, 3.0),
    "compiled": go.compile(indirect),
    "a switch": lambda x: np.sum(x) if isinstance(factor, float) else np.sum(x) * 7,
}


@pytest.mark.parametrize("name", PURE)
def test_what_stays_the_same_is_traced_once(name: str) -> None:
    function = PURE[name]
    gradient = go.grad(function)
    first = gradient(X)
    assert traces(lambda: gradient(X)) == 0
    assert traces(lambda: go.grad(function)(X)) == 0
    np.testing.assert_array_equal(gradient(X), first)
    np.testing.assert_array_equal(gradient(X + 1), go.compile_grad(function)(X + 1))
    assert traces(lambda: go.value_and_grad(function)(X)) > 0


def both(function: Any, x: Any) -> Any:
    """What a function and its pullback give."""
    value, pull = function(x)
    return value, pull(np.ones_like(value))


PRODUCTS: dict[str, Callable[[Any, Any], Any]] = {
    "jvp": lambda f, x: go.jvp(f, (x,), (np.ones_like(x),)),
    "vjp": lambda f, x: both(lambda x: go.vjp(f, x), x),
    "linearize": lambda f, x: go.linearize(f, x)[1](np.ones_like(x)),
    "hvp": lambda f, x: go.hvp(f, (x,), (np.ones_like(x),)),
}


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("name", PURE)
def test_products_are_traced_once(name: str, product: str) -> None:
    function, call = PURE[name], PRODUCTS[product]
    first = call(function, X)
    assert traces(lambda: call(function, X)) == 0
    np.testing.assert_equal(call(function, X), first)
    # Other arguments are other code, for pullbacks too.
    assert traces(lambda: call(function, X.astype(np.float32))) > 0
    np.testing.assert_equal(call(function, X), first)


@pytest.mark.parametrize("product", PRODUCTS)
def test_products_see_changes_and_pullbacks_do_not(
    product: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def f(x: Any) -> Any:
        return np.sum(x**2) * factor

    call = PRODUCTS[product]
    call(f, X)
    _, pull = go.vjp(f, X)
    _, push = go.linearize(f, X)
    monkeypatch.setitem(globals(), "factor", 7.0)
    value = np.sum(X**2) * 7
    slope = {"hvp": 14 * np.ones(3), "linearize": np.sum(14 * X)}
    expected = {"jvp": (value, np.sum(14 * X)), "vjp": (value, (14 * X,)), **slope}[product]
    np.testing.assert_equal(call(f, X), expected)
    np.testing.assert_array_equal(pull(1.0)[0], 4 * X)
    np.testing.assert_array_equal(push(X), np.sum(4 * X * X))


def test_products_of_integers_and_structures() -> None:
    def f(x: Any, p: Any) -> Any:
        return {"a": x * p["k"][0], "n": p["n"]}

    for k, n in ((2.0, 3), (np.array(4.0), 5), (np.float32(2), 6)):
        p = {"k": (k,), "n": n}
        out, tangent = go.jvp(f, (X, p), (X, {"k": (np.ones_like(k),), "n": 0}))
        np.testing.assert_allclose(tangent["a"], X * float(k) + X)
        assert out["n"] == n


def test_a_kept_pullback_does_not_keep_results() -> None:
    def f(x: Any) -> Any:
        return x * 2.125

    result, _ = go.vjp(f, np.arange(1000.0))
    seen = weakref.ref(result)
    del result
    gc.collect()
    assert seen() is None


def test_equal_closures_share_code() -> None:
    def make(c: Any) -> Any:
        return go.grad(lambda x: np.sum(x) * c)

    make(3.5)(X)
    assert traces(lambda: make(3.5)(X)) == 0
    assert traces(lambda: make(4.5)(X)) == 1
    np.testing.assert_array_equal(make(3.5)(X), [3.5] * 3)
    assert make(3)(X).dtype == make(3.0)(X).dtype
    for c in (0.0, -0.0, 1, True):
        kind = str(c)
        assert go.grad(lambda x, c=c: x * len(str(c)))(2.0) == len(kind)


def set_global(name: str, value: Any) -> None:
    globals()[name] = value


def set_item(value: Any) -> None:
    table[1]["a"] = (2.0, np.full(3, value))


CHANGES: dict[str, tuple[Callable[..., Any], Callable[[], Any]]] = {
    "global number": (lambda x: np.sum(x) * factor, lambda: set_global("factor", 5.0)),
    "type of a number": (
        lambda x: np.sum(x) * (3 if isinstance(factor, int) else 1),
        lambda: set_global("factor", 2),
    ),
    "what a function reads": (indirect, lambda: set_global("factor", 5.0)),
    "a function": (indirect, lambda: set_global("scaled", lambda x: x * 7)),
    "its code": (indirect, lambda: setattr(scaled, "__code__", (lambda x: x * 9).__code__)),
    "its defaults": (indirect, lambda: setattr(indirect, "__defaults__", (1,))),
    "item of a list": (lambda x: np.sum(x) * table[0], lambda: table.__setitem__(0, 6.0)),
    "deep in containers": (lambda x: np.sum(x * table[1]["a"][1]), lambda: set_item(4.0)),
    "elements": (lambda x: np.sum(x) * weights[7], lambda: weights.__setitem__(7, -1.0)),
    "elements of many": (lambda x: np.sum(x) * np.sum(weights), lambda: weights.fill(2)),
    "NumPy": (lambda x: np.sum(np.sin(x)), lambda: setattr(np, "sin", np.cos)),
    "a builtin name": (lambda x: np.sum(x) * abs(-2.0), lambda: set_global("abs", lambda v: 9.0)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("factor", "scaled", "indirect"):
        monkeypatch.setitem(globals(), variable, globals()[variable])
    monkeypatch.setitem(globals(), "table", [1.0, {"a": (2.0, np.ones(3))}])
    monkeypatch.setitem(globals(), "weights", np.arange(50.0))
    monkeypatch.setattr(np, "sin", np.sin)
    monkeypatch.setattr(scaled, "__code__", scaled.__code__)
    monkeypatch.setattr(indirect, "__defaults__", indirect.__defaults__)
    function, change = CHANGES[name]
    gradient = go.grad(function)
    before = gradient(X)
    assert traces(lambda: gradient(X)) == 0
    change()
    try:
        after = gradient(X)
        assert not np.array_equal(before, after)
        np.testing.assert_array_equal(after, go.compile_grad(function)(X))
    finally:
        globals().pop("abs", None)


@dataclasses.dataclass
class Model:
    scale: float

    def loss(self, x: Any) -> Any:
        return np.sum(x) * self.scale


def unknown() -> dict[str, tuple[Callable[..., Any], Callable[[], Any]]]:
    """Functions with what changes their gradient, unseen by what they refer to."""
    model, count, numbers = Model(2.0), [0.0], itertools.count(1)
    holder = types.SimpleNamespace(scale=2.0)
    cell = 1.0

    def nonlocal_count(x: Any) -> Any:
        nonlocal cell
        cell += 1
        return np.sum(x) * cell

    def counts(x: Any) -> Any:
        count[0] += 1.0
        return np.sum(x) * count[0]

    def attribute(x: Any) -> Any:
        return np.sum(x) * attribute.scale  # type: ignore[attr-defined]

    attribute.scale = 2.0  # type: ignore[attr-defined]

    def imports(x: Any) -> Any:
        import random

        return np.sum(x) * random.random()

    def nothing() -> None:
        pass

    return {
        "method": (model.loss, lambda: setattr(model, "scale", 3.0)),
        "object": (lambda x: np.sum(x) * model.scale, lambda: setattr(model, "scale", 4.0)),
        "namespace": (lambda x: np.sum(x) * holder.scale, lambda: setattr(holder, "scale", 3.0)),
        "getattr": (
            lambda x: np.sum(x) * getattr(np, "random").uniform(1, 2),  # noqa: B009
            nothing,
        ),
        "random": (lambda x: np.sum(x) * np.random.default_rng().uniform(), nothing),
        "module as argument": (lambda x: of_module(np, x), nothing),
        "module in a container": (lambda x: np.sum(x) * (np,)[0].random.uniform(1, 2), nothing),
        "nonlocal": (nonlocal_count, nothing),
        "writes to a list": (counts, nothing),
        "restored list": (counts, lambda: count.__setitem__(0, 7.0)),
        "iterator": (lambda x: np.sum(x) * next(numbers), nothing),
        "attribute of a function": (attribute, lambda: setattr(attribute, "scale", 3.0)),
        "import": (imports, nothing),
    }


@pytest.mark.parametrize("name", unknown())
def test_what_may_change_unseen_is_traced_each_time(name: str) -> None:
    function, change = unknown()[name]
    gradient = go.grad(function)
    before = gradient(X)
    change()
    after: list[Any] = []
    assert traces(lambda: after.append(gradient(X))) == 1
    assert not np.array_equal(before, after[0])


def test_effects_happen_each_time() -> None:
    seen: list[Any] = []
    gradient = go.grad(lambda x: seen.append(x.shape) or np.sum(x))
    for _ in range(3):
        seen.clear()
        gradient(X)
        assert seen == [(3,)]


def test_two_names_of_one_list_are_not_two_lists() -> None:
    a: list[float] = []
    b = a

    def f(x: Any) -> Any:
        a.append(1.0)
        a.pop()
        return np.sum(x) * (2 if a is b else 3)

    gradient = go.grad(f)
    assert gradient(X)[0] == 2
    b = []
    assert gradient(X)[0] == 3


def test_methods_of_arguments_may_change() -> None:
    @dataclasses.dataclass
    class Pair:
        w: Any

        def loss(self) -> Any:
            return np.sum(self.w) * 2

    gradient = go.grad(lambda pair: pair.loss())
    assert gradient(Pair(X)).w[0] == 2
    Pair.loss = lambda self: np.sum(self.w) * 3  # type: ignore[method-assign]
    assert gradient(Pair(X)).w[0] == 3
    assert gradient(Pair(X)).w[0] == 3


def test_large_arrays_are_not_kept() -> None:
    def use() -> weakref.ref[Any]:
        large = np.ones(1 << 20)
        gradient = go.grad(lambda x: np.sum(x) * large[5])
        assert gradient(X)[0] == 1
        large[5] = 2
        assert gradient(X)[0] == 2
        return weakref.ref(large)

    array = use()
    gc.collect()
    assert array() is None


def test_a_failed_trace_is_not_kept() -> None:
    gradient = go.grad(lambda x: x * factor)
    for _ in range(2):
        with pytest.raises(go.errors.NonScalarLossError):
            gradient(X)
    assert gradient(2.0) == factor
