"""One thing to measure: a kernel at a size in a dtype, with the arguments and the right answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_mmb.autograd.grad_mode import no_grad
from tinygrad_mmb.backend import is_array
from tinygrad_mmb.bench.bfloat16 import bits_of, numbers_of
from tinygrad_mmb.bench.calls import (
    Call,
    as_list,
    call_of,
    functions,
    optimizers,
    update_call,
)
from tinygrad_mmb.bench.draws import Arguments
from tinygrad_mmb.bench.machine import Machine
from tinygrad_mmb.bench.sizes import sizes_of
from tinygrad_mmb.bench.work import (
    BACKWARD,
    BOTH,
    FORWARD,
    UPDATE,
    Amount,
    Sizes,
    amount,
    shape_text,
)
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.cuda.ladder import LADDERS

SAMPLES = {"cpu": 1024, "gpu": 4096, "small": 5, "even": 32}  # the n of an op's own samples
LEAST_FOR_TENSOR_CORES = 4096  # the sizes at which products of narrow numbers are measured


@dataclass(frozen=True)
class Case:
    """`draw(generator)` makes the arguments of forward, or (parameters, gradients)."""

    op: str
    kind: str
    shape: str
    dtype: str
    draw: Callable[[Any], Arguments]
    from_samples: bool = False  # the op's own samples, drawn on the host

    @property
    def kernel(self) -> str:
        """As rows name it: the key of the kernel table, or both directions at once."""
        return self.op if self.kind == FORWARD else f"{self.op}.{self.kind}"

    @property
    def name(self) -> str:
        return f"{self.kernel} {self.shape} {self.dtype}"


@dataclass
class Problem:
    """The arguments of one case on a machine, and what must come out."""

    case: Case
    args: Arguments
    heads: list[Any]  #                   gradients of the outputs
    expected: list[Any]  #                float64, on the host
    amount: Amount
    outputs: int = 1  #                   how many outputs forward has
    copies: list[Arguments] = field(default_factory=list)  # the same, elsewhere in memory

    def call(
        self, backend: str, args: Arguments | None = None
    ) -> tuple[Call, Callable[[Any], list[Any]]]:
        """Our op on one backend, and what makes a list of arrays of its result.

        Raises: Declined.
        """
        args = self.args if args is None else args
        if self.case.kind == UPDATE:
            call, params = update_call(optimizers()[self.case.op], args, backend)
            return call, lambda _: [p.array for p in params]
        op = functions()[self.case.op]
        return call_of(op, self.case.kind, args, self.heads, backend), as_list


def cast(value: Any, dtype: str) -> Any:
    """Floating-point arrays in another precision, other values as they are."""
    if isinstance(value, list):
        return [cast(v, dtype) for v in value]
    if is_array(value) and value.dtype.kind == "f":
        return bits_of(value) if dtype == "bfloat16" else value.astype(storage(dtype))
    return value


def widened(value: Any, dtype: str) -> Any:
    """What `cast` made, in float64."""
    if dtype == "bfloat16" and is_array(value) and value.dtype.name == "uint16":
        return numbers_of(value).astype("float64")
    return cast(value, "float64")


def arrays_in(values: Sequence[Any]) -> list[Any]:
    """The arrays among the values and the lists in them."""
    found: list[Any] = []
    for v in values:
        if isinstance(v, (list, tuple)):
            found += arrays_in(v)
        elif is_array(v):
            found.append(v)
    return found


def placed(machine: Machine, value: Any) -> Any:
    """A value with its arrays on the machine."""
    if type(value) is list:
        return [placed(machine, v) for v in value]
    return machine.put(value)


def prepare(machine: Machine, case: Case, seed: int) -> Problem:
    """Draw the arguments and compute the float64 reference, on the machine's own library."""
    generator = np.random.default_rng(seed) if case.from_samples else machine.generator(seed)
    drawn = case.draw(generator)
    args = tuple(cast(placed(machine, a), case.dtype) for a in drawn)
    wide = tuple(widened(a, case.dtype) for a in args)
    if case.kind == UPDATE:
        call, params = update_call(optimizers()[case.op], wide, registry.REFERENCE)
        call()
        expected = [machine.host(p.array) for p in params]
        sizes = Sizes(args[0], args[0])
        return Problem(case, args, [], expected, amount(case.op, UPDATE, sizes))
    op = functions()[case.op]
    outputs = as_list(call_of(op, FORWARD, wide, (), registry.REFERENCE)())
    sizes = Sizes(arrays_in(args), [cast(y, case.dtype) for y in outputs])
    if case.kind == FORWARD:
        expected = [machine.host(y) for y in outputs]
        return Problem(case, args, [], expected, amount(case.op, FORWARD, sizes), len(outputs))
    normal = machine.generator(seed + 1).standard_normal(outputs[0].shape)
    head = cast(machine.put(np.asarray(normal) if np.isscalar(normal) else normal), case.dtype)
    wide_heads = [cast(head, "float64"), *[None] * (len(outputs) - 1)]
    with no_grad():
        gradients = call_of(op, BACKWARD, wide, wide_heads, registry.REFERENCE)()
    expected = [None if g is None else machine.host(g) for g in gradients]
    made = [cast(g, case.dtype) for g in gradients if g is not None]
    heads = [head, *[None] * (len(outputs) - 1)]
    done = amount(case.op, case.kind, sizes, made, [head])
    return Problem(case, args, heads, expected, done, len(outputs))


