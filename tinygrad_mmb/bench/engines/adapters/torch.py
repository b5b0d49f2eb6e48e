"""PyTorch, eager and compiled, both with its fused Adam, the fastest that it has on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from tinygrad_mmb.bench.engines.torch_models import TorchLike
from tinygrad_mmb.bench.engines.workloads import ADAM, KINDS


class Eager(TorchLike):
    name = "torch"
    module, package = "torch", "torch"
    adam_options: ClassVar[dict[str, Any]] = {"fused": True}


class Compiled(Eager):
    """torch.compile of forward pass and loss, and so of the way back."""

    name = "torch.compile"
    kinds = tuple(k for k in KINDS if k != ADAM)  # the fused Adam is compiled code already
    environment: ClassVar[Mapping[str, str]] = {"TORCHINDUCTOR_FX_GRAPH_CACHE": "1"}

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return self.library.compile(function)


ENGINES = (Eager(), Compiled())
