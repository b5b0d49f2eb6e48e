"""The table of wrong kernels in docs/emulator.md is what the checker says of them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.emulator.marked_kernels import MarkedKernel, launch, library_of, marked_kernels

PAGE = Path(__file__).parents[2] / "docs" / "emulator.md"
BEGIN, END = "<!-- buggy kernels: begin -->\n", "<!-- buggy kernels: end -->"


def what_is_wrong(kernel: MarkedKernel) -> str:
    """The head of the file."""
    lines = kernel.path.read_text(encoding="utf-8").split("//\n")[0].splitlines()
    return " ".join(line.removeprefix("//").strip() for line in lines)


def table(folder: Path) -> str:
    kernels = marked_kernels("buggy")
    so = library_of(kernels, folder, "check")
    rows = ["| kernel | what is wrong | what the checker says |", "|---|---|---|"]
    for kernel in kernels:
        said = re.sub(r" \[kernel [^]]*\]", "", launch(so, kernel).message).replace("|", "\\|")
        rows.append(f"| `{kernel.name}` | {what_is_wrong(kernel)} | {said} |")
    return "\n".join(rows) + "\n"


def test_the_table_of_wrong_kernels_holds_the_real_messages(tmp_path):
    """When it fails: python -m tests.emulator.test_documentation writes the table anew."""
    page = PAGE.read_text(encoding="utf-8")
    assert page.partition(BEGIN)[2].partition(END)[0] == table(tmp_path)


def write() -> None:
    import tempfile

    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    with tempfile.TemporaryDirectory() as folder:
        made = head + BEGIN + table(Path(folder)) + END + rest.partition(END)[2]
    PAGE.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    write()
