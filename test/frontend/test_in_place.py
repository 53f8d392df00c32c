# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arrays made inside a function can be written to, as NumPy's."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt import errors

gnp: Any = go.numpy

V = np.array([0.5, -1.5, 2.0, 3.0, -0.25])
M = np.linspace(-1.0, 2.0, 12).reshape(3, 4)
MASK = np.array([True, False, True, True, False])


def assign(target: Any, index: Any, value: Any) -> Any:
    target[index] = value
    return target


def add_at(target: Any, index: Any, value: Any) -> Any:
    target[index] += value
    return target


def at(ufunc: Any, target: Any, *operands: Any) -> Any:
    return ufunc.at(target, *operands)


def done(target: Any, *actions: Any) -> Any:
    return target


def swapped(y: Any, i: Any, j: Any) -> Any:
    y[i], y[j] = y[j], y[i]
    return y


def recurrence(x: Any) -> Any:
    y = x * 0.0
    y[0] = x[0]
    for i in range(1, x.shape[0]):
        y[i] = y[i - 1] * x[i] + np.sin(y[i - 1])
    return y


def elimination(a: Any) -> Any:
    a = a + 4 * np.eye(a.shape[0])
    for k in range(a.shape[0] - 1):
        a[k + 1 :, k] /= a[k, k]
        a[k + 1 :, k + 1 :] -= np.outer(a[k + 1 :, k], a[k, k + 1 :])
    return a


def relaxation(x: Any) -> Any:
    y = x.copy()
    for _ in range(3):
        y[1:-1] = (y[:-2] + y[2:]) / 2 + y[1:-1] ** 2 / 8
    return y


def operators(x: Any) -> Any:
    y = x * 2.0
    y += x
    y -= 0.5
    y *= x + 3
    y /= x**2 + 1
    y **= 2
    return y


def through_views(x: Any) -> Any:
    y = x * 2.0
    y.T[1] = 3 * x[:, 0]
    y[::-1, 1:][0] *= x[0, 1:]
    y.reshape(2, 6)[1, ::2] = np.sin(x[0, 0])
    np.diagonal(y[:, :3]).copy()[0] = 9.0
    y[:, None, 3][2] -= x[1, 1]
    y.flat[3:5] = x[2, :2]
    return y


def overlapping(x: Any) -> Any:
    y = x * 1.0
    y[1:] = y[:-1]
    y[:-2] += y[2:]
    y[::-1] *= y
    np.add(y[:-1], y[1:], out=y[1:])
    return y


def fancy(x: Any) -> Any:
    y = x * 1.0
    y[[3, 1]] = x[:2] * 2
    y[[0, 0, 2]] = x[1:4]
    y[[4, 4]] += 1.5
    y[np.array([[0, 1], [1, 2]])] *= 2
    np.add.at(y, [1, 1, 3], x[:3])
    np.subtract.at(y, ([2, 2],), x[0])
    return y


def fancy_matrix(x: Any) -> Any:
    y = x * 1.0
    y[:, [1, 3]] = x[:, :2] ** 2
    y[[0, 2], 1:] = x[1, 1:]
    y[[0, 1], [2, 3]] = x[0, :2]
    y[1, [0, 0]] = x[2, 2:]
    y[[2, 0]][0] = 100.0
    np.add.at(y, ([0, 0], [1, 1]), x[0, :2])
    at(np.add, y, (slice(None), 2), x[:, 0])
    np.put_along_axis(y, np.array([[1], [0], [3]]), x[:, :1] * 5, 1)
    return y


def masked(x: Any) -> Any:
    y = x * 1.0
    y[y < 0] = 0.25
    y[MASK] = x[:3] ** 2
    y[~MASK] *= 3.0
    y[MASK] = x[4]
    y[y > 1e9] = np.sum(x)
    return y


def masked_matrix(x: Any) -> Any:
    y = x * 1.0
    y[y < 0] = x[0, 0]
    y[np.array([True, False, True])] = x[0]
    y[:, np.array([True, False, False, True])] = x[:, 1:2]
    y[..., x[0] > 0] = 0.125
    y[x[:, 0] > -0.5, 1:3] = x[0, 1:3]
    return y


