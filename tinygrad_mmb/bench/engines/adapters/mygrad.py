"""MyGrad, with its neural-net functions; it has no optimizer."""

from __future__ import annotations

import importlib
from typing import Any

from tinygrad_mmb.bench.engines.adam import InPlaceAdam
from tinygrad_mmb.bench.engines.array_models import ArrayModels
from tinygrad_mmb.bench.engines.engine import Step
from tinygrad_mmb.bench.engines.workloads import ADAM, KINDS, TRAINING, Problem, Workload


class MyGrad(ArrayModels):
    name = "mygrad"
    module, package = "mygrad", "mygrad"
    kinds = tuple(k for k in KINDS if k != ADAM)

    def start(self, threads: int) -> None:  # the BLAS below NumPy was told by its variables
        self.xp: Any = importlib.import_module("mygrad")
        self.nnet: Any = importlib.import_module("mygrad.nnet")
        self.xp.turn_memory_guarding_off()  # as its documentation advises for speed

    def relu(self, x: Any) -> Any:
        return self.nnet.relu(x)

    def transpose(self, x: Any, axes: tuple[int, ...]) -> Any:
        return self.xp.transpose(x, *axes)

    def softmax(self, x: Any) -> Any:
        return self.nnet.softmax(x, axis=-1)

    def cross_entropy(self, logits: Any, target: Any) -> Any:
        return self.nnet.softmax_crossentropy(logits, target)

    def convolution(self, x: Any, weight: Any, bias: Any) -> Any:
        y = self.nnet.conv_nd(x, weight, stride=1, padding=1)
        return y + bias.reshape(1, -1, 1, 1)

    def max_pool(self, x: Any) -> Any:
        return self.nnet.max_pool(x, (2, 2), 2)

    def build(self, workload: Workload, problem: Problem) -> Step:
        p = {k: self.xp.tensor(v) for k, v in problem.parameters.items()}
        loss_of, training = self.loss_of(workload), workload.kind in TRAINING
        with_adam = training and workload.size.get("optimizer", True)
        optimizer = InPlaceAdam([t.data for t in p.values()]) if with_adam else None

        def step() -> Any:
            for t in p.values():
                t.null_grad()
            loss = loss_of(p, *problem.inputs)
            loss.backward()
            if optimizer is not None:
                optimizer.step([t.grad for t in p.values()])
            return loss

        return Step(
            step,
            loss=(lambda loss: float(loss.item())) if training else None,
            results=lambda _: [t.grad for t in p.values()],
        )


ENGINES = (MyGrad(),)
