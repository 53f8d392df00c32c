# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Dormand and Prince's method of order 5(4), with its error and dense output.

Dormand and Prince, A family of embedded Runge-Kutta formulae, 1980. The dense output is Shampine's,
Some practical Runge-Kutta formulas, 1986.
"""

from __future__ import annotations

from typing import Any

from gradopt.transforms.runge_kutta import (
    Method,
    Slope,
    State,
    Step,
    Tableau,
    Tolerances,
    moved,
    quartic,
)

_TABLEAU = Tableau(
    nodes=(1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0),
    rows=(
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    ),
    weights=(35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    error=(71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40),
)
_MIDDLE = (
    6025192743 / 60171106304,
    0.0,
    51252292925 / 130801643196,
    -2691868925 / 90256659456,
    187940372067 / 3189068634112,
    -1776094331 / 39487288512,
    11237099 / 470086768,
)


def _step(
    slope: Slope, y: State, rise: State, t: Any, size: Any, tolerances: Tolerances
) -> tuple[Step, Any]:
    slopes, end, ratio = _TABLEAU.step(slope, y, rise, t, size, tolerances)
    middle = moved(y, size, _MIDDLE, slopes)
    return Step(size, y, rise, [middle], end, slopes[-1]), ratio


DORMAND_PRINCE = Method(order=4, inner=1, step=_step, at=quartic)
