"""Faster twins of ops: one folder per backend, one file per op. Importing one fills the table."""

import importlib
import pkgutil

from tinygrad_mmb.kernels import cuda

for _twin in pkgutil.iter_modules(cuda.__path__):
    importlib.import_module(f"{cuda.__name__}.{_twin.name}")
