# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.spatial.distance`: distances of vectors, and of all pairs of rows.

Where a distance has no derivative, as that of a vector to itself, it is taken to be zero.
Metrics of booleans have none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.array.dispatch import unsupported
from gradopt.array.handle import Handle, wrap
from gradopt.array.operands import traced
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.compilation.calling import call_user
from gradopt.compilation.programs import program
from gradopt.errors import ArgumentError, ShapeError
from gradopt.scipy.operands import real
from gradopt.scipy.stats.distribution import special
from gradopt.transforms.batching import vmap

__all__ = [
    "braycurtis",
    "canberra",
    "cdist",
    "chebyshev",
    "cityblock",
    "correlation",
    "cosine",
    "dice",
    "euclidean",
    "hamming",
    "jaccard",
    "jensenshannon",
    "mahalanobis",
    "minkowski",
    "pdist",
    "rogerstanimoto",
    "russellrao",
    "seuclidean",
    "sokalsneath",
    "sqeuclidean",
    "squareform",
    "yule",
]


def _root(x: Any) -> Any:
    """The square root, with a derivative of zero at zero."""
    is_zero = x == 0
    return np.where(is_zero, 0, np.sqrt(np.where(is_zero, 1, x)))


def _ratio(numerator: Any, denominator: Any) -> Any:
    """A quotient, and 0 where the denominator is."""
    is_zero = denominator == 0
    return np.where(is_zero, 0, numerator / np.where(is_zero, 1, denominator))


def _weighted(values: Any, w: Any) -> Any:
    return np.sum(values if w is None else w * values, axis=-1)


# -- Metrics of vectors along the last axis, and their weights ---------------------------------


def _sqeuclidean(u: Any, v: Any, w: Any) -> Any:
    return _weighted((u - v) ** 2, w)


def _euclidean(u: Any, v: Any, w: Any) -> Any:
    return _root(_sqeuclidean(u, v, w))


def _cityblock(u: Any, v: Any, w: Any) -> Any:
    return _weighted(np.abs(u - v), w)


def _chebyshev(u: Any, v: Any, w: Any) -> Any:
    distances = np.abs(u - v)
    # As in SciPy, weights say which elements count.
    return np.max(distances if w is None else np.where(w > 0, distances, 0), axis=-1)


def _braycurtis(u: Any, v: Any, w: Any) -> Any:
    return _weighted(np.abs(u - v), w) / _weighted(np.abs(u + v), w)


def _canberra(u: Any, v: Any, w: Any) -> Any:
    return _weighted(_ratio(np.abs(u - v), np.abs(u) + np.abs(v)), w)


def _cosine(u: Any, v: Any, w: Any) -> Any:
    product = _weighted(u * v, w) / np.sqrt(_weighted(u * u, w) * _weighted(v * v, w))
    return np.clip(1 - product, 0.0, 2.0)


def _correlation(u: Any, v: Any, w: Any) -> Any:
    if w is None:
        u, v = (x - np.mean(x, axis=-1, keepdims=True) for x in (u, v))
    else:
        w = w / np.sum(w)
        u, v = (x - np.sum(w * x, axis=-1, keepdims=True) for x in (u, v))
    return _cosine(u, v, w)


def _hamming(u: Any, v: Any, w: Any) -> Any:
    differ = np.where(u != v, 1.0, 0.0)
    return _weighted(differ, w) / (differ.shape[-1] if w is None else np.sum(w))


def _counts(u: Any, v: Any, w: Any) -> tuple[Any, Any, Any, Any]:
    """How often both are true, the first one, the second one, and none."""
    a, b = u != 0, v != 0
    return tuple(
        [_weighted(np.where(which, 1.0, 0.0), w) for which in (a & b, a & ~b, ~a & b, ~(a | b))]
    )  # pyright: ignore[reportReturnType]


def _jaccard(u: Any, v: Any, w: Any) -> Any:
    both, first, second, _ = _counts(u, v, w)
    return _ratio(first + second, both + first + second)


def _dice(u: Any, v: Any, w: Any) -> Any:
    both, first, second, _ = _counts(u, v, w)
    return (first + second) / (2 * both + first + second)


def _rogerstanimoto(u: Any, v: Any, w: Any) -> Any:
    both, first, second, none = _counts(u, v, w)
    return 2 * (first + second) / (both + none + 2 * (first + second))


