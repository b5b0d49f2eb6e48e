"""`--add`: a kernel of one's own, right, wrong, and with another signature, for each kind."""

from __future__ import annotations

import sys
import textwrap
from types import SimpleNamespace

import numpy as np
import pytest

from tests.bench.machines import Scripted
from tinygrad_mmb.bench import contracts, own
from tinygrad_mmb.bench.cases import prepare
from tinygrad_mmb.bench.machine import Cpu
from tinygrad_mmb.bench.measure import checked
from tinygrad_mmb.bench.options import BenchError, Options

SOFTMAX = """
    import numpy as np
    def softmax(x, dim):
        e = np.exp(x - x.max(dim, keepdims=True))
        return e / e.sum(dim, keepdims=True)
"""
CUDA = """
    #include <cuda_runtime.h>
    // a thread a row, as a first try
    extern "C" __global__ void softmax(float* y, const float* __restrict__ x, int rows, int cols) {
        int row = blockIdx.x * blockDim.x + threadIdx.x;
        if (row >= rows) return;
        float m = -INFINITY, s = 0;
        for (int j = 0; j < cols; ++j) m = fmaxf(m, x[row * cols + j]);
        for (int j = 0; j < cols; ++j) s += expf(x[row * cols + j] - m);
        for (int j = 0; j < cols; ++j) y[row * cols + j] = expf(x[row * cols + j] - m) / s;
    }
"""


@pytest.fixture
def write(tmp_path):
    def file(name, text):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return file


def added(path, op="softmax", name="", machine=None, **options):
    text = f"{path}:{name}" if name else str(path)
    return own.candidates(Options(add=(text,), op=op, **options), machine or Cpu())


def row_of(found, machine=None):
    """The row of the first small case; on the emulator where the kernel is only checked."""
    machine = machine or Cpu()
    (case, *_) = own.cases(found, "small", False)
    problem = prepare(machine, case, 0)
    mine = own.of_case(found, case) or own.emulated_of(found, case)
    return checked(machine, problem, mine[0])


# -- Python


def test_a_function_with_all_arguments_of_the_op_is_right(write):
    found = added(write("my.py", SOFTMAX))
    row = row_of(found)
    assert row.ok
    assert (row.variant, row.backend, row.kernel) == ("my:softmax", "yours", "Softmax")
    assert found[0].candidate.timed


def test_a_function_of_the_arrays_alone_will_do(write):
    path = write("my.py", SOFTMAX.replace("x, dim", "x").replace("dim, keepdims", "1, keepdims"))
    assert row_of(added(path)).ok


def test_a_function_under_another_name(write):
    path = write("my.py", SOFTMAX.replace("def softmax", "def mine"))
    assert row_of(added(path, name="mine")).ok


def test_a_wrong_function_is_told_where_it_is_wrong_and_never_timed(write):
    row = row_of(added(write("my.py", SOFTMAX.replace("return e /", "return 1.01 * e /"))))
    assert not row.ok
    assert row.ms is None
    assert "came, but" in row.note


def test_a_function_with_another_signature_is_told_how_it_is_called(write):
    row = row_of(added(write("my.py", SOFTMAX.replace("x, dim", "x, dim, out, scale"))))
    assert not row.ok
    assert "my.py: softmax(x, dim, out, scale) does not fit Softmax" in row.note
    assert "2 arguments: float32 (3, 70), 1; the arrays alone will do too" in row.note


def test_a_function_that_returns_nothing_is_told_so(write):
    row = row_of(added(write("my.py", "def softmax(x, dim):\n    x.sum()\n")))
    assert row.note == "TypeError: my.py: softmax returned None; it should return the result"


def test_a_function_that_returns_another_shape_is_told_both(write):
    row = row_of(added(write("my.py", "def softmax(x, dim):\n    return x.sum(dim)\n")))
    assert row.note == "the result has shape (3,), but (3, 70) was expected"


def test_a_function_that_changes_its_input_is_told_so_and_spoils_nothing(write):
    path = write(
        "my.py", SOFTMAX.replace("e = np.exp(x -", "e = np.exp(np.subtract(x, 1, out=x) -")
    )
    found = added(path)
    (case, *_) = own.cases(found, "small", False)
    problem = prepare(Cpu(), case, 0)
    before = problem.args[0].copy()
    row = checked(Cpu(), problem, own.of_case(found, case)[0])
    assert not row.ok
    assert row.note == "it changed its argument 0 in place, which the others would be given"
    np.testing.assert_array_equal(problem.args[0], before)


