# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The grad dialect: op classes and builder functions, generated from dialect/GradOps.td."""

from gradopt.recording._grad_ops_gen import *  # noqa: F403  # pyright: ignore[reportMissingImports]
