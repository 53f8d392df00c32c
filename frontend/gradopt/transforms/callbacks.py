# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`pure_callback`: Python code that compiled code calls."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from gradopt.array.handle import Handle
from gradopt.base.dtypes import PYTHON_NUMBERS, WEAK_TYPES, DType
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.base.pytree import TreeDef, flatten, flatten_like, leaf_paths
from gradopt.compilation.calling import (
    check_callable,
    describe_value,
    function_name,
    plain_leaf,
    result_value,
)
from gradopt.compilation.references import RUNNING
from gradopt.errors import (
    ArgumentError,
    CallbackResultError,
    GradoptError,
    SourceLocation,
)
from gradopt.ir.current import current_scope
from gradopt.ir.targets import Target, emit_target_call
from gradopt.ir.values import Shape
from gradopt.transforms.result_specs import ResultSpecs, check_vmap_method

Array = np.ndarray[Any, Any]


class Callback(Target):
    """A Python function with the structure of its arguments and results."""

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: TreeDef,
        results: ResultSpecs,
        location: SourceLocation | None,
    ) -> None:
        super().__init__(function_name(function))
        self._function = function
        self._arguments = arguments
        self._results = results
        self._location = location

    def _key(self) -> Hashable:
        # The function as the object that it is: equal ones may refer to other things.
        return id(self._function), self._arguments, self._results, self._location

    @property
    def handler(self) -> Callable[..., Any]:
        return self.run

    def run(self, inputs: Sequence[Any], shapes: Sequence[Shape]) -> list[Array]:
        """Calls the function; checks what it returns."""
        args, kwargs = self._arguments.unflatten(inputs)
        return self._check(self._function(*args, **kwargs), shapes)

    @property
    def plain_shapes(self) -> list[Shape]:
        """The shapes of the results where nothing is mapped."""
        return [shape for shape, _ in self._results.leaves]

    def result(self, arrays: Sequence[Array]) -> Any:
        """The results in their structure, as a compiled function returns them."""
        return self._results.tree.unflatten(
            [array if array.ndim else array[()] for array in arrays]
        )

    @hide_frames
    def _check(self, returned: Any, shapes: Sequence[Shape]) -> list[Array]:
        results = self._results
        try:
            leaves = flatten_like(returned, results.tree, "result")
        except ArgumentError as error:
            raise self._error(
                f"returned something of another structure than result_shape_dtypes: {error}"
            ) from None
        return [
            self._array(leaf, path, tuple(shape), dtype)
            for leaf, path, shape, (_, dtype) in zip(
                leaves, results.paths, shapes, results.leaves, strict=True
            )
        ]

    def _array(self, leaf: Any, path: str, shape: Shape, dtype: DType) -> Array:
        expected = f"where result_shape_dtypes says {dtype.name}{list(shape)}"
        if isinstance(leaf, Handle):
            raise self._error(
                f"returned a traced array at {path}; it gets and returns NumPy arrays"
            )
        weak = type(leaf) in PYTHON_NUMBERS
        try:
            value = plain_leaf(leaf, path)
        except GradoptError:
            raise self._error(f"returned {describe_value(leaf)} at {path} {expected}") from None
        array = np.asarray(value)
        fits = array.dtype.newbyteorder("=") == dtype or (
            weak and np.result_type(WEAK_TYPES[array.dtype.kind](0), dtype) == dtype
        )
        if array.shape != shape or not fits:
            raise self._error(f"returned {describe_value(array)} at {path} {expected}")
        return np.require(array, dtype.newbyteorder("="), ["C", "A", "E"])

    def _error(self, what: str) -> CallbackResultError:
        return CallbackResultError(f"the callback {self.name} {what}", self._location)


@hide_frames
def pure_callback(
    callback: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    vmap_method: str | None = None,
    **kwargs: Any,
) -> Any:
    """Calls Python code from compiled code, when that runs.

    The callback is pure: it returns the same for the same arguments, and does nothing else. It may
    be called more often than the program says, or not at all if nobody needs its result. It may
    run on any thread. An exception that it raises ends the run, and leaves the call of the compiled
    function as it is; so does the one of Ctrl-C.

    It has no derivative. A function that uses it has one if it is a `custom_vjp` or `custom_jvp`.

    Args:
        callback: gets NumPy arrays, and NumPy scalars where arguments have no dimensions. They are
            its own: it may keep them or write to them.
        result_shape_dtypes: a pytree of arrays or `ShapeDtypeStruct`: what the callback returns.
        args: pytrees of arrays, the arguments of the callback.
        vmap_method: what to do under `vmap`. "sequential", the same as None: one call for each
            element. "expand_dims": one call for all, with the batch as the first dimension of
            arguments and results; it has size 1 in an argument that is the same for all elements.
            "broadcast_all": the same, but such an argument is repeated.
        kwargs: further arguments of the callback.

    Returns:
        What the callback returns. Outside of traced code it is called at once.

    Raises:
        ArgumentTypeError: an argument is not an array, or `result_shape_dtypes` has other leaves.
        ArgumentError: no such `vmap_method`.
        CallbackResultError: when run, if the callback returns another structure, shape or dtype.
        CompilerError: when compiled, if a derivative of it is asked for.
    """
    check_callable(callback)
    batching = check_vmap_method(vmap_method)
    results = ResultSpecs.of(result_shape_dtypes)
    leaves, tree = flatten((args, kwargs))
    paths = _paths(tree)
    target = Callback(callback, tree, results, source_location())
    if current_scope() is None:
        inputs: list[Any] = []
        for leaf, path in zip(leaves, paths, strict=True):
            array = np.array(plain_leaf(leaf, path, _ADVICE))
            inputs.append(array if array.ndim else array[()])
        return target.result(target.run(inputs, target.plain_shapes))
    values = [result_value(leaf, path, _ADVICE) for leaf, path in zip(leaves, paths, strict=True)]
    return results.wrap(emit_target_call(target, batching, values, results.leaves))


RUNNING.add(pure_callback)

_ADVICE = "let the callback refer to what is no array (functools.partial, a closure)"


def _paths(tree: TreeDef) -> list[str]:
    positional, named = tree.children
    paths = leaf_paths(positional, "args")
    for name, child in zip(named.data, named.children, strict=True):
        paths += leaf_paths(child, name)
    return paths
