# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The call path: flattening, signatures, results, hooks."""

import contextlib
import gc
import sys
import threading
import timeit
import weakref
from functools import cache

import llvm_modules as modules
import numpy as np
import pytest

from gradopt import _gradopt
from gradopt._gradopt import Dispatcher, Executable, Specialization


@cache
def pair(count: int) -> Executable:
    spec = ("f8", (count,))
    code = modules.compile_text(modules.add_multiply(count))
    return Executable(code, [spec, spec], [spec, spec])


@cache
def constant(value: float) -> Executable:
    """Takes nothing and returns `value`: tells which specialisation ran."""
    body = f"""  %c = llvm.mlir.constant({float(value)!r} : f64) : f64
  llvm.store %c, %b0 : f64, !llvm.ptr"""
    return Executable(modules.compile_text(modules.entry(1, body)), [], [("f8", ())])


class Counter(Dispatcher):
    """Returns the number of the specialisation that a call reaches."""

    def __init__(self, **options):
        super().__init__(**options)
        self.seen = []

    def _specialize(self, args, kwargs):
        self.seen.append((args, kwargs))
        return Specialization(constant(len(self.seen)), 0, arg_leaves=[])

    def _flatten(self, args, kwargs):
        raise LookupError(f"foreign {args} {kwargs}")


class Pair(Dispatcher):
    """(x + y, x * y) as whatever `tree` says."""

    def __init__(self, tree=(0, 1), **options):
        super().__init__()
        self.tree, self.options, self.misses = tree, options, 0

    def _specialize(self, args, kwargs):
        self.misses += 1
        return Specialization(pair(len(args[0])), self.tree, **self.options)


X, Y = np.arange(4.0), np.full(4, 2.0)


# -- Results ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tree",
    [
        0, (0, 1), [1, 0], {"sum": 0, "product": 1}, (0, [1, {"a": 0}], None), (), [], {}, None,
        {"b": (0,), "a": 1, 3: None}, ((((0,),),),), (0, 0),
    ],
)  # fmt: skip
def test_result_trees(tree):
    def fill(node):
        if isinstance(node, int):
            return [X + Y, X * Y][node]
        if isinstance(node, dict):
            return {key: fill(child) for key, child in node.items()}
        return node if node is None else type(node)(map(fill, node))

    f = Pair(tree)
    for _ in range(2):
        result = f(X, Y)
        np.testing.assert_equal(result, fill(tree))
        assert type(result) is type(fill(tree))
        if isinstance(tree, dict):
            assert list(result) == list(tree)


def test_unflatten_hook():
    f = Pair(unflatten=lambda results: ("made", *results))
    made, total, product = f(X, Y)
    assert made == "made"
    np.testing.assert_equal((total, product), (X + Y, X * Y))


def test_argument_order():
    f = Pair(arg_leaves=[2, 0])
    total, product = f(X, np.zeros(7), Y)
    np.testing.assert_equal((total, product), (X + Y, X * Y))


@pytest.mark.parametrize("tree", [2, -1, "0", 1.0, {1, 2}, (0, object())])
def test_bad_result_trees(tree):
    with pytest.raises((TypeError, IndexError, ValueError, OverflowError)):
        Specialization(pair(4), tree)


def test_bad_arg_leaves():
    with pytest.raises(ValueError, match="one leaf for each argument"):
        Specialization(pair(4), 0, arg_leaves=[0])
    with pytest.raises(IndexError, match="no leaf 5"):
        Pair(arg_leaves=[0, 5])(X, Y)


def test_payload_is_kept():
    record = Specialization(pair(4), 0, payload="lowered")
    assert record.payload == "lowered"
    assert record.executable is pair(4)


# -- Signatures ------------------------------------------------------------------------------


def test_equal_signatures_share_code():
    f = Counter()
    x = np.zeros((2, 3))
    same = [
        lambda: f(x, [1, 2.0], k={"a": x, "b": (None, True)}),
        lambda: f(np.ones((2, 3)), [7, -1.0], k={"a": x, "b": (None, False)}),
        lambda: f(np.asfortranarray(x), [7, 1e9], k={"a": x[::-1], "b": (None, False)}),
    ]
    assert [call() for call in same] == [1, 1, 1]
    assert f.cache_size() == 1
    assert len(f.seen) == 1
    args, kwargs = f.seen[0]
    assert args[0] is x
    assert kwargs["k"]["b"] == (None, True)


