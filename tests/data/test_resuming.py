"""A loader's state: the next batch after a break is the one that would have come."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.counting import Doubled, numbers, seen
from tinygrad_mmb.data import DataLoader


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
