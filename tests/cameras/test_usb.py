"""USB cameras, with a stand-in for OpenCV."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import cv2
import pytest

from edge.cameras.devices import CAPABILITY, Device, devices, parse_capability
from edge.cameras.v4l2 import V4l2Camera
from edge.config import CameraSettings
from edge.errors import CameraError
from edge.values import Image
from tests.cameras.helpers import GREEN, plain
from tests.stand_ins.clock import ManualClock


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

    def test_other_devices_are_no_cameras(self) -> None:
        with pytest.raises(CameraError, match="/dev/null is a device, but not a camera"):
            V4l2Camera(Path("/dev/null"), CameraSettings(), ManualClock(), FakeCapture(opened=False))

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

    def test_a_moved_link_is_no_surprise(self, node: Path) -> None:
        link = node.with_name("front-door")
        link.symlink_to(node)
        camera = V4l2Camera(link, CameraSettings(), ManualClock(), FakeCapture(pictures=0), node.parent)
        node.rename(node.with_name("video2"))
        link.unlink()
        link.symlink_to("video2")
        with pytest.raises(CameraError, match="gives no picture"):
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
