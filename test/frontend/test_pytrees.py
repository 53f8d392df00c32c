# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Containers are taken apart and put together with all they hold, and without constructors."""

from __future__ import annotations

import collections
import dataclasses
import functools
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import pytest

import gradopt as go
from gradopt import errors
from gradopt.base.pytree import flatten, leaf_paths, tree_map

X = np.arange(3.0)
T = TypeVar("T")


@dataclasses.dataclass
class WithInitVar:
    w: Any
    factor: dataclasses.InitVar[float] = 2.0

    def __post_init__(self, factor: float) -> None:
        self.scaled = self.w * factor


@dataclasses.dataclass
class Doubles:
    w: Any

    def __post_init__(self) -> None:
        self.w = self.w * 2


@dataclasses.dataclass
class Plain:
    w: Any
    scale = 2.0


@dataclasses.dataclass(frozen=True)
class Frozen:
    w: Any
    name: dataclasses.InitVar[str] = "a"

    def __post_init__(self, name: str) -> None:
        object.__setattr__(self, "label", name)


@dataclasses.dataclass(slots=True)
class Slotted:
    w: Any
    unset: Any = dataclasses.field(init=False)


class Base:
    __slots__ = ("__hidden", "shown")

    def hide(self, value: Any) -> None:
        self.__hidden = value

    def reveal(self) -> Any:
        return self.__hidden


@dataclasses.dataclass(slots=True)
class Derived(Base):
    w: Any


@dataclasses.dataclass(kw_only=True)
class KeywordOnly(Generic[T]):
    w: T
    steps: Any = dataclasses.field(init=False, default=1.0)


@dataclasses.dataclass
class Refusing:
    w: Any

    def __init__(self, *, from_nothing: Any) -> None:
        raise AssertionError("the constructor is called")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AssertionError("the instance is changed")


class Pair(NamedTuple):
    a: Any
    b: Any


class Named(Pair):
    """A named tuple with a constructor and a `__dict__` of its own."""

    def __new__(cls, a: Any, b: Any) -> Named:
        return super().__new__(cls, a * 2, b)


def refusing() -> Refusing:
    made = object.__new__(Refusing)
    object.__setattr__(made, "w", X)
    return made


def with_attributes(value: Any, **attributes: Any) -> Any:
    for name, attribute in attributes.items():
        object.__setattr__(value, name, attribute)
    return value


def hidden(value: Any, **attributes: Any) -> Any:
    value.hide(X * 5)
    return with_attributes(value, **attributes)


CASES: dict[str, tuple[Any, Any]] = {
    "initvar": (WithInitVar(X, 5.0), lambda d: d.w * d.scaled),
    "post_init": (Doubles(X), lambda d: d.w + 0.0),
    "class attribute": (Plain(X), lambda d: d.w * d.scale),
    "attribute": (with_attributes(Plain(X), scale=7.0), lambda d: d.w * d.scale),
    "attribute array": (with_attributes(Plain(X), scale=X + 1), lambda d: d.w * d.scale),
    "attribute tree": (with_attributes(Plain(X), parts=[X, {"y": (X + 1, "text")}, None]), lambda d: d.w * d.parts[0] + d.parts[1]["y"][0] + len(d.parts[1]["y"][1])),
    "attribute dataclass": (with_attributes(Plain(X), inner=Frozen(X, "abcd")), lambda d: d.w * d.inner.w * len(d.inner.label)),
    "frozen": (Frozen(X, "long"), lambda d: d.w * len(d.label)),
    "slots": (Slotted(X), lambda d: d.w * (2 if hasattr(d, "unset") else 3)),
    "slots set": (with_attributes(Slotted(X), unset=X + 4), lambda d: d.w * d.unset),
    "inherited slots": (hidden(Derived(X), shown=3), lambda d: d.w * d.reveal() * d.shown),
    "keyword only": (with_attributes(KeywordOnly(w=X), steps=5.0), lambda d: d.w * d.steps),
    "refusing constructor": (refusing(), lambda d: d.w * 2),
    "namedtuple": (Pair(X, 2.0), lambda d: d.a * d.b),
    "namedtuple constructor": (Named(X, 2.0), lambda d: d.a * d.b),
    "namedtuple attribute": (with_attributes(Named(X, 2.0), c=X, n=3), lambda d: d.a * d.b * d.c * d.n),
    "ordered dict": (collections.OrderedDict(b=X, a=2.0), lambda d: next(iter(d.values())) * d["a"]),
    "default dict": (collections.defaultdict(lambda: X, a=2.0), lambda d: d["a"] * d.default_factory()),
}  # fmt: skip


