"""Races between streams: named with both calls; what events, waits and streams order is silent."""

from __future__ import annotations

import pytest

from tests.cuda_tools.programs import WRONG, can_compile
from tinygrad_mmb.emulator.build import Options, build
from tinygrad_mmb.emulator.check import check

pytestmark = can_compile
RIGHT = """\
#include <cuda_runtime.h>
__global__ void add(float* y, const float* x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += x[i];
}
int main() {
    const int n = 500, bytes = n * sizeof(float);
    float *x, *y, *z, *host;
    cudaStream_t a, b, free_;
    cudaEvent_t done;
    cudaMalloc(&x, bytes); cudaMalloc(&y, bytes); cudaMalloc(&z, bytes);
    cudaMallocHost(&host, bytes);
    cudaStreamCreate(&a); cudaStreamCreate(&b);
    cudaStreamCreateWithFlags(&free_, cudaStreamNonBlocking);
    cudaEventCreate(&done);
    cudaMemset(x, 0, bytes); cudaMemset(y, 0, bytes); cudaMemset(z, 0, bytes);
    cudaDeviceSynchronize();                     // the non-blocking stream waits for nothing else
    add<<<2, 256, 0, a>>>(y, x, n);              // both read x: no race
    add<<<2, 256, 0, free_>>>(z, x, n);
    cudaEventRecord(done, a);
    cudaStreamWaitEvent(b, done);                // an event
    add<<<2, 256, 0, b>>>(y, x, n);
    add<<<1, 256>>>(y, x, n / 2);                // the default stream waits for a and b
    add<<<1, 256, 0, a>>>(y + n / 2, x, n / 2);  // and they for it
    add<<<1, 256, 0, b>>>(y, x, n / 2);          // the other half
    cudaStreamSynchronize(free_);                // the host waits
    cudaMemcpyAsync(host, z, bytes, cudaMemcpyDeviceToHost, b);
    cudaEventRecord(done, b);
    cudaEventSynchronize(done);
    add<<<2, 256, 0, free_>>>(z, host, n);
    cudaDeviceSynchronize();
    cudaStreamDestroy(a); cudaStreamDestroy(b); cudaStreamDestroy(free_);
    cudaEventDestroy(done);
    cudaFree(x); cudaFree(y); cudaFree(z); cudaFreeHost(host);
}
"""


@pytest.mark.parametrize(
    "name, others",
    [
        ("streams_no_event", {"was called here", "twice reads it here", "fill writes it here"}),
        ("streams_copy_overtakes", {"was called here", "fill writes it here"}),
    ],
)
def test_a_race_between_streams_names_both_calls_and_the_lines_in_the_kernels(name, others):
    path = next(p for p in WRONG if p.stem == name)
    (finding,) = check(build(path, Options("check")), (), seeds=2, timeout=120).mistakes
    text = path.read_text(encoding="utf-8").splitlines()
    assert finding.kind == "stream-race" and "array x (allocated on line" in finding.message
    assert text[finding.places[0].line - 1].endswith("// HERE")
    assert "fill<<<" in text[finding.places[1].line - 1]  # the other call
    for words in others:
        assert any(words in p.text for p in finding.places), finding.places


def test_what_events_waits_and_the_default_stream_order_is_no_race(tmp_path):
    path = tmp_path / "right.cu"
    path.write_text(RIGHT)
    result = check(build(path, Options("check")), (), seeds=2, timeout=120)
    assert [f.message for f in result.mistakes] == []
    # without the event, the same two kernels race
    path.write_text(RIGHT.replace("    cudaStreamWaitEvent(b, done);", "    "))
    (finding,) = check(build(path, Options("check")), (), seeds=1, timeout=120).mistakes
    assert finding.kind == "stream-race"


VARIABLES = """\
#include <cuda_runtime.h>
__device__ float scale;
__device__ int calls;
__constant__ float table[4];
__managed__ float total;
__global__ void set(float to) { scale = to; atomicAdd(&calls, 1); }
__global__ void apply(float* x) {
    x[threadIdx.x] = scale * table[threadIdx.x % 4];
    if (threadIdx.x == 0) atomicAdd(&calls, 1), total = x[0];
}
int main() {
    float *x, host[4] = {1, 2, 3, 4}, result;
    cudaStream_t a, b;
    cudaEvent_t done;
    cudaMalloc(&x, 128);
    cudaStreamCreate(&a); cudaStreamCreate(&b);
    cudaEventCreate(&done);
    cudaMemcpyToSymbolAsync(table, host, sizeof host, 0, cudaMemcpyHostToDevice, a);
    set<<<1, 1, 0, a>>>(2);
    cudaEventRecord(done, a);
    cudaStreamWaitEvent(b, done);
    apply<<<1, 32, 0, b>>>(x);
    cudaMemcpyFromSymbolAsync(&result, total, sizeof result, 0, cudaMemcpyDeviceToHost, b);
    cudaStreamSynchronize(b);
    cudaMemcpyToSymbol(table, host, sizeof host);
    set<<<1, 1, 0, a>>>(result);
    cudaDeviceSynchronize();
    cudaStreamDestroy(a); cudaStreamDestroy(b); cudaEventDestroy(done);
    cudaFree(x);
    return result != 2;
}
"""


def stream_races(path, text: str) -> list[str]:
    path.write_text(text)
    found = check(build(path, Options("check")), (), seeds=2, timeout=120).mistakes
    assert {f.kind for f in found} <= {"stream-race"}, [f.message for f in found]
    return [f.message for f in found]


def test_variables_of_the_device_are_watched_between_streams_too(tmp_path):
    path = tmp_path / "variables.cu"
    assert stream_races(path, VARIABLES) == []
    # without the event the kernel races with the copy to `table` and with the kernel before it
    text = VARIABLES.replace("    cudaStreamWaitEvent(b, done);", "")
    assert sorted(stream_races(path, text)) == [
        "apply reads array scale, and set in another stream writes it, and nothing orders the two.",
        "apply reads array table, and cudaMemcpyToSymbolAsync in another stream writes it, "
        "and nothing orders the two.",
    ]
    # a copy from a variable that the other stream still writes
    text = VARIABLES.replace("cudaMemcpyDeviceToHost, b);", "cudaMemcpyDeviceToHost, a);")
    (message,) = stream_races(path, text)
    assert message.startswith("cudaMemcpyFromSymbolAsync reads array total, and apply in another")
