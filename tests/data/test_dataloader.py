"""The loader: batches, order, resuming, errors."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_mmb
from tinygrad_mmb.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    toy,
)


def numbers(n):
    return TensorDataset(tinygrad_mmb.arange(n), tinygrad_mmb.arange(n) * 10)


def seen(loader):
    return [x.tolist() for x, _ in loader]


def generator(seed=0):
    return tinygrad_mmb.Generator().manual_seed(seed)


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


def test_the_order_is_a_function_of_seed_and_epoch():
    a = DataLoader(numbers(20), 3, shuffle=True, seed=7)
    b = DataLoader(numbers(20), 3, shuffle=True, seed=7)
    epochs = [seen(a) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    b.set_epoch(2)
    assert seen(b) == epochs[2]
    b.set_epoch(0)
    assert [seen(b), seen(b)] == epochs[:2]
    assert seen(DataLoader(numbers(20), 3, shuffle=True, seed=8)) != epochs[0]


def test_the_seed_comes_from_the_generator_or_from_manual_seed():
    def order(g):
        return seen(DataLoader(numbers(20), 3, shuffle=True, generator=g))

    assert order(generator(1)) == order(generator(1)) != order(generator(2))
    tinygrad_mmb.manual_seed(3)
    first = order(None)
    tinygrad_mmb.manual_seed(3)
    assert order(None) == first


def test_a_loader_without_shuffle_draws_no_random_number():
    g = generator()
    DataLoader(numbers(3), generator=g)
    assert random_state(g) == random_state(generator())


def random_state(g):
    return RandomSampler(range(100), generator=g).seed


class Doubled(Dataset):
    """Not a TensorDataset: every sample is fetched by itself."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return np.float32(i), np.array([i, 2 * i])


@given(st.integers(1, 40), st.integers(1, 7), st.booleans(), st.integers(0, 3), st.data())
def test_a_loaded_loader_goes_on_with_the_next_batch(n, batch_size, shuffle, epoch, draw):
    options = {"batch_size": batch_size, "shuffle": shuffle, "seed": 5 if shuffle else None}
    straight = DataLoader(numbers(n), **options)
    epochs = [seen(straight) for _ in range(epoch + 2)]
    stop = draw.draw(st.integers(0, len(straight)))
    interrupted = DataLoader(numbers(n), **options)
    for _ in range(epoch):
        seen(interrupted)
    batches = iter(interrupted)
    for _ in range(stop):
        next(batches)
    state = json.loads(json.dumps(interrupted.state_dict()))
    resumed = DataLoader(numbers(n), **{**options, "seed": 99 if shuffle else None})
    resumed.load_state_dict(state)
    assert seen(resumed) == epochs[epoch][stop:]
    assert resumed.epoch == epoch + 1
    assert seen(resumed) == epochs[epoch + 1]


def test_the_state_at_the_end_of_an_epoch_is_the_start_of_the_next():
    loader = DataLoader(numbers(6), 2, shuffle=True, seed=1)
    seen(loader)
    assert loader.state_dict() == {
        "seed": 1,
        "epoch": 1,
        "position": 0,
        "samples": 6,
        "batch_size": 2,
    }


def test_a_pass_that_was_left_is_followed_by_the_next_epoch():
    loader = DataLoader(numbers(20), 3, shuffle=True, seed=7)
    epochs = [seen(loader) for _ in range(2)]
    again = DataLoader(numbers(20), 3, shuffle=True, seed=7)
    for _ in again:
        break
    assert seen(again) == epochs[1]


def test_two_passes_at_once_do_not_disturb_each_other():
    loader = DataLoader(numbers(4), 2)
    pairs = [(a.tolist(), b.tolist()) for (a, _), (b, _) in zip(loader, loader, strict=True)]
    assert pairs == [([0, 1], [0, 1]), ([2, 3], [2, 3])]


def test_resuming_skips_without_fetching():
    fetched = []

    class Noted(Doubled):
        def __getitem__(self, i):
            fetched.append(i)
            return super().__getitem__(i)

    loader = DataLoader(Noted(6), 2)
    state = {"seed": None, "epoch": 0, "position": 2, "samples": 6, "batch_size": 2}
    loader.load_state_dict(state)
    assert len(list(loader)) == 1
    assert fetched == [4, 5]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"samples": 7}, "samples was 7 .* but is 6 now"),
        ({"batch_size": 3}, "batch_size was 3"),
        ({"seed": None}, "of a loader without a random order, but this one is with"),
    ],
)
def test_the_state_of_another_loader_is_refused(change, text):
    loader = DataLoader(numbers(6), 2, shuffle=True, seed=1)
    with pytest.raises(ValueError, match=text):
        loader.load_state_dict({**loader.state_dict(), **change})


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


