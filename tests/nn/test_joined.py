"""Pairs that Sequential runs as one op: the same to all who look, and two where somebody does."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb import nn
from tinygrad_mmb.autograd.gradcheck import gradcheck, gradgradcheck
from tinygrad_mmb.nn.joined import JOINED
from tinygrad_mmb.nn.samples import as_function

PAIRS = {
    "LinearRelu": lambda: (nn.Linear(5, 4), nn.ReLU()),
    "LinearGelu": lambda: (nn.Linear(5, 4, bias=False), nn.GELU()),
    "LinearGelu-tanh": lambda: (nn.Linear(5, 4), nn.GELU("tanh")),
    "LinearRelu-inplace": lambda: (nn.Linear(5, 4), nn.ReLU(inplace=True)),
    "Conv2dRelu": lambda: (nn.Conv2d(2, 3, 3, padding=1), nn.ReLU()),
    "Conv2dRelu-options": lambda: (nn.Conv2d(2, 4, (3, 2), 2, (1, 0), 1, 2, False), nn.ReLU()),
}
EACH = pytest.mark.parametrize("kind", PAIRS)


def drawn(kind, rng, dtype="float64"):
    """A Sequential of one pair, and an input for it."""
    model = nn.Sequential(*PAIRS[kind]()).to(getattr(tm, dtype))
    shape = (6, 2, 5, 6) if kind.startswith("Conv") else (6, 5)
    return model, tm.tensor(rng.standard_normal(shape).astype(dtype), requires_grad=True)


def apart(model, x):
    """One module after the other, whatever Sequential would do."""
    for module in model:
        x = module(x)
    return x


def op_of(y):
    """The name of the op that made y."""
    return y.grad_fn.name().removesuffix("Backward0")


def is_joined(model, x):
    return op_of(model(x)) in {k.partition("-")[0] for k in PAIRS}


@EACH
def test_a_pair_is_one_op(kind, rng):
    model, x = drawn(kind, rng)
    assert op_of(model(x)) == kind.partition("-")[0]


@pytest.fixture
def on_the_reference():
    """Twins of the one op and of the two may round differently."""
    with tm.use_kernels("reference"):
        yield


@EACH
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.usefixtures("on_the_reference")
def test_values_and_gradients_are_those_of_the_two_bit_for_bit(kind, dtype, rng):
    model, x = drawn(kind, rng, dtype)
    g = None
    results = []
    for f in (model, lambda x: apart(model, x)):
        y = f(x)
        g = tm.tensor(rng.standard_normal(y.shape).astype(dtype)) if g is None else g
        gradients = tm.autograd.grad(y, [x, *model.parameters()], g)
        results.append([v.detach().numpy() for v in (y, *gradients)])
    for one, two in zip(*results, strict=True):
        assert one.dtype == two.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(one, two)


@EACH
def test_first_and_second_derivatives_agree_with_finite_differences(kind, rng):
    model, x = drawn(kind, rng)
    f, parameters = as_function(model)
    assert gradcheck(f, (x, *parameters))
    assert gradgradcheck(f, (x, *parameters), atol=1e-4)


@EACH
def test_a_gradient_penalty_is_that_of_the_two(kind, rng):
    model, x = drawn(kind, rng)
    found = []
    for f in (model, lambda x: apart(model, x)):
        (gx,) = tm.autograd.grad((f(x) ** 3.0).sum(), [x], create_graph=True)
        (gx**2.0).sum().backward()
        found.append([p.grad.numpy().copy() for p in (x, *model.parameters())])
        x.grad = None
        model.zero_grad()
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("frozen", [(), ("x",), ("weight",), ("bias",), ("x", "bias")])
def test_only_what_wants_a_gradient_gets_one(frozen, rng):
    model, x = drawn("LinearGelu-tanh", rng)
    parts = {"x": x, "weight": model[0].weight, "bias": model[0].bias}
    for name in frozen:
        parts[name].requires_grad_(False)
    model(x).sum().backward()
    assert [name for name, p in parts.items() if p.grad is None] == list(frozen)


def test_nothing_is_recorded_where_nothing_is_to_be(rng):
    model, x = drawn("LinearGelu", rng)
    with tm.no_grad():
        assert model(x).grad_fn is None
    assert not model.requires_grad_(False)(x.detach()).requires_grad


@EACH
def test_names_state_and_printing_know_nothing_of_it(kind):
    model, (first, second) = nn.Sequential(*PAIRS[kind]()), PAIRS[kind]()
    assert [n for n, _ in model.named_modules()] == ["", "0", "1"]
    assert list(model.state_dict()) == [f"0.{n}" for n in first.state_dict()]
    assert repr(model) == f"Sequential(\n  (0): {first!r}\n  (1): {second!r}\n)"


# -- whoever looks sees two ------------------------------------------------------------------------

REGISTER = [n for n in dir(nn.Module) if n.startswith("register_") and n.endswith("_hook")]


@EACH
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("register", REGISTER)
def test_a_hook_registered_later_is_called_and_taken_away_again(kind, which, register, rng):
    model, x = drawn(kind, rng)
    assert is_joined(model, x)
    seen = []
    handle = getattr(model[which], register)(lambda module, *args: seen.append(module))
    assert not is_joined(model, x)
    assert seen == [model[which]]
    handle.remove()
    assert is_joined(model, x)
    assert len(seen) == 1


def test_hooks_see_what_the_two_compute_and_may_change_it(rng):
    model, x = drawn("LinearRelu", rng)
    seen = {}
    model[0].register_forward_hook(lambda m, inputs, z: seen.update(z=z) or z - 1.0)
    z = x.detach().numpy() @ model[0].weight.detach().numpy().T + model[0].bias.detach().numpy()
    np.testing.assert_allclose(model(x).detach().numpy(), np.maximum(z - 1.0, 0.0), atol=1e-12)
    np.testing.assert_allclose(seen["z"].detach().numpy(), z, atol=1e-12)


def test_a_hook_that_an_earlier_layer_registers_while_it_runs_is_called(rng):
    linear, seen = nn.Linear(5, 4).double(), []

    class Registers(nn.Module):
        def forward(self, x):
            linear.register_forward_hook(lambda *args: seen.append("called"))
            return x

    nn.Sequential(Registers(), linear, nn.ReLU())(drawn("LinearRelu", rng)[1])
    assert seen == ["called"]


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("where", ["instance", "class", "call of all modules"])
def test_another_forward_is_seen_whenever_it_comes(which, where, rng, monkeypatch):
    model, x = drawn("LinearRelu", rng)
    assert is_joined(model, x)
    part = model[which]
    if where == "instance":
        monkeypatch.setattr(part, "forward", lambda input: input + 7.0, raising=False)
    elif where == "class":
        monkeypatch.setattr(type(part), "forward", lambda self, input: input + 7.0)
    else:
        monkeypatch.setattr(type(part), "__call__", lambda self, input: input + 7.0)
    np.testing.assert_array_equal(model(x).detach().numpy(), apart(model, x).detach().numpy())
    monkeypatch.undo()
    assert is_joined(model, x)


def test_a_subclass_with_another_forward_stays_itself(rng):
    class Shifted(nn.Linear):
        def forward(self, input):
            return super().forward(input) + 7.0

    class Leaky(nn.ReLU):
        def forward(self, input):
            return super().forward(input) + 0.1 * input

    x = drawn("LinearRelu", rng)[1]
    for pair in ((Shifted(5, 4), nn.ReLU()), (nn.Linear(5, 4), Leaky())):
        model = nn.Sequential(*pair).double()
        np.testing.assert_array_equal(model(x).detach().numpy(), apart(model, x).detach().numpy())


def test_modules_may_be_replaced_taken_out_and_put_in(rng):
    model, x = drawn("LinearRelu", rng)
    assert op_of(model(x)) == "LinearRelu"
    model[1] = nn.GELU()
    assert op_of(model(x)) == "LinearGelu"
    model.insert(1, nn.Dropout(0.0))
    assert not is_joined(model, x)
    del model[1:]
    assert op_of(model(x)) == "Linear"
    model[0].weight = nn.Parameter(tm.ones(3, 5, dtype=tm.float64))
    model[0].bias = None
    model.append(nn.ReLU())
    assert model(x).shape == (6, 3)


def test_parameters_are_read_at_every_call_and_a_copy_has_its_own(rng):
    model, x = drawn("LinearRelu", rng)
    before, twin = model(x), copy.deepcopy(model)
    with tm.no_grad():
        model[0].weight.mul_(-1.0)
        model[0].bias.mul_(-1.0)
    z = before.detach().numpy()
    assert (model(x).detach().numpy()[z > 0] == 0).all()
    np.testing.assert_array_equal(twin(x).detach().numpy(), z)


def test_longer_chains_join_each_pair_and_share_modules(rng):
    relu = nn.ReLU()
    model = nn.Sequential(nn.Linear(5, 5), relu, nn.Linear(5, 5), relu, relu, nn.Linear(5, 5))
    x = drawn("LinearRelu", rng)[1]
    y = model.double()(x)
    np.testing.assert_array_equal(y.detach().numpy(), apart(model, x).detach().numpy())
    made, node = [], y.grad_fn
    for _ in range(4):
        made.append(node.name().removesuffix("Backward0"))
        node = node.next_functions[0][0]
    assert made == ["Linear", "Relu", "LinearRelu", "LinearRelu"]


@pytest.mark.host_only("every result is looked at, which a GPU would have to wait for")
def test_detect_anomaly_names_the_one_of_the_two_that_failed(rng):
    model, x = drawn("LinearGelu", rng)
    with tm.no_grad():
        model[0].weight.fill_(1e308)
    with tm.autograd.detect_anomaly(), pytest.raises(RuntimeError, match=r": Linear made"):
        model(x)


# -- and bad input is refused as by the two --------------------------------------------------------


def message(f, *args):
    with pytest.raises(Exception) as error:
        f(*args)
    return type(error.value), str(error.value)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda model, x: tm.zeros(6, 9, dtype=tm.float64),
        lambda model, x: x.float(),
        lambda model, x: x.numpy(),
        lambda model, x: (x, x),
        lambda model, x: tm.tensor(1.0),
        lambda model, x: setattr(model[0], "bias", nn.Parameter(tm.ones(9).double())) or x,
    ],
    ids=["features", "dtype", "array", "tuple", "0-d", "bias"],
)
@pytest.mark.parametrize("kind", [k for k in PAIRS if k.startswith("Linear")])
def test_linear_pairs_refuse_in_the_words_of_the_two(kind, break_it, rng):
    model, x = drawn(kind, rng)
    x = break_it(model, x.detach())
    assert message(model, x) == message(apart, model, x)


@pytest.mark.parametrize("shape", [(6, 3, 5, 6), (5, 6), (6, 2, 1, 0)])
def test_convolutions_refuse_in_the_words_of_the_two(shape, rng):
    model, _ = drawn("Conv2dRelu", rng)
    x = tm.zeros(*shape, dtype=tm.float64)
    assert message(model, x) == message(apart, model, x)


def test_gelu_refuses_as_when_alone(rng):
    model, x = drawn("LinearGelu", rng)
    model[1].approximate = "sigmoid"
    assert message(model, x) == message(apart, model, x)
    model[1].approximate = "none"
    model[0].weight = nn.Parameter(tm.ones(4, 5, dtype=tm.int64), requires_grad=False)
    x = tm.ones(6, 5, dtype=tm.int64)
    assert message(model, x) == message(apart, model, x)


@pytest.mark.parametrize("kind", ["LinearRelu", "LinearGelu"])
def test_a_vector_in_the_place_of_the_weight_works_as_in_the_two(kind, rng):
    model, x = drawn(kind, rng)
    model[0].weight = nn.Parameter(tm.tensor(rng.standard_normal(5)))
    model[0].bias = None
    np.testing.assert_array_equal(model(x).detach().numpy(), apart(model, x).detach().numpy())


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_a_convolution_with_another_border_computes_the_same(mode, rng):
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, padding_mode=mode), nn.ReLU()).double()
    x = drawn("Conv2dRelu", rng)[1]
    np.testing.assert_array_equal(model(x).detach().numpy(), apart(model, x).detach().numpy())


def test_one_image_alone_computes_the_same(rng):
    model, x = drawn("Conv2dRelu", rng)
    one = model(x[2])
    np.testing.assert_allclose(one.detach().numpy(), model(x)[2].detach().numpy(), atol=1e-12)


@pytest.mark.parametrize("kind", ["LinearRelu", "Conv2dRelu"])
def test_a_result_written_over_is_noticed_as_in_the_two(kind, rng):
    model, x = drawn(kind, rng)
    y = model(x)
    y.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.usefixtures("on_the_reference")
def test_the_result_of_a_gelu_may_be_written_over_as_in_the_two(rng):
    model, x = drawn("LinearGelu", rng)
    gradients = []
    for f in (model, lambda x: apart(model, x)):
        y = f(x)
        y.mul_(2.0)
        gradients.append(tm.autograd.grad(y.sum(), x)[0].numpy())
    np.testing.assert_array_equal(*gradients)


def test_weights_of_a_first_layer_may_be_written_over_before_backward(rng):
    model, x = drawn("LinearGelu-tanh", rng)
    y = model(x.detach())
    with tm.no_grad():
        for p in model.parameters():
            p.add_(1.0)
    y.sum().backward()
    assert model[0].weight.grad is not None


@pytest.mark.torch
@EACH
def test_pytorch_agrees(kind, rng):
    torch = pytest.importorskip("torch")
    model, x = drawn(kind, rng)
    theirs = torch.nn.Sequential(*[eval(repr(m), vars(torch.nn)) for m in model]).double()
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in model.state_dict().items()})
    xt = torch.tensor(x.detach().numpy(), requires_grad=True)
    yt, y = theirs(xt), model(x)
    (yt**2).sum().backward()
    (y**2.0).sum().backward()
    pairs = [(y, yt), (x.grad, xt.grad)]
    pairs += [
        (a.grad, b.grad) for a, b in zip(model.parameters(), theirs.parameters(), strict=True)
    ]
    for ours, other in pairs:
        np.testing.assert_allclose(ours.detach().numpy(), other.detach().numpy(), atol=1e-10)


def test_every_pair_of_the_table_is_tested_here():
    assert {tuple(type(m) for m in make()) for make in PAIRS.values()} == set(JOINED)
