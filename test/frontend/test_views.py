# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What NumPy returns as a view shares memory here, what it copies does not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go

M = np.arange(12.0).reshape(3, 4)
S = np.arange(9.0).reshape(3, 3)
V = np.arange(6.0)
T = np.arange(24.0).reshape(2, 3, 4)
COLUMN = np.arange(3.0).reshape(3, 1)

# Functions of one array, and the array: of the result, or the first of several, it is asked
# whether it shares memory with the array.
CASES: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "all": (lambda x: x[:], M),
    "ellipsis": (lambda x: x[...], M),
    "row": (lambda x: x[1], M),
    "last row": (lambda x: x[-1], M),
    "column": (lambda x: x[:, 1], M),
    "block": (lambda x: x[1:, :2], M),
    "steps": (lambda x: x[::2, 1::2], M),
    "backwards": (lambda x: x[::-1, ::-2], M),
    "new axes": (lambda x: x[None, :, None, 1:], M),
    "view of a view": (lambda x: x[1:][0][::-1][1:], M),
    "view of a transpose": (lambda x: x.T[1:, 0], M),
    "new axis, then a part": (lambda x: x[None][0, 1], M),
    "nothing of a new axis": (lambda x: x[None][0:0], M),
    "an element": (lambda x: x[1, 2], M),
    "an element as an array": (lambda x: x[1, 2, ...], M),
    "integers": (lambda x: x[[0, 1]], M),
    "mask": (lambda x: x[np.array([True, False, True])], M),
    "integers and slice": (lambda x: x[:, [0, 2]], M),
    "T": (lambda x: x.T, M),
    "mT": (lambda x: x.mT, T),
    "transpose": (lambda x: np.transpose(x, (2, 0, 1)), T),
    "permute_dims": (lambda x: np.permute_dims(x, (1, 0)), M),
    "matrix_transpose": (np.matrix_transpose, T),
    "linalg.matrix_transpose": (np.linalg.matrix_transpose, T),
    "swapaxes": (lambda x: np.swapaxes(x, 0, 2), T),
    "moveaxis": (lambda x: np.moveaxis(x, 0, -1), T),
    "rollaxis": (lambda x: np.rollaxis(x, 2), T),
    "trim_zeros": (lambda x: np.trim_zeros(x), V),
    "reshape": (lambda x: np.reshape(x, (2, 6)), M),
    "reshape to a vector": (lambda x: x.reshape(-1), M),
    "reshape of a transpose": (lambda x: x.T.reshape(-1), M),
    "reshape of a transposed vector": (lambda x: x[:, None].T.reshape(6), V),
    "reshape of a block": (lambda x: x[:, :2].reshape(-1), M),
    "reshape of rows": (lambda x: x[1:].reshape(-1), M),
    "reshape of every other": (lambda x: x[::2].reshape(3, 1), V),
    "reshape of steps in two": (lambda x: x[:, ::2].reshape(3, 2, 1), M),
    "reshape into more": (lambda x: x[:, 1].reshape(1, 3, 1), M),
    "reshape twice": (lambda x: x.reshape(2, 6).reshape(4, 3), M),
    "reshape and back": (lambda x: x.reshape(2, 6).reshape(3, 4), M),
    "reshape in order F": (lambda x: x.reshape(-1, order="F"), M),
    "reshape in order F of a transpose": (lambda x: x.T.reshape(-1, order="F"), M),
    "reshape of a product of a transpose": (lambda x: (x.T * 2).reshape(-1), M),
    "ravel": (np.ravel, M),
    "ravel of a transpose": (lambda x: np.ravel(x.T), M),
    "ravel of every other": (lambda x: np.ravel(x[::2]), V),
    "ravel of a column": (lambda x: np.ravel(x[:, :1]), M),
    "ravel of rows": (lambda x: x[1:].ravel(), M),
    "ravel in order F": (lambda x: x.ravel("F"), M),
    "ravel in order F of a transpose": (lambda x: x.T.ravel("F"), M),
    "flatten": (lambda x: x.flatten(), M),
    "squeeze": (np.squeeze, COLUMN),
    "squeeze of nothing": (np.squeeze, M),
    "expand_dims": (lambda x: np.expand_dims(x, (0, 2)), M),
    "atleast_1d": (np.atleast_1d, M),
    "atleast_2d": (np.atleast_2d, V),
    "atleast_3d": (np.atleast_3d, V),
    "atleast_3d of a matrix": (np.atleast_3d, M),
    "broadcast_to": (lambda x: np.broadcast_to(x, (2, 3, 4)), M),
    "broadcast_to itself": (lambda x: np.broadcast_to(x, (3, 4)), M),
    "broadcast_arrays": (lambda x: np.broadcast_arrays(x, np.zeros((2, 3, 4)))[0], M),
    "broadcast_arrays of equal shapes": (lambda x: np.broadcast_arrays(x, x + 1)[0], M),
    "flip": (np.flip, M),
    "flip of one axis": (lambda x: np.flip(x, 1), M),
    "fliplr": (np.fliplr, M),
    "flipud": (np.flipud, M),
    "rot90": (np.rot90, M),
    "rot90 twice": (lambda x: np.rot90(x, 2), M),
    "rot90 thrice": (lambda x: np.rot90(x, 3), M),
    "rot90 never": (lambda x: np.rot90(x, 0), M),
    "split": (lambda x: np.split(x, 3)[0], M),
    "array_split": (lambda x: np.array_split(x, 2, 1)[0], M),
    "hsplit": (lambda x: np.hsplit(x, 2)[0], M),
    "vsplit": (lambda x: np.vsplit(x, [1])[0], M),
    "dsplit": (lambda x: np.dsplit(x, 2)[0], T),
    "diagonal": (np.diagonal, S),
    "diagonal of blocks": (lambda x: np.diagonal(x, 1, 1, 2), T),
    "method diagonal": (lambda x: x.diagonal(-1), M),
    "linalg.diagonal": (np.linalg.diagonal, T),
    "diag of a matrix": (np.diag, S),
    "diag of a vector": (np.diag, V),
    "diagflat": (np.diagflat, V),
    "real": (np.real, M),
    "attribute real": (lambda x: x.real, M),
    "conj": (np.conj, M),
    "method conj": (lambda x: x.conj(), M),
    "einsum, permutation": (lambda x: np.einsum("ij->ji", x), M),
    "einsum, itself": (lambda x: np.einsum("ij", x), M),
    "einsum, diagonal": (lambda x: np.einsum("ii->i", x), S),
    "einsum, ellipsis": (lambda x: np.einsum("...i->i...", x), T),
    "einsum, sum": (lambda x: np.einsum("ij->i", x), M),
    "diff of order 0": (lambda x: np.diff(x, 0), M),
    "diff": (np.diff, M),
    "matrix_power 0": (lambda x: np.linalg.matrix_power(x, 0), S),
    "matrix_power 1": (lambda x: np.linalg.matrix_power(x, 1), S),
    "matrix_power 2": (lambda x: np.linalg.matrix_power(x, 2), S),
    "meshgrid": (lambda x: np.meshgrid(x, x)[0], V),
    "meshgrid without copies": (lambda x: np.meshgrid(x, x, copy=False)[0], V),
    "sparse meshgrid": (lambda x: np.meshgrid(x, x, sparse=True)[0], V),
    "sparse meshgrid without copies": (
        lambda x: np.meshgrid(x, x, sparse=True, copy=False)[0],
        V,
    ),
    "nan_to_num": (np.nan_to_num, M),
    "nan_to_num without a copy": (lambda x: np.nan_to_num(x, copy=False), M),
    "astype": (lambda x: x.astype(float), M),
    "astype without a copy": (lambda x: x.astype(float, copy=False), M),
    "copy": (np.copy, M),
    "method copy": (lambda x: x.copy(), M),
    "positive": (lambda x: +x, M),
    "absolute": (np.absolute, M),
    "round": (np.round, M),
    "clip": (lambda x: np.clip(x, None, 1e9), M),
    "power 1": (lambda x: x**1, M),
    "take": (lambda x: np.take(x, [0, 1], 0), M),
    "compress": (lambda x: np.compress([True, True, True], x, 0), M),
    "repeat": (lambda x: np.repeat(x, 1, 0), M),
    "tile": (lambda x: np.tile(x, 1), M),
    "roll": (lambda x: np.roll(x, 0), M),
    "pad": (lambda x: np.pad(x, 0), M),
    "concatenate": (lambda x: np.concatenate([x]), M),
    "stack": (lambda x: np.stack([x]), M),
    "append": (lambda x: np.append(x, []), V),
    "sum over nothing": (lambda x: np.sum(x, ()), M),
    "where": (lambda x: np.where(True, x, x), M),
    "tril": (lambda x: np.tril(x, 9), M),
    "multi_dot": (lambda x: np.linalg.multi_dot([x, np.eye(3)]), S),
    "trapezoid": (lambda x: np.trapezoid(x, dx=2), M),
}
if hasattr(np, "unstack"):
    CASES["unstack"] = (lambda x: np.unstack(x)[0], M)
    CASES["unstack of a vector"] = (lambda x: np.unstack(x)[0], V)


