# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""gradcheck: compiled derivatives against finite differences."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradopt.base.dtypes import is_inexact, kind_of
from gradopt.base.frames import hide_frames
from gradopt.base.pytree import TreeDef, flatten, leaf_paths
from gradopt.compilation.calling import (
    argument_names,
    check_callable,
    function_name,
    plain_leaf,
    rewritten_here,
)
from gradopt.compilation.compiled import Compiled
from gradopt.errors import ArgumentError, ArgumentTypeError, GradientCheckError
from gradopt.ir.current import current_scope, trace_count
from gradopt.transforms.jacobian_products import jvp, vjp

Array = np.ndarray[Any, Any]

# Per dtype: first step relative to max(1, |x|), relative and absolute tolerance. The error of the
# extrapolated difference is about step^6 + eps / step, of values of order 1.
DEFAULTS = {
    "float64": (2e-3, 1e-6, 1e-8),
    "float32": (5e-2, 1e-2, 2e-3),
    "float16": (3e-1, 5e-2, 2e-2),
    "bfloat16": (5e-1, 2e-1, 1e-1),
}
_LEVELS = 3
_TRIALS = 4


@dataclass(frozen=True)
class Problem:
    """What is checked: a function of flat float arrays, with flat results.

    Attributes:
        name: the user's name for the function.
        function: takes the float leaves, returns the list of float results.
        leaves: where to differentiate.
        paths: how the user reaches the leaves.
        eps, rtol, atol: step and tolerances; None for the default of the dtype.
    """

    name: str
    function: Callable[..., list[Any]]
    leaves: list[Array]
    paths: list[str]
    eps: float | None
    rtol: float | None
    atol: float | None

    def tolerances(self, dtype: np.dtype[Any]) -> tuple[float, float]:
        """Relative and absolute tolerance for derivatives in an argument of this dtype."""
        _, rtol, atol = DEFAULTS[dtype.name]
        return (
            self.rtol if self.rtol is not None else rtol,
            self.atol if self.atol is not None else atol,
        )

    def element(self, number: int, index: tuple[int, ...]) -> str:
        """How the user reaches an element of a leaf."""
        path = self.paths[number]
        return f"{path}[{', '.join(map(str, index))}]" if index else path


@hide_frames
def gradcheck(
    function: Callable[..., Any],
    args: Any,
    argnums: int | Sequence[int] | None = None,
    *,
    modes: Sequence[str] = ("fwd", "rev"),
    order: int = 1,
    eps: float | None = None,
    rtol: float | None = None,
    atol: float | None = None,
) -> bool:
    """Compares derivatives with finite differences, element by element.

    The differences are central, extrapolated from three steps (Ridders 1982), each element with
    the steps whose results agree best; a step that leaves the function's domain is made smaller.

    Args:
        function: any function of pytrees of arrays, with pytrees of arrays as result.
        args: tuple of its arguments; anything else is taken for the only argument.
        argnums: arguments to check; by default all that hold floats.
        modes: "fwd" checks `jvp`, "rev" checks `vjp`.
        order: 2 checks the derivatives of the gradient as well, and so on.
        eps: first step, relative to max(1, |x|); by default chosen for the dtype.
        rtol: relative tolerance; by default 1e-6 in float64, 1e-2 in float32.
        atol: absolute tolerance; by default 1e-8 in float64, 2e-3 in float32.

    Returns:
        True.

    Raises:
        GradientCheckError: a derivative differs; it names the argument path, the index, and both
            values.
        ArgumentError: there is nothing to check.
    """
    check_callable(function)
    arguments = args if type(args) is tuple else (args,)
    given: Any = modes
    known = isinstance(given, (tuple, list)) and all(mode in ("fwd", "rev") for mode in given)
    if not known or not modes:
        raise ArgumentError(f'modes are "fwd" and "rev", not {modes!r}')
    check_options(argnums, order, eps=eps, rtol=rtol, atol=atol)
    problem = make_problem(function, arguments, argnums, (eps, rtol, atol))
    for level in range(1, order + 1):
        _check(problem, modes, level)
        if level < order:
            problem = _gradient_problem(problem)
    return True


def check_options(argnums: Any, order: Any, **tolerances: Any) -> None:
    """Raises an ArgumentError for options that make no sense."""
    for name, value in tolerances.items():
        if value is None:
            continue
        if not isinstance(value, (int, float, np.number)):
            raise ArgumentTypeError(f"{name} must be a number, not {value!r}")
        if not (0 < value < np.inf or (value == 0 and name != "eps")):
            raise ArgumentError(f"{name} must be a positive number, not {value}")
    if not isinstance(order, int) or order < 1:
        raise ArgumentError(f"order must be an integer of at least 1, not {order!r}")
    numbers = () if argnums is None else (argnums,) if isinstance(argnums, int) else argnums
    if not isinstance(numbers, Sequence) or not all(isinstance(n, int) for n in numbers):
        raise ArgumentTypeError(f"argnums must be an int or a tuple of ints, not {argnums!r}")


