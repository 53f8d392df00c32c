# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions that are rewritten: which ones, and the functions that come of it.

A code object is rewritten once. A function is its code with its own globals, defaults and cells, so
that closures, methods and nested functions keep their meaning.
"""

from __future__ import annotations

import ast
import dis
import functools
import inspect
import itertools
import opcode
import os
import sysconfig
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from gradopt.base.called import is_undispatched
from gradopt.base.location import is_internal_file, unrewritten
from gradopt.rewrite.sites import OPERATORS
from gradopt.rewrite.source import NoSourceError, function_tree, future_flags, parameters
from gradopt.rewrite.syntax import OPERATORS_NAME, rewrite_function

_LIBRARIES = tuple(
    os.path.join(path, "")
    for path in {
        sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")
    }
)


class Rewritten(NamedTuple):
    """A code object that was rewritten.

    Attributes:
        code: the new one.
        operators: the object whose methods it calls.
    """

    code: CodeType
    operators: Any


# What came of code objects: None where nothing is to be done, or why it cannot be.
# By the ids of code objects, which are kept: equal ones may be from different files.
_known: dict[int, tuple[CodeType, Rewritten | str | None]] = {}
# Code that was made here, and is not to be rewritten again.
_made: dict[int, CodeType] = {}


def is_users(function: FunctionType, package: str = "") -> bool:
    """Whether a function is neither ours, nor Python's, nor of another installed package.

    Args:
        function: the function.
        package: an installed package that is the user's.
    """
    file = function.__code__.co_filename
    if is_users_file(file):
        return True
    is_ours = file.startswith("<") or is_internal_file(file)
    return not is_ours and package_of(function) == package


def is_users_file(file: str) -> bool:
    """Whether a file is neither ours, nor Python's, nor of an installed package."""
    return not (file.startswith(("<", *_LIBRARIES)) or is_internal_file(file))


def has_own_init(cls: type) -> bool:
    """Whether instances of a class are made by a function of the user's alone."""
    init: Any = cls.__init__
    return type(init) is FunctionType and is_users(init) and cls.__new__ is object.__new__


def package_of(function: FunctionType) -> str:
    """The outermost package that a function is in."""
    return (function.__module__ or "").partition(".")[0]


def rewritten(function: Any) -> Any:
    """The function, with its control flow as calls of operators, if it has any.

    Args:
        function: a Python function of the user's, a method, a `functools.partial` of one, or an
            object whose class has a `__call__`; anything else stays what it is.
    """
    kind = type(function)
    if kind is FunctionType:
        return _rewritten(function)
    if kind is MethodType:
        inner = rewritten(function.__func__)
        return function if inner is function.__func__ else MethodType(inner, function.__self__)
    if kind is functools.partial:
        inner = rewritten(function.func)
        if inner is function.func:
            return function
        return functools.partial(inner, *function.args, **function.keywords)
    call = lookup(kind, "__call__")
    if type(call) is FunctionType and is_users(call):
        inner = rewritten(call)
        return function if inner is call else MethodType(inner, function)
    return function


def is_rewritten(code: CodeType) -> bool:
    """Whether code is what comes of rewriting."""
    return id(code) in _made


def _rewritten(function: FunctionType) -> FunctionType:
    code = function.__code__
    if id(code) in _made or is_internal_file(code.co_filename):
        return function
    entry = _known.get(id(code))
    if entry is None:
        entry = _known[id(code)] = code, _rewrite(function)
        if isinstance(entry[1], str):
            unrewritten[id(code)] = entry[1]
    found = entry[1]
    if not isinstance(found, Rewritten):
        return function
    return _with_code(function, found)


def _with_code(function: FunctionType, found: Rewritten) -> FunctionType:
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    cells[OPERATORS_NAME] = CellType(found.operators)
    closure = tuple([cells[name] for name in found.code.co_freevars])
    made = FunctionType(
        found.code, function.__globals__, function.__name__, function.__defaults__, closure
    )
    made.__kwdefaults__ = function.__kwdefaults__
    made.__qualname__ = function.__qualname__
    made.__module__ = function.__module__
    made.__dict__.update(function.__dict__)
    return made


def _rewrite(function: FunctionType) -> Rewritten | str | None:
    """What comes of a function's code."""
    if not _has_control_flow(function):
        return None
    try:
        tree = function_tree(function)
    except NoSourceError as reason:
        return str(reason)
    code = function.__code__
    owner = function.__qualname__.rpartition("<locals>.")[2].split(".")[:-1]
    if owner and isinstance(tree, ast.FunctionDef):
        _mangle(tree, owner[-1])
    known = function.__globals__
    modules = frozenset([n for n in names_used(code) if type(known.get(n)) is ModuleType])
    made, sites = rewrite_function(tree, code.co_filename, modules)
    code = _compiled(made, code)
    _note(code)
    return Rewritten(code, OPERATORS[0](sites, package_of(function)))


