"""Tables: screen, CSV, Markdown, LaTeX."""

import csv
import io

from tests.bench.test_results import row
from tinygrad_mmb.bench import tables

FAST = row(variant="cuda", ratio=1.234, ratio_low=1.2, ratio_high=1.3, verdict="faster", gbs=1234.5,
           peer="torch", tflops=0.0123, pct_limit=91.6, iqr=0.01)  # fmt: skip
PEER = row(variant="torch", peer_library=True)
WRONG = row(variant="bad_one", ok=False, ms=None)
CHECKED = row(variant="emulator", ms=None)


def test_a_row_in_words():
    cells = dict(zip(tables.HEADINGS, tables.cells(FAST), strict=True))
    assert cells == {
        "kernel": "Softmax", "variant": "cuda", "shape": "4x4", "dtype": "float32", "ms": "1",
        "IQR": "0.01", "GB/s": "1234", "GFLOP/s": "12.3", "% limit": "92", "ratio": "1.23",
        "interval": "1.20 to 1.30", "fastest peer": "torch", "verdict": "faster",
    }  # fmt: skip


def test_what_was_not_timed_says_why():
    assert tables.cells(WRONG)[-1] == "WRONG"
    assert tables.cells(CHECKED)[-1] == "right, not timed"
    assert tables.cells(PEER)[-1] == "peer"
    few = row(variant="cuda", ratio=1.1, peer="torch")
    assert tables.cells(few)[-3:] == ("n/a", "torch", "too few rounds")


def test_csv_holds_every_field_and_is_read_back():
    (first, second) = csv.DictReader(io.StringIO(tables.as_csv([FAST, WRONG])))
    assert float(first["ratio_high"]) == 1.3
    assert (second["ok"], second["ms"]) == ("False", "")
    assert {"kernel", "iqr", "tol", "met", "note"} <= first.keys()


def test_markdown_has_as_many_cells_in_each_line_and_names_the_device():
    lines = tables.as_markdown([FAST, PEER], "NVIDIA H200").strip().splitlines()
    assert lines[0].startswith("Device: NVIDIA H200")
    body = [line for line in lines if line.startswith("|")]
    assert len(body) == 4
    assert {line.count("|") for line in body} == {len(tables.HEADINGS) + 1}
    assert "a\\|b" in tables.markdown(("x",), [("a|b",)])


def test_latex_escapes_and_has_as_many_columns_as_it_says():
    text = tables.as_latex([FAST, WRONG], "NVIDIA H200")
    spec = text.split(r"\begin{tabular}{")[1].split("}")[0]
    assert len(spec) == len(tables.HEADINGS)
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 3
    assert {line.count("&") for line in rows} == {len(tables.HEADINGS) - 1}
    assert r"bad\_one" in text
    assert r"\% limit" in text
    assert tables.latex("50% {a_b} \\ ~^") == (
        r"50\% \{a\_b\} \textbackslash{} \textasciitilde{}\textasciicircum{}"
    )


def test_columns_of_numbers_are_to_the_right():
    text = tables.plain(("name", "ms"), [("a", "1"), ("long name", "12.5")])
    assert text.splitlines() == ["name         ms", "---------------", "a             1",
                                 "long name  12.5"]  # fmt: skip


def test_without_a_gpu_its_columns_read_not_available():
    entry = {
        "kernel": "Softmax", "shape": "4x4", "numpy_ms": 1.0, "cpu_ms": 0.5, "cpu_backend": "cpu",
        "to_gpu_ms": None, "gpu_ms": None, "from_gpu_ms": None, "speedup": None,
        "speedup_with_transfer": None,
    }  # fmt: skip
    headings, rows = tables.comparison_table([entry])
    cells = dict(zip(headings, rows[0], strict=True))
    assert cells["GPU ms"] == cells["to GPU ms"] == cells["with transfers"] == "n/a"
    assert cells["best CPU ms"] == "0.5"
