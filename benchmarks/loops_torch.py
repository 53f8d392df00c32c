# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs of `loops` for PyTorch, eager.

Their loops are Python's, over rows or columns at least, and arrays that would be written to are put
together instead, so that autograd has what it needs. What PyTorch has as one function is that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loops_jax import next_speeds

Tensor = Any

# -- Stencils ----------------------------------------------------------------------------------


def _within(inside: Tensor, around: Tensor) -> Tensor:
    """`around` with all but its borders replaced."""
    new = around.clone()
    new[(slice(1, -1),) * around.ndim] = inside
    return new


def _to_and_fro(half: Callable[[Tensor, Tensor], Tensor], a: Tensor, steps: int) -> Tensor:
    """Makes each of two arrays of the other one, in turns."""
    b = a
    for _ in range(steps):
        b = half(a, b)
        a = half(b, a)
    return a


def jacobi_2d(a: Tensor, steps: int) -> Tensor:
    def half(a: Tensor, b: Tensor) -> Tensor:
        around = a[1:-1, 1:-1] + a[1:-1, :-2] + a[1:-1, 2:] + a[2:, 1:-1] + a[:-2, 1:-1]
        return _within(0.2 * around, b)

    return _to_and_fro(half, a, steps)


def seidel_2d(a: Tensor, steps: int) -> Tensor:
    """The recurrence along a row is a product with its powers."""
    import torch

    n = len(a)
    places = torch.arange(1, n - 1, dtype=a.dtype)
    powers = torch.tril(9.0 ** (places[None, :] - places[:, None] - 1.0))
    rows = list(a)
    for _ in range(steps):
        for i in range(1, n - 1):
            above, here, below = rows[i - 1 : i + 2]
            sums = (
                above[:-2] + above[1:-1] + above[2:] + here[1:-1] + here[2:]
                + below[:-2] + below[1:-1] + below[2:]
            )  # fmt: skip
            inside = powers @ sums + here[0] * 9.0**-places
            rows[i] = torch.cat([here[:1], inside, here[-1:]])
    return torch.stack(rows)


def heat_3d(a: Tensor, steps: int) -> Tensor:
    inner = slice(1, -1)

    def half(a: Tensor, b: Tensor) -> Tensor:
        here = a[inner, inner, inner]
        around = a[2:, inner, inner] + a[:-2, inner, inner] + a[inner, 2:, inner]
        around = around + a[inner, :-2, inner] + a[inner, inner, 2:] + a[inner, inner, :-2]
        return _within(0.125 * (around - 6 * here) + here, b)

    return _to_and_fro(half, a, steps)


def adi(u: Tensor, steps: int) -> Tensor:
    import torch

    n = len(u)
    mul = steps * (1.0 / n) ** -2 / 1000.0
    a, b, c = -mul / 2.0, 1.0 + mul, -mul / 2.0

    def sweep(source: Tensor, target: Tensor) -> Tensor:
        p, q = torch.zeros_like(source[0, 1:-1]), torch.ones_like(source[0, 1:-1])
        states = [(p, q)]
        for row in source[1:-1]:
            divisor = a * p + b
            right = -a * row[:-2] + (1.0 + 2.0 * a) * row[1:-1] - c * row[2:] - a * q
            p, q = -c / divisor, right / divisor
            states.append((p, q))
        border = torch.ones_like(source[0])
        rows = [border]
        for j in range(n - 2, 0, -1):
            p, q = states[j]
            rows.append(torch.cat([target[j, :1], p * rows[-1][1:-1] + q, target[j, -1:]]))
        return torch.stack([border, *reversed(rows)])

    v = u
    for _ in range(steps):
        v = sweep(u, v)
        u = sweep(v.T, u.T).T
    return u


def hdiff(field: Tensor, coefficient: Tensor) -> Tensor:
    import torch

    lap = 4.0 * field[1:-1, 1:-1] - (
        field[2:, 1:-1] + field[:-2, 1:-1] + field[1:-1, 2:] + field[1:-1, :-2]
    )
    res = lap[1:, 1:-1] - lap[:-1, 1:-1]
    flx = torch.where(res * (field[2:-1, 2:-2] - field[1:-2, 2:-2]) > 0, 0.0, res)
    res = lap[1:-1, 1:] - lap[1:-1, :-1]
    fly = torch.where(res * (field[2:-2, 2:-1] - field[2:-2, 1:-2]) > 0, 0.0, res)
    return field[2:-2, 2:-2] - coefficient * (flx[1:] - flx[:-1] + fly[:, 1:] - fly[:, :-1])


def vadv(u: Tensor, wcon: Tensor, utens: Tensor) -> Tensor:
    import torch

    u, w, utens = (torch.unbind(x, dim=2) for x in (u, wcon, utens))
    gcv = 0.25 * w[1]
    bcol = 3.0 - 0.9 * gcv
    c = 0.9 * gcv / bcol
    d = (3.0 * u[0] + utens[0] - gcv * (u[1] - u[0])) / bcol
    states = [(c, d)]
    for k in range(1, len(u) - 1):
        gav, gcv = -0.25 * w[k], 0.25 * w[k + 1]
        acol, rest = gav * 0.9, gcv * 0.9
        correction = -gav * (u[k - 1] - u[k]) - gcv * (u[k + 1] - u[k])
        divided = 1.0 / (3.0 - acol - rest - c * acol)
        c, d = rest * divided, (3.0 * u[k] + utens[k] + correction - d * acol) * divided
        states.append((c, d))
    gav = -0.25 * w[-1]
    divided = 1.0 / (3.0 - gav * 0.9 - c * gav * 0.9)
    found = [(3.0 * u[-1] + utens[-1] - d * gav * 0.9) * divided]
    for c, d in reversed(states):
        found.append(d - c * found[-1])
    return torch.stack(found[::-1], dim=2)


