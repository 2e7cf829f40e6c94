"""Where pictures come from, and what the operator is told when none do."""

from __future__ import annotations

import http.server
import os
import socket
import struct
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from edge.cameras import Camera
from edge.cameras.choose import AbsentCamera, Rotated, await_camera, open_camera
from edge.cameras.csi import CsiCamera
from edge.cameras.devices import CAPABILITY, Device, devices, parse_capability
from edge.cameras.freshness import is_dark
from edge.cameras.loop import Looped
from edge.cameras.picam import NoPiCameraError, PiCamera
from edge.cameras.recording import Recording
from edge.cameras.source import LatestFrame
from edge.cameras.stills import Stills
from edge.cameras.stream import OPEN_TIMEOUT, Stream
from edge.cameras.v4l2 import V4l2Camera
from edge.cameras.video import VideoFile
from edge.clock import SystemClock
from edge.config import CameraSettings
from edge.errors import CameraError, ConfigError
from edge.values import Event, EventKind, Frame, Image
from edge.vision.preprocess import resize
from tests.stand_ins.clock import ManualClock

BLUE, GREEN, RED = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def plain(colour: tuple[int, int, int], width: int = 64, height: int = 48) -> Image:
    return np.full((height, width, 3), colour, np.uint8)


def all_frames(camera: Camera) -> list[Frame]:
    frames = []
    while (frame := camera.read()) is not None:
        frames.append(frame)
    return frames


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Ten frames at 5 a second: five blue ones, then five red ones."""
    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 5.0, (64, 48))
    for number in range(10):
        writer.write(plain(BLUE if number < 5 else RED))
    writer.release()
    return path


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


class MjpegCamera(http.server.BaseHTTPRequestHandler):
    """A network camera that sends five pictures as multipart JPEG, then hangs up."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for level in range(5):
            _, jpeg = cv2.imencode(".jpg", plain((level * 40, 0, 200)))
            part = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(part.encode() + jpeg.tobytes() + b"\r\n")

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def network_camera() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), MjpegCamera)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


