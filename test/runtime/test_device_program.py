# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the loader checks of a program for a GPU: damage is an error, never a crash."""

from __future__ import annotations

import random
import struct
from collections import Counter
from pathlib import Path

import device_programs as programs
import numpy as np
import pytest
from command_lists import (
    CONSTANTS,
    COPY,
    END,
    FRAME,
    GEMM_F64,
    MULTIPLY_ADD,
    NUMBER_SIZE,
    READ,
    ZERO,
    CommandList,
    constant,
)
from device_programs import PTX, CudaError, Runtime, device_program
from emulated_cuda import Emulator
from emulated_runtime import image

__all__ = ["image"]


@pytest.fixture(scope="module")
def emulator() -> Emulator:
    return Emulator()


@pytest.fixture(scope="module")
def cuda(emulator: Emulator) -> Runtime:
    runtime = Runtime()
    runtime.set_driver(emulator.path)
    runtime.info()
    return runtime


def example(constants: int = 16) -> CommandList:
    program = CommandList([64, 64], registers=1, constants=constants)
    program.launch(("add_one", 1, 8), program.buffer(0), program.buffer(2), constant(8))
    program.launch(("add_one", 2, 32), (CONSTANTS, ZERO, 0), program.buffer(1), constant(2))
    program.add(READ, program.word(0), program.buffer(2), constant(4))
    program.add(COPY, 0, program.buffer(1), program.buffer(2), constant(64))
    program.add(END, 0)
    return program


def problem(cuda: Runtime, program: bytes) -> str:
    """What is wrong with a program."""
    with pytest.raises(CudaError) as caught:
        cuda.load(program)
    assert caught.value.status == programs.INVALID_OBJECT
    return str(caught.value).removeprefix("invalid program for a GPU: ")


def test_a_program(cuda: Runtime, image: programs.Image) -> None:
    code = device_program(example(), [image], constants=bytes(16), arena=64)
    # Its bytes may be aligned to nothing.
    for shift in (0, 1, 4):
        buffer = (bytes(shift) + code)[shift:]
        cuda.unload(cuda.load(buffer))


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"magic": 1}, "it does not begin like one"),
        ({"version": 1}, "it is of another version"),
        ({"bytes": 88}, "it is of another size than it says"),
        ({"table": 1 << 40}, "a part is not inside of it"),
        ({"table": 92}, "a part is not inside of it"),
        ({"table_bytes": (1 << 64) - 8}, "a part is not inside of it"),
        ({"table_bytes": 8}, "no table of commands"),
        ({"table_bytes": 0}, "no table of commands"),
        ({"constants": (1 << 64) - 8}, "a part is not inside of it"),
        ({"constants_bytes": 8}, "there are less constants than the commands use"),
        ({"arena_bytes": 8}, "the arena is smaller than the commands use"),
        ({"arena_bytes_per_part": 8}, "there is no such room"),
        ({"least_room": 32}, "there is no such room"),
        ({"least_room": 1 << 63}, "there is no such room"),
        ({"least_room": 64}, "there is no such room"),
        ({"kernels": 1 << 32}, "the table of kernels is not inside of it"),
        ({"num_kernels": 1 << 60}, "the table of kernels is not inside of it"),
        ({"num_kernels": 1}, "wrong number of kernels"),
        ({"images": (1 << 64) - 8}, "the table of images is not inside of it"),
        ({"num_images": 1 << 61}, "the table of images is not inside of it"),
    ],
)
def test_headers(cuda: Runtime, image: programs.Image, header: dict[str, int], words: str) -> None:
    code = device_program(example(), [image], constants=bytes(16), arena=64, header=header)
    assert problem(cuda, code) == words


def test_the_room_of_a_call(cuda: Runtime, image: programs.Image) -> None:
    """Temporaries are for it, and behind what the commands use where there is the least."""
    program = CommandList([64, 64, NUMBER_SIZE], registers=1)
    program.add(MULTIPLY_ADD, program.word(0), program.buffer(3), program.buffer(2), constant(32))
    program.launch(("add_one", 1, 8), program.buffer(0), program.register(0), constant(8))
    program.launch(("add_one", 1, 8), program.register(0), program.buffer(1), constant(8))
    program.add(END, 0)
    header = {"least_room": 64, "arena_bytes": 64, "arena_bytes_per_part": 32}
    module = cuda.load(device_program(program, [image], arena=128, header=header))
    numbers = np.arange(8.0)
    x, y = cuda.upload(numbers), cuda.upload(numbers)
    for parts in (2, 100, 2, 1000, 1000, 1000):
        cuda.run(module, x, y, parts)
        np.testing.assert_array_equal(cuda.download(y, numbers), numbers + 2)
    for parts in (0, 1):
        with pytest.raises(CudaError, match="there is room for too few rows"):
            cuda.run(module, x, y, parts)
    with pytest.raises(CudaError) as caught:
        cuda.run(module, x, y, (1 << 64) - 1)
    assert caught.value.status == programs.OUT_OF_MEMORY
    cuda.unload(module)


