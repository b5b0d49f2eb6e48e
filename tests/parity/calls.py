"""Random calls of every shared function and method, made in PyTorch and here.

    python -m tests.parity.calls --seeds 0:20000
    python -m tests.parity.calls --names gather,sum --seeds 0:2000

Each seed picks a name and arguments: any dtype, 0-d, empty, transposed, strided and expanded
tensors, numbers up to infinity, dimensions out of range, arguments by position and by PyTorch's
names, and now and then something that does not belong there at all. Both sides must agree on the
values, dtypes, requires_grad, layout, on what shares memory and on the gradients; or both raise.
"""

# ruff: noqa: E501, SIM905 - tables of calls
from __future__ import annotations

import argparse
import random
import sys
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import tinygrad_mmb as tm
from tinygrad_mmb.nn import functional as F

SHAPES = [(), (0,), (1,), (3,), (2, 3), (3, 2), (2, 0), (1, 3), (2, 1), (3, 3), (2, 1, 3),
          (2, 2, 2), (1, 2, 3), (2, 3, 1, 2)]  # fmt: skip
DTYPES = ["float64"] * 6 + ["float32"] * 6 + ["int64"] * 3 + [
    "float16", "int32", "int16", "int8", "uint8", "bool", "bool"
]  # fmt: skip
NUMBERS = ["0", "1", "2", "-1", "3", "True", "False", "0.5", "-1.5", "2.0", "inf", "-inf", "nan",
           "1e40", "-1e39", "70000.0", "2**31", "2**63", "-2**63", "2**63 - 1", "2**64", "300", "-129",
           "np.float32(1.5)", "np.int64(2)", "np.float64(0.5)", "np.bool_(True)", "-0.0", "0.0",
           "1e-46", "5e-324"]  # fmt: skip
JUNK = ["None", "'a'", "1.5", "[1]", "(1, 2)", "True", "np.int64(1)", "np.float32(0.5)", "2**63",
        "m.tensor(1)", "m.tensor([1.0, 2.0])", "np.array([1.0, 2.0])", "m.float32", "object()",
        "1j", "m.tensor(True)", "()", "[]", "-1", "7"]  # fmt: skip

