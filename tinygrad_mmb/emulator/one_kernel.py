"""One kernel of a file without main: its arguments from the command line, its arrays afterwards."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinygrad_mmb.emulator.signatures import Kernel, Parameter

C_TYPES = {
    "float": "f4", "double": "f8", "__half": "f2", "half": "f2", "bool": "?",
    "char": "i1", "signed char": "i1", "unsigned char": "u1", "int8_t": "i1", "uint8_t": "u1",
    "short": "i2", "unsigned short": "u2", "int16_t": "i2", "uint16_t": "u2",
    "int": "i4", "unsigned": "u4", "unsigned int": "u4", "int32_t": "i4", "uint32_t": "u4",
    "long": "i8", "unsigned long": "u8", "long long": "i8", "unsigned long long": "u8",
    "long long int": "i8", "int64_t": "i8", "uint64_t": "u8", "size_t": "u8", "uint": "u4",
}  # fmt: skip
VECTORS = {"float": "f4", "double": "f8", "int": "i4", "uint": "u4", "uchar": "u1", "char": "i1"}
FILLS = "random, zeros, ones, arange, empty"


class ArgumentError(Exception):
    """What was asked for a launch does not fit the kernel."""


@dataclass
class Value:
    """An argument: an array on the device, or a number."""

    parameter: Parameter
    array: np.ndarray
    is_pointer: bool

    @property
    def is_output(self) -> bool:
        return self.is_pointer and "const" not in self.parameter.type.split()


def choose(kernels: list[Kernel], name: str | None) -> Kernel:
    """The kernel meant; the only one there is if none is named.

    Raises: ArgumentError with what there is.
    """
    listed = "\n".join(f"    {k}" for k in kernels)
    if not kernels:
        raise ArgumentError("the file has neither a main nor a __global__ function to run")
    if name is None:
        if len(kernels) > 1:
            raise ArgumentError(f"the file has several kernels; name one with --kernel:\n{listed}")
        return kernels[0]
    base = name.partition("<")[0]
    for kernel in kernels:
        if kernel.name == base:
            return kernel
    raise ArgumentError(f"--kernel {name}: there is no such kernel in the file, only:\n{listed}")


def with_types(kernel: Kernel, name: str | None) -> Kernel:
    """The kernel with the types of its instance: scale<float> puts float for T.

    Raises: ArgumentError for a template named without its arguments.
    """
    if kernel.template is None:
        return kernel
    if name is None or "<" not in name:
        raise ArgumentError(
            f"{kernel.name} is a template <{kernel.template}>: name an instance, as in "
            f"--kernel '{kernel.name}<float>'"
        )
    given = [a.strip() for a in name[name.index("<") + 1 : name.rindex(">")].split(",")]
    names = [re.sub(r"=.*", "", p).split()[-1] for p in kernel.template.split(",")]
    put = dict(zip(names, given, strict=False))
    words = re.compile(r"\b(" + "|".join(map(re.escape, put)) + r")\b") if put else re.compile("$^")
    parameters = tuple(
        Parameter(words.sub(lambda m: put[m.group()], p.type), p.name) for p in kernel.parameters
    )
    return Kernel(name, kernel.line, None, parameters)


def dtype_of(kernel: Kernel, parameter: Parameter) -> tuple[np.dtype, tuple[int, ...], bool]:
    """NumPy's type, the trailing dimension of a vector type, and whether it is a pointer.

    Raises: ArgumentError for a type that cannot be given on a command line.
    """
    text = parameter.type.replace("const", " ").replace("volatile", " ").replace("struct ", " ")
    is_pointer = "*" in text
    text = " ".join(text.replace("*", " ").split())
    vector = re.fullmatch(r"(float|double|int|uint|char|uchar)([234])", text)
    if vector:
        return np.dtype(VECTORS[vector[1]]), (int(vector[2]),), is_pointer
    if text not in C_TYPES or parameter.type.count("*") > 1:
        raise ArgumentError(
            f"{kernel.name}: parameter {parameter.name} is a {parameter.type}, which cannot be "
            "given on the command line. Write a main that calls the kernel."
        )
    return np.dtype(C_TYPES[text]), (), is_pointer


def values_of(kernel: Kernel, given: tuple[str, ...], seed: int = 0) -> list[Value]:
    """Every argument of the launch, in the kernel's order.

    Raises: ArgumentError, with the signature.
    """
    named: dict[str, str] = {}
    in_order: list[str] = []
    names = {p.name for p in kernel.parameters}
    for text in given:
        name, equals, rest = text.partition("=")
        if equals and name in names:
            named[name] = rest
        else:
            in_order.append(text)
    rng = np.random.default_rng(seed)
    made: list[Value] = []
    missing: list[Parameter] = []
    for p in kernel.parameters:
        put = named.get(p.name) or (in_order.pop(0) if in_order else None)
        if put is None:
            missing.append(p)
            continue
        made.append(value_of(kernel, p, put, rng))
    if missing:
        raise ArgumentError(how_to_give(kernel, missing))
    if in_order:
        raise ArgumentError(
            f"{kernel} takes {len(kernel.parameters)} arguments; --arg {in_order[0]} is one more"
        )
    return made


def how_to_give(kernel: Kernel, missing: list[Parameter]) -> str:
    """The signature, and an option for every missing argument."""
    lines = [f"{kernel} needs an --arg for {', '.join(p.name for p in missing)}. For example:"]
    for p in missing:
        dtype, vector, is_pointer = dtype_of(kernel, p)
        size = "256" if not vector else f"256x{vector[0]}"
        fill = "random" if "const" in p.type else "zeros"
        example = f"{fill}:{size}" if is_pointer else "256" if dtype.kind in "iu" else "1.5"
        lines.append(f"    --arg {p.name}={example}")
    lines.append(f"An array is FILL:SIZE with FILL one of {FILLS}, or a file.npy.")
    return "\n".join(lines)


def value_of(kernel: Kernel, p: Parameter, text: str, rng: np.random.Generator) -> Value:
    """One argument from its text. Raises: ArgumentError."""
    dtype, vector, is_pointer = dtype_of(kernel, p)
    where = f"--arg {p.name}={text}"
    if not is_pointer:
        return Value(p, number(where, dtype, vector, text), False)
    if text.endswith(".npy"):
        return Value(p, loaded(where, text, dtype, vector), True)
    fill, colon, rest = text.partition(":")
    if not colon or fill not in FILLS.split(", "):
        raise ArgumentError(
            f"{where}: {p.name} is a pointer, so give an array: FILL:SIZE with FILL one of {FILLS} "
            "(random:1024, zeros:32x32), or a file.npy."
        )
    try:
        shape = tuple(int(s) for s in rest.lower().split("x"))
        if not shape or min(shape) < 1:
            raise ValueError
    except ValueError:
        raise ArgumentError(
            f"{where}: the size is {rest!r}, but should be like 1024 or 32x32."
        ) from None
    if vector and shape[-1:] != vector:
        shape = (*shape, *vector)
    return Value(p, filled(fill, shape, dtype, rng), True)


def filled(
    fill: str, shape: tuple[int, ...], dtype: np.dtype, rng: np.random.Generator
) -> np.ndarray:
    """An array; random is standard normal, or 0 to 99 for whole numbers."""
    if fill == "random":
        whole = dtype.kind in "iub"
        draw = rng.integers(0, 100, shape) if whole else rng.standard_normal(shape)
        return draw.astype(dtype)
    if fill == "arange":
        return np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    if fill == "empty":  # as cudaMalloc leaves it: NaN, or -1
        return np.frombuffer(b"\xff" * int(np.prod(shape) * dtype.itemsize), dtype).reshape(shape)
    return np.full(shape, 1 if fill == "ones" else 0, dtype)


def loaded(where: str, text: str, dtype: np.dtype, vector: tuple[int, ...]) -> np.ndarray:
    try:
        array = np.load(text, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ArgumentError(f"{where}: {error}") from error
    if array.dtype != dtype or (vector and array.shape[-1:] != vector):
        wanted = f"{dtype}{f' with a last dimension of {vector[0]}' if vector else ''}"
        raise ArgumentError(
            f"{where}: the file has {array.dtype} {array.shape}, but the kernel takes {wanted}."
        )
    return np.ascontiguousarray(array)


def number(where: str, dtype: np.dtype, vector: tuple[int, ...], text: str) -> np.ndarray:
    try:
        parts = [int(t, 0) if dtype.kind in "iu" else float(t) for t in text.split(",")]
        made = np.array(parts, dtype)
    except (ValueError, OverflowError):
        raise ArgumentError(f"{where}: {text!r} is no {dtype}.") from None
    if made.size != (vector[0] if vector else 1):
        raise ArgumentError(f"{where}: {made.size} numbers, but the kernel takes {vector or 1}.")
    return made


def write_plan(
    folder: Path, kernel: Kernel, values: list[Value],
    grid: tuple[int, ...], block: tuple[int, ...], shared: int,
) -> Path:  # fmt: skip
    """What launcher.h reads: the launch, and the arrays as files beside it."""
    sizes = " ".join(str(n) for s in (grid, block) for n in (*s, 1, 1)[:3])
    lines = [f"kernel {kernel.name}", f"launch {sizes} {shared}"]
    for i, v in enumerate(values):
        name = v.parameter.name or f"argument_{i}"
        if not v.is_pointer:
            lines.append(f"value {name} {v.array.tobytes().hex()}")
            continue
        source = folder / f"{i}.in"
        source.write_bytes(v.array.tobytes())
        lines.append(f"array {name} {v.array.nbytes} {source}\t{folder / f'{i}.out'}")
    plan = folder / "plan.txt"
    plan.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return plan


def read_back(folder: Path, values: list[Value]) -> None:
    """Put into each array what the kernel left in it."""
    for i, v in enumerate(values):
        path = folder / f"{i}.out"
        if v.is_pointer and path.exists():
            v.array = np.frombuffer(path.read_bytes(), v.array.dtype).reshape(v.array.shape)
