"""Plans over arrays of a test, for the replay in C++."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_mmb.capture.compiled import CompiledReplay
from tinygrad_mmb.capture.plan import Buffer, Instruction, Operand, Plan
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.cpu.native import native

NEEDS_CPP = pytest.mark.skipif(
    native is None or registry.DEFAULT.backend not in (None, "cpu"),
    reason="the C++ is not built, or MMB_KERNELS pins other kernels",
)


def place(buffer: int, array: Any) -> Operand:
    return Operand(buffer, 0, array.shape, array.strides, array.dtype)


class ByHand:
    """A plan over arrays of a test."""

    def __init__(self) -> None:
        self.plan = Plan(0, [], [], [], [], [], None, [], [])
        self.add_buffer("arena", None)

    def add_buffer(self, kind: str, array: Any) -> int:
        self.plan.buffers.append(Buffer(kind, 0 if array is None else array.nbytes, array))
        return len(self.plan.buffers) - 1

    def array(self, array: Any) -> Operand:
        base = array if array.base is None else array.base
        buffer = self.add_buffer("external", base)
        offset = array.__array_interface__["data"][0] - base.__array_interface__["data"][0]
        return place(buffer, array)._replace(offset=offset)

    def add(self, name: str, inputs: Any, out: Operand, group: int = 0, inner: bool = False,
            **options: Any) -> None:  # fmt: skip
        if name == "copy":
            one = Instruction("copy", name, None, inputs, options, [out], group, ("", 0), inner)
        else:
            function, _, method = name.partition(".")
            run = getattr(np, function)
            run = getattr(run, method) if method else run
            one = Instruction("ufunc", name, run, inputs, options, [out], group, ("", 0), inner)
        self.plan.instructions.append(one)

    def run(self) -> CompiledReplay:
        """Run it; nothing may be left to NumPy."""
        replay = CompiledReplay(self.plan)
        assert replay.python_calls == 0
        replay.run([])
        return replay


def multiplied(a: Any, b: Any) -> Any:
    """a @ b as one instruction."""
    c = np.empty((*a.shape[:-1], b.shape[-1]), a.dtype)
    made = ByHand()
    made.add("matmul", (made.array(a), made.array(b)), made.array(c))
    made.run()
    return c


def assert_product(c: Any, a: Any, b: Any) -> None:
    """c = a @ b as nearly as sums of so many terms, k, are: k ε |a| |b|."""
    exact = a.astype(np.float64) @ b.astype(np.float64)
    bound = np.abs(a).astype(np.float64) @ np.abs(b)
    assert (np.abs(c - exact) <= a.shape[-1] * np.finfo(c.dtype).eps * bound).all()


def numbers(dtype: Any, **options: Any) -> Any:
    return hnp.from_dtype(np.dtype(dtype), allow_nan=True, allow_infinity=True, **options)


@st.composite
def operands(draw: Any, count: int, elements: Any = numbers) -> tuple[Any, ...]:
    """Arrays of one dtype that broadcast to each other, some of them transposed or cut."""
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=count, max_side=5, max_dims=4))
    found = []
    for shape in shapes.input_shapes:
        way = draw(st.sampled_from(["rows", "columns", "every second"]))
        wide = shape if way != "every second" or not shape else (*shape[:-1], 2 * shape[-1])
        x = draw(hnp.arrays(dtype, wide if way != "columns" else wide[::-1],
                            elements=elements(dtype)))  # fmt: skip
        found.append(x.T if way == "columns" else x if wide == shape else x[..., ::2])
    return shapes.result_shape, *found
