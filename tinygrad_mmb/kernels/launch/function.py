"""From a wrapper to a running kernel: on a GPU for CuPy arrays, on the emulator for NumPy arrays.

A wrapper names the file, the kernel, and passes grid, block and arguments with explicit C types:

    softmax_rows = cuda_function("softmax.cu", "softmax_rows_f32")
    softmax_rows((rows,), (256,), (y, x, int32(cols)))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from tinygrad_mmb.backend import arrays
from tinygrad_mmb.backend.arrays import on_device
from tinygrad_mmb.kernels.launch.arguments import are_on_host, arrays_in
from tinygrad_mmb.kernels.registry import DEVICE, WithExtras, kernel

F = TypeVar("F", bound=Callable[..., Any])
Size = tuple[int, ...]  # of a grid or block: one to three numbers

int32, int64 = arrays.int32.type, arrays.int64.type  # C's int and long long
float32, float64 = arrays.float32.type, arrays.float64.type  # C's float and double


class Launcher(Protocol):
    """What runs kernels: the emulator's library, the extension _cuda, or a cupy.RawModule."""

    def launch(
        self, file: str, name: str, grid: Size, block: Size, arguments: Sequence[Any], shared: int
    ) -> None:
        """Run one kernel. Raises RuntimeError for a launch that CUDA refuses."""


@dataclass(frozen=True)
class CudaFunction:
    """One kernel of csrc/cuda/kernels/<file>, as MMB_KERNEL lists it there."""

    file: str
    name: str

    def __call__(self, grid: Size, block: Size, arguments: Sequence[Any], shared: int = 0) -> None:
        """Launch it where the arrays are. `shared`: bytes of dynamic shared memory.

        An empty grid launches nothing. Raises: RuntimeError for a launch that CUDA refuses.
        """
        if 0 in grid:
            return
        launcher_of(arguments).launch(self.file, self.name, grid, block, arguments, shared)


def cuda_function(file: str, name: str) -> CudaFunction:
    """The kernel `name` of csrc/cuda/kernels/<file>. It is looked for at its first launch."""
    return CudaFunction(file, name)


def launcher_of(arguments: Sequence[Any]) -> Launcher:
    """The GPU if an argument is a CuPy array, else the emulator."""
    if on_device(arrays_in(arguments)):
        from tinygrad_mmb.kernels.launch import device

        return device.launcher()
    from tinygrad_mmb.kernels.launch import emulated

    return emulated.launcher()


def cuda_kernel(key: str, *, accepts: Callable[..., bool]) -> Callable[[F], F]:
    """Declare the twin of `key` on the GPU, and the same function as its twin on the emulator.

    `accepts` gets the arguments of the op and looks at shapes and dtypes; where and how the arrays
    lie is seen to here.
    """

    def register(run: F) -> F:
        def on_gpu(*args: Any, **options: Any) -> bool:
            return on_device(args) and accepts(*args, **options)

        def on_host(*args: Any, **options: Any) -> bool:
            return are_on_host(args) and accepts(*args, **options)

        kernel(key, backend="cuda", accepts=on_gpu, place=DEVICE)(run)

        def emulated_run(*args: Any, **options: Any) -> Any:
            from tinygrad_mmb.kernels.launch import emulated

            y = run(*args, **options)
            outputs = y.y if isinstance(y, WithExtras) else y
            emulated.require_written(outputs if type(outputs) is tuple else (outputs,), key)
            return y

        kernel(key, backend="emulator", accepts=on_host, place=None)(emulated_run)
        return run

    return register
