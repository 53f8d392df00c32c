# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The IR under construction: context, functions, values, and one function for each op."""
