"""Tensors as text, in PyTorch's layout: tensor([1., 2.], requires_grad=True)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinygrad_mmb import backend
from tinygrad_mmb.backend import Array, to_numpy

if TYPE_CHECKING:
    from tinygrad_mmb.autograd.tensor import Tensor


@dataclass
class Options:
    """How numbers are shown."""

    precision: int = 4
    threshold: float = 1000  #     more elements than this are summarised
    edgeitems: int = 3  #          shown at each end of a summarised dimension
    linewidth: int = 80
    sci_mode: bool | None = None  # None: where the numbers need it


options = Options()
PROFILES = {
    "default": Options(),
    "short": Options(precision=2, edgeitems=2),
    "full": Options(threshold=math.inf),
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Change how Tensors are printed; what is not given stays, but for `sci_mode`.

    `profile` sets all of it: "default", "short" or "full".
    """
    if profile is not None:
        if profile not in PROFILES:
            raise ValueError(f"profile must be one of {', '.join(PROFILES)}, not {profile!r}")
        vars(options).update(vars(PROFILES[profile]))
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems}
    for name, value in {**given, "linewidth": linewidth}.items():
        if value is not None:
            setattr(options, name, value)
    options.sci_mode = sci_mode


class NumberFormat:
    """One format for all numbers of a tensor: integers, decimals, or powers of ten."""

    def __init__(self, shown: Array) -> None:
        self.is_float = shown.dtype.kind == "f"
        self.whole = True  # floats without fractions: 1., 2.
        self.scientific = False
        self.width = 1
        values = shown.ravel().tolist()
        if self.is_float:  # zeros, infinities and NaN have no say
            values = [v for v in values if math.isfinite(v) and v != 0]
            sizes = [abs(v) for v in values]
            self.whole = all(v == math.ceil(v) for v in values)
            if options.sci_mode is not None:
                self.scientific = options.sci_mode and bool(values)
            elif values:
                low, high = min(sizes), max(sizes)
                self.scientific = high / low > 1000.0 or high > 1.0e8 or low < 1.0e-4
        self.width = max([1, *[len(self._text(v)) for v in values]])

    def _text(self, value: Any) -> str:
        if not self.is_float:
            return str(value)
        if self.scientific:
            return f"{value:.{options.precision}e}"
        if self.whole:
            return f"{value:.0f}" + ("." if math.isfinite(value) else "")
        return f"{value:.{options.precision}f}"

    def __call__(self, value: Any) -> str:
        return self._text(value).rjust(self.width)


def summarised(a: Array) -> Array:
    """The corners of a large array: what will be shown of it."""
    xp = backend.namespace(a)
    for dim in range(a.ndim):
        if a.shape[dim] > 2 * options.edgeitems:
            ends = [*range(options.edgeitems), *range(-options.edgeitems, 0)]
            a = xp.take(a, ends, axis=dim)
    return a


def lines(a: Array, indent: int, cut: bool, form: NumberFormat) -> str:
    """The numbers between nested brackets."""
    edge = options.edgeitems
    if not a.ndim:
        return form(a.item())
    shorten = cut and a.shape[0] > 2 * edge
    if a.ndim == 1:
        values = a.tolist()
        texts = [form(v) for v in values]
        if shorten:
            texts = [*texts[:edge], " ...", *texts[-edge:]]
        per_line = max(1, (options.linewidth - indent) // (form.width + 2))
        rows = [", ".join(texts[i : i + per_line]) for i in range(0, len(texts), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(rows) + "]"
    if shorten:
        parts = [lines(x, indent + 1, cut, form) for x in (*a[:edge],)]
        parts += ["..."] + [lines(x, indent + 1, cut, form) for x in (*a[-edge:],)]
    else:
        parts = [lines(x, indent + 1, cut, form) for x in a]
    between = "," + "\n" * (a.ndim - 1) + " " * (indent + 1)
    return "[" + between.join(parts) + "]"


def text(t: Tensor) -> str:
    """repr(t)"""
    a = to_numpy(t.array)
    name = "tensor("
    indent = len(name)
    suffixes = []
    if not a.size:
        body = "[]"
        if a.ndim != 1:
            suffixes.append(f"size={a.shape}")
        if a.dtype != backend.get_default_dtype():
            suffixes.append(f"dtype={a.dtype}")
    else:
        cut = a.size > options.threshold
        form = NumberFormat(summarised(a) if cut else a)
        body = lines(a, indent, cut, form)
        natural = (backend.get_default_dtype(), backend.int64, backend.bool_)
        if a.dtype not in natural:
            suffixes.append(f"dtype={a.dtype}")
    place = str(t.device)
    if place != "cpu":
        suffixes.insert(0, f"device='{place}'")
    made = history(t)
    if made:
        suffixes.append(made)
    return _joined(name, body, suffixes, indent) + ")"


def history(t: Tensor) -> str:
    """grad_fn=<MulBackward0>, requires_grad=True, or nothing."""
    try:
        node: Any = t.grad_fn
    except RuntimeError:  # a view written over, whose place in the graph is lost
        return "grad_fn=<Invalid>"
    if node is not None:
        return f"grad_fn=<{node.name()}>"
    return "requires_grad=True" if t._requires_grad else ""


def _joined(name: str, body: str, suffixes: list[str], indent: int) -> str:
    """What follows the numbers, on the same line where it fits."""
    whole = name + body
    last = len(whole) - whole.rfind("\n") + 1
    for suffix in suffixes:
        if last + len(suffix) + 2 > options.linewidth:
            whole += ",\n" + " " * indent + suffix
            last = indent + len(suffix)
        else:
            whole += ", " + suffix
            last += len(suffix) + 2
    return whole
