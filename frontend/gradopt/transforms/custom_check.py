# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""check_custom: rules of the user's against the function, finite differences and each other."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from gradopt.base.dtypes import kind_of
from gradopt.base.frames import hide_frames
from gradopt.base.pytree import flatten, leaf_paths, tree_map
from gradopt.compilation.calling import argument_names, describe_value, function_name
from gradopt.compilation.compiled import Compiled
from gradopt.errors import ArgumentTypeError, GradientCheckError
from gradopt.transforms.custom import CustomFunction
from gradopt.transforms.gradcheck import (
    Array,
    Problem,
    check_options,
    differs,
    gradcheck,
    make_problem,
    weights_for,
)
from gradopt.transforms.jacobian_products import jvp, vjp
from gradopt.transforms.symbolic_zeros import CustomVJPPrimal


@hide_frames
def check_custom(
    function: CustomFunction,
    args: Any,
    *,
    differences: bool = True,
    order: int = 1,
    eps: float | None = None,
    rtol: float | None = None,
    atol: float | None = None,
) -> bool:
    """Checks the derivative rules of a function.

    The rules return what the function returns; the derivatives are those of finite differences, as
    in `gradcheck`; and forward and reverse mode agree, which is tested by dot products: with e for
    one element of an argument and w for fixed weights of the results, <w, J e> is <J^T w, e>.

    Args:
        function: what `custom_vjp` or `custom_jvp` returned, with rules.
        args: tuple of its arguments; anything else is taken for the only argument.
        differences: whether to compare with finite differences; not for rules that are meant to
            differ, such as a gradient that is passed straight through.
        order: 2 checks the derivatives of the gradient as well, and so on.
        eps: first step, as in `gradcheck`.
        rtol: relative tolerance; by default 1e-6 in float64, 1e-2 in float32.
        atol: absolute tolerance; by default 1e-8 in float64, 2e-3 in float32.

    Returns:
        True.

    Raises:
        GradientCheckError: something differs; it names the argument path, the index, and both
            values.
        DerivativeRuleError: a rule returns what does not fit, or there is none.
        ArgumentError: there is nothing to check.
    """
    if not isinstance(function, CustomFunction):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ArgumentTypeError(
            "check_custom checks functions made by custom_vjp or custom_jvp, not "
            f"{describe_value(function)}; for others there is gradcheck"
        )
    check_options(None, order, eps=eps, rtol=rtol, atol=atol)
    bound = _Bound(function, args if type(args) is tuple else (args,))
    problem = make_problem(bound.call, bound.arguments, None, (eps, rtol, atol))
    modes = bound.modes()
    # Wrong structures are found first.
    reverse = Compiled(lambda values, weights: vjp(problem.function, *values)[1](weights))
    weights = weights_for(problem.function(*problem.leaves))
    gradients = [np.asarray(g) for g in reverse(problem.leaves, weights)]
    bound.check_results(problem)
    if differences:
        gradcheck(
            bound.call, bound.arguments, modes=modes, order=order, eps=eps, rtol=rtol, atol=atol
        )
    if "fwd" in modes:
        _check_dot_products(problem, weights, gradients)
    return True


class _Bound:
    """A function and its arguments, where those without derivatives are fixed.

    Attributes:
        call: the function of the other arguments.
        arguments: these.
    """

    def __init__(self, function: CustomFunction, args: tuple[Any, ...]) -> None:
        self._function = function
        self._args, self._nondiff = function.bind(args, {})
        chosen = [i for i in range(len(self._args)) if i not in self._nondiff]
        self.arguments = tuple([self._args[i] for i in chosen])

        def full(values: tuple[Any, ...]) -> list[Any]:
            args = list(self._args)
            for i, value in zip(chosen, values, strict=True):
                args[i] = value
            return args

        def call(*values: Any) -> Any:
            return function(*full(values))

        call.__name__ = function_name(function)
        names = argument_names(function, len(self._args))
        kind = inspect.Parameter.POSITIONAL_ONLY
        if all(name.isidentifier() for name in names):
            parameters = [inspect.Parameter(names[i], kind) for i in chosen]
            call.__signature__ = inspect.Signature(parameters)  # pyright: ignore
        self._full = full
        self.call: Callable[..., Any] = call

    def modes(self) -> tuple[str, ...]:
        """The modes that are checked: that of `bwd` alone need not have a transpose."""
        return ("rev",) if self._function.rules.jvp is None else ("fwd", "rev")

    def check_results(self, problem: Problem) -> None:
        """Compares the results of the rules with that of the function."""
        rules, name = self._function.rules, function_name(self._function)
        fixed = [self._args[i] for i in self._nondiff]
        expected, tree = flatten(self._function(*self._args))
        paths = leaf_paths(tree, "result")

        def forward(*values: Any) -> Any:
            assert rules.fwd is not None
            if rules.zeros_in_vjp:
                values = tree_map(lambda leaf: CustomVJPPrimal(leaf, True), values)
            return rules.fwd(*self._full(values))[0]

        def pushed(*values: Any) -> Any:
            assert rules.jvp is not None
            leaves, tree = flatten(values)
            zeros = tree.unflatten([np.zeros(np.shape(leaf), leaf.dtype) for leaf in leaves])
            return rules.jvp(*fixed, values, zeros)[0]

        for kind, rule, run in (("fwd", rules.fwd, forward), ("jvp", rules.jvp, pushed)):
            if rule is None:
                continue
            for got, want, path in zip(
                flatten(Compiled(run)(*self.arguments))[0], expected, paths, strict=True
            ):
                got, want = np.asarray(got), np.asarray(want)
                dtype = want.dtype if kind_of(want.dtype) == "f" else np.dtype(np.float64)
                wrong = differs(got, want, *problem.tolerances(dtype))
                if wrong.any():
                    index = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(wrong)))
                    index = index if want.ndim else ()
                    element = f"{path}[{', '.join(map(str, index))}]" if index else path
                    raise GradientCheckError(
                        f"the {kind} rule of {name} returns another result at {element}: "
                        f"{float(got[index])!r}, where {name} returns {float(want[index])!r}",
                        path,
                        index,
                        float(want[index]),
                        float(got[index]),
                    )


def _check_dot_products(problem: Problem, weights: list[Array], gradients: list[Array]) -> None:
    forward = Compiled(lambda values, tangents: jvp(problem.function, values, tangents)[1])
    for number, leaf in enumerate(problem.leaves):
        for index in np.ndindex(leaf.shape):
            tangents = [np.zeros_like(value) for value in problem.leaves]
            tangents[number][index] = 1
            column = forward(problem.leaves, tangents)
            terms = [
                np.multiply(w, c, dtype=np.float64) for w, c in zip(weights, column, strict=True)
            ]
            pushed = float(sum(np.sum(term) for term in terms))
            pulled = float(gradients[number][index])
            rtol, atol = problem.tolerances(leaf.dtype)
            # Rounding is relative to the terms of the product.
            size = float(sum(np.sum(np.abs(term)) for term in terms))
            if differs(np.asarray(pulled), np.asarray(pushed), 0.0, atol + rtol * size).any():
                element = problem.element(number, index)
                raise GradientCheckError(
                    f"the rules of {problem.name} do not agree at {element}: its part of "
                    f"the dot product with the cotangents is {pushed!r} in forward mode, "
                    f"{pulled!r} in reverse mode",
                    problem.paths[number],
                    index,
                    pushed,
                    pulled,
                )
