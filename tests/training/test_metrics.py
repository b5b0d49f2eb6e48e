"""Numbers that are reported."""

import numpy as np
import pytest

from tinygrad_mmb.training.metrics import (
    WeightedMean,
    accuracy,
    auc,
    confusion_matrix,
    error_rate,
    rejection,
    roc_curve,
)


def test_accuracy_counts_the_rows_whose_largest_output_is_right():
    assert accuracy([[1.0, 2.0], [3.0, 0.0], [0.0, 1.0]], [1, 0, 0]) == pytest.approx(2 / 3)
    assert error_rate([[1.0, 2.0]], [1]) == 0.0


@pytest.mark.parametrize(
    ("output", "target"), [([1.0], [0]), ([[1.0, 2.0]], [[0]]), (np.zeros((0, 2)), [])]
)
def test_accuracy_refuses_shapes_that_do_not_fit(output, target):
    with pytest.raises(ValueError, match=r"\(N, C\) and \(N,\)"):
        accuracy(output, target)


def test_a_confusion_matrix_has_true_classes_in_rows():
    counts = confusion_matrix([0, 1, 1, 2], [0, 1, 2, 2], 3)
    assert counts.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]


def test_a_confusion_matrix_refuses_a_class_that_is_not_there():
    with pytest.raises(ValueError, match=r"predicted holds classes 0 \.\.\. 3"):
        confusion_matrix([0, 3], [0, 1], 3)
    with pytest.raises(ValueError, match="shape"):
        confusion_matrix([0, 1], [0], 3)


def test_auc_is_the_chance_that_a_positive_scores_higher():
    rng = np.random.default_rng(0)
    score, target = rng.integers(0, 5, 200) * 1.0, rng.integers(0, 2, 200)
    positive, negative = score[target == 1][:, None], score[target == 0]
    expected = np.mean((positive > negative) + 0.5 * (positive == negative))
    assert auc(score, target) == pytest.approx(expected, abs=1e-12)


def test_auc_of_a_perfect_and_of_a_constant_score():
    assert auc([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]) == 1.0
    assert auc([0.5] * 4, [0, 0, 1, 1]) == 0.5


def test_a_roc_curve_goes_from_0_to_1_and_takes_ties_together():
    false, true = roc_curve([3, 2, 2, 1], [1, 1, 0, 0])
    assert false.tolist() == [0.0, 0.0, 0.5, 1.0]
    assert true.tolist() == [0.0, 0.5, 1.0, 1.0]


def test_a_roc_curve_needs_both_classes():
    with pytest.raises(ValueError, match="both classes"):
        roc_curve([1.0, 2.0], [1, 1])


def test_rejection_is_one_over_the_false_positive_rate_at_the_efficiency():
    # points (0, .5), (.5, 1), (1, 1): on the line between them, 75 % is at a rate of .25
    assert rejection([3, 2, 2, 1], [1, 1, 0, 0], 0.75) == pytest.approx(4.0)
    assert rejection([3, 2, 2, 1], [1, 1, 0, 0], 0.5) == float("inf")
    with pytest.raises(ValueError, match="efficiency"):
        rejection([1, 0], [1, 0], 0.0)


def test_batches_are_weighted_by_their_size():
    values = np.random.default_rng(1).standard_normal(103)
    means = WeightedMean()
    for batch in np.split(values, range(10, 103, 10)):
        means.add({"loss": float(batch.mean())}, len(batch))
    assert means.means("val_")["val_loss"] == pytest.approx(values.mean(), abs=1e-12)


def test_nothing_added_gives_no_means():
    assert WeightedMean().means() == {}
