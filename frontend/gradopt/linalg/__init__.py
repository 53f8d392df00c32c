# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""NumPy's linear algebra on traced arrays.

Importing this package fills the tables of `gradopt.array.dispatch`.
"""

from gradopt.linalg import factors, pseudo, spectra, systems

__all__ = ["factors", "pseudo", "spectra", "systems"]
