"""MNIST from a folder: the IDX format, gzipped or not, read and written."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from tinygrad_mmb.autograd.tensor import tensor
from tinygrad_mmb.backend import Array
from tinygrad_mmb.data.dataset import TensorDataset

# IDX: two zero bytes, the type of the numbers, how many dimensions, the sizes, the numbers; all
# big-endian. (Y. LeCun, C. Cortes, C. Burges: the MNIST database.)
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | Path) -> Array:
    """The array in an IDX file; one that is gzipped is known by its first bytes, not by its name.

    Raises: FileNotFoundError; ValueError if it is no IDX file, too short or too long.
    """
    path = Path(path)
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path}: the gzip data are truncated or damaged ({error})") from error
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in TYPES or not data[3]:
        raise ValueError(
            f"{path}: not an IDX file: it begins with {data[:4].hex(' ') or 'nothing'}, but the "
            "images of MNIST begin with 00 00 08 03 and the labels with 00 00 08 01"
        )
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise ValueError(f"{path}: truncated: it ends within its header, after {len(data)} bytes")
    shape = tuple(int(size) for size in np.frombuffer(data[4:start], ">u4"))
    dtype = np.dtype(TYPES[data[2]])
    expected = start + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise ValueError(
            f"{path}: {'truncated' if len(data) < expected else 'too long'}: {len(data)} bytes, "
            f"but its header says {dtype.name} of shape {shape}, which takes {expected}"
        )
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def write_idx(path: str | Path, array: Array) -> None:
    """Write an array as an IDX file, gzipped if the name ends in .gz.

    Raises: TypeError for a dtype that IDX has no code for, ValueError for a 0-d array.
    """
    path = Path(path)
    codes = {np.dtype(name).newbyteorder("="): code for code, name in TYPES.items()}
    if array.dtype not in codes:
        raise TypeError(
            f"write_idx: IDX has no {array.dtype}; it has {', '.join(str(d) for d in codes)}"
        )
    if not 1 <= array.ndim <= 255:
        raise ValueError(
            f"write_idx: IDX needs 1 to 255 dimensions, but the array has {array.ndim}"
        )
    code = codes[array.dtype]
    header = bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    data = header + array.astype(TYPES[code]).tobytes()
    # mtime=0: the same array gives the same file
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


class MNIST(TensorDataset):
    """Handwritten digits of MNIST.   x (1, 28, 28) float32 from 0 to 1, t () int64: the digit.

    `root` is a folder with the four files train-images-idx3-ubyte, train-labels-idx1-ubyte,
    t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, with or without .gz, or a folder above them
    as torchvision makes it (root/MNIST/raw). Nothing is downloaded.

    Raises: FileNotFoundError for a missing file; ValueError for a damaged one, or images and labels
    that do not belong together.
    """

    classes = tuple("0123456789")

    def __init__(self, root: str | Path, train: bool = True) -> None:
        part = "train" if train else "t10k"
        image_file = find(Path(root), f"{part}-images-idx3-ubyte")
        label_file = find(Path(root), f"{part}-labels-idx1-ubyte")
        images, labels = read_idx(image_file), read_idx(label_file)
        if images.ndim != 3 or images.dtype != np.uint8:
            raise ValueError(
                f"{image_file}: images should be uint8 (n, height, width), but are {images.dtype} "
                f"{images.shape}"
            )
        if labels.shape != images.shape[:1]:
            raise ValueError(
                f"{label_file}: {labels.shape} labels for {len(images)} images in {image_file}"
            )
        self.images = images
        x = images.astype(np.float32)[:, None]
        x /= 255.0
        super().__init__(tensor(x), tensor(labels.astype(np.int64)))


def find(root: Path, name: str) -> Path:
    """The file of this name in one of its usual places."""
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; it should hold the four files of MNIST")
    places = [root, root / "raw", root / "MNIST" / "raw"]
    names = [name, f"{name}.gz", name.replace("-idx", ".idx"), name.replace("-idx", ".idx") + ".gz"]
    for place in places:
        for candidate in names:
            if (place / candidate).is_file():
                return place / candidate
    raise FileNotFoundError(f"{root}: there is no {name} (or {name}.gz), also not in MNIST/raw")
