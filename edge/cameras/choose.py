"""Which camera ``camera.source`` means, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from edge.cameras import Camera, InputSize, NotThereError
from edge.cameras.address import shown
from edge.cameras.demo import DEMO_CLIP
from edge.cameras.sources import AUTO, SOURCES, Kind, Place, forms, kind_for, module_of, words
from edge.clock import Clock
from edge.errors import CameraError, ConfigError
from edge.messages import message, together
from edge.text import did_you_mean, printable
from edge.values import Frame

if TYPE_CHECKING:
    from edge.config import CameraSettings

TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


@dataclass(frozen=True, slots=True)
class Choice:
    """An open camera.

    Attributes:
        camera: The camera, turned as the settings say.
        reopen: Opens the same one again, also under another device number after it was plugged in again.
        why: Sentences for the operator: what was looked for, what was taken.
        stand_in: Whether it is the demo clip for want of a camera, so that what it shows did not happen.
        exposed: Makes a ``reopen`` with other settings of the exposure; None for a camera that chooses its own.
    """

    camera: Camera
    reopen: Callable[[], Camera]
    why: tuple[str, ...]
    stand_in: bool = False
    exposed: Callable[[CameraSettings], Callable[[], Camera]] | None = None


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
    place = Place(settings, clock, _detector(settings, input_size), demo, dev)
    if settings.source == AUTO:
        return _automatic(place)
    return _opened(Opener(_named(settings.source), settings.source, place))


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
    place = Place(settings, clock, _detector(settings, input_size), demo, dev)
    opener = Opener(None if settings.source == AUTO else _named(settings.source), settings.source, place)
    try:
        return _opened(opener) if opener.kind else _first_camera(place)
    except CameraError as error:
        if opener.kind and not module_of(opener.kind).WAITS:
            raise
        absent = AbsentCamera(shown(settings.source), str(error))
        return _chosen(absent, opener, str(error), "Waiting for a camera.")


def _opened(opener: Opener) -> Choice:
    camera = opener()
    return _chosen(camera, opener, f"Pictures come from {printable(camera.name)}.")


def _chosen(camera: Camera, opener: Opener, *why: str) -> Choice:
    exposes = opener.kind is None or opener.kind.exposes
    return Choice(camera, opener, why, exposed=opener.exposed if exposes else None)


def _named(source: str) -> Kind:
    if not source.strip():
        raise ConfigError(f"The picture source is empty; accepted: {forms()}.")
    try:
        kind = kind_for(source)
    except OSError as error:
        raise CameraError(
            f"{shown(source)} cannot be read: {error.strerror}; check the path given as source."
        ) from error
    if kind is None:
        hint = did_you_mean(source, words())
        raise ConfigError(
            f"{shown(source)!r} is not a picture source; {f'{hint} ' if hint else ''}accepted: {forms()}."
        )
    return kind


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens one camera, as often as needed.

    Attributes:
        kind: What it is; None for the first camera that is there.
        source: Which of its kind.
        place: Where and how.
    """

    kind: Kind | None
    source: str
    place: Place

    def __call__(self) -> Camera:
        """Open it, turned upright."""
        if self.kind is None:
            return _first_camera(self.place).camera
        camera = module_of(self.kind).open_source(self.source, self.place)
        degrees = self.place.settings.rotate
        made_upright = camera.name == "demo"  # rotation is for what is mounted at the door
        return Rotated(camera, degrees) if degrees and not made_upright else camera

    def exposed(self, settings: CameraSettings) -> Opener:
        """One that opens it with the exposure of other settings."""
        return replace(self, place=replace(self.place, settings=settings))


def _automatic(place: Place) -> Choice:
    """The first camera that is there, else the demo clip.

    A camera that is there but does not work is an error: a door must not be watched through a demo clip.
    """
    try:
        return _first_camera(place)
    except NoCameraError as error:
        instead = "Playing the demo clip instead; its visits are not stored. Plug in a camera, or give --source."

        reopen = Opener(SOURCES["demo"], "demo", place)
        return Choice(reopen(), reopen, (*error.why, instead), stand_in=True)


def _first_camera(place: Place) -> Choice:
    """The first camera that is there, of the kinds that ``auto`` looks for.

    Raises:
        NoCameraError: There is none.
        CameraError: One is there but does not work.
    """
    why: list[str] = []
    for kind in (one for one in SOURCES.values() if one.auto):
        opener = Opener(kind, kind.form, place)
        try:
            camera = opener()
        except NotThereError as error:
            why.append(message("camera.none_of_kind", kind=kind.auto, reason=str(error)))
        else:
            return _chosen(camera, opener, *why, f"Pictures come from the {kind.auto} camera {camera.name}.")
    raise NoCameraError(*why)


def _detector(settings: CameraSettings, input_size: InputSize | None) -> tuple[int, int] | None:
    """The face model's input as the camera sees it, which may hang sideways."""
    if not input_size:
        return None
    width, height = settings.width, settings.height
    if settings.rotate % 180 == 0:
        return input_size(width, height)
    across, along = input_size(height, width)
    return along, across


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
        """Nothing is held."""


class NoCameraError(CameraError):
    """There is no camera. ``why`` has one sentence for each place that was searched."""

    def __init__(self, *why: str) -> None:
        super().__init__(together(why))
        self.why = why
