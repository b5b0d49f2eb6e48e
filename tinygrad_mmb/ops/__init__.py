"""Every op, by family: `ops.f` takes Tensors and gives Tensors, takes arrays and gives arrays.

An op is one class and one function in its family's file, and the function's name in `__all__`.
"""

from tinygrad_mmb.ops.activation import *
from tinygrad_mmb.ops.arithmetic import *
from tinygrad_mmb.ops.attention import *
from tinygrad_mmb.ops.binary_cross_entropy import *
from tinygrad_mmb.ops.comparison import *
from tinygrad_mmb.ops.contraction import *
from tinygrad_mmb.ops.convolution import *
from tinygrad_mmb.ops.copying import *
from tinygrad_mmb.ops.creation import *
from tinygrad_mmb.ops.cross_entropy import *
from tinygrad_mmb.ops.cumulative import *
from tinygrad_mmb.ops.dropout import *
from tinygrad_mmb.ops.elementwise import *
from tinygrad_mmb.ops.embedding import *
from tinygrad_mmb.ops.exponential import *
from tinygrad_mmb.ops.extremes import *
from tinygrad_mmb.ops.gathering import *
from tinygrad_mmb.ops.indexing import *
from tinygrad_mmb.ops.inversion import *
from tinygrad_mmb.ops.joining import *
from tinygrad_mmb.ops.linear import *
from tinygrad_mmb.ops.loss import *
from tinygrad_mmb.ops.normalization import *
from tinygrad_mmb.ops.padding import *
from tinygrad_mmb.ops.pieces import *
from tinygrad_mmb.ops.pooling import *
from tinygrad_mmb.ops.power import *
from tinygrad_mmb.ops.products import *
from tinygrad_mmb.ops.random import *
from tinygrad_mmb.ops.rearranging import *
from tinygrad_mmb.ops.reduction import *
from tinygrad_mmb.ops.rounding import *
from tinygrad_mmb.ops.selection import *
from tinygrad_mmb.ops.slices import *
from tinygrad_mmb.ops.softmax import *
from tinygrad_mmb.ops.sorting import *
from tinygrad_mmb.ops.statistics import *
from tinygrad_mmb.ops.trigonometry import *
from tinygrad_mmb.ops.views import *
from tinygrad_mmb.ops.writing import *
