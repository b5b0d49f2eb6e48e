"""A matrix turned in memory: an op that only the benchmark has, and the copy that it may cost.

The engine's transpose is a view and moves nothing, so it has no twin; the ladder of
csrc/cuda/kernels/transpose does move the numbers, and a copy of as many is the best it can do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.bench.peers import Call, NoPeer


class Transpose:
    """y = xᵀ, in memory of its own."""

    @staticmethod
    def forward(x: Array) -> Array:
        return namespace(x).ascontiguousarray(x.T)


class Copy:
    """The library's copy of x, as a peer of the transposition: it moves the same bytes."""

    name = "copy"
    wait: Callable[[Any], object] | None = None

    def call(
        self, op: str, kind: str, args: Sequence[Any], heads: Sequence[Any], dtype: str
    ) -> tuple[Call, Callable[[Any], list[Any]]]:
        """What copies x, and what compares it: a copy is right if its transpose is xᵀ."""
        if op != Transpose.__name__:
            raise NoPeer("a copy does the work of a transposition alone")
        (x,) = args
        xp = namespace(x)
        y = xp.empty_like(x)

        def copied() -> Array:
            xp.copyto(y, x)
            return y

        return copied, lambda result: [result.T]
