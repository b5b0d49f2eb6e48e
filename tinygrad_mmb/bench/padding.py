"""Sizes that tensor cores and 16-byte packs like: 50257 classes are slower than 50304."""

from __future__ import annotations

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.tensor import X


def pad_to_multiple(n: int, multiple: int) -> int:
    """The least number from n on that is divisible: pad_to_multiple(50257, 64) is 50304.

    Raises: ValueError for a negative n, or a multiple below 1.
    """
    if n < 0 or multiple < 1:
        raise ValueError(
            f"pad_to_multiple({n}, {multiple}): n must not be negative, multiple at least 1"
        )
    return -(-n // multiple) * multiple


def pad_logits(logits: X, classes: int) -> X:
    """Logits (..., C) padded to (..., classes) with -inf: those classes have probability 0.

    So they never win, and softmax, loss and gradients of the others are what they were.

    Raises: ValueError if there are more logits than `classes`.
    """
    there = logits.shape[-1]
    if there > classes:
        raise ValueError(f"pad_logits: {there} logits do not fit into {classes} classes")
    return ops.pad(logits, (0, classes - there), value=float("-inf"))
