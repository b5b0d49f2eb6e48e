"""The results file: its schema, and that it is valid whenever the run stops."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from tinygrad_mmb.bench import results
from tinygrad_mmb.bench.results import InvalidResults, Results, Row, plain

HEADER = {
    "device": "cpu-emulated", "kind": "cpu", "started": "2026-11-26T12:00:00+00:00", "seed": 0,
    "machine": {"processor": "P", "threads": 1}, "ceilings": {}, "options": {},
}  # fmt: skip


def row(**changes):
    given = {"kernel": "Softmax", "variant": "numpy", "backend": "reference", "shape": "4x4",
             "dtype": "float32", "ok": True, "ms": 1.0, "rounds": 20}  # fmt: skip
    return Row(**(given | changes))


def test_what_was_written_is_read_again(tmp_path):
    file = Results(tmp_path / "results.json", HEADER)
    mine = row(ratio=1.2, ratio_low=1.1, ratio_high=1.3, peers={"torch": {"ms": 1.2}}, met=True)
    file.add(mine, row(ok=False, ms=None, note="at [0, 0] nan came, but 0 was expected"))
    file.note(finished=True, profile=[{"line": 3}])
    content = results.read(tmp_path / "results.json")
    assert content["rows"] == file.rows
    assert content["finished"] is True
    assert content["profile"] == [{"line": 3}]


def test_the_rows_have_the_fields_that_readers_count_on(tmp_path):
    file = Results(tmp_path / "r.json", HEADER)
    file.add(row())
    (found,) = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["rows"]
    asked = "kernel variant backend shape dtype ms iqr tflops gbs pct_limit peer peer_ms ratio "
    asked += "ratio_low ratio_high verdict max_err tol ok goal met"
    assert set(asked.split()) <= found.keys()


def test_the_file_is_valid_after_every_row(tmp_path):
    file = Results(tmp_path / "r.json", HEADER)
    for n in range(1, 4):
        file.add(row(shape=f"{n}x{n}"))
        content = results.read(tmp_path / "r.json")
        assert [r.shape for r in content["rows"]] == [f"{i}x{i}" for i in range(1, n + 1)]
        assert content["finished"] is False


def test_numbers_that_json_lacks_become_null_and_numpy_scalars_plain():
    found = plain({"a": float("nan"), "b": [np.float32(0.5), np.int64(3)], 4: (float("inf"),)})
    assert found == {"a": None, "b": [0.5, 3], "4": [None]}
    json.dumps(found, allow_nan=False)


WRITER = """
    import sys
    from pathlib import Path
    from tests.bench.test_results import HEADER, row
    from tinygrad_mmb.bench.results import Results
    file = Results(Path(sys.argv[1]), HEADER)
    for n in range(100_000):
        file.add(row(shape=str(n)))
        print(n, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_run_that_is_killed_leaves_a_valid_file_with_the_rows_before(tmp_path):
    path = tmp_path / "results.json"
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path)]
    for wait in (0.0, 0.013, 0.029):
        child = subprocess.Popen(command, stdout=subprocess.PIPE)
        for _ in range(20):
            child.stdout.readline()
        time.sleep(wait)  # so that it is killed at different places of a write
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        content = results.read(path)
        assert len(content["rows"]) >= 20
        assert content["finished"] is False


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(schema=0), "schema is 0, but this version reads 1"),
        (lambda c: c.pop("device"), "device should be of type str, but is None"),
        (lambda c: c["rows"][0].pop("ms"), "row 0 has not exactly the fields of a row"),
        (lambda c: c["rows"][0].update(more=1), "row 0 has not exactly the fields of a row"),
        (lambda c: c["rows"][0].update(ms="1"), "row 0: ms is '1'"),
        (lambda c: c["rows"][0].update(rounds=True), "row 0: rounds is True"),
        (lambda c: c["rows"][0].update(ok=False), "row 0 is not ok, but has a time"),
    ],
)
def test_a_file_that_does_not_fit_the_schema_is_refused_with_the_place(tmp_path, change, message):
    path = tmp_path / "r.json"
    Results(path, HEADER).add(row())
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InvalidResults) as refused:
        results.read(path)
    assert message in str(refused.value)
    assert str(path) in str(refused.value)


def test_no_file_and_no_json_are_told_apart(tmp_path):
    with pytest.raises(InvalidResults, match="No such file"):
        results.read(tmp_path / "absent.json")
    (tmp_path / "r.json").write_text("{", encoding="utf-8")
    with pytest.raises(InvalidResults, match="no JSON"):
        results.read(tmp_path / "r.json")
    (tmp_path / "r.json").write_text("[]", encoding="utf-8")
    with pytest.raises(InvalidResults, match="expected an object"):
        results.read(tmp_path / "r.json")
