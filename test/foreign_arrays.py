# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arrays of libraries that are not there, in a device's memory: what the protocols say of them.

The structures of DLPack are declared here once more, from its specification, and capsules are read
and made with them.
"""

from __future__ import annotations

import ctypes
import math
import sys
import types
from typing import Any

import numpy as np
import pytest
from emulated_cuda import Driver

import gradopt as go

CUDA = 2
LEGACY = 1


class Tensor(ctypes.Structure):
    """DLTensor, flat."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Managed(ctypes.Structure):
    """DLManagedTensor."""

    _fields_ = [("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", _Deleter)]


class ManagedVersioned(ctypes.Structure):
    """DLManagedTensorVersioned."""

    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", _Deleter),
        ("flags", ctypes.c_uint64),
        ("tensor", Tensor),
    ]


_api = ctypes.pythonapi
_api.PyCapsule_GetPointer.restype = ctypes.c_void_p
_api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_api.PyCapsule_IsValid.argtypes = [ctypes.py_object, ctypes.c_char_p]
_api.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_char_p]
_api.PyCapsule_New.restype = ctypes.py_object
_api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

KINDS = {0: "i", 1: "u", 2: "f", 5: "c", 6: "b"}
CODES = {kind: code for code, kind in KINDS.items()}


_handed_out: list[Any] = []


class Taken:
    """What a capsule had in it, taken as a library takes it; deleted with the object."""

    def __init__(self, capsule: Any) -> None:
        self.versioned = bool(_api.PyCapsule_IsValid(capsule, b"dltensor_versioned"))
        name = b"dltensor_versioned" if self.versioned else b"dltensor"
        kind = ManagedVersioned if self.versioned else Managed
        self.address = _api.PyCapsule_GetPointer(capsule, name)
        self.managed: Any = kind.from_address(self.address)
        # Names are not copied.
        self._used = b"used_" + name
        _api.PyCapsule_SetName(capsule, self._used)
        self._capsule = capsule
        tensor = self.managed.tensor
        self.device = (tensor.device_type, tensor.device_id)
        self.shape = tuple(tensor.shape[: tensor.ndim])
        self.dtype = np.dtype(f"{KINDS[tensor.code]}{tensor.bits // 8}")
        self.data = (tensor.data or 0) + tensor.byte_offset
        assert tensor.lanes == 1

    def values(self) -> np.ndarray[Any, Any]:
        """Its elements: the emulated devices' memory is the host's."""
        count = math.prod(self.shape) * self.dtype.itemsize
        raw = (ctypes.c_char * count).from_address(self.data) if count else b""
        return np.frombuffer(raw, self.dtype).reshape(self.shape).copy()

    def __del__(self) -> None:
        if self.managed.deleter:
            self.managed.deleter(self.address)


class DlpackArray:
    """An array of some library, which hands it out through DLPack.

    Attributes:
        asked: the streams that it was asked for.
        deleted: how many capsules were given back.
    """

    versions = True
    kind = CUDA

    def __init__(self, memory: Any, strides: Any = None) -> None:
        self.memory = memory
        self.strides = strides
        self.asked: list[Any] = []
        self.deleted = 0
        self._kept: list[Any] = []

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return self.memory.shape

    def values(self) -> np.ndarray[Any, Any]:
        """Its elements."""
        return self.memory.numpy()

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.kind, self.memory.device_number

    def __dlpack__(self, *, stream: Any = None, **others: Any) -> Any:
        if others and not self.versions:
            raise TypeError("unexpected keyword argument")
        self.asked.append(stream)
        array = self.memory
        shape = (ctypes.c_int64 * max(array.ndim, 1))(*array.shape)
        strides = None
        if self.strides is not None:
            strides = (ctypes.c_int64 * max(array.ndim, 1))(*self.strides)

        def delete(_address: Any) -> None:
            self.deleted += 1

        tensor = Tensor(
            array.__cuda_array_interface__["data"][0],
            self.kind,
            array.device_number,
            array.ndim,
            CODES[array.dtype.kind],
            8 * array.dtype.itemsize,
            1,
            shape,
            strides,
            0,
        )
        deleter = _Deleter(delete)
        made: Any
        if others.get("max_version", (0, 0)) >= (1, 0):
            made = ManagedVersioned(1, 0, None, deleter, 0, tensor)
            name = b"dltensor_versioned"
        else:
            made = Managed(tensor, None, deleter)
            name = b"dltensor"
        self._kept += [made, shape, strides, deleter, name]
        # A capsule may outlive the array.
        _handed_out.append(self._kept)
        return _api.PyCapsule_New(ctypes.addressof(made), name, None)


class InterfaceArray:
    """An array of some library that has `__cuda_array_interface__` alone, as Numba's."""

    def __init__(self, memory: Any, **entries: Any) -> None:
        self.memory = memory
        self.entries = entries

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {**self.memory.__cuda_array_interface__, **self.entries}


class CupyArray(DlpackArray):
    """One of a library that we know, which has a current stream."""

    __module__ = "cupy"

    def copy(self, order: str = "K") -> CupyArray:
        """A copy in row-major order."""
        assert order == "C"
        values = self.values()
        if self.strides is not None:
            strides = [s * values.itemsize for s in self.strides]
            values = np.lib.stride_tricks.as_strided(values, strides=strides)
        return CupyArray(go.asarray(values, device=self.memory.device))


class CupyResult(CupyArray):
    """What `cupy.from_dlpack` gives.

    Attributes:
        stream: the number of the stream that it is used on.
        taken: where it is from.
    """

    __module__ = "cupy"

    def __init__(self, array: Any, stream: int, driver: Driver) -> None:
        self.stream = stream
        self.driver = driver
        self.taken = Taken(array.__dlpack__(stream=stream, max_version=(1, 0)))
        memory = types.SimpleNamespace(
            shape=self.taken.shape,
            ndim=len(self.taken.shape),
            dtype=self.taken.dtype,
            device=f"cuda:{self.taken.device[1]}",
            device_number=self.taken.device[1],
            numpy=self.taken.values,
            __cuda_array_interface__={"data": (self.taken.data, False)},
        )
        super().__init__(memory)

    def values(self) -> np.ndarray[Any, Any]:
        """Its elements, when they are there."""
        self.driver.synchronize(ctypes.c_void_p(self.stream))
        return self.taken.values()


class FakeCupy(types.ModuleType):
    """The module, with what is used of it.

    Attributes:
        current: the number of its current stream.
    """

    def __init__(self, driver: Driver) -> None:
        super().__init__("cupy")
        self.driver = driver
        self.current = 0
        self.cuda = types.SimpleNamespace(
            get_current_stream=lambda device=-1: types.SimpleNamespace(ptr=self.current)
        )

    def from_dlpack(self, array: Any) -> CupyResult:
        """As CuPy's."""
        return CupyResult(array, self.current or LEGACY, self.driver)


def fake_cupy(monkeypatch: pytest.MonkeyPatch, driver: Driver) -> FakeCupy:
    """The library, as long as the test runs."""
    module = FakeCupy(driver)
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module
