"""The random streams that a training run draws from: the default generator and those that layers
hold.
"""

from __future__ import annotations

from typing import Any

from tinygrad_mmb.nn.module import Module
from tinygrad_mmb.ops.random import Generator, default_generator

DEFAULT = "default"


def generators(model: Module) -> dict[str, Generator]:
    """Each generator once: the default one, and what a layer keeps in an attribute (Dropout's
    `generator`).
    """
    found = {DEFAULT: default_generator}
    for name, module in model.named_modules():
        for attribute, value in vars(module).items():
            if isinstance(value, Generator) and not any(value is g for g in found.values()):
                found[f"{name}.{attribute}" if name else attribute] = value
    return found


def generator_states(model: Module) -> dict[str, Any]:
    """Where each stream stands."""
    return {name: generator.get_state() for name, generator in generators(model).items()}


def restore_generators(model: Module, states: dict[str, Any]) -> None:
    """Put each stream back to where it stood.

    Raises: ValueError if the model has other generators than the one that was saved.
    """
    own = generators(model)
    if own.keys() != states.keys():
        raise ValueError(
            f"the checkpoint holds the random streams {', '.join(states)}, but this model draws "
            f"from {', '.join(own)}"
        )
    for name, generator in own.items():
        generator.set_state(states[name])
