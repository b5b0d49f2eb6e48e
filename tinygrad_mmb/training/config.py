"""The settings of a run: one frozen record, checked in one place, written beside the results."""

from __future__ import annotations

import difflib
import json
import math
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

CHOICES: dict[str, tuple[str, ...]] = {
    "data": ("digits", "mnist", "csv"),
    "model": ("mlp", "cnn"),
    "optimizer": ("sgd", "adam", "adamw", "rmsprop", "adagrad"),
    "schedule": ("constant", "step", "exponential", "cosine", "linear", "plateau"),
    "dtype": ("float32", "float64"),
}


class ConfigError(ValueError):
    """A setting that cannot be: the text is one line for the person who gave it."""


@dataclass(frozen=True)
class TrainConfig:
    """Every setting that decides the result of a run.

    `path` is the folder of mnist or the file of csv.
    """

    data: str = "digits"
    path: str = ""
    target: str = ""  # csv: the column of classes; the last one if empty
    model: str = "mlp"
    width: int = 0  # 0: the model's own
    dropout: float = 0.3
    optimizer: str = "adamw"
    lr: float = 1e-3
    momentum: float = 0.9  # sgd only
    weight_decay: float = 0.0
    schedule: str = "cosine"
    batch_size: int = 32
    epochs: int = 60
    patience: int = 15
    min_delta: float = 1e-4
    label_smoothing: float = 0.0
    clip_grad_norm: float = 0.0  # 0: no clipping
    seed: int = 0
    dtype: str = "float32"
    device: str = "cpu"
    threads: int = 1  # of the BLAS: more do not help models as small as these; 0: its own number

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f"{name} is {getattr(self, name)!r}{nearest(getattr(self, name), choices)}; "
                    "there are: "
                    f"{', '.join(choices)}"
                )
        bounds = (
            ("lr", self.lr > 0, "must be above 0"),
            ("momentum", 0 <= self.momentum < 1, "must lie in [0, 1)"),
            ("weight_decay", self.weight_decay >= 0, "must not be negative"),
            ("dropout", 0 <= self.dropout < 1, "must lie in [0, 1)"),
            ("label_smoothing", 0 <= self.label_smoothing < 1, "must lie in [0, 1)"),
            (
                "clip_grad_norm",
                self.clip_grad_norm >= 0,
                "must not be negative; 0 means no clipping",
            ),
            ("min_delta", self.min_delta >= 0, "must not be negative"),
            ("batch_size", self.batch_size >= 1, "must be at least 1"),
            ("epochs", self.epochs >= 1, "must be at least 1"),
            ("patience", self.patience >= 1, "must be at least 1"),
            ("width", self.width >= 0, "must not be negative; 0 means the model's own"),
            ("threads", self.threads >= 0, "must not be negative; 0 means what the BLAS takes"),
            ("seed", 0 <= self.seed < 2**63, "must lie in [0, 2**63)"),
        )
        for name, fits, rule in bounds:
            value = getattr(self, name)
            if not fits or not math.isfinite(value):
                raise ConfigError(f"{name} is {value}, but {rule}")
        if self.data == "digits" and self.path:
            raise ConfigError(
                f"data 'digits' ships with the package and takes no path, but {self.path!r} came"
            )
        if self.data != "digits" and not self.path:
            what = "the folder with the four IDX files" if self.data == "mnist" else "the CSV file"
            raise ConfigError(f"data {self.data!r} needs a path: {what}")
        if self.data == "csv" and self.model == "cnn":
            raise ConfigError(
                "model 'cnn' needs images, but the rows of a CSV file are none; take model 'mlp'"
            )
        if self.target and self.data != "csv":
            raise ConfigError(
                f"target {self.target!r} names a column, so it goes with data 'csv' only"
            )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def with_changes(self, changes: dict[str, Any]) -> TrainConfig:
        return replace(self, **changes)


def nearest(word: Any, words: tuple[str, ...] | list[str]) -> str:
    """A suggestion: " (did you mean 'adam'?)", or nothing."""
    close = difflib.get_close_matches(str(word), words, 1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def config_from(values: dict[str, Any], where: str = "config") -> TrainConfig:
    """A config from JSON's dictionary.

    Raises: ConfigError for an unknown key (with the nearest name), a value of the wrong kind, or
    one out of bounds.
    """
    known = {f.name: f for f in fields(TrainConfig)}
    for name, value in values.items():
        if name not in known:
            raise ConfigError(f"{where}: unknown setting {name!r}{nearest(name, list(known))}")
        kind = type(known[name].default)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            continue
        if type(value) is not kind:
            raise ConfigError(f"{where}: {name} is {value!r}, but must be a {kind.__name__}")
    return TrainConfig(**values)


def read_config(path: str | Path) -> TrainConfig:
    """The config in a config.json or manifest.json.

    Raises: ConfigError if the file is missing, no JSON, or says what cannot be.
    """
    path = Path(path)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise ConfigError(f"{path}: this is no JSON ({error})") from error
    if isinstance(values, dict) and isinstance(values.get("config"), dict):
        values = values["config"]
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a JSON object was expected")
    return config_from(values, str(path))


def defaults_for(data: str, model: str) -> dict[str, Any]:
    """What differs from TrainConfig's own values, for better results or less waiting."""
    chosen: dict[str, Any] = {"epochs": 30} if model == "cnn" else {}
    if data == "mnist":
        chosen |= {"epochs": 10, "batch_size": 128, "patience": 3, "threads": 0}
    return chosen
