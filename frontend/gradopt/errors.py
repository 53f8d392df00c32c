# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Exceptions of gradopt. Each names the user's source line where there is one."""

from __future__ import annotations

import linecache
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class SourceLocation(NamedTuple):
    """A position in the user's Python source.

    Attributes:
        file: file name of the code object.
        line: line, from 1; 0 if unknown.
        column: first column, from 0; -1 if unknown.
        end_column: column behind the last one on the same line; -1 if unknown.
        function: name of the function the position is in; may be empty.
    """

    file: str
    line: int
    column: int = -1
    end_column: int = -1
    function: str = ""

    def text(self) -> str:
        """The expression, or the whole line if its columns are not known."""
        line = linecache.getline(self.file, self.line).rstrip()
        if self.column < 0 or self.end_column <= self.column:
            return line
        return line.encode()[self.column : self.end_column].decode(errors="replace")

    def show(self) -> str:
        """The position, the source line, and a caret under the expression."""
        where = f"  --> {self.file}:{self.line}"
        if self.column >= 0:
            where += f":{self.column + 1}"
        if self.function:
            where += f" in {self.function}"
        text = linecache.getline(self.file, self.line).rstrip()
        if not text.strip():
            return where
        stripped = text.lstrip()
        # Columns of code objects count UTF-8 bytes.
        encoded = text.encode()
        shown = f"{where}\n   |  {stripped}"
        if self.column < 0:
            return shown
        indent = len(text) - len(stripped)
        start = len(encoded[: self.column].decode(errors="replace")) - indent
        end = len(encoded[: self.end_column].decode(errors="replace")) - indent
        width = max(1, (end if self.end_column > self.column else len(stripped)) - start)
        return f"{shown}\n   |  {' ' * max(start, 0)}{'^' * width}"


class GradoptError(Exception):
    """Base class of all errors of gradopt.

    Attributes:
        message: the text without the source line.
        location: the user's source position, if known.
    """

    def __init__(self, message: str, location: SourceLocation | None = None) -> None:
        self.message = message
        self.location = location
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        # Subclasses take other arguments than those that BaseException keeps.
        return _without_init, (type(self), self.args), self.__dict__

    def __str__(self) -> str:
        if self.location is None:
            return self.message
        return f"{self.message}\n{self.location.show()}"


def _without_init(cls: type[GradoptError], args: tuple[Any, ...]) -> GradoptError:
    """An error whose attributes are still to be set, for copies and pickles."""
    return cls.__new__(cls, *args)


class UnsupportedError(GradoptError, NotImplementedError):
    """A NumPy function, keyword, dtype or option that cannot be compiled yet."""


class TracerError(GradoptError, TypeError):
    """A traced array was used where a concrete one is needed."""


class BranchError(TracerError):
    """A Python branch or loop depends on the value of a traced array."""


class UnboundNameError(TracerError, NameError):
    """A name has no value behind a loop that had no iterations."""


class ConversionError(TracerError):
    """A traced array was converted to a Python number or a NumPy array."""


class LeakedTracerError(TracerError):
    """A traced array was used outside the trace that made it."""


class MutationError(TracerError):
    """The function changed one of its arguments, or a concrete array, in place."""


class ReadOnlyError(MutationError, ValueError):
    """An array was written to that NumPy makes read-only, such as `numpy.broadcast_to` gives."""


class TraceRecursionError(TracerError, RecursionError):
    """The function calls itself without end while it is traced."""


class ShapeError(GradoptError, ValueError):
    """Shapes or axes do not fit an operation."""


class AxisError(ShapeError, IndexError):
    """An axis is out of bounds."""


class IntegerError(GradoptError, TypeError):
    """An axis, a size or a count is not an integer."""


class DTypeError(GradoptError, TypeError):
    """Element types do not fit an operation."""


class KeywordError(GradoptError, ValueError):
    """A keyword of a NumPy function has a value that NumPy does not know."""


class NumberRangeError(GradoptError, OverflowError):
    """A Python number does not fit the dtype that NumPy computes in."""


class ZeroDivisorError(GradoptError, ZeroDivisionError):
    """The weights of a mean sum to zero, or the leading coefficient of a divisor is zero."""


class ElementError(GradoptError, ValueError):
    """Elements of an array have values that a function of NumPy does not take."""


class TraceIndexError(GradoptError, IndexError):
    """An index is out of bounds or of a kind that cannot index."""


class ArgumentError(GradoptError, ValueError):
    """An argument of a compiled function or transform has the wrong structure or shape."""


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument of a compiled function or transform has the wrong type."""


class DonatedArrayError(ArgumentError):
    """An array was used after it had been donated."""


class PlacementError(ArgumentError):
    """Arrays are on different devices, or not on the one that was named."""


class DeviceError(GradoptError, RuntimeError):
    """A GPU or its driver is missing, too old or out of memory, or what it was asked failed."""


class NonScalarLossError(GradoptError, TypeError, ValueError):
    """A gradient was asked for of a function whose result is not a real scalar."""


class LinAlgError(GradoptError, np.linalg.LinAlgError):
    """A matrix has no factorisation, such as a singular one, or is none."""


class ConvergenceError(GradoptError, ArithmeticError):
    """An iteration did not reach its goal in the steps that it may take."""


class DerivativeRuleError(GradoptError, TypeError, ValueError):
    """A derivative that the user provides for a function does not fit it, or is missing."""


class ForeignCodeError(GradoptError, RuntimeError):
    """A library or function that `custom_call` names is missing, or the function failed."""


class CallbackResultError(GradoptError, TypeError, ValueError):
    """A callback returned something else than what the program was compiled for."""


class GradientCheckError(GradoptError, AssertionError):
    """Analytic and numeric derivatives differ.

    Attributes:
        path: argument path, such as `params['W']`.
        index: index of the element in that argument.
        numeric: the finite difference.
        analytic: the compiled derivative.
    """

    def __init__(
        self, message: str, path: str, index: tuple[int, ...], numeric: float, analytic: float
    ) -> None:
        super().__init__(message)
        self.path = path
        self.index = index
        self.numeric = numeric
        self.analytic = analytic


class CompilerError(GradoptError, RuntimeError):
    """A pass of the compiler failed.

    Attributes:
        diagnostics: the compiler's messages, as text.
    """

    def __init__(
        self,
        message: str,
        location: SourceLocation | None = None,
        diagnostics: Sequence[str] = (),
    ) -> None:
        super().__init__(message, location)
        self.diagnostics = tuple(diagnostics)


class LargeProgramWarning(UserWarning):
    """A program takes long to compile, or much memory to run."""


class CacheWarning(UserWarning):
    """The directory of the compile cache is not used."""


class UnusedDonationWarning(UserWarning):
    """No result has the shape and dtype of an array that is donated."""
