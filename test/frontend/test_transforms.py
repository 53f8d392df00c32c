# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""grad, value_and_grad, jvp, vjp and stop_gradient, nested and with closures."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pytest

import gradopt as go

X = np.array([0.3, -0.7, 1.2, 0.5])


def cubes(x: Any) -> Any:
    return np.sum(x**3)


def test_grad_and_value() -> None:
    np.testing.assert_allclose(go.grad(cubes)(X), 3 * X**2, rtol=1e-14)
    value, gradient = go.value_and_grad(cubes)(X)
    assert isinstance(value, np.float64)
    np.testing.assert_allclose(value, cubes(X), rtol=1e-14)
    np.testing.assert_allclose(gradient, 3 * X**2, rtol=1e-14)
    value, gradient = go.compile_value_and_grad(cubes)(X)
    np.testing.assert_allclose(gradient, 3 * X**2, rtol=1e-14)


def test_dtype_and_structure_are_kept() -> None:
    class Layer(NamedTuple):
        w: Any
        b: Any

    @dataclasses.dataclass
    class Model:
        layers: list[Layer]
        scale: Any

    def loss(m: Model, x: Any) -> Any:
        for layer in m.layers:
            x = np.tanh(x @ layer.w + layer.b)
        return np.sum(x) * m.scale

    f4 = np.float32
    model = Model(
        [Layer(np.eye(4, dtype=f4), np.zeros(4, f4)), Layer(np.ones((4, 2), f4), f4(0))], 2.0
    )
    gradient = go.compile_grad(loss)(model, X.astype(f4))
    assert type(gradient) is Model
    assert type(gradient.layers[0]) is Layer
    assert gradient.layers[0].w.dtype == f4
    assert gradient.layers[1].b.dtype == f4
    assert gradient.layers[1].w.shape == (4, 2)
    expected = np.tanh(np.tanh(X) @ np.ones((4, 2))).sum()
    np.testing.assert_allclose(gradient.scale, expected, rtol=1e-6)


def test_argnums() -> None:
    def f(x: Any, y: Any, z: Any) -> Any:
        return np.sum(x * y**2) + z

    first, third = go.grad(f, (0, 2))(X, X, 1.0)
    np.testing.assert_allclose(first, X**2, rtol=1e-14)
    assert third == 1.0
    np.testing.assert_allclose(go.grad(f, 1)(X, X, 1.0), 2 * X * X, rtol=1e-14)
    (last,) = go.grad(f, (-1,))(X, X, 1.0)
    assert last == 1.0
    np.testing.assert_allclose(go.grad(f, 1)(X, X, z=2), 2 * X * X, rtol=1e-14)


def test_aux() -> None:
    def f(x: Any) -> Any:
        return np.sum(x**2), {"twice": x * 2, "count": 3}

    gradient, aux = go.grad(f, has_aux=True)(X)
    np.testing.assert_allclose(gradient, 2 * X, rtol=1e-14)
    np.testing.assert_allclose(aux["twice"], 2 * X)
    assert aux["count"] == 3
    (value, aux), gradient = go.compile_value_and_grad(f, has_aux=True)(X)
    np.testing.assert_allclose(value, np.sum(X**2))
    np.testing.assert_allclose(gradient, 2 * X, rtol=1e-14)


def test_any_order() -> None:
    f = lambda x: x**4 * np.exp(x)  # noqa: E731
    derivative: Any = f
    for order in range(1, 5):
        derivative = go.grad(derivative)
        coefficients = np.polynomial.Polynomial([0, 0, 0, 0, 1])
        total = coefficients
        for _ in range(order):
            total = total + total.deriv()
        np.testing.assert_allclose(derivative(0.7), total(0.7) * np.exp(0.7), rtol=1e-12)


def test_hessian() -> None:
    hessian = go.compile(
        lambda x: np.stack([go.jvp(go.grad(cubes), (x,), (e,))[1] for e in np.eye(4)])
    )
    np.testing.assert_allclose(hessian(X), np.diag(6 * X), atol=1e-13)
    reverse = go.compile(
        lambda x: np.stack([go.grad(lambda y, i=i: go.grad(cubes)(y)[i])(x) for i in range(4)])
    )
    np.testing.assert_allclose(reverse(X), np.diag(6 * X), atol=1e-13)


