# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The emulator of CUDA's driver (test/emulator), for tests of any part.

Which library it is can be said by GRADOPT_EMULATOR_LIBRARY; else it is that of the build.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
HEADERS = ROOT / "test" / "emulator"
NAME = "libgradopt_emulated_cuda.so"

OUT_OF_MEMORY, INVALID_HANDLE = 2, 400
ILLEGAL_ADDRESS, MISALIGNED_ADDRESS, LAUNCH_FAILED = 700, 716, 719


def library_path() -> Path:
    """Where the emulator is."""
    named = os.environ.get("GRADOPT_EMULATOR_LIBRARY")
    places = [Path(named)] if named else [ROOT / "build" / p / "test" / NAME for p in PRESETS]
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(f"there is no {places[0]}: build it with `make build`")


PRESETS = ("release", "dev")


class Emulator:
    """What the emulator tells of itself, and can be told."""

    def __init__(self) -> None:
        self.path = library_path()
        self.library = ctypes.CDLL(str(self.path))
        self.library.gradopt_emulator_log.restype = ctypes.c_char_p
        self.library.gradopt_emulator_bytes_in_use.restype = ctypes.c_uint64

    def record(self) -> None:
        """Forgets the log and begins another one."""
        self.library.gradopt_emulator_record(1)

    def log(self) -> list[str]:
        """What was called since then, and, indented, what was done on devices."""
        return self.library.gradopt_emulator_log().decode().splitlines()

    def calls(self, name: str) -> list[str]:
        """The calls of one function."""
        return [line for line in self.log() if line.split()[0] == name and line[0] != " "]

    def done(self) -> list[str]:
        """What was done on devices."""
        return [line.strip() for line in self.log() if line.startswith("  ")]

    def fail(self, function: str, error: int, skip: int = 0) -> None:
        """Lets a call of a function of the driver fail, after `skip` others."""
        self.library.gradopt_emulator_fail(function.encode(), error, skip)

    def recover(self) -> None:
        """Forgets failures, which only a new process does on a real device."""
        self.library.gradopt_emulator_recover()

    def bytes_in_use(self, device: int = 0) -> int:
        """Bytes of the device that are allocated."""
        return self.library.gradopt_emulator_bytes_in_use(device)

    def set_memory(self, size: int) -> None:
        """Bytes that each device has."""
        self.library.gradopt_emulator_set_memory(ctypes.c_uint64(size))


class DriverError(Exception):
    """A call of the driver failed."""

    def __init__(self, function: str, code: int, words: str) -> None:
        super().__init__(f"{function}: {code}: {words}")
        self.code, self.words = code, words


class Driver:
    """The driver itself, for those who look after a caller of their own of it."""

    def __init__(self, emulator: Emulator, device: int = 0) -> None:
        self.library = emulator.library
        self.call("cuInit", 0)
        self.context = ctypes.c_void_p()
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(self.context), device)

    def call(self, function: str, *arguments: Any) -> None:
        """Calls a function, and raises if it fails."""
        code = getattr(self.library, function)(*arguments)
        if code != 0:
            words = ctypes.c_char_p()
            self.library.cuGetErrorString(code, ctypes.byref(words))
            raise DriverError(function, code, (words.value or b"").decode())

    def __enter__(self) -> Driver:
        self.call("cuCtxPushCurrent_v2", self.context)
        return self

    def __exit__(self, *_: object) -> None:
        self.call("cuCtxPopCurrent_v2", None)

    def handle(self, function: str, *arguments: Any) -> ctypes.c_void_p:
        """What a function writes to where its first argument points."""
        made = ctypes.c_void_p()
        self.call(function, ctypes.byref(made), *arguments)
        return made

    def stream(self, blocking: bool = False) -> ctypes.c_void_p:
        """A new stream."""
        return self.handle("cuStreamCreate", 0 if blocking else 1)

    def allocate(self, size: int) -> int:
        """Memory that can be used at once."""
        address = self.handle("cuMemAlloc_v2", ctypes.c_size_t(size)).value
        assert address is not None
        return address

    def free(self, address: int) -> None:
        """Frees it, waiting for the device."""
        self.call("cuMemFree_v2", ctypes.c_uint64(address))

    def upload(self, array: np.ndarray[Any, Any], stream: Any = None) -> int:
        """Memory of a device with the values of an array."""
        address = self.allocate(max(array.nbytes, 1))
        self.copy(address, array.ctypes.data, array.nbytes, stream)
        return address

    def download(
        self, address: int, like: np.ndarray[Any, Any], stream: Any = None
    ) -> np.ndarray[Any, Any]:
        """An array of the values that lie there, which the stream is waited for."""
        result = np.empty_like(like)
        self.copy(result.ctypes.data, address, result.nbytes, stream)
        return result

    def copy(self, to: int, source: int, size: int, stream: Any = None) -> None:
        """Copies on a stream."""
        addresses = ctypes.c_uint64(to), ctypes.c_uint64(source)
        self.call("cuMemcpyAsync", *addresses, ctypes.c_size_t(size), stream)

    def module(self, image: bytes) -> ctypes.c_void_p:
        """A loaded module."""
        return self.handle("cuModuleLoadDataEx", image, 0, None, None)

    def launch(
        self,
        module: ctypes.c_void_p,
        name: str,
        grid: int,
        block: int,
        *parameters: int,
        stream: Any = None,
    ) -> None:
        """Launches a kernel with words as parameters."""
        function = self.handle("cuModuleGetFunction", module, name.encode())
        words = (ctypes.c_int64 * len(parameters))(*parameters)
        size = ctypes.c_size_t(ctypes.sizeof(words))
        extra = (ctypes.c_void_p * 5)(1, ctypes.addressof(words), 2, ctypes.addressof(size), None)
        shape = (grid, 1, 1, block, 1, 1)
        self.call("cuLaunchKernel", function, *shape, 0, stream, None, extra)

    def end_capture(self, stream: Any) -> ctypes.c_void_p:
        """The graph that was captured."""
        graph = ctypes.c_void_p()
        self.call("cuStreamEndCapture", stream, ctypes.byref(graph))
        return graph

    def synchronize(self, stream: Any = None) -> None:
        """Waits for a stream."""
        self.call("cuStreamSynchronize", stream)
