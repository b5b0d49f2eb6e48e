"""CPU against GPU, with the way there and back apart: the GPU's side on a scripted one."""

import numpy as np
import pytest

from tests.bench.machines import Scripted
from tests.bench.test_results import row
from tinygrad_mmb.bench import comparison
from tinygrad_mmb.bench.cases import cases_of, prepare
from tinygrad_mmb.bench.comparison import Comparison
from tinygrad_mmb.bench.machine import Cpu
from tinygrad_mmb.bench.measure import Candidate
from tinygrad_mmb.bench.work import FORWARD


def test_speedups_with_and_without_transfers():
    found = Comparison("Softmax", "4x4", "float32", 12.0, 10.0, "cpu", 1.0, 3.0, 1.0)
    assert found.speedup == 10.0
    assert found.speedup_with_transfer == 2.0
    assert found.as_json()["speedup_with_transfer"] == 2.0


def test_without_a_gpu_there_is_the_cpus_side_only():
    rows = [
        row(variant="numpy", ms=2.0),
        row(variant="cpu", backend="cpu", ms=1.0),
        row(variant="torch", peer_library=True, ms=0.1),
        row(variant="emulator", ms=None),
        row(kernel="Softmax.backward", ms=5.0),
    ]
    (found,) = comparison.from_rows(rows)
    assert (found.numpy_ms, found.cpu_ms, found.cpu_backend) == (2.0, 1.0, "cpu")
    assert (found.gpu_ms, found.speedup, found.speedup_with_transfer) == (None, None, None)


def test_arguments_travel_there_and_results_back(monkeypatch):
    monkeypatch.setattr(comparison, "SECONDS", 0.0)
    moved = []

    class Watched(Scripted):
        def put(self, value):
            moved.append("there")
            return value

        def host(self, value):
            moved.append("back")
            return value

    machine = Watched()
    (case,) = cases_of("Add", [FORWARD], "small", True)
    problem = prepare(machine, case, 0)

    def make(problem, args):
        return lambda: np.add(*args), lambda y: [y]

    monkeypatch.setattr(comparison, "twin", lambda backend: Candidate(backend, backend, make))
    moved.clear()
    found = comparison.compare(Cpu(), machine, problem, [row(backend="cuda", ms=0.5)])
    assert found.gpu_ms == 0.5
    assert min(found.to_gpu_ms, found.from_gpu_ms, found.numpy_ms) > 0
    assert moved.count("there") >= 2 * 4  # two arguments, a warm-up and three times
    assert found.speedup == pytest.approx(found.cpu_ms / 0.5)


def test_a_case_without_a_time_of_our_kernel_is_not_compared():
    machine = Scripted()
    (case,) = cases_of("Add", [FORWARD], "small", True)
    problem = prepare(machine, case, 0)
    assert (
        comparison.compare(Cpu(), machine, problem, [row(backend="cuda", ok=False, ms=None)])
        is None
    )