def test_closures_over_traced_values() -> None:
    weights = np.linspace(0, 1, 40).reshape(10, 4)

    def outer(x: Any, s: Any) -> Any:
        scaled = weights @ x * s

        def inner(y: Any) -> Any:
            return np.sum(scaled * y**2) + np.sum(weights @ x)

        def middle(t: Any) -> Any:
            return np.sum(go.grad(inner)(scaled * t))

        return go.grad(middle)(s)

    def expected(x: Any, s: Any) -> Any:
        scaled = weights @ x * s
        return np.sum(2 * scaled * scaled)

    np.testing.assert_allclose(go.compile(outer)(X, 0.5), expected(X, 0.5), rtol=1e-13)
    # Perturbations must not be confused: d/dx of x * d/dy (x + y) is 1.
    confusion = go.grad(lambda x: x * go.grad(lambda y: x + y)(1.0))
    assert confusion(3.0) == 1.0
    forward = go.compile(
        lambda x: go.jvp(lambda x: x * go.jvp(lambda y: x + y, (1.0,), (1.0,))[1], (x,), (1.0,))[1]
    )
    assert forward(3.0) == 1.0


def test_jvp() -> None:
    out, tangent = go.jvp(lambda x, y: (x * y, np.exp(x)), (X, X), (np.ones(4), 2 * X))
    np.testing.assert_allclose(out[0], X * X)
    np.testing.assert_allclose(tangent[0], X + 2 * X * X, rtol=1e-14)
    np.testing.assert_allclose(tangent[1], np.exp(X), rtol=1e-14)
    out, tangent, aux = go.jvp(lambda x: (x * 2, x.shape[0]), (X,), (X,), has_aux=True)
    np.testing.assert_allclose(tangent, 2 * X)
    assert aux == 4
    # Integers have no tangent.
    out, tangent = go.jvp(lambda x, n: (x * n, n), (2.0, 3), (1.0, 0))
    assert tangent == (3.0, 0)


def test_vjp() -> None:
    out, pullback = go.vjp(lambda p, y: {"a": p["x"] * y, "n": 3}, {"x": X}, X)
    np.testing.assert_allclose(out["a"], X * X)
    first, second = pullback({"a": np.ones(4), "n": 0})
    np.testing.assert_allclose(first["x"], X)
    np.testing.assert_allclose(second, X)
    np.testing.assert_allclose(pullback({"a": 2 * np.ones(4), "n": 0})[1], 2 * X)

    def inside(x: Any) -> Any:
        out, pullback, aux = go.vjp(lambda y: (np.tanh(y), y + 1), x, has_aux=True)
        return out, pullback(out)[0], aux

    out, gradient, aux = go.compile(inside)(X)
    np.testing.assert_allclose(gradient, np.tanh(X) * (1 - np.tanh(X) ** 2), rtol=1e-13)
    np.testing.assert_allclose(aux, X + 1)


def test_errors_may_be_caught_while_tracing() -> None:
    def f(x: Any) -> Any:
        try:
            return go.grad(lambda y: np.isnat(y * x))(x)
        except go.errors.UnsupportedError:
            return go.grad(lambda y: np.sum(y * x))(x)

    np.testing.assert_array_equal(go.compile(f)(X), X)


def test_stop_gradient() -> None:
    gradient = go.grad(lambda x: np.sum(x * go.stop_gradient({"a": x * 2, "b": 1})["a"]))(X)
    np.testing.assert_allclose(gradient, 2 * X)
    assert go.stop_gradient((1.0, None)) == (1.0, None)


def test_constant_loss_and_unused_arguments() -> None:
    np.testing.assert_array_equal(go.grad(lambda x: 3.0)(X), np.zeros(4))
    gradients = go.grad(lambda x, y: np.sum(x), (0, 1))(X, X)
    np.testing.assert_array_equal(gradients[1], np.zeros(4))


