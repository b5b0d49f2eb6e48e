"""All twins of the backend "emulator", run on the samples of their ops.

    python -m tests.emulator.table_of_twins MODE [KEY ...]

prints each key when it has run: the last line of a process that a sanitizer ended says where.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

import tinygrad_mmb as tm
from tests.kernels.test_twins import OPS, VARIANTS, cast, results, steps
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.launch.emulated import emulator


def twins() -> Iterator[registry.Kernel]:
    """One per key of the table."""
    for key in registry.keys():  # noqa: SIM118 - a function
        yield from (twin for twin in registry.twins(key) if twin.backend == "emulator")


def run(twin: registry.Kernel) -> None:
    """Forward and backward on the samples of its op, or four steps of its optimizer."""
    name, _, kind = twin.key.partition(".")
    for dtype in ("float32", "float64", "float16"):
        if kind == "update":
            for options in VARIANTS[name]:
                steps(name, options, "emulator", dtype)
        elif name in OPS:
            for args in OPS[name].samples(np.random.default_rng(0), 4):
                results(OPS[name], [cast(a, dtype) for a in args], "emulator")


def main(mode: str, *keys: str) -> None:
    tm.manual_seed(0)
    with emulator(mode):
        for twin in twins():
            if not keys or twin.key in keys:
                run(twin)
                print(twin.key, twin.calls, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
