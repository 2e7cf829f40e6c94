"""The live picture in a window of the desktop."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import cv2

from edge.control import Commands, Stop
from edge.errors import ConfigError
from edge.sinks import Sink
from edge.sinks.registry import Opening
from edge.status import Status, Summary
from edge.values import Image

TITLE = "maskgate"
ESCAPE = 27
PROBE = "import cv2; cv2.namedWindow('maskgate'); cv2.waitKey(1)"


def open_sink(opening: Opening) -> Sink:
    """Open the window.

    Raises:
        ConfigError: There is no desktop, or this OpenCV has no windows.
    """
    return LivePicture(opening.commands)


class LivePicture(Sink):
    """The newest frame with boxes, verdicts and totals; closing it stops the run.

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
        self._shown: Image | None = None

    def show(self, status: Status) -> None:
        """Show the newest frame, and let the window react."""
        from edge.sinks.draw import annotate

        if status.image is not None and status.image is not self._shown:
            self._shown = status.image
            self._window.show(annotate(status.image, status.people, status.totals))
        if self._window.closed():
            self._commands.ask(Stop())

    def finish(self, summary: Summary) -> None:
        """Remove the window."""
        del summary
        self._window.close()


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

    def closed(self) -> bool:
        """Let the window react, and tell whether the user closed it."""
        if cv2.waitKey(1) & 0xFF in (ord("q"), ESCAPE):
            return True
        try:
            return cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1
        except cv2.error:  # Qt has no answer once its last window is gone
            return True

    def close(self) -> None:
        """Remove the window."""
        with contextlib.suppress(cv2.error):  # the user may have closed it
            cv2.destroyWindow(TITLE)
