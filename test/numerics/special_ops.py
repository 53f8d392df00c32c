# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The table of special functions: every op of dialect/GradSpecial.td, by mpmath and by SciPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np
import scipy.special as sp

Number = Any
Interval = tuple[float, float]


@dataclass(frozen=True)
class Special:
    """One special function.

    Attributes:
        op: its mnemonic.
        exact: the function of mpmath's numbers; its derivatives are those of the op.
        points: where values and derivatives are compared with it.
        scipy: SciPy's function, or the op's meaning in terms of it; None where SciPy has none.
        domain: where values are compared with SciPy's, an interval for each operand.
        fixed: operands without derivative.
        order: of the derivatives that there are.
        rtol: of values, where SciPy or the function itself is not that accurate.
        whole: operands that are integers.
    """

    op: str
    exact: Callable[..., Number]
    points: Sequence[tuple[float, ...]]
    scipy: Callable[..., Any] | None = None
    domain: Sequence[Interval] = ()
    fixed: Sequence[int] = ()
    order: int = 2
    rtol: float = 2e-13
    whole: Sequence[int] = ()

    @property
    def active(self) -> list[int]:
        """The operands with a derivative."""
        return [i for i in range(len(self.points[0])) if i not in self.fixed]


def unary(
    op: str, exact: Any, scipy: Any, domain: Interval, *points: float, **options: Any
) -> Special:
    """A row of a function of one operand."""
    return Special(op, exact, [(x,) for x in points], scipy, [domain], **options)


def log_gamma(x: Number) -> Number:
    return mp.log(abs(mp.gamma(x)))


def lower(a: Number, x: Number) -> Number:
    return mp.gammainc(a, 0, x, regularized=True)


def upper(a: Number, x: Number) -> Number:
    return mp.gammainc(a, x, mp.inf, regularized=True)


def beta_below(p: Number, q: Number, x: Number) -> Number:
    return mp.betainc(p, q, 0, x, regularized=True)


def gamma_density(a: Number, x: Number) -> Number:
    return x ** (a - 1) * mp.exp(-x) * mp.rgamma(a)


def beta_density(p: Number, q: Number, x: Number) -> Number:
    return x ** (p - 1) * (1 - x) ** (q - 1) / mp.beta(p, q)


def inverse(function: Any, start: Any) -> Any:
    """The root x of `function(*shapes, x) = value`, from where SciPy has it."""

    def solve(*operands: Number) -> Number:
        *shapes, value = operands
        guess = float(start(*map(float, operands)))
        return mp.findroot(lambda x: function(*shapes, x) - value, (guess, guess * (1 + 1e-6)))

    return solve


def derivative(function: Any, *orders: int) -> Any:
    """A derivative in the first operands."""

    def at(*operands: Number) -> Number:
        wanted = tuple(orders) + (0,) * (len(operands) - len(orders))
        return mp.diff(function, operands, wanted)

    return at


def normal(x: Number) -> Number:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def dawson(x: Number) -> Number:
    return mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x)


def owens(h: Number, a: Number) -> Number:
    def height(t: Number) -> Number:
        return mp.exp(-h * h * (1 + t * t) / 2) / (1 + t * t)

    return mp.quad(height, [0, a]) / (2 * mp.pi)


def ellip_d(x: Number) -> Number:
    return (mp.ellipk(1 - x) - mp.ellipe(1 - x)) / (1 - x)


def amplitude(u: Number, m: Number) -> Number:
    # Newton's method from afar may end at another root of a steep function.
    return mp.findroot(lambda phi: mp.ellipf(phi, m) - u, float(sp.ellipj(float(u), float(m))[3]))


def student(df: Number, t: Number) -> Number:
    tail = beta_below(df / 2, mp.mpf(1) / 2, df / (df + t * t)) / 2
    return 1 - tail if t > 0 else tail


def spherical(name: str) -> Any:
    """A spherical Bessel function."""
    base = {"j": mp.besselj, "y": mp.bessely, "i": mp.besseli, "k": mp.besselk}[name]
    return lambda n, x: mp.sqrt(mp.pi / (2 * x)) * base(n + mp.mpf(1) / 2, x)


