# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ops between complex numbers and their parts."""

from __future__ import annotations

import numpy as np
from structural_rows import COMPLEX, FLOATS, Case, Structural

from gradopt.dialects import grad

PARTS = [
    Structural(
        "complex",
        [
            Case(grad.complex, lambda x, y: x + 1j * y, [(3, 2), (3, 2)]),
            Case(lambda x: grad.complex(x, grad.square(x)), lambda x: x + 1j * x**2, [(5,)]),
            Case(
                lambda x: grad.imag(grad.square(grad.complex(x, grad.exp(x)))),
                lambda x: 2 * x * np.exp(x),
                [(5,)],
            ),
        ],
        FLOATS,
        rounding=8,
    ),
    Structural(
        "imag",
        [
            Case(grad.imag, np.imag, [(3, 2)]),
            Case(lambda z: grad.multiply(grad.imag(z), grad.imag(z)), lambda z: z.imag**2, [(5,)]),
            Case(
                lambda z: grad.complex(grad.imag(z), grad.negative(grad.imag(grad.add(z, z)))),
                lambda z: z.imag - 2j * z.imag,
                [(5,)],
            ),
        ],
        COMPLEX,
    ),
]
