"""The backward pass: the chain rule, walked from the results to the leaves."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterable, Sequence
from sys import getrefcount
from typing import TYPE_CHECKING, Any, Protocol

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import tensor as tensors
from tinygrad_mmb.autograd.grad_mode import recording
from tinygrad_mmb.autograd.hooks import Hook, Hooks, RemovableHandle, run_hooks
from tinygrad_mmb.backend import Array, DType, as_array, namespace

if TYPE_CHECKING:
    from tinygrad_mmb.autograd.tensor import Tensor


class Node(Protocol):
    """What the walk needs of a recorded call (Context) and of a leaf (AccumulateGrad)."""

    hooks: Hooks | None

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
            if gx.shape != shape:  # forward broadcast, so backward sums
                gx = ops.sum_to(gx, shape)
            if gx.dtype is not dtype and gx.dtype != dtype:  # forward promoted, so backward casts
                gx = ops.to(gx, dtype)
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
            old.storage.touch()
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


def backward(
    root: Tensor | Sequence[Tensor],
    gradient: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add the gradients of the sum of the roots to `.grad` of every leaf, or of `inputs` only."""
    outputs = as_list(root)
    gradients = [None] * len(outputs) if gradient is None else as_list(gradient)
    roots, gs = first_gradients(outputs, gradients, create_graph)
    keep = create_graph if retain_graph is None else retain_graph
    token = recording.set(create_graph)
    try:
        if inputs is None:
            chain_rule(roots, gs, None, keep)
            return
        wanted = as_list(inputs)
        if not wanted:
            raise RuntimeError(
                "`inputs` argument to `backward()` cannot be empty: name at least one Tensor."
            )
        found = chain_rule(roots, gs, {x.edge for x in wanted}, keep)
        for x in wanted:
            g = found.get(x.edge)
            if g is not None:
                g = g if create_graph else tensors.wrap(g.copy())
                x._grad = g if x._grad is None else x._grad + g
                x._retains_grad = True
    finally:
        recording.reset(token)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """Gradients of Σ outputs with respect to `inputs` (leaves or results); touches no `.grad`.

    `grad_outputs` are ∂L/∂outputs (ones for single numbers); `create_graph` makes the result
    differentiable; an input that the outputs do not depend on gives None with `allow_unused`,
    zeros with `materialize_grads`.

    Raises: RuntimeError if an input does not require a gradient or was not used.
    """
    ys, xs = as_list(outputs), as_list(inputs)
    if materialize_grads and allow_unused is False:
        raise ValueError("allow_unused=False and materialize_grads=True contradict each other")
    for i, x in enumerate(xs):
        if not x.requires_grad:
            raise RuntimeError(
                "One of the differentiated Tensors does not require grad: "
                f"inputs[{i}] of shape {x.shape}. Make it with requires_grad=True before "
                "computing the outputs."
            )
    gradients = [None] * len(ys) if grad_outputs is None else as_list(grad_outputs)
    roots, gs = first_gradients(ys, gradients, create_graph)
    edges = [x.edge for x in xs]
    keep = create_graph if retain_graph is None else retain_graph
    token = recording.set(create_graph)
    try:
        found = chain_rule(roots, gs, set(edges), keep)
    finally:
        recording.reset(token)
    results = [found.get(e) for e in edges]
    for i, (x, g) in enumerate(zip(xs, results, strict=True)):
        if g is not None:
            results[i] = g if create_graph else tensors.wrap(g.copy())
        elif materialize_grads:
            results[i] = tensors.wrap(namespace(x.array).zeros(x.shape, x.dtype))
        elif not allow_unused:
            raise RuntimeError(
                "One of the differentiated Tensors appears to not have been used in the graph: "
                f"inputs[{i}] of shape {x.shape}. Set allow_unused=True to get None for it."
            )
    return tuple(results)


