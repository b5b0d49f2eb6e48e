"""CPU against GPU for the same op at the same size, with the way there and back told apart.

A GPU that is twenty times as fast may still lose if the numbers have to travel: the row says both.
Without a GPU its columns are None, which tables print as n/a.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tinygrad_mmb.autograd.grad_mode import no_grad
from tinygrad_mmb.bench.calls import Declined
from tinygrad_mmb.bench.candidates import CUDA, twin
from tinygrad_mmb.bench.cases import Case, Problem, arrays_in, placed
from tinygrad_mmb.bench.machine import Machine, best_of
from tinygrad_mmb.bench.results import Row
from tinygrad_mmb.bench.work import FORWARD
from tinygrad_mmb.kernels import registry

SECONDS = 0.2  # for each time


@dataclass(frozen=True)
class Comparison:
    """One op at one size; all times in milliseconds."""

    kernel: str
    shape: str
    dtype: str
    numpy_ms: float | None
    cpu_ms: (
        float | None
    )  #        the fastest of our twins on the CPU; NumPy's time if there is none
    cpu_backend: str | None
    gpu_ms: float | None = None  # the kernel alone
    to_gpu_ms: float | None = None
    from_gpu_ms: float | None = None

    @property
    def speedup(self) -> float | None:
        """Of the GPU, if the arrays are there already."""
        return None if self.gpu_ms is None or self.cpu_ms is None else self.cpu_ms / self.gpu_ms

    @property
    def speedup_with_transfer(self) -> float | None:
        """Of the GPU, if arguments and results have to travel."""
        if None in (self.gpu_ms, self.cpu_ms, self.to_gpu_ms, self.from_gpu_ms):
            return None
        return self.cpu_ms / (self.to_gpu_ms + self.gpu_ms + self.from_gpu_ms)  # type: ignore[operator]

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "speedup": self.speedup,
            "speedup_with_transfer": self.speedup_with_transfer,
        }


def from_rows(rows: Sequence[Row]) -> list[Comparison]:
    """The CPU's side, from the rows of a run without a GPU: NumPy, and the fastest twin."""
    found = []
    own = [r for r in rows if r.ms is not None and not r.peer_library and "." not in r.kernel]
    for kernel, shape, dtype in dict.fromkeys((r.kernel, r.shape, r.dtype) for r in own):
        here = [r for r in own if (r.kernel, r.shape, r.dtype) == (kernel, shape, dtype)]
        numpy = next((r.ms for r in here if r.backend == registry.REFERENCE), None)
        fastest = min(here, key=lambda r: r.ms or 0.0)
        found.append(Comparison(kernel, shape, dtype, numpy, fastest.ms, fastest.backend))
    return found


def compare(cpu: Machine, gpu: Machine, problem: Problem, rows: Sequence[Row]) -> Comparison | None:
    """Both sides of one forward case, `problem` being on the GPU; None where it has no kernel time.

    `rows` are those of the case, which hold the time of our kernel on the GPU.
    """
    case: Case = problem.case
    gpu_ms = min((r.ms for r in rows if r.backend == CUDA and r.ms is not None), default=None)
    if gpu_ms is None or case.kind != FORWARD:
        return None
    args = tuple(hosted(gpu, a) for a in problem.args)
    times: dict[str, float] = {}
    with no_grad():
        backends = [t.backend for t in registry.twins(case.op) if t.place == registry.HOST]
        for backend in (registry.REFERENCE, *backends):
            try:
                call, _ = twin(backend).make(problem, args)
            except Declined:
                continue
            times[backend] = 1e3 * best_of(call, SECONDS, least=1)
        result, results = twin(CUDA).make(problem, problem.args)
        outputs = [y for y in results(result()) if y is not None]
    fastest = min(times, key=times.__getitem__)

    def there() -> None:
        for a in args:
            placed(gpu, a)
        gpu.synchronize()

    def back() -> None:
        for y in outputs:
            gpu.host(y)

    gpu.synchronize()
    return Comparison(
        case.kernel, case.shape, case.dtype, times[registry.REFERENCE], times[fastest], fastest,
        gpu_ms, 1e3 * best_of(there, SECONDS), 1e3 * best_of(back, SECONDS),
    )  # fmt: skip


def hosted(machine: Machine, value: Any) -> Any:
    """A value with its arrays as NumPy arrays."""
    if type(value) is list:
        return [hosted(machine, v) for v in value]
    return machine.host(value) if arrays_in([value]) else value
