"""How Tensors behave on a GPU. Runs with --device stand-in or --device cuda."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb import nn, optim, serialization
from tinygrad_mmb.data import DataLoader, TensorDataset

pytestmark = pytest.mark.device_only

GPU = tm.device("cuda", 0)


def on_cpu(*values):
    return tm.tensor(values, device="cpu")


def test_new_tensors_are_made_on_the_default_device():
    made = [
        tm.tensor([1.0]), tm.zeros(2), tm.ones(2), tm.empty(2), tm.full((2,), 3), tm.arange(3),
        tm.linspace(0, 1, 3), tm.eye(2), tm.rand(2), tm.randn(2), tm.randint(3, (2,)),
        tm.randperm(3), tm.normal(0.0, 1.0, (2,)), tm.as_tensor([1.0]), nn.Linear(2, 2).weight,
    ]  # fmt: skip
    assert {t.device for t in made} == {GPU}
    assert all(t.is_cuda for t in made)


def test_device_says_where_and_the_cpu_stays_within_reach():
    x = tm.zeros(2, device="cpu")
    assert (x.device.type, x.is_cuda) == ("cpu", False)
    assert tm.zeros_like(x).device == x.device
    assert tm.rand_like(x).device == tm.randint_like(x, 3).device == x.device
    assert x.cuda().device == x.to("cuda").device == x.to(0).device == GPU
    assert x.cuda().cpu().device == x.device
    y = x.cuda()
    assert y.cuda() is y and y.to("cuda") is y and y.to("cuda:0") is y
    assert tm.tensor(x).device == x.device, "a copy of a Tensor stays where the Tensor is"


def test_a_copy_to_a_device_hands_the_gradient_back():
    x = tm.tensor([1.0, 2.0], device="cpu", requires_grad=True)
    (x.cuda() * 3.0).cpu().sum().backward()
    assert x.grad.device.type == "cpu"
    assert x.grad.tolist() == [3.0, 3.0]


def test_one_number_on_the_cpu_goes_along_and_gets_its_gradient_there():
    x = tm.tensor([1.0, 2.0], requires_grad=True)
    scale = tm.tensor(3.0, device="cpu", requires_grad=True)
    y = scale * x + tm.where(x > 1, x, tm.tensor(0.0, device="cpu"))
    assert y.tolist() == [3.0, 8.0]
    y.sum().backward()
    assert (scale.grad.device.type, scale.grad.item()) == ("cpu", 3.0)
    assert x.grad.tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    "f",
    [
        lambda x, c: x + c,
        lambda x, c: c + x,
        lambda x, c: c * tm.tensor(2.0),
        lambda x, c: x @ c,
        lambda x, c: tm.cat([x, c]),
        lambda x, c: tm.stack([c, x]),
        lambda x, c: tm.where(c > 0, x, x),
        lambda x, c: nn.functional.linear(x, c[None]),
        lambda x, c: nn.functional.mse_loss(x, c),
        lambda x, c: nn.functional.cross_entropy(x[None], tm.tensor([0], device="cpu")),
        lambda x, c: nn.functional.embedding(tm.tensor([0], device="cpu"), x[None]),
        lambda x, c: x.gather(0, tm.tensor([0], device="cpu")),
        lambda x, c: x.index_select(0, tm.tensor([0], device="cpu")),
        lambda x, c: x.add_(c),
        lambda x, c: c.mul_(x),
        lambda x, c: x.masked_fill(c > 0, 1.0),
        lambda x, c: x.__setitem__([0, 1], c),
        lambda x, c: (x * x.requires_grad_()).backward(c),
    ],
)
def test_operands_on_two_devices_are_refused_with_both_names(f):
    with pytest.raises(RuntimeError, match=r"cpu and cuda:0"):
        f(tm.tensor([1.0, 2.0]), on_cpu(1.0, 2.0))


def test_an_index_may_lie_on_the_cpu_but_not_on_another_gpu_than_its_tensor():
    x = tm.tensor([1.0, 2.0, 3.0])
    assert x[tm.tensor([2, 0], device="cpu")].tolist() == [3.0, 1.0]
    assert x[tm.tensor([True, False, True], device="cpu")].tolist() == [1.0, 3.0]
    x[tm.tensor([0], device="cpu")] = 5.0
    assert x.tolist() == [5.0, 2.0, 3.0]
    with pytest.raises(RuntimeError, match=r"either on cpu or on the same device .*\(cpu\)"):
        on_cpu(1.0, 2.0)[tm.tensor([0])]


@pytest.mark.parametrize("index", [[3], [-4], [[0, 7]]])
def test_an_index_out_of_bounds_raises_though_cupy_would_wrap_it(index):
    x = tm.tensor([1.0, 2.0, 3.0])
    with pytest.raises(IndexError, match="out of bounds for dimension 0 with size 3"):
        x[tm.tensor(index)]
    with pytest.raises(IndexError, match="out of bounds for dimension 0 with size 3"):
        x[tm.tensor(index)] = 0.0


def test_copying_in_crosses_devices():
    x, c = tm.zeros(2), on_cpu(1.0, 2.0)
    x.copy_(c)
    assert x.tolist() == [1.0, 2.0]
    c.copy_(x * 3)
    assert c.tolist() == [3.0, 6.0]
    x[:1] = c[1:]
    assert x.tolist() == [6.0, 2.0]
    x[[0, 1]] = tm.tensor(9.0, device="cpu")
    assert x.tolist() == [9.0, 9.0]


def test_a_gradient_of_another_device_is_refused_where_it_is_assigned():
    x = tm.zeros(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="different device: cpu for cuda:0"):
        x.grad = on_cpu(1.0, 2.0)


def test_an_optimizer_refuses_a_parameter_that_was_moved_without_its_gradient():
    p = tm.zeros(2, requires_grad=True)
    p.grad = tm.ones(2)
    p.data = on_cpu(1.0, 2.0)
    with pytest.raises(RuntimeError, match="cpu and cuda:0"):
        optim.SGD([p], lr=0.1).step()


def test_a_module_moves_with_parameters_gradients_and_buffers_and_its_optimizer_follows():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).to("cpu")
    optimizer = optim.Adam(net.parameters(), lr=0.1)
    net(tm.ones(4, 2, device="cpu")).sum().backward()
    weight = net[0].weight
    net.cuda()
    assert net[0].weight is weight
    assert {t.device for t in (*net.state_dict().values(), weight.grad)} == {GPU}
    optimizer.step()
    state = optimizer.state[weight]
    assert state["exp_avg"].device == state["exp_avg_sq"].device == GPU
    assert state["step"].device.type == "cpu", "PyTorch counts steps on the CPU"
    again = optim.Adam(net.cpu().parameters(), lr=0.1)
    again.load_state_dict(optimizer.state_dict())
    assert again.state[weight]["exp_avg"].device.type == "cpu"


def test_a_state_dict_of_the_other_device_loads():
    net, other = nn.Linear(2, 2), nn.Linear(2, 2).cpu()
    net.load_state_dict(other.state_dict())
    assert net.weight.device == GPU
    np.testing.assert_array_equal(net.weight.detach().cpu().numpy(), other.weight.detach().numpy())


def test_random_numbers_are_those_of_the_cpu():
    draws = []
    for where in ("cpu", "cuda"):
        tm.manual_seed(3)
        x = tm.rand(4, device=where)
        draws.append(
            (
                x.tolist(),
                tm.randn_like(x).tolist(),
                tm.randint(9, (4,), device=where).tolist(),
                tm.bernoulli(x).tolist(),
                tm.multinomial(x, 2).tolist(),
                tm.normal(x, x).tolist(),
            )
        )
    assert draws[0] == draws[1]
    with pytest.raises(NotImplementedError, match="draws are made on the host"):
        tm.Generator(device="cuda")


def test_numbers_leave_the_device_as_in_pytorch():
    x = tm.tensor([[1.0, 2.0]])
    assert x.tolist() == [[1.0, 2.0]]
    assert x[0, 1].item() == float(x[0, 1]) == int(x[0, 1]) == 2.0
    assert bool(x[0, 0]) and f"{x[0, 1]:.2f}" == "2.00"
    assert repr(x) == "tensor([[1., 2.]], device='cuda:0')"
    assert repr(x.requires_grad_() * 2).startswith("tensor([[2., 4.]], device='cuda:0', grad_fn=")
    np.testing.assert_array_equal(x.detach().cpu().numpy(), [[1.0, 2.0]])


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_copies_and_pickles_stay_on_the_device(copied):
    for x in (tm.tensor([1.0, 2.0]), nn.Parameter(tm.tensor([1.0, 2.0]))):
        y = copied(x)
        assert y.device == GPU
        assert y.tolist() == [1.0, 2.0]
        assert y.data_ptr() != x.data_ptr()


def test_files_hold_numbers_and_load_onto_the_cpu(tmp_path):
    net = nn.Linear(2, 2)
    serialization.save(net.state_dict(), tmp_path / "w.safetensors")
    found = serialization.load(tmp_path / "w.safetensors")
    assert net.load_state_dict(found) == ([], [])
    assert net.weight.device == GPU


def test_batches_are_sent_by_the_loop_and_a_training_learns():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 3)).astype(np.float32)
    t = (x @ np.array([[1.0], [-2.0], [0.5]], np.float32)).astype(np.float32)
    data = TensorDataset(tm.tensor(x, device="cpu"), tm.tensor(t, device="cpu"))
    net = nn.Linear(3, 1)
    optimizer = optim.Adam(net.parameters(), lr=0.1)
    for _ in range(20):
        for inputs, targets in DataLoader(data, batch_size=16):
            assert inputs.device.type == "cpu", "a data set knows no device"
            loss = nn.functional.mse_loss(net(inputs.cuda()), targets.cuda())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert loss.item() < 1e-2


def test_adding_at_repeated_places_is_bitwise_the_same_each_time():
    x = tm.randn(50, requires_grad=True)
    index = tm.randint(50, (4000,))
    weights = tm.randn(4000)
    first, second = (tm.autograd.grad((x[index] * weights).sum(), x)[0] for _ in "12")
    assert first.tolist() == second.tolist()
    expected = np.zeros(50)
    np.add.at(expected, np.array(index.tolist()), np.array(weights.tolist(), np.float64))
    np.testing.assert_allclose(first.tolist(), expected, rtol=1e-5, atol=1e-5)


def test_cuda_answers():
    assert tm.cuda.is_available()
    assert tm.cuda.device_count() >= 1
    assert tm.cuda.current_device() == 0
    tm.cuda.synchronize()
    tm.cuda.set_device(0)
    x = tm.zeros(1000)
    assert tm.cuda.memory_reserved() >= tm.cuda.memory_allocated() >= x.nbytes
    free, total = tm.cuda.mem_get_info()
    assert 0 < free <= total
    assert isinstance(tm.cuda.get_device_name(), str)
    assert tm.cuda.get_device_capability() >= (7, 5)
    tm.cuda.empty_cache()
    with pytest.raises(RuntimeError, match=r"there is no device 'cuda:99' here"):
        x.to("cuda:99")
    with pytest.raises(ValueError, match="expected a CUDA device, but got cpu"):
        tm.cuda.synchronize("cpu")


def test_set_default_device_is_what_creation_asks():
    tm.set_default_device("cpu")
    try:
        assert tm.get_default_device() == tm.device("cpu") == tm.zeros(1).device
    finally:
        tm.set_default_device("cuda")
    assert tm.get_default_device() == GPU
    with pytest.raises(TypeError, match="a device is 'cpu', 'cuda' or 'cuda:1'"):
        tm.zeros(1, device=1.5)
