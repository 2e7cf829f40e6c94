"""What counting costs an SD card.

Plays an hour of visits, spread evenly, against a real file and prints what reached the block layer
(``/proc/self/io``), the write-ahead log's checkpoints included, file-system metadata not.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from edge.sinks.counts import CountStore
from edge.values import Event, EventKind, Verdict
from tests.bench.results import Options, Section, Table
from tests.stand_ins.clock import ManualClock

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


def run(options: Options) -> Section:
    """With and without visits, committed often and rarely, on the disk that ``--out`` is on."""
    section, rows = Section(), []
    hours = options.some(4, 1)
    for visits, commit_every in ((200, 5.0), (200, 60.0), (0, 5.0)):
        with tempfile.TemporaryDirectory(dir=options.out) as directory:
            rate, longest = play(Path(directory), visits, hours, commit_every)
        rows.append((str(visits), f"{commit_every:.0f}", f"{rate / 1e6:.2f}", f"{longest * 1e3:.0f}"))
        section.data[f"{visits} visits, commit_every {commit_every:.0f}"] = {"bytes_an_hour": rate, "tick_s": longest}
    head = ("visits an hour", "commit_every, s", "MB written an hour", "longest tick, ms")
    section.tables.append(Table(f"{hours} hours of counting:", head, rows))
    return section
