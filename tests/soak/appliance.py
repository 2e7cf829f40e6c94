"""A ``maskgate run`` in a process of its own, seen from outside: what it serves, stores, takes and says."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.stand_ins.broker import free_port

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""How long a busy machine may take for what takes a moment, in seconds."""
ANSWER_WITHIN = 10.0
MEBIBYTE = 2**20

T = TypeVar("T")


class FailedError(Exception):
    """A fault that was not survived: what was expected and did not come."""


def expect(condition: object, sentence: str) -> None:
    """Fail with ``sentence`` unless ``condition`` holds."""
    if not condition:
        raise FailedError(sentence)


def wait_for(condition: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """What ``condition`` says as soon as that is true of anything; fails when it takes longer."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        expect(time.monotonic() < deadline, f"waited {seconds:g} s in vain until {what}")
        time.sleep(0.05)
    return found


@dataclass
class Appliance:
    """A running daemon.

    Attributes:
        folder: Where its counts, events and words are.
        settings: By dotted key.
        program: What is run, ``("-m", "edge")`` or a module of this folder in its place.
        arguments: Of ``maskgate run``.
        environment: In addition to that of this process.
    """

    folder: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    program: Sequence[str] = ("-m", "edge")
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> Appliance:
        """Start it; safe to call again once it has ended."""
        defaults = {
            "web.port": self.port,
            "counts.path": self.store,
            "counts.recordings": True,
            "alerts.output": "none",
        }
        variables = {
            f"MASKGATE_{key.replace('.', '_')}".upper(): str(value).lower() if isinstance(value, bool) else str(value)
            for key, value in (defaults | dict(self.settings)).items()
        }
        command = [sys.executable, *self.program, "run", "--events", str(self.events), *self.arguments]
        with self.words.open("ab") as words:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "HOME": str(self.folder), **variables, **self.environment},
                stdout=subprocess.DEVNULL,
                stderr=words,
            )
        return self

    @property
    def store(self) -> Path:
        """The counts."""
        return Path(str(dict(self.settings).get("counts.path", self.folder / "counts.db")))

    @property
    def events(self) -> Path:
        """The events log."""
        return self.folder / "events.jsonl"

    @property
    def words(self) -> Path:
        """What it says to the operator."""
        return self.folder / "words.txt"

    @property
    def said(self) -> str:
        """All that it has said so far."""
        return self.words.read_text("utf-8", "replace") if self.words.exists() else ""

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def ask(self, path: str) -> tuple[int, str] | None:
        """The answer to GET: status and body; None where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=ANSWER_WITHIN) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as refusal:
            with contextlib.suppress(OSError, http.client.HTTPException):  # the reason may be cut off
                return refusal.code, refusal.read().decode("utf-8", "replace")
            return refusal.code, ""
        except (OSError, ValueError, http.client.HTTPException):
            return None

    def health(self) -> dict[str, Any]:
        """What /health says; empty where nobody answers."""
        answer = self.ask("/health")
        with contextlib.suppress(ValueError):
            return dict(json.loads(answer[1])) if answer else {}
        return {}

    def is_well(self) -> bool:
        """Whether the door is watched and nothing needs attention."""
        return self.health().get("status") == "ok"

    def complains(self, word: str) -> bool:
        """Whether /health gives a reason with ``word`` in it."""
        return any(word in reason for reason in self.health().get("reasons", ()))

    def metric(self, name: str) -> float:
        """A metric's sum over all labels; -1 where nobody answers."""
        answer = self.ask("/metrics")
        if not answer or answer[0] != 200:
            return -1.0
        return sum(map(float, re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", answer[1], re.MULTILINE)))

    def frames(self) -> int:
        """Processed so far; -1 where nobody answers."""
        return int(self.metric("maskgate_frames_total"))

    def goes_on(self, frames: int = 5, seconds: float = PATIENCE) -> None:
        """Fail unless so many more frames are processed."""
        expect(self.alive, f"maskgate has ended with code {self.process.poll()}: {self.last_words()}")
        before = wait_for(lambda: max(0, self.frames()), "it tells its frames", seconds)
        wait_for(lambda: self.frames() >= before + frames, f"{frames} more frames are processed", seconds)

    def resident(self) -> float:
        """Memory that it has, in MiB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / MEBIBYTE

    def handles(self) -> int:
        """Open files and sockets."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())

    def threads(self) -> int:
        """Threads."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/task").iterdir())

    def stop(self) -> int:
        """Ask it to end; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise FailedError(f"maskgate did not end within {PATIENCE:g} s of SIGTERM") from error

    def kill(self) -> None:
        """End it without asking; safe to call at any time."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()

    def last_words(self) -> str:
        """The newest line of what it said."""
        return (self.said.splitlines() or ["(nothing said)"])[-1]

    def told(self, kind: str) -> list[dict[str, Any]]:
        """Events of a kind in its log."""
        if not self.events.exists():
            return []
        lines = [json.loads(line) for line in self.events.read_text("utf-8").splitlines(keepends=True) if "\n" in line]
        return [line for line in lines if line["event"] == kind]


@contextlib.contextmanager
def running(appliance: Appliance) -> Iterator[Appliance]:
    """Start an appliance, and see to it that it is gone at the end."""
    appliance.start()
    try:
        yield appliance
    finally:
        appliance.kill()


def stored_visits(store: Path) -> list[tuple[float, float, str]]:
    """Begin, end (UTC seconds since 1970) and verdict of each visit, of a store that is whole.

    Raises:
        FailedError: SQLite finds the store damaged, or its hourly totals are not those of its visits.
    """
    try:
        with contextlib.closing(sqlite3.connect(store)) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
            visits = connection.execute("SELECT started, ended, verdict FROM visits ORDER BY started, id").fetchall()
            (totals,) = connection.execute(
                "SELECT COALESCE(SUM(with_mask + without_mask + mask_worn_incorrectly + unsure), 0) FROM hours"
            ).fetchone()
    except sqlite3.Error as error:
        raise FailedError(f"the store cannot be read: {error}") from error
    expect(verdict == "ok", f"the store is damaged: {verdict}")
    expect(totals == len(visits), f"the hourly totals say {totals} visits, and there are {len(visits)}")
    return visits


def expect_nothing_lost(appliance: Appliance) -> int:
    """Fail unless every visit of the events log is in the store, once; how many there are."""
    told = len(appliance.told("visit_ended"))
    stored = len(stored_visits(appliance.store))
    expect(told == stored, f"{told} visits were told and {stored} are stored")
    return stored
