# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""gradopt.scipy.interpolate against SciPy; derivatives against differences."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.interpolate
import scipy.sparse.linalg
from budget import generator

import gradopt as go
from gradopt.errors import ArgumentError, ShapeError, UnsupportedError
from gradopt.scipy import interpolate

RNG = generator(47)
# As fractions of the range of samples: inside and outside.
PLACES = np.array([[-0.2, 0.1, 0.5, 0.77], [0.0, 1.0, 1.3, 0.31]])
CUBICS: dict[str, Any] = {
    "CubicSpline": {},
    "natural": {"bc_type": "natural"},
    "clamped": {"bc_type": "clamped"},
    "periodic": {"bc_type": "periodic"},
    "values": {"bc_type": ((1, np.full((2, 3), 0.5)), (2, np.full((2, 3), -0.3)))},
    "mixed": {"bc_type": ("not-a-knot", "natural")},
    "PchipInterpolator": {},
    "Akima1DInterpolator": {"extrapolate": True},
    "makima": {"method": "makima"},
}
CLASSES = {"makima": "Akima1DInterpolator"}


def agrees(actual: Any, expected: Any, tolerance: float = 1e-9) -> None:
    assert np.shape(actual) == np.shape(expected)
    assert np.asarray(actual).dtype == np.asarray(expected).dtype
    np.testing.assert_allclose(actual, expected, tolerance, tolerance)


def class_of(name: str, module: Any) -> Any:
    return getattr(module, CLASSES.get(name, name if name[0].isupper() else "CubicSpline"))


def data(name: str, n: int, axis: int = 0) -> tuple[Any, Any, Any]:
    """Places and samples of an interpolant, and where it is evaluated."""
    x = np.cumsum(RNG.uniform(0.3, 1, size=n))
    y = RNG.normal(size=(n, 2, 3))
    y[-1] = y[0] if name == "periodic" else y[-1]
    return x, np.moveaxis(y, 0, axis), x[0] + PLACES * (x[-1] - x[0])


@pytest.mark.parametrize("name", CUBICS)
def test_cubic_interpolants(name: str) -> None:
    ours, theirs = class_of(name, interpolate), class_of(name, scipy.interpolate)
    for n, axis in ((2, 0), (3, 0), (6, 0)) + (((6, 1),) if name == "CubicSpline" else ()):
        x, y, v = data(name, n, axis)
        got, want = ours(x, y, axis=axis, **CUBICS[name]), theirs(x, y, axis=axis, **CUBICS[name])
        agrees(got.c, want.c, 1e-8)
        for places, nu in ((v, 0), (x, 0), (v, 1)):
            agrees(got(places, nu), want(places, nu), 1e-7)
        if n != 6 or axis:
            continue
        agrees(got(v, extrapolate=False), want(v, extrapolate=False))
        agrees(got.derivative(2)(v), want.derivative(2)(v), 1e-7)
        agrees(got.antiderivative(2)(v), want.antiderivative(2)(v))
        agrees(got.integrate(v[0, 0], v[1, 3]), want.integrate(v[0, 0], v[1, 3]))
        agrees(got.integrate(v[1, 1], v[1, 2]), want.integrate(v[1, 1], v[1, 2]))


@pytest.mark.parametrize("name", CUBICS)
def test_derivatives_of_cubic_interpolants(name: str) -> None:
    """In the samples, where they are, and where the interpolant is evaluated."""
    make, is_class = class_of(name, interpolate), name[0].isupper()
    keywords = {**CUBICS[name]}
    if name == "values":
        keywords["bc_type"] = ((1, 0.5), (2, -0.3))
    x, y, v = data(name, 5)

    def f(x: Any, y: Any, v: Any) -> Any:
        y = np.concatenate([y[:-1], y[:1]]) if name == "periodic" else y
        made = make(x, y, **keywords)
        found = np.sin(made(v))
        # What ends are like matters to the coefficients alone.
        return found + made.derivative()(v) + made.integrate(v[0], v[1]) if is_class else found

    args = x, y[:, 0, 0], v[0, 1:]
    go.gradcheck(go.compile(f), args, rtol=1e-4, atol=1e-5)
    if name in ("CubicSpline", "PchipInterpolator", "Akima1DInterpolator"):
        slopes = go.compile_grad(lambda *args: np.sum(f(*args) ** 2), (0, 1, 2))
        go.gradcheck(slopes, args, modes=("fwd",), rtol=1e-4, atol=1e-5)


