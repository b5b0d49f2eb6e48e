"""Ops as methods of Tensor: x.exp() is ops.exp(x), and x.exp_() writes exp(x) into x.

Written by tools/write_methods.py from the ops declared with @method: do not edit.
"""

# ruff: noqa: A002, E501
from __future__ import annotations

from typing import Any

from tinygrad_mmb import ops
from tinygrad_mmb.autograd import inplace


class Methods:
    """One line each; what they mean stands with the ops."""


