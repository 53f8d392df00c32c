# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Static values make other code if they differ in type or in bits, however deep."""

from __future__ import annotations

import collections
import dataclasses
import decimal
import enum
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from budget import by_hypothesis
from hypothesis import given
from hypothesis import strategies as st

import gradopt as go
from gradopt.base.statics import static_key

I = np.arange(3, dtype=np.int32)  # noqa: E741
Named = collections.namedtuple("Named", "a")
Other = collections.namedtuple("Other", "a")


@dataclasses.dataclass(frozen=True)
class Frozen:
    a: Any


@dataclasses.dataclass(frozen=True)
class Remark:
    a: Any
    remark: Any = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True)
class Derived:
    a: Any
    seed: dataclasses.InitVar[Any] = None

    def __post_init__(self, seed: Any) -> None:
        object.__setattr__(self, "b", seed)


class Unit(float):
    def __new__(cls, value: float, unit: str = "m") -> Unit:
        made = super().__new__(cls, value)
        made.unit = unit
        return made


class Color(enum.IntEnum):
    red = 1


class Box:
    """A pytree with data."""

    def __init__(self, w: Any, s: Any) -> None:
        self.w, self.s = w, s


go.register_pytree(Box, lambda box: ((box.w,), box.s), lambda s, children: Box(children[0], s))

# Values that Python takes for equal, and that make different code.
ALIKE: list[list[Any]] = [
    [1, 1.0, True, np.float64(1), np.float32(1), np.int64(1), np.int32(1), np.True_, Color.red, decimal.Decimal(1), decimal.Decimal("1.0"), 1 + 0j, Unit(1), Unit(1, "s")],
    [0.0, -0.0, 0, False, np.float64(0), np.float64(-0.0), np.float32(-0.0), 0j, -0j],
    ["a", np.str_("a")],
    [range(0, 3, 2), range(0, 4, 2)],
]  # fmt: skip

WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "itself": lambda v: v,
    "tuple": lambda v: ("x", (v,)),
    "namedtuple": Named,
    "frozen dataclass": Frozen,
    "derived attribute": lambda v: Derived(0, v),
    "frozenset": lambda v: frozenset([v, "x"]),
    "deep": lambda v: (Named(Frozen((frozenset([Other(v)]),))), 1),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=list(WRAPPERS))
def test_keys_differ_where_code_may(wrap: Callable[[Any], Any]) -> None:
    for values in ALIKE:
        keys = [static_key(wrap(value)) for value in values]
        assert len(set(keys)) == len(values)
        assert keys == [static_key(wrap(value)) for value in values]
    nan = float("nan")
    assert static_key(wrap(nan)) == static_key(wrap(float("nan")))
    assert hash(static_key(wrap(nan))) == hash(static_key(wrap(float("nan"))))
    assert static_key(wrap(nan)) != static_key(wrap(-nan))


def test_keys_of_containers_differ_by_type() -> None:
    values: list[Any] = [(1,), Named(1), Other(1), Frozen(1), (Named, 1), (tuple, 1), frozenset([1]), (int, 1), None, "None", (), b"a"]  # fmt: skip
    assert len({static_key(value) for value in values}) == len(values)
    assert static_key(Remark(1, "x")) == static_key(Remark(1, "y"))
    assert static_key(Remark(1, "x")) != static_key(Remark(1.0, "x"))
    with pytest.raises(TypeError, match="unhashable"):
        static_key((object.__new__(type("Bare", (), {"__eq__": lambda a, b: True})),))


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    a: Any
    remark: Any = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(unsafe_hash=True)
class Changing:
    a: Any

    @functools.cached_property
    def twice(self) -> Any:
        return self.a * 2


NATIVE_WRAPPERS = WRAPPERS | {
    "slots": Slotted,
    "nested": lambda v: Frozen((Slotted(Frozen(v)), Named(Slotted(v)))),
    "frozenset of frozensets": lambda v: frozenset([frozenset([v, "x"]), frozenset(["x"])]),
    "frozenset of dataclasses": lambda v: frozenset([Frozen(v)]),
}


