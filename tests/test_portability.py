"""Other systems, tested by absence: what they lack is taken away here, and everything must still
work.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "tinygrad_mmb"
POSIX_ONLY = {"fcntl", "resource", "pwd", "grp", "termios", "pty", "posix"}
LINUX_ONLY = {PACKAGE / "kernels" / "launch" / "compile.py"}  # tests/emulator: it refuses elsewhere
FOLDER = "Müllers Übungen żółw"

# what Windows has not: these modules, and these functions of os
AS_ON_WINDOWS = """
import os, sys
import numpy  # built for this system, it may use what this system has
for name in ("fcntl", "resource", "pwd", "grp", "termios", "pty"):
    sys.modules[name] = None
for name in ("fork", "forkpty", "getuid", "geteuid", "setsid", "sysconf", "uname"):
    if hasattr(os, name):
        delattr(os, name)
"""
TRAIN = """
import sys
sys.modules["matplotlib"] = None  # it writes a font cache
from tinygrad_mmb.cli import main
main(["train", "digits", "--epochs", "1", "--width", "16", "--plain"])
"""


def python(code, *options, **arguments):
    variables = os.environ | arguments.pop("env", {})
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=120,
        check=False,
        env=variables,
        **arguments,
    )


def test_a_run_needs_nothing_that_only_posix_has(tmp_path):
    answer = python(AS_ON_WINDOWS + TRAIN, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "test accuracy" in answer.stdout


def test_a_run_works_where_the_terminal_speaks_cp1252(tmp_path):
    folder = tmp_path / FOLDER  # ż and ł are not in cp1252
    folder.mkdir()
    code = TRAIN.replace('"--plain"', '"--out", "żółw"')
    answer = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert b"\\u017c\xf3\\u0142w" in answer.stdout
    assert (folder / "żółw" / "model.safetensors").is_file()


def test_no_file_is_opened_in_the_encoding_of_the_machine(tmp_path):
    code = f"import warnings; warnings.filterwarnings('error', category=EncodingWarning)\n{TRAIN}"
    answer = python(code, "-X", "warn_default_encoding", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr


def test_no_run_needs_git_or_a_home_folder(tmp_path):
    code = "import os; os.environ['PATH'] = ''\n" + TRAIN
    answer = python(code, cwd=tmp_path, env={"HOME": str(tmp_path / "nowhere")})
    assert answer.returncode == 0, answer.stderr
    manifest = (tmp_path / "runs" / "digits-mlp-001" / "manifest.json").read_text(encoding="utf-8")
    assert '"commit": null' in manifest


def test_a_spawned_process_can_use_the_package(tmp_path):
    script = tmp_path / "spawn.py"
    script.write_text(
        "import multiprocessing\n"
        "import tinygrad_mmb\n"
        "def work(x):\n"
        "    t = tinygrad_mmb.tensor(x, requires_grad=True)\n"
        "    (t * t).backward()\n"
        "    return t.grad.item()\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(pool.map(work, [3.0]))\n",
        encoding="utf-8",
    )
    answer = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert answer.stdout.strip() == "[6.0]", answer.stderr


@pytest.mark.parametrize(
    "path", sorted({*PACKAGE.rglob("*.py")} - LINUX_ONLY), ids=lambda p: p.stem
)
def test_no_source_imports_what_only_posix_has_or_forks(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not POSIX_ONLY & {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in POSIX_ONLY
        if isinstance(node, ast.Attribute):
            assert node.attr not in ("fork", "forkpty")
