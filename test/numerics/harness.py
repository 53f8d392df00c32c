# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles functions of `grad` ops, and their derivatives, without the front end.

A function under test is a Python function from MLIR values to one MLIR value that calls the
generated builders of `gradopt.dialects.grad`. What is compiled is a module with it as `@f`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mlir import ir
from mlir.dialects import func

from gradopt import _compiler, _gradopt
from gradopt.base.devices import chip_of
from gradopt.compilation.compiler import Program, compile_program
from gradopt.dialects import grad
from gradopt.ir.types import element_type, shape_and_dtype

CONTEXT = ir.Context(load_on_create_dialects=[])
_compiler.load_dialects(CONTEXT)

Array = np.ndarray[Any, Any]
Build = Callable[..., ir.Value]


def _element_type(dtype: Any) -> ir.Type:
    return ir.Type.parse(element_type(np.dtype(dtype)), CONTEXT)


def tensor(shape: Sequence[int], dtype: Any) -> ir.Type:
    """`tensor<shape x dtype>`."""
    return ir.RankedTensorType.get(list(shape), _element_type(dtype))


def scalar_type(dtype: Any) -> ir.Attribute:
    """The element type as an attribute."""
    return ir.TypeAttr.get(_element_type(dtype))


def constant(array: Any) -> ir.Value:
    """`grad.constant` of a concrete array."""
    array = np.ascontiguousarray(array).reshape(np.shape(array))
    bits = np.packbits(array, axis=None, bitorder="little") if array.dtype == bool else array
    value = ir.DenseElementsAttr.get(bits, type=_element_type(array.dtype), shape=list(array.shape))
    return grad.constant(value, results=[value.type])


_counter = itertools.count()


def unique(name: str) -> str:
    """A symbol that no module has yet."""
    return f"{name}_{next(_counter)}"


def define(
    name: str, inputs: Sequence[ir.Type], body: Callable[..., Any], public: bool = False
) -> list[ir.Type]:
    """Adds a function to the module that ops are inserted into; returns the types of its results.

    `body` gets the arguments and returns a value or a sequence of values.
    """
    place = ir.InsertionPoint.current.block.owner.operation
    while place.name != "builtin.module":
        place = place.parent.operation
    function = func.FuncOp(
        name,
        ir.FunctionType.get(list(inputs), []),
        visibility="public" if public else "private",
        ip=ir.InsertionPoint(place.regions[0].blocks[0]),
    )
    block = function.add_entry_block()
    with ir.InsertionPoint(block):
        results = body(*block.arguments)
        results = list(results) if isinstance(results, (list, tuple)) else [results]
        func.ReturnOp(results)
    types = [result.type for result in results]
    kind = ir.FunctionType.get(list(inputs), types)
    function.operation.attributes["function_type"] = ir.TypeAttr.get(kind)
    return types