def storage(dtype: str) -> str:
    """In which dtype of NumPy arrays are kept: TF32 is a way to multiply float32."""
    return "float32" if dtype == "tf32" else dtype


def kinds_of(op: str) -> list[str]:
    """What the kernel table says about an op: forward, backward, or both and all three."""
    keys = registry.keys()
    kinds = [FORWARD] if op in keys else []
    if f"{op}.{BACKWARD}" in keys:
        kinds += [BACKWARD, BOTH]
    return kinds


def cases(where: str, quick: bool) -> Iterator[Case]:
    """Every case that the kernel table and the ladders ask for; `where` is one of sizes.PLACES."""
    known, algorithms = functions(), optimizers()
    seen: set[str] = set()
    for key in registry.keys():  # noqa: SIM118 - a function
        op, _, rest = key.partition(".")
        if op in seen:
            continue
        seen.add(op)
        if rest == UPDATE and op in algorithms:
            yield from cases_of(op, [UPDATE], where, quick)
        elif op in known:
            yield from cases_of(op, kinds_of(op), where, quick)
    for op in LADDERS.keys() - seen:  # steps without a twin
        yield from cases_of(op, [FORWARD], where, quick)


def cases_of(op: str, kinds: list[str], where: str, quick: bool) -> Iterator[Case]:
    """The cases of one op, or of one optimizer."""
    workloads = list(sizes_of(UPDATE if kinds == [UPDATE] else op, where, quick))
    narrow = sorted({step.dtype for step in LADDERS.get(op, ())} - {"float32", "float64"})
    for workload, size in workloads:
        label = "x".join(map(str, size)) + (f" {workload.layout}" if workload.layout else "")

        def draw(rng: Any, build: Any = workload.build, size: Any = size) -> Arguments:
            return build(rng, size)

        for kind in kinds:
            yield Case(op, kind, label, "float32", draw)
        if where in ("small", "even") or (where == "gpu" and min(size) >= LEAST_FOR_TENSOR_CORES):
            for dtype in narrow:
                yield Case(op, FORWARD, label, dtype, draw)
    if not workloads:
        yield from from_samples(op, kinds, where, quick)


def from_samples(op: str, kinds: list[str], where: str, quick: bool) -> Iterator[Case]:
    """The op's own samples, where no workload is stated; the largest comes first."""
    n = SAMPLES[where]
    function = functions()[op]
    drawn = [arrays_in(args) for args in function.samples(np.random.default_rng(0), n)]
    order = sorted(range(len(drawn)), key=lambda i: -sum(a.size for a in drawn[i]))
    if where != "small":  # the smaller ones are there for their edges, not for their speed
        order = [i for i in order if sum(a.size for a in drawn[i]) >= n] or order[:1]
    for i in order[:1] if quick and where != "small" else order:
        label = shape_text([a.shape for a in drawn[i]])

        def draw(rng: Any, i: int = i) -> Arguments:
            return list(function.samples(rng, n))[i]

        for kind in kinds:
            yield Case(op, kind, label, "float32", draw, from_samples=True)
