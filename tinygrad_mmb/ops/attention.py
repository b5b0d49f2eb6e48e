"""Attention: every query takes a mean of the values, weighted by its match with the keys."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.tensor import Tensor, X
from tinygrad_mmb.backend import float16, float32, namespace
from tinygrad_mmb.ops.dropout import dropout
from tinygrad_mmb.ops.writing import unchanged

__all__ = ["scaled_dot_product_attention"]


def scaled_dot_product_attention(
    query: X,
    key: X,
    value: X,
    attn_mask: X | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> X:
    """softmax(scale · Q Kᵀ + mask) V   (Vaswani et al., 2017), scale = 1 / √E.

    Shapes: query (..., L, E), key (..., S, E), value (..., S, D) → (..., L, D). attn_mask, which
    broadcasts to (..., L, S), is bool (True takes part) or added. is_causal: query i sees the keys
    0 to i. A query that sees no key gets zeros. enable_gqa: a head of key and value serves several
    of query.
    Raises: RuntimeError where shapes and dtypes do not fit.
    """
    where = (
        f"scaled_dot_product_attention of query {tuple(query.shape)}, key {tuple(key.shape)}, "
        f"value {tuple(value.shape)}"
    )
    check(where, query, key, value, attn_mask, dropout_p, is_causal)
    if enable_gqa:
        key, value = shared_heads(where, query, key), shared_heads(where, query, value)
    if query.dtype == float16:  # the scores overflow and round too early in 16 bits
        mask = (
            attn_mask
            if attn_mask is None or attn_mask.dtype.kind == "b"
            else ops.to(attn_mask, float32)
        )
        query, key, value = (ops.to(x, float32) for x in (query, key, value))
        wide = scaled_dot_product_attention(query, key, value, mask, dropout_p, is_causal, scale)
        return ops.to(wide, float16)
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = ops.matmul(query, ops.transpose(key, -2, -1)) * factor
    if is_causal:
        attn_mask = lower_triangle(query, scores.shape[-2], scores.shape[-1])
    if attn_mask is not None:
        if attn_mask.dtype.kind == "b":
            scores = ops.where(attn_mask, scores, -math.inf)
        else:
            scores = scores + attn_mask
        shares = masked_softmax(scores)
    else:
        shares = ops.softmax(scores, -1)
    y = ops.matmul(dropout(shares, dropout_p), value)
    return unchanged(y, query, key, value, y)


def masked_softmax(scores: X) -> X:
    """Softmax over the last dimension; zeros where every score is -∞."""
    array: Any = getattr(scores, "array", scores)
    if not array.shape[-1]:
        return ops.softmax(scores, -1)
    unseen = (array == -math.inf).all(-1, keepdims=True)
    if not unseen.any():
        return ops.softmax(scores, -1)
    mask = Tensor(unseen) if isinstance(scores, Tensor) else unseen
    return ops.where(mask, 0.0, ops.softmax(ops.where(mask, 0.0, scores), -1))


def lower_triangle(like: X, rows: int, columns: int) -> X:
    """True where the key does not come after the query."""
    mask = namespace(getattr(like, "array", like)).tri(rows, columns, dtype=bool)
    return Tensor(mask) if isinstance(like, Tensor) else mask


def shared_heads(where: str, query: Any, x: X) -> X:
    """(..., H, S, E) with each head repeated until there are as many as in query."""
    if query.ndim < 3 or x.ndim < 3 or not x.shape[-3] or query.shape[-3] % x.shape[-3]:
        raise RuntimeError(f"{where}: enable_gqa needs heads of query that key and value divide")
    times = query.shape[-3] // x.shape[-3]
    lead: tuple[int, ...] = tuple(x.shape[:-3])
    h, s, e = x.shape[-3:]
    wide = ops.expand(ops.reshape(x, (*lead, h, 1, s, e)), (*lead, h, times, s, e))
    return ops.reshape(wide, (*lead, h * times, s, e))


def check(
    where: str, query: Any, key: Any, value: Any, mask: Any, dropout_p: float, is_causal: bool
) -> None:
    """Raise what PyTorch raises, with shapes."""
    if not query.dtype == key.dtype == value.dtype:
        raise RuntimeError(
            f"{where}: expected one dtype, but got {query.dtype}, {key.dtype} and {value.dtype}"
        )
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise RuntimeError(f"{where}: expected all to be at least 2 dimensional")
    if query.dtype.kind != "f":
        raise RuntimeError(f"{where}: expected a floating dtype, but got {query.dtype}; x.float()")
    if mask is not None:
        if is_causal:
            raise RuntimeError(f"{where}: attn_mask should not be set when is_causal=True")
        if mask.dtype.kind != "b" and mask.dtype != query.dtype:
            raise RuntimeError(
                f"{where}: expected attn_mask to be bool or {query.dtype}, but got {mask.dtype}"
            )
    if not 0.0 <= dropout_p <= 1.0:
        raise RuntimeError(f"{where}: dropout_p has to be between 0 and 1, but got {dropout_p}")
