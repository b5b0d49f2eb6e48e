"""Module: parameters, buffers and other modules under the names of its attributes.

There is no registration behind the scenes: `self.weight = Parameter(...)` is a plain attribute, and
`named_parameters()` looks through `vars(self)` in order of assignment: a debugger shows the truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Self

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import differentiate
from tinygrad_mmb.autograd.grad_mode import no_grad
from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.backend import DType, as_dtype, device, float16, float32, float64
from tinygrad_mmb.nn.hooks import ForwardHooks
from tinygrad_mmb.nn.parameter import Parameter
from tinygrad_mmb.nn.state import IncompatibleKeys, join, load


class Module(ForwardHooks):
    """A piece of a network: write `__init__`, which assigns parameters and modules, and `forward`.

    `super().__init__()` may be called, as in PyTorch, but need not be.
    """

    training: bool = True
    _buffers: dict[str, bool]  #               name → whether the state dict has it

    # -- what it is made of ----------------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of the modules directly inside; one that has two names comes once."""
        seen: set[int] = set()
        for name, value in self._own_modules():
            if id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def _own_modules(self) -> Iterator[tuple[str, Module]]:
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value
            elif isinstance(value, (list, tuple, dict)) and not name.startswith("_"):
                inside = value.values() if isinstance(value, dict) else value
                if any(isinstance(v, (Module, Parameter)) for v in islice(inside, 100)):
                    box = "ModuleDict" if isinstance(value, dict) else "ModuleList"
                    raise TypeError(
                        f"{type(self).__name__}.{name} is a bare {type(value).__name__} of modules "
                        "or parameters, which training, saving and moving would overlook. Use "
                        f"nn.{box} (nn.ParameterList for parameters)"
                    )

    def children(self) -> Iterator[Module]:
        """The modules directly inside."""
        for _, module in self.named_children():
            yield module

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """("block.linear", module) of this module and all inside, a module before its children."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._own_modules():
            yield from module.named_modules(memo, join(prefix, name), remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """The module itself and all inside."""
        for _, module in self.named_modules():
            yield module

    def _own_parameters(self) -> Iterator[tuple[str, Parameter]]:
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield name, value

    def _own_buffers(self, persistent_only: bool = False) -> Iterator[tuple[str, Tensor]]:
        for name, persistent in vars(self).get("_buffers", {}).items():
            value = vars(self).get(name)
            if isinstance(value, Tensor) and (persistent or not persistent_only):
                yield name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """("linear.weight", parameter): own ones first, then the children's; a shared one once."""
        seen: set[int] = set()
        for path, module in self._within(prefix, recurse, remove_duplicate):
            for name, value in module._own_parameters():
                if id(value) not in seen:
                    if remove_duplicate:
                        seen.add(id(value))
                    yield join(path, name), value

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, a shared one once: what the optimizer takes."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """("norm.running_mean", buffer) of all that `register_buffer` made."""
        seen: set[int] = set()
        for path, module in self._within(prefix, recurse, remove_duplicate):
            for name, value in module._own_buffers():
                if id(value) not in seen:
                    if remove_duplicate:
                        seen.add(id(value))
                    yield join(path, name), value

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers: state that is not trained."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def _within(
        self, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Module]]:
        if not recurse:
            return iter([(prefix, self)])
        return self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Make `self.name` state that is saved (if persistent) and moved, but not trained."""
        self._check_name(name, "buffer")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' (a Tensor or "
                "None required)"
            )
        self.__dict__.setdefault("_buffers", {})[name] = persistent
        setattr(self, name, tensor)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """As self.name = param, with the name checked; None says that there is none."""
        self._check_name(name, "parameter")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{type(param).__name__}' object to parameter '{name}' "
                "(nn.Parameter or None required)"
            )
        if param is not None and param.grad_fn is not None:
            raise ValueError(
                f"cannot assign a result to parameter '{name}': parameters are leaves. "
                "Write nn.Parameter(x.detach()), or compute it in forward()"
            )
        setattr(self, name, param)

    def add_module(self, name: str, module: Module | None) -> None:
        """As self.name = module, with the name checked."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(no_module(module))
        self._check_name(name, "module")
        setattr(self, name, module)

    def register_module(self, name: str, module: Module | None) -> None:
        """Alias for `add_module`."""
        self.add_module(name, module)

    def _check_name(self, name: str, kind: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string, but got {type(name).__name__}")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain ".", got: {name}')
        if not name:
            raise KeyError(f'{kind} name can\'t be empty string ""')
        kinds = {"buffer": Tensor, "parameter": Parameter, "module": Module}
        known = name in vars(self).get("_buffers", {}) if kind == "buffer" else False
        taken = hasattr(self, name) and name != "samples"  # only the class is asked for samples
        if taken and not known and not isinstance(getattr(self, name), kinds[kind]):
            raise KeyError(f"attribute '{name}' already exists")

    def get_submodule(self, target: str) -> Module:
        """The module at "a.b.c"; "" is this one.   Raises: AttributeError."""
        module = self
        for name in target.split(".") if target else ():
            found = getattr(module, name, None)
            if found is None:
                raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
            if not isinstance(found, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
            module = found
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at "a.b.weight".   Raises: AttributeError."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        found = getattr(module, name, None)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{name}` of {type(module).__name__} is not an nn.Parameter")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at "a.b.running_mean".   Raises: AttributeError."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if name not in dict(module._own_buffers()):
            raise AttributeError(f"`{name}` of {type(module).__name__} is not a buffer")
        return getattr(module, name)

    # -- changing all of it ----------------------------------------------------------------------

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` on every module inside, then on this one."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Behave as in training: dropout drops, batch norm uses the batch."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Behave as in use: nothing is random, statistics are frozen."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Train all parameters, or freeze them."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or fill them with zeros."""
        if set_to_none:
            differentiate.forget_gradients(parameters_of(self))
            return
        for parameter in self.parameters():
            if parameter.grad is not None:
                parameter.grad.array[...] = 0
                parameter.grad.memory.touch()

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move to a device, a floating dtype, or both: to("cuda"), to(float64), to(tensor).

        Raises: TypeError for an integer dtype.
        """
        where, dtype = destination(args, kwargs)
        if dtype is not None and dtype.kind != "f":
            raise TypeError(
                f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}"
            )
        return self._apply(lambda t: moved(t, where, dtype))

    def _apply(self, fn: Callable[[Tensor], Tensor]) -> Self:
        """Put fn(t) in place of every parameter, gradient and buffer."""
        with no_grad():
            for module in self.modules():
                for _, parameter in module._own_parameters():
                    gradient = parameter.grad
                    parameter.grad = None
                    parameter.data = fn(parameter.data)
                    if gradient is not None:
                        parameter.grad = fn(gradient.detach())
                for name, buffer in module._own_buffers():
                    setattr(module, name, fn(buffer))
        return self

    def float(self) -> Self:
        """All floating parameters and buffers as float32."""
        return self.to(float32)

    def double(self) -> Self:
        """All floating parameters and buffers as float64."""
        return self.to(float64)

    def half(self) -> Self:
        """All floating parameters and buffers as float16."""
        return self.to(float16)

    def cpu(self) -> Self:
        """All parameters and buffers on the CPU."""
        return self.to("cpu")

    def cuda(self, device: int | None = None) -> Self:
        """All parameters and buffers on a GPU."""
        return self.to("cuda" if device is None else f"cuda:{device}")

    # -- saving ----------------------------------------------------------------------------------

    def state_dict(
        self,
        *,
        destination: dict[str, Any] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Any]:
        """Parameters and persistent buffers by name, in PyTorch's keys and order; no copies."""
        state = {} if destination is None else destination
        for name, value in (*self._own_parameters(), *self._own_buffers(persistent_only=True)):
            state[prefix + name] = value if keep_vars else value.detach()
        for name, child in self._own_modules():
            child.state_dict(destination=state, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        return state

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy values in; with `assign` the Tensors themselves take the old ones' places.

        Raises: RuntimeError naming every key that is missing, unknown (both if strict) or of
        another shape; those that fit have been copied by then, as in PyTorch.
        """
        return load(self, state_dict, strict, assign)

    # -- testing ---------------------------------------------------------------------------------

    @classmethod
    def samples(cls, rng: Any, n: int) -> Iterator[tuple[Any, ...]]:
        """(module, *inputs) to test this kind of module with; arrays as inputs.

        Floating-point inputs are variables and lie away from kinks. Where inputs and output have n
        as their first size, it counts samples that do not see each other in evaluation.
        """
        raise NotImplementedError(f"{cls.__name__}.samples(rng, n) yields (module, *inputs)")

    # -- printing --------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What stands in the brackets: "in_features=3, out_features=2"."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        inside = [f"({name}): {indented(repr(m))}" for name, m in self._own_modules()]
        lines = extra.split("\n") if extra else []
        if not inside and len(lines) <= 1:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join([*lines, *inside]) + "\n)"


def parameters_of(module: Module) -> list[Parameter]:
    """All parameters, a shared one once."""
    return list(module.parameters())


def no_module(value: Any) -> str:
    """What to say of a value where a Module belongs."""
    text = f"{type(value).__name__} is not a Module subclass"
    if isinstance(value, type) and issubclass(value, Module):
        return f"{text}. {value.__name__} is a class: write {value.__name__}(...), with brackets"
    if isinstance(value, (list, tuple)):
        return f"{text}. Unpack it with a star: nn.Sequential(*layers)"
    if callable(value):
        return f"{text}. A function has no parameters: call it in forward(), or take its module"
    return text


def indented(text: str) -> str:
    """All lines but the first moved to the right."""
    return text.replace("\n", "\n  ")


def destination(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, DType | None]:
    """(device, dtype) from the arguments of `to`."""
    where, dtype = kwargs.get("device"), kwargs.get("dtype")
    for value in args:
        if isinstance(value, Tensor):
            where, dtype = value.device, value.dtype
        elif isinstance(value, (str, device)):
            where = value
        elif value is not None and not isinstance(value, bool):
            dtype = value
    return where, None if dtype is None else as_dtype(dtype)


def moved(t: Tensor, where: Any, dtype: DType | None) -> Tensor:
    """t elsewhere and, if it is floating, in another dtype."""
    if where is not None:
        t = t.to(where)
    return ops.to(t, dtype) if dtype is not None and t.dtype.kind == "f" else t


def count_parameters(module: Module, trainable_only: bool = False) -> int:
    """How many numbers the parameters hold; shared ones once."""
    kept = (p for p in module.parameters() if p.requires_grad or not trainable_only)
    return sum(math.prod(p.shape) for p in kept)
