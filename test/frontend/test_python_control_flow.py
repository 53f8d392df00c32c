# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Python's own control flow on traced values, as NumPy runs it."""

from __future__ import annotations

import contextlib
import runpy
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from as_numpy import agrees, rolled

import gradopt as go
from gradopt.errors import BranchError, GradoptError, UnboundNameError, UnsupportedError

RNG = np.random.default_rng(3)
X = RNG.normal(size=12)
M = RNG.normal(size=(9, 9))
SPD = M @ M.T + 9 * np.eye(9)


# -- if ----------------------------------------------------------------------------------------


def test_if_and_else() -> None:
    def f(x):
        if x > 0:  # noqa: SIM108
            y = x * x
        else:
            y = -x
        return y

    agrees(f, 2.0)
    agrees(f, -2.0)


@pytest.mark.parametrize("x", [2.0, 0.7, 0.1])
def test_early_returns(x: float) -> None:
    def f(x):
        if x > 1:
            return x * 2
        if x > 0.5:
            return x * 3
        return x

    agrees(f, x)


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (1.0, -1.0), (-1.0, 2.0)])
def test_return_in_one_of_several_paths(a: float, b: float) -> None:
    def f(a, b):
        c = a * b
        if a > 0:
            if b > 0:
                return c**2
            c = c + 1
        c = c * 3
        return c

    agrees(f, a, b)


def test_nested_conditions_on_arrays() -> None:
    def f(x):
        y = np.zeros(3)
        if np.sum(x) > 0:
            y[0] = x[0]
            if x[1] > 0:
                y[1] = x[1] ** 2
        else:
            y += x[:3]
        return y

    agrees(f, X)
    agrees(f, -X)


def test_elif() -> None:
    def f(x):
        if x < -1:
            y = x
        elif x < 1:
            y = x**2
        else:
            y = x**3
        return y

    for x in (-2.0, 0.5, 3.0):
        agrees(f, x)


def test_python_numbers_stay_numbers_where_all_branches_agree() -> None:
    def f(x):
        n = 2 if x[0] > 0 else 2  # noqa: RUF034
        return np.zeros(n) + x[:n]

    agrees(f, X)


def test_conditional_expressions_and_logic() -> None:
    def f(x):
        a = x[0] if x[0] > x[1] else x[1]
        b = 2.0 if 0 < x[2] < 1 and not x[3] > 0 else 3.0
        c = 1.0 if x[4] > 0 or x[5] > 0 else 5.0
        return a * b + c * x[6]

    for seed in range(8):
        agrees(f, np.random.default_rng(seed).normal(size=7))


def test_second_operands_are_not_evaluated_in_vain() -> None:
    """The index is out of bounds where the first operand does not hold."""

    def f(x, i):
        if i < 3 and x[i] > 0:
            return x[0] * 2
        return x[0]

    x = np.array([1.0, 2.0, 3.0])
    assert go.compile(f)(x, 7) == 1.0
    assert go.compile(f)(x, 2) == 2.0


def test_raise_under_a_condition() -> None:
    def f(x):
        if x[0] > 1e6:
            raise ValueError("too large")
        return x * 2

    agrees(f, X)
    with pytest.raises(ValueError, match="too large"):
        go.compile(f)(X + 1e7)


def test_what_is_chosen_is_not_silently_a_copy() -> None:
    def f(x):
        a, b = x.copy(), x * 2
        c = a if x[0] > 0 else b
        c[0] = 1.0
        return a

    with pytest.raises(UnsupportedError, match="may share memory"):
        go.compile(f)(X)


# -- while -------------------------------------------------------------------------------------


def test_while_with_a_traced_condition() -> None:
    def f(x, n):
        s = 0
        while x < n:
            x = x * 2
            s += x
        return s

    agrees(f, 1.0, 100.0)


def test_while_true_with_break() -> None:
    def f(x):
        n = 0
        while True:
            x = x / 2
            n += 1
            if np.max(x) < 0.1:
                break
        return x * n

    agrees(f, np.abs(X))


def test_while_else_and_continue() -> None:
    def f(x):
        s, k = 0.0, 0
        while k < x[0]:
            k += 1
            if k == 2:
                continue
            s += x[1] * k
        else:
            s = s * 2
        return s

    agrees(f, np.array([5.5, 2.0]))


