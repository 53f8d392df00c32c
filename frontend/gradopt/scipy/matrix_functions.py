# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.linalg`: Schur decompositions, and square roots and logarithms of matrices by these.

Dtypes do not depend on values: real matrices have real results, and where there is no real root or
logarithm, that is an error; complex matrices have complex ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradopt.array.dispatch import UFUNCS, unsupported
from gradopt.array.handle import array_of, wrap
from gradopt.array.operands import traced
from gradopt.base.dtypes import complex_dtype, part_dtype
from gradopt.base.frames import hide_frames
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, LinAlgError
from gradopt.functions.products import matmul
from gradopt.functions.reductions import max_, sum_
from gradopt.ir import factorizations, prims
from gradopt.ir.checks import require_all
from gradopt.ir.factorizations import adjoint
from gradopt.ir.values import Value
from gradopt.linalg.factors import square
from gradopt.scipy.equations import sylvester
from gradopt.transforms.custom import custom_vjp
from gradopt.transforms.loops import while_loop

# Nodes of Gauss' and Legendre's rule, which gives Pade's approximant of log(1 + x) of this order,
# and the norm of x up to which that is exact to double precision (Higham: Functions of Matrices,
# 2008, section 11.5).
_NODES = 10
_LARGEST = 0.475
# So many square roots bring every positive double that near to 1.
_MOST_ROOTS = 64


@hide_frames
def schur(
    a: Any,
    output: str = "real",
    lwork: Any = None,
    overwrite_a: bool = False,
    sort: Any = None,
    check_finite: bool = True,
) -> tuple[Any, Any]:
    """The Schur decomposition of square matrices, `a = z t z^H`.

    Derivatives need eigenvalues that differ.

    Args:
        a: matrices.
        output: "real", for a real `t` of real matrices, with blocks of two rows on the diagonal
            for pairs of eigenvalues; or "complex", for an upper triangular one.
        lwork: means nothing.
        overwrite_a: means nothing.
        sort: None; eigenvalues have LAPACK's order.
        check_finite: means nothing: the matrices are checked.

    Returns:
        t and z, of the shape of `a`.

    Raises:
        ArgumentError: there is no such output.
        LinAlgError: the calculation did not converge, a matrix is not finite, or not square.
        UnsupportedError: `sort` is not None.
    """
    if output not in ("real", "complex", "r", "c"):
        raise ArgumentError("argument must be 'real', or 'complex'")
    if sort is not None:
        raise unsupported("sort= of scipy.linalg.schur", "use sort=None")
    t, z = _schur(a, to_complex=output[0] == "c")
    return t, z


@program
def _schur(a: Any, *, to_complex: bool) -> Any:
    x = square(a)
    if to_complex and x.dtype.kind != "c":
        x = prims.convert(x, complex_dtype(x.dtype))
    return factorizations.schur(x)


def _require_finite(x: Value, message: str) -> None:
    sizes = UFUNCS[np.absolute](x)
    require_all(traced(UFUNCS[np.isfinite](sizes)), message, LinAlgError)


@hide_frames
def sqrtm(A: Any, disp: Any = None, blocksize: Any = None) -> Any:
    """The principal square roots of matrices.

    By Schur's form (Bjoerck and Hammarling 1983; Higham 1987). The derivative solves
    `x dx + dx x = da`.

    Args:
        A: square matrices.
        disp: None or True.
        blocksize: means nothing.

    Returns:
        The roots, of the shape and dtype of `A`, where SciPy returns complex ones of real matrices
        that need them.

    Raises:
        LinAlgError: a real matrix has a negative eigenvalue: convert it to complex numbers; or
            a matrix has no root.
        UnsupportedError: `disp` is False.
    """
    _require_display("sqrtm", disp)
    return _checked_root(A)


def _require_display(name: str, disp: Any) -> None:
    if disp not in (None, True):
        raise unsupported(f"disp=False of scipy.linalg.{name}", "use the default")


def _no_result(name: str, x: Value) -> str:
    if x.dtype.kind == "c":
        return f"{name}: the matrix has none, as it is singular"
    return (
        f"{name}: the matrix has none of real numbers, as an eigenvalue is negative, or zero; "
        "convert it to complex numbers, as with A + 0j"
    )


