"""The GPU's side without one: its code on a CuPy that is NumPy, its kernels on the emulator."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from tests.bench.machines import cupy_like
from tinygrad_mmb.bench import gpu
from tinygrad_mmb.bench.gpu import CHAINS, Gpu, copy, multiply_add, number_or_text
from tinygrad_mmb.kernels.launch.emulated import emulator


@pytest.mark.parametrize("n", [0, 1, 3, 4, 1023, 4096, 5001])
@pytest.mark.parametrize("offset", [0, 1])
def test_the_copy_of_the_ceiling_copies(n, offset):
    source = np.arange(n + offset, dtype=np.float32)[offset:]
    target = np.full(n, np.nan, np.float32)
    with emulator("check"):
        copy(target, source)
    np.testing.assert_array_equal(target, source)


def test_the_multiply_adds_of_the_ceiling_are_all_done(monkeypatch):
    """x ← a x + b repeated: aⁿ x + b (1 - aⁿ) / (1 - a), summed over the chains."""
    monkeypatch.setattr(gpu, "STEPS", 37)
    out = np.full(128, np.nan, np.float32)
    multiply_add(out, 2, 64)
    a, b = float(np.float32(0.999)), float(np.float32(0.001))
    expected = sum(a**37 * c + b * (1 - a**37) / (1 - a) for c in range(CHAINS))
    np.testing.assert_allclose(out, expected, rtol=1e-5)


def test_the_time_is_what_lies_between_two_events_and_calls_take_turns():
    machine = Gpu(cupy_like())
    ran = []
    seconds = machine.time([lambda: ran.append("a"), lambda: ran.append("b")], 5)
    assert ran == ["a", "b", "a", "b", "a"]
    assert 0 < seconds < 1


def test_the_ceilings_are_measured_and_say_how(monkeypatch):
    monkeypatch.setattr(gpu, "copy", lambda target, source: target.__setitem__(..., source))
    monkeypatch.setattr(gpu, "multiply_add", lambda out, blocks, threads: out.fill(1))
    monkeypatch.setattr(gpu, "COPIED", 1 << 12)
    there = {"tf32": None}  # as without PyTorch
    monkeypatch.setattr(Gpu, "product", lambda self, dtype, n: there.get(dtype, lambda: None))
    machine = Gpu(cupy_like())
    found = machine.ceilings(0.01)
    assert found.copy_gbs > 0
    assert {"float32", "float64", "float16", "bfloat16", "float32 by cuBLAS"} == found.tflops.keys()
    assert "copy_f32" in found.how["copy"]


def test_what_the_gpu_is_comes_from_its_properties():
    machine = Gpu(cupy_like())
    assert machine.name == machine.stamp == "NVIDIA Test"
    described = machine.describe()
    assert described["compute_capability"] == "9.0"
    assert described["l2_bytes"] == 1 << 16


SMI = "#!/bin/sh\necho \"$@\" > {log}\necho '1980, 2619, 350.25, [N/A], 580.65.06'\n"


def test_clocks_power_and_driver_come_from_nvidia_smi(tmp_path, monkeypatch):
    log = tmp_path / "arguments"
    program = tmp_path / "nvidia-smi"
    program.write_text(SMI.format(log=log), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = Gpu(cupy_like()).sensors()
    assert found == {"clocks.sm": 1980.0, "clocks.mem": 2619.0, "power.draw": 350.25,
                     "temperature.gpu": "[N/A]", "driver_version": "580.65.06"}  # fmt: skip
    assert "--id=0000:01:00.0" in log.read_text(encoding="utf-8")


def test_without_nvidia_smi_there_are_no_sensors(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Gpu(cupy_like()).sensors() == {}


def test_numbers_of_nvidia_smi_or_their_absence():
    assert number_or_text("12.5") == 12.5
    assert number_or_text("[N/A]") == "[N/A]"


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="no CuPy")
def test_cupy_has_every_name_that_the_gpu_side_uses():
    import cupy

    names = """cuda.Event cuda.Device cuda.get_elapsed_time cuda.runtime.getDeviceProperties
        cuda.runtime.driverGetVersion cuda.runtime.runtimeGetVersion cuda.nvtx.RangePush
        cuda.nvtx.RangePop random.default_rng ones empty empty_like matmul copyto asarray ndarray
        float32 RawModule get_default_memory_pool
        __version__ cuda.Device.synchronize cuda.Device.pci_bus_id"""
    for name in names.split():
        found = cupy
        for part in name.split("."):
            found = getattr(found, part)
    for name in ("standard_normal", "integers", "uniform"):
        assert hasattr(cupy.random.Generator, name)
    for name in ("record", "synchronize"):
        assert hasattr(cupy.cuda.Event, name)
