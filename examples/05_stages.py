# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Looks at one small function at every stage of the compiler.

Without --stage all of them are printed, each with a word on what to look for.
"""

from __future__ import annotations

import argparse
import signal
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gradopt as go

Array = NDArray[np.float64]

STAGES = {
    "grad": "What tracing recorded: each NumPy call is an op, and broadcasting is spelled out. "
    "The gradient is still one op, the request grad.vjp.",
    "adjoint": "The request is gone: the forward pass, then its transpose, in the same dialect.",
    "simplified": "The same after algebra, common subexpressions and dead code.",
    "linalg": "Loop nests on values. Fusion has left as few as it could; broadcasts and "
    "transposes are indexing maps, not work.",
    "bufferized": "Memory. Results are arguments now, products are BLAS calls, and every "
    "temporary is a view of one arena, the last argument.",
    "llvm": "Loops and addresses in the LLVM dialect, with the C entry point gradopt_main.",
    "llvm-ir": "LLVM IR after optimisation: tanh is inlined, loops are vectors.",
    "asm": "Machine code for this computer.",
}


def f(x: Array, w: Array, b: Array) -> Any:
    """One dense layer and a squared norm."""
    return np.sum(np.tanh(x @ w + b) ** 2)


def text_of(lowered: go.Lowered, stage: str) -> str:
    """The program after a stage."""
    if stage == "llvm-ir":
        return lowered.llvm_ir()
    if stage == "asm":
        return lowered.asm()
    return lowered.mlir(stage)


def main() -> None:
    """Reads the command line and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stage", action="append", choices=list(STAGES), help="may be repeated")
    arguments = parser.parse_args()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # End quietly under `| head`.

    gradient = go.compile_grad(f, argnums=(1, 2))
    lowered = gradient.lower(np.ones((32, 16)), np.ones((16, 8)), np.ones(8))
    for stage in arguments.stage or STAGES:
        print(f"==== {stage} {'=' * (94 - len(stage))}\n{STAGES[stage]}\n")
        print(text_of(lowered, stage))
    print(lowered.memory())


if __name__ == "__main__":
    main()
