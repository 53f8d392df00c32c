# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What kernels look like in PTX, and that an assembler takes them: no GPU is needed."""

from __future__ import annotations

import functools
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ptx import assemble, commands, entries, find_assembler, ptx_of
from ptx_programs import PROGRAMS, ones, softmax, traced, value_and_grad

import gradopt as go
import gradopt_runtime
from gradopt import _compiler
from gradopt.errors import ArgumentError

ASSEMBLER = find_assembler()
needs_assembler = pytest.mark.skipif(not ASSEMBLER, reason="there is no ptxas")
CHIP = "sm_90"
HUGE = {f"gradopt_{name}_huge_f{bits}" for name in ("sin", "cos", "tan") for bits in (32, 64)}


@functools.cache
def ptx(name: str) -> str:
    return ptx_of(PROGRAMS[name](), CHIP)


@needs_assembler
@pytest.mark.slow  # make test-ptx does it, too.
@pytest.mark.parametrize("name", PROGRAMS)
def test_assembles_without_spills(name: str) -> None:
    assert ASSEMBLER
    kernels = assemble(ptx(name), CHIP, ASSEMBLER)
    assert [k.name for k in kernels if k.spilled] == []
    assert {k.name for k in kernels} == entries(ptx(name)).keys()
    # Of 256 threads each: several blocks fit a multiprocessor of 65,536 registers, but for large
    # products of sizes that are known at run time, which would spill.
    if name != "many sums":
        few = [k.name for k in kernels if k.registers > 128]
        assert [kernel for kernel in few if kernel != "gemm_f32_nn_128x128"] == []


@pytest.mark.parametrize("name", PROGRAMS)
def test_kernels_take_words_and_need_no_library(name: str) -> None:
    text = ptx(name)
    assert f".target {CHIP}" in text
    assert "__nv_" not in text
    assert ".extern" not in text
    # Of all functions, those of huge angles are not worth to be a part of each kernel.
    assert set(re.findall(r"call\.uni .*?(\w+),", text)) <= HUGE
    for kernel, body in entries(text).items():
        head = body[: body.index(")")]
        parameters = re.findall(r"\.param (\.\w+)", head)
        assert set(parameters) <= {".u64", ".b64"}, kernel
        assert 8 * len(parameters) <= 4352, "more than older drivers take"
        shared = re.findall(r"\.shared .*\[(\d+)\]", body)
        assert sum(map(int, shared)) <= 48 * 1024


@pytest.mark.parametrize("name", PROGRAMS)
def test_kernels_keep_their_numbers_in_registers(name: str) -> None:
    assert [kernel for kernel, body in entries(ptx(name)).items() if ".local" in body] == []


@pytest.mark.parametrize(
    ("name", "access"),
    [
        ("axpy f32", "v4.b32"),
        ("axpy f64", "v2.b64"),
        ("axpy i64", "v2.b64"),
        ("elementwise f32", "v4.b32"),
        ("elementwise f64", "v2.b64"),
    ],
)
def test_large_elementwise_kernels_access_16_bytes_at_once(name: str, access: str) -> None:
    (kernel,) = entries(ptx(name)).values()
    loads = re.findall(r"ld\.global\.(\S+)", kernel)
    assert loads == [f"nc.{access}"] * 2
    assert re.findall(r"st\.global\.(\S+)", kernel) == [access]


@pytest.mark.parametrize(("name", "access"), [("cumsum f32", "v4.b32"), ("cumsum f64", "v2.b64")])
def test_long_scans_access_16_bytes_at_once(name: str, access: str) -> None:
    """All parts of a tile but the first one, which has what a line begins with."""
    totals, rest = entries(ptx(name)).values()
    for kernel in totals, rest:
        assert re.findall(r"ld\.global\.nc\.(\S+)", kernel).count(access) >= 3
    assert re.findall(r"st\.global\.(\S+)", rest).count(access) == 4
    assert "shfl.sync" in rest


