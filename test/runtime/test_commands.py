# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The interpreter of lists of commands, and what it checks before it trusts one."""

from __future__ import annotations

import ctypes
import random
import struct
from typing import Any

import numpy as np
import pytest
from command_lists import (
    ALONE,
    BUFFERS,
    CONSTANTS,
    COPY,
    END,
    EQUAL,
    FRAME,
    GEMM_BF16,
    GEMM_C64,
    GEMM_C128,
    GEMM_F32,
    GEMM_F64,
    HAS_LIBRARY,
    HOST_CALL,
    LAUNCH,
    LESS,
    MAGIC,
    MAXIMUM,
    MINIMUM,
    MULTIPLY_ADD,
    READ,
    SET,
    VERSION,
    WORD,
    ZERO,
    CommandList,
    Operand,
    constant,
)

from gradopt import _gradopt
from gradopt.compilation.compiler import Program, compile_program

Values = ctypes.POINTER(ctypes.c_int64)
Kernel = ctypes.CFUNCTYPE(None, Values)

library = ctypes.CDLL(_gradopt.__file__)
library.gradopt_check_commands.restype = ctypes.c_char_p
library.gradopt_check_device_commands.restype = ctypes.c_char_p


class List(CommandList):
    """A list that the interpreter runs, with functions of Python as kernels."""

    def check(self) -> str | None:
        return check(self.table(), len(self.kernels))

    def run(self, *arrays: np.ndarray[Any, Any], constants: bytes = b"") -> None:
        assert self.check() is None
        table = aligned(self.table())
        size = struct.unpack_from("q", table, 40 + 8 * len(self.sizes))[0]
        arena = np.empty(size // WORD, np.int64)
        kernels = [Kernel(kernel) for kernel in self.kernels]
        buffers = (ctypes.c_void_p * (len(arrays) + 1))(
            *(array.ctypes.data for array in arrays), arena.ctypes.data
        )
        status = library.gradopt_run_commands(
            table, (Kernel * len(kernels))(*kernels), constants, buffers
        )
        assert status == 0


def aligned(data: bytes) -> Any:
    """A copy that begins at a multiple of 8."""
    memory = (ctypes.c_int64 * (-(-len(data) // 8)))()
    ctypes.memmove(memory, data, len(data))
    return memory


def check(data: bytes, kernels: int, device: bool = False) -> str | None:
    where = ctypes.c_size_t()
    size = ctypes.c_size_t(len(data))
    of = library.gradopt_check_device_commands if device else library.gradopt_check_commands
    problem = of(aligned(data), size, ctypes.c_size_t(kernels), ctypes.byref(where))
    assert where.value <= len(data)
    return problem.decode() if problem is not None else None


def loop(trips: int) -> tuple[List, list[int]]:
    """A list with a loop that hands its position, 3 more in each iteration, to a kernel."""
    seen: list[int] = []
    program = List([], registers=1)
    program.add(SET, program.word(0), constant(10))
    enter = program.add(LESS, 0, program.register(0), constant(10 + 3 * trips))
    skip = len(program.commands)
    program.add(EQUAL, 0, constant(0), constant(0))
    body = program.launch(lambda o: seen.append(o[0]), program.register(0))
    program.add(SET, program.word(0), program.register(0, 3))
    program.add(LESS, body, program.register(0), constant(10 + 3 * trips))
    assert enter == 3
    program.aim(1, body)
    program.aim(skip, program.here())
    program.add(END, 0)
    return program, seen


# -- Running --------------------------------------------------------------------------------


def test_kernels_get_addresses_and_numbers() -> None:
    seen: list[list[int]] = []
    x, y = np.arange(4.0), np.zeros(2)
    program = List([x.nbytes, y.nbytes], constants=16)
    operands = [program.buffer(0, 8), program.buffer(1), (CONSTANTS, ZERO, 5), constant(-7)]
    program.launch(lambda o: seen.append(o[:4]), *operands)
    program.add(END, 0)
    memory = ctypes.create_string_buffer(16)
    program.run(x, y, constants=memory)
    assert seen == [[x.ctypes.data + 8, y.ctypes.data, ctypes.addressof(memory) + 5, -7]]


def test_results_of_kernels_are_registers() -> None:
    def seven(o: Values) -> None:
        ctypes.cast(o[0], ctypes.POINTER(ctypes.c_int64))[0] = 7

    seen: list[int] = []
    program = List([], registers=2)
    program.launch(seven, program.result(1))
    program.add(MULTIPLY_ADD, program.word(0), constant(1), program.register(1), constant(-6))
    program.launch(lambda o: seen.append(o[0]), (program.word(0), program.word(1), 100))
    program.add(END, 0)
    program.run()
    assert seen == [1 - 42 + 7 + 100]


def test_sums_wrap() -> None:
    seen: list[int] = []
    program = List([], registers=1)
    program.add(SET, program.word(0), constant(2**63 - 1))
    program.launch(lambda o: seen.append(o[0]), program.register(0, 1))
    program.add(MULTIPLY_ADD, program.word(0), constant(5), program.register(0), constant(2))
    program.launch(lambda o: seen.append(o[0]), program.register(0))
    program.add(END, 0)
    program.run()
    assert seen == [-(2**63), 3]


@pytest.mark.parametrize("trips", [0, 1, 5])
def test_loops(trips: int) -> None:
    program, seen = loop(trips)
    program.run()
    assert seen == list(range(10, 10 + 3 * trips, 3))


def test_registers_are_set_at_once() -> None:
    seen: list[list[int]] = []
    program = List([], registers=2)
    program.add(SET, program.word(0), constant(1), constant(2))
    program.add(SET, program.word(0), program.register(1), program.register(0))
    program.launch(lambda o: seen.append(o[:2]), program.register(0), program.register(1))
    program.add(END, 0)
    program.run()
    assert seen == [[2, 1]]


@pytest.mark.parametrize(("value", "expected"), [(0, ["other"]), (1, ["flag", "other"])])
def test_branches_on_equality(value: int, expected: list[str]) -> None:
    seen: list[str] = []
    program = List([], registers=1)
    program.add(SET, program.word(0), constant(value))
    program.add(EQUAL, 0, program.register(0), constant(0))
    program.launch(lambda _: seen.append("flag"))
    program.aim(1, program.here())
    program.launch(lambda _: seen.append("other"))
    program.add(END, 0)
    program.run()
    assert seen == expected


def test_copies_of_blocks() -> None:
    x, y = np.arange(6.0), np.zeros(4)
    program = List([x.nbytes, y.nbytes])
    program.add(COPY, 0, program.buffer(1, 8), program.buffer(0, 24), constant(16))
    program.add(END, 0)
    program.run(x, y)
    np.testing.assert_array_equal(y, [0, 3, 4, 0])


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.int64])
def test_numbers_of_memory(dtype: Any) -> None:
    """Those that are narrower than a word lie in its first bytes, the others being zero."""
    seen: list[int] = []
    x = np.array([5, -3 % 2**16 if dtype == np.uint16 else -3]).astype(dtype)
    program = List([x.nbytes], registers=1)
    program.add(SET, program.word(0), constant(-1))
    program.add(READ, program.word(0), program.buffer(0, x.itemsize), constant(x.itemsize))
    program.launch(lambda o: seen.append(o[0]), program.register(0))
    program.add(END, 0)
    program.run(x)
    assert seen == [int.from_bytes(x[1].tobytes(), "little", signed=x.itemsize == 8)]


def test_lesser_and_greater_numbers() -> None:
    seen: list[list[int]] = []
    program = List([], registers=3)
    program.add(SET, program.word(0), constant(-4))
    program.add(MINIMUM, program.word(1), program.register(0), constant(3))
    program.add(MAXIMUM, program.word(2), program.register(0), constant(3))
    program.add(MAXIMUM, program.word(0), program.register(0), constant(-(2**63)))
    program.launch(lambda o: seen.append(o[:3]), *(program.register(i) for i in range(3)))
    program.add(END, 0)
    program.run()
    assert seen == [[-4, -4, 3]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products(dtype: type) -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(5, 3)).astype(dtype)
    b = rng.normal(size=(5, 4)).astype(dtype)
    c = rng.normal(size=(3, 4)).astype(dtype)
    expected = a.T @ b + dtype(0.5) * c
    half = np.zeros(8, np.uint8)
    half[: np.dtype(dtype).itemsize] = np.frombuffer(dtype(0.5).tobytes(), np.uint8)
    beta = constant(int(half.view(np.int64)[0]))
    program = List([a.nbytes, b.nbytes, c.nbytes])
    sizes = [constant(n) for n in (1, 0, 3, 4, 5)]
    matrices = [program.buffer(0), constant(3), program.buffer(1), constant(4)]
    opcode = GEMM_F64 if dtype == np.float64 else GEMM_F32
    matrices += [program.buffer(2), constant(4)]
    program.add(opcode, 0, *sizes, *matrices, beta, *ALONE)
    program.add(END, 0)
    program.run(a, b, c)
    np.testing.assert_allclose(c, expected, rtol=1e-5 if dtype == np.float32 else 1e-13)


GEMM = {
    np.float64: GEMM_F64,
    np.float32: GEMM_F32,
    np.complex128: GEMM_C128,
    np.complex64: GEMM_C64,
}


@pytest.mark.parametrize("dtype", GEMM)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_several_products(dtype: type, count: int) -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(size=(count, 3, 5)).astype(dtype)
    b = rng.normal(size=(5, 4)).astype(dtype)  # The same for all.
    if np.dtype(dtype).kind == "c":
        a, b = a * dtype(1 + 2j), b * dtype(3 - 1j)
    c = np.full((count, 2, 3, 4), 7, dtype)  # Of which each second matrix stays.
    program = List([a.nbytes, b.nbytes, c.nbytes])
    sizes = [constant(n) for n in (0, 0, 3, 4, 5)]
    matrices = [program.buffer(0), constant(5), program.buffer(1), constant(4)]
    matrices += [program.buffer(2), constant(4), constant(0)]
    program.add(GEMM[dtype], 0, *sizes, *matrices, *[constant(n) for n in (count, 15, 0, 24)])
    program.add(END, 0)
    program.run(a, b, c)
    single = dtype in (np.float32, np.complex64)
    np.testing.assert_allclose(c[:, 0], a @ b, rtol=1e-5 if single else 1e-13)
    np.testing.assert_array_equal(c[:, 1], 7)


def test_tables_of_other_versions_do_not_run() -> None:
    program = List([])
    program.header = {"version": VERSION + 1}
    program.launch(lambda _: pytest.fail("a command was run"))
    assert library.gradopt_run_commands(aligned(program.table()), None, None, None) == 1


# -- Checks ---------------------------------------------------------------------------------


def minimal() -> List:
    program = List([16], registers=2)
    program.add(END, 0)
    return program


def with_command(opcode: int, target: int, *operands: Operand, kernels: int = 0) -> List:
    program = List([16], registers=2)
    program.kernels = [lambda _: None] * kernels
    program.add(opcode, target, *operands)
    program.add(END, 0)
    return program


def test_valid_tables_are_valid() -> None:
    assert minimal().check() is None
    assert loop(3)[0].check() is None
    end = with_command(COPY, 0, (BUFFERS, ZERO, 16), (BUFFERS, ZERO, 0), constant(0))
    assert end.check() is None


REGISTER = BUFFERS + 2  # of minimal() and with_command()


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        (with_command(18, 0), "unknown command"),
        (with_command(HOST_CALL, 0, *[constant(0)] * 2), "call of the host"),
        (with_command(HAS_LIBRARY, 0), "question for a library"),
        (with_command(GEMM_BF16, 0, *[constant(0)] * 16), "product of narrow floats"),
        (with_command(SET, REGISTER), "wrong number of operands"),
        (with_command(GEMM_F64, 0, *[constant(0)] * 12), "wrong number of operands"),
        (with_command(LAUNCH, 1, kernels=1), "no such kernel"),
        (with_command(SET, BUFFERS, constant(0)), "expected to write registers"),
        (with_command(SET, REGISTER + 1, constant(0), constant(0)), "expected to write registers"),
        (with_command(SET, REGISTER, (REGISTER + 2, ZERO, 0)), "operand is no word"),
        (with_command(SET, REGISTER, (ZERO, REGISTER + 2, 0)), "operand is no word"),
        (with_command(SET, REGISTER, (ZERO, BUFFERS, 0)), "expected a register as index"),
        (with_command(SET, REGISTER, (BUFFERS, ZERO, 17)), "address outside of its buffer"),
        (with_command(SET, REGISTER, (BUFFERS, ZERO, -1)), "address outside of its buffer"),
        (with_command(SET, REGISTER, (CONSTANTS, ZERO, 1)), "address outside of its buffer"),
        (with_command(SET, REGISTER, (FRAME, ZERO, 8)), "expected the address of a register"),
        (
            with_command(SET, REGISTER, (FRAME, ZERO, 8 * REGISTER + 4)),
            "expected the address of a register",
        ),
        (
            with_command(SET, REGISTER, (FRAME, ZERO, 8 * REGISTER + 16)),
            "expected the address of a register",
        ),
        (with_command(READ, REGISTER, (BUFFERS, ZERO, 0)), "wrong number of operands"),
        (with_command(MINIMUM, BUFFERS, *[constant(0)] * 2), "expected to write registers"),
        (
            with_command(READ, BUFFERS, (BUFFERS, ZERO, 0), constant(8)),
            "expected to write registers",
        ),
        (
            with_command(READ, REGISTER, (BUFFERS, ZERO, 0), constant(3)),
            "expected to read 1, 2, 4 or 8 bytes",
        ),
        (
            with_command(READ, REGISTER, (BUFFERS, ZERO, 0), (REGISTER, ZERO, 8)),
            "expected to read 1, 2, 4 or 8 bytes",
        ),
        (
            with_command(READ, REGISTER, (BUFFERS, ZERO, 13), constant(4)),
            "address outside of its buffer",
        ),
        (with_command(EQUAL, 1, constant(0), constant(0)), "expected a branch to a command"),
        (with_command(LESS, 6, constant(0), constant(0)), "expected a branch to a command"),
        (with_command(LESS, 2**32 - 1, constant(0), constant(0)), "expected a branch to a command"),
    ],
)
def test_bad_commands(program: List, problem: str) -> None:
    assert program.check() == problem


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ({"magic": 1}, "no table of commands"),
        ({"version": 1}, "table of another version"),
        ({"bytes": 48}, "wrong size of the table"),
        ({"buffers": 0}, "wrong number of buffers"),
        ({"buffers": 2**32 - 1}, "wrong number of buffers"),
        ({"kernels": 1}, "wrong number of kernels"),
        ({"words": 4}, "too few words"),
        ({"frame": 4}, "the words do not fit in the arena"),
        ({"arena": 8}, "the words do not fit in the arena"),
        ({"frame": 2**64 - 8, "arena": 2**62}, "the words do not fit in the arena"),
        ({"words": 2**32 - 1, "arena": 2**20}, "the words do not fit in the arena"),
        ({"arena": -1}, "negative size of a buffer"),
    ],
)
def test_bad_headers(header: dict[str, int], problem: str) -> None:
    program = minimal()
    program.header = header
    assert program.check() == problem


