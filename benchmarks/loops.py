# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs of loops and writes, as they are written for NumPy, in two sizes.

    python benchmarks/run.py --loops

times the result of each, also with Numba, and the gradient of the sum of its cubes: that of squares
is 0 for some. JAX and PyTorch have versions of their own, with loops as these libraries want them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import loops_jax
import loops_torch
import numpy as np
from cases import Case

# -- Stencils ----------------------------------------------------------------------------------


def jacobi_2d(a, steps):
    a = a.copy()
    b = a.copy()
    for _ in range(steps):
        b[1:-1, 1:-1] = 0.2 * (
            a[1:-1, 1:-1] + a[1:-1, :-2] + a[1:-1, 2:] + a[2:, 1:-1] + a[:-2, 1:-1]
        )
        a[1:-1, 1:-1] = 0.2 * (
            b[1:-1, 1:-1] + b[1:-1, :-2] + b[1:-1, 2:] + b[2:, 1:-1] + b[:-2, 1:-1]
        )
    return a


def seidel_2d(a, steps):
    a = a.copy()
    n = len(a)
    for _ in range(steps):
        for i in range(1, n - 1):
            a[i, 1:-1] += (
                a[i - 1, :-2] + a[i - 1, 1:-1] + a[i - 1, 2:] + a[i, 2:]
                + a[i + 1, :-2] + a[i + 1, 1:-1] + a[i + 1, 2:]
            )  # fmt: skip
            for j in range(1, n - 1):
                a[i, j] += a[i, j - 1]
                a[i, j] /= 9.0
    return a


def heat_3d(a, steps):
    a = a.copy()
    b = a.copy()
    for _ in range(steps):
        b[1:-1, 1:-1, 1:-1] = (
            0.125 * (a[2:, 1:-1, 1:-1] - 2.0 * a[1:-1, 1:-1, 1:-1] + a[:-2, 1:-1, 1:-1])
            + 0.125 * (a[1:-1, 2:, 1:-1] - 2.0 * a[1:-1, 1:-1, 1:-1] + a[1:-1, :-2, 1:-1])
            + 0.125 * (a[1:-1, 1:-1, 2:] - 2.0 * a[1:-1, 1:-1, 1:-1] + a[1:-1, 1:-1, :-2])
            + a[1:-1, 1:-1, 1:-1]
        )
        a[1:-1, 1:-1, 1:-1] = (
            0.125 * (b[2:, 1:-1, 1:-1] - 2.0 * b[1:-1, 1:-1, 1:-1] + b[:-2, 1:-1, 1:-1])
            + 0.125 * (b[1:-1, 2:, 1:-1] - 2.0 * b[1:-1, 1:-1, 1:-1] + b[1:-1, :-2, 1:-1])
            + 0.125 * (b[1:-1, 1:-1, 2:] - 2.0 * b[1:-1, 1:-1, 1:-1] + b[1:-1, 1:-1, :-2])
            + b[1:-1, 1:-1, 1:-1]
        )
    return a


def adi(u, steps):
    """Alternating directions: a tridiagonal system along each row, then along each column."""
    u = u.copy()
    n = len(u)
    v, p, q = u.copy(), np.empty((n, n)), np.empty((n, n))
    mul = steps * (1.0 / n) ** -2 / 1000.0
    a, b, c = -mul / 2.0, 1.0 + mul, -mul / 2.0

    def sweep(source, target):
        target[0, :] = 1.0
        p[:, 0] = 0.0
        q[:, 0] = 1.0
        for j in range(1, n - 1):
            p[1:-1, j] = -c / (a * p[1:-1, j - 1] + b)
            q[1:-1, j] = (
                -a * source[j, :-2] + (1.0 + 2.0 * a) * source[j, 1:-1] - c * source[j, 2:]
                - a * q[1:-1, j - 1]
            ) / (a * p[1:-1, j - 1] + b)  # fmt: skip
        target[-1, :] = 1.0
        for j in range(n - 2, 0, -1):
            target[j, 1:-1] = p[1:-1, j] * target[j + 1, 1:-1] + q[1:-1, j]

    for _ in range(steps):
        sweep(u, v)
        sweep(v.T, u.T)
    return u


def hdiff(field, coefficient):
    """Horizontal diffusion with a limiter."""
    lap = 4.0 * field[1:-1, 1:-1] - (
        field[2:, 1:-1] + field[:-2, 1:-1] + field[1:-1, 2:] + field[1:-1, :-2]
    )
    res = lap[1:, 1:-1] - lap[:-1, 1:-1]
    flx = np.where(res * (field[2:-1, 2:-2] - field[1:-2, 2:-2]) > 0, 0.0, res)
    res = lap[1:-1, 1:] - lap[1:-1, :-1]
    fly = np.where(res * (field[2:-2, 2:-1] - field[2:-2, 1:-2]) > 0, 0.0, res)
    return field[2:-2, 2:-2] - coefficient * (flx[1:] - flx[:-1] + fly[:, 1:] - fly[:, :-1])