def scaled(function: Any, sign: int) -> Any:
    """A Bessel function times an exponential."""
    return lambda v, x: function(v, x) * mp.exp(sign * x)


def of_order(function: Any, order: int) -> Any:
    """A function of one operand: one of a fixed order."""
    return lambda x: function(mp.mpf(order), x)


def bessel(op: str, exact: Any, scipy: Any) -> Special:
    points = [(0.3, 0.7), (2.5, 4.0), (1.0, 11.5), (7.0, 3.0)]
    return Special(op, exact, points, scipy, [(0, 12), (0.01, 40)], fixed=[0], rtol=5e-12)


def spherical_row(kind: str, scipy: Any) -> Special:
    points = [(0.0, 0.6), (1.0, 2.5), (3.0, 9.0)]
    whole = Special(
        f"spherical_{kind}n",
        spherical(kind),
        points,
        lambda n, x: scipy(n.astype(int), x),
        [(0, 9), (0.05, 30)],
        fixed=[0],
        rtol=1e-11,
        whole=[0],
    )
    return whole


HALF_E = float(np.exp(-1))

GAMMA = [
    unary("gamma", mp.gamma, sp.gamma, (-20, 170), 0.3, 4.5, -2.7, 30.0),
    unary("gammaln", log_gamma, sp.gammaln, (0, 1e5), 0.3, 1.25, 7.5, 400.0, -1.3),
    unary("psi", lambda x: mp.psi(0, x), sp.psi, (1.5, 1e5), 0.3, 5.5, 90.0, -1.3),
    unary(
        "trigamma", lambda x: mp.psi(1, x), lambda x: sp.polygamma(1, x), (0, 1e4), 0.3, 6.5, -1.3
    ),
    Special(
        "polygamma",
        lambda n, x: mp.psi(int(n), x),
        [(1.0, 0.4), (2.0, 3.5), (5.0, 12.0)],
        lambda n, x: sp.polygamma(n.astype(int), x),
        [(0, 9), (0.1, 40)],
        fixed=[0],
        rtol=2e-12,
        whole=[0],
    ),
    # SciPy's beta loses digits where an operand is large.
    Special(
        "beta", mp.beta, [(0.4, 1.3), (3.5, 2.0), (20.0, 0.7)], sp.beta, [(0.01, 30), (0.01, 30)]
    ),
    Special(
        "betaln",
        lambda p, q: mp.log(mp.beta(p, q)),
        [(0.4, 1.3), (3.5, 2.5), (4e3, 0.7)],
        sp.betaln,
        [(0.01, 0.9), (0.01, 0.9)],
    ),
    Special(
        "zeta", mp.zeta, [(1.5, 0.7), (3.0, 2.2), (9.0, 14.0)], sp.zeta, [(1.05, 30), (0.05, 40)]
    ),
    Special(
        "zeta_ds", derivative(mp.zeta, 1), [(1.5, 0.7), (3.0, 2.2), (0.4, 1.0)], fixed=[1], order=1
    ),
    Special("zeta_dss", derivative(mp.zeta, 2), [(1.5, 0.7), (3.0, 2.2), (-1.7, 1.0)], order=0),
    unary("riemann_zeta", mp.zeta, sp.zeta, (1.05, 40), 1.5, 4.0, 0.3, -1.7, rtol=1e-12),
]

