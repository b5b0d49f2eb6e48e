"""Linear algebra beyond products, under PyTorch's names."""

from tinygrad_mmb.ops.inversion import LinAlgError, det, inv

__all__ = ["LinAlgError", "det", "inv"]
