# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bad input: each case has its own exception, which names the argument path or the line."""

from __future__ import annotations

import functools
import math
import threading
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt import errors

X = np.array([1.0, 2.0, 3.0])


def raises(kind: type[Exception], *patterns: str) -> Any:
    class Check:
        def __enter__(self) -> None:
            self.context = pytest.raises(kind)
            self.info = self.context.__enter__()

        def __exit__(self, *args: Any) -> Any:
            result = self.context.__exit__(*args)
            text = str(self.info.value)
            for pattern in patterns:
                assert pattern in text
            return result

    return Check()


def test_unsupported_function_and_keyword() -> None:
    with raises(errors.UnsupportedError, "numpy.isnat", "np.isnat(x)", "^^^"):
        go.compile(lambda x: np.isnat(x))(X)
    with raises(errors.ConversionError, "result of numpy.add", "np.add(x, x, out="):
        go.compile(lambda x: np.add(x, x, out=np.zeros(3)), capture="trace")(X)
    with raises(errors.UnsupportedError, "numpy.is_busday"):
        go.compile(lambda x: np.is_busday(x))(X)
    with raises(errors.ConversionError, "result of numpy.sum", "gradopt.numpy.zeros"):
        go.compile(lambda x: np.sum(x, out=np.zeros(())), capture="trace")(X)
    with raises(errors.UnsupportedError, "where= of numpy.modf without out="):
        go.compile(lambda x: np.modf(x, where=np.array([True, False, True])))(X)
    with raises(errors.UnsupportedError, "numpy.isnat"):
        go.compile(lambda x: np.isnat(x))(X)
    with raises(errors.UnsupportedError, "ndarray.tobytes"):
        go.compile(lambda x: x.tobytes())(X)
    with pytest.raises(ValueError, match="either both or neither of x and y"):
        go.compile(lambda x: np.where(x, x))(X)
    assert issubclass(errors.UnsupportedError, NotImplementedError)


def test_concrete_arrays_cannot_be_changed() -> None:
    def accumulate(x: Any) -> Any:
        total = np.zeros(3)
        total += x
        return total

    with raises(errors.ConversionError, "a = a + b", "gradopt.numpy.zeros", "total += x"):
        go.compile(accumulate, capture="trace")(X)

    def fill(x: Any) -> Any:
        table = np.zeros((2, 3))
        table[0] = x
        return table

    with raises(errors.ConversionError, "assignment", "gradopt.numpy.zeros", "table[0] = x"):
        go.compile(fill, capture="trace")(X)


def test_branch() -> None:
    def f(x: Any) -> Any:
        if x[0] > 0:
            return x
        return -x

    with raises(errors.BranchError, "numpy.where", "if x[0] > 0:", "^^^^^^^^", "test_errors.py"):
        go.compile(f, capture="trace")(X)
    with raises(errors.BranchError, "numpy.any"):
        go.compile(lambda x: 1.0 in x, capture="trace")(X)


def test_conversions() -> None:
    for function, text in (
        (lambda x: math.sin(x[0]), "Python float"),
        (lambda x: float(x[0]), "Python float"),
        (lambda x: int(x[0]), "Python int"),
        (lambda x: np.asarray(x), "gradopt.numpy.array"),
        (lambda x: np.array([x[0], x[1]]), "gradopt.numpy.array"),
        (lambda x: [1, 2, 3][x[0].astype(int)], "index"),
        (lambda x: complex(x[0]), "Python complex"),
        (lambda x: f"{x[0]:.2f}", "formatted"),
        (lambda x: range(x[0].astype(int)), "index"),
        (lambda x: x.reshape(x[0].astype(int)), "size"),
    ):
        with raises(errors.ConversionError, text, "test_errors.py"):
            go.compile(function, capture="trace")(X)
    with raises(errors.UnsupportedError, "gradopt.numpy", "full"):
        go.compile(lambda x: np.full(3, x[0]), capture="trace")(X)


def test_leaks() -> None:
    kept: list[Any] = []

    def leak(x: Any) -> Any:
        kept.append(x * 2)
        return x

    go.compile(leak)(X)
    with raises(errors.LeakedTracerError, "float64[3]", "made at", "in test_leaks.leak"):
        go.compile(lambda x: x + kept[0])(X)
    with raises(errors.LeakedTracerError, "outside the trace"):
        kept[0] + 1
    with raises(errors.LeakedTracerError, "outside the trace"):
        go.compile(lambda x: x)(kept[0])

    def inner_leak(x: Any) -> Any:
        def loss(y: Any) -> Any:
            kept.append(y * 3)
            return np.sum(y)

        go.grad(loss)(x)
        return kept[-1]

    with raises(errors.LeakedTracerError, "in test_leaks.inner_leak.loss"):
        go.compile(inner_leak)(X)


