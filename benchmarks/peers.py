"""Whole training steps beside other engines, on this machine: `mmb bench peers` from a checkout.

    python benchmarks/peers.py [--only W1,W2] [--engines "mmb eager,torch"] [--parts steps] ...

PyTorch (eager and torch.compile), JAX, MLX, tinygrad, MyGrad and HIPS autograd take part where they
are installed, each in a process of its own; `make bench` installs them. `--help` lists the options,
docs/benchmarks.md explains what comes out.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

if importlib.util.find_spec("tinygrad_mmb") is None:  # not installed: use the checkout
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tinygrad_mmb.cli import main

if __name__ == "__main__":
    main(["bench", "peers", *sys.argv[1:]])
