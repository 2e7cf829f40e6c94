"""Where the state folder is: the counts, and next to them the token and the changes from the operator page."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from edge.config.sections.counts import CountSettings


def store_path(settings: CountSettings, environment: Mapping[str, str] | None = None) -> Path:
    """Where the counts are: as set, else in the service's state directory, else in the user's."""
    env = os.environ if environment is None else environment
    if settings.path:
        return settings.path.expanduser()
    if env.get("STATE_DIRECTORY"):
        return Path(env["STATE_DIRECTORY"].split(":")[0]) / "counts.db"
    state = env.get("XDG_STATE_HOME") or Path(env.get("HOME", "/")) / ".local/state"
    return Path(state) / "maskgate/counts.db"
