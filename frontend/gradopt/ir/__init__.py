# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The IR under construction: types, functions, values, and one function for each op."""