def _russellrao(u: Any, v: Any, w: Any) -> Any:
    both, first, second, none = _counts(u, v, w)
    return (first + second + none) / (both + first + second + none)


def _sokalsneath(u: Any, v: Any, w: Any) -> Any:
    both, first, second, _ = _counts(u, v, w)
    return 2 * (first + second) / (both + 2 * (first + second))


def _yule(u: Any, v: Any, w: Any) -> Any:
    both, first, second, none = _counts(u, v, w)
    return _ratio(2 * first * second, both * none + first * second)


_METRICS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "braycurtis": _braycurtis,
    "canberra": _canberra,
    "chebyshev": _chebyshev,
    "cityblock": _cityblock,
    "correlation": _correlation,
    "cosine": _cosine,
    "dice": _dice,
    "euclidean": _euclidean,
    "hamming": _hamming,
    "jaccard": _jaccard,
    "rogerstanimoto": _rogerstanimoto,
    "russellrao": _russellrao,
    "sokalsneath": _sokalsneath,
    "sqeuclidean": _sqeuclidean,
    "yule": _yule,
}
_ALIASES = {
    alias: name
    for name, aliases in {
        "chebyshev": "chebychev cheby cheb ch",
        "cityblock": "cblock cb c",
        "correlation": "co",
        "cosine": "cos",
        "euclidean": "euclid eu e",
        "hamming": "matching hamm ha h",
        "jaccard": "jacc ja j",
        "jensenshannon": "js",
        "mahalanobis": "mahal mah",
        "minkowski": "mi m pnorm",
        "seuclidean": "se s",
        "sqeuclidean": "sqe sqeuclid",
    }.items()
    for alias in aliases.split()
}


def _minkowski(u: Any, v: Any, p: Any, w: Any) -> Any:
    distances = np.abs(u - v)
    if type(p) is float and math.isinf(p):
        return np.max(distances if w is None else np.where(w != 0, distances, 0), axis=-1)
    is_zero = distances == 0
    powers = np.where(is_zero, 0, np.where(is_zero, 1, distances) ** p)
    total = _weighted(powers, w)
    return np.where(total == 0, 0, np.where(total == 0, 1, total) ** (1 / p))


def _mahalanobis(u: Any, v: Any, inverse: Any) -> Any:
    change = u - v
    return _root(np.sum((change @ inverse) * change, axis=-1))


def _jensenshannon(p: Any, q: Any, base: Any, axis: int, keepdims: bool) -> Any:
    p = p / np.sum(p, axis=axis, keepdims=True)
    q = q / np.sum(q, axis=axis, keepdims=True)
    middle = (p + q) / 2
    terms = special.rel_entr(p, middle) + special.rel_entr(q, middle)
    total = np.sum(terms, axis=axis, keepdims=keepdims)
    return _root((total if base is None else total / np.log(base)) / 2)


# -- Of two vectors ----------------------------------------------------------------------------


def _vectors(name: str, u: Any, v: Any, w: Any) -> list[Any]:
    """Two vectors of one length, and weights, if there are any.

    Raises:
        ShapeError: they are not.
    """
    parts = real(f"spatial.distance.{name}", u, v, *(() if w is None else (w,)))
    shapes = [part.shape for part in parts]
    if any(part.ndim != 1 for part in parts) or len(set(shapes)) != 1:
        raise ShapeError(
            f"{name}: expected vectors of the same length, got shapes "
            + ", ".join(map(str, shapes)),
            source_location(),
        )
    return [*parts, None] if w is None else parts


@program
def _between(u: Any, v: Any, *w: Any, name: str) -> Any:
    first, second, weights = _vectors(name, u, v, w[0] if w else None)
    return traced(_METRICS[name](first, second, weights))


def _metric(name: str, summary: str) -> Callable[..., Any]:
    @hide_frames
    def metric(u: Any, v: Any, w: Any = None) -> Any:
        return _between(u, v, *(() if w is None else (w,)), name=name)

    metric.__name__ = metric.__qualname__ = name
    metric.__doc__ = f"""{summary}

    Args:
        u: a vector.
        v: a vector of the same length.
        w: weights of the elements.

    Raises:
        ShapeError: they are no vectors of one length.
    """
    return metric


