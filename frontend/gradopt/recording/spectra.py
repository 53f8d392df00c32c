# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The ops on general square matrices, generated from dialect/GradSpectra.td."""

from gradopt.recording._grad_spectra_ops_gen import *  # noqa: F403  # pyright: ignore[reportMissingImports]
