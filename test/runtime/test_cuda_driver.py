# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Drivers and devices that cannot be used: what was needed and what was found.

A process has one driver, so that each test has a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import device_programs as programs
import emulated_cuda
import pytest

HERE = Path(__file__).parent

BEGIN = """
import os, sys
import numpy as np
import device_programs as programs
from command_lists import *
from device_programs import *
cuda = Runtime()
cuda.set_driver(os.environ.get("DRIVER"))

def error(function, *arguments):
    try:
        function(*arguments)
    except CudaError as caught:
        print(caught.status, caught)
    else:
        print("no error")

def one_kernel(images, name="nothing"):
    program = CommandList([])
    program.launch((name, 1, 1))
    program.add(END, 0)
    return device_program(program, images)
"""


def run(script: str, driver: Path | str | None = "", **environment: str) -> list[str]:
    """The lines that a script prints, with the emulator as driver unless another is named."""
    path = emulated_cuda.library_path() if driver == "" else driver
    variables = {"GRADOPT_TEST_RUNTIME": str(programs.runtime_path())}
    if path is not None:
        variables["DRIVER"] = str(path)
    folders = os.pathsep.join((str(HERE), str(HERE.parent)))
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + script],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": folders, **variables, **environment},
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def words_of(line: str, status: int) -> str:
    number, words = line.split(" ", 1)
    assert int(number) == status
    return words


def test_no_driver() -> None:
    lines = run("error(cuda.count)\nerror(cuda.count)", "/no/such/libcuda.so.1")
    for line in lines:
        words = words_of(line, programs.NO_DEVICE)
        assert words.startswith("needed the driver of NVIDIA GPUs for CUDA 12.0 or later, but it ")
        assert "/no/such/libcuda.so.1" in words


def test_the_system_s_driver() -> None:
    """Whether there is one is not known here; if not, its name is told."""
    (line,) = run("error(cuda.count)", None)
    assert line == "no error" or "libcuda.so.1" in line or "needed an NVIDIA GPU" in line


def test_functions_say_that_there_is_no_driver() -> None:
    script = """
error(cuda.info)
error(cuda.load, one_kernel([]))
error(cuda.allocate, 8)
error(cuda.free, 8)
error(cuda.copy, 8, 8, 8)
error(cuda.synchronize)
error(cuda.wait, None, None)
print(cuda.device_of(1))
"""
    *lines, device = run(script, "/no/such/libcuda.so.1")
    assert len(lines) == 7
    for line in lines:
        assert "cannot be loaded" in words_of(line, programs.NO_DEVICE)
    assert device == "-1"


def test_another_path_after_a_failure() -> None:
    script = f"""
error(cuda.count)
cuda.set_driver({str(emulated_cuda.library_path())!r})
print(cuda.count())
"""
    assert run(script, "/no/such/libcuda.so.1")[1] == "2"


def test_no_driver_but_another_library() -> None:
    (line,) = run("error(cuda.count)", "libm.so.6")
    words = words_of(line, programs.NO_DEVICE)
    assert words == "libm.so.6 is no driver of NVIDIA GPUs: it has no cuInit"


def test_an_old_driver() -> None:
    (line,) = run("error(cuda.count)", GRADOPT_EMULATOR_DRIVER="11080")
    words = words_of(line, programs.NO_DEVICE)
    assert words.startswith("the driver of NVIDIA GPUs is too old: needed one for CUDA 12.0 or ")
    assert "but found CUDA 11.8 in " in words


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"GRADOPT_EMULATOR_CHIPS": ""}, "CUDA_ERROR_NO_DEVICE: no CUDA-capable device is "),
        ({"GRADOPT_EMULATOR_FAIL": "cuDeviceGetCount:3:0"}, "CUDA_ERROR_NOT_INITIALIZED: "),
    ],
)
def test_no_device(environment: dict[str, str], words: str) -> None:
    (line,) = run("error(cuda.count)", **environment)
    begin = "needed an NVIDIA GPU, but the driver (CUDA 12.4) reports "
    assert words_of(line, programs.NO_DEVICE).startswith(begin + words)


