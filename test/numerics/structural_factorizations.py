# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rows of factorisations, with references in any precision, which NumPy's are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from harness import constant
from mlir import ir
from structural_rows import COMPLEX, FLOATS, Array, Case, Shape, Structural

from gradopt.compilation.lowered import load_blas
from gradopt.dialects import grad, spectra

# -- References ------------------------------------------------------------------------------


def each(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of matrices, for stacks of them."""

    def mapped(*stacks: Array) -> Any:
        if stacks[0].ndim == 2:
            return function(*stacks)
        return np.stack([mapped(*parts) for parts in zip(*stacks, strict=True)])

    return mapped


def cholesky(a: Array) -> Array:
    """Column by column."""
    a, result = a.copy(), np.zeros_like(a)
    for k in range(len(a)):
        result[k:, k] = a[k:, k] / np.sqrt(a[k, k])
        a[k + 1 :, k + 1 :] -= np.outer(result[k + 1 :, k], result[k + 1 :, k])
    return result


def lu(a: Array) -> Array:
    """Gauss' elimination with the largest pivots."""
    a = a.copy()
    for k in range(min(a.shape)):
        pivot = k + np.argmax(np.abs(a[k:, k]))
        a[[k, pivot]] = a[[pivot, k]]
        a[k + 1 :, k] /= a[k, k]
        a[k + 1 :, k + 1 :] -= np.outer(a[k + 1 :, k], a[k, k + 1 :])
    return a


def solve(a: Array, b: Array) -> Array:
    """Gauss' and Jordan's elimination."""
    rows = np.concatenate([a, b], 1)
    for k in range(len(a)):
        pivot = k + np.argmax(np.abs(rows[k:, k]))
        rows[[k, pivot]] = rows[[pivot, k]]
        rows[k] /= rows[k, k]
        for i in range(len(a)):
            if i != k:
                rows[i] = rows[i] - rows[i, k] * rows[k]
    return rows[:, len(a) :]


def qr(a: Array) -> tuple[Array, Array]:
    """Gram's and Schmidt's orthogonalisation, twice, with the signs of Householder's."""
    count = min(a.shape)
    q = np.zeros((len(a), count), a.dtype)
    for k in range(count):
        column = a[:, k]
        for _ in range(2):
            column = column - q[:, :k] @ (q[:, :k].T @ column)
        q[:, k] = column / np.sqrt(column @ column)
    # Householder's first elements of r are minus the sign of what they are made of.
    r, rest = np.triu(q.T @ a), a.copy()
    signs = np.ones(count, a.dtype)
    for k in range(min(count, len(a) - 1)):
        head = rest[k, k]
        length = -np.copysign(np.sqrt(rest[k:, k] @ rest[k:, k]), head)
        signs[k] = np.sign(length) * np.sign(r[k, k])
        v = rest[k:, k].copy()
        v[0] -= length
        rest[k:] = rest[k:] - np.outer(v, 2 / (v @ v) * (v @ rest[k:]))
    if count == len(a):
        signs[-1] = np.sign(rest[count - 1, count - 1]) * np.sign(r[count - 1, count - 1])
    return q * signs, r * signs[:, None]


def eigh(a: Array) -> tuple[Array, Array]:
    """Jacobi's rotations; of `a`, the lower triangle."""
    n = len(a)
    a = np.tril(a) + np.tril(a, -1).T
    v = np.eye(n, dtype=a.dtype)
    for _ in range(12):
        for i in range(n):
            for j in range(i):
                angle = np.arctan2(2 * a[i, j], a[j, j] - a[i, i]) / 2
                turn = np.eye(n, dtype=a.dtype)
                turn[i, i] = turn[j, j] = np.cos(angle)
                turn[i, j], turn[j, i] = np.sin(angle), -np.sin(angle)
                a, v = turn.T @ a @ turn, v @ turn
    order = np.argsort(np.diag(a))
    return np.diag(a)[order], v[:, order]


def svd(a: Array) -> tuple[Array, Array, Array]:
    """From the eigenvalues of the smaller of its squares."""
    if a.shape[0] < a.shape[1]:
        u, s, vh = svd(a.T)
        return vh.T, s, u.T
    squares, v = eigh(a.T @ a)
    s = np.sqrt(squares[::-1])
    v = v[:, ::-1]
    return a @ v / s, s, v.T


# -- Cases -----------------------------------------------------------------------------------


def diagonal(shape: Shape, dtype: Any) -> Array:
    """Large numbers on the diagonals, far from each other."""
    sizes = 8.0 + 3.0 * np.arange(shape[-1])
    return np.broadcast_to(np.eye(*shape[-2:]) * sizes, shape).astype(dtype)


def regular(x: ir.Value) -> ir.Value:
    """Matrices with a diagonal that outweighs the rest."""
    kind = ir.RankedTensorType(x.type)
    return grad.add(x, constant(diagonal(tuple(kind.shape), numpy_dtype(kind.element_type))))


def numpy_dtype(element: ir.Type) -> str:
    return {"f64": "f8", "f32": "f4", "complex<f64>": "c16", "complex<f32>": "c8"}[str(element)]


def of_regular(function: Callable[..., Any]) -> Callable[..., Any]:
    """A reference for `regular` matrices."""
    return lambda x, *rest: each(function)(x + diagonal(x.shape, x.dtype), *rest)


def scaled_columns(x: ir.Value) -> ir.Value:
    """Each column times a number of its own."""
    kind = ir.RankedTensorType(x.type)
    weights = np.broadcast_to(1.0 + np.arange(kind.shape[-1]), kind.shape)
    return grad.multiply(x, constant(weights.astype(numpy_dtype(kind.element_type))))


def scaled(x: Array) -> Array:
    return x * (1 + np.arange(x.shape[-1])).astype(x.dtype)


def product(x: ir.Value, y: ir.Value, transpose: bool) -> ir.Value:
    """Of stacks of matrices; with the transpose of the second one."""
    rank = ir.RankedTensorType(x.type).rank
    batch = list(range(rank - 2))
    return grad.dot_general(x, y, batch, batch, [rank - 1], [rank - 1 if transpose else rank - 2])


def weighted_vectors(x: ir.Value) -> ir.Value:
    """What does not depend on the signs of eigenvectors: v diag(1, 2, ...) transpose(v)."""
    vectors = grad.EighOp(regular(x)).vectors
    return product(scaled_columns(vectors), vectors, transpose=True)


def weighted_reference(a: Array) -> Array:
    vectors = eigh(a)[1]
    return scaled(vectors) @ vectors.T


def svd_case(shape: Shape, full: bool = False) -> list[Case]:
    def values(x: ir.Value) -> ir.Value:
        return grad.SvdOp(regular(x), full).s

    def vectors(x: ir.Value) -> ir.Value:
        parts = grad.SvdOp(regular(x), full)
        return product(scaled_columns(parts.u), parts.vh, transpose=False)

    def reference(a: Array) -> Array:
        u, _, vh = svd(a)
        return scaled(u) @ vh

    cases = [Case(values, of_regular(lambda a: svd(a)[1]), [shape])]
    return cases if full else [*cases, Case(vectors, of_regular(reference), [shape])]


def triangle(a: Array, lower: bool, transpose: bool, unit: bool) -> Array:
    a = np.tril(a) if lower else np.triu(a)
    if unit:
        a = a - np.diag(np.diag(a)) + np.eye(len(a), dtype=a.dtype)
    return a.T if transpose else a


def triangular_case(
    shape: Shape, sides: Shape, left: bool, lower: bool, transpose: bool, unit: bool
) -> Case:
    def reference(a: Array, b: Array) -> Array:
        a = triangle(a, lower, transpose, unit)
        return solve(a, b) if left else solve(a.T, b.T).T

    return Case(
        lambda a, b: grad.triangular_solve(regular(a), b, left, lower, transpose, unit),
        of_regular(reference),
        [shape, sides],
    )


def lu_solve_case(shape: Shape, sides: Shape, transpose: bool) -> Case:
    def build(a: ir.Value, b: ir.Value) -> ir.Value:
        a = regular(a)
        parts = grad.LuOp(a)
        return grad.lu_solve(a, parts.factors, parts.pivots, b, transposed=transpose)

    return Case(build, of_regular(lambda a, b: solve(a.T if transpose else a, b)), [shape, sides])


def inverse(x: ir.Value) -> ir.Value:
    parts = grad.LuOp(x)
    kind = ir.RankedTensorType(x.type)
    eye = np.broadcast_to(np.eye(kind.shape[-1]), kind.shape)
    identity = constant(eye.astype(numpy_dtype(kind.element_type)))
    return grad.lu_solve(x, parts.factors, parts.pivots, identity)


def square_by_eigenvalues(x: ir.Value) -> ir.Value:
    """The real part of v diag(w)^2 inverse(v), which needs all of eig, and depends on no choice."""
    load_blas()  # There are no loops for it.
    parts = spectra.EigOp(regular(x))
    kind = ir.RankedTensorType(parts.vectors.type)
    rank = kind.rank
    rows = grad.broadcast(parts.values, kind.shape, [*range(rank - 2), rank - 1])
    scaled = grad.multiply(parts.vectors, grad.multiply(rows, rows))
    result = product(scaled, inverse(parts.vectors), transpose=False)
    return grad.convert(result, ir.TypeAttr.get(ir.RankedTensorType(x.type).element_type))


def square_by_schur(x: ir.Value) -> ir.Value:
    load_blas()
    parts = spectra.SchurOp(regular(x))
    form = product(parts.form, parts.form, transpose=False)
    return product(product(parts.vectors, form, transpose=False), parts.vectors, transpose=True)


def root(a: Array) -> Array:
    """Of an upper triangular matrix, column by column."""
    result = np.zeros_like(a)
    for j in range(len(a)):
        result[j, j] = np.sqrt(a[j, j])
        for i in range(j - 1, -1, -1):
            inside = result[i, i + 1 : j] @ result[i + 1 : j, j]
            result[i, j] = (a[i, j] - inside) / (result[i, i] + result[j, j])
    return result


def kronecker_case(shape: Shape, columns: int, transpose: bool, below: bool) -> Case:
    """A system for all elements, or for those below the diagonal."""

    def build(a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        a, b = regular(a), regular(b)
        b = grad.negative(b) if below else b
        return spectra.triangular_sylvester(a, b, c, transpose, below)

    def solved(a: Array, b: Array, c: Array) -> Array:
        a = np.triu(a + diagonal(a.shape, a.dtype))
        b = np.triu(b + diagonal(b.shape, b.dtype)) * (-1 if below else 1)
        a, b = (a.T, b.T) if transpose else (a, b)
        eyes = [np.eye(len(x), dtype=x.dtype) for x in (a, b)]
        system = np.kron(a, eyes[1]) + np.kron(eyes[0], b.T)
        known = np.tri(*c.shape, -1, dtype=bool).ravel() if below else np.ones(c.size, bool)
        result = np.zeros_like(c).ravel()
        inside = system[known][:, known]
        result[known] = solve(inside, c.reshape(-1, 1)[known])[:, 0]
        return result.reshape(c.shape)

    other = (*shape[:-2], columns, columns)
    # Below the diagonal, there may be blocks of two rows: nothing here.
    return Case(
        lambda a, b, c: build(upper(a), upper(b), c),
        each(solved),
        [shape, other, (*shape[:-1], columns)],
    )


# Forms with blocks of two rows, for pairs of eigenvalues.
PAIRS = np.array([[2.0, 1.0, 0.5, 0.2], [-1.0, 2.0, 0.3, 0.7], [0, 0, 3.0, 0.4], [0, 0, 0, 1.0]])
OTHER_PAIRS = np.array([[1.0, 0.3, 0.4], [0, 4.0, -2.0], [0, 0.5, 4.0]])

READ, OTHER_READ = (np.triu(np.ones_like(x)) + (np.tril(x, -1) != 0) for x in (PAIRS, OTHER_PAIRS))


def near(x: ir.Value, form: Array, read: Array) -> ir.Value:
    """A matrix with the blocks of `form`; what is further below is not read."""
    kind = ir.RankedTensorType(x.type)
    whole = [np.broadcast_to(a, kind.shape) for a in (0.1 * (read + np.tril(read + 1, -2)), form)]
    scale, shift = [constant(a.astype(numpy_dtype(kind.element_type))) for a in whole]
    return grad.add(grad.multiply(x, scale), shift)


def pairs_case(transpose: bool) -> Case:
    def solved(a: Array, b: Array, c: Array) -> Array:
        a, b = (0.1 * a * READ + PAIRS, 0.1 * b * OTHER_READ + OTHER_PAIRS)
        a, b = (a.T, b.T) if transpose else (a, b)
        system = np.kron(a, np.eye(len(b))) + np.kron(np.eye(len(a)), b.T)
        return solve(system.astype(c.dtype), c.reshape(-1, 1)).reshape(c.shape)

    def build(a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        a, b = near(a, PAIRS, READ), near(b, OTHER_PAIRS, OTHER_READ)
        return spectra.triangular_sylvester(a, b, c, transpose, False)

    return Case(build, solved, [(4, 4), (3, 3), (4, 3)], dtypes=("f8",))


def upper(x: ir.Value) -> ir.Value:
    kind = ir.RankedTensorType(x.type)
    mask = np.broadcast_to(np.triu(np.ones(kind.shape[-2:])), kind.shape)
    return grad.multiply(x, constant(mask.astype(numpy_dtype(kind.element_type))))


def cholesky_into(x: ir.Value) -> ir.Value:
    kind = ir.RankedTensorType(x.type)
    status = ir.RankedTensorType.get(kind.shape[:-2], ir.IntegerType.get_signless(32))
    outs = [grad.stop_gradient(x), constant(np.zeros(kind.shape[:-2], "i4"))]
    return grad.LapackIntoOp([kind, status], "cholesky", 0, [regular(x)], outs).results[0]


def qr_cases(shape: Shape, full: bool) -> list[Case]:
    """Of a full factorisation the first columns: the others have other references."""
    cases = [
        Case(
            lambda x: grad.QrOp(x, full).r,
            each(lambda a: np.pad(qr(a)[1], ((0, len(a) - min(a.shape) if full else 0), (0, 0)))),
            [shape],
        )
    ]
    if not full:
        cases.append(Case(lambda x: grad.QrOp(x, full).q, each(lambda a: qr(a)[0]), [shape]))
    return cases


SQUARES: list[Shape] = [(1, 1), (4, 4), (2, 3, 3)]

FACTORIZATIONS = [
    Structural(
        "cholesky",
        [
            Case(lambda x: grad.CholeskyOp(regular(x)).factor, of_regular(cholesky), [shape])
            for shape in SQUARES
        ],
        FLOATS,
        rounding=4000,
    ),
    Structural(
        "lu",
        [
            Case(lambda x: grad.LuOp(regular(x)).factors, of_regular(lu), [shape])
            for shape in (*SQUARES, (5, 3), (3, 5), (2, 4, 2))
        ],
        (*FLOATS, *COMPLEX),
        rounding=4000,
    ),
    Structural(
        "lu_solve",
        [
            lu_solve_case(shape, (*shape[:-1], 2), transpose)
            for shape in SQUARES
            for transpose in (False, True)
        ],
        (*FLOATS, *COMPLEX),
        rounding=4000,
    ),
    Structural(
        "triangular_solve",
        [
            triangular_case((3, 3), (3, 2) if left else (2, 3), left, lower, transpose, unit)
            for left in (True, False)
            for lower in (True, False)
            for transpose in (True, False)
            for unit in (True, False)
        ]
        + [
            triangular_case((2, 3, 3), (2, 3, 1), True, True, False, False),
            triangular_case((2, 3, 3), (2, 4, 3), False, True, True, False),
        ],
        (*FLOATS, *COMPLEX),
        rounding=4000,
    ),
    Structural(
        "qr",
        [
            case
            for shape, full in [
                *[((4, 4), False), ((5, 3), False), ((3, 5), False), ((2, 3, 2), False)],
                *[((5, 3), True), ((3, 5), True)],
            ]
            for case in qr_cases(shape, full)
        ],
        FLOATS,
        rounding=4000,
    ),
    Structural(
        "eigh",
        [
            case
            for shape in SQUARES
            for case in (
                Case(
                    lambda x: grad.EighOp(regular(x)).values,
                    of_regular(lambda a: eigh(a)[0]),
                    [shape],
                ),
                Case(weighted_vectors, of_regular(weighted_reference), [shape]),
            )
        ],
        FLOATS,
        rounding=4000,
    ),
    Structural(
        "svd",
        [
            *[case for shape in (*SQUARES, (5, 3), (3, 5)) for case in svd_case(shape)],
            *[case for shape in ((5, 3), (3, 5)) for case in svd_case(shape, full=True)],
        ],
        FLOATS,
        rounding=4000,
    ),
    Structural(
        "eig",
        [Case(square_by_eigenvalues, of_regular(lambda a: a @ a), [shape]) for shape in SQUARES],
        FLOATS,
        rounding=4000,
    ),
    Structural(
        "schur",
        [Case(square_by_schur, of_regular(lambda a: a @ a), [shape]) for shape in SQUARES],
        FLOATS,
        rounding=4000,
    ),
    Structural(
        "triangular_sylvester",
        [
            kronecker_case(shape, columns, transpose, below)
            for shape, columns, below in [
                ((1, 1), 2, False),
                ((3, 3), 2, False),
                ((2, 2, 2), 1, False),
                ((4, 4), 4, True),
            ]
            for transpose in (False, True)
        ]
        + [pairs_case(transpose) for transpose in (False, True)],
        (*FLOATS, *COMPLEX),
        rounding=4000,
    ),
    Structural(
        "triangular_sqrt",
        [
            Case(
                lambda x: spectra.triangular_sqrt(upper(regular(x))),
                of_regular(lambda a: root(np.triu(a))),
                [shape],
            )
            for shape in SQUARES
        ],
        (*FLOATS, *COMPLEX),
        rounding=4000,
    ),
    Structural(
        "lapack_into",
        [Case(cholesky_into, of_regular(cholesky), [(3, 3)])],
        FLOATS,
        order=0,
        rounding=4000,
    ),
]
