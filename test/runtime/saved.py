# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fixtures and helpers of tests that save programs and load them again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gradopt as go
import gradopt_runtime


@pytest.fixture(params=[go.load, gradopt_runtime.load], ids=["native", "ctypes"])
def load(request: pytest.FixtureRequest) -> Any:
    """The loader on the native call path, and the one that needs no extension."""
    return request.param


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test saves a program."""
    return tmp_path / "a.bundle"


def there(x: Any, device: str = "cuda") -> Any:
    """An array on a device, as the small runtime makes it."""
    return gradopt_runtime.asarray(x, device)


def values(tree: Any) -> Any:
    """The same with arrays of NumPy in place of those on a device."""
    if isinstance(tree, dict):
        return {key: values(value) for key, value in tree.items()}
    if isinstance(tree, (tuple, list)):
        return type(tree)([values(value) for value in tree])
    return tree.numpy() if hasattr(tree, "numpy") else tree
