"""Settings of who counts as one person, and when a verdict is reached."""

from __future__ import annotations

from pydantic import Field, field_validator

from edge.config.section import ON_PAGE, Section
from edge.messages import message

FEWEST_CORNERS = 3
MOST_CORNERS = 64

Corners = tuple[tuple[float, float], ...]


class PeopleSettings(Section):
    """Who counts as one person, and when a verdict is reached."""

    dwell: float = Field(0.7, ge=0, le=30, description="Time a person is watched before the first verdict, in seconds")
    lost_after: float = Field(1.5, gt=0, le=60, description="A visit ends after this long out of sight, in seconds")
    min_face: int = Field(32, ge=8, le=4096, description="Minimum face size for a verdict: shorter side, in pixels")
    min_confidence: float = Field(
        0.6,
        ge=0.34,
        le=1,
        description="Minimum share of the votes, for a mask or for an alarm (0.34 to 1); below it the person is unsure",
        json_schema_extra=ON_PAGE,
    )
    hysteresis: float = Field(
        0.15, ge=0, le=0.5, description="Minimum lead in votes (0 to 0.5) of a new verdict over the current one"
    )
    rejudge_every: float = Field(
        0.3, ge=0, le=5, description="Time between re-checks of a person whose verdict is settled, in seconds"
    )
    rejudge_rate: float = Field(
        7.0, gt=0, le=1000, description="At most this many re-checks per second, over all settled people"
    )
    zone: Corners = Field(
        (),
        description="Polygon of (x, y) corners as fractions of the picture; only faces centred inside it count; "
        "empty: the whole picture",
        json_schema_extra=ON_PAGE,
    )

    @field_validator("zone")
    @classmethod
    def _zone_is_a_polygon(cls, zone: Corners) -> Corners:
        if not zone:
            return zone
        if not FEWEST_CORNERS <= len(zone) <= MOST_CORNERS:
            raise ValueError(message("config.corners", fewest=FEWEST_CORNERS, most=MOST_CORNERS))
        if not all(0 <= coordinate <= 1 for corner in zone for coordinate in corner):
            raise ValueError(message("config.corner_outside"))
        if not _polygon_area(zone):
            raise ValueError(message("config.corners_on_a_line"))
        return zone


def _polygon_area(corners: Corners) -> float:
    """By the shoelace formula."""
    following = corners[1:] + corners[:1]
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(corners, following, strict=True))) / 2
