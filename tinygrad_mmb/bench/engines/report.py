"""What a run says: on the screen, and in summary.md for a reader of the folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tinygrad_mmb import atomic
from tinygrad_mmb.bench import figures, report, tables
from tinygrad_mmb.bench.engines import goals, memory, pictures, start, threads
from tinygrad_mmb.bench.options import BenchError
from tinygrad_mmb.bench.results import Row
from tinygrad_mmb.training.plots import MissingPlots

Say = Callable[[str], object]
Table = tuple[Sequence[str], list[Sequence[str]]]
Format = Callable[..., str]
NOTHING = ""


def sections(content: dict[str, Any], table: Format) -> list[tuple[str, str]]:
    """Titles and texts, for whatever parts the run had; `table` makes text of headings and rows."""
    rows: list[Row] = content["rows"]
    found: list[tuple[str, str]] = []
    if rows:
        measured = {r.kernel for r in rows}
        verdicts = [v for v in goals.verdicts(rows) if v.workload in measured]
        found.append(("Goals", table(*goals_table(verdicts))))
        found.append(("Geometric means", "\n\n".join(m.text() for m in goals.means(rows))))
        clock = "processor's time" if content["machine"]["threads"] == 1 else "clock's time"
        found.append((f"Milliseconds of one step, {clock}", table(*times_table(rows))))
    if wrong := [r for r in rows if not r.ok]:
        lines = [f"- {r.variant}, {r.kernel}: {r.note}" for r in wrong]
        found.append(("Not timed: wrong, or unable", "\n".join(lines)))
    if content.get("threads"):
        found.append(("Several threads against one", table(*threads_table(content["threads"]))))
    if content.get("scaling"):
        for family in dict.fromkeys(e["family"] for e in content["scaling"]):
            found.append((f"{family}, ms", table(*scaling_table(content["scaling"], family))))
    if content.get("first_steps"):
        found.append(("First step, ms", table(*first_table(content["first_steps"]))))
    if content.get("capture_costs"):
        found.append(("First captured step", table(*capture_table(content["capture_costs"]))))
    if content.get("imports"):
        found.append(("Imports", table(*imports_table(content["imports"]))))
    if content.get("memory"):
        asked = content["memory"]
        found.append((f"Peak memory, {asked['workload']}", table(*memory_table(asked["peaks"]))))
    failed = {**content.get("threads_failed", {}), **content.get("memory", {}).get("failed", {})}
    if failed:
        lines = [f"- {name}: {why}" for name, why in failed.items()]
        found.append(("Without a figure", "\n".join(lines)))
    return found


def heading(content: dict[str, Any]) -> str:
    """Machine, day, versions, who is missing and why."""
    machine, commit = content["machine"], content["environment"]["commit"]
    lines = [f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} thread(s), "
             f"{machine['blas']}, {content['started'][:10]}"]  # fmt: skip
    if commit:
        changed = ", with changes" if commit["changed"] else ""
        lines.append(f"commit {commit['hash'][:12]}{changed}")
    lines.append(", ".join(f"{name} {v}" for name, v in content["engines"].items()))
    if not content["environment"]["extensions"].get("cpu"):
        lines.append(
            "Our compiled kernels are not there (mmb doctor says why): mmb eager is NumPy alone."
        )
    lines += [f"without {name}: {why}" for name, why in content["peers_missing"].items()]
    load = report.busiest(content)
    if load > machine["cores"]:
        lines.append(
            f"The machine was busy (load {load:.0f} on {machine['cores']} cores): expect wide "
            "intervals, and measure again when it is not."
        )
    return "\n".join(lines)


def goals_table(verdicts: Sequence[goals.Verdict]) -> Table:
    """Shares of the peer's time: lower is better."""
    headings = ("workload", "ours", "peer", "at most", "share of its time", "interval", "goal",
                "by the clock")  # fmt: skip
    rows: list[Sequence[str]] = []
    for v in verdicts:
        value = interval = tables.NOT_MEASURED
        if v.share is not None:
            value = f"{v.share.value:.2f}"
            if v.share.low is not None and v.share.high is not None:
                interval = f"{v.share.low:.2f} to {v.share.high:.2f}"
        clock = NOTHING if v.clock is None else f"{v.clock:.2f}"
        rows.append((v.workload, v.form, v.peer, v.asks, value, interval, v.state, clock))
    return headings, rows


def crossed(
    cells: Mapping[tuple[str, str], str], corner: str, rows: Sequence[str], columns: Sequence[str]
) -> Table:
    """A table of cells by the names of row and column."""
    body = [[r, *(cells.get((r, c), NOTHING) for c in columns)] for r in rows]
    return [corner, *columns], [list(line) for line in body]


def times_table(rows: Sequence[Row]) -> Table:
    """Workloads by engines; "no" is explained below."""
    cells = {(r.kernel, r.variant): tables.digits(r.ms) if r.ok else "no" for r in rows}
    return crossed(cells, "workload", names(r.kernel for r in rows), names(r.variant for r in rows))


def names(found: Any) -> list[str]:
    return list(dict.fromkeys(found))


