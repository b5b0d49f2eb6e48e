"""Check first, then time in turn: on a machine whose clock the tests write."""

from __future__ import annotations

import numpy as np
import pytest

from tests.bench.machines import Scripted, Timed
from tinygrad_mmb.bench.calls import Declined
from tinygrad_mmb.bench.cases import Case, cases_of, prepare
from tinygrad_mmb.bench.deadline import Deadline
from tinygrad_mmb.bench.machine import Ceilings
from tinygrad_mmb.bench.measure import YOURS, Candidate, Rounds, measure
from tinygrad_mmb.bench.work import FORWARD

LIMITS = Ceilings(1000.0, {"float32": 10.0})
CASE = Case("Softmax", FORWARD, "40x50", "float32", lambda rng: (rng.standard_normal((40, 50)), 1))


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def candidate(name, seconds, function=softmax, **more):
    def make(problem, args):
        return Timed(lambda: function(args[0]), seconds), lambda y: [y]

    return Candidate(name, name, make, **more)


def run(candidates, machine=None, case=CASE, seconds=1e9, least=20):
    machine = machine or Scripted()
    problem = prepare(machine, case, 0)
    return measure(machine, problem, candidates, LIMITS, Rounds(least, 1e-3),
                   Deadline(seconds), np.random.default_rng(0))  # fmt: skip


def test_times_rates_and_shares_follow_from_the_clock_and_the_work():
    (row,) = run([candidate("ours", 2e-6)])
    assert row.ok
    assert row.ms == pytest.approx(2e-3)
    assert row.rounds == 20
    assert row.gbs == pytest.approx(2 * 40 * 50 * 4 / 2e-6 / 1e9)
    assert row.pct_limit == pytest.approx(100 * (2 * 40 * 50 * 4 / 1e12) / 2e-6)


def test_the_ratio_is_the_peers_time_over_ours_even_if_the_clock_drifts():
    machine = Scripted(drift=1000.0)  # three times as slow in the end
    rows = run([candidate("ours", 1e-6), candidate("torch", 3e-6, library=True)], machine)
    ours, torch = rows
    assert ours.peer == "torch"
    assert ours.ratio == pytest.approx(3.0, rel=0.05)
    assert ours.ratio_low <= ours.ratio <= ours.ratio_high
    assert ours.verdict == "faster"
    assert torch.peer_library
    assert torch.ratio is None


def test_the_peer_of_a_row_is_the_fastest_and_all_are_kept():
    rows = run([candidate("ours", 2e-6), candidate("a", 3e-6, library=True),
                candidate("b", 1e-6, library=True)])  # fmt: skip
    assert rows[0].peer == "b"
    assert rows[0].ratio == pytest.approx(0.5)
    assert rows[0].verdict == "slower"
    assert rows[0].peers["a"]["ratio"] == pytest.approx(1.5)


def test_twins_are_compared_with_our_reference_too():
    rows = run([candidate("cpu", 1e-6), candidate("numpy", 4e-6, baseline=True)])
    assert (rows[0].peer, rows[0].ratio) == ("numpy", pytest.approx(4.0))
    assert rows[1].peer is None


def test_a_wrong_candidate_is_a_row_without_a_time_and_never_timed():
    machine = Scripted()
    wrong = candidate("wrong", 1e-9, lambda x: softmax(x) * (1 + 1e-3))
    rows = run([wrong, candidate("right", 1e-6)], machine)
    assert (rows[0].ok, rows[0].ms, rows[0].ratio) == (False, None, None)
    assert rows[0].max_err == pytest.approx(1e-3, rel=0.01)
    assert rows[0].max_err > rows[0].tol
    assert "came, but" in rows[0].note
    assert all(call.seconds == 1e-6 for call in machine.order)
    assert rows[1].ok
    assert rows[1].peer is None


def test_a_wrong_peer_is_no_peer():
    rows = run([candidate("ours", 1e-6), candidate("torch", 1e-6, np.tanh, library=True)])
    assert rows[0].peer is None
    assert not rows[1].ok


