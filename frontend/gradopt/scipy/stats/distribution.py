# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What all distributions of `scipy.stats` have in common: arguments, supports and what follows.

A distribution states what is its own, its `Formulas`; the methods that it does not state follow
from these. Results are float64, as SciPy's. Parameters that are not possible, and NaN, give NaN.
Formulas see places inside of the support alone, so that derivatives outside of it are zero, not
NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradopt.array.dispatch import foreign_handler, unsupported
from gradopt.array.handle import wrap
from gradopt.array.operands import traced
from gradopt.base.dtypes import FLOAT64
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentTypeError
from gradopt.ir import prims
from gradopt.scipy.stats.quantiles import continuous, discrete, summed

Formula = Callable[..., Any]
# An end of a support: a number, or a function of the shapes.
End = float | Formula


class _Special:
    """The functions of `scipy.special` by their names."""

    def __getattr__(self, name: str) -> Formula:
        def call(*inputs: Any) -> Any:
            handler = foreign_handler(name)
            if handler is None:
                raise unsupported(f"scipy.special.{name}", "this distribution needs it")
            return wrap(handler(*inputs))

        return call


special = _Special()


def all_positive(*shapes: Any) -> Any:
    """Whether all parameters of shape are."""
    valid: Any = True
    for shape in shapes:
        valid = valid & (shape > 0)
    return valid


@dataclass(frozen=True, kw_only=True)
class Formulas:
    """A distribution with location 0 and scale 1.

    Densities and probabilities are functions of a place and of the shapes, `ppf` and `isf` of a
    probability and the shapes, moments of the shapes. They are written with NumPy's functions.

    Attributes:
        shapes: names of the parameters of shape, in SciPy's order.
        low, high: the ends of the support.
        has_ends: whether the density at a finite end is what the formula gives, and not 0.
        inner: a place inside of all supports.
        valid: whether the shapes are possible.
        density, log_density: of a discrete distribution, the probability.
        cdf, logcdf, sf, logsf: the probability of what is not above a place, and of what is.
        ppf, isf: their inverse functions.
        mean, variance, entropy: of the distribution.
    """

    shapes: tuple[str, ...] = ()
    low: End = -math.inf
    high: End = math.inf
    has_ends: bool = True
    inner: End = 0.5
    valid: Formula = all_positive
    density: Formula | None = None
    log_density: Formula | None = None
    cdf: Formula | None = None
    logcdf: Formula | None = None
    sf: Formula | None = None
    logsf: Formula | None = None
    ppf: Formula | None = None
    isf: Formula | None = None
    mean: Formula | None = None
    variance: Formula | None = None
    entropy: Formula | None = None

    def value(self, name: str, x: Any, shapes: Sequence[Any]) -> Any:
        """One of the functions, from that formula which there is."""
        formula = getattr(self, name)
        if formula is not None:
            return formula(x, *shapes)
        if name in ("logcdf", "logsf") and self.cdf is not None and self.sf is not None:
            below, above = self.cdf(x, *shapes), self.sf(x, *shapes)
            return log_of(below, above) if name == "logcdf" else log_of(above, below)
        source, function = self._derived(name)
        return function(self.value(source, x, shapes))

    def _derived(self, name: str) -> tuple[str, Formula]:
        """Another function that there is a formula for, and what gives this one from it."""
        if name == "density":
            return "log_density", np.exp
        if name == "log_density":
            return "density", np.log
        if name in ("cdf", "sf"):
            other = "sf" if name == "cdf" else "cdf"
            if getattr(self, f"log{name}") is not None:
                return f"log{name}", np.exp
            if getattr(self, f"log{other}") is not None:
                return f"log{other}", lambda v: -np.expm1(v)
            return other, lambda v: 1 - v
        if name in ("logcdf", "logsf"):
            other = "logsf" if name == "logcdf" else "logcdf"
            if getattr(self, other) is not None:
                return other, lambda v: log_of_rest(-v)
            return name[3:], np.log
        raise AssertionError(name)

    def inverse(self, name: str, q: Any, shapes: Sequence[Any]) -> Any | None:
        """`ppf` or `isf`, if there is a formula for one of them."""
        other = "isf" if name == "ppf" else "ppf"
        for formula, probability in ((getattr(self, name), q), (getattr(self, other), 1 - q)):
            if formula is not None:
                return formula(probability, *shapes)
        return None


