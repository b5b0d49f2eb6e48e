"""PyTorch as a peer: the same op on the same memory, eager or through torch.compile.

A function that is missing here has no PyTorch column; one that is wrong is found out, as a peer is
checked against the float64 reference like everybody else before it is timed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from tinygrad_mmb.backend import is_array
from tinygrad_mmb.bench.calls import OPTIONS
from tinygrad_mmb.bench.peers import NoPeer
from tinygrad_mmb.bench.work import BACKWARD, FORWARD, UPDATE

Call = Callable[[], Any]
MOST_SIZES = 1000  # that one function is compiled for
SAME_NAME = ("Exp", "Log", "Log2", "Log1p", "Expm1", "Sigmoid", "Erf", "Sqrt", "Rsqrt", "Abs",
             "Reciprocal", "Sin", "Cos", "Tan", "Tanh", "Neg", "Add", "Sub", "Mul", "Div",
             "Maximum", "Minimum", "Relu", "MatMul", "Pow", "Where")  # fmt: skip


def available() -> bool:
    return importlib.util.find_spec("torch") is not None


def torch() -> Any:
    import torch as library

    return library


def functional() -> dict[str, Callable[..., Any]]:
    """By op: PyTorch's function of the arguments of our forward pass."""
    t = torch()
    f = t.nn.functional

    def cross_entropy(x: Any, target: Any, w: Any) -> Any:
        if w is not None:
            raise NoPeer("torch weighs by class, not by sample")
        return f.cross_entropy(x, target, reduction="none")

    def batch_cross_entropy(
        x: Any, target: Any, w: Any, ignored: int, mean: bool, will_be_asked: bool
    ) -> Any:
        reduction = "mean" if mean else "sum"
        return f.cross_entropy(x, target, w, ignore_index=ignored, reduction=reduction)

    def conv2d(x: Any, weight: Any, bias: Any, geometry: Any, groups: int) -> Any:
        if geometry.top_left != geometry.bottom_right:
            raise NoPeer("torch pads both sides alike")
        return f.conv2d(
            x, weight, bias, geometry.stride, geometry.top_left, geometry.dilation, groups
        )

    def batch_norm(x: Any, weight: Any, bias: Any, eps: float) -> Any:
        return f.batch_norm(x, None, None, weight, bias, True, 0.0, eps)

    def layer_norm(x: Any, weight: Any, bias: Any, k: int, eps: float) -> Any:
        return f.layer_norm(x, x.shape[-k:], weight, bias, eps)

    def max_pool2d(x: Any, geometry: Any) -> Any:
        if geometry.top_left != geometry.bottom_right:
            raise NoPeer("torch pads both sides alike")
        return f.max_pool2d(
            x, geometry.kernel, geometry.stride, geometry.top_left, geometry.dilation
        )

    def window_sum(x: Any, geometry: Any) -> Any:
        if geometry.top_left != geometry.bottom_right or geometry.dilation != (1, 1):
            raise NoPeer("torch's average has no holes and pads both sides alike")
        return f.avg_pool2d(
            x, geometry.kernel, geometry.stride, geometry.top_left, divisor_override=1
        )

    def windows(x: Any, geometry: Any) -> Any:
        if geometry.top_left != geometry.bottom_right:
            raise NoPeer("torch pads both sides alike")
        y = f.unfold(x, geometry.kernel, geometry.dilation, geometry.top_left, geometry.stride)
        counts = [geometry.windows(a, x.shape[2 + a]) for a in (0, 1)]
        return y.view(*x.shape[:2], *geometry.kernel, *counts).permute(1, 2, 3, 0, 4, 5)

    def add_rows(x: Any, index: Any, rows: int) -> Any:
        table = x.new_zeros(rows, x.shape[-1])
        return table.index_add(0, index.reshape(-1), x.reshape(-1, x.shape[-1]))

    def reduction(name: str) -> Callable[..., Any]:
        function = getattr(t, name)
        return lambda x, dims, keep: function(
            x, tuple(range(x.ndim)) if dims is None else dims, keep
        )

    def sum_to(x: Any, shape: tuple[int, ...]) -> Any:
        if shape != tuple(x.shape[1:]):
            raise NoPeer("stated for a sum over the first dimension")
        return x.sum(0)

    table = {name: getattr(t, name.lower()) for name in SAME_NAME}
    return table | {
        "Softmax": f.softmax,
        "LogSoftmax": f.log_softmax,
        "LogSumExp": reduction("logsumexp"),
        "CrossEntropy": cross_entropy,
        "BatchCrossEntropy": batch_cross_entropy,
        "Linear": f.linear,
        "LinearRelu": lambda x, w, b: f.relu(f.linear(x, w, b)),
        "LinearGelu": lambda x, w, b, how: f.gelu(f.linear(x, w, b), approximate=how),
        "LayerNorm": layer_norm,
        "BatchNorm": batch_norm,
        "Conv2d": conv2d,
        "Conv2dRelu": lambda *args: f.relu(conv2d(*args)),
        "MaxPool2d": max_pool2d,
        "WindowSum": window_sum,
        "Windows": windows,
        "Rows": lambda table, index, _: f.embedding(index, table),
        "AddRows": add_rows,
        "Transpose": lambda x: x.t().contiguous(),
        "Gelu": lambda x, how: f.gelu(x, approximate=how),
        "Silu": f.silu,
        "Elu": lambda x, alpha, scale: f.elu(x, alpha) if scale == 1 else scale * f.elu(x, alpha),
        "Softplus": f.softplus,
        "Sum": reduction("sum"),
        "Mean": reduction("mean"),
        "Amax": reduction("amax"),
        "Amin": reduction("amin"),
        "SquaredError": lambda a, b: (a - b).square(),
        "SumTo": sum_to,
        "MaxOfAll": t.max,
        "MinOfAll": t.min,
        "MaxAlong": t.max,
        "MinAlong": t.min,
        "Argmax": t.argmax,
        "Argmin": t.argmin,
    }


