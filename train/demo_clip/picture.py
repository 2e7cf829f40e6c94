"""Picture the shipped models at work on the demo clip: ``python -m train.demo_clip.picture``."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from edge.cameras.demo import DEMO_CLIP
from edge.config import Config
from edge.sinks.draw import annotate
from edge.values import Frame, Image, Verdict
from edge.vision.pipeline import Pipeline, load_pipeline

PICTURE = Path("docs/images/demo.webp")
SECONDS = (3.0, 6.6, 10.3, 19.2)
"""Moments of the clip: a bare face, a mask, a bare nose, and two people at once."""
TILE = (480, 360)
QUALITY = 88
"""Of WebP: keeps the outlines clean."""


def main() -> None:
    """Write four moments of the clip, with boxes, labels and counts, as one picture."""
    parser = argparse.ArgumentParser(prog="python -m train.demo_clip.picture", description=__doc__)
    parser.add_argument("--output", type=Path, default=PICTURE, help="picture to write (default: %(default)s)")
    output: Path = parser.parse_args().output
    pipeline = load_pipeline(Config())
    first, second, third, fourth = (_judged(second, pipeline) for second in SECONDS)
    output.parent.mkdir(parents=True, exist_ok=True)
    whole = np.vstack([np.hstack([first, second]), np.hstack([third, fourth])])
    if not cv2.imwrite(str(output), whole, [cv2.IMWRITE_WEBP_QUALITY, QUALITY]):
        raise OSError(f"cannot write {output}")
    print(output)


def _judged(second: float, pipeline: Pipeline) -> Image:
    capture = cv2.VideoCapture(str(DEMO_CLIP))
    capture.set(cv2.CAP_PROP_POS_MSEC, second * 1000)
    _, picture = capture.read()
    image = np.asarray(picture, np.uint8)
    readings = pipeline.process(Frame(image, second, 0))
    counts = Counter(Verdict(reading.label.value) for reading in readings)
    drawn = annotate(image, readings, {each: counts[each] for each in Verdict if each is not Verdict.UNSURE})
    return np.asarray(cv2.resize(drawn, TILE, interpolation=cv2.INTER_AREA), np.uint8)


if __name__ == "__main__":
    main()
