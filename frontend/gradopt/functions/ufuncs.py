# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""NumPy's ufuncs that are one op of the dialect, under the same name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.array.dispatch import FOREIGN_UFUNCS, UFUNCS, complex_handler
from gradopt.array.operands import (
    array_kind,
    is_traced,
    is_traced_integer,
    listed,
    promotion_kind,
    traced,
)
from gradopt.base.called import called_function
from gradopt.base.dtypes import (
    BOOL,
    FLOAT64,
    INT64,
    UINT64,
    DType,
    is_inexact,
    kind_of,
    resolve_ufunc,
    result_type,
)
from gradopt.base.location import source_location
from gradopt.errors import UnsupportedError
from gradopt.ir import prims
from gradopt.ir.prims import scalar
from gradopt.ir.values import Value, emit
from gradopt.recording import grad


def operands_of(ufunc: np.ufunc, *inputs: Any) -> list[Value]:
    """The inputs converted to the dtypes of the loop that NumPy picks."""
    operands = [listed(value) for value in inputs]
    dtypes = resolve_ufunc(ufunc, *[promotion_kind(value) for value in operands])
    converted: list[Value] = []
    # The dtypes of outputs are behind those of inputs. No comprehension: that is a frame.
    for value, dtype in zip(operands, dtypes, strict=False):
        converted.append(traced(value, dtype))
    return converted


def _direct(ufunc: np.ufunc, op: Callable[..., Any]) -> Callable[..., Value]:
    def handler(*inputs: Any) -> Value:
        return emit(op, *operands_of(ufunc, *inputs))

    return handler


def register(*ufuncs: np.ufunc) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers the decorated function for ufuncs."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for ufunc in ufuncs:
            UFUNCS[ufunc] = function
        return function

    return add


for _name in [
    "divide",
    "arctan2",
    "hypot",
    "exp",
    "exp2",
    "expm1",
    "log",
    "log2",
    "log10",
    "log1p",
    "sqrt",
    "cbrt",
    "sin",
    "cos",
    "tan",
    "arcsin",
    "arccos",
    "arctan",
    "sinh",
    "cosh",
    "tanh",
    "arcsinh",
    "arccosh",
    "arctanh",
]:
    UFUNCS[getattr(np, _name)] = _direct(getattr(np, _name), getattr(grad, _name))


@register(np.rint)
def rint(x: Any) -> Value:
    """`numpy.rint`: of complex numbers, of both parts."""
    (operand,) = operands_of(np.rint, x)
    return rounded(operand)


def rounded(x: Value) -> Value:
    """`grad.round`, of both parts of complex numbers."""
    if x.dtype.kind != "c":
        return emit(grad.round, x)
    return prims.complex_(emit(grad.round, prims.real(x)), emit(grad.round, prims.imag(x)))


def _comparison(ufunc: np.ufunc, op: Callable[..., Any]) -> None:
    """A comparison, which takes every Python integer: beyond the dtype's range it is known."""

    def handler(x: Any, y: Any) -> Value:
        for number, other in ((x, y), (y, x)):
            if type(number) is int and (beyond := _beyond(number, other)):
                answer = ufunc(*((beyond, 0) if number is x else (0, beyond)))
                return prims.full(traced(other).shape, answer, BOOL)
        for number, other in ((x, y), (y, x)):
            # In the range of int64, and maybe in no narrower one.
            if is_traced_integer(number):
                dtype = array_kind(listed(other))
                if dtype.kind in "bi" or (dtype.kind == "u" and dtype.itemsize < 8):
                    return emit(op, traced(x, INT64), traced(y, INT64))
                if dtype == UINT64:
                    values = traced(listed(other)), traced(number)
                    left, right = values if number is y else values[::-1]
                    return _compared(ufunc, op, left, right)
        return _compared(ufunc, op, *operands_of(ufunc, x, y))

    UFUNCS[ufunc] = handler


def _compared(ufunc: np.ufunc, op: Callable[..., Any], x: Value, y: Value) -> Value:
    """The comparison of numbers of one dtype, or of int64 with uint64: their values count."""
    if x.dtype == y.dtype:
        if ufunc not in (np.equal, np.not_equal):
            require_order(f"numpy.{ufunc.__name__}", x)
        return emit(op, x, y)
    signed = x if x.dtype == INT64 else y
    result = emit(op, prims.convert(x, UINT64), prims.convert(y, UINT64))
    negative = prims.broadcast_to(signed < scalar(0, INT64), result.shape)
    answer = ufunc(-1, 0) if signed is x else ufunc(0, -1)
    return prims.select(negative, prims.full(result.shape, answer, BOOL), result)


def _beyond(number: int, other: Any) -> int:
    """Whether a Python integer lies below, -1, or above, 1, all values of another operand."""
    kind = promotion_kind(listed(other))
    dtype = np.dtype(kind)
    if dtype.kind not in "iu":
        return 0
    limits = np.iinfo(dtype)
    return int(number > limits.max) - int(number < limits.min)


for _name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"):
    _comparison(getattr(np, _name), getattr(grad, _name))


