# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`numpy.polynomial`'s classes, `Polynomial`, `Chebyshev` and so on, and `numpy.poly1d`.

Of traced coefficients, or a traced domain, a series is of a subclass of NumPy's class: the methods
are NumPy's, what they call is ours. As arguments and results of compiled functions, series are
pytrees whose only child is the coefficients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.polynomial import (
    chebyshev,
    hermite,
    hermite_e,
    laguerre,
    legendre,
    polynomial,
    polyutils,
)

from gradopt.array.dispatch import implements, unsupported
from gradopt.array.operands import is_traced
from gradopt.base.location import source_location
from gradopt.base.pytree import add_container
from gradopt.errors import ShapeError
from gradopt.functions.series import FAMILIES, Family, fit_of, values_of
from gradopt.functions.series_algebra import (
    coefficients,
    composed,
    functions_of,
    getdomain,
    mapdomain,
    mapparms,
    trimcoef,
)

_CLASSES = (
    polynomial.Polynomial,
    chebyshev.Chebyshev,
    legendre.Legendre,
    hermite.Hermite,
    hermite_e.HermiteE,
    laguerre.Laguerre,
)
_BASE: Any = polynomial.Polynomial.__mro__[1]


def _interval(values: Any, name: str) -> Any:
    """Both ends of a domain or window."""
    ends = coefficients(values) if is_traced(values) else np.asarray(values, float).reshape(-1)
    if len(ends) != 2:
        raise ShapeError(f"{name} has wrong number of elements.", source_location())
    return ends


class _Series:
    """What the subclasses have in common; each comes before NumPy's class."""

    family: ClassVar[Family]
    numpys: ClassVar[Any]
    coef: Any
    domain: Any
    window: Any
    symbol: str
    _pow: Callable[..., Any]
    _roots: Callable[..., Any]

    def __init__(
        self, coef: Any, domain: Any = None, window: Any = None, symbol: str = "x"
    ) -> None:
        # The checks of what is concrete are NumPy's.
        known = self.numpys([1.0], symbol=symbol)
        self.coef = coefficients(coef)
        self.domain = known.domain if domain is None else _interval(domain, "Domain")
        self.window = known.window if window is None else _interval(window, "Window")
        self._symbol = symbol

    @classmethod
    def of(cls, series: Any) -> Any:
        """A series of NumPy's class as one of this."""
        return cls(series.coef, series.domain, series.window, series.symbol)

    def _get_coefficients(self, other: Any) -> Any:
        """Of a series that is added and so on; a number is its own.

        Raises:
            TypeError: it is of another class, domain or window.
        """
        if not isinstance(other, _BASE):
            return other
        if not isinstance(other, self.numpys):
            raise TypeError("Polynomial types differ")
        for name in ("domain", "window"):
            mine, others = getattr(self, name), getattr(other, name)
            if is_traced(mine, others) and mine is not others:
                raise unsupported(
                    f"arithmetic of series with traced {name}s", f"give both the same {name}"
                )
            if not is_traced(mine) and not np.all(mine == others):
                raise TypeError(f"{name.capitalize()}s differ")
        if self.symbol != other.symbol:
            raise ValueError("Polynomial symbols differ")
        return other.coef

    def _with(self, coef: Any) -> Any:
        return type(self)(coef, self.domain, self.window, self.symbol)

    def __call__(self, arg: Any) -> Any:
        """The values at places of any shape, or the series of a series."""
        if isinstance(arg, _BASE):
            if len(arg.coef) > 2:
                raise unsupported(f"a {type(self).__name__} of a series", "call it with numbers")
            family = _class_of(arg).family
            line = np.concatenate([coefficients(arg.coef), np.zeros(2)])
            # Its polynomials of degree 0 and 1 are 1 and a x + b.
            a, b, _ = family.step(0)
            offset, slope = mapparms(self.domain, self.window)
            coef = composed(
                self.family,
                self.coef,
                family,
                offset + slope * (line[0] + b * line[1]),
                slope * a * line[1],
            )
            return _class_of(arg)(coef, arg.domain, arg.window, arg.symbol)
        return values_of(self.family)(mapdomain(arg, self.domain, self.window), self.coef)

    def convert(self, domain: Any = None, kind: Any = None, window: Any = None) -> Any:
        """As NumPy's method."""
        target = self.numpys if kind is None else kind
        domain = target.domain if domain is None else domain
        window = target.window if window is None else window
        return self(_identity(target, domain, window, self.symbol))

    def mapparms(self) -> tuple[Any, Any]:
        """As NumPy's method."""
        return mapparms(self.domain, self.window)

    def roots(self) -> Any:
        """As NumPy's method."""
        return mapdomain(self._roots(self.coef), self.window, self.domain)

    def copy(self) -> Any:
        """As NumPy's method."""
        return self._with(self.coef.copy())

    def trim(self, tol: Any = 0) -> Any:
        """Refused: how many coefficients are left depends on their values."""
        return self._with(trimcoef(self.coef, tol))

    def __eq__(self, other: object) -> Any:
        try:
            theirs = self._get_coefficients(other)
        except (TypeError, ValueError):
            return False
        is_alike = isinstance(other, _BASE) and len(theirs) == len(self.coef)
        return np.all(self.coef == theirs) if is_alike else False

    def __ne__(self, other: object) -> Any:
        return np.logical_not(self == other)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.coef!r})"

    def __str__(self) -> str:
        raise unsupported("str() of a series", "write its coef")

    def __format__(self, fmt_str: str) -> str:
        raise unsupported("format() of a series", "write its coef")

    def __truediv__(self, other: Any) -> Any:
        if np.ndim(other) or isinstance(other, _BASE):
            raise TypeError(f"unsupported types for true division: '{type(self)}', '{type(other)}'")
        return self._with(self.coef / other)

    def __pow__(self, other: Any) -> Any:
        return self._with(self._pow(self.coef, other, self.numpys.maxpower))


