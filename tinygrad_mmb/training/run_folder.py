"""The folder of one run: what is in it and under which name."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

from tinygrad_mmb import atomic
from tinygrad_mmb.training.config import ConfigError, TrainConfig, read_config


class RunFolder:
    """Paths in the folder of one run.

    config.json             every setting
    manifest.json           versions, seed, device, commit, BLAS, checksum of the data, config again
    metrics.csv             one line per epoch
    curves.png              training and validation, loss and accuracy
    confusion_matrix.png    of the test set
    misclassified.png       of the test set
    model.safetensors       the weights, those of the best epoch
    results.json            test loss and accuracy, best epoch, why the training ended
    checkpoints/            the last states, to resume from
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.manifest = self.path / "manifest.json"
        self.metrics = self.path / "metrics.csv"
        self.curves = self.path / "curves.png"
        self.confusion_matrix = self.path / "confusion_matrix.png"
        self.misclassified = self.path / "misclassified.png"
        self.model = self.path / "model.safetensors"
        self.results = self.path / "results.json"
        self.checkpoints = self.path / "checkpoints"

    @classmethod
    def create(cls, path: str | Path | None, config: TrainConfig) -> RunFolder:
        """A new folder at `path`, or runs/digits-mlp-001, -002, ... below the current folder.

        Raises: ConfigError if there is something at `path` already, or no folder can be made there.
        """
        try:
            return cls(new_folder(path, f"{config.data}-{config.model}"))
        except FileExistsError:
            raise ConfigError(
                f"{path}: there is something already. Take another folder, or go on "
                f'with that run: mmb train --resume "{path}"'
            ) from None
        except OSError as error:
            raise ConfigError(
                f"{error.filename}: cannot make this folder ({error.strerror or error})"
            ) from error

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """The folder of a run that was started.

        Raises: ConfigError if it is not there, or is no run.
        """
        run = cls(path)
        if not run.path.is_dir():
            raise ConfigError(f"{path}: there is no such run folder")
        if not run.config.is_file():
            raise ConfigError(f"{path}: this is no run folder, as it has no config.json")
        return run

    def read_config(self) -> TrainConfig:
        return read_config(self.config)

    def read_manifest(self) -> dict[str, Any]:
        """The manifest.

        Raises: ConfigError if it is missing or damaged.
        """
        try:
            manifest: dict[str, Any] = json.loads(self.manifest.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self.manifest}: cannot be read ({error})") from error
        return manifest

    def start(self, config: TrainConfig, manifest: dict[str, Any]) -> None:
        """Write down what is about to be done."""
        atomic.write_json(self.manifest, manifest | {"config": config.as_dict()})
        atomic.write_json(self.config, config.as_dict())

    def finish(self, results: dict[str, Any]) -> None:
        atomic.write_json(self.results, results)


def new_folder(path: str | Path | None, name: str) -> Path:
    """A new folder at `path`, or runs/<name>-001, -002, ... below the current folder.

    Raises: FileExistsError if there is something at `path` already, OSError if no folder can be
    made.
    """
    if path is not None:
        folder = Path(path)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise FileExistsError(errno.EEXIST, "there is something already", str(folder))
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    number = 1
    while True:  # mkdir decides, so two runs started together get two folders
        folder = Path("runs") / f"{name}-{number:03d}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not Path("runs").is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "runs is no folder", str(folder)) from None
            number += 1
        else:
            return folder
