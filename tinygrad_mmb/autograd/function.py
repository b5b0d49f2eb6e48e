"""Function: one differentiable operation, there and back."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from sys import modules
from typing import Any, ClassVar

from tinygrad_mmb.autograd import anomaly, views
from tinygrad_mmb.autograd.engine import Edge
from tinygrad_mmb.autograd.grad_mode import recording
from tinygrad_mmb.autograd.hooks import Hooks
from tinygrad_mmb.autograd.placement import brought_together
from tinygrad_mmb.autograd.promotion import refuse_shapes
from tinygrad_mmb.autograd.storage import clock
from tinygrad_mmb.autograd.tensor import Tensor, wrap
from tinygrad_mmb.backend import Array, as_array, refuse_mixed_devices
from tinygrad_mmb.backend.layout import in_rows, led_by_operands
from tinygrad_mmb.kernels import recorder
from tinygrad_mmb.kernels.registry import Kernel, WithExtras, claim, select


class Context:
    """One recorded call: the node of the graph that `Tensor.grad_fn` names."""

    hooks: Hooks | None = None  #     what to show the gradients of the outputs
    origin: str | None = None  #      under detect_anomaly: the user's line
    kernel: Kernel | None = None  #   the twin that ran forward; its backend runs backward
    extras: Any = None  #             what that twin left for it
    create_graph = False  #           is the backward pass now running itself recorded?
    _saved: tuple[Any, ...] | None = ()

    def __init__(
        self,
        function: type[Function],
        edges: list[Edge | None],
        outputs: list[Array],
    ) -> None:
        self.function = function
        self.next_functions = edges
        self.outputs = [(y.shape, y.dtype) for y in outputs]
        self.time = clock()

    @property
    def needs_input_grad(self) -> list[bool]:
        """For each input, whether its gradient is wanted: spare the work where it is not."""
        return [edge is not None for edge in self.next_functions]

    def name(self) -> str:
        """As PyTorch prints it: MulBackward0."""
        return f"{self.function.__name__}Backward0"

    def save_for_backward(self, *values: Any) -> None:
        """Keep inputs or outputs for the way back."""
        for v in values:
            if isinstance(v, Tensor) and v.grad_fn is self:
                self._saved = tuple([_without_cycle(v, self) for v in values])
                return
        self._saved = values

    @property
    def saved_tensors(self) -> list[Any]:
        """The saved values: arrays, or Tensors while the backward pass is itself recorded.

        Raises: RuntimeError if they were freed by an earlier pass, or written over in place.
        """
        if self._saved is None:
            raise RuntimeError(
                "Trying to backward through the graph a second time, but what "
                f"{self.name()} had saved is freed. Pass retain_graph=True to the first backward()."
            )
        values = []
        for v in self._saved:
            if isinstance(v, Tensor):
                if v._storage is not None and v._storage.changed_since(self.time):
                    raise RuntimeError(
                        "one of the variables needed for gradient computation has been modified "
                        f"by an inplace operation: {self.name()} needs a tensor of shape "
                        f"{v.shape} as it was. Write out of place (x = x * 2), or clone() it "
                        "before the in-place operation."
                    )
                if not self.create_graph:
                    v = v.array
                elif type(v) is _Output:
                    v = wrap(v.array, self, v.output_nr)
            values.append(v)
        return values

    def backward(self, gs: list[Any]) -> tuple[Any, ...]:
        """Gradients of the inputs from those of the outputs: arrays from arrays, or Tensors."""
        self.create_graph = recording.get()  # the engine switches it off, or on for create_graph
        result = None
        if self.kernel is not None and not self.create_graph:
            result = self._run_twin(gs, self.kernel.backend)
        if result is None:
            result = self.function.backward(self, *gs)
        if type(result) is not tuple:
            result = (result,)
        if len(result) != len(self.next_functions):
            raise RuntimeError(
                f"{self.function.__name__}.backward returned an incorrect number of gradients "
                f"(expected {len(self.next_functions)}, got {len(result)}): one per argument of "
                "forward, None where there is none."
            )
        if self.origin is not None:
            anomaly.check_backward(self, gs, result)
        return result

    def _run_twin(self, gs: list[Any], backend: str) -> Any:
        """Backward follows forward: the same backend, with its extras."""
        args = (*gs, *self.saved_tensors)
        if self.extras is not None:
            args = (*args, self.extras)
        needs = self.needs_input_grad
        twin = select(f"{self.function.key}.backward", args, backend, needs_input_grad=needs)
        return None if twin is None else twin.run(*args, needs_input_grad=needs)

    def release(self) -> None:
        """Free what backward no longer needs."""
        if self._saved:
            self._saved = self.extras = None

    def __repr__(self) -> str:
        return f"<{self.name()} object>"


class _Output(Tensor):
    """An op's own result as its node saves it: no grad_fn, so no cycle result → node → result."""


def _without_cycle(value: Any, node: Context) -> Any:
    if not isinstance(value, Tensor) or value.grad_fn is not node:
        return value
    saved = _Output.__new__(_Output)
    saved.array, saved._storage = value.array, value.memory
    saved.output_nr = value.output_nr
    return saved