def _scaled(end: Any, loc: Any, scale: Any) -> Any:
    """An end of a support at its place."""
    finite = np.isfinite(end)
    return np.where(finite, np.where(finite, end, 0.0) * scale + loc, end)


def log_of(p: Any, rest: Any) -> Any:
    """`log(p)`, where `rest` is 1 - p: of what is near 1 by the rest."""
    small = p < 0.5
    return np.where(small, np.log(np.where(small, p, 1.0)), np.log1p(-np.where(small, 0.0, rest)))


def log_of_rest(t: Any) -> Any:
    """`log(1 - exp(-t))` of positive numbers; the formulas of Maechler (2012)."""
    near = t < math.log(2)
    far = np.where(near, 1.0, t)
    return np.where(near, np.log(-np.expm1(-t)), np.log1p(-np.exp(-far)))


@program
def _evaluated(*operands: Any, distribution: Distribution, method: str) -> Any:
    """One of the methods, of the place and all parameters, or of the parameters alone."""
    values = [wrap(prims.convert(traced(value), FLOAT64)) for value in operands]
    result = distribution._method(method, values)
    shape = np.broadcast_shapes(*[np.shape(value) for value in values])
    return traced(np.broadcast_to(result, shape) if np.shape(result) != shape else result)


class Distribution:
    """A distribution, to be called as SciPy's: parameters of shape, `loc` and `scale`."""

    _last = ("loc", "scale")

    def __init__(self, name: str, formulas: Formulas) -> None:
        self.name = name
        self.formulas = formulas
        self._names = (*formulas.shapes, *self._last)
        self.__doc__ = f"`scipy.stats.{name}({', '.join(self._names)})`."

    def __repr__(self) -> str:
        return f"<gradopt.scipy.stats.{self.name}>"

    def __call__(self, *args: Any, **kwds: Any) -> Frozen:
        """The distribution with these parameters."""
        self._parameters(args, kwds)
        return Frozen(self, args, kwds)

    @hide_frames
    def _evaluate(self, method: str, places: tuple[Any, ...], args: Any, kwds: Any) -> Any:
        parameters = self._parameters(args, kwds)
        return _evaluated(*places, *parameters, distribution=self, method=method)

    def _parameters(self, args: tuple[Any, ...], kwds: dict[str, Any]) -> list[Any]:
        """All parameters, in their order.

        Raises:
            ArgumentTypeError: one is missing, or there are others.
        """
        given = dict(zip(self._names, args, strict=False))
        wrong = [name for name in kwds if name not in self._names or name in given]
        if len(args) > len(self._names) or wrong:
            raise ArgumentTypeError(
                f"scipy.stats.{self.name} takes {', '.join(self._names)}, once each; "
                f"got {len(args)} by position" + (f" and {', '.join(wrong)}" if wrong else ""),
                source_location(),
            )
        given |= kwds
        given = {"loc": 0.0, "scale": 1.0, **given}
        missing = [name for name in self._names if name not in given]
        if missing:
            raise ArgumentTypeError(
                f"scipy.stats.{self.name} needs {', '.join(missing)}", source_location()
            )
        return [given[name] for name in self._names]

    def _method(self, method: str, values: list[Any]) -> Any:
        raise NotImplementedError

    def _ends(self, shapes: Sequence[Any]) -> tuple[Any, Any]:
        """The ends of the support of the standard form."""
        formulas = self.formulas
        ends = [e(*shapes) if callable(e) else e for e in (formulas.low, formulas.high)]
        return ends[0], ends[1]

    def _inner(self, shapes: Sequence[Any]) -> Any:
        inner = self.formulas.inner
        return inner(*shapes) if callable(inner) else inner

    def _accumulated(self, method: str, y: Any, shapes: Sequence[Any], low: Any, high: Any) -> Any:
        """`cdf` and its like: constants outside of the open support.

        Raises:
            UnsupportedError: there is no formula for it.
        """
        inside = (y > low) & (y < high)
        value = self._probability(method, np.where(inside, y, self._inner(shapes)), shapes)
        below, above = {
            "cdf": (0.0, 1.0),
            "sf": (1.0, 0.0),
            "logcdf": (-math.inf, 0.0),
            "logsf": (0.0, -math.inf),
        }[method]
        return np.where(inside, value, np.where(y >= high, above, below))

    def _probability(self, method: str, y: Any, shapes: Sequence[Any]) -> Any:
        """`cdf` and its like, at places inside of the support."""
        self._require_probabilities(method)
        return self.formulas.value(method, y, shapes)

    def _require_probabilities(self, method: str) -> None:
        """Checks that there is a formula for a probability.

        Raises:
            UnsupportedError: there is none.
        """
        formulas = self.formulas
        if (formulas.cdf or formulas.sf or formulas.logcdf or formulas.logsf) is None:
            raise unsupported(f"scipy.stats.{self.name}.{method}", "add up the probabilities")

    def _moment(self, method: str, shapes: Sequence[Any]) -> Any:
        """A number of the standard form.

        Raises:
            UnsupportedError: there is no formula for it.
        """
        formula = getattr(self.formulas, "variance" if method in ("var", "std") else method)
        if formula is None:
            raise unsupported(f"scipy.stats.{self.name}.{method}", "compute it before the call")
        return formula(*shapes)

    def cdf(self, x: Any, *args: Any, **kwds: Any) -> Any:
        """The probability of what is not above `x`."""
        return self._evaluate("cdf", (x,), args, kwds)

    def logcdf(self, x: Any, *args: Any, **kwds: Any) -> Any:
        """The logarithm of `cdf`."""
        return self._evaluate("logcdf", (x,), args, kwds)

    def sf(self, x: Any, *args: Any, **kwds: Any) -> Any:
        """The probability of what is above `x`."""
        return self._evaluate("sf", (x,), args, kwds)

    def logsf(self, x: Any, *args: Any, **kwds: Any) -> Any:
        """The logarithm of `sf`."""
        return self._evaluate("logsf", (x,), args, kwds)

    def ppf(self, q: Any, *args: Any, **kwds: Any) -> Any:
        """The inverse function of `cdf`; NaN of what is no probability.

        Of a discrete distribution, the first integer where `cdf` is as large; derivatives are zero.
        """
        return self._evaluate("ppf", (q,), args, kwds)

    def isf(self, q: Any, *args: Any, **kwds: Any) -> Any:
        """The inverse function of `sf`, as `ppf`."""
        return self._evaluate("isf", (q,), args, kwds)

    def median(self, *args: Any, **kwds: Any) -> Any:
        """The median."""
        return self.ppf(0.5, *args, **kwds)

    def interval(self, confidence: Any, *args: Any, **kwds: Any) -> tuple[Any, Any]:
        """The ends of what has a probability, as much on both sides of the median."""
        half = (1 - confidence) / 2
        return self.ppf(half, *args, **kwds), self.isf(half, *args, **kwds)

    def support(self, *args: Any, **kwds: Any) -> tuple[Any, Any]:
        """The ends of the support."""
        return self._evaluate("low", (), args, kwds), self._evaluate("high", (), args, kwds)

    def mean(self, *args: Any, **kwds: Any) -> Any:
        """The mean."""
        return self._evaluate("mean", (), args, kwds)

    def var(self, *args: Any, **kwds: Any) -> Any:
        """The variance."""
        return self._evaluate("var", (), args, kwds)

    def std(self, *args: Any, **kwds: Any) -> Any:
        """The standard deviation."""
        return self._evaluate("std", (), args, kwds)

    def entropy(self, *args: Any, **kwds: Any) -> Any:
        """The differential entropy, or the entropy of a discrete distribution, in nats."""
        return self._evaluate("entropy", (), args, kwds)


