# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`scipy.optimize`: SciPy's own algorithms on compiled functions with their derivatives.

What an algorithm asks for, gradients, Jacobians, Hessians or products with them, is compiled from
the function. They run on the host and cannot be traced; to differentiate a solution, see
`gradopt.custom_root`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradopt.array.operands import is_traced
from gradopt.base.dtypes import FLOAT64, kind_of
from gradopt.base.frames import hide_frames
from gradopt.base.location import source_location
from gradopt.base.pytree import TreeDef, flatten, leaf_paths
from gradopt.compilation.calling import call_user, check_callable, function_name
from gradopt.compilation.compiled import Compiled
from gradopt.errors import ArgumentError, ArgumentTypeError, UnsupportedError
from gradopt.transforms.gradient import value_and_grad
from gradopt.transforms.jacobians import Jacobian, hessian, hvp
from gradopt.transforms.sparsity import SparseJacobian

__all__ = ["least_squares", "minimize", "root"]

# Methods of scipy.optimize.minimize by what they take, in lower case.
_WITHOUT_GRADIENT = {"nelder-mead", "powell", "cobyla", "cobyqa"}
_WITH_PRODUCTS = {"newton-cg", "trust-ncg", "trust-krylov", "trust-constr"}
_WITH_HESSIAN = {"dogleg", "trust-exact"}
_WITH_JACOBIAN_OF_ROOT = {"hybr", "lm"}


class _Unknowns(NamedTuple):
    """What an algorithm varies: a vector, for a pytree.

    Attributes:
        start: the vector that it begins with.
        tree: the structure of the pytree.
        shapes: of its leaves.
        dtypes: of its leaves.
    """

    start: np.ndarray[Any, Any]
    tree: TreeDef
    shapes: list[tuple[int, ...]]
    dtypes: list[Any]

    def unravel(self, vector: Any) -> Any:
        """The pytree with the elements of a vector, which may be traced."""
        leaves: list[Any] = []
        place = 0
        for shape, dtype in zip(self.shapes, self.dtypes, strict=True):
            size = int(np.prod(shape, dtype=np.int64))
            part = vector[place : place + size].reshape(shape)
            leaves.append(part if dtype == FLOAT64 else part.astype(dtype))
            place += size
        return self.tree.unflatten(leaves)


def _unknowns(name: str, x0: Any) -> _Unknowns:
    leaves, tree = flatten(x0)
    if is_traced(leaves):
        raise UnsupportedError(
            f"gradopt.scipy.optimize.{name} runs SciPy's algorithm, which cannot be traced: call "
            "it outside of compiled functions; to differentiate a solution, use "
            "gradopt.custom_root or gradopt.fixed_point",
            source_location(),
        )
    arrays: list[np.ndarray[Any, Any]] = []
    for leaf, path in zip(leaves, leaf_paths(tree, "x0"), strict=True):
        array = np.asarray(leaf)
        if kind_of(array.dtype) not in "fiu":
            raise ArgumentTypeError(
                f"expected real numbers at {path}, but got dtype {array.dtype}", source_location()
            )
        arrays.append(array if kind_of(array.dtype) == "f" else array.astype(FLOAT64))
    if not arrays:
        raise ArgumentError("x0 has no numbers to vary", source_location())
    return _Unknowns(
        np.concatenate([np.ravel(array).astype(FLOAT64) for array in arrays]),
        tree,
        [array.shape for array in arrays],
        [array.dtype for array in arrays],
    )


def _of_vector(function: Callable[..., Any], unknowns: _Unknowns) -> Callable[..., Any]:
    """The function of the vector in place of the pytree, with a scalar result as it is."""

    def flat(vector: Any, *args: Any) -> Any:
        return call_user(function, (unknowns.unravel(vector), *args), {})

    flat.__name__ = flat.__qualname__ = function_name(function)
    return flat


