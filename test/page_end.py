# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arrays behind which nothing can be read: the process ends if it is."""

import ctypes
import mmap
from typing import Any

import numpy as np

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def at_page_end(array: Any) -> Any:
    """A copy that ends where a page begins that cannot be accessed."""
    array = np.ascontiguousarray(array)
    size = -(-max(array.nbytes, 1) // mmap.PAGESIZE) * mmap.PAGESIZE
    room = np.frombuffer(mmap.mmap(-1, size + mmap.PAGESIZE), np.uint8)
    status = _libc.mprotect(room.ctypes.data + size, mmap.PAGESIZE, 0)
    assert status == 0, ctypes.get_errno()
    copy = room[size - array.nbytes : size].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
