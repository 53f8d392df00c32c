# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""gradopt.scipy.spatial.distance against SciPy; derivatives against differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.spatial.distance
from budget import generator

import gradopt as go
from gradopt.errors import ArgumentError, ShapeError, UnsupportedError
from gradopt.scipy.spatial import distance

RNG = generator(53)
A, B, W = RNG.normal(size=(6, 3)), RNG.normal(size=(4, 3)), np.array([0.5, 0.0, 2.0])
OF_BOOLEANS = ("dice", "hamming", "jaccard", "rogerstanimoto", "russellrao", "sokalsneath", "yule")
OF_NUMBERS = (
    *("euclidean", "sqeuclidean", "cityblock", "chebyshev", "braycurtis", "canberra", "cosine"),
    "correlation",
)
THEIRS: Any = scipy.spatial.distance


def agrees(actual: Any, expected: Any, tolerance: float = 1e-12) -> None:
    assert np.shape(actual) == np.shape(expected)
    assert np.asarray(actual).dtype == np.asarray(expected).dtype
    np.testing.assert_allclose(actual, expected, tolerance, tolerance)


@pytest.mark.parametrize("name", [*OF_NUMBERS, *OF_BOOLEANS])
def test_metrics(name: str) -> None:
    a, b = (A > 0, B > 0) if name in OF_BOOLEANS else (A, B)
    for rest in ({}, {"w": W}):
        agrees(distance.cdist(a, b, name, **rest), THEIRS.cdist(a, b, name, **rest))
        agrees(distance.pdist(a, name, **rest), THEIRS.pdist(a, name, **rest))
        got = getattr(distance, name)(a[0], b[0], **rest)
        agrees(got, np.float64(getattr(THEIRS, name)(a[0], b[0], **rest)))


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("minkowski", {"p": 3.5}),
        ("minkowski", {"p": 1.5, "w": W}),
        ("minkowski", {"p": np.inf}),
        ("seuclidean", {}),
        ("seuclidean", {"V": W + 1}),
        ("mahalanobis", {}),
        ("mahalanobis", {"VI": np.diag(W + 1)}),
        ("jensenshannon", {}),
    ],
)
def test_metrics_with_arguments(name: str, rest: dict[str, Any]) -> None:
    a, b = (np.abs(A), np.abs(B)) if name == "jensenshannon" else (A, B)
    agrees(distance.cdist(a, b, name, **rest), THEIRS.cdist(a, b, name, **rest), 1e-10)
    agrees(distance.pdist(a, name, **rest), THEIRS.pdist(a, name, **rest), 1e-10)


def test_of_two_vectors() -> None:
    u, v = A[0], B[0]
    agrees(distance.minkowski(u, v, 3, W), THEIRS.minkowski(u, v, 3, W))
    agrees(distance.minkowski(u, v, np.inf), THEIRS.minkowski(u, v, np.inf))
    agrees(distance.seuclidean(u, v, W + 1), THEIRS.seuclidean(u, v, W + 1))
    agrees(distance.mahalanobis(u, v, np.diag(W)), THEIRS.mahalanobis(u, v, np.diag(W)))
    agrees(distance.correlation(u, v, W, False), THEIRS.correlation(u, v, W, False))
    for axis, keepdims, base in ((0, False, 2), (1, True, None)):
        rest: Any = {"axis": axis, "keepdims": keepdims}
        a, b = np.abs(A[:4]), np.abs(B)
        agrees(distance.jensenshannon(a, b, base, **rest), THEIRS.jensenshannon(a, b, base, **rest))


def test_functions_and_names() -> None:
    def metric(u: Any, v: Any, power: Any = 1) -> Any:
        return np.sum(np.sin(u) * np.cos(v)) ** power

    agrees(distance.cdist(A, B, metric, power=2), THEIRS.cdist(A, B, metric, power=2))
    agrees(distance.pdist(A, metric), THEIRS.pdist(A, metric))
    agrees(distance.cdist(A, B, distance.cityblock), THEIRS.cdist(A, B, "cityblock"))
    agrees(distance.cdist(A, B, "SqE"), THEIRS.cdist(A, B, "SqE"))


def test_derivatives() -> None:
    for name in OF_NUMBERS:
        go.gradcheck(
            lambda a, b, n=name: distance.cdist(a, b, n), (A[:2], B[:2]),
            order=2 if name in ("euclidean", "correlation", "canberra") else 1,
        )  # fmt: skip
    go.gradcheck(lambda x: distance.pdist(x, "mahalanobis"), (A,), rtol=1e-4)
    go.gradcheck(lambda x, w: distance.pdist(x, "cosine", w=w), (A[:3], W + 1))
    go.gradcheck(lambda u, p: distance.minkowski(u, B[0], p), (A[0], 2.5), order=2)
    go.gradcheck(lambda p: distance.jensenshannon(p, np.abs(B[0])), (np.abs(A[0]),), order=2)


def test_derivatives_of_equal_vectors() -> None:
    """They are zero, where there is none: in the distances of rows to themselves, too."""
    for name in ("euclidean", "minkowski", "seuclidean", "mahalanobis"):
        gradient = go.grad(lambda x, n=name: np.sum(distance.cdist(x, x, n)))(A)
        assert np.isfinite(gradient).all(), name


def test_squares() -> None:
    x = RNG.normal(size=10)
    agrees(distance.squareform(x), THEIRS.squareform(x))
    agrees(distance.squareform(distance.squareform(x)), x)
    agrees(distance.squareform(x[:0]), THEIRS.squareform(x[:0]))
    go.gradcheck(lambda x: np.sin(distance.squareform(x)), (x,))


def test_in_the_users_code() -> None:
    def f(x: Any) -> Any:
        d = scipy.spatial.distance.cdist(x, B, "cityblock")
        return d, scipy.spatial.distance.squareform(scipy.spatial.distance.pdist(x))

    for got, want in zip(go.compile(f)(A), f(A), strict=True):
        agrees(got, want)


def test_errors() -> None:
    for call, error, message in [
        (lambda: distance.cdist(A, B[:, :2]), ShapeError, r"\(6, 3\), \(4, 2\)"),
        (lambda: distance.pdist(A[0]), ShapeError, r"arrays of rows.*\(3,\)"),
        (lambda: distance.euclidean(A[0], B), ShapeError, r"same length.*\(4, 3\)"),
        (lambda: distance.cdist(A, B, "other"), ArgumentError, "Unknown Distance Metric: other"),
        (lambda: distance.cdist(A, B, "cosine", p=2), ArgumentError, "cosine takes no p="),
        (lambda: distance.minkowski(A[0], B[0], -1), ArgumentError, "greater than 0"),
        (lambda: distance.cdist(A, B, out=A), UnsupportedError, "out= of scipy.spatial"),
        (lambda: distance.cdist(A + 1j, B), UnsupportedError, "complex"),
        (lambda: distance.squareform(np.ones(4)), ShapeError, r"got shape \(4,\)"),
        (lambda: distance.squareform(A[0], "tovector"), ArgumentError, "not a distance matrix"),
    ]:
        with pytest.raises(error, match=message):
            call()
