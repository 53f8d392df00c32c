# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Algebra of the series of numpy.polynomial, its classes, and numpy.poly1d: as NumPy's.

NumPy leaves out coefficients at the end that are zero; those here are not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy import polynomial as P
from test_breadth import agrees, same, total
from test_fits import FAMILIES

import gradopt as go
from gradopt.errors import (
    ElementError,
    GradoptError,
    LinAlgError,
    ShapeError,
    UnsupportedError,
    ZeroDivisorError,
)

RNG = np.random.default_rng(11)
C = RNG.normal(size=4) + 2.0
D = RNG.normal(size=3) - 2.0
X = RNG.uniform(-0.9, 0.9, 5)
CLASSES = [P.Polynomial, P.Chebyshev, P.Legendre, P.Hermite, P.HermiteE, P.Laguerre]


@pytest.mark.parametrize("name", FAMILIES)
def test_algebra(name: str) -> None:
    """Of two traced series, one of which is longer; and in all orders of derivatives."""
    f = {
        part: getattr(FAMILIES[name], name + part)
        for part in ("add", "sub", "mulx", "mul", "div", "pow", "fromroots", "line")
    }

    def products(c: Any, d: Any) -> Any:
        return (
            *(f["mul"](c, d), f["mul"](d, c), f["mul"](d, [2.0]), f["mulx"](c), f["pow"](d, 3)),
            *(f["pow"](d, 0), f["pow"](d, 1), f["add"](c, d), f["sub"](d, c), f["add"](c, 1.0)),
        )

    def others(c: Any, d: Any) -> Any:
        rest = f["div"](c, d), f["div"](d, c), f["div"](c, d[:1]), f["div"]([1.0, 2.0, 3.0, 4.0], d)
        return *sum(rest, ()), f["fromroots"](d), f["fromroots"](c[:0]), f["line"](c[0], c[1])

    agrees(products, C, D, order=2 if name in ("poly", "cheb") else 1)
    same(go.compile(others)(C, D), others(C, D))
    go.gradcheck(lambda c, d: total(others(c, d)), (C, D), argnums=(0, 1))
    agrees(products, np.array([1, 2, 3]), np.array([4, 5]), order=0)
    agrees(lambda c, d: (f["mul"](c, d), *f["div"](c, d)), C + 1j * C[::-1], D * 1j, order=0)


@pytest.mark.parametrize("name", FAMILIES)
def test_derivatives_and_integrals(name: str) -> None:
    der, integral = (getattr(FAMILIES[name], name + part) for part in ("der", "int"))
    agrees(
        lambda c: (
            *(der(c), der(c, 2, 3.0), der(c, 0), der(c, 7), der(c[:1])),
            *(integral(c), integral(c, 2, [1.0, c[0]], lbnd=0.3, scl=2.0), integral(c[:1], k=2.0)),
        ),
        C,
    )
    agrees(lambda m: (der(m, axis=1), integral(m, axis=1, lbnd=-1), der(m)), np.outer(D, C))
    agrees(lambda c: (der(c), integral(c)), np.array([1, 2, 3, 4]), order=0)
    for f, message in [
        (lambda c: der(c, -1), "must be non-negative"),
        (lambda c: integral(c, -1), "must be non-negative"),
        (lambda c: integral(c, 1, [1, 2]), "Too many integration constants"),
    ]:
        with pytest.raises(ElementError, match=message):
            go.compile(f)(C)
    with pytest.raises(TypeError, match="order of derivation must be an integer"):
        go.compile(lambda c: der(c, 1.5))(C)


@pytest.mark.parametrize("name", FAMILIES)
def test_roots_matrices_and_other_bases(name: str) -> None:
    module = FAMILIES[name]
    roots, companion = getattr(module, f"{name}roots"), getattr(module, f"{name}companion")
    on2, on3 = getattr(module, f"{name}vander2d"), getattr(module, f"{name}vander3d")
    agrees(lambda c: (companion(c), companion(c[:2])), C)
    agrees(lambda c: (roots(c[:2]), roots(c[:1])), C)
    c = getattr(module, f"{name}fromroots")([0.3, 1.2, -0.7])
    np.testing.assert_allclose(go.compile(roots)(c), np.sort_complex(roots(c)), 1e-9)
    agrees(lambda c: np.real(roots(c)), c)
    agrees(lambda x, y: (on2(x, y, [2, 1]), on3(x, y, x * y, [1, 0, 2])), X, X[::-1] + 0.1)
    if name != "poly":
        there, back = getattr(module, f"poly2{name}"), getattr(module, f"{name}2poly")
        agrees(lambda c: (there(c), back(c), there(c[:1]), back(c[:2])), C)
    with pytest.raises(LinAlgError, match="leading coefficient is zero"):
        go.compile(roots)(np.append(C, 0.0))
    with pytest.raises(ElementError, match="maximum degree of at least 1"):
        go.compile(companion)(C[:1])


