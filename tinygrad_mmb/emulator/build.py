"""A CUDA program as an executable for this machine, kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tinygrad_mmb.emulator import errors
from tinygrad_mmb.emulator.prepare import Prepared, prepare
from tinygrad_mmb.emulator.refusals import refusals
from tinygrad_mmb.emulator.signatures import Kernel
from tinygrad_mmb.kernels.launch import cache, compile

# A debugger wants every variable where the source has it.
DEBUG = ["-O0", "-g3", "-fno-omit-frame-pointer", "-ffp-contract=off"]
# The heap of kernels, csrc/emulator/host/heap.cpp: new, new[], delete, delete[], also with a size.
HEAP = {
    "malloc": "malloc", "free": "free", "_Znwm": "new", "_Znam": "new_array",
    "_ZdlPv": "delete", "_ZdaPv": "delete_array",
    "_ZdlPvm": "delete_sized", "_ZdaPvm": "delete_array_sized",
}  # fmt: skip
WARNINGS = "warnings.txt"  # beside the executable
ENDINGS = {".cu", ".cuh", ".h", ".hpp", ".cpp", ".cc", ".inl"}


class BuildError(Exception):
    """The program is not one the emulator can run; the text says why, at the student's lines."""


@dataclass(frozen=True, order=True)
class Local:
    """A local variable without a first value, where it is declared."""

    file: str
    line: int
    name: str


@dataclass(frozen=True)
class Options:
    """What the student may ask of the compiler."""

    mode: str = "fast"  # fast, check, sanitize, debug
    defines: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()  # for #include
    instances: tuple[str, ...] = ()  # of template kernels: "scale<float>"
    varied: tuple[Local, ...] = ()  # get the first value that the environment says


@dataclass
class Program:
    """A built program, and its sources as they were."""

    source: Path
    executable: Path
    files: dict[Path, Prepared] = field(default_factory=dict)
    options: Options = Options()

    @property
    def warnings(self) -> str:
        """What the compiler said of unset variables (mode "check"), for unset.py."""
        path = self.executable.with_name(WARNINGS)
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def main(self) -> Prepared:
        return self.files[self.source]

    @property
    def kernels(self) -> list[Kernel]:
        return [k for file in self.files.values() for k in file.kernels if k.is_defined]

    def text(self, file: str) -> str | None:
        """The source of a file that a finding names."""
        path = self.path(file)
        return self.files[path].source if path else None

    def path(self, file: str) -> Path | None:
        """The student's file meant by a name in debug information."""
        for path in self.files:
            if str(path) == file or path.name == Path(file).name:
                return path
        return None


def read(path: Path) -> str:
    """A source file as text. Raises: BuildError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BuildError(f"{path}: {error.strerror or error}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # in comments, most likely


def prepared_files(source: Path, folders: tuple[Path, ...]) -> dict[Path, Prepared]:
    """The source and every file it includes that is the student's own.

    Raises: BuildError for what the emulator does not have.
    """
    found: dict[Path, Prepared] = {}
    waiting = [source.resolve()]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = made = prepare(read(path))
        if problems := refusals(path, made):
            raise BuildError("\n".join(problems))
        waiting += [
            p for _, name in made.includes if (p := included(name, path, folders)) is not None
        ]
    return found


def included(name: str, by: Path, folders: tuple[Path, ...]) -> Path | None:
    """The student's file that an #include means; None for headers of the system or of CUDA."""
    text = name[1:-1]
    places = [by.parent, *folders] if name.startswith('"') else list(folders)
    for folder in places:
        path = folder / text
        if path.is_file() and path.suffix in ENDINGS:
            return path.resolve()
    return None


def build(source: Path, options: Options) -> Program:
    """Compile and link, unless nothing has changed since the last time.

    Raises: BuildError, with the compiler's errors at the student's lines; RuntimeError where the
    emulator cannot run.
    """
    compiler = compile.compiler()
    files = prepared_files(source, options.folders)
    source = source.resolve()
    main = files[source]
    for i, local in enumerate(options.varied):
        give_first_value(files, local, i)
    if not main.has_main:
        main.text += "\n#include <emulator/launcher.h>"
    if not main.has_main or any(name.startswith("cudaLaunch") for _, name in main.names):
        list_kernels(main, [k for made in files.values() for k in made.kernels], options.instances)
    flags = DEBUG if options.mode == "debug" else compile.flags_of(options.mode)
    defines = [f"-D{d}" for d in options.defines]
    runtime = runtime_objects(flags)
    root = compile.sources()
    command = [compiler, "-std=c++17", *flags, *defines, "-fdiagnostics-color=never"]
    bare = "-fno-caret-diagnostics" if compile.is_clang() else "-fno-diagnostics-show-caret"
    command += [bare, "-fno-strict-aliasing"]
    command += compile.warnings_of_unset_variables() if options.mode == "check" else ["-w"]
    command += [f"-fmacro-prefix-map={source.parent}/=", "-include", "emulator/host.h"]
    for own in ("emulator/include", "emulator", "cuda"):
        command += ["-isystem", str(root / own)]
    if uses_own_headers(files):
        command += ["-I", str(root / "cuda")]
    else:
        command += ["-DMMB_AS_NVCC"]
    digest = hashlib.sha256(repr((command, HEAP, source, [str(p) for p in runtime])).encode())
    for path, made in sorted(files.items()):
        digest.update(f"{path}\n{made.text}".encode())
    folder = cache.kept(f"programs/{source.stem}-{digest.hexdigest()[:16]}")
    program = Program(source, folder / source.stem, files, options)
    if program.executable.exists():
        cache.used(program.executable)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        compile_program(program, command, options, runtime, flags)
        cache.forget_unused(folder.parents[1])
    return program


