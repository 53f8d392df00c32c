# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""checkpoint: a function that derivatives compute again, instead of keeping what it computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

from gradopt.base.frames import hide_frames
from gradopt.compilation.calling import call_user
from gradopt.errors import ArgumentError
from gradopt.ir import prims
from gradopt.ir.current import current_scope
from gradopt.recording import ir
from gradopt.transforms.bodies import Outcome, Region, trace_body
from gradopt.transforms.transform import Transform

Policy = Literal["nothing", "everything", "dots", "dots_with_no_batch_dims"]


class _Checkpointed(Transform):
    """What `checkpoint` returns."""

    kind = "checkpoint"

    def __init__(self, function: Callable[..., Any], policy: Any) -> None:
        super().__init__(function)
        if not isinstance(policy, str) or policy not in get_args(Policy):
            names = ", ".join(repr(name) for name in get_args(Policy))
            raise ArgumentError(f"policy must be one of {names}, not {policy!r}")
        self._policy = policy

    def _parameters(self) -> tuple[Any, ...]:
        return self._function, self._policy

    @hide_frames
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if current_scope() is None:
            return self._function(*args, **kwargs)
        return self._emit(args, kwargs)

    def _emit(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        here = prims.scope()
        body = trace_body(self._function, [], lambda _: call_user(self._function, args, kwargs))
        outcome = Outcome(here, [body.inner])
        lifted = [here.use(value) for value in body.inner.inputs]

        def build(*, loc: ir.Location, ip: ir.Block) -> ir.Operation:
            types = [*body.inner.results, *body.inner.outcome]
            flags = {"no_inline": ir.UNIT}
            op = ir.Operation("scf.execute_region", [], types, flags, 1, loc, ip)
            op.discardable = {"grad.checkpoint": ir.string(self._policy)}
            region = Region(here, op.regions[0])
            region.leave(region.call(body.inner, [], lifted))
            return op

        results = here.emit_many(build)
        count = len(body.specs)
        outcome.leave(results[count:])
        parts = [s.wrap(value) for s, value in zip(body.specs, results[:count], strict=True)]
        return body.tree.unflatten(parts)


@hide_frames
def checkpoint(function: Callable[..., Any], *, policy: Policy = "nothing") -> Callable[..., Any]:
    """The same function, of which less is kept for derivatives in reverse mode.

    What it computes and the derivative needs is not kept from the forward pass to the reverse
    pass, but computed once more from the arguments: less memory for more time. It has no effect
    in forward mode. Usable in traced code, nested, in the bodies of loops, and under `vmap`;
    outside of it this is the function itself. It must not write to its arguments.

    Args:
        function: any function that can be traced.
        policy: what is kept all the same: "nothing"; "everything" that the derivative needs, as
            without `checkpoint`; of products of arrays (`@`, `einsum`, convolutions) those results
            that the derivative needs or follows from, "dots", or of those without batch dimensions,
            "dots_with_no_batch_dims". Those in loops are kept of each iteration, if the number of
            iterations is known while tracing, or the loop is a `fori_loop` with
            checkpoint="all"; other loops are computed once more as a whole.

    Returns:
        A function of the same arguments, with the same result.

    Raises:
        ArgumentError: there is no such policy.
    """
    return _Checkpointed(function, policy)
