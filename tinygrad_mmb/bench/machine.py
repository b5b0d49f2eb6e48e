"""The machine that is measured: how arrays are made, how calls are timed, what its limits are.

Everything that differs between a CPU and a GPU stands behind `Machine`; the rest of a run is the
same code for both. `gpu.py` holds the other one.
"""

from __future__ import annotations

import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tinygrad_mmb.backend import blas

Call = Callable[[], Any]
HOST_CLOCK, EVENT_CLOCK = "host", "events"


@dataclass(frozen=True)
class Ceilings:
    """What this machine reached when it was asked for nothing else, measured now."""

    copy_gbs: float  #                  10⁹ bytes read plus written per second by a copy
    tflops: dict[str, float] = field(default_factory=dict)  # by dtype
    how: dict[str, str] = field(default_factory=dict)

    def seconds(self, bytes: float, operations: float, dtype: str) -> float:
        """The least time these limits allow."""
        peak = self.tflops.get(dtype)
        compute = operations / (peak * 1e12) if peak else 0.0
        return max(bytes / (self.copy_gbs * 1e9), compute)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Machine(Protocol):
    """A CPU or a GPU."""

    name: str
    kind: str  #             "cpu" or "gpu"
    stamp: str  #            what results are headed with
    clock: str  #            EVENT_CLOCK or HOST_CLOCK
    cache_bytes: int
    batch_seconds: float  #  shorter than this no measurement is worth taking

    def generator(self, seed: int) -> Any:
        """Where random numbers come from, on the machine."""

    def put(self, value: Any) -> Any:
        """A NumPy array, on the machine; anything else as it is."""

    def host(self, value: Any) -> Any:
        """An array of the machine as a NumPy array."""

    def time(self, calls: Sequence[Call], n: int) -> float:
        """Seconds that n calls take, in turn, until the last has finished."""

    def synchronize(self) -> None:
        """Wait until everything has finished."""

    def release(self) -> None:
        """Give back memory that nothing uses any more."""

    def sensors(self) -> dict[str, float | str]:
        """Clock, power, temperature, as far as they can be read."""

    def describe(self) -> dict[str, Any]:
        """What the machine is."""

    def ceilings(self, seconds: float) -> Ceilings:
        """Measure the limits, in about so many seconds."""


def host_time(calls: Sequence[Call], n: int, wait: Callable[[Any], object] | None = None) -> float:
    """Seconds by the host's clock; `wait` gets the last result, to wait for it."""
    count, result = len(calls), None
    start = time.perf_counter()
    for i in range(n):
        result = calls[i % count]()
    if wait is not None:
        wait(result)
    return time.perf_counter() - start


class Cpu:
    """The host, with NumPy arrays and as many threads as it is told."""

    kind, clock = "cpu", HOST_CLOCK
    stamp = "cpu-emulated"  # CUDA kernels are checked by emulation here, and never timed
    batch_seconds = 2e-3

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads
        self.name = processor()
        self.cache_bytes = last_level_cache()

    def generator(self, seed: int) -> Any:
        return np.random.default_rng(seed)

    def put(self, value: Any) -> Any:
        return value

    def host(self, value: Any) -> Any:
        return value

    def time(self, calls: Sequence[Call], n: int) -> float:
        return host_time(calls, n)

    def synchronize(self) -> None:
        """Nothing runs behind our back."""

    def release(self) -> None:
        """Python has done so."""

    def sensors(self) -> dict[str, float | str]:
        megahertz = re.findall(r"cpu MHz\s*:\s*([\d.]+)", text_of("/proc/cpuinfo"))
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        found: dict[str, float | str] = {}
        if megahertz:
            found["mhz"] = statistics.mean(map(float, megahertz))
        if load is not None:
            found["load"] = load
        return found

    def describe(self) -> dict[str, Any]:
        return {
            "processor": self.name,
            "cores": os.cpu_count(),
            "threads": self.threads,
            "last_level_cache_bytes": self.cache_bytes,
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "blas": f"{blas.blas_name()}, {blas.blas_threads()} threads",
        }

    def ceilings(self, seconds: float) -> Ceilings:
        """A copy of arrays that no cache holds, and NumPy's matrix product."""
        size = max(4 * self.cache_bytes, 64 << 20) // 8
        source, target = np.ones(size), np.empty(size)
        copy = best_of(lambda: np.copyto(target, source), seconds / 3)
        tflops = {}
        for dtype in ("float32", "float64"):
            n = 1024
            a = self.generator(0).standard_normal((n, n)).astype(dtype)
            tflops[dtype] = 2e-12 * n**3 / best_of(lambda a=a: a @ a, seconds / 3)  # type: ignore[misc]
        return Ceilings(
            2e-9 * source.nbytes / copy,
            tflops,
            {"copy": f"numpy.copyto of {source.nbytes >> 20} MiB",
             "tflops": f"numpy.matmul 1024 ({blas.blas_name()})"},
        )  # fmt: skip


def best_of(call: Call, seconds: float, least: int = 3) -> float:
    """The shortest of several times, at least `least`: a limit is what was reached once."""
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < least or (time.perf_counter() < end and len(times) < 100):
        times.append(host_time([call], 1))
    return min(times)


def text_of(path: str) -> str:
    """What a file of the system says; nothing where it is missing."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def processor() -> str:
    """The processor's name, as far as the system tells."""
    found = re.search(r"model name\s*:\s*(.+)", text_of("/proc/cpuinfo"))
    return found[1].strip() if found else platform.processor() or platform.machine()


def last_level_cache() -> int:
    """Bytes of the largest cache; 32 MiB where the system does not tell."""
    sizes = [0]
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        found = re.fullmatch(r"(\d+)([KMG])", text_of(str(path)).strip())
        if found:
            sizes.append(int(found[1]) << {"K": 10, "M": 20, "G": 30}[found[2]])
    return max(sizes) or 32 << 20
