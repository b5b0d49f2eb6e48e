"""Layers that only change shapes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.nn.module import Module


class Flatten(Module):
    """Dimensions start_dim..end_dim made one: (N, C, H, W) → (N, C·H·W)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return ops.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield cls(), rng.standard_normal((n, 3, 2))
        yield cls(0, 1), rng.standard_normal((3, 2, n))


class Unflatten(Module):
    """One dimension made several: Unflatten(1, (C, H, W)) undoes Flatten.

    One of the sizes may be -1.
    Raises: TypeError unless they are ints; RuntimeError if they do not fit.
    """

    def __init__(self, dim: int, unflattened_size: tuple[int, ...] | list[int]) -> None:
        if not isinstance(unflattened_size, (tuple, list)):
            kind = type(unflattened_size).__name__
            raise TypeError(f"unflattened_size must be a tuple of ints, but found type {kind}")
        for i, n in enumerate(unflattened_size):
            if not isinstance(n, int):
                kind = type(n).__name__
                raise TypeError(
                    "unflattened_size must be tuple of ints, but found element of type "
                    f"{kind} at pos {i}"
                )
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input: Tensor) -> Tensor:
        n = input.ndim
        if not -n <= self.dim < n:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got "
                f"{self.dim})"
            )
        dim = self.dim % n
        size, sizes = input.shape[dim], tuple(self.unflattened_size)
        known = 1
        for s in sizes:
            known *= 1 if s == -1 else s
        fits = sizes.count(-1) <= 1 and min(sizes, default=0) >= -1 and bool(sizes)
        if fits and -1 in sizes:
            fits = bool(known) and size % known == 0
            sizes = tuple(size // known if s == -1 else s for s in sizes) if fits else sizes
        elif fits:
            fits = known == size
        if not fits:
            raise RuntimeError(
                f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim "
                f"{self.dim} ({size}) in the input tensor {tuple(input.shape)}"
            )
        return ops.reshape(input, (*input.shape[:dim], *sizes, *input.shape[dim + 1 :]))

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield cls(1, (2, -1)), rng.standard_normal((n, 6))
        yield cls(-1, [3, 2]), rng.standard_normal((n, 2, 6))


class Identity(Module):
    """y = x, whatever arguments it is built with."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, input: Tensor) -> Tensor:
        return input

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield cls(3, anything=True), rng.standard_normal((n, 3))