# name: what follows the first Tensor, as name:kind; ? marks what may be left out, * keyword only.
UNARY = "abs absolute ceil cos cosh erf exp expm1 floor isfinite isinf isnan log log1p log2 \
logical_not bitwise_not neg negative positive reciprocal relu rsqrt sigmoid sign sin sinh sqrt \
square tan tanh t nonzero selu det inverse"
BINARY = "add sub mul div divide multiply subtract true_divide floor_divide remainder pow eq ne lt \
le gt ge greater greater_equal less less_equal not_equal bitwise_and bitwise_or bitwise_xor"
PAIRS = "atan2 logical_and logical_or logical_xor maximum minimum equal matmul mm bmm mv dot outer"
SIGNATURES = {
    **{name: "" for name in UNARY.split()},
    **{name: "other:y" for name in BINARY.split()},
    **{name: "other:z" for name in PAIRS.split()},
    "pow": "exponent:y", "mm": "mat2:z", "bmm": "mat2:z", "mv": "vec:z", "outer": "vec2:z",
    "dot": "tensor:z",
    "add": "other:y alpha:n?*", "sub": "other:y alpha:n?*",
    "div": "other:y rounding_mode:mode?*", "round": "decimals:i?*",
    "isclose": "other:z rtol:tol? atol:tol? equal_nan:b?",
    "allclose": "other:z rtol:tol? atol:tol? equal_nan:b?",
    "clamp": "min:y? max:y?", "clip": "min:y? max:y?",
    "masked_fill": "mask:mask value:n0", "where": "condition:first input:y other:y",
    **{name: "dim:dims? keepdim:b? dtype:dtype?*" for name in ("sum", "mean")},
    "prod": "dim:dim? keepdim:b? dtype:dtype?*",
    **{name: "dim:dims? keepdim:b?" for name in ("amax", "amin", "any", "all")},
    **{name: "dim:dim? keepdim:b?" for name in ("max", "min", "argmax", "argmin")},
    **{name: "dim:dims? correction:i?* keepdim:b?*" for name in ("std", "var")},
    "logsumexp": "dim:dims keepdim:b?", "norm": "p:p? dim:dims? keepdim:b? dtype:dtype?",
    "cumsum": "dim:dim dtype:dtype?*", "softmax": "dim:dim dtype:dtype?",
    "log_softmax": "dim:dim dtype:dtype?",
    "reshape": "shape:shape", "view": "size:shape", "flatten": "start_dim:dim? end_dim:dim?",
    "squeeze": "dim:dims?", "unsqueeze": "dim:dim", "permute": "dims:perm",
    "transpose": "dim0:dim dim1:dim", "expand": "size:bigger", "broadcast_to": "size:bigger",
    "movedim": "source:dims destination:dims", "narrow": "dim:dim start:i length:i",
    "select": "dim:dim index:i", "diagonal": "offset:i? dim1:dim? dim2:dim?", "diag": "diagonal:i?",
    "tril": "diagonal:i?", "triu": "diagonal:i?", "flip": "dims:dims", "repeat": "repeats:counts",
    "roll": "shifts:dims dims:dims?", "tile": "dims:counts", "unbind": "dim:dim?",
    "split": "split_size_or_sections:pieces dim:dim?", "chunk": "chunks:i dim:dim?", "clone": "", "contiguous": "",
    "detach": "", "expand_as": "other:z", "view_as": "other:z", "type_as": "other:z",
    "gather": "dim:dim index:index", "scatter_add": "dim:dim index:index src:src",
    "index_select": "dim:dim index:vector", "index_add": "dim:dim index:vector source:src alpha:n?*",
    "sort": "dim:dim? descending:b? stable:b?*", "argsort": "dim:dim? descending:b? stable:b?*",
    "topk": "k:i dim:dim? largest:b? sorted:b?",
    "to": "dtype:dtype", "item": "", "tolist": "", "numel": "", "dim": "", "size": "dim:dim?",
    "stride": "dim:dim?", "is_contiguous": "", "is_floating_point": "", "element_size": "",
    "cat": "tensors:list dim:dim?", "concat": "tensors:list dim:dim?", "stack": "tensors:list dim:dim?",
    "hstack": "tensors:list", "vstack": "tensors:list", "tensordot": "other:z dims:tdims?",
    **{name: "" for name in "float double half long int short char byte bool cpu".split()},
    "zeros_like": "dtype:dtype?*", "ones_like": "dtype:dtype?* requires_grad:b?*",
    "full_like": "fill_value:n dtype:dtype?*", "fill_": "value:n0", "copy_": "other:y", "zero_": "",
    "F.relu": "inplace:b?", "F.leaky_relu": "negative_slope:f? inplace:b?",
    "F.elu": "alpha:f? inplace:b?", "F.selu": "inplace:b?", "F.gelu": "approximate:approx?*",
    "F.silu": "inplace:b?", "F.softplus": "beta:f? threshold:f?", "F.softmax": "dim:dim? dtype:dtype?*",
    "F.log_softmax": "dim:dim? dtype:dtype?*", "F.mse_loss": "target:z reduction:red?*",
    "F.l1_loss": "target:z reduction:red?*", "F.sigmoid": "", "F.tanh": "",
    "F.binary_cross_entropy": "target:z weight:z?* reduction:red?*",
    "F.binary_cross_entropy_with_logits": "target:z weight:z?* reduction:red?* pos_weight:z?*",
    "F.cross_entropy": "target:classes weight:z?* reduction:red?* ignore_index:i?* label_smoothing:f?*",
    "F.nll_loss": "target:classes weight:z?* reduction:red?* ignore_index:i?*",
    "F.layer_norm": "normalized_shape:shape weight:z? bias:z? eps:f?",
    "F.linear": "weight:z bias:z?", "F.pad": "pad:pads mode:padmode? value:n?",
    "F.one_hot": "num_classes:i?", "F.embedding": "weight:z padding_idx:i?*",
    "F.max_pool2d": "kernel_size:k stride:k? padding:i? dilation:k? ceil_mode:b?",
    "F.avg_pool2d": "kernel_size:k stride:k? padding:i? ceil_mode:b? count_include_pad:b?",
    "F.batch_norm": "running_mean:z running_var:z weight:z? bias:z? training:b? momentum:f? eps:f?",
    "linalg.inv": "", "linalg.det": "",
    **{f"op {o}": "other:y" for o in "+ - * / // % ** @ == != < <= > >= & | ^".split()},
    **{f"rop {o}": "other:n" for o in "+ - * / // % ** @ == != < <= > >= & | ^".split()},
    **{f"iop {o}=": "other:y" for o in "+ - * / // % ** & | ^".split()},
    "getitem": "index:subscript", "setitem": "index:subscript value:y",
    "arange": "start:n end:n? step:n? dtype:dtype?*", "linspace": "start:n end:n steps:i dtype:dtype?*",
    "full": "size:shape fill_value:n dtype:dtype?*", "eye": "n:i m:i? dtype:dtype?*",
    "zeros": "size:shape dtype:dtype?*", "tensor": "data:data dtype:dtype?*",
    "as_tensor": "data:data dtype:dtype?", "bool()": "", "float()": "", "int()": "", "len()": "", "index()": "",
    "contains": "other:n", "iter": "", "unary ~": "", "unary -": "", "unary +": "", "unary abs": "",
}  # fmt: skip
CREATORS = {"arange", "linspace", "full", "eye", "zeros", "tensor", "as_tensor"}
BOTH = {n for n in SIGNATURES if n.isidentifier()} - CREATORS