def test_insertion_sort() -> None:
    def f(x):
        y = x.copy()
        for i in range(1, 12):
            key = y[i]
            j = i - 1
            while j >= 0 and y[j] > key:
                y[j + 1] = y[j]
                j -= 1
            y[j + 1] = key
        return y * np.arange(12.0)

    assert rolled(agrees(f, X)) == [True, True]


# -- for ---------------------------------------------------------------------------------------


def test_a_sum_is_one_loop() -> None:
    def f(x):
        s = 0
        for i in range(len(x)):
            s = s + x[i] * i
        return s

    lowered = agrees(f, X)
    assert rolled(lowered) == [True]
    assert lowered.mlir("grad").count("scf.for") == 1


def test_short_loops_are_unrolled() -> None:
    def f(x):
        for _ in range(3):
            x = np.tanh(x)
        return x

    lowered = agrees(f, X)
    assert rolled(lowered) == [False]
    assert "3 iterations" in lowered.loops()[0].reason


@pytest.mark.parametrize("limit", [0.5, 3.0, 1e9])
def test_break_continue_return_and_else(limit: float) -> None:
    def f(x, limit):
        s = 0.0
        for i in range(12):
            if x[i] < -1:
                continue
            s += x[i] ** 2
            if s > limit:
                s = s * 5
                break
        else:
            s = s * 7
        for i in range(12):
            s += x[i]
            if s > 2 * limit:
                return s * 3
        return s

    agrees(f, X, limit)


def test_nested_loops_with_inner_bounds() -> None:
    def cholesky(A):
        n = A.shape[0]
        L = np.zeros((n, n))
        for i in range(n):
            for j in range(i):
                s = A[i, j]
                for k in range(j):
                    s -= L[i, k] * L[j, k]
                L[i, j] = s / L[j, j]
            s = A[i, i]
            for k in range(i):
                s -= L[i, k] ** 2
            L[i, i] = np.sqrt(s)
        return L

    assert all(rolled(agrees(cholesky, SPD)))


def test_steps_and_directions() -> None:
    def f(x):
        s = 0.0
        for i in range(11, -1, -1):
            s = s * 0.5 + x[i]
        for i in range(1, 12, 1):
            s = s + x[i] * x[i - 1]
        for i in range(0, 24, 2):
            s = s * 0.9 + i
        return s

    assert rolled(agrees(f, X)) == [True] * 3


def test_indices_that_are_known_to_be_in_bounds_are_not_checked() -> None:
    def f(x):
        s = 0.0
        for i in range(1, 11):
            s = s + x[i - 1] * x[i + 1]
        return s

    assert go.compile(f).lower(X).checks == ()


def test_indices_out_of_bounds_are_found() -> None:
    def f(x):
        s = 0.0
        for i in range(12):
            s = s + x[i + 1]
        return s

    with pytest.raises(IndexError, match="index 12 is out of bounds"):
        go.compile(f)(X)


def test_reversed_ranges_are_unrolled_where_they_must_be() -> None:
    def f(x, n):
        parts = [x[0]] * 9
        for i in reversed(range(9)):
            parts[i] = x[i] * i
        for i in reversed(range(n)):
            parts[i] = parts[i] * 2
        return np.stack(parts)

    x = np.linspace(0, 1, 9)
    np.testing.assert_allclose(go.compile(f)(x, 3), f(x, 3))


def test_what_an_else_changes_has_a_value_behind_the_loop() -> None:
    def f(x):
        for i, y in enumerate(x):  # noqa: B007
            pass
        else:
            y *= i
        return x

    x = np.linspace(0, 1, 9)
    np.testing.assert_array_equal(go.compile(f)(x), x)


def test_enumerate_zip_and_reversed() -> None:
    def f(A, x):
        s = np.zeros(9)
        for i, row in enumerate(A):
            s = s * 0.5 + row * i
        for a, b in zip(A, reversed(x), strict=False):
            s = s * a + b
        return s

    assert rolled(agrees(f, SPD / 20, X[:9])) == [True, True]


