"""Ops as methods of Tensor, and their in-place forms: x.exp() is ops.exp(x), x.exp_() is update(x, ops.exp)."""
from __future__ import annotations

from typing import Any

from tinygrad_mmb import backend, ops
from tinygrad_mmb.autograd import inplace
from tinygrad_mmb.backend import as_array, to_numpy


class Methods:
    """One line each; what they mean stands with the ops."""

    def exp(self): return ops.exp(self)
    def log(self): return ops.log(self)
    def sqrt(self): return ops.sqrt(self)
    def sin(self): return ops.sin(self)
    def cos(self): return ops.cos(self)
    def tanh(self): return ops.tanh(self)
    def sigmoid(self): return ops.sigmoid(self)
    def relu(self): return ops.relu(self)
    def abs(self): return ops.abs(self)
    def neg(self): return ops.neg(self)
    def sign(self): return ops.sign(self)
    def square(self): return ops.square(self)
    def add(self, other, *, alpha=1): return ops.add(self, other, alpha=alpha)
    def sub(self, other, *, alpha=1): return ops.sub(self, other, alpha=alpha)
    def mul(self, other): return ops.mul(self, other)
    def div(self, other): return ops.div(self, other)
    def pow(self, other): return ops.pow(self, other)
    def matmul(self, other): return ops.matmul(self, other)
    def maximum(self, other): return ops.maximum(self, other)
    def minimum(self, other): return ops.minimum(self, other)
    def clamp(self, min=None, max=None): return ops.clamp(self, min, max)
    def sum(self, dim=None, keepdim=False): return ops.sum(self, dim, keepdim)
    def mean(self, dim=None, keepdim=False): return ops.mean(self, dim, keepdim)
    def var(self, dim=None, *, correction=1, keepdim=False): return ops.var(self, dim, correction=correction, keepdim=keepdim)
    def amax(self, dim=(), keepdim=False): return ops.amax(self, dim, keepdim)
    def max(self, dim=None, keepdim=False): return ops.max(self, dim, keepdim)
    def argmax(self, dim=None, keepdim=False): return ops.argmax(self, dim, keepdim)
    def topk(self, k, dim=-1): return ops.topk(self, k, dim)
    def softmax(self, dim): return ops.softmax(self, dim)
    def log_softmax(self, dim): return ops.log_softmax(self, dim)
    def reshape(self, *shape): return ops.reshape(self, *shape)
    def permute(self, *dims): return ops.permute(self, *dims)
    def transpose(self, dim0, dim1): return ops.transpose(self, dim0, dim1)
    def t(self): return ops.t(self)
    def expand(self, *shape): return ops.expand(self, *shape)
    def squeeze(self, dim=None): return ops.squeeze(self, dim)
    def unsqueeze(self, dim): return ops.unsqueeze(self, dim)
    def flatten(self, start_dim=0, end_dim=-1): return ops.flatten(self, start_dim, end_dim)
    def narrow(self, dim, start, length): return ops.narrow(self, dim, start, length)
    def flip(self, dims): return ops.flip(self, dims)
    def split(self, split_size, dim=0): return ops.split(self, split_size, dim)
    def chunk(self, chunks, dim=0): return ops.chunk(self, chunks, dim)
    def unbind(self, dim=0): return ops.unbind(self, dim)
    def gather(self, dim, index): return ops.gather(self, dim, index)
    def scatter_add(self, dim, index, src): return ops.scatter_add(self, dim, index, src)
    def clone(self): return ops.clone(self)
    def to(self, dtype): return ops.to(self, dtype)
    def float(self): return ops.to(self, backend.float32)
    def double(self): return ops.to(self, backend.float64)
    def long(self): return ops.to(self, backend.int64)
    def int(self): return ops.to(self, backend.int32)
    def bool(self): return ops.to(self, backend.bool_)

    def add_(self, other, *, alpha=1): return inplace.update(self, ops.add, other, alpha=alpha)
    def sub_(self, other, *, alpha=1): return inplace.update(self, ops.sub, other, alpha=alpha)
    def mul_(self, other): return inplace.update(self, ops.mul, other)
    def div_(self, other): return inplace.update(self, ops.div, other)
    def pow_(self, other): return inplace.update(self, ops.pow, other)
    def exp_(self): return inplace.update(self, ops.exp)
    def relu_(self): return inplace.update(self, ops.relu)
    def clamp_(self, min=None, max=None): return inplace.update(self, ops.clamp, min, max)
    def copy_(self, source): return inplace.overwrite(self, source)
    def fill_(self, value): return inplace.overwrite(self, value)
    def zero_(self): return inplace.overwrite(self, 0)

    def numpy(self) -> Any:
        """The array itself, sharing memory (a copy if it is on a GPU)."""
        if self.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        return to_numpy(self.array)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.numpy() if dtype is None else as_array(self.numpy(), dtype)

    def item(self) -> Any:
        """The one element, as a Python number."""
        if self.array.size != 1:
            raise RuntimeError(f"a Tensor with {self.array.size} elements cannot be converted to Scalar")
        return self.array.item()

    def tolist(self) -> Any: return self.array.tolist()
    def numel(self): return self.array.size
    def __float__(self): return self.item().__float__()
    def __int__(self): return self.item().__int__()
    def __bool__(self):
        if self.array.size != 1:
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous. Use (x == y).array.all() or any().")
        return self.item() != 0

