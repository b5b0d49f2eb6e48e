"""A user's kernel that is launched on a grid, as a candidate: a .cu file, or one made in Python.

What a kernel does not write is NaN, so that it is not taken for a result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_mmb.bench.calls import as_list
from tinygrad_mmb.bench.cases import Problem
from tinygrad_mmb.bench.contracts import (
    check_parameters,
    contract_of,
    evaluate,
    parameters_of,
    sizes_named,
    the_only_kernel,
)
from tinygrad_mmb.bench.draws import Arguments
from tinygrad_mmb.bench.machine import Machine
from tinygrad_mmb.bench.measure import YOURS, Candidate, Made
from tinygrad_mmb.bench.options import BenchError, Options
from tinygrad_mmb.kernels.launch import int32


def is_launchable(function: Any) -> bool:
    """Whether it is called as kernel[grid](...), or as a RawKernel: kernel(grid, block, ...)."""
    return hasattr(function, "__getitem__") or type(function).__name__ == "RawKernel"


def of_launchable(path: Path, name: str, kernel: Any, op: str, machine: Machine) -> Candidate:
    """A kernel of numba.cuda, Triton or CuPy, launched on the contract's grid."""
    contract = contract_of(op, f"{path}:{name}")
    if machine.kind != "gpu":
        raise BenchError(
            f"{path}:{name} is a kernel for a GPU, and there is none here. A .cu file can be "
            "checked without one, on the emulator"
        )

    def make(problem: Problem, args: Arguments) -> Made:
        arrays, sizes = args[: contract.inputs], contract.sizes(args)
        y = machine.put(empty(contract.shape(args)))
        grid = evaluate(contract.grid, sizes, "grid")
        block = evaluate(contract.block, sizes, "block")
        values = (y, *arrays, *sizes.values())
        if type(kernel).__name__ == "RawKernel":
            counts = [int32(n) for n in sizes.values()]
            return lambda: (kernel(grid, block, (y, *arrays, *counts)), y)[1], as_list
        if is_triton(kernel):
            from tinygrad_mmb.bench.torch_peer import tensor_of

            tensors = [tensor_of(a) for a in (y, *arrays)]
            width = (
                1 << (max(sizes.values()) - 1).bit_length()
            )  # BLOCK: a power of two that holds a row
            return lambda: (kernel[grid](*tensors, *sizes.values(), BLOCK=width), y)[1], as_list
        return lambda: (kernel[grid, block](*values), y)[1], as_list

    return Candidate(f"{path.stem}:{name}", YOURS, make)


def is_triton(kernel: Any) -> bool:
    return type(kernel).__module__.split(".")[0] == "triton"


def empty(shape: tuple[int, ...]) -> Any:
    """Room for a result, filled with NaN, so that what a kernel does not write is seen."""
    return np.full(shape, np.nan, np.float32)


def of_cuda(path: Path, name: str, op: str, options: Options, machine: Machine) -> Candidate:
    """A kernel of a .cu file: on a GPU through NVRTC, on a CPU checked by the emulator."""
    source = path.read_text(encoding="utf-8")
    name = name or the_only_kernel(source, path)
    contract = contract_of(op, f"{path}:{name}")
    check_parameters(path, name, parameters_of(source, name, path), contract)
    grid, block = options.grid or contract.grid, options.block or contract.block
    label = f"{path.stem}:{name}"
    prepare = on_gpu if machine.kind == "gpu" else on_emulator
    launch = prepare(path, name, source)

    def make(problem: Problem, args: Arguments) -> Made:
        sizes = contract.sizes(args)
        y = machine.put(empty(contract.shape(args)))
        values = (y, *args[: contract.inputs], *[int32(n) for n in sizes.values()])
        shape = evaluate(grid, sizes, "--grid"), evaluate(block, sizes, "--block")

        def call() -> Any:
            launch(*shape, values)
            return y

        return call, as_list

    evaluate(grid, dict.fromkeys(sizes_named(contract), 1), "--grid")  # a mistake shows now
    evaluate(block, dict.fromkeys(sizes_named(contract), 1), "--block")
    return Candidate(label, YOURS, make, timed=machine.kind == "gpu")


Launch = Callable[[tuple[int, ...], tuple[int, ...], Sequence[Any]], None]


def on_gpu(path: Path, name: str, source: str) -> Launch:
    """Through NVRTC. Raises: BenchError with the compiler's words."""
    from tinygrad_mmb.backend.arrays import cupy

    module = cupy().RawModule(
        code=source, options=("-std=c++17", f"-I{path.resolve().parent}"), name_expressions=(name,)
    )
    try:
        kernel = module.get_function(name)
    except Exception as error:
        raise BenchError(f"{path}: NVRTC: {error}") from error
    return lambda grid, block, values: kernel(grid, block, values)


def on_emulator(path: Path, name: str, source: str) -> Launch:
    """Through the checker: a race or an access out of bounds is reported with its line."""
    from tinygrad_mmb.bench.own_emulated import library_of

    library = library_of(path, name)
    return lambda grid, block, values: library.launch(name, grid, block, values, 0)
