"""Which build of the emulator runs a kernel, and what reaches it."""

from __future__ import annotations

import platform
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_mmb.kernels.launch import emulated
from tinygrad_mmb.kernels.launch.emulated import KernelError, emulator, library, memory_of

FUNCTIONS = str(Path(__file__).with_name("device_functions.cu"))


class BuiltIn:
    """Stands in for the extension _emulator."""

    def __init__(self) -> None:
        self.options: dict[str, int] = {}
        self.launches: list[tuple[Any, ...]] = []

    def kernels(self) -> dict[str, list[str]]:
        return {"indices": ["p"]}

    def option(self, name: str, value: int) -> None:
        self.options[name] = value

    def launch(self, *arguments: Any) -> None:
        self.launches.append(arguments)


@pytest.fixture
def built_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = BuiltIn()
    monkeypatch.setattr(emulated, "built_in", lambda: module)
    emulated.built_in_kernels.cache_clear()
    yield module
    emulated.built_in_kernels.cache_clear()


def test_the_extension_serves_the_kernels_that_it_holds_in_fast_mode_only(built_in):
    y = np.zeros(30, np.int32)
    with emulator("fast", seed=5) as run:
        run.launch(FUNCTIONS, "indices", (1,), (30,), (y, None, np.int32(3)), 64)
        run.launch(FUNCTIONS, "barriers", (1,), (64,), (np.zeros(192, np.int32),) * 2, 0)
    with emulator("check") as run:
        run.launch(FUNCTIONS, "indices", (1,), (30,), (y,), 0)
    assert built_in.launches == [("indices", (1,), (30,), 64, 0, (y.ctypes.data, None, 3))]
    assert built_in.options == {"seed": 5, "early": 0, "yields": 0, "profile": 0}
    assert y.tolist() == list(range(30))  # by "check", which compiled it


def test_the_environment_leaves_the_extension_aside(monkeypatch):
    monkeypatch.setenv("MMB_EMULATOR", "compile")
    emulated.built_in.cache_clear()
    assert emulated.built_in() is None
    emulated.built_in.cache_clear()


@pytest.mark.parametrize("view", [np.s_[:], np.s_[::-1], np.s_[2:9:3], np.s_[::-2, 1:3]])
def test_the_memory_of_a_view_is_all_that_its_strides_reach(view):
    x = np.arange(60.0).reshape(10, 6)
    start, size = memory_of(x[view])
    first, last = x[view].min(), x[view].max()  # the elements are numbered as they lie
    assert (start - x.ctypes.data, size) == (8 * first, 8 * (last - first + 1))


def test_several_findings_of_a_launch_are_told_together(tmp_path):
    source = tmp_path / "three.cu"
    source.write_text(
        '#include "platform.cuh"\n'
        "__global__ void three(float* y, const float* x) {\n"
        "    __shared__ float tile[64];\n"
        "    tile[threadIdx.x] = x[threadIdx.x];\n"
        "    float v = tile[63 - threadIdx.x];\n"
        "    const float2 p = *reinterpret_cast<const float2*>(x + 1); v += p.x + p.y;\n"
        "    const_cast<float*>(x)[threadIdx.x] = v;\n"
        "    y[threadIdx.x + 1] = v;\n"
        "}\nMMB_KERNEL(three);\n",
        encoding="utf-8",
    )
    arrays = np.zeros(64, np.float32), np.zeros(64, np.float32)
    with pytest.raises(KernelError) as error:
        library(str(source), "check").launch("three", (1,), (64,), arrays, 0)
    found = {(f["kind"], f["line"]) for f in error.value.findings}
    assert found >= {("misaligned", 6), ("read-only", 7), ("out-of-bounds", 8)}
    assert {k for k, _ in found} == {"race", "misaligned", "read-only", "out-of-bounds"}
    lines = str(error.value).splitlines()
    assert len(lines) == 4 and lines[0].startswith("kernel three: ")
    assert lines[-1] == f"and {len(error.value.findings) - 3} more"


def test_threads_of_python_take_turns():
    results = [np.zeros(360, np.int32) for _ in range(8)]
    so = library(FUNCTIONS, "check")

    def run(y: np.ndarray) -> None:
        so.launch("indices", (2, 3, 2), (5, 3, 2), (y,), 0)

    threads = [threading.Thread(target=run, args=(y,)) for y in results]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    expected = (100 * np.arange(12)[:, None] + np.arange(30)).ravel()
    assert all(np.array_equal(y, expected) for y in results)


SPIN = """\
#include "platform.cuh"
__global__ void spin(float* y, int* flag) {
    y[threadIdx.x] = 0;
    if (threadIdx.x < 32) LOOP
    if (threadIdx.x == 40 && *flag == 0) *flag = 1;
}
MMB_KERNEL(spin);
"""


watched = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the watchdog knows x86-64 only"
)


def spinning(path: Path, loop: str) -> emulated.Library:
    path.write_text(SPIN.replace("LOOP", loop), encoding="utf-8")
    return library(str(path), "check")


@watched
@pytest.mark.slow  # the watchdog gives such a loop ten seconds
def test_a_loop_that_reads_again_and_counts_its_rounds_is_stopped_in_python(tmp_path):
    loop = "{ int n = 0; while (*flag == 0) { __threadfence_block(); n++; } y[0] = n; }"
    with pytest.raises(KernelError, match="only reads again what it has read before") as error:
        spinning(tmp_path / "counts.cu", loop).launch(
            "spin", (1,), (64,), (np.zeros(64, np.float32), np.zeros(1, np.int32)), 0
        )
    assert [(f["kind"], f["line"]) for f in error.value.findings] == [("livelock", 4)]


@watched
def test_a_loop_that_waits_without_reading_is_stopped_in_any_thread_of_python(tmp_path):
    so = spinning(tmp_path / "spin.cu", "while (*flag == 0);")
    y, ticks, errors = np.zeros(64, np.float32), [], []

    def run(flag: int) -> None:
        try:
            so.launch("spin", (1,), (64,), (y, np.array([flag], np.int32)), 0)
        except KernelError as error:
            errors.append(error)

    before = signal.signal(signal.SIGVTALRM, lambda *_: ticks.append(1))
    try:
        run(0)
        thread = threading.Thread(target=run, args=(0,))
        thread.start()
        thread.join()
        run(1)
        assert ticks == []  # the watchdog's signals are its own, and Python's stays Python's
        signal.raise_signal(signal.SIGVTALRM)
        assert ticks == [1]
    finally:
        signal.signal(signal.SIGVTALRM, before)
    assert len(errors) == 2
    for error in errors:
        (finding,) = error.findings
        assert (finding["kind"], finding["line"]) == ("livelock", 4)
        assert "an endless loop: thread (0,0,0) neither waits" in str(error)