def give_first_value(files: dict[Path, Prepared], local: Local, i: int) -> None:
    """float x; becomes float x = ::emulator::Unset{i};

    Raises: BuildError where the name is not declared alone: an array, twice on a line.
    """
    made = files[Path(local.file)]
    lines = made.text.split("\n")
    alone = rf"\b{re.escape(local.name)}(?=\s*[,;])"
    lines[local.line - 1], times = re.subn(
        alone, rf"\g<0> = ::emulator::Unset{{{i}}}", lines[local.line - 1]
    )
    if times != 1:
        raise BuildError(f"{local.file}:{local.line}: {local.name} cannot be given a value")
    made.text = "\n".join(lines)


def list_kernels(made: Prepared, kernels: list[Kernel], instances: tuple[str, ...]) -> None:
    """List the kernels at the end, to be found by name or address."""
    names = [k.name for k in kernels if k.is_defined and k.is_global and k.template is None]
    names = [n for n in names if names.count(n) == 1]  # an overload has no name of its own
    lines = [f'MMB_LIST("{name}", {name})' for name in [*names, *instances]]
    made.text += "\n" + "\n".join(lines) + "\n"


def uses_own_headers(files: dict[Path, Prepared]) -> bool:
    """Whether it is a kernel of tinygrad_mmb: they tell nvcc from g++ by __CUDACC__."""
    own = {"platform.cuh", "reduce.cuh", "storage.cuh", "ptx.cuh", "hopper.cuh"}
    return any(name[1:-1] in own for made in files.values() for _, name in made.includes)


def runtime_objects(flags: list[str]) -> list[Path]:
    """The emulator itself, compiled once per mode."""
    root = compile.sources() / "emulator"
    paths = [*sorted(root.glob("runtime/*.cpp")), *sorted(root.glob("host/*.cpp"))]
    calm = compile.without_instrumentation(flags)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda path: compile.compiled(path, calm, "o"), paths))


def compile_program(
    program: Program, command: list[str], options: Options, runtime: list[Path], flags: list[str]
) -> None:
    """Write the prepared sources beside each other, compile them, and link."""
    folder = program.executable.parent
    with compile.making(folder) as temporary:
        place = Path(temporary)
        main = write_sources(program, options.folders, place)
        object_ = place / "program.o"
        quotes = [f"-iquote{p}" for p in {path.parent for path in program.files}]
        searched = [f"-I{p}" for p in options.folders]
        # debug information names the student's files, not the prepared ones
        real = [
            f"-fdebug-prefix-map={place / str(i)}={path.parent}"
            for i, path in enumerate(program.files)
        ]
        done = subprocess.run(
            [*command, *quotes, *searched, *real, "-x", "c++", "-c", str(main), "-o", str(object_)],
            capture_output=True, text=True, errors="replace",
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        if done.returncode:
            raise BuildError(errors.retold(done.stderr, program))
        program.executable.with_name(WARNINGS).write_text(done.stderr, encoding="utf-8")
        if after := compile.afterwards(flags):
            subprocess.run([*after, str(object_)], check=True)
        if options.mode == "check":
            names = [f"--redefine-sym={old}=mmb_{new}" for old, new in HEAP.items()]
            subprocess.run(["objcopy", *names, str(object_)], check=True)
        linked = [f for f in flags if f.startswith("-fsanitize=address")]
        made = place / "made"
        # the runtime first: of an inline function that both have, as std::string's, the linker
        # keeps the first, and the checker must not meet accesses of its own
        parts = [*map(str, runtime), str(object_)]
        done = subprocess.run(
            [command[0], *linked, *parts, "-ldl", "-lrt", "-lpthread", "-o", str(made)],
            capture_output=True, text=True, errors="replace",
        )  # fmt: skip
        if done.returncode:
            raise BuildError(errors.retold_linking(done.stderr))
        os.replace(made, program.executable)


def write_sources(program: Program, folders: tuple[Path, ...], place: Path) -> Path:
    """The prepared texts, each including the others by their new paths. Gives the main one."""
    names = {path: place / str(i) / path.name for i, path in enumerate(program.files)}
    for path, made in program.files.items():
        lines = made.text.split("\n")
        for number, name in made.includes:
            target = included(name, path, folders)
            if target in names:
                lines[number - 1] = lines[number - 1].replace(name, f'"{names[target]}"')
        text = f'#line 1 "{path}"\n' + "\n".join(lines)
        names[path].parent.mkdir()
        names[path].write_text(text, encoding="utf-8")
    return names[program.source]
