# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sparse Jacobians and Hessians, against dense ones of the same functions."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import gradopt as go
from gradopt.errors import ArgumentTypeError, NonScalarLossError, UnsupportedError
from gradopt.transforms.sparsity import sparsity_of

rng = np.random.default_rng(0)
PERMUTATION = rng.permutation(300)
WEIGHTS = rng.normal(size=300)


def chain(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def arrow(x: Any) -> Any:
    return np.sum(np.tanh(x[0] * x[1:]) + x[1:] ** 3)


def separable(x: Any) -> Any:
    return np.sum(np.exp(WEIGHTS[: x.size] * x) * x)


def gathered(x: Any) -> Any:
    return np.sum(np.sin(x[PERMUTATION] * x) * WEIGHTS)


def grid(x: Any) -> Any:
    u = x.reshape(6, 7)
    return np.sum((u[1:] - u[:-1]) ** 4) + np.sum(np.cos(u[:, 1:] - u[:, :-1]))


def recurrence(x: Any) -> Any:
    y = x.copy()
    for i in range(1, x.size):
        y[i] = np.sin(y[i]) + x[i - 1] ** 2
    return np.sum(y**2)


def branches(x: Any) -> Any:
    total = 0.0
    for i in range(x.size - 1):
        if x[i] > 0:
            total += x[i] ** 2 * x[i + 1]
        else:
            total += x[i] ** 3
    return total


def linear(x: Any) -> Any:
    return np.sum(WEIGHTS[: x.size] * x)


def coupled(x: Any) -> Any:
    return np.sum(x) ** 2 + np.sum(x**3)


HESSIANS = {
    # The function, n, and elements of the pattern.
    "chain": (chain, 30, 3 * 30 - 2),
    "arrow": (arrow, 30, 3 * 30 - 2),
    "separable": (separable, 20, 20),
    "gathered": (gathered, 300, None),
    "grid": (grid, 42, 42 + 2 * (5 * 7 + 6 * 6)),
    "recurrence": (recurrence, 9, None),
    # The last number is in none of the powers.
    "branches": (branches, 12, 3 * 12 - 3),
    "linear": (linear, 10, 0),
    "coupled": (coupled, 8, 64),
}


@pytest.mark.parametrize("name", HESSIANS)
def test_hessians_equal_dense_ones(name: str) -> None:
    function, n, elements = HESSIANS[name]
    x = rng.normal(size=n)
    found = go.compile_hessian(function, sparse=True)(x)
    dense = go.compile_hessian(function)(x)
    assert isinstance(found, scipy.sparse.csr_array)
    assert found.has_canonical_format
    np.testing.assert_allclose(
        found.toarray(), dense, rtol=1e-12, atol=1e-12 * (1 + abs(dense).max())
    )
    if elements is not None:
        assert found.nnz == elements


def residuals(x: Any) -> Any:
    return np.concatenate([10 * (x[1:] - x[:-1] ** 2), 1 - x[:-1]])


def upsampled(x: Any) -> Any:
    return np.repeat(x, 3) ** 2


def few_results(x: Any) -> Any:
    return np.sum(x.reshape(4, 10) ** 2, axis=1)


def filtered(x: Any) -> Any:
    return np.convolve(x, np.array([1.0, -2.0, 1.0]), "valid") ** 2


def products(x: Any) -> Any:
    blocks = x.reshape(5, 2, 4)
    return np.einsum("bij,bkj->bik", blocks, blocks)


def systems(x: Any) -> Any:
    blocks = x.reshape(10, 2, 2) + 3 * np.eye(2)
    return np.linalg.solve(blocks, np.ones((10, 2, 1)))


def sorted_rows(x: Any) -> Any:
    return np.sort(x.reshape(8, 5), axis=1)


def spectra(x: Any) -> Any:
    return np.abs(np.fft.rfft(x.reshape(5, 8), axis=1)) ** 2


def masked(x: Any) -> Any:
    keep = np.arange(x.size) % 2 == 0
    return np.where(keep, x**2, x[::-1])


JACOBIANS = {
    # The function of 40 numbers, elements of the pattern, and products.
    "residuals": (residuals, 3 * 39, 2),
    "upsampled": (upsampled, 120, 1),
    "few_results": (few_results, 40, 1),
    "filtered": (filtered, 3 * 38, 3),
    "products": (products, 5 * (2 * 4 + 2 * 8), None),
    "systems": (systems, 10 * 2 * 4, 2),
    "sorted_rows": (sorted_rows, 8 * 25, 5),
    "spectra": (spectra, 5 * 5 * 8, 5),
    # Columns of odd numbers have no elements, the others two; rows have one.
    "masked": (masked, 40, 1),
}


@pytest.mark.parametrize("name", JACOBIANS)
def test_jacobians_equal_dense_ones(name: str) -> None:
    function, elements, count = JACOBIANS[name]
    x = rng.normal(size=40)
    found = go.compile_jacobian(function, sparse=True)(x)
    dense = go.compile_jacobian(function)(x)
    dense = dense.reshape(-1, x.size)
    np.testing.assert_allclose(
        found.toarray(), dense, rtol=1e-12, atol=1e-12 * (1 + abs(dense).max())
    )
    assert found.nnz == elements
    if count is not None:
        lowered = go.compile(function).lower(x)
        assert sparsity_of(lowered, [0], [0]).color_count == count


def test_pytrees_have_a_matrix_in_each_place() -> None:
    def function(p: Any, scale: Any) -> Any:
        return {"a": scale * p["u"] ** 2 * p["v"], "b": (np.sum(p["u"]),)}

    p = {"u": rng.normal(size=4), "v": np.float64(2.0)}
    found = go.compile_jacobian(function, sparse=True)(p, 3.0)
    dense = go.compile_jacobian(function)(p, 3.0)
    for row in ("u", "v"):
        np.testing.assert_allclose(found["a"][row].toarray(), dense["a"][row].reshape(4, -1))
        np.testing.assert_allclose(found["b"][0][row].toarray(), dense["b"][0][row].reshape(1, -1))
    assert found["b"][0]["v"].nnz == 0


def test_hessians_of_several_arguments() -> None:
    def function(x: Any, w: Any) -> Any:
        return np.sum(x**2 * w) + np.sum(w[1:] * w[:-1])

    x, w = rng.normal(size=5), rng.normal(size=5)
    found = go.compile_hessian(function, (0, 1), sparse=True)(x, w)
    dense = go.compile_hessian(function, (0, 1))(x, w)
    for i in range(2):
        for j in range(2):
            np.testing.assert_allclose(found[i][j].toarray(), dense[i][j], atol=1e-14)
    assert found[0][0].nnz == found[0][1].nnz == 5


def test_integers_that_sizes_depend_on() -> None:
    def function(x: Any, n: Any) -> Any:
        return np.ones(n) * x**2

    x = rng.normal(size=3)
    found = go.compile_jacobian(function, sparse=True)(x, 3)
    np.testing.assert_allclose(found.toarray(), np.diag(2 * x))


def test_single_precision_stays() -> None:
    x = rng.normal(size=6).astype(np.float32)
    found = go.compile_hessian(chain, sparse=True)(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.toarray(), go.compile_hessian(chain)(x), rtol=1e-5)


def test_they_are_parts_of_compiled_functions() -> None:
    hessian = go.compile_hessian(chain, sparse=True)

    def newton_like(x: Any, v: Any) -> Any:
        return hessian(x) @ v

    x, v = rng.normal(size=7), rng.normal(size=7)
    np.testing.assert_allclose(
        go.compile(newton_like)(x, v), go.compile_hessian(chain)(x) @ v, rtol=1e-12
    )


def test_results_share_nothing() -> None:
    hessian = go.compile_hessian(chain, sparse=True)
    x = rng.normal(size=5)
    first, second = hessian(x), hessian(x)
    first.indices[:] = 0
    first.data[:] = 0
    assert (hessian(x) != second).nnz == 0


def test_memory_is_linear_in_the_elements() -> None:
    code = """if True:
        import resource
        import numpy as np
        import gradopt as go
        def chain(x):
            return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
        hessian = go.compile_hessian(chain, sparse=True)
        hessian(np.linspace(-1, 1, 10))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = hessian(np.linspace(-1, 1, 100_000))
        assert found.nnz == 299_998, found.nnz
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert used < 300_000, used  # KB; a dense matrix takes 80 GB.
    """
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_what_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="sparse=True does not take has_aux"):
        go.compile_hessian(chain, sparse=True, has_aux=True)
    with pytest.raises(UnsupportedError, match="sparse=True does not take mode"):
        go.compile_jacobian(residuals, sparse=True, mode="rev")
    with pytest.raises(NonScalarLossError):
        go.compile_hessian(residuals, sparse=True)(np.ones(3))
    with pytest.raises(ArgumentTypeError, match="dtype int64"):
        go.compile_jacobian(lambda x: x.astype(int), sparse=True)(np.ones(3))
    with pytest.raises(ArgumentTypeError, match="complex"):
        go.compile_jacobian(residuals, sparse=True)(np.ones(3, complex))

    def around(x: Any, s: Any) -> Any:
        return go.compile_jacobian(lambda y: s * y**2, sparse=True)(x) @ x

    with pytest.raises(UnsupportedError, match="pass it as an argument"):
        go.compile(around)(np.ones(3), 2.0)


