"""When numba is imported, what it keeps, what is said without it; and MMB_KERNELS."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from tinygrad_mmb.kernels.numba.compile import jit

pytest.importorskip("numba")

SOFTMAX = """
import sys
import numpy as np
import tinygrad_mmb as tm
from tinygrad_mmb.kernels import registry

def calls(key="Softmax", backend="numba"):
    return sum(t.calls for t in registry.twins(key) if t.backend == backend)

def softmax():
    y = tm.softmax(tm.tensor([[0.0, np.log(3.0)]], dtype=tm.float64), 1)
    np.testing.assert_allclose(y.numpy(), [[0.25, 0.75]])
"""


def python(code, before="", **variables):
    """Run Python with these variables; its exit code, its output, and what it said of errors."""
    environment = {k: v for k, v in os.environ.items() if k != "MMB_KERNELS"}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", before + SOFTMAX + textwrap.dedent(code)],
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def succeeds(code, before="", **variables):
    answer = python(code, before, **variables)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def last_line(answer):
    assert answer.returncode != 0
    return answer.stderr.strip().splitlines()[-1]


def test_numba_is_imported_when_a_twin_runs_and_not_before():
    succeeds("""
        x = tm.randn(4, 3, requires_grad=True)
        tm.nn.functional.cross_entropy(x, tm.tensor([0, 1, 2, 0])).backward()
        tm.optim.Adam([tm.nn.Parameter(x.detach())]).step()
        with tm.use_kernels("numba"):
            tm.softmax(x, 0)  # declined: not along rows
            assert "numba" not in sys.modules
            softmax()
        assert "numba" in sys.modules and calls() == 1
    """)


def test_the_variable_pins_numba_for_the_process_and_its_threads():
    succeeds(
        """
        import threading
        softmax()
        thread = threading.Thread(target=softmax)
        thread.start()
        thread.join()
        assert calls() == 2
        with tm.use_kernels("auto"):
            softmax()
        with tm.use_kernels("reference"):
            softmax()
        assert calls() == 2
        """,
        MMB_KERNELS="numba",
    )


@pytest.mark.parametrize("value", ["", "auto", "reference"])
def test_without_the_variable_and_with_the_reference_no_numba_runs(value):
    succeeds("softmax(); assert calls() == 0 and 'numba' not in sys.modules", MMB_KERNELS=value)


def test_an_unknown_value_is_refused_with_the_known_ones():
    line = last_line(python("", MMB_KERNELS="nunba"))
    assert line.startswith("ValueError: MMB_KERNELS=nunba: no such kernels here, only: auto, refer")
    assert line.endswith("numba.")


def test_the_configuration_says_what_is_pinned():
    text = succeeds("tm.show_config()", MMB_KERNELS="reference")
    assert "  MMB_KERNELS=reference: no others than these run" in text
    assert succeeds("print(tm.show_config('dicts')['kernels_pinned'])").strip() == "auto"


PAGE = Path(__file__).resolve().parents[2] / "docs" / "kernels.md"


@pytest.mark.skipif(not PAGE.exists(), reason="only in a checkout")
def test_the_examples_of_the_documentation_run(tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) == 3
    script = tmp_path / "twins.py"
    script.write_text("\n".join(blocks), encoding="utf-8")
    subprocess.run([sys.executable, "-W", "error", str(script)], timeout=300, check=True)


WITHOUT_NUMBA = "import sys; sys.modules['numba'] = None\n"  # as if it were not installed


def test_without_numba_there_is_no_twin_and_the_error_names_the_extra():
    text = succeeds("softmax(); assert calls() == 0; tm.show_config()", WITHOUT_NUMBA)
    assert "  numba: numba is not installed: pip install 'tinygrad-mmb[jit]'" in text
    line = last_line(python("with tm.use_kernels('numba'): pass", WITHOUT_NUMBA))
    assert line.startswith("ValueError: use_kernels('numba'): no such kernels here, only: auto,")
    assert line.endswith("numba is not installed: pip install 'tinygrad-mmb[jit]'.")
    line = last_line(python("", WITHOUT_NUMBA, MMB_KERNELS="numba"))
    assert line.endswith("numba is not installed: pip install 'tinygrad-mmb[jit]'.")


def test_a_numba_that_cannot_be_imported_is_told_with_its_reason():
    line = last_line(
        python("""
        sys.modules["numba"] = None
        with tm.use_kernels("numba"):
            softmax()
        """)
    )
    assert line.startswith("ImportError: subtract_largest: numba is installed, but cannot be impor")
    assert "use_kernels('auto')" in line


def test_loops_run_as_plain_python_for_a_debugger():
    succeeds(
        """
        with tm.use_kernels("numba"):
            softmax()
        assert calls() == 1
        assert type(tm.kernels.numba.softmax.subtract_largest._compiled).__name__ == "function"
        """,
        NUMBA_DISABLE_JIT="1",
    )


@pytest.mark.slow
def test_the_machine_code_is_kept_where_numba_is_told(tmp_path):
    code = "with tm.use_kernels('numba'): softmax()"
    succeeds(code, NUMBA_CACHE_DIR=str(tmp_path))
    kept = {p.name: p.stat().st_mtime_ns for p in tmp_path.rglob("*.nbc")}
    assert any(name.startswith("softmax.subtract_largest") for name in kept)
    succeeds(code, NUMBA_CACHE_DIR=str(tmp_path))
    assert {p.name: p.stat().st_mtime_ns for p in tmp_path.rglob("*.nbc")} == kept


@pytest.mark.slow
def test_a_full_disk_costs_the_cache_and_nothing_else(tmp_path):
    pytest.importorskip("resource")
    succeeds(
        """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # files stay empty
        with tm.use_kernels("numba"):
            softmax()
            softmax()
        assert calls() == 2
        """,
        NUMBA_CACHE_DIR=str(tmp_path),
    )
    assert not [p for p in tmp_path.rglob("*.nb[ci]") if p.stat().st_size]


@pytest.mark.slow
def test_a_cache_that_was_cut_off_costs_the_cache_and_nothing_else(tmp_path):
    code = "with tm.use_kernels('numba'): softmax()"
    succeeds(code, NUMBA_CACHE_DIR=str(tmp_path))
    kept = [p for p in tmp_path.rglob("*.nb[ci]") if "subtract_largest" in p.name]
    assert len(kept) == 2
    for path in kept:
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        succeeds(code, NUMBA_CACHE_DIR=str(tmp_path))
        path.write_bytes(whole)


def test_a_loop_without_a_file_is_compiled_all_the_same():
    scope = {"__name__": "typed_in"}
    exec("def double(y, x):\n    for i in range(x.size):\n        y[i] = 2 * x[i]\n", scope)
    y = np.empty(3)
    jit(scope["double"])(y, np.arange(3.0))
    assert y.tolist() == [0.0, 2.0, 4.0]


@pytest.mark.slow
def test_a_session_of_tests_shows_the_counts_and_fails_for_twins_that_never_ran():
    def session(backend):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/ops"]
        command += ["--kernels", backend, "-k", "softmax"]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    claimed = session("numba")
    assert claimed.returncode == pytest.ExitCode.TESTS_FAILED
    assert " failed" not in claimed.stdout.splitlines()[-1]  # the tests themselves passed
    assert "Softmax.backward" in claimed.stdout.partition("calls of each twin")[2]
    assert "never ran: Adam.update, " in claimed.stdout
    reference = session("reference")
    assert reference.returncode == 0 and "no twin ran" in reference.stdout