def first_gradients(
    outputs: Sequence[Tensor], gradients: Sequence[Any], create_graph: bool
) -> tuple[list[Edge], list[Any]]:
    """The edges to start from, and ∂L/∂output for each: what was passed, or 1 for a number."""
    if len(outputs) != len(gradients):
        raise RuntimeError(
            f"got {len(outputs)} tensors and {len(gradients)} gradients: one gradient per tensor"
        )
    roots, gs = [], []
    for i, (y, g) in enumerate(zip(outputs, gradients, strict=True)):
        if not isinstance(y, tensors.Tensor):
            raise TypeError(f"element {i} of tensors is a {type(y).__name__}, not a Tensor")
        if not y._requires_grad or (y._view is not None and y._view.derived):
            raise RuntimeError(
                f"element {i} of tensors does not require grad and does not have a grad_fn: "
                "nothing it was computed from has requires_grad=True, or it was computed under "
                "no_grad()."
            )
        roots.append(y.edge)
        gs.append(first_gradient(y, g, i, create_graph))
    return roots, gs


def first_gradient(y: Tensor, g: Any, i: int, create_graph: bool) -> Any:
    """∂L/∂y: what was passed, or 1 for a number. An array, or under create_graph a Tensor."""
    array = y.array
    if g is None:
        if array.size != 1:
            raise RuntimeError(
                "grad can be implicitly created only for scalar outputs, but this tensor has shape "
                f"{y.shape}. Reduce it first, as in loss.mean(), or pass gradient= of that shape."
            )
        g = namespace(array).empty_like(array)
        g.fill(1)
        return tensors.wrap(g) if create_graph else g
    if not isinstance(g, tensors.Tensor):
        raise TypeError(
            f"gradients can be either Tensors or None, but got {type(g).__name__}. "
            "Wrap it: tensor(g)."
        )
    if g.shape != array.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{i}] has a shape of {g.shape} and output[{i}] has a "
            f"shape of {array.shape}. They must be equal."
        )
    return g if create_graph else g.array


def as_list(x: Tensor | Iterable[Any]) -> list[Any]:
    """One Tensor or several, as a list."""
    return [x] if isinstance(x, tensors.Tensor) else list(x)


def add_hook(t: Tensor, hook: Hook) -> RemovableHandle:
    """What Tensor.register_hook does. The hook belongs to the edge, not to the Tensor object."""
    if not t.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    node, k = t.edge
    if node.hooks is None:
        node.hooks = Hooks()
    return node.hooks.add(k, hook)


def add_ready_hook(t: Tensor, hook: Any) -> RemovableHandle:
    """What Tensor.register_post_accumulate_grad_hook does."""
    if not t.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if not t.is_leaf:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    node: Any = t.edge[0]
    node.ready_hooks += (hook,)

    def remove() -> None:
        node.ready_hooks = tuple(h for h in node.ready_hooks if h is not hook)

    return RemovableHandle(remove)


def retain_grad(t: Tensor) -> None:
    """What Tensor.retain_grad does: after all hooks, the gradient is put into t.grad."""
    if not t.requires_grad:
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    if t._grad_fn is None or t._retains_grad:
        return
    t._retains_grad = True
    node, k = t.edge
    if node.hooks is None:
        node.hooks = Hooks()
    node.hooks.keep(k, t)


def warn_inner_gradient() -> None:
    """An inner result has no `.grad`: the most common surprise about it."""
    warnings.warn(
        "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. It is not "
        "filled by backward(): call retain_grad() on it before, or look at the leaf it came from.",
        UserWarning,
        stacklevel=3,
    )


def check_assigned_gradient(t: Tensor, g: Any) -> None:
    """Raise unless `t.grad = g` makes sense."""
    if not isinstance(g, tensors.Tensor):
        raise TypeError(
            f"assigned grad expected to be a Tensor or None but got grad of type {type(g).__name__}"
        )
    if g is t:
        raise RuntimeError("can't assign Variable as its own grad")
    if g.array.dtype != t.array.dtype:
        raise RuntimeError(
            f"assigned grad has data of a different type: {g.array.dtype} for {t.array.dtype}"
        )
    if g.array.shape != t.array.shape:
        raise RuntimeError(
            f"assigned grad has data of a different size: {g.array.shape} for {t.array.shape}"
        )
