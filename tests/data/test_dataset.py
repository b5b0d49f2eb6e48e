"""Data sets, splits and collating."""

from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_mmb
from tinygrad_mmb import data
from tinygrad_mmb.data import (
    ConcatDataset,
    Dataset,
    Subset,
    TensorDataset,
    default_collate,
    default_convert,
    random_split,
    stratified_split,
)
from tinygrad_mmb.utils import data as paths


class Squares(Dataset):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if not 0 <= i < self.n:
            raise IndexError(i)
        return i * i


def generator(seed=0):
    return tinygrad_mmb.Generator().manual_seed(seed)


def test_tensor_datasets_give_rows():
    x, t = tinygrad_mmb.tensor([[1.0], [2.0], [3.0]]), tinygrad_mmb.tensor([0, 1, 2])
    dataset = TensorDataset(x, t)
    assert len(dataset) == 3
    row, label = dataset[1]
    assert (row.tolist(), label.item()) == ([2.0], 1)
    assert [part.shape for part in dataset[:2]] == [(2, 1), (2,)]


def test_tensors_of_different_lengths_are_refused():
    with pytest.raises(AssertionError, match=r"Size mismatch.*\[3, 2\]"):
        TensorDataset(tinygrad_mmb.zeros(3), tinygrad_mmb.zeros(2, 5))


def test_a_subset_renumbers():
    subset = Subset(Squares(10), [7, 3])
    assert (len(subset), subset[0], subset[1]) == (2, 49, 9)
    assert subset.__getitems__([1, 0]) == [9, 49]
    nested = Subset(subset, [1])
    assert nested.__getitems__([0]) == [9]
    rows = Subset(TensorDataset(tinygrad_mmb.arange(5)), [4, 1])
    assert rows[[0, 1]][0].tolist() == [4, 1]


def test_data_sets_add_up():
    both = Squares(3) + Squares(2)
    assert isinstance(both, ConcatDataset)
    assert [both[i] for i in range(5)] == [0, 1, 4, 0, 1]
    assert both[-1] == 1
    with pytest.raises(IndexError):
        both[5]
    with pytest.raises(ValueError, match="should not exceed length 5"):
        both[-6]
    with pytest.raises(AssertionError, match="empty iterable"):
        ConcatDataset([])


def test_a_data_set_needs_getitem():
    with pytest.raises(NotImplementedError, match="Dataset needs a __getitem__"):
        Dataset()[0]


def test_a_thousand_samples_split_into_600_200_200():
    parts = random_split(Squares(1000), [0.6, 0.2, 0.2], generator())
    assert [len(part) for part in parts] == [600, 200, 200]
    assert sorted(i for part in parts for i in part.indices) == list(range(1000))


@given(st.integers(4, 300), st.sampled_from([(0.6, 0.2, 0.2), (0.5, 0.5), (1.0,), (0.1,) * 10]))
def test_parts_are_disjoint_and_complete(n, fractions):
    if n * min(fractions) < 1:
        n += 10
    parts = random_split(Squares(n), fractions, generator(n))
    assert sorted(i for part in parts for i in part.indices) == list(range(n))


def test_the_same_generator_makes_the_same_split_and_another_another():
    def split(seed):
        return [part.indices for part in random_split(Squares(50), [30, 20], generator(seed))]

    assert split(1) == split(1) != split(2)
    tinygrad_mmb.manual_seed(5)
    first = random_split(Squares(50), [50])[0].indices
    tinygrad_mmb.manual_seed(5)
    assert random_split(Squares(50), [50])[0].indices == first


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Length of split")
@pytest.mark.parametrize("n", [1, 2, 3, 10, 17, 1000, 1797])
@pytest.mark.parametrize("lengths", [(0.6, 0.2, 0.2), (0.5, 0.5), (0.9, 0.1), (0.33, 0.33, 0.34)])
def test_sizes_of_fractions_equal_pytorch(n, lengths):
    torch = pytest.importorskip("torch")
    mine = [len(part) for part in random_split(range(n), lengths)]
    assert mine == [len(part) for part in torch.utils.data.random_split(range(n), lengths)]