def test_the_counter_and_names_of_the_body_stay() -> None:
    def f(x):
        for i in range(12):
            last = x[i] * 2
        return last * i

    assert rolled(agrees(f, X)) == [True]


def test_a_traced_number_of_iterations() -> None:
    def f(x, y):
        n = np.argmax(y) + 1
        s = 0.0
        for i in range(n):
            s += x[i]
        return s

    compiled = go.compile(f)
    for place in (0, 5, 11):
        y = np.zeros(12)
        y[place] = 1
        np.testing.assert_allclose(compiled(X, y), f(X, y), rtol=1e-13)
        np.testing.assert_allclose(go.grad(f)(X, y), np.arange(12) <= place)


def test_no_iteration_leaves_names_without_a_value() -> None:
    def f(x, y):
        for i in range(np.argmax(y)):
            s = x[i]
        return s

    y = np.zeros(12)
    y[3] = 1
    assert go.compile(f)(X, y) == X[2]
    with pytest.raises(UnboundNameError, match="s has no value"):
        go.compile(f)(X, np.zeros(12))


def test_loops_that_cannot_be_rolled_say_why() -> None:
    def f(x):
        ys = set()
        for i in range(12):
            ys.add(i % 3)
        return x * len(ys)

    lowered = agrees(f, X)
    assert rolled(lowered) == [False]
    assert "a set" in lowered.loops()[0].reason
    assert lowered.loops()[0].place.line == f.__code__.co_firstlineno + 2


def test_a_loop_over_a_list_that_a_traced_condition_leaves() -> None:
    def f(x):
        y = x.copy()
        for i in [0, 1, 2]:
            if x[3] > 0 and x[i] < -1:
                break
            if y[i] > 1:
                continue
            y[1] += x[i]
        else:
            y[2] = 7.0
        return y

    for seed in range(6):
        agrees(f, 2 * np.random.default_rng(seed).normal(size=4))


def test_effects_happen_as_often_as_in_python() -> None:
    seen = []

    def f(x):
        for i in range(12):
            seen.append(i)
            x = x * 2
        return x

    go.compile(f).lower(X)
    assert seen == list(range(12))


def test_effects_in_functions_and_of_operators() -> None:
    seen: list[int] = []

    def log(x):
        seen.append(1)
        return x

    def f(x):
        found = []
        numbers = iter(range(100))
        for _ in range(12):
            x = log(x) * 2
        for i in range(12):
            found += [x[i]]
        for _ in range(12):
            for n in numbers:
                x = x + n
                break
        return np.stack(found) + x

    agrees(f, X, derivative=False)
    seen.clear()
    lowered = go.compile(f).lower(X)
    assert len(seen) == 12
    assert rolled(lowered)[:3] == [False, False, False]


def test_effects_under_a_traced_condition_are_refused() -> None:
    seen = []

    def f(x):
        if x[0] > 0:
            seen.append(1)
        return x

    with pytest.raises(UnsupportedError, match="a list from outside"):
        go.compile(f)(X)
    assert seen == []


# -- In place ----------------------------------------------------------------------------------


def test_elements_of_arrays_made_inside() -> None:
    def f(x):
        y = np.zeros(12)
        y[0] = x[0]
        for i in range(1, 12):
            y[i] = 0.5 * y[i - 1] + x[i]
        return y

    assert rolled(agrees(f, X)) == [True]


def test_rows_are_changed_in_place() -> None:
    def f(A):
        A = A.copy()
        for i in range(1, 9):
            A[i, :] -= 0.5 * A[i - 1, :]
        return A

    assert rolled(agrees(f, SPD)) == [True]


def test_views_made_before_the_loop_see_its_writes() -> None:
    def f(x):
        y = x.copy()
        tail = y[6:]
        for i in range(12):
            y[i] *= 2
        return tail

    agrees(f, X)


def test_functions_write_to_their_arguments() -> None:
    def add(y, i, v):
        y[i] += v

    def f(x):
        y = np.zeros(12)
        for i in range(12):
            add(y, i, x[i])
            add(y, 11 - i, x[i])
        return y

    assert rolled(agrees(f, X)) == [True]