class TestStream:
    def test_http_videos_are_read_whole(self, network_camera: int) -> None:
        stream = Stream(f"http://door:secret@127.0.0.1:{network_camera}/video.mjpg", ManualClock(), read_timeout=2.0)
        assert stream.live
        assert stream.read().image.shape == (48, 64, 3)
        with pytest.raises(CameraError, match="no more pictures") as raised:
            for _ in range(10):
                stream.read()
        assert "secret" not in str(raised.value) + stream.name

    def test_absent_cameras_hide_the_password(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        with pytest.raises(CameraError, match="No stream can be read") as raised:
            Stream(f"rtsp://door:secret@127.0.0.1:{port}/live", ManualClock(), open_timeout=2.0)
        assert "secret" not in str(raised.value)
        assert f"127.0.0.1:{port}" in str(raised.value)

    def test_silent_cameras_time_out(self) -> None:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            began = time.monotonic()
            with pytest.raises(CameraError):
                Stream(f"http://127.0.0.1:{silent.getsockname()[1]}/", ManualClock(), open_timeout=0.5)
            assert time.monotonic() - began < OPEN_TIMEOUT


class FakePicamera2:
    """Has the signatures of picamera2's class; pictures are in the memory order its RGB888 has, B, G, R."""

    present = 1
    busy = False
    silent = False
    camera_controls: ClassVar[dict[str, tuple[Any, Any, Any]]] = {
        "AeExposureMode": (0, 3, 0),
        "AeMeteringMode": (0, 3, 0),
        "ExposureValue": (-8.0, 8.0, 0.0),
        "FrameDurationLimits": (8333, 120_000_000, None),
    }

    def __init__(self, camera_num: int = 0) -> None:
        if self.busy:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self.calls: list[str] = []
        FakePicamera2.last = self

    @classmethod
    def global_camera_info(cls) -> list[dict[str, Any]]:
        return [{"Model": "imx708"}] * cls.present

    def create_video_configuration(
        self,
        main: dict[str, Any] | None = None,
        lores: dict[str, Any] | None = None,
        *,
        buffer_count: int = 6,
        controls: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        return {"main": main, "lores": lores, "controls": controls, "buffer_count": buffer_count}

    def configure(self, camera_config: dict[str, Any]) -> None:
        self.configuration = camera_config

    def start(self) -> None:
        self.calls.append("start")

    def capture_arrays(self, names: Sequence[str] = ("main",), wait: bool | None = None) -> Sequence[str]:
        assert wait is False
        return names

    def wait(self, job: Sequence[str], timeout: float | None = None) -> tuple[list[Any], dict[str, Any]]:
        if self.silent:
            raise TimeoutError
        return [self.stream(name) for name in job], {"ExposureTime": 10_000}

    def stream(self, name: str) -> Any:
        width, height = self.configuration[name]["size"]
        picture = plain(BLUE, width, height)
        assert (width % 64 == 0 and height % 2 == 0) or name == "main"
        return picture if name == "main" else cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)

    def stop(self) -> None:
        self.calls.append("stop")

    def close(self) -> None:
        self.calls.append("close")


@pytest.fixture
def picamera2(monkeypatch: pytest.MonkeyPatch) -> type[FakePicamera2]:
    class Fresh(FakePicamera2):
        pass

    module = types.ModuleType("picamera2")
    module.Picamera2 = Fresh  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    return Fresh


class TestPiCamera:
    def test_frames_are_bgr_in_size(self, picamera2: type[FakePicamera2]) -> None:
        camera = PiCamera(CameraSettings(width=320, height=240, fps=15), ManualClock())
        frame = camera.read()
        assert frame.image.shape == (240, 320, 3)
        assert tuple(frame.image[0, 0]) == BLUE
        assert FakePicamera2.last.configuration["main"]["format"] == "RGB888"
        assert FakePicamera2.last.configuration["controls"]["FrameRate"] == 15.0

    @pytest.mark.parametrize(
        ("size", "small"), [((640, 480), (320, 240)), ((1280, 720), (320, 180)), ((1920, 1080), (320, 180))]
    )
    def test_the_camera_scales_for_the_detector(
        self, picamera2: type[FakePicamera2], size: tuple[int, int], small: tuple[int, int]
    ) -> None:
        frame = PiCamera(CameraSettings(width=size[0], height=size[1]), ManualClock(), detector=(320, 320)).read()
        assert FakePicamera2.last.configuration["lores"] == {"size": small, "format": "YUV420"}
        assert frame.small is not None
        assert frame.small.shape == (small[1], small[0], 3)
        assert frame.small[5, 5].argmax() == 0

    @pytest.mark.parametrize("size", [(320, 240), (600, 900)])
    def test_padded_second_pictures_are_left_out(self, picamera2: type[FakePicamera2], size: tuple[int, int]) -> None:
        frame = PiCamera(CameraSettings(width=size[0], height=size[1]), ManualClock(), detector=(320, 320)).read()
        assert FakePicamera2.last.configuration["lores"] is None
        assert frame.small is None

    def test_backlight_exposes_for_the_middle(self, picamera2: type[FakePicamera2]) -> None:
        PiCamera(CameraSettings(exposure_value=0.5), ManualClock())
        short = {"FrameRate": 30.0, "AeExposureMode": 1, "ExposureValue": 0.5}
        assert FakePicamera2.last.configuration["controls"] == short
        PiCamera(CameraSettings(exposure="backlight", exposure_value=0.5), ManualClock())
        against = short | {"ExposureValue": 1.5, "AeMeteringMode": 1}
        assert FakePicamera2.last.configuration["controls"] == against

    def test_autofocus_stays_on(self, picamera2: type[FakePicamera2]) -> None:
        picamera2.camera_controls = FakePicamera2.camera_controls | {"AfMode": (0, 2, 0)}
        PiCamera(CameraSettings(), ManualClock())
        assert FakePicamera2.last.configuration["controls"]["AfMode"] == 2

    def test_rotation_turns_both_pictures(self, picamera2: type[FakePicamera2]) -> None:
        asked = []

        def input_size(width: int, height: int) -> tuple[int, int]:
            asked.append((width, height))
            return 256, 320

        camera = open_camera(CameraSettings(source="picamera", rotate=90), ManualClock(), input_size).camera
        frame = camera.read()
        assert frame is not None
        assert frame.small is not None
        assert (frame.image.shape, frame.small.shape) == ((640, 480, 3), (320, 240, 3))
        assert asked == [(480, 640)], "asked for the frame as it is looked at, upright"

    def test_it_is_stopped_and_closed_once(self, picamera2: type[FakePicamera2]) -> None:
        camera = PiCamera(CameraSettings(), ManualClock())
        camera.close()
        camera.close()
        assert FakePicamera2.last.calls == ["start", "stop", "close"]

    def test_busy_and_absent_cameras_differ(self, picamera2: type[FakePicamera2]) -> None:
        picamera2.busy = True
        with pytest.raises(CameraError, match="in use") as raised:
            PiCamera(CameraSettings(), ManualClock())
        assert not isinstance(raised.value, NoPiCameraError)
        picamera2.present = 0
        with pytest.raises(NoPiCameraError, match="ribbon cable"):
            PiCamera(CameraSettings(), ManualClock())

    def test_waiting_for_frames_is_bounded(self, picamera2: type[FakePicamera2]) -> None:
        camera = PiCamera(CameraSettings(), ManualClock())
        picamera2.silent = True
        with pytest.raises(CameraError, match="sent no picture"):
            camera.read()

    def test_missing_picamera2_names_its_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "picamera2", None)
        with pytest.raises(NoPiCameraError, match="apt install python3-picamera2"):
            PiCamera(CameraSettings(), ManualClock())


