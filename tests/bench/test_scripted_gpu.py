"""A run on a scripted GPU: what happens on a real one, but for the numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.bench.machines import Scripted, Timed, cupy_like
from tinygrad_mmb.bench import candidates, comparison, once, results, run, sizes
from tinygrad_mmb.bench.cases import Case, cases_of
from tinygrad_mmb.bench.gpu import Gpu
from tinygrad_mmb.bench.measure import Candidate
from tinygrad_mmb.bench.options import Options
from tinygrad_mmb.bench.work import BACKWARD, FORWARD


def test_on_a_gpu_everything_is_checked_timed_judged_and_compared(small, tmp_path, monkeypatch):
    def scripted(name, seconds, scale=1.0, **more):
        def make(problem, args):
            y = [None if e is None else (e * scale).astype(np.float32) for e in problem.expected]
            return Timed(lambda: y, seconds), lambda y: y

        return Candidate(name, name, make, **more)

    def everybody(case, kind, libraries):
        assert kind == "gpu"
        return [scripted("cuda", 1e-6), scripted("wrong", 1e-9, 1.5),
                scripted("torch", 2e-6, library=True)]  # fmt: skip

    kernels = ("Softmax", "LayerNorm")
    layer_norm = sizes.WORKLOADS["LayerNorm"][0]
    tiny = replace(layer_norm, gpu=((8, 16),))
    monkeypatch.setitem(sizes.WORKLOADS, "LayerNorm", (tiny,))
    monkeypatch.setattr(run, "machine_for", lambda options: Scripted("gpu"))
    monkeypatch.setattr(run, "candidates", everybody)
    entry = comparison.Comparison("Softmax", "16x16", "float32", 4.0, 2.0, "cpu", 1.0, 0.5, 0.5)
    monkeypatch.setattr(comparison, "compare", lambda *arguments: entry)
    monkeypatch.setattr(run, "cases", lambda place, quick: [
        c for op in kernels for c in cases_of(op, [FORWARD, BACKWARD], place, quick)])  # fmt: skip
    found = run.run(Options(), tmp_path, lambda line: None)
    content = results.read(tmp_path / "results.json")
    rows = {(r.kernel, r.variant): r for r in content["rows"]}
    assert content["device"] == "a scripted GPU"
    assert len(rows) == 4 * 3
    mine = rows["LayerNorm.backward", "cuda"]
    assert mine.ratio == pytest.approx(2.0)
    assert mine.clock == "events"
    assert mine.goal["title"] == "layer norm backward"
    assert mine.met is (mine.pct_limit >= 85)
    assert not rows["Softmax", "wrong"].ok
    assert rows["Softmax", "wrong"].ms is None
    assert content["comparison"][0]["speedup_with_transfer"] == 1.0
    assert "profile" not in content  # the emulator has no part in it
    assert "comparison" in found.content


def test_candidates_of_a_gpu_are_the_kernels_there_the_vendor_and_the_libraries():
    (case,) = cases_of("Softmax", [FORWARD], "gpu", True)
    found = [c.variant for c in candidates.candidates(case, "gpu", [])]
    ladder = ["01_three_passes", "02_online", "03_registers", "04_vectorised"]
    assert [name for name in found if name != candidates.TEACHING] == ["cuda", *ladder, "CuPy"]
    product = next(iter(cases_of("MatMul", [FORWARD], "gpu", True)))
    found = candidates.candidates(product, "gpu", [])
    assert {"cuda", "01_naive", "07_warp_tiles", "cuBLAS (CuPy)"} <= {c.variant for c in found}
    assert next(c for c in found if c.variant == "cuBLAS (CuPy)").library


def test_narrow_numbers_are_multiplied_by_ladder_steps_and_libraries_alone():
    by_dtype = {c.dtype: c for c in cases_of("MatMul", [FORWARD], "gpu", True)}
    assert by_dtype.keys() == {"float32", "tf32", "float16", "bfloat16"}
    for dtype in ("tf32", "bfloat16"):
        found = candidates.candidates(by_dtype[dtype], "gpu", [])
        assert found
        assert all(c.variant[:2].isdigit() for c in found)


def test_one_launch_on_a_gpu_stands_in_an_nvtx_range(monkeypatch):
    noted = []
    machine = Gpu(cupy_like(noted))
    case = Case("Softmax", FORWARD, "4x4", "float32", lambda rng: (np.ones((4, 4)), 1))

    def make(problem, args):
        return lambda: noted.append(("launch",)), lambda y: [y]

    monkeypatch.setattr(once, "cases", lambda place, quick: [case])
    monkeypatch.setattr(once, "prepare", lambda *args: type("P", (), {"args": ()}))
    monkeypatch.setattr(once, "candidates", lambda *args: [Candidate("cuda", "cuda", make)])
    text = once.once("Softmax", Options(), machine)
    assert text == "Softmax 4x4 float32, cuda (cuda): one launch, NVIDIA Test"
    assert noted == [("launch",), ("synchronize",), ("RangePush", "Softmax"), ("launch",),
                     ("synchronize",), ("RangePop",)]  # fmt: skip
