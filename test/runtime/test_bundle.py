# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bundles: written, read again without a compiler, and damaged."""

from __future__ import annotations

import collections
import contextlib
import ctypes
import dataclasses
import hashlib
import os
import resource
import shutil
import struct
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from budget import budget, generator
from c_compiler import HERE, compile_c
from saved import load, path

import gradopt as go
import gradopt_runtime
from gradopt.compilation.bundle import CPU_LEVELS
from gradopt.errors import ArgumentError, ArgumentTypeError, UnsupportedError
from gradopt_runtime.library import runtime

__all__ = ["load", "path"]

RANDOM = np.random.default_rng(0)
PARAMS = {"w": RANDOM.normal(size=(5, 3)), "b": RANDOM.normal(size=3)}
X, T = RANDOM.normal(size=(7, 5)), RANDOM.normal(size=(7, 3))
TABLE = RANDOM.normal(size=(40, 5))


def loss(p: Any, x: Any, t: Any) -> Any:
    return np.mean((np.tanh(x @ p["w"] + p["b"]) - t) ** 2)


def same(got: Any, expected: Any) -> None:
    """The same structure, types, and elements but for what another CPU level rounds."""
    assert type(got) is type(expected)
    if isinstance(expected, dict):
        assert list(got) == list(expected)
        got, expected = list(got.values()), list(expected.values())
    if dataclasses.is_dataclass(expected):
        got, expected = list(vars(got).values()), list(vars(expected).values())
    if isinstance(expected, (tuple, list)):
        for g, e in zip(got, expected, strict=True):
            same(g, e)
    elif expected is not None:
        assert np.asarray(got).dtype == np.asarray(expected).dtype
        np.testing.assert_allclose(got, expected, rtol=1e-12)


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclasses.dataclass
class Point:
    x: Any
    y: Any


# -- What comes back -------------------------------------------------------------------------


def test_a_function_comes_back(path: Path, load: Any) -> None:
    compiled = go.compile_value_and_grad(loss)
    expected = compiled(PARAMS, X, T)
    go.save(compiled, path)
    loaded = load(path)
    same(loaded(PARAMS, X, T), expected)
    same(loaded(PARAMS, np.asfortranarray(X), T.astype(">f8")), expected)
    assert loaded.arena_bytes == compiled.lower(PARAMS, X, T).memory().arena


@pytest.mark.parametrize("level", CPU_LEVELS)
def test_each_level_gives_the_same(path: Path, level: str, load: Any) -> None:
    lowered = go.compile_grad(lambda x: np.sum(np.exp(np.sin(x)) @ x.T)).lower(X)
    go.save(lowered, path, cpu=[level])
    same(load(path)(X), lowered.compile()(X))


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (lambda x: Pair(x + 1, (x, None)), (X,)),
        (lambda p: Point(p.y, [p.x]), (Point(X, T),)),
        (lambda p: {1: p.left, "a": p.right}, (Pair(X, T),)),
        (lambda x, n: x * n, (X, 3)),
        (lambda x, n: x * n, (X, 2.5)),
        (lambda x: (), (X,)),
        (lambda x: np.sum(x) > 0, (X,)),
        (lambda i: TABLE[2:, :] + i, (np.int32(3),)),
        (lambda x: x, (np.zeros((0, 3), np.float32),)),
        (lambda x: go.fori_loop(0, 1000, lambda i, y: np.sin(y), x), (X,)),
        (lambda x: (X @ x, TABLE @ x), (np.ones((5, 2)),)),
    ],
)
def test_structures_constants_and_dtypes(
    path: Path, function: Any, arguments: Any, load: Any
) -> None:
    compiled = go.compile(function)
    expected = compiled(*arguments)
    go.save(compiled, path)
    same(load(path)(*arguments), expected)


