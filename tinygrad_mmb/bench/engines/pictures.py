"""Pictures of a run: every engine's time beside the best peer's, and how times grow with size."""

from __future__ import annotations

import math
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from tinygrad_mmb.bench import figures
from tinygrad_mmb.bench.engines import goals
from tinygrad_mmb.bench.results import Row, timed
from tinygrad_mmb.training.plots import new_figure, require_matplotlib

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

GOAL = "goal of mmb captured, else of mmb eager"
APART = 0.24  # of a row
MOST = 30.0  # times the best peer's time; beyond, an arrow at the edge


def peers(content: dict[str, Any]) -> Figure | None:
    """Each row a workload, each mark an engine: its time over that of the best peer, the line at 1.

    None where nothing was timed.
    """
    rows = timed(content["rows"])
    best = {
        w: min((r.ms for r in rows if r.kernel == w and r.peer_library and r.ms), default=None)
        for w in dict.fromkeys(r.kernel for r in rows)
    }
    workloads = [w for w, ms in best.items() if ms is not None]
    if not workloads:
        return None
    figure = new_figure(10.0, 1.9 + 0.42 * len(workloads))
    axes = figure.subplots()
    ours = list(dict.fromkeys(r.variant for r in rows if not r.peer_library))
    for variant, (colour, marker) in styles(rows).items():
        mine = [r for r in rows if r.variant == variant and r.kernel in workloads]
        xs = [min((r.ms or 0.0) / (best[r.kernel] or 1.0), MOST) for r in mine]
        # ours below one another, as they often lie side by side
        shift = APART * (ours.index(variant) - (len(ours) - 1) / 2) if variant in ours else 0.0
        ys = [workloads.index(r.kernel) + shift for r in mine]
        size, edge, z = (8.0, "black", 3) if variant in ours else (6.0, "white", 2)
        axes.plot(xs, ys, marker, color=colour, markersize=size, markeredgecolor=edge,
                  markeredgewidth=0.6, linestyle="none", label=variant, zorder=z)  # fmt: skip
        for r, y in zip(mine, ys, strict=True):
            found = goals.share(r.ratio, r.ratio_low, r.ratio_high)
            if found is not None and found.low is not None and found.high is not None:
                axes.plot([found.low, found.high], [y, y], color=colour, linewidth=1.4, zorder=1)
    asked = {g.workload: g for g in reversed(goals.GOALS)}  # the captured one, where there is one
    marks = [(asked[w].at_most[goals.BEST], i) for i, w in enumerate(workloads)
             if w in asked and goals.BEST in asked[w].at_most]  # fmt: skip
    if marks:
        axes.plot(*zip(*marks, strict=True), "|", color="black", markersize=16, label=GOAL)
    axes.axvline(1.0, color="0.25", linewidth=1.2, linestyle="--")
    axes.set(xscale="log", xlim=(None, 1.1 * MOST))
    plain_numbers(axes.xaxis)
    axes.tick_params(axis="x", which="both", labelsize=8)
    axes.set_yticks(range(len(workloads)), workloads, fontsize=9)
    axes.set_ylim(len(workloads) - 0.4, -0.6)
    axes.set_xlabel(f"time of a step over the best peer's (left of 1: faster; {MOST:g} and more at "
                    "the edge)")  # fmt: skip
    axes.set_title("Training steps beside other engines")
    axes.grid(alpha=0.25, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9)
    figures.stamp(figure, content)
    return figure


def plain_numbers(axis: Axis) -> None:
    """1, 2, 5, 10 along a logarithmic axis, instead of powers."""
    axis.set_major_formatter(lambda v, _: f"{v:g}")
    axis.set_minor_formatter(lambda v, _: f"{v:g}" if f"{v:.0e}"[0] in "25" else "")


def styles(rows: list[Row]) -> dict[str, tuple[str, str]]:
    """Colours and markers, ours first."""
    ordered = sorted(rows, key=lambda r: r.peer_library)
    return figures.styles([r.variant for r in ordered])


def scaling(content: dict[str, Any]) -> Figure | None:
    """A panel for each family: milliseconds over the number that changes. None without any."""
    entries = [e for e in content.get("scaling", []) if e["ms"] is not None]
    if not entries:
        return None
    require_matplotlib()
    from matplotlib.ticker import NullLocator

    families = list(dict.fromkeys(e["family"] for e in entries))
    looks = figures.styles([e["engine"] for e in sorted(entries, key=lambda e: not e["ours"])])
    panel_rows = math.ceil(len(families) / 2)
    figure = new_figure(10.0, 0.8 + 3.2 * panel_rows)
    panels = figure.subplots(panel_rows, 2, squeeze=False).flat
    for axes, family in zip_longest(panels, families):
        if family is None:
            axes.set_axis_off()
            continue
        for engine, (colour, marker) in looks.items():
            mine = [e for e in entries if (e["family"], e["engine"]) == (family, engine)]
            if mine:
                axes.plot([e["x"] for e in mine], [e["ms"] for e in mine], marker + "-",
                          color=colour, markersize=5, linewidth=1.2, label=engine)  # fmt: skip
        axes.set(xscale="log", yscale="log", title=family, ylabel="ms of a step")
        axes.set_xlabel(family.partition(" by ")[2])
        sizes = sorted({e["x"] for e in entries if e["family"] == family})
        axes.set_xticks(sizes, map(str, sizes))
        axes.xaxis.set_minor_locator(NullLocator())
        plain_numbers(axes.yaxis)
        axes.tick_params(axis="both", which="both", labelsize=8)
        axes.grid(alpha=0.25, which="both")
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="outside right center", fontsize=9)
    figures.stamp(figure, content)
    return figure
