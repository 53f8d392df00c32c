# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""custom_vjp and custom_jvp: rules are used where they belong, and are differentiated themselves."""

from __future__ import annotations

import functools
import pickle
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.special
from rules import automatic, layers, marked

import gradopt as go
from gradopt.base.pytree import flatten

X = np.array([0.3, -0.7, 1.2, 0.5])


# -- Which rule is used ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kinds", "reverse", "forward"),
    [(("vjp",), 10, 10), (("jvp",), 100, 100), (("vjp", "jvp"), 10, 100)],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (4,), (2, 3)])
def test_each_mode_uses_its_rule(
    kinds: Any, reverse: int, forward: int, dtype: Any, shape: Any
) -> None:
    f = marked(*kinds)
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(2, *shape)).astype(dtype)
    x, t = dtype(x) if shape == () else x, dtype(t) if shape == () else t
    rtol = 1e-14 if dtype is np.float64 else 1e-6

    def g(x: Any) -> Any:
        return f(2 * x)

    value, pull = go.vjp(g, x)
    np.testing.assert_allclose(value, np.sin(2 * x), rtol=rtol)
    (cotangent,) = pull(t)
    assert cotangent.dtype == dtype
    np.testing.assert_allclose(cotangent, 2 * reverse * np.cos(2 * x) * t, rtol=rtol)
    value, tangent = go.jvp(g, (x,), (t,))
    np.testing.assert_allclose(value, np.sin(2 * x), rtol=rtol)
    np.testing.assert_allclose(tangent, 2 * forward * np.cos(2 * x) * t, rtol=rtol)
    np.testing.assert_allclose(go.compile(g)(x), np.sin(2 * x), rtol=rtol)


def test_outside_of_traces_it_is_the_function_itself() -> None:
    f = marked("vjp")
    result = f(X)
    assert type(result) is np.ndarray
    np.testing.assert_array_equal(result, np.sin(X))


def test_decorators_of_both_kinds_make_one_function() -> None:
    @go.custom_jvp
    @go.custom_vjp
    def f(x: Any) -> Any:
        return np.sin(x)

    f.defvjp(lambda x: (f(x), np.cos(x)), lambda c, g: (10 * c * g,))

    @f.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        return f(*primals), 100 * np.cos(primals[0]) * tangents[0]

    assert rule is not None
    np.testing.assert_allclose(go.grad(f)(0.3), 10 * np.cos(0.3), rtol=1e-14)
    np.testing.assert_allclose(go.jvp(f, (0.3,), (1.0,))[1], 100 * np.cos(0.3), rtol=1e-14)


# -- Well-known uses -------------------------------------------------------------------------


def log1pexp() -> Any:
    @go.custom_jvp
    def f(x: Any) -> Any:
        return np.log1p(np.exp(x))

    @f.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        (x,), (t,) = primals, tangents
        return f(x), (1 - 1 / (1 + np.exp(x))) * t

    assert rule is not None
    return f


def test_a_numerically_safe_derivative() -> None:
    f = log1pexp()
    for x in (-40.0, -1.0, 0.0, 3.0, 100.0):
        expected = scipy.special.expit(x)
        np.testing.assert_allclose(go.grad(f)(x), expected, rtol=1e-6, atol=1e-15)
        np.testing.assert_allclose(go.jvp(f, (x,), (2.0,))[1], 2 * expected, rtol=1e-6, atol=1e-15)
    # The derivative of the function's code is inf / inf there.
    assert go.grad(f)(800.0) == 1.0
    assert np.isnan(go.grad(lambda x: np.log1p(np.exp(x)))(800.0))


