# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sparse matrices: where their elements are is known, the elements may be traced.

SciPy's arrays are pytrees: their elements are the leaf, and what becomes of one in traced code is
a `SparseArray`. Outside of traces it is SciPy's again. The module is loaded when the first one is
met.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from gradopt.array.dispatch import call_function
from gradopt.array.handle import array_of
from gradopt.array.operands import handle_of, is_traced, listed, promotion_kind, traced
from gradopt.base.dtypes import INT64, result_type
from gradopt.base.location import source_location
from gradopt.base.pytree import add_container
from gradopt.errors import ArgumentTypeError, ShapeError, UnsupportedError
from gradopt.ir import prims

Array = np.ndarray[Any, Any]

FORMATS = ("csr", "csc", "coo")
_OTHER_FORMATS = ("bsr", "dia", "dok", "lil")


class Structure:
    """Where the elements of a sparse matrix are. Compared by what it holds.

    Attributes:
        name: of SciPy's class, such as "csr_array".
        shape: of the matrix.
        parts: `(indices, indptr)` of csr and csc, `(row, col)` of coo.
    """

    def __init__(self, name: str, shape: tuple[int, int], parts: tuple[Array, Array]) -> None:
        self.name = name
        self.shape = shape
        self.parts = parts

    @property
    def format(self) -> str:
        """ "csr", "csc" or "coo"."""
        return self.name.partition("_")[0]

    def __hash__(self) -> int:
        first, second = self.parts
        return hash((self.name, self.shape, first.size, first[:64].tobytes(), second.size))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Structure):
            return NotImplemented
        if self.name != other.name or self.shape != other.shape:
            return False
        return all(
            mine is theirs or np.array_equal(mine, theirs)
            for mine, theirs in zip(self.parts, other.parts, strict=True)
        )

    def __repr__(self) -> str:
        return f"{self.name} of shape {self.shape} with {self.parts[0].size} elements"

    @functools.cached_property
    def coordinates(self) -> tuple[Array, Array]:
        """Row and column of each element."""
        first, second = (part.astype(np.int64) for part in self.parts)
        if self.format == "coo":
            return first, second
        outer = np.repeat(np.arange(second.size - 1), np.diff(second))
        return (outer, first) if self.format == "csr" else (first, outer)

    @functools.cached_property
    def compressed(self) -> tuple[Array | None, Array, Array, bool]:
        """The order of the elements in compressed form (None: as they are), the index of each, the
        pointers, and whether that is the form of the transpose: rows of it are columns of this."""
        first, second = self.parts
        order = None
        if self.format == "coo":
            order = np.argsort(first, kind="stable")
            if np.array_equal(order, np.arange(order.size)):
                order = None
            counts = np.bincount(first, minlength=self.shape[0])
            first, second = second, np.concatenate(([0], np.cumsum(counts)))
            first = first if order is None else first[order]
        width = np.int32 if max(*self.shape, first.size) < 2**31 else np.int64
        return order, first.astype(width), second.astype(width), self.format == "csc"

    def transposed(self) -> Structure:
        """That of the transpose, with the same elements in the same order."""
        kind = self.name.partition("_")[2]
        turned = {"csr": "csc", "csc": "csr", "coo": "coo"}[self.format]
        (rows, columns), (first, second) = self.shape, self.parts
        parts = (second, first) if self.format == "coo" else (first, second)
        return Structure(f"{turned}_{kind}", (columns, rows), parts)

    def of_scipy(self, data: Array) -> Any:
        """SciPy's array with these elements; it shares nothing with other ones."""
        cls = getattr(importlib.import_module("scipy.sparse"), self.name)
        first, second = (part.copy() for part in self.parts)
        if self.format == "coo":
            return cls((data, (first, second)), shape=self.shape, copy=False)
        return cls((data, first, second), shape=self.shape, copy=False)


