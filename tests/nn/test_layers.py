"""Every layer: printed, initialised, differentiated and loaded as PyTorch does it."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb import nn

# (layer, arguments, shape of the input)
LAYERS = [
    ("Linear", (3, 2), {}, (4, 3)),
    ("Linear", (3, 2), {"bias": False}, (2, 4, 3)),
    ("Conv2d", (2, 4, 3), {}, (2, 2, 5, 6)),
    ("Conv2d", (2, 4, (3, 2)), {"stride": 2, "padding": (1, 0), "groups": 2}, (2, 2, 5, 6)),
    ("Conv2d", (2, 2, 3), {"padding": "same", "dilation": 2, "bias": False}, (1, 2, 5, 6)),
    ("Conv2d", (1, 2, 3), {"padding": 1, "padding_mode": "reflect"}, (1, 1, 5, 5)),
    ("Conv2d", (1, 2, 4), {"padding": "same", "padding_mode": "circular"}, (1, 1, 5, 5)),
    ("Conv2d", (1, 2, 3), {"padding": "valid", "padding_mode": "replicate"}, (1, 5, 5)),
    ("MaxPool2d", (2,), {}, (1, 2, 5, 5)),
    ("MaxPool2d", ((2, 3), 1, 1), {"dilation": 2, "ceil_mode": True}, (1, 2, 7, 7)),
    ("AvgPool2d", (2,), {}, (1, 2, 5, 5)),
    ("AvgPool2d", (3, 2, 1, True, False), {}, (1, 2, 5, 5)),
    ("AvgPool2d", (2,), {"divisor_override": 3}, (1, 2, 5, 5)),
    ("BatchNorm1d", (3,), {}, (4, 3)),
    ("BatchNorm1d", (3,), {"momentum": None}, (4, 3, 2)),
    ("BatchNorm1d", (3,), {"track_running_stats": False, "bias": False}, (4, 3)),
    ("BatchNorm2d", (3, 1e-3, 0.3, False), {}, (4, 3, 2, 2)),
    ("LayerNorm", (3,), {}, (4, 3)),
    ("LayerNorm", ((2, 3),), {"bias": False}, (4, 2, 3)),
    ("LayerNorm", ([3],), {"elementwise_affine": False, "eps": 0.1}, (4, 3)),
    ("ReLU", (), {}, (4, 3)),
    ("LeakyReLU", (0.2,), {}, (4, 3)),
    ("ELU", (0.5,), {}, (4, 3)),
    ("SELU", (), {}, (4, 3)),
    ("GELU", (), {}, (4, 3)),
    ("GELU", (), {"approximate": "tanh"}, (4, 3)),
    ("SiLU", (), {}, (4, 3)),
    ("Sigmoid", (), {}, (4, 3)),
    ("Tanh", (), {}, (4, 3)),
    ("Softplus", (2.0, 3.0), {}, (4, 3)),
    ("Softmax", (1,), {}, (4, 3)),
    ("LogSoftmax", (), {"dim": 0}, (4, 3)),
    ("Flatten", (), {}, (2, 3, 4)),
    ("Flatten", (0, 1), {}, (2, 3, 4)),
    ("Unflatten", (1, (2, -1)), {}, (3, 4)),
    ("Identity", (3,), {"anything": 1}, (3, 4)),
    ("Dropout", (0.3,), {}, (3, 4)),
    ("Dropout1d", (), {}, (3, 4, 2)),
    ("Dropout2d", (), {}, (3, 4, 2, 2)),
    ("AlphaDropout", (), {}, (3, 4)),
]
RANDOM = ("Dropout", "Dropout1d", "Dropout2d", "AlphaDropout")
IDS = [f"{name}-{i}" for i, (name, *_) in enumerate(LAYERS)]


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def pair(torch, name, args, kwargs, dtype="float64"):
    """Our layer and PyTorch's, with the same weights."""
    ours, theirs = getattr(nn, name)(*args, **kwargs), getattr(torch.nn, name)(*args, **kwargs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({k: tm.from_numpy(v.numpy()) for k, v in theirs.state_dict().items()})
    return ours.to(getattr(tm, dtype)), theirs.to(getattr(torch, dtype))


@pytest.mark.torch
@pytest.mark.parametrize(("name", "args", "kwargs", "shape"), LAYERS, ids=IDS)
def test_output_gradients_and_state_are_pytorchs(torch, rng, name, args, kwargs, shape):
    ours, theirs = pair(torch, name, args, kwargs)
    for training in (True, True, False):
        ours.train(training)
        theirs.train(training)
        if name in RANDOM and training:
            continue
        array = rng.standard_normal(shape)
        x, t = tm.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
        y, u = ours(x), theirs(t)
        g = rng.standard_normal(tuple(u.shape))
        y.backward(tm.from_numpy(g))
        u.backward(torch.from_numpy(g))
        np.testing.assert_allclose(y.detach().numpy(), u.detach().numpy(), atol=1e-12)
        np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), atol=1e-11)
        pairs = zip(ours.named_parameters(), theirs.named_parameters(), strict=True)
        for (key, p), (other, q) in pairs:
            assert key == other
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), atol=1e-11)
        for key, value in theirs.state_dict().items():
            found = ours.state_dict()[key]
            np.testing.assert_allclose(found.numpy(), value.numpy(), atol=1e-12)
            assert str(found.dtype) == str(value.dtype).removeprefix("torch.")