def _reflected(name: str) -> Callable[..., Any]:
    """`__radd__` and so on, which may get a series of NumPy's class."""

    def call(self: Any, other: Any) -> Any:
        coef = getattr(self, f"_{name}")(self._get_coefficients(other), self.coef)
        return self._with(coef)

    return call


def _rdivmod(self: Any, other: Any) -> Any:
    quotient, rest = self._div(self._get_coefficients(other), self.coef)
    return self._with(quotient), self._with(rest)


def _subclass(numpys: Any, family: Family) -> Any:
    functions = functions_of(family)
    own = {
        "_add": "add",
        "_sub": "sub",
        "_mul": "mul",
        "_div": "div",
        "_pow": "pow",
        "_int": "int",
        "_der": "der",
        "_line": "line",
        "_roots": "roots",
        "_fromroots": "fromroots",
    }
    return type(
        numpys.__name__,
        (_Series, numpys),
        {
            "__module__": numpys.__module__,
            "__hash__": None,
            "family": family,
            "numpys": numpys,
            "_val": staticmethod(values_of(family)),
            "_fit": staticmethod(fit_of(family)),
            **{name: staticmethod(functions[of]) for name, of in own.items()},
            **{f"__r{name}__": _reflected(name) for name in ("add", "sub", "mul")},
            "__rdivmod__": _rdivmod,
        },
    )


_OURS = {
    numpys: _subclass(numpys, family) for numpys, family in zip(_CLASSES, FAMILIES, strict=True)
}


def _class_of(series: Any) -> Any:
    """Our class for a series, or a class, of NumPy's."""
    cls = series if isinstance(series, type) else type(series)
    return next(ours for numpys, ours in _OURS.items() if issubclass(cls, numpys))


# -- What NumPy's classes do with traced values --------------------------------------------------


def _identity(cls: Any, domain: Any, window: Any, symbol: str) -> Any:
    """The series that is x."""
    ours = _class_of(cls)
    offset, slope = mapparms(window, domain)
    return ours(ours._line(offset, slope), domain, window, symbol)


def _fit(ours: Any) -> Callable[..., Any]:
    def fit(
        x: Any,
        y: Any,
        deg: Any,
        domain: Any = None,
        rcond: Any = None,
        full: bool = False,
        w: Any = None,
        window: Any = None,
        symbol: str = "x",
    ) -> Any:
        if domain is None:
            domain = getdomain(x) if is_traced(x) else polyutils.getdomain(x)
        elif isinstance(domain, list) and not domain:
            domain = ours.numpys.domain
        window = ours.numpys.window if window is None else window
        places = mapdomain(x, domain, window)
        found = ours._fit(places, y, deg, rcond=rcond, full=full, w=w)
        coef = found[0] if full else found
        series = ours(coef, domain, window, symbol)
        return (series, found[1]) if full else series

    return fit


def _from_roots(ours: Any) -> Callable[..., Any]:
    def fromroots(roots: Any, domain: Any = (), window: Any = None, symbol: str = "x") -> Any:
        zeros = coefficients(roots)
        if domain is None:
            domain = getdomain(zeros)
        elif not is_traced(domain) and not len(domain):
            domain = ours.numpys.domain
        window = ours.numpys.window if window is None else window
        offset, slope = mapparms(domain, window)
        coef = ours._fromroots(offset + slope * zeros) / slope ** len(zeros)
        return ours(coef, domain, window, symbol)

    return fromroots


def _flatten(series: Any) -> tuple[tuple[Any, ...], Any]:
    """The coefficients, and what is traced of domain and window; the rest is data."""
    parts = series.domain, series.window
    known = [None if is_traced(part) else tuple(np.asarray(part).tolist()) for part in parts]
    children = series.coef, *(part for part in parts if is_traced(part))
    return children, (_class_of(series).numpys, *known, series.symbol)


def _unflatten(data: Any, children: Sequence[Any]) -> Any:
    cls, *known, symbol = data
    coef, *traced_parts = children
    rest = iter(traced_parts)
    domain, window = (next(rest) if part is None else np.array(part) for part in known)
    if type(coef) is np.ndarray:
        return cls(coef, domain, window, symbol)
    # The leaves may be anything.
    made = object.__new__(_OURS[cls])
    made.coef, made.domain, made.window, made._symbol = coef, domain, window, symbol
    return made


def _path(data: Any, i: int) -> str:
    names = [
        name for name, part in zip(("domain", "window"), data[1:3], strict=True) if part is None
    ]
    return f".{('coef', *names)[i]}"


def register_further() -> None:
    """Makes pytrees of NumPy's classes; in structures ours count as them."""
    for numpys in _OURS:
        add_container(numpys, _flatten, _unflatten, _path)


for _numpys, _cls in _OURS.items():
    add_container(_cls, _flatten, _unflatten, _path, _numpys)
    implements(_numpys)(_cls)
    implements(_numpys.fit)(_fit(_cls))
    implements(_numpys.fromroots)(_from_roots(_cls))


@implements(_BASE.__call__)
def _value(self: Any, arg: Any) -> Any:
    """A series of concrete coefficients at traced places."""
    return _class_of(self).of(self)(arg)