euclidean = _metric("euclidean", "The Euclidean distance of two vectors.")
sqeuclidean = _metric("sqeuclidean", "The square of the Euclidean distance of two vectors.")
cityblock = _metric("cityblock", "The sum of distances of elements.")
chebyshev = _metric("chebyshev", "The largest distance of elements.")
braycurtis = _metric("braycurtis", "The sum of distances of elements by that of their sums.")
canberra = _metric("canberra", "The sum of distances of elements, each by the sum of their sizes.")
cosine = _metric("cosine", "One less the cosine of the angle between two vectors.")
hamming = _metric("hamming", "The part of elements that differ.")
jaccard = _metric("jaccard", "Of elements that are not both 0, the part where one is.")
dice = _metric("dice", "The dissimilarity of Dice of two vectors of booleans.")
rogerstanimoto = _metric("rogerstanimoto", "That of Rogers and Tanimoto of booleans.")
russellrao = _metric("russellrao", "That of Russell and Rao of booleans.")
sokalsneath = _metric("sokalsneath", "That of Sokal and Sneath of booleans.")
yule = _metric("yule", "That of Yule of booleans.")


@hide_frames
def correlation(u: Any, v: Any, w: Any = None, centered: bool = True) -> Any:
    """One less the correlation of two vectors, with the parameters of the others.

    Args:
        u: a vector.
        v: a vector of the same length.
        w: weights of the elements.
        centered: whether means are taken away.
    """
    name = "correlation" if centered else "cosine"
    return _between(u, v, *(() if w is None else (w,)), name=name)


@hide_frames
def minkowski(u: Any, v: Any, p: Any = 2, w: Any = None) -> Any:
    """The distance of an order: the p-th root of the sum of p-th powers of distances of elements.

    Args:
        u: a vector.
        v: a vector of the same length.
        p: the order, positive.
        w: weights of the elements.

    Raises:
        ArgumentError: p is not positive.
        ShapeError: they are no vectors of one length.
    """
    _require_order(p)
    weights = () if w is None else (w,)
    if not isinstance(p, Handle) and math.isinf(p):
        return _minkowski_between(u, v, *weights, p=float(p))
    return _minkowski_of_order(u, v, p, *weights)


def _require_order(p: Any) -> None:
    if not isinstance(p, Handle) and not p > 0:
        raise ArgumentError("p must be greater than 0", source_location())


@program
def _minkowski_between(u: Any, v: Any, *w: Any, p: float) -> Any:
    first, second, weights = _vectors("minkowski", u, v, w[0] if w else None)
    return traced(_minkowski(first, second, p, weights))


@program
def _minkowski_of_order(u: Any, v: Any, p: Any, *w: Any) -> Any:
    first, second, weights = _vectors("minkowski", u, v, w[0] if w else None)
    return traced(_minkowski(first, second, wrap(traced(p, first.dtype)), weights))


@hide_frames
def seuclidean(u: Any, v: Any, V: Any) -> Any:
    """The Euclidean distance with variances `V` of the elements."""
    return _scaled(u, v, V)


@program
def _scaled(u: Any, v: Any, V: Any) -> Any:
    first, second, variances = _vectors("seuclidean", u, v, V)
    return traced(_euclidean(first, second, 1 / variances))


@hide_frames
def mahalanobis(u: Any, v: Any, VI: Any) -> Any:
    """The distance with `VI`, the inverse of a covariance matrix."""
    return _of_covariance(u, v, VI)


@program
def _of_covariance(u: Any, v: Any, VI: Any) -> Any:
    first, second, _ = _vectors("mahalanobis", u, v, None)
    (inverse,) = real("spatial.distance.mahalanobis", VI)
    return traced(_mahalanobis(first, second, inverse))


@hide_frames
def jensenshannon(
    p: Any, q: Any, base: Any = None, *, axis: int = 0, keepdims: bool = False
) -> Any:
    """The square root of the Jensen-Shannon divergence of probabilities.

    Args:
        p: probabilities, which are divided by their sum.
        q: others.
        base: of the logarithm, e by default.
        axis: along which they lie.
        keepdims: as NumPy's.
    """
    return _js(p, q, base=base, axis=axis, keepdims=bool(keepdims))


