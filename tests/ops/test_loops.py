"""Five computations written as loops over numbers: the vectorised ones agree to 10⁻¹²."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_mmb as tm
import tinygrad_mmb.nn.functional as F  # noqa: N812

small = st.integers(1, 4)
seeds = st.integers(0, 2**32 - 1)


def normal(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


def assert_same(y, expected):
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=0, atol=1e-12)


def matmul_by_loops(a, b):
    (n, k), (_, m) = a.shape, b.shape
    y = np.zeros((n, m))
    for i in range(n):
        for j in range(m):
            for p in range(k):
                y[i, j] += a[i, p] * b[p, j]
    return y


@given(small, st.integers(0, 4), small, seeds)
def test_matmul_is_what_the_loops_say(n, k, m, seed):
    a, b = normal(seed, (n, k), (k, m))
    x, w = (tm.tensor(array, requires_grad=True) for array in (a, b))
    y = x @ w
    assert_same(y, matmul_by_loops(a, b))
    (g,) = normal(seed + 1, (n, m))
    y.backward(tm.from_numpy(g))
    assert_same(x.grad, matmul_by_loops(g, b.T))
    assert_same(w.grad, matmul_by_loops(a.T, g))


def cross_entropy_by_loops(z, classes):
    """The mean of -ln softmax(z)[n, tₙ], and its slope (softmax(z) - [k = tₙ]) / N."""
    n, c = z.shape
    loss, slope = 0.0, np.zeros((n, c))
    for i in range(n):
        total = 0.0
        for k in range(c):
            total += math.exp(z[i, k])
        loss -= math.log(math.exp(z[i, classes[i]]) / total) / n
        for k in range(c):
            slope[i, k] = (math.exp(z[i, k]) / total - (k == classes[i])) / n
    return loss, slope


@given(small, small, seeds)
def test_softmax_cross_entropy_is_what_the_loops_say(n, c, seed):
    (z,) = normal(seed, (n, c))
    classes = np.random.default_rng(seed).integers(c, size=n)
    logits = tm.tensor(z, requires_grad=True)
    loss = F.cross_entropy(logits, tm.from_numpy(classes))
    loss.backward()
    expected, slope = cross_entropy_by_loops(z, classes)
    assert_same(loss, expected)
    assert_same(logits.grad, slope)


def batch_norm_by_loops(x, weight, bias, eps):
    """Each channel of (N, C, L) with the mean and variance of its own numbers."""
    n, c, length = x.shape
    y, means, variances = np.zeros_like(x), np.zeros(c), np.zeros(c)
    for k in range(c):
        for i in range(n):
            for j in range(length):
                means[k] += x[i, k, j] / (n * length)
        for i in range(n):
            for j in range(length):
                variances[k] += (x[i, k, j] - means[k]) ** 2 / (n * length)
        for i in range(n):
            for j in range(length):
                y[i, k, j] = (x[i, k, j] - means[k]) / math.sqrt(variances[k] + eps)
                y[i, k, j] = y[i, k, j] * weight[k] + bias[k]
    return y, means, variances


@given(small, small, st.integers(2, 4), seeds)
def test_batch_norm_and_its_running_statistics_are_what_the_loops_say(n, c, length, seed):
    x, weight, bias = normal(seed, (n, c, length), (c,), (c,))
    mean, variance = tm.zeros(c, dtype=tm.float64), tm.ones(c, dtype=tm.float64)
    scale, shift = tm.from_numpy(weight), tm.from_numpy(bias)
    y = F.batch_norm(tm.from_numpy(x), mean, variance, scale, shift, True, 0.25, 1e-5)
    expected, means, variances = batch_norm_by_loops(x, weight, bias, 1e-5)
    assert_same(y, expected)
    assert_same(mean, 0.25 * means)
    m = n * length
    assert_same(variance, 0.75 + 0.25 * variances * m / (m - 1))


def windows(h, w, kernel, stride, padding, dilation):
    """(row, column, i, j, y, x) of each output, place in the kernel and place in the image."""
    rows = (h + 2 * padding - dilation * (kernel[0] - 1) - 1) // stride + 1
    columns = (w + 2 * padding - dilation * (kernel[1] - 1) - 1) // stride + 1
    for r in range(rows):
        for c in range(columns):
            for i in range(kernel[0]):
                for j in range(kernel[1]):
                    y, x = r * stride - padding + i * dilation, c * stride - padding + j * dilation
                    if 0 <= y < h and 0 <= x < w:
                        yield r, c, i, j, y, x


def conv2d_by_loops(x, weight, bias, stride, padding, dilation, groups, shape):
    """y[n, o] = Σ over the group's channels and the window, + bias[o]; the slopes of Σ y²/2."""
    (n, _, h, w), (outputs, inputs, *kernel) = x.shape, weight.shape
    y = np.zeros(shape) + bias[:, None, None]
    places = list(windows(h, w, kernel, stride, padding, dilation))
    channels = [(o, o // (outputs // groups) * inputs, k) for o in range(outputs)
                for k in range(inputs)]  # fmt: skip
    for b in range(n):
        for o, first, k in channels:
            for r, c, i, j, row, column in places:
                y[b, o, r, c] += x[b, first + k, row, column] * weight[o, k, i, j]
    to_x, to_weight = np.zeros_like(x), np.zeros_like(weight)
    for b in range(n):
        for o, first, k in channels:
            for r, c, i, j, row, column in places:
                to_x[b, first + k, row, column] += y[b, o, r, c] * weight[o, k, i, j]
                to_weight[o, k, i, j] += y[b, o, r, c] * x[b, first + k, row, column]
    return y, to_x, to_weight


@given(
    st.integers(1, 3), st.integers(0, 2), st.integers(1, 2), st.integers(1, 2), st.integers(1, 3),
    seeds,
)  # fmt: skip
def test_conv2d_is_what_the_loops_say(stride, padding, dilation, groups, kernel, seed):
    x, weight, bias = normal(
        seed, (2, 2 * groups, 5, 6), (2 * groups, 2, kernel, 2), (2 * groups,)
    )  # fmt: skip
    image, filters = (tm.tensor(array, requires_grad=True) for array in (x, weight))
    y = F.conv2d(image, filters, tm.from_numpy(bias), stride, padding, dilation, groups)
    (y * y / 2).sum().backward()
    expected, to_x, to_weight = conv2d_by_loops(
        x, weight, bias, stride, padding, dilation, groups, y.shape
    )
    assert_same(y, expected)
    np.testing.assert_allclose(image.grad.numpy(), to_x, rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(filters.grad.numpy(), to_weight, rtol=1e-12, atol=1e-11)
    assert y.is_contiguous()


def max_pool2d_by_loops(x, kernel, stride, padding, dilation, shape):
    """The largest number of each window and its place in the image, counted row by row."""
    n, channels, h, w = x.shape
    y, index = np.full(shape, -math.inf), np.zeros(shape, dtype=np.int64)
    for b in range(n):
        for k in range(channels):
            for r, c, _, _, row, column in windows(h, w, kernel, stride, padding, dilation):
                if x[b, k, row, column] > y[b, k, r, c]:
                    y[b, k, r, c] = x[b, k, row, column]
                    index[b, k, r, c] = row * w + column
    return y, index


@given(st.integers(2, 3), st.integers(1, 3), st.integers(0, 1), st.integers(1, 2), seeds)
def test_max_pool2d_is_what_the_loops_say(kernel, stride, padding, dilation, seed):
    (x,) = normal(seed, (2, 2, 5, 6))
    image = tm.tensor(x, requires_grad=True)
    y, index = F.max_pool2d(image, kernel, stride, padding, dilation, return_indices=True)
    expected, places = max_pool2d_by_loops(x, (kernel, kernel), stride, padding, dilation, y.shape)
    assert_same(y, expected)
    np.testing.assert_array_equal(index.numpy(), places)
    y.sum().backward()
    counts = np.zeros_like(x)
    for b, k, r, c in np.ndindex(*y.shape):
        row, column = divmod(places[b, k, r, c], x.shape[3])
        counts[b, k, row, column] += 1
    assert_same(image.grad, counts)
