"""backward and grad: what a user asks of the engine, checked and handed over to the chain rule."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_mmb.autograd import tensor as tensors
from tinygrad_mmb.autograd.engine import Edge, chain_rule
from tinygrad_mmb.autograd.grad_mode import recording
from tinygrad_mmb.backend import namespace, refuse_mixed_devices

if TYPE_CHECKING:
    from tinygrad_mmb.autograd.tensor import Tensor


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add the gradients of Σ tensors to `.grad` of every leaf, or of `inputs` only.

    `grad_variables` is an old name of grad_tensors, which are ∂L/∂tensors.
    """
    if grad_tensors is not None and grad_variables is not None:
        raise RuntimeError("grad_tensors and grad_variables are one thing: pass grad_tensors.")
    given = grad_variables if grad_tensors is None else grad_tensors
    fill_gradients(tensors, given, retain_graph, create_graph, inputs)


def fill_gradients(
    roots_of: Tensor | Sequence[Tensor],
    gradient: Any,
    retain_graph: bool | None,
    create_graph: bool,
    inputs: Tensor | Sequence[Tensor] | None,
) -> None:
    """What `backward` and Tensor.backward do."""
    outputs = as_list(roots_of)
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


def forget_gradients(leaves: Iterable[Tensor]) -> None:
    """Set `.grad` of all to None."""
    for x in leaves:
        if x.grad is not None:
            x.grad = None


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """Gradients of Σ outputs with respect to `inputs` (leaves or results); touches no `.grad`.

    `grad_outputs` are ∂L/∂outputs (ones for single numbers); `create_graph` makes the result
    differentiable; an input that the outputs do not depend on gives None with `allow_unused`,
    zeros with `materialize_grads`.

    Raises: RuntimeError if an input does not require a gradient or was not used.
    """
    ys, xs = as_list(outputs), as_list(inputs)
    if is_grads_batched:
        raise NotImplementedError("grad(is_grads_batched=True): call grad once per vector instead")
    if not xs:
        raise RuntimeError("grad requires non-empty inputs.")
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
    if g.device != y.device:
        refuse_mixed_devices([array, g.array])
    return g if create_graph else g.array


def as_list(x: Tensor | Iterable[Any]) -> list[Any]:
    """One Tensor or several, as a list."""
    return [x] if isinstance(x, tensors.Tensor) else list(x)


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
    if g.device != t.device:
        raise RuntimeError(
            f"assigned grad has data located on a different device: {g.device} for {t.device}. "
            f"Move it first: g.to({str(t.device)!r})."
        )
    if g.array.shape != t.array.shape:
        raise RuntimeError(
            f"assigned grad has data of a different size: {g.array.shape} for {t.array.shape}"
        )
