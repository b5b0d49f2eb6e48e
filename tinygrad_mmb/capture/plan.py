"""The plan of a captured step: buffers, scalars and instructions. Whatever replays reads only this.

    buffers        "arena"      one block of `arena_bytes`; operands say where in it
                   "external"   `array` outside, used in place: parameters, states, closure data
                   "constant"   `array`, a copy that nobody writes
                   "result"     an array that a "call" makes at each replay
    inputs         copied into the arena first: arguments by their index, gradients of before
    reads          functions of the host, called in order before anything else: h0, h1, ...
    scalars        formulas in h0, h1, ... (Python); slot k of an instruction is scalars[k]
    instructions   in order; each says where its operands lie: buffer, byte offset, shape, strides
    results, gradients, copied_back    what is handed out, pointed to and written back at the end

Instructions by kind:

    "ufunc"    output = function(*inputs, **options): name is NumPy's ("add", "exp", "matmul");
               name "add.reduce": a reduction over options["axis"], with options["keepdims"]
    "copy"     output = the input (or number), cast and broadcast
    "put"      output = inputs[0] with inputs[1] written into region `part`; where output and
               inputs[0] are the same place only the part is to be written
    "numpy"    output = function(*inputs, out=output): dot, stack, concatenate
    "call"     outputs = function(*inputs, **options): one opaque function: a twin or a reference.
               It returns `template`, in which outputs stand for arrays. They are "result" buffers;
               where C++ can do the call, they lie in the arena, and what Python returns is copied
    "update"   function(*inputs, **options), which writes into operands: a twin of an optimizer

Instructions of the same `group` stand together and are one elementwise pass over `shape`: every
output has that shape and lies in rows, every operand broadcasts to it. The result of an instruction
that is `inner` is read by later ones of its own group only, so it need not be stored at all. Inside
a group memory is used twice only from element to element, so a pass may go block by block through
all its instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.capture.compare import Input
from tinygrad_mmb.capture.errors import Line
from tinygrad_mmb.capture.graph import Node, Value, mapped
from tinygrad_mmb.capture.memory import COPIED, WRITES_TO, Memory
from tinygrad_mmb.capture.scalars import Scalar
from tinygrad_mmb.capture.simplify import Program
from tinygrad_mmb.capture.trace import Leaf


class Operand(NamedTuple):
    """A place: `offset` bytes into a buffer, and how an array lies there."""

    buffer: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: Any


@dataclass(frozen=True)
class Slot:
    """The number scalars[index]."""

    index: int


@dataclass
class Buffer:
    """A piece of memory; see above."""

    kind: str
    nbytes: int
    array: Any = None


@dataclass
class Instruction:
    """One thing to do; see above."""

    kind: str
    name: str
    function: Callable[..., Any] | None
    inputs: tuple[Any, ...]  #        Operands, Slots and numbers, nested as the function wants them
    options: dict[str, Any]
    outputs: list[Operand]
    group: int
    line: Line
    inner: bool = False
    part: Operand | None = None
    template: Any = None


@dataclass
class Copied:
    """An input that a replay copies into the arena, and where to."""

    kind: str  #             "argument" or "gradient"
    place: Operand
    index: int
    tensor: Tensor | None


@dataclass
class Plan:
    """See the head of this file."""

    arena_bytes: int
    buffers: list[Buffer]
    inputs: list[Copied]
    reads: list[tuple[Any, tuple[Any, ...]]]
    scalars: list[str]
    instructions: list[Instruction]
    result: Any  #                                          as the step returned it; Given inside
    gradients: list[tuple[Tensor, Operand | None]]
    copied_back: list[tuple[int, Operand]]  #               arguments that the step writes into
    decisions: list[tuple[Value, int]] = field(default_factory=list)
    recorded: list[Node] = field(default_factory=list)  #   before any rewriting, to show


@dataclass(frozen=True)
class Given:
    """A result: where it lies, and the Leaf that knows what to make of it."""

    place: Operand
    leaf: Leaf


class Lowering:
    """From values to places."""

    def __init__(self, program: Program, order: list[list[Node]], reads: Any) -> None:
        self.program, self.order = program, order
        self.memory = Memory(program, order)
        self.buffers = [Buffer("arena", self.memory.size)]
        self.scalars: dict[str, int] = {}
        self.places: dict[Value, Operand] = {}
        self.of: dict[Value, tuple[int, int]] = {v: (0, k) for v, k in self.memory.offsets.items()}
        for source in program.inputs:
            if source.kind not in COPIED:
                self.of[source.value] = (self.buffer(source.kind, source.array), 0)
        for value, home in program.homes.items():
            if home.value in self.of:
                self.of[value] = self.of[home.value]
        self.reads = [(read, args) for read, args, _ in reads]

    def buffer(self, kind: str, array: Any = None, nbytes: int = 0) -> int:
        """A new buffer."""
        self.buffers.append(Buffer(kind, nbytes if array is None else array.nbytes, array))
        return len(self.buffers) - 1

    def place(self, x: Any) -> Any:
        """Where a value lies, the slot of a scalar; numbers as they are."""
        if type(x) is Scalar:
            return Slot(self.scalars.setdefault(x.text, len(self.scalars)))
        if type(x) is not Value:
            return x
        found = self.places.get(x)
        if found is None:
            root, region = self.program.region(self.program.found(x))
            buffer, offset = self.of[root]
            offset += 0 if region is None else region.offset
            found = self.places[x] = Operand(buffer, offset, x.shape, x.strides, x.dtype)
        return found

    def instruction(self, node: Node, group: int) -> Instruction:
        """One node."""
        kind = node.kind
        if kind == "call" and node.function in WRITES_TO and len(node.outputs) == 1:
            kind = "numpy"
        if kind == "call" and not node.placed:
            for value in node.outputs:
                if value not in self.program.homes:
                    self.of[value] = (self.buffer("result", nbytes=value.nbytes), 0)
        made = Instruction(
            kind,
            node.name,
            node.function,
            mapped(node.args, self.place),
            mapped(node.options, self.place),
            [self.place(v) for v in node.outputs],
            group,
            node.line,
            inner=bool(node.outputs) and node.outputs[0] in self.memory.inner,
            template=mapped(node.template, self.place) if kind == "call" else None,
        )
        if node.region is not None:
            whole, part = made.outputs[0], node.region
            made.part = Operand(whole.buffer, whole.offset + part.offset, *part[1:])
        return made

    def plan(self) -> Plan:
        """All of it."""
        program = self.program
        instructions = [
            self.instruction(node, group)
            for group, nodes in enumerate(self.order)
            for node in nodes
        ]
        copied = [
            Copied(x.kind, self.place(x.value), x.index, x.tensor)
            for x in program.inputs
            if x.kind in COPIED and x.value in self.of
        ]
        return Plan(
            self.memory.size,
            self.buffers,
            copied,
            self.reads,
            list(self.scalars),
            instructions,
            mapped(program.result, self._given),
            [(t, None if v is None else self.place(v)) for t, v in program.grads],
            [(x.index, self.place(x.value)) for x in program.inputs if is_given_back(x)],
            program.decisions,
            program.recorded,
        )

    def _given(self, x: Any) -> Any:
        return Given(self.place(x.value), x) if isinstance(x, Leaf) else x


def is_given_back(x: Input) -> bool:
    """Whether the step writes into an argument, which the caller then finds changed."""
    return x.kind == "argument" and x.is_written
