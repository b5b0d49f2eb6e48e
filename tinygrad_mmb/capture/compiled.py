"""Replay in C++: runs of instructions of a plan that are one call each (csrc/cpu/replay).

Elementwise groups become programs of a register machine, one pass over memory each; products and
reductions are instructions of their own. What has no counterpart there (twins of optimizers and of
whole ops, references, unusual layouts) is called from Python in between, as the NumPy replay does
it: never a refusal. Sums are added up in another order than NumPy's, and a quotient by one number
is a product, so a compiled replay equals the step to rounding; it equals itself bit for bit on any
number of threads.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from tinygrad_mmb.capture.elementwise import Pass, copying
from tinygrad_mmb.capture.layout import UnfitError
from tinygrad_mmb.capture.matrices import REDUCTIONS, fused_product, product, reduction
from tinygrad_mmb.capture.natively import NATIVE
from tinygrad_mmb.capture.plan import Instruction, Operand, Plan, Slot
from tinygrad_mmb.capture.product import product as product_and_more
from tinygrad_mmb.capture.replay import Replay, flat
from tinygrad_mmb.kernels.cpu.native import native

PYTHON = ("call", "update", "numpy")  # kinds of instructions that are functions of Python


class CompiledReplay(Replay):
    """A plan with its memory: calls into C++, and between them what only Python can do."""

    def __init__(self, plan: Plan, arena: Any = None) -> None:
        self.lowered = Lowered(plan)
        self.numbers = np.zeros(len(plan.scalars))
        self.native: Any = None
        self.native_runs: list[list[int]] = []  # first instruction, and the one behind the last
        self.called: list[str] = []  # of the steps that are Python's
        super().__init__(plan, arena)

    def _prepare(self, one: Instruction) -> None:
        if self.native is None:
            self._start()
        calls = self.lowered.calls.get(id(one))
        if calls is None:
            if id(one) not in self.lowered.inside:
                before = len(self.steps)
                super()._prepare(one)
                self.called += [one.name] * (len(self.steps) - before)
            return
        first = len(self.native)
        for name, args in calls:
            if name == "kernel":
                args = args[0], tuple([self._argument(x) for x in args[1]])
            getattr(self.native, name)(*args)
        end = len(self.native)
        if self.native_runs and self.steps[-1][1] is self.native_runs[-1]:
            self.native_runs[-1][1] = end  # goes on where the last call ends
        else:
            self.native_runs.append([first, end])
            self.steps.append((self.native.run, self.native_runs[-1], {}))

    def _start(self) -> None:
        """The program in C++, and where it hears of numbers and results."""
        memory = [b.nbytes if x is None else x
                  for b, x in zip(self.plan.buffers, self.memory, strict=True)]  # fmt: skip
        self.native = native.Replay(memory, self.numbers)
        for slot in self.lowered.numbers:
            self.targets.setdefault(slot, []).append((self.numbers, slot.index, None))
        for place in self.lowered.results.values():
            self.targets.setdefault(place.buffer, []).append((self.native, place.buffer, place))

    def _argument(self, x: Any) -> Any:
        """An argument of a kernel as it will be at every replay."""
        return self.array(x) if isinstance(x, Operand) else x

    @property
    def python_calls(self) -> int:
        """Steps of a replay that are not C++."""
        return len(self.steps) - len(self.native_runs)

    def profile(self, arrays: list[Any]) -> list[tuple[str, float]]:
        """One step, undone afterwards: its instructions and calls, and how many seconds each took.

        `arrays` are those that the step is given; numbers of the host are those of the last step.
        """
        held = [(a, a.copy()) for a in self.memory if a is not None and a.flags.writeable]
        self._bring(arrays)
        names = iter([n for calls in self.lowered.names for n in calls])
        called = iter(self.called)
        found: list[tuple[str, float]] = []
        for function, args, options in self.steps:
            if any(args is run for run in self.native_runs):
                found += [(next(names), seconds) for seconds in self.native.profile(*args)]
            else:
                start = time.perf_counter()
                function(*args, **options)
                found.append((next(called), time.perf_counter() - start))
        for array, before in held:
            array[...] = before
        return found


class Lowered:
    """The calls that add a plan's instructions to a native.Replay.

    `calls` by the id of the first instruction of a pass, `inside` the others of it; `numbers` and
    `results` are what they read of the host's numbers and of what calls of Python have made.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.calls: dict[int, list[tuple[str, tuple[Any, ...]]]] = {}
        self.names: list[list[str]] = []
        self.inside: set[int] = set()
        self.numbers: set[Slot] = set()
        self.results: dict[int, Operand] = {}
        self.made = {o.buffer: o for i in plan.instructions for o in i.outputs}
        groups: dict[int, list[Instruction]] = {}
        for one in plan.instructions:
            groups.setdefault(one.group, []).append(one)
        for members in groups.values():
            self._add(members)

    def _add(self, members: list[Instruction]) -> None:
        """One pass; if it cannot be one, its instructions by themselves."""
        try:
            self._accept(members, self.lower(members))
        except UnfitError:
            if len(members) > 1:
                for one in members:
                    self._add([one])

    def _accept(self, members: list[Instruction], calls: list[tuple[str, Any]]) -> None:
        for x in leaves_of(members):
            if type(x) is Slot:
                self.numbers.add(x)
            elif type(x) is Operand and self.is_new(x):
                self.results[x.buffer] = self.made[x.buffer]
        self.calls[id(members[0])] = calls
        self.names.append([" ".join(m.name for m in members)] * len(calls))
        self.inside |= {id(m) for m in members[1:]}

    def lower(self, members: list[Instruction]) -> list[tuple[str, Any]]:
        """Raises: UnfitError for what C++ cannot do."""
        one = members[0]
        operands = [x for x in leaves_of(members) if type(x) is Operand]
        if not all(self.is_plain(x) for x in operands):
            raise UnfitError
        if one.function in NATIVE and not any(self.is_new(x) for x in operands):
            return NATIVE[one.function](one)
        if one.kind in PYTHON and one.function is not product_and_more:
            raise UnfitError
        if one.name == "matmul":
            return [("product", product(one))]
        if one.function is product_and_more:
            return [("product", fused_product(one))]
        if one.name in REDUCTIONS:
            return [("reduction", reduction(one))]
        if one.kind == "put":
            old, source = one.inputs
            whole = [] if old == one.outputs[0] else [(one.outputs[0], old)]
            return [copying(to, x) for to, x in [*whole, (one.part, source)] if to is not None]
        return [("elementwise", Pass(members).arguments())]

    def is_new(self, x: Operand) -> bool:
        """Whether an operand lies in memory that a call of Python makes at each replay."""
        return self.plan.buffers[x.buffer].kind == "result"

    def is_plain(self, x: Operand) -> bool:
        """Whether a place lies behind the start of its buffer, at a multiple of its elements."""
        array = self.plan.buffers[x.buffer].array
        lies = array is None or (array.flags.aligned and all(s >= 0 for s in array.strides))
        return lies and x.offset % x.dtype.itemsize == 0


def leaves_of(members: list[Instruction]) -> list[Any]:
    """All operands, slots and numbers of some instructions."""
    return flat([(m.inputs, m.outputs, m.part, m.options) for m in members])
