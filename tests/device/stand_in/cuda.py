"""cupy.cuda: one device, one stream, memory that is the host's."""

from __future__ import annotations

from typing import Any


class CUDARuntimeError(RuntimeError):
    """As cupy.cuda.runtime.CUDARuntimeError."""


class Device:
    """cupy.cuda.Device, of which there is one."""

    def __init__(self, device: Any = None) -> None:
        self.id = 0 if device is None else int(getattr(device, "id", device))
        if self.id != 0:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *exc: object) -> None: ...

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.id == self.id

    def __hash__(self) -> int:
        return self.id

    def use(self) -> None: ...

    def synchronize(self) -> None: ...

    compute_capability = "90"
    mem_info = (2**30, 2**31)


class Stream:
    """cupy.cuda.Stream: the default one; all work here is done when its call returns."""

    ptr = 0

    def __init__(self, null: bool = False, non_blocking: bool = False, **options: Any) -> None: ...

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exc: object) -> None: ...

    def synchronize(self) -> None: ...


class MemoryPool:
    def used_bytes(self) -> int:
        return 4096

    def total_bytes(self) -> int:
        return 8192

    def free_all_blocks(self) -> None: ...


class MemoryPointer:
    """An address, and who owns the memory there."""

    def __init__(self, mem: Any, offset: int) -> None:
        self.mem, self.ptr = mem, mem.ptr + offset
        self.device, self.device_id = Device(0), 0


class UnownedMemory:
    def __init__(self, ptr: int, size: int, owner: Any, device_id: int = -1) -> None:
        self.ptr, self.size, self.owner, self.device_id = ptr, size, owner, device_id