def test_bytes_and_halves_of_16_bytes_are_loaded_at_once() -> None:
    """The widest operand decides: four bools beside four floats."""
    code = traced(lambda c, x: np.where(c, x, 0), ones(1 << 20, bool), ones(1 << 20))
    (kernel,) = entries(ptx_of(code)).values()
    loads = re.findall(r"ld\.global\.nc\.(\S+)", kernel)
    assert sorted(loads) in (["b32", "v4.b32"], ["v4.b32", "v4.b8"])


@pytest.mark.parametrize(
    ("name", "fused", "count"),
    [
        ("f32", r"fma\.rn\.f32", 16 * 16),
        # Tensor cores do what 32 threads would do 8 x 8 x 4, or 16 x 8 x 16 times.
        ("f64", r"mma\.sync\.\S+\.m8n8k4\.row\.col\.f64", 4 * 8),
        ("f16", r"mma\.sync\.\S+\.m16n8k16\.row\.col\.f32\.f16\.f16\.f32", 4),
        ("bf16", r"mma\.sync\.\S+\.m16n8k16\.row\.col\.f32\.bf16\.bf16\.f32", 4),
    ],
)
def test_products_are_added_up_by_fused_operations(name: str, fused: str, count: int) -> None:
    kernels = entries(ptx(f"products {name}"))
    products = {kernel.rsplit("_", 1)[0] for kernel in kernels if kernel.startswith("gemm")}
    assert products == {f"gemm_{name}_{a}{b}" for a in "nt" for b in "nt"}
    for kernel, body in kernels.items():
        if kernel.startswith("gemm"):
            assert len(re.findall(fused, body)) >= count
            assert "bar.sync" in body
            assert ".shared" in body


@pytest.mark.parametrize(
    ("lhs", "rhs"),
    [
        ((8, 64, 96), (8, 96, 64)),
        ((2, 4, 64, 96), (2, 4, 96, 64)),
        ((2, 4, 64, 96), (96, 64)),
        ((2, 4, 64, 96), (2, 1, 96, 64)),
        ((64, 96), (8, 96, 64)),
        ((64, 96), (2, 4, 96, 64)),
    ],
)
def test_a_batch_of_products_is_one_command(lhs: tuple[int, ...], rhs: tuple[int, ...]) -> None:
    product, end = commands(traced(lambda a, b: a @ b, ones(lhs), ones(rhs)))
    assert product.startswith("gemm f32 or @gemm_f32_nn_64x64<")
    assert end == "end"


def test_attention_has_two_products_and_its_gradient_four() -> None:
    def loss(q: Any, k: Any, v: Any) -> Any:
        return np.sum(np.tanh(softmax(q @ np.swapaxes(k, -1, -2)) @ v))

    heads = [ones((8, 4, 64, 32)) for _ in range(3)]
    text = commands(value_and_grad(loss, *heads, argnums=(0, 1, 2)))
    assert len([command for command in text if command.startswith("gemm")]) == 6
    assert not any(command.startswith("go to") for command in text)


def test_no_more_than_what_is_asked_for_is_fused() -> None:
    """Without `fast_math`, a product is rounded before it is added, as NumPy does it."""
    (kernel,) = entries(ptx("axpy f32")).values()
    assert "fma" not in kernel


def test_square_roots_and_quotients_are_rounded_correctly() -> None:
    text = ptx_of(traced(lambda x: np.sqrt(x) / (1 + x), ones(1 << 20)))
    assert "sqrt.rn.f32" in text
    assert "div.rn.f32" in text
    assert ".approx" not in text


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_hyperbolic_tangents_divide_without_branches(dtype: str) -> None:
    (kernel,) = entries(ptx_of(traced(np.tanh, ones(1 << 20, dtype)))).values()
    assert "rcp.approx.ftz" in kernel
    assert "div." not in kernel
    assert "bra" not in kernel


def test_no_comparison_with_an_absolute_value_always_holds() -> None:
    """The assembler takes |x| >= c with c below zero for true, of NaN, too."""
    text = ptx_of(traced(lambda x: np.exp(-np.abs(x)), ones(100)))
    assert "setp.num.f32" in text
    absolute = re.findall(r"abs\.f32\s+(%r\d+)", text)
    compared = re.findall(r"setp\.g[et]\.f32\s+%p\d+, (%r\d+), 0f[89A-F]", text)
    assert absolute
    assert not set(absolute) & set(compared)


