"""What is looked at: the demo clip, and stills of so many people who stand at the door."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

from edge.cameras.demo import DEMO_CLIP
from edge.cameras.video import VideoFile
from edge.config import Config, Settings, load
from edge.people.track import is_cut
from edge.values import Face, Frame, Image
from edge.vision.pipeline import Pipeline

WIDTH, HEIGHT = 640, 480
HEAD = 110
"""Width of a pasted head with its margin, in pixels."""


def loaded(**overrides: object) -> Settings:
    """The defaults, whatever this machine's own configuration says; ``runtime__threads=2`` changes one."""
    dotted = {key.replace("__", "."): value for key, value in overrides.items()}
    return load(environment={"HOME": "/nonexistent"}, overrides=dotted)


def settings(**overrides: object) -> Config:
    """The same, without where each comes from."""
    return loaded(**overrides).config


def demo(most: int | None = None) -> list[Frame]:
    """The first pictures of the demo clip."""
    clip, frames = VideoFile(DEMO_CLIP, "demo"), []
    while (frame := clip.read()) and (most is None or len(frames) < most):
        frames.append(frame)
    clip.close()
    return frames


def with_one_person(pipeline: Pipeline, most: int) -> list[Image]:
    """Pictures of the demo clip in which one face is found, spread over the clip."""
    found = [frame.image for frame in demo() if len(pipeline.detect(frame)) == 1]
    return found[:: max(1, len(found) // most)][:most]


def with_nobody(pipeline: Pipeline) -> Image:
    """A picture of the demo clip in which no face is found."""
    return next(frame.image for frame in demo() if not pipeline.detect(frame))


def crowds(pipeline: Pipeline, sizes: Sequence[int]) -> list[Image]:
    """Stills of so many people standing at the door: one head from the demo clip, pasted side by side.

    Up to ten stand in two rows with large heads, as at a door; more stand in four rows with smaller ones.
    """
    picture, face = _clearest(pipeline)
    x0, y0, x1, y1 = (round(edge) for edge in face.bbox)
    margin = (x1 - x0) // 3
    head = picture[max(0, y0 - margin) : y1 + margin, max(0, x0 - margin) : x1 + margin]
    return [_crowd(head, people) for people in sizes]


def _crowd(head: Image, people: int) -> Image:
    rows, width = (2, HEAD) if people <= 10 else (4, 76)
    scaled = cv2.resize(head, (width, round(width * head.shape[0] / head.shape[1])), interpolation=cv2.INTER_AREA)
    scaled = scaled[: HEIGHT // rows - 4]
    still: Image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    for number in range(people):
        x, y = 9 + 126 * (number % 5), (HEIGHT // rows) * (number // 5) + 4
        still[y : y + scaled.shape[0], x : x + width] = scaled
    return still


@lru_cache
def _clearest(pipeline: Pipeline) -> tuple[Image, Face]:
    """The picture of the demo clip with the surest face that no edge cuts."""
    found = [
        (face.score, number, frame.image, face)
        for number, frame in enumerate(demo())
        for face in pipeline.detect(frame)
        if not is_cut(face.bbox, (WIDTH, HEIGHT))
    ]
    *_, picture, face = max(found, key=lambda one: one[:2])
    return picture, face
