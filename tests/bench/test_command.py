"""`mmb bench` with few small cases on this CPU: its files, its comparisons, its refusals."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys

import pytest

from tinygrad_mmb.backend.extension import PACKAGE
from tinygrad_mmb.bench import results, run
from tinygrad_mmb.bench.cases import cases
from tinygrad_mmb.bench.options import Options


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


def test_the_list_says_that_the_transposition_is_a_ladder_without_a_twin():
    text = run.listed(Options(only=("transpose",), device="cpu"))
    assert "Transpose  none, but a ladder  1024x1024, 1000x100" in text


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