def changed_by_mask(x: Any) -> Any:
    y, m = x * 1.0, x > 0
    y[m] += 1.5
    y[m] *= x[m]
    y[~m] -= np.sin(x[0])
    y[m] /= x[m] + x[2]
    y[x < 0] = -x[x < 0]
    y[m] = 2.0 - np.sqrt(x[m]) + np.maximum(y[m], 0.5) + x[0] * x[m] ** np.float64(1.5)
    part = y[m]
    part **= 2
    y[m] = 5.0
    y[m] -= part
    return y


def changed_by_mask_of_a_matrix(x: Any) -> Any:
    y, m = x * 1.0, x > 0.3
    y[m] = 1 / x[m] + 3 * np.tanh(y[m])
    y[:, x[0] > -0.6] += x[:, :1]
    y[x[:, 0] > -0.5] *= x[0]
    y[x[:, 0] > -0.5, 1:] = x[:1, 1:] - x[x[:, 0] > -0.5, 1:]
    y[..., x[1] > 0] /= 3.0
    return y


AT = (
    *(np.multiply, np.divide, np.maximum, np.minimum, np.fmax, np.fmin, np.add, np.subtract),
    *(np.hypot, np.arctan2, np.logaddexp, np.power, np.remainder, np.float_power, np.copysign),
)


def repeated(ufunc: Any) -> Callable[..., Any]:
    """A ufunc at positions that repeat, concrete and traced, of elements and of rows."""

    def function(x: Any, i: Any = 1) -> Any:
        y = np.abs(x) * 0.5 + 1.0
        rows = y.shape[0]
        ufunc.at(y, [0, 1, 0, -1, 0], np.linspace(0.5, 1.5, 5).reshape(-1, *[1] * (y.ndim - 1)))
        ufunc.at(y, gnp.array([i, 0, i]), np.abs(x[:3]) + 0.25)
        ufunc.at(y, slice(1, 3), 1.25)
        if y.ndim > 1:
            ufunc.at(y, ([2, 2], slice(None)), np.abs(x[:1]) + 1.1)
            ufunc.at(y, (slice(None), [1, 3, 1]), np.abs(x[:, :1]) + 0.75)
            ufunc.at(y, (np.arange(rows)[:, None], [0, 0]), 1.5)
            ufunc.at(y, (i, 0), y[0, 0] + 0.125)
        return y

    return function


def functions(x: Any) -> Any:
    y, z = x * 1.0, np.zeros_like(x)
    np.copyto(z, y)
    np.copyto(z, 3.0, where=x > 1)
    np.put(z, [0, -1], x[1:3])
    np.put(y, [7, 1], x[0], mode="wrap")
    np.place(y, MASK, x[2:4])
    np.putmask(y, x < 0, x[:2])
    z[1:3].fill(x[0])
    np.sin(z, out=z)
    np.exp(y[:2], out=z[3:])
    np.add(x, 1, out=z[:, None].T[0], where=x > 0)
    return y, z


def matrix_functions(x: Any) -> Any:
    y, z = x * 1.0, gnp.zeros((3, 3))
    np.fill_diagonal(y, x[0, :2])
    np.matmul(x, x.T, out=z)
    z @= z
    np.dot(x, x.T, out=z[::-1]) if False else None
    s, t = gnp.empty(3), gnp.empty(4)
    np.sum(x, 1, out=s)
    np.mean(x, axis=0, out=t)
    np.cumsum(t, out=t)
    np.maximum(z, z.T, out=z)
    np.concatenate([x[:1], x[1:2] ** 2], out=y[:2])
    np.clip(y, -0.5, 1.5, y)
    return y, z, s, t


def made_inside(x: Any) -> Any:
    zeros, ones, empty = gnp.zeros(3), gnp.ones((2, 2)), gnp.empty(2)
    full, numbers, eye = gnp.full(2, 7.0), gnp.arange(4.0), gnp.eye(2)
    listed, single = gnp.array([1.0, 2.0]), gnp.array(0.0)
    zeros[1] = x[0]
    ones[0] *= x[1]
    empty[:] = x[:2]
    full[0] += x[2]
    numbers[1:3] *= x[:2]
    eye[0, 1] = x[3]
    listed[-1] = x[4]
    for i in range(2):
        single += x[i]
    single[...] = single * 2
    return zeros, ones, empty, full, numbers, eye, listed, single


