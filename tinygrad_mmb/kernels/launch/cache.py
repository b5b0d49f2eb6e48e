"""The folder where compiled kernels and programs are kept, and the rule by which it forgets.

An entry is a file, or a folder of `programs/`, whose name ends in 16 digits of a hash:
`softmax-fast-0123456789abcdef.so`. Whatever else lies there is not ours, and stays. Its last use is
its time of change: whoever uses an entry calls `used`.
"""

from __future__ import annotations

import atexit
import functools
import os
import re
import shutil
import tempfile
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

UNUSED_DAYS = 60  # after which an entry is deleted
MOST_BYTES = 2 << 30  # of all entries together; of more, the least recently used are deleted
IN_USE_SECONDS = 3600  # since the last use, in which an entry stays in any case
MAKING = "making-"  # begins the names of folders in which something is being compiled
HASHED = r".+-[0-9a-f]{16}"
ENTRIES = {  # in which folder, and of which name
    "": re.compile(rf"{HASHED}\.(o|so|lock|cubin|ptx|json)|{MAKING}\w+"),
    "programs": re.compile(HASHED),
    "added": re.compile(rf"{HASHED}\.cu"),
}


def cache_folder() -> Path:
    """Where compiled libraries are kept: MMB_CACHE, else the user's cache folder."""
    if named := os.environ.get("MMB_CACHE"):
        return Path(named)
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "tinygrad_mmb"


@functools.cache
def writable(folder: Path) -> Path:
    """The folder, made if need be; one for this process alone if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        own = Path(tempfile.mkdtemp(prefix="tinygrad_mmb-"))
        atexit.register(shutil.rmtree, own, ignore_errors=True)
        warnings.warn(
            f"compiled kernels cannot be kept in {folder} ({error.strerror}), so each process "
            "compiles them again. Set MMB_CACHE to a folder that can be written.",
            stacklevel=2,
        )
        return own


def kept(name: str) -> Path:
    """The file of this name in the cache, or where it is to be written."""
    found = cache_folder() / name
    return found if found.exists() else writable(cache_folder()) / name


def used(path: Path) -> None:
    """Note that this file of the cache is used now, if it may be noted."""
    if os.access(path, os.W_OK):
        os.utime(path)


@dataclass(frozen=True)
class Entry:
    """What is deleted as a whole."""

    path: Path
    bytes: int
    last_use: float  # seconds, as of time.time()

    def delete(self) -> None:
        if self.path.is_dir():
            shutil.rmtree(self.path, ignore_errors=True)  # another process may delete it, too
        else:
            self.path.unlink(missing_ok=True)


def entry(path: Path) -> Entry:
    """A file, or a folder with all that is in it. Raises: FileNotFoundError."""
    states = [path.stat(), *(p.stat() for p in path.rglob("*"))]
    # the time of a folder itself changes with what is deleted in it
    times = [s.st_mtime for s in (states[1:] or states)]
    return Entry(path, sum(s.st_size for s in states), max(times))


def entries(folder: Path) -> list[Entry]:
    """All entries of the cache in `folder`, the least recently used first."""
    found = []
    for place, names in ENTRIES.items():
        for path in (folder / place).glob("*"):
            with suppress(FileNotFoundError):  # another process has just deleted it
                if names.fullmatch(path.name):
                    found.append(entry(path))
    return sorted(found, key=lambda e: e.last_use)


def forget_unused(
    folder: Path, now: float | None = None, *, days: float = UNUSED_DAYS, most: int = MOST_BYTES
) -> None:
    """Delete entries that nobody has used for so many days, and the oldest above `most` bytes."""
    now = time.time() if now is None else now
    all_entries = entries(folder)
    total = sum(e.bytes for e in all_entries)
    for old in all_entries:
        age = now - old.last_use
        if age > days * 86400 or (total > most and age > IN_USE_SECONDS):
            with suppress(FileNotFoundError):  # another process has just deleted it
                if entry(old.path).last_use == old.last_use:  # or has just used it
                    old.delete()
            total -= old.bytes
