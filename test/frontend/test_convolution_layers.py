# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Convolution and pooling of images against loops over places, and their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from budget import by_hypothesis, generator
from hypothesis import given
from hypothesis import strategies as st

import gradopt as go
from gradopt import errors, nn

Pairs = tuple[tuple[int, int], ...]


def places(
    x: Any, window: Any, stride: Any, pads: Pairs, dilation: Any, fill: float = 0.0
) -> list[tuple[tuple[int, ...], Any]]:
    """Each place of a result and the window of the padded image there."""
    padded = np.pad(x, ((0, 0), (0, 0), *pads), constant_values=fill)
    counts = [
        (padded.shape[2 + i] - (k - 1) * d - 1) // s + 1
        for i, (k, s, d) in enumerate(zip(window, stride, dilation, strict=True))
    ]
    found = []
    for at in np.ndindex(*counts):
        cut = [
            slice(p * s, p * s + (k - 1) * d + 1, d)
            for p, s, k, d in zip(at, stride, window, dilation, strict=True)
        ]
        found.append((at, padded[(slice(None), slice(None), *cut)]))
    return found


def by_loops(x: Any, w: Any, b: Any, stride: Any, pads: Pairs, dilation: Any, groups: int) -> Any:
    o = w.shape[0] // groups
    c = w.shape[1]
    results: dict[Any, Any] = {}
    for at, window in places(x, w.shape[2:], stride, pads, dilation):
        value = np.zeros((x.shape[0], w.shape[0]), x.dtype)
        for g in range(groups):
            for j in range(g * o, (g + 1) * o):
                products = window[:, g * c : (g + 1) * c] * w[j]
                value[:, j] = products.sum(axis=tuple(range(1, x.ndim)))
        results[at] = value + b
    counts = tuple(n + 1 for n in max(results)) if results else (0,) * (x.ndim - 2)
    result = np.zeros((x.shape[0], w.shape[0], *counts), x.dtype)
    for at, value in results.items():
        result[(slice(None), slice(None), *at)] = value
    return result


@st.composite
def configurations(draw: st.DrawFn, spatial: int) -> dict[str, Any]:
    groups = draw(st.integers(1, 3))
    c, o = (draw(st.integers(0, 2)) for _ in range(2))
    sizes = tuple(draw(st.integers(1, 6)) for _ in range(spatial))
    window = tuple(draw(st.integers(1, 3)) for _ in range(spatial))
    dilation = tuple(draw(st.integers(1, 2)) for _ in range(spatial))
    pads = []
    for size, k, d in zip(sizes, window, dilation, strict=True):
        low, high = draw(st.integers(0, 3)), draw(st.integers(0, 3))
        pads.append((low, high + max((k - 1) * d + 1 - size - low - high, 0)))
    return {
        "x": (draw(st.integers(0, 2)), groups * c, *sizes),
        "w": (groups * o, c, *window),
        "stride": tuple(draw(st.integers(1, 3)) for _ in range(spatial)),
        "padding": tuple(pads),
        "dilation": dilation,
        "groups": groups,
    }


def check(function: Callable[..., Any], options: dict[str, Any], dtype: str) -> None:
    options = dict(options)
    rng = generator(7)
    x, w = (rng.normal(size=options.pop(name)).astype(dtype) for name in ("x", "w"))
    b = rng.normal(size=w.shape[0]).astype(dtype)
    want = by_loops(
        x, w, b, options["stride"], options["padding"], options["dilation"], options["groups"]
    )

    def f(x: Any, w: Any, b: Any) -> Any:
        return function(x, w, b, **options)

    got = go.compile(f)(x, w, b)
    assert (got.dtype, got.shape) == (want.dtype, want.shape)
    tolerance = 1e-4 if dtype == "f4" else 1e-11
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
    if dtype == "f8":
        assert go.gradcheck(f, (x, w, b), rtol=1e-5, atol=1e-6)


@by_hypothesis(60)
@given(configurations(2), st.sampled_from(["f8", "f4"]))
def test_images(options: dict[str, Any], dtype: str) -> None:
    check(nn.conv2d, options, dtype)


@by_hypothesis(30)
@given(configurations(1), st.sampled_from(["f8", "f4"]))
def test_sequences(options: dict[str, Any], dtype: str) -> None:
    check(nn.conv1d, options, dtype)


