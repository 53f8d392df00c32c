# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bundles of functions with arrays of another size in each call (`dynamic=`)."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from budget import budget, generator
from page_end import at_page_end
from saved import load, path
from test_bundle import rehashed, same
from test_bundles_of_modules import compile_module
from test_cpp_wrapper import build, run

import gradopt as go
import gradopt_runtime
from gradopt import _gradopt
from gradopt.command import main
from gradopt_runtime.library import runtime

__all__ = ["load", "path"]

MATRIX = np.random.default_rng(3).normal(size=(3, 3)) / 2
ROWS = {"x": {0: "n"}, "y": {0: "n"}}
MOST = {"x": {0: go.Dim("n", max=70)}, "y": {0: "n"}}
LEVEL = ["x86-64-v3"]


def parts(x: Any, y: Any) -> Any:
    """Results with n rows, with fewer, with n columns, and a loop over n."""
    h = np.zeros(3)
    for i in range(len(x)):
        h = np.tanh(MATRIX @ h + x[i])
    columns = np.cumsum(MATRIX @ x.T, axis=1)
    return {"all": np.sin(x) * y[:, None], "steps": x[1:] - x[:-1], "t": (columns, len(x)), "h": h}


def loss(x: Any, y: Any) -> Any:
    made = parts(x, y)
    return np.sum(made["all"] ** 2) + np.sum(made["h"]) + np.sum(np.cos(made["t"][0]))


