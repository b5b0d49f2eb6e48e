"""Who takes part in a case: twins of the kernel table, the reference, ladders, libraries."""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_mmb.bench.cases import Case, Problem
from tinygrad_mmb.bench.measure import Candidate, Made
from tinygrad_mmb.bench.peers import Peer
from tinygrad_mmb.bench.sizes import Arguments
from tinygrad_mmb.bench.work import BOTH, UPDATE
from tinygrad_mmb.kernels import registry

VENDOR = {"MatMul": "cuBLAS (CuPy)", "Linear": "cuBLAS (CuPy)"}  # whose kernels CuPy calls
EMULATOR, CUDA = "emulator", "cuda"


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
        return peer.call(case.op, case.kind, args, problem.heads)

    return Candidate(peer.name, peer.name, make, library=True, wait=peer.wait)


def candidates(case: Case, kind: str, libraries: Sequence[Peer]) -> list[Candidate]:
    """All that can be timed on a "cpu" or "gpu": twins there, the reference, the libraries."""
    place = registry.DEVICE if kind == "gpu" else registry.HOST
    own = [twin(t.backend) for t in registry.twins(key_of(case)) if t.place == place]
    return [*own, *ladder(case, kind), reference(case, kind), *map(of_peer, libraries)]


def emulated(case: Case) -> list[Candidate]:
    """All CUDA kernels of a case, as the emulator runs them."""
    own = [twin(EMULATOR) for t in registry.twins(key_of(case)) if t.backend == EMULATOR]
    return [*own, *ladder(case, EMULATOR)]


def ladder(case: Case, kind: str) -> list[Candidate]:
    """The numbered steps of an op's ladder."""
    return []