@program
def _js(p: Any, q: Any, *, base: float | None, axis: int, keepdims: bool) -> Any:
    first, second = real("spatial.distance.jensenshannon", p, q)
    return traced(_jensenshannon(first, second, base, axis, keepdims))


# -- Of all pairs ------------------------------------------------------------------------------


def _pair_metric(metric: str, rows: list[Any], options: dict[str, Any]) -> Callable[..., Any]:
    """A function of vectors along the last axis.

    Args:
        metric: its name.
        rows: all rows, of which covariances are taken if none is given.
        options: what further arguments the user gave.
    """
    w = options.get("w")
    if metric in _METRICS:
        return lambda u, v: _METRICS[metric](u, v, w)
    if metric == "minkowski":
        return lambda u, v: _minkowski(u, v, options.get("p", 2), w)
    if metric == "jensenshannon":
        return lambda u, v: _jensenshannon(u, v, None, -1, False)
    every = np.concatenate(rows)
    if metric == "seuclidean":
        variances = options.get("V")
        variances = np.var(every, axis=0, ddof=1) if variances is None else variances
        return lambda u, v: _euclidean(u, v, 1 / variances)
    inverse = options.get("VI")
    inverse = np.linalg.inv(np.cov(every.T)).T if inverse is None else inverse
    return lambda u, v: _mahalanobis(u, v, inverse)


_OPTIONS = {"minkowski": ("p", "w"), "jensenshannon": (), "seuclidean": ("V",),
            "mahalanobis": ("VI",)}  # fmt: skip


def _checked(name: str, metric: Any, out: Any, options: dict[str, Any]) -> Any:
    """The metric under its own name, or a function.

    Raises:
        UnsupportedError: `out`.
        ArgumentError: there is no such metric, or it takes no such argument.
    """
    if out is not None:
        raise unsupported(f"keyword out= of scipy.spatial.distance.{name}", "use what is returned")
    if callable(metric):
        found = getattr(metric, "__name__", "")
        module = getattr(metric, "__module__", "") or ""
        if not (found in __all__ and module.endswith("spatial.distance")):
            return metric
        metric = found
    metric = _ALIASES.get(metric.lower(), metric.lower())
    if metric not in _METRICS and metric not in _OPTIONS:
        raise ArgumentError(f"Unknown Distance Metric: {metric}", source_location())
    wrong = [key for key in options if key not in _OPTIONS.get(metric, ("w",))]
    if wrong:
        raise ArgumentError(f"{name}: metric {metric} takes no {wrong[0]}=", source_location())
    if metric == "minkowski":
        _require_order(options.get("p", 2))
    return metric


def _split(options: dict[str, Any]) -> tuple[tuple[Any, ...], tuple[tuple[str, Any], ...]]:
    """Options that are arrays or traced, by value, and the names of them and the others."""
    operands = {k: v for k, v in options.items() if v is not None and k in ("w", "V", "VI")}
    is_order = "p" in options and isinstance(options["p"], Handle)
    if is_order:
        operands["p"] = options["p"]
    rest = {k: float(v) for k, v in options.items() if k not in operands and v is not None}
    return tuple(operands.values()), (("names", tuple(operands)), ("rest", tuple(rest.items())))


def _rows(name: str, *values: Any) -> list[Any]:
    parts = real(f"spatial.distance.{name}", *values)
    if any(part.ndim != 2 for part in parts) or len({part.shape[1] for part in parts}) != 1:
        raise ShapeError(
            f"{name}: expected arrays of rows of the same length, got shapes "
            + ", ".join(str(part.shape) for part in parts),
            source_location(),
        )
    return parts


@hide_frames
def cdist(XA: Any, XB: Any, metric: Any = "euclidean", *, out: Any = None, **kwargs: Any) -> Any:
    """The distances of each row of one array to each row of another one.

    Args:
        XA: array of shape (m, n).
        XB: array of shape (k, n).
        metric: the name of one, as SciPy has them, or a function of two vectors, which is mapped.
        out: not supported.
        kwargs: `w` weights, `p` of "minkowski", `V` of "seuclidean", `VI` of
            "mahalanobis"; of a function, what it takes.

    Returns:
        An array of shape (m, k).

    Raises:
        ShapeError: the shapes do not go together.
        ArgumentError: there is no such metric, or it takes no such argument.
        UnsupportedError: `out`.
    """
    chosen = _checked("cdist", metric, out, kwargs)
    if callable(chosen):
        return _mapped((XA, XB), tuple(kwargs.values()), metric=chosen, names=tuple(kwargs))
    operands, selection = _split(kwargs)
    return _cdist(XA, XB, operands, metric=chosen, **dict(selection))


