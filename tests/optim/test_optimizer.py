"""What all optimizers have in common: groups, state, saving, errors."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_mmb
from tinygrad_mmb import optim
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.optim.optimizer import required

ALL = [optim.SGD, optim.RMSprop, optim.Adagrad, optim.Adam, optim.AdamW]


def parameter(*values):
    return tinygrad_mmb.tensor(np.array(values, dtype=float), requires_grad=True)


def give(p, *values):
    p.grad = tinygrad_mmb.tensor(np.array(values, dtype=float))


class Plain(optim.Optimizer):
    """θ ← θ - lr · g, as a student would write it."""

    def __init__(self, params, lr=0.5):
        super().__init__(params, {"lr": lr})

    def update(self, theta, g, state, *, lr):
        theta -= lr * g


class Counting(optim.Optimizer):
    def __init__(self, params):
        super().__init__(params, {})

    def update(self, theta, g, state, *, t):
        state["last"] = t * g  # made anew at each step, not written in place
        theta -= t


def test_an_algorithm_is_its_update():
    p = parameter(1.0, 2.0)
    optimizer = Plain([p])
    give(p, 2.0, -2.0)
    optimizer.step()
    assert p.tolist() == [0.0, 3.0]
    assert optimizer.state_dict()["state"] == {}


def test_t_counts_the_steps_of_each_parameter():
    p, q = parameter(0.0), parameter(0.0)
    optimizer = Counting([p, q])
    give(p, 1.0)
    optimizer.step()
    give(q, 1.0)
    optimizer.step()
    assert (p.item(), q.item()) == (-1 - 2, -1)
    assert optimizer.state[p]["step"].item() == 2.0
    assert optimizer.state[p]["last"].tolist() == [2.0]


@pytest.mark.parametrize("algorithm", ALL)
def test_a_parameter_without_gradient_stays(algorithm):
    p, q = parameter(1.0), parameter(1.0)
    optimizer = algorithm([p, q], lr=0.5)
    give(p, 1.0)
    optimizer.step()
    assert p.item() != 1.0
    assert q.item() == 1.0


@pytest.mark.parametrize("algorithm", ALL)
def test_the_gradient_is_left_as_it_was(algorithm):
    p = parameter(1.0, -3.0)
    give(p, 0.5, 2.0)
    algorithm([p], maximize=True, weight_decay=0.1).step()
    assert p.grad.tolist() == [0.5, 2.0]


@pytest.mark.parametrize("algorithm", ALL)
@pytest.mark.parametrize("shape", [(), (0,), (2, 3), (1, 1, 4)])
def test_any_shape_is_moved_in_place(algorithm, shape):
    p = tinygrad_mmb.tensor(np.ones(shape), requires_grad=True)
    array = p.array
    p.grad = tinygrad_mmb.tensor(np.ones(shape))
    optimizer = algorithm([p], lr=0.1)
    optimizer.step()
    optimizer.step()
    assert p.array is array
    assert p.shape == shape
    assert (p.array < 1).all()


@pytest.mark.host_only("NumPy shares memory with the CPU only")
def test_a_view_over_strided_memory_is_moved():
    memory = np.ones((4, 3))
    p = tinygrad_mmb.from_numpy(memory.T[:, ::2]).requires_grad_()
    p.grad = tinygrad_mmb.tensor(np.full((3, 2), 2.0))
    optim.SGD([p], lr=0.5).step()
    np.testing.assert_array_equal(memory[::2], np.zeros((2, 3)))
    np.testing.assert_array_equal(memory[1::2], np.ones((2, 3)))


def test_a_graph_that_saved_the_old_values_notices_the_step():
    p = parameter(1.0, 2.0)
    loss = (p * p).sum()
    give(p, 1.0, 1.0)
    optim.SGD([p], lr=0.1).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_step_calls_the_closure_and_returns_its_loss():
    p = parameter(3.0)
    optimizer = optim.SGD([p], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with tinygrad_mmb.no_grad():
        assert optimizer.step(closure).item() == 9.0
    assert p.item() == pytest.approx(3.0 - 0.1 * 6.0)


def test_zero_grad_sets_none_or_zeros():
    p = parameter(1.0)
    optimizer = optim.SGD([p])
    give(p, 1.0)
    kept = p.grad
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is kept
    assert kept.tolist() == [0.0]
    optimizer.zero_grad()
    assert p.grad is None


def test_leaving_out_zero_grad_doubles_the_gradient_of_a_constant_slope():
    p = parameter(1.0)
    for _ in range(2):
        (3.0 * p).sum().backward()
    assert p.grad.tolist() == [6.0]


def test_groups_have_options_of_their_own():
    p, q = parameter(1.0), parameter(1.0)
    optimizer = optim.SGD([{"params": p, "lr": 0.1}, {"params": [q]}], lr=0.5)
    give(p, 1.0)
    give(q, 1.0)
    optimizer.step()
    assert (p.item(), q.item()) == (pytest.approx(0.9), 0.5)


def test_named_parameters_keep_their_names():
    p, q = parameter(1.0), parameter(1.0)
    optimizer = optim.SGD([("weight", p), ("bias", q)])
    assert optimizer.param_groups[0]["params"] == [p, q]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]


@pytest.mark.parametrize("algorithm", ALL)
def test_saved_loaded_and_copied_optimizers_go_on_bit_for_bit(algorithm):
    def run(optimizer, p, steps):
        for k in steps:
            give(p, *np.sin(k + p.detach().numpy()))
            optimizer.step()

    p = parameter(0.3, -0.7)
    optimizer = algorithm([p], lr=0.05, weight_decay=0.01)
    run(optimizer, p, range(5))
    saved = copy.deepcopy(optimizer.state_dict())
    q = tinygrad_mmb.tensor(p.detach().numpy(), requires_grad=True)
    loaded = algorithm([q])
    loaded.load_state_dict(saved)
    copied, pickled = copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))
    run(optimizer, p, range(5, 10))
    run(loaded, q, range(5, 10))
    assert p.tolist() == q.tolist()
    for other in (copied, pickled):
        (r,) = other.param_groups[0]["params"]
        assert r is not p
        run(other, r, range(5, 10))
        assert p.tolist() == r.tolist()


def test_loaded_state_is_a_copy_in_the_dtype_of_the_parameter():
    p = parameter(1.0)
    give(p, 1.0)
    optimizer = optim.Adam([p])
    optimizer.step()
    q = tinygrad_mmb.tensor(np.float32([1.0]), requires_grad=True)
    other = optim.Adam([q])
    other.load_state_dict(optimizer.state_dict())
    assert str(other.state[q]["exp_avg"].dtype) == "float32"
    assert str(other.state[q]["step"].dtype) == "float32"
    give(p, 1.0)
    optimizer.step()
    assert other.state[q]["step"].item() == 1.0


def test_an_old_state_dict_is_completed():
    p = parameter(1.0)
    optimizer = optim.Adam([p])
    give(p, 1.0)
    optimizer.step()
    saved = optimizer.state_dict()
    saved["state"][0]["step"] = 1  # PyTorch before 1.12
    for key in ("amsgrad", "maximize", "decoupled_weight_decay"):
        del saved["param_groups"][0][key]
    optimizer.load_state_dict(saved)
    optimizer.step()
    assert optimizer.state[p]["step"].item() == 2.0


def test_a_state_without_momentum_yet_starts_it():
    p = parameter(1.0)
    optimizer = optim.SGD([p], lr=1.0, momentum=0.9)
    saved = optimizer.state_dict()
    optimizer.load_state_dict({**saved, "state": {0: {"momentum_buffer": None}}})
    give(p, 2.0)
    optimizer.step()
    assert optimizer.state[p]["momentum_buffer"].tolist() == [2.0]


def test_decoupled_decay_survives_loading_a_state_of_adam():
    p = parameter(1.0)
    optimizer = optim.AdamW([p])
    optimizer.load_state_dict(optim.Adam([p]).state_dict())
    assert optimizer.param_groups[0]["decoupled_weight_decay"] is True


@pytest.mark.host_only("its twin stands in for arrays of the CPU")
def test_a_twin_takes_all_parameters_of_a_group_at_once():
    taken = []
    p, q = parameter(1.0), parameter(2.0)
    optimizer = optim.Adam([p, q], lr=0.5)
    give(p, 1.0)
    give(q, 1.0)
    key = optimizer.kernel
    before = registry._table.get(key, [])[:]

    @registry.kernel(key, backend="test")
    def adam(thetas, gs, states, ts, *, lr, betas, **options):
        taken.append((len(thetas), len(gs), sorted(states[0]), ts, lr, betas))
        for theta in thetas:
            theta[...] = 7.0

    try:
        with registry.use_kernels("test"):
            optimizer.step()
    finally:
        registry._table[key] = before
        if not before:
            del registry._table[key]
    assert taken == [(2, 2, ["exp_avg", "exp_avg_sq"], [1.0, 1.0], 0.5, (0.9, 0.999))]
    assert (p.item(), q.item()) == (7.0, 7.0)


def test_a_class_with_an_update_of_its_own_never_runs_as_a_twin_of_ours():
    class Adam(optim.Adam):
        def update(self, theta, g, state, **options):
            theta[...] = 0.0

    assert optim.Adam.kernel == "Adam.update"
    assert Adam.kernel is None


def test_hooks_run_after_each_step_until_removed():
    p = parameter(1.0)
    optimizer = optim.SGD([p])
    seen = []
    handle = optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(o))
    optimizer.step()
    handle.remove()
    optimizer.step()
    assert seen == [optimizer]


def test_hooks_are_refused_where_they_would_not_run():
    class Own(optim.Optimizer):
        def step(self, closure=None):
            return None

    with pytest.raises(NotImplementedError, match="Own has a step"):
        Own([parameter(1.0)], {}).register_step_post_hook(print)


def test_an_optimizer_needs_an_update():
    p = parameter(1.0)
    give(p, 1.0)
    with pytest.raises(NotImplementedError, match="needs an update"):
        optim.Optimizer([p], {}).step()


@pytest.mark.parametrize(
    ("params", "error", "text"),
    [
        (lambda: [], ValueError, "empty parameter list"),
        (lambda: parameter(1.0), TypeError, "iterable of Tensors or dicts"),
        (lambda: [1.0], TypeError, "can only optimize Tensors.*float"),
        (lambda: [np.ones(2)], TypeError, "can only optimize Tensors.*ndarray"),
        (lambda: [parameter(1.0) * 2], ValueError, "non-leaf"),
        (lambda: [{"params": {parameter(1.0)}}], TypeError, "ordered collections"),
        (lambda: [{"params": [parameter(1.0)]}, parameter(1.0)], TypeError, "must be a dict"),
        (lambda: [{"lr": 1.0}], KeyError, "params"),
        (lambda: [("a", parameter(1.0)), parameter(1.0)], ValueError, "names"),
        (
            lambda: [{"params": [("a", parameter(1.0))]}, {"params": [parameter(1.0)]}],
            ValueError,
            "with/without names",
        ),
    ],
)
def test_what_is_no_list_of_parameters_is_refused(params, error, text):
    with pytest.raises(error, match=text):
        optim.SGD(params())


def test_a_parameter_belongs_to_one_group():
    p = parameter(1.0)
    with pytest.raises(ValueError, match="more than one parameter group"):
        optim.SGD([{"params": [p]}, {"params": [p]}])
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optim.SGD([p, p])


def test_required_options_must_be_given():
    with pytest.raises(ValueError, match="required optimization parameter lr"):
        optim.Optimizer([parameter(1.0)], {"lr": required})


def test_a_state_of_another_model_is_refused():
    p, q = parameter(1.0), parameter(1.0)
    one = optim.SGD([p]).state_dict()
    with pytest.raises(ValueError, match="different number of parameter groups: 1, but"):
        optim.SGD([{"params": [p]}, {"params": [q]}]).load_state_dict(one)
    with pytest.raises(ValueError, match="group 0 has 1 parameters there and 2 here"):
        optim.SGD([p, q]).load_state_dict(one)


@pytest.mark.parametrize(
    ("algorithm", "option"),
    [
        (optim.SGD, "differentiable"),
        (optim.RMSprop, "capturable"),
        (optim.RMSprop, "differentiable"),
        (optim.Adagrad, "differentiable"),
        (optim.Adam, "capturable"),
        (optim.AdamW, "differentiable"),
    ],
)
def test_switches_that_are_not_here_are_refused_by_name(algorithm, option):
    with pytest.raises(NotImplementedError, match=f"{algorithm.__name__}\\({option}=True"):
        algorithm([parameter(1.0)], **{option: True})


@pytest.mark.parametrize("algorithm", ALL)
def test_a_learning_rate_is_one_number(algorithm):
    with pytest.raises(ValueError, match="1-element"):
        algorithm([parameter(1.0)], lr=tinygrad_mmb.tensor([0.1, 0.2]))


def test_options_of_ours_name_their_values():
    with pytest.raises(ValueError, match="eps_mode is 'middle'"):
        optim.Adam([parameter(1.0)], eps_mode="middle")
    with pytest.raises(ValueError, match="momentum_form is 'heavy'"):
        optim.SGD([parameter(1.0)], momentum=0.9, momentum_form="heavy")
    with pytest.raises(ValueError, match="neither nesterov nor dampening"):
        optim.SGD([parameter(1.0)], momentum=0.9, nesterov=True, momentum_form="ema")


def loop(p, optimizer, zero):
    for _ in range(3):
        if zero is not None:
            optimizer.zero_grad(set_to_none=zero)
        (p * p).sum().backward()
        optimizer.step()


def test_a_forgotten_zero_grad_is_warned_of():
    p = parameter(1.0, 2.0)
    optimizer = optim.SGD([p], lr=0.1)
    with (
        optim.warn_if_grad_accumulates(optimizer),
        pytest.warns(UserWarning, match=r"group 0, number 0, shape \(2,\).*zero_grad"),
    ):
        loop(p, optimizer, None)


@pytest.mark.parametrize("set_to_none", [True, False])
@pytest.mark.filterwarnings("error")
def test_a_loop_with_zero_grad_is_silent(set_to_none):
    p = parameter(1.0, 2.0)
    optimizer = optim.SGD([p], lr=0.1)
    with optim.warn_if_grad_accumulates(optimizer):
        loop(p, optimizer, set_to_none)


@pytest.mark.filterwarnings("error")
def test_gradients_added_up_before_a_step_are_silent_and_so_is_the_loop_afterwards():
    p = parameter(1.0, 2.0)
    optimizer = optim.SGD([p], lr=0.1)
    with optim.warn_if_grad_accumulates(optimizer):
        for _ in range(2):
            optimizer.zero_grad()
            for _ in range(3):
                (p * p).sum().backward()
            optimizer.step()
    loop(p, optimizer, None)  # outside nothing is watched


def test_options_of_an_update_stand_behind_a_star():
    with pytest.raises(TypeError, match=r"Loose\.update: lr should stand behind a star.*\*, lr"):

        class Loose(optim.Optimizer):
            def update(self, theta, g, state, lr):
                theta -= lr * g


def test_an_update_that_returns_new_values_is_refused():
    class Returning(optim.Optimizer):
        def update(self, theta, g, state, *, lr):
            return theta - lr * g

    p = parameter(1.0)
    give(p, 1.0)
    with pytest.raises(TypeError, match=r"Returning\.update returned.*in place"):
        Returning([p], {"lr": 0.1}).step()
