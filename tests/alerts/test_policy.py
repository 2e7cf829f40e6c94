"""The alert policy: when the alarm sounds, when it keeps silent, and when the relay lets in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest

from edge.alerts import Alert
from edge.alerts.policy import AlertPolicy
from edge.alerts.quiet import QuietHours
from edge.config import AlertSettings, load
from edge.errors import ConfigError
from edge.values import BBox, Event, EventKind, Person, Verdict
from tests.stand_ins.clock import ManualClock

BARE, BADLY, MASKED, UNSURE = (
    Verdict.WITHOUT_MASK,
    Verdict.MASK_WORN_INCORRECTLY,
    Verdict.WITH_MASK,
    Verdict.UNSURE,
)


class Recorder(Alert):
    """An output that remembers what it was told; a test presses its button and breaks it."""

    name = "recorder"

    def __init__(self) -> None:
        self.said: list[tuple[str, bool]] = []
        self.presses = 0
        self.broken: str | None = None

    @property
    def trouble(self) -> str | None:
        return self.broken

    def hush(self, on: bool) -> None:
        self.said.append(("hush", on))

    def relay(self, on: bool) -> None:
        self.said.append(("relay", on))

    def pressed(self) -> bool:
        self.presses, presses = 0, self.presses
        return presses > 0

    def alarm(self, on: bool) -> None:
        self.said.append(("alarm", on))

    def welcome(self, on: bool) -> None:
        self.said.append(("welcome", on))

    def close(self) -> None:
        self.said.append(("close", True))


def person(number: int, verdict: Verdict) -> Person:
    return Person(number, BBox(0, 0, 80, 100), verdict, 0.0, 0.0)


def ended(number: int, at: float) -> Event:
    return Event(EventKind.VISIT_ENDED, at, number, BARE, 1.0)


@pytest.fixture
def output() -> Recorder:
    return Recorder()


@pytest.fixture
def policy(output: Recorder) -> AlertPolicy:
    return AlertPolicy(AlertSettings(duration=3.0, refractory=5.0), output)


@pytest.mark.parametrize("verdict", [BARE, BADLY])
def test_alarm_starts_in_the_same_update(policy: AlertPolicy, output: Recorder, verdict: Verdict) -> None:
    events = policy.update([], [person(7, verdict)], at=10.0)

    assert output.said == [("alarm", True)]
    assert events == [Event(EventKind.ALERT_ON, 10.0, 7, verdict)]


@pytest.mark.parametrize("verdict", [MASKED, UNSURE])
def test_harmless_verdicts_raise_no_alarm(policy: AlertPolicy, output: Recorder, verdict: Verdict) -> None:
    assert policy.update([], [person(1, verdict)], at=10.0) == []
    assert ("alarm", True) not in output.said


def test_one_alarm_per_person(policy: AlertPolicy, output: Recorder) -> None:
    log = [policy.update([], [person(1, BARE)], at=at / 10) for at in range(300)]

    events = [event for events in log for event in events]
    assert [(event.kind, event.at) for event in events] == [(EventKind.ALERT_ON, 0.0), (EventKind.ALERT_OFF, 3.0)]
    assert events[1].seconds == 3.0
    assert output.said == [("alarm", True), ("alarm", False)]


def test_masking_up_stops_the_alarm(policy: AlertPolicy, output: Recorder) -> None:
    policy.update([], [person(1, BARE)], at=0.0)
    (off,) = policy.update([], [person(1, MASKED)], at=1.0)

    assert (off.kind, off.person, off.seconds) == (EventKind.ALERT_OFF, 1, 1.0)
    assert output.said == [("alarm", True), ("alarm", False), ("welcome", True)]


def test_leaving_stops_the_alarm(policy: AlertPolicy, output: Recorder) -> None:
    policy.update([], [person(1, BARE)], at=0.0)
    policy.update([ended(1, 1.0)], [], at=1.0)

    assert output.said == [("alarm", True), ("alarm", False)]


def test_badly_worn_keeps_the_alarm_on(policy: AlertPolicy, output: Recorder) -> None:
    policy.update([], [person(1, BARE)], at=0.0)
    assert policy.update([], [person(1, BADLY)], at=1.0) == []
    assert output.said == [("alarm", True)]


def test_one_alarm_per_visit(policy: AlertPolicy, output: Recorder) -> None:
    for at, verdict in [(0.0, BARE), (1.0, MASKED), (20.0, BARE)]:
        policy.update([], [person(1, verdict)], at=at)

    assert output.said.count(("alarm", True)) == 1


def test_second_person_waits_for_the_pause(policy: AlertPolicy, output: Recorder) -> None:
    both = [person(1, BARE), person(2, BARE)]
    starts = [
        (event.person, event.at)
        for tick in range(200)
        for event in policy.update([], both, at=tick / 10)
        if event.kind is EventKind.ALERT_ON
    ]

    assert starts == [(1, 0.0), (2, 5.0)]


@pytest.mark.parametrize("there", [[], [person(2, MASKED)]])
def test_waiting_alarm_can_lapse(policy: AlertPolicy, output: Recorder, there: list[Person]) -> None:
    policy.update([], [person(1, BARE)], at=0.0)
    policy.update([], [person(1, BARE), person(2, BARE)], at=1.0)
    policy.update([ended(1, 4.0)], there, at=4.0)
    policy.update([], there, at=6.0)

    assert output.said.count(("alarm", True)) == 1


def test_queue_of_people_does_not_stutter(policy: AlertPolicy, output: Recorder) -> None:
    for number in range(1, 11):
        policy.update([], [person(number, BARE)], at=number * 1.0)
        policy.update([ended(number, number + 0.9)], [], at=number + 0.9)

    assert output.said.count(("alarm", True)) == 2


def test_green_light_waits_for_the_alarm(policy: AlertPolicy, output: Recorder) -> None:
    policy.update([], [person(1, MASKED)], at=0.0)
    policy.update([], [person(1, MASKED), person(2, BARE)], at=1.0)
    assert output.said == [("welcome", True), ("welcome", False), ("alarm", True)]

    policy.update([ended(2, 2.0)], [person(1, MASKED)], at=2.0)
    policy.update([ended(1, 3.0)], [], at=3.0)
    assert output.said[3:] == [("alarm", False), ("welcome", True), ("welcome", False)]


def test_odd_times_do_no_harm(policy: AlertPolicy, output: Recorder) -> None:
    for at in (5.0, 5.0, 3.0, 5.0):
        policy.update([], [person(1, BARE)], at=at)

    assert output.said == [("alarm", True)]


def test_closing_the_policy_closes_its_output(policy: AlertPolicy, output: Recorder) -> None:
    policy.update([], [person(1, BARE)], at=0.0)
    policy.close()
    assert output.said[-1] == ("close", True)


def seen(output: Recorder, what: str) -> list[bool]:
    """What one part of the output was told, in order."""
    return [on for part, on in output.said if part == what]


class TestMuteButton:
    @pytest.fixture
    def policy(self, output: Recorder) -> AlertPolicy:
        return AlertPolicy(AlertSettings(mute_for=60.0), output)

    def test_press_mutes_sound_not_lamp(self, policy: AlertPolicy, output: Recorder) -> None:
        policy.update([], [person(1, BARE)], at=0.0)
        output.presses = 1
        policy.update([], [person(1, BARE)], at=0.5)

        assert output.said == [("alarm", True), ("hush", True)]
        assert policy.hushed
        assert policy.sounding

    def test_while_muted_an_alarm_starts_silently(self, policy: AlertPolicy, output: Recorder) -> None:
        output.presses = 1
        policy.update([], [person(1, BARE)], at=0.0)
        assert output.said == [("hush", True), ("alarm", True)]

    def test_it_ends_by_itself(self, policy: AlertPolicy, output: Recorder) -> None:
        output.presses = 1
        for at in (0.0, 59.9, 60.0, 61.0):
            policy.update([], [], at=at)
        assert output.said == [("hush", True), ("hush", False)]

    def test_presses_toggle_the_mute(self, policy: AlertPolicy, output: Recorder) -> None:
        for at in (0.0, 10.0, 20.0):
            output.presses = 1
            policy.update([], [], at=at)
        policy.update([], [], at=79.9)
        assert seen(output, "hush") == [True, False, True]
        policy.update([], [], at=80.0)
        assert seen(output, "hush") == [True, False, True, False]


@pytest.fixture
def paris(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine in Paris: an hour ahead of UTC in winter, two in summer."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


@pytest.mark.usefixtures("paris")
class TestQuietHours:
    @pytest.mark.parametrize(
        ("moment", "quiet"),
        [
            ("2026-01-10T20:59", False),
            ("2026-01-10T21:00", True),
            ("2026-01-10T23:30", True),
            ("2026-01-11T05:29", True),
            ("2026-01-11T05:30", False),
            ("2026-07-10T20:00", True),
            ("2026-07-10T04:30", False),
        ],
    )
    def test_local_time_counts_over_midnight(self, moment: str, quiet: bool) -> None:
        hours = QuietHours.parse("22:00-06:30")
        assert hours is not None
        assert hours.at(utc(moment)) is quiet

    @pytest.mark.parametrize(
        ("moment", "quiet"), [("11:59", False), ("12:00", True), ("12:59", True), ("13:00", False)]
    )
    def test_within_a_day(self, moment: str, quiet: bool) -> None:
        hours = QuietHours.parse("13:00 - 14:00")
        assert hours is not None
        assert hours.at(utc(f"2026-01-10T{moment}")) is quiet

    def test_unset_clock_mutes_nothing(self) -> None:
        hours = QuietHours.parse("00:00-23:59")
        assert hours is not None
        assert not hours.at(utc("1970-01-01T02:00"))
        assert hours.at(utc("2026-01-10T02:00"))

    def test_sound_is_muted_lamps_light(self, output: Recorder) -> None:
        clock = ManualClock(utc("2026-01-10T22:00"))
        policy = AlertPolicy(AlertSettings(quiet_hours="22:00-06:30"), output, clock)
        policy.update([], [person(1, BARE)], at=0.0)
        policy.update([], [person(1, MASKED)], at=1.0)
        assert output.said == [("hush", True), ("alarm", True), ("alarm", False), ("welcome", True)]

    def test_clock_changes_are_followed(self, output: Recorder) -> None:
        clock = ManualClock(utc("2026-01-10T20:59:59"))
        policy = AlertPolicy(AlertSettings(quiet_hours="22:00-06:30"), output, clock)
        told = []
        for seconds in (1.0, 8.5 * 3600, 0.0):
            policy.update([], [], at=clock.monotonic())
            told.append(policy.hushed)
            clock.advance(seconds)
        clock.jump(-3600)
        policy.update([], [], at=clock.monotonic())
        assert [*told, policy.hushed] == [False, True, False, True]

    def test_presses_do_not_end_them(self, output: Recorder) -> None:
        clock = ManualClock(utc("2026-01-10T22:00"))
        policy = AlertPolicy(AlertSettings(quiet_hours="22:00-06:30"), output, clock)
        for at in (0.0, 1.0):
            output.presses = 1
            policy.update([], [], at=at)
        assert seen(output, "hush") == [True]

    @pytest.mark.parametrize("text", ["22-6", "22:00", "10pm-6am", "25:00-06:00", "22:60-06:00", "08:00-08:00", "x"])
    def test_nonsense_is_refused_with_its_key(self, text: str) -> None:
        with pytest.raises(ConfigError, match=rf"alerts\.quiet_hours = '{text}' is wrong: "):
            load(environment={"MASKGATE_ALERTS_QUIET_HOURS": text})

    def test_empty_text_means_never(self) -> None:
        assert load(environment={}).config.alerts.quiet_hours == ""


class TestRelayThatLetsIn:
    @pytest.fixture
    def policy(self, output: Recorder) -> AlertPolicy:
        return AlertPolicy(AlertSettings(relay_pin=23, relay_for=5.0), output)

    def test_masked_person_opens_the_relay(self, policy: AlertPolicy, output: Recorder) -> None:
        switched = []
        for tick in range(100):
            policy.update([], [person(1, MASKED)], at=tick / 10)
            switched.append(seen(output, "relay")[-1])
        assert switched == [True] * 50 + [False] * 50

    @pytest.mark.parametrize("verdict", [BARE, BADLY, UNSURE])
    def test_nobody_else_is(self, policy: AlertPolicy, output: Recorder, verdict: Verdict) -> None:
        policy.update([], [person(1, verdict)], at=0.0)
        policy.update([], [], at=1.0)
        assert True not in seen(output, "relay")

    @pytest.mark.parametrize("verdict", [BARE, BADLY])
    def test_unmasked_person_releases_the_relay(self, policy: AlertPolicy, output: Recorder, verdict: Verdict) -> None:
        policy.update([], [person(1, MASKED)], at=0.0)
        policy.update([], [person(1, MASKED), person(2, verdict)], at=1.0)
        assert seen(output, "relay") == [True, False]

    def test_full_time_after_unmasked_left(self, policy: AlertPolicy, output: Recorder) -> None:
        both = [person(1, MASKED), person(2, BARE)]
        for tick in range(200):
            policy.update([], both if tick < 100 else both[:1], at=tick / 10)
        assert seen(output, "relay") == [True, False]
        assert output.said.index(("relay", True)) > output.said.index(("alarm", True))

    def test_it_is_released_when_they_leave(self, policy: AlertPolicy, output: Recorder) -> None:
        policy.update([], [person(1, MASKED)], at=0.0)
        policy.update([ended(1, 1.0)], [person(1, MASKED)], at=1.0)
        assert seen(output, "relay") == [True, False]

    def test_flickering_verdicts_do_not_prolong(self, policy: AlertPolicy, output: Recorder) -> None:
        energised = []
        for tick in range(20):
            policy.update([], [person(1, UNSURE if tick % 2 else MASKED)], at=tick / 2)
            energised.append(seen(output, "relay")[-1])
        assert energised == [True, False] * 5 + [False] * 10

    def test_next_masked_person_opens_again(self, policy: AlertPolicy, output: Recorder) -> None:
        for tick in range(100):
            there = [person(1, MASKED), person(2, MASKED)][: 1 if tick < 40 else 2]
            policy.update([], there, at=tick / 10)
        assert seen(output, "relay") == [True, True, False]

    def test_unwired_relay_is_never_told(self, output: Recorder) -> None:
        AlertPolicy(AlertSettings(), output).update([], [person(1, MASKED)], at=0.0)
        assert seen(output, "relay") == []


def test_alarm_relay_ignores_the_mute(output: Recorder) -> None:
    policy = AlertPolicy(AlertSettings(relay_pin=23, relay="alarm", duration=3.0), output)
    for at in (0.0, 1.0, 3.0):
        output.presses = int(at == 1.0)
        policy.update([], [person(1, BARE), person(2, MASKED)], at=at)
    assert seen(output, "relay") == [True, False]


def test_output_trouble_is_reported_once(
    policy: AlertPolicy, output: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    output.broken = "The lamp is broken."
    events = [event for at in (0.0, 1.0, 2.0) for event in policy.update([], [person(1, BARE)], at=at)]
    assert caplog.messages == ["The lamp is broken. The other outputs still work."]
    assert policy.trouble == "The lamp is broken."
    assert [event.kind for event in events] == [EventKind.ALERT_ON]

    output.broken = None
    assert policy.trouble is None