def test_several_functions_and_signatures(path: Path, load: Any) -> None:
    step = go.compile(lambda p, g, *, rate: {k: p[k] - rate * g[k] for k in p})
    gradient = go.compile_grad(loss)
    g = gradient(PARAMS, X, T)
    gradient(PARAMS, X[:2], T[:2])
    go.save({"gradient": gradient, "step": step.lower(PARAMS, g, rate=0.1)}, path)
    loaded = load(path)
    assert list(loaded) == ["gradient", "step"]
    for n in (7, 2):
        same(loaded["gradient"](PARAMS, X[:n], T[:n]), gradient(PARAMS, X[:n], T[:n]))
    same(loaded["step"](PARAMS, g, rate=0.1), step(PARAMS, g, rate=0.1))
    with pytest.raises(TypeError, match=r"saved for other arguments:\n.*7, 5.*\n.*2, 5"):
        loaded["gradient"](PARAMS, X[:3], T[:3])


def test_donated_arguments_are_copied(path: Path, load: Any) -> None:
    compiled = go.compile(lambda x, y: (x + y, np.sum(x)), donate_argnums=0)
    go.save(compiled.lower(X, X), path)
    mine = X.copy()
    same(load(path)(mine, X), (X + X, np.sum(X)))
    np.testing.assert_array_equal(mine, X)


def test_static_arguments_have_to_be_the_same(path: Path, load: Any) -> None:
    compiled = go.compile(lambda x, n: x**n, static_argnums=1)
    go.save(compiled.lower(X, 3), path)
    same(load(path)(X, 3), X**3)
    with pytest.raises(TypeError, match=r"expected the value 3 at n, but got 3\.0"):
        load(path)(X, 3.0)


def test_checks_raise_what_python_raises(path: Path, load: Any) -> None:
    compiled = go.compile(lambda x, i: x[i])
    go.save(compiled.lower(X, np.int64(0)), path)
    loaded = load(path)
    same(loaded(X, np.int64(-7)), X[-7])
    with pytest.raises(IndexError, match=r"index 7 is out of bounds for axis 0.*test_bundle.py"):
        loaded(X, np.int64(7))


def test_threads(path: Path, load: Any) -> None:
    go.save(go.compile_grad(loss).lower(PARAMS, X, T), path)
    loaded = load(path)
    expected = go.compile_grad(loss)(PARAMS, X, T)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(200):
                same(loaded(PARAMS, X, T), expected)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


# -- Calls -----------------------------------------------------------------------------------


def test_dicts_and_keywords_in_any_order(path: Path, load: Any) -> None:
    def f(p: Any, *, q: Any, r: Any) -> Any:
        return p["a"] - 2 * p["b"] + 3 * q["c"] - 4 * r

    a, b, c, r = RANDOM.normal(size=(4, 3))
    go.save(go.compile(f).lower({"a": a, "b": b}, q={"c": c}, r=r), path)
    loaded = load(path)
    for _ in range(2):
        same(loaded({"a": a, "b": b}, q={"c": c}, r=r), f({"a": a, "b": b}, q={"c": c}, r=r))
        same(loaded({"b": b, "a": a}, r=r, q={"c": c}), f({"a": a, "b": b}, q={"c": c}, r=r))
    ordered = collections.OrderedDict(b=b, a=a)
    same(loaded(ordered, r=r, q={"c": c}), f(ordered, q={"c": c}, r=r))


def test_what_is_not_an_array(path: Path, load: Any) -> None:
    class Wrapped:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return X

    go.save(go.compile(lambda x, n: x * n).lower(X, 2.0), path)
    loaded = load(path)
    same(loaded(Wrapped(), 2.0), X * 2.0)
    same(loaded(X[::-1][::-1], 3.0), X * 3.0)
    for x, n, message in [
        (X.tolist(), 2.0, r"float64\[7, 5\] at x, but got list"),
        (None, 2.0, r"float64\[7, 5\] at x, but got None"),
        ("text", 2.0, r"float64\[7, 5\] at x, but got <U4\[\]"),
        (X, 2, "expected a Python float64 at n, but got int64"),
        (X, np.float64(2), "expected a Python float64 at n, but got float64"),
        (X, {2.0}, "expected a Python float64 at n, but got object"),
    ]:
        with pytest.raises(TypeError, match=message):
            loaded(x, n)