def test_two_buffers_change_places() -> None:
    def f(x):
        a, b = x.copy(), x.copy()
        for _ in range(20):
            b[1:-1] = (a[:-2] + a[1:-1] + a[2:]) / 3
            a, b = b, a
        return a

    agrees(f, X)


def test_what_a_loop_overwrites_is_not_silently_old() -> None:
    def f(x):
        a = x.copy()
        first = a
        for _ in range(20):
            a[0] = a[0] + 1
            a = a * 2
        return first

    with pytest.raises(UnsupportedError, match="gave its name to another"):
        go.compile(f)(X)


# -- Errors ------------------------------------------------------------------------------------


def message(f: Callable[..., Any], *args: Any) -> str:
    with pytest.raises(GradoptError) as caught:
        go.compile(f)(*args)
    return str(caught.value)


def test_a_name_that_one_branch_does_not_assign() -> None:
    def f(x):
        if x[0] > 0:
            y = 1.0
        return y * x

    text = message(f, X)
    assert "y is assigned in only one branch" in text
    assert "return y * x" in text


def test_a_name_that_loses_its_value_in_a_loop() -> None:
    def first(x):
        found = None
        for i in range(10):
            if x[i] > 0.5:
                found = i
                break
        return -1 if found is None else found

    def last(x):
        found = ()
        for i in range(10):
            if x[i] > 0.5:
                found = (i, x[i])
        return found[1] if found else 0.0

    for f, text in ((first, "found is 0 or None behind"), (last, r"found is a tuple of 2 or a")):
        with pytest.raises(BranchError, match=text):
            go.compile(f)(X)


def test_branches_of_different_shapes() -> None:
    def f(x):
        y = x if x[0] > 0 else x[:3]
        return np.sum(y)

    text = message(f, X)
    assert "float64[12] or float64[3]" in text
    assert "x if x[0] > 0 else x[:3]" in text


def test_a_function_that_returns_nothing_in_one_case() -> None:
    def f(x):
        if x[0] > 0:
            return x

    assert "returns a value or, at its end, nothing" in message(f, X)


def test_a_shape_that_changes_in_a_while() -> None:
    def f(x):
        while x[0] < 10:
            x = np.concatenate([x, x + 1])
        return x

    text = message(f, X)
    assert "x is float64[12] where an iteration begins, and float64[24] where it ends" in text
    assert "while x[0] < 10" in text


def test_tracebacks_have_the_users_lines_alone() -> None:
    def f(x):
        if x[0] > 0:
            return x @ np.zeros(3)
        return x

    with pytest.raises(GradoptError) as caught:
        go.compile(f)(X)
    entries = traceback.extract_tb(caught.value.__traceback__)
    assert [entry.line for entry in entries][-1] == "return x @ np.zeros(3)"
    assert {Path(entry.filename).name for entry in entries} == {Path(__file__).name, "frames.py"}
    assert entries[-1].name == "f"


def test_capture_trace_turns_it_off() -> None:
    def f(x):
        for _ in range(10):
            x = x * 2 if x[0] > 0 else x
        return x

    with pytest.raises(BranchError, match="x \\* 2 if"):
        go.compile(f, capture="trace")(X)
    with pytest.raises(GradoptError, match="capture must be"):
        go.compile(f, capture="guess")


def test_no_source_is_said() -> None:
    names: dict[str, Any] = {}
    exec("def f(x):\n    if x > 0:\n        return x\n    return -x\n", names)
    with pytest.raises(BranchError, match="source"):
        go.compile(names["f"])(2.0)


# -- Transforms in loops -----------------------------------------------------------------------


