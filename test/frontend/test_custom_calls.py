# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`custom_call`: native functions that the user brings."""

from __future__ import annotations

import ctypes
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runtime.c_compiler import compile_c

import gradopt as go
from gradopt import errors

X = np.array([0.3, -0.7, 1.2])
HERE = Path(__file__).parent
RUNTIME = HERE.parent.parent / "runtime"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("native") / "native_functions.so"
    flags = ["-O1", "-shared", "-fPIC", f"-I{RUNTIME}", "-o", str(path)]
    compile_c(HERE / "native_functions.c", *flags, "-lm")
    return path


@pytest.fixture
def sine(library: Path) -> Callable[..., Any]:
    return go.custom_call("sine", library, lambda x: x)


# -- Values ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3, 4)])
def test_values(sine: Any, dtype: str, shape: tuple[int, ...]) -> None:
    x = np.linspace(-3, 3, int(np.prod(shape))).reshape(shape).astype(dtype)
    want = np.sin(x.astype("f8")).astype(dtype)
    np.testing.assert_allclose(go.compile(lambda x: sine(x))(x), want, rtol=1e-15)
    np.testing.assert_allclose(sine(x), want, rtol=1e-15)
    np.testing.assert_allclose(go.compile(lambda x: sine(x.T * 2))(x), np.sin(2 * x.T), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["?", "i1", "i2", "i4", "i8", "f4", "f8"])
def test_the_function_knows_types_and_shapes(library: Path, dtype: str) -> None:
    describe = go.custom_call("describe", library, go.ShapeDtypeStruct(4, np.int64))
    number = ["?", "i1", "i2", "i4", "i8", "f4", "f8"].index(dtype)
    got = go.compile(lambda x: describe(x))(np.ones((5, 7), dtype))
    np.testing.assert_array_equal(got, [2, number, 5, 7])


def test_several_arguments_and_results(library: Path) -> None:
    f = go.custom_call(
        "scale_and_sum",
        str(library),
        lambda x, s: {"scaled": x, "sum": go.ShapeDtypeStruct((), np.float64)},
    )
    got = go.compile(lambda x: f(x, 3.0))(X)
    np.testing.assert_allclose(got["scaled"], 3 * X)
    np.testing.assert_allclose(got["sum"], np.sum(X))


def test_libraries(library: Path, sine: Any) -> None:
    loaded = ctypes.CDLL(str(library))
    for given in (loaded, str(library), library):
        f = go.custom_call("sine", given, lambda x: x)
        np.testing.assert_allclose(f(X), np.sin(X))
        np.testing.assert_allclose(
            pickle.loads(pickle.dumps(go.custom_call("sine", given, X)))(X), np.sin(X)
        )


def test_same_name_in_two_libraries(library: Path, tmp_path: Path) -> None:
    source = tmp_path / "other.c"
    source.write_text(
        '#include "gradopt_runtime.h"\n'
        "int32_t sine(const gradopt_buffer *in, const gradopt_buffer *out) {\n"
        "  *(double *)out->data = -*(const double *)in->data;\n  return 0;\n}\n"
    )
    other = tmp_path / "other.so"
    compile_c(source, "-shared", "-fPIC", f"-I{RUNTIME}", "-o", str(other))
    one, two = (go.custom_call("sine", path, lambda x: x) for path in (library, other))
    np.testing.assert_allclose(go.compile(lambda x: (one(x), two(x)))(0.5), (np.sin(0.5), -0.5))


def test_loops_and_branches(sine: Any) -> None:
    def f(x: Any, n: Any) -> Any:
        y = go.fori_loop(0, n, lambda i, v: sine(v) + i, x)
        return go.cond(n > 2, sine, lambda v: v, y)

    for n in range(5):
        want = X
        for i in range(n):
            want = np.sin(want) + i
        np.testing.assert_allclose(go.compile(f)(X, n), np.sin(want) if n > 2 else want)


def test_it_runs_without_the_gil(sine: Any) -> None:
    x = np.linspace(0, 1, 200_000)
    f = go.compile(lambda x: sine(x))
    want = f(x)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(f(x))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for got in found:
        np.testing.assert_array_equal(got, want)


