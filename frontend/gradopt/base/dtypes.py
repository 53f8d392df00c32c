# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Element types: what is supported, and NumPy's promotion (NEP 50) by asking NumPy itself."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from gradopt.base.location import source_location
from gradopt.errors import DTypeError, KeywordError, UnsupportedError

DType = np.dtype[Any]

BOOL: DType = np.dtype(np.bool_)
INT32: DType = np.dtype(np.int32)
INT64: DType = np.dtype(np.int64)
UINT64: DType = np.dtype(np.uint64)
FLOAT16: DType = np.dtype(np.float16)
FLOAT32: DType = np.dtype(np.float32)
FLOAT64: DType = np.dtype(np.float64)
COMPLEX128: DType = np.dtype(np.complex128)


class _Supported(frozenset[DType]):
    """Dtypes by themselves, and bfloat16, which is there once its package is imported."""

    def __contains__(self, dtype: object) -> bool:
        return super().__contains__(dtype) or is_bfloat16(dtype)


def is_bfloat16(dtype: Any) -> bool:
    """Whether it is `ml_dtypes.bfloat16`."""
    package = sys.modules.get("ml_dtypes")
    return package is not None and dtype == package.bfloat16


SUPPORTED = _Supported(
    np.dtype(t)
    for t in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")
)
SUPPORTED_TEXT = (
    "bool, integers from int8 to int64 and uint8 to uint64, float16, bfloat16, float32, float64, "
    "complex64 and complex128"
)

# The type that stands for a Python scalar in NumPy's promotion, by kind of its dtype.
WEAK_TYPES: dict[str, type] = {"b": bool, "i": int, "f": float, "c": complex}
WEAK_DTYPES: dict[type, DType] = {bool: BOOL, int: INT64, float: FLOAT64, complex: COMPLEX128}
PYTHON_NUMBERS = frozenset(WEAK_DTYPES)


def kind_of(dtype: DType) -> str:
    """NumPy's character for the kind of a dtype; bfloat16, for which it has none, is a float."""
    kind = dtype.kind
    return "f" if kind == "V" and is_bfloat16(dtype) else kind


def is_inexact(dtype: DType) -> bool:
    """Whether arrays of the dtype have derivatives: floats and complex numbers."""
    return kind_of(dtype) in "fc"


def is_narrow(dtype: DType) -> bool:
    """Whether float32 calculates for the dtype: float16 and bfloat16."""
    return dtype.itemsize == 2 and kind_of(dtype) == "f"


def wide_dtype(dtype: DType) -> DType:
    """What is calculated in where several operations make up one: float32 for narrow floats."""
    return FLOAT32 if is_narrow(dtype) else dtype


def float_limits(dtype: DType) -> Any:
    """`numpy.finfo` of a dtype of floats or complex numbers, bfloat16 too."""
    return sys.modules["ml_dtypes"].finfo(dtype) if dtype.kind == "V" else np.finfo(dtype)


def part_dtype(dtype: DType) -> DType:
    """The dtype of the parts of complex numbers; other dtypes themselves."""
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype


def complex_dtype(dtype: DType) -> DType:
    """The dtype of complex numbers that holds a dtype of floats."""
    return np.dtype(f"c{max(8, dtype.itemsize * 2)}")


def supported(dtype: Any) -> DType:
    """The dtype in native byte order, if arrays of it can be compiled.

    Raises:
        UnsupportedError: for any other dtype.
    """
    try:
        dtype = np.dtype(dtype).newbyteorder("=")
    except TypeError as error:
        raise DTypeError(str(error), source_location()) from None
    if dtype not in SUPPORTED:
        raise UnsupportedError(
            f"dtype {dtype} is not supported; supported are {SUPPORTED_TEXT}", source_location()
        )
    return dtype


def _names(kinds: tuple[Any, ...]) -> str:
    return ", ".join(getattr(kind, "name", None) or kind.__name__ for kind in kinds)


_resolved: dict[Any, tuple[DType, ...]] = {}


def resolve_ufunc(ufunc: np.ufunc, *operands: Any) -> tuple[DType, ...]:
    """Dtypes of the loop NumPy picks: one for each input, then one for each output.

    Args:
        ufunc: the ufunc.
        operands: for each input its dtype, or the type of a Python scalar.

    Raises:
        DTypeError: NumPy has no loop for these.
        UnsupportedError: the loop is of an unsupported dtype.
    """
    key = (ufunc, *operands)
    result = _resolved.get(key)
    if result is None:
        # NumPy's resolve_dtypes takes int, float and complex as weak, and bool as its dtype.
        kinds: tuple[Any, ...] = tuple(BOOL if kind is bool else kind for kind in operands)
        if all(isinstance(kind, type) for kind in kinds):
            kinds = tuple(WEAK_DTYPES[kind] for kind in kinds)
        try:
            result = ufunc.resolve_dtypes((*kinds, *(None,) * ufunc.nout))
        except TypeError as error:
            # NumPy says what to take in place of some.
            is_advice = "use the" in str(error)
            message = f"numpy.{ufunc.__name__} is not defined for {_names(operands)}"
            raise DTypeError(str(error) if is_advice else message, source_location()) from None
        for dtype in result:
            if dtype not in SUPPORTED:
                wanted = "complex128" if dtype.kind == "c" else "float64"
                raise UnsupportedError(
                    f"numpy.{ufunc.__name__} of {_names(operands)} computes in {dtype}, which is "
                    f"not supported; convert an operand, for example with x.astype(np.{wanted})",
                    source_location(),
                )
        _resolved[key] = result
    return result


def result_type(*operands: Any) -> DType:
    """`numpy.result_type` of dtypes and of the types of Python scalars.

    Raises:
        DTypeError: they have no common dtype.
        UnsupportedError: it is not supported.
    """
    key = ("result_type", *operands)
    result = _resolved.get(key)
    if result is None:
        values = [kind(0) if isinstance(kind, type) else kind for kind in operands]
        try:
            found = np.result_type(*values)
        except TypeError:
            raise DTypeError(
                f"NumPy has no common dtype of {_names(operands)}; convert one with astype",
                source_location(),
            ) from None
        result = _resolved[key] = (supported(found),)
    return result[0]


def require_cast(source: DType, target: DType, casting: Any) -> None:
    """Checks that NumPy's rule `casting` lets arrays of `source` become arrays of `target`.

    Raises:
        DTypeError: it does not.
        KeywordError: NumPy has no such rule.
    """
    try:
        allowed = np.can_cast(source, target, casting)
    except ValueError as error:
        raise KeywordError(str(error), source_location()) from None
    except TypeError as error:
        raise DTypeError(str(error), source_location()) from None
    if not allowed:
        raise DTypeError(
            f"cannot cast array from {source} to {target} according to the rule {casting!r}",
            source_location(),
        )


def sum_dtype(dtype: DType) -> DType:
    """Dtype of `numpy.sum`, `prod` and `cumsum`: small integers become (u)int64, bool int64."""
    if dtype.kind == "u":
        return UINT64
    return INT64 if dtype.kind in "bi" else dtype


def mean_dtype(dtype: DType) -> DType:
    """Dtype of `numpy.mean`, `var` and `std`: integers and bool become float64."""
    return FLOAT64 if dtype.kind in "biu" else dtype
