# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`gradopt.random`: bits against a reference, distributions, derivatives, messages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from threefry import KNOWN_ANSWERS, reference_bits, reference_words

import gradopt as go
from gradopt import random

KEY = random.key(20240229)
COUNT = 20_000
# Of a test of a distribution, which holds for seeds that were not searched for.
SIGNIFICANCE = 1e-4


def signed(words: Any) -> Any:
    return np.array(words, np.uint32).view(np.int32)


# -- Keys and bits -----------------------------------------------------------------------------


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_known_answers(counter: Any, key: Any, words: Any) -> None:
    number = counter[0] << 32 | counter[1]
    np.testing.assert_array_equal(random.fold_in(signed(key), number), signed(words))


@pytest.mark.parametrize("seed", [0, 1, -1, 2**31, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63), 12345])
def test_a_key_is_the_seed(seed: int) -> None:
    bits = seed % 2**64
    expected = signed([bits >> 32, bits & 0xFFFFFFFF])
    for made in (random.key(seed), random.key(np.int64(seed)), go.compile(random.key)(seed)):
        assert made.dtype == np.int32
        np.testing.assert_array_equal(made, expected)


def test_seeds_of_64_bits_without_sign() -> None:
    np.testing.assert_array_equal(random.key(2**64 - 1), random.key(-1))
    np.testing.assert_array_equal(random.key(np.uint64(2**63 + 5)), signed([1 << 31, 5]))


def test_split_and_fold_in_are_the_words_of_the_counters() -> None:
    words = np.stack(reference_words(KEY, 0, 6), axis=1).view(np.int32)
    np.testing.assert_array_equal(random.split(KEY, 6), words)
    np.testing.assert_array_equal(random.split(KEY), words[:2])
    np.testing.assert_array_equal(random.split(KEY, (2, 3)), words.reshape(2, 3, 2))
    np.testing.assert_array_equal(random.split(KEY, 1), words[:1])
    assert random.split(KEY, 0).shape == (0, 2)
    for i in range(6):
        np.testing.assert_array_equal(random.fold_in(KEY, i), words[i])
    far = np.stack(reference_words(KEY, -3, 1), axis=1).view(np.int32)[0]
    np.testing.assert_array_equal(random.fold_in(KEY, -3), far)


@pytest.mark.parametrize("shape", [(), (1,), (0,), (7,), (3, 5), (2, 0, 3), (2, 3, 4)])
@pytest.mark.parametrize("dtype", ["i8", "i4", "i2", "i1"])
def test_bits_are_those_of_the_reference(shape: tuple[int, ...], dtype: str) -> None:
    width = max(np.dtype(dtype).itemsize, 4)
    expected = reference_bits(KEY, 0, 8 * width, shape, f"i{width}").astype(dtype)
    np.testing.assert_array_equal(random.bits(KEY, shape, dtype), expected, strict=True)


# -- The same numbers wherever they are drawn ----------------------------------------------------

