"""Settings of the counts."""

from __future__ import annotations

from pydantic import Field

from edge.config.section import HomePath, Section


class CountSettings(Section):
    """The store of visits."""

    path: HomePath | None = Field(
        None,
        description="SQLite file; unset: counts.db in the service's $STATE_DIRECTORY, else in ~/.local/state/maskgate",
    )
    recordings: bool = Field(
        False, description="Count the visits in recordings and the demo too, not only those a camera sees"
    )
    commit_every: float = Field(
        5.0, gt=0, le=60, description="Maximum time before a visit is written to disk, in seconds"
    )
    retention_days: int = Field(
        31, ge=1, le=36525, description="How long single visits are kept, in days; hourly totals are kept for ever"
    )
