"""The command mmb: what it writes, and one clear line for everything that cannot be."""

import csv
import gzip
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

from tinygrad_mmb.backend import blas
from tinygrad_mmb.backend.extension import load, variants
from tinygrad_mmb.cli import main
from tinygrad_mmb.data import write_idx
from tinygrad_mmb.data.digits import load_digits
from tinygrad_mmb.training import plots

QUICK = ("--epochs", "2", "--width", "16", "--batch-size", "128", "--plain")
FLOWERS = ("setosa", "virginica", "Größe")


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """Every command runs in an empty folder with a blank and umlauts in its name."""
    folder = tmp_path / "Müllers Übungen"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(autouse=True)
def no_pictures(request, monkeypatch):
    """Pictures take most of a second each: only tests with the mark below draw them."""
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr(plots, "require_matplotlib", missing)


@pytest.fixture
def pictures():
    """Ask for this to draw pictures."""
    pytest.importorskip("matplotlib")


def missing():
    raise plots.MissingPlots("pictures need matplotlib: pip install 'tinygrad-mmb[train]'")


@pytest.fixture
def mmb(capsys):
    """Run a command: its exit code, and what it printed."""

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in arguments])
        printed = capsys.readouterr()
        return end.value.code, printed.out, printed.err

    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run on the digits, to be copied."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(plots, "require_matplotlib", missing)
        main(
            [
                "train",
                "digits",
                *QUICK,
                "--epochs",
                "4",
                "--lr",
                "0.01",
                "--width",
                "64",
                "--out",
                str(folder),
            ]
        )
    return folder


@pytest.fixture
def run_a(finished, empty_folder):
    """That run as folder "a" of the empty folder."""
    return shutil.copytree(finished, empty_folder / "a")


def one_line(answer):
    """The message of a command that refused: one line on stderr, exit code 2, nothing else."""
    code, out, err = answer
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    return err.strip()


def weights(folder):
    return {k: v.tobytes() for k, v in load_file(folder / "model.safetensors").items()}


def table(path, rows=60, broken=None):
    rng = np.random.default_rng(0)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["länge", "breite", "art"])
        for i in range(rows):
            kind = i % 3
            writer.writerow(
                [f"{rng.normal(kind, 0.2):.3f}", f"{rng.normal(-kind, 0.2):.3f}", FLOWERS[kind]]
            )
    if broken is not None:
        lines = path.read_text(encoding="utf-8").splitlines()
        lines[3] = broken
        path.write_text("\n".join(lines), encoding="utf-8")
    return path


