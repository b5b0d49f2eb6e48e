"""show_config: which parts of this installation are active, and why the others are not."""

from __future__ import annotations

import importlib.util
import json
import platform
import re
import sys
from textwrap import wrap
from typing import Any

from tinygrad_mmb.backend import blas
from tinygrad_mmb.backend.driver import Driver, driver
from tinygrad_mmb.backend.extension import PACKAGE, extensions, nvcc
from tinygrad_mmb.kernels import registry

OPTIONAL = {
    "rich": "progress bars: pip install 'tinygrad-mmb[train]'",
    "matplotlib": "pictures: pip install 'tinygrad-mmb[train]'",
    "torch": "comparisons with PyTorch: pip install 'tinygrad-mmb[torch]'",
    "numba": "kernels in Python: pip install 'tinygrad-mmb[jit]'",
}
CONFORMANCE = ("tests/gpu/conformance.json", "tinygrad_mmb/share/conformance.json")


def installed(package: str) -> str | None:
    """Its version; None if it is not installed. Nothing is imported."""
    from importlib import metadata  # 15 ms, which an import of the package need not take

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def cupys() -> dict[str, str]:
    """Every installed CuPy by its name, which differs by the CUDA it was built for."""
    from importlib import metadata

    found = {
        name: d.version
        for d in metadata.distributions()
        if (name := str(d.metadata["Name"] or "").lower()) == "cupy" or name.startswith("cupy-")
    }
    if not found and importlib.util.find_spec("cupy"):
        return {"cupy": "of unknown version"}
    return dict(sorted(found.items()))


def advice_on_cupy(found: dict[str, str], there: Driver | None) -> str:
    """What to do about CuPy; empty if nothing. A second one is never suggested."""
    if len(found) > 1:
        return (
            f"several fill the same folder and break each other: pip uninstall {' '.join(found)}, "
            "then install one"
        )
    if there is None:
        return "" if found else "arrays stay on the CPU"
    fitting = "cuda13" if there.cuda >= (13, 0) else "cuda12" if there.cuda >= (12, 0) else ""
    if not fitting:
        return f"the driver runs CUDA {'.'.join(map(str, there.cuda))}: update it to 12 or newer"
    if not found:
        return f"arrays stay on the CPU; for this driver: pip install 'tinygrad-mmb[{fitting}]'"
    ((name, _),) = found.items()
    made_for = re.search(r"cuda(\d+)x", name)
    if made_for and int(made_for.group(1)) > there.cuda[0]:
        return (
            f"it is newer than the driver's CUDA {there.cuda[0]}: pip uninstall {name}, then "
            f"pip install 'tinygrad-mmb[{fitting}]'"
        )
    return ""


def compilers() -> dict[str, str]:
    """The C++ compiler of the emulator, and nvcc: where they are, or what is missing."""
    from tinygrad_mmb.kernels.launch import compile

    try:
        host = compile.compiler()
    except RuntimeError as error:
        host = f"none: {error}"
    return {"C++": host, "nvcc": nvcc() or "none; kernels are then compiled by NVRTC at first use"}


def routes(there: Driver | None) -> list[str]:
    """How the kernels reach each GPU."""
    from tinygrad_mmb.kernels.launch.device import why_not_built_in

    if there is None or not there.gpus:
        return ["no GPU: use_kernels('emulator') runs the CUDA kernels on the CPU"]
    lines = []
    for number, gpu in enumerate(there.gpus):
        reason = why_not_built_in(gpu.capability)
        way = f"compiled at first use ({reason})" if reason else "the extension _cuda"
        major, minor = gpu.capability[:-1], gpu.capability[-1]
        lines.append(f"cuda:{number} {gpu.name}, {major}.{minor}: {way}")
    return lines


def conformance() -> str:
    """When the emulated PTX instructions were last compared with those of a GPU."""
    for name in CONFORMANCE:
        path = PACKAGE.parent / name
        if path.is_file():
            passed = json.loads(path.read_text(encoding="utf-8"))["passed"]
            if passed:
                return f"{passed['device']}, {passed['date']}, commit {passed['commit']}"
    return "never: no GPU was at hand yet"


def configuration() -> dict[str, Any]:
    """What `show_config` shows, as a dictionary."""
    from tinygrad_mmb.kernels.launch import cache

    active: dict[str, list[str]] = {}
    for key in registry.keys():  # noqa: SIM118 - a function, no dictionary
        for twin in registry.twins(key):
            active.setdefault(twin.backend, []).append(key)
    there, found = driver(), cupys()
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
        "kernels_missing": dict(registry.missing),
        "kernels_pinned": registry.from_environment,
        "optional": {name: installed(name) for name in OPTIONAL},
        "cupy": ", ".join(f"{name} {v}" for name, v in found.items()) or None,
        "cuda": {
            "compilers": compilers(),
            "driver": None if there is None else ".".join(map(str, there.cuda)),
            "cupy_advice": advice_on_cupy(found, there),
            "kernels": routes(there),
            "cache": str(cache.cache_folder()),
            "ptx_compared_with_a_gpu": conformance(),
        },
    }


def kernel_lines(kernels: dict[str, list[str]]) -> list[str]:
    """Which ops have a kernel; backends that have the same ones stand together."""
    together: dict[str, list[str]] = {}
    for backend, keys in kernels.items():
        together.setdefault(", ".join(sorted(keys)), []).append(backend)
    lines = []
    for keys_text, backends in together.items():
        lines.append(f"  {', '.join(sorted(backends))}:")
        lines += wrap(keys_text, 96, initial_indent="    ", subsequent_indent="    ")
    return lines


def pin_line(pinned: str) -> str:
    """What the environment says of the kernels."""
    if pinned == registry.AUTO:
        return f"not pinned: use_kernels(name) or {registry.VARIABLE}=name runs those of one name"
    return f"{registry.VARIABLE}={pinned}: no others than these run, but for use_kernels(name)"


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
    lines += ["", "kernels beside the NumPy reference:"]
    lines += kernel_lines(c["kernels"]) or ["  none"]
    lines += [f"  {name}: {mend}" for name, mend in c["kernels_missing"].items()]
    lines.append(f"  {pin_line(c['kernels_pinned'])}")
    lines += ["", "CUDA:", *cuda_lines(c)]
    lines += ["", "optional packages:"]
    lines += [
        f"  {name:<11} {v or 'not installed; ' + OPTIONAL[name]}"
        for name, v in c["optional"].items()
    ]
    return "\n".join(lines)


def cuda_lines(c: dict[str, Any]) -> list[str]:
    """What concerns GPUs, and the emulator of one."""
    cuda = c["cuda"]
    cupy = f"{c['cupy'] or 'not installed'}{'; ' * bool(cuda['cupy_advice'])}{cuda['cupy_advice']}"
    driver_text = f"for CUDA {cuda['driver']}" if cuda["driver"] else "none"
    rows = [
        ("C++ compiler", cuda["compilers"]["C++"]),
        ("nvcc", cuda["compilers"]["nvcc"]),
        ("driver", driver_text),
        ("CuPy", cupy),
        *(("kernels on", way) for way in cuda["kernels"]),
        ("kept in", f"{cuda['cache']} (kernels compiled at first use)"),
        ("PTX", f"emulated instructions compared with a GPU: {cuda['ptx_compared_with_a_gpu']}"),
    ]
    return [f"  {name:<13} {value}" for name, value in rows]


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