def test_denormals_are_kept() -> None:
    text = "".join(ptx(name) for name in ("ops f32", "softmax", "products f32"))
    # Of a reciprocal there is no other form; it is that of numbers which are not so small.
    assert ".ftz" not in text.replace("rcp.approx.ftz", "")


def test_threads_see_what_others_have_written() -> None:
    """A number that one thread stores in a loop is loaded again by all behind the barrier."""
    text = """
func.func @main(%x: memref<100xf64>, %s: memref<f64>, %n: memref<index>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @loop(%x, %s, %n) : (memref<100xf64>, memref<f64>, memref<index>) -> ()
  return
}
func.func private @loop(%x: memref<100xf64> {llvm.noalias}, %s: memref<f64> {llvm.noalias}, %n: memref<index> {llvm.noalias}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %m = memref.load %n[] : memref<index>
  scf.for %i = %c0 to %m step %c1 {
    %a = memref.load %s[] : memref<f64>
    linalg.generic {indexing_maps = [affine_map<(d0) -> ()>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
        ins(%a : f64) outs(%x : memref<100xf64>) {
    ^bb0(%b: f64, %c: f64):
      %d = arith.mulf %b, %c : f64
      linalg.yield %d : f64
    }
    %b = arith.addf %a, %a : f64
    memref.store %b, %s[] : memref<f64>
  }
  return
}
"""
    work = _compiler.Compilation(text, "assembly", source="bufferized", chip=CHIP)
    assert work.wait(60)
    (body,) = entries(work.text).values()
    stored = re.search(r"st\.global\.b64\s+\[(%rd\d+)\], %rd\d+;\s*bra", body)
    assert stored
    loop = body[body.index("$L__BB0_2:") :]
    assert f"[{stored[1]}]" in "".join(re.findall(r"ld\.global\S+\s+.*;", loop))


def test_programs_without_kernels() -> None:
    assert entries(ptx_of(traced(lambda x: np.reshape(x, (3, 4)), ones(12)))) == {}


def test_a_chip_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="no such GPU: sm_12345"):
        _compiler.Compilation("", "assembly", chip="sm_12345")


@needs_assembler
def test_machine_code_in_a_bundle_beside_ptx(tmp_path: Path) -> None:
    path = tmp_path / "a.bundle"
    lowered = go.compile_grad(lambda x: np.sum(np.tanh(x @ x.T))).lower(np.ones((30, 20)))
    go.save(lowered, path, cpu=[], chips=["sm_80", "sm_90"], assembler=ASSEMBLER)
    images = images_of(path.read_bytes())
    assert [(chip, kind) for chip, kind, _ in images] == [(80, 0), (90, 0), (80, 1), (90, 1)]
    assert [code[:4] for _, kind, code in images if kind == 1] == [b"\x7fELF"] * 2
    kernels = [set(re.findall(rb"\.visible \.entry (\w+)", code)) for _, _, code in images[:2]]
    assert kernels[0] == kernels[1]
    assert all(name in code for _, _, code in images[2:] for name in kernels[0])
    gradopt_runtime.load(path)
    for assembler, message in [("/none/ptxas", "/none/ptxas failed"), ("none", "there is no none")]:
        with pytest.raises(ArgumentError, match=message):
            go.save(lowered, path, chips=["sm_80"], assembler=assembler)


def images_of(content: bytes) -> list[tuple[int, int, bytes]]:
    """The chip, the kind and the bytes of each form of the kernels."""
    begin = content.index(b"GDEV")
    place, count = struct.unpack_from("QQ", content, begin + 72)
    found: list[tuple[int, int, bytes]] = []
    for number in range(count):
        chip, kind, at, size = struct.unpack_from("IIQQ", content, begin + place + 24 * number)
        found.append((chip, kind, content[begin + at : begin + at + size]))
    return found
