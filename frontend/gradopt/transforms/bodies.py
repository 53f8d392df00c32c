# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bodies of loops and branches.

A body is traced into a function of the module, as what is differentiated is. The region of the
`scf` op calls it. So values of the enclosing trace that it uses become arguments, and an array
that is stored away in it cannot be used outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradopt.array.handle import Handle, array_of, python_number, wrap
from gradopt.array.unknown_sizes import apart
from gradopt.base.dtypes import INT64, PYTHON_NUMBERS, WEAK_TYPES, DType, result_type
from gradopt.base.location import function_source
from gradopt.base.pytree import TreeDef, flatten, flatten_like, leaf_paths
from gradopt.compilation.calling import describe_returned, function_name, returned_value
from gradopt.errors import ArgumentError, ArgumentTypeError
from gradopt.ir import outcomes, prims
from gradopt.ir.extents import Sizes, confined
from gradopt.ir.prims import scalar
from gradopt.ir.trace import Scope
from gradopt.ir.types import tensor_type
from gradopt.ir.values import Value
from gradopt.recording import grad, ir
from gradopt.transforms.inner import InnerFunction, trace_function, traced_leaves

Raw = ir.Value


class Spec(NamedTuple):
    """What there is to know of an array but its elements.

    Attributes:
        shape: the shape.
        dtype: the dtype.
        weak: whether it is a Python number.
        is_scalar: whether it is a scalar, and no array.
    """

    shape: tuple[int, ...]
    dtype: DType
    weak: bool
    is_scalar: bool

    @staticmethod
    def of(leaf: Any, value: Value) -> Spec:
        """Of a leaf as the user gave it, and its value.

        Raises:
            UnsupportedError: its size is known at run time only.
        """
        if value.shape.__class__ is Sizes:
            raise confined()
        if isinstance(leaf, Handle):
            return Spec(value.shape, value.dtype, leaf._weak, leaf._is_scalar)
        weak = type(leaf) in PYTHON_NUMBERS
        return Spec(value.shape, value.dtype, weak, weak or isinstance(leaf, np.generic))

    def __str__(self) -> str:
        return f"{self.dtype.name}{list(self.shape)}"

    @property
    def kind(self) -> Any:
        """What NumPy's promotion sees."""
        return WEAK_TYPES[self.dtype.kind] if self.weak else self.dtype

    def join(self, other: Spec) -> Spec | None:
        """What both can be taken for: Python numbers adapt, nothing else does."""
        if self.shape != other.shape:
            return None
        if self.dtype != other.dtype:
            if not (self.weak or other.weak):
                return None
            dtype = np.dtype(result_type(self.kind, other.kind))
            for one in (self, other):
                if not one.weak and one.dtype != dtype:
                    return None
        else:
            dtype = self.dtype
        both = self.weak and other.weak
        return Spec(self.shape, dtype, both, self.is_scalar and other.is_scalar)

    def wrap(self, value: Value) -> Any:
        """The value as the user gets it."""
        if self.weak:
            return python_number(value)
        return wrap(value) if self.is_scalar else array_of(value)

    def adapt(self, leaf: Any, value: Value) -> Value:
        """The value of a leaf; a Python number takes this dtype."""
        if value.dtype == self.dtype or not Spec.of(leaf, value).weak:
            return value
        joined = self.join(Spec.of(leaf, value))
        return value if joined is None else prims.convert(value, joined.dtype)


class Body(NamedTuple):
    """A traced body.

    Attributes:
        inner: the function of the module.
        tree: the structure of what it returns.
        specs: of the leaves of that.
    """

    inner: InnerFunction
    tree: TreeDef
    specs: list[Spec]


def traced_specs(tree: Any, root: str) -> tuple[list[Spec], list[Value], TreeDef]:
    """An argument of a loop or branch: what its leaves are, their values, its structure."""
    leaves, treedef, _ = traced_leaves(tree, root)
    values = [leaf._read() for leaf in leaves]
    specs = [Spec.of(leaf, value) for leaf, value in zip(leaves, values, strict=True)]
    return specs, values, treedef


def trace_body(
    function: Callable[..., Any],
    specs: Sequence[Spec],
    call: Callable[[Iterator[Any]], Any],
    wanted: Sequence[Spec] = (),
) -> Body:
    """Traces `call` as a function of arrays of these specs.

    Args:
        function: the user's function that it calls.
        specs: of the arguments, which it may write to: they are copies.
        call: gets the arrays.
        wanted: specs of the first leaves of the result, whose dtypes Python numbers take.
    """

    def enter(inner: Scope) -> list[Handle]:
        return [spec.wrap(inner.add_argument(spec.shape, spec.dtype, "")) for spec in specs]

    def body(arguments: list[Handle]) -> tuple[list[Value], Any]:
        result = call(iter(arguments))
        leaves, tree = flatten(result)
        paths = leaf_paths(tree, "result")
        values = [
            returned_value(leaf, path, function) for leaf, path in zip(leaves, paths, strict=True)
        ]
        for i, spec in enumerate(wanted[: len(values)]):
            values[i] = spec.adapt(leaves[i], values[i])
        specs = [Spec.of(leaf, value) for leaf, value in zip(leaves, values, strict=True)]
        return values, (tree, specs)

    inner, (tree, results) = trace_function(function, enter, body)
    return Body(inner, tree, results)


