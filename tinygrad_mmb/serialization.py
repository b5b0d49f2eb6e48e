"""save and load: state dicts as safetensors files, readable by PyTorch and everyone else.

Only names, dtypes, shapes and numbers are stored, never code. A file is complete or absent: it is
written beside its place and moved there. Its metadata holds the SHA-256 of every tensor, which load
compares, so a damaged file is refused instead of trained on.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.numpy
from safetensors import SafetensorError, safe_open

from tinygrad_mmb import atomic
from tinygrad_mmb.autograd.tensor import Tensor
from tinygrad_mmb.backend import Array, as_array, is_array, namespace, to_numpy

CHECKSUMS = "sha256"  # the key of the metadata under which they stand, as JSON


class DamagedFileError(RuntimeError):
    """A file that is not what was saved: cut off, changed, or no safetensors file at all."""


def save(
    state_dict: Mapping[str, Any],
    path: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write Tensors (or arrays) by name, in PyTorch's layouts: `save(net.state_dict(), p)`.

    `metadata` are strings of your own. Tensors that share memory are stored one by one.
    Raises: TypeError for values that are no Tensors, and for metadata that is no text.
    """
    arrays = {name: stored(name, value) for name, value in state_dict.items()}
    own = dict(metadata or {})
    for key, value in own.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"save: metadata must be strings, but got {key!r}: {value!r}")
    if CHECKSUMS in own:
        raise ValueError(f"save: the metadata key {CHECKSUMS!r} is taken by the checksums")
    own[CHECKSUMS] = json.dumps({name: checksum(a) for name, a in arrays.items()}, sort_keys=True)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(path, safetensors.numpy.save(arrays, own))


def load(path: str | os.PathLike[str], verify: bool = True) -> dict[str, Tensor]:
    """The Tensors of a file, by name: `model.load_state_dict(load(path))`.

    Files from PyTorch or others, which have no checksums, load as well.
    Raises: FileNotFoundError; DamagedFileError where the file is cut off or a checksum differs.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"load: there is no file {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, OSError) as error:
        raise DamagedFileError(
            f"load: {path} is not a complete safetensors file: {error}"
        ) from error
    if verify and CHECKSUMS in metadata:
        compare(path, arrays, metadata[CHECKSUMS])
    return {name: Tensor(as_array(array)) for name, array in arrays.items()}


def load_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The strings that were saved with a file, without the checksums."""
    try:
        with safe_open(Path(path), framework="numpy") as file:
            metadata = dict(file.metadata() or {})
    except SafetensorError as error:
        raise DamagedFileError(f"{path} is not a complete safetensors file: {error}") from error
    metadata.pop(CHECKSUMS, None)
    return metadata


def stored(name: str, value: Any) -> Array:
    """The numbers on the host, in C order: safetensors writes memory as it lies, without asking."""
    array = value.array if isinstance(value, Tensor) else value
    if not is_array(array):
        raise TypeError(f"save: {name!r} is a {type(value).__name__}; only Tensors can be saved")
    array = to_numpy(array)
    return namespace(array).ascontiguousarray(array).reshape(array.shape)


def checksum(array: Array) -> str:
    """SHA-256 of dtype, shape and numbers."""
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode())
    digest.update(array.tobytes())
    return digest.hexdigest()


def compare(path: Path, arrays: Mapping[str, Array], checksums: str) -> None:
    """Raise unless every tensor is what was saved."""
    try:
        expected = dict(json.loads(checksums))
    except ValueError as error:
        raise DamagedFileError(f"load: the checksums in {path} are unreadable") from error
    found = {name: checksum(array) for name, array in arrays.items()}
    wrong = sorted(n for n in expected.keys() | found.keys() if expected.get(n) != found.get(n))
    if wrong:
        raise DamagedFileError(
            f"load: {path} is damaged: {', '.join(wrong)} differ from their checksums. Use an "
            "older checkpoint, or copy the file again"
        )
