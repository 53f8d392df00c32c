# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""DLPack, by which libraries hand arrays to each other: https://dmlc.github.io/dlpack."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

# Kinds of memory.
CUDA, CUDA_MANAGED = 2, 13

_KINDS = {0: "i", 1: "u", 2: "f", 5: "c", 6: "b"}
_CODES = {kind: code for code, kind in _KINDS.items()}
_NAME, _USED_NAME = b"dltensor", b"used_dltensor"


class _Tensor(ctypes.Structure):
    """DLTensor."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_kind", ctypes.c_int32),
        ("device", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class _Managed(ctypes.Structure):
    """DLManagedTensor."""

    _fields_ = [
        ("tensor", _Tensor),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    ]


# Functions of our own: those of ctypes.pythonapi are everybody's.
_python = ctypes.PyDLL(None)
_is_valid, _pointer = _python.PyCapsule_IsValid, _python.PyCapsule_GetPointer
_set_name, _new = _python.PyCapsule_SetName, _python.PyCapsule_New
_is_valid.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]
_set_name.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
_new.restype, _new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

# Both with the GIL: deleters of other libraries may need it, and ours is Python.
_DELETER = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def require_row_major(shape: Sequence[int], strides: Sequence[float] | None) -> None:
    """Raises a ValueError if strides, counted in elements, are not those of a row-major array."""
    if strides is None or 0 in shape:
        return
    size = 1
    for extent, stride in zip(reversed(shape), reversed(strides), strict=True):
        if extent != 1 and stride != size:
            raise ValueError("it is not row-major")
        size *= extent


class Taken:
    """An array of another library, which is given back when the object is deleted.

    Attributes:
        device: the number of the CUDA device.
        address: of the first element.
        dtype: of the elements.
        shape: the shape.
    """

    def __init__(self, managed: int) -> None:
        self._managed = managed
        tensor = _Managed.from_address(managed).tensor
        self.device: int = tensor.device
        self.address: int = (tensor.data or 0) + tensor.byte_offset
        self.shape: tuple[int, ...] = tuple(tensor.shape[: tensor.rank])
        if tensor.lanes != 1 or tensor.code not in _KINDS:
            raise ValueError("NumPy has no dtype for its elements")
        self.dtype = np.dtype(f"{_KINDS[tensor.code]}{tensor.bits // 8}")
        require_row_major(self.shape, tensor.strides[: tensor.rank] if tensor.strides else None)

    def __del__(self) -> None:
        deleter = _Managed.from_address(self._managed).deleter
        if deleter:
            _DELETER(deleter)(self._managed)


def take(capsule: Any) -> Taken:
    """What is in a capsule.

    Raises:
        TypeError: there is no array in it.
        ValueError: its elements are not NumPy's, or it is not row-major.
    """
    if not _is_valid(id(capsule), _NAME):
        raise TypeError("__dlpack__ returned no capsule with an array")
    managed = _pointer(id(capsule), _NAME)
    _set_name(id(capsule), _USED_NAME)
    return Taken(managed)


# What was handed out, by its address.
_exported: dict[int, Any] = {}


@_CALLBACK
def _delete(managed: int) -> None:
    _exported.pop(managed, None)


@_CALLBACK
def _drop(capsule: int) -> None:
    """Called for a capsule that is deleted: nobody may have taken what is in it."""
    if _is_valid(capsule, _NAME):
        _exported.pop(_pointer(capsule, _NAME), None)


def export(
    owner: Any, address: int, device: int, dtype: np.dtype[Any], shape: Sequence[int]
) -> Any:
    """A capsule with a row-major array of a CUDA device, which keeps its owner."""
    extents = (ctypes.c_int64 * max(len(shape), 1))(*shape)
    managed = _Managed()
    tensor = managed.tensor
    tensor.data, tensor.device_kind, tensor.device = address or None, CUDA, device
    tensor.rank, tensor.lanes = len(shape), 1
    tensor.code, tensor.bits = _CODES[dtype.kind], 8 * dtype.itemsize
    tensor.shape = ctypes.cast(extents, ctypes.POINTER(ctypes.c_int64))
    managed.deleter = ctypes.cast(_delete, ctypes.c_void_p).value
    place = ctypes.addressof(managed)
    _exported[place] = managed, extents, owner
    return _new(place, _NAME, ctypes.cast(_drop, ctypes.c_void_p))