def assert_same(actual: Any, expected: Any) -> None:
    """Equal in type, attributes and leaves."""
    assert type(actual) is type(expected)
    leaves, tree = flatten(actual)
    expected_leaves, expected_tree = flatten(expected)
    assert tree == expected_tree
    for a, e in zip(leaves, expected_leaves, strict=True):
        np.testing.assert_array_equal(a, e)


@pytest.mark.parametrize("name", CASES)
def test_functions_see_the_whole_argument(name: str) -> None:
    value, function = CASES[name]
    expected = function(value)
    np.testing.assert_array_equal(go.compile(function)(value), expected)
    np.testing.assert_array_equal(go.compile(lambda v: function(v[0]))([value]), expected)


@pytest.mark.parametrize("name", CASES)
def test_results_are_whole(name: str) -> None:
    value, _ = CASES[name]
    compiled = go.compile(lambda v: v)
    for _ in range(2):
        assert_same(compiled(value), tree_map(lambda leaf: leaf, value))
    assert_same(tree_map(lambda leaf: leaf, value), value)


@pytest.mark.parametrize("name", CASES)
def test_gradients_have_the_structure(name: str) -> None:
    value, function = CASES[name]
    gradient = go.grad(lambda v: np.sum(function(v)))(value)
    leaves, tree = flatten(value)
    slopes, gradient_tree = flatten(gradient)
    assert type(gradient) is type(value)
    assert gradient_tree == tree
    for i, (leaf, slope) in enumerate(zip(leaves, slopes, strict=True)):
        for j in range(np.size(leaf)):

            def at(step: float, i: int = i, j: int = j) -> float:
                moved = [np.array(each, float) for each in leaves]
                moved[i].flat[j] += step
                return float(np.sum(function(tree.unflatten(moved))))

            numeric = at(0.5) - at(-0.5)  # The functions are at most quadratic.
            np.testing.assert_allclose(np.ravel(slope)[j], numeric, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_products_and_lowered_functions_take_the_structure(name: str) -> None:
    value, function = CASES[name]
    (gradient,) = go.vjp(lambda v: np.sum(function(v)), value)[1](1.0)
    assert_same(gradient, go.grad(lambda v: np.sum(function(v)))(value))
    _, tangent = go.jvp(lambda v: np.sum(function(v)), (value,), (value,))
    products = [np.sum(a * b) for a, b in zip(flatten(gradient)[0], flatten(value)[0], strict=True)]
    np.testing.assert_allclose(tangent, sum(products), rtol=1e-12)
    lowered = go.compile(function).lower(value).compile()
    np.testing.assert_array_equal(lowered(value), function(value))


def test_products_of_integer_attributes() -> None:
    value = with_attributes(Plain(X), scale=np.array([3, 4, 5]))
    direction = with_attributes(Plain(X), scale=np.zeros(3, int))
    _, tangent = go.jvp(lambda d: d.w * d.scale, (value,), (direction,))
    np.testing.assert_array_equal(tangent, X * value.scale)


def test_results_made_inside_keep_their_attributes() -> None:
    def f(x: Any) -> Any:
        return with_attributes(Plain(x * 2), scale=x + 1, tag="t", parts=[1, "b", x])

    made = go.compile(f)(X)
    np.testing.assert_array_equal(made.w, X * 2)
    np.testing.assert_array_equal(made.scale, X + 1)
    assert made.tag == "t"
    assert made.parts[:2] == [1, "b"]
    np.testing.assert_array_equal(made.parts[2], X)
    again = go.compile(f)(X)
    assert again.parts is not made.parts


def test_attributes_that_are_no_arrays_select_code() -> None:
    function = go.compile(lambda d: d.w * d.scale)
    w = np.arange(3, dtype=np.int32)
    for scale, dtype in ((2, np.int32), (2.0, np.float64), (True, np.int32), (3, np.int32)):
        result = function(with_attributes(Plain(w), scale=scale))
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, w * scale)
    assert function.cache_size() == 4


