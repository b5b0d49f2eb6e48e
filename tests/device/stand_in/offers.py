"""What CuPy offers, by names and arguments: offers.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

OFFERS = json.loads(Path(__file__).parents[1].joinpath("offers.json").read_text(encoding="utf-8"))


def check(name: str, known: list[str] | None, args: tuple[Any, ...], options: Any) -> None:
    """Raise TypeError for arguments that CuPy's function of this name does not take."""
    if known is None:
        return
    names = [k for k in known if not k.startswith("*")]
    starred = any(k.startswith("*") and not k.startswith("**") for k in known)
    if not starred and len(args) > len(names):
        raise TypeError(f"cupy: {name}() takes {len(names)} arguments, but {len(args)} were given")
    if not any(k.startswith("**") for k in known):
        for option in options:
            if option not in names:
                raise TypeError(f"cupy: {name}() got an unexpected keyword argument {option!r}")
