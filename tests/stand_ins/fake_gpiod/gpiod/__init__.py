"""The part of the package gpiod (version 2) that maskgate uses, on lines that are files: they outlive a process.

A chip is a folder ``gpiochipN`` with a file ``label`` and a folder a line, named by its offset: ``level`` holds what a
meter at the pin would show, ``used`` who drives it, ``presses`` a line for each edge that waits to be read. Signatures
are those of the real package; tests/alerts/test_gpiod.py compares them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gpiod.line import Bias, Clock, Direction, Drive, Edge, Value


class RequestReleasedError(Exception):
    """Raised when a released request is used."""


@dataclass(repr=False)
class LineSettings:
    """A set of line properties."""

    direction: Direction = Direction.AS_IS
    edge_detection: Edge = Edge.NONE
    bias: Bias = Bias.AS_IS
    drive: Drive = Drive.PUSH_PULL
    active_low: bool = False
    debounce_period: timedelta = timedelta()
    event_clock: Clock = Clock.MONOTONIC
    output_value: Value = Value.INACTIVE


class LineRequest:
    """One requested line."""

    def __init__(self, req: Any) -> None:
        self._folder: Path | None = req.folder
        self._line: int | str = req.line
        self._settings: LineSettings = req.settings

    def set_value(self, line: int | str, value: Value) -> None:
        folder = self._requested(line)
        if (folder / "broken").exists():
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        (folder / "level").write_text(str(int(bool(value) != self._settings.active_low)))

    def wait_edge_events(self, timeout: timedelta | float | None = None) -> bool:
        assert timeout == 0, "waiting would hold up the frame loop"
        assert (self._settings.bias, self._settings.active_low) == (Bias.PULL_UP, True)
        assert self._settings.edge_detection is Edge.RISING
        assert self._settings.debounce_period > timedelta()
        presses = self._requested(self._line) / "presses"
        return presses.exists() and bool(presses.read_text())

    def read_edge_events(self, max_events: int | None = None) -> list[Any]:
        presses = self._requested(self._line) / "presses"
        waiting = presses.read_text().splitlines()
        presses.write_text("")
        return [SimpleNamespace(line_offset=int(presses.parent.name)) for _ in waiting]

    def release(self) -> None:
        if self._folder:
            (self._folder / "used").unlink(missing_ok=True)
            self._folder = None

    def _requested(self, line: int | str) -> Path:
        if self._folder is None:
            raise RequestReleasedError
        if line != self._line:
            raise ValueError(f"unknown line name: {line}")
        return self._folder


class Chip:
    """A chip."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        if not is_gpiochip_device(path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    def __enter__(self) -> Chip:
        return self

    def __exit__(self, exc_type: object, exc_value: object, traceback: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is held."""

    def get_info(self) -> Any:
        return SimpleNamespace(name=self._path.name, label=(self._path / "label").read_text())


def is_gpiochip_device(path: str) -> bool:
    return (Path(path) / "label").is_file()


def request_lines(
    path: str,
    config: dict[Iterable[int | str] | int | str, LineSettings | None],
    consumer: str | None = None,
    event_buffer_size: int | None = None,
    output_values: dict[int | str, Value] | None = None,
) -> LineRequest:
    ((line, settings),) = config.items()
    assert isinstance(line, (int, str))
    assert settings is not None
    folder = _folder(Path(path), line)
    if (folder / "used").exists() and _alive(int((folder / "used").read_text())):
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
    (folder / "used").write_text(str(os.getpid()))
    request = LineRequest(SimpleNamespace(folder=folder, line=line, settings=settings))
    if settings.direction is Direction.OUTPUT:
        request.set_value(line, settings.output_value)
    return request


def _folder(chip: Path, line: int | str) -> Path:
    key = "name" if isinstance(line, str) else "level"
    for folder in chip.iterdir():
        named = folder / key
        if folder.name == str(line) or (named.is_file() and named.read_text() == line):
            return folder
    if key == "level":
        raise ValueError("line offset of out range")
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