def test_static_arguments_of_several_signatures(path: Path, load: Any) -> None:
    def f(*args: Any, mode: Any = "sum") -> Any:
        *arrays, n = args
        return n * (sum(arrays) if mode == "sum" else arrays[0])

    compiled = go.compile(f, static_argnums=-1, static_argnames="mode")
    expected = [compiled(X, 3), compiled(X, X, 3), compiled(X, 4, mode="first")]
    go.save(compiled, path)
    loaded = load(path)
    for _ in range(2):
        same(loaded(X, 3), expected[0])
        same(loaded(X, X, 3), expected[1])
        same(loaded(X, 4, mode="first"), expected[2])
    for arguments, mode in [((X, 5), "sum"), ((X, 3.0), "sum"), ((X, [3]), "sum"), ((X, 3), "?")]:
        with pytest.raises(TypeError, match="saved for other arguments"):
            loaded(*arguments, mode=mode)


def test_calls_on_the_native_path(path: Path) -> None:
    """A signature is looked at once; what is foreign to the path is an error."""
    compiled = go.compile(lambda x, p: (x + p["a"], {"b": x}), donate_argnums=0)
    go.save(compiled.lower(X, {"a": X}), path)
    loaded = go.load(path)
    matched: list[Any] = []
    match = loaded._match
    loaded._match = lambda *arguments: matched.append(arguments) or match(*arguments)
    for _ in range(5):
        same(loaded(X, {"a": X}), (X + X, {"b": X}))
    assert len(matched) == 1
    assert loaded.cache_size() == 1
    with pytest.raises(UnsupportedError, match=r"(?s)machine code from a bundle.*test_bundle.py"):
        go.compile(lambda x: loaded(x, {"a": x}))(X)
    given = X.copy()
    kept = go.compile(lambda x: x + 1, donate_argnums=0)(given)
    with pytest.raises(
        go.errors.DonatedArrayError, match="x of lambda is an array that was donated"
    ):
        loaded(given, {"a": X})
    same(kept, X + 1)


# -- Without the compiler --------------------------------------------------------------------


