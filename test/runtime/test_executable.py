# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loading object code and calling it on flat arguments."""

import contextlib
import gc
import sys
import threading
import weakref

import llvm_modules as modules
import numpy as np
import pytest
from budget import budget, generator

from gradopt import _gradopt


def pair(count: int, type: str = "f64", dtype: type = np.float64) -> _gradopt.Executable:
    spec = (dtype, (count,))
    code = modules.compile_text(modules.add_multiply(count, type))
    return _gradopt.Executable(code, [spec, spec], [spec, spec])


def identity(shape: tuple[int, ...], type: str, dtype: object) -> _gradopt.Executable:
    count = int(np.prod(shape))
    code = modules.compile_text(modules.copy(count, type))
    return _gradopt.Executable(code, [(dtype, shape)], [(dtype, shape)])


# -- Loading ---------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [b"", b"garbage", b"\x7fELF" + bytes(100)])
def test_garbage_is_an_execution_error(code):
    with pytest.raises(_gradopt.ExecutionError, match="invalid object code"):
        _gradopt.Executable(code, [], [])


def test_truncated_and_damaged_objects_are_execution_errors():
    code = modules.compile_text(modules.add_multiply(4))
    for end in range(0, len(code), 64):
        with pytest.raises(_gradopt.ExecutionError):
            _gradopt.Executable(code[:end], [], [])


def test_damage_anywhere_but_in_code_never_crashes():
    """What is damaged may still be loaded; what is loaded is not run."""
    code = modules.compile_text(modules.add_multiply(4))
    random = generator()
    for _ in range(budget(1000)):
        damaged = bytearray(code)
        for place in random.integers(0, len(code), random.integers(1, 9)):
            damaged[place] = random.choice([0, 1, 127, 128, 255, random.integers(256)])
        with contextlib.suppress(_gradopt.ExecutionError):
            _gradopt.Executable(bytes(damaged), [], [])


def test_object_for_another_machine_is_an_execution_error():
    code = bytearray(modules.compile_text(modules.add_multiply(4)))
    code[18:20] = (8).to_bytes(2, "little")  # e_machine = EM_MIPS
    with pytest.raises(_gradopt.ExecutionError, match="not a relocatable object file"):
        _gradopt.Executable(bytes(code), [], [])


def test_missing_entry_is_an_execution_error():
    code = modules.compile_text(modules.add_multiply(4))
    with pytest.raises(_gradopt.ExecutionError, match="nope"):
        _gradopt.Executable(code, [], [], entry="nope")


def test_unresolved_symbol_is_an_execution_error():
    code = modules.compile_text(
        modules.entry(
            0, "  llvm.call @no_such_function() : () -> ()", "llvm.func @no_such_function()"
        )
    )
    with pytest.raises(_gradopt.ExecutionError, match="no_such_function"):
        _gradopt.Executable(code, [], [])


def test_functions_of_libm_resolve():
    code = modules.compile_text(
        modules.elementwise(
            3,
            1,
            ["%r0 = llvm.call @lgamma(%x0) : (f64) -> f64"],
            declarations="llvm.func @lgamma(f64) -> f64",
        )
    )
    executable = _gradopt.Executable(code, [("f8", (3,))], [("f8", (3,))])
    np.testing.assert_allclose(executable(np.array([1.0, 3.0, 5.0]))[0], np.log([1, 2, 24]))


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        (("O", (2,)), TypeError),
        (("U3", (2,)), TypeError),
        ((">f8", (2,)), TypeError),
        (("f8", (-1,)), ValueError),
        (("f8", (2**62, 2)), ValueError),
        (("f8", (2**62, 0, 2)), ValueError),
        (("f8", ("x",)), TypeError),
        (("nonsense", ()), TypeError),
        (("f8",), IndexError),
    ],
)
def test_bad_specs_are_rejected(spec, error):
    with pytest.raises(error):
        _gradopt.Executable(b"", [spec], [])


def test_a_failing_status_is_an_execution_error():
    code = modules.compile_text("""llvm.func @gradopt_main(%b: !llvm.ptr) -> i32 {
      %0 = llvm.mlir.constant(7 : i32) : i32
      llvm.return %0 : i32 }""")
    with pytest.raises(_gradopt.ExecutionError, match="status 7"):
        _gradopt.Executable(code, [], [])()


# -- Arguments -------------------------------------------------------------------------------


def test_calls_and_reports_bytes():
    executable = pair(5)
    x, y = np.arange(5.0), np.arange(5.0) + 1
    total, product = executable(x, y)
    np.testing.assert_array_equal(total, x + y)
    np.testing.assert_array_equal(product, x * y)
    assert executable.argument_bytes == 80
    assert executable.result_bytes == 80
    assert executable.arena_bytes == executable.capture_bytes == 0
    assert executable.args == ((np.dtype("f8"), (5,)), (np.dtype("f8"), (5,)))
    assert executable.results == executable.args


