"""einops on Tensors: its own functions, with gradients."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb import nn

einops = pytest.importorskip("einops")

from tinygrad_mmb.einops import EinopsError, einsum, pack, rearrange, reduce, repeat, unpack  # noqa: E402


def variable(*shape):
    return tm.randn(*shape, dtype=tm.float64).requires_grad_()


def test_rearrange_is_a_reshape_and_a_permutation_and_can_be_undone():  # TE09
    x = variable(2, 5, 12)
    y = rearrange(x, "b s (h d) -> b h s d", h=3)
    np.testing.assert_array_equal(
        y.detach().numpy(), x.detach().numpy().reshape(2, 5, 3, 4).transpose(0, 2, 1, 3)
    )
    back = rearrange(y, "b h s d -> b s (h d)")
    np.testing.assert_array_equal(back.detach().numpy(), x.detach().numpy())


def test_the_gradient_of_rearrange_is_the_inverse_rearrangement():  # TE09
    x, g = variable(2, 5, 12), tm.randn(2, 3, 5, 4, dtype=tm.float64)
    rearrange(x, "b s (h d) -> b h s d", h=3).backward(g)
    np.testing.assert_array_equal(x.grad.numpy(), rearrange(g, "b h s d -> b s (h d)").numpy())


@pytest.mark.parametrize(
    ("pattern", "sizes"),
    [
        ("b s (h d) -> b h s d", {"h": 5}),
        ("b s -> s b", {}),
        ("b s d -> b s", {}),
        ("b ( -> b", {}),
    ],
)
def test_patterns_that_do_not_fit_raise(pattern, sizes):  # TE09
    with pytest.raises(EinopsError):
        rearrange(variable(2, 5, 12), pattern, **sizes)


def test_reduce_by_the_largest_of_each_window_is_max_pooling():  # TE10
    x = variable(2, 3, 4, 6)
    pooled = reduce(x, "b c (h p) (w q) -> b c h w", "max", p=2, q=2)
    np.testing.assert_array_equal(pooled.detach().numpy(), nn.MaxPool2d(2)(x).detach().numpy())


@pytest.mark.parametrize("name", ["mean", "sum", "min", "max", "prod"])
def test_reductions_equal_numpy_and_differentiate(name):  # TE10
    x = variable(2, 3, 4)
    y = reduce(x, "a b c -> b", name)
    np.testing.assert_allclose(y.detach().numpy(), getattr(np, name)(x.detach().numpy(), (0, 2)))
    assert tm.autograd.gradcheck(lambda x: reduce(x, "a b c -> b", name), (x,))


def test_repeat_copies_and_its_gradient_sums_the_copies():  # TE11
    x = variable(2, 3)
    y = repeat(x, "h w -> h w c", c=3)
    np.testing.assert_array_equal(
        y.detach().numpy(), np.repeat(x.detach().numpy()[:, :, None], 3, axis=2)
    )
    g = tm.randn(2, 3, 3, dtype=tm.float64)
    y.backward(g)
    np.testing.assert_allclose(x.grad.numpy(), g.numpy().sum(2))


def test_einsum_in_words_and_packing():
    a, b = variable(2, 3), variable(3, 4)
    product = einsum(a, b, "row inner, inner col -> row col")
    np.testing.assert_allclose(product.detach().numpy(), (a @ b).detach().numpy())
    packed, shapes = pack([a, variable(2, 5, 2)], "row *")
    assert packed.shape == (2, 13)
    np.testing.assert_array_equal(unpack(packed, shapes, "row *")[0].detach().numpy(), a.tolist())


def test_einops_itself_takes_tensors_from_then_on():
    assert einops.rearrange(tm.ones(2, 3), "a b -> b a").shape == (3, 2)


def test_without_einops_the_pip_line_is_printed():
    code = "import sys; sys.modules['einops'] = None; import tinygrad_mmb.einops"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert out.returncode == 1
    assert "python -m pip install 'tinygrad-mmb[interop]'" in out.stderr
