# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.interpolate`: the polynomial through samples.

`BarycentricInterpolator` sums Lagrange's polynomials (the modified form, Higham 2004, The numerical
stability of barycentric Lagrange interpolation), as products of the distances to the other places:
unlike quotients they have derivatives at the places, too. `KroghInterpolator` is Newton's form,
which takes places that repeat: their samples are derivatives.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.handle import Handle
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.scipy.interpolate.piecewise import along, axis_of, with_axis
from gradopt.scipy.operands import inexact, real
from gradopt.transforms.gradient import stop_gradient
from gradopt.transforms.jacobian_products import jvp


def _checked(name: str, xi: Any, yi: Any, axis: int) -> int:
    """The axis of samples, of which there is one for each place."""
    places = np.shape(xi)
    number = axis_of(axis, yi)
    if len(places) != 1 or places == (0,) or np.shape(yi)[number] != places[0]:
        raise ShapeError(
            f"{name}: xi has shape {places}, and yi {np.shape(yi)}; there is one sample for each "
            f"place, along axis {number}",
            source_location(),
        )
    return number


def _order(name: str, der: Any) -> int:
    order = operator.index(0 if der is None else der)
    if order < 0:
        raise ArgumentError(f"{name}: der is {order}, not a number from 0 on", source_location())
    return order


class _Polynomial:
    """What the two forms have in common: an axis of samples, and derivatives."""

    xi: Any
    yi: Any
    axis: int

    def _value(self, x: Any, order: int) -> Any:
        raise NotImplementedError

    @hide_frames
    def __call__(self, x: Any) -> Any:
        """The values at places, with their axes in the place of the axis of samples."""
        return self._value(x, 0)

    @hide_frames
    def derivative(self, x: Any, der: int = 1) -> Any:
        """A derivative at places.

        Args:
            x: places.
            der: its order.

        Raises:
            ArgumentError: the order is negative.
        """
        return self._value(x, _order(type(self).__name__, der))

    @hide_frames
    def derivatives(self, x: Any, der: int | None = None) -> Any:
        """The value and derivatives at places, along a new first axis.

        Args:
            x: places.
            der: how many, with the value; as many as there are samples if None.

        Raises:
            ArgumentError: it is 0 or negative.
        """
        count = np.shape(self.xi)[0] if der is None else _order(type(self).__name__, der)
        if count == 0:
            raise ArgumentError("der is 0: there is nothing to compute", source_location())
        return _stacked(*[self._value(x, order) for order in range(count)])


@program
def _stacked(*parts: Any) -> Any:
    return traced(np.stack(inexact(*parts)))


class BarycentricInterpolator(_Polynomial):
    """`scipy.interpolate.BarycentricInterpolator`: the polynomial through samples.

    There are derivatives in the places, the samples and where it is evaluated.

    Args:
        xi: n places, which differ.
        yi: samples; they may be set later (`set_yi`).
        axis: along which samples lie.
        wi: not supported: weights follow from the places.
        rng, random_state: mean nothing: places keep their order.

    Raises:
        UnsupportedError: `wi` is given.
        ShapeError: the shapes do not go together.
    """

    @hide_frames
    def __init__(
        self,
        xi: Any,
        yi: Any = None,
        axis: int = 0,
        *,
        wi: Any = None,
        rng: Any = None,
        random_state: Any = None,
    ) -> None:
        if wi is not None:
            raise unsupported("keyword wi= of scipy.interpolate.BarycentricInterpolator")
        self.xi = xi
        self.axis = axis
        self.yi = None
        if yi is not None:
            self.set_yi(yi, axis)

    @hide_frames
    def set_yi(self, yi: Any, axis: int | None = None) -> None:
        """Sets the samples.

        Raises:
            ShapeError: there is not one for each place.
        """
        self.axis = _checked(
            "BarycentricInterpolator", self.xi, yi, self.axis if axis is None else axis
        )
        self.yi = yi

    def _value(self, x: Any, order: int) -> Any:
        if self.yi is None:
            raise ArgumentError("No y-values have been given (set_yi)", source_location())
        return _lagrange(self.xi, self.yi, x, axis=self.axis, order=order)


@program
def _lagrange(xi: Any, yi: Any, x: Any, *, axis: int, order: int) -> Any:
    places, at = real("interpolate.BarycentricInterpolator", xi, x)
    values = np.moveaxis(inexact(yi)[0], axis, 0)
    width = np.max(places) - np.min(places)
    # Products of distances in these units neither vanish nor overflow; the unit cancels.
    unit = stop_gradient(np.where(width > 0, 4 / np.where(width > 0, width, 1), 1))
    between = (places[:, None] - places) * unit
    n = places.shape[0]
    weights = 1 / np.prod(np.where(np.eye(n, dtype=bool), 1.0, between), axis=1)

    def polynomials(v: Any) -> Any:
        """Those that are 1 at one place and 0 at the others, for each of v."""
        distances = (v[:, None] - places) * unit
        one = np.ones_like(distances[:, :1])
        before = np.cumprod(np.concatenate([one, distances[:, :-1]], axis=1), axis=1)
        behind = np.cumprod(np.concatenate([one, distances[:, :0:-1]], axis=1), axis=1)
        return before * behind[:, ::-1] * weights

    basis = _derivative(polynomials, order)(np.ravel(at))
    result = np.tensordot(basis.astype(np.result_type(basis.dtype, values.dtype)), values, 1)
    shape = (*np.shape(at), *values.shape[1:])
    return traced(with_axis(np.reshape(result, shape), at, axis))


