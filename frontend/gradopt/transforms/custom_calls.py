# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Calls of functions with derivative rules: one `grad.custom` op and the functions that it names.

Nothing is differentiated here. The function, and the rules where somebody may ask for a derivative,
are traced into functions of the module. Traced values of enclosing functions that any of them uses
become arguments of all of them, behind the others.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradopt.array.handle import Handle, argument_array, array_of
from gradopt.base.dtypes import INT64, is_inexact
from gradopt.base.location import function_source
from gradopt.base.pytree import ARRAY_PROTOCOLS, flatten, leaf_paths
from gradopt.compilation.calling import (
    argument_names,
    call_user,
    function_name,
    plain_leaf,
    result_value,
)
from gradopt.errors import UnsupportedError
from gradopt.ir import checks, outcomes, prims
from gradopt.ir.trace import Scope, within
from gradopt.ir.values import Value, depends, used_by
from gradopt.recording import grad as dialect
from gradopt.transforms.inner import like
from gradopt.transforms.jacobian_products import vjp
from gradopt.transforms.rule_results import Checker, Result, result_of
from gradopt.transforms.symbolic_zeros import CustomVJPPrimal, SymbolicZero


class Rules(NamedTuple):
    """The derivatives that a user gave for a function.

    Attributes:
        fwd: takes what the function takes; returns its result and residuals.
        bwd: takes residuals and a cotangent; returns a tuple of cotangents of the arguments.
        jvp: takes primals and tangents, tuples; returns the result and its tangent.
        jvp_source: the function of the user's that `jvp` is made of.
        zeros_in_vjp: whether `fwd` and `bwd` get symbolic zeros.
        zeros_in_jvp: whether `jvp` does.
    """

    fwd: Callable[..., Any] | None = None
    bwd: Callable[..., Any] | None = None
    jvp: Callable[..., Any] | None = None
    jvp_source: Any = None
    zeros_in_vjp: bool = False
    zeros_in_jvp: bool = False


_CALLS = ("grad.call", "grad.custom", "grad.jvp", "grad.vjp", "grad.vmap")


