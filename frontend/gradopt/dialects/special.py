# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The special functions of the grad dialect, generated from dialect/GradSpecial.td."""

from gradopt.dialects._grad_special_ops_gen import *  # noqa: F403  # pyright: ignore[reportMissingImports]
