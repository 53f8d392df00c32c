# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What all tests rely on, however they were started."""

import gc
import os
import signal

# No test finds code that an earlier run has kept, but those of the compile cache.
os.environ["GRADOPT_CACHE"] = "0"
# In the background of a shell it is ignored, and tests of interrupts would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Takes what lives to the end, above all the tests, out of the search for garbage.

    That is a twentieth of the suite's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
