"""The tokeniser and the pass that prepares a source: nothing is lost, no line moves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tinygrad_mmb.emulator.allocations import names_allocated
from tinygrad_mmb.emulator.prepare import prepare
from tinygrad_mmb.emulator.tokens import is_code, tokens

PIECES = [
    "int",
    "x",
    " ",
    "\n",
    "\t",
    "\\\n",
    "<<<",
    ">>>",
    "<",
    ">",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ";",
    ",",
    '"',
    "'",
    '"a <<<1, 2>>>(b)"',
    "'x'",
    "// k<<<1, 1>>>()\n",
    "/* extern __shared__ float s[]; */",
    'R"(")"',
    'R"x(a <<<b>>>(c) )x"',
    "#define A(k) k<<<1, 2>>>(3)\n",
    "#include <stdio.h>\n",
    "1'000",
    "1.5e-3f",
    "extern",
    "__shared__",
    "static",
    "__global__",
    "__constant__",
    "float",
    "kernel",
    "template",
    "typename",
    "::",
    ".",
    "->",
    "*",
    "&",
    "=",
    "NULL",
    "main",
    "é",
    "\r\n",
    "@",
]
sources = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


@given(sources | st.text(max_size=60))
def test_the_texts_of_all_tokens_joined_are_the_source(source):
    found = list(tokens(source))
    assert "".join(t.text for t in found) == source
    assert [t.start for t in found] == [
        sum(len(t.text) for t in found[:i]) for i in range(len(found))
    ]


@given(sources)
def test_preparing_keeps_the_number_of_lines(source):
    assert prepare(source).text.count("\n") == source.count("\n")


@given(sources)
def test_strings_and_comments_come_out_as_they_went_in(source):
    def kept(text):
        ours = {'"device"', '"constant"', '"managed"'}
        return [t.text for t in tokens(text) if t.kind in ("comment", "raw") and t.text not in ours]

    assert kept(prepare(source).text) == kept(source)


def test_what_is_no_cuda_is_left_alone():
    source = (
        'int main() { std::cout << "a" << f<3>(x >> 2); auto y = "k<<<1,2>>>()"; } // <<<1>>>\n'
    )
    assert prepare(source).text == source


def test_quotes_backslashes_and_raw_strings_are_single_tokens():
    source = r"""f("a\"b", 'c', '\'', R"--(x" )" )--", u8"é", 1'000) // "no"""
    kinds = [t.kind for t in tokens(source) if is_code(t) and t.kind != "mark"]
    assert kinds == ["name", "string", "char", "char", "raw", "string", "number"]


def test_a_directive_ends_with_its_line_but_not_at_a_backslash():
    found = [t.text for t in tokens("#define A \\\n b\nc\n") if t.directive and is_code(t)]
    assert found == ["#", "define", "A", "b"]


def test_a_launch_of_a_function_is_bound_to_its_signature():
    text = prepare("__global__ void k(int* p, int n) {}\nvoid f() { k<<<g, 32>>>(NULL, 3); }").text
    assert '::emulator::launch("k", k).on(g, 32)(NULL, 3)' in text


def test_a_launch_of_a_template_is_a_call_that_deduces():
    source = (
        "template <class T> __global__ void k(T* p) {}\nvoid f() { k<float><<<1, 2, 4, s>>>(p); }"
    )
    text = prepare(source).text
    assert "[=](auto... mmb_a) { k<float>(mmb_a...); }).on(1, 2, 4, s)(p)" in text


def test_a_launch_may_be_spread_over_lines_and_stand_in_a_macro():
    source = "#define RUN(k, ...) \\\n  k<<<dim3(1, 2),\\\n 3>>>(__VA_ARGS__)\n"
    text = prepare(source).text
    assert (
        "::emulator::launch(#k, [=](auto... mmb_a) { k(mmb_a...); }).on(dim3(1, 2),\\\n 3)" in text
    )
    assert text.count("\n") == source.count("\n")


