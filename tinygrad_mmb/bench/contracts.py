"""How a user's CUDA kernel for an op must look: outputs first, inputs const, sizes last."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinygrad_mmb.bench.draws import Arguments
from tinygrad_mmb.bench.options import BenchError


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
    "transpose": Contract(
        "Transpose",
        ROWS,
        "y (cols, rows) = xᵀ, of x (rows, cols), row by row",
        matrix_sizes,
        1,
        lambda args: (args[0].shape[1], args[0].shape[0]),
        "(cols + 31) // 32, (rows + 31) // 32",
        "32, 8",
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


def contract_of(op: str, what: str) -> Contract:
    """Raises: BenchError if kernels of this op have no contract."""
    for contract in CONTRACTS.values():
        if contract.op == op:
            return contract
    raise BenchError(
        f"{what}: a kernel needs an agreed signature, and there is none for {op}, only for "
        f"{', '.join(sorted(CONTRACTS))}. Write a Python function that launches it, and add that"
    )


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
