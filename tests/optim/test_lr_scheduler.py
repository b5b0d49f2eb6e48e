"""Schedules: closed forms, PyTorch's values, state, errors."""

import copy
import math
import warnings

import numpy as np
import pytest

import tinygrad_mmb
from tinygrad_mmb import optim
from tinygrad_mmb.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    ReduceLROnPlateau,
    StepLR,
)


def sgd(*rates):
    groups = [{"params": [tinygrad_mmb.tensor([1.0], requires_grad=True)], "lr": r} for r in rates]
    return optim.SGD(groups)


def rates(schedule, n):
    """The rate of the first group in epochs 0 to n - 1."""
    seen = []
    for _ in range(n):
        seen.append(schedule.get_last_lr()[0])
        schedule.optimizer.step()
        schedule.step()
    return seen


def test_constant():
    assert rates(LambdaLR(sgd(0.1), lambda epoch: 1.0), 4) == [0.1] * 4


def test_a_function_of_the_epoch():
    assert rates(LambdaLR(sgd(0.5), lambda epoch: epoch + 1), 3) == [0.5, 1.0, 1.5]


@pytest.mark.parametrize(("n", "gamma"), [(1, 0.5), (3, 0.9), (100, 0.9)])
def test_steps_of_gamma_every_n(n, gamma):
    """TR07, N31: after k · n steps α · 0.9ᵏ; with n = 100 step 250 has 0.81 α."""
    seen = rates(StepLR(sgd(0.1), step_size=n, gamma=gamma), 251)
    np.testing.assert_allclose(seen, [0.1 * gamma ** (k // n) for k in range(251)])
    if n == 100:
        assert seen[250] == pytest.approx(0.081)


def test_exponential():
    seen = rates(ExponentialLR(sgd(0.1), gamma=0.9), 20)
    np.testing.assert_allclose(seen, [0.1 * 0.9**k for k in range(20)])


def test_linear_to_zero():
    seen = rates(LinearLR(sgd(0.4), 1.0, 0.0, total_iters=4), 7)
    np.testing.assert_allclose(seen, [0.4, 0.3, 0.2, 0.1, 0.0, 0.0, 0.0], atol=1e-15)


def test_linear_warm_up():
    seen = rates(LinearLR(sgd(0.3), total_iters=4), 6)
    np.testing.assert_allclose(seen, [0.1, 0.15, 0.2, 0.25, 0.3, 0.3])


def test_cosine_goes_down_half_a_wave_and_up_again():
    seen = rates(CosineAnnealingLR(sgd(1.0), T_max=10, eta_min=0.2), 35)
    exact = [0.2 + 0.8 * (1 + math.cos(math.pi * k / 10)) / 2 for k in range(35)]
    np.testing.assert_allclose(seen, exact, atol=1e-9)


def test_a_plateau_halves_the_rate_at_most_k_times():
    """TR08, N31: ρ = 0.5 after n epochs without improvement, at most k times."""
    n, k = 3, 2
    schedule = ReduceLROnPlateau(sgd(0.8), factor=0.5, patience=n - 1, max_reductions=k)
    seen = []
    for _ in range(16):
        schedule.step(1.0)
        seen.append(schedule.get_last_lr()[0])
    assert seen == [0.8] * 3 + [0.4] * 3 + [0.2] * 10


def test_an_improving_metric_never_lowers_the_rate():
    schedule = ReduceLROnPlateau(sgd(0.8), factor=0.5, patience=0)
    for epoch in range(50):
        schedule.step(1.0 / (epoch + 1))
    assert schedule.get_last_lr() == [0.8]


def test_annealing_ends_lower_than_a_constant_rate_on_a_noisy_parabola():
    """TR06, and the floor lr s² / (2 (2 - lr λ)) of the constant rate."""

    def end(schedule):
        rng = np.random.default_rng(0)
        w = tinygrad_mmb.tensor(np.full(2000, 5.0), requires_grad=True)  # 2000 runs at once
        optimizer = optim.SGD([w], lr=0.5)
        scheduler = schedule(optimizer)
        for _ in range(200):
            w.grad = tinygrad_mmb.tensor(w.detach().numpy() + rng.standard_normal(2000))
            optimizer.step()
            scheduler.step()
        return float((w.detach().numpy() ** 2).mean() / 2)

    constant = end(lambda o: LambdaLR(o, lambda epoch: 1.0))
    assert constant == pytest.approx(0.5 / (2 * (2 - 0.5)), rel=0.1)
    for annealed in (
        lambda o: LinearLR(o, 1.0, 0.0, total_iters=200),
        lambda o: ExponentialLR(o, 0.98),
        lambda o: CosineAnnealingLR(o, 200),
    ):
        assert end(annealed) < constant / 5


def test_a_change_by_hand_is_multiplied_on():
    optimizer = sgd(1.0)
    schedule = ExponentialLR(optimizer, 0.5)
    optimizer.param_groups[0]["lr"] = 0.1
    optimizer.step()
    schedule.step()
    assert schedule.get_last_lr() == [0.05]


MAKERS = {
    "LambdaLR": lambda m, o: m.LambdaLR(o, lambda epoch: 0.95**epoch),
    "LambdaLR, a list": lambda m, o: m.LambdaLR(o, [lambda e: e // 3, lambda e: 1 / (1 + e)]),
    "StepLR": lambda m, o: m.StepLR(o, 4, gamma=0.3),
    "ExponentialLR": lambda m, o: m.ExponentialLR(o, 0.8),
    "LinearLR": lambda m, o: m.LinearLR(o),
    "LinearLR down": lambda m, o: m.LinearLR(o, 1.0, 0.25, 9),
    "CosineAnnealingLR": lambda m, o: m.CosineAnnealingLR(o, 7),
    "CosineAnnealingLR to a floor": lambda m, o: m.CosineAnnealingLR(o, T_max=5, eta_min=0.03),
    "two at once": lambda m, o: [m.LinearLR(o, total_iters=6), m.ExponentialLR(o, 0.9)][-1],
}


def pair(torch, **options):
    q = [torch.zeros(1, requires_grad=True) for _ in range(2)]
    groups = [{"params": [q[0]], "lr": 0.2}, {"params": [q[1]]}]
    return sgd(0.2, 0.05), torch.optim.SGD(groups, lr=0.05)


def without_functions(state):
    return {k: v for k, v in state.items() if k != "lr_lambdas"}


@pytest.mark.torch
@pytest.mark.parametrize("name", MAKERS)
def test_values_and_state_equal_pytorch(name):
    torch = pytest.importorskip("torch")
    mine, other = pair(torch)
    a = MAKERS[name](optim.lr_scheduler, mine)
    b = MAKERS[name](torch.optim.lr_scheduler, other)
    for _ in range(40):
        np.testing.assert_allclose(a.get_last_lr(), b.get_last_lr(), rtol=1e-12, atol=1e-15)
        assert [g["initial_lr"] for g in mine.param_groups] == [0.2, 0.05]
        mine.step(), other.step()
        a.step(), b.step()
    x, y = a.state_dict(), b.state_dict()
    assert list(x) == list(y)
    for key in without_functions(y):
        np.testing.assert_allclose(x[key], y[key], rtol=1e-12, atol=1e-15)


@pytest.mark.torch
@pytest.mark.parametrize("name", list(MAKERS)[:-1])
def test_a_schedule_resumed_by_last_epoch_equals_pytorch(name):
    torch = pytest.importorskip("torch")
    mine, other = pair(torch)
    a = MAKERS[name](optim.lr_scheduler, mine)
    b = MAKERS[name](torch.optim.lr_scheduler, other)
    for _ in range(3):
        mine.step(), other.step()
        a.step(), b.step()
    makers = {
        "LambdaLR": lambda m, o: m.LambdaLR(o, lambda epoch: 0.95**epoch, last_epoch=3),
        "StepLR": lambda m, o: m.StepLR(o, 4, gamma=0.3, last_epoch=3),
        "ExponentialLR": lambda m, o: m.ExponentialLR(o, 0.8, last_epoch=3),
        "LinearLR": lambda m, o: m.LinearLR(o, last_epoch=3),
        "CosineAnnealingLR": lambda m, o: m.CosineAnnealingLR(o, 7, last_epoch=3),
    }
    make = makers.get(name, makers["StepLR"])
    a, b = make(optim.lr_scheduler, mine), make(torch.optim.lr_scheduler, other)
    for _ in range(6):
        np.testing.assert_allclose(a.get_last_lr(), b.get_last_lr(), rtol=1e-12)
        mine.step(), other.step()
        a.step(), b.step()


@pytest.mark.torch
@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.filterwarnings("ignore:.*epoch parameter")
def test_a_jump_to_an_epoch_equals_pytorch(name):
    torch = pytest.importorskip("torch")
    mine, other = pair(torch)
    a = MAKERS[name](optim.lr_scheduler, mine)
    b = MAKERS[name](torch.optim.lr_scheduler, other)
    mine.step(), other.step()
    for epoch in (5, 2, 11):
        a.step(epoch), b.step(epoch)
        np.testing.assert_allclose(a.get_last_lr(), b.get_last_lr(), rtol=1e-12, atol=1e-15)


@pytest.mark.torch
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize("cooldown", [0, 2])
@pytest.mark.parametrize("min_lr", [0, [0.05, 0.001]])
def test_a_plateau_equals_pytorch(mode, threshold_mode, cooldown, min_lr):
    torch = pytest.importorskip("torch")
    options = {
        "mode": mode,
        "threshold_mode": threshold_mode,
        "cooldown": cooldown,
        "min_lr": min_lr,
        "patience": 2,
        "factor": 0.5,
        "threshold": 0.01,
    }
    mine, other = pair(torch)
    a = ReduceLROnPlateau(mine, **options)
    b = torch.optim.lr_scheduler.ReduceLROnPlateau(other, **options)
    metrics = np.random.default_rng(0).standard_normal(60).cumsum() / 10 + 1
    for metric in metrics:
        a.step(tinygrad_mmb.tensor(metric)), b.step(torch.tensor(metric))
        assert a.get_last_lr() == b.get_last_lr()
    assert a.state_dict() == b.state_dict()
    assert list(a.state_dict()) == list(b.state_dict())


@pytest.mark.parametrize("name", MAKERS)
def test_a_loaded_schedule_goes_on(name):
    optimizer = sgd(0.2, 0.05)
    schedule = MAKERS[name](optim.lr_scheduler, optimizer)
    rates(schedule, 4)
    saved = copy.deepcopy((optimizer.state_dict(), schedule.state_dict()))
    expected = rates(schedule, 8)
    again = sgd(1.0, 1.0)
    other = MAKERS[name](optim.lr_scheduler, again)
    other.load_state_dict(saved[1])
    again.load_state_dict(saved[0])
    assert rates(other, 8) == expected


def test_a_loaded_plateau_goes_on():
    schedule = ReduceLROnPlateau(sgd(0.2), patience=2, max_reductions=1)
    for _ in range(3):
        schedule.step(1.0)
    other = ReduceLROnPlateau(sgd(0.2), mode="max", max_reductions=5)
    other.load_state_dict(copy.deepcopy(schedule.state_dict()))
    for _ in range(9):
        other.step(1.0)
    assert other.get_last_lr() == [pytest.approx(0.02)]


def test_callable_objects_are_saved_with_a_lambda_schedule():
    class Decay:
        def __init__(self, rate):
            self.rate = rate

        def __call__(self, epoch):
            return self.rate**epoch

    schedule = LambdaLR(sgd(1.0, 1.0), [Decay(0.5), lambda epoch: 1.0])
    state = schedule.state_dict()
    assert state["lr_lambdas"] == [{"rate": 0.5}, None]
    other = LambdaLR(sgd(1.0, 1.0), [Decay(0.1), lambda epoch: 1.0])
    other.load_state_dict(state)
    assert rates(other, 2)[1] == 0.5


def test_a_rate_in_a_tensor_is_filled_in_place():
    rate = tinygrad_mmb.tensor(0.5)
    optimizer = sgd(rate)
    schedule = ExponentialLR(optimizer, 0.5)
    optimizer.step()
    schedule.step()
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == 0.25
    assert schedule.base_lrs[0].item() == 0.5
    assert optimizer.param_groups[0]["initial_lr"].item() == 0.5


def test_a_schedule_that_steps_first_warns():
    schedule = StepLR(sgd(0.1), 1)
    with pytest.warns(UserWarning, match=r"before `optimizer.step\(\)`"):
        schedule.step()


def test_an_optimizer_with_a_step_of_its_own_is_not_suspected():
    class Own(optim.Optimizer):
        def step(self, closure=None):
            return None

    optimizer = Own([tinygrad_mmb.tensor([1.0], requires_grad=True)], {"lr": 0.1})
    schedule = StepLR(optimizer, 1)
    optimizer.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schedule.step()


def test_get_lr_outside_a_step_warns():
    with pytest.warns(UserWarning, match="get_last_lr"):
        StepLR(sgd(0.1), 1).get_lr()


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: StepLR(0.1, 1), TypeError, "float is not an Optimizer"),
        (lambda: ReduceLROnPlateau(0.1), TypeError, "float is not an Optimizer"),
        (lambda: StepLR(sgd(0.1), 1, last_epoch=5), KeyError, "initial_lr.*last_epoch=5"),
        (lambda: LambdaLR(sgd(0.1), [abs, abs]), ValueError, "Expected 1 lr_lambdas, but got 2"),
        (lambda: LinearLR(sgd(0.1), start_factor=0), ValueError, "start_factor is 0"),
        (lambda: LinearLR(sgd(0.1), end_factor=1.5), ValueError, "end_factor is 1.5"),
        (lambda: ReduceLROnPlateau(sgd(0.1), factor=1.0), ValueError, "should be < 1.0"),
        (lambda: ReduceLROnPlateau(sgd(0.1), mode="up"), ValueError, "mode up is unknown"),
        (
            lambda: ReduceLROnPlateau(sgd(0.1), threshold_mode="up"),
            ValueError,
            "threshold mode up is unknown",
        ),
        (
            lambda: ReduceLROnPlateau(sgd(0.1), min_lr=[0, 0]),
            ValueError,
            "expected 1 min_lrs, got 2",
        ),
        (lambda: LRScheduler(sgd(0.1)), NotImplementedError, r"needs a get_lr\(\)"),
    ],
)
def test_what_makes_no_schedule_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_a_plateau_notices_new_groups():
    optimizer = sgd(0.1)
    listed = ReduceLROnPlateau(optimizer, min_lr=[0.0], patience=0)
    shared = ReduceLROnPlateau(optimizer, patience=0)
    optimizer.add_param_group({"params": [tinygrad_mmb.tensor([1.0], requires_grad=True)]})
    shared.step(1.0)
    shared.step(1.0)
    assert shared.min_lrs == [0, 0]
    listed.step(1.0)
    with pytest.raises(RuntimeError, match=r"number of param groups in the `optimizer` \(2\)"):
        listed.step(1.0)
