# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Factorisations that are timed, of many small matrices and of a few larger ones.

Matrices are symmetric functions of their arguments, as libraries differ in what they say of the
triangle that is not read, and have values that are far from each other. Nothing depends on the
signs of vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from cases import Case, Function


def _symmetric(xp: Any, x: Any, diagonal: Any) -> Any:
    return 0.01 * (x + xp.swapaxes(x, -1, -2)) + diagonal


def _cholesky(xp: Any) -> Function:
    def loss(x: Any, diagonal: Any) -> Any:
        return xp.sum(xp.sin(xp.linalg.cholesky(_symmetric(xp, x, diagonal))))

    return loss


def _solve(xp: Any) -> Function:
    def loss(params: Any, diagonal: Any) -> Any:
        a, b = params
        return xp.sum(xp.sin(xp.linalg.solve(0.01 * a + diagonal, b)))

    return loss


def _slogdet(xp: Any) -> Function:
    return lambda x, diagonal: xp.sum(xp.linalg.slogdet(0.01 * x + diagonal)[1])


def _eigh(xp: Any) -> Function:
    def loss(x: Any, diagonal: Any) -> Any:
        values, vectors = xp.linalg.eigh(_symmetric(xp, x, diagonal))
        return xp.sum(xp.sin(values)) + xp.sum((vectors * vectors)[..., 0])

    return loss


def _svd(xp: Any) -> Function:
    def loss(x: Any, diagonal: Any) -> Any:
        u, s, vh = xp.linalg.svd(0.01 * x + diagonal, full_matrices=False)
        return xp.sum(xp.sin(s)) + xp.sum((u * u)[..., 0]) + xp.sum((vh * vh)[..., 0, :])

    return loss


def _case(name: str, function: Callable[[Any], Function], n: int, count: int) -> Case:
    batch = (count,) if count > 1 else ()

    def arguments(generator: np.random.Generator) -> tuple[Any, ...]:
        x = generator.normal(size=(*batch, n, n))
        diagonal = np.diag(1.0 + np.arange(n) * (1 if n < 200 else 0.5))
        if name != "solve":
            return x, diagonal
        return [x, generator.normal(size=(*batch, n, 4))], diagonal

    size = f"{count:,} of {n} x {n}" if count > 1 else f"{n} x {n}"
    return Case(f"{name}, {size}", function, arguments)


MATRICES = {
    f"{name}-{n}": _case(name, function, n, count)
    for name, function in {
        "cholesky": _cholesky,
        "solve": _solve,
        "slogdet": _slogdet,
        "eigh": _eigh,
        "svd": _svd,
    }.items()
    for n, count in ((8, 10_000), (100, 1), (1000, 1))
}
