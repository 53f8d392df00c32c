# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""gradopt.scipy.fft against SciPy's."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.fft
import scipy.linalg
import scipy.signal
from budget import generator
from scipy.fft import dct

import gradopt as go
import gradopt.scipy.fft as gfft
from gradopt.errors import ArgumentError, DTypeError, ShapeError

Array = np.ndarray[Any, Any]
SCIPY: Any = scipy.fft
of_cosines: Any = dct
COSINES = ("dct", "dst", "idct", "idst")


def numbers(shape: Any, dtype: str = "f8", seed: int = 0) -> Array:
    rng = generator(seed)
    x = rng.normal(size=shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.normal(size=shape)
    return (x * 3 if np.dtype(dtype).kind == "i" else x).astype(dtype)


def check(got: Any, want: Any, message: Any = "") -> None:
    assert got.dtype == want.dtype, message
    assert got.shape == want.shape, message
    error = np.max(np.abs(got - want), initial=0)
    size = np.max(np.abs(want), initial=0)
    assert error <= 20 * np.finfo(want.dtype).eps * size, f"{message}: {error / size}"


def test_all_of_scipys_functions() -> None:
    """All that transforms is there, with SciPy's parameters and their defaults."""
    others = {"get_workers", "set_workers", "set_backend"}
    others |= {"skip_backend", "set_global_backend", "register_backend"}
    wanted = set(scipy.fft.__all__) - others
    assert wanted == set(gfft.__all__)
    for name in sorted(wanted - {"fftfreq", "rfftfreq", "fftshift", "ifftshift"}):
        ours, theirs = getattr(gfft, name), getattr(scipy.fft, name)
        if name.endswith("fast_len"):
            continue  # SciPy's do not say theirs.
        parameters = inspect.signature(theirs).parameters
        assert [p.name for p in inspect.signature(ours).parameters.values()] == [*parameters], name
        for parameter in inspect.signature(ours).parameters.values():
            assert parameter.default == parameters[parameter.name].default, name
        assert ours.__name__ == name
        assert ours.__doc__


ONE_AXIS = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")


@pytest.mark.parametrize("name", ONE_AXIS)
def test_one_axis(name: str) -> None:
    kinds = ("f8", "f4", "i4") if name in ("rfft", "ihfft") else ("c16", "c8", "f8", "f4", "i4")
    for dtype, n, axis, norm in itertools.product(
        kinds, (None, 3, 8), (-1, 0), (None, "ortho", "forward")
    ):
        x = numbers((5, 6), dtype)
        got = getattr(gfft, name)(x, n, axis, norm, workers=2)
        check(got, getattr(scipy.fft, name)(x, n, axis, norm), (name, dtype, n, axis, norm))


@pytest.mark.parametrize("name", [f"{name}{n}" for name in ONE_AXIS for n in ("2", "n")])
def test_several_axes(name: str) -> None:
    x = numbers((3, 4, 5), "f8" if name.startswith(("rfft", "ihfft")) else "c16")
    uses: list[dict[str, Any]] = [{}, {"norm": "ortho"}, {"axes": (0, 2)}, {"axes": [2, 0]}]
    uses += [{"s": (6, 3)}, {"s": (2, 5), "axes": (0, 1), "norm": "forward"}, {"axes": 1}]
    for use in uses:
        if name.endswith("n") and "s" in use and "axes" not in use:
            use = {"axes": None, **use}
        got = getattr(gfft, name)(x, **use)
        check(got, getattr(scipy.fft, name)(x, **use), (name, use))


@pytest.mark.parametrize("name", COSINES)
def test_cosines_and_sines(name: str) -> None:
    for kind, n in itertools.product((1, 2, 3, 4), (1, 2, 3, 4, 5, 8, 9, 12, 101)):
        if kind == 1 and n == 1 and "ct" in name:
            continue
        uses = list(itertools.product((None, "ortho", "forward"), (None, True, False)))
        x = numbers((2, n), seed=n)

        @go.compile
        def run(x: Array, kind: int = kind, uses: Any = tuple(uses)) -> Any:
            transform = getattr(gfft, name)
            return [transform(x, kind, norm=norm, orthogonalize=o) for norm, o in uses]

        for (norm, o), got in zip(uses, run(x), strict=True):
            want = getattr(scipy.fft, name)(x, kind, norm=norm, orthogonalize=o)
            check(got, want, (name, kind, n, norm, o))


@pytest.mark.parametrize("name", [*COSINES, "dctn", "dstn", "idctn", "idstn"])
@pytest.mark.parametrize("dtype", ["f4", "c16", "i8"])
def test_arguments_of_cosines(name: str, dtype: str) -> None:
    x = numbers((4, 6), dtype)
    uses: list[dict[str, Any]] = [{}, {"type": 3, "norm": "ortho"}, {"type": 4, "norm": "forward"}]
    if name.endswith("n"):
        uses += [{"axes": 0}, {"s": (3, 9)}, {"s": (5,), "axes": (1,)}, {"axes": (1, 0), "type": 1}]
    else:
        uses += [{"n": 9}, {"n": 3, "axis": 0}, {"axis": 0, "type": 1}]
    for use in uses:
        check(getattr(gfft, name)(x, **use), getattr(scipy.fft, name)(x, **use), (name, use))


def test_the_inverse_is_the_inverse() -> None:
    x = numbers((5, 8))
    for kind, norm in itertools.product((1, 2, 3, 4), (None, "ortho", "forward")):
        check(gfft.idct(gfft.dct(x, kind, norm=norm), kind, norm=norm), x)
        check(gfft.idstn(gfft.dstn(x, kind, norm=norm), kind, norm=norm), x)


def test_orthogonal_matrices() -> None:
    """Orthogonal transforms are matrices whose transpose is the inverse: gradients are, too."""
    x, y = numbers(7), numbers(7, seed=1)
    for kind in (1, 2, 3, 4):
        gradient = go.compile_grad(lambda x, kind=kind: np.dot(y, gfft.dct(x, kind, norm="ortho")))(
            x
        )
        check(gradient, scipy.fft.idct(y, kind, norm="ortho"), kind)


DERIVATIVES: dict[str, Callable[..., Any]] = {
    **{
        f"{name} {kind}, {n} points": lambda x, name=name, kind=kind, n=n: getattr(gfft, name)(
            x, kind, n
        )
        for name, kind, n in itertools.product(("dct", "dst"), (1, 2, 3, 4), (4, 5))
    },
    "dctn": lambda x: gfft.dctn(x.reshape(2, 2), norm="ortho"),
    "hfft": gfft.hfft,
    "ihfftn": lambda x: np.abs(gfft.ihfftn(x.reshape(2, 2)) + 1),
    "fft": lambda x: np.abs(gfft.fft(x)) ** 2,
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_derivatives(name: str) -> None:
    transform = DERIVATIVES[name]
    go.gradcheck(lambda x: np.sum(np.sin(transform(x))), (numbers(4) / 4,), order=2)


def test_scipys_own_functions() -> None:
    """Those that are called by their names in a compiled function are ours there."""
    x = numbers(12)

    def use(x: Array) -> Any:
        y = SCIPY.rfft(x, SCIPY.next_fast_len(x.size + 1))
        window = scipy.signal.get_window("hann", x.size)
        return (
            np.abs(y),
            of_cosines(x, norm="ortho"),
            scipy.signal.fftconvolve(x, window, mode="same"),
            scipy.linalg.solve(np.diag(x), x),
            SCIPY.fftfreq(4, x[0]),
        )

    compiled = go.compile(use)
    for got, want in zip(compiled(x), use(x), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)
    with pytest.raises(ShapeError, match="axes must be unique") as caught:
        go.compile(lambda x: SCIPY.fftn(x, axes=(0, 0)))(x)
    assert caught.value.location is not None
    assert caught.value.location.file == __file__
    go.gradcheck(lambda x: sum(np.sum(y) for y in use(x)), (x,))


def test_scipys_functions_in_a_loop() -> None:
    def use(x: Array) -> Array:
        for _ in range(50):
            x = SCIPY.idct(0.9 * SCIPY.dct(x))
        return x

    x = numbers(8)
    compiled = go.compile(use)
    assert [loop.is_rolled for loop in compiled.lower(x).loops()] == [True]
    np.testing.assert_allclose(compiled(x), use(x), rtol=1e-12)


@pytest.mark.parametrize("real", [False, True])
def test_fast_sizes(real: bool) -> None:
    for target in [*range(1, 300), 1009, 7919, 100003]:
        assert gfft.next_fast_len(target, real) == scipy.fft.next_fast_len(target, real)
        assert gfft.prev_fast_len(target, real) == scipy.fft.prev_fast_len(target, real)


@pytest.mark.parametrize(
    ("function", "error", "said"),
    [
        (lambda x: gfft.fft(x, 0), ArgumentError, "data points"),
        (lambda x: gfft.fftn(x, axes=(0, 0)), ShapeError, "axes must be unique"),
        (lambda x: gfft.dct(x, 5), ArgumentError, "type must be 1, 2, 3 or 4, but it is 5"),
        (lambda x: gfft.dct(x[:1], 1), ArgumentError, "DCT-I is not defined for size < 2"),
        (lambda x: gfft.rfft(x * 1j), DTypeError, r"scipy.fft.rfft takes real numbers"),
        (lambda x: gfft.ifft(x, norm="unit"), ArgumentError, "Invalid norm value unit"),
    ],
)
def test_errors(function: Callable[..., Any], error: type[Exception], said: str) -> None:
    """In a compiled function and outside of one; SciPy's are of the same classes."""
    for run in (go.compile(function), function):
        with pytest.raises(error, match=said) as caught:
            run(np.ones(4))
        assert caught.value.location.file == __file__  # pyright: ignore[reportAttributeAccessIssue]
