"""Tensors and the rest of Python: numbers, NumPy functions, DLPack, copies."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tinygrad_mmb as tm


@pytest.mark.host_only("NumPy shares memory with the CPU only")
def test_numpy_shares_memory_and_is_refused_where_a_gradient_is_required():
    x = tm.ones(3)
    x.numpy()[0] = 5.0
    assert x[0].item() == 5.0
    with pytest.raises(RuntimeError, match=r"detach\(\)\.numpy\(\)"):
        tm.ones(3, requires_grad=True).numpy()
    with pytest.raises(RuntimeError, match="requires grad"):
        np.asarray(tm.ones(3, requires_grad=True))


def test_asarray_converts_and_copies_as_asked():
    x = tm.ones(3)
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    assert not np.shares_memory(np.array(x, copy=True), x.numpy())
    with pytest.raises(ValueError, match="copy=False"):
        np.array(x, dtype=np.float64, copy=False)


@pytest.mark.parametrize("name", ["exp", "tanh", "sqrt", "log1p", "sin", "negative", "absolute"])
def test_numpy_functions_of_a_tensor_differentiate(name):
    x = tm.tensor([0.3, 0.7], dtype=tm.float64, requires_grad=True)
    y = getattr(np, name)(x)
    np.testing.assert_allclose(y.detach().numpy(), getattr(np, name)(x.detach().numpy()))
    y.sum().backward()
    h = 1e-6
    f = getattr(np, name)
    numeric = (f(x.detach().numpy() + h) - f(x.detach().numpy() - h)) / (2 * h)
    np.testing.assert_allclose(x.grad.numpy(), numeric, rtol=1e-6)


@pytest.mark.host_only("a NumPy array and a Tensor on a GPU are refused together")
def test_array_on_the_left_gives_a_tensor_with_a_gradient():
    x = tm.tensor([1.0, 2.0], dtype=tm.float64, requires_grad=True)
    for y in (np.array([3.0, 4.0]) * x, np.float64(3.0) * x, np.array([3.0, 4.0]) @ x):
        assert isinstance(y, tm.Tensor) and y.requires_grad


def test_numpy_functions_with_axis_become_ours_with_dim():
    x = tm.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    assert np.sum(x, axis=0).tolist() == [4.0, 6.0]
    assert np.mean(x).item() == 2.5
    assert np.concatenate([x, x], axis=1).shape == (2, 4)
    assert np.where(x.detach() > 2.0, x, 0.0).requires_grad


def test_numpy_functions_without_a_counterpart_raise_by_name():
    x = tm.ones(2, requires_grad=True)
    with pytest.raises(TypeError, match=r"numpy\.cbrt is not available for Tensors"):
        np.cbrt(x)
    with pytest.raises(TypeError, match=r"numpy\.add\.at"):
        np.add.at(x, [0], 1.0)
    with pytest.raises(TypeError, match=r"numpy\.exp with out="):
        np.exp(x, out=np.ones(2))
    with pytest.raises(TypeError, match=r"numpy\.percentile"):
        np.percentile(x, 50)


@pytest.mark.host_only("NumPy shares memory with the CPU only")
def test_dlpack_goes_both_ways_without_copying():
    x = tm.arange(3.0)
    a = np.from_dlpack(x)
    assert np.shares_memory(a, x.numpy())
    b = np.arange(3.0)
    assert np.shares_memory(tm.from_dlpack(b).numpy(), b)
    with pytest.raises(BufferError, match="detach"):
        np.from_dlpack(tm.ones(3, requires_grad=True))
    with pytest.raises(TypeError, match="no __dlpack__"):
        tm.from_dlpack([1.0])


@pytest.mark.host_only("NumPy shares memory with the CPU only")
@pytest.mark.torch
def test_dlpack_shares_memory_with_pytorch():
    torch = pytest.importorskip("torch")
    t = torch.arange(4.0)
    x = tm.from_dlpack(t)
    x[0] = 9.0
    assert t[0].item() == 9.0
    back = torch.from_dlpack(x)
    assert back.data_ptr() == t.data_ptr()


def test_item_float_int_bool_and_index():
    assert tm.tensor([[2.5]]).item() == 2.5
    assert float(tm.tensor(2.5)) == 2.5 and int(tm.tensor(2.5)) == 2
    assert [10, 20][tm.tensor(1)] == 20
    assert bool(tm.tensor([True]))
    with pytest.raises(RuntimeError, match="2 elements"):
        tm.ones(2).item()
    with pytest.raises(RuntimeError, match="ambiguous"):
        bool(tm.ones(2))
    with pytest.raises(TypeError, match="integer tensors"):
        [10, 20][tm.tensor(1.0)]


def test_len_iteration_and_contains():
    x = tm.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert len(x) == 2 and [row.tolist() for row in x] == [[1.0, 2.0], [3.0, 4.0]]
    assert 3.0 in x and 5.0 not in x
    for f in (len, iter):
        with pytest.raises(TypeError, match="0-d"):
            f(tm.tensor(1.0))


def test_deepcopy_and_pickle_make_leaves_of_their_own():
    x = tm.ones(3, requires_grad=True)
    (x * 2.0).sum().backward()
    for y in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert y.requires_grad and y.grad.tolist() == [2.0] * 3
        y.data.zero_()
        assert x.tolist() == [1.0] * 3
    with pytest.raises(RuntimeError, match="graph leaves"):
        copy.deepcopy(x * 2.0)


def test_sizes_and_strides_are_counted_in_elements():
    x = tm.zeros(2, 3, 4).transpose(0, 2)
    assert x.size() == (4, 3, 2) and x.size(-1) == 2 and x.stride() == (1, 4, 12)
    assert x.numel() == 24 and x.dim() == 3 and x.element_size() == 4 and x.nbytes == 96
    assert not x.is_contiguous() and x.contiguous().is_contiguous()
    with pytest.raises(IndexError, match="out of range"):
        x.size(3)


def test_tensor_copies_and_infers_dtypes():
    a = np.ones(2)
    assert not np.shares_memory(tm.tensor(a).numpy(), a)
    assert tm.tensor([1.0]).dtype == tm.float32 and tm.tensor([1]).dtype == tm.int64
    assert tm.tensor([True]).dtype == tm.bool and tm.tensor(a).dtype == tm.float64
    assert tm.tensor([tm.tensor(1.0), 2.0]).tolist() == [1.0, 2.0]
    assert tm.Tensor([1, 2, 3]).dtype == tm.float32


@pytest.mark.parametrize("data", ["text", [1 + 2j], np.array([1j]), np.array([None])])
def test_what_no_dtype_can_hold_is_refused(data):
    with pytest.raises(TypeError, match=r"a Tensor cannot hold|invalid data type 'str'"):
        tm.tensor(data)


@pytest.mark.parametrize("data", [None, [None], object(), {"a": 1}, 2**70])
def test_what_is_no_number_is_refused(data):
    with pytest.raises(RuntimeError, match=r"Could not infer dtype|Overflow"):
        tm.tensor(data)


@pytest.mark.parametrize(("data", "error"), [(["1.5"], ValueError), ([1.0, None], RuntimeError)])
def test_numpy_s_readings_of_text_and_none_are_refused_with_a_dtype_too(data, error):
    with pytest.raises(error, match="Tensors hold numbers"):
        tm.tensor(data, dtype=tm.float32)


def test_ragged_lists_are_refused():
    with pytest.raises(ValueError, match=r"inhomogeneous|expected sequence"):
        tm.tensor([[1.0], [1.0, 2.0]])


def test_the_default_dtype_can_be_changed_to_a_float_only():
    tm.set_default_dtype(tm.float64)
    try:
        assert tm.tensor([1.0]).dtype == tm.float64 and tm.zeros(2).dtype == tm.float64
    finally:
        tm.set_default_dtype(tm.float32)
    with pytest.raises(TypeError, match="floating-point"):
        tm.set_default_dtype(tm.int64)


@pytest.mark.host_only("speaks of the CPU")
def test_devices():  # DV01, DV03
    x = tm.ones(2)
    assert x.device == tm.device("cpu") and str(x.device) == "cpu"
    assert x.to("cpu") is x
    assert tm.device("cuda:1") == tm.device("cuda", 1)
    with pytest.raises(RuntimeError, match="Expected one of cpu, cuda"):
        tm.device("tpu")
