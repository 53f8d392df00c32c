# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What to write instead where NumPy or Python asks for the value of a traced array.

Such a request does not say what it is for: the expression in the user's source does.
"""

from __future__ import annotations

import ast
import re

from gradopt.base.location import called_package, source_location

_SIZES = (
    "sizes and bounds must be known while tracing: take them from shapes, or from an argument "
    "that is static (static_argnums)"
)

# What the expression calls or subscripts, and what to do. The first that fits counts.
_ADVICE = [
    (
        r"\brandom\.\w+\($|\b(?i:rng)\.\w+\($",
        "random numbers are drawn while tracing, with concrete parameters: draw standard ones, and "
        "scale them, as in `mean + deviation * numpy.random.normal(size=n)`; better, pass them as "
        "arguments",
    ),
    (
        r"\b(u?int(8|16|32|64)|float(16|32|64)|bool_|single|double|intp|longdouble)\($",
        "convert it with astype, as in x.astype(numpy.int64)",
    ),
    (r"\b(r_|c_|s_)\[$", "use numpy.concatenate, stack or column_stack"),
    (
        r"\b(full|array|asarray|asanyarray|ascontiguousarray|require)\($",
        "use gradopt.numpy.array, asarray or full, which take traced values",
    ),
    (r"\bfull_like\($", "use gradopt.numpy.full_like, which takes traced values"),
    (
        r"\b(mgrid|ogrid)\[$|\b(arange|zeros|ones|empty|eye|identity|tri|indices|linspace|range"
        r"|logspace|geomspace|reshape|broadcast_to|repeat|tile)\($",
        _SIZES,
    ),
    (r"\bmath\.\w+\($", "use NumPy's functions, not those of math"),
    (
        r"\b(vectorize|frompyfunc)\(.*\)\($",
        "write the function with NumPy's functions on whole arrays",
    ),
    (r"^sorted\($", "sorting is not supported yet"),
    (r"^(max|min)\($", "use numpy.maximum and minimum, or numpy.max and min of an array"),
    (r"^(any|all)\($", "use numpy.any and numpy.all"),
]


def called() -> str:
    """What the user's expression calls, as `np.zeros(`, or subscripts, as `np.mgrid[`."""
    location = source_location()
    if location is None:
        return ""
    try:
        node = ast.parse(location.text().strip(), mode="eval").body
    except SyntaxError:
        return ""
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) + "("
    return ast.unparse(node.value) + "[" if isinstance(node, ast.Subscript) else ""


def advice_for(general: str) -> str:
    """What to do instead of what the user's line does.

    Args:
        general: what to do where the line does nothing that is known.
    """
    name = called()
    package = called_package()
    if package is not None:
        function = name[:-1] if name.endswith("(") else package
        return (
            f"{function} of SciPy works on NumPy arrays; write its formula with NumPy's functions "
            "(of scipy.special, ufuncs such as erf and expit are supported)"
        )
    for pattern, advice in _ADVICE:
        if re.search(pattern, name):
            return advice
    return general
