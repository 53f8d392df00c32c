# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The table of conventions in docs/dialect.md: each row against the program, and against a limit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special

import gradopt as go
from gradopt import nn

DOCUMENT = Path(__file__).parents[2] / "docs" / "dialect.md"
HEAD = "| function | at | derivative | which is |"
NUMBERS: dict[str, Any] = {"inf": np.inf, "nan": np.nan}
# What the functions of the table are called with.
NAMES: dict[str, Any] = {
    **{name: getattr(special, name) for name in ("erfinv", "logit", "xlogy")},
    **{name: getattr(np, name) for name in np.__all__ if name.islower()},
    **{name: getattr(nn, name) for name in nn.__all__ if name.islower()},
    "norm": np.linalg.norm,
}
KINDS = ("limit", "above", "below", "mean", "share")
NEAR, STEP = 1e-7, 1e-9


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        code: the function, of x, or of x and y.
        at: its arguments.
        derivatives: in each of them, of the shape of the argument.
        kind: one of KINDS; another one is a reason.
    """

    code: str
    at: tuple[Any, ...]
    derivatives: tuple[Any, ...]
    kind: str

    def __call__(self, *args: Any) -> Any:
        return eval(self.code, dict(NAMES), dict(zip("xy", args, strict=False)))


def values(cell: str) -> tuple[Any, ...]:
    """The arguments, or derivatives in them, that a cell names."""
    found = eval(cell, {}, NUMBERS)
    return tuple(np.array(v, float) for v in (found if isinstance(found, tuple) else (found,)))


def rows() -> list[Row]:
    lines = iter(DOCUMENT.read_text().splitlines())
    for line in lines:
        if line == HEAD:
            break
    next(lines)
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        code, at, derivative, kind = (cell.strip() for cell in line.strip("| ").split(" | "))
        cells = [cell[1:-1] for cell in (code, at, derivative)]
        assert f"`{cells[0]}`" == code
        found.append(Row(cells[0], values(cells[1]), values(cells[2]), kind))
    return found


ROWS = rows()


def name_of(row: Row) -> str:
    return f"{row.code} at {', '.join(str(v.tolist()) for v in row.at)}"


def test_the_table_has_rows_of_all_kinds() -> None:
    assert len(ROWS) > 60
    assert set(KINDS) <= {row.kind for row in ROWS}
    reasons = {row.kind for row in ROWS} - set(KINDS)
    assert all(len(reason.split()) > 3 for reason in reasons)
    assert len({name_of(row) for row in ROWS}) == len(ROWS)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_the_program_does_what_the_table_says(row: Row) -> None:
    assert len(row.at) == len(row.derivatives)
    loss = go.compile_grad(lambda *x: np.sum(row(*x)), argnums=tuple(range(len(row.at))))
    for found, expected in zip(loss(*row.at), row.derivatives, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-16)
    for i, expected in enumerate(row.derivatives):
        slope = go.compile(
            lambda v, t, i=i: go.jvp(lambda v: row(*row.at[:i], v, *row.at[i + 1 :]), (v,), (t,))[1]
        )
        for k in np.ndindex(expected.shape):
            unit = np.zeros(expected.shape)
            unit[k] = 1
            found = np.sum(slope(row.at[i], unit))
            np.testing.assert_allclose(found, expected[k], rtol=1e-14, atol=1e-16)


def slope_beside(row: Row, i: int, direction: Any) -> float:
    """The derivative of NumPy's function next to the point, along a direction of an argument."""

    def f(distance: float) -> Any:
        moved = row.at[i] + distance * direction
        return np.sum(row(*row.at[:i], moved, *row.at[i + 1 :]))

    return float((f(NEAR + STEP) - f(NEAR - STEP)) / (2 * STEP))


def is_limit(found: float, expected: float) -> bool:
    if np.isinf(expected):
        return np.sign(found) == np.sign(expected) and abs(found) > 100
    if np.isnan(expected):
        return np.isnan(found)
    return abs(found - expected) <= 2e-3


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("row", [r for r in ROWS if r.kind in KINDS[:4]], ids=name_of)
def test_the_table_says_what_derivatives_tend_to(row: Row) -> None:
    kinks = 0
    for i, expected in enumerate(row.derivatives):
        for k in np.ndindex(expected.shape):
            unit = np.zeros(expected.shape)
            unit[k] = 1
            above, below = slope_beside(row, i, unit), -slope_beside(row, i, -unit)
            if row.kind == "mean":
                kinks += abs(above - below) > 0.5
                above = below = (above + below) / 2
            # Beyond the end of a domain there is nothing.
            sides = {"above": [above], "below": [below]}.get(
                row.kind, [v for v in (above, below) if not np.isnan(v)] or [np.nan]
            )
            for side in sides:
                assert is_limit(side, expected[k]), (i, k, above, below)
    assert (kinks > 0) == (row.kind == "mean")


@pytest.mark.parametrize("row", [r for r in ROWS if r.kind == "share"], ids=name_of)
def test_what_is_equal_shares_evenly(row: Row) -> None:
    """Equal elements have equal derivatives, and all together that along (1, 1, ...)."""
    at, derivatives = np.hstack(row.at), np.hstack(row.derivatives)
    for value in np.unique(at):
        assert len(set(derivatives[at == value].tolist())) == 1
    finite = tuple(np.where(np.isinf(v), -3.0, v) for v in row.at)
    ends = [np.sum(row(*(v + d for v in finite))) for d in (-1e-6, 1e-6)]
    assert derivatives.sum() == pytest.approx((ends[1] - ends[0]) / 2e-6, abs=1e-6)
