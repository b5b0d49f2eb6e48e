"""The C++ twins of optimizers: any parameters, every option, many steps, any number of threads."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_mmb as tm
from tests.cpu.any_threads import assert_same_bits
from tests.kernels.test_twins import VARIANTS
from tinygrad_mmb import optim
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.cpu.native import native

pytestmark = pytest.mark.skipif(native is None, reason="no C++ here")

STEPS = 30
# Parameters of size 1 after STEPS steps of at most some tenths, a few roundings each.
TOLERANCE = {"float32": 2e-5, "float64": 1e-13}
SHAPES = st.lists(
    st.sampled_from([(), (0,), (1,), (3,), (16,), (33,), (7, 5), (2, 0, 3), (129,), (4, 3, 9)]),
    min_size=1,
    max_size=6,
)
LAYOUTS = st.sampled_from(["rows", "reversed", "gaps", "backwards", "one number"])


def laid_out(g, layout):
    """A gradient as it may lie in memory."""
    if layout == "reversed" and g.ndim:
        return np.ascontiguousarray(g.T).T
    if layout == "gaps" and g.ndim:
        return g.repeat(2, -1)[..., ::2]
    if layout == "backwards" and g.ndim:
        return g[::-1].copy()[::-1]
    return np.broadcast_to(g.dtype.type(0.3), g.shape) if layout == "one number" else g


def trained(name, options, shapes, dtype, backend, layout="rows", steps=STEPS):
    """Parameters and states after so many steps; one parameter sits out every third."""
    rng = np.random.default_rng(0)
    starts = [np.asarray(rng.standard_normal(s), dtype) for s in shapes]
    params = [tm.tensor(start, requires_grad=True) for start in starts]
    optimizer = getattr(optim, name)(params, **options)
    with tm.use_kernels(backend, strict=backend == "cpu"):
        for t in range(steps):
            for k, p in enumerate(params):
                g = laid_out(np.asarray(rng.standard_normal(p.shape), dtype), layout)
                p.grad = None if k == 1 and t % 3 == 0 else tm.from_numpy(g)
            optimizer.step()
    memory = [v for p in params for v in optimizer.state[p].values()]
    return [p.detach().numpy() for p in (*params, *memory)]


def called(key):
    return sum(twin.calls for twin in registry.twins(key) if twin.backend == "cpu")


def declined(key):
    return sum(twin.declines for twin in registry.twins(key) if twin.backend == "cpu")


@st.composite
def optimizers(draw):
    """(name, options) with all options at random."""
    name = draw(st.sampled_from(["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"]))
    some = {
        "lr": st.sampled_from([0.0, 1e-3, 0.1]),
        "weight_decay": st.sampled_from([0, 0.1]),
        "maximize": st.booleans(),
    }
    if name == "SGD":
        some["momentum"] = st.sampled_from([0, 0.5, 0.9])
    elif name == "RMSprop":
        some |= {"momentum": st.sampled_from([0, 0.9]), "centered": st.booleans()}
        some |= {"alpha": st.sampled_from([0.5, 0.99]), "eps": st.sampled_from([1e-8, 0.1])}
    elif name == "Adagrad":
        some |= {"lr_decay": st.sampled_from([0, 0.1]), "eps": st.sampled_from([1e-10, 0.1])}
        some["initial_accumulator_value"] = st.sampled_from([0, 0.5])
    else:
        some |= {"betas": st.sampled_from([(0.9, 0.999), (0.5, 0.9)]), "amsgrad": st.booleans()}
        some["eps_mode"] = st.sampled_from(["outside", "inside"])
    options = {k: draw(v) for k, v in some.items()}
    if options.get("momentum") and name == "SGD":
        form = draw(st.sampled_from(["nesterov", "pytorch", "polyak", "ema", "velocity_ema"]))
        if form == "nesterov":
            options["nesterov"] = True
        else:
            options["momentum_form"] = form
        if form == "pytorch":
            options["dampening"] = draw(st.sampled_from([0, 0.3]))
    return name, options


@given(optimizers(), SHAPES, st.sampled_from(["float32", "float64"]), LAYOUTS)
def test_many_steps_go_the_way_of_the_reference(which, shapes, dtype, layout):
    name, options = which
    found = trained(name, options, shapes, dtype, "cpu", layout)
    expected = trained(name, options, shapes, dtype, registry.REFERENCE, layout)
    for f, e in zip(found, expected, strict=True):
        assert (f.dtype, f.shape) == (e.dtype, e.shape)
        np.testing.assert_allclose(f, e, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("name", VARIANTS)
def test_two_hundred_small_parameters_are_one_call(name):
    shapes = [(k % 37, k % 5) for k in range(200)]
    options = VARIANTS[name][-1]
    before = called(f"{name}.update")
    found = trained(name, options, shapes, "float32", "cpu", steps=5)
    assert called(f"{name}.update") == before + 5
    expected = trained(name, options, shapes, "float32", registry.REFERENCE, steps=5)
    for f, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(f, e, rtol=2e-5, atol=2e-5)


def test_every_element_is_moved_once_wherever_a_chunk_of_32768_ends():
    sizes = [32767, 2, 32768, 0, 1, 65537, 5, 40000]
    params = [tm.zeros(n, requires_grad=True) for n in sizes]
    for p in params:
        p.grad = tm.tensor(np.arange(1, p.numel() + 1, dtype=np.float32))
    with tm.use_kernels("cpu", strict=True):
        optim.SGD(params, lr=1.0).step()
    for p in params:
        np.testing.assert_array_equal(p.detach().numpy(), -np.arange(1.0, p.numel() + 1))


ALL = [(name, options) for name, several in VARIANTS.items() for options in several]


@pytest.mark.parametrize(("name", "options"), ALL)
def test_the_bits_do_not_depend_on_the_number_of_threads(name, options):
    shapes = [(100_003,), (5,), (33, 1001), (0,), (32_768,)]
    assert_same_bits(lambda: trained(name, options, shapes, "float32", "cpu", steps=3))


IN_PYTORCH = [(n, o) for n, o in ALL if not o.keys() & {"momentum_form", "eps_mode"}]


@pytest.mark.torch
@pytest.mark.parametrize(("name", "options"), IN_PYTORCH)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_many_steps_go_the_way_of_pytorch(name, options, dtype):
    import torch

    shapes = [(), (3,), (17, 31), (1000,)]
    rng = np.random.default_rng(0)
    theirs = [torch.tensor(rng.standard_normal(s).astype(dtype)) for s in shapes]
    other = getattr(torch.optim, name)(theirs, **options)
    for t in range(STEPS):
        for k, p in enumerate(theirs):
            g = torch.tensor(rng.standard_normal(tuple(p.shape)).astype(dtype))
            p.grad = None if k == 1 and t % 3 == 0 else g
        other.step()
    found = trained(name, options, shapes, dtype, "cpu")
    tolerance = TOLERANCE[dtype]
    for f, e in zip(found, theirs, strict=False):
        np.testing.assert_allclose(f, e.numpy(), rtol=tolerance, atol=tolerance)


def test_sgd_of_the_lecture_by_hand():
    """m: 2, then 0.9 · 2 + 1; θ: 1 - 0.1 · 2 - 0.1 · 2.8."""
    p = tm.tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([p], lr=0.1, momentum=0.9)
    with tm.use_kernels("cpu", strict=True):
        for g in (2.0, 1.0):
            p.grad = tm.tensor([g])
            optimizer.step()
    assert p.item() == pytest.approx(0.52)
    assert optimizer.state[p]["momentum_buffer"].item() == pytest.approx(2.8)


@pytest.mark.parametrize("name", VARIANTS)
def test_without_weight_decay_a_parameter_that_is_infinite_is_not_looked_at(name):
    p = tm.tensor([np.inf, 1.0], requires_grad=True)
    optimizer = getattr(optim, name)([p], weight_decay=0)
    p.grad = tm.zeros(2)
    with tm.use_kernels("cpu", strict=True):
        optimizer.step()
    assert p.tolist() == [np.inf, 1.0]
    assert all(np.isfinite(v.numpy()).all() for v in optimizer.state[p].values())


def test_a_centered_rmsprop_without_memory_divides_by_eps_alone():
    g = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    p = tm.zeros(1000, requires_grad=True)
    p.grad = tm.tensor(g)
    with tm.use_kernels("cpu", strict=True):
        optim.RMSprop([p], lr=1.0, alpha=0.0, eps=0.5, centered=True).step()
    # v = m² to the last bit; a fused v - m · m (AVX2, AVX-512) would be below 0 for many: NaN
    np.testing.assert_array_equal(p.detach().numpy(), -2 * g)


STRANGE = [np.nan, np.inf, -np.inf, 1e30, -1e30, 1e-42, 0.0, 1.0, -2.0]


@pytest.mark.parametrize(("name", "options"), ALL)
def test_gradients_that_are_not_finite_go_the_way_of_the_reference(name, options):
    def moved(backend):
        rng = np.random.default_rng(0)
        p = tm.tensor(np.resize([*STRANGE, 0.5, -0.25], 400).astype(np.float32)).requires_grad_()
        optimizer = getattr(optim, name)([p], **options)
        with tm.use_kernels(backend, strict=backend == "cpu"), np.errstate(all="ignore"):
            for _ in range(4):
                g = rng.choice([*STRANGE, *rng.standard_normal(20)], 400)
                p.grad = tm.from_numpy(g.astype(np.float32))
                optimizer.step()
        return [v.detach().numpy() for v in (p, *optimizer.state[p].values())]

    for found, expected in zip(moved("cpu"), moved(registry.REFERENCE), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_largest_square_that_is_nan_stays():
    p = tm.ones(20, requires_grad=True)
    optimizer = optim.Adam([p], amsgrad=True)
    p.grad = tm.ones(20)
    with tm.use_kernels("cpu", strict=True):
        optimizer.step()
        largest = optimizer.state[p]["max_exp_avg_sq"].numpy()
        largest[:] = np.nan
        optimizer.step()
    assert np.isnan(largest).all()
    assert np.isnan(p.detach().numpy()).all()


@pytest.mark.parametrize(
    ("kernel", "rest"),
    [
        ("adam", ([], [], [], [0.1], [1.0], 0.9, 0.999, 1e-8, 1.0, 0.0, 1.0, False)),
        ("rmsprop", ([], [], [], 0.1, 0.9, 1e-8, 0.0, 1.0, 0.0)),
        ("adagrad", ([], [0.1], 1e-8, 1.0, 0.0)),
        ("sgd_momentum", ([], [0.9], [1.0], 0.1, 0.0, 1.0, 0.0)),
    ],
)
def test_a_kernel_without_its_states_is_refused_before_anything_is_written(kernel, rest):
    theta = np.ones(3, np.float32)
    with pytest.raises(ValueError, match="as many gradients, states and numbers"):
        getattr(native, kernel)([theta], [np.ones(3, np.float32)], *rest)
    assert theta.tolist() == [1, 1, 1]


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}])
def test_a_state_that_lacks_something_is_left_to_the_reference(options):
    p = tm.ones(3, requires_grad=True)
    optimizer = optim.RMSprop([p], **options)
    optimizer.state[p] = {"step": tm.tensor(0.0)}
    p.grad = tm.ones(3)
    with pytest.raises(KeyError), tm.use_kernels("cpu"):
        optimizer.step()


@pytest.mark.parametrize("name", VARIANTS)
def test_parameters_that_overlap_are_moved_one_after_the_other(name):
    def moved(backend):
        memory = np.ones(5, np.float32)
        a, b = (tm.from_numpy(memory[k : k + 3]).requires_grad_() for k in (0, 2))
        optimizer = getattr(optim, name)([a, b], lr=0.5)
        a.grad, b.grad = tm.ones(3), tm.ones(3)
        with tm.use_kernels(backend):
            optimizer.step()
        return memory

    before = declined(f"{name}.update")
    np.testing.assert_array_equal(moved("cpu"), moved(registry.REFERENCE))
    assert declined(f"{name}.update") == before + 1


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("dtype", [tm.float32, tm.float64])
def test_an_optimizer_that_was_pickled_goes_on_with_the_twin(name, dtype):
    p = tm.tensor([0.5, -1.0, 2.0], dtype=dtype, requires_grad=True)
    optimizer = getattr(optim, name)([p], lr=0.1)
    p.grad = tm.tensor([0.1, 0.2, 0.3], dtype=dtype)
    optimizer.step()
    other = pickle.loads(pickle.dumps(optimizer))
    (q,) = other.param_groups[0]["params"]
    assert q.detach().numpy().dtype is not p.detach().numpy().dtype  # equal, but its own
    for one, theta in ((optimizer, p), (other, q)):
        theta.grad = tm.tensor([0.3, 0.1, 0.2], dtype=dtype)
        with tm.use_kernels("cpu", strict=True):
            one.step()
    assert p.tolist() == q.tolist()


def test_a_gradient_that_is_another_parameter_is_read_after_that_has_moved():
    a, b = (tm.ones(3, requires_grad=True) for _ in range(2))
    a.grad, b.grad = tm.ones(3), a.detach()
    with tm.use_kernels("cpu"):
        optim.SGD([a, b], lr=0.25).step()
    assert a.tolist() == [0.75] * 3
    assert b.tolist() == [1 - 0.25 * 0.75] * 3


def test_a_gradient_that_two_parameters_share_is_no_overlap():
    a, b = (tm.ones(3, requires_grad=True) for _ in range(2))
    a.grad = b.grad = tm.ones(3)
    with tm.use_kernels("cpu", strict=True):
        optim.SGD([a, b], lr=0.25).step()
    assert a.tolist() == b.tolist() == [0.75] * 3


@pytest.mark.parametrize("backwards", [False, True])
def test_a_gradient_in_gaps_among_which_a_parameter_lies_is_left_to_the_reference(backwards):
    memory = np.ones(6, np.float32)
    g = memory[::2][::-1] if backwards else memory[::2]
    a = tm.from_numpy(memory[2:5]).requires_grad_()
    a.grad = tm.from_numpy(g)
    before = declined("SGD.update")
    with tm.use_kernels("cpu"):
        optim.SGD([a], lr=0.5).step()
    assert declined("SGD.update") == before + 1
    assert memory.tolist() == [1, 1, 0.5, 0.5, 0.5, 1]


def off_by_a_byte(n):
    return np.frombuffer(bytearray(4 * n + 1), np.float32, n, 1)


@pytest.mark.parametrize("which", ["parameter", "gradient"])
def test_memory_that_is_not_aligned_is_left_to_the_reference(which):
    theta = off_by_a_byte(4) if which == "parameter" else np.zeros(4, np.float32)
    g = off_by_a_byte(4) if which == "gradient" else np.zeros(4, np.float32)
    g[:] = 1.0
    p = tm.from_numpy(theta).requires_grad_()
    p.grad = tm.from_numpy(g)
    before = declined("Adagrad.update")
    with tm.use_kernels("cpu"):
        optim.Adagrad([p], lr=0.5).step()
    assert declined("Adagrad.update") == before + 1
    np.testing.assert_allclose(theta, -0.5)


@pytest.mark.parametrize("name", VARIANTS)
def test_float16_is_left_to_the_reference(name):
    p = tm.ones(3, dtype=tm.float16).requires_grad_()
    p.grad = tm.ones(3, dtype=tm.float16)
    optimizer = getattr(optim, name)([p], lr=0.5)
    with (
        tm.use_kernels("cpu", strict=True),
        pytest.raises(RuntimeError, match=rf"{name}.update declined"),
    ):
        optimizer.step()


def test_a_parameter_that_may_not_be_written_to_is_an_error():
    theta = np.ones(3, np.float32)
    p = tm.from_numpy(theta).requires_grad_()
    p.grad = tm.ones(3)
    theta.flags.writeable = p.array.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"), tm.use_kernels("cpu"):
        optim.SGD([p], lr=0.5).step()
    assert theta.tolist() == [1, 1, 1]
