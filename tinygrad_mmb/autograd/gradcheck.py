"""Finite differences against backward, in float64: is a gradient right?

One random direction decides, whatever the sizes; when it fails, the entries are tried one by one to
say where. Second derivatives are checked by the same means, as gradients of the gradient.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tinygrad_mmb import backend
from tinygrad_mmb.autograd.differentiate import as_list, grad
from tinygrad_mmb.autograd.function import Function
from tinygrad_mmb.autograd.tensor import Tensor, wrap
from tinygrad_mmb.backend import Array, as_array, is_array, namespace


class GradcheckError(RuntimeError):
    """The analytic and the numeric gradient differ; the text says where and by how much."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    name: str = "",
) -> bool:
    """Whether backward agrees with (f(x + εv) - f(x - εv)) / 2ε.

    For random u and v, vᵀ(uᵀJ) must equal the central difference of uᵀf along v, for each input
    that requires a gradient. Inputs should be float64, and away from kinks such as ReLU at 0.

    Raises: GradcheckError naming input, entry, both numbers and the tolerance (or returns False
    with raise_exception=False); ValueError if no input requires a gradient.
    """
    args = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    name = name or name_of(func)
    wrt = [k for k, x in enumerate(args) if isinstance(x, Tensor) and x.requires_grad]
    if not wrt:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of the "
            "inputs does. Make them with requires_grad=True."
        )
    if any(args[k].dtype != backend.float64 for k in wrt):
        warnings.warn(
            "gradcheck: an input is not float64; the difference of two rounded numbers is then too "
            "coarse for the tolerances. Use tensor(..., dtype=float64).",
            stacklevel=2,
        )
    try:
        for k, analytic in analytic_gradients(func, args, wrt):
            compare(func, args, k, analytic, eps, atol, rtol, name)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    name: str = "",
) -> bool:
    """gradcheck of the gradient itself, as a function of the inputs and of ∂L/∂y."""
    args = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    wrt = [k for k, x in enumerate(args) if isinstance(x, Tensor) and x.requires_grad]
    ys = outputs_of(func(*args))
    us = [wrap(draw(y.array, 1 + k)).requires_grad_() for k, y in enumerate(ys)]

    def gradient(*values: Any) -> list[Any]:
        xs = list(values[: len(args)])
        gs = grad(
            outputs_of(func(*xs)),
            [xs[k] for k in wrt],
            list(values[len(args) :]),
            create_graph=True,
            allow_unused=True,
        )
        return [g for g in gs if g is not None]

    name = name or name_of(func)
    if not outputs_of(gradient(*args, *us)):
        return True  # the gradient does not depend on anything: there is no second derivative
    return gradcheck(gradient, (*args, *us), eps, atol, rtol, raise_exception, name)


def name_of(func: Any) -> str:
    """How reports call a function: Cube for Cube.apply."""
    owner = getattr(func, "__self__", None)
    return owner.__name__ if isinstance(owner, type) else getattr(func, "__name__", "f")


def analytic_gradients(
    func: Callable[..., Any], args: tuple[Any, ...], wrt: list[int]
) -> Iterator[tuple[int, Array]]:
    """(k, ∂(uᵀf)/∂xₖ by backward) for each input k in `wrt`."""
    ys = outputs_of(func(*args))
    us = [wrap(draw(y.array, 1 + k)) for k, y in enumerate(ys)]
    gs = grad(ys, [args[k] for k in wrt], us, allow_unused=True)
    for k, g in zip(wrt, gs, strict=True):
        x = args[k].array
        yield k, (namespace(x).zeros_like(x) if g is None else g.array)


def compare(
    func: Callable[..., Any],
    args: tuple[Any, ...],
    k: int,
    analytic: Array,
    eps: float,
    atol: float,
    rtol: float,
    name: str,
) -> None:
    """Raise GradcheckError unless input k's gradient agrees with the differences."""
    x = args[k].array

    def value(shift: Array) -> float:
        moved = list(args)
        moved[k] = wrap(as_array(x + shift)).requires_grad_()
        ys = outputs_of(func(*moved))
        return sum(float((y.array * draw(y.array, 1 + i)).sum()) for i, y in enumerate(ys))

    def slope(direction: Array) -> float:
        return (value(eps * direction) - value(-eps * direction)) / (2 * eps)

    def allowed(numeric: float) -> float:
        return atol + rtol * abs(numeric)

    v = draw(x, 100 + k)
    along, numeric = float((analytic * v).sum()), slope(v)
    if abs(along - numeric) <= allowed(numeric):
        return
    for i in range(analytic.size):
        entry = namespace(x).zeros_like(x)
        entry.reshape(-1)[i] = 1.0
        one, numeric = float(analytic.reshape(-1)[i]), slope(entry)
        if not abs(one - numeric) <= allowed(numeric):
            place = tuple(int(j) for j in namespace().unravel_index(i, x.shape))
            raise GradcheckError(
                f"gradcheck: {name}, input {k} of shape {x.shape}, entry {place}: analytic "
                f"{one:.4f}, numeric {numeric:.4f}, allowed {allowed(numeric):.1e}. "
                f"See {name}.backward."
            )
    raise GradcheckError(
        f"gradcheck: {name}, input {k} of shape {x.shape}: the sum over all entries differs, no "
        "single one does; is the function random, or is the point near a kink?"
    )


def outputs_of(y: Any) -> list[Tensor]:
    """The outputs that carry a gradient."""
    return [t for t in as_list(y) if isinstance(t, Tensor) and t.requires_grad]


def draw(like: Array, seed: int) -> Array:
    """Normal numbers of the shape of `like`, the same for the same seed."""
    drawn = namespace().random.default_rng(seed).standard_normal(like.shape)
    return backend.to_device(namespace().asarray(drawn), backend.device_of(like))


def cases(
    op: type[Function], rng: Any, n: int = 4
) -> Iterator[tuple[Callable[..., Any], tuple[Any, ...]]]:
    """(function, inputs) for each of the op's samples: float arrays as float64 variables, but for
    the positions that the op says are `constants`.
    """
    constants = getattr(op, "constants", ())
    for args in op.samples(rng, n):
        there = [backend.to_default_device(a) if is_array(a) else a for a in args]
        inputs = [
            wrap(a.astype(backend.float64)).requires_grad_()
            if is_array(a) and a.dtype.kind == "f" and k not in constants
            else a
            for k, a in enumerate(there)
        ]
        yield op.apply, tuple(inputs)
