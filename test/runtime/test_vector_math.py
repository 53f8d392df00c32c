# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops over the math library: vectorised, with the rare slow paths still right."""

import llvm_modules as modules
import numpy as np
import pytest
from budget import generator

from gradopt import _compiler, _gradopt

TYPES = {"f64": np.float64, "f32": np.float32}
# Odd, so that the loop has whole vectors, a narrower epilogue and single elements.
COUNT = 1003

FUNCTIONS = {
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "cbrt": np.cbrt,
    "atan": np.arctan,
    "asinh": np.arcsinh,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
}


def module_text(name, type):
    return modules.elementwise(
        COUNT,
        1,
        [f"%r0 = llvm.call @gradopt_{name}_{type}(%x0) : ({type}) -> {type}"],
        type,
        declarations=f"llvm.func @gradopt_{name}_{type}({type}) -> {type}",
    )


def arguments(dtype):
    rng = generator(0)
    return rng.uniform(0.01, 30, COUNT).astype(dtype)


def check(name, type, x):
    signature = [(TYPES[type], (COUNT,))]
    text = module_text(name, type)
    executable = _gradopt.Executable(modules.compile_text(text), signature, signature)
    (y,) = executable(x)
    exact = FUNCTIONS[name](x.astype(np.float64 if type == "f32" else np.longdouble))
    np.testing.assert_array_max_ulp(y, exact.astype(TYPES[type]), maxulp=4)


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_loops_are_vectorised_at_full_width(name, type):
    text = modules.run(module_text(name, type), "llvm_ir").text
    width = int(_compiler.host_target().split()[-1].removesuffix("-bit"))
    element, bits = {"f64": ("double", 64), "f32": ("float", 32)}[type]
    assert f"store <{width // bits} x {element}>" in text
    assert f"@gradopt_{name}_{type}" not in text
    assert "_v" not in "".join(line for line in text.splitlines() if line.startswith("define"))


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_loops_compute_every_element(name, type):
    check(name, type, arguments(TYPES[type]))


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_huge_arguments_share_a_vector_with_ordinary_ones(name, type):
    x = arguments(TYPES[type])
    huge = generator(1).choice(COUNT, 60, replace=False)
    x[huge] = (10.0 ** np.linspace(5, 37 if type == "f32" else 307, 60)).astype(x.dtype)
    x[-1] = 1e30
    check(name, type, x)


@pytest.mark.parametrize("type", TYPES)
def test_infinite_and_nan_arguments_of_sin_in_a_vector(type):
    x = arguments(TYPES[type])
    x[[3, 10, COUNT - 1]] = np.inf, -np.inf, np.nan
    signature = [(TYPES[type], (COUNT,))]
    executable = _gradopt.Executable(
        modules.compile_text(module_text("sin", type)), signature, signature
    )
    (y,) = executable(x)
    assert np.flatnonzero(np.isnan(y)).tolist() == [3, 10, COUNT - 1]