def test_one_device() -> None:
    (line,) = run("error(Runtime(1).info)", GRADOPT_EMULATOR_CHIPS="80")
    assert words_of(line, programs.NO_DEVICE) == "needed GPU number 1, but there is only 1"


@pytest.mark.parametrize(
    "function", ["cuDevicePrimaryCtxRetain", "cuStreamCreate", "cuMemPoolCreate"]
)
def test_a_device_that_cannot_be_used(function: str) -> None:
    """Until it can."""
    script = "cuda.count()\nerror(cuda.info)\nerror(cuda.info)"
    lines = run(script, GRADOPT_EMULATOR_FAIL=f"{function}:999:0")
    assert "an unknown error" in words_of(lines[0], programs.DEVICE_ERROR)
    assert "cuda:0 (Emulated device 0)" in lines[0]
    assert lines[1] == "no error"


# What is loaded shows in the log: where kernels are only recorded, an image is text.
RECORD = {"GRADOPT_EMULATOR": "record", "GRADOPT_EMULATOR_CHIPS": "90"}
CHOICE = """
def ptx(chip, name):
    text = f".version 8.0\\n.target sm_{chip}\\n.visible .entry {name}(\\n)\\n"
    return chip, programs.PTX, text.encode() + b"\\0"

def load(name, *images):
    error(cuda.load, one_kernel(images, name))
"""


def test_the_text_for_the_highest_chip_is_taken() -> None:
    script = """
images = [ptx(80, "old"), ptx(90, "best"), ptx(70, "older"), ptx(100, "new")]
for name in "old", "best", "older", "new":
    load(name, *images)
"""
    lines = run(CHOICE + script, **RECORD)
    assert lines[1] == "no error"
    for line in (lines[0], lines[2], lines[3]):
        assert "a program has no kernel" in line
    lines = run(CHOICE + script, **RECORD | {"GRADOPT_EMULATOR_CHIPS": "120"})
    assert lines[3] == "no error"


def test_wrong_chips() -> None:
    script = """
machine_code = b"\\x7fELF\\x02" + bytes(59)
load("nothing", ptx(90, "nothing"), ptx(100, "nothing"), (80, programs.CUBIN, machine_code))
load("nothing", (0, programs.HOST, machine_code))
load("nothing")
"""
    lines = run(CHOICE + script, **RECORD | {"GRADOPT_EMULATOR_CHIPS": "75"})
    begin = "needed a program for cuda:0 (Emulated device 0), which is sm_75, but this one is for "
    for line, forms in zip(
        lines, ["sm_90 and later, sm_100 and later, sm_80", "an emulator", "nothing"], strict=True
    ):
        assert words_of(line, programs.INVALID_OBJECT) == begin + forms


def test_an_emulator_needs_an_object_file() -> None:
    (line,) = run(CHOICE + 'load("nothing", ptx(80, "nothing"))')
    words = words_of(line, programs.INVALID_OBJECT)
    assert "which is an emulator of sm_90, but this one is for sm_80 and later" in words


def test_text_that_cannot_be_compiled() -> None:
    script = 'error(cuda.load, one_kernel([(80, programs.PTX, b"nonsense\\0")]))'
    (line,) = run(script, **RECORD)
    words = words_of(line, programs.DEVICE_ERROR)
    assert "cannot load the kernels of a program for sm_80 on cuda:0" in words
    assert "ptxas fatal : expected .version: CUDA_ERROR_INVALID_PTX: a PTX JIT" in words


def test_machine_code_of_the_chip_is_taken(tmp_path: Path) -> None:
    """The driver that only records does not know it, and says so."""
    script = """
machine_code = b"\\x7fELF\\x02" + bytes(59)
load("nothing", ptx(90, "nothing"), (90, programs.CUBIN, machine_code), ptx(80, "nothing"))
"""
    (line,) = run(CHOICE + script, **RECORD)
    assert "CUDA_ERROR_INVALID_PTX" in line


def test_devices_without_pools() -> None:
    """Memory is allocated at once, and freed when the device is done."""
    script = """
x = np.arange(8.0)
at = cuda.upload(x)
print(cuda.download(at, x).tolist() == x.tolist())
cuda.free(at)
error(cuda.free, at)
"""
    lines = run(script, GRADOPT_EMULATOR_NO_POOLS="1")
    assert lines[0] == "True"
    assert "cannot free memory" in lines[1]


