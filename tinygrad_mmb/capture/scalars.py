"""Numbers of the host that change from step to step: lr, t, betas, the key of a mask.

While a step is traced such a number is a Scalar: its value now, beside the text of how it came
about. At a replay the host reads the sources again and one compiled function gives all the numbers.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from tinygrad_mmb.capture.errors import CaptureError, said, user_line
from tinygrad_mmb.optim.optimizer import option

NUMBERS = (int, float)


class Scalar:
    """A number and its formula. `fixed`: known before the step begins, as lr is and t is not."""

    __slots__ = ("fixed", "text", "tracer", "value")

    def __init__(self, tracer: Any, value: Any, text: str, fixed: bool) -> None:
        self.tracer, self.value, self.text, self.fixed = tracer, value, text, fixed

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return self.tracer.ufunc(ufunc, method, inputs, options)

    def _refuse(self, *_: Any) -> Any:
        raise CaptureError(
            f"{said(user_line())}: a number that changes from step to step ({self.text}, now "
            f"{self.value!r}) is read on the host. Keep it in arithmetic (+ - * / **) with arrays, "
            "or compute it outside the captured step."
        )

    __float__ = __int__ = __index__ = __round__ = __floor__ = __ceil__ = __trunc__ = _refuse

    def __bool__(self) -> bool:
        return self._decided(f"bool({self.text})", bool(self.value))

    def _decided(self, text: str, answer: bool) -> bool:
        """A branch on an option of the optimizer: the plan holds while the answer is the same."""
        if not self.fixed:
            self._refuse()
        self.tracer.branches.append((text, answer))
        return answer

    def __neg__(self) -> Scalar:
        return type(self)(self.tracer, -self.value, f"(-{self.text})", self.fixed)

    def __pos__(self) -> Scalar:
        return self

    def __abs__(self) -> Scalar:
        return type(self)(self.tracer, abs(self.value), f"abs({self.text})", self.fixed)

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return self.text


def symbols(
    kind: type[Scalar], tracer: Any, read: Callable[..., Any], args: tuple[Any, ...], value: Any
) -> Any:
    """Note among `tracer.reads` that read(*args) gave `value`; its numbers as those of `kind`."""
    text, fixed = f"h{len(tracer.reads)}", read is option
    tracer.reads.append((read, args, value))
    if type(value) is tuple and all(type(x) in NUMBERS for x in value):
        return tuple([kind(tracer, x, f"{text}[{k}]", fixed) for k, x in enumerate(value)])
    return kind(tracer, value, text, fixed) if type(value) in NUMBERS else value


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float, Scalar)) and not isinstance(x, bool)


def _parts(x: Any) -> tuple[Any, str, bool]:
    return (x.value, x.text, x.fixed) if isinstance(x, Scalar) else (x, repr(x), True)


def _define(name: str, sign: str, compute: Callable[[Any, Any], Any]) -> None:
    def forward(self: Scalar, other: Any) -> Any:
        if not _is_number(other):
            return NotImplemented
        b, text, fixed = _parts(other)
        text = f"({self.text} {sign} {text})"
        return type(self)(self.tracer, compute(self.value, b), text, self.fixed and fixed)

    def backward(self: Scalar, other: Any) -> Any:
        if not _is_number(other):
            return NotImplemented
        text = f"({other!r} {sign} {self.text})"
        return type(self)(self.tracer, compute(other, self.value), text, self.fixed)

    setattr(Scalar, f"__{name}__", forward)
    setattr(Scalar, f"__r{name}__", backward)


def _compare(name: str, sign: str, compute: Callable[[Any, Any], Any]) -> None:
    def compare(self: Scalar, other: Any) -> Any:
        if not _is_number(other):
            return NotImplemented
        b, text, fixed = _parts(other)
        if not fixed:
            self._refuse()
        return self._decided(f"({self.text} {sign} {text})", compute(self.value, b))

    setattr(Scalar, f"__{name}__", compare)


for _name, _sign, _compute in (
    ("add", "+", operator.add),
    ("sub", "-", operator.sub),
    ("mul", "*", operator.mul),
    ("truediv", "/", operator.truediv),
    ("floordiv", "//", operator.floordiv),
    ("mod", "%", operator.mod),
    ("pow", "**", operator.pow),
):
    _define(_name, _sign, _compute)
for _name, _sign, _compute in (
    ("lt", "<", operator.lt),
    ("le", "<=", operator.le),
    ("gt", ">", operator.gt),
    ("ge", ">=", operator.ge),
    ("eq", "==", operator.eq),
    ("ne", "!=", operator.ne),
):
    _compare(_name, _sign, _compute)
