# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Cosine and sine transforms, by Fourier transforms of as many points.

Those of type 2 are transforms of real numbers in another order (Makhoul, A fast cosine transform in
one and two dimensions, 1980), those of type 3 the inverse of that. Type 4 is a transform of half as
many complex numbers. Type 1 is one of real numbers and their mirror image. A sine transform is a
cosine transform of numbers in reverse order, or with every second sign changed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradopt.base.location import source_location
from gradopt.errors import ArgumentError
from gradopt.ir import fourier, prims
from gradopt.ir.values import Value


def cosine_transform(
    x: Value, axis: int, kind: int, sine: bool, factor: str, orthogonal: bool, name: str
) -> Value:
    """The transform of a type along an axis, as SciPy defines it.

    Args:
        x: floats, or complex numbers, both parts of which are transformed.
        axis: the axis, not empty.
        kind: 1, 2, 3 or 4.
        sine: whether it is of sines.
        factor: what it is divided by, of the points of the Fourier transform that it is a part of:
            "none", "size", or its "root".
        orthogonal: whether the first or last number is scaled so that the matrix of the transform
            is orthogonal but for a factor.
        name: what to call it in messages.

    Raises:
        ArgumentError: there is but one point, and the type needs two.
    """
    if x.dtype.kind == "c":
        parts = [
            cosine_transform(part, axis, kind, sine, factor, orthogonal, name)
            for part in (prims.real(x), prims.imag(x))
        ]
        return prims.complex_(*parts)
    n = x.shape[axis]
    if kind == 1 and n == 1 and not sine:
        raise ArgumentError("DCT-I is not defined for size < 2", source_location())
    order = [*[i for i in range(x.ndim) if i != axis], axis]
    v = prims.transpose(x, order)
    ends = _ends(n, kind, sine) if orthogonal else None
    if ends is not None and ends[0] is not None:
        v = _scaled(v, ends[0])
    v = (_sines if sine else _cosines)(v, kind, name)
    if ends is not None and ends[1] is not None:
        v = _scaled(v, ends[1])
    points = 2 * (n + (1 if sine else -1)) if kind == 1 else 2 * n
    if factor != "none":
        v = v * (1 / points if factor == "size" else 1 / math.sqrt(points))
    return prims.transpose(v, [order.index(i) for i in range(x.ndim)])


def _ends(n: int, kind: int, sine: bool) -> tuple[Any, Any] | None:
    """What the numbers are multiplied by before and behind an orthogonal transform."""
    root, before, behind = math.sqrt(2), np.ones(n), np.ones(n)
    if kind == 1 and not sine:
        before[[0, -1]], behind[[0, -1]] = root, 1 / root
        return before, behind
    end = -1 if sine else 0
    if kind == 2:
        behind[end] = 1 / root
        return None, behind
    if kind == 3:
        before[end] = root
        return before, None
    return None


def _scaled(x: Value, factors: Any) -> Value:
    """Each row times the factors."""
    return x * prims.broadcast_to(prims.as_value(factors, x.dtype), x.shape)


def _turned(x: Value, angles: Any, scale: float = 1.0) -> Value:
    """Each row of complex numbers times scale * exp(i angle)."""
    roots = (scale * np.exp(1j * angles)).astype(x.dtype)
    return x * prims.broadcast_to(prims.as_value(roots), x.shape)


def _last(x: Value) -> int:
    return x.ndim - 1


