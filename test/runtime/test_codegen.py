# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From modules to object code, and what is said when that fails."""

import re

import llvm_modules as modules
import numpy as np
import pytest
from mlir import ir

from gradopt import _gradopt


def test_host_target_names_a_vector_width():
    assert re.search(r" (128|256|512)-bit$", _gradopt.host_target())


def test_emits_llvm_ir_assembly_and_elf():
    text = modules.add_multiply(1024)
    ir_text = _gradopt.llvm_ir(modules.parse(text))
    assert "define" in ir_text
    assert "@gradopt_main" in ir_text
    width = int(_gradopt.host_target().split()[-1].removesuffix("-bit"))
    assert f"<{width // 64} x double>" in ir_text, "not vectorised at full width"
    assert "gradopt_main:" in _gradopt.assembly(modules.parse(text))
    assert modules.compile_text(text).startswith(b"\x7fELF")


@pytest.mark.parametrize(("type", "dtype"), [("f64", np.float64), ("f32", np.float32)])
def test_math_functions_are_inlined_and_vectorised(type, dtype):
    name = f"gradopt_exp_{type}"
    text = modules.elementwise(
        1000,
        1,
        [f"%r0 = llvm.call @{name}(%x0) : ({type}) -> {type}"],
        type,
        declarations=f"llvm.func @{name}({type}) -> {type}",
    )
    assert name not in _gradopt.llvm_ir(modules.parse(text))
    executable = _gradopt.Executable(
        modules.compile_text(text), [(dtype, (1000,))], [(dtype, (1000,))]
    )
    x = np.linspace(-80, 80, 1000, dtype=dtype)
    (y,) = executable(x)
    np.testing.assert_array_max_ulp(y, np.exp(x), maxulp=4)


def test_missing_entry_is_a_compilation_error():
    with pytest.raises(_gradopt.CompilationError, match="does not define `gradopt_main`"):
        modules.compile_text("llvm.func @other() { llvm.return }")


def test_module_of_an_earlier_stage_is_a_compilation_error():
    text = """func.func @gradopt_main(%a: tensor<2xf64>) -> tensor<2xf64> {
      return %a : tensor<2xf64> }"""
    with pytest.raises(_gradopt.CompilationError) as caught:
        modules.compile_text(text)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.severity == "error"
    assert "LLVM" in diagnostic.message


def test_a_module_is_not_changed_by_code_generation():
    module = modules.parse(modules.add_multiply(4))
    before = str(module)
    _gradopt.compile_module(module)
    assert str(module) == before


def test_warnings_reach_python():
    """As errors in all tests: what the compiler makes has to be free of them."""
    text = modules.add_multiply(4).replace("%buffers: !llvm.ptr", "%buffers: !llvm.ptr {grad.x}", 1)
    with pytest.warns(_gradopt.CompilationWarning, match=r"grad\.x"):
        _gradopt.compile_module(modules.parse(text))
    with pytest.raises(_gradopt.CompilationWarning, match=r"grad\.x"):
        _gradopt.compile_module(modules.parse(text))


def test_times_of_the_steps():
    times: dict[str, float] = {}
    _gradopt.compile_module(modules.parse(modules.add_multiply(4)), times)
    assert list(times) == ["translate", "optimize", "emit"]
    assert all(seconds > 0 for seconds in times.values())


def unbufferizable(location: str) -> ir.Module:
    context = modules.make_context()
    context.allow_unregistered_dialects = True
    return ir.Module.parse(
        f"""func.func @f(%a: tensor<2xf64>) -> tensor<2xf64> {{
          %0 = "unknown.op"(%a) : (tensor<2xf64>) -> tensor<2xf64> {location}
          return %0 : tensor<2xf64> }}""",
        context,
    )


@pytest.mark.parametrize(
    "location",
    [
        'loc("user.py":7:3)',
        'loc("tanh"("user.py":7:3))',
        'loc(callsite("user.py":7:3 at "main.py":1:2))',
        'loc(callsite("name only" at "user.py":7:3))',
        'loc(fused["no file", "user.py":7:3, "late.py":9:9])',
        'loc("user.py":7:3 to 7:20)',
    ],
)
def test_diagnostics_find_the_users_position(location):
    with pytest.raises(_gradopt.CompilationError, match="not bufferized") as caught:
        _gradopt.run_pipeline(unbufferizable(location), "builtin.module(one-shot-bufferize)")
    diagnostic = caught.value.diagnostics[0]
    assert diagnostic.severity == "error"
    assert (diagnostic.file, diagnostic.line, diagnostic.column) == ("user.py", 7, 3)
    assert "user.py" in diagnostic.location
    assert "user.py" in repr(diagnostic)


def test_diagnostic_without_a_file():
    with pytest.raises(_gradopt.CompilationError) as caught:
        _gradopt.run_pipeline(unbufferizable("loc(unknown)"), "builtin.module(one-shot-bufferize)")
    diagnostic = caught.value.diagnostics[0]
    assert (diagnostic.file, diagnostic.line, diagnostic.location) == (None, 0, "unknown")
    assert diagnostic.notes
    assert diagnostic.notes[0].severity == "note"


def test_pipelines_run_in_place():
    module = modules.parse("func.func private @unused() { return }")
    assert _gradopt.run_pipeline(module, "builtin.module(symbol-dce)") == []
    assert "@unused" not in str(module)


@pytest.mark.parametrize(
    "pipeline", ["builtin.module(no-such-pass)", "func.func(canonicalize)", "builtin.module("]
)
def test_bad_pipelines_are_value_errors(pipeline):
    with pytest.raises(ValueError, match=r"no-such-pass|anchored|expected"):
        _gradopt.run_pipeline(modules.parse(""), pipeline)


def test_stages_are_checked():
    assert _gradopt.stage_names()[0] == "adjoint"
    assert _gradopt.stage_names()[-1] == "llvm"
    with pytest.raises(ValueError, match="no such stage: nope"):
        _gradopt.run_stage(modules.parse(""), "nope")
    with pytest.raises(ValueError, match="no-such-option"):
        _gradopt.run_stage(modules.parse(""), "llvm", options="no-such-option=1")


def test_remarks_are_returned():
    module = modules.parse("""func.func @main(%x: tensor<9xf64>, %w: tensor<9x9xf64>) -> tensor<9xf64> {
      %0 = grad.sin %x : tensor<9xf64>
      %1 = grad.dot_general %w, %0, batch = [] x [], contract = [1] x [0]
        : tensor<9x9xf64>, tensor<9xf64> -> tensor<9xf64>
      return %1 : tensor<9xf64> }""")
    remarks = []
    for stage in _gradopt.stage_names():
        remarks += _gradopt.run_stage(module, stage, options="plan-remarks=true")
    assert remarks
    assert {remark.severity for remark in remarks} == {"remark"}


def test_other_objects_than_modules_are_type_errors():
    with pytest.raises((TypeError, AttributeError)):
        _gradopt.compile_module("module {}")
    with pytest.raises((TypeError, AttributeError, ValueError)):
        _gradopt.compile_module(modules.make_context())
