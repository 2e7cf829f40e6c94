"""``maskgate run``: the loop, its ends, and what it does when a part fails."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from edge import cli
from edge.alerts import Alert
from edge.alerts.state import OutputState
from edge.cameras.choose import Choice
from edge.config import load
from edge.control import Commands, Mute, Restart, Stop, TryOutput
from edge.door import pace
from edge.door import wiring as daemon
from edge.door.pace import LEAST
from edge.door.wiring import Options
from edge.errors import CameraError, ConfigError, StoreError
from edge.sinks.counts import database, keeper
from edge.sinks.counts.store import CountStore
from edge.sinks.systemd import Notifier
from edge.sinks.window import Window
from edge.values import BBox, Face, Frame, Image, Reading, StageTimes

NOBODY, MASKED, BARE = (200, 0, 0), (0, 200, 0), (0, 0, 200)
FACE = Face(BBox(60, 40, 140, 120), 0.9)
FPS = 10


def picture(colour: tuple[int, int, int]) -> Image:
    return np.full((160, 200, 3), colour, np.uint8)


class FakePipeline:
    """Finds one face in pictures that are not blue; a green one is masked, a red one is bare."""

    times = StageTimes()
    runtime = "a runtime made for this test"
    trouble: str | None = None
    accelerated: bool | None = None

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        return width, height

    def detect(self, frame: Frame) -> list[Face]:
        return [] if frame.image[80, 100].argmax() == 0 else [FACE]

    def judge(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
        masked = image[80, 100].argmax() == 1
        return [Reading(face, (0.95, 0.04, 0.01) if masked else (0.02, 0.97, 0.01)) for face in faces]

    def close(self) -> None:
        """Nothing is held."""


class FakeAlert(Alert):
    """Remembers what it was told."""

    name = "a lamp made for this test"

    def __init__(self) -> None:
        self.told: list[str] = []

    def alarm(self, on: bool) -> None:
        self.told.append(f"alarm {'on' if on else 'off'}")

    def welcome(self, on: bool) -> None:
        self.told.append(f"welcome {'on' if on else 'off'}")

    def close(self) -> None:
        self.told.append("closed")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Ten seconds: nobody, a masked person for two seconds, nobody, a bare one for two seconds, nobody."""
    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), FPS, (200, 160))
    for colour, seconds in ((NOBODY, 1), (MASKED, 2), (NOBODY, 3), (BARE, 2), (NOBODY, 2)):
        for _ in range(seconds * FPS):
            writer.write(picture(colour))
    writer.release()
    return path


@pytest.fixture
def alert(monkeypatch: pytest.MonkeyPatch) -> FakeAlert:
    """The appliance with the fake pipeline and this alert output in place of its own."""
    output = FakeAlert()
    monkeypatch.setattr(daemon, "load_pipeline", lambda config, live: FakePipeline())
    monkeypatch.setattr(daemon, "open_alert", lambda settings: output)
    return output


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "counts.db"


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system without a byte to spare."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", place], capture_output=True, check=False)
    if mount.returncode != 0:
        pytest.skip("only root may mount")
    try:
        with contextlib.suppress(OSError):
            (place / "filler").write_bytes(bytes(2**20))
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def run(clip: Path, store: Path, count: bool = True, **options: Any) -> int:
    overrides = {"camera.source": str(clip), "counts.path": store, "counts.recordings": count}
    settings = load(environment={"HOME": str(store.parent)}, overrides=overrides)
    return daemon.run(settings, Options(**options))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def stored_visits(store: Path) -> list[str]:
    with sqlite3.connect(store) as connection:
        return [verdict for (verdict,) in connection.execute("SELECT verdict FROM visits ORDER BY started")]


def stop_timeout() -> float:
    """Seconds after which the unit's end is forced."""
    unit = (Path(__file__).parents[2] / "systemd/maskgate.service").read_text()
    return float(unit.partition("TimeoutStopSec=")[2].split()[0])


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


DRIVER = f"{sys.executable} -c 'from tests.door import test_run; test_run.main()'"


def main() -> None:
    """The command with the fake pipeline, as a process of its own."""
    daemon.load_pipeline = lambda config, live: FakePipeline()  # type: ignore[assignment,return-value]
    sys.exit(cli.main())


class Doorway:
    """A live camera at 50 frames a second whose scene a test sets; None hangs until the scene changes."""

    name = "doorway"
    live = True

    def __init__(self) -> None:
        self.scene: tuple[int, int, int] | None = NOBODY
        self.unplugged = False
        self._sequence = 0

    def read(self) -> Frame:
        if self.unplugged:
            raise CameraError("doorway: unplugged.")
        time.sleep(0.02)
        while self.scene is None:
            time.sleep(0.01)
        image = picture(self.scene)
        image[0, 0] = self._sequence % 251
        self._sequence += 1
        return Frame(image, time.monotonic(), self._sequence)

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def doorway(monkeypatch: pytest.MonkeyPatch) -> Doorway:
    camera = Doorway()

    def reopen() -> Doorway:
        if camera.unplugged:
            raise CameraError("doorway: still unplugged.")
        return camera

    monkeypatch.setattr(daemon, "open_camera", lambda settings, clock, size: Choice(camera, reopen, ()))
    return camera


