# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions that compiled code calls: Python code, and native code that the user brings."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from gradopt.base.dtypes import DType
from gradopt.base.unknown_sizes import unknown_size
from gradopt.ir import prims
from gradopt.ir.extents import Sizes
from gradopt.ir.types import tensor_type
from gradopt.ir.values import Shape, Value
from gradopt.recording import grad


class Target:
    """A function that compiled code calls by number; equal ones are called by one number.

    Attributes:
        name: for messages and in the IR.
        address: where a native function is (`gradopt_function` of the runtime); 0 for Python code.
    """

    def __init__(self, name: str, address: int = 0) -> None:
        self.name = name
        self.address = address

    def _key(self) -> Hashable:
        """What tells it from other targets of its class."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._key() == other._key()  # pyright: ignore

    def __hash__(self) -> int:
        return hash(self._key())

    @property
    def handler(self) -> Callable[..., Any]:
        """What the native core calls.

        For Python code, with a list of inputs and one of the shapes of the results, which it gives.
        For native code, with a status other than 0 that the function returned, to raise an error.
        """
        raise NotImplementedError


def emit_target_call(
    target: Target, batching: str, inputs: Sequence[Value], results: Sequence[tuple[Shape, DType]]
) -> list[Value]:
    """`grad.custom_call` of the target, with results of these shapes and dtypes.

    Raises:
        UnknownSizeError: the size of an input, which the target gets as it is, is not known.
    """
    if any(value.shape.__class__ is Sizes for value in inputs):
        raise unknown_size(f"a call of {target.name}")
    here = prims.scope()
    return here.emit_many(
        grad.CustomCallOp,
        [tensor_type(shape, dtype) for shape, dtype in results],
        target.name,
        here.trace.target(target),
        batching,
        [here.use(value) for value in inputs],
    )
