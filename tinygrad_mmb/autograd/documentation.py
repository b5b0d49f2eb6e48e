"""What help(Tensor.sum) says: the one-liners of methods.py speak with the words of their op."""

from __future__ import annotations

from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd.method_table import METHODS
from tinygrad_mmb.autograd.methods import Methods
from tinygrad_mmb.autograd.tensor import Tensor


def document_methods() -> None:
    """Give every generated method the docstring of its op, and the name that errors print."""
    Tensor.where.__doc__ = ops.where.__doc__
    methods: dict[str, Any] = dict(vars(Methods))
    for name, entry in METHODS.items():
        doc = entry.function.__doc__ or ""
        plain, inplace = methods.get(name), methods.get(f"{name}_")
        if plain is not None:
            plain.__doc__ = f"{doc.rstrip()}\n\n{' ' * 4}x.{name}(...) is {name}(x, ...)."
            plain.__qualname__ = f"Tensor.{name}"
            if not entry.sizes:
                plain.__wrapped__ = entry.function  # inspect shows signature and source of the op
        if entry.inplace and inplace is not None:
            inplace.__doc__ = f"Write {name}(x, ...) into x, and return x.\n\n    {name}: {doc}"
            inplace.__qualname__ = f"Tensor.{name}_"
