# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Elements that a mask selects are read and written to, and ufuncs are evaluated there alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt import errors

gnp: Any = go.numpy

V = np.array([0.5, -1.5, 2.0, 3.0, -0.25])


@pytest.mark.parametrize("reduce", [np.sum, np.prod, np.mean])
def test_sums_and_means_of_masked_elements(reduce: Any) -> None:
    def f(x: Any, limit: Any) -> Any:
        return reduce(np.sin(x[x > limit])) + getattr(x[x > limit], reduce.__name__)() * 2

    for x in (V, np.outer(V, V)):
        np.testing.assert_allclose(go.compile(f)(x, 0.1), f(x, 0.1), rtol=1e-13)
        go.gradcheck(lambda x: f(x, 0.1), (x,))
    mask = V > 0
    same = go.compile(lambda x, m: (np.any(x[m] > 9), (x[m] > 0).all()))(V, mask)
    assert (bool(same[0]), bool(same[1])) == (False, True)


def test_masked_elements_keep_what_they_were_and_their_type() -> None:
    def f(i: Any) -> Any:
        y, m = i + 0, i > 1
        before = y[m]
        assert isinstance(before, np.ndarray)
        y[m] = 7
        y[m] += before
        y[m] = y[m] / 2.0
        return y

    i = np.arange(4, dtype=np.int16)
    expected, actual = f(i), go.compile(f)(i)
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)

    def cast(i: Any) -> Any:
        y = i + 0
        y[i > 1] += 0.5
        return y

    with pytest.raises(errors.DTypeError, match="Cannot cast"):
        go.compile(cast)(i)


def test_masked_elements_have_derivatives_only_where_they_are() -> None:
    def f(x: Any, v: Any) -> Any:
        y, m = x * 1.0, x > 0
        y[m] = np.sqrt(x[m]) + np.log(x[m])
        y[~m & (x > 1e9)] /= v
        y[m] /= x[m]
        return np.sum(y)

    x = np.array([0.25, 0.0, -2.0])
    expected = np.array([-0.5 * 0.25**-1.5 + (1 - np.log(0.25)) / 0.25**2, 1.0, 1.0])
    gradients = go.compile_grad(f, (0, 1))(x, 0.0)
    np.testing.assert_allclose(gradients[0], expected, rtol=1e-14)
    assert gradients[1] == 0
    _, tangent = go.jvp(f, (x, 0.0), (np.array([1.0, 2.0, 3.0]), 1.0))
    np.testing.assert_allclose(tangent, expected @ [1.0, 2.0, 3.0], rtol=1e-14)


def test_masked_ufuncs_have_derivatives_only_where_they_are_evaluated() -> None:
    def f(x: Any) -> Any:
        mask = x != 0
        y = np.divide(1.0, x, out=np.zeros_like(x), where=mask)
        return np.sum(np.log(x * x, out=y.copy(), where=mask) + np.sqrt(x, out=y, where=x > 0))

    x = np.array([0.5, 0.0, -2.0])
    expected = np.array([2 / 0.5 + 0.5 / 0.5**0.5, 0.0, -1 + -1 / 4])
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(go.compile(f)(x), f(x))
    np.testing.assert_allclose(go.compile_grad(f)(x), expected)


@pytest.mark.parametrize("divisor", [lambda v: v, lambda v: [v], lambda v: gnp.array([v, v])])
def test_masked_ufuncs_have_finite_derivatives_in_operands_that_are_broadcast(divisor: Any) -> None:
    def f(x: Any, v: Any) -> Any:
        return np.sum(np.divide(x, divisor(v), out=np.zeros_like(x), where=x > 1))

    x = np.array([1.0, 0.5])
    assert go.compile_grad(f, 1)(x, 0.0) == 0
    value, tangent = go.jvp(f, (x, 0.0), (x, 1.0))
    assert value == 0
    assert tangent == 0


def test_nothing_is_assigned_where_a_mask_is_false() -> None:
    """A mask that selects nothing takes an array of no values, and no other."""

    def f(x: Any, values: Any) -> Any:
        y = x.copy()
        y[x > 5] = values
        np.add.at(y, np.flatnonzero(x > 5), 1.0)
        return y

    x = np.arange(4.0)
    for values in (np.zeros(0), x[:0]):
        np.testing.assert_array_equal(go.compile(f)(x, values), x)
        np.testing.assert_array_equal(go.jacrev(f)(x, values), np.eye(4))
        np.testing.assert_array_equal(go.vmap(f, (0, None))(np.stack([x, -x]), values)[1], -x)
        with pytest.raises(ValueError, match="0"):
            go.compile(f)(x + 3, values)
    np.testing.assert_array_equal(go.compile(f)(x[:0], x[:0]), x[:0])
