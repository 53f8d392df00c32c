# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled functions and errors that go to other processes, or are copied."""

from __future__ import annotations

import concurrent.futures
import copy
import inspect
import multiprocessing
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt import errors
from gradopt.errors import SourceLocation

X = np.arange(3.0)


# -- Functions -------------------------------------------------------------------------------


def plain(x: Any) -> Any:
    return np.sum(x * 2)


@go.compile
def decorated(x: Any) -> Any:
    return x * 3


@go.grad
def gradient(x: Any) -> Any:
    return np.sum(x * x)


class Model:
    scale = 2.0

    @staticmethod
    @go.compile
    def static(x: Any) -> Any:
        return x + 1

    @go.compile
    def method(self: Any, x: Any) -> Any:
        return x

    @staticmethod
    @go.grad
    def slope(x: Any) -> Any:
        return np.sum(np.sin(x))

    class Layer:
        @staticmethod
        @go.compile_value_and_grad
        def loss(x: Any) -> Any:
            return np.sum(x**2)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "function",
    [decorated, gradient, Model.static, Model.method, Model.slope, Model.Layer.loss],
    ids=lambda function: function.__qualname__,
)
def test_functions_pickle_by_qualified_name(function: Any, protocol: int) -> None:
    assert pickle.loads(pickle.dumps(function, protocol)) is function
    assert copy.copy(function) is function
    assert copy.deepcopy([function])[0] is function


def test_bound_methods_pickle_with_their_object() -> None:
    bound = pickle.loads(pickle.dumps(Model().method))
    assert type(bound.__self__) is Model
    assert bound.__func__ is Model.method


def test_functions_elsewhere_pickle_by_what_they_were_made_from() -> None:
    compiled = go.compile(plain, fast_math=True)
    assert copy.copy(compiled) is compiled
    again = pickle.loads(pickle.dumps(compiled))
    assert again(X) == 6
    assert again.options == compiled.options
    makers: list[tuple[Callable[..., Any], Any]] = [
        (go.grad, 2 * np.ones(3)),
        (go.compile_grad, 2 * np.ones(3)),
        (go.value_and_grad, (6, 2 * np.ones(3))),
        (go.compile_value_and_grad, (6, 2 * np.ones(3))),
    ]
    for make, expected in makers:
        made = make(plain)
        for _ in range(2):  # Before and after it was compiled.
            got = pickle.loads(pickle.dumps(made))(X)
            assert type(got) is type(expected)
            np.testing.assert_array_equal(np.hstack(got), np.hstack(expected))
            made(X)
    pair = pickle.loads(pickle.dumps(go.grad(plain, (0,))))(X)
    assert type(pair) is tuple


def test_a_local_function_cannot_be_pickled() -> None:
    with pytest.raises((AttributeError, pickle.PicklingError), match=r"local|lambda"):
        pickle.dumps(go.compile(lambda x: x))


# -- Errors ----------------------------------------------------------------------------------

PLACE = SourceLocation("user.py", 3, 4, 9, "f")
OTHER_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "GradientCheckError": ("args[0]", (1, 2), 0.5, 0.25),
    "CompilerError": (PLACE, ["error: x"]),
}
ERRORS = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, errors.GradoptError)
]


@pytest.mark.parametrize("cls", ERRORS)
@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))]
)
def test_errors_keep_their_state(cls: Any, duplicate: Callable[[Any], Any]) -> None:
    error = cls("what is wrong", *OTHER_ARGUMENTS.get(cls.__name__, (PLACE,)))
    error.noted = "by the user"
    again = duplicate(error)
    assert type(again) is cls
    assert vars(again) == vars(error)
    assert again.args == error.args
    assert str(again) == str(error)


def fails_the_check(_: Any) -> None:
    go.gradcheck(lambda x: np.sum(go.stop_gradient(x) * x), (np.ones(2),))


def does_not_compile(_: Any) -> None:
    go.compile(lambda x: float(x))(X)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_errors_and_functions_cross_processes(method: str) -> None:
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(1, context) as executor:
        with pytest.raises(go.errors.GradientCheckError) as caught:
            executor.submit(fails_the_check, 0).result(timeout=120)
        assert caught.value.path == "x"
        assert caught.value.numeric != caught.value.analytic
        with pytest.raises(go.errors.ConversionError, match=r"test_pickling\.py"):
            executor.submit(does_not_compile, 0).result(timeout=120)
        assert executor.submit(Model.static, 1.0).result(timeout=120) == 2
    with context.Pool(1) as pool:
        with pytest.raises(go.errors.GradientCheckError):
            pool.map_async(fails_the_check, [0]).get(timeout=120)
        (got,) = pool.map_async(go.compile_grad(plain), [X]).get(timeout=120)
        np.testing.assert_array_equal(got, 2 * np.ones(3))
