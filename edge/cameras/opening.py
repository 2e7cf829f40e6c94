"""Opening a camera, which may take long, without being deaf to a signal to stop meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edge.cameras import CAMERA_THREAD
from edge.cameras.choose import Choice
from edge.worker import Flag

LOOK_EVERY = 0.1
"""Interval between checks of the stop signal, in seconds."""


class StoppedError(Exception):
    """Somebody asked to stop before the camera was open."""


def open_unless_stopped(open_camera: Callable[[], Choice], stopped: Flag) -> Choice:
    """What ``open_camera`` opens, in a thread that is left behind where ``stopped`` is set first.

    Raises:
        StoppedError: It was.
        MaskgateError: What ``open_camera`` raises.
    """
    opened: list[Choice] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            opened.append(open_camera())
        except BaseException as error:  # raised where somebody waits for it
            failed.append(error)

    thread = threading.Thread(target=work, name=CAMERA_THREAD, daemon=True)
    thread.start()
    while thread.is_alive():
        if stopped.is_set():
            raise StoppedError
        thread.join(LOOK_EVERY)
    if failed:
        raise failed[0]
    return opened[0]
