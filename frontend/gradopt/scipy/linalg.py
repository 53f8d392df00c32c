# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.linalg`: factorisations, systems of equations, functions of matrices, special matrices.

Stacks of matrices, along the last two axes, are factored and solved one by one, as in SciPy since
1.15. `overwrite_a` and `check_finite` are accepted and mean nothing: nothing is overwritten, and
what is not finite is calculated with.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.array.dispatch import UFUNCS, unsupported
from gradopt.array.handle import array_of, wrap
from gradopt.array.operands import is_traced, traced
from gradopt.base.dtypes import INT32, INT64, part_dtype
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.functions.matrices import tril, triu
from gradopt.functions.products import matmul, promoted
from gradopt.functions.reductions import max_, sum_
from gradopt.ir import factorizations, prims
from gradopt.ir.factorizations import adjoint, inexact, transposed
from gradopt.ir.values import Value
from gradopt.linalg.factors import mirrored, square
from gradopt.linalg.systems import beside, require_sides
from gradopt.linalg.systems import solve as solve_general
from gradopt.scipy.decompositions import (
    det,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    inv,
    lstsq,
    norm,
    orthogonal_procrustes,
    pinv,
    pinvh,
    polar,
    qr,
    svd,
    svdvals,
)
from gradopt.scipy.equations import (
    solve_banded,
    solve_continuous_lyapunov,
    solve_discrete_lyapunov,
    solve_sylvester,
)
from gradopt.scipy.matrix_functions import logm, schur, sqrtm
from gradopt.scipy.special_matrices import (
    block_diag,
    circulant,
    companion,
    convolution_matrix,
    hankel,
    khatri_rao,
    toeplitz,
)
from gradopt.scipy.structured import (
    bandwidth,
    cho_solve_banded,
    cholesky_banded,
    eig_banded,
    eigvals_banded,
    fiedler,
    ishermitian,
    issymmetric,
    matmul_toeplitz,
    rq,
    solve_circulant,
    solve_toeplitz,
    solveh_banded,
    subspace_angles,
)
from gradopt.scipy.subspaces import hessenberg, null_space, orth
from gradopt.transforms.jacobian_products import jvp
from gradopt.transforms.loops import fori_loop

__all__ = [
    "bandwidth",
    "block_diag",
    "cho_factor",
    "cho_solve",
    "cho_solve_banded",
    "cholesky",
    "cholesky_banded",
    "circulant",
    "companion",
    "convolution_matrix",
    "coshm",
    "cosm",
    "det",
    "eig",
    "eig_banded",
    "eigh",
    "eigvals",
    "eigvals_banded",
    "eigvalsh",
    "expm",
    "expm_frechet",
    "fiedler",
    "fractional_matrix_power",
    "hankel",
    "hessenberg",
    "inv",
    "ishermitian",
    "issymmetric",
    "khatri_rao",
    "logm",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_solve",
    "matmul_toeplitz",
    "norm",
    "null_space",
    "orth",
    "orthogonal_procrustes",
    "pinv",
    "pinvh",
    "polar",
    "qr",
    "rq",
    "schur",
    "sinhm",
    "sinm",
    "solve",
    "solve_banded",
    "solve_circulant",
    "solve_continuous_lyapunov",
    "solve_discrete_lyapunov",
    "solve_sylvester",
    "solve_toeplitz",
    "solve_triangular",
    "solveh_banded",
    "sqrtm",
    "subspace_angles",
    "svd",
    "svdvals",
    "tanhm",
    "tanm",
    "toeplitz",
]


