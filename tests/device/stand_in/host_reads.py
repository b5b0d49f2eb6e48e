"""Reads of the host: counted, and refused inside a step but for the places listed here."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

PACKAGE = str(Path(__file__).resolve().parents[3] / "tinygrad_mmb")
HERE = str(Path(__file__).parent) + os.sep
STEP = ("forward", "backward", "update")
ENGINE = (
    *(f"{PACKAGE}/{part}/" for part in ("autograd", "backend", "ops", "nn", "optim")),
    f"{PACKAGE}/kernels/recorder.py",  # hands questions on
)
PARTS = tuple(f"{PACKAGE}/{part}/" for part in ("ops", "nn", "optim"))

# Where a forward, backward or update may wait for the GPU, and why. docs/gpu.md tells the same.
READS_OF_THE_HOST: dict[tuple[str, str], str] = {
    ("ops/gathering.py", "are_outside"): "an index out of bounds must raise",
    ("ops/gathering.py", "require_in_bounds"): "the error names the index",
    ("ops/indexing.py", "refuse_out_of_bounds"): "the error names the index",
    ("ops/cross_entropy.py", "judged"): "a class that is not there must raise",
    ("ops/cross_entropy.py", "safe_classes"): "the error names the class",
    ("ops/binary_cross_entropy.py", "binary_cross_entropy"): "what is no probability must raise",
    ("ops/embedding.py", "embedding"): "the error names the index",
    ("ops/arithmetic.py", "has_zero"): "an integer divided by 0 must raise",
    ("ops/inversion.py", "refuse_singular"): "a singular matrix must raise",
    ("ops/inversion.py", "where_singular"): "the error names the singular matrix",
    ("ops/copying.py", "forward"): "x.cpu() is a copy to the host",
    ("nn/normalization.py", "forward"): "momentum=None divides by the number of batches",
}
reads: Counter[str] = Counter()  # how often each place read the host
test_may_look = False  # whether np.asarray(x) in a test is answered


class HostReadError(AssertionError):
    """A forward, backward or update that waits for the GPU without a stated reason."""


def host_read(what: str) -> None:
    """Count a read of the host; refuse it inside a step unless the place is listed."""
    frame = sys._getframe(2)
    place, inside = None, None
    while frame is not None:
        path, name = frame.f_code.co_filename, frame.f_code.co_name
        if path.startswith(PACKAGE):
            here = (path[len(PACKAGE) + 1 :], name)
            if place is None:
                place = here
            if here in READS_OF_THE_HOST or not path.startswith(ENGINE):
                break  # listed, or a metric or callback that a hook calls
            if inside is None and name in STEP and path.startswith(PARTS):
                inside = here
        elif place is None:
            return  # a test looks
        frame = frame.f_back
    if place is None:
        return
    reads[f"{place[0]}:{place[1]}"] += 1
    if frame is None and inside is not None:
        raise HostReadError(
            f"{what} in {place[0]}, {place[1]}, inside {inside[0]}, {inside[1]}: on a GPU this "
            "waits for all work before it. Compute it on the device, or list it with its reason."
        )


def called_by_package() -> bool:
    """Whether the nearest frame outside this folder and NumPy is the package's."""
    frame = sys._getframe(2)
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(PACKAGE):
            return True
        if not path.startswith(HERE) and "numpy" not in Path(path).parts:
            return False
        frame = frame.f_back
    return False
