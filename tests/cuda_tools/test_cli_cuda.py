"""mmb cuda: what it prints, and its exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.command import command
from tests.cuda_tools.programs import can_compile
from tinygrad_mmb.emulator import report
from tinygrad_mmb.kernels.launch import compile

pytestmark = can_compile
SCALE = """\
template <typename T> __global__ void scale(T* y, const T* x, T a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i];
}
"""
GIVEN = (
    "--kernel",
    "scale<float>",
    "--arg",
    "y=zeros:300",
    "--arg",
    "arange:300",
    "--arg",
    "a=0.5",
)


@pytest.fixture(autouse=True)
def a_kernel_lies_there(empty_folder):
    (empty_folder / "scale.cu").write_text(SCALE)


@pytest.fixture
def mmb(capfd):
    return command(capfd, "cuda")


def test_a_kernel_without_main_runs_and_its_output_is_saved(mmb):
    code, out, err = mmb("run", "scale.cu", *GIVEN, "--arg", "n=300", "--save", "y=y.npy")
    assert (code, err) == (0, "")
    assert out.startswith("y float32 (300,)")
    np.testing.assert_array_equal(np.load("y.npy"), np.arange(300, dtype=np.float32) / 2)


def test_check_says_which_array_is_overrun_and_json_says_the_same(mmb):
    code, out, _ = mmb("check", "scale.cu", *GIVEN, "--arg", "n=301", "--json", "--seeds", "1")
    (finding,) = json.loads(out)["findings"]
    assert code == 1
    assert (finding["kind"], finding["array"]) == ("out-of-bounds", "x")
    assert finding["places"][0]["line"] == 3 and finding["why"] and finding["mend"]
    code, out, _ = mmb("check", "scale.cu", *GIVEN, "--arg", "n=301", "--seeds", "1")
    assert code == 1 and "\033" not in out  # no terminal, no colour
    assert "3 |     if (i < n) y[i] = a * x[i];" in out


def test_profile_counts_sectors_by_line(mmb):
    code, out, _ = mmb("profile", "scale.cu", *GIVEN, "--arg", "n=256", "--json")
    (line,) = [x for x in json.loads(out)["lines"] if x["space"] == "global"]
    # 8 warps read and write 128 bytes each: 4 sectors of 32 bytes for each of the two
    assert (code, line["line"], line["sectors"], line["ideal"]) == (0, 3, 8 * 2 * 4, 8 * 2 * 4)
    code, out, _ = mmb("profile", "scale.cu", *GIVEN, "--arg", "n=256")
    assert code == 0 and "No line wastes" in out and "1.0x     3 |" in out


def test_missing_arguments_print_the_signature_and_an_example(mmb):
    code, out, err = mmb("run", "scale.cu", "--kernel", "scale<float>", "--arg", "zeros:4")
    assert (code, out) == (2, "")
    assert (
        "scale<float>(float* y, const float* x, float a, int n) needs an --arg for x, a, n" in err
    )
    assert "--arg x=random:256" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("scale.cu",), "name an instance, as in --kernel 'scale<float>'"),
        (("scale.cu", "--kernel", "other"), "there is no such kernel"),
        (("nowhere.cu",), "nowhere.cu: No such file"),
        (("scale.cu", *GIVEN, "--arg", "n=1.5"), "'1.5' is no int32"),
        (("scale.cu", *GIVEN, "--arg", "n=3", "--arg", "4"), "is one more"),
        (("scale.cu", *GIVEN, "--arg", "n=3", "--block", "a"), "--block a: expected one to three"),
        (
            ("scale.cu", *GIVEN, "--arg", "n=3", "--save", "z=z.npy"),
            "--save z=z.npy: expected NAME",
        ),
    ],
)
def test_what_cannot_be_run_is_one_clear_text_and_exit_code_2(mmb, words, message):
    code, out, err = mmb("run", *words)
    assert (code, out) == (2, "") and message in err and "Traceback" not in err


def test_compile_errors_stand_at_the_students_lines(mmb, empty_folder):
    (empty_folder / "e.cu").write_text(
        "__global__ void k(int* p, int n) { p[0] = m; }\n"
        "int main() {\n    float* x;\n    k<<<1, 2>>>(x, 3);\n}\n"
    )
    code, _, err = mmb("run", "e.cu")
    assert code == 2
    assert "e.cu:1:43: error: 'm' was not declared" in err.replace("‘", "'").replace("’", "'")
    assert "    1 | __global__ void k(int* p, int n) { p[0] = m; }" in err
    assert (
        "e.cu:4:" in err
        and "this kernel takes (int*, int), but it is launched with (float*, int)" in err
    )
    assert "emulator" not in err and "-std=" not in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#include <cublas_v2.h>\nint main() {}", "a.cu:1: #include <cublas_v2.h> asks for cuBLAS"),
        ("int main() {\n  cudaGraph_t g;\n}", "a.cu:2: cudaGraph_t: CUDA graphs are not emulated"),
        ("void f() {}\n__global__ void k() { f(); }\nint main() {}", "a.cu:2: f is a function of"),
        ("#include <thrust/sort.h>\nint main() {}", "asks for Thrust, which is not emulated"),
        (
            "#include <cuda/pipeline>\nint main() {}",
            "asks for libcu++, which is not emulated: take __syncthreads, atomicAdd",
        ),
        (
            "int main() {}\n__device__ void f(Barrier* b) { __pipeline_arrive_on(b); }",
            "a.cu:2: __pipeline_arrive_on: barriers of pipelines are not emulated",
        ),
        (
            "int main() {}\n__shared__ __mbarrier_t b;",
            "a.cu:2: __mbarrier_t: barriers of pipelines are not emulated",
        ),
        (
            "#include <cuda_awbarrier.h>\nint main() {}",
            "asks for the barrier interface, which is not emulated",
        ),
        (
            'int main() {}\n__device__ void f() { asm volatile("bar.sync 0;"); }',
            "a.cu:2: inline PTX",
        ),
    ],
)
def test_what_is_not_emulated_is_refused_by_name(mmb, empty_folder, text, message):
    (empty_folder / "a.cu").write_text(text)
    code, _, err = mmb("run", "a.cu")
    assert code == 2 and message in err


def test_the_programs_own_exit_code_and_arguments_go_through(mmb, empty_folder):
    (empty_folder / "a.cu").write_text(
        '#include <stdio.h>\n#include "b.cuh"\n'
        'int main(int n, char** w) { printf("%s\\n", w[1]); return VALUE; }\n'
    )
    (empty_folder / "b.cuh").write_text("#define VALUE 7\n")
    assert mmb("run", "a.cu", "--", "--grid") == (7, "--grid\n", "")


def test_colour_is_for_terminals_and_no_color_is_honoured(monkeypatch):
    class Terminal:
        def isatty(self):
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert report.Paint(Terminal()).wrong("x") == "\033[1;31mx\033[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert report.Paint(Terminal()).wrong("x") == "x"


def test_without_a_compiler_one_message_says_what_to_do(mmb, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    compile.compiler.cache_clear()
    code, _, err = mmb("run", "scale.cu", *GIVEN, "--arg", "n=3")
    compile.compiler.cache_clear()
    assert code == 2 and "apt install g++" in err


def test_on_other_systems_it_says_so(mmb, monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    compile.compiler.cache_clear()
    code, _, err = mmb("run", "scale.cu", *GIVEN, "--arg", "n=3")
    compile.compiler.cache_clear()
    assert code == 2 and "runs on Linux and WSL2 only" in err and "container" in err


COPY_OF_ROWS = """\
struct Row { float v[16]; };
__global__ void copy(Row* y, const Row* x, int n) {
    if (threadIdx.x <= n) y[threadIdx.x] = x[threadIdx.x];
}
int main() {
    Row *x, *y;
    cudaMalloc(&x, 10 * sizeof(Row)); cudaMalloc(&y, 10 * sizeof(Row));
    cudaMemset(x, 0, 10 * sizeof(Row));
    copy<<<1, 32>>>(y, x, 10);
    cudaFree(x); cudaFree(y);
}
"""


@pytest.mark.slow
def test_clang_compiles_and_its_copies_of_structures_are_checked(monkeypatch, mmb):
    """clang copies a structure by a call of memcpy, which nothing instruments by itself."""
    found = [name for name in ("clang++", "clang++-14", "clang++-16") if shutil.which(name)]
    if not found:
        pytest.skip("no clang++ here")
    monkeypatch.setenv("CXX", found[0])
    compile.compiler.cache_clear()
    try:
        Path("rows.cu").write_text(COPY_OF_ROWS)
        assert mmb("run", "rows.cu")[0] == 0
        code, told, _ = mmb("check", "rows.cu")
    finally:
        compile.compiler.cache_clear()
    assert code == 1
    assert "Access out of bounds in copy" in told and "rows.cu:3" in told


LAST_BLOCK = """\
#include <cuda.h>
#include <cstdio>
__device__ unsigned int finished = 0;
static __shared__ bool is_last;
__shared__ float half_of[2], whole;
__global__ void sum(const float* x, volatile float* parts, float* y) {
    half_of[threadIdx.x] = x[2 * blockIdx.x + threadIdx.x];
    __syncthreads();
    if (threadIdx.x == 0) {
        whole = half_of[0] + half_of[1];
        parts[blockIdx.x] = whole;
        __threadfence();
        is_last = atomicInc(&finished, gridDim.x) == gridDim.x - 1;
        if (is_last)
            for (int b = 0; b < 4; ++b) *y += parts[b];
    }
}
int main() {
    float *x, *parts, *y;
    cudaMallocManaged(&x, 8 * sizeof(float)); cudaMallocManaged(&parts, 4 * sizeof(float));
    cudaMallocManaged(&y, sizeof(float));
    for (int i = 0; i < 8; ++i) x[i] = i;
    *y = 0;
    sum<<<4, 2>>>(x, parts, y);
    cudaDeviceSynchronize();
    printf("%g\\n", *y);
    cudaFree(x); cudaFree(parts); cudaFree(y);
}
"""


def test_shared_variables_outside_of_kernels_belong_to_a_block_and_arrays_may_be_volatile(mmb):
    Path("last_block.cu").write_text(LAST_BLOCK)
    code, printed, told = mmb("run", "last_block.cu")
    assert (code, printed) == (0, "28\n"), told
    code, told, _ = mmb("check", "last_block.cu")
    assert code == 0, told
    Path("race.cu").write_text(LAST_BLOCK.replace("    __syncthreads();\n", ""))
    code, told, _ = mmb("check", "race.cu")
    assert code == 1 and "half_of" in told and "race.cu:9" in told
