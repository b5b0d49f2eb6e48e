"""A kernel of one's own as one more row: `mmb bench --add my.py:softmax --op softmax`.

A Python function gets the arguments of the op's forward pass and returns its result. A kernel in a
.cu file gets pointers, outputs first, then the sizes: its contract is in CONTRACTS. Either is
checked against the float64 reference before it is timed beside ours and the libraries'.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from tinygrad_mmb.bench.calls import as_list, functions
from tinygrad_mmb.bench.cases import Case, Problem, cases_of
from tinygrad_mmb.bench.machine import Machine
from tinygrad_mmb.bench.measure import Candidate, Made
from tinygrad_mmb.bench.options import BenchError, Options
from tinygrad_mmb.bench.sizes import Arguments
from tinygrad_mmb.bench.work import FORWARD

YOURS = "yours"


@dataclass(frozen=True)
class Contract:
    """How a CUDA kernel for an op is called: which arrays and sizes, and on which grid."""

    op: str
    parameters: str  #  as they stand in the kernel's head
    meaning: str
    sizes: Callable[[Arguments], dict[str, int]]
    inputs: int  #      how many of the op's arguments are arrays that go in
    shape: Callable[[Arguments], tuple[int, ...]]  # of the output
    grid: str
    block: str

    def kinds(self) -> list[str]:
        """Per parameter: "output", "input", or "int"."""
        return [kind_of(p) for p in split_parameters(self.parameters)]


def matrix_sizes(args: Arguments) -> dict[str, int]:
    return {"rows": args[0].shape[0], "cols": args[0].shape[1]}


def array_size(args: Arguments) -> dict[str, int]:
    return {"n": args[0].size}


def product_sizes(args: Arguments) -> dict[str, int]:
    return {"M": args[0].shape[0], "N": args[1].shape[1], "K": args[0].shape[1]}


def like_x(args: Arguments) -> tuple[int, ...]:
    return tuple(args[0].shape)


ROWS = "float* y, const float* x, int rows, int cols"
UNARY = "float* y, const float* x, int n"
BINARY = "float* y, const float* a, const float* b, int n"
EACH = "(n + 255) // 256"
CONTRACTS: dict[str, Contract] = {
    "softmax": Contract(
        "Softmax", ROWS, "y = softmax(x) along each row", matrix_sizes, 1, like_x, "rows", "256"
    ),
    "log_softmax": Contract(
        "LogSoftmax",
        ROWS,
        "y = ln softmax(x) along each row",
        matrix_sizes,
        1,
        like_x,
        "rows",
        "256",
    ),
    "matmul": Contract(
        "MatMul",
        "float* c, const float* a, const float* b, int M, int N, int K",
        "c (M, N) = a (M, K) times b (K, N), row by row",
        product_sizes,
        2,
        lambda args: (args[0].shape[0], args[1].shape[1]),
        "(N + 15) // 16, (M + 15) // 16",
        "16, 16",
    ),
    **{
        name: Contract(
            op, UNARY, f"y = {text}, each of n numbers", array_size, 1, like_x, EACH, "256"
        )
        for name, op, text in (
            ("relu", "Relu", "max(x, 0)"),
            ("exp", "Exp", "exp x"),
            ("tanh", "Tanh", "tanh x"),
            ("sigmoid", "Sigmoid", "1 / (1 + exp -x)"),
        )
    },
    **{
        name: Contract(
            op, BINARY, f"y = a {sign} b, each of n numbers", array_size, 2, like_x, EACH, "256"
        )
        for name, op, sign in (("add", "Add", "+"), ("mul", "Mul", "·"))
    },
}
PARAMETER = re.compile(r"(?P<type>.*[\s*&])(?P<name>\w+)\s*$", re.S)


def kind_of(parameter: str) -> str:
    """What a parameter is: "output" (float*), "input" (const float*), "int", or its own text."""
    text = re.sub(r"\b__restrict__\b|\brestrict\b", " ", parameter)
    match = PARAMETER.match(text.strip())
    kind = re.sub(r"\s+", " ", (match["type"] if match else text)).strip().replace(" *", "*")
    known = {
        "float*": "output",
        "const float*": "input",
        "float const*": "input",
        "int": "int",
        "const int": "int",
        "unsigned": "int",
        "unsigned int": "int",
        "int32_t": "int",
    }
    return known.get(kind, kind)


def split_parameters(text: str) -> list[str]:
    return [p for p in (part.strip() for part in text.split(",")) if p]


def parameters_of(source: str, kernel: str, path: Path) -> list[str]:
    """The parameters of a kernel, read from its source. Raises: BenchError if it is not there."""
    plain = re.sub(r"//[^\n]*|/\*.*?\*/", " ", source, flags=re.S)
    heads = re.findall(
        r"__global__\s+(?:void|__launch_bounds__\s*\([^)]*\)|\s)+(\w+)\s*\(([^)]*)\)", plain
    )
    for name, parameters in heads:
        if name == kernel:
            return split_parameters(parameters)
    there = ", ".join(name for name, _ in heads) or "none"
    raise BenchError(
        f"{path}: there is no kernel {kernel}. Its kernels (__global__ void ...): {there}"
    )


def evaluate(text: str, sizes: dict[str, int], option: str) -> tuple[int, ...]:
    """A grid or block such as "(n + 255) // 256, 1" with the op's sizes. Raises: BenchError."""
    try:
        tree = ast.parse(text, mode="eval").body
        parts = tree.elts if isinstance(tree, ast.Tuple) else [tree]
        values = tuple(number(part, sizes) for part in parts)
    except (SyntaxError, ValueError, ZeroDivisionError) as error:
        raise BenchError(
            f"{option} {text!r}: {error}. Write whole numbers, + - * // and the sizes of the op: "
            f"{', '.join(sizes)}"
        ) from None
    if not 1 <= len(values) <= 3 or min(values) < 1:
        raise BenchError(
            f"{option} {text!r} is {values}, but one to three positive numbers are needed"
        )
    return values


