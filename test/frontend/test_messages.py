# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What errors say to do instead fits what the user's line does, and silence ends in time."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.interpolate
import scipy.linalg
import scipy.ndimage
import scipy.optimize
import scipy.signal
import scipy.spatial
import scipy.special
import scipy.stats

import gradopt as go
from gradopt import errors
from gradopt.compilation import lowered
from gradopt.ir import trace

X = np.array([0.3, 0.7, 0.5])
A = np.eye(3) * 2
RNG = np.random.default_rng(0)


def assigned(x: Any) -> Any:
    y = np.zeros(3)
    y[0] = x[0]
    return y


def assigned_row(x: Any) -> Any:
    y = np.zeros((2, 3))
    y[1] = x
    return y


def added(x: Any) -> Any:
    y = np.zeros(3)
    y += x
    return y


SIZES = "sizes and bounds must be known while tracing"
CASES: list[tuple[Callable[[Any], Any], type[Exception], str]] = [
    (lambda x: np.linalg.matrix_power(x, 2), errors.ShapeError, "the shape is (3,)"),
    (lambda x: np.full_like(A, x[0]), errors.UnsupportedError, "use gradopt.numpy.full_like"),
    (lambda x: np.max(A, initial=x[0]), errors.UnsupportedError, "numpy.max does not find traced"),
    (lambda x: np.random.normal(x, 1.0), errors.ConversionError, "mean + deviation * numpy.random"),  # noqa: NPY002
    (lambda x: RNG.permutation(x), errors.ConversionError, "random numbers are drawn"),
    (lambda x: np.int64(x), errors.ConversionError, "x.astype(numpy.int64)"),
    (lambda x: np.float32(x[0]), errors.ConversionError, "astype"),
    (lambda x: np.maximum(x * 1j, 1), errors.UnsupportedError, "numpy.abs"),
    (lambda x: sum(v for v in np.nditer(x)), errors.UnsupportedError, "iterate over x.ravel()"),
    (lambda x: np.r_[x, x], errors.UnsupportedError, "numpy.r_ is not supported on traced arrays: use numpy.concatenate"),
    # Through decorators, compiled code, classes and what they call, the user's own call is named.
    (lambda x: scipy.stats.norm.fit(x), errors.UnsupportedError, "scipy.stats.norm.fit is not supported on traced arrays: fit outside"),
    (lambda x: scipy.optimize.linprog(x), errors.UnsupportedError, "scipy.optimize.linprog is not supported on traced arrays: call it outside"),
    (lambda x: scipy.linalg.null_space(x[:, None] * A), errors.UnsupportedError, "scipy.linalg.null_space is not supported"),
    (lambda x: scipy.special.obl_cv(1, 2, x), errors.UnsupportedError, "scipy.special.obl_cv is not supported on traced arrays: write its formula"),
    (lambda x: np.ma.masked_array(x, x > 0.5), errors.UnsupportedError, "numpy.ma.MaskedArray is not supported on traced arrays: choose elements"),
    (lambda x: np.poly1d(x)(2.0), errors.UnsupportedError, "numpy.poly1d is not supported"),
    (lambda x: np.c_[x, x], errors.UnsupportedError, "column_stack"),
    (lambda x: np.full(3, x[0]), errors.UnsupportedError, "gradopt.numpy.array, asarray or full"),
    (lambda x: np.array([x[0], 1.0]), errors.ConversionError, "gradopt.numpy.array"),
    (lambda x: np.asarray(x), errors.ConversionError, "gradopt.numpy.array"),
    (lambda x: np.zeros(x[0]), errors.ConversionError, "static_argnums"),
    (lambda x: np.ones(x[0]), errors.ConversionError, "cannot become a size"),
    (lambda x: np.empty(x[0]), errors.ConversionError, "cannot become a size"),
    (lambda x: np.eye(x[0]), errors.ConversionError, SIZES),
    (lambda x: np.tri(x[0]), errors.BranchError, SIZES),
    (lambda x: np.arange(x[0]), errors.ConversionError, SIZES),
    (lambda x: np.mgrid[0 : x[0]], errors.ConversionError, SIZES),
    (lambda x: np.mgrid[0 : x[0], 0:2], errors.ConversionError, SIZES),
    (lambda x: np.ogrid[0:2, 0 : x[0]], errors.ConversionError, SIZES),
    (lambda x: np.ogrid[0 : x[0]], errors.ConversionError, SIZES),
    (lambda x: sum(range(x[0])), errors.ConversionError, SIZES),
    (lambda x: np.linspace(0, 1, x[0]), errors.ConversionError, SIZES),
    (lambda x: x.reshape(x[0]), errors.ConversionError, SIZES),
    (lambda x: np.repeat(x, x[0].astype(int)), errors.ConversionError, SIZES),
    (lambda x: [1, 2, 3][x[0]], errors.ConversionError, "index arrays with it (not lists)"),
    (lambda x: np.arange(3.0)[x.astype(int)], errors.ConversionError, "gradopt.numpy.take(a, index"),
    (lambda x: math.sin(x[0]), errors.ConversionError, "not those of math"),
    (lambda x: np.vectorize(abs)(x), errors.UnsupportedError, "on whole arrays"),
    (lambda x: sorted(x), errors.BranchError, "use numpy.sort"),
    (lambda x: max(x[0], x[1]), errors.BranchError, "numpy.maximum"),
    (lambda x: x if x[0] > 0 else -x, errors.BranchError, "numpy.where to choose between values"),
    (assigned, errors.ConversionError, "an assignment to elements of a concrete NumPy array"),
    (assigned_row, errors.ConversionError, "an assignment to elements of a concrete NumPy array"),
    (added, errors.ConversionError, "write `a = a + b` for `a += b`"),
]  # fmt: skip


