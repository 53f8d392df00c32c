# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is timed: functions written once, over any library with NumPy's names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import networks
import numpy as np
import sparse

Function = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """One function and its arguments.

    Attributes:
        title: for the table.
        function: makes, from a library's namespace, the function of (parameters, *data).
        arguments: makes parameters, an array or a list of arrays, and data.
        wanted: "gradient", the value of a scalar function and its gradient in the parameters;
            "jacobian" or "hessian", that in the parameters, an array; "tridiagonal", the elements
            of a Hessian that is tridiagonal, row by row; "result", that of the function alone.
        without: the libraries that cannot do it.
        is_plain: whether it is loops on arrays alone, for compilers of these.
    """

    title: str
    function: Callable[[Any], Function]
    arguments: Callable[[np.random.Generator], tuple[Any, ...]]
    wanted: str = "gradient"
    without: tuple[str, ...] = ()
    is_plain: bool = False


def _digits(xp: Any) -> Function:
    def loss(params: Any, x: Any, y: Any) -> Any:
        w0, w1, b0, b1 = params
        h1 = xp.tanh(x @ w0 + b0)
        h2 = xp.tanh(h1 @ w1 + b1)
        yhat = h2 - xp.log(xp.sum(xp.exp(h2), axis=1, keepdims=True))
        return -xp.sum(yhat * y)

    return loss


def _digits_arguments(generator: np.random.Generator) -> tuple[Any, ...]:
    shapes = (64, 64), (64, 10), (64,), (10,)
    params = [0.1 * generator.normal(size=shape) for shape in shapes]
    return params, generator.random((32, 64)), np.eye(10)[generator.integers(10, size=32)]


def _rosenbrock(xp: Any) -> Function:
    return lambda x: xp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def _logistic(xp: Any) -> Function:
    def loss(w: Any, x: Any, t: Any) -> Any:
        return xp.mean(xp.log1p(xp.exp(-t * (x @ w)))) + 0.01 * xp.sum(w * w)

    return loss


def _logistic_arguments(generator: np.random.Generator) -> tuple[Any, ...]:
    labels = np.where(generator.random(10_000) < 0.5, -1.0, 1.0)
    return 0.1 * generator.normal(size=100), generator.normal(size=(10_000, 100)), labels


def _chain(xp: Any) -> Function:
    return lambda x: xp.sum(xp.tanh(xp.sin(x) * xp.exp(-0.5 * x * x) + x))


def _logsumexp(xp: Any) -> Function:
    # torch.max returns positions as well.
    largest = xp.amax if xp.__name__ == "torch" else xp.max

    def loss(x: Any) -> Any:
        top = largest(x, axis=1, keepdims=True)
        return xp.sum(xp.log(xp.sum(xp.exp(x - top), axis=1)) + top[:, 0])

    return loss


def _sort(xp: Any) -> Function:
    def loss(x: Any, w: Any) -> Any:
        ordered = xp.sort(x)
        # torch.sort returns positions as well.
        return xp.sum(w * (ordered[0] if xp.__name__ == "torch" else ordered))

    return loss


def _student(xp: Any) -> Function:
    """The log-likelihood of Student's t distribution, with parameters for each observation."""
    name = xp.__name__.partition(".")[0]
    if name == "jax":
        from jax.scipy.special import gammaln
    elif name == "autograd":
        from autograd.scipy.special import gammaln
    elif name == "torch":
        gammaln = xp.lgamma
    else:
        from scipy.special import gammaln

    def loss(params: Any) -> Any:
        x, df, scale = params
        density = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * xp.log(np.pi * df)
        tail = (df + 1) / 2 * xp.log1p((x / scale) ** 2 / df)
        return xp.sum(density - xp.log(scale) - tail)

    return loss


def _student_arguments(generator: np.random.Generator) -> tuple[Any, ...]:
    size = 10**6
    return (
        [
            generator.standard_t(4, size=size),
            generator.uniform(2, 9, size=size),
            generator.uniform(0.5, 2, size=size),
        ],
    )


