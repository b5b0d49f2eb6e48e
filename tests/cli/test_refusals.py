"""What cannot be is refused in one line, with exit code 2, before anything is written."""

import pytest

from tests.cli.runs import one_line

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
