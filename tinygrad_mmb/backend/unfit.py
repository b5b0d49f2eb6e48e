"""What to raise for data that cannot become an array: PyTorch's error types, and which value."""

from __future__ import annotations

from typing import Any


def unfit(data: Any, inside: bool = False) -> Exception | None:
    """The error for the first thing in nested lists that is no number, or None if all are."""
    if isinstance(data, (list, tuple)):
        lengths = [len(x) if isinstance(x, (list, tuple)) else None for x in data]
        if None in lengths and any(n is not None for n in lengths):
            return TypeError(
                "a list holds both numbers and lists, which is not a sequence of equal rows. "
                f"It begins with {shortened(data)}"
            )
        if len(set(lengths)) > 1:
            i = next(i for i, n in enumerate(lengths) if n != lengths[0])
            return ValueError(
                f"expected sequence of length {lengths[0]}, but row {i} has length {lengths[i]}. "
                "All rows need the same length: pad or cut them first."
            )
        return next((error for x in data if (error := unfit(x, inside=True)) is not None), None)
    if isinstance(data, str):
        kind = ValueError if inside else TypeError
        return kind(
            f"{data!r}: too many dimensions 'str', or invalid data type 'str'. Tensors hold "
            "numbers: number the words first, 0, 1, 2, ..."
        )
    if isinstance(data, int) and not -(2**63) <= data < 2**64:
        return RuntimeError(f"Overflow: {data} does not fit in 64 bits. Make it a float first.")
    if isinstance(data, (bool, int, float, complex)) or hasattr(data, "dtype"):
        return None
    return RuntimeError(
        f"Could not infer dtype of {type(data).__name__}: {shortened(data)}. Tensors hold numbers, "
        "bools, and lists of them."
    )


def shortened(data: Any) -> str:
    """The beginning of a repr."""
    text = repr(data)
    return text if len(text) <= 60 else f"{text[:57]}..."
