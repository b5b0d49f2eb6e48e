"""tinygrad, the other project: TinyJit over the whole step, on its CPU device."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Mapping
from typing import Any, ClassVar

from tinygrad_mmb.bench.engines.array_models import ArrayModels
from tinygrad_mmb.bench.engines.engine import Step
from tinygrad_mmb.bench.engines.workloads import (
    ADAM,
    EPSILON,
    LEARNING_RATE,
    TRAINING,
    Problem,
    Workload,
)


class Jit(ArrayModels):
    name = "tinygrad"
    module, package = "tinygrad", "tinygrad"
    environment: ClassVar[Mapping[str, str]] = {"DEV": "CPU", "TRAINING": "1"}

    def missing(self) -> str | None:
        compiler = os.environ.get("CC", "clang")
        if (why := super().missing()) is not None or shutil.which(compiler):
            return why
        return f"it compiles with {compiler}, which is not here. Install clang (apt install clang)"

    def start(self, threads: int) -> None:
        self.library: Any = importlib.import_module("tinygrad")
        self.tensor = self.library.Tensor
        self.optim: Any = importlib.import_module("tinygrad.nn.optim")

    def relu(self, x: Any) -> Any:
        return x.relu()

    def tanh(self, x: Any) -> Any:
        return x.tanh()

    def sqrt(self, x: Any) -> Any:
        return x.sqrt()

    def mean(self, x: Any, axes: int | tuple[int, ...]) -> Any:
        return x.mean(axes, keepdim=True)

    def transpose(self, x: Any, axes: tuple[int, ...]) -> Any:
        return x.permute(axes)

    def softmax(self, x: Any) -> Any:
        return x.softmax(-1)

    def cross_entropy(self, logits: Any, target: Any) -> Any:
        return logits.sparse_categorical_crossentropy(target)

    def convolution(self, x: Any, weight: Any, bias: Any) -> Any:
        return x.conv2d(weight, bias, padding=1)

    def max_pool(self, x: Any) -> Any:
        return x.max_pool2d((2, 2))

    def build(self, workload: Workload, problem: Problem) -> Step:
        p = {k: self.tensor(v).realize() for k, v in problem.parameters.items()}
        integers = [a.astype("int32") if a.dtype == "int64" else a for a in problem.inputs]
        inputs = [self.tensor(a).realize() for a in integers]
        for t in p.values():
            t.requires_grad = True
        if workload.kind == ADAM:
            for t, g in zip(p.values(), inputs, strict=True):
                t.grad = g
            optimizer = self.adam(p)
            run = self.library.TinyJit(lambda: optimizer.step())
            return Step(run, self.wait, results=lambda _: [t.numpy() for t in p.values()])
        loss_of = self.loss_of(workload)
        if workload.kind in TRAINING and workload.size.get("optimizer", True):
            optimizer = self.adam(p)

            def train() -> Any:
                optimizer.zero_grad()
                loss = loss_of(p, *inputs)
                loss.backward()
                return loss.realize(*optimizer.schedule_step())

            run = self.library.TinyJit(train)
            return Step(run, self.wait, loss=lambda loss: float(loss.item()))

        def gradients() -> Any:
            loss = loss_of(p, *inputs)
            g = loss.gradient(*p.values())
            self.tensor.realize(loss, *g)
            return loss, *g

        return Step(
            self.library.TinyJit(gradients),
            self.wait,
            loss=(lambda r: float(r[0].item())) if workload.kind in TRAINING else None,
            results=lambda result: [g.numpy() for g in result[1:]],
        )

    def adam(self, p: dict[str, Any]) -> Any:
        return self.optim.Adam(list(p.values()), lr=LEARNING_RATE, eps=EPSILON)

    def wait(self, result: Any) -> None:
        device = self.library.Device
        device[device.DEFAULT].synchronize()


ENGINES = (Jit(),)
