"""How a loop becomes machine code, and how a twin made of it declares itself."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, TypeVar

from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.launch.arguments import are_on_host

F = TypeVar("F", bound=Callable[..., Any])
BACKEND = "numba"
INSTALLED = find_spec("numba") is not None  # looked for only: importing it takes 0.3 s and more
if not INSTALLED:
    registry.missing[BACKEND] = "numba is not installed: pip install 'tinygrad-mmb[jit]'"


class Loop:
    """A function of arrays and numbers that is compiled at its first call.

    numba compiles it once for each combination of dtypes, and keeps that for other processes beside
    the source, or in the user's cache folder; if it can write to neither, each process compiles.
    """

    def __init__(self, function: Callable[..., None], fastmath: set[str]) -> None:
        self.function = function
        self._fastmath = fastmath
        self._compiled: Callable[..., None] | None = None

    def __call__(self, *args: Any) -> None:
        if self._compiled is None:
            self._compiled = self._compile(keep=True)
        try:
            self._compiled(*args)
        except (
            OSError,
            EOFError,
            pickle.UnpicklingError,
        ):  # numba's files: disk full, file cut off
            self._compiled = self._compile(keep=False)
            self._compiled(*args)

    def _compile(self, keep: bool) -> Callable[..., None]:
        try:
            from numba import njit
        except ImportError as error:
            raise ImportError(
                f"{self.function.__name__}: numba is installed, but cannot be imported: {error}. "
                "Update it (pip install -U numba), or go without: use_kernels('auto')."
            ) from error
        # "numpy": 1 / 0 is ∞. Never parallel: the bits must not depend on the number of threads.
        options: dict[str, Any] = {"error_model": "numpy", "fastmath": self._fastmath or False}
        try:
            return njit(cache=keep, **options)(self.function)
        except RuntimeError:  # "no locator available": no folder that numba can write to
            return njit(**options)(self.function)


def jit(function: Callable[..., None]) -> Loop:
    """Compile a loop at its first call, with IEEE's arithmetic in the order that it is written."""
    return Loop(function, set())


def jit_sums(function: Callable[..., None]) -> Loop:
    """As `jit`, but sums may be added up in another order: several partial sums at once.

    The order depends on the processor's vectors, not on the number of threads. Formulas that need
    their order, such as compensated sums, do not belong into such a loop.
    """
    return Loop(function, {"reassoc", "contract"})


def numba_kernel(key: str, *, accepts: Callable[..., bool]) -> Callable[[F], F]:
    """Declare the function below as the numba twin of `key`, if numba is installed.

    It runs inside `use_kernels("numba")` or under MMB_KERNELS=numba only. `accepts` gets the
    arguments of the op and looks at shapes and dtypes; how arrays lie is seen to here.
    """

    def on_host(*args: Any, **options: Any) -> bool:
        return are_on_host(args) and accepts(*args, **options)

    def register(run: F) -> F:
        if INSTALLED:
            registry.kernel(key, backend=BACKEND, accepts=on_host, place=None)(run)
        return run

    return register
