"""Kernels on a GPU, for CuPy arrays, by one of two routes.

The extension _cuda, which setup.py builds with nvcc, if it holds this GPU's architecture. Else the
same sources, compiled by NVRTC at a kernel's first use and kept; cupy.RawModule loads the result.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tinygrad_mmb.backend import extension, is_array
from tinygrad_mmb.backend.arrays import cupy
from tinygrad_mmb.kernels.launch import nvrtc
from tinygrad_mmb.kernels.launch.arguments import arrays_in

Size = tuple[int, ...]
POINTER = ctypes.sizeof(ctypes.c_void_p)
UNASKED_SHARED = 48 * 1024  # bytes of shared memory a block may have without asking for more


class Gpu:
    """Launches where the arrays are, on CuPy's current stream."""

    def launch(
        self, file: str, name: str, grid: Size, block: Size, arguments: Sequence[Any], shared: int
    ) -> None:
        """Run one kernel. Raises RuntimeError with the error of CUDA or of the compiler."""
        device = device_of(name, arguments)
        if device == cupy().cuda.runtime.getDevice():
            route(device).launch(file, name, grid, block, arguments, shared)
            return
        with cupy().cuda.Device(device):
            route(device).launch(file, name, grid, block, arguments, shared)


@functools.cache
def launcher() -> Gpu:
    """What runs kernels on CuPy arrays."""
    return Gpu()


def device_of(name: str, arguments: Sequence[Any]) -> int:
    """The number of the GPU that holds the arrays. Raises RuntimeError if several do."""
    arrays: list[Any] = arrays_in(arguments)
    devices = {a.data.device_id for a in arrays}
    if len(devices) > 1:
        raise RuntimeError(
            f"kernel {name}: its arrays are on several GPUs, {sorted(devices)}. Move them to one."
        )
    return int(devices.pop())


def route(device: int) -> BuiltIn | Compiled:
    """How kernels reach this GPU."""
    return _route(str(cupy().cuda.Device(device).compute_capability), device)


@functools.cache
def _route(capability: str, device: int) -> BuiltIn | Compiled:
    if reason := why_not_built_in(capability):
        return Compiled(capability, reason)
    return BuiltIn(extension.load("cuda").module, device)


def why_not_built_in(capability: str) -> str:
    """Why _cuda does not serve a GPU of this compute capability; empty if it does."""
    built = extension.load("cuda")
    if built.module is None:
        return built.reason
    held = built.module.architectures()
    if any(runs_on(a, capability) for a in held):
        return ""
    return f"_cuda was built for {', '.join(held)}, this GPU is {capability}"


def runs_on(architecture: str, capability: str) -> bool:
    """Whether machine code for "86", or "90a", runs on a GPU of this compute capability.

    Within a major version newer GPUs run what older ones do, except what ends in a letter.
    """
    if not architecture.isdigit():
        return architecture[:-1] == capability
    return architecture[:-1] == capability[:-1] and int(architecture) <= int(capability)


@dataclass(frozen=True)
class BuiltIn:
    """Through the extension _cuda."""

    module: Any
    device: int

    def launch(
        self, file: str, name: str, grid: Size, block: Size, arguments: Sequence[Any], shared: int
    ) -> None:
        values = tuple([self.value(a) for a in arguments])
        stream = cupy().cuda.get_current_stream().ptr
        self.module.launch(name, grid, block, shared, stream, values, self.device)

    @staticmethod
    def value(argument: Any) -> Any:
        """An address for an array; bytes for an object; a NumPy scalar as it is."""
        if is_array(argument):
            return argument.data.ptr
        if is_object(argument) and not isinstance(argument, bytes):
            return bytes(argument)
        return argument


@dataclass
class Compiled:
    """Through NVRTC, for GPUs of one compute capability ("75")."""

    capability: str
    reason: str  # why _cuda does not serve
    functions: dict[tuple[str, str], Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def launch(
        self, file: str, name: str, grid: Size, block: Size, arguments: Sequence[Any], shared: int
    ) -> None:
        values = [in_c(name, i, a) for i, a in enumerate(arguments)]
        memory = [ctypes.create_string_buffer(v, len(v)) for v in values]
        addresses = (ctypes.c_void_p * len(memory))(*[ctypes.addressof(m) for m in memory])
        function = self.functions.get((file, name)) or self.compiled(file, name)
        if shared + function.shared_size_bytes > UNASKED_SHARED:
            function.max_dynamic_shared_size_bytes = shared
        sizes = (*(*grid, 1, 1)[:3], *(*block, 1, 1)[:3])
        driver, stream = cupy().cuda.driver, cupy().cuda.get_current_stream().ptr
        pointers = ctypes.addressof(addresses)
        try:
            driver.launchKernel(function.kernel.ptr, *sizes, shared, stream, pointers, 0)
        except driver.CUDADriverError as error:
            raise RuntimeError(f"kernel {name}: {error}") from error

    def compiled(self, file: str, name: str) -> Any:
        """The kernel, compiled if this machine has not done so before."""
        with self.lock:  # one thread compiles, the others wait for it
            if (file, name) not in self.functions:
                path, symbol = nvrtc.compiled(file, name, self.capability)
                module = cupy().RawModule(path=str(path))
                self.functions[file, name] = module.get_function(symbol)
        return self.functions[file, name]


def in_c(name: str, i: int, argument: Any) -> bytes:
    """An argument as C holds it in memory. Raises TypeError for what has no C type."""
    if argument is None:
        return bytes(POINTER)
    if is_array(argument):
        return int(argument.data.ptr).to_bytes(POINTER, sys.byteorder)
    if is_object(argument):
        return bytes(argument)
    if hasattr(argument, "dtype"):
        return bytes(argument.tobytes())
    raise TypeError(
        f"kernel {name}: argument {i} is {argument!r} ({type(argument).__name__}), which has no C "
        "type. Write int32(...), int64(...), float32(...) or float64(...)."
    )


def is_object(argument: Any) -> bool:
    """Whether this is the memory of an object that the kernel takes by value."""
    return isinstance(argument, (bytes, bytearray, memoryview)) or (
        getattr(getattr(argument, "dtype", None), "kind", "") == "V"
    )
