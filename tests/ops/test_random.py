"""Random tensors: repeatable, saved and restored, distributed as they should be."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tinygrad_mmb as tm

N = 20_000  # the mean of so many has a standard error of σ/141


def test_the_same_seed_gives_the_same_numbers() -> None:
    tm.manual_seed(3)
    first = tm.rand(5).tolist(), tm.randn(5).tolist(), tm.randperm(5).tolist()
    tm.manual_seed(3)
    assert (tm.rand(5).tolist(), tm.randn(5).tolist(), tm.randperm(5).tolist()) == first
    assert tm.initial_seed() == 3


def test_a_generator_is_independent_of_the_default_one() -> None:
    g = tm.Generator().manual_seed(1)
    tm.manual_seed(0)
    a = tm.rand(3, generator=g)
    assert not tm.equal(a, tm.rand(3))
    assert tm.equal(a, tm.rand(3, generator=tm.Generator().manual_seed(1)))


def test_a_state_goes_through_json_and_continues_bit_for_bit() -> None:
    g = tm.Generator().manual_seed(7)
    tm.randint(10, (3,), generator=g, dtype=tm.int32)
    state = json.loads(json.dumps(g.get_state()))
    expected = tm.randn(5, generator=g)
    other = tm.Generator()
    other.set_state(state)
    assert tm.equal(tm.randn(5, generator=other), expected)
    assert other.initial_seed() == 7


def test_a_fresh_seed_differs_from_the_last() -> None:
    g = tm.Generator()
    assert g.seed() != g.seed()


def test_uniform_numbers_have_their_mean_and_stay_below_one() -> None:
    for dtype in (tm.float16, tm.float32, tm.float64):
        x = tm.rand(N, dtype=dtype).numpy().astype(np.float64)
        assert x.min() >= 0.0 and x.max() < 1.0
        assert abs(x.mean() - 0.5) < 5 * 0.29 / N**0.5


def test_normal_numbers_have_their_moments() -> None:
    x = tm.normal(2.0, 3.0, (N,), dtype=tm.float64).numpy()
    assert abs(x.mean() - 2.0) < 5 * 3.0 / N**0.5
    assert abs(x.std() - 3.0) < 5 * 3.0 / (2 * N) ** 0.5
    means = tm.normal(tm.tensor([0.0, 100.0]), tm.tensor([1.0, 0.0]))
    assert means.shape == (2,) and means[1].item() == 100.0
    assert tm.normal(tm.zeros(3, 1), 1.0).shape == (3, 1)


def test_randint_covers_its_range() -> None:
    x = tm.randint(2, 5, (N,))
    assert x.dtype == tm.int64
    assert sorted(set(x.tolist())) == [2, 3, 4]
    assert set(tm.randint(2, (100,)).tolist()) == {0, 1}
    assert tm.randint_like(tm.zeros(3), 4).dtype == tm.float32


def test_a_shuffle_is_a_permutation_and_repeats_with_its_seed() -> None:
    order = tm.randperm(50, generator=tm.Generator().manual_seed(4))
    assert sorted(order.tolist()) == list(range(50))
    assert tm.equal(order, tm.randperm(50, generator=tm.Generator().manual_seed(4)))
    assert order.tolist() != list(range(50))


def test_bernoulli_follows_its_probabilities() -> None:
    p = tm.tensor([0.0, 0.3, 1.0], dtype=tm.float64).expand(N, 3)
    share = tm.bernoulli(p).numpy().mean(0)
    assert share[0] == 0.0 and share[2] == 1.0
    assert abs(share[1] - 0.3) < 5 * (0.21 / N) ** 0.5


def test_the_gradient_of_a_bernoulli_draw_is_zero() -> None:
    p = tm.full((3,), 0.5, requires_grad=True)
    tm.bernoulli(p).sum().backward()
    assert p.grad.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("replacement", [False, True])
def test_multinomial_follows_its_weights(replacement: bool) -> None:
    w = tm.tensor([1.0, 0.0, 3.0], dtype=tm.float64).expand(N, 3)
    drawn = tm.multinomial(w, 1, replacement).numpy()
    share = np.bincount(drawn[:, 0], minlength=3) / N
    assert share[1] == 0.0
    assert abs(share[2] - 0.75) < 5 * (0.1875 / N) ** 0.5


def test_multinomial_without_replacement_takes_nothing_twice() -> None:
    drawn = tm.multinomial(tm.ones(200, 6), 6).numpy()
    assert (np.sort(drawn, axis=1) == np.arange(6)).all()


def test_like_functions_take_shape_and_dtype() -> None:
    x = tm.zeros(2, 3, dtype=tm.float64)
    assert tm.rand_like(x).dtype == tm.float64
    assert tm.randn_like(x).shape == (2, 3)


def test_refusals() -> None:
    with pytest.raises(RuntimeError, match="'from' to be less than 'to'"):
        tm.randint(5, 5, (2,))
    with pytest.raises(RuntimeError, match="out of bounds"):
        tm.randint(0, 300, (2,), dtype=tm.uint8)
    with pytest.raises(TypeError, match="size"):
        tm.randint(5)
    with pytest.raises(RuntimeError, match="not implemented for int64"):
        tm.randn(2, dtype=tm.int64)
    with pytest.raises(RuntimeError, match="std >= 0"):
        tm.normal(0.0, -1.0, (2,))
    with pytest.raises(TypeError, match="size"):
        tm.normal(0.0, 1.0)
    with pytest.raises(RuntimeError, match="p_in <= 1"):
        tm.bernoulli(tm.tensor([1.5]))
    with pytest.raises(RuntimeError, match="categories cannot exceed 2\\^24, but is 16777217"):
        tm.multinomial(tm.ones(1).expand(2**24 + 1), 3)
    with pytest.raises(RuntimeError, match="without replacement"):
        tm.multinomial(tm.ones(2), 3)
    with pytest.raises(RuntimeError, match="not enough"):
        tm.multinomial(tm.tensor([1.0, 0.0]), 2)
    with pytest.raises(RuntimeError, match="element < 0"):
        tm.multinomial(tm.tensor([-1.0, 2.0]), 1)
    with pytest.raises(RuntimeError, match="sum of probabilities"):
        tm.multinomial(tm.zeros(2), 1)
    with pytest.raises(RuntimeError, match="1 or 2 dim"):
        tm.multinomial(tm.ones(1, 1, 2), 1)
    with pytest.raises(RuntimeError, match="n_sample <= 0"):
        tm.multinomial(tm.ones(2), 0)
    with pytest.raises(RuntimeError, match="non-negative"):
        tm.randperm(-1)
    with pytest.raises(TypeError, match="must be a Generator"):
        tm.rand(2, generator=3)
    with pytest.raises(TypeError, match="dict of get_state"):
        tm.Generator().set_state([1])
    with pytest.raises(NotImplementedError, match="host"):
        tm.Generator("cuda")
