# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs as they are recorded: ops, values and blocks as plain Python objects.

A trace needs no MLIR. The op classes are those of MLIR's bindings, generated from the dialect's
definition, on top of the few classes in `ir`. The types of results are MLIR's to say, and are
remembered (`inference`). `text` writes the whole module down, for the compiler to read.
"""
