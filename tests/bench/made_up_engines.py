"""Engines that only tests have: an adapter, which workers import by its name as any other.

All compute the chain (a * b + c).relu().sum() of W4; each misbehaves in a way of its own.
"""

from __future__ import annotations

import os
import sys
import time

import numpy as np

from tinygrad_mmb.bench.engines.engine import Engine, Step


class Right(Engine):
    name = "right"
    module, package = "numpy", "numpy"
    kinds = ("chain",)
    sign = 1.0
    threads = 0

    def start(self, threads):
        print("a library that prints where nobody expects it")
        self.threads = threads

    def version(self):
        ours = "tinygrad_mmb.ops" in sys.modules
        return f"{self.threads} threads, {'with' if ours else 'without'} us"

    def build(self, workload, problem):
        a, b, c = problem.parameters.values()

        def step():
            gate = self.sign * (a * b + c > 0)
            return [gate * b, gate * a, gate]

        return Step(step, results=lambda result: result)


class Wrong(Right):
    """Its gradients have the wrong sign."""

    name = "wrong"
    sign = -1.0


class CannotStart(Right):
    name = "cannot start"

    def start(self, threads):
        raise OSError("libsomething.so is missing\nand more lines")


class Dies(Right):
    name = "dies"

    def build(self, workload, problem):
        os._exit(3)


class Hangs(Right):
    name = "hangs"

    def build(self, workload, problem):
        time.sleep(60)


class Missing(Right):
    name = "missing"
    module, package = "no_such_library", "no-such-library[cpu]"


class Nan(Right):
    name = "nan"
    sign = np.nan


ENGINES = (Right(), Wrong(), CannotStart(), Dies(), Hangs(), Missing(), Nan())
