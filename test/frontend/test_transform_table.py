# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every transform against closed forms, on a table of functions of pytrees that Hypothesis makes.

From a function f of numbers, with three derivatives that are known, follow functions of a pytree x:
the sum t of f over all elements, the loss t^2 / 2, and the pytree f(x) t. Their derivatives of any
order are sums of products of what follows: t_v is the derivative of t in the direction v.

    t_v = sum f'(x) v      t_vw = sum f''(x) v w
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import hypothesis.strategies as st
import numpy as np
import pytest
from budget import by_hypothesis
from hypothesis import given

import gradopt as go


@go.custom_vjp
def sine_backward(x: Any) -> Any:
    return np.sin(x)


sine_backward.defvjp(lambda x: (np.sin(x), (x,)), lambda kept, g: (g * np.cos(kept[0]),))


@go.custom_jvp
def sine_forward(x: Any) -> Any:
    return np.sin(x)


sine_forward.defjvp(lambda p, t: (np.sin(p[0]), t[0] * np.cos(p[0])))


def fourth_by_while(x: Any) -> Any:
    def step(state: Any) -> Any:
        return {"y": state["y"] * x, "i": state["i"] + 1}

    return go.while_loop(lambda s: s["i"] < 4, step, {"y": 0 * x + 1, "i": 0})["y"]


def fourth_by_cond(x: Any) -> Any:
    return go.cond(np.sum(x * x) >= 0, lambda y: y**4, lambda y: np.sin(y), x)


def root_by_steps(x: Any) -> Any:
    """The root of 1 + x^2 by Newton's method."""
    return go.fixed_point(lambda y: (y + (1 + x * x) / y) / 2, 1 + x * x)


SINE = (np.sin, np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x))
FOURTH = (lambda x: x**4, lambda x: 4 * x**3, lambda x: 12 * x**2, lambda x: 24 * x)
ROOT = (
    lambda x: np.sqrt(1 + x**2),
    lambda x: x / np.sqrt(1 + x**2),
    lambda x: (1 + x**2) ** -1.5,
    lambda x: -3 * x * (1 + x**2) ** -2.5,
)
# A function for gradopt, and itself and its derivatives as NumPy knows them.
FUNCTIONS: dict[str, tuple[Callable[[Any], Any], tuple[Callable[[Any], Any], ...]]] = {
    "sin": (np.sin, SINE),
    "exp": (np.exp, (np.exp,) * 4),
    "log": (
        lambda x: np.log(3 + x),
        (lambda x: np.log(3 + x), lambda x: 1 / (3 + x), lambda x: -((3 + x) ** -2.0), lambda x: 2 * (3 + x) ** -3.0),
    ),
    "power": (lambda x: x**4, FOURTH),
    "root": (lambda x: np.sqrt(1 + x * x), ROOT),
    "defvjp": (sine_backward, SINE),
    "defjvp": (sine_forward, SINE),
    "checkpoint": (go.checkpoint(lambda x: np.sin(x) * 1), SINE),
    "fori_loop": (lambda x: go.fori_loop(0, 3, lambda _, y: y * x, x), FOURTH),
    "policy": (lambda x: go.fori_loop(0, 3, lambda _, y: y * x, x, checkpoint="sqrt"), FOURTH),
    "scan": (lambda x: go.scan(lambda y, _: (y * x, None), x, length=3)[0], FOURTH),
    "while_loop": (fourth_by_while, FOURTH),
    "cond": (fourth_by_cond, FOURTH),
    "fixed_point": (root_by_steps, ROOT),
}  # fmt: skip

# -- Pytrees -----------------------------------------------------------------------------------


class Pair(NamedTuple):
    first: Any
    second: Any


@dataclasses.dataclass
class Box:
    inside: Any
    label: Any = None


LEAVES = st.tuples(st.lists(st.integers(0, 3), max_size=2).map(tuple), st.booleans())
TREES = st.recursive(
    LEAVES.map(lambda leaf: [leaf]),
    lambda inner: st.one_of(
        st.builds(lambda a, b: (a, b), inner, inner),
        st.builds(lambda a: {"b": a, "a": None}, inner),
        st.builds(Pair, inner, inner),
        st.builds(Box, inner),
    ),
    max_leaves=3,
)
Tree = Any


