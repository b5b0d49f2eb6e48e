"""Runs with --device stand-in (graphs of tests/device/stand_in_graphs.py) or --device cuda.

In other sessions one test (test_graphs.py) runs this folder in a session of the stand-in.
"""

import pytest


@pytest.fixture(autouse=True)
def graphs(request, monkeypatch):
    """Graphs for the stand-in; CuPy's own on a GPU."""
    if request.config.getoption("--device") == "stand-in":
        from tests.device import stand_in_graphs
        from tinygrad_mmb.capture import device_steps

        monkeypatch.setattr(device_steps, "LIBRARY", (*device_steps.LIBRARY, "tests.device"))
        stand_in_graphs.install(monkeypatch)