def threads_table(entries: Sequence[dict[str, Any]]) -> Table:
    headings = ("workload", "engine", "busy beside it", "1 thread, ms", "several, ms", "ratio",
                "interval", f"ours at most {threads.AT_MOST:.2f}")  # fmt: skip
    rows: list[Sequence[str]] = []
    for e in entries:
        interval = NOTHING if e["low"] is None else f"{e['low']:.2f} to {e['high']:.2f}"
        asked = e["ours"] and e["busy"]
        state = (goals.MET if e["ratio"] <= threads.AT_MOST else goals.MISSED) if asked else NOTHING
        times = tables.digits(e["one_ms"]), tables.digits(e["several_ms"]), f"{e['ratio']:.2f}"
        rows.append((e["workload"], e["engine"], str(e["busy"]), *times, interval, state))
    return headings, rows


def scaling_table(entries: Sequence[dict[str, Any]], family: str) -> Table:
    here = [e for e in entries if e["family"] == family]
    cells = {(str(e["x"]), e["engine"]): tables.digits(e["ms"]) for e in here}
    xs, engines = names(str(e["x"]) for e in here), names(e["engine"] for e in here)
    return crossed(cells, family.partition(" by ")[2], xs, engines)


def first_table(entries: Sequence[dict[str, Any]]) -> Table:
    cells = {(e["workload"], e["engine"]): tables.digits(e["ms"]) for e in entries}
    workloads, engines = names(e["workload"] for e in entries), names(e["engine"] for e in entries)
    return crossed(cells, "workload", workloads, engines)


def capture_table(costs: Mapping[str, float]) -> Table:
    headings = ("workload", "ms beyond an eager step", "at most", "goal")
    rows: list[Sequence[str]] = [
        (name, f"{1e3 * s:.1f}", f"{1e3 * start.ABOVE_EAGER:.0f}",
         goals.MET if s <= start.ABOVE_EAGER else goals.MISSED) for name, s in costs.items()
    ]  # fmt: skip
    return headings, rows


def imports_table(entries: Sequence[dict[str, Any]]) -> Table:
    numpy = next((e["seconds"] for e in entries if e["module"] == start.NUMPY), None)
    rows: list[Sequence[str]] = []
    for e in entries:
        most = numpy + start.ABOVE_NUMPY if e["ours"] and numpy is not None else None
        state = NOTHING if most is None else goals.MET if e["seconds"] <= most else goals.MISSED
        rows.append((e["module"], f"{e['seconds']:.3f}", f"{e['iqr']:.3f}",
                     NOTHING if most is None else f"{most:.3f}", state))  # fmt: skip
    return ("module", "seconds of the processor", "IQR", "at most", "goal"), rows


def memory_table(peaks: Sequence[dict[str, Any]]) -> Table:
    """MiB above what the imports left; ours against PyTorch's."""
    theirs = next((p["peak"] for p in peaks if p["engine"] == memory.PEER), None)
    rows: list[Sequence[str]] = []
    for p in peaks:
        share, state = NOTHING, NOTHING
        if theirs:
            share = f"{p['peak'] / theirs:.2f}"
            state = memory.state(p["peak"] / theirs) if p["ours"] else NOTHING
        rows.append((p["engine"], f"{p['base']:.0f}", f"{p['peak']:.0f}", share, state))
    headings = ("engine", "before, MiB", "peak above, MiB", f"of {memory.PEER}'s",
                "goal: at most 1")  # fmt: skip
    return headings, rows


def screen(content: dict[str, Any]) -> str:
    """The results as text."""
    parts = [f"{title}:\n{text}" for title, text in sections(content, tables.plain)]
    return "\n\n".join([heading(content), *parts])


def summary(content: dict[str, Any]) -> str:
    """The same in Markdown."""
    parts = [f"## {title}\n\n{text}" for title, text in sections(content, tables.markdown)]
    return "\n\n".join(
        ["# Beside other engines", heading(content).replace("\n", "  \n"), *parts, ""]
    )


def write(content: dict[str, Any], folder: Path, say: Say) -> None:
    """summary.md and the pictures of a run."""
    atomic.write_text(folder / "summary.md", summary(content))
    try:
        drawn = {"peers": pictures.peers(content), "scaling": pictures.scaling(content)}
    except MissingPlots as missing:
        say(f"no pictures: {missing}")
        return
    for name, figure in drawn.items():
        if figure is not None:
            figures.save(figure, folder / f"{name}.png")


def export(content: dict[str, Any], formats: dict[str, Path], figure: Path | None) -> None:
    """What --csv, --markdown, --latex and --figure ask for. Raises: BenchError."""
    report.export(content, formats, None)
    if figure is None:
        return
    try:
        drawn = pictures.peers(content)
    except MissingPlots as missing:
        raise BenchError(f"--figure {figure}: {missing}") from None
    if drawn is None:
        raise BenchError(f"--figure {figure}: nothing was timed beside a peer")
    figure.parent.mkdir(parents=True, exist_ok=True)
    figures.save(drawn, figure)
