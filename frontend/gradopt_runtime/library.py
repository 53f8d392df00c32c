# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The runtime, libGradOptRuntime.so, through ctypes."""

from __future__ import annotations

import ctypes
import functools
import glob
import importlib.util
import os
import threading
from typing import Any

_LIBRARY = "libGradOptRuntime.so"

OK, CHECK_FAILED = 0, 9


class BundleError(RuntimeError):
    """A file is not a bundle that this machine can run, or running it failed."""


class ArrayInfo(ctypes.Structure):
    """gradopt_array_info."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("dtype", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("bytes", ctypes.c_size_t),
        ("reused", ctypes.c_int64),
        ("extents_of_part", ctypes.POINTER(ctypes.c_int64)),
        ("sizes", ctypes.POINTER(ctypes.c_int64)),
    ]


def library_path() -> str:
    """Where the runtime is, for programs that are linked with it.

    Raises:
        BundleError: it is not there.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    # Found, not imported.
    package = importlib.util.find_spec("gradopt")
    folders = package.submodule_search_locations if package is not None else None
    for folder in (here, *(folders or ())):
        path = os.path.join(folder, _LIBRARY)
        if os.path.exists(path):
            return path
    raise BundleError(f"there is no {_LIBRARY} beside {here}, nor in an installed gradopt")


def include_path() -> str:
    """The folder of `gradopt_runtime.h` and `gradopt.hpp`, for programs in C and C++.

    Raises:
        BundleError: it is not there.
    """
    path = os.path.join(os.path.dirname(library_path()), "include")
    if not os.path.isdir(path):
        raise BundleError(f"there is no folder {path}")
    return path


_lock = threading.Lock()
_loaded: list[ctypes.CDLL] = []


def runtime() -> ctypes.CDLL:
    """The runtime, loaded once."""
    # Without the lock: a destructor may ask while its thread has it.
    if _loaded:
        return _loaded[0]
    with _lock:
        if not _loaded:
            library = ctypes.CDLL(library_path())
            pointer, size, text = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
            status, number = ctypes.c_int, ctypes.c_int32
            info = ctypes.POINTER(ArrayInfo)
            signatures: dict[str, tuple[Any, list[Any]]] = {
                "last_error": (text, []),
                "failed_check": (text, []),
                "bundle_open": (status, [text, ctypes.POINTER(pointer)]),
                "bundle_close": (None, [pointer]),
                "bundle_num_programs": (size, [pointer]),
                "bundle_program": (pointer, [pointer, size]),
                "bundle_structure": (pointer, [pointer, ctypes.POINTER(size)]),
                "program_name": (text, [pointer]),
                "program_num_arguments": (size, [pointer]),
                "program_num_results": (size, [pointer]),
                "program_argument": (info, [pointer, size]),
                "program_result": (info, [pointer, size]),
                "array_extent": (ctypes.c_int64, [info, number, ctypes.c_int64]),
                "program_room": (status, [pointer, pointer, ctypes.POINTER(ctypes.c_int64)]),
                "program_arena_bytes": (size, [pointer, ctypes.c_int64]),
                "program_call": (status, [pointer, pointer, pointer]),
                "program_has_cpu_code": (number, [pointer]),
                "program_has_cuda_code": (number, [pointer]),
                "program_load_cuda": (status, [pointer, number]),
                "program_call_cuda": (status, [pointer, number, pointer, pointer, pointer]),
                "cuda_set_driver": (status, [text]),
                "cuda_set_blas": (status, [text]),
                "cuda_set_fourier": (status, [text]),
                "cuda_set_solver": (status, [text]),
                "cuda_get_device_info": (status, [number, pointer]),
                "cuda_allocate": (status, [number, size, pointer, ctypes.POINTER(pointer)]),
                "cuda_free": (status, [number, pointer, pointer]),
                "cuda_copy": (status, [number, pointer, pointer, size, pointer]),
                "cuda_copy_first": (
                    status,
                    [number, pointer, pointer, size, number, pointer, pointer, pointer],
                ),
                "cuda_synchronize": (status, [number, pointer]),
                "cuda_wait": (status, [number, pointer, pointer]),
                "cuda_mark": (status, [number, pointer, ctypes.POINTER(pointer)]),
                "cuda_is_done": (status, [number, pointer, ctypes.POINTER(number)]),
                "cuda_pointer_device": (status, [pointer, ctypes.POINTER(number)]),
                "blas_path": (text, []),
                "set_blas": (status, [text]),
                "set_blas_threads": (status, [ctypes.c_int]),
            }
            for name, (result, arguments) in signatures.items():
                function = getattr(library, f"gradopt_{name}")
                function.restype, function.argtypes = result, arguments
            blas = blas_path() if library.gradopt_blas_path() is None else None
            if blas is not None:
                library.gradopt_set_blas(os.fsencode(blas))
                library.gradopt_set_blas_threads(1)
            _loaded.append(library)
        return _loaded[0]


