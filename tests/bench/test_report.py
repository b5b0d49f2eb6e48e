"""What stands above the tables of a summary."""

from __future__ import annotations

from tinygrad_mmb.bench import report


def test_a_busy_machine_is_told():
    machine = {"processor": "P", "threads": 1, "cores": 2}
    content = {"sensors": [{"load": 1.0}, {"load": 9.0}], "kind": "cpu", "ceilings": {}}
    content |= {"seed": 0, "started": "2026-11-26", "machine": machine}
    assert "The machine was busy (load 9 on 2 cores)" in report.heading(content)
    content["sensors"] = [{"load": 1.5}]
    assert "busy" not in report.heading(content)
