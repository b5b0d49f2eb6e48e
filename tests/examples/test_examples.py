"""Every example runs as a program, prints the numbers of the lectures and leaves its picture."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ONE_THREAD = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
pytestmark = pytest.mark.skipif(not EXAMPLES, reason="only in a checkout")


def run(name: str, folder: Path, *arguments: str) -> str:
    """What the example prints. Pictures go to `folder`, which is also the current one."""
    command = [sys.executable, ROOT / "examples" / f"{name}.py", "--out", "out", *arguments]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, encoding="utf-8", check=False, env=ONE_THREAD
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr  # matplotlib may say there that it looks for fonts
    assert done.stdout.isascii()  # a Windows console of another code page shows no Greek
    return done.stdout


def numbers(pattern: str, text: str) -> tuple[float, ...]:
    """The groups of the pattern, which must be there."""
    found = re.search(pattern, text)
    assert found, f"{pattern!r} is not in:\n{text}"
    return tuple(float(group) for group in found.groups())


def assert_picture(folder: Path, name: str) -> None:
    """The picture is there and shows something: more than a few grey levels."""
    image = pytest.importorskip("matplotlib.image").imread(folder / "out" / f"{name}.png")
    assert min(image.shape[:2]) > 300
    assert image[..., :3].std() > 0.05


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_tested(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < 100
    assert f"def test_{path.stem}" in Path(__file__).read_text(encoding="utf-8")


def test_gradients_by_example(tmp_path):  # N01, N02, AG01, AG02, AG07
    out = run("gradients_by_example", tmp_path)
    for name, value, gradient in (
        ("x", -2, -4),
        ("y", 5, -4),
        ("q = x \\+ y", 3, -4),
        ("z", -4, 3),
    ):
        assert numbers(rf"{name} +value +(\S+) +df/d. +(\S+)", out) == (value, gradient)
    assert "f = -12.0; with x + 0.5 it changes by -2.0" in out
    assert "b.grad = [4.0, 4.0, 4.0]" in out
    assert "second 12.0" in out
    assert "total derivatives [4.0, 1.0], partial ones [1.0, 1.0]" in out
    assert "graph TD" in out
    assert_picture(tmp_path, "gradients_by_example")


def test_training_loop(tmp_path):
    out = run("training_loop", tmp_path)
    assert numbers(r"accuracy (\S+)", out)[0] > 0.99
    assert out.splitlines()[-2] == "the same in PyTorch: change the import"
    assert_picture(tmp_path, "training_loop")


def test_captured_step(tmp_path):
    out = run("captured_step", tmp_path)
    first, last = numbers(r"loss (\S+) -> (\S+)", out)
    assert first > 0.6 and last < 0.3
    assert "losses equal bit for bit: True" in out
    assert "CacheInfo(replays=398, traces=2, eager=0, plans=1, evicted=0)" in out
    assert_picture(tmp_path, "captured_step")


@pytest.mark.torch
def test_training_loop_runs_in_pytorch_with_the_import_changed(tmp_path):
    pytest.importorskip("torch")
    source = (ROOT / "examples" / "training_loop.py").read_text(encoding="utf-8")
    changed = source.replace("import tinygrad_mmb as torch", "import torch")
    changed = changed.replace("from tinygrad_mmb.training.plots import picture\n", "")
    assert "tinygrad_mmb" not in changed
    program = changed.split("def draw(")[0]
    program += "model, dataset, _ = train(epochs=30)\nprint('accuracy', accuracy(model, dataset))\n"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
        env=ONE_THREAD,
    )
    assert done.returncode == 0, done.stderr
    assert numbers(r"accuracy (\S+)", done.stdout)[0] > 0.99


def test_xor_and_linear_collapse(tmp_path):  # AR11
    out = run("xor_and_linear_collapse", tmp_path)
    assert numbers(r"differ by (\S+)", out)[0] < 1e-12
    for name in ("one Linear layer", "two Linear layers, no activation"):
        loss, wrong = numbers(rf"{name}: loss (\S+), wrong (\S+)", out)
        assert loss == pytest.approx(0.6931, abs=1e-4)
        assert wrong == 0.5
    loss, wrong = numbers(r"8 tanh units between: loss (\S+), wrong (\S+)", out)
    assert loss < 1e-3
    assert wrong == 0
    assert_picture(tmp_path, "xor_and_linear_collapse")


@pytest.mark.slow
def test_residual_depth(tmp_path):  # AR07, AR08
    out = run("residual_depth", tmp_path)
    pattern = r" +\|g first\| / \|g last\| = (\S+), loss (\S+)"
    ratio, loss = numbers("plain, sigmoid" + pattern, out)
    assert ratio < 1e-15
    assert loss == pytest.approx(0.6931, abs=1e-3)
    for name in ("plain, ReLU, He's start", "residual, sigmoid", "residual, ReLU"):
        ratio, loss = numbers(name + pattern, out)
        assert 0.02 < ratio < 50
        assert loss < 0.05
    assert_picture(tmp_path, "residual_depth")


def test_optimizer_paths(tmp_path):  # SO08
    out = run("optimizer_paths", tmp_path)
    names = (
        "SGD lr 0.1",
        "momentum 0.9 lr 0.02",
        "Adagrad lr 0.5",
        "RMSprop lr 0.02",
        "Adam lr 0.1",
    )
    steps = {n: numbers(rf"{re.escape(n)} +C < 0.1194 after +(\d+) steps", out)[0] for n in names}
    assert steps["momentum 0.9 lr 0.02"] < steps["Adam lr 0.1"] < steps["SGD lr 0.1"]
    with open(tmp_path / "out" / "optimizer_paths.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * 201
    for name in names:
        way = [float(row["C"]) for row in rows if row["optimizer"] == name]
        assert way[0] == pytest.approx(1.3716)
        assert way[-1] == pytest.approx(0.1184, abs=1e-3)
    assert_picture(tmp_path, "optimizer_paths")


def test_descent_and_newton(tmp_path):  # N12, SO01 to SO05
    out = run("descent_and_newton", tmp_path)
    assert "curvatures [0.16 5.84]" in out
    ends = r" +ends at \((\S+), (\S+)\), C = (\S+), "
    *place, cost, steps = numbers(rf"size 0.25{ends}down after (\d+) steps", out)
    assert place == pytest.approx([1.2083046, 1.2083046], abs=1e-6)
    assert cost == 0.1184
    assert steps == 94
    assert numbers(rf"Newton{ends}never down", out) == (0, 0, 2.25)
    assert numbers(rf"Levenberg, damping 4{ends}", out)[2] == 0.1184
    cycle = numbers(r"2-cycle: w1 (\S+) \(C (\S+)\) <-> (\S+) \(C (\S+)\)", out)
    assert cycle == pytest.approx((1.109870, 0.170470, 1.287152, 0.157114), abs=1e-6)
    assert_picture(tmp_path, "descent_and_newton")


def test_digits_cnn(tmp_path):
    out = run("digits_cnn", tmp_path, "--epochs", "3")
    assert numbers(r"test accuracy (\S+)", out)[0] > 0.95
    assert "19,338 parameters" in out
    assert "CC BY 4.0" in out
    assert_picture(tmp_path, "digits_cnn")


@pytest.mark.slow
def test_universal_approximation(tmp_path):  # AR12
    out = run("universal_approximation", tmp_path)
    errors = [numbers(rf" {n} units: .* starts (\S+)", out)[0] for n in (1, 2, 4, 8, 16, 64)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] == pytest.approx(0.4, abs=0.02)
    assert errors[-1] < 1e-3
    assert numbers(r"hinges \+ c - output: (\S+)", out)[0] < 1e-5
    assert_picture(tmp_path, "universal_approximation")


def test_depth_width(tmp_path):  # AR13
    out = run("depth_width", tmp_path)
    for k in range(1, 8):
        relus, pieces, few, many = numbers(rf"\n +{k} +(\d+) +(\d+) +(\S+) +(\S+)", out)
        assert (relus, pieces) == (2 * k, 2**k)
        assert many < 1e-12
        assert few > 0.07 or k < 3  # 2k < 2^k from k = 3 on; the variance of a saw is 1/12
    assert_picture(tmp_path, "depth_width")


def test_without_matplotlib_an_example_says_how_to_get_it(tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ImportError('hidden')", encoding="utf-8")
    program = (
        f"import sys, runpy; sys.path.insert(0, {str(tmp_path)!r}); "
        "sys.argv = ['x', '--out', 'out']; "
        f"runpy.run_path({str(ROOT / 'examples' / 'depth_width.py')!r}, run_name='__main__')"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert "no picture: pictures need matplotlib: pip install" in done.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the emulator runs on Linux and WSL2")
def test_cuda_without_a_gpu(tmp_path):  # DV04
    out = run("cuda_without_a_gpu", tmp_path)
    for key in ("Linear.backward", "LayerNorm.backward", "CrossEntropy", "Adam.update"):
        assert numbers(rf"{key} +ran (\d+) times", out)[0] >= 40
    reference, emulated = numbers(r"loss: NumPy (\S+), CUDA kernels (\S+)", out)
    assert reference < 0.1 and emulated == pytest.approx(reference, abs=1e-5)
    assert_picture(tmp_path, "cuda_without_a_gpu")
