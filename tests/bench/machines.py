"""Machines that only tests have: one whose calls take what they say, and a CuPy that is NumPy."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np

from tinygrad_mmb.bench.machine import EVENT_CLOCK, Ceilings


class Scripted:
    """A machine whose clock is the calls' own: each call adds `seconds` of its result to it.

    It has NumPy arrays, so that kernels compute; only the time is made up.
    """

    name, stamp, clock = "a scripted GPU", "a scripted GPU", EVENT_CLOCK
    cache_bytes, batch_seconds = 0, 1e-6

    def __init__(self, kind="gpu", drift=0.0):
        self.kind, self.drift, self.now, self.order = kind, drift, 0.0, []

    def generator(self, seed):
        return np.random.default_rng(seed)

    def put(self, value):
        return value

    def host(self, value):
        return value

    def time(self, calls, n):
        total = 0.0
        for i in range(n):
            call = calls[i % len(calls)]
            call()
            self.order.append(call)
            total += call.seconds * (1.0 + self.drift * self.now)
        self.now += total
        return total

    def synchronize(self):
        pass

    def release(self):
        pass

    def sensors(self):
        return {"clocks.sm": 1980.0}

    def describe(self):
        return {"gpu": self.name}

    def ceilings(self, seconds):
        return Ceilings(1000.0, {"float32": 10.0})


class Timed:
    """A function that says how long it takes."""

    def __init__(self, function, seconds):
        self.function, self.seconds = function, seconds

    def __call__(self):
        return self.function()


class Event:
    def record(self):
        self.at = time.perf_counter()

    def synchronize(self):
        pass


def cupy_like(calls=None):
    """As much of CuPy as bench.gpu uses, on NumPy. `calls` gets the names of what was called."""
    noted = [] if calls is None else calls

    def note(name, result=None):
        def function(*args):
            noted.append((name, *args))
            return result

        return function

    properties = {
        "name": b"NVIDIA Test",
        "l2CacheSize": 1 << 16,
        "multiProcessorCount": 2,
        "major": 9,
        "minor": 0,
        "totalGlobalMem": 1 << 30,
    }
    runtime = SimpleNamespace(
        getDeviceProperties=lambda i: properties,
        driverGetVersion=lambda: 13000,
        runtimeGetVersion=lambda: 13000,
    )
    cuda = SimpleNamespace(
        runtime=runtime,
        Event=Event,
        Device=lambda: SimpleNamespace(
            id=0, pci_bus_id="0000:01:00.0", synchronize=note("synchronize")
        ),
        get_elapsed_time=lambda a, b: 1e3 * (b.at - a.at),
        nvtx=SimpleNamespace(RangePush=note("RangePush"), RangePop=note("RangePop")),
    )
    names = ("ones", "empty", "empty_like", "matmul", "copyto", "asarray", "random", "float32")
    # no array of NumPy's is one of this library: host() must leave it as it is
    return SimpleNamespace(
        cuda=cuda, ndarray=type("ndarray", (), {}), __version__="14.0",
        **{n: getattr(np, n) for n in names},
    )  # fmt: skip
