# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How each library computes what a case wants.

A peer gets arguments in arrays of its own kind, made before any timing, and its result counts
when it is complete in memory. All of them compute in float64.
"""

from __future__ import annotations

import functools
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from cases import Case

Call = Callable[[], Any]


class Peer(ABC):
    """One library.

    Attributes:
        title: for the table.
        module: the package that has to be installed.
        compiles: whether the first call makes code.
        differentiates: whether the result is what the case wants, or a value alone.
        is_traced: whether `tracemalloc` sees what it allocates, as it sees NumPy's arrays.
    """

    title: str
    module: str
    compiles = False
    differentiates = True
    is_traced = False

    def __init__(self, threads: int) -> None:
        """Imports the library and limits its threads."""
        self.threads = threads

    @abstractmethod
    def prepare(self, case: Case, arguments: tuple[Any, ...]) -> Call:
        """What computes `case` at `arguments`, not called yet."""

    def planned_bytes(self) -> int | None:
        """Peak memory of a call besides its arguments, where the library knows it."""
        return None

    @classmethod
    def can_do(cls, case: Case) -> bool:
        """Whether the library computes what the case wants."""
        return cls.module not in case.without

    @classmethod
    def is_installed(cls) -> bool:
        """Whether the library can be imported."""
        return importlib.util.find_spec(cls.module) is not None


class GradoptPeer(Peer):
    """gradopt, from NumPy arrays to NumPy arrays."""

    title, module, compiles = "gradopt", "gradopt", True

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        import gradopt

        self.gradopt = gradopt

    def prepare(self, case: Case, arguments: tuple[Any, ...]) -> Call:
        compile_ = {
            "gradient": self.gradopt.compile_value_and_grad,
            "hessian": self.gradopt.compile_hessian,
            "tridiagonal": functools.partial(self.gradopt.compile_hessian, sparse=True),
            "jacobian": self.gradopt.compile_jacobian,
            "result": self.gradopt.compile,
        }[case.wanted]
        compiled = compile_(case.function(np))
        self.lower = lambda: compiled.lower(*arguments)
        if case.wanted == "tridiagonal":
            return lambda: compiled(*arguments).data
        return lambda: compiled(*arguments)

    def planned_bytes(self) -> int:
        memory = self.lower().memory()
        return memory.peak - memory.arguments


class NumpyPeer(Peer):
    """Plain NumPy: the value alone, for scale."""

    title, module, differentiates = "NumPy, value only", "numpy", False
    is_traced = True

    def prepare(self, case: Case, arguments: tuple[Any, ...]) -> Call:
        function = case.function(np)
        return lambda: function(*arguments)


class AutogradPeer(Peer):
    """HIPS autograd."""

    title, module = "HIPS autograd", "autograd"
    is_traced = True

    def prepare(self, case: Case, arguments: tuple[Any, ...]) -> Call:
        import autograd

        function = case.function(autograd.numpy)
        transforms = {
            "gradient": autograd.value_and_grad,
            "hessian": autograd.hessian,
            "jacobian": autograd.jacobian,
        }
        transformed = transforms.get(case.wanted, lambda f: f)(function)
        return lambda: transformed(*arguments)


class JaxPeer(Peer):
    """JAX, jitted, on its own CPU arrays."""

    title, module, compiles = "JAX", "jax", True

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        import jax

        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_enable_x64", True)
        self.jax = jax

    def prepare(self, case: Case, arguments: tuple[Any, ...]) -> Call:
        jax = self.jax
        sizes = tuple([i for i, argument in enumerate(arguments) if type(argument) is int])
        arguments = tuple(
            argument if i in sizes else jax.tree.map(jax.numpy.asarray, argument)
            for i, argument in enumerate(arguments)
        )
        jax.block_until_ready(arguments)
        transforms = {
            "gradient": jax.value_and_grad,
            "hessian": jax.hessian,
            "tridiagonal": self._tridiagonal,
            "jacobian": jax.jacrev,
        }
        transform = transforms.get(case.wanted, lambda f: f)
        transformed = jax.jit(transform(case.function(jax.numpy)), static_argnums=sizes)
        return lambda: jax.block_until_ready(transformed(*arguments))

    def _tridiagonal(self, function: Any) -> Any:
        """By hand, as JAX has no sparse Hessians: products with three sums of unit vectors."""
        jax = self.jax

        def elements(x: Any) -> Any:
            n = len(x)
            rows = np.repeat(np.arange(n), 3)[1:-1]
            columns = rows + np.tile([-1, 0, 1], n)[1:-1]
            seeds = (np.arange(n) % 3 == np.arange(3)[:, None]).astype(x.dtype)
            gradient = jax.grad(function)
            products = jax.vmap(lambda seed: jax.jvp(gradient, (x,), (seed,))[1])(seeds)
            return products[columns % 3, rows]

        return elements


class TorchPeer(Peer):
    """PyTorch, eager, on its own CPU tensors."""

    title, module = "PyTorch, eager", "torch"

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        import torch

        torch.set_num_threads(threads)
        self.torch = torch

    def prepare(self, case: Case, arguments: tuple[Any, ...]) -> Call:
        torch = self.torch
        function = case.function(torch)
        if case.wanted != "gradient":
            return self._prepare_other(case.wanted, function, arguments)
        parameters, *rest = arguments
        many = isinstance(parameters, list)
        leaves = [
            torch.tensor(p, requires_grad=True) for p in (parameters if many else [parameters])
        ]
        data = [self._tensor(array) for array in rest]

        def call() -> Any:
            value = function(leaves if many else leaves[0], *data)
            gradients = torch.autograd.grad(value, leaves)
            return value.detach(), list(gradients) if many else gradients[0]

        return call

    def _tensor(self, argument: Any) -> Any:
        return argument if type(argument) is int else self.torch.tensor(argument)

    def _prepare_other(self, wanted: str, function: Any, arguments: tuple[Any, ...]) -> Call:
        torch = self.torch
        tensors = torch.utils._pytree.tree_map(self._tensor, arguments)
        if wanted == "result":
            return lambda: function(*tensors)
        transform = getattr(torch.func, {"jacobian": "jacrev"}.get(wanted, wanted))
        transformed = transform(function)
        return lambda: transformed(*tensors)


class NumbaPeer(Peer):
    """Numba, of programs of plain loops: the result alone."""

    title, module, compiles = "Numba", "numba", True

    @classmethod
    def can_do(cls, case: Case) -> bool:
        return case.is_plain and super().can_do(case)

    def prepare(self, case: Case, arguments: tuple[Any, ...]) -> Call:
        import numba

        compiled = numba.njit(case.function(np))
        return lambda: compiled(*arguments)


PEERS: dict[str, type[Peer]] = {
    "gradopt": GradoptPeer,
    "numpy": NumpyPeer,
    "autograd": AutogradPeer,
    "jax": JaxPeer,
    "torch": TorchPeer,
    "numba": NumbaPeer,
}
