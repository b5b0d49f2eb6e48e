"""Whether a run can go on with the bits that it would have had without the interruption."""

from __future__ import annotations

import warnings

from tinygrad_mmb.backend import blas
from tinygrad_mmb.backend.extension import variants
from tinygrad_mmb.training import manifest
from tinygrad_mmb.training.config import ConfigError
from tinygrad_mmb.training.problem import Problem
from tinygrad_mmb.training.run_folder import RunFolder


def check_resumable(folder: RunFolder, problem: Problem) -> None:
    """Before a run goes on: its data, its kernels and its number of BLAS threads, or the bits would
    differ.

    Warns if versions have changed since, or if the C++ kernels of then cannot run here.
    Raises: ConfigError if the data has changed, or threads or kernels are others and could be
    restored from outside.
    """
    old = folder.read_manifest()
    if old["data"]["sha256"] != problem.digest:
        raise ConfigError(
            f"{folder.path}: the data has changed since this run was started, so it cannot go on"
        )
    threads, now = old["blas"]["threads"], blas.blas_threads()
    if threads not in (None, now) and not blas.set_blas_threads(threads):
        raise ConfigError(
            f"{folder.path}: this run used {threads} BLAS threads, now there are {now}, and they "
            f"cannot be changed from here. Set OPENBLAS_NUM_THREADS={threads} (or MKL_NUM_THREADS) "
            "and call again"
        )
    check_kernels(folder, old.get("kernels"))
    versions = manifest.environment()["versions"]
    changed = [f"{k} {v}" for k, v in old["versions"].items() if versions.get(k) != v]
    if changed:
        warnings.warn(
            f"{folder.path} was started with {', '.join(changed)}; another version is installed "
            "now, so the results may differ in their last digits",
            stacklevel=2,
        )


def check_kernels(folder: RunFolder, then: dict[str, str | None] | None) -> None:
    """The part of `check_resumable` about kernels, which runs of older versions have not noted."""
    now = manifest.kernels()
    if then is None or described(then) == described(now):
        return
    differs = f"{folder.path}: this run used {described(then)}, now it would be {described(now)}"
    if then["cpu"] and then["cpu"] not in variants():
        warnings.warn(
            f"{differs}, as those cannot run here: the results may differ in their last digits",
            stacklevel=3,
        )
        return
    named = "reference" if then["named"] == "auto" and not then["cpu"] else then["named"]
    settings = [f"MMB_KERNELS={named}"] if named != now["named"] else []
    settings += [f"MMB_CPU_ISA={then['cpu']}"] if then["cpu"] else []
    raise ConfigError(
        f"{differs}, and the last digits would differ. Set {' '.join(settings)} and call again"
    )


def described(kernels: dict[str, str | None]) -> str:
    """Kernels as manifest.kernels() has them, in words."""
    if kernels["cpu"]:
        return f"C++ kernels for {kernels['cpu']}"
    named = kernels["named"]
    return "the NumPy reference" if named in ("auto", "reference") else f"the kernels of {named}"