def _fixed(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: go.fixed_point(lambda y: 0.1 * f(y), x)


TRANSFORMED: dict[str, Callable[..., Callable[..., Any]]] = {
    "grad": go.grad,
    "value_and_grad": lambda f: lambda x: go.value_and_grad(f)(x)[1],
    "jvp": lambda f: lambda x: go.jvp(f, (x,), (1.0,))[1],
    "vjp": lambda f: lambda x: go.vjp(f, x)[1](1.0)[0],
    "hessian": go.hessian,
    "vmap": lambda f: lambda x: go.vmap(f)(np.ones(3) * x)[1],
    "checkpoint": go.checkpoint,
    "compile": go.compile,
    "fixed_point": _fixed,
    "custom_jvp": lambda f: _with_rule(f),
}


def _with_rule(f: Callable[..., Any]) -> Callable[..., Any]:
    g = go.custom_jvp(f)
    g.defjvp(lambda primals, tangents: go.jvp(f, primals, tangents))
    return g


@pytest.mark.parametrize("name", TRANSFORMED)
def test_transforms_are_called_in_rolled_loops(name: str) -> None:
    transformed = TRANSFORMED[name](lambda x: x**3 if x > 0.5 else x * x)

    def f(x, end):
        count = 0
        while x > end:
            x = x - 0.1 * transformed(x) - 0.01
            count += 1
        return x + count

    want, end = 1.0, 0.3
    count = 0
    while want > end:
        want, count = want - 0.1 * float(transformed(want)) - 0.01, count + 1
    compiled = go.compile(f)
    np.testing.assert_allclose(compiled(1.0, end), want + count, rtol=1e-12)
    assert rolled(compiled.lower(1.0, end)) == [True]


@pytest.mark.parametrize("name", TRANSFORMED)
def test_effects_in_transforms_are_none_in_rolled_loops(name: str) -> None:
    seen: list[int] = []

    def effect(x):
        seen.append(1)
        return x * x

    transformed = TRANSFORMED[name](effect)

    def f(x):
        while x > 0.3:
            x = x - 0.1 * transformed(x)
        return x

    with pytest.raises(UnsupportedError, match="decides how often"):
        go.compile(f)(1.0)


def test_short_loops_that_write_and_are_left() -> None:
    """The other iterations are parts of branches, which read their elements themselves."""

    def f(x, u):
        for v in x[:4]:
            u[1] += 0.5 * v
            if v > 0.2:
                break
            x[3] = v + 0.1
        for i, (a, b) in enumerate(zip(x[:3], u, strict=True)):
            u[i] += a * b
            if a * b > 0:
                break
        for v in reversed(x[5:9]):
            if v < u[2]:
                continue
            u[2] -= v
            if u[2] < -1:
                return u * 2
        return u * 1.0

    for x in (X, -X, X * 0.2):
        same = go.compile(f)(x.copy(), np.ones(3))
        np.testing.assert_allclose(same, f(x.copy(), np.ones(3)), rtol=1e-13)


def test_many_branches_that_pass_an_array_on(tmp_path: Path) -> None:
    """Each may leave the array as it is: there are 2^60 ways, none of which is looked at."""
    source = "def f(x):\n    a, b = x * 1.0, x * 2.0\n    for i in range(40):\n" + "".join(
        f"        if a[{k % 5}] > {k}.5: a[{k % 5}] = a[{k % 5}] * 0.5\n"
        f"        elif a[{(k + 1) % 5}] > 3.0: b[{k % 5}] += i\n"
        for k in range(60)
    )
    file = tmp_path / "branches.py"
    file.write_text(f"import numpy as np\n{source}    return np.sum(a * b)\n")
    f = runpy.run_path(str(file))["f"]
    x = np.linspace(0.1, 40.0, 5)
    compiled = go.compile(f)
    np.testing.assert_allclose(compiled(x), f(x), rtol=1e-13)
    assert rolled(compiled.lower(x)) == [True]
    go.gradcheck(compiled, (x,))


def suppressed(x):
    y = x
    with contextlib.suppress(ValueError):
        y = y * 2
        raise ValueError("not seen")
    return y + x


def suppressed_in_a_branch(x):
    y = x
    if x[0] > 0:
        with contextlib.suppress(ValueError):
            raise ValueError("not seen")
        y = x * 3
    return y


def suppressed_by_a_manager_of_the_users(x):
    class Manager:
        def __enter__(self):
            return 5.0

        def __exit__(self, *raised):
            return True

    with Manager() as factor:
        raise ValueError("not seen")
    return x * factor


@pytest.mark.parametrize(
    "f", [suppressed, suppressed_in_a_branch, suppressed_by_a_manager_of_the_users]
)
def test_statements_behind_a_with_whose_manager_ends_an_exception(f):
    x = np.array([1.0, 2.0])
    np.testing.assert_array_equal(go.compile(f)(x), f(x))
