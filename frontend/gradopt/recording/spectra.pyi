# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The generated builders and op classes carry no annotations: any name, any arguments."""

from collections.abc import Callable
from typing import Any

def __getattr__(name: str) -> Callable[..., Any]: ...  # pyright: ignore[reportIncompleteStub]
