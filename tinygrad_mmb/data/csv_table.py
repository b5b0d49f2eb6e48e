"""Tables of numbers in CSV files."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tinygrad_mmb.autograd.tensor import tensor
from tinygrad_mmb.data.dataset import TensorDataset


class CSVTable(TensorDataset):
    """A CSV file with a header.   x (columns,) float32; t () int64 the class, or () float32.

    `target` names the column to predict (None: the last); all others are inputs, and numbers. With
    `classes` the target may be any text: its values, sorted, are `self.classes`, and t is the
    number of one. Without, t is a number. Text is UTF-8, with or without a byte order mark.

    Raises: FileNotFoundError; ValueError, in one line that names file, row and column, for what
    cannot be read. Row 1 is the header.
    """

    def __init__(
        self,
        path: str | Path,
        target: str | None = None,
        classes: bool = False,
        delimiter: str = ",",
    ) -> None:
        path = Path(path)
        header, rows = read_rows(path, delimiter)
        target = header[-1] if target is None else target
        if target not in header:
            raise ValueError(
                f"{path}: there is no column {target!r}; the columns are {', '.join(header)}"
            )
        if len(header) < 2:
            hint = ". Cells are separated by commas" if ";" in target or "\t" in target else ""
            raise ValueError(f"{path}: {target!r} is the only column, so there is no input{hint}")
        self.target = target
        self.columns = tuple(name for name in header if name != target)
        where = header.index(target)
        x = np.empty((len(rows), len(header) - 1), np.float32)
        labels: list[str] = []
        t = np.empty(len(rows), np.float32)
        for i, (line, row) in enumerate(rows):
            cells = iter(range(len(header) - 1))
            for j, (name, text) in enumerate(zip(header, row, strict=True)):
                if j == where and classes:
                    if not text.strip():
                        raise ValueError(f"{path}, row {line}, column {name!r}: the cell is empty")
                    labels.append(text.strip())
                elif j == where:
                    t[i] = to_number(text, path, line, name)
                else:
                    x[i, next(cells)] = to_number(text, path, line, name)
        self.classes: tuple[str, ...] = ()
        if classes:
            self.classes = tuple(sorted(set(labels), key=as_sorted))
            index = {name: k for k, name in enumerate(self.classes)}
            super().__init__(tensor(x), tensor(np.array([index[v] for v in labels], np.int64)))
        else:
            super().__init__(tensor(x), tensor(t))


def read_rows(path: Path, delimiter: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and (line number, cells) of every row that is not blank."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            table = [(reader.line_num, row) for row in reader if row]
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: not UTF-8 text (byte {error.object[error.start]:#04x}); save it as UTF-8"
        ) from error
    except csv.Error as error:
        raise ValueError(f"{path}, row {reader.line_num}: {error}") from error
    if not table:
        raise ValueError(
            f"{path}: the file is empty; it should begin with the names of the columns"
        )
    header = [name.strip() for name in table[0][1]]
    check_header(path, header)
    for line, row in table[1:]:
        if len(row) != len(header):
            raise ValueError(
                f"{path}, row {line}: {len(row)} cells, but the header has {len(header)} columns"
            )
    if len(table) == 1:
        raise ValueError(f"{path}: there is a header, but no row below it")
    return header, table[1:]


def check_header(path: Path, header: Sequence[str]) -> None:
    """Raise unless every column has a name of its own."""
    for j, name in enumerate(header):
        if not name:
            raise ValueError(f"{path}, row 1: column {j + 1} has no name")
        if name in header[:j]:
            raise ValueError(f"{path}, row 1: there are two columns {name!r}")
    if all(is_number(name) for name in header):
        raise ValueError(
            f"{path}, row 1: only numbers, where the names of the columns should be; add a header"
        )


def to_number(text: str, path: Path, line: int, column: str) -> float:
    """The number in a cell."""
    try:
        value = float(text)
    except ValueError:
        what = f"{text.strip()!r} is not a number" if text.strip() else "the cell is empty"
        raise ValueError(f"{path}, row {line}, column {column!r}: {what}") from None
    if not math.isfinite(value):
        raise ValueError(f"{path}, row {line}, column {column!r}: {text.strip()} is not finite")
    return value


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def as_sorted(name: str) -> tuple[bool, float, str]:
    """Classes that are numbers in the order of numbers, before the others in that of text."""
    return (False, float(name), name) if is_number(name) else (True, 0.0, name)
