"""Normalisation, dropout, embedding, attention: properties, known values, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_mmb as tm
import tinygrad_mmb.nn.functional as F  # noqa: N812
from tinygrad_mmb import nn


def test_batch_norm_gives_mean_0_and_variance_just_below_1(rng):
    x = rng.standard_normal((50, 3)) * 4 + 2
    y = F.batch_norm(tm.from_numpy(x), None, None, training=True).numpy()
    np.testing.assert_allclose(y.mean(0), 0.0, atol=1e-12)
    np.testing.assert_allclose(y.var(0), x.var(0) / (x.var(0) + 1e-5), rtol=1e-10)


def test_running_statistics_move_with_the_unbiased_variance(rng):
    x = rng.standard_normal((10, 2))
    mean, var = tm.zeros(2, dtype=tm.float64), tm.ones(2, dtype=tm.float64)
    F.batch_norm(tm.from_numpy(x), mean, var, training=True, momentum=0.25)
    np.testing.assert_allclose(mean.numpy(), 0.25 * x.mean(0))
    np.testing.assert_allclose(var.numpy(), 0.75 + 0.25 * x.var(0, ddof=1))


def test_momentum_none_averages_all_batches(rng):
    layer, xs = nn.BatchNorm1d(2, momentum=None).double(), rng.standard_normal((4, 8, 2))
    for x in xs:
        layer(tm.from_numpy(x))
    np.testing.assert_allclose(layer.running_mean.numpy(), xs.mean((0, 1)), atol=1e-12)
    assert layer.num_batches_tracked.item() == 4


def test_in_evaluation_a_sample_does_not_see_its_companions(rng):
    layer, x = nn.BatchNorm1d(2), tm.randn(8, 2)
    layer(x)
    before = layer.running_mean.numpy().copy()
    layer.eval()
    np.testing.assert_allclose(layer(x)[:1].detach().numpy(), layer(x[:1]).detach().numpy())
    np.testing.assert_array_equal(layer.running_mean.numpy(), before)


def test_a_constant_channel_gives_the_bias_and_not_nan():
    bias = tm.tensor([3.0])
    y = F.batch_norm(tm.full((4, 1), 7.0), None, None, None, bias, training=True)
    np.testing.assert_array_equal(y.numpy(), 3.0)


def test_layer_norm_gives_each_sample_mean_0_and_variance_1(rng):
    x = tm.from_numpy(rng.standard_normal((5, 40)) * 3 + 1)
    y = F.layer_norm(x, (40,)).numpy()
    np.testing.assert_allclose(y.mean(1), 0.0, atol=1e-12)
    np.testing.assert_allclose(y.var(1), 1.0, rtol=1e-4)
    np.testing.assert_allclose(F.layer_norm(x[:1], (40,)).numpy(), y[:1])


def test_half_precision_does_not_overflow_in_the_squares():
    y = F.layer_norm(tm.tensor([[1000.0, -1000.0]], dtype=tm.float16), (2,))
    np.testing.assert_array_equal(y.numpy(), np.float16([[1.0, -1.0]]))


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_dropout_keeps_the_mean_and_scales_what_stays(p):
    y = F.dropout(tm.ones(100_000), p).numpy()
    assert set(np.unique(y)) == {0.0, np.float32(1 / (1 - p))}
    assert y.mean() == pytest.approx(1.0, abs=0.02)


def test_dropout_of_channels_drops_them_whole():
    y = F.dropout2d(tm.ones(20, 10, 3, 3)).numpy()
    assert (y.reshape(200, 9) == y[..., 0, 0].reshape(200, 1)).all() and 0.0 in y
    y = F.dropout1d(tm.ones(20, 10, 3)).numpy()
    assert (y == y[..., :1]).all()


def test_dropout_of_everything_and_of_nothing():
    np.testing.assert_array_equal(F.dropout(tm.ones(3), 1.0).numpy(), 0.0)
    np.testing.assert_array_equal(F.dropout(tm.ones(3), 0.0).numpy(), 1.0)
    x = tm.ones(3)
    assert F.dropout(x, training=False) is x
    generator = tm.Generator().manual_seed(4)
    assert F.dropout(x, 0.0, generator=generator) is x  # as in PyTorch; and nothing was drawn:
    first = tm.rand(3, generator=generator)
    assert tm.equal(first, tm.rand(3, generator=tm.Generator().manual_seed(4)))
    assert F.dropout(x, 1.0, inplace=True) is x and x.sum().item() == 0.0


def test_the_gradient_of_dropout_is_its_mask():
    x = tm.ones(1000, requires_grad=True)
    y = F.dropout(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())


def test_the_same_seed_drops_the_same():
    tm.manual_seed(5)
    a = F.dropout(tm.ones(100)).numpy()
    tm.manual_seed(5)
    np.testing.assert_array_equal(a, F.dropout(tm.ones(100)).numpy())


def test_the_lectures_words_are_looked_up():
    table = tm.tensor([[0.1, 0.3], [-0.4, 0.3], [0.9, -1.0], [0.7, 0.4]])
    for words, vector in (
        ([3, 1, 2], [0.7, 0.4, -0.4, 0.3, 0.9, -1.0]),  # as printed: "how you ok"
        ([3, 0, 1], [0.7, 0.4, 0.1, 0.3, -0.4, 0.3]),  # "How are you" of the lecture's own table
    ):
        y = F.embedding(tm.tensor(words), table).reshape(-1)
        np.testing.assert_array_equal(y.numpy(), np.float32(vector))


def test_repeated_indices_add_their_gradients_and_padding_gets_none():
    table = tm.zeros(3, 2, requires_grad=True)
    F.embedding(tm.tensor([1, 1, 2]), table, padding_idx=2).sum().backward()
    np.testing.assert_array_equal(table.grad.numpy(), [[0, 0], [2, 2], [0, 0]])


def test_an_embedding_is_one_hot_times_the_table(rng):
    table, index = tm.from_numpy(rng.standard_normal((5, 3))), tm.tensor([[4, 0], [1, 1]])
    np.testing.assert_array_equal(
        F.embedding(index, table).numpy(), (F.one_hot(index, 5).double() @ table).numpy()
    )


def test_one_hot_and_argmax_undo_each_other():
    t = tm.tensor([[0, 3], [2, 1]])
    assert F.one_hot(t).shape == (2, 2, 4) and F.one_hot(t).dtype == tm.int64
    np.testing.assert_array_equal(F.one_hot(t).argmax(-1).numpy(), t.numpy())


def test_attention_is_a_weighted_mean_of_the_values(rng):
    q, k = (tm.from_numpy(rng.standard_normal((2, 4, 3))) for _ in "qk")
    y = F.scaled_dot_product_attention(q, k, tm.ones(2, 4, 1, dtype=tm.float64))
    np.testing.assert_allclose(y.numpy(), 1.0, atol=1e-12)
    w = tm.softmax(q @ k.transpose(-2, -1) / math.sqrt(3), -1)
    v = tm.from_numpy(rng.standard_normal((2, 4, 5)))
    np.testing.assert_allclose(
        F.scaled_dot_product_attention(q, k, v).numpy(), (w @ v).numpy(), atol=1e-12
    )


def test_causal_attention_sees_no_later_key_and_an_empty_row_gives_zeros(rng):
    q, k, v = (tm.from_numpy(rng.standard_normal((3, 3))) for _ in "qkv")
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    np.testing.assert_allclose(y[0].numpy(), v[0].numpy())
    nothing = tm.zeros(3, 3).bool()
    np.testing.assert_array_equal(F.scaled_dot_product_attention(q, k, v, nothing).numpy(), 0.0)


def test_attention_is_differentiable_twice(rng):
    q, k, v = (tm.tensor(rng.standard_normal((2, 3, 2)), requires_grad=True) for _ in "qkv")
    mask = tm.tensor([[True, False, True], [False, False, False], [True, True, True]])

    def attend(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, mask)

    tm.autograd.gradcheck(attend, (q, k, v))
    tm.autograd.gradgradcheck(attend, (q, k, v), atol=1e-4)


X = tm.ones(2, 3)
LONG = tm.tensor([0, 1])


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: F.batch_norm(X[:1], None, None, training=True), ValueError, "more than 1 value"),
        (lambda: F.batch_norm(X, None, None), RuntimeError, "running_mean must be defined"),
        (lambda: F.batch_norm(X, tm.ones(4), tm.ones(3)), RuntimeError, "should contain 3"),
        (lambda: F.batch_norm(X, tm.ones(3), None, training=True), ValueError, "both be None"),
        (lambda: F.batch_norm(X, None, None, training=True, eps=0.0), ValueError, "positive"),
        (lambda: F.batch_norm(X, None, None, training=True, momentum=None), TypeError, "float"),
        (lambda: F.batch_norm(X.double(), tm.ones(3), tm.ones(3)), RuntimeError, "mixed dtypes"),
        (lambda: F.layer_norm(X, 3), TypeError, r"write \(3,\)"),
        (lambda: F.layer_norm(X, ()), RuntimeError, "at least one element"),
        (lambda: F.layer_norm(X, (4,)), RuntimeError, r"\[\*, 4\]"),
        (lambda: F.layer_norm(X, (3,), tm.ones(2)), RuntimeError, "expected weight of that shape"),
        (lambda: F.layer_norm(X.long(), (3,)), NotImplementedError, "int64"),
        (lambda: F.dropout(X, 2.0), ValueError, "between 0 and 1"),
        (lambda: F.alpha_dropout(X, -1.0, True), ValueError, "between 0 and 1"),
        (lambda: F.dropout(LONG), RuntimeError, "floating dtype"),
        (lambda: F.dropout1d(tm.ones(1)), RuntimeError, "2D .* or 3D"),
        (lambda: F.embedding(tm.tensor([3]), X), IndexError, "index 3 is out of range"),
        (lambda: F.embedding(tm.tensor([-1]), X), IndexError, "index -1"),
        (lambda: F.embedding(X, X), RuntimeError, "int64 or int32"),
        (lambda: F.embedding(LONG, tm.ones(3)), RuntimeError, "2-D"),
        (lambda: F.embedding(LONG, X, padding_idx=2), AssertionError, "padding_idx=2"),
        (lambda: F.embedding(LONG, X, sparse=True), NotImplementedError, "sparse"),
        (lambda: F.one_hot(X), RuntimeError, "int64"),
        (lambda: F.one_hot(LONG, 1), RuntimeError, "smaller than num_classes=1"),
        (lambda: F.one_hot(LONG - 1), RuntimeError, "non-negative"),
        (lambda: F.one_hot(LONG[:0]), RuntimeError, "empty tensor"),
        (
            lambda: F.scaled_dot_product_attention(X, X, X, X, is_causal=True),
            RuntimeError,
            "causal",
        ),
        (lambda: F.scaled_dot_product_attention(X, X.double(), X), RuntimeError, "one dtype"),
        (lambda: F.scaled_dot_product_attention(X[0], X, X), RuntimeError, "2 dimensional"),
        (lambda: F.scaled_dot_product_attention(X, X, X, dropout_p=2.0), RuntimeError, "0 and 1"),
    ],
)
def test_misuse_is_refused_with_pytorchs_error_and_a_way_out(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_dropout2d_of_another_number_of_dimensions_warns():
    with pytest.warns(UserWarning, match="expected \\(N, C, H, W\\)"):
        F.dropout2d(tm.ones(2, 3, 4))


@pytest.mark.parametrize("classes", [1.5, True, "3"])
def test_the_number_of_classes_of_one_hot_is_an_int(classes):
    with pytest.raises(TypeError, match="'num_classes' must be int"):
        F.one_hot(tm.tensor([0, 1]), classes)
