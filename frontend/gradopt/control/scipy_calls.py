# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What rewritten code calls in place of SciPy's functions, and methods of its objects.

SciPy's are found by their module and name; SciPy is not imported for that, nor is ours, until the
user's code calls such a function.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from types import BuiltinFunctionType, CellType, FunctionType
from typing import Any

from gradopt.array.advice import advice_for
from gradopt.array.dispatch import hint_for, unsupported
from gradopt.base.location import source_location
from gradopt.control.text import is_put_off
from gradopt.errors import ConversionError, GradoptError


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
        values = (*args, *kwargs.values())
        return (ours() if any(map(_is_put_off, values)) else function)(*args, **kwargs)

    return call


def product(left: Any, right: Any) -> Any:
    """`left @ right`, where one of them may be a sparse matrix of SciPy's."""
    if _is_sparse(left) and is_put_off(right):
        left = _mirror("sparse").as_traced(left)
    elif _is_sparse(right) and is_put_off(left):
        right = _mirror("sparse").as_traced(right)
    return left @ right


def _is_sparse(value: Any) -> bool:
    return type(value).__module__.startswith("scipy.sparse.")


def naming_itself(function: Any, called: Callable[..., Any] | None = None) -> Any:
    """A function of SciPy's own code, which names itself where it cannot do with traced values.

    Args:
        function: SciPy's function or class, or a class of masked arrays; others are as they are.
        called: what is called in its place, if it is not the function.
    """
    call = function if called is None else called
    module = str(getattr(function, "__module__", None))
    kinds = (FunctionType, BuiltinFunctionType, type)
    if type(function) not in kinds or not module.startswith(("scipy.", "numpy.ma")):
        return call
    # Compiled code has no frames that would say who asks for the value.
    is_compiled = type(function) is not FunctionType

    @functools.wraps(function, updated=())
    def tried(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except (AttributeError, IndexError, TypeError) as error:
            known = not any(map(is_put_off, (*args, *kwargs.values())))
            if known or (isinstance(error, GradoptError) and not _asks(error, is_compiled)):
                raise
            public = [part for part in module.split(".") if not part.startswith("_")]
            name = ".".join([*public, function.__name__])
            raise unsupported(name, advice_for(hint_for(name), name)) from error

    return tried


def _asks(error: GradoptError, is_compiled: bool) -> bool:
    """Whether compiled code, called on the user's line, asked for the value of a traced array."""
    return is_compiled and type(error) is ConversionError and error.location == source_location()


def _is_put_off(value: Any) -> bool:
    """Whether there is something in an argument that only a run knows; in what it refers to, too.

    That is what a function to be integrated, for example, closes over.
    """
    if isinstance(value, FunctionType):
        cells = value.__closure__ or ()
        return any(_is_put_off(cell.cell_contents) for cell in cells if _is_filled(cell))
    if isinstance(value, functools.partial):
        return any(map(_is_put_off, (value.func, *value.args, *value.keywords.values())))
    return is_put_off(value)


def _is_filled(cell: CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def _ours(owner: Any, function: Any, module: str) -> Callable[[], Any] | None:
    """What makes our function, object or method for one of SciPy's, if there is one."""
    for package in _packages(module):
        mirror = _mirror(package)
        if package == "sparse" and mirror.issparse(owner):
            traced = functools.partial(mirror.as_traced, owner)
            return functools.partial(_method, traced, function.__name__)
        found = None if mirror is None else _of_package(mirror, package, owner)
        if found is not None and owner is function:
            return found
        if found is not None and hasattr(found(), function.__name__):
            return functools.partial(_method, found, function.__name__)
    return None


def _method(found: Callable[[], Any], name: str) -> Any:
    return getattr(found(), name)


def _packages(module: str) -> list[str]:
    """The packages of SciPy's that a module of it may belong to, behind `scipy.`."""
    parts = module.split(".")[1:]
    public = [part for part in parts if not part.startswith("_")]
    return list(dict.fromkeys([".".join(public), parts[0]]))


def _of_package(mirror: Any, package: str, owner: Any) -> Callable[[], Any] | None:
    """What makes our function, distribution or object for one of SciPy's."""
    if type(owner).__name__ in ("rv_continuous_frozen", "rv_discrete_frozen"):
        found = _named(mirror, package, owner.dist)
        return None if found is None else lambda: found(*owner.args, **owner.kwds)
    # SciPy's objects, such as interpolants, that were made of known numbers.
    made = getattr(mirror, "CONVERTED", {}).get(type(owner).__name__)
    if made is not None:
        theirs = getattr(sys.modules.get(f"scipy.{package}"), type(owner).__name__, None)
        return functools.partial(made, owner) if theirs is type(owner) else None
    found = _named(mirror, package, owner)
    return None if found is None else lambda: found


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
