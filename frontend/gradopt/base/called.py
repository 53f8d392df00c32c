# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which function of NumPy or SciPy the user's line calls, for messages.

What finds out that something cannot be done is often called by the function that the user called:
by our implementation of it, or by NumPy's or SciPy's own code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import numpy as np

from gradopt.base.location import is_internal

_PACKAGES = os.path.dirname(os.path.dirname(np.__file__))
_LIBRARIES = tuple(os.path.join(_PACKAGES, name) + os.sep for name in ("numpy", "scipy"))

# Classes whose one object has a name.
_SUBSCRIPTED = {
    "RClass": "numpy.r_",
    "CClass": "numpy.c_",
    "MGridClass": "numpy.mgrid",
    "OGridClass": "numpy.ogrid",
}

# Modules that are public by another name.
_ALIASES = {
    "numpy.lib.scimath": "numpy.emath",
    "numpy.ma.core": "numpy.ma",
    "numpy.ma.extras": "numpy.ma",
}


def is_undispatched(value: Any) -> bool:
    """Whether a function, class or module is NumPy's, and does not look for traced values."""
    module = getattr(value, "__name__" if isinstance(value, ModuleType) else "__module__", None)
    return (module or "").startswith("numpy.polynomial")


# Functions through which NumPy's calls reach ours, and their parameter that holds NumPy's function.
ENTRIES: dict[CodeType, str] = {}


def qualified_name(function: object) -> str:
    """`numpy.linalg.norm` for the function; of a ufunc of another package, that it is one."""
    name = getattr(function, "__name__", str(function))
    if isinstance(function, np.ufunc):
        for module in ("numpy", "scipy.special"):
            if getattr(sys.modules.get(module), name, None) is function:
                return f"{module}.{name}"
        return f"the ufunc {name}"
    return f"{_public(getattr(function, '__module__', None) or 'numpy')}.{name}"


def called_function() -> str | None:
    """NumPy's or SciPy's function that the user called, and that led here."""
    found: str | None = None
    for frame in _internal_frames():
        parameter = ENTRIES.get(frame.f_code)
        if parameter is None:
            found = _name_in_library(frame) or found
            continue
        values = frame.f_locals
        found = qualified_name(values[parameter])
        if values.get("method", "__call__") != "__call__":
            found = f"{found}.{values['method']}"
    return found


def library_function() -> str | None:
    """The function that the user called, if code of NumPy or SciPy led from there to here."""
    found: str | None = None
    for frame in _internal_frames():
        found = _name_in_library(frame) or found
    return found


def _internal_frames() -> Iterator[FrameType]:
    """The frames from here to the user's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_internal(frame):
        yield frame
        frame = frame.f_back


def _name_in_library(frame: FrameType) -> str | None:
    """The public name of the function whose frame it is, if it is NumPy's or SciPy's."""
    if not frame.f_code.co_filename.startswith(_LIBRARIES):
        return None
    name = frame.f_code.co_name
    owner = frame.f_locals.get("self")
    if owner is not None:
        return _name_of_method(owner, getattr(_wrapped(frame), "__name__", name))
    if name == "__new__":
        made = frame.f_locals[frame.f_code.co_varnames[0]]
        return f"{_public(made.__module__)}.{made.__name__}"
    function = _wrapped(frame) or frame.f_globals.get(name)
    name = getattr(function, "__name__", name)
    if name.startswith("_") or not callable(function):
        return None
    module = getattr(function, "__module__", None) or frame.f_globals["__name__"]
    # What is in scipy._lib is for SciPy's own use.
    return None if module.startswith("scipy._lib") else f"{_public(module)}.{name}"


def _wrapped(frame: FrameType) -> FunctionType | None:
    """The public function that this frame's, one of a decorator's, calls."""
    for variable in frame.f_code.co_freevars:
        value = frame.f_locals.get(variable)
        if isinstance(value, FunctionType) and not value.__name__.startswith("_"):
            return value
    return None


def _name_of_method(owner: object, method: str) -> str:
    """`scipy.stats.norm.pdf`, or that of a class."""
    kind = type(owner)
    if kind.__name__ in _SUBSCRIPTED:
        return _SUBSCRIPTED[kind.__name__]
    if kind.__name__ == "MultiUFunc":
        return f"scipy.special.{getattr(owner, '__name__', method)}"
    distribution = getattr(owner, "name", None)
    module = _public(kind.__module__)
    is_distribution = module == "scipy.stats" and isinstance(distribution, str)
    name = f"{module}.{distribution if is_distribution else kind.__name__}"
    return name if method.startswith("_") else f"{name}.{method}"


def _public(module: str) -> str:
    """`scipy.linalg` for `scipy.linalg._basic`."""
    name = module.partition("._")[0]
    return _ALIASES.get(name, name)
