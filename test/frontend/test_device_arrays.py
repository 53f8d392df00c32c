# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`gradopt.asarray` and `DeviceArray`: in and out of devices, with and without copies."""

from __future__ import annotations

import copy
import gc
import pickle
from typing import Any

import numpy as np
import pytest
from devices import cuda, emulator, number_of
from emulated_cuda import Driver, Emulator
from foreign_arrays import (
    CUDA,
    LEGACY,
    CupyArray,
    DlpackArray,
    InterfaceArray,
    Taken,
    fake_cupy,
)

import gradopt as go
from gradopt import errors

pytestmark = pytest.mark.usefixtures("cuda")
__all__ = ["cuda", "emulator"]

X = np.arange(6.0).reshape(2, 3)


# -- To a device and back --------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16"]
)
@pytest.mark.parametrize("shape", [(), (1,), (3, 4), (2, 0, 3), (5, 1, 2)])
def test_arrays_come_back_as_they_were(dtype: str, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    made = go.asarray(x, device="cuda")
    assert type(made) is go.DeviceArray
    assert (made.shape, made.dtype, made.ndim) == (x.shape, x.dtype, x.ndim)
    assert (made.size, made.nbytes, made.strides) == (x.size, x.nbytes, None)
    assert made.device == "cuda:0"
    back = made.numpy()
    assert back.dtype == x.dtype
    np.testing.assert_array_equal(back, x)
    back[...] = 1 - back
    np.testing.assert_array_equal(made, x)


@pytest.mark.parametrize(
    "x", [X.T, X[:, ::2], X[::-1], X.astype(">f8"), np.frombuffer(X.tobytes()), [[1, 2], [3, 4]], 3]
)
def test_what_is_copied_to_a_device_is_row_major(x: Any) -> None:
    np.testing.assert_array_equal(go.asarray(x, device="cuda").numpy(), np.asarray(x))


def test_a_bool_is_0_or_1() -> None:
    odd = np.array([0, 1, 2, 255], np.uint8).view(bool)
    raw = go.asarray(odd, device="cuda").numpy().view(np.uint8)
    np.testing.assert_array_equal(raw, [0, 1, 1, 1])


def test_asarray_leaves_an_array_where_it_is() -> None:
    assert go.asarray(X) is X
    assert go.asarray(X, device="cpu") is X
    first, second = go.asarray(X, device="cuda"), go.asarray(X, device="cuda:1")
    assert second.device == "cuda:1"
    for array in (first, second):
        assert go.asarray(array) is array
        assert go.asarray(array, device="cuda") is array
        assert go.asarray(array, device=array.device) is array
        assert type(go.asarray(array, device="cpu")) is np.ndarray
    moved = go.asarray(first, device="cuda:1")
    assert moved.device == "cuda:1"
    np.testing.assert_array_equal(moved, X)
    del first
    np.testing.assert_array_equal(moved, X)


def test_numbers() -> None:
    def on_device(x: Any) -> Any:
        return go.asarray(x, device="cuda")

    assert float(on_device(1.5)) == 1.5
    assert int(on_device(7)) == 7
    assert on_device(np.float32(0.5)).item() == 0.5
    assert [10, 20, 30][on_device(2)] == 30
    assert on_device(1)
    assert not on_device(0.0)
    with pytest.raises(TypeError):
        float(on_device(X))
    with pytest.raises(ValueError, match="truth value"):
        bool(on_device(X))
    with pytest.raises(TypeError, match="len"):
        len(on_device(1.0))
    assert len(on_device(X)) == 2


def test_what_python_shows_and_copies() -> None:
    made = go.asarray(X, device="cuda:1")
    assert repr(made) == "DeviceArray(float64[2, 3] on cuda:1)"
    for other in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        assert (other.device, other.dtype) == ("cuda:1", made.dtype)
        np.testing.assert_array_equal(other, X)
    assert np.asarray(made, np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="copied"):
        np.array(made, copy=False)


@pytest.mark.parametrize("x", ["text", object(), [[1, 2], [3]], np.array(["a"]), {1: 2}])
def test_what_is_no_array_is_refused(x: Any) -> None:
    with pytest.raises(errors.ArgumentTypeError):
        go.asarray(x, device="cuda")


def test_devices_that_are_not_there(emulator: Emulator) -> None:
    for x in (X, go.asarray(X, device="cuda")):
        with pytest.raises(errors.DeviceError, match="no device cuda:2: this machine has 2"):
            go.asarray(x, device="cuda:2")
        with pytest.raises(errors.ArgumentError, match="not 'gpu'"):
            go.asarray(x, device="gpu")
    names = [device.name for device in go.devices()]
    assert names == ["cpu", "cuda:0", "cuda:1"]
    assert go.devices()[1].chip == "emulated"


def test_memory_is_given_back(emulator: Emulator, cuda: Driver) -> None:
    go.asarray(X, device="cuda").numpy()
    gc.collect()  # What other tests left.
    emulator.record()
    made = go.asarray(np.ones(1000), device="cuda")
    del made
    gc.collect()
    assert len(emulator.calls("cuMemAllocFromPoolAsync") + emulator.calls("cuMemAllocAsync")) == 1
    assert len(emulator.calls("cuMemFreeAsync")) == 1


# -- DLPack ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [None, (0, 8), (1, 0), (1, 3), (2, 0)])
@pytest.mark.parametrize("dtype", ["?", "i1", "u2", "i8", "f2", "f4", "f8", "c16"])
def test_a_capsule_says_what_the_array_is(version: Any, dtype: str) -> None:
    x = np.arange(6).reshape(2, 3).astype(dtype)
    array = go.asarray(x, device="cuda:1")
    assert array.__dlpack_device__() == (CUDA, 1)
    taken = Taken(array.__dlpack__(max_version=version))
    assert taken.versioned == (version is not None and version >= (1, 0))
    assert (taken.device, taken.shape, taken.dtype) == ((CUDA, 1), x.shape, x.dtype)
    assert taken.data == array.__cuda_array_interface__["data"][0]
    del array
    gc.collect()
    go.asarray(0, device="cuda:1").numpy()
    np.testing.assert_array_equal(taken.values(), x)


def test_a_capsule_that_nobody_takes_keeps_nothing(emulator: Emulator) -> None:
    array = go.asarray(X, device="cuda")
    capsules = [array.__dlpack__(), array.__dlpack__(max_version=(1, 0))]
    emulator.record()
    del array, capsules
    gc.collect()
    assert len(emulator.calls("cuMemFreeAsync")) == 1


@pytest.mark.parametrize("stream", [0, -2])
def test_streams_that_mean_nothing_are_refused(stream: int) -> None:
    with pytest.raises(ValueError, match="expected a stream"):
        go.asarray(X, device="cuda").__dlpack__(stream=stream)


def test_a_capsule_for_the_host_is_a_copy() -> None:
    array = go.asarray(X, device="cuda")
    np.testing.assert_array_equal(np.from_dlpack(array, device="cpu"), X)
    for device in ((CUDA, 1), (8, 0)):
        with pytest.raises(BufferError):
            array.__dlpack__(dl_device=device)
    with pytest.raises(BufferError):
        array.__dlpack__(dl_device=(1, 0), copy=False)
    copied = Taken(array.__dlpack__(dl_device=(CUDA, 0), copy=True))
    assert copied.data != array.__cuda_array_interface__["data"][0]
    go.asarray(0.0, device="cuda").numpy()
    np.testing.assert_array_equal(copied.values(), X)


@pytest.mark.parametrize("versions", [True, False])
def test_arrays_of_others_keep_their_memory(versions: bool) -> None:
    other = DlpackArray(go.asarray(X, device="cuda:1"))
    other.versions = versions
    array = go.asarray(other)
    assert type(array) is go.DeviceArray
    assert array.device == "cuda:1"
    assert other.asked == [LEGACY]
    address = other.memory.__cuda_array_interface__["data"]
    assert array.__cuda_array_interface__["data"] == address
    np.testing.assert_array_equal(array, X)
    assert other.deleted == 0
    taken = Taken(array.__dlpack__(stream=-1))
    del array
    gc.collect()
    assert other.deleted == 0
    del taken
    gc.collect()
    # It is given back when what its device has to do is done, and a next one comes.
    go.asarray(0, device="cuda:1").numpy()
    go.asarray(DlpackArray(other.memory))
    assert other.deleted == 1


def test_managed_memory_is_on_its_device() -> None:
    class Managed(DlpackArray):
        """One in memory that the driver moves about."""

        kind = 13

    array = go.asarray(Managed(go.asarray(X, device="cuda:1")))
    assert array.device == "cuda:1"
    np.testing.assert_array_equal(array, X)


def test_their_elements_begin_where_they_say() -> None:
    memory = go.asarray(X, device="cuda")

    class Part(DlpackArray):
        def __dlpack__(self, **others: Any) -> Any:
            capsule = super().__dlpack__(**others)
            self._kept[-5].tensor.byte_offset = 8
            self._kept[-5].tensor.shape[0] = 1
            return capsule

    np.testing.assert_array_equal(go.asarray(Part(memory)), X.ravel()[1:4].reshape(1, 3))


@pytest.mark.parametrize(
    ("shape", "strides", "fits"),
    [
        ((2, 3), (3, 1), True), ((2, 3), (1, 2), False), ((2, 3), (6, 1), False),
        ((1, 6), (99, 1), True), ((6, 1), (1, 77), True), ((0, 3), (5, 5), True),
    ],
)  # fmt: skip
def test_strides(
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    fits: bool,
    cuda: Driver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = np.arange(float(np.prod(shape))).reshape(shape)
    array = go.asarray(x, device="cuda")
    interface = InterfaceArray(array, strides=tuple(8 * s for s in strides))
    for other in (DlpackArray(array, strides), interface):
        if fits:
            np.testing.assert_array_equal(go.asarray(other), x)
        else:
            with pytest.raises(errors.ArgumentTypeError, match="not row-major"):
                go.asarray(other)
    if not fits and strides == (1, 2):
        # A library that we know is asked for a copy.
        fake_cupy(monkeypatch, cuda)
        np.testing.assert_array_equal(go.asarray(CupyArray(array, strides)), [[0, 2, 4], [1, 3, 5]])


def test_memory_of_others_is_given_back_when_the_work_is_done(
    cuda: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_cupy(monkeypatch, cuda)
    stream = cuda.stream()
    first, second = [kind(go.asarray(X, device="cuda")) for kind in (DlpackArray, CupyArray)]
    arrays = [go.asarray(other) for other in (first, second)]
    capsules = [Taken(array.__dlpack__(stream=number_of(stream))) for array in arrays]
    got = np.empty_like(X)
    cuda.copy(got.ctypes.data, capsules[0].data, X.nbytes, stream)
    del arrays, capsules
    gc.collect()
    # The stream of a library that we know waits for this one; others' streams are not known.
    assert (first.deleted, second.deleted) == (0, 1)
    go.asarray(DlpackArray(first.memory))
    assert first.deleted == 0
    cuda.synchronize(stream)
    cuda.synchronize()
    go.asarray(DlpackArray(first.memory))
    assert first.deleted == 1
    np.testing.assert_array_equal(got, X)


# -- __cuda_array_interface__ -------------------------------------------------------------------


def test_the_interface_says_what_the_array_is() -> None:
    array = go.asarray(X.astype("f4"), device="cuda")
    interface = array.__cuda_array_interface__
    address, read_only = interface["data"]
    assert isinstance(address, int)
    assert not read_only
    others = {key: value for key, value in interface.items() if key != "data"}
    expected = {"shape": (2, 3), "typestr": "<f4", "version": 3, "strides": None, "stream": LEGACY}
    assert others == expected
    empty = go.asarray(np.ones((0, 3)), device="cuda")
    assert empty.__cuda_array_interface__["data"] == (0, False)


def test_arrays_with_an_interface_keep_their_memory() -> None:
    for device in ("cuda:0", "cuda:1"):
        memory = go.asarray(X, device=device)
        other = InterfaceArray(memory, stream=None)
        array = go.asarray(other)
        assert array.device == device
        assert array.__cuda_array_interface__["data"] == memory.__cuda_array_interface__["data"]
        del memory, other
        gc.collect()
        np.testing.assert_array_equal(array, X)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"stream": 0}, "stream in its interface is 0"),
        ({"mask": object()}, "has a mask"),
        ({"data": (4096, False)}, "not on a device"),
        ({"typestr": "|O"}, "no arrays of type"),
        ({"shape": (2, -3)}, "negative extent"),
    ],
)
def test_interfaces_that_say_something_wrong(entries: dict[str, Any], message: str) -> None:
    with pytest.raises(errors.ArgumentTypeError, match=message):
        go.asarray(InterfaceArray(go.asarray(X, device="cuda"), **entries))


