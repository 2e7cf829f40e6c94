"""Where the state folder is: the counts, and next to them the tokens and the changes from the operator page."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from edge.config.sections.counts import CountSettings

SOCKET = "control"


def control_path(settings: CountSettings, environment: Mapping[str, str] | None = None) -> Path:
    """Where a running door answers other commands of this machine: the service's runtime folder, else by the counts."""
    env = os.environ if environment is None else environment
    if env.get("RUNTIME_DIRECTORY"):
        return Path(env["RUNTIME_DIRECTORY"].split(":")[0]) / SOCKET
    return store_path(settings, env).with_name(SOCKET)


def store_path(settings: CountSettings, environment: Mapping[str, str] | None = None) -> Path:
    """Where the counts are: as set, else in the service's state directory, else in the user's."""
    env = os.environ if environment is None else environment
    if settings.path:
        return settings.path.expanduser()
    if env.get("STATE_DIRECTORY"):
        return Path(env["STATE_DIRECTORY"].split(":")[0]) / "counts.db"
    state = env.get("XDG_STATE_HOME") or Path(env.get("HOME", "/")) / ".local/state"
    return Path(state) / "maskgate/counts.db"