def vadv(u, wcon, utens):
    """Vertical advection: a tridiagonal system in each column."""
    depth = u.shape[2]
    ccol, dcol = np.empty(u.shape), np.empty(u.shape)
    result = np.empty(u.shape)
    gcv = 0.25 * wcon[:, :, 1]
    bcol = 3.0 - 0.9 * gcv
    ccol[:, :, 0] = 0.9 * gcv / bcol
    dcol[:, :, 0] = (3.0 * u[:, :, 0] + utens[:, :, 0] - gcv * (u[:, :, 1] - u[:, :, 0])) / bcol
    for k in range(1, depth - 1):
        gav = -0.25 * wcon[:, :, k]
        gcv = 0.25 * wcon[:, :, k + 1]
        acol, rest = gav * 0.9, gcv * 0.9
        correction = -gav * (u[:, :, k - 1] - u[:, :, k]) - gcv * (u[:, :, k + 1] - u[:, :, k])
        divided = 1.0 / (3.0 - acol - rest - ccol[:, :, k - 1] * acol)
        ccol[:, :, k] = rest * divided
        dcol[:, :, k] = (
            3.0 * u[:, :, k] + utens[:, :, k] + correction - dcol[:, :, k - 1] * acol
        ) * divided
    gav = -0.25 * wcon[:, :, depth - 1]
    divided = 1.0 / (3.0 - gav * 0.9 - ccol[:, :, depth - 2] * gav * 0.9)
    last = 3.0 * u[:, :, depth - 1] + utens[:, :, depth - 1]
    result[:, :, depth - 1] = (last - dcol[:, :, depth - 2] * gav * 0.9) * divided
    for k in range(depth - 2, -1, -1):
        result[:, :, k] = dcol[:, :, k] - ccol[:, :, k] * result[:, :, k + 1]
    return result


def cavity_flow(u, v, steps, inner):
    """The flow in a box whose lid moves: pressure by inner iterations, then speeds."""
    u, v = u.copy(), v.copy()
    n = len(u)
    dx, dt, rho, nu = 2.0 / (n - 1), 0.0005, 1.0, 0.1
    p, b = np.zeros((n, n)), np.zeros((n, n))
    for _ in range(steps):
        across = (u[1:-1, 2:] - u[1:-1, :-2]) / (2 * dx)
        along = (v[2:, 1:-1] - v[:-2, 1:-1]) / (2 * dx)
        mixed = (u[2:, 1:-1] - u[:-2, 1:-1]) * (v[1:-1, 2:] - v[1:-1, :-2]) / (4 * dx * dx)
        b[1:-1, 1:-1] = rho * ((across + along) / dt - across**2 - 2 * mixed - along**2)
        for _ in range(inner):
            old = p.copy()
            p[1:-1, 1:-1] = (
                old[1:-1, 2:] + old[1:-1, :-2] + old[2:, 1:-1] + old[:-2, 1:-1]
            ) / 4 - dx * dx / 4 * b[1:-1, 1:-1]
            p[:, -1] = p[:, -2]
            p[0, :] = p[1, :]
            p[:, 0] = p[:, 1]
            p[-1, :] = 0.0
        un, vn = u.copy(), v.copy()
        inside = un[1:-1, 1:-1]
        u[1:-1, 1:-1] = (
            inside
            - inside * dt / dx * (inside - un[1:-1, :-2])
            - vn[1:-1, 1:-1] * dt / dx * (inside - un[:-2, 1:-1])
            - dt / (2 * rho * dx) * (p[1:-1, 2:] - p[1:-1, :-2])
            + nu * dt / dx**2
            * (un[1:-1, 2:] + un[1:-1, :-2] + un[2:, 1:-1] + un[:-2, 1:-1] - 4 * inside)
        )  # fmt: skip
        inside = vn[1:-1, 1:-1]
        v[1:-1, 1:-1] = (
            inside
            - un[1:-1, 1:-1] * dt / dx * (inside - vn[1:-1, :-2])
            - inside * dt / dx * (inside - vn[:-2, 1:-1])
            - dt / (2 * rho * dx) * (p[2:, 1:-1] - p[:-2, 1:-1])
            + nu * dt / dx**2
            * (vn[1:-1, 2:] + vn[1:-1, :-2] + vn[2:, 1:-1] + vn[:-2, 1:-1] - 4 * inside)
        )  # fmt: skip
        u[0, :] = 0.0
        u[:, 0] = 0.0
        u[:, -1] = 0.0
        u[-1, :] = 1.0
        v[0, :] = 0.0
        v[-1, :] = 0.0
        v[:, 0] = 0.0
        v[:, -1] = 0.0
    return u