def scalars_are_values(x: Any) -> Any:
    y = x * 1.0
    s, e = np.sum(y), y[1]
    t, d = s, e
    s += 1.0
    e *= 3.0
    y[1] = 10.0
    return s, t, e, d


def same_array_twice(x: Any) -> Any:
    y = x * 1.0
    z = y
    z += 1
    w = y[:]
    w[0] = 5.0
    return y, z, w


def by_index(x: Any, i: Any) -> Any:
    y = x * 1.0
    y[i] = x[0] ** 2
    y[i - 1] += x[1]
    y[i], y[0] = y[0], y[i]
    y[[1, i]] = x[2:4]
    y[gnp.array([i, 0, i])] = x[:3]
    np.add.at(y, gnp.array([i, i]), x[:2])
    return y


def by_index_of_a_matrix(x: Any, i: Any) -> Any:
    y = x * 1.0
    y[i] = x[0] * 2
    y[i, 1] = x[0, 0]
    y[:, i] *= 3.0
    y[1:, ::2][0, i - 1] = x[2, 2]
    y[i, [0, 2]] = x[1, :2]
    y[i := i, None] += 1.0
    return y


FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "recurrence": (recurrence, (V,)),
    "elimination": (elimination, (M[:, :3],)),
    "relaxation": (relaxation, (V,)),
    "operators": (operators, (V,)),
    "views": (through_views, (M,)),
    "overlapping": (overlapping, (V,)),
    "fancy": (fancy, (V,)),
    "fancy_matrix": (fancy_matrix, (M,)),
    "masked": (masked, (V,)),
    "masked_matrix": (masked_matrix, (M,)),
    "changed_by_mask": (changed_by_mask, (V,)),
    "changed_by_mask_of_a_matrix": (changed_by_mask_of_a_matrix, (M,)),
    **{f"{ufunc.__name__}.at": (repeated(ufunc), (V,)) for ufunc in AT},
    **{f"{ufunc.__name__}.at of a matrix": (repeated(ufunc), (M,)) for ufunc in AT},
    "functions": (functions, (V,)),
    "matrix_functions": (matrix_functions, (M,)),
    "made_inside": (made_inside, (V,)),
    "scalars": (scalars_are_values, (V,)),
    "same_array": (same_array_twice, (V,)),
    "swapped elements": (lambda x: swapped(x * 1.0, 1, 3), (V,)),
    "swapped rows": (lambda x: swapped(x * 1.0, 0, 2), (M,)),
    "swapped copies": (lambda x: swapped(x * 1.0, [0, 2], [2, 0]), (M,)),
    "by_index": (lambda x: by_index(x, 3), (V,)),
    "by_index_of_a_matrix": (lambda x: by_index_of_a_matrix(x, 2), (M,)),
    "value of one element": (lambda x: assign(x * 1.0, (2, ...), x[3:4]), (V,)),
    "leading ones": (lambda x: assign(x * 1.0, slice(1, 3), x[None, None, :2]), (V,)),
    "nothing": (lambda x: assign(x * 1.0, slice(2, 2), x[:0]), (V,)),
    "no index": (lambda x: add_at(x * 1.0, [], 1.0), (V,)),
    "0-d": (lambda x: assign(gnp.array(x[0]), (), x[1]), (V,)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values(name: str) -> None:
    function, args = FUNCTIONS[name]
    expected, actual = function(*args), go.compile(function)(*args)
    for e, a in zip(_tuple(expected), _tuple(actual), strict=True):
        assert a.dtype == np.asarray(e).dtype
        np.testing.assert_allclose(a, e, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives(name: str) -> None:
    function, args = FUNCTIONS[name]
    # Away from the kinks of max, clip and masks.
    moved = tuple(
        [np.array(a) + 0.0137 * np.cos(np.arange(np.size(a))).reshape(np.shape(a)) for a in args]
    )
    assert go.gradcheck(function, moved)


@pytest.mark.parametrize(
    "name",
    [
        *("recurrence", "relaxation", "fancy", "views", "masked", "changed_by_mask"),
        *("changed_by_mask_of_a_matrix", "multiply.at", "divide.at of a matrix", "power.at"),
    ],
)
def test_second_derivatives(name: str) -> None:
    function, args = FUNCTIONS[name]
    assert go.gradcheck(lambda x: np.sum(np.sin(function(x)) * x), args, order=2)


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (by_index, V),
        (by_index_of_a_matrix, M),
        (repeated(np.divide), V),
        (repeated(np.maximum), M + 0.0137),
        (repeated(np.power), M),
    ],
)
def test_traced_indices(function: Callable[..., Any], x: Any) -> None:
    compiled = go.compile(function)
    for i in (1, 2):
        np.testing.assert_allclose(compiled(x, i), function(x, i), rtol=1e-14)
        assert go.gradcheck(lambda x, i=i: go.compile(function)(x, i), (x,))
        for f in (function,):

            def loss(x: Any, i: Any, f: Any = f) -> Any:
                return np.sum(np.sin(f(x, i)))

            def numeric(x: Any, i: int, f: Any = f) -> Any:
                return go.grad(lambda x: np.sum(np.sin(f(x, i))))(x)

            np.testing.assert_allclose(go.compile_grad(loss)(x, i), numeric(x, i), rtol=1e-12)
    with pytest.raises(IndexError, match="index 7 is out of bounds"):
        compiled(x, 7)


