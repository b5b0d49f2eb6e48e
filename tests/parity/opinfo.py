"""PyTorch's own samples, run in PyTorch and here: `python -m tests.parity.opinfo sum mean`.

Every outcome is one of: passed (same values, dtypes, gradients, or both refuse), refused (PyTorch
answers, we raise) and WRONG (another number, dtype or shape, or an answer where PyTorch raises).
"""

from __future__ import annotations

import argparse
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

DTYPES = {
    torch.float64: tm.float64, torch.float32: tm.float32, torch.float16: tm.float16,
    torch.int64: tm.int64, torch.int32: tm.int32, torch.int16: tm.int16, torch.int8: tm.int8,
    torch.uint8: tm.uint8, torch.bool: tm.bool,
}  # fmt: skip
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
    target: Any = tm
    for part in name.split("."):
        target = getattr(target, part, None)
        if target is None:
            return getattr(tm.Tensor, name, None)
    return target


def converted(value: Any) -> Any:
    """PyTorch's arguments as ours, over the same memory and with the same strides."""
    if isinstance(value, torch.Tensor):
        if value.dtype not in DTYPES:
            raise NotImplementedError(f"dtype {value.dtype}")
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
    return np.asarray(value.detach().numpy() if hasattr(value, "detach") else value)


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


def run(report: Report, op: Any, f: Callable[..., Any], args: Any, kwargs: Any) -> None:
    """One sample, forward and, where PyTorch differentiates, backward."""
    text = describe(op.name, args, kwargs)
    try:
        expected = op.op(*args, **kwargs)
        refusal = None
    except Exception as e:
        expected, refusal = None, e
    try:
        our_args, our_kwargs = converted(args), converted(kwargs)
        got = f(*our_args, **our_kwargs)
    except Exception as e:
        if refusal is None:
            where = traceback.extract_tb(e.__traceback__)[-1]
            line = f"{where.filename.rsplit('/', 1)[-1]}:{where.lineno}"
            report.add("refused", f"{text}: {type(e).__name__}: {str(e)[:150]} [{line}]")
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
    wrong = difference(expected, got)
    if wrong:
        report.add("WRONG", f"{text}: {wrong}")
        return
    pairs = [(e, g) for e, g in zip(flat(expected), flat(got)) if isinstance(e, torch.Tensor)]
    if [e.requires_grad for e, _ in pairs] != [g.requires_grad for _, g in pairs]:
        report.add("WRONG", f"{text}: requires_grad differs")
        return
    pairs = [(e, g) for e, g in pairs if e.requires_grad]
    xs, our_xs = list(variables([args, kwargs])), list(variables([our_args, our_kwargs]))
    if pairs and xs:
        torch.manual_seed(0)
        us = [torch.randn(e.shape, dtype=torch.float64).to(e.dtype) for e, _ in pairs]
        expected_gs = torch.autograd.grad([e for e, _ in pairs], xs, us, allow_unused=True)
        try:
            gs = tm.autograd.grad([g for _, g in pairs], our_xs, [converted(u) for u in us],
                                  allow_unused=True)  # fmt: skip
        except Exception as e:
            where = traceback.extract_tb(e.__traceback__)[-1]
            line = f"{where.filename.rsplit('/', 1)[-1]}:{where.lineno}"
            report.add("refused", f"gradient of {text}: {type(e).__name__}: {str(e)[:150]} [{line}]")
            return
        wrong = difference(list(expected_gs), list(gs), 10.0)
        if wrong:
            report.add("WRONG", f"gradient of {text}: {wrong}")
            return
    report.add("passed")


def check(op: Any, dtypes: list[torch.dtype]) -> Report:
    """All samples and error inputs of one entry of PyTorch's database."""
    name = f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name
    report = Report(name)
    f = ours(op.name)
    if f is None:
        report.add("absent")
        return report
    for dtype in dtypes:
        if not op.supports_dtype(dtype, "cpu"):
            continue
        torch.manual_seed(0)
        differentiable = op.supports_autograd and dtype in (torch.float64, torch.float32)
        for sample in op.sample_inputs("cpu", dtype, requires_grad=differentiable):
            run(report, op, f, (sample.input, *sample.args), sample.kwargs)
    if op.error_inputs_func is not None:
        for error in op.error_inputs("cpu"):
            sample = error.sample_input
            run(report, op, f, (sample.input, *sample.args), sample.kwargs)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="PyTorch's names, as sum or nn.functional.relu")
    parser.add_argument("--dtypes", default="float64,float32,int64,bool,uint8,float16,int32")
    parser.add_argument("--examples", type=int, default=6, help="of each op, how many to print")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    dtypes = [getattr(torch, d) for d in options.dtypes.split(",")]
    total: Counter[str] = Counter()
    for op in op_db:
        if options.names and op.name not in options.names:
            continue
        report = check(op, dtypes)
        if not options.names and report.counts["absent"]:
            continue
        total += report.counts
        print(f"{report.name:40} {dict(report.counts)}", flush=True)
        for line in sorted(report.examples, reverse=False)[: options.examples]:
            print("    " + line)
    print("total", dict(total))


if __name__ == "__main__":
    main()
