# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`match` on traced values."""

from __future__ import annotations

import numpy as np
import pytest

import gradopt as go
from gradopt.errors import BranchError

X = np.random.default_rng(3).normal(size=12)


def test_match_on_sequences() -> None:
    def f(x):
        t = 0.0
        for k in range(10):
            match (x[k % 3], x[1], k):
                case (a, 1.0, _) if a > 2:
                    t = t + a * 3
                case [a, b, int(n)] if a * n > b:
                    t = t + a * b
                case (a, *rest):
                    t = t - a + len(rest) * rest[0]
        match [x[0], "name"]:
            case [0.0 | 3.0 as v, str()]:
                t = t * 2 + v
            case [v]:
                t = t * 7
            case None:
                t = t * 11
            case _:
                t = t * 13
        return t

    for x in (np.array([3.0, 1.0, 2.0]), np.array([0.0, 1.5, 2.0]), np.array([0.5, 1.0, 2.5])):
        np.testing.assert_allclose(go.compile(f)(x), f(x), rtol=1e-13)


def test_match_looks_at_what_python_would() -> None:
    def kind(p):
        match p:
            case str() | bytes():
                return 1
            case [1, 2]:
                return 2
            case [x, *_, y] if x == y:
                return 3
            case [[x, 0], *rest] if rest:
                return 4
            case None | True:
                return 5
            case []:
                return 6
            case float(x) if x > 1:
                return 7
        return 8

    subjects = ["ab", [1, 2], (3, 0, 3), [(5, 0), 1], [(5, 0)], None, True, 1, [], 2.0, 0.5]
    for subject in (*subjects, np.ones(2), {1: 2}, range(2)):
        assert go.compile(lambda x, p=subject: x * kind(p))(1.0) == kind(subject)


def test_a_match_that_is_left_to_python_says_what_it_cannot() -> None:
    def f(x):
        match {"k": x}:
            case {"k": 1.0}:
                return x
        return -x

    with pytest.raises(BranchError):
        go.compile(f)(1.0)
