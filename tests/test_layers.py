"""The shape of the package, read from its sources: who imports whom, and who names NumPy."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_mmb

PACKAGE = Path(tinygrad_mmb.__file__).parent
ORDER = [
    ["atomic", "backend", "cuda"],
    ["kernels"],
    ["autograd"],
    ["ops"],
    ["nn", "optim", "serialization", "linalg", "einops"],
    ["data", "utils"],
    ["capture"],
    ["training"],
    ["lab", "bench", "emulator", "diagnose", "exercises", "grading", "distributed"],
    ["playground"],
    ["cli", "__main__"],
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))
STEP = ("ops", "nn", "optim", "autograd", "kernels")  # what a training step computes with


def imports(path: Path) -> list[tuple[str, int]]:
    """Every module a file imports, with the line."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.module, node.lineno)]
            found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
    return found


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_imports_point_to_the_same_layer_or_to_the_left():
    wrong = []
    for path in FILES:
        own = part(path)
        for name, line in imports(path):
            parts = name.split(".")
            if parts[0] != "tinygrad_mmb" or len(parts) < 2 or own not in RANK:
                continue
            if own == "autograd" and name == "tinygrad_mmb.ops":
                continue  # the one exception: the module, used inside functions only
            if parts[1] in RANK and RANK[parts[1]] > RANK[own]:
                wrong.append(f"{path.relative_to(PACKAGE)}:{line} imports {name}")
    assert wrong == []


def test_every_part_of_the_package_has_a_place_in_the_order():
    parts = {part(path) for path in FILES}
    assert parts - set(RANK) <= {"__init__", "compiled", "configuration"}


def test_only_the_backend_names_the_array_libraries():
    """So that a step runs on CuPy as it does on NumPy, and a capture sees all of it."""
    wrong = []
    for path in FILES:
        if part(path) not in STEP or "numba" in path.parts:
            continue
        for name, line in imports(path):
            if name.split(".")[0] in ("numpy", "cupy"):
                wrong.append(f"{path.relative_to(PACKAGE)}:{line} imports {name}")
    assert wrong == []


@pytest.mark.parametrize("name", ["utils", "helpers", "common", "misc"])
def test_no_file_is_named_for_nothing(name):
    assert not [p for p in FILES if p.name == f"{name}.py"]


def test_importing_the_package_imports_numpy_and_safetensors_only():
    code = (
        "import sys, numpy.random, safetensors.numpy; before = set(sys.modules); "
        "import tinygrad_mmb; "
        "new = {m.split('.')[0] for m in set(sys.modules) - before}; "
        "print(' '.join(sorted(new - set(sys.stdlib_module_names))))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["tinygrad_mmb"]


def test_methods_py_is_what_the_declarations_say():
    tool = PACKAGE.parent / "tools" / "write_methods.py"
    if not tool.exists():
        pytest.skip("only in a checkout")
    subprocess.run([sys.executable, str(tool), "--check"], check=True)
