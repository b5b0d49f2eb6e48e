"""The C++ twins that work along rows: edges of shapes, every layout, any number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.cpu.any_threads import assert_same_bits
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.cpu.native import native
from tinygrad_mmb.nn import functional as F  # noqa: N812

pytestmark = pytest.mark.skipif(native is None, reason="no C++ here")

DTYPES = st.sampled_from([np.float32, np.float64])
SIZES = st.sampled_from([1, 2, 3, 7, 8, 13, 16, 17, 31, 32, 33, 64, 65, 127, 257])
FEW = st.integers(1, 9)
# Sums of a few hundred numbers of size 1, in another order than NumPy's.
TOLERANCE = {np.dtype(np.float32): 3e-5, np.dtype(np.float64): 1e-12}


def numbers(shape, dtype, seed=0, layout="rows"):
    """Random numbers of a shape, as they lie in practice."""
    x = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    if layout == "reversed":
        return np.ascontiguousarray(x.T).T
    return x.repeat(2, -1)[..., ::2] if layout == "gaps" else x


def computed(function, arrays, backend):
    """(value, gradients of all arrays) on one backend; ∂L/∂value is cos 0, cos 1, ..."""
    inputs = [None if a is None else tm.from_numpy(a).requires_grad_() for a in arrays]
    with tm.use_kernels(backend):
        y = function(*inputs)
        g = np.cos(np.arange(y.numel())).reshape(y.shape)
        y.backward(tm.tensor(g, dtype=y.dtype))
    return [y.detach().numpy(), *[x.grad.numpy() for x in inputs if x is not None]]


def agree(function, *arrays):
    """The C++ computes what NumPy computes, in the same dtype."""
    found = computed(function, arrays, "cpu")
    for f, e in zip(found, computed(function, arrays, registry.REFERENCE), strict=True):
        assert (f.dtype, f.shape) == (e.dtype, e.shape)
        size = max(1.0, float(np.abs(e).max(initial=0.0)))
        np.testing.assert_allclose(f, e, rtol=0, atol=TOLERANCE[e.dtype] * size)


def ran(key):
    return sum(twin.calls for twin in registry.twins(key) if twin.backend == "cpu")


LAYOUTS = st.sampled_from(["rows", "reversed", "gaps"])
ALONG = {"Softmax": tm.softmax, "LogSoftmax": tm.log_softmax, "LogSumExp": tm.logsumexp}


@pytest.mark.parametrize("key", ALONG)
@given(
    outer=FEW, n=SIZES, inner=st.sampled_from([1, 1, 2, 5, 17, 40]), dtype=DTYPES, layout=LAYOUTS
)
def test_along_any_dimension_of_any_size(key, outer, n, inner, dtype, layout):
    before = ran(key)
    agree(lambda x: ALONG[key](x, 1), 3 * numbers((outer, n, inner), dtype, layout=layout))
    assert ran(key) > before


@pytest.mark.parametrize("key", ALONG)
@pytest.mark.parametrize("inner", [1, 3])
@pytest.mark.parametrize(
    "values",
    [
        [1e30, -1e30, 0.0],
        [np.inf, 1.0, 2.0],
        [-np.inf, 1.0, 2.0],
        [-np.inf, -np.inf, -np.inf],
        [np.nan, 1.0, 2.0],
        [3.0, 3.0, 3.0],
        [-1e-42, 0.0, 1e-42],
    ],
)
def test_extreme_numbers_give_what_numpy_gives(key, inner, values):
    x = np.repeat(np.array(values, np.float32)[None, :, None], inner, 2)
    with tm.use_kernels(registry.REFERENCE):
        expected = ALONG[key](x, 1)
    with tm.use_kernels("cpu", strict=True):
        found = ALONG[key](x, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


EXTREMES = [np.inf, -np.inf, np.nan, 1e15, -1e15, 1e-42, -0.0, 1.0, -2.0]  # squares are numbers


def extreme_numbers(shape, dtype, seed):
    """Few of EXTREMES, drawn anew for every array, among ordinary numbers."""
    rng = np.random.default_rng(seed)
    few = rng.choice(EXTREMES, rng.integers(1, 4))
    return np.where(rng.random(shape) < rng.choice([0.02, 0.3, 1.0]), rng.choice(few, shape),
                    rng.standard_normal(shape)).astype(dtype)  # fmt: skip


NORMALISED = {
    **{key: lambda x, f=f: f(x, 1) for key, f in ALONG.items()},
    "CrossEntropy": lambda x: F.cross_entropy(
        x, tm.zeros(x.shape[0], x.shape[2], dtype=tm.int64), reduction="none"
    ),
    "BatchCrossEntropy": lambda x: F.cross_entropy(
        x[:, :, 0], tm.zeros(x.shape[0], dtype=tm.int64), reduction="sum"
    ),
    "LayerNorm": lambda x: F.layer_norm(x, (x.shape[2],), eps=1e-2),
    "BatchNorm": lambda x: F.batch_norm(x, None, None, training=True, eps=1e-2),
}


@pytest.mark.parametrize("key", NORMALISED)
@given(outer=st.integers(2, 9), n=SIZES, inner=st.sampled_from([1, 2, 17]), dtype=DTYPES,
       seed=st.integers(0, 2**31))  # fmt: skip
def test_what_is_not_finite_spreads_as_in_numpy(key, outer, n, inner, dtype, seed):
    x = extreme_numbers((outer, n, inner), dtype, seed)
    with np.errstate(all="ignore"):
        found, expected = (
            computed(NORMALISED[key], [x], backend) for backend in ("cpu", registry.REFERENCE)
        )
    for f, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(f, e, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("shape", [(40, 5), (4, 5, 3, 3)])
@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_the_mean_of_a_channel_with_infinity_is_infinite(shape, place, value):
    x = numbers(shape, np.float32)
    x[(place, 1, *[0] * (len(shape) - 2))] = value
    moved = {}
    for backend in ("cpu", registry.REFERENCE):
        mean, variance = tm.zeros(5), tm.ones(5)
        with tm.use_kernels(backend), np.errstate(invalid="ignore"):
            F.batch_norm(tm.from_numpy(x), mean, variance, training=True, momentum=1.0)
        moved[backend] = mean.numpy(), variance.numpy()
    for found, expected in zip(moved["cpu"], moved[registry.REFERENCE], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(moved["cpu"][0][1], np.float32(value))


@given(n=SIZES, classes=SIZES, dtype=DTYPES, weighted=st.booleans(), ignored=st.booleans(),
       reduction=st.sampled_from(["mean", "sum"]), layout=LAYOUTS)  # fmt: skip
def test_cross_entropy_of_any_batch(n, classes, dtype, weighted, ignored, reduction, layout):
    before = ran("BatchCrossEntropy")
    rng = np.random.default_rng(1)
    t = tm.tensor(rng.integers(0, classes, n))
    options = {"reduction": reduction, "ignore_index": int(t[0]) if ignored and n > 1 else -100}
    if ignored and bool((t == options["ignore_index"]).all()):
        return  # 0 / 0, which has a test of its own
    w = tm.tensor(rng.uniform(0.5, 2.0, classes).astype(dtype)) if weighted else None
    agree(
        lambda x: 3.0 * F.cross_entropy(x, t, w, **options),
        4 * numbers((n, classes), dtype, 0, layout),
    )
    assert ran("BatchCrossEntropy") > before


def test_a_gradient_of_cross_entropy_that_is_too_large_for_the_caches():
    t = tm.tensor(np.random.default_rng(1).integers(0, 2101, 523))
    agree(lambda x: F.cross_entropy(x, t), numbers((523, 2101), np.float32))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_digit_of_such_a_gradient_next_to_rows_that_are_left_out(dtype):
    # 2101 numbers to a row: each begins elsewhere in a line of the cache
    x, t = numbers((523, 2101), dtype), np.random.default_rng(1).integers(0, 2101, 523)
    left_out = np.random.default_rng(2).random(523) < 0.4
    e = np.exp(x.astype(np.float64))
    expected = e / e.sum(-1, keepdims=True)
    expected[np.arange(523), t] -= 1.0
    expected[left_out] = 0.0
    t[left_out] = -100
    variable = tm.from_numpy(x).requires_grad_()
    with tm.use_kernels("cpu", strict=True):
        F.cross_entropy(variable, tm.tensor(t), reduction="sum").backward()
    # x less the largest, up to 10, is rounded once, and its exponential; sums and a division follow
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(variable.grad.numpy(), expected, rtol=16 * eps, atol=0)


def test_a_batch_of_which_nothing_counts_has_a_loss_of_nan_and_no_gradient():
    x = tm.randn(3, 4).requires_grad_()
    loss = F.cross_entropy(x, tm.tensor([7, 7, 7]), ignore_index=7)
    loss.backward()
    assert np.isnan(loss.item())
    np.testing.assert_array_equal(x.grad.numpy(), np.zeros((3, 4)))


def test_a_second_backward_of_cross_entropy_gives_the_same_gradient_again():
    x, t = tm.randn(5, 20).requires_grad_(), tm.tensor([0, 3, 19, 2, 2])
    loss = F.cross_entropy(x, t) * 2.0
    loss.backward(retain_graph=True)
    once = x.grad.numpy().copy()
    loss.backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * once)


def test_cross_entropy_writes_no_gradient_where_none_is_wanted():
    with tm.use_kernels("cpu", strict=True):
        x, t = tm.randn(4, 9), tm.tensor([0, 8, 1, 1])
        loss = F.cross_entropy(x, t)
        assert not loss.requires_grad
        with tm.no_grad():
            same = F.cross_entropy(x.clone().requires_grad_(), t)
    np.testing.assert_array_equal(loss.numpy(), same.numpy())


def test_second_derivatives_of_cross_entropy_come_from_its_definition():
    t = tm.tensor([2, 0, 1])
    x = tm.randn(3, 3, dtype=tm.float64).requires_grad_()
    assert tm.autograd.gradgradcheck(lambda v: F.cross_entropy(v, t), (x,))


@pytest.mark.parametrize("wrong", [-1, 4])
def test_a_class_that_is_not_there_is_named_by_the_kernel_too(wrong):
    with pytest.raises(
        IndexError, match=rf"cross_entropy of logits \(2, 4\).*target {wrong} is out"
    ):
        F.cross_entropy(tm.randn(2, 4), tm.tensor([0, wrong]))


@given(n=st.integers(2, 300), channels=SIZES, dtype=DTYPES, weighted=st.booleans(), layout=LAYOUTS)
def test_batch_norm_of_columns(n, channels, dtype, weighted, layout):
    before = ran("BatchNorm")
    x, w = numbers((n, channels), dtype, 0, layout), numbers(channels, dtype, 1)
    factors = (w, 2 * w) if weighted else (None, None)
    agree(lambda x, w, b: F.batch_norm(x, None, None, w, b, True, eps=1e-2), x, *factors)
    assert ran("BatchNorm") > before


@given(n=st.integers(2, 5), channels=FEW, h=FEW, w=SIZES, dtype=DTYPES,
       layout=st.sampled_from(["rows", "reversed", "gaps", "channels last"]))  # fmt: skip
def test_batch_norm_of_images(n, channels, h, w, dtype, layout):
    x = numbers((n, channels, h, w), dtype, 0, layout)
    if layout == "channels last":
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    factors = numbers(channels, dtype, 1), numbers(channels, dtype, 2)
    agree(lambda x, w, b: F.batch_norm(x, None, None, w, b, True, eps=1e-2), x, *factors)


@pytest.mark.parametrize("shape", [(1025, 300), (1024, 272), (40, 8, 30, 31), (41, 9, 28, 28)])
def test_batch_norm_of_more_than_the_caches_keep(shape):
    x, w = numbers(shape, np.float32), numbers(shape[1], np.float32, 1)
    agree(lambda x, w, b: F.batch_norm(x, None, None, w, b, True), x, w, 2 * w)


@pytest.mark.parametrize("shape", [(300, 5), (7, 5, 9, 9)])
def test_batch_norm_keeps_its_digits_far_from_0_and_with_a_first_number_unlike_the_rest(shape):
    x = np.random.default_rng(0).standard_normal(shape) + 1e4
    x[0] += 1e6
    x = x.astype(np.float32)
    y = F.batch_norm(tm.tensor(x), None, None, training=True).numpy()
    wide, dims = x.astype(np.float64), (0, *range(2, x.ndim))
    exact = (wide - wide.mean(dims, keepdims=True)) / wide.std(dims, keepdims=True)
    np.testing.assert_allclose(y, exact, atol=1e-4)


@pytest.mark.parametrize("shape", [(20_000, 3), (2000, 3, 2, 2)])
def test_batch_norm_keeps_its_digits_where_the_first_numbers_are_far_from_the_mean(shape):
    x = numbers(shape, np.float32)
    x[: 8 if len(shape) == 2 else 1] += 1e4  # 40 standard deviations: a second pass is due
    y = F.batch_norm(tm.tensor(x), None, None, training=True).numpy()
    wide, dims = x.astype(np.float64), (0, *range(2, x.ndim))
    exact = (wide - wide.mean(dims, keepdims=True)) / wide.std(dims, keepdims=True)
    np.testing.assert_allclose(y, exact, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("shape", [(300, 5), (6, 5, 9, 9)])
@pytest.mark.parametrize("value", [0.0, 0.1, 12345.678])
def test_batch_norm_of_a_constant_is_the_bias(shape, value):
    x = tm.tensor(np.full(shape, value, np.float32))
    y = F.batch_norm(x, None, None, tm.ones(5), tm.full((5,), 3.0), True)
    np.testing.assert_allclose(y.numpy(), np.full(shape, 3.0), atol=0.3 if value > 1e4 else 1e-4)


def test_batch_norm_moves_the_running_statistics():
    x = tm.tensor(numbers((64, 20, 6), np.float32) + 2)
    mean, variance = tm.zeros(20), tm.ones(20)
    F.batch_norm(x, mean, variance, training=True, momentum=0.25)
    wide = x.numpy().astype(np.float64)
    np.testing.assert_allclose(mean.numpy(), 0.25 * wide.mean((0, 2)), rtol=1e-5)
    np.testing.assert_allclose(variance.numpy(), 0.75 + 0.25 * wide.var((0, 2), ddof=1), rtol=1e-5)


@given(rows=SIZES, cols=SIZES, dtype=DTYPES, weighted=st.booleans(), layout=LAYOUTS)
def test_layer_norm_of_any_rows(rows, cols, dtype, weighted, layout):
    before = ran("LayerNorm")
    x, w = numbers((rows, cols), dtype, 0, layout), numbers(cols, dtype, 1)
    factors = (w, 2 * w) if weighted else (None, None)
    agree(lambda x, w, b: F.layer_norm(x, (cols,), w, b, eps=1e-2), x, *factors)
    assert ran("LayerNorm") > before


def test_rows_and_channels_of_nothing_are_refused():
    some, none = np.ones(6, np.float32), np.ones(0, np.float32)
    with pytest.raises(ValueError, match="not empty"):
        native.layer_norm(some, none, none, some, None, None, 1e-5)
    with pytest.raises(ValueError, match="sizes do not fit"):
        native.layer_norm_backward(some, None, some, some, None, none, none, 1)
    with pytest.raises(ValueError, match="sizes do not fit"):
        native.layer_norm_backward(some, None, some, some, None, some, some, 0)
    with pytest.raises(ValueError, match="not empty"):
        native.batch_norm(some, none, none, none, some, None, None, 0, 1, 1e-5)


ACTIVATIONS = {
    "Exp": tm.exp,
    "Sigmoid": tm.sigmoid,
    "Erf": tm.erf,
    "Silu": F.silu,
    "Elu": lambda x: F.elu(x, 0.7),
    "Softplus": lambda x: F.softplus(x, 1.5, 4.0),
    "Gelu": F.gelu,
    "Gelu of tanh": lambda x: F.gelu(x, approximate="tanh"),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(n=st.integers(2048, 2120), dtype=DTYPES, layout=LAYOUTS)
def test_activations(name, n, dtype, layout):
    key, before = name.split()[0], ran(name.split()[0])
    agree(ACTIVATIONS[name], 3 * numbers((n, 2), dtype, 0, layout))
    assert ran(key) > before


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_extreme_numbers(name):
    x = np.zeros(3000, np.float32)
    x[:9] = [np.inf, -np.inf, np.nan, 100, -100, 1e30, -1e30, 1e-42, -0.0]
    with tm.use_kernels(registry.REFERENCE), np.errstate(all="ignore"):
        expected = ACTIVATIONS[name](x)
    with tm.use_kernels("cpu", strict=True):
        found = ACTIVATIONS[name](x)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-37)


@given(n=st.integers(1, 200), rows=SIZES, cols=SIZES, dtype=DTYPES,
       index=st.sampled_from([np.int64, np.int32]), options=st.sampled_from(
           [{}, {"padding_idx": 0}, {"scale_grad_by_freq": True}]))  # fmt: skip
def test_embedding_with_any_indices(n, rows, cols, dtype, index, options):
    before = ran("Rows")
    places = tm.tensor(np.random.default_rng(3).integers(0, rows, n).astype(index))
    agree(lambda weight: F.embedding(places, weight, **options), numbers((rows, cols), dtype))
    assert ran("Rows") > before


@given(
    n=st.integers(1, 100),
    p=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    dtype=DTYPES,
    seed=st.integers(0, 2**63),
)
def test_dropout_drops_what_the_reference_drops(n, p, dtype, seed):
    def drop(x):
        return F.dropout(x, p, generator=tm.Generator().manual_seed(seed))

    before = ran("Dropout")
    agree(drop, numbers((n, 3), dtype))
    assert (ran("Dropout") > before) is (p > 0.0)  # 0 leaves x as it is


def test_the_bits_do_not_depend_on_the_number_of_threads():
    x = numbers((300, 1000), np.float32)
    t = tm.tensor(np.random.default_rng(0).integers(0, 1000, 300))
    places = tm.tensor(np.random.default_rng(0).integers(0, 300, 900))
    w = numbers(1000, np.float32, 1)
    functions = {
        "softmax": (lambda x: tm.softmax(x, 1), x),
        "along columns": (lambda x: tm.log_softmax(x, 0), x),
        "logsumexp": (lambda x: tm.logsumexp(x, 1), x),
        "cross_entropy": (lambda x: F.cross_entropy(x, t), x),
        "batch_norm": (lambda x, w: F.batch_norm(x, None, None, w, training=True), x, w),
        "of images": (
            lambda x: F.batch_norm(x, None, None, training=True),
            x.reshape(10, 30, 1000),
        ),
        "layer_norm": (lambda x, w: F.layer_norm(x, (1000,), w), x, w),
        "gelu": (F.gelu, x),
        "embedding": (lambda x: F.embedding(places, x), x),
    }
    for function, *arrays in functions.values():
        assert_same_bits(lambda f=function, a=arrays: computed(f, a, "cpu"))
