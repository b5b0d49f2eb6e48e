"""Small sizes without peers and compilers, and `mmb bench` in this process."""

from __future__ import annotations

import pytest

from tests.bench.machines import Scripted
from tests.command import command
from tinygrad_mmb.bench import draws, peers, registers, run, sizes
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.launch import compile


@pytest.fixture
def small(empty_folder, monkeypatch):
    """Small sizes, no peers, no compilers, so no twins in C++: a run takes a second."""

    def no_compiler():
        raise RuntimeError("there is no C++ compiler here")

    on_cpu = ((16, 16), (8, 40))
    row = sizes.Workload(draws.array_and(1), ((16, 16),), on_cpu, ((3, 7),), ((4, 32),))
    monkeypatch.setitem(sizes.WORKLOADS, "Softmax", (row,))
    for key in registry.keys():  # noqa: SIM118 - a function, no dictionary
        others = [twin for twin in registry.twins(key) if twin.backend != "cpu"]
        monkeypatch.setitem(registry._table, key, others)
    monkeypatch.setattr(peers, "peers", lambda kind, compiled: ([], {"torch": "left out here"}))
    monkeypatch.setattr(registers.extension, "nvcc", lambda: None)
    monkeypatch.setattr(compile, "compiler", no_compiler)
    monkeypatch.setattr(run.Cpu, "ceilings", Scripted.ceilings)


@pytest.fixture
def mmb(empty_folder, capsys):
    return command(capsys, "bench")
