"""The cache of compiled kernels forgets what is unused or too much, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cuda_tools.programs import can_compile
from tinygrad_mmb.kernels.launch import cache, compile

NOW = 1_800_000_000.0
DAY = 86400.0
HASH = "0123456789abcdef"


def put(path: Path, size: int, days: float) -> Path:
    """A file of this size that was used so many days before NOW."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (NOW - days * DAY, NOW - days * DAY))
    return path


def left(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_what_nobody_has_used_for_long_is_deleted_wherever_it_lies(tmp_path):
    for days, name in [(59, "new"), (61, "old")]:
        put(tmp_path / f"{name}-{HASH}.so", 10, days)
        put(tmp_path / f"{name}-{HASH}.cubin", 10, days)
        put(tmp_path / "programs" / f"{name}-{HASH}" / name, 10, days)
        put(tmp_path / "programs" / f"{name}-{HASH}" / "warnings.txt", 10, 100)
        put(tmp_path / "added" / f"{name}-{HASH}.cu", 10, days)
        put(tmp_path / f"making-{name}" / "part.o", 10, days)
    cache.forget_unused(tmp_path, NOW)
    assert left(tmp_path) == {
        f"new-{HASH}.so", f"new-{HASH}.cubin", f"programs/new-{HASH}/new",
        f"programs/new-{HASH}/warnings.txt", f"added/new-{HASH}.cu", "making-new/part.o",
    }  # fmt: skip
    assert not (tmp_path / "programs" / f"old-{HASH}").exists()


def test_above_the_cap_the_least_recently_used_go_first_and_no_more_than_needed(tmp_path):
    for age in range(1, 6):
        put(tmp_path / f"library{age}-{HASH}.so", 1000, age)
    program = put(tmp_path / "programs" / f"mine-{HASH}" / "mine", 2500, 3.5)
    folder_itself = program.parent.stat().st_size
    # 7500 bytes and the folder: those of 5, 4 and 3.5 days go, 3000 stay
    cache.forget_unused(tmp_path, NOW, most=3000 + folder_itself)
    assert left(tmp_path) == {f"library{age}-{HASH}.so" for age in (1, 2, 3)}


def test_what_is_in_use_stays_even_above_the_cap(tmp_path):
    put(tmp_path / f"now-{HASH}.o", 1000, days=0.9 / 24)
    put(tmp_path / f"before-{HASH}.o", 1000, days=1.1 / 24)
    cache.forget_unused(tmp_path, NOW, most=10)
    assert left(tmp_path) == {f"now-{HASH}.o"}


def test_files_of_others_stay(tmp_path):
    names = ["thesis.o", f"notes-{HASH}.txt", "programs/list.txt", f"added/mine-{HASH}.cu.bak"]
    for name in names:
        put(tmp_path / name, 1000, days=1000)
    cache.forget_unused(tmp_path, NOW, most=10)
    assert left(tmp_path) == set(names)


def test_a_folder_without_any_entry_is_no_error(tmp_path):
    cache.forget_unused(tmp_path / "missing", NOW)
    cache.forget_unused(tmp_path, NOW)


@can_compile
def test_a_program_that_runs_again_is_used_again_and_a_new_one_makes_room(tmp_path, monkeypatch):
    from tinygrad_mmb.emulator import build as module
    from tinygrad_mmb.emulator.build import Options, build

    runtime = module.runtime_objects(compile.flags_of("fast"))  # not compiled again for this test
    monkeypatch.setattr(module, "runtime_objects", lambda flags: runtime)
    monkeypatch.setenv("MMB_CACHE", str(tmp_path / "kept"))
    source = tmp_path / "empty.cu"
    source.write_text("int main() {}\n")
    program = build(source, Options("fast"))
    os.utime(program.executable, (1.0, 1.0))
    assert build(source, Options("fast")).executable == program.executable
    assert program.executable.stat().st_mtime > 1.0
    os.utime(program.executable, (1.0, 1.0))
    os.utime(program.executable.with_name("warnings.txt"), (1.0, 1.0))
    source.write_text("int main() { return 0; }\n")
    assert build(source, Options("fast")).executable.exists()
    assert not program.executable.exists()


@pytest.mark.parametrize("variable", ["MMB_CACHE", "XDG_CACHE_HOME"])
def test_the_environment_names_the_folder(variable, tmp_path, monkeypatch):
    monkeypatch.delenv("MMB_CACHE", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    ending = "" if variable == "MMB_CACHE" else "tinygrad_mmb"
    assert cache.cache_folder() == tmp_path / ending
