# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Threefry-2x32-20 in NumPy, and its published known answers."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3. SC 2011, table 2 and
# section 3.3; rotations and parity are those of Skein 1.3.
ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
PARITY = np.uint32(0x1BD11BDA)

# counter, key, result: the lines `threefry2x32 20` of tests/kat_vectors in Random123 1.14.0.
KNOWN_ANSWERS = [
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


def threefry(key: Any, upper: Array, lower: Array) -> tuple[Array, Array]:
    """Both words of each counter, encrypted with the two words of a key; all are uint32."""
    words = [np.uint32(k) for k in key]
    words.append(words[0] ^ words[1] ^ PARITY)
    with np.errstate(over="ignore"):
        x, y = upper + words[0], lower + words[1]
        for number in range(20):
            x = x + y
            count = ROTATIONS[number % 8]
            y = ((y << np.uint32(count)) | (y >> np.uint32(32 - count))) ^ x
            if number % 4 == 3:
                turn = number // 4 + 1
                x = x + words[turn % 3]
                y = y + words[(turn + 1) % 3] + np.uint32(turn)
    return x, y


def reference_words(key: Array, first: Any, count: int) -> tuple[Array, Array]:
    """The words of the counters from `first` on; key is of int32."""
    with np.errstate(over="ignore"):
        counters = np.arange(count, dtype=np.uint64) + np.int64(first).astype(np.uint64)
    upper = (counters >> np.uint64(32)).astype(np.uint32)
    return threefry(key.view(np.uint32), upper, counters.astype(np.uint32))


def reference_bits(key: Array, first: Any, bits: int, shape: tuple[int, ...], dtype: Any) -> Array:
    """What `grad.random_bits` is for one key."""
    x, y = reference_words(key, first, int(np.prod(shape)))
    if np.dtype(dtype).itemsize == 8:
        words = (x.astype(np.uint64) << np.uint64(32)) | y
        return (words >> np.uint64(64 - bits)).view(np.int64).reshape(shape)
    return ((x ^ y) >> np.uint32(32 - bits)).view(np.int32).reshape(shape)
