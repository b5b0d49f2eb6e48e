"""What backward needs, written over before it runs: `python -m tests.parity.overwritten`.

For every differentiable op, each input and each output in turn is changed in place between forward
and backward. PyTorch raises where it saved what was changed; so must we, for the gradient would be
that of another point; where it answers, we must give the same answer or raise.
"""

# ruff: noqa: E501, SIM905 - tables of calls
from __future__ import annotations

import itertools
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as TF

import tinygrad_mmb as tm
from tinygrad_mmb.nn import functional as F

X = "m.tensor([[0.5, -1.5, 2.5], [0.25, 1.25, -0.75]], dtype=m.float64)"
P = "m.tensor([[0.5, 0.3, 0.9], [0.25, 0.6, 0.1]], dtype=m.float64)"
V = "m.tensor([0.4, 0.8, 0.7], dtype=m.float64)"
S = "m.tensor(0.7, dtype=m.float64)"
M = "m.tensor([[True, False, True], [False, True, False]])"
I = "m.tensor([[0, 1, 1], [1, 0, 0]])"  # noqa: E741
J = "m.tensor([1, 0])"
Q = "m.tensor([[2.0, 0.5], [0.25, 1.5]], dtype=m.float64)"
IMAGE = "m.arange(32, dtype=m.float64).reshape(1, 2, 4, 4) / 10"
W = "m.arange(8, dtype=m.float64).reshape(1, 2, 2, 2) / 10"
# call: its Tensors a, b, c.
CALLS: dict[str, list[str]] = {
    **{f"m.{f}(a)": [P] for f in "abs ceil cos cosh erf exp expm1 floor log log1p log2 neg reciprocal "
       "relu round rsqrt sigmoid sign sin sinh sqrt square tan tanh t clone sum mean prod std var amax "
       "amin max min norm selu nonzero tril triu".split()},
    **{f"m.{f}(a, b)": [P, X] for f in "add sub mul div atan2 maximum minimum remainder".split()},
    **{f"m.{f}(a, b)[0]": [X, V] for f in "add mul div maximum".split()},
    **{f"m.{f}(a, 1)": [X] for f in "sum mean prod std var amax amin cumsum softmax log_softmax "
       "logsumexp unbind flatten unsqueeze".split()},
    **{f"m.{f}(a, 1)": [X] for f in "max min sort topk".split()},
    **{f"F.{f}(a)": [X] for f in "relu leaky_relu elu selu gelu silu softplus".split()},
    **{f"F.{f}(a, b, reduction={r!r})": [P, P + " * 0.5"] for f in "mse_loss l1_loss binary_cross_entropy "
       "binary_cross_entropy_with_logits".split() for r in ("mean", "sum", "none")},
    **{f"F.{f}(a, b, reduction={r!r})": [X, J] for f in ("cross_entropy", "nll_loss")
       for r in ("mean", "none")},
    "F.cross_entropy(a, b, c)": [X, J, V], "F.nll_loss(a, b, c)": [X, J, V],
    "F.cross_entropy(a, b, label_smoothing=0.1)": [X, J], "F.cross_entropy(a, b)": [X, P],
    "F.binary_cross_entropy(a, b, c)": [P, P + " * 0.5", P + " + 1"],
    "F.binary_cross_entropy_with_logits(a, b, c)": [X, P, P + " + 1"],
    "F.binary_cross_entropy_with_logits(a, b, pos_weight=c)": [X, P, V],
    "m.pow(a, b)": [P, X], "m.pow(a, 2)": [P], "m.pow(a, 3)": [P], "m.pow(2.0, a)": [P], "m.pow(a, 1)": [P],
    "m.pow(a, 0)": [P], "m.pow(a, 0.5)": [P], "m.pow(0.0, a)": [P],
    "a * 2": [X], "a / 2": [X], "2 / a": [X], "a + 1": [X], "1 - a": [X], "a * a": [X], "a / a": [X],
    "m.where(b, a, c)": [X, M, P], "m.where(b, a, 0.0)": [X, M], "m.masked_fill(a, b, 0.5)": [X, M],
    "m.masked_fill(a, b, c)": [X, M, S], "m.clamp(a, -1, 1)": [X], "m.clamp(a, b, c)": [X, P, P + " + 1"],
    "m.clamp(a, min=b)": [X, P], "m.clamp(a, max=0.5)": [X],
    "a.gather(1, b)": [X, I], "a.scatter_add(1, b, c)": [X, I, P], "a.index_select(1, b)": [X, J],
    "a.index_add(0, b, c)": [X, J, P], "a[b]": [X, J], "a[:, b]": [X, J], "a[b]  # mask": [X, M],
    "a[0]": [X], "a[:, 1:]": [X], "a.view(6)": [X], "a.reshape(3, 2)": [X], "a.t().reshape(6)": [X],
    "a.expand(2, 2, 3)": [X], "a.permute(1, 0)": [X], "a.repeat(2, 1)": [X], "a.flip(0)": [X],
    "a.roll(1, 0)": [X], "m.cat([a, b])": [X, P], "m.stack([a, b])": [X, P], "a.split(1)[0]": [X],
    "a.float()": [X], "a.diagonal()": [X], "m.diag(a)": [V], "a.squeeze()": [X], "a.tile(2)": [X],
    "a @ b": [X, P + ".t().clone()"], "m.mm(a, b)": [X, P + ".t().clone()"], "m.mv(a, b)": [X, V],
    "m.dot(a, b)": [V, V], "m.outer(a, b)": [V, V], "m.einsum('ij,ij->i', a, b)": [X, P],
    "m.einsum('ij,kj->ik', a, b)": [X, P], "m.tensordot(a, b, ([1], [1]))": [X, P],
    "m.bmm(a, b)": [X + ".unsqueeze(0).clone()", P + ".t().unsqueeze(0).clone()"],
    "m.linalg.inv(a)": [Q], "m.linalg.det(a)": [Q], "a.norm(1)": [X], "a.norm(3)": [X], "a.norm(float('inf'))": [X],
    "a.norm(2, 1)": [X], "F.linear(a, b, c)": [X, P, "m.tensor([1.0, 2.0], dtype=m.float64)"],
    "F.layer_norm(a, (3,), b, c)": [X, V, V], "F.layer_norm(a, (3,))": [X],
    "F.batch_norm(a, None, None, b, c, True)": [X, V, V],
    "F.batch_norm(a, b, c)": [X, V, V], "F.conv2d(a, b, c)": [IMAGE, W, "m.ones(1, dtype=m.float64)"],
    "F.max_pool2d(a, 2)": [IMAGE], "F.avg_pool2d(a, 2)": [IMAGE], "F.pad(a, (1, 1))": [X],
    "F.embedding(b, a)": [Q, J], "F.scaled_dot_product_attention(a, b, c)": [
        X + ".reshape(1, 1, 2, 3)", P + ".reshape(1, 1, 2, 3)", X + ".reshape(1, 1, 2, 3)"],
    "a.std(1)": [X], "a.var(0)": [X], "m.max(a, b)": [X, P], "a.copy_(b)": [X, P], "a.mul_(b)": [X, P],
    "a.exp_()": [X], "a.sigmoid_()": [X], "a.div_(b)": [X, P], "a.clamp_(-1, 1)": [X], "a.pow_(2)": [P],
    "a.masked_fill_(b, 0.5)": [X, M], "a.__setitem__(0, b) or a": [X, V], "a.relu_()": [X],
    "a.mul_(a)": [X], "a.index_add_(0, b, c)": [X, J, P], "a.sqrt_()": [P], "a.tanh_()": [P],
}  # fmt: skip