def test_the_last_of_repeated_positions_stays() -> None:
    def f(x: Any, i: Any) -> Any:
        y = gnp.zeros(3)
        y[i] = x
        return y

    x, i = np.arange(1.0, 6.0), np.array([2, 0, 2, 1, 0])
    np.testing.assert_array_equal(go.compile(f)(x, i), [5, 4, 3])
    weights = np.array([10.0, 20.0, 30.0])
    gradient = go.compile_grad(lambda x, i: np.sum(weights * f(x, i)))(x, i)
    np.testing.assert_array_equal(gradient, [0, 0, 30, 20, 10])


def test_dtypes_and_casts() -> None:
    def f(x: Any) -> Any:
        i, s = gnp.zeros(3, np.int64), x.astype(np.float32)
        i[:] = x  # An assignment truncates.
        s += x  # Computed in float64, then rounded.
        s[0] = 1 / 3
        j = i.copy()
        j += True
        b = x > 0
        b |= i > 1
        b[0] = 0
        return i, s, j, b

    x = np.array([1.75, -2.5, 0.1])
    for actual, expected in zip(go.compile(f)(x), f(x), strict=True):
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        (lambda i: i.__iadd__(0.5), TypeError, "Cannot cast ufunc 'add' output"),
        (lambda i: i.__itruediv__(2), TypeError, "Cannot cast ufunc 'divide' output"),
        (lambda i: np.sin(i, out=i), TypeError, "Cannot cast ufunc 'sin' output"),
        (lambda i: np.copyto(i, i / 2), TypeError, "Cannot cast"),
        (lambda i: np.copyto(i, 0.5), TypeError, "Cannot cast"),
        (lambda i: i.__iadd__(np.ones((2, 3), int)), ValueError, "non-broadcastable"),
        (lambda i: np.sum(i, out=i), ValueError, "output parameter"),
        (lambda i: assign(i, slice(0, 2), np.arange(3)), ValueError, "could not broadcast"),
        (lambda i: assign(i, [0, 1], np.arange(3)), ValueError, "broadcast"),
        (lambda i: assign(i, 0, i[:2]), ValueError, "with a sequence"),
        (lambda i: assign(i[0], ..., 1), TypeError, "a scalar does not change"),
        (lambda i: assign(i, np.array([True, False]), 0), IndexError, "boolean index"),
        (lambda i: assign(i, 3, 0), IndexError, "out of bounds"),
        (lambda i: assign(i, (0, 0), 0), IndexError, "too many indices"),
        (lambda i: assign(np.broadcast_to(i, (2, 3)), 0, 0), ValueError, "read-only"),
        (lambda i: np.fill_diagonal(i, 0), ValueError, "at least 2-d"),
        (lambda i: assign(i, 0, math.nan), ValueError, "NaN to integer"),
        (lambda i: assign(i, i > 0, math.nan), ValueError, "NaN to integer"),
        (lambda i: assign(i, ..., np.float64(math.nan)), ValueError, "NaN to integer"),
        (lambda i: assign(i, 0, np.float32(1e30)), OverflowError, "out of bounds"),
        (lambda i: assign(i, 0, 1j), TypeError, "complex numbers cannot"),
        (lambda i: assign(i.astype("i1"), [0, 1], [300, 1]), OverflowError, "300"),
        (lambda i: assign(i.astype("i1"), i > 0, [300, 1]), OverflowError, "300"),
        (lambda i: np.put(i.astype("i1"), [0], [300]), OverflowError, "300"),
        (lambda i: np.fill_diagonal(np.outer(i, i).astype("i1"), [300]), OverflowError, "300"),
        (lambda i: np.pad(i.astype("i1"), 1, constant_values=[300]), OverflowError, "300"),
        (lambda i: i.astype(float).fill([1]), ValueError, "with a sequence"),
    ],
)
def test_errors_are_numpys(change: Any, kind: Any, text: str) -> None:
    with pytest.raises(kind):
        change(np.arange(3))
    with pytest.raises(kind, match=text) as info:
        go.compile(lambda i: change(i + 0))(np.arange(3))
    assert isinstance(info.value, errors.GradoptError)
    assert info.value.location is not None


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda i: np.multiply.at(i, [0, 3], 2), IndexError),
        (lambda i: np.multiply.at(i, [0, 0], np.arange(3)), ValueError),
    ],
)
def test_errors_of_ufuncs_at_positions(change: Any, kind: Any) -> None:
    with pytest.raises(kind):
        change(np.arange(3))
    with pytest.raises(kind) as info:
        go.compile(lambda i: change(i + 0))(np.arange(3))
    assert isinstance(info.value, errors.GradoptError)
    assert info.value.location is not None