def number(node: ast.AST, sizes: dict[str, int]) -> int:
    """One whole number. Raises ValueError for anything else."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.Name):
        if node.id not in sizes:
            raise ValueError(f"{node.id} is no size of this op")
        return sizes[node.id]
    if isinstance(node, ast.BinOp):
        a, b = number(node.left, sizes), number(node.right, sizes)
        for kind, result in ((ast.Add, a + b), (ast.Sub, a - b), (ast.Mult, a * b)):
            if isinstance(node.op, kind):
                return result
        if isinstance(node.op, ast.FloorDiv):
            return a // b
    raise ValueError("only whole numbers, + - * and // are understood")


@dataclass
class Own:
    """What a user added: a candidate for the cases of one op."""

    name: str
    op: str
    candidate: Candidate
    emulated: Candidate | None = None
    notes: list[str] = field(default_factory=list)


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
        return of_cuda(path, name, op, options, machine)
    if path.suffix == ".py":
        return of_python(path, name, op, str(options.op), machine)
    raise BenchError(f"--add {text}: expected a .py or a .cu file")


# -- Python functions


def of_python(path: Path, name: str, op: str, asked: str, machine: Machine) -> Own:
    """A function of a Python file. Raises: BenchError."""
    name = name or asked
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

    return Own(name, op, Candidate(f"{path.stem}:{name}", YOURS, make))


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


# -- kernels that are launched on a grid: numba.cuda, Triton, CuPy's RawKernel


def is_launchable(function: Any) -> bool:
    """Whether it is called as kernel[grid](...), or as a RawKernel: kernel(grid, block, ...)."""
    return hasattr(function, "__getitem__") or type(function).__name__ == "RawKernel"


def contract_of(op: str, what: str) -> Contract:
    """Raises: BenchError if kernels of this op have no contract."""
    for contract in CONTRACTS.values():
        if contract.op == op:
            return contract
    raise BenchError(
        f"{what}: a kernel needs an agreed signature, and there is none for {op}, only for "
        f"{', '.join(sorted(CONTRACTS))}. Write a Python function that launches it, and add that"
    )


def of_launchable(path: Path, name: str, kernel: Any, op: str, machine: Machine) -> Own:
    """A kernel of numba.cuda, Triton or CuPy, launched on the contract's grid."""
    contract = contract_of(op, f"{path}:{name}")
    if machine.kind != "gpu":
        raise BenchError(
            f"{path}:{name} is a kernel for a GPU, and there is none here. A .cu file can be "
            "checked without one, on the emulator"
        )

    def make(problem: Problem, args: Arguments) -> Made:
        arrays, sizes = args[: contract.inputs], contract.sizes(args)
        y = machine.put(empty(contract.shape(args)))
        grid = evaluate(contract.grid, sizes, "grid")
        block = evaluate(contract.block, sizes, "block")
        values = (y, *arrays, *sizes.values())
        if type(kernel).__name__ == "RawKernel":
            from tinygrad_mmb.kernels.launch import int32

            counts = [int32(n) for n in sizes.values()]
            return lambda: (kernel(grid, block, (y, *arrays, *counts)), y)[1], as_list
        if is_triton(kernel):
            from tinygrad_mmb.bench.torch_peer import tensor_of

            tensors = [tensor_of(a) for a in (y, *arrays)]
            width = (
                1 << (max(sizes.values()) - 1).bit_length()
            )  # BLOCK: a power of two that holds a row
            return lambda: (kernel[grid](*tensors, *sizes.values(), BLOCK=width), y)[1], as_list
        return lambda: (kernel[grid, block](*values), y)[1], as_list

    return Own(name, op, Candidate(f"{path.stem}:{name}", YOURS, make))


