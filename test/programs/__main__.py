# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Long runs: each program that fails is made short and printed, and outcomes are counted."""

from __future__ import annotations

import argparse
import faulthandler
import os
import select
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator

from programs.checking import check
from programs.reducing import reduced
from programs.writing import PRELUDE, program_of

# How many seconds a program may take.
LONGEST = 180


def run(first: int, end: int, seconds: float, say: int) -> None:
    """The programs of these seeds, in this process; writes the seed before, the outcome behind."""
    warnings.simplefilter("ignore")
    faulthandler.enable()
    for seed in range(first, end):
        os.write(say, f"{seed} ".encode())
        program = program_of(seed)
        outcome = check(program)
        if outcome.is_fault:
            short = reduced(program, outcome, seconds)
            final = check(short)
            print(f"\n== program {seed}: {outcome.kind}\n{final.kind}: {final.detail}")
            print(short.text.removeprefix(PRELUDE), flush=True)
        elif outcome.kind in ("invalid", "unstable"):
            print(f"program {seed}: {outcome.kind}: {outcome.detail[:100]}", flush=True)
        kind = outcome.kind + (" and derivatives" if outcome.settled else "")
        detail = outcome.detail.partition("\n")[0] if outcome.kind == "refused" else ""
        os.write(say, f"{kind}\t{detail}\n".encode())


def lines_of(listen: int, child: int, seconds: float) -> Iterator[str]:
    """What a process says, line by line; it is killed where it says nothing for too long."""
    text = b""
    while select.select([listen], [], [], seconds)[0]:
        found = os.read(listen, 1 << 16)
        if not found:
            break
        *lines, text = (text + found).split(b"\n")
        yield from (line.decode() for line in lines)
    else:
        os.kill(child, signal.SIGKILL)
    os.close(listen)
    if text:
        yield text.decode()


def main() -> int:
    """Runs what the command line says; the status says whether there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60, help="to make a program short")
    parser.add_argument("--refusals", action="store_true", help="list why programs are refused")
    arguments = parser.parse_args()
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    first, end = arguments.first, arguments.first + arguments.count
    start = time.monotonic()
    while first < end:
        listen, say = os.pipe()
        child = os.fork()
        if not child:
            os.close(listen)
            run(first, end, arguments.seconds, say)
            sys.stdout.flush()
            os._exit(0)
        os.close(say)
        for line in lines_of(listen, child, arguments.seconds + LONGEST):
            seed, _, rest = line.partition(" ")
            first = int(seed) + 1
            kind, tab, detail = rest.partition("\t")
            if not tab:
                print(f"\n== program {seed}: the process ends in it, or does not end", flush=True)
                kind = "crash"
            counts[kind] += 1
            if detail:
                reasons[detail] += 1
        os.waitpid(child, 0)
    print(f"{sum(counts.values())} programs, {time.monotonic() - start:.0f} s: {dict(counts)}")
    if arguments.refusals:
        for reason, count in reasons.most_common():
            print(f"{count:5} {reason}")
    good = {"compiled", "compiled and derivatives", "refused", "raises", "unstable"}
    return 1 if set(counts) - good else 0


if __name__ == "__main__":
    sys.exit(main())