def _mangle(tree: ast.FunctionDef, owner: str) -> None:
    """Gives private names of a method the form that Python's compiler gives them: `_C__x`."""
    prefix = f"_{owner.lstrip('_')}"

    def full(name: str) -> str:
        is_private = name.startswith("__") and not name.endswith("__") and "." not in name
        return f"{prefix}{name}" if is_private and prefix != "_" else name

    inner = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    theirs = {id(node) for outer in inner for part in outer.body for node in ast.walk(part)}
    for node in ast.walk(tree):
        if id(node) in theirs:
            continue
        for field in ("id", "attr", "arg"):
            if isinstance(getattr(node, field, None), str):
                setattr(node, field, full(getattr(node, field)))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node is not tree:
            node.name = full(node.name)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            node.names = [full(name) for name in node.names]


def assigned_cells(function: FunctionType) -> list[CellType]:
    """The variables of functions around it that a function assigns, or one that it defines."""
    code = function.__code__
    if not code.co_freevars:
        return []
    names = assigned_outside(code)
    cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
    return [cell for name, cell in cells if name in names]


@functools.lru_cache(4096)
def assigned_outside(code: CodeType) -> frozenset[str]:
    """The variables of functions around it that code assigns, or that of a function in it."""
    found: set[str] = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("STORE_DEREF", "DELETE_DEREF"):
            found.add(instruction.argval)
    for const in code.co_consts:
        if isinstance(const, CodeType):
            found |= assigned_outside(const)
    return frozenset(found).intersection(code.co_freevars)


@functools.lru_cache(4096)
def names_used(code: CodeType) -> tuple[str, ...]:
    """The names, but for local ones, that code uses, or that of a function or statement in it."""
    found = dict.fromkeys(code.co_names)
    for const in code.co_consts:
        if isinstance(const, CodeType):
            found.update(dict.fromkeys(names_used(const)))
    return tuple(found)


_TO_GLOBALS = {opcode.opmap["STORE_GLOBAL"], opcode.opmap["DELETE_GLOBAL"]}


@functools.lru_cache(4096)
def assigned_globals(code: CodeType) -> tuple[str, ...]:
    """The global names that code assigns, or that of a function in it."""
    found: dict[str, None] = {}
    if not _TO_GLOBALS.isdisjoint(code.co_code[::2]):
        for instruction in dis.get_instructions(code):
            if instruction.opcode in _TO_GLOBALS:
                found[instruction.argval] = None
    for const in code.co_consts:
        if isinstance(const, CodeType):
            found.update(dict.fromkeys(assigned_globals(const)))
    return tuple(found)


_FACTORY = "<factory>"


def _compiled(tree: ast.FunctionDef | ast.Lambda, original: CodeType) -> CodeType:
    """The code of a definition, whose free variables are those of the original code."""
    names = [*original.co_freevars, OPERATORS_NAME]
    if isinstance(tree, ast.Lambda):
        inner: ast.stmt = ast.copy_location(ast.Expr(tree), tree)
    else:
        # No name of the user's: a function that calls itself finds itself where it did.
        tree.name = "<function>"
        tree.decorator_list = []
        tree.returns = None
        for arg in parameters(tree):
            arg.annotation = None
        inner = tree
    tree.args.defaults = []
    tree.args.kw_defaults = [None] * len(tree.args.kwonlyargs)
    args = ast.arguments(
        posonlyargs=[],
        args=[ast.arg(name) for name in names],
        kwonlyargs=[],
        kw_defaults=[],
        defaults=[],
    )
    factory = ast.FunctionDef(_FACTORY, args, [inner], [], None)
    if "type_params" in ast.FunctionDef._fields:
        factory.type_params = []  # pyright: ignore[reportAttributeAccessIssue]
    ast.copy_location(factory, tree)
    module = ast.fix_missing_locations(ast.Module([factory], []))
    flags = future_flags(original)
    code = compile(module, original.co_filename, "exec", flags, dont_inherit=True)
    for _ in range(2):
        code = next(const for const in code.co_consts if isinstance(const, CodeType))
    qualname = getattr(original, "co_qualname", original.co_name)
    return _renamed(code, original.co_name, qualname)


