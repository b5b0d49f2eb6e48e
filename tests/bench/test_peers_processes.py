"""Workers: what they answer, and what happens when an engine misbehaves."""

from __future__ import annotations

import mmap
import sys

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.bench import made_up_engines
from tinygrad_mmb.bench.engines import checks, resident
from tinygrad_mmb.bench.engines import start as start_of_run
from tinygrad_mmb.bench.engines.child import Child, Failed
from tinygrad_mmb.bench.engines.engine import Engine, engines
from tinygrad_mmb.bench.engines.workloads import WORKLOADS, Workload, mlp, problem, residual
from tinygrad_mmb.kernels import registry

MADE_UP = {e.name: e for e in made_up_engines.ENGINES}
CHAIN = next(w for w in WORKLOADS if w.kind == "chain")
TINY = (
    mlp("mlp", 6, (5, 4, 3)),
    mlp("mlp without optimizer", 6, (5, 4, 3), optimizer=False),
    residual("residual", 4, 6, 2),
    Workload("cnn", "cnn", {"batch": 2, "channels": [1, 2, 3], "side": 8}),
    CHAIN,
    Workload("adam", "adam", {"numbers": 12, "tensors": 3}),
    Workload("cross_entropy", "cross_entropy", {"shape": [4, 5]}),
    Workload("batch_norm 2-D", "batch_norm", {"shape": [6, 3]}),
    Workload("batch_norm", "batch_norm", {"shape": [2, 3, 4, 4]}),
    Workload("transformer", "transformer", {"batch": 2, "time": 3, "features": 8, "heads": 2}),
)


@pytest.fixture
def start(tmp_path):
    """Starts workers whose log is in the test's folder."""
    with (tmp_path / "log").open("w", encoding="utf-8") as log:
        yield lambda engine: Child(engine, 1, log, tmp_path)


def build(child, workload):
    return child.ask("build", workload=workload.as_json(), seed=0)


@pytest.mark.parametrize("name", [n for n, e in engines().items() if e.ours and e.timed])
def test_our_forms_compute_every_workload_as_the_reference_in_float64(name, start):
    engine = engines()[name]
    with start(engine) as ours, start(engines()["float64"]) as reference:
        for workload in (w for w in TINY if w.kind in engine.kinds):
            found, expected = build(ours, workload), build(reference, workload)
            assert checks.difference(found, expected) is None, workload.name
            assert len(found["first"]) == 5
            took = ours.ask("run", n=3)
            assert took["cpu"] >= 0.0
            assert took["wall"] > 0.0


@pytest.fixture
def same_threads():
    before = tm.get_num_threads()
    yield
    tm.set_num_threads(before)


@pytest.mark.torch
@pytest.mark.parametrize("workload", TINY, ids=lambda w: w.name)
def test_losses_and_gradients_are_those_of_pytorch(workload, same_threads):
    found = []
    for name in ("mmb eager", "torch"):
        engine = engines()[name]
        engine.start(1)
        step = engine.build(workload, problem(workload, 1))
        results = [step.run() for _ in range(3)]
        found.append([step.loss(r) for r in results] if step.loss else step.results(results[-1]))
        if step.loss:
            assert len(set(found[-1])) == (3 if workload.size.get("optimizer", True) else 1)
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)


def test_numpy_only_runs_no_compiled_kernel(same_threads):
    def steps():
        engine = engines()["mmb NumPy only"]
        engine.start(1)
        for workload in TINY:
            engine.build(workload, problem(workload)).run()
        engine.pin.__exit__(None, None, None)

    keys = registry.keys()
    calls = {(k, t.backend): t.calls for k in keys for t in registry.twins(k)}
    steps()
    for key, backend in calls:
        (twin,) = [t for t in registry.twins(key) if t.backend == backend]
        assert twin.calls == calls[key, backend], (key, backend)


