"""capture(step): trace a whole training step once, then replay it without Python's dispatch.

Read graph.py (what a recording is), plan.py (what a replay is), then tracer.py and the files that
lead from the one to the other: compare.py, simplify.py, schedule.py, memory.py.
"""

from tinygrad_mmb.capture.captured import CacheInfo, CapturedStep, capture
from tinygrad_mmb.capture.errors import CaptureError

__all__ = ["CacheInfo", "CaptureError", "CapturedStep", "capture"]
