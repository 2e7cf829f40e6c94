"""Recordings as they come from cameras and cards: damaged, broken off, black, interlaced, with jumping time stamps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.cameras import Camera, interlaced, video
from edge.cameras.loop import Looped
from edge.cameras.recording import Recording
from edge.cameras.scene_times import SceneTimes
from edge.cameras.stills import Stills
from edge.cameras.video import IncompleteError, VideoFile
from edge.errors import CameraError
from edge.values import Frame
from edge.worker import Flag
from tests.nonempty import some
from tests.stand_ins import recordings
from tests.stand_ins.clock import ManualClock

INTERVAL = 1 / recordings.FPS


def played(camera: Camera) -> tuple[list[Frame], str | None]:
    """Its frames, and what was wrong with it."""
    source = Recording(camera, ManualClock(), False, Flag())
    frames = []
    while (frame := source.next(0.0)) is not None:
        frames.append(frame)
    return frames, source.trouble


def steps(frames: list[Frame]) -> list[float]:
    return list(np.diff([frame.captured_at for frame in frames]))


class TestDamage:
    def test_a_damaged_spot_is_reported(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        frames, trouble = played(VideoFile(recordings.damaged(tmp_path / "a.mp4")))
        assert 160 < len(frames) < 180
        assert trouble is None
        assert f"{180 - len(frames)} frames of 180 in {tmp_path}/a.mp4 could not be decoded" in caplog.text

    def test_frames_after_it_keep_their_times(self, tmp_path: Path) -> None:
        frames, _ = played(VideoFile(recordings.damaged(tmp_path / "a.mp4")))
        assert frames[-1].captured_at - frames[0].captured_at == pytest.approx(179 * INTERVAL)

    def test_many_lost_frames_are_an_error(self, tmp_path: Path) -> None:
        frames, trouble = played(VideoFile(recordings.damaged(tmp_path / "a.mp4", share=0.4, at=0.2)))
        assert frames
        assert trouble is not None
        assert "could not be decoded: the file is damaged, or breaks off" in trouble

    def test_one_that_breaks_off_says_so(self, tmp_path: Path) -> None:
        path = recordings.recording(tmp_path / "a.avi", 100)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        frames, trouble = played(VideoFile(path))
        assert frames
        assert trouble is not None
        assert trouble.startswith(f"{100 - len(frames)} frames of 100 ")

    def test_a_whole_one_loses_nothing(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        for name in ("a.mp4", "a.ts", "a.mkv", "a.avi"):
            frames, trouble = played(VideoFile(recordings.recording(tmp_path / name)))
            assert (len(frames), trouble) == (60, None), name
        assert not caplog.records

    @pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts"])
    def test_long_times_between_frames_are_no_loss(
        self, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        pictures = (recordings.picture(number) for number in range(40))
        path = recordings.write(tmp_path / name, pictures, at=lambda number: 30 * number, **recordings.SMALL)
        frames, trouble = played(VideoFile(path))
        assert (len(frames), trouble) == (40, None)
        assert frames[-1].captured_at - frames[0].captured_at == pytest.approx(39 * 30 * INTERVAL, abs=2 * INTERVAL)
        assert not caplog.records

    def test_av1_is_named(self, tmp_path: Path) -> None:
        pictures = (recordings.picture(number) for number in range(3))
        path = recordings.write(tmp_path / "a.mp4", pictures, "libsvtav1", preset="12")
        with pytest.raises(CameraError, match="because OpenCV has no decoder for AV1; convert it to H"):
            VideoFile(path).read()

    def test_a_loop_goes_on_over_it(self, tmp_path: Path) -> None:
        path = recordings.damaged(tmp_path / "a.mp4", share=0.4, at=0.2)
        seen = len(played(VideoFile(path))[0])
        looped = Looped(VideoFile(path), lambda: VideoFile(path))
        assert all(looped.read() for _ in some(range(2 * seen + 5)))
        looped.close()

    def test_the_command_ends_with_3(self, tmp_path: Path) -> None:
        path = recordings.damaged(tmp_path / "a.mp4", share=0.4, at=0.2)
        done = run(tmp_path, str(path))
        assert done.returncode == 3
        assert json.loads(done.stdout.splitlines()[-1])["event"] == "summary"
        assert "could not be decoded" in done.stderr.splitlines()[-1]


def run(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge", "run", "--source", source, "--events", "-", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "MASKGATE_COUNTS_PATH": str(folder / "counts.db"), "MASKGATE_ALERTS_OUTPUT": "none"},
    )


class TestBlack:
    def test_an_all_black_recording_fails(self, tmp_path: Path) -> None:
        for number in range(3):
            cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((48, 64, 3), np.uint8))
        frames, trouble = played(Stills(tmp_path))
        assert len(frames) == 3
        assert trouble == f"Every frame of {tmp_path} is exactly black, so nothing was seen; give another source."

    def test_a_dark_one_was(self, tmp_path: Path) -> None:
        cv2.imwrite(str(tmp_path / "0.png"), np.zeros((48, 64, 3), np.uint8))
        cv2.imwrite(str(tmp_path / "1.png"), np.full((48, 64, 3), 1, np.uint8))
        assert played(Stills(tmp_path))[1] is None


class TestInterlaced:
    def test_it_is_read_or_refused(self, tmp_path: Path) -> None:
        frames, trouble = played(VideoFile(recordings.interlaced(tmp_path / "a.mp4")))
        assert len(frames) == 20
        if interlaced.fails():
            assert trouble is not None
            assert "interlaced" in trouble or "exactly black" in trouble
        else:
            assert trouble is None
            expected = recordings.picture(10).mean()
            assert frames[10].image.mean() == pytest.approx(expected, abs=8)

    @pytest.mark.parametrize(
        ("version", "fails"),
        [("4.8.1", False), ("4.12.0", False), ("4.13.0", True), ("4.14.0-dev", True), ("5.0.0", True), ("", False)],
    )
    def test_which_versions_fail(self, version: str, fails: bool) -> None:
        assert interlaced.fails(version) is fails

    def test_one_repeated_picture_is_suspected(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "a.avi"
        recordings.write(path, [recordings.picture(0)] * 10, "rawvideo")
        for fails in (False, True):
            monkeypatch.setattr(video, "fails", lambda fails=fails: fails)
            camera = VideoFile(path)
            assert (played(camera)[1] is not None) is fails


class TestTimeStamps:
    @pytest.mark.parametrize("hours", [2, 1000])
    def test_forward_jumps_count_one_interval(
        self, tmp_path: Path, hours: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        ahead = hours * 3600 * recordings.FPS
        path = recordings.recording(tmp_path / "a.mkv", at=lambda number: number if number < 30 else number + ahead)
        frames, trouble = played(VideoFile(path))
        assert trouble is None
        assert len(frames) == 60
        assert steps(frames) == pytest.approx([INTERVAL] * 59, abs=1e-3)
        assert caplog.text.count("The time stamps of") == 1

    def test_backward_jumps_count_one_interval(self, tmp_path: Path) -> None:
        later = recordings.recording(tmp_path / "b.ts", 30, at=lambda number: number + 7200 * recordings.FPS)
        earlier = recordings.recording(tmp_path / "a.ts", 30)
        (tmp_path / "c.ts").write_bytes(later.read_bytes() + earlier.read_bytes())
        frames, trouble = played(VideoFile(tmp_path / "c.ts"))
        assert trouble is None
        assert len(frames) == 60
        assert steps(frames) == pytest.approx([INTERVAL] * 59, abs=1e-3)

    @pytest.mark.parametrize(
        ("stamps", "expected"),
        [
            ([0, 0.05, 0.1], [0, 0.05, 0.1]),
            ([0, 0.05, 4.05, 4.1], [0, 0.05, 4.05, 4.1]),
            ([0, 0, 0, 0], [0, 0.05, 0.1, 0.15]),
            ([0, 0.1, 0.05, 0.15], [0, 0.1, 0.15, 0.2]),
            ([0, 7200, 7200.05], [0, 0.05, 0.1]),
            ([7200, 7200.05, 0, 0.05], [0, 0.05, 0.1, 0.15]),
            ([0, 0.05, float("nan"), 0.15], [0, 0.05, 0.1, 0.15]),
            ([0, float("inf"), 0.1], [0, 0.05, 0.1]),
            ([-0.02, 0.03, 0.08], [-0.02, 0.03, 0.08]),
        ],
        ids=["as stated", "a pause", "none", "out of order", "forward", "backward", "no number", "endless", "below 0"],
    )
    def test_times_always_go_up(self, stamps: list[float], expected: list[float]) -> None:
        times = SceneTimes(0.05)
        assert [times.take(stamp)[0] for stamp in stamps] == pytest.approx(expected)

    def test_low_frame_rates_are_not_jumps(self) -> None:
        times = SceneTimes(20.0)
        assert [times.take(20.0 * number)[0] for number in range(4)] == [0, 20, 40, 60]
        assert times.jumps == 0


def test_an_undecodable_file_is_an_error(tmp_path: Path) -> None:
    path = recordings.damaged(tmp_path / "a.avi", 20, share=0.9, at=0.05)
    with pytest.raises((CameraError, IncompleteError)):
        camera = VideoFile(path)
        while camera.read():
            pass
