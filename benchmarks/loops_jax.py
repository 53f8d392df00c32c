# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs of `loops` for JAX: its own loops, and updates that make new arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Array = Any


def _repeat(steps: int, body: Callable[[Any, Any], Any], state: Any, start: int = 0) -> Any:
    import jax

    return jax.lax.fori_loop(start, steps, body, state)


def _to_and_fro(half: Callable[[Array, Array], Array], a: Array, steps: int) -> Array:
    """Makes each of two arrays of the other one, in turns."""

    def step(_: Any, state: Any) -> Any:
        a, b = state
        b = half(a, b)
        return half(b, a), b

    return _repeat(steps, step, (a, a))[0]


def jacobi_2d(a: Array, steps: int) -> Array:
    def half(a: Array, b: Array) -> Array:
        return b.at[1:-1, 1:-1].set(
            0.2 * (a[1:-1, 1:-1] + a[1:-1, :-2] + a[1:-1, 2:] + a[2:, 1:-1] + a[:-2, 1:-1])
        )

    return _to_and_fro(half, a, steps)


def seidel_2d(a: Array, steps: int) -> Array:
    import jax

    n = len(a)

    def row(i: Any, a: Array) -> Array:
        above, here, below = a[i - 1], a[i], a[i + 1]
        here = here.at[1:-1].add(
            above[:-2] + above[1:-1] + above[2:] + here[2:] + below[:-2] + below[1:-1] + below[2:]
        )

        def next_one(left: Array, x: Array) -> tuple[Array, Array]:
            new = (x + left) / 9.0
            return new, new

        inside = jax.lax.scan(next_one, here[0], here[1:-1])[1]
        return a.at[i, 1:-1].set(inside)

    def step(_: Any, a: Array) -> Array:
        return jax.lax.fori_loop(1, n - 1, row, a)

    return _repeat(steps, step, a)


def heat_3d(a: Array, steps: int) -> Array:
    inner = slice(1, -1)

    def half(a: Array, b: Array) -> Array:
        here = a[inner, inner, inner]
        around = a[2:, inner, inner] + a[:-2, inner, inner] + a[inner, 2:, inner]
        around = around + a[inner, :-2, inner] + a[inner, inner, 2:] + a[inner, inner, :-2]
        return b.at[inner, inner, inner].set(0.125 * (around - 6 * here) + here)

    return _to_and_fro(half, a, steps)


def adi(u: Array, steps: int) -> Array:
    import jax
    import jax.numpy as jnp

    n = len(u)
    mul = steps * (1.0 / n) ** -2 / 1000.0
    a, b, c = -mul / 2.0, 1.0 + mul, -mul / 2.0
    ones = jnp.ones(n - 2)

    def sweep(source: Array, target: Array) -> Array:
        def forward(state: Any, row: Array) -> Any:
            p, q = state
            divisor = a * p + b
            right = -a * row[:-2] + (1.0 + 2.0 * a) * row[1:-1] - c * row[2:] - a * q
            state = -c / divisor, right / divisor
            return state, state

        def backward(after: Array, state: Any) -> Any:
            p, q = state
            new = p * after + q
            return new, new

        rows = jax.lax.scan(forward, (0.0 * ones, ones), source[1:-1])[1]
        found = jax.lax.scan(backward, ones, rows, reverse=True)[1]
        return target.at[0, :].set(1.0).at[-1, :].set(1.0).at[1:-1, 1:-1].set(found)

    def step(_: Any, state: Any) -> Any:
        u, v = state
        v = sweep(u, v)
        return sweep(v.T, u.T).T, v

    return _repeat(steps, step, (u, u))[0]


def hdiff(field: Array, coefficient: Array) -> Array:
    import jax.numpy as jnp

    lap = 4.0 * field[1:-1, 1:-1] - (
        field[2:, 1:-1] + field[:-2, 1:-1] + field[1:-1, 2:] + field[1:-1, :-2]
    )
    res = lap[1:, 1:-1] - lap[:-1, 1:-1]
    flx = jnp.where(res * (field[2:-1, 2:-2] - field[1:-2, 2:-2]) > 0, 0.0, res)
    res = lap[1:-1, 1:] - lap[1:-1, :-1]
    fly = jnp.where(res * (field[2:-2, 2:-1] - field[2:-2, 1:-2]) > 0, 0.0, res)
    return field[2:-2, 2:-2] - coefficient * (flx[1:] - flx[:-1] + fly[:, 1:] - fly[:, :-1])


