# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Filters in other forms, and signals by transforms, against SciPy; their derivatives."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import scipy.signal
from budget import generator

import gradopt as go
from gradopt.errors import ArgumentError, ShapeError
from gradopt.scipy import signal

RNG = generator(31)
B, A = np.array([0.4, 1.3]), np.array([2.0, 0.7, 1.1, 0.3])
LONG = np.array([0.3, -0.7, 1.1, 0.2])
X, IMAGE = RNG.normal(size=9), RNG.normal(size=(4, 5))
SOS = np.array([[1.3, 0.2, 0.5, 1.0, 0.4, 0.3], [0.7, 1.9, 0.3, 2.0, -3.0, 0.4]])
TAPS = np.array([0.1, 0.4, 0.9, 0.4, 0.1])
CASES: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    *(("bilinear", (*of, 1.7), {}) for of in ((B, A), (LONG, A), (B, B[::-1]))),
    *(("lp2lp", (*of, 1.7), {}) for of in ((B, A), (LONG, A))),
    *(("lp2hp", (*of, 1.7), {}) for of in ((B, A), (LONG, A))),
    *(("lp2bp", (*of, 1.7, 0.4), {}) for of in ((B, A), (LONG, A))),
    *(("lp2bs", (*of, 1.7, 0.4), {}) for of in ((B, A), (LONG, A))),
    ("lfiltic", (B, A, X[:2]), {}),
    ("lfiltic", (LONG, A, X[:4], X[4:6]), {}),
    ("lfiltic", (A, B, X[:1], X[4:]), {}),
    ("sos2zpk", (SOS,), {}),
    *(("tf2ss", of, {}) for of in ((B, A), (LONG, A))),
    ("vectorstrength", (X, 0.7), {}),
    ("vectorstrength", (X, np.array([0.7, 2.0])), {}),
    *(("hilbert2", (IMAGE, *size), {}) for size in ((), (4,), ((3, 6),))),
    ("hilbert2", (X,), {}),
    *(("minimum_phase", (TAPS,), {"half": half, "n_fft": 32}) for half in (True, False)),
]


def parts(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize(("name", "args", "kwargs"), CASES)
def test_values_and_derivatives(name: str, args: Any, kwargs: Any) -> None:
    ours, theirs = getattr(signal, name), getattr(scipy.signal, name)
    wants = parts(theirs(*args, **kwargs))
    of = tuple([i for i, arg in enumerate(args) if getattr(arg, "dtype", "") == np.float64])
    # Rates and sizes are known while tracing.
    compiled = go.compile(lambda *arrays: theirs(*arrays, *args[len(of) :], **kwargs))
    for got in (ours(*args, **kwargs), compiled(*args[: len(of)])):
        for one, want in zip(parts(got), wants, strict=True):
            assert np.shape(one) == np.shape(want)
            if name == "sos2zpk" and np.ndim(want):
                one, want = np.sort_complex(one), np.sort_complex(want)
            np.testing.assert_allclose(one, want, 1e-10, 1e-12)

    def loss(*args: Any) -> Any:
        found = parts(ours(*args, **kwargs))
        return sum(np.sum(np.tanh(np.real(part) + 2 * np.imag(part))) for part in found)

    go.gradcheck(loss, args, argnums=of)
    go.gradcheck(loss, args, argnums=of[:1], order=2, rtol=1e-3)


@pytest.mark.parametrize("name", ["lp2lp", "lp2hp", "lp2bp", "lp2bs", "bilinear"])
@pytest.mark.parametrize("sizes", [(4, 3), (3, 1), (2, 2), (1, 3)])
def test_numerators_of_any_length(name: str, sizes: tuple[int, int]) -> None:
    b, a = LONG[: sizes[0]], A[: sizes[1]]
    others = (1.7, 0.4) if name in ("lp2bp", "lp2bs") else (1.7,)
    got, want = (getattr(of, name)(b, a, *others) for of in (signal, scipy.signal))
    for one, other in zip(got, want, strict=True):
        assert np.shape(one) == np.shape(other)
        np.testing.assert_allclose(one, other, 1e-10, 1e-12)

    def loss(b: Any, a: Any) -> Any:
        return sum(np.sum(np.tanh(part)) for part in getattr(signal, name)(b, a, *others))

    go.gradcheck(loss, (b, a), argnums=(0, 1))


@pytest.mark.parametrize("name", sorted({name for name, _, _ in CASES}))
def test_parameters_are_scipys(name: str) -> None:
    ours, theirs = (
        inspect.signature(getattr(of, name)).parameters for of in (signal, scipy.signal)
    )
    assert [(p.name, p.kind, p.default) for p in ours.values()] == [
        (p.name, p.kind, p.default) for p in theirs.values()
    ]


def test_a_filter_goes_on_from_its_state() -> None:
    """What `lfiltic` gives continues `lfilter`."""
    whole = signal.lfilter(LONG, A, X)
    state = signal.lfiltic(LONG, A, whole[:5][::-1], X[:5][::-1])
    rest, _ = signal.lfilter(LONG, A, X[5:], zi=state)
    np.testing.assert_allclose(rest, whole[5:], 1e-12)


def test_equal_roots_and_single_precision() -> None:
    zeros, _, _ = signal.sos2zpk(np.array([[1.0, -2.0, 1.0, 1.0, 0.0, 0.0]]))
    np.testing.assert_allclose(zeros, [1, 1])
    for part in signal.bilinear(B.astype(np.float32), A.astype(np.float32)):
        assert part.dtype == np.float32


def test_errors() -> None:
    text: Any = "other"
    for call, error, message in [
        (lambda: signal.bilinear(IMAGE, A), ShapeError, "expected vectors of coefficients"),
        (lambda: signal.lp2lp(np.zeros(0), A), ShapeError, "expected vectors of coefficients"),
        (lambda: signal.sos2zpk(IMAGE), ShapeError, "must be shape"),
        (lambda: signal.tf2ss(A, B), ShapeError, "`num` is longer than `den`"),
        (lambda: signal.vectorstrength(IMAGE, 1.0), ShapeError, "must be vectors"),
        (lambda: signal.minimum_phase(X, text), ArgumentError, "method must be"),
        (lambda: signal.minimum_phase(X[:2]), ArgumentError, "3 or more coefficients"),
        (lambda: signal.minimum_phase(X, n_fft=4), ArgumentError, "n_fft must be at least"),
    ]:
        with pytest.raises(error, match=message):
            call()
