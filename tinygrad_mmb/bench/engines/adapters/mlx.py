"""MLX on the CPU: mx.compile over the whole step. Its images are (N, H, W, C)."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from tinygrad_mmb.bench.engines.adam import adam
from tinygrad_mmb.bench.engines.array_models import ArrayModels
from tinygrad_mmb.bench.engines.engine import Step
from tinygrad_mmb.bench.engines.workloads import ADAM, CNN, TRAINING, Problem, Workload


class Compiled(ArrayModels):
    name = "mlx"
    module, package = "mlx", "mlx[cpu]"

    def start(self, threads: int) -> None:  # it has no way to be told
        self.xp: Any = importlib.import_module("mlx.core")
        self.nn: Any = importlib.import_module("mlx.nn")
        self.xp.set_default_device(self.xp.cpu)

    def softmax(self, x: Any) -> Any:
        return self.xp.softmax(x, -1)

    def cross_entropy(self, logits: Any, target: Any) -> Any:
        return self.nn.losses.cross_entropy(logits, target, reduction="mean")

    def convolution(self, x: Any, weight: Any, bias: Any) -> Any:
        return self.xp.conv2d(x, weight, padding=1) + bias

    def max_pool(self, x: Any) -> Any:
        n, h, w, c = x.shape
        return x.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))

    def build(self, workload: Workload, problem: Problem) -> Step:
        mx = self.xp
        if workload.kind == CNN:
            problem = channels_last(problem)
        p = {k: mx.array(v) for k, v in problem.parameters.items()}
        inputs = [mx.array(a) for a in problem.inputs]
        names = list(p)
        if workload.kind == ADAM:
            return self.adam_alone(p, dict(zip(names, inputs, strict=True)))
        gradient = mx.value_and_grad(self.loss_of(workload))
        if workload.kind in TRAINING and workload.size.get("optimizer", True):

            def train(p: Any, m: Any, v: Any, t: Any, *inputs: Any) -> Any:
                loss, g = gradient(p, *inputs)
                return loss, (*adam(p, g, m, v, t + 1, mx.sqrt), t + 1)

            compiled, state = mx.compile(train), self.fresh(p)

            def step() -> Any:
                nonlocal state
                loss, state = compiled(*state, *inputs)
                mx.eval(loss, state)
                return loss

            return Step(step, loss=lambda loss: float(loss.item()))
        both = mx.compile(gradient)

        def forward_and_backward() -> Any:
            result = both(p, *inputs)
            mx.eval(result)
            return result

        return Step(
            forward_and_backward,
            loss=(lambda result: float(result[0].item())) if workload.kind in TRAINING else None,
            results=lambda result: [np.array(result[1][k]) for k in names],
        )

    def adam_alone(self, p: dict[str, Any], g: dict[str, Any]) -> Step:
        mx = self.xp

        def update(p: Any, m: Any, v: Any, t: Any, g: Any) -> Any:
            return (*adam(p, g, m, v, t + 1, mx.sqrt), t + 1)

        compiled, state, names = mx.compile(update), self.fresh(p), list(p)

        def step() -> Any:
            nonlocal state
            state = compiled(*state, g)
            mx.eval(state)
            return state[0]

        return Step(step, results=lambda p: [np.array(p[k]) for k in names])

    def fresh(self, p: dict[str, Any]) -> Any:
        """Parameters, two moments of zeros, and no step done."""
        zeros = [{k: self.xp.zeros_like(v) for k, v in p.items()} for _ in range(2)]
        return (p, *zeros, self.xp.array(0.0))


def channels_last(problem: Problem) -> Problem:
    """Images, kernels, and the columns of the last layer in the order that MLX has them."""
    x, target = problem.inputs
    p = dict(problem.parameters)
    for name in ("0.weight", "3.weight"):
        p[name] = p[name].transpose(0, 2, 3, 1).copy()
    channels = p["3.weight"].shape[0]
    classes, columns = p["7.weight"].shape
    side = round((columns // channels) ** 0.5)
    last = p["7.weight"].reshape(classes, channels, side, side).transpose(0, 2, 3, 1)
    p["7.weight"] = last.reshape(classes, columns).copy()
    return Problem((x.transpose(0, 2, 3, 1).copy(), target), p)


ENGINES = (Compiled(),)
