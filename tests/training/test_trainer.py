"""The loop, and what looks on."""

import csv
import math

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb import nn, optim
from tinygrad_mmb.data import DataLoader, TensorDataset
from tinygrad_mmb.optim.lr_scheduler import ReduceLROnPlateau, StepLR
from tinygrad_mmb.training import (
    CSVLogger,
    EarlyStopping,
    LRScheduler,
    ModelCheckpoint,
    TerminateOnNaN,
    Trainer,
    TrainingDiverged,
    accuracy,
    auc,
    evaluate,
    predict,
)
from tinygrad_mmb.training.callbacks import Callback


def data(n=50, batch_size=8, **options):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 3)).astype(np.float32)
    t = (x.sum(1) > 0).astype(np.int64)
    return DataLoader(TensorDataset(tm.tensor(x), tm.tensor(t)), batch_size, **options)


def trainer_of(lr=0.1, dropout=0.0, **options):
    tm.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 2))
    return Trainer(model, optim.SGD(model.parameters(), lr=lr), nn.CrossEntropyLoss(), **options)


def weights(model):
    return {name: value.clone().numpy() for name, value in model.state_dict().items()}


class Scripted(Callback):
    """Gives the metrics that the test wants, before the others see them."""

    def __init__(self, values, name="val_loss"):
        self.values, self.name = values, name

    def on_epoch_end(self, trainer, metrics):
        metrics[self.name] = self.values[trainer.epoch - 1]


class Recorder(Callback):
    def __init__(self):
        self.weights = []

    def on_epoch_end(self, trainer, metrics):
        self.weights.append(weights(trainer.model))


def test_training_makes_the_loss_fall_and_says_so_in_the_history():
    history = trainer_of(metrics={"accuracy": accuracy}).fit(
        data(shuffle=True, seed=0), data(), epochs=20
    )
    assert [row["epoch"] for row in history] == list(range(1, 21))
    assert list(history[0]) == [
        "epoch", "step", "lr", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"
    ]  # fmt: skip
    assert history[-1]["val_loss"] < 0.5 * history[0]["val_loss"]
    assert history[-1]["val_accuracy"] > 0.9


def test_the_loop_is_the_five_lines_that_it_stands_for():
    trainer = trainer_of()
    trainer.fit(data(), epochs=2)
    tm.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.0), nn.Linear(8, 2))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        for x, t in data():
            optimizer.zero_grad()
            nn.CrossEntropyLoss()(model(x), t).backward()
            optimizer.step()
    for name, value in weights(model).items():
        np.testing.assert_array_equal(value, weights(trainer.model)[name])


def test_the_training_loss_weighs_a_short_last_batch_by_its_size():
    trainer = trainer_of(lr=0.0)
    history = trainer.fit(data(n=50, batch_size=16), epochs=1)
    x, t = data(n=50).dataset.tensors
    whole = nn.CrossEntropyLoss()(trainer.model(x), t).item()
    assert history[0]["loss"] == pytest.approx(whole, abs=1e-6)  # float32


def test_a_full_evaluation_equals_that_of_one_batch():
    model = nn.Linear(3, 2).to(dtype=tm.float64)
    x = tm.tensor(np.random.default_rng(1).standard_normal((53, 3)))
    t = tm.tensor(np.arange(53) % 2)
    set_of = TensorDataset(x, t)
    in_parts = evaluate(
        model, DataLoader(set_of, 10), nn.CrossEntropyLoss(), {"accuracy": accuracy}
    )
    at_once = evaluate(model, DataLoader(set_of, 53), nn.CrossEntropyLoss(), {"accuracy": accuracy})
    assert in_parts["loss"] == pytest.approx(at_once["loss"], abs=1e-12)
    assert in_parts["accuracy"] == pytest.approx(at_once["accuracy"], abs=1e-12)


def test_a_metric_of_the_whole_set_sees_all_of_it():
    def area(output, target):
        return auc(output[:, 1] - output[:, 0], target)

    trainer = trainer_of()
    values = evaluate(trainer.model, data(), trainer.loss, set_metrics={"auc": area})
    output, target = predict(trainer.model, data())
    assert values["auc"] == area(output, target)


def test_evaluation_neither_drops_units_nor_changes_modes_or_gradients():
    trainer = trainer_of(dropout=0.5)
    trainer.model.train()
    trainer.model.get_submodule("2").eval()
    first, second = (trainer.evaluate(data())["loss"] for _ in range(2))
    assert first == second
    assert [m.training for _, m in trainer.model.named_modules()] == [True, True, True, False, True]
    assert all(p.grad is None for p in trainer.model.parameters())


