"""What a run learns from: three parts of a data set, and what is known about its samples."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_mmb.autograd.tensor import tensor
from tinygrad_mmb.backend import Array
from tinygrad_mmb.data import (
    MNIST,
    CSVTable,
    Digits,
    Subset,
    TensorDataset,
    read_idx,
    stratified_split,
)
from tinygrad_mmb.ops.random import Generator
from tinygrad_mmb.training.config import ConfigError, TrainConfig

FRACTIONS = (0.6, 0.2, 0.2)  # training, validation, test
MNIST_FRACTIONS = (5 / 6, 1 / 6)  # its test set comes in a file of its own
GREY_LEVELS = {"digits": 16.0, "mnist": 255.0}  # what 1.0 was before the data set divided by it


@dataclass(frozen=True)
class Problem:
    """A classification problem.   Samples: x `shape` floats, t () int64 below len(classes)."""

    train: Any
    validation: Any
    test: Any
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    columns: tuple[str, ...] = ()  # csv: the names of the inputs
    scale: tuple[Array, Array] | None = (
        None  # csv: mean and standard deviation of the training part
    )
    digest: str = ""

    @property
    def features(self) -> int:
        """Numbers per sample."""
        return int(np.prod(self.shape))

    @property
    def image(self) -> tuple[int, int, int] | None:
        """(channels, height, width) if samples are images."""
        if len(self.shape) != 3:
            return None
        channels, height, width = self.shape
        return channels, height, width


def load_problem(config: TrainConfig) -> Problem:
    """Read and split the data that the config names. The split depends on the seed alone.

    Raises: ConfigError if a file is missing, damaged, or holds too little.
    """
    try:
        match config.data:
            case "digits":
                return split(Digits(), config, Digits.classes)
            case "mnist":
                return load_mnist(config)
        return load_csv(config)
    except OSError as error:
        raise ConfigError(explain(error)) from error
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error


def load_mnist(config: TrainConfig) -> Problem:
    """Validation comes out of the 60,000 training images; the 10,000 others are the test set."""
    train, test = MNIST(config.path), MNIST(config.path, train=False)
    if train.tensors[0].shape[1:] != test.tensors[0].shape[1:]:
        raise ConfigError(f"{config.path}: training and test images differ in size")
    return split(train, config, MNIST.classes, test)


def load_csv(config: TrainConfig) -> Problem:
    """Every column but the target is an input, standardised by the numbers of the training part."""
    table = CSVTable(config.path, config.target or None, classes=True)
    if len(table.classes) < 2:
        raise ConfigError(
            f"{config.path}: column {table.target!r} holds one class only, {table.classes[0]!r}, "
            "so there is nothing to tell apart"
        )
    if len(table.classes) > max(20, len(table) // 2):
        raise ConfigError(
            f"{config.path}: column {table.target!r} holds {len(table.classes)} different values "
            f"in {len(table)} rows. That is no class; name the column of classes with --target"
        )
    return split(table, config, table.classes, columns=table.columns)


def split(
    dataset: TensorDataset,
    config: TrainConfig,
    classes: tuple[str, ...],
    test: TensorDataset | None = None,
    columns: tuple[str, ...] = (),
) -> Problem:
    """Training, validation and test part, with every class in each by the same share."""
    x, t = arrays_of(dataset, config)
    whole = TensorDataset(tensor(x), tensor(t))
    fractions = FRACTIONS if test is None else MNIST_FRACTIONS
    if len(x) < 5:
        raise ConfigError(
            f"{config.path}: {len(x)} rows are too few to split into training, validation and test"
        )
    if not np.isfinite(x).all():
        raise ConfigError(f"{config.path}: holds a number too large for {config.dtype}")
    parts = stratified_split(whole, t, fractions, Generator().manual_seed(config.seed))
    digest = hashlib.sha256(x.tobytes() + t.tobytes())
    held_out: Any = parts[-1]
    if test is not None:
        x_test, t_test = arrays_of(test, config)
        digest.update(x_test.tobytes() + t_test.tobytes())
        held_out = TensorDataset(tensor(x_test), tensor(t_test))
    scale = None
    if columns:
        known = x[parts[0].indices].astype(np.float64)
        scale = (known.mean(0).astype(x.dtype), known.std(0).astype(x.dtype))
    return Problem(
        parts[0], parts[1], held_out, x.shape[1:], classes, columns, scale, digest.hexdigest()
    )


def arrays_of(dataset: TensorDataset, config: TrainConfig) -> tuple[Array, Array]:
    """Inputs in the config's dtype, and classes."""
    x, t = (v.numpy() for v in dataset.tensors)
    return x.astype(config.dtype), t.astype(np.int64)


