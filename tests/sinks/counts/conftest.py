"""A store that is closed at the end, on a clock that moves when told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.sinks.counts import CountStore
from tests.sinks.counts.helpers import START
from tests.stand_ins.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state/maskgate/counts.db"


@pytest.fixture
def open_store(path: Path, clock: ManualClock) -> Iterator[Callable[..., CountStore]]:
    opened: list[CountStore] = []

    def open_one(**changes: Any) -> CountStore:
        store = CountStore(**{"path": path, "commit_every": 5.0, "retention_days": 31, "clock": clock, **changes})
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store.close()
