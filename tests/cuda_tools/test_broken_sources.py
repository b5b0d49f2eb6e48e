"""A source that is no CUDA, as a student has it halfway, is left for the compiler to name."""

from pathlib import Path

import pytest

from tinygrad_mmb.emulator.allocations import names_allocated
from tinygrad_mmb.emulator.prepare import prepare
from tinygrad_mmb.emulator.tokens import tokens

PROGRAMS = sorted((Path(__file__).parents[2] / "examples" / "cuda").glob("*.cu"))
WORDS = ["template", "<", ">", "{", "}", "(", ")", "[", "]", "__global__", "__shared__", "extern",
         "__device__", "__constant__", "<<<", ">>>", ";", "#", "alignas", '"', "/*", "operator",
         ","]  # fmt: skip


def require_prepared(text):
    made = prepare(text)
    names_allocated(text)
    assert made.text.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    "text",
    [
        "template < __global__ void f(int n) {}",
        "__global__ void f([4]) {}",
        "__global__ void f(float [], int) {}",
        "__global__",
        "extern __shared__",
        "f<<<",
        "__shared__ alignas(",
        "__device__ int (*",
    ],
)
def test_what_is_cut_off_is_prepared(text):
    require_prepared(text)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_programs_with_words_lost_and_put_in_are_prepared(path, rng):
    words = [token.text for token in tokens(path.read_text(encoding="utf-8"))]
    for _ in range(20):
        changed = list(words)
        for at in rng.integers(0, len(words) - 40, 3):
            size = int(rng.choice([1, 1, 2, 5, 30]))
            put = [WORDS[i] for i in rng.integers(0, len(WORDS), int(rng.integers(0, 3)))]
            changed[at : at + size] = put
        require_prepared("".join(changed))


@pytest.mark.parametrize(
    ("text", "type_", "name"),
    [
        ("const float* x", "const float*", "x"),
        ("float *__restrict__ x", "float*", "x"),
        ("float y[4][2]", "float*", "y"),
        ("unsigned int n", "unsigned int", "n"),
        ("size_t n", "size_t", "n"),
        ("struct Point p", "struct Point", "p"),
        ("std::pair<int, float> p", "std::pair<int, float>", "p"),
        ("int", "int", ""),
        ("const int", "const int", ""),
        ("unsigned int", "unsigned int", ""),
        ("const size_t", "const size_t", ""),
        ("float*", "float*", ""),
        ("float[]", "float*", ""),
        ("const int []", "const int*", ""),
        ("const size_t [4]", "const size_t*", ""),
    ],
)
def test_a_parameter_is_read_with_and_without_its_name(text, type_, name):
    (kernel,) = prepare(f"__global__ void f(int first, {text}) {{}}").kernels
    assert [(p.type, p.name) for p in kernel.parameters] == [("int", "first"), (type_, name)]
    assert kernel.is_defined and kernel.is_global
