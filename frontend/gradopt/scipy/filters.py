# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Filters of signals: `scipy.signal`'s lfilter, sosfilt, savgol_filter and detrend.

A recursive filter is a loop over samples, in the transposed direct form II, as SciPy's. Its state
is a number for each delay, so that all of it is in registers where there is one signal.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradopt.array.handle import array_of
from gradopt.array.operands import traced
from gradopt.base.dtypes import FLOAT64, is_inexact, kind_of, result_type
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.functions.joining import pad
from gradopt.ir import fourier, prims
from gradopt.ir.values import Value
from gradopt.transforms.loops import scan

Array = np.ndarray[Any, Any]


@hide_frames
def lfilter(b: Any, a: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """A rational filter: a[0] y[n] = sum_k b[k] x[n - k] - sum_(k > 0) a[k] y[n - k].

    Args:
        b: the numerator, a vector.
        a: the denominator, a vector; a[0] is not zero.
        x: signals.
        axis: along which they are filtered.
        zi: what is in the delays at first: of the shape of `x`, with as many elements along the
            axis as there are delays; zeros by default.

    Returns:
        The filtered signals; with `zi`, also what is in the delays at the end.

    Raises:
        ShapeError: `b` or `a` is no vector with elements, or `zi` has another shape.
        AxisError: the axis is out of bounds.
    """
    place = operator.index(axis)
    y, state = _rational(b, a, x, False if zi is None else zi, axis=place, starts=zi is not None)
    return y if zi is None else (y, state)


@hide_frames
def sosfilt(sos: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """A cascade of filters of the second order.

    Args:
        sos: a row for each section: three coefficients of the numerator, three of the denominator,
            of which the first one is 1.
        x: signals.
        axis: along which they are filtered.
        zi: what is in the delays at first: sections, and for each the shape of `x` with two
            elements along the axis; zeros by default.

    Returns:
        The filtered signals; with `zi`, also what is in the delays at the end.

    Raises:
        ShapeError: `sos` or `zi` has another shape.
        AxisError: the axis is out of bounds.
    """
    place = operator.index(axis)
    y, state = _cascade(sos, x, False if zi is None else zi, axis=place, starts=zi is not None)
    return y if zi is None else (y, state)


# -- Recursions --------------------------------------------------------------------------------


def _inexact_all(*operands: Any) -> list[Value]:
    values = [traced(operand) for operand in operands]
    dtype = result_type(*[value.dtype for value in values])
    dtype = dtype if is_inexact(dtype) else FLOAT64
    return [prims.convert(value, dtype) for value in values]


def _elements(x: Value) -> list[Value]:
    """The elements of a vector."""
    return [prims.reshape(prims.take_range(x, 0, k, k + 1), ()) for k in range(x.size)]


def _along_first(x: Value, axis: int) -> Value:
    place = prims.normalize_axis(axis, x.ndim)
    return prims.transpose(x, [place, *[i for i in range(x.ndim) if i != place]])


def _back(x: Value, axis: int) -> Value:
    """The first axis at its place."""
    order = list(range(1, x.ndim))
    order.insert(prims.normalize_axis(axis, x.ndim), 0)
    return prims.transpose(x, order)


Section = tuple[Sequence[Value], Sequence[Value]]


def _recursion(
    sections: Sequence[Section], x: Value, state: Sequence[Value]
) -> tuple[Value, list[Value]]:
    """All sections on one sample after the other, along the first axis.

    Args:
        sections: coefficients of numerators and denominators, as many of each, a[0] being one.
        x: the samples, along the first axis.
        state: for each delay of each section what is in it.
    """
    coefficients = [([array_of(v) for v in b], [array_of(v) for v in a]) for b, a in sections]

    def step(delays: Any, sample: Any) -> Any:
        after: list[Any] = []
        for b, a in coefficients:
            count = len(b) - 1
            here = delays[len(after) : len(after) + count]
            result = b[0] * sample + (here[0] if count else 0)
            for k in range(1, count + 1):
                update = b[k] * sample - a[k] * result
                after.append(update + here[k] if k < count else update)
            sample = result
        return tuple(after), sample

    last, results = scan(step, tuple(array_of(value) for value in state), array_of(x))
    return traced(results), [traced(value) for value in last]


def _delays(zi: Value, count: int, shape: tuple[int, ...], name: str) -> list[Value]:
    """What is in the delays at first, from an array with them along its first axis."""
    if zi.ndim != len(shape) + 1 or zi.shape[0] != count:
        raise _wrong_state(name, zi, (count, *shape))
    if any(n not in (1, m) for n, m in zip(zi.shape[1:], shape, strict=True)):
        raise _wrong_state(name, zi, (count, *shape))
    parts = [prims.take_range(zi, 0, k, k + 1) for k in range(count)]
    return [prims.broadcast_to(prims.reshape(part, zi.shape[1:]), shape) for part in parts]


def _wrong_state(name: str, zi: Value, shape: tuple[int, ...]) -> ShapeError:
    return ShapeError(
        f"scipy.signal.{name}: zi has a wrong shape: with the delays first, {shape} is needed, but "
        f"it is {zi.shape}",
        source_location(),
    )


def _stacked(parts: Sequence[Value]) -> Value:
    return prims.concatenate([prims.reshape(part, (1, *part.shape)) for part in parts], 0)


@program
def _rational(b: Any, a: Any, x: Any, zi: Any, *, axis: int, starts: bool) -> tuple[Any, Any]:
    numerator, denominator, signal, state = _inexact_all(b, a, x, zi)
    for vector, name in ((numerator, "b"), (denominator, "a")):
        if vector.ndim != 1 or vector.size == 0:
            raise ShapeError(
                f"scipy.signal.lfilter: {name} must be a vector with elements, but its shape is "
                f"{vector.shape}",
                source_location(),
            )
    samples = _along_first(signal, axis)
    first = prims.take_range(denominator, 0, 0, 1)
    numerator = numerator / prims.broadcast_to(first, numerator.shape)
    rest = denominator / prims.broadcast_to(first, denominator.shape)
    if denominator.size == 1 and not starts and kind_of(signal.dtype) == "f" and signal.size:
        rows = prims.transpose(samples, [*range(1, samples.ndim), 0])
        kernel = prims.reverse(numerator, [0])
        y = windows_product(rows, kernel, (numerator.size - 1, 0))
        back = prims.transpose(y, [y.ndim - 1, *range(y.ndim - 1)])
        return _back(back, axis), state
    size = max(numerator.size, denominator.size)
    section = [_elements(fourier.resized(v, 0, size)) for v in (numerator, rest)]
    shape = samples.shape[1:]
    if starts:
        delays = _delays(_along_first(state, axis), size - 1, shape, "lfilter")
    else:
        delays = [prims.full(shape, 0, samples.dtype)] * (size - 1)
    y, last = _recursion([(section[0], section[1])], samples, delays)
    return _back(y, axis), _back(_stacked(last), axis) if starts and last else state


@program
def _cascade(sos: Any, x: Any, zi: Any, *, axis: int, starts: bool) -> tuple[Any, Any]:
    rows, signal, state = _inexact_all(sos, x, zi)
    if rows.ndim != 2 or rows.shape[1] != 6:
        raise ShapeError(
            f"scipy.signal.sosfilt: sos must have the shape (sections, 6), but it is {rows.shape}",
            source_location(),
        )
    samples = _along_first(signal, axis)
    count, shape = rows.shape[0], samples.shape[1:]
    sections: list[Section] = []
    for k in range(count):
        row = _elements(prims.reshape(prims.take_range(rows, 0, k, k + 1), (6,)))
        sections.append((row[:3], row[3:]))
    delays = [prims.full(shape, 0, samples.dtype)] * (2 * count)
    if starts:
        if state.ndim != signal.ndim + 1 or state.shape[0] != count:
            raise _wrong_state("sosfilt", state, (count, 2, *shape))
        place = prims.normalize_axis(axis, signal.ndim)
        parts = [
            prims.reshape(prims.take_range(state, 0, k, k + 1), state.shape[1:])
            for k in range(count)
        ]
        delays = [
            delay
            for part in parts
            for delay in _delays(_along_first(part, place), 2, shape, "sosfilt")
        ]
    y, last = _recursion(sections, samples, delays)
    if not starts:
        return _back(y, axis), state
    ends = [_back(_stacked(last[2 * k : 2 * k + 2]), axis) for k in range(count)]
    return _back(y, axis), _stacked(ends)


def windows_product(x: Value, kernel: Value, padding: tuple[int, int]) -> Value:
    """Sums of products of a kernel and each window of rows of floats, with zeros around these."""
    *front, n = x.shape
    images = prims.reshape(x, (1, math.prod(front), 1, n))
    result = prims.convolution(
        *(images, prims.reshape(kernel, (1, 1, 1, kernel.size))),
        *((1,), [padding], (1,), (1,)),
    )
    return prims.reshape(result, (*front, result.shape[-1]))


# -- Polynomials -------------------------------------------------------------------------------


def savgol_coeffs(
    window_length: int,
    polyorder: int,
    deriv: int = 0,
    delta: float = 1.0,
    pos: int | None = None,
    use: str = "conv",
) -> Array:
    """What samples of a window are weighted by in the fit of a polynomial to them.

    Savitzky and Golay, Smoothing and differentiation of data by simplified least squares
    procedures, 1964.

    Args:
        window_length: the number of samples.
        polyorder: the degree of the polynomial, less than that.
        deriv: which derivative of it is taken.
        delta: the distance of samples.
        pos: at which sample; in the middle by default.
        use: "conv", in reverse order, for a convolution, or "dot".

    Returns:
        An array of float64.

    Raises:
        ArgumentError: the arguments do not go together.
    """
    if polyorder >= window_length:
        raise _savgol_error("polyorder must be less than window_length.")
    half, odd = divmod(window_length, 2)
    place = (half if odd else half - 0.5) if pos is None else pos
    if not 0 <= place < window_length:
        raise _savgol_error("pos must be nonnegative and less than window_length.")
    if use not in ("conv", "dot"):
        raise _savgol_error("`use` must be 'conv' or 'dot'")
    if deriv > polyorder:
        return np.zeros(window_length)
    places = np.arange(window_length) - place
    # Of the weights that give all polynomials of the degree right, the smallest ones.
    powers = places ** np.arange(polyorder + 1)[:, None]
    wanted = np.zeros(polyorder + 1)
    wanted[deriv] = math.factorial(deriv) / delta**deriv
    weights = np.linalg.lstsq(powers, wanted, rcond=None)[0]
    return weights[::-1] if use == "conv" else weights


def _savgol_error(what: str) -> ArgumentError:
    return ArgumentError(f"scipy.signal.savgol: {what}", source_location())


_MODES = {"mirror": "reflect", "nearest": "edge", "wrap": "wrap", "constant": "constant"}


@hide_frames
def savgol_filter(
    x: Any,
    window_length: int,
    polyorder: int,
    deriv: int = 0,
    delta: float = 1.0,
    axis: int = -1,
    mode: str = "interp",
    cval: float = 0.0,
) -> Any:
    """Signals smoothed by polynomials that are fitted to the samples around each.

    Args:
        x: signals of real numbers.
        window_length: how many samples a polynomial is fitted to.
        polyorder: its degree.
        deriv: which derivative of it is taken.
        delta: the distance of samples.
        axis: along which signals lie.
        mode: what is at the ends: "interp", the polynomial of the last window, which must be odd;
            or how signals are continued: "mirror", "nearest", "wrap", or "constant", by `cval`.
        cval: a number.

    Returns:
        An array of floats, of the shape of `x`.

    Raises:
        ArgumentError: the arguments do not go together.
        AxisError: the axis is out of bounds.
    """
    if mode != "interp" and mode not in _MODES:
        raise _savgol_error("mode must be 'mirror', 'constant', 'nearest' 'wrap' or 'interp'.")
    size, degree = operator.index(window_length), operator.index(polyorder)
    if mode == "interp" and size > np.shape(x)[axis]:
        raise _savgol_error(
            "If mode is 'interp', window_length must be less than or equal to the size of x."
        )
    savgol_coeffs(size, degree, deriv, delta)  # Errors are those of the call.
    return _smoothed(
        x, size=size, degree=degree, deriv=deriv, delta=delta, axis=axis, mode=mode, cval=cval
    )


@program
def _smoothed(
    x: Any,
    *,
    size: int,
    degree: int,
    deriv: int,
    delta: float,
    axis: int,
    mode: str,
    cval: float,
) -> Value:
    value = fourier.inexact(traced(x))
    place = prims.normalize_axis(axis, value.ndim)
    rows = prims.transpose(value, [*[i for i in range(value.ndim) if i != place], place])

    def weights(pos: int | None) -> Value:
        return prims.as_value(savgol_coeffs(size, degree, deriv, delta, pos, "dot"), rows.dtype)

    last, half = rows.ndim - 1, size // 2
    if mode == "interp":
        middle = windows_product(rows, weights(None), (0, 0))
        ends = [
            _ends_of(rows, weights, places) for places in (range(half), range(size - half, size))
        ]
        result = prims.concatenate([ends[0], middle, ends[1]], last)
    else:
        widths = [(0, 0)] * last + [(half, size - 1 - half)]
        values: dict[str, Any] = {"constant_values": cval} if mode == "constant" else {}
        rows = traced(pad(rows, widths, _MODES[mode], **values))
        result = windows_product(rows, weights(None), (0, 0))
    order = list(range(last))
    order.insert(place, last)
    return prims.transpose(result, order)


def _ends_of(rows: Value, weights: Any, places: range) -> Value:
    """The polynomial of the first window, or of the last one, at some of its places."""
    last, size = rows.ndim - 1, weights(None).size
    start = 0 if places.start == 0 else rows.shape[last] - size
    window = prims.take_range(rows, last, start, start + size)
    if not places:
        return prims.take_range(window, last, 0, 0)
    matrix = _stacked([weights(place) for place in places])
    return prims.dot_general(window, matrix, ((), ()), ((last,), (1,)))


@hide_frames
def detrend(
    data: Any, axis: int = -1, type: str = "linear", bp: Any = 0, overwrite_data: bool = False
) -> Any:
    """Signals without their means, or without the lines that are fitted to them.

    Args:
        data: signals.
        axis: along which they lie.
        type: "linear" or "constant".
        bp: where, for lines, a new part begins, with a line of its own; indices.
        overwrite_data: means nothing.

    Returns:
        An array of floats or complex numbers, of the shape of `data`.

    Raises:
        ArgumentError: there is no such type, or a part begins outside of the signals.
        AxisError: the axis is out of bounds.
    """
    if type not in ("linear", "l", "constant", "c"):
        raise ArgumentError("Trend type must be 'linear' or 'constant'.", source_location())
    length = np.shape(data)[axis]
    starts = sorted({0, *[operator.index(i) for i in np.atleast_1d(bp)], length})
    if starts[0] < 0 or starts[-1] > length:
        raise ArgumentError(
            "Breakpoints must be less than length of data along given axis.", source_location()
        )
    linear = type[0] == "l"
    parts = tuple(starts) if linear else (0, length)
    return _without_lines(data, axis=operator.index(axis), parts=parts, linear=linear)


@program
def _without_lines(data: Any, *, axis: int, parts: tuple[int, ...], linear: bool) -> Value:
    value = fourier.inexact(traced(data))
    place = prims.normalize_axis(axis, value.ndim)
    rows = prims.transpose(value, [*[i for i in range(value.ndim) if i != place], place])
    last = rows.ndim - 1
    kind = "linear" if linear else "constant"
    found = [
        without_trend(prims.take_range(rows, last, start, stop), kind)
        for start, stop in itertools.pairwise(parts)
    ]
    order = list(range(last))
    order.insert(place, last)
    return prims.transpose(prims.concatenate(found, last) if found else rows, order)


def without_trend(x: Value, kind: str) -> Value:
    """Rows without their mean, or, if "linear", without the line through them."""
    n = x.shape[-1]
    result = x - prims.broadcast_to(_sum_last(x) * (1 / max(n, 1)), x.shape)
    if kind == "constant" or n <= 1:
        return result
    line = np.arange(n) - (n - 1) / 2
    line /= np.sqrt(np.sum(line**2))
    basis = prims.broadcast_to(prims.as_value(line, x.dtype), x.shape)
    return result - prims.broadcast_to(_sum_last(result * basis), x.shape) * basis


def _sum_last(x: Value) -> Value:
    total = prims.reduce("sum", x, [x.ndim - 1])
    return prims.reshape(total, (*x.shape[:-1], 1))
