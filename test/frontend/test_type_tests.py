# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Code that asks for types takes the branch that it takes with NumPy's values."""

from __future__ import annotations

import copy
import functools
import numbers
import pickle
from collections.abc import Callable, Hashable, Iterable, Sequence, Sized
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt import errors

CLASSES: list[Any] = [
    np.ndarray, np.generic, np.number, np.floating, np.integer, np.bool_, np.float64, np.float32, np.int64,
    np.int32, float, int, bool, complex, str, list, tuple, dict, type(None), np.ma.MaskedArray, np.matrix,
    numbers.Number, numbers.Real, numbers.Integral, numbers.Complex,
]  # fmt: skip
X = np.array([[0.5, 1.5], [2.5, 3.5]])
ARGUMENTS: dict[str, Any] = {
    "array": X, "float32": X.astype("f4"), "integers": X.astype(int), "bools": X > 1, "one element": X[:1, 0],
    "0-d": np.array(1.5), "0-d int": np.array(3), "float64": np.float64(1.5), "float32 scalar": np.float32(1.5),
    "int64": np.int64(3), "int32": np.int32(3), "bool_": np.True_, "float": 1.5, "int": 3, "bool": True,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "itself": lambda x: x,
    "+": lambda x: x + 1,
    "unary": lambda x: abs(-1 * x),
    "compared": lambda x: x > 1,
    "times array": lambda x: x * np.ones(2),
    "times 0-d": lambda x: x * np.array(2.0),
    "exp": np.exp,
    "sum": np.sum,
    "mean": lambda x: np.mean(x),
    "max": np.max,
    "argmax": np.argmax,
    "all": np.all,
    "sum axis": lambda x: np.sum(x, axis=-1) if np.ndim(x) else x,
    "where": lambda x: np.where(x, x, 0),
    "clip": lambda x: np.clip(x, 0, 1),
    "reshape": lambda x: np.reshape(x, -1)[:1].reshape(()),
    "element": lambda x: np.ravel(x)[0],
    "element as array": lambda x: np.ravel(x)[0, ...],
    "squeeze": lambda x: np.squeeze(np.ravel(x)[:1]),
    "transpose": np.transpose,
    "copy": np.copy,
    "zeros_like": np.zeros_like,
    "dot": lambda x: np.dot(np.ravel(x), np.ravel(x)),
    "einsum": lambda x: np.einsum("i,i->", np.ravel(x), np.ravel(x)),
    "tensordot": lambda x: np.tensordot(np.ravel(x), np.ravel(x), 1),
    "stack": lambda x: np.stack([x, x]),
    "cumsum": np.cumsum,
    "trace": lambda x: np.trace(np.atleast_2d(x)),
    "norm": lambda x: np.linalg.norm(x),
    "square": np.square,
    "round": np.round,
    "take": lambda x: np.take(x, 0),
    "broadcast_to": lambda x: np.broadcast_to(np.sum(x), ()),
    "astype": lambda x: np.sum(x).astype("f4"),
    "ufunc of scalars": lambda x: np.add(np.sum(x), 1),
    "divided": lambda x: np.sum(x) / 2,
    "select": lambda x: np.select([np.sum(x) > 1], [np.sum(x)], 0),
    "kron": lambda x: np.kron(np.sum(x), 2.0),
    "vdot": lambda x: np.vdot(x, x),
    "inner": lambda x: np.inner(np.ravel(x), np.ravel(x)),
    "vecdot": lambda x: np.vecdot(np.ravel(x), np.ravel(x)),
    "matmul": lambda x: np.ravel(x) @ np.ravel(x),
    "multi_dot": lambda x: np.linalg.multi_dot([np.ravel(x), np.ravel(x)]),
    "einsum diagonal": lambda x: np.einsum("->", np.sum(x)),
    "nansum": np.nansum,
    "nanmean": np.nanmean,
    "average": np.average,
    "ptp": np.ptp,
    "count_nonzero": np.count_nonzero,
    "prod": np.prod,
    "var": np.var,
    "std": np.std,
    "any": np.any,
    "polyval": lambda x: np.polyval([1.0, 2.0], np.sum(x)),
    "polyval with it": lambda x: np.polyval(np.ravel(x), 2.0),
    "sinc": np.sinc,
    "nan_to_num": np.nan_to_num,
    "isclose": lambda x: np.isclose(x, 1),
    "allclose": lambda x: np.allclose(x, 1),
    "array_equal": lambda x: np.array_equal(x, x),
    "fix": np.fix,
    "real": np.real,
    "imag": np.imag,
    "isposinf": np.isposinf,
    "trapezoid": lambda x: np.trapezoid(np.ravel(x)),
    "full_like": lambda x: np.full_like(x, 1),
    "full_like of a scalar": lambda x: np.full_like(np.sum(x), 1),
    "ones_like of a scalar": lambda x: np.ones_like(np.sum(x)),
    "copy of a scalar": lambda x: np.sum(x).copy() if hasattr(np.sum(x), "copy") else x,
    "flip": lambda x: np.flip(x),
    "roll": lambda x: np.roll(x, 1),
    "swapaxes": lambda x: np.swapaxes(np.atleast_2d(x), 0, 1),
    "broadcast_arrays": lambda x: np.broadcast_arrays(np.sum(x), 1.0)[0],
    "T": lambda x: np.sum(x).T,
    "ravel of a scalar": lambda x: np.sum(x).ravel(),
    "reshape of a scalar": lambda x: np.sum(x).reshape(()),
    "squeeze of a scalar": lambda x: np.sum(x).squeeze(),
    "sum of a scalar": lambda x: np.sum(x).sum(),
    "scalar[()]": lambda x: np.sum(x)[()],
    "0-d[()]": lambda x: np.reshape(np.sum(x), ())[()],
    "scalar[...]": lambda x: np.sum(x)[...],
    "scalar[None]": lambda x: np.sum(x)[None],
    "positive": lambda x: +np.sum(x),
    "round()": lambda x: round(np.sum(x) * 1.0, 1),
    "divmod": lambda x: divmod(np.sum(x) * 1.0, 2)[0],
    "power": lambda x: np.sum(x) ** 2,
    "mask": lambda x: np.ravel(x)[np.ravel(np.ones(np.shape(x), bool))],
    "outer": lambda x: np.outer(x, x),
    "multiply.outer": lambda x: np.multiply.outer(np.sum(x), 2.0),
    "add.reduce": lambda x: np.add.reduce(np.ravel(x)),
    "linspace": lambda x: np.linspace(np.sum(x), 2.0, 3)[0],
    "diagonal": lambda x: np.diagonal(np.atleast_2d(x))[0],
    "iterated": lambda x: next(iter(np.ravel(x))),
    "apply to rows": lambda x: next(iter(np.atleast_2d(x))),
    "interp of masks": lambda x: np.logical_and(np.sum(x), True),
    "maximum": lambda x: np.maximum(np.sum(x), 0),
    "modf": lambda x: np.modf(np.sum(x) * 1.0)[1],
    "concatenate": lambda x: np.concatenate([np.ravel(x), np.ravel(x)])[0],
    "expand_dims": lambda x: np.expand_dims(np.sum(x), 0),
    "moveaxis": lambda x: np.moveaxis(np.atleast_2d(x), 0, 1),
    "item of where": lambda x: np.where(np.sum(x) > 0, np.sum(x), 0) + 1,
}  # fmt: skip


