"""What of the outside world a traced step used: for the guards of a plan, and to put it back."""

from __future__ import annotations

import weakref
from typing import Any

from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.capture.tracer import Tracer
from tinygrad_mmb.ops.dropout import draw
from tinygrad_mmb.optim.gathering import count


class Witness:
    """Beside the tracer: which Tensors, modules, optimizers and schedules took part, as they were.

    `undo` puts back what a step that is refused halfway has changed.
    """

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        tracer.before_host = self.host_reads
        self.tensors: dict[int, tuple[Tensor, Any]] = {}  # and the array that each held
        self.stand_ins: dict[int, Tensor] = {}  # for Tensors that were handed in, by their id
        self.grads: dict[int, tuple[Tensor, Any]] = {}  # and its gradient of before, see `before`
        self.modules: dict[int, tuple[Any, dict[str, Any]]] = {}
        self.optimizers: dict[int, tuple[Any, dict[Any, Any]]] = {}
        self.schedules: dict[int, tuple[Any, dict[str, Any], list[dict[str, Any]]]] = {}
        self.generators: dict[int, tuple[Any, Any]] = {}

    def saw(self, t: Tensor, array: Any) -> Any:
        """The recording of what a Tensor holds."""
        x = self.tracer.known(array)
        if x is None:
            x = self.tracer.enter(array, seen=True)
        if x.look.storage.root is not None and id(t) not in self.tensors:
            self.tensors[id(t)] = (t, array)
            self.met(t)
        return x

    def met(self, t: Tensor) -> None:
        """Keep the gradient that a Tensor had when the step first touched it."""
        if id(t) not in self.grads:
            self.grads[id(t)] = (t, t._grad)

    def called(self, module: Any) -> None:
        """Keep the attributes of a module and of all in it: some are read without being called."""
        if id(module) not in self.modules:
            for m in module.modules():
                self.modules.setdefault(id(m), (m, attributes(m)))

    def stepped(self, optimizer: Any) -> None:
        """Keep what an optimizer remembered."""
        if id(optimizer) not in self.optimizers:
            state = {p: dict(kept) for p, kept in optimizer.state.items()}
            self.optimizers[id(optimizer)] = (optimizer, state)

    def scheduled(self, schedule: Any) -> None:
        """Keep where a schedule was."""
        if id(schedule) not in self.schedules:
            groups = [dict(group) for group in schedule.optimizer.param_groups]
            self.schedules[id(schedule)] = (schedule, dict(vars(schedule)), groups)

    def host_reads(self, read: Any, args: tuple[Any, ...]) -> None:
        """Keep the state of a generator that is about to draw."""
        if read is draw and id(args[0]) not in self.generators:
            self.generators[id(args[0])] = (args[0], args[0].get_state())

    def put_gradients_back(self) -> None:
        """Every .grad as before the step."""
        for t, grad in self.grads.values():
            t._grad = before(grad)

    def undo(self) -> None:
        """Everything as it was before the step; what Python code of the user's did, stays."""
        for storage in self.tracer.inputs:
            if storage.initial is not None:
                storage.root[...] = storage.initial
        self.put_gradients_back()
        for read, args, _ in self.tracer.reads:
            if read is count:
                args[0]["step"].array -= 1
        for generator, state in self.generators.values():
            generator.set_state(state)
        for schedule, before, groups in self.schedules.values():
            vars(schedule).clear()
            vars(schedule).update(before)
            for group, was in zip(schedule.optimizer.param_groups, groups, strict=True):
                group["lr"] = was["lr"]
        for optimizer, state in self.optimizers.values():
            for p in [p for p in optimizer.state if p not in state]:
                del optimizer.state[p]
            for p, kept in state.items():
                optimizer.state[p].clear()
                optimizer.state[p].update(kept)

    def settle(self) -> None:
        """The step stands: what is kept to undo it can go."""
        self.tracer.before_host = nobody
        for storage in self.tracer.inputs:
            storage.settle()
        for i, (t, grad) in self.grads.items():
            if isinstance(grad, Tensor) and self.tracer.known(grad.__dict__["array"]) is None:
                self.grads[i] = (t, weakref.ref(grad))

    def forget(self) -> None:
        """Let go of everything: the plan is made, or there will be none."""
        self.tracer.forget()
        for held in (self.tensors, self.stand_ins, self.grads, self.modules, self.optimizers,
                     self.schedules, self.generators):  # fmt: skip
            held.clear()


def before(grad: Any) -> Tensor | None:
    """The gradient that a step found, from what is kept of it: if all is settled, a weak reference
    to one that it did not read.
    """
    found: Tensor | None = grad() if isinstance(grad, weakref.ref) else grad
    return found


def nobody(read: Any, args: Any) -> None:
    """Looks at no number of the host."""


def attributes(module: Any) -> dict[str, Any]:
    """The attributes of a module, containers copied."""
    return {k: v.copy() if isinstance(v, (dict, list, set)) else v for k, v in vars(module).items()}
