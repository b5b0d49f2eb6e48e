"""mmb cuda: CUDA programs run, checked and profiled on a machine without a GPU."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tinygrad_mmb.emulator.build import Options, Program
    from tinygrad_mmb.emulator.one_kernel import Value
    from tinygrad_mmb.emulator.run import Run

CLEAN, FOUND, CANNOT = 0, 1, 2
FILE = click.argument("file", type=click.Path(path_type=Path))
REST = click.argument("arguments", nargs=-1, type=click.UNPROCESSED)


def shared_options(command: Any) -> Any:
    """What run, check and profile take alike."""
    options = [
        click.option(
            "-D", "defines", multiple=True, metavar="NAME[=VALUE]", help="Define a macro."
        ),
        click.option(
            "-I",
            "folders",
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="FOLDER",
            help="Look there for #include, too.",
        ),
        click.option(
            "--kernel",
            help="In a file without main: the kernel to launch, as in add or "
            "'scale<float>'. Not needed where there is one.",
        ),
        click.option(
            "--grid", metavar="X[,Y[,Z]]", help="Blocks. Without it: enough for the largest array."
        ),
        click.option(
            "--block",
            metavar="X[,Y[,Z]]",
            default="256",
            show_default=True,
            help="Threads of a block.",
        ),
        click.option(
            "--shared", type=int, default=0, metavar="BYTES", help="Dynamic shared memory."
        ),
        click.option(
            "--arg",
            "given",
            multiple=True,
            metavar="[NAME=]VALUE",
            help="An argument: a number; for arrays random:1024, zeros:32x32, ones, arange, "
            "empty; or a file.npy.",
        ),
        click.option(
            "--save",
            multiple=True,
            metavar="NAME=FILE.npy",
            help="Write an array there after the launch.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def cuda() -> None:
    """CUDA programs on a machine without a GPU: run, check, profile.

    FILE.cu is ordinary CUDA C++, with or without a main. It needs Linux (or WSL2, a container) and
    g++ or clang++. The guide is docs/cuda_on_a_laptop.md.
    """


@cuda.command(short_help="Compile a program, or one kernel, and run it.")
@FILE
@REST
@shared_options
@click.option("--debug", is_flag=True, help="Build for a debugger, and print the line for gdb.")
def run(file: Path, arguments: tuple[str, ...], debug: bool, **launch: Any) -> int:
    """Compile FILE.cu and run it; what follows -- goes to the program.

    The exit code is the program's; 2 if it cannot be built.
    """
    from tinygrad_mmb.emulator import report
    from tinygrad_mmb.emulator.debugger import instructions
    from tinygrad_mmb.emulator.findings import merged
    from tinygrad_mmb.emulator.run import run as run_program

    with told():
        program = built(file, "debug" if debug else "fast", launch)
        with one_launch(program, arguments, launch) as (words, values, folder):
            if debug:
                click.echo(instructions(program, kept(words, folder)))
                return CLEAN
            done = run_program(program, words)
            after_launch(values, folder, launch, done)
    paint = report.Paint(sys.stderr)
    found = merged([done.findings])
    for i, finding in enumerate((f for f in found if not f.is_note), 1):
        click.echo("\n" + report.in_words(finding, i, 1, paint), err=True)
    for finding in found:
        if finding.is_note:
            click.echo(report.noted(finding), err=True)
    if done.died_of:
        click.echo(f"{file.name} ended with {done.died_of}" + explained_signal(done), err=True)
        return 128 - done.code
    return done.code


@cuda.command(short_help="Say what is wrong with it, and how to mend it.")
@FILE
@REST
@shared_options
@click.option(
    "--seeds",
    type=click.IntRange(1, 100),
    default=3,
    show_default=True,
    help="Orders of threads and blocks to try.",
)
@click.option("--sanitize", is_flag=True, help="Run AddressSanitizer and UBSan, too.")
@click.option("--json", "as_json", is_flag=True, help="The findings as JSON.")
@click.option("--output", "show_output", is_flag=True, help="Show what the program prints.")
@click.option(
    "--timeout",
    type=float,
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="For each run.",
)
def check(
    file: Path, arguments: tuple[str, ...], seeds: int, sanitize: bool, as_json: bool,
    show_output: bool, timeout: float, **launch: Any,
) -> int:  # fmt: skip
    """Run FILE.cu under the checker, in several orders of its threads, and say what is wrong.

    \b
    Races, accesses out of bounds, misaligned or before the first write, threads that miss a
    barrier, deadlocks; copies in the wrong direction or too long, pointers of the wrong side,
    memory used after it was freed, freed twice or never, launches that CUDA refuses.
    Exit code: 0 nothing found, 1 findings, 2 it could not be run.
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    from tinygrad_mmb.emulator.check import check as check_program

    with told():
        program = built(file, "check", launch)
        witness = built(file, "sanitize", launch) if sanitize else None
        with one_launch(program, arguments, launch) as (words, _, _):
            result = check_program(program, words, seeds=seeds, timeout=timeout, witness=witness)
    if show_output:
        click.echo(result.output, nl=False, err=as_json)
    if as_json:
        click.echo(json.dumps(result.as_dict(), indent=2))
    else:
        click.echo(result.in_words())
    return FOUND if result.mistakes else CLEAN


