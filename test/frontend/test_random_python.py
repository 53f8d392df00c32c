# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random Python programs: NumPy runs them, and compiled code (`test/programs`).

Results, arguments that are written to and exceptions must be NumPy's. Derivatives in both modes
must agree, and be those of finite differences where these settle: a program may jump where a
condition changes. What is refused is so with an error that names its line.
"""

from __future__ import annotations

from collections import Counter

import pytest
from budget import SEED, budget, by_seed
from programs.checking import check
from programs.reducing import reduced
from programs.writing import PRELUDE, program_of

SEEDS = 24
_kinds: Counter[str] = Counter()


@by_seed(SEEDS)
@pytest.mark.filterwarnings("ignore")
def test_program(seed: int) -> None:
    program = program_of(seed)
    outcome = check(program)
    _kinds[outcome.kind] += 1
    if outcome.is_fault:
        short = reduced(program, outcome)
        pytest.fail(f"{outcome.kind}: {outcome.detail}\n\n{short.text.removeprefix(PRELUDE)}")


@pytest.mark.random
def test_most_programs_compile() -> None:
    """Those above."""
    count = sum(_kinds.values())
    if count < budget(SEEDS):
        pytest.skip("only some of them ran here")
    assert _kinds["compiled"] + _kinds["raises"] > 0.6 * count, (SEED, _kinds)
