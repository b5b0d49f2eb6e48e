"""mmb train --resume: the same bits as without a break, or a clear no."""

import json
import subprocess
import sys

import pytest

from tests.cli.runs import QUICK, one_line, weights
from tests.cli.tables_and_images import table
from tinygrad_mmb.backend import blas
from tinygrad_mmb.backend.extension import load, variants


def test_a_run_that_was_cut_short_is_resumed_with_the_same_bits(mmb, empty_folder):
    command = [
        sys.executable,
        "-m",
        "tinygrad_mmb",
        "train",
        "digits",
        *QUICK,
        "--epochs",
        "6",
        "--out",
    ]
    subprocess.run([*command, "whole"], check=True, capture_output=True, timeout=120)
    kill = (
        "import os, signal, sys; from tinygrad_mmb.cli import main; "
        "from tinygrad_mmb.training import Trainer; step = Trainer.training_step; "
        "die = lambda: os.kill(os.getpid(), getattr(signal, 'SIGKILL', signal.SIGTERM)); "
        "Trainer.training_step = lambda self, x, t: self.step == 40 and die() or step(self, x, t); "
        "main(sys.argv[1:])"
    )
    killed = [sys.executable, "-c", kill, *command[3:], "killed", "--checkpoint-every", "15"]
    assert subprocess.run(killed, capture_output=True, timeout=120, check=False).returncode != 0
    assert not (empty_folder / "killed" / "model.safetensors").exists()
    code, out, err = mmb("train", "--resume", "killed", "--plain")
    assert (code, err) == (0, "")
    assert "epoch 1/6" not in out
    assert weights(empty_folder / "whole") == weights(empty_folder / "killed")
    strip = [
        line.rsplit(",", 1)[0]
        for line in (empty_folder / "whole" / "metrics.csv").read_text().splitlines()
    ]
    assert strip == [
        line.rsplit(",", 1)[0]
        for line in (empty_folder / "killed" / "metrics.csv").read_text().splitlines()
    ]


def test_a_finished_run_can_be_resumed_and_stays_as_it_is(mmb, run_a, empty_folder):
    before = weights(empty_folder / "a")
    assert mmb("train", "digits", "--resume", "a", "--epochs", "4", "--plain")[0] == 0
    assert weights(empty_folder / "a") == before


def test_a_run_on_a_table_may_be_resumed_from_another_folder(mmb, empty_folder, monkeypatch):
    table(empty_folder / "blumen.csv")
    mmb("train", "csv", "blumen.csv", *QUICK, "--out", "a")
    (empty_folder / "below").mkdir()
    monkeypatch.chdir(empty_folder / "below")
    assert mmb("train", "csv", "../blumen.csv", "--resume", "../a", "--plain")[0] == 0
    assert mmb("evaluate", "../a")[0] == 0


def test_a_run_whose_data_has_changed_is_not_resumed(mmb, empty_folder):
    path = table(empty_folder / "blumen.csv")
    mmb("train", "csv", "blumen.csv", *QUICK, "--out", "a")
    table(path, rows=59)
    assert "the data has changed" in one_line(mmb("train", "--resume", "a"))


def test_a_resumed_run_keeps_its_settings(mmb, run_a):
    message = one_line(mmb("train", "--resume", "a", "--lr", "0.5"))
    assert "was started with lr 0.01, so it cannot go on with 0.5" in message


@pytest.mark.filterwarnings("default")
def test_runs_of_which_every_checkpoint_is_damaged_fail_with_a_line(mmb, run_a, empty_folder):
    for path in (empty_folder / "a" / "checkpoints").glob("*.json"):
        path.write_text("{", encoding="utf-8")
    code, _, err = mmb("train", "--resume", "a")
    assert code == 1
    assert "no checkpoint is whole" in err.splitlines()[-1]


def test_a_resumed_run_restores_the_number_of_blas_threads(mmb, empty_folder):
    before = blas.blas_threads()
    if before is None:
        pytest.skip("this BLAS does not tell its threads")
    try:
        blas.set_blas_threads(1)
        mmb("train", "digits", *QUICK, "--threads", 0, "--out", "a")
        text = (empty_folder / "a" / "manifest.json").read_text(encoding="utf-8")
        assert json.loads(text)["blas"]["threads"] == 1
        blas.set_blas_threads(2)
        mmb("train", "--resume", "a", "--plain")
        assert blas.blas_threads() == 1
    finally:
        blas.set_blas_threads(before)


def test_a_resume_whose_threads_cannot_be_restored_is_refused(
    mmb, run_a, empty_folder, monkeypatch
):
    monkeypatch.setattr(blas, "set_blas_threads", lambda n: False)
    monkeypatch.setattr(blas, "blas_threads", lambda: 99)
    assert "OPENBLAS_NUM_THREADS" in one_line(mmb("train", "--resume", "a"))


@pytest.mark.filterwarnings("default")
def test_a_resume_with_another_version_is_warned_about(mmb, run_a):
    manifest = json.loads((run_a / "manifest.json").read_text(encoding="utf-8"))
    manifest["versions"]["numpy"] = "1.0"
    (run_a / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    code, _, err = mmb("train", "--resume", "a", "--plain")
    assert code == 0
    assert err.startswith("warning: a was started with numpy 1.0; another version is installed")


def noted_kernels(run, **kernels):
    """Change what a run's manifest says about its kernels; with none, take it out."""
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    manifest["kernels"] = kernels or None
    (run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def test_a_resume_with_other_kernels_is_refused_and_says_how_to_get_those_back(mmb, run_a):
    noted_kernels(run_a, named="numba", cpu=None)
    answer = one_line(mmb("train", "--resume", "a"))
    assert "a: this run used the kernels of numba, now it would be" in answer
    assert answer.endswith("Set MMB_KERNELS=numba and call again")


@pytest.mark.skipif(len(variants()) < 2, reason="C++ kernels for one set of instructions at most")
def test_a_resume_with_other_instructions_is_refused_and_says_how_to_get_those_back(mmb, run_a):
    now = load("cpu").module.isa
    other = next(isa for isa in variants() if isa != now)
    noted_kernels(run_a, named="auto", cpu=other)
    answer = one_line(mmb("train", "--resume", "a"))
    assert f"used C++ kernels for {other}, now it would be C++ kernels for {now}" in answer
    assert answer.endswith(f"Set MMB_CPU_ISA={other} and call again")


@pytest.mark.filterwarnings("default")
def test_a_resume_where_the_kernels_of_then_cannot_run_is_warned_about(mmb, run_a):
    noted_kernels(run_a, named="auto", cpu="sse9")
    code, _, err = mmb("train", "--resume", "a", "--plain")
    assert code == 0
    assert err.startswith("warning: a: this run used C++ kernels for sse9, now it would be")


def test_a_run_that_noted_no_kernels_goes_on(mmb, run_a):
    noted_kernels(run_a)
    assert mmb("train", "--resume", "a", "--plain")[0] == 0
