# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One program, run by NumPy and compiled: results, what it wrote, exceptions, derivatives."""

from __future__ import annotations

import linecache
import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

import gradopt as go
from programs.writing import Program

# Derivatives are compared with differences where those of two steps agree so well.
SETTLED = 1e-5
# There are none where a result is larger: tanh of it, which is summed, has none any more.
LARGEST = 1e20


@dataclass(frozen=True)
class Outcome:
    """What came of a program.

    Attributes:
        kind: `compiled`, `refused`, `raises` (as NumPy does), or the kind of a fault.
        detail: what a fault consists of, or why it was refused.
        settled: whether derivatives were compared with differences.
    """

    kind: str
    detail: str = ""
    settled: bool = False

    @property
    def is_fault(self) -> bool:
        return self.kind not in ("compiled", "refused", "raises", "unstable", "invalid")


class Fault(Exception):
    """A difference between NumPy and compiled code."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.outcome = Outcome(kind, detail)


class Endless(BaseException):
    """A program that does not end."""


@contextmanager
def limited(seconds: float) -> Generator[None]:
    """Raises Endless where Python code takes longer."""

    def stop(*_: Any) -> None:
        raise Endless

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def function_of(text: str, name: str) -> Callable[..., Any]:
    """The function `f` of a program, whose source can be found."""
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(text, name, "exec"), names)
    return names["f"]


def copied(args: Sequence[Any]) -> list[Any]:
    """The arguments, arrays with the same strides."""
    made: list[Any] = []
    for arg in args:
        if isinstance(arg, np.ndarray):
            if not (arg.flags.c_contiguous or arg.flags.f_contiguous):
                arg = np.repeat(arg, 2)[::2]
            else:
                arg = arg.copy(order="K")
        made.append(arg)
    return made


def leaves(value: Any) -> tuple[list[Any], Any]:
    """The leaves of a result, and its structure."""
    found: list[Any] = []

    def walk(part: Any) -> Any:
        if isinstance(part, (tuple, list)):
            return type(part), [walk(item) for item in part]
        if isinstance(part, dict):
            return dict, [(key, walk(part[key])) for key in sorted(part)]
        found.append(part)
        return None

    return found, walk(value)


@dataclass
class Run:
    """What a call did: a result and the arrays after it, or an exception."""

    result: Any = None
    arrays: tuple[Any, ...] = ()
    error: BaseException | None = None

    @staticmethod
    def of(function: Callable[..., Any], args: Sequence[Any]) -> Run:
        mine = copied(args)
        try:
            with np.errstate(all="ignore"):
                result = function(*mine)
        except Exception as error:
            return Run(error=error)
        return Run(result, tuple(x for x in mine if isinstance(x, np.ndarray)))


def difference(got: Run, want: Run, tolerance: float) -> tuple[str, str] | None:
    """How two runs differ: the kind and what it is."""
    if want.error is not None:
        if got.error is None:
            return "no exception", f"NumPy raises {want.error!r}"
        same = type(got.error) is type(want.error) and str(got.error) == str(want.error)
        if isinstance(got.error, go.errors.GradoptError):  # What is wrong for any values.
            same = isinstance(got.error, type(want.error))
        return None if same else ("exception", f"{got.error!r} instead of {want.error!r}")
    if got.error is not None:
        return "exception", f"{type(got.error).__name__}: {got.error}"
    mine, structure = leaves(got.result)
    wanted, expected = leaves(want.result)
    if structure != expected:
        return "structure", f"{got.result!r} instead of {want.result!r}"
    pairs = [("result", *pair) for pair in zip(mine, wanted, strict=True)]
    pairs += [("written", *pair) for pair in zip(got.arrays, want.arrays, strict=True)]
    for kind, g, w in pairs:
        if isinstance(w, int) and abs(w) >= 2**63:
            continue  # An int64 wraps.
        if isinstance(w, (bool, int, float)) and not isinstance(g, (bool, int, float, np.generic)):
            if np.ndim(g) == 0 and isinstance(g, np.ndarray):
                g = g[()]
            else:
                return f"{kind} type", f"{g!r} instead of {w!r}"
        x, y = np.asarray(g), np.asarray(w)
        if y.dtype.kind not in "biuf":
            if type(g) is not type(w):
                return f"{kind} type", f"{g!r} instead of {w!r}"
            continue
        if isinstance(w, (bool, int)) and x.dtype == np.float64 and x.shape == ():
            y = y.astype(np.float64)  # Numbers adapt where a traced condition chooses one.
        if type(w) is float and x.dtype == np.float32 and x.shape == ():
            y = y.astype(np.float32)  # To one of single precision, too.
        if x.dtype != y.dtype or x.shape != y.shape:
            return f"{kind} dtype", f"{x!r} instead of {y!r}"
        scale = 1 + np.max(np.abs(y), initial=0, where=np.isfinite(y)) if y.dtype.kind == "f" else 0
        if not np.allclose(x, y, rtol=0, atol=tolerance * scale, equal_nan=True):
            return kind, f"{x!r} instead of {y!r}"
    return None


def refusal(error: BaseException, name: str, text: str) -> Outcome | None:
    """The outcome of a program that is refused as it should be: with an error that names a line."""
    if not isinstance(error, go.errors.GradoptError):
        return None
    if isinstance(error, go.errors.CompilerError):
        raise Fault("compiler error", f"{error}")
    place = error.location
    if place is None or place.file != name or not 0 < place.line <= text.count("\n"):
        raise Fault("refused without a line", f"{type(error).__name__}: {error}")
    return Outcome("refused", f"{type(error).__name__}: {error.message}")


def tolerance_of(args: Sequence[Any]) -> float:
    """How far results may be off."""
    return 1e-4 if any(getattr(x, "dtype", None) == np.float32 for x in args) else 1e-9


def is_unstable(f: Callable[..., Any], args: Sequence[Any], want: Run) -> bool:
    """Whether rounding errors of the arguments change what NumPy computes."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        moved = [
            type(x)(x * (1 + 1e-15)) if isinstance(x, float)
            else x * (1 + 1e-15 * rng.normal(size=x.shape)) if getattr(x, "dtype", None) == np.float64
            else x
            for x in args
        ]  # fmt: skip
        if difference(Run.of(f, moved), want, tolerance_of(args) / 10) is not None:
            return True
    return False


