"""How to step through a CUDA thread: it is an ordinary function call on an ordinary stack."""

from __future__ import annotations

import shlex

from tinygrad_mmb.emulator.build import Program

# The host may not touch device memory while it runs; a debugger may, and faults would stop it.
ENVIRONMENT = "MMB_UNPROTECTED"


def commands(program: Program, words: tuple[str, ...]) -> str:
    """The line for gdb, and where a breakpoint would go."""
    command = shlex.join([str(program.executable), *words])
    kernel = program.kernels[0] if program.kernels else None
    place = f"{program.source.name}:{kernel.line + 1}" if kernel else "main"
    lines = [f"{ENVIRONMENT}=1 gdb --args {command}", ""]
    lines += ["then, in gdb:"]
    lines += [
        f"    break {place} if mmb_thread.block.x == 1 && mmb_thread.thread.x == 5",
        "    run",
    ]
    lines += ["    print mmb_thread        threadIdx, blockIdx, blockDim, gridDim of this thread"]
    lines += ["    next                    the next line of this thread"]
    return "\n".join(lines)
