# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random Python programs of what docs/python.md lists: NumPy runs them, and compiled code.

`writing` makes a program of a seed, `checking` compares the two, `reducing` makes a program that
fails a short one. Long runs, with one process that outlives crashes:

    cd test; python -m programs --first 1000 --count 500
"""
