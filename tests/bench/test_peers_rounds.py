"""Engines in turn, with made-up times: the order, the clock that counts, who sits out."""

from __future__ import annotations

import pytest

from tinygrad_mmb.bench.engines import threads
from tinygrad_mmb.bench.engines.child import Failed
from tinygrad_mmb.bench.engines.engine import Engine
from tinygrad_mmb.bench.engines.rounds import Plan, measure, observations
from tinygrad_mmb.bench.engines.workloads import Workload

WORK = Workload("W", "chain", {"shape": [2]})


class Paper(Engine):
    """An engine that exists on paper: what it computes and takes is written down."""

    module = package = "paper"

    def __init__(self, name, cpu, wall=None, losses=(1.0,), ours=False, fails_at=None):
        self.name, self.cpu, self.wall, self.ours = name, cpu, wall or cpu, ours
        self.losses, self.fails_at = list(losses), fails_at


class Desk:
    """Starts children of paper engines and writes down who was asked."""

    def __init__(self):
        self.log, self.started, self.ended, self.drift = [], [], [], 1.0

    def __call__(self, engine, threads):
        self.started.append((engine.name, threads))
        return PaperChild(self, engine)


class PaperChild:
    def __init__(self, desk, engine):
        self.desk, self.engine, self.asked = desk, engine, 0

    def ask(self, do, n=1, **question):
        if do == "build":
            return {"losses": self.engine.losses, "marks": [], "built": 0.5, "first": [1e-3] * 5}
        self.asked += 1
        if self.asked == self.engine.fails_at:
            raise Failed("out of paper")
        self.desk.log.append(self.engine.name)
        self.desk.drift *= 1.01  # a machine that gets slower and slower
        took = self.desk.drift * n
        return {"cpu": took * self.engine.cpu, "wall": took * self.engine.wall}

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.desk.ended.append(self.engine.name)


OURS = Paper("ours", 2e-3, ours=True)
FAST, FAR = Paper("fast", 4e-3, wall=1e-3), Paper("far", 40e-3)
ORACLE = Paper("oracle", 1.0)
WRONG = Paper("wrong", 1e-9, losses=[1.5])


def run(engines, desk=None, **plan):
    plan = Plan(**{"rounds": 6, "seconds": 1e-3} | plan)
    found = measure(WORK, engines, ORACLE, plan, desk or Desk())
    return {c.engine.name: c for c in found}


def test_engines_take_turns_forwards_and_backwards_and_all_processes_end():
    desk = Desk()
    run([OURS, FAST, FAR], desk, rounds=4)
    assert desk.log == ["ours", "fast", "far", "far", "fast", "ours"] * 2
    assert sorted(desk.ended) == ["far", "fast", "oracle", "ours"]


def test_the_ratio_is_that_of_the_rounds_though_the_machine_gets_slower():
    row = run([OURS, FAST, FAR], rounds=10)["ours"].row
    assert (row.peer, row.rounds, row.clock) == ("fast", 10, "cpu")
    assert row.ratio == pytest.approx(2.0, rel=0.03)
    assert row.ratio_low < 2.0 < row.ratio_high
    assert row.peers["far"]["ratio"] == pytest.approx(20.0, rel=0.03)
    assert row.peers["fast"]["cpu_ratio"] == row.ratio
    assert row.peers["fast"]["clock_ratio"] == pytest.approx(0.5, rel=0.03)


def test_with_two_threads_the_clock_counts_instead_of_the_processors_time():
    row = run([OURS, FAST], threads=2)["ours"].row
    assert row.clock == "host"
    assert row.ratio == pytest.approx(0.5, rel=0.03)
    assert row.verdict == "slower"


def test_an_engine_that_computes_something_else_is_never_timed():
    desk = Desk()
    found = run([OURS, WRONG], desk)
    assert "wrong" not in desk.log
    row = found["wrong"].row
    assert (row.ok, row.ms, row.note) == (False, None, "loss of step 1 is 1.5, expected 1")
    assert found["ours"].row.peer is None


def test_an_engine_that_fails_on_the_way_has_no_time_and_the_others_go_on():
    found = run([OURS, Paper("weak", 1e-9, fails_at=3), FAST])
    assert (found["weak"].row.ms, found["weak"].row.note) == (None, "out of paper")
    assert found["ours"].row.peer == "fast"
    assert found["ours"].row.rounds == 6


def test_who_is_far_behind_sits_out_the_later_runs_and_keeps_its_time():
    desk = Desk()
    found = run([OURS, FAST, FAR], desk, runs=3)
    started = [name for name, _ in desk.started]
    assert [started.count(n) for n in ("ours", "fast", "far", "oracle")] == [3, 3, 1, 1]
    assert found["far"].row.ms == pytest.approx(40.0, rel=0.3)
    assert found["far"].row.rounds == 6
    assert set(found["ours"].row.peers) == {"fast"}


def test_ours_never_sits_out():
    desk = Desk()
    run([Paper("ours", 1.0, ours=True), FAST], desk, runs=2)
    assert [name for name, _ in desk.started].count("ours") == 2


def test_from_six_runs_on_their_medians_are_compared():
    runs = [[1.0, 2.0, 9.0], [4.0, 5.0, 6.0]]
    assert observations(runs) == [1.0, 2.0, 9.0, 4.0, 5.0, 6.0]
    assert observations(runs * 3) == [2.0, 5.0] * 3


def test_several_threads_are_compared_with_one_of_the_same_engine_quiet_and_busy(monkeypatch):
    monkeypatch.setattr(threads, "workloads", lambda: [WORK])
    desk = Desk()
    plan = Plan(rounds=6, seconds=1e-3)
    found, failed = threads.everything([OURS, WRONG], ORACLE, 2, 1, plan, desk)
    assert desk.started == [("oracle", 1), ("ours", 1), ("ours", 2), ("wrong", 1), ("wrong", 2)]
    assert [(t.engine, t.threads, t.busy) for t in found] == [("ours", 2, 0), ("ours", 2, 1)]
    assert failed == {"W, wrong": "loss of step 1 is 1.5, expected 1"}
    for t in found:
        assert t.ratio == pytest.approx(1.0, rel=0.03)
        assert t.low <= t.ratio <= t.high


def test_busy_processes_run_and_are_gone_afterwards(monkeypatch):
    processes = []
    popen = threads.subprocess.Popen

    def watched(*arguments, **options):
        processes.append(popen(*arguments, **options))
        return processes[-1]

    monkeypatch.setattr(threads.subprocess, "Popen", watched)
    with threads.busy(2):
        assert [p.poll() for p in processes] == [None, None]
    assert all(p.poll() is not None for p in processes)