def _every(x: Value, start: int, step: int) -> Value:
    """`x[..., start::step]`."""
    n = x.shape[-1]
    offsets, sizes, strides = [0] * x.ndim, list(x.shape), [1] * x.ndim
    offsets[-1], sizes[-1], strides[-1] = start, max(0, -(-(n - start) // step)), step
    if sizes[-1] == n:
        return x
    return prims.slice_(x, offsets if sizes[-1] else [0] * x.ndim, sizes, strides)


def _range(x: Value, start: int, stop: int) -> Value:
    return prims.take_range(x, _last(x), start, stop)


def _reversed(x: Value) -> Value:
    return prims.reverse(x, [_last(x)])


def _joined(*parts: Value) -> Value:
    return prims.concatenate([p for p in parts if p.shape[-1]], _last(parts[0]))


def _zeros(x: Value, count: int) -> Value:
    return prims.full((*x.shape[:-1], count), 0, x.dtype)


def _interleaved(even: Value, odd: Value) -> Value:
    """Numbers in turn, of which `even` has as many as `odd`, or one more."""
    n = even.shape[-1] + odd.shape[-1]
    if not odd.shape[-1]:
        return even
    low, inner = [0] * even.ndim, [0] * even.ndim
    inner[-1] = 1
    high = list(low)
    high[-1] = n - (2 * even.shape[-1] - 1)
    whole = prims.pad(even, low, high, inner)
    offsets, strides = list(low), [1] * even.ndim
    offsets[-1], strides[-1] = 1, 2
    return prims.update_slice(whole, odd, offsets, strides)


def _alternating(x: Value) -> Value:
    """Each second number with another sign."""
    return _scaled(x, np.where(np.arange(x.shape[-1]) % 2, -1.0, 1.0))


def _cosines(x: Value, kind: int, name: str) -> Value:
    """2 sum_j x[j] cos(...), along the last axis, as SciPy defines it."""
    n = x.shape[-1]
    if kind == 1:
        whole = _joined(x, _reversed(_range(x, 1, n - 1)))
        return prims.real(fourier.rfft(whole, [_last(x)], True, "none", name))
    if kind == 2:
        return _second(x, name)
    if kind == 3:
        return _third(x)
    return _fourth(x)


def _second(x: Value, name: str) -> Value:
    n = x.shape[-1]
    shuffled = _joined(_every(x, 0, 2), _reversed(_every(x, 1, 2)))
    half = fourier.rfft(shuffled, [_last(x)], True, "none", name)
    turned = _turned(half, -np.pi / (2 * n) * np.arange(n // 2 + 1), 2)
    behind = -_reversed(_range(prims.imag(turned), 1, (n - 1) // 2 + 1))
    return _joined(prims.real(turned), behind)


def _third(x: Value) -> Value:
    n = x.shape[-1]
    count = n // 2 + 1
    # x[k] - i x[n - k], where x[n] is 0.
    mirrored = _joined(_zeros(x, 1), _reversed(_range(x, n - count + 1, n)))
    half = _turned(
        prims.complex_(_range(x, 0, count), -mirrored), np.pi / (2 * n) * np.arange(count)
    )
    shuffled = fourier.irfft(half, [_last(x)], n, False, "none")
    middle = (n + 1) // 2
    return _interleaved(_range(shuffled, 0, middle), _reversed(_range(shuffled, middle, n)))


def _fourth(x: Value) -> Value:
    n = x.shape[-1]
    if n % 2 == 1:
        # sum_j (x[j] w^j) w^(2 j k), turned, with w = exp(-pi i / 2 n): half of 2 n points.
        numbers = _turned(fourier.as_complex(x), -np.pi / (2 * n) * np.arange(n))
        whole = fourier.resized(numbers, _last(x), 2 * n)
        sums = _range(fourier.fft(whole, [_last(x)], True, "none"), 0, n)
        return prims.real(_turned(sums, -np.pi / (4 * n) * (2 * np.arange(n) + 1), 2))
    # (4 j + 1) (4 k + 1) is 16 j k + (4 j + 1) + 4 k.
    places = np.arange(n // 2)
    numbers = prims.complex_(_every(x, 0, 2), _reversed(_every(x, 1, 2)))
    numbers = _turned(numbers, -np.pi / (4 * n) * (4 * places + 1))
    sums = fourier.fft(numbers, [_last(x)], True, "none")
    turned = _turned(sums, -np.pi / n * places, 2)
    return _interleaved(prims.real(turned), -_reversed(prims.imag(turned)))


def _sines(x: Value, kind: int, name: str) -> Value:
    """2 sum_j x[j] sin(...), along the last axis, as SciPy defines it."""
    n = x.shape[-1]
    if kind == 1:
        zero = _zeros(x, 1)
        whole = _joined(zero, x, zero, -_reversed(x))
        half = fourier.rfft(whole, [_last(x)], True, "none", name)
        return -_range(prims.imag(half), 1, n + 1)
    if kind == 2:
        return _reversed(_second(_alternating(x), name))
    return _alternating(_cosines(_reversed(x), kind, name))
