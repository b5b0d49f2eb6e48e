"""Benchmarks of the kernels: checked, then timed in turn with their peers. `mmb bench` runs them.

| file | |
|---|---|
| run.py | one run from the limits of the machine to the goal table, within a budget |
| cases.py, sizes.py, draws.py | what is measured, at which sizes |
| candidates.py, calls.py, peers.py | who takes part: twins, reference, libraries |
| measure.py, accuracy.py, statistics.py | check, time in turn, compare |
| machine.py, gpu.py | a CPU and a GPU behind one face |
| work.py, goals.py | bytes and operations of each op; what its kernel should reach |
| results.py, tables.py, figures.py, report.py | rows on the disk, and how they are shown |
| own.py, own_kernels.py, contracts.py | `--add`: a user's kernel as one more row |
| transpose.py | an op that only the benchmark has, for its ladder |
| memory.py | how much memory a training step takes, by batch size |
"""