def seen_through(view: Callable[[Any], Any], x: Any) -> Any:
    """What the view shows of a change of the array."""
    y = x * 1.0
    part = view(y)
    y += 10.0
    return part * 1.0


def written_through(view: Callable[[Any], Any], x: Any) -> Any:
    """What becomes of the array where the view is changed."""
    y = x * 1.0
    part = view(y)
    part *= 3.0
    return y


@pytest.mark.parametrize("name", CASES)
def test_a_view_sees_what_is_written(name: str) -> None:
    view, x = CASES[name]
    expected = seen_through(view, x)
    actual = go.compile(lambda x: seen_through(view, x))(x)
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("name", CASES)
def test_what_is_written_to_a_view_is_seen(name: str) -> None:
    view, x = CASES[name]
    with warnings.catch_warnings():
        # Of broadcast_arrays: it will be read-only.
        warnings.simplefilter("error", DeprecationWarning)
        try:
            expected = written_through(view, x)
        except (ValueError, DeprecationWarning):
            with pytest.raises(go.errors.ReadOnlyError, match="read-only"):
                go.compile(lambda x: written_through(view, x))(x)
            return
    actual = go.compile(lambda x: written_through(view, x))(x)
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("name", CASES)
def test_an_argument_is_not_changed_through_a_view(name: str) -> None:
    view, x = CASES[name]

    def change(x: Any) -> Any:
        part = view(x)
        part[...] = 1.0
        return part

    if not np.size(view(x)):
        return
    before = x.copy()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            change(before)
    except (ValueError, TypeError, DeprecationWarning):
        with pytest.raises((go.errors.MutationError, TypeError)):
            go.compile(change)(x)
        return
    if np.array_equal(before, x):
        go.compile(change)(x)
    else:
        with pytest.raises(go.errors.MutationError, match=r"the argument \w+"):
            go.compile(change, capture="trace")(x)
        written = x.copy()
        go.compile(change)(written)
        np.testing.assert_array_equal(written, before)


