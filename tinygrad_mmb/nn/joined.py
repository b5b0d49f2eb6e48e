"""Which neighbours Sequential runs as one op: a Linear or Conv2d and the activation after it.

The result, its gradients and every message are those of the two modules one after the other. Where
somebody could see a difference, because he watches or has changed one of the two, they stay two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from tinygrad_mmb.autograd import anomaly
from tinygrad_mmb.nn.activation import GELU, ReLU
from tinygrad_mmb.nn.convolution import Conv2d
from tinygrad_mmb.nn.linear import Linear
from tinygrad_mmb.nn.module import Module
from tinygrad_mmb.ops.convolution import conv2d_relu
from tinygrad_mmb.ops.linear import linear_gelu, linear_relu


def linear_then_relu(linear: Linear, relu: ReLU, x: Any) -> Any:
    return linear_relu(x, linear.weight, linear.bias)


def linear_then_gelu(linear: Linear, gelu: GELU, x: Any) -> Any:
    return linear_gelu(x, linear.weight, linear.bias, approximate=gelu.approximate)


def conv2d_then_relu(conv: Conv2d, relu: ReLU, x: Any) -> Any:
    if conv.padding_mode != "zeros":
        return relu(conv(x))
    return conv2d_relu(
        x, conv.weight, conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups
    )


JOINED: dict[tuple[type[Module], type[Module]], Callable[[Any, Any, Any], Any]] = {
    (Linear, ReLU): linear_then_relu,
    (Linear, GELU): linear_then_gelu,
    (Conv2d, ReLU): conv2d_then_relu,
}
AS_WRITTEN = {kind: (kind.forward, kind.__call__) for pair in JOINED for kind in pair}


def steps(layers: list[Module]) -> Iterator[Callable[[Any], Any]]:
    """What to call, one after the other: the layers, and pairs of them as one.

    It is decided just before a pair runs: what an earlier layer does to it is seen.
    """
    if anomaly.watching.get():  # detect_anomaly names the op that made a NaN: one of two
        yield from layers
        return
    rest = iter(layers)
    first = next(rest, None)
    while first is not None:
        second = next(rest, None)
        joined = JOINED.get((type(first), type(second)))  # type: ignore[arg-type]
        if joined is None or not (is_as_written(first) and is_as_written(second)):
            yield first
            first = second
        else:
            yield partial(joined, first, second)
            first = next(rest, None)


def is_as_written(module: Any) -> bool:
    """Whether calling it does what its class does here and nothing else: no hook, no patch."""
    kind, own = type(module), vars(module)
    return (
        (kind.forward, kind.__call__) == AS_WRITTEN[kind]
        and "forward" not in own
        and not own.get("_forward_hooks")
        and not own.get("_forward_pre_hooks")
    )
