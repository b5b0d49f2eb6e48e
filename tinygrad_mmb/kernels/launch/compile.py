"""Compile CUDA sources for the emulator with the machine's C++ compiler, and keep the results."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tinygrad_mmb.backend import extension

# -fno-tree-sra: a float4 stays one access, so that alignment and banks are seen as on the GPU
MODES = {
    "fast": ["-O3", "-g1", "-ffp-contract=off"],
    "check": [
        *("-O1", "-g", "-fno-tree-sra", "-ffp-contract=off", "-DEMULATOR_CHECK"),
        *("-fsanitize=thread,bounds", "--param=tsan-distinguish-volatile=1"),
        "--param=tsan-instrument-func-entry-exit=0",
    ],
    "sanitize": [
        *("-O1", "-g", "-fno-omit-frame-pointer", "-ffp-contract=off"),
        *("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"),
    ],
}


def sources() -> Path:
    """csrc of the checkout or of the installation.

    Raises: RuntimeError if the installation carries none.
    """
    for folder in extension.source_folders():
        if (folder / "cuda" / "kernels").is_dir():
            return folder
    raise RuntimeError(
        "the CUDA sources are missing from this installation (looked in "
        f"{' and '.join(map(str, extension.source_folders()))}). Install tinygrad_mmb again."
    )


def cache_folder() -> Path:
    """Where compiled libraries are kept: MMB_CACHE, else the user's cache folder."""
    if named := os.environ.get("MMB_CACHE"):
        return Path(named)
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "tinygrad_mmb"


@functools.cache
def compiler() -> str:
    """The C++ compiler: $CXX, g++, clang++ or c++.

    Raises: RuntimeError where there is none, or where the emulator cannot run.
    """
    if sys.platform != "linux":
        raise RuntimeError(
            f"the CUDA emulator runs on Linux and WSL2 only, and this is {platform.system()}. Use "
            "a container, WSL2, or a notebook in the cloud."
        )
    for name in (os.environ.get("CXX"), "g++", "clang++", "c++"):
        if name and shutil.which(name):
            return name
    raise RuntimeError(
        "the CUDA emulator compiles kernels with a C++17 compiler, and there is none here. On "
        "Debian and Ubuntu: apt install g++."
    )


def compiled(source: Path, flags: list[str], kind: str) -> Path:
    """The object file or library of one source, from the cache if nothing it reads has changed."""
    root = sources()
    headers = sorted([*root.glob("cuda/*.*h*"), *root.glob("emulator/**/*.h*")])
    # hidden: the shared arrays of templates must not be merged with those of another library
    command = [compiler(), "-std=c++17", "-fPIC", "-fvisibility=hidden", *flags]
    for folder in ("cuda", "emulator", "emulator/include"):
        command.append(f"-I{root / folder}")
    digest = hashlib.sha256(repr((command, str(source), kind)).encode())
    for path in (source, *headers):
        digest.update(path.read_bytes())
    target = cache_folder() / f"{source.stem}-{digest.hexdigest()[:16]}.{kind}"
    if target.exists():
        return target
    command += ["-x", "c++", "-c", str(source)]
    _run(command, target)
    return target


def _run(command: list[str], target: Path) -> None:
    """Run a compiler that writes `target`, which appears whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / target.name
        done = subprocess.run([*command, "-o", str(made)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
        os.replace(made, target)


@functools.cache
def library(file: str, mode: str = "fast") -> Path:
    """The kernels of csrc/cuda/kernels/<file> as a shared library, compiled in one of MODES.

    Raises: RuntimeError if there is no compiler, or it finds an error.
    """
    root, flags = sources(), MODES[mode]
    # the checker hears of the kernel's accesses only, not of the runtime's own
    calm = [f for f in flags if not f.startswith(("-fsanitize=thread", "--param=tsan"))]
    runtime = sorted((root / "emulator" / "runtime").glob("*.cpp"))
    parts = [compiled(root / "cuda" / "kernels" / file, flags, "o")]
    parts += [compiled(path, calm, "o") for path in runtime]
    names = [str(p) for p in parts]
    digest = hashlib.sha256("".join(names).encode()).hexdigest()[:16]
    target = cache_folder() / f"{Path(file).stem}-{mode}-{digest}.so"
    if not target.exists():
        linked = [f for f in flags if f.startswith("-fsanitize") and "thread" not in f]
        _run([compiler(), "-shared", *linked, *names, "-ldl"], target)
    return target
