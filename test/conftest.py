# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""No test finds code that an earlier run has kept, but those of the compile cache."""

import os

os.environ["GRADOPT_CACHE"] = "0"
