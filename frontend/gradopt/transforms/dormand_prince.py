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
    Tolerances,
    cast,
    error_ratio,
    moved,
    quartic,
    stages,
    weighted,
)

_NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0)
_STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
)
_WEIGHTS = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)
# The weights less those of order 4.
_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
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
    slopes = stages(slope, y, rise, t, size, _NODES, _STAGES)
    end = moved(y, size, _WEIGHTS, slopes)
    slopes.append(slope(end, t + size))
    middle = moved(y, size, _MIDDLE, slopes)
    error = [cast(size, y[i]) * weighted(_ERROR, [s[i] for s in slopes]) for i in range(len(y))]
    made = Step(size, y, rise, [middle], end, slopes[-1])
    return made, error_ratio(y, end, error, tolerances)


DORMAND_PRINCE = Method(order=4, inner=1, step=_step, at=quartic)
