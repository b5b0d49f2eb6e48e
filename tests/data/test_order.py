"""The order of samples: a function of seed and epoch, or a sampler's."""

import pytest

import tinygrad_mmb
from tests.data.counting import generator, numbers, seen
from tinygrad_mmb.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
)


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
