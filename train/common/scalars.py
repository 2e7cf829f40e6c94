"""Figures per epoch for TensorBoard (``--tensorboard``), in addition to the plots that every run draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge.errors import ConfigError


class Scalars:
    """Writes the numbers of each epoch.

    Args:
        folder: Where ``tensorboard --logdir`` looks for them; None writes nothing.

    Raises:
        ConfigError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path | None) -> None:
        self._writer: Any = None
        if folder is None:
            return
        try:
            from tensorboard.summary import Writer
        except ImportError as error:
            raise ConfigError(
                "--tensorboard needs a package that is not installed: pip install 'maskgate[tensorboard]'"
            ) from error
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = Writer(str(folder))

    def add(self, epoch: int, row: Mapping[str, Any]) -> None:
        """Write all numbers of an epoch, counted from 1; those of nested tables as ``table/name``."""
        if self._writer is None:
            return
        for name, value in _numbers(row):
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()


def _numbers(row: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, float]]:
    for key, value in row.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{within}{key}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{within}{key}", float(value)
