# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.spatial`: distances."""

from gradopt.scipy.spatial import distance

__all__ = ["distance"]
