# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products of tensors in random layouts, as loops and as BLAS calls, against numpy.einsum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import harness
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
        repeated: dimensions of the batch along which an operand is the same, and that it does not
            have in memory: the left one's, and the right one's.
    """

    lhs: str
    rhs: str
    batch: str
    contract: str
    stored: str
    sizes: dict[str, int]
    repeated: tuple[str, str] = ("", "")

    @property
    def result(self) -> str:
        """Dimensions of the result: batch, left, right."""
        shared = self.batch + self.contract
        return self.batch + "".join(d for d in self.lhs + self.rhs if d not in shared)

    def shape(self, dims: str) -> list[int]:
        return [self.sizes[d] for d in dims]

    @property
    def memory(self) -> list[str]:
        """The dimensions of the operands in memory, in order."""
        pairs = zip((self.stored, self.rhs), self.repeated, strict=True)
        return ["".join(d for d in dims if d not in repeated) for dims, repeated in pairs]

    def build(self, *operands: ir.Value) -> ir.Value:
        def whole(operand: ir.Value, memory: str, dims: str) -> ir.Value:
            if memory == dims:
                return operand
            return grad.broadcast(operand, self.shape(dims), [dims.index(d) for d in memory])

        stored, rhs = map(whole, operands, self.memory, (self.stored, self.rhs))
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
    repeated = (
        draw(st.sampled_from(["", batch[:1], batch])),
        draw(st.sampled_from(["", batch[-1:]])),
    )
    groups = shuffled(batch), shuffled(contract)
    return Contraction(lhs, rhs, *groups, shuffled(lhs), sizes, repeated)


def compile_contraction(
    case: Contraction, dtype: Any, options: str
) -> tuple[_gradopt.Runnable, str]:
    """The code and the module at the stage "bufferized"."""
    specs = [(case.shape(dims), dtype) for dims in case.memory]
    with CONTEXT, ir.Location.unknown():
        module = ir.Module.create()
        with ir.InsertionPoint(module.body):
            define("main", [tensor(*spec) for spec in specs], case.build, public=True)
        program = Program(str(module), "main", pipeline_options=options)
    text = compile_program(program, "bufferized").text
    results = [(np.dtype(dtype), tuple(case.shape(case.result)))]
    arguments = [(np.dtype(t), tuple(s)) for s, t in specs]
    return harness.load(program, arguments, results), text


def check(case: Contraction, dtype: Any, options: str) -> str:
    rng = generator(0)
    operands = [rng.integers(-5, 6, case.shape(dims)).astype(dtype) for dims in case.memory]
    run, text = compile_contraction(case, dtype, options)
    ones = [np.ones(case.shape(dims), dtype) for dims in case.repeated]
    letters = ",".join([*case.memory, *case.repeated])
    expected = np.einsum(f"{letters}->{case.result}", *operands, *ones)
    np.testing.assert_array_equal(np.asarray(run(*operands)[0]), expected, strict=True)
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


@pytest.mark.parametrize("repeated", [("", "a"), ("", "b"), ("a", "b"), ("ab", ""), ("b", "")])
@pytest.mark.parametrize("rhs", ["abkn", "bakn", "bank"])
def test_what_is_the_same_for_a_batch_is_not_repeated(rhs: str, repeated: tuple[str, str]) -> None:
    text = check(Contraction("abmk", rhs, "ab", "k", "abmk", SIZES, repeated), "f8", "")
    assert "call @gradopt_gemm_f64" in text
    assert "linalg.generic" not in text


def test_both_operands_are_the_same_for_a_batch() -> None:
    case = Contraction("abmk", "abkn", "ab", "k", "abmk", SIZES, ("a", "a"))
    assert "call @gradopt_gemm_f64" in check(case, "f8", "")


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("stored", ["mk", "km"])
@pytest.mark.parametrize("m", [7, 30, 70, 1500, 17000])
def test_products_of_many_and_few_rows_and_columns(m: int, stored: str, dtype: str) -> None:
    """Tiles of all shapes that kernels of ours have, and parts of such."""
    n = {7: 17000, 30: 17000, 70: 170, 1500: 1500, 17000: 20}[m]
    check(Contraction("mk", "kn", "", "k", stored, {"m": m, "n": n, "k": 19}), dtype, "")
