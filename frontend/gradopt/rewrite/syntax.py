# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Statements and expressions as calls of operators.

    if x > 0:           def <body 1>():
        y = x               nonlocal y
    else:                   y = x
        y = -x     =>   def <else 2>():
                            nonlocal y
                            y = -x
                        <gradopt>.branch(0, x > 0, <body 1>, <else 2>)

The parts of a statement are functions on the variables of the user's function. What leaves a part
by `return`, `break` or `continue` returns an exit; what stands behind a statement that may be left
so is one more such function:

    <gradopt>.value(<gradopt>.then(1, <gradopt>.branch(0, ...), <rest 3>))

All nodes keep their positions, so that tracebacks, debuggers and coverage see the user's code.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence
from typing import Any, TypeVar

from gradopt.errors import SourceLocation
from gradopt.rewrite.desugar import desugared
from gradopt.rewrite.names import (
    NONE,
    SCOPES,
    Liveness,
    Names,
    absorb,
    bound,
    declared,
    inside,
    leaves,
    shared,
    used,
)
from gradopt.rewrite.sites import Site
from gradopt.rewrite.source import Function, parameters

# Python does not let users write these.
OPERATORS_NAME = "<gradopt>"
_ITEM, _EXIT = "<item>", "<exit>"

# These look at the frame that calls them.
_OF_THE_FRAME = frozenset({"super", "locals", "globals", "vars", "dir", "eval", "exec"})
_SUSPENDS = (ast.Yield, ast.YieldFrom, ast.Await)

_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "truediv",
    ast.FloorDiv: "floordiv",
    ast.Mod: "mod",
    ast.Pow: "pow",
    ast.LShift: "lshift",
    ast.RShift: "rshift",
    ast.BitAnd: "and",
    ast.BitOr: "or",
    ast.BitXor: "xor",
    ast.MatMult: "matmul",
}
_UNARY: dict[type[ast.unaryop], str] = {ast.USub: "neg", ast.UAdd: "pos", ast.Invert: "invert"}
_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Gt: "gt",
    ast.GtE: "ge",
}

N = TypeVar("N", bound=ast.AST)


def rewrite_function(tree: Function, file: str, modules: Names) -> tuple[Function, list[Site]]:
    """The definition with its statements and expressions as calls; what they are.

    Args:
        tree: the definition.
        file: that it is in.
        modules: names of modules outside of it.
    """
    sites: list[Site] = []
    return _Rewriter(tree, file, sites, modules).function(), sites


def _at(node: N, place: ast.AST) -> N:
    """A new node, and those in it, at the place of another one."""
    for new in ast.walk(node):
        if not hasattr(new, "lineno") and isinstance(
            new, (ast.expr, ast.stmt, ast.arg, ast.keyword)
        ):
            ast.copy_location(new, place)
    return node


def _name(name: str, store: bool = False) -> ast.Name:
    return ast.Name(name, ast.Store() if store else ast.Load())


def _operator(name: str, arguments: Sequence[ast.expr]) -> ast.Call:
    function = ast.Attribute(_name(OPERATORS_NAME), name, ast.Load())
    return ast.Call(function, list(arguments), [])


def _no_arguments(names: Sequence[str] = ()) -> ast.arguments:
    args = [ast.arg(name) for name in names]
    return ast.arguments(posonlyargs=[], args=args, kwonlyargs=[], kw_defaults=[], defaults=[])