def test_different_signatures_do_not():
    f = Counter()
    x = np.zeros(2)
    calls = [
        ((), {}), ((x,), {}), ((x, x), {}), (((x, x),), {}), (([x, x],), {}), (([x], x), {}),
        ((x,), {"a": x}), ((x,), {"b": x}), (({"a": x},), {}), (({"b": x},), {}),
        (({"a": x, "b": x},), {}), (({"b": x, "a": x},), {}), (({1: x},), {}), (({1.0: x},), {}),
        ((None,), {}), (((),), {}), (([],), {}), (({},), {}), ((1,), {}), ((1.0,), {}),
        ((True,), {}), ((np.int64(1),), {}), ((np.float64(1),), {}), ((np.float32(1),), {}),
        ((np.True_,), {}), ((x.astype("f4"),), {}), ((x.astype("i8"),), {}),
        ((x.astype("u8"),), {}), ((x.astype("c16"),), {}), ((x.reshape(1, 2),), {}),
        ((x.reshape(2, 1),), {}), ((x[:0],), {}), ((x.astype("?"),), {}), ((x.astype("i1"),), {}),
        ((x.astype("O"),), {}), ((x.astype("U"),), {}), ((x.astype("f2"),), {}),
    ]  # fmt: skip
    for _ in range(2):
        for number, (args, kwargs) in enumerate(calls, 1):
            assert f(*args, **kwargs) == number, (args, kwargs)
    assert f.cache_size() == len(calls)


def test_a_numpy_scalar_is_no_array_without_dimensions():
    f = Counter()
    assert f(np.float64(1)) == f(np.float64(2)) == 1
    assert f(np.array(1.0)) == f(np.array(2.0)) == 2


def test_byte_order_and_long_long_are_no_part_of_the_signature():
    f = Counter()
    assert f(np.zeros(2, ">f8")) == f(np.zeros(2, "<f8"))
    assert f(np.zeros(2, "q")) == f(np.zeros(2, "l"))


def test_static_arguments_are_compared_by_type_and_value():
    f = Counter(static_argnums=(0, -1), static_argnames=("mode",))
    x = np.zeros(2)
    key = ("a", (1, 2))
    results = [
        f("s", x, 1), f("s", x, 2), f("s", x, 1.0), f("s", x, True), f("t", x, 1),
        f("s", x, 1, mode="m"), f("s", x, 1, mode=key), f("s", x, 1, mode=("a", (1, 2))),
        f("s", x, 1, other=x), f("s", x, 1),
    ]  # fmt: skip
    assert results == [1, 2, 3, 4, 5, 6, 7, 7, 8, 1]
    assert f.seen[0][0] == ("s", x, 1)
    assert f.seen[5][1] == {"mode": "m"}


def test_equal_static_arguments_that_make_other_code_are_told_apart():
    f = Counter(static_argnums=(0,))
    nan = float("nan")
    different = [0, 0.0, -0.0, False, (0,), (0.0,), (-0.0,), ((1,), 2), ((1.0,), 2), (), ((),), nan]
    for _ in range(2):
        assert [f(value) for value in different] == list(range(1, len(different) + 1))
    assert f((tuple(range(1, 2)), 2)) == 8


def test_an_unhashable_static_argument_reaches_the_hook():
    with pytest.raises(LookupError, match="foreign"):
        Counter(static_argnums=(0,))([1])


def test_an_error_while_hashing_or_comparing_is_raised():
    class Broken:
        def __init__(self, fail_hash):
            self.fail_hash = fail_hash

        def __hash__(self):
            if self.fail_hash:
                raise RuntimeError("hash")
            return 1

        def __eq__(self, other):
            raise RuntimeError("eq")

    f = Counter(static_argnums=(0,))
    with pytest.raises(RuntimeError, match="hash"):
        f(Broken(True))
    assert f(Broken(False)) == 1
    with pytest.raises(RuntimeError, match="eq"):
        f(Broken(False))


