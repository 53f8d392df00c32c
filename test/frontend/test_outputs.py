# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`out=` of functions of NumPy that are no ufuncs: which dtypes it may have, and what it holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt.errors import UnsupportedError

X = np.array([0.3, -1.2, 2.0, 0.75, -0.4, 1.5])
A = X.reshape(2, 3)
FUNCTIONS: dict[str, tuple[Callable[[Any, Any, Any], Any], tuple[int, ...]]] = {
    "take": (lambda x, a, o: np.take(x, [1, 3, 0], out=o), (3,)),
    "compress": (lambda x, a, o: np.compress(np.arange(6) < 2, x, out=o), (2,)),
    "argmax": (lambda x, a, o: np.argmax(a, axis=1, out=o), (2,)),
    "argmin": (lambda x, a, o: a.argmin(axis=0, out=o), (3,)),
    "dot": (lambda x, a, o: np.dot(a, a.T, out=o), (2, 2)),
    "einsum": (lambda x, a, o: np.einsum("ij,kj->ik", a, a, out=o), (2, 2)),
    "sum": (lambda x, a, o: np.sum(a, axis=0, out=o), (3,)),
    "add.reduce": (lambda x, a, o: np.add.reduce(a, axis=0, out=o), (3,)),
    "prod": (lambda x, a, o: np.prod(a, axis=1, out=o), (2,)),
    "max": (lambda x, a, o: np.max(a, axis=0, out=o), (3,)),
    "trace": (lambda x, a, o: np.trace(a * 3, out=o), ()),
    "mean": (lambda x, a, o: (a * 9).mean(axis=0, out=o), (3,)),
    "var": (lambda x, a, o: np.var(a * 9, axis=1, out=o), (2,)),
    "std": (lambda x, a, o: np.std(a * 9, axis=1, out=o), (2,)),
    "median": (lambda x, a, o: np.median(a * 9, axis=0, out=o), (3,)),
    "nanmedian": (lambda x, a, o: np.nanmedian(x * 9, out=o), ()),
    "quantile": (lambda x, a, o: np.quantile(x * 9, 0.3, out=o), ()),
    "any": (lambda x, a, o: np.any(a > 0, axis=0, out=o), (3,)),
    "cumsum": (lambda x, a, o: np.cumsum(x, out=o), (6,)),
    "cumprod": (lambda x, a, o: np.cumprod(x, out=o), (6,)),
    "add.accumulate": (lambda x, a, o: np.add.accumulate(x, out=o), (6,)),
    "add.outer": (lambda x, a, o: np.add.outer(x, x, out=o), (6, 6)),
    "concatenate": (lambda x, a, o: np.concatenate([x, x], out=o), (12,)),
    "clip": (lambda x, a, o: np.clip(x, 0, 1, out=o), (6,)),
}


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_outputs_are_numpys(name: str) -> None:
    f, shape = FUNCTIONS[name]
    compiled = go.compile(f)
    for dtype in (np.float64, np.float32, np.int32, np.bool_, np.complex128):
        ours, theirs = np.zeros(shape, dtype), np.zeros(shape, dtype)
        try:
            wanted = f(X, A, theirs)
        except (TypeError, ValueError) as error:
            kind = ValueError if isinstance(error, ValueError) else TypeError
            with pytest.raises(kind, match=r"(?s)(annot cast|could not be|acceptable).*\.py"):
                compiled(X, A, ours)
            continue
        np.testing.assert_allclose(compiled(X, A, ours), wanted, rtol=1e-6)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_sums_are_computed_in_the_wider_dtype() -> None:
    """And are rounded once."""
    x = np.full(1000, 0.1)
    ours, theirs = np.zeros((), np.float32), np.zeros((), np.float32)
    np.sum(x, out=theirs)
    go.compile(lambda x, o: np.sum(x, out=o))(x, ours)
    assert ours == theirs


