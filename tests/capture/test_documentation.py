"""What docs/capture.md shows, runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "capture.md"


@pytest.mark.skipif(not PAGE.exists(), reason="only in a checkout")
def test_the_code_of_the_page_runs_and_prints_what_it_says(capsys):
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(code, {"__name__": "page"})
        said = re.search(r"# (CacheInfo.*)", code)
        assert said is not None
        assert said[1] in capsys.readouterr().out