INCOMPLETE = [
    Special(
        "gammainc",
        lower,
        [(0.4, 0.7), (3.0, 1.2), (2.5, 9.0), (40.0, 38.0)],
        sp.gammainc,
        [(0.01, 60), (0, 90)],
        rtol=1e-12,
    ),
    Special(
        "gammaincc",
        upper,
        [(0.4, 0.7), (3.0, 1.2), (2.5, 9.0), (40.0, 38.0)],
        sp.gammaincc,
        [(0.01, 60), (0, 90)],
        rtol=1e-12,
    ),
    Special(
        "gammaincinv",
        inverse(lower, sp.gammaincinv),
        [(0.8, 0.3), (3.0, 0.6), (12.0, 0.05)],
        sp.gammaincinv,
        [(0.3, 60), (0.001, 0.999)],
        rtol=1e-11,
    ),
    Special(
        "gammainccinv",
        inverse(upper, sp.gammainccinv),
        [(0.8, 0.3), (3.0, 0.6), (12.0, 0.05)],
        sp.gammainccinv,
        [(0.3, 60), (0.001, 0.999)],
        rtol=1e-11,
    ),
    Special("gammainc_dx", gamma_density, [(0.4, 0.7), (3.0, 1.2), (2.5, 9.0)]),
    Special(
        "gammainc_da",
        derivative(lower, 1),
        [(0.4, 0.7), (3.0, 1.2), (2.5, 9.0), (30.0, 28.0)],
        order=1,
    ),
    Special("gammainc_daa", derivative(lower, 2), [(0.4, 0.7), (2.5, 9.0)], fixed=[0], order=1),
    Special(
        "betainc",
        beta_below,
        [(0.6, 1.3, 0.2), (3.0, 2.0, 0.7), (20.0, 15.0, 0.55)],
        sp.betainc,
        [(0.05, 40), (0.05, 40), (0, 1)],
        rtol=2e-12,
    ),
    Special(
        "betaincc",
        lambda p, q, x: 1 - beta_below(p, q, x),
        [(0.6, 1.3, 0.2), (3.0, 2.0, 0.7), (20.0, 15.0, 0.55)],
        sp.betaincc,
        [(0.05, 40), (0.05, 40), (0, 1)],
        rtol=2e-12,
    ),
    Special(
        "betaincinv",
        inverse(beta_below, sp.betaincinv),
        [(0.6, 1.3, 0.2), (3.0, 2.0, 0.7)],
        sp.betaincinv,
        [(0.3, 40), (0.3, 40), (0.001, 0.999)],
        rtol=1e-11,
    ),
    Special(
        "betainccinv",
        inverse(lambda p, q, x: 1 - beta_below(p, q, x), sp.betainccinv),
        [(0.6, 1.3, 0.2), (3.0, 2.0, 0.7)],
        sp.betainccinv,
        [(0.3, 40), (0.3, 40), (0.001, 0.999)],
        rtol=1e-11,
    ),
    Special("betainc_dx", beta_density, [(0.6, 1.3, 0.2), (3.0, 2.0, 0.7), (0.25, 0.75, 0.4)]),
    Special("betainc_dp", derivative(beta_below, 1), [(0.6, 1.3, 0.2), (3.0, 2.0, 0.7)], order=1),
    Special(
        "betainc_dq", derivative(beta_below, 0, 1), [(0.6, 1.3, 0.2), (3.0, 2.0, 0.7)], order=1
    ),
    *(
        Special(
            f"betainc_d{name}",
            derivative(beta_below, *orders),
            [(0.6, 1.3, 0.2), (3.0, 2.0, 0.7)],
            order=0,
        )
        for name, orders in (("pp", (2, 0)), ("pq", (1, 1)), ("qq", (0, 2)))
    ),
    Special(
        "stdtr",
        student,
        [(1.5, -0.4), (4.0, 2.2), (9.0, 0.3)],
        sp.stdtr,
        [(0.5, 50), (-20, 20)],
        rtol=1e-11,
    ),
    Special(
        "stdtrit",
        inverse(student, sp.stdtrit),
        [(1.5, 0.3), (4.0, 0.9)],
        sp.stdtrit,
        [(0.5, 50), (0.001, 0.999)],
        rtol=1e-9,
    ),
]

NORMAL = [
    unary(
        "erfcx", lambda x: mp.exp(x * x) * mp.erfc(x), sp.erfcx, (-20, 1e4), -1.5, 0.0, 3.0, 49.0
    ),
    unary("erfcinv", lambda y: mp.erfinv(1 - y), sp.erfcinv, (0, 2), 0.03, 0.7, 1.6),
    unary("ndtr", normal, sp.ndtr, (-8, 8), -3.0, 0.0, 0.4, 5.0),
    unary("log_ndtr", lambda x: mp.log(normal(x)), sp.log_ndtr, (-100, 8), -20.0, -0.5, 0.3, 3.0),
    unary("ndtri", lambda p: -mp.sqrt(2) * mp.erfinv(1 - 2 * p), sp.ndtri, (0, 1), 0.01, 0.4, 0.8),
    Special(
        "owens_t", owens, [(0.5, 0.8), (-1.2, 2.0), (2.0, 0.1)], sp.owens_t, [(-6, 6), (-4, 4)]
    ),
    unary("dawsn", dawson, sp.dawsn, (-60, 60), 0.1, -0.9, 7.0, 49.0, rtol=2e-14),
]

