# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arrays on devices: those of other libraries taken in, and results in their kind given back."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from gradopt import _gradopt
from gradopt._gradopt import DeviceArray
from gradopt.base.devices import CPU, checked_device, device_number
from gradopt.base.dtypes import SUPPORTED, kind_of
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.errors import ArgumentTypeError, DeviceError, GradoptError, PlacementError

# Of DLPack: the kinds of memory that CUDA devices can use where it is.
_CUDA, _CUDA_MANAGED = 2, 13
# The stream that stands for CUDA's legacy default stream, in DLPack and in interfaces.
_LEGACY_STREAM = 1


# What is on no device, whatever attributes it has.
_ON_HOST = (np.ndarray, np.generic, int, float, list, tuple)


class _Library(NamedTuple):
    """What we know of a library with arrays on devices.

    Attributes:
        stream: the number of its current stream on a device; None if it has no such stream.
        copy: a copy of an array in row-major order, on the device.
        wrap: an array of the library with the memory of a DeviceArray.
    """

    stream: Callable[[int], int] | None
    copy: Callable[[Any], Any]
    wrap: Callable[[DeviceArray], Any]


def _torch(torch: Any) -> _Library:
    return _Library(
        lambda device: torch.cuda.current_stream(device).cuda_stream,
        lambda tensor: tensor.clone(memory_format=torch.contiguous_format),
        torch.from_dlpack,
    )


def _cupy(cupy: Any) -> _Library:
    return _Library(
        lambda device: cupy.cuda.get_current_stream(device).ptr,
        lambda array: array.copy(order="C"),
        cupy.from_dlpack,
    )


def _jax(jax: Any) -> _Library:
    return _Library(
        None,
        lambda array: jax.numpy.array(array),
        lambda array: jax.dlpack.from_dlpack(array),
    )


# By the package that the class of an array is from: the module, and what we know of it.
_LIBRARIES: dict[str, tuple[str, Callable[[Any], _Library]]] = {
    "torch": ("torch", _torch),
    "cupy": ("cupy", _cupy),
    "jaxlib": ("jax", _jax),
    "jax": ("jax", _jax),
}


@functools.lru_cache(64)
def _package(cls: type) -> str:
    """The package of a library that we know that a class is from; "" for others."""
    for base in cls.__mro__:
        name = base.__module__.partition(".")[0]
        if name in _LIBRARIES:
            return name
    return ""


@functools.lru_cache(8)
def _known(package: str, module: Any) -> _Library:
    return _LIBRARIES[package][1](module)


def _library(leaf: Any) -> _Library | None:
    """The library that an array is of, if it is one that we know."""
    package = _package(type(leaf))
    return _known(package, sys.modules[_LIBRARIES[package][0]]) if package else None


def _dlpack_device(leaf: Any) -> tuple[int, int] | None:
    """Where an array is that has DLPack's methods."""
    ask = getattr(leaf, "__dlpack_device__", None)
    if ask is None:
        return None
    try:
        kind, number = ask()
        return int(kind), int(number)
    except Exception:
        # It is somewhere that DLPack has no name for.
        return None


def adopt(leaf: Any, path: str) -> DeviceArray | None:
    """An array on a CUDA device as a DeviceArray of the same memory; None if it is not on one.

    Args:
        leaf: an array of any library.
        path: how the user reaches it.

    Raises:
        ArgumentTypeError: the library does not hand it out, or its elements or strides are not
            such that compiled code can use it.
        DeviceError: the device cannot be used.
    """
    if type(leaf) is DeviceArray:
        return leaf
    if isinstance(leaf, _ON_HOST):
        return None
    where = _dlpack_device(leaf)
    try:
        if where is not None:
            return _from_dlpack(leaf, where[1]) if where[0] in (_CUDA, _CUDA_MANAGED) else None
        interface = getattr(leaf, "__cuda_array_interface__", None)
        return None if interface is None else _from_interface(leaf, interface)
    except GradoptError:
        raise
    except Exception as error:
        raise ArgumentTypeError(
            f"{path}, a {type(leaf).__name__} on a device, cannot be passed to compiled code: "
            f"{error}"
        ) from error


def _from_dlpack(leaf: Any, device: int) -> DeviceArray:
    library = _library(leaf)
    current = None if library is None or library.stream is None else library.stream(device)
    try:
        return _in_capsule(leaf, current)
    except ValueError:
        if library is None:
            raise
        return _in_capsule(library.copy(leaf), current)


def _in_capsule(leaf: Any, current: int | None) -> DeviceArray:
    stream = current or _LEGACY_STREAM
    try:
        capsule = leaf.__dlpack__(stream=stream, max_version=(1, 0))
    except TypeError:
        # From before version 1.0.
        capsule = leaf.__dlpack__(stream=stream)
    # Whose streams we do not know may reuse the memory before our work is done.
    return DeviceArray.from_dlpack(capsule, stream, current is None)


