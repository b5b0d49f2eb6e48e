"""Options that a loader refuses, with PyTorch's errors, and those it warns of."""

import pytest

from tests.data.counting import generator
from tinygrad_mmb.data import DataLoader

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
