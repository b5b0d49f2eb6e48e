"""How many threads the process starts with, and what it keeps of freed memory."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import tinygrad_mmb as tm
from tinygrad_mmb.backend import allocator, blas, threads
from tinygrad_mmb.kernels.cpu.native import native


def machine(root, files):
    """A folder that looks like / to `available`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    return root


V1 = "4:memory:/job\n3:cpu,cpuacct:/job/task"


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "300000 100000"}, 3),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "max 100000"}, 8),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "150000 100000"}, 1),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "50000 100000"}, 1),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "3200000 100000"}, 8),
        ({"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/b/cpu.max": "max 100000",
          "sys/fs/cgroup/a/cpu.max": "200000 100000"}, 2),
        ({"proc/self/cgroup": V1, "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "400000",
          "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000"}, 4),
        ({"proc/self/cgroup": V1, "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "500000",
          "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 5),
        ({"proc/self/cgroup": V1, "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
          "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 8),
    ],
)  # fmt: skip
def test_threads_follow_affinity_and_the_quota_of_the_control_group(
    files, cores, tmp_path, monkeypatch
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert threads.available(machine(tmp_path, files)) == cores


def test_without_affinity_the_cores_of_the_machine_count(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert threads.available(tmp_path) == 6


@pytest.mark.parametrize(
    ("environment", "n"),
    [
        ({"MMB_NUM_THREADS": "3", "OMP_NUM_THREADS": "5"}, 3),
        ({"OMP_NUM_THREADS": "5"}, 5),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
    ],
)
def test_a_variable_says_how_many_threads_to_start_with(environment, n):
    assert threads.wanted(environment) == n


@pytest.mark.parametrize("word", ["0", "-1", "many", "1.5"])
def test_a_number_of_threads_that_is_none_is_refused(word):
    with pytest.raises(RuntimeError, match=r"MMB_NUM_THREADS is .* positive"):
        threads.wanted({"MMB_NUM_THREADS": word})


def answer(code, **environment):
    """What a new process prints."""
    clean = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", "import tinygrad_mmb as tm; from tinygrad_mmb.backend import blas;"
         + code], env={**clean, **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.split()


@pytest.mark.skipif(blas.blas_threads() is None, reason="this BLAS does not say")
def test_one_variable_sets_the_pool_and_the_blas():
    code = "print(tm.get_num_threads(), blas.blas_threads())"
    assert answer(code, MMB_NUM_THREADS="3") == ["3", "3"]
    assert answer(code, MMB_NUM_THREADS="1") == ["1", "1"]


@pytest.mark.skipif(native is None, reason="the extension _cpu is not built")
@pytest.mark.skipif(blas.blas_threads() is None, reason="this BLAS does not say")
def test_a_number_that_the_user_chose_for_the_blas_stays():
    code = "print(tm.get_num_threads(), blas.blas_threads())"
    chosen = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "BLIS_NUM_THREADS": "1"}
    assert answer(code, **chosen, OMP_NUM_THREADS="2") == ["2", "1"]


@pytest.mark.skipif(blas.blas_threads() is None, reason="this BLAS does not say")
def test_set_num_threads_sets_the_pool_and_the_blas():
    before, blas_before = tm.get_num_threads(), blas.blas_threads()
    try:
        for n in (1, 3):
            tm.set_num_threads(n)
            assert (tm.get_num_threads(), blas.blas_threads()) == (n, n)
            assert native is None or native.threads() == n
    finally:
        tm.set_num_threads(before)
        blas.set_blas_threads(blas_before)


def test_a_blas_that_cannot_be_told_is_an_error_that_names_the_variables(monkeypatch):
    before = tm.get_num_threads()
    monkeypatch.setattr(threads, "set_blas_threads", lambda n: False)
    with pytest.raises(RuntimeError, match="OPENBLAS_NUM_THREADS"):
        tm.set_num_threads(before)


FAULTS = """
import numpy as np, resource
from tinygrad_mmb.backend import allocator
x = np.ones(100_000, np.float32)
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        held = [x + 1 for _ in range(40)]
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""
needs_glibc = pytest.mark.skipif(allocator.glibc() is None, reason="the C library is not glibc")


@needs_glibc
@pytest.mark.skipif(native is None, reason="the extension _cpu is not built")
def test_arrays_of_the_next_step_cost_no_new_pages():
    pages = 5 * 40 * 400_000 // 4096  # if each array is touched for the first time
    assert int(answer(FAULTS)[0]) < pages / 100
    assert int(answer(FAULTS, MMB_MALLOC="system")[0]) > pages / 2


@needs_glibc
def test_memory_can_be_handed_back_and_kept_again():
    switch = "from tinygrad_mmb.backend import allocator; assert allocator.keep_freed_memory({})\n"
    assert int(answer(switch.format(False) + FAULTS)[0]) > 10_000
    assert int(answer(switch.format(True) + FAULTS)[0]) < 200


@needs_glibc
def test_empty_cache_hands_back_what_is_kept():
    code = """
import numpy as np, pathlib
from tinygrad_mmb.backend import allocator
allocator.keep_freed_memory()
def resident(): return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096
held = [np.ones(100_000, np.float32) for _ in range(200)]
del held
before = resident()
allocator.empty_cache()
print(before - resident())
"""
    assert int(answer(code)[0]) > 70e6


def test_another_word_in_mmb_malloc_is_refused():
    with pytest.raises(RuntimeError, match="MMB_MALLOC is 'none'"):
        allocator.begin({"MMB_MALLOC": "none"})
