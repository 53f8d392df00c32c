# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Calls every public function of NumPy's namespaces and of scipy.special; what came of it.

    .venv/bin/python tools/probe.py                 # a summary
    .venv/bin/python tools/probe.py --table         # each function, too
    .venv/bin/python tools/probe.py numpy.linalg    # of one namespace

A function is called with the first of some simple arguments that NumPy takes, in a compiled
function, whose result is compared with NumPy's, and in its gradient, which is compared with
a difference. Functions of which NumPy takes none of the arguments are not counted, nor are those
that take sizes alone.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import gradopt as go
from gradopt.errors import CompilerError, GradoptError

NAMESPACES = ("numpy", "numpy.linalg", "numpy.fft", "scipy.special")

_X = np.array([0.7, 0.2, 0.9, 0.4])
_Y = np.array([0.13, 0.3, 0.62, 0.85])
_S = np.array([[2.0, 0.3, 0.1], [0.3, 1.5, 0.2], [0.1, 0.2, 1.0]])
_I = np.array([3, 1, 2, 5])
_HOT = _X > 0.5

# What is tried, in this order.
_ARGUMENTS: tuple[tuple[Any, ...], ...] = (
    *((_X,), (_X, _Y), (_S,), (_S, _S), (_S, _X[:3]), (_X, 2), (_I,), (_I, _I), (_I, 2)),
    *((_X, _Y, _X + 1), (_X, _Y, 0.5), (_X, 0, 1), (_X, (4, 1)), (_X, [1, 3]), ([_X, _Y],)),
    *((_X, _I), (_HOT, _X, _Y), (_HOT, _X), (2, _X), (1, _X), (1, 2, _X), (_X, _Y, _X, _Y)),
    *((_I, (6, 6)), (_S, 0), (_S, -1, 0), (0.5, 4), (4,)),
)
# What fits single functions.
_FITTING: dict[str, tuple[Any, ...]] = {
    "apply_along_axis": (np.sum, 0, _S),
    "apply_over_axes": (np.sum, _S, [0, 1]),
    "arange": (5,),
    "array_split": (_X, 3),
    "astype": (_X, np.complex128),
    # In the domain: of numbers of events and trials.
    **dict.fromkeys(("bdtr", "bdtrc", "bdtri", "nbdtr", "nbdtrc", "nbdtri"), (2, 5, _X)),
    "broadcast_shapes": ((4, 1), (1, 4)),
    "choose": ([0, 1, 0, 1], [_X, _Y]),
    "compress": (_HOT, _X),
    "copyto": (_X, _Y),
    "dsplit": (_X.reshape(1, 2, 2), 2),
    "einsum": ("ij,jk->ik", _S, _S),
    "extract": (_HOT, _X),
    "fill_diagonal": (_S, 2.5),
    "indices": ((2, 3),),
    "kaiser": (4, 2.0),
    "linspace": (0.5, 2.0, 4),
    "full": (4, 2.0),
    "geomspace": (0.5, 2.0, 4),
    "logspace": (0.5, 2.0, 4),
    "mask_indices": (3, np.triu),
    "ones": (4,),
    "piecewise": (_X, [_HOT], [1.0, 2.0]),
    "place": (_X, _HOT, [1.0]),
    "put": (_X, [1, 2], [5.0, 6.0]),
    "put_along_axis": (_S, np.array([[0], [1], [2]]), 0.5, 1),
    "putmask": (_X, _HOT, _Y),
    "ravel_multi_index": ((_I, _I), (6, 6)),
    "roll": (_X, 2),
    "take_along_axis": (_S, np.array([[0], [1], [2]]), 1),
    "tri": (4,),
    "tril_indices": (4,),
    "triu_indices": (4,),
    "unpackbits": (_I.astype(np.uint8),),
    "vsplit": (_S, 3),
    "where": (_HOT, _X, _Y),
    "zeros": (4,),
}
_IN_PLACE = frozenset({"copyto", "fill_diagonal", "place", "put", "put_along_axis", "putmask"})
# They print, read and write files, or are about NumPy itself, dates, memory and types.
_NAMES = """
    array2string array_repr array_str asmatrix base_repr binary_repr bmat busday_count busday_offset
    datetime_as_string datetime_data format_float_positional format_float_scientific from_dlpack
    frombuffer fromfile fromregex fromstring genfromtxt get_include get_printoptions getbufsize
    geterr geterrcall info is_busday isdtype isfortran iterable load loadtxt may_share_memory
    min_scalar_type mintypecode nested_iters printoptions promote_types require save savetxt savez
    savez_compressed set_printoptions setbufsize seterr seterrcall shares_memory show_config
    show_runtime test typename einsum_path common_type can_cast issubdtype result_type errstate
    isnat fromfunction frompyfunc fromiter obj2sctype empty empty_like asarray_chkfinite
"""
_NO_NUMERICS = frozenset(_NAMES.split())


