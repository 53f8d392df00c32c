# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions of `gradopt.nn` against their definitions, with more digits or as loops over numbers.

Each runs as NumPy code and compiled; derivatives are compared with finite differences.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import gradopt as go
from gradopt import nn

RNG = np.random.default_rng(3)
EXTREMES = [-1e4, -745.0, -90.0, -40.0, -3.0, -1e-9, 0.0, 1e-9, 0.5, 3.0, 40.0, 90.0, 800.0, 1e4]


def both(function: Callable[..., Any], *args: Any) -> Any:
    """The result, which NumPy and compiled code must agree on in value, shape and dtype."""
    with np.errstate(all="raise", under="ignore"):
        plain = function(*args)
    compiled = go.compile(function)(*args)
    assert np.asarray(plain).dtype == np.asarray(compiled).dtype
    single = np.asarray(plain).dtype == np.float32
    np.testing.assert_allclose(
        compiled, plain, rtol=2e-5 if single else 1e-12, atol=1e-6 if single else 1e-14
    )
    return compiled


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


# -- Activations ---------------------------------------------------------------------------------


def mp_gelu_tanh(x: Any) -> Any:
    inner = mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf(0.044715) * x**3)
    return x / (1 + mpmath.exp(-2 * inner))


# The function, its definition, and its derivative.
ACTIVATIONS: dict[str, tuple[Any, Any, Any]] = {
    "tanh": (nn.tanh, mpmath.tanh, lambda x: 1 / mpmath.cosh(x) ** 2),
    "sigmoid": (
        nn.sigmoid,
        lambda x: 1 / (1 + mpmath.exp(-x)),
        lambda x: mpmath.exp(-x) / (1 + mpmath.exp(-x)) ** 2,
    ),
    "relu": (nn.relu, lambda x: max(x, 0), lambda x: 1 if x > 0 else 0),
    "leaky_relu": (
        lambda x: nn.leaky_relu(x, 0.25),
        lambda x: x if x > 0 else x / 4,
        lambda x: 1 if x > 0 else 0.25,
    ),
    "elu": (
        lambda x: nn.elu(x, 1.5),
        lambda x: x if x > 0 else 1.5 * mpmath.expm1(x),
        lambda x: 1 if x > 0 else 1.5 * mpmath.exp(x),
    ),
    "silu": (
        nn.silu,
        lambda x: x / (1 + mpmath.exp(-x)),
        lambda x: (1 + mpmath.exp(-x) * (1 + x)) / (1 + mpmath.exp(-x)) ** 2,
    ),
    "gelu": (
        nn.gelu,
        lambda x: x * mpmath.ncdf(x),
        lambda x: mpmath.ncdf(x) + x * mpmath.npdf(x),
    ),
    "gelu_tanh": (
        lambda x: nn.gelu(x, approximate=True),
        mp_gelu_tanh,
        lambda x: mpmath.diff(mp_gelu_tanh, x) if abs(x) < 100 else (1 if x > 0 else 0),
    ),
    "softplus": (
        nn.softplus,
        lambda x: mpmath.log1p(mpmath.exp(x)) if x < 100 else x,
        lambda x: 1 / (1 + mpmath.exp(-x)),
    ),
}


def exactly(function: Any, x: Any) -> Any:
    with mpmath.workdps(60):
        return np.array([float(function(mpmath.mpf(float(v)))) for v in x])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name: str, dtype: Any) -> None:
    function, value, slope = ACTIVATIONS[name]
    x = np.array(EXTREMES, dtype)
    close = (
        {"rtol": 2e-13, "atol": 1e-300} if dtype == np.float64 else {"rtol": 2e-5, "atol": 1e-30}
    )
    result = both(function, x)
    assert result.dtype == dtype
    np.testing.assert_allclose(result, exactly(value, x), **close)
    gradient = go.grad(lambda x: np.sum(function(x)))(x)
    # Slopes of sums of large terms lose what the terms lose.
    np.testing.assert_allclose(gradient, exactly(slope, x), rtol=close["rtol"], atol=1e-16)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_at_infinity(name: str) -> None:
    function, value, slope = ACTIVATIONS[name]
    ends = np.array([-np.inf, np.inf])
    far = np.array([-1e4, 1e4])
    expected = exactly(value, far)
    expected = np.where(np.abs(expected) > 1000, np.copysign(np.inf, expected), expected)
    expected[0] = -np.inf if name == "leaky_relu" else expected[0]
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(function(ends), expected)
        assert np.isnan(function(np.array([np.nan]))[0])
    np.testing.assert_array_equal(go.compile(function)(ends), expected)
    np.testing.assert_array_equal(go.grad(lambda x: np.sum(function(x)))(ends), exactly(slope, far))
    assert np.isnan(go.compile(function)(np.array([np.nan]))[0])


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("order", [1, 2])
def test_activation_derivatives(name: str, order: int) -> None:
    function = ACTIVATIONS[name][0]
    assert go.gradcheck(function, (np.array([[-2.0, -0.3], [0.4, 1.7]]),), order=order)


