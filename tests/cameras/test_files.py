"""Video files and images: frames, times, and playing them again and again."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.cameras.loop import Looped
from edge.cameras.recording import Recording
from edge.cameras.stills import Stills
from edge.cameras.video import VideoFile
from edge.errors import CameraError
from edge.worker import Flag
from tests.cameras.helpers import BLUE, RED, all_frames, plain
from tests.stand_ins.clock import ManualClock


class TestVideoFile:
    def test_frames_carry_container_times(self, clip: Path) -> None:
        frames = all_frames(VideoFile(clip))
        assert [frame.captured_at for frame in frames] == pytest.approx([number / 5 for number in range(10)])
        assert [frame.sequence for frame in frames] == list(range(10))

    def test_pictures_are_bgr(self, clip: Path) -> None:
        frames = all_frames(VideoFile(clip))
        assert frames[0].image[20, 20].argmax() == 0
        assert frames[9].image[20, 20].argmax() == 2
        assert frames[0].image.shape == (48, 64, 3)

    def test_other_files_are_refused_by_name(self, tmp_path: Path) -> None:
        path = tmp_path / "letter.mp4"
        path.write_text("Dear all")
        with pytest.raises(CameraError, match=r"letter\.mp4 is not a video"):
            VideoFile(path)

    def test_truncated_videos_play_or_are_refused(self, clip: Path) -> None:
        clip.write_bytes(clip.read_bytes()[:600])
        with pytest.raises(CameraError):
            all_frames(VideoFile(clip))

    def test_oversized_pictures_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "a.avi"
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, 0, 25, (16, 16))
        writer.write(plain(RED, 16, 16))
        writer.release()
        content = bytearray(path.read_bytes())
        struct.pack_into("<II", content, content.index(b"avih") + 40, 9_000, 9_000)
        struct.pack_into("<ii", content, content.index(b"strf") + 12, 9_000, 9_000)
        path.write_bytes(content)
        with pytest.raises(CameraError, match=r"a\.avi have too many pixels"):
            VideoFile(path)

    @pytest.mark.parametrize(
        "content",
        [
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}\n#EXT-X-ENDLIST\n",
            "ffconcat version 1.0\nfile {address}\n",
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=a\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 5004 RTP/AVP 26\r\n",
        ],
        ids=["m3u8", "ffconcat", "sdp"],
    )
    def test_recordings_open_no_connection(self, tmp_path: Path, content: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            path = tmp_path / "a.m3u8"
            path.write_text(content.format(address=f"http://127.0.0.1:{listener.getsockname()[1]}/a.ts"))
            with pytest.raises(CameraError, match="is not a video"):
                VideoFile(path)
            with pytest.raises(BlockingIOError):
                listener.accept()

    def test_an_absent_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(CameraError, match=r"no video file .*gone\.mp4"):
            VideoFile(tmp_path / "gone.mp4")


class TestStills:
    def test_images_are_ordered_by_name(self, tmp_path: Path) -> None:
        cv2.imwrite(str(tmp_path / "b.png"), plain(RED))
        cv2.imwrite(str(tmp_path / "a.png"), plain(BLUE))
        (tmp_path / "notes.txt").write_text("not an image")
        first, second = all_frames(Stills(tmp_path))
        assert tuple(first.image[0, 0]) == BLUE
        assert tuple(second.image[0, 0]) == RED
        assert second.captured_at > first.captured_at

    def test_an_unreadable_image_is_skipped(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        cv2.imwrite(str(tmp_path / "a.png"), plain(BLUE))
        (tmp_path / "b.png").write_bytes(b"\x89PNG and then nothing")
        cv2.imwrite(str(tmp_path / "c.png"), plain(RED))
        assert [frame.sequence for frame in all_frames(Stills(tmp_path))] == [0, 2]
        assert "b.png is skipped: the file is damaged" in caplog.text

    def test_an_empty_folder_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(CameraError, match="holds no image"):
            Stills(tmp_path)

    def test_folders_of_broken_images_fail(self, tmp_path: Path) -> None:
        (tmp_path / "a.jpg").write_bytes(b"")
        with pytest.raises(CameraError, match="None of the images"):
            all_frames(Stills(tmp_path))


class WaitsOnTheClock(Flag):
    """A flag whose wait lets the scene's clock pass instead of the test's time."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.advance(timeout or 0.0)
        return self.is_set()


class TestRecording:
    def test_every_frame_is_given_once(self, clip: Path) -> None:
        source = Recording(VideoFile(clip), ManualClock(), False, Flag())
        frames = [source.next(0.0) for _ in range(10)]
        assert all(frames)
        assert not source.ended
        assert source.next(0.0) is None
        assert source.ended
        assert source.now() == pytest.approx(1.8)

    def test_realtime_waits_for_each_frame(self, clip: Path) -> None:
        clock = ManualClock()
        source = Recording(VideoFile(clip), clock, True, WaitsOnTheClock(clock))
        while source.next(0.0):
            assert clock.monotonic() == pytest.approx(source.now())
        assert clock.monotonic() == pytest.approx(1.8)

    def test_full_speed_never_waits(self, clip: Path) -> None:
        clock = ManualClock()
        source = Recording(VideoFile(clip), clock, False, WaitsOnTheClock(clock))
        while source.next(0.0):
            pass
        assert clock.monotonic() == 0.0


class TestLoop:
    def test_loops_continue_time_and_sequence(self, clip: Path) -> None:
        looped = Looped(VideoFile(clip), lambda: VideoFile(clip))
        frames = [looped.read() for _ in range(25)]
        looped.close()
        assert [frame.sequence for frame in frames if frame] == list(range(25))
        times = [frame.captured_at for frame in frames if frame]
        assert np.diff(times) == pytest.approx(0.2, abs=1e-3)

    def test_loops_repeat_the_pictures(self, clip: Path) -> None:
        looped = Looped(VideoFile(clip), lambda: VideoFile(clip))
        reds = [bool(frame.image[0, 0, 2] > 128) for frame in (looped.read() for _ in range(20)) if frame]
        looped.close()
        assert reds == ([False] * 5 + [True] * 5) * 2