def square(inputs: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    """Target 0 of all programs: Python code that they call."""
    assert [tuple(shape) for shape in shapes] == [x.shape for x in inputs]
    return [np.asarray(np.multiply(x, x)) for x in inputs]


def compile_main(
    inputs: Sequence[tuple[Sequence[int], Any]], body: Callable[..., Any], fast_math: bool = False
) -> _gradopt.Runnable:
    """Machine code of a module whose public function has arguments of these shapes and dtypes."""
    with CONTEXT, ir.Location.unknown():
        module = ir.Module.create()
        with ir.InsertionPoint(module.body):
            outputs = define("main", [tensor(*spec) for spec in inputs], body, public=True)
        results = [shape_and_dtype(str(kind)) for kind in outputs]
        program = Program(str(module), "main", fast_math=fast_math)
    args = [(np.dtype(dtype), tuple(shape)) for shape, dtype in inputs]
    return load(program, args, [(dtype, shape) for shape, dtype in results])


Specs = list[tuple[np.dtype[Any], tuple[int, ...]]]


def load_on_cpu(program: Program, args: Specs, results: Specs) -> _gradopt.Runnable:
    """The program as code for this machine."""
    done = compile_program(program, "object")
    return _gradopt.Executable(
        done.object_code, args, results, done.arena_bytes, targets=[(0, square)]
    )


class Repeated:
    """A program on a device, of which each call is made twice: the bits have to be the same."""

    def __init__(self, executable: _gradopt.Runnable) -> None:
        self._executable = executable

    def __call__(self, *args: Any) -> Any:
        first, again = self._executable(*args), self._executable(*args)
        for a, b in zip(first, again, strict=True):
            assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
        return first


def load_on_device(program: Program, args: Specs, results: Specs) -> Any:
    """The program on the first device, a GPU or one that is emulated."""
    done = compile_program(program, "object", chip=chip_of(0))
    return Repeated(
        _gradopt.DeviceExecutable(
            done.object_code, 0, args, results, done.arena_bytes, targets=[(0, square)]
        )
    )


load = load_on_cpu


@dataclass(frozen=True)
class Point:
    """Derivatives of a function at one point; lists have an item for each differentiated operand.

    Attributes:
        value: f(x).
        tangent: J t.
        gradient: J^T c.
        tangents: the terms of the tangent, from one request for each operand alone.
        gradients: the gradient, from one request for each operand alone.
        forward_reverse: derivative of the gradient along t, by forward mode over reverse mode.
        reverse_forward: the same by reverse mode over forward mode: gradient of <c, J t>.
        forward_forward: derivative of J t along u.
        reverse_reverse: gradient of <u, J^T c> in x.
        pushed: gradient of <u, J^T c> in c, that is J u.
    """

    value: Array
    tangent: Array
    gradient: list[Array]
    tangents: list[Array]
    gradients: list[Array]
    forward_reverse: list[Array]
    reverse_forward: list[Array]
    forward_forward: Array | None
    reverse_reverse: list[Array]
    pushed: Array | None


class Derivatives:
    """Derivatives to the second order of a function, as one piece of code.

    Args:
        build: the function.
        operands: arrays of the shapes and dtypes of its arguments.
        wrt: which of them to differentiate; by default all of floats.
        order: 1 or 2.
    """

    def __init__(
        self,
        build: Build,
        operands: Sequence[Array],
        wrt: Sequence[int] | None = None,
        order: int = 2,
    ) -> None:
        self._build = build
        self._order = order
        floats = [i for i, a in enumerate(operands) if np.asarray(a).dtype.kind in "fc"]
        self.wrt = list(floats if wrt is None else wrt)
        self._specs = [(np.shape(a), np.asarray(a).dtype) for a in operands]
        with CONTEXT, ir.Location.unknown():
            self._result = self._result_spec()
        active = [self._specs[i] for i in self.wrt]
        inputs = [*self._specs, *active, *active, self._result]
        self._run = compile_main(inputs, self._main)

    @property
    def result(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and dtype of the function's result."""
        return self._result

    def _result_spec(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        module = ir.Module.create()
        with ir.InsertionPoint(module.body):
            types = define("f", [tensor(*spec) for spec in self._specs], self._build)
        return shape_and_dtype(str(types[0]))

    def _main(self, *arguments: ir.Value) -> list[ir.Value]:
        n, k = len(self._specs), len(self.wrt)
        x, t, u, c = (
            arguments[:n],
            arguments[n : n + k],
            arguments[n + k : n + 2 * k],
            arguments[-1],
        )
        wrt, kinds = self.wrt, [x[i].type for i in self.wrt]
        y = define("f", [a.type for a in x], self._build)

        def jvp(
            f: str, outputs: list[ir.Type], inputs: Any, tangents: Any, wrt: list[int]
        ) -> list[ir.Value]:
            every = list(range(len(outputs)))
            return list(grad.JvpOp([*outputs, *outputs], f, inputs, tangents, wrt, every).results)

        def vjp(
            f: str, outputs: list[ir.Type], inputs: Any, cts: Any, wrt: list[int]
        ) -> list[ir.Value]:
            every = list(range(len(outputs)))
            types = [inputs[i].type for i in wrt]
            return list(grad.VjpOp([*outputs, *types], f, inputs, cts, wrt, every).results)

        results = jvp("f", y, x, t, wrt)
        results += vjp("f", y, x, [c], wrt)[1:]
        if k > 1:
            for i, a in zip(wrt, t, strict=True):
                results += jvp("f", y, x, [a], [i])[1:]
            for i in wrt:
                results += vjp("f", y, x, [c], [i])[1:]
        if self._order < 2:
            return results
        define(
            "pushforward", [a.type for a in (*x, *t)], lambda *a: jvp("f", y, a[:n], a[n:], wrt)[1:]
        )
        define("pullback", [a.type for a in (*x, c)], lambda *a: vjp("f", y, a[:n], a[n:], wrt)[1:])
        results += jvp("pullback", kinds, [*x, c], t, wrt)[k:]
        results += vjp("pushforward", y, [*x, *t], [c], wrt)[1:]
        results += jvp("pushforward", y, [*x, *t], u, wrt)[1:]
        results += vjp("pullback", kinds, [*x, c], u, [*wrt, n])[k:]
        return results

    def __call__(
        self, x: Sequence[Array], t: Sequence[Array], c: Array, u: Sequence[Array] | None = None
    ) -> Point:
        """Derivatives at `x` along `t` and `u` (by default `t`) with the cotangent `c`."""
        arrays = [np.asarray(a) for a in self._run(*x, *t, *(t if u is None else u), c)]
        rest = iter(arrays)
        k = len(self.wrt)

        def take(count: int) -> list[Array]:
            return list(itertools.islice(rest, count))

        value, tangent = take(2)
        gradient = take(k)
        tangents, gradients = (take(k), take(k)) if k > 1 else ([tangent], gradient)
        second = self._order > 1
        return Point(
            value,
            tangent,
            gradient,
            tangents,
            gradients,
            forward_reverse=take(k) if second else [],
            reverse_forward=take(k) if second else [],
            forward_forward=next(rest, None),
            reverse_reverse=take(k) if second else [],
            pushed=next(rest, None),
        )