def test_cached_properties_are_computed_anew() -> None:
    @dataclasses.dataclass
    class Cached:
        w: Any

        @functools.cached_property
        def square(self) -> Any:
            return np.sum(self.w**2)

    value = Cached(X)
    gradient = go.compile_grad(lambda d: d.square)
    np.testing.assert_array_equal(gradient(value).w, 2 * X)
    assert value.square == np.sum(X**2)
    np.testing.assert_array_equal(gradient(value).w, 2 * X)


def test_what_cannot_be_taken_apart_is_refused() -> None:
    @dataclasses.dataclass
    class Mapping(dict):  # type: ignore[type-arg]
        w: Any

    with pytest.raises(errors.ArgumentTypeError, match="Mapping is more than its attributes"):
        go.compile(lambda d: d.w)(Mapping(X))
    value = with_attributes(Plain(X), tags={"a"})
    with pytest.raises(
        errors.ArgumentTypeError, match=r"attribute 'tags' of the Plain holds a set"
    ):
        go.compile(lambda d: d.w)(value)
    for kind in (
        collections.Counter,
        type("List", (list,), {}),
        type("Tuple", (tuple,), {}),
        type("Dict", (dict,), {}),
    ):
        with pytest.raises(errors.ArgumentTypeError, match="is not an array, number or pytree"):
            go.compile(lambda d: 1.0)(kind())


def test_changes_of_arguments_are_errors() -> None:
    def append(d: Any) -> Any:
        d.parts.append(d.w)
        return d.w

    def add(d: Any) -> Any:
        d.new = 1
        return d.w

    for change in (append, add):
        with pytest.raises(errors.MutationError, match="changes its arguments"):
            go.compile(change)(with_attributes(Plain(X), parts=[]))
    with pytest.raises(errors.MutationError, match="changes its arguments"):
        go.compile(lambda d: d["new"])(collections.defaultdict(lambda: X))


def test_static_objects_may_change() -> None:
    @dataclasses.dataclass(frozen=True)
    class Config:
        n: int

    def f(x: Any, config: Any) -> Any:
        with_attributes(config, seen={"anything": 1})
        return x * config.n

    np.testing.assert_array_equal(go.compile(f, static_argnums=1)(X, Config(3)), 3 * X)


def test_paths_name_attributes() -> None:
    value = with_attributes(Named(X, {"k": X}), c=[X], tag="t")
    _, tree = flatten((value, with_attributes(Plain(X), scale=X)))
    assert leaf_paths(tree, "v") == ["v[0].a", "v[0].b['k']", "v[0].c[0]", "v[1].w", "v[1].scale"]
    with pytest.raises(errors.ArgumentTypeError, match=r"d\.scale is an array of objects"):
        go.compile(lambda d: d.w)(with_attributes(Plain(X), scale=np.array([None])))


def test_containers_without_end_are_refused() -> None:
    def itself(x: Any) -> list[Any]:
        made: list[Any] = [x]
        made.append(made)
        return made

    def deep(x: Any) -> Any:
        for _ in range(3000):
            x = [x]
        return x

    for make in (itself, deep):
        with pytest.raises(errors.ArgumentError, match="nested too deeply, or contains itself"):
            go.compile(lambda x: 1.0)(make(np.ones(2)))
        with pytest.raises(errors.ArgumentError, match="nested too deeply, or contains itself"):
            go.compile(make, capture="trace")(np.ones(2))
    nested = deep(1.0)
    for _ in range(2900):
        nested = nested[0]
    assert go.compile(lambda x: 2.0)(nested) == 2
