"""How many threads compute: those of the C++ kernels, and those of the BLAS below NumPy.

At the start as many as MMB_NUM_THREADS says, else OMP_NUM_THREADS, else as this process may have:
the cores that it may run on, and no more than the quota of its control group (a container's
--cpus). The C++ kernels give the same bits with any number of threads; a BLAS may not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from tinygrad_mmb.backend.blas import blas_threads, set_blas_threads
from tinygrad_mmb.backend.extension import load

OWN = "MMB_NUM_THREADS"
BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "OMP_NUM_THREADS")


def get_num_threads() -> int:
    """How many threads the C++ kernels use; without them the BLAS, or 1 if it does not say."""
    pool = load("cpu").module
    return pool.threads() if pool is not None else blas_threads() or 1


def set_num_threads(n: int) -> None:
    """Let C++ kernels and matrix products use `n` threads.

    Raises: TypeError for what is no int, RuntimeError for fewer than one thread or a BLAS that
    cannot be told.
    """
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"set_num_threads expects an int, but got {type(n).__name__}")
    if n < 1:
        raise RuntimeError(f"set_num_threads expects a positive integer, but got {n}")
    set_pool_threads(n)
    if not set_blas_threads(n):
        raise RuntimeError(
            f"set_num_threads({n}): the BLAS below NumPy cannot be told at run time, so its number "
            "of threads stays as it was. Set OPENBLAS_NUM_THREADS, MKL_NUM_THREADS or "
            "VECLIB_MAXIMUM_THREADS before Python starts."
        )


def set_pool_threads(n: int) -> None:
    """Let the C++ kernels use `n` threads; the BLAS keeps its own number."""
    pool = load("cpu").module
    if pool is not None:
        pool.set_threads(n)


def begin(environment: Mapping[str, str] = os.environ) -> None:
    """Set both numbers as the process starts. The BLAS's stays if the user chose it in a variable.

    Raises: RuntimeError if MMB_NUM_THREADS is no positive number.
    """
    n = wanted(environment)
    set_pool_threads(n)
    chosen = any(environment.get(name) for name in BLAS_VARIABLES)
    if environment.get(OWN) or (not chosen and (blas_threads() or 1) > n):
        set_blas_threads(n)


def wanted(environment: Mapping[str, str] = os.environ) -> int:
    """How many threads to start with.

    Raises: RuntimeError if MMB_NUM_THREADS is no positive number.
    """
    if own := environment.get(OWN):
        if own.strip().isdecimal() and int(own) > 0:
            return int(own)
        raise RuntimeError(f"{OWN} is {own!r}, but must be a positive number. Or leave it unset.")
    first = environment.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # "4,2": of nested loops
    return int(first) if first.isdecimal() and int(first) > 0 else available()


def available(root: Path = Path("/")) -> int:
    """How many threads can run at once in this process; `root` is where /proc and /sys are."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux's
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min([cores, *map(int, quotas(root))]))  # 1.5 cores: a second thread would wait


def quotas(root: Path) -> Iterator[float]:
    """What Linux's control groups of this process, and those around them, allow: 1.5 cores."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:  # another system
        return
    mounted = root / "sys/fs/cgroup"
    for line in lines:  # "0::/user/job" in version 2, "4:cpu,cpuacct:/user/job" in version 1
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        groups = Path(path.strip("/"))
        for group in (groups, *groups.parents):
            if controllers:
                for folder in dict.fromkeys((controllers, "cpu")):
                    yield from quota(
                        number(mounted / folder / group / "cpu.cfs_quota_us"),
                        number(mounted / folder / group / "cpu.cfs_period_us"),
                    )
            else:
                limit, _, period = text(mounted / group / "cpu.max").partition(" ")
                yield from quota(as_number(limit), as_number(period))


def quota(limit: int, period: int) -> Iterator[float]:
    """Microseconds of computing in each period, as a number of cores; nothing if without limit."""
    if limit > 0 and period > 0:
        yield limit / period


def text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def number(path: Path) -> int:
    return as_number(text(path))


def as_number(written: str) -> int:
    """-1 for "max" and what is not there, as version 1 writes it."""
    return int(written) if written.isdecimal() else -1
