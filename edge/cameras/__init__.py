"""Where pictures come from. ``sources`` lists the backends, one file each; ``choose`` opens what the settings name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from edge.errors import CameraError

if TYPE_CHECKING:
    from edge.values import Frame

CAMERA_THREAD = "camera"
"""Name of the threads that wait for a camera. A driver may block one for ever, even when the process wants to end."""

InputSize = Callable[[int, int], tuple[int, int]]
"""Width and height of the face model's input, in pixels, for frames of a width and height."""


class Camera(Protocol):
    """A source of frames.

    Attributes:
        name: What the operator calls it: ``/dev/video0``, ``picamera``, ``demo``.
        live: Whether it is paced by the world (frames are lost if nobody reads) or ends by itself.
    """

    name: str
    live: bool

    def read(self) -> Frame | None:
        """The next frame, or None at the end of a source that ends.

        Raises:
            CameraError: The source gave no picture; it should be opened again.
        """
        ...

    def close(self) -> None:
        """Release the device. Safe to call twice."""
        ...


class NotThereError(CameraError):
    """There is no camera of this kind here, as opposed to one that does not work."""
