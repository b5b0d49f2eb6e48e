"""einops on Tensors, with gradients: rearrange, reduce, repeat, einsum, pack, unpack.

    from tinygrad_mmb.einops import rearrange

    rearrange(q, "batch step (head d) -> batch head step d", head=3)

The functions are those of einops itself (A. Rogozhnikov, 2022; https://einops.rocks). Importing
this module tells einops about Tensors, so `einops.rearrange` takes them from then on too. Patterns
that do not fit raise einops.EinopsError.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.tensor import Tensor, tensor

try:
    from einops import EinopsError, einsum, pack, rearrange, reduce, repeat, unpack
    from einops._backends import AbstractBackend  # where einops wants other libraries to subclass
except ImportError:
    raise ImportError(
        "tinygrad_mmb.einops needs einops: python -m pip install 'tinygrad-mmb[interop]'"
    ) from None

__all__ = ["EinopsError", "einsum", "pack", "rearrange", "reduce", "repeat", "unpack"]


class TensorBackend(AbstractBackend):
    """What einops asks of a library. It finds this class among the subclasses of its own."""

    framework_name = "tinygrad_mmb"  # einops looks in sys.modules whether it was imported

    def is_appropriate_type(self, tensor: Any) -> bool:
        """Whether this is one of ours."""
        return isinstance(tensor, Tensor)

    def from_numpy(self, x: Any) -> Tensor:
        """A Tensor that holds a copy of the array."""
        return tensor(x)

    def to_numpy(self, x: Tensor) -> Any:
        """The array of a Tensor."""
        return x.detach().numpy()

    def arange(self, start: int, stop: int) -> Tensor:
        """start, start + 1, ..., stop - 1."""
        return ops.arange(start, stop)

    def shape(self, x: Tensor) -> tuple[int, ...]:
        """The size of each dimension."""
        return x.shape

    def reshape(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """The same elements in another shape."""
        return ops.reshape(x, tuple(shape))

    def transpose(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        """The dimensions in another order."""
        return ops.permute(x, tuple(axes))

    def reduce(self, x: Tensor, operation: str, axes: Sequence[int]) -> Tensor:
        """min, max, sum, mean, prod, any or all over some dimensions."""
        if operation in ("prod", "any", "all"):  # one dimension at a time, the last one first
            for axis in sorted(axes, reverse=True):
                x = getattr(ops, operation)(x, axis)
            return x
        named = {"min": ops.amin, "max": ops.amax, "sum": ops.sum, "mean": ops.mean}
        return named[operation](x, tuple(axes))

    def stack_on_zeroth_dimension(self, tensors: Sequence[Tensor]) -> Tensor:
        """Tensors of one shape, along a new first dimension."""
        return ops.stack(list(tensors))

    def add_axis(self, x: Tensor, new_position: int) -> Tensor:
        """A dimension of size 1."""
        return ops.unsqueeze(x, new_position)

    def tile(self, x: Tensor, repeats: Sequence[int]) -> Tensor:
        """Each dimension repeated so many times."""
        return ops.tile(x, tuple(repeats))

    def concat(self, tensors: Sequence[Tensor], axis: int) -> Tensor:
        """Tensors one after the other along a dimension."""
        return ops.cat(list(tensors), axis)

    def is_float_type(self, x: Tensor) -> bool:
        """Whether means can be taken."""
        return x.is_floating_point()

    def einsum(self, pattern: str, *x: Tensor) -> Tensor:
        """A sum of products, in letters."""
        return ops.einsum(pattern, *x)
