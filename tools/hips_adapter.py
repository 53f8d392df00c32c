# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The names of HIPS autograd, made of gradopt's public functions; see `tools/hips.py`.

`install` puts modules of these names among those that are imported. What is different stays
different: a function is traced and compiled, not recorded as it runs, so that there are no boxes,
no nodes of a graph and no vector spaces.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import itertools
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import scipy.stats

import gradopt as go
import gradopt.numpy as gnp

# The suite's checks allow such differences, relative or absolute.
TOLERANCE = 1e-6


def leaves_of(value: Any) -> Iterator[Any]:
    """The arrays and numbers in nested containers."""
    if isinstance(value, dict):
        for key in sorted(value):
            yield from leaves_of(value[key])
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from leaves_of(part)
    else:
        yield value


def mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """Nested containers with a function of their arrays and numbers in the places of these."""
    if isinstance(value, dict):
        return {key: mapped(function, part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        parts = [mapped(function, part) for part in value]
        is_named = hasattr(value, "_fields")
        return type(value)(*parts) if is_named else type(value)(parts)
    return function(value)


# -- Derivatives -------------------------------------------------------------------------------


def of_arguments(operator: Callable[..., Any]) -> Callable[..., Any]:
    """An operator on a function of one argument, as one on those that `argnum` names."""

    @functools.wraps(operator)
    def of_function(function: Any, argnum: Any = 0, *rest: Any, **options: Any) -> Any:
        def result(*args: Any, **kwargs: Any) -> Any:
            # The other arguments are constants, as in HIPS: they may be lists and strings.
            def unary(x: Any) -> Any:
                inner = list(args)
                if isinstance(argnum, int):
                    inner[argnum] = x
                else:
                    for place, value in zip(argnum, x, strict=True):
                        inner[place] = value
                return function(*inner, **kwargs)

            unary.__name__ = getattr(function, "__name__", "function")
            x = args[argnum] if isinstance(argnum, int) else tuple(args[i] for i in argnum)
            return operator(unary, x, *rest, **options)

        return result

    return of_function


def scalar_of(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """HIPS takes gradients of all results that have one element."""

    def loss(x: Any) -> Any:
        y = function(x)
        return np.reshape(y, ()) if np.size(y) == 1 else y

    return loss


@of_arguments
def grad(function: Any, x: Any) -> Any:
    return go.grad(scalar_of(function))(x)


@of_arguments
def value_and_grad(function: Any, x: Any) -> Any:
    def with_value(x: Any) -> Any:
        y = function(x)
        return (np.reshape(y, ()) if np.size(y) == 1 else y), y

    gradient, value = go.grad(with_value, has_aux=True)(x)
    return value, gradient


@of_arguments
def grad_and_aux(function: Any, x: Any) -> Any:
    return go.grad(function, has_aux=True)(x)


@of_arguments
def elementwise_grad(function: Any, x: Any) -> Any:
    return go.grad(lambda x: np.sum(function(x)))(x)


@of_arguments
def deriv(function: Any, x: Any) -> Any:
    return go.jvp(function, (x,), (mapped(ones_like, x),))[1]


def ones_like(x: Any) -> Any:
    return np.ones_like(x)[()]


@of_arguments
def holomorphic_grad(function: Any, x: Any) -> Any:
    return go.grad(lambda x: np.real(function(x)))(x)


def grad_named(function: Any, name: str) -> Any:
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    return grad(function, names.index(name))


@of_arguments
def jacobian(function: Any, x: Any) -> Any:
    return go.jacrev(function)(x)


@of_arguments
def hessian(function: Any, x: Any) -> Any:
    return go.hessian(function)(x)


def unary_vjp(function: Any, x: Any) -> Any:
    value, pullback = go.vjp(function, x)
    if getattr(value, "dtype", np.dtype(float)).kind in "bi":
        # HIPS has zeros where gradopt asks for no cotangent.
        return lambda g: mapped(np.zeros_like, x), value
    return lambda g: pullback(g)[0], value


def unary_jvp(function: Any, x: Any) -> Any:
    return lambda v: go.jvp(function, (x,), (v,))


make_vjp = of_arguments(unary_vjp)
make_jvp = of_arguments(unary_jvp)


@of_arguments
def make_hvp(function: Any, x: Any) -> Any:
    value, pullback = go.vjp(go.grad(scalar_of(function)), x)
    return lambda v: pullback(v)[0], value


def hessian_tensor_product(function: Any, argnum: int = 0) -> Any:
    def product(*args: Any, **kwargs: Any) -> Any:
        *arguments, v = args

        def unary(x: Any) -> Any:
            return function(*arguments[:argnum], x, *arguments[argnum + 1 :], **kwargs)

        return go.hvp(unary, (arguments[argnum],), (v,))

    return product


def tensor_jacobian_product(function: Any, argnum: int = 0) -> Any:
    def product(*args: Any, **kwargs: Any) -> Any:
        *arguments, v = args

        def unary(x: Any) -> Any:
            y = function(*arguments[:argnum], x, *arguments[argnum + 1 :], **kwargs)
            return np.tensordot(v, y, axes=np.ndim(v))

        return go.jacrev(unary)(arguments[argnum])

    return product


def half_square(y: Any) -> Any:
    return 0.5 * np.sum(y**2, axis=-1)


def make_ggnvp(function: Any, g: Any = half_square, f_argnum: int = 0) -> Any:
    """Products with J^T H J, of the Jacobian of a function and the Hessian of another on top."""

    @of_arguments
    def maker(function: Any, x: Any) -> Any:
        y, pullback = go.vjp(function, x)
        curvature = go.hessian(g)(y)
        return lambda v: pullback(np.dot(curvature, go.jvp(function, (x,), (v,))[1]))[0]

    return maker(function, f_argnum)


# -- Functions with rules ----------------------------------------------------------------------


class Primitive:
    """A function whose derivatives are what `defvjp` and `defjvp` say."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.vjps: dict[int, Any] = {}
        self.jvps: dict[int, Any] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        def call(*inner: Any) -> Any:
            return self.function(*inner, **kwargs)

        call.__name__ = self.function.__name__

        def fwd(*inner: Any) -> Any:
            result = self.function(*inner, **kwargs)
            return result, (result, inner)

        def bwd(residuals: Any, g: Any) -> Any:
            result, inner = residuals
            return tuple([self.pulled(n, g, result, inner, kwargs) for n in range(len(inner))])

        custom = go.custom_vjp(call)
        custom.defvjp(fwd, bwd)
        if self.jvps:

            def rule(primals: Any, tangents: Any) -> Any:
                result = self.function(*primals, **kwargs)
                parts = [
                    self.jvps[n](tangent, result, *primals, **kwargs)
                    for n, tangent in enumerate(tangents)
                    if self.jvps.get(n) is not None
                ]
                return result, functools.reduce(lambda a, b: a + b, parts)

            custom.defjvp(rule)
        return custom(*args)

    def pulled(self, place: int, g: Any, result: Any, args: Any, kwargs: Any) -> Any:
        if place not in self.vjps:
            raise NotImplementedError(f"{self.function.__name__} has no VJP in argument {place}")
        rule = self.vjps[place]
        return None if rule is None else rule(result, *args, **kwargs)(g)

    # Spellings of older versions, which the suite still tests.

    def defgrad(self, rule: Any, argnum: int = 0) -> None:
        self.vjps[argnum] = rule

    def defvjp(self, rule: Any, argnum: int = 0) -> None:
        self.vjps[argnum] = lambda result, *args, **kwargs: (
            lambda g: rule(g, result, None, None, *args, **kwargs)
        )

    def defvjp_is_zero(self, argnums: Any = (0,)) -> None:
        self.vjps.update(dict.fromkeys(argnums))


def defvjp(function: Primitive, *rules: Any, argnums: Any = None) -> None:
    function.vjps.update(zip(argnums or itertools.count(), rules, strict=False))


def defjvp(function: Primitive, *rules: Any, argnums: Any = None) -> None:
    function.jvps.update(zip(argnums or itertools.count(), rules, strict=False))


# -- Checks ------------------------------------------------------------------------------------


def are_close(a: Any, b: Any) -> bool:
    """Whether two arrays agree as well as the suite asks for."""
    return bool(np.allclose(a, b, TOLERANCE, TOLERANCE, equal_nan=True))


def check_equivalent(a: Any, b: Any) -> None:
    for x, y in zip(leaves_of(a), leaves_of(b), strict=True):
        x, y = np.asarray(x), np.asarray(y)
        assert x.shape == y.shape, f"shapes {x.shape} and {y.shape}"
        assert x.dtype == y.dtype, f"dtypes {x.dtype} and {y.dtype}"
        assert are_close(x, y), f"values {x} and {y}"


@of_arguments
def check_grads(function: Any, x: Any, modes: Any = None, order: int = 2) -> None:
    """Derivatives against differences of what NumPy calculates; and the compiled value.

    HIPS looks at one random direction, this at each element.
    """
    compiled = go.compile(function)
    expected, found = function(mapped(np.copy, x)), compiled(x)
    if with_vectors(expected) and not all(map(are_close, found, expected)):
        # Vectors may have other signs: differences of what was compiled, which has one value.
        same = [are_close(a, b * signs(a, b)) for a, b in zip(found, expected, strict=True)]
        assert all(same), f"{found} is not {expected} but for signs"
        function = compiled
    else:
        for a, b in zip(leaves_of(found), leaves_of(expected), strict=True):
            assert np.shape(a) == np.shape(b), f"{np.shape(a)} is not NumPy's shape, {np.shape(b)}"
            assert are_close(a, b), f"{a} is not NumPy's value, {b}"
    check_derivatives(function, (x,), tuple(modes or ("fwd", "rev")), order)


def with_vectors(result: Any) -> bool:
    """Whether a result is eigenvalues and, one dimension more, eigenvectors."""
    return isinstance(result, tuple) and [np.ndim(part) for part in result[1:]] == [
        np.ndim(result[0]) + 1
    ]


def signs(a: Any, b: Any) -> Any:
    """The sign that each column of a matrix of vectors has in another one; 1 of values."""
    if np.ndim(a) == np.ndim(b) and np.ndim(a) % 2 == 1:
        return 1.0
    return np.sign(np.sum(a * b, axis=-2, keepdims=True))


def check_derivatives(function: Any, args: tuple[Any, ...], modes: Any, order: int) -> None:
    """Checks a function, and the function that its derivatives of the next order belong to."""
    name = function.__name__
    try:
        try:
            go.gradcheck(function, args, modes=modes, rtol=TOLERANCE, atol=TOLERANCE)
        except go.errors.GradientCheckError:
            # HIPS compares sums, in which an error counts against the largest derivatives.
            _, tangent = go.jvp(function, args, mapped(random_like, args))
            largest = max([float(np.max(np.abs(t), initial=1)) for t in leaves_of(tangent)])
            go.gradcheck(function, args, modes=modes, rtol=TOLERANCE, atol=TOLERANCE * largest)
    except go.errors.GradientCheckError as error:
        # In the suite's words.
        mode = "JVP" if error.message.startswith("forward") else "VJP"
        raise AssertionError(f"({mode}) check of {name} failed: {error.message}") from error
    if order == 1:
        return
    if "rev" in modes:

        def derivative(direction: Any, *args: Any) -> Any:
            return go.vjp(function, *args)[1](direction)

        direction = mapped(random_like, function(*mapped(np.copy, args)))
    else:

        def derivative(direction: Any, *args: Any) -> Any:
            return go.jvp(function, args, direction)[1]

        direction = mapped(random_like, args)
    derivative.__name__ = f"{'vjp' if 'rev' in modes else 'jvp'}_{name}"
    check_derivatives(derivative, (direction, *args), modes, order - 1)


def random_like(x: Any) -> Any:
    """Normal numbers of the shape and dtype of an array; zeros where it has no derivative."""
    x = np.asarray(x)
    draw = np.random.standard_normal  # the suite sets the seed of this generator
    made = draw(x.shape) + (1j * draw(x.shape) if x.dtype.kind == "c" else 0)
    return (made if x.dtype.kind in "fc" else 0 * x).astype(x.dtype)[()]


def combo_check(function: Any, argnum: Any = 0, *options: Any, **named: Any) -> Any:
    """Checks a function with all combinations of arguments."""
    check = check_grads(function, argnum, *options, **named)

    def combinations(*args: Any, **kwargs: Any) -> None:
        for chosen in itertools.product(*args):
            for values in itertools.product(*kwargs.values()):
                check(*chosen, **dict(zip(kwargs, values, strict=True)))

    return combinations


def quick_grad_check(function: Any, x: Any, args: Any = (), kwargs: Any = None) -> None:
    check_grads(function, modes=["rev"], order=1)(x, *args, **(kwargs or {}))


# -- The rest ----------------------------------------------------------------------------------


def flatten(value: Any) -> Any:
    """One array of all numbers in nested containers, and the way back."""
    parts = [np.ravel(leaf) for leaf in leaves_of(value)]
    sizes = [np.shape(leaf) for leaf in leaves_of(value)]

    def unflatten(flat: Any) -> Any:
        places = np.cumsum([0, *[int(np.prod(shape)) for shape in sizes]])
        pieces = iter(
            [
                flat[a:b].reshape(shape)[()]
                for (a, b), shape in zip(itertools.pairwise(places), sizes, strict=True)
            ]
        )
        # In the order in which they were flattened.
        return _refilled(value, pieces)

    return (np.concatenate(parts) if parts else np.array([])), unflatten


def _refilled(value: Any, pieces: Iterator[Any]) -> Any:
    if isinstance(value, dict):
        return {key: _refilled(value[key], pieces) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return type(value)([_refilled(part, pieces) for part in value])
    return next(pieces)


def make_diagonal(d: Any, offset: int = 0, axis1: int = -1, axis2: int = -2) -> Any:
    """Diagonal matrices; HIPS adds it to NumPy's functions."""
    return d[..., None] * np.eye(np.shape(d)[-1])


def odeint(function: Any, y0: Any, t: Any, args: Any = (), **options: Any) -> Any:
    """`scipy.integrate.odeint`: arguments in a tuple.

    Steps so small that what a difference in them makes is smaller than the tolerance.
    """
    tolerances: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-12}
    return go.odeint(function, y0, t, *args, **(tolerances | options))


def is_box(value: Any) -> bool:
    return type(value).__module__.startswith("gradopt")


def missing(name: str) -> Callable[..., Any]:
    """What HIPS has for itself: it can be imported, and not be used."""

    def call(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"gradopt has no {name}")

    return call


class Mirror(ModuleType):
    """A module that has the names of others, the first that has one counts."""

    def __init__(self, name: str, *sources: Any, **names: Any) -> None:
        super().__init__(name)
        self.__dict__["__path__"] = []
        self.__dict__.update(names)
        self.__dict__["_sources"] = sources

    def __getattr__(self, name: str) -> Any:
        for source in self.__dict__["_sources"]:
            if hasattr(source, name):
                return getattr(source, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


def _scipy(name: str, **names: Any) -> Mirror:
    """A module of SciPy's: what gradopt has in its place, and the rest as SciPy has it."""
    sources: list[Any] = []
    for package in ("gradopt.scipy", "scipy"):
        try:
            sources.append(importlib.import_module(f"{package}.{name}"))
        except ModuleNotFoundError:
            continue
    return Mirror(f"autograd.scipy.{name}", *sources, **names)


def sqrtm(a: Any) -> Any:
    """SciPy's root of a real matrix is complex if that needs to be; ours is what the matrix is."""
    return go.scipy.linalg.sqrtm(a + 0j)


def install() -> None:
    """Puts the modules of HIPS autograd among those that are imported."""
    operators = {
        function.__name__: function
        for function in (
            *(deriv, elementwise_grad, grad, grad_and_aux, grad_named, hessian),
            *(hessian_tensor_product, holomorphic_grad, jacobian, make_ggnvp, make_hvp),
            *(tensor_jacobian_product, value_and_grad),
        )
    }
    operators.update(make_jvp=make_jvp, make_vjp=make_vjp)
    operators["hessian_vector_product"] = hessian_tensor_product
    operators["vector_jacobian_product"] = tensor_jacobian_product
    operators["checkpoint"] = go.checkpoint
    containers = {
        name: getattr(builtins, name) for name in ("dict", "isinstance", "list", "tuple", "type")
    }
    rules = {"primitive": Primitive, "defvjp": defvjp, "defjvp": defjvp}
    vspace = missing("vector spaces")
    numpy_names = {"make_diagonal": make_diagonal, "row_stack": np.vstack}
    namespace = Mirror("autograd.numpy", gnp, **numpy_names)
    # The suite calls two functions that HIPS' module has beside NumPy's.
    linalg = Mirror("autograd.numpy.linalg", np.linalg, _dot=np.matmul, T=np.matrix_transpose)
    stats = _scipy("stats")
    for name, ours in vars(go.scipy.stats).items():
        # What a distribution of ours lacks, SciPy's has: rvs.
        theirs = getattr(scipy.stats, name, None)
        if hasattr(theirs, "rvs"):
            setattr(stats, name, Mirror(f"autograd.scipy.stats.{name}", ours, theirs))
    modules: dict[str, Any] = {
        "": Mirror("autograd", numpy=namespace, primitive=Primitive, **operators, **containers),
        ".builtins": Mirror("autograd.builtins", **containers),
        ".core": Mirror(
            "autograd.core",
            **rules,
            make_jvp=unary_jvp,
            make_vjp=unary_vjp,
            vspace=vspace,
            primitive_vjps={},
        ),
        ".differential_operators": Mirror("autograd.differential_operators", **operators),
        ".extend": Mirror("autograd.extend", **rules, vspace=vspace),
        ".misc": Mirror("autograd.misc", flatten=flatten, const_graph=missing("const_graph")),
        ".numpy": namespace,
        ".numpy.fft": np.fft,
        ".numpy.linalg": linalg,
        ".numpy.random": np.random,
        ".scipy": Mirror("autograd.scipy"),
        ".scipy.integrate": _scipy("integrate", odeint=odeint),
        ".scipy.linalg": _scipy("linalg", sqrtm=sqrtm),
        ".scipy.signal": _scipy("signal"),
        ".scipy.special": _scipy("special"),
        ".scipy.stats": stats,
        ".scipy.stats.multivariate_normal": stats.multivariate_normal,
        ".test_util": Mirror(
            "autograd.test_util",
            check_equivalent=check_equivalent,
            check_grads=check_grads,
            combo_check=combo_check,
            scalar_close=are_close,
        ),
        ".tracer": Mirror("autograd.tracer", primitive=Primitive, isbox=is_box),
        ".util": Mirror("autograd.util", quick_grad_check=quick_grad_check),
        ".wrap_util": Mirror("autograd.wrap_util", unary_to_nary=of_arguments),
    }
    for name, module in modules.items():
        sys.modules[f"autograd{name}"] = module
        parent, _, last = f"autograd{name}".rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, module)
