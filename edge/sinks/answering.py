"""Answers other commands of this machine, such as ``maskgate alerts test``, over a socket that only this user opens.

A request is one line of JSON; so is the answer. A picture follows its line as raw bytes. Requests are answered one
after another: who asks is the user of the door, or root.
"""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from pathlib import Path
from typing import Any

from edge.config.place import control_path
from edge.control import BadRequestError, RefusedError, command_of
from edge.errors import MaskgateError
from edge.messages import message, together
from edge.running import LARGEST_LINE, connected, read_line, short_path
from edge.sinks import Sink
from edge.sinks.registry import Opening
from edge.status import Status
from edge.values import Image
from edge.worker import Worker

LOOK_EVERY = 0.5
"""Between two statuses, and between two looks at whether to end, in seconds."""
REQUEST_WITHIN = 2.0
"""A request must be complete, and its answer taken, within this time, in seconds."""
ANSWER_WITHIN = 3.0
"""The loop answers between two frames; one that takes longer hangs, in seconds."""
FAREWELL = 1.0

log = logging.getLogger(__name__)


def open_sink(opening: Opening) -> Sink:
    """Listen; where that cannot be, the door is still watched."""
    path = control_path(opening.config.counts)
    try:
        return Answering(path, _listen(path), opening)
    except OSError as error:
        log.info("Other commands cannot reach this run: %s: %s.", path, error.strerror or error)
        return Sink()


class Answering(Sink):
    """Answers until it is closed.

    Args:
        path: Where it listens.
        listener: The socket.
        opening: Has the clock, and what carries requests to the loop.
    """

    name = "answers to other commands"
    every = LOOK_EVERY

    def __init__(self, path: Path, listener: socket.socket, opening: Opening) -> None:
        self._path, self._listener, self._commands = path, listener, opening.commands
        self._clock, self._stale_after = opening.clock, opening.config.camera.stale_after
        self._status: Status | None = None
        self._worker = Worker("answering", self._run)

    def show(self, status: Status) -> None:
        """Keep the status for those who ask."""
        self._status = status

    def close(self) -> None:
        """Answer no more."""
        self._worker.close(within=FAREWELL)

    def _run(self, worker: Worker) -> None:
        with self._listener as listener:
            listener.settimeout(LOOK_EVERY)
            while not worker.closing:
                with suppress(TimeoutError):
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):  # one that hangs or leaves is no concern of the others
                        connection.settimeout(REQUEST_WITHIN)
                        self._answer(connection)
        with suppress(OSError):
            self._path.unlink()

    def _answer(self, connection: socket.socket) -> None:
        image: Image | None = None
        try:
            asked = _request(connection)
            if asked.get("do") == "picture":
                said, image = self._picture()
            else:
                said = self._outputs() if asked.get("do") == "outputs" else {"said": self._carry_out(asked)}
        except (BadRequestError, MaskgateError) as error:
            said = {"error": str(error)}
        connection.sendall(json.dumps(said).encode() + b"\n")
        if image is not None:
            connection.sendall(image.tobytes())

    def _carry_out(self, asked: Mapping[str, Any]) -> str:
        answer = self._commands.ask(command_of(asked))
        try:
            return answer.result(ANSWER_WITHIN)
        except FutureTimeoutError:
            answer.cancel()
            raise RefusedError(message("operator.unanswered")) from None

    def _outputs(self) -> dict[str, Any]:
        alerts = self._now().alerts
        return {
            "outputs": [{"kind": one.kind, "name": one.name, "trouble": one.trouble} for one in alerts.outputs],
            "muted": alerts.muted_until is not None,
            "quiet_hours": alerts.quiet_hours,
        }

    def _picture(self) -> tuple[dict[str, Any], Image]:
        status = self._now()
        reasons = status.reasons(self._clock.monotonic(), self._stale_after)
        if reasons or status.image is None:
            raise RefusedError(together(reasons or [message("camera.none_yet", camera=status.camera.name)]))
        height, width = status.image.shape[:2]
        return {"camera": status.camera.name, "width": width, "height": height}, status.image

    def _now(self) -> Status:
        if self._status is None:
            raise RefusedError(message("operator.starting"))
        return self._status


def _request(connection: socket.socket) -> Mapping[str, Any]:
    try:
        said = json.loads(read_line(connection, LARGEST_LINE))
    except (ValueError, RecursionError) as error:
        raise BadRequestError(message("request.no_line")) from error
    if not isinstance(said, dict):
        raise BadRequestError(message("request.no_object"))
    return said


def _listen(path: Path) -> socket.socket:
    """A socket for this user alone. What a run that was killed left there makes room; another run keeps its own.

    Raises:
        OSError: It is not available.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError, ConnectionRefusedError):
        connected(path).close()
        raise FileExistsError(None, "another run answers there")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(path) as place:
            listener.bind(place)
        path.chmod(0o600)  # before anybody can connect
        listener.listen()
    except BaseException:
        listener.close()
        raise
    return listener