def test_a_sampler_gives_the_order():
    class Backwards(Sampler):
        def __iter__(self):
            return iter([2, 1, 0])

        def __len__(self):
            return 3

    assert seen(DataLoader(numbers(3), batch_size=2, sampler=Backwards())) == [[2, 1], [0]]
    assert seen(DataLoader(numbers(3), batch_sampler=[[0, 2], [1]])) == [[0, 2], [1]]


def test_random_samplers_repeat_by_seed_and_change_by_epoch():
    def orders(g):
        sampler = RandomSampler(range(30), generator=g)
        return [list(sampler), list(sampler)]

    first, second = orders(generator(4))
    assert sorted(first) == sorted(second) == list(range(30))
    assert first != second
    assert orders(generator(4)) == [first, second]


def test_a_loader_sets_the_epoch_of_a_sampler_that_is_handed_in():
    def epochs():
        sampler = RandomSampler(range(10), generator=generator(4))
        loader = DataLoader(numbers(10), 10, sampler=sampler)
        loader.set_epoch(3)
        return seen(loader), loader.state_dict()["seed"]

    assert epochs() == epochs()


def test_draws_with_replacement_repeat_and_longer_passes_wrap():
    drawn = list(RandomSampler(range(5), replacement=True, num_samples=200, generator=generator()))
    assert len(drawn) == 200
    assert set(drawn) == set(range(5))
    longer = list(RandomSampler(range(5), num_samples=12, generator=generator()))
    assert sorted(longer[:5]) == sorted(longer[5:10]) == list(range(5))
    assert len(longer) == 12
    with pytest.raises(ValueError, match="num_samples=0"):
        RandomSampler([])


def test_a_subset_sampler_shuffles_its_numbers():
    sampler = SubsetRandomSampler([3, 5, 8, 9], generator=generator())
    assert sorted(sampler) == [3, 5, 8, 9]
    assert len(sampler) == 4


def test_batch_samplers_cut_any_sampler():
    assert list(BatchSampler(SequentialSampler(range(5)), 2, False)) == [[0, 1], [2, 3], [4]]
    assert list(BatchSampler(range(5), 2, True)) == [[0, 1], [2, 3]]


BAD = [
    {"batch_size": 0},
    {"batch_size": -1},
    {"batch_size": 1.5},
    {"batch_size": True},
    {"batch_size": "4"},
    {"drop_last": 1},
    {"batch_size": None, "drop_last": True},
    {"sampler": [0], "shuffle": True},
    {"batch_sampler": [[0]], "batch_size": 2},
    {"batch_sampler": [[0]], "shuffle": True},
    {"batch_sampler": [[0]], "drop_last": True},
    {"batch_sampler": [[0]], "sampler": [0]},
    {"num_workers": -1},
    {"timeout": -1},
    {"prefetch_factor": 2},
    {"persistent_workers": True},
    {"workers": 2},
]


@pytest.mark.torch
@pytest.mark.parametrize("options", BAD)
def test_what_pytorch_refuses_is_refused_with_its_error(options):
    torch = pytest.importorskip("torch")
    with pytest.raises(Exception) as theirs:
        torch.utils.data.DataLoader([1, 2, 3], **options)
    with pytest.raises(theirs.type):
        DataLoader([1, 2, 3], **options)


@pytest.mark.torch
@pytest.mark.parametrize(
    "options",
    [
        {"num_samples": 0},
        {"num_samples": -1},
        {"num_samples": 1.5},
        {"replacement": 1},
        {"num_samples": 7},
        {},
    ],
)
@pytest.mark.parametrize("n", [0, 3])
def test_random_samplers_refuse_as_pytorch(options, n):
    torch = pytest.importorskip("torch")

    def outcome(make):
        try:
            sampler = make(range(n), **options)
            return len(sampler), len(list(sampler))
        except Exception as error:
            return type(error)

    assert outcome(RandomSampler) == outcome(torch.utils.data.RandomSampler)


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


def test_worker_processes_are_refused_by_name():
    with pytest.raises(NotImplementedError, match="num_workers=2"):
        DataLoader([1, 2, 3], num_workers=2)


def test_a_seed_goes_with_shuffle_only():
    with pytest.raises(ValueError, match=r"seed=3.*shuffle=True"):
        DataLoader([1], seed=3)
    with pytest.raises(ValueError, match="without a generator"):
        DataLoader([1], shuffle=True, seed=3, generator=generator())


def test_pinning_memory_is_warned_of():
    with pytest.warns(UserWarning, match="pin_memory has no effect"):
        DataLoader([1], pin_memory=True)


def test_what_a_loader_was_made_of_stays():
    loader = DataLoader([1, 2])
    with pytest.raises(ValueError, match="batch_size attribute should not be set after DataLoader"):
        loader.batch_size = 2


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
