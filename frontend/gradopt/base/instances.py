# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Instances of user-defined classes: what they hold, and others like them.

A class's constructor may compute, check or count. An instance that is taken apart and put together
again is the same instance: no constructor runs.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any


@functools.cache
def slots(cls: type) -> tuple[str, ...]:
    """Names of all slots of the class and its bases, as attributes."""
    names: list[str] = []
    for base in cls.__mro__:
        own = base.__dict__.get("__slots__", ())
        for name in (own,) if isinstance(own, str) else own:
            if name in ("__dict__", "__weakref__"):
                continue
            private = name.startswith("__") and not name.endswith("__")
            names.append(f"_{base.__name__.lstrip('_')}{name}" if private else name)
    return tuple(dict.fromkeys(names))


@functools.cache
def cached(cls: type) -> frozenset[str]:
    """Names under which a `functools.cached_property` keeps its value."""
    return frozenset(
        name
        for name in dir(cls)
        if isinstance(inspect.getattr_static(cls, name, None), functools.cached_property)
    )


def attributes(instance: Any) -> dict[str, Any]:
    """All attributes that the instance itself has, in slots or its `__dict__`.

    Values of a `functools.cached_property` are left out: they are computed anew from the others.
    """
    cls = type(instance)
    held = getattr(instance, "__dict__", {})
    names, left_out = slots(cls), cached(cls)
    if not names and not left_out:
        return dict(held)
    found = {name: getattr(instance, name) for name in names if hasattr(instance, name)}
    return found | {name: value for name, value in held.items() if name not in left_out}


def set_attributes(instance: Any, values: Mapping[str, Any]) -> Any:
    """The instance, with attributes set although its class may be frozen."""
    for name, value in values.items():
        object.__setattr__(instance, name, value)
    return instance