DRAWS: dict[str, Callable[[Any], Any]] = {
    "bits": lambda k: random.bits(k, (3, 4)),
    "uniform": lambda k: random.uniform(k, (5,), minval=-1, maxval=np.arange(1.0, 6.0)),
    "normal": lambda k: random.normal(k, (3, 4)),
    "normal of float32": lambda k: random.normal(k, (11,), np.float32),
    "normal scalar": lambda k: random.normal(k),
    "exponential": lambda k: random.exponential(k, 6),
    "gumbel": lambda k: random.gumbel(k, (2, 2)),
    "randint": lambda k: random.randint(k, (9,), -3, 40),
    "randint of int8": lambda k: random.randint(k, (9,), -128, 128, np.int8),
    "bernoulli": lambda k: random.bernoulli(k, np.array([0.1, 0.5, 0.9])),
    "categorical": lambda k: random.categorical(k, np.log([0.2, 0.3, 0.5]), shape=(8,)),
    "permutation": lambda k: random.permutation(k, 10),
    "permutation of rows": lambda k: random.permutation(k, np.arange(12.0).reshape(4, 3)),
    "choice": lambda k: random.choice(k, np.arange(5) * 2, (3, 2)),
    "choice with weights": lambda k: random.choice(k, 3, (4,), p=np.array([0.5, 0.0, 0.5])),
    "choice without replacement": lambda k: random.choice(k, 7, (2, 3), replace=False),
    "choice with weights without replacement": lambda k: random.choice(
        k, 5, (3,), False, np.array([0.5, 0.1, 0.0, 3.0, 1.0])
    ),
    "gamma": lambda k: random.gamma(k, np.array([0.3, 1.0, 7.0]), (20, 3)),
    "gamma of float32": lambda k: random.gamma(k, np.float32(1.5), (40,)),
    "beta": lambda k: random.beta(k, 0.5, np.array([0.5, 2.0])),
    "dirichlet": lambda k: random.dirichlet(k, np.array([0.5, 2.0, 1.0]), (2,)),
    "split": lambda k: random.split(k, 3),
    "fold_in": lambda k: random.fold_in(k, 5),
}


@pytest.mark.parametrize("name", DRAWS)
def test_the_same_numbers_in_a_trace_and_in_a_loop(name: str) -> None:
    draw = DRAWS[name]
    expected = draw(KEY)
    np.testing.assert_array_equal(draw(KEY), expected, strict=True)
    np.testing.assert_array_equal(go.compile(draw)(KEY), expected, strict=True)
    np.testing.assert_array_equal(go.compile(lambda: draw(KEY))(), expected, strict=True)

    def looped(key: Any) -> Any:
        return go.scan(lambda k, i: (k, draw(random.fold_in(k, i))), key, np.arange(3))[1]

    each = [draw(random.fold_in(KEY, i)) for i in range(3)]
    np.testing.assert_array_equal(go.compile(looped)(KEY), np.stack(each), strict=True)


def test_a_key_is_carried_and_split_in_a_loop() -> None:
    def walk(key: Any) -> Any:
        def step(i: Any, state: Any) -> Any:
            key, x = state
            key, this = random.split(key)
            return key, x + random.normal(this, (3,))

        return go.fori_loop(0, 20, step, (key, np.zeros(3)))

    key, x = go.compile(walk)(KEY)
    same_key, same_x = walk(KEY)
    np.testing.assert_array_equal(key, same_key)
    np.testing.assert_array_equal(x, same_x)


def test_rejection_in_a_while_loop() -> None:
    def positive(key: Any) -> Any:
        def again(state: Any) -> Any:
            key, _ = state
            key, this = random.split(key)
            return key, random.normal(this)

        return go.while_loop(lambda s: s[1] < 1.5, again, (key, np.float64(0)))[1]

    assert go.compile(positive)(KEY) == positive(KEY) > 1.5


def test_numbers_of_one_key_do_not_depend_on_the_shape() -> None:
    """Element n in row-major order is a function of the key and n."""
    long = random.normal(KEY, (60,))
    np.testing.assert_array_equal(random.normal(KEY, (3, 4, 5)).ravel(), long)
    np.testing.assert_array_equal(random.normal(KEY, (7,)), long[:7])


def test_repeated_calls_outside_of_a_trace_do_not_trace_again() -> None:
    from gradopt.ir.current import trace_count

    random.uniform(KEY, (3, 7), minval=0.0, maxval=2.0)
    before = trace_count()
    random.uniform(random.key(5), [3, 7], float, 1.0, 4.0)
    assert trace_count() == before


def test_numbers_are_made_where_they_are_used() -> None:
    """In one loop, with no memory for bits and for uniform numbers."""

    def loss(x: Any, key: Any) -> Any:
        return np.sum(np.tanh(x + 0.5 * random.normal(key, x.shape)))

    lowered = go.compile(loss).lower(np.zeros(100_000), KEY)
    assert lowered.memory().arena < 100_000
    assert lowered.mlir("linalg").count("linalg.generic") == 1