def answers(value: Any) -> list[Any]:
    """What type tests say."""
    tests = [isinstance(value, cls) for cls in CLASSES]
    dtype = np.result_type(value)
    return [
        *tests,
        np.isscalar(value),
        np.iterable(value),
        np.ndim(value),
        np.shape(value),
        np.size(value),
        np.iscomplexobj(value),
        np.isrealobj(value),
        np.issubdtype(dtype, np.floating),
        hasattr(value, "dtype") or isinstance(value, (int, float)),
        hasattr(value, "nothing"),
    ]


@pytest.mark.parametrize("argument", ARGUMENTS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_answers_are_numpys(name: str, argument: str) -> None:
    function, x = FUNCTIONS[name], ARGUMENTS[argument]
    seen: list[Any] = []

    def f(x: Any) -> Any:
        result = function(x)
        seen.append(answers(result))
        return result

    try:
        f(x)
    except (TypeError, AttributeError):
        return
    try:
        go.compile(f)(x)
    except errors.UnsupportedError:
        assert np.result_type(x).kind == "b"  # NumPy computes in half precision.
        return
    assert seen[1] == seen[0]
    if np.result_type(x).kind == "f" and seen[0][0] is False and name == "itself":
        go.grad(f)(x)
        assert seen[2] == seen[0]


def norm2(x: Any) -> Any:
    if not isinstance(x, np.ndarray):
        x = x * 100
    return np.sum(x**2)


@functools.singledispatch
def dispatched(x: Any) -> Any:
    raise AssertionError("no class of NumPy")


@dispatched.register
def _(x: np.ndarray) -> Any:
    return 2 * x


@dispatched.register
def _(x: float) -> Any:
    return 3 * x


GUARDS: list[Callable[[Any], Any]] = [
    norm2,
    lambda x: 2 * x if np.isscalar(x) else 100 * x,
    lambda x: 2 * x if isinstance(x, (int, float)) else 100 * x,
    lambda x: 2 * x if isinstance(x, numbers.Real) else 100 * x,
    lambda x: np.sum(x) if isinstance(x, np.ndarray) else 3 * x,
    lambda x: x.__array_namespace__().exp(x) if hasattr(x, "__array_namespace__") else x * 7,
    dispatched,
]


@pytest.mark.parametrize("x", [1.5, np.float64(1.5), np.array(1.5), np.ones(2), X], ids=repr)
@pytest.mark.parametrize("guard", range(len(GUARDS)))
def test_guards_take_the_same_branch(guard: int, x: Any) -> None:
    function = GUARDS[guard]
    expected = function(x)
    np.testing.assert_allclose(go.compile(function)(x), expected, rtol=1e-14)

    def loss(x: Any) -> Any:
        return np.sum(function(x))

    assert go.gradcheck(loss, x)


def test_scalars_and_arrays_without_dimensions_are_told_apart() -> None:
    f = go.compile(lambda x: x * (2 if isinstance(x, np.ndarray) else 3))
    assert (f(np.float64(1)), f(np.array(1.0)), f(1.0)) == (3, 2, 3)
    assert (f(np.float64(1)), f(np.array(1.0)), f(1.0)) == (3, 2, 3)
    assert f.cache_size() == 3
    with pytest.raises(errors.MutationError, match="the argument x"):
        go.compile(lambda x: x.__iadd__(1), capture="trace")(np.array(1.0))
    assert go.compile(lambda x: x.__iadd__(1))(np.float64(1)) == 2


def test_what_cannot_be_answered_is_refused() -> None:
    for name in (
        "__array_interface__",
        "__array_struct__",
        "__dlpack__",
        "flags",
        "strides",
        "base",
    ):
        assert hasattr(X, name)
        with pytest.raises(errors.GradoptError):
            go.compile(lambda x, name=name: x if hasattr(x, name) else -x, capture="trace")(X)
        compiled = go.compile(lambda x, name=name: x if hasattr(x, name) else -x)
        np.testing.assert_array_equal(compiled(X), X)
    np.testing.assert_array_equal(go.compile(lambda x: copy.copy(x))(X), X)
    with pytest.raises(errors.ConversionError, match="pickle the result"):
        go.compile(lambda x: pickle.dumps(x))(X)


QUESTIONS: list[Callable[[Any], Any]] = [
    lambda x: type(x) is np.ndarray,
    lambda x: type(x) is np.float64,
    lambda x: type(x) is float,
    lambda x: type(x) in (int, bool),
    lambda x: type(x).__name__ == "ndarray",
    lambda x: issubclass(type(x), np.floating),
    lambda x: type(x + 1) is type(x),
    lambda x: isinstance(x, Iterable),
    lambda x: isinstance(x, (Sized, str)),
    lambda x: isinstance(x, Hashable),
    lambda x: isinstance(x, Sequence),
    lambda x: hasattr(x, "__len__"),
    lambda x: hasattr(x, "__iter__"),
    lambda x: hasattr(x, "shape"),
    lambda x: hasattr(x, "is_integer"),
    lambda x: hasattr(x, "strides"),
    lambda x: hasattr(x, "no_such_thing"),
    lambda x: getattr(x, "__len__", None) is None,
    lambda x: getattr(x, "shape", "none") == "none",
    lambda x: callable(x),
    lambda x: np.isscalar(x),
    lambda x: np.iterable(x),
]


@pytest.mark.parametrize("argument", ARGUMENTS)
@pytest.mark.parametrize("question", range(len(QUESTIONS)))
def test_questions_about_classes_have_the_answers_of_numpy(question: int, argument: str) -> None:
    asks, x = QUESTIONS[question], ARGUMENTS[argument]
    assert go.compile(lambda x: x * 0 + (1 if asks(x) else 2))(x).max() == (1 if asks(x) else 2)
