# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What functions print, warn of and raise: when compiled code runs, as often and in the order that
NumPy has."""

from __future__ import annotations

import contextlib
import io
import operator
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt.errors import BranchError, ConversionError, UnsupportedError

X = np.linspace(-1, 2, 10)


def effects(f: Callable[..., Any], *args: Any) -> tuple[Any, str, list[tuple[str, type]]]:
    """The exception that a call raises, what it prints, and its warnings."""
    text, error = io.StringIO(), None
    with warnings.catch_warnings(record=True) as seen, contextlib.redirect_stdout(text):
        warnings.simplefilter("always")
        try:
            f(*args)
        except Exception as caught:
            error = type(caught), str(caught)
    return error, text.getvalue(), [(str(w.message), w.category) for w in seen]


def agrees(f: Callable[..., Any], *args: Any) -> None:
    """Effects are those that NumPy has, in each call."""
    expected = effects(f, *args)
    compiled = go.compile(f)
    for _ in range(2):
        assert effects(compiled, *args) == expected
    # Once, where the derivative is asked for.
    if any(isinstance(arg, np.ndarray) for arg in args):
        assert effects(go.compile_value_and_grad(lambda *a: np.sum(f(*a))), *args) == expected


# -- print -------------------------------------------------------------------------------------


def speaking() -> Any:
    """sin with rules that say when they run."""

    def sin(x: Any) -> Any:
        print(f"f {x:.4f}")
        return np.sin(x)

    def fwd(x: Any) -> Any:
        print(f"fwd {x:.4f}")
        return np.sin(x), np.cos(x)

    def bwd(slope: Any, g: Any) -> Any:
        print(f"bwd {slope:.4f} times {g:.4f}")
        return (g * slope,)

    f = go.custom_vjp(sin)
    f.defvjp(fwd, bwd)
    return f


ONCE = "fwd 1.0000\nbwd 0.5403 times 1.0000\n"
TWICE = "fwd 1.0000\nfwd 0.8415\n"
TWICE_BACK = "bwd 0.6664 times 1.0000\nbwd 0.5403 times 0.6664\n"


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda f: f, "f 1.0000\n"),
        (lambda f: go.grad(f), ONCE),
        (lambda f: go.grad(go.checkpoint(f)), ONCE),
        (lambda f: go.grad(lambda x: f(f(x))), TWICE + TWICE_BACK),
        # What is run again, for the residuals, is fwd, and so it is where they are thrown away.
        (
            lambda f: go.grad(lambda x: go.fori_loop(0, 2, lambda _, x: f(x), x, checkpoint="all")),
            TWICE + TWICE_BACK,
        ),
        (
            lambda f: go.grad(
                go.checkpoint(lambda x: go.scan(lambda x, _: (f(x), None), x, None, length=2)[0])
            ),
            TWICE + TWICE + TWICE_BACK,
        ),
    ],
)
def test_functions_with_rules(make: Any, expected: str) -> None:
    """Where a derivative is asked for, fwd runs in place of the function, as in JAX."""
    run = go.compile(make(speaking()))
    for _ in range(2):
        assert effects(run, 1.0) == (None, expected, [])


def test_rules_for_forward_mode() -> None:
    sin = go.custom_jvp(np.sin)

    @sin.defjvp
    def rule(primals, tangents):
        (x,), (t,) = primals, tangents
        print("rule", x)
        return np.sin(x), np.cos(x) * t

    for f in (go.grad(sin), lambda x: go.jvp(sin, (x,), (1.0,))[1]):
        assert effects(go.compile(f), 1.0) == (None, "rule 1.0\n", [])

    @sin.defjvp
    def of_tangents(primals, tangents):
        print(tangents[0])
        return np.sin(primals[0]), np.cos(primals[0]) * tangents[0]

    with pytest.raises(UnsupportedError, match="depend on tangents, or prints"):
        go.compile(go.grad(sin))(1.0)


def test_print_of_all_that_is_traced() -> None:
    def f(x):
        y = np.array([x[0], 1.0])
        print("a", x[0], x[:2], sep="; ", end=".\n")
        print([x[1], 2, (x[2], "b")], {"k": x[3]}, len(x), x[0] > 0, x.astype(np.int64)[9])
        print(y)
        y[0] = 7
        print(y)
        print()
        return x

    agrees(f, X)


def test_python_numbers_look_like_pythons() -> None:
    def f(a, n):
        print(a, n, a * n, n // 2, [a], n > 2, f"{n:03d} {a:.3f} {n!r:>5}")
        return a

    assert effects(go.compile(f), 0.5, 7) == effects(f, 0.5, 7)


def test_print_in_loops_and_branches() -> None:
    def f(x):
        s = 0.0
        for i in range(len(x)):
            s = s + x[i]
            if s < -1:
                print("low", i, s)
            elif i % 2 == 0:
                print(f"even {i}: {s:.3f}")
        print("end")
        return s

    agrees(f, X)
    assert all(loop.is_rolled for loop in go.compile(f).lower(X).loops())


def test_print_until_a_loop_is_left() -> None:
    def f(x):
        for i in range(len(x)):
            print("looks at", i)
            if x[i] > 0:
                print("found", i)
                break
        else:
            print("none")
        return x * 2

    agrees(f, X)
    agrees(f, -np.abs(X))


def test_print_in_a_while() -> None:
    def f(a):
        n = 0
        while a < 100:
            a = a * a
            n += 1
            print(n, a)
        return a

    expected = effects(f, 2.0)
    for compiled in (go.compile(f), go.compile_grad(f), go.compile_value_and_grad(f)):
        assert effects(compiled, 2.0) == expected


def test_effects_happen_once_in_derivatives_of_derivatives() -> None:
    """Also those of a loop whose states a derivative keeps, which is run again for the next one."""

    def f(x):
        n = 0
        while x < 30.0:
            print(n, x > 3)
            if x > 9:
                warnings.warn(f"{n} is late", RuntimeWarning, stacklevel=1)
            x = x * 1.5 + np.sin(x)
            n += 1
        return x

    expected = effects(f, 1.0)
    for of_second_order in (
        go.grad(go.grad(f)),
        lambda x: go.jvp(go.grad(f), (x,), (1.0,)),
        go.grad(lambda x: go.jvp(f, (x,), (1.0,))[1]),
    ):
        assert effects(go.compile(of_second_order), 1.0) == expected


def test_prints_of_mapped_functions() -> None:
    def f(x):
        if x > 0:
            print(f"{x:.2f}")
        return x * x

    expected = effects(lambda: [f(x) for x in X])
    assert effects(go.vmap(f), X) == expected


def test_prints_of_functions_that_are_called() -> None:
    def inner(x):
        print("inner", x)
        return np.tanh(x)

    def f(x):
        print("outer")
        return inner(x) + inner(2 * x)

    agrees(f, X[:2])


def test_text_of_traced_values() -> None:
    def f(x):
        print("%.2f and %s" % (x[0], "b"), "{:.1f}|{k}".format(x[1], k=x[2]))  # noqa: UP031, UP032
        print(str(x[0]) + "!", "<" + repr(x[1]), format(x[2], "+.2f"), f"{x[0]!r} {x[1]:{5}.{2}}")
        return x

    agrees(f, X)


def test_text_is_not_for_computing() -> None:
    def compares(x):
        return x if str(x[0]) == "1.0" else -x

    for f in (compares, lambda x: x * len(f"{x[0]}"), lambda x: x * int(f"{x[0]:.0f}")):
        with pytest.raises(ConversionError, match="a text with traced values"):
            go.compile(f)(X)


# -- warnings ----------------------------------------------------------------------------------


def test_warnings() -> None:
    def f(x):
        for i in range(len(x)):
            if x[i] > 1:
                warnings.warn(f"large at {i}", RuntimeWarning)  # noqa: B028
        warnings.warn("always")  # noqa: B028
        return x

    agrees(f, X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="large at 7"):
            go.compile(f)(X)


def test_warnings_are_of_the_line_that_warns() -> None:
    def f(x):
        warnings.warn("here")  # noqa: B028
        return x

    with pytest.warns(UserWarning, match="here") as seen:
        go.compile(f)(X)
    assert seen[0].filename == __file__
    assert seen[0].lineno == f.__code__.co_firstlineno + 1


@pytest.mark.parametrize("how", ["raise", "call", "print", "log"])
def test_floating_point_errors_that_are_asked_for_are_refused(how: Any) -> None:
    def f(x):
        with np.errstate(divide=how):
            return 1 / x

    with pytest.raises(UnsupportedError, match=rf"divide='{how}'"):
        go.compile(f)(X)
    with pytest.raises(UnsupportedError, match=f"all='{how}'"):
        go.compile(lambda x: (np.seterr(all=how), x)[1])(X)


def test_ignored_floating_point_errors() -> None:
    def f(x):
        with np.errstate(all="ignore"):
            return np.where(x > 0, np.log(x), 0)

    np.testing.assert_allclose(go.compile(f)(X), f(X), rtol=1e-13)


# -- assert and raise --------------------------------------------------------------------------


def test_assertions() -> None:
    def plain(x):
        assert x[0] > 0
        return x

    def with_message(x):
        assert np.all(x > 0), "not positive"
        return x

    def with_values(x):
        for i in range(len(x)):
            assert x[i] < 1.5, f"x[{i}] is {x[i]:.3f}"
        return x

    # pytest rewrites what is asserted here, too: NumPy's messages are longer.
    for f, message in ((plain, ""), (with_message, "not positive"), (with_values, "x[8] is 1.667")):
        with pytest.raises(AssertionError):
            f(X)
        assert effects(go.compile(f), X) == ((AssertionError, message), "", [])
        agrees(f, np.abs(X) * 0.1 + 0.1)
        np.testing.assert_array_equal(
            go.compile_grad(lambda x, f=f: np.sum(f(x)))(np.abs(X) * 0.1 + 0.1), np.ones(len(X))
        )


def test_messages_of_exceptions_with_values() -> None:
    class OwnError(Exception):
        def __init__(self, message, value):
            super().__init__(message)
            self.value = value

    def f(x):
        if x[0] < 0:
            raise ValueError(f"{x[0]:.2f} is negative", x[1])
        return x

    def g(x):
        for i in range(len(x)):
            if x[i] > 0:
                raise OwnError(f"at {i}", x[i])
        return x

    agrees(f, X)
    agrees(f, np.abs(X))
    agrees(g, X)
    with pytest.raises(OwnError) as caught:
        go.compile(g)(X)
    assert caught.value.value == X[4 if X[3] <= 0 else 3]


def test_exceptions_end_what_is_printed() -> None:
    def f(x):
        for i in range(len(x)):
            print(i)
            if x[i] > 0:
                raise ValueError("positive")
        print("not reached")
        return x

    def g(x):
        if x[0] < 0:
            raise ValueError("negative")
        print("not reached")
        return x

    agrees(f, X)
    agrees(g, X)


def test_functions_that_raise() -> None:
    def require(condition, text):
        if not condition:
            fail(text)

    def fail(text):
        raise RuntimeError(text)

    def f(x):
        require(x[0] > 0, "first")
        return x

    agrees(f, X)
    agrees(f, np.abs(X))


def test_raise_from() -> None:
    def f(x):
        if x[0] < 0:
            raise ValueError("negative") from KeyError("cause")
        return x

    with pytest.raises(ValueError, match="negative") as caught:
        go.compile(f)(X)
    assert isinstance(caught.value.__cause__, KeyError)
    np.testing.assert_array_equal(go.compile(f)(np.abs(X)), np.abs(X))


# -- try ---------------------------------------------------------------------------------------


def test_handlers_do_not_get_the_compilers_errors() -> None:
    def named(x):
        try:
            return np.isnat(x).real
        except Exception:
            return x * 0

    def bare(x):
        try:
            y = np.isnat(x).real
        except:  # noqa: E722
            y = x * 0
        return y

    def branch(x):
        try:
            return x * operator.index(x[0])
        except (TypeError, ValueError):
            return x * 0

    for f in (named, bare):
        with pytest.raises(UnsupportedError, match="isnat"):
            go.compile(f)(X)
    with pytest.raises(ConversionError, match="cannot become an index"):
        go.compile(branch)(X)


def test_handlers_get_what_numpy_raises() -> None:
    def index(x):
        try:
            return x[20]
        except IndexError:
            return x[0]

    def shapes(x):
        try:
            return x + np.ones(3)
        except ValueError as error:
            return x * (2 if "broadcast" in str(error) else 3)

    def raises(x):
        try:
            raise KeyError("k")
        except KeyError:
            y = x * 2
        finally:
            z = x * 3
        return y + z

    def asks_for_ours(x):
        try:
            return np.isnat(x).real
        except UnsupportedError:
            return x * 5

    for f in (index, shapes, raises):
        np.testing.assert_allclose(go.compile(f)(X), f(X), rtol=1e-14)
    np.testing.assert_array_equal(go.compile(asks_for_ours)(X), X * 5)


def test_handlers_of_what_a_traced_condition_raises_are_refused() -> None:
    def f(x):
        try:
            if x[0] < 0:
                raise ValueError("bad")
            y = x * 2
        except ValueError:
            y = x * 3
        return y

    with pytest.raises(UnsupportedError, match="write the handler as a branch"):
        go.compile(f)(X)

    def other(x):
        try:
            if x[0] < 0:
                raise ValueError("bad")
        except KeyError:
            pass
        return x

    agrees(other, X)


def test_without_rewriting_conditions_are_errors() -> None:
    def f(x):
        assert x[0] > 0
        return x

    with pytest.raises(BranchError):
        go.compile(f, capture="trace")(X)


def test_what_ends_exceptions_does_not_end_the_compilers_own() -> None:
    """`finally` that leaves or raises, and context managers that suppress."""
    seen: list[int] = []

    def leaves(x, m):
        while x > 0:
            try:
                m[0] += 0.5
            finally:
                break  # noqa: B012
        return m * 1.0

    def returns(x, m):
        for _ in range(10):
            if x > 0:
                try:
                    m[0] += 0.5
                finally:
                    x = x - 1
        try:
            m[1] += x
        finally:
            return m * 1.0  # noqa: B012

    def suppresses(x, m):
        for i in range(10):
            with contextlib.suppress(Exception):
                seen.append(i)
                m[0] += x
        while x > 0:
            with contextlib.suppress(BaseException):
                m[1] += 0.5
            x = x - 1.0
        return m * 1.0

    def ends_the_users(x, m):
        for i in range(10):
            try:
                if i > 3:
                    raise ValueError("no more")
                m[1] += x
            except KeyError:
                m[0] = 100
            finally:
                m[0] += 0.5
                continue  # noqa: B012
        return m * x

    for f in (leaves, returns, ends_the_users, suppresses):
        expected = f(2.0, np.zeros(2))
        seen.clear()
        np.testing.assert_allclose(go.compile(f)(2.0, np.zeros(2)), expected)
    assert seen == list(range(10))


def test_suppressed_exceptions_that_compiled_code_raises_are_refused() -> None:
    def f(x):
        with contextlib.suppress(ValueError):
            if x > 0:
                raise ValueError("no")
            x = x * 2
        return x

    with pytest.raises(UnsupportedError, match=r"ValueError is raised where a traced.*handler"):
        go.compile(f)(1.0)


def test_traced_values_in_messages_of_what_is_raised_while_tracing() -> None:
    def handled(x):
        try:
            raise ValueError(f"not {x[0]}")
        except ValueError:
            return x * 2

    def f(x):
        if len(x) > 3:
            raise ValueError(f"not {x[0]}")
        return x

    agrees(handled, X)
    with pytest.raises(UnsupportedError, match=r"ValueError is raised while tracing.*leave them"):
        go.compile(f)(X)


class Manager:
    """A context manager whose `__exit__` returns something, and one that does not."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, *rest: Any) -> Any:
        return kind is TypeError


