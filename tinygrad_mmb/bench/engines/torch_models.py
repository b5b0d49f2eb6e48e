"""The workloads in PyTorch's API, as a user writes them: for PyTorch, and for us, who share it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar

from tinygrad_mmb.bench.engines.engine import Engine, Step
from tinygrad_mmb.bench.engines.workloads import (
    BETAS,
    EPSILON,
    LEARNING_RATE,
    Array,
    Problem,
    Workload,
)

Size = dict[str, Any]


class TorchLike(Engine):
    """An engine whose modules, functions and optimizers follow PyTorch's API."""

    adam_options: ClassVar[dict[str, Any]] = {}

    def start(self, threads: int) -> None:
        self.library: Any = importlib.import_module(self.module)
        self.nn, self.optim = self.library.nn, self.library.optim
        self.F = self.nn.functional
        self.library.set_num_threads(threads)

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Forward pass and loss, as this engine is used."""
        return function

    def captured(self, step: Callable[[], Any]) -> Callable[[], Any]:
        """A whole step, as this engine is used."""
        return step

    def tensor(self, array: Array) -> Any:
        return self.library.tensor(array)

    def leaf(self, array: Array) -> Any:
        return self.tensor(array).requires_grad_()

    def build(self, workload: Workload, problem: Problem) -> Step:
        make: Callable[[Size, Problem], Step] = getattr(self, workload.kind)
        return make(workload.size, problem)

    def training(self, model: Any, problem: Problem, optimizer: bool = True) -> Step:
        """Adam on the cross-entropy; without optimizer forward and backward only."""
        self.load(model, problem)
        x, target = map(self.tensor, problem.inputs)
        loss_of = self.compiled(lambda x, target: self.F.cross_entropy(model(x), target))
        adam = self.optimizer(model.parameters()) if optimizer else None

        def step() -> Any:
            model.zero_grad()
            loss = loss_of(x, target)
            loss.backward()
            if adam is not None:
                adam.step()
            return loss

        return Step(self.captured(step), loss=lambda loss: float(loss.item()))

    def optimizer(self, parameters: Any) -> Any:
        return self.optim.Adam(
            parameters, lr=LEARNING_RATE, betas=BETAS, eps=EPSILON, **self.adam_options
        )

    def load(self, model: Any, problem: Problem) -> None:
        """Give a module the parameters of the problem that are its own."""
        names = set(model.state_dict())
        own = {k: self.tensor(v) for k, v in problem.parameters.items() if k in names}
        model.load_state_dict(own, strict=False)  # running statistics stay as they are

    def gradients(self, step: Callable[[], Any], *leaves: Any) -> Step:
        """A step that leaves its results in `.grad`."""

        def results(result: Any) -> list[Array]:
            return [leaf.grad.numpy() for leaf in leaves]

        return Step(self.captured(step), results=results)

    def mlp(self, size: Size, problem: Problem) -> Step:
        layers: list[Any] = []
        for deep, wide in pairwise(size["widths"]):
            layers += [self.nn.Linear(deep, wide), self.nn.ReLU()]
        return self.training(self.nn.Sequential(*layers[:-1]), problem, size["optimizer"])

    def residual(self, size: Size, problem: Problem) -> Step:
        nn, width = self.nn, size["width"]

        class Block(nn.Module):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.body = nn.Sequential(
                    nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)
                )

            def forward(self, x: Any) -> Any:
                return x + self.body(x)

        class Network(nn.Module):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.blocks = nn.Sequential(*[Block() for _ in range(size["blocks"])])
                self.head = nn.Linear(width, 10)

            def forward(self, x: Any) -> Any:
                return self.head(self.blocks(x))

        return self.training(Network(), problem)

    def cnn(self, size: Size, problem: Problem) -> Step:
        nn, side, (c0, c1, c2) = self.nn, size["side"], size["channels"]
        model = nn.Sequential(
            nn.Conv2d(c0, c1, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(c1, c2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(c2 * (side // 4) ** 2, 10),
        )  # fmt: skip
        return self.training(model, problem)

    def chain(self, size: Size, problem: Problem) -> Step:
        a, b, c = map(self.leaf, problem.parameters.values())
        forward = self.compiled(lambda a, b, c: (a * b + c).relu().sum())

        def step() -> Any:
            a.grad = b.grad = c.grad = None
            loss = forward(a, b, c)
            loss.backward()
            return loss

        return self.gradients(step, a, b, c)

    def adam(self, size: Size, problem: Problem) -> Step:
        parameters = [self.nn.Parameter(self.tensor(p)) for p in problem.parameters.values()]
        for p, g in zip(parameters, problem.inputs, strict=True):
            p.grad = self.tensor(g)
        optimizer = self.optimizer(parameters)
        return Step(
            optimizer.step,
            results=lambda _: [p.detach().numpy() for p in parameters],
        )

    def cross_entropy(self, size: Size, problem: Problem) -> Step:
        x, target = self.leaf(problem.parameters["x"]), self.tensor(problem.inputs[0])
        forward = self.compiled(lambda x, target: self.F.cross_entropy(x, target))

        def step() -> Any:
            x.grad = None
            loss = forward(x, target)
            loss.backward()
            return loss

        return self.gradients(step, x)

    def batch_norm(self, size: Size, problem: Problem) -> Step:
        x, g = self.leaf(problem.parameters["x"]), self.tensor(problem.inputs[0])
        shape = size["shape"]
        model = (self.nn.BatchNorm1d if len(shape) == 2 else self.nn.BatchNorm2d)(shape[1])
        self.load(model, problem)
        return self.backward_from(model, x, g, model.weight, model.bias)

    def backward_from(self, model: Any, x: Any, g: Any, *parameters: Any) -> Step:
        """Forward, then backward from a given gradient of the output."""
        forward = self.compiled(lambda x: model(x))

        def step() -> Any:
            x.grad = None
            model.zero_grad()
            y = forward(x)
            y.backward(g)
            return y

        return self.gradients(step, x, *parameters)

    def transformer(self, size: Size, problem: Problem) -> Step:
        nn, functional = self.nn, self.F
        batch, time, d, heads = size["batch"], size["time"], size["features"], size["heads"]

        class Block(nn.Module):  # type: ignore[misc, name-defined]
            """Attention and a feed-forward layer, each after a layer norm and around a shortcut."""

            def __init__(self) -> None:
                super().__init__()
                self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
                self.qkv, self.project = nn.Linear(d, 3 * d), nn.Linear(d, d)
                self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

            def forward(self, x: Any) -> Any:
                qkv = self.qkv(self.norm1(x)).reshape(batch, time, 3, heads, d // heads)
                q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
                y = functional.scaled_dot_product_attention(q, k, v)
                x = x + self.project(y.transpose(1, 2).reshape(batch, time, d))
                hidden = functional.gelu(self.up(self.norm2(x)), approximate="tanh")
                return x + self.down(hidden)

        model = Block()
        self.load(model, problem)
        named = dict(model.named_parameters())
        x, g = self.leaf(problem.parameters["x"]), self.tensor(problem.inputs[0])
        own = [named[name] for name in problem.parameters if name != "x"]
        return self.backward_from(model, x, g, *own)
