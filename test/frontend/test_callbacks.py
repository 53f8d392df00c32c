# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`pure_callback`: Python code that compiled code calls."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import threading
import time
import weakref
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt import errors

Array = np.ndarray[Any, Any]
X = np.array([0.3, -0.7, 1.2])


def sine(x: Any) -> Any:
    """NumPy's sine, as Python code that cannot be traced."""
    return go.pure_callback(lambda v: np.sin(np.array(v.tolist())).astype(v.dtype), x, x)


# -- Values ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["?", "i1", "i2", "i4", "i8", "f4", "f8"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3, 4)])
def test_arrays_of_all_types_go_in_and_come_out(dtype: str, shape: tuple[int, ...]) -> None:
    x = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    seen: list[Any] = []

    def callback(v: Any) -> Any:
        seen.append(v)
        return v

    f = go.compile(lambda x: go.pure_callback(callback, x, x))
    np.testing.assert_array_equal(f(x), x, strict=True)
    if x.size:  # What has no elements is not asked for.
        assert [(v.shape, v.dtype) for v in seen] == [(shape, x.dtype)]
        assert isinstance(seen[0], np.ndarray if shape else np.generic)


def test_structures_of_arguments_and_results() -> None:
    def callback(pair: tuple[Array, Array], *, scale: Any, table: dict[str, Array]) -> Any:
        a, b = pair
        return {"sum": a + b * scale, "rest": [table["x"].sum(), None]}

    results = {
        "sum": go.ShapeDtypeStruct((3,), "f8"),
        "rest": [go.ShapeDtypeStruct((), "f8"), None],
    }

    def f(a: Any, b: Any) -> Any:
        made = go.pure_callback(callback, results, (a, b), scale=2.0, table={"x": a * b})
        return made["sum"] * 2, made["rest"][0]

    both, total = go.compile(f)(X, X + 1)
    np.testing.assert_allclose(both, 2 * (X + 2 * (X + 1)))
    np.testing.assert_allclose(total, np.sum(X * (X + 1)))


def test_outside_of_a_trace_it_is_called_at_once() -> None:
    np.testing.assert_array_equal(sine(X), np.sin(X))
    with pytest.raises(errors.CallbackResultError, match=r"float64\[2\] at result"):
        go.pure_callback(lambda v: v[:2], X, X)


def test_inputs_belong_to_the_callback() -> None:
    kept: list[Array] = []

    def callback(v: Array) -> Array:
        kept.append(v)
        v *= 2
        return v

    f = go.compile(lambda x: (go.pure_callback(callback, x, x + 1), x + 1))
    doubled, plain = f(X)
    np.testing.assert_array_equal(doubled, 2 * (X + 1))
    np.testing.assert_array_equal(plain, X + 1)
    f(X + 5)
    np.testing.assert_array_equal(kept[0], 2 * (X + 1))


def test_strided_results_and_python_numbers() -> None:
    f = go.compile(lambda x: go.pure_callback(lambda v: np.stack([v, v], 1)[:, 0], x, x))
    np.testing.assert_array_equal(f(X), X)
    scalar = go.ShapeDtypeStruct((), np.float32)
    f = go.compile(lambda x: go.pure_callback(lambda v: 3, scalar, x))
    assert f(X) == 3
    assert f(X).dtype == np.float32


def test_views_are_handed_over_row_by_row() -> None:
    """A transposed, strided or shifted value is what it is, not what lies in memory."""
    m = np.arange(12.0).reshape(3, 4)
    views = (lambda x: x.T, lambda x: x[:, 1:3], lambda x: x[1:], lambda x: x[::-1, ::2])
    for view in views:
        f = go.compile(lambda x, view=view: go.pure_callback(lambda v: v + 1, view(x), view(x)))
        np.testing.assert_array_equal(f(m), view(m) + 1)

    def written(x: Any) -> Any:
        y = x * 2
        y[1:, ::2] = go.pure_callback(lambda v: v - 1, y[1:, ::2], y[1:, ::2])
        return y

    want = m * 2
    want[1:, ::2] -= 1
    np.testing.assert_array_equal(go.compile(written)(m), want)