def test_a_numba_function(write):
    pytest.importorskip("numba")
    source = """
        import numba, numpy as np
        @numba.njit
        def relu(x):
            y = np.empty_like(x)
            for i in range(x.size):
                y.flat[i] = x.flat[i] if x.flat[i] > 0 else 0
            return y
    """
    assert row_of(added(write("my.py", source), op="relu")).ok
    wrong = source.replace("> 0 else 0", "> 0.5 else 0")
    assert not row_of(added(write("wrong.py", wrong), op="relu")).ok


@pytest.mark.parametrize(
    ("source", "name", "message"),
    [
        ("def other(x): return x", "", "has no function softmax. There are: other. Name one"),
        ("softmax = 3", "", "softmax is of type int, and no function"),
        ("import no_such_module", "", "cannot be imported: ModuleNotFoundError: No module named"),
        ("def softmax(:", "", "cannot be imported: SyntaxError"),
    ],
)
def test_python_files_that_cannot_be_used_say_why(write, source, name, message):
    with pytest.raises(BenchError) as refused:
        added(write("my.py", source), name=name)
    assert message in str(refused.value)
    assert "my.py" in str(refused.value)


# -- kernels launched from Python: only on a GPU, so on a scripted one here


class Grid:
    """What numba.cuda and Triton give: kernel[grid, ...](arguments), recorded and computed."""

    def __init__(self, compute):
        self.compute, self.launches = compute, []

    def __getitem__(self, grid):
        def launch(*args, **options):
            self.launches.append((grid, len(args), options))
            self.compute(*args)

        return launch


def softmax_into(y, x, *sizes):
    x = np.asarray(x)
    e = np.exp(x - x.max(1, keepdims=True))
    np.copyto(np.asarray(y), e / e.sum(1, keepdims=True))


@pytest.fixture
def with_kernel(write):
    """A file whose `softmax` is the given object."""

    def file(kernel):
        sys.modules["kernel_of_the_test"] = SimpleNamespace(kernel=kernel)
        return write("my.py", "from kernel_of_the_test import kernel as softmax\n")

    yield file
    sys.modules.pop("kernel_of_the_test", None)


def test_a_numba_cuda_kernel_gets_grid_block_output_inputs_and_sizes(with_kernel):
    kernel = Grid(softmax_into)
    machine = Scripted()
    found = added(with_kernel(kernel), machine=machine)
    assert row_of(found, machine).ok
    assert kernel.launches[0] == (((3,), (256,)), 4, {})


@pytest.mark.torch
def test_a_triton_kernel_gets_torch_tensors_and_a_block_that_holds_a_row(with_kernel):
    pytest.importorskip("torch")
    kind = type("JITFunction", (Grid,), {"__module__": "triton.runtime.jit"})
    kernel, machine = kind(softmax_into), Scripted()
    found = added(with_kernel(kernel), machine=machine)
    assert row_of(found, machine).ok
    assert kernel.launches[0] == ((3,), 4, {"BLOCK": 128})


def test_a_raw_kernel_of_cupy_gets_its_arguments_as_c_types(with_kernel):
    kinds = []

    class RawKernel:
        def __call__(self, grid, block, args):
            kinds.extend(type(a).__name__ for a in args)
            softmax_into(*args)

    machine = Scripted()
    assert row_of(added(with_kernel(RawKernel()), machine=machine), machine).ok
    assert kinds == ["ndarray", "ndarray", "int32", "int32"]


def test_a_wrong_kernel_is_a_wrong_row_and_unwritten_memory_is_no_result(with_kernel):
    machine = Scripted()
    row = row_of(added(with_kernel(Grid(lambda *args: None)), machine=machine), machine)
    assert not row.ok
    assert "nan came, but" in row.note


def test_a_gpu_kernel_without_a_gpu_says_what_can_be_done(with_kernel):
    with pytest.raises(BenchError, match=r"is a kernel for a GPU.*A \.cu file can be"):
        added(with_kernel(Grid(softmax_into)))


# -- CUDA


def test_a_cuda_kernel_is_right_on_the_emulator_and_not_timed(write):
    found = added(write("my.cu", CUDA), grid="(rows + 31) // 32", block="32")
    row = row_of(found)
    assert row.ok, row.note
    assert row.variant == "my:softmax"
    assert not found[0].candidate.timed


def test_a_wrong_cuda_kernel_is_told_where(write):
    row = row_of(added(write("my.cu", CUDA.replace("/ s;", "/ (s + 1);")), grid="rows", block="1"))
    assert not row.ok
    assert "came, but" in row.note