def test_methods_and_decorators() -> None:
    class Model:
        scale = 3.0

        @go.grad
        def slope_of(x: Any) -> Any:
            return x**2

        @go.compile
        def apply(self, x: Any) -> Any:
            return self * x

    assert go.grad(cubes).__name__ == "cubes"
    assert go.compile(cubes).__name__ == "cubes"

    @go.compile
    def f(x: Any) -> Any:
        """Documentation."""
        return x * 2

    assert f.__doc__ == "Documentation."
    assert f(2.0) == 4.0


def test_compiled_functions_inside_of_traces() -> None:
    inner = go.compile(lambda x, k: {"y": np.sum(x) * k}, static_argnums=1)
    np.testing.assert_allclose(go.grad(lambda x: inner(x, 3)["y"])(X), 3 * np.ones(4))
    assert go.compile(lambda x: inner(X, 2)["y"] + x)(1.0) == 2 * X.sum() + 1


@pytest.mark.parametrize("shape", [(), (0,), (1,), (0, 3), (1, 3), (2, 1)])
def test_small_shapes(shape: tuple[int, ...]) -> None:
    x = np.linspace(0.5, 1.5, int(np.prod(shape))).reshape(shape)
    gradient = go.grad(lambda v: np.sum(np.exp(v) * v))(x)
    np.testing.assert_allclose(gradient, np.exp(x) * (1 + x), rtol=1e-13)


def test_gradcheck() -> None:
    def f(p: Any, y: Any) -> Any:
        return {"a": np.tanh(p["w"] @ y), "b": np.sum(p["w"] ** 2)}

    p = {"w": X.reshape(2, 2), "n": 3}
    assert go.gradcheck(f, (p, X[:2]), order=2)
    assert go.gradcheck(cubes, X.astype(np.float32))
    assert go.gradcheck(cubes, (X,), modes=("rev",), order=3)
    # A step out of the domain of log is made smaller.
    assert go.gradcheck(np.log, (np.array([1e-4, 1.0, 1e-9]),))

    def wrong(x: Any) -> Any:
        return x["a"] * go.stop_gradient(x["a"])

    with pytest.raises(go.errors.GradientCheckError) as info:
        go.gradcheck(wrong, ({"a": X},))
    error = info.value
    assert (error.path, error.index) == ("x['a']", (0,))
    np.testing.assert_allclose([error.numeric, error.analytic], [0.6, 0.3], rtol=1e-9)
    for text in ("x['a'][0]", "numeric 0.", "analytic 0.3", "forward derivative of wrong"):
        assert text in str(error)
    with pytest.raises(go.errors.GradientCheckError, match="reverse"):
        go.gradcheck(wrong, ({"a": X},), modes=("rev",))
    with pytest.raises(go.errors.ArgumentError, match="no float argument"):
        go.gradcheck(lambda x: x, (3,))
    with pytest.raises(go.errors.ArgumentTypeError, match=r"p\['n'\]"):
        go.gradcheck(f, (p, X[:2]), argnums=0)


# -- What the function refers to -----------------------------------------------------------------

SCALE = 2.0
TABLE = np.ones(2)


def _scaled(x: Any) -> Any:
    return SCALE * np.sum(x**2 * TABLE)