def check(program: Program, *, trace: bool | None = None) -> Outcome:
    """Runs a program in both ways.

    Args:
        program: the program.
        trace: whether `capture="trace"` is tried too; every fourth program if None.
    """
    name = f"<program {program.seed}>".strip("<>")
    text, args = program.text, program.args
    try:
        f = function_of(text, name)
    except SyntaxError as error:
        return Outcome("invalid", str(error))
    try:
        with limited(1):
            want = Run.of(f, args)
    except Endless:
        return Outcome("invalid", "it does not end")
    if str(want.error) in _NUMPYS_RULES:
        return Outcome("raises")  # Python's numbers follow NumPy's rules.
    try:
        outcome = _check_values(f, name, text, args, want)
        if outcome.kind == "compiled":
            outcome = _check_derivatives(f, name, text, args)
        if program.seed % 4 == 3 if trace is None else trace:
            _check_trace(f, name, text, args, want)
    except Fault as fault:
        if fault.outcome.kind in _NUMERIC and is_unstable(f, args, want):
            return Outcome("unstable", fault.outcome.detail)
        return fault.outcome
    return outcome


# What Python raises where NumPy gives NaN, or the integer that NaN is cast to.
_NUMPYS_RULES = (
    "math domain error",
    "cannot convert float NaN to integer",
    "cannot convert float infinity to integer",
)
_NUMERIC = ("result", "written", "gradient", "modes", "exception", "no exception")


def _check_values(
    f: Callable[..., Any], name: str, text: str, args: Sequence[Any], want: Run
) -> Outcome:
    compiled = go.compile(f, progress=False)
    for _ in range(2):
        got = Run.of(compiled, args)
        found = difference(got, want, tolerance_of(args))
        if found is None:
            continue
        refused = None if got.error is None else refusal(got.error, name, text)
        if refused is not None:
            return refused
        if got.error is not None and found[0] == "exception":
            raise Fault("exception", found[1]) from got.error
        raise Fault(*found)
    return Outcome("raises" if want.error is not None else "compiled")


