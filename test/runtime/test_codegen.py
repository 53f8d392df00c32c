# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From modules to object code, and what is said when that fails."""

import re
from pathlib import Path

import llvm_modules as modules
import numpy as np
import pytest

from gradopt import _compiler, _gradopt
from gradopt.compilation import compiler


def test_host_target_names_a_vector_width():
    assert re.search(r" (128|256|512)-bit$", _compiler.host_target())


def test_emits_llvm_ir_assembly_and_elf():
    text = modules.add_multiply(1024)
    ir_text = modules.run(text, "llvm_ir").text
    assert "define" in ir_text
    assert "@gradopt_main" in ir_text
    width = int(_compiler.host_target().split()[-1].removesuffix("-bit"))
    assert f"<{width // 64} x double>" in ir_text, "not vectorised at full width"
    assert "gradopt_main:" in modules.run(text, "assembly").text
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
    assert name not in modules.run(text, "llvm_ir").text
    executable = _gradopt.Executable(
        modules.compile_text(text), [(dtype, (1000,))], [(dtype, (1000,))]
    )
    x = np.linspace(-80, 80, 1000, dtype=dtype)
    (y,) = executable(x)
    np.testing.assert_array_max_ulp(y, np.exp(x), maxulp=4)


# What Linux calls the features of x86-64-v3.
LEVEL_3 = {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"}
NAME = "gradopt_gammainc_f64"
SPECIAL = modules.elementwise(
    4,
    2,
    [f"%r0 = llvm.call @{NAME}(%x0, %x1) : (f64, f64) -> f64"],
    declarations=f"llvm.func @{NAME}(f64, f64) -> f64",
)


@pytest.mark.parametrize("cpu", ["", "x86-64-v2", "x86-64-v3"])
def test_special_functions_are_those_of_the_library_or_linked_in(cpu):
    program = compiler.Program(SPECIAL, "main")
    text = compiler.compile_program(program, "llvm_ir", source="llvm", cpu=cpu).text
    # Code for other machines carries them with it; this one, if it is new enough, has them.
    is_linked = re.search(rf"define .*@{NAME}", text) is not None
    flags = re.search(r"^flags.*", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    is_level_3 = flags is not None and set(flags[0].split()) >= LEVEL_3
    assert is_linked == (bool(cpu) or not is_level_3)
    done = compiler.compile_program(program, "object", source="llvm", cpu=cpu)
    spec = (np.float64, (4,))
    a, x = np.full(4, 2.0), np.array([0.1, 0.5, 1.5, 7.0])
    (y,) = _gradopt.Executable(done.object_code, [spec, spec], [spec])(a, x)
    np.testing.assert_allclose(y, -np.expm1(-x) - x * np.exp(-x), 1e-13)


def test_missing_entry_is_a_compilation_error():
    with pytest.raises(_compiler.CompilationError, match="does not define `gradopt_main`"):
        modules.compile_text("llvm.func @other() { llvm.return }")


def test_module_of_an_earlier_stage_is_a_compilation_error():
    text = """func.func @gradopt_main(%a: tensor<2xf64>) -> tensor<2xf64> {
      return %a : tensor<2xf64> }"""
    with pytest.raises(_compiler.CompilationError) as caught:
        modules.compile_text(text)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.severity == "error"
    assert "LLVM" in diagnostic.message


def test_warnings_reach_python():
    """As errors in all tests: what the compiler makes has to be free of them."""
    text = modules.add_multiply(4).replace("%buffers: !llvm.ptr", "%buffers: !llvm.ptr {grad.x}", 1)
    program = compiler.Program(text, "main")
    with pytest.warns(_compiler.CompilationWarning, match=r"grad\.x"):
        compiler.compile_program(program, "assembly", source="llvm")
    with pytest.raises(_compiler.CompilationWarning, match=r"grad\.x"):
        compiler.compile_program(program, "assembly", source="llvm")


def test_times_of_the_steps():
    seconds = modules.run(PROGRAM, "assembly", "grad").seconds
    codegen = ["translate", "optimize", "emit"]
    assert list(seconds) == ["grad", *_compiler.stage_names(), *codegen]
    assert all(each > 0 for each in seconds.values())
    seconds = modules.run(modules.add_multiply(4), "llvm_ir").seconds
    assert list(seconds) == ["grad", "translate", "optimize"]


def unbufferizable(location: str) -> str:
    return f"""func.func @f(%a: tensor<2xf64>) -> tensor<2xf64> {{
      %0 = tosa.sin %a : (tensor<2xf64>) -> tensor<2xf64> {location}
      return %0 : tensor<2xf64> }}"""


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
    with pytest.raises(_compiler.CompilationError, match="not bufferized") as caught:
        _ = modules.run(unbufferizable(location), "bufferized", "linalg").text
    diagnostic = caught.value.diagnostics[0]
    assert diagnostic.severity == "error"
    assert (diagnostic.file, diagnostic.line, diagnostic.column) == ("user.py", 7, 3)
    assert "user.py" in diagnostic.location
    assert "user.py" in repr(diagnostic)


def test_diagnostic_without_a_file():
    with pytest.raises(_compiler.CompilationError) as caught:
        _ = modules.run(unbufferizable("loc(unknown)"), "bufferized", "linalg").text
    diagnostic = caught.value.diagnostics[0]
    assert (diagnostic.file, diagnostic.line, diagnostic.location) == (None, 0, "unknown")
    assert diagnostic.notes
    assert diagnostic.notes[0].severity == "note"


def test_requests_are_checked():
    assert _compiler.stage_names()[0] == "adjoint"
    assert _compiler.stage_names()[-1] == "llvm"
    for target, source in (("nope", "grad"), ("llvm", "nope"), ("object", "object")):
        with pytest.raises(ValueError, match=r"no such stage: (nope|object)"):
            _compiler.Compilation("", target, source=source)
    with pytest.raises(ValueError, match="stage linalg comes before llvm"):
        _compiler.Compilation("", "linalg", source="llvm")
    with pytest.raises(ValueError, match="no-such-option"):
        _compiler.Compilation("", "llvm", options="no-such-option=1")
    with pytest.raises(TypeError):
        _compiler.Compilation(1, "llvm")


def test_text_that_is_no_program_is_a_compilation_error():
    with pytest.raises(_compiler.CompilationError, match="custom op 'nonsense' is unknown"):
        _ = modules.run("nonsense", "grad", "grad").text


PROGRAM = """func.func @main(%x: tensor<9xf64>, %w: tensor<9x9xf64>) -> tensor<9xf64> {
  %0 = grad.sin %x : tensor<9xf64>
  %1 = grad.dot_general %w, %0, batch = [] x [], contract = [1] x [0]
    : tensor<9x9xf64>, tensor<9xf64> -> tensor<9xf64>
  return %1 : tensor<9xf64> }"""


def test_remarks_are_returned():
    remarks = modules.run(PROGRAM, "llvm", "grad", options="plan-remarks=true").diagnostics
    assert remarks
    assert {remark.severity for remark in remarks} == {"remark"}


def test_a_stage_can_be_reached_from_any_stage_before():
    stages = ["grad", *_compiler.stage_names()]
    texts = [modules.run(PROGRAM, stage, "grad").text for stage in stages]
    for i, source in enumerate(stages):
        for j in range(i, len(stages)):
            assert modules.run(texts[i], stages[j], source).text == texts[j]
        assert modules.run(texts[i], "object", source).object_code.startswith(b"\x7fELF")


def test_results_are_there_when_it_is_done():
    work = _compiler.Compilation(modules.chain(1000), "object")
    assert not work.wait(0)
    with pytest.raises(ValueError, match="not done"):
        _ = work.object_code
    while not work.wait(60):
        pass
    assert work.wait(0)
    assert work.stage == "emit"
    assert work.object_code.startswith(b"\x7fELF")


def test_long_blocks_are_divided_and_compute_the_same():
    statements = 3000
    lines = ["%s0 = llvm.fadd %x0, %x0 : f64"]
    for i in range(statements):
        operation = f"fsub %s{i}, %s{i // 2}" if i % 2 else f"fmul %s{i}, %x0"
        lines.append(f"%s{i + 1} = llvm.{operation} : f64")
    lines.append(f"%r0 = llvm.fadd %s{statements}, %x0 : f64")
    text = modules.elementwise(5, 1, ["\n".join(lines)])
    assert len(re.findall(r"^\d+:", modules.run(text, "llvm_ir").text, re.MULTILINE)) >= 3
    x = np.linspace(0.3, 0.7, 5)
    values = [x + x]
    for i in range(statements):
        values.append(values[i] - values[i // 2] if i % 2 else values[i] * x)
    assert np.isfinite(values[-1]).all()
    executable = _gradopt.Executable(
        modules.compile_text(text), [(np.float64, (5,))], [(np.float64, (5,))]
    )
    np.testing.assert_array_equal(executable(x)[0], values[-1] + x)


def test_the_rest_of_a_short_loop_is_a_vector_with_a_mask():
    """Where the CPU has instructions for that; the loop is made of vectors everywhere."""
    text = """
    func.func public @main(%x: tensor<40x25xf64>) -> tensor<40x23xf64> {
      %a = grad.slice %x, offsets = [0, 2], sizes = [40, 23], strides = [1, 1]
          : tensor<40x25xf64> -> tensor<40x23xf64>
      %b = grad.slice %x, offsets = [0, 0], sizes = [40, 23], strides = [1, 1]
          : tensor<40x25xf64> -> tensor<40x23xf64>
      %c = grad.multiply %a, %b : tensor<40x23xf64>
      return %c : tensor<40x23xf64>
    }
    """
    program = compiler.Program(text, "main")
    for cpu, masked in (("x86-64-v2", None), ("x86-64-v3", "vmaskmovpd"), ("x86-64-v4", "{%k1}")):
        code = compiler.compile_program(program, "assembly", cpu=cpu).text
        assert re.search(r"\bv?mulpd\b", code)
        assert masked in code if masked else "maskmov" not in code
        assert ("mulsd" in code) == (not masked)
    done = compiler.compile_program(program, "object")
    x = np.random.default_rng(0).normal(size=(40, 25))
    (got,) = _gradopt.Executable(
        done.object_code, [(np.float64, (40, 25))], [(np.float64, (40, 23))]
    )(x)
    np.testing.assert_array_equal(got, x[:, 2:] * x[:, :-2])
