# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Matrix products on a GPU, by an emulator of cuBLAS and by kernels."""

from __future__ import annotations

import device_programs as programs
import ml_dtypes
import numpy as np
import pytest
from command_lists import (
    END,
    EQUAL,
    GEMM_BF16,
    GEMM_F16,
    GEMM_F32,
    GEMM_F64,
    HAS_LIBRARY,
    CommandList,
    Operand,
    constant,
)
from device_programs import CudaError, Runtime, device_program
from emulated_cuda import Emulator
from emulated_runtime import (
    cuda,
    emulator,
    image,
)

__all__ = ["cuda", "emulator", "image"]


BFLOAT16 = ml_dtypes.bfloat16
GEMM = {
    np.float64: GEMM_F64,
    np.float32: GEMM_F32,
    np.float16: GEMM_F16,
    BFLOAT16: GEMM_BF16,
}


def multiplication(
    dtype: type,
    shape: tuple[int, int, int],
    transposed: tuple[int, int],
    beta: float,
    count: int = 1,
) -> CommandList:
    """c = op(a) op(b) + beta c, for so many a and c, and one b"""
    size = np.dtype(dtype).itemsize
    m, n, k = shape
    total = np.float32 if size == 2 else dtype
    sizes = [size * count * m * k, size * k * n, np.dtype(total).itemsize * count * m * n]
    program = CommandList(sizes)
    program.kernels.append(("product", 1, 32))
    half = np.zeros(8 // np.dtype(total).itemsize, total)
    half[0] = beta
    operands: list[Operand] = [constant(v) for v in (*transposed, m, n, k)]
    operands += [program.buffer(0), constant(m if transposed[0] else k)]
    operands += [program.buffer(1), constant(k if transposed[1] else n)]
    operands += [program.buffer(2), constant(n), constant(int(half.view(np.int64)[0]))]
    operands += [constant(v) for v in (count, m * k, 0, m * n)]
    program.add(GEMM[dtype], 0, *operands)
    program.launch(("nothing", 1, 1))
    program.add(END, 0)
    return program


def check_product(
    cuda: Runtime,
    image: programs.Image,
    dtype: type,
    shape: tuple[int, int, int],
    transposed: tuple[int, int],
    beta: float,
    count: int = 1,
) -> None:
    rng = np.random.default_rng(0)
    m, n, k = shape
    a = rng.normal(size=(count, *((k, m) if transposed[0] else (m, k)))).astype(dtype)
    b = rng.normal(size=(n, k) if transposed[1] else (k, n)).astype(dtype)
    # Narrow floats are added up as float32.
    total = np.float64 if dtype == np.float64 else np.float32
    c = rng.normal(size=(count, m, n)).astype(total)
    if beta == 0:
        c[:] = np.nan
    left, right = a.astype(total), b.astype(total)
    expected = (left.swapaxes(1, 2) if transposed[0] else left) @ (
        right.T if transposed[1] else right
    )
    program = multiplication(dtype, shape, transposed, beta, count)
    module = cuda.load(device_program(program, [image]))
    at = [cuda.upload(array) for array in (a, b, c)]
    tolerance = 1e-5 if total == np.float32 else 1e-13
    for _ in range(3):
        expected = expected + total(beta) * c if beta else expected
        cuda.run(module, *at)
        c = cuda.download(at[2], c)
        np.testing.assert_allclose(c, expected, rtol=tolerance, atol=tolerance)
        expected = expected - total(beta) * c if beta else expected
        if beta:
            break
    cuda.unload(module)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("transposed", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("beta", [0.0, 0.5])
@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 4, 5), (5, 1, 2), (1, 1, 7)])
def test_products_by_the_library(
    cuda: Runtime,
    emulator: Emulator,
    image: programs.Image,
    dtype: type,
    shape: tuple[int, int, int],
    transposed: tuple[int, int],
    beta: float,
) -> None:
    check_product(cuda, image, dtype, shape, transposed, beta)
    assert not any("run product" in line for line in emulator.done())
    assert any(
        f"run cublas{'S' if dtype == np.float32 else 'D'}gemm" in line for line in emulator.done()
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("transposed", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_several_products_by_the_library(
    cuda: Runtime,
    emulator: Emulator,
    image: programs.Image,
    dtype: type,
    transposed: tuple[int, int],
    beta: float,
) -> None:
    check_product(cuda, image, dtype, (3, 4, 5), transposed, beta, count=4)
    name = f"cublas{'S' if dtype == np.float32 else 'D'}gemmStridedBatched_64"
    assert any(f"run {name}" in line for line in emulator.done())
    assert not any("run product" in line for line in emulator.done())


@pytest.mark.parametrize("dtype", [np.float16, BFLOAT16])
@pytest.mark.parametrize("transposed", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("count", [1, 4])
def test_products_of_narrow_floats_by_the_library(
    cuda: Runtime,
    emulator: Emulator,
    image: programs.Image,
    dtype: type,
    transposed: tuple[int, int],
    count: int,
) -> None:
    check_product(cuda, image, dtype, (3, 4, 5), transposed, 0.5 if count > 1 else 0.0, count)
    name = "cublasGemmStridedBatchedEx_64" if count > 1 else "cublasGemmEx_64"
    assert any(f"run {name}" in line for line in emulator.done())
    assert not any("run product" in line for line in emulator.done())


def choice() -> CommandList:
    """Adds one to x if there is a library, else nothing."""
    program = CommandList([8], registers=1)
    program.add(HAS_LIBRARY, program.word(0))
    program.add(EQUAL, 0, program.register(0), constant(0))
    program.launch(("add_one", 1, 1), program.buffer(0), program.buffer(0), constant(1))
    program.aim(1, program.here())
    program.add(END, 0)
    return program


def test_the_question_for_a_library(
    cuda: Runtime, emulator: Emulator, image: programs.Image
) -> None:
    """No product has to be tried before, and graphs keep the answer."""
    module = cuda.load(device_program(choice(), [image]))
    x = cuda.upload(np.zeros(1))
    emulator.record()
    for _ in range(4):
        cuda.run(module, x)
    np.testing.assert_array_equal(cuda.download(x, np.zeros(1)), [4.0])
    emulator.fail("cublasSetStream_v2", 999)
    other = cuda.upload(np.zeros(1))
    with pytest.raises(
        CudaError, match="stream of cuda:0: it returned CUBLAS_STATUS_EXECUTION_FAILED"
    ):
        cuda.run(module, other)
    cuda.unload(module)


def test_several_products_that_the_library_does_not_do(
    cuda: Runtime, emulator: Emulator, image: programs.Image
) -> None:
    check_product(cuda, image, np.float64, (3, 4, 0), (0, 0), 0.0, count=3)
    assert any("run product" in line for line in emulator.done())


def test_products_that_the_library_does_not_do(
    cuda: Runtime, emulator: Emulator, image: programs.Image
) -> None:
    """Where nothing is to be summed up, C is still to be scaled; that is a kernel's."""
    check_product(cuda, image, np.float64, (3, 4, 0), (0, 0), 0.0)
    assert any("run product" in line for line in emulator.done())


def test_empty_products(cuda: Runtime, emulator: Emulator, image: programs.Image) -> None:
    check_product(cuda, image, np.float64, (0, 4, 3), (0, 0), 0.0)
    assert not any("product" in line or "gemm" in line for line in emulator.done())


def test_failing_products(cuda: Runtime, emulator: Emulator, image: programs.Image) -> None:
    module = cuda.load(device_program(multiplication(np.float64, (2, 3, 4), (0, 0), 0.0), [image]))
    at = [cuda.allocate(256) for _ in range(3)]
    emulator.fail("cublasDgemm_v2_64", 999)
    with pytest.raises(
        CudaError, match="4 x 3 on cuda:0 failed: cuBLAS returned CUBLAS_STATUS_EXEC"
    ) as caught:
        cuda.run(module, *at)
    assert caught.value.status == programs.DEVICE_ERROR
    cuda.run(module, *at)
    cuda.unload(module)


def test_products_in_graphs(cuda: Runtime, emulator: Emulator, image: programs.Image) -> None:
    check_product(cuda, image, np.float64, (3, 4, 5), (0, 1), 0.0)
    assert len(emulator.calls("cuGraphLaunch")) == 2
    assert len(emulator.calls("cublasDgemm_v2_64")) == 2  # eager, and captured