@pytest.mark.parametrize("use", [evaluate, predict])
def test_an_empty_loader_is_an_error(use):
    arguments = (trainer_of().model, [], nn.CrossEntropyLoss())[: 3 if use is evaluate else 2]
    with pytest.raises(ValueError, match="no batch"):
        use(*arguments)
    with pytest.raises(ValueError, match="nothing to learn"):
        trainer_of().fit([])


def test_a_batch_that_is_no_pair_is_an_error():
    with pytest.raises(ValueError, match="must be a pair"):
        trainer_of().fit([tm.tensor([1.0])], epochs=1)


def test_gradients_are_scaled_down_to_the_norm_asked_for():
    trainer = trainer_of(lr=1.0, clip_grad_norm=1e-3)
    before = weights(trainer.model)
    trainer.fit(data(n=8), epochs=1)
    moved = sum(np.sum((v - before[k]) ** 2) for k, v in weights(trainer.model).items()) ** 0.5
    assert moved == pytest.approx(1e-3, rel=1e-3)


def test_early_stopping_stops_patience_epochs_after_the_best_and_restores_it():
    recorder = Recorder()
    values = [3.0, 2.0, 1.0, 1.5, 1.2, 1.1, 0.1]
    stopping = EarlyStopping(patience=3)
    trainer = trainer_of()
    trainer.fit(data(), epochs=7, callbacks=[Scripted(values), recorder, stopping])
    assert trainer.epoch == 6
    assert stopping.best_epoch == 3
    assert trainer.stop_reason == "val_loss has not fallen below 1 for 3 epochs"
    for name, value in weights(trainer.model).items():
        np.testing.assert_array_equal(value, recorder.weights[2][name])


def test_early_stopping_without_restoring_keeps_the_last_weights():
    recorder = Recorder()
    trainer = trainer_of()
    stopping = EarlyStopping(patience=2, restore_best=False)
    trainer.fit(data(), epochs=5, callbacks=[Scripted([1.0, 2.0, 3.0, 4.0]), recorder, stopping])
    assert trainer.epoch == 3
    np.testing.assert_array_equal(
        weights(trainer.model)["0.weight"], recorder.weights[-1]["0.weight"]
    )


def test_early_stopping_ignores_changes_below_min_delta():
    stopping = EarlyStopping(patience=2, min_delta=0.1)
    trainer = trainer_of()
    trainer.fit(data(), epochs=9, callbacks=[Scripted([1.0, 0.95, 0.91] + 6 * [0.0]), stopping])
    assert (trainer.epoch, stopping.best_epoch) == (3, 1)


def test_early_stopping_can_wait_for_a_rise():
    stopping = EarlyStopping(patience=1, monitor="val_accuracy", mode="max")
    trainer = trainer_of()
    trainer.fit(data(), epochs=5, callbacks=[Scripted([0.1, 0.2, 0.15], "val_accuracy"), stopping])
    assert (trainer.epoch, stopping.best_epoch) == (3, 2)
    assert "risen above 0.2" in trainer.stop_reason


def test_a_loss_that_is_nan_does_not_count_as_better():
    stopping = EarlyStopping(patience=2)
    trainer = trainer_of()
    trainer.fit(data(), epochs=5, callbacks=[Scripted([1.0, math.nan, math.nan]), stopping])
    assert (trainer.epoch, stopping.best_epoch) == (3, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patience": 0}, "patience 0"),
        ({"min_delta": -1.0}, "min_delta -1"),
        ({"mode": "up"}, "'up'"),
    ],
)
def test_early_stopping_refuses_what_makes_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        EarlyStopping(**options)


def test_a_monitor_that_is_no_metric_is_named():
    with pytest.raises(
        ValueError,
        match=r"monitor is 'val_loss', but the metrics are "
        r".*validation loader",
    ):
        trainer_of().fit(data(), epochs=1, callbacks=[EarlyStopping()])


def test_a_schedule_moves_after_each_epoch_or_each_batch():
    trainer = trainer_of(lr=1.0)
    schedule = LRScheduler(StepLR(trainer.optimizer, 1, gamma=0.1))
    history = trainer.fit(data(), epochs=3, callbacks=[schedule])
    assert [row["lr"] for row in history] == pytest.approx([1.0, 0.1, 0.01])
    trainer = trainer_of(lr=1.0)
    schedule = LRScheduler(StepLR(trainer.optimizer, 7, gamma=0.1), every="step")
    history = trainer.fit(data(), epochs=2, callbacks=[schedule])  # 7 batches an epoch
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(0.01)


def test_a_plateau_schedule_gets_the_number_it_watches():
    trainer = trainer_of(lr=1.0)
    schedule = LRScheduler(ReduceLROnPlateau(trainer.optimizer, patience=0), monitor="val_loss")
    trainer.fit(data(), epochs=3, callbacks=[Scripted([1.0, 2.0, 0.5]), schedule])
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(0.1)


