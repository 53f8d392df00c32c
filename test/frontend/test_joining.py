# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Joined arrays have NumPy's values, dtypes and errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from budget import by_hypothesis
from hypothesis import given
from hypothesis import strategies as st

import gradopt as go
from gradopt import errors

DTYPES = ["?", "i1", "i2", "i4", "i8", "f4", "f8"]
CASTINGS = ["no", "equiv", "safe", "same_kind", "unsafe", "bogus"]
WITH_CASTING: list[Callable[..., Any]] = [
    np.concatenate, np.stack, np.vstack, np.hstack, lambda parts, **k: np.concatenate(parts, None, **k),
]  # fmt: skip
WITHOUT: list[Callable[..., Any]] = [
    np.dstack, np.column_stack, np.block, lambda parts: np.append(*parts), lambda parts: np.append(*parts, axis=0),
]  # fmt: skip


def assert_as_numpy(f: Callable[..., Any], *args: Any) -> None:
    try:
        expected = f(*args)
    except (TypeError, ValueError) as error:
        with pytest.raises(type(error)) as raised:
            go.compile(f)(*args)
        assert isinstance(raised.value, errors.GradoptError)
        return
    actual = go.compile(f)(*args)
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)


@by_hypothesis(60)
@given(
    st.sampled_from(WITH_CASTING),
    st.tuples(st.sampled_from(DTYPES), st.sampled_from(DTYPES)),
    st.one_of(st.none(), st.sampled_from(DTYPES)),
    st.one_of(st.none(), st.sampled_from(CASTINGS)),
    st.sampled_from([(2,), (2, 3), ()]),
    st.booleans(),
)
def test_casting_and_dtype(
    join: Callable[..., Any],
    dtypes: tuple[str, str],
    dtype: Any,
    casting: Any,
    shape: tuple[int, ...],
    both: bool,
) -> None:
    keywords = {k: v for k, v in (("dtype", dtype), ("casting", casting)) if v is not None}
    x, y = (np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(d) for d in dtypes)
    if both:
        assert_as_numpy(lambda x, y: join([x, y], **keywords), x, y)
    else:
        assert_as_numpy(lambda x: join([x, y], **keywords), x)


@by_hypothesis(60)
@given(st.sampled_from(WITHOUT), st.sampled_from(DTYPES), st.sampled_from(DTYPES))
def test_promotion(join: Callable[..., Any], left: str, right: str) -> None:
    x, y = np.arange(6).reshape(2, 3).astype(left), np.ones((2, 3), right)
    assert_as_numpy(lambda x: join([x, y]), x)


def test_lossy_joins_are_refused() -> None:
    i, v = np.array([1, 2], np.int8), np.array([300.7, -1.5])
    for join in (np.concatenate, np.vstack, np.hstack, np.stack):
        with pytest.raises(errors.DTypeError, match="float64 to int8 according to the rule 'same_kind'"):  # fmt: skip
            go.compile(lambda x, join=join: join([x, v], dtype=np.int8))(i)
        assert_as_numpy(lambda x, join=join: join([x, v % 9], dtype=np.int8, casting="unsafe"), i)


@pytest.mark.parametrize(
    "keywords", [{}, {"casting": "no"}, {"casting": "unsafe"}, {"dtype": "i1"}]
)
@pytest.mark.parametrize(("join", "shape"), [(np.concatenate, (4,)), (np.stack, (2, 2))])
def test_casting_into_an_output(join: Any, shape: Any, keywords: Any) -> None:
    def f(x: Any, y: Any) -> Any:
        out = np.zeros(shape, np.int8)
        join([x, y], out=out, **keywords)
        return out

    assert_as_numpy(f, np.array([1, 2], np.int8), np.array([300.7, -1.5]))


def test_row_stack_is_vstack() -> None:
    x = np.arange(3.0)
    row_stack: Any = getattr(np, "row_stack", np.vstack)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        np.testing.assert_array_equal(go.compile(lambda x: row_stack([x, x]))(x), [x, x])


def test_block() -> None:
    a, b = np.arange(4.0).reshape(2, 2), np.arange(6).reshape(2, 3)
    for f in (
        lambda a, b: np.block([[a, b], [b, a]]),
        lambda a, b: np.block([a, 1.5 * a]),
        lambda a, b: np.block([[a], [a]]),
        lambda a, b: np.block(a),
        lambda a, b: np.block([1, a[0], 2]),
        lambda a, b: np.block([[[a], [a]], [[a + 1], [a]]]),
        lambda a, b: np.block([[a, np.zeros((2, 1))], [np.ones(2), 3]]),
        lambda a, b: np.block([[a, b], a]),
        lambda a, b: np.block([[a, b], []]),
        lambda a, b: np.block([[a, b], (a, b)]),
        lambda a, b: np.block([[a, b], [a, a]]),
    ):
        assert_as_numpy(f, a, b)
    assert go.gradcheck(lambda a: np.block([[a, a**2], [np.sin(a), 1.5 * np.ones((2, 2))]]), a)


@pytest.mark.parametrize("name", ["concatenate", "stack", "vstack", "hstack", "dstack"])
def test_an_array_is_a_sequence_of_its_rows(name: str) -> None:
    function, m = getattr(np, name), np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(go.compile(lambda m: function(m))(m), function(m))
    cube = np.arange(8.0).reshape(2, 2, 2)
    np.testing.assert_array_equal(go.compile(lambda m: function(m))(cube), function(cube))
