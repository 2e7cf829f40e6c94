"""The kinds of sources. A new one is a module and a line here.

``maskgate run --help``, the settings, error messages, ``auto`` and ``maskgate doctor`` take theirs from this table. The
module of a kind is imported when it is used, and has what ``SourceModule`` says.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from edge.board.findings import Finding, Machine
    from edge.cameras import Camera
    from edge.clock import Clock
    from edge.config import CameraSettings

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of source.

    Attributes:
        module: Imported when it is used.
        form: How ``camera.source`` names it, by an example or in words.
        about: What it is, in a few words.
        auto: What ``auto`` calls it when it looks for it, as it does in the order of the table; None: it does not.
        exposes: Whether it is opened with the exposure of the settings; other cameras choose their own.
    """

    module: str
    form: str
    about: str
    auto: str | None = None
    exposes: bool = False


SOURCES: dict[str, Kind] = {
    "picamera": Kind("edge.cameras.picam", "picamera", "the camera module of a Raspberry Pi", auto="Pi", exposes=True),
    "csi": Kind("edge.cameras.csi", "csi:0", "a camera module of a Jetson, by its connector", exposes=True),
    "usb": Kind("edge.cameras.usb", "usb:0", "a USB camera, counted from 0", auto="USB"),
    "device": Kind("edge.cameras.v4l2", "/dev/video0", "a camera's device, or any link to one (/dev/v4l/by-id/…)"),
    "rtsp": Kind("edge.cameras.stream", "rtsp://…", "a network camera"),
    "http": Kind("edge.cameras.http", "http://…", "a network camera that sends MJPEG or a video"),
    "demo": Kind("edge.cameras.demo", "demo", "the demo clip"),
    "folder": Kind("edge.cameras.stills", "a folder of images", "or one image, four per second"),
    "file": Kind("edge.cameras.video", "a video file", "on its own clock"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where and how a source is opened.

    Attributes:
        settings: Size, rate, exposure.
        clock: Stamps the frames of live cameras.
        detector: Width and height of the face model's input as the camera sees it: a camera that can scales a second
            picture to fit it. None if nobody needs one.
        demo: The demo clip.
        dev: Where device nodes are.
    """

    settings: CameraSettings
    clock: Clock
    detector: tuple[int, int] | None
    demo: Path
    dev: Path = Path("/dev")


class SourceModule(Protocol):
    """What the module of a kind has."""

    WAITS: bool
    """Whether it may come back, so that a service waits for it: a camera, not a file."""

    def matches(self, source: str) -> bool:
        """Whether ``camera.source`` names one of this kind.

        Raises:
            OSError: It is a path that cannot be read.
        """
        ...

    def open_source(self, source: str, place: Place) -> Camera:
        """Open it.

        Raises:
            NotThereError: ``auto`` looks further.
            CameraError: It is absent, in use, forbidden or unreadable.
        """
        ...

    def examine(self, machine: Machine, source: str) -> Iterator[Finding]:
        """What ``maskgate doctor`` says where ``camera.source`` is this one."""
        ...


def forms() -> str:
    """What ``camera.source`` may be, for a sentence."""
    return ", ".join((AUTO, *(kind.form for kind in SOURCES.values())))


def explained() -> str:
    """The same with a few words on each."""
    each = (f"{kind.form} ({kind.about})" for kind in SOURCES.values())
    return f"{AUTO} (the first camera that is found), {', '.join(each)}"


def words() -> tuple[str, ...]:
    """The forms that are written as they stand, or nearly."""
    return (AUTO, *(kind.form for kind in SOURCES.values() if kind.form.isascii() and " " not in kind.form))


def module_of(kind: Kind) -> SourceModule:
    """The module of a kind."""
    return cast("SourceModule", importlib.import_module(kind.module))


def kind_for(source: str) -> Kind | None:
    """The first kind that ``source`` names; None if it has none of the accepted forms.

    Raises:
        OSError: It is a path that cannot be read.
    """
    return next((kind for kind in SOURCES.values() if module_of(kind).matches(source)), None)


def module_for(source: str) -> SourceModule | None:
    """The module of that kind.

    Raises:
        OSError: It is a path that cannot be read.
    """
    kind = kind_for(source)
    return None if kind is None else module_of(kind)
