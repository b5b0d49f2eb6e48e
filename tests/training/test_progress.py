"""Lines where there is no terminal, a bar where there is one."""

import io

import pytest

from tests.training.test_trainer import data, trainer_of
from tinygrad_mmb.training import ProgressBar
from tinygrad_mmb.training.progress import epoch_line


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_an_epoch_is_a_line():
    row = {"epoch": 3, "step": 30, "lr": 0.001, "loss": 0.5, "val_loss": 0.25, "seconds": 0.41}
    assert epoch_line(row, 10) == "epoch  3/10  loss 0.5000  val 0.2500  lr 0.001"


def test_the_line_of_an_epoch_fits_into_80_columns():
    row = {"epoch": 7, "step": 238, "lr": 3.81e-05, "loss": 12.0, "accuracy": 0.5}
    line = epoch_line(row | {"val_loss": 10.0, "val_accuracy": 0.25, "seconds": 99.0}, 60)
    assert line.split("  ", 1)[1].startswith("7/60  loss 12.0000  val 10.0000  accuracy 0.5000")
    assert len(line) <= 80


def test_a_validation_number_without_a_training_number_is_told_by_its_name():
    row = {"epoch": 1, "step": 1, "lr": 0.1, "loss": 1.0, "val_accuracy": 0.5, "seconds": 0.1}
    assert epoch_line(row, 1) == "epoch 1/1  loss 1.0000  val_accuracy 0.5000  lr 0.1"


def test_a_file_gets_plain_lines():
    stream = io.StringIO()
    trainer_of().fit(data(), data(), epochs=2, callbacks=[ProgressBar(stream=stream)])
    lines = stream.getvalue().splitlines()
    assert [line[:9] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_gets_a_bar_and_the_same_lines():
    pytest.importorskip("rich")
    stream = Terminal()
    trainer_of().fit(data(), data(), epochs=2, callbacks=[ProgressBar(stream=stream)])
    assert "epoch 2/2  loss" in stream.getvalue()
    assert "\x1b" in stream.getvalue()


def test_plain_is_plain_on_a_terminal_too():
    stream = Terminal()
    trainer_of().fit(data(), epochs=1, callbacks=[ProgressBar(plain=True, stream=stream)])
    assert "\x1b" not in stream.getvalue()


def test_no_color_takes_the_colours_away(monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    trainer_of().fit(data(), epochs=1, callbacks=[ProgressBar(stream=stream)])
    assert not any(f"\x1b[{colour}" in stream.getvalue() for colour in ("3", "9", "38"))


def test_the_reason_of_an_early_end_is_told():
    from tests.training.test_trainer import EarlyStopping, Scripted

    stream = io.StringIO()
    callbacks = [Scripted([1.0, 2.0]), EarlyStopping(patience=1), ProgressBar(stream=stream)]
    trainer_of().fit(data(), epochs=5, callbacks=callbacks)
    assert stream.getvalue().splitlines()[-1].startswith("stopped early: val_loss has not fallen")