# -- Streams ---------------------------------------------------------------------------------


def test_who_takes_an_array_waits_for_it(emulator: Emulator, cuda: Driver) -> None:
    # The emulator does nothing before somebody waits for it.
    stream = cuda.stream()
    array = go.asarray(X, device="cuda")
    taken = Taken(array.__dlpack__(stream=number_of(stream)))
    got = cuda.download(taken.data, X, stream)
    cuda.synchronize(stream)
    np.testing.assert_array_equal(got, X)


def test_a_stream_of_minus_1_waits_for_nothing(emulator: Emulator) -> None:
    array = go.asarray(X, device="cuda")
    emulator.record()
    array.__dlpack__(stream=-1)
    array.__dlpack__(stream=LEGACY)
    assert not emulator.calls("cuStreamWaitEvent")


def test_memory_is_freed_behind_who_used_it(emulator: Emulator, cuda: Driver) -> None:
    stream = cuda.stream()
    array = go.asarray(X, device="cuda")
    got = np.empty_like(X)
    taken = Taken(array.__dlpack__(stream=number_of(stream)))
    cuda.copy(got.ctypes.data, taken.data, X.nbytes, stream)
    del taken, array
    gc.collect()
    # What comes next in the same memory would be seen.
    other = go.asarray(np.full_like(X, 7), device="cuda")
    other.numpy()
    cuda.synchronize(stream)
    np.testing.assert_array_equal(got, X)


def test_arrays_are_read_behind_their_stream(cuda: Driver) -> None:
    stream = cuda.stream()
    memory = go.asarray(np.zeros_like(X), device="cuda")
    memory.wait()
    source = cuda.upload(X, stream)
    cuda.synchronize(stream)
    address = memory.__cuda_array_interface__["data"][0]
    cuda.copy(address, source, X.nbytes, stream)
    np.testing.assert_array_equal(go.asarray(InterfaceArray(memory, stream=number_of(stream))), X)
    cuda.synchronize(stream)
    cuda.free(source)
