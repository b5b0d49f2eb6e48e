"""What all tests share, and the sessions on another device or on one backend's kernels.

    pytest --device cuda        the suite on a GPU, by CuPy
    pytest --device stand-in    the same without one: tests/device/stand_in.py plays CuPy, strictly
    pytest --kernels emulator   every test inside use_kernels("emulator"); fails if a twin never ran

A test marked host_only does not run with --device: the marker says why. One marked device_only
runs with --device only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

import tinygrad_mmb as tm

# The same examples each time, as a failure must repeat; no deadline, as machines are busy.
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=30)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tinygrad_mmb")
    group.addoption("--device", choices=("cpu", "cuda", "stand-in"), default="cpu",
                    help="where all Tensors of the tests live")  # fmt: skip
    group.addoption("--kernels", default=None, metavar="BACKEND",
                    help="the kernels that every test is pinned to")  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    if config.pluginmanager.hasplugin("xdist"):
        config.pluginmanager.register(OfWorkers())
    if config.getoption("--device") != "cpu":
        from tests.device import session

        session.begin(config.getoption("--device"))


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


IDLE = pytest.StashKey[set[str]]()  # keys whose twin has not run, so far as is known


class OfWorkers:
    """Under pytest-xdist each worker tells which twins it has not run; idle are those of all."""

    def pytest_testnodedown(self, node: Any) -> None:
        if "idle" in getattr(node, "workeroutput", {}):
            idle = set(node.workeroutput["idle"])
            node.config.stash[IDLE] = node.config.stash.get(IDLE, idle) & idle


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A session that claims a backend fails if one of its twins ran zero times."""
    config, backend = session.config, session.config.getoption("--kernels")
    if backend is None or session.exitstatus != pytest.ExitCode.OK:
        return
    idle = set(tm.kernels.registry.never_ran(backend))
    if hasattr(config, "workeroutput"):
        config.workeroutput["idle"] = sorted(idle)
        return
    idle = config.stash.get(IDLE, idle)
    if idle:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        reporter.write_line(
            f"\n--kernels {backend}: never ran: {', '.join(sorted(idle))}", red=True
        )


@pytest.fixture(autouse=True)
def _on_the_kernels_asked_for(request: pytest.FixtureRequest) -> Iterator[None]:
    backend = request.config.getoption("--kernels")
    with nullcontext() if backend is None else tm.use_kernels(backend):
        yield


@pytest.fixture(autouse=True)
def _same_random_numbers_in_every_test() -> None:
    tm.manual_seed(0)


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers for every test."""
    return np.random.default_rng(0)