def tree_map(f: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """`f` of the leaves, which are one-element lists."""
    parts = [(tree, *others)]
    if tree is None:
        return None
    if isinstance(tree, list):
        return [f(*(part[0] for part in parts[0]))]
    if isinstance(tree, dict):
        return {k: tree_map(f, tree[k], *(o[k] for o in others)) for k in tree}
    if isinstance(tree, Box):
        return Box(tree_map(f, tree.inside, *(o.inside for o in others)))
    mapped = [tree_map(f, *part) for part in zip(tree, *others, strict=True)]
    return Pair(*mapped) if isinstance(tree, Pair) else tuple(mapped)


def leaves(tree: Tree) -> list[Any]:
    found: list[Any] = []
    tree_map(found.append, tree)
    return found


def dot(a: Tree, b: Tree) -> Any:
    return sum(np.sum(x * y) for x, y in zip(leaves(a), leaves(b), strict=True))


@dataclasses.dataclass
class Case:
    """A function and where to differentiate it, by whom the rest is known."""

    name: str
    shapes: Tree
    seed: int

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)

        def draw(leaf: tuple[tuple[int, ...], bool]) -> Any:
            return rng.uniform(-1, 1, leaf[0]).astype(np.float32 if leaf[1] else np.float64)

        self.x, self.v, self.w = (tree_map(draw, self.shapes) for _ in range(3))
        self.f, self.known = FUNCTIONS[self.name]
        self.tolerance = 2e-4 if any(x.dtype == np.float32 for x in leaves(self.x)) else 1e-10

    def total(self, x: Tree) -> Any:
        return sum(np.sum(self.f(leaf)) for leaf in leaves(x))

    def loss(self, x: Tree) -> Any:
        return self.total(x) ** 2 / 2

    def tree(self, x: Tree) -> Tree:
        total = self.total(x)
        return tree_map(lambda leaf: self.f(leaf) * total, x)

    def at(self, order: int) -> Tree:
        """A derivative of f, in double precision."""
        return tree_map(lambda leaf: self.known[order](leaf.astype(np.float64)), self.x)

    def along(self, *directions: Tree) -> Any:
        """t, t_v, t_vw."""
        terms = self.at(len(directions))
        for direction in directions:
            terms = tree_map(np.multiply, terms, direction)
        return sum(map(np.sum, leaves(terms)))

    def check(self, got: Tree, want: Tree) -> None:
        """Values, and the structure, shapes and dtypes of x."""
        tree_map(self.check_leaf, self.x, got, want)

    def check_leaf(self, x: Any, got: Any, want: Any) -> None:
        assert got.dtype == x.dtype
        self.close(got, want)

    def close(self, got: Any, want: Any) -> None:
        assert np.shape(got) == np.shape(want)
        scale = 1 + np.max(np.abs(want), initial=0)
        np.testing.assert_allclose(got, want, rtol=0, atol=self.tolerance * scale)

    def check_matrix(self, got: Tree, rows: Tree, columns: Tree, diagonal: Tree) -> None:
        """A pytree of pytrees: products of rows and columns, and a diagonal."""
        outer = zip(leaves(self.x), leaves(got), leaves(rows), leaves(diagonal), strict=True)
        for i, (x, row, r, d) in enumerate(outer):
            for j, (block, c) in enumerate(zip(leaves(row), leaves(columns), strict=True)):
                want = np.multiply.outer(r, c)
                if i == j:
                    want = want + np.diag(d.ravel()).reshape(x.shape + x.shape)
                self.close(block, want)


cases = st.builds(Case, st.sampled_from(sorted(FUNCTIONS)), TREES, st.integers(0, 1000))

# -- Derivatives ---------------------------------------------------------------------------------


def scaled(tree: Tree, factor: Any) -> Tree:
    return tree_map(lambda leaf: factor * leaf, tree)


def added(*trees: Tree) -> Tree:
    return tree_map(lambda *parts: sum(parts), *trees)


