# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From a Python function to machine code, once for each signature."""