def test_gradient_clipping_straight_through_and_reversal() -> None:
    @functools.partial(go.custom_vjp, nondiff_argnums=(1,))
    def clipped(x: Any, limit: float) -> Any:
        return x

    clipped.defvjp(lambda x, limit: (x, None), lambda limit, _, g: (np.clip(g, -limit, limit),))
    np.testing.assert_allclose(
        go.grad(lambda x: np.sum(clipped(x, 0.5) ** 3))(X), np.clip(3 * X**2, -0.5, 0.5)
    )

    @go.custom_vjp
    def rounded(x: Any) -> Any:
        return np.round(x)

    rounded.defvjp(lambda x: (np.round(x), None), lambda _, g: (g,))
    np.testing.assert_allclose(
        go.grad(lambda x: np.sum(rounded(4 * x) ** 2))(X), 8 * np.round(4 * X)
    )
    # Linear: forward mode is straight through, too.
    np.testing.assert_allclose(go.jvp(rounded, (X,), (X,))[1], X)

    @go.custom_vjp
    def reversal(x: Any) -> Any:
        return x

    reversal.defvjp(lambda x: (x, None), lambda _, g: (-g,))
    # x is used beside the result that is equal to it.
    np.testing.assert_allclose(
        go.grad(lambda x: np.sum(reversal(x) * 3 + x**2))(X), 2 * X - 3, rtol=1e-14
    )
    np.testing.assert_allclose(go.jvp(reversal, (X,), (X,))[1], -X)


def test_a_fixed_point_by_its_implicit_derivative() -> None:
    @go.custom_vjp
    def root(a: Any) -> Any:
        x = a / 2 + 0.5
        for _ in range(20):
            x = 0.5 * (x + a / x)
        return x

    def fwd(a: Any) -> Any:
        x = root(a)
        return x, x

    root.defvjp(fwd, lambda x, g: (g / (2 * x),))
    a = np.array([2.0, 9.0, 0.3])
    np.testing.assert_allclose(go.grad(lambda a: np.sum(root(a)))(a), 0.5 / np.sqrt(a), rtol=1e-14)
    second = go.grad(lambda a: np.sum(go.grad(lambda a: np.sum(root(a)))(a)))(a)
    np.testing.assert_allclose(second, -0.25 * a**-1.5, rtol=1e-13)


# -- Higher order ----------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", [("vjp",), ("jvp",), ("vjp", "jvp")])
def test_rules_are_differentiated(kinds: Any) -> None:
    """sin with a derivative c cos: the derivative of that is -c sin, as of any code."""
    f = marked(*kinds)
    c = 10 if "vjp" in kinds else 100
    first = go.grad(f)
    x = 0.4
    np.testing.assert_allclose(go.grad(first)(x), -c * np.sin(x), rtol=1e-14)
    np.testing.assert_allclose(go.jvp(first, (x,), (1.0,))[1], -c * np.sin(x), rtol=1e-14)
    forward = 100 if "jvp" in kinds else 10

    def pushed(x: Any) -> Any:
        return go.jvp(f, (x,), (1.0,))[1]

    np.testing.assert_allclose(go.grad(pushed)(x), -forward * np.sin(x), rtol=1e-14)
    np.testing.assert_allclose(go.jvp(pushed, (x,), (1.0,))[1], -forward * np.sin(x), rtol=1e-14)
    np.testing.assert_allclose(go.grad(go.grad(first))(x), -c * np.cos(x), rtol=1e-14)


def test_a_rule_that_uses_its_function_at_every_order() -> None:
    """exp with derivative 2 exp, said by itself: the n-th derivative has a factor of 2 ** n."""

    @go.custom_jvp
    def f(x: Any) -> Any:
        return np.exp(x)

    f.defjvps(lambda t, ans, x: 2 * f(x) * t)
    g: Any = f
    for order in range(1, 5):
        g = go.grad(g)
        np.testing.assert_allclose(g(0.3), 2**order * np.exp(0.3), rtol=1e-14)


