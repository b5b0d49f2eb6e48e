"""show_config: which parts of this installation are active, and why the others are not."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from tinygrad_mmb.backend import blas
from tinygrad_mmb.backend.extension import PACKAGE, extensions
from tinygrad_mmb.kernels import registry

OPTIONAL = {
    "rich": "progress bars: pip install 'tinygrad-mmb[train]'",
    "matplotlib": "pictures: pip install 'tinygrad-mmb[train]'",
    "torch": "comparisons with PyTorch: pip install 'tinygrad-mmb[torch]'",
}
CUPY = ("cupy", "cupy-cuda12x", "cupy-cuda13x")


def installed(package: str) -> str | None:
    """Its version; None if it is not installed. Nothing is imported."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def configuration() -> dict[str, Any]:
    """What `show_config` shows, as a dictionary."""
    active: dict[str, list[str]] = {}
    for key in registry.keys():  # noqa: SIM118 - a function, no dictionary
        for twin in registry.twins(key):
            active.setdefault(twin.backend, []).append(key)
    return {
        "tinygrad_mmb": installed("tinygrad-mmb") or "not installed, used from its folder",
        "folder": str(PACKAGE),
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "numpy": installed("numpy"),
        "safetensors": installed("safetensors"),
        "click": installed("click"),
        "blas": {"name": blas.blas_name(), "threads": blas.blas_threads()},
        "extensions": {
            name: "active" if e.active else e.reason for name, e in extensions().items()
        },
        "kernels": active,
        "optional": {name: installed(name) for name in OPTIONAL},
        "cupy": next((f"{name} {v}" for name in CUPY if (v := installed(name))), None),
    }


def configuration_text() -> str:
    """The same for people."""
    c = configuration()
    lines = [f"{name:<13} {c[name]}" for name in ("tinygrad_mmb", "folder", "python", "system")]
    lines += [
        f"{name:<13} {c[name] or 'not installed'}" for name in ("numpy", "safetensors", "click")
    ]
    threads = c["blas"]["threads"]
    count = (
        "unknown number of threads" if threads is None else f"{threads} thread{'s' * (threads > 1)}"
    )
    lines.append(f"{'BLAS':<13} {c['blas']['name']}, {count}")
    lines += ["", "compiled parts:"]
    lines += [f"  {name:<11} {state}" for name, state in c["extensions"].items()] or [
        "  none: this version has none"
    ]
    lines += ["", "faster kernels beside the NumPy reference:"]
    lines += [
        f"  {backend:<11} {', '.join(sorted(keys))}" for backend, keys in c["kernels"].items()
    ] or ["  none"]
    lines += ["", "optional packages:"]
    lines += [
        f"  {name:<11} {v or 'not installed; ' + OPTIONAL[name]}"
        for name, v in c["optional"].items()
    ]
    gpu = c["cupy"] or "not installed; arrays stay on the CPU"
    lines.append(f"  {'CuPy':<11} {gpu}")
    return "\n".join(lines)


def show_config(mode: str = "stdout") -> dict[str, Any] | None:
    """Print versions, BLAS and threads, compiled parts, active kernels; or with mode="dicts" return
    them.

    Raises: ValueError for another mode.
    """
    if mode == "dicts":
        return configuration()
    if mode != "stdout":
        raise ValueError(f"show_config: mode is {mode!r}, but must be 'stdout' or 'dicts'")
    print(configuration_text())
    return None
