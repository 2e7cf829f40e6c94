"""How close people must come for the face model to see them: in a large frame that is scaled down, faces get small."""

from __future__ import annotations

import logging

from edge.vision.face_detector import Size
from edge.vision.preprocess import fitted_size

SMALLEST_FACE = 12
"""Face size in pixels of the model's input below which fewer than half are found."""

SHRUNK = 6.0
"""Scale factor from which frames are larger than a door needs."""


log = logging.getLogger(__name__)


def warn_beyond_reach(name: str, frame: Size, model: Size) -> None:
    """Log what ``beyond_reach`` says, if anything."""
    said = beyond_reach(name, frame, model)
    if said:
        log.warning("%s", said)


def beyond_reach(name: str, frame: Size, model: Size) -> str | None:
    """The warning if frames are scaled down so far that people at the door may be missed; else None.

    Args:
        name: Of the camera.
        frame: Width and height of its frames.
        model: Of the model's input for such frames.
    """
    width, height, scale = fitted_size(*frame, *model)
    if scale * SHRUNK > 1:
        return None
    smallest = round(SMALLEST_FACE / scale)
    return (
        f"{name} sends frames of {frame[0]}x{frame[1]}, in which faces are looked for at {width}x{height}: a face less "
        f"than {smallest} pixels high is missed. Show the door larger, by the camera's zoom, lens or distance. "
        "If faces are large enough, ask for smaller frames, which cost less: camera.width and camera.height, "
        "or the camera's second stream."
    )
