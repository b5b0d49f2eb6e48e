"""Tensor: an array that remembers how it was made."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from tinygrad_mmb import ops  # the module, used inside methods only: the one import pointing right
from tinygrad_mmb.autograd import (
    assignment,
    differentiate,
    engine,
    hooks,
    inplace,
    printing,
    views,
)
from tinygrad_mmb.autograd.conversions import Conversions
from tinygrad_mmb.autograd.interchange import Interchange
from tinygrad_mmb.autograd.methods import Methods
from tinygrad_mmb.autograd.storage import Storage
from tinygrad_mmb.backend import (
    Array,
    DType,
    as_array,
    as_dtype,
    device,
    device_of,
    get_default_dtype,
    namespace,
    to_default_device,
    to_device,
)

if TYPE_CHECKING:
    from tinygrad_mmb.autograd.function import Context
    from tinygrad_mmb.autograd.views import View


class Tensor(Methods, Interchange, Conversions):
    """An n-dimensional array and its place in the graph of operations.

    Five fields make it: `array`, the numbers; `requires_grad`, whether what is computed from it is
    recorded; `grad`, ∂L/∂self after `L.backward()`; and `grad_fn`, `output_nr`, the recorded call
    that made it and which of its outputs it is. Most methods are ops: `x.exp()` is `ops.exp(x)`.
    """

    array: Array  #                          the numbers, in NumPy's or CuPy's hands
    _grad_fn: Context | None = None  #       the recorded call that made it; None for a leaf
    output_nr: int = 0  #                    which output of that call it is
    _requires_grad: bool = False
    _grad: Tensor | None = None
    _retains_grad: bool = False
    _storage: Storage | None = None  #       shared by views; made when first asked for
    _view: View | None = None  #             of which Tensor this is a view, and how
    _views: weakref.WeakValueDictionary[int, Tensor] | None = None  # living views of this one
    _leaf: engine.AccumulateGrad | None = None  # the node that receives a leaf's gradient

    __hash__ = object.__hash__  # == compares numbers, so identity has to be said

    def __init__(self, data: Any = (), *, requires_grad: bool = False) -> None:
        """Wrap an array or Tensor without copying; lists become the default float dtype."""
        if isinstance(data, (bool, int, float)):
            raise TypeError(
                f"Tensor({data}) would be sizes in PyTorch, of memory without values. Write "
                f"tensor({data}) for the number, empty({data}) for so many elements."
            )
        if isinstance(data, Tensor):
            self.array = data.array
        elif hasattr(data, "dtype"):
            self.array = as_array(data)
        else:
            self.array = as_array(data, get_default_dtype())
        if requires_grad:
            self.requires_grad = True

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this Tensor are recorded, so that it can receive a gradient."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value is not True and value is not False:
            raise RuntimeError(f"requires_grad must be a bool, not {value!r}")
        if value and self.array.dtype.kind != "f":
            raise RuntimeError(
                "only Tensors of floating point dtype can require gradients, and this one is "
                f"{self.array.dtype}. Convert it first: x.float().requires_grad_()."
            )
        if not value and self.grad_fn is not None:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables, and this Tensor is the "
                "result of an operation. Use x.detach() for a constant over the same memory."
            )
        self._requires_grad = bool(value)
        if self._view is not None:
            self._view.derived = False
            views.follow(self)
        if self._views is not None:
            views.spread(self)

    @property
    def grad_fn(self) -> Context | None:
        """The recorded call that made it; None for a leaf."""
        if self._view is not None:
            views.renew(self)
        return self._grad_fn

    @grad_fn.setter
    def grad_fn(self, node: Context | None) -> None:
        self._grad_fn = node

    @property
    def grad(self) -> Tensor | None:
        """∂L/∂self after `L.backward()`, added up over calls; None before, and inside a graph."""
        if self.grad_fn is not None and not self._retains_grad and self._grad is None:
            differentiate.warn_inner_gradient()
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            differentiate.check_assigned_gradient(self, value)
        self._grad = value

    @property
    def is_leaf(self) -> bool:
        """Made by the user, not by a recorded operation."""
        return self.grad_fn is None

    @property
    def edge(self) -> engine.Edge:
        """Where a gradient of this Tensor goes: (node, output index)."""
        if self._view is not None:
            views.renew(self)
        if self._grad_fn is not None:
            return self._grad_fn, self.output_nr
        if self._view is not None and self._view.derived:
            return views.Nowhere(self), 0  # made under no_grad from what requires a gradient
        if self._leaf is None:
            self._leaf = engine.AccumulateGrad(self)
        return self._leaf, 0

    @property
    def memory(self) -> Storage:
        """The record of in-place writes that all Tensors over this memory share."""
        if self._storage is None:
            self._storage = Storage()
        return self._storage

    @property
    def data(self) -> Tensor:
        """A constant over the same memory; writes through it go unnoticed by autograd."""
        return wrap(self.array)

    @data.setter
    def data(self, new: Tensor) -> None:
        inplace.set_data(self, new)

    def detach(self) -> Tensor:
        """A constant over the same memory; unlike with `data`, in-place writes are noticed."""
        return inplace.detached(self)

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Tensor | Sequence[Tensor] | None = None,
    ) -> None:
        """Add ∂self/∂leaf to `leaf.grad` for every leaf this was computed from, or for `inputs`.

        `gradient` is ∂L/∂self, needed unless self is a single number; `retain_graph` keeps what a
        second call needs; `create_graph` records the pass itself, for higher derivatives.

        Raises: RuntimeError if nothing was recorded, for a non-scalar without `gradient`, and on a
        second call without retain_graph.
        """
        if gradient is not None and not isinstance(gradient, Tensor):
            raise TypeError(f"gradients can be Tensors or None, not {type(gradient).__name__}")
        differentiate.fill_gradients(self, gradient, retain_graph, create_graph, inputs)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> hooks.RemovableHandle:
        """Call `hook(g)` with the complete gradient; what it returns, if not None, replaces it."""
        return hooks.add_hook(self, hook)

    def register_post_accumulate_grad_hook(
        self, hook: Callable[[Tensor], None]
    ) -> hooks.RemovableHandle:
        """Call `hook(leaf)` when `leaf.grad` is complete, while backward is still running."""
        return hooks.add_ready_hook(self, hook)

    def retain_grad(self) -> None:
        """Keep the gradient of an inner result in `.grad`, as for a leaf."""
        hooks.retain_grad(self)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad`, and return this same Tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each dimension."""
        return self.array.shape

    @property
    def dtype(self) -> DType:
        """The type of the numbers: float32, int64, ..."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.array.ndim

    @property
    def device(self) -> device:
        """Where the numbers live: device("cpu") or device("cuda:0")."""
        return device_of(self.array)

    @property
    def is_cuda(self) -> bool:
        """Whether the numbers live on a GPU."""
        return device_of(self.array).type == "cuda"

    def __len__(self) -> int:
        if not self.array.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self.array.shape[0]

    def __reversed__(self) -> Tensor:
        return ops.flip(self, (0,)) if self.array.ndim else self

    def __iter__(self) -> Iterator[Tensor]:
        if not self.array.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return iter(ops.unbind(self, 0))

    def __repr__(self) -> str:
        return printing.text(self)

    # Operators: a * b is ops.mul(a, b), a += b writes a + b into a.
    # fmt: off
    def __add__(self, other: Any) -> Tensor: return ops.add(self, other)
    def __radd__(self, other: Any) -> Tensor: return self.add(other)
    def __sub__(self, other: Any) -> Tensor: return ops.sub(self, other)
    def __rsub__(self, other: Any) -> Tensor: return ops.sub(other, self)
    def __mul__(self, other: Any) -> Tensor: return ops.mul(self, other)
    def __rmul__(self, other: Any) -> Tensor: return self.mul(other)
    def __truediv__(self, other: Any) -> Tensor: return ops.div(self, other)
    def __rtruediv__(self, other: Any) -> Tensor: return ops.mul(ops.reciprocal(self), other)
    def __rdiv__(self, other: Any) -> Tensor: return ops.mul(ops.reciprocal(self), other)
    def __floordiv__(self, other: Any) -> Tensor: return ops.floor_divide(self, other)
    def __rfloordiv__(self, other: Any) -> Tensor: return ops.floor_divide(other, self)
    def __mod__(self, other: Any) -> Tensor: return ops.remainder(self, other)
    def __rmod__(self, other: Any) -> Tensor: return ops.remainder(other, self)
    def __pow__(self, other: Any) -> Tensor: return ops.pow(self, other)
    def __rpow__(self, other: Any) -> Tensor: return ops.pow(other, self)
    def __matmul__(self, other: Any) -> Tensor: return ops.matmul(self, other)
    def __rmatmul__(self, other: Any) -> Tensor: return ops.matmul(other, self)
    def __neg__(self) -> Tensor: return ops.neg(self)
    def __pos__(self) -> Tensor: return ops.positive(self)
    def __abs__(self) -> Tensor: return ops.abs(self)
    def where(self, condition: Any, other: Any) -> Tensor: return ops.where(condition, self, other)
    def __invert__(self) -> Tensor: return inverted(self)
    def __and__(self, other: Any) -> Tensor: return ops.bitwise_and(self, other)
    def __rand__(self, other: Any) -> Tensor: return self.bitwise_and(other)
    def __or__(self, other: Any) -> Tensor: return ops.bitwise_or(self, other)
    def __ror__(self, other: Any) -> Tensor: return self.bitwise_or(other)
    def __xor__(self, other: Any) -> Tensor: return ops.bitwise_xor(self, other)
    def __rxor__(self, other: Any) -> Tensor: return self.bitwise_xor(other)
    def __eq__(self, other: Any) -> Any: return unless_strange(ops.eq, self, other)
    def __ne__(self, other: Any) -> Any: return unless_strange(ops.ne, self, other)
    def __lt__(self, other: Any) -> Tensor: return ops.lt(self, other)
    def __le__(self, other: Any) -> Tensor: return ops.le(self, other)
    def __gt__(self, other: Any) -> Tensor: return ops.gt(self, other)
    def __ge__(self, other: Any) -> Tensor: return ops.ge(self, other)
    def __getitem__(self, index: Any) -> Tensor: return ops.getitem(self, index)
    def __setitem__(self, index: Any, value: Any) -> None: assignment.setitem(self, index, value)
    def __iadd__(self, other: Any) -> Tensor: return self.add_(other)
    def __isub__(self, other: Any) -> Tensor: return self.sub_(other)
    def __imul__(self, other: Any) -> Tensor: return self.mul_(other)
    def __itruediv__(self, other: Any) -> Tensor: return self.div_(other)
    def __ifloordiv__(self, other: Any) -> Tensor: return self.floor_divide_(other)
    def __imod__(self, other: Any) -> Tensor: return self.remainder_(other)
    def __iand__(self, other: Any) -> Tensor: return self.bitwise_and_(other)
    def __ior__(self, other: Any) -> Tensor: return self.bitwise_or_(other)
    def __ixor__(self, other: Any) -> Tensor: return self.bitwise_xor_(other)
    def __ipow__(self, other: Any) -> Tensor: return self.pow_(other)
    # fmt: on


X = TypeVar("X", Tensor, Array)  # of an op: Tensors in, Tensor out; arrays in, array out


def wrap(array: Array, node: Context | None = None, output_nr: int = 0) -> Tensor:
    """A Tensor over this very array: output `output_nr` of `node`, or a constant."""
    t = Tensor.__new__(Tensor)
    t.array = array
    if node is not None and array.dtype.kind == "f":  # integers carry no gradient
        t._requires_grad = True
        t._grad_fn = node
        t.output_nr = output_nr
    return t


def unless_strange(compare: Callable[[Tensor, Any], Any], x: Tensor, other: Any) -> Any:
    """x == other or x != other, which Python answers itself where other is no number: x == None."""
    try:
        return compare(x, other)
    except TypeError:
        return NotImplemented


def inverted(x: Tensor) -> Tensor:
    """~x."""
    if x.array.dtype.kind == "f":
        raise TypeError(
            f"~ (operator.invert) is only implemented on integer and bool Tensors, not {x.dtype}"
        )
    return ops.bitwise_not(x)


def tensor(
    data: Any, *, dtype: DType | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A new leaf that holds a copy of `data`: numbers, nested lists, arrays.

    Python floats get the default dtype, ints int64, bools bool; arrays keep theirs.

    Raises: ValueError for ragged lists, TypeError for what is no number.
    """
    given = isinstance(data, Tensor)
    if given:
        data = data.array
    elif isinstance(data, (list, tuple)):
        data = plain(data)
    array = as_array(data, None if dtype is None else as_dtype(dtype))
    if device is not None:
        array = to_device(array, device)
    elif not given:  # a Tensor's numbers stay where they are
        array = to_default_device(array)
    t = wrap(namespace(array).array(array))
    if requires_grad:
        t.requires_grad = True
    return t


def plain(data: Any) -> Any:
    """Nested lists, with the Tensors in them made lists and numbers too."""
    if isinstance(data, Tensor):
        return data.tolist()
    if isinstance(data, (list, tuple)):
        return [plain(item) for item in data]
    return data
