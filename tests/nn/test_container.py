"""Sequential, ModuleList, ModuleDict, ParameterList."""

from __future__ import annotations

import pytest

import tinygrad_mmb as tm
from tinygrad_mmb import nn


def names(box):
    return [type(m).__name__ for m in box]


def test_sequential_runs_in_order_and_names_by_number():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    assert model(tm.ones(4, 2)).shape == (4, 1)
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_sequential_takes_names_from_a_dict():
    model = nn.Sequential({"first": nn.Linear(2, 3), "act": nn.ReLU()})
    assert model.first is model[0] and list(model.state_dict()) == ["first.weight", "first.bias"]


def test_sequential_is_edited_like_a_list():
    model = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid())
    assert names(model[1:]) == ["Tanh", "Sigmoid"] and isinstance(model[1:], nn.Sequential)
    assert type(model[-1]) is nn.Sigmoid and len(model) == 3
    model[0] = nn.ELU()
    del model[1]
    model.append(nn.SELU())
    model.insert(1, nn.GELU())
    assert names(model) == ["ELU", "GELU", "Sigmoid", "SELU"]
    assert type(model.pop(0)) is nn.ELU
    assert [n for n, _ in model.named_children()] == ["0", "1", "2"]
    with pytest.raises(IndexError, match="out of range"):
        model[5]
    with pytest.raises(TypeError, match="not a Module subclass"):
        model.append(3)


def test_a_module_list_is_a_list_whose_parameters_are_found():
    box = nn.ModuleList([nn.Linear(1, 1)])
    box.append(nn.Linear(1, 1))
    box.extend([nn.ReLU()])
    box.insert(0, nn.Tanh())
    box += [nn.SiLU()]
    assert names(box) == ["Tanh", "Linear", "Linear", "ReLU", "SiLU"]
    assert len(list(box.parameters())) == 4
    del box[0]
    box[0] = nn.Softplus()
    assert names(box[:2]) == ["Softplus", "Linear"] and type(box.pop(-1)) is nn.SiLU
    assert names(box + nn.ModuleList([nn.ELU()])) == ["Softplus", "Linear", "ReLU", "ELU"]
    with pytest.raises(IndexError, match="holds 3"):
        box[3]
    with pytest.raises(TypeError, match="iterable"):
        box.extend(3)


def test_more_than_ten_entries_stay_in_order():
    box = nn.ModuleList([nn.Linear(1, i + 1) for i in range(12)])
    assert [m.out_features for m in box] == list(range(1, 13))


def test_equal_neighbours_of_a_module_list_are_printed_once():
    box = nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1), nn.ReLU()])
    assert repr(box) == (
        "ModuleList(\n  (0-1): 2 x Linear(in_features=1, out_features=1, bias=True)\n"
        "  (2): ReLU()\n)"
    )


def test_a_module_dict_is_a_dict_whose_parameters_are_found():
    box = nn.ModuleDict({"a": nn.Linear(1, 1)})
    box["b"] = nn.ReLU()
    box.update([("c", nn.Tanh())])
    assert list(box) == list(box.keys()) == ["a", "b", "c"] and "a" in box and len(box) == 3
    assert names(box.values()) == ["Linear", "ReLU", "Tanh"]
    assert [k for k, _ in box.items()] == ["a", "b", "c"]
    assert type(box.pop("b")) is nn.ReLU
    del box["c"]
    with pytest.raises(KeyError):
        box["c"]
    with pytest.raises(KeyError):
        box["keys"] = nn.ReLU()
    box.clear()
    assert not len(box)


def test_a_parameter_list_makes_parameters_of_tensors():
    box = nn.ParameterList([tm.ones(2), nn.Parameter(tm.zeros(3))])
    box.append(tm.ones(1))
    assert [tuple(p.shape) for p in box.parameters()] == [(2,), (3,), (1,)]
    assert list(box.state_dict()) == ["0", "1", "2"] and len(box[1:]) == 2
    box[0] = tm.zeros(4)
    assert isinstance(box[0], nn.Parameter) and "Parameter containing" in repr(box)
    with pytest.raises(RuntimeError, match="should not be called"):
        box()
