# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bogacki and Shampine's method of order 3(2), with its error and dense output.

Bogacki and Shampine, A 3(2) pair of Runge-Kutta formulas, 1989.
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
    stages,
    weighted,
)

_NODES = (1 / 2, 3 / 4)
_STAGES = ((1 / 2,), (0.0, 3 / 4))
_WEIGHTS = (2 / 9, 1 / 3, 4 / 9)
# The weights less those of order 2.
_ERROR = (5 / 72, -1 / 12, -1 / 9, 1 / 8)


def _step(
    slope: Slope, y: State, rise: State, t: Any, size: Any, tolerances: Tolerances
) -> tuple[Step, Any]:
    slopes = stages(slope, y, rise, t, size, _NODES, _STAGES)
    end = moved(y, size, _WEIGHTS, slopes)
    slopes.append(slope(end, t + size))
    error = [cast(size, y[i]) * weighted(_ERROR, [s[i] for s in slopes]) for i in range(len(y))]
    return Step(size, y, rise, [], end, slopes[-1]), error_ratio(y, end, error, tolerances)


def _at(x: Any, size: Any, start: Any, rise: Any, end: Any, fall: Any) -> Any:
    """The polynomial of degree 3 with the states and slopes at both ends."""
    rise, fall, change = size * rise, size * fall, end - start
    return start + x * (rise + x * (3 * change - 2 * rise - fall + x * (rise + fall - 2 * change)))


BOGACKI_SHAMPINE = Method(order=2, inner=0, step=_step, at=_at)
