"""Registers, shared memory and spills of a program's kernels, as NVIDIA's ptxas says."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinygrad_mmb.backend import extension
from tinygrad_mmb.emulator.build import Program

ENTRY = re.compile(r"Compiling entry function '(?P<name>[^']+)'")
SPILLS = re.compile(r"(?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads")
USED = re.compile(r"Used (?P<registers>\d+) registers")
SHARED = re.compile(r"(?P<bytes>\d+) bytes smem")


@dataclass
class Kernel:
    name: str
    registers: int = 0
    spilled: int = 0  # bytes stored and loaded
    shared: int = 0


@dataclass
class Registers:
    """What ptxas said, or why it could not be asked."""

    arch: str
    kernels: list[Kernel] = field(default_factory=list)
    why_not: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "arch": self.arch,
            "kernels": [vars(k) for k in self.kernels],
            "why_not": self.why_not,
        }

    def in_words(self) -> str:
        if self.why_not:
            return f"Registers and spills: {self.why_not}"
        lines = [f"Registers and spills (ptxas, {self.arch})"]
        for k in self.kernels:
            spills = f"SPILLS {k.spilled} bytes" if k.spilled else "no spills"
            used = f"{k.registers} registers, {k.shared} bytes of shared memory"
            lines.append(f"  {k.name}: {used}, {spills}")
        return "\n".join(lines)


def registers(program: Program, arch: str) -> Registers:
    """Compile the source with nvcc, if it is installed, and read what ptxas prints."""
    nvcc = extension.nvcc()
    if nvcc is None:
        return Registers(arch, why_not="nvcc is not installed here, and only it knows.")
    with tempfile.TemporaryDirectory() as folder:
        command = [nvcc, "-std=c++17", "-O3", f"-arch={arch}", "-Xptxas", "-v", "-cubin"]
        command += [str(program.source), "-o", str(Path(folder) / "out.cubin")]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        lines = [x for x in done.stderr.splitlines() if "error" in x] or [done.stderr.strip()]
        return Registers(arch, why_not=f"nvcc does not take the file: {lines[0]}")
    return Registers(arch, read(done.stderr))


def read(output: str) -> list[Kernel]:
    """The kernels in the output of ptxas -v."""
    found: list[Kernel] = []
    for line in output.splitlines():
        if match := ENTRY.search(line):
            found.append(Kernel(plain_name(match["name"])))
        elif found and (match := SPILLS.search(line)):
            found[-1].spilled = int(match["stores"]) + int(match["loads"])
        elif found and (match := USED.search(line)):
            found[-1].registers = int(match["registers"])
            if match := SHARED.search(line):
                found[-1].shared = int(match["bytes"])
    return found


def plain_name(mangled: str) -> str:
    """_Z3addPKfS0_Pfi is add; the arguments of templates are left out."""
    demangler = shutil.which("c++filt")
    if demangler is None:
        return mangled
    done = subprocess.run([demangler, mangled], capture_output=True, text=True)
    name = done.stdout.strip().partition("(")[0]
    return name.removeprefix("void ") or mangled
