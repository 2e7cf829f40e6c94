"""What one call took of memory at most, by the kernel's own mark: threads and libraries of C included."""

from __future__ import annotations

from pathlib import Path

MEGABYTE = 2**20


def forget_peak() -> None:
    """Reset the peak of resident memory (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def resident() -> int:
    """Bytes in memory now."""
    return _bytes("VmRSS")


def peak() -> int:
    """Most bytes in memory since ``forget_peak``."""
    return _bytes("VmHWM")


def _bytes(field: str) -> int:
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split(f"{field}:")[1].split()[0]) * 1024