def tensor_of(value: Any) -> Any:
    """The same memory as a torch.Tensor; uint16 are the bits of bfloat16."""
    if isinstance(value, list):
        return [tensor_of(v) for v in value]
    if not is_array(value):
        return value
    if value.dtype.name == "uint16":  # by way of int16, which every version exchanges
        return tensor_of(value.view("int16")).view(torch().bfloat16)
    return (
        torch().from_numpy(value) if isinstance(value, np.ndarray) else torch().from_dlpack(value)
    )


def host(result: Any) -> list[Any]:
    """Results as NumPy arrays."""
    results = result if isinstance(result, (tuple, list)) else [result]
    return [None if r is None else numpy_of(r) for r in results]


def numpy_of(tensor: Any) -> Any:
    found = tensor.detach().cpu()
    return (found.float() if found.dtype == torch().bfloat16 else found).numpy()


Setting = Callable[[], AbstractContextManager[Any]]


class Torch:
    """PyTorch, eager; with a setting that holds during each call, for some ops only."""

    wait: Callable[[Any], object] | None = None  # it works in the stream whose events are taken

    def __init__(
        self, name: str = "torch", setting: Setting | None = None, only: tuple[str, ...] = ()
    ) -> None:
        self.name, self.setting, self.only = name, setting, only

    def function(self, op: str) -> Callable[..., Any]:
        found = functional().get(op)
        if found is None:
            raise NoPeer(f"no PyTorch function is stated for {op}")
        return found

    def call(
        self, op: str, kind: str, args: Sequence[Any], heads: Sequence[Any], dtype: str
    ) -> tuple[Call, Callable[[Any], list[Any]]]:
        """What runs the op, and what makes NumPy arrays of its result. Raises: NoPeer."""
        if self.only and op not in self.only:
            raise NoPeer("the setting changes nothing for this op")
        tensors = [tensor_of(a) for a in args]
        if kind == UPDATE:
            return self.update(op, *tensors)
        run = self.function(op)
        if self.setting is not None:
            run = within(run, self.setting)
        if dtype == "tf32":
            run = within(run, tf32)
        if kind == FORWARD:
            return lambda: run(*tensors), host
        wanted = [x.requires_grad_() for x in tensors if is_float(x)]
        g = tensor_of(heads[0])
        grad = torch().autograd.grad

        def arrays(result: Any) -> list[Any]:
            found = iter(host(result))
            return [next(found) if is_float(x) else None for x in tensors]

        if kind == BACKWARD:
            y = first(run(*tensors))
            return lambda: grad(y, wanted, g, retain_graph=True), arrays
        return lambda: grad(first(run(*tensors)), wanted, g), arrays

    def update(
        self, op: str, thetas: Any, gradients: Any
    ) -> tuple[Call, Callable[[Any], list[Any]]]:
        """One step of torch.optim's class of the same name, fused where it can be."""
        cls = getattr(torch().optim, op, None)
        if cls is None:
            raise NoPeer(f"torch.optim has no {op}")
        params = [theta.clone().requires_grad_() for theta in thetas]
        for p, g in zip(params, gradients, strict=True):
            p.grad = g
        options = OPTIONS.get(op, {"lr": 1e-3})
        try:
            optimizer = cls(params, fused=True, **options)
        except (TypeError, RuntimeError):
            optimizer = cls(params, foreach=True, **options)
        return optimizer.step, lambda _: host(params)