WITH_GSTREAMER = "Video I/O:\n    GStreamer:                   YES (1.20.3)\n    v4l/v4l2:                    YES\n"


class FakeGStreamer:
    """Stands in for cv2.VideoCapture on a pipeline."""

    def __init__(self, opened: bool = True, pictures: int = 100) -> None:
        self.opened, self.pictures, self.pipeline = opened, pictures, ""

    def __call__(self, pipeline: str, backend: int) -> FakeGStreamer:
        assert backend == cv2.CAP_GSTREAMER
        self.pipeline = pipeline
        return self

    def isOpened(self) -> bool:  # noqa: N802
        return self.opened

    def read(self) -> tuple[bool, Image | None]:
        self.pictures -= 1
        return (True, plain(GREEN)) if self.pictures >= 0 else (False, None)

    def release(self) -> None:
        self.opened = False


class TestCsiCamera:
    def camera(self, capture: FakeGStreamer, **settings: Any) -> CsiCamera:
        return CsiCamera(1, CameraSettings(**settings), ManualClock(), capture, lambda: WITH_GSTREAMER)

    def test_gstreamer_scales_and_keeps_the_newest(self) -> None:
        capture = FakeGStreamer()
        camera = self.camera(capture, width=640, height=480, fps=25)
        steps = capture.pipeline.split(" ! ")
        assert steps[0] == "nvarguscamerasrc sensor-id=1 exposurecompensation=0"
        assert "framerate=25/1" in steps[1]
        assert "width=640,height=480" in steps[3]
        assert steps[-1] == "appsink drop=true max-buffers=1 sync=false"
        assert [camera.read().sequence for _ in range(2)] == [0, 1]
        camera.close()
        assert not capture.opened

    @pytest.mark.parametrize(
        ("size", "cut"),
        [
            ((640, 480), "nvvidconv left=160 right=1120 top=0 bottom=720"),
            ((640, 640), "nvvidconv left=280 right=1000 top=0 bottom=720"),
            ((480, 640), "nvvidconv left=370 right=910 top=0 bottom=720"),
            ((1280, 720), "nvvidconv left=0 right=1280 top=0 bottom=720"),
            ((1280, 640), "nvvidconv left=0 right=1280 top=40 bottom=680"),
        ],
    )
    def test_the_middle_is_cut_out(self, size: tuple[int, int], cut: str) -> None:
        capture = FakeGStreamer()
        self.camera(capture, width=size[0], height=size[1])
        assert capture.pipeline.split(" ! ")[2] == cut

    def test_backlight_compensation_is_limited(self) -> None:
        capture = FakeGStreamer()
        self.camera(capture, exposure="backlight", exposure_value=3)
        assert "exposurecompensation=2 " in capture.pipeline

    def test_missing_gstreamer_is_explained(self) -> None:
        with pytest.raises(CameraError, match="python3-opencv"):
            CsiCamera(0, CameraSettings(), ManualClock(), FakeGStreamer(), lambda: "    GStreamer:          NO\n")

    def test_stopped_cameras_are_errors(self) -> None:
        with pytest.raises(CameraError, match="ribbon cable"):
            self.camera(FakeGStreamer(opened=False))
        with pytest.raises(CameraError, match="gives no picture"):
            self.camera(FakeGStreamer(pictures=0)).read()

    def test_it_is_named_by_its_connector(self) -> None:
        with pytest.raises(CameraError, match="csi:0 needs an OpenCV with GStreamer"):
            open_camera(CameraSettings(source="csi:0"), ManualClock())
        assert isinstance(await_camera(CameraSettings(source="csi:0"), ManualClock()).camera, AbsentCamera)


