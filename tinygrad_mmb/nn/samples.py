"""What tests and benchmarks run modules with: every kind there is, on the samples it brings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tinygrad_mmb import backend, nn
from tinygrad_mmb.autograd.tensor import Tensor, wrap
from tinygrad_mmb.backend import is_array
from tinygrad_mmb.nn.module import Module
from tinygrad_mmb.ops.random import default_generator


def all_modules(of: type[Module] = Module) -> Iterator[type[Module]]:
    """Every kind of module, for tests to walk.

    A class that others derive from and that `nn` does not offer is a base, not a kind.
    """
    for cls in of.__subclasses__():
        if not cls.__subclasses__() or getattr(nn, cls.__name__, None) is cls:
            yield cls
        yield from all_modules(cls)


def cases(
    of: type[Module], rng: Any, n: int = 4
) -> Iterator[tuple[Module, tuple[Tensor | Any, ...]]]:
    """(module, inputs) for each sample, all in float64; floating inputs require a gradient."""
    for module, *inputs in of.samples(rng, n):
        yield module.double(), tuple([variable(x) for x in inputs])


def variable(x: Any) -> Any:
    """An array as a Tensor, one of floats as a float64 leaf that requires a gradient."""
    if not is_array(x):
        return x
    x = backend.to_default_device(x)
    return wrap(x.astype(backend.float64)).requires_grad_() if x.dtype.kind == "f" else wrap(x)


def as_function(module: Module) -> tuple[Callable[..., Any], tuple[Tensor, ...]]:
    """(f, parameters): f(*inputs, *parameters) is the module's output at those parameters.

    Each call draws the same numbers from the default generator, so that a module which is random
    while training is a function too.
    """
    names = [name for name, _ in module.named_parameters()]
    own = tuple(module.parameters())
    drawn = default_generator.get_state()

    def f(*values: Any) -> Any:
        default_generator.set_state(drawn)
        first = len(values) - len(names)
        place(module, names, values[first:])
        try:
            return module(*values[:first])
        finally:
            place(module, names, own)

    return f, own


def place(module: Module, names: list[str], values: tuple[Any, ...]) -> None:
    """Set the attributes at the paths `names`."""
    for name, value in zip(names, values, strict=True):
        path, _, attribute = name.rpartition(".")
        setattr(module.get_submodule(path), attribute, value)