def _renamed(code: CodeType, name: str, qualname: str) -> CodeType:
    """The code with the names that the user gave: parts of a function are called like it."""
    consts: list[Any] = []
    before = qualname if _is_class(code) else f"{qualname}.<locals>"
    for const in code.co_consts:
        if isinstance(const, CodeType):
            if _is_part(const):
                const = _renamed(const, name, qualname)
            else:
                inner = f"{before}.{const.co_name}"
                const = _renamed(const, const.co_name, inner)
        consts.append(const)
    names: dict[str, Any] = {"co_name": name, "co_consts": tuple(consts)}
    if hasattr(code, "co_qualname"):
        names["co_qualname"] = qualname
    return code.replace(**names)


def _is_part(code: CodeType) -> bool:
    name = code.co_name
    return name.startswith("<") and name[-2:-1].isdigit()


def _is_class(code: CodeType) -> bool:
    """Whether it is the body of a class."""
    return not code.co_flags & inspect.CO_OPTIMIZED


def _note(code: CodeType) -> None:
    _made[id(code)] = code
    for const in code.co_consts:
        # The methods of a class that is defined in the function stay what they are here.
        if isinstance(const, CodeType) and not _is_class(const):
            _note(const)


# -- Which functions there is nothing to rewrite in --------------------------------------------

# Jumps, loops, and calls of what is no global name and no attribute.
_CONTROL = frozenset(
    number
    for name, number in opcode.opmap.items()
    if "JUMP" in name
    or name in ("FOR_ITER", "GET_ITER", "PUSH_NULL", "STORE_SUBSCR", "STORE_SLICE", "STORE_ATTR")
    or name
    in (
        "STORE_GLOBAL",
        "DELETE_SUBSCR",
        "DELETE_ATTR",
        "RAISE_VARARGS",
        "MAKE_FUNCTION",
        "BINARY_SLICE",
        "BUILD_STRING",
        "FORMAT_VALUE",
        "FORMAT_SIMPLE",
        "FORMAT_WITH_SPEC",
        "CONTAINS_OP",
        "CHECK_EXC_MATCH",
        "PUSH_EXC_INFO",
        "GEN_START",
        "RETURN_GENERATOR",
    )
    or name.startswith("UNARY_NOT")
)
_SUBSCRIPT = opcode.opmap.get("BINARY_SUBSCR", -1)
_COMPARISON = opcode.opmap["COMPARE_OP"]
# A list in the function may be indexed.
_INDEXED_LISTS = {opcode.opmap["BUILD_LIST"], _SUBSCRIPT}
# What may be a special method of the user's.
_OPERATIONS = frozenset(
    number
    for name, number in opcode.opmap.items()
    if name.startswith(("BINARY_", "UNARY_", "COMPARE_", "INPLACE_"))
)
_DISPLAYS = {opcode.opmap["BUILD_LIST"], opcode.opmap["BUILD_TUPLE"]}
# What a tuple may be for, if it is no argument.
_NOT_GIVEN = frozenset(
    {"BINARY_SUBSCR", "STORE_SUBSCR", "RETURN_VALUE", "UNPACK_SEQUENCE", "BUILD_TUPLE"}
)
_SAFE_MODULES = ("numpy", "gradopt")
# NumPy looks for traced values in what these get; or it is a shape.
_LISTS_OR_SHAPES = (
    "append block broadcast_to column_stack concatenate dstack empty full hstack moveaxis ones pad "
    "permute_dims reshape resize roll row_stack stack take tile transpose vstack zeros"
)
_LOOKED_INTO = frozenset(_LISTS_OR_SHAPES.split())


@functools.lru_cache(4096)
def _gives_lists(code: CodeType) -> bool:
    """Whether functions of NumPy may get lists in which it does not look for traced values."""
    names = [name for name in code.co_names if callable(vars(np).get(name))]
    if all(name in _LOOKED_INTO for name in names):
        return False
    instructions = list(dis.get_instructions(code))
    return any(
        first.opname == "BUILD_LIST"
        or (first.opname == "BUILD_TUPLE" and second.opname not in _NOT_GIVEN)
        for first, second in itertools.pairwise(instructions)
    )