def vadv(u: Array, wcon: Array, utens: Array) -> Array:
    import jax
    import jax.numpy as jnp

    u, wcon, utens = (jnp.moveaxis(x, 2, 0) for x in (u, wcon, utens))
    gcv = 0.25 * wcon[1]
    bcol = 3.0 - 0.9 * gcv
    first = 0.9 * gcv / bcol, (3.0 * u[0] + utens[0] - gcv * (u[1] - u[0])) / bcol

    def forward(state: Any, xs: Any) -> Any:
        c, d = state
        before, here, after, w, w_after, tendency = xs
        gav, gcv = -0.25 * w, 0.25 * w_after
        acol, rest = gav * 0.9, gcv * 0.9
        correction = -gav * (before - here) - gcv * (after - here)
        divided = 1.0 / (3.0 - acol - rest - c * acol)
        state = rest * divided, (3.0 * here + tendency + correction - d * acol) * divided
        return state, state

    rows = u[:-2], u[1:-1], u[2:], wcon[1:-1], wcon[2:], utens[1:-1]
    (c, d), (cs, ds) = jax.lax.scan(forward, first, rows)
    gav = -0.25 * wcon[-1]
    divided = 1.0 / (3.0 - gav * 0.9 - c * gav * 0.9)
    last = (3.0 * u[-1] + utens[-1] - d * gav * 0.9) * divided

    def backward(after: Array, state: Any) -> Any:
        new = state[1] - state[0] * after
        return new, new

    every = tuple(jnp.concatenate([x[None], xs]) for x, xs in zip(first, (cs, ds), strict=True))
    found = jax.lax.scan(backward, last, every, reverse=True)[1]
    return jnp.moveaxis(jnp.concatenate([found, last[None]]), 0, 2)


def next_speeds(
    u: Array, v: Array, p: Array, dx: float, dt: float, rho: float, nu: float
) -> tuple[Array, Array]:
    """Those of the inside of the box, of any library."""
    inside = u[1:-1, 1:-1]
    new_u = (
        inside
        - inside * dt / dx * (inside - u[1:-1, :-2])
        - v[1:-1, 1:-1] * dt / dx * (inside - u[:-2, 1:-1])
        - dt / (2 * rho * dx) * (p[1:-1, 2:] - p[1:-1, :-2])
        + nu * dt / dx**2
        * (u[1:-1, 2:] + u[1:-1, :-2] + u[2:, 1:-1] + u[:-2, 1:-1] - 4 * inside)
    )  # fmt: skip
    inside = v[1:-1, 1:-1]
    new_v = (
        inside
        - u[1:-1, 1:-1] * dt / dx * (inside - v[1:-1, :-2])
        - inside * dt / dx * (inside - v[:-2, 1:-1])
        - dt / (2 * rho * dx) * (p[2:, 1:-1] - p[:-2, 1:-1])
        + nu * dt / dx**2
        * (v[1:-1, 2:] + v[1:-1, :-2] + v[2:, 1:-1] + v[:-2, 1:-1] - 4 * inside)
    )  # fmt: skip
    return new_u, new_v


def cavity_flow(u: Array, v: Array, steps: int, inner: int) -> Array:
    import jax.numpy as jnp

    n = len(u)
    dx, dt, rho, nu = 2.0 / (n - 1), 0.0005, 1.0, 0.1

    def step(_: Any, state: Any) -> Any:
        u, v, p = state
        across = (u[1:-1, 2:] - u[1:-1, :-2]) / (2 * dx)
        along = (v[2:, 1:-1] - v[:-2, 1:-1]) / (2 * dx)
        mixed = (u[2:, 1:-1] - u[:-2, 1:-1]) * (v[1:-1, 2:] - v[1:-1, :-2]) / (4 * dx * dx)
        b = rho * ((across + along) / dt - across**2 - 2 * mixed - along**2)

        def relax(_: Any, p: Array) -> Array:
            around = p[1:-1, 2:] + p[1:-1, :-2] + p[2:, 1:-1] + p[:-2, 1:-1]
            p = p.at[1:-1, 1:-1].set(around / 4 - dx * dx / 4 * b)
            p = p.at[:, -1].set(p[:, -2])
            p = p.at[0, :].set(p[1, :])
            p = p.at[:, 0].set(p[:, 1])
            return p.at[-1, :].set(0.0)

        p = _repeat(inner, relax, p)
        new_u, new_v = next_speeds(u, v, p, dx, dt, rho, nu)
        return jnp.pad(new_u, 1).at[-1, :].set(1.0), jnp.pad(new_v, 1), p

    return _repeat(steps, step, (u, v, jnp.zeros((n, n))))[0]


def lu(a: Array) -> Array:
    """By outer products, with masks: parts have no sizes that are known at run time alone."""
    import jax.numpy as jnp

    n = len(a)
    places = jnp.arange(n)

    def step(k: Any, a: Array) -> Array:
        factors = jnp.where(places > k, a[:, k] / a[k, k], 0.0)
        a = a.at[:, k].set(jnp.where(places > k, factors, a[:, k]))
        return a - factors[:, None] * jnp.where(places > k, a[k], 0.0)

    return _repeat(n, step, a)


