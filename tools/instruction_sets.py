"""Print the sets of instructions that the C++ twins can run with here besides the one they take by
themselves, for MMB_CPU_ISA: "avx2 generic". Exit code 1 if there are no C++ twins to run.

    python tools/instruction_sets.py
"""

from __future__ import annotations

from tinygrad_mmb.backend.extension import load, variants

if not load("cpu").active:
    raise SystemExit(f"_cpu: {load('cpu').reason}")
print(*variants()[1:])