def test_slopes_that_are_given() -> None:
    x, y, v = data("CubicHermiteSpline", 5)
    slopes = RNG.normal(size=y.shape)
    got = interpolate.CubicHermiteSpline(x, y, slopes)
    agrees(got(v), scipy.interpolate.CubicHermiteSpline(x, y, slopes)(v))
    made = go.compile(lambda *p: interpolate.CubicHermiteSpline(*p)(v[0, 1:]))
    go.gradcheck(made, (x, y[:, 0, 0], slopes[:, 0, 0]), order=2)


def test_conditions_have_derivatives() -> None:
    x, y, v = data("CubicSpline", 5)

    def f(a: Any, b: Any) -> Any:
        return interpolate.CubicSpline(x, y[:, 0, 0], bc_type=((1, a), (2, b)))(v)

    go.gradcheck(f, (0.3, -0.8))


def test_shape_is_kept() -> None:
    """Flat and rising samples give flat and rising curves, with derivatives of zero."""
    x, y = np.arange(6.0), np.array([0.0, 0.0, 1.0, 1.0, 2.0, 5.0])
    v = np.linspace(0, 5, 101)
    got = interpolate.PchipInterpolator(x, y)(v)
    agrees(got, scipy.interpolate.PchipInterpolator(x, y)(v))
    assert np.diff(got).min() >= 0
    gradient = go.grad(lambda y: np.sum(interpolate.PchipInterpolator(x, y)(v)))(y)
    assert np.isfinite(gradient).all()
    flat = go.grad(lambda y: np.sum(interpolate.Akima1DInterpolator(x, y)(v)))(np.ones(6))
    assert np.isfinite(flat).all()


def test_pieces() -> None:
    c, x = RNG.normal(size=(3, 4, 2)), np.cumsum(RNG.uniform(0.3, 1, size=5))
    v = x[0] + PLACES * (x[-1] - x[0])
    for extrapolate, nu in itertools.product((True, False, "periodic"), (0, 1, 5)):
        want = scipy.interpolate.PPoly(c, x, extrapolate)(v, nu)
        agrees(interpolate.PPoly(c, x, extrapolate)(v, nu), want)
    agrees(interpolate.PPoly(c + 1j, x)(v), scipy.interpolate.PPoly(c + 1j, x)(v))
    go.gradcheck(go.compile(lambda c, x: interpolate.PPoly(c, x)(v)), (c, x), order=2)


# -- Lines and steps ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    ["linear", "slinear", "nearest", "nearest-up", "zero", "previous", "next", "quadratic",
     "cubic", 0, 3],
)  # fmt: skip
def test_functions_through_samples(kind: Any) -> None:
    x, y, v = data("interp1d", 7, 1)
    order = RNG.permutation(7)
    v = np.concatenate([v.ravel(), x, (x[1:] + x[:-1]) / 2])
    for fill in ("extrapolate", (1.0, 2.0), 0.5):
        rest: Any = {"kind": kind, "axis": 1, "fill_value": fill, "bounds_error": False}
        got = interpolate.interp1d(x[order], y[:, order], **rest)(v)
        agrees(got, scipy.interpolate.interp1d(x[order], y[:, order], **rest)(v), 1e-8)
    assert np.isnan(interpolate.interp1d(x, x, kind)(np.nan))


def test_derivatives_of_functions_through_samples() -> None:
    x, y, v = data("interp1d", 5)
    for kind in ("linear", "quadratic"):

        def f(x: Any, y: Any, v: Any, kind: str = kind) -> Any:
            return np.sin(interpolate.interp1d(x, y, kind, fill_value="extrapolate")(v))

        go.gradcheck(go.compile(f), (x, y[:, 0, 0], v[0]), order=2, rtol=1e-4, atol=1e-5)
    go.gradcheck(lambda y: interpolate.interp1d(x, y, "nearest")(v[0, 1:]), (y[:, 0, 0],))


# -- B-splines ---------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [0, 3])
def test_sums_of_splines(k: int) -> None:
    t = np.sort(RNG.uniform(size=8 + k))
    for axis in (0, 1) if k else (0,):
        c = np.moveaxis(RNG.normal(size=(7, 2, 3)), 0, axis)
        got = interpolate.BSpline(t, c, k, axis=axis)
        want = scipy.interpolate.BSpline(t, c, k, axis=axis)
        v = np.concatenate([RNG.uniform(-0.1, 1.1, size=5), t[k:8]])
        scale = np.abs(want(v)).max()
        for nu in (0, 1, k, k + 1):
            agrees(got(v, nu) / scale, want(v, nu) / scale, 1e-7)
        agrees(got(v, 0, False), want(v, 0, False), 1e-8)
        v = np.clip(v, t[k], t[7])
        agrees(got.antiderivative()(v), want.antiderivative()(v))
        agrees(got.integrate(t[k], 0.7), want.integrate(t[k], 0.7))
        agrees(got.integrate(-0.5, 0.8, False), want.integrate(-0.5, 0.8, False))
        if k:
            agrees(got.derivative()(v), want.derivative()(v), 1e-7)


