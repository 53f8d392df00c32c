# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products with sparse matrices: constants, arguments, and those with traced elements."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse

import gradopt as go
from gradopt.errors import ArgumentTypeError, ShapeError, UnsupportedError
from gradopt.scipy import sparse

rng = np.random.default_rng(0)
DENSE = rng.normal(size=(6, 4)) * (rng.random((6, 4)) < 0.5)
FORMATS = ["csr_array", "csc_array", "coo_array", "csr_matrix", "csc_matrix", "coo_matrix"]
CONSTANT = scipy.sparse.csr_array(DENSE)


def of_format(name: str) -> Any:
    return getattr(scipy.sparse, name)(DENSE)


@pytest.mark.parametrize("name", [*FORMATS, "bsr_array", "lil_array"])
def test_constants_in_the_function(name: str) -> None:
    matrix = of_format(name)
    x, y = rng.normal(size=4), rng.normal(size=(6, 3))

    def function(x: Any, y: Any) -> Any:
        return (
            np.sum(np.sin(matrix @ x)) + np.sum((matrix.T @ y) ** 2) + np.sum((y.T @ matrix) ** 2)
        )

    def dense(x: Any, y: Any) -> Any:
        return np.sum(np.sin(DENSE @ x)) + np.sum((DENSE.T @ y) ** 2) + np.sum((y.T @ DENSE) ** 2)

    np.testing.assert_allclose(go.compile(function)(x, y), dense(x, y), rtol=1e-13)
    for found, expected in zip(
        go.compile_grad(function, (0, 1))(x, y), go.compile_grad(dense, (0, 1))(x, y), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
    go.gradcheck(function, (x, y), order=2, modes=("fwd", "rev"))


@pytest.mark.parametrize("name", FORMATS)
def test_arguments_have_gradients_of_their_format(name: str) -> None:
    matrix, x = of_format(name), rng.normal(size=4)

    def function(a: Any, x: Any) -> Any:
        return np.sum(np.tanh(a @ x) ** 2)

    by_matrix, by_x = go.compile_grad(function, (0, 1))(matrix, x)
    dense = go.compile_grad(function, (0, 1))(DENSE, x)
    assert type(by_matrix) is type(matrix)
    np.testing.assert_allclose(by_matrix.toarray(), dense[0] * (DENSE != 0), rtol=1e-12)
    np.testing.assert_allclose(by_x, dense[1], rtol=1e-12)
    go.gradcheck(
        lambda data, x: function(sparse.csr_array((data, CONSTANT.indices, CONSTANT.indptr)), x),
        (CONSTANT.data, x),
        order=2,
    )


@pytest.mark.parametrize("name", FORMATS)
def test_methods_are_scipys(name: str) -> None:
    matrix, other = of_format(name), rng.normal(size=(6, 4))

    def function(a: Any, other: Any) -> Any:
        return (
            (2 * a / 3).toarray(),
            a.sum(),
            a.sum(axis=0),
            a.sum(axis=-1),
            a.diagonal(),
            (a + a).toarray(),
            (a - 3 * a).T.toarray(),
            (-a).dot(other[:4]),
            a.multiply(other).toarray(),
            other.T @ a,
            np.float64(a.nnz),
        )

    found, expected = go.compile(function)(matrix, other), function(matrix, other)
    for ours, theirs in zip(found, expected, strict=True):
        theirs = np.asarray(theirs)
        np.testing.assert_allclose(ours, theirs.reshape(np.shape(ours)), rtol=1e-13, atol=1e-14)


def test_constructors() -> None:
    data = rng.normal(size=4)
    row, column = np.array([2, 0, 0, 1]), np.array([1, 1, 3, 0])

    def function(data: Any) -> Any:
        coo = sparse.coo_array((data, (row, column)), shape=(3, 4))
        csr = sparse.csr_array((data, (row, column)), shape=(3, 4))
        csc = sparse.csc_array(coo)
        return coo.toarray(), csr.toarray(), csc.toarray(), csr.indptr.astype(float), csr

    *arrays, pointers, whole = go.compile(function)(data)
    expected = scipy.sparse.coo_array((data, (row, column)), shape=(3, 4))
    for array in arrays:
        np.testing.assert_array_equal(array, expected.toarray())
    np.testing.assert_array_equal(pointers, expected.tocsr().indptr)
    assert isinstance(whole, scipy.sparse.csr_array)
    np.testing.assert_array_equal(whole.toarray(), expected.toarray())
    outside = sparse.csr_array((data, (row, column)))
    assert isinstance(outside, scipy.sparse.csr_array)
    assert sparse.issparse(outside)


def test_scipys_constructor_in_rewritten_code() -> None:
    def function(data: Any, x: Any) -> Any:
        matrix = scipy.sparse.csr_array((data, CONSTANT.indices, CONSTANT.indptr), shape=(6, 4))
        return matrix @ x

    x = rng.normal(size=4)
    np.testing.assert_allclose(go.compile(function)(CONSTANT.data, x), DENSE @ x, rtol=1e-13)


def test_another_structure_is_another_program() -> None:
    function = go.compile(lambda a, x: a @ x)
    x = rng.normal(size=4)
    for matrix in (DENSE, DENSE[:, ::-1], DENSE[::-1]):
        a = scipy.sparse.csr_array(matrix)
        np.testing.assert_allclose(function(a, x), matrix @ x, rtol=1e-13)
    # The same array object, changed.
    a = scipy.sparse.csr_array(DENSE)
    function(a, x)
    a.indices[:] = (a.indices + 1) % 4
    np.testing.assert_allclose(function(a, x), a.toarray() @ x, rtol=1e-13)


def test_batches() -> None:
    xs = rng.normal(size=(3, 4))
    found = go.vmap(lambda x: CONSTANT @ x)(xs)
    np.testing.assert_allclose(found, xs @ DENSE.T, rtol=1e-13)


def test_batches_of_elements() -> None:
    data, x = rng.normal(size=(3, CONSTANT.nnz)), rng.normal(size=4)

    def loss(data: Any) -> Any:
        return np.sum(
            np.sin(sparse.csr_array((data, CONSTANT.indices, CONSTANT.indptr), (6, 4)) @ x)
        )

    found = go.vmap(go.grad(loss))(data)
    rows, columns = CONSTANT.tocoo().coords
    for one, gradient in zip(data, found, strict=True):
        dense = np.zeros_like(DENSE)
        dense[rows, columns] = one
        np.testing.assert_allclose(gradient, np.cos(dense @ x)[rows] * x[columns], rtol=1e-12)


@pytest.mark.parametrize("tail", [(), (11,)])
def test_rows_of_different_length(tail: tuple[int, ...]) -> None:
    lengths = np.r_[300, np.zeros(5, int), 1 + 200 // np.arange(1, 60)]
    matrix = scipy.sparse.lil_array((lengths.size, 400))
    for i, length in enumerate(lengths):
        matrix[i, rng.choice(400, length, replace=False)] = rng.normal(size=length)
    matrix = matrix.tocsr()
    x, y = rng.normal(size=(400, *tail)), rng.normal(size=(lengths.size, *tail))

    def function(a: Any, x: Any, y: Any) -> Any:
        return np.sum(np.tanh(a @ x)) + np.sum((a.T @ y) ** 3)

    value, gradients = go.compile_value_and_grad(function, (0, 1, 2))(matrix, x, y)
    dense = matrix.toarray()
    np.testing.assert_allclose(value, function(dense, x, y), rtol=1e-12)
    expected = go.compile_grad(function, (0, 1, 2))(dense, x, y)
    by_matrix = gradients[0].toarray()
    np.testing.assert_allclose(by_matrix, expected[0] * (dense != 0), rtol=1e-10, atol=1e-12)
    for found, wanted in zip(gradients[1:], expected[1:], strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


def test_products_are_ops_that_know_rows() -> None:
    lowered = go.compile(lambda a, x: a @ x).lower(CONSTANT, np.ones(4))
    assert "grad.sparse_dot" in lowered.mlir("grad")
    assert "grad.scatter_add" not in lowered.mlir("grad")


def test_bools() -> None:
    found = go.compile(lambda a, x: a @ x)(scipy.sparse.csr_array(DENSE != 0), DENSE[0] != 0)
    np.testing.assert_array_equal(found, (DENSE != 0) @ (DENSE[0] != 0))


def test_jacobians_of_products_are_their_matrices() -> None:
    jacobian = go.compile_jacobian(lambda x: CONSTANT @ x, sparse=True)(np.ones(4))
    assert jacobian.nnz == CONSTANT.nnz
    np.testing.assert_allclose(jacobian.toarray(), DENSE)


def test_empty_matrices() -> None:
    empty = scipy.sparse.csr_array((3, 4))
    np.testing.assert_array_equal(go.compile(lambda x: empty @ x)(np.ones(4)), np.zeros(3))


def test_what_is_refused() -> None:
    x = np.ones(5)
    with pytest.raises(ShapeError, match="4 and 5 differ"):
        go.compile(lambda x: CONSTANT @ x)(x)
    with pytest.raises(UnsupportedError, match="product of two sparse"):
        go.compile(lambda a, x: (a @ CONSTANT) @ x)(CONSTANT.T, x[:4])
    with pytest.raises(UnsupportedError, match=r"use A\.toarray\(\) \+ x"):
        go.compile(lambda a, x: x + a)(CONSTANT, x[:4])
    with pytest.raises(UnsupportedError, match="indexing of a sparse matrix"):
        go.compile(lambda a: a[0])(CONSTANT)
    with pytest.raises(ArgumentTypeError, match=r"lil_array cannot be an argument.* tocsr"):
        go.compile(lambda a: a.sum())(scipy.sparse.lil_array(DENSE))
    with pytest.raises(ArgumentTypeError, match=r"a\.data of dtype int64"):
        go.compile_grad(lambda a: a.sum())(scipy.sparse.csr_array(np.eye(2, dtype=int)))
    with pytest.raises(UnsupportedError, match="no tolil"):
        go.compile(lambda a: a.tolil())(CONSTANT)
    with pytest.raises(UnsupportedError, match="same places"):
        go.compile(lambda a: (a + CONSTANT.T[:, :4]).sum())(scipy.sparse.eye_array(4, format="csr"))
    with pytest.raises(ShapeError, match="do not fit"):
        sparse.csr_array((np.ones(2), np.array([0, 9]), np.array([0, 2])), shape=(1, 3))
    with pytest.raises(ArgumentTypeError, match="concrete"):
        go.compile(lambda i: sparse.csr_array((np.ones(2), i, np.array([0, 2]))).sum())(
            np.array([0, 1])
        )
