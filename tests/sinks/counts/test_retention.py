"""Single visits are deleted when they are old enough, and never because a clock is wrong."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.sinks.counts.helpers import START, OpenStore, hourly, visit, visits
from tests.stand_ins.clock import ManualClock

DAY = 86400.0
YEARS = 3 * 365 * DAY


@pytest.fixture(autouse=True)
def _earlier_visit(open_store: OpenStore) -> None:
    """One visit from an earlier boot."""
    earlier = open_store(clock=ManualClock(START))
    earlier.record(visit(0.0))
    earlier.close()


def deleted_by(open_store: OpenStore, path: Path, clock: ManualClock, *, clock_is_set: bool | None = None) -> bool:
    """Whether the earlier visit is gone when the store has run for a quarter of an hour more."""
    store = open_store(clock=clock, clock_is_set=lambda: clock_is_set)
    clock.advance(900)
    store.tick()
    store.close()
    return START not in [at for at, _ in visits(path)]


def after(days: float) -> ManualClock:
    return ManualClock(START + timedelta(days=days))


def test_a_time_servers_clock_is_believed(open_store: OpenStore, path: Path) -> None:
    assert not deleted_by(open_store, path, after(30), clock_is_set=True)
    assert deleted_by(open_store, path, after(32), clock_is_set=True)
    assert hourly(path) == {"03 08:00": 1}


@pytest.mark.parametrize("clock_is_set", [False, None])
def test_a_clock_years_ahead_deletes_nothing(open_store: OpenStore, path: Path, clock_is_set: bool | None) -> None:
    assert not deleted_by(open_store, path, after(3 * 365), clock_is_set=clock_is_set)


def test_a_jump_for_hours_deletes_nothing(open_store: OpenStore, path: Path) -> None:
    clock = after(1)
    store = open_store(clock=clock, clock_is_set=lambda: False)
    clock.advance(2 * DAY)
    store.tick()
    clock.jump(YEARS)
    for _ in range(20):
        clock.advance(3600)
        store.tick()
    clock.jump(-YEARS)
    store.record(visit(clock.monotonic()))
    store.close()
    (first, _), *others = visits(path)
    assert first == START
    assert len(others) == 1


def test_a_clock_that_stays_is_believed(open_store: OpenStore, path: Path) -> None:
    clock = after(40)
    store = open_store(clock=clock, clock_is_set=lambda: None)
    clock.advance(DAY + 1)
    store.tick()
    assert visits(path) == []


def test_doors_off_at_night_forget_a_day_later(open_store: OpenStore, path: Path) -> None:
    gone = [day for day in range(1, 36) if deleted_by(open_store, path, after(day))]
    assert gone[0] == 32


def test_visits_since_the_boot_need_no_clock(open_store: OpenStore, path: Path) -> None:
    clock = after(1)
    store = open_store(clock=clock, clock_is_set=lambda: False)
    store.record(visit(0.0))
    clock.advance(20 * DAY)
    clock.jump(-YEARS)
    store.tick()
    assert len(visits(path)) == 2
    clock.advance(12 * DAY)
    store.tick()
    clock.advance(3600)
    store.tick()
    assert [at for at, _ in visits(path)] == [START]
