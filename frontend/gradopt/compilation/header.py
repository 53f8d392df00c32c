# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""C headers for bundles: a function with typed parameters for each program."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from gradopt.compilation.lowered import Leaf, Lowered

_TYPES = {
    "bool": "uint8_t",
    "int8": "int8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "int64": "int64_t",
    "float32": "float",
    "float64": "double",
}

# Words of C, and those that the function itself uses.
_TAKEN = frozenset(
    keyword
    for line in (
        "auto break case char const continue default do double else enum extern float for goto if",
        "inline int long register restrict return short signed sizeof static struct switch typedef",
        "union unsigned void volatile while bool true false arguments results bundle",
    )
    for keyword in line.split()
)


def c_header(bundle: str, programs: Sequence[tuple[str, Lowered]]) -> str:
    """The header of a bundle.

    Args:
        bundle: name of its file.
        programs: all of its programs, in order.
    """
    taken: set[str] = set()
    functions = [
        _function(_identifier(name, taken), number, lowered)
        for number, (name, lowered) in enumerate(programs)
    ]
    guard = re.sub(r"\W", "_", bundle, flags=re.ASCII).upper() + "_H"
    return f"""\
/* Made by gradopt: the functions of {bundle.replace("*/", "")}.

     gradopt_bundle *bundle;
     if (gradopt_bundle_open(path, &bundle) != GRADOPT_OK)
       puts(gradopt_last_error());

   Arrays are row-major, and overlap nowhere. */
#ifndef {guard}
#define {guard}

#include "gradopt_runtime.h"

{"".join(functions)}#endif
"""


def _function(name: str, number: int, lowered: Lowered) -> str:
    taken = set(_TAKEN)
    arguments = [(leaf, _identifier(leaf.path, taken)) for leaf in lowered.arguments]
    results = [(leaf, _identifier(leaf.path, taken)) for leaf in lowered.results]
    written = set(lowered.reused.values())
    own = [pair for i, pair in enumerate(results) if i not in lowered.reused]
    parameters = [
        "gradopt_bundle *bundle",
        *_parameters(arguments, lambda i: "" if i in written else "const "),
        *_parameters(own, lambda _: ""),
    ]
    addresses = [f"(void *){argument}" for _, argument in arguments]
    places = [
        arguments[lowered.reused[i]][1] if i in lowered.reused else result
        for i, (_, result) in enumerate(results)
    ]
    notes = [
        f"   {results[r][0].path} is written to {arguments[a][1]}\n"
        for r, a in lowered.reused.items()
    ]
    comment = f"/* Results in the memory of arguments:\n{''.join(notes)}*/\n" if notes else ""
    separator = ",\n    "
    return f"""\
{comment}static inline gradopt_status {name}(
    {separator.join(parameters)}) {{
  void *arguments[] = {{{", ".join(addresses) or "0"}}};
  void *results[] = {{{", ".join(places) or "0"}}};
  return gradopt_program_call(gradopt_bundle_program(bundle, {number}), arguments,
                              results);
}}

"""


def _parameters(pairs: Sequence[tuple[Leaf, str]], qualifier: Callable[[int], str]) -> list[str]:
    return [
        f"{qualifier(i)}{_TYPES[leaf.dtype.name]} *{name} /* {leaf.path}, shape {leaf.shape} */"
        for i, (leaf, name) in enumerate(pairs)
    ]


def _identifier(path: str, taken: set[str]) -> str:
    """A name in C like a path, `p_w` for `p['w']`, that is not taken; it is then."""
    base = re.sub(r"\W+", "_", path, flags=re.ASCII).strip("_") or "value"
    if base[0].isdigit():
        base = f"_{base}"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    taken.add(name)
    return name
