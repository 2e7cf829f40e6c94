"""The live picture in a window of the desktop."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
from typing import cast

import cv2
import numpy as np

from edge.control import Commands, Mute, Stop, Unmute
from edge.errors import ConfigError
from edge.messages import translated
from edge.sinks import Sink
from edge.sinks.registry import Opening
from edge.sinks.web.texts import languages, texts
from edge.status import Status, Summary
from edge.values import Image
from edge.verdicts import FALLBACK_LANGUAGE

TITLE = "maskgate"
ESCAPE, NO_KEY = 27, 0xFF
CLOSE = "close"
SMALLEST = 64
"""A window below this width or height, in pixels, is not on the screen yet."""
LEAST_CHANGE = 0.01
NO_FRAME = (640, 480)
"""Width and height of what is shown before the window has a size."""
LONGEST_LINE = 48
"""In letters."""
DARK = 24
WHITE, RED = (255, 255, 255), (31, 22, 179)
PROBE = "import cv2; cv2.namedWindow('maskgate'); cv2.waitKey(1)"


def open_sink(opening: Opening) -> Sink:
    """Open the window.

    Raises:
        ConfigError: There is no desktop, or this OpenCV has no windows.
    """
    return LivePicture(opening.commands)


class LivePicture(Sink):
    """The newest frame with boxes, verdicts and totals, and an alarm across the top; closing it stops the run.

    Everything happens in the loop's thread: desktops allow windows in one thread only.
    """

    name = "the window"
    every = 0.0

    def __init__(self, commands: Commands) -> None:
        """Open the window; ``commands`` takes the stop.

        Raises:
            ConfigError: There is no desktop, or this OpenCV has no windows.
        """
        self._window = Window()
        self._commands = commands
        self._frame: Image | None = None
        self._said: tuple[str | None, bool] = (None, False)
        self._help = False

    def show(self, status: Status) -> None:
        """Show the newest frame, or why there is none, and let the window react."""
        said = (status.camera.trouble, self._help)
        nothing_yet = status.image is None and not status.camera.trouble
        if not nothing_yet and (status.image is not self._frame or said != self._said):
            self._frame, self._said = status.image, said
            self._window.show(picture_of(status, self._window.size(), self._help))
        self._obey(self._window.key(), status)

    def _obey(self, key: str, status: Status) -> None:
        if key == CLOSE:
            self._commands.ask(Stop())
        elif key == "h":
            self._help = not self._help
        elif key == "m":
            self._commands.ask(Unmute() if status.alerts.muted_until is not None else Mute())

    def finish(self, summary: Summary) -> None:
        """Remove the window."""
        del summary
        self._window.close()


def picture_of(status: Status, size: tuple[int, int] | None, helping: bool = False) -> Image:
    """What the window shows, its text in the window's own pixels.

    Args:
        status: With a frame, or the reason why there is none.
        size: Width and height of the window in pixels; None: those of the frame.
        helping: Whether the keys are explained.
    """
    from edge.sinks.draw import annotate, banner, with_lines_below

    language = status.language
    words = texts(language if language in languages() else FALLBACK_LANGUAGE)
    if status.image is None:
        width, height = size or NO_FRAME
        canvas: Image = np.full((height, width, 3), DARK, np.uint8)
        banner(canvas, words["kiosk.out_of_service.headline"], WHITE, RED)
        why = textwrap.wrap(translated(status.camera.trouble or "", language), LONGEST_LINE)
        canvas = with_lines_below(canvas, [(line, WHITE) for line in why])
    else:
        image, scale = _fitted(status.image, size)
        canvas = annotate(image, status.in_sight, status.totals, scale=scale, language=language)
        if status.alarm:
            banner(canvas, _alarm(status, words["operator.alarm"], language), WHITE, RED)
    return with_lines_below(canvas, [(words["window.keys"], WHITE)]) if helping else canvas


def _alarm(status: Status, word: str, language: str) -> str:
    """``Alarm: no mask``."""
    alarming = [person.verdict for person in status.people if person.verdict.alarming]
    urgent = max(alarming, key=lambda verdict: verdict.row.urgency, default=None)
    return f"{word}: {urgent.named(language)}" if urgent else word


def _fitted(image: Image, size: tuple[int, int] | None) -> tuple[Image, float]:
    """The frame as large as the window allows, and by how much it was enlarged."""
    height, width = image.shape[:2]
    scale = min(size[0] / width, size[1] / height) if size else 1.0
    if abs(scale - 1.0) < LEAST_CHANGE:
        return image, 1.0
    new = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cast("Image", cv2.resize(image, new, interpolation=way)), scale


class Window:
    """Shows pictures until ``q``, Escape or the window's own button closes it."""

    def __init__(self) -> None:
        """Open the window.

        Raises:
            ConfigError: There is no desktop, or this OpenCV has no windows.
        """
        # Without a display Qt ends the process instead of failing, so another process tries first.
        probe = [sys.executable, "-c", PROBE]
        if subprocess.run(probe, capture_output=True, check=False).returncode != 0:  # noqa: S603
            raise ConfigError(
                "--window needs a desktop and opencv-python: run `make desktop` in a graphical session,"
                " or leave --window out."
            )
        cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        self._sized = False

    def show(self, image: Image) -> None:
        """Show a (H, W, 3) uint8 BGR picture."""
        if not self._sized:
            cv2.resizeWindow(TITLE, image.shape[1], image.shape[0])
            self._sized = True
        cv2.imshow(TITLE, image)

    def size(self) -> tuple[int, int] | None:
        """Width and height of what it shows, in pixels; None before it is on the screen."""
        try:
            _, _, width, height = cv2.getWindowImageRect(TITLE)
        except cv2.error:
            return None
        return (width, height) if min(width, height) >= SMALLEST else None

    def key(self) -> str:
        """Let the window react. Returns the key that was pressed; ``CLOSE`` if the user closed it, else empty."""
        code = cv2.waitKey(1) & 0xFF
        if code in (ord("q"), ESCAPE) or not self._is_open():
            return CLOSE
        return chr(code).lower() if code != NO_KEY else ""

    def _is_open(self) -> bool:
        try:
            return cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:  # Qt has no answer once its last window is gone
            return False

    def close(self) -> None:
        """Remove the window."""
        with contextlib.suppress(cv2.error):  # the user may have closed it
            cv2.destroyWindow(TITLE)
