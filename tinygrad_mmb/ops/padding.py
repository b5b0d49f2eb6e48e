"""Borders around the last dimensions: a constant, or the tensor itself continued."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.promotion import fits
from tinygrad_mmb.autograd.tensor import X
from tinygrad_mmb.backend import Array, namespace

__all__ = ["pad"]


class ConstantPad(Function):
    """A border of `value`; negative widths crop.   ∂L/∂x = g without its border."""

    @staticmethod
    def forward(x: Array, border: tuple[tuple[int, int], ...], value: float) -> Array:
        shape = tuple(
            n + before + after for n, (before, after) in zip(x.shape, border, strict=True)
        )
        y = namespace(x).full(shape, value, x.dtype)
        y[tuple(overlap(border))] = x[tuple(overlap([(-b, -a) for b, a in border]))]
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.border = inputs[1]

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return ConstantPad.apply(g, tuple((-b, -a) for b, a in ctx.border), 0.0), None, None

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        yield rng.standard_normal((3, n)), ((1, 2), (0, 1)), 0.5
        yield rng.standard_normal((n, 4)).T, ((-1, 2), (1, -2)), 0.0


def overlap(border: Any) -> Iterator[slice]:
    """Where the old values stand in what has this border."""
    for before, after in border:
        yield slice(max(before, 0), -after if after > 0 else None)


def pad(
    input: X, pad: tuple[int, ...] | list[int], mode: str = "constant", value: float | None = None
) -> X:
    """A border around the last dimensions: pad = (left, right, top, bottom, ...), the last first.

    mode: "constant" (of `value`, 0 by default; negative widths crop), "reflect" (without the edge),
    "replicate" (the edge), "circular" (from the other side).
    Raises: RuntimeError or ValueError where widths do not fit; NotImplementedError for other modes.
    """
    where = f"pad of a tensor {tuple(input.shape)} by {tuple(pad)}"
    widths = tuple(pad)
    for w in widths:
        if isinstance(w, bool) or not isinstance(w, int):
            raise TypeError(f"{where}: widths must be ints")
    if len(widths) % 2:
        raise RuntimeError(
            f"{where}: the number of widths must be divisible by 2: (left, right, ...)"
        )
    if len(widths) > 2 * input.ndim:
        raise RuntimeError(f"{where}: at most two widths for each of the {input.ndim} dimensions")
    pairs: list[tuple[int, int]] = list(zip(widths[0::2], widths[1::2], strict=True))
    pairs.reverse()
    if mode == "constant":
        border = (*[(0, 0)] * (input.ndim - len(pairs)), *pairs)
        if any(n + b + a < 0 or n + min(b, 0) < 0 or n + min(a, 0) < 0
               for n, (b, a) in zip(input.shape, border, strict=True)):  # fmt: skip
            raise RuntimeError(f"{where}: a negative width crops more than there is")
        return ConstantPad.apply(input, border, fitting(where, value, input.dtype))
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"{where}: unrecognised padding mode {mode!r}")
    if value is not None:
        raise RuntimeError(f"{where}: padding mode {mode!r} doesn't take in value argument")
    if not pairs or input.ndim - len(pairs) not in (1, 2) or len(pairs) > 3:
        raise NotImplementedError(
            f"{where}: mode {mode!r} pads the last 1 to 3 dimensions of (N, C, ...) or (C, ...)"
        )
    return extended(where, input, pairs, mode)


def extended(where: str, x: Any, pairs: list[tuple[int, int]], mode: str) -> Any:
    """The last dimensions of x continued beyond their ends."""
    for dim, (before, after) in enumerate(pairs, start=x.ndim - len(pairs)):
        source = continued(where, x.shape[dim], before, after, mode)
        x = ops.getitem(x, (*[slice(None)] * dim, source))
    return x


def continued(where: str, n: int, before: int, after: int, mode: str) -> list[int]:
    """For each place of the padded dimension, the index its value comes from."""
    limit = {"reflect": n - 1, "circular": n, "replicate": None}[mode]
    if n + before + after < 1:
        raise RuntimeError(f"{where}: nothing would be left of a dimension of size {n}")
    if not n or (limit is not None and max(before, after) > limit):
        raise RuntimeError(f"{where}: mode {mode!r} cannot continue a dimension of size {n} so far")
    if mode == "circular":
        kept = range(max(-before, 0), n - max(-after, 0))  # cropped first, then continued
        if not kept or max(before, after) > len(kept):
            raise NotImplementedError(f"{where}: the part that is left is wrapped more than once")
        return [kept[i % len(kept)] for i in range(-max(before, 0), len(kept) + max(after, 0))]
    places = range(-before, n + after)
    if mode == "replicate":
        return [min(max(i, 0), n - 1) for i in places]
    return [abs(i) if i < n else 2 * (n - 1) - i for i in places]


def fitting(where: str, value: Any, dtype: Any) -> Any:
    """The constant as PyTorch stores it: cut to an integer where the dtype is one."""
    if value is None:
        return 0
    return int(value) if dtype.kind in "iu" else fits(value, dtype, where)
