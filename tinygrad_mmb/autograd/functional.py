"""Derivatives of functions: vjp, jvp, jacobian, hessian, hvp, vhp, and TensorFlow's two forms.

One rule per op serves every order, so each of these is a few calls of `grad`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.differentiate import as_list, first_gradients, grad
from tinygrad_mmb.autograd.engine import chain_rule
from tinygrad_mmb.autograd.grad_mode import enable_grad, no_grad
from tinygrad_mmb.autograd.tensor import Tensor, wrap
from tinygrad_mmb.backend import namespace

Fn = Callable[..., Any]


def vjp(
    func: Fn, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(f(x), vᵀ J): one backward pass. `v` has the shape of f(x); not needed for a scalar.

    Raises: RuntimeError for a non-scalar f without v; with `strict`, for an unused input.
    """
    with enable_grad():
        xs = _variables(inputs)
        y = func(*xs)
        _require_tensors(y, "vjp")
        used = [(t, u) for t, u in zip(as_list(y), _cotangents(y, v), strict=True)
                if t.requires_grad]  # fmt: skip
        gs = _grad([t for t, _ in used], xs, [u for _, u in used], create_graph)
        _refuse_unused(gs, strict, "vjp")
    return _result(y, create_graph), _like(inputs, gs)


def jvp(
    func: Fn, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(f(x), J v). uᵀJ is linear in u, so its derivative with respect to u along v is J v."""
    with enable_grad():
        xs = _variables(inputs)
        y = func(*xs)
        _require_tensors(y, "jvp")
        ys = as_list(y)
        us = [wrap(namespace(t.array).zeros_like(t.array)).requires_grad_() for t in ys]
        used = [k for k, t in enumerate(ys) if t.requires_grad]
        gs = _grad([ys[k] for k in used], xs, [us[k] for k in used], True)
        _refuse_unused(gs, strict, "jvp")
        pairs = [(g, d) for g, d in zip(gs, _directions(xs, v), strict=True)
                 if g is not None and g.requires_grad]  # fmt: skip
        js = _grad([g for g, _ in pairs], us, [d for _, d in pairs], create_graph)
    return _result(y, create_graph), _like(y, js)


def jacobian(
    func: Fn,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """∂y/∂x of shape (*y.shape, *x.shape): one backward pass per entry of y.

    Several inputs give a tuple, several outputs a tuple of them.
    """
    _refuse_vectorized("jacobian", vectorize, strategy)
    with enable_grad():
        xs = _variables(inputs)
        y = func(*xs)
        _require_tensors(y, "jacobian")
        rows = [_jacobian_of(t, xs, create_graph, strict) for t in as_list(y)]
    blocks = [row[0] if isinstance(inputs, Tensor) else tuple(row) for row in rows]
    return blocks[0] if isinstance(y, Tensor) else tuple(blocks)


def _jacobian_of(y: Tensor, xs: list[Tensor], create_graph: bool, strict: bool) -> list[Tensor]:
    flat = ops.reshape(y, (-1,))
    columns: list[list[Tensor]] = [[] for _ in xs]
    for i in range(flat.shape[0]):
        gs = _grad([flat[i]] if flat.requires_grad else [], xs, [None], create_graph, retain=True)
        _refuse_unused(gs, strict, "jacobian")
        for column, g in zip(columns, _like(xs, gs), strict=True):
            column.append(g)
    return [
        ops.reshape(ops.stack(column, 0), (*y.shape, *x.shape))
        if column
        else wrap(namespace(x.array).zeros((*y.shape, *x.shape), x.dtype))
        for column, x in zip(columns, xs, strict=True)
    ]


def hessian(
    func: Fn,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """∂²f/∂x∂x of a scalar f: the Jacobian of the gradient. Several inputs: a tuple of tuples."""
    _refuse_vectorized("hessian", vectorize, outer_jacobian_strategy)
    xs = as_list(inputs)

    def gradient(k: int) -> Fn:
        return lambda *zs: vjp(func, zs, create_graph=True, strict=strict)[1][k]

    blocks = [jacobian(gradient(k), tuple(xs), create_graph, strict) for k in range(len(xs))]
    return blocks[0][0] if isinstance(inputs, Tensor) else tuple(blocks)


def hvp(
    func: Fn, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(f(x), H v) without H: the gradient, differentiated along v. H is symmetric."""
    with enable_grad():
        xs = _variables(inputs)
        y = func(*xs)
        _require_scalar(y, "hvp")
        gs = _grad([y] if y.requires_grad else [], xs, [None], True)
        _refuse_unused(gs, strict, "hvp")
        pairs = [(g, d) for g, d in zip(gs, _directions(xs, v), strict=True)
                 if g is not None and g.requires_grad]  # fmt: skip
        hs = _grad([g for g, _ in pairs], xs, [d for _, d in pairs], create_graph)
        _refuse_unused(hs, strict, "hvp")
    return _result(y, create_graph), _like(inputs, hs)


def vhp(
    func: Fn, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(f(x), vᵀ H), which is (H v)ᵀ: H is symmetric."""
    return hvp(func, inputs, v, create_graph, strict)


def gradients(ys: Any, xs: Any, stop_gradients: Sequence[Tensor] = ()) -> Any:
    """Total derivatives of Σ ys with respect to `xs`, or partial ones with `stop_gradients`.

    Each Tensor in `stop_gradients` counts as a constant: nothing flows through it to what it was
    computed from. With a = 2, b = 3a, gradients(a + b, [a, b]) is [4, 1], and with
    stop_gradients=[a, b] it is [1, 1]. What ys do not depend on gives None.

    Source: tf.gradients. (A lecture deck prints [4, 1] for the second; that is the first.)
    """
    outputs, inputs = as_list(ys), as_list(xs)
    for t in stop_gradients:
        if len(t.edge[0].outputs) > 1:
            raise NotImplementedError(
                "gradients: stop_gradients of one output of an operation with several (split, "
                "topk, ...) is not built. Put x.clone() in its place."
            )
    stops = frozenset([t.edge[0] for t in stop_gradients])
    roots, gs = first_gradients(outputs, [None] * len(outputs), create_graph=False)
    with no_grad():
        found = chain_rule(roots, gs, {x.edge for x in inputs}, retain_graph=True, stops=stops)
    arrays = [found.get(x.edge) for x in inputs]
    result = [None if g is None else wrap(g.copy()) for g in arrays]
    return result[0] if isinstance(xs, Tensor) else result


def _grad(
    ys: list[Tensor], xs: list[Tensor], us: list[Any], create_graph: bool, retain: bool = False
) -> list[Any]:
    """`grad`, with None for what does not depend, also where nothing does."""
    if not ys:
        return [None] * len(xs)
    keep = retain or create_graph
    return list(grad(ys, xs, us, keep, create_graph, allow_unused=True))


def _variables(inputs: Any) -> list[Tensor]:
    """Fresh variables with the values of `inputs`, in the graph of `inputs`."""
    return [
        ops.alias(x) if x.requires_grad else wrap(x.array).requires_grad_() for x in as_list(inputs)
    ]


def _cotangents(y: Any, v: Any) -> list[Any]:
    """One vector per output."""
    ys = as_list(y)
    if v is None:
        if len(ys) != 1 or ys[0].array.size != 1:
            raise RuntimeError(
                "The vector v can only be None if the user-provided function returns a single "
                "Tensor with a single element."
            )
        return [None]
    return _checked(as_list(v), ys)


def _directions(xs: list[Tensor], v: Any) -> list[Any]:
    """One direction per input."""
    if v is None:
        if len(xs) != 1 or xs[0].array.size != 1:
            raise RuntimeError(
                "The vector v can only be None if the input to the user-provided function is a "
                "single Tensor with a single element."
            )
        return [wrap(namespace(xs[0].array).ones_like(xs[0].array))]
    return _checked(as_list(v), xs)


def _checked(vs: list[Any], like: list[Tensor]) -> list[Any]:
    if len(vs) != len(like) or any(u.shape != t.shape for u, t in zip(vs, like, strict=True)):
        raise RuntimeError(
            f"v has shapes {[u.shape for u in vs]}, but needs {[t.shape for t in like]}."
        )
    return vs


def _like(inputs: Any, values: list[Any]) -> Any:
    """A single value where a single Tensor came in, else a tuple; None becomes zeros."""
    filled = tuple([
        wrap(namespace(x.array).zeros_like(x.array)) if v is None else v
        for x, v in zip(as_list(inputs), values, strict=True)
    ])  # fmt: skip
    return filled[0] if isinstance(inputs, Tensor) else filled


def _result(y: Any, create_graph: bool) -> Any:
    if create_graph:
        return y
    return y.detach() if isinstance(y, Tensor) else tuple([t.detach() for t in y])


def _require_tensors(y: Any, name: str) -> None:
    if not all(isinstance(t, Tensor) for t in as_list(y)):
        raise TypeError(f"{name}: the function must return Tensors, but it returned {type(y)}.")


def _require_scalar(y: Any, name: str) -> None:
    _require_tensors(y, name)
    if not isinstance(y, Tensor) or y.array.size != 1:
        raise RuntimeError(f"The function given to {name} should return a single-element Tensor.")


def _refuse_vectorized(name: str, vectorize: bool, strategy: str) -> None:
    if vectorize or strategy != "reverse-mode":
        raise NotImplementedError(
            f"{name}(vectorize={vectorize}, {strategy}): row by row, backwards, is what is built"
        )


def _refuse_unused(gs: Sequence[Any], strict: bool, name: str) -> None:
    if strict and any(g is None for g in gs):
        raise RuntimeError(
            f"{name}, strict: the output of the function does not depend on input "
            f"{[g is None for g in gs].index(True)}."
        )