def test_knots_that_coincide() -> None:
    t = np.array([0.0, 0, 0, 0, 1, 1, 2, 3, 3, 3, 3])
    c, v = RNG.normal(size=7), np.array([0.0, 0.3, 1.0, 1.5, 2.9, 3.0])
    got, want = interpolate.BSpline(t, c, 3), scipy.interpolate.BSpline(t, c, 3)
    for nu in (0, 1, 2):
        agrees(got(v, nu), want(v, nu))
    go.gradcheck(lambda c, v: interpolate.BSpline(t, c, 3)(v), (c, v[1:2]), order=2)
    knots = np.sort(RNG.uniform(size=9))
    go.gradcheck(lambda t: interpolate.BSpline(t, c[:6], 2)(np.array([0.4, 0.6])), (knots,))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_splines_through_samples(k: int) -> None:
    x, y, _ = data("spline", 9, 1)
    got = interpolate.make_interp_spline(x, y, k, axis=1)
    want = scipy.interpolate.make_interp_spline(x, y, k, axis=1)
    agrees(got.t, want.t)
    agrees(got.c, want.c, 1e-7)
    agrees(got(x), np.moveaxis(y, 1, 1), 1e-7)
    given = interpolate.make_interp_spline(x, y, k, t=want.t, axis=1)
    agrees(given.c, want.c, 1e-7)
    made = go.compile(lambda x, y: interpolate.make_interp_spline(x, y, k)(x[1:4] + 0.1))
    go.gradcheck(made, (x, y[0, :, 0]))


def test_values_of_fitpack() -> None:
    x = np.linspace(0, 3, 12)
    tck = scipy.interpolate.splrep(x, np.sin(x))
    v = np.linspace(-0.2, 3.2, 9)
    for der, ext in ((0, 0), (0, 1), (0, 3), (1, 0), (2, 1)):
        got = interpolate.splev(v, tck, der, ext)
        agrees(got, scipy.interpolate.splev(v, tck, der, ext), 1e-8)


# -- Grids -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["linear", "nearest"])
def test_grids(method: Any) -> None:
    for d in (1, 3):
        grid = [np.cumsum(RNG.uniform(0.3, 1, size=n)) for n in (4, 5, 3)[:d]]
        values = RNG.normal(size=(*(4, 5, 3)[:d], 2))
        inside = np.stack([RNG.uniform(g[0], g[-1], size=(3, 4)) for g in grid], -1)
        wide = np.stack([RNG.uniform(g[0] - 0.3, g[-1] + 0.3, size=(3, 4)) for g in grid], -1)
        cases: list[tuple[Any, dict[str, Any]]] = [
            (inside, {}),
            (wide, {"bounds_error": False}),
            (wide, {"bounds_error": False, "fill_value": None}),
            (wide, {"bounds_error": False, "fill_value": 2.5}),
        ]
        for places, rest in cases:
            got = interpolate.RegularGridInterpolator(grid, values, method, **rest)
            want = scipy.interpolate.RegularGridInterpolator(grid, values, method, **rest)
            agrees(got(places), want(places))
            agrees(got(places[0, 0]), want(places[0, 0]))
        agrees(
            interpolate.interpn(grid, values, inside, method),
            scipy.interpolate.interpn(grid, values, inside, method),
        )
        if d > 1:
            parts = tuple(np.moveaxis(inside, -1, 0))
            got = interpolate.RegularGridInterpolator(grid, values, method)
            agrees(got(parts), got(inside))


def test_derivatives_of_grids() -> None:
    grid = (np.array([0.0, 0.4, 1.0]), np.array([0.0, 0.7, 1.0]))
    values, places = RNG.normal(size=(3, 3)), np.array([[0.2, 0.3], [0.5, 0.8]])

    def f(x: Any, y: Any, values: Any, places: Any) -> Any:
        return np.sin(interpolate.RegularGridInterpolator((x, y), values)(places))

    go.gradcheck(go.compile(f), (*grid, values, places), order=2, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["slinear", "cubic", "quintic"])
