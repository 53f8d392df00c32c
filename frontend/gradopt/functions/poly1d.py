# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`numpy.poly1d` of traced coefficients, from the highest power on.

It has as many coefficients as it was made of: NumPy leaves out zeros at the front.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradopt.array.dispatch import implements
from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.location import source_location
from gradopt.base.pytree import add_container
from gradopt.errors import ElementError, ShapeError


@implements(np.poly1d)
class Poly1d(np.poly1d):
    """As `numpy.poly1d`."""

    _coeffs: Any
    _variable: str

    def __init__(self, c_or_r: Any, r: bool = False, variable: str | None = None) -> None:
        if isinstance(c_or_r, np.poly1d):
            self._coeffs = c_or_r.coeffs
            self._variable = c_or_r.variable if variable is None else variable
            return
        given = np.poly(c_or_r) if r else np.atleast_1d(wrap(traced(c_or_r)))
        if given.ndim > 1:
            raise ShapeError("Polynomial must be 1d only.", source_location())
        size = given.shape[0]  # It may be known at run time only.
        self._coeffs = np.zeros(1, given.dtype) if type(size) is int and size == 0 else given
        self._variable = "x" if variable is None else variable

    def _operand(self, other: Any) -> Any:
        return other.coeffs if isinstance(other, np.poly1d) else np.atleast_1d(wrap(traced(other)))

    def _made(self, coefficients: Any) -> Poly1d:
        return Poly1d(coefficients, variable=self._variable)

    @property
    def order(self) -> int:
        """The degree."""
        return len(self._coeffs) - 1

    @property
    def roots(self) -> Any:
        """The complex roots."""
        return np.roots(self._coeffs)

    o = order  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    r = roots  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]

    def __call__(self, val: Any) -> Any:
        if not isinstance(val, np.poly1d):
            return np.polyval(self._coeffs, val)
        result = self._made(self._coeffs[:1])
        for i in range(1, len(self._coeffs)):
            result = result * val + self._coeffs[i]
        return result

    def __neg__(self) -> Poly1d:
        return self._made(-self._coeffs)

    def __add__(self, other: Any) -> Poly1d:
        return self._made(np.polyadd(self._coeffs, self._operand(other)))

    def __sub__(self, other: Any) -> Poly1d:
        return self._made(np.polysub(self._coeffs, self._operand(other)))

    def __rsub__(self, other: Any) -> Poly1d:
        return self._made(np.polysub(self._operand(other), self._coeffs))

    def __mul__(self, other: Any) -> Poly1d:
        if not isinstance(other, np.poly1d) and np.ndim(other) == 0:
            return self._made(self._coeffs * other)
        return self._made(np.polymul(self._coeffs, self._operand(other)))

    __radd__ = __add__
    __rmul__ = __mul__

    def __pow__(self, val: Any) -> Poly1d:
        exponent = operator.index(val)
        if exponent < 0:
            raise ElementError("Power to non-negative integers only.", source_location())
        result: Any = np.ones(1, int)
        for _ in range(exponent):
            result = np.polymul(self._coeffs, result)
        return self._made(result)

    def __truediv__(self, other: Any) -> Any:
        if not isinstance(other, np.poly1d) and np.ndim(other) == 0:
            return self._made(self._coeffs / other)
        return self._divided(self._coeffs, self._operand(other))

    def __rtruediv__(self, other: Any) -> Any:
        return self._divided(self._operand(other), self._coeffs)

    def _divided(self, first: Any, second: Any) -> Any:
        quotient, rest = np.polydiv(first, second)
        return self._made(quotient), self._made(rest)

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, np.poly1d):
            return NotImplemented
        theirs = other.coeffs
        return len(theirs) == len(self._coeffs) and (self._coeffs == theirs).all()

    def __ne__(self, other: object) -> Any:
        if not isinstance(other, np.poly1d):
            return NotImplemented
        theirs = other.coeffs
        return len(theirs) != len(self._coeffs) or (self._coeffs != theirs).any()

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __getitem__(self, val: Any) -> Any:
        """The coefficient of a power, which is known."""
        power = operator.index(val)
        is_there = 0 <= power <= self.order
        return self._coeffs[self.order - power] if is_there else self._coeffs.dtype.type(0)

    def integ(self, m: Any = 1, k: Any = 0) -> Poly1d:
        """As `numpy.poly1d.integ`."""
        return self._made(np.polyint(self._coeffs, m=m, k=k))

    def deriv(self, m: Any = 1) -> Poly1d:
        """As `numpy.poly1d.deriv`."""
        return self._made(np.polyder(self._coeffs, m=m))


def _unflatten(variable: Any, children: Any) -> Any:
    (coefficients,) = children
    if type(coefficients) is np.ndarray:
        return np.poly1d(coefficients, variable=variable)
    made = object.__new__(Poly1d)
    made._coeffs, made._variable = coefficients, variable
    return made


def _add(cls: type) -> None:
    add_container(
        cls,
        lambda p: ((p.coeffs,), p.variable),
        _unflatten,
        lambda _data, _i: ".coeffs",
        np.poly1d,
    )


def register_further() -> None:
    """Makes a pytree of NumPy's class; in structures ours counts as it."""
    _add(np.poly1d)


_add(Poly1d)