class _Rewriter(ast.NodeTransformer):
    """Rewrites one function; those that are defined in it have rewriters of their own."""

    def __init__(
        self, tree: Function, file: str, sites: list[Site], modules: Names, qualname: str = ""
    ) -> None:
        self._tree = tree
        self._file = file
        self._sites = sites
        self._name = getattr(tree, "name", "<lambda>")
        self._qualname = f"{qualname}.{self._name}" if qualname else self._name
        body = [] if isinstance(tree, ast.Lambda) else tree.body
        nodes = list(inside(body))
        self._suspends = any(isinstance(node, _SUSPENDS) for node in nodes)
        called = {
            n.func.id for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        }
        # Parts that are functions would give another answer.
        self._keeps_statements = bool((called & _OF_THE_FRAME) - {"super"})
        self._global = declared(body, ast.Global)
        self._nonlocal = declared(body, ast.Nonlocal)
        self._parameters = frozenset(arg.arg for arg in parameters(tree))
        first = [*tree.args.posonlyargs, *tree.args.args][:1]
        self._first = first[0].arg if first else ""
        self._modules = modules - bound(body) - self._parameters
        self._shared = NONE
        self._functions = 0
        self._live: Liveness | None = None

    def function(self) -> Any:
        """The function, rewritten."""
        tree = self._tree
        if isinstance(tree, ast.Lambda):
            tree.body = self.visit(tree.body)
            return tree
        if self._keeps_statements:
            tree.body = [self.visit(stmt) for stmt in tree.body]
            return tree
        tree.body = desugared(tree.body, bool(shared(tree.body)))
        names = bound(tree.body)
        self._shared = shared(tree.body) & (names | self._nonlocal | self._parameters)
        body = absorb(tree.body)
        self._live = Liveness(body)
        body = self._block(body, is_part=False, is_tail=True)
        missing = names - self._global - self._nonlocal - self._parameters
        tree.body = [*self._bindings(missing), *self._owned(), *body]
        return tree

    def _bindings(self, names: Names) -> list[ast.stmt]:
        """Makes names variables of this function: its parts may be all that assigns them."""
        if not names:
            return []
        assign = ast.Assign([_name(name, store=True) for name in sorted(names)], ast.Constant(None))
        return [_at(ast.If(ast.Constant(False), [assign], []), self._tree)]

    def _owned(self) -> list[ast.stmt]:
        """Says which variables of this function others assign."""
        own = sorted(self._shared - self._nonlocal - self._global)
        if not own:
            return []
        names = ast.Tuple([_name(name) for name in own], ast.Load())
        call = _operator("owns", [ast.Lambda(_no_arguments(), names)])
        return [_at(ast.Expr(call), self._tree)]

    # -- Statements ------------------------------------------------------------------------

    def _block(self, stmts: Sequence[ast.stmt], is_part: bool, is_tail: bool) -> list[ast.stmt]:
        """Statements, rewritten.

        Args:
            stmts: the statements.
            is_part: whether they stand in a part of a statement, which returns exits.
            is_tail: whether nothing in their function follows on them.
        """
        result: list[ast.stmt] = []
        for i, stmt in enumerate(stmts):
            is_control = isinstance(stmt, (ast.If, ast.While, ast.For))
            if not is_control or (self._suspends and not is_part and _suspends(stmt)):
                result += self._plain(stmt, is_part)
                continue
            may_leave = leaves([stmt])
            rest = stmts[i + 1 :]
            after = self._after(stmt)
            # Not the whole statement: what is computed for it, for messages.
            place = stmt.iter if isinstance(stmt, ast.For) else stmt.test
            definitions, call = self._control(stmt, after)
            result += definitions
            if not may_leave:
                result.append(_at(ast.Expr(call), place))
                continue
            if rest:
                number = self._site("rest", stmt, rest, after)
                part = self._part("rest", rest)
                result.append(part)
                call = _operator("then", [ast.Constant(number), call, _name(part.name)])
            if is_tail:
                if not is_part:
                    call = _operator("value", [call])
                result.append(_at(ast.Return(call), place))
                return result
            call = _operator("settled", [call])
            result.append(_at(ast.Assign([_name(_EXIT, store=True)], call), place))
            value: ast.expr = _name(_EXIT)
            is_left = ast.Compare(_name(_EXIT), [ast.IsNot()], [ast.Constant(None)])
            if not is_part:
                value = _operator("value", [value])
            result.append(_at(ast.If(is_left, [ast.Return(value)], []), place))
            return result
        return result

    def _after(self, stmt: ast.stmt) -> Names:
        assert self._live is not None
        return self._live.after[id(stmt)]

    def _plain(self, stmt: ast.stmt, is_part: bool) -> list[ast.stmt]:
        """A statement that stays what it is."""
        if isinstance(stmt, ast.Return) and is_part:
            value = ast.Constant(None) if stmt.value is None else self.visit(stmt.value)
            return [_at(ast.Return(_operator("leave", [value])), stmt)]
        if isinstance(stmt, (ast.Break, ast.Continue)) and not is_part:
            return [stmt]  # Of a loop that stays Python's own.
        if isinstance(stmt, (ast.Break, ast.Continue)):
            kind = "BREAK" if isinstance(stmt, ast.Break) else "CONTINUE"
            value = ast.Attribute(_name(OPERATORS_NAME), kind, ast.Load())
            return [_at(ast.Return(value), stmt)]
        if isinstance(stmt, ast.Raise) and stmt.exc is not None:
            causes = [] if stmt.cause is None else [self.visit(stmt.cause)]
            stmt.exc = _at(_operator("raised", [self.visit(stmt.exc), *causes]), stmt.exc)
            stmt.cause = None
            return [stmt]
        if isinstance(stmt, ast.Raise):
            stmt.exc = _at(_operator("raised", []), stmt)
            return [stmt]
        if isinstance(stmt, ast.Assert) and __debug__:
            messages = [] if stmt.msg is None else [_later(self.visit(stmt.msg))]
            check = ast.Expr(_operator("asserted", [self.visit(stmt.test), *messages]))
            return [_at(check, stmt)]
        if isinstance(stmt, ast.Assert):
            return [stmt]  # Python drops it.
        if isinstance(stmt, ast.Global | ast.Nonlocal) and is_part:
            return [_at(ast.Pass(), stmt)]  # Each part declares its own.
        if isinstance(stmt, ast.AnnAssign):
            # What is declared as nonlocal cannot be annotated.
            if stmt.value is None:
                return [_at(ast.Pass(), stmt)]
            stmt = ast.copy_location(ast.Assign([stmt.target], stmt.value), stmt)
        if isinstance(stmt, SCOPES):
            return [self.visit(stmt)]
        before: list[ast.stmt] = []
        if isinstance(stmt, ast.AugAssign) and isinstance(stmt.target, ast.Name):
            # A list that is added to changes.
            target = _name(stmt.target.id)
            before.append(_at(ast.Expr(_operator("update", [target])), stmt))
            name = ast.Constant(_BINARY[type(stmt.op)])
            found = _operator("in_place", [name, target, self.visit(stmt.value)])
            return [*before, _at(ast.Assign([_name(stmt.target.id, store=True)], found), stmt)]
        replaces = False
        for field, value in ast.iter_fields(stmt):
            if field in ("body", "orelse", "finalbody"):
                if value:
                    replaces |= field == "finalbody" and _may_replace(value)
                    setattr(stmt, field, self._block(value, is_part, is_tail=False))
            elif field in ("handlers", "cases"):
                for part in value:
                    part.body = self._block(part.body, is_part, is_tail=False)
                    if field == "handlers" and part.type is not None:
                        part.type = self.visit(part.type)
                    elif field == "cases" and part.guard is not None:
                        part.guard = self.visit(part.guard)
            elif isinstance(value, ast.AST):
                setattr(stmt, field, self.visit(value))
            elif isinstance(value, list):
                setattr(
                    stmt, field, [self.visit(v) if isinstance(v, ast.AST) else v for v in value]
                )
        if isinstance(stmt, ast.Assign):
            is_unpacked = any(isinstance(t, ast.Tuple | ast.List) for t in stmt.targets)
            if is_unpacked and len(stmt.targets) == 1:
                stmt.value = _iterated(stmt.value, "unpacked")
        if isinstance(stmt, ast.Try) or hasattr(stmt, "handlers"):
            self._guard(stmt)
        if replaces:
            _ends_all(stmt)
        return [*before, stmt]

    @staticmethod
    def _guard(stmt: Any) -> None:
        """Handlers of the user's do not get what the compiler raises for itself.

        try:                try:
            f()                 <gradopt>.begins_try(lambda: ValueError)
        except ValueError:      try:
            g()         =>          f()
                                finally:
                                    <gradopt>.ends_try()
                            except <gradopt>.own_error(lambda: ValueError): raise
                            except ValueError:
                                g()
        """
        if not stmt.handlers:
            return
        kinds: list[ast.expr] = [
            ast.Constant(None) if h.type is None else h.type for h in stmt.handlers
        ]
        caught = _later(ast.copy_location(ast.Tuple(copy.deepcopy(kinds), ast.Load()), stmt))
        begin, end = _operator("begins_try", [caught]), _operator("ends_try", [])
        inner = ast.Try(stmt.body, [], [], [_at(ast.Expr(end), stmt)])
        stmt.body = [_at(ast.Expr(begin), stmt), _at(inner, stmt)]
        if isinstance(stmt, ast.Try):
            own = ast.ExceptHandler(
                _operator("own_error", [copy.deepcopy(caught)]), None, [ast.Raise()]
            )
            stmt.handlers.insert(0, _at(own, stmt))

    def _control(
        self, stmt: ast.If | ast.While | ast.For, after: Names
    ) -> tuple[list[ast.stmt], ast.expr]:
        """The parts of a statement, as functions, and the call that runs it."""
        nothing = ast.Constant(None)
        if isinstance(stmt, ast.If):
            number = self._site("if", stmt, [*stmt.body, *stmt.orelse], after)
            parts = [self._part("body", stmt.body)]
            parts += [self._part("else", stmt.orelse)] if stmt.orelse else []
            names: list[ast.expr] = [_name(part.name) for part in parts]
            test = self.visit(stmt.test)
            return [*parts], _operator("branch", [ast.Constant(number), test, *names])
        orelse = [self._part("else", stmt.orelse)] if stmt.orelse else []
        otherwise: list[ast.expr] = [_name(part.name) for part in orelse]
        if isinstance(stmt, ast.While):
            whole = [stmt.test, *stmt.body, *stmt.orelse]
            number = self._site("while", stmt, whole, after)
            test = self._part("test", [ast.copy_location(ast.Return(stmt.test), stmt.test)], True)
            body = self._part("body", stmt.body)
            names = [_name(test.name), _name(body.name), *otherwise]
            return [test, body, *orelse], _operator("loop", [ast.Constant(number), *names])
        whole = [stmt.target, *stmt.body, *stmt.orelse]
        number = self._site("for", stmt, whole, after)
        assign = ast.Assign([stmt.target], _name(_ITEM))
        ast.copy_location(assign, stmt.target)
        ast.copy_location(assign.value, stmt.target)
        body = self._part("body", [assign, *stmt.body], names=[_ITEM])
        iterable = self.visit(stmt.iter)
        arguments = [ast.Constant(number), iterable, _name(body.name), *(otherwise or [nothing])]
        return [body, *orelse], _operator("each", arguments)

    def _part(
        self,
        kind: str,
        stmts: Sequence[ast.stmt],
        is_plain: bool = False,
        names: Sequence[str] = (),
    ) -> ast.FunctionDef:
        """Statements as a function without arguments on the variables of this one.

        Args:
            kind: what to name it after.
            stmts: the statements.
            is_plain: whether it returns what they return, and no exits.
            names: of its parameters.
        """
        self._functions += 1
        assigned = bound(stmts) | self._shared
        others = sorted(assigned - self._global)
        declarations: list[ast.stmt] = []
        if assigned & self._global:
            declarations.append(ast.Global(sorted(assigned & self._global)))
        if others:
            declarations.append(ast.Nonlocal(others))
        body = self._block(stmts, is_part=not is_plain, is_tail=True)
        name = f"<{kind} {self._functions}>"
        part = ast.FunctionDef(name, _no_arguments(names), [*declarations, *body], [], None)
        if "type_params" in ast.FunctionDef._fields:
            part.type_params = []  # pyright: ignore[reportAttributeAccessIssue]
        return _at(part, stmts[0])

    def _site(self, kind: str, stmt: ast.stmt, parts: Sequence[ast.AST], after: Names) -> int:
        """Notes what there is to know of a statement; its number."""
        assert self._live is not None
        assigned = bound(parts) | self._shared
        nodes = list(inside(parts))
        updates = {id(node.target) for node in nodes if isinstance(node, ast.AugAssign)}
        plainly = bound(
            target for node in nodes if id(node) not in updates for target in _targets(node)
        )
        head = self._live.head.get(id(stmt), NONE)
        if kind == "rest":
            # What follows the rest is live behind it; nobody knows the exits here.
            ends = [part for part in parts if part is parts[-1] or leaves([part])]
            after = NONE.union(*[self._live.after[id(part)] for part in ends])
        elif isinstance(stmt, (ast.For, ast.While)):
            after |= used(stmt.orelse)
        is_rest = kind == "rest"
        target = [stmt.target] if isinstance(stmt, ast.For) and not is_rest else []
        tests = [stmt.test] if isinstance(stmt, ast.While) and not is_rest else []
        place = SourceLocation(self._file, stmt.lineno, stmt.col_offset, -1, self._qualname)
        site = Site(
            kind,
            place,
            assigned,
            assigned - plainly - self._shared,
            after,
            head,
            bound(target),
            bound(tests),
            assigned & self._global,
        )
        self._sites.append(site)
        return len(self._sites) - 1

    # -- Definitions -----------------------------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """A function that the user's function defines."""
        node.decorator_list = [self.visit(d) for d in node.decorator_list]
        self._visit_defaults(node.args)
        return _Rewriter(node, self._file, self._sites, self._modules, self._qualname).function()

    def visit_Try(self, node: ast.Try) -> ast.AST:
        """In functions whose statements stay Python's own."""
        replaces = _may_replace(node.finalbody)
        self.generic_visit(node)
        self._guard(node)
        if replaces:
            _ends_all(node)
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        """The same."""
        return self._plain(node, is_part=False)[0]

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """The same."""
        return self._plain(node, is_part=False)[0]

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        """A lambda."""
        self._visit_defaults(node.args)
        return _Rewriter(node, self._file, self._sites, self._modules, self._qualname).function()

    def visit_withitem(self, node: ast.withitem) -> ast.AST:
        """What a `with` statement enters."""
        self.generic_visit(node)
        node.context_expr = _at(_operator("managed", [node.context_expr]), node.context_expr)
        return node

    def _visit_defaults(self, args: ast.arguments) -> None:
        args.defaults = [self.visit(default) for default in args.defaults]
        args.kw_defaults = [d if d is None else self.visit(d) for d in args.kw_defaults]

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        """Stays as it is."""
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Stays as it is."""
        return node

    # -- Expressions -----------------------------------------------------------------------

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        """`a and b`: the second one may be traced under the condition of the first."""
        if self._must_stay(node.values[1:]):
            return self.generic_visit(node)
        first, *others = [self.visit(value) for value in node.values]
        name = "both" if isinstance(node.op, ast.And) else "either"
        return _at(_operator(name, [first, *map(_later, others)]), node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        """`not a`."""
        operand = self.visit(node.operand)
        if isinstance(node.op, ast.Not):
            return _at(_operator("negation", [operand]), node)
        if isinstance(operand, ast.Constant):
            node.operand = operand
            return node
        return _at(_operator("unary", [ast.Constant(_UNARY[type(node.op)]), operand]), node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """`a < b < c` is `a < b and b < c`, where `b` is computed once."""
        if len(node.ops) == 1 and isinstance(node.ops[0], ast.In | ast.NotIn):
            self.generic_visit(node)
            found: ast.expr = _operator("contains", [node.left, node.comparators[0]])
            if isinstance(node.ops[0], ast.NotIn):
                found = _operator("negation", [found])
            return _at(found, node)
        if len(node.ops) == 1 or self._must_stay(node.comparators):
            # `found == []` asks for the whole list.
            is_list = _is_list(node.left, *node.comparators)
            self.generic_visit(node)
            if is_list:
                node.left = _iterated(node.left)
                node.comparators = [_iterated(part) for part in node.comparators]
            if len(node.ops) == 1 and type(node.ops[0]) in _COMPARE:
                return _at(_compared(node.ops[0], node.left, node.comparators[0]), node)
            return node
        arguments: list[ast.expr] = [self.visit(node.left)]
        for op, comparator in zip(node.ops, node.comparators, strict=True):
            left, right = _name("<left>"), _name("<right>")
            is_known = type(op) in _COMPARE
            compare = _compared(op, left, right) if is_known else ast.Compare(left, [op], [right])
            arguments.append(ast.Lambda(_no_arguments(["<left>", "<right>"]), compare))
            arguments.append(_later(self.visit(comparator)))
        return _at(_operator("chain", arguments), node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        """`a if c else b`."""
        if self._must_stay([node.body, node.orelse]):
            return self.generic_visit(node)
        parts = [_later(self.visit(node.body)), _later(self.visit(node.orelse))]
        return _at(_operator("choose", [self.visit(node.test), *parts]), node)

    def visit_List(self, node: ast.List) -> ast.AST:
        """A new list: it belongs to the part that makes it."""
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load):
            return node
        return _at(_operator("made", [node]), node)

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        """A new dict."""
        return _at(_operator("made", [self.generic_visit(node)]), node)  # pyright: ignore

    def visit_ListComp(self, node: ast.ListComp) -> ast.AST:
        """A new list, of which a loop may find the elements.

        [f(x, y) for x in a if c(x) for y in b(x)]

            =>  <gradopt>.nested(0, a, lambda <item>: [
                    <gradopt>.collected(1, b(x), lambda <item>: [f(x, y) for y in (<item>,)])
                    for x in (<item>,) if c(x)
                ])
        """
        if self._is_loop(node):
            return self._elements(node, node.generators)
        return _at(_operator("made", [self.generic_visit(node)]), node)  # pyright: ignore

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.AST:
        """A generator: it belongs to the part that makes it, and may use it up."""
        return _at(_operator("made", [self.generic_visit(node)]), node)  # pyright: ignore

    def _is_loop(self, node: ast.ListComp | ast.GeneratorExp) -> bool:
        """Whether its iterations can be functions: they bind no names that others see."""
        parts = list(ast.walk(node))
        calls = [part for part in parts if isinstance(part, ast.Call)]
        consumed = {id(node), *[id(call.args[0]) for call in calls if call.args]}
        return not (
            self._keeps_statements
            or self._suspends
            or self._shared
            or any(generator.is_async for generator in node.generators)
            or any(isinstance(part, (ast.Lambda, ast.NamedExpr, *_SUSPENDS)) for part in parts)
            or any(isinstance(p, ast.GeneratorExp) and id(p) not in consumed for p in parts)
        )

    def _elements(
        self, node: ast.ListComp | ast.GeneratorExp, generators: Sequence[ast.comprehension]
    ) -> ast.AST:
        name = "collected" if len(generators) == 1 else "nested"
        return _at(_operator(name, self._loop(node, generators)), node)

    def _loop(
        self, node: ast.ListComp | ast.GeneratorExp, generators: Sequence[ast.comprehension]
    ) -> list[ast.expr]:
        """The site, what the first `for` goes through, and the elements of one item."""
        first, *others = generators
        place = SourceLocation(self._file, node.lineno, node.col_offset, -1, self._qualname)
        self._sites.append(
            Site("for", place, NONE, NONE, NONE, NONE, bound([first.target]), NONE, NONE)
        )
        number = ast.Constant(len(self._sites) - 1)
        iterable = self.visit(first.iter)
        element: Any = self._elements(node, others) if others else self.visit(node.elt)
        items = ast.Tuple([_name(_ITEM)], ast.Load())
        tests: list[ast.expr] = [_operator("filters", [self.visit(test)]) for test in first.ifs]
        once = ast.ListComp(element, [ast.comprehension(first.target, items, tests, 0)])
        return [number, iterable, ast.Lambda(_no_arguments([_ITEM]), once)]

    def _consumed(self, node: ast.Call, generator: ast.GeneratorExp) -> ast.AST:
        """`sum(f(x) for x in a)`: a list does where the whole generator is gone through.

        <gradopt>.consumed(sum, False, 0, a, lambda <item>: [f(x) for x in (<item>,)],
                           lambda <item>: (f(x) for x in <item>))
        """
        plain = copy.deepcopy(generator)
        plain.generators[0].iter = ast.copy_location(_name(_ITEM), generator)
        is_nested = ast.Constant(len(generator.generators) > 1)
        function = self.visit(node.func)
        elements = self._loop(generator, generator.generators)
        lazily = ast.Lambda(_no_arguments([_ITEM]), self.generic_visit(plain))  # pyright: ignore
        others = [self.visit(arg) for arg in node.args[1:]]
        call = _operator("consumed", [function, is_nested, *elements, lazily, *others])
        call.keywords = [self.visit(keyword) for keyword in node.keywords]
        return _at(call, node)

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        """What a comprehension goes through, and what it leaves out."""
        self.generic_visit(node)
        node.iter = _iterated(node.iter, "through")
        node.ifs = [_at(_operator("filters", [test]), test) for test in node.ifs]
        return node

    def visit_Starred(self, node: ast.Starred) -> ast.AST:
        """`*x`."""
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load):
            node.value = _iterated(node.value, "through")
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        """An f-string: what is traced becomes text when the compiled code runs."""
        return _at(
            _operator("text", [ast.Tuple([self._piece(v) for v in node.values], ast.Load())]), node
        )

    def _piece(self, value: ast.expr) -> ast.expr:
        if not isinstance(value, ast.FormattedValue):
            return value
        spec = ast.Constant("") if value.format_spec is None else self.visit(value.format_spec)
        parts: list[ast.expr] = [self.visit(value.value), ast.Constant(value.conversion), spec]
        return ast.Tuple(parts, ast.Load())

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """`"text" % values`, `A @ x`, where `A` may be sparse, and methods of the user's."""
        is_list = isinstance(node.op, ast.Add) and _is_list(node.left, node.right)
        self.generic_visit(node)
        if is_list:
            node.left, node.right = _iterated(node.left), _iterated(node.right)
        left = node.left
        is_text = isinstance(left, ast.Constant) and isinstance(left.value, str)
        if is_text and isinstance(node.op, ast.Mod):
            return _at(_operator("percent", [left, node.right]), node)
        if isinstance(node.op, ast.MatMult):
            return _at(_operator("product", [left, node.right]), node)
        if isinstance(node.op, ast.Mult) and isinstance(left, ast.Call):
            # `[0.0] * n` is a new list, too.
            return _at(_operator("made", [self._binary(node)]), node)
        return self._binary(node)

    def _binary(self, node: ast.BinOp) -> ast.expr:
        """What may be a method of the user's, unless numbers stand on both sides."""
        if isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant):
            return node
        name = ast.Constant(_BINARY[type(node.op)])
        return _at(_operator("binary", [name, node.left, node.right]), node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """The function that is called is rewritten too, if it is the user's."""
        if isinstance(node.func, ast.Name) and node.func.id in _OF_THE_FRAME:
            self.generic_visit(node)
            if node.func.id == "super" and not node.args and self._first:
                # In a part of a statement, Python would not find them.
                node.args = [_at(_name(name), node) for name in ("__class__", self._first)]
            return node
        first = node.args[0] if node.args else None
        if isinstance(first, ast.GeneratorExp) and self._is_loop(first):
            return self._consumed(node, first)
        node.func = self.visit(node.func)
        node.args = [self.visit(argument) for argument in node.args]
        node.keywords = [self.visit(keyword) for keyword in node.keywords]
        node.func = _at(_operator("call", [node.func]), node.func)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """Concrete arrays take traced indices; containers are not written to in traced parts."""
        self.generic_visit(node)
        name = "load" if isinstance(node.ctx, ast.Load) else "elements"
        node.value = _at(_operator(name, [node.value]), node.value)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Attributes are not written to in traced parts; those that are properties are called."""
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load):
            node.value = _at(_operator("store", [node.value]), node.value)
            return node
        if node.attr.startswith("__"):
            return node
        if isinstance(node.value, ast.Name) and node.value.id in self._modules:
            return node
        return _at(_operator("attribute", [node.value, ast.Constant(node.attr)]), node)

    def _must_stay(self, nodes: Sequence[ast.expr]) -> bool:
        """Whether expressions bind names or suspend, and so cannot be lambdas."""
        kinds = (ast.NamedExpr, *_SUSPENDS)
        return any(isinstance(part, kinds) for node in nodes for part in ast.walk(node))


def _is_list(*nodes: ast.expr) -> bool:
    """Whether one of these makes a list."""
    return any(isinstance(node, ast.List | ast.ListComp) for node in nodes)


def _compared(op: ast.cmpop, left: ast.expr, right: ast.expr) -> ast.Call:
    """A comparison, which may be a method of the user's."""
    return _operator("compare", [ast.Constant(_COMPARE[type(op)]), left, right])


def _iterated(expression: ast.expr, by: str = "iterated") -> ast.expr:
    """An expression whose value is looked at as a whole."""
    return _at(_operator(by, [expression]), expression)


def _suspends(stmt: ast.stmt) -> bool:
    """Whether a statement of a generator stays Python's own: no part of it can be a function."""
    return leaves([stmt]) or any(isinstance(node, _SUSPENDS) for node in inside([stmt]))


def _may_replace(stmts: Sequence[ast.stmt]) -> bool:
    """Whether a `finally` may end an exception: it leaves, or raises another one."""
    return leaves(stmts) or any(isinstance(node, ast.Raise) for node in inside(stmts))


def _ends_all(stmt: Any) -> None:
    """Such a `finally` handles all exceptions, but for those of the compiler's own.

    try:                try:
        f()                 <gradopt>.begins_try(lambda: (None,))
    finally:      =>        try:
        break                   f()
                            finally:
                                <gradopt>.ends_try()
                        finally:
                            if not <gradopt>.passes_by():
                                break
    """
    place = stmt.finalbody[0]
    is_free = ast.UnaryOp(ast.Not(), _operator("passes_by", []))
    stmt.finalbody = [_at(ast.If(is_free, stmt.finalbody, []), place)]
    everything = ast.Tuple([ast.Constant(None)], ast.Load())
    begin, end = _operator("begins_try", [_later(everything)]), _operator("ends_try", [])
    body: list[ast.stmt] = stmt.body
    if stmt.handlers:
        body = [ast.copy_location(ast.Try(body, stmt.handlers, stmt.orelse, []), stmt)]
    inner = ast.Try(body, [], [], [_at(ast.Expr(end), place)])
    stmt.body = [_at(ast.Expr(begin), place), _at(inner, place)]
    stmt.handlers, stmt.orelse = [], []


def _later(expression: ast.expr) -> ast.expr:
    made = ast.Lambda(_no_arguments(), expression)
    return ast.copy_location(made, expression) if hasattr(expression, "lineno") else made


def _targets(node: ast.AST) -> list[ast.AST]:
    """What a single node binds, without the statements in it."""
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        return [node]
    if isinstance(node, (*SCOPES, ast.Import, ast.ImportFrom)):
        return [node]
    return []
