"""Random programs of views and in-place writes, run in PyTorch and here.

    python -m tests.parity.programs --seeds 0:5000

Each seed is a program of some twenty lines: leaves, views of views, ops, writes through views,
setitem, detach, no_grad blocks, backward. Line by line both sides must agree: same values, dtypes,
requires_grad, is_leaf and gradients, or both raise. Every program ends as one of

    agreed    all lines and all gradients
    refused   PyTorch answers and we raise
    WRONG     another value, or an answer where PyTorch raises
"""

from __future__ import annotations

import argparse
import random
import sys
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

import tinygrad_mmb as tm

Env = dict[str, Any]


@dataclass
class Result:
    """What became of one program."""

    outcome: str
    lines: list[str] = field(default_factory=list)
    reason: str = ""

    def __str__(self) -> str:
        return "\n".join([*self.lines, f"# {self.outcome}: {self.reason}"])


class Writer:
    """Makes up the next line of a program, knowing PyTorch's side of it."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.env: Env = {"m": torch}
        self.count = 0
        self.leaves: set[str] = set()

    def new(self) -> str:
        self.count += 1
        return f"x{self.count}"

    def names(self, keep: Any = lambda t: True) -> list[str]:
        return [n for n, t in self.env.items() if isinstance(t, torch.Tensor) and keep(t)]

    def pick(self, keep: Any = lambda t: True) -> str:
        """A variable, the younger the likelier."""
        names = self.names(keep)
        if not names:
            return ""
        young = names[-5:]
        return self.rng.choice(young if self.rng.random() < 0.7 else names)

    def floats(self) -> str:
        return self.pick(lambda t: t.is_floating_point())

    def like(self, x: str, spread: float = 0.3) -> str:
        """An operand for x: a variable that broadcasts to it, or a number."""
        shape = self.env[x].shape
        if self.rng.random() < spread:
            return self.rng.choice(["2", "-1", "0.5", "3", "1.5", "True"])

        def fits(t: torch.Tensor) -> bool:
            try:
                return torch.broadcast_shapes(t.shape, shape) == shape
            except RuntimeError:
                return False

        return self.pick(fits) or "2"

    def leaf(self) -> str:
        r = self.rng
        shape = r.choice([(3,), (2, 3), (2, 3), (3, 3), (4,), (2, 2, 3), (1, 3), (), (6,), (0, 3)])
        dtype = r.choice(["float64"] * 8 + ["float32", "int64", "bool"])
        a = np.array([round(r.uniform(-2, 2), 2) for _ in range(int(np.prod(shape)))])
        if dtype in ("int64", "bool"):
            a = np.trunc(a).astype(dtype)
        values = a.reshape(shape).tolist()
        grad = ", requires_grad=True" if dtype.startswith("float") and r.random() < 0.65 else ""
        if grad:
            self.leaves.add(f"x{self.count + 1}")
        made = f"m.tensor({values}, dtype=m.{dtype}{grad})"
        if not a.size:
            made = f"m.zeros({shape}, dtype=m.{dtype}{grad})"
        return f"{self.new()} = {made}"

    def index(self, shape: tuple[int, ...], advanced: bool = True) -> str:
        """Something to write between brackets after a tensor of this shape."""
        r = self.rng
        parts: list[str] = []
        for n in shape[: r.randint(0, len(shape))]:
            kind = r.random()
            if kind < 0.35 and n:
                parts.append(str(r.randrange(-n, n)))
            elif kind < 0.7 or not advanced:
                a, b = sorted(r.randint(0, n) for _ in range(2))
                parts.append(r.choice([f"{a}:{b}", ":", "::2", f"{a}:", f":{b}", "-2:"]))
            elif kind < 0.85 and n:
                chosen = [r.randrange(-n, n) for _ in range(r.randint(1, 3))]
                parts.append(r.choice([f"{chosen}", f"m.tensor({chosen})"]))
            else:
                mask = [r.random() < 0.6 for _ in range(n)]
                parts.append(f"m.tensor({mask}, dtype=m.bool)")
        if r.random() < 0.15:
            parts.insert(r.randint(0, len(parts)), "None")
        if r.random() < 0.1:
            parts.insert(r.randint(0, len(parts)), "...")
        if r.random() < 0.03:
            parts.append(r.choice(["True", "7", "m.tensor(0)"]))
        return ", ".join(parts) or "..."

    def view(self) -> str:
        r, x = self.rng, self.pick()
        t = self.env[x]
        d = r.randrange(-max(t.dim(), 1), max(t.dim(), 1))
        e = r.randrange(-max(t.dim(), 1), max(t.dim(), 1))
        forms = [
            f"{x}[{self.index(t.shape, advanced=False)}]",
            f"{x}[{self.index(t.shape, advanced=False)}]",
            f"{x}.view(-1)",
            f"{x}.reshape(-1)",
            f"{x}.reshape({self.factors(t.numel())})",
            f"{x}.view({self.factors(t.numel())})",
            f"{x}.transpose({d}, {e})",
            f"{x}.unsqueeze({d})",
            f"{x}.squeeze()",
            f"{x}.squeeze({d})",
            f"{x}.flatten()",
            f"{x}.detach()",
            f"{x}.diagonal()",
            f"{x}.view_as({x})",
            f"{x}.T",
            f"{x}.narrow({d}, 0, 1)",
            f"{x}.expand({r.choice([2, 3])}, {', '.join(['-1'] * t.dim())})",
            f"{x}.permute({r.sample(range(t.dim()), t.dim())})",
            f"{x}.data",
            f"{x}.contiguous()",
        ]
        line = f"{self.new()} = {r.choice(forms)}"
        return f"with m.no_grad(): {line}" if r.random() < 0.1 else line

    def factors(self, n: int) -> tuple[int, ...]:
        for k in self.rng.sample([2, 3, 4], 3):
            if n and n % k == 0:
                return self.rng.choice([(k, n // k), (n // k, k), (1, k, n // k), (k, -1)])
        return (n,)

    def several(self) -> str:
        r, x = self.rng, self.pick(lambda t: t.dim() and t.numel())
        if not x:
            return self.leaf()
        t = self.env[x]
        d = r.randrange(t.dim())
        n = t.shape[d]
        forms = [(f"{x}.unbind({d})", n)]
        forms.append((f"{x}.split(1, {d})", n))
        forms.append((f"{x}.chunk(2, {d})", min(n, 2)))
        forms.append((f"{x}.split([1, {n - 1}], {d})", 2))
        call, k = r.choice(forms)
        return f"{', '.join(self.new() for _ in range(k))}, = {call}"

    def op(self) -> str:
        r, x = self.rng, self.pick()
        t = self.env[x]
        y = self.like(x)
        d = r.randrange(max(t.dim(), 1))
        forms = [
            f"{x} + {y}", f"{x} * {y}", f"{x} - {y}", f"{y} * {x}", f"2 - {x}", f"{x} * 2",
            f"{x} / {y}", f"{x}.exp()", f"{x}.sin()", f"{x}.tanh()", f"{x}.sigmoid()",
            f"{x}.relu()", f"{x}.abs()", f"{x} ** 2", f"-{x}", f"{x}.sum()", f"{x}.sum({d})",
            f"{x}.mean({d})", f"{x}.clone()", f"{x}.cumsum({d})", f"m.cat([{x}, {x}], {d})",
            f"m.stack([{x}, {x}], {d})", f"m.where({x} > 0, {x}, {y})", f"m.maximum({x}, {x} * 2)",
            f"{x}[{self.index(t.shape)}]", f"{x}[{self.index(t.shape)}]", f"{x}[{x} > 0]",
            f"{x}.flip({d})", f"{x}.roll(1, {d})",
            f"{x}.repeat({', '.join('2' * max(t.dim(), 1))})",
            f"{x}.tril()", f"{x}.double()", f"{x}.float()", f"{x}.long()", f"{x} > 0",
            f"{x}.amax({d})", f"{x}.prod({d})", f"{x}.clamp(-1, 1)", f"{x}.softmax({d})",
            f"{x}.var({d})", f"{x}.diag()", f"{x}.sqrt()", f"{x}.log()", f"{x}.square()",
            f"{x}.masked_fill({x} > 0, 1.0)", f"{x}.logsumexp({d})", f"{x} @ {x}",
        ]  # fmt: skip
        line = f"{self.new()} = {r.choice(forms)}"
        return f"with m.no_grad(): {line}" if r.random() < 0.08 else line

    def write(self) -> str:
        r = self.rng
        x = self.pick()
        if x in self.leaves and r.random() < 0.8:
            x = self.pick()
        t = self.env[x]
        y = self.like(x)
        place = self.index(t.shape)
        try:
            part = t.detach()[eval(f"({place},)", {"m": torch}) if place != "..." else ...]
            part_shape = tuple(part.shape)
        except Exception:
            part_shape = ()
        values = [n for n in self.names() if tuple(self.env[n].shape) in (part_shape, (), (1,))]
        value = r.choice([*values[-4:], "2", "-1.5", "True"])
        forms = [
            f"{x}.add_({y})", f"{x}.mul_({y})", f"{x}.sub_({y})", f"{x}.div_({y})",
            f"{x}.mul_(2)", f"{x}.add_(1)", f"{x}.exp_()", f"{x}.sin_()", f"{x}.relu_()",
            f"{x}.sigmoid_()", f"{x}.tanh_()", f"{x}.zero_()", f"{x}.fill_({r.choice([2, 0.5])})",
            f"{x}.copy_({y})", f"{x}.pow_(2)", f"{x}.neg_()", f"{x}.clamp_(-1, 1)",
            f"{x}.abs_()", f"{x}.square_()", f"{x}.sqrt_()", f"{x} += {y}", f"{x} *= {y}",
            f"{x} -= 1", f"{x} /= 2", f"{x}[{place}] = {value}", f"{x}[{place}] = {value}",
            f"{x}[{place}] = {value}", f"{x}[{place}] += {value}", f"{x}[{place}] *= 2",
            f"{x}[{x} > 0] = {r.choice(['0', '1.5'])}", f"{x}.masked_fill_({x} > 0, 0.5)",
            f"{x}.data.mul_(2)", f"{x}.detach().add_(1)", f"{x}.detach().zero_()", f"{x}.tril_()",
            f"{x}.pow_({y})", f"{x}.add_({y}, alpha=2)",
        ]  # fmt: skip
        line = r.choice(forms)
        return f"with m.no_grad(): {line}" if r.random() < 0.15 else line

    def other(self) -> str:
        r, x = self.rng, self.floats() or self.pick()
        y = self.floats() or x
        forms = [
            f"{x}.requires_grad_()",
            f"{x}.detach_()",
            f"{x}.retain_grad()",
            f"{x}.retain_grad()",
            f"{x}.sum().backward()",
            f"({x} * 2).sum().backward(retain_graph=True)",
            f"{self.new()} = m.autograd.grad({x}.sum(), {y}, retain_graph=True)[0].clone()",
            f"{x}.requires_grad_(False)",
            f"{x}.grad = None",
        ]
        return r.choice(forms)

    def line(self) -> str:
        r = self.rng.random()
        if len(self.names()) < 2 or r < 0.06:
            return self.leaf()
        kinds = [(self.view, 0.36), (self.several, 0.41), (self.op, 0.62), (self.write, 0.93)]
        for kind, limit in kinds:
            if r < limit:
                return kind()
        return self.other()


def attempt(line: str, env: Env) -> Exception | None:
    """Run one line; what it raised, if anything."""
    try:
        exec(line, env)
    except Exception as error:
        return error
    return None


def asked(t: Any, name: str) -> tuple[Any, Exception | None]:
    """What a property of a Tensor says, or raises."""
    try:
        return getattr(t, name), None
    except Exception as error:
        return None, error


def numbers(t: Any) -> np.ndarray:
    return t.detach().numpy()


def differ(e: Any, g: Any, loose: bool = False) -> str | None:
    """How our Tensor differs from PyTorch's; None if it does not."""
    a, b = numbers(e), numbers(g)
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"{b.dtype} {b.shape} instead of {a.dtype} {a.shape}"
    # Where float32 took part, its rounding is in what was made float64 of it.
    rtol = 0 if a.dtype.kind != "f" else 2e-3 if loose else 1e-7
    x, y = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(all="ignore"):
        # Values past 1e30 come of exp of exp, where a last bit changes everything.
        if not np.allclose(x, y, rtol, rtol, equal_nan=True) and not (np.abs(x) > 1e30).any():
            return f"values {b.tolist()} instead of {a.tolist()}"
    return None


