"""What the host must know of an argument is asked before a CUDA graph runs: classes, indices."""

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.capture.cuda_graph.training import (
    Counting,
    assert_same,
    host,
    on_device,
    plain_and_captured,
    trained,
)
from tinygrad_mmb import nn, optim
from tinygrad_mmb.nn import functional

IGNORED = -100


class Classifier:
    """Words to classes: a fixed table of embeddings and a linear layer."""

    def __init__(self):
        tm.manual_seed(3)
        self.model = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 5))
        self.model[0].requires_grad_(False)  # NumPy's way of adding at repeated rows waits
        self.optimizer = optim.Adam(self.model[1].parameters(), lr=0.05)

    def step(self, words, classes):
        self.optimizer.zero_grad()
        logits = self.model(words)  # (N, T, 5)
        loss = functional.cross_entropy(logits.reshape(-1, 5), classes.reshape(-1))
        loss.backward()
        self.optimizer.step()
        return loss

    def numbers(self):
        values = list(self.model[1].parameters())
        return [host(p) for p in values] + [host(p.grad) for p in values]


def batches(count, ignored=()):
    """Indices of 7 words and 5 classes, (4, 3); in the batches `ignored` some count for nothing."""
    rng = np.random.default_rng(5)
    pairs = [(rng.integers(0, 7, (4, 3)), rng.integers(0, 5, (4, 3))) for _ in range(count)]
    for k in ignored:
        pairs[k][1][1] = IGNORED
    return [(tm.tensor(words), tm.tensor(classes)) for words, classes in pairs]


@on_device
def test_steps_with_classes_and_indices_become_a_graph():
    plain, other = Classifier(), Classifier()
    expected = trained(plain, plain.step, batches(8))
    step = tm.capture(other.step)
    assert_same(trained(other, step, batches(8)), expected)
    assert step.cache_info() == (6, 2, 0, 1, 0), step.explain()


@on_device
def test_another_answer_is_another_graph():
    """Where some classes are ignored the step computes a weighted mean."""
    data = batches(12, ignored=(4, 5, 8))
    plain, other = Classifier(), Classifier()
    expected = trained(plain, plain.step, data)
    step = tm.capture(other.step)
    assert_same(trained(other, step, data), expected)
    assert step.cache_info() == (10, 2, 0, 2, 0), step.explain()


@on_device
@pytest.mark.parametrize("when", [1, 2, 5])
@pytest.mark.parametrize("what", ["class", "word"])
def test_what_is_not_there_raises_as_ever_and_the_next_step_is_right(what, when):
    data = batches(8)
    runs = []
    for training, step in plain_and_captured(Classifier):
        found = trained(training, step, data[:when])
        words, classes = (x.clone() for x in data[when])
        (classes if what == "class" else words)[2, 1] = 7
        with pytest.raises(IndexError, match=r"7 is out of (bounds|range)"):
            step(words, classes)
        runs.append(found + trained(training, step, data[when:]))
    assert_same(runs[1], runs[0])
    info = step.cache_info()  # the step after the error finds no gradients: one more graph
    assert info.replays >= 6 and info.plans == 2, step.explain()


@on_device
def test_wrong_classes_are_no_reason_to_give_up_a_step_that_changes_later():
    module = Counting()
    step = tm.capture(lambda x, t: functional.cross_entropy(module(x), t))
    x, right, wrong = tm.arange(6.0).reshape(2, 3), tm.tensor([0, 2]), tm.tensor([0, 3])
    for _ in range(2):
        step(x, right)
    for _ in range(5):  # each while a graph is recorded
        with pytest.raises(IndexError, match="3 is out of bounds"):
            step(x, wrong)
    module.scale = 0.0
    found = [host(step(x, right)).item() for _ in range(3)]
    np.testing.assert_allclose(found, np.log(3.0), rtol=1e-6)
    assert step.cache_info().replays == 2, step.explain()


@on_device
def test_classes_that_the_step_computes_are_refused_with_the_mend():
    w = tm.ones(2, 3, requires_grad=True)
    captured = tm.capture(lambda x: functional.cross_entropy(w * x, x.argmax(dim=1)))
    found = [host(captured(tm.full((2, 3), float(k)))).item() for k in range(4)]
    np.testing.assert_allclose(found, np.log(3.0), rtol=1e-6)
    assert captured.cache_info() == (0, 2, 2, 0, 0)
    assert "Hand them in as an argument" in captured.explain()


@on_device
@pytest.mark.parametrize("name", ["gather", "index_select", "index"])
def test_indices_of_each_kind_are_asked_for(name):
    x = tm.arange(6, dtype=tm.float32).reshape(2, 3)

    def step(i):
        if name == "gather":
            return tm.gather(x, 1, i.reshape(2, 1)) * 2.0
        if name == "index_select":
            return tm.index_select(x, 1, i) * 2.0
        return x[:, i] * 2.0

    captured = tm.capture(step)
    for k in range(6):
        i = [k % 3, (k + 1) % 3]
        np.testing.assert_array_equal(host(captured(tm.tensor(i))), host(step(tm.tensor(i))))
    assert captured.cache_info() == (4, 2, 0, 1, 0), captured.explain()
    with pytest.raises((IndexError, RuntimeError), match="index 9 is out of bounds"):
        captured(tm.tensor([0, 9]))


@on_device
def test_a_table_whose_gradient_waits_runs_as_it_is():
    """Adding at repeated rows by formula sorts them and waits for how many there are."""
    training = Classifier()
    training.model[0].requires_grad_(True)
    step = tm.capture(training.step)
    plain = Classifier()
    plain.model[0].requires_grad_(True)
    with tm.use_kernels("reference"):
        expected = trained(plain, plain.step, batches(5))
        assert_same(trained(training, step, batches(5)), expected)
    assert step.cache_info() == (0, 2, 3, 0, 0)
    assert "no CUDA graph, test_questions.py:" in step.explain()
