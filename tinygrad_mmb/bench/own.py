"""A kernel of one's own as one more row: `mmb bench --add my.py:softmax --op softmax`.

A Python function gets the arguments of the op's forward pass and returns its result. A kernel in a
.cu file gets pointers, outputs first, then the sizes: its contract is in CONTRACTS. Either is
checked against the float64 reference before it is timed beside ours and the libraries'.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tinygrad_mmb.bench.calls import as_list, functions
from tinygrad_mmb.bench.cases import Case, Problem, cases_of
from tinygrad_mmb.bench.contracts import CONTRACTS
from tinygrad_mmb.bench.draws import Arguments
from tinygrad_mmb.bench.machine import Machine
from tinygrad_mmb.bench.measure import YOURS, Candidate, Made
from tinygrad_mmb.bench.options import BenchError, Options
from tinygrad_mmb.bench.own_kernels import is_launchable, of_cuda, of_launchable
from tinygrad_mmb.bench.work import FORWARD


@dataclass(frozen=True)
class Own:
    """What a user added: a candidate for the cases of one op. One that is not timed is emulated."""

    op: str
    candidate: Candidate


def candidates(options: Options, machine: Machine) -> list[Own]:
    """What --add names, loaded and fitted to the op. Raises: BenchError."""
    if not options.add:
        if options.op is not None:
            raise BenchError("--op says what --add computes, so it needs --add FILE")
        return []
    if options.op is None:
        raise BenchError(f"--add needs --op: what does {options.add[0]} compute? {ops_text()}")
    if options.shapes is not None:
        raise BenchError("--reproduce reruns the rows of a file, so --add does not fit")
    return [loaded(name, options, machine) for name in options.add]


def ops_text() -> str:
    return (
        f"For .cu files: {', '.join(sorted(CONTRACTS))}; for Python functions also any op by name"
    )


def op_named(name: str) -> str:
    """The class of an op from its name in any spelling: softmax, log_softmax, MatMul."""
    wanted = name.lower().replace("_", "")
    for op in functions():
        if op.lower() == wanted:
            return op
    raise BenchError(f"--op {name}: there is no such op. {ops_text()}")


def loaded(text: str, options: Options, machine: Machine) -> Own:
    """One FILE or FILE:NAME. Raises: BenchError."""
    path_text, colon, name = text.rpartition(":")
    if not colon or "/" in name or "\\" in name:  # C:\my.py has a colon too
        path_text, name = text, ""
    path = Path(path_text)
    if not path.is_file():
        raise BenchError(f"--add {text}: there is no file {path}")
    op = op_named(str(options.op))
    if path.suffix == ".cu":
        return Own(op, of_cuda(path, name, op, options, machine))
    if path.suffix == ".py":
        return Own(op, of_python(path, name or str(options.op), op, machine))
    raise BenchError(f"--add {text}: expected a .py or a .cu file")


def of_python(path: Path, name: str, op: str, machine: Machine) -> Candidate:
    """A function of a Python file. Raises: BenchError."""
    module = imported(path)
    if not hasattr(module, name):
        there = (
            ", ".join(k for k, v in vars(module).items() if callable(v) and k[0] != "_") or "none"
        )
        raise BenchError(
            f"{path} has no function {name}. There are: {there}. Name one: {path}:NAME"
        )
    function = getattr(module, name)
    if is_launchable(function):
        return of_launchable(path, name, function, op, machine)
    if not callable(function):
        raise BenchError(f"{path}: {name} is of type {type(function).__name__}, and no function")

    on_host = hasattr(function, "py_func")  # numba's, which knows no array of a GPU

    def make(problem: Problem, args: Arguments) -> Made:
        if on_host:
            args = tuple(machine.host(a) for a in args)
        values = fitted(path, name, function, problem.case, args)
        return lambda: function(*values), returned(path, name)

    return Candidate(f"{path.stem}:{name}", YOURS, make)


def imported(path: Path) -> ModuleType:
    """The file as a module. Raises: BenchError with what went wrong inside it."""
    spec = importlib.util.spec_from_file_location(f"added_{path.stem}", path)
    assert spec is not None and spec.loader is not None  # it ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # so that numba and pickle find its functions
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise BenchError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def fitted(path: Path, name: str, function: Any, case: Case, args: Arguments) -> Arguments:
    """The arguments that the function takes: all of the op's, or its arrays. Raises: TypeError."""
    try:
        signature = inspect.signature(getattr(function, "py_func", function))
    except (TypeError, ValueError):  # compiled functions tell nothing
        return args
    arrays = tuple(a for a in args if hasattr(a, "dtype"))
    for values in (args, arrays):
        try:
            signature.bind(*values)
        except TypeError:
            continue
        return values
    raise TypeError(
        f"{path.name}: {name}{signature} does not fit {case.op}, which is called with "
        f"{described(args)}; the arrays alone will do too"
    )


def described(args: Arguments) -> str:
    """The arguments of an op in words: float32 (512, 1024), 1."""
    parts = [f"{a.dtype} {tuple(a.shape)}" if hasattr(a, "dtype") else repr(a) for a in args]
    return f"{len(args)} arguments: {', '.join(parts)}"


def returned(path: Path, name: str) -> Callable[[Any], list[Any]]:
    """Results as a list, with a word for a function that forgot its return."""

    def results(value: Any) -> list[Any]:
        if value is None:
            raise TypeError(f"{path.name}: {name} returned None; it should return the result")
        return as_list(value)

    return results


def cases(added: Sequence[Own], where: str, quick: bool) -> list[Case]:
    """The forward cases of the ops that were added."""
    ops = dict.fromkeys(own.op for own in added)
    return [
        case
        for op in ops
        for case in cases_of(op, [FORWARD], where, quick)
        if case.dtype == "float32"
    ]


def of_case(added: Sequence[Own], case: Case) -> list[Candidate]:
    """The user's candidates of a case that can be timed."""
    return [own.candidate for own in added if own.op == case.op and own.candidate.timed]


def emulated_of(added: Sequence[Own], case: Case) -> list[Candidate]:
    """The user's candidates that the emulator checks."""
    return [own.candidate for own in added if own.op == case.op and not own.candidate.timed]
