# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The types of results, which MLIR tells once.

Each op of the dialect has a rule for them in C++, and there is no other. It is asked for each op
with operands of some types and with some attributes for the first time, and what it said is kept:
in this process, and in the store of object code for others that run the same script. So a trace of
ops that were seen before needs no MLIR.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gradopt import _gradopt
from gradopt.base.unknown_sizes import unknown_size
from gradopt.errors import CompilerError
from gradopt.recording.native import compiler

if TYPE_CHECKING:
    from gradopt.recording.ir import Attribute

# Types are not kept for ever: programs of many shapes have many.
_MOST = 50_000

_known: dict[str, tuple[str, ...]] = {}
# Lines for the store.
_new: list[str] = []
_read: set[str] = set()


def attribute_list(attributes: Mapping[str, Attribute]) -> str:
    """`a = 1 : i64, b = unit`."""
    return ", ".join([f"{name} = {attribute.text}" for name, attribute in attributes.items()])


def result_types(
    name: str, operands: Sequence[str], attributes: Mapping[str, Attribute]
) -> tuple[str, ...]:
    """The types of the results of an op.

    Args:
        name: of the op.
        operands: types of its operands.
        attributes: by name.

    Raises:
        CompilerError: there is no such op, or it cannot have such operands and attributes.
    """
    key = f"{name}({', '.join(operands)}) {{{attribute_list(attributes)}}}"
    types = _known.get(key)
    if types is None:
        types = _infer(name, operands, attributes)
        if len(_known) >= _MOST:
            _known.clear()
        _known[key] = types
        _new.append(_line(key, types))
    return types


# What takes operands whose sizes are known at run time only, beside elementwise ops.
_SIZED = frozenset(
    (
        *("grad.sized_slice", "grad.sized_update", "grad.sized_broadcast", "grad.transpose"),
        *("grad.reverse", "grad.reduce_sum", "grad.reduce_prod", "grad.reduce_any"),
        *("grad.reduce_all", "grad.reduce_max", "grad.reduce_min", "grad.dot_general"),
        *("grad.convert", "grad.select", "grad.scatter"),
    )
)
# These have no attributes, as elementwise ops, and take none.
_UNSIZED = frozenset(("grad.dynamic_update_slice",))


def _infer(
    name: str, operands: Sequence[str], attributes: Mapping[str, Attribute]
) -> tuple[str, ...]:
    is_sized = any("?" in operand for operand in operands)
    if is_sized and (name in _UNSIZED or (attributes and name not in _SIZED)):
        raise unknown_size(name)
    native = compiler()
    try:
        return tuple(native.infer_types(name, operands, f"{{{attribute_list(attributes)}}}"))
    except native.CompilationError as error:
        raise CompilerError(str(error)) from None


def _line(key: str, types: tuple[str, ...]) -> str:
    text = f"{key}\t" + "\t".join(types)
    return f"{zlib.crc32(text.encode()):08x} {text}\n"


def recall(store: str) -> None:
    """Reads what the store has, once.

    Args:
        store: its directory; "" for none.
    """
    if not store or store in _read:
        return
    _read.add(store)
    for line in _gradopt.read_notes(store, _script()).split(b"\n"):
        checksum, _, text = line.partition(b" ")
        # One that is damaged is not there.
        if checksum == b"%08x" % zlib.crc32(text):
            key, *types = text.decode().split("\t")
            _known[key] = tuple(types)


def keep(store: str) -> None:
    """Adds to the store what was not in it.

    Args:
        store: its directory; "" for none.
    """
    if store and _new:
        # The last line may be a part of one.
        lines = "\n" + "".join(_new)
        _new.clear()
        _gradopt.add_notes(store, _script(), lines.encode())


def _script() -> str:
    """What tells programs apart whose types are kept together: they are read when it starts."""
    return str(getattr(sys.modules.get("__main__"), "__file__", ""))
