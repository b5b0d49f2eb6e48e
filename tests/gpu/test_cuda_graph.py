"""Captured steps as CUDA graphs on a real GPU: tests/capture/cuda_graph with --device cuda.

Not run on a GPU yet.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_mmb as tm

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.host_only("it starts the session on the device itself")
@pytest.mark.skipif(not tm.cuda.is_available(), reason="no GPU that CuPy can reach")
def test_a_graph_on_a_device_repeats_the_step():
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--device", "cuda",
         "tests/capture/cuda_graph"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]
    assert "passed" in run.stdout
