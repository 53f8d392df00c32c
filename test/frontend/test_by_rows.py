# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions of each row of an array of which the number of rows is known at run time only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt.errors import ShapeError, UnsupportedError

EYE = np.eye(3)
KNOTS = np.linspace(-2, 2, 6)


def square(x: Any) -> Any:
    """A positive definite matrix for each row."""
    m = x[:, :9].reshape(-1, 3, 3) / 3
    return m @ np.swapaxes(m, 1, 2) + np.diag([1.0, 2.0, 3.0])


# Of x of shape (n, 12).
FLOATS: dict[str, Callable[[Any], Any]] = {
    "inv": lambda x: np.linalg.inv(square(x)),
    "det": lambda x: np.linalg.det(square(x)) * x[:, 0],
    "slogdet": lambda x: np.linalg.slogdet(square(x))[1],
    "cholesky": lambda x: np.linalg.cholesky(square(x)),
    "eigh": lambda x: np.linalg.eigh(square(x)).eigenvalues,
    "svd": lambda x: np.linalg.svd(square(x) + 0.1 * x[:, :3, None], compute_uv=False),
    "qr": lambda x: np.abs(np.linalg.qr(square(x))[1]),
    "solve": lambda x: np.linalg.solve(square(x), x[:, :6].reshape(-1, 3, 2)),
    "solve with one matrix": lambda x: np.linalg.solve(2 * EYE + KNOTS[:3], x[:, :3, None]),
    "solve with one vector": lambda x: np.linalg.solve(square(x), KNOTS[:3]),
    "solve with one batch": lambda x: np.linalg.solve(square(x), EYE[None] + 1),
    "matrix_power": lambda x: np.linalg.matrix_power(square(x), -2),
    "tril": lambda x: np.tril(square(x), -1),
    "rfft": lambda x: np.abs(np.fft.rfft(x, axis=1)),
    "fft2": lambda x: np.fft.fft2(x.reshape(-1, 3, 4)).real,
    "take_along_axis": lambda x: np.take_along_axis(x, np.argsort(x, axis=1), -1) ** 2,
    "split": lambda x: np.split(x, 3, axis=1)[1] * np.hsplit(x, 3)[2],
    "partition": lambda x: np.sum(np.partition(x, 4, axis=-1)[:, :4], axis=1),
    "quantile": lambda x: np.quantile(x, 0.3, axis=1, keepdims=True),
    "median": lambda x: np.median(x.reshape(-1, 3, 4), axis=(1, 2)),
    "nanmax": lambda x: np.nanmax(np.where(x > 1, np.nan, x), axis=1),
    "unwrap": lambda x: np.unwrap(3 * x, axis=1),
    "cross": lambda x: np.cross(x[:, :3], KNOTS[:3]) + np.cross(KNOTS[3:], x[:, 3:6]),
    "interp": lambda x: np.interp(x, KNOTS, KNOTS**3),
    "polyval": lambda x: np.polyval(KNOTS, x[:, 0]),
    "of elements that a mask selects": lambda x: np.linalg.inv(square(x[x[:, 0] > 0])),
}

INTEGERS: dict[str, Callable[[Any], Any]] = {
    "searchsorted": lambda x: np.searchsorted(KNOTS, x),
    "digitize": lambda x: np.digitize(x[:, 0], KNOTS),
    "argpartition": lambda x: np.argpartition(x[:, :5], 2, axis=1)[:, 2],
    "matrix_rank": lambda x: np.linalg.matrix_rank(square(x)),
}


@pytest.mark.parametrize("name", FLOATS)
def test_values_and_derivatives(name: str) -> None:
    f = FLOATS[name]

    def loss(x: Any) -> Any:
        return np.sum(np.sin(f(x)))

    compiled = go.compile(lambda x: (f(x), go.grad(loss)(x)), dynamic={"x": {0: "n"}})
    for n in (2, 32, 37):
        x, dx = np.random.default_rng(n).normal(size=(2, n, 12))
        result, gradient = compiled(x)
        want = f(x)
        assert (result.shape, result.dtype) == (want.shape, want.dtype)
        np.testing.assert_allclose(result, want, rtol=1e-10, atol=1e-12)
        step = 1e-6
        ends = [loss(x + s * dx) for s in (step, -step)]
        slope = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(np.sum(gradient * dx), slope, rtol=2e-6, atol=2e-6)
    assert compiled.cache_size() == 1


@pytest.mark.parametrize("name", INTEGERS)
def test_integers(name: str) -> None:
    compiled = go.compile(INTEGERS[name], dynamic={"x": {0: "n"}})
    for n in (1, 40):
        x = np.random.default_rng(n).normal(size=(n, 12))
        np.testing.assert_array_equal(compiled(x), INTEGERS[name](x))


def test_numbers_of_rows_are_compared() -> None:
    compiled = go.compile(
        lambda x: np.linalg.solve(np.ones((7, 3, 3)) + EYE, x), dynamic={"x": {0: "n"}}
    )
    x = np.ones((7, 3, 2))
    np.testing.assert_allclose(compiled(x), np.linalg.solve(np.ones((7, 3, 3)) + EYE, x))
    with pytest.raises(ShapeError, match="operands could not be broadcast together"):
        compiled(x[:5])


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: np.fft.fft(x, axis=0), r"numpy\.fft\.fft"),
        (lambda x: np.split(x, 2), r"numpy\.split"),
        (lambda x: np.linalg.qr(x), r"numpy\.linalg\.qr"),
        (lambda x: np.quantile(x, [0.2, 0.5], axis=1), "a quantile of an array of several"),
        (lambda x: np.interp(0.5, x[:, 0], x[:, 1]), r"numpy\.interp"),
        (lambda x: np.linalg.inv(x.T[:3].reshape(3, 1, -1)), r"numpy\.linalg\.inv"),
        (lambda x: np.isnat(x), r"numpy\.isnat"),
    ],
)
def test_what_goes_along_the_rows_is_refused(function: Callable[..., Any], name: str) -> None:
    with pytest.raises(UnsupportedError, match=name) as caught:
        go.compile(function, dynamic={"x": {0: "n"}})(np.ones((4, 12)))
    assert caught.value.location is not None
    assert caught.value.location.file == __file__
