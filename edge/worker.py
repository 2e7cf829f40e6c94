"""A thread for what may wait: a disk, a network, firmware. The loop never waits for it."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Worker:
    """Runs ``work`` in a daemon thread until it returns.

        def work(worker: Worker) -> None:
            while not worker.wait(0.5):
                look()

        worker = Worker("board", work)
        worker.close(within=2.0)

    Args:
        name: Of the thread, for diagnosis.
        work: Given the worker, so that it can wait and see when to end. What it raises is logged and ends it.

    Attributes:
        failure: What ``work`` raised; None if there is no problem.
    """

    def __init__(self, name: str, work: Callable[[Worker], None]) -> None:
        self.failure: Exception | None = None
        self._name, self._work = name, work
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def closing(self) -> bool:
        """Whether ``work`` should end."""
        return self._closing.is_set()

    def wait(self, seconds: float) -> bool:
        """Pause inside ``work``. Returns whether it should end; returns immediately when a stop is requested."""
        return self._closing.wait(seconds)

    def ask_to_end(self) -> None:
        """Let ``work`` end, without waiting for it."""
        self._closing.set()

    def close(self, within: float) -> bool:
        """Ask ``work`` to end, and wait for that at most ``within`` seconds. Returns whether it did."""
        self._closing.set()
        self._thread.join(within)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._work(self)
        except Exception as error:  # one failed consumer must not end the others
            self.failure = error
            log.warning(
                "The part %s failed (%s: %s); the door is still watched.", self._name, type(error).__name__, error
            )
            log.debug("How it failed:", exc_info=error)


class Flag:
    """What ``threading.Event`` does, but a signal handler may set it.

    A handler runs in the thread that it interrupts. If that thread waits on an Event, it may hold the Event's lock, and
    ``Event.set`` in the handler would then wait forever. ``SimpleQueue.put`` may be interrupted by itself:
    https://docs.python.org/3/library/queue.html#queue.SimpleQueue.put
    """

    def __init__(self) -> None:
        self._set = False
        self._woken: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self) -> None:
        """Set it for good, and wake all who wait."""
        self._set = True
        self._woken.put(None)

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._set

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, at most ``timeout`` seconds. Returns whether it is."""
        if not self._set:
            with contextlib.suppress(queue.Empty):
                self._woken.get(timeout=None if timeout is None else max(0.0, timeout))
                self._woken.put(None)
        return self._set