@dataclass
class Case:
    """One call: the tensors it is about, as (array, view of it, requires_grad), and its text."""

    name: str
    tensors: dict[str, tuple[np.ndarray, str, bool]]
    call: str

    def __str__(self) -> str:
        made = [
            f"{k} = {a.dtype}{list(a.shape)} {a.ravel().tolist() if a.size < 7 else '...'} "
            f"{v}{' grad' * g}"
            for k, (a, v, g) in self.tensors.items()
        ]
        return "; ".join([*made, self.call])


class Caller:
    """Writes one random call."""

    def __init__(self, seed: int, names: list[str]) -> None:
        self.r = random.Random(seed)
        self.rng = np.random.default_rng(seed)
        self.name = self.r.choice(names)
        self.tensors: dict[str, tuple[np.ndarray, str, bool]] = {}
        self.odd = self.r.random() < 0.12  # put something wrong in one place
        self.tame = self.r.random() < 0.6  # only ordinary values and numbers

    def array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        r, rng = self.r, self.rng
        if dtype == "bool":
            return np.asarray(rng.random(shape) < 0.5)
        if dtype[0] in "iu":
            low = 0 if dtype == "uint8" else -4
            a = np.asarray(rng.integers(low, 5, shape))
            if not self.tame and a.size and r.random() < 0.2:
                info = np.iinfo(dtype)
                a.flat[0] = r.choice([info.min, info.max])
            return np.asarray(a, dtype)
        a = np.asarray(rng.standard_normal(shape) * r.choice([1, 1, 3]))
        if r.random() < 0.3:
            a = np.asarray(np.round(a))
        if r.random() < 0.2:
            a = np.abs(a)
        if not self.tame and a.size:
            for _ in range(r.randrange(3)):
                a.flat[r.randrange(a.size)] = r.choice(
                    [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e30, 1e-40, 60000.0]
                )
        with np.errstate(all="ignore"):
            return np.asarray(a, dtype)

    def tensor(self, shape: tuple[int, ...] | None = None, dtype: str | None = None) -> str:
        """The name of a new tensor of this shape as the call sees it, in whatever layout."""
        r = self.r
        shape = r.choice(SHAPES) if shape is None else shape
        dtype = r.choice(DTYPES) if dtype is None else dtype
        view, made = "", shape
        kind = r.random()
        if shape and kind < 0.12:
            made, view = shape[::-1], ".permute(*range(len(SHAPE))[::-1])".replace(
                "len(SHAPE)", str(len(shape)))  # fmt: skip
        elif shape and kind < 0.2:
            made, view = (*shape[:-1], 2 * shape[-1]), "[..., ::2]"
        elif shape and kind < 0.28:
            made, view = (1, *shape[1:]), f".expand({', '.join(map(str, shape))})"
        name = "abcdefghij"[len(self.tensors)]
        grad = dtype.startswith("float") and r.random() < 0.5
        self.tensors[name] = (self.array(made, dtype), view, grad)
        self.shapes[name] = shape
        return name

    def broadcastable(self) -> tuple[int, ...]:
        shape = list(self.shape)
        for d in range(len(shape)):
            if self.r.random() < 0.2:
                shape[d] = 1
        cut = self.r.randrange(len(shape) + 1) if self.r.random() < 0.25 else 0
        if self.r.random() < 0.15:
            shape = [self.r.choice([1, 2, 3]), *shape]
        return tuple(shape[cut:])

    def same_dtype(self) -> str | None:
        return self.dtype if self.r.random() < 0.6 else None

    def number(self) -> str:
        return self.r.choice(["0", "1", "2", "-1", "0.5", "-1.5", "True"] if self.tame else NUMBERS)

    def argument(self, kind: str) -> str:
        r, shape = self.r, self.shape
        n = len(shape)

        def dim() -> str:
            ordinary = n and r.random() < 0.93
            return str(r.randrange(-n, n) if ordinary else r.choice([0, -1, n, -n - 1]))

        if kind == "y":
            return (
                self.number()
                if r.random() < 0.35
                else self.tensor(self.broadcastable(), self.same_dtype())
            )
        if kind == "z":
            if self.name in ("mm", "bmm", "mv", "dot", "outer", "matmul", "tensordot", "F.linear",
                             "F.embedding", "F.batch_norm", "F.layer_norm") and r.random() < 0.8:  # fmt: skip
                k = shape[-1] if shape else 3
                options = {"mv": [(k,)], "dot": [(k,)], "outer": [(2,), (3,)], "mm": [(k, 2)],
                           "bmm": [(*shape[:1], k, 2)], "F.linear": [(2, k), (k,), (2,)],
                           "F.embedding": [(5, 2)], "F.layer_norm": [shape[-1:], shape],
                           "F.batch_norm": [shape[1:2]]}  # fmt: skip
                choices = options.get(self.name, [(k,), (k, 2), (2, k, 2), (1, k, 1)])
                dtype = self.dtype if r.random() < 0.9 else None
                return self.tensor(r.choice(choices), dtype)
            return self.tensor(
                self.broadcastable() if r.random() < 0.6 else shape, self.same_dtype()
            )
        if kind in ("n", "n0"):
            if r.random() < 0.15:
                return self.tensor((), self.same_dtype())
            return self.number()
        if kind == "b":
            return r.choice(["True", "False"])
        if kind == "i":
            return str(r.choice([0, 1, 1, 2, 2, 3, -1, -2, 5]))
        if kind == "f":
            return r.choice(
                ["0.1", "0.5", "1.0", "2.0", "0", "1", "-0.5"] if self.tame else NUMBERS
            )
        if kind == "tol":
            return r.choice(["0", "0.1", "1e-8", "1", "0.0"] if self.tame else NUMBERS)
        if kind == "dim":
            return dim()
        if kind == "dims":
            some = [dim() for _ in range(r.randrange(n + 1))]
            return r.choice([dim(), dim(), f"({''.join(d + ', ' for d in some)})", f"[{', '.join(some)}]",
                             "None"])  # fmt: skip
        if kind == "dtype":
            return "m." + r.choice(DTYPES)
        if kind == "mask":
            return self.tensor(self.broadcastable(), "bool" if r.random() < 0.9 else None)
        if kind == "first":
            return self.tensor(self.broadcastable(), "bool" if r.random() < 0.8 else None)
        if kind == "mode":
            return r.choice(["None", "'trunc'", "'floor'", "'floor'"])
        if kind == "approx":
            return r.choice(["'none'", "'tanh'"])
        if kind == "red":
            return r.choice(["'mean'", "'sum'", "'none'", "'mean'"])
        if kind == "padmode":
            return "'constant'" if r.random() < 0.9 else "'reflect'"
        if kind == "p":
            return r.choice(
                ["'fro'", "2", "1", "0", "inf", "-inf", "0.5", "3", "-1", "2.0", "'nuc'", "None"]
            )
        if kind in ("shape", "bigger"):
            total = int(np.prod(shape))
            options = [shape, shape[::-1], (-1,), (total,), (1, *shape), (-1, 1), (*shape, 1), (2, 3),
                       (3, -1), (), (0,), (-2,)]  # fmt: skip
            if kind == "bigger":
                options = [(2, *shape), tuple(3 if s == 1 else s for s in shape), (-1,) * n,
                           (2, *(-1,) * n), shape, (0, *shape), (2, 3, 3)]  # fmt: skip
            chosen = r.choice(options)
            text = ", ".join(map(str, chosen))
            if self.method and r.random() < 0.5 and chosen and self.name not in ("full", "zeros"):
                return text
            return f"({text}{',' * (len(chosen) == 1)})" if r.random() < 0.7 else f"[{text}]"
        if kind == "perm":
            order = [*range(n)]
            r.shuffle(order)
            if r.random() < 0.2:
                order = [*order[1:], r.choice([0, n, -1])]
            return f"({''.join(f'{d}, ' for d in order)})"
        if kind == "counts":
            return f"({''.join(f'{r.choice([1, 2, 0, 3])}, ' for _ in range(r.choice([n, n, n + 1, max(n - 1, 0)])))})"
        if kind == "pieces":
            k = shape[0] if shape else 1
            return r.choice(
                ["1", "2", "0", "5", "-1", f"[1, {k - 1}]", f"[{k}]", f"({k}, 0)", f"[1, {k}]"]
            )
        if kind == "pads":
            return f"({', '.join(str(r.choice([0, 1, 2, -1])) for _ in range(r.choice([2, 2, 4, 1, 6])))},)"
        if kind == "k":
            return r.choice(["1", "2", "(2, 1)", "(1, 2)", "[2]", "3", "0"])
        if kind == "tdims":
            return r.choice(["0", "1", "2", "([0], [0])", "([-1], [0])", "[[0, 1], [0, 1]]"])
        if kind == "list":
            k = r.choice([1, 2, 2, 3])
            parts = [
                self.tensor(self.like_shape(), self.dtype if r.random() < 0.7 else None)
                for _ in range(k)
            ]
            return f"[{', '.join(parts)}]" if r.random() < 0.7 else f"({', '.join(parts)},)"
        if kind in ("index", "vector", "src", "classes"):
            return self.indices(kind)
        if kind == "subscript":
            return self.subscript()
        if kind == "data":
            return r.choice([self.number(), f"[{self.number()}, {self.number()}]", "[[1, 2], [3, 4]]",
                             "[[1, 2], [3]]", "[]", "[[], []]", "[True, False]", "[1, 2.5]", "[True, 2]",
                             "np.array([1.5, 2])", "np.float32(2)", "(1, (2,))", "[np.int8(3), 2]",
                             "np.array([1, 2], 'int16')", "range(3)", "'ab'", "None", "[None]",
                             "m.tensor([1, 2])", "[m.tensor(1), m.tensor(2.5)]", "{1, 2}",
                             "[np.array([1, 2]), np.array([3, 4])]", "[1, 'a']", "[[1.5], [True]]",
                             "np.array(['a'])", "np.array([1], 'uint16')", "[m.tensor([1, 2])]"])  # fmt: skip
        raise ValueError(kind)

    def like_shape(self) -> tuple[int, ...]:
        shape = list(self.shape)
        if shape and self.r.random() < 0.35:
            shape[self.r.randrange(len(shape))] = self.r.choice([0, 1, 2])
        return (0,) if self.r.random() < 0.07 else tuple(shape)

    def indices(self, kind: str) -> str:
        r, shape = self.r, self.shape
        if kind == "src":
            last = self.tensors[list(self.tensors)[-1]][0].shape
            options = [shape, last] if self.name == "scatter_add" else [shape, (*last, *shape[1:])]
            return self.tensor(r.choice(options), self.dtype if r.random() < 0.85 else None)
        dtype = "int64" if r.random() < 0.85 else r.choice(["int32", "int16", "uint8", "float32"])
        if kind == "vector":
            wanted = r.choice([(2,), (3,), (), (0,), (1,)])
        elif kind == "classes":
            wanted = (shape[:1] + shape[2:]) if len(shape) > 1 else ()
            if r.random() < 0.15:
                return self.tensor(shape, self.dtype)
        else:
            wanted = tuple(max(0, s - r.choice([0, 0, 1])) for s in shape)
        name = self.tensor(wanted, dtype)
        a, view, _ = self.tensors[name]
        top = min(shape) if shape else 1
        if kind == "classes" and len(shape) > 1:
            top = shape[1]
        if r.random() < 0.9:
            a[...] = self.rng.integers(0, max(top, 1), a.shape)
        self.tensors[name] = (a, view, False)
        return name

    def subscript(self) -> str:
        r = self.r
        parts = []
        for size in self.shape:
            kind = r.random()
            if kind < 0.25:
                parts.append(str(r.randrange(-size - 1, size + 1)))
            elif kind < 0.55:
                step = r.choice(["", "", ":2", ":1", ":-1", ":0"])
                parts.append(
                    f"{r.choice(['', '0', '1', '-1'])}:{r.choice(['', '2', '-1', '0'])}{step}"
                )
            elif kind < 0.65:
                parts.append(r.choice(["None", "...", "True", "False", "1.0", "np.int64(0)"]))
            elif kind < 0.85:
                name = self.tensor(
                    r.choice([(2,), (), (2, 1), (1,)]),
                    r.choice(["int64", "int64", "int32", "uint8"]),
                )
                a = self.tensors[name][0]
                a[...] = (
                    self.rng.integers(-size if size else 0, max(size, 1), a.shape)
                    if a.dtype != np.uint8
                    else a % 2
                )
                parts.append(name)
            elif kind < 0.92:
                parts.append(self.tensor((size,), "bool"))
            else:
                parts.append(r.choice(["[0]", "[0, -1]", "[True]", "[]", "np.array([0])", "(0,)"]))
            if r.random() < 0.15:
                break
        if r.random() < 0.08:
            return self.tensor(self.shape, "bool")
        return ", ".join(parts) or r.choice(["...", "()", "None", "True", "0", ":"])

    def case(self) -> Case:
        r = self.r
        self.shapes: dict[str, tuple[int, ...]] = {}
        name, signature = self.name, SIGNATURES[self.name]
        self.method = name.isidentifier() and hasattr(torch.Tensor, name) and (
            r.random() < 0.5 or not hasattr(torch, name) or name in ("dim", "float", "double", "bool", "int", "half", "long", "short")
        )  # fmt: skip
        creator = name in CREATORS
        self.method = self.method and not creator
        self.shape, self.dtype = r.choice(SHAPES), r.choice(DTYPES)
        if (
            name in ("mm", "F.linear", "t", "inverse", "det", "linalg.inv", "linalg.det")
            and r.random() < 0.8
        ):
            self.shape = r.choice([(2, 3), (3, 3), (2, 2)])
        if name == "bmm" or (name.startswith("F.") and "pool" in name):
            self.shape = r.choice([(2, 2, 3), (2, 3, 4), (1, 2, 4, 4)])
        if name in ("F.cross_entropy", "F.nll_loss", "F.batch_norm") and r.random() < 0.8:
            self.shape = r.choice([(2, 3), (3,), (2, 3, 2), (0, 3), (2, 3, 2, 1)])
            self.dtype = r.choice(["float64", "float32"])
        if name in ("F.one_hot", "F.embedding"):
            self.dtype = r.choice(["int64", "int64", "int32", "float32"])
        if (
            name.startswith("F.")
            and "entropy" not in name
            and "hot" not in name
            and "emb" not in name
        ):
            self.dtype = r.choice(["float64", "float32", "float32", self.dtype])
        listed = "tensors:list" in signature
        x = None if creator or listed else self.tensor(self.shape, self.dtype)
        given, words = [], []
        optional_skipped = False
        for p in signature.split():
            label, kind = p.split(":")
            optional, keyword = "?" in kind, "*" in kind
            kind = kind.strip("?*")
            if optional and r.random() < 0.5:
                optional_skipped = True
                continue
            text = self.argument(kind)
            if optional_skipped or keyword or r.random() < 0.2 or words:
                if "," in text and text[0] not in "([{" and not text.startswith("np"):
                    text = f"({text})"
                words.append(f"{label}={text}")
            else:
                given.append(text)
        if self.odd and (given or words):
            k = r.randrange(len(given) + len(words))
            if k < len(given):
                given[k] = r.choice(JUNK)
            else:
                k -= len(given)
                words[k] = words[k].split("=")[0] + "=" + r.choice(JUNK)
        elif self.odd and r.random() < 0.3 and not name.startswith(("op", "rop", "iop", "unary")):
            given.append(r.choice(JUNK))
        if name == "where" and not self.method:
            call = f"m.where({', '.join([*given, *words])})"
        elif name == "where":
            call = f"{x}.where({', '.join([g for g in [*given[:1], *given[2:]]])})"
        elif name.startswith(("op ", "iop ")):
            value = (given + [w.split("=", 1)[1] for w in words])[0]
            call = f"{x} {name.split()[1]} {value}"
        elif name.startswith("rop "):
            value = (given + [w.split("=", 1)[1] for w in words])[0]
            call = f"({value}) {name.split()[1]} {x}"
        elif name.startswith("unary"):
            call = f"{name.split()[1]}({x})"
        elif name.endswith("()"):
            call = "operator.index(" + x + ")" if name == "index()" else f"{name[:-2]}({x})"
        elif name == "contains":
            value = (given + [w.split("=", 1)[1] for w in words])[0]
            call = f"{value} in {x}"
        elif name == "iter":
            call = f"list({x})"
        elif name == "getitem":
            call = f"{x}[{(given + [w.split('=', 1)[1] for w in words])[0]}]"
        elif name == "setitem":
            both = given + [w.split("=", 1)[1] for w in words]
            call = f"{x}[{both[0]}] = {both[1]}"
        elif creator or listed:
            call = f"m.{name}({', '.join([*given, *words])})"
        elif self.method:
            inplace = hasattr(torch.Tensor, name + "_") and r.random() < 0.35
            call = f"{x}.{name}{'_' * inplace}({', '.join([*given, *words])})"
            if not hasattr(tm.Tensor, name + "_" * inplace):
                call = f"m.{name}({x})"
        else:
            first = f"input={x}" if not given and r.random() < 0.1 else x
            target = name if name.startswith("F.") else f"m.{name}"
            call = f"{target}({', '.join([first, *given, *words])})"
        return Case(name, self.tensors, call)


