"""Visits that wait for a disk or a store take a bounded part of the memory, and those dropped are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.messages import message
from edge.sinks.counts import store as counts_store
from edge.sinks.counts import waiting
from edge.sinks.counts.waiting import Waiting, WaitingVisit
from tests.sinks.counts.helpers import BARE, MASKED, OpenStore, hourly, rows, scribble, visit, visits
from tests.stand_ins import memory
from tests.stand_ins.clock import ManualClock


@pytest.fixture
def room_for_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MOST_VISITS", 3)


def from_a_newer_version(open_store: OpenStore, path: Path) -> None:
    open_store().close()
    scribble(path, "PRAGMA user_version = 99")


@pytest.mark.usefixtures("room_for_three")
def test_newest_visits_wait_for_the_store(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    from_a_newer_version(open_store, path)
    store = open_store()
    for number in range(10):
        store.record(visit(clock.monotonic(), BARE if number >= 7 else MASKED))
        clock.advance(70)
        store.tick()
    assert store.waiting == 3
    assert store.degraded is not None
    assert "newer maskgate" in store.degraded
    assert store.degraded.endswith(message("counts.full", most=counts_store.MOST_VISITS))

    scribble(path, "PRAGMA user_version = 1")
    clock.advance(70)
    store.tick()
    assert store.degraded is None
    assert store.notice == (f"7 visits are missing in the counts: too many waited while {path} could not be written.")
    assert [verdict for _, verdict in visits(path)] == ["without_mask"] * 3
    assert sum(hourly(path).values()) == 3


@pytest.mark.usefixtures("room_for_three")
def test_dropped_visits_are_told_once(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    path.parent.parent.write_text("a file where the folder should be")
    store = open_store()
    for _ in range(4):
        store.record(visit(clock.monotonic()))
    path.parent.parent.unlink()
    clock.advance(70)
    store.tick()
    assert store.notice is not None
    assert store.notice.startswith("1 visit is missing in the counts")
    store.notice = None
    store.record(visit(clock.monotonic()))
    clock.advance(70)
    store.tick()
    assert store.notice is None
    assert len(visits(path)) == 4


def test_a_full_batch_is_written_immediately(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    from_a_newer_version(open_store, path)
    store = open_store()
    before = memory.resident()
    for _ in range(2 * waiting.MOST_VISITS):
        store.record(visit(clock.monotonic()))
    assert memory.resident() - before < 32 * memory.MEGABYTE
    scribble(path, "PRAGMA user_version = 1")
    clock.advance(70)
    store.tick()
    assert store.waiting == 0
    assert rows(path, "SELECT COUNT(*) FROM visits") == [(waiting.MOST_VISITS,)]
    assert sum(hourly(path).values()) == waiting.MOST_VISITS


@pytest.mark.usefixtures("room_for_three")
def test_dropped_visits_are_forgotten_once() -> None:
    waits = Waiting()
    for number in range(3):
        waits.add(WaitingVisit(number, number + 1.0, MASKED))
    batch = waits.batch()
    waits.add(WaitingVisit(3, 4.0, BARE))
    waits.written(batch)
    assert [one.verdict for one in waits.batch().visits] == [BARE]