# -- Linear algebra by hand --------------------------------------------------------------------


def lu(a):
    a = a.copy()
    n = len(a)
    for i in range(n):
        for j in range(i):
            a[i, j] -= a[i, :j] @ a[:j, j]
            a[i, j] /= a[j, j]
        for j in range(i, n):
            a[i, j] -= a[i, :i] @ a[:i, j]
    return a


def cholesky(a):
    a = a.copy()
    n = len(a)
    for i in range(n):
        for j in range(i):
            a[i, j] -= np.dot(a[i, :j], a[j, :j])
            a[i, j] /= a[j, j]
        a[i, i] -= np.dot(a[i, :i], a[i, :i])
        a[i, i] = np.sqrt(a[i, i])
    return a


def gramschmidt(a):
    a = a.copy()
    n = a.shape[1]
    q, r = np.zeros(a.shape), np.zeros((n, n))
    for k in range(n):
        r[k, k] = np.sqrt(np.dot(a[:, k], a[:, k]))
        q[:, k] = a[:, k] / r[k, k]
        for j in range(k + 1, n):
            r[k, j] = np.dot(q[:, k], a[:, j])
            a[:, j] -= q[:, k] * r[k, j]
    return q


def durbin(r):
    n = len(r)
    y = np.empty(n)
    alpha, beta = -r[0], 1.0
    y[0] = -r[0]
    for k in range(1, n):
        beta *= 1.0 - alpha * alpha
        alpha = -(r[k] + np.dot(np.flip(r[:k]), y[:k])) / beta
        y[:k] += alpha * np.flip(y[:k])
        y[k] = alpha
    return y


def trmm(a, b):
    b = b.copy()
    for i in range(b.shape[0]):
        for j in range(b.shape[1]):
            b[i, j] += np.dot(a[i + 1 :, i], b[i + 1 :, j])
    return 1.5 * b


def syr2k(a, b, c):
    c = c.copy()
    for i in range(len(c)):
        c[i, : i + 1] *= 1.2
        for k in range(a.shape[1]):
            c[i, : i + 1] += a[: i + 1, k] * 1.5 * b[i, k] + b[: i + 1, k] * 1.5 * a[i, k]
    return c


# -- Particles, reductions, networks -----------------------------------------------------------


def nbody(position, velocity, mass, steps):
    position, velocity = position.copy(), velocity.copy()
    for _ in range(steps):
        x, y, z = position[:, 0], position[:, 1], position[:, 2]
        dx = x - x[:, None]
        dy = y - y[:, None]
        dz = z - z[:, None]
        near = (dx**2 + dy**2 + dz**2 + 0.01) ** -1.5
        velocity[:, 0] += 0.01 * ((dx * near) @ mass)
        velocity[:, 1] += 0.01 * ((dy * near) @ mass)
        velocity[:, 2] += 0.01 * ((dz * near) @ mass)
        position += 0.01 * velocity
    return position


def go_fast(a):
    trace = 0.0
    for i in range(len(a)):
        trace += np.tanh(a[i, i])
    return a + trace


def conv2d(x, w):
    size = w.shape[0]
    rows, columns = x.shape[1] - size + 1, x.shape[2] - size + 1
    out = np.empty((x.shape[0], rows, columns, w.shape[3]))
    for i in range(rows):
        for j in range(columns):
            patch = x[:, i : i + size, j : j + size, :].copy()
            out[:, i, j, :] = patch.reshape(x.shape[0], -1) @ w.reshape(-1, w.shape[3])
    return out


def softmax(x):
    top = np.max(x)
    weights = np.exp(x - top)
    return weights / np.sum(weights, axis=-1).reshape(x.shape[0], x.shape[1], x.shape[2], 1)


def mlp(x, w1, w2, w3):
    h = np.maximum(x @ w1, 0.0)
    h = np.maximum(h @ w2, 0.0)
    h = np.exp(h @ w3 * 0.1)
    return h / np.sum(h, axis=1).reshape(-1, 1)


