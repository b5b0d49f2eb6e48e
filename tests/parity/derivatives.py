"""Random differentiable programs: values, gradients and Hessian-vector products, there and here.

    python -m tests.parity.derivatives --seeds 0:2000

Each seed makes two to four float64 leaves and five to fifteen lines, mixed with masks, indices and
casts, then asks for the gradient of a number and for the product of its Hessian with a vector. (The weight
of batch_norm is contiguous: of a strided one, PyTorch 2.13's gradient is wrong on the CPU.)
"""

# ruff: noqa: E501 - tables of calls
from __future__ import annotations

import argparse
import random
import sys
import warnings
from collections import Counter
from typing import Any

import numpy as np
import torch

import tinygrad_mmb as tm
from tinygrad_mmb.nn import functional as F

# {x}, {y}, {z}: tensors of one shape (n, m); {d}: a dimension; {p}: a positive one; {k}: a mask.
SAME = """{x} + {y}|{x} - {y}|{x} * {y}|{x} / ({y} * {y} + 1)|{x} * 2.5|2 - {x}|{x}.exp() / 10|{x}.sin()|{x}.cos()|
{x}.tanh()|{x}.sigmoid()|{x}.abs()|{p}.log()|{p}.sqrt()|{p}.rsqrt()|{p}.reciprocal()|{p}.log1p()|{p}.log2()|
{x}.expm1() / 8|{x}.erf()|{x}.sinh() / 8|{x}.cosh() / 8|m.atan2({x}, {p})|{x}.square()|{p} ** {y}|{x} ** 3|{x} ** 2|
{p} ** 0.5|{p} ** -1.5|1.5 ** {x}|m.maximum({x}, {y})|m.minimum({x}, {y})|m.where({k}, {x}, {y})|{x}.clamp(-0.7, 0.9)|
m.clamp({x}, {y}, {y} + 1)|{x}.masked_fill({k}, 0.5)|{x}.softmax({d})|{x}.log_softmax({d})|{x}.cumsum({d})|
{x}.flip({d})|{x}.roll(1, {d})|{x}.tril()|{x}.triu(1)|{x}.t().contiguous().t()|{x} - {x}.mean({d}, keepdim=True)|
{x} * {y}.sum({d}, keepdim=True)|{x} / (1 + {x}.std({d}, keepdim=True))|{x} * {x}.var({d}, keepdim=True)|
{x} + {y}.amax({d}, keepdim=True)|{x} * {x}.logsumexp({d}, keepdim=True)|{x} - {y}.norm(2, {d}, True)|{x} * {y}.norm()|
{x}.sort({d})[0]|{x} + {y}.max({d}, keepdim=True)[0]|{x} * {x}.prod({d}, keepdim=True)|{x}.gather(1, {i})|
{x}.scatter_add(1, {i}, {y})|{x}.index_select(1, {j})|{x}.index_add(1, {j}, {y})|{x}[:, {j}]|{x}[{r}, {j}] + {y}|
m.cat([{x}, {y}], 1)[:, 1:4]|m.stack([{x}, {y}]).sum(0)|m.stack([{x}, {y}, {x}], 1).unbind(1)[2]|
{x} @ ({y}.t() @ {x}) / 9|m.einsum('ij,ij->ij', {x}, {y})|m.einsum('ij,kj,kl->il', {x}, {y}, {x}) / 9|
F.relu({x}) + {x}|F.gelu({x})|F.gelu({x}, approximate='tanh')|F.silu({x})|F.elu({x})|F.selu({x})|F.softplus({x})|
F.leaky_relu({x}, 0.1)|F.layer_norm({x}, (3,))|F.layer_norm({x}, (3,), {y}[0], {x}[1])|F.linear({x}, {y}[:, :3].t() @ {y})|
F.batch_norm({x}, None, None, {y}[0].clone(), None, True)|{x} * F.mse_loss({x}, {y})|{x} * F.l1_loss({x}, {y})|
{x} * F.cross_entropy({x}, {c})|{x} * F.cross_entropy({x}, {y}.softmax(1))|{x} * F.nll_loss({x}.log_softmax(1), {c})|
{x} * F.cross_entropy({x}, {c}, label_smoothing=0.2)|{x} * F.binary_cross_entropy({x}.sigmoid(), {y}.sigmoid())|
{x} * F.binary_cross_entropy_with_logits({x}, {y}.sigmoid())|{x}.repeat(2, 1)[2:6]|{x}.expand(2, 4, 3).sum(0)|
{x}.reshape(3, 4).t().reshape(4, 3)|{x}.view(2, 6).sin().view(4, 3)|{x}.diagonal().sum() * {y}|{x} + {y}[0]|{x} * {y}[:, :1]|
{x} + {x}.topk(2, {d})[0].sum()|{x} % 1.7|m.remainder({x}, {p})|{x}.float().double()|{x} * ({x} > 0)|{x} + {x}.round()|
{x} * m.linalg.det({y}[:3] + 3 * m.eye(3, dtype=m.float64)) / 30|{x} @ m.linalg.inv({y}[:3] + 5 * m.eye(3, dtype=m.float64))|
F.pad({x}, (1, 1))[:, :3]|F.conv2d({x}.reshape(1, 1, 4, 3), {y}[:2, :2].reshape(1, 1, 2, 2), padding=1)[0, 0, :4, :3]|
F.max_pool2d({x}.reshape(1, 1, 4, 3), 2, 1, 1)[0, 0, :4, :3]|F.avg_pool2d({x}.reshape(1, 1, 4, 3), 3, 1, 1)[0, 0]|
F.scaled_dot_product_attention({x}, {y}, {x} - {y})|m.outer({x}[:, 0], {y}[0])|m.tensordot({x}, {y}[:3], 1)|
{x}.split([1, 2], 1)[1].sum(1, keepdim=True) + {y}|{x}.chunk(2)[1].sum(0) * {y}|{x}.unsqueeze(0).squeeze(0)|{x}.tile(1, 2)[:, ::2]|
{x}.clone().mul_({y})|{x}.clone().add_({y}, alpha=2)|{x}.clone().copy_({y}) * {x}|{x}.detach() * {y}|m.std({x}, correction=0) * {y}|
F.embedding({c}, {x})|{x}.mean() * {y}|({x} * {y}).sum() * {x}|{x}.movedim(0, 1).movedim(1, 0)|{x}.broadcast_to(1, 4, 3)[0]"""


