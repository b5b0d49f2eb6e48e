"""Programs as tutorials print them: right ones run and are silent, wrong ones are named."""

from __future__ import annotations

import pytest

from tests.cuda_tools.programs import EXAMPLES, RIGHT, WRONG, can_compile, expected, some
from tinygrad_mmb.emulator.build import Options, build
from tinygrad_mmb.emulator.check import check
from tinygrad_mmb.emulator.run import run

pytestmark = can_compile
DRAW = """
#include <curand_kernel.h>
#include <stdio.h>
__global__ void walk(float* out) {
    int id = threadIdx.x + blockIdx.x * blockDim.x;
    curandState state;
    curand_init(1234, id, 0, &state);
    for (int i = 0; i < 500; i++) {
        float x = curand_uniform(&state), y = curand_uniform(&state), g = curand_normal(&state);
        atomicAdd(out, x * x + y * y < 1 ? 4.0f / 64000 : 0);
        atomicAdd(out + 1, g / 64000);
        atomicAdd(out + 2, g * g / 64000);
    }
}
__global__ void jump(unsigned* out) {
    curandStatePhilox4_32_10_t p;
    curand_init(0, 0, 0, &p);
    out[0] = curand(&p);
    curandState a, b;
    curand_init(7, 0, 5, &a);
    curand_init(7, 0, 0, &b);
    for (int i = 0; i < 5; i++) curand(&b);
    out[1] = curand(&a) == curand(&b);
}
int main() {
    float* sums;
    unsigned* out;
    cudaMallocManaged(&sums, 12);
    cudaMallocManaged(&out, 8);
    sums[0] = sums[1] = sums[2] = 0;
    walk<<<2, 64>>>(sums);
    jump<<<1, 1>>>(out);
    cudaDeviceSynchronize();
    printf("%08x %u %f %f %f", out[0], out[1], sums[0], sums[1], sums[2]);
    cudaFree(sums);
    cudaFree(out);
}
"""
SAMPLE = """
#include <assert.h>
#include <cuda_runtime.h>
#include <helper_cuda.h>
#include <helper_functions.h>
#include <math_constants.h>
template <class T> struct SharedMemory {
    __device__ inline operator T *() { extern __shared__ int __smem[]; return (T *)__smem; }
};
template <class T> __global__ void test(T *in, T *out) {
    SharedMemory<T> smem;
    T *data = smem;
    data[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = (T)blockDim.x * data[threadIdx.x];
}
__device__ int count;
__global__ void most() { atomicMax(&count, (int)threadIdx.x); }
__global__ void fails(int n) { assert((int)threadIdx.x < n); }
int main(int argc, char **argv) {
    findCudaDevice(argc, (const char **)argv);
    printf("%d\\n", getCmdLineArgumentInt(argc, (const char **)argv, "width"));
    StopWatchInterface *timer = 0;
    sdkCreateTimer(&timer);
    float h[32], *a;
    for (int i = 0; i < 32; i++) h[i] = i;
    checkCudaErrors(cudaMalloc(&a, sizeof h));
    checkCudaErrors(cudaMemcpy(a, h, sizeof h, cudaMemcpyHostToDevice));
    test<float><<<1, 32, 32 * sizeof(float)>>>(a, a);
    getLastCudaError("failed");
    checkCudaErrors(cudaMemcpy(h, a, sizeof h, cudaMemcpyDeviceToHost));
    printf("%g\\n", h[3]);
    most<<<1, 6>>>();
    int c;
    cudaMemcpyFromSymbol(&c, count, sizeof c);
    printf("%d\\n", c);
    sdkDeleteTimer(&timer);
    cudaFree(a);
    fails<<<1, 32>>>(20);
    printf("%s\\n", cudaGetErrorString(cudaDeviceSynchronize()));
}
"""
NESTED = """\
#include <cuda_runtime.h>
__global__ void child(int* x) { *x = 1; }
__global__ void parent(int* x) {
    child<<<1, 1>>>(x);
}
int main() {
    int* x;
    cudaMallocManaged(&x, sizeof(int));
    parent<<<1, 1>>>(x);
    cudaDeviceSynchronize();
    cudaFree(x);
}
"""
QUICK = {"vector_add", "template_kernels"}
QUICK_WRONG = {"transpose_no_barrier", "swapped_direction", "host_reads_device_pointer"}


def test_there_are_as_many_programs_as_promised():
    assert len(EXAMPLES) >= 12 and len(WRONG) >= len(EXAMPLES)


@pytest.mark.parametrize("path", some(EXAMPLES, QUICK))
def test_an_example_runs_unchanged_and_finds_its_own_result_right(path):
    done = run(build(path, Options()), captured=True, timeout=120)
    assert done.code == 0, done.output
    assert "FAILED" not in done.output
    assert [f.message for f in done.findings if not f.is_note] == []


