# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Calls of the user's function while it is traced, and what goes in and comes out."""

from __future__ import annotations

import inspect
import re
import reprlib
from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.array.handle import Handle
from gradopt.array.operators import in_place_of
from gradopt.base.device_arrays import adopt, require_on_host
from gradopt.base.dtypes import PYTHON_NUMBERS, SUPPORTED, SUPPORTED_TEXT
from gradopt.base.location import function_source, innermost
from gradopt.base.parameters import Parameters, parameters
from gradopt.base.pytree import TreeDef, flatten, leaf_paths
from gradopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    BranchError,
    GradoptError,
    MutationError,
    TraceRecursionError,
    UnsupportedError,
)
from gradopt.ir import prims
from gradopt.ir.current import current_scope
from gradopt.ir.extents import Sizes, confined
from gradopt.ir.values import Value
from gradopt.rewrite.functions import rewritten


def function_name(function: Any) -> str:
    """The function's name, for messages and symbols."""
    name = getattr(function, "__name__", None)
    if name is None:
        name = (
            function_name(function.func) if hasattr(function, "func") else type(function).__name__
        )
    return "lambda" if name == "<lambda>" else name


def argument_names(function: Any, count: int) -> list[str]:
    """How the user reaches the first positional arguments: by the names of the parameters."""
    found = parameters(function) or Parameters()
    names = list(found.positional[:count])
    first = 0 if found.rest is None else len(names)
    rest = found.rest or "args"
    return names + [f"{rest}[{i - first}]" for i in range(len(names), count)]


def argument_paths(function: Any, structure: TreeDef) -> list[str]:
    """For each leaf of positional and named arguments how the user reaches it."""
    positional, named = structure.children
    paths: list[str] = []
    for name, child in zip(
        argument_names(function, len(positional.children)), positional.children, strict=True
    ):
        paths += leaf_paths(child, name)
    for name, child in zip(named.data, named.children, strict=True):
        paths += leaf_paths(child, name)
    return paths


