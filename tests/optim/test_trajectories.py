"""Twenty steps beside PyTorch, for every combination of options, in float64."""

import copy
from itertools import product

import numpy as np
import pytest

import tinygrad_mmb
from tinygrad_mmb import optim

SHAPES = [(3, 2), (4,), ()]
CENTRES = [np.random.default_rng(i).standard_normal(shape) for i, shape in enumerate(SHAPES)]
STARTS = [np.random.default_rng(10 + i).standard_normal(shape) for i, shape in enumerate(SHAPES)]


def grid(**options):
    return [dict(zip(options, values, strict=True)) for values in product(*options.values())]


CASES = [
    *[
        ("SGD", o)
        for o in grid(
            lr=[0.05],
            momentum=[0, 0.9],
            dampening=[0, 0.3],
            weight_decay=[0, 0.1],
            nesterov=[False, True],
            maximize=[False, True],
        )
        if not (o["nesterov"] and (o["momentum"] == 0 or o["dampening"]))
    ],
    *[
        ("RMSprop", o)
        for o in grid(
            alpha=[0.99, 0.5],
            weight_decay=[0, 0.1],
            momentum=[0, 0.9],
            centered=[False, True],
            maximize=[False, True],
        )
    ],
    *[
        ("Adagrad", o)
        for o in grid(
            lr=[0.1],
            lr_decay=[0, 0.2],
            weight_decay=[0, 0.1],
            initial_accumulator_value=[0, 0.5],
            maximize=[False, True],
        )
    ],
    *[
        (name, o)
        for name in ("Adam", "AdamW")
        for o in grid(
            lr=[0.02],
            betas=[(0.9, 0.999), (0.5, 0.7)],
            eps=[1e-8, 1e-2],
            weight_decay=[0, 0.1],
            amsgrad=[False, True],
            maximize=[False, True],
        )
    ],
    ("Adam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("Adam", {"foreach": True}),
    ("Adam", {"fused": True}),
    ("AdamW", {"fused": True, "amsgrad": True}),
    ("SGD", {"fused": True, "momentum": 0.9}),
    ("SGD", {"foreach": True, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("Adagrad", {"fused": True}),
    ("RMSprop", {"foreach": True, "centered": True}),
]


def gradient(p, centre, step):
    """Something that changes sign, and is 0 now and then."""
    return np.sin(3 * (p - centre)) * (step % 5 != 3) + 0.1 * np.cos(step * centre)


def ours():
    return [tinygrad_mmb.tensor(start, requires_grad=True) for start in STARTS]


def theirs(torch):
    return [torch.tensor(start, requires_grad=True) for start in STARTS]


def walk(optimizer, params, tensor, steps=range(20)):
    for step in steps:
        for i, p in enumerate(params):
            skipped = i == 1 and step % 4 == 2  # a parameter that got no gradient this time
            g = gradient(p.detach().numpy(), CENTRES[i], step)
            p.grad = None if skipped else tensor(np.asarray(g))
        optimizer.step()
    return [p.detach().numpy().copy() for p in params]


@pytest.mark.torch
@pytest.mark.parametrize(("name", "options"), CASES)
def test_twenty_steps_equal_pytorch(name, options):
    torch = pytest.importorskip("torch")
    p, q = ours(), theirs(torch)
    mine = getattr(optim, name)(p, **options)
    other = getattr(torch.optim, name)(q, **options)
    a, b = walk(mine, p, tinygrad_mmb.tensor), walk(other, q, torch.tensor)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9)  # the goal is 1e-6
    assert_same_state(mine, other)


def assert_same_state(mine, other):
    a, b = mine.state_dict(), other.state_dict()
    assert a["param_groups"] == b["param_groups"]
    assert [list(g) for g in a["param_groups"]] == [list(g) for g in b["param_groups"]]
    assert list(a["state"]) == list(b["state"])
    for i, theirs_i in b["state"].items():
        assert list(a["state"][i]) == list(theirs_i)
        for key, value in theirs_i.items():
            x = a["state"][i][key]
            assert str(x.dtype) == str(value.dtype).removeprefix("torch.")
            assert tuple(x.shape) == tuple(value.shape)
            np.testing.assert_allclose(x.numpy(), value.numpy(), rtol=1e-9, atol=1e-9)
    assert repr(mine) == repr(other)


FEW = [
    ("SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1}),
    ("RMSprop", {"momentum": 0.9, "centered": True}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5}),
    ("Adam", {"lr": 0.02, "amsgrad": True}),
    ("AdamW", {"lr": 0.02}),
]


@pytest.mark.torch
@pytest.mark.parametrize(("name", "options"), FEW)
def test_pytorchs_state_is_loaded_and_continued(name, options):
    torch = pytest.importorskip("torch")
    q = theirs(torch)
    other = getattr(torch.optim, name)(q, **options)
    walk(other, q, torch.tensor, range(7))
    p = [tinygrad_mmb.tensor(x.detach().numpy(), requires_grad=True) for x in q]
    mine = getattr(optim, name)(p)  # other options: the loaded ones replace them
    mine.load_state_dict(copy.deepcopy(other.state_dict()))
    assert_same_state(mine, other)
    a = walk(mine, p, tinygrad_mmb.tensor, range(7, 20))
    b = walk(other, q, torch.tensor, range(7, 20))
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9)


@pytest.mark.torch
@pytest.mark.parametrize(("name", "options"), FEW)
def test_pytorch_loads_our_state_and_continues(name, options):
    torch = pytest.importorskip("torch")
    p = ours()
    mine = getattr(optim, name)(p, **options)
    walk(mine, p, tinygrad_mmb.tensor, range(7))
    saved = mine.state_dict()
    saved["state"] = {
        i: {k: torch.tensor(v.numpy()) for k, v in s.items()} for i, s in saved["state"].items()
    }
    q = [torch.tensor(x.detach().numpy(), requires_grad=True) for x in p]
    other = getattr(torch.optim, name)(q)
    other.load_state_dict(saved)
    a = walk(mine, p, tinygrad_mmb.tensor, range(7, 20))
    b = walk(other, q, torch.tensor, range(7, 20))
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9)


