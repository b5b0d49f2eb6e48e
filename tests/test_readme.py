"""Every code block of README.md runs, every link leads somewhere, every test it names is there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest

import tinygrad_mmb as tm
from tests.test_layers import RANK
from tinygrad_mmb import serialization

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
if not README.exists():
    pytest.skip("only in a checkout", allow_module_level=True)
TEXT = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
PROGRAMS = [code for language, code in BLOCKS if language == "python"]
LINES = sorted(  # the same command for several systems counts once
    {
        re.sub(r"^!|^\S*/(?=python)", "", line.replace("\\", "/")).replace("python3", "python")
        for language, code in BLOCKS
        if language != "python"
        for line in code.splitlines()
    }
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def python(folder: Path, *arguments: str) -> str:
    """What `python ARGUMENTS` prints in `folder`. It must succeed and warn of nothing."""
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},  # threads only wait for each other on busy cores
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_programs_and_commands():
    assert len(PROGRAMS) >= 5
    assert len(LINES) >= 10
    assert {language for language, _ in BLOCKS} <= {"python", "sh", "powershell", "text"}


@pytest.mark.parametrize("code", PROGRAMS, ids=lambda code: code.splitlines()[-1][:40])
def test_a_program_runs(code, tmp_path):
    python(tmp_path, "-W", "error", "-c", code)


def test_the_ten_lines_learn_xor(tmp_path):
    out = python(tmp_path, "-c", PROGRAMS[0])
    assert "tensor([0, 1, 1, 0])" in out
    assert float(out.split()[0]) < 0.01


@pytest.mark.torch
def test_the_program_for_pytorch_runs_there_with_the_import_changed(tmp_path):
    pytest.importorskip("torch")
    (program,) = [code for code in PROGRAMS if code.startswith("import tinygrad_mmb as torch\n")]
    python(tmp_path, "-c", program.replace("import tinygrad_mmb as torch", "import torch"))


@pytest.mark.parametrize("line", LINES)
def test_a_command_works(line, tmp_path):
    """Commands that install or take minutes are read: their options, targets and extras exist."""
    words = shlex.split(line.lstrip("%"), comments=True)
    program = Path(words[0]).name
    if program == "make":
        make = shutil.which("make") or pytest.skip("no make here")
        subprocess.run([make, "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)
    elif program == "pip" or words[1:3] == ["-m", "pip"]:
        (extra,) = re.findall(r"\[(\w+)\]", words[-1])
        assert extra in PROJECT["optional-dependencies"]
    elif words[1:3] == ["-m", "venv"]:
        assert words[3:] == [".venv"]
    elif words[1:3] == ["-m", "tinygrad_mmb"]:
        quick = ["--epochs", "1", "--plain"] if words[3] == "train" else []
        assert python(tmp_path, "-m", "tinygrad_mmb", *words[3:], *quick)
    elif program == "mmb":
        if words[1] == "cuda" and sys.platform != "linux":
            pytest.skip("the emulator runs on Linux and WSL2")
        quick = ["--list"] if words[1] == "bench" else []
        assert python(ROOT, "-m", "tinygrad_mmb", *words[1:], *quick)
    else:
        assert program == "python"
        assert "picture: " in python(ROOT, words[1], "--out", str(tmp_path), *words[4:])


def test_links_lead_to_files():
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert [x for x in links if not x.startswith("http") and not (ROOT / x).exists()] == []


def test_every_test_it_names_exists():
    named = re.findall(r"\[(test_\w+)\]\(([\w/.]+)\)", TEXT)
    assert len(named) >= 15
    for name, path in named:
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")


def test_the_extras_it_names_are_those_of_the_project():
    extras = re.findall(r"^\| `tinygrad-mmb\[([\w-]+)\]`", TEXT, re.MULTILINE)
    assert sorted(extras) == sorted(PROJECT["optional-dependencies"])


def test_the_layers_it_names_are_those_of_the_layer_test():
    (names,) = re.findall(r"`(backend < [^`]+)`", TEXT)
    ranks = [max(RANK[n] for n in re.split(", ", group)) for group in names.split(" < ")]
    assert ranks == sorted(ranks)


def test_what_it_says_differs_from_pytorch_is_so():
    assert not tm.cuda.is_available() or tm.cuda.device_count() > 0
    assert tm.float32 == np.dtype("float32")
    assert type(tm.zeros(2).shape) is tuple
    for name in ("complex64", "bfloat16", "compile", "jit", "vmap", "autocast", "inference_mode"):
        assert not hasattr(tm, name)
    ours = (
        "nn.Residual nn.DenseBlock nn.summary autograd.functional.gradients GradientTape "
        "autograd.to_dot autograd.to_mermaid show_config data.DataLoader.state_dict"
    )
    for path in ours.split():
        assert attrgetter(path)(tm)
    assert {"save", "load"} <= set(dir(serialization))
    with pytest.raises(NotImplementedError, match="num_workers"):
        tm.data.DataLoader([1], num_workers=2)