def test_splines_on_grids(method: Any) -> None:
    edges = np.array([0, 0.3, 0.7, 1.1, 1.6, 2.2])
    grid = (edges, np.sqrt(edges), edges**2)
    values = RNG.normal(size=(6, 6, 6, 2))
    places = np.array([[0.1, 0.4, 2.0], [1.2, 1.3, 0.2], [2.3, 0.5, 0.1]])
    # By itself, SciPy iterates to a tolerance.
    exact = scipy.sparse.linalg.spsolve
    for fill in (0.5, None):
        rest: dict[str, Any] = {"method": method, "bounds_error": False, "fill_value": fill}
        got = interpolate.RegularGridInterpolator(grid, values, **rest)(places)
        theirs = scipy.interpolate.RegularGridInterpolator(grid, values, solver=exact, **rest)
        np.testing.assert_allclose(got, theirs(places), 1e-8, 1e-9)

    def f(x: Any, values: Any, places: Any) -> Any:
        made = interpolate.RegularGridInterpolator((x, grid[1]), values, method=method)
        return np.sum(np.sin(made(places)))

    if method == "cubic":  # The degree is a number to all others, too.
        args = edges, values[..., 0, 0], places[:2, :2]
        go.gradcheck(go.compile(f), args, argnums=(0, 1, 2))
    with pytest.raises(ShapeError, match=f"method '{method}' needs . places or more"):
        interpolate.RegularGridInterpolator((edges[:1],), edges[:1], method="nearest")(
            [[0]], method
        )


# -- SciPy's own objects -----------------------------------------------------------------------


def test_in_the_users_code() -> None:
    """Made inside of traced functions, and outside, of known numbers."""
    x = np.linspace(0, 3, 8)
    y, v = np.sin(x), np.array([0.3, 1.7, 2.9])
    made: list[Any] = [
        scipy.interpolate.CubicSpline(x, y),
        scipy.interpolate.PchipInterpolator(x, y),
        scipy.interpolate.Akima1DInterpolator(x, y),
        scipy.interpolate.interp1d(x, y, "cubic"),
        scipy.interpolate.interp1d(x, y, "linear", fill_value=2.0, bounds_error=False),
        scipy.interpolate.make_interp_spline(x, y, 3),
        scipy.interpolate.RegularGridInterpolator((x,), y),
    ]
    spline = made[0]

    def evaluate(v: Any) -> Any:
        return np.stack([f(v) for f in made] + [spline.derivative()(v), spline(v, 1)])

    agrees(go.compile(evaluate)(v), evaluate(v))

    def through(y: Any) -> Any:
        return np.sum(scipy.interpolate.CubicSpline(x, y)(v)) + scipy.interpolate.CubicSpline(
            x, y
        ).integrate(0, 2)

    got, step = go.compile_grad(through)(y), 1e-6 * np.eye(8)
    want = [(through(y + s) - through(y - s)) / 2e-6 for s in step]
    np.testing.assert_allclose(got, want, atol=1e-8)


def test_errors() -> None:
    x, y, text = np.arange(4.0), np.ones(4), "other"
    kind: Any = text
    spline, line = interpolate.CubicSpline, interpolate.interp1d
    grid = interpolate.RegularGridInterpolator
    for call, error, message in [
        (lambda: spline(x[:3], y), ShapeError, r"shapes are \(3,\) and \(4,\)"),
        (lambda: spline(x[::-1], y), ArgumentError, "strictly increasing"),
        (lambda: go.compile(spline(x, y).__call__)(1j), UnsupportedError, "complex numbers"),
        (lambda: spline(x, y, bc_type=kind), ArgumentError, "bc_type='other' is not allowed"),
        (lambda: spline(x, y, bc_type=((3, 0.0), "natural")), ArgumentError, "must be 1 or 2"),
        (lambda: spline(x, x, bc_type="periodic"), ArgumentError, "must be identical"),
        (lambda: spline(x, y, bc_type=("periodic", "natural")), ArgumentError, "both curve ends"),
        (lambda: spline(x, y)(x, -1), ArgumentError, "derivative cannot be negative"),
        (lambda: interpolate.PPoly(np.ones((2, 4)), x), ShapeError, r"\(k \+ 1, m, ...\)"),
        (lambda: interpolate.Akima1DInterpolator(x, y, method=kind), ArgumentError, "akima"),
        (lambda: line(x, y, kind), UnsupportedError, "kind='other'.*one of linear"),
        (lambda: line(x, y)(4.5), ArgumentError, "outside of the interpolation range"),
        (lambda: line(x, y[:2]), ShapeError, "a sample of y for each place"),
        (
            lambda: line(x, y, bounds_error=True, fill_value="extrapolate"),
            ArgumentError,
            "extrapolate and raise",
        ),
        (lambda: interpolate.BSpline(x, y, 3), ShapeError, "need n . 4 knots"),
        (lambda: interpolate.BSpline(x, y, -1), ArgumentError, "cannot be negative"),
        (lambda: interpolate.make_interp_spline(x, y, bc_type=text), UnsupportedError, "bc_type"),
        (lambda: grid((x,), y[:3]), ShapeError, r"have shape \(3,\)"),
        (lambda: grid((x,), y, kind), UnsupportedError, "method='other'.*use 'linear'"),
        (lambda: grid((x,), y)([4.5]), ArgumentError, "out of bounds in dimension 0"),
        (lambda: grid((x[::-1],), y)([1.5]), ArgumentError, "strictly ascending"),
    ]:
        with pytest.raises(error, match=message):
            call()
    compiled = go.compile(lambda v: line(x, y)(v))
    compiled(1.5)
    with pytest.raises(ArgumentError, match="outside of the interpolation range"):
        compiled(3.5)


