"""With what a run was made: enough to make it again."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tinygrad_mmb.backend import blas
from tinygrad_mmb.backend.extension import PACKAGE, extensions, load
from tinygrad_mmb.kernels import registry

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def version_of(package: str) -> str | None:
    """The installed version of a package; None if it is not installed. It is not imported."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def environment() -> dict[str, Any]:
    """Versions, machine, BLAS and threads of this process."""
    return {
        "versions": {
            "tinygrad_mmb": version_of("tinygrad-mmb"),
            "python": platform.python_version(),
            "numpy": version_of("numpy"),
            "safetensors": version_of("safetensors"),
        },
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "blas": {"name": blas.blas_name(), "threads": blas.blas_threads()},
        "thread_variables": {name: os.environ[name] for name in THREADS if name in os.environ},
        "extensions": {name: e.active for name, e in extensions().items()},
        "kernels": kernels(),
        "commit": commit(),
    }


def kernels() -> dict[str, str | None]:
    """What decides about the last digits besides BLAS: which kernels MMB_KERNELS names ("auto"
    unless it is set), and the set of instructions of those in C++, None where none run.
    """
    named, native = registry.from_environment, load("cpu").module
    runs = named in (registry.AUTO, "cpu")
    return {"named": named, "cpu": native.isa if native is not None and runs else None}


def commit(folder: Path = PACKAGE) -> dict[str, Any] | None:
    """The commit of this source, and whether files differ from it; None outside a checkout.

    A package installed inside another project's checkout is not that project's commit, so the file
    must be tracked.
    """
    if git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    changed = git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
    return {"hash": git(folder, "rev-parse", "HEAD"), "changed": bool(changed)}


def git(folder: Path, *arguments: str) -> str | None:
    """What git answers; None if it cannot."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def now() -> str:
    """The time, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def command() -> list[str]:
    """How this process was called, for people to read."""
    program = Path(sys.argv[0]).name
    return ["mmb" if program == "__main__.py" else program, *sys.argv[1:]]
