"""What counting costs an SD card: ``python -m tests.bench_counts``.

Plays an hour of visits, spread evenly, against a real file and prints what reached the block layer
(``/proc/self/io``), the write-ahead log's checkpoints included, file-system metadata not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from edge.clock import ManualClock
from edge.counts import CountStore
from edge.values import Event, EventKind, Verdict

HOUR = 3600


def written() -> int:
    """Bytes this process has caused to be sent to storage."""
    for line in Path("/proc/self/io").read_text("ascii").splitlines():
        key, value = line.split(": ")
        if key == "write_bytes":
            return int(value)
    raise OSError("/proc/self/io has no write_bytes")


def play(directory: Path, visits: int, hours: int, commit_every: float) -> tuple[float, float]:
    """Bytes an hour, and the longest ``tick`` in seconds."""
    clock = ManualClock()
    store = CountStore(directory / "counts.db", commit_every, 31, clock)
    before, longest = written(), 0.0
    for second in range(hours * HOUR):
        clock.advance(1)
        store.add_frames(20)
        if visits and second * visits % HOUR < visits:
            store.record(Event(EventKind.VISIT_ENDED, clock.monotonic(), second, Verdict.WITH_MASK, 3.0))
        begin = time.perf_counter()
        store.tick()
        longest = max(longest, time.perf_counter() - begin)
    store.close()
    return (written() - before) / hours, longest


def main() -> int:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=4)
    parser.add_argument("--directory", type=Path, help="on the disk to measure (a temporary one)")
    options = parser.parse_args()
    for visits, commit_every in ((200, 5.0), (200, 60.0), (0, 5.0)):
        with tempfile.TemporaryDirectory(dir=options.directory) as directory:
            rate, longest = play(Path(directory), visits, options.hours, commit_every)
        print(
            f"{visits} visits an hour, commit_every {commit_every:.0f} s: {rate / 1e6:.2f} MB written an hour, "
            f"longest tick {longest * 1e3:.0f} ms"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
