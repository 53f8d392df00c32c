# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bundles with code for GPUs of functions with arrays of another size in each call (`dynamic=`)."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from typing import Any

import emulated_cuda
import numpy as np
import pytest
from devices import cuda, emulator
from emulated_cuda import Driver, Emulator
from foreign_arrays import CupyArray, CupyResult, fake_cupy
from page_end import at_page_end
from saved import load, path, there, values
from test_bundle import rehashed, same
from test_bundles_of_modules import compile_module
from test_cpp_wrapper import build, run
from test_sized_bundles import record_of

import gradopt as go
import gradopt_runtime
from gradopt import _gradopt
from gradopt.command import main
from gradopt.errors import UnsupportedError
from gradopt_runtime.library import runtime

pytestmark = pytest.mark.usefixtures("cuda")
__all__ = ["cuda", "emulator", "load", "path"]

MATRIX = np.random.default_rng(3).normal(size=(3, 3)) / 2
MOST = 20
ROWS = {"x": {0: go.Dim("n", max=MOST)}, "y": {0: "n"}}
EMULATED = {"cpu": [], "chips": ["emulated"]}
BOTH = {"cpu": ["x86-64-v2"], "chips": ["emulated"]}
SIZES = [5, 0, 1, MOST, 2]


def given(n: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(n)
    return at_page_end(rng.normal(size=(n, 3))), at_page_end(rng.normal(size=n))


def parts(x: Any, y: Any) -> Any:
    """Results with n rows, with fewer, with n columns, with as many as the run tells, and a loop
    over n."""
    h = np.zeros(3)
    for i in range(len(x)):
        h = np.tanh(MATRIX @ h + x[i])
    columns = np.cumsum(MATRIX @ x.T, axis=1)
    some = y[y > 0]
    return {"all": np.sin(x) * y[:, None], "steps": x[1:] - x[:-1], "t": columns, "h": h, "s": some}


def loss(x: Any, y: Any) -> Any:
    made = parts(x, y)
    return np.sum(made["all"] ** 2) + np.sum(made["h"]) + np.sum(np.cos(made["t"]))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sized") / "a.bundle"
    functions = {
        "parts": go.compile(parts, dynamic=ROWS).lower(*given(2)),
        "slope": go.compile_value_and_grad(loss, argnums=(0, 1), dynamic=ROWS).lower(*given(2)),
    }
    go.save(functions, path, **EMULATED)
    return path


# -- Values ------------------------------------------------------------------------------------


def test_values_and_gradients_of_all_sizes(saved: Path, load: Any) -> None:
    """With arrays on the host and on the device; the emulator finds what is read beyond rows."""
    loaded = load(saved)
    assert loaded["parts"].signatures == ("(x: float64[n, 3], y: float64[n])",)
    for n in SIZES:
        x, y = given(n)
        expected = parts(x, y)
        for place in (np.asarray, there):
            got = values(loaded["parts"](place(x), place(y)))
            for key, value in expected.items():
                assert np.shape(got[key]) == np.shape(value)
                np.testing.assert_allclose(got[key], value, rtol=1e-10, atol=1e-12)
            value, gradient = values(loaded["slope"](place(x), place(y)))
            np.testing.assert_allclose(value, loss(x, y), rtol=1e-10)
            t = np.cos(np.arange(3.0 * n)).reshape(n, 3)
            slope = (loss(x + 1e-6 * t, y) - loss(x - 1e-6 * t, y)) / 2e-6
            assert gradient[0].shape == (n, 3)
            assert gradient[1].shape == (n,)
            np.testing.assert_allclose(np.sum(gradient[0] * t), slope, rtol=1e-6, atol=1e-7)


@pytest.fixture(scope="module")
def for_any(tmp_path_factory: pytest.TempPathFactory, emulator: Emulator) -> Path:
    """Programs of sizes without a largest value; what was lowered for a device, and for the CPU."""
    path = tmp_path_factory.mktemp("any") / "a.bundle"
    dims = {"x": {0: "n"}, "y": {0: "n"}}
    on_device = [go.asarray(a, device="cuda") for a in given(2)]
    functions = {
        "parts": go.compile(parts, dynamic=dims).lower(*given(2)),
        "slope": go.compile_value_and_grad(loss, (0, 1), dynamic=dims).lower(*on_device),
    }
    go.save(functions, path, **EMULATED)
    return path


def test_any_number_of_rows(for_any: Path, emulator: Emulator, load: Any) -> None:
    """Beyond the room of a call nothing is read or written; that of another one is left to it."""
    loaded = load(for_any)
    assert loaded["parts"].signatures == ("(x: float64[n, 3], y: float64[n])",)
    for n in (5, 65, 0, 64, 300):
        x, y = given(n)
        expected = parts(x, y)
        place = there if n != 64 else np.asarray
        got = values(loaded["parts"](place(x), place(y)))
        for key, value in expected.items():
            assert np.shape(got[key]) == np.shape(value)
            np.testing.assert_allclose(got[key], value, rtol=1e-10, atol=1e-12)
        if n not in (65, 300):
            continue
        value, gradient = values(loaded["slope"](place(x), place(y)))
        np.testing.assert_allclose(value, loss(x, y), rtol=1e-10)
        t = np.cos(np.arange(3.0 * n)).reshape(n, 3)
        slope = (loss(x + 1e-6 * t, y) - loss(x - 1e-6 * t, y)) / 2e-6
        np.testing.assert_allclose(np.sum(gradient[0] * t), slope, rtol=1e-6, atol=1e-6)
        assert gradient[1].shape == (n,)


def test_calls_of_any_size_are_graphs(path: Path, emulator: Emulator, load: Any) -> None:
    """The host knows the room: no number is read back, and a call like one before is its graph."""

    def scaled(x: Any) -> Any:
        y = np.exp(-(x**2))
        return y / np.sum(y) + np.sum(y * x)

    lowered = go.compile(scaled, dynamic={"x": {0: "n"}}).lower(np.ones(3))
    go.save(lowered, path, **EMULATED)
    loaded = load(path)
    for n in (10, 200, 10):
        x = there(given(n)[1])
        for _ in range(4):
            emulator.record()
            got = loaded(x)
            log = emulator.log()
            assert not any("Synchronize" in line for line in log)
            np.testing.assert_allclose(got.numpy(), scaled(x.numpy()), rtol=1e-10, atol=1e-12)
            # The memory of the result is that of the next one.
            del got
        assert any("cuGraphLaunch" in line for line in log)


def test_wrong_sizes(saved: Path, load: Any) -> None:
    function = load(saved)["parts"]
    x, y = given(4)
    for place in (np.asarray, there):
        for arguments, error, message in [
            ((x, y[:3]), ValueError, "dimension 0 of x is 4 and dimension 0 of y is 3, but both"),
            ((x[:, :2], y), ValueError, r"expected shape \(n, 3\) at x, but got \(4, 2\)"),
            (given(MOST + 1), ValueError, "0 of x is 21, but the size 'n' is at most 20"),
            ((x.astype("f4"), y), TypeError, "at x, but got float32"),
        ]:
            for _ in range(2):
                with pytest.raises(error, match=message):
                    function(*map(place, arguments))
    same(values(function(there(x), there(y))["steps"]), x[1:] - x[:-1])


def test_axes_that_are_not_the_first(path: Path, load: Any) -> None:
    """On the host they are copied to where there is room, on a device they have to have it."""

    def f(a: Any, b: Any, scale: Any) -> Any:
        return {"p": a @ b * scale, "t": (a.T * 1, b[0])}

    dims = {"a": {0: go.Dim("m", max=7)}, "b": {1: go.Dim("k", max=5)}}
    compiled = go.compile(f, dynamic=dims)
    go.save(compiled.lower(np.ones((2, 3)), np.ones((3, 2)), 0.5), path, **EMULATED)
    loaded = load(path)
    for m, k in ((7, 5), (2, 4), (0, 5), (1, 1), (3, 0)):
        a, b = np.arange(3.0 * m).reshape(m, 3), np.arange(3.0 * k).reshape(3, k) + 1
        same(loaded(a, b, 0.5), f(a, b, 0.5))
        if k == 5:
            same(values(loaded(there(a), there(b), 0.5)), f(a, b, 0.5))
            continue
        with pytest.raises(ValueError, match=rf"b is on a device, and has shape \(3, {k}\); of"):
            loaded(there(a), there(b), 0.5)


def test_checks(path: Path, load: Any) -> None:
    """The outcome of a check, and sizes, are numbers of a call on the device."""
    compiled = go.compile(lambda x, i: x[i] * 2, dynamic={"x": {0: go.Dim("n", max=9)}})
    go.save(compiled.lower(np.ones(3), np.int64(0)), path, **EMULATED)
    loaded = load(path)
    for n in (5, 1, 9):
        x = np.arange(float(n))
        for place in (np.asarray, there):
            np.testing.assert_array_equal(values(loaded(place(x), np.int64(-n))), 0.0)
            np.testing.assert_array_equal(values(loaded(place(x), np.int64(n - 1))), 2.0 * n - 2)
            with pytest.raises(IndexError, match=f"index {n} is out of bounds for axis 0"):
                loaded(place(x), np.int64(n))


def test_calls_wait_only_for_sizes_that_the_run_tells(
    path: Path, emulator: Emulator, load: Any
) -> None:
    functions = {
        "scaled": go.compile(lambda x, y: np.sin(x) * y[:, None], dynamic=ROWS),
        "fewer": go.compile(lambda x, y: x[1:] * y[1:, None], dynamic=ROWS),
    }
    go.save({k: f.lower(*given(2)) for k, f in functions.items()}, path, **EMULATED)
    loaded = load(path)
    arguments = [tuple(map(there, given(n))) for n in SIZES]

    def waits(name: str, x: Any, y: Any) -> bool:
        emulator.record()
        loaded[name](x, y)
        return any("Synchronize" in line for line in emulator.log())

    for name in functions:
        loaded[name](*arguments[0])
    assert not any(waits("scaled", *pair) for pair in arguments)
    assert all(waits("fewer", *pair) for pair in arguments)
    # In the steady state there is memory for the result, and for the number of rows.
    emulator.record()
    loaded["scaled"](*arguments[0])
    assert len(emulator.calls("cuMemAllocFromPoolAsync")) <= 3


def test_results_are_of_the_callers_kind(
    path: Path, cuda: Driver, monkeypatch: pytest.MonkeyPatch, load: Any
) -> None:
    fake_cupy(monkeypatch, cuda)
    go.save(go.compile(lambda x, y: (x.T * y, x[1:]), dynamic=ROWS).lower(*given(2)), path, **BOTH)
    loaded = load(path)
    for n in (5, MOST):
        x, y = given(n)
        got = loaded(*[CupyArray(go.asarray(a, device="cuda")) for a in (x, y)])
        assert [type(value) for value in got] == [CupyResult] * 2
        same(got[0].values(), x.T * y)
        same(got[1].values(), x[1:])


def test_a_call_in_a_graph_of_somebody_else(path: Path, cuda: Driver) -> None:
    """It has the sizes of the call that was captured."""
    go.save(go.compile(lambda x, y: np.sin(x.T) * y, dynamic=ROWS).lower(*given(2)), path, **BOTH)
    stream = cuda.stream()
    x, y = given(4)
    library, handle = runtime(), ctypes.c_void_p()
    assert library.gradopt_bundle_open(os.fsencode(path), ctypes.byref(handle)) == 0
    program = library.gradopt_bundle_program(handle, 0)
    on_device = [cuda.upload(a, stream) for a in (x, y)]
    memory = [cuda.allocate(8 * 3 * MOST), cuda.allocate(8)]
    rows = np.array(4, np.int64)
    arguments = (ctypes.c_void_p * 3)(*on_device, rows.ctypes.data)
    results = (ctypes.c_void_p * 2)(*memory)
    assert library.gradopt_program_load_cuda(program, 0) == 0
    cuda.synchronize(stream)
    cuda.call("cuStreamBeginCapture_v2", stream, 0)
    call = library.gradopt_program_call_cuda
    assert call(program, 0, arguments, results, stream) == 0, library.gradopt_last_error()
    graph = cuda.end_capture(stream)
    rows[...] = 11
    executable = cuda.handle("cuGraphInstantiateWithFlags", graph, ctypes.c_uint64(0))
    for _ in range(2):
        cuda.call("cuGraphLaunch", executable, stream)
        assert cuda.download(memory[1], rows, stream) == 4
        got = cuda.download(memory[0], np.empty((3, MOST)), stream)[:, :4]
        np.testing.assert_allclose(got, np.sin(x.T) * y, rtol=1e-12)
    library.gradopt_bundle_close(handle)


def test_code_for_both(path: Path, emulator: Emulator, load: Any) -> None:
    compiled = go.compile_value_and_grad(loss, argnums=(0, 1), dynamic=ROWS)
    go.save(compiled.lower(*given(2)), path, **BOTH)
    loaded = load(path)
    for n in SIZES:
        x, y = given(n)
        emulator.record()
        on_host = loaded(x, y)
        assert emulator.log() == []
        value, gradient = values(loaded(there(x), there(y)))
        np.testing.assert_allclose(value, on_host[0], rtol=1e-10)
        for got, want in zip(gradient, on_host[1], strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11)


def test_signatures_for_one_place_each(path: Path, load: Any) -> None:
    compiled = go.compile(lambda x: x * 2, dynamic={"x": {0: go.Dim("n", max=9)}})
    compiled(np.ones(3))
    compiled(go.asarray(np.ones(3, np.float32), device="cuda"))
    go.save(compiled, path, cpu=None, chips=None)
    bundle = _gradopt.Bundle(os.fsencode(path))
    assert [bundle.has_cpu_code(number) for number in range(2)] == [True, False]
    assert [bundle.has_cuda_code(number) for number in range(2)] == [False, True]
    loaded = load(path)
    same(loaded(np.ones(5)), np.full(5, 2.0))
    with pytest.raises(ValueError, match=r"x is on cuda:0, but .* is machine code for the CPU"):
        loaded(there(np.ones(5)))


# -- What is refused -----------------------------------------------------------------------------


def test_sizes_without_a_largest_value(path: Path, tmp_path: Path, capsys: Any) -> None:
    """What there is no code for in one piece: other dimensions, and sorts, which are the host's."""
    rows = go.compile(lambda x: np.sort(x), dynamic={"x": {0: "n"}})
    columns = go.compile(lambda x: x * 2, dynamic={"x": {1: "k"}})
    for lowered, size, axis, reason in [
        (rows.lower(np.ones(2)), "n", 0, "stage 'bufferized' failed"),
        (rows.lower(go.asarray(np.ones(2), device="cuda")), "n", 0, "stage 'bufferized' failed"),
        (columns.lower(np.ones((2, 3))), "k", 1, "otherwise than by rows"),
    ]:
        with pytest.raises(UnsupportedError) as caught:
            go.save(lowered, path, chips=["sm_80"])
        message = str(caught.value)
        assert f"the size '{size}' of dimension {axis} of x has no largest value" in message
        assert f"name one: gradopt.Dim('{size}', max=1000)" in message
        assert reason in message
    (tmp_path / "sized.py").write_text("import numpy as np\ndef f(x):\n    return np.sort(x, 0)\n")
    command = [f"{tmp_path}/sized.py:f", "float64[n, 3]", "--device", "cuda", "-o", str(path)]
    assert main(command) == 1
    assert "`n <= 1000` in a specification" in capsys.readouterr().err
    assert not path.exists()


def test_open_sizes_beside_code_for_gpus(path: Path, load: Any) -> None:
    lowered = go.compile(lambda x: x * 2, dynamic={"x": {0: go.Dim("n", max=9)}}).lower(np.ones(2))
    go.save(lowered, path, **BOTH)
    content = bytearray(path.read_bytes())
    _, dimensions, text = record_of(bytes(content))
    # x and the result have one dimension each: extents, parts, and sizes.
    assert struct.unpack_from("6q", content, dimensions) == (9, 9, 0, 0, 1, 1)
    assert text == dimensions + 48
    load(path)
    struct.pack_into("4q", content, dimensions, 0, 9, 32, 0)
    path.write_bytes(rehashed(content))
    with pytest.raises(gradopt_runtime.BundleError, match=r"code for GPUs of .* for other arrays"):
        load(path)


# -- C and C++ -----------------------------------------------------------------------------------


def test_sizes_that_a_call_cannot_have(saved: Path) -> None:
    """They are read on the host, before anything is queued."""
    library, handle = runtime(), ctypes.c_void_p()
    assert library.gradopt_bundle_open(os.fsencode(saved), ctypes.byref(handle)) == 0
    program = library.gradopt_bundle_program(handle, 0)
    results = (ctypes.c_void_p * library.gradopt_program_num_results(program))()
    for n, words in [
        (MOST + 1, b"the size n of parts is 21, but it is at least 0 and at most 20"),
        (-1, b"the size n of parts is -1, but it is at least 0 and at most 20"),
        (2**62, b"the size n of parts is 4611686018427387904, but it is at least 0 and at most 20"),
        (None, b"the size n of parts is null"),
    ]:
        rows = np.array(n or 0, np.int64)
        addresses = (ctypes.c_void_p * 3)(64, 64, None if n is None else rows.ctypes.data)
        for status in (
            library.gradopt_program_call_cuda(program, 0, addresses, results, None),
            library.gradopt_program_call(program, addresses, results),
        ):
            assert status == 1
        assert library.gradopt_last_error() == words
    library.gradopt_bundle_close(handle)


PROGRAM = r"""
#include "a.h"
#include "gradopt.hpp"
#include <cstdio>
#include <cstdlib>

static double *onDevice(std::size_t count, const double *values) {
  void *address;
  gradopt::check(gradopt_cuda_allocate(0, (count + 1) * sizeof(double), nullptr, &address));
  if (values)
    gradopt::check(gradopt_cuda_copy(0, address, values, count * sizeof(double), nullptr));
  return static_cast<double *>(address);
}

template <typename T> static std::vector<T> toHost(const void *from, std::size_t count) {
  std::vector<T> values(count);
  gradopt::check(gradopt_cuda_copy(0, values.data(), from, count * sizeof(T), nullptr));
  gradopt::check(gradopt_cuda_synchronize(0, nullptr));
  return values;
}

int main(int, char **argv) {
  gradopt::check(gradopt_cuda_set_driver(argv[2]));
  gradopt::Bundle bundle("a.bundle");
  gradopt::Program f = bundle["f"];
  std::int64_t n = std::atoll(argv[1]);
  std::vector<double> x(3 * n);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = double(i);
  double *dx = onDevice(3 * n, x.data()), *dy = onDevice(57, nullptr), *rows = onDevice(1, nullptr);
  auto print = [&] {
    auto y = toHost<double>(dy, 57);
    auto count = toHost<std::int64_t>(rows, 1)[0];
    double total = 0;
    for (std::int64_t i = 0; i < 3 * count; ++i)
      total += y[i];
    std::printf("%lld %g\n", (long long)count, total);
  };
  try {
    /* The function of the header, and the wrapper. */
    gradopt::check(f_cuda(bundle.get(), dx, n, dy, reinterpret_cast<int64_t *>(rows), 0, nullptr));
    print();
    gradopt::Span<double> there(dx, 3 * n), result(dy, 57);
    gradopt::Span<std::int64_t> count(reinterpret_cast<std::int64_t *>(rows), 1);
    f.call_cuda({there, n}, {result, count});
    print();
    /* Arrays of the host. */
    auto y = f.make_result<double>(0);
    std::int64_t own = -1;
    f({x, n}, {y, own});
    std::printf("%lld %zu\n", (long long)own, y.size());
    f.call_cuda({there, n + 1}, {result, count});
  } catch (const std::exception &error) {
    std::printf("%s\n", error.what());
  }
}
"""


def test_a_program_in_c_and_cpp(tmp_path: Path) -> None:
    compiled = go.compile(lambda x: x[1:] * 2, dynamic={"x": {0: go.Dim("n", max=MOST)}})
    lowered = compiled.lower(np.ones((2, 3)))
    go.save({"f": lowered}, tmp_path / "a.bundle", header=tmp_path / "a.h", **EMULATED)
    (tmp_path / "program.cpp").write_text(PROGRAM)
    build(tmp_path / "program.cpp", tmp_path / "program", f"-I{tmp_path}")
    for n in (0, 1, 4, MOST, MOST + 1):
        command = tmp_path / "program", str(n), emulated_cuda.library_path()
        lines = run(*command, folder=tmp_path).splitlines()
        if n > MOST:
            assert lines == [f"the size n of f is {n}, but it is at least 0 and at most {MOST}"]
            continue
        total = 2 * np.sum(np.arange(3.0 * n)[3:])
        count = max(n - 1, 0)
        assert lines[:2] == [f"{count} {total:g}"] * 2
        assert lines[2] == f"{count} {3 * (MOST - 1)}"
        # One more row than there are elements, or than there may be.
        wanted = "expected float64[20, 3] for the argument x" if n < MOST else "at most 20"
        assert wanted in lines[3]


# -- From elsewhere ------------------------------------------------------------------------------


def test_what_the_front_end_traced(path: Path, load: Any) -> None:
    """Without the structure of Python objects; sizes of results are read back."""
    compiled = go.compile(lambda x, y: (np.sin(x) * y[:, None], np.sum(y)), dynamic=ROWS)
    text = compiled.lower(*given(2)).mlir(locations=True)
    compile_module(text, path, "chips=emulated")
    loaded = load(path)
    assert loaded.signatures == ("(x: float64[n, 3], y: float64[n])",)
    for n in SIZES:
        x, y = given(n)
        for place in (np.asarray, there):
            got = values(loaded(place(x), place(y)))
            np.testing.assert_allclose(got[0], np.sin(x) * y[:, None], rtol=1e-12)
            np.testing.assert_allclose(got[1], np.sum(y), rtol=1e-12, atol=1e-12)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: Any) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--device", "cuda", "--chips", "emulated", "--grad", "-o", "f"]
    specification = "float64[n <= 20]"
    (tmp_path / "sized.py").write_text("import numpy as np\ndef f(x):\n    return np.sum(x**3)\n")
    assert main(["sized.py:f", specification, *options]) == 0
    for n in SIZES:
        x = given(n)[1]
        for place in (np.asarray, there):
            np.testing.assert_allclose(values(load("f")["f"](place(x))), 3 * x**2, rtol=1e-12)
