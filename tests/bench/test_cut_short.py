"""A run that is stopped, killed, out of time or out of memory keeps and names what it has."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tinygrad_mmb.bench import results, run
from tinygrad_mmb.bench.deadline import Deadline
from tinygrad_mmb.bench.options import Options


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
