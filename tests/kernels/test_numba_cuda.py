"""The kernels in numba.cuda against NumPy, in numba's simulator of a GPU.

The simulator is chosen when numba is imported, so each test is a process of its own.
"""

import os
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("numba.cuda")

BEGIN = """
import numpy as np
import tinygrad_mmb as tm
from tinygrad_mmb.kernels import numba_cuda, registry

rng = np.random.default_rng(0)

def ran(key):
    return next(t for t in registry.twins(key) if t.backend == "numba_cuda").calls
"""


def simulate(code, **variables):
    """Run Python with the simulator; it must succeed."""
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", BEGIN + textwrap.dedent(code)],
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1"} | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_softmax_of_rows_of_any_length():
    simulate("""
        for rows, cols in [(1, 1), (3, 5), (2, 128), (2, 301)]:
            x = 30 * rng.standard_normal((rows, cols))
            expected = np.exp(x - x.max(1, keepdims=True))
            expected /= expected.sum(1, keepdims=True)
            with tm.use_kernels("numba_cuda", strict=True):
                y = tm.softmax(tm.tensor(x, dtype=tm.float64), -1).numpy()
            np.testing.assert_allclose(y, expected, rtol=1e-12)
        assert ran("Softmax") == 4
    """)


def test_products_of_matrices_of_any_size_and_layout():
    simulate("""
        for m, k, n in [(1, 1, 1), (16, 16, 16), (5, 17, 3), (18, 7, 33)]:
            a, b = rng.standard_normal((m, k)), rng.standard_normal((n, k)).T
            with tm.use_kernels("numba_cuda", strict=True):
                c = (tm.from_numpy(a) @ tm.from_numpy(b)).numpy()
            np.testing.assert_allclose(c, a @ b, rtol=1e-12, atol=1e-12)
        assert ran("MatMul") == 4
    """)


def test_a_step_of_sgd_with_weight_decay():
    simulate("""
        start, slope = rng.standard_normal((2, 300)).astype("float32")
        p = tm.nn.Parameter(tm.tensor(start))
        p.grad = tm.tensor(slope)
        with tm.use_kernels("numba_cuda", strict=True):
            tm.optim.SGD([p], lr=0.1, weight_decay=0.5).step()
        expected = start.astype(float) - 0.1 * (slope + 0.5 * start.astype(float))
        np.testing.assert_allclose(p.detach().numpy(), expected, rtol=1e-6, atol=1e-7)
        assert ran("SGD.update") == 1
        p = tm.nn.Parameter(tm.tensor([np.inf]))
        p.grad = tm.tensor([1.0])
        with tm.use_kernels("numba_cuda", strict=True):
            tm.optim.SGD([p], lr=0.1).step()
        assert p.tolist() == [np.inf]  # without decay: 0 · ∞ is NaN
    """)


def test_gradients_come_through_the_kernels():
    simulate("""
        w = tm.tensor(rng.standard_normal((3, 4)), dtype=tm.float64, requires_grad=True)
        x = tm.tensor(rng.standard_normal((2, 3)), dtype=tm.float64)
        with tm.use_kernels("numba_cuda"):
            assert tm.autograd.gradcheck(lambda w: tm.softmax(x @ w, -1), (w,))
        assert ran("MatMul") and ran("Softmax")
    """)


def test_what_they_do_not_take_is_left_to_the_reference():
    simulate("""
        x = tm.tensor(rng.standard_normal((3, 5)), dtype=tm.float64)
        with tm.use_kernels("numba_cuda"):
            y = tm.softmax(x, 0)
        assert ran("Softmax") == 0
        np.testing.assert_allclose(y.sum(0).numpy(), np.ones(5))
    """)


def test_without_the_simulator_numpy_arrays_are_declined():
    code = """
        x = tm.tensor(rng.standard_normal((3, 5)))
        with tm.use_kernels("numba_cuda"):
            tm.softmax(x, -1)
        print(ran("Softmax"))
    """
    assert simulate(code, NUMBA_ENABLE_CUDASIM="0").strip() == "0"


def test_the_kernels_compile_for_a_gpu_without_one():
    code = """
        from numba import cuda, float32
        rows, cols = float32[:, ::1], float32[::1, :]
        for kernel, types in [
            (numba_cuda.softmax.softmax_rows, (rows, rows)),
            (numba_cuda.matmul.matmul_tiled, (rows, rows, cols)),
            (numba_cuda.sgd.sgd_update, (float32[::1], float32[::1], float32, float32)),
        ]:
            try:
                ptx, _ = cuda.compile_ptx(kernel.py_func, types, cc=(7, 5))
            except Exception as error:
                if "NVVM" not in str(error) and "libdevice" not in str(error):
                    raise
                print("no NVVM")
                break
            assert ".target sm_75" in ptx
            assert ".f64" not in ptx  # float32 all through: a T4 has few units for more
    """
    if simulate(code, NUMBA_ENABLE_CUDASIM="0").strip():
        pytest.skip("numba's compiler for GPUs is not installed here")
