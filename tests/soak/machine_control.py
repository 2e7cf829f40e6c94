"""What ``tests/stand_ins/native/faulty_machine.c`` is told while a process runs with it."""

from __future__ import annotations

import struct
from pathlib import Path

CONTENT = struct.Struct("dddd")


class Control:
    """The file that the library looks at: how far the wall clock is ahead, how the disk behaves."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.write_bytes(CONTENT.pack(0.0, 0.0, 0.0, 0.0))

    @property
    def environment(self) -> dict[str, str]:
        """Variables that lead the library to the file."""
        return {"FAULTY_CONTROL": str(self._path)}

    def set(self, clock_ahead: float = 0.0, sync_seconds: float = 0.0, error: int = 0) -> None:
        """Change everything, at once.

        Args:
            clock_ahead: Of the wall clock, in seconds.
            sync_seconds: What every sync takes.
            error: Error number of whatever would change a file; 0 for none.
        """
        with self._path.open("r+b", buffering=0) as file:
            file.write(CONTENT.pack(clock_ahead, sync_seconds, error, self.slow_syncs))

    @property
    def slow_syncs(self) -> float:
        """Syncs that took their time."""
        return float(CONTENT.unpack(self._path.read_bytes())[3])
