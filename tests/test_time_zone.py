"""A time zone that was mistyped stops nothing: local times are UTC, and this is said."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from edge import cli, time_zone


@pytest.fixture(autouse=True)
def _own_zone() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", os.environ.get("TZ", ""))
        yield
    time.tzset()


def settled(zone: str) -> str | None:
    os.environ["TZ"] = zone
    time.tzset()
    return time_zone.settle()


@pytest.mark.parametrize("zone", ["XXX-30", "AAA+100", "<+30>-30", "XXX-24:30"])
def test_a_day_away_is_no_zone(zone: str) -> None:
    assert settled(zone) == (
        f"TZ={zone!r} is a day or more away from UTC, so local times are UTC; name a zone such as Europe/Berlin."
    )
    assert datetime.now().astimezone().tzname() == "UTC"


@pytest.mark.parametrize("zone", ["Europe/Berln", ":Mars", "../../etc", "/", "a\\b"])
def test_names_that_are_unknown_are_said(zone: str) -> None:
    assert "is not a time zone that this system knows" in str(settled(zone))


@pytest.mark.parametrize("zone", ["", "UTC", "Etc/UTC", ":UTC", "GMT", "CET-1CEST", "XXX-3", "<+05>-5", "UTC0"])
def test_zones_are_left_alone(zone: str) -> None:
    assert settled(zone) is None
    assert os.environ["TZ"] == zone


def test_commands_go_on(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XXX-30")
    time.tzset()
    assert cli.main(["config", "--json"]) == 0
    assert "so local times are UTC" in capsys.readouterr().err