def make_problem(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    argnums: int | Sequence[int] | None,
    tolerances: tuple[float | None, float | None, float | None],
) -> Problem:
    """The problem of checking a function at these arguments.

    Raises:
        ArgumentError: there is nothing to check.
    """
    if argnums is None:
        chosen = range(len(arguments))
    else:
        numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        if any(not -len(arguments) <= n < len(arguments) for n in numbers):
            raise ArgumentError(f"argnums {argnums} is out of range for {len(arguments)} arguments")
        chosen = [n % len(arguments) for n in numbers]
    leaves, tree = flatten(arguments)
    names = argument_names(function, len(arguments))
    paths: list[str] = []
    for child, name in zip(tree.children, names, strict=True):
        paths += leaf_paths(child, name)
    arrays = [np.asarray(plain_leaf(v, p)) for v, p in zip(leaves, paths, strict=True)]
    positions: list[int] = []
    start = 0
    for i, child in enumerate(tree.children):
        span = range(start, start + child.leaf_count)
        start += child.leaf_count
        floats = [k for k in span if is_inexact(arrays[k].dtype)]
        if i not in chosen:
            continue
        if argnums is not None and len(floats) != len(span):
            wrong = next(k for k in span if k not in floats)
            raise ArgumentTypeError(
                f"cannot differentiate with respect to {paths[wrong]} of "
                f"dtype {arrays[wrong].dtype}"
            )
        positions += floats
    if not positions:
        raise ArgumentError("there is no float argument to check")
    for k in positions:
        wrong = np.argwhere(~np.isfinite(arrays[k]))
        if len(wrong):
            index = tuple(wrong[0].tolist())
            raise ArgumentError(
                f"{paths[k]}{list(index) if index else ''} is {arrays[k][index]}: there is no "
                "difference to take around it"
            )
    flat = _flat_function(function, leaves, tree, positions)
    parts: list[Array] = []
    named: list[str] = []
    for k in positions:
        is_complex = arrays[k].dtype.kind == "c"
        parts += [np.real(arrays[k]), np.imag(arrays[k])] if is_complex else [arrays[k]]
        named += [f"{paths[k]}.real", f"{paths[k]}.imag"] if is_complex else [paths[k]]
    return Problem(
        function_name(function), flat, [np.array(part) for part in parts], named, *tolerances
    )


def _flat_function(
    function: Callable[..., Any], leaves: list[Any], tree: TreeDef, positions: list[int]
) -> Callable[..., list[Any]]:
    """The function of the chosen leaves alone, with its float results in a list.

    Complex leaves and results are two each: real and imaginary parts.
    """
    complexes = [np.asarray(leaves[position]).dtype.kind == "c" for position in positions]

    def flat(*values: Any) -> list[Any]:
        full = list(leaves)
        rest = iter(values)
        for position, is_complex in zip(positions, complexes, strict=True):
            value = next(rest)
            full[position] = value + 1j * next(rest) if is_complex else value
        if current_scope() is None:
            # The function may write to its arguments.
            full = [leaf.copy("K") if isinstance(leaf, np.ndarray) else leaf for leaf in full]
        results, _ = flatten(rewritten_here(function)(*tree.unflatten(full)))
        floats: list[Any] = []
        for r in results:
            kind = kind_of(getattr(r, "dtype", np.dtype(type(r))))
            floats += [np.real(r), np.imag(r)] if kind == "c" else [r] if kind == "f" else []
        return floats

    flat.__name__ = function_name(function)
    return flat


def weights_for(results: list[Any]) -> list[Array]:
    """Fixed cotangents of order 1, different for all elements."""
    generator = np.random.default_rng(0)
    return [(0.5 + generator.random(np.shape(r))).astype(np.asarray(r).dtype) for r in results]


def _gradient_problem(problem: Problem) -> Problem:
    """The gradient of the weighted sum of the results, as the function to check next."""
    weights = weights_for(problem.function(*problem.leaves))

    def gradient(*values: Any) -> list[Any]:
        return list(vjp(problem.function, *values)[1](weights))

    return Problem(
        f"the gradient of {problem.name}",
        Compiled(gradient),
        problem.leaves,
        problem.paths,
        problem.eps,
        problem.rtol,
        problem.atol,
    )


def _check(problem: Problem, modes: Sequence[str], order: int) -> None:
    before = trace_count()
    base = problem.function(*problem.leaves)
    if trace_count() > before and not isinstance(problem.function, Compiled):
        # It asks for derivatives itself: do not trace them anew for each difference.
        problem = replace(problem, function=Compiled(problem.function))
    if not base:
        raise ArgumentError(f"{problem.name} has no float result to differentiate")
    weights = weights_for(base)

    # One program: what both modes compute of the function is there once.
    def derivatives(values: list[Any], tangents: list[Any], cotangents: list[Any]) -> Any:
        row = vjp(problem.function, *values)[1](cotangents) if "rev" in modes else ()
        column = jvp(problem.function, values, tangents)[1] if "fwd" in modes else []
        return row, column

    compiled = Compiled(derivatives)
    gradients: Any = None
    for number, leaf in enumerate(problem.leaves):
        for index in np.ndindex(leaf.shape):
            numeric = _difference(problem, number, index, base)
            place = (problem, order, number, index)
            if gradients is None or "fwd" in modes:
                tangents = [np.zeros_like(v) for v in problem.leaves]
                tangents[number][index] = 1
                gradients, column = compiled(problem.leaves, tangents, weights)
                for analytic, expected in zip(column, numeric, strict="fwd" in modes):
                    _compare("fwd", place, np.asarray(analytic), expected)
            if "rev" in modes:
                expected = sum(
                    float(np.sum(w.astype(np.float64) * n))
                    for w, n in zip(weights, numeric, strict=True)
                )
                _compare("rev", place, np.asarray(gradients[number])[index], np.asarray(expected))


