"""Who takes part in a case: twins of the kernel table, the reference, ladders, libraries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_mmb.bench.bfloat16 import numbers_of
from tinygrad_mmb.bench.calls import Declined
from tinygrad_mmb.bench.cases import Case, Problem
from tinygrad_mmb.bench.draws import Arguments
from tinygrad_mmb.bench.measure import Candidate, Made
from tinygrad_mmb.bench.peers import Peer
from tinygrad_mmb.bench.work import BOTH, FORWARD, UPDATE
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.cuda.ladder import LADDERS, Step

VENDOR = {"MatMul": "cuBLAS (CuPy)", "Linear": "cuBLAS (CuPy)"}  # whose kernels CuPy calls
EMULATOR, CUDA = "emulator", "cuda"
TEACHING = "numba_cuda"  # in the table once its package is imported
LADDER_ONLY = ("tf32", "bfloat16")  # NumPy and CuPy have no such numbers


def key_of(case: Case) -> str:
    """The key of the kernel table that a case needs: backward for both directions at once."""
    return f"{case.op}.backward" if case.kind == BOTH else case.kernel


def reference(case: Case, kind: str) -> Candidate:
    """NumPy on a CPU: ours, what twins must beat. CuPy on a GPU: somebody else's kernels."""

    def make(problem: Problem, args: Arguments) -> Made:
        return problem.call(registry.REFERENCE, args)

    if kind == "gpu":
        name = VENDOR.get(case.op, "CuPy") if case.kind != UPDATE else "CuPy"
        return Candidate(name, "cupy", make, library=True)
    return Candidate("numpy", registry.REFERENCE, make, baseline=True)


def twin(backend: str) -> Candidate:
    """The twin of one backend; on the emulator it is checked, never timed."""

    def make(problem: Problem, args: Arguments) -> Made:
        return problem.call(backend, args)

    return Candidate(backend, backend, make, timed=backend != EMULATOR)


def of_peer(peer: Peer) -> Candidate:
    """A library's function for the same op."""

    def make(problem: Problem, args: Arguments) -> Made:
        case = problem.case
        return peer.call(case.op, case.kind, args, problem.heads, case.dtype)

    return Candidate(peer.name, peer.name, make, library=True, wait=peer.wait)


def candidates(case: Case, kind: str, libraries: Sequence[Peer]) -> list[Candidate]:
    """All that can be timed on a "cpu" or "gpu": twins there, the reference, the libraries."""
    place = registry.DEVICE if kind == "gpu" else registry.HOST
    theirs = [of_peer(peer) for peer in libraries]
    steps = ladder(case, CUDA) if kind == "gpu" else []
    if case.dtype in LADDER_ONLY:
        return [*steps, *theirs]
    here = [t.backend for t in registry.twins(key_of(case)) if t.place == place]
    if kind == "gpu":
        here += [t.backend for t in registry.twins(key_of(case)) if t.backend == TEACHING]
    own = [twin(backend) for backend in here]
    return [*own, *steps, reference(case, kind), *theirs]


def emulated(case: Case) -> list[Candidate]:
    """All CUDA kernels of a case, as the emulator runs them."""
    has_twin = any(t.backend == EMULATOR for t in registry.twins(key_of(case)))
    own = [twin(EMULATOR)] if has_twin and case.dtype not in LADDER_ONLY else []
    return [*own, *ladder(case, EMULATOR)]


def ladder(case: Case, backend: str) -> list[Candidate]:
    """The numbered steps of an op's ladder that compute in the dtype of the case."""
    if case.kind != FORWARD:
        return []
    steps = LADDERS.get(case.op, ())
    return [of_step(step, backend) for step in steps if step.dtype == case.dtype]


def of_step(step: Step, backend: str) -> Candidate:
    """One step: 07_warp_tiles. It takes no part where it cannot take the arguments, or the GPU."""

    def make(problem: Problem, args: Arguments) -> Made:
        try:
            return step.prepare(*args), numbers
        except (ValueError, RuntimeError):
            raise Declined from None

    return Candidate(step.label, backend, make, timed=backend != EMULATOR)


def numbers(result: Any) -> list[Any]:
    """A result with the bits of bfloat16 as the numbers they mean."""
    return [numbers_of(result) if result.dtype.name == "uint16" else result]
