"""Optimizer: groups of parameters with their options, and what an algorithm remembers of each."""

from __future__ import annotations

import inspect
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from sys import modules
from typing import Any, ClassVar

from tinygrad_mmb.autograd import differentiate
from tinygrad_mmb.autograd.grad_mode import enable_grad
from tinygrad_mmb.autograd.hooks import RemovableHandle
from tinygrad_mmb.autograd.tensor import Tensor, wrap
from tinygrad_mmb.backend import (
    Array,
    float32,
    float64,
    get_default_dtype,
    namespace,
    refuse_mixed_devices,
)
from tinygrad_mmb.kernels.recorder import host
from tinygrad_mmb.kernels.registry import select
from tinygrad_mmb.optim import gathering
from tinygrad_mmb.optim.options import number
from tinygrad_mmb.optim.options import required as required
from tinygrad_mmb.optim.state_dict import packed, unpacked

Group = dict[str, Any]  #         options by name, and under "params" a list of Tensors
State = dict[str, Array]  #       what `update` remembers of one parameter
PostHook = Callable[["Optimizer", tuple[Any, ...], dict[str, Any]], None]


class Optimizer:
    """Base class. An algorithm of its own writes the formula of one step for one parameter:

        class SignDescent(Optimizer):
            def __init__(self, params, lr=1e-2):
                super().__init__(params, {"lr": lr})

            def update(self, theta, g, state, *, lr):
                theta -= lr * namespace(theta).sign(g)

    `theta` and `g` are arrays; `theta` is changed in place (theta -= ..., theta[...] = ...; a
    plain theta = ... moves nothing), `g` never. The keyword arguments of `update` are filled from
    the options of the parameter's group; one named `t` counts the steps of this parameter, from 1.
    `state` is a dictionary of arrays, made by `start` before the first step. `step` asks the kernel
    table first: a twin takes (thetas, gs, states, ts) of a group.

    Raises: TypeError for a Tensor where a list of them belongs, or for what is no Tensor;
    ValueError for no parameters, for inner results, and for a parameter in two groups.
    """

    kernel: ClassVar[str | None] = None  # key in the kernel table; a new `update` drops it
    neutral: ClassVar[dict[str, Any]] = {}  # options that old state dicts lack, and what they meant
    _options: ClassVar[tuple[str, ...]] = ()  # the keyword arguments of `update`, without t
    _counts: ClassVar[bool] = False  # whether `update` asks for t

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "update" in vars(cls):
            names = inspect.signature(cls.update).parameters.values()
            stray = [p.name for p in names if p.kind is p.POSITIONAL_OR_KEYWORD][4:]
            if stray:
                raise TypeError(
                    f"{cls.__name__}.update: {', '.join(stray)} should stand behind a star: "
                    f"def update(self, theta, g, state, *, {', '.join(stray)})"
                )
            keywords = [p.name for p in names if p.kind is p.KEYWORD_ONLY]
            cls._options = tuple(k for k in keywords if k != "t")
            cls._counts = "t" in keywords
            if "kernel" not in vars(cls):  # a student's Adam must never run as ours
                cls.kernel = None

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                f"but got one Tensor of shape {params.shape}. Put it into a list: [x]."
            )
        self.defaults = defaults
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[Group] = []
        self._post_hooks: list[PostHook] = []
        self._opt_called = False  # a schedule that steps before its optimizer warns
        groups = listed(params)
        if not groups:
            raise ValueError(
                "optimizer got an empty parameter list. Pass model.parameters(), and make sure "
                "that they were not used up by an earlier loop."
            )
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    # -- one step

    def start(self, theta: Array, group: Group) -> State:
        """What `update` will find in its `state`: nothing, unless the algorithm remembers."""
        return {}

    def update(self, *args: Any, **options: Any) -> object:
        """The formula, with arguments (theta, g, state, *, ...). Every algorithm has its own."""
        raise NotImplementedError(f"{type(self).__name__} needs an update(theta, g, state, ...)")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient, and return `closure()` if there is one.

        `closure` clears the gradients, computes the loss, calls backward on it and returns it.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = gathering.with_gradient(group["params"])
            if params:
                self._step_group(group, params)
        self._opt_called = True
        for hook in list(self._post_hooks):
            hook(self, (self, *([] if closure is None else [closure])), {})
        return loss

    def _step_group(self, group: Group, params: list[Tensor]) -> None:
        options = {k: host(option, group, k) for k in self._options if k in group}
        memory = [self.state.get(p) or self._started(p, group) for p in params]
        thetas, gs, states, ts = gathering.gathered(params, memory, self._counts)
        if "cupy" in modules:
            for pair in zip(thetas, gs, strict=True):
                refuse_mixed_devices(pair)  # p.data = ... may have moved a parameter alone
        key = self.kernel
        twin = None if key is None else select(key, (thetas, gs, states, ts), **options)
        if twin is not None:
            twin.run(thetas, gs, states, ts, **options)
        else:
            for i, theta in enumerate(thetas):
                if self._counts:
                    options["t"] = ts[i]
                if self.update(theta, gs[i], states[i], **options) is not None:
                    raise TypeError(
                        f"{type(self).__name__}.update returned something, but should change theta "
                        "in place: theta -= ..., or theta[...] = ..."
                    )
        gathering.noted(params, memory, states)
        for p, kept in zip(params, memory, strict=True):
            if kept:  # without momentum SGD has no entries, as in PyTorch
                self.state[p] = kept

    def _started(self, p: Tensor, group: Group) -> dict[str, Any]:
        """The state of p before its first step."""
        state: dict[str, Any] = {"step": wrap(zero_steps(group))} if self._counts else {}
        state.update({k: wrap(array) for k, array in self.start(p.array, group).items()})
        if state:  # at once: p may be listed twice
            self.state[p] = state
        return state

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or with set_to_none=False fill them with zeros."""
        if set_to_none:
            for group in self.param_groups:
                differentiate.forget_gradients(group["params"])
            return
        for p in self._parameters():
            if p.grad is not None:
                if p.grad.grad_fn is not None:
                    p.grad = p.grad.detach()
                p.grad.requires_grad_(False)
                p.grad.array[...] = 0
                p.grad.memory.touch()

    def register_step_post_hook(self, hook: PostHook) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after every step; `handle.remove()` takes it away.

        Raises: NotImplementedError for a class with a `step` of its own, which would not call it.
        """
        if type(self).step is not Optimizer.step:
            raise NotImplementedError(
                f"{type(self).__name__} has a step() of its own, which calls no hooks. Write "
                "update() instead."
            )
        self._post_hooks.append(hook)
        return RemovableHandle(lambda: self._post_hooks.remove(hook))

    # -- groups

    def add_param_group(self, param_group: Group) -> None:
        """Move more parameters from now on; options that the group does not name are `defaults`."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        if "params" not in param_group:
            raise KeyError(f"params: a group needs its parameters, but has only {[*param_group]}")
        param_group["params"] = params = as_list(param_group["params"])
        named = [p for p in params if isinstance(p, tuple)]
        if named:
            if len(named) != len(params):
                raise ValueError(
                    "all optimizer params should be with/without names. Some param names are "
                    "missing"
                )
            param_group["params"] = params = [p for _, p in named]
            param_group["param_names"] = [name for name, _ in named]
        for i, p in enumerate(params):
            self._check(i, p)
        for name, default in self.defaults.items():
            if name not in param_group and (default is required or isinstance(default, required)):
                raise ValueError(
                    "parameter group didn't specify a value of required optimization parameter "
                    f"{name}"
                )
            param_group.setdefault(name, default)
        if len(params) != len(set(params)):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this "
                "will cause an error. Each is moved once for every time it is listed.",
                stacklevel=3,
            )
        if any(("param_names" in g) != ("param_names" in param_group) for g in self.param_groups):
            raise ValueError(
                "all optimizer param groups should be with/without names. cannot add param group "
                f"{'with' if named else 'without'} names to the optimizer"
            )
        if not set(self._parameters()).isdisjoint(params):
            raise ValueError(
                "some parameters appear in more than one parameter group. Leave them out of one: "
                "each parameter has one learning rate."
            )
        self.param_groups.append(param_group)

    def _check(self, i: int, p: Any) -> None:
        if not isinstance(p, Tensor):
            raise TypeError(
                f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__} "
                f"(number {i}). Pass model.parameters(), or a list of Tensors."
            )
        if p.grad_fn is not None and not p._retains_grad:
            raise ValueError(
                f"can't optimize a non-leaf Tensor: params[{i}] of shape {p.shape} is the result "
                "of an operation. Pass the Tensor that it was computed from, or x.detach()."
            )

    def _parameters(self) -> Iterator[Any]:
        return chain.from_iterable(group["params"] for group in self.param_groups)

    # -- saving and loading

    def state_dict(self) -> dict[str, Any]:
        """{"state": {0: {...}, ...}, "param_groups": [...]}: parameters numbered in their order.

        The Tensors in it are those in use: copy them (or write a file) to keep this moment.
        """
        return packed(self.param_groups, self.state)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a `state_dict()`, ours or PyTorch's: options and state are copied.

        Tensors, arrays and torch.Tensors are taken alike. All but the step count get the dtype and
        device of their parameter.

        Raises: ValueError if the groups differ in number or in size.
        """
        self.__setstate__(unpacked(state_dict, self.param_groups))

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        vars(self).setdefault("_post_hooks", [])
        vars(self).setdefault("_opt_called", False)
        for group in self.param_groups:
            for name, value in self.neutral.items():
                group.setdefault(name, value)

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for i, group in enumerate(self.param_groups):
            options = [f"    {k}: {group[k]}\n" for k in sorted(group) if k != "params"]
            text += f"\nParameter Group {i}\n{''.join(options)}"
        return f"{text})"


def listed(params: Any) -> list[Any]:
    """list(params), with a word for who passes the model or its method."""
    if not hasattr(params, "__iter__") and not hasattr(params, "__getitem__"):
        raise TypeError(
            "params argument given to the optimizer should be an iterable of Tensors or dicts, but "
            f"got {type(params).__name__}. Pass model.parameters(), with its brackets."
        )
    return list(params)


def as_list(params: Any) -> list[Any]:
    """The parameters of a group, in an order that is the same in every run."""
    if isinstance(params, Tensor):
        return [params]
    if isinstance(params, set):
        raise TypeError(
            "optimizer parameters need to be organized in ordered collections, but the ordering of "
            "tensors in sets will change between runs. Please use a list instead."
        )
    return list(params)


def option(group: Group, name: str) -> Any:
    """One option of a group, as a plain number if it is one."""
    return number(group[name])


def zero_steps(group: Group) -> Array:
    """No steps yet: PyTorch counts in a 0-d float on the CPU."""
    wide = get_default_dtype() == float64 and not group.get("fused")
    return namespace().zeros((), float64 if wide else float32)
