"""What every kind of module owes, by walking all of them: nobody lists layers by hand."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
from collections import OrderedDict

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.wrong_functions import WrongCube, WrongSecondSlope
from tinygrad_mmb import nn, ops, serialization
from tinygrad_mmb.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from tinygrad_mmb.nn.samples import all_modules, as_function, cases
from tinygrad_mmb.ops.random import default_generator

for found in pkgutil.walk_packages(tm.__path__, "tinygrad_mmb."):
    if not found.name.endswith("__main__"):
        try:
            importlib.import_module(found.name)
        except ModuleNotFoundError as error:  # of an extra that is not installed: numba
            if str(error.name).startswith("tinygrad_mmb"):
                raise

KINDS = sorted(
    {cls for cls in all_modules() if cls.__module__.startswith("tinygrad_mmb.")},
    key=lambda cls: cls.__name__,
)


def runs(kind):
    """The others only hold things."""
    return kind.forward is not nn.Module.forward


RUN = [kind for kind in KINDS if runs(kind)]
N = 4  # the first size where it counts samples
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda cls: cls.__name__)
every_kind_that_runs = pytest.mark.parametrize("kind", RUN, ids=lambda cls: cls.__name__)


def drawn(kind, seed=0):
    """The samples: the same inputs each time, other weights for another seed."""
    tm.manual_seed(seed)
    return list(cases(kind, np.random.default_rng(0), N))


def outputs(module, inputs):
    y = module(*inputs)
    return y if isinstance(y, tuple) else (y,)


def run(module, inputs):
    """The arrays that come out, after the same random numbers each time."""
    default_generator.manual_seed(7)
    return [y.detach().numpy().copy() for y in outputs(module, inputs)]


def assert_same(left, right):
    for a, b in zip(left, right, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def state(module):
    return {name: value.numpy().copy() for name, value in module.state_dict().items()}


def counts_samples(arrays):
    return all(a.ndim and a.shape[0] == N for a in arrays)


@every_kind
def test_every_module_has_samples_and_says_what_it_computes(kind):
    assert drawn(kind), f"{kind.__name__}.samples yields nothing"
    assert all(type(module) is kind for module, _ in drawn(kind))
    assert kind.__doc__, f"{kind.__name__} has no docstring"


def test_everything_that_nn_offers_is_walked():
    offered = {getattr(nn, name) for name in nn.__all__} - {nn.Module}
    assert {c for c in offered if isinstance(c, type) and issubclass(c, nn.Module)} <= set(KINDS)
    assert {cls.__name__ for cls in KINDS} >= {"CNN", "ResidualMLP", "Standardize"}


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@every_kind_that_runs
def test_first_and_second_derivatives_agree_with_finite_differences(kind, training):
    for module, inputs in drawn(kind):
        f, parameters = as_function(module.train(training))
        values = (*inputs, *parameters)
        ys = f(*values)
        if any(y.requires_grad for y in (ys if isinstance(ys, tuple) else (ys,))):
            gradcheck(f, values, name=kind.__name__)
            gradgradcheck(f, values, name=kind.__name__, atol=1e-4)
        else:
            assert not parameters, f"{kind.__name__} has parameters, but no gradient"


@every_kind_that_runs
def test_in_evaluation_a_row_is_what_it_is_alone(kind):
    checked = 0
    for module, inputs in drawn(kind):
        together = run(module.eval(), inputs)
        if not counts_samples([*inputs, *together]):
            continue
        checked += 1
        for i in range(N):
            alone = run(module, [x[i : i + 1] for x in inputs])
            for y, rows in zip(alone, together, strict=True):
                np.testing.assert_allclose(y, rows[i : i + 1], rtol=1e-12, atol=1e-14)
    assert checked, f"{kind.__name__}: no sample has N rows in and N rows out"


@every_kind
def test_a_saved_state_makes_another_module_the_same(kind, tmp_path):
    for (module, inputs), (other, _) in zip(drawn(kind), drawn(kind, seed=1), strict=True):
        if runs(kind):
            run(module.train(), inputs)  # running statistics move
        serialization.save(module.state_dict(), tmp_path / "state.safetensors")
        loaded = other.load_state_dict(serialization.load(tmp_path / "state.safetensors"))
        assert repr(loaded) == "<All keys matched successfully>"
        assert_same(state(module).values(), state(other).values())
        if runs(kind):
            assert_same(run(module.eval(), inputs), run(other.eval(), inputs))


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"]
)
@every_kind
def test_a_copy_computes_the_same_and_shares_nothing(kind, copied):
    for module, inputs in drawn(kind):
        twin = copied(module)
        assert type(twin) is kind and repr(twin) == repr(module)
        assert list(twin.state_dict()) == list(module.state_dict())
        for training in (True, False) if runs(kind) else ():
            assert_same(run(module.train(training), inputs), run(twin.train(training), inputs))
        before = state(module)
        with tm.no_grad():
            for value in (*twin.parameters(), *twin.buffers()):
                value.fill_(3)
        assert_same(before.values(), state(module).values())
        flags = [p.requires_grad for p in module.parameters()]
        assert [p.requires_grad for p in twin.parameters()] == flags


@every_kind
def test_train_and_eval_reach_all_inside(kind):
    for module, inputs in drawn(kind):
        assert all(m.training for m in module.modules())
        assert module.eval() is module and not any(m.training for m in module.modules())
        if runs(kind):
            before = state(module)
            assert_same(*[[y.detach().numpy() for y in outputs(module, inputs)] for _ in "ab"])
            assert_same(before.values(), state(module).values())
        assert module.train() is module and all(m.training for m in module.modules())


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(tm.float64, 1e-12), (tm.float32, 1e-5), (tm.float16, 2e-2)], ids=str
)
@every_kind
def test_floating_state_and_outputs_take_the_dtype_asked_for(kind, dtype, tolerance):
    for module, inputs in drawn(kind):
        kept = {k: v.dtype for k, v in state(module).items() if v.dtype.kind != "f"}
        exact = run(module.eval(), inputs) if runs(kind) else []
        assert module.to(dtype) is module
        for name, value in module.state_dict().items():
            assert value.dtype == kept.get(name, dtype)
        if not runs(kind):
            continue
        lower = [x.detach().to(dtype) if x.dtype.kind == "f" else x for x in inputs]
        for y, expected in zip(run(module, lower), exact, strict=True):
            assert y.dtype == (dtype if expected.dtype.kind == "f" else expected.dtype)
            if y.dtype.kind == "f":
                np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance)


@every_kind
def test_printed_lines_have_no_blanks_at_their_ends(kind):
    for module, _ in drawn(kind):
        assert all(line and line == line.rstrip() for line in repr(module).split("\n"))


@pytest.mark.torch
@every_kind
def test_a_module_is_printed_as_pytorch_prints_the_same_one(kind):
    torch = pytest.importorskip("torch")

    def theirs(module):
        """PyTorch's module of that repr, or of the same name around the same children."""
        name, children = type(module).__name__, list(module._own_modules())
        if isinstance(module, nn.ParameterList):
            return torch.nn.ParameterList([torch.from_numpy(p.detach().numpy()) for p in module])
        if not children:
            return eval(repr(module), {}, Words(vars(torch.nn)))
        made = getattr(torch.nn, name, None) or type(name, (torch.nn.Module,), {})
        twin = made()
        twin.extra_repr = module.extra_repr
        for key, child in OrderedDict(children).items():
            twin.add_module(key, theirs(child))
        return twin

    for module, _ in drawn(kind):
        if kind.__module__.startswith("tinygrad_mmb.nn") or list(module.children()):
            assert repr(module) == repr(theirs(module)).replace("torch.float", "float")


