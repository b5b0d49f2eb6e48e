"""The loader's batches: each sample once, collated, cut and fetched as PyTorch does it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_mmb
from tests.data.counting import Doubled, generator, numbers, seen
from tinygrad_mmb.data import DataLoader, Subset, TensorDataset, toy


def test_batches_come_in_order_and_the_last_may_be_short():
    loader = DataLoader(numbers(5), batch_size=2)
    assert seen(loader) == [[0, 1], [2, 3], [4]]
    assert len(loader) == 3
    assert seen(DataLoader(numbers(5), batch_size=2, drop_last=True)) == [[0, 1], [2, 3]]


def test_sixty_thousand_samples_make_600_batches_of_a_hundred():
    """N08, TR02; and a partial last batch."""
    assert len(DataLoader(range(60_000), batch_size=100)) == 600
    assert len(DataLoader(range(61_000), batch_size=256)) == 239
    assert len(DataLoader(range(61_000), batch_size=256, drop_last=True)) == 238


@given(st.integers(1, 60), st.integers(1, 20), st.booleans(), st.integers(0, 2**40))
def test_every_sample_comes_once_an_epoch(n, batch_size, drop_last, seed):
    loader = DataLoader(numbers(n), batch_size, True, drop_last=drop_last, seed=seed)
    for _ in range(2):
        batches = seen(loader)
        assert len(batches) == len(loader)
        flat = [i for batch in batches for i in batch]
        assert len(set(flat)) == len(flat) == (n // batch_size * batch_size if drop_last else n)


@pytest.mark.torch
@pytest.mark.parametrize("n", [0, 1, 5, 6])
@pytest.mark.parametrize("batch_size", [None, 1, 2, 3, 10])
@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_in_order_equal_pytorch(n, batch_size, drop_last):
    torch = pytest.importorskip("torch")
    if batch_size is None:
        drop_last = False
    mine = DataLoader(range(n), batch_size, drop_last=drop_last)
    other = torch.utils.data.DataLoader(range(n), batch_size, drop_last=drop_last)
    assert len(mine) == len(other)
    as_lists = [[b.tolist() if hasattr(b, "tolist") else b for b in it] for it in (mine, other)]
    assert as_lists[0] == as_lists[1]


def test_two_passes_at_once_do_not_disturb_each_other():
    loader = DataLoader(numbers(4), 2)
    pairs = [(a.tolist(), b.tolist()) for (a, _), (b, _) in zip(loader, loader, strict=True)]
    assert pairs == [([0, 1], [0, 1]), ([2, 3], [2, 3])]


def test_other_data_sets_are_collated():
    (batch,) = DataLoader(Doubled(2), batch_size=2)
    assert [str(part.dtype) for part in batch] == ["float32", "int64"]
    assert batch[1].tolist() == [[0, 0], [1, 2]]


def test_an_overridden_getitem_is_called_for_every_sample():
    class Negated(TensorDataset):
        def __getitem__(self, i):
            return (-self.tensors[0][i],)

    dataset = Negated(tinygrad_mmb.arange(3))
    ((batch,),) = DataLoader(Subset(dataset, [2, 1]), batch_size=2)
    assert batch.tolist() == [-2, -1]


def test_subsets_of_subsets_are_followed():
    subset = Subset(Subset(numbers(10), [9, 8, 7]), [2, 0])
    assert seen(DataLoader(subset, batch_size=2)) == [[7, 9]]


def test_rows_at_once_equal_rows_one_by_one():
    rows = TensorDataset(tinygrad_mmb.randn(7, 3), tinygrad_mmb.arange(7))
    at_once = list(DataLoader(rows, 3, shuffle=True, seed=0))

    class Slow(TensorDataset):
        def __getitem__(self, i):
            return super().__getitem__(i)

    one_by_one = list(DataLoader(Slow(*rows.tensors), 3, shuffle=True, seed=0))
    for a, b in zip(at_once, one_by_one, strict=True):
        assert type(a) is type(b) is list
        for x, y in zip(a, b, strict=True):
            assert x.dtype == y.dtype
            np.testing.assert_array_equal(x.numpy(), y.numpy())


def test_batches_do_not_share_memory_with_the_data():
    dataset = TensorDataset(tinygrad_mmb.zeros(4, 2))
    for (x,) in DataLoader(dataset, batch_size=2):
        x.array[...] = 1.0
    assert not dataset.tensors[0].array.any()


def test_no_batch_size_yields_samples():
    assert [x.tolist() for x, _ in DataLoader(numbers(3), batch_size=None)] == [0, 1, 2]
    first = next(iter(DataLoader(Doubled(1), batch_size=None)))
    assert [type(part).__name__ for part in first] == ["Tensor", "Tensor"]


def test_a_collate_fn_of_ones_own_gets_the_samples():
    loader = DataLoader([1, 2, 3], batch_size=2, collate_fn=tuple)
    assert list(loader) == [(1, 2), (3,)]


def test_the_five_line_training_loop_learns():
    """TR01: the loop of deck 004, on two clouds of points."""
    tm = tinygrad_mmb
    model = tm.nn.Sequential(tm.nn.Linear(2, 8), tm.nn.Tanh(), tm.nn.Linear(8, 2))
    loss_fn = tm.nn.CrossEntropyLoss()
    optimizer = tm.optim.Adam(model.parameters(), lr=0.05)
    dataset = toy.Gauss(200, generator=generator())
    first = last = None
    for _ in range(5):
        for x, t in DataLoader(dataset, batch_size=20, shuffle=True):
            optimizer.zero_grad()
            y = model(x)
            loss = loss_fn(y, t)
            loss.backward()
            optimizer.step()
            first, last = first or loss.item(), loss.item()
    assert last < 0.1 < first
