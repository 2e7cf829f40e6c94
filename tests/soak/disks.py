"""The disk: full, read-only, slow. Counts wait in memory, the door is watched on, and nothing is lost in the end."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edge.errors import StoreError
from edge.sinks.counts import database
from tests.soak.appliance import ROOT, Appliance, expect, expect_nothing_lost, running, stored_visits, wait_for
from tests.soak.faults import Trial, compiled, fault
from tests.soak.machine_control import Control
from tests.soak.simulated import PROGRAM

RATE = 30
"""Scene seconds a second: a few visits, and retries of the store a few seconds apart."""
SLOW = 2.0
"""What every sync takes, in seconds."""
SYNCS_TO_OPEN = 8
"""What a new store takes until it is open."""
STOP_TIMEOUT = float((ROOT / "systemd/maskgate.service").read_text().partition("TimeoutStopSec=")[2].split()[0])
"""Of the service, in seconds."""
LONGEST_GAP = 1.0
"""Between two frames, however slow the disk is, in seconds."""


@contextlib.contextmanager
def small_disk(trial: Trial) -> Iterator[Path]:
    """A file system of half a mebibyte."""
    place = trial.folder / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def counting(trial: Trial, store: Path, **environment: str) -> Appliance:
    """A simulated door that keeps its counts in ``store``."""
    program = (*PROGRAM, "--rate", str(RATE), "--seed", str(trial.rng.randrange(2**32)))
    return Appliance(trial.folder, {"counts.path": store}, program, ("--realtime",), environment)


def suffer(
    trial: Trial,
    place: Path,
    harm: Callable[[], object],
    repair: Callable[[], object],
    word: str = "Counts cannot be written",
    **environment: str,
) -> None:
    """Let the disk under a daemon fail, and work again; meanwhile /health gives a reason with ``word`` in it."""
    with running(counting(trial, place / "counts.db", **environment)) as appliance:
        wait_for(lambda: len(appliance.told("visit_ended")) >= 3, "visits are counted")
        time.sleep(trial.rng.uniform(0, 1))
        harm()
        began = time.monotonic()
        wait_for(lambda: appliance.complains(word), "it says that counts are not written")
        trial.note("said after (s)", time.monotonic() - began)
        expect(appliance.health()["status"] == "degraded", f"it says {appliance.health()}")
        told = len(appliance.told("visit_ended"))
        appliance.goes_on(20 * RATE)
        wait_for(lambda: len(appliance.told("visit_ended")) > told, "visits go on")
        repair()
        began = time.monotonic()
        wait_for(appliance.is_well, "it is well again")
        trial.note("written after (s)", time.monotonic() - began)
        expect(appliance.stop() == 0, f"it ended with code {appliance.process.returncode}: {appliance.last_words()}")
        trial.note("visits", expect_nothing_lost(appliance))


@fault("disk", "full while counting, then room again", short=1, long=5, needs=("root",))
def full(trial: Trial) -> None:
    with small_disk(trial) as place:
        filler = place / "filler"

        def fill() -> None:
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while file.write(bytes(512)):
                    pass

        suffer(trial, place, fill, filler.unlink)


@fault("disk", "turns read-only while counting, then not", short=1, long=5, needs=("gcc",))
def read_only(trial: Trial) -> None:
    fail(trial, errno.EROFS)


@fault("disk", "I/O errors while counting, then none", short=1, long=5, needs=("gcc",))
def broken(trial: Trial) -> None:
    fail(trial, errno.EIO)


def fail(trial: Trial, error: int) -> None:
    """Let whatever changes the store's files fail, for a time: as where ext4 has remounted itself."""
    control, place = Control(trial.folder / "control"), trial.folder / "disk"
    environment = faulty(control, place)
    suffer(trial, place, lambda: control.set(error=error), control.set, **environment)


def faulty(control: Control, place: Path) -> dict[str, str]:
    """Variables that put what is in ``place`` onto a disk that ``control`` governs."""
    return control.environment | {"FAULTY_FILES": str(place), "LD_PRELOAD": str(compiled("faulty_machine"))}


@fault("disk", "the store is moved away while counting", short=1, long=5)
def moved(trial: Trial) -> None:
    store, aside = trial.folder / "disk" / "counts.db", trial.folder / "aside"
    aside.mkdir()
    with running(counting(trial, store)) as appliance:
        wait_for(lambda: len(appliance.told("visit_ended")) >= 3, "visits are counted")
        time.sleep(trial.rng.uniform(0, 1))
        for file in store.parent.glob("counts.db*"):
            file.rename(aside / file.name)
        wait_for(store.exists, "a new store is begun")
        wait_for(appliance.is_well, "it is well")
        expect(appliance.stop() == 0, f"it ended with code {appliance.process.returncode}: {appliance.last_words()}")
        expect("were removed; a new file was started" in appliance.said, f"it said: {appliance.last_words()}")
    told = len(appliance.told("visit_ended"))
    before, after = len(stored_visits(aside / store.name)), len(stored_visits(store))
    trial.note("visits", told)
    expect(before + after == told, f"{told} visits were told, {before} are in the old store and {after} in the new")


