"""What ``maskgate doctor`` looks at of the cameras."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from edge.board import Profile, camera_sensors, profile_of
from edge.board.findings import OLDER_NUMPY, PIP, WITH_SYSTEM, Check, Finding, Machine, State
from edge.cameras.address import is_url, without_secrets
from edge.cameras.csi import has_gstreamer
from edge.cameras.devices import devices
from edge.config import Config
from edge.errors import CameraError

PICAMERA2 = "sudo apt install python3-picamera2"
JETPACK_OPENCV = f"sudo apt install python3-opencv; {PIP} uninstall -y opencv-python-headless opencv-python"


def camera(machine: Machine, config: Config) -> Iterator[Finding]:
    found = [*_pi_camera(machine), *_video_nodes(machine)]
    source = config.camera.source
    recording = source == "demo" or _exists(Path(source).expanduser())
    yield from found
    if source.startswith("csi:"):
        yield _module(machine, source)
    elif is_url(source):
        yield Finding("camera", State.OK, f"camera.source is {without_secrets(source)}, which is not tried here")
    elif recording and not source.startswith("/dev/"):
        yield Finding("camera", State.WARNING, f"camera.source is {source}, no camera", 'set camera.source = "auto"')
    elif not found:
        yield _no_camera(machine, profile_of(machine.root), camera_sensors(machine.root))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that no file system could hold
        return False


def _no_camera(machine: Machine, profile: Profile, sensors: list[str]) -> Finding:
    kinds = "no camera module and no USB camera" if profile.camera else "no USB camera"
    text, remedy = kinds, "plug one in; check: lsusb"
    if sensors and profile.camera == "gstreamer":
        text = f"the camera module {', '.join(sensors)} is taken only where it is named"
        remedy = 'set camera.source = "csi:0"'
    elif sensors and profile.camera == "picamera2":
        return _unseen(machine, ", ".join(sensors))
    elif profile.camera == "picamera2":
        remedy = "plug one in; check: lsusb, rpicam-hello --list-cameras"
    return Finding("camera", State.PROBLEM, text, remedy)


def _module(machine: Machine, source: str) -> Finding:
    sensors = ", ".join(camera_sensors(machine.root))
    if not has_gstreamer(machine.opencv_build()):
        text = f"{source} needs an OpenCV with GStreamer, which pip's has not"
        remedy = JETPACK_OPENCV if machine.sees_system else f"{JETPACK_OPENCV}; {WITH_SYSTEM}"
        return Finding("camera", State.PROBLEM, text, remedy)
    if not sensors:
        text = f"camera.source is {source}, and no camera module is found"
        return Finding("camera", State.PROBLEM, text, "check its ribbon cable; sudo /opt/nvidia/jetson-io/jetson-io.py")
    return Finding("camera", State.OK, f"camera module {sensors} as {source}")


def _pi_camera(machine: Machine) -> Iterator[Finding]:
    with suppress(CameraError):
        yield Finding("camera", State.OK, f"Pi camera {machine.pi_camera()}")


def _unseen(machine: Machine, sensor: str) -> Finding:
    """What keeps picamera2 from a camera module that a driver has found."""
    try:
        machine.pi_camera()
    except CameraError as error:
        why = error.__cause__
    text, remedy = f"picamera2 does not see the camera module {sensor}", "check its ribbon cable; rpicam-hello"
    if isinstance(why, ModuleNotFoundError):
        text = f"the camera module {sensor} needs picamera2, which is not installed"
        remedy = PICAMERA2
        if not machine.sees_system:
            text += " where this Python looks"
            remedy += f"; {WITH_SYSTEM}"
    elif why:
        text, remedy = f"the camera module {sensor} needs picamera2, which does not load: {why}", OLDER_NUMPY
    return Finding("camera", State.PROBLEM, text, remedy)


def _video_nodes(machine: Machine) -> Iterator[Finding]:
    for device in devices(machine.root / "dev", machine.query):
        if os.access(device.path, os.R_OK | os.W_OK):
            yield Finding("camera", State.OK, f"{device.path}: {device.card or 'in use, its name is not known'}")
        else:
            yield Finding(
                "camera",
                State.WARNING,
                f"{device.path}: this user may not use it",
                "sudo usermod -aG video $USER, then log in again",
            )


CHECKS: tuple[Check, ...] = (camera,)
