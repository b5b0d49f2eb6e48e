"""SGD without momentum: θ ← θ - lr · (g + λ θ), one thread for every 128th number.

Bytes: 3 · n · itemsize (θ and g are read, θ is written).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numba import cuda

from tinygrad_mmb.backend import Array
from tinygrad_mmb.kernels.launch.arguments import contiguous, is_float
from tinygrad_mmb.kernels.numba_cuda.launch import is_reachable, stream
from tinygrad_mmb.kernels.registry import kernel

THREADS, MOST_BLOCKS = 128, 1024


@cuda.jit
def sgd_update(theta: Any, g: Any, lr: float, weight_decay: float) -> None:
    for i in range(cuda.grid(1), theta.size, cuda.gridsize(1)):
        slope = g[i]
        if weight_decay:  # 0 · ∞ would be NaN
            slope += weight_decay * theta[i]
        theta[i] -= lr * slope


def is_plain(
    thetas: Sequence[Array], gs: Sequence[Array], states: Any, ts: Any, **options: Any
) -> bool:
    """Whether there is no momentum and everything is a float that lies in rows."""
    return (
        not options["momentum"]
        and not options["maximize"]
        and all(is_float(*pair, wide=True) for pair in zip(thetas, gs, strict=True))
        and all(theta.flags.c_contiguous for theta in thetas)
        and is_reachable(*thetas, *gs)
    )


@kernel("SGD.update", backend="numba_cuda", accepts=is_plain, place=None)
def sgd(thetas: Sequence[Array], gs: Sequence[Array], states: Any, ts: Any, **options: Any) -> None:
    for theta, g in zip(thetas, gs, strict=True):
        blocks = min(-(-theta.size // THREADS), MOST_BLOCKS)
        number = theta.dtype.type  # a Python float would make the kernel compute in float64
        scalars = number(options["lr"]), number(options["weight_decay"])
        if blocks:
            flat, slope = theta.reshape(-1), contiguous(g).reshape(-1)
            sgd_update[blocks, THREADS, stream()](flat, slope, *scalars)
