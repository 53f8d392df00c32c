# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops of which several iterations are written down, and maps in batches: the same results."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go

RNG = np.random.default_rng(11)
XS = RNG.normal(size=(7, 3))


def step(carry: Any, x: Any) -> tuple[Any, Any]:
    return np.sin(carry) * x + x[0], {"twice": carry * 2, "sum": x.sum()}


def scanned(xs: Any, reverse: bool) -> tuple[Any, Any]:
    carry, twice, sums = xs[0], [], []
    for x in xs[::-1] if reverse else xs:
        twice.append(carry * 2)
        sums.append(x.sum())
        carry = np.sin(carry) * x + x[0]
    order = -1 if reverse else 1
    return carry, {"twice": np.stack(twice[::order]), "sum": np.stack(sums[::order])}


def same(one: Any, other: Any) -> None:
    carry, ys = one
    np.testing.assert_allclose(carry, other[0], rtol=1e-13)
    for name in ("twice", "sum"):
        np.testing.assert_allclose(ys[name], other[1][name], rtol=1e-13)


@pytest.mark.parametrize("unroll", [0, 1, 2, 3, 7, 9, True, False])
@pytest.mark.parametrize("reverse", [False, True])
def test_scan(unroll: Any, reverse: bool) -> None:
    def f(xs: Any) -> Any:
        return go.scan(step, xs[0], xs, reverse=reverse, unroll=unroll)

    same(go.compile(f)(XS), scanned(XS, reverse))
    same(f(XS), scanned(XS, reverse))
    go.gradcheck(lambda xs: np.sum(f(xs)[0]) + np.sum(f(xs)[1]["twice"] ** 2), (XS,))


@pytest.mark.parametrize(
    ("unroll", "written"),
    [(None, 1), (False, 1), (1, 1), (2, 3), (3, 4), (0, 7), (10, 7), (True, 7)],
)
def test_fori_loop(unroll: Any, written: int) -> None:
    """The body is there once for each iteration of a group, and once for those that are left."""

    def f(x: Any) -> Any:
        return go.fori_loop(2, 9, lambda i, x: np.sin(x) + i, x, unroll=unroll)

    want = XS
    for i in range(2, 9):
        want = np.sin(want) + i
    np.testing.assert_allclose(go.compile(f)(XS), want, rtol=1e-13)
    np.testing.assert_allclose(f(XS), want, rtol=1e-13)
    assert go.compile(f).lower(XS).mlir("simplified").count("grad.sin") == written


@pytest.mark.parametrize("size", [None, 0, 1, 2, 3, 7, 8])
def test_map(size: int | None) -> None:
    def f(xs: Any) -> Any:
        return go.map(lambda x: (x.sum(), np.outer(x, x)), xs, batch_size=size)

    for sums, products in (go.compile(f)(XS), f(XS)):
        np.testing.assert_allclose(sums, XS.sum(1), rtol=1e-13)
        np.testing.assert_allclose(products, np.einsum("ni,nj->nij", XS, XS), rtol=1e-13)


@pytest.mark.parametrize(("size", "shape"), [(0, "64x"), (64, "64x"), (8, "8x"), (None, "")])
def test_a_map_in_batches_works_on_one(size: int | None, shape: str) -> None:
    def product(row: Any) -> Any:
        return np.sum(np.sin(np.outer(row, row)) @ row)

    x = np.ones((64, 100))
    program = go.compile(lambda x: go.map(product, x, batch_size=size)).lower(x).mlir("simplified")
    assert set(re.findall(r"grad.sin .* : tensor<(.*)100x100xf64>", program)) == {shape}


def test_an_operand_by_name() -> None:
    double: Callable[[Any], Any] = lambda x: x * 2  # noqa: E731
    half: Callable[[Any], Any] = lambda x: x / 2  # noqa: E731
    for i, want in enumerate((6.0, 1.5)):
        by_cond = go.compile(lambda x, i: go.cond(i == 0, double, half, operand=x))
        by_switch = go.compile(lambda x, i: go.switch(i, [double, half], operand=x))
        assert by_cond(3.0, i) == by_switch(3.0, i) == want
    assert go.cond(True, lambda x: x, lambda x: 0, operand=None) is None


MISTAKES: dict[str, Callable[[], Any]] = {
    "unroll must not be negative, but it is -1": lambda: go.scan(step, XS[0], XS, unroll=-1),
    "unroll must be an integer, but it is 1.5": lambda: go.compile(
        lambda x: go.fori_loop(0, 3, lambda i, x: x, x, unroll=1.5)  # pyright: ignore[reportArgumentType]
    )(1.0),
    "only where lower and upper are known": lambda: go.compile(
        lambda n: go.fori_loop(0, n, lambda i, x: x, 1.0, unroll=2)
    )(3),
    "batch_size must not be negative, but it is -2": lambda: go.map(np.sum, XS, batch_size=-2),
    "by position or as operand=": lambda: go.switch(0, [np.sin], 1.0, operand=2.0),
}


@pytest.mark.parametrize("message", list(MISTAKES))
def test_mistakes(message: str) -> None:
    with pytest.raises(go.errors.GradoptError, match=message) as info:
        MISTAKES[message]()
    assert info.value.location is not None
    assert info.value.location.file == __file__
