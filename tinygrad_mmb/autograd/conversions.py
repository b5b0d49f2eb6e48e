"""What Tensor offers beside the ops: other dtypes and devices, values written in, transposes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_mmb import backend, ops
from tinygrad_mmb.autograd import inplace

if TYPE_CHECKING:
    from tinygrad_mmb.autograd.tensor import Tensor

# Methods named float, int and bool hide the built-in types below them, so results are Any here.


class Conversions:
    """Casting, moving, overwriting."""

    def to(self, *args: Any, **options: Any) -> Any:
        """x.to(dtype), x.to(device), x.to(device, dtype), x.to(other): x itself if nothing changes.

        `copy=True` copies in any case; `non_blocking` is accepted and has no effect.
        """
        return convert(self, args, options)  # type: ignore[arg-type]

    def type(self, dtype: Any = None, non_blocking: Any = False) -> Any:
        """x in another dtype."""
        if dtype is None or isinstance(dtype, str):
            raise NotImplementedError(f"type({dtype!r}): type(dtype) is built; x.dtype tells it")
        return self.to(dtype)

    @property
    def _version(self) -> Any:
        """How often this memory was written to in place. PyTorch's name."""
        return self.memory.version  # type: ignore[attr-defined]

    def type_as(self, other: Any) -> Any:
        """x in the dtype and on the device of another Tensor."""
        return self.to(other)

    def cpu(self) -> Any:
        """x in the memory of the host."""
        return self.to("cpu")

    def cuda(self, device: Any = None, non_blocking: Any = False) -> Any:
        """x on a GPU."""
        return self.to("cuda" if device is None else device)

    def half(self) -> Any:
        """x as float16."""
        return self.to(backend.float16)

    def float(self) -> Any:
        """x as float32."""
        return self.to(backend.float32)

    def double(self) -> Any:
        """x as float64."""
        return self.to(backend.float64)

    def char(self) -> Any:
        """x as int8."""
        return self.to(backend.int8)

    def byte(self) -> Any:
        """x as uint8."""
        return self.to(backend.uint8)

    def short(self) -> Any:
        """x as int16."""
        return self.to(backend.int16)

    def int(self) -> Any:
        """x as int32."""
        return self.to(backend.int32)

    def long(self) -> Any:
        """x as int64."""
        return self.to(backend.int64)

    def bool(self) -> Any:
        """Where x is not 0."""
        return self.to(backend.bool_)

    def copy_(self, other: Any, non_blocking: Any = False) -> Any:
        """Write the values of `other`, broadcast and cast, into x."""
        return inplace.copy(self, other)  # type: ignore[arg-type]

    def split(self, split_size: Any, dim: Any = 0) -> Any:
        """Views of pieces of one size (the last may be smaller), or of the listed sizes."""
        return ops.split(self, split_size, dim)

    def fill_(self, value: Any) -> Any:
        """Write one value into all elements of x."""
        return inplace.fill(self, value)  # type: ignore[arg-type]

    def zero_(self) -> Any:
        """Write 0 into all elements of x."""
        return inplace.fill(self, 0)  # type: ignore[arg-type]

    def detach_(self) -> Any:
        """Forget how x was made."""
        return inplace.detach_(self)  # type: ignore[arg-type]

    @property
    def T(self) -> Any:  # noqa: N802 - PyTorch's name
        """The dimensions in reversed order."""
        x: Any = self
        return ops.permute(x, tuple(range(x.ndim))[::-1])

    @property
    def mT(self) -> Any:  # noqa: N802 - PyTorch's name
        """The last two dimensions exchanged."""
        x: Any = self
        if x.ndim == 1:
            raise RuntimeError(
                "tensor.mT is only supported on matrices or batches of matrices. Got 1-D tensor of "
                f"shape {list(x.shape)}."
            )
        return ops.transpose(x, -2, -1) if x.ndim else ops.permute(x, ())


def convert(x: Tensor, args: tuple[Any, ...], options: dict[str, Any]) -> Tensor:
    """x.to(*args, **options).

    Raises: TypeError for arguments that name neither dtype nor device nor Tensor.
    """
    dtype, device = options.pop("dtype", None), options.pop("device", None)
    other = options.pop("other", None)
    copy = options.pop("copy", None)
    options.pop("non_blocking", None)
    if options.pop("memory_format", None) is not None:
        raise NotImplementedError("to(memory_format=...): only the default layout is built")
    if options:
        raise TypeError(f"to() got an unexpected keyword argument {next(iter(options))!r}")
    flags = []
    for position, a in enumerate(args):
        if position == 0 and hasattr(a, "requires_grad"):
            other = a
        elif isinstance(a, bool):
            flags.append(a)
        elif a is None or (
            isinstance(a, (str, int, backend.device)) and position == 0 and device is None
        ):
            device = a if a is not None else device
        elif position <= 1 and dtype is None and is_dtype(a):
            dtype = a
        else:
            raise TypeError(
                f"to() received an invalid combination of arguments - got {args}, but expected one "
                "of: (dtype), (device), (device, dtype), (Tensor other); each with non_blocking "
                "and copy"
            )
    if len(flags) > 2:
        raise TypeError("to() received an invalid combination of arguments: too many of them")
    if copy is None:
        copy = len(flags) == 2 and flags[1]
    if other is not None:
        dtype, device = other.dtype, other.device
    y = x
    if device is not None and not is_there(x, backend.as_device(device)):
        y = ops.to_device(y, device)
    if dtype is not None:
        y = ops.to(y, backend.as_dtype(dtype))
    return ops.clone(y) if copy and y is x else y


def is_there(x: Tensor, where: backend.device) -> bool:
    """Whether x lies there already; "cuda" means any GPU for what is on one."""
    here = x.device
    return here.type == where.type and where.index in (None, here.index)


def is_dtype(value: Any) -> bool:
    """Whether this names a dtype: ours, NumPy's, or the types bool, int and float."""
    return hasattr(value, "kind") or isinstance(value, type)