INTEGRALS = [
    unary("expi", mp.ei, sp.expi, (0.5, 600), -2.0, 0.8, 6.0),
    unary("exp1", mp.e1, sp.exp1, (0.001, 600), 0.05, 0.8, 6.0),
    Special(
        "expn",
        lambda n, x: mp.expint(int(n), x),
        [(0.0, 0.7), (1.0, 2.0), (4.0, 0.3)],
        lambda n, x: sp.expn(n.astype(int), x),
        [(0, 20), (0.01, 50)],
        fixed=[0],
        whole=[0],
    ),
    unary("si", mp.si, lambda x: sp.sici(x)[0], (-90, 90), 1e-9, 0.3, -2.0, 7.0),
    unary("ci", mp.ci, lambda x: sp.sici(x)[1], (0.7, 3), 0.2, 2.0, 7.0),
    unary("shi", mp.shi, lambda x: sp.shichi(x)[0], (-90, 90), 1e-9, 0.3, -2.0, 20.0),
    unary("chi", mp.chi, lambda x: sp.shichi(x)[1], (0.7, 90), 0.2, 2.0, 20.0),
    unary("fresnel_s", mp.fresnels, lambda x: sp.fresnel(x)[0], (-30, 30), 0.2, 1.7, -4.0),
    unary("fresnel_c", mp.fresnelc, lambda x: sp.fresnel(x)[1], (-30, 30), 0.2, 1.7, -4.0),
    unary("spence", lambda x: mp.polylog(2, 1 - x).real, sp.spence, (1.1, 50), 0.05, 0.99, 1.6),
]

ELLIPTIC = [
    unary("ellipk", mp.ellipk, sp.ellipk, (-50, 1), -3.0, 0.0, 0.05, 0.7),
    unary("ellipkm1", lambda p: mp.ellipk(1 - p), sp.ellipkm1, (0, 50), 1e-9, 0.3, 1.0, 3.0),
    unary("ellipe", mp.ellipe, sp.ellipe, (-50, 1), -3.0, 0.001, 0.05, 0.7),
    unary("ellipd", ellip_d, None, (0.0, 1.0), 0.2, 0.9, 0.95, 4.0),
    Special(
        "ellipkinc",
        mp.ellipf,
        [(0.5, 0.3), (1.2, -2.0), (4.0, 0.6)],
        sp.ellipkinc,
        [(0, 7), (-3, 0.99)],
    ),
    Special(
        "ellipeinc",
        mp.ellipe,
        [(0.5, 0.3), (1.2, -2.0), (4.0, 0.6)],
        sp.ellipeinc,
        [(0, 7), (-3, 0.99)],
    ),
    Special("ellipkinc_dm", derivative(mp.ellipf, 0, 1), [(0.5, 0.3), (4.0, 0.6)], order=1),
    Special("ellipeinc_dm", derivative(mp.ellipe, 0, 1), [(0.5, 0.3), (4.0, 0.6)], order=1),
    *(
        Special(
            op,
            derivative(function, 0, 2),
            [(0.5, 0.3), (1e-3, 0.0), (-1.5, 0.95), (1.2, -30.0), (4.0, 0.6)],
            fixed=[1],
            order=1,
        )
        for op, function in (("ellipkinc_dmm", mp.ellipf), ("ellipeinc_dmm", mp.ellipe))
    ),
    Special(
        "jacobi_am",
        amplitude,
        [(0.5, 0.3), (2.7, 0.9), (-6.0, 0.6), (1.2, 1e-9)],
        lambda u, m: sp.ellipj(u, m)[3],
        [(-9, 9), (0, 0.999)],
        rtol=5e-13,
    ),
]