def cholesky(a: Array) -> Array:
    import jax.numpy as jnp

    n = len(a)
    places = jnp.arange(n)

    def step(j: Any, a: Array) -> Array:
        before = jnp.where(places < j, a[j], 0.0)
        column = a[:, j] - a @ before
        column = column / jnp.sqrt(column[j])
        return a.at[:, j].set(jnp.where(places >= j, column, a[:, j]))

    return _repeat(n, step, a)


def gramschmidt(a: Array) -> Array:
    import jax
    import jax.numpy as jnp

    n = a.shape[1]
    places = jnp.arange(n)

    def step(a: Array, k: Any) -> tuple[Array, Array]:
        q = a[:, k] / jnp.sqrt(a[:, k] @ a[:, k])
        return a - q[:, None] * jnp.where(places > k, q @ a, 0.0), q

    return jax.lax.scan(step, a, places)[1].T


def durbin(r: Array) -> Array:
    import jax.numpy as jnp

    n = len(r)
    places = jnp.arange(n)

    def step(k: Any, state: Any) -> Any:
        y, alpha, beta = state
        beta = beta * (1.0 - alpha * alpha)
        turned = jnp.where(places < k, jnp.roll(y[::-1], k), 0.0)
        alpha = -(r[k] + r @ turned) / beta
        return (y + alpha * turned).at[k].set(alpha), alpha, beta

    start = jnp.zeros(n).at[0].set(-r[0]), -r[0], 1.0
    return _repeat(n, step, start, start=1)[0]


def trmm(a: Array, b: Array) -> Array:
    import jax.numpy as jnp

    places = jnp.arange(len(b))

    def row(i: Any, b: Array) -> Array:
        return b.at[i].add(jnp.where(places > i, a[:, i], 0.0) @ b)

    return 1.5 * _repeat(len(b), row, b)


def syr2k(a: Array, b: Array, c: Array) -> Array:
    import jax.numpy as jnp

    places = jnp.arange(len(c))

    def row(i: Any, c: Array) -> Array:
        new = 1.2 * c[i] + 1.5 * (a @ b[i] + b @ a[i])
        return c.at[i].set(jnp.where(places <= i, new, c[i]))

    return _repeat(len(c), row, c)


def nbody(position: Array, velocity: Array, mass: Array, steps: int) -> Array:
    def step(_: Any, state: Any) -> Any:
        position, velocity = state
        d = position[None, :, :] - position[:, None, :]
        near = ((d**2).sum(axis=2) + 0.01) ** -1.5
        velocity = velocity + 0.01 * (d * (near * mass)[:, :, None]).sum(axis=1)
        return position + 0.01 * velocity, velocity

    return _repeat(steps, step, (position, velocity))[0]


def go_fast(a: Array) -> Array:
    import jax.numpy as jnp

    return a + _repeat(len(a), lambda i, trace: trace + jnp.tanh(a[i, i]), 0.0)


def conv2d(x: Array, w: Array) -> Array:
    import jax
    import jax.numpy as jnp

    size = w.shape[0]
    rows, columns = x.shape[1] - size + 1, x.shape[2] - size + 1
    flat = w.reshape(-1, w.shape[3])
    shape = x.shape[0], size, size, x.shape[3]

    def pixel(number: Any, out: Array) -> Array:
        i, j = number // columns, number % columns
        patch = jax.lax.dynamic_slice(x, (0, i, j, 0), shape)
        return out.at[:, i, j, :].set(patch.reshape(x.shape[0], -1) @ flat)

    out = jnp.zeros((x.shape[0], rows, columns, w.shape[3]))
    return _repeat(rows * columns, pixel, out)


def softmax(x: Array) -> Array:
    import jax.numpy as jnp

    weights = jnp.exp(x - jnp.max(x))
    return weights / jnp.sum(weights, axis=-1, keepdims=True)


def mlp(x: Array, w1: Array, w2: Array, w3: Array) -> Array:
    import jax.numpy as jnp

    h = jnp.maximum(x @ w1, 0.0)
    h = jnp.maximum(h @ w2, 0.0)
    h = jnp.exp(h @ w3 * 0.1)
    return h / jnp.sum(h, axis=1, keepdims=True)


def lenet(x: Array, w1: Array, w2: Array, w3: Array, w4: Array) -> Array:
    import jax.numpy as jnp

    h = x
    for w in (w1, w2):
        h = jnp.maximum(conv2d(h, w), 0.0)
        count, rows, columns, channels = h.shape
        parts = h[:, : rows // 2 * 2, : columns // 2 * 2]
        h = parts.reshape(count, rows // 2, 2, columns // 2, 2, channels).max(axis=(2, 4))
    return jnp.maximum(h.reshape(h.shape[0], -1) @ w3, 0.0) @ w4
