"""Tensors meet the rest of Python: numbers, lists, NumPy functions, other libraries' arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinygrad_mmb import ops
from tinygrad_mmb.backend import Array, as_array, cpu, device_of, is_array, namespace

if TYPE_CHECKING:
    from tinygrad_mmb.autograd.tensor import Tensor

# NumPy's name → ours, where they differ.
UFUNCS = {
    "absolute": "abs", "add": "add", "arctan2": "atan2", "divide": "div", "equal": "eq",
    "fabs": "abs", "greater": "gt", "greater_equal": "ge", "less": "lt", "less_equal": "le",
    "matmul": "matmul", "multiply": "mul", "negative": "neg", "not_equal": "ne", "power": "pow",
    "rint": "round", "subtract": "sub", "true_divide": "div",
}  # fmt: skip
SAME_UFUNCS = {
    "ceil", "cos", "cosh", "exp", "expm1", "floor", "isfinite", "isinf", "isnan", "log", "log1p",
    "log2", "logical_and", "logical_not", "logical_or", "maximum", "minimum", "reciprocal", "sign",
    "sin", "sinh", "sqrt", "square", "tan", "tanh",
}  # fmt: skip
# NumPy's function → ours and NumPy's argument names → ours.
FUNCTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "sum": ("sum", {"axis": "dim", "keepdims": "keepdim"}),
    "mean": ("mean", {"axis": "dim", "keepdims": "keepdim"}),
    "prod": ("prod", {"axis": "dim", "keepdims": "keepdim"}),
    "all": ("all", {"axis": "dim", "keepdims": "keepdim"}),
    "any": ("any", {"axis": "dim", "keepdims": "keepdim"}),
    "amax": ("amax", {"axis": "dim", "keepdims": "keepdim"}),
    "amin": ("amin", {"axis": "dim", "keepdims": "keepdim"}),
    "max": ("amax", {"axis": "dim", "keepdims": "keepdim"}),
    "min": ("amin", {"axis": "dim", "keepdims": "keepdim"}),
    "argmax": ("argmax", {"axis": "dim", "keepdims": "keepdim"}),
    "argmin": ("argmin", {"axis": "dim", "keepdims": "keepdim"}),
    "concatenate": ("cat", {"axis": "dim"}),
    "stack": ("stack", {"axis": "dim"}),
    "reshape": ("reshape", {}),
    "squeeze": ("squeeze", {"axis": "dim"}),
    "expand_dims": ("unsqueeze", {"axis": "dim"}),
    "broadcast_to": ("broadcast_to", {}),
    "where": ("where", {}),
    "clip": ("clamp", {"a_min": "min", "a_max": "max"}),
    "dot": ("matmul", {}),
    "outer": ("outer", {}),
    "einsum": ("einsum", {}),
    "tensordot": ("tensordot", {"axes": "dims"}),
    "tril": ("tril", {"k": "diagonal"}),
    "triu": ("triu", {"k": "diagonal"}),
    "flip": ("flip", {"axis": "dims"}),
}


class Interchange:
    """What Tensor offers to code that knows nothing of Tensors."""

    array: Array
    requires_grad: bool

    def numpy(self) -> Array:
        """The numbers as a NumPy array over the same memory.

        Raises: RuntimeError for a Tensor that requires a gradient (writes to the array would go
        unnoticed), TypeError for one on a GPU.
        """
        if self.requires_grad:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. "
                "Use tensor.detach().numpy() instead."
            )
        if device_of(self.array) != cpu:
            raise TypeError(
                f"can't convert {device_of(self.array)} device type tensor to numpy. "
                "Use tensor.cpu().numpy() instead."
            )
        return self.array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        array = self.numpy()
        if dtype is None or array.dtype == dtype:
            return array.copy() if copy else array
        if copy is False:
            raise ValueError(
                f"a conversion of {array.dtype} to {dtype} needs a copy, but copy=False"
            )
        return array.astype(dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """np.exp(t) is exp(t), and array * t is mul(array, t); anything else raises by name."""
        name = ufunc.__name__
        ours = UFUNCS.get(name) or (name if name in SAME_UFUNCS else None)
        if method != "__call__" or ours is None or options:
            what = f"numpy.{name}" if method == "__call__" else f"numpy.{name}.{method}"
            given = f" with {', '.join(f'{k}=' for k in options)}" if options else ""
            raise TypeError(
                f"{what}{given} is not available for Tensors, which it could not differentiate. "
                "Use the functions of tinygrad_mmb, or t.detach().numpy() for a plain array."
            )
        return getattr(ops, ours)(*inputs)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, kwargs: dict[str, Any]
    ) -> Any:
        """np.sum(t, axis=0) is sum(t, dim=0); a function without a counterpart raises by name."""
        name = function.__name__
        if name not in FUNCTIONS:
            raise TypeError(
                f"numpy.{name} is not available for Tensors, which it could not differentiate. Use "
                "the functions of tinygrad_mmb, or t.detach().numpy() for a plain array."
            )
        ours, renamed = FUNCTIONS[name]
        unknown = [k for k in kwargs if k not in renamed]
        if unknown:
            raise TypeError(f"numpy.{name} of a Tensor does not take {', '.join(unknown)}.")
        return getattr(ops, ours)(*args, **{renamed[k]: v for k, v in kwargs.items()})

    def __dlpack__(self, **options: Any) -> Any:
        if self.requires_grad:
            raise BufferError(
                "Can't export tensors that require gradient, use tensor.detach() before."
            )
        array: Any = self.array
        return array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        array: Any = self.array
        return array.__dlpack_device__()

    def item(self) -> Any:
        """The one element, as a Python number.

        Raises: RuntimeError if there is not exactly one.
        """
        if self.array.size != 1:
            raise RuntimeError(
                f"a Tensor with {self.array.size} elements cannot be converted to Scalar; item() "
                "is for one element, tolist() for all."
            )
        return self.array.item()

    def tolist(self) -> Any:
        """The numbers as nested lists, or one Python number for a 0-d Tensor."""
        return self.array.tolist()

    def __bool__(self) -> bool:
        if self.array.size != 1:
            kind = "no values" if self.array.size == 0 else "more than one value"
            raise RuntimeError(
                f"Boolean value of Tensor with {kind} is ambiguous. Use .any() or .all()."
            )
        return bool(self.array.item())

    def __float__(self) -> float:
        return float(self._only_element())

    def __int__(self) -> int:
        return int(self._only_element())

    def __complex__(self) -> complex:
        return complex(self._only_element())

    def _only_element(self) -> Any:
        if self.array.size != 1:
            raise ValueError(
                "only one element tensors can be converted to Python scalars, and this one has "
                f"shape {self.array.shape}"
            )
        return self.array.item()

    def __index__(self) -> int:
        if self.array.dtype.kind not in "biu" or self.array.size != 1:
            raise TypeError(
                "only integer tensors of a single element can be converted to an index, not "
                f"{self.array.dtype} of shape {self.array.shape}"
            )
        return int(self.array.item())

    def __contains__(self, value: Any) -> bool:
        if isinstance(value, (bool, int, float)) or hasattr(value, "dtype"):
            return bool((self == value).any())
        raise RuntimeError(
            "Tensor.__contains__ only supports Tensor or scalar, "
            f"but you passed in a {type(value)}."
        )

    def __format__(self, spec: str) -> str:
        if self.array.ndim == 0 and spec:
            return format(self.array.item(), spec)
        return object.__format__(self, spec) if spec else str(self)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or one of its sizes."""
        return self.array.shape if dim is None else self.array.shape[_checked(dim, self.array.ndim)]

    def dim(self) -> int:
        """The number of dimensions."""
        return self.array.ndim

    def ndimension(self) -> int:
        """The number of dimensions."""
        return self.array.ndim

    def numel(self) -> int:
        """The number of elements."""
        return self.array.size

    def nelement(self) -> int:
        """The number of elements."""
        return self.array.size

    def stride(self, dim: int | None = None) -> Any:
        """How many elements apart in memory neighbours along a dimension are."""
        strides = tuple(s // self.array.itemsize for s in self.array.strides)
        return strides if dim is None else strides[_checked(dim, self.array.ndim)]

    def element_size(self) -> int:
        """Bytes per element."""
        return self.array.itemsize

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self.array.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.array.nbytes

    def is_contiguous(self) -> bool:
        """Whether the elements lie in memory one after the other, the last dimension fastest."""
        return bool(self.array.flags.c_contiguous)

    def is_floating_point(self) -> bool:
        """Whether the elements are floating-point numbers."""
        return self.array.dtype.kind == "f"

    def data_ptr(self) -> int:
        """The address of the first element."""
        if hasattr(self.array.data, "ptr"):
            return self.array.data.ptr
        return self.array.__array_interface__["data"][0]

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A leaf of its own; inner results, which belong to a graph, cannot be copied."""
        if not self.is_leaf:  # type: ignore[attr-defined]
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
                "protocol at the moment. Use x.detach().clone()."
            )
        new = type(self).__new__(type(self))
        memo[id(self)] = new
        new.__setstate__(self.__getstate__())
        return new

    def __getstate__(self) -> dict[str, Any]:
        if not self.is_leaf:  # type: ignore[attr-defined]
            raise RuntimeError("an inner result of a graph cannot be pickled. Use x.detach().")
        grad = self._grad  # type: ignore[attr-defined]
        own = {k: v for k, v in vars(self).items() if not k.startswith("_") and k != "array"}
        array = namespace(self.array).array(self.array)
        return {**own, "array": array, "_requires_grad": self.requires_grad,
                "_grad": None if grad is None else grad.detach().clone()}  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


def _checked(dim: Any, ndim: int) -> int:
    if isinstance(dim, bool) or not hasattr(dim, "__index__"):
        raise TypeError(f"argument 'dim' must be int, not {type(dim).__name__}")
    dim = int(dim)
    if not -max(ndim, 1) <= dim < max(ndim, 1) or not ndim:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-ndim}, {ndim - 1}], "
            f"but got {dim})"
        )
    return dim


def from_dlpack(source: Any) -> Tensor:
    """A Tensor over the memory of any array that speaks DLPack: NumPy, CuPy, PyTorch, JAX.

    Raises: TypeError for anything else, BufferError where the other side refuses.
    """
    from tinygrad_mmb.autograd.tensor import wrap

    if is_array(source):
        return wrap(as_array(source))
    if not hasattr(source, "__dlpack__"):
        raise TypeError(f"from_dlpack: {type(source).__name__} has no __dlpack__")
    return wrap(as_array(namespace().from_dlpack(source)))
