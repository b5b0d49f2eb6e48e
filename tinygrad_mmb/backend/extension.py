"""Which compiled parts this installation has, and why the others are not there.

Each is a module tinygrad_mmb._<name>, built by setup.py from csrc/<name>/ if a compiler was there.
Everything works without them, more slowly. setup.py runs this file: it needs the standard library
only.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import os
import shutil
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

PACKAGE = Path(__file__).resolve().parents[1]
READ = {"cuda": ("cuda",), "emulator": ("cuda", "emulator")}  # folders of csrc, if not its own only
LATER = "nobody asked for it, as its kernels are compiled when they first run"
UNASKED = {"emulator": LATER}
VARIANTS = {"generic": "cpu", "avx2": "cpu_avx2", "avx512": "cpu_avx512"}  # modules of "cpu"
SUFFIXES = (".cu", ".cuh", ".cpp", ".hpp", ".h")


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


def nvcc() -> str | None:
    """The CUDA compiler: what $NVCC names, and nothing else if it is set; on PATH, below
    $CUDA_HOME, at its usual place, or where the packages of the extra [nvcc] bring it.
    """
    if named := os.environ.get("NVCC"):
        return shutil.which(named)
    home = Path(os.environ.get("CUDA_HOME") or "/usr/local/cuda")
    packages = Path(sysconfig.get_path("purelib")) / "nvidia"
    places = [home / "bin" / "nvcc", *sorted(packages.glob("cu*/bin/nvcc"))]
    return next(filter(None, map(shutil.which, ["nvcc", *map(str, places)])), None)


def digest(name: str, folder: Path | None = None) -> str:
    """Of the sources that the extension `name` is built from, in the first folder that has them;
    empty if there are none.
    """
    for root in [folder] if folder else source_folders():
        parts = [root / part for part in READ.get(name, (name,))]
        if all(part.is_dir() for part in parts):
            break
    else:
        return ""
    files = sorted(p for part in parts for p in part.rglob("*") if p.suffix in SUFFIXES)
    made = hashlib.sha256()
    for path in files:
        made.update(path.relative_to(root).as_posix().encode() + b"\0")
        made.update(path.read_bytes())
    return made.hexdigest()[:16]


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
    return sorted((built | sources) - {"cpu_avx2", "cpu_avx512"})


@functools.cache
def load(name: str) -> Extension:
    """The extension tinygrad_mmb._<name>, imported at the first call.

    One that was built from other sources than those at hand is not used: it would compute what an
    older version computed.
    """
    module_name = fastest_variant() if name == "cpu" else name
    full = f"tinygrad_mmb._{module_name}"
    again = f"MMB_BUILD={name} python -m pip install --force-reinstall --no-deps <this project>"
    if importlib.util.find_spec(full) is None:
        return Extension(name, None, f"not built: {why_not_built(name)}. To build it: {again}")
    try:
        module = importlib.import_module(full)
    except ImportError as error:  # built for another Python, or a library it needs is missing
        return Extension(name, None, f"built, but it cannot be loaded: {error}")
    now = digest(name)
    if now and getattr(module, "sources", now) != now:
        return Extension(name, None, f"built before csrc changed, so not used. Again: {again}")
    return Extension(name, module)


def variants() -> list[str]:
    """The sets of instructions that "cpu" was built for and this processor has, the fastest first;
    none where it was not built.
    """
    if importlib.util.find_spec("tinygrad_mmb._cpu") is None:
        return []
    has = importlib.import_module("tinygrad_mmb._cpu").supported()
    return [isa for isa in has if importlib.util.find_spec(f"tinygrad_mmb._{VARIANTS[isa]}")]


def fastest_variant() -> str:
    """The module of "cpu" to use: for the best set of instructions that this processor has, or for
    the one that MMB_CPU_ISA names.

    Raises: RuntimeError for a set that is unknown, not built or not there.
    """
    asked, built = os.environ.get("MMB_CPU_ISA", ""), variants()
    if not built:
        return "cpu"
    if asked and asked not in built:
        raise RuntimeError(
            f"MMB_CPU_ISA is {asked!r}, but these were built and run here: "
            f"{', '.join(built)}. Leave MMB_CPU_ISA unset to use the fastest."
        )
    return VARIANTS[asked or built[0]]


def why_not_built(name: str) -> str:
    """What setup.py left as the reason."""
    try:
        return (PACKAGE / f"_{name}.not_built.txt").read_text(encoding="utf-8").strip()
    except OSError:
        return UNASKED.get(name, "the installation was told to build nothing, or found no pybind11")


def extensions() -> dict[str, Extension]:
    """Every extension by name."""
    return {name: load(name) for name in names()}