def test_rules_of_the_user_are_followed() -> None:
    """A derivative where the function has none, in elements that it does not read."""

    @go.custom_jvp
    def rounded(x: Any) -> Any:
        return np.round(x)

    rounded.defjvp(lambda primals, tangents: (rounded(primals[0]), tangents[0][::-1]))
    x = rng.normal(size=5)
    found = go.compile_jacobian(rounded, sparse=True)(x)
    np.testing.assert_array_equal(found.toarray(), np.eye(5)[::-1])
    found = go.compile_hessian(lambda x: np.sum(rounded(x) ** 2), sparse=True)(x)
    dense = go.compile_hessian(lambda x: np.sum(rounded(x) ** 2))(x)
    np.testing.assert_array_equal(found.toarray(), dense)
    assert found.nnz == 5


def _graphs() -> list[tuple[str, Any]]:
    """Patterns of symmetric matrices, with diagonals and without."""
    path = scipy.sparse.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(30, 30))
    hub = np.zeros((30, 30))
    hub[7] = hub[:, 7] = 1
    grid = scipy.sparse.kronsum(path.tocsr()[:5, :5], path.tocsr()[:6, :6])
    wheel = path.toarray() + hub
    sides = np.kron(1 - np.eye(2), np.ones((4, 5)))[:8, :8]
    random = [
        scipy.sparse.random_array((60, 60), density=d, rng=np.random.default_rng(seed))
        for seed in range(6)
        for d in (0.01, 0.03, 0.1)
    ]
    named = {"path": path, "hub": hub, "grid": grid, "wheel": wheel, "bipartite": sides @ sides.T}
    return [*named.items(), *((f"random {i}", m) for i, m in enumerate(random))]


