# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random numbers with explicit keys, as in `jax.random`.

A key is an int32 array of two elements. It is data like other data: an argument, a constant, a
part of what a loop carries, traced or not. The same function of the same key, shape and dtype
gives the same numbers wherever it is called: in a compiled function, in its loops and branches, or
outside of any trace, where it is compiled at its first call. Nothing is changed by drawing numbers;
so use each key once, and make others from it with `split` or `fold_in`.

What the functions have in common is not said again by each of them. They take

* `key`: a key; anything else is an `ArgumentError`,
* `shape`: the shape of the result, as integers or one of them, to which the parameters of the
  distribution are broadcast; `ShapeError` where they cannot be,
* `dtype`: float64 or float32, or for integers a signed integer type; `DTypeError` for others.

A result has derivatives in the parameters of its distribution unless it is of integers or bools, or
the function says otherwise.

The bits are those of Threefry-2x32-20 (Salmon et al., *Parallel random numbers: as easy as 1, 2,
3*, SC 2011). `key`, `split`, `fold_in` and `bits` agree with JAX's default generator.
"""

from gradopt.random.distributions import (
    bernoulli,
    categorical,
    exponential,
    gumbel,
    normal,
    randint,
    uniform,
)
from gradopt.random.gamma import beta, dirichlet, gamma, loggamma
from gradopt.random.keys import bits, fold_in, key, split
from gradopt.random.selections import choice, permutation

__all__ = [
    "bernoulli",
    "beta",
    "bits",
    "categorical",
    "choice",
    "dirichlet",
    "exponential",
    "fold_in",
    "gamma",
    "gumbel",
    "key",
    "loggamma",
    "normal",
    "permutation",
    "randint",
    "split",
    "uniform",
]
