"""The loops that numba compiles: against the reference, at the edges, and through gradcheck."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_mmb as tm
import tinygrad_mmb.nn.functional as F  # noqa: N812
from tinygrad_mmb.autograd.gradcheck import gradcheck
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.ops.activation import Gelu
from tinygrad_mmb.ops.cross_entropy import CrossEntropy
from tinygrad_mmb.ops.normalization import BatchNorm
from tinygrad_mmb.ops.pooling import MaxPool2d
from tinygrad_mmb.ops.products import MatMul
from tinygrad_mmb.ops.softmax import LogSoftmax, Softmax
from tinygrad_mmb.ops.windows import Fold, Geometry, Windows

pytest.importorskip("numba")

# Relative to results of size 1 to 100: some tens of roundings.
TOLERANCE = {"float32": 5e-5, "float64": 1e-12}
DTYPES = st.sampled_from(["float32", "float64"])
SIZES = st.integers(1, 70)
LAYOUTS = st.sampled_from(["rows", "transposed", "strided", "reversed", "broadcast"])
GEOMETRIES = st.sampled_from(
    [
        Geometry((2, 2), (2, 2), (1, 1), (0, 0), (0, 0)),
        Geometry((3, 2), (1, 2), (1, 2), (1, 1), (1, 1)),
        Geometry((3, 3), (2, 1), (1, 1), (1, 1), (1, 0)),
        Geometry((2, 3), (3, 3), (2, 1), (0, 1), (-1, 1)),
        Geometry((1, 1), (1, 1), (1, 1), (0, 0), (0, 0)),
    ]
)


def drawn(shape, dtype, layout="rows", seed=0):
    """Normal numbers of this shape, lying in memory as `layout` says."""
    rng = np.random.default_rng(seed)
    if layout == "transposed":
        return np.ascontiguousarray(rng.standard_normal(shape[::-1]).astype(dtype)).T
    if layout == "strided":
        return rng.standard_normal((*shape[:-1], 2 * shape[-1])).astype(dtype)[..., ::2]
    if layout == "reversed":
        return rng.standard_normal(shape).astype(dtype)[::-1]
    if layout == "broadcast":
        return np.broadcast_to(rng.standard_normal(shape[-1:]).astype(dtype), shape)
    return rng.standard_normal(shape).astype(dtype)


def there_and_back(backend, op, args, strict=False):
    """The outputs, and the gradients of all floats, for cos(0, 1, 2, ...) as ∂L/∂y."""
    inputs = [
        tm.from_numpy(a.copy(order="K")).requires_grad_(a.dtype.kind == "f")
        if isinstance(a, np.ndarray)
        else a
        for a in args
    ]
    for x, a in zip(inputs, args, strict=True):
        if isinstance(a, np.ndarray):
            x.array = a  # as it lies, gaps and all
    with tm.use_kernels(backend, strict=strict):
        outputs = op.apply(*inputs)
        outputs = outputs if type(outputs) is tuple else (outputs,)
        y = outputs[0]
        y.backward(tm.tensor(np.cos(np.arange(y.numel())).reshape(y.shape), dtype=y.dtype))
    leaves = [x for x in inputs if isinstance(x, tm.Tensor) and x.requires_grad]
    return [v.detach().numpy() for v in (*outputs, *[x.grad for x in leaves])]


def assert_as_reference(op, args, dtype, strict=True):
    """The twin takes these arguments, there and back, and computes what the reference does."""
    found = there_and_back("numba", op, args, strict)
    for f, e in zip(found, there_and_back("reference", op, args), strict=True):
        assert (f.dtype, f.shape) == (e.dtype, e.shape)
        np.testing.assert_allclose(f, e, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@given(op=st.sampled_from([Softmax, LogSoftmax]), n=SIZES, c=SIZES, dtype=DTYPES, layout=LAYOUTS)
def test_softmax_of_rows_of_any_length_and_layout(op, n, c, dtype, layout):
    assert_as_reference(op, (30 * drawn((n, c), dtype, layout), 1), dtype)


@given(n=SIZES, c=SIZES, dtype=DTYPES, layout=LAYOUTS, seed=st.integers(0, 9))
def test_cross_entropy_of_any_number_of_classes(n, c, dtype, layout, seed):
    t = np.random.default_rng(seed).integers(0, c, 2 * n)[::2]
    assert_as_reference(CrossEntropy, (30 * drawn((n, c), dtype, layout), t, None), dtype)


def test_the_weights_of_cross_entropy_scale_loss_and_gradient(rng):
    x, t = tm.tensor(rng.standard_normal((5, 4)), requires_grad=True), tm.tensor([0, 3, 1, 1, 2])
    w = rng.uniform(0.5, 2.0, 4)
    with tm.use_kernels("numba", strict=False):
        loss = F.cross_entropy(x, t, tm.tensor(w), reduction="sum")
        loss.backward()
    p = np.exp(x.detach().numpy())
    p /= p.sum(1, keepdims=True)
    picked = w[t.numpy()]
    assert loss.item() == pytest.approx(-(picked * np.log(p[np.arange(5), t.numpy()])).sum())
    expected = picked[:, None] * (p - np.eye(4)[t.numpy()])
    np.testing.assert_allclose(x.grad.numpy(), expected, atol=1e-6)


def test_the_gradient_of_the_weights_is_left_to_the_reference(rng):
    args = rng.standard_normal((5, 4)), np.array([0, 3, 1, 1, 2]), rng.uniform(0.5, 2.0, 5)
    (twin,) = [t for t in registry.twins("CrossEntropy.backward") if t.backend == "numba"]
    declines = twin.declines
    assert_as_reference(CrossEntropy, args, "float64", strict=False)
    assert twin.declines == declines + 1


def test_a_graph_walked_twice_gives_the_gradient_twice(rng):
    x = tm.tensor(rng.standard_normal((6, 3)), requires_grad=True)
    with tm.use_kernels("numba"):
        loss = F.cross_entropy(x, tm.tensor([0, 1, 2, 0, 1, 2]))
        loss.backward(retain_graph=True)
        once = x.grad.numpy().copy()
        loss.backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * once, rtol=1e-6)


def test_a_class_that_is_not_there_is_declined_and_not_read():
    x = np.zeros((2, 3))
    accepts = next(t for t in registry.twins("CrossEntropy") if t.backend == "numba").accepts
    assert accepts(x, np.array([0, 2]), None)
    assert not accepts(x, np.array([0, 3]), None)
    assert not accepts(x, np.array([-1, 0]), None)
    assert not accepts(x, np.array([0, 1], np.int32), None)


@given(n=SIZES, c=st.integers(1, 5), p=st.integers(2, 40), dtype=DTYPES, layout=LAYOUTS)
def test_batch_norm_of_any_size(n, c, p, dtype, layout):
    if layout == "broadcast":  # the variance is 0, and the gradient a difference of large numbers
        layout = "strided"
    x = drawn((n + 1, c, p), dtype, layout)
    assert_as_reference(BatchNorm, (x, drawn((c,), dtype), drawn((c,), dtype), 0.1), dtype)
    assert_as_reference(BatchNorm, (x, None, None, 0.1), dtype)


def test_batch_norm_of_one_pixel_is_left_to_numpy():
    accepts = next(t for t in registry.twins("BatchNorm") if t.backend == "numba").accepts
    assert accepts(np.zeros((4, 3, 2)), None, None, 0.1)
    assert not accepts(np.zeros((4, 3)), None, None, 0.1)
    assert not accepts(np.zeros((4, 3, 1, 1)), None, None, 0.1)
    assert not accepts(np.zeros((0, 3, 2)), None, None, 0.1)


def test_the_variance_of_numbers_far_from_0_does_not_cancel():
    x = (1000 + np.random.default_rng(0).standard_normal((64, 3, 50))).astype("float32")
    with tm.use_kernels("numba", strict=True):
        y, mean, variance = BatchNorm.apply(x, None, None, 1e-5)
    wide = x.astype("float64")
    np.testing.assert_allclose(mean, wide.mean((0, 2)), rtol=1e-6)
    np.testing.assert_allclose(variance, wide.var((0, 2)), rtol=1e-4)
    np.testing.assert_allclose(y.std((0, 2)), np.ones(3), rtol=1e-4)


@given(
    n=st.integers(0, 3),
    c=st.integers(1, 3),
    size=st.sampled_from([(6, 6), (5, 7), (11, 6)]),
    geometry=GEOMETRIES,
    dtype=DTYPES,
    layout=st.sampled_from(["rows", "transposed", "strided"]),
)
def test_windows_of_images_of_any_size(n, c, size, geometry, dtype, layout):
    x = drawn((n, c, *size), dtype, layout)
    assert_as_reference(MaxPool2d, (x, geometry), dtype)
    assert_as_reference(Windows, (x, geometry), dtype)
    columns = Windows.apply(x, geometry)
    assert_as_reference(Fold, (columns[..., ::-1], size, geometry), dtype)


@pytest.mark.parametrize(
    "values", [[-np.inf] * 4, [1.0, np.nan, 2.0, np.nan], [3.0, 3.0, 1.0, 3.0]]
)
def test_the_place_of_the_largest_is_that_of_the_reference_in_doubt(values):
    x = np.array(values).reshape(1, 1, 2, 2)
    for geometry in [
        Geometry((2, 2), (2, 2), (1, 1), (0, 0), (0, 0)),
        Geometry((2, 2), (1, 1), (1, 1), (1, 1), (1, 1)),
    ]:
        assert_as_reference(MaxPool2d, (x, geometry), "float64")


def test_pooling_declines_windows_that_may_lie_in_the_border_alone():
    accepts = next(t for t in registry.twins("MaxPool2d") if t.backend == "numba").accepts
    holes = Geometry((2, 1), (1, 1), (3, 1), (2, 0), (2, 0))  # rows -2 and 1 of an image of one row
    assert not accepts(np.zeros((1, 1, 1, 4)), holes)
    assert accepts(np.zeros((1, 1, 4, 4)), holes)


@given(
    shape=st.sampled_from([(), (0,), (7,), (3, 5), (2, 3, 4)]),
    dtype=DTYPES,
    layout=st.sampled_from(["rows", "transposed"]),
)
def test_gelu_of_any_shape_lies_as_its_input(shape, dtype, layout):
    x = drawn(shape, dtype, layout)
    assert_as_reference(Gelu, (x, "none"), dtype)
    with tm.use_kernels("numba", strict=True):
        assert Gelu.apply(x, "none").strides == x.strides


@given(m=SIZES, k=st.integers(0, 70), n=SIZES, dtype=DTYPES, layout=LAYOUTS)
def test_products_of_matrices_of_any_size_and_layout(m, k, n, dtype, layout):
    if m * k * n > 64**3:
        k = 64**3 // (m * n)
    a, b = drawn((m, k), dtype, "transposed"), drawn((k + 1, n), dtype, layout)[1:]
    with tm.use_kernels("numba", strict=True):
        c = MatMul.apply(a, b)
    np.testing.assert_allclose(c, a.astype(float) @ b, atol=80 * TOLERANCE[dtype], rtol=1e-6)


def test_large_products_are_left_to_blas():
    accepts = next(t for t in registry.twins("MatMul") if t.backend == "numba").accepts
    a = np.zeros((64, 64), "float32")
    assert accepts(a, a) and not accepts(a, np.zeros((64, 65), "float32"))
    assert not accepts(a[0], a) and not accepts(a, a.astype("float64"))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: tm.softmax(x, -1),
        lambda x: tm.log_softmax(x, -1),
        lambda x: F.cross_entropy(x, tm.tensor([0, 4, 2, 2])),
        lambda x: F.batch_norm(x.reshape(2, 2, 5), None, None, training=True),
        lambda x: F.max_pool2d(x.reshape(1, 1, 4, 5), 2, 1, 1),
        lambda x: F.conv2d(x.reshape(1, 1, 4, 5), x[:2, :3].reshape(2, 1, 1, 3), padding=1),
        lambda x: F.gelu(x),
        lambda x: x @ x.T,
    ],
    ids=lambda f: f.__code__.co_names[-1],
)
def test_gradients_agree_with_finite_differences(f, rng):
    x = tm.tensor(rng.permutation(20).reshape(4, 5) * 0.1, dtype=tm.float64, requires_grad=True)
    with tm.use_kernels("numba"):
        assert gradcheck(f, (x,))


@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan])
def test_infinities_and_nan_come_out_where_they_do_from_the_reference(special, rng):
    x = rng.standard_normal((3, 4))
    x[1, 2] = special
    for op, args in [
        (Softmax, (x, 1)),
        (LogSoftmax, (x, 1)),
        (CrossEntropy, (x, np.array([0, 2, 3]), None)),
        (BatchNorm, (x.reshape(3, 2, 2), None, None, 0.1)),
        (Gelu, (x, "none")),
    ]:
        assert_as_reference(op, args, "float64")


def test_other_dtypes_are_left_to_the_reference():
    x = tm.ones(3, 4, dtype=tm.float16)
    with tm.use_kernels("numba"):
        assert tm.softmax(x, 1).tolist() == [[0.25] * 4] * 3
    with pytest.raises(RuntimeError, match="numba twin of Softmax declined"):  # noqa: SIM117
        with tm.use_kernels("numba", strict=True):
            tm.softmax(x, 1)