def test_an_access_out_of_bounds_is_reported_with_its_line(write):
    path = write("my.cu", CUDA.replace("if (row >= rows) return;", ""))
    row = row_of(added(path, grid="1", block="32"))
    assert not row.ok
    assert "my.cu:8" in row.note


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("int rows, int cols", "int cols", "It has 3 parameters instead of 4"),
        ("float* y, const", "double* y, const",
         "Parameter 1 is 'double* y', but should be like 'float* y'"),
        ("const float* __restrict__ x", "float* x",
         "Parameter 2 is 'float* x', but should be like 'const float* x'"),
        ("int cols", "float cols", "Parameter 4 is 'float cols', but should be like 'int cols'"),
    ],
)  # fmt: skip
def test_a_cuda_kernel_with_another_signature_is_told_the_right_one(write, old, new, message):
    with pytest.raises(BenchError) as refused:
        added(write("my.cu", CUDA.replace(old, new)))
    assert message in str(refused.value)
    assert "Expected softmax(float* y, const float* x, int rows, int cols)" in str(refused.value)
    assert "Outputs come first, inputs are const, sizes are last" in str(refused.value)


def test_the_kernel_must_be_named_where_there_are_several(write):
    path = write("my.cu", CUDA + CUDA.replace("softmax(", "other("))
    with pytest.raises(BenchError, match=r"has 2 kernels. Name one: .*my\.cu:softmax"):
        added(path)
    with pytest.raises(
        BenchError, match=r"there is no kernel third. Its kernels .*: softmax, other"
    ):
        added(path, name="third")


def test_a_file_with_a_main_is_told_what_add_takes(write):
    path = write("my.cu", CUDA + "int main() { softmax<<<1, 1>>>(0, 0, 0, 0); }\n")
    with pytest.raises(BenchError) as refused:
        added(path)
    assert "my.cu" in str(refused.value)
    assert "a file of kernels, without main and launches" in str(refused.value)


def test_what_does_not_compile_is_told_with_the_line(write):
    with pytest.raises(BenchError, match=r"line 6:.*rowz"):
        added(write("my.cu", CUDA.replace("if (row >= rows)", "if (rowz >= rows)")))


# -- options


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"add": ("absent.py",), "op": "softmax"}, "there is no file absent.py"),
        ({"add": ("my.py",)}, "--add needs --op: what does my.py compute?"),
        ({"op": "softmax"}, "--op says what --add computes, so it needs --add FILE"),
    ],
)
def test_options_that_do_not_fit_together_say_so(given, message):
    with pytest.raises(BenchError) as refused:
        own.candidates(Options(**given), Cpu())
    assert message in str(refused.value)


def test_an_unknown_op_names_those_there_are(write):
    with pytest.raises(
        BenchError, match=r"--op sofmax: there is no such op\. For \.cu files: add, exp"
    ):
        added(write("my.py", SOFTMAX), op="sofmax")


def test_another_kind_of_file_is_refused(write):
    with pytest.raises(BenchError, match=r"expected a \.py or a \.cu file"):
        added(write("my.txt", ""))


def test_a_cuda_kernel_needs_an_op_with_a_contract(write):
    with pytest.raises(BenchError, match="there is none for LayerNorm, only for add, exp"):
        added(write("my.cu", CUDA), op="layer_norm")


@pytest.mark.parametrize(
    ("text", "value"),
    [("rows", (3,)), ("(n + 255) // 256, 2", (4, 2)), ("rows * 2 - 1", (5,))],
)
def test_grids_are_expressions_of_the_sizes(text, value):
    assert contracts.evaluate(text, {"rows": 3, "n": 1000}, "--grid") == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cols", "cols is no size of this op"),
        ("rows / 2", "only whole numbers"),
        ("__import__('os')", "only whole numbers"),
        ("1 +", "invalid syntax"),
        ("0", "one to three positive numbers"),
        ("1, 1, 1, 1", "one to three positive numbers"),
        ("rows // 0", "zero"),
    ],
)
def test_grids_that_are_none_are_refused(text, message):
    with pytest.raises(BenchError, match="--grid") as refused:
        contracts.evaluate(text, {"rows": 3}, "--grid")
    assert message in str(refused.value)


def test_every_contract_names_the_sizes_it_uses_and_fits_its_op():
    for name, contract in contracts.CONTRACTS.items():
        sizes = dict.fromkeys(contracts.sizes_named(contract), 1000)
        contracts.evaluate(contract.grid, sizes, name)
        contracts.evaluate(contract.block, sizes, name)
        (case, *_) = own.cases([SimpleNamespace(op=contract.op)], "small", False)
        problem = prepare(Cpu(), case, 0)
        assert list(contract.sizes(problem.args)) == contracts.sizes_named(contract)
        assert contract.shape(problem.args) == problem.expected[0].shape
        assert contract.kinds().count("input") == contract.inputs