def test_a_candidate_that_raises_is_a_row_with_its_message():
    def broken(x):
        raise RuntimeError("kernel softmax: misaligned address\nand more")

    (row,) = run([candidate("ours", 1e-6, broken)])
    assert not row.ok
    assert row.note == "RuntimeError: kernel softmax: misaligned address"


def test_a_candidate_that_declines_has_no_row():
    def make(problem, args):
        raise Declined

    assert run([Candidate("cpu", "cpu", make)]) == []


def test_a_candidate_that_is_only_checked_has_no_time():
    (row,) = run([candidate("emulator", 1e-6, timed=False)])
    assert row.ok
    assert (row.ms, row.rounds) == (None, 0)


def test_everybody_runs_once_in_each_round_in_an_order_that_changes():
    machine = Scripted()
    run([candidate("a", 1e-4), candidate("b", 2e-4), candidate("c", 3e-4)], machine, least=30)
    seconds = [call.seconds for call in machine.order][-90:]
    rounds = [tuple(seconds[i : i + 3]) for i in range(0, 90, 3)]
    assert all(sorted(r) == [1e-4, 2e-4, 3e-4] for r in rounds)
    assert len(set(rounds)) >= 4  # of six orders


def test_the_inputs_of_successive_calls_lie_in_different_places():
    machine = Scripted()
    machine.cache_bytes = 40 * 50 * 4 * 3
    run([candidate("ours", 1e-6)], machine)
    assert len({id(call) for call in machine.order[-7:]}) == 7  # 7 copies exceed twice the cache


def test_rows_say_whether_the_inputs_exceed_the_cache():
    machine = Scripted()
    (cold,) = run([candidate("ours", 1e-6)], machine)
    machine.cache_bytes = 1 << 30
    (warm,) = run([candidate("ours", 1e-6)], machine)
    assert (cold.cold, warm.cold) == (True, False)


def test_who_is_too_slow_for_the_budget_is_not_timed_and_says_so():
    machine = Scripted()
    rows = run([candidate("ours", 1e-6), candidate("slow", 30.0, library=True)], machine, seconds=1)
    assert rows[0].ms is not None
    assert rows[1].ms is None
    assert rows[1].ok
    assert rows[1].note == ("not timed: one call takes 30 s, and the time of this run is short")


def test_a_kernel_of_the_users_is_timed_rather_than_ours():
    mine = candidate(YOURS, 3.0)
    rows = run([mine, candidate("ours", 1.5), candidate("torch", 1e-6)], seconds=10)
    assert [row.ms is not None for row in rows] == [True, False, True]
    mine = candidate(YOURS, 30.0)  # too slow by itself: that is no reason to leave out the others
    rows = run([mine, candidate("ours", 1e-6), candidate("torch", 1e-6)], seconds=10)
    assert [row.ms is not None for row in rows] == [False, True, True]


def test_when_the_time_is_up_there_are_as_many_rounds_as_an_interval_needs():
    rows = run([candidate("ours", 1e-6), candidate("torch", 2e-6, library=True)], seconds=0)
    assert rows[0].rounds == 6
    assert rows[0].ratio_low is not None


def test_integers_and_layouts_survive_the_copies():
    (case,) = [c for c in cases_of("BatchNorm", [FORWARD], "small", False) if "NHWC" in c.shape]
    problem = prepare(Scripted(), case, 0)
    seen = []

    def make(problem, args):
        seen.append(args[0].strides)
        return Timed(lambda: problem.expected, 1e-6), lambda y: y

    machine = Scripted()
    machine.cache_bytes = 1 << 20
    measure(machine, problem, [Candidate("a", "a", make)], LIMITS, Rounds(6, 0), Deadline(9),
            np.random.default_rng(0))  # fmt: skip
    assert len(set(seen)) == 1
    assert len(seen) > 2


def test_a_nan_among_the_inputs_is_no_change_of_them():
    case = Case("Softmax", FORWARD, "1x2", "float32", lambda rng: (np.array([[np.nan, 1.0]]), 1))
    (row,) = run([candidate("ours", 1e-6)], case=case)
    assert row.ok, row.note
