# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions in the autograd of PyTorch and in JAX, where these are installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt.errors import ArgumentTypeError

RANDOM = np.random.default_rng(0)
W, X = RANDOM.normal(size=(5, 3)), RANDOM.normal(size=(4, 5))


def f(p: Any, x: Any, n: Any) -> Any:
    return n * np.sum(np.tanh(x @ p["w"]) ** 2), (np.argmax(x), [x * 2])


def test_torch() -> None:
    torch = pytest.importorskip("torch")
    wrapped = go.torch.wrap(f)
    w = torch.tensor(W, requires_grad=True)
    x = torch.tensor(X, requires_grad=True)
    value, (place, [double]) = wrapped({"w": w}, x, 3)
    expected, (expected_place, [expected_double]) = f({"w": W}, X, 3)
    np.testing.assert_allclose(value.detach().numpy(), expected)
    np.testing.assert_array_equal(place.numpy(), expected_place)
    np.testing.assert_array_equal(double.detach().numpy(), expected_double)
    assert not place.requires_grad
    (value + double.sum()).backward()
    dw, dx = go.grad(lambda w, x: f({"w": w}, x, 3)[0] + np.sum(2 * x), (0, 1))(W, X)
    np.testing.assert_allclose(w.grad, dw)
    np.testing.assert_allclose(x.grad, dx)

    def loss(w: Any, x: Any) -> Any:
        return wrapped({"w": w}, x, 3)[0]

    assert torch.autograd.gradcheck(loss, (w, x))
    assert torch.autograd.gradgradcheck(loss, (w, x))
    with pytest.raises(
        ArgumentTypeError,
        match=r"on the CPU or a CUDA device at args\[0\]\['w'\], but got one on meta",
    ):
        wrapped({"w": w.to("meta")}, x, 3)


def test_torch_dtypes() -> None:
    torch = pytest.importorskip("torch")
    z = torch.tensor(X * (1 + 2j), requires_grad=True)
    for f, g in (
        (lambda z: np.real(np.sum(z**3)), lambda z: torch.real(torch.sum(z**3))),
        (lambda z: np.sum(np.abs(z) ** 2), lambda z: torch.sum(torch.abs(z) ** 2)),
        (lambda z: np.exp(z) * z, lambda z: torch.exp(z) * z),
    ):
        wrapped = go.torch.wrap(f)
        ours, theirs = wrapped(z), g(z)
        direction = torch.ones_like(theirs) * (2 - 1j if theirs.is_complex() else 3)
        (da,) = torch.autograd.grad(ours, z, direction, create_graph=True)
        (db,) = torch.autograd.grad(theirs, z, direction, create_graph=True)
        for a, b in ((ours, theirs), (da, db)):
            assert torch.allclose(a, b, rtol=1e-12, atol=0)
        second = [torch.autograd.grad(torch.sum(torch.abs(d) ** 2), z)[0] for d in (da, db)]
        assert torch.allclose(*second, rtol=1e-12, atol=0)
    double = go.torch.wrap(lambda x: x * 2)
    for x in (torch.conj(z.detach()), torch.conj(z.detach()).imag, torch.tensor(X).bfloat16()):
        assert torch.equal(double(x), x * 2)


def test_torch_compiles_once() -> None:
    torch = pytest.importorskip("torch")
    compiled = go.compile(lambda x: np.sum(np.sin(x)))
    wrapped = go.torch.wrap(compiled)
    x = torch.tensor(X, requires_grad=True)
    wrapped(x).backward()
    count = go._compiler.programs_compiled()
    for _ in range(3):
        wrapped(x).backward()
    assert go._compiler.programs_compiled() == count
    assert compiled.cache_size() == 1


