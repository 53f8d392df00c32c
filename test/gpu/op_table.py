# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which ops of the dialect there is code for, on which devices.

As a program, writes the table as a page of the reference (`make docs`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path += [str(ROOT / "test"), str(ROOT / "test" / "numerics")]

from harness import CONTEXT, define, tensor  # noqa: E402
from mlir import ir  # noqa: E402
from ops import ELEMENTWISE, STRUCTURAL, TABLE  # noqa: E402

from gradopt import _compiler  # noqa: E402
from gradopt.dialects import grad  # noqa: E402

DEVICES = {"CPU": "", "CUDA": "sm_90"}

PAGE = """# Ops and devices

Each op of the dialect, and whether all its uses in the tests compile: on the CPU to object code, for
CUDA to PTX and commands, of which some call functions of the host.

| op | {heads} |
| --- | {lines} |
{rows}
"""


def program(op: str) -> str:
    """A module with all uses of an op that the tests have, in all types."""
    inputs: list[tuple[tuple[int, ...], np.dtype[Any]]] = []
    uses: list[tuple[Any, int]] = []
    if op in ELEMENTWISE:
        row = ELEMENTWISE[op]
        for dtype in row.dtypes:
            kinds = ["?"] * row.conditions + [dtype] * (row.arity - row.conditions)
            inputs += [((7,), np.dtype(kind)) for kind in kinds]
            uses.append((getattr(grad, op), row.arity))
    else:
        for case in STRUCTURAL[op].cases:
            for dtype in case.dtypes or STRUCTURAL[op].dtypes:
                for x in case.operands:
                    known = isinstance(x, np.ndarray)
                    inputs.append((x.shape, x.dtype) if known else (x, np.dtype(dtype)))
                uses.append((case.build, len(case.operands)))

    def body(*x: Any) -> list[Any]:
        rest = iter(x)
        return [build(*(next(rest) for _ in range(count))) for build, count in uses]

    with CONTEXT, ir.Location.unknown():
        module = ir.Module.create()
        with ir.InsertionPoint(module.body):
            define("main", [tensor(*spec) for spec in inputs], body, public=True)
        return str(module)


def refusal(op: str, chip: str) -> str:
    """Why there is no code for an op; "" if there is."""
    code = program(op)
    assert f"grad.{op}" in code
    work = _compiler.Compilation(code, "object", chip=chip)
    while not work.wait(60):
        pass
    try:
        assert work.object_code
    except _compiler.CompilationError as error:
        return str(error)
    return ""


def page() -> str:
    """The table as Markdown."""
    rows: list[str] = []
    for op in sorted(TABLE):
        cells = ["no" if refusal(op, chip) else "yes" for chip in DEVICES.values()]
        rows.append(f"| `{op}` | {' | '.join(cells)} |")
    return PAGE.format(
        heads=" | ".join(DEVICES), lines=" | ".join("---" for _ in DEVICES), rows="\n".join(rows)
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
