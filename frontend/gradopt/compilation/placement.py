# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where a call runs: where its arrays are, which is one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradopt._gradopt import DeviceArray
from gradopt.base.devices import CPU, device_number
from gradopt.base.location import source_location
from gradopt.errors import PlacementError


def device_of(leaves: Sequence[Any], paths: Sequence[str], wanted: str | None, name: str) -> str:
    """The device that code for these arguments is for: "cpu", or "cuda:0" and so on.

    Args:
        leaves: the arguments. Numbers may be anywhere.
        paths: how the user reaches them.
        wanted: the option `device`.
        name: of the function.

    Raises:
        PlacementError: the arrays are in different places, or not where they are wanted.
    """
    devices = [
        (path, leaf.device)
        for leaf, path in zip(leaves, paths, strict=True)
        if type(leaf) is DeviceArray
    ]
    if not devices:
        if wanted is None or wanted == CPU:
            return CPU
        return f"cuda:{device_number(wanted) or 0}"
    first, device = devices[0]
    for path, other in devices:
        if other != device:
            raise _error(
                f"{first} is on {device}, but {path} is on {other}: the arrays that {name} is "
                f'called with must be on one device; gradopt.asarray({path}, device="{device}") '
                "copies it there"
            )
    for leaf, path in zip(leaves, paths, strict=True):
        if isinstance(leaf, np.ndarray):
            raise _error(
                f"{first} is on {device}, but {path} is an array on the host: the arrays that "
                f"{name} is called with must be in one place; "
                f'gradopt.asarray({path}, device="{device}") copies it to the device'
            )
    if wanted == CPU or (
        wanted is not None and device_number(wanted) not in (None, int(device[len("cuda:") :]))
    ):
        raise _error(
            f'{first} is on {device}, but {name} is compiled with device="{wanted}"; '
            f'gradopt.asarray({first}, device="{wanted}") copies it there, and without the option '
            "code runs where its arguments are"
        )
    return device


def _error(message: str) -> PlacementError:
    return PlacementError(message, source_location())
