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
    Tableau,
    Tolerances,
)

_TABLEAU = Tableau(
    nodes=(1 / 2, 3 / 4),
    rows=((1 / 2,), (0.0, 3 / 4)),
    weights=(2 / 9, 1 / 3, 4 / 9),
    error=(5 / 72, -1 / 12, -1 / 9, 1 / 8),
)


def _step(
    slope: Slope, y: State, rise: State, t: Any, size: Any, tolerances: Tolerances
) -> tuple[Step, Any]:
    slopes, end, ratio = _TABLEAU.step(slope, y, rise, t, size, tolerances)
    return Step(size, y, rise, [], end, slopes[-1]), ratio


def _at(x: Any, size: Any, start: Any, rise: Any, end: Any, fall: Any) -> Any:
    """The polynomial of degree 3 with the states and slopes at both ends."""
    rise, fall, change = size * rise, size * fall, end - start
    return start + x * (rise + x * (3 * change - 2 * rise - fall + x * (rise + fall - 2 * change)))


BOGACKI_SHAMPINE = Method(order=2, inner=0, step=_step, at=_at)