def test_a_rule_that_leads_to_other_arguments() -> None:
    """The n-th derivative of sin, by a number that says which."""

    @functools.partial(go.custom_jvp, nondiff_argnums=0)
    def wave(n: int, x: Any) -> Any:
        return [np.sin, np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x)][n % 4](x)

    @wave.defjvp
    def rule(n: int, primals: Any, tangents: Any) -> Any:
        return wave(n, *primals), wave(n + 1, *primals) * tangents[0]

    assert rule is not None
    g: Any = functools.partial(wave, 0)
    for derivative in (np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin):
        g = go.grad(g)
        np.testing.assert_allclose(g(0.7), derivative(0.7), rtol=1e-14)


def test_a_pullback_that_is_differentiated() -> None:
    @go.custom_vjp
    def inner(x: Any) -> Any:
        return x**2

    inner.defvjp(lambda x: (x**2, x), lambda x, g: (5 * x * g,))
    outer = marked("vjp")
    outer.defvjp(lambda x: (np.sin(x), x), lambda x, g: (inner(g) * x,))

    def f(c: Any) -> Any:
        _, pull = go.vjp(outer, 3.0)
        return go.grad(lambda c: pull(c)[0])(c)

    # inner is differentiated within the rule of outer, by its own rule.
    np.testing.assert_allclose(go.compile(f)(0.4), 5 * 0.4 * 3.0, rtol=1e-14)


def written(x: Any, y: Any) -> Any:
    out = go.numpy.zeros(6)
    out[1:4] = np.cumsum(x[:3] * y[0])
    out[2] += np.max(x) * np.sum(y**3)
    return out, x[::-1] / (1 + y**2)


def nothing(x: Any, y: Any) -> Any:
    return x[:0], y * 2


@pytest.mark.parametrize("kinds", [("vjp",), ("jvp",), ("vjp", "jvp")], ids="+".join)
@pytest.mark.parametrize(
    ("f", "args"),
    [
        (layers, ({"w": np.outer(X, X), "b": X}, np.stack([X, -X]))),
        (written, (X, X**2 + 0.5)),
        (nothing, (X, X[:1])),
        (np.arctan2, (np.float64(0.3), np.float64(-0.8))),
    ],
    ids=["layers", "written", "nothing", "scalars"],
)
def test_rules_by_the_compiler_change_nothing(f: Any, args: Any, kinds: Any) -> None:
    """First and second derivatives in all orders of modes, of a function within a function."""

    def around(g: Any) -> Any:
        def outer(*args: Any) -> Any:
            leaves = flatten(g(*args))[0]
            return sum(np.sum(np.sin(leaf) * (i + 1)) for i, leaf in enumerate(leaves))

        return outer

    def derivatives(g: Any) -> Any:
        h = around(g)
        numbers = tuple(range(len(args)))

        def pushed(*a: Any) -> Any:
            return go.jvp(h, a, args)[1]

        gradient = go.grad(h, numbers)
        return go.compile(
            lambda *a: (
                gradient(*a),
                pushed(*a),
                go.jvp(gradient, a, args),
                go.vjp(gradient, *a)[1](args),
                go.grad(pushed, numbers)(*a),
                go.jvp(pushed, a, args),
            )
        )(*args)

    got, tree = flatten(derivatives(automatic(f, *kinds)))
    want, expected_tree = flatten(derivatives(f))
    assert tree == expected_tree
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


# -- Arguments, results, residuals -----------------------------------------------------------


class Layer(NamedTuple):
    w: Any
    b: Any