def require_order(name: str, x: Value) -> None:
    """Checks that the numbers have an order.

    Raises:
        UnsupportedError: they are complex, which NumPy orders by their real parts first.
    """
    if x.dtype.kind == "c":
        raise UnsupportedError(
            f"{called_function() or name} of complex numbers, which have no order, is not "
            "supported; compare numpy.abs, numpy.real or numpy.imag of them",
            source_location(),
        )


def require_subtraction(x: Value) -> None:
    """Checks that numbers can be subtracted.

    Raises:
        DTypeError: they are bools.
    """
    if x.dtype == BOOL:
        resolve_ufunc(np.subtract, BOOL, BOOL)


def _bool_or(
    ufunc: np.ufunc, op: Callable[..., Any], bool_op: Callable[..., Any], ordered: bool = False
) -> None:
    """A ufunc that is another op on bools; with `ordered` not for complex numbers."""

    def handler(*inputs: Any) -> Value:
        operands = operands_of(ufunc, *inputs)
        if ordered:
            require_order(f"numpy.{ufunc.__name__}", operands[0])
        return emit(bool_op if operands[0].dtype == BOOL else op, *operands)

    UFUNCS[ufunc] = handler


_bool_or(np.add, grad.add, grad.logical_or)
_bool_or(np.multiply, grad.multiply, grad.logical_and)
_bool_or(np.maximum, grad.maximum, grad.logical_or, ordered=True)
_bool_or(np.minimum, grad.minimum, grad.logical_and, ordered=True)
_bool_or(np.subtract, grad.subtract, grad.subtract)


def _identity_on_integers(ufunc: np.ufunc, op: Callable[..., Any]) -> None:
    def handler(x: Any) -> Value:
        (operand,) = operands_of(ufunc, x)
        return emit(op, operand) if kind_of(operand.dtype) == "f" else operand

    UFUNCS[ufunc] = handler


_identity_on_integers(np.floor, grad.floor)
_identity_on_integers(np.ceil, grad.ceil)
UFUNCS[np.negative] = _direct(np.negative, grad.negative)


@register(np.sign)
def sign(x: Any) -> Value:
    """`numpy.sign`: of complex numbers, `x / abs(x)`, and of an infinity in one part the unit of
    its direction."""
    (operand,) = operands_of(np.sign, x)
    if operand.dtype.kind != "c":
        return emit(grad.sign, operand)
    parts = prims.real(operand), prims.imag(operand)
    are_infinite = [emit(grad.isinf, part) for part in parts]
    units = [
        prims.select(infinite, emit(grad.sign, part), prims.full(part.shape, 0, part.dtype))
        for part, infinite in zip(parts, are_infinite, strict=True)
    ]
    one = emit(grad.logical_xor, *are_infinite)
    operand = prims.select(one, emit(grad.complex, *units), operand)
    size = absolute(operand)
    null = prims.equal(size, 0)
    safe = prims.select(null, prims.full(size.shape, 1, size.dtype), size)
    return operand / prims.convert(safe, operand.dtype)


@register(np.absolute)
def absolute(x: Any) -> Value:
    """`numpy.absolute`."""
    (operand,) = operands_of(np.absolute, x)
    if operand.dtype.kind == "c":
        return emit(grad.hypot, prims.real(operand), prims.imag(operand))
    return operand if operand.dtype == BOOL else emit(grad.absolute, operand)


@register(np.square)
def square(x: Any) -> Value:
    """`numpy.square`."""
    (operand,) = operands_of(np.square, x)
    return emit(grad.square, operand)


@register(np.reciprocal)
def reciprocal(x: Any) -> Value:
    """`numpy.reciprocal`, of floats."""
    (operand,) = operands_of(np.reciprocal, x)
    if not is_inexact(operand.dtype):
        raise UnsupportedError(
            f"numpy.reciprocal of {operand.dtype} is not supported; convert it to float64",
            source_location(),
        )
    return emit(grad.reciprocal, operand)


def _test(ufunc: np.ufunc, op: Callable[..., Any], otherwise: bool) -> None:
    """A test of floats that is constant on integers."""

    def handler(x: Any) -> Value:
        operand = traced(x)
        if is_inexact(operand.dtype):
            return emit(op, operand)
        return prims.full(operand.shape, otherwise, BOOL)

    UFUNCS[ufunc] = handler


_test(np.isnan, grad.isnan, False)
_test(np.isinf, grad.isinf, False)
_test(np.isfinite, grad.isfinite, True)


def _logical(op: Callable[..., Any]) -> Callable[..., Value]:
    def handler(*inputs: Any) -> Value:
        return emit(op, *[to_bool(value) for value in inputs])

    return handler


def to_bool(value: Any) -> Value:
    """Whether each element is not zero."""
    return prims.convert(traced(value), BOOL)


for _name in ("and", "or", "xor", "not"):
    UFUNCS[getattr(np, f"logical_{_name}")] = _logical(getattr(grad, f"logical_{_name}"))