@pytest.mark.parametrize("path", some(EXAMPLES, QUICK - {"vector_add"}))
def test_the_checker_is_silent_on_an_example(path):
    result = check(build(path, Options("check")), (), seeds=3, timeout=120)
    assert [f.message for f in result.mistakes] == []


@pytest.mark.parametrize("path", some(RIGHT, {"value_over_a_barrier"}))
def test_a_right_program_of_odd_ways_runs_and_nothing_is_said(path):
    result = check(build(path, Options("check")), (), seeds=2, timeout=120)
    assert [f.message for f in result.mistakes] == []
    assert result.output == "PASSED\n"
    done = run(build(path, Options()), captured=True, timeout=120)
    assert (done.code, done.output, done.findings) == (0, "PASSED\n", [])


@pytest.mark.parametrize("path", some(WRONG, QUICK_WRONG))
def test_a_mistake_is_named_with_its_line(path):
    kind, line = expected(path)
    result = check(build(path, Options("check")), (), seeds=2, timeout=120)
    found = {(f.kind, p.line) for f in result.mistakes for p in f.places}
    assert (kind, line) in found, result.in_words()
    assert all(f.advice.why and (f.mend or f.advice.mend) for f in result.mistakes)
    assert {f.kind for f in result.mistakes} == {kind}  # and nothing else is said


def test_a_race_names_both_threads_and_the_array():
    path = next(p for p in WRONG if p.stem == "transpose_no_barrier")
    (finding,) = check(build(path, Options("check")), (), seeds=1, timeout=120).mistakes
    assert "array tile" in finding.message
    who = [p.text for p in finding.places]
    assert len(who) == 2 and "writes here" in "".join(who) and "reads here" in "".join(who)
    words = check(build(path, Options("check")), (), seeds=1, timeout=120).in_words()
    assert "y[threadIdx.y * n + threadIdx.x] = tile[threadIdx.x][threadIdx.y];" in words
    assert "^" in words and "__syncthreads()" in words


def test_memory_without_a_name_is_told_by_the_line_that_made_it():
    path = next(p for p in WRONG if p.stem == "heap_overrun")
    (finding,) = check(build(path, Options("check")), (), seeds=1, timeout=120).mistakes
    # malloc stands on line 6; five ints have 20 bytes
    end = "just past the end of the memory allocated on line 6 (20 bytes)"
    assert finding.message.endswith(end)


def test_a_kernel_that_launches_a_kernel_is_told_so_at_its_line(tmp_path):
    path = tmp_path / "nested.cu"
    path.write_text(NESTED)
    (finding,) = check(build(path, Options("check")), (), seeds=1, timeout=120).mistakes
    assert (finding.kind, finding.kernel) == ("not-emulated", "parent")
    said = "Dynamic parallelism is not emulated: a kernel launches kernel child at nested.cu:4"
    assert finding.message == said and [p.line for p in finding.places] == [4]


@pytest.mark.slow
def test_a_plain_run_tells_of_a_write_past_the_end_too():
    path = next(p for p in WRONG if p.stem == "vector_add_no_guard")
    (finding,) = run(build(path, Options()), captured=True).findings
    assert finding.kind == "write-past-end" and "past the end of y" in finding.message


@pytest.mark.slow
def test_sanitizers_are_a_second_witness():
    path = next(p for p in WRONG if p.stem == "vector_add_no_guard")
    result = check(
        build(path, Options("check")), (), seeds=1, timeout=120,
        witness=build(path, Options("sanitize")),
    )  # fmt: skip
    _, line = expected(path)
    assert ("address", line) in {(f.kind, p.line) for f in result.mistakes for p in f.places}


@pytest.mark.slow
def test_curand_draws_philox_as_published_and_jumps_as_it_steps(tmp_path):
    path = tmp_path / "draw.cu"
    path.write_text(DRAW)
    program = build(path, Options())
    done = run(program, captured=True)
    # Random123's known answer for key 0, counter 0; pi, mean and variance within five deviations
    first, same, pi, mean, square = done.output.split()
    assert (first, same) == ("6627e8d5", "1")
    assert abs(float(pi) - 3.14159) < 5 * 1.64 / 64000**0.5
    assert abs(float(mean)) < 5 / 64000**0.5 and abs(float(square) - 1) < 5 * (2 / 64000) ** 0.5
    assert check(build(path, Options("check")), (), seeds=2, timeout=120).mistakes == []


@pytest.mark.slow
def test_what_the_cuda_samples_include_is_there(tmp_path):
    path = tmp_path / "sample.cu"
    path.write_text(SAMPLE)
    done = run(build(path, Options()), ("--width=7",), captured=True)
    assert done.output.splitlines()[1:] == ["7", "96", "5", "device-side assert triggered"]
    assert [f.kind for f in done.findings] == ["assert"]
