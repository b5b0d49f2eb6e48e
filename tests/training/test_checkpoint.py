"""Checkpoints come back bit for bit, and damage is noticed."""

import json
import warnings

import numpy as np
import pytest

from tinygrad_mmb import atomic, tensor
from tinygrad_mmb.training import state_tree
from tinygrad_mmb.training.checkpoint import (
    DamagedCheckpoint,
    checkpoints,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
)

STATE = {
    "weights": {"layer.weight": tensor(np.arange(6.0).reshape(2, 3)), "steps": tensor(3)},
    "optimizer": {
        "state": {0: {"exp_avg": np.ones((2, 3), np.float32), "step": 4}},
        "betas": (0.9, 0.999),
    },
    "rng": {"state": 2**127 + 1, "name": "PCG64"},
    "best": float("inf"),
    "nothing": None,
    "flags": [True, False],
}


def test_a_state_comes_back_with_every_kind_of_value(tmp_path):
    back = load_checkpoint(save_checkpoint(tmp_path, STATE, 7))
    assert back["rng"] == STATE["rng"]
    assert back["best"] == float("inf")
    assert back["nothing"] is None
    assert back["flags"] == [True, False]
    assert back["optimizer"]["betas"] == (0.9, 0.999)
    assert back["optimizer"]["state"][0]["step"] == 4
    np.testing.assert_array_equal(back["optimizer"]["state"][0]["exp_avg"], np.ones((2, 3)))
    np.testing.assert_array_equal(
        back["weights"]["layer.weight"].numpy(), np.arange(6.0).reshape(2, 3)
    )
    assert back["weights"]["steps"].shape == ()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3).T,
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(10)[::2],
        np.arange(10)[::-1],
        np.broadcast_to(np.float32(3), (2, 2)),
        np.zeros((0, 3), np.float16),
        np.array(5, np.int8),
        np.array([True, False]),
        np.array([np.nan, -0.0, np.inf]),
    ],
    ids=["transposed", "fortran", "strided", "reversed", "expanded", "empty", "0-d", "bool", "nan"],
)
def test_an_array_of_any_layout_comes_back_with_its_bits_and_can_be_written_to(tmp_path, array):
    back = load_checkpoint(save_checkpoint(tmp_path, {"a": array}, 1))["a"]
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()
    back[...] = 0


def test_numpy_scalars_keep_their_type(tmp_path):
    back = load_checkpoint(save_checkpoint(tmp_path, {"x": np.float32(0.1)}, 1))["x"]
    assert type(back) is np.float32
    assert back == np.float32(0.1)


def test_keys_that_look_like_our_marks_are_no_marks(tmp_path):
    state = {"$tensor": {"$float": 1}}
    assert load_checkpoint(save_checkpoint(tmp_path, state, 1)) == state


def test_state_that_is_no_state_is_refused_with_its_path(tmp_path):
    with pytest.raises(TypeError, match=r"function at optimizer/schedule/0"):
        save_checkpoint(
            tmp_path, {"optimizer": {"schedule": [test_numpy_scalars_keep_their_type]}}, 1
        )
    with pytest.raises(TypeError, match="object array at a"):
        save_checkpoint(tmp_path, {"a": np.array([None])}, 1)
    assert not list(tmp_path.iterdir())


def test_the_last_k_are_kept(tmp_path):
    for step in range(1, 6):
        save_checkpoint(tmp_path, {"step": step}, step, keep=2)
    assert [p.name for p in checkpoints(tmp_path)] == [
        "checkpoint-00000004.json",
        "checkpoint-00000005.json",
    ]
    assert len(list(tmp_path.iterdir())) == 4


def test_keeping_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="keep is 0"):
        save_checkpoint(tmp_path, {}, 1, keep=0)


def test_an_empty_folder_has_no_latest_checkpoint(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    assert latest_checkpoint(tmp_path / "nowhere") is None


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path):
    path.write_bytes(path.read_bytes() + b"\0")


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def remove(path):
    path.unlink()


@pytest.mark.parametrize("damage", [cut, lengthen, flip_a_bit, remove])
@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, damage, suffix):
    for step in (1, 2):
        last = save_checkpoint(tmp_path, {"step": step, "a": np.full(50, step)}, step)
    damage(last.with_suffix(suffix))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        path, state = latest_checkpoint(tmp_path)
    # cutting or adding the space after JSON is no damage; everything else is, and is reported
    assert (path.name, state["step"]) == ("checkpoint-00000001.json", 1)
    if not (damage is remove and suffix == ".json"):
        assert "Falling back" in str(caught[0].message)


def test_only_damaged_checkpoints_are_an_error(tmp_path):
    cut(save_checkpoint(tmp_path, {"a": 1}, 1))
    with (
        pytest.warns(UserWarning, match="Falling back"),
        pytest.raises(DamagedCheckpoint, match="no checkpoint is whole"),
    ):
        latest_checkpoint(tmp_path)


def test_a_newer_format_is_refused(tmp_path):
    path = save_checkpoint(tmp_path, {}, 1)
    content = json.loads(path.read_text(encoding="utf-8"))
    from tinygrad_mmb.training.checkpoint import digest

    del content["sha256"]
    content["format"] = 99
    path.write_text(json.dumps({"sha256": digest(content), **content}), encoding="utf-8")
    with pytest.raises(DamagedCheckpoint, match="format 99"):
        load_checkpoint(path)


def test_temporary_files_of_killed_writers_are_swept(tmp_path):
    (tmp_path / ".tmp-abc-checkpoint-00000001.json").write_text("half", encoding="utf-8")
    (tmp_path / "checkpoint-00000009.safetensors").write_bytes(b"arrays without their seal")
    save_checkpoint(tmp_path, {}, 1)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint-00000001.json",
        "checkpoint-00000001.safetensors",
    ]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    atomic.write_text(path, "old")

    def fail(temporary):
        temporary.write_text("half", encoding="utf-8")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        atomic.write_with(path, fail)
    assert path.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_tree_without_arrays_is_plain_json():
    arrays = {}
    tree = state_tree.split({"a": [1, "b", None], "c": {"d": 0.5}}, arrays)
    assert tree == {"a": [1, "b", None], "c": {"d": 0.5}}
    assert arrays == {}