# -- vmap ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [None, "sequential", "broadcast_all", "expand_dims"])
def test_vmap(library: Path, method: str | None) -> None:
    f = go.custom_call(
        "scale_and_sum",
        library,
        lambda x, s: (x, go.ShapeDtypeStruct((), np.float64)),
        vmap_method=method,
    )
    xs = np.arange(12.0).reshape(4, 3)
    scaled, sums = go.vmap(f, in_axes=(0, None))(xs, 2.0)
    np.testing.assert_array_equal(scaled, 2 * xs)
    np.testing.assert_array_equal(sums, xs.sum(1))
    scaled, sums = go.compile(go.vmap(f, in_axes=(1, 0), out_axes=(1, 0)))(xs, np.arange(3.0))
    np.testing.assert_array_equal(scaled, xs * np.arange(3.0))
    np.testing.assert_array_equal(sums, xs.sum(0))


# -- Derivatives -----------------------------------------------------------------------------


@pytest.fixture
def ruled(library: Path) -> Any:
    """The sine with rules of both kinds, each in terms of functions with rules."""
    sine = go.custom_vjp(go.custom_call("sine", library, lambda x: x))
    cosine = go.custom_vjp(go.custom_call("cosine", library, lambda x: x))
    sine.defvjp(lambda x: (sine(x), x), lambda x, g: (g * cosine(x),))
    cosine.defvjp(lambda x: (cosine(x), x), lambda x, g: (-g * sine(x),))
    return sine


def test_derivatives_of_any_order(ruled: Any) -> None:
    def f(x: Any) -> Any:
        return np.sum(ruled(x) ** 2)

    np.testing.assert_allclose(go.grad(f)(X), np.sin(2 * X), rtol=1e-14)
    np.testing.assert_allclose(go.hessian(f)(X), np.diag(2 * np.cos(2 * X)), atol=1e-14)
    third = go.grad(lambda x: np.sum(go.grad(lambda y: np.sum(go.grad(f)(y)))(x)))(X)
    np.testing.assert_allclose(third, -4 * np.sin(2 * X), rtol=1e-13)
    np.testing.assert_allclose(go.jvp(ruled, (X,), (X,))[1], np.cos(X) * X, rtol=1e-14)
    np.testing.assert_allclose(go.vmap(go.grad(ruled))(X), np.cos(X), rtol=1e-14)
    go.check_custom(ruled, X)


def test_derivatives_of_loops(ruled: Any) -> None:
    def total(function: Any) -> Any:
        return lambda x: np.sum(go.fori_loop(0, 5, lambda i, v: function(v) * 1.5, x))

    np.testing.assert_allclose(go.grad(total(ruled))(X), go.grad(total(np.sin))(X), rtol=1e-13)


def test_no_derivative_without_a_rule(sine: Any) -> None:
    def total(x: Any) -> Any:
        return np.sum(sine(x))

    with pytest.raises(errors.CompilerError, match=r'"sine" has no derivative.*custom_vjp') as info:
        go.compile_grad(total)(X)
    assert info.value.location is not None
    assert "sine(x)" in info.value.location.show()


# -- Errors ----------------------------------------------------------------------------------


def test_missing_libraries_and_functions(library: Path) -> None:
    with pytest.raises(errors.ForeignCodeError, match=r"library of .*'sine'.*no_such\.so") as info:
        go.custom_call("sine", "./no_such.so", X)
    assert info.value.location is not None
    assert info.value.location.file == __file__
    with pytest.raises(errors.ForeignCodeError, match=r"native_functions\.so has no .*'nothing'"):
        go.custom_call("nothing", library, X)
    with pytest.raises(
        errors.ForeignCodeError, match="the process has no function 'nothing_at_all'"
    ):
        go.custom_call("nothing_at_all", None, X)
    with pytest.raises(errors.ArgumentTypeError, match="library must be a path"):
        go.custom_call("sine", 3.5, X)  # pyright: ignore[reportArgumentType]
    with pytest.raises(errors.ArgumentTypeError, match="ShapeDtypeStruct at result_shape_dtypes"):
        go.custom_call("sine", library, "f8")
    with pytest.raises(errors.ArgumentError, match="vmap_method must be one of"):
        go.custom_call("sine", library, X, vmap_method="fast")


def test_a_failure_ends_the_run(library: Path) -> None:
    check = go.custom_call("fail_above_one", library, lambda x: x)
    f = go.compile(lambda x: go.while_loop(lambda v: v > 0, check, x))
    for _ in range(2):
        with pytest.raises(errors.ForeignCodeError, match=r"'fail_above_one' failed.* 42") as info:
            f(0.1)
        assert info.value.location is not None
        assert "go.while_loop" in info.value.location.show()
    assert f(-1.0) == -1.0
    # In a callback, the failure is the inner call's.
    outer = go.compile(lambda x: go.pure_callback(lambda v: f(v), x, x))
    with pytest.raises(errors.ForeignCodeError):
        outer(0.1)
    assert outer(-1.0) == -1.0