def mnist(folder, n=60, gz=False):
    folder.mkdir()
    rng = np.random.default_rng(0)
    for part, count in (("train", n), ("t10k", 20)):
        images = rng.integers(0, 256, (count, 28, 28)).astype(np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        end = ".gz" if gz else ""
        write_idx(folder / f"{part}-images-idx3-ubyte{end}", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte{end}", labels)
    return folder


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


def test_a_run_that_was_cut_short_is_resumed_with_the_same_bits(mmb, empty_folder):
    command = [
        sys.executable,
        "-m",
        "tinygrad_mmb",
        "train",
        "digits",
        *QUICK,
        "--epochs",
        "6",
        "--out",
    ]
    subprocess.run([*command, "whole"], check=True, capture_output=True, timeout=120)
    kill = (
        "import os, signal, sys; from tinygrad_mmb.cli import main; "
        "from tinygrad_mmb.training import Trainer; step = Trainer.training_step; "
        "die = lambda: os.kill(os.getpid(), getattr(signal, 'SIGKILL', signal.SIGTERM)); "
        "Trainer.training_step = lambda self, x, t: self.step == 40 and die() or step(self, x, t); "
        "main(sys.argv[1:])"
    )
    killed = [sys.executable, "-c", kill, *command[3:], "killed", "--checkpoint-every", "15"]
    assert subprocess.run(killed, capture_output=True, timeout=120, check=False).returncode != 0
    assert not (empty_folder / "killed" / "model.safetensors").exists()
    code, out, err = mmb("train", "--resume", "killed", "--plain")
    assert (code, err) == (0, "")
    assert "epoch 1/6" not in out
    assert weights(empty_folder / "whole") == weights(empty_folder / "killed")
    strip = [
        line.rsplit(",", 1)[0]
        for line in (empty_folder / "whole" / "metrics.csv").read_text().splitlines()
    ]
    assert strip == [
        line.rsplit(",", 1)[0]
        for line in (empty_folder / "killed" / "metrics.csv").read_text().splitlines()
    ]


def test_a_finished_run_can_be_resumed_and_stays_as_it_is(mmb, run_a, empty_folder):
    before = weights(empty_folder / "a")
    assert mmb("train", "digits", "--resume", "a", "--epochs", "4", "--plain")[0] == 0
    assert weights(empty_folder / "a") == before


def test_a_resumed_run_restores_the_number_of_blas_threads(mmb, empty_folder):
    before = blas.blas_threads()
    if before is None:
        pytest.skip("this BLAS does not tell its threads")
    try:
        blas.set_blas_threads(1)
        mmb("train", "digits", *QUICK, "--threads", 0, "--out", "a")
        text = (empty_folder / "a" / "manifest.json").read_text(encoding="utf-8")
        assert json.loads(text)["blas"]["threads"] == 1
        blas.set_blas_threads(2)
        mmb("train", "--resume", "a", "--plain")
        assert blas.blas_threads() == 1
    finally:
        blas.set_blas_threads(before)


def test_a_resume_whose_threads_cannot_be_restored_is_refused(
    mmb, run_a, empty_folder, monkeypatch
):
    monkeypatch.setattr(blas, "set_blas_threads", lambda n: False)
    monkeypatch.setattr(blas, "blas_threads", lambda: 99)
    assert "OPENBLAS_NUM_THREADS" in one_line(mmb("train", "--resume", "a"))


@pytest.mark.filterwarnings("default")
def test_a_resume_with_another_version_is_warned_about(mmb, run_a):
    manifest = json.loads((run_a / "manifest.json").read_text(encoding="utf-8"))
    manifest["versions"]["numpy"] = "1.0"
    (run_a / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    code, _, err = mmb("train", "--resume", "a", "--plain")
    assert code == 0
    assert err.startswith("warning: a was started with numpy 1.0; another version is installed")


def noted_kernels(run, **kernels):
    """Change what a run's manifest says about its kernels; with none, take it out."""
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    manifest["kernels"] = kernels or None
    (run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def test_a_resume_with_other_kernels_is_refused_and_says_how_to_get_those_back(mmb, run_a):
    noted_kernels(run_a, named="numba", cpu=None)
    answer = one_line(mmb("train", "--resume", "a"))
    assert "a: this run used the kernels of numba, now it would be" in answer
    assert answer.endswith("Set MMB_KERNELS=numba and call again")


@pytest.mark.skipif(len(variants()) < 2, reason="C++ kernels for one set of instructions at most")
def test_a_resume_with_other_instructions_is_refused_and_says_how_to_get_those_back(mmb, run_a):
    now = load("cpu").module.isa
    other = next(isa for isa in variants() if isa != now)
    noted_kernels(run_a, named="auto", cpu=other)
    answer = one_line(mmb("train", "--resume", "a"))
    assert f"used C++ kernels for {other}, now it would be C++ kernels for {now}" in answer
    assert answer.endswith(f"Set MMB_CPU_ISA={other} and call again")


@pytest.mark.filterwarnings("default")
def test_a_resume_where_the_kernels_of_then_cannot_run_is_warned_about(mmb, run_a):
    noted_kernels(run_a, named="auto", cpu="sse9")
    code, _, err = mmb("train", "--resume", "a", "--plain")
    assert code == 0
    assert err.startswith("warning: a: this run used C++ kernels for sse9, now it would be")


def test_a_run_that_noted_no_kernels_goes_on(mmb, run_a):
    noted_kernels(run_a)
    assert mmb("train", "--resume", "a", "--plain")[0] == 0


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


def test_without_matplotlib_the_run_goes_on_and_says_how_to_get_it(mmb, empty_folder):
    code, out, _ = mmb("train", "digits", *QUICK, "--out", "a")
    assert code == 0
    assert "pip install 'tinygrad-mmb[train]'" in out.splitlines()[2]
    assert "accuracy: o training, x validation" in out
    assert not list((empty_folder / "a").glob("*.png"))


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


@pytest.mark.parametrize("gz", [False, True], ids=["plain", "gzipped"])
def test_mnist_is_read_from_idx_files(mmb, empty_folder, gz):
    mnist(empty_folder / "mnist", gz=gz)
    code, out, _ = mmb("train", "mnist", "mnist", *QUICK, "--out", "a")
    assert code == 0
    assert out.startswith("mnist: 50 training, 10 validation, 20 test samples")
    assert mmb("evaluate", "a")[0] == 0


def test_a_table_is_learnt_and_asked(mmb, empty_folder):
    table(empty_folder / "blumen.csv")
    code, out, _ = mmb("train", "csv", "blumen.csv", "--epochs", 30, "--plain", "--out", "a")
    assert code == 0
    assert "test accuracy 1.0000 (12 of 12)" in out
    assert not (empty_folder / "a" / "misclassified.png").exists()
    (empty_folder / "new.csv").write_text("breite,länge\n-2,2\n0,0\n", encoding="utf-8")
    answer = mmb("predict", "a", "new.csv")[1].splitlines()
    assert answer[1].startswith("0,setosa") or answer[2].startswith("1,")
    kinds = [line.split(",")[1] for line in answer[1:]]
    assert kinds == [FLOWERS[2], FLOWERS[0]]


def test_a_run_on_a_table_may_be_resumed_from_another_folder(mmb, empty_folder, monkeypatch):
    table(empty_folder / "blumen.csv")
    mmb("train", "csv", "blumen.csv", *QUICK, "--out", "a")
    (empty_folder / "below").mkdir()
    monkeypatch.chdir(empty_folder / "below")
    assert mmb("train", "csv", "../blumen.csv", "--resume", "../a", "--plain")[0] == 0
    assert mmb("evaluate", "../a")[0] == 0


def test_a_run_whose_data_has_changed_is_not_resumed(mmb, empty_folder):
    path = table(empty_folder / "blumen.csv")
    mmb("train", "csv", "blumen.csv", *QUICK, "--out", "a")
    table(path, rows=59)
    assert "the data has changed" in one_line(mmb("train", "--resume", "a"))


REFUSED = [
    (["train"], "name the data: mmb train digits"),
    (["train", "digit"], "'digit' is not one of 'digits', 'mnist', 'csv'"),
    (["train", "digits", "--epoch", "3"], "No such option"),
    (["train", "digits", "--epochs", "0"], "epochs is 0, but must be at least 1"),
    (["train", "digits", "--epochs", "many"], "'many' is not a valid integer"),
    (["train", "digits", "--lr", "0"], "lr is 0.0, but must be above 0"),
    (["train", "digits", "--lr", "nan"], "lr is nan"),
    (["train", "digits", "--lr", "inf"], "lr is inf"),
    (["train", "digits", "--dropout", "1"], "dropout is 1.0, but must lie in [0, 1)"),
    (["train", "digits", "--momentum", "1"], "momentum is 1.0"),
    (["train", "digits", "--batch-size", "0"], "batch_size is 0"),
    (["train", "digits", "--patience", "0"], "patience is 0"),
    (["train", "digits", "--min-delta", "-1"], "min_delta is -1.0"),
    (["train", "digits", "--weight-decay", "-1"], "weight_decay is -1.0"),
    (["train", "digits", "--clip-grad-norm", "-1"], "clip_grad_norm is -1.0"),
    (["train", "digits", "--label-smoothing", "1"], "label_smoothing is 1.0"),
    (["train", "digits", "--width", "-1"], "width is -1"),
    (["train", "digits", "--seed", "-1"], "seed is -1"),
    (["train", "digits", "--model", "resnet"], "'resnet' is not one of 'mlp', 'cnn'"),
    (["train", "digits", "--dtype", "int8"], "'int8' is not one of"),
    (["train", "digits", "--device", "tpu"], "device 'tpu'"),
    (["train", "digits", "folder"], "'digits' ships with the package and takes no path"),
    (["train", "digits", "--target", "x"], "goes with data 'csv' only"),
    (["train", "digits", "--checkpoint-every", "0"], "0 is not in the range"),
    (["train", "digits", "--keep", "0"], "0 is not in the range"),
    (["train", "mnist"], "data 'mnist' needs a path"),
    (["train", "mnist", "nowhere"], "nowhere: no such folder"),
    (["train", "csv"], "data 'csv' needs a path"),
    (["train", "csv", "nowhere.csv"], "nowhere.csv: No such file"),
    (["train", "csv", "x.csv", "--model", "cnn"], "model 'cnn' needs images"),
    (["train", "--resume", "nowhere"], "nowhere: there is no such run folder"),
    (["train", "--resume", "."], "this is no run folder"),
    (["train", "--resume", ".", "--out", "x"], "--out and --config do not fit"),
    (["train", "--config", "nowhere.json"], "nowhere.json: cannot be read"),
    (["evaluate"], "Missing argument 'RUN'"),
    (["evaluate", "nowhere"], "nowhere: there is no such run folder"),
    (["predict", "nowhere", "x.npy"], "nowhere: there is no such run folder"),
    (["dance"], "No such command 'dance'"),
]


@pytest.mark.parametrize(
    ("arguments", "message"), REFUSED, ids=lambda v: " ".join(v) if isinstance(v, list) else ""
)
def test_what_cannot_be_is_refused_in_one_line_before_anything_is_written(
    mmb, empty_folder, arguments, message
):
    assert message in one_line(mmb(*arguments))
    assert not list(empty_folder.iterdir())


def test_a_folder_that_is_in_use_is_not_overwritten(mmb, empty_folder):
    (empty_folder / "full").mkdir()
    (empty_folder / "full" / "thesis.txt").write_text("mine", encoding="utf-8")
    assert "there is something already" in one_line(mmb("train", "digits", "--out", "full"))
    assert [p.name for p in (empty_folder / "full").iterdir()] == ["thesis.txt"]
    (empty_folder / "file").write_text("mine", encoding="utf-8")
    assert "there is something already" in one_line(mmb("train", "digits", "--out", "file"))
    assert "cannot make this folder" in one_line(mmb("train", "digits", "--out", "file/below"))


def test_a_resumed_run_keeps_its_settings(mmb, run_a):
    message = one_line(mmb("train", "--resume", "a", "--lr", "0.5"))
    assert "was started with lr 0.01, so it cannot go on with 0.5" in message


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


@pytest.mark.filterwarnings("default")
def test_runs_of_which_every_checkpoint_is_damaged_fail_with_a_line(mmb, run_a, empty_folder):
    for path in (empty_folder / "a" / "checkpoints").glob("*.json"):
        path.write_text("{", encoding="utf-8")
    code, _, err = mmb("train", "--resume", "a")
    assert code == 1
    assert "no checkpoint is whole" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "this is no JSON"),
        ("[1]", "a JSON object was expected"),
        ('{"optimiser": "adam"}', "unknown setting 'optimiser' (did you mean 'optimizer'?)"),
        ('{"optimizer": "adm"}', "optimizer is 'adm' (did you mean 'adam'?)"),
        ('{"epochs": "3"}', "epochs is '3', but must be a int"),
        ('{"epochs": true}', "epochs is True"),
    ],
)
def test_a_wrong_config_file_is_refused(mmb, empty_folder, text, message):
    (empty_folder / "c.json").write_text(text, encoding="utf-8")
    assert message in one_line(mmb("train", "--config", "c.json"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("much,1.0,setosa", "row 4, column 'länge': 'much' is not a number"),
        ("nan,1.0,setosa", "row 4, column 'länge': nan is not finite"),
        ("1.0,setosa", "row 4: 2 cells, but the header has 3 columns"),
        ("1.0,,setosa", "row 4, column 'breite': the cell is empty"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_with_row_and_column(
    mmb, empty_folder, row, message
):
    table(empty_folder / "t.csv", broken=row)
    assert message in one_line(mmb("train", "csv", "t.csv"))
    assert [p.name for p in empty_folder.iterdir()] == ["t.csv"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,x\n2,x\n3,x\n4,x\n5,x\n6,x\n", "holds one class only, 'x'"),
        ("a,b\n1,x\n2,y\n", "2 rows are too few"),
        ("a,b\n1e300,x\n2,y\n3,x\n4,y\n5,x\n6,y\n", "too large for float32"),
        ("", "the file is empty"),
    ],
)
def test_a_table_without_a_problem_in_it_is_refused(mmb, empty_folder, text, message):
    (empty_folder / "t.csv").write_text(text, encoding="utf-8")
    assert message in one_line(mmb("train", "csv", "t.csv"))


def test_a_column_of_numbers_is_no_class(mmb, empty_folder):
    lines = ["a,b"] + [f"{i * 0.37:.2f},{i * 0.11:.2f}" for i in range(60)]
    (empty_folder / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    assert "60 different values in 60 rows. That is no class" in one_line(
        mmb("train", "csv", "t.csv", "--target", "a")
    )
    assert "no column 'size'" in one_line(mmb("train", "csv", "t.csv", "--target", "size"))


@pytest.mark.parametrize("gz", [False, True], ids=["plain", "gzipped"])
def test_a_truncated_idx_file_is_refused(mmb, empty_folder, gz):
    folder = mnist(empty_folder / "mnist", gz=gz)
    path = folder / f"train-images-idx3-ubyte{'.gz' if gz else ''}"
    path.write_bytes(path.read_bytes()[:-100])
    assert "truncated" in one_line(mmb("train", "mnist", "mnist"))
    assert [p.name for p in empty_folder.iterdir()] == ["mnist"]


def test_a_gzipped_file_with_truncated_contents_is_refused(mmb, empty_folder):
    folder = mnist(empty_folder / "mnist", gz=True)
    path = folder / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-3]))
    assert "truncated" in one_line(mmb("train", "mnist", "mnist"))


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


def test_a_run_that_diverges_says_so_and_what_to_do(mmb):
    code, _, err = mmb(
        "train", "digits", *QUICK, "--optimizer", "sgd", "--lr", "1e30", "--out", "a"
    )
    assert code == 1
    assert err.count("\n") == 1
    assert "Lower the learning rate (it is 1e+30)" in err


def test_ctrl_c_says_how_to_go_on(mmb, monkeypatch):
    from tinygrad_mmb.training import Trainer

    def interrupt(self, x, t):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "training_step", interrupt)
    code, _, err = mmb("train", "digits", *QUICK, "--out", "a")
    assert code == 130
    assert err == 'stopped. Go on with: mmb train --resume "a"\n'


