"""What ``maskgate doctor`` checks about the cameras."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from edge.board import Profile, camera_sensors, profile_of
from edge.board.findings import OLDER_NUMPY, WITH_SYSTEM, Check, Finding, Machine, State
from edge.cameras.devices import devices
from edge.cameras.sources import AUTO, forms, module_for
from edge.config import Config
from edge.errors import CameraError

PICAMERA2 = "sudo apt install python3-picamera2"


def camera(machine: Machine, config: Config) -> Iterator[Finding]:
    found = [*_pi_camera(machine), *_video_nodes(machine)]
    said = list(_of_source(machine, config.camera.source))
    yield from (*found, *said)
    if not found and not said:
        yield _no_camera(machine, profile_of(machine.root), camera_sensors(machine.root))


def _of_source(machine: Machine, source: str) -> Iterator[Finding]:
    """What the kind of ``camera.source`` says."""
    if source == AUTO:
        return
    try:
        module = module_for(source)
    except OSError as error:
        text = f"camera.source cannot be read: {error.strerror}"
        yield Finding("camera", State.PROBLEM, text, "check the path")
        return
    if module is None:
        yield Finding("camera", State.PROBLEM, "camera.source is not a picture source", f"set one of: {forms()}")
    else:
        yield from module.examine(machine, source)


def _no_camera(machine: Machine, profile: Profile, sensors: list[str]) -> Finding:
    kinds = "no camera module and no USB camera" if profile.camera else "no USB camera"
    text, remedy = kinds, "plug one in; check: lsusb"
    if sensors and profile.camera == "gstreamer":
        text = f"the camera module {', '.join(sensors)} is used only if it is configured"
        remedy = 'set camera.source = "csi:0"'
    elif sensors and profile.camera == "picamera2":
        return _unseen(machine, ", ".join(sensors))
    elif profile.camera == "picamera2":
        remedy = "plug one in; check: lsusb, rpicam-hello --list-cameras"
    return Finding("camera", State.PROBLEM, text, remedy)


def _pi_camera(machine: Machine) -> Iterator[Finding]:
    with suppress(CameraError):
        yield Finding("camera", State.OK, f"Pi camera {_pi_model(machine)}")


def _pi_model(machine: Machine) -> str:
    from edge.cameras.picam import require_pi_camera  # needs OpenCV, whose absence doctor reports

    return (machine.pi_camera or require_pi_camera)()


def _unseen(machine: Machine, sensor: str) -> Finding:
    """What keeps picamera2 from a camera module that a driver has found."""
    try:
        _pi_model(machine)
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
                f"{device.path}: this user has no access to it",
                "sudo usermod -aG video $USER, then log in again",
            )


CHECKS: tuple[Check, ...] = (camera,)