# -- Loops and branches ----------------------------------------------------------------------


def test_in_loops_and_branches() -> None:
    def f(x: Any, n: Any) -> Any:
        y = go.fori_loop(0, n, lambda i, v: sine(v) + i, x)
        return go.cond(n > 2, lambda v: sine(v), lambda v: v, y)

    for n in range(5):
        want = X
        for i in range(n):
            want = np.sin(want) + i
        want = np.sin(want) if n > 2 else want
        np.testing.assert_allclose(go.compile(f)(X, n), want, rtol=1e-15)


def test_what_is_not_asked_for_is_not_called() -> None:
    calls: list[float] = []

    def callback(v: Any) -> Any:
        calls.append(float(v))
        return v

    def f(x: Any, n: Any) -> Any:
        go.pure_callback(callback, x, x)  # nobody needs it
        y = go.fori_loop(0, n, lambda i, v: v + go.pure_callback(callback, x, x), x)
        return go.cond(n > 5, lambda v: go.pure_callback(callback, v, v), lambda v: v, y)

    assert go.compile(f)(2.0, 0) == 2.0
    assert calls == []
    assert go.compile(f)(2.0, 3) == 8.0
    assert set(calls) == {2.0}


def test_while_loop_on_what_a_callback_says() -> None:
    goes_on = go.ShapeDtypeStruct((), bool)
    f = go.compile(
        lambda x: go.while_loop(
            lambda v: go.pure_callback(lambda w: w < 100, goes_on, v), lambda v: v * 2, x
        )
    )
    assert f(3.0) == 192.0


def test_scan_and_map() -> None:
    xs = np.arange(6.0).reshape(3, 2)

    def step(carry: Any, x: Any) -> tuple[Any, Any]:
        y = sine(carry + x)
        return y, y

    last, all_ = go.compile(lambda xs: go.scan(step, np.zeros(2), xs))(xs)
    want, carry = [], np.zeros(2)
    for x in xs:
        carry = np.sin(carry + x)
        want.append(carry)
    np.testing.assert_allclose(all_, want, rtol=1e-15)
    np.testing.assert_allclose(last, want[-1], rtol=1e-15)
    np.testing.assert_allclose(go.compile(lambda xs: go.map(sine, xs))(xs), np.sin(xs))


def test_in_a_program_that_is_cut_into_parts() -> None:
    """Hundreds of operations, with callbacks between them."""

    def f(x: Any) -> Any:
        for i in range(300):
            x = np.tanh(x) @ np.full((3, 3), 0.25) + i % 3
            if i % 50 == 0:
                x = go.pure_callback(lambda v: v + 1, x, x)
        return x

    want = X
    for i in range(300):
        want = np.tanh(want) @ np.full((3, 3), 0.25) + i % 3
        want = want + 1 if i % 50 == 0 else want
    np.testing.assert_allclose(go.compile(f)(X), want, rtol=1e-12)


# -- vmap ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "shapes"),
    [
        (None, [((3,), ())] * 4),
        ("sequential", [((3,), ())] * 4),
        ("expand_dims", [((4, 3), (1,))]),
        ("broadcast_all", [((4, 3), (4,))]),
    ],
)
def test_vmap_methods(method: str | None, shapes: list[Any]) -> None:
    seen: list[Any] = []

    def callback(x: Any, s: Any) -> Any:
        seen.append((x.shape, s.shape))
        return x * (s[..., None] if np.ndim(s) else s)

    def f(x: Any, s: Any) -> Any:
        return go.pure_callback(callback, x, x, s, vmap_method=method)

    xs = np.arange(12.0).reshape(4, 3)
    got = go.compile(go.vmap(f, in_axes=(0, None)))(xs, 2.0)
    np.testing.assert_array_equal(got, 2 * xs)
    assert seen == shapes
    by_columns = go.compile(go.vmap(f, in_axes=(1, 0), out_axes=1))(xs, np.arange(3.0))
    np.testing.assert_array_equal(by_columns, xs * np.arange(3.0))