def _check_trace(
    f: Callable[..., Any], name: str, text: str, args: Sequence[Any], want: Run
) -> None:
    """Without rewriting: as NumPy, or refused. Arguments cannot be written to."""
    got = Run.of(go.compile(f, capture="trace", progress=False), args)
    if got.error is not None and refusal(got.error, name, text) is not None:
        return
    found = difference(got, want, tolerance_of(args))
    if found is not None:
        raise Fault(f"traced {found[0]}", found[1])


def _loss(f: Callable[..., Any], args: Sequence[Any]) -> tuple[Callable[..., Any], list[int]]:
    """A number made of all floats that a program returns and leaves in its arguments."""
    floats = [
        i for i, x in enumerate(args)
        if isinstance(x, float) or getattr(x, "dtype", None) == np.float64
    ]  # fmt: skip

    def loss(*args: Any) -> Any:
        args = tuple(x * 1.0 if i in floats and np.ndim(x) else x for i, x in enumerate(args))
        total = 0.0
        found, _ = leaves(f(*args))
        for number, x in enumerate([*found, *[args[i] for i in floats if np.ndim(args[i])]]):
            if not (isinstance(x, float) or getattr(x, "dtype", np.dtype(bool)).kind == "f"):
                continue
            if np.ndim(x) == 0:
                total = total + np.tanh(x) * (1 + 0.1 * number)
            else:
                weights = np.cos(np.arange(np.size(x)) + number).reshape(np.shape(x))
                total = total + np.sum(np.tanh(x) * weights)
        return total

    return loss, floats


def _check_derivatives(f: Callable[..., Any], name: str, text: str, args: Sequence[Any]) -> Outcome:
    loss, floats = _loss(f, args)
    rng = np.random.default_rng(0)
    direction = [rng.normal(size=np.shape(args[i])) for i in floats]

    def moved(by: float) -> list[Any]:
        new = copied(args)
        for i, d in zip(floats, direction, strict=True):
            new[i] = float(args[i] + by * d) if isinstance(args[i], float) else args[i] + by * d
        return new

    def value(*active: Any) -> Any:
        new = [np.array(x) if isinstance(x, np.ndarray) else x for x in args]
        for i, x in zip(floats, active, strict=True):
            new[i] = x
        return loss(*new)

    def refused(error: Exception) -> Outcome:
        found = refusal(error, name, text)
        if found is None:
            raise Fault("derivative", f"{type(error).__name__}: {error}") from error
        return Outcome("refused", f"derivative: {found.detail}")

    active = [args[i] for i in floats]
    with np.errstate(all="ignore"):
        mine = copied(args)
        ends = [*leaves(f(*mine))[0], *mine]
        if not all(np.all(np.abs(x) < LARGEST) for x in ends if np.asarray(x).dtype.kind == "f"):
            return Outcome("compiled")
        expected = float(loss(*copied(args)))
        try:
            got, gradients = go.value_and_grad(value, argnums=tuple(range(len(floats))))(*active)
            tangent = float(go.jvp(value, tuple(active), tuple(direction))[1])
        except Exception as error:
            return refused(error)
        tolerance = tolerance_of(args)
        if not np.isclose(got, expected, rtol=tolerance, atol=tolerance, equal_nan=True):
            raise Fault("result", f"value beside the gradient {got} instead of {expected}")
        product = float(sum(np.sum(g * d) for g, d in zip(gradients, direction, strict=True)))
        tolerance *= 100
        if not np.isclose(product, tangent, rtol=tolerance, atol=tolerance, equal_nan=True):
            raise Fault("modes", f"reverse {product}, forward {tangent}")

        def slope(step: float) -> float:
            return float(loss(*moved(step)) - loss(*moved(-step))) / (2 * step)

        slopes = [slope(step) for step in (3e-5, 1e-5, 3e-6)]
    fine = slopes[1]
    settled = max(slopes) - min(slopes) < SETTLED * max(1, abs(fine))
    if settled and not np.isclose(tangent, fine, rtol=1e-4 + tolerance, atol=1e-4 + tolerance):
        raise Fault("gradient", f"derivative {tangent}, differences {slopes}")
    return Outcome("compiled", settled=settled)