def is_triton(kernel: Any) -> bool:
    return type(kernel).__module__.split(".")[0] == "triton"


def empty(shape: tuple[int, ...]) -> Any:
    """Room for a result, filled with NaN, so that what a kernel does not write is seen."""
    import numpy as np

    return np.full(shape, np.nan, np.float32)


# -- .cu files


def of_cuda(path: Path, name: str, op: str, options: Options, machine: Machine) -> Own:
    """A kernel of a .cu file: on a GPU through NVRTC, on a CPU checked by the emulator."""
    source = path.read_text(encoding="utf-8")
    name = name or the_only_kernel(source, path)
    contract = contract_of(op, f"{path}:{name}")
    check_parameters(path, name, parameters_of(source, name, path), contract)
    grid, block = options.grid or contract.grid, options.block or contract.block
    label = f"{path.stem}:{name}"
    prepare = on_gpu if machine.kind == "gpu" else on_emulator
    launch = prepare(path, name, source)

    def make(problem: Problem, args: Arguments) -> Made:
        from tinygrad_mmb.kernels.launch import int32

        sizes = contract.sizes(args)
        y = machine.put(empty(contract.shape(args)))
        values = (y, *args[: contract.inputs], *[int32(n) for n in sizes.values()])
        shape = evaluate(grid, sizes, "--grid"), evaluate(block, sizes, "--block")

        def call() -> Any:
            launch(*shape, values)
            return y

        return call, as_list

    timed = machine.kind == "gpu"
    candidate = Candidate(label, YOURS, make, timed=timed)
    evaluate(grid, dict.fromkeys(sizes_named(contract), 1), "--grid")
    evaluate(block, dict.fromkeys(sizes_named(contract), 1), "--block")
    return Own(name, op, candidate, None if timed else candidate)


def sizes_named(contract: Contract) -> list[str]:
    return [p.split()[-1] for p in split_parameters(contract.parameters) if kind_of(p) == "int"]


def the_only_kernel(source: str, path: Path) -> str:
    """The name of the kernel, where there is but one. Raises: BenchError."""
    names = re.findall(r"__global__\s+(?:void|__launch_bounds__\s*\([^)]*\)|\s)+(\w+)\s*\(", source)
    if len(names) != 1:
        raise BenchError(
            f"{path} has {len(names)} kernels. Name one: {path}:{names[0] if names else 'KERNEL'}"
        )
    return str(names[0])


def check_parameters(path: Path, name: str, found: Sequence[str], contract: Contract) -> None:
    """Raises: BenchError if a kernel cannot be called as the contract says."""
    kinds = [kind_of(p) for p in found]
    if kinds == contract.kinds():
        return
    wanted = split_parameters(contract.parameters)
    message = f"{path}: {name}({', '.join(found)}) does not fit. "
    message += f"Expected {name}({', '.join(wanted)}): {contract.meaning}"
    if len(found) != len(wanted):
        message += f". It has {len(found)} parameters instead of {len(wanted)}"
    else:
        i = next(k for k, (a, b) in enumerate(zip(kinds, contract.kinds(), strict=True)) if a != b)
        message += f". Parameter {i + 1} is {found[i]!r}, but should be like {wanted[i]!r}"
    raise BenchError(f"{message}. Outputs come first, inputs are const, sizes are last")


Launch = Callable[[tuple[int, ...], tuple[int, ...], Sequence[Any]], None]


def on_gpu(path: Path, name: str, source: str) -> Launch:
    """Through NVRTC. Raises: BenchError with the compiler's words."""
    from tinygrad_mmb.backend.arrays import cupy

    module = cupy().RawModule(
        code=source, options=("-std=c++17", f"-I{path.resolve().parent}"), name_expressions=(name,)
    )
    try:
        kernel = module.get_function(name)
    except Exception as error:
        raise BenchError(f"{path}: NVRTC: {error}") from error
    return lambda grid, block, values: kernel(grid, block, values)


def on_emulator(path: Path, name: str, source: str) -> Launch:
    """Through the checker: a race or an access out of bounds is reported with its line."""
    from tinygrad_mmb.bench.own_emulated import library_of

    library = library_of(path, name)
    return lambda grid, block, values: library.launch(name, grid, block, values, 0)


# -- which cases


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
    return [own.emulated for own in added if own.op == case.op and own.emulated is not None]
