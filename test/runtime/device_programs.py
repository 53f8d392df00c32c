# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs for a GPU, put together by hand, and the runtime's functions that run them."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import emulated_cuda
import numpy as np
from c_compiler import HERE, compile_c
from command_lists import CommandList

MAGIC, VERSION = 0x56454447, 2
PTX, CUBIN, HOST = range(3)
OK, INVALID_ARGUMENT, INVALID_OBJECT, _, OUT_OF_MEMORY, LIBRARY_ERROR = range(6)
NO_DEVICE, DEVICE_ERROR = 10, 11

Kernel = tuple[str, int, int]
Image = tuple[int, int, bytes]


def kernel_object(folder: Path) -> bytes:
    """The kernels of kernels.c."""
    target = folder / "kernels.o"
    flags = ["-O1", "-fPIC", "-c", f"-I{emulated_cuda.HEADERS}", "-o", str(target)]
    compile_c(HERE / "kernels.c", *flags)
    return target.read_bytes()


def device_program(
    commands: CommandList,
    images: Sequence[Image],
    /,
    *,
    constants: bytes = b"",
    arena: int = 0,
    header: dict[str, int] | None = None,
) -> bytes:
    """The bytes of a program, whose kernels are (name, grid, block)."""
    commands.header = {"arena": arena, **commands.header}
    body = bytearray(HEADER.size)

    def put(data: bytes) -> int:
        body.extend(bytes(-len(body) % 8))
        begin = len(body)
        body.extend(data)
        return begin

    table = commands.table()
    fields = {"table": put(table), "table_bytes": len(table)}
    fields |= {"constants": put(constants), "constants_bytes": len(constants)}
    kernels = b"".join(
        struct.pack("QII", put(name.encode() + b"\0"), grid, block)
        for name, grid, block in commands.kernels
    )
    fields |= {"kernels": put(kernels), "num_kernels": len(commands.kernels)}
    records = b"".join(
        struct.pack("IIQQ", chip, kind, put(code), len(code)) for chip, kind, code in images
    )
    fields |= {"images": put(records), "num_images": len(images)}
    fields |= {"arena_bytes_per_part": 0, "least_room": 0}
    put(b"")
    fields |= header or {}
    first = {"magic": MAGIC, "version": VERSION, "bytes": len(body), "arena_bytes": arena}
    first |= {key: value for key, value in fields.items() if key in first}
    HEADER.pack_into(body, 0, *first.values(), *(fields[key] for key in ORDER))
    return bytes(body)


ORDER = [f"{part}{suffix}" for part in ("table", "constants") for suffix in ("", "_bytes")] + [
    "kernels",
    "num_kernels",
    "images",
    "num_images",
    "arena_bytes_per_part",
    "least_room",
]
HEADER = struct.Struct("IIQQ10Q")


class Info(ctypes.Structure):
    """gradopt_cuda_device_info."""

    _fields_ = (
        ("name", ctypes.c_char * 128),
        ("chip", ctypes.c_int32),
        ("driver_version", ctypes.c_int32),
        ("num_multiprocessors", ctypes.c_int32),
        ("is_emulated", ctypes.c_int32),
        ("memory_bytes", ctypes.c_uint64),
    )


