"""Which compiled parts this installation has, and why the others are not there.

Each is a module tinygrad_mmb._<name>, built by setup.py from csrc/<name>/ if a compiler was there.
Everything works without them, more slowly.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Extension:
    """One compiled part: whether it can be used, and if not, why."""

    name: str
    module: ModuleType | None
    reason: str = ""

    @property
    def active(self) -> bool:
        return self.module is not None


def source_folders() -> list[Path]:
    """Where C++ sources may lie: in a checkout beside the package, in an installation inside it."""
    return [PACKAGE.parent / "csrc", PACKAGE / "share" / "csrc"]


def names() -> list[str]:
    """Every extension there is: built ones, and those whose sources are at hand."""
    built = {p.name.split(".")[0][1:] for kind in ("so", "pyd") for p in PACKAGE.glob(f"_*.{kind}")}
    sources = {
        folder.name
        for root in source_folders()
        if root.is_dir()
        for folder in root.iterdir()
        if folder.is_dir() and any(folder.rglob("*.cpp"))
    }
    return sorted(built | sources)


@functools.cache
def load(name: str) -> Extension:
    """The extension tinygrad_mmb._<name>, imported at the first call."""
    full = f"tinygrad_mmb._{name}"
    if importlib.util.find_spec(full) is None:
        return Extension(
            name,
            None,
            "not built: there was no C++ compiler when the package was installed, or its build "
            "failed. With one, "
            f"MMB_BUILD={name} pip install --force-reinstall <this project> says what is wrong",
        )
    try:
        return Extension(name, importlib.import_module(full))
    except ImportError as error:  # built for another Python, or a library it needs is missing
        return Extension(name, None, f"built, but it cannot be loaded: {error}")


def extensions() -> dict[str, Extension]:
    """Every extension by name."""
    return {name: load(name) for name in names()}