def functions(namespace: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public functions of a module."""
    module = importlib.import_module(namespace)
    names = getattr(module, "__all__", dir(module))
    for name in sorted(names):
        value = getattr(module, name)
        is_function = callable(value) and not isinstance(value, type)
        if is_function and not name.startswith("_") and name not in _NO_NUMERICS:
            yield name, value


def returning(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function; where it writes to its first argument, one that returns that."""
    if name not in _IN_PLACE:
        return function

    def call(x: Any, *others: Any) -> Any:
        x = x.copy()
        function(x, *others)
        return x

    return call


def call_of(name: str, function: Callable[..., Any]) -> tuple[tuple[Any, ...], Any] | None:
    """Arguments that NumPy takes, and what it makes of them."""
    for args in (_FITTING[name],) if name in _FITTING else _ARGUMENTS:
        try:
            copies = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
            result = function(*copies)
        except Exception:
            continue
        if leaves(result):
            return args, result
    return None


def leaves(result: Any) -> list[np.ndarray[Any, Any]]:
    """The arrays and numbers in a result."""
    if isinstance(result, (tuple, list)):
        return [leaf for part in result for leaf in leaves(part)]  # pyright: ignore
    if isinstance(result, (np.ndarray, np.generic, bool, int, float, complex)):
        return [np.asarray(result)]
    return []


def place_of(args: Sequence[Any]) -> int | None:
    """The argument that is traced: the first that holds floats; else an array, if there is one."""

    def holds_floats(value: Any) -> bool:
        if isinstance(value, list):
            return any(map(holds_floats, value))  # pyright: ignore
        is_array = isinstance(value, (np.ndarray, np.generic))
        return value.dtype.kind == "f" if is_array else isinstance(value, float)

    found = [i for i, a in enumerate(args) if holds_floats(a)]
    found += [i for i, a in enumerate(args) if isinstance(a, np.ndarray)]
    return found[0] if found else None


def outcome(function: Callable[..., Any], args: tuple[Any, ...], expected: Any) -> str:
    """What comes of a call in compiled code."""
    found = place_of(args)
    place = len(args) if found is None else found

    def call(x: Any) -> Any:
        return function(*args[:place], *([] if found is None else [x]), *args[place + 1 :])

    def listed(x: Any) -> Any:
        return tuple(leaves_of(call(x)))

    start = 1.0 if found is None else args[place]
    start = start.copy() if isinstance(start, np.ndarray) else start
    try:
        got = go.compile(listed)(start)
    except CompilerError:
        return "internal error"
    except GradoptError as error:
        return f"refused: {error.message.splitlines()[0]}"
    except Exception as error:
        return f"internal error: {type(error).__name__}: {str(error)[:80]}"
    for a, b in zip(got, leaves(expected), strict=True):
        if np.shape(a) != b.shape or not np.allclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True):
            return "wrong value"
    return "made of constants" if found is None else derivative(listed, start)


def leaves_of(result: Any) -> list[Any]:
    """The arrays in a result, traced ones too."""
    if isinstance(result, (tuple, list)):
        return [leaf for part in result for leaf in leaves_of(part)]  # pyright: ignore
    return [result]


def derivative(call: Callable[..., Any], start: Any) -> str:
    """What comes of the gradient of a call that is compiled."""
    if not isinstance(start, np.ndarray) or start.dtype.kind != "f":
        return "value"
    if not any(np.asarray(part).dtype.kind in "fc" for part in call(start.copy())):
        return "value"

    def loss(x: Any) -> Any:
        parts = [part for part in call(x) if part.dtype.kind in "fc"]
        return sum(np.sum(np.sin(np.real(part)) + np.sin(np.imag(part))) for part in parts)

    try:
        go.gradcheck(loss, (start.copy(),), modes=("rev",))
    except go.errors.GradientCheckError:
        return "wrong derivative"
    except CompilerError as error:
        # The dialect says so of operands such as the order of a Bessel function.
        if "has no derivative in operand" in error.message:
            return f"value, no gradient: {error.message.splitlines()[0]}"
        return "internal error in the gradient"
    except GradoptError as error:
        return f"value, no gradient: {error.message.splitlines()[0]}"
    except Exception as error:
        return f"internal error in the gradient: {type(error).__name__}: {str(error)[:80]}"
    return "value and gradient"


def main() -> int:
    """Probes the namespaces of the command line; the status says whether there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("namespaces", nargs="*", default=NAMESPACES)
    parser.add_argument("--table", action="store_true", help="print what came of each function")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    is_faulty = False
    for namespace in arguments.namespaces:
        counts: Counter[str] = Counter()
        for name, function in functions(namespace):
            function = returning(name, function)
            found = call_of(name, function)
            if found is None:
                counts["no arguments"] += 1
                result = "no arguments"
            else:
                result = outcome(function, *found)
                counts[result.partition(":")[0]] += 1
            is_fault = result.startswith(("internal", "wrong"))
            is_faulty |= is_fault
            if arguments.table or is_fault:
                print(f"{namespace}.{name:24} {result}", flush=True)
        known = sum(counts.values()) - counts["no arguments"] - counts["made of constants"]
        good = counts["value"] + counts["value and gradient"]
        print(
            f"{namespace}: {good} of {known} ({100 * good / max(known, 1):.0f} %): {dict(counts)}"
        )
    return int(is_faulty)


if __name__ == "__main__":
    sys.exit(main())
