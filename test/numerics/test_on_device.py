# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The numeric tests of all ops on a device: an emulated one, or a GPU with `make test-gpu`.

Emulated, a call fails where two threads race, or one accesses what is not its memory. Numbers do
not differ from those of the CPU but by the order of sums, and repeat to the bit.
"""

from __future__ import annotations

import os
from types import ModuleType

import harness
import pytest
import test_batched_ops as batched
import test_contractions as contractions
import test_elementwise_derivatives as elementwise
import test_elementwise_values as values
import test_extreme_derivatives as extreme
import test_scans as scans
import test_structural_ops as structural
from devices import any_cuda, cuda, emulator

__all__ = ["any_cuda", "cuda", "emulator"]


@pytest.fixture(autouse=True)
def on_device(any_cuda: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads all programs on a device."""
    monkeypatch.setattr(harness, "load", harness.load_on_device)
    monkeypatch.setattr(scans, "DEVICE", "cuda")
    if "GRADOPT_TEST_GPU" not in os.environ:
        # Second derivatives are made of these ops again, which take long in the emulator.
        monkeypatch.setattr(structural, "ORDER", 1)


def _adopt(module: ModuleType) -> None:
    """Takes the tests of a module, which find what they need in it."""
    short = module.__name__.removeprefix("test_")
    for name, value in vars(module).items():
        if name.startswith("test_") and getattr(value, "__module__", "") == module.__name__:
            globals()[f"test_{short}_{name.removeprefix('test_')}"] = value


for _module in (structural, contractions, batched, scans, values, elementwise, extreme):
    _adopt(_module)