def test_many_signatures():
    f = Counter(static_argnums=(0,))
    for _ in range(2):
        assert [f(i) for i in range(200)] == list(range(1, 201))
    assert len(f.cache_values()) == 200
    f.cache_clear()
    assert f.cache_size() == 0
    assert f(5) == 201


def test_clearing_the_cache_during_a_comparison_is_safe():
    class Clearing:
        def __hash__(self):
            return 1

        def __eq__(self, other):
            f.cache_clear()
            gc.collect()
            return True

    f = Counter(static_argnums=(0,))
    assert f(Clearing()) == 1
    assert f(Clearing()) == 1  # the entry that was compared
    assert f(Clearing()) == 2


def test_a_static_argument_that_changed_is_another_one():
    class Changing:
        value = 1

        def __hash__(self):
            return self.value

        def __eq__(self, other):
            return self.value == other.value

    f = Counter(static_argnums=(0,))
    changing = Changing()
    assert [f(changing), f(changing)] == [1, 1]
    changing.value = 2
    assert [f(changing), f(changing)] == [2, 2]


def test_code_made_for_what_the_cache_held_before_is_not_kept():
    class Changed(Counter):
        def _specialize(self, args, kwargs):
            self.change()
            return super()._specialize(args, kwargs)

    def start_again():
        Dispatcher.__init__(f, (0,))

    f = Changed()
    for change in (f.cache_clear, start_again):
        f.change = change
        f(1)
        assert f.cache_size() == 0
    f.change = lambda: None
    # Compared by value since it was initialized again.
    before = f(1)
    assert [f(2), f(1), f(2)] == [before + 1, before, before + 1]


# -- Hooks -----------------------------------------------------------------------------------


class Foreign(Dispatcher):
    def __init__(self):
        super().__init__()
        self.answer = ([X, Y], "structure", None)

    def _flatten(self, args, kwargs):
        return self.answer

    def _specialize(self, args, kwargs):
        return Specialization(pair(4), (0, 1))

    def _inline(self, args, kwargs):
        return "inlined", args, kwargs


@pytest.mark.parametrize("value", [object(), {1, 2}, np.datetime64(1, "s")])
def test_foreign_arguments_are_flattened_by_the_hook(value):
    f = Foreign()
    for _ in range(2):
        np.testing.assert_equal(f(value), (X + Y, X * Y))
    assert f.cache_size() == 1
    f.answer = ((X, Y), "other structure", None)
    f(value)
    assert f.cache_size() == 2


def test_traced_arguments_are_answered_by_inline():
    f = Foreign()
    f.answer = None
    value = object()
    assert f(1, value, k=2) == ("inlined", (1, value), {"k": 2})


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (([X, "leaf"], 0, None), "unsupported type str"), (([X, Y], [], None), "unhashable"),
        ((3, 0, None), "_flatten must return"), (5, "_flatten must return"), ((1, 2), "must return"),
        (([X], 0, None), "takes 2 arrays, but the call has 1"),
        (([X, Y[:2]], 0, None), r"leaf 1: the executable takes float64\[4\]"),
    ],
)  # fmt: skip
def test_bad_answers_of_hooks_are_type_errors(answer, message):
    f = Foreign()
    f.answer = answer
    with pytest.raises(TypeError, match=message):
        f(object())


def test_subclasses_of_containers_and_arrays_are_foreign():
    class List(list):
        pass

    class Array(np.ndarray):
        pass

    for value in (List([X]), np.ma.masked_array(X), X.view(np.recarray), X.view(Array)):
        with pytest.raises(LookupError):
            Counter()(value)


def test_a_container_that_holds_itself_reaches_the_hook():
    loop = [X]
    loop.append(loop)
    with pytest.raises(LookupError):
        Counter()(loop)


def test_specialize_must_return_a_specialization():
    class Wrong(Dispatcher):
        def _specialize(self, args, kwargs):
            return 1

    with pytest.raises(TypeError, match="must return a Specialization, not int"):
        Wrong()()
    with pytest.raises(AttributeError, match="_specialize"):
        Dispatcher()()