def test_recursion() -> None:
    def f(x: Any) -> Any:
        return f(x - 1) + 1

    with raises(errors.TraceRecursionError, "f calls itself without end"):
        go.compile(f)(X)
    g = go.compile(lambda x: g(x))
    with raises(errors.TraceRecursionError, "itself"):
        g(X)

    def bounded(x: Any, n: int) -> Any:
        return x if n == 0 else np.sin(bounded(x, n - 1))

    np.testing.assert_allclose(
        go.compile(bounded, static_argnums=1)(X, 2), np.sin(np.sin(X)), rtol=1e-15
    )


def test_mutation() -> None:
    def assign(x: Any) -> Any:
        x[0] = 1
        return x

    with raises(errors.MutationError, "changes the argument x;", "x[0] = 1"):
        go.compile(assign, capture="trace")(X)

    def add(x: Any) -> Any:
        x += 1
        return x

    with raises(errors.MutationError, "changes the argument x;", "x += 1"):
        go.compile(add, capture="trace")(X)

    def subtract(x: Any) -> Any:
        x -= 1
        return x

    with raises(errors.MutationError, "in-place subtract", "x = x - y", "x -= 1"):
        go.compile(subtract, capture="trace")(X)

    def append(params: Any) -> Any:
        params["w"].append(params["w"][0])
        return params["w"][0]

    with raises(errors.MutationError, "append changes its arguments"):
        go.compile(append)({"w": [X]})

    def replace(params: Any) -> Any:
        params["w"] = params["w"] * 2
        return params["w"]

    with raises(errors.MutationError, "params['w']"):
        go.compile(replace)({"w": X})


def test_in_place_on_locals() -> None:
    def f(x: Any) -> Any:
        y = x * 2
        z = y
        y += 1
        s = np.sum(x)
        t = s
        t += 1.0
        return y, z, s, t

    for a, e in zip(go.compile(f)(X), f(X), strict=True):
        np.testing.assert_array_equal(a, e)

    def cast(i: Any) -> Any:
        j = i + 1
        j += 0.5
        return j

    with raises(errors.DTypeError, "Cannot cast ufunc 'add' output", "'same_kind'"):
        go.compile(cast)(np.arange(3))

    def grow(x: Any) -> Any:
        y = x + 1
        y += np.ones((2, 3))
        return y

    with raises(errors.ShapeError, "non-broadcastable"):
        go.compile(grow)(X)


def test_shapes_and_dtypes() -> None:
    with raises(errors.ShapeError, "could not be broadcast", "(3,) (2,)", "x + y"):
        go.compile(lambda x, y: x + y)(X, X[:2])
    with raises(errors.ShapeError, "matmul", "(3,)", "(2,)"):
        go.compile(lambda x, y: x @ y)(X, X[:2])
    with raises(errors.ShapeError, "axis 3 is out of bounds"):
        go.compile(lambda x: x.sum(3))(X)
    with raises(errors.ShapeError, "cannot reshape array of size 3"):
        go.compile(lambda x: x.reshape(2, 2))(X)
    with raises(errors.ShapeError, "zero-size array"):
        go.compile(lambda x: x.max())(X[:0])
    with raises(errors.DTypeError, "boolean subtract", "bitwise_xor"):
        go.compile(lambda x: (x > 1) - (x > 2))(X)
    with raises(errors.ShapeError, "ragged"):
        go.compile(lambda x: go.numpy.array([[x[0]], [x[0], x[1]]]))(X)
    with raises(OverflowError, "out of bounds"):
        go.compile(lambda i: i + 300)(np.array([1], np.int8))


@pytest.mark.parametrize(
    ("argument", "kind", "text"),
    [
        (np.array([1, None]), errors.ArgumentTypeError, "p['a'] is an array of objects"),
        ("text", errors.ArgumentTypeError, "p['a'] is of type str"),
        (object(), errors.ArgumentTypeError, "p['a'] is of type object"),
        (np.zeros(2, np.longdouble), errors.UnsupportedError, "p['a'] has dtype float128"),
        (np.zeros(2, np.clongdouble), errors.UnsupportedError, "p['a'] has dtype complex256"),
        (np.ma.masked_array([1.0]), errors.ArgumentTypeError, "MaskedArray"),
        (np.array(["x"]), errors.UnsupportedError, "dtype <U1"),
    ],
    ids=lambda v: str(v)[:20],
)
def test_arguments(argument: Any, kind: type[Exception], text: str) -> None:
    with raises(kind, text):
        go.compile(lambda p: p["a"])({"a": argument})


