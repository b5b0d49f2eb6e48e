"""What pyproject.toml cannot say: optional compiled extensions, and data that the wheel carries.

    _cpu         C++ twins of ops, csrc/cpu, once for every set of instructions in VARIANTS
    _cuda        the kernels csrc/cuda/kernels/**/*.cu compiled by nvcc, for the architectures in
                 MMB_CUDA_ARCHS ("75,80,90a"); unset: those of the GPUs here, else ARCHITECTURES
    _emulator    the same files compiled as C++, and the emulator's runtime; only if named

Without nvcc or a compiler the installation succeeds without them. MMB_BUILD=cpu,emulator makes the
named ones mandatory, MMB_BUILD=none builds none, MMB_CUDA_ARCHS=none no _cuda. What each costs:
csrc/README.md.
"""

from __future__ import annotations

import logging
import os
import platform
import runpy
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SOURCES = Path("csrc")  # setuptools wants paths relative to this file
CARRIED = ("csrc", "examples", "benchmarks", "docs")  # into the wheel, as tinygrad_mmb/share/...
BINDINGS = SOURCES / "cuda" / "bindings.cpp"
# sm_80 runs on 8.6 and 8.9 too; what is newer than all of these gets PTX
ARCHITECTURES = ("75", "80", "90a")
SECONDS_FOR_A_FILE = 2.2  # of nvcc, for one architecture; csrc/README.md has the measurement
OBJECTS = runpy.run_path(str(ROOT / "tools" / "compile_objects.py"))
# -ffp-contract=off: the same result on every machine (MODES["fast"] in kernels/launch/compile.py)
EMULATOR_FLAGS = ["-O3", "-g1", "-ffp-contract=off"]
CUDA_FLAGS = ["-O3", "-Xcompiler", "-fPIC,-fvisibility=hidden"]
# -fno-math-errno, -fno-trapping-math: roots and comparisons become vector instructions
CPU_FLAGS = ["-O3", "-g0", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"]
VARIANTS = {  # modules of the extension "cpu", and what each may ask of a processor
    "cpu": [],
    "cpu_avx2": ["-mavx2", "-mfma", "-mf16c"],
    "cpu_avx512": [
        *("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mf16c"),
        "-mprefer-vector-width=512",
    ],
}

FOR_ANY_PROCESSOR = ("python", "engine")  # folders of csrc/cpu without vector types


def asked() -> set[str]:
    """The names in MMB_BUILD, which must be built."""
    return {name.strip() for name in os.environ.get("MMB_BUILD", "").split(",") if name.strip()}


def found() -> dict[str, list[str]]:
    """C++ sources of each extension: {"cpu": ["csrc/cpu/pool.cpp", ...]}."""
    folders = sorted((ROOT / SOURCES).glob("*/"))
    sources = {f.name: sorted(f.rglob("*.cpp")) for f in folders}
    names = {k: [p.relative_to(ROOT).as_posix() for p in v] for k, v in sources.items() if v}
    if "emulator" in names:  # its other sources are for programs with a main()
        runtime = [p for p in names["emulator"] if "/runtime/" in p]
        names["emulator"] = [*runtime, BINDINGS.as_posix()]
    return names


def backend(module: str, function: str) -> Any:
    """A function of tinygrad_mmb/backend, which cannot be imported before NumPy is installed."""
    return runpy.run_path(str(ROOT / "tinygrad_mmb" / "backend" / f"{module}.py"))[function]


def toolkit(compiler: str) -> Path:
    """The folder of CUDA that this nvcc uses; on PATH it may be a script that starts another."""
    command = [compiler, "--dryrun", "-c", "-x", "cu", os.devnull]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in answer.stderr.splitlines():
        if line.startswith("#$ TOP="):
            return Path(line.removeprefix("#$ TOP=").strip())
    raise RuntimeError(f"{compiler} --dryrun does not say where CUDA is:\n{answer.stderr}")


def architectures(compiler: str) -> list[str]:
    """Those that _cuda is compiled for. Raises: RuntimeError if there is none."""
    if named := os.environ.get("MMB_CUDA_ARCHS", "").replace(",", " ").split():
        if named == ["none"]:
            raise RuntimeError("MMB_CUDA_ARCHS=none, so its kernels are compiled when they run")
        return named
    # 90a, 100a: the tensor cores' instructions of these architectures exist under that name only
    wanted = [f"{a}a" if a >= 90 else str(a) for a in gpus()] or list(ARCHITECTURES)
    command = [compiler, "--list-gpu-arch"]
    known = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    taken = [a for a in wanted if f"compute_{a.rstrip('a')}" in known]
    if not taken:
        raise RuntimeError(f"{compiler} compiles for none of {', '.join(wanted)}")
    return taken


def gpus() -> list[int]:
    """The compute capabilities of the GPUs here: [75]."""
    driver = backend("driver", "driver")()
    return sorted({int(gpu.capability) for gpu in driver.gpus}) if driver else []


def extensions() -> list[Extension]:
    """One Extension for each folder of C++ sources; those named in MMB_BUILD may not fail."""
    wanted, sources = asked(), found()
    if wanted == {"none"}:
        return []
    unknown = sorted(wanted - sources.keys())
    if unknown:
        raise SystemExit(
            f"MMB_BUILD names {', '.join(unknown)}, but csrc has no folder of that name with C++ "
            f"sources. There are: {', '.join(sources) or 'none'}. Leave MMB_BUILD empty to build "
            "what can be built."
        )
    try:
        import pybind11
    except ImportError:
        if wanted:
            raise SystemExit(
                f"MMB_BUILD={','.join(sorted(wanted))} needs pybind11: pip install 'pybind11>=2.13'"
            ) from None
        return []
    for name in (sources.keys() & UNASKED) - wanted:
        del sources[name]
    return [
        Extension(
            f"tinygrad_mmb._{module}",
            files,
            include_dirs=[pybind11.get_include(), str(SOURCES), str(SOURCES / name)],
            language="c++",
            optional=name not in wanted,
        )
        for name, files in sources.items()
        for module in modules(name)
    ]


def modules(name: str) -> list[str]:
    """What the extension is compiled into: _cpu comes in one module per set of instructions."""
    if name != "cpu":
        return [name]
    intel = platform.machine().lower() in ("x86_64", "amd64")
    return list(VARIANTS) if intel else ["cpu"]


UNASKED = {"emulator"}  # built only if named in MMB_BUILD


class BuildExtensions(build_ext):  # type: ignore[misc]  # setuptools is untyped
    """C++17, optimised, symbols hidden; a mandatory extension that fails says why it was
    mandatory, an optional one leaves its reason for `mmb doctor`.
    """

    def build_extension(self, ext: Extension) -> None:
        name = ext.name.rpartition("._")[2]
        if name == "cuda" and self.editable_mode and ext.optional:
            return self.leave_reason(name, "whoever edits the kernels compiles them at first use")
        try:
            if self.compiler.compiler_type == "msvc":
                ext.extra_compile_args = ["/std:c++17", "/O2", "/EHsc", "/utf-8"]
            else:
                ext.extra_compile_args = ["-std=c++17", "-O3", "-fvisibility=hidden"]
            self.force = True  # setuptools does not see headers and kernels change
            if name in VARIANTS:
                self.add_cpu(ext, name)
            elif name == "cuda":
                self.add_cuda(ext)
            elif name == "emulator":
                self.add_emulator(ext)
            super().build_extension(ext)
        except Exception as error:
            if ext.optional:
                self.warn(f"{ext.name} was not built: {error}")
                self.leave_reason(name, str(error))
                return
            raise SystemExit(
                f"MMB_BUILD asks for {ext.name}, but it could not be built: {error}. It needs "
                f"{'nvcc and ' * (name == 'cuda')}a C++17 compiler; or take the name out of "
                "MMB_BUILD."
            ) from error
        self.reason_file(name).unlink(missing_ok=True)

    def finalize_options(self) -> None:
        super().finalize_options()
        self.in_place = bool(self.inplace)  # setuptools resets it while it builds

    def objects_folder(self) -> Path:
        """Beside the folder of this Python's build, so that a second build finds them."""
        return ROOT / "build" / "objects"

    def add_digest(self, ext: Extension, name: str) -> None:
        """Of the sources, before they are compiled: whoever edits them meanwhile gets a module that
        is not used.
        """
        digest = backend("extension", "digest")(name, ROOT / SOURCES)
        ext.define_macros.append(("MMB_SOURCES", digest))

    def add_cpu(self, ext: Extension, module: str) -> None:
        """One variant of the C++ twins; it is linked from objects that are kept. What lies between
        Python and the kernels has no vector types and is compiled once, for any processor.
        """
        if self.compiler.compiler_type == "msvc":
            raise RuntimeError("MSVC has no vector types; g++ and clang have")
        self.add_digest(ext, "cpu")
        flags = [*CPU_FLAGS, *VARIANTS[module]]
        main = f"{SOURCES.as_posix()}/cpu/variant.cpp"
        others = [ROOT / path for path in ext.sources if path != main]
        common = [path for path in others if path.parent.name in FOR_ANY_PROCESSOR]
        special = [path for path in others if path not in common]
        ext.sources = [main]
        for folder, files in (("cpu", common), (module, special)):
            compiler = [os.environ.get("CXX") or "c++", "-fPIC", "-fvisibility=hidden"]
            command = [*compiler, *CPU_FLAGS, *VARIANTS[folder]]
            command += [f"-I{sysconfig.get_path('include')}"]
            include = [Path(path) for path in ext.include_dirs]
            objects = OBJECTS["Objects"](command, include, self.objects_folder() / folder)
            ext.extra_objects += objects.objects(files)
        ext.extra_compile_args += flags
        ext.define_macros.append(("MMB_ISA", module[4:] or "generic"))
        ext.libraries += ["pthread"]

    def add_emulator(self, ext: Extension) -> None:
        """The kernels as C++, and the headers that stand in for NVIDIA's."""
        self.add_digest(ext, "emulator")
        include = [SOURCES / "cuda", SOURCES / "emulator", SOURCES / "emulator" / "include"]
        compiler = [os.environ.get("CXX") or "c++", "-fPIC", "-fvisibility=hidden"]
        compiler += [*EMULATOR_FLAGS, "-x", "c++"]
        kernels = OBJECTS["Kernels"](compiler, include, self.objects_folder() / "emulator")
        ext.extra_objects = kernels.all()
        ext.include_dirs += [str(path) for path in include]
        ext.extra_compile_args += EMULATOR_FLAGS
        ext.define_macros.append(("MMB_MODULE", "_emulator"))
        ext.libraries += ["dl"]

    def add_cuda(self, ext: Extension) -> None:
        """The kernels by nvcc for every architecture, and CUDA's runtime linked in: the module
        then loads on a machine without a driver too.
        """
        compiler = backend("extension", "nvcc")()
        if compiler is None:
            raise RuntimeError("there is no nvcc: $NVCC, PATH and $CUDA_HOME lead to none")
        named = architectures(compiler)
        self.add_digest(ext, "cuda")
        command = [compiler, *CUDA_FLAGS, "-ccbin", os.environ.get("CXX") or "c++"]
        for a in named:
            command += ["-gencode", f"arch=compute_{a},code=sm_{a}"]
        if general := [a for a in named if a.isdigit()]:  # for GPUs newer than all of these
            newest = max(general, key=int)
            command += ["-gencode", f"arch=compute_{newest},code=compute_{newest}"]
        include = [SOURCES / "cuda"]
        kernels = OBJECTS["Kernels"](command, include, self.objects_folder() / "cuda")
        self.tell(len(kernels.files()), named)
        ext.extra_objects = kernels.all()
        home = toolkit(compiler)
        ext.include_dirs += [str(SOURCES / "cuda"), str(home / "include")]
        ext.library_dirs += [str(home / "lib64"), str(home / "lib" / "x64"), str(home / "lib")]
        ext.libraries += ["cudart_static", *(["dl", "rt", "pthread"] * (os.name != "nt"))]
        ext.define_macros += [
            ("MMB_MODULE", "_cuda"),
            ("MMB_CUDA", "1"),
            ("MMB_ARCHITECTURES", ".".join(named)),
        ]

    def tell(self, files: int, architectures: list[str]) -> None:
        """What takes so long, and how to do without; pip shows it with -v."""
        names, cores = ", ".join(f"sm_{a}" for a in architectures), OBJECTS["processors"]()
        minutes = files * len(architectures) * SECONDS_FOR_A_FILE / cores / 60
        self.announce(
            f"_cuda: nvcc compiles {files} files for {names}: about {max(1, round(minutes))} min "
            f"with {cores} processors, less after an earlier build. MMB_CUDA_ARCHS=90a (or another)"
            " compiles for one GPU only; MMB_CUDA_ARCHS=none leaves _cuda out, and a GPU's kernels "
            "are compiled when they first run.",
            level=logging.WARN,
        )

    def reason_file(self, name: str) -> Path:
        """Where the package keeps why this extension is not there."""
        in_place = self.in_place or self.editable_mode
        package = ROOT if in_place else Path(self.build_lib)
        return package / "tinygrad_mmb" / f"_{name}.not_built.txt"

    def leave_reason(self, name: str, reason: str) -> None:
        file = self.reason_file(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        first = reason.strip().splitlines()[0] if reason.strip() else "no reason given"
        file.write_text(first + "\n", encoding="utf-8")


class BuildPackage(build_py):  # type: ignore[misc]
    """The Python files, and beside them what a reader wants at hand after `pip install`."""

    def run(self) -> None:
        super().run()
        for name in (*VARIANTS, "cuda", "emulator"):  # build/ may hold those of an earlier build
            for leftover in (Path(self.build_lib) / "tinygrad_mmb").glob(f"_{name}.*"):
                leftover.unlink()
        if self.editable_mode:
            return
        for folder in CARRIED:
            if (ROOT / folder).is_dir():
                target = Path(self.build_lib) / "tinygrad_mmb" / "share" / folder
                shutil.rmtree(target, ignore_errors=True)
                ignored = shutil.ignore_patterns("__pycache__", "*.py[co]", "results")
                shutil.copytree(ROOT / folder, target, ignore=ignored)
        compared = ROOT / "tests" / "gpu" / "conformance.json"  # `mmb doctor` tells of it
        if compared.is_file():
            shutil.copy(compared, Path(self.build_lib) / "tinygrad_mmb" / "share")


options: dict[str, Any] = {"build_ext": BuildExtensions, "build_py": BuildPackage}
setup(ext_modules=extensions(), cmdclass=options)
