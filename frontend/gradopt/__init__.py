# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""gradopt compiles NumPy functions and their derivatives to native code through MLIR."""

import importlib
from typing import TYPE_CHECKING, Any

from gradopt import control as control  # what rewritten functions call
from gradopt import errors as errors
from gradopt import functions as functions  # fills the tables of NumPy functions
from gradopt import numpy as numpy
from gradopt._gradopt import DeviceArray
from gradopt.api import (
    compile,
    compile_grad,
    compile_hessian,
    compile_jacobian,
    compile_jvp,
    compile_value_and_grad,
    compile_vjp,
)
from gradopt.base.devices import Device, devices
from gradopt.base.dims import Dim
from gradopt.base.pytree import register_pytree
from gradopt.compilation.compiled import Compiled
from gradopt.compilation.lowered import Lowered, Memory
from gradopt.errors import GradoptError
from gradopt.transforms.batching import vmap
from gradopt.transforms.branches import cond, switch
from gradopt.transforms.gradient import grad, stop_gradient, value_and_grad
from gradopt.transforms.jacobian_products import jvp, linearize, vjp
from gradopt.transforms.jacobians import hessian, hvp, jacfwd, jacrev
from gradopt.transforms.loops import fori_loop, map, scan, while_loop

if TYPE_CHECKING:
    from gradopt import jax as jax
    from gradopt import nn as nn
    from gradopt import optim as optim
    from gradopt import random as random
    from gradopt import scipy as scipy
    from gradopt import torch as torch
    from gradopt.base.device_arrays import asarray
    from gradopt.compilation.bundle import save
    from gradopt.compilation.loading import load
    from gradopt.transforms.callbacks import pure_callback
    from gradopt.transforms.checkpointing import checkpoint
    from gradopt.transforms.custom import custom_jvp, custom_vjp
    from gradopt.transforms.custom_call import custom_call
    from gradopt.transforms.custom_check import check_custom
    from gradopt.transforms.gradcheck import gradcheck
    from gradopt.transforms.implicit import custom_linear_solve, custom_root, fixed_point
    from gradopt.transforms.integrate import odeint
    from gradopt.transforms.result_specs import ShapeDtypeStruct
    from gradopt.transforms.symbolic_zeros import CustomVJPPrimal, SymbolicZero
    from gradopt.transforms.written import with_written

__version__ = "0.1.0"

# What is imported when it is first used, as few programs need it: modules, and names by module.
_LAZY_MODULES = ("jax", "nn", "optim", "random", "scipy", "torch")
_LAZY_NAMES = {
    "base.device_arrays": ("asarray",),
    "compilation.bundle": ("save",),
    "compilation.loading": ("load",),
    "transforms.callbacks": ("pure_callback",),
    "transforms.checkpointing": ("checkpoint",),
    "transforms.custom": ("custom_jvp", "custom_vjp"),
    "transforms.custom_call": ("custom_call",),
    "transforms.custom_check": ("check_custom",),
    "transforms.gradcheck": ("gradcheck",),
    "transforms.implicit": ("custom_linear_solve", "custom_root", "fixed_point"),
    "transforms.integrate": ("odeint",),
    "transforms.result_specs": ("ShapeDtypeStruct",),
    "transforms.symbolic_zeros": ("CustomVJPPrimal", "SymbolicZero"),
    "transforms.written": ("with_written",),
}
_MODULE_OF = {name: module for module, names in _LAZY_NAMES.items() for name in names}

__all__ = [
    "Compiled",
    "CustomVJPPrimal",
    "Device",
    "DeviceArray",
    "Dim",
    "GradoptError",
    "Lowered",
    "Memory",
    "ShapeDtypeStruct",
    "SymbolicZero",
    "asarray",
    "check_custom",
    "checkpoint",
    "compile",
    "compile_grad",
    "compile_hessian",
    "compile_jacobian",
    "compile_jvp",
    "compile_value_and_grad",
    "compile_vjp",
    "cond",
    "custom_call",
    "custom_jvp",
    "custom_linear_solve",
    "custom_root",
    "custom_vjp",
    "devices",
    "errors",
    "fixed_point",
    "fori_loop",
    "grad",
    "gradcheck",
    "hessian",
    "hvp",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "load",
    "map",
    "nn",
    "numpy",
    "odeint",
    "optim",
    "pure_callback",
    "random",
    "register_pytree",
    "save",
    "scan",
    "scipy",
    "stop_gradient",
    "switch",
    "value_and_grad",
    "vjp",
    "vmap",
    "while_loop",
    "with_written",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY_MODULES:
        return importlib.import_module(f"gradopt.{name}")
    if name in _MODULE_OF:
        value = getattr(importlib.import_module(f"gradopt.{_MODULE_OF[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY_MODULES, *_MODULE_OF})
