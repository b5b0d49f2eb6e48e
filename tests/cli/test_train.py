"""mmb train: what a run leaves, the same bits again, and that every setting reaches it."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.cli.runs import QUICK, weights


def test_a_run_fills_its_folder(mmb, empty_folder, pictures):
    code, out, err = mmb("train", "digits", *QUICK, "--seed", 3)
    folder = empty_folder / "runs" / "digits-mlp-001"
    assert (code, err) == (0, "")
    assert {p.name for p in folder.iterdir()} == {
        "config.json",
        "manifest.json",
        "metrics.csv",
        "curves.png",
        "confusion_matrix.png",
        "misclassified.png",
        "model.safetensors",
        "results.json",
        "checkpoints",
    }
    lines = out.splitlines()
    assert lines[0] == "digits: 1079 training, 359 validation, 359 test samples"
    assert lines[1].startswith("mlp with")
    assert lines[2].startswith("epoch 1/2  loss ")
    assert lines[-2].startswith("test accuracy 0.")
    assert out.isascii() or "Müllers" in out
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert (config["seed"], config["epochs"], config["width"]) == (3, 2, 16)
    assert manifest["config"] == config
    assert manifest["blas"]["name"]
    assert manifest["data"]["sha256"]
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert f"test accuracy {results['test_accuracy']:.4f}" in out
    for name in ("curves", "confusion_matrix", "misclassified"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_each_run_gets_a_folder_of_its_own(mmb, empty_folder):
    for _ in range(2):
        mmb("train", "digits", *QUICK, "--epochs", 1)
    assert sorted(p.name for p in (empty_folder / "runs").iterdir()) == [
        "digits-mlp-001",
        "digits-mlp-002",
    ]


@pytest.mark.parametrize("file", ["config.json", "manifest.json"])
def test_a_run_made_again_from_its_folder_has_the_same_bits(mmb, empty_folder, file):
    mmb("train", "digits", *QUICK, "--optimizer", "sgd", "--lr", "0.05", "--out", "a")
    mmb("train", "--config", empty_folder / "a" / file, "--out", "b", "--plain")
    assert weights(empty_folder / "a") == weights(empty_folder / "b")
    first, second = (
        json.loads((empty_folder / r / "results.json").read_text(encoding="utf-8")) for r in "ab"
    )
    assert first == second


def test_another_seed_gives_other_bits(mmb, empty_folder):
    mmb("train", "digits", *QUICK, "--out", "a")
    mmb("train", "--config", "a/config.json", "--seed", 1, "--out", "b", "--plain")
    assert weights(empty_folder / "a") != weights(empty_folder / "b")


@pytest.mark.parametrize(
    "schedule", ["constant", "step", "exponential", "cosine", "linear", "plateau"]
)
def test_every_schedule_trains(mmb, schedule):
    assert mmb("train", "digits", *QUICK, "--schedule", schedule)[0] == 0


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop", "adagrad"])
def test_every_optimizer_trains(mmb, optimizer):
    assert mmb("train", "digits", *QUICK, "--optimizer", optimizer)[0] == 0


def test_the_other_settings_reach_the_run(mmb, empty_folder):
    options = (
        "--model cnn --width 2 --dtype float64 --batch-size 200 --weight-decay 0.01 --dropout 0.1"
    )
    more = "--label-smoothing 0.1 --clip-grad-norm 1 --patience 1 --min-delta 10 --epochs 4 --out x"
    code, out, _ = mmb("train", "digits", *options.split(), *more.split())
    assert code == 0
    assert "stopped early" in out
    assert "cnn with" in out
    assert load_file(empty_folder / "x" / "model.safetensors")["head.weight"].dtype == np.float64
    config = json.loads((empty_folder / "x" / "config.json").read_text(encoding="utf-8"))
    assert (config["label_smoothing"], config["clip_grad_norm"], config["dropout"]) == (
        0.1,
        1.0,
        0.1,
    )


def test_without_matplotlib_the_run_goes_on_and_says_how_to_get_it(mmb, empty_folder):
    code, out, _ = mmb("train", "digits", *QUICK, "--out", "a")
    assert code == 0
    assert "pip install 'tinygrad-mmb[train]'" in out.splitlines()[2]
    assert "accuracy: o training, x validation" in out
    assert not list((empty_folder / "a").glob("*.png"))