class Continuous(Distribution):
    """A continuous distribution."""

    def pdf(self, x: Any, *args: Any, **kwds: Any) -> Any:
        """The density."""
        return self._evaluate("pdf", (x,), args, kwds)

    def logpdf(self, x: Any, *args: Any, **kwds: Any) -> Any:
        """The logarithm of the density."""
        return self._evaluate("logpdf", (x,), args, kwds)

    def _method(self, method: str, values: list[Any]) -> Any:
        count = len(self.formulas.shapes)
        places, shapes = values[: -count - 2], values[-count - 2 : -2]
        loc, scale = values[-2:]
        valid = self.formulas.valid(*shapes) & (scale > 0)
        # What is not possible is computed of something else, so that no derivative is NaN times 0.
        shapes = [np.where(valid, shape, 1.0) for shape in shapes]
        scale = np.where(valid, scale, 1.0)
        if not places:
            result = self._scaled_moment(method, shapes, loc, scale)
        elif method in ("ppf", "isf"):
            result = self._quantile(method, places[0], shapes, loc, scale)
            valid = valid & ~np.isnan(places[0])
        else:
            result = self._function(method, (places[0] - loc) / scale, shapes, scale)
            valid = valid & ~np.isnan(places[0] - loc)
        return np.where(valid, result, math.nan)

    def _function(self, method: str, y: Any, shapes: Sequence[Any], scale: Any) -> Any:
        low, high = self._ends(shapes)
        if method not in ("pdf", "logpdf"):
            return self._accumulated(method, y, shapes, low, high)
        inside = (y > low) & (y < high)
        if self.formulas.has_ends:
            inside = inside | (((y == low) | (y == high)) & np.isfinite(y))
        place = np.where(inside, y, self._inner(shapes))
        if method == "pdf":
            return np.where(inside, self.formulas.value("density", place, shapes) / scale, 0.0)
        value = self.formulas.value("log_density", place, shapes) - np.log(scale)
        return np.where(inside, value, -math.inf)

    def _quantile(self, method: str, q: Any, shapes: Sequence[Any], loc: Any, scale: Any) -> Any:
        inside = (q > 0) & (q < 1)
        value = self.formulas.inverse(method, np.where(inside, q, 0.5), shapes)
        if value is None:
            value = self._searched(method, np.where(inside, q, 0.5), shapes)
        ends = [_scaled(end, loc, scale) for end in self._ends(shapes)]
        at_zero, at_one = ends if method == "ppf" else ends[::-1]
        beyond = np.where(q == 0, at_zero, np.where(q == 1, at_one, math.nan))
        return np.where(inside, value * scale + loc, beyond)

    def _searched(self, method: str, q: Any, shapes: Sequence[Any]) -> Any:
        """The place of a probability of the standard form, by a search."""
        self._require_probabilities(method)
        low, high = self._ends(shapes)
        shape = np.broadcast_shapes(*[np.shape(v) for v in (q, low, high, *shapes)])
        name = "logcdf" if method == "ppf" else "logsf"

        def probability(x: Any) -> Any:
            return self.formulas.value(name, x, shapes)

        return continuous(
            probability, np.broadcast_to(np.log(q), shape), low, high, method == "ppf"
        )

    def _scaled_moment(self, method: str, shapes: Sequence[Any], loc: Any, scale: Any) -> Any:
        if method in ("low", "high"):
            return _scaled(self._ends(shapes)[method == "high"], loc, scale)
        value = self._moment(method, shapes)
        if method == "mean":
            return value * scale + loc
        if method == "entropy":
            return value + np.log(scale)
        return value * scale**2 if method == "var" else np.sqrt(value) * scale