def _all_methods(cls: Any, c: Any, x: Any) -> Any:
    p, q = cls(c, domain=[-2, 3]), cls(D, domain=[-2, 3])
    series = (
        *(p * q, q * p, p + q, q - p, p - q, p**3, p // q, p % q, *divmod(p, 2.0), -p, p.copy()),
        *(
            2 * p + 1 - p / 3,
            1.0 - p,
            q * c[0],
            c[0] * q + c[1],
            c[0] - q,
            q // cls(c[:2], [-2, 3]),
        ),
        *(p.deriv(2), p.integ(2, k=[1, 2], lbnd=0.5), p.cutdeg(2), p.truncate(2), p.truncate(9)),
        *(p.convert(), p.convert(kind=P.Polynomial), p.convert(kind=P.Legendre, domain=[0, 1])),
        *(cls.cast(P.Polynomial(c)), cls.fromroots(c), cls.fromroots(c, domain=None)),
        *(cls.fit(x, c[:1] * np.sin(x), 2), cls.fit(X, np.sin(x), 2, domain=[], w=x**2 + 1)),
    )
    numbers = (
        p(x),
        q(x),
        (p + cls.basis(3, domain=[-2, 3]))(0.2),
        *p.linspace(4),
        len(p),
        p.degree(),
    )
    bools = p == q, p == p, p != q, p == 3, p.has_samecoef(q), p.has_samedomain(q)
    return series, numbers, bools, list(p)


@pytest.mark.parametrize("cls", CLASSES)
def test_classes(cls: Any) -> None:
    expected = _all_methods(cls, C, X)
    series, *others = go.compile(lambda c, x: _all_methods(cls, c, x))(C, X)
    for ours, numpys in zip(series, expected[0], strict=True):
        assert type(ours) is type(numpys)
        for name in ("coef", "domain", "window"):
            np.testing.assert_allclose(getattr(ours, name), getattr(numpys, name), 1e-9, 1e-9)
    for ours, numpys in zip(others, expected[1:], strict=True):
        same(tuple(ours), tuple(numpys))

    def loss(c: Any, x: Any) -> Any:
        p, q = cls(c, domain=[-2, 3]), cls(D, domain=[-2, 3])
        fitted = cls.fit(x, c[0] * np.sin(x), 2)
        return np.sum(
            (p * q // cls(c[:2], [-2, 3])).deriv().convert(kind=P.Chebyshev)(x) * fitted(x)
        )

    # The classes share what they do with coefficients.
    go.gradcheck(loss, (C, X), argnums=(0, 1), order=2 if cls is P.Legendre else 1)


def test_series_are_pytrees() -> None:
    """As arguments, results, and gradients."""
    p = P.Chebyshev(C, domain=[0, 2], symbol="t")
    value, gradient = go.compile_value_and_grad(lambda p, x: p(x) ** 2)(p, 0.3)
    assert type(gradient) is P.Chebyshev
    assert gradient.symbol == "t"
    np.testing.assert_array_equal(gradient.domain, [0, 2])
    np.testing.assert_allclose(gradient.coef, 2 * p(0.3) * P.chebyshev.chebvander(-0.7, 3)[0])
    np.testing.assert_allclose(value, p(0.3) ** 2)
    made = go.compile(lambda p: {"d": p.deriv()})(p)["d"]
    np.testing.assert_allclose(made.coef, p.deriv().coef)
    line = np.poly1d([1.0, 2.0, 3.0], variable="t")
    slope = go.compile(lambda q, x: (q.deriv(), q(x)))(np.poly1d(line), 2.0)
    same((slope[0].coeffs, slope[1]), (line.deriv().coeffs, line(2.0)))
    assert (type(slope[0]), slope[0].variable) == (np.poly1d, "t")


def _poly1d(c: Any, x: Any) -> Any:
    p, q = np.poly1d(c), np.poly1d(D)
    return (
        *(p(x), (p * q).c, (q * p).coeffs, (p + q).c, (q - p).c, (p - 1).c, (2 * p).c, (p / 2.0).c),
        *((p**2)(x), (p**0).c, p.deriv().coef, p.integ(k=2.0).c, p[1], p[9]),
        *(
            p(q)(x),
            (-p).c,
            (p / q)[0].c,
            (3.0 - p).c,
            np.array(p == p),
            np.array(p != q),
            np.sort(np.abs(p.r)),
        ),
        np.array([p.order, p.o, len(p)]),
        *(np.poly1d(c, True).c, np.poly1d(p)(x), list(p)),
    )


def test_poly1d() -> None:
    agrees(_poly1d, C, X)
    with pytest.raises(ShapeError, match="must be 1d only"):
        go.compile(lambda c: np.poly1d(c.reshape(2, 2))(1.0))(C)
    with pytest.raises(ElementError, match="non-negative integers only"):
        go.compile(lambda c: (np.poly1d(c) ** -1).c)(C)


def test_names_alone_do_not_tell() -> None:
    """A function that calls nothing but what looks like NumPy's own is rewritten, too."""
    same(go.compile(lambda c: P.polynomial.polymul(c, c))(C), P.polynomial.polymul(C, C))
    same(go.compile(P.legendre.legmul)(C, D), P.legendre.legmul(C, D))
    same(go.compile(P.Legendre(C))(X), P.Legendre(C)(X))


def test_without_rewriting_messages_do_not_depend_on_what_was_called_before() -> None:
    """`gradopt.numpy` has no classes, and no functions of numpy.polynomial, to be advised."""
    for f, name in [
        (lambda c: np.poly1d(c)(2.0), "numpy.poly1d"),
        (lambda c: P.polynomial.polymul(c, c), "numpy.polynomial.polynomial.polymul"),
    ]:
        go.compile(f)(C)
        with pytest.raises(UnsupportedError, match=f"^{name} is not supported on traced arrays"):
            go.compile(f, capture="trace")(C)


@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        (lambda c: P.Polynomial(c) + P.Chebyshev(c), TypeError, "Polynomial types differ"),
        (lambda c: P.Polynomial(c) + P.Polynomial(c, [0, 1]), TypeError, "Domains differ"),
        (lambda c: P.Polynomial(c) + P.Polynomial(c, window=[0, 1]), TypeError, "Windows differ"),
        (lambda c: P.Polynomial(c) * P.Polynomial(D, symbol="t"), ValueError, "symbols differ"),
        (lambda c: P.Polynomial(c, domain=[0, 1, 2]), ShapeError, "Domain has wrong number"),
        (lambda c: P.Polynomial(c, symbol="1"), ValueError, "valid Python identifier"),
        (lambda c: P.Polynomial(c.reshape(2, 2)), ShapeError, "not 1-d"),
        (lambda c: P.Polynomial(c[:0]), ShapeError, "is empty"),
        (lambda c: P.Polynomial(c) / P.Polynomial(c), TypeError, "true division"),
        (lambda c: P.Polynomial(c).trim(), UnsupportedError, "use truncate or cutdeg"),
        (lambda c: P.polynomial.polytrim(c), UnsupportedError, "use truncate or cutdeg"),
        (lambda c: str(P.Polynomial(c)), UnsupportedError, "write its coef"),
        (lambda c: P.Polynomial(c)(P.Polynomial(c)), UnsupportedError, "of a series"),
        (lambda c: P.polynomial.polypow(c, -1), ElementError, "non-negative integer"),
        (lambda c: P.chebyshev.chebpow(c, 17), ElementError, "too large"),
        (lambda c: P.polynomial.polydiv(C, c * 0), ZeroDivisorError, "divisor is zero"),
        (lambda c: P.polynomial.polyvander2d(c, c[:2], [1, 1]), ShapeError, "incompatible"),
        (lambda c: P.polynomial.polyvander2d(c, c, [1]), ElementError, "2 dimensions"),
    ],
)
def test_what_cannot_be(f: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        go.compile(f)(C)
    assert not isinstance(raised.value, GradoptError) or "test_series.py" in str(raised.value)


def test_sliding_windows() -> None:
    view = np.lib.stride_tricks.sliding_window_view
    m = np.outer(D, C)
    agrees(
        lambda x, m: (
            view(x, 3).mean(-1),
            view(m, (2, 3)),
            view(m, 2, axis=0),
            view(x, 5),
            view(x, 0),
        ),
        X,
        m,
    )
    agrees(lambda m: view(m, (2, 2), axis=(1, 1)), m)
    for f, message in [
        (lambda x: view(x, 6), "cannot be larger"),
        (lambda x: view(x, -1), "cannot contain negative"),
        (lambda x: view(x, (2, 2)), "matching length"),
    ]:
        with pytest.raises(ShapeError, match=message):
            go.compile(f)(X)


def test_names_of_python_that_numpy_had_do_not_warn(recwarn: Any) -> None:
    """`np.str` gives a warning."""
    go.compile(lambda x: x * len(str(3)))(1.0)
    assert not recwarn.list
