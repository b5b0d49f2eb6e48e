"""Pictures are looked at through their axes; what they say in colour they say in shape or number
too.
"""

import math

import numpy as np
import pytest

from tinygrad_mmb.training import plots

HISTORY = [
    {
        "epoch": e,
        "step": 10 * e,
        "lr": 0.1,
        "loss": 1.0 / e,
        "accuracy": 1 - 0.5 / e,
        "val_loss": 1.2 / e,
        "val_accuracy": 1 - 0.6 / e,
        "seconds": 0.1,
    }
    for e in range(1, 31)
]
DIGITS = [str(d) for d in range(10)]


@pytest.fixture(autouse=True)
def matplotlib():
    return pytest.importorskip("matplotlib")


def test_training_and_validation_stand_in_the_same_axes_for_each_metric():
    figure = plots.plot_history(HISTORY, best_epoch=20)
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy"]
    for axes, name in zip(figure.axes, ("loss", "accuracy"), strict=True):
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        assert labels == ["training", "validation", "best epoch, 20"]
        training, validation = axes.lines[:2]
        np.testing.assert_array_equal(training.get_ydata(), [row[name] for row in HISTORY])
        np.testing.assert_array_equal(
            validation.get_ydata(), [row[f"val_{name}"] for row in HISTORY]
        )
        assert axes.get_xlabel() == "epoch"


def test_lines_differ_by_more_than_their_colour():
    training, validation = plots.plot_history(HISTORY).axes[0].lines[:2]
    assert training.get_linestyle() != validation.get_linestyle()
    assert training.get_marker() != validation.get_marker()


def test_a_history_without_validation_has_one_line():
    history = [{k: v for k, v in row.items() if not k.startswith("val_")} for row in HISTORY]
    assert len(plots.plot_history(history).axes[0].lines) == 1


def test_every_cell_of_the_confusion_matrix_carries_its_count():
    counts = np.diag(np.arange(1, 11))
    counts[3, 5] = 2
    axes = plots.plot_confusion_matrix(counts, DIGITS).axes[0]
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    assert texts[(5, 3)] == "2"  # predicted 5, true 3
    assert len(texts) == 11
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    assert axes.get_title() == "55 of 57 right"


def test_a_confusion_matrix_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 2\), but there are 10 classes"):
        plots.plot_confusion_matrix(np.zeros((2, 2), int), DIGITS)


def test_misclassified_samples_stand_in_the_order_of_confidence():
    figure = plots.plot_misclassified(
        np.zeros((3, 1, 8, 8)),
        np.array([1, 2, 3]),
        np.array([4, 5, 6]),
        np.array([0.5, 0.9, 0.7]),
        DIGITS,
    )
    captions = [axes.get_title() for axes in figure.axes if axes.images]
    assert captions[0] == "true 2\ntaken for 5\n90% sure"
    assert [c.split()[1] for c in captions] == ["2", "3", "1"]
    assert figure.get_suptitle() == "3 misclassified"


@pytest.mark.parametrize(
    ("n", "title"), [(0, "none misclassified"), (60, "60 misclassified, the 40 most")]
)
def test_no_errors_and_many_errors_can_be_drawn(n, title):
    numbers = np.zeros(n, int)
    figure = plots.plot_misclassified(np.zeros((n, 8, 8)), numbers, numbers, np.ones(n), DIGITS)
    assert figure.get_suptitle().startswith(title)


def test_equal_figures_give_equal_files(tmp_path):
    for name in "ab":
        plots.save_figure(plots.plot_history(HISTORY), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_text_curves_show_both_sets_in_ascii():
    text = plots.text_curves(HISTORY)
    assert text.isascii()
    assert text.count("o training, x validation, # both; epochs 1 to 30") == 2
    canvas = "".join(line[11:] for line in text.splitlines()[1:11])
    assert canvas.count("x") + canvas.count("#") == 30  # one mark for each epoch
    assert all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize("n", [1, 2, 500])
def test_text_curves_of_any_length_and_with_nan_can_be_drawn(n):
    history = [
        {"epoch": e, "loss": math.nan if e == 2 else 1.0, "val_loss": e} for e in range(1, n + 1)
    ]
    assert plots.text_curves(history).splitlines()[0].endswith(f"epochs 1 to {n}")


def test_an_empty_history_is_refused():
    for draw in (plots.plot_history, plots.text_curves):
        with pytest.raises(ValueError, match="no epoch was finished"):
            draw([])


def test_without_matplotlib_the_message_says_how_to_install_it(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'tinygrad-mmb\[train\]'"):
        plots.plot_history(HISTORY)
