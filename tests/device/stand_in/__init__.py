"""A CuPy without a GPU, stricter than the real one: the engine's suite runs on it.

`install()` registers a module that calls itself cupy. Its ndarray is no numpy.ndarray; it holds one
and hands out nothing of it but what CuPy offers, by the names and arguments in offers.json, which
list_cupy.py writes from the installed CuPy. As CuPy does, it

- answers with 0-d arrays, never with NumPy scalars;
- refuses NumPy arrays among its operands, and np.asarray of itself;
- knows no `where=` and no `initial=`; reduces ufuncs for add and multiply only;
- adds at indices in the dtypes that have an atomic addition on a GPU;
- wraps indices that are out of bounds, where NumPy raises;
- lays results of elementwise functions in rows.

What CuPy allows at the price of waiting for the GPU (float(x), bool(x), x.item(), ...) is counted,
and inside a forward, backward or update it is refused but for the places in READS_OF_THE_HOST.

host_reads.py says who may wait for the GPU; arrays.py is the array, ufuncs.py elementwise
functions and operators, functions.py all other functions and methods, cuda.py the device and its
memory; namespace.py puts the module together.
"""

from __future__ import annotations

import sys

from tests.device.stand_in import host_reads
from tests.device.stand_in.namespace import build


def install(look: bool = False) -> None:
    """Register the stand-in as cupy; with `look`, tests may read its arrays with NumPy."""
    if "cupy" in sys.modules:
        raise RuntimeError("CuPy is imported already")
    host_reads.test_may_look = look
    sys.modules.update(build())
