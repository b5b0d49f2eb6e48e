"""Pictures of a run: a roofline, ratios with their intervals, the steps of a ladder.

Colours are those of Okabe and Ito (2008); every backend has a marker of its own too, and every bar
its number. A run without a GPU is stamped, as none of its times is a GPU's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_mmb import atomic
from tinygrad_mmb.bench.results import Row, timed
from tinygrad_mmb.bench.statistics import FASTER, SLOWER
from tinygrad_mmb.training.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STAMP = "measured on a CPU: not GPU timings"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<")  # 63 pairs before one comes again
MOST_RATIOS = 40
ENDINGS = ("png", "svg", "pdf")


def stamp(figure: Figure, content: dict[str, Any]) -> None:
    """Say below the picture which machine it is about."""
    machine = content["machine"]
    text = str(machine.get("gpu") or machine.get("processor"))
    if content["kind"] != "gpu":
        text = f"{text}, {machine.get('threads', 1)} thread(s); {STAMP}"
    figure.supxlabel(f"{text}; {content['started'][:10]}", fontsize=8, color="0.35")


def save(figure: Figure, path: Path) -> None:
    """Write a picture whole, as its name ends; equal results give equal files."""
    import matplotlib

    kind = path.suffix[1:]
    empty: dict[str, dict[str, Any]] = {
        "png": {"Software": None},
        "svg": {"Date": None},
        "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    }
    with matplotlib.rc_context({"svg.hashsalt": "tinygrad_mmb"}):
        atomic.write_with(path, lambda t: figure.savefig(t, format=kind, metadata=empty[kind]))


def styles(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """A colour and a marker for each name."""
    return {
        name: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)])
        for i, name in enumerate(dict.fromkeys(names))
    }


def roofline(content: dict[str, Any]) -> Figure:
    """Operations per second over operations per byte: points below the limits measured."""
    rows = [r for r in timed(content["rows"]) if r.tflops and r.gbs]
    limits = content["ceilings"]
    figure = new_figure(9.0, 5.6)
    axes = figure.subplots()
    looks = styles([r.variant for r in rows])
    intensity = {id(r): 1e3 * r.tflops / r.gbs for r in rows if r.tflops and r.gbs}
    for variant, (colour, marker) in looks.items():
        mine = [r for r in rows if r.variant == variant]
        axes.plot([intensity[id(r)] for r in mine], [1e3 * (r.tflops or 0.0) for r in mine], marker,
                  color=colour, label=variant, markersize=6, alpha=0.8, linestyle="none",
                  markeredgecolor="white", markeredgewidth=0.5)  # fmt: skip
    low = min([0.05, *intensity.values()]) / 2
    high = max([100.0, *intensity.values()]) * 2
    draw_limits(axes, limits, low, high)
    name_the_highest(axes, rows, intensity)
    axes.set(xscale="log", yscale="log", xlim=(low, high))
    axes.set_xlabel("arithmetic intensity: operations per byte that must move")
    axes.set_ylabel("10⁹ operations per second")
    axes.set_title("Roofline: each point is one variant at one size")
    axes.grid(alpha=0.25, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    if looks:
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9)
    stamp(figure, content)
    return figure


def draw_limits(axes: Axes, limits: dict[str, Any], low: float, high: float) -> None:
    """The slope of the memory and a ceiling for each dtype."""
    if not limits:
        return
    gbs, dashes = limits["copy_gbs"], ["-", "--", "-.", ":"]
    peaks = {k: v for k, v in limits["tflops"].items() if " " not in k}
    top = 1e3 * max(peaks.values(), default=0.0)
    bend = top / gbs
    axes.plot([low, bend], [low * gbs, top], color="0.25", linewidth=1.4)
    axes.annotate(f"copy {gbs:.0f} GB/s", (low * 1.6, low * 1.6 * gbs), fontsize=8, color="0.25",
                  xytext=(8, -10), textcoords="offset points")  # fmt: skip
    for i, (names, peak) in enumerate(together(peaks)):
        height = 1e3 * peak
        axes.plot(
            [height / gbs, high], [height, height], dashes[i % 4], color="0.25", linewidth=1.4
        )
        text = f"{', '.join(names)} {rate(peak)}"
        axes.annotate(
            text, (high / 1.15, height), ha="right", va="bottom", fontsize=8, color="0.25"
        )


def together(peaks: dict[str, float]) -> list[tuple[list[str], float]]:
    """Limits from high to low; those within a tenth of each other share a line and its text."""
    lines: list[tuple[list[str], float]] = []
    for dtype, peak in sorted(peaks.items(), key=lambda p: -p[1]):
        if lines and peak > 0.9 * lines[-1][1]:
            lines[-1][0].append(dtype)
        else:
            lines.append(([dtype], peak))
    return lines


def rate(tflops: float) -> str:
    return f"{tflops:.0f} TFLOP/s" if tflops >= 1 else f"{1e3 * tflops:.0f} GFLOP/s"


def name_the_highest(axes: Axes, rows: Sequence[Row], intensity: dict[int, float]) -> None:
    """The kernel's name at the highest point of each column, where names have room."""
    named: list[float] = []
    for row in sorted(rows, key=lambda r: -(r.tflops or 0.0)):
        place = intensity[id(row)]
        if all(max(place, other) / min(place, other) > 1.6 for other in named):
            named.append(place)
            axes.annotate(row.kernel, (place, 1e3 * (row.tflops or 0.0)), fontsize=7, ha="right",
                          xytext=(-6, 3), textcoords="offset points")  # fmt: skip


