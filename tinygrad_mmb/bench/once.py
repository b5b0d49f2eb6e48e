"""One launch of one kernel, with an NVTX range around it for a profiler.

ncu --nvtx --nvtx-include "Softmax/" mmb bench --once Softmax
nsys profile mmb bench --once MatMul:07_warp_tiles
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tinygrad_mmb.autograd.grad_mode import no_grad
from tinygrad_mmb.bench.calls import Declined
from tinygrad_mmb.bench.candidates import CUDA, EMULATOR, candidates, emulated
from tinygrad_mmb.bench.cases import cases, prepare
from tinygrad_mmb.bench.machine import Machine
from tinygrad_mmb.bench.options import BenchError, Options, chosen
from tinygrad_mmb.kernels import registry


def once(name: str, options: Options, machine: Machine) -> str:
    """Run KERNEL or KERNEL:VARIANT once after a warm-up; what ran, in words. Raises: BenchError."""
    kernel, _, variant = name.partition(":")
    on_gpu = machine.kind == "gpu"
    known = list(cases(machine.kind if on_gpu else "small", True))
    named = chosen((kernel,), list(dict.fromkeys(c.kernel for c in known)))
    case = next(c for c in known if c.kernel == named[0])
    everybody = candidates(case, machine.kind, []) + ([] if on_gpu else emulated(case))
    wanted = variant or (CUDA if on_gpu else EMULATOR)
    found = next((c for c in everybody if c.variant == wanted), None)
    if found is None:
        there = ", ".join(c.variant for c in everybody)
        raise BenchError(
            f"--once {name}: {case.kernel} has no variant {wanted} here. There are: {there}"
        )
    problem = prepare(machine, case, options.seed)
    try:
        call, _ = found.make(problem, problem.args)
    except Declined:
        raise BenchError(
            f"--once {name}: {wanted} does not take {case.shape} {case.dtype}"
        ) from None
    with no_grad():
        call()  # compiles
        machine.synchronize()
        with nvtx_range(machine, case.kernel):
            call()
            machine.synchronize()
    where = machine.name if on_gpu else "on the CPU, where no profiler sees NVTX ranges"
    backend = "NumPy" if found.backend == registry.REFERENCE else found.backend
    return f"{case.name}, {found.variant} ({backend}): one launch, {where}"


@contextmanager
def nvtx_range(machine: Machine, name: str) -> Iterator[None]:
    """A range that Nsight shows; nothing without a GPU."""
    library: Any = getattr(machine, "cp", None)
    if library is None:
        yield
        return
    library.cuda.nvtx.RangePush(name)
    try:
        yield
    finally:
        library.cuda.nvtx.RangePop()
