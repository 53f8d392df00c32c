# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`custom_call`: native functions that the user brings, called by compiled code."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Hashable
from typing import Any, NoReturn

from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.base.pickling import global_name
from gradopt.base.pytree import flatten, leaf_paths
from gradopt.compilation.calling import result_value
from gradopt.compilation.compiled import Compiled
from gradopt.compilation.references import PARTS
from gradopt.errors import ArgumentTypeError, ForeignCodeError, SourceLocation
from gradopt.ir.current import current_scope
from gradopt.ir.targets import Target, emit_target_call
from gradopt.transforms.result_specs import ResultSpecs, check_vmap_method

Library = str | os.PathLike[str] | ctypes.CDLL | None


class NativeTarget(Target):
    """A native function, and where in the user's code it is called."""

    def __init__(self, name: str, address: int, location: SourceLocation | None) -> None:
        super().__init__(name, address)
        self._location = location

    def _key(self) -> Hashable:
        return self.name, self.address, self._location

    @property
    def handler(self) -> Callable[..., Any]:
        return self._fail

    @hide_frames
    def _fail(self, status: int) -> NoReturn:
        raise ForeignCodeError(
            f"the native function {self.name!r} failed: it returned {status}", self._location
        )


class ForeignFunction:
    """A native function as a function of arrays; what `custom_call` returns."""

    def __init__(
        self, symbol: str, library: Library, result_shape_dtypes: Any, vmap_method: str | None
    ) -> None:
        self.__name__ = self.__qualname__ = symbol
        self._batching = check_vmap_method(vmap_method)
        self._results = result_shape_dtypes
        if not callable(result_shape_dtypes):
            ResultSpecs.of(result_shape_dtypes)
        # Kept: it is closed with its last reference.
        self._library = _load(symbol, library)
        self._address = _find(symbol, self._library)
        self._compiled: Compiled | None = None

    def __repr__(self) -> str:
        return f"custom_call<{self.__name__}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        path: Any = self._library._name
        return global_name(self) or (
            ForeignFunction,
            (self.__name__, path, self._results, self._batching),
        )

    @hide_frames
    def __call__(self, *args: Any) -> Any:
        if current_scope() is not None:
            return self._emit(*args)
        if self._compiled is None:
            self._compiled = Compiled(self._emit)
        return self._compiled(*args)

    def _emit(self, *args: Any) -> Any:
        leaves, tree = flatten(args)
        paths = leaf_paths(tree, "args")
        values = [result_value(leaf, path) for leaf, path in zip(leaves, paths, strict=True)]
        given = self._results(*args) if callable(self._results) else self._results
        results = ResultSpecs.of(given)
        target = NativeTarget(self.__name__, self._address, source_location())
        return results.wrap(emit_target_call(target, self._batching, values, results.leaves))


PARTS[ForeignFunction] = lambda function: (
    function.__name__,
    function._address,
    function._results,
    function._batching,
)


def _load(symbol: str, library: Library) -> ctypes.CDLL:
    if isinstance(library, ctypes.CDLL):
        return library
    path = None
    if library is not None:
        try:
            path = os.fspath(library)
        except TypeError:
            raise ArgumentTypeError(
                f"library must be a path, a ctypes.CDLL or None, not an object of type "
                f"{type(library).__name__}",
                source_location(),
            ) from None
    try:
        return ctypes.CDLL(path)
    except OSError as error:
        raise ForeignCodeError(
            f"cannot load the library of the native function {symbol!r}: {error}",
            source_location(),
        ) from None


def _find(symbol: str, library: ctypes.CDLL) -> int:
    try:
        function = library[symbol]
    except AttributeError:
        raise ForeignCodeError(
            f"{library._name or 'the process'} has no function {symbol!r}", source_location()
        ) from None
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return address


@hide_frames
def custom_call(
    symbol: str,
    library: Library,
    result_shape_dtypes: Any,
    *,
    vmap_method: str | None = None,
) -> ForeignFunction:
    """A native function, in C say, as a function of arrays.

    It has this signature, which `gradopt_runtime.h` explains:

        typedef struct {
          void *data;           // row-major, aligned to its elements
          const int64_t *shape; // `rank` numbers
          int32_t rank;
          int32_t dtype;        // 0 bool, 1 int8, 2 int16, 3 int32, 4 int64, 5 float, 6 double
        } gradopt_buffer;

        int32_t symbol(const gradopt_buffer *inputs, const gradopt_buffer *outputs);

    The inputs are the leaves of the arguments, the outputs those of the result. It reads the
    inputs, writes all elements of the outputs, and keeps no pointer. It returns 0; any other number
    ends the run with a `ForeignCodeError`. It runs without the GIL, perhaps on several threads at
    once. As with `pure_callback`, equal inputs give equal outputs, and the calls are not counted.

    It has no derivative. Wrapped in `custom_vjp` or `custom_jvp` it has the one that is defined
    there, in which other native functions may be called:

        sine = gradopt.custom_vjp(gradopt.custom_call("sine", path, lambda x: x))
        cosine = gradopt.custom_call("cosine", path, lambda x: x)
        sine.defvjp(lambda x: (sine(x), x), lambda x, g: (g * cosine(x),))

    Args:
        symbol: the name of the function.
        library: path of a shared library, or a loaded one; None for what the process has loaded.
        result_shape_dtypes: a pytree of arrays or `ShapeDtypeStruct`: what the function returns; or
            a function of the arguments that gives it.
        vmap_method: as for `pure_callback`.

    Returns:
        A function of pytrees of arrays, for traced code and outside of it.

    Raises:
        ForeignCodeError: there is no such library or function; when run, the function failed.
        ArgumentTypeError: `library` or `result_shape_dtypes` is none of these.
        CompilerError: when compiled, if a derivative of it is asked for.
    """
    if not isinstance(symbol, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ArgumentTypeError(f"symbol must be a string, not {symbol!r}", source_location())
    return ForeignFunction(symbol, library, result_shape_dtypes, vmap_method)