def given(n: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(n)
    return at_page_end(rng.normal(size=(n, 3))), at_page_end(rng.normal(size=n))


# -- Values ------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[MOST, ROWS], ids=["most", "any"])
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A bundle, the functions that are in it, and sizes of calls."""
    compiled = {
        "parts": go.compile(parts, dynamic=request.param),
        "slope": go.compile_value_and_grad(loss, argnums=(0, 1), dynamic=request.param),
    }
    for function in compiled.values():
        function(*given(2))
    path = tmp_path_factory.mktemp("sized") / "a.bundle"
    go.save(compiled, path, cpu=LEVEL)
    is_any = request.param is ROWS
    return path, compiled, [0, 1, 2, 33, 70, *([640, 3000] if is_any else [])]


def test_values_and_gradients_of_all_sizes(saved: Any, load: Any) -> None:
    path, compiled, sizes = saved
    loaded = load(path)
    assert loaded["parts"].signatures == ("(x: float64[n, 3], y: float64[n])",)
    for n in sizes:
        # What it leaves in memory is not read.
        loaded["slope"](np.full((70, 3), np.nan), np.full(70, np.nan))
        x, y = given(n)
        same(loaded["parts"](x, y), compiled["parts"](x, y))
        same(loaded["parts"](x, y)["steps"], x[1:] - x[:-1])
        value, gradient = loaded["slope"](x, y)
        same((value, gradient), compiled["slope"](x, y))
        t, eps = np.cos(np.arange(3.0 * n)).reshape(n, 3), 1e-6
        slope = (loss(x + eps * t, y) - loss(x - eps * t, y)) / (2 * eps)
        np.testing.assert_allclose(np.sum(gradient[0] * t), slope, rtol=1e-6, atol=1e-7)


def test_wrong_sizes(saved: Any, load: Any) -> None:
    path, _, sizes = saved
    function = load(path)["parts"]
    x, y = given(4)
    for arguments, error, message in [
        ((x, y[:3]), ValueError, "dimension 0 of x is 4 and dimension 0 of y is 3, but both are"),
        ((x[:, :2], y), ValueError, r"expected shape \(n, 3\) at x, but got \(4, 2\)"),
        ((x, y[:, None]), ValueError, r"expected shape \(n,\) at y, but got \(4, 1\)"),
        ((x.astype("f4"), y), TypeError, r"float64\[n, 3\] at x, but got float32\[4, 3\]"),
        ((x, y, 4), TypeError, "expected 2 positional arguments, but got 3"),
    ]:
        for _ in range(2):
            with pytest.raises(error, match=message):
                function(*arguments)
    if max(sizes) == 70:
        with pytest.raises(ValueError, match="0 of x is 71, but the size 'n' is at most 70"):
            function(*given(71))


def test_calls_allocate_nothing_but_results(saved: Any) -> None:
    path, compiled, sizes = saved
    function = go.load(path)["slope"]
    assert function.arena_bytes == compiled["slope"].lower(*given(1)).memory().arena
    calls = [given(n) for n in sizes]
    function(*calls[-1])
    before = _gradopt.alloc_count(), _gradopt.staged_copy_count()
    for arguments in calls:
        function(*arguments)
    assert (_gradopt.alloc_count(), _gradopt.staged_copy_count()) == before
    assert function.cache_size() == 1


def test_other_axes_containers_and_static_arguments(path: Path, load: Any) -> None:
    def f(p: Any, power: int, *, b: Any) -> Any:
        a = p["a"]
        return a @ b * a.shape[1] ** power, np.sum(a, axis=1) + p["shift"]

    k = go.Dim("k", max=9)
    dims = {"p": {"a": {0: go.Dim("m", max=7), -1: k}}, "b": {0: k, 1: go.Dim("n", 5)}}
    compiled = go.compile(f, dynamic=dims, static_argnums=1)
    compiled({"a": np.ones((2, 3)), "shift": 1.5}, 2, b=np.ones((3, 4)))
    go.save(compiled, path, cpu=LEVEL)
    loaded = load(path)
    rng = np.random.default_rng(5)
    for m, k, n in [(2, 3, 4), (7, 9, 5), (0, 1, 1), (1, 0, 5), (6, 2, 0)]:
        a, b = at_page_end(rng.normal(size=(m, k))), at_page_end(rng.normal(size=(k, n)))
        for p in ({"a": a, "shift": 0.5}, {"shift": 0.5, "a": np.asfortranarray(a)}):
            same(loaded(p, 2, b=b), f(p, 2, b=b))
    with pytest.raises(ValueError, match=r"1 of p\['a'\] is 10, but the size 'k' is at most 9"):
        loaded({"a": np.ones((2, 10)), "shift": 0.5}, 2, b=np.ones((10, 4)))


def test_several_signatures_and_checks(path: Path, load: Any) -> None:
    compiled = go.compile(lambda x, i: x[i] * 2, dynamic={"x": {0: "n"}})
    for dtype in (np.float64, np.float32):
        compiled(np.ones(3, dtype), np.int64(0))
    go.save(compiled, path, cpu=LEVEL)
    loaded = load(path)
    for n in (5, 500):
        x = np.arange(n, dtype=np.float32)
        same(loaded(x, np.int64(-n)), x[0] * 2)
        same(loaded(x.astype(float), np.int64(n - 1)), np.float64(2 * n - 2))
        with pytest.raises(IndexError, match=f"index {n} is out of bounds for axis 0"):
            loaded(x, np.int64(n))


def test_rooms_that_no_call_has(path: Path) -> None:
    go.save(go.compile(parts, dynamic=ROWS).lower(*given(2)), path, cpu=LEVEL)
    library, handle = runtime(), ctypes.c_void_p()
    assert library.gradopt_bundle_open(os.fsencode(path), ctypes.byref(handle)) == 0
    program = library.gradopt_bundle_program(handle, 0)
    arena = [library.gradopt_program_arena_bytes(program, 64 * n) for n in range(1, 4)]
    assert arena[2] - arena[1] == arena[1] - arena[0] > 0
    assert [library.gradopt_program_arena_bytes(program, n) for n in (0, -1)] == arena[:1] * 2
    for room in (2**48 + 1, 2**62, 2**63 - 64, 2**63 - 1):
        assert library.gradopt_program_arena_bytes(program, room) == 2**64 - 1
    library.gradopt_bundle_close(handle)


def test_addresses_of_sizes_that_are_null(saved: Any) -> None:
    library, handle, room = runtime(), ctypes.c_void_p(), ctypes.c_int64()
    assert library.gradopt_bundle_open(os.fsencode(saved[0]), ctypes.byref(handle)) == 0
    program = library.gradopt_bundle_program(handle, 0)
    rows, addresses = np.array(3, np.int64), (ctypes.c_void_p * 3)()
    results = (ctypes.c_void_p * library.gradopt_program_num_results(program))()
    for status in (
        library.gradopt_program_room(program, addresses, ctypes.byref(room)),
        library.gradopt_program_call(program, addresses, results),
    ):
        assert status == 1
        assert library.gradopt_last_error() == b"the size n of parts is null"
    # Of others it needs none.
    addresses[2] = rows.ctypes.data
    assert library.gradopt_program_room(program, addresses, ctypes.byref(room)) == 0
    library.gradopt_bundle_close(handle)


# -- From elsewhere ----------------------------------------------------------------------------


@pytest.mark.parametrize("dims", [MOST, ROWS], ids=["most", "any"])
def test_what_the_front_end_traced(path: Path, dims: Any, load: Any) -> None:
    """Attributes of the function say which sizes belong to which arrays."""
    text = go.compile(parts, dynamic=dims).lower(*given(2)).mlir(locations=True)
    compile_module(text, path, "levels=x86-64-v3")
    loaded = load(path)
    assert loaded.signatures == ("(x: float64[n, 3], y: float64[n])",)
    for n in (0, 5, 64):
        x, y = given(n)
        want = parts(x, y)
        got = loaded(x, y)
        same(got[:5], (want["all"], want["steps"], want["t"][0], np.int64(n), want["h"]))
        assert got[5] == 0  # No check has failed.


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sized.py").write_text(
        "import numpy as np\ndef f(p, x):\n    return np.sum(np.tanh(x @ p[0]) ** 2) + p[1]\n"
    )
    for extent in ("n", "n <= 70"):
        specifications = ["(float64[3], float)", f"float64[{extent}, 3]"]
        options = ["--grad", "--argnums", "1", "--cpu", *LEVEL, "-o", "f"]
        assert main(["sized.py:f", *specifications, *options]) == 0
        for n in (0, 1, 70):
            x, w = given(n)[0], MATRIX[0]
            y = np.tanh(x @ w)
            same(load("f")["f"]((w, 1.5), x), (2 * y * (1 - y**2))[:, None] * w)


PROGRAM = r"""
#include "gradopt.hpp"
#include "a.h"
#include <cstdio>
#include <cstdlib>

int main(int, char **argv) {
  gradopt::Bundle bundle("a.bundle");
  gradopt::Program slope = bundle["slope"];
  std::int64_t n = std::atoll(argv[1]), room = 0, rows = -1;
  std::vector<double> x(3 * n), y(n);
  for (std::int64_t i = 0; i < 3 * n; ++i)
    x[i] = 0.01 * double(i % 7);
  for (std::int64_t i = 0; i < n; ++i)
    y[i] = double(i % 3);
  try {
    room = slope.room({x, y, n});
    double value;
    std::int64_t rows_of_y;
    auto dx = slope.make_result<double>(1, room), dy = slope.make_result<double>(3, room);
    slope({x, y, n}, {value, dx, rows, dy, rows_of_y});
    double total = 0;
    for (std::int64_t i = 0; i < 3 * rows; ++i)
      total += dx[i] * double(i % 5);
    std::printf("%lld %.17g %.17g\n", (long long)rows, value, total);
    /* The function of the header. */
    std::vector<double> again(dx.size());
    if (CALL != GRADOPT_OK || rows != n || again != dx)
      std::puts(gradopt_last_error());
    try {
      /* Nothing of a device is read here. */
      gradopt::Span<double> there(reinterpret_cast<double *>(64), 3);
      gradopt::Span<std::int64_t> count(reinterpret_cast<std::int64_t *>(64), 1);
      slope.call_cuda({there, there, count}, {});
    } catch (const gradopt::Error &error) {
      std::printf("%s\n", error.what());
    }
    slope({x, y, n + 1}, {value, dx, rows, dy, rows_of_y});
  } catch (const std::exception &error) {
    std::printf("%s\n", error.what());
  }
}
"""


@pytest.mark.parametrize("dims", [MOST, ROWS], ids=["most", "any"])
def test_a_program_in_c_and_cpp(tmp_path: Path, dims: Any) -> None:
    slope = go.compile_value_and_grad(loss, argnums=(0, 1), dynamic=dims)
    lowered = slope.lower(*given(2))
    go.save({"slope": lowered}, tmp_path / "a.bundle", cpu=LEVEL, header=tmp_path / "a.h")
    text = " ".join((tmp_path / "a.h").read_text().split())
    rows = "70" if dims is MOST else "room"
    for part in (
        "const double *x /* x, shape (n, 3) */, const double *y /* y, shape (n) */, int64_t n,",
        f"double *result_1_0 /* result[1][0], shape ({rows}, 3), the first result_1_0_shape_0 "
        "along dimension 0 */, int64_t *result_1_0_shape_0 /* result[1][0].shape[0], shape () */",
    ):
        assert part in text
    call = "slope(bundle.get(), x.data(), y.data(), n, &value, again.data(), &rows, dy.data(), "
    call += "&rows_of_y)"
    if dims is ROWS:
        call = f"slope_room(bundle.get(), n, &room) != GRADOPT_OK ? GRADOPT_CODE_ERROR : {call}"
    source = tmp_path / "program.cpp"
    source.write_text(PROGRAM.replace("CALL", f"({call.replace('slope', '::slope')})"))
    build(source, tmp_path / "program", f"-I{tmp_path}")
    for n in (0, 1, 70, 500):
        lines = run(tmp_path / "program", str(n), folder=tmp_path).splitlines()
        if dims is MOST and n > 70:
            expected = "the size n of slope is 500, but it is at least 0 and at most 70"
            assert lines == [expected]
            continue
        x = 0.01 * (np.arange(3.0 * n) % 7).reshape(n, 3)
        value, (dx, _) = slope(x, np.arange(float(n)) % 3)
        count, *numbers = lines[0].split()
        assert int(count) == n
        total = np.sum(dx.ravel() * (np.arange(3 * n) % 5))
        np.testing.assert_allclose([float(part) for part in numbers], [value, total], rtol=1e-12)
        # One more row than there are elements, or than there may be.
        assert len(lines) == 3
        assert lines[1] == "slope has no code for GPUs"
        wanted = "expected float64" if n < 70 or dims is ROWS else "at most 70"
        assert wanted in lines[2]


SIZES = r"""
#include "gradopt.hpp"
#include <cstdio>

int main() {
  gradopt::Bundle bundle("a.bundle");
  gradopt::Program f = bundle["f"];
  gradopt::ArrayInfo info = f.result(0);
  std::printf("%zu %zu %zu %zu\n", info.bytes(), info.size(), f.make_result<double>(0).size(),
              info.size(128));
  try {
    f.make_result<double>(0, 0);
  } catch (const std::invalid_argument &error) {
    std::printf("%s\n", error.what());
  }
}
"""


def test_memory_of_results_with_fewer_rows_in_cpp(tmp_path: Path) -> None:
    lowered = go.compile(lambda x: x[1:], dynamic={"x": {0: "n"}}).lower(np.ones((2, 3)))
    go.save({"f": lowered}, tmp_path / "a.bundle", cpu=LEVEL)
    (tmp_path / "sizes.cpp").write_text(SIZES)
    build(tmp_path / "sizes.cpp", tmp_path / "sizes")
    # There is room for 64 rows at least, and one is left out.
    assert run(tmp_path / "sizes", folder=tmp_path).splitlines() == [
        f"{8 * 63 * 3} {63 * 3} {63 * 3} {127 * 3}",
        "result: expected the room of a call, but got 0",
    ]


# -- Damage ------------------------------------------------------------------------------------


def record_of(content: bytes) -> tuple[int, int, int]:
    """Of a bundle with one program: where its record, its dimensions and its text begin."""
    count = struct.unpack_from("I", content, 12)[0]
    sections = [struct.unpack_from("IIIIQQ", content, 64 + 32 * i) for i in range(count)]
    begin = next(section[4] for section in sections if section[0] == 1)
    numbers = struct.unpack_from("7I", content, begin + 24)
    arrays, checks, extents = sum(numbers[1:4]), numbers[4], numbers[5]
    dimensions = begin + 56 + 24 * arrays + 16 * checks
    return begin, dimensions, dimensions + 24 * extents


def test_sizes_are_checked_before_anything_runs(path: Path, load: Any) -> None:
    lowered = go.compile(lambda x: (x * 2, x[1:]), dynamic={"x": {0: "n"}}).lower(np.ones((2, 3)))
    go.save(lowered, path, cpu=LEVEL)
    whole = path.read_bytes()
    begin, dimensions, text = record_of(whole)
    # x, result[0] and result[1] have two dimensions each.
    extents, parts, sizes = (dimensions + 48 * i for i in range(3))
    assert text == dimensions + 3 * 48
    fields = [struct.unpack_from("6q", whole, at) for at in (extents, parts, sizes)]
    assert fields == [(0, 3, 0, 3, -1, 3), (32, 0) * 3, (1, -1, 1, -1, 3, -1)]
    for at, value, message in [
        (begin + 8, 2**50, "the room of calls is not described"),
        (begin + 16, -1, "the room of calls is not described"),
        (extents, 5, "an argument has room for no number of rows"),
        (extents + 8, -1, "an extent is too large"),
        (extents + 16, 2**60, "an extent is too large"),
        (extents + 32, -(2**20), "an array is too large"),
        (parts, 0, "there is room for no size"),
        (parts, 31, "an argument has room for no number of rows"),
        (parts + 8, 32, "an extent is computed of no size"),
        (parts + 16, 2**40, "an extent is too large"),
        (parts + 16, -32, "an extent is too large"),
        (sizes, 0, "a size is no number"),
        (sizes, 2, "a size is no number"),
        (sizes, -2, "a size is no number"),
        (sizes, -1, "an extent is computed of no size"),
        (sizes + 8, 1, "a size has two largest values"),
        (sizes + 16, 4, "a size is no number"),
        (sizes + 16, 0, "a size is no number"),
    ]:
        content = bytearray(whole)
        struct.pack_into("q", content, at, value)
        path.write_bytes(rehashed(content))
        with pytest.raises(gradopt_runtime.BundleError, match=message):
            load(path)


@pytest.mark.parametrize(
    ("dims", "chips"), [(MOST, []), (ROWS, []), (MOST, ["sm_80"])], ids=["most", "any", "gpu"]
)
def test_damaged_bundles_are_errors(path: Path, dims: Any, chips: list[str]) -> None:
    """Truncated, or with other numbers in the record, and the hash that belongs to them. What is
    opened all the same is asked for the memory of a call, and not run."""
    go.save(go.compile(parts, dynamic=dims).lower(*given(2)), path, cpu=LEVEL, chips=chips)
    whole = path.read_bytes()
    begin, dimensions, text = record_of(whole)
    library = runtime()
    random = generator()
    numbers = [0, 1, 2, 3, 32, -1, -2, 2**31, 2**47, 2**48, 2**62, -(2**63), 2**63 - 1]
    opened = 0
    tries = budget(4_000)
    for number in range(tries):
        content = bytearray(whole)
        for _ in range(random.integers(1, 4)):
            low, high = [(begin, begin + 56), (dimensions, text)][random.integers(2)]
            at = low + 8 * int(random.integers((high - low) // 8))
            struct.pack_into("q", content, at, numbers[random.integers(len(numbers))])
        if number % 5 == 0:
            content = content[: int(random.integers(len(content)))]
            if len(content) >= 64:
                struct.pack_into("Q", content, 16, len(content))
        path.write_bytes(rehashed(content) if len(content) >= 64 else content)
        handle = ctypes.c_void_p()
        if library.gradopt_bundle_open(os.fsencode(path), ctypes.byref(handle)) != 0:
            assert library.gradopt_last_error()
            continue
        opened += 1
        program = library.gradopt_bundle_program(handle, 0)
        count = library.gradopt_program_num_arguments(program)
        rows = np.array(numbers[random.integers(len(numbers))], np.int64)
        addresses = (ctypes.c_void_p * count)(*[rows.ctypes.data] * count)
        room = ctypes.c_int64()
        if library.gradopt_program_room(program, addresses, ctypes.byref(room)) == 0:
            library.gradopt_program_arena_bytes(program, room)
        else:
            assert library.gradopt_last_error()
        library.gradopt_bundle_close(handle)
    assert 0 < opened < 0.9 * tries
