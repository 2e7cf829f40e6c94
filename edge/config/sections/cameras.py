"""Settings of the camera."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edge.cameras.sources import explained
from edge.config.section import ON_PAGE, HomeText, Section


class CameraSettings(Section):
    """Where the video comes from."""

    source: HomeText = Field(
        "auto",
        description=explained(),
    )
    width: int = Field(640, ge=160, le=4096, description="Frame width to request from a camera, in pixels")
    height: int = Field(480, ge=120, le=4096, description="Frame height to request from a camera, in pixels")
    fps: float = Field(30.0, gt=0, le=120, description="Frame rate to request from a camera, in frames per second")
    exposure: Literal["normal", "backlight"] = Field(
        "normal",
        description="backlight exposes for the middle of the picture: for camera modules with daylight behind visitors",
        json_schema_extra=ON_PAGE,
    )
    exposure_value: float = Field(
        0.0,
        ge=-4,
        le=4,
        description="Exposure compensation for camera modules, in EV (positive is brighter)",
        json_schema_extra=ON_PAGE,
    )
    rotate: Literal[0, 90, 180, 270] = Field(0, description="Rotate the picture clockwise, in degrees")
    loop: bool = Field(False, description="Repeat a recording endlessly, at its own pace")
    stale_after: float = Field(
        3.0, gt=0, le=3600, description="A camera counts as lost after this long without a new frame, in seconds"
    )
    frozen_after: float = Field(
        5.0,
        ge=0,
        le=86400,
        description="A camera counts as frozen after this long with the same picture, in seconds; 0: never",
    )
    dark_after: float = Field(
        30.0,
        ge=0,
        le=86400,
        description="The door is out of service after this long with a black picture, in seconds; 0: never",
    )
    reopen_after: float = Field(
        1.0,
        gt=0,
        le=3600,
        description="First pause before a lost camera is reopened, in seconds; it doubles with each try, up to 30",
    )
