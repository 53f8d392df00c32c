# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled and Lowered: signatures, promotion, captures, pytrees, stages."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt import _compiler, _gradopt

X = np.array([1.0, 2.0, 3.0])


class Counter:
    """A function that counts how often it is traced."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, x: Any) -> Any:
        self.count += 1
        return x * 2


def test_one_trace_for_each_signature() -> None:
    function = Counter()
    compiled = go.compile(function)
    for argument in (X, X + 1, X[::2], X[:2], X.astype("f4"), 1.0, 2.0, 3, np.float64(1)):
        np.testing.assert_array_equal(compiled(argument), argument * 2)
    # float64[3], [2], float32[3], weak float, weak int, float64[].
    assert function.count == 6
    compiled({"a": X}["a"])
    assert function.count == 6


DTYPES = ["?", "i1", "i2", "i4", "i8", "f4", "f8"]


@pytest.mark.parametrize("left", DTYPES)
def test_promotion_is_numpys(left: str) -> None:
    x = np.array([1, 0, 1]).astype(left)

    def f(x: Any, others: Any) -> Any:
        parts = [x + o for o in others] + [x * 2, x + 1.5, 1 / (x + 1), x == 1, x + True]
        parts += [np.maximum(x, o) for o in others] + [np.where(x, x, o) for o in others]
        return [*parts, np.sum(x), np.mean(x), np.exp(x), np.sqrt(x), x / 2, np.stack([x, x + 1])]

    others = [np.array([2, 1, 1]).astype(d) for d in DTYPES]
    if left == "?":
        g = lambda x, others: [x + others[0], np.where(x, x, 1), np.sum(x), np.mean(x)]  # noqa: E731
    else:
        g = f
    if left == "i2":
        # exp of int16 is float32.
        assert go.compile(np.exp)(x).dtype == np.float32
    with np.errstate(all="ignore"):
        expected = g(x, others)
    for k, (a, e) in enumerate(zip(go.compile(g)(x, others), expected, strict=True)):
        assert np.asarray(a).dtype == np.asarray(e).dtype, k
        np.testing.assert_allclose(a, e, rtol=1e-6, err_msg=str(k))


def test_python_numbers_stay_weak() -> None:
    f = go.compile(lambda x, a, n: (x * a, x + n, a + n, a * 2, np.exp(a), a / n, n // 2, -a))
    x = X.astype(np.float32)
    actual, expected = f(x, 2.0, 3), (
        x * 2.0, x + 3, 2.0 + 3, 4.0, np.exp(2.0), 2.0 / 3, 1, -2.0,
    )  # fmt: skip
    assert actual[0].dtype == np.float32
    assert actual[1].dtype == np.float32
    assert actual[4].dtype == np.float64
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-6)
    assert f(x, np.float64(2), 3)[0].dtype == np.float64


def test_python_bools_are_integers_in_arithmetic() -> None:
    f = go.compile(lambda a, b: (a + b, a * b, (a > 0) + (b > 0), a - b, a & b))
    assert f(True, True) == (2, 1, 2, 0, True)


def test_integers_that_do_not_fit() -> None:
    with pytest.raises(OverflowError):
        go.compile(lambda x: x * 2)(2**70)
    with pytest.raises(OverflowError):
        go.compile(lambda x: x + 2**70)(1)


def test_equal_static_arguments_may_make_other_code() -> None:
    @dataclasses.dataclass
    class Box:
        x: Any

    plain = go.compile(np.copysign, static_argnums=1)
    boxed = go.compile(lambda box, s: np.copysign(box.x, s[0]), static_argnums=1)
    for sign in (0.0, -0.0, 0.0):
        assert plain(1.0, sign) == np.copysign(1.0, sign)
        assert boxed(Box(1.0), (sign,)) == np.copysign(1.0, sign)
    typed = go.compile(lambda box, s: box.x * s[0], static_argnums=1)
    assert typed(Box(2), (3,)).dtype == np.int64
    assert typed(Box(2), (3.0,)).dtype == np.float64


def test_static_arguments_of_gradients() -> None:
    f = go.compile_grad(lambda x, mode: np.sum(x**2) if mode == "sum" else x[0], static_argnums=1)
    np.testing.assert_array_equal(f(X, "sum"), 2 * X)
    np.testing.assert_array_equal(f(X, mode="first"), [1, 0, 0])


def test_captures_are_snapshots() -> None:
    table = np.arange(100.0)
    f = go.compile(lambda x: np.sum(table * x))
    assert f(1.0) == 4950
    assert f.lower(1.0).memory().captures == 800
    table[:] = 0
    assert f(2.0) == 9900
    small = np.arange(3.0)
    lowered = go.compile(lambda x: x + small).lower(1.0)
    assert lowered.memory().captures == 0
    assert "dense<[0.0" in lowered.mlir()
    # The same array is captured once, a uniform one not at all.
    ramp = np.arange(50.0)
    lowered = go.compile(lambda x: (x @ ramp) * np.sum(ramp * x) + x @ np.ones(50)).lower(ramp)
    assert lowered.memory().captures == 400


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "i4", "?"])
def test_captures_are_arguments_once_for_each_content(dtype: str) -> None:
    table = (np.arange(1000) % 7).astype(dtype)
    numbers = [float(k) for k in range(100)]
    uses: dict[str, Any] = {
        "itself": lambda: table,
        "views": lambda: table[:],
        "slices": lambda: table[100:900:2],
        "transposes": lambda: table.reshape(10, 100).T,
        "copies": lambda: table.copy(),
        "read-only views": lambda: np.broadcast_to(table, (1000,)),
        "lists": lambda: list(numbers),
        "columns": lambda: table.reshape(-1, 5)[:, 2],
    }
    for name, use in uses.items():
        start = np.zeros(np.shape(use()))

        def f(x: Any, use: Any = use) -> Any:
            for _ in range(20):
                x = np.sin(x) + use()
            return np.sum(go.grad(lambda y: np.sum(np.sin(y) * use()))(x))

        lowered = go.compile(f).lower(start)
        # Converted to float64 for the sum, or captured as it is.
        assert lowered.memory().captures <= start.size * 8, name
        assert len(lowered.captures) == 1, name
        lowered.compile()(start)


def test_captures_that_change_are_other_arrays() -> None:
    table = np.linspace(-1, 1, 100)

    def f(x: Any) -> Any:
        total = np.sum(table * x)
        table[0] = -0.0
        total = total + 2 * np.sum(table * x)
        table[0] = 0.0
        total = total + 3 * np.sum(np.copysign(1.0, table) * x)
        table[0] = -1.0
        return total + 4 * np.sum(table * x)

    x = np.arange(1.0, 101.0)
    expected = f(x)
    np.testing.assert_allclose(go.compile(f)(x), expected, rtol=1e-13)
    assert len(go.compile(f).lower(x).captures) == 3
    nan = np.full(100, np.nan)
    nan[0] = 1
    lowered = go.compile(lambda x: x * nan + nan.copy() * x).lower(x)
    assert len(lowered.captures) == 1


def test_pytrees() -> None:
    class Pair:
        def __init__(self, a: Any, b: Any) -> None:
            self.a, self.b = a, b

    go.register_pytree(Pair, lambda p: ((p.a, p.b), None), lambda _, c: Pair(*c))
    with pytest.raises(go.errors.ArgumentError, match="registered"):
        go.register_pytree(Pair, lambda p: ((p.a, p.b), None), lambda _, c: Pair(*c))
    f = go.compile(lambda p, t: {"pair": Pair(p.b, p.a), "none": None, "t": (t[0], [t[1]["z"]])})
    out = f(Pair(X, 1.0), (X * 2, {"z": 3, "none": None}))
    np.testing.assert_array_equal(out["pair"].b, X)
    assert out["pair"].a == 1.0
    assert out["none"] is None
    assert out["t"][1] == [3]
    assert go.compile(lambda: (1, ()))() == (1, ())
    assert go.compile(lambda x: [])(X) == []
    # The order of keys is part of the structure, and the result is right for both.
    g = go.compile(lambda d: d["a"] - d["b"])
    assert g({"a": 3.0, "b": 1.0}) == 2.0
    assert g({"b": 1.0, "a": 3.0}) == 2.0


def test_array_like_arguments() -> None:
    class Interface:
        def __init__(self, array: Any) -> None:
            self.array = array
            self.__array_interface__ = array.__array_interface__

    class Pack:
        def __init__(self, array: Any) -> None:
            self.array = array

        def __dlpack__(self, **kwargs: Any) -> Any:
            return self.array.__dlpack__(**kwargs)

        def __dlpack_device__(self) -> Any:
            return self.array.__dlpack_device__()

    f = go.compile(lambda x, y: x + y)
    np.testing.assert_array_equal(f(Interface(X), Pack(X)), 2 * X)


def test_strided_read_only_and_swapped_arguments() -> None:
    f = go.compile(lambda x: x * 2)
    base = np.arange(24.0).reshape(4, 6)
    frozen = base.copy()
    frozen.flags.writeable = False
    for x in (base[::2, ::-1], base.T, frozen, base.astype(">f8"), np.asfortranarray(base)):
        np.testing.assert_array_equal(f(x), x * 2)


def test_keywords_and_defaults() -> None:
    def f(x: Any, y: Any = 2.0, *, scale: Any = 1.0) -> Any:
        return x * y * scale

    compiled = go.compile(f)
    assert compiled(3.0) == 6.0
    assert compiled(3.0, y=1.0) == 3.0
    assert compiled(y=1.0, x=3.0, scale=2.0) == 6.0
    gradient = go.compile_grad(f)
    assert gradient(3.0, scale=5.0) == 10.0


def test_stages() -> None:
    lowered = go.compile_grad(lambda x: np.sum(np.tanh(x) ** 2)).lower(X)
    texts = [lowered.mlir(stage) for stage in ("grad", "adjoint", "simplified", "linalg", "llvm")]
    assert "grad.vjp" in texts[0]
    assert "grad.vjp" not in texts[1]
    assert "grad.tanh" in texts[2]
    assert "linalg.generic" in texts[3]
    assert "llvm.func" in texts[4]
    assert "memref" in lowered.mlir("bufferized")
    assert "define" in lowered.llvm_ir()
    assert "gradopt_main" in lowered.asm()
    assert "test_api.py" in lowered.mlir(locations=True)
    memory = lowered.memory()
    assert (memory.arguments, memory.outputs) == (24, 24)
    assert memory.peak == 48 + memory.arena
    # Looking at stages does not change what is compiled.
    np.testing.assert_allclose(
        lowered.compile()(X), 2 * np.tanh(X) * (1 - np.tanh(X) ** 2), rtol=1e-13
    )


def test_threads_compile_and_call() -> None:
    compiled = go.compile_value_and_grad(lambda x: np.sum(np.exp(x)))
    wrong: list[Any] = []

    def work(seed: int) -> None:
        for size in (seed + 1, 5):
            x = np.linspace(0, 1, size)
            for _ in range(50):
                value, gradient = compiled(x)
                if not np.allclose(gradient, np.exp(x)) or not np.isclose(value, np.exp(x).sum()):
                    wrong.append((seed, size))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


KEPT_CODE_LIMIT = 32 << 20


@pytest.fixture
def no_kept_code() -> Iterator[None]:
    """Programs that were compiled before are compiled anew."""
    _gradopt.set_kept_code_limit(0)
    _gradopt.set_kept_code_limit(KEPT_CODE_LIMIT)
    yield
    _gradopt.set_kept_code_limit(KEPT_CODE_LIMIT)


@pytest.mark.usefixtures("no_kept_code")
def test_equal_programs_are_compiled_once() -> None:
    before = _compiler.programs_compiled()

    def compiled() -> int:
        return _compiler.programs_compiled() - before

    table = np.arange(20.0)
    factor = 2.0

    def f(x: Any) -> Any:
        return np.sum(np.sin(x) * table) * factor

    x = np.linspace(0, 1, 20)
    for _ in range(3):
        np.testing.assert_allclose(go.jvp(f, (x,), (x,))[1], np.sum(2 * np.cos(x) * table * x))
    assert compiled() == 1
    # What the function refers to is looked up anew: an array is an input of the program.
    table = np.ones(20) * np.arange(20.0) ** 2
    np.testing.assert_allclose(go.jvp(f, (x,), (x,))[1], np.sum(2 * np.cos(x) * table * x))
    assert compiled() == 1
    factor = 3.0
    np.testing.assert_allclose(go.jvp(f, (x,), (x,))[1], np.sum(3 * np.cos(x) * table * x))
    assert compiled() == 2
    for _ in range(3):
        np.testing.assert_allclose(go.grad(lambda v: f(v))(x), 3 * np.cos(x) * table)
    assert compiled() == 3
    go.compile(lambda v: f(v) + 1)(x)
    go.compile(lambda v: f(v) + 1, fast_math=True)(x)
    assert compiled() == 5
    sizes: list[int] = []
    _gradopt.set_kept_code_limit(40_000)
    for n in range(1, 50):
        go.compile(lambda v: v + 1)(np.ones(n))
        sizes.append(_gradopt.kept_code_bytes())
    assert compiled() == 54
    assert max(sizes) <= 40_000
    assert min(sizes[10:]) > 20_000
    go.compile(lambda v: v + 1)(np.ones(49))
    assert compiled() == 54
    go.compile(lambda v: v + 1)(np.ones(1))
    assert compiled() == 55


@pytest.mark.usefixtures("no_kept_code")
def test_threads_compile_an_equal_program_once() -> None:
    def f(x: Any) -> Any:
        for _ in range(40):
            x = np.sin(x) * np.arange(1.0, 4.0)
        return x

    before = _compiler.programs_compiled()
    together = threading.Barrier(4)

    def work(_: int) -> Any:
        compiled = go.compile(f)
        together.wait(60)
        return compiled(X)

    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        for got in executor.map(work, range(4)):
            np.testing.assert_allclose(got, f(X))
    assert _compiler.programs_compiled() == before + 1


def test_gradcheck_of_derivatives_traces_little() -> None:
    count = 0

    def f(x: Any) -> Any:
        nonlocal count
        count += 1
        return go.grad(lambda y: np.sum(np.sin(y) * x))(x)

    assert go.gradcheck(f, X)
    assert count < 10


def test_functions_are_freed() -> None:
    def make() -> weakref.ref[Any]:
        def f(x: Any) -> Any:
            return x * 2

        compiled = go.compile(f)
        compiled(X)
        return weakref.ref(f)

    reference = make()
    gc.collect()
    assert reference() is None


def test_namespace() -> None:
    gnp = go.numpy

    def f(x: Any) -> Any:
        return (
            gnp.array([x[0], 2.0]),
            gnp.asarray([[x[0]], [x[1]]]),
            gnp.full((2, 2), x[1]),
            gnp.stack([x[0], x[2]]),
            gnp.linspace(x[0], x[2], 5),
            gnp.sum([x[0], x[1]]),
            gnp.maximum([x[0], x[1]], 1.5),
            gnp.zeros(2),
            gnp.asarray(x),
            gnp.linalg.norm(x),
            gnp.pi,
        )

    expected = f(X)
    for a, e in zip(go.compile(f)(X), expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-14)
    assert "sin" in dir(gnp)
    with pytest.raises(AttributeError):
        _ = gnp.nothing


def test_tracing_is_fast() -> None:
    import time

    def model(p: Any, x: Any, y: Any) -> Any:
        h1 = np.tanh(x @ p["W"][0] + p["b"][0])
        h2 = np.tanh(h1 @ p["W"][1] + p["b"][1])
        yhat = h2 - np.log(np.sum(np.exp(h2), axis=1, keepdims=True))
        return -np.sum(yhat * y)

    p = {"W": [np.ones((64, 32)), np.ones((32, 10))], "b": [np.ones(32), np.ones(10)]}
    x, y = np.ones((100, 64)), np.ones((100, 10))
    compiled = go.compile_value_and_grad(model)
    compiled.lower(p, x, y)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        compiled.lower(p, x, y)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.01
