"""Registers, spills and shared memory of each CUDA kernel, as ptxas reports them without a GPU."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tinygrad_mmb.backend import extension
from tinygrad_mmb.kernels.launch import compile

ARCHITECTURE = "sm_90a"


@dataclass(frozen=True)
class Budget:
    """What one kernel takes of a multiprocessor."""

    file: str
    kernel: str
    registers: int
    spilled_bytes: int
    shared_bytes: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def kernel_files() -> list[Path]:
    """Every file of kernels, ladders included; those of conformance are there to be compared."""
    folder = compile.sources() / "cuda" / "kernels"
    return sorted(p for p in folder.rglob("*.cu") if p.parent.name != "conformance")


def budgets(file: Path, seconds: float = 120.0) -> list[Budget]:
    """Compile one file for ARCHITECTURE and read what ptxas says.

    Raises: RuntimeError if nvcc finds an error or takes longer than `seconds`.
    """
    root = compile.sources() / "cuda"
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(extension.nvcc()),
            "-std=c++17",
            "-O3",
            f"-arch={ARCHITECTURE}",
            f"-I{root}",
            "-cubin",
            "-Xptxas",
            "-v",
            str(file),
            "-o",
            str(Path(folder) / "kernels.cubin"),
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{file.name}: nvcc took longer than {seconds:.0f} s") from None
    if done.returncode:
        raise RuntimeError(f"{file.name}: nvcc: {done.stderr.strip().splitlines()[0]}")
    name = file.relative_to(root / "kernels").as_posix()
    return [Budget(name, *numbers) for numbers in parsed(demangled(done.stderr))]


def parsed(text: str) -> list[tuple[str, int, int, int]]:
    """(kernel, registers, spilled bytes, static shared bytes) from the output of ptxas -v."""
    found = []
    entry = re.compile(r"Compiling entry function '([^']+)'")
    for part in re.split(r"(?=ptxas info\s*: Compiling entry function)", text):
        if (name := entry.search(part)) is None:
            continue
        used = re.search(r"Used (\d+) registers", part)
        spill = [int(n) for n in re.findall(r"(\d+) bytes spill", part)]
        shared = re.search(r"(\d+) bytes smem", part)
        if used is None:
            raise RuntimeError(f"ptxas says nothing of the registers of {name[1]}")
        found.append((name[1], int(used[1]), sum(spill), int(shared[1]) if shared else 0))
    return found


def demangled(text: str) -> str:
    """C++ names as they are written, where c++filt is at hand."""
    if not shutil.which("c++filt"):
        return text
    # between quotes c++filt sees no name unless they stand apart
    done = subprocess.run(
        ["c++filt"], input=text.replace("'", " ' "), capture_output=True, text=True
    )
    return re.sub(r" ' ?", "'", done.stdout) if done.returncode == 0 else text
