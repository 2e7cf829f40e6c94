"""Settings of the face detector and the mask classifier."""

from __future__ import annotations

from pydantic import Field

from edge.board import profile_of
from edge.config.own_model import own_model
from edge.config.section import ON_PAGE, Section

MODEL_WORDS = (
    "A shipped model by its name (the default suits the board), or a model of your own: a folder with a manifest.json, "
    "a .tflite next to one, or PATH/manifest.json#NAME; a relative path starts at the configuration file"
)


class FaceSettings(Section):
    """The face detector."""

    model: str = Field(
        default_factory=lambda: own_model("face-detection") or profile_of().face,
        description=MODEL_WORDS,
    )
    threshold: float = Field(0.5, gt=0, lt=1, description="Minimum face score in live video (0 to 1)")
    still_threshold: float = Field(0.4, gt=0, lt=1, description="Minimum face score in single images (0 to 1)")
    nms_iou: float = Field(0.3, gt=0, lt=1, description="Boxes with a larger overlap (IoU, 0 to 1) are one face")
    max_faces: int = Field(20, ge=1, le=200, description="Maximum number of faces per frame, the best first")
    idle_every: float = Field(
        0.15,
        ge=0,
        le=1,
        description="Time between looks while nobody is in view and nothing moves, in seconds; 0: every frame",
    )


class MaskSettings(Section):
    """The mask classifier."""

    model: str = Field(
        default_factory=lambda: own_model("mask-classification") or profile_of().mask,
        description=MODEL_WORDS,
    )
    alarm_below: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Alarm when the probability of a mask is below this (0 to 1): higher catches more masks under the "
        "nose, lower gives fewer false alarms; unset: the value that suits the model, from its manifest",
        json_schema_extra=ON_PAGE,
    )
