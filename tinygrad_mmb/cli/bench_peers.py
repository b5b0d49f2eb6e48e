"""mmb bench peers: whole training steps beside other engines, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tinygrad_mmb.cli.bench_results import OUT, Exports, exit_code, exports, folder_at, told
from tinygrad_mmb.cli.problems import UserProblem


@click.command()
@click.option(
    "--only", multiple=True, metavar="NAME", help="Workloads that begin so: W1, 'W5 Adam, 1M', ..."
)
@click.option(
    "--engines", multiple=True, metavar="NAME", help="These alone: 'mmb eager', torch, ..."
)
@click.option(
    "--parts",
    multiple=True,
    metavar="NAME",
    help="steps, threads, scaling, imports, memory.  [default: all]",
)
@click.option(
    "--rounds", type=click.IntRange(min=1), default=21, show_default=True, help="Of a run."
)
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="With new processes each; from 6 on their medians are compared.",
)
@click.option(
    "--milliseconds",
    type=click.FloatRange(min=0.1),
    default=15.0,
    show_default=True,
    help="Of each engine in each round.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Of every engine in steps and scaling.",
)
@click.option(
    "--load",
    type=click.IntRange(min=1),
    help="Busy processes beside two threads.  [default: one for each core]",
)
@click.option(
    "--memory-scale",
    type=click.IntRange(min=1, max=64),
    default=1,
    show_default=True,
    help="Divides batch and width of the memory workload, for a small machine.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of all numbers.")
@click.option("--list", "listing", is_flag=True, help="Name workloads and engines, and stop.")
@OUT
@click.option(
    "--reproduce",
    metavar="FILE",
    help="Measure the workloads of this results.json again; exit 1 if some fall outside.",
)
@exports
def peers(**given: Any) -> int:
    """Time whole training steps beside PyTorch, torch.compile, JAX, MLX, tinygrad and others.

    Every engine runs in a process of its own. Its first losses or gradients are checked before a
    time counts; then all take turns, and what is compared is the ratio within a round, with the
    goals of the design. A missing engine is named with the line that installs it.

    \b
    mmb bench peers
    mmb bench peers --parts steps --only W1,W2 --engines "mmb eager,torch,jax.jit"
    mmb bench peers --reproduce benchmarks/results/peers.json
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    from tinygrad_mmb.bench.options import BenchError
    from tinygrad_mmb.bench.results import InvalidResults

    try:
        return act(given)
    except (BenchError, InvalidResults) as error:
        raise UserProblem(str(error)) from error


def act(given: dict[str, Any]) -> int:
    """What the options ask for; the exit code. Raises: BenchError or InvalidResults."""
    from tinygrad_mmb.bench import results
    from tinygrad_mmb.bench.compare import same_device
    from tinygrad_mmb.bench.engines import report, run
    from tinygrad_mmb.bench.machine import Cpu

    options = options_of(given)
    files = Exports(given)
    if given["listing"]:
        click.echo(listed())
        return 0
    old = results.read(Path(given["reproduce"])) if given["reproduce"] else None
    if old is not None:
        same_device(
            old, {"device": run.STAMP, "machine": Cpu(options.threads).describe()}, "--reproduce"
        )
        options = as_before(options, old)
    folder = folder_at(given["out"])
    done = run.run(options, folder, lambda line: click.echo(line, err=True))
    told(report, done, folder, files)
    return exit_code(old, done, True)


def options_of(given: dict[str, Any]) -> Any:
    from tinygrad_mmb.bench.engines.options import Options, chosen_parts

    same = ("rounds", "runs", "milliseconds", "threads", "load", "memory_scale", "seed")
    return Options(
        only=listed_names(given["only"]),
        engines=listed_names(given["engines"]),
        parts=chosen_parts(listed_names(given["parts"])),
        **{k: given[k] for k in same},
    )


def listed_names(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Names by commas; a comma that a blank follows belongs to a name."""
    import re

    return tuple(n.strip() for text in texts for n in re.split(r",(?! )", text) if n.strip())


def as_before(options: Any, old: dict[str, Any]) -> Any:
    """The workloads, engines, rounds, threads and seed of a file."""
    from dataclasses import replace

    from tinygrad_mmb.bench.engines.options import STEPS

    kept = {k: old["options"][k] for k in ("rounds", "runs", "milliseconds", "threads")}
    return replace(
        options,
        only=tuple(dict.fromkeys(r.kernel for r in old["rows"])),
        engines=tuple(old["engines"]),
        parts=(STEPS,),
        seed=old["seed"],
        **kept,
    )


def listed() -> str:
    """Workloads with their sizes, and engines with what is missing."""
    from tinygrad_mmb.bench import tables
    from tinygrad_mmb.bench.engines.engine import engines
    from tinygrad_mmb.bench.engines.workloads import WORKLOADS

    work = tables.plain(("workload", "sizes"), [(w.name, w.shape) for w in WORKLOADS])
    who = [
        (e.name, e.missing() or e.version(), ", ".join(e.kinds))
        for e in engines().values()
        if e.timed
    ]
    return f"{work}\n\n{tables.plain(('engine', 'version', 'can do'), who)}"