def _has_control_flow(function: FunctionType) -> bool:
    """Whether rewriting a function could make a difference; answers quickly for most.

    What has no jumps, and calls nothing but functions of NumPy and of this package, and methods of
    arrays, stays what it is.
    """
    code = function.__code__
    if not hasattr(code, "co_positions") or not _CONTROL.isdisjoint(code.co_code[::2]):
        return True
    used = set(code.co_code[::2])
    if _COMPARISON in used and (used & _DISPLAYS or any(type(c) is tuple for c in code.co_consts)):
        return True  # Tuples may be compared.
    if _SUBSCRIPT in used and any(type(constant) is tuple for constant in code.co_consts):
        return True  # A tuple of numbers may be indexed.
    if used >= _INDEXED_LISTS or (used & _DISPLAYS and _gives_lists(code)):
        return True
    if any(map(_is_sparse, function.__defaults__ or ())):
        return True
    names = function.__globals__
    if not _OPERATIONS.isdisjoint(used) and _knows_special_methods(names):
        return True
    cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
    calls_methods = not _TAKING_ARRAYS.isdisjoint(code.co_names)
    for name in code.co_names:
        if name in names and _may_call(names[name], calls_methods):
            return True
        is_known = hasattr(np.ndarray, name) or _is_numpy_name(name)
        if name in REPLACED_BUILTINS and name not in names:
            is_known = is_known and name not in _globals_of(code)
        if name in _EFFECTS or (name not in names and not is_known):
            return True
    for cell in cells.values():
        try:
            if _may_call(cell.cell_contents, calls_methods):
                return True
        except ValueError:
            return True
    return False


# Of each module how many names it had, and whether one is that of a class with special methods.
_modules: dict[int, tuple[int, bool]] = {}


def _knows_special_methods(names: dict[str, Any]) -> bool:
    """Whether a global name is that of a class of the user's with special methods, as `__add__`."""
    known = _modules.get(id(names))
    if known is None or known[0] != len(names):
        classes = [value for value in names.values() if isinstance(value, type)]
        found = any(special_methods(value) for value in classes if value.__flags__ & HEAP_TYPE)
        known = _modules[id(names)] = len(names), found
    return known[1]


# Py_TPFLAGS_HEAPTYPE: of a class that a class statement makes.
HEAP_TYPE = 1 << 9


# What `lookup` gives for names that no class of an object has.
MISSING = object()


def lookup(kind: type, name: str) -> Any:
    """What a class has by the name of a special method, unbound, or `MISSING`.

    Unlike `getattr`, it does not find what the metaclass has, as Python does not for operators.
    """
    for base in kind.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return MISSING


def special_methods(kind: type) -> list[str]:
    """The special methods of a class that are functions of the user's, and not called by name."""
    return [
        name
        for base in kind.__mro__
        for name, member in vars(base).items()
        if name.startswith("__")
        and name.endswith("__")
        and name not in ("__init__", "__call__", "__new__")
        and _is_users_method(member)
    ]


def _is_users_method(member: Any) -> bool:
    kind = type(member)
    if kind is staticmethod or kind is classmethod:
        member = member.__func__
    return type(member) is FunctionType and is_users(member)


@functools.lru_cache(4096)
def _globals_of(code: CodeType) -> frozenset[str]:
    """The names that are read as global ones, and not as attributes."""
    loads = [i for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")]
    return frozenset([i.argval for i in loads])


# Attributes that NumPy has, too, and that may have effects: `seen.append(x)`, `np.random.normal()`.
_EFFECTS = frozenset(
    {"add", "append", "fill", "insert", "partition", "put", "random", "resize", "sort", "copyto"}
)
# Methods of arrays that take arrays.
_TAKING_ARRAYS = frozenset(
    {"choose", "clip", "compress", "dot", "put", "repeat", "searchsorted", "take"}
)
# Functions that other ones take the place of in rewritten code.
REPLACED_NAMES: set[str] = set()
# The same of Python's functions: `max(x)` is rewritten, `np.max(x)` need not be.
REPLACED_BUILTINS: set[str] = set()


@functools.cache
def _numpys_names() -> frozenset[str]:
    # Not by `hasattr`: NumPy warns of some names.
    return frozenset((*dir(np), *dir(np.linalg)))


def _is_numpy_name(name: str) -> bool:
    return name not in REPLACED_NAMES and name in _numpys_names()


def _is_sparse(value: Any) -> bool:
    return type(value).__module__.startswith("scipy.sparse.")


def _may_call(value: Any, calls_methods: bool) -> bool:
    """Whether a global value is a function that has something to rewrite.

    Args:
        value: the value.
        calls_methods: whether methods are called that take arrays, in which NumPy does not look for
            traced values if the method is that of a concrete array.
    """
    if calls_methods and isinstance(value, np.ndarray):
        return True
    if isinstance(value, (list, tuple, np.vectorize)):
        return True  # It may be indexed by, or called with, what is traced.
    if _is_sparse(value):
        return True  # It may be multiplied with what is traced.
    if is_undispatched(value):
        return True
    if isinstance(value, ModuleType):
        return not value.__name__.startswith(_SAFE_MODULES)
    if not callable(value):
        return False
    module = getattr(value, "__module__", None) or ""
    return not module.startswith(_SAFE_MODULES)