def test_pytrees() -> None:
    @go.custom_vjp
    def f(params: Any, x: Any, options: Any) -> Any:
        return {"y": np.tanh(x @ params["layer"].w + params["layer"].b), "n": options["n"]}

    def fwd(params: Any, x: Any, options: Any) -> Any:
        out = f(params, x, options)
        return out, {"y": out["y"], "x": x, "params": params, "name": "tanh", "shape": x.shape}

    def bwd(res: Any, g: Any) -> Any:
        assert res["name"] == "tanh"
        assert res["shape"] == (2, 3)
        assert g["n"].dtype == np.int64
        d = g["y"] * (1 - res["y"] ** 2)
        layer = Layer(res["x"].T @ d, d.sum(0))
        return {"layer": layer, "unused": None}, d @ res["params"]["layer"].w.T, None

    f.defvjp(fwd, bwd)
    rng = np.random.default_rng(1)
    params: Any = {
        "layer": Layer(rng.normal(size=(3, 4)), rng.normal(size=4)),
        "unused": np.ones(2),
    }
    x = rng.normal(size=(2, 3))

    def loss(f: Any, params: Any, x: Any) -> Any:
        return np.sum(f(params, x, {"n": 3})["y"] ** 2)

    got = go.compile_grad(functools.partial(loss, f), (0, 1))(params, x)
    want = go.compile_grad(functools.partial(loss, f._function), (0, 1))(params, x)
    np.testing.assert_allclose(got[0]["layer"].w, want[0]["layer"].w, rtol=1e-12)
    np.testing.assert_allclose(got[0]["layer"].b, want[0]["layer"].b, rtol=1e-12)
    np.testing.assert_array_equal(got[0]["unused"], np.zeros(2))
    np.testing.assert_allclose(got[1], want[1], rtol=1e-12)
    # bwd is linear in the cotangent: its transpose is forward mode.
    tangents = (
        {"layer": Layer(params["layer"].b + 0 * params["layer"].w, X), "unused": np.ones(2)},
        x,
    )
    a = go.jvp(lambda p, x: f(p, x, {"n": 3})["y"], (params, x), tangents)[1]
    b = go.jvp(lambda p, x: f._function(p, x, {"n": 3})["y"], (params, x), tangents)[1]
    np.testing.assert_allclose(a, b, rtol=1e-12)


def test_keywords_defaults_and_methods() -> None:
    @go.custom_vjp
    def f(x: Any, y: Any = 2.0, n: int = 3) -> Any:
        return x * y**n

    f.defvjp(lambda x, y, n: (x * y**n, (x, y, n)), lambda r, g: (g * r[1] ** r[2], 7 * g, None))
    np.testing.assert_allclose(go.grad(lambda x: f(n=2, x=x))(3.0), 4.0)
    np.testing.assert_allclose(go.grad(lambda y: f(3.0, y=y))(2.0), 7.0)

    class Scale:
        def __init__(self, factor: float) -> None:
            self.factor = factor

        @go.custom_vjp
        def apply(self, x: Any) -> Any:
            return self.factor * x

        apply.defvjp(lambda self, x: (self.factor * x, None), lambda _, g: (None, 11 * g))

    np.testing.assert_allclose(go.grad(Scale(3.0).apply)(2.0), 11.0)
    assert go.compile(Scale(3.0).apply)(2.0) == 6.0


def test_python_numbers_stay_python_numbers() -> None:
    @go.custom_vjp
    def half(x: Any) -> Any:
        return x / 2

    half.defvjp(lambda x: (x / 2, None), lambda _, g: (g / 2,))
    single = np.float32(3)

    def f(x: Any, s: Any) -> Any:
        return half(s) * x

    assert go.compile(f)(single, 2.0).dtype == np.float32
    got = go.compile_grad(f, (0, 1))(single, 2.0)
    assert (got[0].dtype, got[0], got[1]) == (np.float32, 1.0, 1.5)


def test_integer_arrays() -> None:
    @go.custom_vjp
    def take(x: Any, i: Any) -> Any:
        return x[i]

    take.defvjp(lambda x, i: (x[i], (i, np.zeros_like(x))), lambda r, g: (r[1] + np.sum(g), None))
    i = np.array([0, 2])
    np.testing.assert_allclose(go.grad(lambda x: np.sum(take(x, i)))(X), np.full(4, 2.0))
    np.testing.assert_allclose(go.grad(lambda x, i: np.sum(take(x, i)))(X, i), np.full(4, 2.0))
    with pytest.raises(IndexError, match="index 4 is out of bounds"):
        go.compile_grad(lambda x, i: np.sum(take(x, i)))(X, i + 2)


