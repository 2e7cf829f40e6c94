"""What others read by script, and what the operator reads."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from edge.door.systemd import is_journal
from edge.sinks.event_log import EventLog, SceneTime, Summary, open_file
from edge.sinks.outbox import CAPACITY, Outbox
from edge.sinks.terminal import Screen, describe
from edge.values import Event, EventKind, Verdict
from tests.stand_ins.clock import ManualClock

START = datetime(2025, 1, 31, 8, 15, 30, tzinfo=timezone.utc)


class Collector:
    """An unbuffered file that keeps what is written, a few bytes at a time as a pipe may take it."""

    def __init__(self) -> None:
        self.content = b""

    def write(self, data: bytes | memoryview) -> int:
        self.content += bytes(data[:7])
        return len(data[:7])

    def close(self) -> None:
        """Keep the content."""

    @property
    def text(self) -> str:
        return self.content.decode()


@pytest.fixture
def collector() -> Collector:
    return Collector()


@pytest.fixture
def outbox(collector: Collector) -> Outbox:
    return Outbox(collector, "a test", patient=True)  # type: ignore[arg-type]


@pytest.fixture
def unread_pipe() -> Iterator[Outbox]:
    """A live camera's outbox to a pipe that nobody reads, already full."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    yield Outbox(os.fdopen(writer, "wb", buffering=0), "a stalled pipe", patient=False)
    os.close(reader)