def outcome(
    m: Any, f: Any, call: str, sources: list[str], grads: tuple[bool, ...], victim: int | str
) -> Any:
    """The gradients, or that a call raised: which step, and what."""
    env: dict[str, Any] = {"m": m, "F": f}
    leaves = []
    step = "forward"
    try:
        for name, source, grad in zip("abc", sources, grads):
            leaf = eval(source, env)
            if grad:
                leaf.requires_grad_()
            leaves.append(leaf)
            env[name] = leaf.clone()
        y = eval(call.split("#")[0], env)
        parts = [p for p in (y if isinstance(y, tuple) else (y,))]
        step = "write"
        with m.no_grad():
            t = parts[int(victim[1:])] if isinstance(victim, str) else env["abc"[victim]]
            t.zero_() if t.dtype != m.bool else t.logical_not_()
        step = "backward"
        total = sum((p.double() * 1.5).sum() for p in parts if p.requires_grad)
        total.backward()
    except Exception as error:
        return step, error
    return [None if x.grad is None else x.grad.numpy() for x in leaves]


def cases() -> Iterator[tuple[str, list[str], tuple[bool, ...], int | str]]:
    for call, sources in CALLS.items():
        floats = ["True" not in s and "[0, 1" not in s and s != J for s in sources]
        for grads in itertools.product(*[(True, False) if fl else (False,) for fl in floats]):
            if any(grads):
                for victim in [*range(len(sources)), "y0", "y1"]:
                    yield call, sources, grads, victim


def check(call: str, sources: list[str], grads: tuple[bool, ...], victim: int | str) -> str | None:
    """How we differ from PyTorch; None where we agree."""
    theirs, ours = (
        outcome(torch, TF, call, sources, grads, victim),
        outcome(tm, F, call, sources, grads, victim),
    )
    text = f"{call}, gradients {grads}, {victim} written over"
    if isinstance(theirs, tuple) and isinstance(ours, tuple):
        return None
    if isinstance(ours, tuple):
        return f"refused: {text}: {ours[0]}: {type(ours[1]).__name__}: {str(ours[1])[:120]}"
    if isinstance(theirs, tuple):
        return f"WRONG: {text}: accepted; PyTorch: {theirs[0]}: {str(theirs[1])[:100]}"
    for k, (e, g) in enumerate(zip(theirs, ours)):
        if (e is None) != (g is None) or (e is not None and not np.allclose(e, g, equal_nan=True)):
            return f"WRONG: {text}: gradient {k}: {g} instead of {e}"
    return None


def main() -> None:
    warnings.simplefilter("ignore")
    found = [check(*case) for case in cases()]
    for line in found:
        if line:
            print(line)
    wrong = sum(bool(line) and line.startswith("WRONG") for line in found)
    print(f"{len(found)} cases, {sum(map(bool, found)) - wrong} refused, {wrong} WRONG")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
