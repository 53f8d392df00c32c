# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arrays on NVIDIA GPUs: those of other libraries taken in, and results given back.

What happens on a device happens in the order of streams. Memory has one, its home, on which its
contents are ready and on which it is freed; who uses it on another one waits for the home, and the
home for him. The numbers of streams are those of DLPack, where 1 is the legacy default stream.
"""

from __future__ import annotations

import collections
import ctypes
import math
import re
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradopt_runtime import dlpack
from gradopt_runtime.library import BundleError, check, runtime
from gradopt_runtime.structure import DTYPES, Array, Leaf, Signature, first_shape

_LEGACY = 1
# What kernels access at a time, in bytes.
_ALIGNMENT = 16
_ON_HOST = (np.ndarray, np.generic, int, float, list, tuple)
_DEVICE = re.compile(r"cuda(?::(0|[1-9]\d{0,3}))?")

# Of libraries that we know: the module that takes DLPack, and how to ask for the current stream.
_FROM_DLPACK = {"torch": "torch", "cupy": "cupy", "jaxlib": "jax.dlpack", "jax": "jax.dlpack"}
_CURRENT_STREAM: dict[str, Callable[[int], int]] = {
    "torch": lambda device: sys.modules["torch"].cuda.current_stream(device).cuda_stream,
    "cupy": lambda device: sys.modules["cupy"].cuda.get_current_stream(device).ptr,
}
_ROW_MAJOR: dict[str, Callable[[Any], Any]] = {
    "torch": lambda tensor: tensor.contiguous(),
    "cupy": lambda array: array.copy(order="C"),
}


def _handle(stream: int) -> int | None:
    """A stream as the driver takes it."""
    return None if stream == _LEGACY else stream


class _Memory:
    """Memory of a device: ours, or that of an owner, who may reuse it on streams of his own."""

    def __init__(
        self, device: int, address: int, stream: int, owner: Any = None, lingers: bool = False
    ) -> None:
        self.device, self.address, self.stream = device, address, stream
        self._owner, self._lingers = owner, lingers
        self._users: set[int] = set()

    @classmethod
    def allocate(cls, device: int, size: int, stream: int) -> _Memory:
        """New memory."""
        address = ctypes.c_void_p()
        check(runtime().gradopt_cuda_allocate(device, size, _handle(stream), ctypes.byref(address)))
        return cls(device, address.value or 0, stream)

    def use_on(self, stream: int) -> None:
        """Lets a stream wait for the contents."""
        if stream != self.stream:
            check(runtime().gradopt_cuda_wait(self.device, _handle(stream), _handle(self.stream)))
            self._users.add(stream)

    def finish_on(self, stream: int) -> None:
        """To be called when all work that uses it is on a stream."""
        if self._owner is None:
            return
        if self._lingers:
            _linger(self.device, stream, self._owner)
        elif stream != self.stream:
            check(runtime().gradopt_cuda_wait(self.device, _handle(self.stream), _handle(stream)))

    def copy_to(self, to: int, size: int, stream: int) -> None:
        """Copies bytes to an address of the host or of the device."""
        check(runtime().gradopt_cuda_copy(self.device, to, self.address, size, _handle(stream)))

    def __del__(self, _is_ending: Callable[[], bool] = sys.is_finalizing) -> None:
        # When Python ends, the driver frees all memory, and what is called here may be gone.
        if _is_ending() or self._owner is not None or not self.address:
            return
        library = runtime()
        for user in self._users:
            library.gradopt_cuda_wait(self.device, _handle(self.stream), _handle(user))
        library.gradopt_cuda_free(self.device, self.address, _handle(self.stream))


# What others may reuse when work is done that was queued on a device: the mark behind it.
_lingering: collections.deque[tuple[int, ctypes.c_void_p, Any]] = collections.deque()
_lingering_lock = threading.Lock()


def _linger(device: int, stream: int, owner: Any) -> None:
    mark = ctypes.c_void_p()
    check(runtime().gradopt_cuda_mark(device, _handle(stream), ctypes.byref(mark)))
    with _lingering_lock:
        _lingering.append((device, mark, owner))


def _drop_unused() -> None:
    """Gives back what lingers and is not used any more."""
    dropped: list[Any] = []
    with _lingering_lock:
        while _lingering:
            device, mark, owner = _lingering[0]
            done = ctypes.c_int32()
            # A failure loses the mark, too.
            if runtime().gradopt_cuda_is_done(device, mark, ctypes.byref(done)) == 0 and not done:
                break
            _lingering.popleft()
            dropped.append(owner)


class DeviceArray:
    """A row-major array on a GPU.

    Other libraries take it through DLPack or `__cuda_array_interface__`, without a copy. Its
    elements may still be computed: who asks for them waits.

    Attributes:
        shape: its shape.
        dtype: its dtype.
    """

    def __init__(self, memory: _Memory, dtype: Any, shape: Sequence[int]) -> None:
        self._memory = memory
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.shape = tuple(shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self.size * self.dtype.itemsize

    @property
    def device(self) -> str:
        """Where it is: "cuda:0" and so on."""
        return f"cuda:{self._memory.device}"

    def numpy(self) -> Array:
        """A copy on the host."""
        made = np.empty(self.shape, self.dtype)
        if self.nbytes:
            memory = self._memory
            memory.copy_to(made.ctypes.data, self.nbytes, memory.stream)
            check(runtime().gradopt_cuda_synchronize(memory.device, _handle(memory.stream)))
        return made

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("an array on a device is copied to the host")
        made = self.numpy()
        return made if dtype is None else made.astype(dtype, copy=False)

    def __float__(self) -> float:
        return float(self.numpy())

    def __int__(self) -> int:
        return int(self.numpy())

    def __bool__(self) -> bool:
        return bool(self.numpy())

    def __repr__(self) -> str:
        return f"DeviceArray({self.dtype}{list(self.shape)} on {self.device})"

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self._memory.address, False),
            "version": 3,
            "strides": None,
            "stream": self._memory.stream,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        return dlpack.CUDA, self._memory.device

    def __dlpack__(self, *, stream: int | None = None, **_: Any) -> Any:
        if stream is None:
            stream = _LEGACY
        if stream == 0 or stream < -1:
            raise ValueError("expected a stream of DLPack's for CUDA: -1, 1, 2 or a handle")
        memory = self._memory
        if stream > 0:
            memory.use_on(stream)
        return dlpack.export(memory, memory.address, memory.device, self.dtype, self.shape)


def asarray(x: Any, device: str = "cuda") -> DeviceArray:
    """An array on a GPU.

    Args:
        x: an array on the host, or on this device: then the memory is its own.
        device: "cuda" for the first one, or "cuda:1" and so on.

    Raises:
        ValueError: no such name of a device, or the array is on another one.
        TypeError: elements that programs do not have.
        BundleError: the device cannot be used; the message says why.
    """
    match = _DEVICE.fullmatch(device)
    if match is None:
        raise ValueError(f'device must be "cuda" or "cuda:N", not {device!r}')
    number = int(match[1] or 0)
    there = adopt(x, "the array")
    if there is not None:
        if match[1] and there.device != device:
            raise ValueError(f"the array is on {there.device}, not on {device}")
        return there
    array = np.array(x, order="C")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype not in DTYPES:
        raise TypeError(f"programs have no arrays of {array.dtype}")
    return DeviceArray(_uploaded(array, number, _LEGACY), array.dtype, array.shape)


def _uploaded(array: Array, device: int, stream: int) -> _Memory:
    memory = _Memory.allocate(device, array.nbytes, stream)
    address = array.ctypes.data
    check(
        runtime().gradopt_cuda_copy(device, memory.address, address, array.nbytes, _handle(stream))
    )
    return memory


# -- Arrays of other libraries -------------------------------------------------------------------


def adopt(value: Any, path: str) -> DeviceArray | None:
    """An array on a GPU as one of the same memory; None if it is not on one.

    Args:
        value: an array of any library.
        path: how the user reaches it.

    Raises:
        TypeError: the library does not hand it out, or not so that programs can use it.
    """
    if isinstance(value, DeviceArray):
        return value
    if isinstance(value, _ON_HOST):
        return None
    ask = getattr(value, "__dlpack_device__", None)
    try:
        if ask is not None:
            kind, number = ask()
            on_device = kind in (dlpack.CUDA, dlpack.CUDA_MANAGED)
            return _from_dlpack(value, int(number)) if on_device else None
        interface = getattr(value, "__cuda_array_interface__", None)
        return None if interface is None else _from_interface(value, interface)
    except BundleError:
        raise
    except Exception as error:
        raise TypeError(
            f"{path}, a {type(value).__name__} on a device, cannot be passed to a program: {error}"
        ) from error


def _package(value: Any) -> str:
    return type(value).__module__.partition(".")[0]


def _from_dlpack(value: Any, device: int) -> DeviceArray:
    package = _package(value)
    ask = _CURRENT_STREAM.get(package)
    stream = (ask(device) if ask else 0) or _LEGACY
    try:
        taken = dlpack.take(value.__dlpack__(stream=stream))
    except ValueError:
        if package not in _ROW_MAJOR:
            raise
        taken = dlpack.take(_ROW_MAJOR[package](value).__dlpack__(stream=stream))
    memory = _Memory(taken.device, taken.address, stream, taken, lingers=ask is None)
    return DeviceArray(memory, taken.dtype, taken.shape)


def _from_interface(value: Any, interface: Any) -> DeviceArray:
    dtype, shape = np.dtype(interface["typestr"]), tuple(interface["shape"])
    if interface.get("mask") is not None:
        raise ValueError("it has a mask")
    strides = interface.get("strides")
    steps = None if strides is None else [stride / dtype.itemsize for stride in strides]
    dlpack.require_row_major(shape, steps)
    stream = interface.get("stream")
    if stream == 0:
        raise ValueError("the stream in its interface is 0, which could be two")
    address = interface["data"][0] or 0
    device = ctypes.c_int32(0)
    if address:
        check(runtime().gradopt_cuda_pointer_device(address, ctypes.byref(device)))
        if device.value < 0:
            raise ValueError("its __cuda_array_interface__ has an address that is not on a device")
    memory = _Memory(device.value, address, stream or _LEGACY, value, lingers=True)
    return DeviceArray(memory, dtype, shape)


def wrapper_of(values: Sequence[Any]) -> Callable[[DeviceArray], Any] | None:
    """What makes results of the kind of the first array of a library that we know, if any."""
    for value in values:
        module = _FROM_DLPACK.get(_package(value))
        if module is not None and not isinstance(value, _ON_HOST):
            return sys.modules[module].from_dlpack
    return None


# -- Calls ---------------------------------------------------------------------------------------


class DeviceCall:
    """A call with arrays on a device.

    Attributes:
        device: the number of the device.
        stream: where the work is queued.
        arguments: the addresses of all arguments.
        results: the arrays that are computed, once `allocate` is called: until `cut` is called,
            as large as there is memory for.
    """

    def __init__(self, name: str, arguments: Sequence[Any], signature: Signature) -> None:
        _drop_unused()
        self._signature = signature
        paths = [leaf.path for leaf in signature.arguments]
        first = next(i for i, value in enumerate(arguments) if isinstance(value, DeviceArray))
        home: _Memory = arguments[first]._memory
        self.device, self.stream = home.device, home.stream
        self._kept: list[_Memory] = []
        self.arguments: list[int] = []
        # On the host.
        self._sizes = {number: arguments[number] for number in signature.sizes}
        for number, (value, path) in enumerate(zip(arguments, paths, strict=True)):
            if number in self._sizes:
                self.arguments.append(value.ctypes.data)
            elif isinstance(value, DeviceArray):
                if value.device != arguments[first].device:
                    raise ValueError(
                        f"{paths[first]} is on {arguments[first].device}, but {path} is on "
                        f"{value.device}: the arrays that {name} is called with must be on one "
                        "device"
                    )
                self.arguments.append(self._address(value))
            elif value.ndim == 0:
                self.arguments.append(self._keep(_uploaded(value, self.device, self.stream)))
            else:
                raise ValueError(
                    f"{paths[first]} is on {arguments[first].device}, but {path} is an array on "
                    f"the host: the arrays that {name} is called with must be in one place; "
                    f'gradopt_runtime.asarray({path}, "{arguments[first].device}") copies it'
                )
        self.results: list[DeviceArray] = []

    def allocate(self, shapes: Sequence[Sequence[int]]) -> None:
        """Allocates the results, of these shapes."""
        for leaf, shape in zip(self._signature.results, shapes, strict=True):
            self.results.append(self._result(leaf, shape))

    def _keep(self, memory: _Memory) -> int:
        self._kept.append(memory)
        return memory.address

    def _address(self, array: DeviceArray) -> int:
        memory = array._memory
        memory.use_on(self.stream)
        self._kept.append(memory)
        if memory.address % _ALIGNMENT == 0:
            return memory.address
        copied = _Memory.allocate(self.device, array.nbytes, self.stream)
        memory.copy_to(copied.address, array.nbytes, self.stream)
        return self._keep(copied)

    def _result(self, leaf: Leaf, shape: Sequence[int]) -> DeviceArray:
        size = leaf.dtype.itemsize * math.prod(shape)
        memory = _Memory.allocate(self.device, size, self.stream)
        if leaf.reused >= 0:
            # What was donated is copied.
            source, handle = self.arguments[leaf.reused], _handle(self.stream)
            check(runtime().gradopt_cuda_copy(self.device, memory.address, source, size, handle))
            self.arguments[leaf.reused] = memory.address
        return DeviceArray(memory, leaf.dtype, shape)

    def run(self, program: ctypes.c_void_p) -> int:
        """Queues the work; returns the status."""
        results = pointers([array._memory.address for array in self.results])
        status = runtime().gradopt_program_call_cuda(
            program, self.device, pointers(self.arguments), results, _handle(self.stream)
        )
        for memory in self._kept:
            memory.finish_on(self.stream)
        return status

    def cut(self) -> None:
        """Lets results have as many elements as there are.

        How many that is, is read back where no argument tells.

        Raises:
            RuntimeError: there is no memory for so many.
        """
        signature = self._signature
        counts = {
            number: int(self._sizes[signature.known[number]])
            if number in signature.known
            else int(self.results[number])
            for leaf in signature.results
            for number in leaf.sizes
            if number >= 0
        }
        for number, leaf in enumerate(signature.results):
            axes = [axis for axis, size in enumerate(leaf.sizes) if size >= 0]
            if axes:
                whole, found = self.results[number], [counts[leaf.sizes[axis]] for axis in axes]
                self.results[number] = self._first(whole, first_shape(whole.shape, axes, found))

    def _first(self, whole: DeviceArray, shape: tuple[int, ...]) -> DeviceArray:
        """The first elements of an array: the same memory where they lie one after the other."""
        memory = whole._memory
        if shape[1:] != whole.shape[1:] and 0 not in shape:
            extents = [(ctypes.c_int64 * len(shape))(*n) for n in (whole.shape, shape)]
            itemsize = whole.dtype.itemsize
            size = itemsize * math.prod(shape)
            copied = _Memory.allocate(self.device, size, self.stream)
            to, source, rank = copied.address, memory.address, len(shape)
            copy = runtime().gradopt_cuda_copy_first
            check(copy(self.device, to, source, itemsize, rank, *extents, _handle(self.stream)))
            memory = copied
        return DeviceArray(memory, whole.dtype, shape)


def pointers(addresses: Sequence[int]) -> Any:
    """Addresses, as C functions take several."""
    return (ctypes.c_void_p * len(addresses))(*addresses)
