"""A captured step on a GPU is one CUDA graph, whose replays do what the step does.

Runs with --device stand-in (graphs of tests/device/stand_in_graphs.py) or --device cuda; in other
sessions one test runs the file in a session of the stand-in.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb import nn, optim
from tinygrad_mmb.nn import functional

ROOT = Path(__file__).resolve().parents[2]
on_device = pytest.mark.device_only


@pytest.fixture(autouse=True)
def graphs(request, monkeypatch):
    """Graphs for the stand-in; CuPy's own on a GPU."""
    if request.config.getoption("--device") == "stand-in":
        from tests.device import stand_in_graphs
        from tinygrad_mmb.capture import device_steps

        monkeypatch.setattr(device_steps, "LIBRARY", (*device_steps.LIBRARY, "tests.device"))
        stand_in_graphs.install(monkeypatch)


class Training:
    """An MLP with dropout, its optimizer and schedule."""

    def __init__(self, make=optim.Adam, p=0.3, **options):
        tm.manual_seed(3)
        self.model = nn.Sequential(
            nn.Linear(6, 16), nn.ReLU(), nn.Dropout(p), nn.Linear(16, 3), nn.Dropout(p)
        )
        self.optimizer = make(self.model.parameters(), lr=0.05, **options)
        self.schedule = optim.lr_scheduler.ExponentialLR(self.optimizer, 0.8)

    def step(self, x, t):
        self.optimizer.zero_grad()
        loss = functional.mse_loss(self.model(x), t)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 0.5)
        self.optimizer.step()
        self.schedule.step()
        return loss

    def numbers(self):
        return [host(p) for p in self.model.parameters()] + [
            host(p.grad) for p in self.model.parameters()
        ]


def host(x):
    return np.array(x.detach().cpu().tolist(), np.float32)


def batches(count, n=8):
    rng = np.random.default_rng(5)
    return [
        (tm.tensor(rng.standard_normal((n, 6)), dtype=tm.float32),
         tm.tensor(rng.standard_normal((n, 3)), dtype=tm.float32))
        for _ in range(count)
    ]  # fmt: skip


def trained(training, step, data):
    """Losses of the steps, and the parameters and gradients after each."""
    return [(host(step(x, t)), training.numbers()) for x, t in data]


def assert_same(found, expected):
    # the same formulas in the same order; on a GPU an update is a twin in one and not in the other
    for k, ((loss, numbers), (loss0, numbers0)) in enumerate(zip(found, expected, strict=True)):
        np.testing.assert_allclose(loss, loss0, rtol=1e-5, err_msg=f"loss of step {k}")
        for a, b in zip(numbers, numbers0, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6, err_msg=f"step {k}")


@on_device
@pytest.mark.parametrize(
    ("make", "options"),
    [(optim.Adam, {}), (optim.Adam, {"weight_decay": 0.1, "amsgrad": True}),
     (optim.AdamW, {"weight_decay": 0.1}), (optim.SGD, {"momentum": 0.9, "nesterov": True}),
     (optim.RMSprop, {}), (optim.Adagrad, {})],
)  # fmt: skip
def test_ten_steps_are_those_of_the_step_itself(make, options):
    """Adam, schedule, dropout and clipping: lr, t, keys and batches change from step to step."""
    data = batches(10)
    plain = Training(make, **options)
    expected = trained(plain, plain.step, data)
    training = Training(make, **options)
    step = tm.capture(training.step)
    found = trained(training, step, data)
    assert step.cache_info() == (8, 2, 0, 1, 0), step.explain()
    assert_same(found, expected)
    assert training.optimizer.state_dict()["state"][0].keys() == \
        plain.optimizer.state_dict()["state"][0].keys()  # fmt: skip
    assert training.optimizer.param_groups[0]["lr"] == plain.optimizer.param_groups[0]["lr"]


@on_device
def test_a_changed_learning_rate_and_a_reset_state_reach_the_graph():
    data = batches(8)
    runs = []
    for captured in (False, True):
        training = Training(p=0.0)
        step = tm.capture(training.step) if captured else training.step
        found = trained(training, step, data[:4])
        training.optimizer.param_groups[0]["lr"] = 0.5
        runs.append(found + trained(training, step, data[4:]))
    assert_same(runs[1], runs[0])


