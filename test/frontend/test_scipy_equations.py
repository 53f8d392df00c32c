# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Band systems and matrix equations of gradopt.scipy.linalg against SciPy and differences."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from budget import generator

import gradopt as go
from gradopt.errors import ArgumentError, LinAlgError, ShapeError, UnsupportedError
from gradopt.scipy import linalg

RNG = generator(71)
A, B, Q = RNG.normal(size=(3, 3)), RNG.normal(size=(4, 4)), RNG.normal(size=(3, 4))


def agrees(actual: Any, expected: Any, tolerance: float = 1e-8) -> None:
    assert np.shape(actual) == np.shape(expected)
    assert actual.dtype == expected.dtype
    scale = np.abs(expected).max(initial=1)
    np.testing.assert_allclose(actual, expected, tolerance, tolerance * scale)


@pytest.mark.parametrize("diagonals", [(1, 1), (0, 0), (2, 1), (0, 3), (3, 0), (2, 4)])
def test_band_systems(diagonals: tuple[int, int]) -> None:
    for n, dtype in itertools.product((1, 2, 5, 40), ("float64", "complex128")):
        shape = (sum(diagonals) + 1, n)
        ab = RNG.normal(size=shape).astype(dtype)
        ab = ab + 1j * RNG.normal(size=shape) if dtype == "complex128" else ab
        for b in (RNG.normal(size=n).astype(dtype), RNG.normal(size=(n, 3)).astype(dtype)):
            want = scipy.linalg.solve_banded(diagonals, ab, b)
            agrees(linalg.solve_banded(diagonals, ab, b), want, 1e-6)


def test_band_systems_are_pivoted() -> None:
    ab = np.zeros((3, 10))
    ab[0], ab[2] = 1.0, 2.0
    b = np.arange(10.0)
    agrees(linalg.solve_banded((1, 1), ab, b), scipy.linalg.solve_banded((1, 1), ab, b), 1e-13)


def test_long_band_systems_are_loops() -> None:
    compiled = go.compile(lambda ab, b: linalg.solve_banded((1, 1), ab, b))
    ab, b = RNG.normal(size=(3, 20_000)), RNG.normal(size=20_000)
    ab[1] += 4
    agrees(compiled(ab, b), scipy.linalg.solve_banded((1, 1), ab, b), 1e-12)
    assert compiled.lower(ab, b).memory().arena < 20 * ab.nbytes


def test_derivatives_of_band_systems() -> None:
    ab, b = RNG.normal(size=(4, 6)), RNG.normal(size=6)
    ab[1] += 3
    go.gradcheck(lambda ab, b: linalg.solve_banded((2, 1), ab, b), (ab, b), order=2)
    go.gradcheck(lambda ab, b: linalg.solve_banded((0, 1), ab, b), (ab[:2] + 2, b))


def test_sylvester() -> None:
    agrees(linalg.solve_sylvester(A, B, Q), scipy.linalg.solve_sylvester(A, B, Q))
    complex_a = A + 1j * A.T
    want = scipy.linalg.solve_sylvester(complex_a, B.astype(complex), Q.astype(complex))
    agrees(linalg.solve_sylvester(complex_a, B, Q), want)
    go.gradcheck(linalg.solve_sylvester, (A, B, Q), order=2)
    large, other = RNG.normal(size=(2, 70, 70))
    agrees(
        linalg.solve_sylvester(large, other[:40, :40], other[:, :40]),
        scipy.linalg.solve_sylvester(large, other[:40, :40], other[:, :40]),
    )


def test_lyapunov() -> None:
    for a in (A, A + 1j * A.T):
        q = A @ A.T
        want = scipy.linalg.solve_continuous_lyapunov(a, q.astype(a.dtype))
        agrees(linalg.solve_continuous_lyapunov(a, q), want)
        want = scipy.linalg.solve_discrete_lyapunov(0.3 * a, q.astype(a.dtype))
        agrees(linalg.solve_discrete_lyapunov(0.3 * a, q), want)
    stable, q = 0.1 * RNG.normal(size=(2, 12, 12))
    want = scipy.linalg.solve_discrete_lyapunov(stable, q)
    for method in (None, "direct", "bilinear"):
        agrees(linalg.solve_discrete_lyapunov(stable, q, method), want)
    go.gradcheck(linalg.solve_continuous_lyapunov, (A, A @ A), order=2)
    go.gradcheck(lambda a, q: linalg.solve_discrete_lyapunov(0.3 * a, q), (A, A @ A), order=2)


def test_in_the_users_code() -> None:
    f = go.compile(lambda a: scipy.linalg.solve_sylvester(a, B, Q))
    agrees(f(A), scipy.linalg.solve_sylvester(A, B, Q))


def test_errors() -> None:
    ab, b = np.ones((3, 4)), np.ones(4)
    for call, kind, message in [
        (lambda: linalg.solve_banded((1, 1), 0 * ab, b), LinAlgError, "singular matrix"),
        (lambda: linalg.solve_banded((-1, 1), ab, b), ArgumentError, "must not be negative"),
        (lambda: linalg.solve_banded((2, 1), ab, b), ShapeError, r"expected \(4, n\)"),
        (lambda: linalg.solve_banded((1, 1), ab, b[:3]), ShapeError, r"of 4 rows, but b.*\(3,\)"),
        (lambda: linalg.solve_sylvester(A, B, Q.T), ShapeError, r"and \(4, 3\)"),
        (lambda: linalg.solve_sylvester(Q, B, Q), ShapeError, "must be square"),
        (lambda: linalg.solve_sylvester(A, -A, A), LinAlgError, "no single solution"),
        (lambda: linalg.solve_continuous_lyapunov(A, Q), ShapeError, "of one shape"),
        (
            lambda: linalg.solve_discrete_lyapunov(np.eye(70), np.eye(70), "direct"),
            UnsupportedError,
            "for 4900 elements.*: .*use bilinear",
        ),
        (
            lambda: linalg.solve_discrete_lyapunov(A, A, "doubling"),
            ArgumentError,
            "unknown method 'doubling'",
        ),
    ]:
        with pytest.raises(kind, match=message):
            call()