@pytest.mark.parametrize("blas", ["", "/no/such/libcublas.so", "libm.so.6"])
def test_products_without_a_library(tmp_path: Path, blas: str) -> None:
    script = f"""
from test_cuda_products import check_product
cuda.set_blas({blas!r})
image = 0, programs.HOST, programs.kernel_object(Path({str(tmp_path)!r}))
for transposed in (0, 0), (0, 1), (1, 0), (1, 1):
    check_product(cuda, image, np.float64, (3, 4, 5), transposed, 0.5)
print("done")
"""
    assert run(script) == ["done"]


def test_a_library_that_is_found_late(tmp_path: Path) -> None:
    """One can be chosen as long as none is in use."""
    script = f"""
from emulated_cuda import Emulator
from test_cuda_products import check_product
emulator = Emulator()
emulator.record()
image = 0, programs.HOST, programs.kernel_object(Path({str(tmp_path)!r}))
for blas in "/no/such/libcublas.so", os.environ["DRIVER"]:
    cuda.set_blas(blas)
    check_product(cuda, image, np.float64, (3, 4, 5), (0, 0), 0.5)
    print([line for line in emulator.done() if line.startswith("run")])
    emulator.record()
cuda.set_blas(os.environ["DRIVER"])
error(cuda.set_blas, "/no/such/libcublas.so")
"""
    first, second, line = run(script)
    assert "run product" in first
    assert "run cublasDgemm" in second
    assert "a program uses another library already" in words_of(line, programs.INVALID_ARGUMENT)


LIBRARIES = """
from emulated_cuda import Emulator
from test_cuda_factorizations import Cholesky
from test_cuda_products import check_product
from test_cuda_transforms import FFT, Case, check
emulator = Emulator()
for choose in cuda.set_blas, cuda.set_fourier, cuda.set_solver:
    choose(os.environ["DRIVER"])
image = 0, programs.HOST, programs.kernel_object(Path({!r}))
uses = {{
    "cublasCreate_v2": lambda: check_product(cuda, image, np.float64, (3, 4, 5), (0, 0), 0.5),
    "cufftCreate": lambda: check(cuda, image, Case(FFT, (3, 6), (1,))),
    "cusolverDnCreate": lambda: Cholesky(2, 5).check(cuda, image),
}}
"""


def test_a_library_that_does_not_work(tmp_path: Path) -> None:
    """It is not asked again, and there are words for why."""
    script = """
for number, (function, use) in enumerate(uses.items()):
    print(repr(cuda.library_problem(number)))
    emulator.fail(function, 1)
    emulator.record()
    use(), use()
    print(len(emulator.calls(function)), cuda.library_problem(number))
"""
    lines = run(LIBRARIES.format(str(tmp_path)) + script)
    assert lines[::2] == ["''"] * 3
    for line, library, words in zip(
        lines[1::2],
        ("cuBLAS", "cuFFT", "cuSOLVER"),
        (
            "cublasCreate_v2 returned CUBLAS_STATUS_NOT_INITIALIZED (1)",
            "cufftCreate returned CUFFT_INVALID_PLAN (1)",
            "cusolverDnCreate returned CUSOLVER_STATUS_NOT_INITIALIZED (1)",
        ),
        strict=True,
    ):
        assert line == f"1 {library} does not work on cuda:0: {words}"


