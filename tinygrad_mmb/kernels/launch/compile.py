"""Compile CUDA sources for the emulator with the machine's C++ compiler, and keep the results."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tinygrad_mmb.backend import extension
from tinygrad_mmb.kernels.launch import cache

# Fused multiply-add is left to a GPU: the same result on every machine.
PLAIN = ("-g", "-ffp-contract=off")
MODES = {
    "fast": ["-O3", *PLAIN, "-g1"],
    # Every access of a kernel becomes a call of the checker (csrc/emulator/runtime/hooks.cpp).
    "check": [
        *("-O1", *PLAIN, "-DEMULATOR_CHECK", "-DEMULATOR_INSTRUMENTED"),
        *("-fsanitize=thread,bounds", "-fno-builtin-memcpy", "-fno-builtin-memmove"),
        "-fno-builtin-memset",
    ],
    "sanitize": [
        *("-O1", *PLAIN, "-fno-omit-frame-pointer"),
        *("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"),
    ],
}
# What makes the checker see accesses as the GPU does them. -fno-tree-sra: a float4 stays one. clang
# copies structures by memcpy, whose alignment is unknown: a misaligned float4 is not seen there.
SEEN_BY_CHECKER = {
    "gcc": [
        *("-fno-tree-sra", "--param=tsan-distinguish-volatile=1"),
        "--param=tsan-instrument-func-entry-exit=0",
        # local variables start as bytes 0xfe, which checker.cpp knows when they reach memory
        "-ftrivial-auto-var-init=pattern",
    ],
    "clang": [
        *("-O0", "-mllvm", "-tsan-distinguish-volatile=1"),
        *("-mllvm", "-tsan-instrument-func-entry-exit=0"),
        *("-mllvm", "-tsan-instrument-read-before-write=1"),  # else y += x is a write only
    ],
}
COPIES = ["objcopy"]
for _name in ("memcpy", "memmove", "memset"):
    COPIES += ["--redefine-sym", f"{_name}=__tsan_{_name}"]
INCLUDE = re.compile(rb"^[ \t]*#[ \t]*include[ \t]*[\"<]([^\">]+)[\">]", re.MULTILINE)


class CompileError(RuntimeError):
    """A CUDA source that the C++ compiler does not take; the text is the compiler's."""


def sources() -> Path:
    """csrc of the checkout or of the installation.

    Raises: RuntimeError if the installation carries none.
    """
    for folder in extension.source_folders():
        if (folder / "cuda" / "kernels").is_dir():
            return folder
    raise RuntimeError(
        "the CUDA sources are missing from this installation (looked in "
        f"{' and '.join(map(str, extension.source_folders()))}). Install tinygrad_mmb again."
    )


@functools.cache
def compiler() -> str:
    """The C++ compiler: $CXX, g++, clang++ or c++.

    Raises: RuntimeError where there is none, or where the emulator cannot run.
    """
    if sys.platform != "linux":
        raise RuntimeError(
            f"the CUDA emulator runs on Linux and WSL2 only, and this is {platform.system()}. Use "
            "WSL2, a notebook in the cloud, or a container that has g++: "
            "docker run -it -v .:/here -w /here python:3.12 bash, and install tinygrad_mmb there."
        )
    for name in (os.environ.get("CXX"), "g++", "clang++", "c++"):
        if name and shutil.which(name):
            return name
    raise RuntimeError(
        "the CUDA emulator compiles kernels with a C++17 compiler, and there is none here. On "
        "Debian and Ubuntu: apt install g++."
    )


@functools.cache
def version(command: str) -> str:
    """What the compiler says it is: another one, or a newer one, compiles again."""
    asked = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    return asked.stdout.partition("\n")[0]


def flags_of(mode: str) -> list[str]:
    """The flags of one of MODES for this machine's compiler."""
    family = "clang" if is_clang() else "gcc"
    return MODES[mode] + (SEEN_BY_CHECKER[family] if mode == "check" else [])


def is_clang() -> bool:
    """Whether the compiler is clang, under whatever name."""
    return "clang" in version(compiler())


def warnings_of_unset_variables() -> list[str]:
    """What makes the compiler name local variables that are used before they are set."""
    possibly = "-Wconditional-uninitialized" if is_clang() else "-Wmaybe-uninitialized"
    return ["-Wuninitialized", possibly]


def without_instrumentation(flags: Sequence[str]) -> list[str]:
    """For the emulator itself: the checker hears of the kernels' accesses only."""
    of_kernels = ("-fsanitize=thread", "--param=tsan", "-DEMULATOR_INSTRUMENTED", "-fno-builtin-")
    also = ("-fno-tree-sra", "-ftrivial-auto-var-init")
    return [f for f in flags if not f.startswith((*of_kernels, *also))]


def sanitizer_environment() -> dict[str, str]:
    """What a process needs in its environment to load libraries of mode "sanitize"."""
    asked = [compiler(), "-print-file-name=libasan.so"]
    library = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    return {"LD_PRELOAD": library, "ASAN_OPTIONS": "detect_leaks=0"}


