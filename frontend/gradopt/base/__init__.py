# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What all rooms use: source positions, dtypes, pytrees, options."""