def test_results_are_fresh():
    executable = pair(5)
    x = np.ones(5)
    first, second = executable(x, x), executable(x, x)
    arrays = [x, *first, *second]
    for i, a in enumerate(arrays):
        assert a.flags.owndata
        assert a.flags.writeable
        assert not any(np.shares_memory(a, b) for b in arrays[:i])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(5),), "expected 2 arguments, but got 1"),
        ((np.zeros(5),) * 3, "expected 2 arguments, but got 3"),
        ((np.zeros(5), np.zeros(4)), r"argument 1: expected float64\[5\]"),
        ((np.zeros((5, 1)), np.zeros(5)), r"argument 0: expected float64\[5\]"),
        ((np.zeros(5, "f4"), np.zeros(5)), "argument 0"),
        ((np.zeros(5), [0.0] * 5), "argument 1"),
        ((np.zeros(5), 1.0), "argument 1"),
        ((np.zeros(5), None), "argument 1"),
    ],
)
def test_wrong_arguments_are_type_errors(arguments, message):
    with pytest.raises(TypeError, match=message):
        pair(5)(*arguments)


def awkward(values: np.ndarray) -> dict[str, np.ndarray]:
    """The same values in layouts that compiled code cannot read."""
    size = values.size
    doubled = np.repeat(values, 2)
    raw = np.zeros(values.nbytes + 1, np.uint8)
    misaligned = raw[1:].view(values.dtype)
    misaligned[:] = values.ravel()
    return {
        "strided": doubled[::2].reshape(values.shape)
        if values.ndim == 1
        else np.repeat(values, 2, axis=-1)[..., ::2],
        "reversed": values[::-1].copy()[::-1],
        "fortran": np.asfortranarray(values),
        "byte-swapped": values.astype(values.dtype.newbyteorder()),
        "misaligned": misaligned.reshape(values.shape),
        "broadcast": np.broadcast_to(values, (1, *values.shape))[0],
    } | ({"zero-stride": np.broadcast_to(values.flat[0], values.shape)} if size else {})


@pytest.mark.parametrize("shape", [(6,), (3, 4)])
def test_awkward_layouts_are_copied_never_wrong(shape):
    executable = identity(shape, "f64", np.float64)
    values = np.arange(float(np.prod(shape))).reshape(shape) + 1
    for layout, array in awkward(values).items():
        before = _gradopt.staged_copy_count()
        np.testing.assert_array_equal(executable(array)[0], array, err_msg=layout)
        staged = _gradopt.staged_copy_count() - before
        readable = array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative
        assert staged == (0 if readable else 1), layout


def test_contiguous_and_read_only_arrays_are_not_copied():
    executable = identity((4,), "f64", np.float64)
    x = np.arange(4.0)
    x.flags.writeable = False
    before = _gradopt.staged_copy_count()
    np.testing.assert_array_equal(executable(x)[0], x)
    np.testing.assert_array_equal(executable(np.arange(8.0)[4:])[0], [4, 5, 6, 7])
    assert _gradopt.staged_copy_count() == before


@pytest.mark.parametrize(
    ("type", "dtype"),
    [
        ("f32", "f4"),
        ("i8", "i1"),
        ("i16", "i2"),
        ("i32", "i4"),
        ("i64", "i8"),
        ("i64", "q"),
        ("i8", "u1"),
        ("i64", "u8"),
        ("i8", "?"),
    ],
)
def test_every_data_type(type, dtype):
    x = np.array([0, 1, 1, 0, 1]).astype(dtype)
    (y,) = identity((5,), type, dtype)(x)
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(x, y)


def test_bools_are_zero_or_one():
    x = np.array([0, 1, 2, 255, 0], np.uint8).view(np.bool_)
    (y,) = identity((5,), "i8", np.bool_)(x)
    np.testing.assert_array_equal(y.view(np.uint8), [0, 1, 1, 1, 0])


def test_long_and_long_long_are_one_type():
    executable = identity((3,), "i64", np.int64)
    np.testing.assert_array_equal(executable(np.arange(3, dtype=np.longlong))[0], [0, 1, 2])


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 2, 3)])
def test_empty_arrays(shape):
    (y,) = identity(shape, "f64", np.float64)(np.zeros(shape))
    assert y.shape == shape


@pytest.mark.parametrize(
    ("value", "type", "dtype", "expected"),
    [
        (2.5, "f64", "f8", np.float64(2.5)),
        (2.5, "f32", "f4", np.float32(2.5)),
        (3, "f64", "f8", np.float64(3)),
        (True, "f64", "f8", np.float64(1)),
        (-3, "i64", "i8", np.int64(-3)),
        (127, "i8", "i1", np.int8(127)),
        (255, "i8", "u1", np.uint8(255)),
        (2**64 - 1, "i64", "u8", np.uint64(2**64 - 1)),
        (True, "i8", "?", np.True_),
        (np.float32(1.5), "f32", "f4", np.float32(1.5)),
        (np.int16(-7), "i16", "i2", np.int16(-7)),
        (np.array(4.0), "f64", "f8", np.float64(4)),
    ],
)
def test_scalars(value, type, dtype, expected):
    (y,) = identity((), type, dtype)(value)
    assert isinstance(y, np.generic)
    assert y.dtype == expected.dtype
    assert y == expected


