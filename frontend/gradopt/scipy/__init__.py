# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""SciPy's functions, with derivatives.

Ufuncs of `scipy.special` work as they are, and in rewritten functions so do its other ones that
are here; the functions here take the place of those that SciPy computes in code that cannot be
traced. They have SciPy's names, parameters and results, and
do not need SciPy. Outside of traces they are compiled at the first call.
"""

from gradopt.scipy import fft, linalg, signal, special, stats

__all__ = ["fft", "linalg", "signal", "special", "stats"]
