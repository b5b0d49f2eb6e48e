"""Bank conflicts and sectors by source line, against what can be counted by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_mmb.kernels.launch import compile
from tinygrad_mmb.kernels.launch.emulated import Library, emulator, library, load
from tinygrad_mmb.kernels.launch.tensor_map import tensor_map

FILE = Path(__file__).with_name("profiled.cu")


@pytest.fixture(scope="module")
def checked() -> Library:
    so = load(compile.library(str(FILE), "check"), "check")
    so.option("profile", 1)
    return so


def aligned(count: int) -> np.ndarray:
    """Floats that begin with a sector of 32 bytes."""
    room = np.zeros(count + 8, np.float32)
    return room[-room.ctypes.data % 32 // 4 :][:count]


def lines_of(so: Library, name: str, block: tuple[int, ...], *arguments: Any) -> list[Any]:
    so.launch(name, (1,), block, arguments, 0)
    return so.profile()


def entry(lines: list[Any], kernel: str, mark: str, space: str) -> dict[str, Any]:
    """The line of this kernel that has this comment."""
    text = FILE.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(text) if f"void {kernel}(" in line)
    number = next(i for i in range(start, len(text)) if f"// {mark}" in text[i]) + 1
    (found,) = [e for e in lines if e["line"] == number and e["space"] == space]
    return found


@pytest.mark.parametrize(
    "kernel, times_ideal", [("columns_of_a_tile", 32), ("columns_of_a_padded_tile", 1)]
)
def test_reading_columns_of_a_tile_conflicts_32_times_unless_it_is_padded(
    checked, kernel, times_ideal
):
    lines = lines_of(checked, kernel, (32, 32), aligned(1024), aligned(1024))
    columns, rows = (entry(lines, kernel, mark, "shared") for mark in ("columns", "rows"))
    assert (columns["requests"], columns["times_ideal"]) == (32, times_ideal)
    assert (rows["requests"], rows["times_ideal"]) == (32, 1)
    assert columns["bytes"] == 4096


@pytest.mark.parametrize("stride, sectors", [(1, 4), (2, 8), (8, 32), (32, 32)])
def test_a_strided_read_takes_a_sector_for_each_eight_floats_of_its_span(checked, stride, sectors):
    lines = lines_of(checked, "strided", (32,), aligned(32), aligned(1024), np.int32(stride))
    read, write = (entry(lines, "strided", m, "global") for m in ("strided", "coalesced"))
    assert read["sectors_per_request"] == sectors
    assert read["times_ideal"] == sectors / 4
    assert (write["sectors_per_request"], write["times_ideal"]) == (4, 1)


def test_a_row_between_two_sectors_takes_one_more(checked):
    lines = lines_of(checked, "strided", (32,), aligned(32), aligned(1024)[3:], np.int32(1))
    assert entry(lines, "strided", "strided", "global")["sectors_per_request"] == 5


def test_one_element_for_all_lanes_is_one_sector(checked):
    lines = lines_of(checked, "one_element_for_all", (64,), aligned(64), aligned(1))
    (read,) = [e for e in lines if e["space"] == "global" and e["bytes"] == 4 * 128]
    assert read["requests"] == 4  # two warps: one read and one write each, on one line
    assert read["sectors"] == 2 * (1 + 4)


def test_packs_of_16_bytes_go_eight_lanes_at_a_time_without_conflict(checked):
    lines = lines_of(checked, "packs", (32,), aligned(128), aligned(128))
    shared = entry(lines, "packs", "packs", "shared")
    assert (shared["requests"], shared["passes"], shared["times_ideal"]) == (1, 4, 1)
    assert entry(lines, "packs", "packs", "global")["sectors_per_request"] == 16


def test_lanes_that_take_no_part_are_seen(checked):
    lines = lines_of(checked, "half_of_the_warp", (32,), aligned(32), aligned(32))
    read = entry(lines, "half_of_the_warp", "every second", "global")
    assert (read["lanes_per_request"], read["sectors_per_request"]) == (16, 4)
    assert read["times_ideal"] == 2


@pytest.mark.parametrize(
    "col, row, count, sectors, ideal",
    [
        (0, 0, 8 * 128, 8 * 4, 8 * 4),  # 8 rows of 128 bytes, each 4 sectors
        (0, 5, 3 * 128, 3 * 4, 3 * 4),  # 3 of them lie in the matrix of 8 rows
        (20, 0, 8 * 80, 8 * 3, 8 * 80 // 32),  # from 80 bytes on, the middle of a sector, 80 bytes
    ],
)
def test_a_box_of_tma_takes_the_sectors_of_its_rows_in_one_request(
    checked, col, row, count, sectors, ideal
):
    x = aligned(8 * 40).reshape(8, 40)
    arguments = aligned(32), tensor_map(x, 8, 32), np.int32(col), np.int32(row)
    checked.launch("boxes", (1,), (32,), arguments, 1032)
    box = entry(checked.profile(), "boxes", "box", "global")
    assert (box["requests"], box["bytes"]) == (1, count)
    assert (box["sectors"], box["ideal"]) == (sectors, ideal)


def test_profiles_of_launches_are_kept_by_the_context():
    with emulator("check", profile=True) as run:
        run.launch(str(FILE), "packs", (1,), (32,), (aligned(128), aligned(128)), 0)
    (profile,) = run.profiles
    assert profile["kernel"] == "packs"
    assert {e["space"] for e in profile["lines"]} == {"shared", "global"}
    assert library(str(FILE), "check").profile() == profile["lines"]
    with pytest.raises(ValueError, match='profile need mode "check"'), emulator(profile=True):
        pass