REDUCED: dict[str, Callable[[Any, Any], Any]] = {
    "no parts": lambda x, a: np.add.reduceat(x, []),
    "no parts of an array": lambda x, a: np.add.reduceat(x, np.zeros(0, int)),
    "no parts of rows": lambda x, a: np.maximum.reduceat(a, [], axis=1),
    "no elements": lambda x, a: np.logaddexp.reduce(x[:0]),
    "no rows": lambda x, a: np.logaddexp.reduce(a[:0]),
    "no rows, kept": lambda x, a: np.hypot.reduce(a[:0], keepdims=True),
    "no elements and a first": lambda x, a: np.logaddexp.reduce(x[:0], initial=2.0),
}


@pytest.mark.parametrize("name", REDUCED)
def test_reductions_of_nothing(name: str) -> None:
    f = REDUCED[name]
    found, wanted = go.compile(f)(X, A), f(X, A)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


def test_parts_that_reduceat_refuses() -> None:
    with pytest.raises(TypeError, match="Cannot cast array data"):
        go.compile(lambda x: np.add.reduceat(x, np.array([0.0])))(X)
    with pytest.raises(ValueError, match="no identity"):
        go.compile(lambda x: np.arctan2.reduce(x[:0]))(X)


PARTIAL = ["max", "min", "nanmax", "nanmin", "mean", "var", "median", "nanmedian"]


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("name", PARTIAL)
def test_partial_results_are_kept_in_the_output(name: str) -> None:
    """NumPy's maximum of -20.0 and 12.7 is 236 in an output of uint8."""
    function = getattr(np, name)
    row = np.array([-20.0, 12.7, 3.5, 90.0])
    rows = [row, row[::-1].copy(), row / 100, -row]
    if name in ("max", "min", "nanmax", "nanmin", "mean", "var"):
        rows += [[np.nan, 1.0, 2.5, -3.0], [1.0, np.nan, 2.5, 0.0]]
    a = np.array(rows)

    def all_of(a: Any, *outs: Any) -> None:
        for out in outs:
            function(a, axis=1, out=out)

    def whole(a: Any, out: Any) -> None:
        function(a[:4], out=out, **({"where": a[:4] > 0} if name == "mean" else {}))

    dtypes = (np.uint8, np.int8, np.int32, np.int64, np.bool_)
    if name in ("mean", "var"):
        # Sums that do not fit are not the same on all machines.
        dtypes = (np.int64, np.bool_)
    ours, theirs = ([np.zeros(len(a), dtype) for dtype in dtypes] for _ in range(2))
    all_of(a, *theirs)
    go.compile(all_of)(a, *ours)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)
    one, other = np.zeros((), np.int16), np.zeros((), np.int16)
    whole(np.abs(a), other)
    go.compile(whole)(np.abs(a), one)
    assert one == other


def test_extremes_compare_what_the_output_holds_with_the_others() -> None:
    """In a dtype that has room for both."""

    def f(a: Any, b: Any, low: Any, high: Any) -> None:
        np.max(a, axis=0, out=low)
        np.min(b, axis=0, out=high)

    a, b = np.array([[65534, 3], [5, 9]], np.uint16), np.array([[-1, 3], [100, 2]], np.int8)
    ours, theirs = ((np.zeros(2, np.int8), np.zeros(2, np.uint8)) for _ in range(2))
    f(a, b, *theirs)
    go.compile(f)(a, b, *ours)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)
    # NumPy compares these as float64, and casts what that cannot hold.
    with pytest.raises(UnsupportedError, match="convert the result with astype"):
        go.compile(lambda a, out: np.max(a, axis=0, out=out))(
            a.astype(np.uint64), np.zeros(2, np.int64)
        )


def test_extremes_begin_with_initial_in_the_output() -> None:
    def f(a: Any, out: Any) -> None:
        np.max(a, axis=0, initial=-3.7, where=a < 0, out=out)

    ours, theirs = np.zeros(3, np.uint8), np.zeros(3, np.uint8)
    f(A, theirs)
    go.compile(f)(A, ours)
    np.testing.assert_array_equal(ours, theirs)


def test_medians_that_are_nan_have_no_place_among_integers() -> None:
    def f(a: Any, out: Any) -> None:
        np.median(a, axis=1, out=out)

    out = np.zeros(2, np.int64)
    go.compile(f)(A, out)
    with pytest.raises(TypeError, match=r"Cannot cast array data from .*'same_kind'"):
        go.compile(f)(np.where(A > 1, np.nan, A), out)


