# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""numpy.fft in compiled functions: values and errors are NumPy's, derivatives those of the sums."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from budget import by_hypothesis, generator
from hypothesis import given
from hypothesis import strategies as st

import gradopt as go
from gradopt.errors import (
    ArgumentError,
    AxisError,
    DTypeError,
    GradoptError,
    ShapeError,
)

Array = np.ndarray[Any, Any]
UNIT: Any = "unit"
DTYPES = ("f8", "f4", "c16", "c8", "i4", "?")


def numbers(shape: Any, dtype: str = "c16", seed: int = 0) -> Array:
    rng = generator(seed)
    x = rng.normal(size=shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.normal(size=shape)
    if np.dtype(dtype).kind in "iu?b":
        x = 3 * x
    return x.astype(dtype)


def check(got: Any, want: Any, message: str = "") -> None:
    """To a few rounding errors of the largest number, which is what a sum of all of them has."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.dtype == want.dtype, message
    assert got.shape == want.shape, message
    error = np.max(np.abs(got - want), initial=0)
    size = np.max(np.abs(want), initial=0)
    assert error <= 12 * np.finfo(want.dtype).eps * size, f"{message}: {error / size}"


def reference(name: str, x: Array, *args: Any, **kwargs: Any) -> Array:
    """NumPy's, of as many digits as there are."""
    wide = x.astype({"f": "f8", "c": "c16"}[x.dtype.kind]) if x.dtype.kind in "fc" else x
    result = getattr(np.fft, name)(wide, *args, **kwargs)
    is_single = x.dtype in (np.dtype("f4"), np.dtype("c8"))
    return result.astype({"f": "f4", "c": "c8"}[result.dtype.kind]) if is_single else result


# -- Values ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *itertools.product(("fft", "ifft", "irfft", "hfft"), DTYPES),
        *itertools.product(("rfft", "ihfft"), ("f8", "f4", "i4", "?")),
    ],
)
def test_one_axis(name: str, dtype: str) -> None:
    x = numbers((5, 6), dtype)
    uses = list(itertools.product((None, 1, 4, 9), (-1, 0), (None, "ortho", "forward", "backward")))
    transform = getattr(np.fft, name)

    @go.compile
    def run(x: Array) -> Any:
        return [transform(x, n, axis, norm) for n, axis, norm in uses]

    for (n, axis, norm), got in zip(uses, run(x), strict=True):
        check(got, reference(name, x, n, axis, norm), f"{name} of {dtype}, {n}, {axis}, {norm}")


AXES = [
    (None, None),
    (None, (0, 2)),
    (None, (2, 0)),
    ((4, 3), (1, 2)),
    ((2, 7, 3), None),
    ((6, -1), (-1, 0)),
    ((4,), (1,)),
    (None, (1, 1)),
]


@pytest.mark.filterwarnings("ignore:`axes` should not be `None`:DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *itertools.product(("fftn", "ifftn", "irfftn", "fft2", "ifft2", "irfft2"), ("f8", "c8")),
        *itertools.product(("rfftn", "rfft2"), ("f8", "f4")),
    ],
)
def test_several_axes(name: str, dtype: str) -> None:
    x = numbers((3, 4, 5), dtype)
    uses: list[tuple[Any, ...]] = [(s, axes) for s, axes in AXES if axes is not None]
    uses += [()] if name.endswith("2") else [(s, axes) for s, axes in AXES if axes is None]
    uses = [(*use, norm) if use else use for use in uses for norm in (None, "ortho", "forward")]
    transform = getattr(np.fft, name)

    @go.compile
    def run(x: Array) -> Any:
        return [transform(x, *use) for use in uses]

    for use, got in zip(uses, run(x), strict=True):
        check(got, reference(name, x, *use), f"{name} of {dtype}, {use}")


# Powers of two, small factors, primes with a pass of their own and without, what is divided.
SIZES = [
    *(*range(1, 18), 30, 49, 64, 67, 121, 243, 251, 1000, 1009, 1024, 4099, 8192),
    *(2 * 8191, 3**9, 30030, 65536, 100003),
]