class Function:
    """One operation. Subclass it, write forward and backward, call `apply`.

    All names are those of torch.autograd.Function. `forward` sees arrays; `setup_context` sees what
    the caller passed and got, and saves what `backward` needs; `backward` is written in operators
    and ops, so that one rule serves arrays (the usual pass) and Tensors (higher derivatives).
    """

    key: ClassVar[str | None] = None  # of its twins in the kernel table
    promotion: ClassVar[Callable[[list[Any]], list[Any]] | None] = None  # how mixed dtypes meet
    view: ClassVar[bool] = False  # the outputs may share memory with the first input
    contiguous: ClassVar[bool] = False  # as in PyTorch, results lie in rows whatever the inputs do
    broadcasts: ClassVar[bool] = False  # the result lies in memory as the first operand does
    composed: ClassVar[Callable[..., Any] | None] = None  # where no twin runs: see Composite

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.key = claim(cls.__name__, cls.__module__)
        if "forward" in vars(cls) and "ctx" in inspect.signature(cls.forward).parameters:
            raise TypeError(
                f"{cls.__name__}.forward takes the arguments only, as arrays, and no ctx. Call "
                "ctx.save_for_backward in setup_context(ctx, inputs, output)."
            )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Arrays in, an array (or a tuple of arrays) out."""
        raise NotImplementedError("a Function needs a static method forward(...)")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Say what backward needs: inputs or output by ctx.save_for_backward, constants on ctx."""

    @staticmethod
    def backward(ctx: Any, *gs: Any) -> Any:
        """One gradient per input, from one per output."""
        raise NotImplementedError(
            f"{ctx.function.__name__} has no backward(ctx, g): nothing says what its gradient is."
        )

    @staticmethod
    def samples(rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        """Arguments to test (n = 4) and to time (n = 1024) this op with."""
        raise NotImplementedError("samples(rng, n) yields arguments of forward")

    @classmethod
    def apply(cls, *inputs: Any) -> Any:
        """Run forward; if an input requires a gradient, record the call."""
        arrays, edges, lifted, record = [], [], False, recording.get()
        for x in inputs:
            if isinstance(x, Tensor):
                arrays.append(x.array)
                edges.append(x.edge if record and x._requires_grad else None)
                lifted = True
            else:
                arrays.append(x)
                edges.append(None)
        if "cupy" in modules:  # else no array can lie on a GPU
            met = brought_together(cls, inputs)
            if met is not None:
                return cls.apply(*met)
        try:
            if cls.promotion is not None:
                arrays = cls.promotion(arrays)
            kernel = select(cls.key, arrays)
            if kernel is None and cls.composed is not None:
                return cls.composed(*inputs)
            run = cls.forward if kernel is None else kernel.run
            if kernel is None and recorder.active is not None:
                run = recorder.active.reference(cls)
            output = run(*arrays)
        except (TypeError, ValueError):
            refuse_unfit(cls, arrays)
            raise
        extras = None
        if type(output) is WithExtras:
            output, extras = output
        many = type(output) is tuple
        outputs = cls.arrays_of(list(output) if many else [output], arrays)
        if not lifted:  # arrays in, arrays out: nothing to record
            return tuple(outputs) if many else outputs[0]

        ctx = None
        if edges.count(None) < len(edges):
            ctx = Context(cls, edges, outputs)
            ctx.kernel, ctx.extras = kernel, extras
        results = [wrap(y, ctx, k) for k, y in enumerate(outputs)]
        if ctx is not None:
            cls.setup_context(ctx, inputs, tuple(results) if many else results[0])
            if anomaly.watching.get():
                anomaly.check_forward(ctx, arrays, outputs)
        if cls.view:
            views.link_views(cls, inputs, results, many)
        return tuple(results) if many else results[0]

    @classmethod
    def arrays_of(cls, outputs: list[Any], inputs: list[Any]) -> list[Array]:
        """What forward returned, as arrays that lie in memory as PyTorch's results do."""
        for k, y in enumerate(outputs):
            if isinstance(y, Tensor) or not hasattr(y, "ndim"):
                raise TypeError(
                    f"{cls.__name__}.forward returned a value of type {type(y).__name__}, but "
                    "should return an array, or a tuple of arrays: it is given arrays, and what is "
                    "computed of them with NumPy or tm functions is one."
                )
            if not y.ndim:
                outputs[k] = as_array(y)  # NumPy makes scalars of 0-d results
        if cls.contiguous:
            return [in_rows(y) for y in outputs]
        if cls.broadcasts and outputs[0].ndim > 1:
            return [led_by_operands(y, inputs) for y in outputs]
        return outputs


def refuse_unfit(function: type[Function], arrays: list[Any]) -> None:
    """Say in our words what NumPy has refused: operands on two devices, or of shapes that clash."""
    refuse_mixed_devices(arrays)
    if function.promotion is not None:
        refuse_shapes(function.__name__, arrays)


def all_functions(of: type[Function] = Function) -> Iterator[type[Function]]:
    """Every op there is, for tests and benchmarks to walk."""
    for cls in of.__subclasses__():
        if "forward" in vars(cls):
            yield cls
        yield from all_functions(cls)