def describe_value(value: Any) -> str:
    """`a tuple of 2`, `float64[3]`, `3.5` and so on."""
    if isinstance(value, (Handle, np.ndarray, np.generic)):
        dtype: np.dtype[Any] = value.dtype
        text = f"{dtype.name if dtype.isnative else dtype}{list(value.shape)}"
        plain = isinstance(value, (Handle, np.generic)) or type(value) is np.ndarray
        return text if plain else f"a {type(value).__name__} of {text}"
    if isinstance(value, (tuple, list, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    if value is None or type(value) in (bool, int, float, complex, str):
        return reprlib.repr(value)
    return f"an object of type {type(value).__name__}"


def describe_returned(value: Any) -> str:
    """The same of what a function of the user's returned."""
    return "None (is a return statement missing?)" if value is None else describe_value(value)


def call_user(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Calls the function with traced values.

    Raises:
        MutationError: it changed a list or dict among its arguments.
        TraceRecursionError: it calls itself without end.
    """
    before, trees = _parts(args, kwargs)
    scope = current_scope()
    if scope is not None and scope.owns_arguments:
        given = [leaf for leaf in (*args, *kwargs.values(), *before) if isinstance(leaf, Handle)]
        scope.given += [leaf._storage for leaf in given]
    try:
        result = rewritten_here(function)(*args, **kwargs)
    except NameError as error:
        raise _lost(error) or error from None
    except TraceRecursionError:
        raise
    except RecursionError:
        for argument in (*args, *kwargs.values()):
            if isinstance(argument, Handle):
                argument._require_size()  # The depth may depend on it.
        raise TraceRecursionError(
            f"{function_name(function)} calls itself without end while it is traced: a condition "
            "that would end the recursion cannot depend on traced values; make the argument that "
            "counts static (static_argnums), or write a loop",
            function_source(function),
        ) from None
    after, trees_after = _parts(args, kwargs)
    if trees != trees_after or any(a is not b for a, b in zip(before, after, strict=True)):
        changed = "its arguments"
        if trees == trees_after:
            names = argument_names(function, len(args))
            paths = [
                path
                for place, tree in trees
                for path in leaf_paths(tree, names[place] if isinstance(place, int) else place)
            ]
            changed = next(
                path for path, a, b in zip(paths, before, after, strict=True) if a is not b
            )
        raise MutationError(
            f"{function_name(function)} changes {changed} in place; return the new value instead",
            function_source(function),
        )
    return result


def rewritten_here(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as the current trace calls it: its control flow may depend on traced values."""
    scope = current_scope()
    if scope is None or not scope.trace.rewrites:
        return function
    return in_place_of(function) or rewritten(function)


def _lost(error: NameError) -> BranchError | None:
    """Our error for a name that has no value behind a traced statement."""
    scope = current_scope()
    name = re.search(r"'(\w+)'", str(error))
    reason = None if scope is None or name is None else scope.trace.lost.get(name[1])
    return None if reason is None else BranchError(reason, innermost(error.__traceback__))


def _parts(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[list[Any], list[tuple[int | str, TreeDef]]]:
    """The leaves of the containers among the arguments; the place and structure of each of them.

    Static ones are left out: those are the user's own objects.
    """
    leaves: list[Any] = []
    trees: list[tuple[int | str, TreeDef]] = []
    for place, value in (*enumerate(args), *kwargs.items()):
        if isinstance(value, Handle):
            continue
        try:
            parts, tree = flatten(value)
        except ArgumentTypeError:
            continue
        if any(isinstance(part, Handle) for part in parts) or not _is_hashable(value):
            leaves += parts
            trees.append((place, tree))
    return leaves, trees


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def check_callable(function: Any) -> None:
    """Raises an ArgumentTypeError for what is not a function."""
    if not callable(function):
        raise ArgumentTypeError(f"expected a function, but got {describe_value(function)}")


_ARGUMENT_ADVICE = (
    "make it static (static_argnums, static_argnames), or register its class "
    "(gradopt.register_pytree)"
)


def argument_leaf(leaf: Any, path: str, advice: str = _ARGUMENT_ADVICE) -> Any:
    """An argument of compiled code, as `plain_leaf`, or as a DeviceArray if it is on a device.

    Raises:
        ArgumentTypeError: it is not an array of numbers.
        UnsupportedError: it is one of an unsupported dtype.
    """
    array = adopt(leaf, path)
    if array is None:
        return plain_leaf(leaf, path, advice)
    _check_dtype(array.dtype, path)
    return array


def plain_leaf(leaf: Any, path: str, advice: str = _ARGUMENT_ADVICE) -> Any:
    """A value as an exact ndarray, NumPy scalar or Python number of a supported dtype.

    Args:
        leaf: the value.
        path: how the user reaches it.
        advice: what to do where it is no array at all.

    Raises:
        ArgumentTypeError: it is not an array of numbers.
        UnsupportedError: it is one of an unsupported dtype.
        PlacementError: it is on a device.
    """
    kind = type(leaf)
    if kind in PYTHON_NUMBERS:
        return leaf
    if kind is not np.ndarray and not isinstance(leaf, np.generic):
        leaf = _foreign_array(leaf, path, advice)
        if type(leaf) in PYTHON_NUMBERS:
            return leaf
    _check_dtype(leaf.dtype, path)
    return leaf


def _check_dtype(dtype: np.dtype[Any], path: str) -> None:
    if dtype not in SUPPORTED and dtype.newbyteorder("=") not in SUPPORTED:
        if dtype.kind == "O":
            raise ArgumentTypeError(f"{path} is an array of objects; make it an array of numbers")
        raise UnsupportedError(
            f"{path} has dtype {dtype}, which is not supported; convert it with astype to one of "
            f"{SUPPORTED_TEXT}"
        )


def _foreign_array(leaf: Any, path: str, advice: str) -> Any:
    if isinstance(leaf, complex):
        return complex(leaf)
    if isinstance(leaf, (np.ma.MaskedArray, np.matrix)):
        raise ArgumentTypeError(f"{path} is a {type(leaf).__name__}; make it a plain numpy array")
    if isinstance(leaf, np.ndarray):
        return np.asarray(leaf)
    if isinstance(leaf, (int, float)):
        # Subclasses such as enum.IntEnum.
        return int(leaf) if isinstance(leaf, int) else float(leaf)
    require_on_host(leaf, path)
    try:
        if hasattr(leaf, "__array_interface__") or hasattr(leaf, "__array__"):
            return np.asarray(leaf)
        if hasattr(leaf, "__dlpack__"):
            return np.from_dlpack(leaf)
    except Exception as error:
        raise ArgumentTypeError(
            f"{path}, a {type(leaf).__name__}, cannot become a numpy array: {error}"
        ) from error
    raise ArgumentTypeError(
        f"{path} is of type {type(leaf).__name__}, which is not an array, number or pytree; "
        f"{advice}"
    )


def returned_value(leaf: Any, path: str, function: Callable[..., Any]) -> Value:
    """As `result_value`, for what the user's function returned.

    Raises:
        GradoptError: it is not an array or number; at the function's definition.
    """
    advice = "" if isinstance(leaf, Handle) else _return_advice(leaf, function)
    try:
        return result_value(leaf, path, advice)
    except GradoptError as error:
        error.location = error.location or function_source(function)
        raise


def _return_advice(leaf: Any, function: Callable[..., Any]) -> str:
    if inspect.iscoroutine(leaf) or inspect.isgenerator(leaf):
        leaf.close()
        return f"{function_name(function)} must be a plain function that returns its result"
    return f"{function_name(function)} may return arrays, numbers and pytrees of them"


def result_value(leaf: Any, path: str, advice: str = _ARGUMENT_ADVICE) -> Value:
    """A traced value, or a concrete one as a constant; for results and arguments of transforms.

    Raises:
        ArgumentTypeError: it is neither.
    """
    if isinstance(leaf, Handle):
        result = leaf._read()
        if result.shape.__class__ is Sizes:
            raise confined(f"{path}, an array", is_result=True)
        prims.scope().use(result)
        return result
    value = plain_leaf(leaf, path, advice)
    try:
        return prims.as_value(value)
    except OverflowError:
        raise ArgumentError(f"{path} is an integer that does not fit int64") from None