@pytest.mark.parametrize("dtype", [int, np.uint8, np.bool_, np.float32])
def test_means_of_other_dtypes(dtype: Any) -> None:
    def f(a: Any) -> Any:
        return np.mean(a, axis=0, dtype=dtype), np.mean(a, dtype=dtype, where=a > 0)

    for one, other in zip(go.compile(f)(np.abs(A) * 9), f(np.abs(A) * 9), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
        assert one.dtype == other.dtype


def test_sums_and_products_in_bools() -> None:
    def f(a: Any, out: Any) -> Any:
        np.sum(a, axis=0, out=out)
        parts = [g(a, axis=1, dtype=bool) for g in (np.sum, np.prod, np.cumsum, np.cumprod)]
        return [*parts, np.add.reduce(a, dtype=bool), np.add.accumulate(a, dtype=bool)]

    a = np.array([[True, False, True], [False, False, False], [True, True, True]])
    ours, theirs = np.zeros(3, bool), np.zeros(3, bool)
    for one, other in zip(go.compile(f)(a, ours), f(a, theirs), strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "f",
    [
        lambda a: a - a,
        lambda a: -a,
        lambda a: np.ptp(a, axis=0),
        np.gradient,
        np.ediff1d,
        lambda a: np.cross(a, a),
    ],
)
def test_bools_are_not_subtracted(f: Callable[[Any], Any]) -> None:
    a = np.array([True, False, True])
    with pytest.raises(TypeError) as wanted:
        f(a)
    with pytest.raises(TypeError, match=re.escape(str(wanted.value))):
        go.compile(f)(a)


@pytest.mark.parametrize("name", ["nanmean", "nanvar", "nanstd", "nansum", "nanprod", "nanmin"])
@pytest.mark.parametrize("source", [np.float64, np.int64])
def test_functions_that_leave_out_nans_take_the_outputs_that_numpys_take(
    name: str, source: Any
) -> None:
    function = getattr(np, name)
    a = (A * 9).astype(source)
    for dtype in (np.float64, np.float32, np.int64):
        ours, theirs = np.zeros(2, dtype), np.zeros(2, dtype)
        compiled = go.compile(lambda a, o: function(a, axis=1, out=o))
        try:
            function(a, axis=1, out=theirs)
        except TypeError as error:
            text = re.escape(str(error)) if "inexact" in str(error) else "annot cast"
            with pytest.raises(TypeError, match=text):
                compiled(a, ours)
            continue
        compiled(a, ours)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_ranges_are_subtracted_in_the_output(dtype: Any) -> None:
    a = np.array([[1 + 2.0**-30, 1.0, 1.0], [0.75, -0.4, 1.5]])
    a = a if dtype != np.int64 else (a * 100).astype(int)
    ours, theirs = np.zeros((2, 1), dtype), np.zeros((2, 1), dtype)
    np.ptp(a, axis=1, out=theirs, keepdims=True)
    go.compile(lambda a, o: np.ptp(a, axis=1, out=o, keepdims=True))(a, ours)
    np.testing.assert_array_equal(ours, theirs)


def test_ranges_of_integers_in_narrow_outputs() -> None:
    def f(a: Any, out: Any) -> None:
        np.ptp(a, axis=1, out=out)

    a = np.array([[100, -120, 13], [7, -9, 200]])
    ours, theirs = np.zeros(2, np.int8), np.zeros(2, np.int8)
    f(a, theirs)
    go.compile(f)(a, ours)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", [np.int64, np.bool_])
def test_medians_of_integers_are_cast(dtype: Any) -> None:
    a = np.array([[100, -120, 13], [7, -9, 0]])
    ours, theirs = np.zeros(2, dtype), np.zeros(2, dtype)
    np.median(a, axis=1, out=theirs)
    go.compile(lambda a, o: np.median(a, axis=1, out=o))(a, ours)
    np.testing.assert_array_equal(ours, theirs)
