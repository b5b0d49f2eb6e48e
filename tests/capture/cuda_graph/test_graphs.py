"""The graphs themselves: what the stand-in repeats, what is released, a session of all this."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.capture.cuda_graph.training import Training, batches, host, on_device

ROOT = Path(__file__).resolve().parents[3]


@on_device
def test_a_number_that_the_graph_may_not_keep_is_an_input():
    """The fake repeats what was recorded: a number by value would stay what it was."""
    from tests.device import stand_in_graphs

    cupy = pytest.importorskip("cupy")
    if (
        not hasattr(cupy.cuda.Stream, "begin_capture")
        or cupy.cuda.Stream is not stand_in_graphs.Stream
    ):
        pytest.skip("of the stand-in's graphs")
    x, scale, pool = cupy.zeros(2), 3.0, cupy.cuda.MemoryPool()
    stream = cupy.cuda.Stream(non_blocking=True)
    with cupy.cuda.using_allocator(pool.malloc), stream:
        stream.begin_capture()
        y = x * scale
        graph = stream.end_capture()
    x[...] = 2.0
    scale = 5.0
    graph.launch()
    np.testing.assert_array_equal(y.get(), [6.0, 6.0])
    with stream, pytest.raises(RuntimeError, match="cudaErrorStreamCaptureUnsupported"):
        stream.begin_capture()
        try:
            x * scale  # not from the pool
        finally:
            stream.end_capture()


@on_device
def test_graphs_are_released():
    training = Training()
    step = tm.capture(training.step, max_plans=1)
    for n in (8, 5):
        for x, t in batches(3, n):
            step(x, t)
    assert step.cache_info() == (2, 4, 0, 1, 1)
    pool = step._device.graphs[0].pool
    step.cache_clear()
    assert step.cache_info() == (0, 0, 0, 0, 0)
    assert getattr(pool, "freed", True)
    assert all(np.isfinite(host(p.grad)).all() for p in training.model.parameters())


def test_this_folder_passes_in_a_session_of_the_stand_in(request):
    if request.config.getoption("--device") != "cpu":
        pytest.skip("this is such a session")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--device", "stand-in",
         str(Path(__file__).parent.relative_to(ROOT))],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]