def compare(theirs: Env, ours: Env, graph: bool) -> tuple[str, str] | None:
    """The first difference between the variables of both sides, as (outcome, reason)."""
    tensors = {n: t for n, t in theirs.items() if isinstance(t, torch.Tensor)}
    loose = any(t.dtype == torch.float32 for t in tensors.values())
    for name, e in tensors.items():
        g = ours[name]
        wrong = differ(e, g, loose)
        if wrong:
            return "WRONG", f"{name}: {wrong}"
        if e.requires_grad != g.requires_grad:
            return "WRONG", f"{name}.requires_grad is {g.requires_grad}"
        if not graph:
            continue
        (leaf, refusal), (our_leaf, our_refusal) = (
            asked(e, "is_leaf"),
            asked(g, "is_leaf"),
        )
        if (refusal is None) != (our_refusal is None):
            kind = "WRONG" if our_refusal is None else "refused"
            return kind, f"{name}.is_leaf: {refusal!r} there, {our_refusal!r} here"
        if leaf != our_leaf:
            return "WRONG", f"{name}.is_leaf is {our_leaf}"
        (d, refusal), (our_d, our_refusal) = asked(e, "grad"), asked(g, "grad")
        if refusal is not None or our_refusal is not None:
            continue
        if (d is None) != (our_d is None):
            return "WRONG", f"{name}.grad is {our_d}, there {d}"
        wrong = None if d is None else differ(d, our_d, loose)
        if wrong:
            return "WRONG", f"{name}.grad: {wrong}"
    return None


