# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every argument of every optimiser and schedule that is wrong: the message names it."""

from __future__ import annotations

import inspect
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt import optim

PARAMS = {"w": np.ones(3)}
# Arguments that are right, by their names; those that are left out here have defaults.
GOOD: dict[str, Any] = {
    "learning_rate": 0.1,
    "decay": 0.9,
    "weight_decay": 0.1,
    "max_delta": 1.0,
    "max_norm": 1.0,
    "factor": 2.0,
    "value": 0.1,
    "init_value": 0.1,
    "end_value": 0.2,
    "peak_value": 0.3,
    "power": 2.0,
    "decay_rate": 0.5,
    "decay_steps": 10,
    "warmup_steps": 3,
    "transition_steps": 5,
    "every": 2,
    "inner": optim.sgd(0.1),
    "schedule": optim.constant_schedule(0.1),
    "schedules": [optim.constant_schedule(0.1), optim.constant_schedule(0.2)],
    "boundaries": [3],
    "loss": lambda params: np.sum(params["w"] ** 2),
    "params": PARAMS,
    "updates": PARAMS,
    "tree": PARAMS,
}
# A mask is looked at when there are parameters; chain is tested by itself.
LATER = {"mask", "transformations"}
FACTORIES = [
    name
    for name in optim.__all__
    if inspect.isfunction(getattr(optim, name)) and name not in ("chain",)
]


@pytest.mark.parametrize(
    "wrong", ["text", object(), np.array(["text"]), np.ones(3, complex), {"a": "text"}]
)
@pytest.mark.parametrize("name", FACTORIES)
def test_arguments(name: str, wrong: Any) -> None:
    make = getattr(optim, name)
    parameters = inspect.signature(make).parameters
    good = {n: GOOD[n] for n, p in parameters.items() if p.default is p.empty}
    make(**good)
    for parameter in parameters.keys() - LATER:
        with pytest.raises(go.errors.GradoptError) as info:
            make(**{**good, parameter: wrong})
        assert parameter in info.value.message
        location = info.value.location
        assert location is not None, parameter
        assert location.text() == "make(**{**good, parameter: wrong})"


@pytest.mark.parametrize(
    "wrong", [np.ones(3, np.longdouble), np.ma.ones(3), np.ones(3, int), np.array(["text"])]
)
def test_what_cannot_be_optimised(wrong: Any) -> None:
    message = r"expected floats of 16 to 64 bits at params\['b'\], but got"
    with pytest.raises(go.errors.ArgumentTypeError, match=message):
        optim.adam(0.1).init({"w": np.ones(3), "b": wrong})


@pytest.mark.parametrize("number", [None, 3, optim.sgd, (1, 2)])
def test_what_is_no_transformation(number: Any) -> None:
    with pytest.raises(go.errors.ArgumentTypeError, match="argument 1 of chain must be a Gradient"):
        optim.chain(optim.sgd(0.1), number)
    with pytest.raises(go.errors.ArgumentTypeError, match="inner must be a GradientTransform"):
        optim.multi_steps(number, 2)


def test_frames_of_ours_are_hidden() -> None:
    """An error of a step that is called as it is ends with the user's line."""
    optimiser = optim.chain(optim.clip_by_global_norm(1.0), optim.adam(0.1))
    state = optimiser.init(PARAMS)

    def step() -> Any:
        return optimiser.update({"v": np.ones(3)}, state, PARAMS)

    with pytest.raises(go.errors.ArgumentError, match=r"expected keys \['w'\] at grads") as info:
        step()
    frames = traceback.extract_tb(info.value.__traceback__)
    assert {Path(frame.filename).name for frame in frames} == {Path(__file__).name, "frames.py"}
    with pytest.raises(go.errors.ArgumentTypeError, match="expected floats") as info:
        optimiser.init({"w": np.arange(3)})
    frames = traceback.extract_tb(info.value.__traceback__)
    assert {Path(frame.filename).name for frame in frames} == {Path(__file__).name, "frames.py"}
