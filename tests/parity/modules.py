"""PyTorch's own samples of modules, run here too: `python -m tests.parity.modules Linear`.

The module is made from the same arguments, gets PyTorch's state by `load_state_dict`, and is called
with the same inputs in training and in evaluation: outputs, gradients of inputs and parameters, and
the state afterwards must agree.
"""

from __future__ import annotations

import argparse
import warnings
from typing import Any

import torch
from torch.testing._internal.common_modules import module_db

import tinygrad_mmb as tm
from tests.parity.opinfo import (
    Report,
    converted,
    cotangent,
    difference,
    flat,
    place_of,
    variables,
)

RANDOM_IN_TRAINING = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout")


def ours(info: Any) -> Any:
    """Our class of the same name, or None."""
    return getattr(tm.nn, info.module_cls.__name__, None)


def check(info: Any, dtypes: list[torch.dtype]) -> Report:
    """All samples of one entry of PyTorch's database of modules."""
    report = Report(info.name)
    for dtype in dtypes:
        for training in (True, False):
            torch.manual_seed(0)
            samples = info.module_inputs_func(
                info, device="cpu", dtype=dtype, requires_grad=True, training=training
            )
            for sample in samples:
                run(report, info.module_cls, ours(info), sample, dtype, training)
    return report


def run(report: Report, cls: Any, our_cls: Any, sample: Any, dtype: Any, training: bool) -> None:
    """One module, one call."""
    made, called = sample.constructor_input, sample.forward_input
    text = f"{cls.__name__}({made.args}, {made.kwargs}) {dtype} training={training}"
    text = " ".join(text.split())[:200]
    module = cls(*made.args, **made.kwargs).to(dtype).train(training)
    try:
        mine = our_cls(*converted(made.args), **converted(made.kwargs))
        mine = getattr(mine, {torch.float64: "double", torch.float32: "float"}[dtype])()
        mine.train(training)
    except Exception as e:
        report.add("refused", f"{text}: {type(e).__name__}: {str(e)[:150]} [{place_of(e)}]")
        return
    if repr(mine) != repr(module):
        report.add("WRONG", f"{text}: repr {mine!r} instead of {module!r}")
    if list(mine.state_dict()) != list(module.state_dict()):
        report.add("WRONG", f"{text}: keys {list(mine.state_dict())}")
        return
    state = {k: tm.from_numpy(v.numpy().copy()) for k, v in module.state_dict().items()}
    mine.load_state_dict(state)
    args, kwargs = called.args, called.kwargs
    our_args, our_kwargs = converted(args), converted(kwargs)
    try:
        expected = module(*args, **kwargs)
    except Exception:
        return
    try:
        got = mine(*our_args, **our_kwargs)
    except Exception as e:
        report.add("refused", f"call of {text}: {type(e).__name__}: {str(e)[:150]} [{place_of(e)}]")
        return
    if training and cls.__name__ in RANDOM_IN_TRAINING:
        expected, got = torch.zeros_like(expected), tm.zeros_like(got.detach())
    if wrong := difference(expected, got):
        report.add("WRONG", f"{text}: {wrong}")
        return
    xs = [*variables([args, kwargs]), *module.parameters()]
    our_xs = [*variables([our_args, our_kwargs]), *mine.parameters()]
    pairs = [(e, g) for e, g in zip(flat(expected), flat(got)) if e.requires_grad]
    if pairs and xs:
        us = [cotangent(e) for e, _ in pairs]
        expected_gs = torch.autograd.grad([e for e, _ in pairs], xs, us, allow_unused=True)
        gs = tm.autograd.grad([g for _, g in pairs], our_xs, [converted(u) for u in us],
                              allow_unused=True)  # fmt: skip
        if wrong := difference(list(expected_gs), list(gs), 10.0):
            report.add("WRONG", f"gradient of {text}: {wrong}")
            return
    after = [v for v in module.state_dict().values()]
    if wrong := difference(after, list(mine.state_dict().values()), 10.0):
        report.add("WRONG", f"state after {text}: {wrong}")
        return
    report.add("passed")


def main() -> None:
    """Check the named modules, or all that we have."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for info in module_db:
        name = info.module_cls.__name__
        if ours(info) is None or (options.names and name not in options.names):
            continue
        report = check(info, [torch.float64, torch.float32])
        print(f"{report.name:30} {dict(report.counts)}")
        for line in report.examples[:6]:
            print("    " + line[:400])


if __name__ == "__main__":
    main()
