"""A loop on an ordinary variable, which the compiler reads once, ends with a diagnosis."""

from __future__ import annotations

import platform

import pytest

from tests.cuda_tools.programs import can_compile
from tinygrad_mmb.emulator.build import Options, build
from tinygrad_mmb.emulator.check import check

pytestmark = can_compile
SPIN = """\
#include <cuda_runtime.h>
__global__ void spin(int* flag, float* y) {
    if (threadIdx.x == 0) while (*flag == 0);  // HERE
    else *flag = 1;
    y[threadIdx.x] = 1;
}
int main() {
    int* f;
    float* y;
    cudaMalloc(&f, 4);
    cudaMalloc(&y, 256);
    cudaMemset(f, 0, 4);
    spin<<<1, 32>>>(f, y);
    cudaDeviceSynchronize();
}
"""


@pytest.mark.slow  # the watchdog gives a loop ten seconds
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the watchdog knows x86-64 only")
def test_a_thread_that_spins_without_reading_is_stopped_and_its_line_named(tmp_path):
    path = tmp_path / "spin.cu"
    path.write_text(SPIN)
    found = check(build(path, Options("check")), (), seeds=1, timeout=120).mistakes
    (endless,) = [f for f in found if f.kind == "livelock"]
    assert endless.message.startswith("An endless loop") and "make it volatile" in endless.message
    assert [p.line for p in endless.places] == [3]
