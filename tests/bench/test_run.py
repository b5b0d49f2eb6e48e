"""A whole run, and the command: on this CPU with few small cases, and on a scripted GPU."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from tests.bench.machines import Scripted, Timed, cupy_like
from tests.bench.test_cases import kinds_of_workload
from tinygrad_mmb.backend.extension import PACKAGE
from tinygrad_mmb.bench import (
    candidates,
    comparison,
    draws,
    goals,
    once,
    peers,
    registers,
    report,
    results,
    run,
    sizes,
    transpose,
)
from tinygrad_mmb.bench.calls import optimizers
from tinygrad_mmb.bench.cases import Case, cases, cases_of, prepare
from tinygrad_mmb.bench.deadline import Deadline
from tinygrad_mmb.bench.gpu import Gpu
from tinygrad_mmb.bench.machine import Cpu
from tinygrad_mmb.bench.measure import Candidate, checked
from tinygrad_mmb.bench.options import BenchError, Options, chosen
from tinygrad_mmb.bench.work import BACKWARD, FORWARD, UPDATE
from tinygrad_mmb.cli import main
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.launch import compile


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    folder = tmp_path / "Müllers Übungen"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def small(monkeypatch):
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
def mmb(capsys):
    """Run `mmb bench`: its exit code, and what it printed."""

    def command(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["bench", *map(str, arguments)])
        printed = capsys.readouterr()
        return end.value.code, printed.out, printed.err

    return command


# -- on this CPU


def test_a_run_writes_results_summary_and_pictures_and_prints_them(small, mmb, empty_folder):
    code, out, _ = mmb("--only", "softmax", "--seed", "3")
    assert code == 0
    folder = empty_folder / "runs" / "bench-001"
    content = results.read(folder / "results.json")
    assert content["device"] == "cpu-emulated"
    assert content["finished"] is True
    assert content["seed"] == 3
    assert content["interval"].startswith("order statistics")
    assert content["emulator_missing"] == "there is no C++ compiler here"
    assert content["registers_missing"] == "nvcc is not installed"
    assert content["peers_missing"] == {"torch": "left out here"}
    rows = content["rows"]
    assert {(r.kernel, r.shape) for r in rows} == {
        (k, s)
        for k in ("Softmax", "Softmax.backward", "Softmax.forward+backward")
        for s in ("16x16", "8x40")
    }
    assert all(r.ok and r.ms > 0 and r.rounds >= 6 for r in rows)
    assert {g["state"] for g in content["goals"]} == {"not measured"}
    assert content["comparison"][0]["gpu_ms"] is None
    assert len(content["sensors"]) == 6
    summary = (folder / "summary.md").read_text(encoding="utf-8")
    for text in (out, summary):
        assert "none of these times is a GPU's" in text
        assert "n/a" in text
    assert (folder / "roofline.png").exists()
    assert (folder / "ratios.png").exists()


def test_every_format_is_written_where_it_is_asked_for(small, mmb, empty_folder):
    files = ("--csv", "tables/a.csv", "--markdown", "a.md", "--latex", "a.tex")
    code, *_ = mmb("--only", "Softmax", "--quick", *files, "--figure", "pictures/a.svg")
    assert code == 0
    with (empty_folder / "tables" / "a.csv").open(encoding="utf-8") as file:
        assert [line["shape"] for line in csv.DictReader(file)] == ["16x16"] * 3
    assert "| Softmax |" in (empty_folder / "a.md").read_text(encoding="utf-8")
    assert r"\toprule" in (empty_folder / "a.tex").read_text(encoding="utf-8")
    assert (empty_folder / "pictures" / "a.svg").read_bytes().startswith(b"<?xml")


def test_a_run_is_compared_with_an_older_one(small, mmb, empty_folder, monkeypatch):
    assert mmb("--only", "Softmax", "--quick", "--out", "old")[0] == 0
    path = empty_folder / "old" / "results.json"
    code, out, _ = mmb("--only", "Softmax", "--quick", "--compare", path)
    assert code == 0
    assert "Softmax numpy 16x16 float32" in out
    assert "3 of 3 rows kept" in out

    content = json.loads(path.read_text(encoding="utf-8"))
    content["machine"]["processor"] = "Another"
    path.write_text(json.dumps(content), encoding="utf-8")
    code, _, err = mmb("--only", "Softmax", "--compare", path)
    assert code == 2
    assert "measured on Another" in err


def test_rows_of_a_file_are_measured_again_with_its_seed(small, mmb, empty_folder):
    assert mmb("--only", "Softmax", "--quick", "--seed", "5", "--out", "old")[0] == 0
    code, out, _ = mmb("--reproduce", "old/results.json", "--out", "new")
    assert code == 0
    assert "3 of 3 rows inside" in out
    content = results.read(empty_folder / "new" / "results.json")
    assert content["seed"] == 5
    assert {r.shape for r in content["rows"]} == {"16x16"}


def test_a_row_that_is_gone_makes_reproduction_fail(small, mmb, empty_folder):
    assert mmb("--only", "Softmax", "--quick", "--out", "old")[0] == 0
    path = empty_folder / "old" / "results.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["rows"].append(content["rows"][0] | {"shape": "5x5"})
    path.write_text(json.dumps(content), encoding="utf-8")
    code, out, _ = mmb("--reproduce", path)
    assert code == 1
    assert "not run" in out
    assert "3 of 4 rows inside, 1 not" in out


def test_a_kernel_of_ones_own_is_one_more_row(small, mmb, empty_folder):
    code = "import numpy as np\ndef softmax(x):\n    e = np.exp(x - x.max(1, keepdims=True))\n"
    code += "    return e / e.sum(1, keepdims=True)\n"
    (empty_folder / "my.py").write_text(code, encoding="utf-8")
    assert mmb("--add", "my.py", "--op", "softmax", "--out", "right")[0] == 0
    rows = results.read(empty_folder / "right" / "results.json")["rows"]
    mine = [r for r in rows if r.backend == "yours"]
    assert [r.shape for r in mine] == ["16x16", "8x40"]
    assert all(r.ok and r.peer == "numpy" and r.ratio_low is not None for r in mine)

    (empty_folder / "my.py").write_text(code.replace("e /", "2 * e /"), encoding="utf-8")
    code, out, _ = mmb("--add", "my.py", "--op", "softmax", "--out", "wrong")
    assert code == 1
    assert "WRONG, so not timed:\n  Softmax my:softmax 16x16" in out
    code, _, err = mmb("--reproduce", "right/results.json")
    assert code == 2
    assert "Give the same --add and --op again" in err


def test_the_list_names_kernels_twins_and_sizes_and_measures_nothing(mmb, empty_folder):
    code, out, _ = mmb("--list")
    assert code == 0
    assert "Softmax.forward+backward" in out
    assert "512x1024, 64x50304" in out
    assert list(empty_folder.iterdir()) == []


def test_one_launch_and_nothing_else(mmb, empty_folder):
    code, out, _ = mmb("--once", "Softmax:numpy")
    assert code == 0
    assert out.startswith("Softmax 3x70 float32, numpy (NumPy): one launch, on the CPU")
    assert list(empty_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "Sofmax"], "--only Sofmax: there is no such kernel here. There are:"),
        (["--device", "cuda"], "--device cuda: there is no CUDA device here"),
        (["--device", "tpu"], "'tpu' is not one of 'cpu', 'cuda'"),
        (["--threads", "0"], "0 is not in the range x>=1"),
        (["--seconds", "0"], "is not in the range"),
        (["--compare", "absent.json"], "absent.json: No such file"),
        (["--reproduce", "absent.json"], "absent.json: No such file"),
        (["--figure", "a.bmp"], "--figure a.bmp: the name should end in .png, .svg or .pdf"),
        (["--op", "softmax"], "--op says what --add computes, so it needs --add FILE"),
        (["--add", "my.py"], "--add needs --op"),
        (["--once", "Softmax:cudnn"], "Softmax has no variant cudnn here. There are: numpy"),
        (["--once", "Nothing"], "Nothing: there is no such kernel here"),
        (["--nothing"], "No such option"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_code_2(small, mmb, empty_folder, arguments, message):
    code, _, err = mmb(*arguments)
    assert code == 2
    assert message in err
    assert err.startswith("mmb bench: ")
    assert err.count("\n") == 1


def test_a_folder_with_something_in_it_is_refused(small, mmb, empty_folder):
    (empty_folder / "kept.txt").write_text("", encoding="utf-8")
    code, _, err = mmb("--out", ".")
    assert code == 2
    assert "there is something already" in err


def test_runs_get_folders_of_their_own(small, mmb, empty_folder):
    for _ in range(2):
        mmb("--only", "Softmax", "--quick")
    assert {p.name for p in (empty_folder / "runs").iterdir()} == {"bench-001", "bench-002"}


def test_an_interrupted_run_leaves_its_rows(small, mmb, empty_folder, monkeypatch):
    first = run.Run.one_case

    def stop_at_the_second(self, case, *more):
        if self.results.rows:
            raise KeyboardInterrupt
        first(self, case, *more)

    monkeypatch.setattr(run.Run, "one_case", stop_at_the_second)
    code, _, err = mmb("--only", "Softmax", "--out", "here")
    assert (code, err.splitlines()[-1]) == (130, "stopped")
    content = results.read(empty_folder / "here" / "results.json")
    assert len(content["rows"]) == 1
    assert content["finished"] is False


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_killed_run_leaves_a_valid_file(empty_folder):
    command = [sys.executable, "-m", "tinygrad_mmb", "bench", "--out", "here", "--only"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    child = subprocess.Popen([*command, "Sum,Mean,Softmax"], **quiet)
    path, end = empty_folder / "here" / "results.json", time.monotonic() + 60
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.5)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert results.read(path)["finished"] is False


def test_an_installed_package_measures_in_an_empty_folder(tmp_path, empty_folder):
    """As from a wheel: the sources lie inside the package; no checkout, no compiler."""
    site = tmp_path / "site"
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "results")
    shutil.copytree(PACKAGE, site / "tinygrad_mmb", ignore=ignored)
    for folder in ("csrc", "benchmarks"):
        source = PACKAGE.parent / folder
        if not source.is_dir():
            pytest.skip("only in a checkout")
        shutil.copytree(source, site / "tinygrad_mmb" / "share" / folder, ignore=ignored)
    (tmp_path / "no programs").mkdir()
    nowhere = {"PATH": str(tmp_path / "no programs"), "NVCC": "none"}
    environment = os.environ | nowhere | {"PYTHONPATH": str(site)}
    script = site / "tinygrad_mmb" / "share" / "benchmarks" / "kernels.py"
    command = [sys.executable, str(script), "--only", "Mean", "--quick"]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    content = results.read(empty_folder / "runs" / "bench-001" / "results.json")
    assert content["environment"]["commit"] is None
    assert "compiler" in content["emulator_missing"]
    assert content["registers_missing"] == "nvcc is not installed"
    assert content["rows"][0].ok
    assert content["rows"][0].ms > 0


def test_a_busy_machine_is_told():
    machine = {"processor": "P", "threads": 1, "cores": 2}
    content = {"sensors": [{"load": 1.0}, {"load": 9.0}], "kind": "cpu", "ceilings": {}}
    content |= {"seed": 0, "started": "2026-11-26", "machine": machine}
    assert "The machine was busy (load 9 on 2 cores)" in report.heading(content)
    content["sensors"] = [{"load": 1.5}]
    assert "busy" not in report.heading(content)


# -- the parts of a run


def test_kernels_are_chosen_by_name_in_any_case_with_their_backward():
    there = ["MatMul", "MatMul.backward", "Softmax"]
    assert chosen((), there) == there
    assert chosen(("matmul",), there) == ["MatMul", "MatMul.backward"]
    assert chosen(("MatMul.backward", "softmax"), there) == ["MatMul.backward", "Softmax"]
    with pytest.raises(BenchError, match="There are: MatMul, Softmax"):
        chosen(("conv",), there)


def test_a_deadline_shares_what_is_left():
    now = [0.0]
    clock = Deadline(100.0, lambda: now[0])
    first = clock.share(4)
    assert first.left() == 25.0
    now[0] = 10.0  # the first was done early: the others get more
    assert clock.share(3).left() == 30.0
    now[0] = 130.0
    assert clock.passed
    assert (clock.left(), clock.overdrawn()) == (0.0, 30.0)


def test_when_the_time_is_up_the_rest_is_named_and_the_run_ends_well(small, tmp_path):
    found = run.run(Options(seconds=0.001, only=("Softmax", "Sum")), tmp_path, lambda line: None)
    assert found.content["finished"] is True
    assert any(s.startswith("Sum") for s in found.content["skipped"])


def test_what_the_memory_cannot_hold_is_skipped_by_name(small, tmp_path, monkeypatch):
    def too_large(*arguments):
        raise MemoryError("Unable to allocate 2 TiB")

    monkeypatch.setattr(run, "measure", too_large)
    found = run.run(Options(only=("Softmax",), quick=True), tmp_path, lambda line: None)
    assert found.content["skipped"][0] == "Softmax 16x16 float32: Unable to allocate 2 TiB"
    assert found.content["finished"] is True


def test_ops_that_goals_speak_of_come_first(small, tmp_path):
    said = []
    run.run(Options(seconds=1, quick=True), tmp_path, said.append)
    order = [line.split(":")[0] for line in said if " case" in line]
    asked = {g.kernel.partition(".")[0] for g in goals.GOALS}
    assert [op in asked for op in order] == sorted((op in asked for op in order), reverse=True)
    assert order[0] in asked


def test_the_first_case_of_every_kernel_comes_before_the_second_of_any():
    mixed = list(cases_of("Softmax", [FORWARD, BACKWARD], "cpu", False))
    order = [(c.kernel, c.shape) for c in run.one_of_each_first(mixed)]
    assert order == [("Softmax", "512x1024"), ("Softmax.backward", "512x1024"),
                     ("Softmax", "64x50304"), ("Softmax.backward", "64x50304")]  # fmt: skip


# -- a whole run on a scripted GPU: what happens on a real one, but for the numbers


def test_on_a_gpu_everything_is_checked_timed_judged_and_compared(small, tmp_path, monkeypatch):
    def scripted(name, seconds, scale=1.0, **more):
        def make(problem, args):
            y = [None if e is None else (e * scale).astype(np.float32) for e in problem.expected]
            return Timed(lambda: y, seconds), lambda y: y

        return Candidate(name, name, make, **more)

    def everybody(case, kind, libraries):
        assert kind == "gpu"
        return [scripted("cuda", 1e-6), scripted("wrong", 1e-9, 1.5),
                scripted("torch", 2e-6, library=True)]  # fmt: skip

    kernels = ("Softmax", "LayerNorm")
    layer_norm = sizes.WORKLOADS["LayerNorm"][0]
    tiny = replace(layer_norm, gpu=((8, 16),))
    monkeypatch.setitem(sizes.WORKLOADS, "LayerNorm", (tiny,))
    monkeypatch.setattr(run, "machine_for", lambda options: Scripted("gpu"))
    monkeypatch.setattr(run, "candidates", everybody)
    entry = comparison.Comparison("Softmax", "16x16", "float32", 4.0, 2.0, "cpu", 1.0, 0.5, 0.5)
    monkeypatch.setattr(comparison, "compare", lambda *arguments: entry)
    monkeypatch.setattr(run, "cases", lambda place, quick: [
        c for op in kernels for c in cases_of(op, [FORWARD, BACKWARD], place, quick)])  # fmt: skip
    found = run.run(Options(), tmp_path, lambda line: None)
    content = results.read(tmp_path / "results.json")
    rows = {(r.kernel, r.variant): r for r in content["rows"]}
    assert content["device"] == "a scripted GPU"
    assert len(rows) == 4 * 3
    mine = rows["LayerNorm.backward", "cuda"]
    assert mine.ratio == pytest.approx(2.0)
    assert mine.clock == "events"
    assert mine.goal["title"] == "layer norm backward"
    assert mine.met is (mine.pct_limit >= 85)
    assert not rows["Softmax", "wrong"].ok
    assert rows["Softmax", "wrong"].ms is None
    assert content["comparison"][0]["speedup_with_transfer"] == 1.0
    assert "profile" not in content  # the emulator has no part in it
    assert "comparison" in found.content


def test_candidates_of_a_gpu_are_the_kernels_there_the_vendor_and_the_libraries():
    (case,) = cases_of("Softmax", [FORWARD], "gpu", True)
    found = [c.variant for c in candidates.candidates(case, "gpu", [])]
    ladder = ["01_three_passes", "02_online", "03_registers", "04_vectorised"]
    assert [name for name in found if name != candidates.TEACHING] == ["cuda", *ladder, "CuPy"]
    product = next(iter(cases_of("MatMul", [FORWARD], "gpu", True)))
    found = candidates.candidates(product, "gpu", [])
    assert {"cuda", "01_naive", "07_warp_tiles", "cuBLAS (CuPy)"} <= {c.variant for c in found}
    assert next(c for c in found if c.variant == "cuBLAS (CuPy)").library


def test_narrow_numbers_are_multiplied_by_ladder_steps_and_libraries_alone():
    by_dtype = {c.dtype: c for c in cases_of("MatMul", [FORWARD], "gpu", True)}
    assert by_dtype.keys() == {"float32", "tf32", "float16", "bfloat16"}
    for dtype in ("tf32", "bfloat16"):
        found = candidates.candidates(by_dtype[dtype], "gpu", [])
        assert found
        assert all(c.variant[:2].isdigit() for c in found)


def test_one_launch_on_a_gpu_stands_in_an_nvtx_range(monkeypatch):
    noted = []
    machine = Gpu(cupy_like(noted))
    case = Case("Softmax", FORWARD, "4x4", "float32", lambda rng: (np.ones((4, 4)), 1))

    def make(problem, args):
        return lambda: noted.append(("launch",)), lambda y: [y]

    monkeypatch.setattr(once, "cases", lambda place, quick: [case])
    monkeypatch.setattr(once, "prepare", lambda *args: type("P", (), {"args": ()}))
    monkeypatch.setattr(once, "candidates", lambda *args: [Candidate("cuda", "cuda", make)])
    text = once.once("Softmax", Options(), machine)
    assert text == "Softmax 4x4 float32, cuda (cuda): one launch, NVIDIA Test"
    assert noted == [("launch",), ("synchronize",), ("RangePush", "Softmax"), ("launch",),
                     ("synchronize",), ("RangePop",)]  # fmt: skip


@pytest.mark.slow
def test_the_reduced_form_on_this_machine_checks_and_profiles_the_kernels(mmb, empty_folder):
    code, out, _ = mmb("--only", "Softmax", "--seconds", "400")
    content = results.read(empty_folder / "runs" / "bench-001" / "results.json")
    emulated = [r for r in content["rows"] if r.backend == "emulator"]
    assert {r.kernel for r in emulated} >= {"Softmax", "Softmax.backward"}
    assert all(r.ok and r.ms is None for r in emulated)
    assert {e["space"] for e in content["profile"]} <= {"global", "shared"}
    assert any(e["kernel"].startswith("softmax") for e in content["profile"])
    assert code == 0
    assert len({c.kernel for c in cases("cpu", True)}) > 5
    assert "Emulator:" in out


@pytest.mark.torch
def test_pytorch_is_a_peer_that_computes_what_the_reference_computes():
    pytest.importorskip("torch")
    torch, *_ = peers.peers("cpu", compiled=False)[0]
    small = [c for op in sizes.WORKLOADS.keys() - {UPDATE, *NOT_IN_TORCH}
             for c in cases_of(op, kinds_of_workload(op), "small", False)]  # fmt: skip
    steps = [c for op in optimizers() for c in cases_of(op, [UPDATE], "small", False)]
    asked = [c for c in (*small, *steps) if c.dtype != "tf32"]  # a CPU has none
    rows = [checked(Cpu(), prepare(Cpu(), case, 0), candidates.of_peer(torch)) for case in asked]
    nobody = [c.name for c, row in zip(asked, rows, strict=True) if row is None]
    assert nobody == []
    assert [row for row in rows if not row.ok] == []


NOT_IN_TORCH = {  # why
    "Dropout": "draws other numbers",
    "Fold": "takes columns in another order, which would cost it a copy that is not its own",
    "WindowSpread": "has it as the way back of average pooling only",
}


@pytest.mark.torch
@pytest.mark.parametrize("op", NOT_IN_TORCH)
def test_what_pytorch_does_otherwise_has_no_pytorch_column(op):
    pytest.importorskip("torch")
    torch, *_ = peers.peers("cpu", compiled=False)[0]
    (case,) = cases_of(op, [FORWARD], "small", False)
    assert checked(Cpu(), prepare(Cpu(), case, 0), candidates.of_peer(torch)) is None


def test_a_copy_is_a_peer_of_the_transposition_and_of_nothing_else():
    for op in ("Transpose", "Neg"):
        (case,) = cases_of(op, [FORWARD], "small", False)
        row = checked(Cpu(), prepare(Cpu(), case, 0), candidates.of_peer(transpose.Copy()))
        assert (row is not None and row.ok) == (op == "Transpose")


def test_the_list_says_that_the_transposition_is_a_ladder_without_a_twin():
    text = run.listed(Options(only=("transpose",), device="cpu"))
    assert "Transpose  none, but a ladder  1024x1024, 1000x100" in text
