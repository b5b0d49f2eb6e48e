"""Files of weights: complete or refused, and the same for PyTorch."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

import tinygrad_mmb as tm
from tinygrad_mmb import nn
from tinygrad_mmb.serialization import DamagedFileError, load, load_metadata, save


def network():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(18, 2))


def test_a_state_dict_comes_back_bit_for_bit(tmp_path):
    a, b = network(), network()
    save(a.state_dict(), tmp_path / "sub" / "modèle.safetensors")
    b.load_state_dict(load(tmp_path / "sub" / "modèle.safetensors"))
    for name, value in a.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), b.state_dict()[name].numpy())


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"]
)
def test_every_dtype_0_d_and_empty_tensors_come_back(tmp_path, dtype):
    t = {
        "a": tm.from_numpy(np.arange(6).reshape(2, 3).astype(dtype)),
        "b": tm.from_numpy(np.array(1).astype(dtype)),
        "c": tm.from_numpy(np.zeros((0, 3), dtype)),
    }
    save(t, tmp_path / "t")
    for name, value in load(tmp_path / "t").items():
        assert value.dtype == dtype and value.shape == t[name].shape
        np.testing.assert_array_equal(value.numpy(), t[name].numpy())


def test_a_transposed_view_is_saved_as_it_reads_not_as_it_lies(tmp_path):
    t = tm.arange(6).reshape(2, 3).t()
    save({"t": t, "r": tm.from_numpy(np.arange(4)[::-1])}, tmp_path / "t")
    np.testing.assert_array_equal(load(tmp_path / "t")["t"].numpy(), [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(load(tmp_path / "t")["r"].numpy(), [3, 2, 1, 0])


def test_metadata_comes_back_without_the_checksums(tmp_path):
    save({"a": tm.ones(1)}, tmp_path / "a", {"epoch": "3"})
    assert load_metadata(tmp_path / "a") == {"epoch": "3"}


def test_one_changed_number_is_found_and_named(tmp_path):
    path = tmp_path / "a"
    save({"weight": tm.ones(100), "bias": tm.ones(3)}, path)
    data = bytearray(path.read_bytes())
    data[-8] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match="damaged: weight differ"):
        load(path)


def test_a_file_cut_off_is_refused(tmp_path):
    path = tmp_path / "a"
    save({"weight": tm.ones(100)}, path)
    data = path.read_bytes()
    for end in (0, 4, 20, len(data) - 1):
        path.write_bytes(data[:end])
        with pytest.raises(DamagedFileError, match="not a complete safetensors file"):
            load(path)


def test_a_tensor_taken_out_of_the_file_is_missed(tmp_path):
    path = tmp_path / "a"
    save({"weight": tm.ones(2)}, path)
    (n,) = struct.unpack("<Q", path.read_bytes()[:8])
    checksums = json.loads(path.read_bytes()[8 : 8 + n])["__metadata__"]
    save_file({"other": np.ones(2, np.float32)}, path, checksums)
    with pytest.raises(DamagedFileError, match="other, weight"):
        load(path)


def test_no_file_is_a_file_not_found_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        load(tmp_path / "nothing")


def test_a_failed_save_leaves_the_old_file_and_no_rest(tmp_path, monkeypatch):
    path = tmp_path / "a"
    save({"a": tm.ones(1)}, path)
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save({"a": tm.zeros(1)}, path)
    assert load(path)["a"].item() == 1.0 and [p.name for p in tmp_path.iterdir()] == ["a"]


def test_what_is_no_tensor_and_metadata_that_is_no_text_are_refused(tmp_path):
    with pytest.raises(TypeError, match="'a' is a float"):
        save({"a": 1.0}, tmp_path / "a")
    with pytest.raises(TypeError, match="metadata must be strings"):
        save({}, tmp_path / "a", {"epoch": 3})
    with pytest.raises(ValueError, match="taken by the checksums"):
        save({}, tmp_path / "a", {"sha256": ""})


@pytest.mark.torch
def test_weights_go_to_pytorch_and_back(tmp_path):
    torch = pytest.importorskip("torch")
    safetensors_torch = pytest.importorskip("safetensors.torch")
    ours = network()
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3),
        torch.nn.BatchNorm2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(18, 2),
    )
    x = np.random.default_rng(0).standard_normal((4, 1, 5, 5)).astype(np.float32)
    theirs(torch.from_numpy(x))  # so that the statistics are not those of the start
    safetensors_torch.save_file(theirs.state_dict(), tmp_path / "theirs")
    ours.load_state_dict(load(tmp_path / "theirs"))
    y = ours.eval()(tm.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(y, theirs.eval()(torch.from_numpy(x)).detach().numpy(), atol=1e-5)
    save(ours.state_dict(), tmp_path / "ours")
    state = safetensors_torch.load_file(tmp_path / "ours")
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(state)
