# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where object code is kept between processes."""

from __future__ import annotations

import os


def store_directory() -> str:
    """The directory of the compile cache; "" if there is none.

    The variable GRADOPT_CACHE names it, or is 0 for none; else it is `gradopt` in the user's cache
    directory (XDG Base Directory Specification: $XDG_CACHE_HOME, or ~/.cache).
    """
    chosen = os.environ.get("GRADOPT_CACHE", "")
    if chosen == "0":
        return ""
    if chosen:
        return os.path.abspath(os.path.expanduser(chosen))
    caches = os.environ.get("XDG_CACHE_HOME", "")
    # By that specification, a relative path is ignored.
    if not os.path.isabs(caches):
        caches = os.path.expanduser("~/.cache")
    return os.path.join(caches, "gradopt") if os.path.isabs(caches) else ""


def is_wanted(directory: str) -> bool:
    """Whether somebody misses a directory that cannot be used: it was named, or is there.

    That the user has none, as in a container without a home, is no problem.
    """
    return bool(os.environ.get("GRADOPT_CACHE")) or os.path.isdir(directory)
