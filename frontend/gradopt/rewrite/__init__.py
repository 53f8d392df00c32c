# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The user's functions, rewritten so that their control flow can depend on traced values."""