def test_tables_for_a_device() -> None:
    """Their words are no part of the arena, and nothing on the device has their address."""

    def problem(program: List, **header: int) -> str | None:
        program.header = {"arena": 0, **header}
        return check(program.table(), len(program.kernels), device=True)

    assert problem(minimal()) is None
    assert problem(with_command(READ, REGISTER, (BUFFERS, ZERO, 8), constant(8))) is None
    result = (FRAME, ZERO, 8 * REGISTER)
    assert problem(with_command(LAUNCH, 0, result, kernels=1)) == "a device has no words"
    assert problem(minimal(), frame=8) == "a device has no words"
    assert problem(minimal(), words=2**20) == "more words than commands"
    assert problem(minimal(), operands=2**20) == "more words than commands"
    product = [constant(0)] * 16
    assert problem(with_command(GEMM_F64, 0, *product, kernels=1)) is None
    assert problem(with_command(GEMM_F64, 0, *product)) == "no such kernel"


def test_a_list_has_an_end() -> None:
    program = List([])
    assert program.check() == "expected an end behind the last command"
    program.add(COPY, 0, constant(0), constant(0), constant(0))
    assert program.check() == "expected an end behind the last command"


def test_more_operands_than_there_is_place_for() -> None:
    program = with_command(SET, REGISTER, constant(0))
    program.header = {"operands": 0}
    assert program.check() == "more operands than the table states"