@pytest.mark.slow
def test_surfaces() -> None:
    x, y = np.cumsum(RNG.uniform(0.3, 1, size=6)), np.cumsum(RNG.uniform(0.3, 1, size=5))
    z = RNG.normal(size=(6, 5))
    u, v = np.linspace(x[0] - 0.2, x[-1] + 0.2, 7), np.linspace(y[0], y[-1], 4)
    for degrees in ((3, 3),):
        rest: dict[str, Any] = dict(zip(("kx", "ky"), degrees, strict=True))
        ours = interpolate.RectBivariateSpline(x, y, z, **rest)
        theirs = scipy.interpolate.RectBivariateSpline(x, y, z, **rest)
        agrees(ours(u, v), theirs(u, v))
        agrees(ours.ev(u[:, None], v), theirs.ev(u[:, None], v))
        agrees(ours(u[1:-1], v, dx=2), theirs(u[1:-1], v, dx=2))
        agrees(ours(0.5 * (x[0] + x[1]), y[1], grid=False), theirs.ev(0.5 * (x[0] + x[1]), y[1]))
        got = go.compile(lambda p: theirs.ev(p, v[1]))(u)  # noqa: B023
        agrees(got, theirs.ev(u, v[1]))

    def at(z: Any, u: Any, v: Any) -> Any:
        return scipy.interpolate.RectBivariateSpline(x, y, z).ev(u, v)

    # In the middle: at an edge, differences see both sides.
    go.gradcheck(at, (z, u[2:4], v[1:3]), argnums=(0, 1, 2))
    smooth = interpolate.RectBivariateSpline(x, y, z)
    go.gradcheck(smooth.ev, (u[2:4], v[1:3]), argnums=(0, 1), order=2)
    with pytest.raises(UnsupportedError, match="keyword s="):
        interpolate.RectBivariateSpline(x, y, z, s=0.5)
    with pytest.raises(ShapeError, match=r"z must have shape \(6, 5\)"):
        interpolate.RectBivariateSpline(x, y, z.T)


@pytest.mark.parametrize("name", ["krogh_interpolate", "barycentric_interpolate"])
def test_several_derivatives_of_a_polynomial(name: str) -> None:
    places, values = np.array([0.0, 0.4, 1.1, 1.5, 2.0]), RNG.normal(size=(5, 2))
    at, orders = np.array([0.3, 1.7]), [0, 2, 1]
    theirs = getattr(scipy.interpolate, name)
    want = theirs(places, values, at, der=orders)
    got = getattr(interpolate, name)(places, values, at, der=orders)
    np.testing.assert_allclose(got, want, 1e-10, 1e-12)
    compiled = go.compile(lambda y: theirs(places, y, at, der=orders))
    np.testing.assert_allclose(compiled(values), want, 1e-10, 1e-12)
    go.gradcheck(
        lambda y, x: np.sum(theirs(places, y, x, der=orders) ** 2), (values, at), argnums=(0, 1)
    )


def test_nothing_is_nearest_to_what_is_not_finite() -> None:
    points, values = np.array([[0, 0], [1, 0], [0, 1], [1, 1.0]]), np.arange(1.0, 5)
    at = np.array([[np.nan, 0], [np.inf, 0], [0, -np.inf], [0.9, 0.1]])
    found = go.compile(lambda v: scipy.interpolate.griddata(points, v, at, "nearest"))(values)
    np.testing.assert_array_equal(found, [np.nan, np.nan, np.nan, 2])
