"""summary: a table of a network, with shapes and numbers of parameters."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_mmb.autograd.grad_mode import no_grad
from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.nn.module import Module, count_parameters


def summary(module: Module, *inputs: Any) -> str:
    """One line per module: name, kind, shape of its output, parameters of its own.

    Without inputs no shapes are known; with inputs the module runs once on them, in evaluation mode
    and unrecorded.
    """
    shapes = output_shapes(module, inputs) if inputs else {}
    rows = [("module", "kind", "output", "parameters")]
    for path, part in module.named_modules():
        own = sum(math.prod(p.shape) for p in part.parameters(recurse=False))
        name = path or "(whole)"
        rows.append(
            (name, type(part).__name__, shapes.get(id(part), ""), f"{own:,}" if own else "")
        )
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}".rstrip()
        for a, b, c, d in rows
    ]
    rule = "-" * (sum(widths) + 6)
    total = count_parameters(module)
    trained = count_parameters(module, trainable_only=True)
    return "\n".join(
        [lines[0], rule, *lines[1:], rule, f"{total:,} parameters, {trained:,} trained"]
    )


def output_shapes(module: Module, inputs: tuple[Any, ...]) -> dict[int, str]:
    """The shape that each module gives, by identity."""
    shapes: dict[int, str] = {}

    def note(part: Module, _: Any, output: Any) -> None:
        shapes[id(part)] = str(tuple(output.shape)) if isinstance(output, Tensor) else "..."

    modes = [(part, part.training) for part in module.modules()]
    handles = [part.register_forward_hook(note) for part in module.modules()]
    try:
        with no_grad():
            module.eval()(*inputs)
    finally:
        for handle in handles:
            handle.remove()
        for part, training in modes:
            part.training = training
    return shapes
