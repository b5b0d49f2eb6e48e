"""Commands run in an empty folder; a short run on the digits, to be copied."""

import shutil

import pytest

from tests.cli.runs import QUICK
from tests.command import command
from tinygrad_mmb.cli import main
from tinygrad_mmb.training import plots


@pytest.fixture(autouse=True)
def every_command_runs_there(empty_folder): ...


@pytest.fixture(autouse=True)
def no_pictures(request, monkeypatch):
    """Pictures take most of a second each: only tests with the mark below draw them."""
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr(plots, "require_matplotlib", missing)


@pytest.fixture
def pictures():
    """Ask for this to draw pictures."""
    pytest.importorskip("matplotlib")


def missing():
    raise plots.MissingPlots("pictures need matplotlib: pip install 'tinygrad-mmb[train]'")


@pytest.fixture
def mmb(capsys):
    return command(capsys)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A run on the digits, to be copied."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(plots, "require_matplotlib", missing)
        main(
            [
                "train",
                "digits",
                *QUICK,
                "--epochs",
                "4",
                "--lr",
                "0.01",
                "--width",
                "64",
                "--out",
                str(folder),
            ]
        )
    return folder


@pytest.fixture
def run_a(finished, empty_folder):
    """That run as folder "a" of the empty folder."""
    return shutil.copytree(finished, empty_folder / "a")