@pytest.mark.parametrize("wrap", NATIVE_WRAPPERS.values(), ids=list(NATIVE_WRAPPERS))
def test_calls_are_told_apart_as_keys_are(wrap: Callable[[Any], Any]) -> None:
    for values in [*ALIKE, [float("nan"), -float("nan")]]:
        f = go.compile(lambda x, s: x * 2, static_argnums=1)
        for value in [*values, *values]:
            f(1.0, wrap(value))
        assert f.cache_size() == len({static_key(wrap(value)) for value in values})


def test_frozensets_have_no_order() -> None:
    f = go.compile(lambda x, s: x * 2, static_argnums=1)
    for items in ([0, 8, 16, "a"], ["a", 16, 8, 0], [16, "a", 0, 8]):
        f(1.0, frozenset(items))
    assert f.cache_size() == 1
    nans = [float("nan"), float("nan")]
    for items, size in ((nans, 2), ([nans[0], 1.0], 3), ([1.0, nans[1]], 3)):
        f(1.0, frozenset(items))
        assert f.cache_size() == size


def test_it_counts_what_an_object_holds_now() -> None:
    f = go.compile(lambda x, s: x * s.a, static_argnums=1)
    value = Changing(2)
    assert f(1, value) == 2
    value.a = 3
    assert f(1, value) == 3
    assert (value.twice, f(1, value), f.cache_size()) == (6, 3, 2)
    frozen = Slotted(2, "x")
    assert f(1, frozen) == 2
    object.__setattr__(frozen, "a", 2.0)
    assert type(f(1, frozen)) is np.float64
    assert f(1, Slotted(2.0, "y")) == 2
    assert f.cache_size() == 4
    object.__delattr__(frozen, "a")
    with pytest.raises(AttributeError):
        f(1, frozen)
    with pytest.raises(go.errors.ArgumentTypeError, match="not hashable"):
        f(1, Frozen([2]))


ATOMS = st.one_of(
    st.integers(-2, 2),
    st.booleans(),
    st.sampled_from([0.0, -0.0, 1.0, 2.0, float("nan"), float("inf")]),
    st.sampled_from(["", "a", "1"]),
    st.none(),
    st.sampled_from([np.float64(0.0), np.float64(-0.0), np.float32(1), np.int8(1), np.True_]),
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2).map(tuple),
        inner.map(Named),
        inner.map(Other),
        inner.map(Frozen),
        inner.map(Slotted),
        inner.map(lambda value: frozenset([value])),
    ),
    max_leaves=4,
)


@by_hypothesis(60)
@given(VALUES, VALUES)
def test_keys_are_as_fine_as_repr(a: Any, b: Any) -> None:
    assert (static_key(a) == static_key(b)) == (repr(a) == repr(b))


@by_hypothesis(60)
@given(st.lists(VALUES, min_size=1, max_size=6))
def test_each_call_runs_its_own_code(values: list[Any]) -> None:
    """As static argument, dict key, data of a pytree: what is traced is what the call gave."""
    table: dict[str, int] = {}

    def number(value: Any) -> int:
        return table.setdefault(repr(value), len(table))

    by_argument = go.compile(lambda x, s: x + number(s), static_argnums=1)
    by_name = go.compile(lambda x, s: x + number(s), static_argnames="s")
    by_key = go.compile(lambda d: [v + number(k) for k, v in d.items()])
    by_nested_key = go.compile(lambda d: [v + number(k) for k, v in d.a.items()])
    by_data = go.compile(lambda box: box.w + number(box.s))
    for value in values:
        for _ in range(2):
            assert by_argument(1, value) == 1 + number(value)
            assert by_name(1, s=value) == 1 + number(value)
            assert by_key({value: 1}) == [1 + number(value)]
            assert by_nested_key(Named({value: 1})) == [1 + number(value)]
            assert by_data(Box(1, value)) == 1 + number(value)
    different = len({repr(value) for value in values})
    for compiled in (by_argument, by_name, by_key, by_nested_key, by_data):
        assert compiled.cache_size() == different