@pytest.mark.parametrize(
    ("value", "type", "dtype", "error"),
    [
        (128, "i8", "i1", OverflowError),
        (-129, "i8", "i1", OverflowError),
        (-1, "i8", "u1", OverflowError),
        (2**63, "i64", "i8", OverflowError),
        (-1, "i64", "u8", OverflowError),
        (10**400, "f64", "f8", OverflowError),
        (1.5, "i64", "i8", TypeError),
        (1j, "f64", "f8", TypeError),
        ("1", "f64", "f8", TypeError),
        (np.float32(1), "f64", "f8", TypeError),
        (np.float64(1), "f32", "f4", TypeError),
    ],
)
def test_scalars_that_do_not_fit(value, type, dtype, error):
    with pytest.raises(error):
        identity((), type, dtype)(value)


def test_captures_follow_the_arguments_and_are_kept_alive():
    code = modules.compile_text(modules.add_multiply(3))
    spec = ("f8", (3,))
    captured = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])[::2]
    executable = _gradopt.Executable(code, [spec], [spec, spec], captures=[captured])
    del captured
    gc.collect()
    total, product = executable(np.ones(3))
    np.testing.assert_array_equal(total, [2, 4, 6])
    np.testing.assert_array_equal(product, [1, 3, 5])
    assert executable.capture_bytes == 24


# -- Arena, threads, leaks -------------------------------------------------------------------


def with_arena(count: int) -> _gradopt.Executable:
    """x -> x + 1, by way of the arena; wrong if two calls share one."""
    at = "= llvm.getelementptr {}[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f64"
    first = f"""
  %from {at.format("%b0")}
  %to {at.format("%b2")}
  %x = llvm.load %from : !llvm.ptr -> f64
  llvm.store volatile %x, %to : f64, !llvm.ptr"""
    second = f"""
  %unit = llvm.mlir.constant(1.0 : f64) : f64
  llvm.br ^head2(%zero : i64)
^head2(%j: i64):
  %more2 = llvm.icmp "slt" %j, %count : i64
  llvm.cond_br %more2, ^body2, ^exit2
^body2:
  %from2 {at.format("%b2").replace("%i", "%j")}
  %to2 {at.format("%b1").replace("%i", "%j")}
  %y = llvm.load volatile %from2 : !llvm.ptr -> f64
  %sum = llvm.fadd %y, %unit : f64
  llvm.store %sum, %to2 : f64, !llvm.ptr
  %next2 = llvm.add %j, %one : i64
  llvm.br ^head2(%next2 : i64)
^exit2:"""
    code = modules.compile_text(modules.entry(3, modules.loop(count, first, second)))
    spec = ("f8", (count,))
    return _gradopt.Executable(code, [spec], [spec], arena_bytes=8 * count)


def test_arena_is_made_once():
    # Of a size that no arena of an earlier test has: arenas are shared.
    executable = with_arena(1_234_567)
    x = np.arange(1_234_567.0)
    before = _gradopt.alloc_count()
    for _ in range(20):
        np.testing.assert_array_equal(executable(x)[0], x + 1)
    assert _gradopt.alloc_count() == before + 1


def test_an_arena_too_large_is_an_error():
    code = modules.compile_text(modules.copy(1, "f64"))
    spec = ("f8", (1,))
    executable = _gradopt.Executable(code, [spec], [spec], arena_bytes=2**62)
    with pytest.raises(_gradopt.ExecutionError, match="cannot allocate"):
        executable(np.zeros(1))


def test_threads_agree_with_serial_results():
    count = 20_000  # large enough for the call to release the GIL
    executable = with_arena(count)
    failures = []

    def work(seed: int) -> None:
        x = np.random.default_rng(seed).normal(size=count)
        for _ in range(50):
            if not np.array_equal(executable(x)[0], x + 1):
                failures.append(seed)

    before = _gradopt.alloc_count()
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert _gradopt.alloc_count() - before <= len(threads)


def test_references_and_memory_stay_flat():
    executable = pair(5)
    x, y = np.ones(5), np.ones((5, 2))[:, 0]
    references = [sys.getrefcount(o) for o in (x, y, np.dtype("f8"), None)]
    for _ in range(10_000):
        executable(x, y)
        with pytest.raises(TypeError):
            executable(x)
    after = [sys.getrefcount(o) for o in (x, y, np.dtype("f8"), None)]
    assert all(abs(a - b) < 20 for a, b in zip(references, after, strict=True))


def test_captures_are_freed_with_the_executable():
    code = modules.compile_text(modules.copy(3, "f64"))
    captured = np.ones(3)
    executable = _gradopt.Executable(code, [], [("f8", (3,))], captures=[captured])
    watch = weakref.ref(captured)
    del captured
    gc.collect()
    assert watch() is not None
    del executable
    gc.collect()
    assert watch() is None
