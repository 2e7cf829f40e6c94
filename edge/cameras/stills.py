"""A folder of images as a stream."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edge.cameras.picture import SUFFIXES, UNSUPPORTED, PictureError, contents_of, read_picture
from edge.cameras.video import existing, no_camera
from edge.errors import CameraError
from edge.files import may_be_file
from edge.values import Frame

if TYPE_CHECKING:
    from edge.board.findings import Finding, Machine
    from edge.cameras.sources import Place

WAITS = False

INTERVAL = 0.25
"""Scene time between images, in seconds: four images of a person are enough for a verdict at the default dwell."""

log = logging.getLogger(__name__)


def matches(source: str) -> bool:
    path = Path(source).expanduser()
    return path.is_dir() or path.suffix.lower() in {*SUFFIXES, *UNSUPPORTED}


def open_source(source: str, _: Place) -> Stills:
    return Stills(existing(source))


def examine(_: Machine, source: str) -> Iterator[Finding]:
    yield no_camera(source)


class Stills:
    """Plays the images of a folder, or one image, in the order of their names, four to the second."""

    live = False

    def __init__(self, path: Path) -> None:
        """List the images.

        Args:
            path: Of a folder, which is not searched deeper, or of a single image.

        Raises:
            CameraError: The folder cannot be listed or holds no image.
        """
        self.name = str(path)
        try:
            images, skipped = contents_of(path) if path.is_dir() else ([path], "")
        except OSError as error:
            raise CameraError(f"Cannot list the folder {path}: {error.strerror}; check its permissions.") from error
        self._paths = [file for file in images if may_be_file(file)]
        if not self._paths:
            known, also = ", ".join(sorted(SUFFIXES)), f", only {skipped}" if skipped else ""
            raise CameraError(f"The folder {path} holds no image ({known}){also}; give another source.")
        if skipped:
            log.warning("%s: skipped %s.", path, skipped)
        self._alone = not path.is_dir()
        self._sequence = 0
        self._readable = False

    def read(self) -> Frame | None:
        """The next image that can be read, or None at the end; unreadable ones are named in the log and skipped.

        Raises:
            CameraError: Not one image could be read.
        """
        while self._sequence < len(self._paths):
            sequence, self._sequence = self._sequence, self._sequence + 1
            try:
                image = read_picture(self._paths[sequence])
            except PictureError as error:
                if self._alone:
                    raise CameraError(f"{self.name} cannot be read: {error}; give another source.") from error
                log.warning("%s is skipped: %s.", self._paths[sequence], error)
                continue
            self._readable = True
            return Frame(image, sequence * INTERVAL, sequence)
        if not self._readable:
            raise CameraError(f"None of the images in {self.name} can be read; give another source.")
        return None

    def close(self) -> None:
        """Nothing is held open."""
