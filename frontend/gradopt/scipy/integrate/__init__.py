# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.integrate`: integrals of samples and functions, and differential equations."""

from gradopt.scipy.integrate.double_exponential import quad, quad_vec
from gradopt.scipy.integrate.initial_value import odeint, solve_ivp
from gradopt.scipy.integrate.quadrature import fixed_quad
from gradopt.scipy.integrate.samples import (
    cumulative_simpson,
    cumulative_trapezoid,
    romb,
    simpson,
    trapezoid,
)

__all__ = [
    "cumulative_simpson",
    "cumulative_trapezoid",
    "fixed_quad",
    "odeint",
    "quad",
    "quad_vec",
    "romb",
    "simpson",
    "solve_ivp",
    "trapezoid",
]
