"""The C++ twins compute with NumPy arrays: none of these tests runs with --device."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before tests/conftest.py asks who is host_only
def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.host_only("C++ computes with NumPy arrays"))
