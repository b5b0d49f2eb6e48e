"""Goals: what they ask, and when they are met, missed or open."""

from tests.bench.test_results import row
from tinygrad_mmb.bench import goals
from tinygrad_mmb.bench.goals import BEST, GOALS, judge, verdicts


def matmul(shape, ratio, share, variant="08_double_buffered", **more):
    peers = {goals.CUBLAS: {"ratio": ratio}}
    given = {"ratio": ratio, "pct_limit": share, "peers": peers} | more
    return row(kernel="MatMul", variant=variant, backend="cuda", shape=shape, **given)


def state_of(title, rows, kind="gpu"):
    return next(v for v in verdicts(rows, kind) if v.goal.title == title)


FP32 = "matmul fp32, 1024 to 8192"


def test_every_line_of_the_design_is_a_goal():
    titles = " ".join(g.title for g in GOALS)
    for word in ("matmul fp32", "tf32", "bf16", "softmax-cross-entropy", "batch norm forward",
                 "batch norm backward", "NHWC", "NCHW", "layer norm backward", "Adam", "SGD",
                 "captured training step"):  # fmt: skip
        assert word in titles


def test_a_goal_is_met_if_the_best_variant_meets_it_at_every_size():
    rows = [matmul("4096x4096x4096", 0.3, 30, "01_naive"), matmul("4096x4096x4096", 1.06, 86),
            matmul("1024x1024x1024", 1.2, 90)]  # fmt: skip
    found = state_of(FP32, rows)
    assert found.state == "met"
    assert "4096x4096x4096: 08_double_buffered cuBLAS (CuPy) 1.06 x, 86 %" in found.detail


def test_one_size_below_it_misses_it_by_name():
    rows = [matmul("4096x4096x4096", 1.06, 86), matmul("8192x8192x8192", 1.01, 90)]
    assert state_of(FP32, rows).state == "missed"


def test_a_share_below_the_goal_misses_it_too():
    assert state_of(FP32, [matmul("4096x4096x4096", 1.2, 80)]).state == "missed"


def test_sizes_and_dtypes_that_are_not_meant_do_not_count():
    rows = [matmul("64x4096x4096", 2.0, 90), matmul("4096x4096x4096", 2.0, 99, dtype="tf32")]
    assert state_of(FP32, rows).state == "not measured"


def test_without_the_peer_a_goal_stays_open():
    alone = matmul("4096x4096x4096", None, 90, peers={})
    assert state_of(FP32, [alone]).state == "not measured"


def test_a_wrong_kernel_misses_its_goal():
    wrong = matmul("4096x4096x4096", None, None, ok=False, ms=None, note="at [0, 0] ...")
    found = state_of(FP32, [wrong])
    assert (found.state, found.detail) == ("missed", "4096x4096x4096: at [0, 0] ...")


def test_nothing_that_was_measured_on_a_cpu_counts():
    assert state_of(FP32, [matmul("4096x4096x4096", 9.0, 99)], "cpu").state == "not measured"
    mine = matmul("4096x4096x4096", 9.0, 99)
    judge([mine], "cpu")
    assert (mine.goal, mine.met) == (None, None)


def test_rows_carry_their_goal_and_whether_they_meet_it():
    fast, slow = matmul("4096x4096x4096", 1.06, 86), matmul("4096x4096x4096", 0.5, 40)
    other = row(kernel="Softmax", backend="cuda")
    judge([fast, slow, other], "gpu")
    assert fast.goal == {"title": FP32, "ratios": {goals.CUBLAS: 1.05}, "share": 85}
    assert (fast.met, slow.met, other.goal) == (True, False, None)


def test_several_peers_are_asked_each_for_its_own_ratio():
    both = row(kernel="CrossEntropy.forward+backward", backend="cuda", pct_limit=95.0, ratio=1.1,
               peers={"torch": {"ratio": 3.0}})  # fmt: skip
    title = "softmax-cross-entropy, forward + backward"
    assert state_of(title, [both]).state == "missed"  # 1.15 of the fastest
    both.ratio = 1.2
    assert state_of(title, [both]).state == "met"
    assert GOALS[4].text() == f"2.5 x torch, 1.15 x {BEST}, 92 % of the limit"
