"""mmb evaluate: what the run said, and one line for a run that cannot be evaluated."""

import json

from tests.cli.runs import QUICK, one_line


def test_evaluate_says_what_the_run_said(mmb, empty_folder):
    _, trained, _ = mmb("train", "digits", *QUICK, "--out", "a")
    code, out, _ = mmb("evaluate", "a")
    assert code == 0
    assert out.splitlines()[-1].split(",")[0] in trained
    assert len(out.splitlines()) == 12
    code, out, _ = mmb("evaluate", "a", "--split", "validation")
    assert "validation accuracy" in out


def test_evaluate_draws_the_pictures_that_are_missing(mmb, run_a, empty_folder, pictures):
    assert "pictures drawn in a" in mmb("evaluate", "a")[1]
    assert (empty_folder / "a" / "curves.png").is_file()


def test_an_unfinished_run_cannot_be_evaluated(mmb, run_a, empty_folder):
    (empty_folder / "a" / "model.safetensors").unlink()
    assert "this run is not finished" in one_line(mmb("evaluate", "a"))


def test_damaged_weights_are_refused(mmb, run_a, empty_folder):
    (empty_folder / "a" / "model.safetensors").write_bytes(b"12345678")
    assert "model.safetensors: cannot be loaded" in one_line(mmb("evaluate", "a"))


def test_weights_of_another_model_are_refused(mmb, run_a, empty_folder):
    config = json.loads((empty_folder / "a" / "config.json").read_text(encoding="utf-8"))
    (empty_folder / "a" / "config.json").write_text(
        json.dumps(config | {"width": 17}), encoding="utf-8"
    )
    assert "model.safetensors: cannot be loaded" in one_line(mmb("evaluate", "a"))