def _gaussian_process(xp: Any) -> Function:
    """Minus the logarithm of the marginal likelihood of a Gaussian process."""
    if xp.__name__ == "jax.numpy":
        from jax.scipy.linalg import solve_triangular
    else:
        from scipy.linalg import solve_triangular

    def loss(params: Any, x: Any, y: Any) -> Any:
        scaled = x * xp.exp(-params[:3])
        squares = xp.sum(scaled * scaled, axis=1)
        distances = squares[:, None] + squares[None, :] - 2 * scaled @ scaled.T
        covariances = xp.exp(2 * params[3] - 0.5 * distances)
        lower = xp.linalg.cholesky(covariances + xp.exp(2 * params[4]) * xp.eye(len(y)))
        whitened = solve_triangular(lower, y, lower=True)
        return 0.5 * xp.sum(whitened * whitened) + xp.sum(xp.log(xp.diagonal(lower)))

    return loss


class _PythonLoops:
    """Loops for libraries without any: those of Python."""

    def __init__(self, xp: Any) -> None:
        self._xp = xp

    def fori_loop(self, lower: int, upper: int, body: Function, value: Any) -> Any:
        for i in range(lower, upper):
            value = body(i, value)
        return value

    def while_loop(self, condition: Function, body: Function, value: Any) -> Any:
        while condition(value):
            value = body(value)
        return value

    def scan(self, body: Function, carry: Any, xs: Any) -> tuple[Any, Any]:
        ys: list[Any] = []
        for x in xs:
            carry, y = body(carry, x)
            ys.append(y)
        return carry, self._xp.stack(ys)


def loops(xp: Any) -> Any:
    """fori_loop, while_loop and scan of the library that the namespace belongs to."""
    if xp.__name__ == "jax.numpy":
        import jax

        return jax.lax
    if xp.__name__ == "numpy":
        import gradopt

        return gradopt
    return _PythonLoops(xp)


def _scan(xp: Any) -> Function:
    def loss(params: Any, h: Any, x: Any) -> Any:
        w, u = params

        def cell(h: Any, x: Any) -> Any:
            h = xp.tanh(w @ h + u * x)
            return h, xp.sum(h * h)

        return xp.sum(loops(xp).scan(cell, h, x)[1])

    return loss


def _scan_arguments(generator: np.random.Generator) -> tuple[Any, ...]:
    params = [generator.normal(size=(64, 64)) / 8, generator.normal(size=64)]
    return params, np.zeros(64), generator.normal(size=1000)


def _while(xp: Any) -> Function:
    def loss(x: Any, end: Any) -> Any:
        def step(state: Any) -> Any:
            y, k = state
            return 0.9 * xp.sin(y) + x, k + 1

        return loops(xp).while_loop(lambda s: s[1] < end, step, (x, 0))[0]

    return loss


def _nbody(xp: Any) -> Function:
    def loss(params: Any) -> Any:
        def step(i: Any, state: Any) -> Any:
            place, speed = state
            d = place[:, None, :] - place[None, :, :]
            squares = xp.sum(d * d, axis=2) + 0.1
            speed = speed - 0.01 * xp.sum(d * (squares**-1.5)[:, :, None], axis=1)
            return place + 0.01 * speed, speed

        place, _ = loops(xp).fori_loop(0, 100, step, tuple(params))
        return xp.sum(place * place)

    return loss


def _layers(xp: Any) -> Function:
    def f(x: Any, w0: Any, w1: Any) -> Any:
        return xp.tanh(w1 @ xp.tanh(w0 @ x))

    return f


def _adam(xp: Any) -> Function:
    def step(params: Any, means: Any, squares: Any, grads: Any, count: Any) -> Any:
        rate = 1e-3 * xp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        means = [0.9 * m + 0.1 * g for m, g in zip(means, grads, strict=True)]
        squares = [0.999 * v + 0.001 * g * g for v, g in zip(squares, grads, strict=True)]
        params = [
            p - rate * m / (xp.sqrt(v) + 1e-8)
            for p, m, v in zip(params, means, squares, strict=True)
        ]
        return params, means, squares

    return step


