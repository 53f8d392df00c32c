# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What derivative rules of users return, checked against the function that they belong to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradopt.array.handle import Handle
from gradopt.array.operands import traced
from gradopt.base.dtypes import PYTHON_NUMBERS, DType, is_inexact
from gradopt.base.location import function_source
from gradopt.base.pytree import TreeDef, flatten, flatten_like, leaf_paths
from gradopt.compilation.calling import (
    describe_returned,
    describe_value,
    function_name,
    returned_value,
)
from gradopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    DerivativeRuleError,
    UnsupportedError,
)
from gradopt.ir import prims
from gradopt.ir.values import Shape, Value
from gradopt.transforms.symbolic_zeros import SymbolicZero


class Result(NamedTuple):
    """What a function returned.

    Attributes:
        tree: its structure.
        leaves: its leaves as the function made them.
        values: the same as values.
    """

    tree: TreeDef
    leaves: list[Any]
    values: list[Value]

    @property
    def floats(self) -> list[int]:
        """The leaves that have tangents."""
        return [i for i, value in enumerate(self.values) if is_inexact(value.dtype)]


def result_of(returned: Any, function: Callable[..., Any]) -> Result:
    """The result of a function."""
    leaves, tree = flatten(returned)
    paths = leaf_paths(tree, "result")
    return Result(
        tree,
        leaves,
        [returned_value(leaf, path, function) for leaf, path in zip(leaves, paths, strict=True)],
    )


class Checker(NamedTuple):
    """Checks what one rule returned; all errors are at the definition of the rule.

    Attributes:
        owner: name of the function that the rule belongs to.
        kind: "fwd", "bwd" or "jvp".
        rule: the user's function.
    """

    owner: str
    kind: str
    rule: Any

    def error(self, what: str) -> DerivativeRuleError:
        """The error that says what is wrong with the rule."""
        return DerivativeRuleError(
            f"the {self.kind} rule {function_name(self.rule)} of {self.owner} {what}",
            function_source(self.rule),
        )

    def pair(self, returned: Any, what: str) -> tuple[Any, Any]:
        """The two things that the rule returned."""
        if type(returned) is not tuple or len(returned) != 2:
            raise self.error(f"must return {what}, but it returned {describe_returned(returned)}")
        return returned

    def results(self, returned: Any, expected: Result) -> list[Value]:
        """What takes the place of the function's own result."""
        leaves = self._leaves(returned, expected.tree, "result", f"the result of {self.owner}")
        paths = leaf_paths(expected.tree, "result")
        return [
            self._value(
                leaf,
                path,
                value.shape,
                value.dtype,
                f"where {self.owner} returns {_describe(value)}",
            )
            for leaf, path, value in zip(leaves, paths, expected.values, strict=True)
        ]

    def tangents(self, returned: Any, result: Result) -> list[Value]:
        """Tangents of the float results; None is zero."""
        leaves = self._leaves(returned, result.tree, "tangent", f"the result of {self.owner}", True)
        paths = leaf_paths(result.tree, "tangent")
        values: list[Value] = []
        for leaf, path, value in zip(leaves, paths, result.values, strict=True):
            whose = f"for a result that is {_describe(value)}"
            if not is_inexact(value.dtype):
                self._require_none(leaf, path, whose)
            else:
                values.append(self._value(leaf, path, value.shape, value.dtype, whose))
        return values

    def cotangents(
        self, returned: Any, names: Sequence[str], trees: Sequence[TreeDef]
    ) -> list[Any]:
        """Leaves of the cotangents of all arguments; None is zero."""
        if type(returned) is not tuple or len(returned) != len(names):
            hint = ""
            if len(names) == 1 and type(returned) is not tuple:
                hint = "; a tuple of one is written (cotangent,)"
            raise self.error(
                f"must return a tuple of {len(names)}, the cotangents of {', '.join(names)}, but "
                f"it returned {describe_returned(returned)}{hint}"
            )
        leaves: list[Any] = []
        for value, tree, name in zip(returned, trees, names, strict=True):
            leaves += self._leaves(value, tree, name, "the arguments", True)
        return leaves

    def cotangent(self, leaf: Any, path: str, argument: Handle) -> Value | None:
        """One cotangent; None where the argument has none."""
        whose = f"for the argument {path}, which is {describe_value(argument)}"
        if not is_inexact(argument.dtype):
            self._require_none(leaf, path, whose)
            return None
        # A Python number has no dtype of its own to keep.
        return self._value(leaf, "", argument.shape, argument.dtype, whose, argument._weak)

    def none(self, leaf: Any, path: str) -> None:
        """Requires that there is no cotangent for an argument that is not traced."""
        self._require_none(leaf, path, f"for the argument {path}, which has none")

    def _leaves(
        self, value: Any, tree: TreeDef, root: str, like: str, none_is_prefix: bool = False
    ) -> list[Any]:
        try:
            return flatten_like(value, tree, root, none_is_prefix=none_is_prefix)
        except ArgumentError as error:
            raise self.error(
                f"returned something of another structure than {like}: {error}"
            ) from None

    def _value(
        self, leaf: Any, path: str, shape: Shape, dtype: DType, whose: str, convert: bool = False
    ) -> Value:
        if leaf is None or type(leaf) is SymbolicZero:
            return prims.full(shape, 0, dtype)
        number = leaf._weak if isinstance(leaf, Handle) else type(leaf) in PYTHON_NUMBERS
        place = f" at {path}" if path else ""
        try:
            value = traced(leaf, dtype) if number else returned_value(leaf, path, self.rule)
        except (ArgumentTypeError, UnsupportedError):
            raise self.error(f"returned {describe_value(leaf)}{place} {whose}") from None
        if convert:
            value = prims.convert(value, dtype)
        if value.shape != shape or value.dtype != dtype:
            raise self.error(f"returned {_describe(value)}{place} {whose}")
        prims.scope().use(value)
        return value

    def _require_none(self, leaf: Any, path: str, whose: str) -> None:
        zero = (
            leaf is None
            or type(leaf) is SymbolicZero
            or (not isinstance(leaf, Handle) and not np.asarray(leaf).astype(bool).any())
        )
        if not zero:
            raise self.error(
                f"must return None at {path}, {whose}, but it returned {describe_returned(leaf)}"
            )


def _describe(value: Value) -> str:
    return f"{value.dtype.name}{list(value.shape)}"