class Script(threading.Thread):
    """Does things to a run while it runs, each as soon as what it waits for is in the events log."""

    def __init__(self, log: Path, *steps: tuple[str, Callable[[], object]]) -> None:
        super().__init__(daemon=True)
        self._log, self._steps = log, steps
        self.done = 0

    def run(self) -> None:
        deadline = time.monotonic() + 15
        for wanted, act in self._steps:
            while wanted not in self._said() and time.monotonic() < deadline:
                time.sleep(0.01)
            self.done += wanted in self._said()
            act()

    def _said(self) -> str:
        return self._log.read_text() if self._log.exists() else ""


def live(store: Path, log: Path, *steps: tuple[str, Callable[[], object]], **settings: Any) -> tuple[int, list[str]]:
    """Run at a doorway until the script's last step stops it; the exit code and the events."""
    script = Script(log, *steps)
    script.start()
    overrides = {"counts.path": store, "camera.stale_after": 0.3, "camera.reopen_after": 0.02} | settings
    code = daemon.run(load(environment={"HOME": str(store.parent)}, overrides=overrides), Options(events=str(log)))
    script.join()
    assert script.done == len(steps)
    return code, [line["event"] for line in lines(log)]


def stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def interrupt() -> Iterator[Callable[[], None]]:
    """Control-C, heeded also where the tests run in a shell's background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)


class TestLive:
    def test_signals_count_open_visits(self, doorway: Doorway, store: Path, tmp_path: Path, alert: FakeAlert) -> None:
        doorway.scene = BARE
        code, events = live(store, tmp_path / "log", ("alert_on", stop))
        assert code == 0
        assert events == ["visit_started", "verdict", "alert_on", "visit_ended", "alert_off", "summary"]
        assert alert.told == ["alarm on", "alarm off", "closed"]
        assert stored_visits(store) == ["without_mask"]

    @pytest.mark.usefixtures("alert")
    def test_keyboard_interrupts_end_it_too(
        self, doorway: Doorway, store: Path, tmp_path: Path, interrupt: Callable[[], None]
    ) -> None:
        doorway.scene = MASKED
        code, events = live(store, tmp_path / "log", ("verdict", interrupt))
        assert code == 0
        assert events[-1] == "summary"

    def test_lost_cameras_end_visits_and_alarm(
        self, doorway: Doorway, store: Path, tmp_path: Path, alert: FakeAlert
    ) -> None:
        doorway.scene = BARE

        def unplug() -> None:
            doorway.unplugged = True

        def plug_in() -> None:
            doorway.scene, doorway.unplugged = NOBODY, False

        code, events = live(
            store, tmp_path / "log", ("alert_on", unplug), ("camera_lost", plug_in), ("camera_back", stop)
        )
        assert code == 0
        assert events[2:] == ["alert_on", "camera_lost", "visit_ended", "alert_off", "camera_back", "summary"]
        assert alert.told[:2] == ["alarm on", "alarm off"]

    def test_covered_lenses_are_lost_cameras(
        self, doorway: Doorway, store: Path, tmp_path: Path, alert: FakeAlert
    ) -> None:
        doorway.scene = BARE

        def cover() -> None:
            doorway.scene = (0, 0, 0)

        def uncover() -> None:
            doorway.scene = NOBODY

        code, events = live(
            store,
            tmp_path / "log",
            ("alert_on", cover),
            ("camera_lost", uncover),
            ("camera_back", stop),
            **{"camera.dark_after": 0.3},
        )
        assert code == 0
        assert events[2:] == ["alert_on", "camera_lost", "visit_ended", "alert_off", "camera_back", "summary"]
        assert "is its lens covered, or the light off?" in (tmp_path / "log").read_text()

    def test_hanging_cameras_do_not_extend_alarms(
        self, doorway: Doorway, store: Path, tmp_path: Path, alert: FakeAlert
    ) -> None:
        doorway.scene = BARE

        def hang() -> None:
            doorway.scene = None

        _, events = live(
            store,
            tmp_path / "log",
            ("alert_on", hang),
            ("alert_off", stop),
            **{"alerts.duration": 0.4, "camera.stale_after": 30},
        )
        doorway.scene = NOBODY
        assert "camera_lost" not in events

    def test_throttled_boards_get_fewer_frames(
        self, doorway: Doorway, store: Path, alert: FakeAlert, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        taken: list[float] = []

        class Counting(FakePipeline):
            def detect(self, frame: Frame) -> list[Face]:
                taken.append(time.monotonic())
                return super().detect(frame)

        class Hot:
            slowed_by = ("heat",)

            def close(self) -> None:
                """Nothing looks."""

        def watch() -> None:
            deadline = time.monotonic() + 15
            while not (len(taken) > 4 and taken[-1] - taken[-4] >= 3 / LEAST) and time.monotonic() < deadline:
                time.sleep(0.01)
            stop()

        monkeypatch.setattr(daemon, "load_pipeline", lambda config, live: Counting())
        monkeypatch.setattr(daemon, "BoardWatch", Hot)
        monkeypatch.setattr(pace, "LOOK_EVERY", 0.2)
        watching = threading.Thread(target=watch)
        watching.start()
        overrides = {"counts.path": store, "camera.fps": 50.0, "face.idle_every": 0.0}
        assert daemon.run(load(environment={"HOME": str(store.parent)}, overrides=overrides), Options()) == 0
        watching.join()
        assert taken[-1] - taken[-4] >= 3 / LEAST
        assert taken[3] - taken[0] < 3 / LEAST

    def test_second_signals_interrupt_safely(
        self, doorway: Doorway, store: Path, alert: FakeAlert, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Stuck(FakePipeline):
            def detect(self, frame: Frame) -> list[Face]:
                stop()
                time.sleep(daemon.SAME_REQUEST + 0.1)
                stop()
                time.sleep(20)
                return []

        monkeypatch.setattr(daemon, "load_pipeline", lambda config, live: Stuck())
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            run(Path("doorway"), store)
        assert time.monotonic() - began < 10
        assert alert.told == ["closed"]

    def test_a_doubled_signal_is_one_request(
        self, doorway: Doorway, store: Path, tmp_path: Path, alert: FakeAlert
    ) -> None:
        doorway.scene = MASKED

        def stop_twice() -> None:
            stop()
            stop()

        _, events = live(store, tmp_path / "log", ("verdict", stop_twice))
        assert events == ["visit_started", "verdict", "visit_ended", "summary"]

    def test_signal_handlers_are_restored(self, clip: Path, store: Path, alert: FakeAlert) -> None:
        before = [signal.getsignal(number) for number in daemon.STOP_SIGNALS]
        run(clip, store)
        assert [signal.getsignal(number) for number in daemon.STOP_SIGNALS] == before

    def test_nohup_is_respected(self, doorway: Doorway, store: Path, tmp_path: Path, alert: FakeAlert) -> None:
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            doorway.scene = MASKED
            hang_up = ("visit_started", lambda: os.kill(os.getpid(), signal.SIGHUP))
            _, events = live(store, tmp_path / "log", hang_up, ("verdict", stop))
        finally:
            signal.signal(signal.SIGHUP, before)
        assert events == ["visit_started", "verdict", "visit_ended", "summary"]


class TestWindow:
    def test_a_missing_desktop_names_the_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DISPLAY", raising=False)
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        with pytest.raises(ConfigError, match="run `make desktop` in a graphical session"):
            Window()

    def test_closing_the_window_ends_the_run(
        self, clip: Path, store: Path, tmp_path: Path, alert: FakeAlert, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class FakeWindow:
            shown: ClassVar[list[Image]] = []

            def show(self, image: Image) -> None:
                self.shown.append(image)

            def closed(self) -> bool:
                return len(self.shown) == 25

            def close(self) -> None:
                self.shown.append(picture(NOBODY))

        monkeypatch.setattr("edge.sinks.window.Window", FakeWindow)
        log = tmp_path / "log"
        assert run(clip, store, window=True, events=str(log)) == 0
        assert lines(log)[-1]["frames"] == 25
        assert len(FakeWindow.shown) == 26
        assert len(np.unique(FakeWindow.shown[24].reshape(-1, 3), axis=0)) > 10


class TestServiceManager:
    def test_only_processed_frames_feed_the_watchdog(
        self, clip: Path, store: Path, tmp_path: Path, alert: FakeAlert, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(path))
            manager.settimeout(1.0)
            monkeypatch.setenv("NOTIFY_SOCKET", str(path))
            received: list[str] = []
            listener = threading.Thread(target=lambda: received.extend(_datagrams(manager)))
            listener.start()
            run(clip, store, max_frames=8)
            listener.join()
        assert received[0].startswith("READY=1\nSTATUS=Watching through")
        assert received.count("WATCHDOG=1") == 8
        assert received[-1] == "STOPPING=1"

    def test_an_abstract_socket_is_understood(self) -> None:
        name = f"maskgate-test-{os.getpid()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(f"\0{name}")
            manager.settimeout(1.0)
            Notifier({"NOTIFY_SOCKET": f"@{name}"}).frame(StageTimes())
            assert manager.recv(100) == b"WATCHDOG=1"

    def test_an_absent_manager_is_ignored(self, tmp_path: Path) -> None:
        Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).frame(StageTimes())
        Notifier({}).frame(StageTimes())


def _datagrams(manager: socket.socket) -> list[str]:
    received: list[str] = []
    while not received or received[-1] != "STOPPING=1":
        received.append(manager.recv(1000).decode())
    return received
