"""What others read by script, and what the operator reads."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from edge.clock import wall_time
from edge.sinks import outbox as outbox_module
from edge.sinks.event_log import EventLog, open_file
from edge.sinks.outbox import CAPACITY, Outbox
from edge.sinks.systemd import is_journal
from edge.sinks.terminal import Screen, describe
from edge.status import CameraState, SourceKind, Status, Summary
from edge.values import BBox, Event, EventKind, Person, Verdict
from tests.nonempty import some
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
    return Outbox(lambda: collector, "a test", patient=True)  # type: ignore[arg-type,return-value]


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
    yield Outbox(lambda: os.fdopen(writer, "wb", buffering=0), "a stalled pipe", patient=False)
    os.close(reader)


def written(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def status(
    frames: int,
    dropped: int,
    in_view: int,
    totals: Mapping[Verdict, int] | None = None,
    *,
    kind: SourceKind = SourceKind.CAMERA,
    counted: bool = True,
) -> Status:
    people = tuple(Person(number, BBox(0, 0, 9, 9), Verdict.UNSURE, 0.0, 0.0) for number in range(in_view))
    camera = CameraState("a camera", kind=kind)
    return Status(0.0, 0.0, camera, frames, dropped, people, totals or {}, counted=counted)


class TestEventLog:
    def test_events_keep_the_contract(self, outbox: Outbox, collector: Collector) -> None:
        clock = ManualClock(START)
        log = EventLog(outbox, clock)
        log.tell([Event(EventKind.VISIT_ENDED, 0.25, person=7, verdict=Verdict.WITHOUT_MASK, seconds=3.2)])
        outbox.close()
        assert json.loads(collector.text) == {
            "event": "visit_ended",
            "time": "2025-01-31T08:15:30.250Z",
            "person": 7,
            "verdict": "without_mask",
            "seconds": 3.2,
        }

    def test_the_summary_is_the_last_line(self, outbox: Outbox, collector: Collector) -> None:
        totals = {Verdict.WITH_MASK: 9, Verdict.WITHOUT_MASK: 2, Verdict.MASK_WORN_INCORRECTLY: 1}
        log = EventLog(outbox, ManualClock())
        log.finish(Summary(900, 37.344, 3, totals))
        log.close()
        assert collector.text == (
            '{"event": "summary", "frames": 900, "fps": 24.1, "dropped": 3, "visits": 12, "with_mask": 9,'
            ' "without_mask": 2, "mask_worn_incorrectly": 1, "unsure": 0}\n'
        )

    def test_empty_runs_have_a_summary(self) -> None:
        assert Summary().fields()["fps"] == 0.0

    def test_events_are_appended_one_by_one(self, tmp_path: Path) -> None:
        path = tmp_path / "events.jsonl"
        path.write_text('{"event": "summary"}\n')
        log = EventLog(open_file(str(path), patient=True), ManualClock())
        log.tell([Event(EventKind.ALERT_ON, 1.0, person=1)])
        deadline = time.monotonic() + 5
        while len(written(path)) < 2 and time.monotonic() < deadline:
            time.sleep(0.005)
        assert [line["event"] for line in written(path)] == ["summary", "alert_on"]
        log.finish(Summary())
        log.close()

    def test_set_clocks_give_right_times(self) -> None:
        clock = ManualClock(START)
        clock.advance(10)
        assert wall_time(clock, 4.0) == START + timedelta(seconds=4)
        clock.jump(3600)
        assert wall_time(clock, 4.0) == START + timedelta(seconds=3604)

    def test_a_torn_last_line_is_ended(self, tmp_path: Path) -> None:
        path = tmp_path / "events.jsonl"
        path.write_text('{"event": "summary"}\n{"event": "visit_st')
        log = EventLog(open_file(str(path), patient=True), ManualClock(START))
        log.tell([Event(EventKind.ALERT_ON, 1.0, person=1)])
        log.close()
        whole, torn, added = path.read_text().splitlines()
        assert json.loads(whole) == {"event": "summary"}
        assert torn == '{"event": "visit_st'
        assert json.loads(added)["event"] == "alert_on"

    @pytest.mark.parametrize("content", ["", '{"event": "summary"}\n'])
    def test_whole_files_get_no_empty_line(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "events.jsonl"
        path.write_text(content)
        log = EventLog(open_file(str(path), patient=True), ManualClock(START))
        log.finish(Summary())
        log.close()
        assert [line["event"] for line in written(path)] == ["summary"] * (1 + bool(content))

    def test_pipes_without_readers_block_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox_module, "FAREWELL", 0.2)
        path = tmp_path / "pipe"
        os.mkfifo(path)
        log = EventLog(open_file(str(path), patient=False), ManualClock(START))
        log.tell([Event(EventKind.ALERT_ON, 1.0, person=1)])
        log.close()
        assert log.incomplete

    def test_pipe_readers_get_every_line(self, tmp_path: Path) -> None:
        path = tmp_path / "pipe"
        os.mkfifo(path)
        read: list[str] = []
        reader = threading.Thread(target=lambda: read.extend(path.read_text().splitlines()))
        reader.start()
        log = EventLog(open_file(str(path), patient=False), ManualClock(START))
        log.finish(Summary())
        log.close()
        reader.join(10)
        assert json.loads(read[0])["event"] == "summary"
        assert not log.incomplete


class TestOutbox:
    def test_partial_writes_keep_order(self, outbox: Outbox, collector: Collector) -> None:
        for number in range(50):
            outbox.put(f"line {number}\n")
        outbox.close()
        assert collector.text == "".join(f"line {number}\n" for number in range(50))
        assert outbox.lost == 0

    def test_a_full_disk_raises_nothing(self) -> None:
        outbox = open_file("/dev/full", patient=True)
        outbox.put("one\n")
        outbox.put("two\n")
        outbox.close()
        assert outbox.failure is not None
        assert outbox.failure.strerror == "No space left on device"
        assert outbox.lost == 2
        assert not outbox.reader_left

    def test_a_leaving_reader_is_no_failure(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        outbox = Outbox(lambda: os.fdopen(writer, "wb", buffering=0), "a pipe", patient=True)
        outbox.put("one\n")
        outbox.close()
        assert outbox.reader_left

    def test_stalled_readers_block_no_camera(self, unread_pipe: Outbox) -> None:
        for number in range(CAPACITY + 200):
            unread_pipe.put(f"{number}\n")
        assert 190 <= unread_pipe.lost <= 200
        unread_pipe.close()
        assert unread_pipe.lost >= CAPACITY

    def test_recordings_wait_for_slow_readers(self) -> None:
        reader, writer = os.pipe()
        outbox = Outbox(lambda: os.fdopen(writer, "wb", buffering=0), "a slow pipe", patient=True)
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

    def test_alerts_share_their_verdicts_line(self, outbox: Outbox, collector: Collector) -> None:
        clock = ManualClock(START)
        screen = self.screen(outbox, clock)
        verdict = Event(EventKind.VERDICT, 0.0, person=3, verdict=Verdict.WITHOUT_MASK)
        alert = Event(EventKind.ALERT_ON, 0.0, person=3, verdict=Verdict.WITHOUT_MASK)
        screen.tell([verdict, alert])
        screen.tell([alert])
        outbox.close()
        when = START.astimezone().strftime("%H:%M:%S")
        assert collector.text == f"{when} person 3: no mask - ALERT\n" * 2

    def test_lines_are_in_order_of_time(self, outbox: Outbox, collector: Collector) -> None:
        screen = self.screen(outbox, ManualClock(START))
        screen.tell([Event(EventKind.VISIT_STARTED, 61.0, person=4)])
        ended = Event(EventKind.VISIT_ENDED, 60.0, person=3, verdict=Verdict.WITH_MASK, seconds=3.4)
        screen.tell([ended])
        screen.tell([Event(EventKind.VISIT_STARTED, 62.0, person=5)])
        outbox.close()
        when = [f"{START.astimezone() + timedelta(seconds=at):%H:%M:%S}" for at in (61, 61, 62)]
        assert collector.text.splitlines() == [
            f"{when[0]} person 4: arrived",
            f"{when[1]} person 3: left after 3.4 s, with mask",
            f"{when[2]} person 5: arrived",
        ]

    def test_every_kind_of_event_has_words(self) -> None:
        for kind in some(set(EventKind) - {EventKind.SUMMARY}):
            assert describe(Event(kind, 0.0, person=1, verdict=Verdict.UNSURE, seconds=1.0))
        assert describe(Event(EventKind.CAMERA_LOST, 0.0, detail="unplugged.")) == "camera lost (unplugged.)"

    def test_the_live_line_is_rewritten(self, outbox: Outbox, collector: Collector) -> None:
        clock = ManualClock()
        screen = self.screen(outbox, clock, terminal=True)
        for frame in range(40):
            clock.advance(0.05)
            screen.show(status(frame + 1, 0, 1, {Verdict.WITH_MASK: 2}))
        outbox.close()
        assert "\n" not in collector.text
        assert collector.text.count("\r") == pytest.approx(8, abs=1)
        assert " 20.0 fps | 1 person in view | visits: with mask 2, no mask 0" in collector.text

    def test_other_outputs_get_occasional_lines(self, outbox: Outbox, collector: Collector) -> None:
        clock = ManualClock()
        screen = self.screen(outbox, clock)
        for frame in range(301):
            clock.advance(0.1)
            screen.show(status(frame + 1, 5, 2))
        outbox.close()
        first, *others = collector.text.splitlines()
        assert first.startswith(" 10.0 fps | 2 people in view | visits: with mask 0, no mask 0,")
        assert first.endswith("unsure 0 | 5 frames dropped")
        assert others == [first, first]

    def test_journal_lines_are_bare_events(self, outbox: Outbox, collector: Collector) -> None:
        clock = ManualClock()
        screen = Screen(outbox, clock, terminal=False, quiet=False, journal=True)
        clock.advance(60)
        screen.show(status(600, 0, 1))
        screen.tell([Event(EventKind.VISIT_STARTED, 0.0, person=3)])
        outbox.close()
        assert collector.text == "person 3: arrived\n"

    def test_systemd_identifies_the_journal(self, tmp_path: Path) -> None:
        with (tmp_path / "journal").open("w") as journal, (tmp_path / "other").open("w") as other:
            status = os.fstat(journal.fileno())
            environment = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
            assert is_journal(journal, environment)
            assert not is_journal(other, environment)
            assert not is_journal(journal, {})

    def test_messages_and_live_line_stay_apart(self, outbox: Outbox, collector: Collector) -> None:
        clock = ManualClock()
        screen = self.screen(outbox, clock, terminal=True)
        clock.advance(1)
        screen.show(status(10, 0, 0))
        screen.say("person 1: arrived")
        screen.finish(Summary(10, 1.0, 0, {}))
        screen.close()
        live, said, *_ = collector.text.split("\r\x1b[K")[1:]
        assert said == f"person 1: arrived\n{live}"
        assert collector.text.endswith("Visits   0: with mask 0, no mask 0, badly worn 0, unsure 0\n")

    def test_quiet_says_nothing(self, outbox: Outbox, collector: Collector) -> None:
        clock = ManualClock()
        screen = self.screen(outbox, clock, terminal=True, quiet=True)
        clock.advance(100)
        screen.say("hello")
        screen.show(status(1, 0, 0))
        screen.finish(Summary())
        screen.close()
        assert collector.text == ""

    def test_the_demo_is_named(self, outbox: Outbox, collector: Collector) -> None:
        clock = ManualClock()
        screen = self.screen(outbox, clock, terminal=True)
        clock.advance(1)
        screen.show(status(10, 0, 0, kind=SourceKind.DEMO, counted=False))
        screen.finish(Summary(10, 1.0, 0, {}))
        screen.close()
        assert "demo |  10.0 fps" in collector.text
        assert collector.text.endswith("badly worn 0, unsure 0 (a demo: not counted)\n")
