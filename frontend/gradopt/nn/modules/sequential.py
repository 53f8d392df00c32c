# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradopt.base.frames import hide_frames
from gradopt.compilation.arguments import checked_flag
from gradopt.errors import GradoptError
from gradopt.nn.checks import checked_entries, entry, require
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

    @hide_frames
    def __init__(self, *layers: Callable[..., Any]) -> None:
        for number, layer in enumerate(layers):
            require(callable(layer), f"expected a layer or function as argument {number}")
        self.layers = layers
        self.draws = any(getattr(layer, "draws", False) for layer in layers)
        self.keeps = any(_keeps(layer) for layer in layers)

    def __repr__(self) -> str:
        return f"Sequential({', '.join(getattr(x, '__name__', repr(x)) for x in self.layers)})"

    @hide_frames
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

    @hide_frames
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
            training: whether layers that keep a state are trained. Also, False lets no layer draw,
                and True asks for a key if one does.

        Raises:
            GradoptError: one of a layer; it names the layer.
            ArgumentError: a layer keeps a state, and state or training is missing; or none does,
                and there is a state; or a layer draws in training, and there is no key; or
                parameters are missing.
        """
        params = checked_entries(params, "params")
        if training is not None:
            training = checked_flag(training, "training")
        if self.keeps:
            require(
                state is not None and training is not None,
                f"{self!r} keeps a state: call it with state=, as from init_state(), and training=",
            )
            state = checked_entries(state, "state")
        else:
            require(state is None or state == {}, f"{self!r} keeps no state, but got one")
        require(
            key is not None or not training or not self.draws,
            f"{self!r} draws random numbers in training: call it with a key",
        )
        if training is False:
            key = None
        following: Params = {}
        for number, layer in enumerate(self.layers):
            try:
                x, next_state = self._layer(number, params, x, key, state, training)
            except GradoptError as error:
                name = getattr(layer, "__name__", type(layer).__name__)
                error.message = f"layer {number}, {name}: {error.message}"
                raise
            if next_state is not None:
                following[str(number)] = next_state
        return (x, following) if self.keeps else x

    def _layer(
        self, number: int, params: Params, x: Any, key: Any, state: Any, training: bool | None
    ) -> tuple[Any, Any]:
        """The result of a layer, and its next state."""
        layer, name = self.layers[number], str(number)
        require(
            not isinstance(x, tuple),
            "expected one array, but the layer before returns several: hand on one of them",
        )
        if not hasattr(layer, "init"):
            return layer(x), None
        arguments: list[Any] = [entry(params, name), x]
        if key is not None and getattr(layer, "draws", False):
            arguments.append(fold_in(key, number))
        if _keeps(layer):
            return layer(*arguments, state=entry(state, name, "state"), training=training)
        return layer(*arguments), None


def _keeps(layer: Any) -> bool:
    """Whether a layer has a state."""
    return getattr(layer, "keeps", False)
