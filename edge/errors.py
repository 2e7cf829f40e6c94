"""What can go wrong, as one family of exceptions: each carries a sentence for the operator and an exit code."""

from __future__ import annotations


class MaskgateError(Exception):
    """Something the operator can act on. Its text is one sentence that says what to do."""

    exit_code = 1


class ConfigError(MaskgateError, ValueError):
    """The configuration or the command line is wrong."""

    exit_code = 2


class CameraError(MaskgateError, OSError):
    """A camera or recording is absent, busy, unreadable or lost."""

    exit_code = 3


class ModelError(MaskgateError, RuntimeError):
    """A model file is missing, altered or not what the pipeline expects, or no runtime can run it."""

    exit_code = 4


class StoreError(MaskgateError, OSError):
    """The counts cannot be read or written."""

    exit_code = 5


class AlertError(MaskgateError, RuntimeError):
    """An alert output was asked for and cannot be driven."""

    exit_code = 6
