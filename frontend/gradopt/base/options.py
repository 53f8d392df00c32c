# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Options of the compile functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradopt.base.devices import checked_device
from gradopt.base.dims import Dynamic, make_dynamic
from gradopt.base.parameters import Parameters, parameters
from gradopt.base.policies import Checkpoint, check_policy
from gradopt.errors import ArgumentError, ArgumentTypeError, UnsupportedError


@dataclass(frozen=True)
class Options:
    """How a function is compiled.

    Attributes:
        device: where it runs: "cpu", "cuda", or "cuda:1" and so on. None: where the arrays among
            the arguments are. With "cuda" and no array on a device, that is the first one.
        fast_math: whether to calculate with floats as with real numbers: to regroup sums and
            products, round `a * b + c` once, multiply by reciprocals and forget the sign of a zero.
            Tests (`isnan`, `isfinite`, comparisons) mean what they mean without it. NaN and
            infinities come out as without it, unless algebra takes them out, as it takes x out of
            (x + y) - x, or a product or reciprocal on the way leaves the range.
        num_threads: threads of one call; 1, or None for the default, which is 1.
        static_argnums: positional arguments that select code; compared by value.
        static_argnames: the same, by name.
        donate_argnums: positional arguments whose arrays the caller gives up: results of the same
            shapes and dtypes are computed in their memory.
        donate_argnames: the same, by name.
        dynamic: dimensions of arguments whose size may be another one in each call (see
            `gradopt.Dim`): for all sizes there is one code.
        max_specializations: signatures whose code is kept, the least recently used dropped first;
            None for all.
        progress: whether a compilation that takes more than two seconds says so on standard error.
        cache: whether object code is kept on disk for later processes, in ~/.cache/gradopt or where
            the variable GRADOPT_CACHE says.
        capture: "rewrite": Python's `if`, `while`, `for` and so on may depend on traced values;
            "trace": they may not, and each iteration of a loop is written down.
        checkpoint: what loops in Python (`while`, `for`) that become loops of compiled code keep
            for derivatives in reverse mode (`gradopt.base.policies`).
    """

    device: str | None = None
    fast_math: bool = False
    num_threads: int | None = None
    static_argnums: tuple[int, ...] = field(default=())
    static_argnames: tuple[str, ...] = field(default=())
    donate_argnums: tuple[int, ...] = field(default=())
    donate_argnames: tuple[str, ...] = field(default=())
    dynamic: Dynamic = field(default=Dynamic(()))
    max_specializations: int | None = 256
    progress: bool = True
    cache: bool = True
    capture: str = "rewrite"
    checkpoint: Checkpoint = None

    def __post_init__(self) -> None:
        checked_device(self.device)
        if self.num_threads not in (None, 1):
            raise UnsupportedError(
                f"num_threads={self.num_threads} is not supported yet: a call uses one thread"
            )
        if self.capture not in ("rewrite", "trace"):
            raise ArgumentError(f'capture must be "rewrite" or "trace", not {self.capture!r}')
        check_policy(self.checkpoint)
        most = self.max_specializations
        if most is not None and (type(most) is not int or most < 1):
            raise ArgumentError(f"max_specializations must be a positive int or None, not {most!r}")
        both = {*self.static_argnums} & {*self.donate_argnums}
        both = both or {*self.static_argnames} & {*self.donate_argnames}
        if both:
            raise ArgumentError(f"the argument {both.pop()!r} is static, and cannot be donated")
        for number, name, _ in self.dynamic.arguments:
            if number in self.static_argnums or name in self.static_argnames:
                raise ArgumentError(
                    f"the argument {name or number} is static: it has no dimensions"
                )
            if number in self.donate_argnums or name in self.donate_argnames:
                raise UnsupportedError(
                    f"the argument {name or number} cannot be donated: dynamic= names dimensions "
                    "of it"
                )


def make_options(function: Callable[..., Any], options: dict[str, Any]) -> Options:
    """Options from keywords; an argument is static, or donated, by number and by name.

    Raises:
        ArgumentTypeError: no such option.
    """
    known = Options.__dataclass_fields__
    for name in options:
        if name not in known:
            raise ArgumentTypeError(f"no option {name!r}; options are {', '.join(known)}")
    for name in ("fast_math", "progress", "cache"):
        if not isinstance(options.get(name, False), bool):
            raise ArgumentTypeError(f"{name} must be a bool, not {options[name]!r}")
    found = parameters(function)
    options["dynamic"] = make_dynamic(options.get("dynamic"), found)
    for kind in ("static", "donate"):
        numbers, names = _select(
            kind,
            _tuple(options.get(f"{kind}_argnums", ())),
            _tuple(options.get(f"{kind}_argnames", ())),
            found,
        )
        options |= {f"{kind}_argnums": numbers, f"{kind}_argnames": names}
    return Options(**options)


def _select(
    kind: str, numbers: tuple[Any, ...], names: tuple[Any, ...], found: Parameters | None
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Arguments that are named by number, by name or both: all numbers, and all names."""
    if not all(isinstance(n, int) for n in numbers):
        raise ArgumentTypeError(f"{kind}_argnums must be ints, not {numbers}")
    if not all(isinstance(name, str) for name in names):
        raise ArgumentTypeError(f"{kind}_argnames must be strings, not {names}")
    positional = list(found.positional) if found is not None else []
    if found is not None and not found.rest and not found.others:
        for name in names:
            if name not in found.positional and name not in found.named:
                raise ArgumentError(f"{kind}_argnames: the function has no parameter {name!r}")
        for number in numbers:
            if not -len(positional) <= number < len(positional):
                raise ArgumentError(
                    f"{kind}_argnums: the function has no positional parameter {number}"
                )
    numbers = tuple(n + len(positional) if n < 0 and positional else n for n in numbers)
    all_names = dict.fromkeys(
        [*names, *[positional[n] for n in numbers if 0 <= n < len(positional)]]
    )
    all_numbers = dict.fromkeys(
        [*numbers, *[positional.index(n) for n in names if n in positional]]
    )
    return tuple(all_numbers), tuple(all_names)


def _tuple(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    if isinstance(value, (int, str)):
        return (value,)
    return tuple(value) if isinstance(value, Sequence) else (value,)