def _difference(
    problem: Problem, number: int, index: tuple[int, ...], base: list[Any]
) -> list[Array]:
    """Derivatives of all results in one element, extrapolated; float64."""
    leaf = problem.leaves[number]
    center = leaf[index]
    relative = problem.eps if problem.eps is not None else DEFAULTS[leaf.dtype.name][0]
    step = relative * max(1.0, abs(float(center)))
    finite = [np.isfinite(r) for r in base]
    tolerance = 1e-2 * DEFAULTS[leaf.dtype.name][1]

    def evaluate(offset: float) -> tuple[list[Array], float]:
        moved = list(problem.leaves)
        moved[number] = leaf.copy("K")
        moved[number][index] = center + leaf.dtype.type(offset)
        used = float(moved[number][index]) - float(center)
        with np.errstate(all="ignore"):
            return [np.asarray(r, np.float64) for r in problem.function(*moved)], used

    def central(size: float) -> list[Array]:
        (upper, above), (lower, below) = evaluate(size), evaluate(-size)
        return [(u - v) / (above - below) for u, v in zip(upper, lower, strict=True)]

    best: list[Array] = []
    errors: list[Array] = []
    remaining = _TRIALS
    for _ in range(4 * _TRIALS):
        rows = [central(step / 2**level) for level in range(_LEVELS)]
        trials = [_ridders([row[k] for row in rows]) for k in range(len(base))]
        if not best:
            best, errors = [t[0] for t in trials], [t[1] for t in trials]
        else:
            for k, (value, error) in enumerate(trials):
                better = ~(errors[k] <= error)
                best[k] = np.where(better, value, best[k])
                errors[k] = np.where(better, error, errors[k])
        accurate = [
            (e <= tolerance * (1 + np.abs(b)))[ok].all()
            for e, b, ok in zip(errors, best, finite, strict=True)
        ]
        # Trials count from where the function is defined a step away.
        remaining -= all(np.isfinite(b)[ok].all() for b, ok in zip(best, finite, strict=True))
        if all(accurate) or remaining == 0:
            break
        step /= 8
    return best


def _ridders(row: list[Array]) -> tuple[Array, Array]:
    """Extrapolates differences of halved steps; each element takes the best-agreeing entry.

    Returns the derivatives and their estimated errors.
    """
    with np.errstate(all="ignore"):
        best = row[-1]
        error = np.abs(row[-1] - row[-2])
        factor = 4.0
        while len(row) > 1:
            following = [(factor * b - a) / (factor - 1) for a, b in itertools.pairwise(row)]
            for k, value in enumerate(following):
                change = np.maximum(np.abs(value - row[k]), np.abs(value - row[k + 1]))
                better = change < error
                best = np.where(better, value, best)
                error = np.where(better, change, error)
            row = following
            factor *= 4.0
    return best, np.where(np.isfinite(error), error, np.inf)


def differs(value: Array, expected: Array, rtol: float, atol: float) -> Array:
    """Where two arrays differ by more than the tolerance; NaN is equal to NaN."""
    with np.errstate(all="ignore"):
        wrong = ~(np.abs(value - expected) <= atol + rtol * np.abs(expected))
        return wrong & ~(np.isnan(value) & np.isnan(expected)) & (value != expected)


def _compare(
    mode: str,
    place: tuple[Problem, int, int, tuple[int, ...]],
    analytic: Array,
    numeric: Array,
) -> None:
    problem, order, number, index = place
    rtol, atol = problem.tolerances(problem.leaves[number].dtype)
    wrong = differs(analytic, numeric, rtol, atol)
    if not wrong.any():
        return
    where = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(wrong)))
    got, expected = np.atleast_1d(analytic)[where], np.atleast_1d(numeric)[where]
    result = f", result element {where}" if analytic.ndim else ""
    raise GradientCheckError(
        f"{'forward' if mode == 'fwd' else 'reverse'} derivative of {problem.name} of order "
        f"{order} is wrong at {problem.element(number, index)}{result}: "
        f"numeric {float(expected)!r}, analytic {float(got)!r} "
        f"(difference {abs(float(expected) - float(got)):.3g}, tolerance "
        f"{atol + rtol * abs(float(expected)):.3g})",
        problem.paths[number],
        index,
        float(expected),
        float(got),
    )
