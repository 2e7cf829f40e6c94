"""A folder of images as a stream."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2

from edge.errors import CameraError
from edge.values import Frame, Image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
"""File names that are taken for images, in lower case."""
INTERVAL = 0.25
"""Scene seconds from one image to the next: four of one person are enough for a verdict at the default dwell."""

log = logging.getLogger(__name__)


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
            inside = sorted(path.iterdir()) if path.is_dir() else [path]
        except OSError as error:
            raise CameraError(f"Cannot list the folder {path}: {error.strerror}; check its permissions.") from error
        self._paths = [file for file in inside if file.suffix.lower() in SUFFIXES and file.is_file()]
        if not self._paths:
            raise CameraError(f"The folder {path} holds no image ({', '.join(sorted(SUFFIXES))}); give another source.")
        self._sequence = 0
        self._readable = False

    def read(self) -> Frame | None:
        """The next image that can be read, or None at the end; unreadable ones are named in the log and skipped.

        Raises:
            CameraError: Not one image could be read.
        """
        while self._sequence < len(self._paths):
            sequence, self._sequence = self._sequence, self._sequence + 1
            image = read_image(self._paths[sequence])
            if image is not None:
                self._readable = True
                return Frame(image, sequence * INTERVAL, sequence)
            log.warning("%s is not an image that can be read; it is skipped.", self._paths[sequence])
        if not self._readable:
            raise CameraError(f"None of the images in {self.name} can be read; give another source.")
        return None

    def close(self) -> None:
        """Nothing is held open."""


def read_image(path: Path) -> Image | None:
    """(H, W, 3) uint8 BGR, turned upright by its EXIF orientation, or None where the file is no readable image."""
    try:
        return cv2.imread(str(path), cv2.IMREAD_COLOR)  # type: ignore[return-value]
    except cv2.error:  # a header that promises more pixels than OpenCV agrees to decode
        return None
