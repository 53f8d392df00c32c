# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Emulated CUDA devices for tests of the front end."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from emulated_cuda import Driver, Emulator

from gradopt import _gradopt


@pytest.fixture(scope="session")
def emulator() -> Emulator:
    """The emulator, in place of the driver of this process."""
    emulator = Emulator()
    _gradopt.set_driver(str(emulator.path))
    _gradopt.set_cufft(str(emulator.path))
    _gradopt.set_cusolver(str(emulator.path))
    return emulator


@pytest.fixture
def cuda(emulator: Emulator) -> Iterator[Driver]:
    """The driver itself; what was queued is done when the test ends."""
    emulator.recover()
    emulator.record()
    with Driver(emulator) as driver:
        yield driver
    emulator.recover()
    for device in range(2):
        with Driver(emulator, device) as driver:
            driver.library.cuCtxSynchronize()
    emulator.recover()


@pytest.fixture
def any_cuda(request: pytest.FixtureRequest) -> None:
    """A GPU with `make test-gpu`, else an emulated one."""
    if "GRADOPT_TEST_GPU" not in os.environ:
        request.getfixturevalue("cuda")


def number_of(stream: object) -> int:
    """A stream of the driver as libraries number it."""
    value = getattr(stream, "value", None)
    assert isinstance(value, int)
    return value
