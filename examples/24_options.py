# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Prices options, by a formula and by a tree, with all their sensitivities.

An option to sell a share for the strike, at its expiry (a European one) or at any time until then
(an American one). The European price is Black's and Scholes's formula. The American one has none:
it is calculated backwards in a binomial tree, in two nested Python loops, in each node of which
selling now is compared with waiting. Sensitivities are gradients, of both alike; the volatility
that a price implies is found by Newton's method, in a `while` loop, and its own sensitivities are
gradients through that.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shared import add_common_options, check_output, integer, new_figure, save_figure

import gradopt as go

Array = NDArray[np.float64]
# Price of the share, strike, years to expiry, interest, volatility.
MARKET = (100.0, 105.0, 1.0, 0.05, 0.25)
NAMES = ("share", "strike", "expiry", "interest", "volatility")
# How far a tree may be from the formula, in price and in each sensitivity.
REQUIRED_ERROR = 0.05


def normal(x: Any) -> Any:
    """The probability that a normal number is less."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def formula(share: Any, strike: Any, expiry: Any, interest: Any, volatility: Any) -> Any:
    """The price of a European put."""
    spread = volatility * math.sqrt(expiry)
    d1 = (math.log(share / strike) + (interest + volatility**2 / 2) * expiry) / spread
    d2 = d1 - spread
    return strike * math.exp(-interest * expiry) * normal(-d2) - share * normal(-d1)


def tree(
    share: Any,
    strike: Any,
    expiry: Any,
    interest: Any,
    volatility: Any,
    steps: int,
    is_american: bool,
) -> Any:
    """The price of a put by a binomial tree (Cox, Ross and Rubinstein)."""
    dt = expiry / steps
    up = math.exp(volatility * math.sqrt(dt))
    p = (math.exp(interest * dt) - 1 / up) / (up - 1 / up)
    discount = math.exp(-interest * dt)
    values = np.zeros(steps + 1)
    for j in range(steps + 1):
        values[j] = max(strike - share * up ** (2 * j - steps), 0.0)
    for i in range(steps - 1, -1, -1):
        for j in range(i + 1):
            waiting = discount * (p * values[j + 1] + (1 - p) * values[j])
            if is_american:
                selling = strike - share * up ** (2 * j - i)
                values[j] = max(waiting, selling)
            else:
                values[j] = waiting
    return values[0]


def implied_volatility(price: Any, share: Any, strike: Any, expiry: Any, interest: Any) -> Any:
    """The volatility at which the formula gives a price."""
    volatility = 0.2
    error = 1.0
    while abs(error) > 1e-12:
        value, slope = go.value_and_grad(formula, argnums=4)(
            share, strike, expiry, interest, volatility
        )
        error = value - price
        volatility = volatility - error / slope
    return volatility


def save_picture(steps: int, quiet: bool, path: Path) -> None:
    """Plots prices and deltas over the price of the share."""
    from tqdm import tqdm

    shares = np.linspace(60, 150, 91)
    european, american = (
        go.compile_value_and_grad(lambda s, a=a: tree(s, *MARKET[1:], steps, a))
        for a in (False, True)
    )
    curves = {
        name: np.array([option(s) for s in tqdm(shares, unit="price", disable=quiet)])
        for name, option in {"European": european, "American": american}.items()
    }
    figure, (left, right) = new_figure(1, 2, figsize=(10, 4))
    for name, curve in curves.items():
        left.plot(shares, curve[:, 0], label=name)
        right.plot(shares, curve[:, 1], label=name)
    left.plot(shares, np.maximum(MARKET[1] - shares, 0), ":", color="0.5", label="at expiry")
    left.set(xlabel="share", ylabel="price of the put")
    right.set(xlabel="share", ylabel="delta")
    left.legend()
    save_figure(figure, path)


def main() -> int:
    """Reads the command line, prices, reports and plots; the status says whether it is good."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=integer(10), default=500, help="of the tree")
    add_common_options(parser, out="options.png", shows="picture")
    arguments = parser.parse_args()
    check_output(arguments.out)

    every = tuple(range(5))
    rows: dict[str, tuple[float, Any]] = {
        "formula": go.compile_value_and_grad(formula, argnums=every)(*MARKET)
    }
    for name, is_american in {"European": False, "American": True}.items():
        priced = go.compile_value_and_grad(tree, argnums=every)
        rows[name] = priced(*MARKET, arguments.steps, is_american)
    print(f"{'':9} {'price':>9}" + "".join(f"{name:>12}" for name in NAMES))
    for name, (value, gradient) in rows.items():
        print(f"{name:9} {value:9.4f}" + "".join(f"{g:12.4f}" for g in gradient))
    exact, found = ([value, *gradient] for value, gradient in (rows["formula"], rows["European"]))
    # Of the tree's price the second derivative is zero almost everywhere, the first is right.
    error = float(np.max(np.abs(np.subtract(found, exact)) / (1 + np.abs(exact))))
    print(f"the European tree is off by {error:.5f}")

    price = rows["formula"][0]
    implied = go.compile_value_and_grad(implied_volatility)(price, *MARKET[:4])
    print(f"implied volatility {implied[0]:.6f}, {implied[1]:.6f} for each unit of the price")
    back = abs(implied[0] - MARKET[4]) + abs(implied[1] * rows["formula"][1][4] - 1)
    save_picture(arguments.steps, arguments.quiet, arguments.out)
    if error > REQUIRED_ERROR or back > 1e-8:
        print("the tree or the implied volatility is off: more steps?", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