class Compiled(Torch):
    """PyTorch through torch.compile."""

    def __init__(self) -> None:
        super().__init__("torch.compile")

    def call(
        self, op: str, kind: str, args: Sequence[Any], heads: Sequence[Any], dtype: str
    ) -> tuple[Call, Callable[[Any], list[Any]]]:
        if kind in (UPDATE, BACKWARD) or dtype == "tf32":
            raise NoPeer("compiled: forward, or forward and backward together")
        return super().call(op, kind, args, heads, dtype)

    def function(self, op: str) -> Callable[..., Any]:
        # past the limit, a function that met many sizes would run eagerly, without a word
        torch()._dynamo.config.recompile_limit = MOST_SIZES
        compiled: Callable[..., Any] = torch().compile(super().function(op), dynamic=False)
        return compiled


def flavours(kind: str, compiled: bool) -> list[Torch]:
    """PyTorch in the forms that are compared on a "cpu" or "gpu"."""
    found = [Torch()]
    if kind == "gpu":
        found += [
            Torch("torch, cuDNN off", without_cudnn, ("BatchNorm", "Conv2d")),
            Torch("torch, cuBLASLt", by_cublas_lt, ("MatMul", "Linear")),
        ]
    return [*found, Compiled()] if compiled else found


def within(run: Callable[..., Any], setting: Setting) -> Callable[..., Any]:
    """`run` with the setting on."""

    def with_setting(*args: Any) -> Any:
        with setting():
            return run(*args)

    return with_setting


def without_cudnn() -> AbstractContextManager[Any]:
    flags: AbstractContextManager[Any] = torch().backends.cudnn.flags(enabled=False)
    return flags


@contextmanager
def by_cublas_lt() -> Iterator[None]:
    """Products by cuBLASLt, which chooses among more kernels than cuBLAS."""
    library = torch().backends.cuda.preferred_blas_library
    before = library()
    library("cublaslt")
    try:
        yield
    finally:
        library(before)


def is_float(x: Any) -> bool:
    return isinstance(x, torch().Tensor) and x.is_floating_point()


def first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


def set_threads(n: int) -> None:
    """As many threads for PyTorch as for us."""
    torch().set_num_threads(n)


def product_on_gpu(dtype: str, n: int) -> Call | None:
    """A product of bfloat16 matrices, or of float32 ones by TF32; None without PyTorch on CUDA."""
    if not available() or not torch().cuda.is_available():
        return None
    t = torch()
    a = t.randn(n, n, device="cuda", dtype=t.bfloat16 if dtype == "bfloat16" else t.float32)

    product: Callable[..., Any] = within(t.matmul, tf32) if dtype == "tf32" else t.matmul
    return lambda: product(a, a)


@contextmanager
def tf32() -> Iterator[None]:
    """Products of float32 in TF32."""
    settings = torch().backends.cuda.matmul
    before = settings.allow_tf32
    settings.allow_tf32 = True
    try:
        yield
    finally:
        settings.allow_tf32 = before