class Arguments:
    """The arguments of one call: those that are traced, and those that stay what they are.

    Args:
        function: the function that is called.
        args: its arguments.
        nondiff: those among them that have no derivatives.

    Attributes:
        nondiff: the arguments without derivatives.
        names: names of the other arguments.
        tree: structure of the other arguments, a tuple.
        inputs: the traced leaves of these: all floats, and what else is traced already.
        paths: how the user reaches the inputs.
    """

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], nondiff: Sequence[int]
    ) -> None:
        self._args = args
        self._chosen = [i for i in range(len(args)) if i not in nondiff]
        roots = argument_names(function, len(args))
        self.nondiff = [args[i] for i in nondiff]
        self.names = [roots[i] for i in self._chosen]
        self._leaves, self.tree = flatten(tuple([args[i] for i in self._chosen]))
        self._all_paths: list[str] = []
        for child, name in zip(self.tree.children, self.names, strict=True):
            self._all_paths += leaf_paths(child, name)
        self._places: list[int] = []
        self.inputs: list[Handle] = []
        for i, (leaf, path) in enumerate(zip(self._leaves, self._all_paths, strict=True)):
            if not isinstance(leaf, Handle) and not _is_float(leaf, path):
                continue
            self._places.append(i)
            self.inputs.append(like(leaf, result_value(leaf, path)))
        self.paths = [self._all_paths[i] for i in self._places]

    @property
    def floats(self) -> list[int]:
        """The inputs that have tangents."""
        return [i for i, leaf in enumerate(self.inputs) if is_inexact(leaf.dtype)]

    def primals(self, inputs: Sequence[Handle]) -> tuple[Any, ...]:
        """The arguments that have derivatives, with these inputs."""
        leaves = list(self._leaves)
        for place, value in zip(self._places, inputs, strict=True):
            leaves[place] = value
        return self.tree.unflatten(leaves)

    def all(self, inputs: Sequence[Handle], marked: bool = False) -> tuple[Any, ...]:
        """All arguments, with these inputs; leaves say whether they are perturbed if `marked`."""
        args = list(self._args)
        primals = self.primals(inputs)
        if marked:
            leaves = zip(flatten(primals)[0], self._is_perturbed, strict=True)
            primals = self.tree.unflatten([CustomVJPPrimal(*leaf) for leaf in leaves])
        for i, value in zip(self._chosen, primals, strict=True):
            args[i] = value
        return tuple(args)

    @property
    def _is_perturbed(self) -> list[bool]:
        """For each leaf whether it is traced, and of floats."""
        return [isinstance(leaf, Handle) and is_inexact(leaf.dtype) for leaf in self._leaves]

    def tangents(self, tangents: Sequence[Handle], symbolic: bool = False) -> tuple[Any, ...]:
        """Tangents as a rule gets them: zeros for integers, None for what is no array.

        What is known to be zero comes as a symbolic zero, if `symbolic`.
        """
        leaves: list[Any] = [
            None
            if not isinstance(leaf, (Handle, int, float, np.generic, np.ndarray))
            else SymbolicZero.of(leaf)
            if symbolic
            else np.zeros(leaf.shape, leaf.dtype)
            if isinstance(leaf, Handle)
            else np.zeros_like(leaf)
            for leaf in self._leaves
        ]
        perturbed = self._is_perturbed
        for i, tangent in zip(self.floats, tangents, strict=True):
            place = self._places[i]
            is_zero = symbolic and not perturbed[place]
            leaves[place] = SymbolicZero.of(self.inputs[i]) if is_zero else tangent
        return self.tree.unflatten(leaves)

    def cotangents(self, returned: Any, checker: Checker) -> list[Value]:
        """The cotangents of the floats among the inputs."""
        leaves = checker.cotangents(returned, self.names, self.tree.children)
        values: list[Value] = []
        inputs = dict(zip(self._places, self.inputs, strict=True))
        for i, (leaf, path) in enumerate(zip(leaves, self._all_paths, strict=True)):
            if i not in inputs:
                checker.none(leaf, path)
                continue
            value = checker.cotangent(leaf, path, inputs[i])
            if value is not None:
                values.append(value)
        return values


def _is_float(leaf: Any, path: str) -> bool:
    """Whether a concrete argument is an array or number of floats."""
    if not isinstance(leaf, (float, complex)) and not any(
        hasattr(type(leaf), protocol) for protocol in ARRAY_PROTOCOLS
    ):
        return False
    return is_inexact(np.asarray(plain_leaf(leaf, path)).dtype)