def test_a_schedule_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="'hour'"):
        LRScheduler(None, every="hour")
    with pytest.raises(ValueError, match="once per epoch"):
        LRScheduler(None, every="step", monitor="val_loss")


def test_a_loss_that_is_no_number_ends_the_training():
    trainer = trainer_of(lr=1e30)
    with pytest.raises(
        TrainingDiverged,
        match=r"at batch \d of epoch 1.*learning rate \(it is "
        r"1e\+30\)",
    ):
        trainer.fit(data(), epochs=3, callbacks=[TerminateOnNaN()])


def test_the_csv_file_holds_the_history(tmp_path):
    path = tmp_path / "metrics.csv"
    history = trainer_of().fit(data(), data(), epochs=3, callbacks=[CSVLogger(path)])
    with path.open(encoding="utf-8", newline="") as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    assert rows == history


def test_a_resumed_run_continues_its_csv_file_and_its_history(tmp_path):
    def callbacks():
        return [CSVLogger(tmp_path / "metrics.csv"), ModelCheckpoint(tmp_path / "c")]

    trainer_of().fit(data(), epochs=2, callbacks=callbacks())
    with (tmp_path / "metrics.csv").open("a", encoding="utf-8") as file:
        file.write("3,99")  # a line that was being written when the process died
    history = trainer_of().fit(data(), epochs=4, callbacks=callbacks(), resume_from=tmp_path / "c")
    lines = (tmp_path / "metrics.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 5
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]


def test_a_resume_with_other_callbacks_is_refused(tmp_path):
    trainer_of().fit(data(), epochs=1, callbacks=[ModelCheckpoint(tmp_path)])
    with pytest.raises(ValueError, match="ModelCheckpoint, but this run has none"):
        trainer_of().fit(data(), epochs=2, resume_from=tmp_path)


def test_a_resume_without_checkpoints_starts_anew(tmp_path):
    assert len(trainer_of().fit(data(), epochs=2, resume_from=tmp_path / "nothing")) == 2


@pytest.mark.parametrize("options", [{"keep": 0}, {"every_steps": 0}, {"every_epochs": 0}])
def test_a_checkpoint_plan_that_makes_no_sense_is_refused(tmp_path, options):
    with pytest.raises(ValueError, match="at least 1"):
        ModelCheckpoint(tmp_path, **options)


def test_an_epoch_covers_each_sample_once_in_the_order_of_its_seed():
    seen = []

    class Watch(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(tm.tensor([[1.0], [0.0]]))

        def forward(self, x):
            seen.extend(x.reshape(-1).tolist())
            return x @ self.weight.t()

    def order(seed):
        seen.clear()
        x = tm.tensor(np.arange(10, dtype=np.float32).reshape(10, 1))
        loader = DataLoader(
            TensorDataset(x, tm.tensor(np.zeros(10, np.int64))), 4, shuffle=True, seed=seed
        )
        model = Watch()
        Trainer(model, optim.SGD(model.parameters(), lr=0.0), nn.CrossEntropyLoss()).fit(
            loader, epochs=1
        )
        return list(seen)

    assert sorted(order(1)) == list(range(10))
    assert order(1) == order(1) != order(2)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (lambda m, o, f: (m, f, o), r"optimizer.*MSELoss.*Trainer\(model, optimizer, loss\)"),
        (lambda m, o, f: (m, type(o), f), r"optimizer.*the class SGD.*SGD\(\.\.\.\)"),
        (lambda m, o, f: (m, o, type(f)), r"loss.*the class MSELoss.*MSELoss\(\.\.\.\)"),
        (lambda m, o, f: (m.parameters(), o, f), r"model.*Module.*generator"),
    ],
)
def test_parts_in_another_order_and_classes_for_objects_are_refused(parts, text):
    model = nn.Linear(3, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(TypeError, match=text):
        Trainer(*parts(model, optimizer, nn.MSELoss()))


def test_metrics_need_names():
    model = nn.Linear(3, 1)
    with pytest.raises(TypeError, match=r"metrics should have names.*list"):
        Trainer(model, optim.SGD(model.parameters(), lr=0.1), nn.MSELoss(), metrics=[len])


def test_a_data_set_without_a_loader_and_a_callback_without_brackets_are_refused():
    with pytest.raises(TypeError, match=r"TensorDataset gives single samples.*DataLoader"):
        trainer_of().fit(TensorDataset(tm.ones(4, 3), tm.ones(4, 1)))
    with pytest.raises(TypeError, match=r"EarlyStopping is a class"):
        trainer_of().fit(data(), callbacks=[EarlyStopping])