class SparseArray:
    """A sparse matrix in traced code, with SciPy's names.

    Where elements are is concrete; `data` may be traced. Products with dense arrays
    (`A @ x`, `x @ A`, `A.dot(x)`), with numbers (`2 * A`, `A / 3`, `-A`) and by elements
    (`A.multiply(x)`), `A + B` of matrices with elements in the same places, `A.T`, `A.sum(axis)`,
    `A.diagonal()`, `A.toarray()`. Derivatives are those in `data` and in the dense operand.

    Attributes:
        data: the elements, of shape (nnz,).
    """

    # NumPy's operators leave the product to this class.
    __array_ufunc__ = None
    ndim = 2

    def __init__(self, data: Any, structure: Structure) -> None:
        self.data = data
        self._structure = structure

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self._structure.shape

    @property
    def nnz(self) -> int:
        """The number of elements that are stored."""
        return self._structure.parts[0].size

    @property
    def format(self) -> str:
        """ "csr", "csc" or "coo"."""
        return self._structure.format

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the elements."""
        return np.dtype(self.data.dtype)

    @property
    def indices(self) -> Array:
        """Columns of the elements (csr), or rows (csc)."""
        self._require_compressed("indices")
        return self._structure.parts[0]

    @property
    def indptr(self) -> Array:
        """Where each row (csr) or column (csc) begins among the elements."""
        self._require_compressed("indptr")
        return self._structure.parts[1]

    def _require_compressed(self, name: str) -> None:
        if self.format == "coo":
            raise AttributeError(f"a matrix in coordinate format has no {name}")

    @property
    def T(self) -> SparseArray:
        """The transpose, with the same elements."""
        return SparseArray(self.data, self._structure.transposed())

    def transpose(self) -> SparseArray:
        """As `T`."""
        return self.T

    def __repr__(self) -> str:
        return f"SparseArray<{self._structure!r}, {self.dtype}>"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise UnsupportedError(
            f"a sparse matrix in traced code has no {name}: write it with A.data, A.toarray() and "
            "products, or compute it before the call",
            source_location(),
        )

    # -- Products ---------------------------------------------------------------------------

    def dot(self, other: Any) -> Any:
        """`A @ other`; the product with a number is that of its elements."""
        return self * other if np.ndim(listed(other)) == 0 else self @ other

    def __matmul__(self, other: Any) -> Any:
        return self._product(other, turned=False)

    def __rmatmul__(self, other: Any) -> Any:
        x: Any = handle_of(_dense(other))
        if x.ndim > 2:
            raise _not_a_matrix(x.shape)
        return self._product(x.T, turned=True).T

    def _product(self, other: Any, turned: bool) -> Any:
        """The product with the matrix, or with its transpose."""
        x = handle_of(_dense(other))
        if x.ndim not in (1, 2):
            raise _not_a_matrix(x.shape)
        size = self.shape[0 if turned else 1]
        if x.shape[0] != size:
            raise ShapeError(
                f"cannot multiply a sparse matrix of shape {self.shape} with an array of shape "
                f"{tuple(x.shape)}: {size} and {x.shape[0]} differ",
                source_location(),
            )
        dtype = result_type(promotion_kind(self.data), promotion_kind(x))
        order, indices, pointers, is_turned = self._structure.compressed
        data = self.data if order is None else array_of(traced(self.data))[order]
        product = prims.sparse_dot(
            traced(data, dtype),
            indices,
            pointers,
            traced(x, dtype),
            columns=self.shape[0 if is_turned else 1],
            transposed=turned != is_turned,
        )
        return array_of(product)

    def multiply(self, other: Any) -> SparseArray:
        """The product with a number, or by elements with what broadcasts to a dense matrix."""
        if np.ndim(listed(other)) == 0:
            return self * other
        dense = np.broadcast_to if not is_traced(other) else _broadcast_to
        return self._with(self.data * dense(other, self.shape)[self._structure.coordinates])

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, SparseArray) or np.ndim(listed(other)) != 0:
            self._refuse("*", "use A @ B for the product of matrices, or A.multiply(B)")
        return self._with(self.data * other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, SparseArray) or np.ndim(listed(other)) != 0:
            self._refuse("/", "use A.multiply(1 / B)")
        return self._with(self.data / other)

    def __neg__(self) -> SparseArray:
        return self._with(-self.data)

    def __add__(self, other: Any) -> Any:
        return self._with(self.data + self._like(other, "+"))

    def __sub__(self, other: Any) -> Any:
        return self._with(self.data - self._like(other, "-"))

    def __radd__(self, other: Any) -> NoReturn:
        self._refuse("+", "use A.toarray() + x")

    def __rsub__(self, other: Any) -> NoReturn:
        self._refuse("-", "use x - A.toarray()")

    def __pow__(self, other: Any) -> NoReturn:
        self._refuse("**", "make a matrix of A.data ** n (gradopt.scipy.sparse)")

    def __getitem__(self, key: Any) -> NoReturn:
        self._refuse("indexing", "use A.data, A.diagonal() or A.toarray()")

    def _like(self, other: Any, symbol: str) -> Any:
        """The elements of a matrix that has them in the same places."""
        other = as_traced(other)
        if not isinstance(other, SparseArray) or other._structure != self._structure:
            self._refuse(
                symbol, "of two sparse matrices elements must be in the same places; use toarray()"
            )
        return other.data

    def _refuse(self, what: str, advice: str) -> NoReturn:
        raise UnsupportedError(
            f"{what} of a sparse matrix in traced code is not supported here: {advice}",
            source_location(),
        )

    def _with(self, data: Any) -> SparseArray:
        return SparseArray(data, self._structure)

    # -- Others -----------------------------------------------------------------------------

    def toarray(self) -> Any:
        """The matrix as a dense array."""
        rows, columns = self._structure.coordinates
        places = rows * self.shape[1] + columns
        return _summed(self.data, places, (self.shape[0] * self.shape[1],)).reshape(self.shape)

    todense = toarray

    def sum(self, axis: int | None = None) -> Any:
        """The sum of all elements, or the sums along an axis, as a vector."""
        if axis is None:
            return self.data.sum()
        axis = prims.normalize_axis(axis, 2)
        places = self._structure.coordinates[1 - axis]
        return _summed(self.data, places, (self.shape[1 - axis],))

    def diagonal(self) -> Any:
        """The elements on the main diagonal."""
        rows, columns = self._structure.coordinates
        chosen = np.flatnonzero(rows == columns)
        return _summed(self.data[chosen], rows[chosen], (min(self.shape),))


def _broadcast_to(x: Any, shape: Sequence[int]) -> Any:
    return call_function(np.broadcast_to, (x, tuple(shape)), {})


def _dense(other: Any) -> Any:
    """The dense operand of a product.

    Raises:
        UnsupportedError: it is sparse.
    """
    if isinstance(other, SparseArray) or is_scipys(other):
        raise UnsupportedError(
            "the product of two sparse matrices is not supported in traced code: multiply with a "
            "dense one (toarray), or one after the other with a vector",
            source_location(),
        )
    return listed(other)


def _not_a_matrix(shape: Sequence[int]) -> ShapeError:
    return ShapeError(
        f"a sparse matrix is multiplied with a vector or a matrix, not with an array of shape "
        f"{tuple(shape)}",
        source_location(),
    )


def _summed(terms: Any, places: Array, shape: tuple[int, ...]) -> Any:
    """For each place along the first axis the sum of its terms."""
    value = handle_of(terms)._read()
    indices = prims.as_value(places.reshape(-1, 1), INT64)
    return array_of(prims.scatter_add(prims.full(shape, 0, value.dtype), indices, value))


# -- SciPy's ----------------------------------------------------------------------------------


def is_scipys(value: Any) -> bool:
    """Whether it is a sparse matrix of SciPy's."""
    return type(value).__module__.startswith("scipy.sparse.") and hasattr(value, "tocsr")


