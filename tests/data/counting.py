"""Data sets that count, a generator, and what a loader makes of them."""

import numpy as np

import tinygrad_mmb
from tinygrad_mmb.data import Dataset, TensorDataset


def numbers(n):
    return TensorDataset(tinygrad_mmb.arange(n), tinygrad_mmb.arange(n) * 10)


def seen(loader):
    return [x.tolist() for x, _ in loader]


def generator(seed=0):
    return tinygrad_mmb.Generator().manual_seed(seed)


class Doubled(Dataset):
    """Not a TensorDataset: every sample is fetched by itself."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return np.float32(i), np.array([i, 2 * i])
