"""CUDA kernels on a GPU, as far as that can be seen without one.

NVRTC compiles for any GPU without one; CuPy arrays may lie over host memory; and what a launch
hands to the driver is handed to the emulator instead, which takes the same arguments.
"""

import ctypes
from types import SimpleNamespace

import numpy as np
import pytest

from tinygrad_mmb.kernels.launch import (
    compile,
    cuda_function,
    device,
    emulated,
    float32,
    int32,
    is_float,
    nvrtc,
)

cupy = pytest.importorskip("cupy")
FOLDER = compile.sources() / "cuda" / "kernels"
FILES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.cu"))


def nvrtc_is_there():
    try:
        nvrtc.nvrtc()
        nvrtc.cuda_headers()
    except RuntimeError:
        return False
    return True


needs_nvrtc = pytest.mark.skipif(not nvrtc_is_there(), reason="NVRTC or CUDA's headers missing")


def read(file):
    return (FOLDER / file).read_text(encoding="utf-8")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MMB_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("file", FILES)
def test_python_reads_from_a_source_the_kernels_that_it_lists(file):
    assert set(nvrtc.expressions(read(file))) == set(emulated.library(file, "fast").signatures)


STEPS = pytest.mark.slow  # of ladders: they show how a kernel came to be, the last is in use
OF_T4 = [pytest.param(f, marks=STEPS) if "/" in f else f for f in FILES]


@needs_nvrtc
@pytest.mark.parametrize("file", OF_T4)
def test_the_first_kernel_of_each_file_compiles_for_a_t4(file, cache):
    name = next(iter(nvrtc.expressions(read(file))))
    path, symbol = nvrtc.compiled(file, name, "75")
    assert path.read_bytes().startswith(b"\x7fELF")
    assert symbol.encode() in path.read_bytes()


@needs_nvrtc
@pytest.mark.slow
@pytest.mark.parametrize("capability", ["75", "80", "90"])
@pytest.mark.parametrize("file", FILES)
def test_every_kernel_compiles_for_a_gpu_of_each_generation(file, capability, cache):
    for name in nvrtc.expressions(read(file)):
        path, symbol = nvrtc.compiled(file, name, capability)
        assert symbol.encode() in path.read_bytes()


@needs_nvrtc
def test_a_kernel_is_compiled_once_and_again_when_a_header_changes(cache, tmp_path, monkeypatch):
    root = tmp_path / "csrc"
    (root / "cuda" / "kernels").mkdir(parents=True)
    source, header = root / "cuda" / "kernels" / "one.cu", root / "cuda" / "two.cuh"
    source.write_text('#include "two.cuh"\n#define MMB_KERNEL(k)\n'
                      '__global__ void one(int* y) { *y = TWO; }\nMMB_KERNEL(one);\n')  # fmt: skip
    header.write_text("#define TWO 2\n")
    monkeypatch.setattr(compile, "sources", lambda: root)
    first, _ = nvrtc.compiled("one.cu", "one", "80")
    written = first.stat().st_ino
    assert nvrtc.compiled("one.cu", "one", "80")[0].stat().st_ino == written
    header.write_text("#define TWO 3\n")
    assert nvrtc.compiled("one.cu", "one", "80")[0] != first
    header.write_text("#define TWO )\n")
    with pytest.raises(RuntimeError, match=r"(?s)NVRTC cannot compile one of .*one\.cu.*expected"):
        nvrtc.compiled("one.cu", "one", "80")


@needs_nvrtc
def test_an_unknown_kernel_is_refused_with_those_there_are(cache):
    with pytest.raises(KeyError, match=r"softmax.cu lists no kernel nothing. It lists softmax"):
        nvrtc.compiled("softmax.cu", "nothing", "75")


def test_without_nvrtc_the_error_names_the_package(monkeypatch):
    def missing():
        raise OSError("no libnvrtc.so")

    monkeypatch.setattr(cupy.cuda, "nvrtc", SimpleNamespace(getVersion=missing))
    with pytest.raises(RuntimeError, match=r"no libnvrtc.so.*pip install 'cupy-cuda12x\[ctk\]'"):
        nvrtc.nvrtc()


SUPPORTED = (75, 80, 86, 89, 90, 100, 120)


@pytest.mark.parametrize(
    ("capability", "expected"),
    [("75", ("sm_75", True)), ("90", ("sm_90a", True)), ("120", ("sm_120a", True)),
     ("87", ("compute_86", False)), ("130", ("compute_120", False))],
)  # fmt: skip
def test_a_gpu_gets_its_own_machine_code_or_the_newest_ptx_that_it_understands(
    capability, expected
):
    assert nvrtc.target(capability, SUPPORTED) == expected


def test_a_gpu_older_than_nvrtc_supports_is_refused():
    with pytest.raises(RuntimeError, match=r"compute capability 61.*75 and newer"):
        nvrtc.target("61", SUPPORTED)


