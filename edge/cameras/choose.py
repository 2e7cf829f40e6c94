"""Which camera ``camera.source`` means, and why."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from edge.cameras import Camera, InputSize
from edge.cameras.address import is_url, without_secrets
from edge.cameras.csi import CsiCamera
from edge.cameras.demo import DEMO_CLIP
from edge.cameras.devices import devices
from edge.cameras.picture import SUFFIXES
from edge.cameras.stills import Stills
from edge.cameras.stream import Stream
from edge.cameras.v4l2 import V4l2Camera
from edge.cameras.video import VideoFile
from edge.clock import Clock
from edge.errors import CameraError, ConfigError
from edge.values import Frame

if TYPE_CHECKING:
    from edge.config import CameraSettings

FORMS = "auto, picamera, csi:0, usb:0, /dev/video0, a video file, a folder of images, rtsp://…, http://…, demo"
TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


@dataclass(frozen=True, slots=True)
class Choice:
    """An open camera.

    Attributes:
        camera: The camera, turned as the settings say.
        reopen: Opens the same one again, also under another device number after it was plugged in again.
        why: Sentences for the operator: what was looked for, what was taken.
        stand_in: Whether it is the demo clip for want of a camera, so that what it shows did not happen.
    """

    camera: Camera
    reopen: Callable[[], Camera]
    why: tuple[str, ...]
    stand_in: bool = False


class Rotated:
    """A camera mounted sideways or upside down, turned upright."""

    def __init__(self, camera: Camera, degrees: int) -> None:
        """Turn each frame of ``camera`` clockwise by ``degrees``: 90, 180 or 270."""
        self.name, self.live = camera.name, camera.live
        self._camera, self._turn = camera, TURNS[degrees]

    def read(self) -> Frame | None:
        """The next frame, turned."""
        frame = self._camera.read()
        if frame is None:
            return None
        small = None if frame.small is None else cv2.rotate(frame.small, self._turn)
        return replace(frame, image=cv2.rotate(frame.image, self._turn), small=small)  # type: ignore[arg-type]

    def close(self) -> None:
        """Close the camera."""
        self._camera.close()


def open_camera(
    settings: CameraSettings,
    clock: Clock,
    input_size: InputSize | None = None,
    *,
    demo: Path = DEMO_CLIP,
    dev: Path = Path("/dev"),
) -> Choice:
    """Open what ``settings.source`` names.

    Args:
        settings: Source, size, rate, rotation.
        clock: Stamps the frames of live cameras.
        input_size: Of the face model: a camera that can scales a second picture to fit it.
        demo: The demo clip.
        dev: Where device nodes are.

    Raises:
        ConfigError: The source has none of the accepted forms.
        CameraError: It is absent, in use, forbidden or unreadable.
    """
    opener = _Opener(settings, clock, input_size, demo, dev)
    if settings.source == "auto":
        return opener.automatic()
    reopen = opener.named(settings.source)
    camera = reopen()
    return Choice(camera, reopen, (f"Pictures come from {camera.name}.",))


def await_camera(
    settings: CameraSettings,
    clock: Clock,
    input_size: InputSize | None = None,
    *,
    demo: Path = DEMO_CLIP,
    dev: Path = Path("/dev"),
) -> Choice:
    """The same for a service, which outlives its camera.

    A camera that cannot be opened yet counts as lost, not as an error; ``auto`` does not fall back on the demo clip.

    Raises:
        ConfigError: The source has none of the accepted forms.
        CameraError: A file or folder is absent or unreadable.
    """
    opener = _Opener(settings, clock, input_size, demo, dev)
    automatic = settings.source == "auto"
    reopen = opener.any_camera if automatic else opener.named(settings.source)
    try:
        if automatic:
            return opener.first_camera()
        camera = reopen()
    except CameraError as error:
        if not automatic and not opener.is_device(settings.source):
            raise
        return Choice(AbsentCamera(settings.source, str(error)), reopen, (str(error), "Waiting for a camera."))
    return Choice(camera, reopen, (f"Pictures come from {camera.name}.",))


@dataclass(frozen=True, slots=True)
class _Opener:
    settings: CameraSettings
    clock: Clock
    input_size: InputSize | None
    demo: Path
    dev: Path

    def automatic(self) -> Choice:
        """The Pi camera, else the first USB camera, else the demo clip.

        A camera that is there but does not work is an error: a door must not be watched through a demo clip.
        """
        try:
            return self.first_camera()
        except NoCameraError as error:
            instead = "Playing the demo clip instead; its visits are not stored. Plug in a camera, or give --source."
            return Choice(self.clip(), self.clip, (*error.why, instead), stand_in=True)

    def first_camera(self) -> Choice:
        """The Pi camera, else the first USB camera.

        Raises:
            NoCameraError: There is neither.
            CameraError: One is there but does not work.
        """
        from edge.cameras.picam import NoPiCameraError

        why: list[str] = []
        looked_for: tuple[tuple[str, Callable[[], Camera], type[CameraError]], ...] = (
            ("Pi", self.pi_camera, NoPiCameraError),
            ("USB", lambda: self.usb(0), NoUsbCameraError),
        )
        for kind, reopen, absent in looked_for:
            try:
                camera = reopen()
            except absent as error:  # noqa: PERF203
                why.append(f"No {kind} camera: {error}")
            else:
                return Choice(camera, reopen, (*why, f"Pictures come from the {kind} camera {camera.name}."))
        raise NoCameraError(*why)

    def any_camera(self) -> Camera:
        """The camera of ``first_camera``, alone."""
        return self.first_camera().camera

    def is_device(self, source: str) -> bool:
        """Whether ``source`` names something that may come back: a camera or a stream, not a file."""
        return self._device(source) is not None

    def named(self, source: str) -> Callable[[], Camera]:
        """What opens ``source``."""
        try:
            if opener := self._device(source) or self._file(Path(source).expanduser()):
                return opener
        except OSError as error:
            raise CameraError(
                f"{source} cannot be looked at: {error.strerror}; check the path given as source."
            ) from error
        raise ConfigError(f"{without_secrets(source)!r} is no picture source{_nearest(source)}; accepted: {FORMS}.")

    def _device(self, source: str) -> Callable[[], Camera] | None:
        if source == "picamera":
            return self.pi_camera
        if re.fullmatch(r"csi:\d+", source):
            return lambda: self._turned(CsiCamera(int(source[4:]), self.settings, self.clock))
        if re.fullmatch(r"usb:\d+", source):
            return lambda: self.usb(int(source[4:]))
        if re.fullmatch(r"/dev/video\d+", source):
            return lambda: self._turned(V4l2Camera(Path(source), self.settings, self.clock))
        if is_url(source):
            return lambda: self._turned(Stream(source, self.clock))
        return None

    def _file(self, path: Path) -> Callable[[], Camera] | None:
        if str(path) == "demo":
            return self.clip
        if ":" in path.parts[0]:  # an address of a kind that is not known
            return None
        if path.is_dir() or path.suffix.lower() in SUFFIXES:
            return lambda: self._turned(Stills(_existing(path)))
        if path.exists() or path.suffix or len(path.parts) > 1:
            return lambda: self._turned(VideoFile(_existing(path)))
        return None

    def pi_camera(self) -> Camera:
        from edge.cameras.picam import PiCamera

        return self._turned(PiCamera(self.settings, self.clock, detector=self._detector()))

    def _detector(self) -> tuple[int, int] | None:
        """The face model's input as the camera sees it, which may hang sideways."""
        if not self.input_size:
            return None
        width, height = self.settings.width, self.settings.height
        if self.settings.rotate % 180 == 0:
            return self.input_size(width, height)
        across, along = self.input_size(height, width)
        return along, across

    def usb(self, index: int) -> Camera:
        found = list(devices(self.dev))
        if not found:
            some = any(self.dev.glob("video*"))
            where = f"none of {self.dev}/video* captures video" if some else f"there is no {self.dev}/video*"
            raise NoUsbCameraError(f"{where}; plug one in and check `lsusb`.")
        if index >= len(found):
            listed = ", ".join(f"usb:{number} is {device.path}" for number, device in enumerate(found))
            raise NoUsbCameraError(f"There is no camera usb:{index}; found: {listed}.")
        return self._turned(V4l2Camera(found[index].path, self.settings, self.clock))

    def clip(self) -> Camera:
        # Made upright, so rotation is for what is mounted at the door.
        return VideoFile(self.demo, name="demo")

    def _turned(self, camera: Camera) -> Camera:
        return Rotated(camera, self.settings.rotate) if self.settings.rotate else camera


class AbsentCamera:
    """Stands where a camera is to come: every read fails, so that it is opened again and again."""

    live = True

    def __init__(self, name: str, why: str) -> None:
        """Stand in for the camera ``name``, which cannot be opened because of ``why``."""
        self.name = name
        self._why = why

    def read(self) -> Frame | None:
        """Never a frame.

        Raises:
            CameraError: Always.
        """
        raise CameraError(self._why)

    def close(self) -> None:
        """Nothing to let go of."""


class NoUsbCameraError(CameraError):
    """There is no USB camera here, as opposed to one that does not work."""


class NoCameraError(CameraError):
    """There is no camera at all. ``why`` has a sentence for each place that was looked at."""

    def __init__(self, *why: str) -> None:
        super().__init__(" ".join(why))
        self.why = why


def _existing(path: Path) -> Path:
    if not path.exists():
        raise CameraError(f"There is no file or folder {path}; check the path given as source.")
    return path


def _nearest(source: str) -> str:
    words = ("auto", "picamera", "csi:0", "usb:0", "demo", "/dev/video0")
    close = difflib.get_close_matches(source, words, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
