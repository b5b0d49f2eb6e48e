"""A run that is killed and resumed ends with the bits of one that was not."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tinygrad_mmb.training.checkpoint import checkpoints

ROOT = Path(__file__).parents[2]


def run(folder, *options):
    """One process of tests.training.killed_run."""
    command = [sys.executable, "-m", "tests.training.killed_run", str(folder), *options]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=120, check=False
    )


def checksum_of(answer):
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return checksum_of(run(tmp_path_factory.mktemp("uninterrupted")))


# 8 batches an epoch, a checkpoint after every 3rd batch and after each epoch
MOMENTS = [
    "step:1",  # before any checkpoint
    "step:3",  # when a checkpoint within an epoch is due, before it
    "step:13",  # in the middle of the second epoch
    "step:24",  # after the last batch of an epoch, its validation is still to come
    "epoch:2",  # between the end of an epoch and its checkpoint
    "saved:2",  # just after that checkpoint
    "saved:4",  # after the last one: nothing is left to train
    "writing:7",  # half of the arrays of a checkpoint are written
    "sealing:7",  # the arrays are written, the JSON file is not
]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_and_resumed_run_ends_with_the_same_bits(tmp_path, uninterrupted, moment):
    killed = run(tmp_path, moment)
    assert killed.returncode == -getattr(signal, "SIGKILL", -1), killed.stderr
    assert not killed.stdout
    if moment == "step:1":
        assert not checkpoints(tmp_path)
    assert checksum_of(run(tmp_path)) == uninterrupted
    assert not list(tmp_path.glob(".tmp-*"))


def test_a_run_killed_again_and_again_ends_with_the_same_bits(tmp_path, uninterrupted):
    for moment in ("step:5", "step:9", "saved:1", "writing:2", "step:20", "epoch:3"):
        run(tmp_path, moment)
    assert checksum_of(run(tmp_path)) == uninterrupted


@pytest.mark.parametrize("what", ["generators", "loader", "optimizer"])
def test_a_resume_that_forgets_a_part_of_the_state_is_noticed(tmp_path, uninterrupted, what):
    run(tmp_path, "step:13")
    assert checksum_of(run(tmp_path, "--forget", what)) != uninterrupted


def test_a_damaged_last_checkpoint_costs_only_time(tmp_path, uninterrupted):
    run(tmp_path, "step:13")
    arrays = checkpoints(tmp_path)[-1].with_suffix(".safetensors")
    arrays.write_bytes(arrays.read_bytes()[:-10])
    answer = run(tmp_path)
    assert "Falling back" in answer.stderr
    assert checksum_of(answer) == uninterrupted


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the moments are those of POSIX timing")
@pytest.mark.parametrize("delay", [0.35, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 1.0])
def test_a_run_killed_at_any_moment_ends_with_the_same_bits(tmp_path, uninterrupted, delay):
    command = [sys.executable, "-m", "tests.training.killed_run", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
    assert checksum_of(run(tmp_path)) == uninterrupted
