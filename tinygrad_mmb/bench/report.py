"""What a run leaves behind besides results.json: summary.md, pictures, and lines on the screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinygrad_mmb import atomic
from tinygrad_mmb.bench import figures, tables
from tinygrad_mmb.bench.options import BenchError
from tinygrad_mmb.bench.results import Results, Row
from tinygrad_mmb.training.plots import MissingPlots

Say = Callable[[str], object]


def content_of(results: Results) -> dict[str, Any]:
    """The content of the file, its rows as Row objects, as `results.read` gives them."""
    return results.content | {"rows": results.rows}


def screen(content: dict[str, Any]) -> str:
    """The results as text, for a terminal 100 columns wide or wider."""
    rows: list[Row] = content["rows"]
    parts = [heading(content)]
    fast = [r for r in rows if r.ms is not None]
    if fast:
        parts.append(by_kernel(fast))
    wrong = [r for r in rows if not r.ok]
    if wrong:
        lines = [f"  {r.kernel} {r.variant} {r.shape} {r.dtype}: {why(r)}" for r in wrong]
        parts.append("\n".join(["WRONG, so not timed:", *lines]))
    if content["kind"] != "gpu":
        parts.append(emulated_text(rows))
        parts += [
            f"Not emulated: {name}: {reason}"
            for name, reason in content.get("not_emulated", {}).items()
        ]
        if missing := content.get("emulator_missing"):
            parts.append(f"Without emulator: {missing}")
    if content.get("comparison"):
        table = tables.plain(*tables.comparison_table(content["comparison"]))
        parts.append(f"CPU and GPU, the same op at the same size:\n{table}")
    if content.get("profile"):
        parts.append(profile_text(content["profile"]))
    if content.get("registers"):
        parts.append(registers_text(content["registers"]))
    if content["kind"] == "gpu":
        parts.append(goals_text(content.get("goals", [])))
    if skipped := content.get("skipped"):
        shown = [
            *skipped[:5],
            *([f"... {len(skipped) - 5} more: summary.md"] if len(skipped) > 5 else []),
        ]
        parts.append("Left out, as the time was up:\n  " + "\n  ".join(shown))
    return "\n\n".join(parts)


def heading(content: dict[str, Any]) -> str:
    machine, limits = content["machine"], content["ceilings"]
    lines = [
        f"{machine.get('gpu') or machine.get('processor')}, {content['started'][:10]}, "
        f"seed {content['seed']}"
    ]
    if content["kind"] != "gpu":
        lines[0] += f", {machine['threads']} thread(s)"
        lines.append(
            "No GPU: CUDA kernels were checked on the emulator, and none of these times is a GPU's."
        )
        if (load := busiest(content)) > machine["cores"]:
            lines.append(
                f"The machine was busy (load {load:.0f} on {machine['cores']} cores): expect wide "
                "intervals, and measure again when it is not."
            )
    if limits:
        peaks = ", ".join(f"{k} {figures.rate(v)}" for k, v in limits["tflops"].items())
        lines.append(f"Limits measured now: copy {limits['copy_gbs']:.1f} GB/s, {peaks}")
    for name, reason in content.get("peers_missing", {}).items():
        lines.append(f"Without {name}: {reason}")
    return "\n".join(lines)


def busiest(content: dict[str, Any]) -> float:
    """The highest load average that was seen between two cases."""
    return max((s.get("load", 0.0) for s in content.get("sensors", [])), default=0.0)


def by_kernel(rows: list[Row]) -> str:
    """One line for each variant, in blocks by kernel and size."""
    headings = (
        "variant",
        "ms",
        "IQR",
        "GB/s",
        "GFLOP/s",
        "% limit",
        "ratio",
        "interval",
        "verdict",
    )
    blocks = []
    for name in dict.fromkeys((r.kernel, r.shape, r.dtype) for r in rows):
        here = [r for r in rows if (r.kernel, r.shape, r.dtype) == name]
        lines = []
        for row in here:
            _, variant, _, _, ms, iqr, gbs, flops, limit, ratio, interval, peer, verdict = (
                tables.cells(row)
            )
            if peer:
                verdict = (
                    f"{verdict} {'than' if verdict in ('faster', 'slower') else 'from'} {peer}"
                )
            lines.append((variant, ms, iqr, gbs, flops, limit, ratio, interval, verdict))
        blocks.append(f"{'  '.join(name)}\n{tables.plain(headings, lines, '  ')}")
    return "\n\n".join(blocks)


def why(row: Row) -> str:
    if row.max_err is None or row.tol is None:
        return row.note or "no result"
    return f"error {row.max_err:.2g}, allowed {row.tol:.2g}; {row.note}"


def emulated_text(rows: list[Row]) -> str:
    """How many CUDA kernels the emulator found right."""
    checked = [
        r
        for r in rows
        if r.ms is None and not r.peer_library and r.backend in ("emulator", "yours")
    ]
    right = sum(r.ok for r in checked)
    if not checked:
        return "No CUDA kernel was run on the emulator."
    kernels = len({r.kernel for r in checked})
    return (
        f"Emulator: {right} of {len(checked)} checks of CUDA kernels right ({kernels} keys; "
        "float64 reference, tolerances from an error bound)"
    )


WASTEFUL = 1.5  # below, it may be the array: NumPy's begin at 16 bytes, so halfway in a sector
SHOWN = 20


def profile_text(entries: list[dict[str, Any]]) -> str:
    """The lines that take far more than they must, the worst first."""
    worst: dict[tuple[str, str, str], tuple[float, str]] = {}
    for e in entries:
        line = f"{Path(str(e['file'])).name}:{e['line']}"
        name = f"{e['op']} {e['variant']}".removesuffix(" emulator")
        found = (float(e["times_ideal"]), name)
        key = (str(e["kernel"]), line, str(e["space"]))
        worst[key] = max(found, worst.get(key, found))
    bad = sorted((k for k in worst if worst[k][0] >= WASTEFUL), key=lambda k: -worst[k][0])
    if not bad:
        return (
            f"Accesses to memory: none of {len(worst)} lines takes {WASTEFUL} times what it must."
        )
    rows = [(worst[k][1], *k, f"{worst[k][0]:.2f}x") for k in bad[:SHOWN]]
    title = (
        f"Accesses to memory: {len(bad)} of {len(worst)} lines take {WASTEFUL} times what they must"
    )
    title += f", the worst {SHOWN}:" if len(bad) > SHOWN else ":"
    head = ("op", "kernel", "line", "memory", "least")
    return f"{title}\n{tables.plain(head, rows)}"


def registers_text(budgets: list[dict[str, Any]]) -> str:
    """Spills are named; else how many registers the hungriest kernels take."""
    spilled = [b for b in budgets if b["spilled_bytes"]]
    lines = [f"Registers (ptxas, sm_90a): {len(budgets)} kernels, {len(spilled)} with spills"]
    lines += [f"  {b['file']} {b['kernel']}: {b['spilled_bytes']} bytes spilled" for b in spilled]
    return "\n".join(lines)


def goals_text(goals: list[dict[str, str]]) -> str:
    rows = [(g["goal"], g["asks"], g["state"], g["detail"] or "") for g in goals]
    return "Goals:\n" + tables.plain(("kernel", "at least", "state", "reached"), rows)


def summary(content: dict[str, Any]) -> str:
    """The same for a reader of the folder: goals first."""
    parts = [f"# Kernels: {content['device']}", heading(content).replace("\n", "  \n"), "## Goals"]
    if content["kind"] != "gpu":
        parts.append("The goals are a GPU's; this run had none, so all of them are open.")
    goals = [(g["goal"], g["asks"], g["state"], g["detail"]) for g in content.get("goals", [])]
    parts.append(tables.markdown(("kernel", "at least", "state", "reached"), goals))
    if content.get("comparison"):
        parts += [
            "## CPU and GPU",
            tables.markdown(*tables.comparison_table(content["comparison"])),
        ]
    parts += [
        "## All rows",
        tables.as_markdown([r for r in content["rows"] if r.ms is not None], content["device"]),
    ]
    wrong = [r for r in content["rows"] if not r.ok]
    if wrong:
        parts += [
            "## Wrong, so not timed",
            "\n".join(f"- {r.kernel} {r.variant} {r.shape}: {why(r)}" for r in wrong),
        ]
    if content["kind"] != "gpu":
        parts += ["## Emulator", emulated_text(content["rows"])]
    if content.get("skipped"):
        parts += [
            "## Left out, as the time was up",
            "\n".join(f"- {s}" for s in content["skipped"]),
        ]
    return "\n\n".join(parts) + "\n"


def write(content: dict[str, Any], folder: Path, say: Say) -> None:
    """summary.md and the pictures of a run."""
    atomic.write_text(folder / "summary.md", summary(content))
    try:
        pictures = {
            "roofline": figures.roofline(content),
            "ratios": figures.ratios(content),
            "ladder": figures.ladder(content),
        }
    except MissingPlots as missing:
        say(f"no pictures: {missing}")
        return
    for name, figure in pictures.items():
        if figure is not None:
            figures.save(figure, folder / f"{name}.png")


def export(content: dict[str, Any], formats: dict[str, Path], figure: Path | None) -> None:
    """What --csv, --markdown, --latex and --figure ask for. Raises: BenchError."""
    for name, path in formats.items():
        write_text(path, tables.FORMATS[name](content["rows"], content["device"]))
    if figure is not None:
        check_ending(figure)
        try:
            drawn = figures.ratios(content)
        except MissingPlots as missing:
            raise BenchError(f"--figure {figure}: {missing}") from None
        figure.parent.mkdir(parents=True, exist_ok=True)
        figures.save(drawn, figure)


def check_ending(figure: Path) -> None:
    if figure.suffix[1:] not in figures.ENDINGS:
        raise BenchError(f"--figure {figure}: the name should end in .png, .svg or .pdf")


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, text)