class _Part:
    """One of the functions that the op names, while it is traced.

    Args:
        name: what to call it.
        source: the user's function that is traced.
        order: how many derivatives of its code may be asked for.
        before: the part that was traced before: this one has what that one captured.
    """

    def __init__(self, name: str, source: Any, order: int, before: _Part | None) -> None:
        outer = prims.scope()
        self.name = outer.trace.unique_name(name)
        self.scope = Scope(outer.trace, outer, self.name, source)
        self.scope.order = order
        self.types: list[str] = []
        self._source = source
        self._before = before
        self._results: list[Value] = []
        self._count = 0
        self._finished = False

    def add(self, leaf: Handle, path: str) -> Handle:
        """A new argument like `leaf`."""
        value = self.scope.add_argument(leaf.shape, leaf.dtype, path)
        return argument_array(value, path, weak=leaf._weak, scalar=leaf._is_scalar)

    def capture(self, values: Sequence[Value]) -> None:
        """Makes values of enclosing functions arguments, in this order."""
        for value in values:
            self.scope.use(value)

    def trace(self, body: Callable[[], tuple[list[Value], list[Value]]]) -> None:
        """Adds the code: `body` gives the results, and what stands behind them."""
        if self._before is not None:
            self.capture(self._before.scope.lifted)

        def run() -> tuple[list[Value], list[Value]]:
            found = body()
            # Effects are among what came of checks.
            checks.outcome_of(self.scope)
            return found

        results, further = within(self.scope, run)
        self._results = [*results, *further]
        self._count = len(results)

    def resume(self, body: Callable[[], Any]) -> None:
        """Adds code after the end, for what it checks."""
        self.scope.open = True
        within(self.scope, body)

    def require_checks_without(self, forbidden: Sequence[Handle], what: str, owner: str) -> None:
        """Raises where a check or an effect of the code depends on one of the arguments.

        Raises:
            UnsupportedError: at the definition of the rule.
        """
        if self.scope.outcome is None:
            return
        if depends(self.scope.outcome, [leaf._storage.value for leaf in forbidden]):
            raise UnsupportedError(
                f"the rule {function_name(self._source)} of {owner} checks indices that depend on "
                f"{what}, or prints or warns of such values, which is not supported; these may "
                "depend on arguments and residuals",
                function_source(self._source),
            )

    def mixes(self, tangents: Sequence[Value]) -> bool:
        """Whether tangents go through ops that call functions, or have regions."""
        linear = {value.ssa for value in tangents}
        for op in self.scope.block.operations:
            if not any(value in linear for value in used_by(op)):
                continue
            if op.regions or op.name in _CALLS:
                return True
            linear.update(op.results)
        return False

    def finish(self, captures: Sequence[Value], has_outcome: bool) -> None:
        """Ends the function; what came of checks stands behind the results."""
        self._finished = True
        self.capture(captures)
        outcome: Sequence[Value] = ()
        if has_outcome:
            zero = self.scope.constant(np.array(0, INT64))
            outcome = self.scope.outcome or (zero, zero)
        results, further = self._results[: self._count], self._results[self._count :]
        self.types = self.scope.finish([*results, *outcome, *further])

    def abandon(self) -> None:
        """Leaves a valid function behind: who catches the error may go on."""
        if not self._finished:
            with contextlib.suppress(Exception):
                self.scope.finish([])


def _behind_effects(scope: Scope, values: Sequence[Value]) -> list[Value]:
    """The same numbers, from when on the effects of the code have happened: these leave 0 behind.

    For cotangents, which have no outcome beside them.
    """
    if scope.effects is None:
        return [*values]
    one, scope.effects = scope.effects._read() + 1.0, None
    return [
        value * prims.broadcast_to(prims.convert(one, value.dtype), value.shape) for value in values
    ]


class _CircularError(Exception):
    """A rule gives tangents to its own function: that cannot be told from itself."""