def test_pickling() -> None:
    loaded = pickle.loads(pickle.dumps(AT_TOP))
    assert loaded is AT_TOP
    np.testing.assert_allclose(go.grad(loaded)(0.3), 3.0)


@go.custom_vjp
def AT_TOP(x: Any) -> Any:
    return x


AT_TOP.defvjp(lambda x: (x, None), lambda _, g: (3 * g,))


# -- Symbolic zeros --------------------------------------------------------------------------


def scaled_sum(x: Any, p: Any, n: Any) -> Any:
    return {"sum": np.sum(x) * p["a"] * p["b"], "n": n + 1}


def zeros_with(kind: str, seen: list[Any]) -> Any:
    """`scaled_sum` with rules that note what they get."""
    f = go.custom_jvp(scaled_sum)

    def push(primals: Any, tangents: Any) -> Any:
        (x, p, n), (dx, dp, dn) = primals, tangents
        seen.append((type(dx), type(dp["a"]), type(dp["b"]), type(dn)))
        terms = [
            np.sum(tangent) * slope
            for tangent, slope in ((dx, p["a"] * p["b"]), (dp["a"], np.sum(x) * p["b"]))
            if type(tangent) is not go.SymbolicZero
        ]
        zero = go.SymbolicZero((), np.dtype(np.int64))
        return f(x, p, n), {"sum": sum(terms[1:], terms[0]), "n": zero}

    def fwd(x: Any, p: Any, n: Any) -> Any:
        leaves = x, p["a"], p["b"], n
        seen.append(tuple(leaf.perturbed for leaf in leaves))
        x, a, b, n = [leaf.value for leaf in leaves]
        return f(x, {"a": a, "b": b}, n), (x, a, b)

    def bwd(residuals: Any, g: Any) -> Any:
        x, a, b = residuals
        seen.append((type(g["sum"]), g["n"]))
        one = g["sum"]
        zero = go.SymbolicZero((), np.dtype(np.float64))
        return np.full_like(x, one * a * b), {"a": one * np.sum(x) * b, "b": zero}, None

    if kind == "vjp":
        f.defvjp(fwd, bwd, symbolic_zeros=True)
    else:
        f.defjvp(push, symbolic_zeros=True)
    return f


@pytest.mark.parametrize("kind", ["jvp", "vjp"])
def test_symbolic_zeros(kind: str) -> None:
    seen: list[Any] = []
    f = zeros_with(kind, seen)

    def loss(x: Any, a: Any, n: Any) -> Any:
        return f(x, {"a": a, "b": np.float64(3)}, n)["sum"]

    gradients = go.grad(loss, (0, 1))(X, 2.0, 5)
    np.testing.assert_allclose(gradients[0], np.full(4, 6.0))
    np.testing.assert_allclose(gradients[1], 3 * np.sum(X))
    zero = go.SymbolicZero
    if kind == "vjp":
        assert seen[0] == (True, True, False, False)
        assert seen[1][0] is not zero
        assert (seen[1][1].shape, seen[1][1].dtype) == ((), np.int64)
    else:
        assert [part is zero for part in seen[0]] == [False, False, True, True]
        np.testing.assert_allclose(go.jvp(loss, (X, 2.0, 5), (X, 1.0, 0))[1], 9 * np.sum(X))
    # Concrete arrays are not perturbed, wherever they are.
    seen.clear()
    go.compile_grad(lambda a: f(X, {"a": a, "b": 3.0}, 5)["sum"])(2.0)
    expected = (False, True, False, False)
    assert (seen[0] if kind == "vjp" else tuple(p is not zero for p in seen[0])) == expected
    p = {"a": 2.0, "b": 3.0}
    assert f(X, p, 5)["n"] == 6
    go.check_custom(f, (X, p, 5), differences=False)