def test_a_library_that_has_no_memory(tmp_path: Path) -> None:
    """It is asked once more when unused memory was freed, and by the next call or program."""
    script = """
for number, ((function, use), status) in enumerate(zip(uses.items(), (3, 2, 2))):
    emulator.fail(function, status)
    emulator.record()
    use()
    print(len(emulator.calls(function)) >= 2)
"""
    assert run(LIBRARIES.format(str(tmp_path)) + script) == ["True"] * 3
    script = """
for number, ((function, use), status) in enumerate(zip(uses.items(), (3, 2, 2))):
    for _ in range(2):
        emulator.fail(function, status)
    error(use)
    print(repr(cuda.library_problem(number)))
    emulator.record()
    use()
    print(len(emulator.calls(function)) > 0)
"""
    lines = run(LIBRARIES.format(str(tmp_path)) + script)
    assert lines[1::3] == ["''"] * 3
    assert lines[2::3] == ["True"] * 3
    for line, library, words in zip(
        lines[::3],
        ("cuBLAS", "cuFFT", "cuSOLVER"),
        (
            "cublasCreate_v2 returned CUBLAS_STATUS_ALLOC_FAILED (3)",
            "cufftCreate returned CUFFT_ALLOC_FAILED (2)",
            "cusolverDnCreate returned CUSOLVER_STATUS_ALLOC_FAILED (2)",
        ),
        strict=True,
    ):
        wanted = f"cuda:0 has not enough memory for {library}: {words}"
        assert words_of(line, programs.OUT_OF_MEMORY) == wanted


def test_a_status_that_does_not_say_that_memory_is_short(tmp_path: Path) -> None:
    script = """
emulator.set_memory(32 << 20)
for _ in range(2):
    emulator.fail("cublasCreate_v2", 1)
error(uses["cublasCreate_v2"])
emulator.set_memory(1 << 32)
emulator.record()
uses["cublasCreate_v2"]()
print(any("run cublasDgemm" in line for line in emulator.done()))
"""
    line, worked = run(LIBRARIES.format(str(tmp_path)) + script)
    assert "not enough memory for cuBLAS" in words_of(line, programs.OUT_OF_MEMORY)
    assert worked == "True"


def test_a_library_for_another_chip_where_memory_is_short(tmp_path: Path) -> None:
    """Its status says that memory is not what it failed for: programs do without it."""
    script = """
emulator.set_memory(32 << 20)
statuses = 8, 1, 4
for number, ((function, use), status) in enumerate(zip(uses.items(), statuses)):
    emulator.fail(function, status)
    use()
    print(cuda.library_problem(number))
"""
    lines = run(LIBRARIES.format(str(tmp_path)) + script)
    for line, words in zip(
        lines,
        (
            "cublasCreate_v2 returned CUBLAS_STATUS_ARCH_MISMATCH (8)",
            "cufftCreate returned CUFFT_INVALID_PLAN (1)",
            "cusolverDnCreate returned CUSOLVER_STATUS_ARCH_MISMATCH (4)",
        ),
        strict=True,
    ):
        assert line.endswith(f"does not work on cuda:0: {words}")


def test_nobody_waits_for_memory_while_a_stream_is_captured(tmp_path: Path) -> None:
    """That would end what somebody captures: the call fails, and its caller can go on."""
    script = """
from emulated_cuda import Driver
case = Cholesky(1, 6)
module = cuda.load(case.program(image))
at = case.upload(cuda)
cuda.run(module, *at)
cuda.synchronize()
with Driver(emulator) as driver:
    stream = driver.stream()
    driver.call("cuStreamBeginCapture_v2", stream, 0)
    emulator.record()
    for function, status in ("cusolverDnCreate", 2), ("cuMemAllocFromPoolAsync", 2):
        emulator.fail(function, status)
        error(lambda: cuda.run(module, *at, stream=stream))
    print("cuCtxSynchronize" in emulator.log())
    emulator.recover()
    cuda.run(module, *at, stream=stream)
    driver.end_capture(stream)
case.compare(cuda, at)
"""
    first, second, waited = run(LIBRARIES.format(str(tmp_path)) + script)
    assert "not enough memory for cuSOLVER" in words_of(first, programs.OUT_OF_MEMORY)
    assert "CUDA_ERROR_OUT_OF_MEMORY" in words_of(second, programs.OUT_OF_MEMORY)
    assert waited == "False"