@pytest.mark.parametrize(("function", "kind", "text"), CASES, ids=lambda case: inspect.getsource(case).strip()[:50] if inspect.isfunction(case) else "")  # fmt: skip
def test_advice_fits_the_line(function: Any, kind: type[Exception], text: str) -> None:
    """Without rewriting, which takes most of these as they stand."""
    loss = go.compile_grad(lambda x: np.sum(function(x)), capture="trace")
    for call in (go.compile(function, capture="trace"), loss):
        with pytest.raises(kind) as info:
            call(X)
        message, _, place = str(info.value).partition("\n")
        assert text in message
        assert "cond)" not in message
        assert "test_messages.py" in place
        assert isinstance(info.value, errors.GradoptError)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda x: scipy.spatial.ConvexHull(x[:, None] * A), "scipy.spatial.ConvexHull is not"),
        (
            lambda x: scipy.optimize.linear_sum_assignment(x[:, None] * A),
            "scipy.optimize.linear_sum_assignment is not supported on traced arrays: its result jumps",
        ),
    ],
)
def test_compiled_code_of_scipys_is_named(function: Any, text: str) -> None:
    """It has no frames that would tell; rewritten code knows what it calls."""
    with pytest.raises(errors.UnsupportedError) as info:
        go.compile(function)(X)
    assert str(info.value).startswith(text)
    assert "test_messages.py" in str(info.value)


def named(function: Any, text: str, kind: type[Exception] = errors.UnsupportedError) -> None:
    """The message begins so, in rewritten code too, and the line is the user's."""
    for capture in ("rewrite", "trace"):
        with pytest.raises(kind) as info:
            go.compile(function, capture=capture)(X)
        message, _, place = str(info.value).partition("\n")
        assert message.startswith(text), message
        assert "test_messages.py" in place


@pytest.mark.parametrize(
    ("function", "name", "advice"),
    [
        (lambda x: scipy.stats.probplot(x), "scipy.stats.probplot", "gradopt.pure_callback"),
        (lambda x: scipy.stats.levy_stable.pdf(x, 1.3, 0.2), "scipy.stats.levy_stable.pdf", "its formula"),
        (lambda x: scipy.stats.fisher_exact(x), "scipy.stats.fisher_exact", "its formula"),
        (lambda x: scipy.interpolate.splprep([x, x]), "scipy.interpolate.splprep", "its formula"),
        (
            lambda x: scipy.signal.find_peaks_cwt(x, [1, 2]),
            "scipy.signal.find_peaks_cwt",
            "use scipy.signal.find_peaks",
        ),
        (
            lambda x: scipy.ndimage.distance_transform_cdt(x),
            "scipy.ndimage.distance_transform_cdt",
            "its result jumps",
        ),
        (lambda x: scipy.signal.firls(3, [0, 1], x[:2]), "scipy.signal.firls", "that are known"),
        (lambda x: np.rec.fromarrays([x]), "numpy.rec.fromarrays", "other functions"),
        (lambda x: np.ma.array(x), "numpy.ma.array", "choose elements with numpy.where"),
        (lambda x: np.emath.sqrt(x), "numpy.emath.sqrt", "numpy.sqrt(x + 0j)"),
        (lambda x: np.isfortran(x), "numpy.isfortran", "compute it before the call"),
        (lambda x: np.lib.stride_tricks.as_strided(x, (2, 2), (8, 8)), "numpy.lib.stride_tricks.as_strided", "other functions"),
        (lambda x: np.isnat(x), "numpy.isnat", "other functions"),
    ],
)  # fmt: skip
def test_the_function_that_is_missing_is_named(function: Any, name: str, advice: str) -> None:
    """Neither what it calls inside, nor what happens there."""
    named(function, f"{name} is not supported on traced arrays: ")
    with pytest.raises(errors.UnsupportedError) as info:
        go.compile(function)(X)
    assert advice in str(info.value)