def written(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


class TestEventLog:
    def test_an_event_has_the_fields_of_the_contract(self, outbox: Outbox, collector: Collector) -> None:
        clock = ManualClock(START)
        log = EventLog(outbox, SceneTime(clock))
        log.write(Event(EventKind.VISIT_ENDED, 0.25, person=7, verdict=Verdict.WITHOUT_MASK, seconds=3.2))
        outbox.close()
        assert json.loads(collector.text) == {
            "event": "visit_ended",
            "time": "2025-01-31T08:15:30.250Z",
            "person": 7,
            "verdict": "without_mask",
            "seconds": 3.2,
        }

    def test_the_summary_is_the_last_line_with_exactly_its_keys_in_order(
        self, outbox: Outbox, collector: Collector
    ) -> None:
        totals = {Verdict.WITH_MASK: 9, Verdict.WITHOUT_MASK: 2, Verdict.MASK_WORN_INCORRECTLY: 1}
        EventLog(outbox, SceneTime(ManualClock())).finish(Summary(900, 37.344, 3, totals))
        assert collector.text == (
            '{"event": "summary", "frames": 900, "fps": 24.1, "dropped": 3, "visits": 12, "with_mask": 9,'
            ' "without_mask": 2, "mask_worn_incorrectly": 1, "unsure": 0}\n'
        )

    def test_a_run_without_a_frame_has_a_summary_too(self) -> None:
        assert Summary().fields()["fps"] == 0.0

    def test_events_reach_the_file_one_by_one_and_are_added_to_it(self, tmp_path: Path) -> None:
        path = tmp_path / "events.jsonl"
        path.write_text('{"event": "summary"}\n')
        log = EventLog(open_file(str(path), patient=True), SceneTime(ManualClock()))
        log.write(Event(EventKind.ALERT_ON, 1.0, person=1))
        deadline = time.monotonic() + 5
        while len(written(path)) < 2 and time.monotonic() < deadline:
            time.sleep(0.005)
        assert [line["event"] for line in written(path)] == ["summary", "alert_on"]
        log.finish(Summary())

    def test_a_clock_that_is_set_during_the_run_gives_right_times_from_then_on(self) -> None:
        clock = ManualClock(START)
        scene = SceneTime(clock)
        clock.advance(10)
        assert scene.wall(4.0) == START + timedelta(seconds=4)
        clock.jump(3600)
        assert scene.wall(4.0) == START + timedelta(seconds=3604)

    def test_a_recording_is_joined_to_the_moment_it_began_to_play(self) -> None:
        clock = ManualClock(START)
        clock.advance(100)
        scene = SceneTime(clock, start=clock.monotonic())
        assert scene.wall(60.0) == START + timedelta(seconds=160)
        assert scene.monotonic(60.0) == 160.0


class TestOutbox:
    def test_text_arrives_in_order_though_the_file_takes_it_in_pieces(
        self, outbox: Outbox, collector: Collector
    ) -> None:
        for number in range(50):
            outbox.put(f"line {number}\n")
        outbox.close()
        assert collector.text == "".join(f"line {number}\n" for number in range(50))
        assert outbox.lost == 0

    def test_a_full_disk_is_remembered_and_nothing_raises(self) -> None:
        outbox = open_file("/dev/full", patient=True)
        outbox.put("one\n")
        outbox.put("two\n")
        outbox.close()
        assert outbox.failure is not None
        assert outbox.failure.strerror == "No space left on device"
        assert outbox.lost == 2
        assert not outbox.reader_left

    def test_a_reader_who_leaves_is_told_from_a_failure(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        outbox = Outbox(os.fdopen(writer, "wb", buffering=0), "a pipe", patient=True)
        outbox.put("one\n")
        outbox.close()
        assert outbox.reader_left

    def test_a_reader_who_stalls_holds_up_neither_a_live_camera_nor_its_end(self, unread_pipe: Outbox) -> None:
        began = time.monotonic()
        for number in range(CAPACITY + 200):
            unread_pipe.put(f"{number}\n")
        assert time.monotonic() - began < 1.0
        assert 190 <= unread_pipe.lost <= 200
        unread_pipe.close()
        assert time.monotonic() - began < 6.0

    def test_a_recording_waits_for_a_slow_reader_and_loses_nothing(self) -> None:
        reader, writer = os.pipe()
        outbox = Outbox(os.fdopen(writer, "wb", buffering=0), "a slow pipe", patient=True)
        text = "x" * 199 + "\n"

        def produce() -> None:
            for _ in range(CAPACITY * 2):
                outbox.put(text)
            outbox.close()

        producer = threading.Thread(target=produce)
        producer.start()
        with os.fdopen(reader, "rb") as slow:
            time.sleep(0.1)
            assert len(slow.read()) == CAPACITY * 2 * len(text)
        producer.join()
        assert outbox.lost == 0


class TestScreen:
    def screen(self, outbox: Outbox, clock: ManualClock, terminal: bool = False, quiet: bool = False) -> Screen:
        return Screen(outbox, clock, terminal, quiet)

    def test_an_alert_stands_on_the_line_of_its_verdict(self, outbox: Outbox, collector: Collector) -> None:
        clock = ManualClock(START)
        screen = self.screen(outbox, clock)
        verdict = Event(EventKind.VERDICT, 0.0, person=3, verdict=Verdict.WITHOUT_MASK)
        alert = Event(EventKind.ALERT_ON, 0.0, person=3, verdict=Verdict.WITHOUT_MASK)
        screen.events([verdict, alert], SceneTime(clock))
        screen.events([alert], SceneTime(clock))
        outbox.close()
        when = START.astimezone().strftime("%H:%M:%S")
        assert collector.text == f"{when} person 3: no mask - ALERT\n" * 2

    def test_every_kind_of_event_has_words(self) -> None:
        for kind in set(EventKind) - {EventKind.SUMMARY}:
            assert describe(Event(kind, 0.0, person=1, verdict=Verdict.UNSURE, seconds=1.0))
        assert describe(Event(EventKind.CAMERA_LOST, 0.0, detail="unplugged.")) == "camera lost (unplugged.)"

    def test_on_a_terminal_one_line_is_rewritten_four_times_a_second(
        self, outbox: Outbox, collector: Collector
    ) -> None:
        clock = ManualClock()
        screen = self.screen(outbox, clock, terminal=True)
        for frame in range(40):
            clock.advance(0.05)
            screen.update(frame + 1, 0, 1, {Verdict.WITH_MASK: 2})
        outbox.close()
        assert "\n" not in collector.text
        assert collector.text.count("\r") == pytest.approx(8, abs=1)
        assert " 20.0 fps | 1 person in view | visits: with mask 2, no mask 0" in collector.text

    def test_elsewhere_a_line_is_added_every_ten_seconds(self, outbox: Outbox, collector: Collector) -> None:
        clock = ManualClock()
        screen = self.screen(outbox, clock)
        for frame in range(301):
            clock.advance(0.1)
            screen.update(frame + 1, 5, 2, {})
        outbox.close()
        first, *others = collector.text.splitlines()
        assert first.startswith(" 10.0 fps | 2 people in view | visits: with mask 0, no mask 0,")
        assert first.endswith("unsure 0 | 5 frames dropped")
        assert others == [first, first]

    def test_in_the_journal_which_stamps_lines_itself_an_event_is_a_bare_line_and_nothing_else_is(
        self, outbox: Outbox, collector: Collector
    ) -> None:
        clock = ManualClock()
        screen = Screen(outbox, clock, terminal=False, quiet=False, journal=True)
        clock.advance(60)
        screen.update(600, 0, 1, {})
        screen.events([Event(EventKind.VISIT_STARTED, 0.0, person=3)], SceneTime(clock))
        outbox.close()
        assert collector.text == "person 3: arrived\n"

    def test_the_journal_is_known_by_the_device_and_inode_that_systemd_names(self, tmp_path: Path) -> None:
        with (tmp_path / "journal").open("w") as journal, (tmp_path / "other").open("w") as other:
            status = os.fstat(journal.fileno())
            environment = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
            assert is_journal(journal, environment)
            assert not is_journal(other, environment)
            assert not is_journal(journal, {})

    def test_what_is_said_does_not_mix_with_the_live_line(self, outbox: Outbox, collector: Collector) -> None:
        clock = ManualClock()
        screen = self.screen(outbox, clock, terminal=True)
        clock.advance(1)
        screen.update(10, 0, 0, {})
        screen.say("person 1: arrived")
        screen.finish(Summary(10, 1.0, 0, {}))
        live, said, *_ = collector.text.split("\r\x1b[K")[1:]
        assert said == f"person 1: arrived\n{live}"
        assert collector.text.endswith("Visits   0: with mask 0, no mask 0, badly worn 0, unsure 0\n")

    def test_quiet_says_nothing(self, outbox: Outbox, collector: Collector) -> None:
        clock = ManualClock()
        screen = self.screen(outbox, clock, terminal=True, quiet=True)
        clock.advance(100)
        screen.say("hello")
        screen.update(1, 0, 0, {})
        screen.finish(Summary())
        assert collector.text == ""
