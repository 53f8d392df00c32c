# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""More bad input: what newcomers do, and what they are told."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt import errors
from gradopt.ir.current import current_scope

X = np.array([1.0, 2.0, 3.0])


def _generator(x: Any) -> Any:
    yield x


async def _coroutine(x: Any) -> Any:
    return x


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda x: (x, "done"), "result[1] is of type str"),
        (lambda x: {1}, "may return arrays, numbers and pytrees"),
        (_generator, "_generator must be a plain function"),
        (_coroutine, "_coroutine must be a plain function"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_results_that_are_no_arrays(function: Any, text: str) -> None:
    for transformed in (function, lambda x: go.jvp(function, (x,), (x,))):
        with pytest.raises(errors.ArgumentTypeError) as info:
            go.compile(transformed)(X)
        assert text in str(info.value)
        assert "static" not in str(info.value)
        assert info.value.location is not None
        assert info.value.location.file == __file__
    with pytest.raises(errors.ArgumentTypeError, match="aux is of type str"):
        go.compile_grad(lambda x: (x.sum(), "log"), has_aux=True)(X)
    with pytest.raises(errors.UnsupportedError, match="float128") as other:
        go.compile(lambda x: np.arange(3, dtype=np.longdouble))(X)
    assert other.value.location is not None


def test_elements_of_concrete_arrays() -> None:
    def fill(x: Any) -> Any:
        table = np.zeros(3)
        for i in range(3):
            table[i] = x[i] ** 2
        return table

    with pytest.raises(errors.ConversionError, match=r"assignment.*gradopt\.numpy\.zeros") as info:
        go.compile(fill, capture="trace")(X)
    assert info.value.location is not None
    assert "table[i] = x[i] ** 2" in str(info.value)
    with pytest.raises(errors.ConversionError, match=r"gradopt\.numpy\.take"):
        go.compile(lambda i: np.eye(3)[i], capture="trace")(np.array([0, 2]))
    with pytest.raises(ValueError, match="user"):
        go.compile(_raise_value_error)(X)


def _raise_value_error(x: Any) -> Any:
    raise ValueError("user")


def test_masked_quotients() -> None:
    x = np.array([0.0, 2.0, 4.0])

    def f(x):
        return np.divide(1, x, where=x != 0)

    # NumPy leaves the first one undefined.
    np.testing.assert_array_equal(go.compile(f)(x)[1:], [0.5, 0.25])
    gradient = go.compile_grad(lambda x: np.sum(f(x)))(x)
    np.testing.assert_array_equal(gradient, [0, -0.25, -0.0625])
    small = np.arange(3, dtype=np.int8)
    got = go.compile(np.sin)(small)
    assert got.dtype == np.float16
    np.testing.assert_array_equal(got, np.sin(small))


def test_unsupported_functions_come_with_advice() -> None:
    for function, text in (
        (lambda x: x.tobytes(), r"ndarray\.tobytes .*: return the array"),
        (lambda x: np.isnat(x), "before the call"),
    ):
        with pytest.raises(errors.UnsupportedError, match=text) as info:
            go.compile(function)(X)
        assert info.value.location is not None


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda x: np.convolve(x, x, mode="no"), errors.UnsupportedError),
        (lambda x: np.meshgrid(x, x, indexing="no"), errors.UnsupportedError),
        (lambda x: np.pad(x[:0], 1, mode="edge"), errors.ShapeError),
        (lambda x: np.repeat(x, -1), errors.ShapeError),
        (lambda x: np.vander(x, -1), errors.ShapeError),
        (lambda x: np.diff(x, n=-1), errors.ShapeError),
        (lambda x: np.linspace(0, x, -1), errors.ShapeError),
        (lambda x: np.vecdot(x[0], x[1]), errors.ShapeError),
        (lambda x: np.sum(x, initial=x), errors.ShapeError),
        (lambda x: np.select([x > 0], [x, x]), errors.ShapeError),
        (lambda x: np.select([x], [x]), errors.DTypeError),
        (lambda x: np.sum(x, axis="a"), TypeError),
        (lambda x: x.astype(float, no=True), TypeError),
        (lambda x: round(x), TypeError),
    ],
)
def test_wrong_keywords(function: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        go.compile(function)(X)


def test_arguments_of_transforms() -> None:
    no_function: Any = 3
    for call in (
        lambda: go.jvp(no_function, (X,), (X,)),
        lambda: go.vjp(no_function, X),
        lambda: go.gradcheck(no_function, X),
        lambda: go.grad(no_function),
        lambda: go.compile(no_function),
    ):
        with pytest.raises(errors.ArgumentTypeError, match="expected a function"):
            call()
    _, pullback = go.vjp(lambda x: {"a": x}, X)
    for wrong in ("text", np.array([1, None, 2])):
        with pytest.raises(errors.ArgumentTypeError, match=r"cotangent\['a'\] is"):
            pullback({"a": wrong})
    np.testing.assert_array_equal(go.compile(lambda c: pullback({"a": c})[0])(X), X)
    for options, text in (
        ({"static_argnums": "x"}, "static_argnums must be ints"),
        ({"static_argnames": 1.5}, "static_argnames must be strings"),
        ({"fast_math": "yes"}, "fast_math must be a bool"),
    ):
        with pytest.raises(errors.ArgumentTypeError, match=text):
            go.compile(lambda x: x, **options)
    wrong_call: Any = go.grad(np.sum)
    with pytest.raises(errors.ArgumentError, match="by position"):
        wrong_call(a=X)
    lowered = go.compile(lambda x, n: x * n, static_argnums=1).lower(X, 2)
    with pytest.raises(errors.ArgumentError, match=r"expected static 2 at n"):
        lowered.compile()(X, 3)


def test_arguments_of_gradcheck() -> None:
    number: Any = "1e-3"
    for options in ({"eps": number}, {"order": "2"}, {"argnums": "x"}, {"argnums": (0, "x")}):
        with pytest.raises(errors.ArgumentError, match=str(next(iter(options)))):
            go.gradcheck(np.sin, X, **options)
    with pytest.raises(errors.ArgumentError, match=r"v\[1\] is nan"):
        go.gradcheck(lambda v: np.sin(v), np.array([1.0, np.nan]))
    with pytest.raises(errors.ArgumentError, match="v is inf"):
        go.gradcheck(lambda v: np.sin(v), np.inf)


def test_leaked_arrays_say_so() -> None:
    kept: list[Any] = []
    go.compile(lambda x: kept.append(x) or x)(X)
    for use in (bool, np.array, lambda x: go.jvp(np.sin, (x,), (X,)), lambda x: float(x[0])):
        with pytest.raises(errors.LeakedTracerError):
            use(kept[0])


# -- Containers --------------------------------------------------------------------------------


def test_pytree_data_must_be_hashable() -> None:
    class Box:
        pass

    go.register_pytree(Box, lambda box: ((X,), [1]), lambda data, children: Box())
    with pytest.raises(errors.ArgumentTypeError, match=r"Box .* not hashable"):
        go.compile(lambda box: 1.0)(Box())


def test_interrupts_leave_no_trace_open() -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    function = go.compile_grad(lambda x: np.sum(np.tanh(x) ** 2))
    function.lower(X)
    start = time.perf_counter()
    function.lower(X)
    duration = time.perf_counter() - start
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for k in range(1000):
            try:
                signal.setitimer(signal.ITIMER_REAL, duration * (0.02 + 0.0011 * k))
                function.lower(X)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                pass
            assert current_scope() is None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    np.testing.assert_allclose(function(X), 2 * np.tanh(X) / np.cosh(X) ** 2)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("sum", {"axis": 1.0}),
        ("argmax", {"axis": (0, 1)}),
        ("reshape", {"shape": 2.5}),
        ("reshape", {"shape": (2.0, -1)}),
        ("expand_dims", {"axis": "a"}),
        ("linspace", {"stop": 1, "num": 2.5}),
        ("trace", {"offset": 0.5}),
    ],
)
def test_axes_and_sizes_are_integers(name: str, arguments: dict[str, Any]) -> None:
    def f(x: Any) -> Any:
        return getattr(np, name)(x, **arguments)

    x = np.ones((2, 2))
    with pytest.raises(TypeError):
        f(x)
    with pytest.raises(errors.IntegerError, match="as an integer") as info:
        go.compile(f)(x)
    assert info.value.location is not None
    assert info.value.location.file == __file__


