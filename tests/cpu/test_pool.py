"""The pool of threads that C++ kernels share: csrc/cpu/pool.hpp, alone and below the twins."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb.backend.extension import source_folders
from tinygrad_mmb.kernels.cpu.native import native

HERE = Path(__file__).parent
COMPILER = os.environ.get("CXX") or shutil.which("c++")
needs_cpu = pytest.mark.skipif(native is None, reason="the extension _cpu is not built")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@pytest.fixture(scope="module")
def promises(tmp_path_factory):
    """The program that holds the pool to its promises."""
    if not COMPILER or not hasattr(os, "fork"):
        pytest.skip("needs a C++ compiler, and a system that forks")
    csrc = next(folder for folder in source_folders() if folder.is_dir())
    program = tmp_path_factory.mktemp("pool") / "promises"
    sources = [str(csrc / "cpu" / "pool.cpp"), str(HERE / "pool_promises.cpp")]
    command = [COMPILER, "-std=c++17", "-O1", "-pthread", f"-I{csrc / 'cpu'}", *sources]
    subprocess.run([*command, "-o", str(program)], check=True)
    return program


@pytest.mark.parametrize(
    "promise",
    [
        *("each_once", "several_threads", "exceptions", "nested", "nested_exception"),
        *("two_callers", "fork_after_threads"),
    ],
)
def test_the_pool_keeps_its(promise, promises):
    done = subprocess.run([promises, promise], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def threads():
    """Sets the number of threads; afterwards it is what it was."""
    before = native.threads()
    yield native.set_threads
    native.set_threads(before)


def gradients(rng_seed=0):
    """Of a layer large enough to be shared: result and gradients, as bytes."""
    rng = np.random.default_rng(rng_seed)
    shapes = (301, 203), (517, 203), (517,), (301, 517)
    x, w, b, g = (rng.standard_normal(s).astype(np.float32) for s in shapes)
    y = native.linear(x, w, b, True)
    return [
        v.tobytes() for v in (y, *native.linear_backward(g, x, w, y, True), native.matmul(x, w.T))
    ]


@needs_cpu
def test_results_have_the_same_bits_for_every_number_of_threads(threads):
    threads(1)
    expected = gradients()
    for n in (2, 3, 4):
        threads(n)
        for _ in range(3):
            assert gradients() == expected


@needs_cpu
def test_batched_products_have_the_same_bits_for_every_number_of_threads(threads, rng):
    a, b = (rng.standard_normal(s).astype(np.float32) for s in ((40, 64, 96), (40, 96, 80)))
    threads(1)
    expected = native.matmul(a, b)
    for n in (2, 4):
        threads(n)
        np.testing.assert_array_equal(native.matmul(a, b), expected)


@needs_cpu
def test_python_threads_compute_at_once_and_each_gets_its_own_result(threads):
    threads(3)
    seeds = range(4)
    expected = [gradients(seed) for seed in seeds]
    found = {}

    def work(seed):
        found[seed] = [gradients(seed) for _ in range(5)]

    workers = [threading.Thread(target=work, args=(seed,)) for seed in seeds]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for seed in seeds:
        assert found[seed] == [expected[seed]] * 5


@needs_cpu
@needs_fork
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_computes_after_its_parent_used_the_pool(threads):
    threads(3)
    expected = gradients()
    child = os.fork()
    if child == 0:
        os._exit(0 if gradients() == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert gradients() == expected


@needs_cpu
@pytest.mark.slow
def test_the_bits_stay_the_same_on_a_busy_machine(threads):
    threads(1)
    expected = gradients()
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        threads(4)
        for _ in range(30):
            assert gradients() == expected
    finally:
        for process in busy:
            process.kill()
            process.wait()


@needs_cpu
def test_fewer_than_one_thread_is_refused():
    with pytest.raises(RuntimeError, match="positive"):
        tm.set_num_threads(0)
    with pytest.raises(ValueError, match="at least one thread"):
        native.set_threads(0)
