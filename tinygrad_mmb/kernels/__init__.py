"""Faster twins of ops: one folder per backend, one file per op. Importing one fills the table."""

import importlib
import pkgutil

from tinygrad_mmb.kernels import cpu, cuda, numba, registry

for _backend in (cuda, cpu, numba):
    for _twin in pkgutil.iter_modules(_backend.__path__):
        importlib.import_module(f"{_backend.__name__}.{_twin.name}")

registry.require_known(
    registry.from_environment, f"{registry.VARIABLE}={registry.from_environment}"
)
