"""The stand-in refuses what CuPy refuses. Runs with --device stand-in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_mmb as tm
from tinygrad_mmb.autograd import Function

only_here = pytest.mark.device_only("stand-in")


@pytest.fixture
def cupy():
    return sys.modules["cupy"]


@only_here
@pytest.mark.parametrize(
    ("f", "error"),
    [
        (lambda cp, x: x + np.ones(3), TypeError),
        (lambda cp, x: np.ones(3) + x, TypeError),
        (lambda cp, x: cp.add(x, np.ones(3)), TypeError),
        (lambda cp, x: cp.concatenate([x, np.ones(3)]), TypeError),
        (lambda cp, x: x[np.array([0])], TypeError),
        (lambda cp, x: x.sum(initial=1.0), TypeError),
        (lambda cp, x: x.sum(where=x > 0), TypeError),
        (lambda cp, x: cp.exp(x, where=x > 0), TypeError),
        (lambda cp, x: cp.maximum.reduce(x), NotImplementedError),
        (lambda cp, x: cp.multiply.at(x, cp.array([0]), 2.0), NotImplementedError),
        (lambda cp, x: cp.add.at(x.astype("int64"), cp.array([0]), 1), TypeError),
        (lambda cp, x: cp.argsort(x, kind="quicksort"), ValueError),
        (lambda cp, x: cp.sum([1.0, 2.0]), AttributeError),
        (lambda cp, x: cp.left_shift(x, 1), TypeError),
        (lambda cp, x: x.__array_interface__, AttributeError),
        (lambda cp, x: x.ctypes, AttributeError),
        (lambda cp, x: cp.spacing(x), AttributeError),
        (lambda cp, x: range(cp.array(3)), TypeError),
    ],
)
def test_what_cupy_does_not_offer_is_refused(f, error, cupy):
    with pytest.raises(error):
        f(cupy, cupy.ones(3))


@only_here
def test_results_without_dimensions_are_arrays(cupy):
    x = cupy.ones(3)
    for y in (x.sum(), x[0], x.max(), cupy.array_equal(x, x), x @ x, np.float32(2) * x[0]):
        assert type(y) is cupy.ndarray and y.shape == ()


@only_here
def test_an_index_out_of_bounds_is_wrapped_without_a_word(cupy):
    x = cupy.arange(3)
    assert x[cupy.array([4])].tolist() == x.take(cupy.array([4])).tolist() == [1]


@only_here
def test_elementwise_results_lie_in_rows(cupy):
    assert (cupy.ones((2, 3)).T * 2).strides == (16, 8)


class ReadsTheHost(Function):
    """A forward that waits for the GPU."""

    @staticmethod
    def forward(x):
        return x * float(x.max())


@only_here
def test_a_forward_of_the_package_that_reads_the_host_is_named(cupy, monkeypatch):
    from tests.device.stand_in import host_reads

    monkeypatch.setattr(host_reads, "PACKAGE", str(Path(__file__).parent))
    monkeypatch.setattr(host_reads, "ENGINE", (__file__,))
    monkeypatch.setattr(host_reads, "PARTS", (__file__,))
    with pytest.raises(host_reads.HostReadError, match=r"float\(x\) in .*forward"):
        ReadsTheHost.apply(tm.ones(3))


def test_the_list_is_what_the_installed_cupy_offers():
    script = Path(__file__).with_name("list_cupy.py")
    code = (
        "import importlib.util, json, sys\n"
        "if importlib.util.find_spec('cupy') is None: sys.exit(4)\n"
        "import cupy\n"
        "sys.exit(0 if cupy.__version__ == json.load(open(sys.argv[1]))['version'] else 3)"
    )
    offers = str(script.with_name("offers.json"))
    answer = subprocess.run([sys.executable, "-c", code, offers], check=False).returncode
    if answer in (3, 4):  # asked in a process without the stand-in, which is called cupy here
        pytest.skip("another version of CuPy" if answer == 3 else "CuPy is not installed")
    subprocess.run([sys.executable, str(script), "--check"], check=True)


@pytest.mark.host_only("starts such a session")
def test_devices_behave_as_the_guide_says_on_the_stand_in():
    """The rest of the suite: pytest --device stand-in."""
    here = Path(__file__).parent
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--device", "stand-in", "-p", "no:cacheprovider",
         str(here / "test_devices.py"), str(here / "test_stand_in.py"),
         str(here.parent / "autograd" / "test_engine.py")],
        cwd=here.parents[1], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-2000:]


def test_the_guide_tells_every_place_where_a_step_waits_for_the_gpu():
    from tests.device.stand_in.host_reads import READS_OF_THE_HOST

    guide = Path(__file__).parents[2] / "docs" / "gpu.md"
    text = guide.read_text(encoding="utf-8").split("## Where a step waits")[1]
    for file, function in READS_OF_THE_HOST:
        assert f"`{function}`" in text, f"{file}: {function} is not in {guide.name}"
