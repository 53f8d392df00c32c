# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives of functions: requests to the compiler, and what checks them."""