def test_ufuncs_at_positions_of_integers_and_bools() -> None:
    def f(i: Any) -> Any:
        y, b = i + 0, i > 100
        np.multiply.at(y, [0, 0, 1], 3)
        np.maximum.at(y, [1, 1], [7, 101])
        np.negative.at(y, [2, 2, 2])
        np.square.at(y, [])
        np.add.at(b, [1, 1], True)
        np.logical_xor.at(b, [0, 0, 2], True)
        np.floor_divide.at(y, [2, 2], [2, 3])
        return y, b

    i = np.array([100, 2, 50], np.int8)
    for actual, expected in zip(go.compile(f)(i), f(i), strict=True):
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)


def test_casts_that_numpy_makes_silently_are_refused() -> None:
    for change in (
        lambda i: np.add.at(i, [0], np.array([0.5])),
        lambda i: np.divide.at(i, [0, 0], 2.0),
    ):
        with pytest.raises(errors.DTypeError, match="Cannot cast"):
            go.compile(lambda i, change=change: change(i + 0))(np.arange(3))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            lambda x: assign(x, 0, 1.0),
            r"an assignment to elements.*the argument x.*x = x\.copy\(\)",
        ),
        (lambda x: assign(x, x > 0, 1.0), r"an assignment to elements"),
        (lambda x: assign(x[1:], 0, 1.0), r"the argument x through a view"),
        (lambda x: assign(x, [0, 1], 1.0), "an assignment to elements"),
        (lambda x: x.__isub__(1), r"in-place subtract.*the argument x.*`x = x - y`"),
        (lambda x: x[1:].__imul__(2), r"in-place multiply.*through a view.*`x = x \* y`"),
        (lambda x: x.__ipow__(2), r"`x = x \*\* y`"),
        (lambda x: np.add(x, 1, out=x), r"out= of numpy\.add.*the argument x"),
        (lambda x: np.cumsum(x, out=x), r"out= of numpy\.cumsum"),
        (lambda x: np.copyto(x, 0), r"numpy\.copyto"),
        (lambda x: np.put(x, 0, 0), r"numpy\.put"),
        (lambda x: np.place(x, x > 0, 0), r"numpy\.place"),
        (lambda x: np.putmask(x, x > 0, 0), r"numpy\.putmask"),
        (lambda x: np.fill_diagonal(x.reshape(1, -1), 0), r"numpy\.fill_diagonal"),
        (lambda x: np.put_along_axis(x, np.array([0]), 1.0, 0), r"numpy\.put_along_axis"),
        (lambda x: np.add.at(x, 0, 1), r"numpy\.add\.at"),
        (lambda x: x.fill(0), "fill"),
        (lambda x: assign(x.flat, 0, 0), "through a view"),
    ],
)
def test_arguments_are_not_changed(change: Any, text: str) -> None:
    with pytest.raises(errors.MutationError, match=text) as info:
        go.compile(change, capture="trace")(V.copy())
    assert info.value.location is not None
    assert pickle.loads(pickle.dumps(info.value)).message == info.value.message


