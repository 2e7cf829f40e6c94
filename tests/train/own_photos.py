"""A small set of photos to follow docs/train.md with, from the people of the demo clip, who are in the public domain.

python -m tests.train.own_photos photos/ [folders|voc|phone]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edge.cameras.demo import DEMO_CLIP, DEMO_TRUTH
from edge.values import BBox, Image, Label
from train.mask.device_boxes import DeviceDetector

VISITS = (0, 1, 2, 3)
"""Those in which one person is in view."""

VOC_NAMES = {
    Label.WITH_MASK: "with_mask",
    Label.WITHOUT_MASK: "without_mask",
    Label.MASK_WORN_INCORRECTLY: "mask_weared_incorrect",
}
"""What the best-known public set in this layout calls the classes."""

PHONE = (4000, 3000)
"""Width and height of a photo of 12 megapixels."""

ANNOTATION = """<annotation><filename>{name}</filename><size><width>{width}</width><height>{height}</height></size>
<object><name>{label}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>
</annotation>
"""


def faces(each: int) -> Iterator[tuple[Image, BBox, Label]]:
    """Frames of the clip, varied in cut and light, with the largest face and its class; ``each`` per visit."""
    visits, detect, rng = (
        json.loads(DEMO_TRUTH.read_text("utf-8"))["visits"],
        DeviceDetector(),
        np.random.default_rng(4),
    )
    for number in VISITS:
        visit = visits[number]
        capture = cv2.VideoCapture(str(DEMO_CLIP))
        for second in np.linspace(visit["enters"] + 0.7, visit["leaves"] - 0.7, each):
            capture.set(cv2.CAP_PROP_POS_MSEC, 1000 * second)
            image = varied(capture.read()[1], rng)
            found = detect(image)
            if found:
                yield image, max(found, key=lambda face: face.bbox.area).bbox, Label(visit["verdict"])


def varied(image: Image, rng: np.random.Generator) -> Image:
    """A part of the frame, mirrored or not, in another light."""
    height, width = image.shape[:2]
    x, y = rng.uniform(0, 0.12, 2)
    part = image[int(y * height) : int(height * (0.9 + y / 3)), int(x * width) : int(width * (0.88 + x))]
    part = part[:, :: rng.choice([-1, 1])]
    return np.clip(part * rng.uniform(0.6, 1.3, 3) + rng.uniform(-15, 15), 0, 255).astype(np.uint8)


def write_folders(root: Path, each: int = 12, phone: bool = False) -> None:
    """A folder per class, called as most people call them; cut-outs, or photos as a phone takes them."""
    names = {Label.WITH_MASK: "With Mask", Label.WITHOUT_MASK: "No Mask"}
    for number, (image, bbox, label) in enumerate(faces(each)):
        if label in names:
            shown = cv2.resize(image, PHONE, interpolation=cv2.INTER_CUBIC) if phone else cut(image, bbox, number)
            (root / names[label]).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / names[label] / f"{number}.jpg"), shown)


def cut(image: Image, bbox: BBox, number: int) -> Image:
    """The face with room around it, more on one side than on the other."""
    rng, side = np.random.default_rng(number), max(bbox.width, bbox.height)
    x0, y0, x1, y1 = np.array(bbox) + rng.uniform(0.15, 0.5, 4) * side * (-1, -1, 1, 1)
    return image[max(0, int(y0)) : int(y1), max(0, int(x0)) : int(x1)]


def write_voc(root: Path, each: int = 12) -> None:
    """``images/*.png`` and ``annotations/*.xml``, as the best-known public set of masks has them."""
    for folder in ("images", "annotations"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number, (image, bbox, label) in enumerate(faces(each)):
        name, (height, width) = f"door{number}.png", image.shape[:2]
        cv2.imwrite(str(root / "images" / name), image)
        edges = dict(zip(("x0", "y0", "x1", "y1"), np.maximum(0, np.round(bbox)).astype(int), strict=True))
        text = ANNOTATION.format(name=name, width=width, height=height, label=VOC_NAMES[label], **edges)
        (root / "annotations" / f"door{number}.xml").write_text(text)


def write(layout: str, root: Path, each: int) -> None:
    """Write ``each`` photos per visit: ``folders``, ``voc``, or ``phone``, folders of photos of 12 megapixels."""
    if layout == "voc":
        write_voc(root, each)
    else:
        write_folders(root, each, phone=layout == "phone")


def main() -> None:
    """Write the set that the command line asks for."""
    layout = sys.argv[2] if len(sys.argv) > 2 else "folders"
    write(layout, Path(sys.argv[1]), 34 if layout == "phone" else 12)


if __name__ == "__main__":
    main()