def cavity_flow(u: Tensor, v: Tensor, steps: int, inner: int) -> Tensor:
    import torch
    from torch.nn.functional import pad

    n = len(u)
    dx, dt, rho, nu = 2.0 / (n - 1), 0.0005, 1.0, 0.1
    p = torch.zeros_like(u)
    for _ in range(steps):
        across = (u[1:-1, 2:] - u[1:-1, :-2]) / (2 * dx)
        along = (v[2:, 1:-1] - v[:-2, 1:-1]) / (2 * dx)
        mixed = (u[2:, 1:-1] - u[:-2, 1:-1]) * (v[1:-1, 2:] - v[1:-1, :-2]) / (4 * dx * dx)
        b = rho * ((across + along) / dt - across**2 - 2 * mixed - along**2)
        for _ in range(inner):
            around = p[1:-1, 2:] + p[1:-1, :-2] + p[2:, 1:-1] + p[:-2, 1:-1]
            inside = around / 4 - dx * dx / 4 * b
            wide = torch.cat([inside[:, :1], inside, inside[:, -1:]], dim=1)
            p = torch.cat([wide[:1], wide, torch.zeros_like(p[:1])])
        new_u, new_v = next_speeds(u, v, p, dx, dt, rho, nu)
        u = torch.cat([pad(new_u, (1, 1, 1, 0)), torch.ones_like(u[:1])])
        v = pad(new_v, (1, 1, 1, 1))
    return u


# -- Linear algebra by hand --------------------------------------------------------------------


def lu(a: Tensor) -> Tensor:
    """By outer products: what is done of rows and columns is put together at the end."""
    import torch

    n = len(a)
    rows, columns = [], []
    for _ in range(n):
        rows.append(a[0])
        columns.append(a[1:, 0] / a[0, 0])
        a = a[1:, 1:] - columns[-1][:, None] * rows[-1][None, 1:]
    upper = torch.stack([torch.cat([row.new_zeros(n - len(row)), row]) for row in rows])
    lower = torch.stack([torch.cat([c.new_zeros(n - len(c)), c]) for c in columns], dim=1)
    return upper + lower


def cholesky(a: Tensor) -> Tensor:
    """By columns. What is above the diagonal stays."""
    import torch

    n = len(a)
    factor = a[:, :0]
    for j in range(n):
        column = a[j:, j] - factor[j:] @ factor[j]
        column = column / torch.sqrt(column[0])
        factor = torch.cat([factor, torch.cat([column.new_zeros(j), column])[:, None]], dim=1)
    return factor + torch.triu(a, 1)


def gramschmidt(a: Tensor) -> Tensor:
    import torch

    found = []
    for _ in range(a.shape[1]):
        found.append(a[:, 0] / torch.sqrt(a[:, 0] @ a[:, 0]))
        a = a[:, 1:] - found[-1][:, None] * (found[-1] @ a[:, 1:])
    return torch.stack(found, dim=1)


def durbin(r: Tensor) -> Tensor:
    import torch

    y = -r[:1]
    alpha, beta = -r[0], 1.0
    for k in range(1, len(r)):
        beta = beta * (1.0 - alpha * alpha)
        turned = torch.flip(y, (0,))
        alpha = -(r[k] + r[:k] @ turned) / beta
        y = torch.cat([y + alpha * turned, alpha[None]])
    return y


def trmm(a: Tensor, b: Tensor) -> Tensor:
    import torch

    return 1.5 * torch.stack([b[i] + a[i + 1 :, i] @ b[i + 1 :] for i in range(len(b))])


def syr2k(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    import torch

    rows = []
    for i in range(len(c)):
        left = 1.2 * c[i, : i + 1] + 1.5 * (a[: i + 1] @ b[i] + b[: i + 1] @ a[i])
        rows.append(torch.cat([left, c[i, i + 1 :]]))
    return torch.stack(rows)


# -- Particles, reductions, networks -----------------------------------------------------------


def nbody(position: Tensor, velocity: Tensor, mass: Tensor, steps: int) -> Tensor:
    for _ in range(steps):
        d = position[None, :, :] - position[:, None, :]
        near = ((d**2).sum(dim=2) + 0.01) ** -1.5
        velocity = velocity + 0.01 * (d * (near * mass)[:, :, None]).sum(dim=1)
        position = position + 0.01 * velocity
    return position


def go_fast(a: Tensor) -> Tensor:
    """Without its loop, as the gradient of an element is as large as the array."""
    import torch

    return a + torch.tanh(torch.diagonal(a)).sum()


def conv2d(x: Tensor, w: Tensor) -> Tensor:
    import torch

    found = torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1))
    return found.permute(0, 2, 3, 1)


def softmax(x: Tensor) -> Tensor:
    import torch

    return torch.softmax(x, dim=-1)


def mlp(x: Tensor, w1: Tensor, w2: Tensor, w3: Tensor) -> Tensor:
    import torch

    return torch.softmax(torch.relu(torch.relu(x @ w1) @ w2) @ w3 * 0.1, dim=1)


def lenet(x: Tensor, w1: Tensor, w2: Tensor, w3: Tensor, w4: Tensor) -> Tensor:
    import torch

    h = x
    for w in (w1, w2):
        h = torch.nn.functional.max_pool2d(torch.relu(conv2d(h, w)).permute(0, 3, 1, 2), 2)
        h = h.permute(0, 2, 3, 1)
    return torch.relu(h.reshape(h.shape[0], -1) @ w3) @ w4
