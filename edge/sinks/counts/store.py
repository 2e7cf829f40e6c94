"""Counts on their way to the disk.

Recording never touches the disk: visits and frames gather in memory, and ``tick`` writes them in batches. What cannot
be written (a full, read-only or locked disk, a store of a newer version) stays in memory, up to ``MOST_VISITS`` visits,
is said once in ``degraded``, and is written later.

**Time.** Events carry monotonic seconds. They are joined to wall time when they are written, and every row remembers
which boot of the machine it is from. A Pi has no real-time clock: it boots with a stale one, and a time server sets it
minutes later. When the wall clock jumps against the monotonic one by more than ``JUMP``, everything written since that
boot, by this process or an earlier one, is moved along: the clock was wrong before, not now. Time that a laptop slept
is not a jump.

**Wear.** Visits are committed at most ``commit_every`` after they ended, in one append of a few 1 KiB pages and one
fsync; frames and uptime go along, or by themselves every ``FRAMES_EVERY``. Written with 200 visits an hour: 1.3 MB an
hour (30 MB a day) with the default 5 s, 0.3 MB with 60 s; with nobody coming 0.1 MB (``make bench ARGS=counts``,
on ext4, checkpoints of the log included, the file system's own journal not).
"""

from __future__ import annotations

import fcntl
import math
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from edge.clock import Clock, clock_is_set
from edge.errors import StoreError
from edge.messages import message, numbered, together
from edge.pacing import Backoff
from edge.sinks.counts import database
from edge.sinks.counts.boot import BootClock
from edge.sinks.counts.hours import add, hour_of, rebuild
from edge.sinks.counts.ownership import StoreBusyError, is_corrupt, refuse_foreign, set_aside
from edge.sinks.counts.retention import Retention
from edge.sinks.counts.waiting import MOST_VISITS, Batch, Waiting, WaitingVisit
from edge.text import plural
from edge.values import Event, EventKind, Verdict

JUMP = 2.0
"""Larger steps of the wall clock are corrections, not drift, in seconds."""

FRAMES_EVERY = 300.0
"""Maximum delay of frames and uptime on disk if no visit is written, in seconds."""

RETRY_AFTER = 5.0
"""First pause after a failed write, in seconds; doubles up to ``RETRY_AT_MOST``."""

RETRY_AT_MOST = 60.0


