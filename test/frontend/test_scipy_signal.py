# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""gradopt.scipy.signal against SciPy; derivatives against differences."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import pytest
import scipy.signal
from budget import generator

import gradopt as go
from gradopt.errors import ArgumentError, DTypeError, ShapeError
from gradopt.scipy import signal
from gradopt.scipy.signal import Mode

RNG = generator(61)
MODES: tuple[Mode, ...] = ("full", "same", "valid")
SHAPES = [
    ((), ()),
    ((1,), (1,)),
    ((7,), (3,)),
    ((3,), (7,)),
    ((6,), (4,)),
    ((4,), (6,)),
    ((5, 6), (2, 3)),
    ((2, 3), (5, 6)),
    ((5, 2), (2, 5)),
    ((3, 4, 5), (2, 1, 3)),
    ((2, 3, 2, 3), (1, 2, 2, 1)),
]


def arrays(shapes: tuple[Any, Any], dtype: Any) -> tuple[Any, Any]:
    made = [np.asarray(5 * RNG.normal(size=shape)).astype(dtype) for shape in shapes]
    return made[0], made[1]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["convolve", "correlate"])
def test_values(name: str, mode: str) -> None:
    for shapes, dtype in itertools.product(SHAPES, ["float64", "float32", "int64"]):
        x, y = arrays(shapes, dtype)
        ours, scipys = getattr(signal, name), getattr(scipy.signal, name)
        try:
            want = scipys(x, y, mode, method="direct")
        except ValueError:
            with pytest.raises(ShapeError):
                ours(x, y, mode)
            continue
        tolerance = 1e-5 if dtype == "float32" else 1e-13
        for got in (ours(x, y, mode), go.compile(lambda x, y: ours(x, y, mode))(x, y)):  # noqa: B023
            assert np.shape(got) == np.shape(want), (shapes, dtype)
            np.testing.assert_allclose(got, want, tolerance, tolerance, err_msg=str(shapes))
            assert np.asarray(got).dtype == np.asarray(want).dtype, (shapes, dtype)


@pytest.mark.parametrize("boundary", ["fill", "wrap", "symm"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["convolve2d", "correlate2d"])
def test_matrices(name: str, mode: str, boundary: str) -> None:
    ours, scipys = getattr(signal, name), getattr(scipy.signal, name)
    for shapes in [((5, 6), (3, 2)), ((2, 3), (2, 3)), ((2, 3), (4, 4)), ((1, 1), (3, 3))]:
        x, y = arrays(shapes, "float64")
        value = 1.5 if boundary == "fill" and mode != "valid" else 0
        want = scipys(x, y, mode, boundary, value)
        got = ours(x, y, mode, boundary, value)
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, 1e-12, 1e-12, err_msg=str(shapes))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shapes", [((7,), (3,)), ((3,), (7,)), ((4, 5), (2, 3)), ((2, 3), (4, 5))])
def test_derivatives(shapes: tuple[Any, Any], mode: Any) -> None:
    x, y = arrays(shapes, "float64")
    go.gradcheck(lambda x, y: signal.convolve(x, y, mode), (x, y), order=2)
    go.gradcheck(lambda x, y: signal.correlate(x, y, mode), (x, y))


@pytest.mark.parametrize("boundary", ["fill", "wrap", "symm"])
def test_derivatives_of_matrices(boundary: Any) -> None:
    x, y = arrays(((4, 5), (2, 3)), "float64")
    go.gradcheck(lambda x, y: signal.convolve2d(x, y, "same", boundary), (x, y))
    go.gradcheck(lambda x, v: signal.correlate2d(x, y, fillvalue=v), (x, 0.7))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["convolve", "correlate"])
@pytest.mark.parametrize("method", ["direct", "fft"])
def test_methods(name: str, mode: Mode, method: Any) -> None:
    """Products of spectra, and complex numbers, of which a correlation takes the conjugate."""
    for shapes, dtype in itertools.product(
        SHAPES[1:], ["float64", "float32", "complex128", "int64"]
    ):
        x, y = arrays(shapes, "float64")
        if dtype == "complex128":
            x, y = x + 1j * arrays(shapes, "float64")[0], y - 1j * arrays(shapes, "float64")[1]
        x, y = x.astype(dtype), y.astype(dtype)
        try:
            want = getattr(scipy.signal, name)(x, y, mode, method="direct")
        except ValueError:
            with pytest.raises(ShapeError, match="must hold the other"):
                getattr(signal, name)(x, y, mode, method)
            continue
        got = getattr(signal, name)(x, y, mode, method)
        tolerance = 1e-5 if dtype == "float32" else 1e-13
        assert got.dtype == want.dtype
        error = np.abs(got - want)
        assert (error <= tolerance * np.max(np.abs(want))).all(), (shapes, dtype)


def test_the_faster_method() -> None:
    """Long arrays are multiplied as spectra, short ones and integers directly."""
    for n, m, method in ((100_000, 5, "direct"), (100_000, 5000, "fft"), (64, 64, "direct")):
        x, y = np.ones(n), np.ones(m)
        assert signal.choose_conv_method(x, y) == method
        program = go.compile(lambda x, y: signal.convolve(x, y, "same")).lower(x, y).mlir("grad")
        assert ("grad.rfft" in program) == (method == "fft")
        assert signal.choose_conv_method(x.astype(int), y) == method
        assert signal.choose_conv_method(x.astype(int), y.astype(int)) == "direct"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["fftconvolve", "oaconvolve"])