def read_by(source: Path, folders: Sequence[Path]) -> list[Path]:
    """The source and all files that it includes, as far as they are beside it or in `folders`."""
    found, waiting = {source}, [source]
    while waiting:
        path = waiting.pop()
        for name in INCLUDE.findall(path.read_bytes()):
            places = [folder / os.fsdecode(name) for folder in (path.parent, *folders)]
            included = next((p.resolve() for p in places if p.is_file()), None)
            if included and included not in found:
                found.add(included)
                waiting.append(included)
    return sorted(found)


def compiled(source: Path, flags: Sequence[str], kind: str) -> Path:
    """The object file or library of one source, from the cache if nothing it reads has changed.

    Raises: CompileError with the compiler's words.
    """
    root = sources()
    # hidden: the shared arrays of templates must not be merged with those of another library
    command = [compiler(), "-std=c++17", "-fPIC", "-fvisibility=hidden", *flags]
    folders = [root / "cuda", root / "emulator", root / "emulator" / "include"]
    command += [f"-I{folder}" for folder in folders]
    digest = hashlib.sha256(repr((command, version(compiler()), str(source), kind)).encode())
    for path in read_by(source, folders):
        digest.update(path.read_bytes())
    target = cache.kept(f"{source.stem}-{digest.hexdigest()[:16]}.{kind}")
    _make(target, [*command, "-x", "c++", "-c", str(source)], afterwards(flags))
    return target


def afterwards(flags: Sequence[str]) -> list[str] | None:
    """The command that changes an object file, its last argument, once it is compiled.

    clang copies structures by calls of memcpy, which the checker must hear of too.
    """
    return COPIES if "-DEMULATOR_INSTRUMENTED" in flags and is_clang() else None


def _make(target: Path, command: Sequence[str], after: Sequence[str] | None = None) -> None:
    """Run a compiler, unless its result is there; that appears whole or not at all.

    `after`: a command that changes the result, which is its last argument.
    """
    if target.exists():
        cache.used(target)
        return
    with alone(target), making(target.parent) as folder:
        if target.exists():  # another process has made it while we waited
            return
        say_once(target.parent)
        made = Path(folder) / target.name
        done = subprocess.run([*command, "-o", str(made)], capture_output=True, text=True)
        if done.returncode:
            raise CompileError(explained(done.stderr, command))
        if after:
            subprocess.run([*after, str(made)], check=True)
        os.replace(made, target)
        cache.forget_unused(target.parent)


@functools.cache
def say_once(folder: Path) -> None:
    """Tell who sits before a terminal what takes so long, at the first file that is compiled."""
    if sys.stderr is not None and sys.stderr.isatty():
        print(f"compiling for the CUDA emulator, once; kept in {folder}", file=sys.stderr)


def making(folder: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder to compile in; the cache deletes it one day if this process dies."""
    return tempfile.TemporaryDirectory(dir=folder, prefix=cache.MAKING)


@contextmanager
def alone(target: Path) -> Iterator[None]:
    """Inside, no other process makes this file."""
    import fcntl  # there is none on Windows, where nothing is compiled

    with open(target.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # given back when the file is closed, or the process dies
        yield
    target.with_suffix(".lock").unlink(missing_ok=True)


def explained(errors: str, command: Sequence[str]) -> str:
    """The compiler's errors, without the instances of templates they came through."""
    lines = errors.strip().splitlines()
    first = next((i for i, line in enumerate(lines) if "error" in line), 0)
    shown = "\n".join(lines[first : first + 12])
    return f"the kernel does not compile:\n{shown}\nThe command was: {' '.join(command)}"


@functools.cache
def library(file: str, mode: str = "fast") -> Path:
    """The kernels of csrc/cuda/kernels/<file> as a shared library, compiled in one of MODES.

    Raises: CompileError if the compiler finds an error; RuntimeError if there is none.
    """
    root, flags = sources(), flags_of(mode)
    runtime = sorted((root / "emulator" / "runtime").glob("*.cpp"))
    # the runtime first: of an inline function of the standard library that both have, the linker
    # keeps the first, and the checker must not hear of accesses of its own
    paths = [*runtime, root / "cuda" / "kernels" / file]
    their_flags = [*[without_instrumentation(flags)] * len(runtime), flags]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(compiled, paths, their_flags, ["o"] * len(paths)))
    names = [str(p) for p in parts]
    digest = hashlib.sha256("".join(names).encode()).hexdigest()[:16]
    target = cache.kept(f"{Path(file).stem}-{mode}-{digest}.so")
    # a hook that the checker lacks is an error now, not when a kernel needs it
    linked = ["-fsanitize=address,undefined"] if mode == "sanitize" else ["-Wl,-z,defs"]
    _make(target, [compiler(), "-shared", *linked, *names, "-ldl", "-lrt"])
    return target
