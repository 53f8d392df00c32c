# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`order=` of NumPy's functions: what it says, or an error where the layout in memory decides."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradopt as go
import gradopt_runtime
from gradopt import errors
from gradopt.array.views import is_descending, is_row_major, kept_order
from gradopt.errors import UnsupportedError

FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "numpy.ravel": lambda x, order: np.ravel(x, order=order),
    "ravel": lambda x, order: x.ravel(order),
    "numpy.reshape": lambda x, order: np.reshape(x, (x.size // 2, 2), order=order),
    "reshape": lambda x, order: x.reshape(x.size // 2, 2, order=order),
    "flatten": lambda x, order: x.flatten(order),
    "transposed ravel": lambda x, order: x.T.ravel(order),
    "numpy.copy": lambda x, order: np.copy(x, order=order),
    "copy": lambda x, order: x.copy(order=order),
    "zeros_like": lambda x, order: np.zeros_like(x, order=order),
    "ones_like": lambda x, order: np.ones_like(x, order=order),
    "full_like": lambda x, order: np.full_like(x, 3, order=order),
    "empty_like": lambda x, order: np.empty_like(x, order=order) * 0,
    "astype": lambda x, order: x.astype("f4", order=order),
}
A = np.arange(24.0)
ARRAYS = {
    "C": A.reshape(2, 3, 4),
    "F": np.asfortranarray(A.reshape(2, 3, 4)),
    "transposed": A.reshape(4, 3, 2).T,
    "strided": A.reshape(4, 6)[::2, ::-1],
    "vector": A,
    "reversed": A[::-1],
    "one column": A.reshape(24, 1),
    "ones": np.asfortranarray(A.reshape(1, 24, 1)),
    "empty": np.zeros((2, 0, 3)),
    "none": np.zeros((0,)),
}


@pytest.mark.parametrize("order", ["C", "F", "A", "K", "c", "f", "a", "k", None])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_orders_are_numpys_or_refused(name: str, order: Any) -> None:
    def f(x: Any) -> Any:
        return FUNCTIONS[name](x, order)

    compiled = go.compile(f)
    for layout, x in ARRAYS.items():
        several = sum(size != 1 for size in x.shape) > 1 and x.size
        try:
            expected = f(x)
        except (TypeError, ValueError) as error:
            with pytest.raises(type(error)):
                compiled(x)
            continue
        ravels = name not in ("astype", "copy", "numpy.copy") and "like" not in name
        if several and ravels and str(order).upper() in ("A", "K"):
            with pytest.raises(errors.UnsupportedError, match="use C or F"):
                compiled(x)
            continue
        np.testing.assert_array_equal(compiled(x), expected, err_msg=layout)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_unknown_orders_are_errors(name: str) -> None:
    for order in ("X", ""):
        with pytest.raises(ValueError, match="order"):
            FUNCTIONS[name](A, order)
        with pytest.raises(errors.KeywordError, match="order must be one of"):
            go.compile(lambda x, order=order: FUNCTIONS[name](x, order))(A)


def test_descending_steps_keep_row_major_order() -> None:
    for shape in itertools.product((0, 1, 2, 3), repeat=3):
        for strides in itertools.product((-4, 0, 1, 2, 4), repeat=3):
            kept = kept_order(shape, [(shape, strides)])
            assert is_descending(shape, strides) == is_row_major(shape, kept), (shape, strides)


# Arrays of which NumPy fixes the order in memory, made of a traced array of shape (2, 3).
MADE: dict[str, Callable[[Any], Any]] = {
    "zeros": lambda x: np.zeros((2, 3), order="F"),
    "empty": lambda x: np.empty((2, 3), float, "F") * 0,
    "full": lambda x: np.full((2, 3), 1.0, order="F"),
    "full of a traced number": lambda x: np.full((2, 3), x[0, 1], order="F"),
    "eye": lambda x: np.eye(3, order="F"),
    "ones_like": lambda x: np.ones_like(np.asfortranarray(x * 1)),
    "linspace along axis 1": lambda x: np.linspace(np.zeros(3), x[0], 4, axis=1),
    "indices": lambda x: np.indices((2, 3)).T * 1.0,
    "array of a known transpose": lambda x: np.array(np.zeros((2, 3)).T),
    "array of a transpose": lambda x: np.array((x * 1).T),
    "array of another dtype": lambda x: np.array((x * 1).T, np.float32),
    "array in column-major order": lambda x: np.array(x * 1, order="F"),
    "array of a list": lambda x: np.array([x[0], x[1]], order="F"),
    "asarray": lambda x: np.asarray((x * 1).T),
    "asarray of another dtype": lambda x: np.asarray((x * 1).T, dtype=np.float32),
    "asarray in row-major order": lambda x: np.asarray((x * 1).T, order="C"),
    "asarray that copies": lambda x: np.asarray(x * 1, copy=True, device="cpu"),
    "asanyarray": lambda x: np.asanyarray(x * 1, order="F"),
    "asfortranarray": lambda x: np.asfortranarray(x * 1),
    "asfortranarray of zeros": lambda x: np.asfortranarray(np.zeros((2, 3))),
    "ascontiguousarray": lambda x: np.ascontiguousarray((x * 1).T),
    "astype": lambda x: (x * 1).astype(float, order="F", copy=False),
}


@pytest.mark.parametrize("name", MADE)
def test_reshapes_are_views_where_numpys_are(name: str) -> None:
    def f(x: Any) -> Any:
        found: list[Any] = []
        for flat in (np.ravel, lambda y: y.ravel("F"), lambda y: y.T.reshape(-1)):
            made = MADE[name](x)
            view = flat(made)
            view[1] = 77
            found += [made * 1, view * 1]
        return found

    x = np.arange(6.0).reshape(2, 3)
    for got, expected in zip(go.compile(f)(x), f(x), strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    "convert",
    [
        lambda y: np.asfortranarray(y),
        lambda y: np.ascontiguousarray(y),
        lambda y: np.ascontiguousarray(y.T),
        lambda y: np.asfortranarray(y.T),
        lambda y: np.asarray(y[:, ::2], order="C"),
        lambda y: np.asanyarray(y, order="F", copy=None),
        lambda y: np.array(y, copy=None, order="A", subok=True),
        lambda y: y.astype(float, order="F", copy=False),
        lambda y: y.astype(float, order="C", copy=False),
    ],
)
def test_conversions_share_memory_where_numpys_do(convert: Callable[[Any], Any]) -> None:
    def f(x: Any) -> Any:
        made = x * 1.0
        converted = convert(made)
        converted[0, 0] = 50
        return made, converted * 1

    x = np.arange(6.0).reshape(2, 3)
    for got, expected in zip(go.compile(f)(x), f(x), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_copies_that_must_not_be() -> None:
    x = np.arange(6.0).reshape(2, 3)
    for f in (
        lambda x: np.asarray(x, np.float32, copy=False),
        lambda x: np.asarray(x, order="F", copy=False),
        lambda x: np.array(x[0, 0], copy=False),
    ):
        with pytest.raises(ValueError, match="copy"):
            f(x)
        with pytest.raises(errors.KeywordError, match="copy=False"):
            go.compile(f)(x)


def test_an_order_that_is_not_known() -> None:
    def f(x: Any) -> Any:
        made = np.ascontiguousarray(x.T @ x)
        made[0, 0] = 5
        return made

    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(go.compile(f)(x), f(x))

    def both(x: Any) -> Any:
        product = x.T @ x
        made = np.asfortranarray(product)
        made[0, 0] = 5
        return product, made

    with pytest.raises(errors.UnsupportedError, match="memory order that is not known"):
        go.compile(both)(x)


# -- Arguments ---------------------------------------------------------------------------------


def written_through_reshape(x: Any) -> Any:
    x.reshape(-1)[1] = 9.0
    return x.sum()


def written_under_a_reshape(x: Any) -> Any:
    y = x.ravel()
    x[0, 1] = 3.0
    return y[1] + y.sum()


def written_in_a_copy_or_none(x: Any) -> Any:
    y = np.ascontiguousarray(x.T)
    y[0, 1] = 9.0
    return (x * x).sum()


def written_in_results(x: Any) -> Any:
    y, z = x + 1.0, np.zeros_like(x)
    y.reshape(-1)[1] = 9.0
    z.reshape(-1)[2] = 5.0
    return (y * y).sum() + (z * x).sum()


GRID = np.random.default_rng(8).normal(size=(8, 12))
ORDERS: list[Callable[[Any], Any]] = [
    lambda x: x,
    np.asfortranarray,
    lambda x: np.repeat(np.repeat(x, 2, 0), 2, 1)[::2, ::2],
    lambda x: x[::-1].copy()[::-1],
]


@pytest.mark.parametrize(
    "f",
    [
        written_through_reshape,
        written_under_a_reshape,
        written_in_a_copy_or_none,
        written_in_results,
    ],
)
def test_what_is_a_view_depends_on_how_an_argument_lies_in_memory(f: Callable[[Any], Any]) -> None:
    compiled, gradient = go.compile(f), go.compile_grad(f)
    step = 1e-6 * np.random.default_rng(9).normal(size=(4, 6))
    for order in (*ORDERS, ORDERS[0]):
        ours, theirs = order(GRID[::2, ::2].copy()), order(GRID[::2, ::2].copy())
        np.testing.assert_allclose(compiled(ours), f(theirs), rtol=1e-13)
        np.testing.assert_array_equal(ours, theirs)
        x = order(GRID[::2, ::2].copy())
        found = np.sum(gradient(x) * step)
        above, below = order(x + step), order(x - step)
        np.testing.assert_allclose(found, (f(above) - f(below)) / 2, rtol=1e-7, atol=1e-13)
    assert compiled.cache_size() == len(ORDERS)


class Holder:
    """Not an array, but has one."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self.held


class Subclass(np.ndarray):
    """An array of a class of the user's."""


def mapped(x: Any, folder: Path) -> Any:
    order: Any = "F" if x.flags.f_contiguous else "C"
    made = np.memmap(folder / "grid", x.dtype, "w+", shape=x.shape, order=order)
    made[:] = x
    return made


FOREIGN: dict[str, Callable[[Any, Path], Any]] = {
    "memmap": mapped,
    "subclass": lambda x, folder: x.view(Subclass),
    "__array__": lambda x, folder: Holder(x),
}


@pytest.mark.parametrize("first", ["F", "C"])
@pytest.mark.parametrize("name", FOREIGN)
def test_what_becomes_an_array_keeps_its_order(name: str, first: Any, tmp_path: Path) -> None:
    compiled = go.compile(written_in_a_copy_or_none)
    for order in (first, "C", "F"):
        ours, theirs = (np.array(GRID[:4, :6], order=order) for _ in range(2))
        given = FOREIGN[name](ours, tmp_path)
        expected = written_in_a_copy_or_none(theirs)
        np.testing.assert_allclose(compiled(given), expected, rtol=1e-13)
        np.testing.assert_array_equal(np.asarray(given), theirs)


def written_in_a_copy(x: Any) -> Any:
    y = np.ascontiguousarray(x)
    y[0, 0] = 9.0
    return x.sum()


def written_in_what_may_be_a_row(x: Any) -> Any:
    y = np.asfortranarray(x[0])
    y[0, 1] = 9.0
    return (x * x).sum()


def written_in_a_result(x: Any) -> Any:
    y = (x * 2.0)[0] + 1.0
    z = y.T.reshape(-1)
    z[1] = 7.0
    return (y * y).sum() + x.sum()


def written_in_a_row_of_a_result(x: Any) -> Any:
    y = x * 2.0
    z = np.asfortranarray(y[0])
    z[0, 1] = 7.0
    return (y * y).sum()


def only_read(x: Any) -> Any:
    return (x * 2.0 + np.ascontiguousarray(x)).reshape(-1, 4).sum()


SIZED = np.random.default_rng(11).normal(size=(5, 3, 4))


@pytest.mark.parametrize("axes", [{0: "n"}, {0: "n", 2: go.Dim("m", max=6)}])
@pytest.mark.parametrize(
    "f",
    [
        written_in_a_copy,
        written_in_what_may_be_a_row,
        written_in_a_result,
        written_in_a_row_of_a_result,
        only_read,
    ],
)
def test_orders_of_arguments_of_named_sizes_are_numpys_or_refused(
    f: Callable[[Any], Any], axes: Any
) -> None:
    compiled = go.compile(f, dynamic={"x": axes})
    first_in_column_major = go.compile(f, dynamic={"x": axes})
    known = 0
    for order in ("C", "F", "C", "F"):
        for sizes in (5, 3):
            for function in (first_in_column_major, compiled)[order == "C" :]:
                ours, theirs = (np.array(SIZED[:sizes], order=order) for _ in range(2))
                try:
                    found = function(ours)
                except (errors.UnsupportedError, errors.MutationError):
                    continue
                known += 1
                np.testing.assert_allclose(found, f(theirs), rtol=1e-13)
                np.testing.assert_array_equal(ours, theirs)
    if f is only_read:
        assert known == 12


def test_copies_of_broadcast_arrays_lie_as_numpys() -> None:
    def f(x: Any) -> Any:
        y = np.broadcast_to(x, (2, 3)).copy("K")
        z = np.broadcast_to(x, (2, 3)).astype(np.float32)
        w = np.broadcast_to(x, (2, 3)) + 1.0
        for array in (y, z, w):
            array.reshape(-1, order="F")[1] = 9.0
            array.reshape(-1)[2] = 7.0
        return y, z, w

    x = np.arange(3.0)
    for ours, numpys in zip(go.compile(f)(x), f(x), strict=True):
        np.testing.assert_array_equal(ours, numpys)


def test_other_functions_have_one_code_for_all_orders() -> None:
    def f(x):
        x[0] = x[1] + 1.0
        return x.sum()

    compiled = go.compile(f)
    for order in ORDERS:
        ours, theirs = order(GRID[::2, ::2].copy()), order(GRID[::2, ::2].copy())
        np.testing.assert_allclose(compiled(ours), f(theirs), rtol=1e-13)
        np.testing.assert_array_equal(ours, theirs)
    assert compiled.cache_size() == 1


def test_code_for_one_order_refuses_others() -> None:
    x = GRID[:4, :6].copy()
    fixed = go.compile(written_through_reshape).lower(x).compile()
    fixed(x)
    with pytest.raises(go.errors.ArgumentError, match="strides of row-major order"):
        fixed(np.asfortranarray(x))


def shared(x: Any) -> Any:
    """What is a view depends on how `x` lies in memory: `y` lies like it."""
    y = x * 2
    y.reshape(-1)[1] = 50.0
    return y + x


def test_elements_that_are_mapped_lie_in_memory_as_numpys() -> None:
    plain = np.arange(24.0).reshape(2, 3, 4)
    layouts = [plain, np.asfortranarray(plain), plain.transpose(1, 0, 2).copy().transpose(1, 0, 2)]
    for axis in range(3):
        mapped = go.compile(lambda x, axis=axis: go.vmap(shared, in_axes=axis)(x))
        gradient = go.grad(lambda x, axis=axis: np.sum(go.vmap(shared, in_axes=axis)(x) ** 2))
        for x in layouts:
            want = np.array([shared(v) for v in np.moveaxis(x, axis, 0)])
            np.testing.assert_array_equal(mapped(x), want)
            of_elements = [
                go.grad(lambda v: np.sum(shared(v) ** 2))(v) for v in np.moveaxis(x, axis, 0)
            ]
            np.testing.assert_array_equal(gradient(x), np.moveaxis(np.array(of_elements), 0, axis))


@pytest.mark.parametrize("load", [go.load, gradopt_runtime.load])
def test_saved_functions_are_for_one_memory_order(load: Any, tmp_path: Path) -> None:
    x = np.arange(6.0).reshape(2, 3)
    compiled = go.compile(shared)
    go.save(compiled.lower(x), tmp_path / "one")
    loaded = load(tmp_path / "one")
    np.testing.assert_array_equal(loaded(x), shared(x))
    with pytest.raises(ValueError, match="strides of row-major order at x, but got one with"):
        loaded(np.asfortranarray(x))

    for layout in (x, np.asfortranarray(x), np.arange(12.0).reshape(2, 6)[:, ::2]):
        compiled(layout)
    go.save(compiled, tmp_path / "several")
    loaded = load(tmp_path / "several")
    for layout in (x, np.asfortranarray(x), np.arange(12.0).reshape(2, 6)[:, ::2]):
        np.testing.assert_array_equal(loaded(layout), shared(layout))

    go.save(go.compile(lambda x: x * 2 + x).lower(x), tmp_path / "none")
    np.testing.assert_array_equal(load(tmp_path / "none")(np.asfortranarray(x)), 3 * x)


def test_saved_functions_of_named_sizes_are_for_one_memory_order(tmp_path: Path) -> None:
    compiled = go.compile(written_in_a_result, dynamic={"x": {0: go.Dim("n", max=64)}})
    go.save(compiled.lower(SIZED), tmp_path / "rows")
    loaded = go.load(tmp_path / "rows")
    for rows in (SIZED, SIZED[:2], SIZED[::2]):
        np.testing.assert_allclose(loaded(rows), written_in_a_result(rows), rtol=1e-13)
    with pytest.raises(ValueError, match="strides of row-major order at x, but got one with"):
        loaded(np.asfortranarray(SIZED))

    def writes_elsewhere(x):
        y = np.zeros(3)
        y[0] = 1.0
        return only_read(x) + y

    compiled = go.compile(writes_elsewhere, dynamic={"x": {0: go.Dim("n", max=64)}})
    with pytest.raises(UnsupportedError, match="do not lie in row-major order"):
        go.save(compiled.lower(np.asfortranarray(SIZED)), tmp_path / "rows")


# -- Branches and loops ------------------------------------------------------------------------


def chosen(a: Any, c: Any) -> Any:
    return np.asfortranarray(a * 1) if c > 0 else a * 2


def carried(a: Any, c: Any) -> Any:
    y = a * 1
    for _ in range(9):
        y = np.asfortranarray(y * c)
    return y


def carried_by_while(a: Any, c: Any) -> Any:
    y, i = a * 1, 0.0
    while i < c:
        y = y.T * 1
        i += 1
    return y


@pytest.mark.parametrize("make", [chosen, carried, carried_by_while])
def test_order_that_only_the_run_knows(make: Callable[..., Any]) -> None:
    """A view of such an array may be a copy, and nobody knows in which order its elements lie."""

    def written(a: Any, c: Any) -> Any:
        y = make(a, c)
        part = y.reshape(-1)
        part[1] = 5.0
        return y

    def iterated(a: Any, c: Any) -> Any:
        total = 0.0
        for v in np.nditer(make(a, c)):
            total = total * 0.5 + v
        return total

    def read(a: Any, c: Any) -> Any:
        return make(a, c).reshape(-1) * 2

    square = np.arange(16.0).reshape(4, 4)
    for f in written, iterated:
        with pytest.raises(UnsupportedError, match="memory order"):
            go.compile(f)(square, 1.0)
    np.testing.assert_array_equal(go.compile(read)(square, 1.0), read(square, 1.0))


def test_order_that_all_branches_and_iterations_have() -> None:
    def f(a: Any, c: Any) -> Any:
        y = a.T * 1 if c > 0 else a.T * 2
        for _ in range(9):
            y = y * 0.5 + 1
            part = y.reshape(-1)
            part[1] = c
        for i in range(9):
            z = np.asfortranarray(a * i)
        total = 0.0
        for v, w in zip(np.nditer(y), np.nditer(z)):  # noqa: B905
            total = total * 0.5 + v * w
        return total, y, z.reshape(-1)

    square = np.arange(16.0).reshape(4, 4)
    for c in 1.0, -1.0:
        for got, want in zip(go.compile(f)(square, c), f(square, c), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12)