def _to_vector(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with one vector in place of the pytree that it returns."""

    def flat(*args: Any) -> Any:
        leaves, _ = flatten(call_user(function, args, {}))
        return np.concatenate([np.reshape(leaf, (-1,)) for leaf in leaves])

    flat.__name__ = flat.__qualname__ = function_name(function)
    return flat


def _jacobian(function: Callable[..., Any], sparse: bool) -> Compiled:
    if sparse:
        return Compiled(SparseJacobian(function, 0))
    return Compiled(Jacobian(function, 0, False, None))


def _optimize() -> Any:
    """SciPy's module.

    Raises:
        UnsupportedError: SciPy is not installed.
    """
    try:
        return importlib.import_module("scipy.optimize")
    except ModuleNotFoundError:
        raise UnsupportedError(
            "gradopt.scipy.optimize runs the algorithms of SciPy, which is not installed: "
            "pip install scipy"
        ) from None


def _tuple(args: Any) -> tuple[Any, ...]:
    return args if isinstance(args, tuple) else (args,)


def _with_callback(options: dict[str, Any], unknowns: _Unknowns) -> dict[str, Any]:
    callback = options.get("callback")
    if callback is None:
        return options
    return {**options, "callback": lambda x, *rest: callback(unknowns.unravel(x), *rest)}


@hide_frames
def minimize(
    fun: Callable[..., Any],
    x0: Any,
    args: Any = (),
    method: str | None = None,
    *,
    sparse: bool = False,
    **options: Any,
) -> Any:
    """As `scipy.optimize.minimize`, with derivatives of the function.

    Value and gradient are one compiled program. Methods that use second derivatives get products
    of the Hessian with a vector ("Newton-CG", "trust-ncg", "trust-krylov", "trust-constr"), or the
    Hessian ("dogleg", "trust-exact").

    Args:
        fun: a function of `x0` and `args` that returns a scalar.
        x0: where to begin: a pytree of real numbers.
        args: further arguments of the function, a tuple.
        method: SciPy's name of the algorithm.
        sparse: whether "trust-constr" gets the Hessian as a `csr_array` (see
            `gradopt.compile_hessian`), and constraints their Jacobians.
        options: `bounds`, `constraints`, `tol`, `callback` and `options`, as SciPy takes them.
            `bounds` are in the order of the flattened `x0`. Constraints are functions of what
            `fun` takes first, and get derivatives where they have none. `callback(x)` is called
            with a pytree.

    Returns:
        SciPy's result, of which `x` is like `x0`; the rest is in the order of the flattened `x0`.

    Raises:
        ArgumentTypeError: `x0` has no real numbers.
        NonScalarLossError: the result of the function is not a scalar.
        UnsupportedError: SciPy is not installed, or the call is within traced code.
    """
    check_callable(fun)
    optimize = _optimize()
    unknowns = _unknowns("minimize", x0)
    objective = _of_vector(fun, unknowns)
    name = "" if method is None else str(method).lower()
    given = _with_callback(options, unknowns)
    for keyword in ("jac", "hess", "hessp"):
        if keyword in given:
            raise ArgumentError(
                f"minimize compiles derivatives itself; leave {keyword} out, or use "
                "scipy.optimize.minimize",
                source_location(),
            )
    if name in _WITHOUT_GRADIENT:
        target: Any = Compiled(objective)
    else:
        target = Compiled(value_and_grad(objective))
        given["jac"] = True
    if name in _WITH_HESSIAN:
        given["hess"] = Compiled(hessian(objective))
    elif name == "trust-constr" and sparse:
        given["hess"] = Compiled(SparseJacobian(objective, 0, is_hessian=True))
    elif name in _WITH_PRODUCTS:

        def product(vector: Any, direction: Any, *rest: Any) -> Any:
            # SciPy asks for the dtype of products with a vector of small integers.
            tangent = direction.astype(vector.dtype)
            return hvp(lambda z: objective(z, *rest), (vector,), (tangent,))

        given["hessp"] = Compiled(product)
    if "constraints" in given:
        given["constraints"] = _constraints(optimize, given["constraints"], unknowns, sparse)
    result = optimize.minimize(target, unknowns.start, _tuple(args), method, **given)
    result.x = unknowns.unravel(result.x)
    return result


def _constraints(optimize: Any, given: Any, unknowns: _Unknowns, sparse: bool) -> Any:
    """The constraints, compiled, with derivatives."""
    if isinstance(given, Sequence):
        return [_constraints(optimize, one, unknowns, sparse) for one in given]
    if isinstance(given, dict):
        function = _to_vector(_of_vector(given["fun"], unknowns))
        derivative = {} if given.get("jac") is not None else {"jac": _jacobian(function, False)}
        return {**given, "fun": Compiled(function), **derivative}
    if isinstance(given, optimize.NonlinearConstraint):
        function = _to_vector(_of_vector(given.fun, unknowns))

        def curvature(vector: Any, weights: Any) -> Any:
            return hessian(lambda z: weights @ function(z))(vector)

        jac, hess = given.jac, given.hess
        return optimize.NonlinearConstraint(
            Compiled(function),
            given.lb,
            given.ub,
            jac if callable(jac) else _jacobian(function, sparse),
            hess if callable(hess) else Compiled(curvature),
            given.keep_feasible,
        )
    return given


@hide_frames
def root(
    fun: Callable[..., Any], x0: Any, args: Any = (), method: str = "hybr", **options: Any
) -> Any:
    """As `scipy.optimize.root`, with the Jacobian of the function where the method uses one.

    Args:
        fun: a function of `x0` and `args` that returns a pytree of as many numbers as `x0` has.
        x0: where to begin: a pytree of real numbers.
        args: further arguments of the function, a tuple.
        method: SciPy's name of the algorithm; "hybr" and "lm" get the Jacobian.
        options: `tol`, `callback` and `options`, as SciPy takes them.

    Returns:
        SciPy's result, of which `x` is like `x0`.

    Raises:
        ArgumentTypeError: `x0` has no real numbers.
        UnsupportedError: SciPy is not installed, or the call is within traced code.
    """
    check_callable(fun)
    optimize = _optimize()
    unknowns = _unknowns("root", x0)
    function = _to_vector(_of_vector(fun, unknowns))
    given = _with_callback(options, unknowns)
    if method in _WITH_JACOBIAN_OF_ROOT:
        given["jac"] = _jacobian(function, False)
    result = optimize.root(Compiled(function), unknowns.start, _tuple(args), method, **given)
    result.x = unknowns.unravel(result.x)
    return result


@hide_frames
def least_squares(
    fun: Callable[..., Any],
    x0: Any,
    *,
    args: Any = (),
    kwargs: dict[str, Any] | None = None,
    sparse: bool = False,
    **options: Any,
) -> Any:
    """As `scipy.optimize.least_squares`, with the Jacobian of the residuals.

    Args:
        fun: a function of `x0`, `args` and `kwargs` that returns residuals, a pytree.
        x0: where to begin: a pytree of real numbers.
        args: further arguments of the function, a tuple.
        kwargs: further arguments by name.
        sparse: whether the Jacobian is a `csr_array` (see `gradopt.compile_jacobian`), which
            methods "trf" and "dogbox" take.
        options: what else SciPy takes. `bounds` and `x_scale` are in the order of the flattened
            `x0`.

    Returns:
        SciPy's result, of which `x` is like `x0`.

    Raises:
        ArgumentTypeError: `x0` has no real numbers.
        UnsupportedError: SciPy is not installed, or the call is within traced code.
    """
    check_callable(fun)
    optimize = _optimize()
    unknowns = _unknowns("least_squares", x0)
    named = kwargs or {}

    def residuals(tree: Any, *rest: Any) -> Any:
        return call_user(fun, (tree, *rest), named)

    residuals.__name__ = residuals.__qualname__ = function_name(fun)
    function = _to_vector(_of_vector(residuals, unknowns))
    result = optimize.least_squares(
        Compiled(function),
        unknowns.start,
        _jacobian(function, sparse),
        args=_tuple(args),
        **options,
    )
    result.x = unknowns.unravel(result.x)
    return result
