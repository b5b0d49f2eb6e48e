"""The driver's end of a worker: start it, ask it, end it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import IO, Any

from tinygrad_mmb.bench.engines.engine import Engine

WORKER = Path(__file__).with_name("worker.py")
THREADS = ("OMP", "MKL", "OPENBLAS", "VECLIB", "NUMEXPR", "NUMBA", "BLIS", "MMB")
PATIENCE = 600.0  # seconds for one answer: compilers are slow, but not so slow


class Failed(Exception):  # noqa: N818 - an answer
    """What the engine answered instead, or that it did not answer."""


class Child:
    """A process with one engine in it. Use it in a `with`, which ends it."""

    def __init__(
        self, engine: Engine, threads: int, log: IO[str], cache: Path, patience: float = PATIENCE
    ) -> None:
        self.engine, self.patience = engine, patience
        adapter = type(engine).__module__
        command = [sys.executable, "-X", "utf8", str(WORKER), adapter, engine.name, str(threads)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            encoding="utf-8",
            env=environment(engine, threads, cache),
        )
        try:
            self.version = str(self.read()["version"])
        except Failed:
            self.end()
            raise

    def ask(self, do: str, **question: Any) -> dict[str, Any]:
        """The answer to a question. Raises: Failed."""
        stdin = self.process.stdin
        assert stdin is not None
        try:
            stdin.write(json.dumps({"do": do, **question}) + "\n")
            stdin.flush()
        except OSError:
            raise Failed(f"its process has ended with code {self.process.wait()}") from None
        return self.read()

    def read(self) -> dict[str, Any]:
        """The next line of the worker. Raises: Failed."""
        stdout = self.process.stdout
        assert stdout is not None
        timer = Timer(self.patience, self.process.kill)
        timer.start()
        try:
            line = stdout.readline()
        finally:
            late = not timer.is_alive()
            timer.cancel()
        if not line:
            why = f"no answer in {self.patience:g} s" if late else "its process ended"
            raise Failed(f"{why} (code {self.process.wait()})")
        answer: dict[str, Any] = json.loads(line)
        if not answer.pop("ok"):
            raise Failed(answer["error"])
        return answer

    def end(self) -> None:
        """Close its input, at which it ends; kill it if it does not."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            with suppress(OSError):  # it is gone already
                self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()


def environment(engine: Engine, threads: int, cache: Path) -> Mapping[str, str]:
    """Threads for every BLAS and OpenMP, the engine's own variables, and an empty cache: compilers
    keep what they compiled, and a first call would else be a later one.
    """
    caches = {"XDG_CACHE_HOME": cache, "TORCHINDUCTOR_CACHE_DIR": cache / "inductor",
              "CACHEDB": cache / "tinygrad.db"}  # fmt: skip
    return {
        **os.environ,
        **{f"{library}_NUM_THREADS": str(threads) for library in THREADS},
        **{name: str(folder) for name, folder in caches.items()},
        **engine.environment,
    }