def test_errors_of_axes_are_index_and_value_errors_as_numpys() -> None:
    for function in (lambda x: np.sum(x, axis=2), lambda x: np.expand_dims(x, -4)):
        with pytest.raises(np.exceptions.AxisError):
            function(X)
        for kind in (IndexError, ValueError):
            with pytest.raises(kind, match="out of bounds") as info:
                go.compile(function)(X)
            assert isinstance(info.value, errors.AxisError)


def test_type_errors_of_the_function_stay_as_they_are() -> None:
    with pytest.raises(TypeError, match="as an integer") as info:
        go.compile(lambda x: x[list(range(x.ndim / 2))])(X)
    assert not isinstance(info.value, errors.GradoptError)


def test_numbers_are_reduced_along_an_axis() -> None:
    for f in (np.sum, np.prod, np.max, np.min, np.any, np.all, np.ptp):
        for axis in (0, -1):
            assert go.compile(lambda x, f=f, axis=axis: f(x, axis=axis))(2.5) == f(2.5, axis=axis)
        with pytest.raises(errors.AxisError):
            go.compile(lambda x, f=f: f(x, axis=1))(2.5)


SCALAR = np.sum
WRONG_OPTIONS: dict[str, Callable[[], Any]] = {
    "has_aux": lambda: go.grad(SCALAR, has_aux=np.ones(2)),
    "has_aux of vjp": lambda: go.vjp(SCALAR, np.ones(2), has_aux=1),
    "has_aux of jvp": lambda: go.jvp(SCALAR, (np.ones(2),), (np.ones(2),), None),
    "has_aux of linearize": lambda: go.linearize(SCALAR, np.ones(2), has_aux="yes"),
    "has_aux of jacfwd": lambda: go.jacfwd(SCALAR, 0, None),
    "argnums": lambda: go.grad(SCALAR, "x"),
    "function": lambda: go.vmap(None),
    "policy": lambda: go.checkpoint(SCALAR, policy=np.ones(2)),
    "branches": lambda: go.switch(0, None, 1.0),
    "pred": lambda: go.cond([1.0, [2.0]], np.sin, np.cos, 1.0),
    "index": lambda: go.switch([1.0, [2.0]], [np.sin], 1.0),
    "upper": lambda: go.fori_loop(0, 2**70, lambda i, c: c, 1.0),
    "length": lambda: go.scan(lambda c, x: (c, x), 1.0, np.ones(3), length=np.ones(2)),
    "vmap_method": lambda: go.pure_callback(np.sin, 1.0, 1.0, vmap_method=np.ones(2)),
    "shape": lambda: go.ShapeDtypeStruct((2.5,), "f8"),
    "shape that is negative": lambda: go.ShapeDtypeStruct(-1, "f8"),
    "dtype": lambda: go.ShapeDtypeStruct(3, "text"),
    "modes": lambda: go.gradcheck(SCALAR, (np.ones(2),), modes=[["fwd"]]),
    "t": lambda: go.odeint(lambda y, t: -y, np.ones(2), [0.0, [1.0]]),
}


@pytest.mark.parametrize("name", WRONG_OPTIONS)
def test_wrong_options(name: str) -> None:
    call = WRONG_OPTIONS[name]
    with pytest.raises(go.errors.GradoptError) as info:
        call()
    assert name.split()[0] in info.value.message
    location = info.value.location
    assert location is not None
    assert (location.file, location.line) == (__file__, call.__code__.co_firstlineno)
