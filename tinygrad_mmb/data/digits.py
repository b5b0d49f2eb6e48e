"""The handwritten digits that come with the package."""

from __future__ import annotations

from importlib import resources

import numpy as np

from tinygrad_mmb.autograd.tensor import tensor
from tinygrad_mmb.backend import Array
from tinygrad_mmb.data.dataset import Subset, TensorDataset, random_split, stratified_split
from tinygrad_mmb.ops.random import Generator


def load_digits() -> tuple[Array, Array]:
    """(images (1797, 8, 8) uint8 from 0 to 16, labels (1797,) uint8 from 0 to 9).

    Source: Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI Machine
    Learning Repository, 1998, doi 10.24432/C50P49, CC BY 4.0 (see data/files/digits.txt).
    """
    with (resources.files("tinygrad_mmb.data") / "files" / "digits.npz").open("rb") as file:
        arrays = np.load(file)
        return arrays["images"], arrays["labels"]


class Digits(TensorDataset):
    """1,797 handwritten digits.   x (1, 8, 8) float32 from 0 to 1, t () int64: the digit.

    Of each digit there are 174 to 183.
    """

    classes = tuple("0123456789")

    def __init__(self) -> None:
        images, labels = load_digits()
        self.images = images
        x = (images / 16.0).astype(np.float32)[:, None]
        super().__init__(tensor(x), tensor(labels.astype(np.int64)))

    def split(
        self,
        fractions: tuple[float, ...] = (0.6, 0.2, 0.2),
        seed: int = 0,
        stratify: bool = False,
    ) -> list[Subset]:
        """Train, validation and test part: the same for the same seed, on every machine.

        `stratify` keeps the share of every digit equal in all parts.
        """
        generator = Generator().manual_seed(seed)
        if stratify:
            return stratified_split(self, self.tensors[1], fractions, generator)
        return random_split(self, fractions, generator)
