# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The grad dialect: op classes and builder functions, generated from dialect/GradOps.td."""

from mlir.dialects import builtin as builtin  # Else the bindings import it in the first trace.
from mlir.dialects._ods_common import _cext

# Without this, each creation of an op would search for `mlir.dialects.grad` again.
_cext.globals.append_dialect_search_prefix("gradopt.dialects")

from gradopt.dialects._grad_ops_gen import *  # noqa: E402, F403  # pyright: ignore[reportMissingImports]
