# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks of arguments of optimisers and schedules; what each may be follows from its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradopt.base.location import source_location
from gradopt.compilation.arguments import (
    checked_flag,
    checked_integer,
    checked_number,
    checking,
)
from gradopt.compilation.calling import describe_value
from gradopt.errors import ArgumentTypeError


def _checked_rate(value: Any, name: str) -> Any:
    """A number, or a schedule of such."""
    return value if callable(value) else checked_number(value, name)


def _checked_function(value: Any, name: str) -> Any:
    if not callable(value):
        raise ArgumentTypeError(
            f"{name} must be a function, but it is {describe_value(value)}", source_location()
        )
    return value


def _checked_several(value: Any, name: str) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise ArgumentTypeError(
            f"{name} must be a list or a tuple, but it is {describe_value(value)}",
            source_location(),
        )
    return list(value)


def _checked_schedules(value: Any, name: str) -> list[Any]:
    parts = _checked_several(value, name)
    return [_checked_function(part, f"{name}[{i}]") for i, part in enumerate(parts)]


def _checked_boundaries(value: Any, name: str) -> list[int]:
    parts = _checked_several(value, name)
    return [checked_integer(part, f"{name}[{i}]") for i, part in enumerate(parts)]


def _checked_factors(value: Any, name: str) -> dict[int, Any]:
    if not isinstance(value, Mapping):
        raise ArgumentTypeError(
            f"{name} must be a dict of factors by counts of steps, but it is "
            f"{describe_value(value)}",
            source_location(),
        )
    factors: Mapping[Any, Any] = value
    return {
        checked_integer(count, f"a key of {name}"): checked_number(factor, f"{name}[{count}]")
        for count, factor in factors.items()
    }


public = checking(
    {
        _checked_rate: "learning_rate",
        checked_number: "b1 b2 eps eps_root decay momentum initial_accumulator_value initial_scale "
        "weight_decay max_delta max_norm factor value init_value end_value peak_value power alpha "
        "exponent decay_rate",
        checked_flag: "nesterov centered eps_in_sqrt staircase",
        checked_integer: "transition_steps transition_begin decay_steps warmup_steps every memory "
        "max_evaluations",
        _checked_function: "schedule loss",
        _checked_schedules: "schedules",
        _checked_boundaries: "boundaries",
        _checked_factors: "boundaries_and_scales",
    }
)
