# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions in JAX and PyTorch that run on an emulated device, with arrays of the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from devices import cuda, emulator
from emulated_cuda import Emulator

import gradopt as go
from gradopt.transforms.pullbacks import options_of_derivatives

pytestmark = pytest.mark.usefixtures("cuda")
__all__ = ["cuda", "emulator"]

X = np.arange(1.0, 4.0) / 4
Y = np.tanh(X)
SLOPES = 2 * Y * (1 - Y**2)


def loss(x: Any) -> Any:
    return np.sum(np.tanh(x) ** 2)


def launches(emulator: Emulator) -> int:
    return len([line for line in emulator.done() if line.startswith("run ")])


def test_derivatives_have_the_options_of_the_function() -> None:
    compiled = go.compile(loss, device="cuda", fast_math=True, cache=False, donate_argnums=0)
    kept = options_of_derivatives(compiled)
    made = go.compile(lambda leaves, cotangents: leaves, **kept).options
    assert (made.device, made.fast_math, made.cache) == ("cuda", True, False)
    assert made.donate_argnums == ()


def test_jax(emulator: Emulator) -> None:
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        wrapped = go.jax.wrap(loss, device="cuda")
        x, expected = jax.numpy.asarray(X), {"value": np.sum(Y**2), "slope": SLOPES}
        for name, f in {"value": jax.jit(wrapped), "slope": jax.jit(jax.grad(wrapped))}.items():
            f(x)
            emulator.record()
            np.testing.assert_allclose(f(x), expected[name], rtol=1e-12)
            assert launches(emulator) > 0
        # A function of its own: its derivative alone.
        back = jax.vjp(wrapped, x)[1]
        emulator.record()
        np.testing.assert_allclose(back(np.float64(1))[0], SLOPES, rtol=1e-12)
        assert launches(emulator) > 0


def test_torch(emulator: Emulator) -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(X, requires_grad=True)
    value = go.torch.wrap(loss, device="cuda")(x)
    np.testing.assert_allclose(value.detach().numpy(), np.sum(Y**2), rtol=1e-12)
    emulator.record()
    value.backward()
    np.testing.assert_allclose(x.grad, SLOPES, rtol=1e-12)
    assert launches(emulator) > 0