@cuda.command(short_help="Count bank conflicts and sectors by line.")
@FILE
@REST
@shared_options
@click.option("--json", "as_json", is_flag=True, help="The counts as JSON.")
@click.option(
    "--top",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="How many of the worst lines to list first.",
)
@click.option(
    "--arch", default="sm_80", show_default=True, help="For registers and spills, where nvcc is."
)
@click.option("--timeout", type=float, default=300.0, show_default=True, metavar="SECONDS")
def profile(
    file: Path, arguments: tuple[str, ...], as_json: bool, top: int, arch: str, timeout: float,
    **launch: Any,
) -> int:  # fmt: skip
    """Count, by source line, how FILE.cu's kernels use memory: no times, but what decides them.

    \b
    shared memory   bank conflicts: passes per request of a warp, 1 is ideal
    global memory   sectors of 32 bytes per request, and how many would do
    registers       and spills, from ptxas, where nvcc is installed
    """  # noqa: D301
    from tinygrad_mmb.emulator.profile import profile as profile_program

    with told():
        program = built(file, "check", launch)
        with one_launch(program, arguments, launch) as (words, _, _):
            result = profile_program(program, words, arch=arch, timeout=timeout)
    click.echo(json.dumps(result.as_dict(), indent=2) if as_json else result.in_words(top))
    return CLEAN


# ---------------------------------------------------------------- what the three have in common


@contextmanager
def told() -> Iterator[None]:
    """Whatever keeps a program from running: its text on stderr, exit code 2."""
    from tinygrad_mmb.emulator.build import BuildError
    from tinygrad_mmb.emulator.one_kernel import ArgumentError
    from tinygrad_mmb.emulator.run import TimeLimitError

    try:
        yield
    except (BuildError, ArgumentError, TimeLimitError, RuntimeError) as error:
        if isinstance(error, click.exceptions.Exit):
            raise
        click.echo(str(error), err=True)
        raise SystemExit(CANNOT) from error


def built(file: Path, mode: str, launch: dict[str, Any]) -> Program:
    from tinygrad_mmb.emulator.build import build

    return build(file, build_options(mode, launch))


def build_options(mode: str, launch: dict[str, Any]) -> Options:
    from tinygrad_mmb.emulator.build import Options

    name = launch["kernel"]
    instances = (name,) if name and "<" in name else ()
    return Options(mode, launch["defines"], tuple(launch["folders"]), instances)


@contextmanager
def one_launch(
    program: Program, arguments: tuple[str, ...], launch: dict[str, Any]
) -> Iterator[tuple[tuple[str, ...], list[Value], Path]]:
    """What to hand to the program: the student's own words, or the plan of one launch."""
    from tinygrad_mmb.emulator import one_kernel
    from tinygrad_mmb.emulator.one_kernel import ArgumentError

    if program.main.has_main:
        if launch["kernel"] or launch["grid"] or launch["given"] or launch["save"]:
            raise ArgumentError(
                f"{program.source.name} has a main, which launches its kernels itself. --kernel, "
                "--grid and --arg are for files without one."
            )
        yield arguments, [], Path()
        return
    if arguments:
        raise ArgumentError(f"{program.source.name} has no main to take {' '.join(arguments)}")
    kernel = one_kernel.choose(program.kernels, launch["kernel"])
    kernel = one_kernel.with_types(kernel, launch["kernel"])
    values = one_kernel.values_of(kernel, launch["given"])
    block = size("--block", launch["block"])
    grid = size("--grid", launch["grid"]) if launch["grid"] else enough(values, block)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = one_kernel.write_plan(folder, kernel, values, grid, block, launch["shared"])
        yield (str(plan),), values, folder


def size(option: str, text: str) -> tuple[int, ...]:
    """1 to 3 numbers. Raises: ArgumentError."""
    from tinygrad_mmb.emulator.one_kernel import ArgumentError

    try:
        numbers = tuple(int(t) for t in text.replace("x", ",").split(","))
    except ValueError:
        numbers = ()
    if not 1 <= len(numbers) <= 3 or min(numbers) < 0:
        raise ArgumentError(f"{option} {text}: expected one to three numbers, as in 256 or 16,16")
    return numbers


def enough(values: list[Value], block: tuple[int, ...]) -> tuple[int, ...]:
    """As many blocks as give each element of the largest array a thread."""
    import math

    largest = max((v.array.size for v in values if v.is_pointer), default=1)
    return (max(1, -(-largest // max(1, math.prod(block)))),)


def after_launch(values: list[Value], folder: Path, launch: dict[str, Any], done: Run) -> None:
    """Print what the kernel left in its arrays, and save what is to be saved."""
    import numpy as np

    from tinygrad_mmb.emulator import one_kernel
    from tinygrad_mmb.emulator.one_kernel import ArgumentError

    one_kernel.read_back(folder, values)
    arrays = {v.parameter.name: v.array for v in values if v.is_pointer}
    for text in launch["save"]:
        name, _, path = text.partition("=")
        if name not in arrays or not path:
            raise ArgumentError(
                f"--save {text}: expected NAME=FILE.npy, with NAME one of {', '.join(arrays)}"
            )
        if done.code == 0:
            np.save(path, arrays[name])
    if done.code:
        return
    for v in values:
        if v.is_output:
            shown = np.array2string(v.array, threshold=40, edgeitems=3, prefix=" " * 4)
            click.echo(f"{v.parameter.name} {v.array.dtype} {v.array.shape}\n    {shown}")


def kept(words: tuple[str, ...], folder: Path) -> tuple[str, ...]:
    """The plan of a launch where it outlives this command, for a debugger."""
    if folder == Path():
        return words
    stays = Path(tempfile.mkdtemp(prefix="mmb-cuda-"))
    for path in folder.iterdir():
        text = path.read_bytes().replace(bytes(folder), bytes(stays))
        (stays / path.name).write_bytes(text)
    return (str(stays / "plan.txt"),)


def explained_signal(done: Run) -> str:
    if done.died_of in ("SIGSEGV", "SIGBUS") and not any(not f.is_note for f in done.findings):
        return ": it follows a pointer that leads nowhere. mmb cuda run --debug helps to find it"
    return ""