class CudaError(Exception):
    """A function of the runtime failed."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


def runtime_path() -> Path:
    """The library of the runtime; processes of tests are told by their parents."""
    if named := os.environ.get("GRADOPT_TEST_RUNTIME"):
        return Path(named)
    from gradopt import _gradopt

    return Path(_gradopt.__file__).parent / "libGradOptRuntime.so"


class Runtime:
    """The functions of gradopt_cuda.h, on one device, with errors as exceptions."""

    def __init__(self, device: int = 0) -> None:
        self.library = ctypes.CDLL(str(runtime_path()))
        self.library.gradopt_last_error.restype = ctypes.c_char_p
        self.device = device

    def call(self, function: str, *arguments: Any) -> None:
        """Calls a function; raises if it fails."""
        status = getattr(self.library, f"gradopt_cuda_{function}")(*arguments)
        if status != OK:
            raise CudaError(status, self.library.gradopt_last_error().decode(errors="replace"))

    def set_driver(self, path: Path | str | None) -> None:
        """Says which driver it is."""
        self.call("set_driver", None if path is None else str(path).encode())

    def set_blas(self, path: Path | str | None) -> None:
        """Says which cuBLAS it is."""
        self.call("set_blas", None if path is None else str(path).encode())

    def set_fourier(self, path: Path | str | None) -> None:
        """Says which cuFFT it is."""
        self.call("set_fourier", None if path is None else str(path).encode())

    def set_solver(self, path: Path | str | None) -> None:
        """Says which cuSOLVER it is."""
        self.call("set_solver", None if path is None else str(path).encode())

    def library_problem(self, library: int) -> str:
        """Why cuBLAS (0), cuFFT or cuSOLVER is not used; "" if it is."""
        words = ctypes.create_string_buffer(512)
        self.call("library_problem", self.device, library, words, ctypes.c_size_t(len(words)))
        return words.value.decode()

    def count(self) -> int:
        """How many devices there are."""
        count = ctypes.c_int32(-1)
        self.call("device_count", ctypes.byref(count))
        return count.value

    def info(self) -> Info:
        """What is known of the device."""
        info = Info()
        self.call("get_device_info", self.device, ctypes.byref(info))
        return info

    def load(self, program: bytes) -> ctypes.c_void_p:
        """A loaded program."""
        module = ctypes.c_void_p()
        size = ctypes.c_size_t(len(program))
        self.call("module_load", program, size, self.device, ctypes.byref(module))
        return module

    def unload(self, module: ctypes.c_void_p) -> None:
        """Frees it."""
        self.library.gradopt_cuda_module_unload(module)

    def run(self, module: ctypes.c_void_p, *buffers: int, stream: Any = None) -> None:
        """Calls a program."""
        array = (ctypes.c_void_p * len(buffers))(*buffers)
        self.call("call", module, array, ctypes.c_size_t(len(buffers)), stream)

    def allocate(self, size: int, stream: Any = None) -> int:
        """Memory of the device."""
        address = ctypes.c_void_p()
        self.call("allocate", self.device, ctypes.c_size_t(size), stream, ctypes.byref(address))
        return address.value or 0

    def free(self, address: int, stream: Any = None) -> None:
        """Frees it."""
        self.call("free", self.device, ctypes.c_void_p(address), stream)

    def copy(self, to: int, source: int, size: int, stream: Any = None) -> None:
        """Copies."""
        addresses = ctypes.c_void_p(to), ctypes.c_void_p(source)
        self.call("copy", self.device, *addresses, ctypes.c_size_t(size), stream)

    def copy_first(
        self, to: int, source: int, size: int, shape: tuple[int, ...], counts: tuple[int, ...]
    ) -> None:
        """Copies the first elements of an array, of so many bytes each."""
        extents = [(ctypes.c_int64 * len(shape))(*numbers) for numbers in (shape, counts)]
        addresses = ctypes.c_void_p(to), ctypes.c_void_p(source), ctypes.c_size_t(size)
        self.call("copy_first", self.device, *addresses, len(shape), *extents, None)

    def upload(self, array: np.ndarray[Any, Any], stream: Any = None) -> int:
        """Memory with the values of an array."""
        address = self.allocate(array.nbytes, stream)
        self.copy(address, array.ctypes.data, array.nbytes, stream)
        return address

    def download(
        self, address: int, like: np.ndarray[Any, Any], stream: Any = None
    ) -> np.ndarray[Any, Any]:
        """The values that lie there."""
        result = np.empty_like(like)
        self.copy(result.ctypes.data, address, result.nbytes, stream)
        return result

    def synchronize(self, stream: Any = None) -> None:
        """Waits for a stream."""
        self.call("synchronize", self.device, stream)

    def wait(self, stream: Any, other: Any) -> None:
        """Lets a stream wait for another one."""
        self.call("wait", self.device, stream, other)

    def device_of(self, address: int) -> int:
        """The device of an address, or -1."""
        device = ctypes.c_int32(-2)
        self.call("pointer_device", ctypes.c_void_p(address), ctypes.byref(device))
        return device.value