def _derivative(function: Any, order: int) -> Any:
    """That of a function of each place by itself."""
    if order == 0:
        return function
    below = _derivative(function, order - 1)
    return lambda v: jvp(below, (v,), (np.ones_like(v),))[1]


class KroghInterpolator(_Polynomial):
    """`scipy.interpolate.KroghInterpolator`: the polynomial through samples and derivatives.

    There are derivatives in the samples, where it is evaluated, and the places.

    Args:
        xi: n places. One that is repeated, where that is known, stands in a row; the samples there
            are the value and its derivatives.
        yi: samples.
        axis: along which they lie.

    Raises:
        ShapeError: the shapes do not go together.
        ArgumentError: equal places do not follow each other.
    """

    @hide_frames
    def __init__(self, xi: Any, yi: Any, axis: int = 0) -> None:
        self.xi, self.yi = xi, yi
        self.axis = _checked("KroghInterpolator", xi, yi, axis)
        count = np.shape(xi)[0]
        self._starts = tuple(range(count))
        known = xi._known() if isinstance(xi, Handle) else xi
        if known is not None:
            places = np.asarray(known)
            starts = [0]
            for i in range(1, count):
                starts.append(starts[-1] if places[i] == places[i - 1] else i)
            if len(set(starts)) != np.unique(places).size:
                raise ArgumentError(
                    "KroghInterpolator: equal places of xi have to follow each other",
                    source_location(),
                )
            self._starts = tuple(starts)

    def _value(self, x: Any, order: int) -> Any:
        selection = {"axis": self.axis, "order": order, "starts": self._starts}
        return _newton(self.xi, self.yi, x, **selection)


@program
def _newton(xi: Any, yi: Any, x: Any, *, axis: int, order: int, starts: tuple[int, ...]) -> Any:
    places, at = real("interpolate.KroghInterpolator", xi, x)
    values = np.moveaxis(inexact(yi)[0], axis, 0)
    first, n = np.array(starts), len(starts)
    # Divided differences; of places that are equal they are derivatives.
    row = values[first]
    coefficients = [row[0]]
    for k in range(1, n):
        is_repeated = first[:-k] == first[k:]
        distances = np.where(is_repeated, 1.0, places[k:] - places[:-k])
        given = values[np.minimum(first[:-k] + k, n - 1)] / math.factorial(k)
        quotients = (row[1:] - row[:-1]) / along(distances, row)
        row = np.where(along(is_repeated, quotients), given, quotients)
        coefficients.append(row[0])
    flat = np.ravel(at)

    def polynomial(v: Any) -> Any:
        wide = v.reshape(-1, *[1] * (values.ndim - 1))
        result = np.broadcast_to(coefficients[-1], (v.shape[0], *values.shape[1:]))
        for k in range(n - 2, -1, -1):
            result = coefficients[k] + (wide - places[k]) * result
        return result

    result = _derivative(polynomial, order)(flat)
    return traced(with_axis(np.reshape(result, (*np.shape(at), *values.shape[1:])), at, axis))


@hide_frames
def krogh_interpolate(xi: Any, yi: Any, x: Any, der: Any = 0, axis: int = 0) -> Any:
    """The values, or derivatives, of `KroghInterpolator` at places.

    Args:
        xi, yi, axis: as there.
        x: places.
        der: the order of a derivative; or several, which are an axis in front.

    Raises:
        ArgumentError: `der` is negative, or equal places do not follow each other.
        ShapeError: the shapes do not go together.
    """
    return _derivatives(KroghInterpolator(xi, yi, axis), x, der)


def _derivatives(polynomial: _Polynomial, x: Any, der: Any) -> Any:
    """The derivative of an order, or those of several, stacked."""
    if np.ndim(der) == 0:
        return polynomial.derivative(x, der)
    return np.stack([polynomial.derivative(x, order) for order in der])


@hide_frames
def barycentric_interpolate(
    xi: Any, yi: Any, x: Any, axis: int = 0, *, der: Any = 0, rng: Any = None
) -> Any:
    """The values, or derivatives, of `BarycentricInterpolator` at places.

    Args:
        xi, yi, axis, rng: as there.
        x: places.
        der: the order of a derivative; or several, which are an axis in front.

    Raises:
        ArgumentError: `der` is negative.
        ShapeError: the shapes do not go together.
    """
    return _derivatives(BarycentricInterpolator(xi, yi, axis, rng=rng), x, der)
