"""Loops that wait for what never comes end soon, with a diagnosis; loops that end are silent."""

from __future__ import annotations

import platform
import time

import pytest

from tests.cuda_tools.programs import can_compile
from tinygrad_mmb.emulator.build import Options, build
from tinygrad_mmb.emulator.check import check
from tinygrad_mmb.emulator.run import TimeLimitError

pytestmark = can_compile
watched = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the watchdog knows x86-64 only"
)
PROGRAM = """\
#include <cuda_runtime.h>
__global__ void spin(int* flag, float* y) {
    BODY
    y[threadIdx.x] = 1;
}
int main() {
    int* f;
    float* y;
    cudaMalloc(&f, 4);
    cudaMalloc(&y, 256);
    cudaMemset(f, 0, 4);
    spin<<<1, 64>>>(f, y);
    cudaDeviceSynchronize();
}
"""
SET = "if (threadIdx.x == 40) *flag = 1;"


def mistakes(tmp_path, body: str, seeds: int = 1):
    """What is found, without what a kernel that fails leaves unfreed."""
    path = tmp_path / "spin.cu"
    path.write_text(PROGRAM.replace("BODY", body))
    program = build(path, Options("check"))
    began = time.monotonic()
    found = check(program, (), seeds=seeds, timeout=120).mistakes
    return [f for f in found if f.kind != "leak"], time.monotonic() - began


@watched
def test_a_thread_that_spins_without_reading_is_stopped_and_its_line_named(tmp_path):
    (endless,), _ = mistakes(tmp_path, f"if (threadIdx.x < 32) while (*flag == 0);\n    {SET}")
    assert endless.kind == "livelock" and [p.line for p in endless.places] == [3]
    assert endless.message.startswith("An endless loop: thread (0,0,0) neither waits nor touches")
    assert "make the variable volatile" in endless.mend
    assert endless.places[0].text == "thread (0,0,0) of block (0,0,0) goes round here"


@watched
@pytest.mark.slow  # the watchdog gives such a loop ten seconds
def test_a_loop_that_counts_its_rounds_is_stopped_after_a_while(tmp_path):
    body = """int n = 0;
    if (threadIdx.x == 7) while (*flag == 0) { __threadfence_block(); n++; }
    y[32 + threadIdx.x % 32] = n;"""
    (endless,), took = mistakes(tmp_path, body)
    assert endless.kind == "livelock" and endless.places[0].line == 4 and took > 10
    assert "thread (7,0,0) only reads again what it has read before" in endless.message


@pytest.mark.parametrize(
    "waits",
    [
        "while (*flag == 0) __threadfence_block();",
        "while (*flag == 0) __nanosleep(100);",
        "do { __threadfence_block(); } while (y[threadIdx.x] > 0 || *flag == 0);",
        "while (*(volatile int*)flag == 0);",
        "while (atomicAdd(flag, 0) == 0);",
        "while (atomicCAS(flag, 1, 2) != 1) y[threadIdx.x] = 0;",
    ],
)
def test_who_reads_again_and_again_what_nobody_changes_is_named_at_once(tmp_path, waits):
    body = f"y[threadIdx.x] = 0;\n    if (threadIdx.x % 32 == 3) {waits}\n    __syncthreads();"
    (livelock,), _ = mistakes(tmp_path, body)
    assert livelock.kind == "livelock" and [p.line for p in livelock.places] == [4]
    assert livelock.message.startswith("Livelock: thread (3,0,0) reads array")
    others = ": 1 thread spins likewise, 62 threads wait at the barrier of spin.cu:5"
    assert livelock.message.endswith(others)
    assert "A block cannot wait for another one" in livelock.mend
    is_ordinary = "volatile" not in waits and "atomic" not in waits
    assert ("of an ordinary variable the compiler may read once" in livelock.mend) == is_ordinary


@pytest.mark.parametrize("read", ["*(volatile int*)flag", "atomicAdd(flag, 0)"])
def test_a_loop_of_atomics_that_counts_its_rounds_is_named_though_the_others_wait(tmp_path, read):
    body = f"int n = 0;\n    if (threadIdx.x == 5) while ({read} == 0) n++;\n"
    (livelock,), _ = mistakes(tmp_path, body + "    __syncthreads(); y[threadIdx.x] = n;")
    assert livelock.kind == "livelock" and [p.line for p in livelock.places] == [4]
    assert livelock.message.startswith("Livelock: a loop of atomics waits for what nobody does")


@pytest.mark.slow  # millions of atomics
def test_millions_of_atomics_that_get_somewhere_are_no_livelock(tmp_path):
    body = "if (threadIdx.x == 0) for (int i = 0; i < 6000000; i++) atomicAdd(flag, 1);"
    assert mistakes(tmp_path, body + "\n    __syncthreads();")[0] == []


def test_an_ordinary_flag_is_a_race_and_the_loop_is_named_as_the_reason(tmp_path):
    body = f"if (threadIdx.x < 32) while (*flag == 0) __threadfence_block();\n    {SET}"
    (race,), _ = mistakes(tmp_path, body, seeds=3)
    assert race.kind == "race" and race.runs == 3
    assert {p.line for p in race.places} == {3, 4}
    assert race.mend.startswith("A loop waits for this write") and "volatile" in race.mend


def test_a_flag_set_late_ends_the_wait_of_volatile_and_atomic_loops(tmp_path):
    body = """volatile int* v = flag;
    if (threadIdx.x < 32) { while (*v == 0); }
    else if (threadIdx.x == 40) {
        for (int i = 0; i < 5000 && y[threadIdx.x] < 1; i++) { __nanosleep(10); __threadfence(); }
        *v = 1;
    }"""
    body = "y[threadIdx.x] = 0; __syncthreads();\n" + body
    assert mistakes(tmp_path, body, seeds=4)[0] == []


def test_what_was_found_before_the_time_was_up_is_told(tmp_path):
    path = tmp_path / "host_loop.cu"
    text = PROGRAM.replace("BODY", "y[threadIdx.x / 2] = threadIdx.x;")
    path.write_text(text.replace("cudaDeviceSynchronize();", "for (volatile int i = 0;;) i = 1;"))
    program = build(path, Options("check"))
    with pytest.raises(TimeLimitError) as told:
        check(program, (), seeds=1, timeout=5)
    assert "host_loop.cu did not end within 5 s" in str(told.value)
    assert "\nFound until then: Data race on array y (allocated on line 10)" in str(told.value)