def test_types_of_results_follow() -> None:
    f = go.compile(lambda x, s: x * s.a, static_argnums=1)
    assert f(I, Named(1)).dtype == np.int32
    assert f(I, Named(1.0)).dtype == np.float64
    g = go.compile(lambda x, s: 1 / (x * s), static_argnums=1)
    assert g(np.ones(1), np.float64(0.0)) == np.inf
    assert g(np.ones(1), np.float64(-0.0)) == -np.inf
    h = go.compile(lambda d: {key: v * 2 for key, v in d.a.items()})
    assert [type(key) for key in h(Named({1: I}))] == [int]
    assert [type(key) for key in h(Named({True: I}))] == [bool]


def test_lowered_functions_check_static_values() -> None:
    def f(x: Any, s: Any, d: Any) -> Any:
        return x * s.a + d[1]

    compiled = go.compile(f, static_argnums=1).lower(I, Named(1), {1: 2}).compile()
    np.testing.assert_array_equal(compiled(I, Named(1), {1: 2}), I + 2)
    with pytest.raises(go.errors.ArgumentError, match="expected static"):
        compiled(I, Named(1.0), {1: 2})
    with pytest.raises(go.errors.ArgumentError, match="expected keys"):
        compiled(I, Named(1), {True: 2})


def test_objects_are_compared_as_they_say() -> None:
    class ByIdentity:
        pass

    class ByName:
        def __init__(self, name: str, count: int) -> None:
            self.name, self.count = name, count

        def __eq__(self, other: object) -> bool:
            return isinstance(other, ByName) and self.name == other.name

        def __hash__(self) -> int:
            return hash(self.name)

    f = go.compile(lambda x, s: x * 2, static_argnums=1)
    one, two = ByIdentity(), ByIdentity()
    for value, size in ((one, 1), (one, 1), (two, 2), (ByName("a", 1), 3), (ByName("a", 2), 3), (ByName("b", 1), 4), (len, 5), (int, 6), (len, 6)):  # fmt: skip
        f(I, value)
        assert f.cache_size() == size


def reduced(x: Any, how: str = "sum", *, by: bytes = b"1") -> Any:
    return getattr(np, how)(x) * int(by)


def test_texts_are_static_by_themselves(tmp_path: Path) -> None:
    x = np.array([1.0, 2.0, 4.0])
    compiled = go.compile(reduced)
    for _ in range(2):
        assert compiled(x) == 7.0
        assert compiled(x, "max") == compiled(x, how="max") == 4.0
        assert compiled(x, "prod", by=b"2") == 16.0
    assert compiled.cache_size() == 4
    np.testing.assert_array_equal(go.compile_grad(reduced)(x, "max"), [0.0, 0.0, 1.0])
    np.testing.assert_array_equal(go.grad(reduced)(x, "prod"), [8.0, 4.0, 2.0])
    assert compiled.lower(x, "min").compile()(x, "min") == 1.0
    go.save(compiled, tmp_path / "reduced")
    loaded = go.load(tmp_path / "reduced")
    assert loaded(x, "prod", by=b"2") == 16.0
    with pytest.raises(TypeError, match="saved for other arguments"):
        loaded(x, "mean")
    with pytest.raises(go.errors.ArgumentTypeError, match=r"how\['a'\] is of type str"):
        go.compile(reduced)(x, {"a": "max"})


def test_arguments_may_be_texts_in_some_calls() -> None:
    def f(x: Any, by: Any) -> Any:
        return x * (len(by) if isinstance(by, str) else by)

    x = np.array([1.0, 2.0])
    compiled = go.compile(f)
    for by in ("two", 3.0, np.str_("ab"), x, "two", 4.0, np.float64(2), 1):
        expected = x * len(by) if isinstance(by, str) else x * by
        np.testing.assert_array_equal(compiled(x, by), expected)
    # Of one number there is one code.
    assert compiled.cache_size() == 6
    assert go.grad(lambda x, by: np.sum(f(x, by)))(x, np.str_("abc"))[0] == 3
    assert go.compile(lambda x, by: go.vmap(f)(x, by))(x, "abcd")[0] == 4
    assert go.compile(lambda x, by: x * len(by))(x, np.bytes_(b"abc"))[0] == 3
    written = go.with_written(lambda x, by: x.__setitem__(0, 1.0 * len(by)))(x, "abc")[1]
    np.testing.assert_array_equal(written[0], [3.0, 2.0])