class FakeCapture:
    """Stands in for cv2.VideoCapture on a USB camera."""

    def __init__(self, opened: bool = True, pictures: int = 100) -> None:
        self.opened, self.pictures = opened, pictures
        self.asked: dict[int, float] = {}

    def __call__(self, path: str, backend: int) -> FakeCapture:
        assert backend == cv2.CAP_V4L2
        return self

    def isOpened(self) -> bool:  # noqa: N802
        return self.opened

    def set(self, setting: int, value: float) -> bool:
        self.asked[setting] = value
        return True

    def get(self, setting: int) -> float:
        return min(self.asked[setting], 640)

    def read(self) -> tuple[bool, Image | None]:
        self.pictures -= 1
        return (True, plain(GREEN)) if self.pictures >= 0 else (False, None)

    def release(self) -> None:
        self.opened = False


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A stand-in for /dev/video0 in a stand-in for /dev."""
    path = tmp_path / "dev" / "video0"
    path.parent.mkdir()
    path.touch()
    return path


def as_capture(path: Path) -> Device:
    return Device(path, "Webcam", "uvcvideo")


class TestUsbCamera:
    def test_the_driver_is_asked_for_mjpg(self, node: Path) -> None:
        capture = FakeCapture()
        camera = V4l2Camera(node, CameraSettings(width=1280, height=480), ManualClock(), capture)
        assert capture.asked[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter_fourcc(*"MJPG")
        assert capture.asked[cv2.CAP_PROP_BUFFERSIZE] == 1
        assert camera.granted == (640, 480, 30.0)
        assert camera.read().image.shape == (48, 64, 3)

    def test_an_absent_camera_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(CameraError, match=r"There is no .*video7; plug the camera in"):
            V4l2Camera(tmp_path / "video7", CameraSettings(), ManualClock(), FakeCapture())

    def test_links_are_followed_at_each_opening(self, node: Path) -> None:
        opened: list[str] = []

        def capture(path: str, backend: int) -> FakeCapture:
            opened.append(path)
            return FakeCapture()

        link = node.with_name("front-door")
        for number in (0, 2):
            link.unlink(missing_ok=True)
            node.with_name(f"video{number}").touch()
            link.symlink_to(f"video{number}")
            assert V4l2Camera(link, CameraSettings(), ManualClock(), capture).name == str(link)
        assert [Path(path).name for path in opened] == ["video0", "video2"]

    def test_busy_cameras_name_their_program(self, node: Path, tmp_path: Path) -> None:
        process = tmp_path / "proc" / "812"
        (process / "fd").mkdir(parents=True)
        (process / "comm").write_text("cheese\n")
        (process / "fd" / "5").symlink_to(node)
        (tmp_path / "front-door").symlink_to(node)
        for path in (node, tmp_path / "front-door"):
            with pytest.raises(CameraError, match=r"in use by process 812 \(cheese\); stop that program"):
                V4l2Camera(path, CameraSettings(), ManualClock(), FakeCapture(opened=False), tmp_path / "proc")

    def test_failed_opening_names_a_command(self, node: Path) -> None:
        with pytest.raises(CameraError, match="fuser -v"):
            V4l2Camera(node, CameraSettings(), ManualClock(), FakeCapture(opened=False), node.parent)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
    def test_forbidden_cameras_name_the_group(self, node: Path) -> None:
        node.chmod(0)
        with pytest.raises(CameraError, match="usermod -aG video"):
            V4l2Camera(node, CameraSettings(), ManualClock(), FakeCapture())

    def test_unplugged_and_stuck_cameras_differ(self, node: Path) -> None:
        camera = V4l2Camera(node, CameraSettings(), ManualClock(), FakeCapture(pictures=0), node.parent)
        with pytest.raises(CameraError, match="gives no picture"):
            camera.read()
        node.unlink()
        with pytest.raises(CameraError, match="There is no"):
            camera.read()

    def test_only_cameras_are_listed(self, tmp_path: Path) -> None:
        for name in ("video10", "video2", "video0", "video11", "videodev"):
            (tmp_path / name).touch()
        known = {
            "video0": None,
            "video2": Device(tmp_path / "video2", "Webcam", "uvcvideo"),
            "video10": Device(tmp_path / "video10", "Webcam 2", "uvcvideo"),
            "video11": Device(tmp_path / "video11", "codec", "bcm2835-codec"),
        }
        found = [device.path.name for device in devices(tmp_path, lambda path: known[path.name])]
        assert found == ["video2", "video10"]

    @pytest.mark.parametrize(
        ("capabilities", "of_node", "captures"),
        [(0x84A00001, 0x04200001, True), (0x84A00001, 0x04A00000, False), (0x04000001, 0, True)],
        ids=["camera", "its metadata node", "old driver without capabilities of the node"],
    )
    def test_metadata_nodes_are_told_from_cameras(self, capabilities: int, of_node: int, captures: bool) -> None:
        answer = struct.pack("16s32s32sIII12x", b"uvcvideo", b"HD Webcam", b"usb-1", 1, capabilities, of_node)
        assert CAPABILITY.size == 104
        device = parse_capability(Path("/dev/video0"), answer)
        assert device == (Device(Path("/dev/video0"), "HD Webcam", "uvcvideo") if captures else None)


class TestChoice:
    def test_auto_falls_back_to_the_demo(self, clip: Path, tmp_path: Path) -> None:
        choice = open_camera(CameraSettings(source="auto"), ManualClock(), demo=clip, dev=tmp_path)
        assert choice.camera.name == "demo"
        assert choice.stand_in
        assert [sentence[:14] for sentence in choice.why[:2]] == ["No Pi camera: ", "No USB camera:"]
        assert "demo clip" in choice.why[2]

    def test_auto_prefers_the_pi_camera(self, clip: Path, picamera2: type[FakePicamera2]) -> None:
        choice = open_camera(CameraSettings(source="auto"), ManualClock(), demo=clip)
        assert choice.camera.name == "picamera"
        assert not choice.stand_in

    def test_broken_cameras_get_no_demo(self, clip: Path, picamera2: type[FakePicamera2]) -> None:
        picamera2.busy = True
        with pytest.raises(CameraError, match="in use"):
            open_camera(CameraSettings(source="auto"), ManualClock(), demo=clip)

    @pytest.mark.parametrize("source", ["webcam", "demmo", "ftp://cam/x", "usb:first", "pi"])
    def test_unknown_sources_list_accepted_forms(self, source: str) -> None:
        with pytest.raises(ConfigError, match=r"accepted: auto, picamera, csi:0, usb:0.*demo"):
            open_camera(CameraSettings(source=source), ManualClock())

    def test_a_mistyped_source_gets_a_suggestion(self) -> None:
        with pytest.raises(ConfigError, match="did you mean 'picamera'"):
            open_camera(CameraSettings(source="picam"), ManualClock())

    def test_impossible_paths_are_refused(self) -> None:
        with pytest.raises(CameraError, match="cannot be looked at: File name too long"):
            open_camera(CameraSettings(source=f"{'a' * 300}.mp4"), SystemClock())

    @pytest.mark.parametrize("source", ["gone.mp4", "/nowhere/photos", "gone.jpg"])
    def test_missing_paths_are_named(self, source: str) -> None:
        with pytest.raises(CameraError, match=f"no file or folder {source}"):
            open_camera(CameraSettings(source=source), ManualClock())

    def test_usb_numbers_must_exist(self, tmp_path: Path) -> None:
        with pytest.raises(CameraError, match="video"):
            open_camera(CameraSettings(source="usb:3"), ManualClock(), dev=tmp_path)

    @pytest.mark.parametrize("source", ["auto", "usb:0", "/dev/video63"])
    def test_services_wait_instead_of_the_demo(self, source: str, tmp_path: Path) -> None:
        choice = await_camera(CameraSettings(source=source), ManualClock(), dev=tmp_path)
        assert choice.camera.live
        assert choice.why[-1] == "Waiting for a camera."
        for attempt in (choice.camera.read, choice.reopen):
            with pytest.raises(CameraError, match=r"camera|video"):
                attempt()

    def test_services_take_a_late_camera(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        choice = await_camera(CameraSettings(source="auto"), ManualClock(), dev=tmp_path)
        monkeypatch.setitem(sys.modules, "picamera2", types.SimpleNamespace(Picamera2=FakePicamera2))
        assert choice.reopen().name == "picamera"

    def test_services_do_not_wait_for_files(self) -> None:
        with pytest.raises(CameraError, match=r"no file or folder gone\.mp4"):
            await_camera(CameraSettings(source="gone.mp4"), ManualClock())

    def test_files_are_rotated_clockwise(self, tmp_path: Path) -> None:
        image = plain(BLUE)
        image[:, :32] = RED
        cv2.imwrite(str(tmp_path / "a.png"), image)
        choice = open_camera(CameraSettings(source=str(tmp_path), rotate=90), ManualClock())
        frame = choice.camera.read()
        assert frame is not None
        assert frame.image.shape == (64, 48, 3)
        assert tuple(frame.image[0, 0]) == RED
        assert tuple(frame.image[-1, 0]) == BLUE

    def test_half_a_turn_swaps_the_corners(self, tmp_path: Path) -> None:
        image = plain(BLUE)
        image[0, 0] = RED
        cv2.imwrite(str(tmp_path / "a.png"), image)
        frame = Rotated(Stills(tmp_path), 180).read()
        assert frame is not None
        assert tuple(frame.image[-1, -1]) == RED


class ScriptedCamera:
    """A live camera that does what a script says, one call a read."""

    name = "scripted"
    live = True

    def __init__(self, *script: Callable[[], Frame]) -> None:
        self._script = iter(script)
        self.closed = False

    def read(self) -> Frame:
        step = next(self._script, None)
        if step is None:
            raise CameraError("scripted: unplugged.")
        return step()

    def close(self) -> None:
        self.closed = True


def gives(image: Image, after: float = 0.0) -> Callable[[], Frame]:
    def step() -> Frame:
        time.sleep(after)
        return Frame(image, time.monotonic(), 0)

    return step


def noise(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def hangs(release: threading.Event) -> Callable[[], Frame]:
    def step() -> Frame:
        release.wait(20)
        raise CameraError("let go")

    return step


def watch(
    source: LatestFrame, until: Callable[[list[EventKind], list[Frame]], bool], limit: float = 60.0
) -> tuple[list[EventKind], list[Frame]]:
    """Take frames and events as the loop does, until they are as expected or ``limit`` seconds have passed."""
    events: list[EventKind] = []
    frames: list[Frame] = []
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline and not until(events, frames):
        frame = source.next(0.02)
        frames += [frame] if frame else []
        events += [event.kind for event in source.events()]
    return events, frames


def latest(camera: Camera, reopen: Callable[[], Camera], **options: Any) -> LatestFrame:
    """Of which nothing is late on a busy machine, unless a test asks for less patience."""
    usual = {"stale_after": 30.0, "reopen_after": 0.02, "frozen_after": 0.2, "hung_after": 30.0}
    return LatestFrame(camera, reopen, SystemClock(), **(usual | options))


def first_event(source: LatestFrame) -> Event:
    """What is said first; the camera is closed."""
    events: list[Event] = []
    deadline = time.monotonic() + 60
    while not events and time.monotonic() < deadline:
        source.next(0.02)
        events = source.events()
    source.close()
    return events[0]


BACKOFF = (0.04, 0.08, 0.16, 0.32, 0.64)
"""Least pauses between attempts to open a camera, the first right after the loss left out, in seconds."""


class TestLiveCamera:
    def test_the_newest_frame_wins(self) -> None:
        release = threading.Event()
        pictures = (gives(noise(n), after=0.1 if n == 0 else 0.0) for n in range(5))
        source = latest(ScriptedCamera(*pictures, hangs(release)), ScriptedCamera)
        source.next(0.0)
        deadline = time.monotonic() + 60
        while source.dropped < 4 and time.monotonic() < deadline:
            time.sleep(0.005)
        frame = source.next(1.0)
        release.set()
        source.close()
        assert frame is not None
        assert np.array_equal(frame.image, noise(4))
        assert frame.sequence == 4
        assert source.dropped == 4

    def test_a_frame_is_given_once(self) -> None:
        release = threading.Event()
        source = latest(ScriptedCamera(gives(noise(1)), hangs(release)), ScriptedCamera)
        assert source.next(1.0) is not None
        assert source.next(0.01) is None
        release.set()
        source.close()

    def test_the_reader_scales_for_the_detector(self) -> None:
        image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
        own = np.zeros((180, 320, 3), np.uint8)
        steps = [lambda: Frame(image, 0.0, 0), lambda: Frame(image[:360], 0.0, 1, own), gives(noise(1))]
        frames = []
        for step in steps:
            source = latest(ScriptedCamera(step), ScriptedCamera, input_size=lambda width, height: (320, 320))
            frames += [source.next(1.0)]
            source.close()
        scaled, cameras_own, small_already = (frame.small for frame in frames if frame)
        assert scaled is not None
        assert np.array_equal(scaled, resize(image, 320, 240))
        assert cameras_own is own
        assert small_already is None

    def test_unplugged_cameras_are_reopened_with_backoff(self) -> None:
        attempts: list[float] = []

        def reopen() -> Camera:
            attempts.append(time.monotonic())
            if len(attempts) < 6:
                raise CameraError("There is no /dev/video0; plug the camera in.")
            return ScriptedCamera(*(gives(noise(n), after=0.01) for n in range(100, 400)))

        source = latest(ScriptedCamera(gives(noise(0))), reopen, stale_after=0.4)
        events, _ = watch(source, lambda seen, _: EventKind.CAMERA_BACK in seen)
        source.close()
        assert events == [EventKind.CAMERA_LOST, EventKind.CAMERA_BACK]
        pauses = np.diff(attempts[:6])
        assert [pause >= least for pause, least in zip(pauses, BACKOFF, strict=True)] == [True] * len(BACKOFF)

    def test_the_event_says_what_is_wrong(self) -> None:
        unplugged = latest(ScriptedCamera(), ScriptedCamera, stale_after=0.2)
        assert first_event(unplugged).detail == "scripted: unplugged."

    def test_frozen_cameras_are_reopened(self) -> None:
        frozen = ScriptedCamera(*(gives(noise(7), after=0.01) for _ in range(500)))
        source = latest(frozen, lambda: ScriptedCamera(*(gives(noise(n), after=0.01) for n in range(500))))
        events, _ = watch(source, lambda seen, _: EventKind.CAMERA_BACK in seen)
        source.close()
        assert frozen.closed
        assert events == [EventKind.CAMERA_LOST, EventKind.CAMERA_BACK]

    def test_repeating_rings_are_frozen(self) -> None:
        ring = ScriptedCamera(*(gives(noise(n % 4), after=0.01) for n in range(500)))
        source = latest(ring, lambda: ScriptedCamera(*(gives(noise(n), after=0.01) for n in range(100, 600))))
        events, _ = watch(source, lambda seen, _: EventKind.CAMERA_BACK in seen)
        source.close()
        assert ring.closed
        assert events == [EventKind.CAMERA_LOST, EventKind.CAMERA_BACK]

    def test_short_stillness_is_shown(self) -> None:
        still = ScriptedCamera(*(gives(noise(n // 10), after=0.01) for n in range(60)))
        events, frames = watch(latest(still, ScriptedCamera, frozen_after=5), lambda _, frames: len(frames) >= 40)
        assert events == []
        assert len(frames) >= 40

    def test_new_times_beat_repeated_pixels(self) -> None:
        def stamped(number: int) -> Callable[[], Frame]:
            return lambda: Frame(noise(7), time.sleep(0.01) or time.monotonic(), 0, stamp=number / 25)

        quiet = ScriptedCamera(*(stamped(number) for number in range(120)))
        events, frames = watch(latest(quiet, ScriptedCamera), lambda _, frames: len(frames) >= 80)
        assert events == []
        assert len(frames) >= 80

    def test_repeated_pixels_and_times_are_frozen(self) -> None:
        ring = ScriptedCamera(
            *((lambda n=n: Frame(noise(n % 4), time.sleep(0.01) or 0.0, 0, stamp=n % 4)) for n in range(500))
        )
        assert first_event(latest(ring, ScriptedCamera)).detail == "scripted repeats the same picture."

    def test_new_pixels_beat_repeated_times(self) -> None:
        still = ScriptedCamera(
            *((lambda n=n: Frame(noise(n), time.sleep(0.01) or 0.0, 0, stamp=0.0)) for n in range(120))
        )
        events, _ = watch(latest(still, ScriptedCamera), lambda _, frames: len(frames) >= 80)
        assert events == []

    def test_freeze_detection_can_be_off(self) -> None:
        still = ScriptedCamera(*(gives(noise(7), after=0.01) for _ in range(60)))
        events, _ = watch(latest(still, ScriptedCamera, frozen_after=0), lambda _, frames: len(frames) >= 40)
        assert events == []

    def test_covered_lenses_are_not_reopened(self) -> None:
        black = (gives(plain((3, 3, 3)), after=0.01) for _ in range(60))
        light = (gives(noise(n), after=0.01) for n in range(500))
        camera = ScriptedCamera(*black, *light)
        source = latest(camera, ScriptedCamera, dark_after=0.2)
        events, frames = watch(source, lambda seen, _: EventKind.CAMERA_BACK in seen)
        assert events == [EventKind.CAMERA_LOST, EventKind.CAMERA_BACK]
        assert len(frames) > 40
        assert not camera.closed
        source.close()

    def test_what_it_says_of_black_pictures(self) -> None:
        black = ScriptedCamera(*(gives(plain((3, 3, 3)), after=0.01) for _ in range(60)))
        said = first_event(latest(black, ScriptedCamera, dark_after=0.1)).detail
        assert said == "scripted shows nothing but black; is its lens covered, or the light off?"

    def test_dark_rooms_are_not_frozen(self) -> None:
        dark = ScriptedCamera(*(gives(plain((3, 3, 3)), after=0.01) for _ in range(60)))
        source = latest(dark, ScriptedCamera)
        events, frames = watch(source, lambda _, frames: len(frames) >= 40)
        source.close()
        assert events == []
        assert len(frames) >= 40

    @pytest.mark.parametrize(
        ("lit", "dark"), [(0.0, True), (0.005, True), (0.3, False)], ids=["black", "hot pixels", "a lamp lights a wall"]
    )
    def test_what_is_black(self, lit: float, dark: bool) -> None:
        rng = np.random.default_rng(0)
        image = rng.integers(0, 12, (480, 640, 3), dtype=np.uint8)
        image[rng.random((480, 640)) < lit] = 200
        assert is_dark(image) is dark

    def test_hanging_reads_are_left_behind(self) -> None:
        release = threading.Event()
        source = latest(
            ScriptedCamera(gives(noise(0)), hangs(release)),
            lambda: ScriptedCamera(*(gives(noise(n), after=0.01) for n in range(100, 400))),
            stale_after=0.5,
            hung_after=1.0,
        )
        events, frames = watch(source, lambda seen, frames: EventKind.CAMERA_BACK in seen and len(frames) > 5)
        release.set()
        source.close()
        assert events == [EventKind.CAMERA_LOST, EventKind.CAMERA_BACK]
        assert len(frames) > 5

    def test_hung_readers_do_not_pile_up(self) -> None:
        release = threading.Event()
        before = threading.active_count()
        source = latest(ScriptedCamera(hangs(release)), lambda: ScriptedCamera(hangs(release)), hung_after=0.02)
        watch(source, lambda *_: threading.active_count() - before >= 5, limit=0.5)
        left = threading.active_count() - before
        release.set()
        source.close()
        assert left <= 3

    def test_closing_lets_go_of_the_camera(self) -> None:
        camera = ScriptedCamera(*(gives(noise(n), after=0.005) for n in range(1000)))
        source = latest(camera, ScriptedCamera)
        source.next(1.0)
        source.close()
        assert camera.closed


class WaitsOnTheClock(threading.Event):
    """An event whose wait lets the scene's clock pass instead of the test's time."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.advance(timeout or 0.0)
        return self.is_set()


class TestRecording:
    def test_every_frame_is_given_once(self, clip: Path) -> None:
        source = Recording(VideoFile(clip), ManualClock(), False, threading.Event())
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
