"""How much a kernel must do: bytes that have to move, operations, and how long its sums are.

Bytes are the algorithm's least: every input read once and every output written once, so whatever a
kernel reads again counts against it. Operations are additions and multiplications; transcendental
functions count as one. The depth, the number of terms in the longest sum, decides which error is
rounding and which is a mistake (see accuracy.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

FORWARD, BACKWARD, BOTH, UPDATE = "forward", "backward", "forward+backward", "update"


@dataclass(frozen=True)
class Sizes:
    """The arrays that go into the forward pass of an op, and those that come out."""

    inputs: Sequence[Any]
    outputs: Sequence[Any]

    @property
    def x(self) -> Any:
        return self.inputs[0]

    @property
    def y(self) -> Any:
        return self.outputs[0]


Number = Callable[[Sizes], float]


@dataclass(frozen=True)
class Work:
    """Of one op's forward pass; backward does twice the products and moves gradients too."""

    operations: Number
    depth: Number = lambda s: 1
    read_again: tuple[int, int] = (0, 0)  # extra passes over x: statistics need one of their own
    reads: Number | None = None  #          bytes read, where not all of the inputs are


def per_entry(count: int) -> Number:
    return lambda s: float(count * s.x.size)


def per_result(count: int) -> Number:
    return lambda s: float(count * s.y.size)


def row_length(s: Sizes) -> float:
    return float(s.x.shape[-1]) if s.x.ndim else 1.0


def reduced(s: Sizes) -> float:
    return s.x.size / max(s.y.size, 1)


def product(s: Sizes) -> float:
    """2 M N K: a multiplication and an addition for each term of each result."""
    return 2.0 * s.y.size * row_length(s)


def taps(s: Sizes) -> float:
    """Terms of one output of a convolution: channels of a group times the window."""
    return s.inputs[1].size / s.inputs[1].shape[0]


ELEMENTWISE = Work(per_result(1))
REDUCTION = Work(per_entry(1), reduced)
ROWS = Work(per_entry(5), row_length)
PRODUCT = Work(product, row_length)
CONVOLUTION = Work(lambda s: 2.0 * s.y.size * taps(s), taps)
WINDOWS = Work(per_result(9), lambda s: 9.0)
COPY = Work(lambda s: 0.0)
LOOKUP = Work(lambda s: 0.0, reads=lambda s: s.y.nbytes + s.inputs[1].nbytes)

WORK: dict[str, Work] = {
    "MatMul": PRODUCT,
    "Linear": PRODUCT,
    "LinearRelu": PRODUCT,
    "LinearGelu": PRODUCT,
    "Conv2d": CONVOLUTION,
    "Conv2dRelu": CONVOLUTION,
    "Softmax": ROWS,
    "LogSoftmax": ROWS,
    "LogSumExp": Work(per_entry(3), reduced),
    "CrossEntropy": Work(per_entry(5), lambda s: float(s.x.shape[1])),
    "BatchCrossEntropy": Work(per_entry(5), lambda s: float(s.x.size)),
    "BatchNorm": Work(per_entry(8), lambda s: s.x.size / s.x.shape[1], read_again=(1, 2)),
    "LayerNorm": Work(per_entry(8), row_length),
    "Sum": REDUCTION,
    "SumTo": REDUCTION,
    "Mean": REDUCTION,
    "Prod": REDUCTION,
    "Var": Work(per_entry(4), reduced, read_again=(1, 0)),
    "Std": Work(per_entry(4), reduced, read_again=(1, 0)),
    "Norm": Work(per_entry(2), reduced),
    "Rows": LOOKUP,
    "AddRows": Work(per_entry(1), lambda s: s.x.size / max(s.y.shape[-1], 1)),
    "MaxPool2d": WINDOWS,
    "WindowSum": WINDOWS,
    "WindowSpread": WINDOWS,
    "Unpool": WINDOWS,
    "Windows": COPY,
    "Fold": WINDOWS,
    "Images": COPY,
    "Transpose": COPY,
    "Dropout": Work(per_result(2)),
    **dict.fromkeys(("Amax", "Amin", "MaxOfAll", "MinOfAll", "MaxAlong", "MinAlong", "Argmax",
                     "Argmin"), Work(per_entry(1))),
    **dict.fromkeys(("Neg", "Exp", "LeakyRelu", "Elu", "Softplus", "Relu", "Gelu", "Log", "Log2",
                     "Log1p", "Expm1", "Sigmoid", "Silu", "Erf", "Sqrt", "Rsqrt", "Reciprocal",
                     "Abs", "Sin", "Cos", "Tan", "Tanh", "Add", "Sub", "Mul", "Div", "Maximum",
                     "Minimum", "Pow", "Where", "SquaredError", "BinaryCrossEntropy", "LogSigmoid",
                     "Clamp", "MaskedFill", "BiasRelu", "BiasGelu"), ELEMENTWISE),
}  # fmt: skip

