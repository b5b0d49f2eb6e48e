"""Under the checker, what `empty` gives is unwritten until somebody writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.emulator import table_of_twins
from tinygrad_mmb.backend import namespace
from tinygrad_mmb.kernels import registry
from tinygrad_mmb.kernels.launch import cuda_function, cuda_kernel, fresh, int32
from tinygrad_mmb.kernels.launch.emulated import KernelError, emulator

SOURCE = Path(__file__).with_name("half.cu")
FILE = str(SOURCE)
SUFFIX = {"float32": "f32", "float64": "f64", "float16": "f16", "int32": "i32", "int64": "i64"}
LINES = SOURCE.read_text(encoding="utf-8").splitlines()
READS = next(i for i, line in enumerate(LINES, 1) if "// reads first" in line)


def launch(kernel: str, y: np.ndarray, x: np.ndarray) -> None:
    cuda_function(FILE, f"{kernel}_{SUFFIX[x.dtype.name]}")((1,), (32,), (y, x, int32(x.size)))


@pytest.mark.parametrize("dtype", SUFFIX)
def test_a_kernel_that_reads_what_another_has_not_written_is_named(dtype):
    x = np.arange(1, 9).astype(dtype)
    with emulator("check"):
        y = np.empty_like(x)
        launch("half_of", y, x)
        np.testing.assert_array_equal(y[:4], x[:4])
        with pytest.raises(KernelError, match="uninitialised memory") as error:
            launch("sum_into", y, x)
    (finding,) = error.value.findings
    assert (finding["kind"], finding["line"], finding["thread"]) == (
        "uninitialised",
        READS,
        [4, 0, 0],
    )
    assert f"byte {4 * x.itemsize} of {x.nbytes}" in finding["message"]


@pytest.mark.parametrize("dtype", SUFFIX)
def test_what_numpy_or_a_kernel_has_written_may_be_read(dtype):
    x = np.arange(1, 9).astype(dtype)
    with emulator("check"):
        y = np.empty((2, 8), dtype)
        y[1] = 3
        launch("half_of", y[0, :4], x[:4])
        launch("half_of", y[0, 2:], x[2:])
        launch("sum_into", y[1], x)
        launch("sum_into", y[0, :2], x[:2])
    np.testing.assert_array_equal(y[1], x + 3)
    np.testing.assert_array_equal(y[0, :2], 2 * x[:2])


def test_numpy_is_as_before_when_the_checker_ends_and_its_blocks_may_be_nested():
    before = np.empty, np.empty_like
    with emulator("check"):
        with pytest.raises(ZeroDivisionError), emulator("check", seed=1):
            1 / 0  # noqa: B018
        assert fresh.first_unwritten(np.empty((2, 3))) == (6, (0, 0))
    assert (np.empty, np.empty_like) == before
    with emulator("fast"):
        assert not fresh.is_watching()


def test_arrays_that_nobody_can_tell_from_written_ones_are_left_alone():
    with emulator("check"):
        for y in (np.empty(3, bool), np.empty(3, "S4"), np.empty(3, object), np.empty(0)):
            assert fresh.first_unwritten(y) is None
        y = np.empty((4, 3), np.float32, order="F")
        y[:, :2] = 0
        assert fresh.first_unwritten(y) == (4, (0, 2))
        assert fresh.first_unwritten(y.T[2:]) == (4, (0, 0))


@pytest.fixture
def own_table(monkeypatch):
    """Twins that this test declares are gone after it."""
    monkeypatch.setattr(registry, "_table", dict(registry._table))
    monkeypatch.setattr(registry, "_unasked", {k: set(v) for k, v in registry._unasked.items()})


def test_an_output_of_a_twin_that_stays_unwritten_in_part_is_named(own_table):
    @cuda_kernel("Halved", accepts=lambda x: True)
    def halved(x: Any) -> tuple[Any, Any]:
        y = namespace(x).empty(x.shape, x.dtype)
        launch("half_of", y.reshape(-1), x.reshape(-1))
        return x, y

    (twin,) = [t for t in registry.twins("Halved") if t.backend == "emulator"]
    x = np.ones((2, 3), np.float32)
    twin.run(x)  # nobody looks
    with emulator("check"), pytest.raises(KernelError) as error:
        twin.run(x)
    assert str(error.value).startswith(
        "output 1 of Halved: 3 of its 6 elements are unwritten, the first at index (1, 0); "
        "half_of_f32 was handed the array last. Does the grid cover all elements"
    )
    (finding,) = error.value.findings
    assert (finding["kind"], finding["kernel"]) == ("unwritten-output", "half_of_f32")


def test_the_checker_is_silent_on_a_model_with_its_gradients_and_an_update():
    model = tm.nn.Sequential(tm.nn.Linear(5, 7), tm.nn.LayerNorm(7), tm.nn.Linear(7, 3))
    optimizer = tm.optim.Adam(model.parameters())
    x, t = np.ones((4, 5), np.float32), np.arange(4) % 3
    with tm.use_kernels("emulator"), emulator("check"):
        tm.nn.functional.cross_entropy(model(tm.tensor(x)), tm.tensor(t)).backward()
        optimizer.step()
    assert all(np.isfinite(p.detach().numpy()).all() for p in model.parameters())


def test_the_checker_is_silent_on_every_twin_of_the_table():
    with emulator("check"):
        for twin in table_of_twins.twins():
            table_of_twins.run(twin)
