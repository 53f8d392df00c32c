# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""check_custom: right rules pass, and each kind of mistake is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt.errors import ArgumentTypeError, DerivativeRuleError, GradientCheckError

X = np.array([[0.3, -0.7], [1.2, 0.5]])
PARAMS = {"w": X, "b": np.array([0.1, 0.2])}


def layer(n: int, p: Any, x: Any) -> Any:
    return {"y": np.tanh(x @ p["w"] + p["b"]) * n, "n": n}


def made(error: str = "") -> Any:
    """The layer with rules of both kinds, with one mistake in them."""
    f = go.custom_vjp(layer, nondiff_argnums=0)

    def fwd(n: int, p: Any, x: Any) -> Any:
        h = np.tanh(x @ p["w"] + p["b"])
        return {"y": h * n + (1e-3 if error == "fwd" else 0), "n": n}, (h, p["w"], x)

    def bwd(n: int, res: Any, g: Any) -> Any:
        h, w, x = res
        d = g["y"] * n * (1 - h**2)
        db = d.sum(0)
        if error == "bwd":
            db = db * np.array([1, 1.01])
        return {"w": x.T @ d, "b": db}, d @ w.T

    def rule(n: int, primals: Any, tangents: Any) -> Any:
        (p, x), (tp, tx) = primals, tangents
        h = np.tanh(x @ p["w"] + p["b"])
        t = (tx @ p["w"] + x @ tp["w"] + tp["b"]) * (1 - h**2) * n
        if error == "jvp":
            t = t + 0.01 * tx
        y = {"y": h * n + (1e-3 if error == "result" else 0), "n": n}
        return y, {"y": t, "n": None}

    f.defvjp(fwd, bwd)
    f.defjvp(rule)
    return f


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_right_rules(dtype: Any) -> None:
    params = {k: v.astype(dtype) for k, v in PARAMS.items()}
    assert go.check_custom(made(), (3, params, X.astype(dtype)))
    if dtype is np.float64:
        assert go.check_custom(made(), (3, params, X), order=2)


@pytest.mark.parametrize(
    ("error", "message", "path", "index"),
    [
        ("bwd", "reverse derivative of layer", "p['b']", (1,)),
        ("jvp", "forward derivative of layer", "x", (0, 0)),
        ("fwd", "the fwd rule of layer returns another result", "result['y']", (0, 0)),
        ("result", "the jvp rule of layer returns another result", "result['y']", (0, 0)),
    ],
)
def test_mistakes(error: str, message: str, path: str, index: Any) -> None:
    with pytest.raises(GradientCheckError, match=message) as info:
        go.check_custom(made(error), (3, PARAMS, X))
    assert (info.value.path, info.value.index) == (path, index)
    assert abs(info.value.numeric - info.value.analytic) > 1e-4


@pytest.mark.parametrize(
    ("error", "path", "index", "ratio"), [("bwd", "p['b']", (1,), 1.01), ("jvp", "x", (0, 0), None)]
)
def test_rules_that_disagree(error: str, path: str, index: Any, ratio: Any) -> None:
    with pytest.raises(GradientCheckError, match="do not agree at") as info:
        go.check_custom(made(error), (3, PARAMS, X), differences=False)
    assert (info.value.path, info.value.index) == (path, index)
    if ratio is not None:
        np.testing.assert_allclose(info.value.analytic / info.value.numeric, ratio)


def test_rules_that_are_meant_to_differ() -> None:
    f = go.custom_vjp(lambda x: np.round(x))
    f.defvjp(lambda x: (np.round(x), None), lambda _, g: (g,))
    f.defjvp(lambda p, t: (np.round(p[0]), t[0]))
    assert go.check_custom(f, X, differences=False)
    with pytest.raises(
        GradientCheckError, match=r"derivative of lambda of order 1 .* at x\[0, 0\]"
    ):
        go.check_custom(f, X)


def test_rules_of_one_kind() -> None:
    f = go.custom_jvp(np.sin)
    f.defjvps(lambda t, ans, x: np.cos(x) * t)
    assert go.check_custom(f, X)
    g = go.custom_vjp(np.sin)
    # No forward mode to be checked: bwd is not linear.
    g.defvjp(lambda x: (np.sin(x), np.cos(x)), lambda c, g: (np.clip(c * g, -9, 9),))
    assert go.check_custom(g, X)


def test_what_cannot_be_checked() -> None:
    with pytest.raises(ArgumentTypeError, match="there is gradcheck"):
        go.check_custom(np.sin, X)  # type: ignore
    with pytest.raises(DerivativeRuleError, match="without a rule"):
        go.check_custom(go.custom_vjp(np.sin), X)
    f = go.custom_vjp(lambda x: x)
    f.defvjp(lambda x: (x, None), lambda _, g: (g[:1],))
    with pytest.raises(DerivativeRuleError, match="for the argument x"):
        go.check_custom(f, X)