class CountStore:
    """Keeps visits, hourly totals, frames processed and uptime in one SQLite file.

    ``record`` and ``add_frames`` return immediately and never fail. ``tick`` may wait for the disk and may be called
    from its own thread.

    Args:
        path: The file; its directory is made.
        commit_every: Visits reach the disk at most this much later, in seconds.
        retention_days: Visits are deleted after this many days; hourly totals are kept for ever.
        clock: The clock that events' times are on.
        clock_is_set: Whether a time server has set it; None if unknown.
        open_now: Whether to wait for the disk until the file is open; else ``open`` does.

    Raises:
        StoreBusyError: Another maskgate writes this file.
    """

    def __init__(
        self,
        path: Path,
        commit_every: float,
        retention_days: int,
        clock: Clock,
        *,
        open_now: bool = True,
        clock_is_set: Callable[[], bool | None] = clock_is_set,
    ) -> None:
        self._path = path
        self._commit_every = commit_every
        self._clock = clock
        self._boot = BootClock(clock)
        self._disk = threading.Lock()
        self._waiting = Waiting()
        self._told_dropped = 0
        self._counted_until = self._visit_due_from = self._boot.seconds()
        self._lock_file: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._file: os.stat_result | None = None
        self._boot_row = 0
        self._wall_offset = 0.0
        self._retention = Retention(retention_days, self._boot.seconds(), clock_is_set)
        self._retry_at = -math.inf
        self._backoff = Backoff(RETRY_AFTER, RETRY_AT_MOST)
        self.degraded: str | None = None
        """Why counts cannot be written at present, as a sentence for the operator; None if they can."""
        self.before: Mapping[Verdict, int] | None = None
        """Visits by verdict from before this run; None until the store was read."""
        self.notice: str | None = None
        """What the operator should know about the store, once: a damaged file was set aside, or a file was removed."""
        if open_now:
            self.open()

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def waiting(self) -> int:
        """Visits that are not on the disk yet."""
        return len(self._waiting)

    def open(self) -> None:
        """Open the file before there is anything to write; may wait for the disk.

        Raises:
            StoreBusyError: Another maskgate writes this file.
        """
        with self._disk:
            self._try(self._open)

    def record(self, event: Event) -> None:
        """Remember a visit that has ended; other events are ignored."""
        if event.kind is not EventKind.VISIT_ENDED or event.verdict is None:
            return
        ended = self._boot.seconds() - (self._clock.monotonic() - event.at)
        if self._waiting.add(WaitingVisit(ended - (event.seconds or 0.0), ended, event.verdict)):
            self._visit_due_from = self._boot.seconds()

    def add_frames(self, n: int) -> None:
        """Remember that ``n`` more frames were processed."""
        self._waiting.add_frames(n)

    def tick(self) -> None:
        """Write what is due by the clock. Call it often."""
        with self._disk:
            now = self._boot.seconds()
            if now >= self._retry_at and (self._is_due(now) or self._has_jumped()):
                self._try(self._write)

    def close(self) -> None:
        """Write what is left and release the file. Safe to call twice.

        What still cannot be written is lost with the process; ``degraded`` then says so.
        """
        with self._disk:
            if self._lock_file is not None or self._waiting.anything:
                self._try(self._write)
            if self._waiting and self.degraded:
                self.degraded = together([self.degraded, numbered("counts.lost", len(self._waiting))])
            self._disconnect()
            self._let_go_of_lock()

    def _is_due(self, now: float) -> bool:
        if self.degraded:
            return True
        if self._waiting and now - self._visit_due_from >= self._commit_every:
            return True
        return now - self._counted_until >= FRAMES_EVERY

    def _has_jumped(self) -> bool:
        return self._connection is not None and abs(self._boot.wall_offset() - self._wall_offset) > JUMP

    def _try(self, work: Callable[[], None]) -> None:
        """Do disk work; when it fails, say why and try again later."""
        try:
            try:
                work()
            except (sqlite3.Error, StoreError) as error:
                if not is_corrupt(error):
                    raise
                self._begin_anew()
                work()
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, StoreBusyError) and work == self._open:
                raise
            self._disconnect()
            self._retry_at = self._boot.seconds() + self._backoff.next()
            full = [message("counts.full", most=MOST_VISITS)] if self._waiting.dropped > self._told_dropped else []
            self.degraded = together([self._sentence(error), *full])
        else:
            self._tell_dropped()
            self._retry_at, self.degraded = -math.inf, None
            self._backoff.reset()

    def _tell_dropped(self) -> None:
        dropped, self._told_dropped = self._waiting.dropped - self._told_dropped, self._waiting.dropped
        if dropped:
            visits = plural(dropped, "visit is", "visits are")
            self.notice = f"{visits} missing in the counts: too many waited while {self._path} could not be written."

    def _sentence(self, error: Exception) -> str:
        if isinstance(error, StoreError):
            return str(error)
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return message("counts.unwritten", path=self._path, reason=reason)

    def _open(self) -> None:
        self._take_lock()
        self._connection = database.open_for_writing(self._path)
        self._file = self._path.stat()
        try:
            database.transaction(self._connection, self._find_boot)
            if self.before is None:
                self.before = database.lifetime_totals(self._connection)
        except BaseException:
            self._disconnect()
            raise

    def _take_lock(self) -> None:
        """One writer per store: a second daemon would count the same people again."""
        if self._lock_file is not None:
            return
        refuse_foreign(self._path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
        lock_file = os.open(f"{self._path}.lock", flags, 0o644)
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock_file)
            raise StoreBusyError(message("counts.busy", path=self._path)) from error
        self._lock_file = lock_file

    def _let_go_of_lock(self) -> None:
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def _begin_anew(self) -> None:
        self._disconnect()
        aside = set_aside(self._path, self._clock.now())
        self.notice = (
            f"The counts in {self._path} were damaged; they were set aside as {aside} and a new file was started."
        )

    def _disconnect(self) -> None:
        if self._connection:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _is_in_place(self) -> bool:
        """Whether the open file still has its name: what is written to one without a name is gone with the process."""
        try:
            return self._file is not None and os.path.samestat(self._path.stat(), self._file)
        except FileNotFoundError:
            return False

    def _find_boot(self, connection: sqlite3.Connection) -> None:
        """The row of this boot of the machine; moves what it has written if the clock was set since."""
        offset = self._boot.wall_offset()
        row = connection.execute("SELECT id, wall_offset FROM boots WHERE name = ?", (self._boot.name,)).fetchone()
        if row is None:
            added = connection.execute("INSERT INTO boots (name, wall_offset) VALUES (?, ?)", (self._boot.name, offset))
            row = (added.lastrowid, offset)
        self._boot_row, self._wall_offset = row
        self._follow_clock(connection)

    def _write(self) -> None:
        removed = self._connection is not None and not self._is_in_place()
        if removed:
            self._disconnect()
            self._let_go_of_lock()
        if self._connection is None:
            self._open()
        if removed:
            self.notice = f"The counts in {self._path} were removed; a new file was started."
        assert self._connection is not None
        now = self._boot.seconds()
        batch = self._waiting.batch()
        prune = self._retention.is_due(now)

        def work(connection: sqlite3.Connection) -> None:
            self._follow_clock(connection)
            self._insert(connection, batch, now)
            if prune:
                self._retention.delete(connection, self._boot_row, now, self._wall_offset)

        database.transaction(self._connection, work)
        self._waiting.written(batch)
        self._visit_due_from = now
        self._counted_until = now
        if prune:
            self._retention.done(now)

    def _insert(self, connection: sqlite3.Connection, batch: Batch, now: float) -> None:
        offset = self._wall_offset
        connection.executemany(
            "INSERT INTO visits (boot, started, ended, verdict) VALUES (?, ?, ?, ?)",
            [
                (self._boot_row, visit.started + offset, visit.ended + offset, visit.verdict.value)
                for visit in batch.visits
            ],
        )
        hours = Counter((hour_of(visit.ended + offset), visit.verdict.value) for visit in batch.visits)
        for (hour, verdict), count in hours.items():
            add(connection, self._boot_row, hour, {verdict: count})
        worked = {"frames": batch.frames, "uptime": now - self._counted_until}
        add(connection, self._boot_row, hour_of(now + offset), worked)

    def _follow_clock(self, connection: sqlite3.Connection) -> None:
        """Move this boot's rows along with a wall clock that has jumped."""
        offset = self._boot.wall_offset()
        step = offset - self._wall_offset
        if abs(step) <= JUMP:
            return
        connection.execute(
            "UPDATE visits SET started = started + ?, ended = ended + ? WHERE boot = ?", (step, step, self._boot_row)
        )
        rebuild(connection, self._boot_row, step)
        connection.execute("UPDATE boots SET wall_offset = ? WHERE id = ?", (offset, self._boot_row))
        self._wall_offset = offset
        self._retention.clock_changed(self._boot.seconds())