class Discrete(Distribution):
    """A discrete distribution, on integers: places in between have no probability."""

    _last = ("loc",)

    def pmf(self, k: Any, *args: Any, **kwds: Any) -> Any:
        """The probability of `k`."""
        return self._evaluate("pmf", (k,), args, kwds)

    def logpmf(self, k: Any, *args: Any, **kwds: Any) -> Any:
        """The logarithm of the probability of `k`."""
        return self._evaluate("logpmf", (k,), args, kwds)

    def _method(self, method: str, values: list[Any]) -> Any:
        count = len(self.formulas.shapes)
        places, shapes = values[: -count - 1], values[-count - 1 : -1]
        loc = values[-1]
        valid = self.formulas.valid(*shapes)
        inner = [np.where(valid, shape, 1.0) for shape in shapes]
        low, high = self._ends(inner)
        if not places:
            if method in ("low", "high"):
                return np.where(valid, (low if method == "low" else high) + loc, math.nan)
            result = self._moment(method, inner)
            result = result + loc if method == "mean" else result
            return np.where(valid, np.sqrt(result) if method == "std" else result, math.nan)
        if method in ("ppf", "isf"):
            return np.where(valid, self._quantile(method, places[0], inner) + loc, math.nan)
        k = places[0] - loc
        if method in ("pmf", "logpmf"):
            inside = (k >= low) & (k <= high) & (k == np.floor(k)) & np.isfinite(k)
            place = np.where(inside, k, self._inner(inner))
            name = "density" if method == "pmf" else "log_density"
            outside = 0.0 if method == "pmf" else -math.inf
            result = np.where(inside, self.formulas.value(name, place, inner), outside)
        else:
            # From the lowest number on, where SciPy's formulas hold; all is below the highest.
            k = np.floor(k)
            result = self._accumulated(method, k, inner, low - 1, high)
        return np.where(valid & ~np.isnan(k), result, math.nan)

    def _probability(self, method: str, y: Any, shapes: Sequence[Any]) -> Any:
        """By a formula, or the sum of all probabilities from the end of the support on."""
        formulas = self.formulas
        if formulas.cdf or formulas.sf or formulas.logcdf or formulas.logsf:
            return formulas.value(method, y, shapes)
        if method.startswith("log"):
            other = "sf" if method == "logcdf" else "cdf"
            mine = self._probability(method[3:], y, shapes)
            return log_of(mine, self._probability(other, y, shapes))
        low, high = self._ends(shapes)
        shape = np.broadcast_shapes(*[np.shape(v) for v in (y, low, high, *shapes)])

        def probability(k: Any) -> Any:
            return formulas.value("density", k, shapes)

        if method == "cdf":
            return summed(probability, low, np.minimum(y, high), shape)
        if formulas.high == math.inf:
            return 1 - summed(probability, low, y, shape)
        return summed(probability, np.maximum(y + 1, low), high, shape)

    def _quantile(self, method: str, q: Any, shapes: Sequence[Any]) -> Any:
        """The first integer where the probability is reached; one below the support at 0."""
        low, high = self._ends(shapes)
        inside = (q > 0) & (q < 1)
        shape = np.broadcast_shapes(*[np.shape(v) for v in (q, low, high, *shapes)])
        wanted = np.broadcast_to(np.where(inside, q, 0.5), shape)
        is_low = method == "ppf"
        name = "cdf" if is_low else "sf"
        found = discrete(
            lambda k: self._accumulated(name, k, shapes, low - 1, high),
            lambda p: p >= wanted if is_low else p <= wanted,
            wanted,
            low,
            high,
        )
        ends = (low - 1.0, high) if is_low else (high, low - 1.0)
        beyond = np.where(q == 0, ends[0], np.where(q == 1, ends[1], math.nan))
        return np.where(inside, found, beyond)


class Frozen:
    """A distribution with its parameters, as `scipy.stats.norm(loc, scale)`."""

    def __init__(
        self, distribution: Distribution, args: tuple[Any, ...], kwds: dict[str, Any]
    ) -> None:
        self.dist = distribution
        self.args = args
        self.kwds = kwds

    def __repr__(self) -> str:
        return f"<gradopt.scipy.stats.{self.dist.name} with parameters>"

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name == "dist" or name.startswith("_"):
            raise AttributeError(name)  # One that is not initialized, as copies are at first.
        method = getattr(self.dist, name)

        def call(*places: Any) -> Any:
            return method(*places, *self.args, **self.kwds)

        return call
