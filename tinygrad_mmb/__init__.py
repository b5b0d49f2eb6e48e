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
from math import e as e
from math import inf as inf
from math import nan as nan
from math import pi as pi

from tinygrad_mmb import ops as ops
from tinygrad_mmb import autograd as autograd
from tinygrad_mmb import backend as backend
from tinygrad_mmb import cuda as cuda
from tinygrad_mmb import linalg as linalg
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
from tinygrad_mmb.ops.activation import relu as relu
from tinygrad_mmb.ops.activation import selu as selu
from tinygrad_mmb.ops.convolution import conv2d as conv2d
from tinygrad_mmb.ops.cumulative import cumsum as cumsum
from tinygrad_mmb.ops.dropout import alpha_dropout as alpha_dropout
from tinygrad_mmb.ops.dropout import dropout as dropout
from tinygrad_mmb.ops.embedding import embedding as embedding
from tinygrad_mmb.ops.normalization import batch_norm as batch_norm
from tinygrad_mmb.ops.normalization import layer_norm as layer_norm
from tinygrad_mmb.ops.copying import clone as clone
from tinygrad_mmb.ops.pieces import chunk as chunk
from tinygrad_mmb.ops.pieces import narrow as narrow
from tinygrad_mmb.ops.pieces import select as select
from tinygrad_mmb.ops.pieces import split as split
from tinygrad_mmb.ops.pieces import unbind as unbind
from tinygrad_mmb.ops.rearranging import diag as diag
from tinygrad_mmb.ops.rearranging import flip as flip
from tinygrad_mmb.ops.rearranging import roll as roll
from tinygrad_mmb.ops.rearranging import tile as tile
from tinygrad_mmb.ops.rearranging import tril as tril
from tinygrad_mmb.ops.rearranging import triu as triu
from tinygrad_mmb.ops.views import (
    broadcast_to as broadcast_to,
    diagonal as diagonal,
    flatten as flatten,
    movedim as movedim,
    permute as permute,
    reshape as reshape,
    squeeze as squeeze,
    t as t,
    transpose as transpose,
    unsqueeze as unsqueeze,
)
from tinygrad_mmb.autograd import (
    GradientTape as GradientTape,
    enable_grad as enable_grad,
    is_grad_enabled as is_grad_enabled,
    no_grad as no_grad,
    set_grad_enabled as set_grad_enabled,
)
from tinygrad_mmb.autograd.documentation import document_methods as _document_methods
from tinygrad_mmb.autograd.interchange import from_dlpack as from_dlpack
from tinygrad_mmb.autograd.printing import set_printoptions as set_printoptions
from tinygrad_mmb.autograd.tensor import Tensor as Tensor
from tinygrad_mmb.autograd.tensor import tensor as tensor
from tinygrad_mmb.backend import (
    bool_ as bool,
    device as device,
    float16 as float16,
    float16 as half,
    float32 as float32,
    float32 as float,
    float64 as float64,
    float64 as double,
    get_default_device as get_default_device,
    get_default_dtype as get_default_dtype,
    int16 as int16,
    int16 as short,
    int32 as int32,
    int32 as int,
    int64 as int64,
    int64 as long,
    int8 as int8,
    set_default_device as set_default_device,
    set_default_dtype as set_default_dtype,
    uint8 as uint8,
)
from tinygrad_mmb.backend.limits import finfo as finfo
from tinygrad_mmb.backend.limits import iinfo as iinfo
from tinygrad_mmb.backend.threads import get_num_threads as get_num_threads
from tinygrad_mmb.backend.threads import set_num_threads as set_num_threads
from tinygrad_mmb.compiled import use_compiled as _use_compiled
from tinygrad_mmb.configuration import show_config as show_config
from tinygrad_mmb.kernels.registry import use_kernels as use_kernels
from tinygrad_mmb import nn as nn
from tinygrad_mmb import optim as optim
from tinygrad_mmb import serialization as serialization
from tinygrad_mmb import utils as utils
from tinygrad_mmb.capture import capture as capture

__version__ = "0.1.0"

_document_methods()
_use_compiled()

# PyTorch computes 1 / 0 = inf without a word, and so do we: NumPy's warnings about it are silenced
# for our own modules, and only for them.
_warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"tinygrad_mmb\.")
