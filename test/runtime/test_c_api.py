# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The runtime's C API: error codes instead of crashes."""

import ctypes
import threading
from pathlib import Path

import llvm_modules as modules
import numpy as np
import pytest
from c_compiler import compile_c

from gradopt import _gradopt

OK, INVALID_ARGUMENT, INVALID_OBJECT, MISSING_SYMBOL, OUT_OF_MEMORY, LIBRARY_ERROR = range(6)


@pytest.fixture(scope="module")
def runtime() -> ctypes.CDLL:
    library = ctypes.CDLL(_gradopt.__file__)  # resolves the runtime's symbols too
    library.gradopt_last_error.restype = ctypes.c_char_p
    library.gradopt_blas_path.restype = ctypes.c_char_p
    library.gradopt_module_arena_bytes.restype = ctypes.c_size_t
    return library


def load(runtime, code: bytes | None, entry: bytes | None = None, arena: int = 0):
    module = ctypes.c_void_p()
    size = ctypes.c_size_t(len(code or b""))
    status = runtime.gradopt_module_load(
        code, size, entry, ctypes.c_size_t(arena), ctypes.byref(module)
    )
    return status, module


def test_loads_calls_and_unloads(runtime):
    status, module = load(runtime, modules.compile_text(modules.add_multiply(3)), arena=100)
    assert status == OK
    assert runtime.gradopt_module_arena_bytes(module) == 100
    arrays = [np.arange(3.0), np.full(3, 2.0), np.empty(3), np.empty(3)]
    buffers = (ctypes.c_void_p * 5)(*(a.ctypes.data for a in arrays))
    assert runtime.gradopt_call(module, buffers, ctypes.c_size_t(4)) == OK
    np.testing.assert_array_equal(arrays[2], [2, 3, 4])
    np.testing.assert_array_equal(arrays[3], [0, 2, 4])
    assert buffers[4] % 64 == 0
    runtime.gradopt_module_unload(module)


def test_an_arena_that_is_made_larger(runtime):
    """From the stack to the pool, which gives it back as that of a program loaded so large."""
    code = modules.compile_text(modules.copy(3, "f64"))
    arrays = [np.arange(3.0), np.empty(3)]
    buffers = (ctypes.c_void_p * 3)(*(a.ctypes.data for a in arrays))
    status, module = load(runtime, code, arena=1 << 30)
    assert status == OK
    assert runtime.gradopt_call(module, buffers, ctypes.c_size_t(2)) == OK
    runtime.gradopt_module_unload(module)
    # All of it, if another program of this process needs as much.
    kept = _gradopt.arena_bytes()
    status, module = load(runtime, code, arena=100)
    assert status == OK
    for size, needed in ((64, 100), (1 << 30, 1 << 30), (1 << 20, 1 << 30)):
        runtime.gradopt_module_enlarge_arena(module, ctypes.c_size_t(size))
        assert runtime.gradopt_module_arena_bytes(module) == needed
        buffers = (ctypes.c_void_p * 3)(*(a.ctypes.data for a in arrays))
        assert runtime.gradopt_call(module, buffers, ctypes.c_size_t(2)) == OK
        np.testing.assert_array_equal(arrays[1], arrays[0])
        assert needed == 100 or _gradopt.arena_bytes() >= needed
    runtime.gradopt_module_unload(module)
    assert _gradopt.arena_bytes() <= max(kept, 1 << 29)


def test_null_pointers_are_invalid_arguments(runtime):
    assert load(runtime, None)[0] == INVALID_ARGUMENT
    assert b"null" in runtime.gradopt_last_error()
    assert runtime.gradopt_call(None, None, ctypes.c_size_t(0)) == INVALID_ARGUMENT
    assert runtime.gradopt_set_blas(None) == INVALID_ARGUMENT
    runtime.gradopt_module_unload(None)


def test_bad_objects_and_missing_symbols(runtime):
    code = modules.compile_text(modules.add_multiply(3))
    status, module = load(runtime, b"garbage")
    assert (status, module.value) == (INVALID_OBJECT, None)
    assert b"invalid object code" in runtime.gradopt_last_error()
    assert load(runtime, code, b"nope")[0] == MISSING_SYMBOL
    assert b"nope" in runtime.gradopt_last_error()
    assert runtime.gradopt_set_blas(b"/no/such/library") == LIBRARY_ERROR


def test_an_arena_out_of_reach(runtime):
    status, module = load(runtime, modules.compile_text(modules.copy(1, "f64")), arena=2**62)
    assert status == OK
    buffers = (ctypes.c_void_p * 3)()
    assert runtime.gradopt_call(module, buffers, ctypes.c_size_t(2)) == OUT_OF_MEMORY
    runtime.gradopt_module_unload(module)


def test_each_thread_has_its_own_message(runtime):
    assert load(runtime, b"garbage")[0] == INVALID_OBJECT
    mine = runtime.gradopt_last_error()
    seen = []
    thread = threading.Thread(target=lambda: seen.append(runtime.gradopt_last_error()))
    thread.start()
    thread.join()
    assert seen == [b""]
    assert runtime.gradopt_last_error() == mine


def test_loading_and_unloading_many_modules(runtime):
    code = modules.compile_text(modules.add_multiply(3))

    def work() -> None:
        for _ in range(50):
            status, module = load(runtime, code)
            assert status == OK
            runtime.gradopt_module_unload(module)

    def mapped_kib() -> int:
        return int(Path("/proc/self/statm").read_text().split()[0]) * 4

    work()
    before = mapped_kib()
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    work()
    assert mapped_kib() - before < 256 * 1024


@pytest.mark.parametrize("name", ["gradopt_runtime.h", "gradopt_cuda.h", "DeviceProgram.h"])
def test_headers_are_c(tmp_path, name):
    header = Path(__file__).parents[2] / "runtime" / name
    source = tmp_path / "use.c"
    source.write_text(f'#include "{header}"\nint main(void) {{ return 0; }}\n')
    compile_c(source, "-std=c99", "-Wpedantic", "-fsyntax-only")
