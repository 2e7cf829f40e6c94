"""Render the demo clip and write its truth: ``python -m train.demo_clip``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from edge.cameras.demo import DEMO_CLIP, DEMO_TRUTH
from edge.values import Image
from train.demo_clip import portraits
from train.demo_clip.draw_mask import Map, Mask, draw_mask
from train.demo_clip.portraits import Portrait
from train.demo_clip.room import DOOR_FACE, HEIGHT, WIDTH, Room, build_room, graded
from train.demo_clip.scenes import FPS, SCENES, SECONDS, Walk, truth

SEED = 20
SHUTTER = 0.016
"""Seconds that the shutter is open: what moves is blurred along its way."""


def main() -> None:
    """Write the clip and the truth, and say how large they are."""
    parser = argparse.ArgumentParser(prog="python -m train.demo_clip", description=__doc__)
    parser.add_argument("--clip", type=Path, default=DEMO_CLIP, help="video to write (default: %(default)s)")
    parser.add_argument("--truth", type=Path, default=DEMO_TRUTH, help="truth to write (default: %(default)s)")
    arguments = parser.parse_args()
    write_clip(arguments.clip)
    arguments.truth.write_text(json.dumps(truth(), indent=2) + "\n", "utf-8")
    print(f"{arguments.clip}: {SECONDS} s, {arguments.clip.stat().st_size / 1e6:.2f} MB")
    print(f"{arguments.truth}: {truth()['totals']}")


def write_clip(path: Path) -> None:
    """Encode every frame as H.264.

    OpenCV's own writer cannot be told a quality (its MPEG-4 of this clip is over 2 MB), hence PyAV. No B-frames: every
    decoder then gives the same time for the same frame. One thread: the same frames give the same file.

    Raises:
        OSError: The file cannot be written.
    """
    import av

    quality = {"crf": "21", "preset": "medium", "bf": "0", "g": str(5 * FPS)}
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS, options=quality)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.thread_count = 1
        for picture in frames():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())


def frames() -> Iterator[Image]:
    """Every picture of the clip in order, (HEIGHT, WIDTH, 3) uint8 BGR."""
    return (frame(index) for index in range(round(SECONDS * FPS)))


def frame(index: int) -> Image:
    """The picture number ``index`` of the clip, from 0, (HEIGHT, WIDTH, 3) uint8 BGR."""
    return graded(_compose(_room(), index / FPS), SEED + index)


@cache
def _room() -> Room:
    return build_room(SEED)


def _compose(room: Room, second: float) -> Map:
    """The scene at ``second``, layer upon layer from far to near, (HEIGHT, WIDTH, 3) float32 BGR."""
    present = [(place, walk) for walk in SCENES if (place := walk.place(second)) is not None]
    present.sort(key=lambda each: each[0][2])
    picture = room.corridor.copy()
    for place, walk in present:
        if place[2] < DOOR_FACE:
            _add_person(picture, walk, second)
    picture += room.wall_cover[..., None] * (room.wall - picture)
    for place, walk in present:
        if place[2] >= DOOR_FACE:
            _add_person(picture, walk, second)
    picture += room.desk_cover[..., None] * (room.desk - picture)
    return picture


def _add_person(picture: Map, walk: Walk, second: float) -> None:
    """Draw somebody where they are, with motion blur, in the light of the place, and casting a soft shadow."""
    way = np.subtract(_place(walk, second + SHUTTER), _place(walk, second))
    moments = (second, second + SHUTTER / 2, second + SHUTTER) if np.abs(way).max() > 1 else (second,)
    exposures = [_warped(walk, moment) for moment in moments]
    alpha = np.mean([cover for _, cover in exposures], axis=0)
    image = np.mean([colours for colours, _ in exposures], axis=0)
    size = _place(walk, second)[2]
    shift = np.array([[1, 0, 0.1 * size], [0, 1, 0.12 * size]], np.float32)
    shadow = cv2.GaussianBlur(cv2.warpAffine(alpha, shift, (WIDTH, HEIGHT)), (0, 0), 0.16 * size)
    near = float(np.clip((size - 44) / 40, 0, 1))
    picture *= 1 - (0.12 + 0.16 * near) * shadow[..., None]
    light = np.array((0.88, 0.86, 0.84), np.float32) + near * np.array((0.1, 0.13, 0.15), np.float32)
    picture += image * light - alpha[..., None] * picture


def _place(walk: Walk, second: float) -> tuple[float, float, float]:
    """Where the walk is, held at its end while the shutter closes."""
    place = walk.place(min(second, walk.ends))
    assert place is not None
    return place


def _warped(walk: Walk, second: float) -> tuple[Map, Map]:
    """The person scaled, swaying and placed: colours times coverage (HEIGHT, WIDTH, 3), and coverage, float32."""
    x, y, width = _place(walk, second)
    pace = 2 * np.pi * 1.7 * (second - walk.begins)
    y += 0.022 * width * np.sin(pace)
    tilt = 1.4 * np.sin(pace / 2 + 0.6)
    levels = _levels(walk.person, walk.mask)
    scale = width / levels[0].landmarks.width
    level = levels[min(len(levels) - 1, max(0, int(np.floor(np.log2(1 / scale)))))]
    bridge = level.landmarks.bridge
    matrix = np.asarray(cv2.getRotationMatrix2D(bridge, tilt, width / level.landmarks.width), np.float64)
    matrix[:, 2] += np.array((x - bridge[0], y - bridge[1]))
    alpha = cv2.warpAffine(level.alpha, matrix, (WIDTH, HEIGHT))
    image = cv2.warpAffine(level.image, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    return np.asarray(image * alpha[..., None], np.float32), np.asarray(alpha, np.float32)


@cache
def _levels(person: str, mask: Mask | None) -> tuple[Portrait, ...]:
    """The person, masked, at full, half and quarter size, so that scaling down does not alias."""
    portrait = cast(person)
    if mask is not None:
        portrait = replace(portrait, image=draw_mask(portrait.image, portrait.landmarks, mask, SEED))
    levels = [portrait]
    for _ in range(2):
        last = levels[-1]
        image, alpha = cv2.pyrDown(last.image), cv2.pyrDown(last.alpha)
        levels.append(Portrait(image, alpha, last.landmarks.scaled(0.5)))  # type: ignore[arg-type]
    return tuple(levels)


def cast(person: str) -> Portrait:
    """The people of the scenes by name."""
    match person:
        case "grace":
            return portraits.grace()
        case "grace in burgundy":
            return portraits.in_other_jacket(portraits.grace(), (28, 10, 70)).mirrored()
        case "grace in grey":
            return portraits.in_other_jacket(portraits.grace(), (70, 70, 64))
        case "eileen":
            return portraits.eileen()
        case "eileen in blue":
            return portraits.in_other_suit(portraits.eileen(), 100, 0.85, (0.5, 0.45, 0.42)).mirrored()
        case "eileen in green":
            return portraits.in_other_suit(portraits.eileen(), 62, 0.55, (0.45, 0.62, 0.85))
    raise KeyError(person)


if __name__ == "__main__":
    main()
