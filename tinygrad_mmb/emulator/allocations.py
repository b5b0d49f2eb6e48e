"""What the pointers of a program are called: the checker names arrays by them."""

from __future__ import annotations

import bisect

from tinygrad_mmb.emulator.source import CLOSE, OPEN
from tinygrad_mmb.emulator.tokens import is_code, tokens


def names_allocated(source: str) -> dict[int, list[str]]:
    """Line of each cudaMalloc and the like -> what its first argument points to: {12: ["d_x"]}."""
    code = [t for t in tokens(source) if is_code(t)]
    starts = [i for i, c in enumerate(source) if c == "\n"]
    found: dict[int, list[str]] = {}
    for i, token in enumerate(code[:-2]):
        if token.kind != "name" or not token.text.startswith("cuda") or code[i + 1].text != "(":
            continue
        if "Malloc" not in token.text and token.text != "cudaHostAlloc":
            continue
        words: list[str] = []
        depth = 0
        for t in code[i + 1 :]:
            depth += (t.text in OPEN) - (t.text in CLOSE)
            if depth == 0 or (depth == 1 and t.text == ","):
                break
            words.append(t.text)
            if depth == 1 and t.text == ")":
                words = []  # a cast
        line = bisect.bisect_left(starts, token.start) + 1
        found.setdefault(line, []).append("".join(words).lstrip("(&"))
    return found