@by_hypothesis(25)
@given(cases)
def test_first_order(case: Case) -> None:
    def with_aux(x: Tree) -> Any:
        return case.loss(x), {"x": x, "n": 3}

    def derivatives(x: Tree, v: Tree) -> dict[str, Any]:
        values, pullback = go.vjp(case.tree, x)
        linear = go.linearize(case.tree, x)
        return {
            "grad": go.grad(case.loss)(x),
            "grad with aux": go.grad(with_aux, has_aux=True)(x)[0],
            "value_and_grad": go.value_and_grad(case.loss)(x)[1],
            "vjp": go.vjp(case.loss, x)[1](go.stop_gradient(1 + 0 * case.loss(x)))[0],
            "jvp": go.jvp(case.loss, (x,), (v,))[1],
            "linearize": go.linearize(case.loss, x)[1](v),
            "value": go.value_and_grad(with_aux, has_aux=True)(x)[0][0],
            "tree": values,
            "tree by linearize": linear[0],
            "tree jvp": go.jvp(case.tree, (x,), (v,))[1],
            "tree linearize": linear[1](v),
            "tree vjp": pullback(tree_map(lambda y, d: y * 0 + d, values, v))[0],
            "jacfwd": go.jacfwd(case.tree)(x),
            "jacrev": go.jacrev(case.tree)(x),
        }

    got = go.compile(derivatives)(case.x, case.v)
    t, t_v, slope = case.along(), case.along(case.v), case.at(1)
    for way in ("grad", "grad with aux", "value_and_grad", "vjp"):
        case.check(got[way], scaled(slope, t))
    for way in ("jvp", "linearize"):
        case.close(got[way], t * t_v)
    case.close(got["value"], t * t / 2)
    along = tree_map(lambda y, d, v: y * t_v + t * d * v, case.at(0), slope, case.v)
    for way in ("tree", "tree by linearize"):
        tree_map(case.close, got[way], scaled(case.at(0), t))
    for way in ("tree jvp", "tree linearize"):
        tree_map(case.close, got[way], along)
    f_v = dot(case.at(0), case.v)
    case.check(got["tree vjp"], tree_map(lambda d, v: d * f_v + t * d * v, slope, case.v))
    for way in ("jacfwd", "jacrev"):
        case.check_matrix(got[way], case.at(0), slope, scaled(slope, t))


@pytest.mark.filterwarnings("ignore::gradopt.errors.LargeProgramWarning")
@by_hypothesis(7)
@given(cases)
def test_second_order(case: Case) -> None:
    gradient = go.grad(case.loss)

    def derivatives(x: Tree, v: Tree) -> dict[str, Any]:
        return {
            "hvp": go.hvp(case.loss, (x,), (v,)),
            "forward over reverse": go.jvp(gradient, (x,), (v,))[1],
            "reverse over reverse": go.grad(lambda x: dot(gradient(x), v))(x),
            "reverse over forward": go.grad(lambda x: go.jvp(case.loss, (x,), (v,))[1])(x),
            "linear over reverse": go.linearize(gradient, x)[1](v),
            "transposed reverse": go.vjp(gradient, x)[1](v)[0],
            "in another": go.checkpoint(lambda x: go.jvp(gradient, (x,), (v,))[1])(x),
            "hessian": go.hessian(case.loss)(x),
            "jacrev of jacfwd": go.jacrev(go.jacfwd(case.loss))(x),
            "jacfwd of jacfwd": go.jacfwd(go.jacfwd(case.loss))(x),
            "jacrev of grad": go.jacrev(gradient)(x),
        }

    got = go.compile(derivatives)(case.x, case.v)
    t, t_v, slope, bend = case.along(), case.along(case.v), case.at(1), case.at(2)
    product = added(scaled(slope, t_v), tree_map(lambda b, v: t * b * v, bend, case.v))
    for way in list(got)[:7]:
        case.check(got[way], product)
    for way in list(got)[7:]:
        case.check_matrix(got[way], slope, slope, scaled(bend, t))