@on_device
def test_a_state_of_the_optimizer_that_was_put_in_by_hand_is_the_one_that_moves():
    """As PyTorch's users do it: other means for one parameter, another memory altogether."""
    data = batches(9)
    runs = []
    for captured in (False, True):
        training = Training(p=0.0)
        step = tm.capture(training.step) if captured else training.step
        found = trained(training, step, data[:5])
        state = training.optimizer.state
        p, q = list(training.model.parameters())[:2]
        state[p] = {name: x.detach().clone() * 0.5 if name != "step" else x.detach().clone()
                    for name, x in state[p].items()}  # fmt: skip
        found += trained(training, step, data[5:7])
        state[q]["exp_avg"] = tm.ones_like(q)
        runs.append(found + trained(training, step, data[7:]))
        assert [s["step"].item() for s in state.values()] == [9.0] * len(state)
    assert_same(runs[1], runs[0])


@on_device
def test_a_state_that_an_optimizer_makes_while_it_is_recorded_is_not_made_at_each_launch():
    """The last layer moves from the fourth step on: its means start at 0 once, not every time."""
    data = batches(9)
    runs = []
    for captured in (False, True):
        training = Training(p=0.0)
        for p in training.model[3].parameters():
            p.requires_grad_(False)
        step = tm.capture(training.step) if captured else training.step
        for x, t in data[:4]:
            step(x, t)
        for p in training.model[3].parameters():
            p.requires_grad_(True)
        found = []
        for pair in data[4:]:
            training.optimizer.zero_grad()  # outside: so every step finds none
            found += trained(training, step, [pair])
        runs.append(found)
    assert step.cache_info().replays > 2
    assert_same(runs[1], runs[0])


@on_device
def test_a_hook_for_a_gradient_that_is_ready_is_called_in_a_step_recorded_anew():
    training, seen = Training(p=0.0), []
    step = tm.capture(training.step)
    data = batches(6)
    trained(training, step, data[:4])
    weight = training.model[0].weight
    weight.register_post_accumulate_grad_hook(lambda p: seen.append(p is weight))
    trained(training, step, data[4:])
    assert seen[0] is True


class Counting(nn.Module):
    """Counts its calls, which nothing depends on."""

    def __init__(self):
        self.calls = 0
        self.scale = 2.0

    def forward(self, x):
        self.calls += 1
        return x * self.scale


@on_device
def test_a_counter_of_a_module_or_of_the_steps_object_is_its_own_affair():
    module = Counting()

    class Steps:
        count = 0

        def step(self, x):
            self.count = self.count + 1
            return module(x).sum()

    captured = tm.capture(Steps().step)
    found = [host(captured(tm.full((2,), float(k)))).item() for k in range(6)]
    assert found == [0.0, 4.0, 8.0, 12.0, 16.0, 20.0]
    assert captured.cache_info() == (4, 2, 0, 1, 0)
    module.scale = 3.0
    assert host(captured(tm.full((2,), 5.0))).item() == 30.0
    assert captured.cache_info().replays + captured.cache_info().traces == 7


@on_device
@pytest.mark.parametrize("name", ["factor", "slice", "branch", "fewer", "power"])
def test_a_number_that_python_makes_anew_is_not_frozen(name):
    """Each call does something else, by a number that no guard and no input knows."""
    counts, used = iter(range(1, 20)), []
    x = tm.arange(12, dtype=tm.float32).reshape(4, 3)

    def step(x):
        used.append(k := next(counts))
        if name == "factor":
            return (x * float(k)).sum()
        if name == "slice":
            return x[k % 4 : k % 4 + 1].sum()
        if name == "branch":
            return x.sum() if k % 2 else x.mean()
        if name == "fewer":
            return x.sum() if k % 2 else (x.sum() + 1.0)
        return tm.pow(x, k).sum()

    expected = {
        "factor": lambda k: 66.0 * k,
        "slice": lambda k: 9.0 * (k % 4) + 3.0,
        "branch": lambda k: 66.0 if k % 2 else 5.5,
        "fewer": lambda k: 66.0 if k % 2 else 67.0,
        "power": lambda k: sum(float(i) ** k for i in range(12)),
    }[name]
    captured = tm.capture(step)
    for _ in range(8):  # a recording that is given up has counted too: so `used`
        found = host(captured(x)).item()
        assert found == pytest.approx(expected(used[-1]), rel=1e-6)  # of sums in float32
    assert captured.cache_info() == (0, 5, 3, 0, 0)
    assert "UnsettledError" in captured.explain()
    assert "test_cuda_graph.py:" in captured.explain() or name == "fewer"


