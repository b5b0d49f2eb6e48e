"""Two runs against each other: lost, kept, unsure; inside and outside."""

import pytest

from tests.bench.test_results import row
from tinygrad_mmb.bench import compare
from tinygrad_mmb.bench.options import BenchError


def with_ratio(value, spread=0.02, **more):
    low, high = value * (1 - spread), value * (1 + spread)
    peers = {"torch": {"ms": 1.0, "ratio": value, "ratio_low": low, "ratio_high": high}}
    return row(variant="cuda", ratio=value, ratio_low=low, ratio_high=high, peer="torch",
               peers=peers, **more)  # fmt: skip


@pytest.mark.parametrize(
    ("then", "now", "verdict", "failed"),
    [
        (with_ratio(1.0), with_ratio(0.90), "LOST", True),
        (with_ratio(1.0), with_ratio(0.97), "kept", False),
        (with_ratio(1.0), with_ratio(1.10), "gained", False),
        (with_ratio(1.0, 0.2), with_ratio(0.90, 0.2), "within the noise", False),
        (with_ratio(1.0), row(variant="cuda", ok=False, ms=None), "WRONG NOW", True),
        (with_ratio(1.0), row(variant="cuda"), "no ratio", False),
        (row(variant="cuda"), row(variant="cuda"), "kept", False),
    ],
)
def test_a_loss_of_more_than_five_per_cent_beyond_the_intervals_fails(then, now, verdict, failed):
    (found,) = compare.changes([then], [now])
    assert (found.verdict, found.failed) == (verdict, failed)


def test_the_ratio_is_to_the_same_peer_as_then_even_if_another_is_the_fastest_now():
    then, now = with_ratio(1.0), with_ratio(1.0)
    now.peers["jax.jit"] = {"ms": 0.5, "ratio": 0.5, "ratio_low": 0.49, "ratio_high": 0.51}
    now.peer, now.ratio, now.ratio_low, now.ratio_high = "jax.jit", 0.5, 0.49, 0.51
    assert compare.changes([then], [now])[0].verdict == "kept"


def test_only_rows_of_both_runs_and_no_libraries_are_compared():
    mine, theirs = with_ratio(1.0), row(variant="torch", peer_library=True)
    assert [c.name for c in compare.changes([mine, theirs], [mine, theirs])] == [
        "Softmax cuda 4x4 float32"
    ]
    assert compare.changes([mine], [with_ratio(1.0, shape="8x8")]) == []


@pytest.mark.parametrize(
    ("then", "now", "verdict", "failed"),
    [
        (with_ratio(1.0), with_ratio(1.03), "inside", False),
        (with_ratio(1.0), with_ratio(1.05), "OUTSIDE", True),
        (with_ratio(1.0), with_ratio(0.95), "OUTSIDE", True),
        (row(variant="cuda"), row(variant="cuda"), "inside", False),
        (row(variant="cuda", ok=False, ms=None), row(variant="cuda"), "OUTSIDE", True),
        (with_ratio(1.0), row(variant="cuda", ok=False, ms=None), "WRONG NOW", True),
        (with_ratio(1.0), row(variant="cuda"), "no ratio", True),
    ],
)
def test_a_row_is_reproduced_if_the_intervals_meet(then, now, verdict, failed):
    (found,) = compare.reproductions([then], [now])
    assert (found.verdict, found.failed) == (verdict, failed)


def test_a_row_that_was_not_run_again_is_not_reproduced():
    (found,) = compare.reproductions([with_ratio(1.0)], [])
    assert (found.verdict, found.now, found.failed) == ("not run", "", True)


def test_texts_show_the_interval():
    (found,) = compare.changes([with_ratio(1.0, 0.1)], [with_ratio(2.0, 0.1)])
    assert (found.before, found.now) == ("1.00 (0.90 to 1.10)", "2.00 (1.80 to 2.20)")


def test_runs_of_different_machines_are_not_compared():
    old = {"device": "NVIDIA A100", "machine": {"gpu": "NVIDIA A100"}}
    new = {"device": "cpu-emulated", "machine": {"processor": "AMD"}}
    with pytest.raises(BenchError, match="measured on NVIDIA A100, this run on AMD"):
        compare.same_device(old, new, "--compare")
    compare.same_device(old, old, "--compare")