@pytest.mark.parametrize(
    ("architecture", "capability", "expected"),
    [("75", "75", True), ("80", "86", True), ("80", "89", True), ("86", "80", False),
     ("80", "90", False), ("90a", "90", True), ("90a", "100", False), ("100a", "103", False)],
)  # fmt: skip
def test_machine_code_runs_within_its_major_version_only(architecture, capability, expected):
    assert device.runs_on(architecture, capability) is expected


def over_host_memory(x, device_id=0):
    """A CuPy array whose memory is that of a NumPy array."""
    memory = cupy.cuda.UnownedMemory(x.ctypes.data, x.nbytes, x, device_id=device_id)
    pointer = cupy.cuda.MemoryPointer(memory, 0)
    return cupy.ndarray(x.shape, x.dtype, memptr=pointer, strides=x.strides)


STREAM = 4321


@pytest.fixture
def gpu(monkeypatch):
    """A machine with two GPUs of capability 8.6, as CuPy tells it; `entered` says which were made
    current.
    """
    state = SimpleNamespace(current=0, entered=[])

    class Device:
        compute_capability = "86"

        def __init__(self, number):
            self.number = number

        def __enter__(self):
            state.entered.append(self.number)

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(cupy.cuda, "Device", Device)
    monkeypatch.setattr(cupy.cuda.runtime, "getDevice", lambda: state.current)
    monkeypatch.setattr(cupy.cuda, "get_current_stream", lambda: SimpleNamespace(ptr=STREAM))
    device._route.cache_clear()
    yield state
    device._route.cache_clear()


@pytest.fixture
def without_cuda(monkeypatch):
    missing = device.extension.Extension("cuda", None, "not built: no nvcc")
    monkeypatch.setattr(device.extension, "load", lambda name: missing)


@pytest.fixture
def driver(monkeypatch, without_cuda, gpu):
    """NVRTC and the driver replaced by the emulator's library of the same kernels."""
    calls = SimpleNamespace(compiled=[], launched=[], functions={})

    def compiled(file, name, capability):
        calls.compiled.append((file, name, capability))
        return file, name

    class RawModule:
        def __init__(self, path):
            self.file = path

        def get_function(self, symbol):
            calls.functions[len(calls.functions) + 1] = (self.file, symbol)
            kernel = SimpleNamespace(ptr=len(calls.functions))
            calls.function = SimpleNamespace(kernel=kernel, shared_size_bytes=1024)
            return calls.function

    def launch(function, gx, gy, gz, bx, by, bz, shared, stream, arguments, extra):
        file, name = calls.functions[function]
        calls.launched.append((name, (gx, gy, gz), (bx, by, bz), shared, stream))
        sizes = [(ctypes.c_uint * 3)(*s) for s in ((gx, gy, gz), (bx, by, bz))]
        so = emulated.library(file, "fast").so
        assert so.mmb_launch(name.encode(), *sizes, shared, ctypes.c_void_p(arguments)) == 0

    monkeypatch.setattr(nvrtc, "compiled", compiled)
    monkeypatch.setattr(cupy, "RawModule", RawModule)
    monkeypatch.setattr(cupy.cuda.driver, "launchKernel", launch)
    return calls


LINE = """
#include "platform.cuh"
struct Line { float slope, offset; };
__global__ void line_at(float* y, const float* x, int n, float scale, Line line) {
    MMB_DYNAMIC_SHARED(float, held);
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    held[threadIdx.x] = x ? scale * x[i] : 0.0f;
    y[i] = line.slope * held[threadIdx.x] + line.offset;
}
MMB_KERNEL_AS(line_at_f32, line_at);
"""
line_at = cuda_function("line_at.cu", "line_at_f32")
LINE_OBJECT = np.array([3.0, -1.0], "float32").tobytes()  # slope, offset


@pytest.fixture
def line_source(tmp_path, monkeypatch):
    """A folder csrc with this kernel alone."""
    sources = compile.sources()
    kernels = tmp_path / "csrc" / "cuda" / "kernels"
    kernels.mkdir(parents=True)
    (kernels / "line_at.cu").write_text(LINE, encoding="utf-8")
    for path in sources.glob("cuda/*.*h*"):
        (kernels.parent / path.name).symlink_to(path)
    (tmp_path / "csrc" / "emulator").symlink_to(sources / "emulator")
    monkeypatch.setattr(compile, "sources", lambda: tmp_path / "csrc")


