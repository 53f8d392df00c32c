# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""custom_vjp and custom_jvp: rules are used where they belong, and are differentiated themselves."""

from __future__ import annotations

import functools
import pickle
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.special

import gradopt as go
from gradopt.base.pytree import flatten

X = np.array([0.3, -0.7, 1.2, 0.5])


# -- Which rule is used ----------------------------------------------------------------------


def marked(*kinds: str) -> Any:
    """sin with a derivative of 10 cos in reverse mode, 100 cos in forward mode."""

    @go.custom_vjp
    def f(x: Any) -> Any:
        return np.sin(x)

    if "vjp" in kinds:
        f.defvjp(lambda x: (f(x), np.cos(x)), lambda c, g: (10 * c * g,))
    if "jvp" in kinds:
        f.defjvp(lambda p, t: (f(*p), 100 * np.cos(p[0]) * t[0]))
    return f


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


def automatic(f: Any, *kinds: str) -> Any:
    """The function with rules that are its automatic derivatives."""
    g = go.custom_vjp(f)
    if "vjp" in kinds:
        g.defvjp(lambda *a: (f(*a), a), lambda a, c: go.vjp(f, *a)[1](c))
    if "jvp" in kinds:
        g.defjvp(lambda p, t: go.jvp(f, p, t))
    return g


def layers(p: Any, x: Any) -> Any:
    h = np.tanh(x @ p["w"] + p["b"])
    return {"h": h, "norm": np.sqrt(np.sum(h**2))}


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


# -- Rules in which one piece of code makes results and tangents -----------------------------


def power(x: Any) -> Any:
    return go.fori_loop(0, 5, lambda _, y: y * x, np.ones_like(x))


def power_rule(p: Any, t: Any) -> Any:
    def step(_: Any, state: Any) -> Any:
        y, d = state
        return y * p[0], d * p[0] + y * t[0]

    return go.fori_loop(0, 5, step, (np.ones_like(p[0]), np.zeros_like(p[0])))


def summed(x: Any) -> Any:
    return go.scan(lambda c, v: (c + np.sin(v), c + np.sin(v)), 0 * x[0], x)[1]


def summed_rule(p: Any, t: Any) -> Any:
    def step(carry: Any, item: Any) -> Any:
        following = carry[0] + np.sin(item[0]), carry[1] + np.cos(item[0]) * item[1]
        return following, following

    return go.scan(step, (0 * p[0][0], 0 * p[0][0]), (p[0], t[0]))[1]


def shrunk(x: Any) -> Any:
    return go.while_loop(lambda y: np.max(np.abs(y)) > 0.1, lambda y: 0.5 * y * np.cos(y), x)


def shrunk_rule(p: Any, t: Any) -> Any:
    def step(state: Any) -> Any:
        y, d = state
        return 0.5 * y * np.cos(y), 0.5 * d * (np.cos(y) - y * np.sin(y))

    return go.while_loop(lambda state: np.max(np.abs(state[0])) > 0.1, step, (p[0], t[0]))


def branched(x: Any) -> Any:
    return go.cond(x[0] > 0, lambda x: x**2, lambda x: -x, x)


def branched_rule(p: Any, t: Any) -> Any:
    return go.cond(p[0][0] > 0, lambda x, d: (x**2, 2 * x * d), lambda x, d: (-x, -d), p[0], t[0])


JOINT: dict[str, tuple[Any, Any]] = {
    "fori_loop": (power, power_rule),
    "scan": (summed, summed_rule),
    "while_loop": (shrunk, shrunk_rule),
    "cond": (branched, branched_rule),
    "jvp": (shrunk, lambda p, t: go.jvp(shrunk, p, t)),
    "map": (
        np.sin,
        lambda p, t: go.map(lambda v: (np.sin(v[0]), np.cos(v[0]) * v[1]), (p[0], t[0])),
    ),
}