_bool_or(np.bitwise_and, grad.bitwise_and, grad.logical_and)
_bool_or(np.bitwise_or, grad.bitwise_or, grad.logical_or)
_bool_or(np.bitwise_xor, grad.bitwise_xor, grad.logical_xor)
_bool_or(np.invert, grad.invert, grad.logical_not)
UFUNCS[np.left_shift] = _direct(np.left_shift, grad.left_shift)
UFUNCS[np.right_shift] = _direct(np.right_shift, grad.right_shift)


def _foreign(name: str, op: Callable[..., Any]) -> Callable[..., Value]:
    """A ufunc of scipy.special: floats keep their dtype, the rest becomes float64."""

    def handler(x: Any) -> Value:
        operand = traced(x)
        of_complex = complex_handler(name) if operand.dtype.kind == "c" else None
        if of_complex is not None:
            return of_complex(operand)
        if kind_of(operand.dtype) != "f":
            # An error for complex numbers.
            operand = prims.convert(operand, FLOAT64)
        return emit(op, operand)

    return handler


FOREIGN_UFUNCS["erf"] = _foreign("erf", grad.erf)
FOREIGN_UFUNCS["erfc"] = _foreign("erfc", grad.erfc)
FOREIGN_UFUNCS["erfinv"] = _foreign("erfinv", grad.erfinv)
FOREIGN_UFUNCS["expit"] = _foreign("expit", grad.logistic)


# The largest integer exponent that becomes a chain of products.
_CHAIN_LIMIT = 64
# Of floats: the error of the chain grows to 3.5 ULP at 8.
_FLOAT_CHAIN_LIMIT = 8


def simple_power(base: Any, exponent: Any) -> Value | None:
    """`numpy.power` but of integers with exponents that are not small and constant.

    Small constant exponents become products, 0.5 a square root.
    """
    base, exponent = listed(base), listed(exponent)
    if is_traced_integer(exponent) and array_kind(base).kind in "biu":
        # As sizes are: the program is traced for each exponent.
        known = exponent._known()
        if known is None:
            exponent._require_size()
        else:
            exponent = int(known)
    dtypes = resolve_ufunc(np.power, promotion_kind(base), promotion_kind(exponent))
    if not is_traced(exponent) and np.ndim(exponent) == 0:
        chain = _constant_power(traced(base, dtypes[0]), complex(exponent))
        if chain is not None:
            return chain
    if not is_inexact(dtypes[2]):
        return None
    return emit(grad.power, traced(base, dtypes[0]), traced(exponent, dtypes[1]))


def _constant_power(base: Value, number: complex) -> Value | None:
    if number.imag:
        return None
    exponent = number.real
    if exponent == 0.5 and is_inexact(base.dtype):
        return emit(grad.sqrt, base)
    if exponent == -1.0 and is_inexact(base.dtype):
        return emit(grad.reciprocal, base)
    limit = _FLOAT_CHAIN_LIMIT if kind_of(base.dtype) == "f" else _CHAIN_LIMIT
    if not exponent.is_integer() or not 0 <= exponent <= limit:
        return None
    count = int(exponent)
    if count == 0:
        return prims.full(base.shape, 1, base.dtype)
    result: Value | None = None
    factor = base
    while True:
        if count & 1:
            result = factor if result is None else emit(grad.multiply, result, factor)
        count >>= 1
        if not count:
            return result
        factor = emit(grad.square, factor)


@register(np.float_power)
def float_power(base: Any, exponent: Any) -> Value:
    """`numpy.float_power`: `power` in float64 or complex128."""
    kinds = [promotion_kind(listed(value)) for value in (base, exponent)]
    dtype = resolve_ufunc(np.float_power, *kinds)[0]
    number = exponent if np.isscalar(exponent) else traced(exponent, dtype)
    found = simple_power(traced(base, dtype), number)
    assert found is not None, "the numbers are inexact"
    return found


@register(np.positive)
def positive(x: Any) -> Value:
    """`numpy.positive`: a copy."""
    return operands_of(np.positive, x)[0]


@register(np.conjugate)
def conjugate(x: Any) -> Value:
    """`numpy.conjugate`; a copy of numbers that are not complex."""
    return prims.conjugate(operands_of(np.conjugate, x)[0])


# -- Functions of SciPy ----------------------------------------------------------------------


def floats(name: str, *inputs: Any) -> list[Value]:
    """Operands of a function that is no ufunc: floats keep their dtype, integers are float64.

    Raises:
        UnsupportedError: one of them is complex.
    """
    operands = [listed(value) for value in inputs]
    dtype = result_type(*[promotion_kind(value) for value in operands])
    return converted(name, operands, dtype if kind_of(dtype) in "fc" else FLOAT64)


def converted(name: str, operands: list[Any], dtype: DType) -> list[Value]:
    """Operands in a dtype.

    Raises:
        UnsupportedError: it is complex.
    """
    if dtype.kind == "c":
        raise UnsupportedError(
            f"scipy.special.{name} of complex numbers is not supported; it takes real ones",
            source_location(),
        )
    return [traced(value, dtype) for value in operands]