class Words(dict):
    """PyTorch's names; any other word is itself, as padding=same is printed without quotes."""

    def __missing__(self, word):
        return word


class Wrong(nn.Module):
    """Around one of the ops above."""

    op = WrongCube

    def forward(self, x):
        return self.op.apply(x)

    @classmethod
    def samples(cls, rng, n):
        yield cls(), rng.standard_normal((n, 3))


class WrongTwice(Wrong):
    """Right in the first order only."""

    op = WrongSecondSlope


class Mixing(Wrong):
    """Takes the mean of all samples off each."""

    def forward(self, x):
        return x - ops.mean(x, 0, keepdim=True)


class Forgetful(Wrong):
    """Its scale is a plain Tensor, so that no state dict has it."""

    def __init__(self):
        self.scale = tm.rand(1, dtype=tm.float64)

    def forward(self, x):
        return x * self.scale


class Detached(Wrong):
    """Its weight is there, but gets no gradient."""

    def __init__(self):
        self.weight = nn.Parameter(tm.ones(3))

    def forward(self, x):
        return (x * self.weight).detach()


class WithoutSamples(nn.Module):
    """Somebody forgot."""

    def forward(self, x):
        return x


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", [Wrong, WrongTwice])
def test_a_wrong_backward_fails_the_walk(kind, training):
    with pytest.raises(GradcheckError, match=f"{kind.__name__}, input 0 of shape"):
        test_first_and_second_derivatives_agree_with_finite_differences(kind, training)


def test_a_parameter_without_a_gradient_fails_the_walk():
    with pytest.raises(AssertionError, match="no gradient"):
        test_first_and_second_derivatives_agree_with_finite_differences(Detached, True)


def test_a_module_without_samples_fails_the_walk():
    assert WithoutSamples in set(all_modules())
    with pytest.raises(NotImplementedError, match=r"WithoutSamples\.samples"):
        test_every_module_has_samples_and_says_what_it_computes(WithoutSamples)


def test_rows_that_see_one_another_fail_the_walk():
    with pytest.raises(AssertionError, match="Not equal"):
        test_in_evaluation_a_row_is_what_it_is_alone(Mixing)


def test_state_that_is_not_saved_fails_the_walk(tmp_path):
    with pytest.raises(AssertionError, match="not equal"):
        test_a_saved_state_makes_another_module_the_same(Forgetful, tmp_path)


def test_a_child_named_samples_is_allowed_as_in_pytorch():
    box = nn.ModuleDict({"samples": nn.Linear(1, 1)})
    assert list(box.state_dict()) == ["samples.weight", "samples.bias"]
