"""--help, mmb doctor, and what a screen is sent."""

import os
import subprocess
import sys

from tests.cli.runs import QUICK


def test_help_explains_every_command(mmb):
    for command in ("train", "evaluate", "predict", "doctor"):
        code, out, _ = mmb(command, "--help")
        assert code == 0
        assert out.startswith(f"Usage: mmb {command}")
    assert "mmb train digits --model cnn --seed 1" in mmb("train", "-h")[1]
    assert mmb("--version")[1].startswith("tinygrad_mmb, version")


def test_no_command_at_all_shows_the_help(mmb):
    code, out, _ = mmb()
    assert code == 2
    assert "train" in out


def test_doctor_tells_versions_kernels_blas_and_threads(mmb):
    code, out, _ = mmb("doctor")
    assert code == 0
    for word in (
        "tinygrad_mmb",
        "python",
        "numpy",
        "safetensors",
        "BLAS",
        "thread",
        "kernels",
        "CuPy",
    ):
        assert word in out


def test_output_that_is_no_terminal_has_no_control_codes(empty_folder):
    command = [sys.executable, "-m", "tinygrad_mmb", "train", "digits", *QUICK[:-1]]
    variables = os.environ | {"NO_COLOR": "1"}
    answer = subprocess.run(command, capture_output=True, timeout=120, check=True, env=variables)
    assert b"\x1b" not in answer.stdout + answer.stderr