def program(seed: int) -> list[str]:
    """The lines, which assign t0, t1, ...; the first ones are the leaves."""
    r = random.Random(seed)
    leaves = r.randint(2, 4)
    lines = []
    names = [f"t{k}" for k in range(leaves)]
    for k in range(r.randint(5, 15)):
        template = r.choice(SAME.replace("\n", "").split("|"))
        x, y = (r.choice(names[-4:] if r.random() < 0.7 else names) for _ in range(2))
        positive = f"({r.choice(names)} * {r.choice(names)} + 0.5 + {r.choice(names)} ** 2)"
        filled = template.format(x=x, y=y, z=r.choice(names), d=r.choice([0, 1, -1]), p=f"({positive}.abs() + 0.3)",
                                 k=f"({r.choice(names)} > 0.1)", i="I", j="J", r="R", c="C")  # fmt: skip
        name = f"t{leaves + k}"
        lines.append(f"{name} = {filled}")
        names.append(name)
    return lines


def run(m: Any, f: Any, seed: int, lines: list[str]) -> Any:
    """[values, gradients, Hessian-vector products], or the line that raised and what it raised."""
    rng = np.random.default_rng(seed)
    env: dict[str, Any] = {"m": m, "F": f}
    leaves = []
    for k in range(4):
        leaf = m.from_numpy(rng.standard_normal((4, 3)) * 0.8).requires_grad_()
        env[f"t{k}"] = leaf
        leaves.append(leaf)
    vectors = [m.from_numpy(rng.standard_normal((4, 3))) for _ in leaves]
    env |= {"I": m.tensor([[0, 1, 1], [2, 0, 1], [1, 1, 1], [0, 2, 2]]), "J": m.tensor([2, 0, 1]),
            "R": m.tensor([[1], [3], [0], [0]]), "C": m.tensor([2, 0, 1, 1])}  # fmt: skip
    step = ""
    try:
        for step in lines:
            exec(step, env)
        last = env[step.split(" = ")[0]]
        step = "gradient"
        total = (last.sin() * m.from_numpy(rng.standard_normal(tuple(last.shape)))).sum()
        first = m.autograd.grad(total, leaves, create_graph=True, allow_unused=True)
        step = "second"
        inner = sum((g * v).sum() for g, v in zip(first, vectors) if g is not None)
        second = [None] * 4
        if getattr(inner, "requires_grad", False):
            second = m.autograd.grad(inner, leaves, allow_unused=True)
    except Exception as error:
        return step, error
    known = [env[line.split(" = ")[0]] for line in lines]
    return [
        [None if t is None else t.detach().numpy() for t in ts] for ts in (known, first, second)
    ]


def check(seed: int) -> tuple[str, str]:
    """(outcome, reason)."""
    lines = program(seed)
    theirs, ours = run(torch, torch.nn.functional, seed, lines), run(tm, F, seed, lines)
    if isinstance(ours, tuple):
        if isinstance(theirs, tuple):
            return "agreed", ""
        return "refused", f"{ours[0]}: {type(ours[1]).__name__}: {str(ours[1])[:150]}"
    if isinstance(theirs, tuple):
        return "WRONG", f"accepted; PyTorch: {theirs[0]}: {str(theirs[1])[:150]}"
    sizes = [np.abs(t).max() for t in [*theirs[0], *theirs[1]] if t is not None]
    if not max(sizes) < 1e4:
        return "agreed", "so large that sin and round show the last bits"
    for label, es, gs in zip(("value", "gradient", "second derivative"), theirs, ours):
        for k, (e, g) in enumerate(zip(es, gs)):
            if (
                e is None or g is None
            ):  # no gradient and a gradient of 0 are told apart for first order only
                other = g if e is None else e
                if other is not None and (label == "gradient" or np.abs(other).max() > 1e-9):
                    return "WRONG", f"{label} {k}: {g} instead of {e}"
                continue
            scale = max(1.0, float(np.abs(e[np.isfinite(e)]).max(initial=0.0)))
            tolerance = 2e-6 if any("float()" in line for line in lines) else 1e-8
            if not np.allclose(e / scale, g / scale, tolerance, tolerance, equal_nan=True):
                place = f" ({lines[k]})" if label == "value" else ""
                return "WRONG", f"{label} {k}{place}: {g.ravel()[:4]} instead of {e.ravel()[:4]}"
    return "agreed", ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0:500", help="first:last")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    counts: Counter[str] = Counter()
    for seed in range(*map(int, options.seeds.split(":"))):
        outcome, reason = check(seed)
        counts[outcome] += 1
        if outcome != "agreed":
            print(f"--- {outcome} {seed}: {reason}", *program(seed), sep="\n    ", flush=True)
    print(dict(counts))
    sys.exit(1 if counts["WRONG"] else 0)


if __name__ == "__main__":
    main()