def test_a_full_disk_is_one_line(mmb, monkeypatch):
    from tinygrad_mmb import atomic

    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(atomic, "write_bytes", full)
    code, _, err = mmb("train", "digits", *QUICK, "--out", "a")
    assert code == 1
    assert err.endswith("No space left on device\n")


def test_help_explains_every_command(mmb):
    for command in ("train", "evaluate", "predict", "doctor"):
        code, out, _ = mmb(command, "--help")
        assert code == 0
        assert out.startswith(f"Usage: mmb {command}")
    assert "mmb train digits --model cnn --seed 1" in mmb("train", "-h")[1]
    assert mmb("--version")[1].startswith("tinygrad_mmb, version")


def test_no_command_at_all_shows_the_help(mmb):
    code, out, _ = mmb()
    assert code == 2
    assert "train" in out


def test_doctor_tells_versions_kernels_blas_and_threads(mmb):
    code, out, _ = mmb("doctor")
    assert code == 0
    for word in (
        "tinygrad_mmb",
        "python",
        "numpy",
        "safetensors",
        "BLAS",
        "thread",
        "kernels",
        "CuPy",
    ):
        assert word in out


def test_output_that_is_no_terminal_has_no_control_codes(empty_folder):
    command = [sys.executable, "-m", "tinygrad_mmb", "train", "digits", *QUICK[:-1]]
    variables = os.environ | {"NO_COLOR": "1"}
    answer = subprocess.run(command, capture_output=True, timeout=120, check=True, env=variables)
    assert b"\x1b" not in answer.stdout + answer.stderr