@pytest.mark.parametrize(("grid", "block"), [(0, 1), (1, 0), (1 << 31, 1), (1, 1025)])
def test_shapes_of_kernels(cuda: Runtime, image: programs.Image, grid: int, block: int) -> None:
    program = CommandList([])
    program.launch(("nothing", grid, block))
    program.add(END, 0)
    words = "a kernel has no threads, or more than there can be"
    assert problem(cuda, device_program(program, [image])) == words


def test_names_of_kernels(cuda: Runtime, image: programs.Image) -> None:
    words = "a kernel has no name that can be printed"
    for name in ("n" * 5000, "", "an other", "\u00e4"):
        program = CommandList([])
        program.launch((name, 1, 1))
        program.add(END, 0)
        assert problem(cuda, device_program(program, [image])) == words
    code = bytearray(device_program(example(), [image], constants=bytes(16), arena=64))
    (kernels,) = struct.unpack_from("Q", code, 56)
    struct.pack_into("Q", code, kernels, len(code))
    assert problem(cuda, bytes(code)) == words


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ([(80, PTX, b"")], "PTX does not end"),
        ([(80, PTX, b".version 8.0")], "PTX does not end"),
        ([(90, programs.CUBIN, b"\x7fELF\x02" + bytes(40))], "machine code is not complete"),
        ([(90, programs.CUBIN, bytes(100))], "machine code is not complete"),
        ([(0, 3, bytes(100))], "an image is of an unknown kind"),
    ],
)
def test_images(cuda: Runtime, images: list[programs.Image], words: str) -> None:
    code = device_program(example(), images, constants=bytes(16), arena=64)
    assert problem(cuda, code) == words


def test_truncated_object_files(cuda: Runtime, image: programs.Image) -> None:
    """Their tables of sections come last."""
    chip, kind, code = image
    for size in (10, 64, len(code) // 2, len(code) - 1):
        program = device_program(
            example(), [(chip, kind, code[:size])], constants=bytes(16), arena=64
        )
        assert problem(cuda, program) == "machine code is not complete"


def test_commands(cuda: Runtime, image: programs.Image) -> None:
    program = CommandList([8], registers=1)
    program.launch(("nothing", 1, 1), (FRAME, ZERO, 8 * program.word(0)))
    program.add(END, 0)
    assert problem(cuda, device_program(program, [image])) == "a device has no words"
    program = CommandList([8])
    program.add(GEMM_F64, 0, *[constant(0)] * 16)
    program.add(END, 0)
    assert problem(cuda, device_program(program, [image])) == "no such kernel"


def test_truncated_programs(cuda: Runtime, image: programs.Image) -> None:
    code = device_program(example(), [image], constants=bytes(16), arena=64)
    for size in [*range(0, 1500, 7), *range(1500, len(code), 97)]:
        part = code[:size]
        problem(cuda, part)
        if size >= 16:
            problem(cuda, part[:8] + struct.pack("Q", size) + part[16:])


def test_mutated_programs(cuda: Runtime, image: programs.Image, tmp_path: Path) -> None:
    """Of a program with a few other bytes, nothing outside of it is read."""
    rng = random.Random(0)
    code = device_program(example(), [image], constants=bytes(16), arena=64)
    (begin,) = struct.unpack_from("Q", code, 72)
    # Most of it is machine code, in which nothing is to be found wrong.
    tables = [*range(begin), *range(len(code) - 64 * 20, len(code))]
    seen: Counter[str] = Counter()
    for _ in range(10000):
        mutated = bytearray(code)
        for _ in range(rng.randint(1, 3)):
            at = rng.choice(tables) if rng.random() < 0.7 else rng.randrange(88)
            mutated[at] = rng.choice([0, 1, 127, 255, rng.randrange(256)])
        try:
            cuda.unload(cuda.load(bytes(mutated)))
        except CudaError as error:
            seen[str(error)] += 1
        else:
            seen["valid"] += 1
    assert len(seen) > 30
    assert seen["valid"] < 5000
