# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Values of the elementwise ops: within 4 ULP of NumPy's, over the whole range of each type.

A value passes that is near what NumPy computes in the type itself, or near the exact value, taken
from NumPy in the next wider type: NumPy's own error is not counted against an op. NaN and the signs
of zeros are NumPy's.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from budget import budget, generator
from harness import Array, compile_main, constant
from ops import ELEMENTWISE, Elementwise
from ulp import WIDER, distance, samples, special_values

from gradopt.dialects import grad

pytestmark = pytest.mark.random
COUNT = budget(2000)


def operands(row: Elementwise, dtype: str) -> list[Array]:
    """Random points, then all combinations of special values."""
    rng = generator(1)
    kinds = ["?"] * row.conditions + [dtype] * (row.arity - row.conditions)
    random = [samples(kind, tuple(row.ranges), COUNT, rng) for kind in kinds]
    if len(kinds) > 1:
        # Exponents that meet: pairs of independent bits are nearly all far apart.
        random = [rng.permutation(a) for a in random]
        shortest = min(a.size for a in random)
        random = [a[:shortest] for a in random]
    special = zip(*itertools.product(*(special_values(kind) for kind in kinds)), strict=True)
    return [np.concatenate([a, np.array(b, a.dtype)]) for a, b in zip(random, special, strict=True)]


def expected(row: Elementwise, inputs: list[Array]) -> tuple[Array, Array]:
    """NumPy's result in the type itself and in the next wider type."""
    with np.errstate(all="ignore"):
        same = np.asarray(row.reference(*inputs))
        wider = WIDER.get(inputs[-1].dtype)
        if wider is np.longdouble and row.exact:
            return same, row.exact(*inputs)
        # scipy.special.erf is not defined beyond double precision.
        if wider is None or same.dtype == bool or (row.smooth and wider is np.longdouble):
            return same, same
        return same, np.asarray(
            row.reference(*(a if a.dtype == bool else a.astype(wider) for a in inputs))
        )


def describe(inputs: list[Array], got: Array, same: Array, wrong: Array) -> str:
    lines = []
    for i in np.flatnonzero(wrong)[:8]:
        point = ", ".join(repr(a[i]) for a in inputs)
        lines.append(f"({point}): got {got[i]!r}, NumPy has {same[i]!r}")
    return f"{np.count_nonzero(wrong)} of {wrong.size} wrong\n" + "\n".join(lines)


@pytest.mark.parametrize("op", ELEMENTWISE)
def test_values_are_those_of_numpy(op: str) -> None:
    row = ELEMENTWISE[op]
    inputs = {dtype: operands(row, dtype) for dtype in row.dtypes}
    flat = [a for group in inputs.values() for a in group]

    def body(*x):
        groups = zip(*[iter(x)] * row.arity, strict=True)
        return [getattr(grad, op)(*group) for group in groups]

    results = compile_main([(a.shape, a.dtype) for a in flat], body)(*flat)
    for (dtype, group), got in zip(inputs.items(), results, strict=True):
        same, exact = expected(row, group)
        assert got.dtype == same.dtype, dtype
        if got.dtype.kind != "f":
            wrong = got != same
        else:
            wrong = np.minimum(distance(got, same), distance(got, exact)) > row.ulp
            wrong |= np.isnan(got) != np.isnan(same)
            if row.zero_sign:
                wrong |= (got == 0) & (same == 0) & (np.signbit(got) != np.signbit(same))
        assert not wrong.any(), f"{op} of {dtype}: {describe(group, got, same, wrong)}"


@pytest.mark.parametrize("op", ELEMENTWISE)
def test_constants_have_the_values_of_arguments(op: str) -> None:
    """What LLVM or a folder computes, too: nothing is undefined where it is known before."""
    row = ELEMENTWISE[op]
    for dtype in {np.dtype(d).kind: d for d in row.dtypes}.values():
        kinds = ["?"] * row.conditions + [dtype] * (row.arity - row.conditions)
        points = list(itertools.product(*(special_values(kind) for kind in kinds)))
        points = points[:: 1 + len(points) // 60]
        columns = [
            np.array(c, kind) for c, kind in zip(zip(*points, strict=True), kinds, strict=True)
        ]

        def body(*x, op=op, points=points, kinds=kinds):
            function = getattr(grad, op)
            known = [
                function(
                    *(constant(np.full(3, v, kind)) for v, kind in zip(point, kinds, strict=True))
                )
                for point in points
            ]
            return [function(*x), *known]

        computed, *known = compile_main([(c.shape, c.dtype) for c in columns], body)(*columns)
        for point, value, got in zip(points, computed, known, strict=True):
            message = f"{op} of {point}: {got}, of arguments {value}"
            assert got.dtype == value.dtype
            if got.dtype.kind != "f":
                assert (got == value).all(), message
            else:
                # LLVM contracts differently.
                assert (distance(got, np.full(3, value)) <= 4).all(), message
