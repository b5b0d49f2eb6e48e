"""The core of a small autograd engine, with PyTorch's names and meanings."""
from tinygrad_mmb import ops as ops  # first: ops and Tensor need each other, and this order resolves it
from tinygrad_mmb.ops import *  # noqa: F403
from tinygrad_mmb import autograd as autograd
from tinygrad_mmb.autograd import *
from tinygrad_mmb.autograd.tensor import Tensor as Tensor, tensor as tensor
from tinygrad_mmb.autograd.interchange import from_dlpack as from_dlpack
from tinygrad_mmb.backend import float16 as float16, float32 as float32, float64 as float64, int8 as int8, int16 as int16, int32 as int32, int64 as int64, uint8 as uint8
from tinygrad_mmb.backend import bool_ as bool, device as device, get_default_dtype as get_default_dtype, set_default_dtype as set_default_dtype
from tinygrad_mmb.backend import float16 as half, float32 as float, float64 as double, int16 as short, int32 as int, int64 as long
from tinygrad_mmb.kernels.registry import use_kernels as use_kernels
from tinygrad_mmb.ops.random import Generator as Generator, manual_seed as manual_seed
if "from_numpy" not in globals():
    from_numpy = Tensor
from tinygrad_mmb import nn as nn, optim as optim