def as_traced(value: Any) -> Any:
    """A sparse matrix of SciPy's, of any format, as one for traced code; others as they are."""
    if not is_scipys(value):
        return value
    known = value if value.format in FORMATS else value.tocsr()
    return SparseArray(known.data.copy(), _structure_of(known))


def _structure_of(value: Any) -> Structure:
    """Where the elements of a matrix of SciPy's are, now."""
    if value.ndim != 2:
        raise UnsupportedError(
            f"a sparse array has two dimensions in traced code, not {value.ndim}",
            source_location(),
        )
    parts = (value.row, value.col) if value.format == "coo" else (value.indices, value.indptr)
    shape = tuple(int(size) for size in value.shape)
    return Structure(type(value).__name__, shape, tuple(part.copy() for part in parts))  # pyright: ignore[reportArgumentType]


def _unflatten(structure: Structure, children: Sequence[Any]) -> Any:
    (data,) = children
    if type(data) is np.ndarray and data.shape == structure.parts[0].shape:
        return structure.of_scipy(data)
    return SparseArray(data, structure)


def _add(cls: type, flatten: Callable[[Any], tuple[tuple[Any, ...], Structure]]) -> None:
    add_container(cls, flatten, _unflatten, lambda _data, _i: ".data", SparseArray)


_add(SparseArray, lambda array: ((array.data,), array._structure))


def register_further() -> None:
    """Makes pytrees of SciPy's classes; in structures they are `SparseArray`s."""
    module = importlib.import_module("scipy.sparse")
    for kind in ("array", "matrix"):
        for format_ in FORMATS:
            cls = getattr(module, f"{format_}_{kind}")
            _add(cls, lambda array: ((array.data,), _structure_of(array)))
        for format_ in _OTHER_FORMATS:
            _add(getattr(module, f"{format_}_{kind}"), _refuse_format)


def _refuse_format(array: Any) -> NoReturn:
    raise ArgumentTypeError(
        f"a {type(array).__name__} cannot be an argument of compiled code: convert it to another "
        "format, by tocsr(), tocsc() or tocoo()"
    )
