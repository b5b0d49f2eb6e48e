"""docs/benchmarks.md says what there is."""

import re
from pathlib import Path

import pytest

from tinygrad_mmb.bench.contracts import CONTRACTS
from tinygrad_mmb.bench.results import Row
from tinygrad_mmb.cli.bench import bench

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="only in a checkout")


@pytest.fixture(scope="module")
def text():
    return PAGE.read_text(encoding="utf-8")


def test_every_option_is_explained(text):
    for parameter in bench.params:
        assert f"`{parameter.opts[0]}" in text, parameter.opts[0]


def test_every_contract_stands_in_the_table_with_its_grid(text):
    rows = [line for line in text.splitlines() if line.startswith("| `") and "float*" in line]
    for name, contract in CONTRACTS.items():
        (row,) = [r for r in rows if f"`{name}`" in r.split("|")[1]]
        assert f"`{contract.parameters}`" in row
        assert f"`{contract.grid}`; `{contract.block}`" in row


def test_every_field_of_a_row_is_explained(text):
    for name in Row.__dataclass_fields__:
        if name != "peer_library":
            assert f"`{name}`" in text, name


def test_the_program_on_the_page_runs(text, capsys):
    (program,) = re.findall(r"```python\n(import tinygrad_mmb.*?)```", text, re.DOTALL)
    exec(compile(program, str(PAGE), "exec"), {})
    printed = capsys.readouterr().out
    assert "optimizer state" in printed
    total, largest = map(int, printed.split()[-2:])
    assert total < 2 * 1024**3 < 8e3 * largest
