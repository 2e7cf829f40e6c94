"""Looks at so many pictures of one person, for callgrind to count: ``python -m tests.bench.instructions 3``."""

from __future__ import annotations

import sys

import cv2

from edge.values import Frame
from edge.vision.pipeline import load_pipeline
from tests.bench.scenes import settings


def main() -> None:
    """``PICTURE NUMBER``: find and judge the faces of a picture file so often."""
    picture, number = sys.argv[1:]
    cv2.setNumThreads(1)
    image = cv2.imread(picture)
    assert image is not None
    pipeline = load_pipeline(settings(runtime__threads=1))
    for _ in range(int(number)):
        pipeline.judge(image, pipeline.detect(Frame.still(image)))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
