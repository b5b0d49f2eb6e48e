"""Whole training steps beside other engines: PyTorch, JAX, MLX, ... `mmb bench peers` runs them.

| file | |
|---|---|
| workloads.py | what is computed: W1 to W8, with their numbers |
| engine.py, adapters/ | what an engine must offer; one file for each library, found by itself |
| torch_models.py, array_models.py | the models in PyTorch's API and as functions of arrays |
| worker.py, child.py | a process for each engine, and the other end of its pipe |
| checks.py | first the numbers: whoever computes something else is not timed |
| rounds.py | the engines of one workload take turns |
| threads.py, scaling.py, start.py, memory.py | two threads; sizes; imports; peaks |
| goals.py | what the design asks, and whether it was met |
| run.py, report.py, pictures.py | one run, and how it is shown |

A worker imports the adapters without the rest of this package: a peer's process must hold nothing
of ours, whose settings of allocator and BLAS would be the peer's too.
"""
