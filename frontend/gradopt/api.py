# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The compile functions."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from gradopt.base.frames import hide_frames
from gradopt.base.options import make_options
from gradopt.compilation.compiled import Compiled
from gradopt.errors import UnsupportedError
from gradopt.transforms.gradient import grad, value_and_grad
from gradopt.transforms.jacobian_products import jvp, named_like, vjp
from gradopt.transforms.jacobians import Jacobian, Mode, hessian
from gradopt.transforms.transform import ArgNums


@hide_frames
def compile(function: Callable[..., Any], **options: Any) -> Compiled:
    """Compiles a NumPy function.

    Args:
        function: takes and returns pytrees of arrays and numbers.
        options: `static_argnums`, `static_argnames`, `donate_argnums`, `donate_argnames`,
            `dynamic` (dimensions of arguments that may have another size in each call, see `Dim`),
            `device`, `fast_math`, `num_threads`, `max_specializations` (256: signatures whose
            code is kept, the least recently used dropped first) and `progress` (True: a compilation
            of more than two seconds says so on standard error).

    The arrays in a donated argument (`donate_argnums`, `donate_argnames`) are given up by the
    caller. A result of the same shape and dtype is computed in the memory of each, as a new array,
    so that a step of an optimiser needs neither memory nor copies for new parameters:
    `lower(*args).memory()` shows it. Results that have no such argument have memory of their own;
    an array that no result can use stays as it is, with an `UnusedDonationWarning`.

    A NumPy array cannot be taken away from those who refer to it. So a donated array becomes
    read-only, and to pass it on, or a view of it, to compiled code raises a `DonatedArrayError`
    that names it. But NumPy still reads it, and finds elements of the result. This holds from the
    beginning of the call, even if that raises an error.

    No memory is taken that somebody else may refer to: an array that is read-only, not contiguous,
    a view of another one, or that has its memory from elsewhere, is copied, and stays as it is.
    With results of earlier calls, that happens no more. Numbers and arrays without dimensions are
    not donated, and within traced code nothing is.

    Returns:
        A function with the same meaning, compiled at the first call for each signature.

    Raises:
        ArgumentTypeError: no such option.
        ArgumentError: there is no such argument; when called, if a donated argument shares memory
            with another argument, or sizes are not what `dynamic` says.
        DonatedArrayError: when called, with an array that was donated before.
        UnsupportedError: an option that is not supported yet.
    """
    return Compiled(function, make_options(function, options))


@hide_frames
def compile_grad(
    function: Callable[..., Any],
    argnums: ArgNums = 0,
    *,
    has_aux: bool = False,
    holomorphic: bool = False,
    **options: Any,
) -> Compiled:
    """Compiles the gradient of a scalar-valued function.

    Args:
        function: as for `gradopt.grad`, with the next three.
        argnums: which positional arguments to differentiate with respect to.
        has_aux: whether the function returns auxiliary data beside the loss.
        holomorphic: whether the function is holomorphic.
        options: as for `compile`.

    Returns:
        What `gradopt.grad` returns, compiled; it raises the same errors when called.
    """
    made = make_options(function, options)
    return Compiled(grad(function, argnums, has_aux, holomorphic), made)


@hide_frames
def compile_value_and_grad(
    function: Callable[..., Any],
    argnums: ArgNums = 0,
    *,
    has_aux: bool = False,
    holomorphic: bool = False,
    **options: Any,
) -> Compiled:
    """Compiles value and gradient of a scalar-valued function into one program.

    Takes what `compile_grad` takes. The result is `(value, gradient)`, or
    `((value, aux), gradient)` with `has_aux`.
    """
    made = make_options(function, options)
    return Compiled(value_and_grad(function, argnums, has_aux, holomorphic), made)