def test_jax() -> None:
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        wrapped = go.jax.wrap(f)
        p, x = {"w": jax.numpy.array(W)}, jax.numpy.array(X)

        def reference(p: Any, x: Any) -> Any:
            return 3 * jax.numpy.sum(jax.numpy.tanh(x @ p["w"]) ** 2)

        def loss(p: Any, x: Any) -> Any:
            return wrapped(p, x, 3)[0]

        value, (place, [double]) = jax.jit(wrapped)(p, x, 3)
        np.testing.assert_allclose(value, reference(p, x))
        assert place == np.argmax(X)
        np.testing.assert_array_equal(double, 2 * X)
        got = jax.jit(jax.grad(loss))(p, x)
        np.testing.assert_allclose(got["w"], jax.grad(reference)(p, x)["w"])
        second = jax.jacrev(jax.grad(loss, 1), 1)(p, x)
        np.testing.assert_allclose(second, jax.hessian(reference, 1)(p, x), atol=1e-12)
        scales = jax.numpy.arange(3.0)
        mapped = jax.vmap(lambda s: loss(p, s * x))(scales)
        np.testing.assert_allclose(mapped, jax.vmap(lambda s: reference(p, s * x))(scales))
    single = go.jax.wrap(lambda x: np.sum(x * x))
    assert jax.grad(single)(X.astype("f4")).dtype == np.float32


def test_jax_in_both_modes() -> None:
    """Forward and reverse mode, nested, batched and compiled, of a function with results of ints."""
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    with jax.enable_x64(True):
        wrapped = go.jax.wrap(lambda x, w: (np.sin(x) @ w * x[0], np.argmax(x)))
        x, w = jnp.array(X[0]), jnp.array(W)

        def f(x: Any, w: Any) -> Any:
            return wrapped(x, w)[0]

        def g(x: Any, w: Any) -> Any:
            return jnp.sin(x) @ w * x[0]

        def both(transform: Any, *args: Any) -> None:
            ours, theirs = transform(f)(*args), transform(g)(*args)
            for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
                assert a.dtype == b.dtype
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)

        scales = jnp.array([0.5, -1.0, 2.0])
        both(lambda h: lambda *a: jax.jvp(h, a, a), x, w)
        both(lambda h: jax.jacfwd(h, (0, 1)), x, w)
        both(lambda h: jax.jit(jax.hessian(lambda *a: jnp.sum(h(*a) ** 2), (0, 1))), x, w)
        both(lambda h: jax.jacfwd(jax.jacfwd(h)), x, w)
        both(lambda h: jax.jacrev(jax.jacfwd(h, 1)), x, w)
        both(lambda h: jax.grad(lambda *a: jnp.sum(jax.jvp(h, a, a)[1]), (0, 1)), x, w)
        both(lambda h: jax.jacfwd(jax.hessian(lambda t: h(t * x, w)[0])), 0.7)
        both(lambda h: jax.vmap(lambda t: jax.jvp(h, (t * x, w), (x, t * w))[1]), scales)
        both(lambda h: jax.grad(lambda s: jnp.sum(jax.vmap(lambda t: h(t * x, w))(s) ** 2)), scales)
        both(lambda h: lambda *a: jax.linearize(h, *a)[1](*a), x, w)
        place, moved = jax.jvp(lambda x: wrapped(x, w)[1], (x,), (x,))
        assert place == np.argmax(X[0])
        assert moved.dtype == jax.dtypes.float0


class Labelled(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of another library, which handles ufuncs itself."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        values = [v.data if isinstance(v, Labelled) else v for v in inputs]
        return Labelled(getattr(ufunc, method)(*values, **kwargs))


def test_containers_that_handle_ufuncs() -> None:
    weights = np.array([0.5, 2.0, -1.0])

    def f(x: Any) -> Any:
        parts = [x * Labelled(weights), Labelled(weights) / x, np.hypot(x, Labelled(weights) * x)]
        parts += [np.maximum(Labelled(x), 0.7), Labelled(x) - x, -(Labelled(x) ** 2)]
        assert all(type(part) is Labelled for part in parts)
        return sum(part.data for part in parts)

    x = np.array([0.3, 0.9, 1.4])
    np.testing.assert_allclose(go.compile(f)(x), f(x), 1e-14)
    go.gradcheck(f, (x,), order=2)
