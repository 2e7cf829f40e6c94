"""Prints the whole numbers that the shipped models answer for the middle of pictures: run in two places, to compare."""

from __future__ import annotations

import json
import sys

import cv2
import numpy as np

from edge.runtime import open_model
from edge.vision.models import FaceEntry, MaskEntry, load_model


def main(paths: list[str]) -> None:
    for name, kind in (("face", FaceEntry), ("mask", MaskEntry)):
        model = open_model(load_model(name, kind).content)
        _, height, width, _ = model.input.shape
        lowest = np.iinfo(model.input.dtype).min
        for path in paths:
            picture = cv2.imread(path)
            top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
            # Cut out and not scaled: in both places the model is fed the same bytes.
            cut = picture[None, top : top + height, left : left + width].astype(np.int16) + lowest
            print(json.dumps([name, *(t.values.tolist() for t in model.invoke(cut.astype(model.input.dtype)))]))


if __name__ == "__main__":
    main(sys.argv[1:])