@pytest.mark.torch
@pytest.mark.parametrize(("name", "args", "kwargs", "shape"), LAYERS, ids=IDS)
def test_a_layer_is_printed_as_pytorch_prints_it(torch, name, args, kwargs, shape):
    assert repr(getattr(nn, name)(*args, **kwargs)) == repr(
        getattr(torch.nn, name)(*args, **kwargs)
    )


@pytest.mark.torch
@pytest.mark.parametrize("name", sorted({name for name, *_ in LAYERS} | {
    "Embedding", "MSELoss", "L1Loss", "CrossEntropyLoss", "NLLLoss", "BCELoss",
    "BCEWithLogitsLoss"}))  # fmt: skip
def test_arguments_and_defaults_are_pytorchs(torch, name):
    def described(cls):
        found = inspect.signature(cls.__init__).parameters.values()
        return [(p.name, p.default) for p in found if p.name not in ("self", "generator")]

    assert described(getattr(nn, name)) == described(getattr(torch.nn, name))


@pytest.mark.torch
@pytest.mark.parametrize("name", sorted(set(nn.functional.__all__) - {"sigmoid", "tanh"}))
def test_the_arguments_of_functions_are_pytorchs(torch, name):
    theirs = getattr(torch.nn.functional, name)
    try:
        expected = list(inspect.signature(theirs).parameters)
    except ValueError:
        pytest.skip("a builtin without a signature")
    if expected == ["args", "kwargs"]:
        pytest.skip("a dispatcher without a signature")
    found = list(inspect.signature(getattr(nn.functional, name)).parameters)
    assert [p for p in found if p != "generator"] == expected


@pytest.mark.torch
def test_embedding_is_pytorchs(torch, rng):
    index = np.array([[1, 2, 1], [0, 3, 3]])
    for kwargs in ({}, {"padding_idx": 1}, {"padding_idx": -1, "scale_grad_by_freq": True},
                   {"max_norm": 1.0}, {"max_norm": 0.5, "norm_type": 1.0}):  # fmt: skip
        ours, theirs = pair(torch, "Embedding", (4, 3), kwargs)
        assert repr(ours) == repr(theirs)
        y, u = ours(tm.from_numpy(index)), theirs(torch.from_numpy(index))
        g = rng.standard_normal((2, 3, 3))
        y.backward(tm.from_numpy(g))
        u.backward(torch.from_numpy(g))
        np.testing.assert_allclose(y.detach().numpy(), u.detach().numpy(), atol=1e-12)
        np.testing.assert_allclose(ours.weight.grad.numpy(), theirs.weight.grad.numpy(), atol=1e-12)
        np.testing.assert_allclose(
            ours.weight.detach().numpy(), theirs.weight.detach().numpy(), atol=1e-12
        )


def test_the_row_for_padding_starts_at_zero():
    np.testing.assert_array_equal(nn.Embedding(3, 2, padding_idx=-1).weight.detach().numpy()[2], 0)


def test_an_embedding_can_be_built_over_a_table():
    layer = nn.Embedding.from_pretrained(tm.eye(3))
    assert not layer.weight.requires_grad
    np.testing.assert_array_equal(layer(tm.tensor([2])).numpy(), [[0, 0, 1]])
    with pytest.raises(AssertionError, match="Shape of weight"):
        nn.Embedding(2, 2, _weight=tm.eye(3))
    with pytest.raises(AssertionError, match="padding_idx=5"):
        nn.Embedding(3, 2, padding_idx=5)