@on_device
def test_a_number_that_changes_once_is_learnt_anew():
    module = Counting()
    captured = tm.capture(lambda x: module(x).sum())
    x = tm.ones(2)
    for _ in range(4):
        captured(x)
    module.scale = 3.0
    assert [host(captured(x)).item() for _ in range(3)] == [6.0] * 3
    assert captured.cache_info() == (4, 3, 0, 2, 0)


class Momentum(optim.Optimizer):
    """m ← β m + g, bound anew in each step instead of written."""

    def __init__(self, params):
        super().__init__(params, {"lr": 0.1})

    def start(self, theta, group):
        return {"m": theta * 0.0}

    def update(self, theta, g, state, *, lr):
        state["m"] = 0.9 * state["m"] + g
        theta -= lr * state["m"]


@on_device
def test_a_state_that_is_bound_anew_in_every_step_is_refused():
    w = tm.ones(3, requires_grad=True)
    optimizer = Momentum([w])

    def step(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()

    captured = tm.capture(step)
    for _ in range(8):
        captured(tm.ones(3))
    m, theta = 0.0, 1.0
    for _ in range(8):
        m = 0.9 * m + 1.0
        theta -= 0.1 * m
    np.testing.assert_allclose(host(w), np.full(3, theta), rtol=1e-5)  # eight sums in float32
    assert captured.cache_info() == (0, 5, 3, 0, 0)
    assert "Momentum makes the state of a parameter of shape (3,) anew" in captured.explain()


@on_device
@pytest.mark.parametrize("where", ["variable", "attribute", "module"])
def test_a_mean_that_is_bound_anew_in_every_step_is_refused(where):
    mean = tm.zeros(2)
    module = Counting()
    module.mean = tm.zeros(2)

    class Steps:
        mean = None

        def step(self, x):
            nonlocal mean
            y = module(x)
            if where == "variable":
                mean = 0.5 * mean + y
            elif where == "attribute":
                self.mean = 0.5 * self.mean + y
            else:
                module.mean = 0.5 * module.mean + y
            return y.sum()

    steps = Steps()
    steps.mean = tm.zeros(2)
    captured = tm.capture(steps.step)
    for _ in range(8):
        captured(tm.ones(2))
    assert captured.cache_info() == (0, 5, 3, 0, 0)
    assert "write into it in place" in captured.explain()


@on_device
def test_running_statistics_are_those_of_the_step_itself():
    data = batches(6)
    runs = []
    for captured in (False, True):
        tm.manual_seed(3)
        model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        def step(x, t, model=model, optimizer=optimizer):
            optimizer.zero_grad()
            loss = functional.mse_loss(model(x), t)
            loss.backward()
            optimizer.step()
            return loss

        run = tm.capture(step) if captured else step
        for x, t in data:
            run(x, t)
        runs.append([host(b) for b in model.buffers()] + [host(p) for p in model.parameters()])
    assert run.cache_info() == (4, 2, 0, 1, 0), run.explain()
    for a, b in zip(*runs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)  # as assert_same


@on_device
def test_two_signatures_are_two_graphs_and_take_turns():
    large, small = batches(6), batches(6, n=5)
    data = [pair for both in zip(large, small, strict=True) for pair in both]
    plain = Training()
    expected = trained(plain, plain.step, data)
    training = Training()
    step = tm.capture(training.step)
    assert_same(trained(training, step, data), expected)
    assert step.cache_info() == (8, 4, 0, 2, 0)


@on_device
def test_another_mode_is_another_graph():
    data = batches(8)
    runs = []
    for captured in (False, True):
        training = Training()
        step = tm.capture(training.step) if captured else training.step
        found = trained(training, step, data[:4])
        training.model.eval()
        runs.append(found + trained(training, step, data[4:]))
    assert_same(runs[1], runs[0])


@on_device
def test_results_are_new_and_parameters_themselves():
    training = Training()
    step = tm.capture(lambda x, t: (training.step(x, t), training.model[0].weight))
    results = [step(x, t) for x, t in batches(5)]
    assert len({float(loss.item()) for loss, _ in results}) == 5
    assert all(weight is training.model[0].weight for _, weight in results)


@on_device
@pytest.mark.parametrize("name", ["item", "classes", "accumulates", "writes", "draws", "cpu"])
def test_what_no_graph_can_repeat_runs_as_it_is_and_says_why(name):
    w = tm.ones(3, requires_grad=True)
    seen = []

    def step(x):
        if name == "item":
            seen.append(x.sum().item())
        elif name == "classes":
            functional.cross_entropy(x, tm.zeros(2, dtype=tm.int64))
        elif name == "accumulates":
            (w * x).sum().backward()
        elif name == "writes":
            x.add_(1.0)
        elif name == "draws":
            x = x + tm.randn(2, 3)
        elif name == "cpu":
            x = x * tm.tensor(2.0, device="cpu")
        return (x * 2.0).sum()

    captured = tm.capture(step)
    for k in range(4):
        captured(tm.full((2, 3), float(k)))
    assert captured.cache_info() == (0, 2, 2, 0, 0)
    assert "no CUDA graph, " in captured.explain()
    if name == "item":
        assert seen[-2:] == [12.0, 18.0]
        assert "test_cuda_graph.py:" in captured.explain()
    if name == "accumulates":
        np.testing.assert_array_equal(host(w.grad), np.full(3, 2.0 * (0 + 1 + 2 + 3)))


@on_device
def test_a_gradient_that_was_not_there_when_it_was_recorded_is_added_to():
    w = tm.ones(3, requires_grad=True)

    def step(x):
        (w * x).sum().backward()

    captured = tm.capture(step)
    for k in range(4):  # zero_grad() outside, as some write it
        w.grad = None
        captured(tm.full((2, 3), float(k)))
    assert captured.cache_info() == (2, 2, 0, 1, 0)
    captured(tm.full((2, 3), 10.0))
    np.testing.assert_array_equal(host(w.grad), np.full(3, 2.0 * (3 + 10)))
    w.grad = None
    captured(tm.full((2, 3), 5.0))
    np.testing.assert_array_equal(host(w.grad), np.full(3, 2.0 * 5))


@on_device
def test_a_refused_step_has_counted_and_drawn_once():
    plain = Training()

    def reading(run):
        return lambda x, t: run(x, t).item()

    data = batches(5)
    expected = [reading(plain.step)(x, t) for x, t in data]
    training = Training()
    captured = tm.capture(reading(training.step))
    np.testing.assert_array_equal([captured(x, t) for x, t in data], expected)
    assert captured.cache_info().eager == 3
    steps = [s["step"].item() for s in training.optimizer.state.values()]
    assert steps == [5.0] * len(steps)
    assert training.optimizer.param_groups[0]["lr"] == plain.optimizer.param_groups[0]["lr"]


@on_device
def test_a_number_that_the_graph_may_not_keep_is_an_input():
    """The fake repeats what was recorded: a number by value would stay what it was."""
    from tests.device import stand_in_graphs

    cupy = pytest.importorskip("cupy")
    if (
        not hasattr(cupy.cuda.Stream, "begin_capture")
        or cupy.cuda.Stream is not stand_in_graphs.Stream
    ):
        pytest.skip("of the stand-in's graphs")
    x, scale, pool = cupy.zeros(2), 3.0, cupy.cuda.MemoryPool()
    stream = cupy.cuda.Stream(non_blocking=True)
    with cupy.cuda.using_allocator(pool.malloc), stream:
        stream.begin_capture()
        y = x * scale
        graph = stream.end_capture()
    x[...] = 2.0
    scale = 5.0
    graph.launch()
    np.testing.assert_array_equal(y.get(), [6.0, 6.0])
    with stream, pytest.raises(RuntimeError, match="cudaErrorStreamCaptureUnsupported"):
        stream.begin_capture()
        try:
            x * scale  # not from the pool
        finally:
            stream.end_capture()


@on_device
def test_graphs_are_released():
    training = Training()
    step = tm.capture(training.step, max_plans=1)
    for n in (8, 5):
        for x, t in batches(3, n):
            step(x, t)
    assert step.cache_info() == (2, 4, 0, 1, 1)
    pool = step._device.graphs[0].pool
    step.cache_clear()
    assert step.cache_info() == (0, 0, 0, 0, 0)
    assert getattr(pool, "freed", True)
    assert all(np.isfinite(host(p.grad)).all() for p in training.model.parameters())


def test_this_file_passes_in_a_session_of_the_stand_in(request):
    if request.config.getoption("--device") != "cpu":
        pytest.skip("this is such a session")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--device", "stand-in",
         str(Path(__file__).relative_to(ROOT))],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]