def _adam_arguments(generator: np.random.Generator) -> tuple[Any, ...]:
    # Weights and biases of 25 layers.
    shapes = [(64, 64), (64,)] * 25
    params, means, grads = ([generator.normal(size=s) for s in shapes] for _ in range(3))
    return params, means, [g * g for g in grads], grads, np.float64(7)


CASES = {
    "digits": Case("demo model, batch of 32", _digits, _digits_arguments),
    "rosenbrock": Case("Rosenbrock, n = 4", _rosenbrock, lambda g: (g.normal(size=4),)),
    "logistic": Case("logistic regression, 10,000 x 100", _logistic, _logistic_arguments),
    "hessian": Case(
        "Hessian of logistic regression, 1,000 x 50",
        _logistic,
        lambda g: (
            0.1 * g.normal(size=50),
            g.normal(size=(1000, 50)),
            np.sign(g.normal(size=1000)),
        ),
        wanted="hessian",
    ),
    "jacobian": Case(
        "Jacobian of two layers, 100 to 100",
        _layers,
        lambda g: (g.normal(size=100), *(g.normal(size=(100, 100)) / 10 for _ in range(2))),
        wanted="jacobian",
    ),
    "adam": Case(
        "Adam step, 50 arrays",
        _adam,
        _adam_arguments,
        wanted="result",
    ),
    "chain": Case("elementwise chain, 10^6", _chain, lambda g: (g.normal(size=10**6),)),
    "logsumexp": Case(
        "log-sum-exp, 1000 x 1000", _logsumexp, lambda g: (g.normal(size=(1000, 1000)),)
    ),
    "sort": Case(
        "sum of sorted elements with weights, 10^6",
        _sort,
        lambda g: (g.normal(size=10**6), g.normal(size=10**6)),
    ),
    "quantile": Case(
        "three quantiles, 10^6",
        lambda xp: lambda x, q: xp.sum(xp.quantile(x, q)),
        lambda g: (g.normal(size=10**6), np.array([0.1, 0.5, 0.9])),
        without=("autograd",),
    ),
    "student": Case("log-likelihood of Student's t, 10^6", _student, _student_arguments),
    "gp": Case(
        "marginal likelihood of a Gaussian process, n = 1,000",
        _gaussian_process,
        lambda g: (np.zeros(5) - 0.5, g.normal(size=(1000, 3)), g.normal(size=1000)),
        without=("autograd", "torch"),
    ),
    "sparse-hessian": Case(
        "sparse Hessian of Rosenbrock, n = 10^5",
        _rosenbrock,
        lambda g: (g.normal(size=10**5),),
        wanted="tridiagonal",
        without=("autograd", "torch"),
    ),
    **{
        name: Case(
            f"sparse product, 200,000 elements in rows of {text}",
            sparse.product(kind),
            sparse.arguments(kind, *columns),
            without=("autograd", "torch"),
        )
        for name, kind, columns, text in (
            ("sparse", "even", (), "one length"),
            ("sparse-rows", "power", (), "different length"),
            ("sparse-columns", "power", (8,), "different length, 8 columns"),
        )
    },
    "scan": Case("recurrent cell of 64, scan of 1,000 steps", _scan, _scan_arguments),
    "conv-net": Case(
        "step of a convolutional network, 32 images of 28 x 28",
        networks.conv_net,
        networks.conv_net_arguments,
        without=("numpy", "autograd"),
    ),
    "attention": Case(
        "block of a transformer, 8 x 64 of width 64",
        networks.attention,
        networks.attention_arguments,
    ),
    "lstm": Case(
        "step of an LSTM of 128, batch of 32, 64 steps",
        lambda xp: networks.lstm(xp, loops(xp).scan),
        networks.lstm_arguments,
    ),
    "while": Case(
        "while loop of 10,000 steps, not known before",
        _while,
        lambda g: (np.float64(0.3), np.int64(10_000)),
        without=("jax", "torch"),
    ),
    "nbody": Case(
        "40 bodies, 100 steps",
        _nbody,
        lambda g: ([g.normal(size=(40, 3)), 0.1 * g.normal(size=(40, 3))],),
    ),
}
