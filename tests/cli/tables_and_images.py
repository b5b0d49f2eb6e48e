"""Small files for `mmb train`: a table of flowers, and images as MNIST has them."""

import csv

import numpy as np

from tinygrad_mmb.data import write_idx

FLOWERS = ("setosa", "virginica", "Größe")


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
