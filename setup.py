"""What pyproject.toml cannot say: optional compiled extensions, and data that the wheel carries.

Every folder csrc/<name>/ with C++ sources becomes the extension tinygrad_mmb._<name>, built with
pybind11. Without a compiler the installation succeeds without it. MMB_BUILD=cpu,emulator makes the
named ones mandatory, MMB_BUILD=none builds none.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SOURCES = Path("csrc")  # setuptools wants paths relative to this file
CARRIED = ("csrc", "examples", "benchmarks")  # into the wheel, as tinygrad_mmb/share/<folder>


def asked() -> set[str]:
    """The names in MMB_BUILD, which must be built."""
    return {name.strip() for name in os.environ.get("MMB_BUILD", "").split(",") if name.strip()}


def found() -> dict[str, list[str]]:
    """C++ sources of each extension: {"cpu": ["csrc/cpu/adam.cpp", ...]}."""
    folders = sorted((ROOT / SOURCES).glob("*/"))
    sources = {f.name: sorted(f.rglob("*.cpp")) for f in folders}
    return {k: [p.relative_to(ROOT).as_posix() for p in v] for k, v in sources.items() if v}


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
    return [
        Extension(
            f"tinygrad_mmb._{name}",
            files,
            include_dirs=[pybind11.get_include(), str(SOURCES), str(SOURCES / name)],
            language="c++",
            optional=name not in wanted,
        )
        for name, files in sources.items()
    ]


class BuildExtensions(build_ext):  # type: ignore[misc]  # setuptools is untyped
    """C++17, optimised, symbols hidden; a mandatory extension that fails says why it was
    mandatory.
    """

    def build_extension(self, ext: Extension) -> None:
        if self.compiler.compiler_type == "msvc":
            ext.extra_compile_args = ["/std:c++17", "/O2", "/EHsc", "/utf-8"]
        else:
            ext.extra_compile_args = ["-std=c++17", "-O3", "-fvisibility=hidden"]
        try:
            super().build_extension(ext)
        except Exception as error:
            if ext.optional:
                raise  # setuptools warns and goes on
            raise SystemExit(
                f"MMB_BUILD asks for {ext.name}, but it could not be built: {error}. Install a "
                "C++17 compiler, or take the name out of MMB_BUILD."
            ) from error


class BuildPackage(build_py):  # type: ignore[misc]
    """The Python files, and beside them what a reader wants at hand after `pip install`."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for folder in CARRIED:
            if (ROOT / folder).is_dir():
                target = Path(self.build_lib) / "tinygrad_mmb" / "share" / folder
                shutil.rmtree(target, ignore_errors=True)
                ignored = shutil.ignore_patterns("__pycache__", "*.py[co]", "results")
                shutil.copytree(ROOT / folder, target, ignore=ignored)


options: dict[str, Any] = {"build_ext": BuildExtensions, "build_py": BuildPackage}
setup(ext_modules=extensions(), cmdclass=options)
