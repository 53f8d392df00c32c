# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random expressions, of the kinds of values that a program has.

They are written so that values stay small and most programs raise nothing: indices are in range,
nothing is divided by what may be zero, and integers are reduced by `%`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

# Lengths of vectors, and rows of matrices. Loops over vectors can be loops of compiled code.
SIZE, ROWS = 9, 4

FLOAT, INTEGER, VECTOR, MATRIX = "float", "integer", "vector", "matrix"
COUNTS, SINGLE, LIST, VIEW = "counts", "single", "list", "view"


class Expressions:
    """Writes expressions of the names that are in scope.

    Attributes:
        names: the names of each kind that have values.
        counters: expressions below SIZE and not negative.
        functions: names of functions from one number to another.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.names: dict[str, list[str]] = {
            FLOAT: ["a", "b"],
            INTEGER: ["i"],
            VECTOR: ["u", "v"],
            MATRIX: ["m"],
            COUNTS: ["k"],
            SINGLE: ["w"],
            LIST: [],
            VIEW: [],
        }
        self.counters: list[str] = []
        self.functions = ["bend"]
        # Whether `w` is of single precision; what comes of it is compared less closely.
        self.is_single = self.chance(0.3)
        self._last = 0

    def pick(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def new(self, stem: str) -> str:
        """A name that no other value has."""
        self._last += 1
        return f"{stem}{self._last}"

    @contextmanager
    def block(self) -> Generator[None]:
        """Names that are made in it are gone behind it."""
        names, functions = self.names, self.functions
        self.names = {kind: list(found) for kind, found in names.items()}
        self.functions = list(functions)
        yield
        self.names, self.functions = names, functions

    def choose(self, *makers: Callable[[], str]) -> str:
        return self.pick(*makers)()

    # -- Indices -----------------------------------------------------------------------------

    def index(self) -> str:
        """An index into SIZE elements."""
        if self.counters and self.chance(0.6):
            counter = self.pick(*self.counters)
            return self.pick(counter, counter, f"{counter} - 1", f"({counter} + 2) % {SIZE}")
        if self.chance(0.25):
            return f"{self.integer(2)} % {SIZE}"
        return str(self.random.randrange(-SIZE, SIZE))

    def row(self) -> str:
        """An index into ROWS elements."""
        if self.chance(0.5):
            return str(self.random.randrange(-ROWS, ROWS))
        return f"{self.pick(*self.counters) if self.counters else self.integer(2)} % {ROWS}"

    # -- Numbers -----------------------------------------------------------------------------

    def number(self, depth: int = 0) -> str:
        """A float."""
        if depth > 2 or self.chance(0.3):
            return self._number_leaf()
        x, y = self.number(depth + 1), self.number(depth + 1)
        return self.choose(
            lambda: f"np.tanh({x} + {y})",
            lambda: f"np.sin({x}) * {y}",
            lambda: f"({x} - 0.5 * {y})",
            lambda: f"{x} / (1.5 + abs({y}))",
            lambda: f"({x} if {self.condition(depth + 1)} else {y})",
            lambda: self.pick(f"max({x}, {y})", f"min({x}, {y}, 0.4)", f"abs({x})", f"-({x})"),
            lambda: self.pick(
                f"math.sin({x})", f"math.atan2({x}, 1.5 + {y} * {y})", f"math.exp(-abs({x}))",
                f"math.sqrt(1 + {x} ** 2)", f"math.hypot({x}, 1.0)",
            ),
            lambda: self.pick(
                f"np.sqrt(1 + {x} * {x})", f"np.cos({x})", f"np.log1p(abs({x}))",
                f"np.minimum({x}, {y})", f"np.float64({x})", f"np.clip({x}, -1, 1)", f"np.where({x} > {y}, {x}, 0.5)",
                f"np.exp(-({x}) ** 2)", f"np.sign({x}) * {y}",
            ),
            lambda: self.pick(f"({x}) % 0.7", f"({x}) // 0.3 * 0.1", f"({x}) ** 2", f"float({x})"),
            lambda: f"{self.pick(*self.functions)}({x})",
            lambda: self._of_arrays(),
            lambda: f"({x} or {y})" if self.chance(0.3) else f"{self.integer(2)} * {x} * 0.2",
        )  # fmt: skip

    def _number_leaf(self) -> str:
        names = self.names
        return self.choose(
            lambda: self.pick(*names[FLOAT]),
            lambda: self.pick(*names[FLOAT]),
            lambda: f"{self.pick(*names[VECTOR])}[{self.index()}]",
            lambda: f"{self.pick(*names[VECTOR])}[{self.index()}]",
            lambda: f"{self.pick(*names[MATRIX])}[{self.row()}, {self.index()}]",
            lambda: self.pick("0.5", "-0.75", "1.25", "0.1"),
            lambda: f"float({self.integer(2)})",
            lambda: f"{self.pick(*names[COUNTS])}[{self.index()}] * 0.25",
            lambda: self.pick("float({})", "float({})", "float({})", "{} * 0.5").format(
                f"{self.pick(*names[SINGLE])}[{self.index()}]"
            ),
            lambda: self._of_list(),
        )

    def _of_list(self) -> str:
        if not self.names[LIST]:
            return self.pick(*self.names[FLOAT])
        items = self.pick(*self.names[LIST])
        return self.pick(f"{items}[{self.pick(0, 1, -1)}]", f"sum({items}) * 0.2", f"max({items})")

    def _of_arrays(self) -> str:
        x, y = self.vector(2), self.vector(2)
        t = self.new("t")
        if self.chance(0.3):
            return self._of_parts()
        return self.pick(
            f"np.sum({x}) / {SIZE}",
            f"np.mean({x})",
            f"np.max({x})",
            f"({x}).min()",
            f"np.dot({x}, {y}) * 0.1",
            f"{x} @ {y} * 0.1" if self.chance(0.3) else f"np.linalg.norm({x}) * 0.3",
            f"np.sum({self.matrix(2)}) * 0.03",
            f"np.sum(({x})[{self.pick('1:', ':-1', '::2', '2:7')}]) * 0.2",
            f"sum({t} * 0.1 for {t} in {self.pick(*self.names[VECTOR])})",
            f"np.trace({self.pick(*self.names[MATRIX])}[:, :{ROWS}])",
        )

    def _of_parts(self) -> str:
        """A number of a part whose length may be known at run time only."""
        u, v, m = (self.pick(*self.names[kind]) for kind in (VECTOR, VECTOR, MATRIX))
        i = self.pick(*self.counters) if self.counters else f"{self.integer(2)} % {SIZE}"
        return self.pick(
            f"np.sum({u}[:{i}]) * 0.2",
            f"np.dot({u}[:{i}], {v}[:{i}]) * 0.1",
            f"{m}[{self.row()}, :{i}] @ {v}[:{i}] * 0.1",
            f"np.max({u}[{i}:])",
            f"np.sum(np.tanh({u}[{i}:]) * {v}[{i}:]) * 0.2",
            f"np.sum({u}[:n])",
            f"sum({u}[:3])",
        )

    def integer(self, depth: int = 0) -> str:
        """An integer, of at most some hundred."""
        names = self.names
        if depth > 2 or self.chance(0.4):
            return self.choose(
                lambda: self.pick(*names[INTEGER]),
                lambda: self.pick(*self.counters, *names[INTEGER]),
                lambda: str(self.random.randrange(6)),
                lambda: f"{self.pick(*names[COUNTS])}[{self.index()}]",
                lambda: f"len({self.pick(*names[VECTOR], *names[LIST])})",
            )
        x, y = self.integer(depth + 1), self.integer(depth + 1)
        return self.choose(
            lambda: f"({x} + {y}) % {self.random.randrange(2, 9)}",
            lambda: f"({x} - {y})",
            lambda: f"({x} * {y}) % 7",
            lambda: f"{x} // {self.random.randrange(2, 5)}",
            lambda: f"-({x}) // 2",
            lambda: f"abs({x})",
            lambda: f"int({self.number(2)} * 3)",
            lambda: f"({x} if {self.condition(2)} else {y})",
            lambda: self.pick(f"min({x}, {y})", f"max({x}, {y})", f"round(+{self.number(2)})"),
            lambda: f"({self.number(2)} > {self.number(2)}) + {x}",
            lambda: f"int(np.sum({self.mask()}))",
            lambda: f"int(np.argmax({self.vector(2)}))",
            lambda: f"math.floor({self.number(2)})" if self.chance(0.5) else f"-{x}",
        )

    def condition(self, depth: int = 0) -> str:
        """What a statement asks for."""
        simple = self.choose(
            lambda: f"{self.number(3)} {self.pick('<', '>', '>=', '<=')} {self.number(3)}",
            lambda: f"{self.number(3)} {self.pick('<', '>')} {self.number(2)}",
            lambda: f"{self.integer(2)} % 2 == {self.pick(0, 1)}",
            lambda: f"{self.integer(2)} {self.pick('==', '!=', '<', '>')} {self.integer(2)}",
        )
        if depth > 1:
            return simple
        other = self.condition(2)
        x, u = self.new("t"), self.pick(*self.names[VECTOR])
        return self.choose(
            lambda: simple,
            lambda: simple,
            lambda: f"{simple} and {other}",
            lambda: f"{simple} or {other}",
            lambda: f"not ({simple})" if self.chance(0.5) else f"not {self.integer(2)}",
            lambda: f"({simple} or {other}) and {self.condition(2)}",
            lambda: f"-1 < {self.number(3)} < 0.5",
            lambda: f"0 <= {self.integer(2)} < {self.integer(2)} != 3",
            lambda: f"{self.pick('np.any', 'np.all')}({self.mask()})",
            lambda: f"({self.mask()}).{self.pick('any', 'all')}()",
            lambda: f"{self.pick('any', 'all')}({x} > {self.number(3)} for {x} in {u})",
            lambda: f"{self.integer(2)} {self.pick('in', 'not in')} (1, 2, {self.integer(2)})",
            lambda: f"bool({self.integer(2)})" if self.chance(0.5) else self.integer(2),
        )

    # -- Arrays ------------------------------------------------------------------------------

    def mask(self) -> str:
        """SIZE bools."""
        x = self.pick(*self.names[VECTOR])
        return self.pick(
            f"{x} > {self.number(3)}",
            f"{x} < {self.vector(2)}",
            f"({x} > 0) & ({self.pick(*self.names[VECTOR])} < 0.5)",
            f"{self.pick(*self.names[COUNTS])} % 2 == 0",
            f"np.abs({x}) <= 0.6",
            f"~({x} >= {self.number(3)})",
        )

    def vector(self, depth: int = 0) -> str:
        """SIZE floats, which may be shared with a name."""
        names = self.names
        if depth > 1 or self.chance(0.2):
            return self.choose(
                lambda: self.pick(*names[VECTOR]),
                lambda: self.pick(*names[VECTOR]),
                lambda: f"{self.pick(*names[MATRIX])}[{self.row()}]",
            )
        x, y = self.vector(depth + 1), self.vector(depth + 1)
        t = self.new("t")
        return self.choose(
            lambda: self.pick(f"np.tanh({x})", f"np.cos({x})", f"np.abs({x})", f"-({x})"),
            lambda: f"({x} * 0.5 + {y})",
            lambda: f"{x} * {self.number(2)}",
            lambda: f"np.where({self.mask()}, {x}, {y})",
            lambda: self.pick(f"({x})[::-1] * 1.0", f"({x}).copy()", f"np.roll({x}, 2)"),
            lambda: self.pick(f"np.cumsum({x}) * 0.3", f"np.maximum({x}, {y})"),
            lambda: f"np.concatenate([({x})[3:], ({y})[:3]])",
            lambda: f"{self.pick(*names[MATRIX])}.sum(axis=0) * 0.4",
            lambda: f"np.array([{self.pick(*self.functions)}({t}) for {t} in {x}])",
            lambda: f"({x})[{self.pick(*names[COUNTS])} % {SIZE}]",
            lambda: self.pick(f"np.zeros({SIZE})", f"np.zeros_like({x})", f"np.full({SIZE}, 0.5)",
                              f"np.linspace(-1, 1, {SIZE})", f"np.ones(len({x}))"),
            lambda: f"np.full({SIZE}, {self.number(2)})",
            lambda: f"{self.pick(*names[COUNTS])} * 0.25" if self.chance(0.6)
            else f"{self.pick(*names[SINGLE])} + {x}",
            lambda: f"np.array([{self.number(2)}] * 3 + [0.5] * {SIZE - 3})",
            lambda: f"{self.row_vector()} @ {self.matrix(2)}",
            lambda: f"np.vectorize({self.pick('bend', 'scaled')})({x})",
        )  # fmt: skip

    def row_vector(self) -> str:
        """ROWS floats."""
        return self.pick(
            f"{self.pick(*self.names[MATRIX])}[:, {self.index()}]",
            f"{self.pick(*self.names[VECTOR])}[:{ROWS}]",
            f"np.mean({self.pick(*self.names[MATRIX])}, axis=1)",
        )

    def matrix(self, depth: int = 0) -> str:
        """ROWS times SIZE floats."""
        if depth > 1 or self.chance(0.3):
            return self.pick(*self.names[MATRIX])
        x = self.matrix(depth + 1)
        return self.pick(
            f"np.tanh({x})",
            f"{x} * {self.number(2)}",
            f"({x} - {self.vector(2)})",
            f"{x} + {self.row_vector()}[:, None]",
            f"np.outer({self.row_vector()}, {self.vector(2)}) * 0.3",
            f"({x} @ {self.pick(*self.names[MATRIX])}.T @ {x}) * 0.05",
            f"({x})[::-1]",
            f"np.stack([{', '.join(self.vector(2) for _ in range(ROWS))}])",
            f"np.where({x} > 0, {x}, 0.1)",
        )

    def single(self) -> str:
        """SIZE floats of single precision."""
        x = self.pick(*self.names[SINGLE])
        return self.pick(
            f"np.tanh({x})",
            f"{x} * 0.5",
            f"{x} + {self.pick(*self.names[SINGLE])}",
            f"({self.vector(2)}).astype({'np.float32' if self.is_single else 'float'})",
        )

    def counts(self) -> str:
        """SIZE integers."""
        x = self.pick(*self.names[COUNTS])
        return self.pick(
            f"({x} + {self.integer(2)}) % 6",
            f"{x} // 2",
            f"np.minimum({x}, {self.integer(2)})",
            f"np.arange({SIZE})",
            f"({self.vector(2)} * 3).astype(int)",
            f"np.where({self.mask()}, {x}, 1)",
            f"np.cumsum({x}) % 5",
        )