def test_concrete_arrays_are_not_changed() -> None:
    table = np.zeros(3)

    def assigned(x: Any) -> Any:
        table[0] = x[0]
        return x

    def sliced(x: Any) -> Any:
        table[:2] = x[:2]
        return x

    def listed(x: Any) -> Any:
        table[[0, 1]] = x[:2]
        return x

    for function in (assigned, sliced, listed):
        with pytest.raises(errors.ConversionError, match=r"assignment.*gradopt\.numpy\.zeros") as i:
            go.compile(function)(V)
        assert i.value.location is not None
        assert "table[" in str(i.value)

    def added(x: Any) -> Any:
        nonlocal table
        table += x[:3]
        return x

    with pytest.raises(errors.ConversionError, match=r"gradopt\.numpy\.zeros"):
        go.compile(added)(V)
    with pytest.raises(errors.MutationError, match="concrete array"):
        go.compile(lambda x: assign(np.atleast_1d(table, x)[0], 0, 1.0))(V)
    np.testing.assert_array_equal(table, 0)


def test_arrays_of_gradopt_numpy_are_known_until_they_are_written() -> None:
    def f(x: Any) -> Any:
        order = gnp.array([2, 0, 1])
        total = 0.0
        for i in gnp.arange(3):
            total = total * 2 + x[i]
        n = int(order[0])
        return x[order], total, np.ones(n) * x[0], x[: order[0]], x[gnp.arange(5) > 2]

    for actual, expected in zip(go.compile(f)(V), f(V), strict=True):
        np.testing.assert_array_equal(actual, expected)

    def written(x: Any) -> Any:
        order = gnp.array([2, 0, 1])
        order[0] = 1
        return x[order], x[: order[0]]

    for actual, expected in zip(go.compile(written)(V), written(V), strict=True):
        np.testing.assert_array_equal(actual, expected)
    # Outside of a trace they are NumPy's.
    assert type(gnp.zeros(3)) is np.ndarray
    assert type(gnp.arange(3)) is np.ndarray


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def test_a_copy_of_an_outer_array_is_written_to_where_it_was_made() -> None:
    def f(x: Any, loop: Any) -> Any:
        def body(_: Any, s: Any) -> Any:
            y = x.copy()
            y[0] = s
            return np.sum(y)

        return loop(0, 3, body, 1.0)

    assert go.compile(lambda x: f(x, go.fori_loop))(np.arange(3.0)) == 10
    gradient = go.compile_grad(lambda x: f(x, go.fori_loop))(np.arange(3.0))
    np.testing.assert_array_equal(gradient, [0, 3, 3])


@pytest.mark.parametrize("view", [np.ravel, np.atleast_2d, lambda y: y.T, lambda y: y[:]])
def test_a_view_of_an_outer_array_is_not_written_to(view: Any) -> None:
    def f(x: Any) -> Any:
        outer = x * 1

        def body(_: Any, s: Any) -> Any:
            view(outer)[...] = s
            return s

        return go.fori_loop(0, 3, body, 1.0)

    with pytest.raises(errors.UnsupportedError, match="an array of an enclosing function"):
        go.compile(f)(np.arange(3.0))


