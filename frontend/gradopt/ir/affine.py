# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Traced integers as sums of others: which are equal, and between which numbers they are.

`n - (i + 1)` and `(n - 1) - i` are one number, and `i + 3 - i` is 3. Sums are added to the IR in
one form, and once in a function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradopt.ir.current import scope as current
from gradopt.ir.intervals import Interval, interval_in
from gradopt.ir.values import Value, is_same, scalar
from gradopt.recording import ir

if TYPE_CHECKING:
    from gradopt.ir.trace import Scope

Number = int | Value

_INT64 = np.dtype(np.int64)
# How deep the ops are that are looked through.
_DEEPEST = 16
# How many terms of a sum are replaced by what they are at least or at most.
_SUBSTITUTIONS = 2


class Affine:
    """A sum.

    Attributes:
        terms: values of the outermost functions that have them, and how often each is in it.
        constant: what is added to them.
    """

    __slots__ = ("constant", "terms")

    def __init__(self, terms: dict[ir.Value, tuple[Value, int]], constant: int) -> None:
        self.terms = terms
        self.constant = constant

    def key(self) -> tuple[frozenset[tuple[ir.Value, int]], int]:
        """What is equal for equal sums."""
        terms = frozenset([(ssa, count) for ssa, (_, count) in self.terms.items()])
        return terms, self.constant

    def equals(self, other: Affine) -> bool:
        """Whether it is known to be the same number."""
        difference = self.plus(other, -1)
        if difference.constant:
            return False
        terms = list(difference.terms.values())
        if len(terms) != 2:
            return not terms
        (x, count), (y, other_count) = terms
        return count == -other_count and x.scope is y.scope and is_same(x, y)

    def plus(self, other: Affine, times: int = 1) -> Affine:
        """The sum, with the other one several times."""
        terms = dict(self.terms)
        for ssa, (value, count) in other.terms.items():
            total = count * times + (terms[ssa][1] if ssa in terms else 0)
            if total:
                terms[ssa] = value, total
            else:
                terms.pop(ssa, None)
        return Affine(terms, self.constant + times * other.constant)

    def interval(self, depth: int = _SUBSTITUTIONS) -> Interval | None:
        """Between which numbers it is, if that is known."""
        found = self._by_terms()
        if not depth:
            return found
        # As `i - j`, where j is less than i.
        for ssa, (value, count) in self.terms.items():
            ends = value.scope.ends.get(ssa)
            if ends is None:
                continue
            rest = self.plus(Affine({ssa: (value, 1)}, 0), -count)
            low, high = (rest.plus(end, count).interval(depth - 1) for end in ends)
            if count < 0:
                low, high = high, low
            if low is None or high is None:
                continue
            between = low[0], high[1]
            if found is None:
                found = between
            else:
                found = max(found[0], between[0]), min(found[1], between[1])
        return found

    def _by_terms(self) -> Interval | None:
        low = high = self.constant
        for ssa, (value, count) in self.terms.items():
            found = interval_in(value.scope, ssa)
            if found is None:
                return None
            ends = found[0] * count, found[1] * count
            low += min(ends)
            high += max(ends)
        return low, high


def affine(number: Number) -> Affine:
    """A number as a sum."""
    if isinstance(number, int):
        return Affine({}, number)
    scope = number.scope
    found = scope.affine.get(number.ssa)
    if found is None:
        found = scope.affine[number.ssa] = _of(scope, number.ssa, 0)
        scope.sums.setdefault(found.key(), number)
    return found


def _of(scope: Scope, ssa: ir.Value, depth: int) -> Affine:
    owner = ssa.owner
    if isinstance(owner, ir.Block):
        outer = scope.lifted_as(ssa)
        if outer is not None:
            return _of(outer.scope, outer.ssa, depth)
    elif ssa in scope.assumed or ssa in scope.ends:
        pass
    elif owner.name == "grad.constant":
        number = owner.attributes["value"].value
        if number.size == 1:
            return Affine({}, int(number.reshape(())))
    elif depth < _DEEPEST and owner.name in ("grad.add", "grad.subtract"):
        left, right = (_of(scope, operand, depth + 1) for operand in owner.operands)
        return left.plus(right, 1 if owner.name == "grad.add" else -1)
    elif depth < _DEEPEST and owner.name == "grad.multiply":
        left, right = (_of(scope, operand, depth + 1) for operand in owner.operands)
        for one, other in ((left, right), (right, left)):
            if not one.terms:
                return Affine({}, 0).plus(other, one.constant)
    elif depth < _DEEPEST and owner.name == "grad.negative":
        return Affine({}, 0).plus(_of(scope, owner.operands[0], depth + 1), -1)
    return Affine({ssa: (Value(scope, ssa, scope.location), 1)}, 0)


def number_of(total: Affine) -> Number:
    """The number that a sum is; an integer if it is known."""
    if not total.terms:
        return total.constant
    key = total.key()
    here = current()
    scope: Scope | None = here
    while scope is not None:
        found = scope.sums.get(key)
        if found is not None:
            return found
        scope = scope.parent
    # What is added comes first.
    (value, count), *others = sorted(total.terms.values(), key=lambda term: -term[1])
    rest = total.constant
    if count > 0:
        result = _times(value, count)
    else:
        result, rest = scalar(rest, _INT64) - _times(value, -count), 0
    for value, count in others:
        more = _times(value, abs(count))
        result = result + more if count > 0 else result - more
    if rest:
        result = result + rest
    here.sums[key] = result
    return result


def _times(value: Value, count: int) -> Value:
    return value if count == 1 else value * count


def plus(x: Number, y: Number, times: int = 1) -> Number:
    """`x + times * y`."""
    if isinstance(y, int):
        if isinstance(x, int):
            return x + times * y
        if y == 0:
            return x
    elif times == 1 and isinstance(x, int) and x == 0:
        return y
    return number_of(affine(x).plus(affine(y), times))


def lies_between(value: Value, least: Affine, most: Affine) -> None:
    """Notes that an integer of the current function lies between two sums."""
    here = current()
    here.ends[here.use(value)] = least, most


def lies_within(number: Value, least: int, most: int) -> bool:
    """Whether an integer is known to lie between two others."""
    ends = interval_in(number.scope, number.ssa)
    if ends is None or ends[0] < least or ends[1] > most:
        ends = between(number)
    return ends is not None and ends[0] >= least and ends[1] <= most


def between(number: Number) -> Interval | None:
    """Between which numbers it is, if that is known."""
    return affine(number).interval()
