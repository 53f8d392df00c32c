# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Python classes of MLIR dialects, generated from ODS."""
