"""Where `mmb bench` puts its results."""

from __future__ import annotations

import pytest

from tinygrad_mmb.bench.options import BenchError
from tinygrad_mmb.cli.bench_results import folder_at


def test_runs_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [folder_at(None).name for _ in range(2)] == ["bench-001", "bench-002"]


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    (tmp_path / "kept.txt").write_text("", encoding="utf-8")
    with pytest.raises(BenchError, match="there is something already"):
        folder_at(str(tmp_path))


def test_a_file_in_the_way_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").write_text("", encoding="utf-8")
    with pytest.raises(BenchError, match="bench-001: cannot make this folder"):
        folder_at(None)
