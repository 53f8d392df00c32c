# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""There is code for each op of the dialect on a GPU, but for calls of the host's code.

That all ops run on the CPU is what test/numerics shows.
"""

from __future__ import annotations

import pytest
from op_table import DEVICES, TABLE, page, refusal

ONLY_HOST = {"custom_call", "custom_call_into", "lapack_into", "sort_into"}
LAPACK = {
    *("cholesky", "lu", "lu_solve", "triangular_solve", "qr", "eigh", "svd", "schur"),
    *("triangular_sylvester", "triangular_sqrt"),
}
FOURIER = {"fft", "rfft", "irfft", "fourier_into"}
ONLY_COMPLEX = {"complex", "imag", "eig"} | FOURIER


@pytest.mark.parametrize("op", sorted(TABLE))
def test_each_op_compiles_for_cuda(op: str) -> None:
    said = refusal(op, DEVICES["CUDA"])
    if op in ONLY_HOST:
        assert "calls code of the host" in said
    elif op in LAPACK:
        assert "which runs on the host" in said
    elif op in ONLY_COMPLEX:
        assert "complex numbers are not supported" in said or "numbers that there are not" in said
    else:
        assert not said


def test_the_page_has_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "op_table.refusal", lambda op, chip: "not yet" if (op, chip) == ("tanh", "sm_90") else ""
    )
    lines = page().splitlines()
    assert "| op | CPU | CUDA |" in lines
    assert "| `tanh` | yes | no |" in lines
    assert lines.count("| `exp` | yes | yes |") == 1
    assert sum(line.startswith("| `") for line in lines) == len(TABLE)
