"""The memory of a training step: closed forms, and what Python really holds."""

import tracemalloc

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb import nn
from tinygrad_mmb.bench.memory import MemoryEstimate, in_words, memory_estimate
from tinygrad_mmb.bench.padding import pad_logits, pad_to_multiple


def mlp():
    return nn.Sequential(
        nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.Tanh(), nn.Linear(256, 10)
    )


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 13 * 13, 10),
    )


def loss(y):
    return nn.functional.cross_entropy(y, tm.zeros(y.shape[0], dtype=tm.int64))


def test_adam_in_float32_takes_16_bytes_for_each_parameter():
    model = mlp()
    n = sum(p.numel() for p in model.parameters())
    found = memory_estimate(
        model, lambda k: tm.randn(k, 64), loss, tm.optim.Adam(model.parameters())
    )
    assert found.parameters + found.gradients + found.optimizer_state == 16 * n


@pytest.mark.parametrize(("optimizer", "words"), [("SGD", 2), ("Adagrad", 3), ("RMSprop", 3)])
def test_other_optimizers_keep_what_they_keep(optimizer, words):
    model = mlp()
    n = sum(p.numel() for p in model.parameters())
    made = getattr(tm.optim, optimizer)(model.parameters(), lr=0.1)
    found = memory_estimate(model, lambda k: tm.randn(k, 64), loss, made)
    assert found.parameters + found.gradients + found.optimizer_state == 4 * words * n


def test_frozen_parameters_have_no_gradient():
    model = mlp()
    for p in model[0].parameters():
        p.requires_grad_(False)
    found = memory_estimate(model, lambda k: tm.randn(k, 64), loss)
    assert found.gradients == found.parameters - 4 * (64 * 256 + 256)


@pytest.mark.parametrize(("make", "shape"), [(mlp, (64,)), (cnn, (1, 28, 28))])
def test_the_estimate_is_what_python_holds_after_a_forward_pass(make, shape):
    found = memory_estimate(make(), lambda k: tm.randn(k, *shape), loss)
    for n in (100, 400):
        tracemalloc.start()
        model = make()
        held = loss(model(tm.randn(n, *shape)))
        measured, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        del held, model
        expected = found.total(n) - found.gradients
        assert measured == pytest.approx(expected, rel=0.2)


def test_memory_grows_linearly_with_the_batch():
    found = memory_estimate(mlp(), lambda k: tm.randn(k, 64), loss)
    steps = np.diff([found.total(n) for n in (0, 10, 20, 30)])
    np.testing.assert_allclose(steps, steps[0], rtol=1e-6)


def test_the_largest_batch_fits_and_one_more_does_not():
    found = MemoryEstimate(1000, 1000, 2000, 0, 0, 100.0)
    assert found.largest_batch(5000) == 10
    assert found.total(10) <= 5000 < found.total(11)
    sizes = [found.largest_batch(m) for m in range(0, 20_000, 37)]
    assert sizes == sorted(sizes)
    assert found.largest_batch(3999) == 0


def test_questions_without_an_answer_are_refused():
    found = MemoryEstimate(1000, 0, 0, 0, 0, 0.0)
    with pytest.raises(ValueError, match="any batch fits"):
        found.largest_batch(5000)
    with pytest.raises(ValueError, match="batch_size is -1"):
        found.total(-1)
    with pytest.raises(ValueError, match=r"sizes is \(3, 3\)"):
        memory_estimate(mlp(), lambda k: tm.randn(k, 64), sizes=(3, 3))


def test_bytes_in_words():
    assert [in_words(n) for n in (5, 1536, 3 << 20, 5 << 40)] == [
        "5 B",
        "1.5 KiB",
        "3.0 MiB",
        "5120.0 GiB",
    ]
    assert "activations, a sample" in str(MemoryEstimate(1, 2, 3, 4, 5, 6.0))


def test_a_vocabulary_is_padded_to_a_multiple():
    assert pad_to_multiple(50257, 64) == 50304 == 786 * 64
    assert [pad_to_multiple(n, 8) for n in (0, 1, 8, 9)] == [0, 8, 8, 16]
    with pytest.raises(ValueError, match="multiple at least 1"):
        pad_to_multiple(3, 0)


def test_padded_classes_never_win_and_the_loss_and_its_gradient_stay():
    rng = np.random.default_rng(0)
    z, t = rng.standard_normal((6, 77)), tm.tensor(rng.integers(0, 77, 6))
    plain, padded = (tm.tensor(z, requires_grad=True) for _ in range(2))
    expected = nn.functional.cross_entropy(plain, t)
    logits = pad_logits(padded, pad_to_multiple(77, 64))
    assert logits.shape == (6, 128)
    found = nn.functional.cross_entropy(logits, t)
    assert abs(found.item() - expected.item()) < 1e-12
    expected.backward()
    found.backward()
    np.testing.assert_allclose(padded.grad.numpy(), plain.grad.numpy(), atol=1e-15)
    assert tm.softmax(logits, 1)[:, 77:].max().item() == 0.0
    assert logits.argmax(dim=1).tolist() == z.argmax(1).tolist()
    with pytest.raises(ValueError, match="77 logits do not fit into 64"):
        pad_logits(plain, 64)