class Plain(Manager):
    def __exit__(self, kind: Any, *rest: Any) -> Any:
        if kind is None:
            return None
        return False


@contextlib.contextmanager
def handles():
    try:
        yield
    except TypeError:
        len("")


@contextlib.contextmanager
def replaces():
    try:
        yield
    except ValueError as error:
        raise KeyError("k") from error


class Replacing:
    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is not None:
            raise KeyError("k")


@contextlib.contextmanager
def cleans_up():
    try:
        yield
    except ValueError:
        len("")
        raise
    finally:
        len("")


def test_managers_that_may_suppress_what_compiled_code_raises_are_refused() -> None:
    def raises(manager: Any) -> Callable[[Any], Any]:
        def f(x):
            with manager():
                if x > 0:
                    raise ValueError("no")
                x = x * 2
            return x

        return f

    for manager in (Manager, handles, contextlib.ExitStack, replaces, Replacing):
        with pytest.raises(UnsupportedError, match=r"a `with` of an object.*may suppress it"):
            go.compile(raises(manager))(1.0)
    for manager in (Plain, lambda: np.errstate(all="ignore"), cleans_up):
        f = raises(manager)
        assert go.compile(f)(-1.0) == -2.0
        with pytest.raises(ValueError, match="no"):
            go.compile(f)(1.0)


