"""One picture from the camera that the settings name, for looking at its set-up."""

from __future__ import annotations

from typing import NamedTuple

from edge.cameras.choose import Choice, open_camera
from edge.cameras.source import LatestFrame
from edge.clock import Clock, SystemClock
from edge.config import Config
from edge.errors import CameraError
from edge.values import Frame, Image

SETTLE = 2.0
"""The exposure of a camera that was just opened settles within this time, in seconds."""
PICTURE_WITHIN = 10.0
"""A camera that sends nothing for this long sends nothing, in seconds."""


class Picture(NamedTuple):
    """A picture.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        camera: Whose it is.
    """

    image: Image
    camera: str


def take_picture(config: Config, clock: Clock | None = None) -> Picture:
    """Open the camera, let its exposure settle, take one picture, and close it. Of a recording it is the first.

    Raises:
        ConfigError: The source has none of the accepted forms.
        CameraError: There is no camera, or it sends no picture.
    """
    clock = clock or SystemClock()
    choice = open_camera(config.camera, clock)
    if choice.stand_in:
        choice.camera.close()
        raise CameraError(" ".join(choice.why[:-1]) or "There is no camera.")
    frame = _settled(choice, config, clock) if choice.camera.live else _first(choice)
    if frame is None:
        raise CameraError(f"{choice.camera.name} sends no picture; see docs/troubleshooting.md.")
    return Picture(frame.image, choice.camera.name)


def _first(choice: Choice) -> Frame | None:
    try:
        return choice.camera.read()
    finally:
        choice.camera.close()


def _settled(choice: Choice, config: Config, clock: Clock) -> Frame | None:
    settings = config.camera
    source = LatestFrame(
        choice.camera, choice.reopen, clock, stale_after=PICTURE_WITHIN, reopen_after=settings.reopen_after
    )
    try:
        newest = source.next(PICTURE_WITHIN)
        end = clock.monotonic() + SETTLE
        while newest and clock.monotonic() < end:
            newest = source.next(SETTLE) or newest
        return newest
    finally:
        source.close()
