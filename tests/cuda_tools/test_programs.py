"""Programs as tutorials print them: right ones run and are silent, wrong ones are named."""

from __future__ import annotations

import pytest

from tests.cuda_tools.programs import EXAMPLES, WRONG, can_compile, expected, some
from tinygrad_mmb.emulator.build import Options, build
from tinygrad_mmb.emulator.check import check
from tinygrad_mmb.emulator.run import run

pytestmark = can_compile
QUICK = {"vector_add", "template_kernels"}
QUICK_WRONG = {"transpose_no_barrier", "swapped_direction", "host_reads_device_pointer"}


def test_there_are_as_many_programs_as_promised():
    assert len(EXAMPLES) >= 12 and len(WRONG) >= len(EXAMPLES)


@pytest.mark.parametrize("path", some(EXAMPLES, QUICK))
def test_an_example_runs_unchanged_and_finds_its_own_result_right(path):
    done = run(build(path, Options()), captured=True, timeout=120)
    assert done.code == 0, done.output
    assert "FAILED" not in done.output
    assert [f.message for f in done.findings if not f.is_note] == []


@pytest.mark.parametrize("path", some(EXAMPLES, QUICK - {"vector_add"}))
def test_the_checker_is_silent_on_an_example(path):
    result = check(build(path, Options("check")), (), seeds=3, timeout=120)
    assert [f.message for f in result.mistakes] == []


@pytest.mark.parametrize("path", some(WRONG, QUICK_WRONG))
def test_a_mistake_is_named_with_its_line(path):
    kind, line = expected(path)
    result = check(build(path, Options("check")), (), seeds=2, timeout=120)
    found = {(f.kind, p.line) for f in result.mistakes for p in f.places}
    assert (kind, line) in found, result.in_words()
    assert all(f.advice.why and (f.mend or f.advice.mend) for f in result.mistakes)
    assert {f.kind for f in result.mistakes} == {kind}  # and nothing else is said


def test_a_race_names_both_threads_and_the_array():
    path = next(p for p in WRONG if p.stem == "transpose_no_barrier")
    (finding,) = check(build(path, Options("check")), (), seeds=1, timeout=120).mistakes
    assert "array tile" in finding.message
    who = [p.text for p in finding.places]
    assert len(who) == 2 and "writes here" in "".join(who) and "reads here" in "".join(who)
    words = check(build(path, Options("check")), (), seeds=1, timeout=120).in_words()
    assert "y[threadIdx.y * n + threadIdx.x] = tile[threadIdx.x][threadIdx.y];" in words
    assert "^" in words and "__syncthreads()" in words


@pytest.mark.slow
def test_sanitizers_are_a_second_witness():
    path = next(p for p in WRONG if p.stem == "vector_add_no_guard")
    result = check(
        build(path, Options("check")), (), seeds=1, timeout=120,
        witness=build(path, Options("sanitize")),
    )  # fmt: skip
    _, line = expected(path)
    assert ("address", line) in {(f.kind, p.line) for f in result.mistakes for p in f.places}