@pytest.mark.torch
@pytest.mark.parametrize("lengths", [[5, 4], [0.5, 0.6], [1.5, -0.5], [0.5, 0.4], [-5, 15], []])
def test_splits_that_pytorch_refuses_are_refused(lengths):
    torch = pytest.importorskip("torch")

    def outcome(split):
        try:
            return [len(part) for part in split(range(10), lengths)]
        except Exception as error:
            return type(error)

    assert outcome(random_split) == outcome(torch.utils.data.random_split)


def test_an_empty_part_is_warned_of():
    with pytest.warns(UserWarning, match="split at index 1 is 0"):
        random_split(Squares(3), [0.9, 0.1])


def test_a_stratified_split_keeps_the_share_of_every_class():
    labels = np.repeat([0, 1, 2], [100, 37, 10])
    parts = stratified_split(Squares(147), labels, (0.6, 0.2, 0.2), generator())
    assert [len(p) for p in parts] == [len(p) for p in random_split(Squares(147), [0.6, 0.2, 0.2])]
    assert sorted(i for part in parts for i in part.indices) == list(range(147))
    for part, share in zip(parts, (0.6, 0.2, 0.2), strict=True):
        counts = np.bincount(labels[part.indices], minlength=3)
        assert np.abs(counts - share * np.array([100, 37, 10])).max() <= 1.5
    again = stratified_split(Squares(147), labels, (0.6, 0.2, 0.2), generator())
    assert [p.indices for p in again] == [p.indices for p in parts]


def test_a_stratified_split_needs_all_labels():
    with pytest.raises(ValueError, match=r"labels have shape \(2,\), but there are 3 samples"):
        stratified_split(Squares(3), [0, 1], (0.5, 0.5))


Point = namedtuple("Point", ["x", "y"])

BATCHES = [
    [1, 2, 3],
    [True, False],
    [1.0, 2.5],
    [1, 2.5],
    ["a", "b"],
    [b"a", b"b"],
    [(1, 2.0), (3, 4.0)],
    [[1, 2], [3, 4]],
    [{"a": 1, "b": [1.0]}, {"a": 2, "b": [3.0]}],
    [Point(1, 2), Point(3, 4)],
    [np.float32(1), np.float32(2)],
    [np.int16(1), np.int16(2)],
    [np.ones((2, 3)), np.zeros((2, 3))],
    [np.ones(2, np.float32), np.zeros(2, np.float32)],
    [(np.ones(2, np.uint8), "name"), (np.zeros(2, np.uint8), "other")],
    [[1, 2], [3]],
    [np.ones(2), np.ones(3)],
    [None, None],
    [object(), object()],
    [np.array("text"), np.array("more")],
    [{"a": 1}, {"b": 1}],
    [],
]


def plain(value):
    """What can be compared: kind, dtype and numbers of every part."""
    if hasattr(value, "tolist"):
        return str(value.dtype).removeprefix("torch."), tuple(value.shape), value.tolist()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [plain(v) for v in value]
    return value


def outcome(function, value):
    try:
        return plain(function(value))
    except Exception as error:
        return type(error)


@pytest.mark.torch
@pytest.mark.parametrize("i", range(len(BATCHES)))
def test_collating_equals_pytorch(i):
    torch = pytest.importorskip("torch")
    theirs = torch.utils.data.default_collate
    assert outcome(default_collate, BATCHES[i]) == outcome(theirs, BATCHES[i])


@pytest.mark.torch
@pytest.mark.parametrize("i", range(len(BATCHES) - 1))
def test_converting_equals_pytorch(i):
    torch = pytest.importorskip("torch")
    theirs = torch.utils.data.default_convert
    assert outcome(default_convert, BATCHES[i][0]) == outcome(theirs, BATCHES[i][0])


def test_collating_tensors_stacks_them():
    batch = default_collate([tinygrad_mmb.tensor([1.0, 2.0]), tinygrad_mmb.tensor([3.0, 4.0])])
    assert batch.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_what_cannot_be_collated_is_named():
    with pytest.raises(TypeError, match=r"NoneType.*collate_fn"):
        default_collate([None])
    with pytest.raises(RuntimeError, match=r"equal size, but the sizes are \[2, 1\]"):
        default_collate([[1, 2], [3]])


def test_pytorchs_paths_lead_here():
    assert paths.DataLoader is data.DataLoader
    assert paths.random_split is data.random_split
    assert paths.TensorDataset is data.TensorDataset