def lenet(x, w1, w2, w3, w4):
    h = x
    for w in (w1, w2):
        size = w.shape[0]
        rows, columns = h.shape[1] - size + 1, h.shape[2] - size + 1
        out = np.empty((h.shape[0], rows, columns, w.shape[3]))
        for i in range(rows):
            for j in range(columns):
                patch = h[:, i : i + size, j : j + size, :].copy()
                out[:, i, j, :] = patch.reshape(h.shape[0], -1) @ w.reshape(-1, w.shape[3])
        out = np.maximum(out, 0.0)
        h = np.empty((out.shape[0], rows // 2, columns // 2, w.shape[3]))
        for i in range(rows // 2):
            for j in range(columns // 2):
                part = out[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, :]
                first = np.maximum(part[:, 0, 0, :], part[:, 0, 1, :])
                h[:, i, j, :] = np.maximum(first, np.maximum(part[:, 1, 0, :], part[:, 1, 1, :]))
    flat = h.reshape(h.shape[0], -1)
    return np.maximum(flat @ w3, 0.0) @ w4


# -- Cases -------------------------------------------------------------------------------------

Maker = Callable[[np.random.Generator, bool], tuple[Any, ...]]


def _normal(*small: int, large: tuple[int, ...]) -> Maker:
    return lambda rng, is_large: (rng.normal(size=large if is_large else small),)


def _stencil(small: tuple[int, ...], large: tuple[int, ...], steps: tuple[int, int]) -> Maker:
    def make(rng: np.random.Generator, is_large: bool) -> tuple[Any, ...]:
        return rng.random(size=large if is_large else small), steps[is_large]

    return make


def _positive(small: int, large: int) -> Maker:
    """A matrix that is symmetric and positive definite."""

    def make(rng: np.random.Generator, is_large: bool) -> tuple[Any, ...]:
        n = large if is_large else small
        a = rng.normal(size=(n, n))
        return (a @ a.T + n * np.eye(n),)

    return make


def _several(small: list[Any], large: list[Any]) -> Maker:
    """Normal numbers of several shapes, and integers."""

    def make(rng: np.random.Generator, is_large: bool) -> tuple[Any, ...]:
        items = large if is_large else small
        return tuple([i if isinstance(i, int) else 0.3 * rng.normal(size=i) for i in items])

    return make


PROGRAMS: dict[Callable[..., Any], Maker] = {
    jacobi_2d: _stencil((150, 150), (350, 350), (50, 80)),
    seidel_2d: _stencil((50, 50), (100, 100), (8, 40)),
    heat_3d: _stencil((25, 25, 25), (50, 50, 50), (25, 50)),
    adi: _stencil((100, 100), (200, 200), (5, 20)),
    hdiff: _several([(64, 64, 60), (60, 60, 60)], [(128, 128, 160), (124, 124, 160)]),
    vadv: _several([(60, 60, 40)] * 3, [(112, 112, 80)] * 3),
    cavity_flow: _several([(61, 61), (61, 61), 25, 5], [(121, 121), (121, 121), 50, 10]),
    lu: _positive(60, 220),
    cholesky: _positive(100, 300),
    gramschmidt: _normal(70, 60, large=(220, 180)),
    durbin: lambda rng, is_large: (rng.random(1000 if not is_large else 6000) / 2000,),
    trmm: _several([(65, 65), (65, 80)], [(200, 200), (200, 250)]),
    syr2k: _several([(70, 35), (70, 35), (70, 70)], [(200, 110), (200, 110), (200, 200)]),
    nbody: _several([(25, 3), (25, 3), (25,), 100], [(50, 3), (50, 3), (50,), 400]),
    go_fast: _normal(2000, 2000, large=(6000, 6000)),
    conv2d: _several([(8, 32, 32, 3), (2, 2, 3, 16)], [(8, 64, 64, 3), (5, 5, 3, 8)]),
    softmax: _several([(16, 16, 128, 128)], [(32, 16, 256, 256)]),
    mlp: _several(
        [(8, 3), (3, 3000), (3000, 1000), (1000, 1000)],
        [(8, 3), (3, 10000), (10000, 3000), (3000, 3000)],
    ),
    lenet: _several(
        [(4, 28, 28, 1), (5, 5, 1, 6), (5, 5, 6, 16), (256, 120), (120, 10)],
        [(8, 28, 28, 1), (5, 5, 1, 6), (5, 5, 6, 16), (256, 120), (120, 10)],
    ),
}


def _case(program: Callable[..., Any], make: Maker, size: str, wanted: str) -> Case:
    name = program.__name__
    versions = {
        "jax.numpy": getattr(loops_jax, name),
        "torch": getattr(loops_torch, name),
    }

    def arguments(rng: np.random.Generator) -> tuple[Any, ...]:
        return make(rng, size == "M")

    def function(xp: Any) -> Callable[..., Any]:
        called = versions.get(xp.__name__, program)
        if wanted == "result":
            return called
        return lambda *args: xp.sum(called(*args) ** 3)

    title = f"{name}, {size}: {wanted}"
    return Case(title, function, arguments, wanted, ("autograd",), wanted == "result")


LOOPS: dict[str, Case] = {
    f"{program.__name__}-{size.lower()}{'' if wanted == 'gradient' else '-forward'}": _case(
        program, make, size, wanted
    )
    for program, make in PROGRAMS.items()
    for size in "SM"
    for wanted in ("result", "gradient")
}
