"""Registers, spills and static shared memory of every kernel, as nvcc's ptxas tells them.

    python tests/budget/measure.py                  write budget.json anew
    python tests/budget/measure.py softmax.cu ...   only what these files of kernels/ hold

Write it anew only for a change that is meant to cost registers, and say so where you commit it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tinygrad_mmb.backend import extension

CUDA = Path(__file__).resolve().parents[2] / "csrc" / "cuda"
KERNELS = CUDA / "kernels"
BUDGET = Path(__file__).with_name("budget.json")
NVCC = extension.nvcc()
ARCHITECTURES = ("75", "80", "90a")
ENTRY = re.compile(r"Compiling entry function '(\w+)' for 'sm_(\w+)'")
SPILLS = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers")
SHARED = re.compile(r"(\d+) bytes smem")

Kernels = dict[str, dict[str, dict[str, int]]]  # by kernel, by architecture


def files() -> list[str]:
    """Every kernel file, below csrc/cuda/kernels."""
    return sorted(path.relative_to(KERNELS).as_posix() for path in KERNELS.rglob("*.cu"))


def nvcc_version() -> str | None:
    """As "13.0"; None where there is no nvcc."""
    if NVCC is None:
        return None
    answer = subprocess.run([NVCC, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"release (\d+\.\d+)", answer.stdout)
    return found.group(1) if found else None


def measured(file: str) -> Kernels:
    """What each kernel of a file uses: {"softmax_rows<float, 1>": {"75": {"registers": 32, ...}}}.

    Raises: RuntimeError if nvcc finds an error.
    """
    command = [str(NVCC), "-std=c++17", "-O3", f"-I{CUDA}", "-Xptxas", "-v", "-fatbin"]
    for a in ARCHITECTURES:
        command += ["-gencode", f"arch=compute_{a},code=sm_{a}"]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "kernels.fatbin"
        command += [str(KERNELS / file), "-o", str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"nvcc cannot compile {file}:\n{done.stderr}")
    return read(done.stdout + done.stderr)


def read(report: str) -> Kernels:
    """The figures of what `ptxas -v` wrote."""
    found: list[tuple[str, str, dict[str, int]]] = []
    for line in report.splitlines():
        if entry := ENTRY.search(line):
            found.append((entry.group(1), entry.group(2), {"spilled": 0, "shared": 0}))
        elif found and (spills := SPILLS.search(line)):
            found[-1][2]["spilled"] = int(spills.group(1)) + int(spills.group(2))
        elif found and (used := USED.search(line)):
            found[-1][2]["registers"] = int(used.group(1))
            if shared := SHARED.search(line):
                found[-1][2]["shared"] = int(shared.group(1))
    kernels: Kernels = {}
    names = demangled([symbol for symbol, _, _ in found])
    for name, (_, architecture, figures) in zip(names, found, strict=True):
        kernels.setdefault(name, {})[architecture] = figures
    return kernels


def ptx(file: str, architecture: str = "80") -> dict[str, str]:
    """The instructions of each kernel of a file, before ptxas, by its mangled name.

    Raises: RuntimeError if nvcc finds an error.
    """
    command = [str(NVCC), "-std=c++17", "-O3", f"-I{CUDA}", "-ptx", f"-arch=sm_{architecture}"]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "kernels.ptx"
        command += [str(KERNELS / file), "-o", str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"nvcc cannot compile {file}:\n{done.stderr}")
        _, *parts = re.split(r"^\.visible \.entry ", target.read_text("utf-8"), flags=re.MULTILINE)
    return {part.split("(", 1)[0]: part for part in parts}


def demangled(symbols: list[str]) -> list[str]:
    """What they are in C++, without parameters: "softmax_rows<float, 1>"."""
    answer = subprocess.run(
        ["c++filt"], input="\n".join(symbols), capture_output=True, text=True, check=True
    )
    return [without_parameters(line) for line in answer.stdout.splitlines()]


def without_parameters(name: str) -> str:
    name = name.removeprefix("void ")
    depth = 0
    for i, character in enumerate(name):
        if character == "(" and depth == 0:
            return name[:i]
        depth += (character == "<") - (character == ">")
    return name


def budget() -> dict[str, Any]:
    """The committed figures: {"nvcc": "13.0", "kernels": {"softmax.cu": {...}}}."""
    return dict(json.loads(BUDGET.read_text(encoding="utf-8")))


def as_text(figures: dict[str, Any]) -> str:
    """JSON with one line for each kernel, so that a change shows as a line."""
    lines = [f'{{"nvcc": "{figures["nvcc"]}", "kernels": {{']
    for file, kernels in sorted(figures["kernels"].items()):
        lines.append(f'  "{file}": {{')
        rows = [f"    {json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(kernels.items())]
        lines += [row + "," for row in rows[:-1]] + rows[-1:] + ["  },"]
    lines[-1] = lines[-1].rstrip(",")
    return "\n".join([*lines, "}}", ""])


def main() -> None:
    asked = sys.argv[1:] or files()
    with ThreadPoolExecutor(2) as threads:
        for file, figures in zip(asked, threads.map(measured, asked), strict=True):
            keep(file, figures)


def keep(file: str, figures: Kernels) -> None:
    """Write the figures of one file at once, as all of them take minutes; forget files now gone."""
    kernels = budget()["kernels"] | {file: figures}
    there = {name: kernels[name] for name in files() if name in kernels}
    text = as_text({"nvcc": nvcc_version(), "kernels": there})
    BUDGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
