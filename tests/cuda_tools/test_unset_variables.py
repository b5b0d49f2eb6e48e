"""Local variables that are used before they are set: named with their line, and no right one."""

from __future__ import annotations

import re

import pytest

from tests.cuda_tools.programs import can_compile
from tinygrad_mmb.emulator.build import Options, build
from tinygrad_mmb.emulator.check import check

pytestmark = can_compile
PROGRAM = """\
#include <cuda_runtime.h>
__global__ void sums(float* y, const float* x, int n) {
    float sum;  // sum
    for (int i = 0; i < n; i++) sum += x[i];
    y[threadIdx.x] = sum;
}
template <class T> __global__ void most(T* y, const T* x, int n) {
    T m;  // m
    for (int i = threadIdx.x; i < n; i += blockDim.x)
        if (x[i] > m) m = x[i];
    y[threadIdx.x] = m;
}
__global__ void found(float* y, const float* x, int n) {
    int any;  // any
    for (int i = 0; i < n; i++) if (x[i] > 2) any = 1;
    y[threadIdx.x] = any == 1;
}
__global__ void lanes(float* y, const float* x) {
    float4 v;  // v
    v.x = x[0]; v.y = x[1]; v.z = x[2];
    y[threadIdx.x] = v.x + v.y + v.z + v.w;
}
__global__ void table(float* y, const float* x, int n) {
    float acc[4];
    for (int i = 0; i < n; i++)
        for (int j = 0; j < 4; j++) acc[j] += x[i] * j;
    for (int j = 0; j < 4; j++) y[j] = acc[j];  // table
}
__global__ void histogram(int* y, const float* x, int n) {
    int count[4];
    for (int i = 0; i < n; i++) count[i & 3] += x[i] < 1;
    for (int j = 0; j < 4; j++) y[j] = count[j];  // histogram
}
__global__ void long_sum(long long* y, const float* x, int n) {
    long long sums[2];
    for (int i = 0; i < n; i++) sums[i & 1] -= 1000;
    for (int j = 0; j < 2; j++) y[j] = sums[j];  // long sums
}
__global__ void by_chance(unsigned* y, int n) {
    for (int i = 0; i < n; i++) y[i % 4] = 0xfefef000u + 17 * i * i * i * 4096;
}
__global__ void right(float* y, const float* x, int n) {
    float m, sum = 0, acc[4];
    bool any = false;
    for (int i = 0; i < n; i++) if (!any || x[i] > m) { m = x[i]; any = true; }
    for (int j = 0; j < 4; j++) acc[j] = 0;
    for (int i = 0; i < n; i++) { sum += x[i]; acc[i % 4] += x[i]; }
    y[threadIdx.x] = (any ? m : 0) + sum + acc[threadIdx.x % 4];
}
int main() {
    float *x, *y;
    cudaMalloc(&x, 16 * sizeof(float));
    cudaMalloc(&y, 16 * sizeof(float));
    cudaMemset(x, 0, 16 * sizeof(float));
    sums<<<1, 4>>>(y, x, 16);
    most<float><<<1, 4>>>(y, x, 16);
    found<<<1, 4>>>(y, x, 16);
    lanes<<<1, 4>>>(y, x);
    table<<<1, 1>>>(y, x, 16);
    histogram<<<1, 1>>>((int*)y, x, 16);
    long_sum<<<1, 1>>>((long long*)y, x, 16);
    by_chance<<<1, 1>>>((unsigned*)y, 40);
    right<<<1, 4>>>(y, x, 16);
    cudaDeviceSynchronize();
    cudaFree(x);
    cudaFree(y);
}
"""


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    path = tmp_path_factory.mktemp("unset") / "unset.cu"
    path.write_text(PROGRAM)
    return check(build(path, Options("check")), (), seeds=2, timeout=120)


def line(mark: str) -> int:
    return next(i for i, text in enumerate(PROGRAM.splitlines(), 1) if text.endswith(f"// {mark}"))


def test_each_variable_is_named_at_its_declaration_and_use_and_nothing_else_is_said(result):
    assert {f.kind for f in result.mistakes} == {"unset-variable"}
    named = {f.array: f for f in result.mistakes if f.array in ("sum", "m", "any", "v")}
    assert len(named) == 4 and len(result.mistakes) == 7
    for name, finding in named.items():
        assert line(name) in {p.line for p in finding.places}
        assert re.match(rf"{name}(\.w)? is used before a value was given to it", finding.message)
        assert "where it is declared" in finding.mend and finding.runs == 2


def test_an_element_of_a_local_array_is_found_where_it_reaches_memory(result):
    found = {p.line: f for f in result.mistakes if not f.message[0].islower() for p in f.places}
    assert found.keys() == {line("table"), line("histogram"), line("long sums")}
    for finding in found.values():
        assert "comes from a local variable that has no value" in finding.message
    # 16 zeros among four elements; and 8 · 1000 from each of two; variables start as bytes 0xfe
    assert found[line("histogram")].message.endswith(
        f": {-0x01010102 + 4} is 4 more than what such variables hold here"
    )
    assert found[line("long sums")].message.endswith(
        f": {-0x0101010101010102 - 8000} is 8000 less than what such variables hold here"
    )


DOUBTFUL = """\
#include <cstdio>
#include <ctime>
__global__ void twice(const int* in, int* out, int n) {
    int value;
    if (threadIdx.x < n - 1) value = 2 * in[threadIdx.x];
    __syncthreads();
    if (threadIdx.x < n) out[threadIdx.x] = value;
}
int main() {
    const int n = 50;
    int *in, *out, host[n];
    timespec now;
    cudaMalloc(&in, sizeof host);
    cudaMalloc(&out, sizeof host);
    cudaMemset(in, 0, sizeof host);
    cudaMemset(out, 0, sizeof host);
    twice<<<1, 64>>>(in, out, n);
    cudaMemcpy(host, out, sizeof host, cudaMemcpyDeviceToHost);
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("%d at %ld ns\\n", host[3], now.tv_nsec + 1000000000L * now.tv_sec);
    cudaFree(in);
    cudaFree(out);
}
"""
LAUNCH, FREE = "    twice<<<1, 64>>>(in, out, n);\n", "    cudaFree(in);\n"


def kinds_and_arrays(path, text: str) -> list[tuple[str, str]]:
    path.write_text(text)
    found = check(build(path, Options("check")), (), seeds=1, timeout=120).mistakes
    return [(f.kind, f.array) for f in found]


def test_a_variable_that_perhaps_is_unset_comes_after_mistakes_that_leave_it_open(tmp_path):
    path = tmp_path / "doubtful.cu"
    # a kernel that gets freed memory is not run: whether `value` matters, no run can tell
    freed = DOUBTFUL.replace(FREE, "").replace(LAUNCH, FREE + LAUNCH)
    assert kinds_and_arrays(path, freed) == [("use-after-free", "")]
    assert kinds_and_arrays(path, DOUBTFUL) == [("unset-variable", "value")]


def test_lines_of_the_output_that_tell_a_time_do_not_make_a_variable_matter(tmp_path):
    right = DOUBTFUL.replace("(threadIdx.x < n)", "(threadIdx.x < n - 1)")
    assert kinds_and_arrays(tmp_path / "timed.cu", right) == []
    # the compiler did warn: that it does not matter, the program's runs have told
    warnings = build(tmp_path / "timed.cu", Options("check")).warnings
    assert re.search(r"value.* may be used uninitialized", warnings)
