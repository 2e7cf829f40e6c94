"""``maskgate run`` at a live camera: losses, signals, the window and the service manager."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from edge.config import load
from edge.door import pace
from edge.door import wiring as daemon
from edge.door.pace import LEAST
from edge.door.wiring import Options
from edge.errors import ConfigError
from edge.sinks.systemd import Notifier
from edge.sinks.together import Sinks
from edge.sinks.window import CLOSE, Window
from edge.status import CameraState, Status, Summary
from edge.values import Face, Frame, Image, StageTimes
from tests.door.fake_door import (
    BARE,
    MASKED,
    NOBODY,
    Doorway,
    FakeAlert,
    FakePipeline,
    lines,
    live,
    picture,
    run,
    stop,
    stored_visits,
)


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
            store,
            tmp_path / "log",
            ("alert_on", unplug),
            ("camera_lost", plug_in),
            ("camera_back", stop),
            **{"camera.stale_after": 1},
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
            **{"alerts.duration": 0.4},
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

    @pytest.mark.usefixtures("alert")
    def test_signals_do_not_log_inside_another_line(
        self, clip: Path, store: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Interrupted(logging.Handler):
            writing = False
            torn: ClassVar[list[str]] = []
            whole: ClassVar[list[str]] = []

            def emit(self, record: logging.LogRecord) -> None:
                line = record.getMessage()
                (self.torn if self.writing else self.whole).append(line)
                if line == "a line":
                    self.writing = True
                    stop()
                    self.writing = False

        log, show = logging.getLogger("edge"), Sinks.show

        def logged(sinks: Sinks, status: Status, now: float) -> None:
            log.info("a line")
            show(sinks, status, now)

        monkeypatch.setattr(Sinks, "show", logged)
        handler = Interrupted()
        log.addHandler(handler)
        caplog.set_level(logging.INFO, "edge")
        try:
            run(clip, store)
        finally:
            log.removeHandler(handler)
        assert handler.torn == []
        assert handler.whole[-1] == "Stopped on SIGTERM."

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

            def size(self) -> None:
                return None

            def key(self) -> str:
                return CLOSE if len(self.shown) == 25 else ""

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

    def test_a_lost_camera_makes_the_watchdog_patient(
        self, doorway: Doorway, store: Path, tmp_path: Path, alert: FakeAlert, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is fed by frames alone; its limit is longer until the camera is back."""
        doorway.scene = MASKED
        path = tmp_path / "notify"

        def unplug() -> None:
            doorway.unplugged = True

        def plug_in() -> None:
            doorway.unplugged = False

        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(path))
            manager.settimeout(30.0)
            monkeypatch.setenv("NOTIFY_SOCKET", str(path))
            monkeypatch.setenv("WATCHDOG_USEC", "30000000")
            received: list[str] = []
            listener = threading.Thread(target=lambda: received.extend(_datagrams(manager)))
            listener.start()
            steps = [("verdict", unplug), ("camera_lost", plug_in), ("camera_back", stop)]
            live(store, tmp_path / "log", *steps, **{"camera.stale_after": 1})
            listener.join()
        limits = [line for line in received if line.startswith("WATCHDOG_USEC=")]
        assert limits == ["WATCHDOG_USEC=600000000", "WATCHDOG_USEC=30000000"]

    @pytest.mark.parametrize(
        ("limit", "heard"),
        [
            ("30000000", ["WATCHDOG_USEC=600000000", "WATCHDOG_USEC=30000000", "WATCHDOG_USEC=600000000"]),
            ("900000000", ["WATCHDOG_USEC=900000000"] * 3),
            (None, []),
        ],
    )
    def test_hanging_drivers_get_no_patience(self, limit: str | None, heard: list[str]) -> None:
        """A new process may repair them; a unit without a watchdog is not given one."""
        name = f"maskgate-test-{os.getpid()}"
        lost = CameraState("usb:0", trouble="usb:0 is unplugged.")
        states = [CameraState("usb:0"), lost, lost, replace(lost, hung=True), lost]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(f"\0{name}")
            manager.settimeout(1.0)
            notifier = Notifier({"NOTIFY_SOCKET": f"@{name}"} | ({"WATCHDOG_USEC": limit} if limit else {}))
            for camera in states:
                notifier.show(Status(1.0, 0.0, camera))
            notifier.finish(Summary())
            received = _datagrams(manager)
        assert [line for line in received if line.startswith("WATCHDOG_USEC=")] == heard

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
