"""Counts follow a clock that is set late."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from edge.clock import SystemClock
from edge.sinks.counts import CountStore
from tests.sinks.counts.helpers import BARE, START, OpenStore, hourly, rows, visit, visits
from tests.stand_ins.clock import ManualClock


def test_a_late_clock_moves_earlier_counts(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    store = open_store()
    clock.advance(100)
    store.record(visit(at=90.0, verdict=BARE))
    clock.advance(10)
    store.tick()
    store.record(visit(at=105.0))
    clock.jump(5 * 86400 + 1800)
    clock.advance(10)
    store.tick()

    boot = START + timedelta(days=5, minutes=30)
    assert visits(path) == [
        (boot + timedelta(seconds=90), "without_mask"),
        (boot + timedelta(seconds=105), "with_mask"),
    ]
    assert hourly(path) == {"08 08:00": 2}


def test_a_jump_needs_no_visit(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    store = open_store()
    store.record(visit(0.0))
    clock.advance(6)
    store.tick()
    clock.jump(-7200)
    store.tick()
    assert visits(path) == [(START - timedelta(hours=2), "with_mask")]


def test_other_boots_stay_in_place(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    store = open_store()
    store.record(visit(0.0))
    store.close()
    later = ManualClock(START + timedelta(days=1))
    store = open_store(clock=later)
    later.jump(86400)
    later.advance(6)
    store.record(visit(6.0))
    store.close()
    assert hourly(path) == {"03 08:00": 1, "05 08:00": 1}


class StaleBoot(SystemClock):
    """This machine's clocks before the time server was heard: ``behind`` real time."""

    def __init__(self, behind: timedelta) -> None:
        self.behind = behind

    def now(self) -> datetime:
        return super().now() - self.behind


def test_a_restart_is_corrected_too(open_store: OpenStore, path: Path) -> None:
    clock = StaleBoot(behind=timedelta(days=40))
    store = open_store(clock=clock)
    store.record(visit(clock.monotonic()))
    store.close()

    open_store(clock=SystemClock()).close()
    ((ended, _),) = visits(path)
    assert abs(datetime.now(timezone.utc) - ended) < timedelta(seconds=30)


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.floats(0.1, 4000), st.floats(-90_000, 90_000).filter(lambda jump: abs(jump) > 3), st.booleans()),
        max_size=8,
    )
)
def test_no_jump_loses_a_count(tmp_path_factory: Any, steps: list[tuple[float, float, bool]]) -> None:
    path = tmp_path_factory.mktemp("jumps") / "counts.db"
    clock = ManualClock(START)
    store = CountStore(path, 5.0, 31, clock)
    ends = []
    for wait, jump, tick in steps:
        clock.advance(wait)
        store.record(visit(clock.monotonic(), BARE))
        store.add_frames(7)
        ends.append(clock.monotonic())
        if tick:
            clock.advance(6)
            store.tick()
        clock.jump(jump)
    store.tick()
    store.close()

    boot = clock.now() - timedelta(seconds=clock.monotonic())
    true = [boot + timedelta(seconds=end) for end in ends]
    assert [moment.timestamp() for moment, _ in visits(path)] == pytest.approx([m.timestamp() for m in true], abs=2.0)
    found = [moment for moment, _ in visits(path)]
    assert hourly(path) == {
        hour: sum(f"{moment:%d %H}:00" == hour for moment in found) for hour in {f"{m:%d %H}:00" for m in found}
    }
    frames, uptime = rows(path, "SELECT SUM(frames), SUM(uptime) FROM hours")[0]
    assert frames == 7 * len(steps)
    assert uptime == pytest.approx(clock.monotonic())


def test_a_wrong_clock_deletes_nothing(open_store: OpenStore, path: Path, clock: ManualClock) -> None:
    store = open_store()
    store.record(visit(0.0))
    store.close()
    future = ManualClock(START + timedelta(days=9000))
    store = open_store(clock=future)
    future.advance(300)
    store.record(visit(300.0))
    future.advance(10)
    store.tick()
    assert len(visits(path)) == 2
