# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""custom_vjp and custom_jvp: functions with derivatives that the user provides."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradopt.base.frames import hide_frames
from gradopt.base.location import function_source
from gradopt.base.pickling import global_name
from gradopt.base.pytree import tree_map
from gradopt.compilation.calling import check_callable, function_name, rewritten_here
from gradopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    DerivativeRuleError,
)
from gradopt.ir.current import current_scope
from gradopt.transforms.custom_calls import Rules, emit_custom


class CustomFunction:
    """A function with derivatives of its own; what `custom_vjp` and `custom_jvp` return.

    Both kinds of rules may be defined for one function: forward mode uses the one of `defjvp`,
    reverse mode the one of `defvjp`. Where only one is defined, the other mode uses its transpose.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        nondiff_argnums: tuple[int, ...],
        wanted: str,
        rules: Rules | None = None,
    ) -> None:
        functools.update_wrapper(self, function, updated=())
        self._function = function
        self._nondiff = nondiff_argnums
        self._wanted = wanted
        self._rules = Rules() if rules is None else rules

    def __repr__(self) -> str:
        return f"{self._wanted}<{function_name(self._function)}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        return global_name(self) or (
            CustomFunction,
            (self._function, self._nondiff, self._wanted, self._rules),
        )

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def defvjp(
        self,
        fwd: Callable[..., Any],
        bwd: Callable[..., Any],
        symbolic_zeros: bool = False,
        optimize_remat: bool = False,
    ) -> None:
        """Defines the derivative in reverse mode.

        Args:
            fwd: takes the arguments of the function; returns `(result, residuals)`, the result as
                the function's, the residuals any pytree. What is traced among them reaches bwd as
                an array, the rest as it is.
            bwd: takes the non-differentiable arguments, the residuals, and a cotangent like the
                result; returns a tuple of cotangents, one for each differentiable argument, of its
                structure, shapes and dtypes. None stands for zeros.
            symbolic_zeros: whether leaves of the arguments of fwd come as `CustomVJPPrimal`, which
                says whether a derivative in them may be asked for, and cotangents that are known
                to be zero as `SymbolicZero`.
            optimize_remat: no effect: what is not needed is not computed in any case.
        """
        check_callable(fwd)
        check_callable(bwd)
        self._rules = self._rules._replace(fwd=fwd, bwd=bwd, zeros_in_vjp=symbolic_zeros)

    def defjvp(self, jvp: Callable[..., Any], symbolic_zeros: bool = False) -> Callable[..., Any]:
        """Defines the derivative in forward mode.

        Args:
            jvp: takes the non-differentiable arguments, a tuple of the others and a tuple of their
                tangents; returns `(result, tangent)`, both like the function's result. The tangent
                is linear in the tangents. None stands for zeros.
            symbolic_zeros: whether tangents that are known to be zero come as `SymbolicZero`.

        Returns:
            `jvp`, so that this can be a decorator.
        """
        check_callable(jvp)
        self._rules = self._rules._replace(jvp=jvp, jvp_source=jvp, zeros_in_jvp=symbolic_zeros)
        return jvp

    def defjvps(self, *jvps: Callable[..., Any] | None) -> None:
        """Defines the derivative in forward mode, argument by argument.

        Args:
            jvps: one for each argument, called as `jvp(tangent, result, *primals)`; returns what
                the argument contributes to the tangent of the result. None for an argument that
                contributes nothing.

        Raises:
            ArgumentError: the function has non-differentiable arguments.
        """
        if self._nondiff:
            raise ArgumentError(
                f"defjvps does not go together with nondiff_argnums of "
                f"{function_name(self._function)}; use defjvp"
            )
        for jvp in jvps:
            if jvp is not None:
                check_callable(jvp)
        source = next((jvp for jvp in jvps if jvp is not None), self._function)
        rule = functools.partial(_sum_of_jvps, self, jvps)
        self._rules = self._rules._replace(jvp=rule, jvp_source=source, zeros_in_jvp=False)

    @hide_frames
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._rules.fwd is None and self._rules.jvp is None:
            method = "defvjp(fwd, bwd)" if self._wanted == "custom_vjp" else "defjvp(rule)"
            name = function_name(self._function)
            raise DerivativeRuleError(
                f"{name} is a {self._wanted} without a rule; call {name}.{method} before it is "
                "used",
                function_source(self._function),
            )
        if current_scope() is None:
            return self._function(*args, **kwargs)
        positional, nondiff = self.bind(args, kwargs)
        return emit_custom(self._function, self._rules, positional, nondiff)

    @property
    def rules(self) -> Rules:
        """The rules that are defined."""
        return self._rules

    def bind(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], list[int]]:
        """All arguments by position, and which of them have no derivatives."""
        positional = _positional(self._function, args, kwargs)
        count = len(positional)
        return positional, sorted({n % count for n in self._nondiff if -count <= n < count})


def _sum_of_jvps(
    function: CustomFunction,
    jvps: tuple[Callable[..., Any] | None, ...],
    primals: tuple[Any, ...],
    tangents: tuple[Any, ...],
) -> tuple[Any, Any]:
    """The rule that `defjvps` stands for."""
    if len(jvps) != len(primals):
        raise DerivativeRuleError(
            f"defjvps of {function_name(function)} names {len(jvps)} rules for {len(primals)} "
            "arguments",
            function_source(function),
        )
    result = function(*primals)
    total: Any = None
    for jvp, tangent in zip(jvps, tangents, strict=True):
        if jvp is None:
            continue
        part = rewritten_here(jvp)(tangent, result, *primals)
        total = part if total is None else tree_map(np.add, total, part)
    return result, total


def _positional(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, ...]:
    """All arguments by position, default values included."""
    signature = _signature(function)
    if signature is None:
        if kwargs:
            raise ArgumentTypeError(
                f"the parameters of {function_name(function)} are not known: pass its arguments "
                "by position"
            )
        return args
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    if bound.kwargs:
        raise ArgumentTypeError(
            f"{function_name(function)} takes {', '.join(bound.kwargs)} by keyword only, which "
            "functions with derivative rules cannot; make it an ordinary parameter",
            function_source(function),
        )
    return bound.args


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    """The signature; None where it is not known, or is that of all ufuncs."""
    if isinstance(function, np.ufunc):
        return None
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _custom(
    function: Callable[..., Any],
    wanted: str,
    nondiff_argnums: int | Sequence[int],
    nondiff_argnames: str | Sequence[str],
) -> CustomFunction:
    check_callable(function)
    name = function_name(function)
    numbers: list[Any] = [nondiff_argnums]
    if isinstance(nondiff_argnums, Sequence):
        numbers = list(nondiff_argnums)
    names = [nondiff_argnames] if isinstance(nondiff_argnames, str) else [*nondiff_argnames]
    if not all(isinstance(n, (int, np.integer)) for n in numbers):
        raise ArgumentTypeError(f"nondiff_argnums must be ints, not {nondiff_argnums!r}")
    signature = _signature(function)
    parameters = [] if signature is None else list(signature.parameters.values())
    for parameter in names:
        found = [i for i, p in enumerate(parameters) if p.name == parameter]
        if not found:
            raise ArgumentError(f"nondiff_argnames: {name} has no parameter {parameter!r}")
        numbers += found
    open_ended = any(p.kind is p.VAR_POSITIONAL for p in parameters) or not parameters
    for number in numbers:
        if not open_ended and not -len(parameters) <= number < len(parameters):
            raise ArgumentError(f"nondiff_argnums: {name} has no parameter {number}")
    if isinstance(function, CustomFunction):
        # One function with rules of both kinds.
        nondiff = tuple(dict.fromkeys([*function._nondiff, *numbers]))
        return CustomFunction(function._function, nondiff, wanted, function._rules)
    return CustomFunction(function, tuple(dict.fromkeys(numbers)), wanted)


@hide_frames
def custom_vjp(
    function: Callable[..., Any],
    nondiff_argnums: int | Sequence[int] = (),
    nondiff_argnames: str | Sequence[str] = (),
) -> CustomFunction:
    """A function whose derivative in reverse mode the user defines, with `defvjp`.

    Outside of traced code it is the function itself. Rules are traced like any NumPy code, where a
    derivative is asked for; derivatives of higher order are derivatives of the rules. In forward
    mode, the transpose of `bwd` is used if `bwd` is linear in the cotangent, unless `defjvp`
    defines a rule. Rules know no derivatives in traced arrays of enclosing functions that they use:
    to ask for one is an error.

    Args:
        function: takes pytrees of arrays, and whatever else it likes, as positional arguments;
            returns a pytree of arrays.
        nondiff_argnums: arguments that are no part of the derivative: floats that must keep their
            value while tracing, for one. They come first in `bwd` and in the rule of `defjvp`.
        nondiff_argnames: the same, by name.

    Returns:
        The function, with the methods `defvjp`, `defjvp` and `defjvps`.

    Raises:
        DerivativeRuleError: when called, if no rule is defined, or one returns what does not fit.
        CompilerError: when compiled, if a rule is used in a mode that it cannot be transposed for,
            or a derivative in what the rules close over is asked for.
    """
    return _custom(function, "custom_vjp", nondiff_argnums, nondiff_argnames)


@hide_frames
def custom_jvp(
    function: Callable[..., Any],
    nondiff_argnums: int | Sequence[int] = (),
    nondiff_argnames: str | Sequence[str] = (),
) -> CustomFunction:
    """A function whose derivative in forward mode the user defines, with `defjvp` or `defjvps`.

    As `custom_vjp`. Reverse mode transposes the rule, unless `defvjp` defines one.

    Args:
        function: as for `custom_vjp`.
        nondiff_argnums: as for `custom_vjp`.
        nondiff_argnames: as for `custom_vjp`.

    Returns:
        The function, with the methods `defvjp`, `defjvp` and `defjvps`.
    """
    return _custom(function, "custom_jvp", nondiff_argnums, nondiff_argnames)
