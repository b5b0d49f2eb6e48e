"""Checkpoints: a safetensors file of arrays and a JSON file that seals it.

    checkpoint-00000120.safetensors     every array of the state
    checkpoint-00000120.json            the rest, the checksum of the arrays and its own

The JSON file is written last. Without it there is no checkpoint; with it, both files can be
checked. So a process that dies at any moment leaves either the new checkpoint or the one before it,
and nothing else counts.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from pathlib import Path
from typing import Any

from safetensors.numpy import load, save

from tinygrad_mmb import atomic
from tinygrad_mmb.training import state_tree

FORMAT = 1
NAME = re.compile(r"checkpoint-(\d+)\.json")


class DamagedCheckpoint(RuntimeError):  # noqa: N818 - what it is, not what it does
    """A checkpoint whose files do not hold what was written."""


def save_checkpoint(folder: str | Path, state: dict[str, Any], step: int, keep: int = 3) -> Path:
    """Write `state` as checkpoint number `step`, keep the last `keep`, return the JSON file's path.

    `state` is any nesting of Tensors, arrays, numbers, text, lists, tuples and dictionaries.
    Raises: TypeError for state that cannot be written; ValueError if keep < 1; OSError if the disk
    refuses.
    """
    if keep < 1:
        raise ValueError(f"save_checkpoint: keep is {keep}, but at least one checkpoint must stay")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    arrays: state_tree.Arrays = {}
    tree = state_tree.split(state, arrays)
    base = folder / f"checkpoint-{step:08d}"
    data = save(arrays)
    atomic.write_bytes(base.with_suffix(".safetensors"), data)
    content = {
        "format": FORMAT,
        "step": step,
        "arrays": f"{base.name}.safetensors",
        "arrays_sha256": hashlib.sha256(data).hexdigest(),
        "state": tree,
    }
    sealed = {"sha256": digest(content), **content}
    atomic.write_text(base.with_suffix(".json"), json.dumps(sealed, allow_nan=False))
    prune(folder, keep)
    return base.with_suffix(".json")


def digest(content: dict[str, Any]) -> str:
    """The checksum of the JSON part: over its text with sorted keys, as spaces are no content."""
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """The state in one checkpoint, given its JSON file.

    Raises: FileNotFoundError; DamagedCheckpoint when a file is short, changed, missing or of a
    newer format.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        seal = content.pop("sha256")
    except (ValueError, KeyError, AttributeError) as error:
        raise DamagedCheckpoint(f"{path}: this is not a whole checkpoint ({error!r})") from error
    if digest(content) != seal:
        raise DamagedCheckpoint(f"{path}: the checksum does not fit: the file was changed")
    if content["format"] > FORMAT:
        raise DamagedCheckpoint(
            f"{path}: written in format {content['format']} by a newer tinygrad_mmb; this one "
            f"reads up to {FORMAT}"
        )
    arrays = path.with_name(content["arrays"])
    try:
        data = arrays.read_bytes()
    except OSError as error:
        raise DamagedCheckpoint(f"{arrays}: cannot be read ({error})") from error
    if hashlib.sha256(data).hexdigest() != content["arrays_sha256"]:
        raise DamagedCheckpoint(
            f"{arrays}: the checksum does not fit: the file is short or was changed"
        )
    state: dict[str, Any] = state_tree.join(content["state"], load(data))
    return state


def checkpoints(folder: str | Path) -> list[Path]:
    """The JSON files of the checkpoints in a folder, the oldest first. They may be damaged."""
    found = ((NAME.fullmatch(p.name), p) for p in Path(folder).glob("checkpoint-*.json"))
    return [p for _, p in sorted((int(m[1]), p) for m, p in found if m)]


def latest_checkpoint(folder: str | Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint that is whole, and its state; None if there is none at all.

    A damaged one is passed over with a warning.
    Raises: DamagedCheckpoint if there are checkpoints, but all of them are damaged.
    """
    damaged = None
    for path in reversed(checkpoints(folder)):
        try:
            state = load_checkpoint(path)
        except DamagedCheckpoint as error:
            warnings.warn(
                f"{error}. Falling back to the checkpoint before it.", UserWarning, stacklevel=2
            )
            damaged = error
        else:
            return path, state
    if damaged is not None:
        raise DamagedCheckpoint(f"{folder}: no checkpoint is whole; the oldest: {damaged}")
    return None


def prune(folder: Path, keep: int) -> None:
    """Remove all but the last `keep`, arrays without a seal, and stale temporary files."""
    paths = checkpoints(folder)
    for path in paths[:-keep]:
        path.unlink(missing_ok=True)  # the seal first: arrays alone do not count
    kept = {p.stem for p in paths[-keep:]}
    for arrays in folder.glob("checkpoint-*.safetensors"):
        if arrays.stem not in kept:
            arrays.unlink(missing_ok=True)
    atomic.sweep(folder)
