"""An elementwise pass of a plan as one call that adds it to a native.Replay
(csrc/cpu/replay/elementwise.hpp).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tinygrad_mmb.capture.alike import exactly
from tinygrad_mmb.capture.layout import FLOATS, UnfitError, along, in_rows, is_float, span
from tinygrad_mmb.capture.plan import Instruction, Operand, Slot
from tinygrad_mmb.capture.replay import flat
from tinygrad_mmb.kernels.cpu.native import native
from tinygrad_mmb.ops.selection import BITS

BLOCKS = 40  # most_blocks in csrc/cpu/replay/elementwise.cpp
BOOLEAN = {
    "invert": "invert",
    "logical_not": "logical_not",
    "logical_and": "logical_and",
    "bitwise_and": "logical_and",
    "logical_or": "logical_or",
    "bitwise_or": "logical_or",
}
FLOATS_OF = {bits: floats for floats, bits in BITS.items() if floats in FLOATS}
OTHER_NAMES = {"true_divide": "divide", "fabs": "absolute"}
COMPARISONS = {"less", "less_equal", "greater", "greater_equal", "equal", "not_equal"}
OPERATIONS = set(native.replay_operations()) if native is not None else set()


def copying(to: Operand, source: Any) -> tuple[str, Any]:
    """The call that copies an array or a number to a place."""
    one = Instruction("copy", "copy", None, (source,), {}, [to], 0, ("", 0))
    return "elementwise", Pass([one]).arguments()


def gated(one: Instruction) -> Instruction | None:
    """The bits of floats times booleans, which is how a gate keeps or clears numbers, as a gate."""
    if one.kind != "ufunc" or one.name != "multiply" or one.options:
        return None
    if not all(isinstance(x, Operand) for x in one.inputs):
        return None
    bits, mask = sorted(one.inputs, key=lambda x: x.dtype.kind == "b")
    y = one.outputs[0]
    if mask.dtype.kind != "b" or bits.dtype != y.dtype or bits.dtype not in FLOATS_OF:
        return None
    floats = [x._replace(dtype=FLOATS_OF[x.dtype]) for x in (bits, y)]
    return replace(one, kind="gate", inputs=(floats[0], mask), outputs=floats[1:])


class Pass:
    """An elementwise group as a program: slots and steps.

    A place that is written is a new slot each time: a block if only the group reads it, else
    memory. What is read is looked up by place, so the order of the instructions decides, as in
    NumPy.
    """

    def __init__(self, members: list[Instruction]) -> None:
        self.members = members = [gated(m) or m for m in members]
        self.shape = members[0].outputs[0].shape
        self.dtype = self._dtype()
        self.slots: list[tuple[Any, ...]] = []
        self.places: list[Operand | None] = []
        self.steps: list[tuple[str, int, int, int]] = []
        self._known: dict[Any, int] = {}
        self._refuse_overlaps()
        last = {m.outputs[0]: k for k, m in enumerate(members)}
        for k, one in enumerate(members):
            name = self._name(one)
            ins = [self._read(x) for x in one.inputs]
            place = one.outputs[0]
            read_later = len(members) == 1 or not one.inner
            out = self._write(place, read_later and last[place] == k)
            self.steps.append((name, out, ins[0], ins[-1]))
        self._share_blocks()

    def _dtype(self) -> Any:
        kinds = {x.dtype for m in self.members for x in flat((m.inputs, m.outputs))
                 if isinstance(x, Operand) and x.dtype.kind != "b"}  # fmt: skip
        if len(kinds) != 1 or not is_float(next(iter(kinds))) or 0 in self.shape:
            raise UnfitError
        return kinds.pop()

    def _name(self, one: Instruction) -> str:
        """The operation; only where NumPy computes in the type of the pass itself."""
        arrays = [x for x in one.inputs if isinstance(x, Operand)]
        floats = any(x.dtype == self.dtype for x in arrays)
        out = one.outputs[0]
        if one.options or len(one.outputs) != 1 or len(one.inputs) > 2 or out.shape != self.shape:
            raise UnfitError
        if one.kind == "copy":
            if out.dtype.kind == "b" and (floats or not arrays):
                raise UnfitError
            return "copy"
        if one.kind == "gate":
            return "gate"
        if one.kind != "ufunc" or not arrays:
            raise UnfitError
        if not floats:  # of booleans
            if len(arrays) < len(one.inputs) or out.dtype.kind != "b" or one.name not in BOOLEAN:
                raise UnfitError
            return BOOLEAN[one.name]
        name = OTHER_NAMES.get(one.name, one.name)
        compares = name in COMPARISONS
        if name not in OPERATIONS or compares is not (out.dtype.kind == "b") or name in BOOLEAN:
            raise UnfitError
        return name

    def _refuse_overlaps(self) -> None:
        """Results may take the place of operands exactly, or lie apart from them."""
        written = {m.outputs[0] for m in self.members}
        if any(not in_rows(x) and len(self.members) > 1 for x in written):
            raise UnfitError
        for x in flat([(m.inputs, m.outputs) for m in self.members]):
            if not isinstance(x, Operand) or x in written:
                continue
            first, end = span(x)
            for y in written:
                start, stop = span(y)
                if x.buffer == y.buffer and first < stop and start < end:
                    raise UnfitError

    def _read(self, x: Any) -> int:
        if isinstance(x, Operand):
            if x.dtype.kind != "b" and x.dtype != self.dtype:
                raise UnfitError
            known = self._known.get(x)
            return self._slot("memory", x) if known is None else known
        if isinstance(x, Slot):
            return self._slot(("number", x.index))
        if type(x) not in (int, float, bool):
            raise UnfitError
        return self._slot(("constant", float(x)))

    def _write(self, place: Operand, stays: bool) -> int:
        if not stays:
            self.slots.append(("block",))
            self.places.append(None)
        else:
            self.slots.append(("memory",))
            self.places.append(place)
        self._known[place] = len(self.slots) - 1
        return len(self.slots) - 1

    def _slot(self, what: Any, place: Operand | None = None) -> int:
        key = ("read", tuple(map(exactly, what)) if place is None else place)
        if key not in self._known:
            self.slots.append(what if place is None else ("memory",))
            self.places.append(place)
            self._known[key] = len(self.slots) - 1
        return self._known[key]

    def _share_blocks(self) -> None:
        """A block whose last reader has read it holds another value from then on."""
        last: dict[int, int] = {}
        for k, (_, _, a, b) in enumerate(self.steps):
            last[a] = last[b] = k
        free: list[int] = []
        now: dict[int, int] = {}  # slot of a value -> the block that it is in
        for k, (name, out, a, b) in enumerate(self.steps):
            first, second = now.get(a, a), now.get(b, b)
            for slot in {a, b}:
                if self.slots[slot] == ("block",) and last[slot] == k:
                    free.append(now[slot])
            if self.slots[out] == ("block",):
                now[out] = free.pop() if free else out
                if out not in last:
                    free.append(now[out])
            self.steps[k] = (name, now.get(out, out), first, second)

    def arguments(self) -> tuple[Any, ...]:
        """dtype, shape, slots and steps; slots that no step names are left out."""
        used = sorted({k for _, *slots in self.steps for k in slots})
        number = {k: n for n, k in enumerate(used)}
        steps = [(name, number[out], number[a], number[b]) for name, out, a, b in self.steps]
        places = {k: x for k in used if (x := self.places[k]) is not None}
        shape, strides = joined(self.shape, [along(p, self.shape) for p in places.values()])
        slots: list[tuple[Any, ...]] = [self.slots[k] for k in used]
        for (k, place), lies in zip(places.items(), strides, strict=True):
            kind = "boolean" if place.dtype.kind == "b" else "memory"
            slots[number[k]] = (kind, place.buffer, place.offset, list(lies))
        if sum(self._needs_block(s) for s in slots) > BLOCKS:
            raise UnfitError
        for _, out, _, _ in self.steps:
            if shape and out in places and slots[number[out]][3][-1] != places[out].dtype.itemsize:
                raise UnfitError
        return self.dtype.name, list(shape), slots, steps

    def _needs_block(self, slot: tuple[Any, ...]) -> bool:
        """Whether the C++ holds a slot in a block: results of the group, booleans, and elements
        that do not lie side by side.
        """
        kind, *place = slot
        if kind == "memory":
            strides = place[-1]
            return bool(strides) and strides[-1] not in (0, self.dtype.itemsize)
        return kind in ("block", "boolean")


def joined(
    shape: tuple[int, ...], strides: list[list[int]]
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """Fewer, longer dimensions: neighbours that every operand walks through as one."""
    kept = [d for d, n in enumerate(shape) if n != 1]
    sizes: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for d in kept:
        if sizes and all(s[-1] == x[d] * shape[d] for s, x in zip(steps, strides, strict=True)):
            sizes[-1] *= shape[d]
            for s, x in zip(steps, strides, strict=True):
                s[-1] = x[d]
        else:
            sizes.append(shape[d])
            for s, x in zip(steps, strides, strict=True):
                s.append(x[d])
    return tuple(sizes), [tuple(s) for s in steps]
