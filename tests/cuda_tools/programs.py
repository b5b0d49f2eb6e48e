"""The programs of the tests: the examples, those that are odd but right, and the wrong ones."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
EXAMPLES = sorted((HERE.parents[1] / "examples" / "cuda").glob("*.cu"))
RIGHT = sorted((HERE / "right").glob("*.cu"))  # what a checker might stumble over
WRONG = sorted((HERE / "wrong").glob("*.cu"))
can_compile = pytest.mark.skipif(
    sys.platform != "linux" or not (shutil.which("g++") or shutil.which("clang++")),
    reason="the emulator needs Linux and a C++ compiler",
)


def expected(path: Path) -> tuple[str, int]:
    """The kind of the mistake, and its line: the one that says HERE."""
    text = path.read_text(encoding="utf-8")
    kind = re.match(r"// expected: (\S+)", text)[1]
    return kind, next(i for i, line in enumerate(text.split("\n"), 1) if "// HERE" in line)


def some(paths: list[Path], quick: set[str]) -> list:
    """All of them as parameters; those that are not quick are marked slow."""
    return [
        pytest.param(p, id=p.stem, marks=[] if p.stem in quick else [pytest.mark.slow])
        for p in paths
    ]
