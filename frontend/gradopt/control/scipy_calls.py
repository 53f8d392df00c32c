# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What rewritten code calls in place of SciPy's functions, distributions and their methods.

SciPy's are found by their module and name; SciPy is not imported for that, nor is ours, until the
user's code calls such a function.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any

from gradopt.control.text import is_put_off


def of_scipy(function: Any) -> Callable[..., Any] | None:
    """What is called in place of a function of SciPy: ours, if an argument is not known."""
    owner = getattr(function, "__self__", None)
    owner = function if owner is None else owner
    module = getattr(function if owner is function else type(owner), "__module__", None)
    if not isinstance(module, str) or not module.startswith("scipy."):
        return None
    ours = _ours(owner, function, module)
    if ours is None:
        return None

    def call(*args: Any, **kwargs: Any) -> Any:
        return (ours if is_put_off((args, kwargs)) else function)(*args, **kwargs)

    return call


def _ours(owner: Any, function: Any, module: str) -> Any:
    """Our function, distribution, or method of a distribution, for one of SciPy's."""
    package = module.split(".")[1]
    mirror = _mirror(package)
    if mirror is None:
        return None
    if type(owner).__name__ in ("rv_continuous_frozen", "rv_discrete_frozen"):
        found = _named(mirror, package, owner.dist)
        found = None if found is None else found(*owner.args, **owner.kwds)
    else:
        found = _named(mirror, package, owner)
    if found is None or owner is function:
        return found
    return getattr(found, function.__name__, None)


def _named(mirror: Any, package: str, value: Any) -> Any:
    """What our module has under the name that a function or distribution has in SciPy's."""
    name = getattr(value, "__name__", None) or getattr(value, "name", None)
    if name is None:
        name = type(value).__name__.removesuffix("_gen")
    theirs = getattr(sys.modules.get(f"scipy.{package}"), str(name), None)
    if name not in mirror.__all__ or not (theirs is value or _is_copy(value, theirs)):
        return None
    return getattr(mirror, name)


def _is_copy(distribution: Any, theirs: Any) -> bool:
    """Whether it is SciPy's distribution, as it is in one with parameters: no other support."""
    return (
        hasattr(theirs, "pdf" if hasattr(distribution, "pdf") else "pmf")
        and all(
            getattr(distribution, end, None) == getattr(theirs, end, None) for end in ("a", "b")
        )
        and type(distribution) is type(theirs)
    )


@functools.cache
def _mirror(package: str) -> Any:
    """Our module of a package of SciPy's, if there is one."""
    try:
        return importlib.import_module(f"gradopt.scipy.{package}")
    except ModuleNotFoundError:
        return None