def test_products_of_spectra(name: str, mode: Mode) -> None:
    uses: list[tuple[Any, Any]] = [(shapes, None) for shapes in SHAPES]
    uses += [(((4, 5), (4, 3)), 1), (((4, 5), (1, 3)), (1,)), (((1, 5), (4, 3)), [-1])]
    uses += [(((3, 4, 5), (2, 4, 3)), (2, 0)), (((0,), (3,)), None), (((6, 1), (2, 3)), None)]
    for (shapes, axes), dtype in itertools.product(uses, ["float64", "float32", "int64"]):
        x, y = arrays(shapes, dtype)
        try:
            want = getattr(scipy.signal, name)(x, y, mode, axes)
        except ValueError:
            with pytest.raises(ShapeError):
                getattr(signal, name)(x, y, mode, axes)
            continue
        got = getattr(signal, name)(x, y, mode, axes)
        assert np.shape(got) == np.shape(want), (shapes, axes)
        assert np.asarray(got).dtype == np.asarray(want).dtype, (shapes, axes, dtype)
        scale = np.max(np.abs(want), initial=1)
        np.testing.assert_allclose(got, want, atol=(1e-6 if dtype == "float32" else 1e-14) * scale)


def test_analytic_signals() -> None:
    for shape, n, axis in itertools.product([(7,), (8,), (4, 6)], (None, 5, 12), (-1, 0)):
        for dtype in ("float64", "float32"):
            x = RNG.normal(size=shape).astype(dtype)
            got, want = signal.hilbert(x, n, axis), scipy.signal.hilbert(x, n, axis)
            assert got.dtype == want.dtype
            np.testing.assert_allclose(got, want, atol=1e-6 if dtype == "float32" else 1e-14)
    with pytest.raises(ValueError, match="x must be real"):
        scipy.signal.hilbert(np.ones(3) * 1j)
    with pytest.raises(DTypeError, match="x must be real"):
        signal.hilbert(np.ones(3) * 1j)
    with pytest.raises(ArgumentError, match="N must be positive"):
        signal.hilbert(np.ones(3), 0)


def test_derivatives_of_spectra() -> None:
    x, y = RNG.normal(size=9), RNG.normal(size=4)
    for mode in MODES:
        by_spectra = functools.partial(signal.fftconvolve, mode=mode)
        go.gradcheck(lambda x, y: np.sin(by_spectra(x, y)), (x, y), order=2)  # noqa: B023
        correlated = functools.partial(signal.correlate, mode=mode, method="fft")
        go.gradcheck(lambda x, y: correlated(x, y) ** 2, (x, y))  # noqa: B023
    go.gradcheck(lambda x: np.abs(signal.hilbert(x)), (x,), order=2)


def test_bools() -> None:
    x, y = np.array([True, False, True, True]), np.array([True, False])
    np.testing.assert_array_equal(signal.convolve(x, y), np.convolve(x, y))
    image = np.outer(x, x)
    np.testing.assert_array_equal(signal.convolve(image, np.outer(y, y)), np.pad(image, (0, 1)))


def test_lags() -> None:
    for n, m, mode in itertools.product(range(1, 7), range(1, 7), MODES):
        want = scipy.signal.correlation_lags(n, m, mode)
        np.testing.assert_array_equal(signal.correlation_lags(n, m, mode), want)


@pytest.mark.parametrize(
    ("method", "most"),
    # A spectrum has more elements than the signal, in two parts, and is transformed beside.
    [("direct", 8), ("fft", 16)],
)
def test_a_long_signal_needs_no_windows(method: str, most: int) -> None:
    def loss(x: Any, w: Any) -> Any:
        return np.sum(signal.convolve(x, w, "same", method) ** 2)

    x, w = np.ones(20_000), np.ones(500)
    memory = go.compile_grad(loss, (0, 1)).lower(x, w).memory()
    assert memory.arena < most * (x.nbytes + w.nbytes)


def test_errors() -> None:
    x, y = np.ones((2, 3)), np.ones((3, 2))
    with pytest.raises(ShapeError, match=r"valid.*\(2, 3\) and in2 \(3, 2\)"):
        signal.convolve(x, y, "valid")
    with pytest.raises(ShapeError, match=r"same number of dimensions.*\(2, 3\) and in2 \(3,\)"):
        signal.correlate(x, np.ones(3))
    with pytest.raises(ShapeError, match=r"must have elements.*\(0,\) and in2 \(3,\)"):
        signal.convolve(np.ones(0), np.ones(3))
    with pytest.raises(ShapeError, match=r"two dimensions"):
        signal.convolve2d(np.ones(3), np.ones(3))
    mode: Any = "half"
    for function in (signal.convolve, signal.correlate2d):
        with pytest.raises(ArgumentError, match='mode must be "full", "valid" or "same"'):
            function(x, y, mode)
    with pytest.raises(ArgumentError, match="correlation_lags: mode must"):
        signal.correlation_lags(2, 3, mode)
    with pytest.raises(ArgumentError, match="boundary must"):
        signal.convolve2d(x, y, boundary=mode)
    with pytest.raises(ArgumentError, match='method must be "auto", "direct" or "fft"'):
        signal.convolve(x, y, method="table")
    wrong: Any = ["full"]
    with pytest.raises(ArgumentError, match=r"mode must .* but it is \['full'\]"):
        signal.convolve(x, y, wrong)
    with pytest.raises(ArgumentError, match=r"boundary must .* but it is \['full'\]"):
        signal.correlate2d(x, y, boundary=wrong)
    with pytest.raises(ArgumentError, match=r"method must .* but it is \['full'\]"):
        signal.correlate(x, y, method=wrong)
