# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Effects of the user's code when compiled code runs: what it prints, warns of and raises.

An effect is a call from compiled code (`grad.custom_call`), whose result is the state of the world
behind it, which the next effect gets. So effects happen in their order, each as often as the
program says, also in loops and branches: to these the state is an array that they write to. A
function hands the state to its caller with the outcome of its checks.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from gradopt.array.handle import Handle, array_of
from gradopt.base.dtypes import FLOAT64, is_inexact
from gradopt.base.location import source_location, user_globals
from gradopt.base.unknown_sizes import unknown_size
from gradopt.control.text import Later, filled
from gradopt.ir import prims
from gradopt.ir.extents import Sizes
from gradopt.ir.targets import Target, emit_target_call
from gradopt.ir.trace import Scope, resume
from gradopt.ir.values import Shape

_DONE = np.zeros(())


class Effect(Target):
    """A call of Python's that compiled code makes, with the values of the run."""

    def __init__(self, function: Callable[..., Any], arguments: Any) -> None:
        super().__init__(getattr(function, "__name__", type(function).__name__))
        self._function = function
        self._arguments = arguments

    def _key(self) -> Hashable:
        return id(self)

    @property
    def handler(self) -> Callable[..., Any]:
        return self.run

    def run(self, inputs: Sequence[Any], shapes: Sequence[Shape]) -> list[np.ndarray[Any, Any]]:
        """Calls it, unless the program has failed before; the state behind it."""
        failed, *arrays = inputs
        if failed == 0:
            args, kwargs = filled(self._arguments, [np.asarray(array) for array in arrays])
            self._function(*args, **kwargs)
        return [_DONE]


def happens_later(function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Calls a function of Python's when the compiled code runs, for its effect.

    Args:
        function: gets NumPy's arrays and numbers in place of traced ones.
        args: its arguments; what is traced may lie in lists, tuples and dicts.
        kwargs: the same.

    Raises:
        UnknownSizeError: the size of an array among them is known at run time only.
    """
    here = prims.scope()
    state = _state(here)
    state._require_writable("an effect", "")
    later = Later()
    arguments = later.take((args, kwargs))
    if any(value.shape.__class__ is Sizes for value in later.values):
        raise unknown_size("to print, raise or warn of elements, or to call Python with them,")
    failed = state._read()
    scope: Scope | None = here
    while scope is not None:
        if scope.outcome is not None:
            failed = failed + prims.convert(scope.outcome[0], FLOAT64)
        scope = scope.parent if scope.is_part else None
    inputs = [prims.stop_gradient(v) if is_inexact(v.dtype) else v for v in later.values]
    target = Effect(function, arguments)
    (done,) = emit_target_call(target, "sequential", [failed, *inputs], [((), FLOAT64)])
    state._write(done)


def _state(here: Scope) -> Handle:
    """The state of the world in the function that is traced; an array that effects write to."""
    owner = here.around_parts()
    if owner.effects is None:
        # A float, which is not computed again in reverse mode where nobody asks for it.
        owner.effects = resume(owner, lambda: array_of(prims.scalar(0.0, FLOAT64)))
    return owner.effects


def has_effects() -> bool:
    """Whether the function that is traced has had any until here."""
    return prims.scope().around_parts().effects is not None


def print_later(*args: Any, **kwargs: Any) -> None:
    """As `print`, when the compiled code runs."""
    happens_later(print, *args, **kwargs)


def warn_later(message: Any, category: Any = None, stacklevel: int = 1, **kwargs: Any) -> None:
    """As `warnings.warn`, when the compiled code runs; of the line of the user's that warns."""
    place, names = source_location(), user_globals()
    if isinstance(message, Warning):
        category = type(message)
    where = ("<unknown>", 1) if place is None else (place.file, place.line)
    registry = names.setdefault("__warningregistry__", {})
    happens_later(
        lambda text: warnings.warn_explicit(
            text, category or UserWarning, *where, names.get("__name__"), registry
        ),
        message,
    )
