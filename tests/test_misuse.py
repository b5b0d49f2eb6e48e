"""Mistakes that beginners make: PyTorch's error type, and a text that says how to mend it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tinygrad_mmb as tm


def used(m):
    """A parameter in a graph that was run backward once."""
    w = m.ones(3, requires_grad=True)
    loss = (w * w).sum()
    loss.backward()
    return loss


def written_over(m):
    x = m.ones(3, requires_grad=True)
    y = x.exp()
    y += 1
    return y.sum()


def one_write(m, target):
    target += 1


def returning_nothing(m):
    class Net(m.nn.Module):
        def forward(self, x):
            x * 2

    return Net()


def without_forward(m):
    class Net(m.nn.Module):
        pass

    return Net()


def numbers(m, length=True, item=True):
    """A data set that lacks a method."""

    class Numbers(m.utils.data.Dataset):
        if length:

            def __len__(self):
                return 2

        if item:

            def __getitem__(self, i):
                return m.ones(i + 1)

    return Numbers()


def params(m):
    return list(m.nn.Linear(2, 2).parameters())


def sgd(m):
    return m.optim.SGD(params(m), lr=0.1)


# what a beginner writes, the error it raises here and in PyTorch, what the text has to say
MISTAKES = {
    # gradients
    "backward twice": (
        lambda m: used(m).backward(),
        RuntimeError, r"MulBackward0.*freed.*retain_graph=True"),
    "backward from a vector": (
        lambda m: (m.ones(3, requires_grad=True) * 2).backward(),
        RuntimeError, r"shape \(3,\).*loss\.mean\(\).*gradient="),
    "backward where nothing requires a gradient": (
        lambda m: m.ones(3).sum().backward(),
        RuntimeError, r"does not require grad.*requires_grad=True.*no_grad"),
    "backward through argmax": (
        lambda m: m.ones(2, 3, requires_grad=True).argmax(1).sum().backward(),
        RuntimeError, r"does not require grad"),
    "writing over what backward needs": (
        lambda m: written_over(m).backward(),
        RuntimeError, r"ExpBackward0.*shape \(3,\).*out of place.*clone\(\)"),
    "gradients of integers": (
        lambda m: m.tensor([1, 2], requires_grad=True),
        RuntimeError, r"int64.*x\.float\(\)\.requires_grad_\(\)"),
    "changing a parameter in place": (
        lambda m: one_write(m, m.nn.Linear(2, 2).weight),
        RuntimeError, r"leaf.*in-place.*no_grad\(\)"),
    "writing into a part of a parameter": (
        lambda m: m.ones(3, requires_grad=True).__setitem__(0, 5.0),
        RuntimeError, r"view of a leaf.*no_grad\(\)"),
    "numpy() of what has a gradient": (
        lambda m: m.ones(3, requires_grad=True).numpy(),
        RuntimeError, r"detach\(\)\.numpy\(\)"),
    "freezing a result": (
        lambda m: (m.ones(3, requires_grad=True) * 2).requires_grad_(False),
        RuntimeError, r"leaf.*x\.detach\(\)"),
    "a hook on a constant": (
        lambda m: m.ones(3).register_hook(print),
        RuntimeError, r"doesn't require gradient.*requires_grad_\(\)"),
    "a gradient of another shape": (
        lambda m: (m.ones(2, requires_grad=True) * 2).backward(m.ones(3)),
        RuntimeError, r"\(3,\).*\(2,\).*equal"),
    "grad() of what was not used": (
        lambda m: m.autograd.grad(m.ones(2, requires_grad=True).sum(),
            m.ones(3, requires_grad=True)),
        RuntimeError, r"not have been used.*shape \(3,\).*allow_unused=True"),
    # numbers out of Tensors
    "item() of many": (lambda m: m.ones(3).item(), RuntimeError, r"3 elements.*tolist\(\)"),
    "if with many": (
        lambda m: bool(m.ones(3) > 0),
        RuntimeError, r"ambiguous.*\.any\(\).*\.all\(\)"),
    "len of a number": (lambda m: len(m.tensor(3.0)), TypeError, r"0-d"),
    "a loop over a number": (lambda m: list(m.tensor(3.0)), TypeError, r"0-d"),
    # making Tensors
    "rows of different lengths": (
        lambda m: m.tensor([[1, 2], [3]]),
        ValueError, r"length 2.*row 1 has length 1.*pad or cut"),
    "numbers beside rows": (
        lambda m: m.tensor([1, [2]]),
        TypeError, r"numbers and lists.*\[1, \[2\]\]"),
    "text": (lambda m: m.tensor("cat"), TypeError, r"'cat'.*number the words"),
    "a list of words": (lambda m: m.tensor(["cat", "dog"]), ValueError, r"'cat'.*number the words"),
    "None among numbers": (lambda m: m.tensor([1.0, None]), RuntimeError, r"NoneType.*numbers"),
    "None as a float": (lambda m: m.tensor(None), RuntimeError, r"NoneType"),
    "a dictionary": (lambda m: m.tensor({"a": 1}), RuntimeError, r"dict: \{'a': 1\}"),
    "a negative size": (lambda m: m.zeros(-1), RuntimeError, r"negative dimension -1"),
    "a size that is no integer": (
        lambda m: m.zeros(2.0),
        TypeError, r"'size' must be int, not float"),
    "an unknown keyword": (lambda m: m.zeros(2, shape=3), TypeError, r"zeros\(\).*'shape'"),
    "axis misspelt": (lambda m: m.ones(2, 3).sum(axes=1), TypeError, r"sum\(\).*'axes'"),
    "a list for a Tensor": (lambda m: m.relu([1.0]), TypeError, r"list.*tensor\(x\)"),
    "a word plus a Tensor": (lambda m: m.ones(2) + "a", TypeError, r"number.*str"),
    "a list plus a Tensor": (lambda m: m.ones(2) * [1, 2], TypeError, r"list.*tensor\(x\)"),
    "None plus a Tensor": (lambda m: m.ones(2) + None, TypeError, r"NoneType.*`return`"),
    # shapes
    "adding shapes that do not fit": (
        lambda m: m.ones(2, 3) + m.ones(2, 4),
        RuntimeError, r"\(3\).*\(4\).*dimension 1.*\(2, 3\) and \(2, 4\).*from the right"),
    "multiplying matrices that do not fit": (
        lambda m: m.ones(2, 3) @ m.ones(2, 3),
        RuntimeError, r"matmul: shapes \(2, 3\) and \(2, 3\).*is 3.*is 2.*transposed"),
    "float32 times float64": (
        lambda m: m.ones(2, 3) @ m.ones(3, 2, dtype=m.float64),
        RuntimeError, r"matmul.*float32 and float64.*\.to\("),
    "a matrix times a number": (
        lambda m: m.ones(2, 3) @ m.tensor(2.0), RuntimeError, r"\(2, 3\) and \(\).*Use \*"),
    "reshape to another number": (
        lambda m: m.ones(6).reshape(4, 2), RuntimeError, r"\[4, 2\].*size 6.*multiply to 6"),
    "reshape with a -1 that does not go": (
        lambda m: m.ones(6).reshape(4, -1), RuntimeError, r"\[4, -1\].*no multiple of 4"),
    "two sizes -1": (lambda m: m.ones(6).reshape(-1, -1), RuntimeError, r"only one.*\[-1, -1\]"),
    "view of a transpose": (
        lambda m: m.ones(2, 3).t().view(6), RuntimeError, r"\[3, 2\].*\.reshape"),
    "a dimension that is not there": (
        lambda m: m.ones(2, 3).sum(dim=2), IndexError, r"\[-2, 1\].*got 2.*has 2 dimensions"),
    "a negative dimension that is not there": (
        lambda m: m.ones(3).softmax(dim=-2), IndexError, r"\[-1, 0\].*got -2.*has 1 dimension,"),
    "expand of a size that is not 1": (
        lambda m: m.ones(2, 3).expand(4, 3), RuntimeError, r"\(4\).*\(2\).*size 1"),
    "concatenating shapes that do not fit": (
        lambda m: m.cat([m.ones(2, 3), m.ones(2, 4)]),
        RuntimeError, r"dimension 0.*size 3.*size 4.*number 1"),
    "concatenating without a list": (
        lambda m: m.cat(m.ones(2), m.ones(2)), TypeError, r"cat\(\[a, b\]\)"),
    "concatenating nothing": (lambda m: m.cat([]), (ValueError, RuntimeError), r"non-empty"),
    "stacking different shapes": (
        lambda m: m.stack([m.ones(2), m.ones(3)]), RuntimeError,
        r"\[2\] at entry 0.*\[3\] at entry 1"),
    "mean of integers": (lambda m: m.tensor([1, 2]).mean(), RuntimeError, r"int64.*x\.float\(\)"),
    "integers divided in place": (
        lambda m: m.tensor([1, 2]).div_(2), RuntimeError, r"float32.*int64.*out of place"),
    # indexing
    "indexing with a float": (lambda m: m.ones(3)[1.0], IndexError, r"integers.*float"),
    "indexing with floats": (
        lambda m: m.ones(3)[m.tensor([0.0])], IndexError, r"float32.*index\.long\(\)"),
    "an index out of range": (lambda m: m.ones(3)[3], IndexError, r"index 3.*size 3"),
    "too many indices": (lambda m: m.ones(3)[0, 0], IndexError, r"too many.*\[3\]"),
    "a mask of another shape": (
        lambda m: m.ones(3)[m.tensor([True, False])], IndexError, r"\[2\].*\[3\]"),
    "assigning another shape": (
        lambda m: m.ones(3).__setitem__(slice(None), m.ones(2)), RuntimeError, r"\(3\).*\(2\)"),
    "where without a comparison": (
        lambda m: m.where(m.ones(3), m.ones(3), m.ones(3)),
        RuntimeError, r"bool.*float32.*x != 0"),
    # layers
    "Linear of another width": (
        lambda m: m.nn.Linear(784, 10)(m.ones(32, 28, 28)),
        RuntimeError,
        r"\(32, 28, 28\).*last dimension is 28.*784.*Flatten x first, or build Linear\(28, 10\)"),
    "float64 into a float32 layer": (
        lambda m: m.nn.Linear(2, 1)(m.ones(3, 2, dtype=m.float64)),
        RuntimeError, r"linear.*float64, float32.*x\.to\(dtype\)"),
    "integers into a layer": (
        lambda m: m.nn.Linear(2, 1)(m.ones(3, 2, dtype=m.int64)),
        RuntimeError, r"linear.*int64, float32.*x\.to\(dtype\)"),
    "a list into a layer": (
        lambda m: m.nn.Linear(2, 1)([[1.0, 2.0]]), TypeError, r"linear.*list.*tensor\("),
    "a NumPy array into a layer": (
        lambda m: m.nn.Linear(2, 1)(np.ones((3, 2), np.float32)), TypeError,
        r"linear.*array.*tensor\("),
    "Linear without its output": (lambda m: m.nn.Linear(10), TypeError, r"'out_features'"),
    "Linear with an activation": (
        lambda m: m.nn.Linear(2, 3, activation="relu"), TypeError, r"Linear.*'activation'"),
    "Linear of half a unit": (lambda m: m.nn.Linear(5 / 2, 3), TypeError, r"integers.*2\.5.*//"),
    "Linear of -1 units": (lambda m: m.nn.Linear(-1, 3), RuntimeError, r"negative dimension -1"),
    "Conv2d without channels": (
        lambda m: m.nn.Conv2d(1, 8, 3)(m.ones(28, 28)),
        RuntimeError, r"conv2d.*N x C x H x W.*\(28, 28\).*unsqueeze"),
    "Conv2d of other channels": (
        lambda m: m.nn.Conv2d(1, 8, 3)(m.ones(32, 28, 28)),
        RuntimeError, r"\(32, 28, 28\).*1 channels.*got 32.*\(N, C, H, W\)"),
    "a kernel larger than the picture": (
        lambda m: m.nn.Conv2d(1, 8, 5)(m.ones(1, 1, 3, 3)),
        RuntimeError, r"\(1, 1, 3, 3\).*covers 5.*has 3"),
    "MaxPool2d of a matrix": (
        lambda m: m.nn.MaxPool2d(2)(m.ones(3)), RuntimeError, r"max_pool2d.*\(C, H, W\).*\(3,\)"),
    "BatchNorm1d of other features": (
        lambda m: m.nn.BatchNorm1d(4)(m.ones(2, 3)),
        RuntimeError, r"batch_norm of input \(2, 3\).*3 elements.*\(4,\).*3 features"),
    "BatchNorm1d of a batch of one": (
        lambda m: m.nn.BatchNorm1d(4)(m.ones(1, 4)),
        ValueError, r"more than 1 value.*\(?larger batch.*eval\(\)"),
    "BatchNorm2d of a matrix": (
        lambda m: m.nn.BatchNorm2d(4)(m.ones(2, 4)), ValueError, r"BatchNorm2d\(4\).*4D.*\(2, 4\)"),
    "LayerNorm of other features": (
        lambda m: m.nn.LayerNorm(4)(m.ones(2, 3)), RuntimeError, r"\(2, 3\).*\[\*, 4\]"),
    "a word outside the table": (
        lambda m: m.nn.Embedding(3, 2)(m.tensor([3])), IndexError, r"index 3.*rows 0 to 2"),
    "words as floats": (
        lambda m: m.nn.Embedding(3, 2)(m.tensor([1.0])), RuntimeError, r"float32.*x\.long\(\)"),
    "dropping more than all": (
        lambda m: m.nn.Dropout(1.5), ValueError, r"Dropout.*between 0 and 1.*1\.5"),
    "two inputs for one": (
        lambda m: m.nn.Linear(2, 2)(m.ones(2), m.ones(2)), TypeError, r"forward\(\) takes 2"),
    # modules
    "no forward": (
        lambda m: without_forward(m)(m.ones(2)),
        NotImplementedError, r"Net.*def forward"),
    "a forward that returns nothing, into a loss": (
        lambda m: m.nn.MSELoss()(returning_nothing(m)(m.ones(2)), m.ones(2)),
        AttributeError, r"mse_loss.*NoneType.*`return`"),
    "a forward that returns nothing, into a layer": (
        lambda m: m.nn.Sequential(returning_nothing(m), m.nn.Linear(2, 2))(m.ones(2)),
        TypeError, r"linear.*NoneType.*`return`"),
    "Sequential of a list": (
        lambda m: m.nn.Sequential([m.nn.ReLU()]), TypeError,
        r"list is not.*nn\.Sequential\(\*layers\)"),
    "Sequential of a class": (
        lambda m: m.nn.Sequential(m.nn.ReLU), TypeError, r"argument 0.*ReLU\(\.\.\.\)"),
    "Sequential of a function": (
        lambda m: m.nn.Sequential(len), TypeError, r"argument 0.*forward\(\)"),
    "a misspelt layer": (lambda m: m.nn.Linaer(2, 2), AttributeError, r"Linaer"),
    "a misspelt attribute": (lambda m: m.nn.Linear(2, 2).wieght, AttributeError, r"Linear.*wieght"),
    "calling a ModuleList": (
        lambda m: m.nn.ModuleList([m.nn.ReLU()])(m.ones(2)), NotImplementedError,
        r"ModuleList.*forward"),
    "train('no')": (lambda m: m.nn.ReLU().train("no"), ValueError, r"bool"),
    # losses
    "the loss given Tensors when it is made": (
        lambda m: m.nn.MSELoss(m.ones(3), m.ones(3)),
        RuntimeError, r"MSELoss.*nn\.MSELoss\(\)\(input, target\)"),
    "the loss without its target": (lambda m: m.nn.MSELoss()(m.ones(3)), TypeError, r"'target'"),
    "target before logits": (
        lambda m: m.nn.CrossEntropyLoss()(m.tensor([0, 1, 2]), m.ones(3, 3)),
        NotImplementedError, r"\(3,\) and target \(3, 3\).*swapped.*input, target"),
    "target before log-probabilities": (
        lambda m: m.nn.NLLLoss()(m.tensor([0, 1, 2]), m.ones(3, 3)), RuntimeError, r"swapped"),
    "one-hot integers": (
        lambda m: m.nn.CrossEntropyLoss()(m.ones(3, 3), m.eye(3).long()),
        RuntimeError, r"int64.*argmax\(dim=1\).*float\(\)"),
    "classes as floats": (
        lambda m: m.nn.CrossEntropyLoss()(m.ones(3, 3), m.tensor([0.0, 1.0, 2.0])),
        RuntimeError, r"int64.*float32.*target\.long\(\)"),
    "a class out of range": (
        lambda m: m.nn.CrossEntropyLoss()(m.ones(3, 3), m.tensor([0, 1, 3])),
        IndexError, r"target 3.*3 classes, 0 to 2"),
    "classes counted from 1, the last one missing": (
        lambda m: m.nn.CrossEntropyLoss()(m.ones(2, 3), m.tensor([0, -1])), IndexError,
        r"target -1"),
    "another number of targets": (
        lambda m: m.nn.CrossEntropyLoss()(m.ones(3, 3), m.tensor([0, 1])),
        ValueError, r"\(3, 3\) and target \(2,\).*shape \(3,\)"),
    "a column of targets": (
        lambda m: m.nn.CrossEntropyLoss()(m.ones(3, 3), m.tensor([[0], [1], [2]])),
        RuntimeError, r"target \(3, 1\).*shape \(3,\)"),
    "an unknown reduction": (
        lambda m: m.nn.CrossEntropyLoss(reduction="avg")(m.ones(1, 3), m.tensor([0])),
        ValueError, r"'avg'.*none, mean or sum"),
    "logits into BCELoss": (
        lambda m: m.nn.BCELoss()(m.tensor([2.0, -1.0]), m.tensor([1.0, 0.0])),
        RuntimeError, r"between 0 and 1.*with_logits"),
    "integer targets of BCELoss": (
        lambda m: m.nn.BCELoss()(m.tensor([0.5]), m.tensor([1])),
        RuntimeError, r"int64.*float32.*target\.to\("),
    "(n, 1) against (n,) in BCELoss": (
        lambda m: m.nn.BCELoss()(m.ones(3, 1), m.ones(3)),
        ValueError, r"\(3, 1\).*\(3,\).*x\.squeeze\(1\)"),
    "(n, 1) against (n,) in BCEWithLogitsLoss": (
        lambda m: m.nn.BCEWithLogitsLoss()(m.ones(3, 1), m.ones(3)),
        ValueError, r"\(3,\).*\(3, 1\).*x\.squeeze\(1\)"),
    # optimizers and schedules
    "an empty list of parameters": (
        lambda m: m.optim.SGD([], lr=0.1), ValueError, r"empty.*model\.parameters\(\)"),
    "a Tensor for a list": (
        lambda m: m.optim.SGD(m.nn.Parameter(m.ones(2)), lr=0.1), TypeError,
        r"shape \(2,\).*\[x\]"),
    "the model for its parameters": (
        lambda m: m.optim.SGD(m.nn.Linear(2, 2), lr=0.1), TypeError,
        r"Linear.*model\.parameters\(\)"),
    "parameters without brackets": (
        lambda m: m.optim.SGD(m.nn.Linear(2, 2).parameters, lr=0.1), TypeError, r"brackets"),
    "arrays as parameters": (
        lambda m: m.optim.SGD([np.ones(2)], lr=0.1), TypeError, r"ndarray \(number 0\)"),
    "a result as a parameter": (
        lambda m: m.optim.SGD([m.ones(2, requires_grad=True) * 2], lr=0.1),
        ValueError, r"params\[0\].*result.*x\.detach\(\)"),
    "a parameter in two groups": (
        lambda m: m.optim.SGD([{"params": [p]} for p in [m.nn.Parameter(m.ones(2))] * 2], lr=0.1),
        ValueError, r"more than one.*Leave them out"),
    "a group without parameters": (lambda m: m.optim.SGD([{"lr": 0.1}]), KeyError, r"params.*'lr'"),
    "a negative lr": (
        lambda m: m.optim.SGD(params(m), lr=-1.0),
        ValueError, r"rate: -1\.0.*0 or more"),
    "a negative lr of Adam": (lambda m: m.optim.Adam(params(m), lr=-1.0), ValueError, r"0 or more"),
    "lr as text": (lambda m: m.optim.SGD(params(m), lr="0.1"), TypeError, r"number.*'0\.1'"),
    "one beta": (lambda m: m.optim.Adam(params(m), betas=0.9), TypeError, r"two numbers.*0\.9"),
    "a beta of 1": (
        lambda m: m.optim.Adam(params(m), betas=(1.0, 0.9)), ValueError,
        r"index 0: 1\.0.*\[0, 1\)"),
    "momentum for Adam": (
        lambda m: m.optim.Adam(params(m), momentum=0.9),
        TypeError, r"'momentum'"),
    "nesterov without momentum": (
        lambda m: m.optim.SGD(params(m), lr=0.1, nesterov=True), ValueError, r"momentum=0.*Try"),
    "a schedule for the model": (
        lambda m: m.optim.lr_scheduler.StepLR(m.nn.Linear(2, 2), 1), TypeError,
        r"Linear.*optimizer"),
    "ReduceLROnPlateau without a number": (
        lambda m: m.optim.lr_scheduler.ReduceLROnPlateau(sgd(m)).step(), TypeError, r"'metrics'"),
    # saving and loading
    "a key missing": (
        lambda m: m.nn.Linear(2, 2).load_state_dict({"weight": m.ones(2, 2)}),
        RuntimeError, r'Linear.*\n.*Missing key.*"bias"'),
    "a key too many": (
        lambda m: m.nn.Linear(2, 2, bias=False).load_state_dict(m.nn.Linear(2, 2).state_dict()),
        RuntimeError, r'Unexpected key.*"bias"'),
    "weights of another size": (
        lambda m: m.nn.Linear(2, 2).load_state_dict(m.nn.Linear(3, 2).state_dict()),
        RuntimeError, r"weight.*[(\[]2, 3[)\]].*[(\[]2, 2[)\]]"),
    "a path for a state dict": (
        lambda m: m.nn.Linear(2, 2).load_state_dict("model.pt"), TypeError, r"dict-like.*str"),
    "the state of another optimizer": (
        lambda m: sgd(m).load_state_dict(m.optim.SGD(params(m)[:1], lr=0.1).state_dict()),
        ValueError, r"group.*1 parameters.*2"),
    # data
    "an empty data set, shuffled": (
        lambda m: m.utils.data.DataLoader([], shuffle=True), ValueError, r"num_samples=0.*empty"),
    "a batch of 0": (
        lambda m: m.utils.data.DataLoader([1], batch_size=0), ValueError,
        r"positive.*batch_size=0"),
    "a data set without a length": (
        lambda m: len(m.utils.data.DataLoader(numbers(m, length=False), batch_size=2)),
        TypeError, r"Numbers.*__len__"),
    "a data set without a length, shuffled": (
        lambda m: m.utils.data.DataLoader(numbers(m, length=False), shuffle=True),
        TypeError, r"Numbers.*__len__"),
    "a data set without samples": (
        lambda m: list(m.utils.data.DataLoader(numbers(m, item=False))),
        NotImplementedError, r"Numbers.*__getitem__"),
    "samples of different shapes": (
        lambda m: list(m.utils.data.DataLoader(numbers(m), batch_size=2)),
        RuntimeError, r"\(1,\), \(2,\).*collate_fn"),
    "samples that are None": (
        lambda m: list(m.utils.data.DataLoader([None, None])), TypeError, r"NoneType.*collate_fn"),
    "columns of different lengths": (
        lambda m: m.utils.data.TensorDataset(m.ones(3, 2), m.ones(2)),
        AssertionError, r"Size mismatch.*\[3, 2\].*same number of rows"),
    "arrays in a TensorDataset": (
        lambda m: m.utils.data.TensorDataset(np.ones((3, 2))), TypeError, r"ndarray.*from_numpy"),
    "parts that do not add up": (
        lambda m: m.utils.data.random_split(range(10), [5, 4]),
        ValueError, r"5 \+ 4 is not 10.*counts"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_what_came_and_how_to_mend_it(mistake):
    call, error, text = MISTAKES[mistake]
    with pytest.raises(error, match=f"(?s){text}"):
        call(tm)


@pytest.mark.torch
@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.filterwarnings("ignore")
def test_pytorch_raises_the_same_type(mistake):
    torch = pytest.importorskip("torch")
    call, _, _ = MISTAKES[mistake]
    with pytest.raises(Exception) as theirs:
        call(torch)
    with pytest.raises(Exception) as ours:
        call(tm)
    assert ours.type.__name__ == theirs.type.__name__


def test_a_plain_list_of_modules_is_refused_where_pytorch_would_lose_it():
    class Net(tm.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [tm.nn.Linear(2, 2)]

    with pytest.raises(TypeError, match=r"Net\.layers is a bare list.*nn\.ModuleList"):
        tm.optim.SGD(Net().parameters(), lr=0.1)


def test_super_init_may_be_forgotten():
    class Net(tm.nn.Module):
        def __init__(self):
            self.linear = tm.nn.Linear(2, 1)

        def forward(self, x):
            return self.linear(x)

    assert Net()(tm.ones(3, 2)).shape == (3, 1)
    assert [name for name, _ in Net().named_parameters()] == ["linear.weight", "linear.bias"]


@pytest.mark.parametrize("loss", ["MSELoss", "L1Loss"])
def test_n_against_n_1_in_a_loss_warns(loss):
    with pytest.warns(UserWarning, match=r"\(5, 1\).*\(5,\).*every input.*y\.squeeze\(1\)"):
        getattr(tm.nn, loss)()(tm.ones(5, 1), tm.ones(5))


def test_a_parameter_twice_in_an_optimizer_warns():
    p = tm.nn.Parameter(tm.ones(2))
    with pytest.warns(UserWarning, match="duplicate parameters.*for every time it is listed"):
        tm.optim.SGD([p, p], lr=0.1)


def test_a_schedule_that_steps_before_its_optimizer_warns():
    scheduler = tm.optim.lr_scheduler.StepLR(sgd(tm), 1)
    with pytest.warns(UserWarning, match=r"before `optimizer\.step\(\)`.*first value"):
        scheduler.step()


def test_a_running_sum_of_losses_without_item_is_no_error():
    w = tm.ones(3, requires_grad=True)
    total = 0
    for _ in range(3):
        loss = (w * w).sum()
        loss.backward()
        total += loss
    assert total.item() == 9.0


def test_a_damaged_file_is_refused_by_its_path(tmp_path):
    path = tmp_path / "model.safetensors"
    tm.serialization.save(tm.nn.Linear(2, 2).state_dict(), path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(tm.serialization.DamagedFileError, match=r"model\.safetensors"):
        tm.serialization.load(path)


def test_no_mistake_comes_with_a_warning_of_numpy():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        for call, error, _ in MISTAKES.values():
            with pytest.raises(error):
                call(tm)
