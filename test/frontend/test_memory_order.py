# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`order=` of NumPy's functions: what it says, or an error where the layout in memory decides."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradopt as go
from gradopt import errors
from gradopt.array.views import is_descending, is_row_major, kept_order

FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "numpy.ravel": lambda x, order: np.ravel(x, order=order),
    "ravel": lambda x, order: x.ravel(order),
    "numpy.reshape": lambda x, order: np.reshape(x, (x.size // 2, 2), order=order),
    "reshape": lambda x, order: x.reshape(x.size // 2, 2, order=order),
    "flatten": lambda x, order: x.flatten(order),
    "transposed ravel": lambda x, order: x.T.ravel(order),
    "numpy.copy": lambda x, order: np.copy(x, order=order),
    "copy": lambda x, order: x.copy(order=order),
    "zeros_like": lambda x, order: np.zeros_like(x, order=order),
    "ones_like": lambda x, order: np.ones_like(x, order=order),
    "full_like": lambda x, order: np.full_like(x, 3, order=order),
    "empty_like": lambda x, order: np.empty_like(x, order=order) * 0,
    "astype": lambda x, order: x.astype("f4", order=order),
}
A = np.arange(24.0)
ARRAYS = {
    "C": A.reshape(2, 3, 4),
    "F": np.asfortranarray(A.reshape(2, 3, 4)),
    "transposed": A.reshape(4, 3, 2).T,
    "strided": A.reshape(4, 6)[::2, ::-1],
    "vector": A,
    "reversed": A[::-1],
    "one column": A.reshape(24, 1),
    "ones": np.asfortranarray(A.reshape(1, 24, 1)),
    "empty": np.zeros((2, 0, 3)),
    "none": np.zeros((0,)),
}


@pytest.mark.parametrize("order", ["C", "F", "A", "K", "c", "f", "a", "k", None])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_orders_are_numpys_or_refused(name: str, order: Any) -> None:
    def f(x: Any) -> Any:
        return FUNCTIONS[name](x, order)

    compiled = go.compile(f)
    for layout, x in ARRAYS.items():
        several = sum(size != 1 for size in x.shape) > 1 and x.size
        try:
            expected = f(x)
        except (TypeError, ValueError) as error:
            with pytest.raises(type(error)):
                compiled(x)
            continue
        ravels = name not in ("astype", "copy", "numpy.copy") and "like" not in name
        if several and ravels and str(order).upper() in ("A", "K"):
            with pytest.raises(errors.UnsupportedError, match="use C or F"):
                compiled(x)
            continue
        np.testing.assert_array_equal(compiled(x), expected, err_msg=layout)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_unknown_orders_are_errors(name: str) -> None:
    for order in ("X", ""):
        with pytest.raises(ValueError, match="order"):
            FUNCTIONS[name](A, order)
        with pytest.raises(errors.KeywordError, match="order must be one of"):
            go.compile(lambda x, order=order: FUNCTIONS[name](x, order))(A)


def test_descending_steps_keep_row_major_order() -> None:
    for shape in itertools.product((0, 1, 2, 3), repeat=3):
        for strides in itertools.product((-4, 0, 1, 2, 4), repeat=3):
            kept = kept_order(shape, [(shape, strides)])
            assert is_descending(shape, strides) == is_row_major(shape, kept), (shape, strides)