def softmax_of(row: Any) -> Any:
    powers = [mpmath.exp(mpmath.mpf(float(v)) - float(max(row))) for v in row]
    return [p / sum(powers) for p in powers]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "rows",
    [
        normal(3, 4),
        normal(2, 1),
        np.array([[1e4, -1e4, 0.0], [-1e4, -1e4 - 1, -1e4 - 2], [700.0, 710.0, 720.0]]),
        np.array([[-np.inf, 0.0, 1.0], [-np.inf, -np.inf, 5.0]]),
    ],
    ids=["plain", "one", "large", "absent"],
)
def test_softmax(rows: Any, dtype: Any) -> None:
    rows = rows.astype(dtype)
    exact = [softmax_of(row) for row in rows]
    rtol = 1e-13 if dtype == np.float64 else 2e-5
    result = both(nn.softmax, rows)
    np.testing.assert_allclose(result, np.array(exact, float), rtol=rtol, atol=1e-300)
    logs = [[float(mpmath.log(p)) if p else -np.inf for p in row] for row in exact]
    result = go.compile(nn.log_softmax)(rows)
    np.testing.assert_allclose(result, logs, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(nn.log_softmax(rows), logs, rtol=rtol, atol=rtol)
    weights = RNG.normal(size=rows.shape).astype(dtype)
    # The derivative of dot(weights, softmax) is p * (w - dot(w, p)).
    p = np.array(exact, float)
    expected = p * (weights - np.sum(weights * p, axis=-1, keepdims=True))
    gradient = go.grad(lambda x: np.sum(weights * nn.softmax(x)))(rows)
    np.testing.assert_allclose(gradient, expected, rtol=10 * rtol, atol=10 * rtol)
    # And that of one element of log_softmax is one less p.
    gradient = go.grad(lambda x: np.sum(nn.log_softmax(x)[:, -1]))(rows)
    np.testing.assert_allclose(gradient, np.eye(p.shape[1])[-1] - p, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("axis", [0, 1, (0, 2), -1])
def test_softmax_axes(axis: Any) -> None:
    x = normal(2, 3, 4)
    powers = np.exp(x)
    expected = powers / powers.sum(axis=axis, keepdims=True)
    np.testing.assert_allclose(both(lambda x: nn.softmax(x, axis), x), expected, rtol=1e-13)
    np.testing.assert_allclose(
        both(lambda x: nn.log_softmax(x, axis), x), np.log(expected), rtol=1e-12
    )
    assert go.gradcheck(lambda x: nn.softmax(x, axis), (x,))
    assert go.gradcheck(lambda x: nn.log_softmax(x, axis), (x,), order=2)


def test_integers_become_floats() -> None:
    x = np.array([-1, 0, 2])
    for function in (nn.sigmoid, nn.elu, nn.silu, nn.gelu, nn.softplus, nn.softmax):
        np.testing.assert_allclose(both(function, x), function(x.astype(float)), rtol=1e-14)


# -- Normalisation -------------------------------------------------------------------------------


def normalised(values: Any, eps: float) -> Any:
    mean = math.fsum(values) / len(values)
    variance = math.fsum((v - mean) ** 2 for v in values) / len(values)
    return [(v - mean) / math.sqrt(variance + eps) for v in values]


@pytest.mark.parametrize("shape", [(3,), (2, 5), (2, 3, 4), (2, 1), (1, 1, 3)])
def test_layer_norm(shape: tuple[int, ...]) -> None:
    x, w, b = normal(*shape), normal(shape[-1]), normal(shape[-1])
    rows = np.array([normalised(row, 1e-5) for row in x.reshape(-1, shape[-1])])
    np.testing.assert_allclose(
        both(nn.layer_norm, x, w, b), rows.reshape(shape) * w + b, rtol=1e-12, atol=1e-13
    )
    np.testing.assert_allclose(both(nn.layer_norm, x), rows.reshape(shape), rtol=1e-12, atol=1e-13)
    assert go.gradcheck(nn.layer_norm, (x, w, b))
    result = both(nn.layer_norm, *[v.astype(np.float32) for v in (x + 1e3, w, b)])
    assert result.dtype == np.float32


def test_layer_norm_of_several_axes() -> None:
    x, w = normal(2, 3, 4), normal(3, 4)
    expected = np.array([normalised(block.ravel(), 0.1) for block in x]).reshape(2, 3, 4) * w
    np.testing.assert_allclose(
        both(lambda x, w: nn.layer_norm(x, w, axis=(-2, -1), eps=0.1), x, w), expected, rtol=1e-12
    )


@pytest.mark.parametrize("shape", [(3,), (2, 5), (2, 3, 4), (2, 1)])
def test_rms_norm(shape: tuple[int, ...]) -> None:
    x, w = normal(*shape), normal(shape[-1])
    expected = x / np.sqrt((x * x).sum(-1, keepdims=True) / shape[-1] + 1e-6) * w
    np.testing.assert_allclose(both(nn.rms_norm, x, w), expected, rtol=1e-13)
    assert go.gradcheck(nn.rms_norm, (x, w))


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("shape", [(2, 4), (2, 4, 3), (1, 4, 2, 3)])
def test_group_norm(groups: int, shape: tuple[int, ...]) -> None:
    x, w, b = normal(*shape), normal(4), normal(4)
    expected = np.empty(shape)
    size = 4 // groups
    for n in range(shape[0]):
        for g in range(groups):
            part = x[n, g * size : (g + 1) * size]
            expected[n, g * size : (g + 1) * size] = np.reshape(
                normalised(part.ravel(), 1e-5), part.shape
            )
    tail = (1,) * (len(shape) - 2)
    expected = expected * w.reshape(4, *tail) + b.reshape(4, *tail)
    apply = lambda x, w, b: nn.group_norm(x, groups, w, b)  # noqa: E731
    np.testing.assert_allclose(both(apply, x, w, b), expected, rtol=1e-11, atol=1e-12)
    assert go.gradcheck(apply, (x, w, b))


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 5), (2, 3, 2, 2)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_batch_norm(shape: tuple[int, ...], dtype: Any) -> None:
    x, w, b = (v.astype(dtype) for v in (normal(*shape), normal(3), normal(3)))
    state = {"mean": normal(3).astype(dtype), "var": np.exp(normal(3)).astype(dtype)}

    def train(x: Any, state: Any, w: Any, b: Any) -> Any:
        return nn.batch_norm(x, state, w, b, training=True, momentum=0.25)

    def apply(x: Any, state: Any, w: Any, b: Any) -> Any:
        return nn.batch_norm(x, state, w, b, training=False)

    rtol = 1e-11 if dtype == np.float64 else 1e-4
    for run in (train, go.compile(train)):
        y, following = run(x, state, w, b)
        assert y.dtype == following["mean"].dtype == following["var"].dtype == dtype
        for c in range(3):
            channel = x[:, c].astype(np.float64).ravel()
            wanted = np.array(normalised(channel, 1e-5)) * w[c] + b[c]
            np.testing.assert_allclose(y[:, c].ravel(), wanted, rtol=rtol, atol=rtol)
            mean = math.fsum(channel) / len(channel)
            variance = math.fsum((channel - mean) ** 2) / (len(channel) - 1)
            for name, new in (("mean", mean), ("var", variance)):
                np.testing.assert_allclose(
                    following[name][c], 0.75 * state[name][c] + 0.25 * new, rtol=rtol, atol=rtol
                )
    for run in (apply, go.compile(apply)):
        y, same = run(x, state, w, b)
        for name in state:
            np.testing.assert_array_equal(same[name], state[name])
        for c in range(3):
            wanted = (x[:, c] - state["mean"][c]) / np.sqrt(state["var"][c] + 1e-5) * w[c] + b[c]
            np.testing.assert_allclose(y[:, c], wanted, rtol=rtol, atol=rtol)


def test_batch_norm_derivatives() -> None:
    x, w, b = normal(4, 3, 2), normal(3), normal(3)
    state = {"mean": normal(3), "var": np.exp(normal(3))}
    for training in (True, False):
        assert go.gradcheck(
            lambda x, w, b, t=training: nn.batch_norm(x, state, w, b, training=t)[0], (x, w, b)
        )
    # What runs into the state does not pull on the parameters.
    through = go.grad(lambda x: np.sum(nn.batch_norm(x, state, training=True)[1]["var"]))(x)
    np.testing.assert_array_equal(through, 0)


# -- Losses --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(), (1,), (3, 4)])
def test_losses_of_differences(shape: tuple[int, ...], dtype: Any) -> None:
    p, t = normal(*shape).astype(dtype) * 2, normal(*shape).astype(dtype)
    p, t = np.asarray(p, dtype)[()], np.asarray(t, dtype)[()]
    d = (p.astype(float) - t).ravel().tolist()
    rows = {
        nn.mse_loss: [v * v for v in d],
        nn.l1_loss: [abs(v) for v in d],
        lambda p, t, r: nn.huber_loss(p, t, 0.7, r): [
            v * v / 2 if abs(v) <= 0.7 else 0.7 * (abs(v) - 0.35) for v in d
        ],
    }
    rtol = 1e-12 if dtype == np.float64 else 1e-4
    for loss, each in rows.items():
        for reduction, expected in (
            ("none", np.reshape(each, shape)),
            ("sum", math.fsum(each)),
            ("mean", math.fsum(each) / len(each)),
        ):
            result = both(lambda p, t, f=loss, r=reduction: f(p, t, r), p, t)
            assert result.dtype == dtype
            np.testing.assert_allclose(result, expected, rtol=rtol, atol=1e-6 * rtol)
        if dtype == np.float64:
            assert go.gradcheck(lambda p, t, f=loss: f(p, t, "mean"), (p, t))


def test_losses_at_kinks() -> None:
    zero = np.zeros(1)
    assert go.grad(nn.l1_loss)(zero, zero) == 0
    assert go.grad(nn.huber_loss)(zero, zero) == 0
    assert go.grad(lambda x: go.grad(lambda x: nn.huber_loss(x, zero))(x)[0])(zero) == 1
    edge = np.array([-1.0, 1.0])
    np.testing.assert_array_equal(
        go.grad(lambda x: nn.huber_loss(x, 0 * x, reduction="sum"))(edge), edge
    )
    far = np.array([-1e4, 1e4])
    np.testing.assert_array_equal(
        go.grad(lambda x: nn.huber_loss(x, 0 * edge, reduction="sum"))(far), edge
    )


def bce(x: Any, t: Any) -> Any:
    return nn.bce_with_logits_loss(x, t, 2.0, "none")


def test_bce_with_logits() -> None:
    logits = np.array(EXTREMES)
    for target in (0.0, 0.3, 1.0):
        targets = np.full(len(EXTREMES), target)
        with mpmath.workdps(5000):
            probabilities = [1 / (1 + mpmath.exp(-mpmath.mpf(v))) for v in EXTREMES]
            expected = [
                float(-2 * target * mpmath.log(p) - (1 - target) * mpmath.log(1 - p))
                for p in probabilities
            ]
            slopes = [float(-2 * target * (1 - p) + (1 - target) * p) for p in probabilities]
        np.testing.assert_allclose(both(bce, logits, targets), expected, rtol=1e-12, atol=1e-300)
        np.testing.assert_allclose(
            go.grad(lambda x, t=targets: np.sum(bce(x, t)))(logits), slopes, rtol=1e-12, atol=1e-16
        )
    sure = np.array([np.inf, -np.inf])
    assert go.compile(nn.bce_with_logits_loss)(sure, np.array([1.0, 0.0])) == 0
    assert go.compile(nn.bce_with_logits_loss)(sure, np.array([0.0, 1.0])) == np.inf
    x, t = normal(3), np.array([0.1, 0.5, 0.8])
    assert go.gradcheck(nn.bce_with_logits_loss, (x, t))


def log_probabilities(row: Any) -> list[Any]:
    return [mpmath.log(p) for p in softmax_of(row)]


@pytest.mark.parametrize("shape", [(), (1,), (4,), (2, 3)])
@pytest.mark.parametrize("classes", [1, 5])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy(shape: tuple[int, ...], classes: int, smoothing: float) -> None:
    logits = normal(*shape, classes) * 3
    labels = np.asarray(RNG.integers(0, classes, shape))
    each = []
    targets = np.zeros((labels.size, classes))
    for i, (row, label) in enumerate(zip(logits.reshape(-1, classes), labels.ravel(), strict=True)):
        logs = log_probabilities(row)
        targets[i, label] = 1
        each.append(float(-(1 - smoothing) * logs[label] - smoothing * sum(logs) / classes))
    expected = np.reshape(each, shape)
    one_hot = targets.reshape(logits.shape)

    def loss(x: Any, t: Any) -> Any:
        return nn.cross_entropy_loss(x, t, smoothing, "none")

    def mean(x: Any, t: Any) -> Any:
        return nn.cross_entropy_loss(x, t, smoothing)

    for given in (labels, one_hot):
        np.testing.assert_allclose(both(loss, logits, given), expected, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(
            both(mean, logits, given),
            expected.mean(),
            rtol=1e-12,
            atol=1e-14,
        )
        if len(shape) != 1:
            assert go.gradcheck(mean, (logits, given), 0)
        single = go.compile(loss)(logits.astype(np.float32), given)
        assert single.dtype == np.float32
    nll = lambda x, t: nn.nll_loss(x, t, "none")  # noqa: E731
    np.testing.assert_allclose(
        both(nll, logits, labels), -np.sum(logits * one_hot, axis=-1), rtol=1e-14
    )


def test_cross_entropy_of_impossible_classes() -> None:
    logits = np.array([[0.0, -np.inf, 1e4], [-1e4, -np.inf, 0.0]])
    labels = np.array([2, 0])
    one_hot = np.eye(3)[labels]
    for targets in (labels, one_hot):
        assert go.compile(nn.cross_entropy_loss)(logits, targets) == 5000
        np.testing.assert_array_equal(
            go.grad(nn.cross_entropy_loss)(logits, targets), [[0, 0, 0], [-0.5, 0, 0.5]]
        )


def test_kl_div() -> None:
    logits = normal(3, 4)
    targets = np.exp(normal(3, 4))
    targets[1, 2] = 0
    targets /= targets.sum(-1, keepdims=True)
    expected = [
        float(
            sum(
                t * (mpmath.log(t) - p) for t, p in zip(row, log_probabilities(x), strict=True) if t
            )
        )
        for row, x in zip(targets, logits, strict=True)
    ]
    loss = lambda x, t, r="none": nn.kl_div_loss(nn.log_softmax(x), t, r)  # noqa: E731
    np.testing.assert_allclose(both(loss, logits, targets), expected, rtol=1e-12)
    assert both(lambda x, t: loss(x, t, "mean"), logits, targets) == pytest.approx(
        np.mean(expected)
    )
    assert go.gradcheck(lambda x: loss(x, targets), (logits,))
    certain = np.array([[1.0, 0.0]])
    assert go.compile(nn.kl_div_loss)(np.array([[0.0, -np.inf]]), certain) == 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: nn.mse_loss(np.zeros((3, 1)), np.zeros(3)),
            go.errors.ShapeError,
            r"predictions and targets of one shape, but got \(3, 1\) and \(3,\)",
        ),
        (
            lambda: nn.l1_loss(np.zeros(3), np.zeros(3), "average"),
            go.errors.ArgumentError,
            "reduction must be 'mean', 'sum' or 'none', but it is 'average'",
        ),
        (
            lambda: nn.nll_loss(np.zeros((3, 4)), np.zeros(4, int)),
            go.errors.ShapeError,
            r"expected labels of shape \(3,\), but got \(4,\)",
        ),
        (
            lambda: nn.nll_loss(np.zeros((3, 4)), np.zeros(3)),
            go.errors.ArgumentTypeError,
            "expected labels of integers, but got float64",
        ),
        (
            lambda: nn.cross_entropy_loss(np.zeros((3, 4)), np.zeros(3)),
            go.errors.ShapeError,
            "logits and targets of one shape",
        ),
        (lambda: nn.huber_loss(0.0, 0.0, 0.0), go.errors.ArgumentError, "delta must be positive"),
        (
            lambda: nn.cross_entropy_loss(np.zeros(2), np.array(0), 1.5),
            go.errors.ArgumentError,
            r"label_smoothing must be in \[0, 1\]",
        ),
        (
            lambda: nn.group_norm(np.zeros((2, 4)), 3),
            go.errors.ArgumentError,
            "groups must divide the 4 channels, but they are 3",
        ),
        (
            lambda: nn.group_norm(np.zeros((2, 4)), 2, np.zeros(2)),
            go.errors.ShapeError,
            r"expected weight of shape \(4,\), but got \(2,\)",
        ),
        (
            lambda: nn.batch_norm(
                np.zeros((1, 4)), {"mean": np.zeros(4), "var": np.ones(4)}, training=True
            ),
            go.errors.ArgumentError,
            "more than one element of each channel",
        ),
        (
            lambda: nn.batch_norm(
                np.zeros((2, 4)), {"mean": np.zeros(3), "var": np.ones(4)}, training=False
            ),
            go.errors.ShapeError,
            r"expected state\['mean'\] of shape \(4,\), but got \(3,\)",
        ),
    ],
)
def test_bad_input(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    for run in (call, go.compile(call)):
        with pytest.raises(error, match=message) as caught:
            run()
        assert caught.value.location is not None
        assert caught.value.location.file == __file__