def test_the_memory_order_of_results_is_numpys() -> None:
    operands = {"C": lambda x: x, "F": lambda x: x.T, "mixed": lambda x: np.swapaxes(x, 0, 1)}
    cube = np.arange(27.0).reshape(3, 3, 3)
    for one in operands.values():
        for two in operands.values():
            for flatten in (np.ravel, lambda x: x.reshape(9, 3), lambda x: x.reshape(3, 9)):

                def f(x: Any, one: Any = one, two: Any = two, flatten: Any = flatten) -> Any:
                    x = x * 1.0
                    y = one(x) + 2 * two(x)
                    part = flatten(y)
                    part += 100.0
                    return y * 1.0

                np.testing.assert_array_equal(go.compile(f)(cube), f(cube))


def test_an_unknown_memory_order_is_refused() -> None:
    def f(x: Any) -> Any:
        y = np.where(x.T > 1, x.T, 0)
        flat = y.reshape(-1)
        flat += 1
        return y

    with pytest.raises(go.errors.UnsupportedError, match=r"memory order.*copy"):
        go.compile(f)(M)

    def g(x: Any) -> Any:
        y = np.where(x.T > 1, x.T, 0)
        total = np.sum(y.reshape(-1))
        y += 1
        return y, total

    for actual, expected in zip(go.compile(g)(M), g(M), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_traced_indices_give_views() -> None:
    def f(x: Any, i: Any) -> Any:
        y = x * 1.0
        row, element, column = y[i], y[i, 1], y.T[1:][i]
        y[i] += 1
        row *= 2
        y[1:, ::2][i - 1] = 7
        return y, row, element, column * 1.0

    for i in range(1, 3):
        for actual, expected in zip(go.compile(f)(M, i), f(M, i), strict=True):
            np.testing.assert_array_equal(actual, expected)


def test_views_read_in_inner_functions() -> None:
    def f(x: Any) -> Any:
        y = x * 2.0
        row = y[1]
        slope = go.grad(lambda w: np.sum(w * row))(y[0])
        y += 1.0
        later = go.grad(lambda w: np.sum(w * row))(y[0])
        return slope, later, row

    for actual, expected in zip(
        go.compile(f)(M), (M[1] * 2, M[1] * 2 + 1, M[1] * 2 + 1), strict=True
    ):
        np.testing.assert_array_equal(actual, expected)


def test_a_write_to_an_array_of_an_enclosing_function_is_refused() -> None:
    def f(x: Any) -> Any:
        y = x * 2.0

        def inner(w: Any) -> Any:
            y[0] = w[0]
            return np.sum(y)

        return go.grad(inner)(x)

    with pytest.raises(go.errors.UnsupportedError, match="enclosing function"):
        go.compile(f)(M)


def written_in_another_shape(x: Any) -> Any:
    e = np.exp(x)
    y = e.reshape(2, 6).copy()
    y[1, 0] = 100.0
    return y, e[1, 2]


def written_in_another_rank(x: Any) -> Any:
    e = np.exp(x)
    y = e.reshape(12).copy()
    y[3:5] = 100.0
    return y, e[0, 3]


def moved_between_shapes(x: Any) -> Any:
    """What is written has the same offsets in both shapes, and is elsewhere."""
    e = np.exp(x)
    part = e.reshape(2, 6)[1, 0:3].copy()
    y = e.copy()
    y[1, 0:3] = part
    return y, y[0, 0]


@pytest.mark.parametrize(
    "f", [written_in_another_shape, written_in_another_rank, moved_between_shapes]
)
def test_offsets_in_a_reshaped_buffer_are_other_elements(f: Callable[..., Any]) -> None:
    x = np.arange(12.0).reshape(3, 4) / 7
    for got, expected in zip(go.compile(f)(x), f(x), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-15)