@hide_frames
def cholesky(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> Any:
    """The triangular factor of positive definite matrices.

    Args:
        a: matrices; the triangle that `lower` names is read, and the derivative in the other one is
            zero.
        lower: whether the factor is l, of `a = l l^H`, or u, of `a = u^H u`.
        overwrite_a: means nothing.
        check_finite: means nothing.

    Returns:
        The factors, of the shape of `a`, with zeros in the other triangle.

    Raises:
        LinAlgError: a matrix is not positive definite, or not square.
    """
    return _cholesky(a, lower=bool(lower))


@program
def _cholesky(a: Any, *, lower: bool) -> Value:
    x = square(a)
    message = "The matrix is not positive definite"
    factor = factorizations.cholesky(x if lower else adjoint(x), message)
    return factor if lower else adjoint(factor)


@hide_frames
def cho_factor(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> tuple[Any, bool]:
    """The triangular factor of positive definite matrices, for `cho_solve`.

    Parameters and errors are those of `cholesky`.

    Returns:
        The factors, with zeros in the other triangle, where SciPy leaves what was there, and
        `lower`.
    """
    return _cholesky(a, lower=bool(lower)), bool(lower)


@hide_frames
def cho_solve(
    c_and_lower: tuple[Any, bool], b: Any, overwrite_b: bool = False, check_finite: bool = True
) -> Any:
    """The solution of systems whose matrix `cho_factor` has factored.

    Args:
        c_and_lower: what `cho_factor` returned.
        b: a vector, or matrices of columns.
        overwrite_b: means nothing.
        check_finite: means nothing.

    Returns:
        The solution, of the shape of `b`.

    Raises:
        ShapeError: the sizes do not go together.
    """
    factor, lower = c_and_lower
    return _cho_solve(factor, b, lower=bool(lower))


@program
def _cho_solve(factor: Any, b: Any, *, lower: bool) -> Value:
    def solve_both(c: Value, y: Value) -> Value:
        first, second = (c, prims.conjugate(c)) if lower else (prims.conjugate(c), c)
        y = factorizations.triangular_solve(first, y, lower=lower, transpose=not lower)
        return factorizations.triangular_solve(second, y, lower=lower, transpose=lower)

    return _system("cho_solve", factor, b, solve_both)


def _system(name: str, a: Any, b: Any, solve: Any) -> Value:
    """`solve` for matrices of columns, or one vector."""
    x, y = promoted(a, b)
    x = square(x)
    y = prims.convert(y, x.dtype)
    if y.ndim == 0:
        raise ShapeError(f"{name}: the right-hand side has no dimensions", source_location())
    is_vector = y.ndim == 1
    if is_vector:
        y = prims.reshape(y, (y.size, 1))
    require_sides(x, y, name)
    result = beside(x, y, solve)
    return prims.reshape(result, result.shape[:-1]) if is_vector else result


_TRANSPOSES = {0: 0, "N": 0, 1: 1, "T": 1, 2: 2, "C": 2}


def _transposition(name: str, trans: Any) -> int:
    if trans not in _TRANSPOSES:
        raise ArgumentError(f"{name}: trans must be 0, 1 or 2, or N, T or C, but it is {trans!r}")
    return _TRANSPOSES[trans]


@hide_frames
def solve_triangular(
    a: Any,
    b: Any,
    trans: Any = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    """The solution of triangular systems.

    Args:
        a: matrices, of which one triangle is read.
        b: a vector, or matrices of columns.
        trans: 0 or "N" for `a x = b`, 1 or "T" for `a^T x = b`, 2 or "C" for `a^H x = b`.
        lower: which triangle.
        unit_diagonal: whether the diagonal is taken to be one.
        overwrite_b: means nothing.
        check_finite: means nothing.

    Returns:
        The solution, of the shape of `b`.

    Raises:
        LinAlgError: an element on the diagonal is zero.
        ShapeError: the sizes do not go together.
        ArgumentError: there is no such `trans`.
    """
    return _solve_triangular(
        a,
        b,
        trans=_transposition("solve_triangular", trans),
        lower=bool(lower),
        unit=bool(unit_diagonal),
    )


@program
def _solve_triangular(a: Any, b: Any, *, trans: int, lower: bool, unit: bool) -> Value:
    x = traced(a)
    if trans == 2:
        x = prims.conjugate(x)
    if not unit and x.ndim >= 2:
        diagonal = traced(np.diagonal(wrap(x), 0, -2, -1))
        factorizations.require_all_of(
            prims.not_equal(diagonal, 0), "singular matrix: a diagonal has a zero"
        )

    def solve_one(c: Value, y: Value) -> Value:
        return factorizations.triangular_solve(c, y, lower=lower, transpose=trans != 0, unit=unit)

    return _system("solve_triangular", x, b, solve_one)


@hide_frames
def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Any, Any]:
    """Triangular factors, with exchanges of rows.

    Args:
        a: matrices.
        overwrite_a: means nothing.
        check_finite: means nothing.

    Returns:
        The factors, of the shape of `a`: u on and above the diagonal, and below it l, whose
        diagonal is one. And pivots, int32: row i was exchanged with row `pivots[i]`.

    Raises:
        LinAlgError: it has less than two dimensions.
    """
    factors, pivots = _lu_factor(a)
    return factors, pivots


@program
def _lu_factor(a: Any) -> Any:
    factors, pivots, _, _ = factorizations.lu(inexact(traced(a)))
    return factors, pivots


@hide_frames
def lu_solve(
    lu_and_piv: tuple[Any, Any],
    b: Any,
    trans: Any = 0,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    """The solution of systems whose matrix `lu_factor` has factored.

    Args:
        lu_and_piv: what `lu_factor` returned.
        b: a vector, or matrices of columns.
        trans: as for `solve_triangular`.
        overwrite_b: means nothing.
        check_finite: means nothing.

    Returns:
        The solution, of the shape of `b`.

    Raises:
        ShapeError: the sizes do not go together.
        ArgumentError: there is no such `trans`.
    """
    factors, pivots = lu_and_piv
    return _lu_solve(factors, pivots, b, trans=_transposition("lu_solve", trans))


@program
def _lu_solve(factors: Any, pivots: Any, b: Any, *, trans: int) -> Value:
    lu_, piv = square(factors), traced(pivots, INT32)
    if trans == 2:
        lu_ = prims.conjugate(lu_)
    name = "scipy.linalg.lu_solve"
    if lu_.ndim != 2:
        raise unsupported(f"{name} of stacks of matrices", "use numpy.linalg.solve")
    order = _permutation(piv)

    def solve_both(c: Value, y: Value) -> Value:
        if not trans:
            y = prims.gather(y, prims.reshape(order, (order.size, 1)))
        steps = [{"lower": True, "unit": True}, {"lower": False, "unit": False}]
        for step in reversed(steps) if trans else steps:
            y = factorizations.triangular_solve(c, y, transpose=trans != 0, **step)
        if trans:
            places = prims.reshape(order, (order.size, 1))
            y = prims.scatter(prims.full(y.shape, 0, y.dtype), places, y, unique=True)
        return y

    return _system("lu_solve", lu_, b, solve_both)


def _permutation(pivots: Value) -> Value:
    """The order of rows that exchanges make."""
    places = array_of(prims.convert(pivots, INT64))

    def exchange(i: Any, order: Any) -> Any:
        order = order.copy()
        one, other = order[i], order[places[i]]
        order[places[i]] = one
        order[i] = other
        return order

    start = array_of(prims.iota(pivots.shape, 0, INT64))
    return traced(fori_loop(0, pivots.size, exchange, start) if pivots.size else start)


@hide_frames
def lu(
    a: Any,
    permute_l: bool = False,
    overwrite_a: bool = False,
    check_finite: bool = True,
    p_indices: bool = False,
) -> tuple[Any, ...]:
    """Triangular factors of matrices, `a = p l u`.

    Args:
        a: matrices.
        permute_l: whether to return `p l` in place of p and l.
        overwrite_a: means nothing.
        check_finite: means nothing.
        p_indices: whether to return the order of the rows, `a = l[p] u`, in place of p.

    Returns:
        p, l and u, or `p l` and u.

    Raises:
        LinAlgError: it has less than two dimensions.
    """
    return tuple(_lu(a, permute_l=bool(permute_l), p_indices=bool(p_indices)))


@program
def _lu(a: Any, *, permute_l: bool, p_indices: bool) -> Any:
    x = inexact(traced(a))
    factors, _, order, _ = factorizations.lu(x)
    rows, columns = x.shape[-2:]
    count = min(rows, columns)
    left = tril(prims.take_range(factors, x.ndim - 1, 0, count), -1)
    eye = prims.convert(
        prims.equal(
            prims.iota((rows, count), 0, INT64),
            prims.iota((rows, count), 1, INT64),
        ),
        x.dtype,
    )
    left = left + prims.broadcast_to(eye, left.shape)
    right = triu(prims.take_range(factors, x.ndim - 2, 0, count))
    # Column i of p has its one in row order[i].
    places = prims.broadcast_to(
        prims.reshape(order, (*order.shape[:-1], 1, rows)), (*order.shape[:-1], rows, rows)
    )
    is_one = prims.equal(places, prims.iota(places.shape, places.ndim - 2, INT64))
    p = prims.convert(is_one, part_dtype(x.dtype))
    if permute_l:
        return matmul(prims.convert(p, x.dtype), left), right
    if p_indices:
        each = prims.iota(places.shape, places.ndim - 1, INT64)
        zero = prims.full((), 0, INT64)
        return sum_(prims.select(is_one, each, zero), -1), left, right
    return p, left, right


_ASSUMPTIONS = {
    **dict.fromkeys((None, "gen", "general"), "general"),
    **dict.fromkeys(("sym", "symmetric"), "symmetric"),
    **dict.fromkeys(("her", "hermitian"), "hermitian"),
    **dict.fromkeys(("pos", "positive definite"), "positive"),
    **dict.fromkeys(("lower triangular", "upper triangular"), "triangular"),
    "diagonal": "diagonal",
}


@hide_frames
def solve(
    a: Any,
    b: Any,
    lower: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    assume_a: Any = None,
    transposed: bool = False,
) -> Any:
    """The solution of systems of equations.

    Args:
        a: matrices.
        b: a vector, or matrices of columns.
        lower: which triangle is read, if the matrix is symmetric or positive definite.
        overwrite_a: means nothing.
        overwrite_b: means nothing.
        check_finite: means nothing.
        assume_a: None or "gen", "sym", "her", "pos", "lower triangular", "upper triangular",
            "diagonal", or a longer form of these.
        transposed: whether to solve `a^T x = b`.

    Returns:
        The solution, of the shape of `b`.

    Raises:
        LinAlgError: a matrix is singular, or, for "pos", not positive definite.
        ArgumentError: there is no such `assume_a`.
        ShapeError: the sizes do not go together.
    """
    if assume_a not in _ASSUMPTIONS:
        raise ArgumentError(f"solve: {assume_a!r} is not a recognized matrix structure")
    kind = _ASSUMPTIONS[assume_a]
    is_lower = assume_a == "lower triangular" or (kind != "triangular" and bool(lower))
    return _solve(a, b, kind=kind, lower=is_lower, turned=bool(transposed))


@program
def _solve(a: Any, b: Any, *, kind: str, lower: bool, turned: bool) -> Value:
    x = square(a)
    if kind == "triangular":
        return traced(_solve_triangular(x, b, trans=int(turned), lower=lower, unit=False))
    if kind == "diagonal":
        diagonal = traced(np.diagonal(wrap(x), 0, -2, -1))
        factorizations.require_all_of(prims.not_equal(diagonal, 0), factorizations.SINGULAR)
        y = traced(b)
        if y.ndim > 1:
            diagonal = prims.reshape(diagonal, (*diagonal.shape, 1))
        return UFUNCS[np.divide](y, diagonal)
    if kind == "symmetric":
        x = x if lower else transposed(x)
        return solve_general(tril(x) + transposed(tril(x, -1)), b)
    if kind in ("hermitian", "positive"):
        x = x if lower else adjoint(x)
        x = prims.conjugate(x) if turned else x
        if kind == "positive":
            factor = factorizations.cholesky(x, "The matrix is not positive definite")
            return traced(_cho_solve(factor, b, lower=True))
        return solve_general(mirrored(x), b)
    return solve_general(transposed(x) if turned else x, b)


# Numerators of Padé's approximants of exp, and the norms up to which these are exact to double
# precision (Higham: The scaling and squaring method for the matrix exponential revisited, 2005).
_PADE = (
    *(64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0),
    *(129060195264000.0, 10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0),
    *(40840800.0, 960960.0, 16380.0, 182.0, 1.0),
)
_PADE_NORM = 5.371920351148152
# So many squarings reach beyond what has a finite exponential.
_MOST_SQUARINGS = 32


@hide_frames
def expm(A: Any) -> Any:
    """The exponentials of matrices, by scaling, Padé's approximant of order 13, and squaring.

    Args:
        A: square matrices.

    Returns:
        The exponentials, of the shape of `A`.

    Raises:
        LinAlgError: it has less than two dimensions, or the matrices are not square.
    """
    return _expm(A)


@hide_frames
def expm_frechet(
    A: Any, E: Any, method: str | None = None, compute_expm: bool = True, check_finite: bool = True
) -> Any:
    """The exponential of a matrix, and its derivative in the direction `E`.

    Args:
        A: square matrix.
        E: matrix of its shape.
        compute_expm: whether the exponential is returned, too.
        method, check_finite: mean nothing.

    Raises:
        ShapeError: the shapes are not the same.
        LinAlgError: the matrix is not square.
    """
    value, change = _expm_tangent(A, E)
    return (value, change) if compute_expm else change


@program
def _expm_tangent(A: Any, E: Any) -> Any:
    a, e = [array_of(x) for x in promoted(*map(inexact, map(traced, (A, E))))]
    if a.shape != e.shape:
        raise ShapeError("expected A and E to be the same shape", source_location())
    return jvp(expm, (a,), (e,))


@hide_frames
def fractional_matrix_power(A: Any, t: Any) -> Any:
    """The power of a matrix: `expm(t logm(A))`, or a product of matrices if t is an integer.

    Args:
        A: square matrix; of a t that is no integer, one that has a logarithm: not singular.
        t: number; may be traced.

    Returns:
        A matrix of the dtype of `A`.

    Raises:
        LinAlgError: the matrix is not square, or has no real logarithm and is not complex.
    """
    if not is_traced(t) and float(t).is_integer():
        return np.linalg.matrix_power(A, int(t))
    return expm(logm(A) * t)


@program
def _expm(a: Any) -> Value:
    x = square(a)
    if x.size == 0:
        return x
    sizes = max_(sum_(UFUNCS[np.absolute](x), -2), None)
    scale = UFUNCS[np.log2](sizes / _PADE_NORM)
    steps = prims.stop_gradient(UFUNCS[np.ceil](scale))
    zero, most = prims.full((), 0, steps.dtype), prims.full((), _MOST_SQUARINGS, steps.dtype)
    # Of NaN and of zeros, none.
    steps = prims.select(steps > zero, prims.select(steps < most, steps, most), zero)
    x = x * prims.convert(UFUNCS[np.exp2](-steps), x.dtype)
    result = array_of(_pade(x))
    count = array_of(prims.convert(steps, INT64))
    return traced(fori_loop(0, count, lambda _, y: y @ y, result))


def _pade(x: Value) -> Value:
    """The approximant of order 13, as sums of even and of odd powers."""
    b = _PADE
    two = matmul(x, x)
    four = matmul(two, two)
    six = matmul(four, two)
    eye = factorizations.identities(x)

    def powers(seven: float, five: float, three: float, one: float) -> Value:
        return six * seven + four * five + two * three + eye * one

    odd = matmul(six, six * b[13] + four * b[11] + two * b[9]) + powers(b[7], b[5], b[3], b[1])
    odd = matmul(x, odd)
    even = matmul(six, six * b[12] + four * b[10] + two * b[8]) + powers(b[6], b[4], b[2], b[0])
    return solve_general(even - odd, even + odd)


def _hyperbolic(a: Any) -> tuple[Any, Any]:
    """The hyperbolic cosine and sine of matrices."""
    x = square(a)
    up, down = wrap(traced(_expm(x))), wrap(traced(_expm(-x)))
    return (up + down) / 2, (up - down) / 2


def _circular(a: Any) -> tuple[Any, Any]:
    """The cosine and sine of matrices."""
    x = square(a)
    i = prims.convert(x, np.result_type(x.dtype, np.complex64)) * 1j
    up = wrap(traced(_expm(i)))
    if x.dtype.kind != "c":
        return np.real(up), np.imag(up)
    down = wrap(traced(_expm(-i)))
    return (up + down) / 2, (up - down) / 2j


@program
def _trigonometric(a: Any, *, name: str) -> Value:
    cosine, sine = (_hyperbolic if name.endswith("h") else _circular)(a)
    if name.startswith("tan"):
        return traced(np.linalg.solve(cosine, sine))
    return traced(cosine if name.startswith("cos") else sine)


@hide_frames
def cosm(A: Any) -> Any:
    """The cosines of square matrices, by their exponentials."""
    return _trigonometric(A, name="cos")


@hide_frames
def sinm(A: Any) -> Any:
    """The sines of square matrices, by their exponentials."""
    return _trigonometric(A, name="sin")


@hide_frames
def tanm(A: Any) -> Any:
    """The tangents of square matrices, by their exponentials."""
    return _trigonometric(A, name="tan")


@hide_frames
def coshm(A: Any) -> Any:
    """The hyperbolic cosines of square matrices, by their exponentials."""
    return _trigonometric(A, name="cosh")


@hide_frames
def sinhm(A: Any) -> Any:
    """The hyperbolic sines of square matrices, by their exponentials."""
    return _trigonometric(A, name="sinh")


@hide_frames
def tanhm(A: Any) -> Any:
    """The hyperbolic tangents of square matrices, by their exponentials."""
    return _trigonometric(A, name="tanh")