TRANSFORMS: dict[str, Any] = {
    "grad": lambda f: go.grad(f),
    "value_and_grad": lambda f: lambda x: go.value_and_grad(f)(x)[1],
    "kept value_and_grad": lambda f, t=go.value_and_grad: (lambda kept: lambda x: kept(x)[1])(t(f)),
    "grad with aux": lambda f: (lambda kept: lambda x: kept(x)[0])(
        go.grad(lambda x: (f(x), 1), has_aux=True)
    ),
    "vjp": lambda f: lambda x: go.vjp(f, x)[1](1.0)[0],
    "jvp": lambda f: lambda x: np.array([go.jvp(f, (x,), (e,))[1] for e in np.eye(2)]),
    "grad of grad": lambda f: go.grad(lambda x: np.sum(go.grad(f)(x) * x) / 2),
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_see_what_the_function_refers_to_now(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.array([1.0, 3.0])
    derivative = TRANSFORMS[name](_scaled)
    np.testing.assert_allclose(derivative(x), 4 * x)
    monkeypatch.setitem(globals(), "SCALE", 5.0)
    np.testing.assert_allclose(derivative(x), 10 * x)
    monkeypatch.setitem(globals(), "TABLE", np.array([1.0, 2.0]))
    np.testing.assert_allclose(derivative(x), 10 * x * TABLE)
    TABLE[:] = 7
    np.testing.assert_allclose(derivative(x), 70 * x)
    factor = 1.0

    def f(x: Any) -> Any:
        return factor * np.sum(x**2)

    derivative = TRANSFORMS[name](f)
    np.testing.assert_allclose(derivative(x), 2 * x)
    factor = 3.0
    np.testing.assert_allclose(derivative(x), 6 * x)


def test_pullbacks_and_lowered_functions_keep_their_function() -> None:
    factor, table = 2.0, np.ones(20)

    def f(x: Any) -> Any:
        return factor * np.sum(x**2 * table)

    x = np.arange(20.0)
    value, pullback = go.vjp(f, x)
    lowered = go.compile(f).lower(x)
    first = lowered.compile()
    factor = 3.0
    table[:] = 2
    assert value == first(x) == lowered.compile()(x) == 2 * np.sum(x**2)
    np.testing.assert_allclose(pullback(1)[0], 4 * x)
    np.testing.assert_allclose(pullback(np.float64(1))[0], 4 * x)
    assert f(x) == 6 * np.sum(x**2)


def test_lowered_functions_take_dicts_in_any_order() -> None:
    fixed = go.compile(lambda p, *, q: p["a"] - 2 * p["b"] + 4 * q).lower({"a": 1.0, "b": X}, q=X).compile()  # fmt: skip
    expected = 3.0 - 2 * (X + 1) + 4 * X
    for arguments in ({"a": 3.0, "b": X + 1}, {"b": X + 1, "a": 3.0}, {"a": 3.0, "b": X + 1}):
        np.testing.assert_array_equal(fixed(arguments, q=X), expected)


def test_numbers_in_aux_stay_numbers() -> None:
    """In a trace, too: they are sizes there, and the same for all elements of a batch."""

    def shift(x: Any) -> Any:
        def loss(x: Any) -> Any:
            return np.sum(x**2), {"size": x.shape[0], "half": 0.5, "twice": x * 2, "is": True}

        gradient, aux = go.grad(loss, has_aux=True)(x)
        assert [type(aux[name]) for name in ("size", "half", "is")] == [int, float, bool]
        (_, other), _ = go.value_and_grad(loss, has_aux=True)(x)
        assert type(other["size"]) is int
        return gradient * aux["half"] + go.numpy.ones(aux["size"]) + aux["twice"]

    np.testing.assert_allclose(go.compile(shift)(X), 3 * X + 1)

    def products(x: Any) -> Any:
        def twice(x: Any) -> Any:
            return x * 2, (4, x)

        _, push, (n, _) = go.linearize(twice, x, has_aux=True)
        _, pull, (m, _) = go.vjp(twice, x, has_aux=True)
        _, tangent, (k, same) = go.jvp(twice, (x,), (x,), has_aux=True)
        assert [type(number) for number in (n, m, k)] == [int] * 3
        return push(x) + pull(x)[0] + tangent + same

    np.testing.assert_allclose(go.compile(products)(X), 7 * X)

    def matrices(x: Any) -> Any:
        def square(x: Any) -> Any:
            return np.sum(x**2), (2, x * 3, 0.5)

        total: Any = 0
        for transform in (go.jacfwd, go.jacrev, go.hessian):
            matrix, (n, tripled, half) = transform(square, has_aux=True)(x)
            assert (type(n), type(half)) == (int, float)
            total = total + np.sum(matrix) * half + np.sum(tripled) * n
        return total

    n = X.size
    np.testing.assert_allclose(go.compile(matrices)(X), 20 * np.sum(X) + n)

    with_number = go.vmap(
        lambda x: go.grad(lambda x: (np.sum(x**2), 3), has_aux=True)(x), out_axes=(0, None)
    )
    gradients, number = go.compile(with_number)(np.stack([X, 2 * X]))
    np.testing.assert_allclose(gradients, [2 * X, 4 * X])
    assert number == 3