def test_a_seed_gives_the_same_numbers_and_another_gives_others():
    first, again, other = (problem(TINY[0], seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.inputs[0], again.inputs[0])
    assert not np.array_equal(first.inputs[0], other.inputs[0])


def test_a_peers_process_holds_nothing_of_ours_and_may_print(start):
    with start(MADE_UP["right"]) as child:
        assert child.version == "1 threads, without us"


def test_a_right_engine_agrees_with_the_reference_and_wrong_ones_are_refused(start):
    with start(engines()["float64"]) as child:
        expected = build(child, CHAIN)
    found = {}
    for name in ("right", "wrong", "nan"):
        with start(MADE_UP[name]) as child:
            found[name] = checks.difference(build(child, CHAIN), expected)
    assert found.pop("right") is None
    assert all(text.startswith("result 1 is off by") for text in found.values())


def test_an_engine_that_cannot_start_says_why_in_one_line(start):
    with pytest.raises(Failed, match=r"^OSError: libsomething.so is missing$"):
        start(MADE_UP["cannot start"])


def test_a_process_that_dies_is_a_failure_and_not_the_end_of_the_run(start):
    with start(MADE_UP["dies"]) as child:
        with pytest.raises(Failed, match=r"its process ended \(code 3\)"):
            build(child, CHAIN)
        with pytest.raises(Failed, match="code 3"):
            child.ask("run", n=1)


def test_a_process_that_hangs_is_ended_after_its_time(start):
    with start(MADE_UP["hangs"]) as child:
        child.patience = 0.3
        with pytest.raises(Failed, match=r"no answer in 0.3 s"):
            build(child, CHAIN)


def test_a_missing_engine_names_the_line_that_installs_it():
    assert MADE_UP["missing"].missing() == "not installed: pip install 'no-such-library[cpu]'"
    assert MADE_UP["right"].missing() is None


def test_tinygrad_without_its_compiler_is_missing_too(monkeypatch):
    monkeypatch.setattr(Engine, "missing", lambda self: None)
    monkeypatch.setenv("CC", "no-such-compiler")
    assert "compiles with no-such-compiler" in engines()["tinygrad"].missing()
    monkeypatch.setenv("CC", sys.executable)
    assert engines()["tinygrad"].missing() is None


def test_every_engine_has_its_own_name_and_every_kind_somebody_to_compare_with():
    found = engines()
    assert len(found) >= 10
    assert next(iter(found)).startswith("mmb")
    kinds = {k for e in found.values() if not e.ours for k in e.kinds}
    assert {w.kind for w in WORKLOADS} <= kinds
    assert all(isinstance(e, Engine) and e.package for e in found.values())


def test_memory_is_what_two_steps_held_above_the_imports(start):
    small, large = (mlp("m", batch, (64, 64, 64), optimizer=False) for batch in (8, 16384))
    held = []
    for workload in (small, large):
        with start(engines()["mmb eager"]) as child:
            got = child.ask("memory", workload=workload.as_json(), seed=0)
            assert len(set(got["losses"])) == 1
            held.append(got["peak"] - got["base"])
    activations = 16384 * 64 * 4  # bytes of one
    assert held[1] - held[0] > 3 * activations


def test_where_linux_does_not_tell_the_systems_own_peak_is_taken(monkeypatch, tmp_path):
    monkeypatch.setattr(resident, "STATUS", tmp_path / "none")
    assert resident.begin() == resident.peak() > 1 << 20
    monkeypatch.setitem(sys.modules, "resource", None)
    with pytest.raises(OSError, match="peak memory is not known on this system"):
        resident.peak()


def test_the_peak_is_that_since_the_beginning():
    before = resident.begin()
    memory = mmap.mmap(-1, 8 << 22)  # of its own: freed memory is kept, and would be used again
    np.frombuffer(memory)[:] = 1
    assert resident.peak() - before > 0.9 * (8 << 22)
    memory.close()
    if resident.RESET.exists():
        resident.begin()
        assert resident.peak() - before < 0.5 * (8 << 22)


def test_first_steps_find_bytecode_as_an_installation_has_it(tmp_path, monkeypatch):
    (tmp_path / "part").mkdir()
    for file in ("a.py", "part/b.py"):
        (tmp_path / file).write_text("x = 1\n", encoding="utf-8")
    monkeypatch.setattr(start_of_run, "PACKAGE", tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    start_of_run.as_installed()
    assert sorted(p.name.split(".")[0] for p in tmp_path.rglob("*.pyc")) == ["a", "b"]
