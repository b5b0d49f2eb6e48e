"""Writes offers.json: what the installed CuPy offers, for the stand-in to offer the same.

    python tests/device/list_cupy.py            write it anew
    python tests/device/list_cupy.py --check    fail if it differs from the installed CuPy

CuPy imports without a GPU, so this runs anywhere it is installed.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

OFFERS = Path(__file__).with_name("offers.json")
SUBMODULES = ("linalg", "lib.stride_tricks")
ELSEWHERE = ("cuda", "random", "fft", "testing", "polynomial", "exceptions", "typing")
REDUCES = ("add", "multiply")  # the names that ufunc.reduce and accumulate know in _kernel.pyx


def parameters(function: Any) -> list[str] | None:
    """Names of the parameters, "*" and "**" kept; None where nothing tells them."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return from_first_line(function.__doc__ or "")
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return [stars.get(p.kind, "") + p.name for p in found]


def from_first_line(text: str) -> list[str] | None:
    """As Cython writes it: `_ndarray_base.sum(self, axis=None, int dtype=None) -> ...`."""
    match = re.match(r"[\w.]+\((.*?)\)(?: ->.*)?$", text.split("\n")[0])
    if match is None:
        return None
    parts = [p.split("=")[0].split()[-1] for p in match[1].split(",") if p.strip()]
    return [p for p in parts if p not in ("self", "/", "*")]


def functions(module: ModuleType, ufunc: type) -> dict[str, Any]:
    """Public functions by name, with their parameters."""
    return {
        name: parameters(value)
        for name in sorted(dir(module))
        if not name.startswith("_") and callable(value := getattr(module, name))
        if not isinstance(value, (type, ufunc))
    }


def offers() -> dict[str, Any]:
    """Everything, from the installed CuPy."""
    import cupy

    ufunc = type(cupy.add)
    submodules = {}
    for path in SUBMODULES:
        module: Any = cupy
        for part in path.split("."):
            module = getattr(module, part)
        submodules[path] = functions(module, ufunc)
    methods, attributes = {}, []
    for name in sorted(set(dir(cupy.ndarray))):
        if name.startswith("_"):
            continue
        value = getattr(cupy.ndarray, name)
        if callable(value):
            methods[name] = parameters(value)
        else:
            attributes.append(name)
    return {
        "version": cupy.__version__,
        "functions": functions(cupy, ufunc),
        "submodules": submodules,
        "ufuncs": {
            name: {
                "types": list(value.types),
                "at": getattr(value, "_scatter_op", None),
                "reduce": name in REDUCES,
            }
            for name in sorted(dir(cupy))
            if isinstance(value := getattr(cupy, name), ufunc)
        },
        "methods": methods,
        "attributes": attributes,
        "operators": sorted(n for n in dir(cupy.ndarray) if re.fullmatch(r"__\w+__", n)),
        "constants": sorted(
            name
            for name in dir(cupy)
            if isinstance(getattr(cupy, name), (int, float)) and not name.startswith("_")
        ),
        "types": sorted(
            name
            for name in dir(cupy)
            if isinstance(value := getattr(cupy, name), type) and not name.startswith("_")
        ),
    }


def main() -> None:
    text = json.dumps(offers(), indent=1, sort_keys=True) + "\n"
    if "--check" in sys.argv:
        if OFFERS.read_text(encoding="utf-8") != text:
            sys.exit(f"{OFFERS} is not what this CuPy offers; run without --check to renew it")
    else:
        OFFERS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