def test_known_arrays_are_not_looked_behind() -> None:
    """What the array lies in is not what NumPy's would: there is no memory around it."""

    def f(x: Any) -> Any:
        room = np.zeros(12)
        turned = np.lib.stride_tricks.as_strided(room[11:], (12,), (-8,))
        turned[...] = 3.0
        return room + x

    with pytest.raises(errors.UnsupportedError, match="as_strided is not supported"):
        go.compile(f)(1.0)


def test_what_takes_the_place_of_scipys_functions_is_named() -> None:
    """Where code is not rewritten, which takes it by itself."""
    for function, name in [
        (lambda x: scipy.linalg.solve(A, x), "scipy.linalg.solve"),
        (lambda x: scipy.signal.convolve(x, x), "scipy.signal.convolve"),
    ]:
        with pytest.raises(errors.UnsupportedError, match=f"^{name} is .* use gradopt.{name}"):
            go.compile(function, capture="trace")(X)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda x: np.ptp(x), "numpy.ptp of complex numbers, which have no order"),
        (lambda x: np.fmax(x, 1.0), "numpy.fmax of complex numbers, which have no order"),
        (lambda x: np.nanmin(x), "numpy.nanmin of complex numbers, which have no order"),
        (lambda x: np.nanargmax(x), "numpy.nanargmax of complex numbers, which have no order"),
        (lambda x: np.maximum.reduce(x), "numpy.maximum.reduce of complex numbers"),
        (lambda x: x > 1, "numpy.greater of complex numbers, which have no order"),
        (lambda x: np.logaddexp(x, 1.0), "numpy.logaddexp is not defined for complex128"),
        (lambda x: x * np.clongdouble(1), "numpy.multiply of complex128, complex256 computes in complex256"),
    ],
)  # fmt: skip
def test_complex_numbers_are_no_floats(function: Any, text: str) -> None:
    """Nobody is told to convert them to floats."""
    for capture in ("rewrite", "trace"):
        with pytest.raises((errors.UnsupportedError, errors.DTypeError)) as info:
            go.compile(lambda x: function(x * 1j), capture=capture)(X)
        assert str(info.value).startswith(text)
        assert "float64)" not in str(info.value)


def test_errors_of_the_user_stay() -> None:
    def f(x: Any) -> Any:
        raise TypeError("expected a sequence of integers, got something else")

    with pytest.raises(TypeError, match="something else") as info:
        go.compile(f)(X)
    assert not isinstance(info.value, errors.GradoptError)


# -- Warnings ----------------------------------------------------------------------------------


def line_of(function: Any, text: str) -> int:
    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, line in enumerate(lines) if text in line)


def step(x: Any) -> Any:
    return x * 1.5


def in_a_loop(x: Any) -> Any:
    for _ in [0] * 10:
        for _ in [0] * 20:
            x = step(x)
    return x


def in_a_while_loop(x: Any) -> Any:
    i = 0
    while i < 200:
        i += 1
        x = np.sin(x)
    return x


def in_a_list(x: Any) -> Any:
    return sum([x * i for i in [*range(200)]])


def without_a_loop(x: Any) -> Any:
    def descend(x: Any, depth: int) -> Any:
        return x if not depth else descend(np.sin(x), depth - 1)

    return descend(x, 150)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (in_a_loop, "for _ in [0] * 20"),
        (in_a_while_loop, "while i < 200"),
        (in_a_list, "x * i for i"),
    ],
)
def test_long_loops_warn(function: Any, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "UNROLLED_OPS", 100)
    with pytest.warns(errors.LargeProgramWarning, match="this loop has added 100 operations") as seen:  # fmt: skip
        go.compile(function).lower(X)
    assert [(w.filename, w.lineno) for w in seen] == [(__file__, line_of(function, text))]
    monkeypatch.setattr(trace, "UNROLLED_OPS", 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        go.compile(function).lower(X)


def test_long_recursions_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "UNROLLED_OPS", 100)
    function = go.compile(without_a_loop)
    lower = function.lower
    with pytest.warns(errors.LargeProgramWarning, match="has added 100 operations"):
        lower(X)


def test_large_arenas_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    def f(x: Any) -> Any:
        return np.sum(np.cumsum(np.outer(x, x), axis=0) ** 2)

    x = np.ones(100)
    program = go.compile(f).lower(x)
    assert 50_000 < program.memory().arena < 2 << 30
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        go.compile(f)(x)
    monkeypatch.setattr(lowered, "LARGE_ARENA", 50_000)
    with pytest.warns(errors.LargeProgramWarning, match="f needs 0.0 GB") as seen:
        go.compile(f)(x)
    assert [(w.filename, w.lineno) for w in seen] == [(__file__, line_of(f, "def f("))]


@pytest.mark.parametrize("method", ["reduce", "accumulate"])
def test_loops_whose_results_have_another_dtype(method: str) -> None:
    text = f"numpy.logaddexp.{method} of int64 .*: convert the array to float64 first"
    with pytest.raises(errors.UnsupportedError, match=text):
        go.compile(lambda x: getattr(np.logaddexp, method)(x))(np.array([1, 2, 3]))