def _from_interface(leaf: Any, interface: Any) -> DeviceArray:
    dtype, shape = np.dtype(interface["typestr"]), tuple(interface["shape"])
    if interface.get("mask") is not None:
        raise ValueError("it has a mask")
    strides = interface.get("strides")
    if strides is not None and not _is_row_major(shape, strides, dtype.itemsize):
        raise ValueError("it is not row-major")
    stream = interface.get("stream")
    if stream == 0:
        raise ValueError("the stream in its interface is 0, which could be two")
    return DeviceArray.from_address(leaf, interface["data"][0], dtype, shape, stream)


def _is_row_major(shape: tuple[int, ...], strides: Iterable[int], itemsize: int) -> bool:
    if 0 in shape:
        return True
    size = itemsize
    for extent, stride in zip(reversed(shape), reversed(tuple(strides)), strict=True):
        if extent != 1 and stride != size:
            return False
        size *= extent
    return True


def adopt_leaf(leaf: Any) -> tuple[DeviceArray, Callable[[DeviceArray], Any] | None] | None:
    """For the call path: an argument as an array on a device, and what `wrapper_of` gives for it.

    None for what compiled code does not take, or not so.
    """
    array = adopt(leaf, "an argument")
    if array is None or array.dtype not in SUPPORTED:
        return None
    library = _library(leaf)
    return array, None if library is None else library.wrap


_gradopt.set_adopter(adopt_leaf)


def copy_on_device(leaf: Any, path: str) -> Any | None:
    """A copy that no change of the array reaches, of its own kind; None if it is on no device."""
    array = adopt(leaf, path)
    if array is None:
        return None
    library = None if array is leaf else _library(leaf)
    return array.to_device(array.device_number) if library is None else library.copy(leaf)


def require_on_host(value: Any, path: str) -> None:
    """Checks a value that becomes a constant of compiled code.

    Raises:
        PlacementError: it is on a device.
    """
    array = adopt(value, path)
    if array is not None:
        raise PlacementError(
            f"{path} is on {array.device}, and is not an argument of what is compiled; pass it as "
            'one, or bring it to the host with gradopt.asarray(..., device="cpu")',
            source_location(),
        )


def wrapper_of(leaves: Iterable[Any]) -> Callable[[DeviceArray], Any] | None:
    """What makes results of the kind that the caller has.

    Args:
        leaves: the arguments, some on a device; the first array of a library that we know decides.

    Returns:
        None if there is none: results are DeviceArrays then.
    """
    for leaf in leaves:
        if type(leaf) is not DeviceArray and not isinstance(leaf, _ON_HOST):
            library = _library(leaf)
            if library is not None:
                return library.wrap
    return None


@hide_frames
def asarray(x: Any, device: str | None = None) -> Any:
    """An array on a device.

    Args:
        x: an array of any library, on the host or a device, a number, or a list of such.
        device: "cpu", "cuda", "cuda:1" and so on; None for where it is. "cuda" is the device where
            it is, or the first one.

    Returns:
        A NumPy array for the CPU; a DeviceArray otherwise. The memory is that of `x` if it is there
        already and row-major, and else a copy.

    Raises:
        ArgumentTypeError: it is no array, or one of unsupported elements.
        ArgumentError: no such device.
        ConversionError: it is traced, and so is where the code runs.
        DeviceError: the device is not there, or cannot be used; the message says why.
    """
    device = checked_device(device)
    array = adopt(x, "the array")
    if array is not None:
        return _moved(array, device)
    try:
        # A copy if it has to be, as of a read-only array of another library.
        host = np.from_dlpack(x) if _only_dlpack(x) else np.asarray(x)
    except GradoptError:
        raise
    except Exception as error:
        raise ArgumentTypeError(
            f"a {type(x).__name__} cannot become a numpy array: {error}"
        ) from error
    if kind_of(host.dtype) not in "biufc":
        raise ArgumentTypeError(f"expected an array of numbers, but got one of dtype {host.dtype}")
    if device is None or device == CPU:
        return host
    native = host.astype(host.dtype.newbyteorder("="), copy=False)
    return DeviceArray.from_numpy(native, _existing(device_number(device) or 0))


def _only_dlpack(x: Any) -> bool:
    return hasattr(x, "__dlpack__") and not (
        hasattr(x, "__array__") or hasattr(x, "__array_interface__")
    )


def _moved(array: DeviceArray, device: str | None) -> Any:
    if device is None:
        return array
    if device == CPU:
        return array.numpy()
    number = device_number(device)
    if number is None or number == array.device_number:
        return array
    return array.to_device(_existing(number))


def _existing(number: int) -> int:
    count = _gradopt.device_count()
    if number >= count:
        raise DeviceError(
            f"there is no device cuda:{number}: this machine has {count}, of which the first is "
            "cuda:0"
        )
    return number
