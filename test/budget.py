# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How much the random tests try, and what: the one place that decides it.

In the suite every run is the same. `make fuzz` takes another seed each time, which it prints, and
more examples. The variables that it sets:

    GRADOPT_TEST_SEED      the seed of all random tests; without it or with 0, that of the suite
    GRADOPT_TEST_EXAMPLES  examples of a Hypothesis test; counts of other tests grow in proportion
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import hypothesis
import numpy as np
import pytest

USUAL_EXAMPLES = 40
SEED = int(os.environ.get("GRADOPT_TEST_SEED", "0"))
EXAMPLES = int(os.environ.get("GRADOPT_TEST_EXAMPLES", str(USUAL_EXAMPLES)))


def budget(usual: int) -> int:
    """How many examples to try where the suite tries `usual`."""
    return max(1, usual * EXAMPLES // USUAL_EXAMPLES)


def generator(*key: int) -> np.random.Generator:
    """Random numbers that follow from the key and the seed."""
    return np.random.default_rng([*key, SEED] if SEED else list(key))


def by_seed(usual: int) -> Any:
    """Runs a test for several values of its parameter `seed`."""
    seeds: Sequence[int] = range(SEED, SEED + budget(usual))

    def mark(test: Callable[..., Any]) -> Callable[..., Any]:
        return pytest.mark.random(pytest.mark.parametrize("seed", seeds)(test))

    return mark


def by_hypothesis(usual: int = USUAL_EXAMPLES) -> Any:
    """Settings of a Hypothesis test, in front of `given`."""
    settings = hypothesis.settings(
        max_examples=budget(usual),
        deadline=None,
        database=None,
        derandomize=not SEED,
        suppress_health_check=list(hypothesis.HealthCheck),
    )

    def mark(test: Callable[..., Any]) -> Callable[..., Any]:
        test = settings(test)
        return pytest.mark.random(hypothesis.seed(SEED)(test) if SEED else test)

    return mark
