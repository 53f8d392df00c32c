# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Distances in units in the last place (ULP), and points to measure them at."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

WIDER = {np.dtype(np.float32): np.float64, np.dtype(np.float64): np.longdouble}


def distance(got: Array, exact: Array) -> Array:
    """Error of `got`, in ULPs of the exact result rounded to its type.

    `exact` may be of a wider type. NaN must stand where NaN stands and infinity where infinity
    stands (else the distance is infinite), but a result that is rounded to infinity or to the
    largest finite number counts by its distance from the threshold.
    """
    with np.errstate(all="ignore"):
        rounded = exact.astype(got.dtype)
        limit = np.finfo(got.dtype).max
        unit = np.spacing(np.minimum(np.abs(rounded), limit)).astype(np.longdouble)
        wide = exact.astype(np.longdouble)
        # Infinity as the number that would follow the largest one.
        beyond = np.longdouble(limit) + np.spacing(limit)
        clip = [
            np.where(np.isinf(a), np.copysign(beyond, a), a)
            for a in (got.astype(np.longdouble), wide)
        ]
        clip[1] = np.clip(clip[1], -beyond, beyond)
        error = np.abs(clip[0] - clip[1]) / unit
    same = (np.isnan(got) & np.isnan(exact)) | (got == rounded)
    return np.where(same, 0.0, np.where(np.isnan(error), np.inf, error)).astype(np.float64)


def special_values(dtype: Any) -> Array:
    """Zeros, infinities, NaN, the ends of the normal and subnormal ranges, and some in between."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.kind == "u":
        info = np.iinfo(dtype)
        half = info.max // 2
        return np.array([0, 1, 2, 3, 7, half, half + 1, info.max - 1, info.max], dtype)
    if dtype.kind == "i":
        info = np.iinfo(dtype)
        return np.array(
            [info.min, info.min + 1, -3, -2, -1, 0, 1, 2, 3, info.max - 1, info.max], dtype
        )
    if dtype.kind == "c":
        parts = special_values(f"f{dtype.itemsize // 2}")[::3]
        return np.array([complex(a, b) for a in parts for b in parts], dtype)
    info = np.finfo(dtype)
    subnormal = info.smallest_subnormal
    positive = [
        0.0,
        subnormal,
        12345 * subnormal,
        info.tiny,
        info.eps / 2,
        1e-3,
        0.5,
        1.0,
        1.5,
        2.0,
        2.5,
        3.0,
    ]
    positive += [10.0, 85.0, 120.0, 700.0, 2.0 / info.eps, 1e30, info.max, np.inf]
    return np.array([*positive, *(-v for v in positive), np.nan], dtype)


def samples(
    dtype: Any, ranges: tuple[tuple[float, float], ...], count: int, rng: np.random.Generator
) -> Array:
    """Uniform points of each range, and as many with uniform bits: every exponent and sign."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, count).astype(dtype)
    if dtype.kind == "c":
        part = f"f{dtype.itemsize // 2}"
        parts = [samples(part, ranges, count, rng) for _ in range(2)]
        size = min(a.size for a in parts)
        return np.stack([a[:size] for a in parts], -1).copy().view(dtype)[:, 0]
    bits = rng.integers(0, 2 ** (8 * dtype.itemsize), count, dtype=f"u{dtype.itemsize}").view(dtype)
    if dtype.kind in "iu":
        return np.concatenate([bits, rng.integers(-100, 100, count).astype(dtype)])
    bits = bits[np.isfinite(bits)]
    return np.concatenate(
        [bits, *(rng.uniform(low, high, count).astype(dtype) for low, high in ranges)]
    )
