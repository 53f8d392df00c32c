# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arrays of PyTorch, CuPy, JAX and Numba on a real GPU, with `make test-gpu`."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
import pytest

import gradopt as go

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif("GRADOPT_TEST_GPU" not in os.environ, reason="needs an NVIDIA GPU"),
]


def _loss(w: Any, x: Any) -> Any:
    return np.sum(np.tanh(x @ w) ** 2)


def _arrays(dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    arrays = generator.normal(size=(64, 32)) / 8, generator.normal(size=(256, 64))
    return arrays[0].astype(dtype), arrays[1].astype(dtype)


def _torch() -> tuple[Any, Any]:
    torch = pytest.importorskip("torch")
    return lambda a: torch.from_numpy(a).cuda(), lambda a: a.cpu().numpy()


def _cupy() -> tuple[Any, Any]:
    cupy = pytest.importorskip("cupy")
    return cupy.asarray, cupy.asnumpy


def _jax() -> tuple[Any, Any]:
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    return lambda a: jax.device_put(a, jax.devices("gpu")[0]), np.asarray


def _numba() -> tuple[Any, Any]:
    numba = pytest.importorskip("numba.cuda")
    return (
        numba.to_device,
        lambda a: a.numpy() if isinstance(a, go.DeviceArray) else a.copy_to_host(),
    )


@pytest.mark.parametrize("library", [_torch, _cupy, _jax, _numba])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_of_a_library(library: Any, dtype: str) -> None:
    to_device, to_host = library()
    w, x = _arrays(dtype)
    step = go.compile_value_and_grad(_loss)
    wanted = step(w, x)
    placed = to_device(w), to_device(x)
    # The first call runs commands, the second captures them, others replay the graph.
    for _ in range(4):
        value, gradient = step(*placed)
        if library is not _numba:
            assert type(gradient) is type(placed[0])
        rtol = 1e-4 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(to_host(value), wanted[0], rtol=rtol)
        np.testing.assert_allclose(to_host(gradient), wanted[1], rtol=rtol, atol=rtol)
    assert to_host(placed[0]).tobytes() == w.tobytes()


def test_results_are_ready_on_the_stream_of_torch() -> None:
    torch = pytest.importorskip("torch")
    x = torch.randn(1 << 20, device="cuda", dtype=torch.float64)
    double = go.compile(lambda x: np.cumsum(x * 2.0))
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(20):
            y = x
            for _ in range(3):
                y = double(y) * 1e-6
            total = y.sum()
    stream.synchronize()
    z = x
    for _ in range(3):
        z = torch.cumsum(z * 2.0, 0) * 1e-6
    torch.testing.assert_close(total, z.sum())


def test_a_call_becomes_part_of_a_graph_of_torch() -> None:
    torch = pytest.importorskip("torch")
    x = torch.ones(1000, device="cuda", dtype=torch.float64)
    step = go.compile_value_and_grad(lambda x: np.sum(np.exp(x) * x))
    step(x)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        value, gradient = step(x)
    for number in (2.0, 3.0):
        x.fill_(number)
        graph.replay()
        torch.cuda.synchronize()
        np.testing.assert_allclose(float(value), 1000 * number * np.exp(number), rtol=1e-12)
        wanted = np.full(1000, (number + 1) * np.exp(number))
        np.testing.assert_allclose(gradient.cpu().numpy(), wanted, rtol=1e-12)


def test_a_function_of_pytorchs_autograd() -> None:
    torch = pytest.importorskip("torch")
    wrapped = go.torch.wrap(_loss)
    w, x = (torch.from_numpy(a).cuda() for a in _arrays())
    w.requires_grad_(True)
    (wrapped(w, x) * 3).backward()
    reference = w.detach().clone().requires_grad_(True)
    (torch.sum(torch.tanh(x @ reference) ** 2) * 3).backward()
    assert w.grad.is_cuda
    torch.testing.assert_close(w.grad, reference.grad)


def test_threads_with_streams_of_their_own() -> None:
    torch = pytest.importorskip("torch")
    step = go.compile_value_and_grad(_loss)
    w, x = (torch.from_numpy(a).cuda() for a in _arrays())
    wanted = [g.cpu().numpy() for g in step(w, x)]
    torch.cuda.synchronize()
    wrong: list[str] = []

    def work() -> None:
        with torch.cuda.stream(torch.cuda.Stream()):
            for _ in range(50):
                got = [g.cpu().numpy() for g in step(w, x)]
                if any(a.tobytes() != b.tobytes() for a, b in zip(got, wanted, strict=True)):
                    wrong.append("differs")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.filterwarnings("ignore::gradopt._compiler.CompilationWarning")
def test_more_memory_than_there_is() -> None:
    grow = go.compile(lambda x: np.multiply.outer(x, x).cumsum(0))
    x = go.asarray(np.ones(1 << 19), device="cuda")
    with pytest.raises(go.errors.DeviceError, match="memory"):
        grow(x)
    np.testing.assert_array_equal(grow(go.asarray(np.ones(2), device="cuda")).numpy()[1], [2, 2])
