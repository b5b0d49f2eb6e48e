"""Module: what it finds, saves, moves, prints and refuses."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3)
        self.scale = nn.Parameter(tm.ones(3))
        self.register_buffer("count", tm.tensor(0))
        self.register_buffer("scratch", tm.zeros(2), persistent=False)
        self.plain = tm.zeros(4)

    def forward(self, x):
        return self.inner(x) * self.scale


class WithoutSuper(nn.Module):
    def __init__(self):
        self.first = nn.Linear(2, 3)
        self.second = nn.Linear(3, 1)

    def forward(self, x):
        return self.second(tm.relu(self.first(x)))


def test_own_parameters_come_before_those_of_children():
    assert [n for n, _ in Block().named_parameters()] == ["scale", "inner.weight", "inner.bias"]


def test_a_module_works_without_calling_super():
    model = WithoutSuper()
    assert model.training and len(list(model.parameters())) == 4
    assert model.eval().training is False and model.first.training is False
    assert model(tm.ones(5, 2)).shape == (5, 1)


def test_the_state_dict_holds_parameters_and_persistent_buffers_only():
    assert list(Block().state_dict()) == ["scale", "count", "inner.weight", "inner.bias"]


def test_buffers_include_those_that_are_not_saved():
    assert [n for n, _ in Block().named_buffers()] == ["count", "scratch"]


def test_a_shared_parameter_comes_once_and_is_saved_under_both_names():
    a, b = nn.Linear(3, 3), nn.Linear(3, 3)
    b.weight = a.weight
    model = nn.Sequential(a, b)
    assert len(list(model.parameters())) == 3
    assert list(model.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    model(tm.ones(1, 3)).sum().backward()
    assert a.weight.grad is b.weight.grad


def test_a_shared_module_comes_once():
    relu = nn.ReLU()
    assert len(list(nn.Sequential(nn.Linear(1, 1), relu, nn.Linear(1, 1), relu).modules())) == 4


def test_a_bare_list_of_modules_is_refused_and_module_list_named():
    class Wrong(nn.Module):
        def __init__(self):
            self.layers = [nn.Linear(2, 2)]

    with pytest.raises(TypeError, match=r"Wrong\.layers is a bare list.*nn\.ModuleList"):
        list(Wrong().parameters())


def test_loading_copies_values_and_keeps_the_parameters():
    a, b = nn.Linear(3, 2), nn.Linear(3, 2)
    weight = b.weight
    assert repr(b.load_state_dict(a.state_dict())) == "<All keys matched successfully>"
    assert b.weight is weight
    np.testing.assert_array_equal(a.weight.detach().numpy(), b.weight.detach().numpy())
    assert b.weight.requires_grad


def test_loading_names_missing_and_unexpected_keys():
    state = nn.Linear(3, 2).state_dict()
    state["extra"] = state.pop("bias")
    with pytest.raises(RuntimeError, match=r'(?s)Missing key.*"bias"') as error:
        nn.Linear(3, 2).load_state_dict(state)
    assert 'Unexpected key(s) in state_dict: "extra"' in str(error.value)
    keys = nn.Linear(3, 2).load_state_dict(state, strict=False)
    assert keys == (["bias"], ["extra"])


def test_loading_another_shape_is_refused_even_when_not_strict():
    with pytest.raises(RuntimeError, match=r"size mismatch for weight.*\(2, 3\).*\(2, 4\)"):
        nn.Linear(4, 2).load_state_dict(nn.Linear(3, 2).state_dict(), strict=False)


def test_loading_something_that_is_no_dict_is_a_type_error():
    with pytest.raises(TypeError, match="dict-like"):
        nn.Linear(1, 1).load_state_dict([1])


def test_loading_an_array_asks_for_a_tensor():
    with pytest.raises(RuntimeError, match=r"expected Tensor from checkpoint.*from_numpy"):
        nn.Linear(1, 1, bias=False).load_state_dict({"weight": np.ones((1, 1))})


def test_assign_takes_the_tensors_themselves():
    model, new = nn.Linear(2, 1, bias=False), tm.ones(1, 2, dtype=tm.float64)
    model.load_state_dict({"weight": new}, assign=True)
    assert model.weight.dtype == tm.float64 and isinstance(model.weight, nn.Parameter)


def test_to_converts_floating_state_and_gradients_and_leaves_integers():
    model = Block()
    model(tm.ones(1, 3)).sum().backward()
    parameter = model.scale
    model.double()
    assert model.scale is parameter
    assert {p.dtype for p in model.parameters()} == {np.dtype("float64")}
    assert {p.grad.dtype for p in model.parameters()} == {np.dtype("float64")}
    assert model.count.dtype == tm.int64 and model.scratch.dtype == tm.float64


def test_to_refuses_an_integer_dtype():
    with pytest.raises(TypeError, match="floating point"):
        nn.Linear(1, 1).to(tm.int64)


def test_zero_grad_forgets_or_fills_with_zeros():
    model = nn.Linear(2, 1)
    model(tm.ones(1, 2)).sum().backward()
    model.zero_grad(set_to_none=False)
    np.testing.assert_array_equal(model.weight.grad.numpy(), [[0.0, 0.0]])
    model.zero_grad()
    assert model.weight.grad is None


def test_requires_grad_freezes():
    model = nn.Linear(2, 1).requires_grad_(False)
    assert not model(tm.ones(1, 2)).requires_grad


def test_apply_visits_children_first():
    seen = []
    nn.Sequential(nn.Linear(1, 1), nn.ReLU()).apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Linear", "ReLU", "Sequential"]


def test_train_wants_a_bool():
    with pytest.raises(ValueError, match="boolean"):
        nn.ReLU().train("yes")


def test_hooks_see_and_change_what_goes_in_and_comes_out():
    model = nn.Identity()
    before = model.register_forward_pre_hook(lambda m, inputs: (inputs[0] + 1,))
    after = model.register_forward_hook(lambda m, inputs, output: output * 10)
    assert model(tm.tensor(1.0)).item() == 20.0
    before.remove()
    assert model(tm.tensor(1.0)).item() == 10.0
    with after:
        pass
    assert model(tm.tensor(1.0)).item() == 1.0


def test_hooks_run_in_order_and_prepended_ones_first():
    seen = []
    model = nn.Identity()
    model.register_forward_hook(lambda *_: seen.append("a"))
    model.register_forward_hook(lambda *_: seen.append("b"), prepend=True)
    model(tm.tensor(1.0))
    assert seen == ["b", "a"]


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match=r"Module \[Empty\] is missing"):
        type("Empty", (nn.Module,), {})()(1)


def test_submodules_parameters_and_buffers_are_found_by_path():
    model = nn.Sequential(Block())
    assert model.get_submodule("0.inner") is model[0].inner
    assert model.get_parameter("0.inner.bias") is model[0].inner.bias
    assert model.get_buffer("0.count") is model[0].count
    with pytest.raises(AttributeError, match="has no attribute `nothing`"):
        model.get_submodule("0.nothing")
    with pytest.raises(AttributeError, match=r"not an nn\.Parameter"):
        model.get_parameter("0.count")
    with pytest.raises(AttributeError, match="not a buffer"):
        model.get_buffer("0.scale")


@pytest.mark.parametrize(
    ("register", "name", "value", "error"),
    [
        ("add_module", "a.b", nn.ReLU(), KeyError),
        ("add_module", "", nn.ReLU(), KeyError),
        ("add_module", "forward", nn.ReLU(), KeyError),
        ("add_module", "a", 3, TypeError),
        ("register_module", 3, nn.ReLU(), TypeError),
        ("register_parameter", "a.b", None, KeyError),
        ("register_parameter", "a", tm.ones(1), TypeError),
        ("register_buffer", "", None, KeyError),
        ("register_buffer", "a", 3, TypeError),
        ("register_buffer", "forward", None, KeyError),
    ],
)
def test_registering_checks_names_and_kinds(register, name, value, error):
    with pytest.raises(error):
        getattr(nn.Module(), register)(name, value)


def test_a_result_cannot_be_a_parameter():
    p = nn.Parameter(tm.ones(1))
    q = nn.Parameter(tm.ones(1))
    q.grad_fn = (p * 2).grad_fn
    with pytest.raises(ValueError, match="parameters are leaves"):
        nn.Module().register_parameter("a", q)


def test_none_as_parameter_means_there_is_none():
    model = nn.Module()
    model.register_parameter("bias", None)
    assert model.bias is None and list(model.parameters()) == []


def test_a_deep_copy_shares_nothing():
    model = nn.Sequential(Block(), nn.BatchNorm1d(3))
    model(tm.randn(4, 3)).sum().backward()
    twin = copy.deepcopy(model)
    before = model[0].scale.detach().numpy().copy()
    with tm.no_grad():
        twin[0].scale.add_(1.0)
        twin[1].running_mean.add_(1.0)
    np.testing.assert_array_equal(model[0].scale.detach().numpy(), before)
    assert isinstance(twin[0].scale, nn.Parameter) and twin[0].scale.requires_grad
    assert not np.array_equal(model[1].running_mean.numpy(), twin[1].running_mean.numpy())
    twin(tm.ones(2, 3)).sum().backward()


def test_a_deep_copy_keeps_shared_parameters_shared():
    a, b = nn.Linear(3, 3), nn.Linear(3, 3)
    b.weight = a.weight
    twin = copy.deepcopy(nn.Sequential(a, b))
    assert twin[0].weight is twin[1].weight


def test_a_module_comes_back_from_a_pickle():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    twin = pickle.loads(pickle.dumps(model))
    assert list(twin.state_dict()) == list(model.state_dict())
    x = tm.randn(2, 1, 5, 5)
    np.testing.assert_array_equal(twin.eval()(x).detach().numpy(), model.eval()(x).detach().numpy())
    assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in twin.parameters())


def test_the_tree_is_printed_as_in_pytorch():
    assert repr(nn.Linear(3, 2)) == "Linear(in_features=3, out_features=2, bias=True)"
    assert repr(nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.ReLU()))) == (
        "Sequential(\n  (0): Linear(in_features=1, out_features=1, bias=True)\n"
        "  (1): Sequential(\n    (0): ReLU()\n  )\n)"
    )


def test_a_parameter_requires_a_gradient_and_prints_as_one():
    p = nn.Parameter(tm.ones(2))
    assert p.requires_grad and p.is_leaf
    assert repr(p).startswith("Parameter containing:\ntensor(")
    assert not nn.Parameter(tm.ones(2), requires_grad=False).requires_grad


def test_the_summary_has_shapes_parameters_and_their_sum():
    model = nn.Sequential(nn.Linear(3, 128), nn.ReLU(), nn.Linear(128, 2))
    text = nn.summary(model, tm.ones(5, 3))
    assert "770 parameters, 770 trained" in text
    assert "(5, 128)" in text and "(5, 2)" in text and "512" in text and "258" in text
    assert model.training
    assert "770 parameters" in nn.summary(model)