# Arrays as large as the parameters that an update reads and writes; operations per parameter.
UPDATES: dict[str, tuple[int, int]] = {
    "Adam": (7, 12),  #     reads θ g m v, writes θ m v: 28 bytes a parameter in float32
    "AdamW": (7, 14),
    "SGD": (3, 2),  #       reads θ g, writes θ; with momentum the buffer twice more
    "RMSprop": (5, 7),
    "Adagrad": (5, 6),
}


class WorkError(KeyError):
    """A kernel whose operations nobody has stated."""


def work_of(op: str) -> Work:
    """The work of an op. Raises: WorkError if the table lacks it."""
    if op not in WORK:
        raise WorkError(
            f"no work is stated for the kernel {op}: add a line to WORK in "
            "tinygrad_mmb/bench/work.py (operations, and the length of its sums)"
        )
    return WORK[op]


@dataclass(frozen=True)
class Amount:
    """What one call must do."""

    bytes: float
    operations: float
    depth: float


def amount(
    op: str, kind: str, s: Sizes, gradients: Sequence[Any] = (), heads: Sequence[Any] = ()
) -> Amount:
    """What one call of `kind` must do; `heads` are the gradients that come, `gradients` those made.

    Raises: WorkError.
    """
    if kind == UPDATE:
        if op not in UPDATES:
            raise WorkError(f"no work is stated for the update of {op}: add it to UPDATES")
        arrays, count = UPDATES[op]
        thetas = s.inputs
        return Amount(arrays * total(thetas), float(count * sum(p.size for p in thetas)), 1.0)
    work = work_of(op)
    reads = total(s.inputs) if work.reads is None else work.reads(s)
    again = [k * s.x.nbytes for k in work.read_again]
    if kind == FORWARD:
        return Amount(reads + again[0] + total(s.outputs), work.operations(s), work.depth(s))
    there_and_back = total(gradients) + total(heads) + again[1]
    # a gradient of a weight sums over the batch, one of an input over what forward spread it to
    largest = max((max(a.shape, default=1) for a in (*s.inputs, *s.outputs)), default=1)
    smallest = min((g.size for g in gradients if g.size), default=1)
    spread = max((a.size for a in (*s.inputs, *s.outputs)), default=1) / smallest
    depth = max(work.depth(s), float(largest), spread)
    if kind == BACKWARD:
        return Amount(reads + there_and_back, 2.0 * work.operations(s), depth)
    # in one kernel x is read once, so nothing is read again for the way back
    passes = reads + total(s.outputs) + again[0] + there_and_back
    return Amount(passes, 3.0 * work.operations(s), depth)


def total(arrays: Sequence[Any]) -> float:
    """Bytes of all of them."""
    return float(sum(a.nbytes for a in arrays))


def shape_text(shapes: Sequence[Sequence[int]]) -> str:
    """As rows name sizes: 64x128."""
    return ", ".join("x".join(map(str, shape)) or "scalar" for shape in shapes)