def test_code_generation_sees_short_sums_only() -> None:
    """The rounds of the generator are sums of the counter of a loop: see runtime/LongSums.h."""

    draw = go.compile(lambda key: random.gamma(key, np.ones(5))).lower(KEY)
    assert "freeze i32" in draw.llvm_ir()
    assert "freeze" not in go.compile(lambda x: np.sum(x[1:] * x[:-1])).lower(np.ones(9)).llvm_ir()


# -- Distributions -------------------------------------------------------------------------------

CONTINUOUS = {
    "uniform": (random.uniform, stats.uniform),
    "normal": (random.normal, stats.norm),
    "exponential": (random.exponential, stats.expon),
    "gumbel": (random.gumbel, stats.gumbel_r),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_distributions(name: str, dtype: Any) -> None:
    draw, expected = CONTINUOUS[name]
    for seed in range(5):
        x = draw(random.key(seed), COUNT, dtype)
        assert x.dtype == dtype
        assert x.shape == (COUNT,)
        assert np.isfinite(x).all()
        assert stats.kstest(x, expected.cdf).pvalue > SIGNIFICANCE
        # Neighbours have nothing to do with each other.
        assert abs(np.corrcoef(x[1:], x[:-1])[0, 1]) < 4 / np.sqrt(COUNT)


def test_moments_of_many_normal_numbers() -> None:
    x = random.normal(KEY, (1_000_000,))
    # Five standard deviations of each mean.
    assert abs(x.mean()) < 5e-3
    assert abs((x**2).mean() - 1) < 5 * np.sqrt(2 / 1e6)
    assert abs((x**3).mean()) < 5 * np.sqrt(15 / 1e6)
    assert abs((x**4).mean() - 3) < 5 * np.sqrt(96 / 1e6)
    assert 4 < x.max() < 6.5
    assert 4 < -x.min() < 6.5


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_floats_are_the_upper_bits(dtype: Any) -> None:
    """Uniform numbers, and normal ones as quantiles of the same bits."""
    digits, element = (53, "i8") if dtype == np.float64 else (24, "i4")
    numbers = reference_bits(KEY, 0, digits, (1000,), element)
    uniform = random.uniform(KEY, 1000, dtype)
    np.testing.assert_array_equal(uniform, (numbers * 2.0**-digits).astype(dtype), strict=True)
    assert 0 <= uniform.min() <= uniform.max() < 1
    quantiles = stats.norm.ppf(np.ldexp(numbers + 0.5, -digits))
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(random.normal(KEY, 1000, dtype), quantiles, 20 * eps, 4 * eps)


def test_bounds_of_uniform_numbers() -> None:
    low, high = np.array([[-2.0], [5.0]]), np.array([-1.0, 10.0, 100.0])
    high = np.broadcast_to(high, (2, 3)) + low
    x = random.uniform(KEY, (1000, 2, 3), minval=low, maxval=high)
    scaled = (x - low) / (high - low)
    np.testing.assert_allclose(scaled, random.uniform(KEY, (1000, 2, 3)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [(0, 10, np.int64), (-5, 2, np.int32), (-128, 128, np.int8), (2**40, 2**40 + 3, np.int64)],
)
def test_integers_are_uniform(low: int, high: int, dtype: Any) -> None:
    x = random.randint(KEY, COUNT, low, high, dtype)
    assert x.dtype == dtype
    values, counts = np.unique(x, return_counts=True)
    np.testing.assert_array_equal(values, np.arange(low, high))
    assert stats.chisquare(counts).pvalue > SIGNIFICANCE


def test_integers_are_62_bits_modulo_the_range() -> None:
    bits = reference_bits(KEY, 0, 62, (1000,), "i8")
    for low, high in ((0, 1), (0, 7), (-(2**61), 2**61), (5, 5 + 3**38), (0, 2**62 - 1)):
        expected = [low + int(b) % (high - low) for b in bits]
        np.testing.assert_array_equal(random.randint(KEY, 1000, low, high), expected)


def test_integers_modulo_ranges_of_all_sizes() -> None:
    """Also for multiples of the range, and for those next to them."""
    bits = reference_bits(KEY, 0, 62, (6000,), "i8")
    sizes = np.random.default_rng(0).integers(1, 63, 1000)
    spans = [
        2 ** int(size) - int(b) % 2 ** int(size - 1)
        for size, b in zip(sizes, bits[:1000], strict=True)
    ]
    quotients = [int(b) // (int(b) % 1000 + 1) for b in bits[1000:]]
    spans += [max(q + d % 3 - 1, 1) for d, q in enumerate(quotients)]
    expected = [int(b) % span for b, span in zip(bits, spans, strict=True)]
    np.testing.assert_array_equal(random.randint(KEY, 6000, 0, np.array(spans)), expected)


def test_integers_with_bounds_for_each_element() -> None:
    low, high = np.arange(50) - 20, np.arange(50) - 19
    np.testing.assert_array_equal(random.randint(KEY, (3, 50), low, high), np.tile(low, (3, 1)))


def test_bernoulli() -> None:
    p = np.array([0.0, 0.1, 0.5, 1.0])
    x = random.bernoulli(KEY, p, (COUNT, 4))
    assert x.dtype == np.bool_
    assert (np.abs(x.mean(axis=0) - p) <= 5 * np.sqrt(p * (1 - p) / COUNT)).all()
    assert random.bernoulli(KEY).shape == ()


def test_categorical() -> None:
    p = np.array([0.05, 0.6, 0.0, 0.35])
    with np.errstate(divide="ignore"):
        logits = np.log(p) + 3.0
    for x in (
        random.categorical(KEY, logits, shape=COUNT),
        random.categorical(KEY, np.broadcast_to(logits[:, None], (4, COUNT)), axis=0),
        random.choice(KEY, 4, COUNT, p=p * 7),
    ):
        assert x.dtype == np.int64
        counts = np.bincount(x, minlength=4)
        assert counts[2] == 0
        assert stats.chisquare(np.delete(counts, 2), np.delete(p, 2) * COUNT).pvalue > SIGNIFICANCE


def test_categorical_with_a_batch_of_logits() -> None:
    sure = np.where(np.eye(3, dtype=bool), 0.0, -np.inf)
    np.testing.assert_array_equal(random.categorical(KEY, sure), [0, 1, 2])
    np.testing.assert_array_equal(random.categorical(KEY, sure, axis=0), [0, 1, 2])
    x = random.categorical(KEY, sure, shape=(5, 3))
    np.testing.assert_array_equal(x, np.tile([0, 1, 2], (5, 1)))


def test_all_orders_are_equally_likely() -> None:
    def orders(keys: Any) -> Any:
        return go.map(lambda k: random.permutation(k, 4), keys)

    x = go.compile(orders)(random.split(KEY, 4800))
    np.testing.assert_array_equal(np.sort(x, axis=1), np.tile(np.arange(4), (4800, 1)))
    _, counts = np.unique(x @ [64, 16, 4, 1], return_counts=True)
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > SIGNIFICANCE


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_a_permutation_has_each_number_once(count: int) -> None:
    x = random.permutation(KEY, count)
    assert x.dtype == np.int64
    np.testing.assert_array_equal(np.sort(x), np.arange(count))
    assert count < 1000 or (x != np.arange(count)).mean() > 0.9


def test_choices() -> None:
    names = np.array([10.0, 20.0, 30.0])
    x = random.choice(KEY, names, COUNT)
    _, counts = np.unique(x, return_counts=True)
    assert stats.chisquare(counts).pvalue > SIGNIFICANCE
    assert sorted(random.choice(KEY, names, 3, replace=False)) == [10.0, 20.0, 30.0]
    assert random.choice(KEY, np.ones((3, 2)), (4, 5)).shape == (4, 5, 2)
    assert random.choice(KEY, 3).shape == ()


def test_weighted_choices_without_replacement() -> None:
    """The first by the weights, and the next by those of the others."""
    p = np.array([0.5, 0.0, 1.5, 3.0])

    def pairs(keys: Any) -> Any:
        return go.map(lambda k: random.choice(k, 4, 2, False, p), keys)

    x = go.compile(pairs)(random.split(KEY, 6000))
    counts = np.zeros((4, 4))
    np.add.at(counts, (x[:, 0], x[:, 1]), 1)
    expected = p[:, None] * p / p.sum() / (p.sum() - p)[:, None]
    np.fill_diagonal(expected, 0)
    possible = expected > 0
    assert not counts[~possible].any()
    observed, wanted = counts[possible], expected[possible] * len(x)
    assert stats.chisquare(observed, wanted).pvalue > SIGNIFICANCE
    assert random.choice(KEY, 3, 0, False, np.ones(3)).shape == (0,)


def test_different_keys_give_independent_numbers() -> None:
    keys = [*random.split(KEY, 4), random.fold_in(KEY, 77), random.key(0), random.key(1)]
    numbers = np.array([random.normal(k, COUNT) for k in keys])
    correlations = np.corrcoef(numbers) - np.eye(len(keys))
    assert np.abs(correlations).max() < 4.5 / np.sqrt(COUNT)
    ranks = np.floor(stats.norm.cdf(numbers[:2]) * 8).astype(int)
    table = np.histogram2d(*ranks, bins=8)[0]
    assert stats.chi2_contingency(table)[1] > SIGNIFICANCE


# -- Derivatives ---------------------------------------------------------------------------------


def test_derivatives_in_the_parameters() -> None:
    def loss(mean: Any, deviation: Any, low: Any) -> Any:
        one, two = random.split(KEY)
        x = mean + deviation * random.normal(one, (50,))
        return np.sum(np.sin(x)) + np.sum(random.uniform(two, (50,), minval=low, maxval=3.0) ** 2)

    args = (0.3, 1.7, -0.5)
    one, two = random.split(KEY)
    z, u = random.normal(one, (50,)), random.uniform(two, (50,))
    slope = np.cos(args[0] + args[1] * z)
    expected = (slope.sum(), (slope * z).sum(), (2 * (u * 3.5 - 0.5) * (1 - u)).sum())
    np.testing.assert_allclose(go.grad(loss, (0, 1, 2))(*args), expected, rtol=1e-12)
    assert go.gradcheck(loss, args, order=2)


def test_derivatives_through_a_random_walk() -> None:
    steps = 30

    def end(params: Any, key: Any) -> Any:
        def step(x: Any, k: Any) -> Any:
            x = x + params["drift"] * np.tanh(x) + params["noise"] * random.normal(k, (2,))
            return x, np.sum(x)

        x, sums = go.scan(step, np.ones(2), random.split(key, steps))
        return np.sum(x**2) + np.mean(sums)

    params = {"drift": 0.1, "noise": 0.3}
    grads = go.compile_grad(end)(params, KEY)
    for name in params:
        eps = 1e-5
        up, down = ({**params, name: params[name] + s} for s in (eps, -eps))
        slope = (end(up, KEY) - end(down, KEY)) / (2 * eps)
        np.testing.assert_allclose(grads[name], slope, rtol=1e-7)


def test_dropout_has_the_same_mask_in_value_and_gradient() -> None:
    def dropped(x: Any, key: Any) -> Any:
        return np.sum(np.where(random.bernoulli(key, 0.5, x.shape), x**2, 0))

    x = np.arange(1.0, 101.0)
    mask = random.bernoulli(KEY, 0.5, x.shape)
    value, grad = go.compile_value_and_grad(dropped)(x, KEY)
    assert value == np.sum(x[mask] ** 2)
    np.testing.assert_array_equal(grad, np.where(mask, 2 * x, 0))


# -- Messages ------------------------------------------------------------------------------------


BAD: dict[str, tuple[type[Exception], str, Callable[[], Any]]] = {
    "a seed": (
        go.errors.ArgumentTypeError,
        r"key must be an int32 array of shape \(2,\), .*gradopt\.random\.key\(seed\)",
        lambda: random.normal(3),
    ),
    "several keys": (
        go.errors.ArgumentError,
        r"key must be .* pass one of these keys",
        lambda: random.normal(random.split(KEY, 3)),
    ),
    "a key of floats": (
        go.errors.ArgumentTypeError,
        "key must be an int32 array",
        lambda: random.split(np.zeros(2)),
    ),
    "a key of unsigned integers": (
        go.errors.ArgumentTypeError,
        r"view its elements as int32 with key\.view\(np\.int32\)",
        lambda: random.bits(np.zeros(2, np.uint32)),
    ),
    "a negative size": (
        go.errors.ShapeError,
        r"shape must not be negative, but it is \(3, -1\)",
        lambda: random.uniform(KEY, (3, -1)),
    ),
    "a size with a fraction": (
        go.errors.ArgumentTypeError,
        "shape must be integers",
        lambda: random.uniform(KEY, 2.5),
    ),
    "uniform integers": (
        go.errors.DTypeError,
        "dtype must be of floats, but it is int64",
        lambda: random.uniform(KEY, 3, int),
    ),
    "bits of floats": (
        go.errors.DTypeError,
        "dtype must be of integers, but it is float64",
        lambda: random.bits(KEY, 3, float),
    ),
    "half precision": (
        go.errors.UnsupportedError,
        "of dtype float16 are not supported; draw them as float32",
        lambda: random.normal(KEY, 3, np.float16),
    ),
    "bounds of another shape": (
        go.errors.ShapeError,
        r"minval of shape \(2,\) cannot be broadcast to shape \(3,\)",
        lambda: random.uniform(KEY, 3, minval=np.zeros(2)),
    ),
    "bounds with a fraction": (
        go.errors.ArgumentTypeError,
        "maxval must be integers",
        lambda: random.randint(KEY, 3, 0, 2.5),
    ),
    "an empty range": (
        go.errors.NumberRangeError,
        "maxval must be above minval.*maxval - minval is 0",
        lambda: random.randint(KEY, 3, 5, 5),
    ),
    "a range beyond the dtype": (
        go.errors.NumberRangeError,
        "maxval 130 is out of bounds for int8",
        lambda: random.randint(KEY, 3, 0, 130, np.int8),
    ),
    "no categories": (
        go.errors.ShapeError,
        "logits have no categories",
        lambda: random.categorical(KEY, np.zeros((3, 0))),
    ),
    "results of another shape": (
        go.errors.ShapeError,
        r"cannot be broadcast to shape \(4,\)",
        lambda: random.categorical(KEY, np.zeros((3, 2)), shape=4),
    ),
    "an axis that is not there": (
        go.errors.AxisError,
        "axis 1 is out of bounds",
        lambda: random.categorical(KEY, np.zeros(3), axis=1),
    ),
    "a seed with a fraction": (
        go.errors.ArgumentTypeError,
        "seed must be an integer",
        lambda: random.key(0.5),
    ),
    "a seed beyond 64 bits": (
        go.errors.NumberRangeError,
        "has more than 64 bits",
        lambda: random.key(2**64),
    ),
    "too many choices": (
        go.errors.ArgumentError,
        "cannot choose 4 elements of 3 without replacement",
        lambda: random.choice(KEY, 3, 4, replace=False),
    ),
    "nothing to choose from": (
        go.errors.ArgumentError,
        "cannot choose 4 elements of 0",
        lambda: random.choice(KEY, 0, 4),
    ),
    "too few weights above 0": (
        go.errors.ArgumentError,
        "cannot choose 3 elements without replacement: 2 have weights above 0",
        lambda: random.choice(KEY, 4, 3, False, np.array([0.0, 1.0, 0.5, 0.0])),
    ),
    "vectors of one number": (
        go.errors.ShapeError,
        "alpha must have at least one dimension",
        lambda: random.dirichlet(KEY, 2.0),
    ),
    "parameters of another shape": (
        go.errors.ShapeError,
        r"a of shape \(2,\) cannot be broadcast to shape \(3,\)",
        lambda: random.gamma(KEY, np.ones(2), 3),
    ),
    "parameters that do not fit each other": (
        go.errors.ShapeError,
        r"could not be broadcast together with shapes \(2,\) \(3,\)",
        lambda: random.beta(KEY, np.ones(2), np.ones(3)),
    ),
    "no key": (
        go.errors.ArgumentTypeError,
        "key must be an int32 array .*, but it is None; make one with",
        lambda: random.normal(None),
    ),
    "a key of lists of different lengths": (
        go.errors.ShapeError,
        "key: .*inhomogeneous",
        lambda: random.normal([1, [2]]),
    ),
    "a key with a mask": (
        go.errors.ArgumentTypeError,
        r"but it is a MaskedArray of int32\[2\]",
        lambda: random.normal(np.ma.array(KEY, mask=[True, False])),
    ),
    "no seed": (
        go.errors.ArgumentTypeError,
        "seed must be an integer, but it is None",
        lambda: random.key(None),
    ),
    "a size beyond all memory": (
        go.errors.ShapeError,
        r"shape \(1099511627776, 1024\) has more than 2\^48 elements",
        lambda: random.normal(KEY, (2**40, 2**10)),
    ),
    "no bound": (
        go.errors.ArgumentTypeError,
        "minval must be numbers, but it is None",
        lambda: random.uniform(KEY, 3, minval=None),
    ),
    "an axis with a fraction": (
        go.errors.IntegerError,
        "'float' object cannot be interpreted as an integer",
        lambda: random.categorical(KEY, np.zeros(3), axis=0.5),
    ),
    "an axis of several numbers": (
        go.errors.IntegerError,
        "only integer scalar arrays",
        lambda: random.categorical(KEY, np.zeros(3), axis=np.arange(2)),
    ),
    "logits that are NaN": (
        go.errors.ArgumentError,
        "the largest of logits .* must be finite, but that of 1 rows is not",
        lambda: random.categorical(KEY, np.array([[0.0, 1.0], [np.nan, 0.0]])),
    ),
    "categories that are all impossible": (
        go.errors.ArgumentError,
        "the largest of logits .* must be finite",
        lambda: random.categorical(KEY, np.full(3, -np.inf)),
    ),
    "a probability above 1": (
        go.errors.ArgumentError,
        r"p must be in \[0, 1\], but 1 of its elements are not",
        lambda: random.bernoulli(KEY, np.array([0.0, 1.0, 1.5])),
    ),
    "a probability that is NaN": (
        go.errors.ArgumentError,
        r"p must be in \[0, 1\], but 1 of its elements are not",
        lambda: random.bernoulli(KEY, np.nan, 3),
    ),
    "vectors of no numbers": (
        go.errors.ShapeError,
        r"alpha must have elements along its last axis, but its shape is \(3, 0\)",
        lambda: random.dirichlet(KEY, np.ones((3, 0))),
    ),
    "a flag that is a number": (
        go.errors.ArgumentTypeError,
        "replace must be True or False, but it is 2",
        lambda: random.choice(KEY, 3, 2, 2),
    ),
    "negative weights": (
        go.errors.ArgumentError,
        "p must not be negative or NaN, but 2 of it are",
        lambda: random.choice(KEY, 3, 2, p=np.array([0.5, -0.5, -1.0])),
    ),
    "weights that are NaN": (
        go.errors.ArgumentError,
        "p must not be negative or NaN, but 1 of it are",
        lambda: random.choice(KEY, 3, 2, False, p=np.array([0.5, np.nan, 1.0])),
    ),
    "weights that sum to zero": (
        go.errors.ArgumentError,
        "p must have a sum that is positive and finite",
        lambda: random.choice(KEY, 3, 2, p=np.zeros(3)),
    ),
    "weights beyond all floats": (
        go.errors.ArgumentError,
        "p must have a sum that is positive and finite",
        lambda: random.choice(KEY, 3, 2, p=np.full(3, 1e308)),
    ),
    "weights of another shape": (
        go.errors.ShapeError,
        r"p must have shape \(3,\)",
        lambda: random.choice(KEY, 3, 2, p=np.ones(2)),
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_name_the_users_line(name: str) -> None:
    error, pattern, call = BAD[name]
    line = call.__code__.co_firstlineno
    for run in (call, go.compile(call)):
        with pytest.raises(error, match=pattern) as caught:
            run()
        location = getattr(caught.value, "location", None)
        assert location is not None, run
        assert Path(location.file).name == Path(__file__).name
        assert line <= location.line <= line + 2


def test_a_traced_size_is_refused() -> None:
    with pytest.raises(go.errors.ConversionError):
        go.compile(lambda n: random.normal(KEY, (n,)), capture="trace")(3)
    assert go.compile(lambda n: random.normal(KEY, (n,)))(3).shape == (3,)


def test_a_range_that_is_empty_at_run_time_is_an_error() -> None:
    draw = go.compile(lambda high: random.randint(KEY, 3, 0, high))
    assert (draw(1) == 0).all()
    with pytest.raises(go.errors.NumberRangeError, match="maxval - minval is -4"):
        draw(-4)


@pytest.mark.parametrize("replace", [True, False])
def test_weights_are_checked_at_run_time(replace: bool) -> None:
    def draw(p: Any) -> Any:
        return random.choice(KEY, 3, 2, replace, p)

    good, bad = np.array([0.0, 2.0, 1.0]), np.array([0.0, 2.0, np.nan])
    for transformed, arguments in (
        (go.compile(draw), lambda p: p),
        (go.vmap(draw), lambda p: np.stack([good, p])),
        (lambda p: go.map(draw, p), lambda p: np.stack([good, p])),
    ):
        assert not (transformed(arguments(good)) == 0).any()
        with pytest.raises(go.errors.ArgumentError, match="negative or NaN, but 1 of it") as info:
            transformed(arguments(bad))
        assert info.value.location is not None
        assert "random.choice" in info.value.location.text()


PAIRS: list[tuple[Any, Any]] = [
    (np.ones(3, "f4"), 2.0),
    (3, np.ones(3, "f4")),
    (np.ones(3, "f4"), np.float64(2)),
    (np.ones(3, "f4"), np.float32(2)),
    (np.ones(3, "f4"), np.ones(3, "i4")),
    (np.ones(3, "f4"), np.ones(3, "i1")),
    (np.ones(3, "f4"), np.ones(3)),
    (np.ones(3, "i8"), 2.0),
    (2.0, 2.0),
    (2, 3),
]


@pytest.mark.parametrize("pair", PAIRS)
def test_distributions_have_the_dtype_that_numpy_promotes_to(pair: tuple[Any, Any]) -> None:
    expected = np.result_type(*pair, 1.0)
    for draw in (random.beta, go.compile(random.beta)):
        assert draw(KEY, *pair).dtype == expected
    expected = np.result_type(pair[0], 1.0)
    for draw in (random.gamma, random.loggamma, go.compile(random.gamma)):
        assert draw(KEY, pair[0]).dtype == expected


def test_errors_of_kept_programs_name_the_line_of_the_call() -> None:
    calls = [
        lambda: random.bernoulli(KEY, 2.0),
        lambda: random.bernoulli(KEY, 3.0),
    ]
    for call in calls:
        with pytest.raises(go.errors.ArgumentError, match=r"p must be in \[0, 1\]") as info:
            call()
        assert info.value.location is not None
        assert info.value.location.line == call.__code__.co_firstlineno
