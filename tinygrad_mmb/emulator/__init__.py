"""CUDA programs on a machine without a GPU: prepared, compiled by g++, run, checked and profiled.

    prepare.py   CUDA C++ to C++, line for line          source.py   what it reads: tokens
    launches.py  kernel<<<grid, block>>>(x)              variables.py shared memory, __constant__
    build.py     to an executable, kept in the cache     errors.py   the compiler's errors, retold
    run.py       the program, or one kernel of a file    findings.py what was found
    profile.py   bank conflicts and sectors by line      registers.py what ptxas says

The device and the host API themselves are C++: csrc/emulator/.
"""