@pytest.mark.torch
@pytest.mark.parametrize(("name", "options"), FEW)
def test_groups_with_options_of_their_own_equal_pytorch(name, options):
    torch = pytest.importorskip("torch")
    p, q = ours(), theirs(torch)

    def groups(x):
        return [{"params": x[:1], "lr": 0.3}, {"params": iter(x[1:2]), "weight_decay": 0.2}]

    mine = getattr(optim, name)(groups(p), **options)
    other = getattr(torch.optim, name)(groups(q), **options)
    mine.add_param_group({"params": p[2], "note": "late"})
    other.add_param_group({"params": q[2], "note": "late"})
    a, b = walk(mine, p, tinygrad_mmb.tensor), walk(other, q, torch.tensor)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9)
    assert_same_state(mine, other)


@pytest.mark.torch
@pytest.mark.parametrize(("name", "options"), FEW)
def test_a_float32_run_stays_within_rounding_of_pytorch(name, options):
    torch = pytest.importorskip("torch")
    p = [tinygrad_mmb.tensor(s.astype("float32"), requires_grad=True) for s in STARTS]
    q = [torch.tensor(s.astype("float32"), requires_grad=True) for s in STARTS]
    mine = getattr(optim, name)(p, **options)
    other = getattr(torch.optim, name)(q, **options)

    def f32(array, make):
        return make(np.asarray(array, dtype="float32"))

    a = walk(mine, p, lambda g: f32(g, tinygrad_mmb.tensor))
    b = walk(other, q, lambda g: f32(g, torch.tensor))
    for x, y in zip(a, b, strict=True):
        assert x.dtype == np.float32
        np.testing.assert_allclose(x, y, rtol=2e-5, atol=2e-5)  # 20 steps of float32 rounding


@pytest.mark.torch
@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adagrad", "Adam", "AdamW"])
def test_a_tensor_learning_rate_moves_as_in_pytorch(name):
    torch = pytest.importorskip("torch")
    p, q = ours(), theirs(torch)
    mine = getattr(optim, name)(p, lr=tinygrad_mmb.tensor(0.125))
    other = getattr(torch.optim, name)(q, lr=torch.tensor(0.125), foreach=False)
    a, b = walk(mine, p, tinygrad_mmb.tensor), walk(other, q, torch.tensor)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-6)  # PyTorch divides in float32


BAD = [
    *[(name, {"lr": -1.0}) for name in ("SGD", "RMSprop", "Adagrad", "Adam", "AdamW")],
    *[(name, {"lr": "fast"}) for name in ("SGD", "RMSprop", "Adagrad", "Adam", "AdamW")],
    *[(name, {"weight_decay": -1}) for name in ("SGD", "RMSprop", "Adagrad", "Adam", "AdamW")],
    *[(name, {"eps": -1e-8}) for name in ("RMSprop", "Adagrad", "Adam", "AdamW")],
    *[(name, {"learning_rate": 1}) for name in ("SGD", "RMSprop", "Adagrad", "Adam", "AdamW")],
    *[(name, {"fused": True, "foreach": True}) for name in ("SGD", "Adagrad", "Adam", "AdamW")],
    *[(name, {"fused": True, "differentiable": True}) for name in ("SGD", "Adagrad", "Adam")],
    ("SGD", {"momentum": -0.1}),
    ("SGD", {"nesterov": True}),
    ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
    ("RMSprop", {"momentum": -0.1}),
    ("RMSprop", {"alpha": -0.1}),
    ("RMSprop", {"lr": float("nan")}),
    ("Adagrad", {"lr_decay": -1}),
    ("Adagrad", {"initial_accumulator_value": -1}),
    ("Adam", {"betas": (1.0, 0.9)}),
    ("Adam", {"betas": (0.9, -0.1)}),
    ("Adam", {"betas": (0, 0)}),
    ("Adam", {"betas": (0.9,)}),
    ("AdamW", {"betas": 0.9}),
]


@pytest.mark.torch
@pytest.mark.parametrize(("name", "options"), BAD)
def test_what_pytorch_refuses_is_refused_with_its_error(name, options):
    torch = pytest.importorskip("torch")
    with pytest.raises(Exception) as theirs_error:
        getattr(torch.optim, name)(theirs(torch), **options)
    with pytest.raises(theirs_error.type):
        getattr(optim, name)(ours(), **options)


@pytest.mark.torch
@pytest.mark.parametrize(("name", "options"), FEW)
@pytest.mark.filterwarnings("ignore:.*duplicate parameters")
def test_a_parameter_listed_twice_is_moved_twice_as_in_pytorch(name, options):
    torch = pytest.importorskip("torch")
    p, q = ours()[:1], theirs(torch)[:1]
    mine = getattr(optim, name)(p + p, **options)
    other = getattr(torch.optim, name)(q + q, **options)
    a, b = walk(mine, p, tinygrad_mmb.tensor), walk(other, q, torch.tensor)
    np.testing.assert_allclose(a[0], b[0], rtol=1e-9, atol=1e-9)
