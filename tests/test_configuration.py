"""What `show_config` and `mmb doctor` say of CUDA: found and missing parts, and what to do."""

import json
from importlib import metadata
from types import SimpleNamespace

import pytest

from tinygrad_mmb import configuration
from tinygrad_mmb.backend import extension
from tinygrad_mmb.backend.driver import Driver, Gpu
from tinygrad_mmb.kernels.launch import compile, device

T4 = Gpu("Tesla T4", "75")
CUPY = {"cupy-cuda12x": "13.6.0"}


@pytest.fixture
def packages(monkeypatch):
    def install(*names):
        found = [SimpleNamespace(metadata={"Name": n}, version="14.2.0") for n in names]
        monkeypatch.setattr(metadata, "distributions", lambda: found)

    return install


@pytest.mark.parametrize("name", ["cupy", "cupy-cuda11x", "cupy-cuda13x", "CuPy-CUDA12x"])
def test_a_cupy_of_any_name_is_found(packages, name):
    packages("numpy", name, "cupyish", None)
    assert configuration.cupys() == {name.lower(): "14.2.0"}


def test_a_cupy_without_metadata_is_found(packages, monkeypatch):
    packages()
    monkeypatch.setattr(configuration.importlib.util, "find_spec", lambda name: object())
    assert configuration.cupys() == {"cupy": "of unknown version"}


@pytest.mark.parametrize(
    ("found", "driver", "advice"),
    [
        ({}, None, "arrays stay on the CPU"),
        (CUPY, None, ""),
        (CUPY, Driver((12, 4), (T4,)), ""),
        (CUPY, Driver((13, 0), (T4,)), ""),  # a newer driver runs what was built for an older CUDA
    ],
)
def test_nothing_is_advised_where_nothing_is_wrong(found, driver, advice):
    assert configuration.advice_on_cupy(found, driver) == advice


@pytest.mark.parametrize(("cuda", "extra"), [((12, 4), "cuda12"), ((13, 0), "cuda13")])
def test_the_extra_that_fits_the_driver_is_named(cuda, extra):
    advice = configuration.advice_on_cupy({}, Driver(cuda, (T4,)))
    assert f"pip install 'tinygrad-mmb[{extra}]'" in advice


def test_an_old_driver_is_to_be_updated():
    advice = configuration.advice_on_cupy({}, Driver((11, 8), (T4,)))
    assert advice == "the driver runs CUDA 11.8: update it to 12 or newer"


def test_a_second_cupy_is_never_advised():
    two = configuration.advice_on_cupy(CUPY | {"cupy-cuda13x": "14.2.0"}, None)
    assert "pip uninstall cupy-cuda12x cupy-cuda13x" in two
    too_new = configuration.advice_on_cupy({"cupy-cuda13x": "14"}, Driver((12, 4), (T4,)))
    assert too_new.index("pip uninstall cupy-cuda13x") < too_new.index("tinygrad-mmb[cuda12]")


def test_the_route_of_each_gpu_is_told(monkeypatch):
    there = Driver((13, 0), (T4, Gpu("NVIDIA RTX A6000", "86")))
    module = SimpleNamespace(architectures=lambda: ["80", "86"])
    loaded = extension.Extension("cuda", module)
    monkeypatch.setattr(device.extension, "load", lambda name: loaded)
    assert configuration.routes(there) == [
        "cuda:0 Tesla T4, 7.5: compiled at first use (_cuda was built for 80, 86, this GPU is 75)",
        "cuda:1 NVIDIA RTX A6000, 8.6: the extension _cuda",
    ]
    assert configuration.routes(None) == [
        "no GPU: use_kernels('emulator') runs the CUDA kernels on the CPU"
    ]


def test_the_last_comparison_with_a_gpu_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(configuration, "PACKAGE", tmp_path / "tinygrad_mmb")
    assert configuration.conformance() == "never: no GPU was at hand yet"
    for name in reversed(configuration.CONFORMANCE):  # installed, then in a checkout
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"passed": None}), encoding="utf-8")
        assert configuration.conformance() == "never: no GPU was at hand yet"
        told = {"device": "Tesla T4", "date": "2026-11-27", "commit": "abc"}
        path.write_text(json.dumps({"passed": told}), encoding="utf-8")
        assert configuration.conformance() == "Tesla T4, 2026-11-27, commit abc"
        path.unlink()


def test_a_missing_compiler_is_told_with_its_remedy(monkeypatch):
    def missing():
        raise RuntimeError("there is none here. On Debian and Ubuntu: apt install g++.")

    monkeypatch.setattr(compile, "compiler", missing)
    monkeypatch.setattr(configuration, "nvcc", lambda: None)
    assert configuration.compilers() == {
        "C++": "none: there is none here. On Debian and Ubuntu: apt install g++.",
        "nvcc": "none; kernels are then compiled by NVRTC at first use",
    }


def test_nvcc_is_found_in_a_package_below_cuda_home_on_path_and_by_its_variable(
    tmp_path, monkeypatch
):
    monkeypatch.delenv("NVCC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "cuda"))
    monkeypatch.setattr(extension.sysconfig, "get_path", lambda name: str(tmp_path))
    assert extension.nvcc() is None
    package = tmp_path / "nvidia" / "cu13" / "bin" / "nvcc"
    for path in (package, tmp_path / "cuda" / "bin" / "nvcc", tmp_path / "nvcc", tmp_path / "mine"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n", encoding="utf-8")
        path.chmod(0o755)
        if path.name == "mine":
            monkeypatch.setenv("NVCC", str(path))
        assert extension.nvcc() == str(path)
    monkeypatch.setenv("NVCC", "no-such-compiler")  # then no other is taken
    assert extension.nvcc() is None


def test_the_digest_of_sources_follows_their_content_and_names(tmp_path):
    for part in ("cuda", "emulator"):
        (tmp_path / part).mkdir()
    kernel = tmp_path / "cuda" / "one.cu"
    kernel.write_text("1", encoding="utf-8")
    first = extension.digest("cuda", tmp_path)
    (tmp_path / "cuda" / "notes.md").write_text("no source", encoding="utf-8")
    assert extension.digest("cuda", tmp_path) == first
    both = extension.digest("emulator", tmp_path)
    (tmp_path / "emulator" / "run.cpp").write_text("", encoding="utf-8")
    assert extension.digest("cuda", tmp_path) == first
    assert extension.digest("emulator", tmp_path) != both
    kernel.write_text("2", encoding="utf-8")
    assert extension.digest("cuda", tmp_path) != first
    kernel.rename(tmp_path / "cuda" / "two.cu")
    assert len({extension.digest("cuda", tmp_path), first}) == 2
    assert extension.digest("cpu", tmp_path) == ""


def test_an_extension_of_other_sources_is_not_used(monkeypatch):
    module = SimpleNamespace(sources="of yesterday")
    monkeypatch.setattr(extension.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(extension.importlib, "import_module", lambda name: module)
    monkeypatch.setattr(extension, "digest", lambda name: "of today")
    extension.load.cache_clear()
    try:
        loaded = extension.load("cuda")
        assert not loaded.active
        assert loaded.reason.startswith("built before csrc changed, so not used")
        module.sources = "of today"
        extension.load.cache_clear()
        assert extension.load("cuda").module is module
    finally:
        extension.load.cache_clear()
