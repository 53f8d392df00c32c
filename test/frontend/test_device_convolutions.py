# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Convolutions on a device: values and gradients of tiled kernels, and how many there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from devices import any_cuda, cuda, emulator

import gradopt as go
from gradopt import nn

__all__ = ["any_cuda", "cuda", "emulator"]

pytestmark = pytest.mark.usefixtures("any_cuda")

RNG = np.random.default_rng(12)


def numbers(shape: tuple[int, ...], dtype: str = "f4") -> Any:
    return RNG.normal(size=shape).astype(dtype)


# More rows, columns and summands than a tile has, and fewer; strides, dilations, groups, padding.
CASES = {
    "plain": (nn.conv2d, (4, 5, 9, 11), (7, 5, 3, 3), {}),
    "many features": (nn.conv2d, (3, 20, 8, 8), (70, 20, 3, 3), {"padding": 1}),
    "wide": (nn.conv2d, (2, 3, 24, 24), (16, 3, 5, 5), {"padding": "same"}),
    "strides": (nn.conv2d, (4, 6, 13, 10), (8, 6, 3, 4), {"stride": (2, 3), "padding": (2, 1)}),
    "dilation": (nn.conv2d, (4, 6, 13, 10), (8, 6, 3, 2), {"dilation": (2, 3), "padding": 2}),
    "groups": (nn.conv2d, (4, 12, 7, 9), (18, 4, 3, 3), {"groups": 3}),
    "many places": (nn.conv2d, (45, 1, 24, 24), (16, 1, 5, 5), {}),
    "one place": (nn.conv2d, (16, 40, 5, 5), (70, 40, 1, 1), {}),
    "signals": (nn.conv1d, (6, 5, 60), (9, 5, 7), {"stride": 2, "padding": 3}),
    "transposed": (nn.conv_transpose2d, (3, 8, 9, 7), (8, 10, 3, 3), {"stride": 2, "padding": 1}),
    "transposed signals": (nn.conv_transpose1d, (6, 8, 30), (8, 9, 5), {"stride": 3}),
}


def gradients(f: Callable[..., Any], options: dict[str, Any], device: str) -> Any:
    def loss(x: Any, w: Any) -> Any:
        return np.sum(np.sin(f(x, w, **options)))

    return go.compile_value_and_grad(loss, (0, 1), device=device)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_values_and_gradients(case: Any, dtype: str) -> None:
    f, x_shape, w_shape, options = case
    x, w = numbers(x_shape, dtype), numbers(w_shape, dtype)
    tolerance = 1e-4 if dtype == "f4" else 1e-12
    value = go.compile(lambda x, w: f(x, w, **options), device="cuda")(x, w)
    expected = f(x, w, **options)
    np.testing.assert_allclose(value, expected, tolerance, tolerance)
    on_device = gradients(f, options, "cuda")
    _, found = on_device(x, w)
    _, expected = gradients(f, options, "cpu")(x, w)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, tolerance, 10 * tolerance)
    # The same sums in the same order.
    for a, b in zip(found, on_device(x, w)[1], strict=True):
        np.testing.assert_array_equal(a, b)


def launches(batch: int) -> int:
    """How many kernels run for the gradients of a convolution of `batch` images."""
    step = gradients(nn.conv2d, {"padding": 1}, "cuda")
    text = step.lower(numbers((batch, 6, 10, 10)), numbers((8, 6, 3, 3))).mlir("gpu")
    commands = text[: text.index("gpu.module")]
    assert "scf.for" not in commands
    return commands.count("gpu.launch_func")


def test_kernels_are_for_all_images() -> None:
    assert launches(64) == launches(48) <= 13


def test_images_are_not_copied_to_matrices() -> None:
    """What is stored of an image is no more than the image with zeros around it."""
    x, w = numbers((32, 8, 30, 30)), numbers((8, 8, 3, 3))
    step = go.compile(lambda x, w: nn.conv2d(x, w, padding=1), device="cuda")
    temporaries = step.lower(x, w).memory().arena
    assert temporaries <= 4 * 32 * 8 * 32 * 32 + 4096