@hide_frames
def compile_jvp(function: Callable[..., Any], *, has_aux: bool = False, **options: Any) -> Compiled:
    """Compiles value and directional derivative of a function into one program.

    Args:
        function: any function of arrays; it returns `(result, aux)` with `has_aux`.
        has_aux: whether the function returns auxiliary data beside the result.
        options: as for `compile`.

    Returns:
        A function of `(primals, tangents)`, both tuples with an entry for each argument, that
        returns `(result, tangent)`, and aux.

    Raises:
        ArgumentError: when called, if the tangents do not fit the primals.
    """

    def push(primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
        return jvp(function, primals, tangents, has_aux)

    return Compiled(named_like(function, push), make_options(push, options))


@hide_frames
def compile_vjp(function: Callable[..., Any], *, has_aux: bool = False, **options: Any) -> Compiled:
    """Compiles value and pullback of a function into one program.

    Args:
        function: any function of float arrays; it returns `(result, aux)` with `has_aux`.
        has_aux: whether the function returns auxiliary data beside the result.
        options: as for `compile`.

    Returns:
        A function of `(primals, cotangent)`, a tuple with an entry for each argument and a
        cotangent like the result, that returns `(result, gradients)`, and aux. `gradients` is a
        tuple like `primals`.

    Raises:
        ArgumentError: when called, if the cotangent does not fit the result.
    """

    def pull(primals: Sequence[Any], cotangent: Any) -> Any:
        result, pullback, *aux = vjp(function, *primals, has_aux=has_aux)
        return (result, pullback(cotangent), *aux)

    return Compiled(named_like(function, pull), make_options(pull, options))


@hide_frames
def compile_jacobian(
    function: Callable[..., Any],
    argnums: ArgNums = 0,
    *,
    has_aux: bool = False,
    mode: Mode = None,
    holomorphic: bool = False,
    sparse: bool = False,
    **options: Any,
) -> Compiled:
    """Compiles the Jacobian of a function.

    With `sparse`, it is found from few products. The compiler derives from the program which
    results may depend on which arguments: from shapes, slices, indices that are concrete and loops,
    not from values. Columns without a common row get one color (Gebremedhin, Manne and Pothen,
    SIAM Review 47, 2005), and one product each, or rows if there are fewer of them; memory and time
    are those of the elements. Elements that the pattern has but that are zero are stored.

    Args:
        function: returns a pytree of float arrays; `(result, aux)` with `has_aux`.
        argnums: which positional arguments to differentiate with respect to.
        has_aux: whether the function returns auxiliary data beside the result.
        mode: "fwd" as `jacfwd`, "rev" as `jacrev`; None for the one that takes fewer products.
        holomorphic: whether arguments and results are complex, and the function holomorphic.
        sparse: whether to compute `scipy.sparse.csr_array`s.
        options: as for `compile`.

    Returns:
        A function of the same arguments, with the result of `jacfwd`. With `sparse`, a
        `csr_array` of shape `(size of the result, size of the argument)`, both in row-major order,
        is in the place of each array; it needs SciPy.

    Raises:
        ArgumentTypeError: when called, if a selected argument or a result is not of floats.
        UnsupportedError: `sparse` with aux, a mode, or complex numbers.
    """
    if sparse:
        _require_plain("compile_jacobian", has_aux=has_aux, mode=mode, holomorphic=holomorphic)
        transform = _sparsity().SparseJacobian(function, argnums)
        return Compiled(transform, make_options(function, options))
    made = make_options(function, options)
    return Compiled(Jacobian(function, argnums, has_aux, mode, holomorphic), made)


@hide_frames
def compile_hessian(
    function: Callable[..., Any],
    argnums: ArgNums = 0,
    *,
    has_aux: bool = False,
    holomorphic: bool = False,
    sparse: bool = False,
    **options: Any,
) -> Compiled:
    """Compiles the matrix of second derivatives of a function.

    With `sparse`, as for `compile_jacobian`, from products with the gradient's Jacobian: there is
    one for each color of a star coloring of the pattern, which uses that it is symmetric. (Rules of
    custom derivatives can make a matrix that is not; do without `sparse` then.)

    Args:
        function: returns a pytree of float arrays; `(result, aux)` with `has_aux`.
        argnums: which positional arguments to differentiate with respect to.
        has_aux: whether the function returns auxiliary data beside the result.
        holomorphic: whether arguments and results are complex, and the function holomorphic.
        sparse: whether to compute `scipy.sparse.csr_array`s, of a function that returns a scalar.
        options: as for `compile`.

    Returns:
        A function of the same arguments, with the result of `hessian`. With `sparse`, a
        `csr_array` of shape `(n, n)` for an argument of `n` elements, in row-major order.

    Raises:
        ArgumentTypeError: when called, if a selected argument or a result is not of floats.
        NonScalarLossError: when called, with `sparse`, if the result is not a scalar.
        UnsupportedError: `sparse` with aux or complex numbers.
    """
    if sparse:
        _require_plain("compile_hessian", has_aux=has_aux, holomorphic=holomorphic)
        transform = _sparsity().SparseJacobian(function, argnums, is_hessian=True)
        return Compiled(transform, make_options(function, options))
    made = make_options(function, options)
    return Compiled(hessian(function, argnums, has_aux, holomorphic), made)


def _require_plain(name: str, **given: Any) -> None:
    for keyword, value in given.items():
        if value:
            raise UnsupportedError(
                f"{name} with sparse=True does not take {keyword}={value!r}; leave it out, or "
                "compute the dense matrix"
            )


def _sparsity() -> Any:
    """The module of sparse derivatives, which few programs need."""
    return importlib.import_module("gradopt.transforms.sparsity")