def environment(case: Case, library: Any, functional: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The variables of a case in one library, and the leaves among them."""
    env: dict[str, Any] = {"m": library, "F": functional, "np": np, "inf": np.inf, "nan": np.nan}
    import operator

    env["operator"] = operator
    leaves = {}
    for name, (array, view, grad) in case.tensors.items():
        leaf = library.from_numpy(array.copy())
        if grad:
            leaf.requires_grad_()
        leaves[name] = leaf
        env[name] = leaf
        if view:
            env[name] = eval("x" + view, {"x": leaf, "range": range})
        elif "_(" in case.call or " = " in case.call or "=" in case.name:
            env[name] = leaf.clone() if grad else leaf
    return env, leaves


def evaluate(case: Case, env: dict[str, Any]) -> tuple[Any, Exception | None]:
    try:
        if case.name.startswith(("iop", "setitem")):
            exec(case.call, env)
            return env["a"], None
        return eval(case.call, env), None
    except Exception as error:
        return None, error


def flat(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return [v for part in value for v in flat(part)]
    return [value]


def numbers(t: Any) -> np.ndarray:
    return t.detach().numpy()


TOLERANCE = {"float64": 1e-9, "float32": 2e-5, "float16": 4e-3}


def unlike(e: Any, g: Any, strict: bool = True, scale: float = 1.0) -> str | None:
    """How our result differs from PyTorch's."""
    if isinstance(e, torch.Tensor) != isinstance(g, tm.Tensor):
        return f"{type(g).__name__} instead of {type(e).__name__}"
    if not isinstance(e, torch.Tensor):
        if isinstance(e, torch.dtype):
            return None if str(e)[6:] == str(g) else f"{g} instead of {e}"
        same = e == g or (e != e and g != g)
        if isinstance(e, float) and isinstance(g, float) and not same:
            same = abs(e - g) < 1e-6 * abs(e)
        if type(e) is not type(g) and not isinstance(e, torch.Size):
            return f"{g!r} ({type(g).__name__}) instead of {e!r} ({type(e).__name__})"
        return None if same else f"{g!r} instead of {e!r}"
    a, b = numbers(e), numbers(g)
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"{b.dtype} {b.shape} instead of {a.dtype} {a.shape}"
    t = TOLERANCE.get(str(a.dtype), 0) * scale
    with np.errstate(all="ignore"):
        if not np.allclose(a.astype(np.float64), b.astype(np.float64), t, t, equal_nan=True):
            return f"values {b.tolist()} instead of {a.tolist()}"
        if (
            strict
            and a.dtype.kind == "f"
            and ((np.signbit(a) != np.signbit(b)) & (a == 0) & (b == 0)).any()
        ):
            return f"sign of zero: {b.tolist()} instead of {a.tolist()}"
        if a.dtype.kind in "iu" and (a != b).any():
            return f"values {b.tolist()} instead of {a.tolist()}"
    return None


def compare(case: Case) -> tuple[str, str]:
    """(outcome, reason)."""
    env, leaves = environment(case, torch, torch.nn.functional)
    our_env, our_leaves = environment(case, tm, F)
    expected, refusal = evaluate(case, env)
    got, our_refusal = evaluate(case, our_env)
    if our_refusal is not None and refusal is None:
        if any(isinstance(v, torch.Tensor) and v.dtype not in KNOWN for v in flat(expected)):
            return "agreed", ""
        return "refused", f"{type(our_refusal).__name__}: {our_refusal}"
    if our_refusal is not None and refusal is not None:
        kinds = type(refusal), type(our_refusal)
        if issubclass(*kinds) or issubclass(*kinds[::-1]) or kinds[1] is NotImplementedError:
            return "agreed", ""
        return "other error", f"{our_refusal!r} instead of {refusal!r}"
    if refusal is not None:
        return "WRONG", f"accepted; PyTorch: {refusal!r}"[:300]
    es, gs = flat(expected), flat(got)
    if len(es) != len(gs):
        return "WRONG", f"{len(gs)} results instead of {len(es)}"
    if isinstance(expected, (list, tuple)) and isinstance(expected, list) != isinstance(got, list):
        return "WRONG", f"a {type(got).__name__} instead of a {type(expected).__name__}"
    for e, g in zip(es, gs):
        if "empty" in case.name:
            continue
        if wrong := unlike(e, g):
            return "WRONG", wrong
        if isinstance(e, torch.Tensor):
            if e.requires_grad != g.requires_grad:
                return "WRONG", f"requires_grad is {g.requires_grad}"
            if e.is_leaf != g.is_leaf:
                return "WRONG", f"is_leaf is {g.is_leaf}"
            if e.numel() and e.is_contiguous() != g.array.flags.c_contiguous:
                return "WRONG", f"is_contiguous is {g.array.flags.c_contiguous}"
            if e.numel():
                for name in case.tensors:
                    t, o = env[name], our_env[name]
                    there = np.may_share_memory(numbers(e), numbers(t))
                    if there != np.may_share_memory(numbers(g), numbers(o)):
                        return "WRONG", f"shares memory with {name}: {not there}, there {there}"
    for name in case.tensors:
        if wrong := unlike(env[name], our_env[name]):
            return "WRONG", f"{name} afterwards: {wrong}"
        if wrong := unlike(leaves[name], our_leaves[name]):
            return "WRONG", f"the memory of {name} afterwards: {wrong}"
    pairs = [(e, g) for e, g in zip(es, gs) if isinstance(e, torch.Tensor) and e.requires_grad]
    if not pairs:
        return "agreed", ""
    return gradients(case, pairs, leaves, our_leaves)


def gradients(case: Case, pairs: list[Any], leaves: Any, our_leaves: Any) -> tuple[str, str]:
    """Compare ∂/∂leaves of a random combination of the results."""
    rng = np.random.default_rng(0)
    us = [
        np.asarray(rng.standard_normal(tuple(e.shape))).astype(str(e.dtype)[6:]) for e, _ in pairs
    ]
    refusal = our_refusal = None
    try:
        torch.autograd.backward([e for e, _ in pairs], [torch.from_numpy(u) for u in us])
    except Exception as error:
        refusal = error
    try:
        tm.autograd.backward([g for _, g in pairs], [tm.from_numpy(u.copy()) for u in us])
    except Exception as error:
        our_refusal = error
    if refusal is not None or our_refusal is not None:
        if refusal is None:
            return "refused", f"gradient: {type(our_refusal).__name__}: {our_refusal}"
        return (
            ("WRONG", f"gradient accepted; PyTorch: {refusal!r}"[:300])
            if our_refusal is None
            else ("agreed", "")
        )
    for name in leaves:
        e, g = leaves[name].grad, our_leaves[name].grad
        if (e is None) != (g is None):
            return "WRONG", f"{name}.grad is {g} instead of {e}"
        if e is not None and (wrong := unlike(e, g, strict=False, scale=10.0)):
            return "WRONG", f"{name}.grad: {wrong}"
    return "agreed", ""


KNOWN = {torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.int16,
         torch.int8, torch.uint8, torch.bool}  # fmt: skip


def excused(case: Case, reason: str) -> bool:
    """Differences that are meant, or not worth their lines."""
    call = case.call
    return (
        "sign of zero" in reason  # it depends on the length of PyTorch's vectors
        or ("accepted" in reason and "np." in call)  # arrays are operands here as Tensors are
        or (
            "accepted" in reason
            and "keepdim=" in call
            and "dim=" not in call.replace("keepdim=", "")
        )
        or ("accepted" in reason and "2**63" in call)  # no int of PyTorch's, but no harm
        or "float16" in call  # rounded at other places
        or ("accepted" in reason and "where(" in call and "input=" in call)  # of numbers: self=
        or ("is_contiguous" in reason and 1 in next(iter(case.tensors.values()))[0].shape)
    )


def check(seed: int, names: list[str]) -> tuple[Case, str, str]:
    case = Caller(seed, names).case()
    outcome, reason = compare(case)
    if outcome == "WRONG" and excused(case, reason):
        outcome = "excused"
    return case, outcome, reason


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0:2000", help="first:last")
    parser.add_argument("--names", default="", help="only these, comma-separated")
    parser.add_argument("--show", type=int, default=3, help="examples of each kind per name")
    parser.add_argument("--refused", action="store_true", help="print refused calls too")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    names = options.names.split(",") if options.names else list(SIGNATURES)
    counts: Counter[str] = Counter()
    shown: Counter[tuple[str, str]] = Counter()
    first, last = map(int, options.seeds.split(":"))
    for seed in range(first, last):
        case, outcome, reason = check(seed, names)
        counts[outcome] += 1
        shown[outcome, case.name] += 1
        wanted = outcome in ("WRONG", "other error") or (options.refused and outcome == "refused")
        if wanted and shown[outcome, case.name] <= options.show:
            print(f"{outcome} {seed} [{case.name}] {case}\n      {reason[:330]}", flush=True)
    print(dict(counts))
    sys.exit(1 if counts["WRONG"] else 0)


if __name__ == "__main__":
    main()
