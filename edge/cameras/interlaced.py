"""OpenCV from 4.13 on cannot convert interlaced video: it complains on standard error and gives old memory as frames.

The version that maskgate asks for is older. Where another is installed, its pictures must not pass for the door.
"""

from __future__ import annotations

import os
import re

import cv2

from edge.messages import message

FAILS_FROM = (4, 13)
COMPLAINT = b"interlaced"
"""Part of FFmpeg's message "Cannot convert interlaced to progressive frames or vice versa"."""
MOST_KEPT = 65_536
ADVICE = message("network.progressive")


def fails(version: str = cv2.__version__) -> bool:
    """Whether this OpenCV cannot convert interlaced video."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return found is not None and (int(found[1]), int(found[2])) >= FAILS_FROM


class Complaints:
    """Takes over standard output and error of a process that needs neither, to read what FFmpeg says there."""

    def __init__(self) -> None:
        self._file = os.memfd_create("maskgate-complaints")
        for standard in (1, 2):  # OpenCV passes messages on to either
            os.dup2(self._file, standard)

    def complains(self) -> bool:
        """Whether FFmpeg has written, since last asked, that it cannot convert interlaced pictures."""
        size = os.fstat(self._file).st_size
        if not size:
            return False
        said = os.pread(self._file, min(size, MOST_KEPT), max(0, size - MOST_KEPT))
        os.truncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        return COMPLAINT in said