PLACES: dict[str, Any] = {
    "alone": lambda f, x: f(x),
    "fori_loop": lambda f, x: go.fori_loop(0, 3, lambda i, y: 0.7 * f(y) + 0.1 * i, x),
    "while_loop": lambda f, x: go.while_loop(
        lambda s: s[0] < 3, lambda s: (s[0] + 1, 0.7 * f(s[1])), (np.int64(0), x)
    )[1],
    "scan": lambda f, x: go.scan(lambda c, _: (0.8 * f(c), c), x, None, length=3)[0],
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", JOINT)
def test_one_loop_makes_results_and_tangents(kind: str, place: str) -> None:
    function, rule = JOINT[kind]
    weights, x = np.array([1.0, -2.0, 0.5, 0.3]), np.array([0.3, -0.4, 1.1, 0.7])
    f = go.custom_jvp(lambda x: function(x))
    f.defjvp(rule)

    def loss(f: Any) -> Any:
        return lambda x: weights @ PLACES[place](f, x)

    exact = go.grad(loss(function))(x)
    np.testing.assert_allclose(go.grad(loss(f))(x), exact, rtol=1e-12)
    np.testing.assert_allclose(go.jacfwd(loss(f))(x), exact, rtol=1e-12)
    batch = go.vmap(go.grad(loss(f)))(np.stack([x, 2 * x]))
    np.testing.assert_allclose(batch[0], exact, rtol=1e-12)
    if place != "alone":
        return
    second = go.jacrev(go.grad(loss(function)))(x)
    np.testing.assert_allclose(go.hessian(loss(f))(x), second, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(go.jacrev(go.grad(loss(f)))(x), second, rtol=1e-10, atol=1e-12)


def test_the_rule_is_what_reverse_mode_transposes() -> None:
    f = go.custom_jvp(shrunk)

    @f.defjvp
    def _(p: Any, t: Any) -> Any:
        y, d = go.jvp(shrunk, p, t)
        return y, 10 * d

    exact = 10 * go.grad(lambda x: np.sum(shrunk(x)))(X)
    np.testing.assert_allclose(go.grad(lambda x: np.sum(f(x)))(X), exact, rtol=1e-13)


def test_a_rule_that_gives_tangents_to_functions_with_rules() -> None:
    double = go.custom_jvp(lambda x: 2 * x)
    double.defjvp(lambda p, t: (double(*p), 20 * t[0]))
    f = go.custom_jvp(lambda x: double(np.sin(x)))
    f.defjvp(lambda p, t: (f(*p), double(np.cos(p[0]) * t[0])))
    # In reverse mode the function is differentiated that the tangents are given to.
    np.testing.assert_allclose(go.jvp(f, (X,), (X,))[1], 2 * np.cos(X) * X, rtol=1e-14)
    np.testing.assert_allclose(go.grad(lambda x: np.sum(f(x)))(X), 20 * np.cos(X), rtol=1e-14)
    # And that must end.
    double.defjvp(lambda p, t: (double(*p), double(*t)))
    np.testing.assert_allclose(go.jvp(f, (X,), (X,))[1], 2 * np.cos(X) * X, rtol=1e-14)
    with pytest.raises(go.errors.CompilerError, match="is not linear"):
        go.grad(lambda x: np.sum(f(x)))(X)


def test_checks_in_such_rules_are_made_in_reverse_mode() -> None:
    f = go.custom_jvp(lambda x, i: np.sum(x))

    @f.defjvp
    def _(p: Any, t: Any) -> Any:
        slope = p[0][p[1]]
        return go.fori_loop(
            0, 3, lambda _, s: (s[0], s[1] + slope * np.sum(t[0])), (np.sum(p[0]), 0 * slope)
        )

    gradient = go.compile_grad(f)
    np.testing.assert_allclose(gradient(X, np.int64(1)), 3 * X[1] * np.ones(4))
    with pytest.raises(IndexError, match="index 4 is out of bounds"):
        gradient(X, np.int64(4))


# -- Closures --------------------------------------------------------------------------------


def test_rules_may_use_traced_values_around_them() -> None:
    def f(x: Any, a: Any, b: Any) -> Any:
        @go.custom_vjp
        def g(x: Any) -> Any:
            return x * a

        g.defvjp(lambda x: (x * a, x), lambda x, c: (c * a * b + 0 * x,))
        g.defjvp(lambda p, t: (p[0] * a, t[0] * b))
        return g(np.sin(x))

    np.testing.assert_allclose(go.grad(f)(0.3, 2.0, 5.0), 10 * np.cos(0.3), rtol=1e-14)
    tangent = go.jvp(lambda x: f(x, 2.0, 5.0), (0.3,), (1.0,))[1]
    np.testing.assert_allclose(tangent, 5 * np.cos(0.3), rtol=1e-14)
    # Of the derivative, which is code like any other, there are derivatives in all of them.
    np.testing.assert_allclose(
        go.grad(lambda a: go.grad(f)(0.3, a, 5.0))(2.0), 5 * np.cos(0.3), rtol=1e-14
    )


def test_derivatives_in_what_a_rule_closes_over_are_an_error() -> None:
    def f(x: Any, a: Any) -> Any:
        g = go.custom_vjp(lambda x: x * a)
        g.defvjp(lambda x: (x * a, None), lambda _, c: (c * a,))
        return g(x)

    with pytest.raises(go.errors.CompilerError, match="make it an input") as info:
        go.grad(f, 1)(0.3, 2.0)
    assert "return g(x)" in str(info.value)
    stopped = go.grad(lambda a: f(a, go.stop_gradient(a)))(2.0)
    np.testing.assert_allclose(stopped, 2.0)


def test_stop_gradient_in_a_rule() -> None:
    @go.custom_vjp
    def f(x: Any) -> Any:
        return x**2

    f.defvjp(lambda x: (x**2, x), lambda x, g: (g * 2 * go.stop_gradient(x) * x**0,))
    np.testing.assert_allclose(go.grad(f)(3.0), 6.0)
    np.testing.assert_allclose(go.grad(go.grad(f))(3.0), 0.0)


# -- Inside of other things ------------------------------------------------------------------


def test_in_loops_and_other_rules() -> None:
    f = marked("vjp", "jvp")

    @go.custom_vjp
    def g(x: Any) -> Any:
        return f(f(x))

    g.defvjp(
        lambda x: (g(x), x),
        lambda x, c: (c * go.grad(lambda x: np.sum(f(f(x))))(x),),
    )

    def loss(x: Any) -> Any:
        for _ in range(3):
            x = g(x)
        return np.sum(x)

    x, expected = X, np.ones(4)
    for _ in range(3):
        y = np.sin(x)
        expected = expected * 100 * np.cos(x) * np.cos(y)
        x = np.sin(y)
    np.testing.assert_allclose(go.grad(loss)(X), expected, rtol=1e-13)


def test_checks_in_rules_are_made() -> None:
    @go.custom_vjp
    def f(x: Any, i: Any) -> Any:
        return x * 2

    f.defvjp(lambda x, i: (x * 2, x[i]), lambda r, g: (g * r, None))
    loss = go.compile_grad(lambda x, i: np.sum(f(x, i)))
    np.testing.assert_allclose(loss(X, 2), np.full(4, X[2]))
    with pytest.raises(IndexError, match="index 9 is out of bounds"):
        loss(X, 9)
    with pytest.raises(IndexError, match="index 9 is out of bounds"):
        go.jvp(lambda x: f(x, 9), (X,), (X,))


def test_checks_in_bwd_are_made_in_fwd() -> None:
    @go.custom_vjp
    def f(x: Any, i: Any) -> Any:
        return np.sum(x)

    def bwd(i: Any, g: Any) -> Any:
        spread = go.numpy.zeros(4)
        spread[i] = g
        return spread, None

    f.defvjp(lambda x, i: (np.sum(x), i), bwd)
    gradient = go.compile_grad(f)
    np.testing.assert_allclose(gradient(X, 2), [0, 0, 1, 0])
    np.testing.assert_allclose(go.compile(lambda i: go.grad(f)(X, i))(-1), [0, 0, 0, 1])
    with pytest.raises(IndexError, match="index 4 is out of bounds"):
        gradient(X, 4)
    f.defvjp(lambda x, i: (np.sum(x), i), lambda i, g: ((g * X)[np.argmax(g * X)] * X, None))
    with pytest.raises(go.errors.UnsupportedError, match="indices that depend on cotangents"):
        go.compile_grad(lambda x, i: f(x, i))(X, 4)


def in_fori_loop(f: Any, x: Any, a: Any, n: Any) -> Any:
    return go.fori_loop(0, n, lambda i, x: f(x, a * (i + 1)), x)


def in_scan(f: Any, x: Any, a: Any, n: Any) -> Any:
    x, ys = go.scan(lambda x, b: (f(x, b), np.sum(f(b, x))), x, np.outer(X, X) * a)
    return x + np.sum(ys)


def in_while_loop(f: Any, x: Any, a: Any, n: Any) -> Any:
    return go.while_loop(lambda s: s[1] < n, lambda s: (f(s[0], a), s[1] + 1), (x, 0))[0]


def in_cond(f: Any, x: Any, a: Any, n: Any) -> Any:
    return go.cond(np.sum(x) > 0, lambda x: f(x, a), lambda x: f(-x, a) * 3, x * n)


@pytest.mark.parametrize("kinds", [("vjp",), ("jvp",), ("vjp", "jvp")], ids="+".join)
@pytest.mark.parametrize("body", [in_fori_loop, in_scan, in_while_loop, in_cond])
def test_in_loops_and_branches_of_compiled_code(body: Any, kinds: Any) -> None:
    def step(x: Any, a: Any) -> Any:
        return np.tanh(x * a) + x / 4

    def program(f: Any) -> Any:
        def loss(x: Any, a: Any, n: Any) -> Any:
            return np.sum(body(f, x, a, n) ** 2)

        gradient = go.grad(loss, (0, 1))
        return go.compile(
            lambda x, a, n: (
                gradient(x, a, n),
                go.jvp(lambda x, a: loss(x, a, n), (x, a), (a, x))[1],
                go.jvp(lambda x, a: gradient(x, a, n), (x, a), (a, x))[1],
                go.vjp(lambda x, a: gradient(x, a, n), x, a)[1]((a, x)),
            )
        )

    got = flatten(program(automatic(step, *kinds))(X, X[::-1], 3))[0]
    want = flatten(program(step)(X, X[::-1], 3))[0]
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


def test_the_rule_is_used_in_a_loop() -> None:
    f = marked("vjp", "jvp")

    def loss(x: Any, n: Any) -> Any:
        return go.fori_loop(0, n, lambda i, x: f(x), x)

    x, slope = 0.4, 1.0
    for _ in range(3):
        slope, x = slope * np.cos(x), np.sin(x)
    np.testing.assert_allclose(go.compile_grad(loss)(0.4, 3), 1e3 * slope, rtol=1e-13)
    pushed = go.compile(lambda x, n: go.jvp(lambda x: loss(x, n), (x,), (1.0,))[1])
    np.testing.assert_allclose(pushed(0.4, 3), 1e6 * slope, rtol=1e-13)


def test_a_rule_that_captures_a_value_of_a_loop() -> None:
    def loss(x: Any) -> Any:
        def step(i: Any, x: Any) -> Any:
            g = go.custom_vjp(lambda x: x * (i + 1))
            g.defvjp(lambda x: (x * (i + 1), None), lambda _, c: (c * (i + 2),))
            return g(x)

        return go.fori_loop(0, 3, step, x)

    np.testing.assert_allclose(go.grad(loss)(1.0), 24.0)

    def carried(x: Any) -> Any:
        def step(i: Any, x: Any) -> Any:
            g = go.custom_vjp(lambda y: y * x)
            g.defvjp(lambda y: (y * x, None), lambda _, c: (c * x,))
            return g(2.0)

        return go.fori_loop(0, 3, step, x)

    with pytest.raises(go.errors.CompilerError, match="make it an input"):
        go.grad(carried)(1.0)


# -- Under vmap ------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", [("vjp",), ("jvp",), ("vjp", "jvp")], ids="+".join)
def test_rules_are_mapped(kinds: Any) -> None:
    """Batches of some arguments, with derivatives outside, inside, and on both sides."""
    rng = np.random.default_rng(3)
    p = {"w": rng.normal(size=(4, 4)), "b": X}
    xs, ps = rng.normal(size=(3, 2, 4)), {"w": rng.normal(size=(3, 4, 4)), "b": X}
    g, h = automatic(layers, *kinds), layers

    def loss(f: Any, p: Any, x: Any) -> Any:
        out = f(p, x)
        return np.sum(np.sin(out["h"])) * out["norm"]

    def mapped(f: Any, p: Any, xs: Any, axes: Any) -> Any:
        return go.vmap(lambda p, x: loss(f, p, x), axes)(p, xs)

    def everything(f: Any, p: Any, xs: Any, axes: Any) -> Any:
        total = lambda p, xs: np.sum(mapped(f, p, xs, axes) ** 2)  # noqa: E731
        gradient = go.grad(total, (0, 1))
        return (
            mapped(f, p, xs, axes),
            gradient(p, xs),
            go.vmap(go.grad(lambda p, x: loss(f, p, x), (0, 1)), axes)(p, xs),
            go.jvp(gradient, (p, xs), (p, xs)),
            go.jvp(lambda p, xs: mapped(f, p, xs, axes), (p, xs), (p, xs)),
        )

    for params, axes in ((p, (None, 0)), (ps, ({"w": 0, "b": None}, 0))):
        got = flatten(go.compile(lambda p, x, a=axes: everything(g, p, x, a))(params, xs))[0]
        want = flatten(go.compile(lambda p, x, a=axes: everything(h, p, x, a))(params, xs))[0]
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


def test_a_rule_is_used_for_each_element_of_a_batch() -> None:
    @go.custom_vjp
    def normed(x: Any, s: Any) -> Any:
        return x * s

    # A gradient of length 1 for each x, and a cotangent of s that is the same for all.
    normed.defvjp(
        lambda x, s: (x * s, None), lambda _, g: (g / np.sqrt(np.sum(g**2)), np.float64(1))
    )
    xs = np.stack([X, 2 * X, -X])
    weights = np.array([1.0, 5.0, 9.0])[:, None] * np.ones(4)

    def loss(xs: Any, s: Any) -> Any:
        return np.sum(go.vmap(normed, (0, None))(xs, s) * weights)

    dx, ds = go.grad(loss, (0, 1))(xs, 2.0)
    np.testing.assert_allclose(dx, np.full((3, 4), 0.5))
    assert ds == 3.0
    nested = go.vmap(go.vmap(normed, (0, None)), (None, 0))
    np.testing.assert_allclose(nested(xs, np.array([1.0, 3.0])), np.stack([xs, 3 * xs]), rtol=1e-15)
