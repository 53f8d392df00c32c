# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What functions' parameters are called, by the reference of `inspect.signature`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest

import gradopt as go
from gradopt.base.parameters import Parameters, parameters


def _plain(a: Any, b: Any = 1) -> None: ...


def _all_kinds(a: Any, /, b: Any, *rest: Any, c: Any, d: Any = 2, **others: Any) -> None:
    e = a
    del e


def _named(*, c: Any) -> None: ...


def _none() -> None:
    a = 1
    del a


@functools.wraps(_all_kinds)
def _wrapper(*args: Any, **kwargs: Any) -> None: ...


def _declared(*args: Any) -> None: ...


_declared.__signature__ = inspect.signature(_plain)  # pyright: ignore[reportFunctionMemberAccess]


@functools.wraps(_declared)
def _wrapper_of_declared(*args: Any, **kwargs: Any) -> None: ...


class _Callable:
    def __call__(self, x: Any, *more: Any) -> None: ...

    def method(self, x: Any, *, y: Any) -> None: ...

    @functools.lru_cache  # noqa: B019
    def cached(self, x: Any) -> None: ...

    @functools.wraps(_wrapper)
    def wrapped(self, *args: Any) -> None: ...

    @classmethod
    def of_class(cls, x: Any) -> None: ...


CALLABLES: list[Callable[..., Any]] = [
    _plain,
    _all_kinds,
    _named,
    _none,
    _wrapper,
    _declared,
    _wrapper_of_declared,
    lambda x, *y: x,
    _Callable,
    _Callable(),
    _Callable().method,
    _Callable().cached,
    _Callable().wrapped,
    functools.wraps(_Callable().wrapped)(_plain),
    _Callable.of_class,
    functools.partial(_all_kinds, 1, c=3),
    functools.wraps(_plain)(functools.partial(_plain, 1)),
    functools.lru_cache(_plain),
    go.grad(_plain),
    go.compile(_all_kinds),
    len,
]


@pytest.mark.parametrize("function", CALLABLES)
def test_parameters_are_those_of_the_signature(function: Callable[..., Any]) -> None:
    kinds = inspect.Parameter
    by_kind: dict[Any, list[str]] = {}
    for parameter in inspect.signature(function).parameters.values():
        kind = parameter.kind
        if kind is kinds.POSITIONAL_ONLY:
            kind = kinds.POSITIONAL_OR_KEYWORD
        by_kind.setdefault(kind, []).append(parameter.name)
    (rest,) = by_kind.get(kinds.VAR_POSITIONAL, [None])
    (others,) = by_kind.get(kinds.VAR_KEYWORD, [None])
    assert parameters(function) == Parameters(
        tuple(by_kind.get(kinds.POSITIONAL_OR_KEYWORD, ())),
        tuple(by_kind.get(kinds.KEYWORD_ONLY, ())),
        rest,
        others,
    )


def test_callables_without_a_signature_have_no_known_parameters() -> None:
    def circular() -> None: ...

    circular.__wrapped__ = circular  # pyright: ignore[reportFunctionMemberAccess]
    assert parameters(circular) is None
    assert parameters(3) is None
