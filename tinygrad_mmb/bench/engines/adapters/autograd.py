"""HIPS autograd: gradients of NumPy functions, traced anew at every step."""

from __future__ import annotations

import importlib
from typing import Any

from tinygrad_mmb.bench.engines.adam import InPlaceAdam
from tinygrad_mmb.bench.engines.array_models import ArrayModels
from tinygrad_mmb.bench.engines.engine import Step
from tinygrad_mmb.bench.engines.workloads import ADAM, CNN, KINDS, TRAINING, Problem, Workload


class Autograd(ArrayModels):
    name = "autograd"
    module, package = "autograd", "autograd"
    kinds = tuple(k for k in KINDS if k not in (ADAM, CNN))  # it has neither

    def start(self, threads: int) -> None:  # the BLAS below NumPy was told by its variables
        self.xp = importlib.import_module("autograd.numpy")
        self.library: Any = importlib.import_module("autograd")

    def mean(self, x: Any, axes: int | tuple[int, ...]) -> Any:
        return self.xp.mean(x, axes, keepdims=True)

    def softmax(self, x: Any) -> Any:
        e = self.xp.exp(x - self.xp.max(x, -1, keepdims=True))
        return e / self.xp.sum(e, -1, keepdims=True)

    def cross_entropy(self, logits: Any, target: Any) -> Any:
        xp = self.xp
        z = logits - xp.max(logits, 1, keepdims=True)
        logs = z - xp.log(xp.sum(xp.exp(z), 1, keepdims=True))
        return -xp.mean(logs[xp.arange(len(target)), target])

    def build(self, workload: Workload, problem: Problem) -> Step:
        both = self.library.value_and_grad(self.loss_of(workload))
        p, inputs = {k: v.copy() for k, v in problem.parameters.items()}, problem.inputs
        if workload.kind not in TRAINING:
            return Step(lambda: both(p, *inputs), results=lambda result: [result[1][k] for k in p])
        optimizer = InPlaceAdam(list(p.values())) if workload.size.get("optimizer", True) else None

        def step() -> Any:
            loss, g = both(p, *inputs)
            if optimizer is not None:
                optimizer.step([g[k] for k in p])
            return loss

        return Step(step, loss=float)


ENGINES = (Autograd(),)