@pytest.mark.parametrize(
    ("layer", "k"), [(nn.Linear(400, 300), 1 / 20), (nn.Conv2d(16, 64, 5), 1 / 20)]
)
def test_weights_start_uniform_within_one_over_the_root_of_fan_in(layer, k):
    for p in layer.parameters():
        values = p.detach().numpy()
        assert abs(values).max() <= k
        assert values.std() == pytest.approx(k / math.sqrt(3), rel=0.1)


def test_the_same_seed_gives_the_same_layer():
    tm.manual_seed(3)
    a = nn.Linear(3, 2)
    tm.manual_seed(3)
    np.testing.assert_array_equal(
        a.weight.detach().numpy(), nn.Linear(3, 2).weight.detach().numpy()
    )


def test_parameters_take_dtype_and_default_dtype():
    assert nn.Linear(2, 1, dtype=tm.float64).weight.dtype == tm.float64
    assert nn.BatchNorm1d(2, dtype=tm.float64).running_var.dtype == tm.float64
    assert nn.Linear(2, 1).bias.dtype == tm.float32


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "divisible by groups=2"),
        (lambda: nn.Conv2d(2, 4, 3, groups=0), ValueError, "positive"),
        (lambda: nn.Conv2d(2, 4, 3, padding="full"), ValueError, "Invalid padding"),
        (lambda: nn.Conv2d(2, 4, 3, padding="same", stride=2), ValueError, "strided"),
        (lambda: nn.Conv2d(2, 4, 3, padding_mode="mirror"), ValueError, "padding_mode"),
        (lambda: nn.Dropout(1.5), ValueError, "between 0 and 1"),
        (lambda: nn.Dropout2d(-0.1), ValueError, "between 0 and 1"),
        (lambda: nn.Unflatten(1, 3), TypeError, "tuple of ints"),
        (lambda: nn.Unflatten(1, (2, 1.5)), TypeError, "at pos 1"),
        (lambda: nn.Unflatten(1, (2, 2))(tm.ones(1, 5)), RuntimeError, "multiply up"),
        (lambda: nn.Unflatten(3, (2, 2))(tm.ones(1, 5)), IndexError, "out of range"),
        (lambda: nn.BatchNorm1d(3)(tm.ones(2, 3, 4, 5)), ValueError, "expected 2D or 3D input"),
        (lambda: nn.BatchNorm2d(3)(tm.ones(2, 3)), ValueError, "expected 4D input"),
        (lambda: nn.BatchNorm1d(3)(tm.ones(1, 3)), ValueError, "more than 1 value per channel"),
        (lambda: nn.Linear(784, 10)(tm.ones(2, 28, 28)), RuntimeError, r"Linear\(28, 10\)"),
        (lambda: nn.Residual(nn.Linear(2, 3))(tm.ones(1, 2)), RuntimeError, "cannot be added"),
    ],
)
def test_misuse_is_refused_with_pytorchs_error_and_a_way_out(build, error, text):
    with pytest.raises(error, match=text):
        build()


def test_softmax_without_dim_guesses_with_a_warning():
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        y = nn.Softmax()(tm.ones(2, 4))
    np.testing.assert_allclose(y.numpy(), 0.25)


def test_in_place_activations_write_into_their_input():
    for layer in (nn.ReLU(True), nn.LeakyReLU(0.1, True), nn.ELU(inplace=True), nn.SELU(True),
                  nn.SiLU(True)):  # fmt: skip
        x = tm.tensor([-1.0, 2.0])
        y = layer(x)
        assert y is x and "inplace=True" in repr(layer)


def test_a_dropout_layer_draws_from_its_own_generator():
    draws = [
        nn.Dropout(0.5, generator=tm.Generator().manual_seed(1))(tm.ones(100)).numpy() for _ in "ab"
    ]
    np.testing.assert_array_equal(*draws)


def test_dense_block_puts_input_and_outputs_side_by_side():
    block = nn.DenseBlock(in_features=5, growth=3, layers=4)
    x = tm.randn(2, 5)
    assert block(x).shape == (2, 17)
    np.testing.assert_array_equal(block(x)[:, :5].detach().numpy(), x.numpy())
    assert sum(p.numel() for p in block.parameters()) == sum((5 + 3 * k) * 3 + 3 for k in range(4))
