"""PyTorch's own samples, run in PyTorch and here: `python -m tests.parity.opinfo sum mean`.

Every outcome is one of: passed (same values, dtypes, gradients, or both refuse), refused (PyTorch
answers, we raise) and WRONG (another number, dtype or shape, or an answer where PyTorch raises).
"""

from __future__ import annotations

import argparse
import re
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

import tinygrad_mmb as tm
from tinygrad_mmb.nn import functional as F

DTYPES = {
    torch.float64: tm.float64, torch.float32: tm.float32, torch.float16: tm.float16,
    torch.int64: tm.int64, torch.int32: tm.int32, torch.int16: tm.int16, torch.int8: tm.int8,
    torch.uint8: tm.uint8, torch.bool: tm.bool,
}  # fmt: skip
# PyTorch's samples of these do not come in the order of the public arguments.
ADAPTED: dict[str, Callable[..., Any]] = {
    "where": lambda x, condition, other: tm.where(condition, x, other),
    "einsum": lambda operands, equation: tm.einsum(equation, *operands),
    "nn.functional.embedding": lambda weight, x, **k: F.embedding(x, weight, **k),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
}
RANDOM = re.compile(r"^(rand|empty|normal|bernoulli|multinomial)|dropout")
TOLERANCE = {np.float64: 1e-7, np.float32: 2e-4, np.float16: 2e-2}


@dataclass
class Report:
    """What came of the samples of one op."""

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, outcome: str, text: str = "") -> None:
        self.counts[outcome] += 1
        if outcome != "passed":
            self.examples.append(f"{outcome}: {text}")


def ours(name: str) -> Callable[..., Any] | None:
    """Our function of PyTorch's name: a function of the package, else a method of Tensor."""
    if name in ADAPTED:
        return ADAPTED[name]
    target: Any = tm
    for part in name.split("."):
        target = getattr(target, part, None)
        if not callable(target) and part == name.split(".")[-1]:
            return getattr(tm.Tensor, name, None)
    return target


def converted(value: Any) -> Any:
    """PyTorch's arguments as ours, over the same memory and with the same strides."""
    if isinstance(value, torch.Tensor):
        if value.dtype not in DTYPES:
            raise NotImplementedError(f"dtype {value.dtype}")
        if value.dim() > 64:
            raise NotImplementedError("NumPy has at most 64 dimensions")
        t = tm.from_numpy(value.detach().resolve_conj().resolve_neg().numpy())
        return t.requires_grad_() if value.requires_grad else t
    if isinstance(value, torch.dtype):
        if value not in DTYPES:
            raise NotImplementedError(f"dtype {value}")
        return DTYPES[value]
    if isinstance(value, torch.device):
        return str(value)
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, (list, tuple)):
        return type(value)(converted(v) for v in value)
    if isinstance(value, dict):
        return {k: converted(v) for k, v in value.items()}
    return value


def flat(value: Any) -> list[Any]:
    """The Tensors (and numbers) of a result, in order."""
    if isinstance(value, (list, tuple)):
        return [v for part in value for v in flat(part)]
    return [value]


def variables(value: Any) -> Iterator[Any]:
    """The Tensors among (nested) arguments that require a gradient."""
    if isinstance(value, (list, tuple)):
        for v in value:
            yield from variables(v)
    elif isinstance(value, dict):
        yield from variables(list(value.values()))
    elif getattr(value, "requires_grad", False):
        yield value


def array_of(value: Any) -> np.ndarray:
    return np.asarray(
        value.detach().numpy(force=True)
        if isinstance(value, torch.Tensor)
        else getattr(value, "array", value)
    )


def difference(expected: Any, got: Any, scale: float = 1.0) -> str | None:
    """What differs between PyTorch's result and ours; None where they agree."""
    expected, got = flat(expected), flat(got)
    if len(expected) != len(got):
        return f"{len(got)} results instead of {len(expected)}"
    for e, g in zip(expected, got):
        if (e is None) != (g is None):
            return f"{g} instead of {e}"
        if e is None:
            continue
        if isinstance(e, torch.Tensor) and not isinstance(g, tm.Tensor):
            return f"a {type(g).__name__} instead of a Tensor"
        a, b = array_of(e), array_of(g)
        if a.dtype != b.dtype or a.shape != b.shape:
            return f"{b.dtype} {b.shape} instead of {a.dtype} {a.shape}"
        tolerance = TOLERANCE.get(a.dtype.type, 0) * scale
        with np.errstate(all="ignore"):
            close = np.allclose(a.astype(np.float64), b.astype(np.float64), tolerance, tolerance,
                                equal_nan=True)  # fmt: skip
        if not close:
            return f"values {b.ravel()[:6]} instead of {a.ravel()[:6]}"
    return None