@pytest.mark.parametrize("is_symmetric", [False, True])
def test_all_elements_are_found_in_the_products(is_symmetric: bool) -> None:
    """Of random numbers in these patterns, from products with the sums that the colors say."""
    counts: dict[str, int] = {}
    for name, pattern in _graphs():
        places = scipy.sparse.csr_array(pattern != 0)
        if is_symmetric:
            places = scipy.sparse.csr_array(places + places.T)
        matrix = scipy.sparse.csr_array(
            (rng.normal(size=places.nnz), places.indices, places.indptr), shape=places.shape
        )
        if is_symmetric:
            matrix = scipy.sparse.csr_array(matrix + matrix.T)
        lowered = go.compile(lambda x, a=matrix: a @ x).lower(np.ones(matrix.shape[1]))
        found = sparsity_of(lowered, [0], [0], is_symmetric)
        np.testing.assert_array_equal(found.indices, matrix.indices)
        np.testing.assert_array_equal(found.offsets, matrix.indptr)
        seeds = (found.colors == np.arange(found.color_count)[:, None]).astype(float)
        products = seeds @ matrix if found.direction == 1 else (matrix @ seeds.T).T
        np.testing.assert_allclose(products.ravel()[found.sources], matrix.data, rtol=1e-12)
        counts[name] = found.color_count
    # The fewest there can be: for a star coloring, of a star, of a path, of a grid at most 5.
    assert counts["path"] == (3 if is_symmetric else 2)
    if is_symmetric:
        assert counts["hub"] == 2
        assert counts["grid"] <= 6
        assert counts["wheel"] <= 5
