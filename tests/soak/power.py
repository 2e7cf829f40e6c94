"""Power: a daemon that is killed while it counts, and disks that lose what was not synced, in part and out of order."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

from edge.sinks.counts import CountStore
from edge.values import Event, EventKind, Verdict
from tests.soak.appliance import ROOT, Appliance, FailedError, expect, running, stored_visits, wait_for
from tests.soak.faults import Trial, compiled, fault
from tests.soak.power_cut import Disk, Entry, read_journal
from tests.soak.simulated import PROGRAM
from tests.stand_ins.clock import ManualClock

SHORT_VISITS, LONG_VISITS = 60, 1500
"""That a recorded run commits before it is stopped; in the long form enough for several checkpoints of the log."""
CONTROLS = 100
RECORDED_WITHIN = 900.0


@fault("power", "SIGKILL at a random moment while counting", short=15, long=300, series=True)
def killed(trial: Trial) -> None:
    """One store lives through all of them; each daemon must open what the one before left."""
    command = [sys.executable, "-m", "tests.soak.killed", str(trial.folder), str(trial.times), str(trial.rng.random())]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        for text in process.stdout:
            outcome = json.loads(text)
            with trial.attempt():
                expect(outcome["problem"] is None, outcome["problem"])
            trial.note("visits acknowledged", outcome["acknowledged"])
        errors = process.stderr.read().strip()
    expect(trial.line.figures.get("visits acknowledged"), "no visit was ever acknowledged: nothing was tried")
    expect(trial.line.tried == trial.times, f"the trials ended early: {errors.splitlines()[-1:] or process.returncode}")


@fault("power", "torn writes: power lost between syncs", short=150, long=3000, series=True, needs=("gcc",))
def torn(trial: Trial) -> None:
    """Record what a run does to its files, then cut the power at random points of that record, many times over."""
    journal, place = record(trial), trial.folder / "after"
    for _ in range(trial.times):
        disk, acknowledged = power_cut(journal, trial.rng, honest=True)
        with trial.attempt():
            open_again(disk, place, acknowledged)
    trial.note("writes recorded", sum(entry.kind == "W" for entry in journal))
    trial.note("syncs recorded", sum(entry.kind == "S" for entry in journal))
    lost = sum(loses(journal, trial.rng, place) for _ in range(CONTROLS))
    trial.note(f"a disk that ignores syncs loses counts in (of {CONTROLS} cuts)", lost)
    expect(lost > 0, "a disk that ignores syncs lost nothing, so these trials prove nothing")


def record(trial: Trial) -> list[Entry]:
    """What a real run does to its store until visits enough are committed, in order."""
    kept = trial.folder / "kept"
    kept.mkdir()
    journal = trial.folder / "journal"
    appliance = Appliance(
        trial.folder,
        {"counts.path": kept / "counts.db", "web.enabled": False},
        (*PROGRAM, "--rate", "400", "--frames", "400000", "--acks", str(kept / "acks")),
        ("--quiet", "--realtime"),
        {
            "LD_PRELOAD": str(compiled("faulty_machine")),
            "FAULTY_FILES": str(kept),
            "FAULTY_JOURNAL": str(journal),
        },
    )
    with running(appliance):
        wanted = SHORT_VISITS if trial.short else LONG_VISITS
        wait_for(lambda: acknowledged_in(kept / "acks") >= wanted, f"{wanted} visits are counted", RECORDED_WITHIN)
        appliance.stop()
    return read_journal(journal)


def acknowledged_in(acks: Path) -> int:
    """Visits that the newest commit held."""
    told = acks.read_text("ascii").split() if acks.exists() else []
    return int(told[-1]) if told else 0


def power_cut(journal: list[Entry], rng: random.Random, honest: bool) -> tuple[Disk, int]:
    """A disk that lost power at a random entry, and how many visits had been acknowledged by then.

    Args:
        journal: Of the run.
        rng: Draws the moment, and what of the unsynced sectors arrived.
        honest: Whether syncs are heeded.
    """
    disk, acknowledged = Disk(), 0
    for entry in journal[: rng.randrange(1, len(journal) + 1)]:
        if entry.path.name == "acks":
            acknowledged = int(entry.content) if entry.kind == "W" else acknowledged
        elif honest or entry.kind not in "SD":
            disk.take(entry)
    disk.lose_power(rng)
    return disk, acknowledged


def open_again(disk: Disk, place: Path, acknowledged: int) -> None:
    """Fail unless the store opens, is whole, holds what was acknowledged, and counts on."""
    shutil.rmtree(place, ignore_errors=True)
    disk.write(place)
    store = place / "counts.db"
    clock = ManualClock()
    counts = CountStore(store, 5.0, 31, clock)
    aside = [path.name for path in place.glob("*.corrupt-*")]
    expect(counts.degraded is None and not aside, f"the store did not open: {counts.degraded or counts.notice}")
    counts.record(Event(EventKind.VISIT_ENDED, clock.monotonic(), 1, Verdict.WITH_MASK, 1.0))
    counts.close()
    found = len(stored_visits(store)) - 1
    expect(found >= acknowledged, f"{acknowledged} visits were acknowledged and {found} are stored")


def loses(journal: list[Entry], rng: random.Random, place: Path) -> bool:
    """Whether something is lost by a disk that does not heed syncs: it must be now and then, or nothing was tried."""
    disk, acknowledged = power_cut(journal, rng, honest=False)
    try:
        open_again(disk, place, acknowledged)
    except FailedError:
        return True
    return False