def test_static_arguments() -> None:
    f = go.compile(lambda x, mode: x if mode == "a" else -x, static_argnums=1)
    np.testing.assert_array_equal(f(X, "a"), X)
    np.testing.assert_array_equal(f(X, mode="b"), -X)
    with raises(errors.ArgumentTypeError, "static argument mode", "list", "not hashable"):
        f(X, ["a"])
    with raises(errors.ArgumentError, "no parameter 'nothing'"):
        go.compile(lambda x: x, static_argnames="nothing")
    with raises(errors.ArgumentError, "no positional parameter 3"):
        go.compile(lambda x: x, static_argnums=3)


def test_options() -> None:
    for device in ("gpu", "cuda:", "cuda:01", "cuda:-1", "CUDA", "cuda 0", ""):
        with raises(errors.ArgumentError, '"cpu", "cuda", or "cuda:N"', repr(device)):
            go.compile(lambda x: x, device=device)
    with raises(errors.ArgumentTypeError, "device must be a string, not 0"):
        go.compile(lambda x: x, device=0)
    with raises(errors.ArgumentTypeError, "no option 'fast'"):
        go.compile(lambda x: x, fast=True)
    with raises(errors.UnsupportedError, "num_threads=4"):
        go.compile(lambda x: x, num_threads=4)
    with raises(errors.ArgumentTypeError, "expected a function"):
        go.compile(3)  # pyright: ignore[reportArgumentType]


def test_gradients() -> None:
    with raises(errors.NonScalarLossError, "shape (3,)", "numpy.sum"):
        go.grad(lambda x: x)(X)
    with raises(errors.NonScalarLossError, "a tuple of 2", "has_aux=True"):
        go.grad(lambda x: (np.sum(x), x))(X)
    with raises(errors.NonScalarLossError, "float result, but it returned int64"):
        go.grad(lambda x: np.sum(x).astype(int))(X)
    with raises(errors.NonScalarLossError, "return statement"):
        go.grad(lambda x: None)(X)
    with raises(errors.ArgumentTypeError, "p['n']", "int64", "float"):
        go.grad(lambda p: np.sum(p["x"]))({"x": X, "n": np.arange(3)})
    with raises(errors.ArgumentTypeError, "respect to x of dtype int64"):
        go.compile_grad(lambda x: x * 1.0)(3)
    with raises(errors.ArgumentError, "argument 2", "1 positional argument"):
        go.grad(lambda x: np.sum(x), argnums=2)(X)
    with raises(errors.ArgumentError, "twice"):
        go.grad(lambda x, y: np.sum(x), argnums=(0, -2))(X, X)
    with raises(errors.ArgumentTypeError, "argnums"):
        go.grad(lambda x: x, argnums="0")  # pyright: ignore[reportArgumentType]
    with raises(errors.ArgumentError, "has_aux=True"):
        go.grad(lambda x: np.sum(x), has_aux=True)(X)
    with raises(errors.ArgumentError, "tangents[0]", "shape (2,)"):
        go.jvp(np.sin, (X,), (X[:2],))
    with raises(errors.ArgumentTypeError, "tangents[0]", "float32"):
        go.jvp(np.sin, (X,), (X.astype("f4"),))
    with raises(errors.ArgumentError, "tangents"):
        go.jvp(np.sin, (X,), (X, X))
    with raises(errors.ArgumentError, "keys"):
        go.jvp(lambda p: p["a"], ({"a": X},), ({"b": X},))
    with raises(errors.ArgumentError, "cotangent"):
        go.vjp(np.sin, X)[1](X[:1])
    with raises(errors.ArgumentTypeError, "primals[0] of dtype int64"):
        go.vjp(np.sin, 3)


def test_gradcheck_arguments() -> None:
    for keywords in ({"eps": float("nan")}, {"eps": -1.0}, {"rtol": float("nan")}, {"order": 0}):
        with pytest.raises(errors.ArgumentError, match=next(iter(keywords))):
            go.gradcheck(np.sin, (X,), **keywords)
    with raises(errors.ArgumentError, "no float argument"):
        go.gradcheck(np.sin, ())
    with raises(errors.ArgumentError, "modes"):
        go.gradcheck(np.sin, (X,), modes=("both",))