@program
def _cdist(a: Any, b: Any, extra: Any, *, metric: str, names: Any, rest: Any) -> Any:
    first, second = _rows("cdist", a, b)
    given = dict(zip(names, real("spatial.distance.cdist", *extra) if extra else [], strict=True))
    distance = _pair_metric(metric, [first, second], {**given, **dict(rest)})
    return traced(distance(first[:, None], second[None]))


@program
def _mapped(rows: Any, extra: Any, *, metric: Callable[..., Any], names: tuple[str, ...]) -> Any:
    """The distances of pairs of rows of two arrays, or of one, by the user's function."""
    given = dict(zip(names, extra, strict=True))

    def distance(u: Any, v: Any) -> Any:
        return call_user(metric, (u, v), given)

    if len(rows) == 2:
        a, b = _rows("cdist", *rows)
        return traced(vmap(lambda u: vmap(lambda v: distance(u, v))(b))(a))
    (x,) = _rows("pdist", *rows)
    first, second = np.triu_indices(x.shape[0], 1)
    return traced(vmap(distance)(x[first], x[second]))


@hide_frames
def pdist(X: Any, metric: Any = "euclidean", *, out: Any = None, **kwargs: Any) -> Any:
    """The distances of each row to those behind it, in a vector.

    Args:
        X: array of shape (m, n).
        metric: as that of `cdist`, with the same arguments and errors.
        out: not supported.
        kwargs: as those of `cdist`.

    Returns:
        A vector of m (m - 1) / 2 distances, as `squareform` takes it.
    """
    chosen = _checked("pdist", metric, out, kwargs)
    if callable(chosen):
        return _mapped((X,), tuple(kwargs.values()), metric=chosen, names=tuple(kwargs))
    operands, selection = _split(kwargs)
    return _pdist(X, operands, metric=chosen, **dict(selection))


@program
def _pdist(x: Any, extra: Any, *, metric: str, names: Any, rest: Any) -> Any:
    (rows,) = _rows("pdist", x)
    given = dict(zip(names, real("spatial.distance.pdist", *extra) if extra else [], strict=True))
    distance = _pair_metric(metric, [rows], {**given, **dict(rest)})
    first, second = np.triu_indices(rows.shape[0], 1)
    return traced(distance(rows[first], rows[second]))


@hide_frames
def squareform(X: Any, force: str = "no", checks: bool = True) -> Any:
    """A vector of distances as a symmetric matrix with zeros on the diagonal, or the reverse.

    Args:
        X: a vector of n (n - 1) / 2 distances, or a matrix, of which what is above the diagonal
            is read.
        force: "tomatrix" or "tovector", if the other one must not be.
        checks: means nothing: that a matrix is symmetric is not looked at.

    Raises:
        ShapeError: there is no such number of distances, or the matrix is not square.
        ArgumentError: `force` asks for the other one.
    """
    rank = np.ndim(X)
    if force.lower() == "tomatrix" and rank != 1:
        raise ArgumentError("Forcing 'tomatrix' but input X is not a distance vector.")
    if force.lower() == "tovector" and rank != 2:
        raise ArgumentError("Forcing 'tovector' but input X is not a distance matrix.")
    return _squareform(X)


@program
def _squareform(x: Any) -> Any:
    values = wrap(traced(x))
    if values.ndim == 2 and values.shape[0] == values.shape[1]:
        return traced(values[np.triu_indices(values.shape[0], 1)])
    size = (1 + math.isqrt(1 + 8 * values.size)) // 2
    if values.ndim != 1 or size * (size - 1) // 2 != values.size:
        raise ShapeError(
            f"squareform: expected a square matrix or a vector of n (n - 1) / 2 distances, got "
            f"shape {values.shape}",
            source_location(),
        )
    if not values.size:
        return traced(np.zeros((1, 1), values.dtype))
    place = np.zeros((size, size), np.int64)
    place[np.triu_indices(size, 1)] = np.arange(values.size)
    return traced(np.where(np.eye(size, dtype=bool), 0, values[place + place.T]))
