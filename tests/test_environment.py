"""tools/environment.py makes .venv when it is missing or stale, and leaves it alone when it is
not.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The tool, for a project in a folder with a blank, and with pip replaced by a list of its
    calls.
    """
    folder = tmp_path / "Müllers Übungen"
    (folder / "tools").mkdir(parents=True)
    for name in ("pyproject.toml", "setup.py"):
        (folder / name).write_text("first", encoding="utf-8")
    copy = folder / "tools" / "environment.py"
    copy.write_text(
        (ROOT / "tools" / "environment.py").read_text(encoding="utf-8"), encoding="utf-8"
    )
    spec = importlib.util.spec_from_file_location("environment", copy)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    tool.calls = []
    monkeypatch.setattr(tool, "pip", lambda *arguments: tool.calls.append(arguments[-1]))

    def make():
        tool.calls.append("venv")
        (tool.VENV / "made").mkdir(parents=True)

    monkeypatch.setattr(tool, "make_environment", make)
    monkeypatch.setattr(tool, "sound", lambda: (tool.VENV / "made").exists())

    def run(*extras):
        tool.calls.clear()
        monkeypatch.setattr(sys, "argv", ["environment.py", *extras])
        tool.main()
        return list(tool.calls)

    tool.run = run
    return tool


def test_a_missing_environment_is_made_once(project):
    assert project.run("train") == ["venv", ".[train]"]
    assert project.run("train") == []


def test_further_extras_are_added_to_those_there(project):
    project.run("dev")
    assert project.run("torch") == [".[dev,torch]"]
    assert project.run("dev") == project.run("torch") == []


def test_a_changed_project_is_installed_anew(project):
    project.run("train")
    (project.ROOT / "pyproject.toml").write_text("second", encoding="utf-8")
    assert project.run("train") == [".[train]"]


def test_changed_sources_are_compiled_anew_if_an_extension_was_built(project):
    (project.ROOT / "csrc" / "cuda").mkdir(parents=True)
    kernel = project.ROOT / "csrc" / "cuda" / "one.cu"
    kernel.write_text("first", encoding="utf-8")
    project.run("train")
    kernel.write_text("second", encoding="utf-8")
    assert project.run("train") == []  # it is compiled when it runs
    (project.ROOT / "tinygrad_mmb").mkdir()
    (project.ROOT / "tinygrad_mmb" / "_cuda.cpython-312-x86_64-linux-gnu.so").touch()
    assert project.run("train") == [".[train]"]
    assert project.run("train") == []
    kernel.write_text("third", encoding="utf-8")
    assert project.run("train") == [".[train]"]


def test_an_interrupted_installation_is_done_again(project, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(project, "pip", interrupted)
        project.run("train")
    assert project.run("train") == [".[train]"]


def test_a_folder_that_was_moved_needs_a_new_installation(project):
    project.run("train")
    stamp = json.loads(project.STAMP.read_text(encoding="utf-8"))
    project.STAMP.write_text(json.dumps(stamp | {"folder": "elsewhere"}), encoding="utf-8")
    assert project.run("train") == [".[train]"]


PEERS = """[project.optional-dependencies]
bench = ["torch==2.13.0", "mlx[cpu]"]
"""


def test_peers_are_installed_one_by_one_into_an_environment_of_their_own(project):
    (project.ROOT / "pyproject.toml").write_text(PEERS, encoding="utf-8")
    assert project.run("--bench") == ["venv", ".[train]", "torch==2.13.0", "mlx[cpu]"]
    assert project.run("--bench") == []
    assert (project.ROOT / ".venv-bench" / "made").exists()
    assert not (project.ROOT / ".venv").exists()


def test_a_peer_that_cannot_be_installed_is_named_each_time_and_the_others_are(
    project, monkeypatch, capsys
):
    (project.ROOT / "pyproject.toml").write_text(PEERS, encoding="utf-8")

    def pip(*arguments):
        if arguments[-1].startswith("torch"):
            raise SystemExit("this failed")
        project.calls.append(arguments[-1])

    monkeypatch.setattr(project, "pip", pip)
    assert project.run("--bench") == ["venv", ".[train]", "mlx[cpu]"]
    assert "left out, as it cannot be installed here: torch==2.13.0" in capsys.readouterr().out
    assert project.run("--bench") == []
    assert "torch==2.13.0" in capsys.readouterr().out
    (project.VENV / "peers.json").unlink()
    assert project.run("--bench") == ["mlx[cpu]"]


def test_an_old_python_is_refused_with_the_way_out(project, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    with pytest.raises(SystemExit, match=r"needs 3.11 or newer.*make PYTHON=python3.12"):
        project.run("train")


def test_a_real_environment_is_recognised_and_a_copied_one_is_not(tmp_path):
    code = (
        "import runpy, sys; from pathlib import Path; "
        "tool = runpy.run_path(sys.argv[1]); print(tool['sound']())"
    )
    project = tmp_path / "a b"
    (project / "tools").mkdir(parents=True)
    tool = project / "tools" / "environment.py"
    tool.write_text(
        (ROOT / "tools" / "environment.py").read_text(encoding="utf-8"), encoding="utf-8"
    )
    command = [sys.executable, "-c", code, str(tool)]

    def sound():
        answer = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
        return answer.stdout.strip()

    assert sound() == "False"
    subprocess.run([sys.executable, "-m", "venv", project / ".venv"], check=True)
    assert sound() == "True"
    config = project / ".venv" / "pyvenv.cfg"
    config.rename(config.with_name("gone"))  # then its Python is that of the system
    assert sound() == "False"


@pytest.mark.skipif(os.name == "nt", reason="make is not there on Windows")
def test_the_makefile_names_no_absolute_path_and_every_command():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("train:", "test:", "test-full:", "bench:"):
        assert f"\n{target}" in text
    assert "/home" not in text