def blas_path() -> str | None:
    """The OpenBLAS of the scipy-openblas32 package; None if it is not installed."""
    # Not imported: a fork while another thread imports it would leave its lock locked.
    package = importlib.util.find_spec("scipy_openblas32")
    folders = package.submodule_search_locations if package is not None else None
    for folder in folders or ():
        for library in sorted(glob.glob(f"{folder}/lib/libscipy_openblas*.so*")):
            return library
    return None


# What the name of a library ends with, of the packages for CUDA 13 and 12.
_MAJORS = {"cublas": (13, 12), "cufft": (12, 11), "cusolver": (12, 11)}


def cuda_library_path(name: str, driver_version: int) -> str | None:
    """A library of a package of NVIDIA's, such as PyTorch brings; None if there is none.

    Args:
        name: "cublas", "cufft" or "cusolver".
        driver_version: the newest CUDA that the driver knows, as in 12040 for 12.4.
    """
    package = importlib.util.find_spec("nvidia")
    folders = package.submodule_search_locations if package is not None else None
    for cuda, major in zip((13, 12), _MAJORS[name], strict=True):
        for folder in folders or ():
            libraries = glob.glob(f"{folder}/*/lib/lib{name}.so.{major}")
            if libraries and driver_version >= 1000 * cuda:
                return libraries[0]
    return None


class _DeviceInfo(ctypes.Structure):
    """gradopt_cuda_device_info."""

    _fields_ = [
        ("name", ctypes.c_char * 128),
        ("chip", ctypes.c_int32),
        ("driver_version", ctypes.c_int32),
        ("num_multiprocessors", ctypes.c_int32),
        ("is_emulated", ctypes.c_int32),
        ("memory_bytes", ctypes.c_uint64),
    ]


@functools.cache
def choose_cuda_libraries() -> None:
    """Lets programs on GPUs use cuBLAS, cuFFT and cuSOLVER of packages that the driver can run.

    Raises:
        BundleError: no GPU can be used.
    """
    info = _DeviceInfo()
    check(runtime().gradopt_cuda_get_device_info(0, ctypes.byref(info)))
    if info.is_emulated:
        return
    for name, choose in (
        ("cublas", runtime().gradopt_cuda_set_blas),
        ("cufft", runtime().gradopt_cuda_set_fourier),
        ("cusolver", runtime().gradopt_cuda_set_solver),
    ):
        library = cuda_library_path(name, info.driver_version)
        if library is not None:
            # Somebody may have chosen another one, and used it.
            choose(os.fsencode(library))


def last_error() -> BundleError:
    """Why the last call of this thread failed."""
    return BundleError(runtime().gradopt_last_error().decode(errors="replace"))


def check(status: int) -> None:
    """Raises the error of a call that failed."""
    if status != OK:
        raise last_error()