BESSEL = [
    *(
        unary(f"{letter}{order}", of_order(exact, order), getattr(sp, f"{letter}{order}"), *where)
        for letter, exact, where in (
            ("j", mp.besselj, ((0.1, 2), 1e-9, 0.7, 5.0, 40.0)),
            ("y", mp.bessely, ((0.1, 0.8), 0.01, 0.7, 5.0, 40.0)),
            ("i", mp.besseli, ((-90, 90), 1e-9, 0.7, 5.0, 40.0)),
            ("k", mp.besselk, ((0.01, 90), 0.01, 0.7, 5.0, 40.0)),
        )
        for order in (0, 1)
    ),
    *(
        unary(
            f"{letter}{order}e",
            lambda x, f=exact, n=order, s=sign: f(n, x) * mp.exp(s * x),
            getattr(sp, f"{letter}{order}e"),
            (0.1, 1e4),
            0.01,
            0.7,
            5.0,
            800.0,
        )
        for letter, exact, sign in (("i", mp.besseli, -1), ("k", mp.besselk, 1))
        for order in (0, 1)
    ),
    bessel("jv", mp.besselj, None),
    bessel("yv", mp.bessely, None),
    bessel("iv", mp.besseli, sp.iv),
    bessel("ive", scaled(mp.besseli, -1), sp.ive),
    bessel("kv", mp.besselk, sp.kv),
    bessel("kve", scaled(mp.besselk, 1), sp.kve),
    bessel("struve", mp.struveh, sp.struve),
    bessel("modstruve", mp.struvel, sp.modstruve),
    spherical_row("j", sp.spherical_jn),
    spherical_row("y", sp.spherical_yn),
    spherical_row("i", sp.spherical_in),
    spherical_row("k", sp.spherical_kn),
    unary("airy_ai", mp.airyai, lambda x: sp.airy(x)[0], (-2, 30), 1e-5, 0.7, -6.0, 5.0),
    unary(
        "airy_ai_dx", derivative(mp.airyai, 1), lambda x: sp.airy(x)[1], (-1, 30), 0.01, 0.7, -6.0
    ),
    unary("airy_bi", mp.airybi, lambda x: sp.airy(x)[2], (-1, 30), 1e-5, 0.7, -6.0, 5.0),
    unary(
        "airy_bi_dx", derivative(mp.airybi, 1), lambda x: sp.airy(x)[3], (-1, 30), 0.01, 0.7, -6.0
    ),
]

OTHERS = [
    unary("lambertw", mp.lambertw, lambda x: sp.lambertw(x).real, (-HALF_E, 1e6), -0.3, 1e-9, 4.0),
    unary(
        "lambertw_below",
        lambda x: mp.lambertw(x, -1).real,
        lambda x: sp.lambertw(x, -1).real,
        (-HALF_E, 0),
        -0.3,
        -0.01,
    ),
    Special(
        "hyp0f1",
        mp.hyp0f1,
        [(0.7, 1.2), (3.0, -4.0)],
        sp.hyp0f1,
        [(0.5, 10), (0.01, 50)],
        fixed=[0],
        rtol=1e-11,
    ),
    Special(
        "hyp1f1",
        mp.hyp1f1,
        [(0.7, 1.2, 0.5), (3.0, 2.5, -4.0)],
        sp.hyp1f1,
        [(0.5, 10), (0.5, 10), (-5, 20)],
        fixed=[0, 1],
        rtol=1e-11,
    ),
    Special(
        "hyp2f1",
        mp.hyp2f1,
        [
            *((0.7, 1.2, 1.5, 0.5), (3.0, 2.5, 0.8, -4.0), (1.5, -1.2, 2.3, 0.96875)),
            # Differences of parameters are integers, and digits of the series cancel.
            *((2.0, 1.0, 3.0, 0.9990234375), (-7.0, 9.5, 1.5, 0.875), (8.5, -9.25, 1.5, 0.75)),
        ],
        sp.hyp2f1,
        [(0.2, 5), (-3, 5), (0.5, 5), (-20, 1)],
        fixed=[0, 1, 2],
        rtol=2e-13,
    ),
]

SPECIAL = {
    row.op: row for row in (*GAMMA, *INCOMPLETE, *NORMAL, *INTEGRALS, *ELLIPTIC, *BESSEL, *OTHERS)
}