@program
def _checked_root(a: Any) -> Value:
    x = square(a)
    # The same that `_root` calculates: here it is checked.
    factorizations.schur(x)
    root = traced(_root(array_of(x)))
    _require_finite(root, _no_result("sqrtm", x))
    return root


@custom_vjp
def _root(a: Any) -> Any:
    form, z, _ = factorizations.unchecked_schur(traced(a))
    root = factorizations.triangular_sqrt(form)
    return array_of(matmul(matmul(z, root), adjoint(z)))


@_root.defjvp
def _root_tangent(primals: Any, tangents: Any) -> Any:
    x = _root(*primals)
    return x, sylvester(x, x, tangents[0])


def _root_forwards(a: Any) -> Any:
    x = _root(a)
    return x, x


def _root_backwards(x: Any, cotangent: Any) -> Any:
    xt = np.matrix_transpose(x)
    return (sylvester(xt, xt, cotangent),)


_root.defvjp(_root_forwards, _root_backwards)


@hide_frames
def logm(A: Any, disp: Any = None) -> Any:
    """The principal logarithms of matrices.

    By square roots of Schur's form until it is near to one, and Pade's approximant (Kenney and Laub
    1989; Higham 2008, chapter 11). The derivative is the block beside the diagonal of the
    logarithm of `[[A, dA], [0, A]]` (Higham 2008, section 3.1).

    Args:
        A: square matrices.
        disp: None or True.

    Returns:
        The logarithms, of the shape and dtype of `A`, where SciPy returns complex ones of real
        matrices that need them.

    Raises:
        LinAlgError: a real matrix has a negative eigenvalue: convert it to complex numbers; or
            a matrix is singular.
        UnsupportedError: `disp` is False.
    """
    _require_display("logm", disp)
    return _checked_logarithm(A)


@program
def _checked_logarithm(a: Any) -> Value:
    x = square(a)
    if x.size == 0:
        return x
    factorizations.schur(x)
    result = traced(_logarithm(array_of(x)))
    _require_finite(result, _no_result("logm", x))
    return result


@custom_vjp
def _logarithm(a: Any) -> Any:
    x = traced(a)
    form, z, _ = factorizations.unchecked_schur(x)
    eye = factorizations.identities(x)

    def distance(t: Value) -> Value:
        return max_(sum_(UFUNCS[np.absolute](t - eye), -2), None)

    def is_far(state: Any) -> Any:
        t, count = state
        return (wrap(distance(traced(t))) > _LARGEST) & (count < _MOST_ROOTS)

    def halve(state: Any) -> Any:
        t, count = state
        return array_of(factorizations.triangular_sqrt(traced(t))), count + 1

    t, count = while_loop(is_far, halve, (array_of(form), np.int64(0)))
    rest = traced(t) - eye
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    total = None
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        system = eye + rest * float(node)
        # Not singular, where the rest is that small: unchecked, as rules of cotangents need it.
        factors, pivots, _, _ = factorizations.lu(system)
        term = factorizations.lu_solve(system, factors, pivots, rest) * float(weight)
        total = term if total is None else total + term
    assert total is not None
    factor = prims.convert(
        UFUNCS[np.exp2](prims.convert(traced(count), part_dtype(x.dtype))), x.dtype
    )
    # Of zero, no root is near to one.
    near = distance(traced(t)) <= _LARGEST
    nothing = prims.full((), np.nan, x.dtype)
    total = prims.select(near, total * factor, nothing)
    return array_of(matmul(matmul(z, total), adjoint(z)))


def _beside(a: Any, change: Any) -> Any:
    """The derivative of the logarithm in a direction."""
    blocks = np.block([[a, change], [np.zeros_like(a), a]])
    n = a.shape[-1]
    return _logarithm(blocks)[..., :n, n:]


@_logarithm.defjvp
def _logarithm_tangent(primals: Any, tangents: Any) -> Any:
    return _logarithm(*primals), _beside(primals[0], tangents[0])


def _logarithm_forwards(a: Any) -> Any:
    return _logarithm(a), a


def _logarithm_backwards(a: Any, cotangent: Any) -> Any:
    return (_beside(np.matrix_transpose(a), cotangent),)


_logarithm.defvjp(_logarithm_forwards, _logarithm_backwards)
