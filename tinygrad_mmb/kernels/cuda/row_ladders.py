"""The numbered steps that lead to softmax.cu and reduction.cu, to be read, compared and timed."""

from __future__ import annotations

from dataclasses import dataclass

from tinygrad_mmb.backend import Array, namespace
from tinygrad_mmb.kernels.launch import contiguous, cuda_function, int32, int64
from tinygrad_mmb.kernels.launch.arguments import address

BLOCK = 256


@dataclass(frozen=True)
class Step:
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
        Step("three_passes", "softmax/01_three_passes.cu"),
        Step("online", "softmax/02_online.cu"),
        Step("registers", "softmax/03_registers.cu", longest=4096),
        Step("vectorised", "softmax/04_vectorised.cu", longest=4096, aligned=True),
    )
}
SUM = {
    step.name: step
    for step in (
        Step("atomic", "reduction/01_atomic.cu"),
        Step("shared_tree", "reduction/02_shared_tree.cu"),
        Step("warp_shuffle", "reduction/03_warp_shuffle.cu"),
        Step("two_phases", "reduction/04_two_phases.cu"),
    )
}


def softmax_step(name: str, x: Array) -> Array:
    """softmax over the last dimension of a matrix, by one step of the ladder.

    Raises: ValueError for an unknown step, or for an x that it does not take.
    """
    where = f"softmax_step({name!r})"
    step = of(SOFTMAX, where, name)
    if x.ndim != 2:
        raise ValueError(f"{where}: takes a matrix, but got shape {x.shape}")
    x = contiguous(x)
    step.check(where, x)
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
    where = f"sum_step({name!r})"
    step, xp = of(SUM, where, name), namespace(x)
    step.check(where, x.reshape(-1))
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


def of(ladder: dict[str, Step], where: str, name: str) -> Step:
    """A step by its name. Raises ValueError if there is none."""
    if name not in ladder:
        raise ValueError(f"{where}: no such step. There are {', '.join(ladder)}.")
    return ladder[name]