class _Call:
    """One call of a function with rules."""

    def __init__(
        self,
        function: Callable[..., Any],
        rules: Rules,
        args: tuple[Any, ...],
        nondiff: Sequence[int],
    ) -> None:
        self._function = function
        self._rules = rules
        self._nondiff = nondiff
        self._arguments = Arguments(function, args, nondiff)
        self._name = function_name(function)
        self._parts: dict[str, _Part] = {}
        self._result: Result
        self._mixed = False

    def emit(self) -> Any:
        here = prims.scope()
        try:
            captures = self._trace(here)
        except Exception:
            for part in self._parts.values():
                part.abandon()
            raise
        names = {kind: part.name for kind, part in self._parts.items() if kind != "callee"}
        function = self._parts["callee"]
        outputs = here.emit_many(
            functools.partial(dialect.CustomOp, **names),
            function.types,
            function.name,
            [here.use(leaf._read()) for leaf in self._arguments.inputs],
            [here.use(value) for value in captures],
        )
        leaves = self._result.leaves
        if len(outputs) > len(leaves):
            outcomes.add_outcome(*outputs[len(leaves) :])
        return self._result.tree.unflatten(
            [like(leaf, value) for leaf, value in zip(leaves, outputs[: len(leaves)], strict=True)]
        )

    def _trace(self, here: Scope) -> list[Value]:
        """Traces all parts; returns what they capture."""
        self._trace_function()
        # In the outermost function there is nobody to ask for a derivative.
        order, limit = here.order, here.limits.get(id(self._function))
        if limit is not None:
            order = min(order, limit[0])
            self._require_constant([limit])
        if order > 0:
            if self._rules.fwd is not None:
                self._trace_vjp(order - 1)
            if self._rules.jvp is not None:
                self._trace_jvp(order - 1)
            if self._rules.fwd is None and self._mixed:
                try:
                    self._trace_transpose(order - 1)
                except _CircularError:
                    for kind in ("fwd", "bwd"):
                        self._parts.pop(kind).abandon()
                    self._require_constant(here.limits.values())
        parts = list(self._parts.items())
        captures = parts[-1][1].scope.lifted
        has_outcome = any(kind != "bwd" and part.scope.outcome is not None for kind, part in parts)
        for kind, part in parts:
            part.finish(captures, has_outcome and kind != "bwd")
        return captures

    def _require_constant(self, limits: Iterable[tuple[int, Scope]]) -> None:
        """Raises where an input depends on the tangents of rules that are transposed."""
        for leaf, (_, scope) in itertools.product(self._arguments.inputs, limits):
            if scope.depends_on_arguments(leaf._read()):
                raise _CircularError

    def _part(self, kind: str, source: Any, order: int) -> _Part:
        before = next(reversed(self._parts.values()), None)
        name = self._name if before is None else f"{self._name}_{kind}"
        part = self._parts[kind] = _Part(name, source, order, before)
        return part

    def _add_inputs(self, part: _Part) -> list[Handle]:
        arguments = self._arguments
        return [part.add(*leaf) for leaf in zip(arguments.inputs, arguments.paths, strict=True)]

    def _trace_function(self) -> None:
        part = self._part("callee", self._function, 0)
        inputs = self._add_inputs(part)

        def body() -> tuple[list[Value], list[Value]]:
            returned = call_user(self._function, self._arguments.all(inputs), {})
            self._result = result_of(returned, self._function)
            return self._result.values, []

        part.trace(body)

    def _trace_vjp(self, order: int) -> None:
        rule = self._rules.fwd
        assert rule is not None
        part = self._part("fwd", rule, order)
        inputs = self._add_inputs(part)
        checker = Checker(self._name, "fwd", rule)
        residuals: Any = None

        def body() -> tuple[list[Value], list[Value]]:
            nonlocal residuals
            args = self._arguments.all(inputs, self._rules.zeros_in_vjp)
            returned = call_user(rule, args, {})
            result, residuals = checker.pair(returned, "(result, residuals)")
            kept = [leaf for leaf in flatten(residuals)[0] if isinstance(leaf, Handle)]
            return checker.results(result, self._result), [
                result_value(leaf, "residuals") for leaf in kept
            ]

        part.trace(body)
        self._trace_bwd(part, residuals, order)

    def _trace_bwd(self, fwd: _Part, residuals: Any, order: int) -> None:
        rule, arguments, result = self._rules.bwd, self._arguments, self._result
        assert rule is not None
        part = self._part("bwd", rule, order)
        # What is not traced is known to the rule as it is.
        kept, tree = flatten(residuals)
        for i, path in enumerate(leaf_paths(tree, "residuals")):
            if isinstance(kept[i], Handle):
                kept[i] = part.add(kept[i], path)
        cotangent: list[Any] = [np.zeros(value.shape, value.dtype) for value in result.values]
        if self._rules.zeros_in_vjp:
            for i, value in enumerate(result.values):
                if i not in result.floats:
                    cotangent[i] = SymbolicZero(value.shape, value.dtype)
        zeros = result.tree.unflatten(cotangent)
        paths = leaf_paths(result.tree, "cotangent")
        for i in result.floats:
            cotangent[i] = part.add(like(result.leaves[i], result.values[i]), paths[i])

        def call(residuals: Any, cotangent: Any) -> Any:
            return call_user(rule, (*arguments.nondiff, residuals, cotangent), {})

        def body() -> tuple[list[Value], list[Value]]:
            returned = call(tree.unflatten(kept), result.tree.unflatten(cotangent))
            cotangents = arguments.cotangents(returned, Checker(self._name, "bwd", rule))
            return _behind_effects(part.scope, cotangents), []

        part.trace(body)
        if part.scope.outcome is None:
            return
        # Cotangents come without room for what came of checks: fwd makes them.
        part.require_checks_without([cotangent[i] for i in result.floats], "cotangents", self._name)
        fwd.capture(part.scope.lifted)
        fwd.resume(lambda: call(residuals, zeros))

    def _trace_jvp(self, order: int) -> None:
        arguments = self._arguments
        part = self._part("jvp", self._rules.jvp_source, order)
        inputs = self._add_inputs(part)
        tangents = [
            part.add(arguments.inputs[i], f"the tangent of {arguments.paths[i]}")
            for i in arguments.floats
        ]

        def body() -> tuple[list[Value], list[Value]]:
            return self._push(inputs, tangents)

        part.trace(body)
        part.require_checks_without(tangents, "tangents", self._name)
        self._mixed = part.mixes([leaf._storage.value for leaf in tangents])

    def _push(
        self, inputs: Sequence[Handle], tangents: Sequence[Handle]
    ) -> tuple[list[Value], list[Value]]:
        """The results and the tangents that the rule for forward mode gives."""
        rule, arguments = self._rules.jvp, self._arguments
        assert rule is not None
        moved = arguments.tangents(tangents, self._rules.zeros_in_jvp)
        args = (*arguments.nondiff, arguments.primals(inputs), moved)
        checker = Checker(self._name, "jvp", self._rules.jvp_source)
        result, tangent = checker.pair(call_user(rule, args, {}), "(result, tangent)")
        return checker.results(result, self._result), checker.tangents(tangent, self._result)

    def _trace_transpose(self, order: int) -> None:
        """Rules for reverse mode: the derivative of that for forward mode, in the tangents.

        For a rule in which one loop or function makes results and tangents: the compiler transposes
        code of tangents alone.
        """
        arguments, result = self._arguments, self._result
        forward = self._part("fwd", self._rules.jvp_source, order)
        inputs = self._add_inputs(forward)

        def fwd() -> tuple[list[Value], list[Value]]:
            args = arguments.all(inputs)
            returned = emit_custom(self._function, self._rules, args, self._nondiff)
            found = result_of(returned, self._function)
            return found.values, [leaf._read() for leaf in inputs]

        forward.trace(fwd)
        part = self._part("bwd", self._rules.jvp_source, order)
        # Where the rule calls the function itself, nobody asks for its derivative in the tangents.
        limit = order, part.scope
        part.scope.limits = {**part.scope.limits, id(self._function): limit}
        kept = self._add_inputs(part)
        cotangents = [
            part.add(like(result.leaves[i], result.values[i]), "cotangent") for i in result.floats
        ]

        def zeros() -> list[Handle]:
            leaves = [arguments.inputs[i] for i in arguments.floats]
            return [array_of(prims.full(leaf.shape, 0, leaf.dtype)) for leaf in leaves]

        def push(*tangents: Handle) -> list[Handle]:
            return [array_of(value) for value in self._push(kept, tangents)[1]]

        def bwd() -> tuple[list[Value], list[Value]]:
            return [leaf._read() for leaf in vjp(push, *zeros())[1](cotangents)], []

        part.trace(bwd)
        if part.scope.outcome is not None:
            forward.capture(part.scope.lifted)
            forward.resume(lambda: self._push(inputs, zeros()))


def emit_custom(
    function: Callable[..., Any], rules: Rules, args: tuple[Any, ...], nondiff: Sequence[int]
) -> Any:
    """Adds a call of the function, with its rules.

    Args:
        function: the user's function.
        rules: its derivatives.
        args: traced arrays, concrete ones, and whatever else it takes.
        nondiff: the arguments without derivatives.

    Returns:
        What the function returns.

    Raises:
        DerivativeRuleError: a rule does not fit the function.
    """
    return _Call(function, rules, args, nondiff).emit()
