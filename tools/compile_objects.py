"""Object files of C++ and CUDA sources, for the extensions that setup.py links.

setup.py runs this file: it needs the standard library only.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KERNELS = ROOT / "csrc" / "cuda" / "kernels"
INCLUDED = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]', re.MULTILINE)


def processors() -> int:
    """How many of them this process may use: on a shared machine not all that there are."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


class Objects:
    """C++ files, compiled in parallel; an object is kept until what it is made of changes."""

    def __init__(self, compiler: list[str], include: list[Path], folder: Path) -> None:
        self.compiler = [*compiler, "-std=c++17"]
        self.folder = folder
        self.include = [ROOT / path for path in include]

    def digest(self, source: Path) -> bytes:
        """Of the compiler with its flags, a file and all that it includes from `include` or beside
        it, whatever an #if leaves out. The system's headers do not count, nor where the others lie:
        pip puts pybind11 into another folder each time.
        """
        files = [source.resolve()]
        for file in files:  # which grows
            for name in INCLUDED.findall(file.read_text(encoding="utf-8")):
                found = (folder / name for folder in (file.parent, *self.include))
                header = next(filter(Path.is_file, found), None)
                if header is not None and header.resolve() not in files:
                    files.append(header.resolve())
        read = [path.read_bytes() for path in files]
        return hashlib.sha256(b"\0".join([repr(self.compiler).encode(), *read])).digest()

    def objects(self, files: list[Path]) -> list[str]:
        """The object file of each."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(processors()) as threads:
            made = [threads.submit(self.compiled, file) for file in files]
            try:
                return [str(job.result()) for job in made]
            except BaseException:
                threads.shutdown(cancel_futures=True)  # one is missing: the others are of no use
                raise

    def compiled(self, source: Path) -> Path:
        """The object of one file, made unless it is there."""
        return self.made(source.stem, self.digest(source).hex(), source)

    def made(self, name: str, digest: str, source: Path, *flags: str) -> Path:
        """<name>-<digest>.o, compiled from `source` unless it is there."""
        target = self.folder / f"{name}-{digest[:16]}.o"
        if target.exists():
            return target
        part = target.with_suffix(".part")
        include = [f"-I{path}" for path in self.include]
        command = [*self.compiler, *include, *flags, "-c", str(source), "-o", str(part)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{source.name} does not compile:\n{done.stderr}")
        part.replace(target)  # an interrupted compiler leaves no half object under the name
        return target


class Kernels(Objects):
    """The CUDA kernels' objects.

    Names of templates would be merged across files by the linker, and one file's kernel would
    silently run instead of another's. So each file is compiled in a namespace of its own.
    """

    def files(self) -> list[Path]:
        """All files of kernels, the largest first: the last to end should be a short one."""
        files = KERNELS.rglob("*.cu")
        return sorted(files, key=lambda file: (-file.stat().st_size, file))

    def all(self) -> list[str]:
        """The object files of all kernels."""
        return self.objects(self.files())

    def compiled(self, source: Path) -> Path:
        name = source.relative_to(KERNELS).with_suffix("")
        unit = "_".join(name.parts)
        text = source.read_text(encoding="utf-8")
        includes = [line for line in text.splitlines() if line.startswith("#include")]
        wrapped = [*includes, f"namespace file_{unit} {{", f'#include "{source}"', "}", ""]
        digest = hashlib.sha256(repr(wrapped).encode() + self.digest(source))
        wrapper = self.folder / f"{unit}.cu"
        wrapper.write_text("\n".join(wrapped), encoding="utf-8")
        return self.made(unit, digest.hexdigest(), wrapper, f"-I{source.parent}")