def describe(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    def short(v: Any) -> str:
        if isinstance(v, torch.Tensor):
            small = f" {v.detach().tolist()}" if v.numel() <= 4 else ""
            return f"{str(v.dtype)[6:]}{tuple(v.shape)}{'' if v.is_contiguous() else '~'}{small}"
        if isinstance(v, (list, tuple)):
            return f"[{', '.join(map(short, v))}]"
        return repr(v)

    named = [f"{k}={short(v)}" for k, v in kwargs.items()]
    return f"{name}({', '.join([*map(short, args), *named])})"


def zeroed(t: Any) -> Any:
    return torch.zeros_like(t) if isinstance(t, torch.Tensor) else tm.zeros_like(t.detach())


def place_of(e: Exception) -> str:
    """The line of ours that raised."""
    where = traceback.extract_tb(e.__traceback__)[-1]
    return f"{where.filename.rsplit('/', 1)[-1]}:{where.lineno}"


def run(report: Report, op: Any, f: Callable[..., Any], g: Callable[..., Any], sample: Any,
        second: bool, inplace: bool = False) -> None:  # fmt: skip
    """One sample, by PyTorch's `f` and our `g`: forward, backward and second order."""
    args, kwargs = (sample.input, *sample.args), sample.kwargs
    text = describe(op.name + "_" * inplace, args, kwargs)
    try:
        our_args, our_kwargs = converted(args), converted(kwargs)
    except NotImplementedError:
        return
    if inplace:
        if not isinstance(args[0], torch.Tensor):
            return
        args = (args[0].detach().clone().requires_grad_(args[0].requires_grad), *args[1:])
        our_args = (converted(args[0]), *our_args[1:])
    xs, our_xs = list(variables([args, kwargs])), list(variables([our_args, our_kwargs]))
    try:
        expected = f(args[0].clone() if inplace else args[0], *args[1:], **kwargs)
        refusal = None
    except Exception as e:
        expected, refusal = None, e
    try:
        got = g(our_args[0].clone() if inplace else our_args[0], *our_args[1:], **our_kwargs)
    except Exception as e:
        if refusal is None:
            why = f"{type(e).__name__}: {str(e)[:150]} [{place_of(e)}]"
            report.add("refused", f"{text}: {why}")
        elif isinstance(e, type(refusal)) or isinstance(refusal, type(e)):
            report.add("passed")
        else:
            kinds = f"{type(e).__name__} instead of {type(refusal).__name__}"
            report.add("other error", f"{text}: {kinds}: {str(e)[:120]}")
        return
    if refusal is not None:
        message = str(refusal).split("\n")[0][:150]
        report.add("WRONG", f"{text}: accepted; PyTorch: {type(refusal).__name__}: {message}")
        return
    if RANDOM.search(op.name) or kwargs.get(
        "dropout_p"
    ):  # other numbers, of the same shape and dtype
        expected, got = [zeroed(e) for e in flat(expected)], [zeroed(g) for g in flat(got)]
        xs = []
    if wrong := difference(expected, got):
        report.add("WRONG", f"{text}: {wrong}")
        return
    pairs = [(e, g) for e, g in zip(flat(expected), flat(got)) if isinstance(e, torch.Tensor)]
    if any(not isinstance(g, tm.Tensor) for _, g in pairs):
        report.add("WRONG", f"{text}: no Tensor")
        return
    if [e.requires_grad for e, _ in pairs] != [g.requires_grad for _, g in pairs]:
        report.add("WRONG", f"{text}: requires_grad differs")
        return
    pairs = [(e, g) for e, g in pairs if e.requires_grad]
    if pairs and xs:
        outcome = gradients_differ(pairs, xs, our_xs, second)
        if outcome is not None:
            report.add(outcome[0], f"{outcome[1]} of {text}: {outcome[2]}")
            return
    report.add("passed")


def cotangent(e: torch.Tensor) -> torch.Tensor:
    return torch.randn(e.shape, dtype=torch.float64).to(e.dtype)


def gradients_differ(
    pairs: list[Any], xs: list[Any], our_xs: list[Any], second: bool
) -> tuple[str, str, str] | None:
    """(outcome, which gradient, how it differs), or None where they agree."""
    torch.manual_seed(0)
    us = [cotangent(e).requires_grad_(second) for e, _ in pairs]
    our_us = [converted(u) for u in us]
    try:
        expected = torch.autograd.grad([e for e, _ in pairs], xs, us, allow_unused=True,
                                       create_graph=second)  # fmt: skip
        refusal = None
    except Exception as e:
        expected, refusal = (), e
    try:
        got = tm.autograd.grad([g for _, g in pairs], our_xs, our_us, allow_unused=True,
                               create_graph=second)  # fmt: skip
    except Exception as e:
        if refusal is not None:
            return None
        return "refused", "gradient", f"{type(e).__name__}: {str(e)[:150]} [{place_of(e)}]"
    if refusal is not None:
        return "WRONG", "gradient", f"accepted; PyTorch: {str(refusal)[:100]}"
    if wrong := difference(list(expected), list(got), 10.0):
        return "WRONG", "gradient", wrong
    if not second:
        return None
    both = [(e, g) for e, g in zip(expected, got) if e is not None and e.requires_grad]
    ours_too = [(e, g) for e, g in both if g.requires_grad]
    if not both:
        return None
    vs = [cotangent(e) for e, _ in both]
    try:
        expected = torch.autograd.grad([e for e, _ in both], [*xs, *us], vs, allow_unused=True)
    except RuntimeError:
        return None  # PyTorch has no second derivative here
    try:
        kept = [(g, converted(v)) for (_, g), v in zip(both, vs) if g.requires_grad]
        got = (
            tm.autograd.grad([g for g, _ in kept], [*our_xs, *our_us], [v for _, v in kept],
                             allow_unused=True) if ours_too else [None] * len(expected)
        )  # fmt: skip
    except Exception as e:
        why = f"{type(e).__name__}: {str(e)[:150]} [{place_of(e)}]"
        return "refused", "second derivative", why
    zero = [torch.zeros_like(x) if e is None else e for e, x in zip(expected, [*xs, *us])]
    filled = [tm.from_numpy(np.zeros(x.shape, str(x.dtype)[6:])) if g is None else g
              for g, x in zip(got, [*xs, *us])]  # fmt: skip
    if wrong := difference(zero, filled, 100.0):
        return "WRONG", "second derivative", wrong
    return None


def check(op: Any, dtypes: list[torch.dtype], second: bool = False) -> Report:
    """All samples and error inputs of one entry of PyTorch's database, in all its variants."""
    name = f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name
    report = Report(name)
    variants = []  # (PyTorch's, ours, writes into its first argument)
    function = ours(op.name)
    if function is None:
        report.add("absent")
        return report
    variants.append((op.op, function, False))
    if (
        op.name not in ADAPTED
        and op.method_variant is not None
        and op.method_variant.__name__ == op.name
    ):
        method = getattr(tm.Tensor, op.name, None)
        if method is None:
            report.add("absent", f"Tensor.{op.name}")
        else:
            variants.append((op.method_variant, method, False))
    if op.inplace_variant is not None and op.inplace_variant.__name__ == op.name + "_":
        method = getattr(tm.Tensor, op.name + "_", None)
        if method is None:
            report.add("absent", f"Tensor.{op.name}_")
        else:
            variants.append((op.inplace_variant, method, True))
    for dtype in dtypes:
        if not op.supports_dtype(dtype, "cpu"):
            continue
        torch.manual_seed(0)
        grad = op.supports_autograd and dtype in (torch.float64, torch.float32)
        samples = list(op.sample_inputs("cpu", dtype, requires_grad=grad))
        for f, g, inplace in variants:
            for sample in samples:
                twice = second and dtype == torch.float64 and op.supports_gradgrad
                run(report, op, f, g, sample, twice, inplace)
    if op.error_inputs_func is not None:
        for error in op.error_inputs("cpu"):
            run(report, op, op.op, function, error.sample_input, False)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="PyTorch's names, as sum or nn.functional.relu")
    parser.add_argument("--dtypes", default="float64,float32,int64,bool,uint8,float16,int32")
    parser.add_argument("--examples", type=int, default=6, help="of each op, how many to print")
    parser.add_argument("--second", action="store_true", help="second derivatives too")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    dtypes = [getattr(torch, d) for d in options.dtypes.split(",")]
    total: Counter[str] = Counter()
    for op in op_db:
        if options.names and op.name not in options.names:
            continue
        report = check(op, dtypes, options.second)
        if not options.names and set(report.counts) == {"absent"}:
            continue
        total += report.counts
        print(f"{report.name:40} {dict(report.counts)}", flush=True)
        for line in sorted(report.examples, reverse=False)[: options.examples]:
            print("    " + line)
    print("total", dict(total))


if __name__ == "__main__":
    main()