def test_vmap_of_vmap_and_of_nothing() -> None:
    xs = np.arange(24.0).reshape(2, 4, 3)
    for method in ("sequential", "expand_dims", "broadcast_all"):
        f = lambda x, m=method: go.pure_callback(np.negative, x, x, vmap_method=m)  # noqa: E731
        np.testing.assert_array_equal(go.vmap(go.vmap(f))(xs), -xs)
        assert go.vmap(f)(np.zeros((0, 3))).shape == (0, 3)
    with pytest.raises(errors.ArgumentError, match="'sequential', 'expand_dims', 'broadcast_all'"):
        go.pure_callback(np.negative, X, X, vmap_method="vectorized")


def test_vmapped_loops() -> None:
    f = go.vmap(lambda x, n: go.fori_loop(0, n, lambda i, v: sine(v), x), in_axes=(0, None))
    np.testing.assert_allclose(go.compile(f)(X, 3), np.sin(np.sin(np.sin(X))), rtol=1e-15)


# -- Derivatives -----------------------------------------------------------------------------


@go.custom_vjp
def ruled(x: Any) -> Any:
    return sine(x)


# The rules call functions with rules, for the next order.
ruled.defvjp(lambda x: (ruled(x), x), lambda x, g: (g * ruled_slope(x),))


@go.custom_jvp
def ruled_slope(x: Any) -> Any:
    return go.pure_callback(lambda v: np.cos(v), x, x)