def test_iteration_sees_what_is_written_meanwhile() -> None:
    def f(x: Any) -> Any:
        u = x.copy()
        total = x[0] * 0

        def bump(value: Any) -> Any:
            u[-2] += 0.5
            return value

        seen = [bump(value) for value in u]
        for value in u[:4]:
            u[3] += 1.0
            total = total + value
        for value in u.flat:
            u[3] += 1.0
            total = total + value
        return gnp.stack(seen), total, u

    for actual, expected in zip(go.compile(f)(V), f(V), strict=True):
        np.testing.assert_allclose(actual, expected)


@pytest.mark.parametrize("write", [np.putmask, np.place])
def test_arrays_of_larger_dtypes_are_not_converted(write: Any) -> None:
    """As by NumPy, which converts numbers and lists here."""
    chosen = np.array([True, False, True])

    def f(y: Any, values: Any) -> Any:
        y = y.copy()
        write(y, chosen, values)
        return y

    for dtype in (np.int64, np.int8, np.float32):
        y = np.zeros(3, dtype)
        for values in (np.float64(1.5), np.array([1.5]), np.array([3]), np.array([3], np.int8)):
            try:
                expected = f(y, values)
            except TypeError:
                with pytest.raises(errors.DTypeError, match="according to the rule 'safe'"):
                    go.compile(f)(y, values)
                continue
            got = go.compile(f)(y, values)
            np.testing.assert_array_equal(got, expected)
            assert got.dtype == expected.dtype


def test_a_slice_that_the_run_finds_empty_takes_nothing() -> None:
    def f(x: Any, i: Any) -> Any:
        y = x.copy()
        y[i[0] : i[1]] = x[:0]
        return y

    x = np.arange(4.0)
    np.testing.assert_array_equal(go.compile(f)(x, np.array([2, 2])), x)
    with pytest.raises(ValueError, match="0"):
        go.compile(f)(x, np.array([1, 2]))


def test_parts_of_complex_numbers_are_assigned() -> None:
    def f(z, x):
        z.real = x
        z.imag += x[::-1]
        z.imag[1:3] = 2.0
        x.real *= 3.0
        return z * 1j

    z, x = np.array([1 + 2j, 3 - 1j, 0.5j, 2.0]), np.array([0.5, -1.0, 2.0, 4.0])
    ours, theirs = (z.copy(), x.copy()), (z.copy(), x.copy())
    np.testing.assert_array_equal(go.compile(f)(*ours), f(*theirs))
    for mine, wanted in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, wanted)

    def wrong(x):
        x.imag = 2.0
        return x

    with pytest.raises(TypeError, match="does not have imaginary part"):
        go.compile(wrong)(x)


def test_a_view_of_the_whole_array_shares_its_memory() -> None:
    def f(x):
        view = x.view()
        view[1] = 5.0
        return x.sum()

    x = np.array([0.5, -1.0, 2.0])
    assert go.compile(f)(x) == 6.5 + 1.0
    with pytest.raises(go.errors.UnsupportedError, match="astype"):
        go.compile(lambda x: x.view(np.int64))(x)


def test_backward_slices_that_begin_at_a_traced_place() -> None:
    """Of a known size: read, written, and added to, with derivatives."""

    def f(x):
        x = x.copy()
        y = x[::-1]
        total = 0.0
        for i in range(8):
            total += np.sum(y[i : i + 2] ** 2)
            x[i : i + 2] += 0.5 * y[i : i + 2]
            y[i : i + 2] *= 0.9
        return total + np.sum(x * np.arange(9.0))

    x = np.linspace(-1, 1.3, 9)
    compiled = go.compile(f)
    assert compiled.lower(x).loops()[0].is_rolled
    np.testing.assert_allclose(compiled(x), f(x), rtol=1e-13)
    go.gradcheck(compiled, (x,))