def test_another_python_needs_a_folder_and_a_library(path: Path, tmp_path: Path) -> None:
    go.save(go.compile_grad(loss).lower(PARAMS, X, T), path)
    np.savez(tmp_path / "data.npz", x=X, t=T, **PARAMS)
    package = tmp_path / "elsewhere/gradopt_runtime"
    source = Path(gradopt_runtime.__file__).parent
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(gradopt_runtime.library_path(), package)
    script = f"""
        import sys
        sys.path.insert(0, {str(package.parent)!r})
        # Not the one of this environment.
        sys.meta_path = [f for f in sys.meta_path if type(f).__name__ != "ScikitBuildRedirectingFinder"]
        import numpy as np, gradopt_runtime
        data = np.load({str(tmp_path / "data.npz")!r})
        f = gradopt_runtime.load({str(path)!r})
        g = f({{"w": data["w"], "b": data["b"]}}, data["x"], data["t"])
        np.savez({str(tmp_path / "out.npz")!r}, **g)
        assert not [name for name in sys.modules if name.partition(".")[0] in ("gradopt", "mlir")]
        libraries = open("/proc/self/maps").read()
        assert "libMLIR" not in libraries and "libLLVM" not in libraries
        assert {str(package)!r} in libraries
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=60)
    with np.load(tmp_path / "out.npz") as got:
        same(dict(got), go.compile_grad(loss)(PARAMS, X, T))


def test_a_c_program(path: Path, tmp_path: Path) -> None:
    def scaled(x: Any, factor: Any) -> Any:
        return x * x * factor

    go.save(go.compile(scaled).lower(np.ones(3), np.float64(1)), path)
    library = Path(gradopt_runtime.library_path())
    program = tmp_path / "program"
    compile_c(
        HERE / "call_bundle.c",
        f"-I{gradopt_runtime.include_path()}",
        "-o",
        str(program),
        str(library),
        f"-Wl,-rpath,{library.parent}",
    )
    done = subprocess.run([program, path], capture_output=True, text=True, timeout=60)
    assert done.stdout == "x 6 1 3 24 1\n2 8 18\n"
    assert done.returncode == 0


# -- What cannot be saved or loaded ----------------------------------------------------------


def test_what_cannot_be_saved(path: Path) -> None:
    @dataclasses.dataclass
    class Local:
        x: Any

    called = go.compile(lambda x: go.pure_callback(np.sort, go.ShapeDtypeStruct((3,), float), x))
    for what, error, message in [
        (go.compile(loss), ArgumentError, "not compiled for any arguments yet"),
        (loss, ArgumentTypeError, "not a function"),
        (called.lower(np.ones(3)), UnsupportedError, "outside of the program"),
        (go.compile(lambda x: Local(x)).lower(X), UnsupportedError, "Local cannot be saved"),
    ]:
        with pytest.raises(error, match=message):
            go.save(what, path)
    lowered = go.compile_grad(loss).lower(PARAMS, X, T)
    with pytest.raises(ArgumentError, match="no CPU level 'skylake'; levels are x86-64-v2"):
        go.save(lowered, path, cpu=["skylake"])
    with pytest.raises(
        ArgumentError, match="loss has nothing to run on: cpu must name a level, or chips a GPU"
    ):
        go.save(lowered, path, cpu=[])
    many = go.compile(lambda xs: xs[0]).lower([1.0] * (2**14 + 1))
    with pytest.raises(
        UnsupportedError, match="16385 arrays of a kind; a bundle has at most 16384"
    ):
        go.save(many, path, cpu=["x86-64-v2"])
    assert not path.exists()
    with pytest.raises(FileNotFoundError):
        go.save(lowered, path.parent / "none/a.bundle")


@contextlib.contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Python ignores the signal that a larger one sends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_is_replaced_as_a_whole(path: Path, load: Any) -> None:
    lowered = go.compile_grad(loss).lower(PARAMS, X, T)
    path.write_text("mine")
    lowered.compile()  # Files of the compile cache are larger, too.
    with no_file_larger_than(1000), pytest.raises(OSError, match=f"File too large: '{path}'"):
        go.save(lowered, path, cpu=["x86-64-v2"])
    assert path.read_text() == "mine"
    assert os.listdir(path.parent) == [path.name]
    go.save(lowered, path)
    same(load(path)(PARAMS, X, T), go.compile_grad(loss)(PARAMS, X, T))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((PARAMS, X), TypeError, "expected 3 positional arguments, but got 2"),
        ((PARAMS, X.astype("f4"), T), TypeError, r"float64\[7, 5\] at x, but got float32\[7, 5\]"),
        ((PARAMS, X[:3], T), ValueError, r"shape \(7, 5\) at x, but got \(3, 5\)"),
        (({"w": X}, X, T), TypeError, r"keys \['w', 'b'\] at p, but got \['w'\]"),
        (({**PARAMS, "b": None}, X, T), TypeError, r"float64\[3\] at p\['b'\]"),
        ((X, X, T), TypeError, r"at p, but got ndarray"),
    ],
)
def test_wrong_arguments(path: Path, arguments: Any, error: Any, message: str, load: Any) -> None:
    go.save(go.compile_grad(loss).lower(PARAMS, X, T), path)
    with pytest.raises(error, match=message):
        load(path)(*arguments)


def rehashed(content: bytearray) -> bytes:
    """With the hash that belongs to what it has now."""
    content[24:56] = hashlib.sha256(content[64:]).digest()
    return bytes(content)


def test_files_that_are_no_bundles(path: Path, tmp_path: Path, load: Any) -> None:
    go.save(go.compile_grad(loss).lower(PARAMS, X, T), path)
    whole = path.read_bytes()
    newer = bytearray(whole)
    newer[8:12] = struct.pack("<I", 4)
    older = bytearray(whole)
    older[8:12] = struct.pack("<I", 2)
    begin = next(i for i in range(64, 1000, 32) if whole[i] == 2)
    level_5 = bytearray(whole)
    for i in range(begin, begin + 3 * 32, 32):
        level_5[i + 8] = 9
    for content, message in [
        (b"", "not a bundle"),
        (b"x" * 1000, "not a bundle"),
        (whole[:-1], "bytes, but got"),
        (whole + b"x", "bytes, but got"),
        (bytes(newer), "expected version 3 of the format, but got 4"),
        (bytes(older), "expected version 3 of the format, but got 2"),
        (whole[:200] + bytes([whole[200] ^ 1]) + whole[201:], "damaged"),
        (rehashed(level_5), "expected a CPU of level x86-64-v9"),
    ]:
        path.write_bytes(content)
        with pytest.raises(gradopt_runtime.BundleError, match=message):
            load(path)
    os.mkfifo(tmp_path / "fifo")
    for other, message in [
        (tmp_path / "none", "No such file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "fifo", "Illegal seek"),
    ]:
        with pytest.raises(gradopt_runtime.BundleError, match=message):
            load(other)


def is_list(lowered: Any) -> bool:
    return "gradopt_commands" in lowered.mlir("llvm")


def test_lists_of_commands(path: Path, load: Any) -> None:
    compiled = go.compile_grad(leapfrog)
    lowered = compiled.lower(X)
    assert is_list(lowered)
    go.save(lowered, path)
    same(load(path)(X), compiled(X))


def test_sorts_are_calls_of_the_runtime(path: Path, load: Any) -> None:
    """Alone, and in a list of commands."""

    def f(x: Any) -> Any:
        return np.sum(np.sort(x, 0)[::2] ** 2) * np.median(x)

    def g(x: Any) -> Any:
        return f(x) + leapfrog(np.sort(x)) + np.sum(np.unique(np.argsort(x)))

    for function in (f, g):
        compiled = go.compile_value_and_grad(function)
        go.save(compiled.lower(X), path)
        same(load(path)(X), compiled(X))
        np.testing.assert_allclose(compiled(X)[0], function(X))


def leapfrog(x: Any) -> Any:
    """A list of commands."""
    v = np.zeros_like(x)
    for _ in [0] * 20:
        v = v - 0.1 * np.tanh(x @ (X.T @ X)) + TABLE[:7]
        x = x + 0.1 * np.sum(v, axis=0)
    return np.sum(x * x)


def table_of(content: bytes) -> tuple[int, int, int, dict[str, int]]:
    """Of a bundle with one table of commands: where it and its commands begin, where it ends, and
    what its header says."""
    begin = content.index(b"CMDS")
    assert content.count(b"CMDS") == 1
    names = ["size", "frame", "words", "buffers", "kernels", "operands"]
    header = dict(zip(names, struct.unpack_from("QQIIII", content, begin + 8), strict=True))
    first = begin + 40 + 8 * (1 + header["buffers"])
    return begin, first, begin + header["size"], header


def first_command(content: bytes, opcode: int) -> int:
    _, at, end, _ = table_of(content)
    while at < end:
        found, operands = struct.unpack_from("HH", content, at)
        if found == opcode:
            return at
        at += 8 + 16 * operands
    raise AssertionError(f"no command {opcode}")


def address_relocations(content: bytes) -> list[int]:
    """Where the only object file of a bundle says what its absolute addresses are."""
    (_, _, number_of_sections) = struct.unpack_from("8sII", content)
    sections = [
        struct.unpack_from("IIIIQQ", content, 64 + 32 * i) for i in range(number_of_sections)
    ]
    (start,) = [section[4] for section in sections if section[0] == 2]
    (table,) = struct.unpack_from("Q", content, start + 40)
    size, count = struct.unpack_from("HH", content, start + 58)
    found: list[int] = []
    for header in range(start + table, start + table + size * count, size):
        _, kind, _, _, offset, length = struct.unpack_from("IIQQQQ", content, header)
        if kind == 4:  # SHT_RELA, entries of 24 bytes; R_X86_64_64 is 1.
            entries = range(start + offset, start + offset + length, 24)
            found += [at for at in entries if struct.unpack_from("I", content, at + 8)[0] == 1]
    return found


def test_kernels_are_code_of_the_file(path: Path, load: Any) -> None:
    go.save(go.compile_grad(leapfrog).lower(X), path, cpu=["x86-64-v2"])
    whole = path.read_bytes()
    relocations = address_relocations(whole)
    assert len(relocations) == table_of(whole)[3]["kernels"]
    for at in relocations:
        content = bytearray(whole)
        struct.pack_into("q", content, at + 16, 2**40)
        path.write_bytes(rehashed(content))
        with pytest.raises(gradopt_runtime.BundleError, match="kernel of its commands is no func"):
            load(path)


def test_commands_are_checked_before_they_run(path: Path, load: Any) -> None:
    lowered = go.compile_grad(leapfrog).lower(X)
    go.save(lowered, path, cpu=["x86-64-v2"])
    whole = path.read_bytes()
    begin, _, end, header = table_of(whole)
    sizes = begin + 40
    assert struct.unpack_from("q", whole, sizes + 8)[0] == X.nbytes
    arena = sizes + 8 * header["buffers"]
    launch = first_command(whole, 1)
    cases: list[tuple[int, str, int, str]] = [
        (begin, "I", 1, "at byte 0: no table of commands"),
        (begin + 4, "I", 2**31, "table of another version"),
        (begin + 8, "Q", header["size"] - 8, "wrong size of the table"),
        (begin + 32, "I", header["kernels"] + 1, "wrong number of kernels"),
        (begin + 16, "Q", 2**40, "the words do not fit in the arena"),
        (sizes, "q", struct.unpack_from("q", whole, sizes)[0] + 64, "for other constants"),
        (sizes + 8, "q", X.nbytes + 8, "for other arrays"),
        (sizes + 8, "q", -1, "negative size of a buffer"),
        (arena, "q", 2**40, "need a larger arena"),
        (launch, "H", 999, f"at byte {launch - begin}: unknown command"),
        (launch + 2, "H", 2**16 - 1, "more operands than the table states"),
        (launch + 4, "I", header["kernels"], "no such kernel"),
        (launch + 8, "I", header["words"], "operand is no word"),
        (launch + 12, "I", 1, "expected a register as index"),
        (launch + 16, "q", 2**40, "address outside of its buffer"),
        (end - 8, "H", 4, "wrong number of operands"),
    ]
    for at, form, value, message in cases:
        content = bytearray(whole)
        struct.pack_into(form, content, at, value)
        path.write_bytes(rehashed(content))
        with pytest.raises(gradopt_runtime.BundleError, match=message):
            load(path)
    path.write_bytes(rehashed(bytearray(whole)))
    same(load(path)(X), lowered.compile()(X))


@pytest.mark.parametrize("is_long", [False, True], ids=["native", "commands"])
def test_damaged_bundles_are_errors(path: Path, is_long: bool) -> None:
    """With the right hash, too; what is loaded all the same is not run."""
    if is_long:
        lowered = go.compile_grad(leapfrog).lower(X)
    else:
        lowered = go.compile(lambda x, i: (x[i] @ TABLE.T, X)).lower(X, np.int64(0))
    assert is_list(lowered) == is_long
    go.save(lowered, path, cpu=["x86-64-v2"])
    whole = path.read_bytes()
    library = runtime()
    random = generator()
    opened = 0
    # Most numbers are in the table and the record.
    ranges = [(0, 64), (64, 64 + 5 * 32), (64, 64 + 5 * 32), (64, 1024), (0, len(whole))]
    if is_long:
        begin, first, end, _ = table_of(whole)
        ranges += [(begin, first), (begin, end), (first, first + 512)]
    for number in range(budget(10_000)):
        content = bytearray(whole)
        low, high = ranges[number % len(ranges)]
        for place in random.integers(low, min(high, len(whole)), random.integers(1, 6)):
            content[place] = random.choice([0, 1, 127, 128, 255, random.integers(256)])
        with path.open("r+b") as file:
            file.write(rehashed(content) if number % 4 else content)
        handle = ctypes.c_void_p()
        if library.gradopt_bundle_open(os.fsencode(path), ctypes.byref(handle)) == 0:
            opened += 1
            library.gradopt_bundle_close(handle)
        else:
            assert library.gradopt_last_error()
    assert 0 < opened < budget(10_000) * 0.9
