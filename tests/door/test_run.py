"""``maskgate run``: the loop over a recording, what is counted, and what it does when a part fails."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge import cli
from edge.alerts.state import OutputState
from edge.config import load
from edge.control import Commands, Mute, Restart, Stop, TryOutput
from edge.door import wiring as daemon
from edge.door.wiring import Options
from edge.errors import StoreError
from edge.messages import translated
from edge.sinks.counts import database, keeper
from edge.sinks.counts.store import CountStore
from edge.sinks.together import Sinks
from edge.status import Status
from edge.values import Face, Frame
from tests.door.fake_door import (
    BARE,
    DRIVER,
    MASKED,
    NOBODY,
    Doorway,
    FakeAlert,
    FakePipeline,
    lines,
    live,
    picture,
    run,
    stop_timeout,
    stored_visits,
)


class TestRecording:
    def test_the_event_log_ends_with_summary(self, clip: Path, store: Path, tmp_path: Path, alert: FakeAlert) -> None:
        log = tmp_path / "events.jsonl"
        assert run(clip, store, events=str(log)) == 0
        *events, summary = lines(log)
        assert [(event["event"], event["person"], event.get("verdict")) for event in events] == [
            ("visit_started", 1, None),
            ("verdict", 1, "with_mask"),
            ("visit_ended", 1, "with_mask"),
            ("visit_started", 2, None),
            ("verdict", 2, "without_mask"),
            ("alert_on", 2, "without_mask"),
            ("visit_ended", 2, "without_mask"),
            ("alert_off", 2, "without_mask"),
        ]
        counted = {"visits": 2, "with_mask": 1, "without_mask": 1, "mask_worn_incorrectly": 0, "unsure": 0}
        assert summary == {"event": "summary", "frames": 100, "fps": summary["fps"], "dropped": 0} | counted
        assert list(summary)[:4] == ["event", "frames", "fps", "dropped"]
        assert summary["fps"] > 0

    def test_times_follow_the_scene(self, clip: Path, store: Path, tmp_path: Path, alert: FakeAlert) -> None:
        log = tmp_path / "events.jsonl"
        began = datetime.now(timezone.utc)
        run(clip, store, events=str(log))
        started = [event for event in lines(log) if event["event"] == "visit_started"]
        moments = [datetime.fromisoformat(event["time"].replace("Z", "+00:00")) for event in started]
        assert (moments[1] - moments[0]).total_seconds() == pytest.approx(5.0, abs=0.01)
        assert 1.0 <= (moments[0] - began).total_seconds() < 6.0

    def test_each_visit_is_stored_once(self, clip: Path, store: Path, alert: FakeAlert) -> None:
        run(clip, store)
        assert stored_visits(store) == ["with_mask", "without_mask"]

    def test_lamps_follow_the_verdicts(self, clip: Path, store: Path, alert: FakeAlert) -> None:
        run(clip, store)
        assert alert.told == ["welcome on", "welcome off", "alarm on", "alarm off", "closed"]

    def test_max_frames_counts_open_visits(self, clip: Path, store: Path, tmp_path: Path, alert: FakeAlert) -> None:
        run(clip, store, events=str(tmp_path / "events.jsonl"), max_frames=25)
        summary = lines(tmp_path / "events.jsonl")[-1]
        assert (summary["frames"], summary["visits"], summary["with_mask"]) == (25, 1, 1)

    def test_events_have_standard_output_alone(
        self, clip: Path, store: Path, alert: FakeAlert, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert run(clip, store, events="-") == 0
        output, other = capfd.readouterr()
        assert [json.loads(line)["event"] for line in output.splitlines()][-1] == "summary"
        assert "person 2: no mask - ALERT" in other
        assert "Visits   2: with mask 1, no mask 1, badly worn 0, unsure 0" in other
        assert "Alerts: a lamp made for this test." in other

    def test_quiet_prints_nothing(
        self, clip: Path, store: Path, alert: FakeAlert, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert run(clip, store, quiet=True) == 0
        assert capfd.readouterr() == ("", "")

    def test_a_folder_runs_to_its_end(self, store: Path, tmp_path: Path, alert: FakeAlert) -> None:
        folder = tmp_path / "stills"
        folder.mkdir()
        for number in range(12):
            cv2.imwrite(str(folder / f"{number:02}.png"), picture(BARE if 2 <= number < 8 else NOBODY))
        assert run(folder, store) == 0
        assert stored_visits(store) == ["without_mask"]

    def test_very_large_frames_warn_once(
        self,
        store: Path,
        tmp_path: Path,
        alert: FakeAlert,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        folder = tmp_path / "stills"
        folder.mkdir()
        for number in range(2):
            cv2.imwrite(str(folder / f"{number}.png"), np.full((1600, 2000, 3), NOBODY, np.uint8))
        monkeypatch.setattr(FakePipeline, "input_size", lambda *_: (320, 256))
        assert run(folder, store) == 0
        assert caplog.text.count("sends frames of 2000x1600") == 1


class TestWhatIsOnlyTried:
    def test_a_recording_is_not_counted(
        self, clip: Path, store: Path, alert: FakeAlert, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert run(clip, store, count=False) == 0
        assert not store.exists()
        said = capfd.readouterr().out
        assert "This is a recording: its visits are not counted (--count counts them)." in said
        assert "(a recording: not counted)" in said

    @pytest.mark.parametrize(("option", "told"), [({"web.port": 8080}, 1), ({"web.host": "127.0.0.1"}, 1), ({}, 0)])
    @pytest.mark.usefixtures("alert")
    def test_pages_asked_for_in_vain_are_told(
        self, option: dict[str, Any], told: int, clip: Path, store: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        overrides = {"camera.source": str(clip), "counts.path": store, **option}
        settings = load(environment={"HOME": str(store.parent)}, overrides=overrides)
        assert daemon.run(settings, Options(max_frames=3)) == 0
        assert capfd.readouterr().out.count("No pages: ") == told

    def test_nor_is_the_demo(self, store: Path, alert: FakeAlert, capfd: pytest.CaptureFixture[str]) -> None:
        settings = load(environment={"HOME": str(store.parent)}, overrides={"camera.source": "demo"})
        assert daemon.run(settings, Options(max_frames=3)) == 0
        assert "This is a demo: its visits are not counted" in capfd.readouterr().out
        assert not list(store.parent.rglob("counts.db"))

    @pytest.mark.usefixtures("alert")
    def test_one_option_counts_all(self, clip: Path, store: Path) -> None:
        words = ["run", "--quiet", "--source", str(clip), "--count"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MASKGATE_COUNTS_PATH", str(store))
            assert cli.main(words) == 0
        assert stored_visits(store) == ["with_mask", "without_mask"]

    def test_output_tests_are_no_events(
        self, doorway: Doorway, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alert: FakeAlert
    ) -> None:
        tried: list[str] = []
        commands = Commands()
        monkeypatch.setattr(daemon, "Commands", lambda: commands)
        monkeypatch.setattr(type(alert), "outputs", (OutputState("buzzer", "a buzzer"),))
        monkeypatch.setattr(type(alert), "try_output", lambda self, kind: tried.append(kind))
        answers: list[str] = []

        def operate() -> None:
            answers.append(commands.ask(Mute(30)).result(timeout=5))
            answers.append(commands.ask(TryOutput("buzzer")).result(timeout=5))
            commands.ask(Restart())

        doorway.scene = MASKED
        code, events = live(store, tmp_path / "log", ("verdict", operate))
        assert answers == ["Buzzer and sound are muted for 30 s.", "Tried: a buzzer."]
        assert tried == ["buzzer"]
        assert events == ["visit_started", "verdict", "operator", "visit_ended", "summary"], "the mute, not the test"
        assert code == daemon.RESTART


class TestWhenSomethingFails:
    @pytest.mark.usefixtures("alert")
    def test_a_broken_page_file_is_said_to_operators(
        self, clip: Path, store: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.parent.mkdir(parents=True, exist_ok=True)
        store.with_name("page.toml").write_text("[web")
        shown: list[Status] = []
        show = Sinks.show

        def noted(sinks: Sinks, status: Status, now: float) -> None:
            shown.append(status)
            show(sinks, status, now)

        monkeypatch.setattr(Sinks, "show", noted)
        assert run(clip, store, max_frames=1) == 0
        (trouble,) = shown[-1].troubles
        assert trouble.startswith("The settings from the operator page are not used: ")
        assert "Ils ont été mis de côté" in translated(trouble, "fr")

    def test_a_newer_store_stops_no_door(
        self, clip: Path, store: Path, alert: FakeAlert, caplog: pytest.LogCaptureFixture
    ) -> None:
        run(clip, store, max_frames=1)
        with sqlite3.connect(store) as connection:
            connection.execute("PRAGMA user_version = 77")
        before = store.read_bytes()
        assert run(clip, store) == StoreError.exit_code
        assert "from a newer maskgate" in caplog.text
        assert "2 visits were not written" in caplog.text
        assert "alarm on" in alert.told
        assert store.read_bytes() == before

    @pytest.mark.usefixtures("alert")
    def test_hanging_parts_are_left_behind(
        self, clip: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
    ) -> None:
        hung = threading.Event()
        monkeypatch.setattr(CountStore, "close", lambda self: hung.wait(60))
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        commands = Commands()
        monkeypatch.setattr(daemon, "Commands", lambda: commands)
        threading.Timer(1.0, commands.ask, [Stop()]).start()
        began = time.monotonic()
        code = run(clip, store, events=str(pipe), realtime=True)
        took = time.monotonic() - began
        hung.set()
        assert code == StoreError.exit_code
        assert took < stop_timeout() - 2
        assert "left behind: " in caplog.text or "does not answer" in caplog.text

    def test_full_event_logs_stop_nothing(
        self, clip: Path, store: Path, alert: FakeAlert, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert run(clip, store, events="/dev/full") == StoreError.exit_code
        assert caplog.text.count("No space left on device") == 1
        assert "alarm on" in alert.told
        assert stored_visits(store) == ["with_mask", "without_mask"]

    def test_unwritable_event_logs_are_refused_early(
        self, clip: Path, store: Path, tmp_path: Path, alert: FakeAlert
    ) -> None:
        with pytest.raises(StoreError, match=r"Cannot write events to .*nowhere/events"):
            run(clip, store, events=str(tmp_path / "nowhere" / "events.jsonl"))

    def test_unwritable_counts_keep_alerts(
        self, clip: Path, tmp_path: Path, alert: FakeAlert, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").write_text("in the way")
        code = run(clip, tmp_path / "file" / "counts.db")
        assert code == StoreError.exit_code
        assert caplog.text.count("Counts cannot be written") <= 2
        assert "2 visits were not written" in caplog.text
        assert "alarm on" in alert.told

    def test_full_disks_keep_alerts(
        self, clip: Path, full_disk: Path, alert: FakeAlert, caplog: pytest.LogCaptureFixture
    ) -> None:
        code = run(clip, full_disk / "counts.db", events=str(full_disk / "events.jsonl"))
        assert code == StoreError.exit_code
        assert "Counts cannot be written" in caplog.text
        assert "2 visits were not written" in caplog.text
        assert "9 events were not written" in caplog.text
        assert "alarm on" in alert.told

    def test_slow_disks_delay_only_counts(
        self, clip: Path, store: Path, alert: FakeAlert, monkeypatch: pytest.MonkeyPatch, caplog: Any
    ) -> None:
        answers, real = threading.Event(), database.open_for_writing

        def open_slowly(path: Path) -> sqlite3.Connection:
            assert answers.wait(20)
            return real(path)

        class Answering(FakeAlert):
            def alarm(self, on: bool) -> None:
                answers.set()

        monkeypatch.setattr(database, "open_for_writing", open_slowly)
        monkeypatch.setattr(keeper, "OPEN_WITHIN", 0.1)
        monkeypatch.setattr(daemon, "open_alert", lambda settings: Answering())
        assert run(clip, store) == 0
        assert "The disk with the counts does not answer" in caplog.text
        assert stored_visits(store) == ["with_mask", "without_mask"]

    def test_unexpected_errors_switch_everything_off(
        self, clip: Path, store: Path, alert: FakeAlert, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Broken(FakePipeline):
            def detect(self, frame: Frame) -> list[Face]:
                raise ZeroDivisionError

        monkeypatch.setattr(daemon, "load_pipeline", lambda config, live: Broken())
        with pytest.raises(ZeroDivisionError):
            run(clip, store)
        assert alert.told == ["closed"]

    def test_a_full_disk_keeps_no_door_from_opening(self, clip: Path, store: Path) -> None:
        nowhere = "import tempfile; tempfile._candidate_tempdir_list = lambda: ['/sys']"
        start = f"{nowhere}; from edge.cli import program; program()"
        done = subprocess.run(
            [sys.executable, "-c", start, "run", "--source", "demo", "--max-frames", "3"],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"MASKGATE_COUNTS_PATH": str(store)},
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "Frames   3" in done.stdout

    def test_departed_readers_end_the_run(self, clip: Path, store: Path) -> None:
        command = f"{DRIVER} run --source {clip} --events - | head -n 1; echo ${{PIPESTATUS[0]}}"
        environment = os.environ | {"MASKGATE_COUNTS_PATH": str(store), "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, check=True, env=environment, timeout=60
        )
        first, code = done.stdout.splitlines()
        assert json.loads(first)["event"] == "visit_started"
        assert code == "0"
        assert "Traceback" not in done.stderr
        assert "BrokenPipe" not in done.stderr