def test_errors_of_hooks_pass_through_and_leave_nothing_behind():
    class Failing(Dispatcher):
        def _specialize(self, args, kwargs):
            raise KeyError("no")

    f = Failing()
    for _ in range(2):
        with pytest.raises(KeyError, match="no"):
            f(X)
    assert f.cache_size() == 0


def test_recursive_specialisation():
    class Recursive(Dispatcher):
        def _specialize(self, args, kwargs):
            n = args[0]
            return Specialization(constant(self(n - 1) + 1 if n else 0), 0, arg_leaves=[])

    f = Recursive(static_argnums=[0])
    assert f(20) == 20
    assert f.cache_size() == 21


# -- Python object behaviour -----------------------------------------------------------------


def test_init_is_required_and_checked():
    class Lazy(Dispatcher):
        def __init__(self):
            pass

    with pytest.raises(RuntimeError, match="__init__ was not called"):
        Lazy()(1)
    with pytest.raises(TypeError, match="integers"):
        Dispatcher(static_argnums=["a"])
    with pytest.raises(TypeError, match="strings"):
        Dispatcher(static_argnames=[1])
    with pytest.raises(TypeError):
        Dispatcher(unknown=1)


def test_binds_as_a_method():
    class Model:
        step = Counter(static_argnums=(0,))

    model = Model()
    assert model.step(X) == 1
    assert model.step(X) == 1
    assert Model().step(X) == 2
    assert Model.step.seen[0][0][0] is model


def test_a_python_call_method_wins():
    class Wrapped(Counter):
        def __call__(self, *args):
            return "python", super().__call__(*args)

    assert Wrapped()(X) == ("python", 1)


def test_cycles_are_collected():
    class Cyclic(Dispatcher):
        def _specialize(self, args, kwargs):
            return Specialization(pair(4), (0, 1), payload=self)

    f = Cyclic()
    f(X, Y)
    watch = weakref.ref(f)
    del f
    gc.collect()
    assert watch() is None


def test_references_stay_flat():
    f = Pair({"a": 0, "b": [1, None]})
    g = Counter()
    keys = ["a", "b"]
    arguments = {"a": [X, (1.0, None)], "b": Y[::2]}
    watched = [X, Y, arguments, arguments["a"], None, *keys, np.dtype("f8"), Pair]
    f(X, Y), g(arguments, key=arguments)
    gc.collect()
    before = [sys.getrefcount(o) for o in watched]
    blocks = sys.getallocatedblocks()
    for _ in range(100_000):
        f(X, Y)
    for _ in range(10_000):
        g(arguments, key=arguments)
        with contextlib.suppress(LookupError):
            g(object())
    gc.collect()
    after = [sys.getrefcount(o) for o in watched]
    assert all(abs(a - b) < 10 for a, b in zip(before, after, strict=True)), (before, after)
    assert abs(sys.getallocatedblocks() - blocks) < 200


def test_steady_state_allocates_nothing():
    f = Pair()
    f(X, Y)
    before = _gradopt.alloc_count(), _gradopt.staged_copy_count()
    for _ in range(1000):
        f(X, Y)
    assert (_gradopt.alloc_count(), _gradopt.staged_copy_count()) == before


def test_threads_share_one_dispatcher():
    f = Pair()
    failures = []

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        for _ in range(300):
            x = random.normal(size=int(random.integers(1, 5)) * 5000)
            total, product = f(x, x)
            if not (np.array_equal(total, x + x) and np.array_equal(product, x * x)):
                failures.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert f.cache_size() == 4


def test_a_list_changed_by_another_thread_keeps_its_arrays_alive():
    n = 200_000

    class Doubled(Dispatcher):
        def _specialize(self, args, kwargs):
            return Specialization(pair(n), (0, 1), arg_leaves=[0, 0])

    f = Doubled()
    holder = [np.ones(n)]
    stop = threading.Event()

    def replace() -> None:
        while not stop.is_set():
            holder[0] = np.ones(n)

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        for _ in range(200):
            assert f(holder)[0].sum() == 2 * n
    finally:
        stop.set()
        thread.join()


def test_call_overhead_is_below_three_microseconds():
    f = Pair()
    f(X, Y)
    seconds = min(timeit.repeat(lambda: f(X, Y), number=2000, repeat=20)) / 2000
    assert seconds < 3e-6