@by_hypothesis(15)
@given(cases)
def test_third_order(case: Case) -> None:
    f = case.loss

    def second(x: Tree, v: Tree, w: Tree) -> Any:
        return go.jvp(lambda x: go.jvp(f, (x,), (v,))[1], (x,), (w,))[1]

    def derivatives(x: Tree, v: Tree, w: Tree) -> dict[str, Any]:
        return {
            "of forward over forward": go.grad(lambda x: second(x, v, w))(x),
            "of forward over reverse": go.grad(lambda x: dot(go.hvp(f, (x,), (v,)), w))(x),
            "of reverse over reverse": go.grad(
                lambda x: dot(go.grad(lambda x: dot(go.grad(f)(x), v))(x), w)
            )(x),
            "along a direction": go.jvp(lambda x: go.hvp(f, (x,), (v,)), (x,), (w,))[1],
        }

    got = go.compile(derivatives)(case.x, case.v, case.w)
    v, w = case.v, case.w
    t, t_v, t_w, t_vw = case.along(), case.along(v), case.along(w), case.along(v, w)
    want = tree_map(
        lambda d1, d2, d3, v, w: d2 * w * t_v + d2 * v * t_w + d1 * t_vw + t * d3 * v * w,
        *(case.at(1), case.at(2), case.at(3), v, w),
    )
    for way in got:
        case.check(got[way], want)


@by_hypothesis(10)
@given(cases, st.integers(0, 3), st.integers(-1, 0))
def test_maps_of_derivatives(case: Case, size: int, axis: int) -> None:
    """Along directions, with x the same for all; and along both."""
    factors = np.arange(1, size + 1)

    def stack(tree: Tree) -> Tree:
        """Multiples of a pytree, along an axis."""
        return tree_map(
            lambda leaf: np.moveaxis(np.multiply.outer(factors.astype(leaf.dtype), leaf), 0, axis),
            tree,
        )

    def derivatives(x: Tree, v: Tree) -> dict[str, Any]:
        return {
            "jvp": go.jvp(case.loss, (x,), (v,))[1],
            "vjp": go.vjp(case.tree, x)[1](go.jvp(case.tree, (x,), (v,))[1])[0],
            "hvp": go.hvp(case.loss, (x,), (v,)),
            "reverse over reverse": go.grad(lambda x: dot(go.grad(case.loss)(x), v))(x),
        }

    every = go.compile(derivatives)
    out_axes = {"jvp": 0, "vjp": axis, "hvp": axis, "reverse over reverse": axis}
    by_direction = go.vmap(derivatives, (None, axis), out_axes)(case.x, stack(case.v))
    both = go.vmap(derivatives, axis, out_axes)(stack(case.x), stack(case.v))
    for i, factor in enumerate(factors):
        x, v = (
            tree_map(lambda leaf, by=factor: leaf * leaf.dtype.type(by), t)
            for t in (case.x, case.v)
        )
        for mapped, want in ((by_direction, every(case.x, v)), (both, every(x, v))):
            case.close(mapped["jvp"][i], want["jvp"])
            for way in ("vjp", "hvp", "reverse over reverse"):
                case.check(tree_map(lambda leaf, i=i: leaf.take(i, axis), mapped[way]), want[way])


@by_hypothesis(8)
@given(cases)
def test_transforms_by_themselves(case: Case) -> None:
    """Outside of traces, and in compiled forms."""
    x, v = case.x, case.v
    t, t_v, slope = case.along(), case.along(v), case.at(1)
    for gradient in (go.grad(case.loss), go.compile_grad(case.loss)):
        case.check(gradient(x), scaled(slope, t))
    for both in (go.value_and_grad(case.loss), go.compile_value_and_grad(case.loss)):
        value, gradient = both(x)
        case.close(value, t * t / 2)
        case.check(gradient, scaled(slope, t))
    case.close(go.jvp(case.loss, (x,), (v,))[1], t * t_v)
    case.close(go.compile_jvp(case.loss)((x,), (v,))[1], t * t_v)
    value, push = go.linearize(case.loss, x)
    case.close(push(v), t * t_v)
    case.check(go.vjp(case.loss, x)[1](np.ones_like(value))[0], scaled(slope, t))
    case.check(go.compile_vjp(case.loss)((x,), np.ones_like(value))[1][0], scaled(slope, t))
    for hessian in (go.hessian(case.loss), go.compile_hessian(case.loss)):
        case.check_matrix(hessian(x), slope, slope, scaled(case.at(2), t))
    for jacobian in (go.jacfwd(case.tree), go.jacrev(case.tree), go.compile_jacobian(case.tree)):
        case.check_matrix(jacobian(x), case.at(0), slope, scaled(slope, t))
    case.check(
        go.vmap(go.grad(case.loss), axis_size=1)(tree_map(lambda a: a[None], x)),
        tree_map(lambda a: a[None], scaled(slope, t)),
    )
