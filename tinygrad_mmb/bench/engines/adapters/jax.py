"""JAX: jax.jit over the whole step, with the old parameters' memory given for the new ones."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from tinygrad_mmb.bench.engines.adam import adam
from tinygrad_mmb.bench.engines.array_models import ArrayModels
from tinygrad_mmb.bench.engines.engine import Step
from tinygrad_mmb.bench.engines.workloads import ADAM, TRAINING, Problem, Workload


class Jit(ArrayModels):
    name = "jax.jit"
    module, package = "jax", "jax"
    environment: ClassVar[Mapping[str, str]] = {"JAX_PLATFORMS": "cpu"}

    def start(self, threads: int) -> None:  # it asks the system how many cores are its own
        self.jax: Any = importlib.import_module("jax")
        self.xp = self.jax.numpy

    def softmax(self, x: Any) -> Any:
        return self.jax.nn.softmax(x, -1)

    def cross_entropy(self, logits: Any, target: Any) -> Any:
        logs = self.jax.nn.log_softmax(logits)
        return -self.xp.take_along_axis(logs, target[:, None], 1).mean()

    def convolution(self, x: Any, weight: Any, bias: Any) -> Any:
        convolve = self.jax.lax.conv_general_dilated
        names = ("NCHW", "OIHW", "NCHW")
        return convolve(x, weight, (1, 1), "SAME", dimension_numbers=names) + bias[:, None, None]

    def max_pool(self, x: Any) -> Any:
        n, c, h, w = x.shape
        return x.reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))

    def build(self, workload: Workload, problem: Problem) -> Step:
        jax, xp = self.jax, self.xp
        # jnp.array copies, so that no engine lives in the memory of another's numbers
        p = {k: xp.array(v) for k, v in problem.parameters.items()}
        inputs = [xp.array(a.astype("int32") if a.dtype == "int64" else a) for a in problem.inputs]
        wait = jax.block_until_ready
        if workload.kind == ADAM:
            return self.adam_alone(p, dict(zip(p, inputs, strict=True)))
        gradient = jax.value_and_grad(self.loss_of(workload))
        if workload.kind in TRAINING and workload.size.get("optimizer", True):

            def train(state: Any, *inputs: Any) -> Any:
                p, m, v, t = state
                loss, g = gradient(p, *inputs)
                return (*adam(p, g, m, v, t + 1, xp.sqrt), t + 1), loss

            compiled, state = jax.jit(train, donate_argnums=0), self.fresh(p)

            def step() -> Any:
                nonlocal state
                state, loss = compiled(state, *inputs)
                return loss, state

            return Step(step, wait, loss=lambda result: float(result[0]))
        both = jax.jit(gradient)
        return Step(
            lambda: both(p, *inputs),
            wait,
            loss=(lambda result: float(result[0])) if workload.kind in TRAINING else None,
            results=lambda result: [np.array(result[1][k]) for k in p],
        )

    def adam_alone(self, p: dict[str, Any], g: dict[str, Any]) -> Step:
        jax, xp = self.jax, self.xp

        def update(state: Any, g: Any) -> Any:
            p, m, v, t = state
            return (*adam(p, g, m, v, t + 1, xp.sqrt), t + 1)

        compiled, state, names = jax.jit(update, donate_argnums=0), self.fresh(p), list(p)

        def step() -> Any:
            nonlocal state
            state = compiled(state, g)
            return state

        return Step(
            step,
            jax.block_until_ready,
            results=lambda result: [np.array(result[0][k]) for k in names],
        )

    def fresh(self, p: dict[str, Any]) -> Any:
        """Parameters, two moments of zeros, and no step done."""
        zeros = [{k: self.xp.zeros_like(v) for k, v in p.items()} for _ in range(2)]
        return (p, *zeros, self.xp.zeros((), self.xp.float32))


ENGINES = (Jit(),)
