"""The libraries that our kernels are compared with: who is installed, and what each calls.

Each peer has a `name`, a `call(op, kind, args, heads)` that returns what to time and how to turn
its result into NumPy arrays, and `wait`, for a library whose work the device's events do not see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

Call = Callable[[], Any]


class NoPeer(Exception):  # noqa: N818 - no error, an answer
    """The library has nothing to compare with here, and why."""


class Peer(Protocol):
    """A library."""

    name: str

    @property
    def wait(self) -> Callable[[Any], object] | None:
        """What waits for a result that the machine's clock does not see."""

    def call(
        self, op: str, kind: str, args: Sequence[Any], heads: Sequence[Any], dtype: str
    ) -> tuple[Call, Callable[[Any], list[Any]]]:
        """What runs the op, and what makes NumPy arrays of its result. Raises: NoPeer."""


def peers(kind: str, compiled: bool) -> tuple[list[Peer], dict[str, str]]:
    """The peers that can be asked on a "cpu" or "gpu", and why the others are left out.

    `compiled`: torch.compile too, which takes seconds for each op.
    """
    from tinygrad_mmb.bench import jax_peer, torch_peer, transpose

    found: list[Peer] = []
    missing: dict[str, str] = {}
    if not torch_peer.available():
        missing["torch"] = "not installed: pip install torch"
    elif kind == "gpu" and not torch_peer.torch().cuda.is_available():
        missing["torch"] = "this PyTorch was built without CUDA, or finds no GPU"
    else:
        found += torch_peer.flavours(kind, compiled)
        if not compiled:
            missing["torch.compile"] = "left out by --quick"
    if not jax_peer.available():
        missing["jax"] = "not installed: pip install jax"
    elif (problem := jax_peer.problem(kind)) is not None:
        missing["jax"] = problem
    else:
        found.append(jax_peer.Jax())
    return [*found, transpose.Copy()], missing
