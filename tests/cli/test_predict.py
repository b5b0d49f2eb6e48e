"""mmb predict: classes of new samples, and one line for a file that holds none."""

import csv

import numpy as np
import pytest

from tests.cli.runs import one_line
from tinygrad_mmb.data import write_idx
from tinygrad_mmb.data.digits import load_digits


def test_predict_tells_classes_and_probabilities(mmb, run_a, empty_folder):
    images, labels = load_digits()
    np.save("some.npy", images[:50])
    np.save("floats.npy", (images[:50] / 16.0).reshape(50, 64))
    np.savetxt("some.csv", images[:50].reshape(50, 64), fmt="%d", delimiter=",")
    write_idx(empty_folder / "some-idx3-ubyte.gz", images[:50])
    answers = {
        mmb("predict", "a", f)[1]
        for f in ("some.npy", "floats.npy", "some.csv", "some-idx3-ubyte.gz")
    }
    assert len(answers) == 1
    text = answers.pop()
    rows = list(csv.DictReader(text.splitlines()))
    right = sum(
        int(row["predicted"]) == label for row, label in zip(rows, labels[:50], strict=True)
    )
    assert right >= 40  # 4 epochs; guessing gives 5
    assert all(0.1 <= float(row["probability"]) <= 1 for row in rows)
    assert mmb("predict", "a", "some.npy", "--out", "answer.csv")[1] == ""
    assert (empty_folder / "answer.csv").read_text(encoding="utf-8") == text


def test_a_single_image_is_a_sample(mmb, run_a):
    np.save("one.npy", load_digits()[0][0])
    assert len(mmb("predict", "a", "one.npy")[1].splitlines()) == 2


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("none.npy", None, "No such file"),
        (
            "short.npy",
            lambda p: np.save(p, np.zeros((3, 63))),
            "samples of this run have shape (1, 8, 8)",
        ),
        ("text.npy", lambda p: np.save(p, np.array(["a"])), "numbers were expected"),
        ("objects.npy", lambda p: np.save(p, np.array([{}]), allow_pickle=True), "objects.npy"),
        ("nan.npy", lambda p: np.save(p, np.full((1, 64), np.nan)), "not finite"),
        ("empty.npy", lambda p: np.save(p, np.zeros((0, 64))), "samples of this run"),
        (
            "bad.csv",
            lambda p: p.write_text("1,2,x\n", encoding="utf-8"),
            "row 1, column 3: 'x' is not a number",
        ),
        ("empty.csv", lambda p: p.write_text("", encoding="utf-8"), "the file is empty"),
        ("no.idx", lambda p: p.write_bytes(b"\x89PNG"), "not an IDX file"),
    ],
)
def test_samples_that_cannot_be_read_are_refused(mmb, run_a, empty_folder, name, make, message):
    if make is not None:
        make(empty_folder / name)
    assert message in one_line(mmb("predict", "a", name))
