"""PyTorch's path to the data package: tinygrad_mmb.utils.data."""

from tinygrad_mmb.utils import data as data
