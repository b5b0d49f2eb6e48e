"""The backward pass: the chain rule, walked from the results to the leaves."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from sys import getrefcount
from typing import TYPE_CHECKING, Any, Protocol

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import tensor as tensors
from tinygrad_mmb.autograd.hooks import Hooks, run_hooks
from tinygrad_mmb.backend import Array, DType, as_array

if TYPE_CHECKING:
    from tinygrad_mmb.autograd.tensor import Tensor


class Node(Protocol):
    """What the walk needs of a recorded call (Context) and of a leaf (AccumulateGrad)."""

    hooks: Hooks | None

    def name(self) -> str:
        """What error messages call it."""

    @property
    def next_functions(self) -> Sequence[Edge | None]:
        """Where the gradients of the inputs go; None where there is none."""

    @property
    def outputs(self) -> Sequence[tuple[tuple[int, ...], DType]]:
        """Shape and dtype of each output."""

    @property
    def time(self) -> float:
        """Younger than all its inputs."""

    def backward(self, gs: list[Any]) -> Sequence[Any]:
        """Gradients of the inputs from gradients of the outputs."""

    def release(self) -> None:
        """Free what backward no longer needs."""


Edge = tuple[Node, int]  # a value in the graph: the node that made it, and which of its outputs


def chain_rule(
    roots: Sequence[Edge],
    gs: Sequence[Any],
    targets: set[Edge] | None = None,
    retain_graph: bool = False,
    stops: frozenset[Node] = frozenset(),
) -> dict[Edge, Any]:
    """Send `gs` = ∂L/∂roots back: into every leaf, or to `targets`, whose gradients are returned.

    Arrays in, arrays out; Tensors in, Tensors out: only these can be differentiated again. Nothing
    flows on from the nodes in `stops`.
    """
    start = Start(roots)
    awaited, inner = plan(start, targets, stops)
    arrived: dict[Node, list[Any]] = {start: list(gs)}  # per node, a gradient for each output
    found: dict[Edge, Any] = {}
    ready: list[Node] = [start]
    while ready:  # a loop: deep graphs overflow recursion
        node = ready.pop()
        slots = arrived.pop(node, None)  # None: nothing that came this way depends on it
        if slots is not None and node.hooks is not None:
            run_hooks(node.hooks, slots)
        if slots is not None and targets is not None:
            found.update({(node, k): g for k, g in enumerate(slots) if (node, k) in targets})
        if node in inner:
            send(node, slots, arrived, awaited, ready)
            if not retain_graph:
                node.release()
    return found


def send(
    node: Node,
    slots: list[Any] | None,
    arrived: dict[Node, list[Any]],
    awaited: dict[Node, int],
    ready: list[Node],
) -> None:
    """Run one node and hand its gradients on; who waited for no other is ready."""
    edges = node.next_functions
    gxs: Sequence[Any] = (None,) * len(edges) if slots is None else node.backward(slots)
    for edge, gx in zip(edges, gxs, strict=True):
        if edge is None or edge[0] not in awaited:
            continue
        source, k = edge
        if gx is not None:
            shape, dtype = source.outputs[k]
            gx = fitted(node, gx, shape, dtype)
            sums = arrived.get(source)
            if sums is None:
                sums = arrived[source] = [None] * len(source.outputs)
            if sums[k] is not None:
                gx = sums[k] + gx
            # NumPy makes scalars of 0-d sums
            sums[k] = gx if shape or isinstance(gx, tensors.Tensor) else as_array(gx)
        awaited[source] -= 1
        if not awaited[source]:
            ready.append(source)


def fitted(node: Node, gx: Any, shape: tuple[int, ...], dtype: DType) -> Any:
    """A gradient in the shape and dtype of the value that it belongs to."""
    if not hasattr(gx, "dtype"):
        raise TypeError(
            f"{node.name()} returned a gradient of type {type(gx).__name__}, but should return an "
            f"array or Tensor of shape {shape}, or None where there is none: compute it from g."
        )
    if gx.shape != shape:  # forward broadcast, so backward sums
        try:
            gx = ops.sum_to(gx, shape)
        except RuntimeError:
            raise RuntimeError(
                f"{node.name()} returned an invalid gradient: got shape {tuple(gx.shape)}, but "
                f"expected {shape}, the shape of its input, or one that broadcasts from it."
            ) from None
    return ops.to(gx, dtype)  # forward promoted, so backward casts


def plan(
    start: Node, targets: set[Edge] | None, stops: frozenset[Node]
) -> tuple[dict[Node, int], set[Node] | dict[Node, int]]:
    """How many gradients each node awaits, and which nodes run: all, or those before a target."""
    awaited = {start: 0}
    nodes = [start]
    for node in nodes:  # grows while we walk it
        for edge in node.next_functions:
            if edge is not None:
                source = edge[0]
                if source in awaited:
                    awaited[source] += 1
                else:
                    awaited[source] = 1
                    nodes.append(source)
    if targets is None:
        return awaited, awaited
    wanted = {node for node, _ in targets}
    inner: set[Node] = set()
    for node in sorted(nodes, key=lambda n: n.time):  # inputs before what was made of them
        if node not in stops and any(
            e is not None and (e[0] in wanted or e[0] in inner) for e in node.next_functions
        ):
            inner.add(node)
    awaited = {}
    for node in inner:
        for edge in node.next_functions:
            if edge is not None and (edge[0] in wanted or edge[0] in inner):
                awaited[edge[0]] = awaited.get(edge[0], 0) + 1
    return awaited, inner


class Start:
    """The end of the graph where backward begins: its inputs are the results to differentiate."""

    outputs: Sequence[tuple[tuple[int, ...], DType]] = ()
    hooks: Hooks | None = None
    time = float("inf")

    def __init__(self, roots: Sequence[Edge]) -> None:
        self.next_functions: Sequence[Edge | None] = roots

    def name(self) -> str:
        """Of what the user handed to backward."""
        return "backward"

    def backward(self, gs: list[Any]) -> Sequence[Any]:
        """What the user said ∂L/∂roots is."""
        return gs

    def release(self) -> None:
        """Nothing was saved."""


class AccumulateGrad:
    """Where the walk ends: adds what arrives to `leaf.grad`. The leaf owns it: it refers weakly."""

    next_functions: Sequence[Edge | None] = ()
    hooks: Hooks | None = None
    time = 0.0
    ready_hooks: tuple[Any, ...] = ()

    def __init__(self, leaf: Tensor) -> None:
        self.leaf = weakref.ref(leaf)
        self.outputs = ((leaf.array.shape, leaf.array.dtype),)

    def renewed(self) -> AccumulateGrad | None:
        """One for what the leaf is now, with the same hooks."""
        leaf = self.leaf()
        if leaf is None:
            return None
        new = AccumulateGrad(leaf)
        new.hooks, new.ready_hooks = self.hooks, self.ready_hooks
        return new

    def name(self) -> str:
        """As PyTorch calls it."""
        return "AccumulateGrad"

    def backward(self, gs: list[Any]) -> Sequence[Any]:
        """Add the gradient to `leaf.grad`, which shares memory with nothing."""
        leaf = self.leaf()
        if leaf is None or not leaf._requires_grad:  # gone, or frozen since
            return ()
        if leaf._grad_fn is not None:
            raise RuntimeError(
                "leaf variable has been moved into the graph interior: it was detached in place "
                "and then written to. Use detach(), which gives a new Tensor."
            )
        if leaf._view is not None:
            _ = leaf.grad_fn  # raises for a view that was written over
        old = leaf._grad
        if isinstance(gs[0], tensors.Tensor):
            leaf._grad = ops.clone(gs[0]) if old is None else old + gs[0]
        elif old is None:
            leaf._grad = tensors.wrap(owned(gs))
        elif old.grad_fn is not None:
            leaf._grad = tensors.wrap(as_array(old.array + gs[0]))
        else:
            old.array += gs[0]
            old.memory.touch()
        for hook in self.ready_hooks:
            hook(leaf)
        return ()

    def release(self) -> None:
        """Nothing was saved."""


def owned(gs: list[Any]) -> Array:
    """The array in gs[0], copied unless this list alone holds it and all of its memory."""
    # 2: the list, and the argument of getrefcount. base: a view does not own its memory.
    alone = getrefcount(gs[0]) == 2 and gs[0].base is None
    return gs[0] if alone else gs[0].copy()