def explain(error: OSError) -> str:
    """What went wrong with which file, in a line."""
    if error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def inputs_of(dataset: Subset | TensorDataset, numbers: Array) -> Array:
    """The inputs of some samples, stacked."""
    shape = dataset[0][0].shape
    rows = [dataset[int(i)][0].numpy() for i in numbers]
    return np.stack(rows) if rows else np.zeros((0, *shape))


def read_samples(path: Path, problem: Problem, config: TrainConfig) -> TensorDataset:
    """New samples from a .npy, .csv or IDX file, with 0 for their unknown classes.

    Images come in the grey levels of their data set (digits 0 to 16, mnist 0 to 255); floats in
    .npy from 0 to 1.
    Raises: ConfigError if the file cannot be read, or its samples have another size.
    """
    try:
        if path.suffix == ".npy":
            x = np.load(path, allow_pickle=False)
        elif path.suffix == ".csv":
            x = read_rows(path, problem)
        else:
            x = read_idx(path)
    except OSError as error:
        raise ConfigError(explain(error)) from error
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(str(error) if str(path) in str(error) else f"{path}: {error}") from error
    if x.dtype.kind not in "biuf":
        raise ConfigError(f"{path}: holds {x.dtype}, but numbers were expected")
    grey = config.data in GREY_LEVELS and (x.dtype.kind != "f" or path.suffix == ".csv")
    x = x.astype(config.dtype) / (GREY_LEVELS[config.data] if grey else 1.0)
    if x.shape in (problem.shape, problem.shape[1:], (problem.features,)):
        x = x[None]  # a single sample
    if x.ndim == 0 or x.size != len(x) * problem.features or not len(x):
        raise ConfigError(
            f"{path}: holds an array of shape {x.shape}, but samples of this run have shape "
            f"{problem.shape}, that is "
            f"{problem.features} numbers each"
        )
    if not np.isfinite(x).all():
        raise ConfigError(f"{path}: holds numbers that are not finite")
    x = x.reshape(len(x), *problem.shape).astype(config.dtype)
    return TensorDataset(tensor(x), tensor(np.zeros(len(x), np.int64)))


def read_rows(path: Path, problem: Problem) -> Array:
    """Numbers from a CSV file: for a run on a table the columns of its names, else whole lines."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = [(number, row) for number, row in enumerate(csv.reader(file), 1) if row]
    if not lines:
        raise ConfigError(f"{path}: the file is empty")
    chosen = list(range(len(lines[0][1])))
    names = [f"column {i + 1}" for i in chosen]
    if problem.columns:
        names = [name.strip() for name in lines.pop(0)[1]]
        missing = [name for name in problem.columns if name not in names]
        if missing:
            raise ConfigError(
                f"{path}: there is no column {missing[0]!r}; the columns are {', '.join(names)}"
            )
        chosen = [names.index(name) for name in problem.columns]
    rows = []
    for number, row in lines:
        if len(row) != len(names):
            raise ConfigError(
                f"{path}, row {number}: {len(row)} cells, but {len(names)} were expected"
            )
        try:
            rows.append([float(row[i]) for i in chosen])
        except ValueError:
            wrong = next(i for i in chosen if not is_number(row[i]))
            raise ConfigError(
                f"{path}, row {number}, {names[wrong]}: {row[wrong]!r} is not a number"
            ) from None
    if not rows:
        raise ConfigError(f"{path}: there is a header, but no row below it")
    return np.array(rows)


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
