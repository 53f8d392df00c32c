# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ufuncs of `scipy.special` that are ops of the dialect.

They dispatch by their names: SciPy is not imported. The module is loaded when a ufunc is met that
is not NumPy's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.array.dispatch import FOREIGN_UFUNCS, TYPED_UFUNCS, complex_handler
from gradopt.array.operands import listed, promotion_kind, traced
from gradopt.base.dtypes import resolve_ufunc
from gradopt.functions.ufuncs import converted, floats
from gradopt.ir import prims
from gradopt.ir.prims import scalar
from gradopt.ir.values import Value, emit
from gradopt.recording import grad, special

F = Callable[..., Any]


def ufunc(*names: str) -> Callable[[F], F]:
    """Registers a function of operands, in the dtype of the ufunc's loop, for these names."""

    def register(function: F) -> F:
        def handler(called: np.ufunc, *inputs: Any) -> Any:
            # SciPy passes out=None by position.
            operands = [listed(value) for value in inputs[: called.nin]]
            dtypes = resolve_ufunc(called, *[promotion_kind(value) for value in operands])
            name = called.__name__.lstrip("_")
            of_complex = complex_handler(name) if dtypes[-1].kind == "c" else None
            if of_complex is not None:
                return of_complex(traced(operands[0], dtypes[-1]))
            return function(*converted(name, operands, dtypes[-1]))

        def by_name(*inputs: Any) -> Any:
            return function(*floats(names[0].lstrip("_"), *inputs))

        for name in names:
            TYPED_UFUNCS[name] = handler
            FOREIGN_UFUNCS[name] = by_name
        return function

    return register


# Ufuncs that are ops, under the name of the op; else under their own.
_OPS = """
    gamma gammaln psi gammainc gammaincc gammaincinv gammainccinv beta betaln betainc betaincc
    betaincinv betainccinv erfcx erfcinv ndtr log_ndtr ndtri dawsn owens_t expi exp1 spence
    ellipk ellipkm1 ellipe ellipkinc ellipeinc j0 j1 y0 y1 i0 i0e i1 i1e k0 k0e k1 k1e jv yv iv
    ive kv kve struve modstruve hyp0f1 hyp1f1 hyp2f1
"""
_OTHER_NAMES = {
    "digamma": "psi",
    "jn": "jv",
    # Scaled by the imaginary part, which real numbers have none of.
    "jve": "jv",
    "yve": "yv",
    "_zeta": "zeta",
    "_riemann_zeta": "riemann_zeta",
    "_spherical_jn": "spherical_jn",
    "_spherical_yn": "spherical_yn",
    "_spherical_in": "spherical_in",
    "_spherical_kn": "spherical_kn",
}


def op(name: str) -> Callable[..., Value]:
    """A special function of the dialect, of values."""
    builder = getattr(special, name)

    def call(*operands: Value) -> Value:
        return emit(builder, *operands)

    return call


for _name in _OPS.split():
    ufunc(_name)(op(_name))
for _name, _op in _OTHER_NAMES.items():
    ufunc(_name)(op(_op))


def truncated(x: Value) -> Value:
    """The integers that SciPy makes of orders."""
    return prims.select(x < number(x, 0), emit(grad.ceil, x), emit(grad.floor, x))


def _of_integer_order(name: str, builder: Callable[..., Any]) -> None:
    ufunc(name)(lambda n, x: emit(builder, truncated(n), x))


_of_integer_order("expn", special.expn)
_of_integer_order("yn", special.yv)
_of_integer_order("kn", special.kv)


@ufunc("sici")
def sici(x: Value) -> tuple[Value, Value]:
    """`scipy.special.sici`: sine and cosine integrals."""
    return emit(special.si, x), emit(special.ci, x)


@ufunc("shichi")
def shichi(x: Value) -> tuple[Value, Value]:
    """`scipy.special.shichi`: hyperbolic sine and cosine integrals."""
    return emit(special.shi, x), emit(special.chi, x)


@ufunc("fresnel")
def fresnel(x: Value) -> tuple[Value, Value]:
    """`scipy.special.fresnel`."""
    return emit(special.fresnel_s, x), emit(special.fresnel_c, x)


@ufunc("ellipj")
def ellipj(u: Value, m: Value) -> tuple[Value, Value, Value, Value]:
    """`scipy.special.ellipj`: Jacobi's sn, cn, dn, and the amplitude."""
    amplitude = emit(special.jacobi_am, u, m)
    sine, cosine = emit(grad.sin, amplitude), emit(grad.cos, amplitude)
    # 1 - m sin^2, of which nothing cancels.
    delta = emit(grad.sqrt, (number(m, 1) - m) + m * emit(grad.square, cosine))
    return sine, cosine, delta, amplitude


@ufunc("airy")
def airy(x: Value) -> tuple[Value, Value, Value, Value]:
    """`scipy.special.airy`: Ai, Ai', Bi, Bi'."""
    return (
        emit(special.airy_ai, x),
        emit(special.airy_ai_dx, x),
        emit(special.airy_bi, x),
        emit(special.airy_bi_dx, x),
    )


def full(x: Value, number: float) -> Value:
    """A constant of the shape and dtype of a value."""
    return prims.full(x.shape, number, x.dtype)


def number(x: Value, value: float) -> Value:
    """A number of the dtype of a value."""
    return scalar(value, x.dtype)
