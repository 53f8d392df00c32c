# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Names of devices, and which of them there are."""

from __future__ import annotations

import platform
import re
from typing import Any, NamedTuple

from gradopt import _gradopt
from gradopt.errors import ArgumentError, ArgumentTypeError, DeviceError

CPU = "cpu"
# The chip of a driver that runs kernels on the host, for tests.
EMULATED = "emulated"
_CUDA = re.compile(r"cuda(?::(0|[1-9]\d{0,3}))?")


class Device(NamedTuple):
    """A device that compiled code can run on.

    Attributes:
        name: "cpu", or "cuda:0" and so on, for `device=`.
        description: what its maker calls it; of the CPU, its architecture.
        chip: what code is generated for: "sm_90" for an NVIDIA GPU of compute capability 9.0.
        memory_bytes: of the whole device; 0 for the CPU.
        multiprocessors: of a GPU; 0 for the CPU.
        driver: of a GPU, the newest CUDA that its driver knows, as in "12.4".
        problems: of a GPU, which of cuBLAS, cuFFT and cuSOLVER were looked for by a program and
            cannot be used, and why. Programs do without them.
    """

    name: str
    description: str
    chip: str
    memory_bytes: int = 0
    multiprocessors: int = 0
    driver: str = ""
    problems: tuple[str, ...] = ()


def checked_device(value: Any) -> str | None:
    """The argument `device`.

    Raises:
        ArgumentTypeError: it is neither None nor a string.
        ArgumentError: there are no devices of this name.
    """
    if value is not None and not isinstance(value, str):
        raise ArgumentTypeError(f"device must be a string, not {value!r}")
    if value is None or value == CPU or _CUDA.fullmatch(value):
        return value
    raise ArgumentError(
        f'device must be "cpu", "cuda", or "cuda:N" with the number N of a device, not {value!r}'
    )


def device_number(name: str) -> int | None:
    """The number of a CUDA device; None for just "cuda"."""
    match = _CUDA.fullmatch(name)
    assert match is not None
    return None if match[1] is None else int(match[1])


def chip_of(number: int) -> str:
    """What code for a CUDA device is generated for.

    Raises:
        DeviceError: there is no such device.
    """
    info = _gradopt.device_info(number)
    return EMULATED if info.is_emulated else f"sm_{info.chip}"


def devices() -> list[Device]:
    """The devices of this machine: the CPU, then CUDA devices.

    Where there is no usable driver, there are none of these; `gradopt.asarray(0.0, device="cuda")`
    raises the error that says why.
    """
    found = [Device(CPU, platform.machine(), "")]
    try:
        count = _gradopt.device_count()
    except DeviceError:
        count = 0
    for number in range(count):
        info = _gradopt.device_info(number)
        driver = f"{info.driver_version // 1000}.{info.driver_version % 1000 // 10}"
        found.append(
            Device(
                f"cuda:{number}",
                info.name,
                chip_of(number),
                info.memory_bytes,
                info.num_multiprocessors,
                driver,
                tuple(_gradopt.library_problems(number)),
            )
        )
    return found