@ruled_slope.defjvp
def _(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return ruled_slope(x), -ruled(x) * t


def test_rules_give_derivatives_of_any_order() -> None:
    def f(x: Any) -> Any:
        return np.sum(ruled(x) ** 2)

    np.testing.assert_allclose(go.grad(f)(X), 2 * np.sin(X) * np.cos(X), rtol=1e-14)
    np.testing.assert_allclose(go.hessian(f)(X), np.diag(2 * np.cos(2 * X)), rtol=1e-13)
    third = go.grad(lambda x: np.sum(go.hvp(f, (x,), (np.ones(3),))))(X)
    np.testing.assert_allclose(third, -4 * np.sin(2 * X), rtol=1e-13)
    go.check_custom(ruled, X)
    value, tangent = go.jvp(ruled_slope, (X,), (np.ones(3),))
    np.testing.assert_allclose(value, np.cos(X))
    np.testing.assert_allclose(tangent, -np.sin(X))


def test_rules_in_loops_and_under_vmap() -> None:
    def f(x: Any) -> Any:
        return np.sum(go.fori_loop(0, 4, lambda i, v: ruled(v) * 1.5, x))

    def reference(x: Any) -> Any:
        return np.sum(go.fori_loop(0, 4, lambda i, v: np.sin(v) * 1.5, x))

    np.testing.assert_allclose(go.grad(f)(X), go.grad(reference)(X), rtol=1e-13)
    np.testing.assert_allclose(go.vmap(go.grad(ruled))(X), np.cos(X), rtol=1e-14)


@pytest.mark.parametrize("transform", [go.grad, lambda f: lambda x: go.jvp(f, (x,), (x,))])
def test_no_derivative_without_a_rule(transform: Any) -> None:
    def total(x: Any) -> Any:
        return np.sum(sine(x))

    with pytest.raises(
        errors.CompilerError, match=r"no derivative.*custom_vjp, custom_jvp"
    ) as info:
        go.compile(transform(total))(X)
    assert info.value.location is not None
    assert "go.pure_callback" in info.value.location.show()
    # Where nothing is differentiated, there is nothing to ask for.
    np.testing.assert_array_equal(
        go.grad(lambda x: np.sum(x * go.stop_gradient(sine(X))))(X), np.sin(X)
    )


# -- Errors ----------------------------------------------------------------------------------

WRONG: list[tuple[Any, str]] = [
    (lambda v: v[:2], r"float64\[2\] at result where result_shape_dtypes says float64\[3\]"),
    (
        lambda v: v.astype("f4"),
        r"float32\[3\] at result where result_shape_dtypes says float64\[3\]",
    ),
    (lambda v: None, r"another structure .*expected an array at result, but got None"),
    (lambda v: (v, v), r"another structure .*expected an array at result, but got tuple"),
    (lambda v: "text", r"returned 'text' at result where .* float64\[3\]"),
    (lambda v: v.astype(">f4"), r"returned >f4\[3\] at result where .* float64\[3\]"),
    (lambda v: v.astype("f2"), r"float16\[3\] at result where .* float64\[3\]"),
    (lambda v: v.astype(complex), r"complex128\[3\] at result where .* float64\[3\]"),
    (
        lambda v: np.ma.masked_greater(v, 0),
        r"a MaskedArray of float64\[3\] at result where .* float64\[3\]",
    ),
    (lambda v: 1.0, r"float64\[\] at result where result_shape_dtypes says float64\[3\]"),
]


@pytest.mark.parametrize(("callback", "message"), WRONG)
def test_results_that_do_not_fit(callback: Any, message: str) -> None:
    f = go.compile(lambda x: go.pure_callback(callback, x, x))
    with pytest.raises(errors.CallbackResultError, match=message) as info:
        f(X)
    assert info.value.location is not None
    assert "go.pure_callback(callback, x, x)" in info.value.location.show()


def test_results_of_the_other_byte_order() -> None:
    def swapped(v: Any) -> Any:
        return (2 * v).astype(v.dtype.newbyteorder())

    f = go.compile(lambda x: go.pure_callback(swapped, x, x))
    for x in (X, np.arange(3), X.astype("f4")):
        result = f(x)
        assert result.dtype == x.dtype
        np.testing.assert_array_equal(result, 2 * x)


def test_what_cannot_be_an_argument() -> None:
    with pytest.raises(errors.ArgumentTypeError, match=r"args\[0\] is of type str"):
        go.compile(lambda x: go.pure_callback(np.sin, x, "text"))(X)
    with pytest.raises(errors.ArgumentTypeError, match="ShapeDtypeStruct at result_shape_dtypes"):
        go.compile(lambda x: go.pure_callback(np.sin, "float64", x))(X)
    with pytest.raises(errors.UnsupportedError, match="complex256"):
        go.compile(lambda x: go.pure_callback(np.sin, go.ShapeDtypeStruct(3, np.clongdouble), x))(X)


class OwnError(Exception):
    """An exception of the user's."""


def test_exceptions_leave_the_call_as_they_are() -> None:
    error = OwnError("out of here")
    threshold = 3.0

    def callback(v: Any) -> Any:
        if v > threshold:
            raise error
        return v

    def f(x: Any) -> Any:
        return go.while_loop(lambda v: v > 0, lambda v: go.pure_callback(callback, v, v) + 1, x)

    compiled = go.compile(f)
    for _ in range(3):
        with pytest.raises(OwnError) as info:
            compiled(1.0)  # the loop would not end by itself
        assert info.value is error
    assert compiled(-1.0) == -1.0


def test_exceptions_of_large_programs() -> None:
    """The GIL was given up: there is more than a little work."""

    def callback(v: Any) -> Any:
        raise OwnError(v.shape)

    f = go.compile(lambda x: np.sum(np.exp(x)) + np.sum(go.pure_callback(callback, x, x)))
    with pytest.raises(OwnError, match="100000"):
        f(np.ones(100_000))


def test_compiled_code_within_callbacks() -> None:
    inner = go.compile(lambda v: np.sum(sine(v)))

    def callback(v: Any) -> Any:
        if v[0] > 100:
            inner(v[:0] + "x")  # a TypeError of NumPy's own
        return inner(v) * v

    f = go.compile(lambda x: go.pure_callback(callback, x, x) + 1)
    np.testing.assert_allclose(f(X), np.sum(np.sin(X)) * X + 1)
    with pytest.raises(TypeError):
        f(X + 1000)
    np.testing.assert_allclose(f(X), np.sum(np.sin(X)) * X + 1)


def test_interrupt_in_a_callback() -> None:
    def callback(v: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
        return v

    f = go.compile(
        lambda x: go.while_loop(lambda v: v > 0, lambda v: go.pure_callback(callback, v, v), x)
    )
    with pytest.raises(KeyboardInterrupt):
        f(1.0)


# -- Threads, processes, memory --------------------------------------------------------------


def test_threads() -> None:
    f = go.compile(
        lambda x: np.sum(
            np.exp(go.fori_loop(0, 20, lambda i, v: go.pure_callback(np.negative, v, v), x))
        )
    )
    x = np.linspace(0, 1, 20_000)
    want = f(x)
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.extend([f(x) for _ in range(5)])) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [want] * 20


def test_fork_in_a_callback() -> None:
    parent = os.getpid()

    def callback(v: Any) -> Any:
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
        else:
            signal.alarm(60)
        return v + (os.getpid() != parent)

    f = go.compile(lambda x: go.pure_callback(callback, x, x) * 2)
    result = f(1.0)
    if os.getpid() != parent:
        os._exit(int(result != 4.0))
    assert result == 2.0


def test_nothing_leaks() -> None:
    class Marker:
        pass

    def make() -> tuple[Any, Any]:
        marker = Marker()

        def callback(v: Any) -> Any:
            assert marker is not None
            if v[0] > 100:
                raise OwnError(compiled)
            return v

        compiled = go.compile(lambda x: go.pure_callback(callback, x, x))
        compiled(X)
        with pytest.raises(OwnError):
            compiled(X + 1000)
        return weakref.ref(marker), compiled

    found, compiled = make()
    gc.collect()
    assert found() is not None
    del compiled
    gc.collect()
    assert found() is None


def test_arrays_are_freed() -> None:
    alive: list[Any] = []

    class Tracked(np.ndarray[Any, Any]):
        pass

    def callback(v: Any) -> Any:
        made = (v * 2).view(Tracked)
        alive.append((weakref.ref(v), weakref.ref(made)))
        return np.asarray(made)

    f = go.compile(lambda x: go.pure_callback(callback, x, x))
    for _ in range(3):
        f(X)
    gc.collect()
    assert [ref() for pair in alive for ref in pair] == [None] * 6


def plain_callback(v: Any) -> Any:
    return v + 1


def with_callback(x: Any) -> Any:
    return go.pure_callback(plain_callback, x, x) * 2


def test_pickling_and_lowered_functions() -> None:
    f = pickle.loads(pickle.dumps(go.compile(with_callback)))
    np.testing.assert_array_equal(f(X), 2 * (X + 1))
    lowered = f.lower(X)
    assert 'grad.custom_call "plain_callback"' in lowered.mlir()
    assert lowered.memory().outputs == X.nbytes
    np.testing.assert_array_equal(lowered.compile()(X), 2 * (X + 1))


def test_direct_transforms_call_the_callback_they_get() -> None:
    """Nothing is kept of a function that hands on another one that looks the same."""
    for _ in range(3):
        calls: list[Any] = []

        def callback(v: Any, calls: list[Any] = calls) -> Any:
            calls.append(v)
            return v

        go.vmap(lambda x, c=callback: go.pure_callback(c, x, x))(X)
        assert calls == list(X)


def test_a_branch_that_is_not_taken_calls_nothing_under_vmap() -> None:
    seen = []

    def root(v: Any) -> Any:
        seen.append(float(v))
        return np.sqrt(v)

    def f(x: Any) -> Any:
        return go.cond(x > 0, lambda x: go.pure_callback(root, x, x), lambda x: x * 0, x)

    result = go.vmap(f)(np.array([4.0, -1.0, 9.0]))
    np.testing.assert_array_equal(result, [2, 0, 3])
    assert seen == [4, 9]