def run(seed: int, length: int = 18) -> Result:
    """Write and run the program of one seed."""
    writer = Writer(seed)
    theirs, ours = writer.env, {"m": tm}
    lines: list[str] = []

    def step(line: str) -> Result | None:
        """One line on both sides; a Result ends the program."""
        lines.append(line)
        refusal, our_refusal = attempt(line, theirs), attempt(line, ours)
        if refusal is not None and our_refusal is not None:
            lines[-1] += f"  # raises {type(refusal).__name__}"
            kinds = (type(refusal), type(our_refusal))
            related = issubclass(*kinds) or issubclass(*kinds[::-1])
            if not related and "modified inplace" not in str(refusal):  # else both are right
                if issubclass(kinds[1], (AttributeError, NotImplementedError)):
                    return Result("refused", lines, repr(our_refusal)[:300])
                return Result("other error", lines, f"{our_refusal!r} instead of {refusal!r}"[:500])
            if "=" in line:
                for name in line.split(" = ")[0].replace("with m.no_grad(): ", "").split(","):
                    if name.strip() not in theirs:
                        ours.pop(name.strip(), None)
            if "backward" in line:  # how far each side came before it raised is left open
                return Result("agreed", lines)
            return None
        if refusal is not None:
            return Result("WRONG", lines, f"accepted; PyTorch: {refusal!r}"[:400])
        if our_refusal is not None:
            return Result("refused", lines, f"{type(our_refusal).__name__}: {our_refusal}"[:300])
        return None

    for _ in range(length):
        result = step(writer.line())
        if result is not None:
            return result
        difference = compare(theirs, ours, graph=writer.rng.random() < 0.3)
        if difference:
            return Result(difference[0], lines, difference[1])
    for name in writer.names(lambda t: t.requires_grad):
        result = step(f"({name} * {name} + {name}).sum().backward(retain_graph=True)")
        if result is None:
            difference = compare(theirs, ours, graph=True)
            result = Result(*(difference[0], lines, difference[1])) if difference else None
        if result is not None:
            return result
    return Result("agreed", lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0:1000", help="first:last, or one seed to print")
    parser.add_argument(
        "--show", type=int, default=5, help="how many programs of each kind to print"
    )
    parser.add_argument("--refused", action="store_true", help="print refused programs too")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    first, _, last = options.seeds.partition(":")
    if not last:
        print(run(int(first)))
        return
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    shown: Counter[str] = Counter()
    for seed in range(int(first), int(last)):
        result = run(seed)
        counts[result.outcome] += 1
        if result.outcome == "refused":
            reasons[result.reason[:80]] += 1
            if options.refused and reasons[result.reason[:80]] <= options.show:
                print(f"--- seed {seed}\n{result}", flush=True)
        elif result.outcome != "agreed":
            shown[result.outcome] += 1
            if shown[result.outcome] <= options.show:
                print(f"--- seed {seed}\n{result}", flush=True)
    for reason, n in reasons.most_common(12):
        print(f"{n:6} {reason}")
    print(dict(counts))
    sys.exit(1 if counts["WRONG"] else 0)


if __name__ == "__main__":
    main()