def test_a_kernel_may_be_qualified_indexed_or_in_brackets():
    for name in ("ns::k<3>", "table[i]", "(*pointer)", "object.kernel", "p->kernel", "::k"):
        text = prepare(f"void f() {{ {name}<<<1, 1>>>(x); }}").text
        assert f"{{ {name}(mmb_a...); }}" in text


def test_operator_shift_of_a_template_is_no_launch():
    source = "template <> A& operator<<<B>(A& a, B b); int x = a <<b>> (3);"
    assert prepare(source).text == source


def test_dynamic_shared_memory_of_any_type_becomes_a_reference():
    source = "void f() { extern __shared__ __align__(16) volatile unsigned char raw[]; }"
    text = prepare(source).text
    assert "volatile unsigned char (&raw)[] = ::emulator::dynamic_array<" in text
    text = prepare("void f() { extern __shared__ float2 s[][33]; }").text
    assert "float2 (&s)[][33] = ::emulator::dynamic_array<float2[][33]>();" in text


def test_kernels_are_listed_with_their_parameters():
    source = """
        template <typename T, int N = 4> __global__ void __launch_bounds__(256, 2)
        scale(T* __restrict__ y, const T x[], size_t n = 3) {}
        namespace a { __global__ void plain(void); }
    """
    first, second = prepare(source).kernels
    assert str(first) == "template <typename T, int N = 4> scale(T* y, const T* x, size_t n)"
    assert first.has_defaults and first.is_defined
    assert (second.name, second.parameters, second.is_defined) == ("plain", (), False)


def test_columns_are_those_of_the_source():
    source = "__global__ void k(int n) {}\nvoid f() { k<<<1, 2>>>(x); }\n"
    made = prepare(source)
    column = made.text.split("\n")[1].index("x)") + 1
    assert made.column(2, column) == source.split("\n")[1].index("x)") + 1
    assert made.column(1, 5) == 5


def test_the_names_of_allocated_pointers_are_read_from_the_call():
    source = (
        "cudaMalloc(&a, 4); cudaMalloc((void **)&b->c, 4);\nCHECK(cudaMallocManaged(&x[i], n));"
    )
    assert names_allocated(source) == {1: ["a", "b->c"], 2: ["x[i]"]}


def test_main_is_found_where_it_is_a_function():
    assert prepare("int main(int argc, char** argv) { return 0; }").has_main
    assert not prepare("// int main() {}\nvoid f() { g(main_loop); }").has_main


def test_calls_that_nvcc_does_not_compile_are_named():
    source = """float host(float x) { return x; }
__device__ float device(float x) { return x; }
__host__ __device__ float both(float x) { return x; }
#define HD __host__ __device__
HD float macro(float x) { return x; }
template <class T> T any(T x) { return x; }
#ifdef __CUDACC__
__device__
#endif
float guarded(float x) { return x; }
__global__ void k(float* x) { x[0] = host(1) + device(1) + both(2) + macro(1) + any(guarded(1)); }
int main() { both(host(device(2))); k<<<1, 1>>>(0); k(0); }
"""
    found = [(line, text.split(" ")[0]) for line, text in prepare(source).broken]
    assert found == [(11, "host"), (12, "device"), (12, "k")]


def test_a_variable_of_the_device_is_made_known_behind_its_declaration():
    text = prepare("__constant__ struct P { int n; } p;\n__device__ int f(int x);\n").text
    assert '} p; static ::emulator::ProgramVariable mmb_variable_p("p", p, "constant");\n' in text
    assert "mmb_variable_f" not in text


def test_an_object_that_converts_to_a_plain_pointer_of_a_template_may_be_handed_over():
    source = (
        "template <class F> __global__ void k(const float* x, F f, F* y) {}\n"
        "void g() { k<<<1, 2>>>(buffer(1, 2), f, y); k<<<1, 2>>>(a<b, c>(d), y); }"
    )
    text = prepare(source).text
    assert "(::emulator::as<const float*>(buffer(1, 2)), f, y)" in text
    assert "as<const float*>(a" not in text  # which commas part the arguments, is not certain