@pytest.mark.parametrize("dtype", ["c16", "c8"])
def test_all_kinds_of_sizes(dtype: str) -> None:
    """One transform by itself, some beside each other, and some in rows."""
    for n in SIZES:
        for shape, axis in (((n,), 0), ((n, 3), 0), ((9, n), 1)):
            if n * np.prod(shape) > 10**9:
                continue
            x = numbers(shape, dtype, n)

            @go.compile
            def run(x: Array, axis: int = axis, n: int = n) -> Any:
                half = x.take(range(n // 2 + 1), axis)
                return (
                    np.fft.fft(x, axis=axis),
                    np.fft.ifft(x, axis=axis),
                    np.fft.rfft(x.real, axis=axis),
                    np.fft.irfft(half, n, axis),
                )

            wanted = (
                reference("fft", x, axis=axis),
                reference("ifft", x, axis=axis),
                reference("rfft", x.real, axis=axis),
                reference("irfft", x.take(range(n // 2 + 1), axis), n, axis),
            )
            for got, want in zip(run(x), wanted, strict=True):
                check(got, want, f"{n} points of {shape}")


@by_hypothesis()
@given(st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_parseval(n: int, seed: int) -> None:
    """The transform turns vectors, and its inverse turns them back."""
    x = numbers(n, seed=seed)
    y, back = _turned(x)
    np.testing.assert_allclose(np.vdot(y, y).real, np.vdot(x, x).real, rtol=1e-13)
    check(back, x)


@go.compile
def _turned(x: Array) -> Any:
    y = np.fft.fft(x, norm="ortho")
    return y, np.fft.ifft(y, norm="ortho")


def test_shifts() -> None:
    x = numbers((4, 5))

    @go.compile
    def run(x: Array) -> Any:
        return (
            np.fft.fftshift(x),
            np.fft.ifftshift(x),
            np.fft.fftshift(x, 1),
            np.fft.ifftshift(x, (0, -1)),
            np.fft.fftshift(x, axes=()),
        )

    wanted = (
        np.fft.fftshift(x),
        np.fft.ifftshift(x),
        np.fft.fftshift(x, 1),
        np.fft.ifftshift(x, (0, -1)),
        np.fft.fftshift(x, axes=()),
    )
    for got, want in zip(run(x), wanted, strict=True):
        np.testing.assert_array_equal(got, want, strict=True)


def test_frequencies_of_a_traced_step() -> None:
    @go.compile
    def run(step: Any) -> Any:
        return np.fft.fftfreq(6, step), np.fft.rfftfreq(5, d=step), np.fft.fftfreq(4)

    for got, want in zip(
        run(0.3), (np.fft.fftfreq(6, 0.3), np.fft.rfftfreq(5, 0.3), np.fft.fftfreq(4)), strict=True
    ):
        np.testing.assert_allclose(got, want, rtol=4e-16)


def test_out_is_written_into() -> None:
    @go.compile
    def run(x: Array) -> Any:
        y = x * 0j
        z = np.fft.fft(x, out=y)
        z[0] = 7
        return y

    want = np.fft.fft(np.arange(4.0))
    want[0] = 7
    check(run(np.arange(4.0)), want)


def test_operands_of_any_layout() -> None:
    x = numbers((6, 8))
    run = go.compile(lambda x: np.fft.fft(x.T[::2, ::-1]))
    for a in (x, np.asfortranarray(x), numbers((12, 16))[::2, ::2]):
        check(run(a), np.fft.fft(a.T[::2, ::-1]))


def test_no_transforms() -> None:
    run = go.compile(lambda x: (np.fft.fft(x), np.fft.irfft(x), np.fft.fft2(x, (2, 2))))
    x = np.zeros((0, 3))
    for got, want in zip(
        run(x), (np.fft.fft(x), np.fft.irfft(x), np.zeros((2, 2), complex)), strict=True
    ):
        check(got, want)


def test_nan_stays_nan() -> None:
    """What is not a number reaches all that it is a part of, and no other row."""
    x = numbers((9, 33))
    x[4, 7] = np.nan
    got = go.compile(np.fft.fft)(x)
    assert np.isnan(got[4]).all()
    assert not np.isnan(np.delete(got, 4, 0)).any()


# -- Errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "error", "said"),
    [
        (lambda x: np.fft.fft(x, 0), ArgumentError, r"Invalid number of FFT data points \(0\)"),
        (lambda x: np.fft.irfft(x[:, :1]), ArgumentError, r"FFT data points \(0\)"),
        (lambda x: np.fft.fft(x, norm=UNIT), ArgumentError, "Invalid norm value unit"),
        (lambda x: np.fft.fft(x, axis=2), AxisError, "axis 2 is out of bounds"),
        (
            lambda x: np.fft.fftn(x, (2, 3), (0,)),
            ShapeError,
            "Shape and axes have different lengths",
        ),
        (lambda x: np.fft.rfftn(x, axes=()), ShapeError, "at least one axis"),
        (lambda x: np.fft.rfft(x * 1j), DTypeError, r"numpy.fft.rfft takes real numbers"),
    ],
)
def test_errors(function: Callable[..., Any], error: type[GradoptError], said: str) -> None:
    with pytest.raises(error, match=said) as caught:
        go.compile(function)(numbers((3, 4), "f8"))
    assert caught.value.location is not None
    assert caught.value.location.file == __file__


def test_what_numpy_raises_is_raised() -> None:
    """An error that is caught as NumPy's is."""
    for function in (lambda x: np.fft.fft(x, 0), lambda x: np.fft.fft(x, norm=UNIT)):
        for run in (function, go.compile(function)):
            with pytest.raises(ValueError, match="Invalid"):
                run(np.ones(3))


# -- Derivatives -----------------------------------------------------------------------------


def loss(y: Any) -> Any:
    """A real number that depends on both parts of each number, not alike."""
    weights = np.cos(np.arange(y.size)).reshape(y.shape)
    return np.sum(weights * np.sin(np.real(y)) + np.real(y) * np.imag(y) ** 2)


DERIVATIVES: dict[str, tuple[Callable[..., Any], str, tuple[int, ...]]] = {
    "fft": (np.fft.fft, "c16", (5,)),
    "fft of reals": (np.fft.fft, "f8", (6,)),
    "ifft, longer": (lambda x: np.fft.ifft(x, 7, norm="ortho"), "c16", (4,)),
    "fft, shorter": (lambda x: np.fft.fft(x, 3, axis=0), "c16", (4, 2)),
    "rfft, even": (np.fft.rfft, "f8", (6,)),
    "rfft, odd": (lambda x: np.fft.rfft(x, norm="forward"), "f8", (2, 5)),
    "irfft, even": (np.fft.irfft, "c16", (4,)),
    "irfft, odd": (lambda x: np.fft.irfft(x, 5), "c16", (3,)),
    "irfft, shorter": (lambda x: np.fft.irfft(x, 4), "c16", (2, 5)),
    "hfft": (np.fft.hfft, "c16", (4,)),
    "ihfft": (np.fft.ihfft, "f8", (5,)),
    "fftn": (np.fft.fftn, "c16", (2, 3)),
    "rfftn": (np.fft.rfftn, "f8", (3, 4)),
    "irfftn": (np.fft.irfftn, "c16", (3, 3)),
    "irfft2": (lambda x: np.fft.irfft2(x, (2, 5)), "c16", (3, 3)),
    "fftshift": (lambda x: np.fft.fftshift(np.fft.fft(x)), "c16", (5,)),
    "one prime": (np.fft.fft, "c16", (67,)),
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_derivatives(name: str) -> None:
    transform, dtype, shape = DERIVATIVES[name]
    x = numbers(shape, dtype, seed=1) / np.sqrt(np.prod(shape))
    go.gradcheck(lambda x: loss(transform(x)), (x,), modes=("fwd", "rev"), order=2)


def test_gradient_of_a_complex_argument() -> None:
    """That of |X_k|^2 is 2 conj(X_k) times the row of the matrix: nothing else is conjugated."""
    x = numbers(6)
    got = go.compile_grad(lambda x: np.abs(np.fft.fft(x)[2]) ** 2)(x)
    row = np.exp(-2j * np.pi * 2 * np.arange(6) / 6)
    np.testing.assert_allclose(got, 2 * np.conj(np.fft.fft(x)[2]) * row, rtol=1e-13)


def test_what_is_not_read_has_no_derivative() -> None:
    """Of the first and of the middle frequency of an even size, `irfft` reads the real part."""
    gradient = go.compile_grad(lambda x: np.sum(np.sin(np.fft.irfft(x))))(numbers(4))
    assert gradient[0].imag == 0
    assert gradient[3].imag == 0
    assert (gradient[1:3].imag != 0).all()


def test_transforms_are_mapped() -> None:
    x = numbers((4, 3, 5))
    check(go.vmap(np.fft.fft)(x), np.fft.fft(x))
    check(
        go.vmap(lambda x: np.fft.rfft2(np.real(x)), in_axes=1)(x),
        np.fft.rfft2(np.moveaxis(np.real(x), 1, 0)),
    )
    check(
        go.vmap(lambda x: np.fft.irfft(x, 6, axis=0), out_axes=1)(x),
        np.moveaxis(np.fft.irfft(x, 6, axis=1), 0, 1),
    )


def test_jacobian_is_the_matrix() -> None:
    n = np.arange(5)
    matrix = np.exp(-2j * np.pi * np.outer(n, n) / 5)
    check(go.jacfwd(np.fft.fft, holomorphic=True)(numbers(5)), matrix)
    real = go.jacrev(lambda x: np.real(np.fft.fft(x)))(numbers(5, "f8"))
    np.testing.assert_allclose(real, np.real(matrix), atol=1e-14)


def test_a_loop_of_transforms() -> None:
    """Each iteration of a rolled loop works in the same memory."""

    def steps(x: Array) -> Any:
        for _ in range(100):
            x = np.fft.ifft(np.exp(-0.01j * np.arange(16) ** 2) * np.fft.fft(x))
        return x

    x = numbers(16)
    compiled = go.compile(steps)
    assert [loop.is_rolled for loop in compiled.lower(x).loops()] == [True]
    # Two hundred transforms have that many rounding errors.
    np.testing.assert_allclose(compiled(x), steps(x), rtol=1e-12)
    go.gradcheck(lambda x: loss(steps(x)), (x,), modes=("rev",))
