# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products of tensors in random layouts, as loops and as BLAS calls, against numpy.einsum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from budget import by_hypothesis, generator
from harness import CONTEXT, define, tensor
from hypothesis import given
from hypothesis import strategies as st
from mlir import ir

from gradopt import _gradopt
from gradopt.compilation.compiler import Program, compile_program
from gradopt.dialects import grad


@dataclass(frozen=True)
class Contraction:
    """A product of two tensors whose dimensions are named by letters.

    Attributes:
        lhs: the dimensions of the left operand, in order.
        rhs: those of the right operand.
        batch: the dimensions of both operands and the result.
        contract: the dimensions of both operands only.
        stored: the order in which the left operand's dimensions are in memory.
        sizes: of all dimensions.
    """

    lhs: str
    rhs: str
    batch: str
    contract: str
    stored: str
    sizes: dict[str, int]

    @property
    def result(self) -> str:
        """Dimensions of the result: batch, left, right."""
        shared = self.batch + self.contract
        return self.batch + "".join(d for d in self.lhs + self.rhs if d not in shared)

    def shape(self, dims: str) -> list[int]:
        return [self.sizes[d] for d in dims]

    def build(self, stored: ir.Value, rhs: ir.Value) -> ir.Value:
        lhs = grad.transpose(stored, [self.stored.index(d) for d in self.lhs])
        return grad.dot_general(
            lhs,
            rhs,
            [self.lhs.index(d) for d in self.batch],
            [self.rhs.index(d) for d in self.batch],
            [self.lhs.index(d) for d in self.contract],
            [self.rhs.index(d) for d in self.contract],
        )


@st.composite
def contractions(draw: st.DrawFn) -> Contraction:
    """Up to two dimensions in each group, of sizes that include 0 and 1, in any order."""
    letters = iter("abcdefgh")
    batch, left, right, contract = (
        "".join(next(letters) for _ in range(draw(st.integers(0, 2)))) for _ in range(4)
    )
    sizes = {d: draw(st.sampled_from([0, 1, 2, 3, 8, 13])) for d in batch + left + right + contract}

    def shuffled(dims: str) -> str:
        return "".join(draw(st.permutations(dims))) if dims else ""

    lhs, rhs = shuffled(batch + left + contract), shuffled(batch + right + contract)
    return Contraction(lhs, rhs, shuffled(batch), shuffled(contract), shuffled(lhs), sizes)


def compile_contraction(
    case: Contraction, dtype: Any, options: str
) -> tuple[_gradopt.Executable, str]:
    """The code and the module at the stage "bufferized"."""
    specs = [(case.shape(case.stored), dtype), (case.shape(case.rhs), dtype)]
    with CONTEXT, ir.Location.unknown():
        module = ir.Module.create()
        with ir.InsertionPoint(module.body):
            define("main", [tensor(*spec) for spec in specs], case.build, public=True)
        program = Program(str(module), "main", pipeline_options=options)
    text = compile_program(program, "bufferized").text
    done = compile_program(program, "object")
    results = [(np.dtype(dtype), tuple(case.shape(case.result)))]
    arguments = [(np.dtype(t), tuple(s)) for s, t in specs]
    return _gradopt.Executable(done.object_code, arguments, results, done.arena_bytes), text


def check(case: Contraction, dtype: Any, options: str) -> str:
    rng = generator(0)
    stored = rng.integers(-5, 6, case.shape(case.stored)).astype(dtype)
    rhs = rng.integers(-5, 6, case.shape(case.rhs)).astype(dtype)
    run, text = compile_contraction(case, dtype, options)
    expected = np.einsum(f"{case.stored},{case.rhs}->{case.result}", stored, rhs)
    np.testing.assert_array_equal(run(stored, rhs)[0], expected, strict=True)
    return text


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4"])
@pytest.mark.parametrize("options", ["blas-threshold=1", "blas-threshold=1000000000"])
@by_hypothesis()
@given(case=contractions())
def test_any_layout(case: Contraction, dtype: str, options: str) -> None:
    check(case, dtype, options)


SIZES = dict(zip("abmnkl", (2, 3, 16, 17, 18, 2), strict=True))


@pytest.mark.parametrize(
    ("lhs", "rhs", "batch", "contract", "stored"),
    [
        ("mk", "kn", "", "k", "mk"),
        ("mk", "nk", "", "k", "km"),
        ("amk", "akn", "a", "k", "amk"),
        ("mak", "kan", "a", "k", "kma"),
        ("abmk", "bkan", "ab", "k", "abmk"),
        ("mkl", "kln", "", "kl", "mkl"),
        ("kml", "nkl", "", "kl", "mkl"),
        ("amk", "kn", "", "k", "mka"),
    ],
)
def test_products_of_matrices_are_blas_calls(
    lhs: str, rhs: str, batch: str, contract: str, stored: str
) -> None:
    text = check(Contraction(lhs, rhs, batch, contract, stored, SIZES), "f8", "")
    assert "call @gradopt_gemm_f64" in text
