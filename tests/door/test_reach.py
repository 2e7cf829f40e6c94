"""Frames in which people at the door come out too small."""

import pytest

from edge.door.reach import beyond_reach


@pytest.mark.parametrize("frame", [(640, 480), (1280, 720), (480, 640), (1600, 1200)])
def test_usual_frame_sizes_are_fine(frame: tuple[int, int]) -> None:
    assert beyond_reach("usb:0", frame, (320, 320)) is None


def test_very_large_frames_are_explained() -> None:
    said = beyond_reach("rtsp://door/1", (3840, 2160), (320, 192))
    assert said is not None
    assert said.startswith("rtsp://door/1 sends frames of 3840x2160, in which faces are looked for at 320x180: a face")
    assert "144 pixels" in said
    assert "camera.width" in said
