# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which integers of Python's a loop makes larger by a factor: soon they are beyond int64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gradopt.recording import ir

_PRODUCTS = frozenset({"grad.multiply", "grad.square", "grad.power", "grad.left_shift"})
_SUMS = frozenset({"grad.add", "grad.subtract"})
_INTEGER = "tensor<i64>"
_NONE: frozenset[int] = frozenset()


class _Origin(NamedTuple):
    """How a value comes of the integers that a loop carries.

    Attributes:
        sources: their numbers.
        products: of each product on the way, the integers that it is computed from; of each sum,
            those of its two operands.
    """

    sources: frozenset[int] = _NONE
    products: frozenset[tuple[frozenset[int], frozenset[int]]] = frozenset()


_NOWHERE = _Origin()
_Origins = dict[ir.Value, _Origin]


def grow_by_factors(
    block: ir.Block,
    carried: Sequence[tuple[ir.Value, ir.Value]],
    function_of: Callable[[str], ir.Block],
) -> bool:
    """Whether integers may grow by a factor in each iteration.

    Those that are computed from each other in a circle do, if a product in it, or a sum of two of
    them, makes the next one: `n = 2 * n`, or `a, b = b, a + b`. Others grow by what does not.

    Args:
        block: the body of the loop.
        carried: what each integer is where an iteration begins, and where it ends.
        function_of: finds the body of a function that is called, by its name.
    """
    origins: _Origins = {}
    for number, (inside, _) in enumerate(carried):
        origins[inside] = _Origin(frozenset({number}))
    _follow(block, origins, function_of)
    finals = [origins.get(final, _NOWHERE) for _, final in carried]
    reached = [final.sources for final in finals]
    for _ in carried:
        reached = [here.union(*[reached[number] for number in here]) for here in reached]
    for number, final in enumerate(finals):
        circle = frozenset(other for other in reached[number] if number in reached[other])
        if any(one & circle and other & circle for one, other in final.products):
            return True
    return False


def _follow(block: ir.Block, origins: _Origins, function_of: Callable[[str], ir.Block]) -> None:
    """Finds the origins of all values in a block."""
    for op in block.operations:
        operands = [origins.get(operand, _NOWHERE) for operand in op.operands]
        results = _results(op, operands, origins, function_of)
        for result, origin in zip(op.results, results, strict=True):
            if origin is not _NOWHERE:
                origins[result] = origin


def _results(
    op: ir.Operation,
    operands: Sequence[_Origin],
    origins: _Origins,
    function_of: Callable[[str], ir.Block],
) -> list[_Origin]:
    if op.name == "grad.call":
        body = function_of(op.attributes["callee"].value)
        inside: _Origins = dict(zip(body.arguments, operands, strict=True))
        _follow(body, inside, function_of)
        return [inside.get(value, _NOWHERE) for value in body.operations[-1].operands]
    if op.regions:
        return _of_regions(op, operands, origins, function_of)
    whole = _joined(operands)
    if whole is _NOWHERE or not op.results or op.results[0].type != _INTEGER:
        return [whole] * len(op.results)
    if op.name in _PRODUCTS:
        whole = whole._replace(products=whole.products | {(whole.sources, whole.sources)})
    elif op.name in _SUMS:
        both = operands[0].sources, operands[1].sources
        whole = whole._replace(products=whole.products | {both})
    return [whole] * len(op.results)


def _of_regions(
    op: ir.Operation,
    operands: Sequence[_Origin],
    origins: _Origins,
    function_of: Callable[[str], ir.Block],
) -> list[_Origin]:
    """The results of a loop or branch: each may be what one of its regions ends with in its
    place, which is what the next iteration has there."""
    count = len(op.results)
    # Of loops, what they carry comes last; before it, bounds and step. Of others, it may be any.
    is_loop = op.name in ("scf.for", "scf.while") and len(operands) >= count
    first = len(operands) - count if is_loop else len(operands)
    bounds, places = _joined(operands[:first]), [_NOWHERE] * count
    if is_loop:
        places = list(operands[first:])
    for _ in range(count + 1):
        before = list(places)
        for region in op.regions:
            arguments = region.arguments
            counters = len(arguments) - count
            for i, argument in enumerate(arguments):
                is_carried = is_loop and i >= counters
                origins[argument] = places[i - counters] if is_carried else bounds
            _follow(region, origins, function_of)
            ends = region.operations[-1].operands if region.operations else ()
            for i, value in enumerate(ends[len(ends) - count :] if count else ()):
                places[i] = _joined([places[i], origins.get(value, _NOWHERE)])
        if places == before:
            break
    return places


def _joined(origins: Sequence[_Origin]) -> _Origin:
    known = [origin for origin in origins if origin is not _NOWHERE]
    if len(known) < 2:
        return known[0] if known else _NOWHERE
    return _Origin(
        _NONE.union(*[origin.sources for origin in known]),
        _NOWHERE.products.union(*[origin.products for origin in known]),
    )