def test_results() -> None:
    with raises(errors.ArgumentTypeError, "result['s'] is of type str"):
        go.compile(lambda x: {"s": "text"})(X)
    with raises(errors.UnsupportedError, "dtype complex256"):
        go.compile(lambda x: X * np.clongdouble(1j))(X)


def test_frames_of_ours_are_hidden() -> None:
    try:
        go.compile(lambda x: np.isnat(x))(X)
    except errors.UnsupportedError as error:
        files = []
        traceback = error.__traceback__
        while traceback is not None:
            files.append(traceback.tb_frame.f_code.co_filename)
            traceback = traceback.tb_next
        assert sum("transforms.py" in name or "dispatch.py" in name for name in files) == 0
    else:
        raise AssertionError("no error")


def test_lowered_checks_its_signature() -> None:
    fixed = go.compile(lambda p: p["a"] * 2).lower({"a": X}).compile()
    np.testing.assert_array_equal(fixed({"a": X}), X * 2)
    with raises(errors.ArgumentError, "expected shape (3,) at p['a'], but got (2,)"):
        fixed({"a": X[:2]})
    with raises(errors.ArgumentTypeError, "expected dtype float64 at p['a'], but got int64"):
        fixed({"a": np.arange(3)})
    with raises(errors.ArgumentError, "keys"):
        fixed({"b": X})
    with raises(errors.ArgumentError, "expected dict at p"):
        fixed([X])
    with raises(errors.ArgumentError, "no stage 'nothing'"):
        go.compile(lambda x: x).lower(X).mlir("nothing")


def test_a_trace_belongs_to_its_thread() -> None:
    seen: list[Exception] = []

    def f(x: Any) -> Any:
        def work() -> None:
            try:
                x + 1
            except Exception as error:
                seen.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return x

    go.compile(f)(X)
    assert isinstance(seen[0], errors.LeakedTracerError)


def test_arguments_have_the_names_of_parameters() -> None:
    class Model:
        def loss(self, w: Any, *rest: Any, scale: Any = 1.0) -> Any:
            return np.sum(w) * scale

    loss, other = Model().loss, slice(1)
    named = functools.partial(lambda a, b, c: a, c=1)
    for call, name in (
        (lambda: go.compile(loss)(other), "w"),
        (lambda: go.compile(loss)(X, X, [X, other]), "rest[1][1]"),
        (lambda: go.compile(loss)(X, scale={"k": other}), "scale['k']"),
        (lambda: go.compile(named)(X, other), "b"),
        (lambda: go.compile(go.grad(loss))(other), "w"),
        (lambda: go.compile_value_and_grad(loss)(other), "w"),
        (lambda: go.grad(loss)(other), "w"),
        (lambda: go.compile(go.compile(loss))(other), "w"),
        (lambda: go.compile(dict)(other), "args[0]"),
        (lambda: go.gradcheck(loss, (X, other)), "rest[0]"),
        (lambda: go.jvp(loss, (other,), (X,)), "primals[0]"),
        (lambda: go.jvp(loss, (X,), (other,)), "tangents[0]"),
        (lambda: go.vjp(loss, other), "primals[0]"),
    ):
        with pytest.raises(errors.ArgumentTypeError) as info:
            call()
        assert str(info.value).startswith(f"{name} is of type slice"), str(info.value)
    with raises(errors.ArgumentTypeError, "w is of type str"):
        go.compile_grad(loss)("text")  # Texts are static, and have no derivatives.
    with raises(errors.ConversionError, "float64[3] (rest[0])"):
        go.compile(lambda w, *rest: float(rest[0]))(X, X)
    with raises(errors.ArgumentTypeError, "respect to w['n'] of dtype int64"):
        go.compile_grad(loss)({"n": np.arange(3)})
    with raises(errors.ArgumentTypeError, "static argument rest[0]"):
        go.compile(loss, static_argnums=1)(X, [1])
    with raises(errors.ArgumentTypeError, "static argument scale"):
        go.compile(loss, static_argnames="scale")(X, scale=[1])
    with raises(errors.ArgumentError, "expected 1 positional arguments, but got 2"):
        go.compile(loss).lower(X).compile()(X, X)
    with raises(errors.ArgumentError, "expected keyword arguments ['scale'], but got []"):
        go.compile(loss).lower(X, scale=1.0).compile()(X)
