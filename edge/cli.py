"""The ``maskgate`` command as a process. It imports little, so Ctrl-C ends it in silence also while it starts."""

from __future__ import annotations

import os
import signal
import sys

from edge import streams

TYPE_CHECKING = False  # typing itself takes as long to load as the rest of this module
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType
    from typing import NoReturn

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended."""

START_FASTER = {"OPENBLAS_NUM_THREADS": "1", "PYDANTIC_DISABLE_PLUGINS": "__all__"}
"""For libraries that are loaded later: no threads for matrices, of which there are none, and no search for plugins."""


def program() -> NoReturn:
    """The command as its own process."""
    streams.open_all()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # nohup ignores it
        signal.signal(signal.SIGINT, _leave)
    for name, value in START_FASTER.items():
        os.environ.setdefault(name, value)
    end_process(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Args:
        arguments: Without the program's name; the process's own by default.
    """
    from edge.command_line import run

    return run(arguments, interruptible)


def interruptible() -> None:
    """From now on Ctrl-C raises KeyboardInterrupt: there may be something to clean up."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def end_process(code: int) -> NoReturn:
    """End, also while a driver holds the thread that reads a camera.

    Python would take the interpreter, and C++ its libraries, away from under such a thread: that aborts the process.
    """
    import logging
    import threading
    from contextlib import suppress

    from edge.cameras import CAMERA_THREAD

    if any(thread.name == CAMERA_THREAD for thread in threading.enumerate()):
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """Nothing is open yet. An exception could be taken for a failed import, or be lost in one."""
    os._exit(INTERRUPTED)