def test_truncated_tables() -> None:
    """Each part of a table is an error, and so is the part that says to be all of it."""
    table = loop(3)[0].table()
    for size in range(len(table)):
        part = table[:size]
        assert check(part, 1) is not None
        if size >= 16:
            part = part[:8] + struct.pack("Q", size) + part[16:]
            assert check(part, 1) is not None


def test_mutated_tables() -> None:
    """Of a table with a few other bytes, nothing outside of it is read."""
    rng = random.Random(0)
    table = loop(3)[0].table()
    problems: set[str | None] = set()
    for _ in range(5000):
        mutated = bytearray(table)
        for _ in range(rng.randint(1, 3)):
            mutated[rng.randrange(len(mutated))] = rng.choice([0, 1, 127, 255, rng.randrange(256)])
        problems.add(check(bytes(mutated), 1))
    assert len(problems) > 10


# -- Tables of the compiler -----------------------------------------------------------------

PROGRAM = """
func.func @main(%x: tensor<7x3xf64>, %w: tensor<3x3xf64>, %n: tensor<i64>) -> tensor<7x3xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %word = tensor.extract %n[] : tensor<i64>
  %trips = arith.index_cast %word : i64 to index
  %zero = grad.constant dense<0> : tensor<i64>
  %table = grad.constant dense<[[1.0, 2.0, 3.0]]> : tensor<1x3xf64>
  %r = scf.for %i = %c0 to %trips step %c1 iter_args(%h = %x) -> tensor<7x3xf64> {
    %k = arith.index_cast %i : index to i64
    %row = tensor.from_elements %k : tensor<i64>
    %a = grad.dynamic_slice %h[%row, %zero], sizes = [1, 3] : tensor<7x3xf64> -> tensor<1x3xf64>
    %b = grad.tanh %a : tensor<1x3xf64>
    %c = grad.add %b, %table : tensor<1x3xf64>
    %u = grad.dynamic_update_slice %h, %c[%row, %zero] : tensor<7x3xf64>, tensor<1x3xf64>
    %odd = arith.cmpi sgt, %k, %word : i64
    %s = scf.if %odd -> tensor<7x3xf64> {
      scf.yield %u : tensor<7x3xf64>
    } else {
      %d = grad.dot_general %u, %w, batch = [] x [], contract = [1] x [0] : tensor<7x3xf64>, tensor<3x3xf64> -> tensor<7x3xf64>
      scf.yield %d : tensor<7x3xf64>
    }
    scf.yield %s : tensor<7x3xf64>
  }
  return %r : tensor<7x3xf64>
}"""


