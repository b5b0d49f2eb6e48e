"""All parameters as one vector, and back."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.tensor import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Parameters one after the other, flat. Differentiable."""
    return ops.cat([ops.reshape(p, (-1,)) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Cut a vector into the parameters, which from then on share its memory.

    Raises: TypeError unless vec is a Tensor; RuntimeError if it is too short.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected Tensor, but got: {type(vec).__name__}")
    start = 0
    for p in parameters:
        n = math.prod(p.shape)
        if start + n > vec.shape[0]:
            raise RuntimeError(
                f"vector_to_parameters: the vector holds {vec.shape[0]} numbers, fewer than "
                f"the parameters, at one of shape {tuple(p.shape)}"
            )
        p.data = ops.reshape(vec.detach()[start : start + n], p.shape).data
        start += n
