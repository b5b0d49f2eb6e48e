"""The numbered steps that lead to softmax.cu and reduction.cu, to be read, compared and timed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.cuda.ladder import Step, enter
from tinygrad_mmb.kernels.launch import contiguous, cuda_function, int32, int64
from tinygrad_mmb.kernels.launch.arguments import address

BLOCK = 256


@dataclass(frozen=True)
class RowStep:
    """One step: a kernel of csrc/cuda/kernels/<file>, for float32."""

    name: str
    file: str
    longest: int | None = None  # row that it takes
    aligned: bool = False  #       whether it takes 16 bytes at a time only

    def check(self, where: str, x: Array) -> None:
        """Raise ValueError for what this step cannot take yet."""
        if x.dtype.name != "float32":
            raise ValueError(f"{where}: takes float32, but got {x.dtype}: x.astype('float32')")
        if self.longest is not None and x.shape[-1] > self.longest:
            raise ValueError(
                f"{where}: takes rows of at most {self.longest} numbers, but got {x.shape[-1]}. "
                "The twin takes any: softmax(x, -1)"
            )
        if self.aligned and (x.shape[-1] % 4 or address(x) % 16):
            raise ValueError(
                f"{where}: takes rows that start at multiples of 16 bytes, but these have "
                f"{x.shape[-1]} numbers, the first at byte {address(x) % 16} of 16. The twin takes "
                "any: softmax(x, -1)"
            )


SOFTMAX = {
    step.name: step
    for step in (
        RowStep("three_passes", "softmax/01_three_passes.cu"),
        RowStep("online", "softmax/02_online.cu"),
        RowStep("registers", "softmax/03_registers.cu", longest=4096),
        RowStep("vectorised", "softmax/04_vectorised.cu", longest=4096, aligned=True),
    )
}
SUM = {
    step.name: step
    for step in (
        RowStep("atomic", "reduction/01_atomic.cu"),
        RowStep("shared_tree", "reduction/02_shared_tree.cu"),
        RowStep("warp_shuffle", "reduction/03_warp_shuffle.cu"),
        RowStep("two_phases", "reduction/04_two_phases.cu"),
    )
}


def softmax_step(name: str, x: Array) -> Array:
    """softmax over the last dimension of a matrix, by one step of the ladder.

    Raises: ValueError for an unknown step, or for an x that it does not take.
    """
    step, x = of(SOFTMAX, f"softmax_step({name!r})", name), contiguous(x)
    check_softmax(name, x)
    y = namespace(x).empty_like(x)
    rows, cols = x.shape
    cuda_function(step.file, f"softmax_{name}_f32")(
        (rows,), (BLOCK,), (y, x, int32(rows), int32(cols))
    )
    return y


def sum_step(name: str, x: Array) -> Array:
    """Σ x over all numbers, as an array of shape (), by one step of the ladder.

    Raises: ValueError for an unknown step, or for an x that is not float32.
    """
    step, xp = of(SUM, f"sum_step({name!r})", name), namespace(x)
    check_sum(name, x)
    x = contiguous(x).reshape(-1)
    if name == "two_phases" and address(x) % 16:
        x = x.copy()  # new memory starts at a multiple of 16 bytes
    kernel = cuda_function(step.file, f"sum_{name}_f32")
    if name == "atomic":
        y = xp.zeros(1, dtype=x.dtype)
        kernel((-(-x.size // BLOCK),), (BLOCK,), (y, x, int64(x.size)))
        return y.reshape(())
    while True:
        blocks = max(1, -(-x.size // BLOCK))
        if name == "two_phases":
            # the second launch has one block; 4 packs for each thread of the first
            blocks = 1 if x.size <= 1024 else min(1024, -(-x.size // (16 * BLOCK)))
        y = xp.empty(blocks, dtype=x.dtype)
        kernel((blocks,), (BLOCK,), (y, x, int64(x.size)))
        if blocks == 1:
            return y.reshape(())
        x = y


def check_softmax(name: str, x: Array, dim: int = 1) -> None:
    """Raise ValueError for what a step of softmax does not take."""
    where = f"softmax_step({name!r})"
    if x.ndim != 2:
        raise ValueError(f"{where}: takes a matrix, but got shape {x.shape}")
    if dim not in (-1, 1):
        raise ValueError(f"{where}: works along rows, dim=-1 or 1, but got dim={dim}")
    of(SOFTMAX, where, name).check(where, x)


def check_sum(name: str, x: Array, dims: Any = None, keepdim: bool = False) -> None:
    """Raise ValueError for what a step of the sum does not take."""
    where = f"sum_step({name!r})"
    if dims is not None or keepdim:
        raise ValueError(f"{where}: adds up everything, but got dims={dims}, keepdim={keepdim}")
    of(SUM, where, name).check(where, x.reshape(-1))


def of(ladder: dict[str, RowStep], where: str, name: str) -> RowStep:
    """A step by its name. Raises ValueError if there is none."""
    if name not in ladder:
        raise ValueError(f"{where}: no such step. There are {', '.join(ladder)}.")
    return ladder[name]


def _step(step: RowStep, run: Callable[..., Array], check: Callable[..., None]) -> Step:
    def prepare(x: Array, *options: Any) -> partial[Array]:
        check(step.name, x, *options)
        return partial(run, step.name, x)

    return Step(step.file, step.name, prepare)


enter("Softmax", *[_step(step, softmax_step, check_softmax) for step in SOFTMAX.values()])
enter("Sum", *[_step(step, sum_step, check_sum) for step in SUM.values()])
