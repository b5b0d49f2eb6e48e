"""An autograd and neural-net engine to understand deep learning with, under PyTorch's names.

import tinygrad_mmb as tm

x = tm.tensor([1.0, 2.0], requires_grad=True)
(x * x).sum().backward()
x.grad  # tensor([2., 4.])

Read autograd/tensor.py, autograd/function.py, autograd/engine.py and ops/elementwise.py: those
four files are the idea, the rest follows from it.
"""

# ruff: noqa: I001 - ops comes first: ops and Tensor need each other, and this order resolves it
import warnings as _warnings
from math import e, inf, nan, pi

from tinygrad_mmb import ops
from tinygrad_mmb import autograd, backend, cuda, linalg
from tinygrad_mmb.ops.arithmetic import *
from tinygrad_mmb.ops.comparison import *
from tinygrad_mmb.ops.contraction import *
from tinygrad_mmb.ops.creation import *
from tinygrad_mmb.ops.elementwise import *
from tinygrad_mmb.ops.exponential import *
from tinygrad_mmb.ops.extremes import *
from tinygrad_mmb.ops.gathering import *
from tinygrad_mmb.ops.inversion import *
from tinygrad_mmb.ops.joining import *
from tinygrad_mmb.ops.power import *
from tinygrad_mmb.ops.products import *
from tinygrad_mmb.ops.random import *
from tinygrad_mmb.ops.reduction import *
from tinygrad_mmb.ops.rounding import *
from tinygrad_mmb.ops.selection import *
from tinygrad_mmb.ops.slices import *
from tinygrad_mmb.ops.softmax import *
from tinygrad_mmb.ops.sorting import *
from tinygrad_mmb.ops.statistics import *
from tinygrad_mmb.ops.trigonometry import *
from tinygrad_mmb.ops.activation import relu, selu
from tinygrad_mmb.ops.convolution import conv2d
from tinygrad_mmb.ops.cumulative import cumsum
from tinygrad_mmb.ops.dropout import alpha_dropout, dropout
from tinygrad_mmb.ops.embedding import embedding
from tinygrad_mmb.ops.normalization import batch_norm, layer_norm
from tinygrad_mmb.ops.copying import clone
from tinygrad_mmb.ops.pieces import chunk, narrow, select, split, unbind
from tinygrad_mmb.ops.rearranging import diag, flip, roll, tile, tril, triu
from tinygrad_mmb.ops.views import (
    broadcast_to,
    diagonal,
    flatten,
    movedim,
    permute,
    reshape,
    squeeze,
    t,
    transpose,
    unsqueeze,
)
from tinygrad_mmb.autograd import (
    GradientTape,
    enable_grad,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from tinygrad_mmb.autograd.interchange import from_dlpack
from tinygrad_mmb.autograd.printing import set_printoptions
from tinygrad_mmb.autograd.tensor import Tensor, tensor
from tinygrad_mmb.backend import (
    bool_ as bool,
    device,
    float16,
    float16 as half,
    float32,
    float32 as float,
    float64,
    float64 as double,
    get_default_dtype,
    int16,
    int16 as short,
    int32,
    int32 as int,
    int64,
    int64 as long,
    int8,
    set_default_dtype,
    uint8,
)
from tinygrad_mmb.backend.limits import finfo, iinfo
from tinygrad_mmb.backend.threads import get_num_threads, set_num_threads
from tinygrad_mmb.configuration import show_config
from tinygrad_mmb.kernels.registry import use_kernels
from tinygrad_mmb import nn, optim, utils

__version__ = "0.1.0"

# PyTorch computes 1 / 0 = inf without a word, and so do we: NumPy's warnings about it are silenced
# for our own modules, and only for them.
_warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"tinygrad_mmb\.")
