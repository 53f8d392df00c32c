# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The compile functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradopt.base.frames import hide_frames
from gradopt.base.options import make_options
from gradopt.compilation.compiled import Compiled
from gradopt.transforms.gradient import grad, value_and_grad
from gradopt.transforms.transform import ArgNums


@hide_frames
def compile(function: Callable[..., Any], **options: Any) -> Compiled:
    """Compiles a NumPy function.

    Args:
        function: takes and returns pytrees of arrays and numbers.
        options: `static_argnums`, `static_argnames`, `device="cpu"`, `fast_math`, `num_threads`,
            `max_specializations` (256: signatures whose code is kept, the least recently used
            dropped first) and `progress` (True: a compilation of more than two seconds says so on
            standard error).

    Returns:
        A function with the same meaning, compiled at the first call for each signature.

    Raises:
        ArgumentTypeError: no such option.
        UnsupportedError: an option that is not supported yet.
    """
    return Compiled(function, make_options(function, options))


@hide_frames
def compile_grad(
    function: Callable[..., Any], argnums: ArgNums = 0, *, has_aux: bool = False, **options: Any
) -> Compiled:
    """Compiles the gradient of a scalar-valued function.

    Args:
        function: as for `gradopt.grad`, with the next two.
        argnums: which positional arguments to differentiate with respect to.
        has_aux: whether the function returns auxiliary data beside the loss.
        options: as for `compile`.

    Returns:
        What `gradopt.grad` returns, compiled; it raises the same errors when called.
    """
    made = make_options(function, options)
    return Compiled(grad(function, argnums, has_aux), made)


@hide_frames
def compile_value_and_grad(
    function: Callable[..., Any], argnums: ArgNums = 0, *, has_aux: bool = False, **options: Any
) -> Compiled:
    """Compiles value and gradient of a scalar-valued function into one program.

    Takes what `compile_grad` takes. The result is `(value, gradient)`, or
    `((value, aux), gradient)` with `has_aux`.
    """
    made = make_options(function, options)
    return Compiled(value_and_grad(function, argnums, has_aux), made)
