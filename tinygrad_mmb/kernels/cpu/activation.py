"""Functions with an exponential in them, and their gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_mmb.backend import Array, empty_in_layout_of
from tinygrad_mmb.kernels.cpu.native import are_floats, cpu_kernel, native
from tinygrad_mmb.kernels.launch.elements import dense, lying_alike
from tinygrad_mmb.kernels.registry import WithExtras

LEAST = 2048  # elements: the way to the kernel takes as long as NumPy takes for fewer


def is_worth_it(x: Array, *numbers: Any) -> bool:
    """Whether x is float32 or float64, and large enough."""
    return x.size >= LEAST and are_floats(x)


def slope_is_worth_it(g: Array, saved: Array, *others: Any, **options: Any) -> bool:
    """Whether a gradient and what was saved are."""
    return g.shape == saved.shape and saved.size >= LEAST and are_floats(g, saved)


def mapped(kernel: Any) -> Callable[..., Any]:
    """The twin that applies a kernel to every element; numbers stay for the way back."""

    def run(x: Array, *numbers: float) -> Any:
        x = dense(x)
        y = empty_in_layout_of(x)
        kernel(in_memory(y), in_memory(x), *numbers)
        return WithExtras(y, numbers) if numbers else y

    return run


def sloped(kernel: Any) -> Callable[..., tuple[Any, ...]]:
    """The twin that multiplies a gradient with the slope of a function."""

    def run(
        g: Array, saved: Array, numbers: tuple[float, ...] = (), *, needs_input_grad: Any
    ) -> tuple[Any, ...]:
        g, saved = lying_alike(g, saved)
        dx = empty_in_layout_of(saved)
        kernel(in_memory(dx), in_memory(g), in_memory(saved), *numbers)
        return dx, *[None] * len(numbers)

    return run


def in_memory(x: Array) -> Array:
    """The elements of an array without gaps in the order in which they lie."""
    return x if x.flags.c_contiguous else x.ravel(order="K")


def gelu(x: Array, approximate: str) -> Array:
    """x Φ(x), exactly or nearly."""
    return mapped(native.map_gelu if approximate == "none" else native.map_gelu_tanh)(x)


def gelu_slope(g: Array, x: Array, approximate: str, needs_input_grad: Any) -> tuple[Array, None]:
    """Its gradient; `approximate` has none."""
    kernel = native.slope_gelu if approximate == "none" else native.slope_gelu_tanh
    return *sloped(kernel)(g, x, needs_input_grad=needs_input_grad), None


if native:  # NumPy's own tanh, expm1, log and log1p are as fast
    cpu_kernel("Exp", accepts=is_worth_it)(mapped(native.map_exp))
    cpu_kernel("Gelu", accepts=is_worth_it)(gelu)
    cpu_kernel("Gelu.backward", accepts=slope_is_worth_it)(gelu_slope)
    for op in ("Sigmoid", "Erf", "Silu", "Elu", "Softplus"):
        kernels = getattr(native, f"map_{op.lower()}"), getattr(native, f"slope_{op.lower()}")
        cpu_kernel(op, accepts=is_worth_it)(mapped(kernels[0]))
        cpu_kernel(f"{op}.backward", accepts=slope_is_worth_it)(sloped(kernels[1]))
