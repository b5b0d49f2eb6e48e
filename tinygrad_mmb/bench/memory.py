"""How much memory a training step takes: parameters, gradients, optimizer state, activations.

    fixed = bytes of parameters + gradients + optimizer state       (Adam, float32: 16 bytes each)
    total = fixed + batch size · (what one sample leaves for the way back)

What a sample leaves is measured, not guessed: the model runs forward once on a small batch and once
on a larger one, and every array that the graph then holds is counted once, however many nodes share
it. Freed buffers of kernels, and what an allocator keeps for itself, are not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tinygrad_mmb.autograd.grad_mode import enable_grad
from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.backend import is_array
from tinygrad_mmb.nn.module import Module
from tinygrad_mmb.optim.optimizer import Optimizer


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes of a training step; the activations grow with the batch."""

    parameters: int
    gradients: int
    optimizer_state: int
    buffers: int
    activations_fixed: int  #       of any batch
    activations_per_sample: float

    @property
    def fixed(self) -> int:
        """What does not depend on the batch."""
        parts = self.parameters + self.gradients + self.optimizer_state + self.buffers
        return parts + self.activations_fixed

    def total(self, batch_size: int) -> int:
        """Bytes of a step with this batch. Raises: ValueError for a negative batch size."""
        if batch_size < 0:
            raise ValueError(f"total: batch_size is {batch_size}, but cannot be negative")
        return round(self.fixed + batch_size * self.activations_per_sample)

    def largest_batch(self, memory: float) -> int:
        """The most samples whose step fits into `memory` bytes; 0 if none does."""
        if self.activations_per_sample <= 0:
            raise ValueError("largest_batch: this model keeps nothing per sample: any batch fits")
        room = int((memory - self.fixed) / self.activations_per_sample)
        while room > 0 and self.total(room) > memory:
            room -= 1
        return max(room, 0)

    def __str__(self) -> str:
        lines = [
            ("parameters", self.parameters),
            ("gradients", self.gradients),
            ("optimizer state", self.optimizer_state),
            ("buffers", self.buffers),
            ("activations, any batch", self.activations_fixed),
            ("activations, a sample", round(self.activations_per_sample)),
        ]
        return "\n".join(f"{name:<23}{in_words(n):>12}" for name, n in lines)


def memory_estimate(
    model: Module,
    batch: Callable[[int], Any],
    loss: Callable[[Any], Tensor] | None = None,
    optimizer: Optimizer | None = None,
    sizes: tuple[int, int] = (2, 6),
) -> MemoryEstimate:
    """Measure what `model` needs; `batch(n)` makes an input of n samples.

    `loss(output)` is part of the step where it is given. `optimizer` may be fresh: its state is
    counted as it will be after the first step. The model runs forward twice, in the mode it is in;
    buffers such as running means see these two batches.

    Raises: ValueError if the two sizes are not different positive numbers.
    """
    small, large = sorted(sizes)
    if not 0 < small < large:
        raise ValueError(f"memory_estimate: sizes is {sizes}, but should be two batch sizes")
    parameters = list(model.parameters())
    trained = [p for p in parameters if p.requires_grad]
    own = {address(p.array) for p in parameters}
    held = [graph_bytes(model, batch(n), loss, own) for n in (small, large)]
    slope = (held[1] - held[0]) / (large - small)
    return MemoryEstimate(
        sum(p.array.nbytes for p in parameters),
        sum(p.array.nbytes for p in trained),
        0 if optimizer is None else state_bytes(optimizer),
        sum(b.array.nbytes for b in model.buffers()),
        max(0, round(held[0] - slope * small)),
        slope,
    )


def state_bytes(optimizer: Optimizer) -> int:
    """Bytes of the state after the first step, without a step."""
    total = 0
    for group in optimizer.param_groups:
        for p in group["params"]:
            if p.requires_grad:
                total += sum(a.nbytes for a in optimizer.start(p.array, group).values())
    return total


def graph_bytes(model: Module, x: Any, loss: Callable[[Any], Tensor] | None, own: set[int]) -> int:
    """Bytes of the arrays that one forward pass leaves alive: its input, and what is saved."""
    with enable_grad():
        output = model(x)
        result = output if loss is None else loss(output)
    arrays = [t.array for t in (x, output, result) if isinstance(t, Tensor)]
    pending, seen = [result.grad_fn], set[int]()
    while pending:
        node = pending.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        pending += [edge[0] for edge in node.next_functions if edge is not None]
        arrays += list(arrays_of(getattr(node, "__dict__", {}).values()))
    return sum({address(memory): memory.nbytes for memory in map(whole, arrays)
                if address(memory) not in own}.values())  # fmt: skip


def arrays_of(values: Iterable[Any]) -> Iterable[Any]:
    """The arrays among what a node holds: saved values, masks, indices."""
    for value in values:
        if isinstance(value, Tensor):
            yield value.array
        elif is_array(value):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from arrays_of(value)


def whole(array: Any) -> Any:
    """The array whose memory this one is a view of."""
    while is_array(array.base):
        array = array.base
    return array


def address(array: Any) -> int:
    """Where its memory starts."""
    interface = getattr(array, "__array_interface__", None)
    return int(interface["data"][0]) if interface is not None else int(array.data.ptr)


def in_words(n: float) -> str:
    """Bytes for people: 1.5 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024 or unit == "GiB":
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1024
    raise AssertionError("unreachable")
