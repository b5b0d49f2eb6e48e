"""Pictures: what is on them, that they say which machine they are about, and how they are kept."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")

from tests.bench.test_results import HEADER, row
from tinygrad_mmb.bench import figures

LIMITS = {"copy_gbs": 20.0, "tflops": {"float32": 0.05, "float64": 0.02, "float32 by cuBLAS": 0.04}}


def measured(variant, ratio, spread=0.1, kernel="Softmax", **more):
    given = {"tflops": 0.001, "gbs": 10.0, "ratio": ratio, "ratio_low": ratio * (1 - spread),
             "ratio_high": ratio * (1 + spread), "peer": "torch",
             "verdict": "faster" if ratio * (1 - spread) > 1 else "indistinguishable"}  # fmt: skip
    return row(kernel=kernel, variant=variant, **(given | more))


def content(kind="cpu", rows=(), **more):
    machine = {"processor": "AMD EPYC", "threads": 1} if kind == "cpu" else {"gpu": "NVIDIA H200"}
    return (
        HEADER | {"kind": kind, "machine": machine, "ceilings": LIMITS, "rows": list(rows)} | more
    )


def texts(figure):
    found = [t.get_text() for axes in figure.axes for t in axes.texts]
    found += [t.get_text() for axes in figure.axes for t in axes.get_yticklabels()]
    if figure._supxlabel is not None:
        found.append(figure._supxlabel.get_text())
    return "\n".join(found)


ROWS = [measured("numpy", 0.5), measured("cuda", 1.5), measured("cuda", 1.05, shape="8x8")]


@pytest.mark.parametrize("draw", [figures.roofline, figures.ratios])
def test_every_picture_without_a_gpu_says_that_its_times_are_no_gpus(draw):
    assert "not GPU timings" in texts(draw(content(rows=ROWS)))
    on_gpu = texts(draw(content("gpu", ROWS)))
    assert "not GPU timings" not in on_gpu
    assert "NVIDIA H200; 2026-11-26" in on_gpu


def test_the_roofline_has_the_measured_limits_and_the_points():
    figure = figures.roofline(content(rows=ROWS))
    shown = texts(figure)
    assert "copy 20 GB/s" in shown
    assert "float32 50 GFLOP/s" in shown
    assert "by cuBLAS" not in shown  # a rate that was reached is no limit
    (axes,) = figure.axes
    points = {line.get_label(): line for line in axes.lines if line.get_linestyle() == "None"}
    assert points.keys() == {"numpy", "cuda"}
    assert points["numpy"].get_xdata() == pytest.approx([0.1])
    assert points["numpy"].get_ydata() == pytest.approx([1.0])
    assert points["numpy"].get_marker() != points["cuda"].get_marker()  # not by colour alone


def test_limits_close_together_share_a_line():
    found = figures.together({"float32": 60.0, "bfloat16": 790.0, "float64": 61.0})
    assert found == [(["bfloat16"], 790.0), (["float64", "float32"], 61.0)]
    assert [figures.rate(v) for v in (61.0, 0.05)] == ["61 TFLOP/s", "50 GFLOP/s"]


def test_sixty_variants_have_sixty_looks():
    assert len(set(figures.styles([str(i) for i in range(60)]).values())) == 60


def test_ratios_show_their_interval_and_a_tie_is_hollow():
    figure = figures.ratios(content(rows=ROWS))
    (axes,) = figure.axes
    spans = [list(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 2]
    assert [pytest.approx([1.35, 1.65])] == [s for s in spans if s[0] == pytest.approx(1.35)]
    marks = [line for line in axes.lines if len(line.get_xdata()) == 1]
    hollow = [line.get_xdata()[0] for line in marks if line.get_markerfacecolor() == "white"]
    assert sorted(hollow) == [0.5, 1.05]


def test_many_rows_are_cut_and_the_title_says_so():
    many = [measured("cuda", 1.5, shape=str(i)) for i in range(60)]
    (axes,) = figures.ratios(content(rows=many)).axes
    assert "(the first 40 of 60)" in axes.get_title()


def test_no_rows_draw_empty_pictures():
    figures.roofline(content() | {"ceilings": {}})
    figures.ratios(content())
    assert figures.ladder(content()) is None


def test_the_ladder_of_a_gpu_is_the_share_of_the_peer_at_the_largest_size():
    steps = [measured(v, r, kernel="MatMul", shape=s, peer="cuBLAS (CuPy)")
             for s in ("1024x1024x1024", "4096x4096x4096")
             for v, r in (("01_naive", 0.013), ("08_double_buffered", 1.05))]  # fmt: skip
    figure = figures.ladder(content("gpu", steps))
    assert "105.0 %" in texts(figure)
    assert "01_naive" in texts(figure)
    assert "4096x4096x4096" in figure.axes[0].get_title()


def test_the_ladder_without_a_gpu_is_what_the_emulator_counts():
    entries = [
        {"op": "MatMul", "variant": "01_naive", "space": "global", "times_ideal": 5.5},
        {"op": "MatMul", "variant": "05_register_2d", "space": "shared", "times_ideal": 4.0},
        {"op": "MatMul", "variant": "emulator", "space": "shared", "times_ideal": 9.0},
    ]
    shown = texts(figures.ladder(content(profile=entries)))
    assert "5.5" in shown
    assert "none" in shown  # the naive step uses no shared memory
    assert "9.0" not in shown
    assert "not GPU timings" in shown


def test_each_ladder_has_axes_of_its_own():
    steps = [
        measured("01_naive", 0.2, kernel="Transpose", shape="64x64", peer="copy"),
        measured("03_padded", 0.9, kernel="Transpose", shape="64x64", peer="copy"),
        measured("01_im2col", 0.3, kernel="Conv2d", shape="2x4x8x8x32"),
        measured("02_implicit_gemm", 0.7, kernel="Conv2d", shape="128x256x14x14x256"),
    ]
    figure = figures.ladder(content("gpu", steps))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["Ladder of Transpose, 64x64", "Ladder of Conv2d, 128x256x14x14x256"]
    assert [len(axes.patches) for axes in figure.axes] == [
        2,
        1,
    ]  # the smaller convolution is left out
    assert figure.axes[0].get_xlabel() == "speed, in % of copy"

    entries = [
        {"op": "Conv2d", "variant": "01_im2col", "space": "global", "times_ideal": 1.5},
        {"op": "Transpose", "variant": "02_tile", "space": "shared", "times_ideal": 32.0},
        {"op": "Transpose", "variant": "01_naive", "space": "global", "times_ideal": 8.0},
    ]
    figure = figures.ladder(content(profile=entries))
    widths = {axes.get_title(): [bar.get_width() for bar in axes.patches] for axes in figure.axes}
    assert widths == {
        "Conv2d, shared memory": [0.0],
        "Conv2d, global memory": [1.5],
        "Transpose, shared memory": [0.0, 32.0],
        "Transpose, global memory": [8.0, 0.0],
    }


@pytest.mark.parametrize("ending", figures.ENDINGS)
def test_pictures_are_written_in_each_format_the_same_twice(ending, tmp_path):
    for name in ("a", "b"):
        figures.save(figures.ratios(content(rows=ROWS)), tmp_path / f"{name}.{ending}")
    first, second = ((tmp_path / f"{n}.{ending}").read_bytes() for n in "ab")
    assert first == second
    assert first.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending])
