"""Write tinygrad_mmb/autograd/methods.py: the ops declared with @method, as methods of Tensor.

python tools/write_methods.py           write the file
python tools/write_methods.py --check   exit with 1 if it is not what would be written
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import tinygrad_mmb  # noqa: F401 - fills the table
from tinygrad_mmb.autograd.method_table import METHODS, Method

PATH = Path(__file__).parents[1] / "tinygrad_mmb" / "autograd" / "methods.py"
HEAD = '''"""Ops as methods of Tensor: x.exp() is ops.exp(x), and x.exp_() writes exp(x) into x.

Written by tools/write_methods.py from the ops declared with @method: do not edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import inplace
from tinygrad_mmb.autograd.method_table import gathered

if TYPE_CHECKING:
    from tinygrad_mmb.autograd.tensor import Tensor


class Methods:
    """One line each; what they mean stands with the ops."""

'''


def parameters(entry: Method) -> tuple[str, str]:
    """(what the method takes after self, what it hands on to the function)."""
    takes, gives, star = [], [], False
    if entry.sizes:
        return ", *sizes: Any, **named: Any", ", *gathered(sizes), **named"
    for p in list(inspect.signature(entry.function).parameters.values())[1:]:
        if p.kind is p.VAR_POSITIONAL:
            takes.append(f"*{p.name}: Any")
            gives.append(f"*{p.name}")
            star = True
            continue
        if p.kind is p.VAR_KEYWORD:
            takes.append(f"**{p.name}: Any")
            gives.append(f"**{p.name}")
            continue
        if p.kind is p.KEYWORD_ONLY and not star:
            takes.append("*")
            star = True
        default = "" if p.default is p.empty else f" = {p.default!r}"
        takes.append(f"{p.name}: Any{default}")
        gives.append(f"{p.name}={p.name}" if p.kind is p.KEYWORD_ONLY else p.name)
    return "".join(f", {t}" for t in takes), "".join(f", {g}" for g in gives)


def returned(entry: Method) -> Any:
    """What the function says it returns; X is a Tensor for a Tensor."""
    return inspect.signature(entry.function).return_annotation


def lines() -> list[str]:
    """One method a line, in the order of the alphabet."""
    made = []
    for name, entry in sorted(METHODS.items()):
        takes, gives = parameters(entry)
        kind = "Tensor" if returned(entry) == "X" else "Any"
        made.append(f"    def {name}(self: Any{takes}) -> {kind}: return ops.{name}(self{gives})")
        if entry.inplace:
            update = f"inplace.update(self, ops.{name}{gives})"
            made.append(f"    def {name}_(self: Any{takes}) -> Tensor: return {update}")
    return made


def main() -> int:
    """Write the file, or compare it with what would be written."""
    text = HEAD + "\n".join(lines()) + "\n"
    if "--check" in sys.argv[1:]:
        if PATH.read_text(encoding="utf-8") != text:
            print("methods.py is not up to date: run python tools/write_methods.py")
            return 1
        return 0
    PATH.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
