"""Whether the clock is set, as far as this process may know."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge import clock
from edge.clock import clock_is_set


@pytest.mark.parametrize(("state", "is_set"), [(0, True), (1, True), (5, False)])
def test_the_kernel_is_asked(state: int, is_set: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(clock, "_kernel_clock_state", lambda: state)
    assert clock_is_set(tmp_path) is is_set


def test_services_ask_timesyncd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(clock, "_kernel_clock_state", lambda: -1)
    assert clock_is_set(tmp_path) is None
    (tmp_path / "run/systemd/timesync").mkdir(parents=True)
    assert clock_is_set(tmp_path) is False
    (tmp_path / "run/systemd/timesync/synchronized").touch()
    assert clock_is_set(tmp_path) is True