def test_arrays_on_a_gpu_reach_a_kernel_that_nvrtc_compiled(driver, line_source):
    x = np.arange(70, dtype="float32")
    y = np.zeros(70, "float32")
    arguments = over_host_memory(y), over_host_memory(x), int32(70), float32(0.5), LINE_OBJECT
    for _ in range(2):
        line_at((2,), (64,), arguments, shared=256)
    np.testing.assert_array_equal(y, 1.5 * x - 1.0)
    assert driver.compiled == [("line_at.cu", "line_at_f32", "86")]  # once
    assert driver.launched == 2 * [("line_at_f32", (2, 1, 1), (64, 1, 1), 256, STREAM)]
    assert not hasattr(driver.function, "max_dynamic_shared_size_bytes")


def test_none_is_a_null_pointer_and_an_object_may_be_a_numpy_record(driver, line_source):
    y = np.zeros(3, "float32")
    record = np.array((3.0, -1.0), [("slope", "f4"), ("offset", "f4")])[()]
    line_at((1,), (32,), (over_host_memory(y), None, int32(3), float32(1), record), shared=128)
    assert y.tolist() == [-1.0, -1.0, -1.0]


def test_more_than_48_kib_of_shared_memory_are_asked_for(driver, line_source):
    y = np.zeros(3, "float32")
    arguments = over_host_memory(y), None, int32(3), float32(1), LINE_OBJECT
    line_at((1,), (32,), arguments, shared=47 * 1024)  # and 1 KiB that the kernel has anyway
    assert not hasattr(driver.function, "max_dynamic_shared_size_bytes")
    line_at((1,), (32,), arguments, shared=47 * 1024 + 16)
    assert driver.function.max_dynamic_shared_size_bytes == 47 * 1024 + 16


@pytest.mark.parametrize("value", [3, 0.5, True])
def test_a_python_number_has_no_c_type(driver, line_source, value):
    y = over_host_memory(np.zeros(3, "float32"))
    with pytest.raises(TypeError, match=rf"line_at_f32: argument 2 is {value}.*Write int32"):
        line_at((1,), (32,), (y, None, value, float32(1), LINE_OBJECT))
    assert driver.launched == []


def test_an_error_of_the_driver_names_the_kernel(driver, line_source, monkeypatch):
    def refuse(*arguments):
        raise OSError("CUDA_ERROR_INVALID_VALUE: invalid argument")

    monkeypatch.setattr(cupy.cuda.driver, "CUDADriverError", OSError)  # the real one asks a driver
    monkeypatch.setattr(cupy.cuda.driver, "launchKernel", refuse)
    y = over_host_memory(np.zeros(3, "float32"))
    with pytest.raises(RuntimeError, match=r"kernel line_at_f32: CUDA_ERROR_INVALID_VALUE"):
        line_at((1,), (32,), (y, None, int32(3), float32(1), LINE_OBJECT))


def test_a_launch_goes_to_the_gpu_that_holds_the_arrays(driver, line_source, gpu):
    y = over_host_memory(np.zeros(3, "float32"), device_id=1)
    line_at((1,), (32,), (y, None, int32(3), float32(1), LINE_OBJECT), shared=128)
    assert gpu.entered == [1]


def test_arrays_on_two_gpus_are_refused(driver, line_source):
    x, y = (over_host_memory(np.zeros(3, "float32"), device_id=i) for i in (0, 1))
    with pytest.raises(RuntimeError, match=r"its arrays are on several GPUs, \[0, 1\]"):
        line_at((1,), (32,), (y, x, int32(3), float32(1), LINE_OBJECT))


class CudaModule:
    """The extension _cuda as far as a launch sees it."""

    def __init__(self, *architectures):
        self.architectures = lambda: list(architectures)
        self.launched = []

    def launch(self, *arguments):
        self.launched.append(arguments)


def built(monkeypatch, module):
    monkeypatch.setattr(
        device.extension, "load", lambda name: device.extension.Extension(name, module)
    )


def test_the_extension_gets_addresses_stream_and_device(monkeypatch, gpu):
    module = CudaModule("75", "80", "90a")
    built(monkeypatch, module)
    y = np.zeros(3, "float32")
    arguments = over_host_memory(y), None, int32(3), float32(1), bytearray(LINE_OBJECT)
    line_at((1,), (32,), arguments, shared=128)
    values = (y.ctypes.data, None, int32(3), float32(1), LINE_OBJECT)
    assert module.launched == [("line_at_f32", (1,), (32,), 128, STREAM, values, 0)]


def test_an_extension_for_other_gpus_is_not_used_and_that_is_said(monkeypatch, gpu):
    built(monkeypatch, CudaModule("75", "90a"))
    chosen = device.route(0)
    assert isinstance(chosen, device.Compiled)
    assert chosen.reason == "_cuda was built for 75, 90a, this GPU is 86"


def test_without_the_extension_its_reason_is_kept(without_cuda, gpu):
    assert device.route(0).reason == "not built: no nvcc"


def test_a_numpy_scalar_is_no_array_for_a_kernel():
    x = np.array(1.0)
    assert is_float(x)
    assert not is_float(x - 0.5)  # NumPy has made a scalar of it, whose memory does not last
