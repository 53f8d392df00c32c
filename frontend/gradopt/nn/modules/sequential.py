# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradopt.nn.checks import require
from gradopt.nn.recurrent import Params
from gradopt.random import fold_in, split


class Sequential:
    """Layers one after the other: {"0": parameters of the first, ...}.

    Attributes:
        layers: layers that are called with parameters and one array, and functions of one array,
            which have no parameters.
        draws: whether a layer among them draws random numbers, and so takes a key.
        keeps: whether a layer among them, such as `BatchNorm`, keeps a state beside its parameters.
    """

    def __init__(self, *layers: Callable[..., Any]) -> None:
        for number, layer in enumerate(layers):
            require(callable(layer), f"expected a layer or function as argument {number}")
        self.layers = layers
        self.draws = any(getattr(layer, "draws", False) for layer in layers)
        self.keeps = any(_keeps(layer) for layer in layers)

    def __repr__(self) -> str:
        return f"Sequential({', '.join(getattr(x, '__name__', repr(x)) for x in self.layers)})"

    def init(self, key: Any) -> Params:
        """New parameters."""
        owners: dict[str, Any] = {
            str(number): layer for number, layer in enumerate(self.layers) if hasattr(layer, "init")
        }
        keys = split(key, len(owners)) if owners else []
        pairs = zip(owners.items(), keys, strict=True)
        return {number: layer.init(one) for (number, layer), one in pairs}

    def init_state(self) -> Params:
        """The states of the layers that keep one: {"1": state of the second, ...}."""
        owners: dict[str, Any] = {
            str(number): layer for number, layer in enumerate(self.layers) if _keeps(layer)
        }
        return {number: layer.init_state() for number, layer in owners.items()}

    def __call__(
        self,
        params: Params,
        x: Any,
        key: Any = None,
        *,
        state: Params | None = None,
        training: bool | None = None,
    ) -> Any:
        """The result of the last layer; if it `keeps` a state, that and the next state.

        Args:
            params: as from `init`.
            x: what the first layer takes.
            key: for layers that draw random numbers in training; none draws without one.
            state: as from `init_state`, if a layer keeps one.
            training: whether such layers are trained, if there are any.

        Raises:
            ArgumentError: a layer keeps a state, and state or training is missing; or none does,
                and there is a state.
        """
        if self.keeps:
            require(
                state is not None and training is not None,
                f"{self!r} keeps a state: call it with state=, as from init_state(), and training=",
            )
        else:
            require(not state, f"{self!r} keeps no state, but got one")
        following: Params = {}
        for number, layer in enumerate(self.layers):
            name = str(number)
            if not hasattr(layer, "init"):
                x = layer(x)
                continue
            arguments: list[Any] = [params[name], x]
            if key is not None and getattr(layer, "draws", False):
                arguments.append(fold_in(key, number))
            if state and _keeps(layer):
                x, following[name] = layer(*arguments, state=state[name], training=training)
            else:
                x = layer(*arguments)
        return (x, following) if self.keeps else x


def _keeps(layer: Any) -> bool:
    """Whether a layer has a state."""
    return getattr(layer, "keeps", False)