def test_why_a_library_is_not_found(tmp_path: Path) -> None:
    """What is no such library is closed again."""
    source, library = tmp_path / "a.c", tmp_path / "libother.so"
    source.write_text("int other;")
    subprocess.run(["cc", "-shared", "-fPIC", source, "-o", library], check=True, timeout=60)
    script = f"""
from test_cuda_products import check_product
image = 0, programs.HOST, programs.kernel_object(Path({str(tmp_path)!r}))
for blas in "/no/such/libcublas.so", {str(library)!r}, "":
    cuda.set_blas(blas)
    check_product(cuda, image, np.float64, (3, 4, 5), (0, 0), 0.5)
    print(cuda.library_problem(0))
print("libother" in open("/proc/self/maps").read())
"""
    first, second, third, is_open = run(script)
    assert first.startswith("cuBLAS cannot be used: /no/such/libcublas.so: cannot open")
    assert second == f"cuBLAS cannot be used: {library} lacks functions that are needed"
    assert (third, is_open) == ("", "False")


def test_transforms_without_a_library(tmp_path: Path) -> None:
    """They are the host's: without cuFFT, or with one that does not work, which is asked once."""
    script = f"""
from emulated_cuda import Emulator
from test_cuda_transforms import FFT, RFFT, Case, check
emulator = Emulator()
emulator.record()
image = 0, programs.HOST, programs.kernel_object(Path({str(tmp_path)!r}))
for library in None, "", "/no/such/libcufft.so", "libm.so.6", os.environ["DRIVER"]:
    cuda.set_fourier(library)
    for kind in FFT, RFFT:
        check(cuda, image, Case(kind, (3, 6), (1,)))
    print(len(emulator.calls("cufftCreate")), "cuGraphLaunch" in emulator.log())
error(cuda.set_fourier, "/no/such/libcufft.so")
"""
    *lines, line = run(script, GRADOPT_EMULATOR_FAIL="cufftCreate:1:0")
    assert lines == ["0 False"] * 4 + ["1 False"]
    assert "a program uses another library already" in words_of(line, programs.INVALID_ARGUMENT)


# -- Forks ----------------------------------------------------------------------------------

FORK = """
def in_child(function):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        function()
        sys.stdout.flush()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


def test_a_child_of_a_process_that_used_a_device(tmp_path: Path) -> None:
    """Each function says so, and what the parent has stays the parent's."""
    script = f"""
from emulated_runtime import chain_bytes, X, BYTES
image = 0, programs.HOST, programs.kernel_object(Path({str(tmp_path)!r}))
module = cuda.load(chain_bytes(image))
x, y = cuda.upload(X), cuda.allocate(BYTES)

def child():
    error(cuda.count)
    error(cuda.info)
    error(cuda.load, chain_bytes(image))
    error(cuda.run, module, x, y)
    error(cuda.allocate, 8)
    error(cuda.free, x)
    error(cuda.copy, x, y, 8)
    error(cuda.synchronize)
    error(cuda.wait, None, None)
    cuda.unload(module)

in_child(child)
cuda.run(module, x, y)
print(cuda.download(y, X).tolist() == (X + 2).tolist())
"""
    *lines, last = run(FORK + script)
    assert len(lines) == 9
    for line in lines:
        words = words_of(line, programs.NO_DEVICE)
        assert "forked from one that had used them before; start it in another way" in words
    assert last == "True"


def test_a_child_that_is_the_first_to_use_a_device() -> None:
    script = """
in_child(lambda: print(cuda.count()))
print(cuda.count())
"""
    assert run(FORK + script) == ["2", "2"]


def test_forks_while_threads_use_devices(tmp_path: Path) -> None:
    script = f"""
import signal, threading
from emulated_runtime import chain_bytes, X, BYTES
image = 0, programs.HOST, programs.kernel_object(Path({str(tmp_path)!r}))
stop = threading.Event()
done = []

def work(k):
    while not stop.is_set():
        module = cuda.load(chain_bytes(image, 2 + k))
        x, y = cuda.upload(X), cuda.allocate(BYTES)
        cuda.run(module, x, y)
        assert cuda.download(y, X).tolist() == (X + 2 + k).tolist()
        cuda.free(x), cuda.free(y)
        cuda.unload(module)
        done.append(k)

def child():
    signal.alarm(60)
    error(cuda.count)

threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
for thread in threads:
    thread.start()
while len(done) < 10:
    pass
for _ in range(10):
    in_child(child)
stop.set()
for thread in threads:
    thread.join()
print("done")
"""
    lines = run(FORK + script)
    assert len(lines) == 11
    assert lines[-1] == "done"