def ratios(content: dict[str, Any]) -> Figure:
    """How many times as fast as the fastest peer, with the interval; the line at 1 is a tie."""
    rows = [r for r in content["rows"] if r.ratio is not None and r.ratio_low is not None]
    rows = sorted(rows, key=lambda r: (r.kernel, r.shape, r.variant))
    left_out = len(rows) - MOST_RATIOS
    rows = rows[:MOST_RATIOS]
    figure = new_figure(9.0, 1.8 + 0.27 * max(len(rows), 3))
    axes = figure.subplots()
    looks = styles([r.variant for r in rows])
    for y, row in enumerate(rows):
        colour, marker = looks[row.variant]
        axes.plot([row.ratio_low, row.ratio_high], [y, y], color=colour, linewidth=1.5)
        filled = colour if row.verdict in (FASTER, SLOWER) else "white"  # hollow: may be a tie
        axes.plot([row.ratio], [y], marker, color=colour, markerfacecolor=filled, markersize=6)
    names = [f"{r.kernel}  {r.shape}  {r.variant} / {r.peer}" for r in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.axvline(1.0, color="0.25", linewidth=1.2, linestyle="--")
    axes.set(xscale="log")
    axes.xaxis.set_major_formatter(lambda v, _: f"{v:g}")
    axes.xaxis.set_minor_formatter(lambda v, _: f"{v:g}" if f"{v:.0e}"[0] in "25" else "")
    axes.tick_params(axis="x", which="both", labelsize=8)
    axes.set_xlabel(
        "times as fast as the fastest peer\n(right of 1: faster; hollow: indistinguishable)"
    )
    more = f" (the first {MOST_RATIOS} of {MOST_RATIOS + left_out})" if left_out > 0 else ""
    axes.set_title(f"Ratio to the fastest peer, 95 % intervals{more}")
    axes.grid(alpha=0.25, axis="x", which="both")
    axes.spines[["top", "right"]].set_visible(False)
    stamp(figure, content)
    return figure


def ladder(content: dict[str, Any]) -> Figure | None:
    """Step by step of each ladder: the share of the peer's speed, or what the profile counts.

    None where the run has no ladder.
    """
    measured = [r for r in content["rows"] if is_step(r.variant) and r.ratio is not None]
    if content["kind"] == "gpu":
        return ladders_of_times(content, measured) if measured else None
    counted = [e for e in content.get("profile", []) if is_step(str(e["variant"]))]
    return ladders_of_profile(content, counted) if counted else None


def is_step(variant: str) -> bool:
    """Whether a variant is a step of a ladder: 03_shared_memory."""
    return variant[:2].isdigit()


def panels(steps: dict[str, list[str]], columns: int) -> tuple[Figure, Any]:
    """A row of axes for each ladder, as high as it has steps."""
    heights = [1.6 + len(names) for names in steps.values()]
    figure = new_figure(5.0 * columns + 1.0, 0.8 + 0.37 * sum(heights))
    options = {"height_ratios": heights}
    return figure, figure.subplots(len(steps), columns, squeeze=False, gridspec_kw=options)


def ladders_of_times(content: dict[str, Any], rows: Sequence[Row]) -> Figure:
    """Bars of the share of the peer's speed, each ladder at its largest size."""
    ladders: dict[str, list[Row]] = {}
    for row in rows:
        ladders.setdefault(row.kernel, []).append(row)
    for kernel, found in ladders.items():
        largest = max(found, key=lambda r: volume(r.shape)).shape
        ladders[kernel] = sorted((r for r in found if r.shape == largest), key=lambda r: r.variant)
    figure, grid = panels({k: [r.variant for r in found] for k, found in ladders.items()}, 1)
    for (axes,), (kernel, found) in zip(grid, ladders.items(), strict=True):
        shares = [100.0 * (r.ratio or 0.0) for r in found]
        bars(axes, [r.variant for r in found], shares, [f"{s:.1f} %" for s in shares])
        axes.axvline(100.0, color="0.25", linestyle="--", linewidth=1.2)
        axes.set_xlim(0, 1.15 * max(100.0, *shares))
        axes.set_xlabel(f"speed, in % of {', '.join(sorted({r.peer or '' for r in found}))}")
        axes.set_title(f"Ladder of {kernel}, {found[0].shape}")
    stamp(figure, content)
    return figure


def volume(shape: str) -> int:
    """How large a shape is that a row names: 64x128."""
    return math.prod(int(n) for n in re.findall(r"\d+", shape))


def ladders_of_profile(content: dict[str, Any], entries: Sequence[dict[str, Any]]) -> Figure:
    """Two rows of bars: requests of a warp as multiples of what they need, shared and global."""
    ladders: dict[str, list[str]] = {}
    for e in entries:
        ladders.setdefault(str(e["op"]), []).append(str(e["variant"]))
    ladders = {op: sorted(set(names)) for op, names in ladders.items()}
    figure, grid = panels(ladders, 2)
    for pair, (op, names) in zip(grid, ladders.items(), strict=True):
        for axes, space in zip(pair, ("shared", "global"), strict=True):
            here = [e for e in entries if (e["op"], e["space"]) == (op, space)]
            worst = [
                max((e["times_ideal"] for e in here if e["variant"] == name), default=0.0)
                for name in names
            ]
            bars(axes, names, worst, [f"{w:.3g}" if w else "none" for w in worst])
            axes.axvline(1.0, color="0.25", linestyle="--", linewidth=1.2)
            axes.set_title(f"{op}, {space} memory", fontsize=10)
            if space == "global":
                axes.set_yticklabels([])
    for axes, what in zip(grid[-1], ("bank conflicts", "sectors"), strict=True):
        axes.set_xlabel(f"worst line: {what}, x the fewest possible")
    figure.suptitle("Ladders, counted by the emulator", fontsize=11)
    stamp(figure, content)
    return figure


def bars(axes: Axes, names: Sequence[str], values: Sequence[float], texts: Sequence[str]) -> None:
    """Bars from top to bottom, each with its number."""
    axes.barh(range(len(names)), values, color=COLOURS[0], height=0.62)
    for y, (value, text) in enumerate(zip(values, texts, strict=True)):
        axes.annotate(
            text, (value, y), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8
        )
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1.15 * max([*values, 1.0]))
    axes.spines[["top", "right"]].set_visible(False)
