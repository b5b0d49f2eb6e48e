"""How to step through a CUDA thread: it is an ordinary function call on an ordinary stack."""

from __future__ import annotations

import json
import shlex

from tinygrad_mmb.emulator.build import Program

# The program may not touch device memory while a kernel does not run: its pages are closed, and the
# faults that tell us would stop a debugger. This leaves them open.
ENVIRONMENT = "MMB_UNPROTECTED"


def instructions(program: Program, words: tuple[str, ...]) -> str:
    """The line for gdb, what to type there, and launch.json for VS Code."""
    command = shlex.join([str(program.executable), *words])
    kernel = program.kernels[0] if program.kernels else None
    place = f"{program.source.name}:{kernel.line + 1}" if kernel else "main"
    return "\n".join(
        [
            f"{ENVIRONMENT}=1 gdb --args {command}",
            "",
            "In gdb, to stop one thread of one block:",
            f"    break {place} if blockIdx.x == 0 && threadIdx.x == 5",
            "    run",
            "    print threadIdx",
            "    next",
            "",
            "In VS Code, with the C/C++ extension, .vscode/launch.json:",
            json.dumps(launch_json(program, words), indent=2),
        ]
    )


def launch_json(program: Program, words: tuple[str, ...]) -> dict[str, object]:
    """A configuration of VS Code's C/C++ extension."""
    return {
        "version": "0.2.0",
        "configurations": [
            {
                "name": f"CUDA thread of {program.source.name}",
                "type": "cppdbg",
                "request": "launch",
                "MIMode": "gdb",
                "program": str(program.executable),
                "args": list(words),
                "cwd": "${workspaceFolder}",
                "environment": [{"name": ENVIRONMENT, "value": "1"}],
            }
        ],
    }
