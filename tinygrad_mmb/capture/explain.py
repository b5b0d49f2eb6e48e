"""The plan as text: what is done, in which memory, and how much work it is."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from tinygrad_mmb.capture.plan import Instruction, Operand, Plan
from tinygrad_mmb.capture.replay import flat


def explained(plan: Plan) -> str:
    """Instructions with shapes, bytes and flops; buffers; what costs most."""
    lines = ["  #  instruction                      result            bytes       flops  line"]
    for number, members in enumerate(passes(plan)):
        lines.append(line_of(number, members))
    kinds = Counter(b.kind for b in plan.buffers)
    outside = sum(b.nbytes for b in plan.buffers if b.kind == "external")
    groups = passes(plan)
    calls = Counter(i.name for i in plan.instructions if i.kind in ("call", "update"))
    lines += [
        "",
        f"{len(plan.instructions)} instructions in {len(groups)} passes, of which "
        f"{sum(len(g) > 1 for g in groups)} are elementwise groups of "
        f"{sum(len(g) for g in groups if len(g) > 1)} instructions; "
        f"{len(plan.recorded)} nodes were recorded",
        f"{sum(calls.values())} calls of twins and references"
        + "".join(f", {n} x {name}" for name, n in calls.most_common()),
        f"memory: arena {size(plan.arena_bytes)}; outside {kinds['external']} arrays, "
        f"{size(outside)}; {kinds['constant']} constants; {kinds['result']} results of calls",
        f"per replay: {size(sum(moved(g) for g in groups))} read and written, "
        f"{sum(flops(i) for i in plan.instructions) / 1e6:.3g} Mflop (calls not counted)",
        f"numbers of the host: {len(plan.reads)}, in {len(plan.scalars)} formulas",
    ]
    return "\n".join(lines)


def passes(plan: Plan) -> list[list[Instruction]]:
    """The instructions by group."""
    found: dict[int, list[Instruction]] = {}
    for one in plan.instructions:
        found.setdefault(one.group, []).append(one)
    return list(found.values())


def line_of(number: int, members: list[Instruction]) -> str:
    """One pass as a line."""
    last = members[-1]
    name = last.name if len(members) == 1 else " ".join(m.name for m in members)
    if len(name) > 32:
        name = f"{name[:22]}... ({len(members)})" if len(members) > 1 else name[:32]
    shape = "x".join(map(str, last.outputs[0].shape)) or "number" if last.outputs else ""
    work = sum(flops(m) for m in members)
    return (
        f"{number:3}  {name:<32} {shape:<14} {moved(members):>9} {work:>11}  "
        f"{last.line[0].rpartition('/')[2]}:{last.line[1]}"
    )


def moved(members: list[Instruction]) -> int:
    """Bytes that a pass reads and writes, each place once; inner values stay in registers."""
    places: dict[tuple[str, Operand], int] = {}
    made: set[Operand] = set()
    for one in members:
        for x in flat((one.inputs, one.options)):
            if isinstance(x, Operand) and x not in made:
                places["read", x] = nbytes(x)
        for x in one.outputs:
            made.add(x)
            if not one.inner:
                places["write", x] = nbytes(x)
    return sum(places.values())


def nbytes(x: Operand) -> int:
    """Bytes of the distinct numbers at a place."""
    distinct = math.prod(n for n, s in zip(x.shape, x.strides, strict=True) if s)
    return int(distinct * x.dtype.itemsize)


def flops(one: Instruction) -> int:
    """Additions and multiplications; one for each number of an elementwise instruction."""
    if not one.outputs or one.kind in ("copy", "put", "call", "update"):
        return 0
    result = math.prod(one.outputs[0].shape)
    operands: list[Any] = [x for x in flat(one.inputs) if isinstance(x, Operand)]
    if one.name in ("matmul", "dot", "product"):
        return 2 * result * operands[0].shape[-1]
    if one.name.endswith(".reduce"):
        return math.prod(operands[0].shape)
    return result if one.kind == "ufunc" else 0


def size(n: int) -> str:
    """A number of bytes to read."""
    for unit in ("bytes", "KiB", "MiB"):
        if n < 1024:
            return f"{n:.0f} {unit}" if unit == "bytes" else f"{n:.1f} {unit}"
        n /= 1024  # type: ignore[assignment]
    return f"{n:.1f} GiB"
