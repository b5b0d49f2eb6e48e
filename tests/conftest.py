"""What all tests share, and the sessions on another device or on one backend's kernels.

    pytest --device cuda        the suite on a GPU, by CuPy
    pytest --device stand-in    the same without one: tests/device/stand_in/ plays CuPy, strictly
    pytest --kernels emulator   every test inside use_kernels("emulator"); likewise numba, cpu and
                                reference. Shows how often each twin ran; fails if one never did

MMB_KERNELS=numba pytest is the same as pytest --kernels numba.

A test marked host_only does not run with --device: the marker says why. One marked device_only
runs with --device only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from hypothesis import settings

import tinygrad_mmb as tm
from tinygrad_mmb.kernels import registry

# The same examples each time, as a failure must repeat; no deadline, as machines are busy.
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=30)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tinygrad_mmb")
    group.addoption("--device", choices=("cpu", "cuda", "stand-in"), default="cpu",
                    help="where all Tensors of the tests live")  # fmt: skip
    pinned = registry.from_environment
    group.addoption("--kernels", default=None if pinned == registry.AUTO else pinned,
                    metavar="BACKEND", help="the kernels that every test is pinned to")  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    if config.pluginmanager.hasplugin("xdist"):
        config.pluginmanager.register(OfWorkers())
    if config.getoption("--device") != "cpu":
        from tests.device import session

        session.begin(config.getoption("--device"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("torch"):
        pytest.importorskip("torch")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    where = config.getoption("--device")
    for item in items:
        marker = item.get_closest_marker("device_only")
        if marker is not None and (where == "cpu" or where not in (marker.args or [where])):
            item.add_marker(pytest.mark.skip(reason="runs with --device"))
    if where == "cpu":
        return
    from tests.device import session

    for item in items:
        session.send_what_a_module_wraps(item.module)
        marker = item.get_closest_marker("host_only")
        if marker is not None:
            item.add_marker(pytest.mark.skip(reason=f"host only: {marker.args[0]}"))


COUNTS = pytest.StashKey[Counter]()  # how often each twin ran in the workers


class OfWorkers:
    """Under pytest-xdist each worker tells how often it ran each twin; these are summed."""

    def pytest_testnodedown(self, node: Any) -> None:
        counts = getattr(node, "workeroutput", {}).get("counts")
        if counts is not None:
            node.config.stash.setdefault(COUNTS, Counter()).update(counts)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A session that claims a backend fails if one of its twins ran zero times."""
    config, backend = session.config, session.config.getoption("--kernels")
    if backend is None:
        return
    counts = Counter({t.key: t.calls for t in registry.twins_on(backend)})
    if hasattr(config, "workeroutput"):
        config.workeroutput["counts"] = dict(counts)
        return
    counts = config.stash.setdefault(COUNTS, counts)
    if session.exitstatus == pytest.ExitCode.OK and 0 in counts.values():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """How often each twin of the claimed backend ran."""
    counts = config.stash.get(COUNTS, None)
    if counts is None:
        return
    terminalreporter.section(f"--kernels {config.getoption('--kernels')}: calls of each twin")
    ran = [f"{key} {n}" for key, n in sorted(counts.items()) if n]
    terminalreporter.write_line(", ".join(ran) or "no twin ran")
    idle = sorted(key for key, n in counts.items() if not n)
    if idle:
        terminalreporter.write_line(f"never ran: {', '.join(idle)}", red=True)


@pytest.fixture(autouse=True)
def _on_the_kernels_asked_for(request: pytest.FixtureRequest) -> Iterator[None]:
    backend = request.config.getoption("--kernels")
    with nullcontext() if backend is None else tm.use_kernels(backend):
        yield


@pytest.fixture(autouse=True)
def _same_random_numbers_in_every_test(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test draws the same in every run, whatever ran before; no other test draws the same."""
    tm.manual_seed(0)
    if hasattr(request.module, "RNG"):
        monkeypatch.setattr(
            request.module, "RNG", np.random.default_rng(crc32(request.node.name.encode()))
        )


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a blank and umlauts in its name."""
    folder = tmp_path / "Müllers Übungen"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers for every test."""
    return np.random.default_rng(0)
