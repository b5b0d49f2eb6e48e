"""Which objects are compiled anew after a change: tools/compile_objects.py."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[1] / "tools" / "compile_objects.py"
FILES = {
    "a.cpp": '#include "one.hpp"\nint a = ONE;\n',
    "b.cpp": "int b = 2;\n",
    "one.hpp": "#pragma once\n#if 0\n#include <deep/two.hpp>\n#endif\n#define ONE 1\n",
    "deep/two.hpp": '#pragma once\n#include "../one.hpp"\n#include <vector>\n#include "no.hpp"\n',
    "unused.hpp": "\n",
}


@pytest.fixture
def objects(tmp_path):
    """Compiles a.cpp and b.cpp in tmp_path; says which object each is."""
    if not shutil.which("c++"):
        pytest.skip("no C++ compiler here")
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")

    def made():
        tool = runpy.run_path(str(TOOL))
        compiled = tool["Objects"](["c++"], [tmp_path], tmp_path / "kept")
        return compiled.objects([tmp_path / "a.cpp", tmp_path / "b.cpp"])

    return made


@pytest.mark.parametrize(
    ("changed", "anew"),
    [
        ("a.cpp", (True, False)),
        ("one.hpp", (True, False)),
        ("deep/two.hpp", (True, False)),
        ("unused.hpp", (False, False)),
        ("b.cpp", (False, True)),
    ],
)
def test_an_object_is_made_anew_when_a_file_that_it_includes_changes(
    objects, tmp_path, changed, anew
):
    before = objects()
    assert objects() == before
    with (tmp_path / changed).open("a", encoding="utf-8") as file:
        file.write("// changed\n")
    after = objects()
    assert tuple(x != y for x, y in zip(before, after, strict=True)) == anew
    assert all(Path(path).is_file() for path in after)


def test_headers_of_the_same_text_elsewhere_make_the_same_object(objects, tmp_path):
    before = objects()
    tool = runpy.run_path(str(TOOL))
    shutil.copytree(tmp_path, tmp_path.parent / "elsewhere", ignore=lambda *_: ["kept", "a.cpp"])
    elsewhere = tool["Objects"](["c++"], [tmp_path.parent / "elsewhere"], tmp_path / "kept")
    shutil.move(tmp_path / "one.hpp", tmp_path / "gone.hpp")
    assert elsewhere.objects([tmp_path / "a.cpp"]) == before[:1]


def test_other_flags_are_other_objects(objects, tmp_path):
    tool = runpy.run_path(str(TOOL))
    (tmp_path / "kept").mkdir()
    plain, optimised = (
        tool["Objects"](["c++", *flags], [tmp_path], tmp_path / "kept").objects(
            [tmp_path / "b.cpp"]
        )
        for flags in ((), ("-O2",))
    )
    assert plain != optimised


def test_a_file_that_does_not_compile_is_named_with_what_the_compiler_says(objects, tmp_path):
    (tmp_path / "a.cpp").write_text("int a = ;\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"a\.cpp does not compile:\n(.|\n)*error"):
        objects()
