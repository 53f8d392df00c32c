# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""There is code for each op of the dialect on a GPU, or commands that call the host's.

That all ops run on the CPU is what test/numerics shows.
"""

from __future__ import annotations

import pytest
from op_table import DEVICES, TABLE, page, refusal


@pytest.mark.parametrize("op", sorted(TABLE))
def test_each_op_compiles_for_cuda(op: str) -> None:
    assert not refusal(op, DEVICES["CUDA"])


def test_the_page_has_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "op_table.refusal", lambda op, chip: "not yet" if (op, chip) == ("tanh", "sm_90") else ""
    )
    lines = page().splitlines()
    assert "| op | CPU | CUDA |" in lines
    assert "| `tanh` | yes | no |" in lines
    assert lines.count("| `exp` | yes | yes |") == 1
    assert sum(line.startswith("| `") for line in lines) == len(TABLE)
