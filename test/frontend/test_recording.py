# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs as they are recorded, and their text as MLIR reads it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt import _compiler
from gradopt.dialects import grad as bindings
from gradopt.ir.types import shape_and_dtype, tensor_type
from gradopt.recording import grad, inference, ir
from gradopt.recording.text import location_text, module_text

DTYPES = [np.bool_, np.int8, np.int16, np.int32, np.int64, np.float32, np.float64]

NAMES = [
    "plain",
    "naïve λ",
    'a "quoted" one',
    "back\\slash",
    "tab\tand\nline",
    "",
    "1st",
    "@x, loc(",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_read_as_they_are(name: str) -> None:
    """Of functions, arguments and files."""
    scope: dict[str, Any] = {"np": np}
    exec(compile("def f(x):\n    return np.sin(x) * 2", f"{name}.py", "exec"), scope)
    f = scope["f"]
    f.__name__ = name
    x = np.linspace(0, 1, 3)
    text = go.compile(lambda x: go.grad(lambda v: np.sum(f(v)))(x)).lower(x).mlir(locations=True)
    shown = "".join(
        chr(b) if 32 <= b < 127 and b not in b'"\\' else "\\\\" if b == 92 else f"\\{b:02X}"
        for b in f"{name}.py".encode()
    )
    assert f'"{shown}":2:' in text
    gradient = go.compile(lambda p: go.grad(lambda q: np.sum(f(q[name])))(p))
    np.testing.assert_allclose(gradient({name: x})[name], 2 * np.cos(x))
    np.testing.assert_allclose(go.compile(go.vmap(f))(x), np.sin(x) * 2)


def constants() -> list[Any]:
    generator = np.random.default_rng(0)
    found: list[Any] = []
    for dtype in DTYPES:
        for shape in [(), (1,), (3,), (2, 3), (2, 1, 4), (0,), (2, 0)]:
            bits = generator.integers(0, 256, (*shape, np.dtype(dtype).itemsize), np.uint8)
            found.append(bits[..., 0] > 99 if dtype is np.bool_ else bits.view(dtype)[..., 0])
    found += [np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -1.5e308])]
    found += [np.array([np.iinfo(t).min, np.iinfo(t).max], t) for t in DTYPES[1:5]]
    return found


@pytest.mark.parametrize("array", constants(), ids=lambda a: f"{a.dtype}{list(a.shape)}")
def test_constants_keep_their_bits(array: Any) -> None:
    got = go.compile(lambda x: (x, np.concatenate([array.ravel(), array.ravel()])))(np.ones(2))[1]
    assert (got.dtype, got.shape) == (array.dtype, (2 * array.size,))
    assert got.tobytes() == 2 * array.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (12, 5, 1)])
def test_types_have_their_texts(shape: tuple[int, ...], dtype: Any) -> None:
    assert shape_and_dtype(tensor_type(shape, np.dtype(dtype))) == (shape, np.dtype(dtype))


def test_the_op_classes_are_those_of_the_bindings() -> None:
    def classes(module: Any) -> dict[str, Any]:
        return {
            name: getattr(thing, "OPERATION_NAME", None)
            for name, thing in vars(module).items()
            if isinstance(thing, type) and name.endswith("Op")
        }

    assert len(classes(grad)) > 90
    assert classes(grad) == classes(bindings)


def test_types_are_inferred_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    infer = _compiler.infer_types

    def counted(name: str, *rest: Any) -> list[str]:
        asked.append(name)
        return infer(name, *rest)

    monkeypatch.setattr(_compiler, "infer_types", counted)
    monkeypatch.setattr(inference, "_known", {})
    types = ["tensor<2x3xf32>", "tensor<3x4xf32>"]
    numbers = {"lhs_batch": [], "rhs_batch": [], "lhs_contract": [1], "rhs_contract": [0]}
    attributes = {name: ir.integers(value) for name, value in numbers.items()}
    for _ in range(3):
        assert inference.result_types("grad.dot_general", types, attributes) == ("tensor<2x4xf32>",)
    assert asked == ["grad.dot_general"]
    other = {**attributes, "lhs_contract": ir.integers([0])}
    types[0] = "tensor<3x2xf32>"
    assert inference.result_types("grad.dot_general", types, other) == ("tensor<2x4xf32>",)
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("name", "types", "attributes", "message"),
    [
        ("grad.nonsense", [], {}, "no rule"),
        ("func.return", [], {}, "no rule"),
        ("grad.less", ["tensor<2xf64>", "tensor<"], {}, "expected"),
        ("grad.transpose", ["tensor<2x3xf64>"], {"permutation": ir.UNIT}, "permutation"),
        ("grad.transpose", ["tensor<2x3xf64>"], {"permutation": ir.integers([0])}, "permutation"),
    ],
)
def test_what_has_no_type_is_an_error(
    name: str, types: list[str], attributes: dict[str, ir.Attribute], message: str
) -> None:
    with pytest.raises(go.errors.CompilerError, match=message):
        inference.result_types(name, types, attributes)


def test_text_of_a_module() -> None:
    body = ir.Block()
    place = ir.Location("f", None, "a.py", 3, 5)
    attributes = {
        "sym_name": ir.string("f"),
        "function_type": ir.function_type(["tensor<2xf64>"], ["tensor<2xf64>"]),
        "arg_attrs": ir.array([ir.dictionary({"grad.x": ir.integer(1)})]),
    }
    function = ir.Operation("func.func", [], [], attributes, 1, place, body)
    (block,) = function.regions
    x = block.add_argument("tensor<2xf64>", ir.Location("x", place))
    y = grad.sin(x, loc=place, ip=block)
    ir.Operation("func.return", [y], [], {}, 0, ir.UNKNOWN, block)
    text, plain = module_text(body)
    assert location_text(x.location) == '"x"("f"("a.py":3:5))'
    assert "loc(" not in plain
    work = _compiler.Compilation(text, "grad", locations=True)
    assert work.wait(60)
    lines = [line.strip() for line in work.text.splitlines()]
    assert "func.func @f(%arg0: tensor<2xf64> {grad.x = 1 : i64} loc(" in work.text
    assert '#loc1 = loc("a.py":3:5)' in lines
    assert any(line.startswith("%0 = grad.sin %arg0 : tensor<2xf64>") for line in lines)
