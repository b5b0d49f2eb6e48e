"""Pictures of a training run. Matplotlib is imported when one is drawn; without it there are curves
in plain text.

Nothing is told by colour alone: lines differ by their dashes and markers, cells carry their counts.
The colours are those of Okabe and Ito (2008), which people with any of the common colour
deficiencies can tell apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_mmb import atomic
from tinygrad_mmb.backend import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tinygrad_mmb.training.trainer import Row

BLUE, VERMILION = "#0072B2", "#D55E00"
HIDDEN = ("epoch", "step", "lr", "seconds")


class MissingPlots(ImportError):  # noqa: N818 - what is missing
    """Matplotlib is not installed."""


def require_matplotlib() -> None:
    """Raises MissingPlots, with the line that installs it, if there is no matplotlib."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingPlots("pictures need matplotlib: pip install 'tinygrad-mmb[train]'") from error


def new_figure(width: float, height: float) -> Figure:
    """A figure that needs no screen and leaves pyplot's state alone."""
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def metric_names(history: Sequence[Row]) -> list[str]:
    """Names of the metrics in a history, without "val_" and without bookkeeping."""
    names = (name.removeprefix("val_") for name in history[0] if name not in HIDDEN)
    return list(dict.fromkeys(names))


def plot_history(history: Sequence[Row], best_epoch: int | None = None) -> Figure:
    """For each metric one picture: training and validation over the epochs, in the same axes.

    Raises: ValueError for an empty history; MissingPlots without matplotlib.
    """
    if not history:
        raise ValueError("plot_history: the history is empty: no epoch was finished")
    names = metric_names(history)
    figure = new_figure(5.2 * len(names), 4.0)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        draw_curves(axes, history, name, best_epoch)
    return figure


def draw_curves(axes: Axes, history: Sequence[Row], name: str, best_epoch: int | None) -> None:
    """Training (solid, circles) and validation (dashed, squares) of one metric."""
    from matplotlib.ticker import MaxNLocator

    epochs = [row["epoch"] for row in history]
    every = max(1, len(history) // 12)  # markers, so that lines differ in print too
    styles = (
        (name, "training", BLUE, "-", "o"),
        (f"val_{name}", "validation", VERMILION, "--", "s"),
    )
    for key, label, colour, dashes, marker in styles:
        if key in history[0]:
            values = [row[key] for row in history]
            line = axes.plot(epochs, values, dashes, color=colour, label=label)[0]
            line.set(marker=marker, markevery=every, markersize=4)
    if best_epoch:
        label = f"best epoch, {best_epoch}"
        axes.axvline(best_epoch, color="0.4", linewidth=1, linestyle=":", label=label)
    axes.set(xlabel="epoch", ylabel=name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def plot_confusion_matrix(counts: Array, classes: Sequence[str]) -> Figure:
    """Rows are the true classes, columns the predicted ones; each cell carries its count.

    Raises: ValueError if counts is not (C, C) for C class names.
    """
    n = len(classes)
    if counts.shape != (n, n):
        raise ValueError(
            f"plot_confusion_matrix: counts has shape {counts.shape}, but there are {n} classes"
        )
    side = max(4.5, 0.45 * n + 1.5)
    figure = new_figure(side + 0.9, side)
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    image = axes.imshow(
        shares, cmap="Blues", vmin=0, vmax=1
    )  # light to dark: the same order for all eyes
    axes.set_xticks(range(n), classes, rotation=0 if max(map(len, classes), default=0) <= 3 else 45)
    axes.set_yticks(range(n), classes)
    lines = np.arange(n + 1) - 0.5
    axes.hlines(lines, -0.5, n - 0.5, color="0.85", linewidth=0.6)
    axes.vlines(lines, -0.5, n - 0.5, color="0.85", linewidth=0.6)
    if n <= 30:
        for (t, p), count in np.ndenumerate(counts):
            if count:
                ink = "white" if shares[t, p] > 0.5 else "black"
                axes.text(p, t, str(count), ha="center", va="center", color=ink, fontsize=9)
    right, total = int(np.trace(counts)), int(counts.sum())
    axes.set(xlabel="predicted", ylabel="true", title=f"{right} of {total} right")
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.85)
    return figure


def plot_misclassified(
    images: Array,
    target: Array,
    predicted: Array,
    confidence: Array,
    classes: Sequence[str],
    most: int = 40,
) -> Figure:
    """The errors, the most confident first, with true class, predicted class and probability.

    Shapes: images (N, H, W) or (N, 1, H, W); target, predicted, confidence (N,): of the
    misclassified samples only.
    """
    order = np.argsort(-confidence, kind="stable")[:most]
    columns = min(8, max(4, len(order)))
    rows = max(1, math.ceil(len(order) / columns))
    figure = new_figure(1.35 * columns, 1.55 * rows + 0.5)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.axis("off")
    for axes, i in zip(grid, order, strict=False):
        axes.imshow(images[i].reshape(images.shape[-2:]), cmap="gray_r", interpolation="nearest")
        words = (
            classes[target[i]],
            f"taken for {classes[predicted[i]]}",
            f"{confidence[i]:.0%} sure",
        )
        caption = "true " + "\n".join(words)
        axes.set_title(caption, fontsize=8)
    n = len(target)
    shown = "" if n <= most else f", the {most} most confident shown"
    figure.suptitle(f"{n} misclassified{shown}" if n else "none misclassified", fontsize=10)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a picture whole or not at all. It holds no versions: equal runs give equal files."""
    options: dict[str, Any] = {"format": "png", "metadata": {"Software": None}}
    atomic.write_with(path, lambda temporary: figure.savefig(temporary, **options))


def picture(path: Path, width: float, height: float, draw: Callable[[Figure], object]) -> None:
    """Let `draw` fill a figure and write it to `path`; without matplotlib say how to get it."""
    try:
        figure = new_figure(width, height)
    except MissingPlots as error:
        print(f"no picture: {error}")
        return
    draw(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_figure(figure, path)
    print(f"picture: {path}")


def text_curves(history: Sequence[Row], width: int = 60, height: int = 10) -> str:
    """The same curves in plain ASCII, for terminals without pictures."""
    if not history:
        raise ValueError("text_curves: the history is empty: no epoch was finished")
    return "\n\n".join(text_curve(history, name, width, height) for name in metric_names(history))


def text_curve(history: Sequence[Row], name: str, width: int, height: int) -> str:
    """One metric over the epochs; the line above the curve says what the marks mean."""
    n = len(history)
    columns = min(width, n)
    shown = [history[round(i * (n - 1) / max(1, columns - 1))] for i in range(columns)]
    series = {
        "o": [r.get(name, math.nan) for r in shown],
        "x": [r.get(f"val_{name}", math.nan) for r in shown],
    }
    finite = [v for values in series.values() for v in values if math.isfinite(v)] or [0.0]
    low, high = min(finite), max(finite)
    canvas = [[" "] * columns for _ in range(height)]
    for mark, values in series.items():
        for column, value in enumerate(values):
            if math.isfinite(value):
                row = round((high - value) / ((high - low) or 1.0) * (height - 1))
                canvas[row][column] = mark if canvas[row][column] == " " else "#"
    labels = [f"{high:9.4g} |", *["          |"] * (height - 2), f"{low:9.4g} |"]
    lines = [label + "".join(cells).rstrip() for label, cells in zip(labels, canvas, strict=True)]
    legend = f"{name}: o training, x validation, # both; epochs 1 to {n}"
    return "\n".join([legend, *lines, " " * 10 + "+" + "-" * columns])