@by_hypothesis(15)
@given(configurations(2))
def test_second_derivatives(options: dict[str, Any]) -> None:
    options = dict(options)
    rng = generator(8)
    x, w = (rng.normal(size=options.pop(name)) for name in ("x", "w"))

    def f(x: Any, w: Any) -> Any:
        return np.sin(nn.conv2d(x, w, **options))

    assert go.gradcheck(f, (x, w), rtol=1e-4, atol=1e-5, order=2)


@by_hypothesis(40)
@given(st.integers(1, 2).flatmap(configurations), st.integers(0, 1))
def test_the_transposed_one_is_the_transpose(options: dict[str, Any], more: int) -> None:
    """<conv2d(x, w), y> is <x, conv_transpose2d(y, w)>."""
    function = {1: nn.conv_transpose1d, 2: nn.conv_transpose2d}[len(options["stride"])]
    stride, dilation, groups = options["stride"], options["dilation"], options["groups"]
    pads = tuple(min(low, high) for low, high in options["padding"])
    extra = tuple(min(more, s - 1) for s in stride)
    (n, c, *sizes), (o, _, *window) = options["x"], options["w"]
    made = [
        (size - 1) * s - 2 * p + (k - 1) * d + e + 1
        for size, s, p, k, d, e in zip(sizes, stride, pads, window, dilation, extra, strict=True)
    ]
    rng = generator(9)
    y, w = rng.normal(size=(n, o, *sizes)), rng.normal(size=options["w"])

    def f(y: Any, w: Any) -> Any:
        return function(y, w, None, stride, pads, extra, groups=groups, dilation=dilation)

    if min(made) < 1:
        with pytest.raises(errors.ShapeError, match="nothing is left"):
            f(y, w)
        return
    got = f(y, w)
    assert got.shape == (n, c, *made)
    x = rng.normal(size=got.shape)
    direct = by_loops(x, w, 0.0, stride, tuple((p, p) for p in pads), dilation, groups)
    assert direct.shape == y.shape
    np.testing.assert_allclose(np.sum(direct * y), np.sum(x * got), rtol=1e-10, atol=1e-10)
    assert go.gradcheck(f, (y, w), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1, 5, 6])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_padding_by_name(size: int, stride: int) -> None:
    rng = generator(10)
    x, w = rng.normal(size=(2, 3, size, size + 3)), rng.normal(size=(4, 3, 3, 4))
    got = nn.conv2d(x, w, stride=stride, padding="same")
    assert got.shape == (2, 4, -(-size // stride), -(-(size + 3) // stride))
    pads = []
    for extent, n in zip((3, 4), (size, size + 3), strict=True):
        missing = max((-(-n // stride) - 1) * stride + extent - n, 0)
        pads.append((missing // 2, missing - missing // 2))
    want = by_loops(x, w, 0.0, (stride, stride), tuple(pads), (1, 1), 1)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    if size > 2:
        np.testing.assert_array_equal(nn.conv2d(x, w, padding="valid"), nn.conv2d(x, w))


@by_hypothesis(30)
@given(st.integers(1, 2).flatmap(configurations), st.data())
def test_transposed_padding_by_name(options: dict[str, Any], data: st.DataObject) -> None:
    """The transpose of "same" on an image of as many strides as there are results."""
    stride, dilation, groups = options["stride"], options["dilation"], options["groups"]
    name = data.draw(st.sampled_from(["same", "valid"]))
    (n, _, *counts), (o, c, *window) = options["x"], options["w"]
    extents = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    if name == "same":
        sizes = [count * s for count, s in zip(counts, stride, strict=True)]
    else:
        triples = zip(counts, stride, extents, strict=True)
        sizes = [(count - 1) * s + e for count, s, e in triples]
    rng = generator(14)
    x, w = rng.normal(size=(n, groups * c, *sizes)), rng.normal(size=options["w"])
    y = rng.normal(size=(n, o, *counts))
    direct, transposed = {
        1: (nn.conv1d, nn.conv_transpose1d),
        2: (nn.conv2d, nn.conv_transpose2d),
    }[len(stride)]
    there = direct(x, w, None, stride, name, dilation, groups)
    back = transposed(y, w, None, stride, name, 0, groups, dilation)
    assert there.shape == y.shape
    assert back.shape == x.shape
    np.testing.assert_allclose(np.sum(there * y), np.sum(x * back), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", [(2, 16, 30, 41), (1, 64, 40, 40)])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_images_of_many_blocks(shape: tuple[int, ...], dtype: str) -> None:
    rng = generator(11)
    x, w = rng.normal(size=shape).astype(dtype), rng.normal(size=(8, shape[1], 3, 5)).astype(dtype)
    c = rng.normal(size=(shape[0], 8, shape[2], shape[3])).astype(dtype)

    def loss(x: Any, w: Any) -> Any:
        return np.sum(nn.conv2d(x, w, padding=(1, 2)) * c)

    want = by_loops(x, w, 0.0, (1, 1), ((1, 1), (2, 2)), (1, 1), 1)
    tolerance = 1e-3 if dtype == "f4" else 1e-11
    np.testing.assert_allclose(nn.conv2d(x, w, padding=(1, 2)), want, tolerance, tolerance)
    value, (dx, dw) = go.value_and_grad(loss, (0, 1))(x, w)
    # The loss is linear in each argument.
    exact = float(np.sum(want.astype("f8") * c))
    for product in (value, np.sum(dx.astype("f8") * x), np.sum(dw.astype("f8") * w)):
        np.testing.assert_allclose(product, exact, rtol=tolerance, atol=100 * tolerance)
    t = rng.normal(size=w.shape).astype(dtype)
    along = by_loops(x, t, 0.0, (1, 1), ((1, 1), (2, 2)), (1, 1), 1)
    np.testing.assert_allclose(
        np.sum(dw.astype("f8") * t), np.sum(along.astype("f8") * c), tolerance, 100 * tolerance
    )


def test_memory_is_not_that_of_all_windows() -> None:
    x, w = np.ones((16, 8, 64, 64)), np.ones((8, 8, 5, 5))

    def loss(x: Any, w: Any) -> Any:
        return np.sum(nn.conv2d(x, w, padding=2) ** 2)

    forward = go.compile(lambda x, w: nn.conv2d(x, w, padding=2)).lower(x, w).memory()
    gradient = go.compile_grad(loss, argnums=(0, 1)).lower(x, w).memory()
    assert forward.arena <= x.nbytes // 4
    assert gradient.arena <= 3 * x.nbytes


POOLS: list[tuple[Callable[..., Any], str, int]] = [
    (nn.max_pool1d, "max", 1),
    (nn.max_pool2d, "max", 2),
    (nn.avg_pool1d, "avg", 1),
    (nn.avg_pool2d, "avg", 2),
]


@by_hypothesis(60)
@given(st.sampled_from(POOLS), st.data(), st.sampled_from(["f8", "f4"]))
def test_pools(row: tuple[Callable[..., Any], str, int], data: st.DataObject, dtype: str) -> None:
    pool, kind, spatial = row
    draw = data.draw
    window, stride = (tuple(draw(st.integers(1, 4)) for _ in range(spatial)) for _ in range(2))
    sizes = tuple(draw(st.integers(1, 7)) for _ in range(spatial))
    pads = []
    for size, k in zip(sizes, window, strict=True):
        low = draw(st.integers(0, k - 1))
        pads.append((low, max(draw(st.integers(0, k - 1)), k - size - low)))
    shape = (draw(st.integers(0, 2)), draw(st.integers(0, 2)), *sizes)
    # All different, that no maximum has a tie.
    x = generator(12).permutation(int(np.prod(shape))).reshape(shape).astype(dtype)
    got = pool(x, window, stride, tuple(pads))
    fill = -np.inf if kind == "max" else 0.0
    axes = tuple(range(2, x.ndim))
    for at, part in places(x, window, stride, tuple(pads), (1,) * spatial, fill):
        value = part.max(axis=axes) if kind == "max" else part.mean(axis=axes)
        np.testing.assert_allclose(got[(slice(None), slice(None), *at)], value, rtol=1e-6)
    assert got.dtype == x.dtype
    if dtype == "f8" and not np.isinf(got).any():
        assert go.gradcheck(lambda x: pool(x, window, stride, tuple(pads)), x, rtol=1e-5, atol=1e-6)


def test_the_derivative_of_equal_maxima_is_shared() -> None:
    x = np.zeros((1, 1, 2, 4))
    gradient = go.grad(lambda x: np.sum(nn.max_pool2d(x, 2)))(x)
    np.testing.assert_array_equal(gradient, np.full(x.shape, 0.25))


X, W = np.ones((2, 4, 5, 5)), np.ones((6, 4, 3, 3))
MISUSES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "rank": (
        lambda: nn.conv2d(X[0], W),
        errors.ShapeError,
        r"conv2d: x and w must have 4 dimensions, but have shapes \(4, 5, 5\) and \(6, 4, 3, 3\)",
    ),
    "features": (
        lambda: nn.conv2d(X[:, :3], W),
        errors.ShapeError,
        r"x has shape \(2, 3, 5, 5\) and w \(6, 4, 3, 3\), with groups=1",
    ),
    "groups": (
        lambda: nn.conv2d(X, W[:5, :2], groups=2),
        errors.ShapeError,
        r"w \(5, 2, 3, 3\), with groups=2",
    ),
    "no groups": (
        lambda: nn.conv2d(X, W, groups=0),
        errors.ArgumentError,
        "groups must be at least 1, but got 0",
    ),
    "large window": (
        lambda: nn.conv2d(X, W, dilation=(1, 3)),
        errors.ShapeError,
        r"windows of \(3, 7\) are larger than what x of shape \(2, 4, 5, 5\) has",
    ),
    "empty window": (
        lambda: nn.conv2d(X, W[:, :, :0]),
        errors.ShapeError,
        r"a window must have elements, but w has shape \(6, 4, 0, 3\)",
    ),
    "bias": (
        lambda: nn.conv2d(X, W, np.ones(4)),
        errors.ShapeError,
        r"b must have shape \(6,\).* but has \(4,\)",
    ),
    "stride": (
        lambda: nn.conv2d(X, W, stride=(1, 0)),
        errors.ArgumentError,
        "stride must be at least 1, but got 0",
    ),
    "huge padding": (
        lambda: nn.conv2d(X, W, padding=2**70),
        errors.ArgumentError,
        r"padding must be less than 2\*\*31, but got 1180591620717411303424",
    ),
    "strides": (
        lambda: nn.conv2d(X, W, stride=(1, 1, 1)),
        errors.ArgumentError,
        r"stride must be one integer or 2, but got \(1, 1, 1\)",
    ),
    "float": (
        lambda: nn.conv2d(X, W, dilation=1.5),
        errors.ArgumentTypeError,
        "dilation must be an integer, but got 1.5",
    ),
    "padding": (
        lambda: nn.conv2d(X, W, padding="SAME"),
        errors.ArgumentError,
        "padding must be 'same', 'valid' or integers, but got 'SAME'",
    ),
    "pair": (
        lambda: nn.conv2d(X, W, padding=((1, 2, 3), 1)),
        errors.ArgumentError,
        r"padding of a dimension must be an integer or a pair, but got \(1, 2, 3\)",
    ),
    "bools": (
        lambda: nn.conv2d(X > 0, W > 0),
        errors.DTypeError,
        "x and w must be numbers, but are bools",
    ),
    "transposed": (
        lambda: nn.conv_transpose2d(X, W),
        errors.ShapeError,
        r"x has shape \(2, 4, 5, 5\) and w \(6, 4, 3, 3\)",
    ),
    "transposed padding": (
        lambda: nn.conv_transpose1d(X[0], W[0], padding="full"),
        errors.ArgumentError,
        "conv_transpose1d: padding must be 'same', 'valid' or integers, but got 'full'",
    ),
    "pool of images": (
        lambda: nn.max_pool1d(X, 2),
        errors.ShapeError,
        r"max_pool1d: x must have 3 dimensions, but has shape \(2, 4, 5, 5\)",
    ),
    "output padding": (
        lambda: nn.conv_transpose2d(X, W[:4], output_padding=1),
        errors.ShapeError,
        r"output_padding \(1, 1\) must be less than the stride \(1, 1\)",
    ),
    "pool": (
        lambda: nn.max_pool2d(X, 6),
        errors.ShapeError,
        r"windows of \(6, 6\) are larger than what x of shape \(2, 4, 5, 5\) has",
    ),
    "pool of padding": (
        lambda: nn.max_pool2d(X, 2, padding=(0, 2)),
        go.errors.ShapeError,
        r"max_pool2d: a window may hold nothing but padding.* windows are \(2, 2\), the padding is "
        r"\(\(0, 0\), \(2, 2\)\)",
    ),
    "pool of padding at one end": (
        lambda: nn.max_pool1d(X[0], 2, 1, ((0, 3),)),
        go.errors.ShapeError,
        "max_pool1d: a window may hold nothing but padding",
    ),
    "pool of integers": (
        lambda: nn.avg_pool2d(np.ones((1, 1, 2, 2), int), 2),
        errors.DTypeError,
        "x must be of floats, but is of int64",
    ),
}


@pytest.mark.parametrize("name", MISUSES)
def test_misuse(name: str) -> None:
    call, kind, message = MISUSES[name]
    with pytest.raises(kind, match=message) as raised:
        call()
    assert __file__ in str(raised.value)
    with pytest.raises(kind, match=message):
        go.compile(lambda x: call() + x)(1.0)


def test_images_of_bytes() -> None:
    image = np.arange(X.size).reshape(X.shape).astype(np.uint8)
    result = nn.conv2d(image, W)
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, nn.conv2d(image.astype(np.float64), W))
    with pytest.raises(errors.DTypeError, match="x must be of floats, but is of uint8") as raised:
        nn.max_pool2d(image, 2)
    assert __file__ in str(raised.value)


# -- Batches whose size is known at run time only ----------------------------------------------


def test_any_number_of_images() -> None:
    """One code for batches of all sizes: of no tile of 32 images, of some, of one and more."""
    rng = generator(11)
    w, b, v = (rng.normal(size=shape) for shape in ((4, 2, 3, 2), 4, (4, 2, 2, 2)))
    pads = ((1, 0), (0, 1))

    def f(x: Any, w: Any) -> Any:
        y = nn.conv2d(x, w, b, stride=(2, 1), padding=pads)
        y = nn.max_pool2d(np.tanh(y), 2, stride=1)
        return nn.conv_transpose2d(nn.avg_pool2d(y, (1, 2)), v, stride=2)

    def by_places(x: Any, w: Any) -> Any:
        y = np.tanh(by_loops(x, w, b, (2, 1), pads, (1, 1), 1))
        y = np.maximum(y[:, :, 1:], y[:, :, :-1])
        y = np.maximum(y[..., 1:], y[..., :-1])
        y = (y[..., :-1:2] + y[..., 1::2]) / 2
        result = np.zeros((len(x), 2, 2 * y.shape[2], 2 * y.shape[3]))
        for i, j in np.ndindex(2, 2):
            result[:, :, i::2, j::2] = np.einsum("nchw,co->nohw", y, v[:, :, i, j])
        return result

    def loss(x: Any, w: Any) -> Any:
        return np.sum(np.sin(f(x, w)))

    compiled = go.compile(f, dynamic={"x": {0: "n"}})
    gradient = go.compile_grad(loss, argnums=(0, 1), dynamic={"x": {0: "n"}})
    for n in (3, 32, 70):
        x = rng.normal(size=(n, 2, 7, 6))
        np.testing.assert_allclose(compiled(x, w), by_places(x, w), rtol=1e-11, atol=1e-12)
        dx, dw = rng.normal(size=x.shape), rng.normal(size=w.shape)
        slope = sum(np.sum(g * d) for g, d in zip(gradient(x, w), (dx, dw), strict=True))
        step = 1e-6
        ends = [np.sum(np.sin(by_places(x + s * dx, w + s * dw))) for s in (step, -step)]
        np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * step), rtol=1e-5)
    assert compiled.cache_size() == gradient.cache_size() == 1


@pytest.mark.parametrize(
    "function", [lambda x: nn.conv2d(x, W), lambda x: nn.max_pool2d(x, 2)], ids=["conv", "pool"]
)
def test_images_of_unknown_height_are_refused(function: Callable[..., Any]) -> None:
    compiled = go.compile(function, dynamic={"x": {2: "n"}})
    with pytest.raises(errors.UnsupportedError, match=r"nn\.\w+2d is not supported on") as caught:
        compiled(X)
    assert caught.value.location is not None
    assert caught.value.location.file == __file__