def test_exceptions_that_end_in_the_branch_that_raises_them_do_not_leave_it() -> None:
    def suppressed(x):
        if x > 0:
            with Manager():
                raise TypeError("no")
            x = x + 1
        return x

    def goes_on(x):
        if x > 0:
            with Manager():
                raise ValueError("no")
        return x

    def again(x):
        if x > 0:
            try:
                raise ValueError("no")
            except ValueError:
                raise
        return x

    def nothing_to_raise(x):
        if x > 0:
            raise
        return x

    def no_exception(x):
        if x > 0:
            raise x.__class__.__name__
        return x

    for f in (suppressed, goes_on, again, nothing_to_raise, no_exception):
        compiled = go.compile(f)
        assert compiled(-1.0) == -1.0
        assert effects(compiled, 1.0) == effects(f, 1.0)
    assert go.compile(suppressed)(1.0) == 2.0


def test_errors_of_the_run_say_that_handlers_do_not_get_them() -> None:
    def index(x, i):
        try:
            return x[i]
        except (IndexError, KeyError):
            return 0.0

    def factor(A):
        with contextlib.suppress(np.linalg.LinAlgError):
            A = np.linalg.cholesky(A)
        return A

    def other(x, i):
        try:
            return x[i]
        except KeyError:
            return 0.0

    assert go.compile(index)(X, 3) == X[3]
    with pytest.raises(IndexError, match=r"out of bounds.*; a `try` around it handles that"):
        go.compile(index)(X, 30)
    with pytest.raises(np.linalg.LinAlgError, match=r"; a `with` of .*write the handler as"):
        go.compile(factor)(-np.eye(2))
    with pytest.raises(IndexError) as caught:
        go.compile(other)(X, 30)
    assert "around it" not in str(caught.value)
