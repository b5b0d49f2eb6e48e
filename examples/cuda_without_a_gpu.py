"""Handwritten CUDA kernels without a GPU: the same training in NumPy and on the emulator.

    python examples/cuda_without_a_gpu.py [--out FOLDER]

`use_kernels("emulator")` sends every op that has a CUDA kernel to csrc/cuda/kernels, compiled by
the machine's C++ compiler and run thread by thread (Linux or WSL2). The kernels add in another
order than NumPy, so that the two trainings part in the last digits, as they would on a GPU.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_mmb as tm
from tinygrad_mmb import nn
from tinygrad_mmb.data.toy import Moons
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.nn import functional as F  # noqa: N812 - PyTorch's habit
from tinygrad_mmb.training.plots import picture

STEPS = 40


def train(backend: str) -> tuple[list[float], Any]:
    """The losses of a small network on two moons, and its first weights at the end."""
    tm.manual_seed(0)
    x, t = Moons(100, noise=0.1).tensors
    model = nn.Sequential(nn.Linear(2, 32), nn.LayerNorm(32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = tm.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    with tm.use_kernels(backend):
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), t)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses, model[0].weight.detach().numpy()


def kernels_that_ran() -> dict[str, int]:
    """How often each CUDA kernel stood in for its op."""
    twins = [twin for key in registry.keys() for twin in registry.twins(key)]  # noqa: SIM118
    return {twin.key: twin.calls for twin in twins if twin.backend == "emulator" and twin.calls}


def draw(figure: Any, reference: list[float], emulated: list[float]) -> None:
    """Both losses, and how far apart they are."""
    left, right = figure.subplots(1, 2)
    steps = range(1, STEPS + 1)
    left.plot(steps, reference, color="black", label="NumPy")
    left.plot(steps, emulated, "o", color="tab:orange", markersize=4, label="CUDA, emulated")
    left.set(xlabel="step", ylabel="cross entropy (nats)", title="one training, twice")
    left.legend()
    gap = np.abs(np.subtract(reference, emulated))
    right.semilogy(steps, np.maximum(gap, 1e-9), "o", color="black", markersize=4)
    right.axhline(np.finfo(np.float32).eps, linestyle=":", color="black")
    right.annotate("spacing of float32 at 1", (1, 1.4e-7))
    right.annotate("the same to the last bit", (1, 1.3e-9))
    right.set(xlabel="step", ylabel="|difference of the losses| (nats)", ylim=(5e-10, 1e-6),
              title="rounding")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="CUDA kernels on the emulator.")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for the picture")
    out = parser.parse_args().out
    reference, weights = train("reference")
    emulated, same_weights = train("emulator")
    for key, calls in sorted(kernels_that_ran().items()):
        print(f"  {key:<24} ran {calls} times")
    print(f"loss: NumPy {reference[-1]:.6f}, CUDA kernels {emulated[-1]:.6f}")
    print(f"weights differ by at most {np.abs(weights - same_weights).max():.1e}")
    picture(out / "cuda_without_a_gpu.png", 10, 4.2, lambda f: draw(f, reference, emulated))


if __name__ == "__main__":
    main()