def trace_carry(
    function: Callable[..., Any],
    carried: list[Spec],
    tree: TreeDef,
    call: Callable[..., tuple[Any, Any]],
    others: Sequence[Spec],
    what: str,
) -> tuple[Body, list[Spec]]:
    """Traces the body of a loop until what it carries stays as it is.

    Args:
        function: the user's body.
        carried: what the loop carries at first; a Python number among it may become what the body
            makes of it.
        tree: the structure of that.
        call: gets the carried tree and an iterator over other arguments; gives the next tree and
            other results.
        others: specs of the other arguments, which come first.
        what: of the loop, for messages.

    Raises:
        ArgumentError: the body returns another structure, shape or dtype than it gets.
    """
    name, place = function_name(function), function_source(function)
    while True:

        def enter(arguments: Iterator[Any]) -> Any:
            first = [next(arguments) for _ in others]
            state = tree.unflatten([next(arguments) for _ in range(tree.leaf_count)])
            following, rest = call(state, *first)
            try:
                leaves = flatten_like(following, tree, "carry")
            except ArgumentError as error:
                raise ArgumentError(
                    f"{name} must return what {what} carries, {tree}, but it returned "
                    f"{describe_returned(following)}: {error.message}",
                    place,
                ) from None
            return apart(tree.unflatten(leaves), Handle._read), rest

        body = trace_body(function, [*others, *carried], enter, carried)
        changed = False
        paths = leaf_paths(tree, "carry")
        for i, (spec, path) in enumerate(zip(list(carried), paths, strict=True)):
            result = body.specs[i]
            joined = spec.join(result)
            if joined is None:
                raise (ArgumentError if spec.shape != result.shape else ArgumentTypeError)(
                    f"{name} must return what {what} carries: {path} is {spec}, but it returned "
                    f"{result}",
                    place,
                )
            if joined.dtype != spec.dtype or joined.weak != spec.weak:
                changed = True
                carried = [*carried[:i], joined, *carried[i + 1 :]]
        if not changed:
            return body, carried


def adapted(values: Sequence[Value], specs: Sequence[Spec]) -> list[Value]:
    """Initial values, converted to what a loop carries."""
    return [prims.convert(v, spec.dtype) for v, spec in zip(values, specs, strict=True)]


class Region:
    """Adds ops to the block of a loop or branch, or of a function itself.

    Values are as they are recorded.
    """

    def __init__(self, scope: Scope, block: ir.Block) -> None:
        self._location = scope.trace.locations.here()
        self._block = block

    def add(self, builder: Any, *operands: Any) -> Any:
        """The result of an op of the grad dialect, or the op, as its builder gives it."""
        return builder(*operands, loc=self._location, ip=self._block)

    def op(
        self,
        name: str,
        operands: Sequence[Raw],
        results: Sequence[str] = (),
        attributes: dict[str, ir.Attribute] | None = None,
        regions: int = 0,
    ) -> ir.Operation:
        """An op of an upstream dialect with results of these types."""
        at = self._location, self._block
        return ir.Operation(name, operands, results, attributes or {}, regions, *at)

    def call(
        self, inner: InnerFunction, arguments: Sequence[Raw], lifted: Sequence[Raw]
    ) -> list[Raw]:
        """The results of a traced function, outcomes of checks behind them."""
        types = [*inner.results, *inner.outcome]
        return self.add(grad.CallOp, types, inner.name, [*arguments, *lifted]).results

    def leave(self, values: Sequence[Raw]) -> None:
        """Ends a loop's iteration, or a branch."""
        self.op("scf.yield", values)

    def position(self, index: Raw) -> Raw:
        """An index as a tensor."""
        word = self.op("arith.index_cast", [index], ["i64"]).results[0]
        return self.op("tensor.from_elements", [word], [tensor_type((), INT64)]).results[0]

    def index(self, value: Raw) -> Raw:
        """A tensor of one int64 as an index."""
        word = self.op("tensor.extract", [value], ["i64"]).results
        return self.op("arith.index_cast", word, ["index"]).results[0]

    def flag(self, truth: Raw) -> Raw:
        """A tensor of one bool as a number."""
        return self.op("tensor.extract", [truth], ["i1"]).results[0]


def index_of(scope: Scope, value: Value | int) -> Raw:
    """An integer as an index."""
    here = Region(scope, scope.block)
    if isinstance(value, int):
        attributes = {"value": ir.integer(value, "index")}
        return here.op("arith.constant", [], ["index"], attributes).results[0]
    return here.index(scope.use(value))


def flag_of(scope: Scope, value: Value) -> Raw:
    """One bool as a number."""
    return Region(scope, scope.block).flag(scope.use(value))


class Outcome:
    """What came of the checks in bodies: two more values that a loop carries, if there are any."""

    def __init__(self, scope: Scope, inners: Sequence[InnerFunction]) -> None:
        self.any = any(inner.outcome for inner in inners)
        self._zero = scope.use(scalar(0, INT64)) if self.any else None

    @property
    def inits(self) -> list[Raw]:
        """Of no failure."""
        return [self._zero, self._zero] if self.any else []  # pyright: ignore[reportReturnType]

    def merge(self, region: Region, earlier: Sequence[Raw], found: Sequence[Raw]) -> list[Raw]:
        """The first failure; `found` is empty if a body has no checks."""
        if not self.any or not found:
            return list(earlier)
        failed = region.add(grad.not_equal, earlier[0], self._zero)
        return [region.add(grad.select, failed, a, b) for a, b in zip(earlier, found, strict=True)]

    def unless_failed(self, region: Region, truth: Raw, outcome: Sequence[Raw]) -> Raw:
        """A condition that does not hold after a failure: a loop might not end without it."""
        if not self.any:
            return truth
        passed = region.add(grad.equal, outcome[0], self._zero)
        return region.add(grad.logical_and, truth, passed)

    def leave(self, results: Sequence[Value]) -> None:
        """Hands the outcome to the enclosing function."""
        if self.any:
            number, value = results
            outcomes.add_outcome(number, value)
