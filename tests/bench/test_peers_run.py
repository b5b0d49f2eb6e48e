"""`mmb bench peers` as a whole, at sizes that take no time; and what it shows."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest

from tests.bench import made_up_engines
from tests.bench.test_peers_goals import row
from tinygrad_mmb.bench import figures, results
from tinygrad_mmb.bench.engines import goals, options, pictures, report, run, start
from tinygrad_mmb.bench.engines.engine import engines
from tinygrad_mmb.bench.options import BenchError
from tinygrad_mmb.bench.results import Row
from tinygrad_mmb.cli import main
from tinygrad_mmb.cli.bench_peers import listed_names, peers

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
W1, W4 = "W1 MLP, batch 64", "W4 four tiny ops"
QUICK = ("--rounds", "6", "--milliseconds", "0.3", "--only", "W4")


def mmb(*arguments):
    """The command in this process; its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["bench", *map(str, arguments)])
    return ended.value.code


@pytest.fixture
def with_made_up(monkeypatch):
    """The engines of this installation, and the test's own."""
    known = engines() | {e.name: e for e in made_up_engines.ENGINES}
    monkeypatch.setattr(run, "engines", lambda: known)
    return known


def test_a_run_leaves_rows_goals_and_pictures_and_can_be_reproduced(tmp_path, capfd, with_made_up):
    out = tmp_path / "first"
    chosen = "mmb eager,mmb NumPy only,right,wrong,cannot start"
    code = mmb("peers", "--parts", "steps,imports", *QUICK, "--engines", chosen, "--out", out,
               "--csv", tmp_path / "rows.csv", "--markdown", tmp_path / "rows.md",
               "--latex", tmp_path / "rows.tex", "--figure", tmp_path / "peers.pdf")  # fmt: skip
    assert code == 0
    screen = capfd.readouterr().out
    content = results.read(out / "results.json")
    by_name = {r.variant: r for r in content["rows"]}
    assert by_name["mmb eager"].peer == "right"
    assert by_name["mmb eager"].ratio_low <= by_name["mmb eager"].ratio
    assert by_name["wrong"].ms is None
    assert by_name["wrong"].note.startswith("result 1 is off by")
    assert by_name["cannot start"].note == "OSError: libsomething.so is missing"
    assert "- wrong, W4 four tiny ops: result 1 is off by" in screen
    assert content["finished"]
    assert content["environment"]["versions"]["python"]
    assert len(content["measurements"][W4]["right"]["cpu"][0]) == 6
    assert {i["module"] for i in content["imports"]} == {"numpy", "tinygrad_mmb"}
    assert (out / "peers.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "peers.pdf").read_bytes().startswith(b"%PDF")
    assert "W4 four tiny ops,mmb eager,mmb,4x4" in (tmp_path / "rows.csv").read_text("utf-8")
    assert "| W4 four tiny ops | mmb eager |" in (tmp_path / "rows.md").read_text("utf-8")
    assert r"\toprule" in (tmp_path / "rows.tex").read_text("utf-8")
    assert "# Beside other engines" in (out / "summary.md").read_text("utf-8")

    code = mmb("peers", "--reproduce", out / "results.json", "--out", tmp_path / "again")
    screen = capfd.readouterr().out
    again = results.read(tmp_path / "again" / "results.json")
    assert [r.name() for r in again["rows"]] == [r.name() for r in content["rows"]]
    assert f"Reproduced with {content['started']}" in screen
    assert code == (1 if "OUTSIDE" in screen else 0)


def test_a_form_of_ours_that_is_wrong_fails_the_run(tmp_path, monkeypatch, with_made_up):
    monkeypatch.setattr(made_up_engines.Wrong, "ours", True)
    code = mmb(
        "peers", "--parts", "steps", *QUICK, "--engines", "wrong,right", "--out", tmp_path / "o"
    )
    assert code == 1


def test_a_missing_engine_is_told_and_one_asked_for_by_name_is_an_error(with_made_up):
    there, missing = run.taking_part(options.Options(), with_made_up)
    assert missing["missing"] == "not installed: pip install 'no-such-library[cpu]'"
    assert "missing" not in [e.name for e in there]
    assert "float64" not in [e.name for e in there]
    with pytest.raises(BenchError, match=r"--engines missing: .*pip install 'no-such-library"):
        run.taking_part(options.Options(engines=("missing",)), with_made_up)


@pytest.mark.parametrize(("arguments", "message"), [
    (("peers", "--only", "W9"), r"--only W9: there is none. There are: W1 MLP, batch 64; "),
    (("peers", "--engines", "tensorflow"), r"--engines tensorflow: there is none. .*mmb eager; "),
    (("peers", "--parts", "speed"), r"--parts speed: there is none. There are: steps; threads; "),
    (("peers", "--rounds", "5"), r"--rounds 5: an interval needs at least 6"),
    (("peers", "--figure", "x.doc"), r"x.doc: the name should end in .png, .svg or .pdf"),
    (("peers", "--reproduce", "nowhere.json"), r"nowhere.json: No such file"),
    (("--quick", "peers"), r"--quick stands before peers.*mmb bench peers --quick"),
])  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert mmb(*arguments) == 2
    printed = capsys.readouterr().err
    assert re.search(message, printed)
    assert printed.count("\n") == 1


def test_a_comma_with_a_blank_belongs_to_a_name():
    given = ("W1 MLP, batch 64,W4", "W5 Adam, 1M")
    assert listed_names(given) == ("W1 MLP, batch 64", "W4", "W5 Adam, 1M")
    found = [w.name for w in options.chosen_workloads(listed_names(given))]
    assert found == [W1, W4, "W5 Adam, 1M in 1 tensor", "W5 Adam, 1M in 200 tensors"]


def test_the_list_names_workloads_and_engines(capsys):
    assert mmb("peers", "--list") == 0
    printed = capsys.readouterr().out
    for name in ("W8 transformer block", "jax.jit", "torch.compile", "mygrad", "autograd"):
        assert name in printed


def content(**parts):
    """A run that never was."""
    theirs = Row(W1, "torch", "torch", "4x4", "float32", peer_library=True, ok=True, ms=2.0)
    rows = [row(W1, goals.EAGER, {"torch": (0.45, 0.5, 0.55)}), theirs]
    machine = {"processor": "Abacus", "cores": 2, "threads": 1, "blas": "none, 1 threads"}
    return {"kind": "cpu", "device": "cpu", "machine": machine, "started": "2026-11-26T10:00:00",
            "environment": {"commit": {"hash": "0123456789abcdef", "changed": True},
                            "extensions": {"cpu": True}}, "rows": rows,
            "engines": {"torch": "2.13"}, "peers_missing": {"jax.jit": "not installed: pip"},
            **parts}  # fmt: skip


PARTS = {
    "threads": [
        {"workload": W1, "engine": name, "ours": name != "torch", "threads": 2, "busy": busy,
         "one_ms": 2.0, "several_ms": 2.0 * ratio, "ratio": ratio, "low": 0.9, "high": 9.0}
        for name, busy, ratio in (("mmb eager", 0, 1.3), ("mmb eager", 2, 1.1),
                                  ("mmb captured", 2, 1.2), ("torch", 2, 50.0))
    ],
    "scaling": [
        {"family": "W1 by batch", "x": x, "engine": e, "ours": e != "torch", "ms": ms, "note": None}
        for x in (16, 64) for e, ms in (("torch", 0.1 * x), ("mmb eager", 0.05 * x), ("mlx", None))
    ],
    "imports": [
        {"module": m, "ours": m == "tinygrad_mmb", "seconds": s, "iqr": 0.01, "rounds": 6}
        for m, s in (("numpy", 0.1), ("tinygrad_mmb", 0.21), ("torch", 1.2))
    ],
    "memory": {
        "workload": "10 x 2048 MLP",
        "peaks": [{"engine": e, "ours": e != "torch", "base": 30.0, "peak": p}
                  for e, p in (("mmb eager", 1200.0), ("mmb captured", 870.0), ("torch", 879.0))],
        "failed": {"mlx": "no answer in 600 s"},
    },
    "capture_costs": {W1: 0.02, "W2 20 residual blocks": 0.06},
}  # fmt: skip


def test_every_part_of_a_run_is_shown_with_its_goal():
    text = report.screen(content(**PARTS))
    lines = [re.sub(r"  +", " | ", line) for line in text.splitlines()]
    assert "commit 0123456789ab, with changes" in lines
    assert "without jax.jit: not installed: pip" in lines
    assert "W1 MLP, batch 64 | mmb eager | torch | 0.80 | 0.50 | 0.45 to 0.55 | met | 1.00" in lines
    threads = [line.split(" | ") for line in lines if "0.90 to 9.00" in line]
    assert [(t[1], t[2], t[7:]) for t in threads] == [
        ("mmb eager", "0", []), ("mmb eager", "2", ["met"]), ("mmb captured", "2", ["missed"]),
        ("torch", "2", [])]  # fmt: skip
    assert "tinygrad_mmb | 0.210 | 0.010 | 0.200 | missed" in lines
    assert "mmb eager | 30 | 1200 | 1.37 | missed" in lines
    assert "mmb captured | 30 | 870 | 0.99 | tie" in lines
    assert "W2 20 residual blocks | 60.0 | 50 | missed" in lines
    assert "- mlx: no answer in 600 s" in lines
    assert len(report.summary(content(**PARTS)).split("## ")) == text.count(":\n") + 1


@pytest.mark.parametrize(("active", "times"), [(True, 0), (False, 1)])
def test_a_run_without_our_compiled_kernels_says_so(active, times):
    made = content()
    made["environment"]["extensions"]["cpu"] = active
    assert report.heading(made).count("mmb eager is NumPy alone") == times


def test_pictures_are_drawn_of_what_there_is(tmp_path):
    for name, figure in (("peers", pictures.peers(content())),
                         ("scaling", pictures.scaling(content(**PARTS)))):  # fmt: skip
        figures.save(figure, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
    assert pictures.scaling(content()) is None
    ours_alone = content()
    ours_alone["rows"] = ours_alone["rows"][:1]
    assert pictures.peers(ours_alone) is None


def test_the_cost_of_capture_is_the_dearer_of_its_first_two_steps():
    raw = {W1: {"mmb captured": {"first": [0.03, 0.09, 0.001]},
                "mmb eager": {"first": [0.01, 0.02]}},
           W4: {"mmb eager": {"first": [1.0, 1.0]}}}  # fmt: skip
    found = start.capture_costs(copy.deepcopy(raw), goals.CAPTURED, goals.EAGER)
    assert found == {W1: pytest.approx(0.07)}


@pytest.mark.skipif(not PAGE.exists(), reason="only in a checkout")
def test_every_option_and_workload_is_explained():
    text = PAGE.read_text(encoding="utf-8")
    section = text[text.index("mmb bench peers") :]
    for parameter in peers.params:
        assert f"`{parameter.opts[0]}" in section, parameter.opts[0]
    for workload in ("W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8"):
        assert f"| {workload} " in section
