"""mmb bench: kernels against libraries, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tinygrad_mmb.cli.bench_peers import peers
from tinygrad_mmb.cli.bench_results import OUT, Exports, exit_code, exports, folder_at, told
from tinygrad_mmb.cli.problems import UserProblem


@click.group(invoke_without_command=True)
@click.option(
    "--only",
    multiple=True,
    metavar="KERNEL",
    help="Measure this one only; may be repeated, or a list by commas.",
)
@click.option(
    "--quick", is_flag=True, help="Two minutes: the first size of each kernel, no torch.compile."
)
@click.option(
    "--list", "listing", is_flag=True, help="Name the kernels and what would be measured, and stop."
)
@click.option(
    "--device", type=click.Choice(["cpu", "cuda"]), help="[default: cuda where there is one]"
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Of the CPU, for us and for the peers.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Of the numbers and of the order of the rounds.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=1),
    help="Budget of the run.  [default: 480; --quick 120]",
)
@OUT
@click.option(
    "--add",
    multiple=True,
    metavar="FILE[:NAME]",
    help="A kernel of yours, in a .py or .cu file, as one more row.",
)
@click.option("--op", metavar="NAME", help="What --add computes: softmax, matmul, relu, ...")
@click.option(
    "--grid", metavar="EXPR", help="Blocks of an added .cu kernel: '(n + 255) // 256', 'rows', ..."
)
@click.option(
    "--block",
    metavar="EXPR",
    help="Threads of a block of an added .cu kernel: '256', '16, 16', ...",
)
@click.option(
    "--compare",
    "compared",
    metavar="FILE",
    help="Exit 1 if a ratio is more than 5 % below that of this results.json.",
)
@click.option(
    "--reproduce",
    metavar="FILE",
    help="Measure the rows of this results.json again; exit 1 if some fall outside.",
)
@click.option(
    "--once",
    metavar="KERNEL[:VARIANT]",
    help="One launch with an NVTX range, for ncu or nsys, and stop.",
)
@exports
@click.pass_context
def bench(context: click.Context, /, **given: Any) -> int | None:
    """Check every kernel against a float64 reference, then time it beside its peers, in turn.

    On a GPU: the handwritten kernels against cuBLAS, PyTorch, torch.compile and JAX, with the goals
    of the design. Without one: NumPy and compiled twins against PyTorch, and the CUDA kernels
    checked and profiled by the emulator, never timed.

    \b
    mmb bench --quick
    mmb bench --only Softmax,MatMul
    mmb bench --add my.py:softmax --op softmax
    mmb bench --add my.cu:softmax --op softmax --grid rows --block 128
    mmb bench --reproduce runs/bench-001/results.json
    mmb bench peers --help
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    from tinygrad_mmb.bench.options import BenchError
    from tinygrad_mmb.bench.results import InvalidResults

    if context.invoked_subcommand is not None:
        refuse_options_before(context)
        return None
    try:
        return act(given)
    except (BenchError, InvalidResults) as error:
        raise UserProblem(str(error)) from error


bench.add_command(peers)


def refuse_options_before(context: click.Context) -> None:
    """Options of `mmb bench` mean nothing to a command below it. Raises: UserProblem."""
    for name in context.params:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = next(p.opts[0] for p in context.command.params if p.name == name)
            raise UserProblem(
                f"{option} stands before {context.invoked_subcommand}, where it belongs to the "
                f"kernels. Put it behind: mmb bench {context.invoked_subcommand} {option} ..."
            )


def act(given: dict[str, Any]) -> int:
    """What the options ask for; the exit code. Raises: BenchError or InvalidResults."""
    from tinygrad_mmb.bench import report, results
    from tinygrad_mmb.bench.compare import same_device
    from tinygrad_mmb.bench.once import once
    from tinygrad_mmb.bench.options import BenchError
    from tinygrad_mmb.bench.run import listed, machine_for, run

    options = options_of(given)
    files = Exports(given)
    old = results.read(Path(given["compared"])) if given["compared"] else None
    if given["listing"]:
        click.echo(listed(options))
        return 0
    if given["once"]:
        click.echo(once(given["once"], options, machine_for(options)))
        return 0
    if given["reproduce"]:
        if old is not None:
            raise BenchError("--reproduce compares with its own file, so --compare does not fit")
        old = results.read(Path(given["reproduce"]))
        options = as_before(options, old)
    if old is not None:
        machine = machine_for(options)
        same_device(
            old,
            {"device": machine.stamp, "machine": machine.describe()},
            "--reproduce" if given["reproduce"] else "--compare",
        )
    folder = folder_at(given["out"])
    done = run(options, folder, lambda line: click.echo(line, err=True))
    told(report, done, folder, files)
    return exit_code(old, done, bool(given["reproduce"]))


def options_of(given: dict[str, Any]) -> Any:
    from tinygrad_mmb.bench.options import Options

    only = tuple(name.strip() for text in given["only"] for name in text.split(",") if name.strip())
    same = ("quick", "seed", "device", "seconds", "threads", "op", "grid", "block")
    return Options(
        only=only,
        add=given["add"],
        out=given["out"] and Path(given["out"]),
        **{k: given[k] for k in same},
    )


def as_before(options: Any, old: dict[str, Any]) -> Any:
    """The rows, seed and threads of a file. Raises: BenchError if it measured an added kernel."""
    from dataclasses import replace

    from tinygrad_mmb.bench.options import BenchError

    if old["options"].get("add"):
        raise BenchError(
            f"--reproduce: that run measured {', '.join(old['options']['add'])}. Give the same "
            "--add and --op again, with --compare"
        )
    wanted = tuple((r.kernel, r.shape) for r in old["rows"])
    return replace(
        options, seed=old["seed"], threads=old["options"]["threads"], quick=False, shapes=wanted
    )