@fault("disk", f"slow: {SLOW:g} s for every sync", short=1, long=5, needs=("gcc",))
def slow(trial: Trial) -> None:
    control = Control(trial.folder / "control")
    store = trial.folder / "slow" / "counts.db"
    with running(counting(trial, store, **faulty(control, store.parent))) as appliance:
        wait_for(lambda: len(appliance.told("visit_ended")) >= 3, "visits are counted")
        control.set(sync_seconds=SLOW)
        gap = longest_gap(appliance, 5 if trial.short else 20)
        trial.note("longest between frames (s)", gap)
        expect(gap < LONGEST_GAP, f"frames stood still for {gap:.2f} s")
        trial.note("slow syncs", control.slow_syncs)
        expect(control.slow_syncs, "no sync was slow: nothing was tried")
        control.set()
        expect(appliance.stop() == 0, f"it ended with code {appliance.process.returncode}: {appliance.last_words()}")
        trial.note("visits", expect_nothing_lost(appliance))
        expect(stored_visits(store), "nothing was counted")


@fault("disk", f"slow from the start: {SLOW:g} s for every sync", short=1, long=5, needs=("gcc",))
def slow_start(trial: Trial) -> None:
    control, store = Control(trial.folder / "control"), trial.folder / "slow" / "counts.db"
    control.set(sync_seconds=SLOW)
    began = time.monotonic()
    with running(counting(trial, store, **faulty(control, store.parent))) as appliance:
        wait_for(lambda: appliance.frames() > 0, "the door is watched")
        trial.note("watched after (s)", time.monotonic() - began)
        expect(control.slow_syncs < SYNCS_TO_OPEN, "the door was not watched before the store was open")
        expect(appliance.complains("does not answer"), f"it says {appliance.health()}")
        wait_for(appliance.is_well, "the store is open")
        control.set()
        expect(appliance.stop() == 0, f"it ended with code {appliance.process.returncode}: {appliance.last_words()}")
        trial.note("visits", expect_nothing_lost(appliance))


@fault("disk", "another file takes the store's place, then ours", short=1, long=5)
def replaced(trial: Trial) -> None:
    put = trial.rng.choice((os.mkfifo, lambda path: path.write_text("Dear diary, " * 200), Path.mkdir))
    swap(trial, put, "not a store of maskgate")


@fault("disk", "a newer version's store takes its place, then ours", short=1, long=5)
def newer(trial: Trial) -> None:
    def put(path: Path) -> None:
        database.open_for_writing(path).close()
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA user_version = {len(database.MIGRATIONS) + 1}")

    swap(trial, put, "newer maskgate")


def swap(trial: Trial, put: Callable[[Path], object], word: str) -> None:
    """Let something else lie where the store was, which must not be touched, and then the store again."""
    store, aside = trial.folder / "disk" / "counts.db", trial.folder / "aside"

    def harm() -> None:
        aside.mkdir()
        for file in store.parent.glob("counts.db*"):
            file.rename(aside / file.name)
        put(store)

    def repair() -> None:
        shutil.rmtree(store) if store.is_dir() else store.unlink()
        for file in aside.glob("counts.db*"):
            file.rename(store.parent / file.name)

    suffer(trial, store.parent, harm, repair, word)


@fault("disk", "told to end while it does not answer", short=1, long=5, needs=("gcc",))
def ended_while_stuck(trial: Trial) -> None:
    control = Control(trial.folder / "control")
    store = trial.folder / "stuck" / "counts.db"
    with running(counting(trial, store, **faulty(control, store.parent))) as appliance:
        wait_for(lambda: len(appliance.told("visit_ended")) >= 3, "visits are counted")
        control.set(sync_seconds=3600)
        time.sleep(trial.rng.uniform(0, 3))
        began = time.monotonic()
        code = appliance.stop()
        trial.note("ended after (s)", took := time.monotonic() - began)
        expect(code in (0, StoreError.exit_code), f"it ended with code {code}: {appliance.last_words()}")
        expect(took < STOP_TIMEOUT, f"the end took {took:.1f} s; systemd would have forced it")
    expect(len(stored_visits(store)) <= len(appliance.told("visit_ended")), "more is stored than was told")


@fault("disk", "the events file ends within a line", short=1, long=5)
def torn(trial: Trial) -> None:
    with running(counting(trial, trial.folder / "counts.db")) as appliance:
        wait_for(lambda: len(appliance.told("visit_ended")) >= 2, "visits are counted")
        appliance.kill()
        content = appliance.events.read_bytes()
        cut = content[: -trial.rng.randint(2, 20)]
        appliance.events.write_bytes(cut)
        appliance.start()
        wait_for(lambda: appliance.events.read_bytes().count(b"\n") >= cut.count(b"\n") + 4, "events go on")
        expect(appliance.stop() == 0, f"it ended with code {appliance.process.returncode}: {appliance.last_words()}")
    added = appliance.events.read_bytes()[len(cut) :]
    expect(added.startswith(b"\n"), "the first new event is on the torn line")
    for line in added.strip().split(b"\n"):
        json.loads(line)
    trial.note("lines after it", added.strip().count(b"\n") + 1)


def longest_gap(appliance: Appliance, seconds: float) -> float:
    """How long no frame was processed at most, as far as /metrics tells; in seconds."""
    until = time.monotonic() + seconds
    frames, changed, longest = appliance.frames(), time.monotonic(), 0.0
    while time.monotonic() < until:
        if (now := appliance.frames()) > frames:
            longest = max(longest, time.monotonic() - changed)
            frames, changed = now, time.monotonic()
        time.sleep(0.01)
    return max(longest, time.monotonic() - changed)
