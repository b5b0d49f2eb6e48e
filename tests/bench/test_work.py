"""Bytes, operations and depths: closed forms, and that no kernel lacks them."""

import numpy as np
import pytest

from tinygrad_mmb.bench.calls import functions, optimizers
from tinygrad_mmb.bench.work import (
    BACKWARD,
    BOTH,
    FORWARD,
    UPDATE,
    UPDATES,
    WORK,
    Sizes,
    WorkError,
    amount,
    shape_text,
)
from tinygrad_mmb.kernels import registry


def test_every_kernel_of_the_table_has_its_work_stated():
    ops = {key.partition(".")[0] for key in registry.keys() if not key.endswith(UPDATE)}  # noqa: SIM118
    missing = sorted((ops & functions().keys()) - WORK.keys())
    assert not missing, f"add a line for {missing} to WORK in tinygrad_mmb/bench/work.py"
    updates = {key.partition(".")[0] for key in registry.keys() if key.endswith(UPDATE)}  # noqa: SIM118
    assert updates <= UPDATES.keys()


def test_every_optimizer_has_its_work_stated():
    assert optimizers().keys() - {"Optimizer"} <= UPDATES.keys()


def test_unstated_work_says_where_to_state_it():
    with pytest.raises(WorkError, match=r"add a line to WORK in tinygrad_mmb/bench/work\.py"):
        amount("NoSuchOp", FORWARD, Sizes([], []))


def arrays(*shapes):
    return [np.empty(s, np.float32) for s in shapes]


def test_a_product_takes_two_operations_for_each_term():
    m, n, k = 30, 20, 10
    done = amount("MatMul", FORWARD, Sizes(arrays((m, k), (k, n)), arrays((m, n))))
    assert done.operations == 2 * m * n * k
    assert done.bytes == 4 * (m * k + k * n + m * n)
    assert done.depth == k


def test_softmax_reads_and_writes_once_and_cross_entropy_never_writes_its_softmax():
    x = arrays((8, 100))
    assert amount("Softmax", FORWARD, Sizes(x, x)).bytes == 2 * 4 * 800
    t = np.zeros(8, np.int64)
    sizes = Sizes([*x, t], arrays((8,)))
    both = amount("CrossEntropy", BOTH, sizes, gradients=x, heads=arrays((8,)))
    assert both.bytes == 2 * 4 * 800 + t.nbytes + 2 * 4 * 8  # x in, ∂L/∂x out, t, L and ∂L


def test_batch_norm_passes_three_times_forward_and_five_times_back():
    """The passes that the goals count: knowledge of the statistics costs one, the sums two."""
    x = arrays((4, 3, 5, 5))
    small = arrays((3,), (3,))
    forward = amount("BatchNorm", FORWARD, Sizes([*x, *small], x))
    assert forward.bytes == 3 * x[0].nbytes + 2 * 12
    back = amount("BatchNorm", BACKWARD, Sizes([*x, *small], x), [*x, *small], x)
    assert back.bytes == 5 * x[0].nbytes + 4 * 12


def test_adam_moves_28_bytes_for_each_parameter():
    thetas = arrays((1000,), (10, 10))
    assert amount("Adam", UPDATE, Sizes(thetas, thetas)).bytes == 28 * 1100


def test_a_lookup_reads_only_the_rows_it_needs():
    table, index = arrays((50_000, 64))[0], np.zeros(10, np.int64)
    done = amount("Rows", FORWARD, Sizes([table, index], arrays((10, 64))))
    assert done.bytes == 2 * 10 * 64 * 4 + 80


def test_a_convolution_sums_channels_times_window():
    sizes = Sizes(arrays((2, 8, 14, 14), (16, 8, 3, 3)), arrays((2, 16, 14, 14)))
    done = amount("Conv2d", FORWARD, sizes)
    assert done.operations == 2 * (2 * 16 * 14 * 14) * 72
    assert done.depth == 72


def test_the_gradient_of_a_weight_sums_over_the_batch():
    x, w = arrays((4096, 64), (64,))
    done = amount("LayerNorm", BACKWARD, Sizes([x, w], [x]), gradients=[x, w], heads=[x])
    assert done.depth == 4096


def test_shapes_in_words():
    assert shape_text([(2, 3), ()]) == "2x3, scalar"
