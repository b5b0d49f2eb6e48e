"""Met, missed, tie: what a row says about a goal of the design."""

import math

import pytest

from tinygrad_mmb.bench.engines import goals, memory
from tinygrad_mmb.bench.engines.goals import (
    CAPTURED,
    EAGER,
    HEADLINE,
    MET,
    MISSED,
    OPEN,
    TIE,
    Share,
    state,
)
from tinygrad_mmb.bench.engines.workloads import WORKLOADS
from tinygrad_mmb.bench.results import Row

W1, W4 = "W1 MLP, batch 64", "W4 four tiny ops"


def row(workload, form, shares, ok=True):
    """A row of ours whose times are these shares of the peers': {peer: (low, middle, high)}."""
    found = Row(workload, form, "mmb", "4x4", "float32", ok=ok)
    if not ok:
        return found
    found.ms = 1.0
    found.peers = {
        peer: {
            "ratio": 1 / middle,
            "ratio_low": 1 / high,
            "ratio_high": 1 / low,
            "clock_ratio": 0.5 / middle,
        }  # by the clock it takes twice that
        for peer, (low, middle, high) in shares.items()
    }
    found.peer = max(shares, key=lambda peer: shares[peer][1])
    best = found.peers[found.peer]
    found.ratio, found.ratio_low, found.ratio_high = list(best.values())[:3]
    return found


@pytest.mark.parametrize(("share", "at_most", "expected"), [
    (Share(0.60, 0.55, 0.70), 0.65, MET),
    (Share(0.65, 0.60, 0.70), 0.65, MET),
    (Share(0.66, 0.60, 0.70), 0.65, MISSED),  # faster than the peer, but not by as much as asked
    (Share(0.90, 0.80, 1.05), 0.92, TIE),  # the median alone would meet it
    (Share(0.97, 0.94, 1.00), 1.00, TIE),
    (Share(0.97, 0.94, 0.99), 1.00, MET),
    (Share(1.20, 0.90, 1.40), 0.65, TIE),
    (Share(1.20, 1.10, 1.40), 1.00, MISSED),
    (Share(0.60, None, None), 0.65, MET),  # rounds too few for an interval
    (Share(1.00, None, None), 0.65, MISSED),
    (None, 0.65, OPEN),
])  # fmt: skip
def test_a_goal_is_met_missed_or_a_tie(share, at_most, expected):
    assert state(share, at_most) == expected


def test_every_workload_has_a_goal_and_every_goal_a_workload():
    assert set(goals.WORKLOADS) == {w.name for w in WORKLOADS}


def test_meeting_every_goal_gives_the_mean_that_the_design_says():
    """0.54: "meeting each row exactly gives 0.54: beat some"; of W4 the larger share counts."""
    asked = {g.workload: max(g.at_most.values()) for g in reversed(goals.GOALS)}
    mean = math.exp(sum(map(math.log, asked.values())) / len(asked))
    assert mean == pytest.approx(0.54, abs=0.01)


def test_each_form_is_judged_by_its_own_goal():
    rows = [row(W1, CAPTURED, {"jax.jit": (0.6, 0.7, 0.8)}),
            row(W1, EAGER, {"jax.jit": (0.6, 0.7, 0.8)}),
            row(W1, "mmb NumPy only", {"jax.jit": (2.0, 3.0, 4.0)})]  # fmt: skip
    found = {v.form: v for v in goals.verdicts(rows) if v.workload == W1}
    assert [(v.asks, v.state) for v in found.values()] == [
        ("0.65", MISSED),
        ("0.80", MET),
        ("", ""),
    ]
    assert found["mmb NumPy only"].share.value == pytest.approx(3.0)
    assert found[EAGER].share.low == pytest.approx(0.6)
    assert found[EAGER].clock == pytest.approx(1.4)


def test_four_tiny_ops_have_a_goal_for_each_of_two_peers_and_not_for_the_best():
    rows = [row(W4, EAGER, {"jax.jit": (1.1, 1.2, 1.3), "torch": (0.1, 0.2, 0.3),
                            "mlx": (5.0, 6.0, 7.0)})]  # fmt: skip
    found = [(v.peer, v.state) for v in goals.verdicts(rows) if v.workload == W4]
    assert found == [("jax.jit", MISSED), ("torch", MET)]


def test_a_peer_that_was_not_there_leaves_its_goal_open():
    rows = [row(W4, EAGER, {"torch": (0.1, 0.2, 0.3)})]
    found = [(v.peer, v.state) for v in goals.verdicts(rows) if v.workload == W4]
    assert found == [("jax.jit", OPEN), ("torch", MET)]


def test_a_form_that_computed_something_wrong_has_missed_its_goal():
    (found,) = [v for v in goals.verdicts([row(W1, EAGER, {}, ok=False)])
                if (v.workload, v.form) == (W1, EAGER)]  # fmt: skip
    assert found.state == MISSED
    assert found.share is None


def test_the_geometric_mean_takes_captured_where_that_is_asked_for():
    rows = [row(W1, CAPTURED, {"torch": (0.2, 0.25, 0.3)}), row(W1, EAGER, {"torch": (2, 2.5, 3)}),
            row(W4, EAGER, {"torch": (0.9, 1.0, 1.1)})]  # fmt: skip
    found = {m.form: m for m in goals.means(rows)}
    assert found[HEADLINE].value == pytest.approx(0.5)
    assert found[EAGER].value == pytest.approx(math.sqrt(2.5))
    assert found[EAGER].above_one == (W1,)  # W4 is a tie
    assert found[HEADLINE].above_one == ()
    assert found[EAGER].text().endswith(f"; slower than it: {W1}")
    assert f"2 of 15 workloads (goal 0.50, and none above 1: {OPEN})" in found[HEADLINE].text()


@pytest.mark.parametrize(("share", "slower", "expected"), [
    (0.4, 0.4, MET), (0.6, 0.6, MISSED), (0.4, 1.5, MISSED)])  # fmt: skip
def test_the_headline_needs_every_workload_and_none_above_one(share, slower, expected):
    shares = dict.fromkeys(goals.WORKLOADS, share) | {W4: slower}
    forms = {g.workload: g.form for g in reversed(goals.GOALS)}
    rows = [row(w, forms[w], {"torch": (0.99 * s, s, 1.01 * s)}) for w, s in shares.items()]
    assert goals.means(rows)[0].text().endswith(f"none above 1: {expected})")


def test_without_a_captured_form_there_is_no_headline():
    assert [m.form for m in goals.means([row(W1, EAGER, {"torch": (1, 2, 3)})])] == [EAGER]


@pytest.mark.parametrize(
    ("share", "expected"), [(0.9, MET), (0.99, TIE), (1.015, TIE), (1.1, MISSED)]
)
def test_memory_within_two_per_cent_of_the_peer_is_a_tie(share, expected):
    assert memory.state(share) == expected