@pytest.mark.parametrize("options", ["blas-threshold=0", "blas-threshold=10000"])
def test_what_the_compiler_writes_is_valid(options: str) -> None:
    program = Program(PROGRAM, "main", pipeline_options=f"command-threshold=0 {options}")
    code = compile_program(program, "object").object_code
    begin = code.index(struct.pack("II", MAGIC, VERSION))
    (size,) = struct.unpack_from("Q", code, begin + 8)
    kernels = struct.unpack_from("I", code, begin + 32)[0]
    assert kernels > 2
    assert check(code[begin : begin + size], kernels) is None


# -- Times ----------------------------------------------------------------------------------


def test_times_are_of_lists_only() -> None:
    code = compile_program(Program("func.func @main() { return }", "main"), "object").object_code
    module = ctypes.c_void_p()
    size = ctypes.c_size_t(len(code))
    assert (
        library.gradopt_module_load(code, size, None, ctypes.c_size_t(0), ctypes.byref(module)) == 0
    )
    library.gradopt_module_num_places.restype = ctypes.c_size_t
    assert library.gradopt_module_num_places(module) == 0
    buffers, times = (ctypes.c_void_p * 1)(), (ctypes.c_uint64 * 2)()
    call = library.gradopt_call_timed
    assert call(module, buffers, ctypes.c_size_t(0), times) == 1
    assert call(None, buffers, ctypes.c_size_t(0), times) == 1
    assert call(module, buffers, ctypes.c_size_t(0), None) == 1
    library.gradopt_module_unload(module)
